//! `pipehat demo`: a small hospital on this machine, to look at and to check.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::demo::{SessionOptions, Watched, run};
use crate::duration::duration;
use crate::exit::{Exit, Failure};
use crate::log;
use crate::terminal::Terminal;

const EXAMPLES: &str = "\
Examples:
  pipehat demo                               watch it; q ends it
  pipehat demo --for 10m --rate 200          ten minutes, 200 messages a second
  pipehat demo --dir hospital                keep the project and its data
  pipehat demo --headless --for 60s --json   a summary, and an exit code

Nine simulated systems talk to each other over MLLP, HTTP and files through the project in
examples/hospital, on the loopback interface and free ports only. The laboratory fails now and then;
billing refuses charges it does not know. The systems know what they sent and what must arrive where:
the summary says whether everything did. All people and data in it are made up.";

/// For how long it runs when nobody watches and nothing is said.
const HEADLESS_FOR: Duration = Duration::from_secs(60);

/// Run a simulated hospital, and watch its messages flow
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// How long messages flow [default: until q or Ctrl-C; with --headless 60s]
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    planned: Option<Duration>,

    /// Messages in a second, all systems together
    #[arg(long, value_name = "N", default_value_t = 60.0, value_parser = rate)]
    rate: f64,

    /// Keep the project and its data in this folder, which must be empty or new
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,

    /// Run a changed copy of examples/hospital instead, to see what the change does
    #[arg(long, value_name = "DIR")]
    project: Option<PathBuf>,

    /// Makes the same people and the same kinds of events again
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// No live view: lines of progress, then the summary
    #[arg(long)]
    headless: bool,

    /// The summary as JSON, without a live view
    #[arg(long)]
    json: bool,
}

impl Arguments {
    pub(crate) fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let mut folder = Folder::new(self.dir.as_deref()).map_err(Failure::could_not)?;
        let log = folder.path.join("pipehat.log");
        log::to_file(&log).map_err(Failure::could_not)?;
        let watched = if self.headless || self.json || !is_a_screen(terminal) {
            Watched::Headless
        } else {
            Watched::Live
        };
        let planned =
            self.planned.or_else(|| (watched == Watched::Headless).then_some(HEADLESS_FOR));
        let options = SessionOptions {
            directory: folder.path.clone(),
            project: self.project,
            kept: self.dir.is_some(),
            rate: self.rate,
            seed: self.seed,
            planned,
            watched,
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(Failure::could_not)?;
        let summary = runtime.block_on(run(options, terminal))?;
        if self.json {
            let json = summary.to_json();
            terminal.write(|output| writeln!(output, "{json:#}"))?;
        } else {
            terminal.write(|output| summary.write(output, terminal))?;
        }
        if summary.is_as_expected() {
            return Ok(Exit::Ok);
        }
        folder.passing = false;
        terminal.note(format_args!("what there is to look into is in {}", folder.path.display()));
        Ok(Exit::NotSo)
    }
}

/// Whether standard output can show more than lines.
fn is_a_screen(terminal: &Terminal) -> bool {
    terminal.output_is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse::<f64>().ok().filter(|rate| (0.1..=100_000.0).contains(rate));
    rate.ok_or_else(|| "a rate is a number from 0.1 to 100000".to_owned())
}

/// Why a folder can't be used.
#[derive(Debug, thiserror::Error)]
enum FolderError {
    #[error("{0} is not empty: name a new folder, or run what is in it with `pipehat up {0}`")]
    NotEmpty(PathBuf),
    #[error("{0} can't be used")]
    Unusable(PathBuf, #[source] std::io::Error),
}

/// Where the demo is; gone after it, unless it was named.
struct Folder {
    path: PathBuf,
    passing: bool,
}

impl Folder {
    fn new(named: Option<&Path>) -> Result<Self, FolderError> {
        let path = match named {
            Some(path) => path.to_owned(),
            None => std::env::temp_dir().join(format!("pipehat-demo-{}", std::process::id())),
        };
        let unusable = |error| FolderError::Unusable(path.clone(), error);
        std::fs::create_dir_all(&path).map_err(unusable)?;
        if std::fs::read_dir(&path).map_err(unusable)?.next().is_some() {
            return Err(FolderError::NotEmpty(path));
        }
        Ok(Self { path, passing: named.is_none() })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.passing {
            // What can't be removed lies where the system clears up.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}
