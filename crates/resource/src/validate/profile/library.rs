//! The profiles and value sets at hand.

use std::collections::BTreeMap;

use super::code_list::{CodeList, codes_of};
use super::definition::Profile;
use crate::definitions::{CodeSystem, ValueSet};
use crate::json::Value;

/// As many profiles are looked at for one resource.
pub const PROFILES_MAX: usize = 200;

/// Profiles and value sets, by their addresses. Where one was looked for in vain, that is remembered.
#[derive(Debug, Default)]
pub struct ProfileLibrary {
    profiles: BTreeMap<String, Option<Profile>>,
    value_sets: BTreeMap<String, Option<CodeList>>,
    /// ValueSet resources that wait for code systems.
    waiting: BTreeMap<String, Value>,
    code_systems: BTreeMap<String, Option<Vec<String>>>,
}

/// What a library lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// A StructureDefinition of this address, perhaps with `|` and a version.
    Profile(String),
    /// A ValueSet.
    ValueSet(String),
    /// A CodeSystem.
    CodeSystem(String),
}

impl ProfileLibrary {
    /// An empty one, which wants these profiles.
    pub fn new() -> Self {
        Self::default()
    }

    /// What is needed for these profiles and is not there yet; each once, until it is [`added`](Self::add).
    pub fn wanted(&self, urls: &[String]) -> Vec<Wanted> {
        let mut wanted = Vec::new();
        let mut seen: Vec<&str> = Vec::new();
        let mut next: Vec<&str> = urls.iter().map(String::as_str).collect();
        while let Some(url) = next.pop() {
            if seen.contains(&url) || seen.len() >= PROFILES_MAX {
                continue;
            }
            seen.push(url);
            match self.profiles.get(url) {
                None => wanted.push(Wanted::Profile(url.to_owned())),
                Some(None) => {}
                Some(Some(profile)) => {
                    next.extend(profile.profiles_named());
                    for set in profile.value_sets_named() {
                        self.want_set(set, &mut wanted);
                    }
                }
            }
        }
        wanted
    }

    fn want_set(&self, url: &str, wanted: &mut Vec<Wanted>) {
        let ask = match self.waiting.get(url) {
            Some(set) => self.systems_wanted(set).into_iter().map(Wanted::CodeSystem).collect(),
            None if self.value_sets.contains_key(url) || ValueSet::named(url).is_some() => {
                Vec::new()
            }
            None => vec![Wanted::ValueSet(url.to_owned())],
        };
        for one in ask {
            if !wanted.contains(&one) {
                wanted.push(one);
            }
        }
    }

    fn systems_wanted(&self, set: &Value) -> Vec<String> {
        let includes = set.get("compose").map(|own| own.items("include")).unwrap_or_default();
        let whole = includes.iter().filter(|include| include.items("concept").is_empty());
        let systems = whole.filter_map(|include| include.text("system"));
        let unknown = systems.filter(|system| {
            CodeSystem::named(system).is_none() && !self.code_systems.contains_key(*system)
        });
        unknown.map(str::to_owned).collect()
    }

    /// Takes in what was wanted, `None` where there is none. What can't be read counts as none.
    pub fn add(&mut self, wanted: Wanted, found: Option<&Value>) {
        match wanted {
            Wanted::Profile(url) => {
                self.profiles.insert(url, found.and_then(|own| Profile::read(own).ok()));
            }
            Wanted::ValueSet(url) => match found {
                Some(set) if !self.systems_wanted(set).is_empty() => {
                    self.waiting.insert(url, set.clone());
                }
                set => {
                    let list = set.and_then(|set| self.codes(set));
                    self.value_sets.insert(url, list);
                }
            },
            Wanted::CodeSystem(url) => {
                self.code_systems.insert(url, found.and_then(codes_of));
            }
        }
        let ready: Vec<String> = self
            .waiting
            .iter()
            .filter(|(_, set)| self.systems_wanted(set).is_empty())
            .map(|(url, _)| url.clone())
            .collect();
        for url in ready {
            let list = self.waiting.remove(&url).and_then(|set| self.codes(&set));
            self.value_sets.insert(url, list);
        }
    }

    fn codes(&self, set: &Value) -> Option<CodeList> {
        CodeList::read(set, &|system| self.code_systems.get(system).cloned().flatten())
    }

    /// The profile of an address.
    pub fn profile(&self, url: &str) -> Option<&Profile> {
        self.profiles.get(url)?.as_ref()
    }

    /// Whether a code is in a value set; `None` where the set's codes are not known.
    pub fn has_code(&self, value_set: &str, system: Option<&str>, code: &str) -> Option<bool> {
        if let Some(set) = self.value_sets.get(value_set) {
            return Some(set.as_ref()?.contains(system, code));
        }
        let set = ValueSet::named(value_set)?;
        Some(match system {
            Some(system) => set.contains(system, code),
            None => set.system_of(code).is_some(),
        })
    }
}
