//! Where messages depart from a profile.

use pipehat_message::Message;

use super::profile;

const MESSAGE: &str = "MSH|^~\\&|LIS|LAB2|||20250131120000||ORU^R01|1|P|2.5.1\r\
    PID|1||123^^^LAB&1.2&ISO^MR~456^^^GEN||DOE^JO||198001|F\r\
    PV1|1|I|N1\r\
    OBR|1|||GLU\r\
    OBX|1|NM|GLU^Glucose^L||5.5|mmol/l|||||F\r\
    OBX|2|ST|COM^Comment^L||x||||||F\r\
    ZLB|1|A\r";

/// Checks the sample, with one part of it replaced.
#[track_caller]
fn check_with(text: &str, replaced: (&str, &str), expected: &[&str]) {
    let sample = MESSAGE.replacen(replaced.0, replaced.1, 1);
    let message = Message::parse(sample.as_bytes()).expect("a message");
    let found: Vec<String> = profile(text)
        .findings(&message)
        .iter()
        .map(|finding| format!("{} {}", finding.path(&message), finding.rule.id()))
        .collect();
    assert_eq!(found, expected, "{text}");
}

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    check_with(text, ("", ""), expected);
}

#[test]
fn message_types() {
    check("messages: [ORU^R01]", &[]);
    check("messages: [ORU]", &[]);
    check("messages: [ADT, ORU^R30]", &["MSH-9 profile-message-type"]);
}

#[test]
fn segments() {
    check("segments: { NK1: R }", &["NK1 profile-required"]);
    check("segments: { NK1: { cardinality: 1..1 } }", &["NK1 profile-required"]);
    check("segments: { OBX: X }", &["OBX profile-not-supported", "OBX(2) profile-not-supported"]);
    check("segments: { OBX: { cardinality: 0..2 } }", &[]);
    check("segments: { OBX: { cardinality: 0..1 } }", &["OBX(2) profile-cardinality"]);
    check("segments: { OBX: { cardinality: 3..9 } }", &["OBX profile-cardinality"]);
    check("segments: { NTE: { usage: C(R/O), when: 'PV1-2 = \"I\"' } }", &["NTE profile-required"]);
    check("segments: { NTE: { usage: C(R/O), when: 'PV1-2 = \"O\"' } }", &[]);
    check("segments: { ZLB: { after: [OBX] } }", &[]);
    check("segments: { ZLB: { after: [PID, NTE] } }", &["ZLB profile-standing"]);
    check("segments: { ZLB: { after: any } }", &[]);
}

#[test]
fn usage_of_fields_and_their_parts() {
    check("fields: { PID-8: R, PID-9: R }", &["PID-9 profile-required"]);
    check("fields: { PID-3.5: R }", &["PID-3[2].5 profile-required"]);
    check("fields: { PID-3.4.2: R }", &["PID-3[2].4.2 profile-required"]);
    check("fields: { PID-8: X }", &["PID-8 profile-not-supported"]);
    check("fields: { OBX-6: { usage: C(R/X), when: 'OBX-2 = \"NM\"' } }", &[]);
    check(
        "fields: { OBX-6: { usage: C, when: 'OBX-2 = \"ST\"' } }",
        &["OBX-6 profile-not-supported", "OBX(2)-6 profile-required"],
    );
    check("fields: { ZLB-3: R }", &["ZLB-3 profile-required"]);
}

#[test]
fn values() {
    check("fields: { PID-3: { cardinality: 1..1 } }", &["PID-3 profile-cardinality"]);
    check("fields: { PID-3: { cardinality: 2..2 } }", &[]);
    check(
        "fields: { PID-3.1: { length: 4 } }",
        &["PID-3.1 profile-length", "PID-3[2].1 profile-length"],
    );
    check("fields: { PID-3.1: { length: 3..* } }", &[]);
    check("fields: { PID-8: { values: [M] } }", &["PID-8 profile-values"]);
    check(
        "fields: { PID-8: { values: { table: 0001, without: [F] } } }",
        &["PID-8 profile-values"],
    );
    check(
        "fields: { PID-8: { values: { table: 0001 } }, PV1-3: { values: { codes: wards } } }",
        &[],
    );
    check("fields: { OBX-3: { values: [GLU] } }", &["OBX(2)-3 profile-values"]);
    check("fields: { PID-3.4: { values: [LAB] } }", &["PID-3[2].4 profile-values"]);
    check("fields: { MSH-4: { constant: LAB2 }, MSH-9: { constant: ORU^R01 } }", &[]);
    check("fields: { MSH-4: { constant: LAB3 } }", &["MSH-4 profile-constant"]);
    check("fields: { PID-7: { format: 'YYYYMM[DD]' } }", &[]);
    check("fields: { PID-7: { format: YYYYMMDD } }", &["PID-7 profile-format"]);
    check("fields: { PID-5: { pattern: '^[A-Z]+$' } }", &[]);
    check("fields: { PID-5.2: { pattern: '^J.N' } }", &["PID-5.2 profile-format"]);
    check_with("fields: { PID-8: { usage: R, values: [M] } }", ("|F\rPV1", "|\"\"\rPV1"), &[]);
}

#[test]
fn rules() {
    check("rules: [{ when: 'PV1-2 = \"I\"', require: PV1-7 }]", &["PV1-7 profile-rule"]);
    check("rules: [{ when: 'PV1-2 = \"O\"', require: PV1-7 }]", &[]);
    check("rules: [{ when: 'OBX-2 = \"NM\"', require: [OBX-6, OBX-7] }]", &["OBX-7 profile-rule"]);
    check("rules: [{ when: 'OBX-2 = \"NM\"', forbid: OBX-6 }]", &["OBX-6 profile-rule"]);
    check("rules: [{ when: 'OBX-2 = \"NM\"', then: 'OBX-5 matches \"^[0-9.]+$\"' }]", &[]);
    check("rules: [{ then: 'OBX-2 = \"NM\"' }]", &["OBX(2) profile-rule"]);
    check("rules: [{ when: 'PV1 exists', require: AL1 }]", &["AL1 profile-rule"]);
}

#[test]
fn no_text_tells_a_value() {
    let text =
        "fields: { PID-3.1: { length: 9 }, PID-5.1: { values: [Z], pattern: y, constant: Z } }";
    let message = Message::parse(MESSAGE.as_bytes()).expect("a message");
    let findings = profile(text).findings(&message);
    assert!(findings.len() >= 4);
    for finding in findings {
        assert!(
            !["123", "456", "DOE"].iter().any(|value| finding.text.contains(value)),
            "{}",
            finding.text
        );
    }
}
