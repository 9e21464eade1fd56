//! `pipehat bench datastore`: the FHIR datastore as its clients see it, beside what bounds it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::disk;
use super::machine::Machine;
use crate::duration::duration;
use crate::exit::{Exit, Failure};
use crate::terminal::Terminal;

mod fill;
mod http;
mod limit;
mod load;
mod operation;
mod processes;
mod report;
mod server;

use load::Load;
use operation::{Maker, Operation};
use report::Row;
use server::{Server, Target};

const EXAMPLES: &str = "\
Examples:
  pipehat bench datastore                 10,000 resources, some two minutes
  pipehat bench datastore --for 500ms     a quick look
  pipehat bench datastore --resources 1000000 --filled /var/tmp/million
                                          a store is filled once, and kept
  pipehat bench datastore --store postgres://user:password@127.0.0.1/empty
  PIPEHAT_BENCH_TOKEN=… pipehat bench datastore --pid 4711 \\
      --target http://127.0.0.1:8103/fhir/R4

What the rows are:
  write + fdatasync     the disk alone, the bodies of as many creates to a sync
                        as there are clients
  fixed answer          HTTP alone: the same library and always one Patient
  read                  GET of a Patient or an Observation
  by identifier         Patient?identifier=SYSTEM|NUMBER
  by name prefix        Patient?family=FIRST LETTERS, a page of 20
  by dates, sorted      Observation?date=ge…&date=lt…&_sort=-date: seven days,
                        newest first, a page of 20
  by chain              Observation?subject:Patient.identifier=SYSTEM|NUMBER
  create                POST of a Patient or three times as often an
                        Observation, of 1.2 KB
  update                PUT of a Patient that is there
  transaction of 20     POST of a Bundle that creates two cases of ten

Each client sends a request, waits for its answer, and sends the next, over a connection of its own and with
an access token. The server is a process of its own: what `pipehat up` runs, sealed and audited, on fresh
data, which is removed at the end; the columns for processor and memory are the server's alone. The clients
share the machine with it, on one thread.

With --target another server is measured, or another machine's. It is FILLED AND CHANGED: never name one
with data that anybody needs.";

/// Before each measurement, load that is not counted.
const WARM_UP_MAX: Duration = Duration::from_secs(1);

/// What bounds it is measured as long as this at most.
const ALONE_MAX: Duration = Duration::from_secs(2);

/// Measure the FHIR datastore through HTTP
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// How long each figure is measured
    #[arg(long = "for", value_name = "TIME", default_value = "3s", value_parser = duration)]
    time: Duration,

    /// How many clients ask at once, one after another
    #[arg(
        long,
        value_name = "N,…",
        default_value = "1,8,32",
        value_delimiter = ',',
        value_parser = clap::value_parser!(u16).range(1..=1024)
    )]
    clients: Vec<u16>,

    /// How many resources are there before anything is measured
    #[arg(
        long,
        value_name = "N",
        default_value_t = 10_000,
        value_parser = clap::value_parser!(u64).range(100..=100_000_000)
    )]
    resources: u64,

    /// `sqlite`, or the URL of a PostgreSQL database, which is changed
    #[arg(
        long,
        value_name = "STORE",
        default_value = "sqlite",
        env = "PIPEHAT_BENCH_STORE",
        hide_env_values = true
    )]
    store: String,

    /// A folder on the disk to measure
    #[arg(long, value_name = "DIR", default_value = ".")]
    data: PathBuf,

    /// Fill the store in this folder and keep it; one that an earlier run filled is used as it is
    #[arg(long, value_name = "DIR", conflicts_with_all = ["target", "data"])]
    filled: Option<PathBuf>,

    /// Only fill the store, measure nothing
    #[arg(long, requires = "filled")]
    fill_only: bool,

    /// The base address of a running FHIR R4 server (http) to measure instead, which is filled and changed; its
    /// access token stands in PIPEHAT_BENCH_TOKEN
    #[arg(long, value_name = "URL", conflicts_with = "store")]
    target: Option<String>,

    /// Processes of the server measured, with their children, for the columns of processor and memory
    #[arg(long, value_name = "PID,…", value_delimiter = ',')]
    pid: Vec<u32>,

    /// Only these operations
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    only: Vec<Operation>,

    /// The result as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, thiserror::Error)]
enum SetupError {
    #[error("each figure needs some time: --for 100ms at least")]
    Time,
    #[error("`{0}` is no store: write `sqlite` or a URL that begins with postgres://")]
    Store(String),
    #[error(
        "the store has {found} patients, fewer than the {wanted} that --resources asks for: it was left half full, or \
         is another's; name an empty one"
    )]
    HalfFull { found: u64, wanted: u64 },
}

impl Arguments {
    pub(crate) fn run(mut self, terminal: &Terminal) -> Result<Exit, Failure> {
        self.clients.sort_unstable();
        self.clients.dedup();
        if self.time < Duration::from_millis(100) {
            return Err(Failure::usage(SetupError::Time));
        }
        let is_postgres =
            ["postgres://", "postgresql://"].iter().any(|at| self.store.starts_with(at));
        if self.store != "sqlite" && !is_postgres {
            return Err(Failure::usage(SetupError::Store(self.store)));
        }
        let disk = self.filled.as_deref().unwrap_or(&self.data);
        if self.filled.is_some() {
            std::fs::create_dir_all(disk).map_err(Failure::could_not)?;
        }
        let machine = Machine::look(disk);
        let folder = super::Folder::new(disk, self.time)?;
        let data = match &self.filled {
            Some(filled) => filled.join("data"),
            None => folder.0.join("data"),
        };
        let store = is_postgres.then_some(self.store.as_str());
        let (server, target) = match &self.target {
            Some(url) => {
                let token = std::env::var("PIPEHAT_BENCH_TOKEN").ok();
                (None, Target::of(url, token)?)
            }
            None => {
                let server = Server::start(&folder.0, &data, store)?;
                let target = server.target()?;
                (Some(server), target)
            }
        };
        let mut bench = Bench {
            arguments: &self,
            folder: &folder.0,
            server,
            target,
            rows: Vec::new(),
            terminal,
        };
        let result = bench.run(&machine);
        let Bench { server, rows, .. } = bench;
        if let Some(server) = server {
            server.stop()?;
        }
        result?;
        if self.json {
            let result = json!({
                "version": env!("CARGO_PKG_VERSION"),
                "machine": machine,
                "store": self.kind(),
                "resources": self.resources,
                "rows": rows,
            });
            terminal.write(|output| writeln!(output, "{result:#}"))?;
        }
        Ok(Exit::Ok)
    }

    /// What is measured, without a password.
    fn kind(&self) -> &'static str {
        match (&self.target, self.store.as_str()) {
            (Some(_), _) => "target",
            (None, "sqlite") => "SQLite",
            (None, _) => "PostgreSQL",
        }
    }

    fn operations(&self) -> Vec<Operation> {
        let all = Operation::ALL;
        all.into_iter().filter(|one| self.only.is_empty() || self.only.contains(one)).collect()
    }
}

/// A run and what it has found so far.
struct Bench<'b> {
    arguments: &'b Arguments,
    folder: &'b Path,
    server: Option<Server>,
    target: Target,
    rows: Vec<Row>,
    terminal: &'b Terminal,
}

impl Bench<'_> {
    fn run(&mut self, machine: &Machine) -> Result<(), Failure> {
        let arguments = self.arguments;
        let clients: Vec<usize> = arguments.clients.iter().copied().map(usize::from).collect();
        let patients = arguments.resources.div_ceil(fill::RESOURCES_EACH);
        let filled = self.fill(patients)?;
        if arguments.fill_only {
            return Ok(());
        }
        let progress = self.progress(clients.len() as u64);
        // A token of before may have ended while the store was filled.
        if let Some(server) = &self.server {
            self.target = server.target()?;
        }
        let known = fill::Known::find(&self.target, patients)?;
        if !arguments.json {
            let introduction = format!(
                "{}; {}, {} resources{filled}",
                super::machine_line(machine),
                arguments.kind(),
                super::table::thousands(arguments.resources as f64),
            );
            self.terminal.write(|output| {
                writeln!(output, "{introduction}")?;
                writeln!(output, "{}", report::head(self.terminal))
            })?;
        }
        let alone = arguments.time.min(ALONE_MAX);
        if arguments.only.is_empty() && arguments.target.is_none() {
            let bodies = operation::create_bodies();
            for &at_once in &clients {
                let measured = disk::appends(self.folder, &bodies, at_once, alone);
                let (count, latencies) = measured.map_err(Failure::could_not)?;
                let row = Row::new("write + fdatasync", at_once).measured(count, alone, &latencies);
                self.found(row, &progress)?;
            }
            let limit = limit::Fixed::start().map_err(Failure::could_not)?;
            for &at_once in &clients {
                let target = limit.target();
                let maker = Maker::new(&target, Operation::Read, limit::known());
                let load = Load { clients: at_once, warm_up: alone / 5, measured: alone };
                let done = load.run(&maker)?;
                let row = Row::new("fixed answer", at_once);
                self.found(row.measured(done.measured, alone, &done.latencies), &progress)?;
            }
        }
        let roots = match &self.server {
            Some(server) => {
                std::iter::once(server.pid()).chain(arguments.pid.iter().copied()).collect()
            }
            None => arguments.pid.clone(),
        };
        for operation in arguments.operations() {
            for &at_once in &clients {
                let maker = Maker::new(&self.target, operation, known.clone());
                let warm_up = (arguments.time / 5).min(WARM_UP_MAX);
                let load = Load { clients: at_once, warm_up, measured: arguments.time };
                let watch = processes::Watch::start(&roots);
                let done = load.run(&maker)?;
                let watched = watch.stop();
                let mut row = Row::new(operation.name(), at_once).measured(
                    done.measured,
                    arguments.time,
                    &done.latencies,
                );
                if !roots.is_empty() {
                    row.processor_us = Some(watched.processor_s * 1e6 / done.all.max(1) as f64);
                    row.memory_bytes = Some(watched.memory_bytes);
                }
                row.failed = done.failed;
                if let Some(failure) = &done.failure {
                    self.terminal.warn(format_args!("{}: {failure}", operation.name()));
                }
                self.found(row, &progress)?;
            }
        }
        progress.finish_and_clear();
        Ok(())
    }

    /// Fills the store unless it is; says how quickly.
    fn fill(&mut self, patients: u64) -> Result<String, Failure> {
        let found = fill::count(&self.target)?;
        if found >= patients {
            return Ok(" (filled before)".to_owned());
        }
        if found > 0 {
            return Err(Failure::could_not(SetupError::HalfFull { found, wanted: patients }));
        }
        let bar = bar(self.terminal, self.arguments.resources);
        bar.set_message("filling the store");
        let took = fill::fill(&self.target, patients, |done| bar.set_position(done))?;
        bar.finish_and_clear();
        let rate = (patients * fill::RESOURCES_EACH) as f64 / took.as_secs_f64();
        Ok(format!(", filled at {} a second", super::table::thousands(rate)))
    }

    fn progress(&self, clients: u64) -> ProgressBar {
        let operations = self.arguments.operations().len() as u64;
        bar(self.terminal, clients * (operations + 2))
    }

    fn found(&mut self, row: Row, progress: &ProgressBar) -> Result<(), Failure> {
        progress.inc(1);
        if !self.arguments.json {
            progress.suspend(|| {
                self.terminal.write(|output| writeln!(output, "{}", report::line(&row)))
            })?;
        }
        self.rows.push(row);
        Ok(())
    }
}

fn bar(terminal: &Terminal, steps: u64) -> ProgressBar {
    if !terminal.shows_progress() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len}  {msg}  {elapsed}");
    let bar =
        ProgressBar::new(steps).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.enable_steady_tick(Duration::from_millis(250));
    bar
}
