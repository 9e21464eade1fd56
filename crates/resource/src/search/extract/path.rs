//! Expressions of search parameters that are plain paths, read once against the definitions.
//!
//! Nearly all of FHIR's own are: `Patient.name.family`, `(Observation.value as Quantity)`,
//! `Encounter.subject.where(resolve() is Patient)`, and alternatives of these with `|`. Walking such a path is many
//! times faster than evaluating FHIRPath, and the path knows the value set that a `code` is bound to. Whatever
//! has another form is left to [`fhirpath`](crate::fhirpath).

use super::reference::referred_type;
use crate::definitions::{BindingStrength, TypeDefinition, ValueSet};
use crate::json::Value;

/// How many alternatives a path may have.
const ALTERNATIVES_MAX: usize = 100;

/// Paths, any of which may lead to values.
#[derive(Debug, Clone)]
pub(in crate::search) struct Paths(Vec<Path>);

#[derive(Debug, Clone)]
struct Path {
    steps: Vec<Step>,
    /// What it leads to where no step is a member: the type it began with.
    start: &'static TypeDefinition,
}

#[derive(Debug, Clone)]
enum Step {
    /// To one of these members of a JSON object; several of a choice.
    Members(Vec<Member>),
    /// Only where a member is this text.
    Equals(Box<str>, Box<str>),
    /// Only references to this type.
    RefersTo(Box<str>),
}

#[derive(Debug, Clone, Copy)]
struct Member {
    name: &'static str,
    definition: &'static TypeDefinition,
    /// What the element is bound to.
    value_set: Option<&'static ValueSet>,
}

/// A value that a path leads to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found<'a> {
    pub(super) value: &'a Value,
    pub(super) type_name: &'a str,
    /// What a `code` is bound to.
    pub(super) value_set: Option<&'static ValueSet>,
}

impl Paths {
    /// Reads an expression on resources (or elements) of a type; `None` where it is no plain path.
    pub(super) fn read(expression: &str, base: &'static TypeDefinition) -> Option<Self> {
        let paths: Vec<Path> = alternatives(expression)
            .into_iter()
            .map(|alternative| Path::read(alternative, base))
            .collect::<Option<_>>()?;
        (paths.len() <= ALTERNATIVES_MAX).then_some(Self(paths))
    }

    /// The types that its values may be of.
    pub(super) fn types(&self) -> impl Iterator<Item = &'static TypeDefinition> {
        self.0.iter().flat_map(|path| path.ends()).map(|(definition, _)| definition)
    }

    /// Gives every value to `found`, in the order of the alternatives.
    pub(super) fn walk<'a>(
        &self,
        root: &'a Value,
        value: &'a Value,
        found: &mut dyn FnMut(Found<'a>),
    ) {
        for path in &self.0 {
            let start = Found { value, type_name: path.start.name(), value_set: None };
            walk(&path.steps, root, start, found);
        }
    }
}

fn walk<'a>(steps: &[Step], root: &'a Value, at: Found<'a>, found: &mut dyn FnMut(Found<'a>)) {
    let Some((step, rest)) = steps.split_first() else {
        if *at.value != Value::Null {
            found(at);
        }
        return;
    };
    match step {
        Step::Members(members) => {
            let Some(object) = at.value.as_object() else { return };
            for member in members {
                let Some(value) = object.get(member.name) else { continue };
                let to = |value| Found {
                    value,
                    type_name: member.definition.name(),
                    value_set: member.value_set,
                };
                match value {
                    Value::Array(items) => {
                        for item in items {
                            walk(rest, root, to(item), found);
                        }
                    }
                    value => walk(rest, root, to(value), found),
                }
            }
        }
        Step::Equals(member, text) => {
            if at.value.text(member) == Some(text) {
                walk(rest, root, at, found);
            }
        }
        Step::RefersTo(resource_type) => {
            if referred_type(root, at.value).is_some_and(|name| *name == **resource_type) {
                walk(rest, root, at, found);
            }
        }
    }
}

impl Path {
    fn read(text: &str, base: &'static TypeDefinition) -> Option<Self> {
        let mut path = Self { steps: Vec::new(), start: base };
        let mut rest = text.trim();
        if let Some(inner) = rest.strip_prefix('(') {
            // `(PATH as TYPE)`, and perhaps more behind it.
            let (inner, behind) = inner.split_once(')')?;
            let (inner_path, type_name) = inner.split_once(" as ")?;
            path.read_steps(inner_path.trim(), true)?;
            path.narrow(type_name.trim())?;
            rest = behind.trim();
            if rest.is_empty() {
                return Some(path);
            }
            path.read_steps(rest.strip_prefix('.')?, false)?;
        } else {
            path.read_steps(rest, true)?;
        }
        Some(path)
    }

    /// Reads `a.b.where(c='d').e`. The first name may be that of the type.
    fn read_steps(&mut self, text: &str, mut first: bool) -> Option<()> {
        for part in split_outside(text, '.') {
            let part = part.trim();
            let is_type = first && self.start.is_a(part);
            first = false;
            if is_type {
                continue;
            }
            match part.split_once('(') {
                None => self.member(part)?,
                Some(("as", argument)) => self.narrow(argument.strip_suffix(')')?.trim())?,
                Some(("where", argument)) => self.condition(argument.strip_suffix(')')?.trim())?,
                Some(_) => return None,
            }
        }
        Some(())
    }

    fn member(&mut self, name: &str) -> Option<()> {
        let mut ends = self.ends();
        let (owner, _) = ends.pop()?;
        // Only where one type stands do its elements.
        if !ends.is_empty() {
            return None;
        }
        let element = owner.element_named(name)?;
        let value_set = element
            .binding()
            .filter(|binding| binding.strength == BindingStrength::Required)
            .and_then(|binding| ValueSet::named(binding.value_set));
        let members: Vec<Member> = element
            .types()
            .iter()
            .map(|own| Member { name: own.member(), definition: own.definition(), value_set })
            .collect();
        // What stands in a resource inside of another is known only when it is seen.
        if members.iter().any(|member| member.definition.is_abstract()) {
            return None;
        }
        self.steps.push(Step::Members(members));
        Some(())
    }

    /// `as TYPE`: only values of this type, or of one based on it; of a primitive one only its own (a
    /// canonical is no `uri` here), as FHIRPath has it.
    fn narrow(&mut self, type_name: &str) -> Option<()> {
        let Some(Step::Members(members)) = self.steps.last_mut() else { return None };
        members.retain(|member| match member.definition.primitive() {
            Some(_) => member.definition.name() == type_name,
            None => member.definition.is_a(type_name),
        });
        (!members.is_empty()).then_some(())
    }

    /// `NAME='TEXT'` or `resolve() is TYPE`.
    fn condition(&mut self, text: &str) -> Option<()> {
        if let Some(type_name) = text.strip_prefix("resolve() is ") {
            TypeDefinition::named(type_name)?;
            self.steps.push(Step::RefersTo(type_name.into()));
            return Some(());
        }
        let (name, literal) = text.split_once('=')?;
        let literal = literal.trim().strip_prefix('\'')?.strip_suffix('\'')?;
        let is_plain = !literal.contains(['\'', '\\']);
        let all_have_it = self.ends().iter().all(|(definition, _)| {
            definition.element_named(name.trim()).is_some_and(|element| !element.is_list())
        });
        if !is_plain || !all_have_it {
            return None;
        }
        self.steps.push(Step::Equals(name.trim().into(), literal.into()));
        Some(())
    }

    /// What it leads to now.
    fn ends(&self) -> Vec<(&'static TypeDefinition, Option<&'static ValueSet>)> {
        let members = self.steps.iter().rev().find_map(|step| match step {
            Step::Members(members) => Some(members),
            _ => None,
        });
        match members {
            Some(members) => {
                members.iter().map(|member| (member.definition, member.value_set)).collect()
            }
            None => vec![(self.start, None)],
        }
    }
}

/// The alternatives between `|` outside of parentheses.
fn alternatives(expression: &str) -> Vec<&str> {
    split_outside(expression, '|')
}

/// Splits where no parenthesis and no text is open.
fn split_outside(text: &str, separator: char) -> Vec<&str> {
    let mut depth = 0_usize;
    let mut quoted = false;
    let mut from = 0;
    let mut parts = Vec::new();
    for (at, character) in text.char_indices() {
        match character {
            '\'' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth = depth.saturating_sub(1),
            _ if character == separator && !quoted && depth == 0 => {
                parts.push(text.get(from..at).unwrap_or_default());
                from = at + character.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(text.get(from..).unwrap_or_default());
    parts
}
