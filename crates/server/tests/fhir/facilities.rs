//! Clients of one facility: by a scope's filter they see and change their own, also where it depends on others.

use serde_json::{Value, json};

use crate::secured::{ADMIN_TOKEN, Secured};

fn patient(id: &str, facility: &str) -> Value {
    json!({ "resourceType": "Patient", "id": id,
        "managingOrganization": { "reference": format!("Organization/{facility}") } })
}

fn observation(id: &str, patient: &str) -> Value {
    json!({ "resourceType": "Observation", "id": id, "status": "final", "code": { "text": "x" },
        "subject": { "reference": format!("Patient/{patient}") } })
}

/// Patients and observations of two facilities, and a client that belongs to the first.
async fn two_facilities() -> (Secured, String, String) {
    let server = Secured::new();
    let admin = format!("Bearer {ADMIN_TOKEN}");
    for resource in [
        patient("ours", "ours"),
        patient("theirs", "theirs"),
        observation("of-ours", "ours"),
        observation("of-theirs", "theirs"),
    ] {
        let path = format!(
            "PUT /fhir/R4/{}/{}",
            resource["resourceType"].as_str().unwrap(),
            resource["id"].as_str().unwrap()
        );
        assert_eq!(server.call(&path, &admin, &resource).await.status, 201);
    }
    let client = server.client(
        "ward",
        "system/Patient.cruds?organization=Organization/ours \
         system/Observation.cruds?subject:Patient.organization=Organization/ours",
    );
    let token = server.token(&client, "").await;
    (server, admin, token)
}

fn entries(answer: &Value) -> Vec<String> {
    let entries = answer["entry"].as_array().cloned().unwrap_or_default();
    let mut names: Vec<String> = entries
        .iter()
        .map(|entry| entry["resource"]["id"].as_str().unwrap_or("-").to_owned())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn what_depends_on_others_is_kept_apart() {
    let (server, admin, token) = two_facilities().await;
    let status = async |asked: &str, body: &Value| {
        let (method, path) = asked.split_once(' ').unwrap();
        server.call(&format!("{method} /fhir/R4/{path}"), &token, body).await.status
    };
    let nothing = Value::Null;
    assert_eq!(status("GET Observation/of-ours", &nothing).await, 200);
    assert_eq!(status("GET Observation/of-theirs", &nothing).await, 403);
    let found = server.get("/fhir/R4/Observation", &token).await.body;
    assert_eq!(entries(&found), ["of-ours"]);
    let found = server.get("/fhir/R4/Observation/_history", &token).await.body;
    assert_eq!(entries(&found), ["of-ours"]);
    assert_eq!(status("PUT Observation/new", &observation("new", "ours")).await, 201);
    assert_eq!(status("PUT Observation/new", &observation("new", "theirs")).await, 403);
    assert_eq!(status("PUT Observation/of-theirs", &observation("of-theirs", "ours")).await, 403);
    assert_eq!(status("POST Observation", &observation("x", "theirs")).await, 403);
    assert_eq!(status("POST Observation", &observation("x", "ours")).await, 201);
    assert_eq!(status("DELETE Observation/of-theirs", &nothing).await, 403);
    let leave =
        json!([{ "op": "replace", "path": "/subject/reference", "value": "Patient/theirs" }]);
    assert_eq!(status("PATCH Observation/of-ours", &leave).await, 403);
    assert_eq!(status("PATCH Observation?_id=of-ours", &leave).await, 403);
    let stay = json!([{ "op": "replace", "path": "/status", "value": "amended" }]);
    assert_eq!(status("PATCH Observation?_id=of-ours", &stay).await, 200);
    assert_eq!(status("PATCH Observation?_id=of-theirs", &stay).await, 404);
    let included = server
        .get("/fhir/R4/Patient?_revinclude=Observation:subject&_id=ours,theirs", &token)
        .await;
    assert!(!entries(&included.body).contains(&"of-theirs".to_owned()));
    let theirs = server.get("/fhir/R4/Observation/of-theirs", &admin).await;
    assert_eq!(theirs.body["meta"]["versionId"], "1", "nothing was written");
}

#[tokio::test]
async fn each_facility_sees_a_patient_for_the_time_there() {
    let (server, admin, token) = two_facilities().await;
    let moved = server.call("PUT /fhir/R4/Patient/ours", &admin, &patient("ours", "theirs")).await;
    assert_eq!(moved.status, 200);
    let get = async |path: &str| server.get(&format!("/fhir/R4/{path}"), &token).await;
    assert_eq!(get("Patient/ours").await.status, 403);
    assert_eq!(get("Patient/ours/_history/1").await.status, 200);
    assert_eq!(get("Patient/ours/_history/2").await.status, 403);
    let history = get("Patient/ours/_history").await;
    let versions = history.body["entry"].as_array().unwrap();
    assert_eq!(versions.len(), 1);
    assert_eq!(versions[0]["resource"]["meta"]["versionId"], "1");
    server.call("PUT /fhir/R4/Patient/ours", &admin, &patient("ours", "ours")).await;
    server.call("DELETE /fhir/R4/Patient/ours", &token, &Value::Null).await;
    let history = get("Patient/_history").await;
    let methods: Vec<&str> = history.body["entry"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["request"]["method"].as_str().unwrap())
        .collect();
    assert_eq!(methods, ["DELETE", "PUT", "PUT"], "the deletion of what was theirs is shown");
}

#[tokio::test]
async fn chains_tell_nothing_of_what_is_not_shown() {
    let server = Secured::new();
    let admin = format!("Bearer {ADMIN_TOKEN}");
    let put = async |path: &str, body: serde_json::Value| {
        let answer = server.call(&format!("PUT /fhir/R4/{path}"), &admin, &body).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
    };
    put("Organization/g", json!({ "resourceType": "Organization", "id": "g", "name": "Secret" }))
        .await;
    put(
        "Patient/x",
        json!({ "resourceType": "Patient", "id": "x",
        "managingOrganization": { "reference": "Organization/g" } }),
    )
    .await;
    for (id, status) in [("1", "final"), ("2", "amended")] {
        put(
            &format!("Observation/{id}"),
            json!({ "resourceType": "Observation", "id": id,
            "status": status, "code": { "text": "x" }, "subject": { "reference": "Patient/x" } }),
        )
        .await;
    }
    let check = async |scope: &str, query: &str, expected: Result<usize, u16>| {
        let client = server.client(&format!("of {scope}"), scope);
        let token = server.token(&client, "").await;
        let answer = server.get(&format!("/fhir/R4/Patient?{query}"), &token).await;
        let entries = answer.body["entry"].as_array().map_or(0, Vec::len);
        let found = if answer.status == 200 { Ok(entries) } else { Err(answer.status) };
        assert_eq!(found, expected, "{scope}: {query}");
    };
    check("system/Patient.rs", "organization.name=sec", Err(403)).await;
    check("system/Patient.rs", "_has:Observation:subject:status=final", Err(403)).await;
    check("system/Patient.rs system/Organization.rs ", "organization.name=sec", Ok(1)).await;
    let finals = "system/Patient.rs system/Observation.rs?status=final";
    check(finals, "_has:Observation:subject:code:text=x", Ok(1)).await;
    check(&format!("{finals} "), "_has:Observation:subject:status=amended", Ok(0)).await;
}

#[tokio::test]
async fn a_conditional_reference_finds_what_the_client_sees() {
    let (server, admin, token) = two_facilities().await;
    let with_number = |id: &str, number: &str| {
        let mut patient = patient(id, id);
        patient["identifier"] = json!([{ "system": "urn:n", "value": number }]);
        patient
    };
    for (id, number) in [("ours", "1"), ("theirs", "2")] {
        let path = format!("PUT /fhir/R4/Patient/{id}");
        let answer = server.call(&path, &admin, &with_number(id, number)).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    let check = async |token: &str, number: &str, expected: (u16, &str)| {
        let mut asked = observation("by-number", "x");
        let reference = format!("Patient?identifier=urn:n|{number}");
        asked["subject"]["reference"] = reference.into();
        let entry = json!({ "resource": asked,
            "request": { "method": "PUT", "url": "Observation/by-number" } });
        let bundle = json!({ "resourceType": "Bundle", "type": "transaction", "entry": [entry] });
        let answer = server.call("POST /fhir/R4", token, &bundle).await;
        let text = match answer.status {
            200 => {
                let stored = server.get("/fhir/R4/Observation/by-number", &admin).await.body;
                stored["subject"]["reference"].clone()
            }
            _ => answer.body["issue"][0]["details"]["text"].clone(),
        };
        let text = text.as_str().expect("a text");
        assert_eq!(answer.status, expected.0, "{text}");
        assert!(text.contains(expected.1), "{text}");
    };
    check(&token, "1", (200, "Patient/ours")).await;
    // Others' are as none at all.
    let none = "matches 0 resources";
    check(&token, "2", (412, none)).await;
    check(&token, "3", (412, none)).await;
    check(&admin, "2", (200, "Patient/theirs")).await;
    let patch = json!([{ "op": "replace", "path": "/subject/reference",
        "value": "Patient?identifier=urn:n|2" }]);
    let patched = server.call("PATCH /fhir/R4/Observation/of-ours", &token, &patch).await;
    assert_eq!(patched.status, 422, "{}", patched.body);
}
