//! Operations, capabilities, search parameters as resources.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pipehat_server::fhir::{FhirOptions, SearchParameters, TokenAccess};
use serde_json::{Value, json};

use crate::harness::{BASE, Reply, Server, TOKEN, open_store};

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
    assert_eq!((audit.get("searchInclude"), audit.get("searchRevInclude")), (None, None));
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

#[tokio::test]
async fn search_parameters_that_find_nothing_are_called_so() {
    let server = Server::new();
    let check = async |code: &str, expression: &str, expected: Option<&str>| {
        let parameter = json!({ "resourceType": "SearchParameter", "id": "p",
            "url": "http://example.org/p", "name": "Own", "status": "active", "description": "x",
            "code": code, "base": ["Patient"], "type": "string", "expression": expression,
            "derivedFrom": "http://hl7.org/fhir/SearchParameter/individual-family" });
        let headers = "content-type: application/fhir+json\nprefer: return=OperationOutcome";
        let put = server.send("PUT /SearchParameter/p", headers, parameter.to_string()).await;
        let validated = server.json("POST /SearchParameter/$validate", &parameter).await;
        for reply in [put, validated] {
            assert!(reply.status < 300, "{}", reply.text());
            let outcome = reply.value();
            let issues = outcome["issue"].as_array().expect("issues");
            let warning = issues.iter().find(|issue| issue["severity"] == "warning");
            let text = warning.map(|issue| issue["details"]["text"].as_str().expect("a text"));
            match (text, expected) {
                (Some(text), Some(expected)) => assert!(text.contains(expected), "{text}"),
                (text, expected) => assert_eq!(text, expected, "{code} {expression}"),
            }
        }
    };
    check("own", "Patient.name.text", None).await;
    check("own", "Patient.nosuch", Some("names no element of Patient")).await;
    check("family", "Patient.name.family", Some("has a search parameter `family` already")).await;
}

#[tokio::test]
async fn parameters_that_nobody_knows_are_refused_where_handling_is_strict() {
    let server = Server::new();
    server.put(&json!({ "resourceType": "Patient", "id": "p" })).await;
    for path in ["/Patient/p", "/Patient/p/_history", "/Patient/_history", "/Patient/p/$everything"]
    {
        let check = async |query: &str, prefer: &str, status: u16| {
            let reply = server.send(&format!("GET {path}?{query}"), prefer, "").await;
            let reply = reply.expect(status);
            if status == 400 {
                assert!(reply.text().contains("no parameter `foo`"), "{}", reply.text());
            }
        };
        check("foo=1", "", 200).await;
        check("foo=1", "prefer: handling=lenient", 200).await;
        check("foo=1", "prefer: handling=strict", 400).await;
        check("_format=json&_pretty=true&_summary=false", "prefer: handling=strict", 200).await;
    }
    let history = "GET /Patient/_history?_count=1&_since=2020-01-01";
    server.send(history, "prefer: handling=strict", "").await.expect(200);
    // A searchset has a place for a warning; its links leave out what was ignored.
    let ignored = server.get("/Patient/p/$everything?foo=1&_count=5").await.expect(200);
    let bundle = ignored.value();
    let warnings: Vec<_> = bundle["entry"]
        .as_array()
        .expect("entries")
        .iter()
        .filter(|entry| entry["search"]["mode"] == "outcome")
        .map(|entry| &entry["resource"]["issue"][0])
        .collect();
    assert_eq!(warnings.len(), 1);
    assert_eq!(warnings[0]["severity"], "warning");
    let text = warnings[0]["details"]["text"].as_str().expect("a text");
    assert!(text.contains("no parameter `foo`") && text.ends_with("it was ignored"), "{text}");
    assert_eq!(ignored.link("self").as_deref(), Some("/Patient/p/$everything?_count=5"));
    let parameters = json!({ "resourceType": "Parameters",
        "parameter": [{ "name": "foo", "valueString": "x" }] });
    let posted = server.json("POST /Patient/p/$everything", &parameters).await.expect(200);
    assert!(posted.text().contains("no parameter `foo`"), "{}", posted.text());
}

/// How long an index may take: with all that runs beside it, thousands of resources take a while.
const INDEX_DEADLINE: Duration = Duration::from_secs(120);

/// Waits until the index has followed.
async fn indexed(server: &Server) {
    let deadline = Instant::now() + INDEX_DEADLINE;
    loop {
        let progress = server.get("/$reindex").await.expect(200).value();
        match progress["parameter"][0]["valueCode"].as_str() {
            Some("idle") => return,
            // Whoever asks without a pause takes from the index the time that it needs.
            Some("running") if Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
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

/// A Bundle that creates patients whose names begin with `Doe`.
fn many_patients(from: usize, count: usize) -> Value {
    let entry = |number: usize| {
        json!({ "request": { "method": "POST", "url": "Patient" },
        "resource": { "resourceType": "Patient", "name": [{ "text": format!("Doe {number}") }] } })
    };
    json!({ "resourceType": "Bundle", "type": "transaction",
        "entry": (from..from + count).map(entry).collect::<Vec<_>>() })
}

#[tokio::test]
async fn a_parameter_is_unknown_until_its_index_is_whole() {
    const PATIENTS: usize = 1_500;
    let server = Server::new();
    let _following = server.follow_parameters();
    for turn in 0..3 {
        server.json("POST /", &many_patients(turn * PATIENTS / 3, PATIENTS / 3)).await.expect(200);
    }
    let own = |id: &str, expression: &str| {
        json!({ "resourceType": "SearchParameter", "id": id,
        "url": format!("http://example.org/{id}"), "name": id, "status": "active",
        "description": "x", "code": id, "base": ["Patient"], "type": "string",
        "expression": expression })
    };
    server.put(&own("first", "Patient.name.text")).await;
    indexed(&server).await;
    let total = |reply: &Reply| reply.value()["total"].as_u64();
    let strict = "prefer: handling=strict";
    let searched = "GET /Patient?second=doe&_total=accurate&_count=1";
    let twice = json!({ "resourceType": "Patient", "name": [{ "text": "Doe 7" }] });
    let observation = json!({ "resourceType": "Observation", "status": "final",
        "code": { "text": "x" }, "subject": { "reference": "Patient?second:exact=Doe 7" } });
    let expect_whole = async |definition: &Value, before: Option<u64>, after: u64| {
        server.put(definition).await;
        let (mut refused, deadline) = (0, Instant::now() + INDEX_DEADLINE);
        loop {
            let found = server.send(searched, strict, "").await;
            assert!(Instant::now() < deadline, "the index never ends");
            if found.status == 200 {
                if total(&found) == Some(after) {
                    break;
                }
                assert!(total(&found) == before && refused == 0, "{}", found.text());
                continue;
            }
            // None was known of this code when the search came, or there is one and it can't be used yet.
            assert!(matches!(found.status, 400 | 503), "{}", found.text());
            refused += usize::from(found.text().contains("is being indexed, try again"));
            // The index may have ended behind the search before.
            let condition = "if-none-exist: second:exact=Doe 7\ncontent-type: application/json";
            let made = server.send("POST /Patient", condition, twice.to_string()).await;
            assert!(matches!(made.status, 200 | 400 | 503), "{}", made.text());
            let lenient = server.get("/Patient?second=nobody&_total=accurate&_count=1").await;
            // What is not there yet is ignored; what is there, never.
            let ignored = lenient.text().contains("it was ignored");
            assert!(
                !ignored || lenient.text().contains("has no search parameter"),
                "{}",
                lenient.text()
            );
            assert!(
                ignored || lenient.status == 503 || total(&lenient) == Some(0),
                "{}",
                lenient.text()
            );
            let referring = server.json("POST /Observation", &observation).await;
            assert!(matches!(referring.status, 201 | 400 | 503), "{}", referring.text());
            let first = server.send("GET /Patient?first=doe&_total=accurate", strict, "").await;
            assert_eq!(total(&first), Some(PATIENTS as u64));
            let statement = server.get("/metadata").await.expect(200).text();
            let listed = statement.contains("http://example.org/second");
            assert!(
                !listed
                    || before.is_some()
                    || server.send(searched, strict, "").await.status == 200
            );
        }
        assert!(refused > 0, "it was never seen being indexed");
        assert!(server.get("/metadata").await.text().contains("http://example.org/second"));
    };
    let all = PATIENTS as u64;
    expect_whole(&own("second", "Patient.name.text"), None, all).await;
    // One that is changed finds by its new definition only when all is indexed by it.
    expect_whole(&own("second", "Patient.name.text.where($this = 'Doe 7')"), Some(all), 1).await;
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

/// A definition that finds Patients by the text of their names.
fn own_parameter(id: &str, code: &str) -> Value {
    json!({ "resourceType": "SearchParameter", "id": id, "url": format!("http://example.org/{id}"), "name": "own",
        "status": "active", "description": "x", "code": code, "base": ["Patient"], "type": "string",
        "expression": "Patient.name.text" })
}

/// The server is killed before its index follows: what starts next knows which parameters there are.
#[tokio::test]
async fn a_start_before_the_index_follows_ignores_no_parameter() {
    let folder = tempfile::tempdir().expect("a folder");
    let node = || {
        let store = open_store(folder.path(), SearchParameters::new("").rules());
        let access = Arc::new(TokenAccess::new(TOKEN));
        Server::over(store, access, FhirOptions::default(), None)
    };
    let lenient = "GET /Patient?own=nobody";
    {
        let first = node();
        let patient =
            json!({ "resourceType": "Patient", "id": "a", "name": [{ "text": "Adams" }] });
        first.put(&patient).await;
        first.put(&own_parameter("own", "own")).await;
    }
    {
        let second = node();
        second.open_parameters().await;
        let progress = second.get("/$reindex").await.expect(200).value();
        assert_eq!(progress["parameter"][0]["valueCode"], "running");
        for handling in ["lenient", "strict"] {
            let reply = second.send(lenient, &format!("prefer: handling={handling}"), "").await;
            assert_eq!(reply.header("retry-after"), "5");
            reply.refused(503, "transient");
        }
        let _following = second.follow_parameters();
        indexed(&second).await;
        assert!(second.send(lenient, "", "").await.expect(200).entries().is_empty());
    }
    // Where the index followed before, it does from the first moment on.
    let third = node();
    third.open_parameters().await;
    assert_eq!(third.get("/Patient?own=adams").await.expect(200).entries(), ["Patient/a"]);
}

#[tokio::test]
async fn a_code_has_one_parameter() {
    let server = Server::new();
    let _following = server.follow_parameters();
    let patient = json!({ "resourceType": "Patient", "id": "a", "name": [{ "text": "Adams" }] });
    server.put(&patient).await;
    let put = async |definition: &Value| {
        let id = definition["id"].as_str().expect("an id").to_owned();
        server.json(&format!("PUT /SearchParameter/{id}"), definition).await
    };
    put(&own_parameter("first", "own")).await.expect(201);
    indexed(&server).await;
    let refused = put(&own_parameter("second", "own")).await.refused(422, "duplicate");
    let text = refused.text();
    assert!(text.contains("http://example.org/first"), "{text}");
    put(&own_parameter("gender", "gender")).await.refused(422, "duplicate");
    // A guide that says of R4's parameter what is known of it may be loaded.
    let mut derived = own_parameter("guide", "gender");
    derived["derivedFrom"] = "http://hl7.org/fhir/SearchParameter/individual-gender".into();
    put(&derived).await.expect(201);
    // A draft is not in force.
    let mut second = own_parameter("second", "own");
    second["status"] = "draft".into();
    put(&second).await.expect(201);
    second["status"] = "active".into();
    put(&second).await.refused(422, "duplicate");
    indexed(&server).await;
    server.send("DELETE /SearchParameter/first", "", "").await.expect(204);
    indexed(&server).await;
    put(&second).await.expect(200);
    indexed(&server).await;
    assert_eq!(server.get("/Patient?own=adams").await.expect(200).entries(), ["Patient/a"]);
}

/// Two that came before each was known: the second takes the place of the first when that goes.
#[tokio::test]
async fn a_second_parameter_of_a_code_follows_the_first() {
    let server = Server::new();
    let patient = json!({ "resourceType": "Patient", "id": "a", "name": [{ "text": "Adams" }] });
    server.put(&patient).await;
    server.put(&own_parameter("a", "own")).await;
    server.put(&own_parameter("b", "own")).await;
    let _following = server.follow_parameters();
    indexed(&server).await;
    for gone in ["a", "b"] {
        assert_eq!(server.get("/Patient?own=adams").await.expect(200).entries(), ["Patient/a"]);
        server.send(&format!("DELETE /SearchParameter/{gone}"), "", "").await.expect(204);
        indexed(&server).await;
    }
    server.send("GET /Patient?own=ada", "prefer: handling=strict", "").await.expect(400);
}

#[tokio::test]
async fn pages_of_everything_show_the_patient_once() {
    let server = Server::new();
    server.put(&json!({ "resourceType": "Patient", "id": "p" })).await;
    for id in ["a", "b", "c", "d"] {
        let observation = json!({ "resourceType": "Observation", "id": id, "status": "final",
            "code": { "text": "x" }, "subject": { "reference": "Patient/p" } });
        server.put(&observation).await;
    }
    let mut all = Vec::new();
    let mut path = Some("/Patient/p/$everything?_count=2".to_owned());
    while let Some(asked) = path {
        let page = server.get(&asked).await.expect(200);
        all.extend(page.entries());
        let next = page.link("next");
        path = next.map(|next| next.trim_start_matches(crate::harness::BASE).to_owned());
    }
    all.sort();
    let expected =
        ["Observation/a", "Observation/b", "Observation/c", "Observation/d", "Patient/p"];
    assert_eq!(all, expected);
}
