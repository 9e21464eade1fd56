//! SQL projections: the message index; and a store of its own, the FHIR [`datastore`].
//!
//! The index answers "which messages?" across all channels: by time, type, sender, identifiers,
//! destination and disposition. It is a projection: the journal is the truth, the index is written
//! from the journal's records some moments later ([`MessageIndex::apply`]), and it may be thrown
//! away and rebuilt at any time. So it never refuses to open because of what it finds on disk: it
//! starts empty and says so ([`RebuildReason`]).
//!
//! Guarantees:
//! - Nothing that a message or its sender wrote stands in the database in clear. Searched values
//!   stand as keyed hashes, shown ones are sealed; both need the [`IndexKeys`].
//! - The state of a message depends on the set of its changes only: not on their order, nor on
//!   how often each was applied.
//! - One search does a bounded amount of work; what it did not reach, the next page does.

pub mod audit;
pub mod bots;
mod change;
mod cmac;
#[cfg(test)]
mod contract;
pub mod datastore;
mod index;
mod keys;
mod life;
mod query;
mod redacted;
mod sqlite;

pub use change::{
    Change, DeliveryState, Disposition, Identifier, IdentifierKind, Outcome, Output, Processed,
    Received, Released, Settled,
};
pub use index::{ChannelCount, IndexError, MessageIndex, MessageSearch};
pub use keys::IndexKeys;
pub use query::{
    Cursor, Delivery, IdentifierQuery, InvalidCursor, Order, PAGE_SUMMARIES_MAX, Page, Query,
    SUMMARY_DELIVERIES_MAX, Summary,
};
pub use redacted::Redacted;
pub use sqlite::{
    IDENTIFIERS_MAX, Opened, RebuildReason, SqliteMessageIndex, SqliteMessageSearch, TEXT_BYTES_MAX,
};
