//! `pipehat journal`: checks and mends the journal of a Pipehat that does not run.

use clap::Subcommand;
use pipehat_journal::{KeyRing, Progress, RepairMode, repair, verify};
use pipehat_server::DataDirectory;
use serde_json::json;

use super::project::DataArguments;
use super::status::size;
use crate::exit::{Exit, Failure};
use crate::terminal::{Terminal, Tone};

const EXAMPLES: &str = "\
Examples:
  pipehat journal verify
  pipehat journal repair --dry-run     what a repair would do
  pipehat journal repair

Both work on a journal that no Pipehat has open. A repair destroys nothing: damaged chunks are moved
into the folder `quarantine`, what is readable is written anew, and it says exactly which records
were lost.";

/// Verify or repair the journal of a stopped Pipehat
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Read everything and check it: checksums, seals, the chain
    Verify(Verify),
    /// Put damaged parts aside and keep what is readable
    Repair(Repair),
}

#[derive(Debug, clap::Args)]
struct Verify {
    #[command(flatten)]
    data: DataArguments,

    /// The result as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct Repair {
    #[command(flatten)]
    data: DataArguments,

    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,

    /// The result as JSON
    #[arg(long)]
    json: bool,
}

impl Arguments {
    pub(crate) fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        match self.command {
            Command::Verify(command) => command.run(terminal),
            Command::Repair(command) => command.run(terminal),
        }
    }
}

impl Verify {
    fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let data = self.data.find()?;
        let keys = keys(&data, terminal)?;
        let bar = super::prove::progress(terminal);
        let report = verify(&data.journal(), keys.as_ref(), &mut |progress: Progress| {
            bar.set_length(progress.bytes_total);
            bar.set_position(progress.bytes);
        });
        bar.finish_and_clear();
        let report = report.map_err(Failure::could_not)?;
        let findings: Vec<String> = report
            .findings
            .iter()
            .map(|finding| {
                format!(
                    "chunk {:020} at byte {}: {}",
                    finding.chunk, finding.offset, finding.problem
                )
            })
            .collect();
        terminal.write(|output| {
            if self.json {
                let result = json!({
                    "sound": report.is_sound(),
                    "chunks": report.chunks,
                    "records": report.records,
                    "bytes": report.bytes,
                    "findings": findings,
                });
                return writeln!(output, "{result:#}");
            }
            for finding in &findings {
                writeln!(output, "{}", terminal.paint(Tone::Bad, finding))?;
            }
            let verdict = if report.is_sound() {
                terminal.paint(Tone::Good, "sound")
            } else {
                terminal.paint(Tone::Bad, "damaged; see `pipehat journal repair --dry-run`")
            };
            writeln!(
                output,
                "{} records in {} chunk{}, {}: {verdict}",
                report.records,
                report.chunks,
                if report.chunks == 1 { "" } else { "s" },
                size(report.bytes)
            )
        })?;
        Ok(if report.is_sound() { Exit::Ok } else { Exit::NotSo })
    }
}

impl Repair {
    fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let data = self.data.find()?;
        let keys = keys(&data, terminal)?;
        let mode = if self.dry_run { RepairMode::DryRun } else { RepairMode::Replace };
        let bar = super::prove::progress(terminal);
        let report = repair(&data.journal(), keys.as_ref(), mode, &mut |progress: Progress| {
            bar.set_length(progress.bytes_total);
            bar.set_position(progress.bytes);
        });
        bar.finish_and_clear();
        let report = report.map_err(Failure::could_not)?;
        let lost: Vec<(u64, u64)> =
            report.lost.iter().map(|range| (range.start().get(), range.end().get())).collect();
        terminal.write(|output| {
            if self.json {
                let result = json!({
                    "dry_run": self.dry_run,
                    "lost": lost,
                    "lost_records": report.lost_records(),
                    "kept_records": report.kept,
                });
                return writeln!(output, "{result:#}");
            }
            if report.verified.is_sound() {
                return writeln!(output, "the journal is sound: there is nothing to repair");
            }
            for (first, last) in &lost {
                writeln!(
                    output,
                    "{}",
                    terminal.paint(Tone::Bad, format!("lost: records {first} to {last}"))
                )?;
            }
            writeln!(output, "readable in the damaged chunks: {} records", report.kept)?;
            if self.dry_run {
                return writeln!(output, "nothing was changed: this was a dry run");
            }
            for path in &report.quarantined {
                writeln!(output, "put aside: {}", path.display())?;
            }
            Ok(())
        })?;
        Ok(if lost.is_empty() { Exit::Ok } else { Exit::NotSo })
    }
}

fn keys(data: &DataDirectory, terminal: &Terminal) -> Result<Option<KeyRing>, Failure> {
    if !data.has_journal() {
        return Err(Failure::could_not(format!(
            "there is no journal in {}: name the data directory with --data",
            data.root().display()
        )));
    }
    if data.key_file().exists() {
        data.existing_key().map(Some).map_err(Failure::could_not)
    } else {
        terminal.warn(format_args!(
            "there is no key file {}: what is sealed can't be read without it",
            data.key_file().display()
        ));
        Ok(None)
    }
}
