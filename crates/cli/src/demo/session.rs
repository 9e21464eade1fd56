//! One run of the demo: the project is written and started, messages flow, everything is checked.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use pipehat_engine::project::Project;
use pipehat_server::{DataDirectory, Node, NodeOptions};
use tokio::task::spawn_blocking;

use super::observer::Observer;
use super::project::{self, DemoEnvironment};
use super::screen::Screen;
use super::simulation::{Simulation, SimulationOptions};
use super::snapshot::{Phase, Snapshot};
use super::summary::Summary;
use super::view::{Rates, draw};
use crate::commands::project::show;
use crate::exit::Failure;
use crate::signals;
use crate::terminal::Terminal;

/// How often a line of progress is told when nobody watches.
const PROGRESS_EVERY: Duration = Duration::from_secs(5);

/// How often everything is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// How long what is under way may take to arrive after the last message was sent.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(60);

/// Missing deliveries that are told one by one.
const MISSING_TOLD: usize = 20;

/// What a run is made of.
#[derive(Debug)]
pub(crate) struct SessionOptions {
    /// Where the project is written, and its data; empty or not there yet.
    pub(crate) directory: PathBuf,
    /// The project to run instead of the one that is written there.
    pub(crate) project: Option<PathBuf>,
    /// Whether it stays.
    pub(crate) kept: bool,
    /// Messages in a second.
    pub(crate) rate: f64,
    /// Sets the people and events.
    pub(crate) seed: u64,
    /// For how long messages flow; none: until someone ends it.
    pub(crate) planned: Option<Duration>,
    /// Who watches.
    pub(crate) watched: Watched,
}

/// Why a demo could not run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SessionError {
    /// The folder can't be used.
    #[error("the demo could not be written to {directory}")]
    Folder {
        /// The folder.
        directory: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The project has mistakes, which were shown.
    #[error("the demo's project has mistakes")]
    Project,
    /// The simulated systems could not listen.
    #[error("the simulated systems could not start")]
    Systems(#[source] std::io::Error),
    /// The journal could not be read.
    #[error("the journal could not be read")]
    Journal(#[from] pipehat_engine::LogError),
    /// A part failed.
    #[error("a part of the demo failed")]
    Failed,
}

/// Who watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Watched {
    /// Someone at a terminal.
    Live,
    /// Nobody: lines of progress are told.
    Headless,
}

/// Runs the demo to its end.
pub(crate) async fn run(options: SessionOptions, terminal: &Terminal) -> Result<Summary, Failure> {
    let watched = options.watched;
    let mut session = Session::start(options, terminal).await?;
    let mut display = match watched {
        Watched::Live => {
            let screen = Screen::open().map_err(Failure::could_not)?;
            Display::Live { screen, rates: Rates::default() }
        }
        Watched::Headless => Display::Headless { told: Instant::now() },
    };
    session.flow(&mut display, terminal).await?;
    let flowed = session.started.elapsed();
    let drained = session.drain(&mut display, terminal).await?;
    drop(display);
    session.end(flowed, drained).await
}

/// What is shown meanwhile.
enum Display {
    Live { screen: Screen, rates: Rates },
    Headless { told: Instant },
}

/// What someone wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    Quit,
    Pause,
    Fail,
}

impl Display {
    /// What someone wants next.
    async fn wish(&mut self) -> Wish {
        let Self::Live { screen, .. } = self else { return std::future::pending().await };
        loop {
            match screen.key().await.to_ascii_lowercase() {
                b'q' => return Wish::Quit,
                b'p' => return Wish::Pause,
                b'f' => return Wish::Fail,
                _ => {}
            }
        }
    }

    fn show(&mut self, snapshot: &Snapshot, terminal: &Terminal) -> Result<(), Failure> {
        match self {
            Self::Live { screen, rates } => {
                rates.note(snapshot);
                let lines = draw(snapshot, rates, Screen::size());
                let lines: Vec<String> = lines.iter().map(|line| line.paint(terminal)).collect();
                screen.draw(&lines).map_err(Failure::could_not)
            }
            Self::Headless { told } => {
                if told.elapsed() >= PROGRESS_EVERY {
                    *told = Instant::now();
                    terminal.note(progress(snapshot));
                }
                Ok(())
            }
        }
    }
}

struct Session {
    options: SessionOptions,
    node: Node,
    simulation: Simulation,
    observer: Option<Observer>,
    started: Instant,
    phase: Phase,
}

impl Session {
    async fn start(options: SessionOptions, terminal: &Terminal) -> Result<Self, Failure> {
        let directory = &options.directory;
        let folder_error = |source| SessionError::Folder { directory: directory.clone(), source };
        project::write(directory).map_err(|error| Failure::could_not(folder_error(error)))?;
        let mut simulation = Simulation::new(SimulationOptions {
            seed: options.seed,
            rate: options.rate,
            vaccinations: directory.join(project::VACCINATIONS),
            registry: directory.join(project::REGISTRY),
        })
        .map_err(|error| Failure::could_not(SessionError::Systems(error)))?;
        let environment = DemoEnvironment(simulation.variables());
        let source = options.project.as_ref().unwrap_or(directory);
        let loaded = Project::load(source, &environment, &environment);
        show(&loaded.diagnostics, terminal);
        let Some(project) = loaded.project else {
            return Err(Failure::could_not(SessionError::Project));
        };
        let node = Node::start(NodeOptions {
            project,
            data: DataDirectory::new(directory.join("data"), None),
            sealed: true,
            indexed: true,
            http: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
            watch: None,
        })
        .await
        .map_err(Failure::could_not)?;
        let observer = Observer::new(node.engine().log());
        simulation.start(&listeners(&node).await);
        Ok(Self {
            options,
            node,
            simulation,
            observer: Some(observer),
            started: Instant::now(),
            phase: Phase::Running,
        })
    }

    /// Lets messages flow until the time is over or someone ends it.
    async fn flow(&mut self, display: &mut Display, terminal: &Terminal) -> Result<(), Failure> {
        let stop = asked_to_stop();
        tokio::pin!(stop);
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let shared = &self.simulation.shared;
            tokio::select! {
                () = &mut stop => return Ok(()),
                wish = display.wish() => match wish {
                    Wish::Quit => return Ok(()),
                    Wish::Pause => shared.toggle_pause(),
                    Wish::Fail => shared.fail_laboratory(),
                },
                _ = look.tick() => {}
            }
            let elapsed = self.started.elapsed();
            if self.options.planned.is_some_and(|planned| elapsed >= planned) {
                return Ok(());
            }
            let snapshot = self.look().await?;
            display.show(&snapshot, terminal)?;
        }
    }

    /// Ends sending, and waits until everything has come to its end. Who asks to quit once more
    /// need not wait.
    async fn drain(
        &mut self,
        display: &mut Display,
        terminal: &Terminal,
    ) -> Result<Duration, Failure> {
        self.phase = Phase::Finishing;
        let began = Instant::now();
        let stop = asked_to_stop();
        tokio::pin!(stop);
        self.simulation.begin_finishing();
        while began.elapsed() < DRAIN_TIMEOUT {
            let snapshot = self.look().await?;
            display.show(&snapshot, terminal)?;
            if self.simulation.has_finished_sending() && snapshot.is_quiet() {
                break;
            }
            tokio::select! {
                () = &mut stop => break,
                wish = display.wish() => if wish == Wish::Quit { break },
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
        Ok(began.elapsed())
    }

    /// Checks everything, and stops.
    async fn end(mut self, flowed: Duration, drained: Duration) -> Result<Summary, Failure> {
        let end = self.look().await?;
        let engine = Arc::clone(self.node.engine());
        let proof = spawn_blocking(move || engine.prove(&mut |_, _| ())).await;
        let proof = proof.map_err(|_| Failure::could_not(SessionError::Failed))?;
        let proof = proof.map_err(Failure::could_not)?;
        let missing = self.simulation.shared.expectations.missing(MISSING_TOLD);
        self.node.stop().await.map_err(Failure::could_not)?;
        self.simulation.stop().await;
        let directory = &self.options.directory;
        Ok(Summary {
            end,
            flowed,
            drained,
            proof,
            missing,
            seed: self.options.seed,
            memory_bytes_max: memory_bytes_max(),
            kept: self.options.kept.then(|| directory.display().to_string()),
        })
    }

    /// Everything at this moment.
    async fn look(&mut self) -> Result<Snapshot, Failure> {
        let Some(mut observer) = self.observer.take() else {
            return Err(Failure::could_not(SessionError::Failed));
        };
        let (log, shared) = (self.node.engine().log().clone(), Arc::clone(&self.simulation.shared));
        let followed = spawn_blocking(move || {
            let followed = observer.follow(&log, &shared.expectations);
            (followed, observer)
        });
        let (followed, observer) =
            followed.await.map_err(|_| Failure::could_not(SessionError::Failed))?;
        followed.map_err(|error| Failure::could_not(SessionError::Journal(error)))?;
        let paused = self.phase == Phase::Running && self.simulation.shared.is_paused();
        let snapshot = Snapshot {
            phase: if paused { Phase::Paused } else { self.phase },
            elapsed: self.started.elapsed(),
            planned: self.options.planned,
            channels: self.node.engine().status().await,
            tally: self.simulation.shared.expectations.tally(),
            deliveries: observer.deliveries.clone(),
            latest_parked: observer.latest.iter().cloned().collect(),
            explained: observer.explained.clone(),
            unexplained: observer.unexplained.clone(),
            unexplained_count: observer.unexplained_count,
            decisions: observer.decisions(),
            laboratory: self.simulation.laboratory(),
            http: format!("http://{}", self.node.address()),
            data: self.node.data().root().to_owned(),
        };
        self.observer = Some(observer);
        Ok(snapshot)
    }
}

/// Ctrl-C, a request to terminate, or a terminal that was closed.
async fn asked_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut hangup) = signal(SignalKind::hangup()) else { return signals::stop().await };
    tokio::select! {
        () = signals::stop() => {}
        _ = hangup.recv() => {}
    }
}

/// Where the channels listen.
async fn listeners(node: &Node) -> BTreeMap<String, SocketAddr> {
    let statuses = node.engine().status().await;
    let listening = statuses.iter().filter_map(|status| {
        Some((status.name.to_string(), status.address.as_deref()?.parse().ok()?))
    });
    listening.collect()
}

fn progress(snapshot: &Snapshot) -> String {
    format!(
        "{:>4} s  sent {}  queued {}  under way {}  parked {}  unexplained {}",
        snapshot.elapsed.as_secs(),
        snapshot.tally.sent,
        snapshot.queued(),
        snapshot.tally.open,
        snapshot.explained.values().sum::<u64>(),
        snapshot.unexplained_count
    )
}

/// The most memory this process had, as Linux tells it.
fn memory_bytes_max() -> Option<u64> {
    let status = std::fs::read_to_string(Path::new("/proc/self/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}
