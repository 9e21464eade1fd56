//! What is deleted in the datastore is deleted where a channel writes it, and told where it is published.

use serde_json::{Value, json};

use crate::harness::{Api, Datastore, Pipehat, Project, eventually, free_port, until};

const SCOPE: &str = "system/Patient.cruds";

/// A project with a datastore and a channel `mirror` that follows it.
fn mirror(source: &str, rest: &str) -> Project {
    let project = Project::new();
    project.write("pipehat.yaml", "datastore:\n");
    project.write(
        "channels/mirror.yaml",
        &format!("channel: mirror\nsource:\n  fhir: {source}\n{rest}"),
    );
    project
}

fn to(fhir: &str) -> String {
    format!(
        "destinations:\n  there:\n    fhir: {fhir}\n    retry: {{ first: 20ms, most: 100ms }}\n"
    )
}

const NUMBERED: &str =
    "{ criteria: \"Patient?identifier=urn:mir|\", on: [create, update, delete] }";

fn put(api: &Api, id: &str, family: &str) {
    let patient = json!({
        "resourceType": "Patient", "id": id, "name": [{ "family": family }],
        "identifier": [{ "system": "urn:mir", "value": id }],
    });
    let (status, _) = api.call("PUT", &format!("/fhir/R4/Patient/{id}"), Some(&patient));
    assert!(matches!(status, 200 | 201), "{status}");
}

fn delete(api: &Api, id: &str) {
    let (status, _) = api.call("DELETE", &format!("/fhir/R4/Patient/{id}"), None);
    assert!(matches!(status, 200 | 204), "{status}");
}

fn status(api: &Api, id: &str) -> u16 {
    api.call("GET", &format!("/fhir/R4/Patient/{id}"), None).0
}

/// The family that a patient has there, while there is one.
fn family(api: &Api, search: &str) -> Vec<Value> {
    let bundle = api.get(&format!("/fhir/R4/Patient?{search}"));
    let entries = bundle["entry"].as_array().cloned().unwrap_or_default();
    entries.iter().map(|entry| entry["resource"]["name"][0]["family"].clone()).collect()
}

/// Everything that came in has gone out.
fn all_delivered(api: &Api, count: u64) {
    eventually("all is delivered", || {
        api.counter("mirror", "delivered") == count && api.counter("mirror", "in_flight") == 0
    });
}

fn stopped(nodes: [Pipehat; 2]) {
    for node in nodes {
        assert!(node.stop().success());
    }
}

#[test]
fn what_is_deleted_here_is_deleted_there() {
    let datastore = Datastore::new(SCOPE);
    let project = mirror(NUMBERED, &to(&datastore.settings("")));
    project.write_secret("lookups", datastore.secret());
    let (there, here) = (datastore.up(), project.up());
    let (api, other) = (here.api(), there.api());
    put(&api, "a", "One");
    put(&api, "a", "Two");
    put(&api, "b", "Stays");
    all_delivered(&api, 3);
    assert_eq!(family(&other, "_id=a"), ["Two"]);
    delete(&api, "a");
    all_delivered(&api, 4);
    assert_eq!((status(&other, "a"), status(&other, "b")), (410, 200));

    // One that is not there any more, and one that never was.
    put(&api, "c", "Early");
    all_delivered(&api, 5);
    delete(&other, "c");
    delete(&api, "c");
    all_delivered(&api, 6);
    assert_eq!(status(&other, "c"), 410);

    // Deleted while the other is away and the process dies: nothing comes back, in whatever order it is sent again.
    assert!(there.stop().success());
    put(&api, "d", "Short");
    delete(&api, "d");
    delete(&api, "b");
    eventually("it waits", || api.counter("mirror", "received") == 9);
    here.kill();
    let (there, here) = (datastore.up(), project.up());
    let (api, other) = (here.api(), there.api());
    all_delivered(&api, 9);
    assert_eq!((status(&other, "d"), status(&other, "b")), (410, 410));
    // It can come back by being written.
    put(&api, "b", "Again");
    all_delivered(&api, 10);
    assert_eq!(family(&other, "_id=b"), ["Again"]);
    api.proof();
    stopped([here, there]);
    project.prove();
}

#[test]
fn what_has_other_ids_there_is_deleted_by_its_search() {
    let datastore = Datastore::new(SCOPE);
    let more = "mode: update, search: identifier,";
    let project = mirror(NUMBERED, &to(&datastore.settings(more)));
    project.write_secret("lookups", datastore.secret());
    let (there, here) = (datastore.up(), project.up());
    let (api, other) = (here.api(), there.api());
    put(&other, "of-there", "Before");
    let patient = json!({ "resourceType": "Patient", "id": "of-there", "name": [{ "family": "Before" }],
        "identifier": [{ "system": "urn:mir", "value": "a" }] });
    let (written, _) = other.call("PUT", "/fhir/R4/Patient/of-there", Some(&patient));
    assert_eq!(written, 200);
    put(&api, "a", "After");
    all_delivered(&api, 1);
    assert_eq!(family(&other, "identifier=urn:mir%7Ca"), ["After"]);
    delete(&api, "a");
    all_delivered(&api, 2);
    assert_eq!(family(&other, "identifier=urn:mir%7Ca"), [] as [&str; 0]);
    assert_eq!(status(&other, "of-there"), 410);
    stopped([here, there]);
}

#[test]
fn what_was_deleted_here_does_not_come_back_here() {
    let source = "{ criteria: Patient, on: [delete] }";
    let project = mirror(source, &to("local"));
    let node = project.up();
    let api = node.api();
    put(&api, "a", "Gone");
    delete(&api, "a");
    all_delivered(&api, 1);
    assert_eq!(status(&api, "a"), 410);
    let history = api.get("/fhir/R4/Patient/a/_history");
    assert_eq!(history["total"], 2, "deleting what is deleted is no change");
    assert_eq!(api.counter("mirror", "received"), 1);

    // The audit knows the channel by its name.
    let deletions = until("the audit has it", || {
        let bundle = api.get("/fhir/R4/AuditEvent?agent-name=mirror&action=D");
        bundle["entry"].as_array().cloned().filter(|found| !found.is_empty())
    });
    let agent = &deletions[0]["resource"]["agent"][0];
    assert_eq!((&agent["name"], &agent["altId"]), (&json!("mirror"), &json!("channel mirror")));
    assert!(node.stop().success());
}

#[test]
fn changes_are_told_to_partners_and_shown() {
    let port = free_port();
    let project = mirror(
        NUMBERED,
        &format!(
            "destinations:\n  hook:\n    when: fhir.change != \"update\"\n    http: {{ url: \"http://127.0.0.1:{port}/\", \
             content_type: application/fhir+json }}\n    retry: {{ first: 20ms, most: 100ms }}\n"
        ),
    );
    project.write(
        "channels/hook.yaml",
        &format!(
            "channel: hook\nformat: json\nsource:\n  http:\n    listen: 127.0.0.1:{port}\n    \
             headers: [fhir-change, fhir-type, fhir-id, fhir-version]\n\
             accept: header(\"fhir-change\") = \"delete\" and header(\"fhir-type\") = \"Patient\" \
             and header(\"fhir-id\") = \"a\" and header(\"fhir-version\") = \"3\"\n"
        ),
    );
    let node = project.up();
    let api = node.api();
    put(&api, "a", "One");
    put(&api, "a", "Two");
    delete(&api, "a");
    eventually("two are published", || api.counter("hook", "received") == 2);
    eventually("one of them is the deletion", || {
        api.counter("hook", "delivered") == 1 && api.counter("hook", "filtered") == 1
    });
    assert_eq!(api.counter("mirror", "filtered"), 1);
    let messages = until("the index has them", || {
        let search = json!({ "channels": ["mirror"], "oldest_first": true });
        Some(api.search(&search)).filter(|messages| messages.len() == 3)
    });
    let id = messages[2]["id"].to_string();
    let shown = project.run(&["messages", "show", &id]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("delete of Patient/a, version 3"), "{shown}");
    let shown = project.run(&["messages", "show", &id, "--json"]);
    let shown: Value = serde_json::from_slice(&shown.stdout).expect("JSON");
    let change = json!({ "change": "delete", "type": "Patient", "id": "a", "version": 3 });
    assert_eq!(shown["stages"][0]["change"], change);
    api.proof();
    assert!(node.stop().success());
}

#[test]
fn a_channel_follows_by_a_parameter_of_the_datastores_own() {
    let source = "{ criteria: \"Patient?ward=2w\", custom: [ward], on: [create, delete] }";
    let project = mirror(source, "");
    let node = project.up();
    let api = node.api();
    let parameter = json!({
        "resourceType": "SearchParameter", "id": "ward", "url": "urn:test:ward", "name": "ward",
        "status": "active", "code": "ward", "base": ["Patient"], "type": "string",
        "expression": "Patient.address.city", "description": "The ward.",
    });
    let patient = |id: &str, city: &str| {
        let patient = json!({ "resourceType": "Patient", "id": id, "address": [{ "city": city }] });
        let (status, _) = api.call("PUT", &format!("/fhir/R4/Patient/{id}"), Some(&patient));
        assert_eq!(status, 201);
    };
    // What changes before anybody knows what a ward is waits until it is said.
    patient("a", "2W");
    patient("b", "3E");
    eventually("it waits for the parameter", || {
        api.channel("mirror")["health"]["problem_code"] == "fhir.feed-parameter"
    });
    let (status, _) = api.call("PUT", "/fhir/R4/SearchParameter/ward", Some(&parameter));
    assert_eq!(status, 201);
    all_delivered(&api, 1);
    patient("c", "3E");
    delete(&api, "b");
    delete(&api, "a");
    all_delivered(&api, 2);
    assert!(node.stop().success());
}

#[test]
fn a_destination_that_can_not_delete_is_refused() {
    let project = mirror(NUMBERED, &to("{ base: local, mode: create }"));
    let directory = project.directory();
    let directory = directory.to_str().expect("a path");
    let checked = project.run(&["check", directory]);
    let told = String::from_utf8_lossy(&checked.stderr).into_owned()
        + &String::from_utf8_lossy(&checked.stdout);
    assert!(!checked.status.success(), "{told}");
    assert!(told.contains("channel.deletions") && told.contains("mode: update"), "{told}");
}
