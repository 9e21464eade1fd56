//! Trigger events, and the message structure each asks for.

use crate::file::{self, Row};
use crate::layout::Section;
use crate::structure::Structure;
use crate::version::Version;

/// A message code with a trigger event, as one version defines it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Event {
    version: Version,
    at: u32,
}

impl Event {
    #[inline]
    pub(crate) const fn new(version: Version, at: u32) -> Self {
        Self { version, at }
    }

    /// The version that defines it so.
    pub const fn version(self) -> Version {
        self.version
    }

    fn row(self) -> Row {
        file::row(Section::Events, self.at)
    }

    /// Message code and trigger event; the latter is empty where the message has none, as in `ACK`.
    pub(crate) fn names(self) -> (&'static str, &'static str) {
        let text = self.row().text(0);
        text.split_once('_').unwrap_or((text, ""))
    }

    /// The message code, as in `ADT`: MSH-9.1.
    pub fn message_code(self) -> &'static str {
        self.names().0
    }

    /// The trigger event, as in `A08`: MSH-9.2. Empty where the message has none.
    pub fn trigger_event(self) -> &'static str {
        self.names().1
    }

    /// The name of the message structure, as in `ADT_A01`; in 2.9.1 of its variant, as in `ADT_A01-C`.
    pub fn structure_name(self) -> &'static str {
        self.row().text(4)
    }

    /// The message structure, if the version defines it.
    pub fn structure(self) -> Option<Structure> {
        self.version.structure(self.structure_name())
    }
}

impl std::fmt::Debug for Event {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (code, trigger) = self.names();
        write!(formatter, "{code}^{trigger} of {} ({})", self.version, self.structure_name())
    }
}
