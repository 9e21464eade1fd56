//! A profile on top of the standard.

use std::sync::Arc;

use pipehat_message::Message;

use super::profile;
use crate::profile::ProfileConstraints;
use crate::validation::{Level, Standard, Validator};

const MESSAGE: &str = "MSH|^~\\&|LIS|LAB2|||20250131120000||ORU^R01^ORU_R01|1|P|2.5.1\r\
    PID|||123^^^LAB^MR||DOE^JO||19800101|W\r\
    OBR|1|||GLU^Glucose^L|||2025\r\
    OBX|1|NM|GLU^Glucose^L||5.5|mmol/l^^L||QQ|||F\r\
    ZLB|x|2025013\r";

/// What is found with a profile and not without it, and what is found without it only.
#[track_caller]
fn check(text: &str, added: &[&str], taken: &[&str]) {
    let message = Message::parse(MESSAGE.as_bytes()).expect("a message");
    let mut validator = Validator::new(Level::Strict);
    let shown = |findings: &crate::Findings| -> Vec<String> {
        findings.iter().map(|one| format!("{} {}", one.location, one.rule_id())).collect()
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
fn what_the_profile_says_counts() {
    check("", &[], &[]);
    check("fields: { PID-8: R }", &[], &[]);
    check("fields: { PID-8: { values: [W] } }", &[], &["PID-8 code-not-suggested"]);
    check(
        "fields: { OBX-8: { values: [H] } }",
        &["OBX-8 profile-values"],
        &["OBX-8 code-not-suggested"],
    );
    check("fields: { PID-9: R }", &["PID-9 profile-required"], &[]);
    check("segments: { NK1: R }", &["NK1 profile-required"], &[]);
}

#[test]
fn segments_of_the_partner_validate_like_any_other() {
    check("segments: { ZLB: { after: [OBX] } }", &[], &["ZLB segment-local"]);
    check(
        "segments: { ZLB: { after: [PID] } }\nfields: { ZLB-1: { type: SI }, ZLB-2: { type: DT } }",
        &["ZLB profile-standing", "ZLB-1 sequence-id-malformed", "ZLB-2 date-malformed"],
        &["ZLB segment-local"],
    );
}
