//! FHIR R4 to HL7 v2: a message for an event, of a chosen version, made from resources by tables of ours.
//!
//! The tables stand in `tables/to_v2` and are read once: `events.tsv` says which resources an event is about,
//! `messages.tsv` which segments a message has and what each is made from, `segments/` and `datatypes.tsv` what each
//! field and component holds, `codes.tsv` how codes are told. All of it is relative to a bound element, by FHIRPath.
//!
//! What is guaranteed: the same resources, stamp and profile give the same bytes; no value is guessed. What the
//! resources say and the message doesn't, and what the message requires and the resources lack, is a
//! [`Finding`](crate::Finding). The version decides: fields, components and segments that it doesn't have are not
//! written, and where it withdrew one, the row for its successor is used.
//!
//! What is refused: an event or a version without a table or a structure, and resources without one that the event is
//! about ([`WriteError`]).

mod codes;
mod concept;
mod coverage;
mod displays;
mod encode;
mod event;
mod fields;
mod header;
mod identifier;
mod lineage;
mod message;
mod modifiers;
#[cfg(test)]
mod modifiers_tests;
#[cfg(test)]
mod numbers_tests;
#[cfg(test)]
mod panels_tests;
mod patients;
#[cfg(test)]
mod patients_tests;
mod primitive;
mod profile;
mod resources;
#[cfg(test)]
mod round_trip;
mod segments;
mod sub_ids;
mod tables;
#[cfg(test)]
mod tests;
mod told;
#[cfg(test)]
mod told_tests;
#[cfg(test)]
mod visits_tests;
mod writer;

pub use event::{Proposed, Untold, VERSIONS_MAX, event_of, events_of};
pub use profile::{Authority, Hierarchic, Offsets, Profile};
pub use resources::{RESOURCES_MAX, Resources};
pub use told::History;
pub use writer::{Stamp, Wanted, WriteError, Writer, Written};
