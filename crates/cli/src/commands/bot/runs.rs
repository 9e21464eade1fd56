//! The runs of a running Pipehat's bots.

use pipehat_config::nearest;
use pipehat_server::{
    BotView, BotsView, DiscardRunsRequest, DiscardedRuns, FailingStepView, ReplayRequest, Replayed,
    RunDetail, RunView, RunsPage,
};
use serde::Serialize;

use crate::admin::Admin;
use crate::commands::project::DataArguments;
use crate::exit::{Exit, Failure};
use crate::local_time::{Clock, TimeArguments};
use crate::number;
use crate::terminal::{Terminal, Tone, visible};

#[derive(Debug, clap::Args)]
pub(super) struct List {
    #[command(flatten)]
    data: DataArguments,

    #[command(flatten)]
    time: TimeArguments,

    /// The list as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct Runs {
    /// Only those of this bot
    #[arg(long, value_name = "NAME", value_parser = id)]
    bot: Option<String>,

    /// Only those that stand so
    #[arg(long, value_parser = ["waiting", "running", "done", "failed", "dead"])]
    state: Option<String>,

    /// Only those before this run
    #[arg(long, value_name = "NUMBER", value_parser = number::run)]
    before: Option<u64>,

    /// How many at most
    #[arg(long, value_name = "NUMBER", default_value_t = 30, value_parser = number::page)]
    limit: u16,

    #[command(flatten)]
    data: DataArguments,

    #[command(flatten)]
    time: TimeArguments,

    /// The runs as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct Dead {
    /// Only those of this bot
    #[arg(long, value_name = "NAME", value_parser = id)]
    bot: Option<String>,

    /// How many at most
    #[arg(long, value_name = "NUMBER", default_value_t = 100, value_parser = number::page)]
    limit: u16,

    #[command(flatten)]
    data: DataArguments,

    #[command(flatten)]
    time: TimeArguments,

    /// The runs as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct Show {
    /// The run
    #[arg(value_name = "NUMBER", value_parser = number::run)]
    run: u64,

    /// Also its input, result, log, error and what it asked: they may hold patient data
    #[arg(long)]
    contents: bool,

    #[command(flatten)]
    data: DataArguments,

    #[command(flatten)]
    time: TimeArguments,

    /// The run as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("which").required(true).args(["run", "bot", "all"])))]
pub(super) struct Replay {
    /// This run; also one that failed and whose caller was told
    #[arg(value_name = "NUMBER", value_parser = number::run)]
    run: Option<u64>,

    /// All runs of this bot that were given up
    #[arg(long, value_name = "NAME", value_parser = id)]
    bot: Option<String>,

    /// All runs that were given up
    #[arg(long)]
    all: bool,

    #[command(flatten)]
    data: DataArguments,

    /// How many, as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("which").required(true).args(["run", "bot"])))]
pub(super) struct Discard {
    /// This run, which was given up
    #[arg(value_name = "NUMBER", value_parser = number::run)]
    run: Option<u64>,

    /// All runs of this bot that were given up
    #[arg(long, value_name = "NAME", value_parser = id)]
    bot: Option<String>,

    /// Why, which stands with the run
    #[arg(long, value_name = "TEXT")]
    reason: String,

    #[command(flatten)]
    data: DataArguments,

    /// How many, as JSON
    #[arg(long)]
    json: bool,
}

impl List {
    pub(super) fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let admin = Admin::find(&self.data.find()?)?;
        let view: BotsView = admin.get("/api/v1/bots")?;
        let troubled = view.bots.iter().any(BotView::needs_a_person);
        let exit = if troubled { Exit::NotSo } else { Exit::Ok };
        if self.json {
            show_json(&view, terminal)?;
            return Ok(exit);
        }
        let clock = self.time.clock();
        terminal.write(|output| {
            if view.bots.is_empty() {
                return writeln!(output, "there are no bots");
            }
            for bot in &view.bots {
                write!(output, "{}", bot.bot)?;
                if let Some(revision) = &bot.revision {
                    write!(output, "  {revision}")?;
                }
                if !bot.of_project {
                    write!(output, "  not of the project")?;
                }
                for trigger in &bot.triggers {
                    write!(output, "  {trigger}")?;
                }
                let held = |step: &FailingStepView| step.messages.saturating_add(step.waiting);
                let held: u64 = bot.steps.iter().map(held).sum();
                let waiting = bot.waiting.saturating_add(bot.changes_waiting).saturating_add(held);
                let dead = bot.dead.saturating_add(bot.changes_given_up);
                let given_up = format!("{dead} given up");
                let tone = if dead > 0 { Tone::Bad } else { Tone::Faint };
                writeln!(output, "  {waiting} waiting, {}", terminal.paint(tone, given_up))?;
                crate::commands::status::show_troubles(output, bot, &clock, terminal)?;
            }
            Ok(())
        })?;
        Ok(exit)
    }
}

impl Runs {
    pub(super) fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let admin = Admin::find(&self.data.find()?)?;
        let state = self.state.as_deref();
        let path = path(self.bot.as_deref(), state, self.before, self.limit);
        let page: RunsPage = admin.get(&path)?;
        if page.runs.is_empty() {
            must_be_there(&admin, self.bot.as_deref())?;
        }
        show_page(&page, "no run is there", &self.time.clock(), self.json, terminal)
    }
}

impl Dead {
    pub(super) fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let admin = Admin::find(&self.data.find()?)?;
        let page: RunsPage =
            admin.get(&path(self.bot.as_deref(), Some("dead"), None, self.limit))?;
        if page.runs.is_empty() {
            must_be_there(&admin, self.bot.as_deref())?;
        }
        show_page(&page, "nothing was given up", &self.time.clock(), self.json, terminal)
    }
}

impl Show {
    pub(super) fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let admin = Admin::find(&self.data.find()?)?;
        let mut detail: RunDetail = admin.get(&format!("/api/v1/bots/runs/{}", self.run))?;
        if !self.contents {
            (detail.input, detail.result, detail.error) = (None, None, None);
            detail.log = serde_json::Value::Null;
            detail.effects = serde_json::Value::Null;
        }
        if self.json {
            show_json(&detail, terminal)?;
            return Ok(Exit::Ok);
        }
        let clock = self.time.clock();
        terminal.write(|output| {
            write_run(output, &detail.run, &clock, terminal)?;
            writeln!(
                output,
                "    revision {}, {} µs of processor time",
                detail.revision, detail.cpu_us
            )?;
            if !self.contents {
                return writeln!(
                    output,
                    "    --contents shows what it was given, asked, logged and gave"
                );
            }
            for (what, text) in [
                (format!("input, {}", detail.content_type), &detail.input),
                (
                    format!("result, {}", detail.result_type.as_deref().unwrap_or("none")),
                    &detail.result,
                ),
                ("error".to_owned(), &detail.error),
            ] {
                let Some(text) = text else { continue };
                writeln!(output, "\n{what}:")?;
                for line in text.split(['\r', '\n']).filter(|line| !line.is_empty()) {
                    writeln!(output, "  {}", visible(line))?;
                }
            }
            let entries = |list: &serde_json::Value| list.as_array().cloned().unwrap_or_default();
            for (number, line) in entries(&detail.log).iter().enumerate() {
                if number == 0 {
                    writeln!(output, "\nlog:")?;
                }
                let part = |name: &str| line[name].as_str().unwrap_or_default();
                write!(output, "  {} {:5}", clock.show(part("at")), visible(part("level")))?;
                // A stack is read by its lines.
                for (at, text) in part("text").split('\n').enumerate() {
                    let before = if at == 0 { " " } else { "    " };
                    writeln!(output, "{before}{}", visible(text))?;
                }
            }
            for (number, line) in entries(&detail.effects).iter().enumerate() {
                if number == 0 {
                    writeln!(output, "\nasked:")?;
                }
                writeln!(output, "  {}", visible(&line.to_string()))?;
            }
            Ok(())
        })?;
        Ok(Exit::Ok)
    }
}

impl Replay {
    pub(super) fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let admin = Admin::find(&self.data.find()?)?;
        let request = ReplayRequest { run: self.run, bot: self.bot };
        let done: Replayed = admin.post("/api/v1/bots/replay", &request)?;
        if done.replayed == 0 {
            must_be_there(&admin, request.bot.as_deref())?;
        }
        if self.json {
            show_json(&done, terminal)?;
        } else {
            terminal.write(|output| match done.replayed {
                0 => writeln!(output, "no such run was given up"),
                1 => writeln!(output, "1 run goes again"),
                many => writeln!(output, "{many} runs go again"),
            })?;
        }
        Ok(if done.replayed == 0 && !self.all { Exit::NotSo } else { Exit::Ok })
    }
}

impl Discard {
    pub(super) fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let admin = Admin::find(&self.data.find()?)?;
        let request = DiscardRunsRequest { run: self.run, bot: self.bot, reason: self.reason };
        let done: DiscardedRuns = admin.post("/api/v1/bots/discard", &request)?;
        if done.discarded == 0 {
            must_be_there(&admin, request.bot.as_deref())?;
        }
        if self.json {
            show_json(&done, terminal)?;
        } else {
            terminal.write(|output| match done.discarded {
                0 => writeln!(output, "no such run was given up"),
                1 => writeln!(output, "1 run is left"),
                many => writeln!(output, "{many} runs are left"),
            })?;
        }
        Ok(if done.discarded == 0 { Exit::NotSo } else { Exit::Ok })
    }
}

#[derive(Debug, thiserror::Error)]
#[error("there is no bot `{bot}`: {there}")]
struct NoSuchBot {
    bot: String,
    /// Which there are.
    there: String,
}

/// Refuses the name of a bot that is none: "no run" would be taken for one that has not run.
fn must_be_there(admin: &Admin, bot: Option<&str>) -> Result<(), Failure> {
    let Some(bot) = bot else { return Ok(()) };
    let view: BotsView = admin.get("/api/v1/bots")?;
    if view.bots.iter().any(|known| known.bot == bot) {
        return Ok(());
    }
    let names: Vec<&str> = view.bots.iter().map(|known| known.bot.as_str()).collect();
    let there = match nearest(bot, names.iter().copied()) {
        _ if names.is_empty() => "there are none".to_owned(),
        Some(near) => format!("did you mean `{near}`? (`pipehat bot list` shows all)"),
        None if names.len() > LISTED_MAX => "`pipehat bot list` shows those there are".to_owned(),
        None => format!("there are {}", names.join(", ")),
    };
    Err(Failure::could_not(NoSuchBot { bot: bot.to_owned(), there }))
}

/// More names are no help in an error.
const LISTED_MAX: usize = 20;

fn path(bot: Option<&str>, state: Option<&str>, before: Option<u64>, limit: u16) -> String {
    let mut path = format!("/api/v1/bots/runs?limit={limit}");
    for (name, value) in [("bot", bot), ("state", state)] {
        if let Some(value) = value {
            path.push_str(&format!("&{name}={value}"));
        }
    }
    if let Some(before) = before {
        path.push_str(&format!("&before={before}"));
    }
    path
}

fn show_page(
    page: &RunsPage,
    nothing: &str,
    clock: &Clock,
    json: bool,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    if json {
        show_json(page, terminal)?;
        return Ok(Exit::Ok);
    }
    terminal.write(|output| {
        if page.runs.is_empty() {
            return writeln!(output, "{nothing}");
        }
        for run in &page.runs {
            write_run(output, run, clock, terminal)?;
        }
        if page.more {
            let last = page.runs.last().map_or(0, |run| run.run);
            writeln!(output, "there are more: `pipehat bot runs --before {last}`")?;
        }
        Ok(())
    })?;
    Ok(Exit::Ok)
}

fn write_run(
    output: &mut dyn std::io::Write,
    run: &RunView,
    clock: &Clock,
    terminal: &Terminal,
) -> std::io::Result<()> {
    let tone = match run.state.as_str() {
        "done" => Tone::Good,
        "failed" | "dead" => Tone::Bad,
        _ => Tone::Faint,
    };
    let state = match run.state.as_str() {
        "dead" => "given up",
        other => other,
    };
    let state = terminal.paint(tone, state);
    write!(
        output,
        "{}  {}  {}  {state}  {}",
        run.run,
        clock.show(&run.queued),
        run.bot,
        run.trigger
    )?;
    writeln!(output, "  {}  {} µs", visible(&run.source), run.took_us)?;
    if let Some(why) = &run.why {
        let again = run.due.as_deref().map(|due| format!(", again {}", clock.show(due)));
        let text = format!("{} tries: {why}{}", run.attempts, again.unwrap_or_default());
        writeln!(output, "    {}", terminal.paint(Tone::Bad, visible(&text)))?;
    }
    Ok(())
}

/// The name of a bot, with or without its type.
fn id(text: &str) -> Result<String, String> {
    let id = text.strip_prefix("Bot/").unwrap_or(text);
    let plain = (1..=64).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'));
    if plain { Ok(id.to_owned()) } else { Err("that is no name of a bot".to_owned()) }
}

fn show_json(value: &impl Serialize, terminal: &Terminal) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(Failure::could_not)?;
    terminal.write(|output| writeln!(output, "{text}"))?;
    Ok(())
}
