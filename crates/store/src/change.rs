//! What the journal's records mean to the index.
//!
//! Each change but [`Received`] carries the position of its own record. Positions order the changes
//! of a message, so that an old one that is applied again changes nothing.

use std::{fmt, sync::Arc};

use crate::Redacted;

/// One change of one message.
#[derive(Clone, Debug)]
pub enum Change {
    /// A message was received.
    Received(Received),
    /// A message was processed.
    Processed(Processed),
    /// A delivery came to its end.
    Settled(Settled),
    /// A parked message or delivery is in flight again.
    Released(Released),
}

impl Change {
    /// The message it is about.
    pub fn message(&self) -> u64 {
        match self {
            Change::Received(received) => received.message,
            Change::Processed(processed) => processed.message,
            Change::Settled(settled) => settled.message,
            Change::Released(released) => released.message,
        }
    }
}

/// A message as received. Header facts that the message does not have are empty.
#[derive(Clone, Default)]
pub struct Received {
    /// Its id: the journal position of its record.
    pub message: u64,
    /// The channel that received it.
    pub channel: Arc<str>,
    /// When, in microseconds since 1970 (UTC).
    pub received_at_micros: i64,
    /// Its length.
    pub bytes: u32,
    /// The message code, MSH-9.1 (`ADT`).
    pub code: Arc<str>,
    /// The trigger event, MSH-9.2 (`A01`).
    pub trigger: Arc<str>,
    /// The message structure, MSH-9.3 (`ADT_A01`).
    pub structure: Arc<str>,
    /// The version, MSH-12.1.
    pub version: Arc<str>,
    /// The sender's id of the message, MSH-10. Redacted, because some systems build it from a
    /// patient's or visit's number.
    pub control_id: Redacted,
    /// The sending application, MSH-3.
    pub sending_application: Arc<str>,
    /// The sending facility, MSH-4.
    pub sending_facility: Arc<str>,
    /// The processing id, MSH-11.1.
    pub processing_id: Arc<str>,
    /// What the message can be found by.
    pub identifiers: Vec<Identifier>,
    /// Where it came from, for display. Redacted, because file names may name patients.
    pub peer: Redacted,
    /// The message that this one repeats. It ends as [`Disposition::Superseded`] unless it is
    /// processed all the same.
    pub duplicate_of: Option<u64>,
}

impl fmt::Debug for Received {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Received")
            .field("message", &self.message)
            .field("channel", &self.channel)
            .field("received_at_micros", &self.received_at_micros)
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

/// A value that a message can be found by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identifier {
    /// What it identifies.
    pub kind: IdentifierKind,
    /// The value. White space around it does not count; an empty one is not kept.
    pub value: Redacted,
}

/// What an identifier identifies.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum IdentifierKind {
    /// A patient (PID-3).
    Patient,
    /// A visit (PV1-19) or account (PID-18).
    Visit,
    /// An order (ORC-2, ORC-3, OBR-2, OBR-3).
    Order,
    /// An accession (OBR-18 or where a site keeps it).
    Accession,
    /// A path that the channel names, under the channel's name for it.
    Custom(Arc<str>),
}

/// A message came through its channel's steps.
#[derive(Clone, Debug)]
pub struct Processed {
    /// The message.
    pub message: u64,
    /// The position of this record.
    pub position: u64,
    /// When, in microseconds since 1970 (UTC).
    pub at_micros: i64,
    /// How the message ended, if it ended here: filtered, rejected, parked or superseded.
    pub disposition: Option<Disposition>,
    /// The operator code that says why; empty when there is none.
    pub code: Arc<str>,
    /// Its deliveries. A message that did not end here and has none is filtered: it went nowhere.
    pub outputs: Vec<Output>,
    /// The revision of the channel that processed it.
    pub revision: Arc<str>,
}

/// One delivery of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Its number among the message's deliveries.
    pub ordinal: u32,
    /// Where it goes.
    pub destination: Arc<str>,
}

/// A delivery came to its end.
#[derive(Clone, Debug)]
pub struct Settled {
    /// The message.
    pub message: u64,
    /// The position of this record.
    pub position: u64,
    /// The delivery's number among the message's deliveries.
    pub ordinal: u32,
    /// Where it goes.
    pub destination: Arc<str>,
    /// When, in microseconds since 1970 (UTC).
    pub at_micros: i64,
    /// Its end.
    pub outcome: Outcome,
    /// The operator code that says why; empty when there is none.
    pub code: Arc<str>,
    /// How many times sending was tried.
    pub attempts: u32,
}

/// The end of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The destination has it.
    Delivered,
    /// Set aside, waiting for a person or a rule.
    Parked,
    /// It is not to be sent: a person decided so, or nobody waits for it any more.
    Discarded,
}

/// What was parked is in flight again.
#[derive(Clone, Debug)]
pub struct Released {
    /// The message.
    pub message: u64,
    /// The position of this record.
    pub position: u64,
    /// When, in microseconds since 1970 (UTC).
    pub at_micros: i64,
    /// The delivery that is sent again; `None`: the message itself, to be processed again.
    pub output: Option<Output>,
}

/// How a message ended; exactly one, or in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Disposition {
    /// Not ended: to be processed, or at least one delivery is to be made.
    InFlight,
    /// Every delivery ended, and none is parked; at least one was made.
    Delivered,
    /// The channel does not want it, or it has no destination.
    Filtered,
    /// Set aside itself, or at least one of its deliveries is and the others have ended.
    Parked,
    /// Refused to the sender.
    Rejected,
    /// Another message stands for it, or all its deliveries were discarded.
    Superseded,
}

impl Disposition {
    /// All of them.
    pub const ALL: [Disposition; 6] = [
        Disposition::InFlight,
        Disposition::Delivered,
        Disposition::Filtered,
        Disposition::Parked,
        Disposition::Rejected,
        Disposition::Superseded,
    ];
}

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DeliveryState {
    /// To be made.
    InFlight,
    /// The destination has it.
    Delivered,
    /// Set aside, waiting for a person or a rule.
    Parked,
    /// It is not to be sent: a person decided so, or nobody waits for it any more.
    Discarded,
}

#[cfg(test)]
mod tests {
    use super::{Change, Identifier, IdentifierKind, Received};

    #[test]
    fn debug_shows_no_value_of_a_message() {
        let change = Change::Received(Received {
            message: 7,
            channel: "adt-in".into(),
            control_id: "MARKER1".into(),
            sending_facility: "MARKER2".into(),
            peer: "MARKER3".into(),
            identifiers: vec![Identifier {
                kind: IdentifierKind::Patient,
                value: "MARKER4".into(),
            }],
            ..Received::default()
        });
        let text = format!("{change:?}");
        assert!(text.contains("adt-in") && text.contains('7'), "{text}");
        assert!(!text.contains("MARKER"), "{text}");
    }
}
