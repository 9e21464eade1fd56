//! The running engine: its channels, and how they start, change and stop.

mod books;
mod change;
mod running;
mod shown;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pipehat_connectors::{Bound, StartError};
use pipehat_journal::{Journal, Position};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

pub use self::change::ApplyReport;
pub(crate) use self::shown::Doors;
pub use self::shown::HandOverError;
pub(crate) use self::shown::ask;

use self::books::{BASELINE_FILE, CHECKPOINT_FILE, recover};
use self::running::{Running, bind, run_source, supervised, window};
use self::shown::ShownChannels;
use crate::channel::{ChannelHandle, ChannelIntake, Conductor, Incoming, Services};
use crate::checkpoint::{Books, CheckpointError};
use crate::control_id::{ControlIds, InstallationTag};
use crate::duplicates::DuplicateWindow;
use crate::ledger::Ledger;
use crate::log::{Log, LogError};
use crate::names::{ChannelName, MessageId};
use crate::project::{ChannelSpec, Project};
use crate::prove::{self, Proof};
use crate::recovery::Recovered;

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

/// A running engine.
pub struct Engine {
    pub(crate) services: Services,
    data: PathBuf,
    keep: Option<Duration>,
    state: tokio::sync::Mutex<State>,
    /// Serialises checkpoints and what retention does with them.
    checkpoints: tokio::sync::Mutex<Vec<(i64, Position)>>,
    /// What others see of the channels.
    shown: ShownChannels,
    stop: CancellationToken,
}

#[derive(Default)]
struct State {
    channels: BTreeMap<ChannelName, Running>,
    /// Books of channels that are not configured any more.
    dormant: BTreeMap<ChannelName, (Option<Position>, Ledger)>,
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
        let shown = ShownChannels::default();
        let services = Services {
            log,
            doors: Doors(Arc::clone(&shown)),
            ids: Arc::new(ControlIds::new(options.tag)),
            lane_key: options.lane_key,
        };
        let engine = Arc::new(Self {
            services,
            data: options.data,
            keep: options.keep,
            state: tokio::sync::Mutex::default(),
            checkpoints: tokio::sync::Mutex::new(recovered.books.times.clone()),
            shown,
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
        let window = Arc::new(Mutex::new(window));
        let intake = ChannelIntake::new(
            Arc::clone(&spec.name),
            self.services.log.clone(),
            Arc::clone(&self.services.ids),
            sender.clone(),
            Arc::clone(&window),
            spec.terms(),
            &ledger,
        );
        let through = through.unwrap_or_else(|| self.services.log.journal().first_position());
        let mut conductor = Conductor::new(
            Arc::clone(&spec),
            Services { log: self.services.log.of_channel(), ..self.services.clone() },
            ledger,
            through,
            window,
            (sender.clone(), mailbox),
        );
        conductor.resume(work);
        let task = tokio::spawn(supervised(conductor, Arc::clone(&intake), Arc::clone(&spec.name)));
        let source = run_source(&spec.name, bound, &intake);
        let handle = ChannelHandle { mailbox: sender };
        Running { spec, handle, intake, source, task, seen: Arc::default() }
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
