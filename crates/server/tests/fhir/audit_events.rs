//! The audit as AuditEvents: everything is there, found by R4's parameters, and nobody's to write.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::secured::{ADMIN_TOKEN, Secured};

fn patient(id: &str) -> Value {
    json!({ "resourceType": "Patient", "id": id, "name": [{ "family": "Example" }] })
}

/// `subtype type/id outcome` of what a search of AuditEvents finds.
async fn found(server: &Secured, authorization: &str, query: &str) -> Vec<String> {
    let answer = server.get(&format!("/fhir/R4/AuditEvent{query}"), authorization).await;
    assert_eq!(answer.status, 200, "{query}: {}", answer.body);
    let entries = answer.body["entry"].as_array().cloned().unwrap_or_default();
    let text = |entry: &Value| {
        let event = &entry["resource"];
        let what = event["entity"][0]["what"]["reference"].as_str().unwrap_or("-");
        let code = event["subtype"][0]["code"].as_str().unwrap_or("-");
        format!("{code} {what} {}", event["outcome"].as_str().unwrap_or("-"))
    };
    entries.iter().map(text).collect()
}

#[tokio::test]
async fn every_access_becomes_an_event() {
    let server = Secured::new();
    let lab = server.client("lab", "system/Patient.cruds system/Observation.rs");
    let admin = format!("Bearer {ADMIN_TOKEN}");
    let token = server.token(&lab, "").await;
    server.call("PUT /fhir/R4/Patient/a", &token, &patient("a")).await;
    server.get("/fhir/R4/Patient/a", &token).await;
    server.get("/fhir/R4/Patient/none", &token).await;
    server.get("/fhir/R4/Patient?family=Example", &token).await;
    server.get("/fhir/R4/Encounter/e", &token).await;
    server.get("/fhir/R4/Patient/a", "Bearer wrong").await;
    let batch = json!({ "resourceType": "Bundle", "type": "transaction", "entry": [
        { "request": { "method": "GET", "url": "Patient/a" } },
        { "request": { "method": "PUT", "url": "Patient/b" }, "resource": patient("b") },
        { "request": { "method": "GET", "url": "Patient?active=true" } } ] });
    let answer = server.call("POST /fhir/R4", &token, &batch).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(
        found(&server, &admin, "").await,
        [
            "110122 - 0",
            "update Patient/a 0",
            "read Patient/a 0",
            "read Patient/none 4",
            "search-type - 0",
            "read Encounter/e 4",
            "read Patient/a 4",
            "read Patient/a 0",
            "update Patient/b 0",
            "search-type - 0",
            "batch - 0",
        ]
    );
    let answer = server.get("/fhir/R4/AuditEvent?subtype=search-type&_count=1", &admin).await.body;
    let event = &answer["entry"][0]["resource"];
    let agent = &event["agent"][0];
    assert_eq!((&agent["altId"], &agent["name"]), (&json!(lab.0), &json!("lab")));
    assert_eq!(agent["network"]["address"], "192.0.2.7");
    let query = STANDARD.decode(event["entity"][0]["query"].as_str().unwrap()).unwrap();
    assert_eq!(query, b"family=Example");
    let disk = std::fs::read(server.folder.path().join("audit.sqlite")).unwrap();
    let log = std::fs::read(server.folder.path().join("audit.sqlite-wal")).unwrap_or_default();
    for bytes in [disk, log] {
        assert!(
            !bytes.windows(7).any(|window| window == b"Example"),
            "what was searched is sealed"
        );
    }
}

#[tokio::test]
async fn a_refused_call_is_told_with_what_it_asked_and_whom_it_named() {
    let server = Secured::new();
    let (lab, ward) = (server.client("lab", "system/*.*"), server.client("ward", "system/*.*"));
    let admin = format!("Bearer {ADMIN_TOKEN}");
    let ended = server.token(&ward, "").await;
    server.clients.revoke(&ward.0, "2026-01-02T03:04:05Z").expect("it is revoked");
    let basic =
        |id: &str, secret: &str| format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")));
    let nobody = basic(&lab.1, "x");
    let calls = [
        ("GET /fhir/R4/Patient/asked", "", "read", None),
        ("GET /fhir/R4/Patient/asked", "Bearer x.y.z", "read", None),
        ("GET /fhir/R4/Patient/asked", nobody.as_str(), "read", None),
        ("GET /fhir/R4/Patient/asked", &basic(&lab.0, "wrong"), "read", Some(&lab.0)),
        ("DELETE /fhir/R4/Patient/asked", &ended, "delete", Some(&ward.0)),
        ("GET /fhir/R4/Patient/asked/$client-revoke", "", "operation", None),
    ];
    for (asked, authorization, _, _) in &calls {
        let answer = server.call(asked, authorization, &Value::Null).await;
        assert_eq!(answer.status, 401, "{asked}: {}", answer.body);
    }
    let path = "/fhir/R4/AuditEvent?entity=Patient/asked&outcome=4&_sort=_lastUpdated";
    let events = server.get(path, &admin).await.body;
    let told: Vec<_> = events["entry"]
        .as_array()
        .expect("entries")
        .iter()
        .map(|entry| &entry["resource"])
        .map(|event| (event["subtype"][0]["code"].as_str(), event["agent"][0]["altId"].as_str()))
        .collect();
    let expected: Vec<_> = calls
        .iter()
        .map(|(_, _, code, client)| (Some(*code), client.map(|client: &String| client.as_str())))
        .collect();
    assert_eq!(told, expected);
    // What was searched for, without what may open something elsewhere.
    let long =
        format!("/fhir/R4/Patient?family=F&access_token={}&given={}", lab.1, "x".repeat(5_000));
    assert_eq!(server.get(&long, "").await.status, 401);
    let path = "/fhir/R4/AuditEvent?subtype=search-type&outcome=4&_sort=-_lastUpdated&_count=1";
    let event = &server.get(path, &admin).await.body["entry"][0]["resource"];
    let query = STANDARD.decode(event["entity"][0]["query"].as_str().expect("a query")).unwrap();
    let query = String::from_utf8(query).unwrap();
    assert!(query.starts_with("family=F&given=xxx") && query.len() == 1_000, "{query}");
    assert!(!events.to_string().contains(&lab.1), "no secret is told");
}

#[tokio::test]
async fn events_are_found_by_what_they_say() {
    let server = Secured::new();
    let (lab, ward) = (server.client("lab", "system/*.*"), server.client("ward", "system/*.*"));
    let admin = format!("Bearer {ADMIN_TOKEN}");
    let (of_lab, of_ward) = (server.token(&lab, "").await, server.token(&ward, "").await);
    for id in ["a", "b"] {
        server.call(&format!("PUT /fhir/R4/Patient/{id}"), &of_lab, &patient(id)).await;
    }
    server.get("/fhir/R4/Patient/a", &of_ward).await;
    server.call("DELETE /fhir/R4/Patient/b", &of_ward, &Value::Null).await;
    server.get("/fhir/R4/Patient/b", &of_ward).await;
    let check = async |query: &str, expected: &[&str]| {
        assert_eq!(found(&server, &admin, query).await, expected, "{query}");
    };
    check("?entity=Patient/a", &["update Patient/a 0", "read Patient/a 0"]).await;
    check("?patient=a&action=R", &["read Patient/a 0"]).await;
    check(&format!("?altid={}&entity=Patient/a", ward.0), &["read Patient/a 0"]).await;
    check("?agent-name=ward&type=rest&outcome=4", &["read Patient/b 4"]).await;
    check(&format!("?agent:identifier={}&subtype=delete", ward.0), &["delete Patient/b 0"]).await;
    check("?address=192.0.2.7&subtype=delete", &["delete Patient/b 0"]).await;
    check("?subtype=110122", &["110122 - 0", "110122 - 0"]).await;
    check(
        "?patient=b&_sort=-date",
        &["read Patient/b 4", "delete Patient/b 0", "update Patient/b 0"],
    )
    .await;
    check("?patient=b&date=ge2000-01-01&_sort=date&_count=1", &["update Patient/b 0"]).await;
    check("?date=lt2000-01-01", &[]).await;
    check("?entity=Patient/none", &[]).await;
    let made = server.call("POST /fhir/R4/Patient", &of_lab, &patient("x")).await.body;
    let id = made["id"].as_str().unwrap();
    check(&format!("?entity=Patient/{id}"), &[&format!("create Patient/{id} 0")]).await;
    let refused = async |path: &str| {
        let answer = server.get(&format!("/fhir/R4/{path}"), &admin).await;
        let code = &answer.body["issue"][0]["code"];
        assert_eq!((answer.status, code), (400, &json!("not-supported")), "{path}");
    };
    refused("AuditEvent?_include=AuditEvent:patient").await;
    refused("AuditEvent?patient.family=x").await;
    refused("AuditEvent?_sort=agent-name").await;
    refused("Patient?_has:AuditEvent:patient:action=R").await;
    refused("Patient?_revinclude=AuditEvent:patient").await;
    let all = server.get("/fhir/R4/Patient?_id=a&_revinclude=*", &admin).await;
    assert_eq!(all.status, 200, "{}", all.body);
    // What is read about a patient has been told to the audit, and is not part of the record.
    let everything = server.get("/fhir/R4/Patient/a/$everything", &admin).await;
    assert_eq!(everything.status, 200, "{}", everything.body);
    let entries = everything.body["entry"].as_array().unwrap();
    let types: Vec<_> = entries.iter().map(|entry| &entry["resource"]["resourceType"]).collect();
    assert_eq!(types, ["Patient"]);
    let count = server.get("/fhir/R4/AuditEvent?patient=b&_summary=count", &admin).await.body;
    assert_eq!(count["total"], 3);
}

#[tokio::test]
async fn pages_go_on_while_more_is_recorded() {
    let server = Secured::new();
    let admin = format!("Bearer {ADMIN_TOKEN}");
    server.call("PUT /fhir/R4/Patient/a", &admin, &patient("a")).await;
    for _ in 0..9 {
        server.get("/fhir/R4/Patient/a", &admin).await;
    }
    let mut path = "/fhir/R4/AuditEvent?entity=Patient/a&_count=4&_sort=-date".to_owned();
    let mut ids = Vec::new();
    for _ in 0..10 {
        let page = server.get(&path, &admin).await.body;
        server.get("/fhir/R4/Patient/a", &admin).await;
        for entry in page["entry"].as_array().into_iter().flatten() {
            ids.push(entry["resource"]["id"].as_str().unwrap().to_owned());
        }
        let links = page["link"].as_array().unwrap();
        let Some(next) = links.iter().find(|link| link["relation"] == "next") else { break };
        path = next["url"].as_str().unwrap().strip_prefix("http://fhir.test").unwrap().to_owned();
    }
    let count = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!((count, ids.len()), (10, 10), "each once, and none that came later");
}

#[tokio::test]
async fn an_event_is_read_and_never_written() {
    let server = Secured::new();
    let admin = format!("Bearer {ADMIN_TOKEN}");
    server.get("/fhir/R4/Patient/a", &admin).await;
    let first =
        server.get("/fhir/R4/AuditEvent", &admin).await.body["entry"][0]["resource"].clone();
    let id = first["id"].as_str().unwrap();
    let read = server.get(&format!("/fhir/R4/AuditEvent/{id}"), &admin).await;
    assert_eq!((read.status, &read.body), (200, &first));
    assert_eq!(read.headers["etag"], "W/\"1\"");
    let version = server.get(&format!("/fhir/R4/AuditEvent/{id}/_history/1"), &admin).await;
    assert_eq!(version.body, first);
    assert_eq!(
        server.get(&format!("/fhir/R4/AuditEvent/{id}/_history/2"), &admin).await.status,
        404
    );
    let history = server.get(&format!("/fhir/R4/AuditEvent/{id}/_history"), &admin).await.body;
    assert_eq!(history["entry"][0]["resource"], first);
    let history = server.get("/fhir/R4/AuditEvent/_history?_count=2", &admin).await.body;
    assert_eq!(history["entry"].as_array().unwrap().len(), 2);
    assert_eq!(server.get("/fhir/R4/AuditEvent/audit-99999", &admin).await.status, 404);
    let path = format!("/fhir/R4/AuditEvent/{id}");
    for (asked, body) in [
        (format!("PUT {path}"), first.clone()),
        (format!("DELETE {path}"), Value::Null),
        (format!("PATCH {path}"), json!([{ "op": "remove", "path": "/outcome" }])),
        ("POST /fhir/R4/AuditEvent".to_owned(), first.clone()),
        (format!("PUT /fhir/R4/AuditEvent?_id={id}"), first.clone()),
        (format!("DELETE /fhir/R4/AuditEvent?_id={id}"), Value::Null),
    ] {
        assert_eq!(server.call(&asked, &admin, &body).await.status, 405, "{asked}");
    }
    for kind in ["batch", "transaction"] {
        let bundle = json!({ "resourceType": "Bundle", "type": kind, "entry": [
            { "request": { "method": "DELETE", "url": format!("AuditEvent/{id}") } } ] });
        let answer = server.call("POST /fhir/R4", &admin, &bundle).await;
        let status = match kind {
            "batch" => answer.body["entry"][0]["response"]["status"].to_string(),
            _ => answer.status.to_string(),
        };
        assert!(status.contains("405"), "{kind}: {status}");
    }
    assert_eq!(server.get(&path, &admin).await.body, first);
}

#[tokio::test]
async fn events_are_seen_by_whom_scopes_let() {
    let server = Secured::new();
    let admin = format!("Bearer {ADMIN_TOKEN}");
    for id in ["a", "b"] {
        server.call(&format!("PUT /fhir/R4/Patient/{id}"), &admin, &patient(id)).await;
    }
    let none = server.client("none", "system/Patient.rs");
    let none = server.token(&none, "").await;
    assert_eq!(server.get("/fhir/R4/AuditEvent", &none).await.status, 403);
    let some = server.client("some", "system/AuditEvent.rs?patient=Patient/a");
    let some = server.token(&some, "").await;
    assert_eq!(found(&server, &some, "").await, ["update Patient/a 0"]);
    let other = server.get("/fhir/R4/AuditEvent?patient=b", &admin).await.body;
    let id = other["entry"][0]["resource"]["id"].as_str().unwrap();
    assert_eq!(server.get(&format!("/fhir/R4/AuditEvent/{id}"), &some).await.status, 404);
}

#[tokio::test]
async fn without_an_audit_nothing_is_done() {
    let server = Secured::new();
    let client = server.client("lab", "system/*.*");
    let token = server.token(&client, "").await;
    let admin = format!("Bearer {ADMIN_TOKEN}");
    server.call("PUT /fhir/R4/Patient/a", &admin, &patient("a")).await;
    let path = server.folder.path().join("audit.sqlite");
    let database = rusqlite_break(&path, "ALTER TABLE records RENAME TO away");
    // The first change shows the failure; from then on nobody gets in.
    assert_eq!(server.call("PUT /fhir/R4/Patient/b", &token, &patient("b")).await.status, 503);
    for asked in ["GET /fhir/R4/Patient/a", "DELETE /fhir/R4/Patient/a"] {
        let answer = server.call(asked, &token, &Value::Null).await;
        assert_eq!((answer.status, &answer.body["issue"][0]["code"]), (503, &json!("no-store")));
    }
    let form =
        format!("grant_type=client_credentials&client_id={}&client_secret={}", client.0, client.1);
    assert_eq!(server.form("/oauth2/token", "", &form).await.status, 503);
    assert_eq!(server.get("/auth/me", &token).await.status, 503);
    drop(database);
    rusqlite_break(&path, "ALTER TABLE away RENAME TO records");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while server.get("/fhir/R4/Patient/a", &token).await.status != 200 {
        assert!(std::time::Instant::now() < deadline, "it goes on when the audit does");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

fn rusqlite_break(path: &std::path::Path, sql: &str) -> rusqlite::Connection {
    let key = pipehat_store::datastore::BodyKey::new(1, [7; 32]).file_key();
    let database = pipehat_vault::open(path, &key, rusqlite::OpenFlags::default()).unwrap();
    database.busy_timeout(std::time::Duration::from_secs(5)).unwrap();
    database.execute_batch(sql).unwrap();
    database
}

#[tokio::test]
async fn what_means_every_type_leaves_the_audit_out() {
    let server = Secured::new();
    let admin = format!("Bearer {ADMIN_TOKEN}");
    server.call("PUT /fhir/R4/Patient/a", &admin, &patient("a")).await;
    for path in [
        "Patient/a/$everything",
        "Patient/a/*",
        "Patient?_revinclude=*",
        "Patient?_include=*&_include:iterate=*",
    ] {
        let answer = server.get(&format!("/fhir/R4/{path}"), &admin).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        let entries = answer.body["entry"].as_array().expect("entries");
        assert_eq!(entries.len(), 1, "{path}");
        assert_eq!(entries[0]["resource"]["id"], "a");
    }
    let named = server.get("/fhir/R4/Patient?_revinclude=AuditEvent:entity", &admin).await;
    assert_eq!(named.status, 400, "{}", named.body);
}

#[tokio::test]
async fn what_is_done_to_clients_becomes_an_event() {
    let server = Secured::new();
    let admin = format!("Bearer {ADMIN_TOKEN}");
    let (id, _) = server.client("lab", "system/Patient.rs");
    server.tell_of_clients().await;
    server.tell_of_clients().await;
    server.clients.rotate(&id, None).unwrap();
    // Nobody told the audit before the restart.
    let server = server.restarted();
    server.clients.revoke(&id, "2026-01-02T03:04:06Z").unwrap();
    server.tell_of_clients().await;
    let answer = server.get("/fhir/R4/AuditEvent?altid=admin&subtype=110137", &admin).await;
    let events = answer.body["entry"].as_array().expect("events");
    let event = |event: &Value| {
        let event = &event["resource"];
        let entity = &event["entity"][0];
        assert_eq!(entity["what"]["identifier"]["value"], *id);
        assert_eq!(entity["description"], "lab: system/Patient.rs");
        assert!(event["agent"][0]["name"].as_str().is_some_and(|name| name.starts_with("uid ")));
        event["subtype"][1]["code"].as_str().expect("a code").to_owned()
    };
    let events: Vec<String> = events.iter().map(event).collect();
    assert_eq!(events, ["$client-add", "$client-rotate", "$client-revoke"]);
}

#[tokio::test]
async fn what_the_indexes_narrow_down_is_found_whole() {
    let server = Secured::new();
    let admin = format!("Bearer {ADMIN_TOKEN}");
    let lab = server.client("lab", "system/Patient.cruds");
    let token = server.token(&lab, "").await;
    server.call("PUT /fhir/R4/Patient/a", &token, &patient("a")).await;
    server.get("/fhir/R4/Patient/a", &token).await;
    server.get("/fhir/R4/Patient/none", &token).await;
    server.call("DELETE /fhir/R4/Patient/a", &token, &Value::Null).await;
    let check = async |query: &str, expected: &[&str]| {
        assert_eq!(found(&server, &admin, query).await, expected, "{query}");
    };
    let by = format!("&altid={}", lab.0);
    check(&format!("?action=R{by}"), &["read Patient/a 0", "read Patient/none 4"]).await;
    check(&format!("?action=D{by}"), &["delete Patient/a 0"]).await;
    check(&format!("?action=R,D&outcome=0{by}"), &["read Patient/a 0", "delete Patient/a 0"]).await;
    check(&format!("?outcome=4{by}"), &["read Patient/none 4"]).await;
    check(&format!("?outcome=8{by}"), &[]).await;
    check("?action=U", &["update Patient/a 0"]).await;
    let identifier = format!("?action=U&agent:identifier={}", lab.0);
    check(&identifier, &["update Patient/a 0"]).await;
    check("?action=U&altid=nobody", &[]).await;
    check("?patient=Patient/a&action=D", &["delete Patient/a 0"]).await;
    check("?action:not=R&entity=Patient/a", &["update Patient/a 0", "delete Patient/a 0"]).await;
}
