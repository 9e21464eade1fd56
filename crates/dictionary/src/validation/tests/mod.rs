//! Validation of whole messages: a clean message of each kind, and what is found when one thing in it is changed.

use pipehat_message::{Message, Severity};
use proptest::prelude::*;

use super::{Level, Standard, Validator};
use crate::{FINDINGS_MAX, Version};

mod mutations;

/// An admission that keeps to version 2.5.1 to the letter.
const ADMIT: &str = "\
MSH|^~\\&|ADT|GENERAL|EHR|GENERAL|20260101120000||ADT^A01^ADT_A01|1|P|2.5.1
EVN||20260101120000
PID|1||4711^^^GENERAL^MR||Muster^Anna^^^^^L||19700101|F|||Main Street 1^^Town^^12345^USA^H
NK1|1|Muster^Otto^^^^^L|SPO^Spouse^HL70063
PV1|1|I|WARD^12^A^GENERAL||||1234^Doe^Jane|||MED|||||||1234^Doe^Jane||V1^^^GENERAL^VN
AL1|1|DA^Drug allergy^HL70127|PCN^Penicillin^L|MO
DG1|1||I21.9^Infarction^I10|||A
";

/// A result that keeps to version 2.5.1 to the letter.
const RESULT: &str = "\
MSH|^~\\&|LAB|GENERAL|EHR|GENERAL|20260101120000||ORU^R01^ORU_R01|1|P|2.5.1
PID|1||4711^^^GENERAL^MR||Muster^Anna^^^^^L||19700101|F
PV1|1|I|WARD^12^A^GENERAL
ORC|RE|O1^EHR|F1^LAB||CM
OBR|1|O1^EHR|F1^LAB|CBC^Count^L|||20260101113000|||||||||1234^Doe^Jane||||||20260101120000||HM|F
OBX|1|NM|718-7^Haemoglobin^LN||14.5|g/dL^^UCUM|12-16|N|||F|||20260101115000
OBX|2|ST|883-9^Blood group^LN||A||||||F
";

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Information => "information",
    }
}

fn findings(text: &str, level: Level) -> Vec<String> {
    let bytes = text.trim_end().replace('\n', "\r");
    let message = Message::parse(bytes.as_bytes()).expect("a message");
    let mut validator = Validator::new(level);
    let found = validator.validate(&message, &Standard);
    found
        .iter()
        .map(|one| format!("{} {} {}", word(one.severity), one.path(), one.rule_id()))
        .collect()
}

/// Replaces one thing in a message and looks at what is found at level `standard`.
#[track_caller]
fn check(message: &str, (old, new): (&str, &str), expected: &[&str]) {
    assert_eq!(message.matches(old).count(), 1, "{old:?} stands once in the message");
    assert_eq!(findings(&message.replace(old, new), Level::Standard), expected, "{old} -> {new}");
}

#[test]
fn messages_that_keep_to_the_standard_have_no_findings() {
    for message in [ADMIT, RESULT] {
        for level in Level::ALL {
            assert_eq!(findings(message, level), [""; 0], "{level}");
        }
    }
}

#[test]
fn structure() {
    check(ADMIT, ("EVN||20260101120000\n", ""), &["error EVN segment-missing"]);
    check(ADMIT, ("NK1|1|", "OBR|1||F1|X^Y^L\nNK1|1|"), &["warning OBR segment-unexpected"]);
    check(ADMIT, ("EVN||", "EVN||20260101120000\nEVN||"), &["warning EVN(2) segment-repeats"]);
    check(ADMIT, ("NK1|1|", "ABC|1\nNK1|1|"), &["warning ABC segment-unknown"]);
    check(ADMIT, ("NK1|1|", "ZAB|1\nNK1|1|"), &[]);
    check(ADMIT, ("NK1|1|", "and so on\nNK1|1|"), &["error line 4 line-not-segment"]);
    check(
        RESULT,
        (
            "OBR|1|O1^EHR|F1^LAB|CBC^Count^L|||20260101113000|||||||||1234^Doe^Jane||||||20260101120000||HM|F\n",
            "",
        ),
        &["error /PATIENT_RESULT/ORDER_OBSERVATION/OBR segment-missing"],
    );
}

#[test]
fn the_header() {
    check(ADMIT, ("ADT^A01^ADT_A01", ""), &["error MSH-9 message-type-missing"]);
    check(
        ADMIT,
        ("ADT^A01^ADT_A01", "ADT^A01"),
        &["information MSH-9.3 message-structure-missing"],
    );
    check(
        ADMIT,
        ("ADT^A01^ADT_A01", "ADT^A01^ADT_A0X"),
        &["warning MSH-9.3 message-structure-differs"],
    );
    check(
        ADMIT,
        ("ADT^A01^ADT_A01", "XYZ^X01"),
        &["error MSH-9 message-type-unknown", "information MSH-9.3 message-structure-missing"],
    );
    check(ADMIT, ("|1|P|2.5.1", "|1|X|2.5.1"), &["error MSH-11 processing-id-unknown"]);
    check(ADMIT, ("|1|P|2.5.1", "|1|P|"), &["warning MSH-12 version-missing"]);
    check(ADMIT, ("|1|P|2.5.1", "|1|P|2.77"), &["error MSH-12 version-unknown"]);
    check(ADMIT, ("|1|P|2.5.1", "||P|2.5.1"), &["error MSH-10 required-field-missing"]);
    check(ADMIT, ("MSH|^~\\&|", "MSH|^~\\&#|"), &["warning MSH-2 encoding-characters"]);
    check(ADMIT, ("|P|2.5.1", "|P|2.5.1||||||KLINGON"), &["warning MSH-18 character-set-unknown"]);
    check(ADMIT, ("Muster^Anna", "Müster^Anna"), &["warning MSH-18 character-set-undeclared"]);
    let utf8 = ADMIT.replace("|P|2.5.1", "|P|2.5.1||||||UNICODE UTF-8");
    let mut bytes = utf8.replace("Muster^Anna", "M\u{1}ster^Anna").replace('\n', "\r").into_bytes();
    for byte in bytes.iter_mut().filter(|byte| **byte == 1) {
        *byte = 0xFC;
    }
    let message = Message::parse(&bytes).expect("a message");
    let mut validator = Validator::new(Level::Standard);
    let found = validator.validate(&message, &Standard);
    let told: Vec<_> = found.iter().map(|one| (one.path(), one.rule_id())).collect();
    assert_eq!(told, [("PID".to_owned(), "character-set-undecodable")]);
}

#[test]
fn fields_and_components() {
    check(ADMIT, ("|Muster^Anna^^^^^L||", "|||"), &["error PID-5 required-field-missing"]);
    check(ADMIT, ("|Muster^Anna^^^^^L||", "|\"\"||"), &["warning PID-5 required-field-deleted"]);
    check(
        ADMIT,
        ("4711^^^GENERAL^MR", "^^^GENERAL^MR"),
        &["warning PID-3.1 required-component-missing"],
    );
    check(ADMIT, ("|19700101|F|", "|19700101~19700102|F|"), &["warning PID-7[2] field-repeats"]);
    check(ADMIT, ("|19700101|F|", "|19700101|F^female|"), &["warning PID-8.2 component-undefined"]);
    check(
        ADMIT,
        ("PCN^Penicillin^L", "PCN^Pen&Cillin^L"),
        &["warning AL1-3.2.2 subcomponent-undefined"],
    );
    check(
        ADMIT,
        ("^I10|||A", "^I10|||A|||||||||||||||||||x"),
        &["information DG1-25 field-undefined"],
    );
    check(
        ADMIT,
        ("PV1|1|I|", "PV1|12345|I|"),
        &["information PV1-1 set-id-sequence", "warning PV1-1 value-too-long"],
    );
    check(
        ADMIT,
        ("|MED|", "|ÄÖÜ|"),
        &["warning MSH-18 character-set-undeclared", "information PV1-10 code-not-suggested"],
    );
}

#[test]
fn values() {
    check(ADMIT, ("19700101", "19701301"), &["error PID-7.1 date-malformed"]);
    check(ADMIT, ("|19700101|", "| 19700101|"), &["warning PID-7.1 value-padded"]);
    check(ADMIT, ("PID|1|", "PID|A|"), &["error PID-1 sequence-id-malformed"]);
    check(
        ADMIT,
        ("4711^^^GENERAL^MR", "4711^^^GENERAL&1.2.x&ISO^MR"),
        &["warning PID-3.4.2 universal-id-malformed"],
    );
    check(
        ADMIT,
        ("4711^^^GENERAL^MR", "4711^^^GENERAL&1.2.3^MR"),
        &["warning PID-3.4.3 universal-id-incomplete"],
    );
    check(
        ADMIT,
        ("|ADT|GENERAL|EHR", "|ADT^1.2.3^ISO|GENERAL^x y^DNS|EHR"),
        &["warning MSH-4.2 universal-id-malformed"],
    );
    check(
        ADMIT,
        ("PCN^Penicillin^L", "PCN^Peni\\Q\\cillin^L"),
        &["warning AL1-3.2 escape-unknown"],
    );
    check(ADMIT, ("PCN^Penicillin^L", "PCN^C:\\cillin^L"), &["warning AL1-3.2 escape-malformed"]);
    check(RESULT, ("|14.5|", "|>14.5|"), &["error OBX-5 number-malformed"]);
    check(RESULT, ("|NM|718-7^Haemoglobin^LN||14.5|", "|SN|718-7^Haemoglobin^LN||>^14.5|"), &[]);
    check(
        RESULT,
        ("|NM|718-7^Haemoglobin^LN||14.5|", "|SN|718-7^Haemoglobin^LN||about^14.5|"),
        &["warning OBX-5.1 value-too-long", "error OBX-5.1 structured-numeric-malformed"],
    );
    check(
        RESULT,
        ("|NM|718-7^Haemoglobin^LN||14.5|", "|MO|718-7^Haemoglobin^LN||14.5^usd|"),
        &["warning OBX-5.2 currency-malformed"],
    );
    check(
        RESULT,
        ("|NM|718-7^Haemoglobin^LN||14.5|", "|DR|718-7^Haemoglobin^LN||20260102^20260101|"),
        &["warning OBX-5 range-reversed"],
    );
    check(
        RESULT,
        ("|NM|718-7^Haemoglobin^LN||14.5|", "||718-7^Haemoglobin^LN||14.5|"),
        &["error OBX-2 value-type-missing"],
    );
    check(
        RESULT,
        ("|NM|718-7^Haemoglobin^LN||14.5|", "|QQ|718-7^Haemoglobin^LN||14.5|"),
        &["error OBX-2 value-type-unknown"],
    );
}

#[test]
fn codes() {
    check(RESULT, ("|N|||F|", "|N|||Q|"), &["warning OBX-11 code-unknown"]);
    check(ADMIT, ("|F|||Main", "|Q|||Main"), &["information PID-8 code-not-suggested"]);
    check(
        ADMIT,
        ("DA^Drug allergy^HL70127", "QQ^Drug allergy^HL70127"),
        &["information AL1-2.1 code-not-suggested"],
    );
    // Of another coding system nothing can be said.
    check(ADMIT, ("DA^Drug allergy^HL70127", "QQ^Drug allergy^L"), &[]);
}

#[test]
fn conditions() {
    check(ADMIT, ("EVN||", "EVN|A08|"), &["warning EVN-1 evn-trigger-event"]);
    check(RESULT, ("ORC|RE|O1^EHR|F1^LAB|", "ORC|RE|||"), &["warning ORC-2 orc-order-number"]);
    check(
        RESULT,
        ("ORC|RE|O1^EHR|F1^LAB|", "ORC|NW||F1^LAB|"),
        &["warning ORC-2 orc-placer-order-number"],
    );
    check(RESULT, ("|HM|F\n", "|HM|\n"), &["warning OBR-25 obr-results-status"]);
    check(RESULT, ("|N|||F|", "|N|||P|"), &["warning OBX-11 obx-status-before-final"]);
    check(
        RESULT,
        ("|14.5|g/dL^^UCUM|12-16|N|", "||g/dL^^UCUM|12-16||"),
        &["information OBX-5 obx-value"],
    );
    check(RESULT, ("OBX|2|ST", "OBX|5|ST"), &["information OBX(2)-1 set-id-sequence"]);
    // The order's ORC has the numbers.
    check(RESULT, ("OBR|1|O1^EHR|F1^LAB|", "OBR|1|||"), &[]);
    let without = RESULT.replace("ORC|RE|O1^EHR|F1^LAB||CM\n", "");
    check(&without, ("OBR|1|O1^EHR|F1^LAB|", "OBR|1|||"), &["warning OBR-3 obr-order-number"]);
}

#[test]
fn levels_differ_in_severity() {
    let message = RESULT.replace("|N|||F|", "|N|||Q|").replace("|14.5|", "|>14.5|");
    assert_eq!(findings(&message, Level::Lenient), ["warning OBX-5 number-malformed"]);
    assert_eq!(
        findings(&message, Level::Strict),
        ["error OBX-5 number-malformed", "error OBX-11 code-unknown"]
    );
    assert_eq!(Level::named("default"), Some(Level::Standard));
    assert_eq!(Level::named("Strict"), None);
}

#[test]
fn texts_name_places_and_never_values() {
    let text = RESULT.replace("|14.5|", "|>14.5|").replace("|N|||F|", "|N|||Q|");
    let bytes = text.replace('\n', "\r");
    let message = Message::parse(bytes.as_bytes()).expect("a message");
    let mut validator = Validator::new(Level::Standard);
    let found = validator.validate(&message, &Standard);
    let told: Vec<_> = found.iter().map(|one| format!("{one} ({})", one.clause())).collect();
    assert_eq!(
        told,
        [
            "OBX-5: Observation Value is no number: NM has digits, an optional sign and decimal point (HL7 v2.5.1 §2.A.47)",
            "OBX-11: Observation Result Status has a code that HL7 table 0085 of version 2.5.1 does not list (HL7 v2.5.1 §2.5.3.6, table 0085)",
        ]
    );
}

#[test]
fn texts_use_the_words_of_the_version() {
    let told = |text: String| {
        let bytes = text.replace('\n', "\r");
        let message = Message::parse(bytes.as_bytes()).expect("a message");
        let mut validator = Validator::new(Level::Standard);
        let found = validator.validate(&message, &Standard);
        found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    let check = |from: &str, to: &str, version: &str, expected: &str| {
        let text = RESULT.replace(from, to).replace("|P|2.5.1", &format!("|P|{version}"));
        let told = told(text);
        assert!(told.contains(expected), "{told}");
    };
    check("|19700101|", "|1970-01-01|", "2.3", "is no TS value");
    check("|19700101|", "|1970-01-01|", "2.8", "is no DTM value");
    check(
        "OBX|1|NM",
        "OBX|1|QQ",
        "2.5.1",
        "OBX-2: this names a data type that version 2.5.1 does not have",
    );
    check("|19700101|F", "|19700101|FEMALE-OR-SO", "2.3", "is longer than 1 character:");
    check("ORC|RE", "GT1|1\nORC|RE", "2.9.1", "ORU_R01 has no segment GT1");
    check(
        "ORU^R01^ORU_R01",
        "ORU^R01^ORU_R03",
        "2.5.1",
        "MSH-9.3: MSH-9.3 is ORU_R03, which 2.5.1 does not have; ORU^R01 is ORU_R01",
    );
}

#[test]
fn a_person_may_say_which_version_it_is() {
    let text = ADMIT.replace("|P|2.5.1", "|P|2.77").replace('\n', "\r");
    let message = Message::parse(text.as_bytes()).expect("a message");
    let mut validator = Validator::new(Level::Standard).with_version(Version::V2_5_1);
    assert!(validator.validate(&message, &Standard).is_empty());
}

#[test]
fn findings_are_kept_up_to_the_limit_and_errors_rather_than_others() {
    let of = |wrong: usize| {
        let mut text = RESULT.to_owned();
        for number in 3..3 + wrong {
            text.push_str(&format!("OBX|{number}|ST|883-9^Blood group^LN||A||||||Q\n"));
        }
        text
    };
    let at_limit = findings(&of(FINDINGS_MAX), Level::Standard);
    assert_eq!(at_limit.len(), FINDINGS_MAX);
    assert!(at_limit.iter().all(|one| one.ends_with("code-unknown")));
    let beyond = findings(&of(FINDINGS_MAX + 1), Level::Standard);
    assert_eq!(beyond.len(), FINDINGS_MAX + 1);
    assert!(beyond.last().is_some_and(|one| one.ends_with("more-findings")));
    let mut with_error = of(FINDINGS_MAX + 1);
    with_error.push_str("OBX|900|NM|883-9^Blood group^LN||>A||||||F\n");
    let kept = findings(&with_error, Level::Standard);
    assert!(kept.iter().any(|one| one.ends_with("number-malformed")), "an error takes a place");
}

proptest! {
    /// No bytes make it panic, exceed its limit, or tell of a place without a name.
    #[test]
    fn anything_that_parses_validates(
        of_result in any::<bool>(),
        version in prop::option::of(0..Version::ALL.len()),
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0..4_usize, "[A-Z0-9|^~&\\\\\\r\" .-]{0,6}"), 1..12),
    ) {
        let mut bytes = if of_result { RESULT } else { ADMIT }.replace('\n', "\r").into_bytes();
        for (at, length, text) in edits {
            // The header's delimiters stay, so that most still parse.
            let at = 9 + at.index(bytes.len() - 9);
            let end = (at + length).min(bytes.len());
            bytes.splice(at..end, text.into_bytes());
        }
        if let Ok(message) = Message::parse(&bytes) {
            for level in Level::ALL {
                let mut validator = Validator::new(level);
                if let Some(version) = version.and_then(|index| Version::ALL.get(index)) {
                    validator = validator.with_version(*version);
                }
                let findings = validator.validate(&message, &Standard).clone();
                prop_assert!(findings.iter().len() <= FINDINGS_MAX + 1);
                for finding in &findings {
                    prop_assert!(!finding.text().is_empty() && !finding.path().is_empty());
                    prop_assert!(!finding.clause().is_empty() || finding.rule_id() == "more-findings");
                    let _ = (validator.group_of(finding), finding.name());
                }
            }
        }
    }
}
