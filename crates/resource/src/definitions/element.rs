//! Elements: what may stand in a type.

use super::table::{self, TypeIndex};
use super::type_definition::TypeDefinition;

/// An element of a type.
#[derive(Debug)]
pub struct Element {
    pub(super) name: &'static str,
    pub(super) owner: TypeIndex,
    pub(super) least: u32,
    pub(super) most: Option<u32>,
    pub(super) types: Vec<ElementType>,
    pub(super) binding: Option<Binding>,
    pub(super) is_choice: bool,
    pub(super) is_summary: bool,
    pub(super) is_modifier: bool,
    pub(super) is_simple_quantity: bool,
    pub(super) is_content_reference: bool,
}

/// One of the types that an element's value may be of.
#[derive(Debug)]
pub struct ElementType {
    pub(super) member: &'static str,
    pub(super) index: TypeIndex,
    pub(super) targets: Vec<&'static str>,
}

/// The codes that an element takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binding {
    /// How strictly.
    pub strength: BindingStrength,
    /// The value set's canonical URL, without a version.
    pub value_set: &'static str,
}

/// How strictly an element is bound to its value set (R4 §4.1.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BindingStrength {
    /// Only codes of the value set.
    Required,
    /// Codes of the value set where one fits.
    Extensible,
    /// Codes of the value set are encouraged.
    Preferred,
    /// The value set only shows what is meant.
    Example,
}

impl Element {
    /// The name; of a choice without `[x]`: `value`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The type that defines it: `DomainResource` for `Patient`'s `contained`.
    pub fn defined_by(&self) -> &'static TypeDefinition {
        table::type_at(self.owner)
    }

    /// How many there are at least.
    pub fn min(&self) -> u32 {
        self.least
    }

    /// How many there are at most; `None`: any number.
    pub fn max(&self) -> Option<u32> {
        self.most
    }

    /// Whether its JSON is an array.
    pub fn is_list(&self) -> bool {
        self.most != Some(1)
    }

    /// The types its value may be of; one where it is no choice.
    pub fn types(&self) -> &[ElementType] {
        &self.types
    }

    /// The types a reference may lead to, of all its types together; empty where any may be.
    pub fn targets(&self) -> impl Iterator<Item = &'static str> {
        self.types.iter().flat_map(|own| own.targets.iter().copied())
    }

    /// The value set it is bound to.
    pub fn binding(&self) -> Option<Binding> {
        self.binding
    }

    /// Whether its name carries its value's type: `value[x]`.
    pub fn is_choice(&self) -> bool {
        self.is_choice
    }

    /// Whether a summary has it (`_summary=true`).
    pub fn is_summary(&self) -> bool {
        self.is_summary
    }

    /// Whether it may change what the rest means.
    pub fn is_modifier(&self) -> bool {
        self.is_modifier
    }

    /// Whether it is a quantity without a comparator (the profile SimpleQuantity).
    pub fn is_simple_quantity(&self) -> bool {
        self.is_simple_quantity
    }

    /// Whether it is defined as another element is: `Bundle.entry.link` as `Bundle.link`.
    pub fn is_content_reference(&self) -> bool {
        self.is_content_reference
    }
}

impl ElementType {
    /// The member of the JSON object when the value is of this type: `valueQuantity`.
    pub fn member(&self) -> &'static str {
        self.member
    }

    /// The type's name; of what has no name of its own, its path: `Patient.contact`.
    pub fn code(&self) -> &'static str {
        self.definition().name()
    }

    /// The type.
    pub fn definition(&self) -> &'static TypeDefinition {
        table::type_at(self.index)
    }

    /// The resource types that a Reference of this element, or a canonical, may lead to; empty where any may be.
    pub fn targets(&self) -> &[&'static str] {
        &self.targets
    }
}
