//! Cases beside a bot: an input, what the outside answers, and what must come of it.
//!
//! ```text
//! bots/NAME.ts                          the bot
//! bots/NAME.cases/CASE/in.hl7           what it is run for; in.json, in.txt, in.bin
//! bots/NAME.cases/CASE/out.hl7          what it returns; out.json, out.txt, out.bin; none: nothing
//! bots/NAME.cases/CASE/error.txt        instead, what the error says that it ends with
//! bots/NAME.cases/CASE/asks.json        what it asks, in order, each with its answer; none: nothing
//! bots/NAME.cases/CASE/case.json        now, contentType, secrets, headers, channel, limits (optional)
//! bots/NAME.cases/case.json             the same for all of them
//! bots/NAME.cases/CASE/resources.json   what the datastore has when --update asks it (optional)
//! ```
//!
//! An ask is answered from `asks.json`; the next one written there that is of the same kind answers also one that is not
//! quite the same, so that all differences are seen at once. The time is 2026-01-01 00:00 UTC unless `case.json` says
//! otherwise, and random numbers are the same each time.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use jiff::Timestamp;
use pipehat_config::nearest;
use pipehat_engine::program::TranslationSettings;
use pipehat_engine::project::{Difference, Mismatch, differences};
use pipehat_message::CharsetRule;
use pipehat_script::{
    Answer, Ask, AskError, Begun, Concealed, Event, Host, Limit, Limits, LogLine, Output, RunError,
    RunErrorKind, Script, Worker,
};
use serde_json::Value;

use super::asked;
use super::datastore::BotDatastore;
use super::facts::CaseFacts;
use super::host::LocalHost;
use super::load::{BotFile, content_type, input};
use super::translation::{Granted, Place};
use crate::exit::Failure;

/// The time in cases that say none.
const NOW: &str = "2026-01-01T00:00:00Z";

/// What a result's file is called, by what it is.
const OUT: &[&str] = &["out.hl7", "out.json", "out.txt", "out.bin"];

const IN: &[&str] = &["in.hl7", "in.json", "in.txt", "in.bin"];

const OTHERS: &[&str] = &["error.txt", "asks.json", "case.json", "resources.json"];

#[derive(Debug, thiserror::Error)]
pub(super) enum CaseError {
    #[error(
        "the case {0} has no input: write what the bot is run for into in.hl7, in.json or in.txt"
    )]
    NoInput(String),
    #[error("{place}: {what}")]
    Wrong { place: String, what: String },
}

/// A case as it stands in its folder.
pub(super) struct Case {
    /// `bots/admission.cases/new`, as it is shown.
    pub(super) folder: String,
    path: PathBuf,
    event: Event,
    /// What its translations go by.
    translation: TranslationSettings,
    limits: Limits,
    /// Whether these are the case's own.
    has_own_limits: bool,
    granted: Granted,
    /// What is to be said where the bot's own file could not be gone by.
    pub(super) unread: Option<String>,
    now: Timestamp,
    expected: Expected,
    resources: Option<Value>,
    /// Its secrets, which are not written into what is kept or shown.
    concealed: Concealed,
}

#[derive(Default)]
struct Expected {
    output: Option<(String, Vec<u8>)>,
    error: Option<String>,
    asks: Vec<Value>,
    says_something: bool,
}

/// A file that makes the case pass.
#[derive(Debug, Clone)]
pub(super) struct Update {
    pub(super) path: PathBuf,
    /// None: it goes.
    pub(super) content: Option<Vec<u8>>,
}

/// What came of a case.
pub(super) struct CaseRun {
    pub(super) mismatches: Vec<Mismatch>,
    pub(super) updates: Vec<Update>,
    /// The error that it ended with, where that is not what was expected.
    pub(super) fails: Option<String>,
    pub(super) log: Vec<LogLine>,
    /// How much processor time the run used.
    pub(super) cpu: Duration,
}

pub(super) fn wrong(path: &Path, what: impl Into<String>) -> Failure {
    let place = path.strip_prefix("./").unwrap_or(path).display().to_string();
    Failure::could_not(CaseError::Wrong { place, what: what.into() })
}

pub(super) fn wrong_at(path: &Path, line: usize, column: usize, what: String) -> Failure {
    let path = path.strip_prefix("./").unwrap_or(path).display();
    Failure::could_not(CaseError::Wrong { place: format!("{path}:{line}:{column}"), what })
}

pub(super) fn read(path: &Path) -> Result<Option<Vec<u8>>, Failure> {
    match fs::read(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(wrong(path, error.to_string())),
    }
}

fn read_json(path: &Path) -> Result<Option<Value>, Failure> {
    let Some(content) = read(path)? else { return Ok(None) };
    serde_json::from_slice(&content).map(Some).map_err(|error| wrong(path, error.to_string()))
}

/// A file whose name is nearly one that is known would be passed over, and its case pass without it.
fn no_misnamed(folder: &Path) -> Result<(), Failure> {
    let known = IN.iter().chain(OUT).chain(OTHERS).copied();
    let entries = fs::read_dir(folder).map_err(|error| wrong(folder, error.to_string()))?;
    for entry in entries.filter_map(Result::ok) {
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|name| known.clone().all(|own| own != *name)) else {
            continue;
        };
        if let Some(near) = nearest(name, known.clone()) {
            let what = format!("no case has a file of this name: did you mean `{near}`?");
            return Err(wrong(&entry.path(), what));
        }
    }
    Ok(())
}

impl Case {
    pub(super) fn read(path: &Path, folder: &str, bot: &BotFile) -> Result<Self, Failure> {
        no_misnamed(path)?;
        let mut event = None;
        for name in IN {
            if let Some(content) = read(&path.join(name))? {
                event = Some((content_type(name, &content).to_owned(), content));
                break;
            }
        }
        let (mut kind, content) =
            event.ok_or_else(|| Failure::could_not(CaseError::NoInput(folder.to_owned())))?;
        let facts = CaseFacts::of(path)?;
        if let Some(own) = &facts.content_type {
            kind.clone_from(own);
        }
        let mut expected = Expected::default();
        for name in OUT {
            if let Some(content) = read(&path.join(name))? {
                expected.output = Some(((*name).to_owned(), content));
            }
        }
        if let Some(content) = read(&path.join("error.txt"))? {
            expected.error = Some(String::from_utf8_lossy(&content).trim().to_owned());
        }
        let asks_path = path.join("asks.json");
        let concealed = Concealed::of(facts.secrets.as_ref().unwrap_or(&BTreeMap::new()));
        let mut asks = read_json(&asks_path)?;
        // Written before secrets were concealed.
        if let Some(asks) = &mut asks {
            concealed.value(asks);
        }
        expected.says_something =
            expected.output.is_some() || expected.error.is_some() || asks.is_some();
        if let Some(asks) = asks {
            let list = asks.as_array().ok_or_else(|| wrong(&asks_path, "it is no list of asks"))?;
            if let Some(at) = list.iter().position(|one| !one["ask"].is_string()) {
                let what = format!("number {} has no `ask`", at.saturating_add(1));
                return Err(wrong(&asks_path, what));
            }
            expected.asks.clone_from(list);
        }
        // A channel that is not there is the case's mistake, and not one of the command.
        let place = Place::of(bot, facts.channel.as_deref()).map_err(|failure| {
            let what = failure.message().unwrap_or_default();
            facts.channel.as_ref().map_or(failure, |_| wrong(&path.join("case.json"), what))
        })?;
        let own_limits = facts.limits(&place.limits)?;
        let mut headers = facts.headers.unwrap_or_default();
        for (name, value) in place.headers {
            headers.entry(name).or_insert(value);
        }
        let event = Event {
            input: input(&kind, content),
            charset: CharsetRule::Declared,
            content_type: kind,
            secrets: facts.secrets.unwrap_or_default(),
            headers,
            bot: bot.identity(),
        };
        let resources = read_json(&path.join("resources.json"))?;
        Ok(Self {
            folder: folder.to_owned(),
            path: path.to_owned(),
            event,
            translation: place.translation,
            has_own_limits: own_limits.is_some(),
            limits: own_limits.unwrap_or(place.limits),
            granted: place.granted,
            unread: place.unread,
            now: facts.now.map_or_else(|| NOW.parse().map_err(|_| wrong(path, "no time")), Ok)?,
            expected,
            resources,
            concealed,
        })
    }

    /// Runs it. With `update`, what `asks.json` does not answer is asked of a datastore and tables as `pipehat bot run`
    /// has them.
    pub(super) fn run(
        &self,
        script: &Script,
        project: &Path,
        update: bool,
    ) -> Result<CaseRun, Failure> {
        let outside = match update {
            true => {
                let datastore = BotDatastore::new()?;
                if let Some(resources) = &self.resources {
                    datastore.add(resources)?;
                }
                Some(LocalHost::new(
                    project.to_owned(),
                    Vec::new(),
                    self.granted.clone(),
                    datastore,
                    self.translation.clone(),
                ))
            }
            false => None,
        };
        let host = CaseHost {
            now: self.now,
            random: 0x2545_F491_4F6C_DD1D,
            open: self.expected.asks.iter().cloned().map(Some).collect(),
            outside,
            granted: self.granted.clone(),
            not_granted: Vec::new(),
            asked: Vec::new(),
            unanswered: Vec::new(),
            log: Vec::new(),
            concealed: self.concealed.clone(),
        };
        let host = Rc::new(RefCell::new(host));
        let mut run = Worker::new(script, self.limits.clone()).run(&self.event, host.clone());
        if let Err(error) = &mut run.result {
            error.message = self.concealed.text(&error.message).into_owned();
        }
        let host = host.borrow();
        let mut mismatches = self.compare(&run.result, &host.asked);
        // What came out without an answer says nothing about the bot.
        let updates = match mismatches.is_empty() || !host.unanswered.is_empty() {
            true => Vec::new(),
            false => self.updates(&run.result, &host.asked),
        };
        if !host.unanswered.is_empty() {
            let by_hand = "one that you write by hand: --update asks no host, no SFTP server and no other bot";
            let lacking = host.unanswered.iter().map(|title| {
                difference(&format!("the answer to `{title}`"), Some(by_hand.to_owned()), None)
            });
            let (file, differences) = ("asks.json".to_owned(), lacking.collect());
            mismatches.insert(0, Mismatch::Differs { file, differences });
        }
        // No server would have answered so.
        mismatches.extend(host.not_granted.iter().map(|(title, why)| Mismatch::Ended {
            expected: "only what the bot's scopes grant".to_owned(),
            actual: format!("`{title}`, which a server refuses (403)"),
            reason: why.clone(),
        }));
        let fails = match &run.result {
            Err(error) if self.expected.error.is_none() || !updates.is_empty() => {
                Some(error.message.clone())
            }
            _ => None,
        };
        Ok(CaseRun { mismatches, updates, fails, log: host.log.clone(), cpu: run.cpu })
    }

    fn compare(&self, result: &Result<Output, RunError>, asked: &[Value]) -> Vec<Mismatch> {
        let expected = &self.expected;
        let did_nothing = matches!(result, Ok(Output::Nothing)) && asked.is_empty();
        if !expected.says_something && !did_nothing {
            return vec![Mismatch::NothingExpected];
        }
        let mut mismatches = Vec::new();
        match (result, &expected.error) {
            (Ok(output), None) => mismatches.extend(self.compare_output(output)),
            (Ok(_), Some(error)) => mismatches.push(Mismatch::Ended {
                expected: format!("an error: {error}"),
                actual: "a result".to_owned(),
                reason: String::new(),
            }),
            (Err(error), None) => mismatches.push(Mismatch::Ended {
                expected: "a result".to_owned(),
                actual: format!("an error: {}", error.message),
                reason: self.reason(error),
            }),
            (Err(error), Some(expected)) if !error.message.contains(expected.as_str()) => {
                mismatches.push(Mismatch::Ended {
                    expected: format!("an error: {expected}"),
                    actual: format!("an error: {}", error.message),
                    reason: String::new(),
                });
            }
            (Err(_), Some(_)) => {}
        }
        let places = asks_differ(&expected.asks, asked);
        if !places.is_empty() {
            mismatches
                .push(Mismatch::Differs { file: "asks.json".to_owned(), differences: places });
        }
        mismatches
    }

    /// Where it ended, and what lets it go on.
    fn reason(&self, error: &RunError) -> String {
        let place = error.stack.first().cloned();
        let could_have_more = match error.kind {
            RunErrorKind::Limit(limit) => limit != Limit::Stack && !self.has_own_limits,
            _ => false,
        };
        let more = "`limits` in its case.json let a case use more than the bot may".to_owned();
        let parts: Vec<_> = place.into_iter().chain(could_have_more.then_some(more)).collect();
        parts.join("; ")
    }

    fn compare_output(&self, output: &Output) -> Option<Mismatch> {
        let actual = file_of(output);
        match (&self.expected.output, actual) {
            (None, None) => None,
            (Some((file, _)), None) => Some(Mismatch::Missing { file: file.clone() }),
            (None, Some((file, content))) => Some(Mismatch::NotExpected {
                file: file.to_owned(),
                actual: String::from_utf8_lossy(&content).replace('\r', "\n"),
            }),
            (Some((file, _)), Some((other, _))) if file != other => Some(Mismatch::Ended {
                expected: file.clone(),
                actual: other.to_owned(),
                reason: "the result is of another kind".to_owned(),
            }),
            (Some((file, expected)), Some((_, actual))) => {
                let found = match file.as_str() {
                    "out.hl7" => differences(expected, &actual, CharsetRule::Declared),
                    "out.json" => match serde_json::from_slice::<Value>(expected) {
                        Ok(expected) => {
                            let actual = serde_json::from_slice(&actual).unwrap_or(Value::Null);
                            json_differences(&expected, &actual)
                        }
                        Err(_) => texts_differ(expected, &actual),
                    },
                    _ => texts_differ(expected, &actual),
                };
                let file = file.clone();
                (!found.is_empty()).then_some(Mismatch::Differs { file, differences: found })
            }
        }
    }

    /// The files that say what came out.
    fn updates(&self, result: &Result<Output, RunError>, asked: &[Value]) -> Vec<Update> {
        let mut wanted: BTreeMap<&str, Vec<u8>> = BTreeMap::new();
        match result {
            Ok(output) => {
                if let Some((name, content)) = file_of(output) {
                    wanted.insert(name, content);
                }
            }
            Err(error) => {
                wanted.insert("error.txt", format!("{}\n", error.message).into_bytes());
            }
        }
        if !asked.is_empty() || wanted.is_empty() {
            wanted.insert("asks.json", pretty(&Value::from(asked.to_vec())));
        }
        let mut updates = Vec::new();
        for name in OUT.iter().chain(&["error.txt", "asks.json"]) {
            let path = self.path.join(name);
            match wanted.remove(name) {
                Some(content) => updates.push(Update { path, content: Some(content) }),
                None if path.exists() => updates.push(Update { path, content: None }),
                None => {}
            }
        }
        updates
    }
}

fn pretty(value: &Value) -> Vec<u8> {
    format!("{value:#}\n").into_bytes()
}

/// The file that a result stands in: HL7 with a line for each segment.
fn file_of(output: &Output) -> Option<(&'static str, Vec<u8>)> {
    Some(match output {
        Output::Nothing => return None,
        Output::Hl7(bytes) => {
            let mut lines: Vec<u8> =
                bytes.iter().map(|byte| if *byte == b'\r' { b'\n' } else { *byte }).collect();
            if lines.last() != Some(&b'\n') {
                lines.push(b'\n');
            }
            ("out.hl7", lines)
        }
        Output::Text(text) => ("out.txt", text.clone().into_bytes()),
        Output::Bytes(bytes) => ("out.bin", bytes.clone()),
        Output::Json(text) => {
            ("out.json", pretty(&serde_json::from_str(text).unwrap_or(Value::Null)))
        }
    })
}

fn texts_differ(expected: &[u8], actual: &[u8]) -> Vec<Difference> {
    if expected == actual {
        return Vec::new();
    }
    let text = |bytes: &[u8]| Some(String::from_utf8_lossy(bytes).into_owned());
    vec![difference("the text", text(expected), text(actual))]
}

fn difference(place: &str, expected: Option<String>, actual: Option<String>) -> Difference {
    Difference { place: place.to_owned(), name: None, expected, actual }
}

/// Where two JSON values differ: `entry[0].resource.name[0].family`.
fn json_differences(expected: &Value, actual: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    walk("", Some(expected), Some(actual), &mut found);
    found
}

fn walk(
    place: &str,
    expected: Option<&Value>,
    actual: Option<&Value>,
    found: &mut Vec<Difference>,
) {
    let below = |name: &str| {
        if place.is_empty() { name.to_owned() } else { format!("{place}.{name}") }
    };
    match (expected, actual) {
        (Some(one), Some(other)) if one == other => {}
        (Some(Value::Object(one)), Some(Value::Object(other))) => {
            for (name, value) in one {
                walk(&below(name), Some(value), other.get(name), found);
            }
            for (name, value) in other.iter().filter(|(name, _)| !one.contains_key(*name)) {
                walk(&below(name), None, Some(value), found);
            }
        }
        (Some(Value::Array(one)), Some(Value::Array(other))) => {
            for at in 0..one.len().max(other.len()) {
                walk(&format!("{place}[{at}]"), one.get(at), other.get(at), found);
            }
        }
        (one, other) => {
            let text = |value: &Value| match value {
                Value::String(text) => text.clone(),
                value => value.to_string(),
            };
            let place = if place.is_empty() { "the value" } else { place };
            found.push(difference(place, one.map(text), other.map(text)));
        }
    }
}

/// Where what was asked differs from what was expected to be; answers are no part of that.
fn asks_differ(expected: &[Value], asked: &[Value]) -> Vec<Difference> {
    let mut found = Vec::new();
    let without_answer = |ask: &Value| {
        let mut plain = ask.clone();
        if let Some(members) = plain.as_object_mut() {
            members.remove("answer");
        }
        plain
    };
    for at in 0..expected.len().max(asked.len()) {
        let number = at.saturating_add(1);
        let (one, other) =
            (expected.get(at).map(without_answer), asked.get(at).map(without_answer));
        let titles = [&one, &other].map(|ask| ask.as_ref().and_then(|ask| ask["ask"].as_str()));
        if titles[0] != titles[1] || one.is_none() || other.is_none() {
            let [expected, actual] = titles.map(|title| title.map(str::to_owned));
            found.push(difference(&format!("ask {number}"), expected, actual));
            continue;
        }
        walk(&format!("ask {number}"), one.as_ref(), other.as_ref(), &mut found);
    }
    found
}

/// The outside of a case.
struct CaseHost {
    now: Timestamp,
    random: u64,
    /// What is written in `asks.json` and was not used yet.
    open: Vec<Option<Value>>,
    outside: Option<LocalHost>,
    granted: Granted,
    /// What was answered and is not granted, and why; each once.
    not_granted: Vec<(String, String)>,
    /// What was asked, each with its answer.
    asked: Vec<Value>,
    /// What only a person can answer, and nobody did; each once.
    unanswered: Vec<String>,
    log: Vec<LogLine>,
    concealed: Concealed,
}

/// Whether only a person can say what the answer is: there is no such outside where cases run.
fn is_answered_by_hand(ask: &Ask) -> bool {
    matches!(ask, Ask::Fetch { .. } | Ask::Sftp { .. } | Ask::ExecuteBot { .. })
}

impl CaseHost {
    /// The answer that is written: to the same, else (where none may be asked for it) to the next of the same kind.
    fn written(&mut self, ask: &Ask) -> Option<Result<Answer, AskError>> {
        let mut shown = asked::ask(ask);
        self.concealed.value(&mut shown);
        let shown = &shown;
        let same = |written: &Value| {
            let names = ["ask", "headers", "body", "value", "contentType", "reason", "argument"];
            names.iter().all(|name| written[*name] == shown[*name])
        };
        let alike = |written: &Value| written["ask"] == shown["ask"];
        let position = |matches: &dyn Fn(&Value) -> bool| {
            self.open.iter().position(|one| one.as_ref().is_some_and(matches))
        };
        let at = position(&same).or_else(|| match self.outside {
            Some(_) if !is_answered_by_hand(ask) => None,
            _ => position(&alike),
        })?;
        let mut written = self.open.get_mut(at)?.take()?;
        self.concealed.reveal(&mut written["answer"]);
        asked::answer_of(&written["answer"])
    }
}

impl Host for CaseHost {
    fn now(&mut self) -> Timestamp {
        self.now
    }

    fn random(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            self.random ^= self.random << 13;
            self.random ^= self.random >> 7;
            self.random ^= self.random << 17;
            *byte = self.random.to_le_bytes()[0];
        }
    }

    fn ask(&mut self, ask: &Ask, remaining: Duration) -> Result<Answer, AskError> {
        let title = self.concealed.text(&asked::title(ask)).into_owned();
        let answer = match (self.written(ask), &mut self.outside) {
            (Some(answer), _) => answer,
            (None, Some(_)) if is_answered_by_hand(ask) => {
                let error = format!("the case has no answer to `{title}`: write it into asks.json");
                if !self.unanswered.contains(&title) {
                    self.unanswered.push(title.clone());
                }
                Err(AskError::Failed(error))
            }
            (None, Some(outside)) => outside.answer(ask, remaining),
            (None, None) => Err(AskError::Failed(format!(
                "the case has no answer to `{title}`: write it into asks.json, or let --update ask for it"
            ))),
        };
        let is_refused = answer.as_ref().is_ok_and(|answer| answer.status == 403);
        if !is_refused && let Some(why) = self.granted.refusal(ask) {
            let lacks = (title, why);
            if !self.not_granted.contains(&lacks) {
                self.not_granted.push(lacks);
            }
        }
        let one = (ask.clone(), answer);
        let mut shown = asked::asked(&one);
        self.concealed.value(&mut shown);
        self.asked.push(shown);
        one.1
    }

    /// What is written as given up stays open, and its time passes.
    fn begin(&mut self, _: u32, ask: &Ask, remaining: Duration) -> Begun {
        match self.ask(ask, remaining) {
            Err(AskError::GivenUp) => Begun::Open,
            answer => Begun::Answered(answer),
        }
    }

    fn wait(&mut self, duration: Duration) {
        self.now = self.now.checked_add(duration).unwrap_or(self.now);
    }

    fn log(&mut self, mut line: LogLine) {
        line.text = self.concealed.text(&line.text).into_owned();
        self.log.push(line);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(expected: Value, actual: Value, places: &[&str]) {
        let found: Vec<_> =
            json_differences(&expected, &actual).iter().map(ToString::to_string).collect();
        assert_eq!(found, places);
    }

    #[test]
    fn json_differs_where_its_values_do() {
        check(json!({ "a": [1, { "b": "x" }] }), json!({ "a": [1, { "b": "x" }] }), &[]);
        check(
            json!({ "a": [1, { "b": "x" }], "c": 1 }),
            json!({ "a": [1, { "b": "y" }, 2], "d": null }),
            &[
                "a[1].b: expected `x`, found `y`",
                "a[2]: not expected, found `2`",
                "c: missing, expected `1`",
                "d: not expected, found `null`",
            ],
        );
        check(json!("a"), json!({}), &["the value: expected `a`, found `{}`"]);
    }

    #[test]
    fn asks_are_compared_one_by_one_and_without_their_answers() {
        let one = json!({ "ask": "datastore POST Patient", "body": { "a": 1 }, "answer": { "status": 201 } });
        let other = json!({ "ask": "datastore POST Patient", "body": { "a": 2 }, "answer": {} });
        let third = json!({ "ask": "park", "answer": {} });
        let found = asks_differ(&[one], &[other, third]);
        let found: Vec<_> = found.iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            ["ask 1.body.a: expected `1`, found `2`", "ask 2: not expected, found `park`"]
        );
    }
}
