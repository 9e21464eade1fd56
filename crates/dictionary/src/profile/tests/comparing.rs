//! What is told of changes.

use pipehat_message::Message;

use super::profile;
use crate::profile::{Change, Impact, Learner, Profile, compare};

fn learned(count: usize, message: impl Fn(usize) -> String) -> Profile {
    let mut learner = Learner::default();
    for number in 0..count {
        learner.learn(&Message::parse(message(number).as_bytes()).expect("a message"));
    }
    learner.profile("lab2")
}

fn before(number: usize) -> String {
    format!(
        "MSH|^~\\&|LIS|LAB2|||20250131120000||ORU^R01|{number}|P|2.5.1\r\
         PID|1||P{number:05}^^^LAB^MR||DOE^JO||19800101|F\r\
         PV1|1|{}|N1\r\
         OBR|1|||GLU^^L|||20250131120000\r\
         OBX|1|NM|GLU^^L||{number}|mmol|1-2|{}||F\r",
        ["I", "O"][number % 2],
        if number.is_multiple_of(50) { "" } else { "H" },
    )
}

#[track_caller]
fn check(change: impl Fn(usize, String) -> String, expected: &[&str]) {
    let was = learned(200, before);
    let is = learned(200, |number| change(number, before(number)));
    let found: Vec<String> = compare(&was, &is)
        .iter()
        .map(|change| format!("{} {}", change.impact, change.text))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn nothing_changed() {
    check(|_, text| text, &[]);
}

#[test]
fn what_breaks_receivers_is_told_first() {
    check(
        |number, text| if number.is_multiple_of(10) { text } else { text.replace("|H||F", "|||F") },
        &["breaking OBX-8 (Abnormal Flags) was valued in 98 %, now in 8 %"],
    );
    check(
        |_, text| text.replace("|I|N1", "|X|N1"),
        &[
            "breaking new code in PV1-2: `X` (50 % of its values)",
            "notable PV1-2 is never `I` any more (50 % of its values before)",
        ],
    );
    check(
        |_, text| text.replace("|||20250131120000\r", "|||202501311200\r"),
        &["breaking date precision of OBR-7 went from seconds to minutes"],
    );
    check(
        |_, text| text.replace("^MR||", "^MR~1^^^LAB^MR~2^^^LAB^MR||"),
        &[
            "breaking PID-3 repeats up to 3, before once",
            "breaking PID-3.1 always had 6 characters, now 1 to 6",
        ],
    );
    check(
        |_, text| text.replace("PV1|1", "PV2|1"),
        &[
            "breaking the segment PV1 was in 100 % of messages, and comes no more",
            "notable the segment PV2 is new: in 100 % of messages",
        ],
    );
    check(
        |number, text| if number.is_multiple_of(2) { text.replace("R01", "R30") } else { text },
        &["breaking ORU^R30 is new: 50 % of messages"],
    );
    check(
        |_, text| text.replace("20250131120000||ORU", "20250131120000+0100||ORU"),
        &["breaking MSH-7 has an offset from UTC in 100 %, before in 0 %"],
    );
}

#[test]
fn chance_is_no_change() {
    let was = learned(20, before);
    let is = learned(20, |number| {
        if number.is_multiple_of(10) { before(number).replace("mmol", "") } else { before(number) }
    });
    assert!(compare(&was, &is).iter().all(|change| change.impact != Impact::Breaking));
}

#[test]
fn profiles_without_evidence_are_compared_by_what_they_say() {
    let was = profile(
        "messages: [ORU^R01]\nfields: { PID-3: { usage: R, cardinality: 1..1 }, PID-8: { values: [F, M] }, OBX-8: R }",
    );
    let is = profile(
        "messages: [ORU^R01]\nfields: { PID-3: { usage: R, cardinality: 1..4 }, PID-8: { values: [F, M, X] } }",
    );
    let found: Vec<String> = compare(&was, &is)
        .iter()
        .map(|change| format!("{} {}", change.impact, change.text))
        .collect();
    assert_eq!(
        found,
        [
            "breaking usage of OBX-8 was R, and is not said any more",
            "breaking cardinality of PID-3 went from 1..1 to 1..4",
            "breaking new codes in PID-8: `X`",
        ]
    );
    assert!(compare(&was, &was).is_empty());
    // What is stricter than it was breaks nobody.
    let stricter = profile(
        "messages: [ORU^R01]\nfields: { PID-3: { usage: R, cardinality: 1..1, length: 1..9 }, PID-7: { format: YYYYMMDD }, PID-8: { constant: F }, OBX-8: R, PV1-2: R }",
    );
    let changes = compare(&was, &stricter);
    assert!(changes.iter().all(|change| change.impact == Impact::Minor), "{changes:?}");
    assert_eq!(changes.len(), 4, "{changes:?}");
    let dated = profile("fields: { PID-7: { format: 'YYYY[MM[DD]]' } }");
    let formats = |was: &Profile, is: &Profile| {
        let breaking = |change: &&Change| change.impact == Impact::Breaking;
        compare(was, is).iter().filter(breaking).filter(|change| change.kind == "format").count()
    };
    assert_eq!((formats(&dated, &stricter), formats(&stricter, &dated)), (0, 1));
}

#[test]
fn what_is_said_of_groups_is_compared() {
    let was = profile(
        "groups: { /ORDER_OBSERVATION/SPECIMEN: R, /OBSERVATION: { cardinality: 1..3 } }\n\
        fields: { /PATIENT/NTE-2: X, NTE-3: R }",
    );
    let is = profile("groups: { /OBSERVATION: { cardinality: 1..5 } }\nfields: { NTE-3: R }");
    let mut found: Vec<String> = compare(&was, &is)
        .iter()
        .map(|change| format!("{} {}", change.impact, change.text))
        .collect();
    found.sort();
    assert_eq!(
        found,
        [
            "breaking cardinality of /OBSERVATION went from 1..3 to 1..5",
            "breaking usage of /ORDER_OBSERVATION/SPECIMEN was R, and is not said any more",
            "breaking usage of /PATIENT/NTE-2 was X, and is not said any more",
        ]
    );
}

/// A profile that was learned, after an edit of its file.
fn edited(profile: &Profile, from: &str, to: &str) -> Profile {
    let text = profile.write();
    assert!(text.contains(from), "{from:?} is missing from\n{text}");
    super::read(&text.replacen(from, to, 1)).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

#[test]
fn what_a_person_edited_is_told_though_the_evidence_is_the_same() {
    let learned = learned(200, before);
    let check = |from: &str, to: &str, expected: &str| {
        let changes = compare(&learned, &edited(&learned, from, to));
        let found: Vec<_> =
            changes.iter().map(|change| format!("{} {}", change.impact, change.text)).collect();
        assert_eq!(found, [expected]);
    };
    check("OBX-8: { usage: RE,", "OBX-8: { usage: O,", "minor usage of OBX-8 went from RE to O");
    check("\n  PID-1: R ", "\n  PID-1: X ", "breaking usage of PID-1 went from R to X");
    check(
        "PV1-2: { usage: R, values: [I, O] }",
        "PV1-2: { usage: R, values: [I, O, E] }",
        "breaking new codes in PV1-2: `E`",
    );
    check(
        "PV1-2: { usage: R, values: [I, O] }",
        "PV1-2: R",
        "notable PV1-2 may have any code, before only some",
    );
    check("length: 6", "length: 1..9", "notable length of PID-3.1 went from 6 to 1..9");
    check(
        "OBR-7: { usage: R, format: YYYYMMDDHHMMSS }",
        "OBR-7: { usage: R, format: YYYYMMDD }",
        "breaking format of OBR-7 went from YYYYMMDDHHMMSS to YYYYMMDD",
    );
    check("PV1: { usage: R,", "PV1: { usage: RE,", "breaking usage of PV1 went from R to RE");
    check("messages: [ORU^R01]", "messages: [ORU^R01, ADT]", "breaking ADT is new");
}

#[test]
fn an_edited_rule_is_told_beside_what_the_evidence_tells() {
    let was = edited(&learned(200, before), "values: [I, O]", "values: [I, O, E]");
    let is = learned(200, |number| before(number).replace("|H||F", "|||F"));
    let found: Vec<_> = compare(&was, &is).into_iter().map(|change| change.text).collect();
    assert_eq!(
        found,
        ["OBX-8 (Abnormal Flags) was valued in 98 %, now never", "PV1-2 is never `E` any more",]
    );
}

#[test]
fn a_length_and_a_format_are_compared() {
    let check = |was: &str, is: &str, expected: &[&str]| {
        let of = |said: &str| profile(&format!("fields: {{ OBR-7: {{ {said} }} }}"));
        let changes = compare(&of(was), &of(is));
        let found: Vec<_> =
            changes.iter().map(|change| format!("{} {}", change.impact, change.text)).collect();
        assert_eq!(found, expected);
    };
    check(
        "length: 14",
        "format: YYYYMMDD",
        &["notable length of OBR-7 went from 14 to that of the format YYYYMMDD"],
    );
    check(
        "length: 8..19",
        "format: 'YYYYMMDDHHMMSS[+ZZZZ]'",
        &["minor length of OBR-7 went from 8..19 to that of the format YYYYMMDDHHMMSS[+ZZZZ]"],
    );
    check(
        "format: YYYYMMDD",
        "length: 14",
        &["breaking format of OBR-7 was YYYYMMDD, and is not said any more"],
    );
}

#[test]
fn the_precision_of_dates_is_seen_where_they_have_components() {
    for version in ["2.3", "2.4", "2.5.1"] {
        let of = |time: &'static str| {
            learned(20, move |number| {
                before(number).replace("2.5.1", version).replace("|||20250131120000\r", time)
            })
        };
        let (seconds, days) = (of("|||20250131120000\r"), of("|||20250131\r"));
        let text = seconds.write();
        assert!(text.contains("OBR-7: { usage: R, format: YYYYMMDDHHMMSS }"), "{version}\n{text}");
        assert!(text.contains("precision: { seconds: 20 }"), "{version}\n{text}");
        let found: Vec<_> = compare(&seconds, &days).into_iter().map(|it| it.text).collect();
        assert_eq!(found, ["date precision of OBR-7 went from seconds to days"], "{version}");
        let message = before(1).replace("2.5.1", version);
        let message = Message::parse(message.as_bytes()).expect("a message");
        assert_eq!(seconds.findings(&message), []);
        assert_eq!(days.findings(&message).len(), 1, "{version}");
    }
}

#[test]
fn what_was_always_there_and_is_missing_is_told() {
    let check = |count: usize, expected: &str| {
        let was = learned(10, before);
        let is = learned(10, |number| {
            let text = before(number);
            if number < count {
                text.replace("PV1|1|I|N1\r", "").replace("PV1|1|O|N1\r", "")
            } else {
                text
            }
        });
        let changes = compare(&was, &is);
        let found: Vec<_> = changes
            .iter()
            .map(|change| format!("{} {}", change.impact, change.text))
            .filter(|text| text.contains("segment PV1"))
            .collect();
        assert_eq!(found, [expected]);
    };
    check(5, "breaking the segment PV1 was in 100 % of messages, now in 50 %");
    check(1, "notable the segment PV1 was in 100 % of messages, now in 90 %");
}

#[test]
fn what_is_read_again_is_the_same_as_what_was_learned() {
    let was = learned(200, before);
    let read = edited(&was, "lab2", "lab2");
    assert_eq!(read.evidence, was.evidence);
    assert_eq!(compare(&was, &read), []);
}

#[test]
fn a_segment_required_of_a_message_type_that_is_missing_is_told() {
    let mixed = |number: usize| {
        if number.is_multiple_of(2) {
            before(number).replace("ORU^R01", "ADT^A01")
        } else {
            before(number).replace("PV1|1|O|N1\r", "")
        }
    };
    let was = learned(200, mixed);
    let is = learned(200, |number| {
        if number.is_multiple_of(4) {
            mixed(number).replace("PV1|1|I|N1\r", "")
        } else {
            mixed(number)
        }
    });
    let changes = compare(&was, &is);
    let found: Vec<_> =
        changes.iter().map(|change| format!("{} {}", change.impact, change.text)).collect();
    assert_eq!(found, ["breaking the segment PV1 was in 50 % of messages, now in 25 %"]);
}
