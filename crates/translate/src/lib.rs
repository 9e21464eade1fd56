//! HL7 v2 to FHIR R4 and back, driven by mapping tables as data.
//!
//! Pure: no I/O, no clock, no randomness. The same message and settings give the same Bundle, byte for byte.

mod finding;
mod lineage;
mod settings;
pub mod to_v2;
mod translator;

pub use finding::{Finding, FindingKind};
pub use lineage::{Lineage, Source};
pub use settings::Settings;
pub use translator::{Translation, Translator};
