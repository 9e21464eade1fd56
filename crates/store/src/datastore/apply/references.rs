//! References inside a transaction: to entries by their `fullUrl`, and by a condition.
//!
//! FHIR R4 §3.1.0.11.2: what names an entry is replaced in references, in elements of type uri, url, oid and
//! uuid, in the links of Markdown, and in `<a href="…">` and `<img src="…">` of narratives, never in canonicals.
//! What an element is, its definition says.

use std::collections::{HashMap, HashSet};

use pipehat_resource::definitions::TypeDefinition;
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

/// Whether a resource may name what only the transaction knows; rather once too often than not at all.
pub(super) fn may_change(value: &Value, undecided: &HashSet<String>) -> bool {
    match value {
        Value::String(text) => {
            let whole = text.split('#').next().unwrap_or(text);
            undecided.contains(whole)
                || (may_have_links(text) && undecided.iter().any(|name| text.contains(name)))
        }
        Value::Array(items) => items.iter().any(|item| may_change(item, undecided)),
        Value::Object(object) => object.iter().any(|(name, value)| {
            (name == "reference" && value.as_str().is_some_and(|text| condition(text).is_some()))
                || may_change(value, undecided)
        }),
        _ => false,
    }
}

/// Whether a text may be a narrative, or Markdown with links.
fn may_have_links(text: &str) -> bool {
    text.starts_with('<') || text.contains("](") || text.contains("<urn:") || text.contains("<http")
}

/// The condition in a conditional reference (`Patient?identifier=…`); one without criteria is one, too, and is refused.
pub(super) fn condition(reference: &str) -> Option<&str> {
    let (resource_type, _) = reference.split_once('?')?;
    let is_type = resource_type.starts_with(|first: char| first.is_ascii_uppercase())
        && resource_type.bytes().all(|byte| byte.is_ascii_alphabetic());
    is_type.then_some(reference)
}

/// All conditions in references of a resource, each once.
pub(super) fn conditions(resource: &Value, found: &mut Vec<String>) {
    let mut copy = resource.clone();
    walk_resource(&mut copy, &mut |kind, text| {
        if kind == Kind::Reference
            && let Some(condition) = condition(text)
            && !found.iter().any(|known| known == condition)
        {
            found.push(condition.to_owned());
        }
    });
}

/// Replaces in a resource what `names` has another name for.
pub(super) fn rewrite(resource: &mut Value, names: &HashMap<String, String>) {
    if names.is_empty() {
        return;
    }
    walk_resource(resource, &mut |kind, text| match kind {
        Kind::Reference | Kind::Address => {
            if let Some(known) = new_name(text, names) {
                *text = known;
            }
        }
        Kind::Narrative => rewrite_links(text, &ATTRIBUTES, names),
        Kind::Markdown => rewrite_links(text, &LINKS, names),
    });
}

/// What a text is that may name a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// `Reference.reference`.
    Reference,
    /// An element of type uri, url, oid or uuid.
    Address,
    /// XHTML.
    Narrative,
    /// Markdown.
    Markdown,
}

/// Tells every text of a resource that may name another, by the definitions of its elements.
fn walk_resource(resource: &mut Value, tell: &mut impl FnMut(Kind, &mut String)) {
    let definition = resource.resource_type().and_then(TypeDefinition::named);
    if let (Some(definition), Some(object)) = (definition, resource.as_object_mut()) {
        walk(object, definition, tell);
    }
}

fn walk(
    object: &mut Object,
    definition: &'static TypeDefinition,
    tell: &mut impl FnMut(Kind, &mut String),
) {
    let is_reference = definition.name() == "Reference";
    for (name, value) in object.iter_mut() {
        if is_reference && name == "reference" {
            if let Value::String(text) = value {
                tell(Kind::Reference, text);
            }
            continue;
        }
        // The sibling of a primitive has an id and extensions, as every element.
        let own = match name.strip_prefix('_') {
            Some(_) => TypeDefinition::named("Element"),
            None => definition.member(name).map(|member| member.element_type.definition()),
        };
        let Some(own) = own else { continue };
        // These name definitions and systems, never a resource that a transaction makes.
        if matches!(name, "system" | "implicitRules")
            || (name == "url" && definition.name() == "Extension")
        {
            continue;
        }
        let kind = match own.name() {
            "uri" | "url" | "oid" | "uuid" => Some(Kind::Address),
            "xhtml" => Some(Kind::Narrative),
            "markdown" => Some(Kind::Markdown),
            _ => None,
        };
        walk_value(value, own, kind, tell);
    }
}

fn walk_value(
    value: &mut Value,
    definition: &'static TypeDefinition,
    kind: Option<Kind>,
    tell: &mut impl FnMut(Kind, &mut String),
) {
    match value {
        Value::Array(items) => {
            items.iter_mut().for_each(|item| walk_value(item, definition, kind, tell));
        }
        Value::String(text) => {
            if let Some(kind) = kind {
                tell(kind, text);
            }
        }
        // What is contained, and the entries of a Bundle, say themselves what they are.
        Value::Object(_) if definition.name() == "Resource" => walk_resource(value, tell),
        Value::Object(object) => walk(object, definition, tell),
        _ => {}
    }
}

/// The new name; a fragment or a version behind the old one stays away.
fn new_name(text: &str, names: &HashMap<String, String>) -> Option<String> {
    if let Some(name) = names.get(text) {
        return Some(name.clone());
    }
    let (before, fragment) = text.split_once('#')?;
    names.get(before).map(|name| format!("{name}#{fragment}"))
}

/// What stands before an address in a narrative, and behind it.
const ATTRIBUTES: [(&str, &[char]); 4] =
    [("href=\"", &['"']), ("src=\"", &['"']), ("href='", &['\'']), ("src='", &['\''])];

/// What stands before an address in Markdown, and behind it.
const LINKS: [(&str, &[char]); 2] = [("](", &[')', ' ', '\n']), ("<", &['>'])];

fn rewrite_links(text: &mut String, links: &[(&str, &[char])], names: &HashMap<String, String>) {
    for (before, ends) in links {
        let mut at = 0;
        while let Some(found) = text.get(at..).and_then(|rest| rest.find(before)) {
            let start = at.saturating_add(found).saturating_add(before.len());
            let Some(length) = text.get(start..).and_then(|rest| rest.find(*ends)) else { break };
            let end = start.saturating_add(length);
            let known = text.get(start..end).and_then(|address| new_name(address, names));
            at = match known {
                Some(name) => {
                    text.replace_range(start..end, &name);
                    start.saturating_add(name.len())
                }
                // An address has no such mark in it: the next one may stand before the end.
                None => start,
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
            r#"{"resourceType":"Observation","subject":{"reference":"urn:uuid:1"},"focus":[{"reference":"urn:uuid:1#x"}]}"#,
            r#"{"resourceType":"Observation","subject":{"reference":"Patient/a"},"focus":[{"reference":"Patient/a#x"}]}"#,
        );
        check(
            r#"{"resourceType":"Patient","extension":[{"url":"http://x","valueReference":{"reference":"Patient?identifier=x|1"}}]}"#,
            r#"{"resourceType":"Patient","extension":[{"url":"http://x","valueReference":{"reference":"Patient/b"}}]}"#,
        );
        check(
            r#"{"resourceType":"Patient","text":{"div":"<a href=\"urn:uuid:1\">urn:uuid:1</a><img src='urn:uuid:1'/>"}}"#,
            r#"{"resourceType":"Patient","text":{"div":"<a href=\"Patient/a\">urn:uuid:1</a><img src='Patient/a'/>"}}"#,
        );
        check(
            r#"{"resourceType":"DocumentReference","content":[{"attachment":{"url":"urn:uuid:1","title":"urn:uuid:1"}}]}"#,
            r#"{"resourceType":"DocumentReference","content":[{"attachment":{"url":"Patient/a","title":"urn:uuid:1"}}]}"#,
        );
        check(
            r#"{"resourceType":"Observation","note":[{"text":"[a](urn:uuid:1), <urn:uuid:1> and [b](urn:uuid:1 \"t\"), not urn:uuid:1"}]}"#,
            r#"{"resourceType":"Observation","note":[{"text":"[a](Patient/a), <Patient/a> and [b](Patient/a \"t\"), not urn:uuid:1"}]}"#,
        );
        check(
            r#"{"resourceType":"Patient","_birthDate":{"extension":[{"url":"urn:uuid:1","valueReference":{"reference":"urn:uuid:1"}}]},"contained":[{"resourceType":"Provenance","target":[{"reference":"urn:uuid:1"}],"policy":["urn:uuid:1"]}]}"#,
            r#"{"resourceType":"Patient","_birthDate":{"extension":[{"url":"urn:uuid:1","valueReference":{"reference":"Patient/a"}}]},"contained":[{"resourceType":"Provenance","target":[{"reference":"Patient/a"}],"policy":["Patient/a"]}]}"#,
        );
    }

    #[test]
    fn values_and_canonicals_stay() {
        let same = r#"{"resourceType":"CarePlan","identifier":[{"system":"urn:uuid:1","value":"urn:uuid:1"}],"instantiatesCanonical":["urn:uuid:1"],"extension":[{"url":"urn:uuid:1","valueCanonical":"urn:uuid:1"},{"url":"x","valueString":"urn:uuid:1"}],"subject":{"reference":"urn:uuid:2"},"title":"urn:uuid:1"}"#;
        check(same, same);
    }

    #[test]
    fn conditions_are_found_once() {
        let value = parse(
            br#"{"resourceType":"Observation","subject":{"reference":"Patient?x=1"},"focus":[{"reference":"Patient?x=1"},{"reference":"http://x/Patient?x=1"}],"valueString":"Patient?x=2"}"#,
        )
        .unwrap();
        let mut found = Vec::new();
        conditions(&value, &mut found);
        assert_eq!(found, ["Patient?x=1"]);
    }
}
