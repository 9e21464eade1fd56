//! Orders: which requests a message makes, and by what a later one finds them.

use pipehat_message::Message;
use pipehat_resource::json::Value;
use pipehat_translate::{FindingKind, Settings, Translation, Translator};

const BASE: &str = "https://good.example/id/";

fn translate(lines: &[&str]) -> Translation {
    let text = lines.join("\r");
    let message = Message::parse(text.as_bytes()).expect("a message");
    let settings = Settings { system_base: Some(BASE.to_owned()), ..Settings::default() };
    Translator::new(settings).to_fhir(&message)
}

fn entries<'a>(translation: &'a Translation, name: &str) -> Vec<&'a Value> {
    let entries = translation.bundle.items("entry").iter();
    entries
        .filter(|entry| entry.get("resource").and_then(|own| own.resource_type()) == Some(name))
        .collect()
}

/// How each request is stored: `PUT ServiceRequest?…`, or `POST` and its condition.
fn requests(translation: &Translation, name: &str) -> Vec<String> {
    let lines = entries(translation, name).into_iter().map(|entry| {
        let request = entry.get("request").expect("a request");
        let text = |name: &str| request.text(name).unwrap_or_default().to_owned();
        match request.text("ifNoneExist") {
            Some(condition) => format!("{} {} {condition}", text("method"), text("url")),
            None => format!("{} {}", text("method"), text("url")),
        }
    });
    lines.collect()
}

#[track_caller]
fn check(lines: &[&str], name: &str, expected: &[&str]) {
    assert_eq!(requests(&translate(lines), name), expected);
}

const ORDER: &str = "MSH|^~\\&|EHR|GOOD|LAB|NORTH|20260315073000+0100||ORM^O01^ORM_O01|O1|P|2.5.1";
const RESULT: &str = "MSH|^~\\&|LAB|NORTH|EHR|GOOD|20260315073000+0100||ORU^R01^ORU_R01|R1|P|2.5.1";
const PATIENT: &str = "PID|1||4711^^^GOOD^MR||Muster^Maria";

#[test]
fn an_order_is_made_of_its_control_and_its_detail() {
    let lines = [
        ORDER,
        PATIENT,
        "PV1|1|I|||||||||||||||||V1^^^GOOD",
        "ORC|NW|P1^EHR|||||||20260315072500|||D2^Zuweiser^Zoe",
        "OBR|1|P1^EHR||24323-8^Metabolic panel^LN",
        "NTE|1||fasting",
    ];
    let translation = translate(&lines);
    let orders = entries(&translation, "ServiceRequest");
    let order = orders.first().and_then(|entry| entry.get("resource")).expect("an order");
    assert_eq!(orders.len(), 1);
    assert_eq!(order.text("status"), Some("active"));
    let members =
        ["code", "note", "requester", "subject", "encounter"].map(|name| order.get(name).is_some());
    assert_eq!(members, [true; 5]);
    assert_eq!(
        requests(&translation, "ServiceRequest"),
        ["PUT ServiceRequest?identifier=https://good.example/id/EHR|P1"]
    );
}

#[test]
fn orders_of_one_number_are_told_apart_by_their_codes() {
    let order = [
        ORDER,
        PATIENT,
        "ORC|NW|P1^EHR",
        "OBR|1|P1^EHR||24323-8^Metabolic panel^LN",
        "ORC|NW|P1^EHR",
        "OBR|2|P1^EHR||24325-3^Hepatic panel^LN",
        // The same again, in other words.
        "ORC|NW|P1^EHR",
        "OBR|3|P1^EHR||24323-8^Metabolics^LN",
    ];
    let expected = [
        "PUT ServiceRequest?identifier=https://good.example/id/EHR|P1",
        "PUT ServiceRequest?requisition=https://good.example/id/EHR|P1&code=http://loinc.org|24325-3",
    ];
    check(&order, "ServiceRequest", &expected);
    let translation = translate(&order);
    let further = entries(&translation, "ServiceRequest")[1].get("resource").expect("a resource");
    assert!(further.get("identifier").is_none());
    assert_eq!(further.get("requisition").and_then(|own| own.text("value")), Some("P1"));
}

#[test]
fn a_report_is_based_on_its_own_order_and_on_the_first_of_the_number() {
    let result = [
        RESULT,
        PATIENT,
        "OBR|1||F1^LAB|24323-8^Metabolic panel^LN|||||||||||||||||||||F",
        "OBR|2||F1^LAB|24325-3^Hepatic panel^LN|||||||||||||||||||||F",
    ];
    let expected = [
        "POST ServiceRequest identifier=https://good.example/id/LAB|F1",
        "POST ServiceRequest requisition=https://good.example/id/LAB|F1&code=http://loinc.org|24325-3",
    ];
    check(&result, "ServiceRequest", &expected);
    let translation = translate(&result);
    let urls: Vec<_> = entries(&translation, "ServiceRequest")
        .into_iter()
        .map(|entry| entry.text("fullUrl").expect("a url"))
        .collect();
    let based: Vec<Vec<_>> = entries(&translation, "DiagnosticReport")
        .into_iter()
        .map(|entry| entry.get("resource").expect("a resource").items("basedOn"))
        .map(|orders| orders.iter().filter_map(|own| own.text("reference")).collect())
        .collect();
    assert_eq!(based, [vec![urls[0]], vec![urls[1], urls[0]]]);
}

#[test]
fn what_rxo_details_is_a_medication_request() {
    let order =
        [ORDER, PATIENT, "ORC|NW|P2^EHR", "RXO|00093^Aspirin^NDC|1||TAB", "NTE|1||with food"];
    check(&order, "ServiceRequest", &[]);
    check(
        &order,
        "MedicationRequest",
        &["PUT MedicationRequest?identifier=https://good.example/id/EHR|P2"],
    );
}

/// A laboratory's or another order with these segments behind its patient: the codes of the requests made of it, and whether
/// nothing was left over.
fn ordered(event: &str, version: &str, segments: &[&str]) -> (Vec<String>, bool) {
    let header =
        format!("MSH|^~\\&|EHR|GOOD|LAB|NORTH|20260315073000+0100||{event}|O1|P|{version}");
    let mut lines = vec![header.as_str(), PATIENT];
    match event {
        "OML^O33^OML_O33" => lines.push("SPM|1|S1||BLD"),
        "OML^O35^OML_O35" => lines.extend(["SPM|1|S1||BLD", "SAC|||C1"]),
        _ => {}
    }
    lines.extend(segments);
    let translation = translate(&lines);
    let codes = entries(&translation, "ServiceRequest").into_iter().map(|entry| {
        let code = entry.get("resource").and_then(|order| order.get("code"));
        let coding = code.and_then(|code| code.items("coding").iter().next());
        coding.and_then(|coding| coding.text("code")).unwrap_or_default().to_owned()
    });
    let is_left = |path: &str| path.starts_with("ORC") || path.starts_with("OBR");
    let untold = translation
        .findings
        .iter()
        .any(|finding| is_left(&finding.path) && finding.kind == FindingKind::NotMapped);
    (codes.collect(), untold)
}

const ORDERED: [&str; 4] =
    ["OML^O21^OML_O21", "OMG^O19^OMG_O19", "OML^O33^OML_O33", "OML^O35^OML_O35"];

#[test]
fn an_order_behind_observations_is_an_order() {
    for event in ORDERED {
        for version in ["2.4", "2.5", "2.5.1", "2.6", "2.7", "2.7.1", "2.8"] {
            let (codes, _) = ordered(
                event,
                version,
                &[
                    "ORC|NW|P1^CPOE",
                    "OBR|1|P1^CPOE||A^a^L",
                    "NTE|1||fasting",
                    "DG1|1||I10^x^I10",
                    "OBX|1|NM|8302-2^Height^LN||180|cm|||||F",
                    "ORC|CA|P2^CPOE",
                    "OBR|2|P2^CPOE||B^b^L",
                    "DG1|1||I10^x^I10",
                    "OBX|1|NM|8302-2^Height^LN||180|cm|||||F",
                    "ORC|NW|P3^CPOE",
                    "TQ1|1||||||||R",
                    "OBR|3|P3^CPOE||C^c^L",
                    "OBX|1|NM|8302-2^Height^LN||180|cm|||||F",
                ],
            );
            assert_eq!(codes, ["A", "B", "C"], "{event} {version}");
        }
    }
}

#[test]
fn a_prior_result_is_no_order() {
    for event in ORDERED {
        for begins in [
            &["ORC|PR|F1^LAB"][..],
            &["PID|1||4711^^^GOOD^MR", "ORC|NW|F1^LAB"],
            &["PV1|1|I", "ORC|PR|F1^LAB"],
        ] {
            let mut lines = vec!["ORC|NW|P1^CPOE", "OBR|1|P1^CPOE||A^a^L"];
            lines.push("OBX|1|NM|8302-2^Height^LN||180|cm|||||F");
            lines.extend(begins);
            lines.extend(["OBR|1|F1^LAB||B^b^L", "OBX|1|NM|718-7^Hb^LN||14|g/dL|||||F"]);
            lines.extend(["ORC|NW|P2^CPOE", "OBR|2|P2^CPOE||C^c^L"]);
            lines.push("OBX|1|NM|8302-2^Height^LN||180|cm|||||F");
            let (codes, untold) = ordered(event, "2.5.1", &lines);
            // What is not made of it is told.
            assert_eq!((codes, untold), (vec!["A".to_owned(), "C".to_owned()], true), "{event}");
        }
    }
}
