//! HL7 v2 to FHIR R4 and back, driven by mapping tables as data.
//!
//! Pure: no I/O, no clock, no randomness. The same message and settings give the same Bundle, byte for byte.

mod condition;
mod expression;
mod finding;
mod identity;
mod lineage;
mod overlay;
mod plan;
mod run;
mod settings;
mod table;
mod target;
pub mod to_v2;
mod translator;
mod value;

pub use finding::{Finding, FindingKind};
pub use lineage::{
    Direction, Lineage, LineageError, LineageLimits, PackedLineage, Place, PlaceError,
    PlacePattern, Source,
};
pub use overlay::Overlay;
pub use settings::{OtherPatient, Settings};
pub use table::{TableCheck, check_tables};
pub use translator::{Translation, Translator};
