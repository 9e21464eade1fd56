//! Clients of the FHIR API: added and revoked while the node runs and while it does not.

use serde_json::{Value, json};

use crate::harness::{Connection, Pipehat, Project, eventually};
use crate::subscriptions::Hook;

/// Runs `pipehat client …`, which must succeed.
fn client(project: &Project, arguments: &[&str]) -> Vec<u8> {
    let arguments = [&["client"], arguments].concat();
    let output = project.run(&arguments);
    let wrong = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {wrong}");
    output.stdout
}

/// Adds a client; its id and secret.
fn added(project: &Project, name: &str) -> (String, String) {
    let added = client(project, &["add", name, "--scope", "system/*.*", "--json"]);
    let added: Value = serde_json::from_slice(&added).expect("JSON");
    let text = |name: &str| added[name].as_str().expect("it is told").to_owned();
    (text("client_id"), text("client_secret"))
}

/// A connection of a client that signed in.
fn signed_in(node: &Pipehat, (id, secret): &(String, String)) -> Connection {
    let api = node.api();
    let mut connection = Connection::open(api.authority(), "").expect("the node listens");
    let form = format!("grant_type=client_credentials&client_id={id}&client_secret={secret}");
    let answered = connection.post_form("/oauth2/token", &form).expect("an answer");
    assert_eq!(answered.status, 200);
    let token = answered.json()["access_token"].as_str().expect("a token").to_owned();
    Connection::open(api.authority(), &format!("Bearer {token}")).expect("the node listens")
}

/// What the audit says was done to a client, once it says so much.
fn deeds(node: &Pipehat, id: &str, count: usize) -> Vec<String> {
    let mut deeds = Vec::new();
    eventually("the audit knows", || {
        let path = format!("/fhir/R4/AuditEvent?altid=admin&entity:identifier={id}");
        let found = node.api().get(&path);
        deeds = found["entry"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|entry| entry["resource"]["subtype"][1]["code"].as_str().map(str::to_owned))
            .collect();
        deeds.len() >= count
    });
    deeds
}

#[test]
fn what_is_done_to_clients_stands_in_the_audit_and_ends_what_they_began() {
    let project = Project::new();
    project.write("pipehat.yaml", "datastore: { store: embedded }\n");
    let early = added(&project, "early");
    let node = project.up();
    assert_eq!(deeds(&node, &early.0, 1), ["$client-add"]);
    let late = added(&project, "late");
    assert_eq!(deeds(&node, &late.0, 1), ["$client-add"]);

    let hook = Hook::start(200);
    let mut connection = signed_in(&node, &early);
    let put = |connection: &mut Connection, path: &str, body: &Value| {
        let answered = connection.call("PUT", path, &[], Some(body)).expect("an answer");
        answered.status
    };
    let subscription = hook.subscription();
    assert_eq!(put(&mut connection, "/fhir/R4/Subscription/s", &subscription), 201);
    let status = |node: &Pipehat| node.api().get("/fhir/R4/Subscription/s")["status"].clone();
    eventually("it is active", || status(&node) == "active");
    let patient = json!({ "resourceType": "Patient", "id": "p", "active": true });
    assert_eq!(put(&mut connection, "/fhir/R4/Patient/p", &patient), 201);
    eventually("it is told", || hook.taken().len() == 1);

    client(&project, &["revoke", "early"]);
    assert_eq!(put(&mut connection, "/fhir/R4/Patient/p", &patient), 401);
    assert_eq!(deeds(&node, &early.0, 2), ["$client-add", "$client-revoke"]);
    eventually("it has ended", || status(&node) == "error");
    let ended = node.api().get("/fhir/R4/Subscription/s");
    assert_eq!(ended["error"], "the client that wrote this Subscription was revoked");
    let mut connection = signed_in(&node, &late);
    let patient = json!({ "resourceType": "Patient", "id": "p", "active": false });
    assert_eq!(put(&mut connection, "/fhir/R4/Patient/p", &patient), 200);
    node.kill();

    // While nothing runs.
    client(&project, &["rotate", "late", "--json"]);
    client(&project, &["revoke", "late"]);
    let node = project.up();
    assert_eq!(deeds(&node, &late.0, 3), ["$client-add", "$client-rotate", "$client-revoke"]);
    assert_eq!(hook.taken().len(), 1, "nothing was told behind the end");
    assert!(node.stop().success());
}
