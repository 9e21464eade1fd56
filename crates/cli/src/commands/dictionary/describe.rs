//! What the standard says about one subject, as lines that fit 80 columns and as JSON.

use std::fmt::Write as _;
use std::io::{self, Write};

use pipehat_dictionary::{
    Cardinality, DataType, Element, SegmentDefinition, Structure, Subject, Table, TableKind, Usage,
    Version,
};
use serde_json::{Value as Json, json};

use super::tree;
use crate::terminal::{Terminal, Tone, columns};

const WIDTH: usize = 80;

pub(super) fn kind(subject: Subject) -> &'static str {
    match subject {
        Subject::Segment(_) => "segment",
        Subject::Field(..) => "field",
        Subject::Component(..) => "component",
        Subject::DataType(_) => "data type",
        Subject::Structure(_) => "structure",
        Subject::Event(_) => "event",
        Subject::Table(_) => "table",
    }
}

/// Some versions in words: `2.3, 2.3.1, 2.5 to 2.9.1`.
pub(super) fn runs(versions: &[Version]) -> String {
    let mut text = String::new();
    let mut left = versions;
    while let Some(first) = left.first() {
        let follows = |pair: &[Version]| matches!(pair, [a, b] if b.index() == a.index() + 1);
        let length = 1 + left.windows(2).take_while(|pair| follows(pair)).count();
        let (run, rest) = left.split_at(length.min(left.len()));
        if !text.is_empty() {
            text.push_str(", ");
        }
        match run {
            [_, .., last] if run.len() > 2 => {
                let _ = write!(text, "{first} to {last}");
            }
            run => text.push_str(&run.iter().map(|it| it.as_str()).collect::<Vec<_>>().join(", ")),
        }
        left = rest;
    }
    text
}

/// A subject as text without colour, version and capitals, to tell whether two versions say the same.
pub(super) fn plain(subject: Subject) -> String {
    let mut lines = vec![format!("{subject} {}", subject.title())];
    lines.extend(body(subject).into_iter().map(|line| line.text));
    lines.join("\n").to_lowercase()
}

/// The subject, which some versions define alike.
pub(super) fn write(
    alike: &[Subject],
    terminal: &Terminal,
    output: &mut dyn Write,
) -> io::Result<()> {
    let Some(&subject) = alike.first() else { return Ok(()) };
    let versions: Vec<Version> = alike.iter().map(|subject| subject.version()).collect();
    let name = subject.to_string();
    let versions = format!("HL7 v{}", runs(&versions));
    let title = subject.title();
    let used = columns(&name) + 2 + columns(title);
    let padding = WIDTH.saturating_sub(used + columns(&versions)).max(2);
    writeln!(
        output,
        "{}  {title}{:padding$}{}",
        terminal.paint(Tone::Strong, name),
        "",
        terminal.paint(Tone::Faint, versions)
    )?;
    for Line { text, tone } in body(subject) {
        let text = text.trim_end();
        match tone {
            Some(tone) => writeln!(output, "{}", terminal.paint(tone, text))?,
            None => writeln!(output, "{text}")?,
        }
    }
    Ok(())
}

/// One line below the heading.
pub(super) struct Line {
    pub(super) text: String,
    pub(super) tone: Option<Tone>,
}

impl Line {
    pub(super) fn of(text: String) -> Self {
        Self { text, tone: None }
    }

    fn heading(text: String) -> Self {
        Self { text, tone: Some(Tone::Faint) }
    }
}

fn body(subject: Subject) -> Vec<Line> {
    match subject {
        Subject::Segment(segment) => elements("field", segment.fields(), Rows::Fields),
        Subject::DataType(data_type) => data_type_body(data_type),
        Subject::Field(_, element) | Subject::Component(_, element) => element_body(element),
        Subject::Structure(structure) => structure_body(structure),
        Subject::Event(event) => match event.structure() {
            Some(structure) => {
                let mut lines = vec![fact("structure", structure.name())];
                lines.extend(tree::lines(structure));
                lines
            }
            None => vec![fact("structure", event.structure_name())],
        },
        Subject::Table(table) => table_body(table),
    }
}

fn fact(name: &str, value: &str) -> Line {
    Line::of(format!("  {name:12}{value}"))
}

fn element_body(element: Element) -> Vec<Line> {
    let mut lines = Vec::new();
    let data_type = element.data_type();
    let title = data_type.map_or("", DataType::title);
    lines.push(fact("data type", &format!("{}  {title}", element.data_type_name())));
    lines.push(fact("usage", &format!("{}  {}", element.usage().code(), usage(element.usage()))));
    lines.push(fact("occurs", &cardinality(element.cardinality())));
    if let Some(length) = length(element) {
        lines.push(fact("length", &length));
    }
    if let Some(number) = element.table_number() {
        let name = element.table().map_or("", Table::name);
        lines.push(fact("table", &format!("{number}  {name}")));
    }
    if let Some(item) = element.item() {
        lines.push(fact("item", &format!("{item:05}")));
    }
    if let Some(data_type) = data_type.filter(|data_type| !data_type.is_primitive()) {
        lines.push(Line::of(String::new()));
        lines.extend(elements("component", data_type.components(), Rows::Components));
    }
    if let Some(table) = element.table().filter(|table| table.code_count() > 0) {
        lines.push(Line::of(String::new()));
        lines.extend(codes(table));
    }
    lines
}

fn data_type_body(data_type: DataType) -> Vec<Line> {
    if data_type.is_primitive() {
        return vec![fact("components", "none: a primitive data type")];
    }
    elements("component", data_type.components(), Rows::Components)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Rows {
    Fields,
    Components,
}

fn elements(what: &str, elements: impl Iterator<Item = Element>, rows: Rows) -> Vec<Line> {
    const NAME: usize = 42;
    let occurs = if rows == Rows::Fields { "occurs" } else { "" };
    let mut lines = vec![Line::heading(format!(
        "  {:>3}  {what:NAME$}  type  use  {occurs:6}  len  table",
        ""
    ))];
    for element in elements {
        let position = element.position();
        if element.is_unused() {
            lines.push(Line::heading(format!("  {position:>3}  (not used)")));
            continue;
        }
        let (first, rest) = wrapped(element.name(), NAME);
        let occurs = match rows {
            Rows::Fields => cardinality(element.cardinality()),
            Rows::Components => String::new(),
        };
        let length = element.length_max().map(|length| length.to_string()).unwrap_or_default();
        let table = element.table_number().map(|table| table.to_string()).unwrap_or_default();
        lines.push(Line::of(format!(
            "  {position:>3}  {first:NAME$}  {:4}  {:3}  {occurs:6}  {length:>3}  {table}",
            element.data_type_name(),
            element.usage().code(),
        )));
        if !rest.is_empty() {
            lines.push(Line::of(format!("  {:3}  {rest}", "")));
        }
    }
    lines
}

/// A name in two lines, if it does not fit one.
fn wrapped(name: &str, width: usize) -> (&str, &str) {
    if columns(name) <= width {
        return (name, "");
    }
    let mut spaces = name.char_indices().filter(|&(at, character)| character == ' ' && at <= width);
    match spaces.next_back() {
        Some((at, _)) => {
            let (first, rest) = name.split_at(at);
            (first, rest.trim_start())
        }
        None => (name, ""),
    }
}

fn structure_body(structure: Structure) -> Vec<Line> {
    let events: Vec<String> = structure
        .version()
        .events()
        .filter(|event| event.structure() == Some(structure))
        .map(|event| Subject::Event(event).to_string())
        .collect();
    let mut lines = Vec::new();
    let mut row = String::new();
    for event in &events {
        if !row.is_empty() && row.len() + event.len() + 2 > WIDTH - 14 {
            lines.push(fact(if lines.is_empty() { "events" } else { "" }, &row));
            row.clear();
        }
        if !row.is_empty() {
            row.push(' ');
        }
        row.push_str(event);
    }
    if !row.is_empty() {
        lines.push(fact(if lines.is_empty() { "events" } else { "" }, &row));
    }
    lines.extend(tree::lines(structure));
    lines
}

fn table_body(table: Table) -> Vec<Line> {
    let kind = match table.kind() {
        TableKind::Hl7 => "HL7: other codes are wrong",
        TableKind::User => "user-defined: the codes are suggestions",
        TableKind::External => "defined elsewhere",
    };
    let mut lines = vec![fact("kind", kind)];
    let used = users(table);
    for (index, row) in used.chunks(6).enumerate() {
        lines.push(fact(if index == 0 { "used in" } else { "" }, &row.join(" ")));
    }
    if table.code_count() > 0 {
        lines.push(Line::of(String::new()));
        lines.extend(codes(table));
    }
    lines
}

/// Where codes of the table stand.
fn users(table: Table) -> Vec<String> {
    let version = table.version();
    let number = Some(table.number());
    let fields = version.segments().flat_map(|segment: SegmentDefinition| {
        segment
            .fields()
            .filter(move |field| field.table_number() == number)
            .map(move |field| Subject::Field(segment, field).to_string())
    });
    let components = version.data_types().flat_map(|data_type| {
        data_type
            .components()
            .filter(move |component| component.table_number() == number)
            .map(move |component| Subject::Component(data_type, component).to_string())
    });
    fields.chain(components).collect()
}

fn codes(table: Table) -> Vec<Line> {
    let width = table.codes().map(|code| columns(code.code())).max().unwrap_or(0).clamp(4, 24);
    let room = WIDTH.saturating_sub(width + 4);
    let mut lines = vec![Line::heading(format!("  {:width$}  meaning", "code"))];
    for code in table.codes() {
        let deprecated = if code.is_deprecated() { " (deprecated)" } else { "" };
        let text = format!("{}{deprecated}", code.display());
        let mut left = text.as_str();
        let mut label = code.code();
        loop {
            let (first, rest) = wrapped(left, room);
            lines.push(Line::of(format!("  {label:width$}  {first}")));
            if rest.is_empty() {
                break;
            }
            (left, label) = (rest, "");
        }
    }
    lines
}

fn usage(usage: Usage) -> &'static str {
    match usage {
        Usage::Required => "required",
        Usage::RequiredOrEmpty => "required, may be empty",
        Usage::Optional => "optional",
        Usage::Conditional => "conditional",
        Usage::ConditionalOrEmpty => "conditional, may be empty",
        Usage::BackwardCompatible => "kept for older versions",
        Usage::Withdrawn => "withdrawn",
        Usage::NotSupported => "not supported",
    }
}

pub(super) fn cardinality(Cardinality { least, most }: Cardinality) -> String {
    match most {
        Some(most) if most == least => most.to_string(),
        Some(most) => format!("{least}..{most}"),
        None => format!("{least}..*"),
    }
}

fn length(element: Element) -> Option<String> {
    let least = element.length_min();
    let text = match (least, element.length_max()) {
        (Some(least), Some(most)) => Some(format!("{least} to {most}")),
        (None, Some(most)) => Some(format!("{most} at most")),
        (Some(least), None) => Some(format!("{least} at least")),
        (None, None) => None,
    };
    let conformance = element.conformance_length().map(|length| {
        let cut = if length.may_be_truncated { ", may be cut" } else { "" };
        format!("conformance length {}{cut}", length.characters)
    });
    match (text, conformance) {
        (Some(text), Some(conformance)) => Some(format!("{text}; {conformance}")),
        (text, conformance) => text.or(conformance),
    }
}

/// The subject as one JSON object.
pub(super) fn json(alike: &[Subject]) -> Json {
    let Some(&subject) = alike.first() else { return Json::Null };
    let versions: Vec<&str> = alike.iter().map(|subject| subject.version().as_str()).collect();
    let mut object = json!({
        "name": subject.to_string(),
        "kind": kind(subject),
        "title": subject.title(),
        "versions": versions,
    });
    let mut put = |key: &str, value: Json| {
        if let Some(object) = object.as_object_mut() {
            object.insert(key.to_owned(), value);
        }
    };
    match subject {
        Subject::Segment(segment) => {
            put("fields", segment.fields().map(element_json).collect());
        }
        Subject::DataType(data_type) => {
            put("components", data_type.components().map(element_json).collect());
        }
        Subject::Field(_, element) | Subject::Component(_, element) => {
            if let Json::Object(facts) = element_json(element) {
                facts.into_iter().filter(|(key, _)| key != "name").for_each(|(key, value)| {
                    put(&key, value);
                });
            }
            if let Some(data_type) = element.data_type() {
                put("components", data_type.components().map(element_json).collect());
            }
            if let Some(table) = element.table() {
                put("codes", codes_json(table));
            }
        }
        Subject::Structure(structure) => {
            put("content", tree::json(structure));
        }
        Subject::Event(event) => {
            put("structure", json!(event.structure_name()));
            put("content", event.structure().map_or(Json::Null, tree::json));
        }
        Subject::Table(table) => {
            let kind = match table.kind() {
                TableKind::Hl7 => "hl7",
                TableKind::User => "user",
                TableKind::External => "external",
            };
            put("table_kind", json!(kind));
            put("used_in", json!(users(table)));
            put("codes", codes_json(table));
        }
    }
    object
}

fn element_json(element: Element) -> Json {
    let Cardinality { least, most } = element.cardinality();
    json!({
        "position": element.position(),
        "name": element.name(),
        "data_type": element.data_type_name(),
        "usage": element.usage().code(),
        "min": least,
        "max": most,
        "length_max": element.length_max(),
        "table": element.table_number().map(|number| number.to_string()),
        "item": element.item().map(|item| format!("{item:05}")),
    })
}

fn codes_json(table: Table) -> Json {
    let code = |code: pipehat_dictionary::Code| {
        json!({
            "code": code.code(),
            "display": code.display(),
            "deprecated": code.is_deprecated(),
        })
    };
    table.codes().map(code).collect()
}
