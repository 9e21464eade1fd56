//! Code systems and value sets, as far as FHIR publishes them and they are small.

use std::collections::HashMap;
use std::sync::LazyLock;

const TEXT: &str = include_str!("../../definitions/codes.tsv");

/// A code system.
#[derive(Debug)]
pub struct CodeSystem {
    url: &'static str,
    /// By code.
    concepts: Vec<Concept>,
}

/// A concept of a code system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Concept {
    /// The code.
    pub code: &'static str,
    /// The display; empty where there is none.
    pub display: &'static str,
    /// The code of the concept above it.
    pub parent: Option<&'static str>,
}

/// A value set, expanded.
#[derive(Debug)]
pub struct ValueSet {
    url: &'static str,
    parts: Vec<Part>,
}

/// What a value set takes from one code system.
#[derive(Debug)]
struct Part {
    system: &'static str,
    /// Sorted.
    codes: Vec<&'static str>,
}

struct Codes {
    systems: HashMap<&'static str, CodeSystem>,
    sets: HashMap<&'static str, ValueSet>,
}

static CODES: LazyLock<Codes> = LazyLock::new(|| Codes::read(TEXT));

impl Codes {
    fn read(text: &'static str) -> Self {
        enum Section {
            Nothing,
            System(&'static str),
            Set(&'static str),
        }
        let mut codes = Self { systems: HashMap::new(), sets: HashMap::new() };
        let mut section = Section::Nothing;
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let mut columns = line.split('\t');
            let first = columns.next().unwrap_or_default();
            let second = columns.next().unwrap_or_default();
            match (first, &section) {
                ("S", _) => {
                    let system = CodeSystem { url: second, concepts: Vec::new() };
                    codes.systems.insert(second, system);
                    section = Section::System(second);
                }
                ("V", _) => {
                    codes.sets.insert(second, ValueSet { url: second, parts: Vec::new() });
                    section = Section::Set(second);
                }
                (_, Section::System(url)) => {
                    let concept = Concept {
                        code: second,
                        display: columns.next().unwrap_or_default(),
                        parent: columns.next(),
                    };
                    codes.systems.entry(url).and_modify(|own| own.concepts.push(concept));
                }
                (_, Section::Set(url)) => {
                    let mut own: Vec<&'static str> = columns.collect();
                    if own == ["*"]
                        && let Some(system) = codes.systems.get(second)
                    {
                        own = system.concepts.iter().map(|concept| concept.code).collect();
                    }
                    own.sort_unstable();
                    let part = Part { system: second, codes: own };
                    codes.sets.entry(url).and_modify(|set| set.parts.push(part));
                }
                (_, Section::Nothing) => {}
            }
        }
        for system in codes.systems.values_mut() {
            system.concepts.sort_unstable_by_key(|concept| concept.code);
        }
        codes
    }
}

/// A canonical URL without its version.
fn without_version(url: &str) -> &str {
    url.split_once('|').map_or(url, |(url, _)| url)
}

impl CodeSystem {
    /// The code system of this canonical URL, with or without a version.
    pub fn named(url: &str) -> Option<&'static Self> {
        CODES.systems.get(without_version(url))
    }

    /// The canonical URL.
    pub fn url(&self) -> &'static str {
        self.url
    }

    /// The concepts, by code.
    pub fn concepts(&self) -> &[Concept] {
        &self.concepts
    }

    /// The concept of a code.
    pub fn concept(&self, code: &str) -> Option<&Concept> {
        let place = self.concepts.binary_search_by_key(&code, |concept| concept.code).ok()?;
        self.concepts.get(place)
    }

    /// Whether a code is another, or stands below it.
    pub fn is_a(&self, code: &str, ancestor: &str) -> bool {
        let mut next = self.concept(code);
        // No chain of parents is longer than there are concepts.
        for _ in 0..self.concepts.len() {
            match next {
                Some(concept) if concept.code == ancestor => return true,
                Some(concept) => next = concept.parent.and_then(|parent| self.concept(parent)),
                None => return false,
            }
        }
        false
    }
}

impl ValueSet {
    /// The value set of this canonical URL, with or without a version. Those of required and extensible bindings
    /// are carried, unless their codes are not FHIR's to publish or they are too many.
    pub fn named(url: &str) -> Option<&'static Self> {
        CODES.sets.get(without_version(url))
    }

    /// The canonical URL.
    pub fn url(&self) -> &'static str {
        self.url
    }

    /// The systems and codes in it.
    pub fn codes(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        self.parts.iter().flat_map(|part| part.codes.iter().map(|code| (part.system, *code)))
    }

    /// Whether a code of a code system is in it.
    pub fn contains(&self, system: &str, code: &str) -> bool {
        self.parts
            .iter()
            .any(|part| part.system == system && part.codes.binary_search(&code).is_ok())
    }

    /// The code system that a code without one is of: that of the first part that has it.
    pub fn system_of(&self, code: &str) -> Option<&'static str> {
        let part = self.parts.iter().find(|part| part.codes.binary_search(&code).is_ok())?;
        Some(part.system)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definitions::{BindingStrength, resource_types};

    const GENDER: &str = "http://hl7.org/fhir/ValueSet/administrative-gender";

    #[test]
    fn codes_are_found() {
        let set = ValueSet::named(&format!("{GENDER}|4.0.1")).expect("it is carried");
        assert_eq!(set.system_of("male"), Some("http://hl7.org/fhir/administrative-gender"));
        assert!(set.contains("http://hl7.org/fhir/administrative-gender", "unknown"));
        assert!(!set.contains("http://hl7.org/fhir/administrative-gender", "M"));
        assert_eq!(set.system_of("M"), None);
        let system = CodeSystem::named("http://hl7.org/fhir/issue-type").expect("it is carried");
        assert_eq!(system.concept("not-found").map(|own| own.display), Some("Not Found"));
        assert!(system.is_a("not-found", "processing"));
        assert!(!system.is_a("processing", "not-found"));
    }

    /// Those whose codes are not FHIR's to publish.
    const ELSEWHERE: [&str; 4] = [
        "http://hl7.org/fhir/ValueSet/currencies",
        "http://hl7.org/fhir/ValueSet/mimetypes",
        "http://hl7.org/fhir/ValueSet/ucum-units",
        "http://loinc.org/vs/LL379-9",
    ];

    #[test]
    fn value_sets_of_required_bindings_are_carried() {
        for own in resource_types() {
            for element in own.elements() {
                let Some(binding) = element.binding() else { continue };
                if binding.strength == BindingStrength::Required
                    && !ELSEWHERE.contains(&binding.value_set)
                {
                    let set = ValueSet::named(binding.value_set);
                    let count = set.map_or(0, |set| set.codes().count());
                    assert!(
                        count > 0,
                        "{} of {}.{}",
                        binding.value_set,
                        own.name(),
                        element.name()
                    );
                }
            }
        }
    }
}
