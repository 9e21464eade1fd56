//! Channels of FHIR resources: into the datastore, and out of it.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::harness::{Api, Pipehat, Project, eventually, until};

/// A project with a datastore.
fn project() -> Project {
    let project = Project::new();
    project.write("pipehat.yaml", "datastore:\n");
    project
}

/// A channel that takes JSON by HTTP, and writes it by `fhir: …`.
fn inward(project: &Project, name: &str, fhir: &str) {
    project.write(
        &format!("channels/{name}.yaml"),
        &format!(
            "channel: {name}\nformat: json\nsource: {{ http: {{ listen: 127.0.0.1:0 }} }}\n\
             destinations:\n  store:\n    fhir: {fhir}\n    retry: {{ first: 20ms, most: 100ms }}\n"
        ),
    );
}

/// Posts to a channel; the status.
fn post(node: &Pipehat, channel: &str, body: &str) -> u16 {
    let mut stream = TcpStream::connect(node.address(channel)).expect("the channel listens");
    write!(
        stream,
        "POST / HTTP/1.1\r\nHost: test\r\nContent-Type: application/fhir+json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
    .expect("the channel reads");
    let mut response = String::new();
    stream.read_to_string(&mut response).expect("the channel answers");
    response.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status")
}

fn patient(number: &str, family: &str) -> String {
    json!({
        "resourceType": "Patient",
        "identifier": [{ "system": "urn:test:mrn", "value": number }],
        "name": [{ "family": family }],
    })
    .to_string()
}

fn found(api: &Api, search: &str) -> Vec<Value> {
    let bundle = api.get(&format!("/fhir/R4/{search}"));
    let entries = bundle["entry"].as_array().cloned().unwrap_or_default();
    entries.into_iter().map(|entry| entry["resource"].clone()).collect()
}

#[test]
fn resources_are_written_to_the_datastore() {
    let project = project();
    inward(&project, "patients", "{ base: local, mode: update, search: identifier }");
    inward(&project, "bundles", "local");
    let node = project.up();
    let api = node.api();
    assert_eq!(post(&node, "patients", &patient("1|2", "Before")), 200);
    assert_eq!(post(&node, "patients", &patient("1|2", "After")), 200);
    eventually("both are delivered", || api.counter("patients", "delivered") == 2);
    let patients = found(&api, "Patient?identifier=urn:test:mrn%7C1%5C%7C2");
    let [patient_found] = patients.as_slice() else { panic!("one patient in {patients:?}") };
    assert_eq!(patient_found["meta"]["versionId"], "2");
    assert_eq!(patient_found["name"][0]["family"], "After");

    // The reply is kept, as Bundle.entry.response has it.
    let messages = api.search(&json!({ "channel": "patients" }));
    assert_eq!(messages.len(), 2, "{messages:?}");
    assert!(messages.iter().all(|message| message.to_string().contains("Patient")), "{messages:?}");

    // What is no JSON is refused, what breaks a rule waits for a person.
    assert_eq!(post(&node, "patients", "MSH|^~\\&|A"), 400);
    let invalid = patient("3", "X").replace("\"name\"", "\"birthDate\":\"soon\",\"name\"");
    assert_eq!(post(&node, "patients", &invalid), 200);
    eventually("it is parked", || api.counter("patients", "parked") == 1);
    assert_eq!(api.counter("patients", "rejected"), 1);
    assert_eq!(found(&api, "Patient").len(), 1);

    // A transaction goes in whole.
    let bundle = json!({
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {
                "fullUrl": "urn:uuid:0d6a7d76-7a4e-4c5c-8b62-0b3e1b0a9c01",
                "resource": serde_json::from_str::<Value>(&patient("4", "Mother")).expect("JSON"),
                "request": {
                    "method": "POST",
                    "url": "Patient",
                    "ifNoneExist": "identifier=urn:test:mrn|4",
                },
            },
            {
                "resource": {
                    "resourceType": "Observation",
                    "status": "final",
                    "code": { "text": "weight" },
                    "subject": { "reference": "urn:uuid:0d6a7d76-7a4e-4c5c-8b62-0b3e1b0a9c01" },
                },
                "request": { "method": "PUT", "url": "Observation/o1" },
            },
        ],
    });
    assert_eq!(post(&node, "bundles", &bundle.to_string()), 200);
    eventually("it is performed", || api.counter("bundles", "delivered") == 1);
    assert_eq!(found(&api, "Observation?subject:Patient.identifier=urn:test:mrn%7C4").len(), 1);
    api.proof();
    assert!(node.stop().success());
    project.prove();
}

#[test]
fn what_was_kept_reaches_the_datastore_after_a_kill() {
    const PATIENTS: usize = 40;
    let project = project();
    inward(&project, "patients", "{ base: local, mode: update, search: identifier }");
    let node = project.up();
    for number in 0..PATIENTS {
        assert_eq!(post(&node, "patients", &patient(&number.to_string(), "Kept")), 200);
    }
    node.kill();
    let node = project.up();
    let api = node.api();
    let patients = until("all of them are there", || {
        let patients = found(&api, "Patient?_count=100");
        (patients.len() >= PATIENTS).then_some(patients)
    });
    assert_eq!(patients.len(), PATIENTS, "none of them twice");
    eventually("all of them are delivered", || {
        api.counter("patients", "delivered") == PATIENTS as u64
    });
    api.proof();
}
