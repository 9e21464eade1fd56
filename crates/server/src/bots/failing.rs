//! How often a bot failed in a row as a step of a channel. Runs that go well and silently leave no record, so this can't be
//! read from the book. It is kept in memory, and begins anew with a start: what fails still then fails again soon.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Steps whose last run failed.
#[derive(Default)]
pub(crate) struct FailingSteps {
    /// Whether there are any: most runs go well while none fails, and look no further.
    any: AtomicBool,
    /// By bot and channel: no more than the project has.
    steps: Mutex<BTreeMap<(String, String), Failures>>,
}

/// Failures in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Failures {
    pub(crate) count: u64,
    /// When the first of them was, in microseconds since 1970 (UTC).
    pub(crate) since: i64,
    /// The operator code of the latest.
    pub(crate) code: &'static str,
}

impl FailingSteps {
    /// Tells whether it is the first in a row with this code.
    pub(super) fn failed(&self, bot: &str, channel: &str, code: &'static str, now: i64) -> bool {
        let mut steps = self.steps();
        let key = (bot.to_owned(), channel.to_owned());
        let failures = steps.entry(key).or_insert(Failures { count: 0, since: now, code });
        let first = failures.count == 0 || failures.code != code;
        failures.count = failures.count.saturating_add(1);
        failures.code = code;
        self.any.store(true, Ordering::Release);
        first
    }

    pub(super) fn succeeded(&self, bot: &str, channel: &str) {
        if !self.any.load(Ordering::Acquire) {
            return;
        }
        let mut steps = self.steps();
        steps.retain(|(failing, of), _| failing != bot || of != channel);
        self.any.store(!steps.is_empty(), Ordering::Release);
    }

    /// Those of other bots are none any more.
    pub(super) fn keep(&self, is_there: impl Fn(&str) -> bool) {
        self.steps().retain(|(bot, _), _| is_there(bot));
    }

    /// All that fail, by bot and channel.
    pub(crate) fn all(&self) -> BTreeMap<(String, String), Failures> {
        self.steps().clone()
    }

    fn steps(&self) -> MutexGuard<'_, BTreeMap<(String, String), Failures>> {
        self.steps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_success_ends_what_failed_in_a_row() {
        let steps = FailingSteps::default();
        steps.succeeded("a", "in");
        let firsts = [1, 2, 3].map(|now| {
            steps.failed("a", "in", if now < 3 { "bot.threw" } else { "bot.limit" }, now)
        });
        assert_eq!(firsts, [true, false, true]);
        steps.failed("a", "out", "bot.threw", 4);
        steps.failed("b", "in", "bot.threw", 5);
        let of = |bot: &str, channel: &str| {
            steps.all().get(&(bot.to_owned(), channel.to_owned())).copied()
        };
        let expected = Failures { count: 3, since: 1, code: "bot.limit" };
        assert_eq!(of("a", "in"), Some(expected));
        steps.succeeded("a", "in");
        assert_eq!((of("a", "in"), steps.all().len()), (None, 2));
        steps.failed("a", "in", "bot.threw", 9);
        let expected = Failures { count: 1, since: 9, code: "bot.threw" };
        assert_eq!(of("a", "in"), Some(expected));
        steps.keep(|bot| bot == "b");
        assert_eq!(steps.all().len(), 1);
    }
}
