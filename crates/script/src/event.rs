//! What a bot is run for.

use std::collections::BTreeMap;

use pipehat_message::CharsetRule;

/// What a bot is run for: `event` of `handler(client, event)`.
#[derive(Clone)]
pub struct Event {
    /// What triggered it.
    pub input: Input,
    /// What decides on the character set of HL7: MSH-18, or what the channel says.
    pub charset: CharsetRule,
    /// Its content type: `x-application/hl7-v2+er7`, `application/fhir+json`, `text/plain` …
    pub content_type: String,
    /// The secrets it may read, by name.
    pub secrets: BTreeMap<String, String>,
    /// The headers of an HTTP trigger, and what else triggered it: `request`, `channel`, `subscription`, `cron`.
    /// `time-zone` names the zone of date-times in HL7 that tell none.
    pub headers: BTreeMap<String, String>,
    /// Its own identity, a reference: `Bot/…`.
    pub bot: String,
}

/// The input in the form that suits its content type.
#[derive(Clone)]
pub enum Input {
    /// An HL7 v2 message: `event.input` is an `Hl7Message`.
    Hl7(Vec<u8>),
    /// JSON: `event.input` is what it says.
    Json(String),
    /// Text: `event.input` is a string.
    Text(String),
    /// Anything else: `event.input` is a `Uint8Array`.
    Bytes(Vec<u8>),
}
