//! Messages sent again: the same channel, sender, control id and bytes, within a window.
//!
//! A sender that missed our acknowledgment sends its message again. Such a repetition gets the
//! first one's acknowledgment and is not processed. The same control id with *other* bytes is
//! another message, and a finding.
//!
//! A message whose sender was told that it is refused was not taken: sent again it is processed
//! anew, for what refused it may have been mended meanwhile (HL7 v2.5.1 §2.9.2). Only where the
//! sender numbers its messages is it remembered like any other: its number is used up.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use jiff::Timestamp;
use pipehat_message::Header;

use crate::names::MessageId;

/// Messages remembered for each channel, whatever the window: a resend follows within the
/// sender's time-out, so the newest are what counts. About 10 MB when full.
pub(crate) const REMEMBERED_MAX: usize = 100_000;

/// The messages a channel lately received.
#[derive(Debug)]
pub(crate) struct DuplicateWindow {
    window: Option<Duration>,
    seen: HashMap<u64, Seen>,
    order: VecDeque<(Timestamp, u64, u64)>,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    content_hash: u64,
    /// Not known until the first one is durable.
    message: Option<MessageId>,
    at: Timestamp,
}

/// What the window knows of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    /// Nothing.
    New,
    /// It repeats this message, received at that time.
    Repeats(MessageId, Timestamp),
    /// It repeats one that is not durable yet.
    RepeatsPending,
    /// Its sender used this control id for other bytes.
    ControlIdReused,
}

impl DuplicateWindow {
    /// A window of that length; `None` remembers nothing.
    pub(crate) fn new(window: Option<Duration>) -> Self {
        Self { window, seen: HashMap::new(), order: VecDeque::new() }
    }

    /// Changes the length.
    pub(crate) fn resize(&mut self, window: Option<Duration>) {
        self.window = window;
        if window.is_none() {
            self.seen.clear();
            self.order.clear();
        }
    }

    /// Asks for a message, and remembers it if it is none that repeats another.
    pub(crate) fn meet(&mut self, sender_hash: u64, content_hash: u64, now: Timestamp) -> Known {
        let Some(window) = self.window else { return Known::New };
        self.expire(now, window);
        let known = match self.seen.get(&sender_hash) {
            Some(seen) if seen.content_hash == content_hash => match seen.message {
                Some(message) => return Known::Repeats(message, seen.at),
                None => return Known::RepeatsPending,
            },
            Some(_) => Known::ControlIdReused,
            None => Known::New,
        };
        self.insert(sender_hash, content_hash, None, now);
        known
    }

    /// Whether this very message is known, without remembering it.
    pub(crate) fn knows(&self, sender_hash: u64, content_hash: u64) -> bool {
        self.seen.get(&sender_hash).is_some_and(|seen| seen.content_hash == content_hash)
    }

    /// The message remembered by [`meet`](Self::meet) is durable under this id.
    pub(crate) fn kept(&mut self, sender_hash: u64, content_hash: u64, message: MessageId) {
        if let Some(seen) = self.seen.get_mut(&sender_hash)
            && seen.content_hash == content_hash
        {
            seen.message = Some(message);
        }
    }

    /// The message remembered by [`meet`](Self::meet) was not kept after all.
    pub(crate) fn lost(&mut self, sender_hash: u64, content_hash: u64) {
        if self.seen.get(&sender_hash).is_some_and(|seen| seen.content_hash == content_hash) {
            self.seen.remove(&sender_hash);
        }
    }

    /// The sender of this message has been refused: sent again, it is new.
    pub(crate) fn refused(&mut self, sender_hash: u64, message: MessageId) {
        if self.seen.get(&sender_hash).is_some_and(|seen| seen.message == Some(message)) {
            self.seen.remove(&sender_hash);
        }
    }

    /// Remembers a message read from the journal.
    pub(crate) fn remember(
        &mut self,
        sender_hash: u64,
        content_hash: u64,
        message: MessageId,
        at: Timestamp,
    ) {
        if self.window.is_some() {
            self.insert(sender_hash, content_hash, Some(message), at);
        }
    }

    fn insert(
        &mut self,
        sender_hash: u64,
        content_hash: u64,
        message: Option<MessageId>,
        at: Timestamp,
    ) {
        if self.order.len() >= REMEMBERED_MAX {
            self.forget_oldest();
        }
        self.seen.insert(sender_hash, Seen { content_hash, message, at });
        self.order.push_back((at, sender_hash, content_hash));
    }

    fn expire(&mut self, now: Timestamp, window: Duration) {
        while let Some((at, ..)) = self.order.front()
            && now.duration_since(*at).unsigned_abs() > window
        {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((at, sender_hash, _)) = self.order.pop_front()
            && self.seen.get(&sender_hash).is_some_and(|seen| seen.at == at)
        {
            self.seen.remove(&sender_hash);
        }
    }
}

/// Hashes of a message for its window: sender with control id, and bytes.
///
/// Not secret and not signed; a sender who makes two messages collide harms only itself.
pub(crate) fn hashes(header: &Header<'_>, bytes: &[u8]) -> (u64, u64) {
    (sender_hash(header), xxhash_rust::xxh3::xxh3_64(bytes))
}

/// The first of the two.
pub(crate) fn sender_hash(header: &Header<'_>) -> u64 {
    hash_of([header.sending_application(), header.sending_facility(), header.control_id()])
}

fn hash_of(sender: [&[u8]; 3]) -> u64 {
    sender
        .into_iter()
        .fold(0, |hash, part| xxhash_rust::xxh3::xxh3_64_with_seed(part, hash ^ 0x5350_4841_5400))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::{SignedDuration, Timestamp};
    use pipehat_journal::Position;

    use super::{DuplicateWindow, Known, REMEMBERED_MAX, hash_of};
    use crate::names::MessageId;

    const MINUTE: Duration = Duration::from_secs(60);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds)
    }

    fn message(number: u64) -> MessageId {
        MessageId(Position::new(number).expect("positions start at 1"))
    }

    #[test]
    fn a_repetition_is_known_once_the_first_is_durable() {
        let mut window = DuplicateWindow::new(Some(MINUTE));
        assert_eq!(window.meet(1, 10, at(0)), Known::New);
        assert_eq!(window.meet(1, 10, at(1)), Known::RepeatsPending);
        window.kept(1, 10, message(5));
        assert_eq!(window.meet(1, 10, at(60)), Known::Repeats(message(5), at(0)));
        assert_eq!(window.meet(1, 10, at(61)), Known::New);
    }

    #[test]
    fn another_content_under_the_same_control_id_is_another_message() {
        let mut window = DuplicateWindow::new(Some(MINUTE));
        assert_eq!(window.meet(1, 10, at(0)), Known::New);
        window.kept(1, 10, message(1));
        assert_eq!(window.meet(1, 11, at(1)), Known::ControlIdReused);
        window.kept(1, 11, message(2));
        assert_eq!(window.meet(1, 11, at(2)), Known::Repeats(message(2), at(1)));
    }

    #[test]
    fn what_was_not_kept_is_new_again() {
        let mut window = DuplicateWindow::new(Some(MINUTE));
        assert_eq!(window.meet(1, 10, at(0)), Known::New);
        window.lost(1, 10);
        assert_eq!(window.meet(1, 10, at(1)), Known::New);
    }

    #[test]
    fn what_was_refused_is_new_again() {
        let mut window = DuplicateWindow::new(Some(MINUTE));
        assert_eq!(window.meet(1, 10, at(0)), Known::New);
        window.kept(1, 10, message(1));
        window.refused(1, message(1));
        assert_eq!(window.meet(1, 10, at(1)), Known::New);
        window.kept(1, 10, message(2));
        // What is told late of the first says nothing of the second.
        window.refused(1, message(1));
        assert_eq!(window.meet(1, 10, at(2)), Known::Repeats(message(2), at(1)));
        // Nor does the age of the first.
        assert_eq!(window.meet(1, 10, at(61)), Known::Repeats(message(2), at(1)));
    }

    #[test]
    fn memory_is_bounded() {
        let mut window = DuplicateWindow::new(Some(MINUTE));
        for number in 0..=REMEMBERED_MAX as u64 {
            assert_eq!(window.meet(number, 1, at(0)), Known::New);
        }
        assert_eq!(window.order.len(), REMEMBERED_MAX);
        assert_eq!(window.meet(0, 1, at(0)), Known::New);
    }

    #[test]
    fn parts_do_not_run_together() {
        assert_ne!(hash_of([b"AB", b"C", b""]), hash_of([b"A", b"BC", b""]));
    }
}
