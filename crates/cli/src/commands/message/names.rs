//! What the parts of a message are called: by the version and the structure it is read by, and by a profile.

use pipehat_dictionary::profile::Profile;
use pipehat_dictionary::{Named, Naming, Reading, Resolved, resolve};
use pipehat_message::{Header, Message, Segment};

/// The names of one message's parts.
pub(super) struct Names<'p> {
    resolved: Option<Resolved>,
    naming: Option<Naming<'p>>,
    reading: Option<Reading>,
}

impl<'p> Names<'p> {
    pub(super) fn of(message: &Message<'_>, profile: Option<&'p Profile>) -> Self {
        let resolved = Header::read(message.as_bytes()).ok().map(|header| resolve(&header));
        let naming = resolved.map(|resolved| Naming::of(resolved.version, profile));
        Self { resolved, naming, reading: Reading::of(message) }
    }

    pub(super) fn version(&self) -> Option<&'static str> {
        self.resolved.map(|resolved| resolved.version.as_str())
    }

    pub(super) fn structure(&self) -> Option<&'static str> {
        self.resolved?.structure.map(|structure| structure.name())
    }

    /// What had to be assumed about the version and the structure.
    pub(super) fn notes(&self) -> Vec<String> {
        let Some(Resolved { version_note, structure_note, .. }) = self.resolved else {
            return Vec::new();
        };
        let version = version_note.map(|note| note.to_string());
        version.into_iter().chain(structure_note.map(|note| note.to_string())).collect()
    }

    /// The way to the group that a segment stands in, as `/PATIENT_RESULT/ORDER_OBSERVATION(2)`; empty for none.
    pub(super) fn group(&self, segment: &Segment<'_>) -> String {
        let Some(reading) = &self.reading else { return String::new() };
        let placement = reading.placements().get(segment.index());
        placement.map_or(String::new(), |it| reading.group_path(it.group()).to_string())
    }

    /// What a segment is called.
    pub(super) fn segment(&self, segment: &Segment<'_>) -> Option<&'p str> {
        self.naming?.segment(segment.segment_name()?)
    }

    /// A field by its position from 1.
    pub(super) fn field(&self, segment: &Segment<'_>, position: usize) -> Named<'p> {
        self.naming.map_or_else(Named::default, |naming| naming.field_of(segment, position))
    }
}
