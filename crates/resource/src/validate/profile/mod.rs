//! Whether a resource keeps to a profile: a StructureDefinition that constrains one of R4's types (R4 §5.1).
//!
//! Checked: how many of an element there are, the types of choices, the types that references lead to, fixed values
//! and patterns, required bindings to value sets whose codes are known, `maxLength`, constraints by FHIRPath, the
//! profiles of extensions and data types, content references, and slices: by `value`, `pattern`, `exists` and `type`
//! discriminators on plain paths, and by the address of extensions; how many there are, what they ask for, and
//! whether others may stand there.
//!
//! What can't be checked is told by an issue of severity `information`, never passed over: a profile or value set
//! that is not known, other discriminators, slices in slices, the order of slices, `minValue` and `maxValue`. Not looked at by their
//! nature: `mustSupport`, extensible and weaker bindings, and whether what a reference leads to keeps to its profile.
//!
//! R4's own rules are [`validate`](super::validate)'s; a constraint that R4 has itself is not checked again here. A
//! profile with a differential only says what it changes of its base, and the base is checked as well.
//!
//! Pure: the profiles and value sets come from a [`ProfileLibrary`], which says what it lacks.

mod check;
mod code_list;
mod definition;
mod library;
mod pattern;
mod slicing;

pub use check::validate_profile;
pub use code_list::CodeList;
pub use definition::{ELEMENTS_MAX, Profile, ProfileError};
pub use library::{PROFILES_MAX, ProfileLibrary, Wanted};

#[cfg(test)]
mod tests;
