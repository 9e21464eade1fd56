//! `pipehat status`: the state of a running Pipehat at a glance.

use std::time::Duration;

use pipehat_server::{BotView, ChannelView, FailingStepView, HealthView, StatusView};

use super::project::DataArguments;
use crate::admin::Admin;
use crate::exit::{Exit, Failure};
use crate::local_time::{Clock, TimeArguments};
use crate::losses;
use crate::terminal::{Terminal, Tone, columns, visible};

const EXAMPLES: &str = "\
Examples:
  pipehat status
  pipehat status --data /var/lib/pipehat --json
  pipehat status --watch              again every 2 seconds

Exits with 1 when something needs a person: a source or destination is down, a message is parked
or holds its lane, a bot fails, was given up or hears of no change, or a changed configuration was
refused.";

/// Show channels, queues and connections of a running Pipehat
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    data: DataArguments,

    #[command(flatten)]
    time: TimeArguments,

    /// Show it again every 2 seconds, until Ctrl-C
    #[arg(long, short)]
    watch: bool,

    /// The status as JSON
    #[arg(long)]
    json: bool,
}

impl Arguments {
    pub(crate) fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        const AGAIN: Duration = Duration::from_secs(2);
        let admin = Admin::find(&self.data.find()?)?;
        loop {
            let status: StatusView = admin.get("/api/v1/status")?;
            if self.json {
                let text = serde_json::to_string_pretty(&status).map_err(Failure::could_not)?;
                terminal.write(|output| writeln!(output, "{text}"))?;
            } else {
                if self.watch && terminal.output_is_terminal() {
                    terminal.write(|output| write!(output, "\x1b[H\x1b[2J"))?;
                }
                show(&status, &self.time.clock(), terminal)?;
            }
            if !self.watch {
                return Ok(if needs_a_person(&status) { Exit::NotSo } else { Exit::Ok });
            }
            std::thread::sleep(AGAIN);
        }
    }
}

fn needs_a_person(status: &StatusView) -> bool {
    let channel = |channel: &ChannelView| {
        channel.stalled
            || channel.failed
            || !channel.blocked.is_empty()
            || channel.counters.parked > 0
            || channel.health.state == "down"
            || channel.destinations.iter().any(|destination| destination.health.state == "down")
    };
    status.refused_configuration.is_some()
        || !status.bots.is_empty()
        || status.channels.iter().any(channel)
}

fn show(status: &StatusView, clock: &Clock, terminal: &Terminal) -> Result<(), Failure> {
    let rows: Vec<[String; 8]> = status.channels.iter().map(row).collect();
    let header = [
        "CHANNEL",
        "RECEIVED",
        "DELIVERED",
        "FILTERED",
        "PARKED",
        "REJECTED",
        "SUPERSEDED",
        "IN FLIGHT",
    ];
    let width = |index: usize| {
        let cells = rows.iter().filter_map(|row| row.get(index)).map(|cell| columns(cell));
        cells.chain(header.get(index).map(|name| name.len())).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let line = |cells: &[String]| -> String {
        let mut text = String::new();
        for (index, (cell, width)) in cells.iter().zip(&widths).enumerate() {
            let gap = " ".repeat(width.saturating_sub(columns(cell)));
            text.push_str(if index == 0 { "" } else { "  " });
            if index == 0 {
                text.push_str(cell);
                text.push_str(&gap);
            } else {
                text.push_str(&gap);
                text.push_str(cell);
            }
        }
        text
    };
    terminal.write(|output| {
        writeln!(
            output,
            "{}  pipehat {}  up {}  project {}",
            clock.now(),
            status.version,
            span(status.uptime_seconds),
            status.project
        )?;
        writeln!(output)?;
        writeln!(output, "{}", terminal.paint(Tone::Faint, line(&header.map(str::to_owned))))?;
        for (row, channel) in rows.iter().zip(&status.channels) {
            let text = line(row);
            let text = if channel.counters.parked > 0 || channel.stalled || channel.failed {
                terminal.paint(Tone::Warning, text)
            } else {
                text
            };
            writeln!(output, "{text}")?;
            show_channel(output, channel, clock, terminal)?;
        }
        for bot in &status.bots {
            writeln!(output, "bot {}", terminal.paint(Tone::Warning, &bot.bot))?;
            show_troubles(output, bot, clock, terminal)?;
        }
        writeln!(output)?;
        let journal = &status.journal;
        writeln!(
            output,
            "journal  {} records, {} on disk, sync {:.2} ms on average",
            journal.next_position.saturating_sub(1),
            size(journal.disk_bytes),
            journal.sync_milliseconds_mean
        )?;
        for line in losses::lines(&status.losses, clock) {
            writeln!(output, "         {}", terminal.paint(Tone::Bad, line))?;
        }
        match status.index_behind {
            None => writeln!(output, "index    none")?,
            Some(0) => writeln!(output, "index    up to date")?,
            Some(behind) => writeln!(output, "index    {behind} records behind")?,
        }
        if let Some(mistakes) = &status.refused_configuration {
            let text = "the changed configuration was refused; the one before runs on:";
            writeln!(output, "\n{}\n{mistakes}", terminal.paint(Tone::Bad, text))?;
        }
        Ok(())
    })?;
    Ok(())
}

/// What is wrong with a bot.
pub(super) fn show_troubles(
    output: &mut dyn std::io::Write,
    bot: &BotView,
    clock: &Clock,
    terminal: &Terminal,
) -> std::io::Result<()> {
    let mut tell = |text: String| writeln!(output, "  ! {}", terminal.paint(Tone::Bad, text));
    if let Some(why) = &bot.unheard {
        tell(format!("hears of no change: {}", visible(why)))?;
    }
    for step in &bot.steps {
        let FailingStepView { channel, messages, waiting, failures, since, code } = step;
        let held = match messages {
            0 => "what it failed at is parked".to_owned(),
            1 => format!("1 message holds its lane, {waiting} wait behind it"),
            many => format!("{many} messages hold their lanes, {waiting} wait behind them"),
        };
        let times = if *failures == 1 { "once" } else { &format!("{failures} times in a row") };
        let since = clock.show(since);
        tell(format!("fails in the channel {channel} since {since}, {times}: {code}; {held}"))?;
    }
    let why = bot.problem.as_deref().map(|why| format!(": {}", visible(why))).unwrap_or_default();
    match bot.changes_failing {
        0 => {}
        1 => tell(format!("fails for 1 change, and is run again{why}"))?,
        many => tell(format!("fails for {many} changes, and is run again{why}"))?,
    }
    match bot.failing {
        0 => {}
        1 => tell(format!("1 run fails, and is tried again{why}"))?,
        many => tell(format!("{many} runs fail, and are tried again{why}"))?,
    }
    if bot.changes_given_up > 0 {
        let count = bot.changes_given_up;
        tell(format!("{count} given up for changes: `pipehat subscriptions dead-letters`"))?;
    }
    if bot.dead > 0 {
        tell(format!("{} runs given up: `pipehat bot dead --bot {}`", bot.dead, bot.bot))?;
    }
    Ok(())
}

fn show_channel(
    output: &mut dyn std::io::Write,
    channel: &ChannelView,
    clock: &Clock,
    terminal: &Terminal,
) -> std::io::Result<()> {
    let address = channel.address.as_deref().unwrap_or("");
    let source = format!("{} {address}", channel.source);
    write!(output, "  ← {}", source.trim_end())?;
    // Nobody connects to a folder.
    if channel.source != "file" {
        write!(output, "  {} connected", channel.health.connections)?;
    }
    writeln!(output)?;
    show_problem(output, &channel.health, clock, terminal)?;
    for destination in &channel.destinations {
        let tone = if destination.health.state == "down" { Tone::Bad } else { Tone::Good };
        write!(
            output,
            "  → {}  {} {}  {} queued",
            destination.name,
            destination.connector,
            terminal.paint(tone, &destination.health.state),
            destination.queued
        )?;
        if destination.retrying > 0 || destination.failures > 0 {
            write!(output, ", {} retrying", destination.retrying.max(1))?;
        }
        writeln!(output)?;
        show_problem(output, &destination.health, clock, terminal)?;
    }
    for (message, code) in &channel.blocked {
        let text = format!("message {message} holds its lane [{code}]: release or discard it");
        writeln!(output, "  ! {}", terminal.paint(Tone::Bad, text))?;
    }
    if channel.failed {
        let text = "has failed and refuses messages: restart Pipehat and report the defect";
        writeln!(output, "  ! {}", terminal.paint(Tone::Bad, text))?;
    }
    if channel.stalled {
        let text = "stands still: the journal can't be written; is the disk full?";
        writeln!(output, "  ! {}", terminal.paint(Tone::Bad, text))?;
    }
    Ok(())
}

/// What went wrong last. Nothing succeeded since; where the other side is reached it may be over all the same, and its
/// time says how old it is.
fn show_problem(
    output: &mut dyn std::io::Write,
    health: &HealthView,
    clock: &Clock,
    terminal: &Terminal,
) -> std::io::Result<()> {
    let Some(problem) = &health.problem else { return Ok(()) };
    let code = health.problem_code.as_deref().unwrap_or_default();
    let at = health.problem_at.as_deref().map(|at| clock.show(at));
    let (tone, text) = match (health.state.as_str(), at) {
        ("down", Some(since)) => (Tone::Bad, format!("{problem} [{code}], since {since}")),
        ("down", None) => (Tone::Bad, format!("{problem} [{code}]")),
        (_, Some(at)) => (Tone::Warning, format!("last problem, at {at}: {problem} [{code}]")),
        (_, None) => (Tone::Warning, format!("last problem: {problem} [{code}]")),
    };
    writeln!(output, "    {}", terminal.paint(tone, text))
}

fn row(channel: &ChannelView) -> [String; 8] {
    let counters = &channel.counters;
    [
        channel.name.clone(),
        counters.received.to_string(),
        counters.delivered.to_string(),
        counters.filtered.to_string(),
        counters.parked.to_string(),
        counters.rejected.to_string(),
        counters.superseded.to_string(),
        counters.in_flight.to_string(),
    ]
}

/// A time span as people say it.
pub(crate) fn span(seconds: u64) -> String {
    let (days, hours) = (seconds / 86_400, seconds / 3_600 % 24);
    let (minutes, rest) = (seconds / 60 % 60, seconds % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{rest} s"),
        (0, 0, _) => format!("{minutes} min {rest} s"),
        (0, ..) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

/// A size as people say it.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let name = UNITS.get(unit).copied().unwrap_or("B");
    if unit == 0 { format!("{bytes} B") } else { format!("{value:.1} {name}") }
}

#[cfg(test)]
mod tests {
    use super::{size, span};

    #[test]
    fn spans_and_sizes_read_well() {
        assert_eq!(span(59), "59 s");
        assert_eq!(span(61), "1 min 1 s");
        assert_eq!(span(7_260), "2 h 1 min");
        assert_eq!(span(90_000), "1 d 1 h");
        assert_eq!(size(1_023), "1023 B");
        assert_eq!(size(1_536), "1.5 KiB");
        assert_eq!(size(u64::MAX), "16777216.0 TiB");
    }
}
