//! Types: resources, data types, primitives, and groups of elements.

use super::element::{Element, ElementType};
use super::primitive::Primitive;
use super::table::{self, TypeIndex};

/// A type.
#[derive(Debug)]
pub struct TypeDefinition {
    pub(super) name: &'static str,
    pub(super) index: TypeIndex,
    pub(super) kind: TypeKind,
    pub(super) primitive: Option<Primitive>,
    pub(super) base: Option<TypeIndex>,
    pub(super) is_abstract: bool,
    /// Places in the table of elements, those of the base first.
    pub(super) elements: Vec<u16>,
    /// The members of its JSON object, by length and name.
    pub(super) members: Vec<MemberEntry>,
    /// Those of its elements that must be there.
    pub(super) required: Vec<u16>,
}

/// What a member of a JSON object is.
#[derive(Debug, Clone, Copy)]
pub(super) struct MemberEntry {
    pub(super) name: &'static str,
    pub(super) element: u16,
    /// Which of the element's types.
    pub(super) choice: u16,
}

/// What a member of a JSON object is: an element, and which of its types.
#[derive(Debug, Clone, Copy)]
pub struct Member {
    /// The element.
    pub element: &'static Element,
    /// The type, of those the element may be of.
    pub element_type: &'static ElementType,
}

/// What kind a type is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TypeKind {
    /// `string`, `dateTime`…: a JSON value that is no object.
    Primitive,
    /// `HumanName`, `Quantity`…
    Complex,
    /// `Patient`…
    Resource,
    /// A group of elements of another type, without a name of its own.
    Backbone,
}

impl TypeDefinition {
    /// The type of this name or, for a group of elements, of this path: `Patient.contact`.
    pub fn named(name: &str) -> Option<&'static Self> {
        table::type_named(name)
    }

    /// The name or path.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Its place in [`all_types`], from 0: for tables beside this one.
    pub fn index(&self) -> usize {
        self.index.into()
    }

    /// The kind.
    pub fn kind(&self) -> TypeKind {
        self.kind
    }

    /// Which primitive type it is.
    pub fn primitive(&self) -> Option<Primitive> {
        self.primitive
    }

    /// Whether no value is of this type, only of those based on it: `Element`, `Resource`…
    pub fn is_abstract(&self) -> bool {
        self.is_abstract
    }

    /// The type it is based on.
    pub fn base(&self) -> Option<&'static Self> {
        self.base.map(table::type_at)
    }

    /// Whether it is this type, or based on it.
    pub fn is_a(&self, name: &str) -> bool {
        self.name == name || self.base().is_some_and(|base| base.is_a(name))
    }

    /// Its elements, those of the types it is based on first.
    pub fn elements(&self) -> impl ExactSizeIterator<Item = &'static Element> {
        self.elements.iter().map(|place| table::element_at(*place))
    }

    /// The elements that must be there.
    pub fn required_elements(&self) -> impl ExactSizeIterator<Item = &'static Element> {
        self.required.iter().map(|place| table::element_at(*place))
    }

    /// The element a JSON member holds, and its value's type: for `valueQuantity` the choice `value` and `Quantity`,
    /// for a group of elements its path.
    pub fn element(&self, member: &str) -> Option<(&'static Element, &'static str)> {
        let found = self.member(member)?;
        Some((found.element, found.element_type.code()))
    }

    /// The element a JSON member holds, and its value's type, for more than the type's name.
    pub fn member(&self, name: &str) -> Option<Member> {
        let place =
            self.members.binary_search_by(|entry| order(entry.name).cmp(&order(name))).ok()?;
        let entry = self.members.get(place)?;
        let element = table::element_at(entry.element);
        Some(Member { element, element_type: element.types.get(usize::from(entry.choice))? })
    }

    /// The element of this name, for a choice without `[x]` and type: `value`.
    pub fn element_named(&self, name: &str) -> Option<&'static Element> {
        self.elements().find(|element| element.name == name)
    }

    /// The members its JSON object may have, apart from `resourceType` and the `_` siblings of primitives.
    pub fn member_names(&self) -> impl ExactSizeIterator<Item = &'static str> {
        self.members.iter().map(|entry| entry.name)
    }
}

impl PartialEq for TypeDefinition {
    fn eq(&self, other: &Self) -> bool {
        self.index == other.index
    }
}

impl Eq for TypeDefinition {}

/// Members are ordered by length first: most comparisons end there.
pub(super) fn order(name: &str) -> (usize, &str) {
    (name.len(), name)
}

/// All types: resources, data types, primitives, groups of elements.
pub fn all_types() -> &'static [TypeDefinition] {
    table::types()
}

/// The resource types that there are resources of.
pub fn resource_types() -> impl Iterator<Item = &'static TypeDefinition> {
    table::types().iter().filter(|own| own.kind == TypeKind::Resource && !own.is_abstract)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> &'static TypeDefinition {
        TypeDefinition::named(name).unwrap_or_else(|| panic!("{name} is no type"))
    }

    #[track_caller]
    fn check(owner: &str, member: &str, expected: Option<(&str, &str)>) {
        let found = named(owner).element(member).map(|(element, code)| (element.name(), code));
        assert_eq!(found, expected, "{owner}.{member}");
    }

    #[test]
    fn members_are_found() {
        check("Patient", "birthDate", Some(("birthDate", "date")));
        check("Patient", "contact", Some(("contact", "Patient.contact")));
        check("Patient", "id", Some(("id", "id")));
        check("Patient", "contained", Some(("contained", "Resource")));
        check("Patient.contact", "gender", Some(("gender", "code")));
        check("Patient.contact", "id", Some(("id", "string")));
        check("Patient.contact", "modifierExtension", Some(("modifierExtension", "Extension")));
        check("Observation", "valueQuantity", Some(("value", "Quantity")));
        check("Observation", "valueAge", None);
        check("Observation", "value", None);
        check("Observation", "value[x]", None);
        check("Bundle.entry", "link", Some(("link", "Bundle.link")));
        check("Questionnaire.item", "item", Some(("item", "Questionnaire.item")));
        check("Timing", "repeat", Some(("repeat", "Timing.repeat")));
        check("Timing.repeat", "boundsPeriod", Some(("bounds", "Period")));
        check("Age", "value", Some(("value", "decimal")));
        check("Extension", "valueBase64Binary", Some(("value", "base64Binary")));
        check("Extension", "url", Some(("url", "uri")));
        check("Meta", "project", None);
        check("Binary", "url", None);
        check(
            "EvidenceVariable.characteristic",
            "definitionCodeableConcept",
            Some(("definition", "CodeableConcept")),
        );
    }

    #[test]
    fn types_know_what_they_are_based_on() {
        for (own, base) in [
            ("Patient", "DomainResource"),
            ("Patient", "Resource"),
            ("Bundle", "Resource"),
            ("Age", "Quantity"),
            ("Duration", "Element"),
            ("code", "string"),
            ("positiveInt", "integer"),
            ("uuid", "uri"),
            ("Dosage", "BackboneElement"),
            ("Patient.contact", "BackboneElement"),
        ] {
            assert!(named(own).is_a(base), "{own} is a {base}");
        }
        assert!(!named("Bundle").is_a("DomainResource"));
        assert!(!named("Quantity").is_a("Age"));
        assert_eq!(TypeDefinition::named("MetadataResource"), None);
        assert_eq!(TypeDefinition::named("patient"), None);
    }

    #[test]
    fn elements_have_their_rules() {
        let status = named("Observation").element_named("status").expect("it is an element");
        assert_eq!(
            (status.min(), status.max(), status.is_modifier(), status.is_summary()),
            (1, Some(1), true, true)
        );
        let category = named("Observation").element_named("category").expect("it is an element");
        assert_eq!((category.min(), category.max(), category.is_list()), (0, None, true));
        let subject = named("Encounter").element_named("subject").expect("it is an element");
        assert_eq!(subject.targets().collect::<Vec<_>>(), ["Patient", "Group"]);
        let low =
            named("Observation.referenceRange").element_named("low").expect("it is an element");
        assert!(low.is_simple_quantity());
    }

    #[test]
    fn r4_has_146_resource_types_and_one_is_our_own() {
        assert_eq!(resource_types().count(), 146 + 1);
        assert!(resource_types().all(|own| own.is_a("Resource") && own.base().is_some()));
    }

    #[test]
    fn every_primitive_is_known() {
        let primitives = table::types().iter().filter(|own| own.kind() == TypeKind::Primitive);
        assert_eq!(primitives.clone().count(), 20);
        assert!(primitives.clone().all(|own| own.primitive().is_some()));
    }

    #[test]
    fn every_type_an_element_may_be_of_is_known() {
        for own in table::types() {
            for element in own.elements() {
                assert!(!element.types().is_empty(), "{}.{}", own.name(), element.name());
                for element_type in element.types() {
                    let found = own.element(element_type.member());
                    let found = found.map(|(element, code)| (element.name(), code));
                    let expected = Some((element.name(), element_type.code()));
                    assert_eq!(found, expected, "{}", own.name());
                    for target in element_type.targets() {
                        assert!(TypeDefinition::named(target).is_some(), "{target}");
                    }
                }
            }
        }
    }
}
