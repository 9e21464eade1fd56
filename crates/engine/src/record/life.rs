//! The records of a message's life.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use pipehat_connectors::{FilePart, Peer, ResourceChange};
use pipehat_journal::Position;

use super::encoding::RecordError;
use crate::effects::Effect;
use crate::names::MessageId;
use crate::sequence::LinkNumber;

/// One thing that happened on the path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// A message came in.
    Received(Received),
    /// A message went through its channel's steps.
    Processed(Processed),
    /// A delivery was tried and failed.
    Attempted(Attempted),
    /// A delivery reached its end.
    Settled(Settled),
    /// A person or rule decided about something parked or settled.
    Decided(Decided),
    /// A channel's configuration took effect.
    Applied(Applied),
}

/// A message came in. Body 0 is its exact bytes; a duplicate has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The channel.
    pub channel: Arc<str>,
    /// When.
    pub at: Timestamp,
    /// Who sent it.
    pub peer: PeerRecord,
    /// Where in a file it stood.
    pub part: Option<FilePart>,
    /// Sender and control id, hashed: equal for a message sent again.
    pub sender_hash: u64,
    /// The bytes, hashed.
    pub content_hash: u64,
    /// The message this one repeats.
    pub duplicate_of: Option<MessageId>,
    /// Why it was refused at once, if it was: operator code and detail.
    pub refused: Option<(String, String)>,
    /// Its place in the sequence number protocol, where the source follows it.
    pub sequence: Option<LinkNumber>,
    /// The message it is the application acknowledgment of: then it did not come in, but goes out
    /// as a message of its own (HL7 v2.5.1 §2.9.3).
    pub acknowledges: Option<MessageId>,
    /// The exact bytes; empty for a duplicate, whose original has them.
    pub bytes: Bytes,
}

impl Received {
    /// The change of a resource that it tells of.
    pub fn change(&self) -> Option<Arc<ResourceChange>> {
        ResourceChange::kept(self.part.as_ref(), &self.peer.headers)
    }
}

/// The sender, as kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PeerRecord {
    /// Network address.
    pub address: Option<String>,
    /// Subject of the client certificate.
    pub identity: Option<String>,
    /// File name.
    pub file: Option<String>,
    /// Named facts.
    pub headers: Vec<(String, String)>,
}

impl From<&Peer> for PeerRecord {
    fn from(peer: &Peer) -> Self {
        Self {
            address: peer.address.map(|address| address.to_string()),
            identity: peer.identity.clone(),
            file: peer.file.clone(),
            headers: peer.headers.clone(),
        }
    }
}

impl From<&PeerRecord> for Peer {
    fn from(record: &PeerRecord) -> Self {
        Self {
            address: record.address.as_deref().and_then(|text| text.parse::<SocketAddr>().ok()),
            identity: record.identity.clone(),
            file: record.file.clone(),
            headers: record.headers.clone(),
        }
    }
}

/// A message went through its channel's steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Processed {
    /// The channel.
    pub channel: Arc<str>,
    /// The message.
    pub message: MessageId,
    /// When.
    pub at: Timestamp,
    /// The revision that did it.
    pub revision: [u8; 32],
    /// The message's lanes, as keyed hashes; none where the channel keeps no order.
    pub lanes: Vec<u64>,
    /// The file the message came from.
    pub file: Option<Arc<str>>,
    /// What the steps asked and were told.
    pub effects: Vec<Effect>,
    /// What the steps noticed: code, place, how often.
    pub findings: Vec<(String, String, u64)>,
    /// The end, or the outputs.
    pub outcome: ProcessedOutcome,
    /// The reply the sender gets for it, where the reply mode waits for processing.
    pub reply: Option<Bytes>,
    /// The translations that outputs went through.
    pub translations: Vec<TranslationRecord>,
}

impl Processed {
    /// Whether it ended rejected.
    pub(crate) fn is_rejected(&self) -> bool {
        matches!(&self.outcome, ProcessedOutcome::Ended(ended)
            if ended.disposition == Disposition::Rejected)
    }

    /// Whether the sender is told that the message is rejected: it was not taken. Where the reply
    /// mode waits for no more than durability, the sender was told that it was.
    pub(crate) fn refuses_sender(&self) -> bool {
        self.reply.is_some() && self.is_rejected()
    }
}

/// What processing came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProcessedOutcome {
    /// It ends here.
    Ended(Ended),
    /// It goes on, to these destinations.
    Routed(Vec<OutputRecord>),
}

/// A message that ended in processing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// How.
    pub disposition: Disposition,
    /// The operator code.
    pub code: String,
    /// Where and why, without values.
    pub detail: String,
}

/// How a message ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Disposition {
    /// Its destinations have it, but for those a person gave up; or it was to be kept only.
    Delivered,
    /// Configuration wanted it to go nowhere.
    Filtered,
    /// Set aside, whole or for one destination, waiting for a person or a rule.
    Parked,
    /// Answered negatively: the sender still has it.
    Rejected,
    /// Something else took its place: it repeated another message, or a person discarded it.
    Superseded,
}

impl Disposition {
    /// All of them, in the order they are shown.
    pub const ALL: [Self; 5] =
        [Self::Delivered, Self::Filtered, Self::Parked, Self::Rejected, Self::Superseded];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Filtered => "filtered",
            Self::Parked => "parked",
            Self::Rejected => "rejected",
            Self::Superseded => "superseded",
        }
    }

    pub(super) fn byte(self) -> u8 {
        match self {
            Self::Delivered => 1,
            Self::Filtered => 2,
            Self::Parked => 3,
            Self::Rejected => 4,
            Self::Superseded => 5,
        }
    }

    pub(super) fn of(byte: u8) -> Result<Self, RecordError> {
        Self::ALL
            .into_iter()
            .find(|disposition| disposition.byte() == byte)
            .ok_or(RecordError::Range)
    }
}

/// One output of processing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputRecord {
    /// The destination's name.
    pub destination: Arc<str>,
    /// The bytes to send.
    pub bytes: BodyRef,
    /// The translation that it went through last: its number among the record's, from 0.
    pub translation: Option<u16>,
}

/// A translation that outputs went through, and where what it made came from: elements, places and rows, never a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TranslationRecord {
    /// The step and its place in the channel's file.
    pub at: String,
    /// The bot that asked for it.
    pub bot: Option<String>,
    /// The translation before it: its number, which is smaller.
    pub before: Option<u16>,
    /// The lineage, packed; none where it was larger than may be kept.
    pub lineage: Option<Bytes>,
}

impl TranslationRecord {
    /// The translations that an output went through, the first of them first, with their numbers.
    pub fn through(all: &[Self], last: Option<u16>) -> Vec<(u16, &Self)> {
        let mut through = Vec::new();
        let mut next = last;
        // Each is before the one that names it, so that this ends.
        while let Some((number, own)) =
            next.and_then(|number| Some((number, all.get(usize::from(number))?)))
        {
            through.push((number, own));
            next = own.before.filter(|before| *before < number);
        }
        through.reverse();
        through
    }
}

/// Where an output's bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BodyRef {
    /// No step touched them: they are the Received record's.
    AsReceived,
    /// Bytes of its own.
    Own(Bytes),
}

/// A delivery was tried and failed; it will be tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempted {
    /// The channel.
    pub channel: Arc<str>,
    /// The message.
    pub message: MessageId,
    /// Which output, from 1.
    pub ordinal: u16,
    /// Which try, from 1.
    pub attempt: u32,
    /// When it ended.
    pub at: Timestamp,
    /// The operator code.
    pub code: String,
    /// Where and what, without values.
    pub detail: String,
}

/// A delivery reached its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// The channel.
    pub channel: Arc<str>,
    /// The message.
    pub message: MessageId,
    /// The Processed record the delivery stems from.
    pub processed: Position,
    /// Which output of it, from 1.
    pub ordinal: u16,
    /// The destination.
    pub destination: Arc<str>,
    /// The message's other deliveries: what its disposition also depends on.
    pub siblings: Vec<Sibling>,
    /// When.
    pub at: Timestamp,
    /// How many tries it took.
    pub attempts: u32,
    /// How it ended.
    pub outcome: SettledOutcome,
    /// The number it used up in the sequence number protocol.
    pub sequence: Option<u64>,
    /// What the peer answered.
    pub reply: Option<Bytes>,
}

/// Another delivery of the same message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sibling {
    /// Which output, from 1.
    pub ordinal: u16,
    /// Its destination.
    pub destination: Arc<str>,
}

/// A delivery a decision is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryRef {
    /// The Processed record the delivery stems from.
    pub processed: Position,
    /// Which output of it, from 1.
    pub ordinal: u16,
    /// The destination.
    pub destination: Arc<str>,
    /// The message's other deliveries.
    pub siblings: Vec<Sibling>,
}

/// How a delivery ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SettledOutcome {
    /// The peer has it.
    Delivered,
    /// Set aside.
    Parked {
        /// The operator code.
        code: String,
        /// Where and what, without values.
        detail: String,
    },
    /// Not sent again, and nobody waits for it: a query whose asker has been told that there is
    /// no answer.
    GivenUp {
        /// The operator code.
        code: String,
        /// Where and what, without values.
        detail: String,
    },
}

/// A decision about a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// The channel.
    pub channel: Arc<str>,
    /// The message.
    pub message: MessageId,
    /// When.
    pub at: Timestamp,
    /// Who decided: an account or the name of a rule.
    pub by: String,
    /// Why, in their words.
    pub reason: String,
    /// What.
    pub decision: Decision,
}

/// What was decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// A message parked in processing goes through the steps again.
    Reprocess,
    /// A message parked in processing is given up.
    Discard,
    /// A settled delivery is sent again, the same bytes.
    Resend(DeliveryRef),
    /// A parked delivery is given up.
    DiscardDelivery(DeliveryRef),
}

/// A channel's configuration took effect, or the channel ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// The channel.
    pub channel: Arc<str>,
    /// When.
    pub at: Timestamp,
    /// Who applied it.
    pub by: String,
    /// The revision now in force; none when the channel was taken away.
    pub revision: Option<[u8; 32]>,
}

impl Record {
    /// The channel it belongs to.
    pub fn channel(&self) -> &Arc<str> {
        match self {
            Self::Received(record) => &record.channel,
            Self::Processed(record) => &record.channel,
            Self::Attempted(record) => &record.channel,
            Self::Settled(record) => &record.channel,
            Self::Decided(record) => &record.channel,
            Self::Applied(record) => &record.channel,
        }
    }
}
