//! What a further segment says of an element that one before it told is not written into it: it would be neither's.

use pipehat_message::Message;
use pipehat_resource::json::Value;
use pipehat_translate::{FindingKind, Settings, Translation, Translator};

const HEAD: &str = "PID|1||1^^^&1.2.3&ISO||Muster\r";

fn translate(code: &str, segments: &str) -> Translation {
    let text = format!("MSH|^~\\&|A|B|||20260315073000+0100||{code}|1|P|2.5.1\r{HEAD}{segments}");
    let message = Message::parse(text.as_bytes()).expect("a message");
    Translator::new(Settings::default()).to_fhir(&message)
}

fn first(translation: &Translation, name: &str) -> String {
    let mut entries = translation.bundle.items("entry").iter();
    let found = entries
        .find_map(|entry| entry.get("resource").filter(|own| own.resource_type() == Some(name)));
    found.map(Value::to_json).unwrap_or_else(|| panic!("no {name}"))
}

/// What a resource says with the first segment alone and with both, and whether a finding names the element.
#[track_caller]
fn check(
    code: &str,
    before: &str,
    segments: (&str, &str),
    (name, element): (&str, &str),
    same: bool,
) {
    let alone = translate(code, &format!("{before}{}", segments.0));
    let both = translate(code, &format!("{before}{}{}", segments.0, segments.1));
    assert_eq!(first(&alone, name), first(&both, name), "{}", segments.1);
    let text = format!(
        "`{element}` is told by another segment before: what that one says counts, as a whole"
    );
    let mut findings = both.findings.iter();
    let is_told = findings.any(|own| own.kind == FindingKind::ValueUnfit && own.text == text);
    assert_eq!(is_told, !same, "{}: {:?}", segments.1, both.findings);
}

#[test]
fn a_second_segment_is_not_mixed_with_the_first() {
    let drug = "ORC|NW|R1^KIS\rRXE||ABC^Paracetamol^99MED|500||mg\r";
    let routes = ("RXR|PO^Swallow, oral^HL70162\r", "RXR|SC^Subcutaneous^HL70162\r");
    check("RDE^O11^RDE_O11", drug, routes, ("MedicationRequest", "dosageInstruction.route"), false);
    check(
        "RDE^O11^RDE_O11",
        drug,
        (routes.0, routes.0),
        ("MedicationRequest", "dosageInstruction.route"),
        true,
    );
    let order = "ORC|NW|O1^KIS\r";
    let timed = (
        "TQ1|1||||||20260412080000+0100||S^Stat^HL70485\r",
        "TQ1|2||||||20260413080000+0100||R^Routine^HL70485\rOBR|1|O1^KIS||718-7^Hb^LN\r",
    );
    let both = translate("OML^O21^OML_O21", &format!("{order}{}{}", timed.0, timed.1));
    let request = first(&both, "ServiceRequest");
    assert!(
        request.contains("\"priority\":\"stat\"") && request.contains("2026-04-12"),
        "{request}"
    );
    let told =
        both.findings.iter().filter(|own| own.text.contains("is told by another segment before"));
    assert!(told.count() > 0, "{:?}", both.findings);
}

#[test]
fn a_final_diagnosis_is_not_made_provisional_by_a_working_one() {
    let check = |types: &[&str], expected: bool, told: usize| {
        let segments: String = types
            .iter()
            .enumerate()
            .map(|(at, type_)| format!("DG1|{}||J18.9^x^I10||20260101|{type_}\r", at + 1))
            .collect();
        let text = format!("EVN||20260101\r{HEAD}PV1|1|I\r{segments}");
        let text =
            format!("MSH|^~\\&|A|B|||20260315073000+0100||ADT^A08^ADT_A01|1|P|2.5.1\r{text}");
        let message = Message::parse(text.as_bytes()).expect("a message");
        let own = Translator::new(Settings::default()).to_fhir(&message);
        let condition = first(&own, "Condition");
        assert_eq!(condition.contains("\"provisional\""), expected, "{types:?} {condition}");
        let findings =
            own.findings.iter().filter(|it| it.text.contains("calls this diagnosis final"));
        let findings: Vec<_> = findings.map(|it| it.path.as_str()).collect();
        assert_eq!(findings.len(), told, "{types:?} {findings:?}");
    };
    check(&["F", "W"], false, 1);
    check(&["W", "F"], false, 1);
    check(&["F^Final^HL70052", "W^Working^HL70052"], false, 1);
    check(&["W", "F", "W"], false, 2);
    check(&["W"], true, 0);
    check(&["A", "W"], true, 0);
    check(&["W", "W"], true, 0);
}

/// What the first says nothing of is not filled in from the second: that is of another time, and another dose.
#[test]
fn a_second_segment_fills_no_gap_of_the_first() {
    let drug = "ORC|NW|R1^KIS\rRXE||ABC^Paracetamol^99MED|500||mg\r";
    let timings = (
        "TQ1|1||BID||||20260412|20260414\r",
        "TQ1|2||QHS||||20260415||S^Stat^HL70485||10 mg in the evening\r",
    );
    let of = |timings: &str| translate("RDE^O11^RDE_O11", &format!("{drug}{timings}"));
    let both = of(&[timings.0, timings.1].concat());
    assert_eq!(first(&both, "MedicationRequest"), first(&of(timings.0), "MedicationRequest"));
    assert!(both.findings.iter().any(|own| own.path == "TQ1(2)"), "{:?}", both.findings);
}

/// Who gave another dose, and why it was refused, says nothing of the first.
#[test]
fn a_second_administration_adds_nothing_to_the_first() {
    let head = "ORC|RE|R1^KIS\r";
    let given = "RXA|0|1|20260101080000|20260101080000|A1^x^99M|500|mg|||11^Eins||||||||||CP\r";
    let refused =
        "RXA|0|2|20260101200000|20260101200000|A1^x^99M|500|mg|||12^Zwei||||||||00^refused^L||RE\r";
    let of = |segments: &str| translate("RAS^O17^RAS_O17", &format!("{head}{segments}RXR|PO\r"));
    let both = of(&[given, refused].concat());
    let name = "MedicationAdministration";
    assert_eq!(first(&both, name), first(&of(given), name));
    assert!(both.findings.iter().any(|own| own.path == "RXA(2)"), "{:?}", both.findings);
}
