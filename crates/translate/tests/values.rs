//! Values that senders write in more ways than one: none is lost, and none becomes what it is not.

use pipehat_message::Message;
use pipehat_resource::json::Value;
use pipehat_resource::validate::{Checks, validate};
use pipehat_translate::{LineageLimits, Settings, Translation, Translator};

fn translate(lines: &[&str]) -> Translation {
    let text = lines.join("\r");
    let message = Message::parse(text.as_bytes()).expect("a message");
    let base = Some("https://good.example/id/".to_owned());
    let settings = Settings { system_base: base, ..Settings::default() };
    Translator::new(settings).to_fhir(&message)
}

fn resource<'a>(translation: &'a Translation, name: &str) -> &'a Value {
    let mut all = translation.bundle.items("entry").iter().filter_map(|own| own.get("resource"));
    all.find(|own| own.resource_type() == Some(name)).expect("the resource")
}

/// A resource's element, as JSON.
#[track_caller]
fn check(lines: &[&str], name: &str, element: &str, expected: &str) -> Translation {
    let translation = translate(lines);
    let found = resource(&translation, name).get(element).map(Value::to_json);
    assert_eq!(found.as_deref().unwrap_or_default(), expected, "{:?}", translation.findings);
    for issue in validate(&translation.bundle, Checks::All) {
        assert!(!issue.is_error(), "{:?} {}", issue.expression, issue.text);
    }
    translation
}

fn told(translation: &Translation, place: &str) -> bool {
    translation.findings.iter().any(|finding| finding.path.starts_with(place))
}

const RESULT: &str = "MSH|^~\\&|LAB|NORTH|EHR|GOOD|20260315073000+0100||ORU^R01^ORU_R01|R1|P|2.5.1";
const PATIENT: &str = "PID|1||4711^^^GOOD^MR||Muster^Maria";
const REPORT: &str = "OBR|1||F1^LAB|24323-8^Metabolic panel^LN|||||||||||||||||||||F";

#[track_caller]
fn check_result(obx: &str, element: &str, expected: &str) -> Translation {
    check(&[RESULT, PATIENT, REPORT, obx], "Observation", element, expected)
}

#[test]
fn a_comparator_in_a_number_is_that_of_the_quantity() {
    let loinc = "2160-0^Creatinine^LN||";
    let check = |rest: &str, element: &str, expected: &str| {
        check_result(&format!("OBX|1|{rest}||||||F"), element, expected);
    };
    check(
        &format!("NM|{loinc}<5|mg/dL"),
        "valueQuantity",
        r#"{"comparator":"<","value":5,"unit":"mg/dL"}"#,
    );
    check(&format!("NM|{loinc}1,5|mg/dL"), "valueString", r#""1,5 mg/dL""#);
    check(&format!("SN|{loinc}>=^5,5|mg/dL"), "valueString", r#"">= 5,5 mg/dL""#);
    check(
        &format!("SN|{loinc}>=^5.5|mg/dL"),
        "valueQuantity",
        r#"{"comparator":">=","value":5.5,"unit":"mg/dL"}"#,
    );
    check(&format!("SN|{loinc}^2^+|mg/dL"), "valueString", r#""2 + mg/dL""#);
    check(&format!("SN|{loinc}^1^:^x|mg/dL"), "valueString", r#""1 : x mg/dL""#);
    check(
        &format!("SN|{loinc}^1^-^5|mg/dL"),
        "valueRange",
        r#"{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/originalText","valueString":"1 - 5"}],"low":{"value":1,"unit":"mg/dL"},"high":{"value":5,"unit":"mg/dL"}}"#,
    );
}

#[test]
fn a_numeric_array_is_sampled_data() {
    check_result(
        "OBX|1|NA|x^Curve^L||1^2^3||||||F",
        "valueSampledData",
        r#"{"dimensions":1,"data":"1 2 3","origin":{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/data-absent-reason","valueCode":"unknown"}]},"_period":{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/data-absent-reason","valueCode":"unknown"}]}}"#,
    );
    let broken = check_result("OBX|1|NA|x^Curve^L||1^^3||||||F", "valueSampledData", "");
    assert!(told(&broken, "OBX-5.1") && told(&broken, "OBX-5.3"), "{:?}", broken.findings);
}

#[test]
fn repetitions_of_a_note_are_its_lines() {
    let lines = [RESULT, PATIENT, REPORT, "OBX|1|ST|x^Curve^L||ok||||||F", "NTE|1||one~two~~three"];
    let translation = check(&lines, "Observation", "note", r#"[{"text":"one\ntwo\n\nthree"}]"#);
    assert!(!told(&translation, "NTE-3"));
}

#[test]
fn embedded_data_have_a_type() {
    let attached = |kind: &str, value: &str, expected: [&str; 3]| {
        let obx = format!("OBX|1|{kind}|x^Curve^L||{value}||||||F");
        let translation = translate(&[RESULT, PATIENT, REPORT, &obx]);
        let extensions = resource(&translation, "Observation").items("extension");
        let attachment = extensions.first().and_then(|own| own.get("valueAttachment"));
        let attachment = attachment.expect("an attachment");
        let found = ["contentType", "data", "url"].map(|name| attachment.text(name).unwrap_or(""));
        assert_eq!(found, expected);
        assert!(validate(&translation.bundle, Checks::All).iter().all(|own| !own.is_error()));
    };
    attached("ED", "^AP^^Base64^JVBERi0=", ["application/octet-stream", "JVBERi0=", ""]);
    attached("ED", "^TEXT^^A^plain", ["text/plain", "cGxhaW4=", ""]);
    attached("ED", "^^^A^plain", ["text/plain", "cGxhaW4=", ""]);
    attached("ED", "^IM^JPEG^Hex^FFD8", ["image/jpeg", "/9g=", ""]);
    attached(
        "RP",
        "https://good.example/a^^AP^PDF",
        ["application/pdf", "", "https://good.example/a"],
    );
    attached(
        "RP",
        "https://good.example/a^^what^ever",
        ["what/ever", "", "https://good.example/a"],
    );
}

#[test]
fn an_organization_has_no_home() {
    let lines = [
        "MSH|^~\\&|EHR|GOOD|LAB|NORTH|20260315073000+0100||ADT^A01^ADT_A01|O1|P|2.5.1",
        PATIENT,
        "PV1|1|I",
        "IN1|1|P^Plan|I1|Insurer|||^PRN^PH^^^30^1",
    ];
    let translation = check(&lines, "Coverage", "status", r#""active""#);
    assert!(!translation.bundle.to_json().contains("home"));
    assert!(translation.findings.iter().any(|own| own.path.starts_with("IN1")));
}

#[test]
fn a_mobile_telephone_is_a_phone() {
    let patient = format!("{PATIENT}||||||||0171 1^ORN^CP~0172 2^PRN^CP~0173 3^WPN^CP");
    check(
        &[RESULT, &patient, REPORT],
        "Patient",
        "telecom",
        r#"[{"value":"0171 1","system":"phone","use":"mobile"},{"value":"0172 2","use":"mobile","system":"phone"},{"value":"0173 3","use":"work","system":"phone"}]"#,
    );
}

#[test]
fn an_allergy_that_is_deleted_is_not_active() {
    let event = "MSH|^~\\&|EHR|GOOD|LAB|NORTH|20260315073000+0100||ADT^A60^ADT_A60|O1|P|2.5.1";
    let allergy = |action: &str| format!("IAM|1||X^Nuts^L|||{action}|A1^EHR||||||||||A");
    let status = |action: &str, element: &str, expected: &str| {
        check(&[event, PATIENT, &allergy(action)], "AllergyIntolerance", element, expected);
    };
    status("D", "clinicalStatus", "");
    status(
        "D",
        "verificationStatus",
        r#"{"coding":[{"code":"entered-in-error","system":"http://terminology.hl7.org/CodeSystem/allergyintolerance-verification"}]}"#,
    );
    status("A", "verificationStatus", "");
}

#[test]
fn a_cancelled_document_was_entered_in_error() {
    let document = |event: &str, completion: &str, availability: &str| {
        let header = format!(
            "MSH|^~\\&|EHR|GOOD|LAB|NORTH|20260315073000+0100||MDM^{event}^MDM_T01|O1|P|2.5.1"
        );
        let txa = format!("TXA|1|DS|TX|||||||||D1^EHR|||||{completion}||{availability}");
        let translation = translate(&[&header, PATIENT, "PV1|1|I", &txa]);
        let own = resource(&translation, "DocumentReference");
        [own.text("status"), own.text("docStatus")].map(|text| text.unwrap_or_default().to_owned())
    };
    assert_eq!(document("T11", "AU", "CA"), ["entered-in-error", "final"]);
    assert_eq!(document("T11", "DI", ""), ["entered-in-error", "preliminary"]);
    assert_eq!(document("T01", "LA", "AV"), ["current", "final"]);
}

#[test]
fn an_unknown_amount_is_no_dose() {
    let event = "MSH|^~\\&|EHR|GOOD|LAB|NORTH|20260315073000+0100||VXU^V04^VXU_V04|O1|P|2.5.1";
    let given = |amount: &str, expected: &str| {
        let rxa = format!("RXA|0|1|20260315||08^HepB^CVX|{amount}|mL||||||||||||||CP");
        check(&[event, PATIENT, "ORC|RE||I1^EHR", &rxa], "Immunization", "doseQuantity", expected);
    };
    given("999", "");
    given("0.5", r#"{"value":0.5,"unit":"mL"}"#);
}

#[test]
fn a_dose_is_what_rxe_says() {
    let event = "MSH|^~\\&|EHR|GOOD|LAB|NORTH|20260315073000+0100||RDE^O11^RDE_O11|O1|P|2.5.1";
    let rxe = "RXE|2^BID^^20261101^20261108|00093^Aspirin^NDC|1|2|TAB^Tablet^L";
    let lines = [event, PATIENT, "ORC|NW|P1^EHR", rxe];
    let translation = translate(&lines);
    let dosages = resource(&translation, "MedicationRequest").items("dosageInstruction");
    let rates = dosages.iter().flat_map(|own| own.items("doseAndRate"));
    let rates: Vec<String> = rates.map(Value::to_json).collect();
    let amount = |value: u8| {
        format!(
            r#"{{"value":{value},"code":"TAB","unit":"Tablet","system":"https://good.example/id/L"}}"#
        )
    };
    let expected = format!(r#"{{"doseRange":{{"low":{},"high":{}}}}}"#, amount(1), amount(2));
    assert_eq!(rates, [expected]);
    assert!(told(&translation, "RXE-1.1"), "{:?}", translation.findings);
}

#[test]
fn an_authority_that_says_oid_and_is_none_is_told() {
    let patient = "PID|1||4711^^^A&not.an.oid&ISO^MR||Muster^Maria";
    let translation = translate(&[RESULT, patient, REPORT]);
    assert!(!translation.bundle.to_json().contains("urn:oid:not"));
    assert!(told(&translation, "PID-3"), "{:?}", translation.findings);
}

#[test]
fn an_authority_alone_is_no_identifier() {
    let patient = "PID|1||4711^^^A^MR~^^^B^SS||Muster^Maria";
    let translation = translate(&[RESULT, patient, REPORT]);
    assert_eq!(resource(&translation, "Patient").items("identifier").len(), 1);
    assert!(translation.findings.iter().any(|own| own.text.starts_with("Identifier")));
}

#[test]
fn a_value_of_an_unknown_type_is_told() {
    let obx = "OBX|1|ZZ|1^x^LN||kept apart||||||F";
    let translation = translate(&[RESULT, PATIENT, REPORT, obx]);
    assert!(
        told(&translation, "OBX-5") || translation.bundle.to_json().contains("kept apart"),
        "{:?}",
        translation.findings
    );
}

#[test]
fn a_byte_that_is_no_character_is_shown_as_such_and_told() {
    let message = b"MSH|^~\\&|A|B|C|D|20261101080000+0100||ADT^A28|1|P|2.5.1||||||UNICODE UTF-8\rEVN||20261101080000\rPID|1||4\xFC1^^^&1.2.3&ISO^MR||M\xFCller^Anna\r";
    let text = String::from_utf8_lossy(message).replace('\u{FFFD}', "\u{10FEFC}");
    // As bytes, and as the text in which a script sees them.
    for bytes in [&message[..], text.as_bytes()] {
        let message = Message::parse(bytes).expect("a message");
        let translation = Translator::new(Settings::default()).to_fhir(&message);
        let bundle = translation.bundle.to_json();
        assert!(bundle.contains("M\u{FFFD}ller"), "{bundle}");
        assert!(!bundle.contains('\u{10FEFC}'), "{bundle}");
        // It is no number by which anybody is looked for.
        assert!(!bundle.contains("Patient?identifier"), "{bundle}");
        let paths: Vec<_> = translation
            .findings
            .iter()
            .filter(|finding| finding.text.contains("no character"))
            .map(|finding| finding.path.as_str())
            .collect();
        assert_eq!(paths, ["PID-3", "PID-5"]);
    }
}

#[test]
fn the_priority_of_an_order_is_that_of_its_timing() {
    let event = "MSH|^~\\&|EHR|GOOD|LAB|NORTH|20260315073000+0100||OML^O21^OML_O21|O1|P|2.5.1";
    let given = |timing: &str, priority: &str, expected: &str, is_told: bool| {
        let obr = format!("OBR|1|P1^EHR||T^Test^L|{priority}");
        let timing = format!("TQ1|1||||||||{timing}");
        let lines = [event, PATIENT, "ORC|NW|P1^EHR", &timing, &obr];
        let translation = check(&lines, "ServiceRequest", "priority", expected);
        assert_eq!(told(&translation, "OBR-5"), is_told, "{:?}", translation.findings);
    };
    // OBR-5 is kept for older messages (HL7 v2.5.1 §4.5.3.5), often with its default.
    given("S", "R", r#""stat""#, true);
    given("S", "S", r#""stat""#, false);
    given("R", "S", r#""routine""#, true);
    given("", "S", r#""stat""#, false);
    // No map of a result reads TQ1.
    let obr = REPORT.replacen("LN||", "LN|S|", 1);
    let obr = obr.replacen("OBR|1||", "OBR|1|P1^EHR|", 1);
    let lines = [RESULT, PATIENT, &obr, "TQ1|1||||||||R", "OBX|1|ST|x^Curve^L||ok||||||F"];
    check(&lines, "ServiceRequest", "priority", r#""stat""#);
}

/// An appointment's times, by a feed in Zurich, of a message made at a time.
#[track_caller]
fn check_appointment(sent: &str, zone: Option<&str>, expected: [&str; 2]) {
    let zone = zone.map(|name| jiff::tz::TimeZone::get(name).expect("a zone"));
    let translator = Translator::new(Settings { zone, ..Settings::default() });
    for (day, expected) in ["20270115", "20270701"].into_iter().zip(expected) {
        let text = format!(
            "MSH|^~\\&|CLINIC|GOOD|||{sent}||SIU^S12^SIU_S12|A1|P|2.5.1\r\
             SCH|A1||||||||||^^^{day}090000^{day}093000|||||||||||||Booked\r{PATIENT}\rRGS|1"
        );
        let message = Message::parse(text.as_bytes()).expect("a message");
        let translation = translator.to_fhir(&message);
        let start = resource(&translation, "Appointment").text("start").unwrap_or_default();
        assert_eq!(start, expected, "{sent}");
        let traced = translator.to_fhir_with_lineage(&message, LineageLimits::SHOWN);
        assert_eq!(resource(&traced, "Appointment").text("start"), Some(start));
    }
}

#[test]
fn a_time_without_an_offset_is_local_where_the_sender_is_in_the_feeds_zone() {
    let zurich = Some("Europe/Zurich");
    let local = ["2027-01-15T09:00:00+01:00", "2027-07-01T09:00:00+02:00"];
    let winter = ["2027-01-15T09:00:00+01:00", "2027-07-01T09:00:00+01:00"];
    let summer = ["2027-01-15T09:00:00+02:00", "2027-07-01T09:00:00+02:00"];
    for own in [
        "20261106100000+0100",
        "202611061000+0100",
        "20261106+0100",
        "20260706100000+0200",
        "20261106100000",
    ] {
        check_appointment(own, zurich, local);
    }
    // A sender elsewhere, and one whose clock does not change.
    check_appointment("20261106100000+0200", zurich, summer);
    check_appointment("20260706100000+0100", zurich, winter);
    check_appointment("20261106100000+0100", None, winter);
}

#[test]
fn a_bound_by_another_sign_is_no_exact_number() {
    for (type_, value, text) in [
        ("SN", "\u{2265}^5", "\u{2265} 5 mg/L"),
        ("SN", "GT^5", "GT 5 mg/L"),
        ("SN", "LT^0.5", "LT 0.5 mg/L"),
        ("SN", "-^5", "- 5 mg/L"),
        ("SN", "<>^5", "<> 5 mg/L"),
        ("SN", "GT^1^:^128", "GT 1 : 128 mg/L"),
        ("SN", "\u{2264}^1^-^5", "\u{2264} 1 - 5 mg/L"),
        ("SN", "~^5", "~ 5 mg/L"),
        ("NM", "\u{2265}5", "\u{2265}5 mg/L"),
        ("NM", "GT5", "GT5 mg/L"),
    ] {
        let value = value.replace('~', "\\R\\");
        let obx = format!("OBX|1|{type_}|x^Curve^L||{value}|mg/L^^UCUM|||||F");
        let charset = format!("{RESULT}||||||UNICODE UTF-8");
        let translation = translate(&[&charset, PATIENT, REPORT, &obx]);
        let own = resource(&translation, "Observation");
        assert_eq!(own.text("valueString"), Some(text), "{value}: {}", own.to_json());
        for other in ["valueQuantity", "valueRatio", "valueRange"] {
            assert!(own.get(other).is_none(), "{value}: {}", own.to_json());
        }
        let twice = format!("OBX|1|{type_}|x^Curve^L||{value}~{value}|mg/L^^UCUM|||||F");
        let bundle = translate(&[&charset, PATIENT, REPORT, &twice]).bundle.to_json();
        assert!(!bundle.contains("valueQuantity") && bundle.contains("valueString"), "{bundle}");
    }
    for (value, expected) in [("<^5", "<"), (">=^5", ">=")] {
        let obx = format!("OBX|1|SN|x^Curve^L||{value}|mg/L^^UCUM|||||F");
        let translation = translate(&[RESULT, PATIENT, REPORT, &obx]);
        let own = resource(&translation, "Observation");
        let quantity = own.get("valueQuantity").expect("a quantity");
        assert_eq!(quantity.text("comparator"), Some(expected));
    }
}

#[test]
fn a_vaccination_without_an_order_is_the_patients() {
    for (event, version) in [("VXU^V04", "2.3.1"), ("VXU^V04", "2.4"), ("VXR^V03", "2.4")] {
        let head =
            format!("MSH|^~\\&|EHR|GOOD|LAB|NORTH|20260315073000+0100||{event}|O1|P|{version}");
        let lines =
            [head.as_str(), "MSA|AA|1", PATIENT, "RXA|0|1|20260315080000+0100||03^MMR^CVX|0.5|ml"];
        let lines: Vec<_> = lines
            .into_iter()
            .filter(|line| event.starts_with("VXR") || !line.starts_with("MSA"))
            .collect();
        let translation = translate(&lines);
        let own = resource(&translation, "Immunization");
        assert!(own.get("patient").is_some(), "{event} {version}: {}", own.to_json());
    }
}

#[test]
fn a_range_does_not_run_backwards() {
    for (low, high, is_made) in [("500", "1000", true), ("1000", "500", false), ("5", "5", true)] {
        let rxe = format!("RXE||ABC^P^L|{low}|{high}|mg");
        let event = "MSH|^~\\&|EHR|GOOD|LAB|NORTH|20260315073000+0100||RDE^O11^RDE_O11|O1|P|2.5.1";
        let translation = translate(&[event, PATIENT, "ORC|NW|R1^K", &rxe]);
        let bundle = translation.bundle.to_json();
        assert_eq!(bundle.contains("doseRange"), is_made, "{bundle}");
        let told = translation.findings.iter().any(|own| own.text.starts_with("Range would lack"));
        assert_eq!(told, !is_made, "{:?}", translation.findings);
    }
}

/// A range with a comparator is nothing that R4's Range says.
#[test]
fn a_range_with_a_comparator_is_kept_as_text() {
    let code = "X^Titre^L||";
    for (value, text) in [(">^5^-^6", "> 5 - 6 mg"), ("<^5^-^6", "< 5 - 6 mg")] {
        let obx = format!("OBX|1|SN|{code}{value}|mg|||||F");
        check_result(&obx, "valueString", &format!("{text:?}"));
        check_result(&obx, "valueRange", "");
    }
    let range = translate(&[RESULT, PATIENT, REPORT, &format!("OBX|1|SN|{code}^5^-^6|mg|||||F")]);
    let range = resource(&range, "Observation").get("valueRange").expect("a range");
    assert!(range.get("low").is_some() && range.get("high").is_some());
}

#[test]
fn the_offset_of_a_time_of_day_is_told() {
    for (time, is_told) in [("0830+0100", true), ("0830", false)] {
        let obx = format!("OBX|1|TM|X^Time^L||{time}||||||F");
        let translation = check_result(&obx, "valueTime", r#""08:30:00""#);
        assert_eq!(told(&translation, "OBX-5"), is_told, "{time}");
    }
}

/// R4 tells given names by their order alone.
#[test]
fn a_further_given_name_without_a_first_is_told() {
    for (name, given, is_told) in [
        ("Muster^^Quincy", r#"["Quincy"]"#, true),
        ("Muster^\"\"^Quincy", r#"["Quincy"]"#, true),
        ("Muster^Maria^Quincy", r#"["Maria","Quincy"]"#, false),
    ] {
        let patient = format!("PID|1||4711^^^GOOD^MR||{name}");
        let translation = translate(&[RESULT, &patient]);
        let named = resource(&translation, "Patient").items("name").first().expect("a name");
        assert_eq!(named.get("given").map(Value::to_json).as_deref(), Some(given));
        assert_eq!(told(&translation, "PID-5.3"), is_told, "{name}");
    }
}

/// Where the start is a date or has no zone, a duration makes no end; it is told that it is not there.
#[test]
fn a_duration_that_makes_no_end_is_told() {
    let order = "MSH|^~\\&|HIS|GOOD|||20260305101500-0500||RDE^O11^RDE_O11|T1|P|2.5.1";
    let drug = "RXE||1049502^Oxy^RXNORM|5||mg^^UCUM";
    for (timing, end) in [
        ("10^d|20260301080000-0500", Some("2026-03-11T08:00:00-05:00")),
        ("10^d|20260301", None),
        ("10^days|202603", None),
        ("10^d&&UCUM|20260301", None),
    ] {
        let timing = format!("TQ1|1||BID|||{timing}");
        let translation = translate(&[order, PATIENT, "ORC|NW|R1^X", drug, &timing]);
        let text = translation.bundle.to_json();
        let ends = end.map(|end| text.contains(&format!("\"end\":\"{end}\"")));
        assert_ne!(ends, Some(false), "{timing} {text}");
        let parts = ["TQ1-6.1", "TQ1-6.2"].map(|part| told(&translation, part));
        assert_eq!(parts, [end.is_none(); 2], "{timing} {:?}", translation.findings);
    }
}

/// CVX 998 says that nothing was given: R4 requires a status, and `completed` would invent a dose.
#[test]
fn no_vaccine_administered_is_no_vaccination() {
    let message = RESULT.replace("ORU^R01^ORU_R01", "VXU^V04^VXU_V04");
    for (vaccine, completion, status) in [
        ("998^No vaccine administered^CVX", "", "not-done"),
        ("998^No vaccine administered^CVX", "NA", "not-done"),
        ("08^HepB^CVX", "", "completed"),
    ] {
        let dose = format!("RXA|0|1|20260304||{vaccine}|999||||||||||||||{completion}");
        let lines = [message.as_str(), PATIENT, "ORC|RE|A1^X|B1^X", &dose];
        check(&lines, "Immunization", "status", &format!("{status:?}"));
    }
}

#[test]
fn a_note_on_a_result_of_an_order_is_that_results() {
    let message = RESULT.replace("ORU^R01^ORU_R01", "ORM^O01^ORM_O01");
    let order = ["ORC|NW|P1^X", "OBR|1|P1^X||71020^CXR^C4"];
    let result = ["OBX|1|NM|8302-2^Height^LN||180|cm|||||F", "NTE|1||standing"];
    let lines = [message.as_str(), PATIENT, order[0], order[1], result[0], result[1]];
    check(&lines, "Observation", "note", r#"[{"text":"standing"}]"#);
}
