//! Codes in a search that no valid resource has: those of elements whose codes must be from a value set.

use super::query::{Criterion, Filter, Search, TokenCriterion};
use super::registry::Registry;
use crate::definitions::ValueSet;
use crate::fhirpath::Expression;

/// A code that a search asks for, and that never stands there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImpossibleCode {
    /// The resource type.
    pub resource_type: String,
    /// The parameter.
    pub parameter: String,
    /// The code.
    pub code: String,
    /// The codes that may stand there.
    pub known: Vec<&'static str>,
}

impl Search {
    /// The codes that no valid resource of R4 has under their parameter, in the order in which they are asked for.
    pub fn impossible_codes(&self, registry: &Registry) -> Vec<ImpossibleCode> {
        let mut found = Vec::new();
        self.filters.iter().for_each(|filter| look(filter, registry, &mut found));
        found
    }
}

fn look(filter: &Filter, registry: &Registry, found: &mut Vec<ImpossibleCode>) {
    match filter {
        Filter::Parameter { parameter, criteria } => {
            let parameter =
                registry.parameter(*parameter).filter(|one| one.components().is_empty());
            let Some(parameter) = parameter else { return };
            let asked: Vec<_> = criteria.iter().filter_map(asked).collect();
            if asked.is_empty() {
                return;
            }
            let expression = Expression::parse(parameter.expression()).ok();
            let sets = expression.and_then(|one| one.required_codes(parameter.resource_type()));
            let Some(sets) = sets else { return };
            for (system, code) in asked {
                let has = |set: &&ValueSet| match system {
                    Some(system) => set.contains(system, code),
                    None => set.codes().any(|(_, known)| known == code),
                };
                if !sets.iter().copied().any(|set| has(&set)) {
                    found.push(ImpossibleCode {
                        resource_type: parameter.resource_type().to_owned(),
                        parameter: parameter.code().to_owned(),
                        code: code.to_owned(),
                        known: sets
                            .iter()
                            .flat_map(|set| set.codes())
                            .map(|(_, code)| code)
                            .collect(),
                    });
                }
            }
        }
        Filter::Chain { targets, .. } => {
            // Of several types that a chain may lead to, one may have it.
            if let [target] = targets.as_slice() {
                look(&target.filter, registry, found);
            }
        }
        Filter::Has { filter, .. } | Filter::Not(filter) => look(filter, registry, found),
        Filter::All(filters) | Filter::Any(filters) => {
            filters.iter().for_each(|filter| look(filter, registry, found));
        }
        Filter::Composite { .. }
        | Filter::Missing { .. }
        | Filter::Id(_)
        | Filter::LastUpdated(_)
        | Filter::Type(_)
        | Filter::FullText { .. }
        | Filter::Compartment { .. } => {}
    }
}

fn asked(criterion: &Criterion) -> Option<(Option<&str>, &str)> {
    match criterion {
        Criterion::Token(TokenCriterion::Code(code)) => Some((None, code)),
        Criterion::Token(TokenCriterion::SystemCode(system, code)) => Some((Some(system), code)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::{SearchOptions, query_pairs};

    #[track_caller]
    fn check(resource_type: &str, query: &str, expected: &[&str]) {
        let registry = Registry::standard();
        let parsed = Search::parse(
            &[resource_type],
            &query_pairs(query),
            &registry,
            &SearchOptions::default(),
        );
        let found = parsed.expect("a search").search.impossible_codes(&registry);
        let told: Vec<_> = found
            .iter()
            .map(|one| format!("{}.{} {}", one.resource_type, one.parameter, one.code))
            .collect();
        assert_eq!(told, expected, "{resource_type}?{query}");
    }

    #[test]
    fn codes_are_compared_with_those_of_the_value_set() {
        check("Encounter", "status=finished,planned", &[]);
        check("Encounter", "status=finished,finshed", &["Encounter.status finshed"]);
        check("Encounter", "status=http://hl7.org/fhir/encounter-status|finished", &[]);
        check("Encounter", "status=http://other|finished", &["Encounter.status finished"]);
        check("Encounter", "status:not=nosuch", &["Encounter.status nosuch"]);
        check("Encounter", "type=nosuch&class=nosuch&identifier=nosuch", &[]);
        check("Patient", "active=true&gender=male&language=xx", &[]);
        check("Patient", "gender=M", &["Patient.gender M"]);
        check("Observation", "patient.gender=M", &["Patient.gender M"]);
        check("Patient", "_has:Observation:patient:status=nosuch", &["Observation.status nosuch"]);
        check("Patient", "status=nosuch", &[]);
    }
}
