//! Waiting for a condition, with a deadline.

use std::thread;
use std::time::{Duration, Instant};

/// Long enough for a machine with much else to do; a test that works never waits for it.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Waits until the condition gives something.
///
/// Panics when the deadline has passed.
pub(crate) fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(started.elapsed() < DEADLINE, "waited {DEADLINE:?} in vain: {what}");
        thread::sleep(LOOK_EVERY);
    }
}

/// Waits until the condition holds.
///
/// Panics when the deadline has passed.
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    until(what, || condition().then_some(()));
}
