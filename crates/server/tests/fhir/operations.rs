//! Operations, capabilities, search parameters as resources.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pipehat_server::fhir::{FhirOptions, SearchParameters, TokenAccess};
use serde_json::{Value, json};

use crate::harness::{BASE, Server, TOKEN, open_store};

#[tokio::test]
async fn capabilities_are_told_without_a_token() {
    let server = Server::new();
    let reply = server.send("GET /metadata", "authorization: none", "").await.expect(200);
    let statement = reply.value();
    assert_eq!(statement["resourceType"], "CapabilityStatement");
    assert_eq!(statement["fhirVersion"], "4.0.1");
    assert_eq!(statement["implementation"]["url"], BASE);
    let resources = statement["rest"][0]["resource"].as_array().expect("resources");
    assert!(resources.len() > 140, "{}", resources.len());
    let patient = resources.iter().find(|resource| resource["type"] == "Patient");
    let patient = patient.expect("Patient");
    let codes: Vec<&str> = patient["interaction"]
        .as_array()
        .expect("interactions")
        .iter()
        .filter_map(|one| one["code"].as_str())
        .collect();
    assert!(codes.contains(&"patch") && codes.contains(&"history-instance"));
    let parameters = patient["searchParam"].as_array().expect("parameters");
    let birthdate = parameters.iter().find(|one| one["name"] == "birthdate").expect("birthdate");
    assert_eq!(birthdate["type"], "date");
    assert_eq!(birthdate["definition"], "http://hl7.org/fhir/SearchParameter/individual-birthdate");
    let reverse = patient["searchRevInclude"].as_array().expect("reverse includes");
    assert!(reverse.contains(&json!("Observation:subject")));
    assert!(!reverse.contains(&json!("AuditEvent:entity")), "is refused, so is not promised");
    let audit = resources.iter().find(|resource| resource["type"] == "AuditEvent").expect("audit");
    assert_eq!(audit.get("searchInclude"), None);
    assert!(parameters.iter().all(|one| one["name"] != "_query"), "there are no named queries");
    server.get("/metadata?mode=full").await.expect(200);
    server.get("/metadata?mode=terminology").await.refused(404, "not-supported");
    // It is valid itself.
    let outcome = server.json("POST /CapabilityStatement/$validate", &statement).await.expect(200);
    assert_eq!(errors(&outcome.value()), Vec::<String>::new());
}

fn errors(outcome: &Value) -> Vec<String> {
    let issues = outcome["issue"].as_array().expect("issues");
    issues.iter().filter(|issue| issue["severity"] == "error").map(ToString::to_string).collect()
}

#[tokio::test]
async fn resources_are_validated_without_being_stored() {
    let server = Server::new();
    let valid = json!({ "resourceType": "Patient", "active": true });
    let wrong = json!({ "resourceType": "Patient", "active": "yes" });
    let count = |path: &'static str, body: Value| {
        let server = &server;
        async move {
            let outcome = server.json(&format!("POST {path}"), &body).await.expect(200).value();
            assert_eq!(outcome["resourceType"], "OperationOutcome", "{path}");
            errors(&outcome).len()
        }
    };
    assert_eq!(count("/Patient/$validate", valid.clone()).await, 0);
    assert_eq!(count("/Patient/$validate", wrong.clone()).await, 1);
    assert_eq!(count("/Observation/$validate", valid.clone()).await, 1);
    let parameters = |resource: &Value, mode: &str| {
        json!({ "resourceType": "Parameters", "parameter": [
        { "name": "resource", "resource": resource }, { "name": "mode", "valueCode": mode } ] })
    };
    let own = "/Patient/$validate?profile=http://hl7.org/fhir/StructureDefinition/Patient|4.0.1";
    assert_eq!(count(own, valid.clone()).await, 0);
    let profiled = "POST /Patient/$validate?profile=http://example.org/StructureDefinition/other";
    server.json(profiled, &valid).await.refused(422, "not-supported");
    let named = json!({ "resourceType": "Parameters", "parameter": [
        { "name": "resource", "resource": valid },
        { "name": "profile", "valueUri": "http://hl7.org/fhir/StructureDefinition/Observation" } ] });
    server.json("POST /Patient/$validate", &named).await.refused(422, "not-supported");
    assert_eq!(count("/Patient/$validate", parameters(&valid, "create")).await, 0);
    assert_eq!(count("/Patient/$validate", parameters(&wrong, "create")).await, 1);
    assert_eq!(count("/Patient/$validate", parameters(&valid, "update")).await, 1);
    assert_eq!(
        count("/Patient/p/$validate?mode=update", json!({ "resourceType": "Patient", "id": "q" }))
            .await,
        1
    );
    server.put(&json!({ "resourceType": "Patient", "id": "p" })).await;
    assert_eq!(
        server.get("/Patient/p/$validate").await.expect(200).value()["issue"][0]["severity"],
        "information"
    );
    server.get("/Patient/p/$validate?mode=delete").await.expect(200);
    server.get("/Patient/never/$validate?mode=delete").await.expect(404);
    server.get("/Patient/p/$validate?mode=other").await.refused(400, "code-invalid");
    server.get("/Patient/$validate").await.refused(400, "required");
    assert_eq!(server.get("/Patient").await.value()["total"], 1);
}

#[tokio::test]
async fn meta_is_read_and_changed() {
    let server = Server::new();
    server.put(&json!({ "resourceType": "Patient", "id": "p" })).await;
    let add = |meta: Value| {
        json!({ "resourceType": "Parameters",
        "parameter": [{ "name": "meta", "valueMeta": meta }] })
    };
    let tag = json!({ "system": "urn:t", "code": "x" });
    let reply =
        server.json("POST /Patient/p/$meta-add", &add(json!({ "tag": [tag] }))).await.expect(200);
    let meta = reply.value()["parameter"][0]["valueMeta"].clone();
    assert_eq!((meta["tag"][0].clone(), meta["versionId"].clone()), (tag.clone(), json!("2")));
    let again =
        server.json("POST /Patient/p/$meta-add", &add(json!({ "tag": [tag] }))).await.expect(200);
    assert_eq!(again.value()["parameter"][0]["valueMeta"]["versionId"], "2");
    let read = server.get("/Patient/p/$meta").await.expect(200).value();
    assert_eq!(read["parameter"][0]["valueMeta"], meta);
    let before = server.get("/Patient/p/_history/1/$meta").await.expect(200).value();
    assert!(before["parameter"][0]["valueMeta"].get("tag").is_none());
    let reply = server
        .json("POST /Patient/p/$meta-delete", &add(json!({ "tag": [tag] })))
        .await
        .expect(200);
    assert!(reply.value()["parameter"][0]["valueMeta"].get("tag").is_none());
    server
        .json("POST /Patient/p/$meta-add", &json!({ "resourceType": "Parameters" }))
        .await
        .refused(400, "required");
    server.json("POST /Patient/never/$meta-add", &add(json!({}))).await.expect(404);
    server.get("/Patient/p/$meta-add").await.expect(405);
}

#[tokio::test]
async fn unknown_operations_are_refused() {
    let server = Server::new();
    server.get("/$nothing").await.refused(404, "not-supported");
    server.get("/Patient/$everything").await.refused(404, "not-supported");
    server.json("POST /Patient/p/$expunge", &json!({})).await.refused(404, "not-supported");
}

#[tokio::test]
async fn search_parameters_must_make_sense() {
    let server = Server::new();
    let parameter = |status: &str, expression: &str| {
        json!({ "resourceType": "SearchParameter",
        "url": "http://example.org/sp", "name": "x", "status": status, "description": "x",
        "code": "own", "base": ["Patient"], "type": "string", "expression": expression })
    };
    server.json("POST /SearchParameter", &parameter("active", "Patient.name.(")).await.expect(422);
    server.json("POST /SearchParameter", &parameter("draft", "Patient.name.(")).await.expect(201);
    server
        .json("POST /SearchParameter", &parameter("active", "Patient.name.text"))
        .await
        .expect(201);
}

/// Waits until the index has followed.
async fn indexed(server: &Server) {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let progress = server.get("/$reindex").await.expect(200).value();
        match progress["parameter"][0]["valueCode"].as_str() {
            Some("idle") => return,
            Some("running") if Instant::now() < deadline => tokio::task::yield_now().await,
            other => panic!("{other:?}: {progress}"),
        }
    }
}

#[tokio::test]
async fn search_parameters_of_ones_own_find_what_was_there_before() {
    let server = Server::new();
    let _following = server.follow_parameters();
    let patient = |id: &str, name: &str| json!({ "resourceType": "Patient", "id": id, "name": [{ "text": name }] });
    server.put(&patient("a", "Adams")).await;
    server.put(&patient("b", "Brown")).await;
    let own = json!({ "resourceType": "SearchParameter", "id": "own", "url": "http://example.org/sp",
        "name": "own", "status": "active", "description": "x", "code": "own", "base": ["Patient"],
        "type": "string", "expression": "Patient.name.text" });
    let strict = "prefer: handling=strict";
    server.send("GET /Patient?own=ada", strict, "").await.expect(400);
    server.put(&own).await;
    indexed(&server).await;
    let found = server.send("GET /Patient?own=ada", strict, "").await.expect(200);
    assert_eq!(found.entries(), ["Patient/a"]);
    let statement = server.get("/metadata").await.expect(200).text();
    assert!(statement.contains("http://example.org/sp"));
    server.put(&patient("c", "Adamson")).await;
    assert_eq!(server.get("/Patient?own=ada").await.entries().len(), 2);
    // Only the types of a parameter that changed are indexed anew: 3 Patients, or the SearchParameter itself.
    let total = |progress: Value| progress["parameter"][2]["valueDecimal"].clone();
    let mut moved = own.clone();
    moved["expression"] = "Patient.id".into();
    server.put(&moved).await;
    indexed(&server).await;
    assert_eq!(total(server.get("/$reindex").await.value()), 3);
    assert_eq!(server.get("/Patient?own=b").await.expect(200).entries(), ["Patient/b"]);
    moved["base"] = json!(["SearchParameter"]);
    moved["expression"] = "SearchParameter.name".into();
    server.put(&moved).await;
    indexed(&server).await;
    assert_eq!(server.get("/SearchParameter?own=own").await.entries(), ["SearchParameter/own"]);
    server.send("GET /Patient?own=b", strict, "").await.expect(400);
    server.put(&own).await;
    indexed(&server).await;
    let again = server.send("POST /$reindex", "", "").await.expect(200).value();
    assert_eq!(again["parameter"][0]["valueCode"], "running");
    indexed(&server).await;
    server.send("DELETE /SearchParameter/own", "", "").await.expect(204);
    indexed(&server).await;
    server.send("GET /Patient?own=ada", strict, "").await.expect(400);
}

#[tokio::test]
async fn meta_of_types_tells_what_is_in_use() {
    let server = Server::new();
    let tagged = |resource_type: &str, id: &str, code: &str| {
        json!({ "resourceType": resource_type, "id": id, "meta": {
            "profile": ["http://example.org/p"], "tag": [{ "system": "urn:t", "code": code }] } })
    };
    server.put(&tagged("Patient", "a", "x")).await;
    server.put(&tagged("Patient", "b", "y")).await;
    server.put(&tagged("Patient", "c", "x")).await;
    server.put(&tagged("Person", "d", "z")).await;
    let codes = |path: &'static str| {
        let server = &server;
        async move {
            let meta =
                server.get(path).await.expect(200).value()["parameter"][0]["valueMeta"].clone();
            let tags = meta["tag"].as_array().cloned().unwrap_or_default();
            let codes: Vec<String> =
                tags.iter().filter_map(|tag| tag["code"].as_str()).map(str::to_owned).collect();
            (codes, meta["profile"].clone())
        }
    };
    let profile = json!(["http://example.org/p"]);
    assert_eq!(codes("/Patient/$meta").await, (vec!["x".into(), "y".into()], profile.clone()));
    assert_eq!(codes("/Person/$meta").await, (vec!["z".into()], profile.clone()));
    assert_eq!(codes("/$meta").await.0, ["x", "y", "z"]);
    assert_eq!(codes("/Observation/$meta").await, (Vec::new(), Value::Null));
    server.send("DELETE /Person/d", "", "").await.expect(204);
    assert_eq!(codes("/$meta").await.0, ["x", "y"]);
}

#[tokio::test]
async fn what_is_claimed_works() {
    let server = Server::new();
    let statement = server.get("/metadata").await.expect(200).value();
    let rest = &statement["rest"][0];
    let names = |list: &Value| -> Vec<String> {
        let list = list.as_array().cloned().unwrap_or_default();
        list.iter().filter_map(|one| one["name"].as_str()).map(str::to_owned).collect()
    };
    assert_eq!(names(&rest["searchParam"]), ["_filter", "_has", "_list", "_type"]);
    assert_eq!(names(&rest["operation"]), ["meta", "reindex"]);
    let location = rest["resource"].as_array().expect("resources").iter();
    let location = location.clone().find(|one| one["type"] == "Location").expect("Location");
    assert!(!names(&location["searchParam"]).contains(&"near".to_owned()), "it is refused");
    assert_eq!(statement["patchFormat"][1], "application/fhir+json");
}

#[tokio::test]
async fn profiles_that_stand_here_are_looked_at() {
    let server = Server::new();
    let profile = |id: &str, element: Value| {
        json!({ "resourceType": "StructureDefinition", "id": id, "name": id, "status": "active",
            "url": format!("http://example.org/{id}"), "kind": "resource", "abstract": false, "type": "Patient",
            "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Patient", "derivation": "constraint",
            "differential": { "element": [{ "id": "Patient", "path": "Patient" }, element] } })
    };
    let named = json!({ "id": "Patient.name", "path": "Patient.name", "min": 1 });
    server.put(&profile("named", named)).await;
    let bound = json!({ "id": "Patient.maritalStatus", "path": "Patient.maritalStatus", "min": 1,
        "binding": { "strength": "required", "valueSet": "http://example.org/set" } });
    server.put(&profile("bound", bound)).await;
    let texts = |path: &'static str, resource: Value| {
        let server = &server;
        async move {
            let outcome = server.json(&format!("POST {path}"), &resource).await.expect(200).value();
            let issues = outcome["issue"].as_array().cloned().expect("issues");
            let told = |issue: &Value| {
                let text = issue["details"]["text"].as_str().unwrap_or_default();
                let text = text.split(" (profile").next().unwrap_or_default();
                let place = issue["expression"][0].as_str().unwrap_or_default();
                format!("{} {place} {text}", issue["severity"].as_str().unwrap_or_default())
            };
            issues.iter().map(told).collect::<Vec<_>>()
        }
    };
    let patient = json!({ "resourceType": "Patient" });
    let lacks = "error Patient.name expected at least 1, found 0";
    let asked = "/Patient/$validate?profile=http://example.org/named";
    assert_eq!(texts(asked, patient.clone()).await, [lacks]);
    assert_eq!(texts("/Patient/$validate", patient.clone()).await, ["information  All OK"]);
    let claims = |url: &str| json!({ "resourceType": "Patient", "meta": { "profile": [url] } });
    assert_eq!(texts("/Patient/$validate", claims("http://example.org/named")).await, [lacks]);
    let unknown = texts("/Patient/$validate", claims("http://example.org/unknown")).await;
    assert!(unknown[0].starts_with("information Patient not checked: "), "{unknown:?}");
    // What stands there is looked at as well, and storing it asks for no more than R4 does.
    let mut stored = claims("http://example.org/named");
    stored["id"] = "p".into();
    server.put(&stored).await;
    let outcome = server.get("/Patient/p/$validate").await.expect(200).value();
    assert_eq!(errors(&outcome).len(), 1);
    // A value set counts from when it stands here.
    let bound = "/Patient/$validate?profile=http://example.org/bound";
    let married = json!({ "resourceType": "Patient",
        "maritalStatus": { "coding": [{ "system": "urn:s", "code": "x" }] } });
    let before = texts(bound, married.clone()).await;
    assert!(before[0].starts_with("information Patient.maritalStatus not checked: "), "{before:?}");
    server
        .put(&json!({ "resourceType": "ValueSet", "id": "s", "status": "active", "url": "http://example.org/set",
            "compose": { "include": [{ "system": "urn:s", "concept": [{ "code": "y" }] }] } }))
        .await;
    let expected =
        "error Patient.maritalStatus expected a code of the value set http://example.org/set";
    assert_eq!(texts(bound, married).await, [expected]);
    let missing = "POST /Patient/$validate?profile=http://example.org/missing";
    server.json(missing, &patient).await.refused(422, "not-supported");
}

#[tokio::test]
async fn search_parameters_reach_other_nodes() {
    if !crate::postgres::is_asked_for() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let node = || {
        let parameters = SearchParameters::new("").rules();
        let access = Arc::new(TokenAccess::new(TOKEN));
        let store = open_store(folder.path(), parameters);
        Server::over(store, access, FhirOptions::default(), None)
    };
    let (first, second) = (node(), node());
    let _following = (first.follow_parameters(), second.follow_parameters());
    let own = json!({ "resourceType": "SearchParameter", "id": "own", "url": "http://example.org/sp",
        "name": "own", "status": "active", "description": "x", "code": "own", "base": ["Patient"],
        "type": "string", "expression": "Patient.name.text" });
    first
        .put(&json!({ "resourceType": "Patient", "id": "a", "name": [{ "text": "Adams" }] }))
        .await;
    first.put(&own).await;
    let deadline = Instant::now() + Duration::from_secs(20);
    let strict = "prefer: handling=strict";
    loop {
        let reply = second.send("GET /Patient?own=ada", strict, "").await;
        if reply.status == 200 && reply.entries() == ["Patient/a"] {
            break;
        }
        assert!(Instant::now() < deadline, "{}", reply.text());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    indexed(&first).await;
}
