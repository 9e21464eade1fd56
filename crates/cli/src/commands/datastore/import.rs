//! `pipehat datastore import`: lines from files become resources.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::PathBuf;

use indicatif::ProgressBar;
use pipehat_resource::json::parse;
use pipehat_resource::outcome::Issue;
use pipehat_resource::validate::{Checks, validate};
use pipehat_server::{IMPORT_LINES_MAX, Imported, OfflineUse};
use pipehat_store::datastore::{LINE_BYTES_MAX, Unfit, fit};
use serde::Serialize;

use super::super::prove::progress_of;
use super::{Place, counter, resources};
use crate::exit::{Exit, Failure};
use crate::input::Source;
use crate::resource_store::ResourceStore;
use crate::terminal::{Terminal, Tone, visible};

/// Lines are sent together up to so many bytes; a line that is longer goes alone.
const GROUP_BYTES: usize = 2 * 1024 * 1024;

/// How many findings are told one by one; the others are counted.
const FINDINGS_MAX: usize = 100;

const EXAMPLES: &str = "\
Examples:
  pipehat datastore import patients.ndjson observations.ndjson
  pipehat datastore import --validate all.ndjson
  gunzip -c all.ndjson.gz | pipehat datastore import -

A line is a resource with its id. One that stands there already becomes a new version, or stays as
it is where nothing differs; so an import that was broken off may be done again. It stops at the
first line that can't be taken in; up to 200 lines before it, which would have been taken in with
it, may not be there either. Refused are, told by their line: what is no JSON, has a type that R4 does
not have, an id that can't be one, or the tag SUBSETTED, and AuditEvents, which only the server makes.
Nothing else is checked.

With --validate, each line is first checked against R4. One that breaks a rule is left out and told
by its line, never by a value; the others are taken in, and the exit code is 1.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Import {
    /// The files with a resource in each line; `-` is standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,

    /// Check each resource, and leave out those that break a rule
    #[arg(long)]
    validate: bool,

    /// What became of the lines, as JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    place: Place,
}

/// What became of the lines.
#[derive(Debug, Default, Serialize)]
struct Report {
    created: u64,
    updated: u64,
    unchanged: u64,
    /// How many lines were left out.
    left_out: u64,
    /// Why, the first of it.
    findings: Vec<Finding>,
    /// How many findings there were.
    findings_all: u64,
}

/// A rule that a line breaks.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Finding {
    file: String,
    line: u64,
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    expression: Option<String>,
    text: String,
}

/// Lines that wait to be taken in together.
#[derive(Debug, Default)]
struct Lines {
    text: Vec<u8>,
    count: usize,
    /// How many lines of the file came before.
    before: u64,
}

impl Import {
    pub(super) fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let sources: Vec<Source> = self.files.iter().cloned().map(Source::from).collect();
        // A name that is mistyped shows before anything is changed.
        for source in &sources {
            if let Source::File(path) = source {
                File::open(path).map_err(|error| unreadable(source, &error))?;
            }
        }
        let store = self.place.open(OfflineUse::Fill, terminal)?;
        store.begin_import()?;
        let mut report = Report::default();
        let counted = counter(terminal);
        for source in &sources {
            let taken = self.take_in(source, &store, &mut report, &counted);
            if let Err(failure) = taken {
                counted.finish_and_clear();
                terminal.note(format_args!("before that, {}", sum(&report)));
                return Err(failure);
            }
        }
        counted.finish_and_clear();
        let bar = progress_of(terminal, "resources");
        let followed = store.end_import(&bar);
        bar.finish_and_clear();
        followed?;
        show(&report, self.json, terminal)?;
        Ok(if report.left_out == 0 { Exit::Ok } else { Exit::NotSo })
    }

    fn take_in(
        &self,
        source: &Source,
        store: &ResourceStore,
        report: &mut Report,
        counted: &ProgressBar,
    ) -> Result<(), Failure> {
        let name = source.name();
        let mut reader: Box<dyn BufRead> = match source {
            Source::StandardInput => Box::new(io::stdin().lock()),
            Source::File(path) => {
                let file = File::open(path).map_err(|error| unreadable(source, &error))?;
                Box::new(BufReader::with_capacity(256 * 1024, file))
            }
        };
        let mut number = 0u64;
        let mut waiting = Lines::default();
        loop {
            let mut line = Vec::new();
            let read = reader.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line);
            let read = read.map_err(|error| unreadable(source, &error))?;
            let is_full = waiting.count >= IMPORT_LINES_MAX
                || waiting.text.len().saturating_add(line.len()) > GROUP_BYTES;
            if waiting.count > 0 && (read == 0 || is_full) {
                send(std::mem::take(&mut waiting), &name, store, report)?;
                counted.set_position(report.taken_in());
                waiting.before = number;
            }
            if read == 0 {
                return Ok(());
            }
            number = number.saturating_add(1);
            if read as u64 >= LINE_BYTES_MAX {
                let text = format!("{name}: line {number} is longer than {LINE_BYTES_MAX} bytes");
                return Err(Failure::could_not(text));
            }
            if self.validate && !report.accepts(&line, &name, number) {
                // Its place is kept: lines are told by their numbers.
                line.clear();
            }
            if !line.ends_with(b"\n") {
                line.push(b'\n');
            }
            waiting.text.append(&mut line);
            waiting.count = waiting.count.saturating_add(1);
        }
    }
}

fn send(
    lines: Lines,
    name: &str,
    store: &ResourceStore,
    report: &mut Report,
) -> Result<(), Failure> {
    let imported = store.import(lines.text, lines.before).map_err(|failure| {
        let why = failure.message().unwrap_or_default();
        Failure::could_not(format!("{name}: {why}"))
    })?;
    report.add(imported);
    Ok(())
}

impl Report {
    fn add(&mut self, imported: Imported) {
        self.created = self.created.saturating_add(imported.created);
        self.updated = self.updated.saturating_add(imported.updated);
        self.unchanged = self.unchanged.saturating_add(imported.unchanged);
    }

    fn taken_in(&self) -> u64 {
        self.created.saturating_add(self.updated).saturating_add(self.unchanged)
    }

    /// Whether a line breaks no rule; those it breaks are kept.
    fn accepts(&mut self, line: &[u8], file: &str, number: u64) -> bool {
        let found = findings(line);
        if found.is_empty() {
            return true;
        }
        self.left_out = self.left_out.saturating_add(1);
        self.findings_all = self.findings_all.saturating_add(found.len() as u64);
        let room = FINDINGS_MAX.saturating_sub(self.findings.len());
        self.findings.extend(found.into_iter().take(room).map(|(code, expression, text)| {
            Finding { file: file.to_owned(), line: number, code, expression, text }
        }));
        false
    }
}

type Found = (&'static str, Option<String>, String);

/// The rules a line breaks: code, place, text. A blank line breaks none.
fn findings(line: &[u8]) -> Vec<Found> {
    if line.iter().all(u8::is_ascii_whitespace) {
        return Vec::new();
    }
    let resource = match parse(line) {
        Ok(resource) => resource,
        Err(error) => return vec![("structure", None, format!("not JSON: {error}"))],
    };
    let mut found: Vec<Found> = validate(&resource, Checks::All)
        .into_iter()
        .filter(Issue::is_error)
        .map(|issue| (issue.code.as_str(), issue.expression, issue.text))
        .collect();
    if found.is_empty()
        && let Err(unfit) = fit(&resource)
    {
        let (code, text) = match unfit {
            Unfit::Resource => ("required", "the resource has no id to stand under".to_owned()),
            unfit => ("business-rule", unfit.to_string()),
        };
        found.push((code, None, text));
    }
    found
}

fn show(report: &Report, json: bool, terminal: &Terminal) -> Result<(), Failure> {
    if json {
        let text = serde_json::to_string_pretty(report).map_err(Failure::could_not)?;
        return Ok(terminal.write(|output| writeln!(output, "{text}"))?);
    }
    terminal.write(|output| {
        for finding in &report.findings {
            let place = format!("{}:{}", visible(&finding.file), finding.line);
            let place = terminal.paint(Tone::Bad, place);
            let expression = finding.expression.as_deref().unwrap_or("-");
            let text = visible(&finding.text);
            writeln!(output, "{place}: {}: {}: {text}", finding.code, visible(expression))?;
        }
        let more = report.findings_all.saturating_sub(report.findings.len() as u64);
        if more > 0 {
            writeln!(output, "and {more} findings more")?;
        }
        writeln!(output, "{}", sum(report))
    })?;
    Ok(())
}

fn sum(report: &Report) -> String {
    let mut text = format!(
        "{} created, {} updated, {} unchanged",
        resources(report.created),
        report.updated,
        report.unchanged
    );
    if report.left_out > 0 {
        text.push_str(&format!("; {} left out", report.left_out));
    }
    text
}

fn unreadable(source: &Source, error: &io::Error) -> Failure {
    Failure::could_not(format!("cannot read {}: {error}", source.name()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, expected: Option<(&str, Option<&str>)>) {
        let found = findings(line.as_bytes());
        let first = found.first().map(|(code, place, _)| (*code, place.as_deref()));
        assert_eq!(first, expected, "{line}: {found:?}");
    }

    #[test]
    fn lines_are_checked() {
        check("", None);
        check("  \r\n", None);
        check(r#"{"resourceType":"Patient","id":"a","gender":"male"}"#, None);
        check(r#"{"resourceType":"Patient","gender":"male"}"#, Some(("required", None)));
        check("{", Some(("structure", None)));
        check(
            r#"{"resourceType":"Patient","id":"a","birthDate":"yesterday"}"#,
            Some(("value", Some("Patient.birthDate"))),
        );
        let event = r#"{"resourceType":"AuditEvent","id":"forged","type":{"system":"urn:t","code":"rest"},
            "recorded":"2026-01-01T00:00:00Z","agent":[{"requestor":true}],"source":{"observer":{"display":"x"}}}"#;
        check(event, Some(("business-rule", None)));
    }

    #[test]
    fn findings_hold_no_values_and_are_limited() {
        let mut report = Report::default();
        let line = br#"{"resourceType":"Patient","id":"a","birthDate":"SECRET","gender":"SECRET"}"#;
        for number in 1..=200 {
            assert!(!report.accepts(line, "a.ndjson", number));
        }
        assert_eq!((report.left_out, report.findings.len()), (200, FINDINGS_MAX));
        assert!(report.findings_all >= 200);
        assert!(!serde_json::to_string(&report).unwrap().contains("SECRET"));
    }
}
