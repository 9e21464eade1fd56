//! The types of FHIR as FHIRPath sees them (R4 §2.9.1.1).

use super::item::System;
use crate::definitions::{Member, TypeDefinition, TypeKind};

/// A FHIR type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Type(&'static TypeDefinition);

impl Type {
    pub(super) fn named(name: &str) -> Option<Self> {
        TypeDefinition::named(name).map(Self)
    }

    pub(super) fn of(definition: &'static TypeDefinition) -> Self {
        Self(definition)
    }

    pub(super) fn name(self) -> &'static str {
        self.0.name()
    }

    /// The name that `type()` gives: a group of elements is a `BackboneElement` or `Element`.
    pub(super) fn public_name(self) -> &'static str {
        match self.0.kind() {
            TypeKind::Backbone => self.0.base().map_or("BackboneElement", TypeDefinition::name),
            TypeKind::Primitive | TypeKind::Complex | TypeKind::Resource => self.name(),
        }
    }

    /// Whether it is the other type, or based on it.
    pub(super) fn is_a(self, other: Self) -> bool {
        let mut own = Some(self.0);
        while let Some(type_) = own {
            if type_ == other.0 {
                return true;
            }
            own = type_.base();
        }
        false
    }

    /// Whether values of it are of some resource type, to be seen from the value.
    pub(super) fn is_any_resource(self) -> bool {
        self.0.is_abstract() && self.0.kind() == TypeKind::Resource
    }

    pub(super) fn is_primitive(self) -> bool {
        self.0.kind() == TypeKind::Primitive
    }

    /// What a member of its JSON object is.
    pub(super) fn member(self, name: &str) -> Option<Member> {
        self.0.member(name)
    }

    /// FHIRPath's own type that a value of it is implicitly.
    pub(super) fn system(self) -> Option<System> {
        if self.0.kind() != TypeKind::Primitive {
            let is_quantity = self.0.kind() == TypeKind::Complex
                && (self.name() == "Quantity" || self.0.is_a("Quantity"));
            return is_quantity.then_some(System::Quantity);
        }
        Some(match self.name() {
            "boolean" => System::Boolean,
            "integer" | "positiveInt" | "unsignedInt" => System::Integer,
            "decimal" => System::Decimal,
            "date" => System::Date,
            "dateTime" | "instant" => System::DateTime,
            "time" => System::Time,
            _ => System::String,
        })
    }
}
