//! What stands of one patient is not told of another: the entries of a Bundle say which reference has to lead to the same.

use std::collections::BTreeMap;

use pipehat_message::Message;
use pipehat_resource::json::Value;
use pipehat_resource::kept::Keeps;
use pipehat_translate::{OtherPatient, Settings, Translator};

fn bundle(event: &str, lines: &[&str], other_patient: OtherPatient) -> Value {
    let mut text = format!("MSH|^~\\&|HIS|GOOD|||20260315073000+0100||{event}|1|P|2.5.1\r");
    text += &lines.join("\r");
    let message = Message::parse(text.as_bytes()).expect("a message");
    let system_base = Some("https://good.example/id/".to_owned());
    let settings =
        Settings { system_base, other_patient: Some(other_patient), ..Settings::default() };
    Translator::new(settings).to_fhir(&message).bundle
}

/// Which reference has to lead to the same, by the types of the entries that replace what stands.
fn whose(bundle: &Value) -> BTreeMap<String, String> {
    let of = |entry: &Value| {
        let (resource, request) = (entry.get("resource")?, entry.get("request")?);
        let keeps = Keeps::of_request(request).expect("it is read").unwrap_or_default();
        let same: Vec<&str> = keeps.same().collect();
        assert!(same.is_empty() || request.text("method") == Some("PUT") || !keeps.takes_nothing());
        (!same.is_empty())
            .then(|| (resource.resource_type().expect("a type").to_owned(), same.join(" ")))
    };
    bundle.items("entry").iter().filter_map(of).collect()
}

#[track_caller]
fn check(event: &str, lines: &[&str], expected: &[(&str, &str)]) {
    let mut all = vec!["PID|1||4711^^^GOOD^MR||Muster^Maria"];
    all.extend(lines);
    let found = whose(&bundle(event, &all, OtherPatient::Park));
    let expected: BTreeMap<String, String> =
        expected.iter().map(|(own, element)| ((*own).to_owned(), (*element).to_owned())).collect();
    assert_eq!(found, expected, "{event}");
    let taken = whose(&bundle(event, &all, OtherPatient::Take));
    assert_eq!(taken, BTreeMap::new(), "{event}");
}

const VISIT: &str = "PV1|1|I|W1||||||||||||||||V1^^^GOOD";

#[test]
fn what_is_replaced_stays_whose_it_is() {
    check(
        "ORU^R01^ORU_R01",
        &[
            VISIT,
            "ORC|RE|O1^HIS|F1^LAB",
            "OBR|1|O1^HIS|F1^LAB|T^Test^L",
            "OBX|1|NM|T^Test^L||1||||||F",
            "SPM|1|S1^HIS||BLD",
        ],
        &[("DiagnosticReport", "subject"), ("Observation", "subject"), ("Specimen", "subject")],
    );
    check(
        "OML^O21^OML_O21",
        &[VISIT, "ORC|NW|O1^HIS", "OBR|1|O1^HIS||T^Test^L"],
        &[("ServiceRequest", "subject")],
    );
    check(
        "RDE^O11^RDE_O11",
        &["ORC|NW|O1^HIS", "RXE|1^^^20260315|D^Drug^L|1||mg", "RXR|PO"],
        &[("MedicationRequest", "subject")],
    );
    check(
        "RDS^O13^RDS_O13",
        &["ORC|RE|O1^HIS", "RXD|1|D^Drug^L|20260315|1|mg||R1"],
        &[("MedicationDispense", "subject")],
    );
    check(
        "VXU^V04^VXU_V04",
        &["ORC|RE||I1^HIS", "RXA|0|1|20260315|20260315|08^Hep B^CVX|1"],
        &[("Immunization", "patient")],
    );
    check(
        "MDM^T02^MDM_T02",
        &["TXA|1|CN|TX|20260315||||||||D1^HIS|||||LA", "OBX|1|TX|T^Text^L||x||||||F"],
        &[("DocumentReference", "subject")],
    );
    // What is only told to be there changes what stands, too.
    check(
        "MDM^T01^MDM_T01",
        &["TXA|1|CN|TX|20260315||||||||D1^HIS|||||LA"],
        &[("DocumentReference", "subject")],
    );
    for event in ["ADT^A01^ADT_A01", "ADT^A02^ADT_A02", "ADT^A03^ADT_A03", "ADT^A08^ADT_A01"] {
        check(event, &[VISIT], &[("Encounter", "subject")]);
    }
}

#[test]
fn what_moves_on_purpose_may() {
    for event in [
        "ADT^A18^ADT_A18",
        "ADT^A40^ADT_A39",
        "ADT^A43^ADT_A43",
        "ADT^A45^ADT_A45",
        "ADT^A50^ADT_A50",
    ] {
        check(event, &["MRG|4712^^^GOOD^MR||||V2^^^GOOD", VISIT], &[]);
    }
    check(
        "SIU^S14^SIU_S12",
        &[
            "SCH|A1^HIS|A1^HIS||||R^Routine^L|||30|min^Minutes^UCUM||||||||||||||||O1^HIS",
            "RGS|1|A",
        ],
        &[],
    );
}

#[test]
fn who_is_told_of_nobody_is_held_to_nobody() {
    let lines = ["OBR|1|O1^HIS|F1^LAB|T^Test^L", "OBX|1|NM|T^Test^L||1||||||F"];
    assert_eq!(whose(&bundle("ORU^R01^ORU_R01", &lines, OtherPatient::Park)), BTreeMap::new());
}
