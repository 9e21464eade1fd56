//! What is wrong with a row of an overlay, and what was meant.

use std::collections::BTreeSet;

use pipehat_config::{Diagnostic, Span, nearest};
use pipehat_resource::definitions::TypeDefinition;

use super::Dropped;
use crate::plan::{NEVER, NO_VALUE, OTHER_SEGMENT, Plan, Unread};
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
        "id" if unread.problem.contains(OTHER_SEGMENT) => (
            unread.problem.clone(),
            "write a field of the segment that the map is named after, or give the row to a map of the other segment; `when` and `assign` may read fields of others",
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
        "attr" if unread.problem.contains(NEVER) => (
            unread.problem.clone(),
            "read another field, write another element, or name under `codes` a table that says what its values become",
            None,
        ),
        "attr" => {
            let help =
                "write the element with its path, such as `name[1].family` or `extension[1].url`";
            let near = element_near(&unread.problem);
            let message = unread.problem.clone();
            let elements = || listed(elements_of(&message)?.1);
            if let (None, Some(listed)) = (near, elements()) {
                let owner = elements_of(&message).map_or("", |(owner, _)| owner);
                return Diagnostic::error("overlay.row", span, &*message)
                    .with_help(format!("{help}; {owner} has {listed}"));
            }
            return Diagnostic::error("overlay.row", span, &*message)
                .with_nearest(near)
                .with_help(help);
        }
        "assign" if unread.problem.starts_with(NO_VALUE) => {
            (unread.problem.clone(), "write a value of this form, or another element", None)
        }
        "assign" => (
            unread.problem.clone(),
            "write a text in quotes (`'\"https://good.example\"'`), fields joined by plus signs (`ZPD-2+\" \"+ZPD-3`) or a conversion (`@now`)",
            None,
        ),
        "dt_map" if unread.problem.contains(" makes ") => (
            unread.problem.clone(),
            "name a map whose name ends with the element's type, such as `CX[Identifier]`, or write another element",
            None,
        ),
        "dt_map" => {
            let help = "datatype maps are named by what is read and what is made, such as `CWE[CodeableConcept]`";
            let diagnostic = Diagnostic::error("overlay.row", span, unread.problem.clone());
            return map_that_is_there(diagnostic, help, text, rows, RowTable::Datatypes);
        }
        "vocab_map" => (
            format!("no codes are told of `{text}`"),
            "name a code system map of the tables, or tell its codes under `codes`",
            nearest(text, names(rows, RowTable::Codesystems)),
        ),
        "segment_map" => {
            let message = format!(
                "no rows under `segments`, and none of the tables, are named `{text}` and make what `resource` names"
            );
            let help =
                "name a segment map, such as `PID[Patient]`, or tell its rows under `segments`";
            let diagnostic = Diagnostic::error("overlay.row", span, message);
            return map_that_is_there(diagnostic, help, text, rows, RowTable::Segments);
        }
        "target" => (
            format!("`{text}` is no resource that rows can make: {}", unread.problem),
            "write its type and which of them it is, such as `Patient[1]`",
            type_near(text),
        ),
        "map" => (
            format!("`{}` names no segment and no type of FHIR's", unread.map),
            "a map is named by its segment and the type it makes, such as `ZPD[Patient]`",
            unread.map.split_once('[').and_then(|(_, made)| type_near(made.trim_end_matches(']'))),
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
    let diagnostic = Diagnostic::error("overlay.row", span, text).with_nearest(near);
    Some(match listed(groups.iter().map(String::as_str)) {
        Some(listed) => diagnostic.with_help(format!("its groups are {listed}")),
        None => diagnostic.with_help("it has no groups: write the segment alone"),
    })
}

/// A row that is to be dropped, and isn't there.
pub(super) fn nothing_dropped(drop: &Dropped, rows: &[Row]) -> Diagnostic {
    let of_map = || rows.iter().filter(|row| row.map() == drop.map);
    let of_field = || of_map().filter(|row| row.id() == drop.id);
    let (text, near, there) = if of_map().next().is_none() {
        let near = nearest(&drop.map, rows.iter().map(Row::map));
        let segment = drop.map.split('[').next().unwrap_or_default();
        let of_segment = rows.iter().map(Row::map).filter(|map| is_of(map, segment));
        (format!("the tables have no map `{}`", drop.map), near, listed(of_segment))
    } else if of_field().next().is_none() {
        let near = nearest(&drop.id, of_map().map(Row::id));
        let text = format!("`{}` has no row of `{}`", drop.map, drop.id);
        (text, near, listed(of_map().map(Row::id)))
    } else {
        let to = drop.attr.as_deref().unwrap_or_default();
        let near = nearest(to, of_field().map(|row| row.cell("attr")));
        let text = format!("no row of `{}` in `{}` writes to `{to}`", drop.id, drop.map);
        (text, near, listed(of_field().map(|row| row.cell("attr"))))
    };
    let help = match there {
        Some(there) => format!("there are {there}"),
        None => {
            "look the map and the field up in the mapping tables (`--lineage` names them)".into()
        }
    };
    Diagnostic::error("overlay.nothing-dropped", &drop.span, text)
        .with_nearest(near)
        .with_help(help)
}

/// A map that is named nearly so, else those of what is read.
fn map_that_is_there(
    diagnostic: Diagnostic,
    help: &str,
    text: &str,
    rows: &[Row],
    table: RowTable,
) -> Diagnostic {
    let near = nearest(text, names(rows, table));
    let read = text.split('[').next().unwrap_or_default();
    let of_read = || listed(names(rows, table).filter(|map| is_of(map, read)));
    let help = match of_read().filter(|_| near.is_none()) {
        Some(listed) => format!("{help}; of `{read}` there are {listed}"),
        None => help.to_owned(),
    };
    diagnostic.with_nearest(near).with_help(help)
}

/// Whether a map reads this segment or data type.
fn is_of(map: &str, read: &str) -> bool {
    map.split('[').next() == Some(read)
}

/// More names are no help to a reader.
const LISTED_MAX: usize = 60;

/// Names, each once; none where there are none, or too many to be read.
pub(super) fn listed<'n>(names: impl IntoIterator<Item = &'n str>) -> Option<String> {
    let names: BTreeSet<&str> = names.into_iter().filter(|name| !name.is_empty()).collect();
    if names.is_empty() || names.len() > LISTED_MAX {
        return None;
    }
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    Some(names.join(", "))
}

fn names(rows: &[Row], table: RowTable) -> impl Iterator<Item = &str> {
    rows.iter().filter(move |row| row.table == table).map(Row::map)
}

/// Of `Patient has no element gendr`: what Patient has that is written like it.
fn element_near(problem: &str) -> Option<&str> {
    let (_, name) = problem.split_once(" has no element ")?;
    nearest(name, elements_of(problem)?.1)
}

/// Of `Patient has no element gendr`: what Patient has.
fn elements_of(problem: &str) -> Option<(&str, impl Iterator<Item = &'static str>)> {
    let (name, _) = problem.split_once(" has no element ")?;
    let owner = TypeDefinition::named(name)?;
    Some((name, owner.elements().map(|element| element.name())))
}

fn type_near(text: &str) -> Option<&'static str> {
    let name = text.split(['[', '.', '(']).next().unwrap_or_default();
    nearest(name, pipehat_resource::definitions::resource_types().map(TypeDefinition::name))
}

/// A structure that no version has and no table names, so that no message is ever read by the row. Structures of a site's own
/// events (`ORU_Z01`, `ZDS_Z01`) are its own.
pub(super) fn structure(row: &Row, span: &Span, tables: &BTreeSet<String>) -> Option<Diagnostic> {
    let name = row.map();
    let is_own = name.starts_with('Z') || name.contains("_Z");
    if is_own || tables.contains(name) || group_paths(name).is_some() {
        return None;
    }
    let text = format!("no version of HL7 v2 has the message structure `{name}`");
    let help = "messages are named by their structure (MSH-9.3), such as `ADT_A01` of ADT^A04, or by one of the site's own \
                (`ORU_Z01`)";
    let near = nearest(name, tables.iter().map(String::as_str));
    Some(Diagnostic::error("overlay.message", span, text).with_nearest(near).with_help(help))
}

/// A code that none of the elements that its table is for takes: it would be left out wherever it comes.
pub(super) fn code(row: &Row, span: &Span, plan: &Plan, rows: &[Row]) -> Option<Diagnostic> {
    let meaning = plan.vocabulary(row.map())?.meaning(row.cell("code"))?;
    let mut refusals = Vec::new();
    for own in plan.code_uses(row.map()) {
        refusals.push((&*own.element, own.refusal(meaning)?));
    }
    // That of the resource itself rather than that of a part of it.
    let (element, refusal) =
        refusals.into_iter().min_by_key(|(element, _)| (element.len(), *element))?;
    let text = format!("`{}` is for {element}, and this is no value of it: {refusal}", row.map());
    let mut help =
        "write a code that the element takes, with its `system` where it is a CodeableConcept's"
            .to_owned();
    let of_map = || {
        let tables = rows.iter().filter(|other| other.overlay.is_none());
        tables.filter(|other| other.map() == row.map()).map(|other| other.cell("fcode"))
    };
    let near = nearest(row.cell("fcode"), of_map().filter(|code| !code.is_empty()));
    if let Some(listed) = listed(of_map()) {
        help.push_str(&format!("; the table's own are {listed}"));
    }
    Some(Diagnostic::error("overlay.code", span, text).with_nearest(near).with_help(help))
}

/// A value of an extension of which no row tells the URL: without it it is no extension, and is left out.
pub(super) fn url(row: &Row, span: &Span, rows: &[Row]) -> Option<Diagnostic> {
    let target = row.cell("attr");
    let start = target.rfind("extension")?;
    let rest = target.get(start + "extension".len()..)?;
    let (number, member) = rest.split_once('.')?;
    let is_number = number.is_empty() || (number.starts_with('[') && number.ends_with(']'));
    if !is_number || !member.starts_with("value") {
        return None;
    }
    let extension = target.get(..start + "extension".len() + number.len())?;
    let url = format!("{extension}.url");
    let of_map = rows.iter().filter(|other| other.map() == row.map());
    if of_map.map(|other| other.cell("attr")).any(|attr| attr.starts_with(&url)) {
        return None;
    }
    let text = format!("no row of `{}` tells the URL of this extension", row.map());
    let help = format!(
        "add a row such as `{{field: {}, to: \"{url}\", assign: '\"https://good.example/what\"'}}`",
        row.id()
    );
    Some(Diagnostic::error("overlay.row", span, text).with_help(help))
}

/// A row of a map that no message uses.
pub(super) fn unused(row: &Row, span: &Span, rows: &[Row]) -> Option<Diagnostic> {
    let map = row.map();
    let mut of_messages = rows.iter().filter(|other| other.table == RowTable::Messages);
    if of_messages.any(|other| other.cell("segment_map") == map) {
        return None;
    }
    let (segment, rest) = map.split_once('[')?;
    let resource = rest.trim_end_matches(']');
    let text = format!("no row of `messages` uses `{map}`: this row is never run");
    let help = format!(
        "add `messages: {{ADT_A01: [{{segment: {segment}, resource: \"{resource}[1]\", map: \"{map}\"}}]}}`, with the \
         structure of the messages that have the segment"
    );
    Some(Diagnostic::warning("overlay.unused", span, text).with_help(help))
}
