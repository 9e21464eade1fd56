//! Mistakes in the small languages of channel files: where in the text, what, and what to write.

use std::ops::Range;

/// A mistake in an expression, a template or a pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SyntaxError {
    /// Which bytes of the text are meant; may be empty, at the end.
    pub at: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
}

impl SyntaxError {
    pub(super) fn new(at: Range<usize>, message: impl Into<String>) -> Self {
        Self { at, message: message.into(), help: None }
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same mistake in a text that this one is a part of, starting at `offset`.
    pub(crate) fn moved(mut self, offset: usize) -> Self {
        self.at = self.at.start.saturating_add(offset)..self.at.end.saturating_add(offset);
        self
    }
}
