//! Items that are known by two places together, as an identifier by its system and type. The first may be one of several: who
//! has no system is known by who assigned it (`system|assigner.reference`).

use std::collections::{HashMap, HashSet};

use super::items::texts_at;
use crate::json::Value;

/// What told items say at two places.
#[derive(Debug)]
pub(super) struct Told<'p> {
    one: &'p str,
    other: Option<&'p str>,
    /// Of a text at the one place what stands at the other, and whether an item has nothing there.
    texts: HashMap<String, (HashSet<String>, bool)>,
}

impl<'p> Told<'p> {
    /// Of items, by `system+value`.
    pub(super) fn of<'v>(
        path: &'p str,
        news: impl Iterator<Item = &'v Value>,
        called: &impl Fn(&str) -> Option<String>,
    ) -> Self {
        let (one, other) = match path.split_once('+') {
            Some((one, other)) => (one, Some(other)),
            None => (path, None),
        };
        let mut texts: HashMap<String, (HashSet<String>, bool)> = HashMap::new();
        for item in news {
            let others = other.map(|path| all_at(item, path)).unwrap_or_default();
            let (known, is_open) = texts.entry(first_at(item, one, called)).or_default();
            *is_open |= others.is_empty();
            known.extend(others);
        }
        Self { one, other, texts }
    }

    /// Whether an item that stands is one of those: it says the same at the one place, and nothing else at the other. What says
    /// nothing there may be any of them.
    pub(super) fn is_told(&self, item: &Value, called: &impl Fn(&str) -> Option<String>) -> bool {
        let Some((known, is_open)) = self.texts.get(&first_at(item, self.one, called)) else {
            return false;
        };
        let others = self.other.map(|path| all_at(item, path)).unwrap_or_default();
        *is_open || others.is_empty() || others.iter().any(|own| known.contains(own))
    }
}

fn all_at(item: &Value, path: &str) -> Vec<String> {
    let mut texts = Vec::new();
    texts_at(item, path, &mut texts);
    texts
}

/// The first text at the first of several places that has one; nothing there is known by that.
fn first_at(item: &Value, places: &str, called: &impl Fn(&str) -> Option<String>) -> String {
    let mut texts = places.split('|').flat_map(|path| all_at(item, path));
    let text = texts.next().unwrap_or_default();
    called(&text).unwrap_or(text)
}
