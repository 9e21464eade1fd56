//! HL7 over HTTP: a message is posted, its acknowledgment is the response.
//!
//! The source answers as the sender's HTTP client expects it: 200 with the acknowledgment when the message is kept, an
//! error status with the negative acknowledgment when it is not. So a sender that looks at the status only, and one that
//! looks at MSA-1 only, come to the same result. The destination judges both in turn.
//!
//! Nothing is taken without a token or a client certificate, except from this machine.

mod answers;
pub(crate) mod asked_to_wait;
mod body;
pub(crate) mod client;
pub(crate) mod client_settings;
mod codes;
mod config;
mod destination;
pub(crate) mod exchange;
pub(crate) mod reading;
mod reply;
pub(crate) mod request_headers;
pub(crate) mod retry_after;
mod source;
pub(crate) mod statuses;
#[cfg(test)]
pub(crate) mod tests;
mod token;

pub(crate) use config::CONNECTOR;
