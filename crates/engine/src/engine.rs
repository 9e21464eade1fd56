//! The running engine: its channels, and how they start, change and stop.

mod shown;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt;
use jiff::Timestamp;
use pipehat_connectors::{Bound, Health, Intake, Problem, StartError};
use pipehat_journal::{Flush, Journal, Position};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) use self::shown::ask;

use self::shown::Shown;
use crate::channel::{
    ChannelHandle, ChannelIntake, ChannelStatus, Conductor, Door, Incoming, Input, Services,
    received_again,
};
use crate::checkpoint::{Books, CheckpointError};
use crate::control_id::{ControlIds, InstallationTag};
use crate::duplicates::DuplicateWindow;
use crate::ledger::{Ledger, Lost};
use crate::log::{Log, LogError};
use crate::names::{ChannelName, MessageId};
use crate::project::{ChannelSpec, Project};
use crate::prove::{self, Proof};
use crate::record::{Applied, Record};
use crate::recovery::{self, Lately, Recovered};

/// How often the books are written down.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(5);

/// How long a stop waits for deliveries under way.
const STOP_GRACE: Duration = Duration::from_secs(10);

/// The file of the latest checkpoint in the data directory.
const CHECKPOINT_FILE: &str = "checkpoint.json";

/// The file of the books as of the oldest record kept.
const BASELINE_FILE: &str = "baseline.json";

/// What an engine is made of.
pub struct EngineOptions {
    /// Where the checkpoint and the baseline are kept.
    pub data: PathBuf,
    /// The journal.
    pub journal: Arc<dyn Journal>,
    /// Sets this installation's control ids apart from others'.
    pub tag: InstallationTag,
    /// Hashes the values that name lanes.
    pub lane_key: u64,
    /// How long settled messages are kept at least; none: for ever.
    pub keep: Option<Duration>,
}

/// Why an engine could not start.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A channel's source could not start.
    #[error("channel `{channel}` can't start")]
    Source {
        /// The channel.
        channel: ChannelName,
        /// Why.
        #[source]
        source: StartError,
    },
    /// The journal could not be read.
    #[error("the journal can't be read")]
    Log(#[from] LogError),
    /// The checkpoint could not be written.
    #[error("the checkpoint can't be written")]
    Checkpoint(#[from] CheckpointError),
    /// A task of the engine ended by a panic.
    #[error("a part of the engine failed")]
    Failed,
}

/// What an applied configuration changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ApplyReport {
    /// Channels that are new.
    pub added: Vec<ChannelName>,
    /// Channels that run a new revision.
    pub changed: Vec<ChannelName>,
    /// Channels taken away.
    pub removed: Vec<ChannelName>,
}

/// A running engine.
pub struct Engine {
    pub(crate) services: Services,
    data: PathBuf,
    keep: Option<Duration>,
    state: tokio::sync::Mutex<State>,
    /// Serialises checkpoints and what retention does with them.
    checkpoints: tokio::sync::Mutex<Vec<(i64, Position)>>,
    /// What others see of the channels.
    shown: Mutex<BTreeMap<ChannelName, Shown>>,
    stop: CancellationToken,
}

#[derive(Default)]
struct State {
    channels: BTreeMap<ChannelName, Running>,
    /// Books of channels that are not configured any more.
    dormant: BTreeMap<ChannelName, (Option<Position>, Ledger)>,
}

struct Running {
    spec: Arc<ChannelSpec>,
    handle: ChannelHandle,
    intake: Arc<ChannelIntake>,
    source: RunningSource,
    task: JoinHandle<Option<(Position, Ledger)>>,
    /// What was seen of it last.
    seen: Arc<Mutex<Option<ChannelStatus>>>,
}

struct RunningSource {
    address: Option<String>,
    health: Arc<Health>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Engine {
    /// Recovers the books, and starts every channel; all of them or none.
    ///
    /// # Errors
    /// When the journal can't be read or a source can't start.
    pub async fn start(
        options: EngineOptions,
        project: &Project,
    ) -> Result<Arc<Self>, EngineError> {
        let log = Log::new(options.journal);
        let (recovered, messages) = recover(&log, &options.data).await?;
        let services = Services {
            log,
            ids: Arc::new(ControlIds::new(options.tag)),
            lane_key: options.lane_key,
        };
        let engine = Arc::new(Self {
            services,
            data: options.data,
            keep: options.keep,
            state: tokio::sync::Mutex::default(),
            checkpoints: tokio::sync::Mutex::new(recovered.books.times.clone()),
            shown: Mutex::default(),
            stop: CancellationToken::new(),
        });
        engine.start_channels(project, recovered, messages).await?;
        Ok(engine)
    }

    async fn start_channels(
        &self,
        project: &Project,
        recovered: Recovered,
        mut messages: BTreeMap<ChannelName, Vec<(MessageId, Incoming)>>,
    ) -> Result<(), EngineError> {
        let mut bound = Vec::new();
        for spec in project.channels.iter().filter(|spec| spec.enabled) {
            bound.push((Arc::clone(spec), bind(spec).await?));
        }
        let mut state = self.state.lock().await;
        let Recovered { mut books, mut lately, .. } = recovered;
        for (spec, bound) in bound {
            let name = Arc::clone(&spec.name);
            let (through, ledger) = books.channels.remove(&name).unwrap_or_default();
            let window = window(&spec, lately.remove(&name).unwrap_or_default());
            let work = messages.remove(&name).unwrap_or_default();
            let running = self.launch(spec, bound, through, ledger, window, work);
            state.channels.insert(name, running);
        }
        state.dormant = books.channels;
        self.publish(&state);
        let report = ApplyReport {
            added: state.channels.keys().cloned().collect(),
            ..ApplyReport::default()
        };
        self.note_applied(&state, &report, "start");
        drop(state);
        Ok(())
    }

    fn launch(
        &self,
        spec: Arc<ChannelSpec>,
        bound: Box<dyn Bound>,
        through: Option<Position>,
        ledger: Ledger,
        window: DuplicateWindow,
        work: Vec<(MessageId, Incoming)>,
    ) -> Running {
        let (sender, mailbox) = mpsc::unbounded_channel();
        let intake = ChannelIntake::new(
            Arc::clone(&spec.name),
            self.services.log.clone(),
            Arc::clone(&self.services.ids),
            sender.clone(),
            window,
            spec.reply.clone(),
            ledger.files.iter().cloned().collect(),
        );
        let through = through.unwrap_or_else(|| self.services.log.journal().first_position());
        let mut conductor = Conductor::new(
            Arc::clone(&spec),
            Services { log: self.services.log.of_channel(), ..self.services.clone() },
            ledger,
            through,
            (sender.clone(), mailbox),
        );
        conductor.resume(work);
        let task = tokio::spawn(supervised(conductor, Arc::clone(&intake), Arc::clone(&spec.name)));
        let source = run_source(&spec.name, bound, &intake);
        let handle = ChannelHandle { mailbox: sender };
        Running { spec, handle, intake, source, task, seen: Arc::default() }
    }

    /// Brings the engine to a changed configuration: all of it, or, when a source can't start,
    /// nothing. Channels that did not change do not notice; a changed channel whose source did
    /// not change keeps its connections.
    ///
    /// # Errors
    /// When a source can't start; the configuration before runs on.
    pub async fn apply(&self, project: &Project, by: &str) -> Result<ApplyReport, EngineError> {
        let mut state = self.state.lock().await;
        let wanted: BTreeMap<&ChannelName, &Arc<ChannelSpec>> = project
            .channels
            .iter()
            .filter(|spec| spec.enabled)
            .map(|spec| (&spec.name, spec))
            .collect();
        let bound = self.bind_changed(&mut state, &wanted).await?;
        let report = self.switch(&mut state, &wanted, bound).await;
        self.publish(&state);
        self.note_applied(&state, &report, by);
        Ok(report)
    }

    /// Takes hold of everything that must listen anew. An address that a running source of ours
    /// holds is free only after that source has stopped: if another can't start then, those that
    /// were stopped start again.
    async fn bind_changed(
        &self,
        state: &mut State,
        wanted: &BTreeMap<&ChannelName, &Arc<ChannelSpec>>,
    ) -> Result<BTreeMap<ChannelName, Box<dyn Bound>>, EngineError> {
        let needed = |name: &ChannelName, spec: &ChannelSpec| {
            state.channels.get(name).is_none_or(|running| {
                // One that ended by itself holds nothing any more.
                running.source.task.is_finished()
                    || running.spec.source.fingerprint != spec.source.fingerprint
            })
        };
        let anew: Vec<&Arc<ChannelSpec>> = wanted
            .iter()
            .filter(|(name, spec)| needed(name, spec))
            .map(|(_, spec)| *spec)
            .collect();
        let claims: BTreeSet<&str> =
            anew.iter().filter_map(|spec| spec.source.claim.as_deref()).collect();
        let in_the_way: Vec<ChannelName> = state
            .channels
            .values()
            .filter(|running| {
                let claimed = running.spec.source.claim.as_deref();
                let kept = wanted
                    .get(&running.spec.name)
                    .is_some_and(|spec| spec.source.fingerprint == running.spec.source.fingerprint);
                !kept && claimed.is_some_and(|claim| claims.contains(claim))
            })
            .map(|running| Arc::clone(&running.spec.name))
            .collect();
        for name in &in_the_way {
            if let Some(running) = state.channels.get_mut(name) {
                running.source.end().await;
            }
        }
        let mut bound = BTreeMap::new();
        for spec in anew {
            match bind(spec).await {
                Ok(listening) => {
                    bound.insert(Arc::clone(&spec.name), listening);
                }
                Err(error) => {
                    drop(bound);
                    self.restart_sources(state, &in_the_way).await;
                    return Err(error);
                }
            }
        }
        Ok(bound)
    }

    async fn restart_sources(&self, state: &mut State, names: &[ChannelName]) {
        for name in names {
            let Some(running) = state.channels.get_mut(name) else { continue };
            match bind(&running.spec).await {
                Ok(bound) => running.source = run_source(name, bound, &running.intake),
                Err(error) => tracing::error!(
                    channel = &**name,
                    error = &error as &dyn std::error::Error,
                    "the source could not be started again"
                ),
            }
        }
    }

    /// Nothing can fail any more: brings every channel to its new revision.
    async fn switch(
        &self,
        state: &mut State,
        wanted: &BTreeMap<&ChannelName, &Arc<ChannelSpec>>,
        mut bound: BTreeMap<ChannelName, Box<dyn Bound>>,
    ) -> ApplyReport {
        let mut report = ApplyReport::default();
        let gone: Vec<ChannelName> =
            state.channels.keys().filter(|name| !wanted.contains_key(name)).cloned().collect();
        for name in gone {
            if let Some(running) = state.channels.remove(&name) {
                let books = match running.end().await {
                    Some((through, ledger)) => Some((Some(through), ledger)),
                    // It had failed: its books are made anew, for it may come back.
                    None => self.books_of(&name).await,
                };
                if let Some(books) = books {
                    state.dormant.insert(Arc::clone(&name), books);
                }
                report.removed.push(name);
            }
        }
        // A channel that comes back knows its senders' messages again.
        let comes_back = |name: &ChannelName| !state.channels.contains_key(name);
        let mut lately = if wanted.keys().any(|name| comes_back(name)) {
            self.lately().await
        } else {
            BTreeMap::new()
        };
        for (name, spec) in wanted {
            let listening = bound.remove(*name);
            if let Some(running) = state.channels.get_mut(*name) {
                if running.spec.revision == spec.revision && listening.is_none() {
                    continue;
                }
                running.change(spec, listening).await;
                report.changed.push(Arc::clone(name));
            } else if let Some(listening) = listening {
                let (through, ledger) = state.dormant.remove(*name).unwrap_or_default();
                let window = window(spec, lately.remove(*name).unwrap_or_default());
                let work = self.unprocessed(&ledger).await;
                let running =
                    self.launch(Arc::clone(spec), listening, through, ledger, window, work);
                state.channels.insert(Arc::clone(name), running);
                report.added.push(Arc::clone(name));
            }
        }
        report
    }

    /// The messages lately received, by channel.
    async fn lately(&self) -> BTreeMap<ChannelName, Vec<Lately>> {
        let log = self.services.log.clone();
        match tokio::task::spawn_blocking(move || recovery::lately(&log)).await {
            Ok(Ok(lately)) => lately,
            Ok(Err(error)) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "the journal can't be read: a channel that comes back does not know what its \
                     senders send again"
                );
                BTreeMap::new()
            }
            Err(_) => BTreeMap::new(),
        }
    }

    /// A channel's books, made from the journal.
    async fn books_of(&self, name: &ChannelName) -> Option<(Option<Position>, Ledger)> {
        let (log, data) = (self.services.log.clone(), self.data.clone());
        let read = move || -> Result<Recovered, EngineError> {
            Ok(recovery::recover(&log, books_of_journal(&log, &data)?)?)
        };
        match tokio::task::spawn_blocking(read).await {
            Ok(Ok(mut recovered)) => recovered.books.channels.remove(name),
            Ok(Err(error)) => {
                tracing::error!(
                    channel = &**name,
                    error = &error as &dyn std::error::Error,
                    "the books of a channel can't be made anew; restart before it is used again"
                );
                None
            }
            Err(_) => None,
        }
    }

    async fn unprocessed(&self, ledger: &Ledger) -> Vec<(MessageId, Incoming)> {
        let (log, messages) = (self.services.log.clone(), ledger.unprocessed.clone());
        let read = move || {
            let mut work = Vec::new();
            for message in messages {
                match received_again(&log, message) {
                    Some(incoming) => work.push((message, incoming)),
                    None => tracing::error!(
                        message_id = message.0.get(),
                        "a message waiting to be processed can't be read; it stays in flight until \
                         the journal is repaired and Pipehat is started again"
                    ),
                }
            }
            work
        };
        tokio::task::spawn_blocking(read).await.unwrap_or_default()
    }

    fn note_applied(&self, state: &State, report: &ApplyReport, by: &str) {
        let changed = report.added.iter().chain(&report.changed).chain(&report.removed);
        for channel in changed {
            let revision = state.channels.get(channel).map(|running| running.spec.revision.0);
            let record = Record::Applied(Applied {
                channel: Arc::clone(channel),
                at: Timestamp::now(),
                by: by.to_owned(),
                revision,
            });
            self.services.log.append(record, Flush::Later, |_, _| ());
        }
    }

    fn empty_books(&self) -> Books {
        Books { lost: Lost::of(&self.services.log.journal().losses()), ..Books::default() }
    }

    /// The journal as the engine uses it.
    pub fn log(&self) -> &Log {
        &self.services.log
    }

    /// Makes the books anew from the journal and checks them. Blocks on the disk.
    ///
    /// # Errors
    /// When the journal or the baseline can't be read.
    pub fn prove(&self, progress: &mut dyn FnMut(u64, u64)) -> Result<Proof, EngineError> {
        let baseline = Books::read(&self.data.join(BASELINE_FILE))?;
        Ok(prove::prove(&self.services.log, baseline, progress)?)
    }

    /// Writes checkpoints and keeps to the retention until the engine stops.
    pub async fn keep_books(&self) {
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = tokio::time::sleep(CHECKPOINT_EVERY) => {}
            }
            if let Err(error) = self.checkpoint().await {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "the checkpoint could not be written; a restart will read more of the journal"
                );
            }
        }
    }

    /// Writes the books down, and forgets what retention allows.
    ///
    /// # Errors
    /// When the checkpoint can't be written or the journal can't be read.
    pub async fn checkpoint(&self) -> Result<(), EngineError> {
        let mut times = self.checkpoints.lock().await;
        // Whatever was answered before this moment is in the mailboxes, before the question.
        let answered = self.services.log.answered();
        let state = self.state.lock().await;
        let (mut books, mut failed) = (self.empty_books(), Vec::new());
        for (name, (through, ledger)) in &state.dormant {
            books.channels.insert(Arc::clone(name), ((*through).max(answered), ledger.clone()));
        }
        for (name, running) in &state.channels {
            let Some((applied, ledger)) =
                ask(&running.handle, |answer| Input::Books { answer }).await
            else {
                failed.push(Arc::clone(name));
                continue;
            };
            let through = Some(applied).max(answered);
            books.channels.insert(Arc::clone(name), (through, ledger));
        }
        drop(state);
        if let Some(keep) = self.keep {
            let now = Timestamp::now().as_second();
            note_time(&mut times, now, self.services.log.journal().next_position(), keep);
        } else {
            times.clear();
        }
        books.times.clone_from(&times);
        // Nobody knows what a channel that failed still needs.
        let trim_to = self.keep.filter(|_| failed.is_empty());
        let trim_to = trim_to.and_then(|keep| trim_position(&books, keep));
        let (data, log) = (self.data.clone(), self.services.log.clone());
        let write = move || -> Result<(), EngineError> {
            if !failed.is_empty() {
                // Its books stay as they were written last, from where the next start goes on.
                let mut written = books_of_journal(&log, &data)?;
                for name in failed {
                    let last = written.channels.remove(&name).unwrap_or_default();
                    books.channels.insert(name, last);
                }
            }
            books.write(&data.join(CHECKPOINT_FILE))?;
            if let Some(position) = trim_to {
                trim(&log, &data, position)?;
            }
            Ok(())
        };
        tokio::task::spawn_blocking(write).await.map_err(|_| EngineError::Failed)?
    }

    /// Stops in good order: no message is accepted any more, what is under way is finished, the
    /// books are written, the journal is closed.
    ///
    /// # Errors
    /// When the last checkpoint can't be written; the journal is closed all the same.
    pub async fn stop(&self) -> Result<(), EngineError> {
        self.stop.cancel();
        let mut state = self.state.lock().await;
        let channels = std::mem::take(&mut state.channels);
        self.publish(&state);
        let ending =
            channels.into_iter().map(|(name, running)| async move { (name, running.end().await) });
        let ended = futures_util::future::join_all(ending).await;
        let mut books =
            Books { channels: std::mem::take(&mut state.dormant), ..self.empty_books() };
        let mut failed = false;
        for (name, end) in ended {
            match end {
                Some((through, ledger)) => {
                    books.channels.insert(name, (Some(through), ledger));
                }
                None => failed = true,
            }
        }
        books.times.clone_from(&*self.checkpoints.lock().await);
        let (data, journal) = (self.data.clone(), Arc::clone(self.services.log.journal()));
        let close = move || {
            journal.close();
            if failed { Ok(()) } else { books.write(&data.join(CHECKPOINT_FILE)) }
        };
        tokio::task::spawn_blocking(close).await.map_err(|_| EngineError::Failed)??;
        if failed { Err(EngineError::Failed) } else { Ok(()) }
    }
}

impl Running {
    async fn change(&mut self, spec: &Arc<ChannelSpec>, bound: Option<Box<dyn Bound>>) {
        if bound.is_some() {
            self.source.end().await;
        }
        self.intake.reconfigure(spec.reply.clone(), spec.duplicates);
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
    async fn end(mut self) -> Option<(Position, Ledger)> {
        self.source.end().await;
        self.intake.close();
        let drained = self.intake.drained().await;
        let _ = self.handle.mailbox.send(Input::Stop { grace: STOP_GRACE });
        let books = self.task.await.ok().flatten();
        books.filter(|_| drained)
    }
}

impl RunningSource {
    async fn end(&mut self) {
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
async fn supervised(
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
fn window(spec: &ChannelSpec, lately: Vec<Lately>) -> DuplicateWindow {
    let mut window = DuplicateWindow::new(spec.duplicates);
    for Lately { sender_hash, content_hash, message, at } in lately {
        window.remember(sender_hash, content_hash, message, at);
    }
    window
}

async fn bind(spec: &Arc<ChannelSpec>) -> Result<Box<dyn Bound>, EngineError> {
    let bound = spec.source.source.bind().await;
    bound.map_err(|source| EngineError::Source { channel: Arc::clone(&spec.name), source })
}

fn run_source(
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

/// The books as written down last; where there is no checkpoint, as of the oldest record kept.
fn written_books(data: &std::path::Path) -> Result<Books, CheckpointError> {
    match Books::read(&data.join(CHECKPOINT_FILE)) {
        Ok(Some(books)) => return Ok(books),
        Ok(None) => {}
        Err(error) => tracing::warn!(
            error = &error as &dyn std::error::Error,
            "the checkpoint can't be used; the books are made from the journal"
        ),
    }
    Ok(Books::read(&data.join(BASELINE_FILE))?.unwrap_or_default())
}

/// The books written last, unless they know of records the journal does not have: then an older
/// journal was put back, and they are made from it.
fn books_of_journal(log: &Log, data: &std::path::Path) -> Result<Books, CheckpointError> {
    let books = written_books(data)?;
    let end = log.journal().next_position();
    let ahead = |books: &Books| {
        books.channels.values().any(|(through, _)| through.is_some_and(|through| through >= end))
    };
    let lost = Lost::of(&log.journal().losses());
    if books.lost != lost {
        tracing::warn!(
            lost_records = lost.records(),
            "the journal was repaired since the checkpoint; the books are made from what is there"
        );
    } else if ahead(&books) {
        tracing::warn!(
            "the checkpoint is newer than the journal; the books are made from the journal"
        );
    } else {
        return Ok(books);
    }
    let baseline = Books::read(&data.join(BASELINE_FILE))?.unwrap_or_default();
    Ok(if ahead(&baseline) { Books::default() } else { baseline })
}

async fn recover(
    log: &Log,
    data: &std::path::Path,
) -> Result<(Recovered, BTreeMap<ChannelName, Vec<(MessageId, Incoming)>>), EngineError> {
    let (log, data) = (log.clone(), data.to_owned());
    let read = move || -> Result<_, EngineError> {
        let recovered = recovery::recover(&log, books_of_journal(&log, &data)?)?;
        let mut messages: BTreeMap<ChannelName, Vec<_>> = BTreeMap::new();
        for (channel, (_, ledger)) in &recovered.books.channels {
            for message in &ledger.unprocessed {
                let incoming =
                    received_again(&log, *message).ok_or(LogError::Kind { position: message.0 })?;
                messages.entry(Arc::clone(channel)).or_default().push((*message, incoming));
            }
        }
        Ok((recovered, messages))
    };
    tokio::task::spawn_blocking(read).await.map_err(|_| EngineError::Failed)?
}

/// Notes how far the journal is, once a minute, for as long as retention goes back.
fn note_time(times: &mut Vec<(i64, Position)>, now: i64, end: Position, keep: Duration) {
    const NOTE_EVERY: i64 = 60;
    // A clock that was ahead and went back: what it said is of no use.
    times.retain(|(at, _)| *at <= now);
    if times.last().is_none_or(|(at, _)| now - at >= NOTE_EVERY) {
        times.push((now, end));
    }
    // Of those old enough to be forgotten only the newest counts.
    let oldest = now.saturating_sub(i64::try_from(keep.as_secs()).unwrap_or(i64::MAX));
    let old = times.partition_point(|(at, _)| *at <= oldest);
    times.drain(..old.saturating_sub(1));
}

/// Up to where the journal may be forgotten: old enough, and needed by no channel.
fn trim_position(books: &Books, keep: Duration) -> Option<Position> {
    let oldest = Timestamp::now().as_second() - i64::try_from(keep.as_secs()).unwrap_or(i64::MAX);
    let old = books.times.iter().rev().find(|(at, _)| *at <= oldest).map(|(_, end)| *end)?;
    let needed = books.channels.values().filter_map(|(_, ledger)| ledger.oldest_needed()).min();
    Some(needed.map_or(old, |needed| old.min(needed.0)))
}

/// Forgets whole chunks, after the books as of their end are written down.
fn trim(log: &Log, data: &std::path::Path, to: Position) -> Result<(), EngineError> {
    let baseline_file = data.join(BASELINE_FILE);
    let baseline = Books::read(&baseline_file)?;
    let known = baseline
        .iter()
        .flat_map(|books| books.channels.values().filter_map(|(through, _)| *through))
        .max();
    if known.is_some_and(|known| known.next() >= to) || to <= log.journal().first_position() {
        return Ok(());
    }
    prove::advance_baseline(log, baseline, to)?.write(&baseline_file)?;
    match log.journal().trim(to) {
        Ok(trimmed) if trimmed.chunks > 0 => tracing::info!(
            chunks = trimmed.chunks,
            bytes = trimmed.bytes,
            "old messages were removed"
        ),
        Ok(_) => {}
        Err(error) => tracing::warn!(
            error = &error as &dyn std::error::Error,
            "old messages could not be removed"
        ),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pipehat_journal::Position;

    use super::note_time;

    const HOUR: Duration = Duration::from_secs(3600);

    fn end(number: i64) -> Position {
        Position::new(number.unsigned_abs() + 1).expect("positions start at 1")
    }

    #[test]
    fn times_are_noted_for_as_long_as_retention_goes_back() {
        let mut times = Vec::new();
        for second in 0..=100_000 {
            note_time(&mut times, second, end(second), HOUR);
        }
        // One a minute for an hour, and one before.
        assert_eq!(times.len(), 61);
        let (oldest, _) = *times.first().expect("there are some");
        assert!(oldest <= 100_000 - 3600 && oldest > 100_000 - 3600 - 60);
    }

    #[test]
    fn a_clock_set_back_notes_on() {
        let mut times = Vec::new();
        note_time(&mut times, 900_000_000, end(1), HOUR);
        note_time(&mut times, 1_000, end(2), HOUR);
        assert_eq!(times, [(1_000, end(2))]);
    }
}
