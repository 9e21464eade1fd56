//! Which elements make up a resource's key: `tables/keys.tsv`.

use std::sync::LazyLock;

use hashbrown::HashMap;

const KEYS: &str = include_str!("../../tables/keys.tsv");

/// An element of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KeyElement {
    pub(crate) name: &'static str,
    /// Whether the key is one without it.
    pub(crate) is_optional: bool,
}

type Alternatives = Vec<Vec<KeyElement>>;

static TABLE: LazyLock<HashMap<&'static str, Alternatives>> = LazyLock::new(|| {
    KEYS.lines()
        .skip(1)
        .filter_map(|line| {
            let mut cells = line.split('\t');
            let (name, elements) = (cells.next()?, cells.next()?);
            Some((name, elements.split('|').map(alternative).collect()))
        })
        .collect()
});

fn alternative(text: &'static str) -> Vec<KeyElement> {
    let elements = text.split('+').map(|element| match element.strip_suffix('?') {
        Some(name) => KeyElement { name, is_optional: true },
        None => KeyElement { name: element, is_optional: false },
    });
    elements.collect()
}

/// The keys a resource type may have, the best first.
pub(crate) fn keys_of(resource_type: &str) -> &'static [Vec<KeyElement>] {
    TABLE.get(resource_type).map(Vec::as_slice).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use pipehat_resource::definitions::TypeDefinition;

    use super::*;

    #[test]
    fn keys_name_elements_that_there_are() {
        assert!(!TABLE.is_empty());
        for (name, alternatives) in &*TABLE {
            let own = TypeDefinition::named(name).unwrap_or_else(|| panic!("no type {name}"));
            for element in alternatives.iter().flatten() {
                let known = own.member(element.name).is_some();
                assert!(known, "{name}.{}", element.name);
            }
        }
    }
}
