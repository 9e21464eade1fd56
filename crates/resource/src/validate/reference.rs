//! What a reference leads to, as far as its text tells (R4 §2.3.0.1).

use super::place::{Frame, shown};
use super::primitive::is_id;
use super::structure::{Check, Scope, one_of};
use crate::definitions::{TypeDefinition, TypeKind};
use crate::json::{Object, Value};
use crate::outcome::IssueCode;

impl Check {
    /// Checks a Reference's target against the types it may be of, none for any.
    pub(super) fn reference(
        &mut self,
        object: &Object,
        targets: &[&'static str],
        place: &Frame<'_>,
        scope: Scope<'_>,
    ) {
        let mut leads_to = None;
        if let Some(text) = object.get("reference").and_then(Value::as_str)
            && text.starts_with('#')
        {
            let own = place.member("reference", "reference");
            if let Some(target) = self.contained_reference(text, &own, scope) {
                self.target(target, targets, &own);
                leads_to = Some(target);
            }
        } else if let Some(text) =
            object.get("reference").and_then(Value::as_str).filter(|text| !text.is_empty())
        {
            let own = place.member("reference", "reference");
            match target(text) {
                Ok(Some(target)) => {
                    self.target(target.name(), targets, &own);
                    leads_to = Some(target.name());
                }
                Ok(None) => {}
                Err(problem) => self.report(&own, IssueCode::Value, problem),
            }
        }
        if let Some(name) = object.get("type").and_then(Value::as_str)
            && TypeDefinition::named(name).is_some_and(|own| own.kind() == TypeKind::Resource)
        {
            let own = place.member("type", "type");
            self.target(name, targets, &own);
            // R4 §2.3.0, Reference.type: both SHALL be consistent.
            if let Some(target) = leads_to.filter(|target| *target != name) {
                let text = format!(
                    "the reference leads to {}, and its type says {}",
                    shown(target),
                    shown(name)
                );
                self.report(&own, IssueCode::Invariant, text);
            }
        }
    }

    fn target(&mut self, name: &str, targets: &[&'static str], place: &Frame<'_>) {
        if !targets.is_empty() && !targets.contains(&name) {
            let text = format!(
                "a reference to {} does not fit: expected {}",
                shown(name),
                one_of(targets)
            );
            self.report(place, IssueCode::Structure, text);
        }
    }
}

/// The type of the resource that a reference leads to; `None` where it does not say.
pub(super) fn target(text: &str) -> Result<Option<&'static TypeDefinition>, &'static str> {
    if let Some((scheme, rest)) = text.split_once(':')
        && !scheme.contains(['/', '?', '#'])
    {
        if scheme == "http" || scheme == "https" {
            let rest = rest.split(['?', '#']).next().unwrap_or_default();
            return Ok(instance(rest.split('/')));
        }
        return Ok(None);
    }
    if let Some((name, _)) = text.split_once('?') {
        // A conditional reference, as transactions have them (R4 §3.1.0.11.2).
        return resource_type(name).map(Some).ok_or("expected a resource type before `?`");
    }
    let path = text.split('#').next().unwrap_or_default();
    let mut parts = path.split('/');
    let known = parts.next().and_then(resource_type);
    let Some(known) = known else {
        return Err(
            "expected a resource type and an id as in Patient/123, an absolute URL, urn:uuid:… or #id",
        );
    };
    let is_whole = match parts.collect::<Vec<_>>().as_slice() {
        [id] => is_id(id.as_bytes()),
        [id, "_history", version] => is_id(id.as_bytes()) && is_id(version.as_bytes()),
        _ => false,
    };
    if is_whole {
        Ok(Some(known))
    } else {
        Err("expected an id behind the resource type as in Patient/123")
    }
}

/// The type in a URL that ends in `/Type/id` or `/Type/id/_history/version`.
fn instance<'a>(
    parts: impl DoubleEndedIterator<Item = &'a str>,
) -> Option<&'static TypeDefinition> {
    let mut parts = parts.rev();
    let id = parts.next()?;
    let before = parts.next()?;
    let (id, name) =
        if before == "_history" { (parts.next()?, parts.next()?) } else { (id, before) };
    resource_type(name).filter(|_| is_id(id.as_bytes()))
}

fn resource_type(name: &str) -> Option<&'static TypeDefinition> {
    TypeDefinition::named(name).filter(|own| own.kind() == TypeKind::Resource && !own.is_abstract())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_read() {
        let check = |text: &str, expected: Result<Option<&str>, ()>| {
            let found = target(text).map(|own| own.map(TypeDefinition::name)).map_err(|_| ());
            assert_eq!(found, expected, "{text}");
        };
        check("Patient/1", Ok(Some("Patient")));
        check("Patient/1/_history/2", Ok(Some("Patient")));
        check("Patient/1#part", Ok(Some("Patient")));
        check("Patient?identifier=a|b", Ok(Some("Patient")));
        check("http://a.example/fhir/Patient/1", Ok(Some("Patient")));
        check("https://a.example/fhir/Patient/1/_history/2", Ok(Some("Patient")));
        check("https://a.example/StructureDefinition/x", Ok(Some("StructureDefinition")));
        check("https://a.example/people/1", Ok(None));
        check("urn:uuid:c757873d-ec9a-4326-a141-556f43239520", Ok(None));
        check("Patients/1", Err(()));
        check("Patient", Err(()));
        check("Patient/", Err(()));
        check("Patient/a b", Err(()));
        check("Patient/1/2", Err(()));
        check("DomainResource/1", Err(()));
        check("/Patient/1", Err(()));
        check("Patience?x=1", Err(()));
    }
}
