//! What a profile says of segment groups.

use std::sync::Arc;

use pipehat_message::Message;

use super::{profile, read};
use crate::profile::ProfileConstraints;
use crate::validation::{Level, Standard, Validator};

/// Two orders, the first with a specimen and two results, the second with one result.
const MESSAGE: &str = "MSH|^~\\&|LIS|LAB2|||20250131120000||ORU^R01^ORU_R01|1|P|2.5.1\r\
    PID|||123^^^LAB^MR||DOE^JO||19800101|F\r\
    NTE|1||patient\r\
    OBR|1|||GLU^Glucose^L|||2025\r\
    NTE|1||order\r\
    OBX|1|NM|GLU^Glucose^L||5.5|mmol/l^^L|||||F\r\
    OBX|2|ST|COM^Comment^L||x||||||F\r\
    SPM|1|||SER\r\
    OBR|2|||URE^Urea^L|||2025\r\
    OBX|1|NM|URE^Urea^L||1||||||F\r";

#[track_caller]
fn check_message(sample: &str, text: &str, expected: &[&str]) {
    let message = Message::parse(sample.as_bytes()).expect("a message");
    let profile = profile(text);
    let found: Vec<String> = profile
        .findings(&message)
        .iter()
        .map(|finding| format!("{} {}", finding.path(&message), finding.rule.id()))
        .collect();
    assert_eq!(found, expected, "{text}");
    let written = profile.write();
    let again = read(&written).unwrap_or_else(|mistakes| panic!("{mistakes}{written}"));
    assert_eq!(again.write(), written);
    assert_eq!(again.findings(&message).len(), expected.len(), "{written}");
}

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    check_message(MESSAGE, text, expected);
}

#[test]
fn usage_and_cardinality_of_groups() {
    check("groups: { /PATIENT_RESULT: R, /PATIENT_RESULT/PATIENT: R }", &[]);
    check(
        "groups: { /PATIENT_RESULT/ORDER_OBSERVATION/SPECIMEN: R }",
        &["/PATIENT_RESULT/ORDER_OBSERVATION(2)/SPM profile-required"],
    );
    check(
        "groups: { /ORDER_OBSERVATION/SPECIMEN: { cardinality: 1..1 } }",
        &["/PATIENT_RESULT/ORDER_OBSERVATION(2)/SPM profile-required"],
    );
    check(
        "groups: { /PATIENT_RESULT/PATIENT/VISIT: R }",
        &["/PATIENT_RESULT/PATIENT/PV1 profile-required"],
    );
    check("groups: { /PATIENT_RESULT/PATIENT: X }", &["PID profile-not-supported"]);
    // From the message on, all are counted.
    check("groups: { /SPECIMEN: { cardinality: 1..* } }", &[]);
    check("groups: { /SPECIMEN: { cardinality: 2..* } }", &["SPM profile-cardinality"]);
    check(
        "groups: { /PATIENT_RESULT/ORDER_OBSERVATION: { cardinality: 1..1 } }",
        &["OBR(2) profile-cardinality"],
    );
    check(
        "groups: { /ORDER_OBSERVATION/OBSERVATION: { cardinality: 2..9 } }",
        &["/PATIENT_RESULT/ORDER_OBSERVATION(2)/OBX profile-cardinality"],
    );
    check(
        "groups: { /ORDER_OBSERVATION/SPECIMEN: { usage: C(R/O), when: 'OBR-4.1 = \"URE\"' } }",
        &["/PATIENT_RESULT/ORDER_OBSERVATION(2)/SPM profile-required"],
    );
    check(
        "groups: { /ORDER_OBSERVATION/SPECIMEN: { usage: C(R/O), when: 'OBR-4.1 = \"GLU\"' } }",
        &[],
    );
}

#[test]
fn segments_in_groups() {
    check("segments: { /PATIENT_RESULT/PATIENT/NTE: X }", &["NTE profile-not-supported"]);
    check(
        "segments: { /ORDER_OBSERVATION/NTE: R }",
        &["/PATIENT_RESULT/ORDER_OBSERVATION(2)/NTE profile-required"],
    );
    check(
        "segments: { /ORDER_OBSERVATION/OBX: { cardinality: 0..1 } }",
        &["OBX(2) profile-cardinality"],
    );
    check("segments: { /PATIENT/ZPI: R }", &["/PATIENT_RESULT/PATIENT/ZPI profile-required"]);
}

#[test]
fn fields_in_groups() {
    check(
        "fields: { /ORDER_OBSERVATION/OBX-6: R }",
        &["OBX(2)-6 profile-required", "OBX(3)-6 profile-required"],
    );
    check(
        "fields: { /PATIENT_RESULT/PATIENT/NTE-3: { values: [order] } }",
        &["NTE-3 profile-values"],
    );
    check("fields: { /ORDER_OBSERVATION/NTE-3: { values: [order] } }", &[]);
    check(
        "fields: { /ORDER_OBSERVATION/OBR-4.1: { values: [GLU] }, OBR-4.2: R }",
        &["OBR(2)-4.1 profile-values"],
    );
}

#[test]
fn a_message_without_a_structure_has_no_groups() {
    let unknown = MESSAGE.replace("ORU^R01^ORU_R01", "ZZZ^Z01^ZZZ_Z01");
    check_message(&unknown, "groups: { /PATIENT_RESULT/PATIENT/VISIT: R }", &[]);
}

#[test]
fn a_message_whose_structure_has_no_such_group_is_not_asked_for_it() {
    let acknowledgment = "MSH|^~\\&|LIS|LAB2|||20250131120000||ACK^R01^ACK|1|P|2.5.1\rMSA|AA|1\r";
    check_message(
        acknowledgment,
        "groups: { /SPECIMEN: R, /PATIENT_RESULT: { cardinality: 1..1 } }",
        &[],
    );
}

/// What is found with a profile and not without it, and what is found without it only.
#[track_caller]
fn check_beside(text: &str, replaced: (&str, &str), added: &[&str], taken: &[&str]) {
    let sample = MESSAGE.replacen(replaced.0, replaced.1, 1);
    let message = Message::parse(sample.as_bytes()).expect("a message");
    let mut validator = Validator::new(Level::Standard);
    let shown = |findings: &crate::Findings| -> Vec<String> {
        findings.iter().map(|one| format!("{} {}", one.path(), one.rule_id())).collect()
    };
    let standard = shown(validator.validate(&message, &Standard));
    let constraints = ProfileConstraints::new(Arc::new(profile(text)));
    let found = shown(validator.validate(&message, &constraints));
    let only = |some: &[String], others: &[String]| -> Vec<String> {
        some.iter().filter(|one| !others.contains(one)).cloned().collect()
    };
    assert_eq!(only(&found, &standard), added, "{text}\n{found:?}");
    assert_eq!(only(&standard, &found), taken, "{text}\n{standard:?}");
}

#[test]
fn what_is_said_in_a_group_counts_there() {
    check_beside("groups: { /ORDER_OBSERVATION/SPECIMEN: O }", ("", ""), &[], &[]);
    let no_order = ("OBR|2|||URE^Urea^L|||2025\r", "ORC|RE\r");
    check_beside(
        "segments: { /ORDER_OBSERVATION/OBR: O }",
        no_order,
        &[],
        &["/PATIENT_RESULT/ORDER_OBSERVATION(2)/OBR segment-missing"],
    );
    check_beside("segments: { /PATIENT/OBR: O }", ("", ""), &[], &[]);
    let no_status = ("x||||||F", "x");
    check_beside(
        "fields: { /OBSERVATION/OBX-11: RE }",
        no_status,
        &[],
        &["OBX(2)-11 required-field-missing"],
    );
    check_beside("fields: { /PATIENT/NTE-1: RE }", no_status, &[], &[]);
}

#[test]
fn mistakes() {
    #[track_caller]
    fn check(text: &str, expected: &str) {
        let text = format!("profile: lab2\nversion: 2.5.1\nmessages: [ORU^R01]\n{text}");
        let mistakes = read(&text).expect_err("a mistake");
        assert!(mistakes.contains(expected), "{mistakes}");
    }
    check("groups: { /PATIENT_RESULT/ORDER_OBSERVATIONS: R }", "did you mean `ORDER_OBSERVATION`");
    check("groups: { /PATIENT/SPECIMEN: R }", "no `SPECIMEN` within `PATIENT`");
    check("groups: { PATIENT: R }", "groups as `/PATIENT_RESULT");
    check("groups: { /SPECIMEN(2): R }", "speaks of all of them");
    check("fields: { /PATIENT/OBX-5: R }", "within `PATIENT`");
    check("fields: { /SPECIMEN/OBX-5: { type: NM } }", "wherever a segment stands");
    check("segments: { /SPECIMEN/ZSP: { after: [SPM] } }", "wherever a segment stands");
}
