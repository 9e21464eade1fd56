//! One channel as the engine runs it: its task, its source, and how they end.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt;
use pipehat_connectors::{Bound, Health, Intake, Problem};
use pipehat_journal::Position;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{EngineError, ask};
use crate::channel::{ChannelHandle, ChannelIntake, ChannelStatus, Conductor, Door, Input};
use crate::duplicates::DuplicateWindow;
use crate::ledger::Ledger;
use crate::names::ChannelName;
use crate::project::ChannelSpec;
use crate::recovery::Lately;

/// How long a stop waits for deliveries under way.
const STOP_GRACE: Duration = Duration::from_secs(10);

/// A channel as it runs.
pub(super) struct Running {
    pub(super) spec: Arc<ChannelSpec>,
    pub(super) handle: ChannelHandle,
    pub(super) intake: Arc<ChannelIntake>,
    pub(super) source: RunningSource,
    pub(super) task: JoinHandle<Option<(Position, Ledger)>>,
    /// What was seen of it last.
    pub(super) seen: Arc<Mutex<Option<ChannelStatus>>>,
}

/// A channel's source as it runs.
pub(super) struct RunningSource {
    pub(super) address: Option<String>,
    pub(super) health: Arc<Health>,
    pub(super) stop: CancellationToken,
    pub(super) task: JoinHandle<()>,
}

impl Running {
    pub(super) async fn change(&mut self, spec: &Arc<ChannelSpec>, bound: Option<Box<dyn Bound>>) {
        if bound.is_some() {
            self.source.end().await;
        }
        self.intake.reconfigure(spec.terms(), spec.duplicates);
        let spec_for_task = Arc::clone(spec);
        let applied =
            ask(&self.handle, |answer| Input::Apply { spec: spec_for_task, answer }).await;
        if applied.is_none() {
            tracing::error!(channel = &*spec.name, "the channel's task has ended");
        }
        if let Some(bound) = bound {
            self.source = run_source(&spec.name, bound, &self.intake);
        }
        self.spec = Arc::clone(spec);
    }

    /// Ends a channel: first its door, then its work. Gives the books if they have all that the
    /// channel received; otherwise the next start makes them from the journal.
    pub(super) async fn end(mut self) -> Option<(Position, Ledger)> {
        self.source.end().await;
        self.intake.close();
        let drained = self.intake.drained().await;
        let _ = self.handle.mailbox.send(Input::Stop { grace: STOP_GRACE });
        let books = self.task.await.ok().flatten();
        books.filter(|_| drained)
    }
}

impl RunningSource {
    pub(super) async fn end(&mut self) {
        self.stop.cancel();
        if !self.task.is_finished() {
            // A source that panicked has ended, which is what is wanted.
            let _ = (&mut self.task).await;
        }
        self.health.stopped();
    }
}

/// Runs a channel's task. One that panics takes nothing with it but its channel: the door is shut,
/// the status shows it, and the next start makes the books anew from the journal.
pub(super) async fn supervised(
    mut conductor: Conductor,
    intake: Arc<ChannelIntake>,
    channel: ChannelName,
) -> Option<(Position, Ledger)> {
    if AssertUnwindSafe(conductor.run()).catch_unwind().await.is_ok() {
        return Some(conductor.into_books());
    }
    // Before the conductor goes, and with it those who wait for answers: they are told why.
    intake.fail();
    tracing::error!(
        channel = &*channel,
        code = "channel.failed",
        "a defect of Pipehat ended this channel; it refuses messages until the next start"
    );
    None
}

/// What a channel knows of its senders' messages.
pub(super) fn window(spec: &ChannelSpec, lately: Vec<Lately>) -> DuplicateWindow {
    let mut window = DuplicateWindow::new(spec.duplicates);
    for Lately { sender_hash, content_hash, message, at, .. } in lately {
        window.remember(sender_hash, content_hash, message, at);
    }
    window
}

pub(super) async fn bind(spec: &Arc<ChannelSpec>) -> Result<Box<dyn Bound>, EngineError> {
    let bound = spec.source.source.bind().await;
    bound.map_err(|source| EngineError::Source { channel: Arc::clone(&spec.name), source })
}

pub(super) fn run_source(
    channel: &ChannelName,
    bound: Box<dyn Bound>,
    intake: &Arc<ChannelIntake>,
) -> RunningSource {
    let address = bound.address();
    let (health, stop) = (Arc::new(Health::default()), CancellationToken::new());
    let intake: Arc<dyn Intake> = Arc::new(Door(Arc::clone(intake)));
    let running = AssertUnwindSafe(bound.run(intake, Arc::clone(&health), stop.clone()));
    let (name, link, stopped) = (Arc::clone(channel), Arc::clone(&health), stop.clone());
    let task = tokio::spawn(async move {
        let ended = running.catch_unwind().await;
        if ended.is_ok() && stopped.is_cancelled() {
            return;
        }
        tracing::error!(
            channel = &*name,
            code = "source.ended",
            "a channel's source has ended; it starts again when a configuration is applied"
        );
        let detail = "the source has ended; apply the configuration again to start it".to_owned();
        link.down(Problem { code: "source.ended", detail });
    });
    RunningSource { address, health, stop, task }
}
