//! From the file's tree to rows.

use pipehat_config::{Diagnostic, Diagnostics, Fields, Node, Span, nearest};

use pipehat_resource::definitions::CodeSystem;

use super::explain;
use super::{Added, Dropped};
use crate::table::{Row, RowTable};

/// What an overlay adds and takes out, as far as it can be read; what can't is reported. `None` where it is no map.
pub(super) fn read(
    node: &Node,
    tables: &[Row],
    diagnostics: &mut Diagnostics,
) -> Option<(Vec<Added>, Vec<Dropped>)> {
    let mut reader = Reader { tables, added: Vec::new() };
    let mut dropped = Vec::new();
    let mut fields = Fields::of(node, "overlay", diagnostics)?;
    let parts = [
        ("systems", fields.take("systems")),
        ("coding_systems", fields.take("coding_systems")),
        ("codes", fields.take("codes")),
        ("segments", fields.take("segments")),
        ("datatypes", fields.take("datatypes")),
        ("messages", fields.take("messages")),
    ];
    let drop = fields.take("drop");
    fields.finish();
    let mut codes = None;
    for (name, part) in parts {
        let Some(part) = part else { continue };
        match name {
            "systems" => reader.uris(part, super::AUTHORITIES, diagnostics),
            "coding_systems" => reader.uris(part, "CodingSystem", diagnostics),
            "codes" => codes = Some(part),
            "segments" => reader.rows(part, RowTable::Segments, diagnostics),
            "datatypes" => reader.rows(part, RowTable::Datatypes, diagnostics),
            _ => reader.rows(part, RowTable::Messages, diagnostics),
        }
    }
    if let Some(part) = codes {
        // A table of the site's own is one that a row of its own names.
        let cells = reader.added.iter().map(|added| added.row.cell("vocab_map"));
        let mentioned: Vec<String> =
            cells.filter(|name| !name.is_empty()).map(str::to_owned).collect();
        reader.codes(part, &mentioned, diagnostics);
    }
    if let Some(list) = drop.and_then(|drop| drop.list(diagnostics)) {
        for one in list {
            dropped.extend(drop_of(one, diagnostics));
        }
    }
    Some((reader.added, dropped))
}

fn drop_of(node: &Node, diagnostics: &mut Diagnostics) -> Option<Dropped> {
    let mut fields = Fields::of(node, "row", diagnostics)?;
    let text =
        |node: &Node, diagnostics: &mut Diagnostics| node.text(diagnostics).map(str::to_owned);
    let map = fields.required("map", text);
    let id = fields.required("field", text);
    let attr = fields.optional("to", text);
    fields.finish();
    Some(Dropped { map: map?, id: id?, attr, span: node.span.clone() })
}

struct Reader<'t> {
    /// The rows of the tables themselves.
    tables: &'t [Row],
    added: Vec<Added>,
}

/// The names of a row's columns in an overlay, and in the tables.
const SEGMENT_COLUMNS: [(&str, &str); 6] = [
    ("field", "id"),
    ("to", "attr"),
    ("when", "antlr"),
    ("assign", "assign"),
    ("datatype", "dt_map"),
    ("codes", "vocab_map"),
];
const MESSAGE_COLUMNS: [(&str, &str); 5] = [
    ("segment", "id"),
    ("resource", "target"),
    ("map", "segment_map"),
    ("when", "antlr"),
    ("references", "references"),
];

impl Reader<'_> {
    fn add(&mut self, table: RowTable, cells: Vec<(&'static str, String, Span)>, span: &Span) {
        let places = cells.iter().map(|(column, _, span)| (*column, span.clone())).collect();
        let cells = cells.into_iter().map(|(column, text, _)| (column.into(), text)).collect();
        let row = Row::of_overlay(table, self.added.len(), cells);
        self.added.push(Added { row, span: span.clone(), cells: places });
    }

    /// `NAME: URI`
    fn uris(&mut self, node: &Node, map: &str, diagnostics: &mut Diagnostics) {
        let Some(entries) = node.map("systems", diagnostics) else { return };
        for (key, node) in entries.iter() {
            let Some(uri) = node.text_not_empty(diagnostics) else { continue };
            if !uri.contains(':') || uri.contains(char::is_whitespace) {
                diagnostics.push(
                    Diagnostic::error("overlay.uri", &node.span, "this is no URI").with_help(
                        "write it whole, such as `https://good.example/id/mrn` or `urn:oid:1.2.3`",
                    ),
                );
                continue;
            }
            let cells = vec![
                ("map", map.to_owned(), key.span.clone()),
                ("code", key.text.clone(), key.span.clone()),
                ("fcode", uri.to_owned(), node.span.clone()),
            ];
            self.add(RowTable::Codesystems, cells, &node.span);
        }
    }

    /// `MAP: { CODE: fhir-code }` or `{ CODE: { code: …, system: …, display: … } }`
    fn codes(&mut self, node: &Node, mentioned: &[String], diagnostics: &mut Diagnostics) {
        let Some(maps) = node.map("codes", diagnostics) else { return };
        for (map, codes) in maps.iter() {
            let known = self.code_maps();
            // Of a table of ours in its own spelling, so that its rows get the site's codes.
            let own = known.iter().find(|name| name.eq_ignore_ascii_case(&map.text));
            let own_name = own.copied().unwrap_or(&map.text).to_owned();
            if own.is_none() && !mentioned.contains(&map.text) {
                let near = nearest(&map.text, known).map(str::to_owned);
                let message = format!("no row translates by `{}`", map.text);
                diagnostics.push(
                    Diagnostic::error("overlay.codes", &map.span, message)
                        .with_nearest(near.as_deref())
                        .with_help(
                            "name a code map of the tables, such as `AdministrativeSex` (`--lineage` names them), or one that \
                             `codes` of a row under `segments` names",
                        ),
                );
                continue;
            }
            let Some(codes) = codes.map("codes", diagnostics) else { continue };
            for (key, node) in codes.iter() {
                let mut cells = vec![
                    ("map", own_name.clone(), map.span.clone()),
                    ("code", key.text.clone(), key.span.clone()),
                ];
                if node.as_map().is_some() {
                    let Some(mut fields) = Fields::of(node, "code", diagnostics) else { continue };
                    for (name, column) in
                        [("code", "fcode"), ("system", "fsystem"), ("display", "display")]
                    {
                        let text = fields.optional(name, |node, diagnostics| {
                            Some((node.text(diagnostics)?.to_owned(), node.span.clone()))
                        });
                        cells.extend(text.map(|(text, span)| (column, text, span)));
                    }
                    fields.finish();
                } else if let Some(text) = node.text_not_empty(diagnostics) {
                    cells.push(("fcode", text.to_owned(), node.span.clone()));
                    // The system is that of the map's other codes.
                    cells.extend(
                        self.system_of(&own_name)
                            .map(|system| ("fsystem", system, node.span.clone())),
                    );
                }
                if !is_of_its_system(&cells) {
                    let code = cells.iter().find(|(column, ..)| *column == "fcode");
                    let span = code.map_or(&key.span, |(_, _, span)| span);
                    let text = "FHIR's code system has no such code";
                    let near = code_near(&cells);
                    let error = Diagnostic::error("overlay.code", span, text).with_nearest(near);
                    diagnostics.push(match codes_of(&cells).and_then(explain::listed) {
                        Some(listed) => error.with_help(format!("it has {listed}")),
                        None => error,
                    });
                    continue;
                }
                self.add(RowTable::Codesystems, cells, &key.span);
            }
        }
    }

    /// `MAP: [ row, … ]`
    fn rows(&mut self, node: &Node, table: RowTable, diagnostics: &mut Diagnostics) {
        let Some(maps) = node.map(table.name(), diagnostics) else { return };
        for (map, list) in maps.iter() {
            if table == RowTable::Messages && !is_message(&map.text) {
                let known = self.message_names();
                let near = nearest(&map.text, known).map(str::to_owned);
                diagnostics.push(
                    Diagnostic::error("overlay.message", &map.span, "this is no message structure")
                        .with_nearest(near.as_deref())
                        .with_help(
                            "messages are named by their structure (MSH-9.3), such as `ADT_A01` of ADT^A04, or by one of the \
                             site's own (`ORU_Z01`)",
                        ),
                );
                continue;
            }
            let Some(list) = list.list(diagnostics) else { continue };
            for node in list {
                self.row(table, &map.text, &map.span, node, diagnostics);
            }
        }
    }

    fn message_names(&self) -> Vec<&str> {
        let messages = self.tables.iter().filter(|row| row.table == RowTable::Messages);
        let mut names: Vec<&str> = messages.map(Row::map).collect();
        names.dedup();
        names
    }

    /// The code tables that there are.
    fn code_maps(&self) -> Vec<&str> {
        let rows = self.tables.iter().filter(|row| row.table == RowTable::Codesystems);
        let mut names: Vec<&str> = rows.map(Row::map).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    fn system_of(&self, map: &str) -> Option<String> {
        let is_own = |row: &&Row| row.table == RowTable::Codesystems && row.map() == map;
        let mut systems = self.tables.iter().filter(is_own).map(|row| row.cell("fsystem"));
        systems.find(|text| !text.is_empty()).map(str::to_owned)
    }

    fn row(
        &mut self,
        table: RowTable,
        map: &str,
        map_span: &Span,
        node: &Node,
        diagnostics: &mut Diagnostics,
    ) {
        let columns: &[(&'static str, &'static str)] =
            if table == RowTable::Messages { &MESSAGE_COLUMNS } else { &SEGMENT_COLUMNS };
        let Some(mut fields) = Fields::of(node, "row", diagnostics) else { return };
        let mut cells = vec![("map", map.to_owned(), map_span.clone())];
        for (position, (name, column)) in columns.iter().enumerate() {
            let read = |node: &Node, diagnostics: &mut Diagnostics| {
                Some((node.text(diagnostics)?.to_owned(), node.span.clone()))
            };
            let found = if position < 2 {
                fields.required(name, read)
            } else {
                fields.optional(name, read)
            };
            let Some((text, span)) = found else { continue };
            let text = match (table, *column) {
                // `ZPD` stands in the message itself, `PATIENT.ZPD` in a group.
                (RowTable::Messages, "id") => format!("{map}.{text}"),
                (_, "antlr") if !text.trim_start().to_ascii_uppercase().starts_with("IF") => {
                    format!("IF {text}")
                }
                _ => text,
            };
            cells.push((column, text, span));
        }
        fields.finish();
        self.add(table, cells, &node.span);
    }
}

/// The code of the system that is written like it.
fn code_near(cells: &[(&'static str, String, Span)]) -> Option<&'static str> {
    let (_, code, _) = cells.iter().find(|(column, ..)| *column == "fcode")?;
    nearest(code, codes_of(cells)?)
}

/// The codes of the system.
fn codes_of(
    cells: &[(&'static str, String, Span)],
) -> Option<impl Iterator<Item = &'static str> + use<>> {
    let (_, system, _) = cells.iter().find(|(column, ..)| *column == "fsystem")?;
    Some(CodeSystem::named(system)?.concepts().iter().map(|concept| concept.code))
}

/// Whether FHIR's own code system has the code; of others nobody knows.
fn is_of_its_system(cells: &[(&'static str, String, Span)]) -> bool {
    let cell = |name: &str| {
        cells.iter().find(|(column, ..)| *column == name).map(|(_, text, _)| text.as_str())
    };
    let (Some(code), Some(system)) = (cell("fcode"), cell("fsystem")) else { return true };
    !system.starts_with("http://hl7.org/fhir/")
        || CodeSystem::named(system).is_none_or(|own| own.concept(code).is_some())
}

/// A structure, or a message code and a trigger event: sites may map events that the tables do not.
fn is_message(name: &str) -> bool {
    let is_part = |text: &str| {
        text.len() == 3
            && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
    };
    name.split_once('_')
        .map_or_else(|| is_part(name), |(code, event)| is_part(code) && is_part(event))
}
