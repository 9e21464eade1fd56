//! `pipehat prove`: shows that no message is missing.

use indicatif::{ProgressBar, ProgressStyle};
use pipehat_engine::{Books, Log, prove};
use pipehat_journal::{FileJournal, OpenOptions};
use pipehat_server::{CountersView, ProofView};

use super::project::DataArguments;
use crate::admin::Admin;
use crate::exit::{Exit, Failure};
use crate::local_time::{Clock, TimeArguments};
use crate::losses;
use crate::terminal::{Terminal, Tone};

const EXAMPLES: &str = "\
Examples:
  pipehat prove
  pipehat prove --data /var/lib/pipehat --json

The books are made anew from the journal, and for every channel
  received = delivered + filtered + parked + rejected + superseded + in flight
is checked, with what is in flight counted message by message. Works while Pipehat runs and when it
does not. Where a repair of the journal had to give records up, the proof is over what is there, and
says how much is not. Exits with 1 when anything of what is there is unaccounted for.";

/// Prove from the journal that every message is accounted for
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    data: DataArguments,

    #[command(flatten)]
    time: TimeArguments,

    /// The proof as JSON
    #[arg(long)]
    json: bool,
}

impl Arguments {
    pub(crate) fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let data = self.data.find()?;
        let running = data.read_admin().map_err(Failure::could_not)?.is_some();
        let proof = if running {
            match Admin::find(&data)?.get("/api/v1/proof") {
                Ok(proof) => proof,
                // It was killed and left its address behind.
                Err(_) => offline(&data, terminal)?,
            }
        } else {
            offline(&data, terminal)?
        };
        show(&proof, self.json, &self.time.clock(), terminal)?;
        Ok(if proof.holds { Exit::Ok } else { Exit::NotSo })
    }
}

fn offline(
    data: &pipehat_server::DataDirectory,
    terminal: &Terminal,
) -> Result<ProofView, Failure> {
    if !data.has_journal() {
        return Err(Failure::could_not(format!(
            "there is no journal in {}: name the data directory with --data",
            data.root().display()
        )));
    }
    let mut options = OpenOptions::new(data.journal());
    options.key = Some(data.existing_key().map_err(Failure::could_not)?);
    let (journal, _) = FileJournal::open(options).map_err(Failure::could_not)?;
    let log = Log::new(std::sync::Arc::new(journal));
    let baseline = Books::read(&data.root().join("baseline.json")).map_err(Failure::could_not)?;
    let bar = progress(terminal);
    let proof = prove(&log, baseline, &mut |read, total| {
        bar.set_length(total);
        bar.set_position(read);
    });
    bar.finish_and_clear();
    log.journal().close();
    Ok(proof.map_err(Failure::could_not)?.into())
}

/// A bar on a terminal, nothing elsewhere.
pub(crate) fn progress(terminal: &Terminal) -> ProgressBar {
    progress_of(terminal, "records")
}

/// A bar that counts these on a terminal, nothing elsewhere.
pub(crate) fn progress_of(terminal: &Terminal, what: &str) -> ProgressBar {
    if !terminal.shows_progress() {
        return ProgressBar::hidden();
    }
    let template = format!("{{bar:30}} {{human_pos}}/{{human_len}} {what}  {{eta}} left");
    let style = ProgressStyle::with_template(&template);
    ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn show(proof: &ProofView, json: bool, clock: &Clock, terminal: &Terminal) -> Result<(), Failure> {
    if json {
        let text = serde_json::to_string_pretty(proof).map_err(Failure::could_not)?;
        terminal.write(|output| writeln!(output, "{text}"))?;
        return Ok(());
    }
    terminal.write(|output| {
        for channel in &proof.channels {
            let CountersView {
                received,
                delivered,
                filtered,
                parked,
                rejected,
                superseded,
                in_flight,
            } = channel.counters;
            let verdict = if channel.holds {
                terminal.paint(Tone::Good, "holds")
            } else {
                terminal.paint(Tone::Bad, "DOES NOT HOLD")
            };
            writeln!(output, "{}  {verdict}", terminal.paint(Tone::Strong, &channel.name))?;
            writeln!(
                output,
                "  {received} received = {delivered} delivered + {filtered} filtered + {parked} parked + {rejected} rejected + {superseded} superseded + {in_flight} in flight"
            )?;
            if !channel.holds {
                writeln!(
                    output,
                    "  counted one by one: {} in flight; {} records that do not fit",
                    channel.in_flight_counted, channel.anomalies
                )?;
            }
        }
        for line in losses::lines(&proof.losses, clock) {
            writeln!(output, "{}", terminal.paint(Tone::Bad, line))?;
        }
        writeln!(
            output,
            "{} records read, from {} to {}",
            proof.records,
            proof.from,
            proof.through.saturating_sub(1)
        )
    })?;
    Ok(())
}
