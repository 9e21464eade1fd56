//! What a message does not speak of: a visit that is told of by an update is no visit that begins, and where the resource
//! stands already, it stays as it stands.

use pipehat_message::Message;
use pipehat_resource::json::Value;
use pipehat_resource::kept::Keeps;
use pipehat_resource::validate::{Checks, validate};
use pipehat_translate::{Settings, Translator};

/// The resource of a type in a message sent on 15 March 2026 at 07:30, and which of its elements stay as they stand.
fn told(event: &str, lines: &[&str], name: &str) -> Option<(Value, Vec<String>)> {
    let mut text = format!("MSH|^~\\&|HIS|GOOD|||20260315073000+0100||{event}|1|P|2.5.1\r");
    let mut lines = lines.to_vec();
    // Behind SCH, which is the message's own.
    lines.insert(usize::from(event.starts_with("SIU")), "PID|1||4711^^^GOOD^MR||Muster^Maria");
    text += &lines.join("\r");
    let message = Message::parse(text.as_bytes()).expect("a message");
    let base = Some("https://good.example/id/".to_owned());
    let told =
        Translator::new(Settings { system_base: base, ..Settings::default() }).to_fhir(&message);
    for issue in validate(&told.bundle, Checks::All) {
        assert!(!issue.is_error(), "{:?} {}", issue.expression, issue.text);
    }
    let mut entries = told.bundle.items("entry").iter();
    let entry =
        entries.find(|own| own.get("resource").and_then(Value::resource_type) == Some(name))?;
    let keeps = Keeps::of_request(entry.get("request")?).expect("it is read").unwrap_or_default();
    let keeps = keeps.elements().map(str::to_owned).collect();
    Some((entry.get("resource")?.clone(), keeps))
}

/// A visit by its class, number, begin and end.
fn visit(class: &str, begin: &str, end: &str) -> String {
    let line =
        format!("PV1|1|{class}|W1{}V1^^^GOOD{}{begin}|{end}", "|".repeat(16), "|".repeat(25));
    line.trim_end_matches('|').to_owned()
}

/// The status of the visit, that of its place, and whether the status stays as it stands.
#[track_caller]
fn check(event: &str, lines: &[&str], expected: (&str, Option<&str>, bool)) {
    let (encounter, keeps) = told(event, lines, "Encounter").expect("a visit");
    let status = encounter.text("status").unwrap_or_default();
    let place = encounter.items("location").first().and_then(|place| place.text("status"));
    let is_kept = keeps.iter().any(|own| own == "status");
    assert_eq!((status, place, is_kept), expected, "{event} {lines:?}");
}

#[test]
fn an_update_does_not_say_that_a_visit_begins() {
    for event in ["ADT^A08^ADT_A01", "ADT^A28^ADT_A05", "ADT^A31^ADT_A05", "BAR^P05^BAR_P05"] {
        check(event, &[&visit("I", "", "")], ("unknown", None, true));
        check(event, &[&visit("I", "20260310", "")], ("in-progress", Some("active"), true));
        check(event, &[&visit("I", "20260315", "")], ("in-progress", Some("active"), true));
        check(event, &[&visit("I", "20260401", "")], ("planned", Some("planned"), true));
        check(event, &[&visit("P", "", "")], ("planned", Some("planned"), true));
        let expected = "PV2||||||||20260401";
        check(event, &[&visit("I", "", ""), expected], ("planned", Some("planned"), true));
        // Where the message says that it ended, that counts.
        let ended = visit("I", "20260310", "20260314");
        check(event, &[&ended], ("finished", Some("completed"), false));
    }
}

#[test]
fn an_event_says_that_a_visit_begins() {
    for event in ["ADT^A01^ADT_A01", "ADT^A04^ADT_A01", "ADT^A02^ADT_A02", "ADT^A06^ADT_A06"] {
        check(event, &[&visit("I", "20260401", "")], ("in-progress", Some("active"), false));
        check(event, &[&visit("I", "", "")], ("in-progress", Some("active"), false));
    }
    check("ADT^A05^ADT_A05", &[&visit("I", "", "")], ("planned", Some("planned"), false));
}

/// What of a resource stays as it stands.
#[track_caller]
fn check_kept(event: &str, lines: &[&str], name: &str, expected: &[&str]) {
    let (_, keeps) = told(event, lines, name).expect("a resource");
    assert_eq!(keeps, expected, "{event} {lines:?}");
}

#[test]
fn an_empty_field_changes_nothing() {
    let a08 = "ADT^A08^ADT_A01";
    let bare = ["status", "period.start", "period.end", "hospitalization.dischargeDisposition"];
    check_kept(a08, &[&visit("I", "", "")], "Encounter", &bare);
    let begun = ["status", "period.end", "hospitalization.dischargeDisposition"];
    check_kept(a08, &[&visit("I", "20260310", "")], "Encounter", &begun);
    check_kept(a08, &[&visit("I", "20260310", "20260314")], "Encounter", &[]);
    // `""` takes away (HL7 v2.5.1 §2.5.3).
    let deleted = visit("I", "20260310", "\"\"");
    check_kept(a08, &[&deleted], "Encounter", &["status", "hospitalization.dischargeDisposition"]);
    // A result is not about visits, and changes none.
    let lines = [visit("I", "", ""), "OBR|1||F1^LAB|T^Test^L".to_owned()];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    check_kept("ORU^R01^ORU_R01", &lines, "Encounter", &[]);
}

#[test]
fn a_changed_appointment_stays_what_it_was() {
    let lines = |status: &str| {
        format!(
            "SCH||F1^GOOD|||||||||^^^20260401090000+0100^20260401093000+0100{}{status}",
            "|".repeat(14)
        )
    };
    let (bare, told) = (lines(""), lines("Cancelled"));
    let all = ["status", "cancelationReason"];
    check_kept("SIU^S14^SIU_S12", &[&bare], "Appointment", &all);
    check_kept("SIU^S14^SIU_S12", &[&told], "Appointment", &[]);
    for event in ["SIU^S12^SIU_S12", "SIU^S13^SIU_S12", "SIU^S15^SIU_S12"] {
        check_kept(event, &[&bare], "Appointment", &[]);
    }
    let timeless = "SCH||F1^GOOD";
    let all = ["status", "cancelationReason", "start", "end"];
    check_kept("SIU^S14^SIU_S12", &[timeless], "Appointment", &all);
}

#[test]
fn a_document_keeps_the_content_that_a_message_does_not_bring() {
    let document = "TXA|1|DS|TX|||20260314||||||DOC1^DOC|||||LA||AV";
    let text = "OBX|1|TX|A^History^L||one||||||F";
    for event in ["MDM^T01^MDM_T01", "MDM^T03^MDM_T01", "MDM^T09^MDM_T01", "MDM^T11^MDM_T01"] {
        let (told, keeps) = told(event, &[document], "DocumentReference").expect("a document");
        assert!(keeps.iter().any(|own| own == "content"), "{event} {keeps:?}");
        assert!(keeps.iter().any(|own| own == "author"), "{event} {keeps:?}");
        for own in ["docStatus", "status", "date", "type"] {
            assert!(!keeps.iter().any(|kept| kept == own), "{event} {own}");
        }
        assert!(told.text("docStatus").is_some() || told.get("_docStatus").is_some());
    }
    check_kept("MDM^T02^MDM_T02", &[document, text], "DocumentReference", &[]);
    check_kept("MDM^T10^MDM_T02", &[document, text], "DocumentReference", &[]);
}
