//! Compartments: what belongs to a patient, an encounter, a practitioner… (R4 §3.1.0.12).

use std::collections::BTreeMap;
use std::sync::LazyLock;

const TEXT: &str = include_str!("../../definitions/compartments.tsv");

/// A compartment.
#[derive(Debug)]
pub struct Compartment {
    name: &'static str,
    members: BTreeMap<&'static str, Vec<&'static str>>,
}

static COMPARTMENTS: LazyLock<Vec<Compartment>> = LazyLock::new(|| {
    let mut compartments: Vec<Compartment> = Vec::new();
    for line in TEXT.lines().filter(|line| !line.starts_with('#')) {
        let mut columns = line.split('\t');
        match (columns.next(), compartments.last_mut()) {
            (Some(""), Some(compartment)) => {
                let resource_type = columns.next().unwrap_or_default();
                compartment.members.insert(resource_type, columns.collect());
            }
            (Some(name), _) => {
                compartments.push(Compartment { name, members: BTreeMap::new() });
            }
            (None, _) => {}
        }
    }
    compartments
});

impl Compartment {
    /// The compartment of this resource type: `Patient`, `Encounter`, `Practitioner`, `RelatedPerson`, `Device`.
    pub fn named(resource_type: &str) -> Option<&'static Self> {
        COMPARTMENTS.iter().find(|compartment| compartment.name == resource_type)
    }

    /// All of them.
    pub fn all() -> &'static [Self] {
        &COMPARTMENTS
    }

    /// The resource type it is named after.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The resource types that may be in it, each with the search parameters that say which are.
    pub fn members(&self) -> impl ExactSizeIterator<Item = (&'static str, &[&'static str])> {
        self.members.iter().map(|(name, parameters)| (*name, parameters.as_slice()))
    }

    /// The search parameters that say which resources of a type are in it; none where the type never is.
    pub fn parameters(&self, resource_type: &str) -> &[&'static str] {
        self.members.get(resource_type).map_or(&[], Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definitions::TypeDefinition;

    #[test]
    fn the_five_are_there() {
        let mut names: Vec<&str> = Compartment::all().iter().map(Compartment::name).collect();
        names.sort_unstable();
        assert_eq!(names, ["Device", "Encounter", "Patient", "Practitioner", "RelatedPerson"]);
        for compartment in Compartment::all() {
            for (resource_type, parameters) in compartment.members() {
                assert!(TypeDefinition::named(resource_type).is_some(), "{resource_type}");
                assert!(!parameters.is_empty());
            }
        }
    }

    #[test]
    fn an_observation_is_in_its_patients() {
        let patient = Compartment::named("Patient").expect("it is one");
        assert_eq!(patient.parameters("Observation"), ["subject", "performer"]);
        assert!(patient.parameters("Location").is_empty());
    }
}
