//! What the tables say, and what messages become of resources.

use std::fmt::Write as _;
use std::path::PathBuf;

use pipehat_dictionary::Version;
use pipehat_dictionary::validation::{Level, Standard, Validator};
use pipehat_message::{Message, Severity};
use pipehat_resource::json;

use super::tables::Tables;
use super::{Authority, Hierarchic, Profile, Resources, Stamp, Wanted, Writer, Written};

fn profile() -> Profile {
    Profile {
        sending_application: Hierarchic::named("PIPEHAT"),
        sending_facility: Hierarchic::named("HOSPITAL"),
        receiving_application: Hierarchic::named("LAB"),
        receiving_facility: Hierarchic::named("LABS"),
        system_base: Some("http://synth.example/id/".to_owned()),
        authorities: vec![Authority {
            system: "http://synth.example/id/mrn".to_owned(),
            authority: Hierarchic {
                namespace: "HOSPITAL".to_owned(),
                universal_id: "1.2.3".to_owned(),
                universal_id_type: "ISO".to_owned(),
            },
            type_code: Some("MR".to_owned()),
        }],
        ..Profile::default()
    }
}

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden/to_v2").join(name)
}

fn written(name: &str, event: &str, version: Version) -> Written {
    let text = std::fs::read(golden(&format!("{name}.json"))).expect("the golden Bundle");
    let bundle = json::parse(&text).expect("it is JSON");
    let resources = Resources::of_bundle(&bundle);
    let wanted = Wanted { event, version, order_control: None, lineage: true };
    let stamp = Stamp { time: "2026-05-06T08:00:00Z".parse().expect("a time"), control_id: "C1" };
    Writer::new(profile()).write(&wanted, &resources, &stamp).expect("a message")
}

/// The message that a Bundle becomes is what the file says, with its findings.
#[track_caller]
fn check(name: &str, event: &str, version: Version) {
    let written = written(name, event, version);
    let mut told = String::from_utf8(written.message.clone()).expect("UTF-8").replace('\r', "\n");
    for finding in &written.findings {
        let _ = writeln!(told, "{:?} {}: {}", finding.kind, finding.path, finding.text);
    }
    let file = golden(&format!("{name}.{}.{version}.txt", event.replace('^', "_").to_lowercase()));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&file, &told).expect("written");
    }
    let expected = std::fs::read_to_string(&file).expect("the golden message");
    assert_eq!(told, expected, "{}", file.display());
}

/// Each of these versions of the message is valid.
#[track_caller]
fn check_valid(name: &str, event: &str, versions: &[Version]) {
    for &version in versions {
        let written = written(name, event, version);
        let errors = errors(&written.message);
        let text = String::from_utf8_lossy(&written.message).replace('\r', "\n");
        assert!(errors.is_empty(), "{event} of {version}: {errors:#?}\n{text}");
    }
}

/// What the standard has against a message.
fn errors(message: &[u8]) -> Vec<String> {
    let message = Message::parse(message).expect("it is a message");
    let mut validator = Validator::new(Level::Standard);
    let findings = validator.validate(&message, &Standard);
    let bad = findings.iter().filter(|finding| finding.severity == Severity::Error);
    bad.map(|finding| format!("{finding:?}")).collect()
}

const VERSIONS: [Version; 8] = [
    Version::V2_3,
    Version::V2_3_1,
    Version::V2_4,
    Version::V2_5_1,
    Version::V2_6,
    Version::V2_7,
    Version::V2_8_2,
    Version::V2_9_1,
];

#[test]
fn a_visit_becomes_each_event_of_adt() {
    check("discharge", "ADT^A03", Version::V2_3);
    check("discharge", "ADT^A03", Version::V2_5_1);
    check("discharge", "ADT^A03", Version::V2_8_2);
    check("discharge", "ADT^A01", Version::V2_5_1);
    check("discharge", "ADT^A31", Version::V2_5_1);
    for event in
        ["ADT^A01", "ADT^A03", "ADT^A04", "ADT^A08", "ADT^A11", "ADT^A13", "ADT^A28", "ADT^A31"]
    {
        check_valid("discharge", event, &VERSIONS);
    }
}

#[test]
fn two_patients_become_a_merge() {
    check("merge", "ADT^A40", Version::V2_5_1);
    check_valid("merge", "ADT^A40", &VERSIONS);
}

#[test]
fn a_request_becomes_an_order() {
    check("order", "ORM^O01", Version::V2_5_1);
    check("order", "OML^O21", Version::V2_5_1);
    check_valid("order", "ORM^O01", &VERSIONS[..5]);
    check_valid("order", "OML^O21", &VERSIONS[2..]);
}

#[test]
fn a_report_becomes_a_result() {
    check("result", "ORU^R01", Version::V2_3);
    check("result", "ORU^R01", Version::V2_5_1);
    check("result", "ORU^R01", Version::V2_8_2);
    check_valid("result", "ORU^R01", &VERSIONS);
}

#[test]
fn an_appointment_becomes_a_schedule() {
    check("appointment", "SIU^S12", Version::V2_5_1);
    for event in ["SIU^S12", "SIU^S13", "SIU^S14", "SIU^S15", "SIU^S17", "SIU^S26"] {
        check_valid("appointment", event, &VERSIONS);
    }
}

#[test]
fn a_vaccination_becomes_an_update() {
    check("vaccination", "VXU^V04", Version::V2_5_1);
    check_valid("vaccination", "VXU^V04", &VERSIONS);
}

#[test]
fn a_document_becomes_a_notification() {
    check("document", "MDM^T02", Version::V2_5_1);
    check_valid("document", "MDM^T02", &VERSIONS);
}

#[test]
fn a_charge_becomes_a_transaction() {
    check("charge", "DFT^P03", Version::V2_5_1);
    check_valid("charge", "DFT^P03", &VERSIONS);
}

#[test]
fn the_tables_are_read() {
    if let Err(problem) = Tables::read() {
        panic!("{problem}");
    }
}
