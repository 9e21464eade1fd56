//! What became of a run.

use std::time::Duration;

use jiff::Timestamp;

use crate::{Answer, Ask, AskError};

/// What became of a run.
pub struct Run {
    /// What the handler returned, or why it did not.
    pub result: Result<Output, RunError>,
    /// What came from the host, in order.
    pub recorded: Vec<Recorded>,
    /// How long it took.
    pub took: Duration,
    /// How much of that was processor time.
    pub cpu: Duration,
}

/// What a handler returned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Nothing (`undefined` or `null`).
    Nothing,
    /// An `Hl7Message`, as ER7.
    Hl7(Vec<u8>),
    /// A string.
    Text(String),
    /// A `Uint8Array`.
    Bytes(Vec<u8>),
    /// Anything else, as JSON.
    Json(String),
}

/// What came in from outside: enough to [do the run again](crate::Replay).
#[derive(Debug, Clone, PartialEq)]
pub enum Recorded {
    /// Something that was asked, and what came of it.
    Asked {
        /// What was asked.
        ask: Ask,
        /// What came of it.
        answer: Result<Answer, AskError>,
    },
    /// The answer to what was asked earlier came only now; the place of that in the record. What was asked and answered at
    /// once has none of these, nor what was given up.
    Came(usize),
    /// The time.
    Time(Timestamp),
    /// Random bytes.
    Random(Vec<u8>),
}

/// Why a run gave no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct RunError {
    /// Which kind.
    pub kind: RunErrorKind,
    /// The error's own words. They may hold patient data.
    pub message: String,
    /// The stack, in lines of the TypeScript.
    pub stack: Vec<String>,
}

/// The kinds of [`RunError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunErrorKind {
    /// The script threw.
    Thrown,
    /// It used more of something than it may.
    Limit(Limit),
    /// It asked for what was not granted, and did not catch the refusal.
    Refused,
    /// It waits for what never comes.
    NeverSettled,
    /// What it returned has a character that the message's set (MSH-18) has not, or names no set that is known.
    CharacterSet,
    /// A defect of whoever runs it.
    Defect,
}

/// What a run used more of than it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// The time it lasted, waiting included.
    WallTime,
    /// Processor time.
    CpuTime,
    /// Memory.
    Memory,
    /// The depth of its calls.
    Stack,
    /// What it asked of its host.
    Asks,
    /// The size of its result.
    Output,
}

impl Limit {
    /// Whether the same run most likely ends there again: what it waited for may answer sooner another time, and a script
    /// that counts without end does so each time.
    pub fn strikes_again(self) -> bool {
        self != Self::WallTime
    }
}
