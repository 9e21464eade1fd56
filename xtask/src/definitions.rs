//! Makes the dictionary's file of definitions from its tables.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use pipehat_dictionary::Version;
use pipehat_dictionary::layout::{
    DEPRECATED, HEADER_BYTES, MAGIC, NO_DATA_TYPE, NO_LENGTH, NO_TEXT, NODE_ANY_SEGMENT,
    NODE_CHOICE, NODE_GROUP, NODE_SEGMENT, Section, TABLE_EXTERNAL, TABLE_HL7, TABLE_USER,
    TRUNCATABLE, UNBOUNDED, USAGES,
};

use crate::page::root;

/// Where the file goes.
pub(crate) const FILE: &str = "crates/dictionary/src/definitions.bin";

/// The bytes of the file, as the tables say today.
pub(crate) fn bytes() -> Result<Vec<u8>> {
    let folder = root().join("crates/dictionary/definitions");
    let mut versions = Version::ALL
        .into_iter()
        .map(|version| Definitions::read(&folder.join(version.as_str()), version))
        .collect::<Result<Vec<_>>>()?;
    adopt(&mut versions);
    let mut writer = Writer::new(&versions);
    for definitions in &versions {
        writer.version(definitions)?;
    }
    Ok(writer.finish())
}

/// Gives each version what it names and no longer defines, or not yet, as the nearest other version has it: the last
/// before it, else the first after it. So a withdrawn field still has its data type, a structure all its segments.
fn adopt(versions: &mut [Definitions]) {
    for at in 0..versions.len() {
        let nearest: Vec<usize> = (0..at).rev().chain(at + 1..versions.len()).collect();
        let withdrawn = versions[at].events_without_structure();
        for event in withdrawn {
            let found = nearest.iter().find_map(|&other| {
                versions[other].events.get(&event).filter(|(structure, _)| !structure.is_empty())
            });
            match found.cloned() {
                Some(found) => versions[at].events.insert(event, found),
                None => versions[at].events.remove(&event),
            };
        }
        loop {
            let wanted = versions[at].undefined();
            let mut adopted = false;
            for name in wanted {
                let Some(found) = nearest.iter().find_map(|&other| versions[other].find(&name))
                else {
                    continue;
                };
                versions[at].add(name, found);
                adopted = true;
            }
            if !adopted {
                break;
            }
        }
    }
}

/// What a version may name without defining it.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Name {
    Segment(String),
    DataType(String),
    Structure(String),
}

enum Definition {
    Segment((String, Vec<Element>)),
    DataType(DataType),
    Structure(Vec<Node>),
}

/// Writes the file.
pub(crate) fn write() -> Result<()> {
    fs::write(root().join(FILE), bytes()?).with_context(|| format!("writing {FILE}"))
}

/// Whether the stored file is what the tables say today.
pub(crate) fn is_current() -> Result<bool> {
    let stored = fs::read(root().join(FILE)).with_context(|| format!("reading {FILE}"))?;
    Ok(stored == bytes()?)
}

/// A field or a component.
#[derive(Debug, Clone, Default)]
struct Element {
    name: String,
    data_type: String,
    usage: String,
    least: u16,
    most: u16,
    length_min: u16,
    length_max: Option<u32>,
    conformance: Option<(u32, bool)>,
    table: u16,
    item: u16,
}

#[derive(Clone)]
struct DataType {
    title: String,
    components: Vec<Element>,
}

struct Table {
    name: String,
    kind: u8,
    codes: BTreeMap<String, (String, bool)>,
}

#[derive(Debug, Clone)]
struct Node {
    depth: usize,
    kind: u8,
    name: String,
    least: u16,
    most: u16,
    deprecated: bool,
}

/// One version.
struct Definitions {
    version: Version,
    segments: BTreeMap<String, (String, Vec<Element>)>,
    data_types: BTreeMap<String, DataType>,
    tables: BTreeMap<u16, Table>,
    structures: BTreeMap<String, Vec<Node>>,
    events: BTreeMap<(String, String), (String, Option<String>)>,
}

/// The rows of a table: column by name.
struct Tsv {
    columns: HashMap<String, usize>,
    rows: Vec<Vec<String>>,
}

struct TsvRow<'a> {
    columns: &'a HashMap<String, usize>,
    cells: &'a [String],
}

impl Tsv {
    fn read(path: &Path) -> Result<Self> {
        let text =
            fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        let text = repaired(&text);
        let mut lines =
            text.lines().map(|line| line.split('\t').map(str::to_owned).collect::<Vec<_>>());
        let header = lines.next().context("no header")?;
        let columns = header.into_iter().enumerate().map(|(at, name)| (name, at)).collect();
        Ok(Self { columns, rows: lines.collect() })
    }

    fn rows(&self) -> impl Iterator<Item = TsvRow<'_>> {
        self.rows.iter().map(|cells| TsvRow { columns: &self.columns, cells })
    }
}

/// Undoes what happened to the tables on their way: UTF-8 that was read as Windows-1252, as in `LOINCÂ®`, and
/// gaps that later versions fill.
fn repaired(text: &str) -> String {
    let mut repaired = String::with_capacity(text.len());
    for (at, character) in text.char_indices() {
        let next = text[at + character.len_utf8()..].chars().next();
        // No text of the standard has this letter: it is the first byte of a sign, or of a blank that is gone.
        let is_left_over =
            character == 'Â' && next.is_none_or(|next| !next.is_alphanumeric() || next > '\u{7f}');
        if !is_left_over {
            repaired.push(character);
        }
    }
    repaired
        .replace("Release 2.3 ?? 1996", "Release 2.3")
        .replace("??? Page 2-68", "Event replay query")
}

/// 2.3 misprints the message code of one event: table 0076 and every other version have ADR.
fn corrected(name: &str) -> &str {
    if name == "ARD_A19" { "ADR_A19" } else { name }
}

impl TsvRow<'_> {
    fn get(&self, column: &str) -> &str {
        self.columns.get(column).and_then(|&at| self.cells.get(at)).map_or("", |cell| cell.trim())
    }

    fn number(&self, column: &str) -> Result<u16> {
        match self.get(column) {
            "" => Ok(0),
            text => text.parse().with_context(|| format!("{column} {text:?}: {:?}", self.cells)),
        }
    }

    fn most(&self) -> Result<u16> {
        if self.get("max") == "*" { Ok(UNBOUNDED) } else { self.number("max") }
    }
}

/// A usage as the sources write it, made one of ours.
fn usage(text: &str) -> &str {
    match text {
        "C(R/X)" => "C",
        "C(RE/X)" => "CE",
        "-" | "" => "O",
        known => known,
    }
}

/// `5`, `1..20`, `2..None`: least and most.
fn lengths(text: &str) -> Result<(u16, Option<u32>)> {
    if text.is_empty() {
        return Ok((0, None));
    }
    let (least, most) = text.split_once("..").unwrap_or(("0", text));
    let most = match most {
        "None" | "*" => None,
        number => Some(number.parse().with_context(|| format!("length {text:?}"))?),
    };
    Ok((least.parse().with_context(|| format!("length {text:?}"))?, most.filter(|&most| most > 0)))
}

/// `20`, `20#`, `20=`: how long, and whether it may be cut.
fn conformance(text: &str) -> Result<Option<(u32, bool)>> {
    if text.is_empty() {
        return Ok(None);
    }
    let digits = text.trim_end_matches(['#', '=']);
    let number = digits.parse().with_context(|| format!("conformance length {text:?}"))?;
    Ok(Some((number, text.ends_with('#'))))
}

/// The number that some versions give a field without a table.
const NO_TABLE: u16 = 9999;

/// A field's table: `0001`, in older versions `70001`; `79999` and `0` are none.
fn table(text: &str) -> Result<u16> {
    let digits = if text.len() == 5 { text.strip_prefix('7').unwrap_or(text) } else { text };
    let number = match digits {
        "" => 0,
        digits => digits.parse().with_context(|| format!("table {text:?}"))?,
    };
    Ok(if number == NO_TABLE { 0 } else { number })
}

impl Definitions {
    fn read(folder: &Path, version: Version) -> Result<Self> {
        let mut definitions = Self {
            version,
            segments: BTreeMap::new(),
            data_types: BTreeMap::new(),
            tables: BTreeMap::new(),
            structures: BTreeMap::new(),
            events: BTreeMap::new(),
        };
        definitions.read_segments(folder)?;
        definitions.read_data_types(folder)?;
        definitions.read_tables(folder)?;
        definitions.read_structures(folder)?;
        definitions.read_events(folder)?;
        Ok(definitions)
    }

    /// What this version names and does not define.
    fn undefined(&self) -> BTreeSet<Name> {
        let data_types = self
            .data_type_names()
            .filter(|name| !name.is_empty() && !self.data_types.contains_key(*name))
            .map(|name| Name::DataType(name.clone()));
        let segments = self
            .structures
            .values()
            .flatten()
            .filter(|node| node.kind == NODE_SEGMENT && !self.segments.contains_key(&node.name))
            .map(|node| Name::Segment(node.name.clone()));
        let structures = self
            .events
            .values()
            .filter(|(structure, _)| !self.structures.contains_key(structure))
            .map(|(structure, _)| Name::Structure(structure.clone()));
        data_types.chain(segments).chain(structures).collect()
    }

    fn events_without_structure(&self) -> Vec<(String, String)> {
        let without = self.events.iter().filter(|(_, (structure, _))| structure.is_empty());
        without.map(|(event, _)| event.clone()).collect()
    }

    fn find(&self, name: &Name) -> Option<Definition> {
        match name {
            Name::Segment(name) => self.segments.get(name).cloned().map(Definition::Segment),
            Name::DataType(name) => self.data_types.get(name).cloned().map(Definition::DataType),
            Name::Structure(name) => self.structures.get(name).cloned().map(Definition::Structure),
        }
    }

    fn add(&mut self, name: Name, definition: Definition) {
        match (name, definition) {
            (Name::Segment(name), Definition::Segment(segment)) => {
                self.segments.insert(name, segment);
            }
            (Name::DataType(name), Definition::DataType(data_type)) => {
                self.data_types.insert(name, data_type);
            }
            (Name::Structure(name), Definition::Structure(nodes)) => {
                self.structures.insert(name, nodes);
            }
            _ => unreachable!("a name finds its own kind"),
        }
    }

    /// Data types that are defined, and those that are only named, as `CM` was.
    fn data_type_names(&self) -> impl Iterator<Item = &String> {
        let fields = self.segments.values().flat_map(|(_, fields)| fields);
        let components = self.data_types.values().flat_map(|data_type| &data_type.components);
        self.data_types.keys().chain(fields.chain(components).map(|element| &element.data_type))
    }

    fn read_segments(&mut self, folder: &Path) -> Result<()> {
        for row in Tsv::read(&folder.join("segments.tsv"))?.rows() {
            self.segments
                .insert(row.get("segment").to_owned(), (row.get("name").to_owned(), Vec::new()));
        }
        for row in Tsv::read(&folder.join("fields.tsv"))?.rows() {
            let (_, fields) = self
                .segments
                .get_mut(row.get("segment"))
                .with_context(|| format!("{:?}: no such segment", row.cells))?;
            let position = usize::from(row.number("seq")?);
            let index = position.checked_sub(1).context("a field at position 0")?;
            if fields.len() <= index {
                fields.resize(index + 1, Element { most: 0, ..Element::default() });
            }
            let (length_min, length_max) = lengths(row.get("length"))?;
            let (least, mut most) = (row.number("min")?, row.most()?);
            if usage(row.get("usage")) == "W" {
                most = 0;
            } else if most < least.max(1) {
                most = least.max(1);
            }
            fields[index] = Element {
                name: row.get("name").to_owned(),
                data_type: data_type(row.get("datatype")).to_owned(),
                usage: usage(row.get("usage")).to_owned(),
                least,
                most,
                length_min,
                length_max,
                conformance: conformance(row.get("conf_length"))?,
                table: table(row.get("table"))?,
                item: row.number("item")?,
            };
        }
        self.segments.retain(|_, (_, fields)| !fields.is_empty());
        Ok(())
    }

    fn read_data_types(&mut self, folder: &Path) -> Result<()> {
        for row in Tsv::read(&folder.join("datatypes.tsv"))?.rows() {
            let name = data_type(row.get("datatype"));
            let entry = self
                .data_types
                .entry(name.to_owned())
                .or_insert_with(|| DataType { title: String::new(), components: Vec::new() });
            if entry.title.is_empty() {
                entry.title = row.get("title").to_owned();
            }
            let position = usize::from(row.number("seq")?);
            let Some(index) = position.checked_sub(1) else { continue };
            if entry.components.len() <= index {
                entry.components.resize(index + 1, Element::default());
            }
            let (length_min, length_max) = lengths(row.get("length"))?;
            let usage = usage(row.get("usage"));
            entry.components[index] = Element {
                name: row.get("component").to_owned(),
                data_type: data_type(row.get("type")).to_owned(),
                usage: usage.to_owned(),
                least: u16::from(usage == "R"),
                most: u16::from(usage != "W"),
                length_min,
                length_max,
                conformance: conformance(row.get("conf_length"))?,
                table: table(row.get("table"))?,
                item: 0,
            };
        }
        Ok(())
    }

    fn read_tables(&mut self, folder: &Path) -> Result<()> {
        for row in Tsv::read(&folder.join("tables.tsv"))?.rows() {
            let number = row.number("table")?;
            // As a field's table: it says that there is none.
            if number == NO_TABLE {
                continue;
            }
            let kind = match row.get("type") {
                "hl7" | "HL7" | "HL7-EXT" => TABLE_HL7,
                "Externally defined" | "Imported" => TABLE_EXTERNAL,
                _ => TABLE_USER,
            };
            let table = self.tables.entry(number).or_insert_with(|| Table {
                name: row.get("name").to_owned(),
                kind,
                codes: BTreeMap::new(),
            });
            let code = row.get("code");
            // Dots stand for the codes that a site may add.
            if !code.is_empty() && code != "..." {
                let deprecated = row.get("status").starts_with(['d', 'D', 'r', 'R']);
                table
                    .codes
                    .entry(code.to_owned())
                    .or_insert_with(|| (row.get("display").to_owned(), deprecated));
            }
        }
        Ok(())
    }

    fn read_structures(&mut self, folder: &Path) -> Result<()> {
        for row in Tsv::read(&folder.join("structures.tsv"))?.rows() {
            let name = row.get("name").trim_start_matches(|c: char| c.is_ascii_digit() || c == '-');
            let kind = match row.get("kind") {
                "segment" if name == "ANYHL7SEGMENT" => NODE_ANY_SEGMENT,
                "segment" => NODE_SEGMENT,
                "group" => NODE_GROUP,
                "choice" => NODE_CHOICE,
                other => bail!("kind {other:?}"),
            };
            self.structures.entry(corrected(row.get("structure")).to_owned()).or_default().push(
                Node {
                    depth: row.get("path").split('.').count(),
                    kind,
                    name: name.to_owned(),
                    least: row.number("min")?,
                    most: row.most()?,
                    deprecated: matches!(row.get("status"), "B" | "D" | "d"),
                },
            );
        }
        Ok(())
    }

    fn read_events(&mut self, folder: &Path) -> Result<()> {
        for row in Tsv::read(&folder.join("events.tsv"))?.rows() {
            // One message of 2.9.1 lost its first letter.
            let event = corrected(row.get("message_event"))
                .replace("XQ_V01", "VXQ_V01")
                .replace("VVXQ", "VXQ");
            let (code, trigger) = event.split_once('_').unwrap_or((&event, ""));
            let named = |column: &str| {
                let name = row.get(column).replacen('-', "_", 1);
                self.structure_name(corrected(&name))
            };
            let acknowledgment = ["enhanced_application_ack", "original_ack"]
                .into_iter()
                .map(|column| row.get(column))
                .find(|name| !name.is_empty())
                .map(|name| name.replacen('-', "_", 1));
            let structure = named("structure");
            self.events
                .entry((code.to_owned(), trigger.to_owned()))
                .or_insert((structure, acknowledgment));
        }
        Ok(())
    }

    /// The structure as it is spelled: `ACK_Scheduling` of an event is `ACK-Scheduling`.
    fn structure_name(&self, name: &str) -> String {
        if self.structures.contains_key(name) {
            return name.to_owned();
        }
        let hyphened = name.replacen('_', "-", 1);
        if self.structures.contains_key(&hyphened) {
            return hyphened;
        }
        // A variant that is named but not printed: the structure itself.
        match name.rsplit_once('-') {
            Some((base, _)) => base.to_owned(),
            None => name.to_owned(),
        }
    }
}

/// The name of a data type: 2.9.1 and some fields write `VR` or `*` for one whose type another field tells.
fn data_type(name: &str) -> &str {
    match name {
        "*" | "VARIES" | "varies" => "Varies",
        "str" => "ST",
        name => name,
    }
}

/// The sections, as they grow.
struct Writer {
    sections: Vec<Vec<u8>>,
    texts: HashMap<String, u32>,
    runs: HashMap<(usize, Vec<u8>), u32>,
    data_type_names: BTreeMap<String, u16>,
}

impl Writer {
    fn new(versions: &[Definitions]) -> Self {
        let names: BTreeSet<&String> = versions
            .iter()
            .flat_map(|definitions| definitions.data_type_names())
            .filter(|name| !name.is_empty())
            .collect();
        let mut writer = Self {
            sections: vec![Vec::new(); Section::ALL.len()],
            texts: HashMap::new(),
            runs: HashMap::new(),
            data_type_names: BTreeMap::new(),
        };
        for (number, name) in (0u16..).zip(names) {
            let text = writer.text(name);
            writer.sections[Section::DataTypeNames as usize].extend(text.to_le_bytes());
            writer.data_type_names.insert(name.clone(), number);
        }
        writer
    }

    fn text(&mut self, text: &str) -> u32 {
        if let Some(&at) = self.texts.get(text) {
            return at;
        }
        let section = &mut self.sections[Section::Texts as usize];
        let at = u32::try_from(section.len()).expect("a few megabytes");
        section.extend(u16::try_from(text.len()).expect("short texts").to_le_bytes());
        section.extend(text.as_bytes());
        self.texts.insert(text.to_owned(), at);
        at
    }

    /// Adds rows, or finds the same ones; says which is the first.
    fn run(&mut self, section: Section, rows: Vec<u8>) -> u32 {
        debug_assert_eq!(rows.len() % section.row_bytes(), 0);
        let index = section as usize;
        if let Some(&first) = self.runs.get(&(index, rows.clone())) {
            return first;
        }
        let first =
            u32::try_from(self.sections[index].len() / section.row_bytes()).expect("few rows");
        self.sections[index].extend(&rows);
        self.runs.insert((index, rows), first);
        first
    }

    fn count(&self, section: Section) -> u32 {
        u32::try_from(self.sections[section as usize].len() / section.row_bytes())
            .expect("few rows")
    }

    fn version(&mut self, definitions: &Definitions) -> Result<()> {
        let mut row = self.text(definitions.version.as_str()).to_le_bytes().to_vec();
        let parts: [(Section, Vec<u8>); 5] = [
            (Section::Segments, self.segments(definitions)),
            (Section::DataTypes, self.data_types(definitions)),
            (Section::Tables, self.tables(definitions)),
            (Section::Structures, self.structures(definitions)),
            (Section::Events, self.events(definitions)),
        ];
        for (section, rows) in parts {
            let count = u32::try_from(rows.len() / section.row_bytes())?;
            let first = self.run(section, rows);
            row.extend(first.to_le_bytes());
            row.extend(count.to_le_bytes());
        }
        self.sections[Section::Versions as usize].extend(row);
        Ok(())
    }

    fn elements(&mut self, elements: &[Element]) -> (u32, u16) {
        let mut rows = Vec::new();
        for element in elements {
            let number =
                self.data_type_names.get(&element.data_type).copied().unwrap_or(NO_DATA_TYPE);
            let usage = USAGES.iter().position(|usage| *usage == element.usage).unwrap_or(0);
            rows.extend(self.text(&element.name).to_le_bytes());
            rows.extend(element.length_max.unwrap_or(NO_LENGTH).to_le_bytes());
            rows.extend(element.conformance.map_or(NO_LENGTH, |(length, _)| length).to_le_bytes());
            rows.extend(number.to_le_bytes());
            rows.extend(element.table.to_le_bytes());
            rows.extend(element.item.to_le_bytes());
            rows.extend(element.least.to_le_bytes());
            rows.extend(element.most.to_le_bytes());
            rows.extend(element.length_min.to_le_bytes());
            rows.push(u8::try_from(usage).expect("eight usages"));
            rows.push(if element.conformance.is_some_and(|(_, cut)| cut) {
                TRUNCATABLE
            } else {
                0
            });
        }
        let count = u16::try_from(elements.len()).expect("few elements");
        (self.run(Section::Elements, rows), count)
    }

    fn segments(&mut self, definitions: &Definitions) -> Vec<u8> {
        let mut rows = Vec::new();
        for (name, (title, fields)) in &definitions.segments {
            let (first, count) = self.elements(fields);
            let mut bytes = [0; 4];
            bytes[..3].copy_from_slice(&name.as_bytes()[..3]);
            rows.extend(bytes);
            rows.extend(self.text(title).to_le_bytes());
            rows.extend(first.to_le_bytes());
            rows.extend(count.to_le_bytes());
            rows.extend([0; 2]);
        }
        rows
    }

    fn data_types(&mut self, definitions: &Definitions) -> Vec<u8> {
        let mut rows = Vec::new();
        for (name, data_type) in &definitions.data_types {
            let (first, count) = self.elements(&data_type.components);
            rows.extend(self.data_type_names[name].to_le_bytes());
            rows.extend(count.to_le_bytes());
            rows.extend(self.text(&data_type.title).to_le_bytes());
            rows.extend(first.to_le_bytes());
        }
        rows
    }

    fn tables(&mut self, definitions: &Definitions) -> Vec<u8> {
        let mut rows = Vec::new();
        for (number, table) in &definitions.tables {
            let mut codes = Vec::new();
            for (code, (display, deprecated)) in &table.codes {
                codes.extend(self.text(code).to_le_bytes());
                codes.extend(self.text(display).to_le_bytes());
                codes.extend([if *deprecated { DEPRECATED } else { 0 }, 0, 0, 0]);
            }
            let first = self.run(Section::Codes, codes);
            rows.extend(number.to_le_bytes());
            rows.extend([table.kind, 0]);
            rows.extend(self.text(&table.name).to_le_bytes());
            rows.extend(first.to_le_bytes());
            rows.extend(u32::try_from(table.codes.len()).expect("few codes").to_le_bytes());
        }
        rows
    }

    fn structures(&mut self, definitions: &Definitions) -> Vec<u8> {
        let mut rows = Vec::new();
        for (name, nodes) in &definitions.structures {
            let mut bytes = Vec::new();
            for (at, node) in nodes.iter().enumerate() {
                let below =
                    nodes[at + 1..].iter().take_while(|next| next.depth > node.depth).count();
                if node.kind == NODE_SEGMENT {
                    bytes.extend(node.name.as_bytes().first_chunk::<3>().expect("three letters"));
                    bytes.push(0);
                } else {
                    bytes.extend(self.text(&node.name).to_le_bytes());
                }
                bytes.extend(node.least.to_le_bytes());
                bytes.extend(node.most.to_le_bytes());
                bytes.extend(u16::try_from(below).expect("few nodes").to_le_bytes());
                bytes.push(node.kind);
                bytes.push(if node.deprecated { DEPRECATED } else { 0 });
            }
            let first = self.run(Section::Nodes, bytes);
            rows.extend(self.text(name).to_le_bytes());
            rows.extend(first.to_le_bytes());
            rows.extend(u32::try_from(nodes.len()).expect("few nodes").to_le_bytes());
        }
        rows
    }

    fn events(&mut self, definitions: &Definitions) -> Vec<u8> {
        let mut rows = Vec::new();
        for ((code, trigger), (structure, acknowledgment)) in &definitions.events {
            let name = if trigger.is_empty() { code.clone() } else { format!("{code}_{trigger}") };
            rows.extend(self.text(&name).to_le_bytes());
            rows.extend(self.text(structure).to_le_bytes());
            let acknowledgment = acknowledgment.as_ref().map_or(NO_TEXT, |name| self.text(name));
            rows.extend(acknowledgment.to_le_bytes());
        }
        rows
    }

    fn finish(self) -> Vec<u8> {
        let mut file = MAGIC.to_vec();
        let mut offset = HEADER_BYTES;
        for section in Section::ALL {
            file.extend(u32::try_from(offset).expect("a few megabytes").to_le_bytes());
            file.extend(self.count(section).to_le_bytes());
            offset += self.sections[section as usize].len();
        }
        for section in &self.sections {
            file.extend(section);
        }
        file
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_stored_file_is_what_the_tables_say() {
        assert!(
            super::is_current().expect("readable tables"),
            "{} is not current: run `cargo xtask definitions`",
            super::FILE
        );
    }
}
