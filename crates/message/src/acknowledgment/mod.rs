//! Acknowledgments: replies built from a header and replies read (HL7 v2.5.1 §2.9, §2.15.5 ERR, §2.15.8 MSA).
//!
//! Nothing here takes an identifier or the time by itself: the caller gives both. A reply is written with the sender's
//! own delimiters, in the form of the sender's version, and no field of the message but the header's reaches it.

mod builder;
mod code;
mod condition;
mod detail;
mod received;
mod version;

pub use builder::{AcknowledgmentBuilder, unreadable_header_reply};
pub use code::AcknowledgmentCode;
pub use condition::{
    AcknowledgmentCondition, AcknowledgmentMode, Outcome, acknowledgment_mode,
    wants_accept_acknowledgment, wants_application_acknowledgment,
};
pub use detail::{ErrorCode, ErrorDetail, Severity};
pub use received::{Acknowledgment, AcknowledgmentError, ReportedError};

#[cfg(test)]
mod tests;
