//! Who a patient is where identifiers say no authority, and what a message that only refers to it may do.

use pipehat_message::Message;
use pipehat_resource::json::Value;
use pipehat_translate::{FindingKind, Settings, Translation, Translator};

const BASE: &str = "https://good.example/id/";
const ADMISSION: &str = "MSH|^~\\&|HIS|GOOD|||20260315073000+0100||ADT^A01^ADT_A01|1|P|2.5.1\r\
    PID|1||12345||Muster^Maria\rPV1|1|I\r";
const RESULT: &str = "MSH|^~\\&|HIS|GOOD|||20260315073000+0100||ORU^R01^ORU_R01|2|P|2.5.1\r\
    PID|1||12345||Muster\rOBR|1||F1^LAB|24323-8^Panel^LN|||||||||||||||||||||F\r";

fn translate(text: &str, base: Option<&str>) -> Translation {
    let message = Message::parse(text.as_bytes()).expect("a message");
    let settings = Settings { system_base: base.map(str::to_owned), ..Settings::default() };
    Translator::new(settings).to_fhir(&message)
}

fn find<'a>(translation: &'a Translation, name: &str) -> Option<&'a Value> {
    let mut entries = translation.bundle.items("entry").iter();
    entries.find(|entry| entry.get("resource").and_then(|own| own.resource_type()) == Some(name))
}

/// The request by which the patient is stored: its URL, and its condition where it has one.
#[track_caller]
fn check(text: &str, base: Option<&str>, expected: (&str, Option<&str>)) {
    let translation = translate(text, base);
    let entry = find(&translation, "Patient").expect("a patient");
    let request = entry.get("request").expect("a request");
    assert_eq!(request.text("url"), Some(expected.0));
    assert_eq!(request.text("ifNoneExist"), expected.1);
    let told = translation
        .findings
        .iter()
        .any(|finding| finding.kind == FindingKind::SystemUnknown && finding.path == "PID-3");
    assert!(told, "{:?}", translation.findings);
}

#[test]
fn a_number_without_an_authority_is_the_senders() {
    check(
        ADMISSION,
        Some(BASE),
        ("Patient?identifier=https://good.example/id/HIS/GOOD|12345", None),
    );
    check(
        RESULT,
        Some(BASE),
        ("Patient", Some("identifier=https://good.example/id/HIS/GOOD|12345")),
    );
}

#[test]
fn a_number_with_an_authority_is_looked_for_first() {
    let both = ADMISSION.replace("|12345|", "|12345~4711^^^GOOD^MR|");
    let translation = translate(&both, Some(BASE));
    let request = find(&translation, "Patient").and_then(|entry| entry.get("request"));
    assert_eq!(
        request.and_then(|request| request.text("url")),
        Some("Patient?identifier=https://good.example/id/GOOD|4711")
    );
}

#[test]
fn who_is_only_referred_to_never_replaces_what_was_told() {
    let admission = translate(ADMISSION, None);
    let told = find(&admission, "Patient").and_then(|entry| entry.get("resource"));
    let id = told.and_then(Value::id).expect("an id");
    check(ADMISSION, None, (&format!("Patient/{id}"), None));

    let result = translate(RESULT, None);
    assert!(find(&result, "Patient").is_none());
    let report = find(&result, "DiagnosticReport").and_then(|entry| entry.get("resource"));
    let subject = report.and_then(|own| own.get("subject")).expect("a subject");
    assert_eq!(subject.text("reference"), Some(&*format!("Patient/{id}")));
    let left_out = result.findings.iter().any(|finding| finding.path == "PID");
    assert!(left_out, "{:?}", result.findings);
}

/// The ids of a report and its result, as a sender tells them.
fn ids(application: &str, filler: &str, service: &str, base: Option<&str>) -> (String, String) {
    let text = format!(
        "MSH|^~\\&|{application}|GOOD|||20260315073000+0100||ORU^R01^ORU_R01|2|P|2.5.1\r\
         PID|1||12345^^^&1.2.3&ISO||Muster\r\
         OBR|1||{filler}|{service}|||||||||||||||||||||F\r\
         OBX|1|NM|GLU^Glucose^L||5|mg/dL|||||F\r"
    );
    let translation = translate(&text, base);
    let id = |name: &str| {
        let own = find(&translation, name).and_then(|entry| entry.get("resource"));
        own.and_then(Value::id).expect("an id").to_owned()
    };
    (id("DiagnosticReport"), id("Observation"))
}

#[test]
fn a_fillers_number_is_one_number_whichever_of_its_systems_sends_it() {
    let (oid, panel) = ("600^LAB^1.2.4^ISO", "GLU^Glucose^L");
    assert_eq!(ids("LIS1", oid, panel, None), ids("LIS2", oid, panel, None));
    assert_eq!(ids("LIS1", oid, panel, None), ids("LIS2", "600^^1.2.4^ISO", panel, None));
    assert_eq!(
        ids("LIS1", "600^LAB", panel, Some(BASE)),
        ids("LIS2", "600^LAB", panel, Some(BASE))
    );
    // Whose number it is nobody says: the sender's.
    assert_ne!(ids("LIS1", "600", panel, Some(BASE)), ids("LIS2", "600", panel, Some(BASE)));
    assert_ne!(ids("LIS1", "600^LAB", panel, None), ids("LIS2", "600^LAB", panel, None));
    assert_ne!(ids("LIS1", oid, panel, None), ids("LIS1", "601^LAB^1.2.4^ISO", panel, None));
    // One number for several panels, told one by one: none replaces another.
    assert_ne!(ids("LIS1", oid, panel, None).0, ids("LIS1", oid, "NA^Sodium^L", None).0);
}
