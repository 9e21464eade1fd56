//! FHIRPath: N1 (2.0.0) with what FHIR R4 adds to it, over JSON that is only borrowed.
//!
//! An [`Expression`] is read once and evaluated as often as one likes, on a resource or on an element
//! ([`Item`]) and in a [`Context`] that says what else can be known: the time, other resources, variables.
//!
//! ```
//! use pipehat_resource::fhirpath::{Context, Expression};
//! use pipehat_resource::json;
//!
//! let patient = json::parse(br#"{"resourceType": "Patient", "name": [{"family": "Example"}]}"#).unwrap();
//! let family = Expression::parse("Patient.name.where(use.empty()).family").unwrap();
//! let context = Context::new(jiff::Timestamp::UNIX_EPOCH);
//! let items = family.evaluate(&patient, &context).unwrap();
//! assert_eq!(items[0].as_str(), Some("Example"));
//! ```
//!
//! What is guaranteed: no input panics; an evaluation ends within its [`Limits`]; errors name a column of
//! the expression and never a value. Decimals are exact and keep their digits, dates keep their precision.
//!
//! Where N1 leaves a choice or FHIR's own expressions need one:
//! - `as` and `ofType` filter collections of any size, as R4's search parameters and invariants expect
//!   (`descendants().as(canonical)`); `is` takes one item. Of primitives, `as` and `ofType` take the very
//!   type, `is` those based on it as well, as the specification's test cases have it.
//! - Of the next version there are `matchesFull`, `lastIndexOf`, `trim`, `split` and `join`.
//! - A choice is found by its name (`value`) and by that of its JSON (`valueQuantity`).
//! - `resolve()` finds contained resources, entries of the same bundle, and what a [`Resolver`] knows. A
//!   reference that names a type and is found nowhere gives a resource of that type about which nothing
//!   else is known, so that `resolve() is Patient` can be answered without reading it.
//! - A name that no version of the specification defines is empty, not an error: resources of other
//!   versions and extensions can be looked at.
//! - A time without an offset compares with one that has it only where no offset would change the answer.
//! - Integers have 64 bits. What leaves its range is empty.
//!
//! What is refused: look-around and back-references in patterns, `elementDefinition()` and `slice()`, which
//! need a profile, and terminology that no resolver answers.

mod budget;
mod context;
mod decimal;
mod equality;
mod error;
mod evaluate;
mod expression;
mod foresight;
mod function;
mod functions;
mod item;
mod model;
mod navigate;
mod operators;
mod parse;
mod quantity;
mod syntax;
mod temporal;
mod token;
mod ucum;

pub use context::{Context, ITEMS_MAX, Limits, Resolver, STEPS_MAX, STRING_BYTES_MAX};
pub use decimal::Decimal;
pub use error::{EvaluationError, EvaluationProblem, ParseError, ParseProblem};
pub use expression::{EXPRESSION_BYTES_MAX, EXPRESSION_DEPTH_MAX, Expression, PATTERN_BYTES_MAX};
pub use foresight::{Doubt, DoubtProblem};
pub use item::{Element, Item, TypeInfo};
pub use quantity::Quantity;
pub use temporal::{Date, DateTime, Time};

#[cfg(test)]
mod tests;
