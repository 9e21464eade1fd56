//! What is wrong with a row of an overlay, and what was meant.

use pipehat_config::{Diagnostic, Span, nearest};
use pipehat_resource::definitions::TypeDefinition;

use super::Dropped;
use crate::plan::Unread;
use crate::table::{Row, RowTable, group_paths};

/// A cell that the compiler can't run.
pub(super) fn unread(unread: &Unread, span: &Span, rows: &[Row]) -> Diagnostic {
    let text = unread.text.as_str();
    let (message, help, near): (String, &str, Option<&str>) = match unread.column {
        "id" if unread.table == RowTable::Messages => (
            format!("`{text}` names no segment of a message"),
            "write the segment with the groups it stands in: `ZPD`, or `PATIENT.ZPD`",
            None,
        ),
        "id" => (
            format!("`{text}` is no field"),
            "write a field or a component, such as `ZPD-2` or `PID-3.1`; in `datatypes` such as `CX.4`",
            None,
        ),
        "antlr" => (
            "the condition can't be read".into(),
            "write `IF ZPD-2 VALUED`, `IF PV1-2 EQUALS \"I\"`, `IF X IN (\"a\", \"b\")`, with AND, OR and NOT",
            None,
        ),
        "attr" => (
            unread.problem.clone(),
            "write the element with its path, such as `name[1].family` or `extension[1].url`",
            element_near(&unread.problem),
        ),
        "assign" => (
            unread.problem.clone(),
            "write a text in quotes (`'\"https://good.example\"'`), fields joined by plus signs (`ZPD-2+\" \"+ZPD-3`) or a conversion (`@now`)",
            None,
        ),
        "dt_map" => (
            unread.problem.clone(),
            "datatype maps are named by what is read and what is made, such as `CWE[CodeableConcept]`",
            nearest(text, names(rows, RowTable::Datatypes)),
        ),
        "vocab_map" => (
            format!("no codes are told of `{text}`"),
            "name a code system map of the tables, or tell its codes under `codes`",
            nearest(text, names(rows, RowTable::Codesystems)),
        ),
        "segment_map" => (
            format!(
                "no rows under `segments`, and none of the tables, are named `{text}` and make what `resource` names"
            ),
            "name a segment map, such as `PID[Patient]`, or tell its rows under `segments`",
            nearest(text, names(rows, RowTable::Segments)),
        ),
        "target" => (
            format!("`{text}` is no resource that rows can make: {}", unread.problem),
            "write its type and which of them it is, such as `Patient[1]`",
            type_near(text),
        ),
        "map" => (
            format!("`{}` names no segment and no type of FHIR's", unread.map),
            "a map is named by its segment and the type it makes, such as `ZPD[Patient]`",
            None,
        ),
        _ => (unread.problem.clone(), "", None),
    };
    let diagnostic = Diagnostic::error("overlay.row", span, message).with_nearest(near);
    if help.is_empty() { diagnostic } else { diagnostic.with_help(help) }
}

/// A group that the message's structure doesn't have: the row would never run.
pub(super) fn group(row: &Row, span: &Span) -> Option<Diagnostic> {
    let groups = group_paths(row.map())?;
    let path = row.id().split_once('.')?.1;
    let (group, _) = path.rsplit_once('.')?;
    if groups.contains(group) {
        return None;
    }
    let near = nearest(group, groups.iter().map(String::as_str));
    let text = format!("{} has no group `{group}`", row.map());
    Some(Diagnostic::error("overlay.row", span, text).with_nearest(near))
}

/// A row that is to be dropped, and isn't there.
pub(super) fn nothing_dropped(drop: &Dropped, rows: &[Row]) -> Diagnostic {
    let of_map = || rows.iter().filter(|row| row.map() == drop.map);
    let of_field = || of_map().filter(|row| row.id() == drop.id);
    let (text, near) = if of_map().next().is_none() {
        let near = nearest(&drop.map, rows.iter().map(Row::map));
        (format!("the tables have no map `{}`", drop.map), near)
    } else if of_field().next().is_none() {
        let near = nearest(&drop.id, of_map().map(Row::id));
        (format!("`{}` has no row of `{}`", drop.map, drop.id), near)
    } else {
        let to = drop.attr.as_deref().unwrap_or_default();
        let near = nearest(to, of_field().map(|row| row.cell("attr")));
        (format!("no row of `{}` in `{}` writes to `{to}`", drop.id, drop.map), near)
    };
    Diagnostic::error("overlay.nothing-dropped", &drop.span, text)
        .with_nearest(near)
        .with_help("look the map and the field up in the mapping tables (`--lineage` names them)")
}

fn names(rows: &[Row], table: RowTable) -> impl Iterator<Item = &str> {
    rows.iter().filter(move |row| row.table == table).map(Row::map)
}

/// Of `Patient has no element gendr`: what Patient has that is written like it.
fn element_near(problem: &str) -> Option<&str> {
    let (owner, name) = problem.split_once(" has no element ")?;
    let owner = TypeDefinition::named(owner)?;
    nearest(name, owner.elements().map(|element| element.name()))
}

fn type_near(text: &str) -> Option<&'static str> {
    let name = text.split(['[', '.', '(']).next().unwrap_or_default();
    nearest(name, pipehat_resource::definitions::resource_types().map(TypeDefinition::name))
}
