//! The foot of the path: how the engine sends one message, and what may come of it.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use crate::ResourceChange;

/// A configured destination. It keeps its connections itself and opens them when first needed.
pub trait Destination: Send + Sync + 'static {
    /// How many deliveries may be under way at once.
    fn parallel(&self) -> Parallel;

    /// Sends one message and waits for the peer's answer.
    ///
    /// With a window above one, the order of the *calls* is the order on the wire. Dropping the
    /// future may leave the peer with or without the message.
    fn deliver(&self, outbound: Outbound) -> BoxFuture<'static, Attempt>;

    /// Whether deliveries are numbered by the sequence number protocol (HL7 v2.5.1 §2.10.1). Then
    /// one at a time is under way, and [`Outbound::number`] is the next after the last settled one.
    fn is_numbered(&self) -> bool {
        false
    }

    /// Why it can't make a deletion of a resource happen at its peer, and what to do: a channel whose source gives
    /// deletions is refused by it.
    fn refuses_deletions(&self) -> Option<RefusesDeletions> {
        None
    }

    /// Closes connections in good order; no delivery is under way.
    fn close(&self) -> BoxFuture<'_, ()>;
}

/// Why a destination can't make a deletion happen at its peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefusesDeletions {
    /// Why, as a sentence.
    pub why: &'static str,
    /// What to do instead.
    pub remedy: &'static str,
}

/// How many deliveries a destination takes at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parallel {
    /// Connections, each answered on its own.
    pub connections: usize,
    /// Deliveries unanswered at a time on one connection.
    pub window: usize,
}

/// One message to send. `Debug` shows no content.
#[derive(Clone)]
pub struct Outbound {
    /// The payload, without framing.
    pub bytes: Bytes,
    /// The channel's name.
    pub channel: Arc<str>,
    /// Our number of the message, unique in this installation.
    pub message: u64,
    /// Which of the message's outputs this is, from 1.
    pub ordinal: u16,
    /// 1 for the first try.
    pub attempt: u32,
    /// The name of the file the message came from, if it did.
    pub file: Option<Arc<str>>,
    /// MSH-13, where the destination numbers its messages.
    pub number: Option<u64>,
    /// The change of a resource that it tells of: a deletion has the resource as it was before.
    pub change: Option<Arc<ResourceChange>>,
}

/// What came of one try. `Debug` shows no content.
#[derive(Clone, PartialEq, Eq)]
pub enum Attempt {
    /// The peer has it.
    Delivered {
        /// What the peer said.
        reply: Option<Bytes>,
    },
    /// The peer answered that it does not take it.
    Refused {
        /// The operator code, such as `mllp.refused`.
        code: &'static str,
        /// Which of the descriptor's answers this is: what `on:` in a channel file names.
        answer: &'static Answer,
        /// What the peer said.
        reply: Option<Bytes>,
    },
    /// Nothing reached the peer.
    NotSent {
        /// The operator code, such as `mllp.connect-failed`.
        code: &'static str,
        /// Where and what, without content.
        detail: String,
    },
    /// It may have reached the peer, or not: no answer, or one that can't be understood.
    Interrupted {
        /// The operator code, such as `mllp.acknowledgment-timeout`.
        code: &'static str,
        /// Where and what, without content.
        detail: String,
        /// What the peer said, if anything.
        reply: Option<Bytes>,
    },
    /// It can't be sent as it is, now or later.
    Impossible {
        /// The operator code, such as `file.name-template`.
        code: &'static str,
        /// Where and what, without content.
        detail: String,
    },
}

/// One way in which a peer may refuse, named as in `on: { AE: park }`.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its name: `AE`, `404`, `5xx`.
    pub name: &'static str,
    /// The wider answer it belongs to, asked when the configuration does not name this one:
    /// `4xx` for `404`.
    pub class: Option<&'static str>,
    /// What is done when the configuration names neither.
    pub default: OnRefusal,
    /// What the peer means by it.
    pub doc: &'static str,
}

/// What to do about a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnRefusal {
    /// Set it aside: the same bytes would be refused again.
    Park,
    /// Try again later.
    Retry,
    /// Take it as delivered.
    Accept,
}

impl Attempt {
    /// What the peer said, whatever it meant.
    pub fn reply(&self) -> Option<&Bytes> {
        match self {
            Self::Delivered { reply }
            | Self::Refused { reply, .. }
            | Self::Interrupted { reply, .. } => reply.as_ref(),
            Self::NotSent { .. } | Self::Impossible { .. } => None,
        }
    }
}

impl fmt::Debug for Outbound {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Outbound")
            .field("bytes", &self.bytes.len())
            .field("channel", &self.channel)
            .field("message", &self.message)
            .field("ordinal", &self.ordinal)
            .field("attempt", &self.attempt)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Attempt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reply_bytes = |reply: &Option<Bytes>| reply.as_ref().map(Bytes::len);
        match self {
            Self::Delivered { reply } => formatter
                .debug_struct("Delivered")
                .field("reply_bytes", &reply_bytes(reply))
                .finish(),
            Self::Refused { code, answer, reply } => formatter
                .debug_struct("Refused")
                .field("code", code)
                .field("answer", &answer.name)
                .field("reply_bytes", &reply_bytes(reply))
                .finish(),
            Self::NotSent { code, detail } => formatter
                .debug_struct("NotSent")
                .field("code", code)
                .field("detail", detail)
                .finish(),
            Self::Interrupted { code, detail, reply } => formatter
                .debug_struct("Interrupted")
                .field("code", code)
                .field("detail", detail)
                .field("reply_bytes", &reply_bytes(reply))
                .finish(),
            Self::Impossible { code, detail } => formatter
                .debug_struct("Impossible")
                .field("code", code)
                .field("detail", detail)
                .finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{MARKER, message, outbound};

    static NO: Answer = Answer { name: "NO", class: None, default: OnRefusal::Park, doc: "No." };

    #[test]
    fn debug_shows_no_content() {
        let reply = Some(message("R"));
        let (code, detail) = ("test.code", "where".to_owned());
        let attempts = [
            Attempt::Delivered { reply: reply.clone() },
            Attempt::Refused { code, answer: &NO, reply: reply.clone() },
            Attempt::Interrupted { code, detail, reply },
        ];
        let text = format!("{:?} {attempts:?}", outbound("O"));
        assert!(
            text.contains("test.code") && text.contains("where") && text.contains("NO"),
            "{text}"
        );
        assert!(!text.contains(MARKER), "{text}");
    }
}
