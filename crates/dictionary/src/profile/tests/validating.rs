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

#[test]
fn findings_about_the_partners_own_have_its_names() {
    let text = "segments: { ZLB: { name: Notes, after: [PID] } }\n\
        fields: { ZLB-1: { name: Number, type: SI }, ZLB-2: { name: Day, type: DT }, ZLB-3: { name: Author, type: XCN, usage: R }, ZLB-3.1: R, PID-9: R }";
    let message = MESSAGE.replace("ZLB|x|2025013", "ZLB|x|2025013|^^^^^^^^&ROOT&GUID&x");
    let message = Message::parse(message.as_bytes()).expect("a message");
    let constraints = ProfileConstraints::new(Arc::new(profile(text)));
    let mut validator = Validator::new(Level::Standard);
    let found: Vec<String> = validator
        .validate(&message, &constraints)
        .iter()
        .filter(|one| {
            matches!(
                one.location.segment.map(|name| name.to_string()).as_deref(),
                Some("ZLB" | "PID")
            )
        })
        .filter(|one| one.location.field != 8)
        .map(|one| format!("{} [{}] {}", one.path(), one.name(), one.text()))
        .collect();
    assert_eq!(
        found,
        [
            "PID-9 [Patient Alias] PID-9 (Patient Alias) is missing",
            "ZLB [Notes] the segment ZLB (Notes) may stand only after PID",
            "ZLB-1 [Number] Number is no sequence ID: SI has digits only",
            "ZLB-2 [Day] Day is no DT value: write an existing date or time as YYYY[MM[DD]]",
            "ZLB-3.1 [Author, ID Number] ZLB-3.1 (Author, ID Number) is missing",
            "ZLB-3.9.4 [Author, Assigning Authority] Author, Assigning Authority has more subcomponents than HD of version 2.5.1: escape the subcomponent separator if it is text",
        ]
    );
}

/// What is found about the fields of the sample's ZLB, with these fields in it.
#[track_caller]
fn check_types(text: &str, fields: &str, expected: &[&str]) {
    let message = MESSAGE.replace("ZLB|x|2025013", &format!("ZLB|{fields}"));
    let message = Message::parse(message.as_bytes()).expect("a message");
    let constraints = ProfileConstraints::new(Arc::new(profile(text)));
    let mut validator = Validator::new(Level::Strict);
    let found: Vec<String> = validator
        .validate(&message, &constraints)
        .iter()
        .filter(|one| one.location.segment.is_some_and(|name| name.as_str() == "ZLB"))
        .map(|one| format!("{} {}", one.location, one.rule_id()))
        .collect();
    assert_eq!(found, expected, "{text} {fields}");
}

#[test]
fn components_are_checked_by_the_types_the_profile_gives_them() {
    let untyped = "fields: { ZLB-1: { name: A }, ZLB-1.2: { type: NM }, ZLB-1.3: { type: HD } }";
    check_types(untyped, "a^1^LAB&1.2&ISO^more&still", &[]);
    check_types(untyped, "a^b^LAB&1.2&ISO", &["ZLB-1.2 number-malformed"]);
    check_types(untyped, "a^1~a^b", &["ZLB-1[2].2 number-malformed"]);
    check_types(untyped, "a^1^LAB&1.2&ISO&x", &["ZLB-1.3.4 subcomponent-undefined"]);
    let typed = "fields: { ZLB-1: { type: XPN }, ZLB-1.2: { type: SI }, ZLB-2: { type: XPN } }";
    check_types(typed, "Doe^Jo", &["ZLB-1.2 sequence-id-malformed"]);
    check_types(typed, "Doe^1|Doe^Jo", &[]);
    let primitive = "fields: { ZLB-1: { type: NM }, ZLB-1.2: { type: DT } }";
    check_types(primitive, "1^20250131", &[]);
    check_types(primitive, "x^2025013", &["ZLB-1.1 number-malformed", "ZLB-1.2 date-malformed"]);
    check_types(primitive, "1^20250131^x", &["ZLB-1.3 component-undefined"]);
    let deep = "fields: { ZLB-1: { type: CX }, ZLB-1.4.2: { type: NM }, ZLB-2.1.2: { type: NM } }";
    check_types(deep, "1^^^LAB&x&L", &["ZLB-1.4.2 number-malformed"]);
    check_types(deep, "1^^^LAB&1&L|a&b^c", &["ZLB-2.1.2 number-malformed"]);
}

#[test]
fn a_fields_type_stays_that_of_other_fields() {
    check(
        "fields: { PID-5.2: { type: NM }, OBR-4.2: { type: NM } }",
        &["PID-5.2 number-malformed", "OBR-4.2 number-malformed"],
        &[],
    );
    check("fields: { PID-5.20: { name: Tribe } }", &[], &[]);
}

/// What the profile finds wrong with the places of segments, in a message that no version knows.
#[track_caller]
fn check_standing(segments: &str, expected: &[&str]) {
    let text = "messages: [ZLR^Z01]\nsegments:\n  ZLB: { name: Laboratory, usage: R, after: [MSH, ZLN] }\n  \
        ZLN: { name: Note, after: [ZLB] }\n  PID: { after: [ZLB, ZLN] }\n";
    let message =
        format!("MSH|^~\\&|LIS|LAB2|||20250131120000||ZLR^Z01^ZLR_Z01|1|P|2.5.1\r{segments}");
    let message = Message::parse(message.as_bytes()).expect("a message");
    let constraints = ProfileConstraints::new(Arc::new(profile(text)));
    let mut validator = Validator::new(Level::Standard);
    let found: Vec<String> = validator
        .validate(&message, &constraints)
        .iter()
        .filter(|one| one.rule_id().starts_with("profile-"))
        .map(|one| format!("{} {}", one.path(), one.rule_id()))
        .collect();
    assert_eq!(validator.resolved().and_then(|resolved| resolved.structure), None);
    assert_eq!(found, expected, "{segments}");
}

#[test]
fn the_order_of_segments_is_the_profiles_where_no_structure_is_known() {
    check_standing("ZLB|1\rZLN|1\rZLN|2\rZLB|2\rPID|1\r", &[]);
    check_standing("ZLB|1\rPID|1\r", &[]);
    check_standing("PID|1\rZLB|1\r", &["PID profile-standing", "ZLB profile-standing"]);
    check_standing("ZLN|1\rZLB|1\rPID|1\r", &["ZLN profile-standing"]);
    check_standing("ZLB|1\rPID|1\rZLN|1\r", &["ZLN profile-standing"]);
    check_standing("ZLN|1\r", &["ZLN profile-standing", "ZLB profile-required"]);
}
