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
    /// MSH-9.3 names a structure that no version has; that of the event counts.
    NameUnknown(EventStructure),
    /// MSH-9.3 names a structure that other versions have and this one does not; that of the event counts.
    NameOfOtherVersion {
        /// What MSH-9.3 names, as one of the other versions has it.
        named: Structure,
        /// What this version has for the event.
        expected: EventStructure,
    },
    /// MSH-9.3 names another structure of the version than the event has. The one of the event counts, unless another
    /// version has for this event what MSH-9.3 names.
    NotOfEvent {
        /// What MSH-9.3 names.
        named: Structure,
        /// What this version has for the event.
        expected: EventStructure,
    },
    /// The version does not have it: it is taken from the version of the structure.
    OfOtherVersion,
    /// No version has this event for the message code; the structure of another event of the code is taken.
    EventUnknown,
    /// There is no structure to read it by.
    Unknown,
}

/// The structure that a version has for a message code and trigger event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventStructure {
    code: &'static str,
    trigger: &'static str,
    structure: Structure,
}

/// Finds what a message is to be read by, from its header. Allocates nothing.
pub fn resolve(header: &Header<'_>) -> Resolved {
    let (name, code, event) = names(header);
    let (version, version_note) = match read_version(header.version_id()) {
        Ok((version, exactness)) => (version, exactness),
        Err(note) => (by_form(name, code, event), Some(note)),
    };
    let (structure, structure_note) = find_structure(version, name, code, event);
    Resolved { version, structure, version_note, structure_note }
}

/// The same by a version that a person names, whatever MSH-12 says.
pub(crate) fn resolve_as(header: &Header<'_>, version: Version) -> Resolved {
    let (name, code, event) = names(header);
    let (structure, structure_note) = find_structure(version, name, code, event);
    Resolved { version, structure, version_note: None, structure_note }
}

/// The message structure, the message code and the trigger event.
fn names<'h>(header: &Header<'h>) -> (&'h str, &'h str, &'h str) {
    (text(header.message_structure()), text(header.message_code()), text(header.trigger_event()))
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
    if let Some(own) = of_event(version, code, event) {
        let (structure, note) = of_known_event(own, name);
        return (Some(structure), note);
    }
    if !name.is_empty() {
        if let Some(named) = version.structure(name) {
            return (Some(named), None);
        }
        let other = others(version).find_map(|other| {
            of_event(other, code, event)
                .map(|it| it.structure)
                .filter(|structure| structure.base_name() == name)
                .or_else(|| other.structure(name))
        });
        if other.is_some() {
            return (other, Some(StructureNote::OfOtherVersion));
        }
    }
    if let Some(other) = others(version).find_map(|other| of_event(other, code, event)) {
        let note = if name.is_empty() {
            StructureNote::OfOtherVersion
        } else {
            StructureNote::NameUnknown(other)
        };
        return (Some(other.structure), Some(note));
    }
    let of_code = others(version)
        .find_map(|other| other.events().find(|known| known.message_code() == code)?.structure());
    match of_code {
        Some(structure) => (Some(structure), Some(StructureNote::EventUnknown)),
        None => (None, Some(StructureNote::Unknown)),
    }
}

/// The version knows the event. Its segments are those of the event's structure, whatever a sender writes in MSH-9.3:
/// many repeat the event there, as in `ADT^A08^ADT_A08`, which is the name of a structure up to 2.2.
fn of_known_event(own: EventStructure, name: &str) -> (Structure, Option<StructureNote>) {
    let structure = own.structure;
    // Several events may share the name and differ in the variant (HL7 v2.9.1 §2.5).
    if name.is_empty() || structure.base_name() == name || structure.name() == name {
        return (structure, None);
    }
    let version = structure.version();
    let named = version.structure(name);
    let has_name = |other| {
        of_event(other, own.code, own.trigger).is_some_and(|it| it.structure.base_name() == name)
    };
    let is_alternative = || Version::ALL.into_iter().any(has_name);
    // MSH-9.3 came with 2.3.1: before, only newer senders fill it, with the name that a newer version has.
    if version < Version::V2_3_1 && (named.is_none() || is_alternative()) {
        return (structure, None);
    }
    if let Some(named) = named {
        let takes_name = version >= Version::V2_3_1 && is_alternative();
        let note = StructureNote::NotOfEvent { named, expected: own };
        return (if takes_name { named } else { structure }, Some(note));
    }
    let note = match others(version).find_map(|other| other.structure(name)) {
        Some(named) => StructureNote::NameOfOtherVersion { named, expected: own },
        None => StructureNote::NameUnknown(own),
    };
    (structure, Some(note))
}

/// A general acknowledgment has one structure, whatever event it answers (HL7 v2.5.1 §2.13.1).
fn of_event(version: Version, code: &str, event: &str) -> Option<EventStructure> {
    let found = version.event(code, event).and_then(|event| {
        let (code, trigger) = (event.message_code(), event.trigger_event());
        Some(EventStructure { code, trigger, structure: event.structure()? })
    });
    found.or_else(|| {
        let structure = (code == "ACK").then(|| version.structure("ACK"))??;
        Some(EventStructure { code: "ACK", trigger: "", structure })
    })
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

/// As in `ADT^A08 is ADT_A01`.
impl fmt::Display for EventStructure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.code)?;
        if !self.trigger.is_empty() {
            write!(formatter, "^{}", self.trigger)?;
        }
        write!(formatter, " is {}", self.structure.base_name())
    }
}

impl fmt::Display for StructureNote {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NameUnknown(expected) => {
                write!(formatter, "MSH-9.3 names no structure of any version; {expected}")
            }
            Self::NameOfOtherVersion { named, expected } => {
                let (named, version) = (named.base_name(), expected.structure.version());
                write!(formatter, "MSH-9.3 is {named}, which {version} does not have; {expected}")
            }
            Self::NotOfEvent { named, expected } => {
                let (named, version) = (named.base_name(), expected.structure.version());
                write!(formatter, "MSH-9.3 is {named}; in {version}, {expected}")
            }
            Self::OfOtherVersion => formatter.write_str("the version does not have this message"),
            Self::EventUnknown => {
                formatter.write_str("the trigger event in MSH-9.2 is unknown or missing")
            }
            Self::Unknown => formatter.write_str("MSH-9 names no known message"),
        }
    }
}

#[cfg(test)]
mod tests;
