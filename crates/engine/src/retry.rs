//! When a failed delivery is tried again.

use std::time::Duration;

/// How a destination retries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// The pause after the first failure.
    pub first: Duration,
    /// The longest pause.
    pub most: Duration,
    /// How long after its first failure a delivery is parked; none: never.
    pub give_up: Option<Duration>,
}

impl RetryPolicy {
    /// Quick enough for a peer that restarts, slow enough for one that is down for the night,
    /// and never giving up on a clinical message by itself.
    pub const DEFAULT: Self =
        Self { first: Duration::from_secs(1), most: Duration::from_secs(60), give_up: None };

    /// The pause before the try after `failures` failures: doubled each time up to the most,
    /// then shortened by up to a quarter. `jitter` is a random number; it keeps many lanes from
    /// knocking at once.
    pub fn pause(&self, failures: u32, jitter: u64) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let pause = self.first.saturating_mul(1 << doublings).min(self.most);
        let quarter = u64::try_from(pause.as_micros() / 4).unwrap_or(u64::MAX);
        pause - Duration::from_micros(jitter % quarter.saturating_add(1))
    }

    /// Whether a delivery that has failed for this long is set aside.
    pub fn gives_up_after(&self, failing: Duration) -> bool {
        self.give_up.is_some_and(|give_up| failing >= give_up)
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self::DEFAULT
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::{any, prop_assert, proptest};

    use super::RetryPolicy;

    fn check(failures: u32, expected: u64) {
        let policy = RetryPolicy {
            first: Duration::from_secs(1),
            most: Duration::from_secs(300),
            give_up: None,
        };
        assert_eq!(policy.pause(failures, 0), Duration::from_secs(expected));
    }

    #[test]
    fn pauses_double_up_to_the_most() {
        check(1, 1);
        check(2, 2);
        check(5, 16);
        check(9, 256);
        check(10, 300);
        check(u32::MAX, 300);
    }

    #[test]
    fn gives_up_only_when_told() {
        let week = Duration::from_secs(7 * 24 * 3600);
        assert!(!RetryPolicy::DEFAULT.gives_up_after(week));
        let policy = RetryPolicy { give_up: Some(week), ..RetryPolicy::DEFAULT };
        assert!(policy.gives_up_after(week));
        assert!(!policy.gives_up_after(week - Duration::from_nanos(1)));
    }

    proptest! {
        #[test]
        fn jitter_takes_a_quarter_at_most(failures in any::<u32>(), jitter in any::<u64>()) {
            let whole = RetryPolicy::DEFAULT.pause(failures, 0);
            let pause = RetryPolicy::DEFAULT.pause(failures, jitter);
            prop_assert!(pause <= whole && pause >= whole * 3 / 4);
        }
    }
}
