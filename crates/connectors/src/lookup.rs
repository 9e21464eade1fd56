//! Asking another system while a message is processed: one question, and what may come of it.
//!
//! A lookup changes nothing on the other side: whatever became of one, it may be asked again.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use crate::{Answer, ResourceChange};

/// The largest resource that an answer may have: it is kept with the message.
pub const LOOKUP_BYTES_MAX: usize = 1024 * 1024;

/// A configured system that can be asked. It keeps its connections itself and opens them when first needed.
pub trait Lookup: Send + Sync + 'static {
    /// Asks, and waits for the answer. What is asked beyond the configured connections waits for its turn.
    fn ask(&self, asked: Asked) -> BoxFuture<'static, LookupAttempt>;

    /// Asks, and has the answer told without a task that waits for it. Gives both back where that can't be done now.
    fn ask_and_tell(&self, asked: Asked, told: Told) -> Option<(Asked, Told)> {
        Some((asked, told))
    }

    /// The name of the bot that it runs, where it runs one.
    fn bot(&self) -> Option<&Arc<str>> {
        None
    }
}

/// Whom an answer is told to: exactly once, whatever becomes of who was asked.
pub struct Told(Option<Box<dyn FnOnce(LookupAttempt) + Send>>);

impl Told {
    /// Has this called.
    pub fn new(told: impl FnOnce(LookupAttempt) + Send + 'static) -> Self {
        Self(Some(Box::new(told)))
    }

    /// Tells the answer.
    pub fn tell(mut self, attempt: LookupAttempt) {
        if let Some(told) = self.0.take() {
            told(attempt);
        }
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        if let Some(told) = self.0.take() {
            told(LookupAttempt::Failed {
                code: "program.stopped",
                detail: "who was asked stopped before there was an answer".to_owned(),
            });
        }
    }
}

impl fmt::Debug for Told {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Told").finish_non_exhaustive()
    }
}

/// A question. `Debug` shows no content.
#[derive(Clone, PartialEq, Eq)]
pub struct Asked {
    /// The channel's name.
    pub channel: Arc<str>,
    /// The type of resource that is searched.
    pub resource_type: Arc<str>,
    /// The search as the query of a URL, percent-encoded.
    pub query: Arc<str>,
    /// What is sent along: the message that a bot runs on.
    pub body: Bytes,
    /// The change of a resource that the message came as.
    pub change: Option<Arc<ResourceChange>>,
}

/// What a search found, as JSON. `Debug` shows no content.
#[derive(Clone, PartialEq, Eq)]
pub enum Found {
    /// Nothing meets it.
    Nothing,
    /// One resource does.
    One(Bytes),
    /// Several do; this is the first.
    Several(Bytes),
}

/// What came of asking once. `Debug` shows no content.
#[derive(Clone, PartialEq, Eq)]
pub enum LookupAttempt {
    /// An answer.
    Found(Found),
    /// The other side answered that it does not answer this.
    Refused {
        /// The operator code, such as `fhir.refused`.
        code: &'static str,
        /// Which of the descriptor's answers this is: what `on:` in a channel file names.
        answer: &'static Answer,
        /// Where and what, without content.
        detail: String,
    },
    /// No answer: it may come of asking again.
    Failed {
        /// The operator code, such as `fhir.connect-failed`.
        code: &'static str,
        /// Where and what, without content.
        detail: String,
    },
    /// No answer, and most likely none at the next try: one is enough, as a busy machine may explain the first.
    FailedForGood {
        /// The operator code, such as `bot.limit`.
        code: &'static str,
        /// Where and what, without content.
        detail: String,
    },
    /// It can't be asked, or its answer not be used, now or later.
    Impossible {
        /// The operator code, such as `fhir.answer-too-large`.
        code: &'static str,
        /// Where and what, without content.
        detail: String,
    },
}

impl fmt::Debug for Asked {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Asked")
            .field("channel", &self.channel)
            .field("resource_type", &self.resource_type)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Found {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => formatter.write_str("Nothing"),
            Self::One(resource) => formatter.debug_tuple("One").field(&resource.len()).finish(),
            Self::Several(first) => formatter.debug_tuple("Several").field(&first.len()).finish(),
        }
    }
}

impl fmt::Debug for LookupAttempt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Found(found) => formatter.debug_tuple("Found").field(found).finish(),
            Self::Refused { code, answer, detail } => formatter
                .debug_struct("Refused")
                .field("code", code)
                .field("answer", &answer.name)
                .field("detail", detail)
                .finish(),
            Self::Failed { code, detail } => formatter
                .debug_struct("Failed")
                .field("code", code)
                .field("detail", detail)
                .finish(),
            Self::FailedForGood { code, detail } => formatter
                .debug_struct("FailedForGood")
                .field("code", code)
                .field("detail", detail)
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
    use crate::contract::MARKER;

    #[test]
    fn debug_shows_no_content() {
        let asked = Asked {
            channel: "adt".into(),
            resource_type: "Patient".into(),
            query: format!("family={MARKER}").into(),
            body: Bytes::from(MARKER),
            change: None,
        };
        let resource = Bytes::from(MARKER);
        let found = [Found::One(resource.clone()), Found::Several(resource), Found::Nothing];
        let text = format!("{asked:?} {:?}", found.map(LookupAttempt::Found));
        assert!(text.contains("Patient") && text.contains("Several"), "{text}");
        assert!(!text.contains(MARKER), "{text}");
    }
}
