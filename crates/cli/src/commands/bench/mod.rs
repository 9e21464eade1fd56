//! `pipehat bench`: what this machine does, each figure beside what bounds it, measured in one run.

use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use crate::duration::duration;
use crate::exit::{Exit, Failure};
use crate::terminal::{Terminal, Tone};

mod datastore;
mod disk;
mod machine;
mod node;
mod project;
mod receiver;
mod sample;
mod senders;
mod table;

use disk::Blocks;
use machine::Machine;
use node::{Running, Setup, Span};
use project::Example;
use receiver::Receiver;
use sample::{Clock, Kind};
use table::Row;

const EXAMPLES: &str = "\
Examples:
  pipehat bench                              all of it, some three minutes
  pipehat bench --for 2s                     a quick look
  pipehat bench --data /var/lib              the disk that the data will be on
  pipehat bench --connections 1,100 --json > bench.json
  pipehat bench datastore                    the FHIR datastore, through HTTP

What the rows are:
  write + fdatasync    the disk alone, a message of each connection to a sync:
                       no program that keeps before it answers can be faster
  acknowledging peer   the network alone: a receiver that keeps nothing
  journal              Pipehat's log without the rest
  intake               MLLP in, kept, acknowledged (examples/intake)
  relay                the same, four fields changed, MLLP out (examples/relay)
  relay-bot            the relay, fields changed by a bot (examples/relay-bot)

Each connection sends a message, waits for its acknowledgment, and sends the next. Senders and
receiver run in this process and use up a part of the machine; the columns for processor and memory
include them. `written B` is what goes to the disk for each message. Data is sealed and indexed
unless the row says otherwise, and removed at the end.";

/// The disk and the journal are measured as long as this at most.
const ALONE_MAX: Duration = Duration::from_secs(3);

/// Before each measurement, load that is not counted.
const WARM_UP_MAX: Duration = Duration::from_secs(1);

/// Enough room on the disk for each second of a measurement.
const DISK_BYTES_PER_SECOND: u64 = 300 * 1024 * 1024;

/// Measure how much this machine can take, beside what bounds it
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    part: Option<Part>,

    /// How long each figure is measured
    #[arg(long = "for", value_name = "TIME", default_value = "5s", value_parser = duration)]
    time: Duration,

    /// How many connections send at once, one after another
    #[arg(
        long,
        value_name = "N,…",
        default_value = "1,8,32",
        value_delimiter = ',',
        value_parser = clap::value_parser!(u16).range(1..=1024)
    )]
    connections: Vec<u16>,

    /// A folder on the disk to measure
    #[arg(long, value_name = "DIR", default_value = ".")]
    data: PathBuf,

    /// What is sent
    #[arg(long, value_name = "KIND", default_value = "oru")]
    message: Kind,

    /// Only these examples, without what bounds them: intake, relay, relay-bot
    #[arg(long, value_name = "EXAMPLE,…", value_delimiter = ',')]
    only: Vec<Only>,

    /// The result as JSON
    #[arg(long)]
    json: bool,
}

/// An example that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Only {
    Intake,
    Relay,
    RelayBot,
}

#[derive(Debug, clap::Subcommand)]
enum Part {
    Datastore(datastore::Arguments),
}

#[derive(Debug, thiserror::Error)]
enum SetupError {
    #[error("{} is no folder that can be written to", directory.display())]
    Folder {
        directory: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("each figure needs some time: --for 100ms at least")]
    Time,
    #[error(
        "{} has too little room: a figure may need {needed_mb} MB; name another disk with --data, \
         or measure shorter with --for", directory.display()
    )]
    Room { directory: PathBuf, needed_mb: u64 },
}

impl Arguments {
    pub(crate) fn run(mut self, terminal: &Terminal) -> Result<Exit, Failure> {
        if let Some(Part::Datastore(arguments)) = self.part {
            return arguments.run(terminal);
        }
        self.connections.sort_unstable();
        self.connections.dedup();
        if self.time < Duration::from_millis(100) {
            return Err(Failure::usage(SetupError::Time));
        }
        let machine = Machine::look(&self.data);
        let folder = Folder::new(&self.data, self.time)?;
        if !self.json {
            terminal.write(|output| {
                writeln!(output, "{}", introduction(&machine, self.message))?;
                writeln!(output, "{}", table::head(terminal))
            })?;
        }
        let clock = Clock::new();
        let receiver = Receiver::start(clock).map_err(Failure::could_not)?;
        let mut bench = Bench {
            arguments: &self,
            directory: &folder.0,
            clock,
            receiver,
            rows: Vec::new(),
            start_times: Vec::new(),
            progress: self.progress(terminal),
            terminal,
        };
        let result = bench.run();
        bench.progress.finish_and_clear();
        result?;
        let Bench { rows, start_times, .. } = bench;
        let start = start_times.iter().min().copied().unwrap_or_default();
        if self.json {
            let result = json!({
                "version": env!("CARGO_PKG_VERSION"),
                "machine": machine,
                "message": { "type": self.message.name(), "bytes": self.message.bytes() },
                "start_ms": start.as_secs_f64() * 1e3,
                "rows": rows,
            });
            terminal.write(|output| writeln!(output, "{result:#}"))?;
        } else {
            let text = conclusion(&rows, start, terminal);
            terminal.write(|output| write!(output, "{text}"))?;
        }
        Ok(Exit::Ok)
    }

    fn alone(&self) -> Duration {
        self.time.min(ALONE_MAX)
    }

    fn span(&self) -> Span {
        Span { warm_up: (self.time / 5).min(WARM_UP_MAX), measured: self.time }
    }

    fn progress(&self, terminal: &Terminal) -> ProgressBar {
        if !terminal.shows_progress() {
            return ProgressBar::hidden();
        }
        // Disk twice, journal twice, peer, intake, relay for each number; three other setups of both,
        // and the relay with a bot.
        let each = self.connections.len() as u64;
        let steps = match self.only.len() as u64 {
            0 => each * 7 + 7,
            only => each * only,
        };
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len}  {msg}  {elapsed}");
        let bar = ProgressBar::new(steps)
            .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.enable_steady_tick(Duration::from_millis(250));
        bar
    }
}

/// A run and what it has found so far.
struct Bench<'b> {
    arguments: &'b Arguments,
    directory: &'b Path,
    clock: Clock,
    receiver: Receiver,
    rows: Vec<Row>,
    start_times: Vec<Duration>,
    progress: ProgressBar,
    terminal: &'b Terminal,
}

impl Bench<'_> {
    fn run(&mut self) -> Result<(), Failure> {
        let connections: Vec<usize> =
            self.arguments.connections.iter().copied().map(usize::from).collect();
        let most = connections.last().copied().unwrap_or(1);
        if !self.arguments.only.is_empty() {
            let receiver = self.receiver.address();
            for only in self.arguments.only.clone() {
                let example = match only {
                    Only::Intake => Example::Intake,
                    Only::Relay => Example::Relay(receiver),
                    Only::RelayBot => Example::RelayBot(receiver),
                };
                self.node(example, Setup::USUAL, &connections)?;
            }
            return Ok(());
        }
        let (kind, alone) = (self.arguments.message, self.arguments.alone());
        for blocks in [Blocks::Growing, Blocks::Preallocated] {
            for &at_once in &connections {
                self.step("the disk");
                let row = disk::bare(self.directory, kind, at_once, blocks, alone, self.clock);
                self.found(vec![row.map_err(Failure::could_not)?])?;
            }
        }
        for &connections in &connections {
            self.step("the network");
            let row = self.network(connections)?;
            self.found(vec![row])?;
        }
        for sealed in [false, true] {
            for &senders in &connections {
                self.step("the journal");
                let row = disk::journal(self.directory, kind, senders, sealed, alone, self.clock)?;
                self.found(vec![row])?;
            }
        }
        for example in [Example::Intake, Example::Relay(self.receiver.address())] {
            self.node(example, Setup::USUAL, &connections)?;
            for (sealed, indexed) in [(true, false), (false, true), (false, false)] {
                self.node(example, Setup { sealed, indexed }, &[most])?;
            }
        }
        self.node(Example::RelayBot(self.receiver.address()), Setup::USUAL, &[most])
    }

    /// Senders and receiver with nothing between them.
    fn network(&self, connections: usize) -> Result<Row, Failure> {
        let span = Span { measured: self.arguments.alone(), ..self.arguments.span() };
        let address = self.receiver.address();
        let plan =
            senders::Plan::of(address, connections, self.arguments.message, span, self.clock);
        self.receiver.begin(plan.measure_from);
        let sent = senders::in_thread(plan, self.clock)?;
        let row = Row::new("acknowledging peer, keeps nothing", connections);
        Ok(row.measured(sent.measured, span.measured, &sent.latencies))
    }

    fn node(
        &mut self,
        example: Example,
        setup: Setup,
        connections: &[usize],
    ) -> Result<(), Failure> {
        let running = Running::start(example, setup, self.directory)?;
        self.start_times.push(running.start_time);
        for &connections in connections {
            self.step(example.name());
            let (span, kind) = (self.arguments.span(), self.arguments.message);
            let rows = running.load(connections, span, kind, &self.receiver, self.clock)?;
            self.found(rows)?;
        }
        running.stop()
    }

    fn step(&self, what: &'static str) {
        self.progress.set_message(what);
    }

    fn found(&mut self, rows: Vec<Row>) -> Result<(), Failure> {
        self.progress.inc(1);
        if !self.arguments.json {
            self.progress.suspend(|| {
                self.terminal.write(|output| {
                    rows.iter().try_for_each(|row| writeln!(output, "{}", table::line(row)))
                })
            })?;
        }
        self.rows.extend(rows);
        Ok(())
    }
}

fn introduction(machine: &Machine, kind: Kind) -> String {
    format!("{}; messages: {} of {} bytes", machine_line(machine), kind.name(), kind.bytes())
}

/// The machine in a line.
fn machine_line(machine: &Machine) -> String {
    let gigabytes = |bytes: u64| format!("{:.0} GB", bytes as f64 / 1e9);
    let parts = [
        Some(format!("{} cores", machine.cores)),
        machine.processor.clone(),
        machine.memory_bytes.map(gigabytes),
        machine.system.clone(),
        machine.file_system.clone(),
        machine.load_before.map(|load| format!("load before {load:.1}")),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    parts.join(", ")
}

/// What the table comes to, in sentences.
fn conclusion(rows: &[Row], start: Duration, terminal: &Terminal) -> String {
    let most = rows.iter().map(|row| row.connections).max().unwrap_or(1);
    let least = rows.iter().map(|row| row.connections).min().unwrap_or(1);
    let row = |what: &str, connections: usize| {
        rows.iter().find(|row| row.what == what && row.connections == connections)
    };
    let mut lines = vec![String::new()];
    if let (Some(intake), Some(journal)) = (row("intake", most), row("journal, sealed", most)) {
        lines.push(format!(
            "intake   {} messages/s over {most} connections, {:.0} % of what the journal alone does",
            terminal.paint(Tone::Strong, table::thousands(intake.per_second)),
            intake.per_second / journal.per_second * 100.0
        ));
    }
    if let Some(relay) = row("  from sender to receiver", most) {
        let p99 = relay.p99_ms;
        lines.push(format!(
            "relay    {} messages/s over {most} connections, delivered within {p99:.1} ms (99 of 100)",
            terminal.paint(Tone::Strong, table::thousands(relay.per_second)),
        ));
    }
    let disk = row("write + fdatasync, preallocated file", least);
    if let (Some(relay), Some(disk)) = (row("relay", least), disk) {
        lines.push(format!(
            "answer   {:.2} ms after a message was sent over {least} connection{}; the disk alone takes {:.2} ms",
            relay.p50_ms,
            if least == 1 { "" } else { "s" },
            disk.p50_ms
        ));
    }
    lines.push(format!("start    {:.0} ms with fresh data", start.as_secs_f64() * 1e3));
    lines.push(String::new());
    lines.join("\n")
}

/// A folder for the data of a bench, removed with it.
struct Folder(PathBuf);

impl Folder {
    fn new(parent: &Path, time: Duration) -> Result<Self, Failure> {
        let wrong = |source| {
            Failure::could_not(SetupError::Folder { directory: parent.to_owned(), source })
        };
        let system = rustix::fs::statvfs(parent).map_err(|error| wrong(error.into()))?;
        let free = system.f_bavail.saturating_mul(system.f_frsize);
        let needed = time.as_secs().saturating_add(2).saturating_mul(DISK_BYTES_PER_SECOND);
        if free < needed {
            return Err(Failure::could_not(SetupError::Room {
                directory: parent.to_owned(),
                needed_mb: needed / 1_000_000,
            }));
        }
        let folder = parent.join(format!("pipehat-bench-{}", std::process::id()));
        std::fs::create_dir(&folder).map_err(wrong)?;
        Ok(Self(folder))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left says by its name what it is.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
