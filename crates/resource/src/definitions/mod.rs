//! FHIR R4 (4.0.1) as data: types and their elements, invariants, codes, compartments.
//!
//! A type is found by its name: `Patient`, `HumanName`, `dateTime`, and what has no name of its own by its
//! path, `Patient.contact`. It knows all its elements, its own and those of the types it is based on:
//!
//! ```
//! use pipehat_resource::definitions::TypeDefinition;
//!
//! let observation = TypeDefinition::named("Observation").unwrap();
//! let (element, type_code) = observation.element("valueQuantity").unwrap();
//! assert_eq!((element.name(), type_code), ("value", "Quantity"));
//! assert!(TypeDefinition::named("Age").unwrap().is_a("Quantity"));
//! ```
//!
//! The tables stand in the crate as text (`definitions/*.tsv`, made by `cargo xtask resource-definitions`)
//! and are read once, when the first is asked for: some milliseconds, and about 2 MB held for good.
//!
//! Behind R4's stands one resource type of our own, `Bot` (`definitions/own-*.tsv`): a program that runs in the server,
//! with the members that Medplum's has.
//!
//! Left out: elements' descriptions, profiles, code systems of other makers (LOINC, UCUM, media types,
//! currencies). Search parameters are [`search`](crate::search)'s.

mod code;
mod compartment;
mod element;
mod invariant;
mod primitive;
mod table;
mod type_definition;

pub use code::{CodeSystem, Concept, ValueSet};
pub use compartment::Compartment;
pub use element::{Binding, BindingStrength, Element, ElementType};
pub use invariant::Invariant;
pub use primitive::Primitive;
pub use type_definition::{Member, TypeDefinition, TypeKind, all_types, resource_types};
