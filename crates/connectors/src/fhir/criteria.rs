//! Which changes a source takes.

use std::sync::Arc;

use pipehat_resource::json::{Value, parse};
use pipehat_resource::search::{Handling, Registry, Search, SearchOptions, extract, query_pairs};

use crate::{ChangeKind, GivenChanges};

/// The criteria of a source: a search, and which kinds of change.
pub(super) struct Criteria {
    registry: Arc<Registry>,
    resource_type: String,
    search: Search,
    kinds: Vec<ChangeKind>,
}

impl Criteria {
    /// Reads `Encounter?status=finished`, or a type alone.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn parse(text: &str, kinds: Vec<ChangeKind>) -> Result<Self, String> {
        let registry = Registry::standard();
        let (resource_type, query) = text.split_once('?').unwrap_or((text, ""));
        if !registry.is_resource_type(resource_type) {
            return Err(
                "criteria begin with a type of resource: `Encounter?status=finished`".to_owned()
            );
        }
        let options = SearchOptions {
            handling: Handling::Strict,
            only_criteria: true,
            ..SearchOptions::default()
        };
        let parsed = Search::parse(&[resource_type], &query_pairs(query), &registry, &options)
            .map_err(|problems| match problems.first() {
                Some(problem) => problem.to_string(),
                None => "this can't be read as a search".to_owned(),
            })?;
        if parsed.search.looks_at_others() {
            return Err(
                "criteria look at the resource alone: chains and `_has` can't be used".to_owned()
            );
        }
        Ok(Self { registry, resource_type: resource_type.to_owned(), search: parsed.search, kinds })
    }

    /// Which kinds of change they take.
    pub(super) fn given(&self) -> GivenChanges {
        let deletions = self.kinds.contains(&ChangeKind::Delete);
        match (deletions, self.kinds.iter().any(|kind| *kind != ChangeKind::Delete)) {
            (true, true) => GivenChanges::All,
            (true, false) => GivenChanges::Deletions,
            (false, _) => GivenChanges::Writes,
        }
    }

    /// Whether a change of this kind and type may be one of them, before its resource is read.
    pub(super) fn may_take(&self, kind: ChangeKind, resource_type: &str) -> bool {
        self.kinds.contains(&kind) && self.resource_type == resource_type
    }

    /// Whether a resource meets them.
    pub(super) fn meets(&self, resource: &str) -> bool {
        let Ok(resource) = parse(resource.as_bytes()) else { return false };
        self.meets_value(&resource)
    }

    fn meets_value(&self, resource: &Value) -> bool {
        let entries = extract(resource, &self.registry, "", 0);
        self.search.matches(resource, &entries) == Some(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_meet_them_or_not() {
        let check = |criteria: &str, resource: &str, expected: bool| {
            let criteria = Criteria::parse(criteria, vec![ChangeKind::Create]).expect("criteria");
            assert_eq!(criteria.meets(resource), expected, "{resource}");
        };
        let encounter = |status: &str| {
            format!(
                r#"{{"resourceType":"Encounter","status":"{status}","class":{{"code":"IMP"}}}}"#
            )
        };
        check("Encounter?status=finished", &encounter("finished"), true);
        check("Encounter?status=finished", &encounter("planned"), false);
        check("Encounter?status=finished&class=IMP", &encounter("finished"), true);
        check("Encounter?status=finished&class=AMB", &encounter("finished"), false);
        check("Encounter", &encounter("planned"), true);
        check("Encounter", "no JSON", false);
    }

    #[test]
    fn kinds_and_types_are_looked_at_first() {
        let criteria = Criteria::parse("Patient", vec![ChangeKind::Create, ChangeKind::Delete])
            .expect("criteria");
        assert!(criteria.may_take(ChangeKind::Delete, "Patient"));
        assert!(!criteria.may_take(ChangeKind::Update, "Patient"));
        assert!(!criteria.may_take(ChangeKind::Create, "Encounter"));
    }

    #[test]
    fn mistakes_are_explained() {
        let check = |text: &str, expected: &str| {
            let error = Criteria::parse(text, Vec::new()).err().expect("a mistake");
            assert!(error.contains(expected), "{text}: {error}");
        };
        check("encounter", "begin with a type");
        check("", "begin with a type");
        check("Encounter?stat=x", "stat");
        check("Encounter?subject:Patient.name=x", "alone");
        check("Encounter?_sort=date", "_sort");
    }
}
