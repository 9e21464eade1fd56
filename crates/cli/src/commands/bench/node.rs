//! The whole of Pipehat under load: a node as `pipehat up` starts it, in this process, on fresh data.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use pipehat_server::{DataDirectory, Node, NodeOptions, StatusView};

use super::machine::{Usage, resident_bytes};
use super::project::Example;
use super::receiver::Receiver;
use super::sample::{Clock, Kind};
use super::senders::{self, Plan};
use super::table::Row;
use crate::admin::Admin;
use crate::exit::Failure;

/// How long what was acknowledged may take to reach the receiver, or the index.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(120);

/// How often memory is looked at.
const MEMORY_INTERVAL: Duration = Duration::from_millis(50);

/// How a node is set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Setup {
    pub(super) sealed: bool,
    pub(super) indexed: bool,
}

impl Setup {
    pub(super) const USUAL: Self = Self { sealed: true, indexed: true };

    fn text(self) -> &'static str {
        match (self.sealed, self.indexed) {
            (true, true) => "",
            (true, false) => ", not indexed",
            (false, true) => ", not sealed",
            (false, false) => ", not sealed, not indexed",
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub(super) enum BenchError {
    #[error("the channel under test listens nowhere")]
    NoAddress,
    #[error("{missing} acknowledged messages did not reach the receiver within {} s", DRAIN_TIMEOUT.as_secs())]
    NotDelivered { missing: u64 },
    #[error("the index did not take in the messages within {} s", DRAIN_TIMEOUT.as_secs())]
    NotIndexed,
}

/// A node under test and what belongs to it.
pub(super) struct Running {
    runtime: tokio::runtime::Runtime,
    node: Node,
    example: Example,
    setup: Setup,
    address: SocketAddr,
    directory: PathBuf,
    /// How long it took to start.
    pub(super) start_time: Duration,
}

/// How long to load it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) warm_up: Duration,
    pub(super) measured: Duration,
}

impl Running {
    pub(super) fn start(example: Example, setup: Setup, directory: &Path) -> Result<Self, Failure> {
        let directory = directory.join(example.name());
        let project = example.load().map_err(Failure::could_not)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(Failure::could_not)?;
        let data = DataDirectory::new(directory.join("data"), None);
        let options = NodeOptions {
            project,
            data,
            sealed: setup.sealed,
            indexed: setup.indexed,
            http: Some(([127, 0, 0, 1], 0).into()),
            watch: None,
        };
        std::fs::create_dir_all(&directory).map_err(Failure::could_not)?;
        let start = Instant::now();
        let node = runtime.block_on(Node::start(options)).map_err(Failure::could_not)?;
        let start_time = start.elapsed();
        let statuses = runtime.block_on(node.engine().status());
        let address = statuses
            .iter()
            .find_map(|status| status.address.as_deref()?.parse().ok())
            .ok_or_else(|| Failure::could_not(BenchError::NoAddress))?;
        Ok(Self { runtime, node, example, setup, address, directory, start_time })
    }

    /// Loads it over so many connections. The first row is the senders' side; the second, for a relay, the receiver's.
    pub(super) fn load(
        &self,
        connections: usize,
        span: Span,
        kind: Kind,
        receiver: &Receiver,
        clock: Clock,
    ) -> Result<Vec<Row>, Failure> {
        let journal_before = self.node.engine().log().journal().statistics();
        let usage_before = Usage::now();
        let memory = MemoryWatch::start();
        let plan = Plan::of(self.address, connections, kind, span, clock);
        receiver.begin(plan.measure_from);
        let sent = senders::in_thread(plan, clock)?;
        let acknowledged = Instant::now();
        let delivers = !matches!(self.example, Example::Intake);
        let drained = if delivers { Some(drain(receiver, sent.all, acknowledged)?) } else { None };
        let usage = Usage::now();
        let memory = memory.stop();
        let indexed =
            if self.setup.indexed { Some(self.wait_for_index(acknowledged)?) } else { None };
        let written_by_process = Usage::now().written - usage_before.written;
        let journal = self.node.engine().log().journal().statistics();
        let each = |total: f64| Some(total / sent.all.max(1) as f64);
        let name = format!("{}{}", self.example.name(), self.setup.text());
        let mut row = Row::new(name, connections)
            .measured(sent.measured, span.measured, &sent.latencies)
            .with_written(journal.bytes_written - journal_before.bytes_written, sent.all);
        row.process_written_per_message = each(written_by_process as f64);
        row.processor_us_per_message = each((usage.processor - usage_before.processor) * 1e6);
        row.memory_bytes = Some(memory);
        row.indexed_s = indexed.map(|time| time.as_secs_f64());
        let mut rows = vec![row];
        if delivers {
            let received = receiver.received();
            let took = Duration::from_nanos(received.last.saturating_sub(plan.measure_from));
            let mut row = Row::new("  from sender to receiver", connections).measured(
                received.measured,
                took,
                &received.latencies,
            );
            row.drained_s = drained.map(|time| time.as_secs_f64());
            rows.push(row);
        }
        Ok(rows)
    }

    fn wait_for_index(&self, since: Instant) -> Result<Duration, Failure> {
        let admin = Admin::find(self.node.data())?;
        loop {
            let status: StatusView = admin.get("/api/v1/status")?;
            if status.index_behind.is_none_or(|behind| behind == 0) {
                return Ok(since.elapsed());
            }
            if since.elapsed() > DRAIN_TIMEOUT {
                return Err(Failure::could_not(BenchError::NotIndexed));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Stops it and removes its data.
    pub(super) fn stop(self) -> Result<(), Failure> {
        self.runtime.block_on(self.node.stop()).map_err(Failure::could_not)?;
        self.runtime.shutdown_timeout(Duration::from_secs(5));
        std::fs::remove_dir_all(&self.directory).map_err(Failure::could_not)
    }
}

/// Waits until everything acknowledged has reached the receiver.
fn drain(receiver: &Receiver, count: u64, since: Instant) -> Result<Duration, Failure> {
    loop {
        let received = receiver.count();
        if received >= count {
            return Ok(since.elapsed());
        }
        if since.elapsed() > DRAIN_TIMEOUT {
            let missing = count - received;
            return Err(Failure::could_not(BenchError::NotDelivered { missing }));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Looks at this process's memory until it is stopped, and keeps the highest.
struct MemoryWatch {
    stop: Arc<AtomicBool>,
    highest: Arc<AtomicU64>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl MemoryWatch {
    fn start() -> Self {
        let (stop, highest) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (until, kept) = (Arc::clone(&stop), Arc::clone(&highest));
        let watch = move || {
            while !until.load(Ordering::Relaxed) {
                kept.fetch_max(resident_bytes(), Ordering::Relaxed);
                std::thread::sleep(MEMORY_INTERVAL);
            }
        };
        // Without a thread there is only the figure at the end.
        let thread = std::thread::Builder::new().name("memory".to_owned()).spawn(watch).ok();
        Self { stop, highest, thread }
    }

    fn stop(mut self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        self.highest.load(Ordering::Relaxed).max(resident_bytes())
    }
}
