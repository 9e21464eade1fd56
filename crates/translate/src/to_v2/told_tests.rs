//! Changes that make what a receiver has another patient's, or another number's.

use std::collections::VecDeque;

use pipehat_resource::json::{Value, parse};

use super::event::{Untold, event_of};
use super::told::History;

/// Versions of a resource, the oldest first, those of them that were not asked for yet, and the patients that are there.
#[derive(Default)]
struct Kept {
    all: Vec<Value>,
    versions: VecDeque<Value>,
    patients: Vec<Value>,
    tells_incomplete: bool,
}

impl History for Kept {
    fn earlier(&mut self) -> Option<Value> {
        self.versions.pop_back()
    }

    fn version(&mut self, number: u64) -> Option<Value> {
        self.all.get(usize::try_from(number).ok()?.checked_sub(1)?).cloned()
    }

    fn patient(&mut self, reference: &str) -> Option<Value> {
        let id = reference.strip_prefix("Patient/")?;
        self.patients.iter().find(|own| own.id() == Some(id)).cloned()
    }

    fn tells_incomplete(&self) -> bool {
        self.tells_incomplete
    }
}

fn read(text: &str) -> Value {
    parse(text.as_bytes()).expect("it is JSON")
}

fn told(versions: &[String], patients: &[&str], tells_incomplete: bool) -> String {
    let (current, earlier) = versions.split_last().expect("it is something");
    let all: Vec<Value> = earlier.iter().map(|text| read(text)).collect();
    let versions = all.clone().into();
    let patients = patients.iter().map(|text| read(text)).collect();
    let mut kept = Kept { all, versions, patients, tells_incomplete };
    match event_of(&read(current), &mut kept) {
        Ok(proposed) => proposed.order_control.unwrap_or(proposed.event).to_owned(),
        Err(Untold::Nobody(_)) => String::new(),
        Err(Untold::Person(why)) => why.to_owned(),
        Err(Untold::TooFarBack) => "too far back".to_owned(),
    }
}

#[track_caller]
fn check(versions: &[String], expected: &str) {
    check_with(versions, &[], expected);
}

/// What the last of these changes tells, where these patients are.
#[track_caller]
fn check_with(versions: &[String], patients: &[&str], expected: &str) {
    let told = told(versions, patients, false);
    if expected.is_empty() {
        assert_eq!(told, "", "{versions:?}");
    } else {
        assert!(told.contains(expected), "{told} for {versions:?}");
    }
}

/// An order: its status, whose it is, and the rest.
fn order(status: &str, subject: &str, more: &str) -> String {
    format!(
        r#"{{"resourceType":"ServiceRequest","id":"s","status":"{status}","intent":"order","code":{{"text":"Na"}},"subject":{{"reference":"Patient/{subject}"}}{more}}}"#
    )
}

const NOTE: &str = r#","note":[{"text":"x"}]"#;
const PATIENT: &str = "another patient's";
const NUMBER: &str = "another placer's number";

#[test]
fn an_order_of_another_patient_is_no_change_of_what_was_told() {
    check(&[order("active", "a", ""), order("active", "b", "")], PATIENT);
    check(&[order("active", "a", ""), order("active", "a", NOTE)], "XO");
    // What was a draft only was told nobody.
    check(&[order("draft", "a", ""), order("active", "b", "")], "NW");
    check(&[order("active", "a", ""), order("draft", "b", ""), order("active", "b", "")], PATIENT);
    check(&[order("active", "a", ""), order("on-hold", "b", "")], PATIENT);
    check(&[order("active", "a", ""), order("revoked", "b", "")], PATIENT);
    check(
        &[order("active", "a", ""), order("completed", "b", ""), order("revoked", "b", "")],
        PATIENT,
    );
    check(&[order("active", "a", ""), order("revoked", "a", ""), order("active", "b", "")], "NW");
}

#[test]
fn what_a_person_had_to_decide_was_not_told() {
    let (first, other) = (order("active", "a", ""), order("active", "b", ""));
    check(&[first.clone(), other.clone(), order("active", "b", NOTE)], PATIENT);
    check(&[first.clone(), other.clone(), order("active", "a", NOTE)], "XO");
    check(&[first.clone(), other.clone(), order("revoked", "a", "")], "CA");
    // What was not taken back is not ordered anew.
    check(&[first.clone(), order("revoked", "b", ""), other.clone()], PATIENT);
    check(&[first, other, order("revoked", "a", ""), order("active", "b", "")], "NW");
}

#[test]
fn who_was_merged_is_no_other_patient() {
    let replaced = |id: &str, by: &str| {
        format!(
            r#"{{"resourceType":"Patient","id":"{id}","link":[{{"type":"replaced-by","other":{{"reference":"Patient/{by}"}}}}]}}"#
        )
    };
    let replaces = |id: &str, other: &str, kind: &str| {
        format!(
            r#"{{"resourceType":"Patient","id":"{id}","link":[{{"type":"{kind}","other":{{"reference":"Patient/{other}/_history/2"}}}}]}}"#
        )
    };
    let moved = [order("active", "a", ""), order("active", "b", "")];
    check_with(&moved, &[&replaced("a", "b")], "XO");
    check_with(&moved, &[&replaces("b", "a", "replaces")], "XO");
    check_with(&moved, &[&replaces("b", "a", "seealso")], PATIENT);
    check_with(&moved, &[&replaced("a", "c"), &replaced("c", "b")], "XO");
    check_with(&moved, &[&replaced("a", "c"), &replaces("b", "c", "replaces")], "XO");
    check_with(&moved, &[&replaced("a", "c"), &replaced("c", "a")], PATIENT);
    let twice = [order("active", "a", ""), order("active", "b", ""), order("revoked", "c", "")];
    check_with(&twice, &[&replaced("a", "b"), &replaced("b", "c")], "CA");
    check_with(&twice, &[&replaced("a", "b")], PATIENT);
}

#[test]
fn an_order_of_another_number_is_no_change_of_what_was_told() {
    let number = |numbers: &str| order("active", "a", &format!(r#","identifier":[{numbers}]"#));
    let placer = |value: &str| {
        format!(
            r#"{{"type":{{"coding":[{{"code":"PLAC"}}]}},"system":"urn:oid:1.2","value":"{value}"}}"#
        )
    };
    let filler = r#"{"type":{"coding":[{"code":"FILL"}]},"value":"F1"}"#;
    check(&[number(&placer("1")), number(&placer("2"))], NUMBER);
    check(&[number(&placer("1")), number(&placer("2")), number(&placer("1"))], "XO");
    check(&[number(&placer("1")), number(&format!("{filler},{}", placer("1")))], "XO");
    check(&[number(r#"{"value":"1"}"#), number(&placer("1"))], "XO");
    check(&[number(r#"{"value":"1"}"#), number(r#"{"value":"2"}"#)], NUMBER);
    check(&[number(&placer("1")), number(&placer("1").replace("1.2", "1.3"))], NUMBER);
    // One without a number goes by its id, also when the filler has numbered it.
    check(&[order("active", "a", ""), number(filler)], "XO");
    check(&[order("active", "a", ""), number(&placer("1"))], NUMBER);
    check(&[number(&placer("1")), order("active", "a", "")], NUMBER);
    check(&[number(&placer("1")), number(&placer("2")).replace("active", "revoked")], NUMBER);
    check(&[number(&placer("1")).replace("active", "draft"), number(&placer("2"))], "NW");
    // What is out of use is told nowhere.
    let old = r#"{"use":"old","type":{"coding":[{"code":"PLAC"}]},"value":"0"}"#;
    check(&[number(&placer("1")), number(&format!("{old},{}", placer("1")))], "XO");
}

#[test]
fn an_order_that_says_nothing_was_not_told() {
    let (order, nothing) = (order("active", "a", ""), order("active", "a", ""));
    let nothing = nothing.replace(r#""code":{"text":"Na"},"#, "");
    check(&[nothing.clone(), order.clone()], "NW");
    assert_eq!(told(&[nothing.clone(), order.clone()], &[], true), "XO");
    check(&[nothing, order.replace("active", "revoked")], "");
    let nobody = order.replace(r#","subject":{"reference":"Patient/a"}"#, "");
    check(&[nobody.clone(), order.clone()], "NW");
    assert_eq!(told(&[nobody, order], &[], true), "XO");
}

#[test]
fn how_far_back_it_is_read() {
    let changes = |first: String, count: usize| {
        let mut versions = vec![first];
        let rest = (0..count).map(|at| order("active", "b", &format!(r#","n":{at}"#)));
        versions.extend(rest);
        versions
    };
    for count in [1, 15, 16, 17, 40, 64] {
        check(&changes(order("active", "a", ""), count), PATIENT);
    }
    // What was told further back is not known; only that it was told first as another's.
    check(&changes(order("active", "a", ""), 65), "too far back");
    check(&changes(order("active", "b", ""), 100), "XO");
    let revoked = |mut versions: Vec<String>| {
        versions.push(order("revoked", "b", ""));
        versions
    };
    check(&revoked(changes(order("active", "a", ""), 17)), PATIENT);
    check(&revoked(changes(order("active", "a", ""), 70)), "too far back");
    check(&revoked(changes(order("active", "b", ""), 70)), "CA");
    // What was a draft was told nobody.
    let drafted = |subject: &str| {
        let mut versions = changes(order("active", subject, ""), 70);
        versions.insert(0, order("draft", "a", ""));
        versions
    };
    check(&drafted("b"), "XO");
    check(&drafted("a"), "too far back");
    let numbered = |first: &str, count: usize| {
        let number = |value: &str, at: usize| {
            order("active", "b", &format!(r#","identifier":[{{"value":"{value}"}}],"n":{at}"#))
        };
        let mut versions = vec![number(first, 200)];
        versions.extend((0..count).map(|at| number("2", at)));
        versions
    };
    check(&numbered("1", 17), NUMBER);
    check(&numbered("1", 70), "too far back");
    check(&numbered("2", 70), "XO");
    let visits = |first: &str, count: usize| {
        let visit = |subject: &str, at: usize| {
            format!(
                r#"{{"resourceType":"Encounter","id":"s","status":"in-progress","class":{{"code":"IMP"}},"subject":{{"reference":"Patient/{subject}"}},"n":{at}}}"#
            )
        };
        let mut versions = vec![visit(first, 200)];
        versions.extend((0..count).map(|at| visit("b", at)));
        versions
    };
    check(&visits("a", 17), PATIENT);
    check(&visits("a", 70), "too far back");
    check(&visits("b", 70), "ADT^A08");
    let held = |first: String, count: usize| {
        let mut versions = vec![first];
        versions.extend((0..count).map(|at| order("on-hold", "a", &format!(r#","n":{at}"#))));
        versions.push(order("active", "a", ""));
        versions
    };
    check(&held(order("active", "a", ""), 63), "RL");
    check(&held(order("active", "a", ""), 64), "too far back");
}

#[test]
fn an_appointment_keeps_its_numbers() {
    let booked = |patients: &[&str], more: &str| {
        let patients: Vec<String> = patients
            .iter()
            .map(|id| format!(r#"{{"actor":{{"reference":"Patient/{id}"}},"status":"accepted"}}"#))
            .collect();
        format!(
            r#"{{"resourceType":"Appointment","id":"s","status":"booked","participant":[{}]{more}}}"#,
            patients.join(",")
        )
    };
    let number = |value: &str| format!(r#","identifier":[{{"value":"{value}"}}]"#);
    check(&[booked(&["a"], ""), booked(&["a"], r#","comment":"x""#)], "SIU^S14");
    check(&[booked(&["a"], &number("1")), booked(&["a"], &number("2"))], "another number");
    let moved = |value: &str| format!(r#","start":"2026-06-01T09:00:00Z"{}"#, number(value));
    check(&[booked(&["a"], &number("1")), booked(&["a"], &moved("2"))], "another number");
    check(
        &[
            booked(&["a"], &number("1")),
            booked(&["a"], &number("2")).replace("booked", "cancelled"),
        ],
        "another number",
    );
    check(
        &[booked(&["a"], &number("1")).replace("booked", "proposed"), booked(&["a"], &number("2"))],
        "SIU^S12",
    );
    check(&[booked(&["a"], &number("1")), booked(&["a"], &moved("1"))], "SIU^S13");
    check(&[booked(&["a"], ""), booked(&["a"], &number("1"))], "another number");
    // Another may take the patient's place in the schedule.
    check(&[booked(&["a"], ""), booked(&["b"], "")], "SIU^S14");
}

#[test]
fn a_visit_stays_its_patients_and_keeps_its_number() {
    let visit = |status: &str, subject: &str, more: &str| {
        format!(
            r#"{{"resourceType":"Encounter","id":"s","status":"{status}","class":{{"code":"IMP"}},"subject":{{"reference":"Patient/{subject}"}}{more}}}"#
        )
    };
    let number = |value: &str| format!(r#","identifier":[{{"value":"{value}"}}]"#);
    let begun = visit("in-progress", "a", &number("1"));
    check(&[begun.clone(), visit("in-progress", "b", &number("1"))], PATIENT);
    check(&[begun.clone(), visit("finished", "b", &number("1"))], PATIENT);
    check(&[begun.clone(), visit("cancelled", "b", &number("1"))], PATIENT);
    check(&[begun.clone(), visit("in-progress", "a", &number("2"))], "another number");
    check(&[begun.clone(), visit("finished", "a", &number("1"))], "ADT^A03");
    check(
        &[visit("planned", "a", &number("1")), visit("in-progress", "b", &number("2"))],
        "ADT^A01",
    );
    check(
        &[
            begun.clone(),
            visit("cancelled", "a", &number("1")),
            visit("in-progress", "b", &number("2")),
        ],
        "ADT^A01",
    );
    // One without a number is found by its patient.
    check(&[visit("in-progress", "a", ""), begun.clone()], "ADT^A08");
    let merged = r#"{"resourceType":"Patient","id":"a","link":[{"type":"replaced-by","other":{"reference":"Patient/b"}}]}"#;
    check_with(&[begun, visit("in-progress", "b", &number("1"))], &[merged], "ADT^A08");
}
