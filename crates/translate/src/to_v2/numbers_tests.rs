//! Numbers with an exponent, which HL7 v2 has none for (HL7 v2.5.1 §2.A.49).

use pipehat_dictionary::Version;
use pipehat_resource::json;

use super::{Profile, Resources, Stamp, Wanted, Writer};

/// The fields of the first segment of a name, and where findings are.
fn written(event: &str, resource: &str, segment: &str) -> (Vec<String>, Vec<String>) {
    let text = format!(
        r#"{{"resourceType":"Bundle","type":"collection","entry":[{resource},
        {{"resource":{{"resourceType":"Patient","id":"p","identifier":[{{"value":"1"}}],"name":[{{"family":"X"}}]}}}}]}}"#
    );
    let bundle = json::parse(text.as_bytes()).expect("it is JSON");
    let resources = Resources::of_bundle(&bundle);
    let wanted = Wanted { event, version: Version::V2_5_1, order_control: None, lineage: None };
    let time = "2026-05-06T08:00:00Z".parse().expect("a time");
    let stamp = Stamp { time, offset: jiff::tz::Offset::UTC, control_id: "C1" };
    let written = Writer::new(Profile::default()).write(&wanted, &resources, &stamp);
    let written = written.expect("a message");
    let message = String::from_utf8(written.message).expect("UTF-8");
    let found = message.split('\r').find(|own| own.starts_with(segment)).unwrap_or_default();
    let fields = found.split('|').map(str::to_owned).collect();
    let told = written.findings.into_iter().map(|own| format!("{}: {}", own.path, own.text));
    (fields, told.collect())
}

/// A result whose value and range hold these numbers: OBX-5 and OBX-7, and what is found of them.
#[track_caller]
fn check(value: &str, (low, high): (&str, &str), expected: (&str, &str), finding: &str) {
    let resource = format!(
        r#"{{"resource":{{"resourceType":"DiagnosticReport","id":"d","status":"final","code":{{"text":"Na"}},"subject":{{"reference":"Patient/p"}},"result":[{{"reference":"Observation/o"}}]}}}},
        {{"resource":{{"resourceType":"Observation","id":"o","status":"final","code":{{"text":"Na"}},"subject":{{"reference":"Patient/p"}},
          "valueQuantity":{{"value":{value},"unit":"g"}},"referenceRange":[{{"low":{{"value":{low},"unit":"g"}},"high":{{"value":{high},"unit":"g"}}}}]}}}}"#
    );
    let (fields, findings) = written("ORU^R01", &resource, "OBX");
    assert_eq!((fields[5].as_str(), fields[7].as_str()), expected, "{findings:?}");
    let mut told = findings
        .iter()
        .filter(|own| own.contains("Range") || own.contains("OBX-5") || own.contains("value"));
    match finding {
        "" => assert_eq!(told.next(), None),
        finding => assert!(told.any(|own| own.contains(finding)), "{findings:?}"),
    }
}

#[test]
fn a_result_has_no_exponent() {
    check("5e-1", ("1", "2"), ("0.5", "1-2"), "");
    check("1.20e2", ("1e-1", "5e-1"), ("120", "0.1-0.5"), "");
    check("1.20e2", ("0.1", "5e-1"), ("120", "0.1-0.5"), "");
    check("5", ("5e-1", "0.5"), ("5", "0.5-0.5"), "");
    check("1e999", ("1", "2"), ("", "1-2"), "too many digits");
}

#[test]
fn what_cannot_be_written_is_no_end_of_a_range() {
    check("1", ("1", "1e999"), ("1", ""), "referenceRange");
    check("1", ("1e-999", "2"), ("1", ""), "referenceRange");
}

#[test]
fn a_dose_and_a_charge_have_no_exponent() {
    let shot = r#"{"resource":{"resourceType":"Immunization","id":"i","status":"completed","vaccineCode":{"text":"x"},"patient":{"reference":"Patient/p"},"doseQuantity":{"value":5e-1,"unit":"mL"}}}"#;
    assert_eq!(written("VXU^V04", shot, "RXA").0[6], "0.5");
    let charge = r#"{"resource":{"resourceType":"ChargeItem","id":"i","status":"billable","code":{"text":"x"},"subject":{"reference":"Patient/p"},"quantity":{"value":2e1}}}"#;
    assert_eq!(written("DFT^P03", charge, "FT1").0[10], "20");
}
