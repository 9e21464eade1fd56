//! Cases beside the channels, for `pipehat test`: a message, and what must come of it.
//!
//! ```text
//! tests/CHANNEL/CASE/in.hl7            the message as it comes in
//! tests/CHANNEL/CASE/out.DEST.hl7      what goes to a destination; out.DEST.2.hl7 the second
//! tests/CHANNEL/CASE/ended.txt         instead, how it ends: `filtered`, `parked CODE`, `rejected AE`, `kept`
//! tests/CHANNEL/CASE/datastore.json    the resources that its lookups search; for all cases, tests/CHANNEL/datastore.json
//! tests/CHANNEL/CASE/bot.hl7             what the first bot that runs returns (or bot.json); bot.2.hl7 the second
//! tests/CHANNEL/CASE/lookup.json       instead, the answer to the first lookup; lookup.2.json to the second
//! tests/CHANNEL/CASE/case.yaml         the time, the sender and the change of a resource, where they matter (optional)
//! ```
//!
//! Where a message is JSON, its file is `in.json` or `out.DEST.json`; `out.DEST.delete.json` is a deletion.
//!
//! The files may have LF as line ends: messages are compared segment by segment. Every output
//! must be expected and every expectation met. `ended.txt` may leave the code out. The time is
//! 2026-01-01 00:00 UTC, unless `case.yaml` says otherwise, and new control ids are `CASE1`,
//! `CASE2`… Resources are one, a list, or a Bundle of them; an OperationOutcome as an answer refuses it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use bytes::Bytes;
use jiff::Timestamp;
use pipehat_config::{Diagnostic, Diagnostics, Fields, Node, SourceFile, nearest};
use pipehat_connectors::{ChangeKind, PayloadFormat, Peer};
use pipehat_message::CharsetRule;
use pipehat_resource::json;

use super::case_change::{CaseChange, change, tell_change};
use super::case_datastore::{CaseDatastore, DATASTORE, answered_by, returned_by};
use super::channel::ChannelSpec;
use super::difference::{Difference, differences};
use super::files::{EntryKind, ProjectFiles};
use super::load::Project;
use crate::effects::{Effects, LookupAnswer, LookupRequest};
use crate::program::{ProgramInput, Verdict};

/// What came of running cases.
#[derive(Debug)]
pub struct CasesRun {
    /// One report each, in the order of names.
    pub cases: Vec<CaseReport>,
    /// Mistakes in the cases themselves.
    pub diagnostics: Diagnostics,
}

impl CasesRun {
    /// Whether every case passed and none has a mistake.
    pub fn passed(&self) -> bool {
        !self.diagnostics.is_err() && self.cases.iter().all(|case| case.mismatches.is_empty())
    }
}

/// One case. It holds the case's values, which are synthetic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseReport {
    /// The channel.
    pub channel: String,
    /// The case: its folder's name.
    pub case: String,
    /// Where it came out otherwise than expected; none when it passed.
    pub mismatches: Vec<Mismatch>,
    /// What to write so that it passes, if what came out is right.
    pub updates: Vec<CaseUpdate>,
}

impl CaseReport {
    /// The case's folder in the project.
    pub fn folder(&self) -> String {
        format!("tests/{}/{}", self.channel, self.case)
    }
}

/// One way in which a case came out otherwise than expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mismatch {
    /// The case says nothing about what must come out.
    NothingExpected,
    /// The message ended another way.
    Ended {
        /// As `ended.txt` says, or `delivered` where there are `out` files.
        expected: String,
        /// How it ended.
        actual: String,
        /// Where and why, for one that did not go out.
        reason: String,
    },
    /// A destination got nothing of what this file expects.
    Missing {
        /// The file.
        file: String,
    },
    /// A destination got a message that no file expects.
    NotExpected {
        /// The file that would.
        file: String,
        /// The message.
        actual: String,
    },
    /// A message differs.
    Differs {
        /// The file that expects another.
        file: String,
        /// Where.
        differences: Vec<Difference>,
    },
}

/// A file to write, or to remove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseUpdate {
    /// The file's path in the project.
    pub path: String,
    /// Its content; none: it goes.
    pub content: Option<Vec<u8>>,
}

/// The time in cases that do not say it.
const CASE_TIME: Timestamp = Timestamp::constant(1_767_225_600, 0);

/// Runs the cases of a project: all, or those of one channel (`adt-in`), or one (`adt-in/admit`).
pub fn run_cases(project: &Project, files: &dyn ProjectFiles, wanted: Option<&str>) -> CasesRun {
    let mut run = CasesRun { cases: Vec::new(), diagnostics: Diagnostics::new() };
    let (wanted_channel, wanted_case) = match wanted.map(|wanted| wanted.trim_end_matches('/')) {
        None => (None, None),
        Some(wanted) => match wanted.split_once('/') {
            Some((channel, case)) => (Some(channel), Some(case)),
            None => (Some(wanted), None),
        },
    };
    for channel in folders(files, "tests", &mut run.diagnostics) {
        if wanted_channel.is_some_and(|wanted| wanted != channel) {
            continue;
        }
        let folder = format!("tests/{channel}");
        let Some(spec) = project.channel(&channel) else {
            let names = project.channels.iter().map(|spec| &*spec.name);
            let error = Diagnostic::error_in_file(
                "project.test-channel",
                folder,
                "there are cases here for a channel that does not exist",
            )
            .with_nearest(nearest(&channel, names))
            .with_help("name the folder as the channel is named");
            run.diagnostics.push(error);
            continue;
        };
        for case in folders(files, &folder, &mut run.diagnostics) {
            if wanted_case.is_some_and(|wanted| wanted != case) {
                continue;
            }
            run.cases.extend(run_case(spec, &case, files, &mut run.diagnostics));
        }
    }
    run
}

fn folders(files: &dyn ProjectFiles, folder: &str, diagnostics: &mut Diagnostics) -> Vec<String> {
    match files.list(folder) {
        Ok(entries) => entries
            .into_iter()
            .filter(|entry| entry.kind == EntryKind::Folder && !entry.name.starts_with('.'))
            .map(|entry| entry.name)
            .collect(),
        Err(error) => {
            unreadable(folder, &error, diagnostics);
            Vec::new()
        }
    }
}

fn unreadable(path: &str, error: &std::io::Error, diagnostics: &mut Diagnostics) {
    let message = format!("this can't be read: {error}");
    diagnostics.push(Diagnostic::error_in_file("project.unreadable", path, message));
}

/// What a case's folder says.
pub(super) struct Case {
    pub(super) input: Vec<u8>,
    /// By file name.
    outputs: BTreeMap<String, Vec<u8>>,
    ended: Option<String>,
    pub(super) facts: CaseFacts,
    datastore: CaseDatastore,
}

pub(super) struct CaseFacts {
    now: Timestamp,
    pub(super) peer: Peer,
    pub(super) change: Option<CaseChange>,
    /// Which kind of change it tells of; a creation where it tells of none.
    pub(super) told: ChangeKind,
}

impl Default for CaseFacts {
    fn default() -> Self {
        Self { now: CASE_TIME, peer: Peer::default(), change: None, told: ChangeKind::Create }
    }
}

fn run_case(
    spec: &ChannelSpec,
    name: &str,
    files: &dyn ProjectFiles,
    diagnostics: &mut Diagnostics,
) -> Option<CaseReport> {
    let folder = format!("tests/{}/{name}", spec.name);
    let mut case = read_case(&folder, spec, files, diagnostics)?;
    if !case.datastore.has_resources() {
        let path = format!("tests/{}/{DATASTORE}", spec.name);
        match files.read(&path) {
            Ok(Some(content)) => case.datastore.add_resources(&path, &content, diagnostics),
            Ok(None) => {}
            Err(error) => unreadable(&path, &error, diagnostics),
        }
    }
    let bytes = Bytes::from(case.input.clone());
    let input = ProgramInput { bytes: &bytes, channel: &spec.name, peer: &case.facts.peer };
    let datastore = &mut case.datastore;
    let mut effects = CaseEffects { now: case.facts.now, control_ids: 0, datastore };
    let verdict = spec.program.run(&input, &mut effects);
    if let Some(unanswered) = case.datastore.unanswered() {
        let (message, help) = if case.datastore.lacks_a_bot() {
            let help = "what the second run returns is `bot.2.hl7`; `true` in `bot.json` says that it returns nothing";
            (unanswered.to_owned(), help)
        } else {
            let help = "put the resources that it searches into `datastore.json`, or the answer into \
                 `lookup.json` (the second into `lookup.2.json`)";
            (format!("the channel searches what this case can't answer: {unanswered}"), help)
        };
        diagnostics.push(
            Diagnostic::error_in_file("project.test-lookup", folder, message).with_help(help),
        );
        return None;
    }
    let mut came_out = came_out(spec, verdict, case.facts.told);
    if !case.datastore.asked().is_empty() && !came_out.reason.is_empty() {
        came_out.reason.push_str(&format!("; {}", case.datastore.asked().join(", ")));
    }
    let mismatches = compare(&case, &came_out, spec.charset);
    let updates = updates(&folder, &case, &came_out);
    Some(CaseReport {
        channel: spec.name.to_string(),
        case: name.to_owned(),
        updates: if mismatches.is_empty() { Vec::new() } else { updates },
        mismatches,
    })
}

struct CaseEffects<'c> {
    now: Timestamp,
    control_ids: u32,
    datastore: &'c mut CaseDatastore,
}

impl Effects for CaseEffects<'_> {
    fn now(&mut self) -> Timestamp {
        self.now
    }

    fn control_id(&mut self) -> String {
        self.control_ids = self.control_ids.saturating_add(1);
        format!("CASE{}", self.control_ids)
    }

    fn lookup(&mut self, request: &LookupRequest) -> Option<LookupAnswer> {
        self.datastore.answer(request)
    }
}

fn read_case(
    folder: &str,
    spec: &ChannelSpec,
    files: &dyn ProjectFiles,
    diagnostics: &mut Diagnostics,
) -> Option<Case> {
    let entries = match files.list(folder) {
        Ok(entries) => entries,
        Err(error) => {
            unreadable(folder, &error, diagnostics);
            return None;
        }
    };
    let mut case = Case {
        input: Vec::new(),
        outputs: BTreeMap::new(),
        ended: None,
        facts: CaseFacts::default(),
        datastore: CaseDatastore::default(),
    };
    let ending = ending(spec.format);
    let input = format!("in{ending}");
    let mut has_input = false;
    for entry in entries.into_iter().filter(|entry| entry.kind == EntryKind::File) {
        let path = format!("{folder}/{}", entry.name);
        let content = match files.read(&path) {
            Ok(content) => content.unwrap_or_default(),
            Err(error) => {
                unreadable(&path, &error, diagnostics);
                return None;
            }
        };
        match entry.name.as_str() {
            name if name == input => {
                case.input = content;
                has_input = true;
            }
            "ended.txt" => {
                case.ended = Some(String::from_utf8_lossy(&content).trim().to_owned());
            }
            "case.yaml" => case.facts = case_facts(&path, &content, diagnostics)?,
            DATASTORE => case.datastore.add_resources(&path, &content, diagnostics),
            name if let Some(number) = answered_by(name) => {
                case.datastore.add_answer(number, &path, &content, diagnostics);
            }
            name if let Some(run) = returned_by(name) => case.datastore.add_returned(run, content),
            name if name.starts_with("out.")
                && (name.ends_with(".hl7") || name.ends_with(".json")) =>
            {
                case.outputs.insert(entry.name, content);
            }
            _ => {}
        }
    }
    if !has_input {
        diagnostics.push(
            Diagnostic::error_in_file("project.unreadable", folder, "this case has no message")
                .with_help(format!("put the message that comes in into `{input}`")),
        );
        return None;
    }
    tell_change(spec, &mut case, diagnostics)?;
    Some(case)
}

/// How the files of messages end.
fn ending(format: PayloadFormat) -> &'static str {
    match format {
        PayloadFormat::Hl7 => ".hl7",
        PayloadFormat::Json => ".json",
    }
}

/// How the file of what goes out ends: a bot or a translation may make the one of the other.
fn ending_of(bytes: &[u8]) -> &'static str {
    let is_json = bytes.trim_ascii_start().starts_with(b"{");
    ending(if is_json { PayloadFormat::Json } else { PayloadFormat::Hl7 })
}

/// Whether both are JSON and say the same, however they are laid out.
fn is_same_json(expected: &[u8], actual: &[u8]) -> bool {
    matches!((json::parse(expected), json::parse(actual)), (Ok(one), Ok(other)) if one == other)
}

fn case_facts(path: &str, content: &[u8], diagnostics: &mut Diagnostics) -> Option<CaseFacts> {
    let file = SourceFile::from_bytes(path, content, diagnostics)?;
    let node = Node::parse(&file, diagnostics)?;
    let mut fields = Fields::of(&node, "case", diagnostics)?;
    let now = fields.optional("now", |node, diagnostics| {
        let text = node.text_not_empty(diagnostics)?;
        let now = text.parse::<Timestamp>();
        now.map_err(|_| {
            diagnostics.push(
                Diagnostic::error("project.unreadable", &node.span, "this is not a time")
                    .with_help("write it as `2026-01-31T12:00:00Z`"),
            );
        })
        .ok()
    });
    let peer = fields.optional("peer", peer);
    let change = fields.optional("fhir", change);
    fields.finish().then_some(CaseFacts {
        now: now.unwrap_or(CASE_TIME),
        peer: peer.unwrap_or_default(),
        change,
        told: ChangeKind::Create,
    })
}

fn peer(node: &Node, diagnostics: &mut Diagnostics) -> Option<Peer> {
    let text = |node: &Node, diagnostics: &mut Diagnostics| {
        node.text_not_empty(diagnostics).map(str::to_owned)
    };
    let mut fields = Fields::of(node, "peer", diagnostics)?;
    let address = fields.optional("address", |node, diagnostics| {
        let address = node.text_not_empty(diagnostics)?.parse::<IpAddr>();
        address
            .map_err(|_| {
                diagnostics.push(
                    Diagnostic::error(
                        "project.unreadable",
                        &node.span,
                        "this is not an IP address",
                    )
                    .with_help("write it without a port: `10.0.0.7`"),
                );
            })
            .ok()
    });
    let identity = fields.optional("identity", text);
    let file = fields.optional("file", text);
    let headers = fields.optional("headers", |node, diagnostics| {
        let map = node.map("headers", diagnostics)?;
        let mut headers = Vec::new();
        for (key, node) in map.iter() {
            headers.push((key.text.clone(), node.text(diagnostics)?.to_owned()));
        }
        Some(headers)
    });
    let address = address.map(|address| (address, 0).into());
    let peer = Peer { address, identity, file, headers: headers.unwrap_or_default() };
    fields.finish().then_some(peer)
}

/// What the program made of a case's message.
struct CameOut {
    /// `delivered`, `kept`, `filtered`, `parked CODE` or `rejected AE`.
    ended: String,
    reason: String,
    /// By file name, in the order sent.
    outputs: Vec<(String, Bytes)>,
}

fn came_out(spec: &ChannelSpec, mut verdict: Verdict, told: ChangeKind) -> CameOut {
    let application = spec.reply.application();
    if let Verdict::Routed { outputs, .. } = &mut verdict {
        outputs.retain(|output| {
            let destination = spec.destinations.get(usize::from(output.destination));
            application.is_none() || destination.map(|one| &one.name) != application
        });
    }
    let only_kept = spec.destinations.len() == usize::from(application.is_some());
    let ended = |ended: String, reason: String| CameOut { ended, reason, outputs: Vec::new() };
    match verdict {
        Verdict::Filtered { by, why } => {
            let reason = why.map_or_else(|| by.to_string(), |why| format!("{why}, {by}"));
            ended("filtered".to_owned(), reason)
        }
        // Of a case that can't be answered nothing is compared.
        Verdict::Waits { .. } => ended("waits".to_owned(), String::new()),
        Verdict::Rejected { code, text, at, .. } => {
            ended(format!("rejected {}", code.as_str()), format!("{text}, {at}"))
        }
        Verdict::Parked { code, reason, at, .. } => {
            ended(format!("parked {code}"), format!("{reason}, {at}"))
        }
        Verdict::Routed { outputs, .. } if outputs.is_empty() && only_kept => {
            ended("kept".to_owned(), "the channel has no destinations".to_owned())
        }
        Verdict::Routed { outputs, .. } if outputs.is_empty() => {
            ended("filtered".to_owned(), "no destination wanted it".to_owned())
        }
        Verdict::Routed { outputs, .. } => {
            let mut counts: BTreeMap<u16, usize> = BTreeMap::new();
            let outputs = outputs.into_iter().filter_map(|output| {
                let count = counts.entry(output.destination).or_default();
                *count += 1;
                let name = &spec.destinations.get(usize::from(output.destination))?.name;
                let ending = ending_of(&output.bytes);
                // The bytes are the same, what is done with them is not.
                let deletes = if told == ChangeKind::Delete { ".delete" } else { "" };
                let file = match *count {
                    1 => format!("out.{name}{deletes}{ending}"),
                    count => format!("out.{name}.{count}{deletes}{ending}"),
                };
                Some((file, output.bytes))
            });
            CameOut {
                ended: "delivered".to_owned(),
                reason: String::new(),
                outputs: outputs.collect(),
            }
        }
    }
}

fn compare(case: &Case, came_out: &CameOut, charset: CharsetRule) -> Vec<Mismatch> {
    if case.outputs.is_empty() && case.ended.is_none() {
        return vec![Mismatch::NothingExpected];
    }
    let expected = case.ended.clone().unwrap_or_else(|| "delivered".to_owned());
    // The code may be left out.
    let as_expected =
        came_out.ended == expected || came_out.ended.split(' ').next() == Some(expected.as_str());
    let mut mismatches = Vec::new();
    if !as_expected {
        mismatches.push(Mismatch::Ended {
            expected,
            actual: came_out.ended.clone(),
            reason: came_out.reason.clone(),
        });
        if came_out.outputs.is_empty() {
            return mismatches;
        }
    }
    for (file, actual) in &came_out.outputs {
        let Some(expected) = case.outputs.get(file) else {
            let actual = charset.text(actual).replace('\r', "\n");
            mismatches.push(Mismatch::NotExpected { file: file.clone(), actual });
            continue;
        };
        if is_same_json(expected, actual) {
            continue;
        }
        let differences = differences(expected, actual, charset);
        if !differences.is_empty() {
            mismatches.push(Mismatch::Differs { file: file.clone(), differences });
        }
    }
    let came = |file: &String| came_out.outputs.iter().any(|(own, _)| own == file);
    let missing = case.outputs.keys().filter(|file| !came(file));
    mismatches.extend(missing.map(|file| Mismatch::Missing { file: file.clone() }));
    mismatches
}

/// The files as they would have to be.
fn updates(folder: &str, case: &Case, came_out: &CameOut) -> Vec<CaseUpdate> {
    let path = |file: &str| format!("{folder}/{file}");
    // The files of a case look alike: with line feeds where the message was written so.
    let line_feeds = !case.input.contains(&b'\r');
    let mut updates = Vec::new();
    for (file, bytes) in &came_out.outputs {
        let content: Vec<u8> = bytes
            .iter()
            .map(|&byte| if line_feeds && byte == b'\r' { b'\n' } else { byte })
            .collect();
        if case.outputs.get(file) != Some(&content) {
            updates.push(CaseUpdate { path: path(file), content: Some(content) });
        }
    }
    let came = |file: &String| came_out.outputs.iter().any(|(own, _)| own == file);
    for file in case.outputs.keys().filter(|file| !came(file)) {
        updates.push(CaseUpdate { path: path(file), content: None });
    }
    match (&case.ended, came_out.ended.as_str()) {
        (Some(_), "delivered") => {
            updates.push(CaseUpdate { path: path("ended.txt"), content: None });
        }
        (None, "delivered") => {}
        (before, now) => {
            if before.as_deref() != Some(now) {
                let content = format!("{now}\n").into_bytes();
                updates.push(CaseUpdate { path: path("ended.txt"), content: Some(content) });
            }
        }
    }
    updates
}
