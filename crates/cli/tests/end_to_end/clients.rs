//! Clients of the FHIR API: added and revoked while the node runs and while it does not.

use std::io::{Read, Write};
use std::net::TcpStream;

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

#[test]
fn a_scope_may_ask_by_a_parameter_of_the_datastore() {
    let project = Project::new();
    project.write("pipehat.yaml", "datastore: { store: embedded }\n");
    let arguments = ["client", "add", "ward", "--scope", "system/Patient.rs?my-active=true"];
    let refused = project.run(&arguments);
    let says = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{says}");
    let node = project.up();
    let put = |path: &str, body: &Value| {
        let (status, _) = node.api().call("PUT", path, Some(body));
        assert_eq!(status, 201, "{path}");
    };
    for (id, active) in [("a", true), ("b", false)] {
        let patient = json!({ "resourceType": "Patient", "id": id, "active": active });
        put(&format!("/fhir/R4/Patient/{id}"), &patient);
    }
    let parameter = json!({ "resourceType": "SearchParameter", "id": "my-active",
        "url": "http://example.org/my-active", "name": "MyActive", "status": "active",
        "description": "x", "code": "my-active", "base": ["Patient"], "type": "token",
        "expression": "Patient.active" });
    put("/fhir/R4/SearchParameter/my-active", &parameter);
    let added = |name: &str| {
        let folder = project.directory();
        let folder = folder.to_str().expect("a path");
        let scope = "system/Patient.rs?my-active=true";
        let arguments = ["add", name, "--scope", scope, "--project", folder, "--json"];
        let added: Value = serde_json::from_slice(&client(&project, &arguments)).expect("JSON");
        let text = |name: &str| added[name].as_str().expect("it is told").to_owned();
        (text("client_id"), text("client_secret"))
    };
    let running = added("running");
    node.kill();
    let stopped = added("stopped");
    let node = project.up();
    for one in [&running, &stopped] {
        let mut connection = signed_in(&node, one);
        let mut get = |path: &str| {
            let answered = connection.call("GET", path, &[], None).expect("an answer");
            (answered.status, answered.json()["total"].as_u64())
        };
        // The scope gives nothing until the parameter can be asked by.
        eventually("it sees its own", || get("/fhir/R4/Patient/a").0 == 200);
        assert_eq!(get("/fhir/R4/Patient/b").0, 404);
        assert_eq!(get("/fhir/R4/Patient?_total=accurate").1, Some(1));
    }
    // With the parameter, what the scope gives goes.
    let path = "/fhir/R4/SearchParameter/my-active";
    assert_eq!(node.api().call("DELETE", path, None).0, 204);
    let mut connection = signed_in(&node, &running);
    let mut status = |path: &str| connection.call("GET", path, &[], None).expect("it").status;
    eventually("it sees nothing", || status("/fhir/R4/Patient/a") == 403);
    assert_eq!(status("/fhir/R4/Patient"), 403);
    assert!(node.stop().success());
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

/// Sends a head as it is; the status.
fn raw(node: &Pipehat, head: &str, body: &str) -> u16 {
    let mut stream = TcpStream::connect(node.api().authority()).expect("the node listens");
    let length = body.len();
    let request = format!("{head}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).expect("it is read");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status")
}

/// What a client says of the server's name must not decide whom an assertion is made for, or what is a resource here.
#[test]
fn without_an_address_only_names_of_this_machine_open_the_server() {
    let project = Project::new();
    let settings = "datastore: { store: embedded }\n";
    project.write("pipehat.yaml", settings);
    let node = project.up();
    let port = node.api().authority().rsplit_once(':').expect("a port").1.to_owned();
    let form = "Content-Type: application/x-www-form-urlencoded";
    let check = |node: &Pipehat, host: &str, expected: [u16; 3]| {
        let metadata = format!("GET /fhir/R4/metadata HTTP/1.1\r\nHost: {host}");
        let token = format!("POST /oauth2/token HTTP/1.1\r\nHost: {host}\r\n{form}");
        let known = format!("GET /.well-known/smart-configuration HTTP/1.1\r\nHost: {host}");
        let found = [
            raw(node, &metadata, ""),
            raw(node, &token, "grant_type=client_credentials"),
            raw(node, &known, ""),
        ];
        assert_eq!(found, expected, "{host}");
    };
    for own in [format!("localhost:{port}"), format!("127.0.0.1:{port}"), format!("[::1]:{port}")] {
        check(&node, &own, [200, 401, 200]);
    }
    for other in ["evil.example.org", &format!("evil.example.org:{port}"), "10.1.2.3"] {
        check(&node, other, [421; 3]);
    }
    assert!(node.stop().success());
    // With an address, that alone counts.
    project.write(
        "pipehat.yaml",
        "datastore: { store: embedded, base: 'https://fhir.example.org/fhir/R4' }\n",
    );
    check(&project.up(), "evil.example.org", [200, 401, 200]);
}
