//! Channels of FHIR resources: into the datastore, and out of it.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::harness::{Api, Pipehat, Project, eventually, free_port, until};

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

    until("they are found by the type of the resource", || {
        let search = json!({ "channels": ["patients"], "type": "Patient" });
        (api.search(&search).len() == 2).then_some(())
    });

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
                    "id": "o1",
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

/// A channel that follows the datastore, and one that gets by HTTP what it publishes.
fn outward(project: &Project, criteria: &str) {
    let port = free_port();
    project.write(
        "channels/feed.yaml",
        &format!(
            "channel: feed\nsource:\n  fhir: {{ criteria: \"{criteria}\", on: [create, update, delete] }}\n\
             destinations:\n  partner:\n    http: {{ url: \"http://127.0.0.1:{port}/\", \
             content_type: application/fhir+json }}\n    retry: {{ first: 20ms, most: 100ms }}\n"
        ),
    );
    project.write(
        "channels/partner.yaml",
        &format!(
            "channel: partner\nformat: json\nsource: {{ http: {{ listen: 127.0.0.1:{port} }} }}\n"
        ),
    );
}

fn put(api: &Api, id: &str, active: bool, family: &str) {
    let patient = json!({
        "resourceType": "Patient", "id": id, "active": active, "name": [{ "family": family }],
    });
    let (status, _) = api.call("PUT", &format!("/fhir/R4/Patient/{id}"), Some(&patient));
    assert!(matches!(status, 200 | 201), "{status}");
}

/// The payloads of a channel's messages, in the order in which they came in.
fn payloads(api: &Api, channel: &str, count: u64) -> Vec<Value> {
    let search = json!({ "channels": [channel], "oldest_first": true, "limit": 500 });
    let messages = until("the index has them all", || {
        let messages = api.search(&search);
        (messages.len() as u64 >= count).then_some(messages)
    });
    let payload = |message: &Value| {
        let (status, bytes) =
            api.call("GET", &format!("/api/v1/messages/{}/bytes", message["id"]), None);
        assert_eq!(status, 200);
        serde_json::from_slice(&bytes).expect("the payload is JSON")
    };
    messages.iter().map(payload).collect()
}

#[test]
fn changes_of_the_datastore_start_a_channel() {
    let project = project();
    outward(&project, "Patient?active=true");
    let node = project.up();
    let api = node.api();
    put(&api, "a", true, "One");
    put(&api, "b", false, "Passive");
    put(&api, "a", true, "Two");
    let (status, _) = api.call("DELETE", "/fhir/R4/Patient/a", None);
    assert!(matches!(status, 200 | 204), "{status}");
    let (status, _) = api.call("DELETE", "/fhir/R4/Patient/b", None);
    assert!(matches!(status, 200 | 204), "{status}");
    eventually("all of them are published", || api.counter("partner", "received") == 3);
    let families: Vec<Value> = payloads(&api, "partner", 3)
        .iter()
        .map(|patient| patient["name"][0]["family"].clone())
        .collect();
    assert_eq!(families, ["One", "Two", "Two"], "a deletion gives the version before");
    assert_eq!(api.counter("feed", "received"), 3);
    api.proof();
    assert!(node.stop().success());
    project.prove();
}

#[test]
fn every_change_comes_once_whenever_it_is_killed() {
    const ROUNDS: usize = 4;
    const CHANGES: usize = 25;
    let project = project();
    outward(&project, "Patient");
    for round in 0..ROUNDS {
        let node = project.up();
        let api = node.api();
        for number in 0..CHANGES {
            put(&api, &format!("p{round}-{number}"), true, "Followed");
        }
        // Somewhere in the middle of following.
        node.kill();
    }
    let node = project.up();
    let api = node.api();
    let changes = (ROUNDS * CHANGES) as u64;
    eventually("every change has come", || api.counter("feed", "received") == changes);
    eventually("all are published", || api.counter("feed", "delivered") == changes);
    let mut ids: Vec<String> =
        payloads(&api, "feed", changes).iter().map(|patient| patient["id"].to_string()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len() as u64, changes, "none of them twice");
    assert_eq!(api.counter("feed", "received"), changes);
    api.proof();
}
