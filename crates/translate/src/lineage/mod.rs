//! Where each element came from.
//!
//! A translator writes it [packed](PackedLineage): a few bytes for an element, made from places by number and not by
//! text, so that it costs little beside the translation and can be kept with every message. [`unpack`] reads it again,
//! strictly and within limits: what is damaged is an error.
//!
//! It names elements, places and rows of the tables, and holds no value: the members of FHIR's types, names of segments,
//! positions. Resources are told by type and number, never by id, which some systems make of a patient's number.
//!
//! [`unpack`]: PackedLineage::unpack

mod pack;
mod place;
#[cfg(test)]
mod tests;
mod unpack;
mod words;

use std::fmt;
use std::sync::Arc;

pub use place::{PlaceError, PlacePattern};
pub use unpack::LineageError;

pub(crate) use pack::{FieldPlace, Packer, Step, Texts, pack_rule, pack_word};

/// For each element of the output, the places of the input it was made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lineage {
    /// Which way it went.
    pub direction: Direction,
    /// In the order of the output.
    pub sources: Vec<Source>,
}

/// Which way a translation went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// HL7 v2 became a Bundle.
    ToFhir,
    /// Resources became an HL7 v2 message.
    ToV2,
}

impl Direction {
    /// The name of what was made, as configuration and commands write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ToFhir => "fhir",
            Self::ToV2 => "v2",
        }
    }
}

/// One element of the output, and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The element, or the place in the message.
    pub element: Place,
    /// The places it was made from; none where the row alone says it.
    pub paths: Vec<Place>,
    /// The row that says so: `segments PID[Patient] PID-3`.
    pub rule: Arc<str>,
}

/// A place in a message, or an element of a resource. Shown as the Bundle or the message has it:
/// `Bundle.entry[1].resource.identifier[0].value`, `PID-3[2].1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    path: String,
    entry: Option<u32>,
}

impl Place {
    /// As people call it: `Patient.identifier[0].value`, `PID-3[2].1`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The Bundle's entry that the element's resource is, from 0.
    pub fn entry(&self) -> Option<u32> {
        self.entry
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(entry) = self.entry else { return formatter.write_str(&self.path) };
        let within = self.path.find('.').and_then(|dot| self.path.get(dot..)).unwrap_or_default();
        write!(formatter, "Bundle.entry[{entry}].resource{within}")
    }
}

/// Lineage as it is kept: a few bytes for an element.
#[derive(Clone, PartialEq, Eq)]
pub struct PackedLineage(Vec<u8>);

impl PackedLineage {
    /// As it was kept; whether it can be read shows when it is [unpacked](Self::unpack).
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// What is kept.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// What is kept.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// Every element and where it came from.
    ///
    /// # Errors
    /// When the bytes are not those of a lineage this release knows, or say more than any does.
    pub fn unpack(&self) -> Result<Lineage, LineageError> {
        unpack::unpack(&self.0)
    }
}

impl fmt::Debug for PackedLineage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("PackedLineage").field(&self.0.len()).finish()
    }
}

/// How much lineage one translation may make; a translation with more has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineageLimits {
    /// The most values that are followed.
    pub values_max: usize,
    /// The most bytes, packed.
    pub packed_bytes_max: usize,
}

impl LineageLimits {
    /// What is kept with every message: that of a result with some ten thousand observations.
    pub const KEPT: Self = Self { values_max: 200_000, packed_bytes_max: 1024 * 1024 };

    /// What can be unpacked again: for who asks about one message.
    pub const SHOWN: Self = Self { values_max: 1_000_000, packed_bytes_max: 16 * 1024 * 1024 };
}
