//! Runs what nobody waits for: at its time, and again until it succeeds or is given up. Forgets what is old.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use pipehat_store::bots::{BotRun, RunState};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::host::Setting;
use super::service::{Bots, Task, Waiting};
use crate::fhir::now;

/// How many promised runs go side by side: others have threads, too.
const SIDE_BY_SIDE: usize = 4;

/// How often to look without being told.
const LOOK: Duration = Duration::from_secs(30);

/// How long to wait when the book fails.
const PAUSE: Duration = Duration::from_secs(5);

/// How often old runs are forgotten.
const SWEEP: Duration = Duration::from_secs(600);

/// How many at once.
const SWEPT_MAX: usize = 1_000;

/// How long a stop waits for runs under way. What is cut off runs again at the next start.
const STOP_GRACE: Duration = Duration::from_secs(3);

/// How long runs are kept of a bot that is no more.
const KEEP_GONE: Duration = Duration::from_secs(30 * 86_400);

impl Bots {
    /// Runs until the stop.
    pub(crate) async fn run_promised(self: Arc<Self>, stop: CancellationToken) {
        let mut running = JoinSet::new();
        let mut sweep = tokio::time::interval(SWEEP);
        loop {
            let pause = self.fill(&mut running).await;
            tokio::select! {
                () = stop.cancelled() => break,
                // Its end made room.
                Some(_) = running.join_next() => {}
                () = self.wake.notified() => {}
                () = tokio::time::sleep(pause) => {}
                _ = sweep.tick() => self.forget_old().await,
            }
        }
        let rest = async { while running.join_next().await.is_some() {} };
        if tokio::time::timeout(STOP_GRACE, rest).await.is_err() {
            running.shutdown().await;
        }
    }

    /// Starts what is due; how long until there is more.
    async fn fill(self: &Arc<Self>, running: &mut JoinSet<()>) -> Duration {
        let room = SIDE_BY_SIDE.saturating_sub(running.len());
        if room == 0 {
            return LOOK;
        }
        let book = Arc::clone(&self.book);
        let taken = tokio::task::spawn_blocking(move || {
            let due = book.take_due(now(), room)?;
            Ok::<_, pipehat_store::bots::BotBookError>((due, book.next_due()?))
        });
        let (due, next) = match taken.await {
            Ok(Ok(taken)) => taken,
            Ok(Err(error)) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "the book of bots fails; runs wait"
                );
                return PAUSE;
            }
            Err(_) => return PAUSE,
        };
        let full = due.len() >= room;
        for run in due {
            let bots = Arc::clone(self);
            running.spawn(async move { bots.try_promised(run).await });
        }
        match next {
            // Whoever ends makes room, and is noticed.
            _ if full => LOOK,
            Some(next) => {
                let wait = next.saturating_sub(now()).max(1_000);
                Duration::from_micros(u64::try_from(wait).unwrap_or(0)).min(LOOK)
            }
            None => LOOK,
        }
    }

    async fn try_promised(self: &Arc<Self>, mut run: BotRun) {
        let found = self.find(&run.bot).await;
        let bot = match found {
            Ok(bot) => bot,
            Err(error) => {
                run.state = RunState::Dead;
                run.ended = Some(now());
                run.why = Some(format!("bot.gone: {error}"));
                let book = Arc::clone(&self.book);
                // What can't be recorded stands as running, and is looked at again at the next start.
                let _ = tokio::task::spawn_blocking(move || book.put(&run)).await;
                return;
            }
        };
        run.started = Some(now());
        let headers: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(&run.headers).unwrap_or_default();
        let headers = headers
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.as_str()?.to_owned())));
        let task = Task {
            bot,
            trigger: "",
            source: run.source.clone(),
            content_type: run.content_type.clone(),
            body: run.input.clone(),
            headers: headers.collect(),
        };
        let setting = Setting::default();
        // How it ended stands in the book.
        let _ = self.run_as(task, setting, run, Waiting::Nobody).await;
    }

    async fn forget_old(&self) {
        let (set, book) = (self.set(), Arc::clone(&self.book));
        let swept = tokio::task::spawn_blocking(move || {
            let all: BTreeSet<String> = book.bots()?.into_iter().collect();
            for id in all {
                let keep = set.bots.get(&id).map_or(KEEP_GONE, |bot| bot.keep);
                let keep = i64::try_from(keep.as_micros()).unwrap_or(i64::MAX);
                while book.forget(&id, now().saturating_sub(keep), SWEPT_MAX)? >= SWEPT_MAX as u64 {
                }
            }
            Ok::<_, pipehat_store::bots::BotBookError>(())
        });
        if let Ok(Err(error)) = swept.await {
            tracing::warn!(error = &error as &dyn std::error::Error, "old runs of bots stay");
        }
    }
}
