//! Which messages to make: one type, a family, or what a hospital sends in a day.

use pipehat_dictionary::{Event, Version};

/// Which messages to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// One message code with one trigger event.
    Event(Event),
    /// Any event of a message code, one as often as the other.
    Family(Vec<Event>),
    /// Acknowledgments of a version whose event table does not list them.
    Acknowledgment,
    /// What a hospital sends: people come, are treated and leave.
    Hospital,
}

/// A type that a version does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectionError {
    /// No event of the version has this message code.
    #[error("version {version} has no messages of type {code}")]
    UnknownCode {
        /// What was asked for.
        code: String,
        /// The version's name.
        version: &'static str,
    },
    /// The message code is there, this trigger event is not.
    #[error("version {version} has no {code}^{trigger}; it has {}", .has.join(", "))]
    UnknownTrigger {
        /// What was asked for.
        code: String,
        /// What was asked for.
        trigger: String,
        /// The version's name.
        version: &'static str,
        /// The trigger events that go with the code.
        has: Vec<&'static str>,
    },
}

impl SelectionError {
    /// The same with another name for the version: `2.9` where 2.9.1 stands for it.
    #[must_use]
    pub fn with_version_name(mut self, name: &'static str) -> Self {
        let (Self::UnknownCode { version, .. } | Self::UnknownTrigger { version, .. }) = &mut self;
        *version = name;
        self
    }
}

impl Selection {
    /// Reads `ADT^A01`, `ADT_A01`, `ADT`, `mix` or `hospital`; letters may be small.
    pub fn parse(text: &str, version: Version) -> Result<Self, SelectionError> {
        let text = text.trim();
        if text.eq_ignore_ascii_case("hospital") || text.eq_ignore_ascii_case("mix") {
            return Ok(Self::Hospital);
        }
        let upper = text.to_ascii_uppercase();
        let (code, trigger) = upper.split_once(['^', '_', '-']).unwrap_or((upper.as_str(), ""));
        let trigger = trigger.split('^').next().unwrap_or_default();
        let family: Vec<Event> = version
            .events()
            .filter(|event| event.message_code() == code && event.structure().is_some())
            .collect();
        if code == "ACK" {
            return Ok(Self::Acknowledgment);
        }
        if family.is_empty() {
            let (code, version) = (code.to_owned(), version.as_str());
            return Err(SelectionError::UnknownCode { code, version });
        }
        if trigger.is_empty() {
            return Ok(Self::Family(family));
        }
        let exact = family.iter().find(|event| event.trigger_event().eq_ignore_ascii_case(trigger));
        if let Some(event) = exact {
            return Ok(Self::Event(*event));
        }
        // The name of a structure whose first event is another, as in RSP_K21.
        let structure = format!("{code}_{trigger}");
        let of_structure: Vec<Event> = family
            .iter()
            .filter(|event| event.structure().is_some_and(|found| found.base_name() == structure))
            .copied()
            .collect();
        if of_structure.is_empty() {
            let has = family.iter().map(|event| event.trigger_event()).collect();
            let (code, trigger) = (code.to_owned(), trigger.to_owned());
            let version = version.as_str();
            return Err(SelectionError::UnknownTrigger { code, trigger, version, has });
        }
        Ok(Self::Family(of_structure))
    }

    /// Everything that a version's event table has, without acknowledgments.
    pub fn all(version: Version) -> impl Iterator<Item = Event> {
        version
            .events()
            .filter(|event| event.message_code() != "ACK" && event.structure().is_some())
    }
}
