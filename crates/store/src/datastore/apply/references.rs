//! References inside a transaction: to entries by their `fullUrl`, and by a condition.
//!
//! FHIR R4 §3.1.0.11.2: what names an entry is replaced in references, in elements of type uri, url, oid and
//! uuid, and in `<a href="…">` and `<img src="…">` of narratives, never in canonicals.

use std::collections::{HashMap, HashSet};

use pipehat_resource::json::{Object, Value};

use crate::datastore::interaction::Interaction;
use crate::datastore::stamp::key_of;

/// By what names the entries of a group may be called.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// What they are called here, where that does not depend on a condition.
    pub(super) known: HashMap<String, String>,
    /// The names of the others.
    pub(super) undecided: HashSet<String>,
}

impl Names {
    pub(super) fn of(interactions: &[Interaction]) -> Self {
        let mut names = Self::default();
        for interaction in interactions {
            match interaction {
                Interaction::Create { resource, if_none_exist: None, full_url: Some(full_url) }
                | Interaction::Update { resource, full_url: Some(full_url), .. } => {
                    let Some(key) = key_of(resource) else { continue };
                    for name in names_of(full_url) {
                        names.known.insert(name, format!("{}/{}", key.resource_type, key.id));
                    }
                }
                Interaction::Create { full_url: Some(full_url), .. }
                | Interaction::ConditionalUpdate { full_url: Some(full_url), .. } => {
                    names.undecided.extend(names_of(full_url));
                }
                _ => {}
            }
        }
        names
    }
}

/// Whether a resource may name what only the transaction knows.
pub(super) fn may_change(value: &Value, undecided: &HashSet<String>) -> bool {
    match value {
        Value::String(text) => {
            let whole = text.split('#').next().unwrap_or(text);
            undecided.contains(whole)
                || (text.starts_with('<') && undecided.iter().any(|name| text.contains(name)))
        }
        Value::Array(items) => items.iter().any(|item| may_change(item, undecided)),
        Value::Object(object) => object.iter().any(|(name, value)| {
            (name == "reference" && value.as_str().is_some_and(|text| condition(text).is_some()))
                || may_change(value, undecided)
        }),
        _ => false,
    }
}

/// The condition in a conditional reference (`Patient?identifier=…`).
pub(super) fn condition(reference: &str) -> Option<&str> {
    let (resource_type, query) = reference.split_once('?')?;
    let is_type = resource_type.starts_with(|first: char| first.is_ascii_uppercase())
        && resource_type.bytes().all(|byte| byte.is_ascii_alphabetic());
    (is_type && !query.is_empty()).then_some(reference)
}

/// All conditions in references of a resource, each once.
pub(super) fn conditions(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| conditions(item, found)),
        Value::Object(object) => {
            for (name, value) in object.iter() {
                match value.as_str() {
                    Some(text) if name == "reference" => {
                        if let Some(condition) = condition(text)
                            && !found.iter().any(|known| known == condition)
                        {
                            found.push(condition.to_owned());
                        }
                    }
                    Some(_) => {}
                    None => conditions(value, found),
                }
            }
        }
        _ => {}
    }
}

/// Replaces in a resource what `names` has another name for.
pub(super) fn rewrite(resource: &mut Value, names: &HashMap<String, String>) {
    if names.is_empty() {
        return;
    }
    if let Some(object) = resource.as_object_mut() {
        rewrite_object(object, names);
    }
}

fn rewrite_object(object: &mut Object, names: &HashMap<String, String>) {
    for (name, value) in object.iter_mut() {
        let name = name.to_owned();
        rewrite_member(&name, value, names);
    }
}

fn rewrite_member(name: &str, value: &mut Value, names: &HashMap<String, String>) {
    match value {
        Value::Array(items) => {
            items.iter_mut().for_each(|item| rewrite_member(name, item, names));
        }
        Value::Object(object) => rewrite_object(object, names),
        Value::String(text) if name == "div" => rewrite_narrative(text, names),
        Value::String(text) if is_address(name) => {
            if let Some(known) = new_name(text, names) {
                *text = known;
            }
        }
        _ => {}
    }
}

/// Members of type uri, url, oid or uuid that can name a resource, and `Reference.reference`. Those that name
/// definitions and systems do not.
fn is_address(name: &str) -> bool {
    matches!(
        name,
        "reference"
            | "url"
            | "uri"
            | "valueUri"
            | "valueUrl"
            | "valueOid"
            | "valueUuid"
            | "fullUrl"
            | "source"
            | "instantiatesUri"
            | "patientInstruction"
            | "sourceUri"
            | "targetUri"
            | "endpoint"
            | "address"
            | "requestUri"
            | "contentUri"
    )
}

/// The new name; a fragment or a version behind the old one stays away.
fn new_name(text: &str, names: &HashMap<String, String>) -> Option<String> {
    if let Some(name) = names.get(text) {
        return Some(name.clone());
    }
    let (before, fragment) = text.split_once('#')?;
    names.get(before).map(|name| format!("{name}#{fragment}"))
}

fn rewrite_narrative(div: &mut String, names: &HashMap<String, String>) {
    for attribute in ["href=\"", "src=\"", "href='", "src='"] {
        let mut at = 0;
        while let Some(found) = div.get(at..).and_then(|rest| rest.find(attribute)) {
            let start = at.saturating_add(found).saturating_add(attribute.len());
            let quote = if attribute.ends_with('"') { '"' } else { '\'' };
            let Some(length) = div.get(start..).and_then(|rest| rest.find(quote)) else { break };
            let end = start.saturating_add(length);
            let known = div.get(start..end).and_then(|address| new_name(address, names));
            at = match known {
                Some(name) => {
                    div.replace_range(start..end, &name);
                    start.saturating_add(name.len())
                }
                None => end,
            };
        }
    }
}

/// By what names others may speak of an entry: its `fullUrl`; of an absolute address also the relative end.
pub(super) fn names_of(full_url: &str) -> Vec<String> {
    let mut names = vec![full_url.to_owned()];
    if full_url.starts_with("http://") || full_url.starts_with("https://") {
        let mut parts = full_url.rsplitn(3, '/');
        if let (Some(id), Some(resource_type)) = (parts.next(), parts.next())
            && resource_type.starts_with(|first: char| first.is_ascii_uppercase())
        {
            names.push(format!("{resource_type}/{id}"));
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use pipehat_resource::json::parse;

    use super::*;

    fn check(before: &str, after: &str) {
        let names: HashMap<String, String> = [
            ("urn:uuid:1".to_owned(), "Patient/a".to_owned()),
            ("Patient?identifier=x|1".to_owned(), "Patient/b".to_owned()),
        ]
        .into();
        let mut value = parse(before.as_bytes()).unwrap();
        rewrite(&mut value, &names);
        assert_eq!(value.to_json(), after);
    }

    #[test]
    fn references_addresses_and_links_are_rewritten() {
        check(
            r#"{"subject":{"reference":"urn:uuid:1"},"focus":[{"reference":"urn:uuid:1#x"}]}"#,
            r#"{"subject":{"reference":"Patient/a"},"focus":[{"reference":"Patient/a#x"}]}"#,
        );
        check(
            r#"{"extension":[{"url":"http://x","valueReference":{"reference":"Patient?identifier=x|1"}}]}"#,
            r#"{"extension":[{"url":"http://x","valueReference":{"reference":"Patient/b"}}]}"#,
        );
        check(
            r#"{"text":{"div":"<a href=\"urn:uuid:1\">urn:uuid:1</a><img src='urn:uuid:1'/>"}}"#,
            r#"{"text":{"div":"<a href=\"Patient/a\">urn:uuid:1</a><img src='Patient/a'/>"}}"#,
        );
        check(
            r#"{"content":[{"attachment":{"url":"urn:uuid:1","title":"urn:uuid:1"}}]}"#,
            r#"{"content":[{"attachment":{"url":"Patient/a","title":"urn:uuid:1"}}]}"#,
        );
    }

    #[test]
    fn values_and_canonicals_stay() {
        let same = r#"{"identifier":[{"system":"urn:uuid:1","value":"urn:uuid:1"}],"instantiatesCanonical":["urn:uuid:1"],"valueCanonical":"urn:uuid:1","other":{"reference":"urn:uuid:2"}}"#;
        check(same, same);
    }

    #[test]
    fn conditions_are_found_once() {
        let value = parse(
            br#"{"a":{"reference":"Patient?x=1"},"b":[{"reference":"Patient?x=1"},{"reference":"http://x/Patient?x=1"}]}"#,
        )
        .unwrap();
        let mut found = Vec::new();
        conditions(&value, &mut found);
        assert_eq!(found, ["Patient?x=1"]);
    }
}
