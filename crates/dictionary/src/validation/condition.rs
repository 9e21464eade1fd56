//! Rules about several fields of one segment: what is asked when.

use pipehat_message::{ErrorCode, Severity};

use super::level::Level;
use crate::version::Version;

/// A rule about several fields of one segment. The free definitions do not say what conditional fields depend on; these
/// rules are read from the standard's text.
#[derive(Debug, PartialEq, Eq)]
pub struct ConditionalRule {
    /// Its stable name.
    pub id: &'static str,
    /// The segment it is about.
    pub segment: &'static [u8; 3],
    /// The first version it holds for.
    pub since: Version,
    /// The message codes (MSH-9.1) it holds for; empty for all.
    pub messages: &'static [&'static str],
    /// When it asks for something.
    pub when: When,
    /// What it asks for.
    pub then: Demand,
    /// The field it is reported at.
    pub field: u16,
    /// The condition in table 0357.
    pub code: ErrorCode,
    /// How bad at each level, the mildest first.
    pub severity: [Option<Severity>; 3],
    /// What is wrong and what to do.
    pub text: &'static str,
    /// Where the standard says so.
    pub clause: &'static str,
}

/// When a rule asks for something.
#[derive(Debug, PartialEq, Eq)]
pub enum When {
    /// Always.
    Always,
    /// The field has a value.
    Valued(u16),
    /// None of the fields has a value.
    Empty(&'static [u16]),
    /// The field's first component is one of these.
    In(u16, &'static [&'static str]),
    /// The field's first component has a value and is none of these.
    NotIn(u16, &'static [&'static str]),
    /// The message's trigger event (MSH-9.2) is one of these.
    Trigger(&'static [&'static str]),
    /// The order's ORC, if it has one, has neither placer nor filler order number.
    OrderUnnumbered,
    /// The order's OBR-25 says that its results are final.
    OrderFinal,
    /// All of them.
    All(&'static [When]),
}

/// What a rule asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Demand {
    /// At least one of these fields has a value.
    AnyOf(&'static [u16]),
    /// The field is empty.
    Empty(u16),
    /// The field's first component is one of these.
    In(u16, &'static [&'static str]),
    /// The field is the message's trigger event.
    IsTrigger(u16),
    /// Nothing meets it: the condition says it all.
    Never,
}

/// The fields of one segment, as conditions ask about them.
pub(super) trait Fields {
    fn has_value(&self, position: u16) -> bool;
    /// The first component of the field's first repetition.
    fn code(&self, position: u16) -> &[u8];
    /// MSH-9.2.
    fn trigger(&self) -> &[u8];
    /// Whether the order's ORC has a number.
    fn order_is_numbered(&self) -> bool;
    /// Whether the order's results are final.
    fn order_is_final(&self) -> bool;
}

impl When {
    pub(super) fn holds(&self, fields: &impl Fields) -> bool {
        let among = |position: &u16, codes: &[&str]| {
            let code = fields.code(*position);
            codes.iter().any(|one| one.as_bytes() == code)
        };
        match self {
            Self::Always => true,
            Self::Valued(position) => fields.has_value(*position),
            Self::Empty(positions) => !positions.iter().any(|&position| fields.has_value(position)),
            Self::In(position, codes) => fields.has_value(*position) && among(position, codes),
            Self::NotIn(position, codes) => fields.has_value(*position) && !among(position, codes),
            Self::Trigger(events) => {
                events.iter().any(|event| event.as_bytes() == fields.trigger())
            }
            Self::OrderUnnumbered => !fields.order_is_numbered(),
            Self::OrderFinal => fields.order_is_final(),
            Self::All(parts) => parts.iter().all(|part| part.holds(fields)),
        }
    }
}

impl Demand {
    pub(super) fn is_met(&self, fields: &impl Fields) -> bool {
        match self {
            Self::AnyOf(positions) => positions.iter().any(|&position| fields.has_value(position)),
            Self::Empty(position) => !fields.has_value(*position),
            Self::In(position, codes) => {
                let code = fields.code(*position);
                codes.iter().any(|one| one.as_bytes() == code)
            }
            Self::IsTrigger(position) => fields.code(*position) == fields.trigger(),
            Self::Never => false,
        }
    }
}

impl ConditionalRule {
    /// How bad a departure is; `None` where this level does not look.
    pub const fn severity_at(&self, level: Level) -> Option<Severity> {
        self.severity[level as usize]
    }

    /// Whether it holds for messages of this version and code.
    pub(super) fn is_about(&self, message_code: &[u8]) -> bool {
        self.messages.is_empty() || self.messages.iter().any(|one| one.as_bytes() == message_code)
    }
}
