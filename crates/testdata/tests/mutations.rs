//! Every message of every type and version, broken in one place in each of twenty ways: validation finds it there.

use std::ops::Range;

use pipehat_dictionary::validation::{Level, Standard, Validator};
use pipehat_dictionary::{Element, NodeKind, Reading, Usage, Version, resolve};
use pipehat_message::{Header, Message, SegmentName};
use pipehat_testdata::{Generator, Selection, Settings};

/// A field of a message that has a value.
struct Place {
    path: String,
    field: Element,
    span: Range<usize>,
    value: Vec<u8>,
}

/// A way to break a message: its name, where it can be done and by what value, and what is found.
struct Mutation {
    name: &'static str,
    rule: &'static str,
    /// The new value of a field, where this can be done to it.
    value: fn(&Place) -> Option<Vec<u8>>,
}

/// The primitive types whose values are plain text.
fn is_text(place: &Place) -> bool {
    matches!(place.field.data_type_name(), "ST" | "TX" | "FT")
}

fn is_of(place: &Place, names: &[&str]) -> bool {
    names.contains(&place.field.data_type_name())
}

fn replaced(is_wanted: bool, value: &[u8]) -> Option<Vec<u8>> {
    is_wanted.then(|| value.to_vec())
}

fn with(is_wanted: bool, place: &Place, suffix: &str) -> Option<Vec<u8>> {
    is_wanted.then(|| [&place.value, suffix.as_bytes()].concat())
}

/// Tables of HL7 that are closed in every version that has them.
const CLOSED: [u16; 5] = [38, 85, 119, 123, 136];

const OF_FIELDS: [Mutation; 12] = [
    Mutation {
        name: "a required field removed",
        rule: "required-field-missing",
        value: |place| replaced(place.field.usage() == Usage::Required && is_lasting(place), b""),
    },
    Mutation {
        name: "a required field deleted",
        rule: "required-field-deleted",
        value: |place| {
            replaced(place.field.usage() == Usage::Required && is_lasting(place), b"\"\"")
        },
    },
    Mutation {
        name: "a month that is none",
        rule: "date-malformed",
        value: |place| replaced(is_of(place, &["DT", "DTM", "TS"]), b"20261340"),
    },
    Mutation {
        name: "components beyond those of the data type",
        rule: "component-undefined",
        value: |place| {
            let parts = place.field.data_type().map_or(0, |kind| kind.component_count());
            let beyond = "^".repeat(usize::from(parts) + 1) + "x";
            with(parts > 1 && !place.value.contains(&b'~'), place, &beyond)
        },
    },
    Mutation {
        name: "a date with dashes",
        rule: "date-malformed",
        value: |place| replaced(is_of(place, &["DT", "DTM", "TS"]), b"2026-01-01"),
    },
    Mutation {
        name: "words for a number",
        rule: "number-malformed",
        value: |place| replaced(is_of(place, &["NM"]), b"ten"),
    },
    Mutation {
        name: "a blank before a number",
        rule: "value-padded",
        value: |place| replaced(is_of(place, &["NM", "SI"]), b" 1"),
    },
    Mutation {
        name: "a letter for a sequence ID",
        rule: "sequence-id-malformed",
        value: |place| replaced(is_of(place, &["SI"]), b"A"),
    },
    Mutation {
        name: "a code that is none",
        rule: "code-unknown",
        value: |place| {
            let table = place.field.table_number().map_or(0, |number| number.get());
            let is_listed = place.field.table().is_some_and(|table| table.code_count() > 1);
            let is_code = is_of(place, &["ID"]);
            replaced(is_code && is_listed && CLOSED.contains(&table), b"?9")
        },
    },
    Mutation {
        name: "a repetition too many",
        rule: "field-repeats",
        value: |place| {
            let once = place.field.cardinality().most == Some(1);
            let twice = [&place.value, b"~".as_slice(), &place.value].concat();
            (once && !place.value.contains(&b'~') && !is_of(place, &["Varies"])).then_some(twice)
        },
    },
    Mutation {
        name: "an escape sequence that is none",
        rule: "escape-unknown",
        value: |place| with(is_text(place), place, "\\Q\\"),
    },
    Mutation {
        name: "a backslash that is not escaped",
        rule: "escape-malformed",
        value: |place| with(is_text(place) && !place.value.contains(&b'\\'), place, "a\\b"),
    },
];

/// Whether a field is required whatever else is there; what older definitions call required and 2.9.1 conditional is
/// not.
fn is_lasting(place: &Place) -> bool {
    !place.path.starts_with("MSH")
        && matches!(
            place.path.split(['(', '-']).next(),
            Some("PID" | "EVN" | "PV1" | "AL1" | "MSA" | "MRG" | "TXA")
        )
}

/// What is done to the header, and what is found there.
const OF_HEADERS: [(&str, usize, &str, &str, &str); 5] = [
    ("no message type", 9, "", "MSH-9", "message-type-missing"),
    ("no version", 12, "", "MSH-12", "version-missing"),
    ("a version that is none", 12, "8.8", "MSH-12", "version-unknown"),
    ("a processing ID that is none", 11, "Q", "MSH-11", "processing-id-unknown"),
    ("no control ID", 10, "", "MSH-10", "required-field-missing"),
];

/// Lines put in after the header.
const OF_LINES: [(&str, &str, &str, &str); 2] = [
    ("a line break within a value", "and so on", "line 2", "line-not-segment"),
    ("a segment that is none", "QQQ|1", "QQQ", "segment-unknown"),
];

fn found(bytes: &[u8], path: &str, rule: &str) -> Result<(), Vec<String>> {
    let Ok(message) = Message::parse(bytes) else { return Err(vec!["unreadable".to_owned()]) };
    let mut validator = Validator::new(Level::Standard);
    let findings = validator.validate(&message, &Standard);
    let mut told = Vec::new();
    for finding in findings {
        let place = finding.location.to_string();
        let within = place.strip_prefix(path);
        let is_there =
            within.is_some_and(|rest| !rest.starts_with(|next: char| next.is_ascii_digit()));
        if finding.rule_id() == rule && is_there {
            return Ok(());
        }
        told.push(format!("{} {}", finding.path(), finding.rule_id()));
    }
    Err(told)
}

/// The fields of a message that have a value, but those of the header.
fn places(bytes: &[u8], version: Version) -> Vec<Place> {
    let message = Message::parse(bytes).expect("a message");
    let mut places = Vec::new();
    for segment in message.segments().skip(1) {
        let name = segment.segment_name().expect("a segment");
        let Some(definition) = version.segment(name) else { continue };
        let path = message.segment_path(segment.index()).expect("a path");
        for (position, value) in (1..).zip(segment.fields()) {
            let Some(field) = definition.field(position).filter(|_| !value.is_empty()) else {
                continue;
            };
            let start = value.raw().as_ptr() as usize - bytes.as_ptr() as usize;
            let span = start..start + value.raw().len();
            let value = value.raw().to_vec();
            places.push(Place { path: format!("{path}-{position}"), field, span, value });
        }
    }
    places
}

fn spliced(bytes: &[u8], span: Range<usize>, value: &[u8]) -> Vec<u8> {
    [&bytes[..span.start], value, &bytes[span.end..]].concat()
}

/// The message without a segment that it has to have once, and its name.
fn without_required(bytes: &[u8]) -> Option<(Vec<u8>, SegmentName)> {
    let message = Message::parse(bytes).expect("a message");
    let structure = resolve(&Header::read(bytes).expect("a header")).structure?;
    let mut reading = Reading::new();
    reading.read(structure, message.segments());
    let segment = message.segments().skip(1).find(|segment| {
        let placement = reading.placements()[segment.index()];
        let own = placement.node().unwrap_or_default();
        let node = placement.node().and_then(|node| structure.node(node));
        // One of a choice may be replaced by another.
        let in_choice =
            structure.nodes().enumerate().take(own).any(|(at, node)| {
                node.kind() == NodeKind::Choice && at + node.descendants() >= own
            });
        let required = node.is_some_and(|node| {
            node.cardinality().least == 1 && node.cardinality().most == Some(1)
        });
        let same =
            message.segments().filter(|other| other.segment_name() == segment.segment_name());
        required && !in_choice && placement.group() == 0 && same.count() == 1
    })?;
    let start = segment.raw().as_ptr() as usize - bytes.as_ptr() as usize;
    let end = (start + segment.raw().len() + 1).min(bytes.len());
    Some((spliced(bytes, start..end, b""), segment.segment_name()?))
}

#[test]
fn twenty_ways_to_break_any_message_are_found_where_they_are() {
    let ways = OF_FIELDS.len() + OF_HEADERS.len() + OF_LINES.len() + 1;
    assert_eq!(ways, 20);
    let mut tried = [0_usize; OF_FIELDS.len()];
    let mut removed = 0;
    for version in Version::ALL {
        let mut generator =
            Generator::new(Settings { seed: 3, ..Settings::new(version) }).expect("settings");
        for event in Selection::all(version) {
            let mut bytes = Vec::new();
            let made = generator.append(&Selection::Event(event), &mut bytes);
            let what = format!("{version} {}^{}", made.message_code, made.trigger_event);
            let places = places(&bytes, version);
            for (mutation, tried) in OF_FIELDS.iter().zip(&mut tried) {
                let first = places.iter().find_map(|place| Some((place, (mutation.value)(place)?)));
                let Some((place, value)) = first else { continue };
                *tried += 1;
                let broken = spliced(&bytes, place.span.clone(), &value);
                if let Err(told) = found(&broken, &place.path, mutation.rule) {
                    panic!("{what}, {} at {}: {told:?}", mutation.name, place.path);
                }
            }
            let header = Header::read(&bytes).expect("a header");
            for (name, position, value, path, rule) in OF_HEADERS {
                let field = header.field(position);
                let start = field.as_ptr() as usize - bytes.as_ptr() as usize;
                let is_known =
                    version.segment(SegmentName::MSH).and_then(|msh| msh.field(position));
                if is_known.is_none() || field.is_empty() {
                    continue;
                }
                let broken = spliced(&bytes, start..start + field.len(), value.as_bytes());
                if let Err(told) = found(&broken, path, rule) {
                    panic!("{what}, {name}: {told:?}");
                }
            }
            let end = bytes.iter().position(|&byte| byte == b'\r').expect("a line end") + 1;
            for (name, line, path, rule) in OF_LINES {
                let broken = spliced(&bytes, end..end, format!("{line}\r").as_bytes());
                if let Err(told) = found(&broken, path, rule) {
                    panic!("{what}, {name}: {told:?}");
                }
            }
            if let Some((broken, name)) = without_required(&bytes) {
                removed += 1;
                let rule = "segment-missing";
                if let Err(told) = found(&broken, name.as_str(), rule) {
                    panic!("{what}, {name} removed: {told:?}");
                }
            }
        }
    }
    assert!(tried.iter().all(|&count| count > 20) && removed > 20, "{tried:?} {removed}");
}
