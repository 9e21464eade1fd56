//! A partner that asks to be left alone for a while (Retry-After) is.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Until when a partner wants to hear nothing.
#[derive(Debug, Default)]
pub(crate) struct AskedToWait(Mutex<Option<Instant>>);

impl AskedToWait {
    /// The partner refused, and said how long to wait, or did not.
    pub(crate) fn told(&self, wait: Option<Duration>) {
        *self.lock() = wait.and_then(|wait| Instant::now().checked_add(wait));
    }

    /// What is still to be waited, in words for an operator; none when it may be asked.
    pub(crate) fn still(&self, partner: &str) -> Option<String> {
        let mut until = self.lock();
        let wait = until.and_then(|until| until.checked_duration_since(Instant::now()));
        match wait.filter(|wait| !wait.is_zero()) {
            Some(wait) => {
                let seconds = wait.as_secs().saturating_add(1);
                Some(format!("{partner} asked us to wait {seconds}s more"))
            }
            None => {
                *until = None;
                None
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_left_alone_for_as_long_as_it_said() {
        let asked = AskedToWait::default();
        assert_eq!(asked.still("it"), None);
        asked.told(Some(Duration::from_secs(100)));
        assert_eq!(asked.still("it").as_deref(), Some("it asked us to wait 100s more"));
        asked.told(Some(Duration::ZERO));
        assert_eq!(asked.still("it"), None);
        asked.told(Some(Duration::MAX));
        assert_eq!(asked.still("it"), None, "a time that no clock reaches is none");
    }
}
