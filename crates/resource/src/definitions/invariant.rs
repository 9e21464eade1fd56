//! Invariants: rules across elements, which FHIRPath decides.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::outcome::Severity;

const TEXT: &str = include_str!("../../definitions/invariants.tsv");

/// A rule about a type's values, or about those of one of its elements.
///
/// Those that the structural check decides by itself, and recommendations, are not among them; the head of
/// `definitions/invariants.tsv` names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Invariant {
    /// The element of the type, where the rule is about its values.
    pub element: Option<&'static str>,
    /// Its key in the specification: `pat-1`.
    pub key: &'static str,
    /// How bad it is when the rule is broken.
    pub severity: Severity,
    /// What has to be true.
    pub expression: &'static str,
    /// The rule in words.
    pub human: &'static str,
}

static INVARIANTS: LazyLock<HashMap<&'static str, Vec<Invariant>>> = LazyLock::new(|| {
    let mut invariants: HashMap<_, Vec<_>> = HashMap::new();
    for line in TEXT.lines().filter(|line| !line.starts_with('#')) {
        let mut columns = line.split('\t');
        let mut next = || columns.next().unwrap_or_default();
        let owner = next();
        let invariant = Invariant {
            element: Some(next().trim_end_matches("[x]")).filter(|element| !element.is_empty()),
            key: next(),
            severity: if next() == "error" { Severity::Error } else { Severity::Warning },
            expression: next(),
            human: next(),
        };
        invariants.entry(owner).or_default().push(invariant);
    }
    invariants
});

impl Invariant {
    /// The rules that this type's own definition has; those of its base are the base's.
    pub fn of(type_name: &str) -> &'static [Self] {
        INVARIANTS.get(type_name).map_or(&[], Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definitions::TypeDefinition;

    #[test]
    fn each_stands_at_a_type_or_an_element() {
        let mut count = 0;
        for (owner, own) in &*INVARIANTS {
            let definition = TypeDefinition::named(owner).expect("a type");
            for invariant in own {
                count += 1;
                if let Some(element) = invariant.element {
                    assert!(definition.element_named(element).is_some(), "{owner}.{element}");
                }
                assert!(!invariant.key.is_empty() && !invariant.expression.is_empty());
                assert!(!invariant.human.is_empty(), "{}", invariant.key);
            }
        }
        assert!(count > 200, "{count}");
    }

    #[test]
    fn a_patients_contact_has_its_rule() {
        let keys: Vec<&str> =
            Invariant::of("Patient.contact").iter().map(|invariant| invariant.key).collect();
        assert_eq!(keys, ["pat-1"]);
        assert!(Invariant::of("DomainResource").is_empty());
    }
}
