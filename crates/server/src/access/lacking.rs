//! What a request certainly lacks of scopes, by its method and address alone: for who tries a bot without a server.
//!
//! A server decides more: by a scope's filter, by what stands there, by what a search includes. What is refused here is
//! refused there, in the same words.

use pipehat_resource::json::{self, Value};

use super::scope::SmartScope;
use crate::fhir::{Permission, lacking_words};

/// Why none of the scopes lets a bot do this; none where they may. `path` is below the base, `body` what a Bundle is looked
/// for in.
pub fn lacking(scopes: &[SmartScope], method: &str, path: &str, body: &[u8]) -> Option<String> {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    if parts.is_empty() && method == "POST" {
        let bundle = json::parse(body).ok()?;
        return bundle.items("entry").iter().find_map(|entry| {
            let request = entry.get("request")?;
            let text = |name| request.text(name).unwrap_or_default();
            let body = entry.get("resource").map(Value::to_json).unwrap_or_default();
            // Batches stand in no batch.
            let is_within = !text("url").is_empty();
            let found = || lacking(scopes, text("method"), text("url"), body.as_bytes());
            is_within.then(found).flatten()
        });
    }
    let resource_type = *parts.first()?;
    let is_type = resource_type.starts_with(|first: char| first.is_ascii_uppercase());
    let last = *parts.last()?;
    // Each operation asks for scopes of its own.
    if !is_type || last.starts_with('$') {
        return None;
    }
    // Several: one of them is enough, for what stands there decides which.
    let wanted: &[Permission] = match (method, parts.get(1).copied()) {
        (_, Some("_search")) | ("GET" | "HEAD", None | Some("_history")) => &[Permission::Search],
        ("GET" | "HEAD", Some(_)) => &[Permission::Read],
        ("POST", None) => &[Permission::Create],
        ("PUT", _) => &[Permission::Update, Permission::Create],
        ("PATCH", _) => &[Permission::Update],
        ("DELETE", _) => &[Permission::Delete],
        _ => return None,
    };
    let is_granted = |wanted: &Permission| {
        scopes.iter().any(|scope| {
            scope.resource_type().is_none_or(|own| own == resource_type)
                && scope.permissions().letters().any(|letter| letter == wanted.letter())
        })
    };
    let first = *wanted.first()?;
    (!wanted.iter().any(is_granted)).then(|| lacking_words(resource_type, first))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_scope_gives_is_told() {
        let scopes = ["system/Task.rs", "system/Patient.cu?active=true", "system/Basic.*"];
        let scopes = scopes.map(|text| SmartScope::parse(text).expect("a scope"));
        let check = |method: &str, path: &str, body: &str, expected: Option<&str>| {
            let why = lacking(&scopes, method, path, body.as_bytes());
            let expected = expected.map(|what| format!("this client has no scope to {what}"));
            assert_eq!(
                why.map(|why| why.split(':').next().unwrap_or_default().to_owned()),
                expected,
                "{method} {path} {body}"
            );
        };
        check("GET", "Task/1", "", None);
        check("GET", "Task?_id=1", "", None);
        check("POST", "Task/_search", "", None);
        check("GET", "Task/1/_history/2", "", None);
        check("POST", "Task", "", Some("create Task"));
        check("PUT", "Task/1", "", Some("update Task"));
        check("PATCH", "Task/1", "", Some("update Task"));
        check("DELETE", "Task?x=1", "", Some("delete Task"));
        check("PUT", "Patient?identifier=1", "", None);
        check("GET", "Patient/1", "", Some("read Patient"));
        check("GET", "Patient", "", Some("search Patient"));
        check("DELETE", "Basic/1", "", None);
        check("POST", "Patient/$validate", "", None);
        check("GET", "metadata", "", None);
        let bundle = |method: &str, url: &str| {
            format!(
                r#"{{"resourceType":"Bundle","entry":[{{"request":{{"method":"GET","url":"Task/1"}}}},
                    {{"request":{{"method":"{method}","url":"{url}"}}}}]}}"#
            )
        };
        check("POST", "", &bundle("POST", "Patient"), None);
        check("POST", "", &bundle("DELETE", "Patient/1"), Some("delete Patient"));
        check("POST", "", &bundle("POST", ""), None);
        check("POST", "", "no JSON", None);
    }
}
