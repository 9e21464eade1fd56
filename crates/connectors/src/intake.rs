//! The head of the path: how a source hands over what it received, and what it may answer.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

use crate::{GivenChanges, Health};

/// A configured source, not yet listening.
pub trait Source: Send + Sync + 'static {
    /// Takes hold of what the source listens on, so that a failure is known before anything
    /// runs. Nothing is received before [`Bound::run`].
    fn bind(&self) -> BoxFuture<'_, Result<Box<dyn Bound>, StartError>>;

    /// Which changes of resources its messages tell of.
    fn changes(&self) -> GivenChanges {
        GivenChanges::None
    }

    /// The type of the resources that its messages are, where they are all of one.
    fn resource_type(&self) -> Option<&str> {
        None
    }
}

/// A source that holds its listener, folder or session.
pub trait Bound: Send + 'static {
    /// Where it listens, as an operator would write it; the real port when 0 was asked for.
    fn address(&self) -> Option<String>;

    /// Receives until `stop` is cancelled; then accepts nothing more, finishes what is in
    /// flight, and returns. Every task it starts is awaited before it returns.
    fn run(
        self: Box<Self>,
        intake: Arc<dyn Intake>,
        health: Arc<Health>,
        stop: CancellationToken,
    ) -> BoxFuture<'static, ()>;
}

/// Why a source could not start. The text names addresses and paths, never content.
#[derive(Debug, thiserror::Error)]
#[error("{message} [{code}]")]
pub struct StartError {
    /// The operator code, such as `mllp.listen-failed`.
    pub code: &'static str,
    /// What failed, where, and what to do.
    pub message: String,
    /// The cause.
    #[source]
    pub source: Option<std::io::Error>,
}

/// The engine, as a source sees it.
pub trait Intake: Send + Sync + 'static {
    /// Waits until the engine can take `bytes` more bytes. This is the back-pressure: a source
    /// that waits here does not read on.
    fn admit(&self, bytes: usize) -> BoxFuture<'static, Result<Admission, IntakeClosed>>;

    /// Hands over one payload. Acceptance order is the order of the *calls*, not of polling the
    /// answers, so that a source may have several payloads of one peer under way.
    ///
    /// The receipt is ready when the reply may leave: for a positive one, after the record that
    /// keeps the message is on stable storage.
    fn receive(&self, admission: Admission, inbound: Inbound) -> BoxFuture<'static, Receipt>;

    /// How many parts of the file with this key are already kept: after a restart a source goes
    /// on from there, so that each part is taken once. See [`FilePart::key`].
    fn parts_kept(&self, key: &str) -> u64;
}

/// The engine is stopping and takes nothing more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the channel is stopping and takes nothing more")]
pub struct IntakeClosed;

/// The right to hand over one payload; gives its share of memory back when dropped.
#[derive(Debug)]
pub struct Admission {
    permits: Vec<OwnedSemaphorePermit>,
}

impl Admission {
    /// An admission that returns these permits when it ends.
    pub fn new(permits: Vec<OwnedSemaphorePermit>) -> Self {
        Self { permits }
    }

    /// An admission nothing is counted for: for tests.
    pub fn unlimited() -> Self {
        Self { permits: Vec::new() }
    }

    /// Gives part of it back: what was asked for `asked` bytes is now for `used` bytes only.
    ///
    /// For a source that had to ask before it knew how long a payload would be.
    pub fn reduce(&mut self, asked: usize, used: usize) {
        for permits in &mut self.permits {
            let held = permits.num_permits() as u128;
            let kept = (held * used as u128).div_ceil((asked as u128).max(1)).min(held);
            let surplus = usize::try_from(held - kept).unwrap_or(0);
            drop(permits.split(surplus));
        }
    }

    /// How many permits are held.
    pub fn permits(&self) -> usize {
        self.permits.iter().map(OwnedSemaphorePermit::num_permits).sum()
    }
}

/// One payload as it came in. `Debug` shows no content.
#[derive(Clone)]
pub struct Inbound {
    /// The exact bytes, without the protocol's framing.
    pub bytes: Bytes,
    /// Who sent it. Shared by all payloads of one connection.
    pub peer: Arc<Peer>,
    /// Where in a file it stood, for sources that read files.
    pub part: Option<FilePart>,
    /// Whether MSH-13 counts.
    pub numbering: Numbering,
}

/// Whether a sender numbers its messages by the sequence number protocol (HL7 v2.5.1 §2.10.1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Numbering {
    /// MSH-13 is not looked at.
    #[default]
    Ignored,
    /// A message out of its turn is refused, and MSA-4 says which is expected.
    Followed,
}

/// What is known of the sender.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Peer {
    /// The network address.
    pub address: Option<SocketAddr>,
    /// The subject of the verified client certificate.
    pub identity: Option<String>,
    /// The name of the file, without its folder.
    pub file: Option<String>,
    /// Named facts worth keeping, such as chosen HTTP headers.
    pub headers: Vec<(String, String)>,
}

/// One message's place in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePart {
    /// Identifies the file's content and name, the same after a restart; holds no patient data.
    pub key: String,
    /// 0-based number of this message in the file.
    pub index: u64,
    /// Whether it is the file's last.
    pub last: bool,
    /// Which parts may follow each other.
    pub order: PartOrder,
}

/// Which part of a file may follow another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PartOrder {
    /// The next one alone: nothing is left out.
    #[default]
    Next,
    /// Any later one: those between were not for this channel.
    Later,
}

/// The engine's answer to one payload.
pub struct Receipt {
    /// What became of it.
    pub outcome: ReceiptOutcome,
    /// The bytes to send back, without framing; none where the reply mode is `none`.
    pub reply: Option<Bytes>,
    /// In enhanced mode, the application acknowledgment that follows later on the same
    /// connection, if the sender asked for one.
    pub later: Option<BoxFuture<'static, Option<Bytes>>>,
}

/// What became of a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReceiptOutcome {
    /// Kept on stable storage: from now on it is the engine's.
    Kept,
    /// Refused for its content; the same bytes would be refused again.
    Rejected,
    /// Not kept for want of room, time or a working journal; the sender should try again.
    Busy,
}

impl std::fmt::Debug for Inbound {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Inbound")
            .field("bytes", &self.bytes.len())
            .field("address", &self.peer.address)
            .field("part", &self.part.as_ref().map(|part| part.index))
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Receipt {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Receipt")
            .field("outcome", &self.outcome)
            .field("reply_bytes", &self.reply.as_ref().map(Bytes::len))
            .field("later", &self.later.is_some())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_content() {
        let bytes = crate::contract::message("I");
        let inbound =
            Inbound { bytes, peer: Arc::default(), part: None, numbering: Numbering::Ignored };
        let text = format!("{inbound:?}");
        assert!(text.starts_with("Inbound") && !text.contains(crate::contract::MARKER), "{text}");
    }

    #[tokio::test]
    async fn what_was_asked_too_much_is_given_back() {
        let room = Arc::new(tokio::sync::Semaphore::new(100));
        let permits = room.clone().acquire_many_owned(50).await.expect("there is room");
        let mut admission = Admission::new(vec![permits]);
        admission.reduce(1000, 390);
        assert_eq!((admission.permits(), room.available_permits()), (20, 80));
        admission.reduce(390, 1000);
        assert_eq!((admission.permits(), room.available_permits()), (20, 80));
        admission.reduce(1000, 0);
        assert_eq!(room.available_permits(), 100);
    }
}
