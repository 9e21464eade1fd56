//! What resources say and a message doesn't.

use std::collections::HashSet;

use pipehat_resource::json::Value;

use super::displays::is_of_code;
use super::resources::Resources;

/// The elements that a message was made from, by where they stand in memory: all that is read is borrowed, and stays
/// where it is while a message is written.
#[derive(Debug, Default)]
pub(super) struct Coverage {
    read: HashSet<usize>,
    /// Resources that segments were made from.
    bound: HashSet<usize>,
}

/// Members that say how a resource is kept or shown, or whose meaning goes with another that is read.
const NOT_TOLD: &[&str] = &["resourceType", "id", "userSelected"];
/// The same of a resource itself: elsewhere a language is what somebody speaks.
const NOT_TOLD_OF_RESOURCES: &[&str] = &["meta", "text", "language", "contained"];

/// Where a value stands in memory.
pub(super) fn address(value: &Value) -> usize {
    std::ptr::from_ref(value).addr()
}

impl Coverage {
    /// A value was written, or decided what was.
    pub(super) fn read(&mut self, value: &Value) {
        self.read.insert(address(value));
    }

    /// A value and all in it.
    pub(super) fn read_all(&mut self, value: &Value) {
        self.read(value);
        match value {
            Value::Object(object) => object.iter().for_each(|(_, inner)| self.read_all(inner)),
            Value::Array(items) => items.iter().for_each(|inner| self.read_all(inner)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    /// All in a value, but for words that its codes don't say: a text beside a code that a place tells.
    pub(super) fn read_words(&mut self, value: &Value) {
        match value {
            Value::Object(object) => {
                for (name, inner) in object.iter() {
                    let is_beside = name == "text" && object.get("coding").is_some();
                    if !is_beside || is_said_by_codings(value, inner) {
                        self.read_words(inner);
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|inner| self.read_words(inner)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => self.read(value),
        }
    }

    /// A segment was made from a resource, or from what is in it.
    pub(super) fn bind(&mut self, value: &Value) {
        self.bound.insert(address(value));
    }

    pub(super) fn is_bound(&self, value: &Value) -> bool {
        self.is_bound_at(address(value))
    }

    /// The same of what stands at a place in memory.
    pub(super) fn is_bound_at(&self, address: usize) -> bool {
        self.bound.contains(&address)
    }

    /// Whether anything of a resource stands in the message.
    pub(super) fn is_used(&self, resource: &Value) -> bool {
        self.is_bound(resource) || self.is_read_in(resource)
    }

    /// Whether a message tells of what is referred to: of a role, by who has it.
    pub(super) fn is_told(&self, target: &Value, resources: &Resources<'_>) -> bool {
        let of_role = ["practitioner", "organization"].into_iter().filter_map(|name| {
            let is_role = target.resource_type() == Some("PractitionerRole");
            let reference = target.get(name).filter(|_| is_role)?.text("reference")?;
            resources.find(reference)
        });
        let mut told = of_role.chain([target]);
        told.any(|target| self.is_bound(target) || self.is_read_in(target))
    }

    /// Whether anything in a value was read.
    fn is_read_in(&self, value: &Value) -> bool {
        self.read.contains(&address(value))
            || match value {
                Value::Object(object) => object.iter().any(|(_, inner)| self.is_read_in(inner)),
                Value::Array(items) => items.iter().any(|inner| self.is_read_in(inner)),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
            }
    }

    /// Tells every value of bound resources that was not read, by its path.
    pub(super) fn unread(&self, resources: &Resources<'_>, tell: &mut dyn FnMut(&str)) {
        for (place, resource) in resources.placed() {
            // Of an observation with components, it may be that only these have become segments.
            let mut components = resource.items("component").iter();
            if self.is_bound(resource) || components.any(|component| self.is_bound(component)) {
                let mut path = place.to_owned();
                self.walk(resource, resources, &mut path, true, tell);
            }
        }
    }

    fn walk(
        &self,
        value: &Value,
        resources: &Resources<'_>,
        path: &mut String,
        is_resource: bool,
        tell: &mut dyn FnMut(&str),
    ) {
        if self.read.contains(&address(value)) {
            return;
        }
        match value {
            Value::Object(object) => {
                // A reference to what the message is made from as well is told by that.
                let target =
                    value.text("reference").and_then(|reference| resources.find(reference));
                if target.is_some_and(|target| self.is_told(target, resources)) {
                    return;
                }
                let length = path.len();
                for (name, inner) in object.iter() {
                    let is_own = NOT_TOLD.contains(&name)
                        || (is_resource && NOT_TOLD_OF_RESOURCES.contains(&name))
                        // What an extension is goes with what it says.
                        || (name == "url" && path.ends_with(']') && is_extension(path))
                        // The kind of a reference's target goes with the reference.
                        || (name == "type" && value.get("reference").is_some());
                    // How confidential a resource is says something of it; the rest of `meta` doesn't.
                    let security = inner.get("security").filter(|_| is_resource && name == "meta");
                    if let Some(security) = security {
                        path.push_str(".meta.security");
                        self.walk(security, resources, path, false, tell);
                        path.truncate(length);
                    } else if !is_own {
                        path.push('.');
                        path.push_str(name);
                        self.walk(inner, resources, path, false, tell);
                        path.truncate(length);
                    }
                }
            }
            Value::Array(items) => {
                let length = path.len();
                for (index, inner) in items.iter().enumerate() {
                    path.push_str(&format!("[{index}]"));
                    self.walk(inner, resources, path, false, tell);
                    path.truncate(length);
                }
            }
            Value::Null => {}
            Value::Bool(_) | Value::Number(_) | Value::String(_) => tell(path),
        }
    }
}

/// Whether a text is the code or the display of a coding beside it.
fn is_said_by_codings(concept: &Value, text: &Value) -> bool {
    let Some(text) = text.as_str() else { return false };
    let mut codings = concept.items("coding").iter();
    codings.any(|coding| {
        is_of_code(coding, text)
            || coding.text("display").is_some_and(|own| own.eq_ignore_ascii_case(text))
    })
}

/// Whether a path is that of an extension: `Patient/p1.extension[0]`.
fn is_extension(path: &str) -> bool {
    path.rsplit_once('[').is_some_and(|(path, _)| {
        path.ends_with(".extension") || path.ends_with(".modifierExtension")
    })
}
