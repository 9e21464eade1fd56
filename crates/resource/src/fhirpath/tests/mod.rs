//! The language by the specification's sections, and all of R4's own expressions.

mod expressions;
mod functions;
mod language;
mod limits;
mod sample;

use jiff::Timestamp;

use super::{Context, Expression, Item};
use crate::json::{self, Value};

/// A patient to ask about.
const PATIENT: &str = r##"{
    "resourceType": "Patient",
    "id": "p1",
    "meta": {"versionId": "3", "lastUpdated": "2024-05-06T07:08:09.010Z", "tag": [{"system": "urn:tags", "code": "a"}]},
    "contained": [{"resourceType": "Organization", "id": "org", "name": "Example Clinic"}],
    "extension": [
        {"url": "urn:x:colour", "valueCode": "green"},
        {"url": "urn:x:size", "valueQuantity": {"value": 1.50, "unit": "m", "system": "http://unitsofmeasure.org", "code": "m"}}
    ],
    "identifier": [
        {"use": "usual", "system": "urn:mrn", "value": "0042"},
        {"system": "urn:other", "value": "X"}
    ],
    "active": true,
    "name": [
        {"use": "official", "family": "Example", "given": ["Anna", "Maria"], "_given": [null, {"extension": [{"url": "urn:x:note", "valueString": "second"}]}]},
        {"use": "nickname", "given": ["Anni"]}
    ],
    "gender": "female",
    "birthDate": "1974-12-25",
    "_birthDate": {"id": "bd", "extension": [{"url": "urn:x:time", "valueDateTime": "1974-12-25T14:35:45-05:00"}]},
    "deceasedDateTime": "2020-02",
    "multipleBirthInteger": 2,
    "contact": [{"name": {"family": "Contact"}, "period": {"start": "2012"}}],
    "_language": {"id": "unknown"},
    "managingOrganization": {"reference": "#org"},
    "generalPractitioner": [{"reference": "Practitioner/7"}, {"reference": "https://example.org/fhir/Organization/8/_history/2"}]
}"##;

const OBSERVATION: &str = r#"{
    "resourceType": "Observation",
    "status": "final",
    "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7", "display": "Body weight"}]},
    "subject": {"reference": "Patient/p1"},
    "effectivePeriod": {"start": "2024-01-01", "end": "2024-01-02"},
    "valueQuantity": {"value": 185.0, "unit": "lbs", "system": "http://unitsofmeasure.org", "code": "[lb_av]"},
    "referenceRange": [{"low": {"value": 10, "unit": "kg"}, "high": {"value": 90, "unit": "kg"}}],
    "component": [
        {"code": {"text": "a"}, "valueInteger": 3},
        {"code": {"text": "b"}, "valueString": "x"},
        {"code": {"text": "c"}, "valueBoolean": false}
    ]
}"#;

fn now() -> Timestamp {
    "2024-05-06T07:08:09.123456Z".parse().expect("a timestamp")
}

fn read(text: &str) -> Value {
    json::parse(text.as_bytes()).expect("the sample is JSON")
}

/// What an expression gives, as text: strings in quotes, elements as JSON.
fn evaluated(expression: &str, root: &Value, context: &Context<'_>) -> String {
    let parsed = match Expression::parse(expression) {
        Ok(parsed) => parsed,
        Err(error) => return format!("no expression: {error}"),
    };
    match parsed.evaluate(root, context) {
        Ok(items) => items.iter().map(shown).collect::<Vec<_>>().join(", "),
        Err(error) => format!("error: {error}"),
    }
}

fn shown(item: &Item<'_>) -> String {
    match item {
        Item::Element(_) => match (item.json(), item.type_name()) {
            (Some(value), _) => value.to_json(),
            (None, Some(type_name)) => format!("<{type_name}>"),
            (None, None) => "<>".to_owned(),
        },
        Item::Boolean(value) => value.to_string(),
        Item::Integer(value) => value.to_string(),
        Item::Decimal(value) => value.to_string(),
        Item::String(text) => format!("'{text}'"),
        Item::Date(value) => format!("@{value}"),
        Item::DateTime(value) => {
            format!("@{value}{}", if value.time().is_none() { "T" } else { "" })
        }
        Item::Time(value) => format!("@T{value}"),
        Item::Quantity(value) => value.to_string(),
        Item::Type(info) => format!("{}.{}", info.namespace, info.name),
    }
}

#[track_caller]
fn check_on(resource: &str, expression: &str, expected: &str) {
    let root = read(resource);
    let context = Context::new(now());
    assert_eq!(evaluated(expression, &root, &context), expected, "{expression}");
}

/// On the patient.
#[track_caller]
fn check(expression: &str, expected: &str) {
    check_on(PATIENT, expression, expected);
}

/// Each line is an expression, `=>` and what it gives.
#[track_caller]
fn check_all(lines: &str) {
    let root = read(PATIENT);
    let context = Context::new(now());
    let mut wrong = Vec::new();
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (expression, expected) = line.split_once("=>").unwrap_or_else(|| panic!("{line}"));
        let (expression, expected) = (expression.trim(), expected.trim());
        let actual = evaluated(expression, &root, &context);
        if actual != expected {
            wrong.push(format!("{expression}\n    expected {expected}\n    got      {actual}"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
