//! Acknowledgments: replies built from a header and replies read (HL7 v2.5.1 §2.9, §2.15.5 ERR, §2.15.8 MSA).
//!
//! Nothing here takes an identifier or the time by itself: the caller gives both. A reply is written with the sender's
//! own delimiters, in the form of the sender's version. Of the message only the header reaches it, and of a query that is
//! refused its own definition.

mod builder;
mod code;
mod condition;
mod detail;
mod query;
mod received;
mod version;

pub use builder::{AcknowledgmentBuilder, unreadable_header_reply};
pub use code::AcknowledgmentCode;
pub use condition::{
    AcknowledgmentCondition, AcknowledgmentMode, Outcome, acknowledgment_mode,
    wants_accept_acknowledgment, wants_application_acknowledgment,
};
pub use detail::{ErrorCode, ErrorDetail, Severity};
pub use query::is_query;
pub use received::{Acknowledgment, AcknowledgmentError, ReportedError};

#[cfg(test)]
mod tests;
