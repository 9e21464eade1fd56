//! What is asked of the index, and what it answers.

use std::{fmt, str::FromStr, sync::Arc};

use crate::{DeliveryState, Disposition, Identifier, IdentifierKind, Redacted};

/// The most summaries of one page; a larger [`Query::limit`] gives this many.
pub const PAGE_SUMMARIES_MAX: usize = 500;

/// The most deliveries that a page shows of one message, so that a page stays small when a message
/// was split into thousands. [`MessageSearch::message`](crate::MessageSearch::message) gives all.
pub const SUMMARY_DELIVERIES_MAX: usize = 32;

/// Which messages are wanted. All that is set must hold; the default asks for the newest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Received by one of these channels; `None`: by any.
    pub channels: Option<Vec<Arc<str>>>,
    /// Received at this time or later, in microseconds since 1970 (UTC).
    pub from_micros: Option<i64>,
    /// Received before this time.
    pub until_micros: Option<i64>,
    /// The message code, MSH-9.1.
    pub code: Option<String>,
    /// The trigger event, MSH-9.2.
    pub trigger: Option<String>,
    /// The sender's id, MSH-10.
    pub control_id: Option<Redacted>,
    /// The sending application, MSH-3.
    pub sending_application: Option<String>,
    /// The sending facility, MSH-4.
    pub sending_facility: Option<String>,
    /// Carrying every one of these.
    pub identifiers: Vec<IdentifierQuery>,
    /// In one of these; empty: in any.
    pub dispositions: Vec<Disposition>,
    /// With a delivery to this destination.
    pub destination: Option<Arc<str>>,
    /// With a delivery in this state (to `destination`, when that is set). Finds a parked delivery
    /// of a message that is otherwise still in flight.
    pub delivery_state: Option<DeliveryState>,
    /// In which order.
    pub order: Order,
    /// How many; at least 1, at most [`PAGE_SUMMARIES_MAX`].
    pub limit: usize,
    /// Where the page before ended.
    pub cursor: Option<Cursor>,
}

impl Default for Query {
    fn default() -> Query {
        Query {
            channels: None,
            from_micros: None,
            until_micros: None,
            code: None,
            trigger: None,
            control_id: None,
            sending_application: None,
            sending_facility: None,
            identifiers: Vec::new(),
            dispositions: Vec::new(),
            destination: None,
            delivery_state: None,
            order: Order::NewestFirst,
            limit: 50,
            cursor: None,
        }
    }
}

/// An identifier that is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentifierQuery {
    /// What it identifies; `None`: anything.
    pub kind: Option<IdentifierKind>,
    /// Its whole value.
    pub value: Redacted,
}

/// The order of the messages found: that of acceptance, which is the journal's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// The last accepted first.
    #[default]
    NewestFirst,
    /// The first accepted first.
    OldestFirst,
}

/// Where a page ended. Messages that arrive between two pages neither shift nor repeat any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor(pub(crate) u64);

impl fmt::Display for Cursor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// The text is not a cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor of the message search")]
pub struct InvalidCursor;

impl FromStr for Cursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Cursor, InvalidCursor> {
        text.parse().map(Cursor).map_err(|_| InvalidCursor)
    }
}

/// One page of what was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The messages, in the order asked for. Of each at most [`SUMMARY_DELIVERIES_MAX`] deliveries.
    pub summaries: Vec<Summary>,
    /// Set when there may be more. A page may be short, even empty, and still have a next one: the
    /// work for one page is bounded.
    pub next: Option<Cursor>,
}

/// What the index knows of a message.
#[derive(Clone, PartialEq, Eq)]
pub struct Summary {
    /// Its id: the journal position of its record.
    pub message: u64,
    /// The channel that received it.
    pub channel: Arc<str>,
    /// When, in microseconds since 1970 (UTC).
    pub received_at_micros: i64,
    /// Its length.
    pub bytes: u32,
    /// The message code, MSH-9.1.
    pub code: Arc<str>,
    /// The trigger event, MSH-9.2.
    pub trigger: Arc<str>,
    /// The message structure, MSH-9.3.
    pub structure: Arc<str>,
    /// The version, MSH-12.1.
    pub version: Arc<str>,
    /// The sender's id of the message, MSH-10.
    pub control_id: Redacted,
    /// The sending application, MSH-3.
    pub sending_application: Arc<str>,
    /// The sending facility, MSH-4.
    pub sending_facility: Arc<str>,
    /// The processing id, MSH-11.1.
    pub processing_id: Arc<str>,
    /// What the message can be found by.
    pub identifiers: Vec<Identifier>,
    /// Where it came from.
    pub peer: Redacted,
    /// The message that this one repeats.
    pub duplicate_of: Option<u64>,
    /// Where it stands.
    pub disposition: Disposition,
    /// When it was processed (or released, while it waits to be processed again).
    pub processed_at_micros: Option<i64>,
    /// The operator code of its processing; empty when there is none.
    pub operator_code: Arc<str>,
    /// The revision that processed it; empty before.
    pub revision: Arc<str>,
    /// Its deliveries by ordinal.
    pub deliveries: Vec<Delivery>,
    /// How many deliveries it has.
    pub deliveries_total: u64,
    /// The position of the newest record that brought it where it stands.
    pub last_position: u64,
}

impl fmt::Debug for Summary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Summary")
            .field("message", &self.message)
            .field("channel", &self.channel)
            .field("received_at_micros", &self.received_at_micros)
            .field("disposition", &self.disposition)
            .field("deliveries", &self.deliveries)
            .finish_non_exhaustive()
    }
}

/// What the index knows of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Its number among the message's deliveries.
    pub ordinal: u32,
    /// Where it goes.
    pub destination: Arc<str>,
    /// Where it stands.
    pub state: DeliveryState,
    /// Since when, in microseconds since 1970 (UTC).
    pub at_micros: i64,
    /// The operator code that says why; empty when there is none.
    pub operator_code: Arc<str>,
    /// How many times sending was tried before it settled last.
    pub attempts: u32,
}

#[cfg(test)]
mod tests {
    use super::{Cursor, InvalidCursor};

    #[test]
    fn a_cursor_survives_being_written_down() {
        for cursor in [Cursor(0), Cursor(41), Cursor(u64::MAX)] {
            assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }
        for text in ["", "-1", "x", "18446744073709551616"] {
            assert_eq!(text.parse::<Cursor>(), Err(InvalidCursor), "{text}");
        }
    }
}
