//! The resources a message is made from, and how they refer to each other.

use std::borrow::Cow;
use std::collections::HashMap;

use pipehat_resource::fhirpath::Resolver;
use pipehat_resource::json::Value;

use super::modifiers::{LeftOut, Step};

/// Resources that one message is made from, at most: a Bundle's entries beyond are not looked at.
pub const RESOURCES_MAX: usize = 5_000;
/// References that are followed from a root, one after another: Appointment to PractitionerRole to Organization to the
/// Organization it is part of.
const REFERENCES_DEEP_MAX: usize = 4;
/// Places behind these, each within the next: a bed, its room, point of care, floor, building and facility (PL).
const PLACES_DEEP_MAX: usize = 6;

/// The resources a message is made from: what it is about, and what that refers to.
#[derive(Debug, Default)]
pub struct Resources<'a> {
    all: Vec<Cow<'a, Value>>,
    places: Vec<String>,
    /// Which entry of the Bundle each is.
    entries: Vec<Option<u32>>,
    by_reference: HashMap<String, usize>,
    roots: Vec<usize>,
    /// What the one that the message is about was before.
    earlier: Option<Cow<'a, Value>>,
}

impl<'a> Resources<'a> {
    /// Those of a Bundle. What the message is about is found by the event; see [`with_root`](Self::with_root).
    pub fn of_bundle(bundle: &'a Value) -> Self {
        let mut resources = Self::default();
        for (number, entry) in (0..).zip(bundle.items("entry")) {
            if let Some(resource) = entry.get("resource") {
                let place = format!("Bundle.entry[{number}].resource");
                let url = entry.text("fullUrl");
                resources.add(Cow::Borrowed(resource), url, Some((place, number)));
            }
        }
        resources
    }

    /// Adds a resource that the message is about.
    #[must_use]
    pub fn with_root(mut self, root: &'a Value) -> Self {
        let known = self.all.iter().position(|own| std::ptr::eq(own.as_ref(), root));
        let index = known.or_else(|| self.add(Cow::Borrowed(root), None, None));
        self.roots.extend(index);
        self
    }

    /// Adds a resource that others refer to, or that refers to them.
    #[must_use]
    pub fn with(mut self, resource: &'a Value) -> Self {
        self.add(Cow::Borrowed(resource), None, None);
        self
    }

    /// Says what the resource that the message is about was before: what was taken out of an appointment is told as such. It
    /// is no resource of the message.
    #[must_use]
    pub fn with_earlier(mut self, earlier: Value) -> Self {
        self.earlier = Some(Cow::Owned(earlier));
        self
    }

    pub(super) fn earlier(&self) -> Option<&Value> {
        self.earlier.as_deref()
    }

    /// Adds what the roots refer to, and what that refers to, as far as `resolve` knows it.
    #[must_use]
    pub fn resolved_by(mut self, mut resolve: impl FnMut(&str) -> Option<Value>) -> Self {
        let mut next = 0;
        let mut before = Vec::new();
        self.earlier().into_iter().for_each(|earlier| references(earlier, &mut before));
        // Who was a patient of it tells nothing of what it is now.
        before.retain(|reference| !reference.starts_with("Patient/"));
        for round in 0..REFERENCES_DEEP_MAX + PLACES_DEEP_MAX {
            let mut wanted = std::mem::take(&mut before);
            for resource in self.all.iter().skip(next) {
                if round < REFERENCES_DEEP_MAX {
                    references(resource, &mut wanted);
                } else if resource.resource_type() == Some("Location")
                    && let Some(around) = resource.get("partOf")
                {
                    references(around, &mut wanted);
                }
            }
            next = self.all.len();
            for reference in wanted {
                if self.find(&reference).is_some() {
                    continue;
                }
                if let Some(resource) = resolve(&reference) {
                    self.add(Cow::Owned(resource), Some(&reference), None);
                }
            }
        }
        self.follow_merged();
        self
    }

    /// Who was merged into another is told as that one: the record that was retired must not be used any more (R4,
    /// `Patient.link.type` `replaced-by`). A message about the record itself is about that.
    fn follow_merged(&mut self) {
        let is_patient = |index: &usize| self.of(*index, "Patient").is_some();
        if self.roots.iter().any(is_patient) {
            return;
        }
        for index in 0..self.all.len() {
            let Some(remains) = self.replaced_by(index).filter(|remains| *remains != index) else {
                continue;
            };
            self.by_reference
                .values_mut()
                .filter(|own| **own == index)
                .for_each(|own| *own = remains);
            if let Some(retired) = self.all.get_mut(index) {
                *retired = Cow::Owned(Value::Null);
            }
        }
    }

    fn of(&self, index: usize, name: &str) -> Option<&Value> {
        self.all.get(index).map(Cow::as_ref).filter(|own| own.resource_type() == Some(name))
    }

    /// The last of those who stand for a patient, one for the other.
    fn replaced_by(&self, patient: usize) -> Option<usize> {
        let mut last = None;
        let mut at = patient;
        for _ in 0..self.all.len() {
            let links = self.of(at, "Patient").map_or(&[][..], |own| own.items("link"));
            let link = links.iter().find(|link| link.text("type") == Some("replaced-by"));
            let other = link.and_then(|link| link.get("other")?.text("reference"));
            let next = other.and_then(|other| self.by_reference.get(other).copied());
            let Some(next) = next.filter(|next| self.of(*next, "Patient").is_some()) else { break };
            (last, at) = (Some(next), next);
        }
        last
    }

    fn add(
        &mut self,
        resource: Cow<'a, Value>,
        url: Option<&str>,
        place: Option<(String, u32)>,
    ) -> Option<usize> {
        if self.all.len() >= RESOURCES_MAX {
            return None;
        }
        let index = self.all.len();
        let name =
            resource.resource_type().zip(resource.id()).map(|(name, id)| format!("{name}/{id}"));
        let (place, entry) = place.unzip();
        self.entries.push(entry);
        let place = place.or_else(|| name.clone());
        self.places.push(
            place.or_else(|| resource.resource_type().map(str::to_owned)).unwrap_or_default(),
        );
        for reference in name.into_iter().chain(url.map(str::to_owned)) {
            self.by_reference.entry(reference).or_insert(index);
        }
        self.all.push(resource);
        Some(index)
    }

    /// The resource that a reference names. A version of it (`/_history/3`) is not told apart.
    pub fn find(&self, reference: &str) -> Option<&Value> {
        let reference = reference.split_once("/_history/").map_or(reference, |(it, _)| it);
        self.all.get(*self.by_reference.get(reference)?).map(Cow::as_ref)
    }

    /// Whether a resource (`Patient/1`) is known by the address of a server.
    pub(super) fn is_elsewhere(&self, name: &str) -> bool {
        let index = self.by_reference.get(name);
        let urls = self.by_reference.iter().filter(|(_, own)| Some(*own) == index);
        urls.into_iter().any(|(url, _)| url.starts_with("http:") || url.starts_with("https:"))
    }

    /// The same without what stands in no message.
    pub(super) fn without(&self, left_out: &[LeftOut<'_>]) -> Resources<'_> {
        let borrowed = self.all.iter().map(|resource| Cow::Borrowed(resource.as_ref()));
        let mut all: Vec<Cow<'_, Value>> = borrowed.collect();
        for own in left_out {
            if let Some(resource) = all.get_mut(own.resource) {
                if own.steps.is_empty() {
                    *resource = Cow::Owned(Value::Null);
                } else if let Some(place) = at(resource.to_mut(), &own.steps) {
                    // The evaluator passes over `null`, and what stands behind it keeps its number.
                    *place = Value::Null;
                }
            }
        }
        let is_there = |index: &usize| all.get(*index).is_some_and(|own| **own != Value::Null);
        let references = self.by_reference.iter().filter(|(_, index)| is_there(index));
        Resources {
            by_reference: references.map(|(name, index)| (name.clone(), *index)).collect(),
            places: self.places.clone(),
            entries: self.entries.clone(),
            roots: self.roots.clone(),
            earlier: self.earlier.as_deref().map(Cow::Borrowed),
            all,
        }
    }

    /// Those of a type, in order.
    pub(super) fn of_type(&self, name: &str) -> impl Iterator<Item = &Value> {
        self.iter().filter(move |resource| resource.resource_type() == Some(name))
    }

    /// All, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Value> {
        self.all.iter().map(Cow::as_ref)
    }

    /// With the number of each among the Bundle's entries.
    pub(super) fn numbered(&self) -> impl Iterator<Item = (Option<u32>, &Value)> {
        self.entries.iter().copied().zip(self.iter())
    }

    /// Whether all are entries of one Bundle.
    pub(super) fn are_entries(&self) -> bool {
        self.entries.iter().all(Option::is_some)
    }

    /// With the place of each, as findings tell it.
    pub(super) fn placed(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.places.iter().map(String::as_str).zip(self.iter())
    }

    /// The place of a resource, as findings tell it.
    pub(super) fn place(&self, resource: &Value) -> &str {
        let mut placed = self.placed();
        placed.find(|(_, own)| std::ptr::eq(*own, resource)).map_or("", |(place, _)| place)
    }

    /// The place of the resource that an element is in.
    pub(super) fn place_around(&self, element: &Value) -> &str {
        let mut placed = self.placed();
        placed.find(|(_, own)| is_within(element, own)).map_or("", |(place, _)| place)
    }

    /// Where an element stands: `Encounter/e.participant[0]`.
    pub(super) fn path_of(&self, element: &Value) -> String {
        let mut placed = self.placed();
        let path = placed.find_map(|(place, own)| {
            path_within(element, own).map(|steps| format!("{place}{steps}"))
        });
        path.unwrap_or_default()
    }

    /// What the message is about: what a caller said, else those of the first of these types that are there.
    pub(super) fn roots(&self, types: &[Box<str>]) -> Vec<&Value> {
        let root = |index: &usize| self.all.get(*index).map(Cow::as_ref);
        let said: Vec<&Value> = self.roots.iter().filter_map(root).collect();
        if !said.is_empty() {
            let fits = |root: &&Value| {
                root.resource_type().is_some_and(|own| types.iter().any(|name| **name == *own))
            };
            return said.into_iter().filter(fits).collect();
        }
        let of_types = types.iter().map(|name| self.of_type(name).collect::<Vec<_>>());
        of_types.into_iter().find(|found| !found.is_empty()).unwrap_or_default()
    }

    /// The resources of a type whose element refers to a resource: what a reverse include of a search finds.
    pub(super) fn referring<'s>(
        &'s self,
        name: &'s str,
        element: &'s [Box<str>],
        target: &'s Value,
    ) -> impl Iterator<Item = &'s Value> {
        self.of_type(name).filter(move |resource| self.refers(resource, element, target))
    }

    fn refers(&self, value: &Value, path: &[Box<str>], target: &Value) -> bool {
        if let Value::Array(items) = value {
            return items.iter().any(|item| self.refers(item, path, target));
        }
        match path.split_first() {
            Some((name, rest)) => {
                value.get(name).is_some_and(|inner| self.refers(inner, rest, target))
            }
            None => {
                let found = value.text("reference").and_then(|reference| self.find(reference));
                found.is_some_and(|found| std::ptr::eq(found, target))
            }
        }
    }
}

/// The value at a place, to change.
fn at<'v>(value: &'v mut Value, steps: &[Step<'_>]) -> Option<&'v mut Value> {
    let mut place = value;
    for step in steps {
        place = match step {
            Step::Member(name) => place.as_object_mut()?.get_mut(name)?,
            Step::Item(index) => place.as_array_mut()?.get_mut(*index)?,
        };
    }
    Some(place)
}

impl Resolver for Resources<'_> {
    fn resolve(&self, reference: &str) -> Option<&Value> {
        self.find(reference)
    }
}

/// All references of a resource that name something outside of it.
fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            for (name, inner) in object.iter() {
                match inner.as_str() {
                    Some(reference) if name == "reference" => {
                        if !reference.starts_with('#') {
                            found.push(reference.to_owned());
                        }
                    }
                    _ => references(inner, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Whether a value stands in another, or is it.
fn is_within(element: &Value, value: &Value) -> bool {
    std::ptr::eq(element, value)
        || match value {
            Value::Object(object) => object.iter().any(|(_, inner)| is_within(element, inner)),
            Value::Array(items) => items.iter().any(|inner| is_within(element, inner)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
        }
}

/// The way from a value to an element in it.
fn path_within(element: &Value, value: &Value) -> Option<String> {
    if std::ptr::eq(element, value) {
        return Some(String::new());
    }
    match value {
        Value::Object(object) => object
            .iter()
            .find_map(|(name, inner)| Some(format!(".{name}{}", path_within(element, inner)?))),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .find_map(|(at, inner)| Some(format!("[{at}]{}", path_within(element, inner)?))),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use pipehat_dictionary::Version;
    use pipehat_resource::json;

    use super::*;
    use crate::to_v2::{Profile, Stamp, Wanted, WriteError, Writer, Written};

    const RETIRED: &str = r#"{"resourceType":"Patient","id":"a","active":false,"link":[{"other":{"reference":"Patient/b"},"type":"replaced-by"}]}"#;
    const BETWEEN: &str = r#"{"resourceType":"Patient","id":"b","active":false,"link":[{"other":{"reference":"Patient/c"},"type":"replaced-by"}]}"#;
    const REMAINS: &str = r#"{"resourceType":"Patient","id":"c","identifier":[{"value":"77"}],"name":[{"family":"Stays"}]}"#;

    fn write(event: &str, root: &str, known: &[&str]) -> Result<Written, WriteError> {
        let root = json::parse(root.as_bytes()).expect("JSON");
        let known: Vec<Value> =
            known.iter().map(|own| json::parse(own.as_bytes()).expect("JSON")).collect();
        let resources = Resources::default().with_root(&root).resolved_by(|reference| {
            let id = reference.strip_prefix("Patient/")?;
            known.iter().find(|own| own.id() == Some(id)).cloned()
        });
        let wanted = Wanted { event, version: Version::V2_5_1, order_control: None, lineage: None };
        let time = "2026-04-12T08:00:00Z".parse().expect("a time");
        let stamp = Stamp { time, offset: jiff::tz::Offset::UTC, control_id: "1" };
        Writer::new(Profile::default()).write(&wanted, &resources, &stamp)
    }

    fn pid(event: &str, root: &str, known: &[&str]) -> String {
        let written = write(event, root, known).expect("a message");
        let text = String::from_utf8(written.message).expect("UTF-8");
        text.split('\r').filter(|own| own.starts_with("PID")).collect::<Vec<_>>().join("\n")
    }

    /// What still refers to a record that was merged is about who remains.
    #[test]
    fn who_was_merged_is_told_as_who_remains() {
        let booked = r#"{"resourceType":"Appointment","id":"x","status":"booked","participant":[{"actor":{"reference":"Patient/a"},"status":"accepted"}]}"#;
        let one = pid("SIU^S12", booked, &[RETIRED, BETWEEN, REMAINS]);
        assert!(one.contains("|77|") && one.contains("Stays") && !one.contains('\n'), "{one}");
        let visit = r#"{"resourceType":"Encounter","id":"e","status":"finished","class":{"code":"IMP"},"subject":{"reference":"Patient/a"}}"#;
        assert!(pid("ADT^A03", visit, &[RETIRED, BETWEEN, REMAINS]).contains("|77|"));
        // Two who turned out to be one are one; who isn't there can't be told.
        let both =
            booked.replace("[{", r#"[{"actor":{"reference":"Patient/c"},"status":"accepted"},{"#);
        assert_eq!(pid("SIU^S12", &both, &[RETIRED, BETWEEN, REMAINS]), one);
        assert!(!pid("SIU^S12", booked, &[RETIRED]).contains("77"));
        // A circle is no way to anybody.
        let circle = REMAINS.replace(
            r#""identifier""#,
            r#""link":[{"other":{"reference":"Patient/a"},"type":"replaced-by"}],"identifier""#,
        );
        pid("SIU^S12", booked, &[RETIRED, BETWEEN, &circle]);
    }

    /// Of a record that was merged itself no message can tell.
    #[test]
    fn a_message_about_the_record_is_about_that() {
        let told = write("ADT^A31", RETIRED, &[BETWEEN, REMAINS]);
        assert!(matches!(told, Err(WriteError::Unsayable { .. })), "{told:?}");
    }
}
