//! FHIRPath Patch: a Parameters resource of operations (FHIR R4 §3.1.0.6.2).

use serde_json::{Value, json};

use crate::harness::Server;

/// An operation by its type, its path and its other parts.
fn operation(kind: &str, path: &str, parts: &[Value]) -> Value {
    let mut all = vec![
        json!({ "name": "type", "valueCode": kind }),
        json!({ "name": "path", "valueString": path }),
    ];
    all.extend_from_slice(parts);
    json!({ "name": "operation", "part": all })
}

fn parameters(operations: &[Value]) -> Value {
    json!({ "resourceType": "Parameters", "parameter": operations })
}

fn gender(code: &str) -> Value {
    let value = json!({ "name": "value", "valueCode": code });
    parameters(&[operation("replace", "Patient.gender", &[value])])
}

#[tokio::test]
async fn operations_change_what_stands_there() {
    let server = Server::new();
    server
        .put(&json!({ "resourceType": "Patient", "id": "p", "gender": "male",
            "name": [{ "given": ["a", "b"] }] }))
        .await;
    let patch = |body: Value| {
        let server = &server;
        async move { server.json("PATCH /Patient/p", &body).await }
    };
    let reply = patch(gender("female")).await.expect(200);
    assert_eq!((reply.header("etag"), &reply.value()["gender"]), ("W/\"2\"", &json!("female")));
    let add = [
        json!({ "name": "name", "valueString": "birthDate" }),
        json!({ "name": "value", "valueDate": "1980-02-29" }),
    ];
    let reply = patch(parameters(&[
        operation("add", "Patient", &add),
        operation("delete", "Patient.name.given.first()", &[]),
    ]));
    let patient = reply.await.expect(200).value();
    assert_eq!(patient["birthDate"], "1980-02-29");
    assert_eq!(patient["name"][0]["given"], json!(["b"]));
    patch(gender("robot")).await.expect(422);
    patch(parameters(&[operation("replace", "Patient.maritalStatus", &add)])).await.expect(422);
    patch(parameters(&[operation("turn", "Patient", &[])])).await.refused(400, "structure");
    let other = [json!({ "name": "value", "valueId": "other" })];
    patch(parameters(&[operation("replace", "Patient.id", &other)])).await.expect(422);
    // A merge patch is none of Parameters.
    let merge = "content-type: application/merge-patch+json";
    let body = gender("male").to_string();
    server.send("PATCH /Patient/p", merge, body).await.refused(400, "structure");
    let read = server.get("/Patient/p").await.value();
    assert_eq!((&read["gender"], &read["meta"]["versionId"]), (&json!("female"), &json!("3")));
}

#[tokio::test]
async fn one_that_matches_is_patched() {
    let server = Server::new();
    server.put(&json!({ "resourceType": "Patient", "id": "p", "gender": "male" })).await;
    let reply = server.json("PATCH /Patient?_id=p", &gender("other")).await.expect(200);
    assert_eq!(reply.value()["gender"], "other");
    server.json("PATCH /Patient?_id=q", &gender("other")).await.refused(404, "not-found");
    let stale = "content-type: application/fhir+json\nif-match: W/\"1\"";
    let body = gender("male").to_string();
    server.send("PATCH /Patient/p", stale, body).await.refused(412, "conflict");
}

#[tokio::test]
async fn entries_of_a_bundle_are_patches() {
    let server = Server::new();
    for id in ["p", "q"] {
        server.put(&json!({ "resourceType": "Patient", "id": id, "gender": "male" })).await;
    }
    let entry = |url: &str, patch: &Value| json!({ "request": { "method": "PATCH", "url": url }, "resource": patch });
    let bundle = |kind: &str, entries: Vec<Value>| json!({ "resourceType": "Bundle", "type": kind, "entry": entries });
    let batch = bundle(
        "batch",
        vec![entry("Patient/p", &gender("female")), entry("Patient?_id=q", &gender("female"))],
    );
    let reply = server.json("POST /", &batch).await.expect(200).value();
    for entry in reply["entry"].as_array().expect("entries") {
        assert_eq!(entry["response"]["status"], "200 OK", "{entry}");
        assert_eq!(entry["resource"]["gender"], "female", "{entry}");
    }
    // What a patch refers to may be made by the same transaction.
    let manage = parameters(&[operation(
        "add",
        "Patient",
        &[
            json!({ "name": "name", "valueString": "managingOrganization" }),
            json!({ "name": "value", "valueReference": { "reference": "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a" } }),
        ],
    )]);
    let create = json!({ "fullUrl": "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a",
        "request": { "method": "POST", "url": "Organization" },
        "resource": { "resourceType": "Organization", "name": "x" } });
    let transaction = bundle("transaction", vec![entry("Patient/p", &manage), create]);
    let reply = server.json("POST /", &transaction).await.expect(200).value();
    let made = reply["entry"][1]["resource"]["id"].as_str().expect("an id");
    let patient = server.get("/Patient/p").await.value();
    let referred = &patient["managingOrganization"]["reference"];
    assert_eq!(referred, &json!(format!("Organization/{made}")));
}
