//! Resources contained in others (R4 §2.3.3).

use std::collections::{HashMap, HashSet};

use super::place::Frame;
use super::structure::{Check, Scope};
use crate::json::{Object, Value};
use crate::outcome::IssueCode;

impl Check {
    /// Checks what the resources contained in one have to keep to among themselves.
    pub(super) fn contained(&mut self, resource: &Object, place: &Frame<'_>) {
        let Some(contained) = resource.get("contained").and_then(Value::as_array) else { return };
        let mut references = HashSet::new();
        for (_, value) in resource.iter() {
            local_references(value, &mut references);
        }
        let mut ids = HashMap::new();
        let list = place.member("contained", "contained");
        for (at, value) in contained.iter().enumerate() {
            let own = list.item(at);
            let mut referred = false;
            if let Some(id) = value.id() {
                referred = references.contains(id);
                if ids.insert(id, at).is_some() {
                    let text = "another contained resource has the same id";
                    self.report(&own.member("id", "id"), IssueCode::Duplicate, text);
                }
            }
            let mut its_own = HashSet::new();
            local_references(value, &mut its_own);
            if !referred && !its_own.contains("") {
                let text =
                    "nothing refers to this contained resource, nor does it refer to its container";
                self.break_rule(&own, "dom-3", text);
            }
            let meta = value.get("meta").and_then(Value::as_object);
            let metas = own.member("meta", "meta");
            for (name, rule) in
                [("versionId", "dom-4"), ("lastUpdated", "dom-4"), ("security", "dom-5")]
            {
                if meta.is_some_and(|meta| meta.get(name).is_some()) {
                    let text = format!("a contained resource has no `meta.{name}`");
                    self.break_rule(&metas.member(name, name), rule, text);
                }
            }
        }
    }

    /// Checks a reference `#id`, and gives the type of the resource that it leads to.
    pub(super) fn contained_reference<'v>(
        &mut self,
        text: &str,
        place: &Frame<'_>,
        scope: Scope<'v>,
    ) -> Option<&'v str> {
        let id = text.strip_prefix('#')?;
        if id.is_empty() {
            return scope.container.resource_type();
        }
        match scope.contained.get(id) {
            Some(own) => own.resource_type(),
            None => {
                self.break_rule(place, "ref-1", "no contained resource has this id");
                None
            }
        }
    }
}

/// Collects what is referred to by `#id`, anywhere in a value.
fn local_references<'v>(value: &'v Value, found: &mut HashSet<&'v str>) {
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        match value {
            Value::String(text) => found.extend(text.strip_prefix('#')),
            Value::Array(items) => open.extend(items),
            Value::Object(object) => open.extend(object.iter().map(|(_, value)| value)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}
