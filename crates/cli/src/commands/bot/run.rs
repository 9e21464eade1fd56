//! `pipehat bot run`: runs a bot once, and shows what it returned, asked and logged.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;
use std::rc::Rc;

use pipehat_message::CharsetRule;
use pipehat_script::{
    Concealed, Event, LogLevel, Output, Recorded, Reuse, Run, RunErrorKind, Worker,
};
use serde_json::{Value, json};

use super::asked;
use super::datastore::BotDatastore;
use super::host::{Asked, LocalHost};
use super::load::{BotFile, content_type, input};
use super::translation::Place;
use crate::exit::{Exit, Failure};
use crate::input::Source;
use crate::terminal::{Terminal, visible};

const EXAMPLES: &str = "\
Examples:
  pipehat bot run bots/admission.ts --input tests/a01.hl7
  pipehat bot run bots/webhook.ts --input - --content-type application/json
  pipehat bot run bots/webhook.ts --input in.json --secret KEY=test
  pipehat bot run bots/push.ts --input in.json --allow api.example.org
  pipehat bot run bots/task.ts --input in.json --resources patients.json
  pipehat bot run bots/admission.ts --input a01.hl7 --channel adt-in
  pipehat bot run bots/admission.ts --input in.hl7 --json > run.json

What the handler returns goes to standard output, all else to standard error. The bot has a FHIR
datastore of its own, empty but for --resources, and gone afterwards; the tables of its project; and
HTTP to the hosts that are allowed. What it sends or parks is shown, and goes nowhere. It translates
by what its file bots/NAME.yaml says and, with --channel, by what the channel says; its limits are
those of its file.

Values of HL7 messages and resources are shown, as are lines of its log: run it on synthetic data.
--redact shows that something was said, and not what.

The exit code is 1 when the bot throws or reaches a limit, 3 when it can't be loaded.";

/// Run a bot once on an input
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The bot: a file of TypeScript or JavaScript that exports `handler`
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// What it is run for: a file, or - for standard input
    #[arg(long, value_name = "FILE")]
    input: PathBuf,

    /// What the input is, where its name and beginning do not say it
    #[arg(long, value_name = "TYPE")]
    content_type: Option<String>,

    /// A secret: NAME=VALUE, or NAME for the environment variable of this name
    #[arg(long, value_name = "NAME[=VALUE]")]
    secret: Vec<String>,

    /// A header of the request that it is run for: NAME=VALUE
    #[arg(long, value_name = "NAME=VALUE")]
    header: Vec<String>,

    /// A host that it may speak to by fetch, with the port where it is not the usual one; also as
    /// `allow` of its file has it: http://HOST:PORT
    #[arg(long, value_name = "HOST")]
    allow: Vec<String>,

    /// Resources that its datastore begins with: one, a list, or a Bundle
    #[arg(long, value_name = "FILE")]
    resources: Option<PathBuf>,

    /// The channel whose step it is to be: its time zone, and what its translations go by
    #[arg(long, value_name = "NAME")]
    channel: Option<String>,

    /// Show what it asked: the datastore, hosts, tables, destinations
    #[arg(long)]
    asks: bool,

    /// Do not show what log lines and errors say
    #[arg(long)]
    redact: bool,

    /// Result, asks and log as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, thiserror::Error)]
enum ArgumentError {
    #[error("there is no environment variable {0}: write --secret {0}=VALUE, or set it")]
    NoVariable(String),
    #[error("`{0}` is no header: write --header NAME=VALUE")]
    Header(String),
    #[error(
        "`{0}` is no host: write --allow api.example.org, or --allow http://HOST:PORT, without a path"
    )]
    Host(String),
    #[error("{} is no JSON", path.display())]
    Resources {
        path: PathBuf,
        #[source]
        source: serde_json::Error,
    },
}

/// Whether it may be a host: of an address with a path it would not be known that all of the host is let.
fn is_host(text: &str) -> bool {
    let host = text.split_once("://").map_or(text, |(_, host)| host).trim_end_matches('/');
    !host.is_empty() && !host.contains(['/', '?', '#', '@']) && !host.contains(char::is_whitespace)
}

/// What stands for what may hold patient data.
const REDACTED: &str = "[redacted]";

impl Arguments {
    pub(crate) fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        if let Some(wrong) = self.allow.iter().find(|text| !is_host(text)) {
            return Err(Failure::usage(ArgumentError::Host(wrong.clone())));
        }
        let bot = BotFile::find(&self.file)?;
        let script = bot.load()?;
        if let Reuse::Fresh { file, line, reason } = script.reuse() {
            terminal.note(format_args!(
                "{file}:{line}: {reason}; so the modules are evaluated anew for each message, which is slower"
            ));
        }
        let place = Place::of(&bot, self.channel.as_deref())?;
        if let Some(unread) = &place.unread {
            terminal.warn(unread);
        }
        let mut event = self.event(&bot)?;
        for (name, value) in place.headers {
            event.headers.entry(name).or_insert(value);
        }
        let datastore = BotDatastore::new()?;
        if let Some(path) = &self.resources {
            let bytes = Source::from(path.clone()).read()?;
            let wrong = |source| ArgumentError::Resources { path: path.clone(), source };
            datastore
                .add(&serde_json::from_slice(&bytes).map_err(wrong).map_err(Failure::could_not)?)?;
        }
        let hosts = self.allow.iter().map(|host| granted(host)).collect();
        let (project, granted) = (bot.project.clone(), place.granted);
        let host = LocalHost::new(project, hosts, granted, datastore, place.translation);
        let host = Rc::new(RefCell::new(host));
        let run = Worker::new(&script, place.limits).run(&event, host.clone());
        let host = host.borrow();
        let concealed = Concealed::of(&event.secrets);
        if self.json {
            let result = self.report(&run, &host, &concealed);
            terminal.write(|output| writeln!(output, "{result:#}"))?;
        } else {
            self.show(&run, &host, &concealed, terminal)?;
        }
        Ok(if run.result.is_ok() { Exit::Ok } else { Exit::NotSo })
    }

    fn event(&self, bot: &BotFile) -> Result<Event, Failure> {
        let mut secrets = BTreeMap::new();
        for secret in &self.secret {
            let (name, value) = match secret.split_once('=') {
                Some((name, value)) => (name.to_owned(), value.to_owned()),
                None => {
                    let no_variable = |_| ArgumentError::NoVariable(secret.clone());
                    let value = std::env::var(secret).map_err(no_variable);
                    (secret.clone(), value.map_err(Failure::usage)?)
                }
            };
            secrets.insert(name, value);
        }
        let mut headers = BTreeMap::new();
        for header in &self.header {
            let wrong = || Failure::usage(ArgumentError::Header(header.clone()));
            let (name, value) = header.split_once('=').ok_or_else(wrong)?;
            headers.insert(name.to_ascii_lowercase(), value.to_owned());
        }
        let bytes = Source::from(self.input.clone()).read()?;
        let name = self.input.to_string_lossy();
        let content_type = match &self.content_type {
            Some(content_type) => content_type.clone(),
            None => content_type(&name, &bytes).to_owned(),
        };
        Ok(Event {
            input: input(&content_type, bytes),
            charset: CharsetRule::Declared,
            content_type,
            secrets,
            headers,
            bot: bot.identity(),
        })
    }

    fn private<'t>(&self, text: &'t str) -> &'t str {
        if self.redact { REDACTED } else { text }
    }

    fn report(&self, run: &Run, host: &LocalHost, concealed: &Concealed) -> Value {
        let log = host.log.iter().map(|line| {
            json!({
                "level": level(line.level),
                "at": line.at.to_string(),
                "text": self.private(&line.text),
            })
        });
        let mut report = json!({
            "ok": run.result.is_ok(),
            "seconds": run.took.as_secs_f64(),
            "cpuSeconds": run.cpu.as_secs_f64(),
            "log": log.collect::<Vec<_>>(),
        });
        concealed.value(&mut report["log"]);
        let asked = asked_in(run);
        report["asks"] = match self.redact {
            true => asked.iter().map(|(ask, _)| json!({ "ask": kind(ask) })).collect(),
            false => asked.iter().map(asked::asked).collect(),
        };
        concealed.value(&mut report["asks"]);
        match &run.result {
            Ok(output) => {
                let (kind, content) = result(output);
                report["result"] = json!({ "kind": kind });
                if !content.is_null() && !self.redact {
                    report["result"]["content"] = content;
                }
            }
            Err(error) => {
                report["error"] = json!({
                    "kind": error_kind(error.kind),
                    "message": self.private(&error.message),
                    "stack": error.stack,
                });
                concealed.value(&mut report["error"]);
            }
        }
        report
    }

    fn show(
        &self,
        run: &Run,
        host: &LocalHost,
        concealed: &Concealed,
        terminal: &Terminal,
    ) -> Result<(), Failure> {
        for line in &host.log {
            // A stack is read by its lines.
            for (at, text) in self.private(&concealed.text(&line.text)).split('\n').enumerate() {
                let before = if at == 0 { level(line.level) } else { "" };
                terminal.note(format_args!("{before:5} {}", visible(text)));
            }
        }
        for one in &asked_in(run) {
            if self.asks && !self.redact {
                let mut shown = asked::asked(one);
                concealed.value(&mut shown);
                terminal.note(format_args!("{shown:#}"));
            } else {
                let title = concealed.text(&asked::title(&one.0)).into_owned();
                let title = if self.redact { kind(&one.0) } else { &title };
                terminal.note(format_args!("asked {}: {}", visible(title), came_of(one)));
            }
        }
        match &run.result {
            Ok(output) => {
                if !self.redact {
                    write_output(output, terminal)?;
                }
                if !terminal.is_quiet() {
                    let what = match output {
                        Output::Nothing => "it returned nothing",
                        _ => "done",
                    };
                    terminal
                        .note(format_args!("{what} in {:.1} ms", run.took.as_secs_f64() * 1_000.0));
                }
            }
            Err(error) => {
                terminal.error(visible(self.private(&concealed.text(&error.message))));
                for line in &error.stack {
                    terminal.note(format_args!("  at {line}"));
                }
            }
        }
        Ok(())
    }
}

/// A host without what a configuration writes before it.
fn granted(host: &str) -> String {
    let bare = ["http://", "https://"].iter().find_map(|scheme| host.strip_prefix(scheme));
    bare.unwrap_or(host).trim_end_matches('/').to_owned()
}

/// What the run asked, with what came of it.
fn asked_in(run: &Run) -> Vec<Asked> {
    let asked = run.recorded.iter().filter_map(|one| match one {
        Recorded::Asked { ask, answer } => Some((ask.clone(), answer.clone())),
        _ => None,
    });
    asked.collect()
}

fn write_output(output: &Output, terminal: &Terminal) -> Result<(), Failure> {
    match output {
        Output::Nothing => Ok(()),
        Output::Hl7(bytes) => Ok(terminal.write_message(bytes)?),
        Output::Bytes(bytes) => Ok(terminal.write(|output| output.write_all(bytes))?),
        Output::Text(text) => Ok(terminal.write(|output| line(output, text))?),
        Output::Json(text) => {
            // Numbers as the bot wrote them.
            let pretty =
                pipehat_resource::json::parse(text.as_bytes()).map(|value| value.to_pretty_json());
            Ok(terminal.write(|output| line(output, pretty.as_deref().unwrap_or(text)))?)
        }
    }
}

fn line(output: &mut dyn Write, text: &str) -> io::Result<()> {
    output.write_all(text.as_bytes())?;
    if text.ends_with('\n') { Ok(()) } else { output.write_all(b"\n") }
}

/// What a result is, and what it says.
fn result(output: &Output) -> (&'static str, Value) {
    match output {
        Output::Nothing => ("nothing", Value::Null),
        Output::Hl7(bytes) => ("hl7", asked::content(bytes)),
        Output::Text(text) => ("text", json!(text)),
        Output::Bytes(bytes) => ("bytes", asked::content(bytes)),
        Output::Json(text) => ("json", serde_json::from_str(text).unwrap_or(Value::Null)),
    }
}

fn level(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Debug => "debug",
        LogLevel::Info => "info",
        LogLevel::Warn => "warn",
        LogLevel::Error => "error",
    }
}

fn error_kind(kind: RunErrorKind) -> &'static str {
    match kind {
        RunErrorKind::Thrown => "thrown",
        RunErrorKind::Limit(_) => "limit",
        RunErrorKind::Refused => "refused",
        RunErrorKind::NeverSettled => "never-settled",
        RunErrorKind::CharacterSet => "character-set",
        RunErrorKind::Defect => "defect",
    }
}

/// The first word of what was asked: it names no patient.
fn kind(ask: &pipehat_script::Ask) -> &'static str {
    use pipehat_script::Ask;
    match ask {
        Ask::Fetch { .. } => "fetch",
        Ask::Datastore { .. } => "datastore",
        Ask::Table { .. } => "table",
        Ask::StateGet { .. } | Ask::StateSet { .. } | Ask::StateAdd { .. } => "state",
        Ask::Send { .. } => "send",
        Ask::Park { .. } => "park",
        Ask::ToFhir { .. } | Ask::ToV2 { .. } => "translate",
        Ask::Sftp { .. } => "sftp",
        Ask::ExecuteBot { .. } => "bot",
    }
}

fn came_of((_, answer): &Asked) -> String {
    match answer {
        Ok(answer) => answer.status.to_string(),
        Err(error) => error.to_string(),
    }
}
