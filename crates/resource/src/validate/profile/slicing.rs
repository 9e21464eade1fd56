//! Which slice a value belongs to (R4 §5.1.0.4.1).

use super::check::{Held, ProfileCheck, Walk};
use super::definition::{Node, SlicingRules, core_type};
use super::library::ProfileLibrary;
use super::pattern::{fits_pattern, is_fixed};
use crate::definitions::{BindingStrength, TypeDefinition};
use crate::json::Value;
use crate::validate::place::Frame;

/// What tells the values of a slice from others: all of these.
#[derive(Debug)]
pub(super) struct SliceRule<'p> {
    tests: Vec<Test<'p>>,
}

#[derive(Debug)]
struct Test<'p> {
    /// Names of elements, from the value on; none for the value itself.
    path: Vec<&'p str>,
    expected: Expected<'p>,
}

#[derive(Debug)]
enum Expected<'p> {
    Fixed(Value),
    Pattern(Value),
    /// A code of this value set.
    Bound(&'p str),
    /// The address of an extension.
    Address(&'p str),
    Exists(bool),
    /// One of these types.
    Types(Vec<&'p str>),
}

impl SliceRule<'_> {
    /// Whether a value is of the slice.
    pub(super) fn takes(&self, value: &Held<'_>, library: &ProfileLibrary) -> bool {
        self.tests.iter().all(|test| test.holds(value, library))
    }
}

impl Test<'_> {
    fn holds(&self, value: &Held<'_>, library: &ProfileLibrary) -> bool {
        let mut found = vec![*value];
        for name in &self.path {
            found = found.iter().flat_map(|own| own.children(name)).collect();
        }
        let values = || found.iter().filter_map(|own| own.value);
        match &self.expected {
            Expected::Exists(expected) => found.is_empty() != *expected,
            Expected::Types(types) => {
                found.iter().any(|own| types.iter().any(|name| own.definition.is_a(name)))
            }
            Expected::Fixed(expected) => values().any(|own| is_fixed(expected, own)),
            Expected::Pattern(expected) => values().any(|own| fits_pattern(expected, own)),
            Expected::Address(expected) => values().any(|own| own.as_str() == Some(expected)),
            Expected::Bound(set) => values().any(|own| {
                let has = |system: Option<&str>, code: &str| {
                    library.has_code(set, system, code) == Some(true)
                };
                let coded = |own: &Value| {
                    own.text("code").is_some_and(|code| has(own.text("system"), code))
                };
                match own.as_str() {
                    Some(code) => has(None, code),
                    None => coded(own) || own.items("coding").iter().any(coded),
                }
            }),
        }
    }
}

impl Node {
    /// Whether only values of slices may stand there.
    pub(super) fn is_closed(&self) -> bool {
        self.slicing.as_ref().is_some_and(|own| own.rules == SlicingRules::Closed)
    }
}

impl ProfileCheck<'_> {
    /// What tells the slices of an element apart; `None`, and told, where that can't be looked at.
    pub(super) fn slice_rules<'p>(
        &mut self,
        walk: &Walk<'p>,
        node: &'p Node,
        place: &Frame<'_>,
    ) -> Option<Vec<SliceRule<'p>>> {
        let mut rules = Vec::with_capacity(node.slices.len());
        for (name, slice) in &node.slices {
            let tests = if name.contains('/') { None } else { tests(node, slice, self.library) };
            match tests {
                Some(tests) if !tests.is_empty() => rules.push(SliceRule { tests }),
                _ => {
                    let text = format!(
                        "not checked: the slices of {}, by what tells {name} from others (profile {})",
                        node.name, walk.url
                    );
                    self.unchecked(place, text);
                    return None;
                }
            }
        }
        Some(rules)
    }
}

fn tests<'p>(node: &'p Node, slice: &'p Node, library: &ProfileLibrary) -> Option<Vec<Test<'p>>> {
    let Some(slicing) = &node.slicing else {
        // A differential need not say how extensions and choices are told apart (R4 §5.1.0.4.1).
        return match node.name.as_str() {
            "extension" | "modifierExtension" => Some(vec![of_value(slice, "url")?]),
            _ => Some(vec![of_type(Vec::new(), slice)?]),
        };
    };
    let mut tests = Vec::with_capacity(slicing.discriminators.len());
    for (kind, path) in &slicing.discriminators {
        let is_plain = path.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.');
        let path: Vec<&str> = match path.as_str() {
            "$this" => Vec::new(),
            path if is_plain => path.split('.').collect(),
            _ => return None,
        };
        let test = match kind.as_str() {
            "value" | "pattern" => match path.as_slice() {
                ["url"] if node.name == "extension" || node.name == "modifierExtension" => {
                    of_value(slice, "url")?
                }
                path => value_at(path, slice, library)?,
            },
            "exists" => {
                let own = slice.at(path.iter().copied())?;
                let exists = match (own.min, own.max) {
                    (_, Some(0)) => false,
                    (0, _) => return None,
                    _ => true,
                };
                Test { path, expected: Expected::Exists(exists) }
            }
            "type" => {
                let own = slice.at(path.iter().copied())?;
                of_type(path, own)?
            }
            _ => return None,
        };
        tests.push(test);
    }
    Some(tests)
}

/// The address of an extension: its own fixed `url`, or that of its profile.
fn of_value<'p>(slice: &'p Node, name: &'p str) -> Option<Test<'p>> {
    let fixed = slice.child(name).and_then(|own| own.fixed.clone().or(own.pattern.clone()));
    let expected = match fixed {
        Some(fixed) => Expected::Fixed(fixed),
        None => {
            let profile = slice.types.iter().flat_map(|rule| &rule.profiles).next()?;
            let url = profile.split('|').next().unwrap_or(profile);
            core_type(url).is_none().then_some(Expected::Address(url))?
        }
    };
    Some(Test { path: vec![name], expected })
}

/// What a slice asks for at a path: there, or as a part of what it asks for above.
fn value_at<'p>(path: &[&'p str], slice: &'p Node, library: &ProfileLibrary) -> Option<Test<'p>> {
    let mut node = slice;
    let mut at = 0;
    loop {
        let rest = path.get(at..).unwrap_or_default();
        let inside = |value: &Value| {
            rest.iter().try_fold(value.clone(), |own, name| match own.get(name) {
                Some(Value::Array(items)) => items.first().cloned(),
                other => other.cloned(),
            })
        };
        let before: Vec<&str> = path.get(..at).unwrap_or_default().to_vec();
        if let Some(fixed) = &node.fixed
            && let Some(value) = inside(fixed)
        {
            return Some(Test { path: path.to_vec(), expected: Expected::Fixed(value) });
        }
        if let Some(pattern) = &node.pattern
            && let Some(value) = inside(pattern)
        {
            return Some(Test { path: path.to_vec(), expected: Expected::Pattern(value) });
        }
        if rest.is_empty() {
            let bound = node.binding.as_ref()?;
            let known = bound.strength == BindingStrength::Required
                && library.has_code(&bound.value_set, None, "").is_some();
            return known
                .then(|| Test { path: before, expected: Expected::Bound(&bound.value_set) });
        }
        // `coding` may itself be sliced: then the one slice that must be there tells.
        let name = rest.first()?;
        let child = node.child(name)?;
        let required = child.slices.iter().find(|(_, own)| own.min > 0).map(|(_, own)| own);
        node = match (child.fixed.is_some() || child.pattern.is_some(), required) {
            (false, Some(own)) if child.children.is_empty() => own,
            _ => child,
        };
        at += 1;
    }
}

fn of_type<'p>(path: Vec<&'p str>, slice: &'p Node) -> Option<Test<'p>> {
    let types: Vec<&str> = slice
        .types
        .iter()
        .map(|rule| rule.code.as_str())
        .filter(|code| TypeDefinition::named(code).is_some())
        .collect();
    (!types.is_empty()).then_some(Test { path, expected: Expected::Types(types) })
}
