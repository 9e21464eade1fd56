//! Clients that may change what they may not read: no answer to a change shows it to them.

use serde_json::{Value, json};

use crate::secured::{ADMIN_TOKEN, Answered, Secured};

const SECRET: &str = "4711-hidden";

fn observation(id: &str, status: &str) -> Value {
    json!({ "resourceType": "Observation", "id": id, "status": status, "code": { "text": "x" },
        "valueString": SECRET })
}

/// A server with two observations, and a client with these scopes.
async fn with_client(scopes: &str) -> (Secured, String) {
    let server = Secured::new();
    let admin = format!("Bearer {ADMIN_TOKEN}");
    for (id, status) in [("one", "final"), ("two", "preliminary")] {
        let path = format!("PUT /fhir/R4/Observation/{id}");
        let answer = server.call(&path, &admin, &observation(id, status)).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
    }
    let client = server.client("unreading", scopes);
    let token = server.token(&client, "").await;
    (server, token)
}

/// Sends a patch with a preference.
async fn patch(server: &Secured, token: &str, path: &str, prefer: &str, patch: &Value) -> Answered {
    let kind = match patch {
        Value::Array(_) => "application/json-patch+json",
        Value::Object(object) if object.contains_key("resourceType") => "application/fhir+json",
        _ => "application/merge-patch+json",
    };
    let headers = [("authorization", token), ("content-type", kind), ("prefer", prefer)];
    server.send(&format!("PATCH /fhir/R4/{path}"), &headers, patch.to_string()).await
}

#[track_caller]
fn shows_nothing(answer: &Answered, status: u16) {
    assert_eq!(answer.status, status, "{}", answer.body);
    assert!(!answer.body.to_string().contains(SECRET), "{}", answer.body);
}

#[tokio::test]
async fn a_patch_shows_nothing_to_who_may_not_read() {
    let (server, token) = with_client("system/Observation.cu").await;
    let amend = json!([{ "op": "replace", "path": "/status", "value": "amended" }]);
    let fhirpath = json!({ "resourceType": "Parameters", "parameter": [{ "name": "operation", "part": [
        { "name": "type", "valueCode": "replace" },
        { "name": "path", "valueString": "Observation.status" },
        { "name": "value", "valueCode": "corrected" } ] }] });
    for (body, version) in [
        (json!([]), "1"),
        (json!({}), "1"),
        (amend, "2"),
        (json!({ "status": "final" }), "3"),
        (fhirpath, "4"),
    ] {
        let answer =
            patch(&server, &token, "Observation/one", "return=representation", &body).await;
        shows_nothing(&answer, 200);
        assert_eq!(answer.body, Value::Null, "{body}");
        assert_eq!(answer.headers["etag"], format!("W/\"{version}\"").as_str(), "{body}");
        let answer =
            patch(&server, &token, "Observation/one", "return=OperationOutcome", &json!([])).await;
        shows_nothing(&answer, 200);
        assert_eq!(answer.body["resourceType"], "OperationOutcome");
    }
    // In a Bundle, too.
    for kind in ["batch", "transaction"] {
        let bundle = json!({ "resourceType": "Bundle", "type": kind, "entry": [{
            "request": { "method": "PATCH", "url": "Observation/one" },
            "resource": { "resourceType": "Binary", "contentType": "application/json-patch+json",
                "data": "W10=" } }] });
        let answer = server.call("POST /fhir/R4", &token, &bundle).await;
        shows_nothing(&answer, 200);
        let entry = &answer.body["entry"][0];
        assert_eq!(
            (&entry["response"]["status"], &entry["resource"]),
            (&json!("200 OK"), &Value::Null)
        );
    }
}

#[tokio::test]
async fn a_patch_asks_nothing_of_what_its_client_may_not_read() {
    let (server, token) = with_client("system/Observation.cu").await;
    let test = |value: &str| json!([{ "op": "test", "path": "/valueString", "value": value }]);
    let copy = json!([{ "op": "copy", "from": "/valueString", "path": "/code/text" }]);
    let asks = json!({ "resourceType": "Parameters", "parameter": [{ "name": "operation", "part": [
        { "name": "type", "valueCode": "delete" },
        { "name": "path", "valueString": format!("Observation.where(value = '{SECRET}').note") } ] }] });
    for body in [test(SECRET), test("other"), copy, asks] {
        let answer = patch(&server, &token, "Observation/one", "", &body).await;
        shows_nothing(&answer, 403);
    }
    // Why one can't be applied, or makes what is not valid, would tell what stands there.
    let wrong = [
        json!([{ "op": "replace", "path": "/valueString", "value": 5 }]),
        json!([{ "op": "remove", "path": "/valueQuantity" }]),
        json!([{ "op": "add", "path": "/valueBoolean", "value": true }]),
    ];
    let mut told = Vec::new();
    for body in &wrong {
        let answer = patch(&server, &token, "Observation/one", "", body).await;
        shows_nothing(&answer, 422);
        told.push(answer.body["issue"].clone());
    }
    told.dedup();
    assert_eq!(told.len(), 1, "{told:?}");
    // Who may read it learns why.
    let reader = server.client("reading", "system/Observation.ru");
    let reader = server.token(&reader, "").await;
    let answer = patch(&server, &reader, "Observation/one", "", &wrong[1]).await;
    assert!(answer.body.to_string().contains("valueQuantity"), "{}", answer.body);
    assert_eq!(patch(&server, &reader, "Observation/one", "", &test(SECRET)).await.status, 200);
}

#[tokio::test]
async fn conditions_of_changes_need_a_search() {
    let (server, token) = with_client("system/Observation.cud").await;
    let criteria = format!("Observation?value-string={SECRET}");
    let body = observation("one", "amended");
    shows_nothing(&patch(&server, &token, &criteria, "", &json!([])).await, 403);
    shows_nothing(&server.call(&format!("PUT /fhir/R4/{criteria}"), &token, &body).await, 403);
    shows_nothing(
        &server.call(&format!("DELETE /fhir/R4/{criteria}"), &token, &Value::Null).await,
        403,
    );
    for kind in ["batch", "transaction"] {
        for method in ["PUT", "PATCH", "DELETE"] {
            let bundle = json!({ "resourceType": "Bundle", "type": kind, "entry": [{
                "request": { "method": method, "url": criteria }, "resource": body }] });
            let answer = server.call("POST /fhir/R4", &token, &bundle).await;
            let status = answer.body["entry"][0]["response"]["status"].as_str();
            assert!(answer.status == 403 || status == Some("403 Forbidden"), "{}", answer.body);
        }
    }
    // What it may search only is all that such a change finds.
    let (server, token) =
        with_client("system/Observation.ud system/Observation.s?status=final").await;
    let find = |id: &str| format!("Observation?_id={id}");
    let amend = json!([{ "op": "add", "path": "/note", "value": [{ "text": "n" }] }]);
    assert_eq!(patch(&server, &token, &find("one"), "", &amend).await.status, 200);
    shows_nothing(&patch(&server, &token, &find("two"), "", &amend).await, 404);
    let deleted = server.call("DELETE /fhir/R4/Observation?_id=two", &token, &Value::Null).await;
    assert_eq!(deleted.status, 204, "as one that never was");
    let admin = format!("Bearer {ADMIN_TOKEN}");
    assert_eq!(server.get("/fhir/R4/Observation/two", &admin).await.status, 200);
}

#[tokio::test]
async fn a_conditional_update_takes_no_hidden_id() {
    let (server, token) = with_client("system/Observation.cruds?status=final").await;
    let admin = format!("Bearer {ADMIN_TOKEN}");
    server.call("PUT /fhir/R4/Observation/gone", &admin, &observation("gone", "preliminary")).await;
    server.call("DELETE /fhir/R4/Observation/gone", &admin, &Value::Null).await;
    let mut told = Vec::new();
    for id in ["two", "gone"] {
        let sent = observation(id, "final");
        let criteria = "Observation?value-string=nobody";
        let bundle = json!({ "resourceType": "Bundle", "type": "transaction", "entry": [{
            "request": { "method": "PUT", "url": criteria }, "resource": sent }] });
        for answer in [
            server.call(&format!("PUT /fhir/R4/Observation/{id}"), &token, &sent).await,
            server.call(&format!("PUT /fhir/R4/{criteria}"), &token, &sent).await,
            server.call("POST /fhir/R4", &token, &bundle).await,
        ] {
            shows_nothing(&answer, 403);
            told.push(answer.body["issue"][0]["details"].clone());
        }
    }
    told.dedup();
    assert_eq!(told.len(), 1, "{told:?}");
    // What never was, and what was its own, is its to write.
    let put = async |id: &str| {
        let path = "PUT /fhir/R4/Observation?value-string=nobody";
        server.call(path, &token, &observation(id, "final")).await.status
    };
    assert_eq!(put("never").await, 201);
    assert_eq!(put("never").await, 409);
    server.call("DELETE /fhir/R4/Observation/never", &token, &Value::Null).await;
    assert_eq!(put("never").await, 201);
}

#[tokio::test]
async fn a_filter_of_reading_bounds_what_a_patch_shows() {
    let (server, token) =
        with_client("system/Observation.r?status=final system/Observation.u").await;
    let note = json!([{ "op": "add", "path": "/note", "value": [{ "text": "n" }] }]);
    let shown = patch(&server, &token, "Observation/one", "", &note).await;
    assert_eq!((shown.status, &shown.body["valueString"]), (200, &json!(SECRET)));
    let hidden = patch(&server, &token, "Observation/two", "", &note).await;
    shows_nothing(&hidden, 200);
    assert_eq!(hidden.body, Value::Null);
    let test = json!([{ "op": "test", "path": "/valueString", "value": SECRET }]);
    shows_nothing(&patch(&server, &token, "Observation/two", "", &test).await, 403);
    assert_eq!(patch(&server, &token, "Observation/one", "", &test).await.status, 200);
    let wrong = json!([{ "op": "remove", "path": "/valueQuantity" }]);
    let refused = patch(&server, &token, "Observation/two", "", &wrong).await;
    shows_nothing(&refused, 422);
    assert!(!refused.body.to_string().contains("valueQuantity"), "{}", refused.body);
    let bundle = json!({ "resourceType": "Bundle", "type": "transaction", "entry": [{
        "request": { "method": "PATCH", "url": "Observation/two" },
        "resource": { "resourceType": "Binary", "contentType": "application/json-patch+json",
            "data": "W10=" } }] });
    shows_nothing(&server.call("POST /fhir/R4", &token, &bundle).await, 200);
}

#[tokio::test]
async fn what_a_client_sent_comes_back_to_it() {
    let (server, token) = with_client("system/Observation.cu system/Binary.cu").await;
    let sent = json!({ "resourceType": "Observation", "id": "new", "status": "final",
        "code": { "text": "own" } });
    let put = server.call("PUT /fhir/R4/Observation/new", &token, &sent).await;
    assert_eq!((put.status, &put.body["code"]["text"]), (201, &json!("own")));
    let again = server.call("PUT /fhir/R4/Observation/new", &token, &sent).await;
    assert_eq!((again.status, &again.body["code"]["text"]), (200, &json!("own")));
    let over =
        server.call("PUT /fhir/R4/Observation/one", &token, &observation("one", "amended")).await;
    assert_eq!((over.status, &over.body["status"]), (200, &json!("amended")));
    let posted = server.call("POST /fhir/R4/Observation", &token, &sent).await;
    assert_eq!((posted.status, &posted.body["code"]["text"]), (201, &json!("own")));
    // Bytes leave standing what the Binary said of who may see it, which is not the client's.
    let admin = format!("Bearer {ADMIN_TOKEN}");
    let binary = json!({ "resourceType": "Binary", "id": "b", "contentType": "text/plain", "data": "eA==",
        "securityContext": { "reference": format!("Patient/{SECRET}") } });
    assert_eq!(server.call("PUT /fhir/R4/Binary/b", &admin, &binary).await.status, 201);
    let headers = [("authorization", token.as_str()), ("content-type", "text/plain")];
    let bytes = server.send("PUT /fhir/R4/Binary/b", &headers, "other".to_owned()).await;
    shows_nothing(&bytes, 200);
    assert_eq!(bytes.body, Value::Null);
}

/// A transaction that updates the first observation and leaves these elements as they stand.
fn keeping(elements: &[&str], resource: &Value) -> Value {
    let parts: Vec<Value> =
        elements.iter().map(|own| json!({ "url": "element", "valueString": own })).collect();
    json!({ "resourceType": "Bundle", "type": "transaction", "entry": [{
        "request": { "method": "PUT", "url": "Observation/one",
            "extension": [{ "url": "urn:pipehat:keeps", "extension": parts }] },
        "resource": resource }] })
}

#[tokio::test]
async fn what_stands_is_kept_for_who_may_read_it() {
    let told = observation("one", "amended");
    // Whether what comes of the two is valid would tell what stands.
    let mut asking = keeping(&["valueString"], &told);
    let mark = &mut asking["entry"][0]["request"]["extension"][0]["extension"];
    mark.as_array_mut().expect("parts").push(json!({ "url": "follows", "extension": [
        { "url": "element", "valueString": "referenceRange.id" },
        { "url": "of", "valueString": "valueString" },
        { "url": SECRET, "valueCode": "not valid!" } ] }));
    for (scopes, expected) in [
        ("system/Observation.cu", 403),
        ("system/Observation.u system/Observation.rs?status=final", 403),
        ("system/Observation.cu?status=final", 403),
        ("system/Observation.ru", 200),
    ] {
        let (server, token) = with_client(scopes).await;
        let answer = server.call("POST /fhir/R4", &token, &keeping(&["status"], &told)).await;
        assert_eq!(answer.status, expected, "{scopes}: {}", answer.body);
        if expected == 403 {
            shows_nothing(&server.call("POST /fhir/R4", &token, &asking).await, 403);
        }
    }
}

#[tokio::test]
async fn whether_a_patch_finds_something_is_told_to_who_may_search() {
    let note = json!({ "resourceType": "Binary", "contentType": "application/json-patch+json",
        "data": "W3sib3AiOiJhZGQiLCJwYXRoIjoiL25vdGUiLCJ2YWx1ZSI6W3sidGV4dCI6Im4ifV19XQ==" });
    let admin = format!("Bearer {ADMIN_TOKEN}");
    // The scopes, and which of the two versions each change: nothing where the request is refused.
    for (scopes, in_batch, in_transaction) in [
        ("system/Observation.u", None, None),
        ("system/Observation.cru", None, None),
        ("system/Observation.us", Some([2, 2]), Some([2, 2])),
        ("system/Observation.u system/Observation.s?status=final", Some([2, 1]), Some([2, 1])),
        ("system/Observation.rus?status=final", Some([2, 1]), None),
    ] {
        for (kind, expected) in [("batch", in_batch), ("transaction", in_transaction)] {
            let (server, token) = with_client(scopes).await;
            let ask = async |criteria: &str| {
                let bundle = json!({ "resourceType": "Bundle", "type": kind, "entry": [{
                    "request": { "method": "PATCH", "url": format!("Observation?{criteria}"),
                        "extension": [{ "url": "urn:pipehat:if-found", "valueBoolean": true }] },
                    "resource": note }] });
                let answer = server.call("POST /fhir/R4", &token, &bundle).await;
                // Who may search sees what is found.
                assert!(expected.is_some() || !answer.body.to_string().contains(SECRET));
                match answer.body["entry"][0]["response"]["status"].as_str() {
                    Some(status) if answer.status == 200 => status.get(..3).map(str::to_owned),
                    _ => Some(answer.status.to_string()),
                }
            };
            let mut told = Vec::new();
            for criteria in ["_id=one", "_id=two", "_id=nobody"] {
                told.extend(ask(criteria).await);
            }
            let status = if expected.is_some() { "200" } else { "403" };
            assert_eq!(told, [status; 3], "{scopes} in a {kind}");
            for (id, version) in ["one", "two"].into_iter().zip(expected.unwrap_or([1, 1])) {
                let stands = server.get(&format!("/fhir/R4/Observation/{id}"), &admin).await;
                let stands = &stands.body["meta"]["versionId"];
                assert_eq!(stands, &json!(version.to_string()), "{scopes} in a {kind}: {id}");
            }
        }
    }
}

#[tokio::test]
async fn whose_a_resource_is_is_told_to_who_may_read_it() {
    let admin = format!("Bearer {ADMIN_TOKEN}");
    let of = |subject: &str| {
        let mut own = observation("three", "final");
        own["subject"] = json!({ "reference": subject });
        own
    };
    for (scopes, expected) in [
        ("system/Observation.cu system/Patient.r", 403),
        ("system/Observation.u system/Observation.rs?status=final system/Patient.r", 403),
        ("system/Observation.ru", 403),
        ("system/Observation.ru system/Patient.u", 403),
        ("system/Observation.ru system/Patient.r?gender=male", 403),
        ("system/Observation.ru system/Patient.s", 422),
    ] {
        let (server, token) = with_client(scopes).await;
        let hidden = format!("Patient/{SECRET}");
        let put = server.call("PUT /fhir/R4/Observation/three", &admin, &of(&hidden)).await;
        assert_eq!(put.status, 201, "{}", put.body);
        let tell = async |subject: &str, parts: Value| {
            let bundle = json!({ "resourceType": "Bundle", "type": "transaction", "entry": [{
                "request": { "method": "PUT", "url": "Observation/three",
                    "extension": [{ "url": "urn:pipehat:keeps", "extension": parts }] },
                "resource": of(subject) }] });
            server.call("POST /fhir/R4", &token, &bundle).await
        };
        let same = json!([{ "url": "same", "valueString": "subject" }]);
        for subject in ["Patient/other", &hidden] {
            let answer = tell(subject, same.clone()).await;
            let is_own = subject == hidden && expected == 422;
            if is_own {
                assert_eq!(answer.status, 200, "{scopes}");
            } else {
                shows_nothing(&answer, expected);
            }
        }
    }
}
