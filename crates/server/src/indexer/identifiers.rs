//! What a message can be found by.

use std::sync::Arc;

use pipehat_dictionary::STANDARD_GROUPS;
use pipehat_message::{Limits, Message, Occurrence, Path, Segment, SegmentName, Value};
use pipehat_store::{Identifier, IdentifierKind, Redacted};

use super::SievedFrom;

/// Identifiers taken from one message.
const IDENTIFIERS_MAX: usize = 64;

/// A place whose values identify a message.
struct Place {
    kind: IdentifierKind,
    segment: SegmentName,
    occurrence: Occurrence,
    field: usize,
    part: Part,
}

/// Which part of a field.
enum Part {
    Whole,
    /// The first component of its first repetition.
    First,
    /// The first component of each repetition.
    FirstOfEach,
}

const fn place(
    kind: IdentifierKind,
    segment: [u8; 3],
    occurrence: Occurrence,
    field: usize,
    part: Part,
) -> Place {
    let segment = SegmentName::new(segment).expect("the name of a segment");
    Place { kind, segment, occurrence, field, part }
}

const ONE: Occurrence = Occurrence::FIRST;
const EACH: Occurrence = Occurrence::All;

/// Where the standard has them: PID-2.1, PID(*)-3[*].1 and so on. They are shown in this order.
static PLACES: [Place; 14] = {
    use IdentifierKind::{Accession, Order, Patient, Visit};
    use Part::{First, FirstOfEach, Whole};
    [
        place(Patient, *b"PID", ONE, 2, First),
        place(Patient, *b"PID", EACH, 3, FirstOfEach),
        place(Patient, *b"PID", ONE, 4, FirstOfEach),
        place(Patient, *b"MRG", EACH, 1, FirstOfEach),
        place(Patient, *b"QPD", ONE, 3, FirstOfEach),
        place(Visit, *b"PV1", ONE, 19, First),
        place(Visit, *b"PID", ONE, 18, First),
        place(Order, *b"ORC", EACH, 2, First),
        place(Order, *b"ORC", EACH, 3, First),
        place(Order, *b"OBR", EACH, 2, First),
        place(Order, *b"OBR", EACH, 3, First),
        place(Accession, *b"OBR", EACH, 18, Whole),
        place(Order, *b"SCH", ONE, 1, First),
        place(Order, *b"SCH", ONE, 2, First),
    ]
};

/// Whether a segment of this name has such a place. Asked of every segment of every message.
fn is_wanted(name: SegmentName) -> bool {
    matches!(name.as_bytes(), b"PID" | b"MRG" | b"QPD" | b"PV1" | b"ORC" | b"OBR" | b"SCH")
}

/// The names of the segments that identify a message; those of a channel's own paths too.
pub(super) fn segments(named: &[(Arc<str>, Path)]) -> impl Iterator<Item = SegmentName> {
    let standard = PLACES.iter().map(|place| place.segment);
    named.iter().map(|(_, path)| path.segment()).chain(standard)
}

/// What a message, or what was sieved from it, can be found by: first by the paths its channel names.
pub(super) fn identifiers(
    bytes: &[u8],
    sieved: Option<SievedFrom>,
    named: &[(Arc<str>, Path)],
) -> Vec<Identifier> {
    let mut found = Found(Vec::new());
    if !named.is_empty() {
        found.take_named(bytes, sieved, named);
    }
    found.take_standard(bytes);
    found.0
}

/// What was found so far, each once.
struct Found(Vec<Identifier>);

impl Found {
    fn take_named(&mut self, bytes: &[u8], sieved: Option<SievedFrom>, named: &[(Arc<str>, Path)]) {
        let Ok(message) = Message::parse(bytes) else { return };
        let message = message.read_groups_with(STANDARD_GROUPS);
        // The last segment that was kept need not be the last of its name.
        let last_is_known = sieved.is_none_or(|source| source.is_whole);
        for (name, path) in named {
            // Which group a segment stands in shows among all segments only.
            let is_hidden = sieved.is_some() && !path.groups().is_empty();
            if is_hidden || path.occurrence() == Occurrence::Last && !last_is_known {
                continue;
            }
            let kind = IdentifierKind::Custom(Arc::clone(name));
            message.values(path).for_each(|value| self.take(&kind, value));
        }
    }

    /// Goes over the message once, and looks into the few segments it needs.
    fn take_standard(&mut self, bytes: &[u8]) {
        let mut kept: Vec<(SegmentName, Segment<'_>)> = Vec::new();
        let read = Message::each_segment(bytes, &Limits::DEFAULT, |segment| {
            if let Some(name) = segment.segment_name()
                && is_wanted(name)
            {
                kept.push((name, segment));
            }
        });
        if read.is_err() || kept.is_empty() {
            return;
        }
        self.0.reserve(kept.len().min(IDENTIFIERS_MAX));
        for place in &PLACES {
            let of_name = kept.iter().filter(|(name, _)| *name == place.segment);
            let count = if place.occurrence == EACH { usize::MAX } else { 1 };
            for (_, segment) in of_name.take(count) {
                let Some(field) = segment.field(place.field) else { continue };
                match place.part {
                    Part::Whole => self.take(&place.kind, field),
                    Part::First => self.take(&place.kind, field.first_component()),
                    Part::FirstOfEach => {
                        for repetition in field.repetitions() {
                            self.take(&place.kind, repetition.first_component());
                        }
                    }
                }
            }
        }
    }

    fn take(&mut self, kind: &IdentifierKind, value: Value<'_>) {
        if value.is_empty() || value.is_null() || self.0.len() >= IDENTIFIERS_MAX {
            return;
        }
        let decoded = value.decoded();
        let text = String::from_utf8_lossy(&decoded);
        let text = text.trim();
        let is_known = |known: &Identifier| known.kind == *kind && known.value.expose() == text;
        if !text.is_empty() && !self.0.iter().any(is_known) {
            self.0.push(Identifier { kind: kind.clone(), value: Redacted::new(text) });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use pipehat_message::{Message, Path};
    use pipehat_store::IdentifierKind;
    use proptest::prelude::{Strategy, proptest};

    use super::{PLACES, identifiers, is_wanted, segments};

    /// The places as paths say them.
    const PATHS: [&str; 14] = [
        "PID-2.1",
        "PID(*)-3[*].1",
        "PID-4[*].1",
        "MRG(*)-1[*].1",
        "QPD-3[*].1",
        "PV1-19.1",
        "PID-18.1",
        "ORC(*)-2.1",
        "ORC(*)-3.1",
        "OBR(*)-2.1",
        "OBR(*)-3.1",
        "OBR(*)-18",
        "SCH-1.1",
        "SCH-2.1",
    ];

    fn path(text: &str) -> Path {
        Path::parse(text).expect("a path")
    }

    /// Kind and value, as the paths find them one after another.
    fn by_paths(bytes: &[u8]) -> Vec<(IdentifierKind, String)> {
        let Ok(message) = Message::parse(bytes) else { return Vec::new() };
        let mut found = Vec::new();
        for (place, text) in PLACES.iter().zip(PATHS) {
            for value in message.values(&path(text)) {
                let decoded = value.decoded();
                let text = String::from_utf8_lossy(&decoded).trim().to_owned();
                let entry = (place.kind.clone(), text);
                if !value.is_null() && !entry.1.is_empty() && !found.contains(&entry) {
                    found.push(entry);
                }
            }
        }
        found.truncate(super::IDENTIFIERS_MAX);
        found
    }

    fn check(bytes: &[u8]) {
        let found = identifiers(bytes, None, &[]).into_iter();
        let found: Vec<_> = found
            .map(|identifier| (identifier.kind, identifier.value.expose().to_owned()))
            .collect();
        assert_eq!(found, by_paths(bytes), "{:?}", String::from_utf8_lossy(bytes));
    }

    #[test]
    fn each_place_is_found_as_its_path_finds_it() {
        for (place, text) in PLACES.iter().zip(PATHS) {
            assert!(is_wanted(place.segment));
            assert_eq!(path(text).segment(), place.segment);
            let fields = "|".repeat(place.field);
            let line = format!("{}{fields}1&2^3~ 4^5\rZZ1|1\r", place.segment);
            for lines in [line.clone(), line.repeat(2), line.replace('1', "\"\"")] {
                check(format!("MSH|^~\\&|A\r{lines}").as_bytes());
            }
            assert!(!by_paths(format!("MSH|^~\\&|A\r{line}").as_bytes()).is_empty(), "{text}");
        }
    }

    #[test]
    fn a_channels_own_paths_come_first() {
        let bytes = b"MSH|^~\\&|A\rPID|||1\rZP1|7\r";
        let named = [(Arc::from("own"), path("ZP1-1"))];
        let found = identifiers(bytes, None, &named).into_iter().map(|found| found.kind);
        let own = IdentifierKind::Custom("own".into());
        assert!(found.eq([own, IdentifierKind::Patient]));
        let zp1 = path("ZP1-1").segment();
        assert_eq!(segments(&named).next(), Some(zp1));
        assert!(segments(&[]).all(is_wanted));
    }

    #[test]
    fn a_message_of_nothing_else_gives_as_many_as_may_be() {
        let orders: String = (0..200).map(|number| format!("ORC|NW|{number}\r")).collect();
        let bytes = format!("MSH|^~\\&|A\r{orders}");
        assert_eq!(identifiers(bytes.as_bytes(), None, &[]).len(), super::IDENTIFIERS_MAX);
        check(bytes.as_bytes());
    }

    fn line() -> impl Strategy<Value = String> {
        let name = "PID|MRG|QPD|PV1|ORC|OBR|SCH|OBX|PIDX|pid|MSH";
        let field = "[1-3]{0,2}(\\^|~|&| |\"\"|\\\\T\\\\|\\\\)?[1-3]?(\\^|~)?[1-3]?";
        (name, proptest::collection::vec(field, 0..20))
            .prop_map(|(name, fields)| format!("{name}|{}", fields.join("|")))
    }

    proptest! {
        #[test]
        fn any_message_gives_what_the_paths_find(
            lines in proptest::collection::vec(line(), 0..8),
            end in "\r|\n|\r\n",
        ) {
            let bytes = format!("MSH|^~\\&|A|{end}{}", lines.join(&end));
            check(bytes.as_bytes());
        }
    }
}
