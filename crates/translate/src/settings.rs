//! What a feed knows that its messages don't say.

use jiff::tz::TimeZone;
use pipehat_message::CharsetRule;

/// What a feed knows that its messages don't say.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The zone of date-times that carry none, unless MSH-7 has an offset that is not this zone's then.
    pub zone: Option<TimeZone>,
    /// What the systems of authorities without a URI of their own begin with: `https://lab.example/id/`.
    pub system_base: Option<String>,
    /// The sender's name in keys of resources without a business identifier; MSH-3 and MSH-4 where none is set.
    pub sender: Option<String>,
    /// Systems of identifiers by which resources are found before all others: those of the enterprise.
    pub identifier_systems: Vec<String>,
    /// What decides on the character set of the messages.
    pub charset: CharsetRule,
}
