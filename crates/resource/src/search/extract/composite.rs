//! Composite parameters: several values of one element (FHIR R4 §3.1.1.4.17).

use super::super::entry::{IndexEntry, ParameterKind};
use super::super::registry::Parameter;
use super::path::{Found, Paths};
use super::rules::Rule;
use super::{Surroundings, convert, push};
use crate::definitions::TypeDefinition;

/// How the instances of a composite parameter and their components are found.
#[derive(Debug, Clone)]
pub(in crate::search) struct Composite {
    instances: Rule,
    /// For each type that an instance may be of, its components' rules in their order.
    components: Vec<(&'static str, Vec<Rule>)>,
}

impl Composite {
    pub(super) fn of(parameter: &Parameter, definition: Option<&'static TypeDefinition>) -> Self {
        let instances = Rule::of(parameter.expression(), definition);
        let types: Vec<&'static TypeDefinition> = match &instances {
            Rule::Paths(paths) => Paths::types(paths).collect(),
            Rule::Fallback(_) => definition.into_iter().collect(),
        };
        let components = types
            .into_iter()
            .map(|own| {
                let rules = parameter
                    .components()
                    .iter()
                    .map(|component| Rule::of(component.expression(), Some(own)));
                (own.name(), rules.collect())
            })
            .collect();
        Self { instances, components }
    }

    /// Whether all of it is plain paths.
    #[cfg(test)]
    pub(super) fn is_path(&self) -> bool {
        let mut rules = self.components.iter().flat_map(|(_, rules)| rules);
        self.instances.is_path() && rules.all(Rule::is_path)
    }

    #[cfg(test)]
    pub(super) fn rules_of(&self, component: usize) -> impl Iterator<Item = &Rule> {
        self.components.iter().filter_map(move |(_, rules)| rules.get(component))
    }

    /// Adds the values of every instance that has all components.
    pub(super) fn entries(
        &self,
        parameter: &Parameter,
        surroundings: &Surroundings<'_>,
        entries: &mut Vec<IndexEntry>,
    ) {
        let mut instance = 0_u32;
        self.instances.values(surroundings, &mut |found| {
            let Some((_, rules)) =
                self.components.iter().find(|(name, _)| *name == found.type_name)
            else {
                return;
            };
            instance = instance.saturating_add(1);
            let before = entries.len();
            for (component, rule) in parameter.components().iter().zip(rules) {
                let from = entries.len();
                let mut add = |value: Found<'_>| {
                    convert(component.kind(), value, surroundings.base_url, &mut |value| {
                        push(entries, from, component.id(), instance, value);
                    });
                };
                debug_assert_ne!(component.kind(), ParameterKind::Composite);
                rule.values_on(&Surroundings { ..*surroundings }, found, &mut add);
                if entries.len() == from {
                    // Not all components have a value: the instance matches nothing.
                    entries.truncate(before);
                    return;
                }
            }
        });
    }
}
