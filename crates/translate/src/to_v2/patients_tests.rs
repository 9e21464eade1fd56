//! Whose a message is: what is another patient's, over or not to be done stands in none about this one.

use pipehat_resource::json;

use super::tests::{profile, resource, write};
use super::{Profile, Resources, WriteError};

#[test]
fn what_is_another_patients_is_left_out_and_told() {
    let patient = resource(
        r#"{"resourceType":"Patient","id":"p1","identifier":[{"system":"urn:h","value":"1"}],"name":[{"family":"A"}]}"#,
    );
    let report = resource(
        r#"{"resourceType":"DiagnosticReport","id":"d1","status":"final","code":{"text":"X"},"subject":{"reference":"Patient/p1"},
            "result":[{"reference":"Observation/o"}]}"#,
    );
    let cases = [
        (r#"{"reference":"Patient/p1"}"#, true),
        (r#"{"reference":"Patient/p1/_history/2"}"#, true),
        (r#"{"reference":"https://fhir.example/Patient/p1"}"#, true),
        (r#"{"identifier":{"system":"urn:h","value":"1"}}"#, true),
        (r#"{"reference":"Device/d"}"#, true),
        (r#"{"display":"A"}"#, true),
        (r#"{"reference":"Patient/p2"}"#, false),
        (r#"{"reference":"Patient/nobody"}"#, false),
        (r#"{"reference":"https://fhir.example/Patient/p2"}"#, false),
        (r#"{"identifier":{"system":"urn:h","value":"2"}}"#, false),
    ];
    let other = resource(r#"{"resourceType":"Patient","id":"p2","name":[{"family":"B"}]}"#);
    for (subject, is_told) in cases {
        let result = resource(&format!(
            r#"{{"resourceType":"Observation","id":"o","status":"final","code":{{"text":"K"}},"subject":{subject},"valueString":"strange"}}"#
        ));
        let resources =
            Resources::default().with_root(&report).with(&patient).with(&other).with(&result);
        let written = write(Profile::default(), "ORU^R01", &resources).expect("a message");
        let text = String::from_utf8(written.message).expect("UTF-8");
        assert_eq!(text.contains("strange"), is_told, "{subject}: {text}");
        let is_found = written.findings.iter().any(|own| own.path == "Observation/o");
        assert_eq!(is_found, !is_told, "{subject}: {:?}", written.findings);
    }
}

#[test]
fn what_stands_in_a_record_that_was_retired_for_the_patients_is_told() {
    let patient = |id: &str, by: &str| {
        resource(&format!(
            r#"{{"resourceType":"Patient","id":"{id}","name":[{{"family":"{id}"}}],"link":[{{"type":"replaced-by","other":{{"reference":"Patient/{by}"}}}}]}}"#
        ))
    };
    let own = resource(r#"{"resourceType":"Patient","id":"p1","name":[{"family":"A"}]}"#);
    let others = [patient("first", "second"), patient("second", "p1"), patient("strange", "p2")];
    let report = resource(
        r#"{"resourceType":"DiagnosticReport","id":"d1","status":"final","code":{"text":"X"},"subject":{"reference":"Patient/p1"},
            "result":[{"reference":"Observation/first"},{"reference":"Observation/second"},{"reference":"Observation/strange"}]}"#,
    );
    let results = ["first", "second", "strange"].map(|of| {
        resource(&format!(
            r#"{{"resourceType":"Observation","id":"{of}","status":"final","code":{{"text":"K"}},"subject":{{"reference":"Patient/{of}"}},"valueString":"of {of}"}}"#
        ))
    });
    let all = others.iter().chain(&results);
    let resources = all.fold(Resources::default().with_root(&report).with(&own), Resources::with);
    let written = write(Profile::default(), "ORU^R01", &resources).expect("a message");
    let text = String::from_utf8(written.message).expect("UTF-8");
    assert!(text.contains("of first") && text.contains("of second"), "{text}");
    assert!(!text.contains("strange"), "{text}");
}

#[test]
fn of_a_diagnosis_that_is_anothers_or_away_no_segment_is_left() {
    let patient = |id: &str| {
        resource(&format!(
            r#"{{"resourceType":"Patient","id":"{id}","identifier":[{{"value":"{id}"}}],"name":[{{"family":"{id}"}}]}}"#
        ))
    };
    let (own, other) = (patient("p"), patient("o"));
    let reasons = r#""reasonReference":[{"reference":"Condition/c"},{"reference":"Condition/away"}],"supportingInfo":[{"reference":"Observation/away"}]"#;
    let order = resource(&format!(
        r#"{{"resourceType":"ServiceRequest","id":"r","status":"active","intent":"order","code":{{"text":"X"}},"subject":{{"reference":"Patient/p"}},"specimen":[{{"reference":"Specimen/away"}}],{reasons}}}"#
    ));
    let appointment = resource(&format!(
        r#"{{"resourceType":"Appointment","id":"a","status":"booked","participant":[{{"actor":{{"reference":"Patient/p"}},"status":"accepted"}}],{}}}"#,
        reasons.replace("supportingInfo", "supportingInformation")
    ));
    let check = |event: &str, root: &json::Value, of: &str, expected: &[&str]| {
        let condition = resource(&format!(
            r#"{{"resourceType":"Condition","id":"c","code":{{"text":"X"}},"subject":{{"reference":"Patient/{of}"}}}}"#
        ));
        let resources =
            Resources::default().with_root(root).with(&own).with(&other).with(&condition);
        let written = write(Profile::default(), event, &resources).expect("a message");
        let text = String::from_utf8(written.message).expect("UTF-8");
        let names = text.split('\r').filter_map(|line| line.get(..3));
        let told: Vec<&str> = names.filter(|name| matches!(*name, "DG1" | "OBX" | "SPM")).collect();
        assert_eq!(told, expected, "{event}: {text}");
    };
    for (event, root) in [("ORM^O01", &order), ("OML^O21", &order), ("SIU^S12", &appointment)] {
        check(event, root, "p", &["DG1"]);
        check(event, root, "o", &[]);
    }
}

#[test]
fn of_several_orders_those_of_another_patient_are_left_out() {
    let patient = |id: &str, more: &str| {
        resource(&format!(
            r#"{{"resourceType":"Patient","id":"{id}","identifier":[{{"value":"{id}"}}],"name":[{{"family":"{id}"}}]{more}}}"#
        ))
    };
    let order = |id: &str, of: &str| {
        resource(&format!(
            r#"{{"resourceType":"ServiceRequest","id":"{id}","status":"active","intent":"order","code":{{"text":"X"}},"subject":{{"reference":"Patient/{of}"}}}}"#
        ))
    };
    let replaces = r#","link":[{"type":"replaces","other":{"reference":"Patient/q"}}]"#;
    let (first, other, replaced) = (patient("p", replaces), patient("o", ""), patient("q", ""));
    let orders = [order("r1", "p"), order("r2", "o"), order("r3", "p"), order("r4", "q")];
    let resources = orders.iter().fold(Resources::default(), Resources::with_root);
    let resources = resources.with(&first).with(&other).with(&replaced);
    let written = write(profile(), "ORM^O01", &resources).expect("a message");
    let text = String::from_utf8(written.message).expect("UTF-8");
    let told: Vec<&str> = text.split('\r').filter_map(|it| it.strip_prefix("ORC|NW|")).collect();
    // One record replaces the other: they are one person.
    assert_eq!(told, ["r1", "r3", "r4"], "{text}");
    let is_found = written.findings.iter().any(|own| own.path == "ServiceRequest/r2");
    assert!(is_found, "{:?}", written.findings);
}

#[test]
fn whose_a_result_is_goes_by_the_server_and_the_patient_within() {
    let check = |subject: &str, more: &str, is_told: bool| {
        let bundle = resource(&format!(
            r#"{{"resourceType":"Bundle","entry":[
                {{"fullUrl":"http://x/fhir/Patient/p","resource":{{"resourceType":"Patient","id":"p","identifier":[{{"value":"1"}}]}}}},
                {{"fullUrl":"http://x/fhir/DiagnosticReport/d","resource":{{"resourceType":"DiagnosticReport","id":"d","status":"final","code":{{"text":"X"}},"subject":{{"reference":"Patient/p"}},"result":[{{"reference":"Observation/o"}}]}}}},
                {{"fullUrl":"http://x/fhir/Observation/o","resource":{{"resourceType":"Observation","id":"o","status":"final","code":{{"text":"K"}},"subject":{{"reference":"{subject}"}},"valueString":"strange"{more}}}}}]}}"#
        ));
        let written = write(profile(), "ORU^R01", &Resources::of_bundle(&bundle));
        let text = String::from_utf8(written.expect("a message").message).expect("UTF-8");
        assert_eq!(text.contains("strange"), is_told, "{subject}: {text}");
    };
    check("http://x/fhir/Patient/p", "", true);
    check("http://other/fhir/Patient/p", "", false);
    let within = |number: &str| {
        format!(
            r#","contained":[{{"resourceType":"Patient","id":"w","identifier":[{{"value":"{number}"}}]}}]"#
        )
    };
    check("#w", &within("1"), true);
    check("#w", &within("2"), false);
}

#[test]
fn an_allergy_that_is_over_is_left_out_and_told() {
    let allergy = |id: &str, clinical: &str, verification: &str| {
        resource(&format!(
            r#"{{"resourceType":"AllergyIntolerance","id":"{id}","code":{{"text":"{id}"}},"patient":{{"reference":"Patient/p1"}},
                "clinicalStatus":{{"coding":[{{"code":"{clinical}"}}]}},"verificationStatus":{{"coding":[{{"code":"{verification}"}}]}}}}"#
        ))
    };
    let patient = resource(r#"{"resourceType":"Patient","id":"p1","name":[{"family":"A"}]}"#);
    let all = [
        allergy("nuts", "active", "confirmed"),
        allergy("milk", "resolved", "confirmed"),
        allergy("soy", "active", "refuted"),
    ];
    let resources = all.iter().fold(Resources::default().with_root(&patient), Resources::with);
    let written = write(Profile::default(), "ADT^A31", &resources).expect("a message");
    let text = String::from_utf8(written.message).expect("UTF-8");
    assert_eq!(text.matches("\rAL1|").count(), 1, "{text}");
    assert!(text.contains("^nuts"), "{text}");
    for place in ["AllergyIntolerance/milk", "AllergyIntolerance/soy"] {
        assert!(written.findings.iter().any(|own| own.path == place), "{:?}", written.findings);
    }
}

#[test]
fn what_must_not_be_performed_is_not_ordered() {
    let request = resource(
        r#"{"resourceType":"ServiceRequest","id":"r1","status":"active","doNotPerform":true,"code":{"text":"X"},"subject":{}}"#,
    );
    let refused = write(Profile::default(), "ORM^O01", &Resources::default().with_root(&request));
    let expected = WriteError::DoNotPerform {
        event: "ORM^O01".to_owned(),
        place: "ServiceRequest/r1".to_owned(),
    };
    assert_eq!(refused, Err(expected));
}
