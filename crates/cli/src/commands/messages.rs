//! `pipehat messages`: finds messages, shows what became of them, and decides about them.

mod lineage;

use std::collections::BTreeSet;

use clap::Subcommand;
use pipehat_server::{
    DecisionRequest, DecisionView, FindingView, LineageWanted, MessageView, SearchRequest, Wanted,
};
use pipehat_translate::PlacePattern;

use super::project::DataArguments;
use crate::admin::{self, Admin};
use crate::exit::{Exit, Failure};
use crate::local_time::{Clock, TimeArguments};
use crate::message_source::MessageSource;
use crate::number;
use crate::terminal::{Terminal, Tone, fit, visible};

const EXAMPLES: &str = "\
Examples:
  pipehat messages find --channel adt-in --type ADT^A01 --since 2h
  pipehat messages find --since yesterday --until 08:00
  pipehat messages find --id 4711            by patient, visit or order number
  pipehat messages find --parked             what waits for a person
  pipehat messages show 1234 --bodies        one message, with its payloads
  pipehat messages release 1234 --reason 'table corrected'
  pipehat messages discard 1234 --reason 'test message of the vendor'
  pipehat messages resend 1234 --to lab --reason 'the lab lost it'

What is found and shown comes from the Pipehat that runs; when none does, from its data directory.";

const FIND_EXAMPLES: &str = "\
Examples:
  pipehat messages find --channel adt-in --type ADT^A01 --since 2h
  pipehat messages find --parked                  what waits for a person
  pipehat messages find --id 4711 --oldest        a patient's, in their order
  pipehat messages find --index ward=2W --since today
  pipehat messages find --destination lab --limit 1000 --json

Exits with 1 when no message is like that.";

const SHOW_EXAMPLES: &str = "\
Examples:
  pipehat messages show 1234
  pipehat messages show 1234 --bodies         what came in, and what went out
  pipehat messages show 1234 --bodies --json
  pipehat messages show 1234 --lineage        where each element came from
  pipehat messages show 1234 --lineage-of PID-3
  pipehat messages show 1234 --lineage-of Patient.identifier

Payloads are shown as text, by the character set of MSH-18; `pipehat messages bytes` has the bytes.
A place stands for all below it, and where it has no number for any: `OBX-5` for OBX-5 of every OBX,
`OBX(2)-5` for that of the second. Exits with 1 when no lineage that is kept names the place.";

const BYTES_EXAMPLES: &str = "\
Examples:
  pipehat messages bytes 1234 > message.hl7
  pipehat messages bytes 1234 | pipehat message show -";

const RELEASE_EXAMPLES: &str = "\
Examples:
  pipehat messages release 1234 --reason 'table corrected'
  pipehat messages find --parked --limit 1000 --json | jq '.[].id' |
      xargs pipehat messages release --reason 'table corrected'

A message that its steps parked goes through the steps as they are now; a parked delivery is sent
again with the same bytes. One that can't be released is told, and the others are released.";

const DISCARD_EXAMPLES: &str = "\
Examples:
  pipehat messages discard 1234 --reason 'test message of the vendor'
  pipehat messages discard 1234 1240 --reason 'sent again by the ward'

One that can't be discarded is told, and the others are discarded.";

const RESEND_EXAMPLES: &str = "\
Examples:
  pipehat messages resend 1234 --reason 'the lab lost it'
  pipehat messages resend 1234 1240 --to lab --reason 'lab restored'

What was made of the message then is sent, with the same control ids; it does not go through the
steps anew.";

/// Find messages, show every stage, release, discard or resend them
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Find(Box<Find>),
    Show(Show),
    Bytes(Bytes),
    /// Let parked messages go on: through the steps again, or to where they were to go
    #[command(after_help = RELEASE_EXAMPLES)]
    Release(Decide),
    /// Discard parked messages: they go no further, and stay in the journal
    #[command(after_help = DISCARD_EXAMPLES)]
    Discard(Decide),
    Resend(Resend),
}

/// Find messages; newest first
#[derive(Debug, clap::Args)]
#[command(after_help = FIND_EXAMPLES)]
struct Find {
    #[command(flatten)]
    data: DataArguments,

    #[command(flatten)]
    time: TimeArguments,

    /// Only this channel; may be repeated
    #[arg(long, value_name = "NAME")]
    channel: Vec<String>,

    /// Message type: ADT, or ADT^A01
    #[arg(long = "type", value_name = "TYPE")]
    message_type: Option<String>,

    /// The control id (MSH-10)
    #[arg(long, value_name = "ID")]
    control_id: Option<String>,

    /// A patient, visit, order or accession number
    #[arg(long, value_name = "ID")]
    id: Option<String>,

    /// A path the channel names under `index:`, and its value
    #[arg(long, value_name = "NAME=VALUE")]
    index: Option<String>,

    /// The sending application (MSH-3)
    #[arg(long, value_name = "NAME")]
    from_application: Option<String>,

    /// The sending facility (MSH-4)
    #[arg(long, value_name = "NAME")]
    from_facility: Option<String>,

    /// How it ended: in-flight, delivered, filtered, parked, rejected, superseded
    #[arg(long, value_name = "DISPOSITION", conflicts_with = "parked")]
    disposition: Option<String>,

    /// What waits for a person: the same as --disposition parked
    #[arg(long)]
    parked: bool,

    /// Only messages for this destination
    #[arg(long, value_name = "NAME")]
    destination: Option<String>,

    /// Received since: 2026-01-31T08:00 (local, or with an offset), 2026-01-31 (from its first
    /// moment), 08:00, today, yesterday, or a span like 15m, 2h, 3d
    #[arg(long, value_name = "TIME")]
    since: Option<String>,

    /// Received before: written as --since
    #[arg(long, value_name = "TIME")]
    until: Option<String>,

    /// Oldest first
    #[arg(long)]
    oldest: bool,

    /// How many at most
    #[arg(long, short = 'n', value_name = "COUNT", default_value_t = 20, value_parser = number::count)]
    limit: u64,

    /// The result as JSON
    #[arg(long)]
    json: bool,
}

/// Show one message and every stage of its life
#[derive(Debug, clap::Args)]
#[command(after_help = SHOW_EXAMPLES)]
struct Show {
    #[command(flatten)]
    data: DataArguments,

    #[command(flatten)]
    time: TimeArguments,

    /// The message's number, as `find` shows it
    #[arg(value_name = "ID", value_parser = number::message)]
    message: u64,

    /// Show the payloads too: they may hold patient data
    #[arg(long)]
    bodies: bool,

    /// Show where each element came from that a translation made: places and rules, no values
    #[arg(long)]
    lineage: bool,

    /// Of lineage, show only what came from a place or went there: PID-3, Patient.identifier
    #[arg(long, value_name = "PLACE", value_parser = place)]
    lineage_of: Option<PlacePattern>,

    /// The result as JSON
    #[arg(long)]
    json: bool,
}

/// Print the exact bytes of a message as it was received
#[derive(Debug, clap::Args)]
#[command(after_help = BYTES_EXAMPLES)]
struct Bytes {
    #[command(flatten)]
    data: DataArguments,

    /// The message's number
    #[arg(value_name = "ID", value_parser = number::message)]
    message: u64,
}

#[derive(Debug, clap::Args)]
struct Decide {
    #[command(flatten)]
    data: DataArguments,

    /// The messages' numbers
    #[arg(value_name = "ID", required = true, value_parser = number::message)]
    messages: Vec<u64>,

    /// Why; kept with the message
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

/// Send a message's outputs once more, the same bytes
#[derive(Debug, clap::Args)]
#[command(after_help = RESEND_EXAMPLES)]
struct Resend {
    #[command(flatten)]
    decide: Decide,

    /// Only to this destination
    #[arg(long, value_name = "DESTINATION")]
    to: Option<String>,
}

impl Arguments {
    pub(crate) fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        match self.command {
            Command::Find(find) => find.run(terminal),
            Command::Show(show) => show.run(terminal),
            Command::Bytes(bytes) => {
                let source = MessageSource::find(&bytes.data.find()?, terminal)?;
                terminal.write_message(&source.bytes(bytes.message)?)?;
                Ok(Exit::Ok)
            }
            Command::Release(decide) => decide.run(Decision::Release, None, terminal),
            Command::Discard(decide) => decide.run(Decision::Discard, None, terminal),
            Command::Resend(resend) => resend.decide.run(Decision::Resend, resend.to, terminal),
        }
    }
}

/// What a person decides about messages.
#[derive(Debug, Clone, Copy)]
enum Decision {
    Release,
    Discard,
    Resend,
}

impl Decision {
    /// As the admin API calls it.
    fn word(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Discard => "discard",
            Self::Resend => "resend",
        }
    }

    fn done(self) -> &'static str {
        match self {
            Self::Release => "released",
            Self::Discard => "discarded",
            Self::Resend => "sent again",
        }
    }
}

impl Find {
    fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let source = MessageSource::find(&self.data.find()?, terminal)?;
        let clock = self.time.clock();
        let moment = |text: &str| clock.read(text).map(|time| time.to_string());
        let mut request = SearchRequest {
            channels: self.channel,
            from: self.since.as_deref().map(moment).transpose()?,
            until: self.until.as_deref().map(moment).transpose()?,
            message_type: self.message_type,
            control_id: self.control_id,
            sending_application: self.from_application,
            sending_facility: self.from_facility,
            identifier: self.id,
            named: self.index.as_deref().map(named).transpose()?,
            disposition: self.disposition.or_else(|| self.parked.then(|| "parked".to_owned())),
            destination: self.destination,
            oldest_first: self.oldest,
            limit: None,
            cursor: None,
        };
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let mut messages: Vec<MessageView> = Vec::new();
        loop {
            request.limit = Some(limit.saturating_sub(messages.len()).clamp(1, 500));
            let page = source.search(&request)?;
            messages.extend(page.messages);
            request.cursor = page.next;
            if request.cursor.is_none() || messages.len() >= limit {
                break;
            }
        }
        messages.truncate(limit);
        if self.json {
            let text = serde_json::to_string_pretty(&messages).map_err(Failure::could_not)?;
            terminal.write(|output| writeln!(output, "{text}"))?;
        } else {
            list(&messages, &clock, terminal)?;
            if messages.is_empty() {
                source.note_unknown(&request.channels, terminal)?;
            }
            if request.cursor.is_some() {
                terminal.note(format_args!("there are more; ask for them with --limit"));
            }
        }
        Ok(if messages.is_empty() { Exit::NotSo } else { Exit::Ok })
    }
}

/// A longer control id makes its own line uneven, and not all of them longer.
const CONTROL_ID_WIDTH: usize = 36;

fn list(messages: &[MessageView], clock: &Clock, terminal: &Terminal) -> Result<(), Failure> {
    if messages.is_empty() {
        terminal.note("no message is like that");
        return Ok(());
    }
    let header = ["ID", "RECEIVED", "CHANNEL", "TYPE", "CONTROL ID", "ENDED", "WHY"];
    let mut rows = vec![header.map(str::to_owned)];
    rows.extend(messages.iter().map(|message| {
        [
            message.id.to_string(),
            clock.show(&message.received_at),
            message.channel.clone(),
            message.message_type.clone(),
            visible(&message.control_id),
            message.disposition.clone(),
            why(message),
        ]
    }));
    narrow(&mut rows, terminal.width());
    let widths = widths(&rows);
    terminal.write(|output| {
        for (at, row) in rows.iter().enumerate() {
            let mut line = format!("{:>1$}", row[0], widths[0]);
            for (text, width) in row.iter().zip(widths).skip(1).filter(|(_, width)| *width > 0) {
                line.push_str(&format!("  {text:width$}"));
            }
            let line = fit(line.trim_end(), terminal.width());
            let line = match row[5].as_str() {
                _ if at == 0 => terminal.paint(Tone::Faint, line),
                "parked" | "rejected" => terminal.paint(Tone::Bad, line),
                "in-flight" => terminal.paint(Tone::Warning, line),
                _ => line,
            };
            writeln!(output, "{line}")?;
        }
        Ok(())
    })?;
    Ok(())
}

/// How wide each column is; a column of which nothing is shown has no width.
fn widths(rows: &[[String; 7]]) -> [usize; 7] {
    let usual = [9, 0, 7, 7, 10, 10, 3];
    let most = [usize::MAX, usize::MAX, usize::MAX, usize::MAX, CONTROL_ID_WIDTH, 10, usize::MAX];
    std::array::from_fn(|column| {
        let texts = rows.iter().map(|row| row[column].chars().count());
        let widest = texts.max().unwrap_or_default();
        if widest == 0 { 0 } else { widest.max(usual[column]).min(most[column]) }
    })
}

/// Has what became of messages in sight where the terminal is narrow: times lose year, fractions and offset, and the control ids go.
fn narrow(rows: &mut [[String; 7]], width: Option<usize>) {
    let Some(width) = width else { return };
    let is_wide = |rows: &[[String; 7]]| {
        let shown = widths(rows).into_iter().filter(|width| *width > 0);
        shown.map(|width| width + 2).sum::<usize>() > width + 2
    };
    if is_wide(rows) {
        // The header has no time.
        for row in rows.iter_mut().skip(1) {
            row[1] = row[1].chars().skip("2026-".len()).take("01-31 09:00:00".len()).collect();
        }
    }
    if is_wide(rows) {
        rows.iter_mut().for_each(|row| row[4].clear());
    }
}

fn why(message: &MessageView) -> String {
    if let Some(original) = message.duplicate_of {
        return format!("repeats {original}");
    }
    let mut codes: Vec<&str> = Vec::new();
    for code in message.deliveries.iter().map(|delivery| &delivery.code).chain([&message.code]) {
        if !code.is_empty() && !codes.contains(&code.as_str()) {
            codes.push(code);
        }
    }
    codes.join(", ")
}

impl Show {
    fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let source = MessageSource::find(&self.data.find()?, terminal)?;
        let clock = self.time.clock();
        let lineage = match (self.lineage_of, self.lineage) {
            (Some(place), _) => LineageWanted::Of(place),
            (None, true) => LineageWanted::All,
            (None, false) => LineageWanted::No,
        };
        let detail =
            source.show(self.message, &Wanted { bodies: self.bodies, lineage: lineage.clone() })?;
        let is_there = detail.stages.iter().any(|stage| !stage.translations.is_empty());
        let exit = match lineage {
            LineageWanted::Of(_) if !is_there => Exit::NotSo,
            _ => Exit::Ok,
        };
        if self.json {
            let text = serde_json::to_string_pretty(&detail).map_err(Failure::could_not)?;
            terminal.write(|output| writeln!(output, "{text}"))?;
            return Ok(exit);
        }
        terminal.write(|output| {
            if let Some(message) = &detail.message {
                writeln!(
                    output,
                    "message {}  {}  {}  control id {}  {}",
                    message.id,
                    message.channel,
                    message.message_type,
                    visible(&message.control_id),
                    terminal.paint(Tone::Strong, &message.disposition)
                )?;
            }
            for stage in &detail.stages {
                let name = terminal.paint(Tone::Strong, format!("{:10}", stage.stage));
                writeln!(output, "{}  {name}  {}", clock.show(&stage.at), stage.what)?;
                for line in finding_lines(&stage.findings) {
                    writeln!(output, "{}", visible(&line))?;
                }
                for line in stage.translations.iter().flat_map(lineage::lines) {
                    writeln!(output, "{}", visible(&line))?;
                }
                for (name, body) in &stage.bodies {
                    writeln!(output, "    {}", terminal.paint(Tone::Faint, format!("{name}:")))?;
                    for line in body.split(['\r', '\n']).filter(|line| !line.is_empty()) {
                        writeln!(output, "      {}", visible(line))?;
                    }
                }
            }
            Ok(())
        })?;
        match lineage {
            _ if is_there => {}
            LineageWanted::No => {}
            LineageWanted::All => terminal.note(
                "no lineage is kept: nothing that went out was translated, or the step says `lineage: false`",
            ),
            LineageWanted::Of(place) => {
                terminal.note(format_args!("no lineage that is kept names {place}"));
            }
        }
        Ok(exit)
    }
}

fn place(text: &str) -> Result<PlacePattern, String> {
    PlacePattern::parse(text).map_err(|error| error.to_string())
}

/// What was noticed, a line each, below the place where it was.
fn finding_lines(findings: &[FindingView]) -> Vec<String> {
    let (mut lines, mut place) = (Vec::new(), None);
    let mut explained = BTreeSet::new();
    for finding in findings {
        if place != Some(&finding.place) {
            place = Some(&finding.place);
            lines.push(match finding.place.as_str() {
                "" => "    noticed:".to_owned(),
                place => format!("    noticed by {place}:"),
            });
        }
        let count =
            if finding.count > 1 { format!("{} × ", finding.count) } else { String::new() };
        // What has no words of its own is explained once.
        let is_new = finding.text.is_none() && explained.insert(finding.code.as_str());
        let meaning = is_new.then(|| meaning(&finding.code)).flatten();
        let told = [finding.path.as_deref(), finding.text.as_deref().or(meaning)];
        let told: Vec<&str> = told.into_iter().flatten().collect();
        let told = told.join(": ");
        let space = if told.is_empty() { "" } else { " " };
        let name = finding.rule.as_deref().unwrap_or(&finding.code);
        lines.push(format!("      {count}{told}{space}[{name}]"));
    }
    lines
}

/// What a code of a translation means.
fn meaning(code: &str) -> Option<&'static str> {
    let known = pipehat_engine::CODES.iter().find(|known| known.code == code)?;
    code.starts_with("translate.").then(|| known.cause.trim_end_matches('.'))
}

impl Decide {
    fn run(
        self,
        decision: Decision,
        destination: Option<String>,
        terminal: &Terminal,
    ) -> Result<Exit, Failure> {
        let admin = Admin::find(&self.data.find()?)?;
        let by = std::env::var("USER").ok().filter(|user| !user.is_empty());
        let request = DecisionRequest { reason: self.reason, by, destination };
        let mut exit = Exit::Ok;
        for message in self.messages {
            let path = format!("/api/v1/messages/{message}/{}", decision.word());
            // One that is no longer parked must not keep those after it.
            match admin.post::<DecisionView>(&path, &request) {
                Ok(done) => {
                    let deliveries = match done.count {
                        0 | 1 => String::new(),
                        count => format!(", {count} deliveries"),
                    };
                    terminal
                        .note(format_args!("message {message}: {}{deliveries}", decision.done()));
                }
                Err(failure) if admin::is_refusal(&failure) => {
                    exit = Exit::CouldNot;
                    terminal.error(failure.message().unwrap_or_default());
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(exit)
    }
}

fn named(text: &str) -> Result<(String, String), Failure> {
    let (name, value) =
        text.split_once('=').ok_or_else(|| Failure::usage(format!("`{text}` is no NAME=VALUE")))?;
    Ok((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_became_of_a_message_is_in_sight_in_a_narrow_terminal() {
        let header = ["ID", "RECEIVED", "CHANNEL", "TYPE", "CONTROL ID", "ENDED", "WHY"];
        let time = "2026-01-31 09:00:00.123+01:00";
        let row = ["7", time, "results", "ORU^R01", "L0002", "parked", "program.park"];
        let check = |width: Option<usize>, time: &str, control_id: &str| {
            let mut rows = [header, row].map(|row| row.map(str::to_owned));
            narrow(&mut rows, width);
            let [_, own] = &rows;
            assert_eq!([&*own[1], &*own[4]], [time, control_id], "{width:?}");
            assert_eq!([&*own[5], &*own[6]], ["parked", "program.park"], "{width:?}");
            assert_eq!(widths(&rows)[4] > 0, !control_id.is_empty(), "{width:?}");
        };
        check(None, time, "L0002");
        check(Some(96), time, "L0002");
        check(Some(95), "01-31 09:00:00", "L0002");
        check(Some(81), "01-31 09:00:00", "L0002");
        check(Some(80), "01-31 09:00:00", "");
        check(Some(40), "01-31 09:00:00", "");
    }

    #[test]
    fn what_a_translation_could_not_say_is_explained_once() {
        let finding = |code: &str, path: &str| FindingView {
            code: code.to_owned(),
            count: 1,
            place: String::new(),
            path: Some(path.to_owned()),
            text: None,
            rule: None,
        };
        let lines = finding_lines(&[
            finding("translate.not-mapped", "PID-9"),
            finding("translate.not-mapped", "PID-12"),
            finding("translate.left-out", "PID"),
        ]);
        assert_eq!(
            lines.get(1..3),
            Some(
                &[
                    "      PID-9: A populated place that no row of the tables takes over [translate.not-mapped]"
                        .to_owned(),
                    "      PID-12 [translate.not-mapped]".to_owned(),
                ][..]
            )
        );
        assert!(lines[3].starts_with("      PID: A patient, a visit or an order"), "{}", lines[3]);
    }

    #[test]
    fn findings_are_told_below_their_step() {
        let finding = |count, place: &str, path: &str, text: &str, rule: &str| {
            let owned = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            FindingView {
                code: "validation.finding".to_owned(),
                count,
                place: place.to_owned(),
                path: owned(path),
                text: owned(text),
                rule: owned(rule),
            }
        };
        let step = "steps[1].validate, channels/adt.yaml:7:5";
        let lines = finding_lines(&[
            finding(1, "", "MSH-10", "", ""),
            finding(1, step, "PID-7.1", "no DTM", "date-malformed"),
            finding(1, step, "PV1-2", "required and empty", "required-field-missing"),
            finding(12, step, "", "findings that are not listed", ""),
            finding(1, step, "", "", ""),
        ]);
        let expected = [
            "    noticed:",
            "      MSH-10 [validation.finding]",
            "    noticed by steps[1].validate, channels/adt.yaml:7:5:",
            "      PID-7.1: no DTM [date-malformed]",
            "      PV1-2: required and empty [required-field-missing]",
            "      12 × findings that are not listed [validation.finding]",
            "      [validation.finding]",
        ];
        assert_eq!(lines, expected);
    }
}
