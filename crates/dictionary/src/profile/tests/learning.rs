//! What is learned, what is accepted, and what is never told.

use std::sync::Arc;

use pipehat_message::Message;
use proptest::prelude::*;

use super::read;
use crate::profile::{Learner, Place, Profile, ProfileConstraints};
use crate::validation::{Level, Validator};

/// Learns from texts, writes the file and reads it again.
#[track_caller]
fn learned(messages: &[String]) -> (Profile, String) {
    let mut learner = Learner::default();
    for message in messages {
        learner.learn(&Message::parse(message.as_bytes()).expect("a message"));
    }
    let text = learner.profile("lab2").write();
    let profile = read(&text).unwrap_or_else(|mistakes| panic!("{mistakes}\n{text}"));
    assert_eq!(profile.write(), text, "it is written as it was read");
    (profile, text)
}

#[track_caller]
fn accepts(profile: &Profile, messages: &[String], text: &str) {
    let constraints = ProfileConstraints::new(Arc::new(profile.clone()));
    let mut validator = Validator::new(Level::Standard);
    for message in messages {
        let parsed = Message::parse(message.as_bytes()).expect("a message");
        let findings = profile.findings(&parsed);
        assert!(findings.is_empty(), "{findings:?}\n{message}\n{text}");
        let found = validator.validate(&parsed, &constraints);
        let shown: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert!(found.errors() == 0 && found.warnings() == 0, "{shown:?}\n{message}\n{text}");
    }
}

/// A result of one of many patients.
fn result(number: usize) -> String {
    let sex = ["F", "M"][number % 2];
    let ward = ["N1", "N2", "S1"][number % 3];
    let second = if number.is_multiple_of(4) { "~P2^^^GEN^PI" } else { "" };
    let note = if number.is_multiple_of(5) { "NTE|1||private words\r" } else { "" };
    format!(
        "MSH|^~\\&|LIS|LAB2|||20250131120000||ORU^R01^ORU_R01|{number}|P|2.5.1\r\
         PID|1||P{number:05}^^^LAB^MR{second}||DOE{number}^JO||1980010{}|{sex}|||1 SECRET ST^^TOWN^^{number:05}\r\
         PV1|1|I|{ward}^1^A\r\
         OBR|1||F{number}|GLU^Glucose^L|||2025013112{}\r\
         OBX|1|NM|GLU^Glucose^L||{number}.5|mmol/l|||||F\r{note}\
         ZLB|1|{}|{ward}\r",
        number % 9 + 1,
        if number.is_multiple_of(2) { "30" } else { "3059" },
        number * 7,
    )
}

fn results(count: usize) -> Vec<String> {
    (0..count).map(result).collect()
}

#[test]
fn a_learned_profile_says_what_there_is() {
    let messages = results(120);
    let (profile, text) = learned(&messages);
    accepts(&profile, &messages, &text);
    for line in [
        "messages: [ORU^R01]",
        "PV1: { usage: R, cardinality: 1..1 }",
        "ZLB: { usage: R, cardinality: 1..1, after: [NTE, OBX] }",
        "PID-3: { usage: R, cardinality: 1..2 }",
        "PID-3.5: { usage: R, values: [MR, PI] }",
        "PID-7: { usage: R, format: YYYYMMDD }",
        "PID-8: { usage: R, values: [F, M] }",
        "PV1-3.1: { usage: R, values: [N1, N2, S1] }",
        "OBR-7: { usage: R, format: 'YYYYMMDDHHMM[SS]' }",
        "ZLB-1: { type: SI, usage: R",
        "ZLB-2: { type: NM, usage: R",
        "ZLB-3: { type: ID, usage: R, cardinality: 1..1, values: [N1, N2, S1] }",
        "precision: { minutes: 60, seconds: 60 }",
    ] {
        assert!(text.contains(line), "{line:?} is missing from\n{text}");
    }
}

#[test]
fn a_learned_profile_holds_no_value_of_a_patient() {
    let (_, text) = learned(&results(120));
    for value in ["DOE", "SECRET", "TOWN", "private", "P0000", "1980", "F1\"", "5.5", "Glucose"] {
        assert!(!text.contains(value), "{value} stands in\n{text}");
    }
}

#[test]
fn a_code_of_few_patients_is_counted_and_not_told() {
    let mut messages = results(60);
    messages.push(result(1).replace("|N2^", "|VIPWARD^"));
    let (profile, text) = learned(&messages);
    accepts(&profile, &messages, &text);
    assert!(!text.contains("VIPWARD"), "{text}");
    let ward = Place::parse("PV1-3.1").expect("a place");
    assert!(profile.element(&ward).is_none_or(|element| element.values.is_none()));
    let evidence = profile.evidence.as_ref().and_then(|evidence| evidence.elements.get(&ward));
    assert_eq!(evidence.map(|ward| (ward.codes.len(), ward.other_codes)), Some((3, 1)));
}

#[test]
fn what_depends_on_the_message_type_is_said_so() {
    let mut messages = results(30);
    for number in 0..30 {
        messages.push(format!(
            "MSH|^~\\&|LIS|LAB2|||20250131120000||ADT^A0{}|{number}|P|2.5.1\rEVN|A01|20250131\rPID|1||Q{number}\r",
            [1, 4][number % 2]
        ));
    }
    let (profile, text) = learned(&messages);
    accepts(&profile, &messages, &text);
    assert!(text.contains("EVN: { usage: C(R/O), when: 'MSH-9.1 = \"ADT\"'"), "{text}");
    assert!(text.contains("OBX: { usage: C(R/O), when: 'MSH-9.1 = \"ORU\"'"), "{text}");
}

#[test]
fn a_field_of_nothing_but_separators_has_no_first_part() {
    let mut messages = vec![result(1).replace("|I|N2^1^A", "|I|^")];
    messages.extend(results(20));
    let (profile, text) = learned(&messages);
    accepts(&profile, &messages, &text);
}

#[test]
fn separators_at_the_end_of_a_field_count_in_its_length() {
    let messages: Vec<String> =
        (0..60).map(|number| format!("{}ZAB|A{number:02}^^|x\r", result(number))).collect();
    let (profile, text) = learned(&messages);
    accepts(&profile, &messages, &text);
}

#[test]
fn fields_and_parts_beyond_the_standard_are_declared() {
    let of = |number| {
        let text = result(number).replace("|P|2.5.1", "|P|2.5.1||||||||||||||X1^a&b^^^^^^^^^^^^Q7");
        text.replace("|I|", "|I^X^Y|")
    };
    let messages: Vec<String> = (0..60).map(of).collect();
    let (profile, text) = learned(&messages);
    accepts(&profile, &messages, &text);
    for line in ["MSH-26: { name: unknown to", "PV1-2.3: { name: unknown to"] {
        assert!(text.contains(line), "{line:?} is missing from\n{text}");
    }
}

#[test]
fn memory_is_bounded() {
    let mut learner = Learner::default();
    for number in 0..400 {
        let name = format!(
            "Z{}{}",
            char::from(b'A' + (number / 26) as u8),
            char::from(b'A' + (number % 26) as u8)
        );
        let parts = vec!["x"; 200].join("^");
        let fields = vec![parts.as_str(); 50].join("|");
        let text = format!("MSH|^~\\&|A|B|||||X{number}^Y|1\r{name}|{fields}\r");
        learner.learn(&Message::parse(text.as_bytes()).expect("a message"));
    }
    let profile = learner.profile("lab2");
    let evidence = profile.evidence.expect("evidence");
    assert!(evidence.segments.len() <= crate::profile::learn::SEGMENTS_MAX);
    assert!(evidence.elements.len() <= crate::profile::learn::ELEMENTS_MAX);
    assert!(evidence.types.len() <= crate::profile::learn::TYPES_MAX + 1);
}

fn field() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        Just("\"\"".to_owned()),
        "[A-C]{1,2}",
        "[0-9]{1,3}",
        "[A-C^&~\\\\0-9é]{0,12}",
        "[A^&~]{1,3}",
        Just("20250131".to_owned()),
        Just("202501311200+0100".to_owned()),
    ]
}

fn message() -> impl Strategy<Value = String> {
    let segment = (
        prop::sample::select(vec!["PID", "OBX", "OBR", "ZAB", "PV1", "QQQ"]),
        prop::collection::vec(field(), 0..14),
    );
    let message_type = prop::sample::select(vec!["ORU^R01", "ADT^A01", "ADT^A08", "odd", ""]);
    (message_type, prop::collection::vec(segment, 0..6)).prop_map(|(message_type, segments)| {
        let mut text = format!("MSH|^~\\&|A|B|||20250131||{message_type}|1|P|2.5.1\r");
        for (name, fields) in segments {
            text.push_str(&format!("{name}|{}\r", fields.join("|")));
        }
        text
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_learned_profile_accepts_what_it_was_learned_from(messages in prop::collection::vec(message(), 1..24)) {
        let many: Vec<String> = messages.iter().cycle().take(messages.len() * 12).cloned().collect();
        let (profile, text) = learned(&many);
        accepts(&profile, &messages, &text);
    }
}
