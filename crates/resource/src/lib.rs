//! FHIR R4 resources: JSON kept as it was written, the definitions, validation, FHIRPath, search parameters.
//!
//! Pure: no I/O, no clock, no SQL. What a server stores, checks and finds is decided here; how is
//! others' business.
//!
//! - [`definitions`]: R4's types, elements, codes, invariants and compartments as data.
//! - [`fhirpath`]: expressions over resources: search parameters, invariants, subscriptions.
//! - [`json`]: a resource's JSON, with its numbers' digits, its order and its unknown members.
//! - [`kept`]: elements that an update leaves as they stand.
//! - [`outcome`]: issues, and the OperationOutcome that carries them.
//! - [`patch`]: changing a resource by a JSON Patch or a FHIRPath Patch.
//! - [`search`]: what a search asks for, and what a resource is found by.
//! - [`validate`](mod@validate): whether a resource is valid.

pub mod definitions;
pub mod fhirpath;
pub mod json;
pub mod kept;
mod narrative;
pub mod outcome;
pub mod patch;
pub mod search;
pub mod validate;
