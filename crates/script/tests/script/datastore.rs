//! A datastore for tests: what bots do with one, in memory.

use std::collections::BTreeMap;

use pipehat_script::Answer;
use serde_json::{Value, json};

/// Resources by `Type/id`.
#[derive(Default)]
pub(crate) struct Datastore {
    pub(crate) resources: BTreeMap<String, Value>,
}

impl Datastore {
    pub(crate) fn answer(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(String, String)],
        body: &[u8],
    ) -> Answer {
        let header = |name: &str| {
            let named = headers.iter().find(|(one, _)| one.eq_ignore_ascii_case(name));
            named.map(|(_, value)| value.as_str())
        };
        let (target, query) = path.split_once('?').unwrap_or((path, ""));
        let (status, resource) = match (method, target.split('/').collect::<Vec<_>>().as_slice()) {
            ("GET", [kind, id]) => self.read(&format!("{kind}/{id}")),
            ("GET", [kind]) => (200, self.search(kind, query)),
            ("POST", [""]) => (200, self.transaction(&parsed(body))),
            ("POST", ["Binary"]) => {
                let content = header("content-type").unwrap_or_default();
                (201, self.create(json!({ "resourceType": "Binary", "contentType": content, "size": body.len() })))
            }
            ("POST", [_]) => {
                match header("if-none-exist").and_then(|query| self.find("Patient", query)) {
                    Some(found) => (200, found),
                    None => (201, self.create(parsed(body))),
                }
            }
            ("PUT", [kind, id]) => {
                self.resources.insert(format!("{kind}/{id}"), parsed(body));
                (200, parsed(body))
            }
            _ => (400, json!({ "resourceType": "OperationOutcome", "issue": [] })),
        };
        let content_type = ("content-type".to_owned(), "application/fhir+json".to_owned());
        Answer { status, headers: vec![content_type], body: resource.to_string().into_bytes() }
    }

    fn create(&mut self, mut resource: Value) -> Value {
        let id = format!("{}", self.resources.len() + 1);
        resource["id"] = json!(id);
        let kind = resource["resourceType"].as_str().expect("a resource").to_owned();
        self.resources.insert(format!("{kind}/{id}"), resource.clone());
        resource
    }

    fn read(&self, reference: &str) -> (u16, Value) {
        match self.resources.get(reference) {
            Some(resource) => (200, resource.clone()),
            None => {
                let issue = json!([{ "severity": "error", "code": "not-found", "details": { "text": "Gone for lunch" } }]);
                (404, json!({ "resourceType": "OperationOutcome", "issue": issue }))
            }
        }
    }

    fn find(&self, kind: &str, query: &str) -> Option<Value> {
        let decoded = query.replace("%7C", "|").replace("%3A", ":").replace("%2F", "/");
        let wanted = decoded.split('&').find_map(|part| part.strip_prefix("identifier="));
        let matches = |resource: &&Value| match wanted {
            None => true,
            Some(wanted) => resource["identifier"].as_array().is_some_and(|identifiers| {
                identifiers.iter().any(|one| {
                    let (system, value) = (one["system"].as_str(), one["value"].as_str());
                    wanted == format!("{}|{}", system.unwrap_or(""), value.unwrap_or(""))
                })
            }),
        };
        let prefix = format!("{kind}/");
        let mut of_kind = self.resources.iter().filter(|(name, _)| name.starts_with(&prefix));
        of_kind.find_map(|(_, resource)| Some(resource).filter(matches)).cloned()
    }

    fn search(&self, kind: &str, query: &str) -> Value {
        let found: Vec<_> =
            self.find(kind, query).into_iter().map(|one| json!({ "resource": one })).collect();
        json!({ "resourceType": "Bundle", "type": "searchset", "entry": found })
    }

    fn transaction(&mut self, bundle: &Value) -> Value {
        let mut done = Vec::new();
        for entry in bundle["entry"].as_array().into_iter().flatten() {
            let resource = entry["resource"].clone();
            let status = if entry["request"]["method"] == "PUT" {
                let url = entry["request"]["url"].as_str().unwrap_or_default().to_owned();
                self.resources.insert(url, resource);
                "200"
            } else {
                self.create(resource);
                "201"
            };
            done.push(json!({ "response": { "status": status } }));
        }
        json!({ "resourceType": "Bundle", "type": "transaction-response", "entry": done })
    }
}

fn parsed(body: &[u8]) -> Value {
    serde_json::from_slice(body).expect("JSON")
}
