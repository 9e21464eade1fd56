//! The tables, read once.
//!
//! A map begins with a line `= PID(Patient)`: the segment or data type it fills and the FHIR type it fills it from. Each
//! row after it has five columns, parted by tabs: the place (`PID-3`, `CX.4`), the FHIRPath of what goes there relative
//! to what the map is bound to, the writer (a primitive one or another map), options, and a comment with the clause.
//!
//! Options are parted by `;`:
//! - `codes=NAME`: how codes are told, of `codes.tsv`;
//! - `when=FHIRPATH`: the row holds only where this is true;
//! - `versions=>=2.4,<2.7`: and only for these versions;
//! - `reads=FHIRPATH`: elements that the row says something about without writing them as they are.
//!
//! Rows of one place: in a segment each adds repetitions, in a data type the first that gives something is taken.

use std::collections::HashMap;
use std::sync::LazyLock;

use pipehat_dictionary::Version;
use pipehat_message::SegmentName;
use pipehat_resource::fhirpath::Expression;

use super::codes::{CodeTable, CodingSystems};
use super::modifiers::Modifiers;
use super::primitive::Primitive;

/// The files of `tables/to_v2` that hold maps.
const MAPS: &[(&str, &str)] = &[
    ("datatypes.tsv", include_str!("../../tables/to_v2/datatypes.tsv")),
    ("segments/patient.tsv", include_str!("../../tables/to_v2/segments/patient.tsv")),
    ("segments/visit.tsv", include_str!("../../tables/to_v2/segments/visit.tsv")),
    ("segments/clinical.tsv", include_str!("../../tables/to_v2/segments/clinical.tsv")),
    ("segments/order.tsv", include_str!("../../tables/to_v2/segments/order.tsv")),
    ("segments/result.tsv", include_str!("../../tables/to_v2/segments/result.tsv")),
    ("segments/schedule.tsv", include_str!("../../tables/to_v2/segments/schedule.tsv")),
    ("segments/vaccination.tsv", include_str!("../../tables/to_v2/segments/vaccination.tsv")),
    ("segments/document.tsv", include_str!("../../tables/to_v2/segments/document.tsv")),
    ("segments/finance.tsv", include_str!("../../tables/to_v2/segments/finance.tsv")),
];
const EVENTS: &str = include_str!("../../tables/to_v2/events.tsv");
const MESSAGES: &str = include_str!("../../tables/to_v2/messages.tsv");
const CODES: &str = include_str!("../../tables/to_v2/codes.tsv");
const SYSTEMS: &str = include_str!("../../tables/to_v2/coding-systems.tsv");
const MODIFIERS: &str = include_str!("../../tables/to_v2/modifiers.tsv");

/// Everything the tables say.
#[derive(Debug)]
pub(super) struct Tables {
    pub(super) maps: Vec<Map>,
    pub(super) events: Vec<Event>,
    pub(super) layouts: HashMap<Box<str>, Layout>,
    pub(super) codes: Vec<CodeTable>,
    pub(super) systems: CodingSystems,
    pub(super) modifiers: Modifiers,
}

/// What one segment or data type is filled with.
#[derive(Debug)]
pub(super) struct Map {
    /// `PID(Patient)`
    pub(super) name: Box<str>,
    /// `PID`
    pub(super) target: Box<str>,
    pub(super) rows: Vec<Row>,
}

/// What one place is filled with.
#[derive(Debug)]
pub(super) struct Row {
    /// The field or component, from 1.
    pub(super) place: u16,
    pub(super) source: Expression,
    pub(super) writer: Writer,
    pub(super) codes: Option<usize>,
    pub(super) when: Option<Expression>,
    pub(super) versions: Versions,
    pub(super) reads: Option<Expression>,
    /// What a finding says where it was written.
    pub(super) told: Option<Box<str>>,
    /// Only where the rows above left the field empty.
    pub(super) is_else: bool,
}

/// Who writes a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Writer {
    Primitive(Primitive),
    Map(usize),
}

/// From a version, and up to one that is not in it any more.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Versions {
    from: Option<Version>,
    before: Option<Version>,
}

/// An event, and which resources it is about.
#[derive(Debug)]
pub(super) struct Event {
    /// `ADT^A01`
    pub(super) name: Box<str>,
    pub(super) layout: Box<str>,
    /// The types of its roots, the first that is there.
    pub(super) roots: Vec<Box<str>>,
    /// What must be true of each.
    pub(super) when: Option<Expression>,
    /// What the event says of them.
    pub(super) says: Box<str>,
}

/// The segments of a message.
#[derive(Debug, Default)]
pub(super) struct Layout {
    pub(super) variables: Vec<(Box<str>, Source)>,
    pub(super) blocks: Vec<Block>,
}

/// A segment with what belongs to it, or a segment group.
#[derive(Debug)]
pub(super) struct Block {
    /// `None` for a group.
    pub(super) segment: Option<SegmentName>,
    pub(super) sources: Vec<Source>,
    pub(super) map: Option<usize>,
    pub(super) when: Option<Expression>,
    pub(super) versions: Versions,
    pub(super) inner: Vec<Block>,
    /// A group that begins no numbers of its own.
    pub(super) is_numbered_with_outer: bool,
    /// Not for what a segment of the name says already.
    pub(super) is_once: bool,
    /// What a finding says of what `when` leaves out.
    pub(super) otherwise: Option<Box<str>>,
}

/// What a segment is made from: one for each item.
#[derive(Debug)]
pub(super) enum Source {
    /// The items of an expression.
    Forward(Expression),
    /// `%patient <- RelatedPerson.patient`: the resources whose element refers to those of the expression.
    Reverse { target: Expression, name: Box<str>, element: Vec<Box<str>> },
}

impl Versions {
    pub(super) fn has(self, version: Version) -> bool {
        self.from.is_none_or(|from| from <= version) && self.before.is_none_or(|it| version < it)
    }
}

impl Tables {
    pub(super) fn standard() -> &'static Self {
        static TABLES: LazyLock<Tables> = LazyLock::new(|| {
            Tables::read()
                .unwrap_or_else(|problem| panic!("tables/to_v2 is read by a test: {problem}"))
        });
        &TABLES
    }

    /// Reads all files.
    ///
    /// # Errors
    /// What can't be read, and where.
    pub(super) fn read() -> Result<Self, String> {
        let codes = CodeTable::read_all(CODES)?;
        let systems = CodingSystems::read(SYSTEMS)?;
        let names = map_names()?;
        let mut maps = Vec::new();
        for (file, text) in MAPS {
            read_maps(file, text, &names, &codes, &mut maps)?;
        }
        let layouts = read_layouts(&names)?;
        let events = read_events(&layouts)?;
        let modifiers = Modifiers::read(MODIFIERS)?;
        Ok(Self { maps, events, layouts, codes, systems, modifiers })
    }

    /// The words of all columns but the comments: what the tables are about.
    #[cfg(test)]
    pub(super) fn words() -> impl Iterator<Item = &'static str> {
        let texts = MAPS.iter().map(|(_, text)| *text).chain([MESSAGES, EVENTS]);
        let columns = texts.flat_map(lines).map(|(_, line)| {
            let comment = if line.starts_with("= ") { None } else { line.rsplit_once('\t') };
            comment.map_or(line, |(columns, _)| columns)
        });
        columns.flat_map(|line| line.split(|it: char| !it.is_ascii_alphanumeric()))
    }

    pub(super) fn event(&self, name: &str) -> Option<&Event> {
        self.events.iter().find(|event| *event.name == *name)
    }

    pub(super) fn map(&self, index: usize) -> Option<&Map> {
        self.maps.get(index)
    }
}

/// Lines that say something, with their numbers.
pub(super) fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let numbered = text.lines().enumerate().map(|(index, line)| (index + 1, line));
    numbered.filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'))
}

fn map_names() -> Result<HashMap<Box<str>, usize>, String> {
    let mut names = HashMap::new();
    let headings = MAPS.iter().flat_map(|(_, text)| lines(text));
    for (_, line) in headings {
        let Some(name) = line.strip_prefix("= ") else { continue };
        let index = names.len();
        if names.insert(name.trim().into(), index).is_some() {
            return Err(format!("{name} is there twice"));
        }
    }
    Ok(names)
}

fn read_maps(
    file: &str,
    text: &str,
    names: &HashMap<Box<str>, usize>,
    codes: &[CodeTable],
    maps: &mut Vec<Map>,
) -> Result<(), String> {
    let mut open = false;
    for (number, line) in lines(text) {
        if let Some(name) = line.strip_prefix("= ") {
            let name = name.trim();
            let target = name.split_once('(').map_or(name, |(target, _)| target);
            maps.push(Map { name: name.into(), target: target.into(), rows: Vec::new() });
            open = true;
            continue;
        }
        let map =
            maps.last_mut().filter(|_| open).ok_or(format!("{file}:{number}: no map before"))?;
        let row = read_row(line, &map.target, names, codes);
        map.rows.push(row.map_err(|problem| format!("{file}:{number}: {problem}"))?);
    }
    Ok(())
}

fn read_row(
    line: &str,
    target: &str,
    names: &HashMap<Box<str>, usize>,
    codes: &[CodeTable],
) -> Result<Row, String> {
    let mut columns = line.split('\t').map(str::trim);
    let mut column = || columns.next().unwrap_or_default();
    let (place, source, writer, options, comment) =
        (column(), column(), column(), column(), column());
    if comment.is_empty() {
        return Err("the comment with the clause is missing".to_owned());
    }
    let place = place.strip_prefix(target).and_then(|rest| rest.get(1..));
    let place = place.and_then(|place| place.parse().ok()).ok_or("the place is not of the map")?;
    let writer = match names.get(writer) {
        Some(&map) => Writer::Map(map),
        None => Writer::Primitive(
            Primitive::named(writer).ok_or_else(|| format!("there is no writer {writer}"))?,
        ),
    };
    let mut row = Row {
        place,
        source: expression(source)?,
        writer,
        codes: None,
        when: None,
        versions: Versions::default(),
        reads: None,
        told: None,
        is_else: false,
    };
    for (name, value) in read_options(options)? {
        match name {
            "codes" => {
                let known = codes.iter().position(|table| *table.name == *value);
                row.codes = Some(known.ok_or_else(|| format!("there are no codes {value}"))?);
            }
            "when" => row.when = Some(expression(value)?),
            "versions" => row.versions = versions(value)?,
            "reads" => row.reads = Some(expression(value)?),
            "told" => row.told = Some(value.into()),
            "else" => row.is_else = value == "yes",
            _ => return Err(format!("there is no option {name}")),
        }
    }
    Ok(row)
}

fn read_options(text: &str) -> Result<Vec<(&str, &str)>, String> {
    let options = text.split(';').map(str::trim).filter(|option| !option.is_empty());
    let pair = |option: &'_ str| format!("{option} is no option");
    options.map(|option| option.split_once('=').ok_or_else(|| pair(option))).collect()
}

fn expression(text: &str) -> Result<Expression, String> {
    Expression::parse(text).map_err(|problem| format!("`{text}`: {problem}"))
}

fn versions(text: &str) -> Result<Versions, String> {
    let mut versions = Versions::default();
    for bound in text.split(',') {
        let bound = bound.trim();
        let known = |name: &str| {
            Version::named(name.as_bytes()).ok_or_else(|| format!("there is no version {name}"))
        };
        if let Some(name) = bound.strip_prefix(">=") {
            versions.from = Some(known(name)?);
        } else if let Some(name) = bound.strip_prefix('<') {
            versions.before = Some(known(name)?);
        } else {
            return Err(format!("{bound} is neither >= nor <"));
        }
    }
    Ok(versions)
}

fn read_events(layouts: &HashMap<Box<str>, Layout>) -> Result<Vec<Event>, String> {
    let mut events = Vec::new();
    for (number, line) in lines(EVENTS) {
        let mut columns = line.split('\t').map(str::trim);
        let mut column = || columns.next().unwrap_or_default();
        let (name, layout, roots, when, says) = (column(), column(), column(), column(), column());
        if !layouts.contains_key(layout) {
            return Err(format!("events.tsv:{number}: there is no layout {layout}"));
        }
        let roots = roots.split(',').map(|name| name.trim().into()).collect();
        let when = (!when.is_empty()).then(|| expression(when)).transpose();
        let when = when.map_err(|problem| format!("events.tsv:{number}: {problem}"))?;
        if when.is_some() && says.is_empty() {
            return Err(format!("events.tsv:{number}: what it says is missing"));
        }
        events.push(Event {
            name: name.into(),
            layout: layout.into(),
            roots,
            when,
            says: says.into(),
        });
    }
    Ok(events)
}

/// Columns: depth (0 a variable, then as deep as the segment is nested), segment or `*` for a group or `%name`, sources
/// parted by `|>`, map, options, comment. A layout begins with `= NAME`.
fn read_layouts(names: &HashMap<Box<str>, usize>) -> Result<HashMap<Box<str>, Layout>, String> {
    let mut layouts: HashMap<Box<str>, Layout> = HashMap::new();
    let mut current: Option<Box<str>> = None;
    for (number, line) in lines(MESSAGES) {
        if let Some(name) = line.strip_prefix("= ") {
            current = Some(name.trim().into());
            layouts.insert(name.trim().into(), Layout::default());
            continue;
        }
        let layout = current.as_ref().and_then(|name| layouts.get_mut(name));
        let layout = layout.ok_or(format!("messages.tsv:{number}: no layout before"))?;
        read_layout_row(line, names, layout)
            .map_err(|problem| format!("messages.tsv:{number}: {problem}"))?;
    }
    Ok(layouts)
}

fn read_layout_row(
    line: &str,
    names: &HashMap<Box<str>, usize>,
    layout: &mut Layout,
) -> Result<(), String> {
    let mut columns = line.split('\t').map(str::trim);
    let mut column = || columns.next().unwrap_or_default();
    let (depth, segment, source, map, options) = (column(), column(), column(), column(), column());
    let depth: usize = depth.parse().map_err(|_| "the depth is no number".to_owned())?;
    if let Some(name) = segment.strip_prefix('%') {
        layout.variables.push((name.into(), read_source(source)?));
        return Ok(());
    }
    let name = SegmentName::new(<[u8; 3]>::try_from(segment.as_bytes()).unwrap_or_default());
    let map = match (segment, names.get(map)) {
        ("*" | "+", _) => None,
        (_, Some(&map)) if name.is_some() => Some(map),
        _ => return Err(format!("there is no map {map} for {segment}")),
    };
    let sources = source.split("|>").map(|text| read_source(text.trim()));
    let mut block = Block {
        segment: name.filter(|_| map.is_some()),
        sources: sources.collect::<Result<_, _>>()?,
        map,
        when: None,
        versions: Versions::default(),
        inner: Vec::new(),
        is_numbered_with_outer: segment == "+",
        is_once: false,
        otherwise: None,
    };
    for (name, value) in read_options(options)? {
        match name {
            "when" => block.when = Some(expression(value)?),
            "versions" => block.versions = versions(value)?,
            "otherwise" => block.otherwise = Some(value.into()),
            "once" => block.is_once = value == "yes",
            _ => return Err(format!("there is no option {name}")),
        }
    }
    let mut level = &mut layout.blocks;
    for _ in 1..depth {
        level = &mut level.last_mut().ok_or("nothing stands above")?.inner;
    }
    level.push(block);
    Ok(())
}

fn read_source(text: &str) -> Result<Source, String> {
    let Some((target, path)) = text.split_once("<-") else {
        return Ok(Source::Forward(expression(text)?));
    };
    let mut steps = path.trim().split('.').map(Into::into);
    let name = steps.next().unwrap_or_default();
    Ok(Source::Reverse { target: expression(target.trim())?, name, element: steps.collect() })
}
