//! The codes of a value set, as far as the resource itself says them.

use std::collections::{BTreeMap, BTreeSet};

use crate::definitions::CodeSystem;
use crate::json::Value;

/// Codes that are kept of one value set.
const CODES_MAX: usize = 200_000;

/// The codes of a value set.
#[derive(Debug, Clone, Default)]
pub struct CodeList {
    /// By system.
    systems: BTreeMap<String, BTreeSet<String>>,
}

impl CodeList {
    /// What a ValueSet resource says: its expansion, or what it lists. `code_system` gives the codes of a code system
    /// that is taken whole. `None` where codes can't be told: by filters, from other value sets, or where there are too
    /// many.
    pub fn read(
        value_set: &Value,
        code_system: &dyn Fn(&str) -> Option<Vec<String>>,
    ) -> Option<Self> {
        let mut list = Self::default();
        let expansion = value_set.get("expansion").map(|own| own.items("contains"));
        if let Some(contains) = expansion.filter(|contains| !contains.is_empty()) {
            list.contained(contains)?;
            return Some(list);
        }
        let compose = value_set.get("compose")?;
        if !compose.items("exclude").is_empty() {
            return None;
        }
        for include in compose.items("include") {
            let system = include.text("system")?;
            if !include.items("filter").is_empty() || !include.items("valueSet").is_empty() {
                return None;
            }
            let concepts = include.items("concept");
            if concepts.is_empty() {
                let own = CodeSystem::named(system);
                let codes = match own {
                    Some(own) => own.concepts().iter().map(|own| own.code.to_owned()).collect(),
                    None => code_system(system)?,
                };
                codes.iter().for_each(|code| list.add(system, code));
            }
            for code in concepts.iter().filter_map(|concept| concept.text("code")) {
                list.add(system, code);
            }
        }
        (list.len() <= CODES_MAX).then_some(list)
    }

    fn contained(&mut self, contains: &[Value]) -> Option<()> {
        // Concepts stand in each other; JSON's depth bounds how deep.
        for own in contains {
            let is_abstract = own.get("abstract").and_then(Value::as_bool) == Some(true);
            if let (Some(system), Some(code), false) =
                (own.text("system"), own.text("code"), is_abstract)
            {
                self.add(system, code);
            }
            self.contained(own.items("contains"))?;
        }
        (self.len() <= CODES_MAX).then_some(())
    }

    fn add(&mut self, system: &str, code: &str) {
        self.systems.entry(system.to_owned()).or_default().insert(code.to_owned());
    }

    fn len(&self) -> usize {
        self.systems.values().map(BTreeSet::len).sum()
    }

    /// Whether a code is in it, of a system where one is given.
    pub fn contains(&self, system: Option<&str>, code: &str) -> bool {
        let has = |codes: &BTreeSet<String>| codes.contains(code);
        match system {
            Some(system) => self.systems.get(system).is_some_and(has),
            None => self.systems.values().any(has),
        }
    }
}

/// The codes of a CodeSystem resource that has all of them; `None` of another.
pub(super) fn codes_of(code_system: &Value) -> Option<Vec<String>> {
    fn gather(concepts: &[Value], codes: &mut Vec<String>) {
        for concept in concepts {
            codes.extend(concept.text("code").map(str::to_owned));
            gather(concept.items("concept"), codes);
        }
    }
    if code_system.text("content") != Some("complete") {
        return None;
    }
    let mut codes = Vec::new();
    gather(code_system.items("concept"), &mut codes);
    (codes.len() <= CODES_MAX).then_some(codes)
}
