//! Why a file goes to the error folder, in words for whoever finds it there. No name and no value.

use std::fmt;

use pipehat_message::Finding;

use super::codes;

/// So many reasons are told; a file of garbage would have millions.
pub(super) const REASONS_MAX: usize = 100;

/// One thing wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reason {
    /// The engine refuses a message, counted from 1.
    Rejected { message: u64 },
    /// The batch or file around the messages is not as it says.
    Batch(Finding),
    /// A message, or the file where it is one payload, is larger than allowed.
    TooLarge { offset: u64, limit: usize },
    /// There is no message in it.
    NoMessage,
    /// It was still being written.
    ChangedWhileRead,
    /// It is not a plain file, or reading failed again and again.
    Unreadable(String),
}

impl Reason {
    fn code(&self) -> &'static str {
        match self {
            Self::Rejected { .. } => codes::MESSAGE_REJECTED.code,
            Self::Batch(_) => codes::BATCH_INCONSISTENT.code,
            Self::TooLarge { .. } => codes::MESSAGE_TOO_LARGE.code,
            Self::NoMessage => codes::NO_MESSAGE.code,
            Self::ChangedWhileRead => codes::CHANGED_WHILE_READ.code,
            Self::Unreadable(_) => codes::FILE_UNREADABLE.code,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: ", self.code())?;
        match self {
            Self::Rejected { message } => write!(
                formatter,
                "message {message} of the file was refused; the others were taken"
            ),
            Self::Batch(finding) => write!(formatter, "{finding}; all messages were taken"),
            Self::TooLarge { offset, limit } => write!(
                formatter,
                "what begins at byte {offset} is larger than {limit} bytes (`message_bytes_max`); messages before it were \
                 taken, it and what follows were not"
            ),
            Self::NoMessage => formatter.write_str("no line begins with MSH; nothing was taken"),
            Self::ChangedWhileRead => formatter.write_str(
                "the file was still being written while it was read; what was there was taken (a longer `stable_for`, \
                 or a `marker`, prevents this)",
            ),
            Self::Unreadable(detail) => write!(formatter, "the file could not be read: {detail}"),
        }
    }
}

/// What is wrong with one file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Reasons {
    reasons: Vec<Reason>,
    left_out: u64,
}

impl Reasons {
    /// Notes one thing more.
    pub(super) fn add(&mut self, reason: Reason) {
        if self.reasons.len() < REASONS_MAX {
            self.reasons.push(reason);
        } else {
            self.left_out = self.left_out.saturating_add(1);
        }
    }

    /// Notes that there is no message: what stands in the file belongs to none, which goes without saying.
    pub(super) fn add_no_message(&mut self) {
        self.reasons.retain(|reason| *reason != Reason::Batch(Finding::StrayLines));
        self.add(Reason::NoMessage);
    }

    /// Whether all is well.
    pub(super) fn is_empty(&self) -> bool {
        self.reasons.is_empty()
    }

    /// The operator code of the first.
    pub(super) fn code(&self) -> Option<&'static str> {
        self.reasons.first().map(Reason::code)
    }
}

/// One line each: the text of the `.reason` file.
impl fmt::Display for Reasons {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for reason in &self.reasons {
            writeln!(formatter, "{reason}")?;
        }
        if self.left_out > 0 {
            writeln!(formatter, "and {} more", self.left_out)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_reasons_are_told_and_the_others_counted() {
        let mut reasons = Reasons::default();
        for message in 1..=REASONS_MAX as u64 {
            reasons.add(Reason::Rejected { message });
        }
        assert_eq!(reasons.to_string().lines().count(), REASONS_MAX);
        reasons.add(Reason::NoMessage);
        assert_eq!(reasons.to_string().lines().last(), Some("and 1 more"));
        assert_eq!(reasons.code(), Some("file.message-rejected"));
    }

    #[test]
    fn a_file_without_a_message_is_told_once() {
        let mut reasons = Reasons::default();
        reasons.add(Reason::Batch(Finding::StrayLines));
        reasons.add_no_message();
        assert_eq!(
            reasons.to_string(),
            "file.no-message: no line begins with MSH; nothing was taken\n"
        );
    }
}
