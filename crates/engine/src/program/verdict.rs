//! What a program says about a message.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use pipehat_message::{AcknowledgmentCode, ErrorCode};

use crate::effects::LookupRequest;

/// What becomes of a message. Texts in it name places and rules, never values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// A condition said that this message is not wanted.
    Filtered {
        /// Where.
        by: StepPlace,
        /// Why, where the step's condition doesn't say it.
        why: Option<&'static str>,
    },
    /// A step said that the sender shall be refused.
    Rejected {
        /// The code to answer with.
        code: AcknowledgmentCode,
        /// What to tell the sender.
        text: Arc<str>,
        /// Where.
        at: StepPlace,
        /// What is wrong with the message, where the step found that out.
        errors: Box<[Refused]>,
        /// What a person may want to know.
        findings: Vec<Finding>,
    },
    /// It waits for a person.
    Parked {
        /// The operator code, such as `program.map-no-match`.
        code: &'static str,
        /// Why, in a sentence.
        reason: String,
        /// Where.
        at: StepPlace,
        /// What a person may want to know.
        findings: Vec<Finding>,
    },
    /// It goes on. Without outputs no destination wanted it.
    Routed {
        /// What goes where, in the order in which it is to be sent.
        outputs: Vec<Output>,
        /// The translations that outputs went through.
        translations: Vec<Translation>,
        /// What a person may want to know.
        findings: Vec<Finding>,
        /// What a bot wants the sender to be told, where that waits for the steps.
        reply: Option<Bytes>,
    },
    /// Nothing yet: a step needs the answer to this, and the program is to be run again when it is there.
    Waits {
        /// What is asked.
        lookup: LookupRequest,
    },
}

/// An error that the sender of a message is told, in an ERR segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Its condition in table 0357.
    pub code: ErrorCode,
    /// The path.
    pub location: Box<str>,
    /// What is wrong and what to do.
    pub text: Box<str>,
}

/// One message for one destination.
#[derive(Clone, PartialEq, Eq)]
pub struct Output {
    /// The destination: its number in the channel's list, from 0.
    pub destination: u16,
    /// The message. Shared with the received bytes, and between outputs, where nothing differs.
    pub bytes: Bytes,
    /// The translation that it went through last: its number among the message's, from 0.
    pub translation: Option<u16>,
}

/// A translation that outputs went through, and where what it made came from. Names places and rules, never a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Translation {
    /// The step.
    pub at: StepPlace,
    /// The bot that asked for it, where the step is one's.
    pub bot: Option<Arc<str>>,
    /// The one before it: its number, which is smaller.
    pub before: Option<u16>,
    /// The lineage, packed; none where it is larger than may be kept.
    pub lineage: Option<Bytes>,
}

impl fmt::Debug for Output {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Output")
            .field("destination", &self.destination)
            .field("bytes", &self.bytes.len())
            .finish()
    }
}

/// Something worth knowing that did not stop the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The operator code, such as `program.segment-absent`.
    pub code: &'static str,
    /// The path it is about, as the step writes it.
    pub path: Option<Arc<str>>,
    /// The step.
    pub at: StepPlace,
    /// How often.
    pub count: u32,
}

/// A step's place in its channel's file. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct StepPlace(Arc<PlaceFacts>);

#[derive(PartialEq, Eq, Hash)]
struct PlaceFacts {
    file: Arc<str>,
    line: usize,
    column: usize,
    step: String,
}

impl StepPlace {
    /// The step called `step` (`steps[3].map`) at a line and column of a file.
    pub(crate) fn new(file: &Arc<str>, line: usize, column: usize, step: String) -> Self {
        Self(Arc::new(PlaceFacts { file: Arc::clone(file), line, column, step }))
    }

    /// The file: `channels/adt-in.yaml`.
    pub fn file(&self) -> &str {
        &self.0.file
    }

    /// The line, from 1.
    pub fn line(&self) -> usize {
        self.0.line
    }

    /// The column, from 1.
    pub fn column(&self) -> usize {
        self.0.column
    }

    /// Which step, counted from 1: `steps[3].do[1].map`, `destinations.lab.when`, `accept`.
    pub fn step(&self) -> &str {
        &self.0.step
    }
}

/// `steps[3].map, channels/adt-in.yaml:14:5`
impl fmt::Display for StepPlace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PlaceFacts { file, line, column, step } = &*self.0;
        write!(formatter, "{step}, {file}:{line}:{column}")
    }
}

impl fmt::Debug for StepPlace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "StepPlace({self})")
    }
}
