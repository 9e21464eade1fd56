//! Conditions: If-Match, If-None-Match, If-Modified-Since, If-None-Exist, searches as addresses.

use serde_json::{Value, json};

use crate::harness::Server;

fn patient(id: Option<&str>, identifier: &str) -> Value {
    let mut patient = json!({ "resourceType": "Patient",
        "identifier": [{ "system": "urn:mrn", "value": identifier }] });
    if let Some(id) = id {
        patient["id"] = id.into();
    }
    patient
}

#[tokio::test]
async fn updates_with_if_match() {
    let server = Server::new();
    server.put(&json!({ "resourceType": "Patient", "id": "p" })).await;
    let check = |tag: &'static str, active: bool, status: u16| {
        let server = &server;
        async move {
            let body =
                json!({ "resourceType": "Patient", "id": "p", "active": active }).to_string();
            let headers = format!("content-type: application/fhir+json\nif-match: {tag}");
            server.send("PUT /Patient/p", &headers, body).await.expect(status)
        }
    };
    check("W/\"1\"", true, 200).await;
    check("W/\"1\"", false, 412).await.refused(412, "conflict");
    check("\"2\"", false, 200).await;
    check("W/\"abc\"", true, 412).await;
    check("*", true, 200).await;
    let body = json!({ "resourceType": "Patient", "id": "new" }).to_string();
    for tag in ["*", "W/\"1\""] {
        let headers = format!("content-type: application/fhir+json\nif-match: {tag}");
        server.send("PUT /Patient/new", &headers, body.clone()).await.expect(412);
    }
    let absent = "content-type: application/fhir+json\nif-none-match: *";
    server.send("PUT /Patient/new", absent, body.clone()).await.expect(201);
    server.send("PUT /Patient/new", absent, body).await.expect(412);
    server.send("DELETE /Patient/p", "if-match: W/\"1\"", "").await.expect(412);
    server.send("DELETE /Patient/p", "if-match: W/\"4\"", "").await.expect(204);
}

#[tokio::test]
async fn reads_of_what_is_known() {
    let server = Server::new();
    let put = server.put(&json!({ "resourceType": "Patient", "id": "p" })).await;
    let check = |header: String, status: u16| {
        let server = &server;
        async move {
            let reply = server.send("GET /Patient/p", &header, "").await.expect(status);
            assert_eq!(reply.header("etag"), "W/\"1\"", "{header}");
            assert_eq!(reply.body.is_empty(), status == 304, "{header}");
        }
    };
    check("if-none-match: W/\"1\"".to_owned(), 304).await;
    check("if-none-match: W/\"2\"".to_owned(), 200).await;
    check(format!("if-modified-since: {}", put.header("last-modified")), 304).await;
    check("if-modified-since: Wed, 21 Oct 2015 07:28:00 GMT".to_owned(), 200).await;
}

#[tokio::test]
async fn conditional_creates() {
    let server = Server::new();
    let send = |condition: &'static str| {
        let server = &server;
        async move {
            let headers =
                format!("content-type: application/fhir+json\nif-none-exist: {condition}");
            server.send("POST /Patient", &headers, patient(None, "1").to_string()).await
        }
    };
    let first = send("identifier=urn:mrn|1").await.expect(201);
    let second = send("identifier=urn:mrn|1").await.expect(200);
    assert_eq!(first.id(), second.id());
    assert_eq!(second.header("location"), first.header("location"));
    server.put(&patient(Some("other"), "1")).await;
    let text = send("identifier=urn:mrn|1").await.refused(412, "multiple-matches").text();
    assert!(text.contains("the condition `Patient?identifier` matches more than one"), "{text}");
    assert!(!text.contains("urn:mrn"), "{text}");
    send("nothing=1").await.refused(400, "not-supported");
    send("?").await.refused(400, "required");
}

#[tokio::test]
async fn a_create_with_criteria_in_its_address_is_conditional() {
    let server = Server::new();
    let send = |query: &'static str| {
        let server = &server;
        async move { server.json(&format!("POST /Patient?{query}"), &patient(None, "1")).await }
    };
    let first = send("identifier=urn:mrn|1").await.expect(201);
    let second = send("identifier=urn:mrn|1&_pretty=true").await.expect(200);
    assert_eq!(first.id(), second.id());
    let never = send("identifer=urn:mrn|1").await;
    never.refused(400, "not-supported");
    let third = send("_pretty=true&_format=json").await.expect(201);
    assert_ne!(first.id(), third.id(), "no criteria, no condition");
    send("identifier=urn:mrn|1").await.refused(412, "multiple-matches");
}

#[tokio::test]
async fn conditional_updates() {
    let server = Server::new();
    let put = |body: Value| {
        let server = &server;
        async move { server.json("PUT /Patient?identifier=urn:mrn|1", &body).await }
    };
    let created = put(patient(None, "1")).await.expect(201);
    let id = created.id();
    let mut changed = patient(None, "1");
    changed["active"] = true.into();
    let updated = put(changed.clone()).await.expect(200);
    assert_eq!(updated.id(), id);
    changed["id"] = "different".into();
    put(changed).await.refused(400, "value");
    server.put(&patient(Some("other"), "1")).await;
    put(patient(None, "1")).await.refused(412, "multiple-matches");
    let named = server.json("PUT /Patient?identifier=urn:mrn|9", &patient(Some("nine"), "9")).await;
    assert_eq!(named.expect(201).id(), "nine");
    let taken = server.json("PUT /Patient?identifier=urn:mrn|8", &patient(Some("nine"), "8")).await;
    taken.refused(409, "conflict");
    // An id that is free again is given.
    server.send("DELETE /Patient/nine", "", "").await.expect(204);
    let again = server.json("PUT /Patient?identifier=urn:mrn|8", &patient(Some("nine"), "8")).await;
    assert_eq!(again.expect(201).id(), "nine");
    server.json("PUT /Patient", &patient(None, "1")).await.refused(400, "required");
}

#[tokio::test]
async fn conditional_patches_and_deletes() {
    let server = Server::new();
    server.put(&patient(Some("a"), "1")).await;
    server.put(&patient(Some("b"), "2")).await;
    server.put(&patient(Some("c"), "2")).await;
    let patch = |query: &'static str| {
        let headers = "content-type: application/json-patch+json";
        let body = r#"[{"op":"add","path":"/active","value":true}]"#;
        let server = &server;
        async move { server.send(&format!("PATCH /Patient?{query}"), headers, body).await }
    };
    assert_eq!(patch("identifier=urn:mrn|1").await.expect(200).value()["active"], true);
    patch("identifier=urn:mrn|2").await.refused(412, "multiple-matches");
    patch("identifier=urn:mrn|3").await.refused(404, "not-found");
    let delete = |query: &'static str| {
        let server = &server;
        async move { server.send(&format!("DELETE /Patient{query}"), "", "").await }
    };
    delete("?identifier=urn:mrn|2").await.refused(412, "multiple-matches");
    delete("").await.refused(400, "required");
    delete("?identifier=urn:mrn|1").await.expect(204);
    server.get("/Patient/a").await.expect(410);
    delete("?identifier=urn:mrn|1").await.expect(204);
}

/// A number that is missing from a message (`identifier=urn:mrn|`) means nobody; as a search it finds whoever has any.
#[tokio::test]
async fn criteria_without_a_code_change_nobody() {
    let server = Server::new();
    server.put(&patient(Some("a"), "1")).await;
    let json = "content-type: application/fhir+json";
    let patch = "content-type: application/json-patch+json";
    let body = patient(None, "2").to_string();
    let activate = r#"[{"op":"add","path":"/active","value":true}]"#;
    for (request, headers, body) in [
        ("POST /Patient", "if-none-exist: identifier=urn:mrn|", body.as_str()),
        ("POST /Patient?identifier=urn:mrn|", json, &body),
        ("PUT /Patient?identifier=urn:mrn|", json, &body),
        ("PUT /Patient?identifier=urn:mrn|1,urn:mrn|", json, &body),
        ("PUT /Patient?_filter=identifier eq urn:mrn|", json, &body),
        ("PUT /Patient?general-practitioner:identifier=urn:gp|", json, &body),
        ("PUT /Patient?link:Patient.identifier=urn:mrn|", json, &body),
        ("PUT /Patient?_has:Observation:patient:code=urn:codes|", json, &body),
        ("PATCH /Patient?identifier=urn:mrn|", patch, activate),
        ("DELETE /Patient?identifier=urn:mrn|", "", ""),
    ] {
        let headers = match headers.strip_prefix("if-none-exist") {
            Some(_) => format!("{json}\n{headers}"),
            None => headers.to_owned(),
        };
        let request = request.replace(' ', "%20").replacen("%20", " ", 1);
        let reply = server.send(&request, &headers, body.to_owned()).await;
        let text = reply.refused(400, "required").text();
        assert!(text.contains("no code"), "{request}: {text}");
    }
    let entry = |method: &str, url: &str, exists: Option<&str>| {
        let mut request = json!({ "method": method, "url": url });
        if let Some(exists) = exists {
            request["ifNoneExist"] = exists.into();
        }
        json!({ "resource": patient(None, "2"), "request": request })
    };
    for entry in [
        entry("PUT", "Patient?identifier=urn:mrn|", None),
        entry("POST", "Patient", Some("identifier=urn:mrn|")),
        entry("DELETE", "Patient?identifier=urn:mrn|", None),
    ] {
        for kind in ["transaction", "batch"] {
            let bundle = json!({ "resourceType": "Bundle", "type": kind, "entry": [entry] });
            let reply = server.json("POST /", &bundle).await;
            assert!(reply.text().contains("no code"), "{kind}: {}", reply.text());
        }
    }
    let observation = json!({ "resourceType": "Observation", "status": "final",
        "code": { "text": "Potassium" }, "subject": { "reference": "Patient?identifier=urn:mrn|" } });
    server.json("POST /Observation", &observation).await.refused(400, "required");
    let stands = server.get("/Patient/a").await.expect(200).value();
    assert_eq!(
        (stands["meta"]["versionId"].as_str(), &stands["active"]),
        (Some("1"), &Value::Null)
    );
    // To leave such resources out is no mistake; and a search may ask for all of a system.
    let found = server.get("/Patient?identifier=urn:mrn|").await.expect(200).value();
    assert_eq!(found["entry"].as_array().map(Vec::len), Some(1));
    server
        .json("PUT /Patient?identifier=urn:mrn|7&_tag:not=urn:tags|", &patient(None, "7"))
        .await
        .expect(201);
}

#[tokio::test]
async fn parallel_conditional_creates_make_one() {
    let server = Server::new();
    let headers = "content-type: application/fhir+json\nif-none-exist: identifier=urn:mrn|1";
    let sends =
        (0..20).map(|_| server.send("POST /Patient", headers, patient(None, "1").to_string()));
    let replies = futures_util::future::join_all(sends).await;
    let created = replies.iter().filter(|reply| reply.status == 201).count();
    let found = replies.iter().filter(|reply| reply.status == 200).count();
    assert_eq!((created, found), (1, 19));
}

#[tokio::test]
async fn parallel_updates_with_if_match_lose_nothing() {
    let server = Server::new();
    server.put(&json!({ "resourceType": "Patient", "id": "p" })).await;
    let send = |number: usize| {
        let body = json!({ "resourceType": "Patient", "id": "p", "name": [{ "text": format!("n{number}") }] });
        let headers = "content-type: application/fhir+json\nif-match: W/\"1\"";
        server.send("PUT /Patient/p", headers, body.to_string())
    };
    let replies = futures_util::future::join_all((0..20).map(send)).await;
    assert_eq!(replies.iter().filter(|reply| reply.status == 200).count(), 1);
    assert_eq!(replies.iter().filter(|reply| reply.status == 412).count(), 19);
}

#[tokio::test]
async fn conditional_deletes_with_if_match() {
    let server = Server::new();
    server.put(&patient(Some("p"), "cd")).await;
    let check = |tag: &'static str, status: u16| {
        let server = &server;
        async move {
            let asked = "DELETE /Patient?identifier=urn:mrn|cd";
            server.send(asked, &format!("if-match: {tag}"), "").await.expect(status)
        }
    };
    for tag in ["W/\"77\"", "W/\"abc\""] {
        check(tag, 412).await.refused(412, "conflict");
        server.get("/Patient/p").await.expect(200);
    }
    let entry = |tag: &str| {
        let request =
            json!({ "method": "DELETE", "url": "Patient?identifier=urn:mrn|cd", "ifMatch": tag });
        json!({ "resourceType": "Bundle", "type": "transaction", "entry": [{ "request": request }] }).to_string()
    };
    let json = "content-type: application/fhir+json";
    server.send("POST /", json, entry("W/\"77\"")).await.expect(412);
    check("W/\"1\"", 204).await;
    server.get("/Patient/p").await.expect(410);
    // There is none whose version it could be.
    check("W/\"1\"", 412).await;
    check("*", 412).await;
    server.send("POST /", json, entry("W/\"1\"")).await.expect(412);
    server.send("DELETE /Patient?identifier=urn:mrn|cd", "", "").await.expect(204);
    server.put(&patient(Some("p"), "cd")).await;
    check("*", 204).await;
}
