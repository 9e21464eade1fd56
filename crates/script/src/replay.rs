//! A run done again as it was.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use jiff::Timestamp;

use crate::{Answer, Ask, AskError, Begun, Host, LogLine, Recorded};

/// A host that answers from the record of an earlier run: the same script with the same event gives the same result, and
/// nothing outside is touched.
///
/// A changed script may ask for something else than the earlier one; from there on it is told that there is no answer,
/// and [`Replay::diverged`] says what it asked.
pub struct Replay {
    recorded: VecDeque<Recorded>,
    /// How much of the record is behind.
    place: usize,
    /// What was asked at these places was answered later.
    later: BTreeSet<usize>,
    /// What was asked and is not answered yet, by place: its number, and what will come.
    open: BTreeMap<usize, (u32, Result<Answer, AskError>)>,
    diverged: Option<Ask>,
    time: Timestamp,
    /// What the script logged this time.
    pub log: Vec<LogLine>,
}

impl Replay {
    /// A host that answers from this record.
    pub fn new(recorded: impl IntoIterator<Item = Recorded>) -> Self {
        let recorded: VecDeque<_> = recorded.into_iter().collect();
        let later = recorded.iter().filter_map(|one| match one {
            Recorded::Came(place) => Some(*place),
            _ => None,
        });
        let later = later.collect();
        let (place, open, diverged, log) = Default::default();
        Self { recorded, place, later, open, diverged, time: Timestamp::UNIX_EPOCH, log }
    }

    fn behind(&mut self) {
        self.recorded.pop_front();
        self.place = self.place.saturating_add(1);
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
            self.behind();
            self.time = time;
        }
        self.time
    }

    fn random(&mut self, bytes: &mut [u8]) {
        if let Some(Recorded::Random(recorded)) = self.recorded.front()
            && recorded.len() == bytes.len()
        {
            bytes.copy_from_slice(recorded);
            self.behind();
        }
    }

    fn ask(&mut self, ask: &Ask, _: Duration) -> Result<Answer, AskError> {
        if self.diverged.is_none()
            && let Some(Recorded::Asked { ask: known, answer }) = self.recorded.front()
            && known == ask
        {
            let answer = answer.clone();
            self.behind();
            return answer;
        }
        self.diverged.get_or_insert_with(|| ask.clone());
        Err(AskError::Failed("the run that is done again did not ask for this".to_owned()))
    }

    fn begin(&mut self, number: u32, ask: &Ask, remaining: Duration) -> Begun {
        let place = self.place;
        let answer = self.ask(ask, remaining);
        let is_open = self.later.contains(&place)
            // Nothing came in time, or nothing waited for it.
            || matches!(answer, Err(AskError::TimedOut | AskError::GivenUp));
        if !is_open {
            return Begun::Answered(answer);
        }
        self.open.insert(place, (number, answer));
        Begun::Open
    }

    fn next_answer(&mut self, _: Duration) -> Option<(u32, Result<Answer, AskError>)> {
        let Some(&Recorded::Came(place)) = self.recorded.front() else { return None };
        self.behind();
        self.open.remove(&place)
    }

    fn wait(&mut self, _: Duration) {}

    fn log(&mut self, line: LogLine) {
        self.log.push(line);
    }
}
