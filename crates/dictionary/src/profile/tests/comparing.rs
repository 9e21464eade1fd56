//! What is told of changes.

use pipehat_message::Message;

use super::profile;
use crate::profile::{Impact, Learner, Profile, compare};

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
    assert_eq!(compare(&was, &stricter), []);
    let dated = profile("fields: { PID-7: { format: 'YYYY[MM[DD]]' } }");
    let formats = |was: &Profile, is: &Profile| {
        compare(was, is).iter().filter(|change| change.kind == "format").count()
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
