//! create, read, vread, update, delete, patch.

use serde_json::json;

use crate::harness::{BASE, Server};

#[tokio::test]
async fn a_resource_lives_from_create_to_delete() {
    let server = Server::new();
    let patient = json!({
        "resourceType": "Patient", "id": "mine", "active": true,
        "meta": { "versionId": "77", "lastUpdated": "2001-01-01T00:00:00Z", "source": "urn:x" },
    });
    let created = server.json("POST /Patient", &patient).await.expect(201);
    let id = created.id();
    assert_ne!(id, "mine", "a create has an id of the server's");
    assert_eq!(id.len(), 36);
    assert_eq!(id, id.to_lowercase());
    assert_eq!(created.header("etag"), "W/\"1\"");
    assert_eq!(created.header("location"), format!("{BASE}/Patient/{id}/_history/1"));
    assert!(created.header("last-modified").ends_with(" GMT"));
    let body = created.value();
    assert_eq!(body["meta"]["versionId"], "1");
    assert_eq!(body["meta"]["source"], "urn:x");
    assert!(body["meta"]["lastUpdated"].as_str().expect("a time") > "2020");

    let path = format!("/Patient/{id}");
    let read = server.get(&path).await.expect(200);
    assert_eq!(read.body, created.body);
    assert_eq!(read.header("content-type"), "application/fhir+json; charset=utf-8");
    assert_eq!(read.header("etag"), "W/\"1\"");

    let changed = json!({ "resourceType": "Patient", "id": id, "active": false });
    let updated = server.json(&format!("PUT {path}"), &changed).await.expect(200);
    assert_eq!(updated.header("etag"), "W/\"2\"");
    assert_eq!(updated.value()["active"], false);
    assert!(updated.value()["meta"].get("source").is_none(), "an update replaces all");
    let same = server.json(&format!("PUT {path}"), &changed).await.expect(200);
    assert_eq!(same.header("etag"), "W/\"2\"", "nothing changed, so there is no new version");

    let old = server.get(&format!("{path}/_history/1")).await.expect(200);
    assert_eq!(old.body, created.body);
    server.get(&format!("{path}/_history/3")).await.refused(404, "not-found");
    server.get(&format!("{path}/_history/abc")).await.refused(404, "not-found");

    server.send(&format!("DELETE {path}"), "", "").await.expect(204);
    for gone in [path.clone(), format!("{path}/_history/3")] {
        let gone = server.get(&gone).await.refused(410, "deleted");
        assert_eq!(gone.header("etag"), "W/\"3\"", "the version of the deletion");
        assert!(gone.header("last-modified").ends_with(" GMT"));
    }
    server.get(&format!("{path}/_history/2")).await.expect(200);
    server.send(&format!("DELETE {path}"), "", "").await.expect(204);
    server.send("DELETE /Patient/never", "", "").await.expect(204);
    let back = server.json(&format!("PUT {path}"), &changed).await.expect(201);
    assert_eq!(back.header("etag"), "W/\"4\"");
}

#[tokio::test]
async fn an_update_may_create() {
    let server = Server::new();
    let patient = json!({ "resourceType": "Patient", "id": "a.B-1" });
    let reply = server.json("PUT /Patient/a.B-1", &patient).await.expect(201);
    assert_eq!(reply.header("location"), format!("{BASE}/Patient/a.B-1/_history/1"));
    server.json("PUT /Patient/b", &patient).await.refused(400, "value");
    server.json("PUT /Observation/a.B-1", &patient).await.refused(400, "value");
    let without = json!({ "resourceType": "Patient" });
    server.json("PUT /Patient/a", &without).await.refused(400, "required");
    server.json("PUT /Patient/a_b", &patient).await.refused(400, "value");
}

#[tokio::test]
async fn what_is_no_resource_is_refused_with_its_place() {
    let server = Server::new();
    let json = "content-type: application/fhir+json";
    let send = |body: &'static str| server.send("POST /Patient", json, body);
    let reply =
        send("{\"resourceType\":\"Patient\",\n \"active\" true}").await.refused(400, "structure");
    assert_eq!(reply.value()["issue"][0]["expression"][0], "line 2, column 11");
    send("").await.refused(400, "required");
    send("[]").await.refused(400, "structure");
    send("{}").await.refused(400, "required");
    send("{\"resourceType\":\"Nothing\"}").await.refused(400, "value");
    let wrong = "{\"resourceType\":\"Patient\",\n  \"active\": \"yes\"}";
    let reply = send(wrong).await.expect(400);
    let issue = reply.value()["issue"][0].clone();
    assert_eq!(issue["expression"][0], "Patient.active");
    assert_eq!(issue["location"][0], "line 2, column 13");
    send("{\"resourceType\":\"Patient\",\"nothing\":1}").await.refused(400, "structure");
    let gender = "{\"resourceType\":\"Patient\",\"gender\":\"robot\"}";
    let reply = send(gender).await.refused(422, "code-invalid");
    assert!(!reply.text().contains("robot"), "no value is repeated: {}", reply.text());
    let subset = r#"{"resourceType":"Patient","meta":{"tag":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationValue","code":"SUBSETTED"}]}}"#;
    send(subset).await.refused(422, "business-rule");
}

#[tokio::test]
async fn digits_and_unknown_extensions_are_kept() {
    let server = Server::new();
    let observation = r#"{"resourceType":"Observation","id":"o","status":"final","code":{"text":"x"},"valueQuantity":{"value":1.50},"extension":[{"url":"urn:e","valueDecimal":0.10}]}"#;
    let json = "content-type: application/fhir+json";
    server.send("PUT /Observation/o", json, observation).await.expect(201);
    let text = server.get("/Observation/o").await.expect(200).text();
    assert!(text.contains("\"value\":1.50") && text.contains("\"valueDecimal\":0.10"), "{text}");
}

#[tokio::test]
async fn prefer_chooses_what_a_change_gives_back() {
    let server = Server::new();
    let patient = r#"{"resourceType":"Patient","id":"p"}"#;
    let send = |method: &'static str, prefer: &'static str, body: &'static str| {
        let headers = format!("content-type: application/fhir+json\nprefer: {prefer}");
        let server = &server;
        async move { server.send(&format!("{method} /Patient/p"), &headers, body).await }
    };
    let minimal = send("PUT", "return=minimal", patient).await.expect(201);
    assert!(minimal.body.is_empty());
    assert_eq!(minimal.header("etag"), "W/\"1\"");
    let outcome = send("PUT", "return=OperationOutcome", patient).await.expect(200);
    assert_eq!(outcome.value()["resourceType"], "OperationOutcome");
    assert_eq!(outcome.value()["issue"][0]["severity"], "information");
    let whole = send("PUT", "return=representation", patient).await.expect(200);
    assert_eq!(whole.id(), "p");
    let deleted = send("DELETE", "return=OperationOutcome", "").await.expect(200);
    assert_eq!(deleted.value()["resourceType"], "OperationOutcome");
}

#[tokio::test]
async fn a_patch_changes_what_stands_there() {
    let server = Server::new();
    server.put(&json!({ "resourceType": "Patient", "id": "p", "active": true })).await;
    let patch = "content-type: application/json-patch+json";
    let send = |body: &'static str| server.send("PATCH /Patient/p", patch, body);
    let reply = send(r#"[{"op":"replace","path":"/active","value":false}]"#).await.expect(200);
    assert_eq!(reply.value()["active"], false);
    assert_eq!(reply.header("etag"), "W/\"2\"");
    let failed =
        r#"[{"op":"test","path":"/active","value":true},{"op":"remove","path":"/active"}]"#;
    send(failed).await.refused(422, "processing");
    send(r#"[{"op":"add","path":"/gender","value":"robot"}]"#).await.expect(422);
    send("{}").await.expect(400);
    send("[").await.refused(400, "structure");
    let unsupported = "content-type: text/plain";
    let reply = server.send("PATCH /Patient/p", unsupported, "[]").await.expect(415);
    assert!(reply.header("accept-patch").contains("application/json-patch+json"));
    let never = r#"[{"op":"add","path":"/active","value":true}]"#;
    server.send("PATCH /Patient/never", patch, never).await.refused(404, "not-found");
}

#[tokio::test]
async fn a_merge_patch_changes_members() {
    let server = Server::new();
    server.put(&json!({ "resourceType": "Patient", "id": "p", "active": true })).await;
    let send = |kind: &'static str, body: &'static str| {
        let server = &server;
        let headers = format!("content-type: {kind}");
        async move { server.send("PATCH /Patient/p", &headers, body).await }
    };
    let merge = "application/merge-patch+json";
    let reply = send(merge, r#"{"gender":"other","active":null}"#).await.expect(200);
    assert_eq!(reply.header("etag"), "W/\"2\"");
    let patient = reply.value();
    assert_eq!((&patient["gender"], patient.get("active")), (&json!("other"), None));
    // As fhirpy sends it.
    let reply = send("application/json", r#"{"birthDate":"1980-02-29"}"#).await.expect(200);
    assert_eq!((reply.value()["gender"].as_str(), reply.id().as_str()), (Some("other"), "p"));
    let array = r#"[{"op":"add","path":"/active","value":true}]"#;
    assert_eq!(send("application/json", array).await.expect(200).value()["active"], true);
    send(merge, array).await.refused(400, "structure");
    send(merge, r#"{"gender":"robot"}"#).await.expect(422);
    send(merge, r#"{"id":"other"}"#).await.expect(422);
    let by = "content-type: application/json";
    server.send("PATCH /Patient?_id=p", by, r#"{"language":"de"}"#).await.expect(200);
}

#[tokio::test]
async fn addresses_and_methods_that_make_no_sense() {
    let server = Server::new();
    server.get("/Nothing/1").await.refused(404, "not-supported");
    server.get("/patient").await.refused(404, "not-supported");
    server.get("/Patient/1/_nothing").await.expect(404);
    let reply = server.send("POST /Patient/1", "", "").await.refused(405, "not-supported");
    assert_eq!(reply.header("allow"), "GET, HEAD, PUT, PATCH, DELETE");
    let reply = server.send("DELETE /metadata", "", "").await.expect(405);
    assert_eq!(reply.header("allow"), "GET, HEAD");
    server.send("TRACE /Patient", "", "").await.expect(405);
    server.get("/Patient/1").await.refused(404, "not-found");
}

#[tokio::test]
async fn audit_events_are_the_servers_own() {
    let server = Server::new();
    let event = json!({ "resourceType": "AuditEvent", "type": { "code": "rest" },
        "recorded": "2024-01-01T00:00:00Z", "agent": [{ "requestor": true }],
        "source": { "observer": { "display": "x" } } });
    server.json("POST /AuditEvent", &event).await.refused(405, "not-supported");
    server.json("PUT /AuditEvent/a", &event).await.refused(405, "not-supported");
    server.send("DELETE /AuditEvent/a", "", "").await.refused(405, "not-supported");
}

#[tokio::test]
async fn references_to_the_server_itself_are_kept_relative() {
    let server = Server::new();
    let observation = json!({ "resourceType": "Observation", "id": "o", "status": "final",
        "code": { "text": "x" }, "subject": { "reference": format!("{BASE}/Patient/p") } });
    let reply = server.put(&observation).await;
    assert_eq!(reply.value()["subject"]["reference"], "Patient/p");
}
