//! What a resource is found by: the values of its search parameters.
//!
//! Guarantees: any JSON is answered; what does not fit its definition gives no value rather than a wrong one. A
//! value is read by the type of its element: the same parameter finds a dateTime and a Period.

mod composite;
mod fallback;
mod path;
mod reference;
mod rules;
mod span;
mod string;
#[cfg(test)]
mod tests;
mod token;

pub(super) use rules::Rules;

use super::entry::{IndexEntry, IndexValue, ParameterId, ParameterKind};
use super::phonetic::sounds;
use super::registry::{Parameter, Registry};
use crate::json::Value;
use path::Found;

/// How many values of one resource are found; what is behind that is not.
pub const ENTRIES_MAX: usize = 10_000;

/// Changes whenever the same resource would give other values, so that a store knows that its index is old.
pub(super) const VERSION: u32 = 3;

/// Everything a resource is found by. `_id`, `_lastUpdated` and full text are not among it: a store knows them
/// from the resource.
///
/// `base_url` is the server's own address: a reference under it is one to a resource here. `now`, in microseconds
/// since 1970 (UTC), is what expressions that ask for the time are told.
pub fn extract(resource: &Value, registry: &Registry, base_url: &str, now: i64) -> Vec<IndexEntry> {
    let surroundings = Surroundings { root: resource, base_url, now };
    let mut entries = Vec::with_capacity(32);
    let Some(resource_type) = resource.resource_type() else { return entries };
    for parameter in registry.parameters(resource_type) {
        if !is_extracted(parameter) {
            continue;
        }
        let from = entries.len();
        match parameter.rules() {
            Rules::Simple(rule) => rule.values(&surroundings, &mut |found| {
                convert(parameter.kind(), found, base_url, &mut |value| match value {
                    IndexValue::String { folded, .. } if parameter.is_phonetic() => {
                        for key in sounds(&folded) {
                            let value = IndexValue::String { exact: key.clone(), folded: key };
                            push(&mut entries, from, parameter.id(), 0, value);
                        }
                    }
                    value => push(&mut entries, from, parameter.id(), 0, value),
                });
            }),
            Rules::Composite(rule) => rule.entries(parameter, &surroundings, &mut entries),
        }
    }
    entries
}

/// Whether a parameter's values are found by its expression.
pub(super) fn is_extracted(parameter: &Parameter) -> bool {
    !parameter.expression().is_empty()
        && parameter.kind() != ParameterKind::Special
        && !matches!(parameter.code(), "_id" | "_lastUpdated")
}

/// What values are found with.
#[derive(Clone, Copy)]
struct Surroundings<'a> {
    root: &'a Value,
    base_url: &'a str,
    now: i64,
}

fn push(
    entries: &mut Vec<IndexEntry>,
    from: usize,
    parameter: ParameterId,
    instance: u32,
    value: IndexValue,
) {
    /// Among more, finding doubles takes longer than keeping them.
    const COMPARED_MAX: usize = 64;
    let own = entries.get(from..).unwrap_or_default();
    let twice = own.len() <= COMPARED_MAX
        && own.iter().any(|entry| entry.instance == instance && entry.value == value);
    if !twice && entries.len() < ENTRIES_MAX {
        entries.push(IndexEntry { parameter, instance, value });
    }
}

/// The values that an element gives a parameter of a kind.
fn convert(kind: ParameterKind, found: Found<'_>, base_url: &str, add: &mut dyn FnMut(IndexValue)) {
    match kind {
        ParameterKind::String => string::of(found, add),
        ParameterKind::Token => token::of(found, &mut |value| add(IndexValue::Token(value))),
        ParameterKind::Date => span::date(found).into_iter().for_each(add),
        ParameterKind::Number => span::number(found).into_iter().for_each(add),
        ParameterKind::Quantity => span::quantity(found).into_iter().for_each(add),
        ParameterKind::Uri => uri(found, add),
        ParameterKind::Reference => match found.value {
            Value::String(address) => reference::of_address(address, base_url),
            Value::Object(object) if object.get("resourceType").is_some() => {
                reference::of_resource(found.value)
            }
            value => reference::of_reference(value, base_url),
        }
        .into_iter()
        .for_each(add),
        ParameterKind::Composite | ParameterKind::Special => {}
    }
}

/// An address; of a canonical with a version also without it.
fn uri(found: Found<'_>, add: &mut dyn FnMut(IndexValue)) {
    let Some(uri) = found.value.as_str().filter(|uri| !uri.is_empty()) else { return };
    if found.type_name == "canonical"
        && let Some((url, _)) = uri.split_once('|')
    {
        add(IndexValue::Uri(url.to_owned()));
    }
    add(IndexValue::Uri(uri.to_owned()));
}
