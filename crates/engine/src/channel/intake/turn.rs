//! Whose turn a message is: parts of files come in their order, numbered messages by their numbers (HL7 v2.5.1 §2.10.1).

use pipehat_connectors::{FilePart, Inbound, PartOrder};
use pipehat_message::{ErrorCode, Header};

use super::ChannelIntake;
use crate::channel::reply::Refusal;
use crate::duplicates;
use crate::ledger::FILES_MAX;
use crate::sequence::{Judgment, LinkNumber};

/// How far a file is.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) key: String,
    /// Parts on stable storage.
    pub(super) kept: u64,
    /// The part to be taken next: one out of turn would leave a gap behind it after a crash.
    pub(super) next: u64,
}

impl ChannelIntake {
    /// Whether this part is the file's next; then it is taken.
    pub(super) fn take_part(&self, part: &FilePart) -> bool {
        let mut parts = self.parts();
        if let Some(file) = parts.iter_mut().find(|file| file.key == part.key) {
            let turn = match part.order {
                PartOrder::Next => file.next == part.index,
                PartOrder::Later => file.next <= part.index,
            };
            if turn {
                file.next = part.index.saturating_add(1);
            }
            return turn;
        }
        if part.index > 0 && part.order == PartOrder::Next {
            return false;
        }
        if parts.len() >= FILES_MAX {
            parts.remove(0);
        }
        parts.push(Parts { key: part.key.clone(), kept: 0, next: part.index.saturating_add(1) });
        true
    }

    pub(super) fn part_kept(&self, part: &FilePart) {
        if let Some(file) = self.parts().iter_mut().find(|file| file.key == part.key) {
            file.kept = file.kept.max(part.index + 1);
        }
    }

    pub(super) fn part_lost(&self, part: &FilePart) {
        if let Some(file) = self.parts().iter_mut().find(|file| file.key == part.key) {
            file.next = file.next.min(part.index);
        }
    }

    /// A message's turn by its number, and MSA-4; or why it is refused. What was taken before is let
    /// through where it is that very message: it gets the same acknowledgment again.
    pub(super) fn judge(
        &self,
        header: &Header<'_>,
        inbound: &Inbound,
    ) -> Result<(Option<LinkNumber>, i64), (&'static str, Refusal)> {
        let refused = |code, error, expected, text: &str| {
            let location = Some("MSH-13".to_owned());
            let refusal = Refusal { error, location, expected, ..Refusal::busy(text) };
            Err((code, refusal))
        };
        // Before the links are locked: the window has its own lock.
        let (sender_hash, content_hash) = duplicates::hashes(header, &inbound.bytes);
        let known =
            !header.control_id().is_empty() && self.window().knows(sender_hash, content_hash);
        let judgment = self.links().judge(header);
        match judgment {
            Judgment::Taken { number, expected } => Ok((Some(number), expected)),
            // It echoes its own number, as it did the first time.
            Judgment::Before { expected } if known => {
                let written = str::from_utf8(header.sequence_number()).ok();
                let number = written.and_then(|text| text.trim().parse().ok());
                Ok((None, number.unwrap_or(expected)))
            }
            Judgment::Before { expected } => refused(
                "receive.sequence-before",
                ErrorCode::ApplicationInternalError,
                Some(expected),
                "another message with this number was taken before",
            ),
            Judgment::Gap { expected } => refused(
                "receive.sequence-gap",
                ErrorCode::ApplicationInternalError,
                Some(expected),
                "messages before this one are missing",
            ),
            Judgment::Missing { expected } => refused(
                "receive.sequence-missing",
                ErrorCode::RequiredFieldMissing,
                Some(expected),
                "MSH-13, the sequence number, is missing",
            ),
            Judgment::NoNumber { expected } => refused(
                "receive.sequence-missing",
                ErrorCode::DataTypeError,
                Some(expected),
                "MSH-13 is no sequence number",
            ),
            Judgment::NoLink => refused(
                "receive.sequence-links",
                ErrorCode::ApplicationInternalError,
                None,
                "more senders than this channel numbers",
            ),
        }
    }

    /// How many parts of a file are kept; its source begins anew behind them.
    pub(super) fn file_begins_anew(&self, key: &str) -> u64 {
        let mut parts = self.parts();
        let Some(file) = parts.iter_mut().find(|file| file.key == key) else { return 0 };
        // The source begins anew; nothing of this file is under way.
        file.next = file.kept;
        file.kept
    }
}

/// What MSA-4 says of a message whose number was used up, though it was refused.
pub(super) fn after(number: i64) -> i64 {
    number.saturating_add(1)
}
