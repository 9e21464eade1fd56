//! References: to a resource here, to one elsewhere, to one inside.

use super::super::entry::{IndexValue, TokenValue};
use super::super::parse::relative_reference;
use super::token;
use crate::definitions::TypeDefinition;
use crate::json::Value;

/// What an address names.
pub(super) enum Target<'a> {
    /// A resource here.
    Local { resource_type: &'a str, id: &'a str },
    /// Something elsewhere, and the type it claims to be.
    Elsewhere { resource_type: Option<&'a str>, url: &'a str, version: Option<&'a str> },
}

/// What a literal reference names; nothing for one inside of the resource (`#…`).
pub(super) fn target<'a>(reference: &'a str, base_url: &str) -> Option<Target<'a>> {
    if reference.is_empty() || reference.starts_with('#') {
        return None;
    }
    let here = if base_url.is_empty() {
        None
    } else {
        reference.strip_prefix(base_url).and_then(|rest| rest.strip_prefix('/'))
    };
    if let Some((resource_type, id)) = relative_reference(here.unwrap_or(reference)) {
        return Some(Target::Local { resource_type, id });
    }
    let (url, version) = match reference.split_once("/_history/") {
        Some((url, version)) => (url, Some(version)),
        None => (reference, None),
    };
    Some(Target::Elsewhere { resource_type: claimed_type(url), url, version })
}

/// The type that an absolute address claims: `…/Patient/17`.
fn claimed_type(url: &str) -> Option<&str> {
    let mut parts = url.rsplit('/');
    let (_, resource_type) = (parts.next()?, parts.next()?);
    let known = resource_type.starts_with(|first: char| first.is_ascii_uppercase())
        && TypeDefinition::named(resource_type).is_some();
    known.then_some(resource_type)
}

/// The type of what a Reference refers to, as far as the resource itself says it.
pub(super) fn referred_type<'a>(root: &'a Value, reference: &'a Value) -> Option<&'a str> {
    let named = reference.text("type");
    let Some(address) = reference.text("reference") else { return named };
    if let Some(inner) = address.strip_prefix('#') {
        if inner.is_empty() {
            return root.resource_type();
        }
        let contained =
            root.items("contained").iter().find(|resource| resource.id() == Some(inner));
        return contained.and_then(Value::resource_type).or(named);
    }
    let path = address.split("/_history/").next().unwrap_or(address);
    relative_reference(path).map(|(name, _)| name).or_else(|| claimed_type(path)).or(named)
}

/// What a Reference is found by.
pub(super) fn of_reference(reference: &Value, base_url: &str) -> Option<IndexValue> {
    let identifier = reference.get("identifier").and_then(token::of_identifier);
    let found = reference.text("reference").and_then(|text| target(text, base_url));
    match found {
        Some(mut found) => {
            if let Target::Elsewhere { resource_type, .. } = &mut found {
                *resource_type = resource_type.or_else(|| reference.text("type"));
            }
            Some(of_target(&found, identifier))
        }
        None if identifier.is_some() => Some(IndexValue::Reference {
            resource_type: reference.text("type").map(str::to_owned),
            id: None,
            url: None,
            version: None,
            identifier,
        }),
        None => None,
    }
}

/// What a canonical or another address is found by.
pub(super) fn of_address(address: &str, base_url: &str) -> Option<IndexValue> {
    let (url, version) = match address.split_once('|') {
        Some((url, version)) => (url, Some(version)),
        None => (address, None),
    };
    let mut found = target(url, base_url)?;
    if let Target::Elsewhere { version: own, .. } = &mut found {
        *own = version.or(*own);
    }
    Some(of_target(&found, None))
}

/// What a resource that stands where a reference could is found by: the first entry of a document.
pub(super) fn of_resource(resource: &Value) -> Option<IndexValue> {
    let target = Target::Local { resource_type: resource.resource_type()?, id: resource.id()? };
    Some(of_target(&target, None))
}

fn of_target(target: &Target<'_>, identifier: Option<TokenValue>) -> IndexValue {
    match target {
        Target::Local { resource_type, id } => IndexValue::Reference {
            resource_type: Some((*resource_type).to_owned()),
            id: Some((*id).to_owned()),
            url: None,
            version: None,
            identifier,
        },
        Target::Elsewhere { resource_type, url, version } => IndexValue::Reference {
            resource_type: resource_type.map(str::to_owned),
            id: None,
            url: Some((*url).to_owned()),
            version: version.map(str::to_owned),
            identifier,
        },
    }
}
