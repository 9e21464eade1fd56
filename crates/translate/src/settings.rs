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
    /// What becomes of a number that stands for another patient's, where that is said.
    pub other_patient: Option<OtherPatient>,
}

/// What becomes of a resource that stands with another patient than a message tells it of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OtherPatient {
    /// Whoever stores the Bundle refuses it, unless the two were merged: a person has to see whose it is.
    #[default]
    Park,
    /// It is taken to the other: this sender corrects a wrong patient so.
    Take,
}
