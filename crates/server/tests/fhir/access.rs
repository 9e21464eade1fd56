//! Who may do what, and what the audit is told.

use std::sync::Arc;

use pipehat_resource::search::{Registry, Search, SearchOptions};
use pipehat_server::fhir::{
    Access, AccessRequest, Decision, FhirOptions, Permission, Principal, Scope, Scopes,
};
use serde_json::{Value, json};

use crate::harness::Server;

#[tokio::test]
async fn nothing_but_the_capabilities_is_open() {
    let server = Server::new();
    for header in
        ["authorization: none", "authorization: Bearer wrong", "authorization: Basic eDp5"]
    {
        for path in ["/Patient", "/Patient/p", "/", "/Nothing", "/_history", "/$reindex"] {
            let reply = server.send(&format!("GET {path}"), header, "").await.refused(401, "login");
            let text = reply.text();
            let sent = header.starts_with("authorization: Bearer");
            assert_eq!(text.contains("open nothing"), sent, "{text}");
            assert_eq!(text.contains("this needs credentials"), !sent, "{text}");
            assert!(reply.header("www-authenticate").starts_with("Bearer"), "{path}");
        }
        server.send("POST /Patient", header, "{}").await.expect(401);
    }
    server.send("GET /metadata", "authorization: none", "").await.expect(200);
}

struct Fixed(Scopes);

impl Access for Fixed {
    fn principal<'a>(&'a self, _: AccessRequest<'a>) -> Decision<'a> {
        let principal = Principal { client: "lab".into(), scopes: self.0.clone() };
        Box::pin(std::future::ready(Ok(principal)))
    }
}

fn scope(resource_type: Option<&str>, may: &[Permission]) -> Scope {
    Scope { resource_type: resource_type.map(str::to_owned), may: may.to_vec(), filter: None }
}

#[tokio::test]
async fn scopes_bound_what_a_client_does() {
    use Permission::{Create, Read, Search};
    let scopes = [scope(Some("Patient"), &[Read, Search]), scope(Some("Observation"), &[Create])];
    let access = Arc::new(Fixed(Scopes::Some(scopes.into())));
    let server = Server::with(access, FhirOptions::default());
    let patient = json!({ "resourceType": "Patient", "id": "p" });
    server.get("/Patient/p").await.expect(404);
    server.get("/Patient").await.expect(200);
    server.json("POST /Patient", &patient).await.refused(403, "forbidden");
    server.json("PUT /Patient/p", &patient).await.refused(403, "forbidden");
    server.send("DELETE /Patient/p", "", "").await.refused(403, "forbidden");
    server.get("/Observation/o").await.refused(403, "forbidden");
    server.get("/Observation").await.refused(403, "forbidden");
    server.get("/_history").await.refused(403, "forbidden");
    server.get("/Observation/_history").await.refused(403, "forbidden");
    let observation = json!({ "resourceType": "Observation", "status": "final", "code": { "text": "x" },
        "subject": { "reference": "Patient/p" } });
    server.json("POST /Observation", &observation).await.expect(201);
    let all = server.get("/?_type=Patient,Observation").await;
    all.refused(403, "forbidden");
    assert!(server.get("/").await.expect(200).entries().is_empty(), "observations stay hidden");
    let batch = json!({ "resourceType": "Bundle", "type": "batch", "entry": [
        { "request": { "method": "POST", "url": "Patient" }, "resource": { "resourceType": "Patient" } } ] });
    let reply = server.json("POST /", &batch).await.expect(200).value();
    assert_eq!(reply["entry"][0]["response"]["status"], "403 Forbidden");
    let transaction = json!({ "resourceType": "Bundle", "type": "transaction", "entry": [
        { "request": { "method": "POST", "url": "Patient" }, "resource": { "resourceType": "Patient" } } ] });
    server.json("POST /", &transaction).await.refused(403, "forbidden");
}

#[tokio::test]
async fn a_client_of_one_facility_stays_in_it() {
    let server = Server::new();
    let patient = |id: &str, organization: &str| {
        json!({ "resourceType": "Patient", "id": id,
            "managingOrganization": { "reference": format!("Organization/{organization}") } })
    };
    server.put(&patient("ours", "ours")).await;
    server.put(&patient("theirs", "theirs")).await;
    server.put(&patient("gone", "theirs")).await;
    server.send("DELETE /Patient/gone", "", "").await.expect(204);
    let server = server.with_access(Arc::new(of_one_facility()));
    server.get("/Patient/ours").await.expect(200);
    let history = server.get("/Patient/_history").await.expect(200);
    assert_eq!(history.entries(), ["Patient/ours"]);
    assert_eq!(server.get("/Patient").await.expect(200).entries(), ["Patient/ours"]);
    assert_eq!(server.get("/Patient?_count=0").await.expect(200).value()["total"], 1);
    server.json("PUT /Patient/ours", &patient("ours", "theirs")).await.refused(403, "forbidden");
    server.json("PUT /Patient/theirs", &patient("theirs", "ours")).await.refused(403, "forbidden");
    server.json("POST /Patient", &patient("x", "theirs")).await.refused(403, "forbidden");
    server.json("POST /Patient", &patient("x", "ours")).await.expect(201);
    server.json("PUT /Patient/new", &patient("new", "ours")).await.expect(201);
    server.send("DELETE /Patient?_id=theirs", "", "").await.expect(204);
    let headers = "content-type: application/json-patch+json";
    let path = "/managingOrganization/reference";
    let leave = json!([{ "op": "replace", "path": path, "value": "Organization/theirs" }]);
    let leave = leave.to_string();
    server.send("PATCH /Patient/ours", headers, leave.clone()).await.refused(403, "forbidden");
    server.send("PATCH /Patient?_id=ours", headers, leave).await.refused(403, "forbidden");
    let stay = r#"[{"op":"add","path":"/active","value":true}]"#;
    server.send("PATCH /Patient/ours", headers, stay).await.expect(200);
    let transaction = json!({ "resourceType": "Bundle", "type": "transaction", "entry": [
        { "request": { "method": "DELETE", "url": "Patient/theirs" } } ] });
    server.json("POST /", &transaction).await.refused(404, "not-found");
    let all = server.with_access(Arc::new(Fixed(Scopes::All)));
    all.get("/Patient/theirs").await.expect(200);
}

/// A client that sees the patients of one facility.
fn of_one_facility() -> Fixed {
    use Permission::{Create, Delete, Read, Update};
    let registry = Registry::standard();
    let own = [("organization".to_owned(), "Organization/ours".to_owned())];
    let own = Search::parse(&["Patient"], &own, &registry, &SearchOptions::default());
    let filter = own.expect("a search").search.filters.pop();
    Fixed(Scopes::Some(
        [Scope {
            resource_type: Some("Patient".to_owned()),
            may: vec![Create, Read, Update, Delete, Permission::Search],
            filter,
        }]
        .into(),
    ))
}

#[tokio::test]
async fn what_is_another_s_is_as_none() {
    let server = Server::new();
    let patient = |id: &str, organization: &str| {
        json!({ "resourceType": "Patient", "id": id,
            "managingOrganization": { "reference": format!("Organization/{organization}") } })
    };
    server.put(&patient("theirs", "theirs")).await;
    server.put(&patient("gone", "theirs")).await;
    server.send("DELETE /Patient/gone", "", "").await.expect(204);
    server.put(&patient("left", "ours")).await;
    server.send("DELETE /Patient/left", "", "").await.expect(204);
    let server = server.with_access(Arc::new(of_one_facility()));
    let patch = "content-type: application/json-patch+json";
    let active = r#"[{"op":"add","path":"/active","value":true}]"#;
    let check = async |asked: &str, headers: &str, body: &str, status: u16, code: &str| {
        let mut answers = Vec::new();
        for id in ["theirs", "gone", "never"] {
            let asked = asked.replace("{id}", id);
            let reply = server.send(&asked, headers, body.to_owned()).await.refused(status, code);
            answers.push(reply.text().replace(id, "{id}"));
        }
        answers.dedup();
        assert_eq!(answers.len(), 1, "{asked}: {answers:?}");
    };
    check("GET /Patient/{id}", "", "", 404, "not-found").await;
    check("GET /Patient/{id}/_history/1", "", "", 404, "not-found").await;
    check("GET /Patient/{id}/_history/2", "", "", 404, "not-found").await;
    check("GET /Patient/{id}/_history", "", "", 404, "not-found").await;
    check("GET /Patient/{id}/_history?_since=2999-01-01", "", "", 404, "not-found").await;
    check("GET /Patient/{id}/_history?_before=1", "", "", 404, "not-found").await;
    check("GET /Patient/{id}/$everything", "", "", 404, "not-found").await;
    check("GET /Patient/{id}/$meta", "", "", 404, "not-found").await;
    check("PATCH /Patient/{id}", patch, active, 404, "not-found").await;
    check("DELETE /Patient/{id}", "", "", 404, "not-found").await;
    for tag in ["*", "W/\"1\""] {
        let headers = format!("if-match: {tag}");
        check("DELETE /Patient/{id}", &headers, "", 412, "conflict").await;
        let headers = format!("if-match: {tag}\n{patch}");
        check("PATCH /Patient/{id}", &headers, active, 412, "conflict").await;
    }
    for id in ["theirs", "gone"] {
        let path = format!("PUT /Patient/{id}");
        server.json(&path, &patient(id, "ours")).await.refused(403, "forbidden");
        server.json(&path, &patient(id, "theirs")).await.refused(403, "forbidden");
    }
    // Who may read it learns that it is not its to change.
    let Fixed(Scopes::Some(own)) = of_one_facility() else { panic!("scopes") };
    let reads = Scope {
        resource_type: Some("Patient".to_owned()),
        may: vec![Permission::Read],
        filter: None,
    };
    let scopes: Vec<Scope> = own.iter().cloned().chain([reads]).collect();
    let server = server.with_access(Arc::new(Fixed(Scopes::Some(scopes.into()))));
    server.send("PATCH /Patient/theirs", patch, active).await.refused(403, "forbidden");
    server.send("DELETE /Patient/theirs", "", "").await.refused(403, "forbidden");
    // What was its own is told to be gone, and may come back.
    server.get("/Patient/left").await.refused(410, "deleted");
    server.send("DELETE /Patient/left", "", "").await.expect(204);
    server.json("PUT /Patient/left", &patient("left", "ours")).await.expect(201);
}

/// What stands in place of a type is the client's own, and a refusal goes into the log with the bot that got it.
#[tokio::test]
async fn a_refusal_names_no_value() {
    let scope = Scope {
        resource_type: Some("Subscription".to_owned()),
        may: vec![Permission::Create],
        filter: None,
    };
    let access = Fixed(Scopes::Some([scope].into()));
    let server = Server::with(Arc::new(access), FhirOptions::default());
    let subscription = json!({ "resourceType": "Subscription", "status": "requested", "reason": "x",
        "criteria": "Miller?active=true", "channel": { "type": "rest-hook", "endpoint": "Bot/b" } });
    let check = async |asked: &str, body: &Value| {
        let reply = server.json(asked, body).await;
        assert!(!reply.value().to_string().contains("Miller"), "{asked}: {}", reply.value());
    };
    check("POST /Subscription", &subscription).await;
    let transaction = json!({ "resourceType": "Bundle", "type": "transaction", "entry": [
        { "request": { "method": "POST", "url": "Subscription" }, "resource": subscription } ] });
    check("POST /", &transaction).await;
}

#[tokio::test]
async fn refusals_say_what_is_missing() {
    let patient = json!({ "resourceType": "Patient", "id": "new" });
    let server = Server::with(Arc::new(of_one_facility()), FhirOptions::default());
    let check = async |asked: &str, body: &Value, expected: &str| {
        let reply = server.json(asked, body).await.refused(403, "forbidden");
        let text = reply.value()["issue"][0]["details"]["text"].as_str().unwrap_or("").to_owned();
        assert!(text.contains(expected), "{asked}: {text}");
    };
    let nothing = Value::Null;
    check("GET /Observation", &nothing, "no scope to search Observation").await;
    check("GET /Observation/1", &nothing, "no scope to read Observation").await;
    check("GET /Patient?organization.name=x", &nothing, "to search Organization").await;
    check("GET /_history", &nothing, "needs a scope to search everything").await;
    check("PUT /Patient/new", &patient, "outside the filter").await;
    let transaction = json!({ "resourceType": "Bundle", "type": "transaction", "entry": [
        { "request": { "method": "POST", "url": "Practitioner" },
          "resource": { "resourceType": "Practitioner" } } ] });
    check("POST /", &transaction, "no scope to create Practitioner").await;
}

#[tokio::test]
async fn every_access_is_told() {
    let server = Server::new();
    server.put(&json!({ "resourceType": "Patient", "id": "p" })).await;
    server.get("/Patient/p").await;
    server.get("/Patient/never").await;
    server.get("/Patient?family=x").await;
    server.send("GET /Patient/p", "authorization: none", "").await;
    let batch = json!({ "resourceType": "Bundle", "type": "batch",
        "entry": [{ "request": { "method": "GET", "url": "Patient/p" } }] });
    server.json("POST /", &batch).await;
    let zip = "content-encoding: br\ncontent-type: application/fhir+json";
    server.send("PUT /Patient/p", zip, "{}").await.expect(415);
    let form = "content-type: application/x-www-form-urlencoded";
    server.send("POST /Patient/_search", form, "a=%zz&a=%").await.expect(400);
    let told: Vec<String> = server
        .audited()
        .iter()
        .map(|fact| {
            let resource = fact.resource.as_ref().map_or("-", |key| key.id.as_str());
            let query = fact.query.as_deref().unwrap_or("-");
            let client = fact.client.as_deref().unwrap_or("-");
            assert!(fact.peer.is_some() && !fact.request_id.is_empty());
            format!("{client} {} {resource} {query} {}", fact.interaction, fact.status.as_u16())
        })
        .collect();
    assert_eq!(
        told,
        [
            "token update p - 201",
            "token read p - 200",
            "token read never - 404",
            "token search-type - family=x 200",
            "- read p - 401",
            "token read p - 200",
            "token batch - - 200",
            "token update p - 415",
            "token search-type - - 400",
        ]
    );
}
