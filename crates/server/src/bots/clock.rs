//! Runs bots at their times.
//!
//! Which runs a moment asks for is decided by [`due`], which has no clock: the last time that was looked after stands in
//! the book, together with the run that came of it. A time at which the run before still waits or runs is passed over: two
//! runs of one clock never overlap.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use pipehat_engine::project::{CronTrigger, Missed};
use pipehat_store::bots::{BotBookError, RunState};
use tokio_util::sync::CancellationToken;

use super::deployed::Deployed;
use super::service::{Bots, Task};

/// How often the clock is looked at at least: it may be set, and the project may change.
const LOOK: Duration = Duration::from_secs(1);

/// A time that is so late was missed: the server stood still, or did not run.
const LATE: Duration = Duration::from_secs(60);

/// What a clock asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Due {
    /// Until when it was looked after.
    last: Timestamp,
    /// The time to run for.
    run: Option<Timestamp>,
}

/// What the times between the last look and now ask for: the latest of them, where it is to run. `last` is none where
/// this clock is new: then times before now are nothing that was missed.
fn due(trigger: &CronTrigger, last: Option<Timestamp>, now: Timestamp) -> Due {
    /// Beyond this nobody counts them.
    const TIMES_MAX: usize = 100_000;
    let Some(last) = last else { return Due { last: now, run: None } };
    let mut latest = None;
    let mut at = last;
    for _ in 0..TIMES_MAX {
        match trigger.at.next(at, &trigger.time_zone) {
            Some(next) if next <= now => {
                latest = Some(next);
                at = next;
            }
            _ => break,
        }
    }
    let Some(latest) = latest else { return Due { last, run: None } };
    let missed = now.duration_since(latest).unsigned_abs() > LATE;
    let run = (!missed || trigger.missed == Missed::Once).then_some(latest);
    Due { last: latest, run }
}

impl Bots {
    /// Looks after the clocks until the stop.
    pub(crate) async fn keep_time(self: Arc<Self>, stop: CancellationToken) {
        let mut told = false;
        while stop.run_until_cancelled(tokio::time::sleep(LOOK)).await.is_some() {
            // Of several nodes that share a datastore one looks after the clocks.
            if self.datastore().is_some_and(|datastore| !datastore.leads()) {
                continue;
            }
            let set = self.set();
            if set.bots.values().all(|bot| bot.cron.is_empty()) {
                continue;
            }
            let bots = Arc::clone(&self);
            let looked = tokio::task::spawn_blocking(move || bots.look_at_clocks(Timestamp::now()));
            match looked.await {
                Ok(Ok(())) => told = false,
                Ok(Err(error)) if !told => {
                    told = true;
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "the book of bots fails; times pass without a run"
                    );
                }
                _ => {}
            }
        }
    }

    fn look_at_clocks(&self, now: Timestamp) -> Result<(), BotBookError> {
        let set = self.set();
        for bot in set.bots.values() {
            for trigger in &bot.cron {
                self.look_at(bot, trigger, now)?;
            }
        }
        Ok(())
    }

    fn look_at(
        &self,
        bot: &Arc<Deployed>,
        trigger: &CronTrigger,
        now: Timestamp,
    ) -> Result<(), BotBookError> {
        let times = format!("{} {}", trigger.at, trigger.time_zone.iana_name().unwrap_or("UTC"));
        let known = self.book.clock(&bot.id, &times)?;
        let last = known.and_then(|last| Timestamp::from_microsecond(last).ok());
        let Due { last: until, run } = due(trigger, last, now);
        if Some(until) == last && run.is_none() {
            return Ok(());
        }
        let source = format!("cron {times}");
        let run = match run {
            Some(at) if self.is_under_way(bot, &source)? => {
                tracing::warn!(
                    bot = bot.id,
                    time = %at,
                    "a time passes without a run: the one before is not through"
                );
                None
            }
            Some(at) => Some(self.run_at(bot, &source, at)),
            None => None,
        };
        self.book.set_clock(&bot.id, &times, until.as_microsecond(), run.as_ref())?;
        if run.is_some() {
            self.wake.notify_one();
        }
        Ok(())
    }

    fn is_under_way(&self, bot: &Deployed, source: &str) -> Result<bool, BotBookError> {
        for state in [RunState::Waiting, RunState::Running] {
            let query = pipehat_store::bots::RunQuery {
                bot: Some(bot.id.clone()),
                state: Some(state),
                before: None,
                limit: 1_000,
            };
            if self.book.runs(&query)?.iter().any(|run| run.source == source) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn run_at(
        &self,
        bot: &Arc<Deployed>,
        source: &str,
        at: Timestamp,
    ) -> pipehat_store::bots::BotRun {
        let input = serde_json::json!({ "time": at.to_string() }).to_string();
        let task = Task {
            bot: Arc::clone(bot),
            trigger: "cron",
            source: source.to_owned(),
            content_type: "application/json".to_owned(),
            body: Vec::new(),
            headers: vec![("cron".to_owned(), at.to_string())],
        };
        let mut run = self.begun(&task);
        run.state = RunState::Waiting;
        run.started = None;
        run.input = input.into_bytes();
        run
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;
    use pipehat_engine::project::Cron;

    use super::*;

    #[track_caller]
    fn check(missed: Missed, last: Option<&str>, now: &str, expected: (&str, Option<&str>)) {
        let at = Cron::parse("0 * * * *").expect("times");
        let trigger = CronTrigger { at, time_zone: TimeZone::UTC, missed };
        let time = |text: &str| text.parse::<Timestamp>().expect("a time");
        let found = due(&trigger, last.map(time), time(now));
        assert_eq!((found.last, found.run), (time(expected.0), expected.1.map(time)));
    }

    #[test]
    fn a_clock_runs_at_its_times() {
        use Missed::{Once, Skip};
        check(Once, None, "2026-01-01T10:30:00Z", ("2026-01-01T10:30:00Z", None));
        let last = Some("2026-01-01T10:30:00Z");
        check(Once, last, "2026-01-01T10:59:59Z", ("2026-01-01T10:30:00Z", None));
        let eleven = "2026-01-01T11:00:00Z";
        check(Once, last, eleven, (eleven, Some(eleven)));
        check(Skip, last, "2026-01-01T11:00:59Z", (eleven, Some(eleven)));
        check(Skip, last, "2026-01-01T11:02:00Z", (eleven, None));
        // Three were missed: one run makes up for them.
        let one = "2026-01-01T13:00:00Z";
        check(Once, last, "2026-01-01T13:30:00Z", (one, Some(one)));
        check(Skip, last, "2026-01-01T13:30:00Z", (one, None));
        // The clock was put back.
        check(Once, Some(one), "2026-01-01T12:00:00Z", (one, None));
    }
}
