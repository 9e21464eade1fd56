//! The tables of types and elements, read once from the text that the crate carries.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::element::{Binding, BindingStrength, Element, ElementType};
use super::primitive::Primitive;
use super::type_definition::{MemberEntry, TypeDefinition, TypeKind, order};

/// Those of R4, and behind them our own.
const TEXT: &str = concat!(
    include_str!("../../definitions/elements.tsv"),
    include_str!("../../definitions/own-elements.tsv")
);

/// A type's place in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TypeIndex(u16);

impl From<TypeIndex> for usize {
    fn from(index: TypeIndex) -> Self {
        index.0.into()
    }
}

struct Table {
    types: Vec<TypeDefinition>,
    names: HashMap<&'static str, TypeIndex>,
    elements: Vec<Element>,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| Table::read(TEXT));

/// All types.
pub(super) fn types() -> &'static [TypeDefinition] {
    &TABLE.types
}

pub(super) fn type_named(name: &str) -> Option<&'static TypeDefinition> {
    TABLE.names.get(name).map(|index| type_at(*index))
}

pub(super) fn type_at(index: TypeIndex) -> &'static TypeDefinition {
    &TABLE.types[usize::from(index.0)]
}

pub(super) fn element_at(place: u16) -> &'static Element {
    &TABLE.elements[usize::from(place)]
}

/// The text is the crate's own: what is wrong in it is a defect, and the tests read all of it.
impl Table {
    fn read(text: &'static str) -> Self {
        let mut table = Self { types: Vec::new(), names: HashMap::new(), elements: Vec::new() };
        let lines = || text.lines().filter(|line| !line.starts_with('#'));
        for line in lines().filter(|line| !line.starts_with('\t')) {
            let index = TypeIndex(u16::try_from(table.types.len()).expect("fewer types than that"));
            let mut columns = line.split('\t');
            let name = columns.next().unwrap_or_default();
            let kind = match columns.next() {
                Some("primitive") => TypeKind::Primitive,
                Some("complex") => TypeKind::Complex,
                Some("resource") => TypeKind::Resource,
                Some("backbone") => TypeKind::Backbone,
                other => panic!("{other:?} is no kind of type"),
            };
            table.names.insert(name, index);
            table.types.push(TypeDefinition {
                name,
                index,
                kind,
                primitive: Primitive::named(name),
                base: None,
                is_abstract: line.ends_with("\tabstract"),
                elements: Vec::new(),
                members: Vec::new(),
                required: Vec::new(),
            });
        }
        let mut owner = TypeIndex(0);
        let mut own: Vec<Vec<u16>> = vec![Vec::new(); table.types.len()];
        for line in lines() {
            let mut columns = line.split('\t');
            let name = columns.next().unwrap_or_default();
            if name.is_empty() {
                let element = table.element(owner, columns);
                let place = u16::try_from(table.elements.len()).expect("fewer elements than that");
                own[usize::from(owner.0)].push(place);
                table.elements.push(element);
            } else {
                owner = table.index(name);
                let base = columns.nth(1).filter(|base| !base.is_empty());
                table.types[usize::from(owner.0)].base = base.map(|base| table.index(base));
            }
        }
        for at in 0..table.types.len() {
            let mut elements = Vec::new();
            let mut next = Some(TypeIndex(u16::try_from(at).expect("checked above")));
            while let Some(index) = next {
                elements.splice(0..0, own[usize::from(index.0)].iter().copied());
                next = table.types[usize::from(index.0)].base;
            }
            let definition = &mut table.types[at];
            for place in &elements {
                let element = &table.elements[usize::from(*place)];
                definition.members.extend((0..).zip(&element.types).map(|(choice, own)| {
                    MemberEntry { name: own.member, element: *place, choice }
                }));
                if element.least > 0 {
                    definition.required.push(*place);
                }
            }
            definition.members.sort_unstable_by(|a, b| order(a.name).cmp(&order(b.name)));
            definition.elements = elements;
        }
        table
    }

    fn index(&self, name: &str) -> TypeIndex {
        *self.names.get(name).unwrap_or_else(|| panic!("{name} is no type"))
    }

    fn element(&self, owner: TypeIndex, mut columns: std::str::Split<'static, char>) -> Element {
        let mut next = || columns.next().unwrap_or_default();
        let full_name = next();
        let name = full_name.trim_end_matches("[x]");
        let is_choice = name.len() < full_name.len();
        let least = next().parse().expect("min is a number");
        let most = match next() {
            "*" => None,
            most => Some(most.parse().expect("max is a number")),
        };
        let types = next()
            .split('|')
            .map(|text| {
                let (code, targets) = match text.split_once('(') {
                    Some((code, targets)) => {
                        (code, targets.trim_end_matches(')').split(',').collect())
                    }
                    None => (text, Vec::new()),
                };
                let member = if is_choice { choice_member(name, code) } else { name };
                let targets = if targets == ["Resource"] { Vec::new() } else { targets };
                ElementType { member, index: self.index(code), targets }
            })
            .collect();
        let flags = next();
        let strength = match next() {
            "required" => Some(BindingStrength::Required),
            "extensible" => Some(BindingStrength::Extensible),
            "preferred" => Some(BindingStrength::Preferred),
            "example" => Some(BindingStrength::Example),
            _ => None,
        };
        let value_set = next();
        Element {
            name,
            owner,
            least,
            most,
            types,
            binding: strength.map(|strength| Binding { strength, value_set }),
            is_choice,
            is_summary: flags.contains('S'),
            is_modifier: flags.contains('M'),
            is_simple_quantity: flags.contains('Q'),
            is_content_reference: flags.contains('C'),
        }
    }
}

/// `value` and `dateTime` make `valueDateTime`. The name lives as long as the table, that is, for good.
fn choice_member(name: &str, code: &str) -> &'static str {
    let mut member = String::with_capacity(name.len() + code.len());
    member.push_str(name);
    let mut rest = code.chars();
    member.extend(rest.next().map(|first| first.to_ascii_uppercase()));
    member.push_str(rest.as_str());
    Box::leak(member.into_boxed_str())
}
