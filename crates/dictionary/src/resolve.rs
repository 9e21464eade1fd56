//! Which version and which structure a message is read by.
//!
//! Messages say it in MSH-12 and MSH-9, and often say it wrong or not at all; then something is assumed, and what was
//! assumed is said. Nothing is refused: at worst there is a version and no structure.

use std::fmt;

use pipehat_message::Header;

use crate::structure::Structure;
use crate::version::Version;

/// The version taken when a message gives no hint: the one that is sent most.
const USUAL: Version = Version::V2_5_1;

/// What a message is read by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resolved {
    /// The version whose segments, data types and tables it is read by.
    pub version: Version,
    /// The structure, from this version or, as the note then says, from another.
    pub structure: Option<Structure>,
    /// What was assumed about the version.
    pub version_note: Option<VersionNote>,
    /// What was assumed about the structure.
    pub structure_note: Option<StructureNote>,
}

/// Why the version is not simply the one that MSH-12 names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VersionNote {
    /// MSH-12 is empty.
    Missing,
    /// MSH-12 names a version we do not know; the nearest before it is taken.
    Unknown,
    /// MSH-12 does not hold a version at all.
    Unreadable,
}

/// Why the structure is not simply the one that MSH-9.3 names, or MSH-9.1 and MSH-9.2 where it is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StructureNote {
    /// MSH-9.3 names a structure that no version has; MSH-9.1 and MSH-9.2 decide.
    NameUnknown,
    /// MSH-9.3 names another structure than the version has for this event. The name counts.
    NotOfEvent,
    /// The version does not have it: it is taken from the version of the structure.
    OfOtherVersion,
    /// No version has this event for the message code; the structure of another event of the code is taken.
    EventUnknown,
    /// There is no structure to read it by.
    Unknown,
}

/// Finds what a message is to be read by, from its header. Allocates nothing.
pub fn resolve(header: &Header<'_>) -> Resolved {
    let name = text(header.message_structure());
    let code = text(header.message_code());
    let event = text(header.trigger_event());
    let (version, version_note) = match read_version(header.version_id()) {
        Ok((version, exactness)) => (version, exactness),
        Err(note) => (by_form(name, code, event), Some(note)),
    };
    let (structure, structure_note) = find_structure(version, name, code, event);
    Resolved { version, structure, version_note, structure_note }
}

/// A name of HL7's is ASCII; anything else names nothing.
fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).map(str::trim).unwrap_or_default()
}

impl Version {
    /// The version that a message or a person means by this text: the one with this name, or the nearest before it.
    pub fn nearest(text: &str) -> Option<Self> {
        read_version(text.as_bytes()).ok().map(|(version, _)| version)
    }
}

fn read_version(bytes: &[u8]) -> Result<(Version, Option<VersionNote>), VersionNote> {
    let bytes = bytes.trim_ascii();
    if bytes.is_empty() {
        return Err(VersionNote::Missing);
    }
    if let Some(version) = Version::named(bytes) {
        return Ok((version, None));
    }
    let numbers = numbers(bytes).ok_or(VersionNote::Unreadable)?;
    // Our definitions of 2.9 are those of its revision.
    if numbers == [2, 9, 0] {
        return Ok((Version::V2_9_1, None));
    }
    let known = |version: &Version| {
        self::numbers(version.as_str().as_bytes()).is_some_and(|known| known <= numbers)
    };
    let nearest = Version::ALL.into_iter().rev().find(known);
    let exact = nearest.and_then(|nearest| self::numbers(nearest.as_str().as_bytes()));
    match nearest {
        // `2.30` and `v2.5`: the same number written otherwise.
        Some(nearest) if exact == Some(numbers) => Ok((nearest, None)),
        Some(nearest) => Ok((nearest, Some(VersionNote::Unknown))),
        None => Err(VersionNote::Unreadable),
    }
}

/// `2.5.1` as three numbers; an absent one is 0. `None` for what is no version of HL7 v2.
fn numbers(bytes: &[u8]) -> Option<[u16; 3]> {
    let text = std::str::from_utf8(bytes).ok()?;
    let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
    let mut numbers = [0; 3];
    let mut parts = text.split('.');
    for (slot, part) in numbers.iter_mut().zip(&mut parts) {
        *slot = part.parse().ok()?;
    }
    (parts.next().is_none() && numbers.first() == Some(&2)).then_some(numbers)
}

/// Without a version: the usual one if it knows the message, else the newest that does.
fn by_form(name: &str, code: &str, event: &str) -> Version {
    let knows = |version: Version| {
        version.structure(name).is_some() || version.event(code, event).is_some()
    };
    others(USUAL).find(|&version| knows(version)).unwrap_or(USUAL)
}

/// A version, then those after it, nearest first, then those before it.
fn others(version: Version) -> impl Iterator<Item = Version> {
    let newer = Version::ALL.into_iter().skip(version.index());
    let older = Version::ALL.into_iter().take(version.index()).rev();
    newer.chain(older)
}

fn find_structure(
    version: Version,
    name: &str,
    code: &str,
    event: &str,
) -> (Option<Structure>, Option<StructureNote>) {
    let own = of_event(version, code, event);
    if !name.is_empty() {
        // Several events may share the name and differ in the variant (HL7 v2.9.1 §2.5).
        if let Some(own) = own.filter(|own| own.base_name() == name || own.name() == name) {
            return (Some(own), None);
        }
        if let Some(named) = version.structure(name) {
            return (Some(named), own.map(|_| StructureNote::NotOfEvent));
        }
        // Up to 2.3 the events' structures have names of their own, which newer senders shorten, as ADT_A08 to ADT_A01.
        if own.is_some_and(|own| own.version() < Version::V2_3_1) {
            return (own, None);
        }
        let other = others(version).find_map(|other| {
            of_event(other, code, event)
                .filter(|own| own.base_name() == name)
                .or_else(|| other.structure(name))
        });
        if other.is_some() {
            return (other, Some(StructureNote::OfOtherVersion));
        }
    }
    let note = (!name.is_empty()).then_some(StructureNote::NameUnknown);
    if own.is_some() {
        return (own, note);
    }
    let other = others(version).find_map(|other| of_event(other, code, event));
    if other.is_some() {
        return (other, note.or(Some(StructureNote::OfOtherVersion)));
    }
    let of_code = others(version)
        .find_map(|other| other.events().find(|known| known.message_code() == code)?.structure());
    match of_code {
        Some(structure) => (Some(structure), Some(StructureNote::EventUnknown)),
        None => (None, Some(StructureNote::Unknown)),
    }
}

/// A general acknowledgment has one structure, whatever event it answers (HL7 v2.5.1 §2.13.1).
fn of_event(version: Version, code: &str, event: &str) -> Option<Structure> {
    let found = version.event(code, event).and_then(|event| event.structure());
    found.or_else(|| (code == "ACK").then(|| version.structure("ACK"))?)
}

impl fmt::Display for VersionNote {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Missing => "MSH-12 names no version",
            Self::Unknown => "MSH-12 names an unknown version",
            Self::Unreadable => "MSH-12 does not hold a version",
        })
    }
}

impl fmt::Display for StructureNote {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::NameUnknown => "MSH-9.3 names an unknown message structure",
            Self::NotOfEvent => "MSH-9.3 names another message structure than the event has",
            Self::OfOtherVersion => "the version does not have this message",
            Self::EventUnknown => "the trigger event in MSH-9.2 is unknown or missing",
            Self::Unknown => "MSH-9 names no known message",
        })
    }
}

#[cfg(test)]
mod tests;
