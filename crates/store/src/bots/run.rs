//! One run of a bot.

use std::fmt;

/// How a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RunState {
    /// It is to be run at its time.
    Waiting,
    /// It is running, and nobody waits for it but the book.
    Running,
    /// It gave a result.
    Done,
    /// It failed, and whoever asked for it was told.
    Failed,
    /// It failed so often that it was given up: a dead letter.
    Dead,
}

impl RunState {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Waiting, Self::Running, Self::Done, Self::Failed, Self::Dead];

    /// The word for it.
    pub fn code(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Dead => "dead",
        }
    }

    /// The state of a word.
    pub fn of_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.code() == code)
    }

    pub(super) fn number(self) -> i64 {
        match self {
            Self::Waiting => 0,
            Self::Running => 1,
            Self::Done => 2,
            Self::Failed => 3,
            Self::Dead => 4,
        }
    }

    pub(super) fn of(number: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.number() == number)
    }
}

/// A run, whole. `Debug` shows no content.
#[derive(Clone, PartialEq, Eq)]
pub struct BotRun {
    /// Its number.
    pub id: u64,
    /// The bot: the id of its resource.
    pub bot: String,
    /// The content hash of what ran.
    pub revision: String,
    /// What it ran for: `execute`, `subscription`, `webhook`, `cron`, `channel`, `bot`.
    pub trigger: String,
    /// Which one: a reference to the input, without content.
    pub source: String,
    /// How it stands.
    pub state: RunState,
    /// When it was asked for, in microseconds since 1970 (UTC).
    pub queued: i64,
    /// When its latest try began.
    pub started: Option<i64>,
    /// When it ended.
    pub ended: Option<i64>,
    /// When it is to be tried.
    pub due: i64,
    /// How often it was tried.
    pub attempts: u32,
    /// The content type of its input.
    pub content_type: String,
    /// Its input.
    pub input: Vec<u8>,
    /// The headers it was given, as JSON.
    pub headers: String,
    /// The content type of its result.
    pub result_type: Option<String>,
    /// Its result.
    pub result: Vec<u8>,
    /// Why it failed, without content: what an operator sees.
    pub why: Option<String>,
    /// The error's own words and its stack: they may hold content.
    pub error: Option<String>,
    /// Its log, as JSON.
    pub log: String,
    /// What it asked and was answered, as JSON.
    pub effects: String,
    /// How long it took, in microseconds.
    pub took: u64,
    /// How much of that was processor time.
    pub cpu: u64,
}

/// A run without its contents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunSummary {
    /// Its number.
    pub id: u64,
    /// The bot.
    pub bot: String,
    /// What it ran for.
    pub trigger: String,
    /// Which one.
    pub source: String,
    /// How it stands.
    pub state: RunState,
    /// When it was asked for.
    pub queued: i64,
    /// When it ended.
    pub ended: Option<i64>,
    /// When it is to be tried.
    pub due: i64,
    /// How often it was tried.
    pub attempts: u32,
    /// Why it failed, without content.
    pub why: Option<String>,
    /// How long it took, in microseconds.
    pub took: u64,
}

/// Which runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunQuery {
    /// Only those of this bot.
    pub bot: Option<String>,
    /// Only those that stand so.
    pub state: Option<RunState>,
    /// Only those before this one.
    pub before: Option<u64>,
    /// How many.
    pub limit: usize,
}

/// How the runs of a bot stand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BotCounts {
    /// To be run.
    pub waiting: u64,
    /// Of these, those that failed and are tried again.
    pub failing: u64,
    /// Given up.
    pub dead: u64,
    /// Why one of those that are tried again failed.
    pub why: Option<String>,
}

impl fmt::Debug for BotRun {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("BotRun")
            .field("id", &self.id)
            .field("bot", &self.bot)
            .field("trigger", &self.trigger)
            .field("state", &self.state)
            .field("attempts", &self.attempts)
            .finish_non_exhaustive()
    }
}
