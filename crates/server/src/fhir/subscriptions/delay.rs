//! How long a failed delivery waits before it is tried again, and when it is given up.

use std::time::Duration;

/// What a failed delivery may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// The wait behind the first failure; each further one doubles it.
    pub first: Duration,
    /// The longest wait.
    pub most: Duration,
    /// After so many attempts it is given up.
    pub attempts_max: u32,
    /// After so long it is given up.
    pub age_max: Duration,
    /// How long an attempt may take.
    pub timeout: Duration,
}

impl Default for Patience {
    /// From 1 s to 5 min, for a day: long enough for a weekday's outage, and short enough that somebody looks.
    fn default() -> Self {
        Self {
            first: Duration::from_secs(1),
            most: Duration::from_secs(5 * 60),
            attempts_max: 300,
            age_max: Duration::from_secs(24 * 60 * 60),
            timeout: Duration::from_secs(10),
        }
    }
}

/// What becomes of a delivery that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// It is tried again at this time, in microseconds since 1970 (UTC).
    Again(i64),
    /// It is given up.
    GiveUp,
}

impl Patience {
    /// What follows a failure. `attempts` counts this one, too; `since` is when the delivery began to wait; `random`
    /// is between 0 and 255 and spreads the attempts of many; `asked` is how long the endpoint wants to be left alone.
    pub(super) fn next(
        &self,
        attempts: u32,
        since: i64,
        now: i64,
        random: u8,
        asked: Option<Duration>,
    ) -> Next {
        let age = micros(self.age_max);
        if attempts >= self.attempts_max || now.saturating_sub(since) >= age {
            return Next::GiveUp;
        }
        let wait = self.wait(attempts, random).max(asked.unwrap_or_default());
        Next::Again(now.saturating_add(micros(wait)))
    }

    /// The wait behind so many failures in a row: at least three quarters of what doubling gives.
    pub(super) fn wait(&self, failures: u32, random: u8) -> Duration {
        let doubled = 1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
        let wait = self.first.saturating_mul(doubled).min(self.most);
        let quarter = wait / 4;
        wait.saturating_sub(quarter).saturating_add(quarter / 255 * u32::from(random))
    }
}

pub(super) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    #[track_caller]
    fn check(attempts: u32, age: i64, random: u8, asked: Option<u64>, expected: Option<i64>) {
        let (since, now) = (50 * SECOND, (50 + age) * SECOND);
        let asked = asked.map(Duration::from_secs);
        let next = Patience::default().next(attempts, since, now, random, asked);
        let expected = match expected {
            Some(micros) => Next::Again(now + micros),
            None => Next::GiveUp,
        };
        assert_eq!(next, expected, "attempt {attempts}");
    }

    #[test]
    fn waits_double_up_to_a_limit() {
        check(1, 0, 0, None, Some(750_000));
        check(2, 1, 0, None, Some(1_500_000));
        check(9, 300, 0, None, Some(192 * SECOND));
        check(10, 600, 0, None, Some(225 * SECOND));
        check(299, 900, 0, None, Some(225 * SECOND));
        let wait = Patience::default().wait(10, 255);
        assert!(wait > Duration::from_secs(299) && wait <= Duration::from_secs(300), "{wait:?}");
        assert!(Patience::default().wait(u32::MAX, 0) == Duration::from_secs(225));
    }

    #[test]
    fn it_ends() {
        check(300, 900, 0, None, None);
        check(5, 24 * 3600 - 1, 0, None, Some(12 * SECOND));
        check(5, 24 * 3600, 0, None, None);
    }

    #[test]
    fn an_endpoint_may_ask_for_more() {
        check(1, 0, 0, Some(120), Some(120 * SECOND));
        check(9, 0, 0, Some(1), Some(192 * SECOND));
    }
}
