//! Where messages are written: standard output, a file, a directory.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use pipehat_testdata::{Generator, Selection};
use serde_json::json;

use crate::commands::send::Rate;
use crate::exit::{Failure, OutputError};
use crate::output_file;
use crate::terminal::{Terminal, visible};

/// What is done sooner needs no progress bar.
const PROGRESS_AFTER: Duration = Duration::from_millis(500);
/// How many messages are made between two looks at the clock.
const MESSAGES_BETWEEN_LOOKS: u64 = 64;
/// So much is gathered before it is written.
const WRITTEN_AHEAD: usize = 256 * 1024;

/// How many messages, and how fast.
#[derive(Debug, Clone, Copy)]
pub(super) struct Amount {
    pub(super) count: u64,
    pub(super) duration: Option<Duration>,
    pub(super) rate: Option<Rate>,
}

/// Where messages are written.
#[derive(Debug, Clone)]
pub(super) enum Destination {
    /// For a person: a line for each segment, a blank line after each message.
    Terminal,
    /// Byte for byte.
    Pipe,
    File(PathBuf),
    Directory(PathBuf),
}

/// A file or directory that could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}", path.display())]
struct WriteError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// A directory whose files the messages would mix with.
#[derive(Debug, thiserror::Error)]
#[error("{} is not empty: name an empty directory or a new one", path.display())]
struct NotEmpty {
    path: PathBuf,
}

/// What was made.
#[derive(Debug, Default)]
pub(super) struct Made {
    messages: u64,
    bytes: u64,
    elapsed: Duration,
    /// By message code and trigger event.
    types: BTreeMap<(&'static str, &'static str), u64>,
    place: Option<PathBuf>,
}

impl Destination {
    /// What the option names: a directory where there is one or the name ends like one.
    pub(super) fn of(output: Option<&Path>, terminal: &Terminal) -> Self {
        match output {
            None if terminal.output_is_terminal() => Self::Terminal,
            None => Self::Pipe,
            Some(path) if path.as_os_str() == "-" => Self::Pipe,
            Some(path) if path.is_dir() || ends_like_a_directory(path) => {
                Self::Directory(path.to_owned())
            }
            Some(path) => Self::File(path.to_owned()),
        }
    }

    pub(super) const fn is_standard_output(&self) -> bool {
        matches!(self, Self::Terminal | Self::Pipe)
    }
}

fn ends_like_a_directory(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().last().is_some_and(|last| matches!(last, b'/' | b'\\'))
}

/// Makes the messages and writes them.
pub(super) fn write(
    generator: &mut Generator,
    selection: &Selection,
    destination: Destination,
    amount: Amount,
    terminal: &Terminal,
) -> Result<Made, Failure> {
    let mut made = Made::default();
    match destination {
        Destination::Terminal => {
            let mut output = io::stdout().lock();
            let write = |bytes: &[u8], _: u64| {
                let text = String::from_utf8_lossy(bytes);
                for line in text.split('\r').filter(|line| !line.is_empty()) {
                    writeln!(output, "{}", visible(line))?;
                }
                writeln!(output)
            };
            made.run(generator, selection, amount, None, write).map_err(OutputError)?;
        }
        Destination::Pipe => {
            let mut output = BufWriter::with_capacity(WRITTEN_AHEAD, io::stdout().lock());
            let is_paced = amount.rate.is_some();
            let write = |bytes: &[u8], _: u64| {
                output.write_all(bytes)?;
                if is_paced { output.flush() } else { Ok(()) }
            };
            made.run(generator, selection, amount, None, write).map_err(OutputError)?;
            output.flush().map_err(OutputError)?;
        }
        Destination::File(path) => {
            let failed = |source| Failure::could_not(WriteError { path: path.clone(), source });
            let bar = Progress::new(amount, terminal);
            output_file::stream(&path, |file: &mut File| {
                let mut output = BufWriter::with_capacity(WRITTEN_AHEAD, file);
                made.run(generator, selection, amount, Some(bar), |bytes, _| {
                    output.write_all(bytes)
                })?;
                output.flush()
            })
            .map_err(failed)?;
            made.place = Some(path);
        }
        Destination::Directory(path) => {
            let failed = |source| Failure::could_not(WriteError { path: path.clone(), source });
            fs::create_dir_all(&path).map_err(failed)?;
            // Messages of another run beside these would be taken for theirs.
            if fs::read_dir(&path).map_err(failed)?.next().is_some() {
                return Err(Failure::could_not(NotEmpty { path }));
            }
            let bar = Progress::new(amount, terminal);
            let digits = if amount.count == u64::MAX { 9 } else { amount.count.to_string().len() };
            let write = |bytes: &[u8], number: u64| {
                File::create(path.join(format!("{number:0digits$}.hl7")))?.write_all(bytes)
            };
            made.run(generator, selection, amount, Some(bar), write).map_err(failed)?;
            made.place = Some(path.clone());
        }
    }
    Ok(made)
}

impl Made {
    fn run(
        &mut self,
        generator: &mut Generator,
        selection: &Selection,
        amount: Amount,
        progress: Option<Progress>,
        mut write: impl FnMut(&[u8], u64) -> io::Result<()>,
    ) -> io::Result<()> {
        let started = Instant::now();
        let mut bytes = Vec::new();
        while self.messages < amount.count {
            if let Some(rate) = amount.rate {
                let due = rate.due(self.messages);
                let due = amount.duration.map_or(due, |most| most.min(due));
                thread::sleep(due.saturating_sub(started.elapsed()));
            }
            if amount.rate.is_some() || self.messages.is_multiple_of(MESSAGES_BETWEEN_LOOKS) {
                let elapsed = started.elapsed();
                if amount.duration.is_some_and(|most| elapsed >= most) {
                    break;
                }
                if let Some(progress) = &progress {
                    progress.show(self.messages, elapsed);
                }
            }
            bytes.clear();
            let one = generator.append(selection, &mut bytes);
            self.messages = self.messages.saturating_add(1);
            self.bytes = self.bytes.saturating_add(bytes.len() as u64);
            let count = self.types.entry((one.message_code, one.trigger_event)).or_default();
            *count = count.saturating_add(1);
            write(&bytes, self.messages)?;
        }
        self.elapsed = started.elapsed();
        if let Some(progress) = progress {
            progress.bar.finish_and_clear();
        }
        Ok(())
    }

    /// Says what was made, where the messages themselves do not stand in the way.
    pub(super) fn tell(
        &self,
        version: &str,
        seed: u64,
        json: bool,
        terminal: &Terminal,
    ) -> Result<(), OutputError> {
        let Some(place) = &self.place else { return Ok(()) };
        let seconds = self.elapsed.as_secs_f64();
        let per_second = if seconds > 0.0 { self.messages as f64 / seconds } else { 0.0 };
        let names =
            self.types.iter().map(|((code, trigger), count)| (format!("{code}^{trigger}"), count));
        if json {
            let types: serde_json::Map<_, _> =
                names.map(|(name, count)| (name, json!(count))).collect();
            let summary = json!({
                "messages": self.messages,
                "bytes": self.bytes,
                "version": version,
                "seed": seed,
                "seconds": (seconds * 1000.0).round() / 1000.0,
                "per_second": per_second.round(),
                "types": types,
                "output": place.display().to_string(),
            });
            return terminal.write(|output| writeln!(output, "{summary}"));
        }
        if !terminal.is_quiet() {
            let kinds = match self.types.len() {
                1 => String::new(),
                count => format!(" of {count} types"),
            };
            terminal.note(format_args!(
                "{} message(s){kinds} of version {version} in {}",
                self.messages,
                place.display()
            ));
        }
        Ok(())
    }
}

/// A bar that shows how far it is, when it takes some time.
struct Progress {
    bar: ProgressBar,
    draws: bool,
}

impl Progress {
    fn new(amount: Amount, terminal: &Terminal) -> Self {
        let (bar, template) = if amount.count == u64::MAX {
            (ProgressBar::no_length(), "{spinner} {human_pos} messages, {msg}, {elapsed}")
        } else {
            (ProgressBar::new(amount.count), "{bar:30} {human_pos}/{human_len}, {msg}, {eta} left")
        };
        bar.set_draw_target(ProgressDrawTarget::hidden());
        let bar = match ProgressStyle::with_template(template) {
            Ok(style) => bar.with_style(style),
            Err(_) => bar,
        };
        Self { bar, draws: terminal.shows_progress() }
    }

    fn show(&self, messages: u64, elapsed: Duration) {
        if !self.draws || elapsed < PROGRESS_AFTER {
            return;
        }
        if self.bar.is_hidden() {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        self.bar.set_position(messages);
        self.bar
            .set_message(format!("{:.0}/s", messages as f64 / elapsed.as_secs_f64().max(0.001)));
    }
}
