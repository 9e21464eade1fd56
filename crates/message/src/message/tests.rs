use proptest::prelude::*;

use super::*;
use crate::testing::any_message;
use crate::value::Presence;

const LAB: &str = "MSH|^~\\&|LAB|GOOD^1.2^ISO\r\
    PID|1||a^^^X^MR~b&b2^^^Y||\"\"|\r\
    OBX|1|NM|g^Glucose||5.5\r\
    text in between\r\
    OBX|2|NM|k^Potassium||3~4\r\
    OBX|3|ST\r";

fn raw_of(text: &str, path: &str) -> Option<String> {
    let message = Message::parse(text.as_bytes()).unwrap();
    let path = Path::parse(path).unwrap();
    let first = message.get(&path).map(|value| value.raw().to_vec());
    assert_eq!(first, message.values(&path).next().map(|value| value.raw().to_vec()));
    first.map(|raw| String::from_utf8(raw).unwrap())
}

fn check(path: &str, expected: Option<&str>) {
    assert_eq!(raw_of(LAB, path), expected.map(str::to_owned), "{path}");
}

#[test]
fn paths_reach_every_level() {
    check("PID", Some("PID|1||a^^^X^MR~b&b2^^^Y||\"\"|"));
    check("PID-3", Some("a^^^X^MR~b&b2^^^Y"));
    check("PID-3[1]", Some("a^^^X^MR"));
    check("PID-3[2]", Some("b&b2^^^Y"));
    check("PID-3[last]", Some("b&b2^^^Y"));
    check("PID-3.4", Some("X"));
    check("PID-3[2].4", Some("Y"));
    check("PID-3[2].1", Some("b&b2"));
    check("PID-3[2].1.2", Some("b2"));
    check("OBX-1", Some("1"));
    check("OBX(3)-1", Some("3"));
    check("OBX(last)-1", Some("3"));
    check("OBX(2)-5[2]", Some("4"));
}

#[test]
fn absent_empty_and_null_are_three_answers() {
    let presence = |path: &str| {
        let message = Message::parse(LAB.as_bytes()).unwrap();
        message.get(&Path::parse(path).unwrap()).map(|value| value.presence())
    };
    assert_eq!(presence("PID-1"), Some(Presence::Present));
    assert_eq!(presence("PID-5"), Some(Presence::Null));
    assert_eq!(presence("PID-5[1].1.1"), Some(Presence::Null));
    for empty in ["PID-4", "PID-4[1]", "PID-4.1", "PID-4[last].1.1", "PID-3.2", "PID-6"] {
        assert_eq!(presence(empty), Some(Presence::Empty), "{empty}");
    }
    for absent in [
        "PID-7",
        "PID-7.1",
        "PID-4[2]",
        "PID-4.2",
        "PID-4.1.2",
        "PID-3[3]",
        "PID-3.6",
        "PID-3.1.2",
        "PID(2)",
        "PID(2)-1",
        "PV1-1",
        "OBX(4)-1",
        "OBX(3)-3",
        "PID-3[+1]",
        "OBX(+1)",
        "XXX(last)",
        "/PATIENT/PID-1",
    ] {
        assert_eq!(presence(absent), None, "{absent}");
    }
}

#[test]
fn the_delimiters_of_the_header_are_whole_values() {
    check("MSH-1", Some("|"));
    check("MSH-2", Some("^~\\&"));
    check("MSH-2[1].1.1", Some("^~\\&"));
    check("MSH-2[*]", Some("^~\\&"));
    check("MSH-2.2", None);
    check("MSH-2[2]", None);
    check("MSH-3", Some("LAB"));
    check("MSH-4.3", Some("ISO"));
    check("MSH-5", None);
}

#[test]
fn wildcards_match_in_message_order_and_say_where() {
    let message = Message::parse(LAB.as_bytes()).unwrap();
    let matches = |path: &str| -> Vec<String> {
        let path = Path::parse(path).unwrap();
        let shown = message.matches(&path).map(|found| {
            assert_eq!(message.get(&found.path).map(|v| v.raw()), Some(found.value.raw()));
            format!("{}={}", found.path, String::from_utf8_lossy(found.value.raw()))
        });
        shown.collect()
    };
    assert_eq!(matches("OBX(*)-1"), ["OBX-1=1", "OBX(2)-1=2", "OBX(3)-1=3"]);
    assert_eq!(matches("OBX(*)-3.2"), ["OBX-3.2=Glucose", "OBX(2)-3.2=Potassium"]);
    assert_eq!(matches("OBX(*)-5[*]"), ["OBX-5[1]=5.5", "OBX(2)-5[1]=3", "OBX(2)-5[2]=4"]);
    assert_eq!(matches("PID-3[*].4"), ["PID-3.4=X", "PID-3[2].4=Y"]);
    assert_eq!(matches("PID-3[*].5"), ["PID-3.5=MR"]);
    assert_eq!(matches("OBX(*)-5[last]"), ["OBX-5[1]=5.5", "OBX(2)-5[2]=4"]);
    assert_eq!(matches("OBX(last)-1"), ["OBX(3)-1=3"]);
    assert_eq!(matches("PID-4[*]"), ["PID-4[1]="]);
    assert!(matches("PID-9[*]").is_empty());
}

#[test]
fn segments_are_found_by_name_and_number() {
    let message = Message::parse(LAB.as_bytes()).unwrap();
    let index = |name: &str, occurrence| message.segment(name, occurrence).map(|s| s.index());
    assert_eq!(index("OBX", 1), Some(2));
    assert_eq!(index("OBX", 2), Some(4));
    assert_eq!(index("OBX", 4), None);
    assert_eq!(index("OBX", 0), None);
    assert_eq!(index("not a name", 1), None);
    assert_eq!(message.segment(SegmentName::MSH, 1).map(|s| s.index()), Some(0));
    let path = |index| message.segment_path(index).map(|path| path.to_string());
    assert_eq!(path(4), Some("OBX(2)".into()));
    assert_eq!(path(3), None);
    assert_eq!(path(6), None);
    assert_eq!(message.segment_at(3).map(|s| s.raw()), Some(b"text in between".as_slice()));
}

#[test]
fn debug_shows_no_value() {
    let message = Message::parse(b"MSH|^~\\&|SECRET\rPID|SECRET").unwrap();
    let path = Path::parse("PID-1").unwrap();
    let found: Vec<_> = message.matches(&path).collect();
    let segments: Vec<_> = message.segments().collect();
    let shown = format!("{message:?} {found:?} {segments:?}");
    assert!(!shown.contains("SECRET"), "{shown}");
}

#[test]
fn large_values_and_many_segments_are_read() {
    let document = "QUJD".repeat(500_000);
    let text =
        format!("MSH|^~\\&\r{}OBX|1|ED|||^^^Base64^{document}|F\r", "NTE|1\r".repeat(20_000));
    let message = Message::parse(text.as_bytes()).unwrap();
    assert_eq!(message.segments().len(), 20_002);
    let value = message.get(&Path::parse("OBX-5.5").unwrap());
    assert_eq!(value.map(|value| value.raw().len()), Some(document.len()));
    assert!(message.get(&Path::parse("NTE(20000)-1").unwrap()).is_some());
}

/// What a path without `*` and `last` means, told in another way: by splitting the segment apart.
fn by_splitting(message: &Message<'_>, path: &Path) -> Option<Vec<u8>> {
    let number = |occurrence: Occurrence| match occurrence {
        Occurrence::At(number) => number.get() as usize,
        _ => unreachable!("generated paths hold numbers only"),
    };
    let segment = message.segment(path.segment(), number(path.occurrence()))?;
    let field = segment.fields().nth(path.field().unwrap().get() as usize - 1)?;
    let Some(repetition) = path.repetition() else { return Some(field.raw().to_vec()) };
    let repetition = field.repetitions().nth(number(repetition) - 1)?;
    let Some(component) = path.component() else { return Some(repetition.raw().to_vec()) };
    let component = repetition.components().nth(component.get() as usize - 1)?;
    let Some(subcomponent) = path.subcomponent() else { return Some(component.raw().to_vec()) };
    let subcomponent = component.subcomponents().nth(subcomponent.get() as usize - 1)?;
    Some(subcomponent.raw().to_vec())
}

proptest! {
    #[test]
    fn a_path_reads_what_splitting_finds(
        bytes in any_message(),
        place in crate::testing::any_place(),
    ) {
        let message = Message::parse(&bytes).unwrap();
        let path = place.in_message(&message);
        let read = message.get(&path).map(|value| value.raw().to_vec());
        prop_assert_eq!(read, by_splitting(&message, &path));
    }

    #[test]
    fn every_match_is_what_its_own_path_reads(
        bytes in any_message(),
        place in crate::testing::any_path(),
    ) {
        let message = Message::parse(&bytes).unwrap();
        let every = place.with_occurrence(Occurrence::All).with_repetition(Occurrence::All);
        let mut count = 0;
        for found in message.matches(&every) {
            prop_assert!(!found.path.has_wildcard());
            let read = message.get(&found.path).map(|value| value.raw().to_vec());
            prop_assert_eq!(read, Some(found.value.raw().to_vec()));
            count += 1;
        }
        prop_assert_eq!(message.values(&every).count(), count);
    }

    #[test]
    fn no_bytes_make_a_getter_panic(
        tail in proptest::collection::vec(any::<u8>(), 0..120),
        path in crate::testing::any_path(),
    ) {
        let bytes = [b"MSH|^~\\&|".as_slice(), &tail].concat();
        let message = Message::parse(&bytes).unwrap();
        for occurrence in [Occurrence::All, Occurrence::Last, Occurrence::Next] {
            let path = path.clone().with_occurrence(occurrence).with_repetition(occurrence);
            let _ = message.matches(&path).count();
        }
        for segment in message.segments() {
            for field in segment.fields() {
                for repetition in field.repetitions() {
                    for component in repetition.components() {
                        for leaf in component.subcomponents() {
                            let _ = (leaf.decoded(), leaf.presence(), format!("{leaf:?}"));
                        }
                    }
                }
            }
        }
    }
}
