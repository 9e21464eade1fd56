//! What a person means by `PID-3`, `CX.5`, `ADT^A08`, `ORU_R01` or `table 0001`, and what has some words in its name.
//!
//! Tolerant in writing: small letters, `PID.3`, `ADT_A08`, `HL70001`.

use std::fmt;

use pipehat_message::SegmentName;

use crate::data_type::DataType;
use crate::element::Element;
use crate::event::Event;
use crate::segment::SegmentDefinition;
use crate::structure::Structure;
use crate::table::{Table, TableNumber};
use crate::version::Version;

/// Something that a version defines and a person can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// A segment, as `PID`.
    Segment(SegmentDefinition),
    /// A field, as `PID-3`.
    Field(SegmentDefinition, Element),
    /// A component of a data type, as `CX.5`; also where a path leads through a field, as `PID-3.5`.
    Component(DataType, Element),
    /// A data type, as `CX`.
    DataType(DataType),
    /// A message structure, as `ORU_R01`.
    Structure(Structure),
    /// A trigger event, as `ADT^A08`.
    Event(Event),
    /// A table, as `0001`.
    Table(Table),
}

impl Subject {
    /// Everything that is called so in a version: rarely more than one thing.
    pub fn named(text: &str, version: Version) -> Vec<Self> {
        let text = text.trim().to_ascii_uppercase();
        let text = text.strip_prefix("TABLE").map_or(text.as_str(), str::trim_start);
        let mut found = Vec::new();
        let number = text.strip_prefix("HL7").filter(|rest| rest.len() == 4).unwrap_or(text);
        if let Some(table) = TableNumber::parse(number).and_then(|number| version.table(number)) {
            found.push(Self::Table(table));
        }
        if let Some((code, event)) = text.split_once('^') {
            let (event, name) = event.split_once('^').unwrap_or((event, ""));
            found.extend(version.event(code, event).map(Self::Event));
            if found.is_empty() {
                found.extend(version.structure(name).map(Self::Structure));
            }
            return found;
        }
        if let Some(place) = Self::place(text, version) {
            found.push(place);
        }
        if let Ok(name) = SegmentName::try_from(text) {
            found.extend(version.segment(name).map(Self::Segment));
        }
        let data_type = version.data_types().find(|known| known.name().eq_ignore_ascii_case(text));
        found.extend(data_type.map(Self::DataType));
        if let Some(structure) = version.structure(text) {
            found.push(Self::Structure(structure));
        } else if let Some((code, event)) = text.split_once('_') {
            found.extend(version.event(code, event).map(Self::Event));
        }
        if found.is_empty() {
            let of_trigger = version.events().filter(|event| event.trigger_event() == text);
            found.extend(of_trigger.filter(|_| !text.is_empty()).map(Self::Event));
        }
        found
    }

    /// `PID-3`, `PID-3.5`, `CX.5.1`.
    fn place(text: &str, version: Version) -> Option<Self> {
        let at = text.find(['-', '.'])?;
        let (name, positions) = (text.get(..at)?, text.get(at + 1..)?);
        let mut positions = positions.split(['-', '.']).map(|position| {
            let position = position.split_once('[').map_or(position, |(position, _)| position);
            position.parse::<usize>()
        });
        let first = positions.next()?.ok()?;
        let segment = SegmentName::try_from(name).ok().and_then(|name| version.segment(name));
        let mut subject = match segment {
            Some(segment) => Self::Field(segment, segment.field(first)?),
            None => {
                let data_type = version.data_type(name)?;
                Self::Component(data_type, data_type.component(first)?)
            }
        };
        for position in positions {
            let (Self::Field(_, element) | Self::Component(_, element)) = subject else {
                return None;
            };
            let data_type = element.data_type()?;
            subject = Self::Component(data_type, data_type.component(position.ok()?)?);
        }
        Some(subject)
    }

    /// How many fields or components there are, where a place as `PID-99` or `CX.99` is beyond them.
    pub fn past_end(text: &str, version: Version) -> Option<String> {
        let text = text.trim().to_ascii_uppercase();
        let (whole, position) = text.rsplit_once(['-', '.'])?;
        let position: usize = position.parse().ok()?;
        let found = Self::named(whole, version);
        let (name, count, what) = found.into_iter().find_map(|subject| match subject {
            Self::Segment(segment) => {
                Some((segment.name().to_string(), segment.fields().len(), "fields"))
            }
            Self::DataType(data_type) => {
                Some((data_type.name().to_owned(), data_type.components().len(), "components"))
            }
            Self::Field(_, element) | Self::Component(_, element) => {
                let data_type = element.data_type()?;
                Some((data_type.name().to_owned(), data_type.components().len(), "components"))
            }
            Self::Structure(_) | Self::Event(_) | Self::Table(_) => None,
        })?;
        (position > count).then(|| match count {
            0 => format!("{name} has no {what} in {version}"),
            1 => format!("{name} has 1 {} in {version}", what.trim_end_matches('s')),
            _ => format!("{name} has {count} {what} in {version}"),
        })
    }

    /// The version that defines it so.
    pub fn version(self) -> Version {
        match self {
            Self::Segment(segment) | Self::Field(segment, _) => segment.version(),
            Self::DataType(data_type) | Self::Component(data_type, _) => data_type.version(),
            Self::Structure(structure) => structure.version(),
            Self::Event(event) => event.version(),
            Self::Table(table) => table.version(),
        }
    }

    /// What it says in words, as `Patient Identifier List`.
    pub fn title(self) -> &'static str {
        match self {
            Self::Segment(segment) => segment.title(),
            Self::Field(_, element) | Self::Component(_, element) => element.name(),
            Self::DataType(data_type) => data_type.title(),
            Self::Structure(_) | Self::Event(_) => "",
            Self::Table(table) => table.name(),
        }
    }

    /// Everything of a version that has all these words in its name, the best matches first: those that begin with
    /// them or have them in this order, then by kind.
    pub fn search(words: &[&str], version: Version) -> Vec<Self> {
        let words: Vec<String> = words
            .iter()
            .flat_map(|words| words.split_whitespace())
            .map(str::to_lowercase)
            .collect();
        if words.is_empty() {
            return Vec::new();
        }
        let phrase = words.join(" ");
        let mut found: Vec<(u8, Self)> = Vec::new();
        let mut look = |subject: Self| {
            let title = subject.title().to_lowercase();
            if !words.iter().all(|word| title.contains(word.as_str())) {
                return;
            }
            let rank = match title.find(&phrase) {
                _ if title == phrase => 0,
                Some(0) => 1,
                Some(_) => 2,
                None => 3,
            };
            found.push((rank, subject));
        };
        for segment in version.segments() {
            look(Self::Segment(segment));
            segment.fields().for_each(|field| look(Self::Field(segment, field)));
        }
        version.tables().for_each(|table| look(Self::Table(table)));
        for data_type in version.data_types() {
            look(Self::DataType(data_type));
            data_type.components().for_each(|part| look(Self::Component(data_type, part)));
        }
        found.sort_by_key(|&(rank, _)| rank);
        found.into_iter().map(|(_, subject)| subject).collect()
    }

    /// The names of a version that differ least from a text, for `did you mean`.
    pub fn nearest(text: &str, version: Version) -> Vec<String> {
        let text = text.trim().to_ascii_uppercase();
        let base = text.split(['-', '.']).next().unwrap_or_default();
        let mut scored: Vec<(usize, bool, String)> = names(version)
            .filter_map(|name| {
                // `ORU` is the beginning of ORU_R01 before it is nearly ORC.
                let begins = name.strip_prefix(base).is_some_and(|rest| rest.starts_with('_'));
                let distance = if begins { 0 } else { strsim::damerau_levenshtein(base, &name) };
                // `PDI` is PID with its letters exchanged before it is PD1.
                let has_others = letters(base) != letters(&name);
                (distance <= name.len().min(base.len()) / 3).then_some((distance, has_others, name))
            })
            .collect();
        scored.sort();
        scored.dedup();
        scored.into_iter().take(3).map(|(_, _, name)| name).collect()
    }
}

fn letters(name: &str) -> Vec<char> {
    let mut letters: Vec<char> = name.chars().collect();
    letters.sort_unstable();
    letters
}

/// The names of segments, data types and structures, and the numbers of tables: what a shell can complete.
pub fn names(version: Version) -> impl Iterator<Item = String> {
    let segments = version.segments().map(|segment| segment.name().to_string());
    let data_types = version.data_types().map(|data_type| data_type.name().to_owned());
    let structures = version.structures().map(|structure| structure.name().to_owned());
    let tables = version.tables().map(|table| table.number().to_string());
    segments.chain(data_types).chain(structures).chain(tables)
}

/// How it is written, as `PID-3`, `CX.5`, `ADT^A08`.
impl fmt::Display for Subject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Segment(segment) => write!(formatter, "{}", segment.name()),
            Self::Field(segment, field) => {
                write!(formatter, "{}-{}", segment.name(), field.position())
            }
            Self::Component(data_type, component) => {
                write!(formatter, "{}.{}", data_type.name(), component.position())
            }
            Self::DataType(data_type) => formatter.write_str(data_type.name()),
            Self::Structure(structure) => formatter.write_str(structure.name()),
            Self::Event(event) => match event.trigger_event() {
                "" => formatter.write_str(event.message_code()),
                trigger => write!(formatter, "{}^{trigger}", event.message_code()),
            },
            Self::Table(table) => write!(formatter, "{}", table.number()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Subject, names};
    use crate::Version;

    fn check(text: &str, expected: &str) {
        let found = Subject::named(text, Version::V2_5_1);
        let found: Vec<String> =
            found.iter().map(|it| format!("{it} {}", it.title()).trim_end().to_owned()).collect();
        assert_eq!(found.join(", "), expected, "{text}");
    }

    #[test]
    fn names_mean_what_a_person_means() {
        check("PID", "PID Patient Identification");
        check("pid-3", "PID-3 Patient Identifier List");
        check("PID.3", "PID-3 Patient Identifier List");
        check("PID-3[2].5", "CX.5 Identifier Type Code");
        check("PID-3.4.2", "HD.2 Universal ID");
        check("CX", "CX Extended Composite ID with Check Digit");
        check("CX.5", "CX.5 Identifier Type Code");
        check("ORU_R01", "ORU_R01");
        check("ADT^A08", "ADT^A08");
        check("ADT_A08", "ADT^A08");
        check("ADT^A08^ADT_A01", "ADT^A08");
        check("a08", "ADT^A08");
        check("0001", "0001 Administrative Sex");
        check("1", "0001 Administrative Sex");
        check("table 0001", "0001 Administrative Sex");
        check("HL70001", "0001 Administrative Sex");
        check("ACK", "ACK");
    }

    #[test]
    fn what_is_not_defined_is_not_found() {
        for text in
            ["", "PID-0", "PID-99", "PID-x", "QQQ", "CX.99", "table 9998", "ADT^Z99", "^", "-"]
        {
            check(text, "");
        }
        assert_eq!(
            Subject::nearest("ORU_R10", Version::V2_5_1).first().map(String::as_str),
            Some("ORU_R01")
        );
        assert_eq!(
            Subject::nearest("OXB-5", Version::V2_5_1).first().map(String::as_str),
            Some("OBX")
        );
        assert_eq!(
            Subject::nearest("PDI", Version::V2_5_1).first().map(String::as_str),
            Some("PID")
        );
        assert!(names(Version::V2_5_1).count() > 500);
    }

    #[test]
    fn a_place_past_the_end_is_told_how_many_there_are() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(Subject::past_end(text, Version::V2_5_1).as_deref(), expected, "{text}");
        };
        check("PID-99", Some("PID has 39 fields in 2.5.1"));
        check("pid.99", Some("PID has 39 fields in 2.5.1"));
        check("CX.99", Some("CX has 10 components in 2.5.1"));
        check("PID-3.99", Some("CX has 10 components in 2.5.1"));
        check("PID-8.2", Some("IS has no components in 2.5.1"));
        check("PID-39", None);
        check("PID-0", None);
        check("QQQ-1", None);
    }

    #[test]
    fn words_find_what_has_them_in_its_name() {
        let found = Subject::search(&["visit number"], Version::V2_5_1);
        let found: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(found.first().map(String::as_str), Some("PV1-19"));
        assert!(Subject::search(&["number", "Visit"], Version::V2_5_1).len() >= found.len());
        assert_eq!(Subject::search(&["no such words"], Version::V2_5_1), []);
        assert_eq!(Subject::search(&[" "], Version::V2_5_1), []);
    }
}
