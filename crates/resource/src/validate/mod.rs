//! Whether a resource is valid: against R4's types, its code lists and its invariants.
//!
//! ```
//! use pipehat_resource::json::parse;
//! use pipehat_resource::validate::{Checks, validate};
//!
//! let patient = parse(br#"{"resourceType": "Patient", "birthDate": "1980-02-30"}"#).unwrap();
//! let issues = validate(&patient, Checks::Structure);
//! assert_eq!(issues[0].expression.as_deref(), Some("Patient.birthDate"));
//! assert_eq!(issues[0].text, "expected a date as in 2024, 2024-05 or 2024-05-17");
//! ```
//!
//! Checked by [`Checks::Structure`]: resource types, unknown members, JSON types, how many there are, arrays,
//! nothing empty, `null` and the `_` siblings of primitives, every primitive type's form (dates are real days),
//! choices, the resource types references lead to, references to contained resources, the rules of contained
//! resources and of extensions, required bindings, the safe subset of XHTML in narrative; in what is contained and
//! in a Bundle's entries as well.
//! [`Checks::All`] adds the invariants of the types ([`Invariant`](crate::definitions::Invariant)), in what has no
//! error of structure. One that can't be decided is a warning.
//!
//! Profiles are checked by [`validate_profile`], beyond R4's own rules.
//!
//! Not checked: extensible bindings (a code outside may be right), whether what is referred to exists,
//! and codes of code systems that FHIR does not publish, apart from their form.
//!
//! An issue says where by FHIRPath and by JSON path; [`locate`](crate::outcome::locate) finds the line. No text holds
//! a value. At most [`ISSUES_MAX`] issues are reported, and values nested deeper than [`DEPTH_MAX`] are refused.

mod binding;
mod contained;
mod invariants;
mod place;
mod primitive;
mod profile;
mod reference;
mod structure;

pub use profile::{
    CodeList, ELEMENTS_MAX, PROFILES_MAX, Profile, ProfileError, ProfileLibrary, Wanted,
    validate_profile,
};
pub use structure::{Checks, DEPTH_MAX, ISSUES_MAX, validate};

#[cfg(test)]
pub(crate) mod tests;
