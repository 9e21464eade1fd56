//! The book of bots: every run with what it was given and what came of it, what is to be tried again, what was given up,
//! and the values that bots keep.
//!
//! One SQLite database, sealed as a whole (`pipehat-vault`): inputs, results, logs and effects hold patient data.
//!
//! Guarantees:
//! - What [`BotBook::put`] took is on stable storage when it returns: a run that somebody was promised is not lost.
//! - What [`BotBook::put_later`] took is written within [`LINGER`], in groups; it is there for whoever asks at once.
//! - Runs that were under way when the process ended are waiting again after [`BotBook::open`] where they were promised,
//!   and failed where somebody waited for them.
//! - Every list has a limit; runs are forgotten by [`BotBook::forget`], those given up too.

mod book;
mod run;
mod schema;
#[cfg(test)]
mod tests;

pub use book::{
    BotBook, BotBookError, LINGER, STATE_KEY_BYTES_MAX, STATE_KEYS_MAX, STATE_VALUE_BYTES_MAX,
};
pub use run::{BotCounts, BotRun, RunQuery, RunState, RunSummary};
