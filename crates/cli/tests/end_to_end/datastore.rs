//! The FHIR datastore of the real binary: without channels, and through kills.

use serde_json::{Value, json};

use crate::harness::Project;

#[test]
fn what_was_answered_survives_a_kill() {
    let project = Project::new();
    project.write("pipehat.yaml", "datastore: { store: embedded }\n");
    let node = project.up();
    let create = |family: &str| {
        let patient = json!({ "resourceType": "Patient", "name": [{ "family": family }] });
        let (status, body) = node.api().call("POST", "/fhir/R4/Patient", Some(&patient));
        assert_eq!(status, 201, "{}", String::from_utf8_lossy(&body));
        serde_json::from_slice::<Value>(&body).expect("a resource")
    };
    let created: Vec<Value> = ["Adams", "Brown", "Clark"].map(create).into();
    let channels = node.api().get("/api/v1/status");
    assert_eq!(channels["channels"], json!([]));
    node.kill();

    let node = project.up();
    for patient in &created {
        let id = patient["id"].as_str().expect("an id");
        assert_eq!(node.api().get(&format!("/fhir/R4/Patient/{id}")), *patient);
    }
    let found = node.api().get("/fhir/R4/Patient?family=bro");
    assert_eq!(found["entry"][0]["resource"], created[1]);
    assert_eq!(node.api().get("/fhir/R4/Patient/_history")["total"], 3);
    assert!(node.stop().success());
    project.prove();
}

#[test]
fn a_project_without_a_datastore_has_no_fhir_api() {
    let project = Project::new();
    project.write("channels/in.yaml", "channel: in\nsource: { mllp: { listen: 127.0.0.1:0 } }\n");
    let node = project.up();
    let (status, body) = node.api().call("GET", "/fhir/R4/metadata", None);
    assert_eq!(status, 404, "{}", String::from_utf8_lossy(&body));
    assert!(node.stop().success());
}
