//! MLLP: HL7 v2 messages over TCP, each between a start and an end block (HL7 Transport Specification: MLLP).
//!
//! A source takes what partners send and passes on the engine's replies; a destination sends and waits for the
//! acknowledgment. Both hold one framed [`wire::Wire`] for each connection, and one task that does everything on it.

mod acknowledgment;
mod alarm;
mod answers;
mod applications;
mod codes;
mod config;
mod conversation;
mod destination;
mod exchange;
mod link;
mod numbers;
mod refusal;
mod socket;
mod source;
mod wire;

#[cfg(test)]
mod tests;

pub(crate) use config::CONNECTOR;
