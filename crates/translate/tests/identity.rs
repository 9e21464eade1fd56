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

/// What nothing but its message names is told of that message: a counter that restarts, or none, makes no two messages one.
#[test]
fn what_nothing_names_is_of_its_message() {
    const WEIGHT: &str = "OBX|1|NM|3141-9^Weight^LN||70|kg|||||F\r";
    const VISIT: &str = "PV1|1|I\r";
    let told = |kind: &str, (sent, control, patient): (&str, &str, &str), rest: &str| {
        let text = format!(
            "MSH|^~\\&|HIS|GOOD|||{sent}||{kind}|{control}|P|2.5.1\rPID|1||{patient}||Muster\r{rest}"
        );
        let translation = translate(&text, Some(BASE));
        let entries = translation.bundle.items("entry").iter();
        let urls = entries.filter_map(|entry| {
            let request = entry.get("request")?;
            let name = entry.get("resource")?.resource_type()?;
            let is_own = [
                "MessageHeader",
                "Provenance",
                "Observation",
                "DiagnosticReport",
                "Encounter",
                "Specimen",
            ];
            is_own.contains(&name).then(|| request.text("url").expect("a URL").to_owned())
        });
        urls.collect::<Vec<_>>()
    };
    let report = format!("OBR|1|||GLU^Glucose^L|||||||||||||||||||||F\r{WEIGHT}");
    let cases = [
        ("ADT^A08^ADT_A01", [VISIT, WEIGHT].concat()),
        ("ORU^R01^ORU_R01", report.clone()),
        ("ORU^R01^ORU_R01", format!("{report}SPM|1|||SER^Serum^L\r")),
    ];
    for (kind, rest) in &cases {
        let (now, later) = ("20260315073000+0100", "20260316073000+0100");
        let (one, other) = ("1^^^&1.2.3&ISO", "2^^^&1.2.3&ISO");
        for (sent, control) in [(now, "1"), (now, ""), ("", "1"), ("", "")] {
            let first = told(kind, (sent, control, one), rest);
            assert!(first.len() > 3, "{first:?}");
            assert_eq!(first, told(kind, (sent, control, one), rest), "{kind}");
            let others = [
                told(kind, (later, control, one), rest),
                told(kind, (sent, control, other), rest),
                told(kind, (sent, "2", one), rest),
            ];
            for other in &others {
                assert!(!other.iter().any(|url| first.contains(url)), "{kind} {first:?} {other:?}");
            }
        }
        // Without a control id or a time, what it says tells a message; without identifiers, who it is.
        for (sent, control, who) in [(now, "", one), ("", "1", one)] {
            let first = told(kind, (sent, control, who), rest);
            let other = told(kind, (sent, control, who), &rest.replace("|70|", "|71|"));
            assert!(!other.iter().any(|url| first.contains(url)), "{kind} {first:?} {other:?}");
        }
        let first = told(kind, (now, "1", ""), rest);
        let other = told(kind, (now, "1", "||Other"), rest);
        assert!(!other.iter().any(|url| first.contains(url)), "{kind} {first:?} {other:?}");
    }
}
