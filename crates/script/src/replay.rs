//! A run done again as it was.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;

use crate::{Answer, Ask, AskError, Host, LogLine, Recorded};

/// A host that answers from the record of an earlier run: the same script with the same event gives the same result, and
/// nothing outside is touched.
///
/// A changed script may ask for something else than the earlier one; from there on it is told that there is no answer,
/// and [`Replay::diverged`] says what it asked.
pub struct Replay {
    recorded: VecDeque<Recorded>,
    diverged: Option<Ask>,
    time: Timestamp,
    /// What the script logged this time.
    pub log: Vec<LogLine>,
}

impl Replay {
    /// A host that answers from this record.
    pub fn new(recorded: impl IntoIterator<Item = Recorded>) -> Self {
        let recorded = recorded.into_iter().collect();
        Self { recorded, diverged: None, time: Timestamp::UNIX_EPOCH, log: Vec::new() }
    }

    /// What was asked that had not been asked the first time.
    pub fn diverged(&self) -> Option<&Ask> {
        self.diverged.as_ref()
    }

    /// What the first run was given, and this one did not ask for.
    pub fn left(&self) -> usize {
        self.recorded.len()
    }
}

impl Host for Replay {
    fn now(&mut self) -> Timestamp {
        if let Some(&Recorded::Time(time)) = self.recorded.front() {
            self.recorded.pop_front();
            self.time = time;
        }
        self.time
    }

    fn random(&mut self, bytes: &mut [u8]) {
        if let Some(Recorded::Random(recorded)) = self.recorded.front()
            && recorded.len() == bytes.len()
        {
            bytes.copy_from_slice(recorded);
            self.recorded.pop_front();
        }
    }

    fn ask(&mut self, ask: &Ask, _: Duration) -> Result<Answer, AskError> {
        if self.diverged.is_none()
            && let Some(Recorded::Asked { ask: known, answer }) = self.recorded.front()
            && known == ask
        {
            let answer = answer.clone();
            self.recorded.pop_front();
            return answer;
        }
        self.diverged.get_or_insert_with(|| ask.clone());
        Err(AskError::Failed("the run that is done again did not ask for this".to_owned()))
    }

    fn wait(&mut self, _: Duration) {}

    fn log(&mut self, line: LogLine) {
        self.log.push(line);
    }
}
