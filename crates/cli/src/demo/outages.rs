//! What befalls the laboratory: it works, breaks off, is down, comes back slowly.

use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::partner::{Condition, Mood};
use super::random::Random;

/// How long it is down when someone asks for it.
const ASKED: Duration = Duration::from_secs(8);

/// Lets it fail until it is told to stop; then it works.
pub(super) async fn run(
    condition: watch::Sender<Condition>,
    fail_now: &Notify,
    mut random: Random,
    stop: CancellationToken,
) {
    let mut calm = 1500..=2500;
    loop {
        let plan = [
            (Mood::Up, calm.clone()),
            (Mood::BreakingOff, 1000..=2000),
            (Mood::Down, if calm.start() < &5000 { 1500..=2500 } else { 3000..=9000 }),
            (Mood::Slow, 1000..=3000),
        ];
        // The first outage comes soon, so that a short run has one as well.
        calm = 7000..=16_000;
        for (mood, range) in plan {
            let length = u64::from(random.between(*range.start(), *range.end()));
            let length = Duration::from_millis(length);
            condition.send_replace((mood, Some(Instant::now() + length)));
            tokio::select! {
                () = stop.cancelled() => {
                    condition.send_replace((Mood::Up, None));
                    return;
                }
                () = sleep(length) => {}
                () = fail_now.notified() => {
                    condition.send_replace((Mood::Down, Some(Instant::now() + ASKED)));
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = sleep(ASKED) => {}
                    }
                }
            }
        }
    }
}
