//! Which Subscriptions a change concerns: pure.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use pipehat_resource::json::Value;
use pipehat_resource::search::{Registry, extract};
use pipehat_store::datastore::Trigger;

use super::subscription::Subscription;

/// The active Subscriptions, by the type that their criteria are about.
#[derive(Debug, Default)]
pub(super) struct Watch {
    types: HashMap<String, BTreeMap<String, Arc<Subscription>>>,
    /// The type of each, to find it by its id.
    ids: HashMap<String, String>,
}

impl Watch {
    /// Adds one, in place of what has its id.
    pub(super) fn put(&mut self, subscription: Arc<Subscription>) {
        self.remove(&subscription.id);
        let (id, name) = (subscription.id.clone(), subscription.resource_type.clone());
        self.types.entry(name.clone()).or_default().insert(id.clone(), subscription);
        self.ids.insert(id, name);
    }

    /// Takes one out; whether it was there.
    pub(super) fn remove(&mut self, id: &str) -> bool {
        let Some(name) = self.ids.remove(id) else { return false };
        if let Some(of_type) = self.types.get_mut(&name) {
            of_type.remove(id);
            if of_type.is_empty() {
                self.types.remove(&name);
            }
        }
        true
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    /// All of them.
    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<Subscription>> {
        self.types.values().flat_map(BTreeMap::values)
    }

    /// One of them.
    pub(super) fn get(&self, id: &str) -> Option<&Arc<Subscription>> {
        self.types.get(self.ids.get(id)?)?.get(id)
    }

    /// Whether any is about this type.
    pub(super) fn concerns(&self, resource_type: &str) -> bool {
        self.types.contains_key(resource_type)
    }

    /// Those that a resource meets; of a deletion, the resource as it was before. Whether the change made the
    /// resource is not looked at here.
    pub(super) fn met_by(
        &self,
        resource: &Value,
        deleted: bool,
        registry: &Registry,
        base: &str,
        now: i64,
    ) -> Vec<Arc<Subscription>> {
        let name = resource.resource_type().unwrap_or_default();
        let Some(of_type) = self.types.get(name) else { return Vec::new() };
        let wanted = |subscription: &&Arc<Subscription>| {
            let may = subscription
                .triggers
                .iter()
                .any(|trigger| (*trigger == Trigger::Delete) == deleted);
            may && !subscription.is_over(now)
        };
        let mut wanted = of_type.values().filter(wanted).peekable();
        if wanted.peek().is_none() {
            return Vec::new();
        }
        let entries = extract(resource, registry, base, now);
        wanted
            .filter(|subscription| subscription.search.matches(resource, &entries) == Some(true))
            .cloned()
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use pipehat_resource::json::parse;

    use super::super::subscription::tests::{HOOK, of, read};
    use super::*;

    const NOW: i64 = 1_790_000_000_000_000;

    fn watch(all: &[(&str, &str, &str)]) -> Watch {
        let mut watch = Watch::default();
        for (id, criteria, more) in all {
            let mut subscription = read(&of(criteria, HOOK, more)).expect("a subscription");
            subscription.id = (*id).to_owned();
            watch.put(Arc::new(subscription));
        }
        watch
    }

    #[track_caller]
    fn check(watch: &Watch, resource: &str, deleted: bool, expected: &[&str]) {
        let resource = parse(resource.as_bytes()).expect("JSON");
        let met = watch.met_by(&resource, deleted, &Registry::standard(), "", NOW);
        let ids: Vec<&str> = met.iter().map(|met| met.id.as_str()).collect();
        assert_eq!(ids, expected);
    }

    #[test]
    fn criteria_decide() {
        let delete = r#","extension":[{"url":"https://medplum.com/fhir/StructureDefinition/subscription-supported-interaction","valueCode":"delete"}]"#;
        let over = r#","end":"2020-01-01T00:00:00Z""#;
        let mut watch = watch(&[
            ("a", "Patient?active=true", ""),
            ("b", "Patient?name=ann", delete),
            ("c", "Patient", over),
            ("d", "Observation", ""),
        ]);
        let ann =
            r#"{"resourceType":"Patient","id":"1","active":true,"name":[{"family":"Annable"}]}"#;
        check(&watch, ann, false, &["a"]);
        check(&watch, ann, true, &["a", "b"]);
        check(&watch, r#"{"resourceType":"Patient","id":"1","active":false}"#, false, &[]);
        check(&watch, r#"{"resourceType":"Group","id":"1"}"#, false, &[]);
        assert!(watch.remove("a") && !watch.remove("a"));
        check(&watch, ann, false, &[]);
        assert!(watch.concerns("Observation") && !watch.concerns("Group"));
        assert_eq!((watch.len(), watch.all().count()), (3, 3));
        assert!(watch.remove("d") && !watch.concerns("Observation"));
    }
}
