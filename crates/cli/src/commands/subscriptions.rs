//! `pipehat subscriptions`: how the Subscriptions of the FHIR datastore stand, and what was given up.

use clap::Subcommand;
use pipehat_server::fhir::Redelivered;
use pipehat_server::{DeadLettersPage, RedeliverRequest, SubscriptionsView};
use serde::Serialize;

use super::project::DataArguments;
use crate::admin::Admin;
use crate::exit::{Exit, Failure};
use crate::local_time::TimeArguments;
use crate::number;
use crate::terminal::{Terminal, Tone};

const EXAMPLES: &str = "\
Examples:
  pipehat subscriptions list
  pipehat subscriptions dead-letters
  pipehat subscriptions dead-letters --subscription 7f3c --json
  pipehat subscriptions redeliver --subscription 7f3c --change 4711
  pipehat subscriptions redeliver --all

They ask the Pipehat that runs on this data. `list` exits with 1 when there are dead letters or an
endpoint fails.";

/// See and redeliver what Subscriptions of the FHIR datastore were not told
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show active Subscriptions, what waits for each, and what was given up
    List(List),
    /// Show notifications that were given up, oldest first
    DeadLetters(DeadLetters),
    /// Have notifications that were given up delivered again
    Redeliver(Redeliver),
}

#[derive(Debug, clap::Args)]
struct List {
    #[command(flatten)]
    data: DataArguments,

    /// The list as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct DeadLetters {
    /// Only those of this Subscription
    #[arg(long, value_name = "ID", value_parser = id)]
    subscription: Option<String>,

    /// How many at most
    #[arg(long, value_name = "NUMBER", default_value_t = 100, value_parser = number::page)]
    limit: u16,

    #[command(flatten)]
    data: DataArguments,

    #[command(flatten)]
    time: TimeArguments,

    /// The dead letters as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("which").required(true).multiple(true)
    .args(["subscription", "change", "all"])))]
struct Redeliver {
    /// Those of this Subscription
    #[arg(long, value_name = "ID", value_parser = id)]
    subscription: Option<String>,

    /// The one of this change (as `dead-letters` shows it)
    #[arg(long, value_name = "NUMBER", value_parser = number::change)]
    change: Option<u64>,

    /// All of them
    #[arg(long, conflicts_with_all = ["subscription", "change"])]
    all: bool,

    #[command(flatten)]
    data: DataArguments,

    /// How many, as JSON
    #[arg(long)]
    json: bool,
}

impl Arguments {
    pub(crate) fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        match self.command {
            Command::List(command) => command.run(terminal),
            Command::DeadLetters(command) => command.run(terminal),
            Command::Redeliver(command) => command.run(terminal),
        }
    }
}

impl List {
    fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let admin = Admin::find(&self.data.find()?)?;
        let view: SubscriptionsView = admin.get("/api/v1/subscriptions")?;
        let troubled = view
            .subscriptions
            .iter()
            .any(|one| one.dead_letters > 0 || one.failures > 0 || one.failing > 0);
        let exit = if troubled { Exit::NotSo } else { Exit::Ok };
        if self.json {
            show_json(&view, terminal)?;
            return Ok(exit);
        }
        terminal.write(|output| {
            if view.subscriptions.is_empty() {
                return writeln!(output, "no Subscription is active, and nothing waits");
            }
            for one in &view.subscriptions {
                let state = if one.active { "active" } else { "not active" };
                let tone = if one.active { Tone::Good } else { Tone::Faint };
                write!(output, "{}  {}", one.id, terminal.paint(tone, state))?;
                for part in [&one.resource_type, &one.channel, &one.endpoint].into_iter().flatten()
                {
                    write!(output, "  {part}")?;
                }
                writeln!(output, "  {} waiting, {} given up", one.waiting, one.dead_letters)?;
                if let Some(problem) = &one.problem {
                    let (failures, failing) = (one.failures, one.failing);
                    let text = format!(
                        "{failing} tried again, {failures} failed since the last success: {problem}"
                    );
                    writeln!(output, "    {}", terminal.paint(Tone::Bad, text))?;
                }
            }
            Ok(())
        })?;
        Ok(exit)
    }
}

impl DeadLetters {
    fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let admin = Admin::find(&self.data.find()?)?;
        let mut path = format!("/api/v1/subscriptions/dead-letters?limit={}", self.limit);
        if let Some(subscription) = &self.subscription {
            path.push_str("&subscription=");
            path.push_str(subscription);
        }
        let page: DeadLettersPage = admin.get(&path)?;
        if self.json {
            show_json(&page, terminal)?;
            return Ok(Exit::Ok);
        }
        let clock = self.time.clock();
        terminal.write(|output| {
            if page.dead_letters.is_empty() {
                return writeln!(output, "nothing was given up");
            }
            for letter in &page.dead_letters {
                writeln!(
                    output,
                    "change {}  Subscription/{}  {} of {}, version {}",
                    letter.change,
                    letter.subscription,
                    letter.interaction,
                    letter.resource,
                    letter.version
                )?;
                let (since, ended) = (clock.show(&letter.since), clock.show(&letter.given_up));
                let attempts = letter.attempts;
                writeln!(output, "    {attempts} attempts, {since} to {ended}: {}", letter.why)?;
            }
            if page.more {
                writeln!(output, "there are more; --limit shows up to 1000")?;
            }
            Ok(())
        })?;
        Ok(Exit::Ok)
    }
}

impl Redeliver {
    fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let admin = Admin::find(&self.data.find()?)?;
        let request = RedeliverRequest { subscription: self.subscription, change: self.change };
        let done: Redelivered = admin.post("/api/v1/subscriptions/redeliver", &request)?;
        if self.json {
            show_json(&done, terminal)?;
        } else {
            terminal.write(|output| match done.redelivered {
                0 => writeln!(output, "no such dead letter"),
                1 => writeln!(output, "1 notification is delivered again"),
                many => writeln!(output, "{many} notifications are delivered again"),
            })?;
        }
        Ok(if done.redelivered == 0 && !self.all { Exit::NotSo } else { Exit::Ok })
    }
}

/// The id of a Subscription, with or without its type.
fn id(text: &str) -> Result<String, String> {
    let id = text.strip_prefix("Subscription/").unwrap_or(text);
    let plain = (1..=64).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'));
    if plain { Ok(id.to_owned()) } else { Err("that is no id of a Subscription".to_owned()) }
}

fn show_json(value: &impl Serialize, terminal: &Terminal) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(Failure::could_not)?;
    terminal.write(|output| writeln!(output, "{text}"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::id;

    #[test]
    fn ids_are_read() {
        assert_eq!(id("Subscription/a-1.b").as_deref(), Ok("a-1.b"));
        for wrong in ["", "a b", "a&subscription=b", "Patient/1"] {
            assert!(id(wrong).is_err(), "{wrong}");
        }
    }
}
