//! `pipehat message validate`: where messages depart from the standard.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use indicatif::ProgressBar;
use pipehat_dictionary::validation::{Constraints, Level, Standard, Validator};
use pipehat_dictionary::{Finding, Version};
use pipehat_message::Severity;
use serde_json::{Value as Json, json};

use crate::commands::prove::progress;
use crate::exit::{Exit, Failure};
use crate::input::Source;
use crate::message_file::{CharsetOption, MessageFile};
use crate::terminal::{Terminal, Tone, fit};
use crate::version_name;

const EXAMPLES: &str = "\
Examples:
  pipehat message validate admit.hl7
  pipehat message validate inbox/ --level strict
  pipehat message validate lab.hl7 --version 2.5.1 --show information
  pipehat message validate lab.hl7 --profile lab2
  cat *.hl7 | pipehat message validate - --json | jq -r '.findings[].rule'

A finding says where, how bad, what is wrong and what to do, the rule's name, and where the standard
says so; never a value. `--level` says how strictly to look:

  lenient   only what makes a message unusable
  standard  what breaks receivers is an error, what irritates them a warning
  strict    to the letter, for those who test what they send

`docs/validation.md` lists every rule with its severity at each level. Files may hold batches and
several messages; of a directory all files in it and below are read, but hidden ones.

The exit code is 0 when no message has an error, 1 when one has or cannot be read as a message, and 3
when a file cannot be read. `--fail-on warning` makes it 1 for warnings too.

The JSON has an object for each message, a line each: `file`, `message` (its number in the file),
`type`, `version` and `structure` it was read by, `errors`, `warnings`, `information` (counts) and
`findings`; each of these has `path`, `group` (the segment group), `severity`, `rule`, `code`
(table 0357), `text`, `name`, `clause`.";

/// How many files of a directory are read, and how deep it goes: more is a mistyped path.
const FILES_MAX: usize = 1_000_000;
const DEPTH_MAX: usize = 32;

/// Files this large show how far they are.
const PROGRESS_MESSAGES_MIN: usize = 2_000;

/// Check messages against the standard
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Files or directories; `-` for standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,

    /// How strictly to look: lenient, standard or strict
    #[arg(long, value_name = "LEVEL", default_value = "standard", value_parser = level)]
    level: Level,

    /// Read every message by this version, whatever MSH-12 says
    #[arg(long = "version", value_name = "VERSION", value_parser = version_name::read_by)]
    version: Option<Version>,

    /// A profile of the partner's messages: a name of this project, or a file
    #[arg(long, value_name = "PROFILE")]
    profile: Option<String>,

    /// The least severity to list: error, warning or information [default: warning; with --json all]
    #[arg(long, value_name = "SEVERITY", value_parser = severity)]
    show: Option<Least>,

    /// The least severity that makes the exit code 1
    #[arg(long, value_name = "SEVERITY", default_value = "error", value_parser = severity)]
    fail_on: Least,

    /// Print an object for each message, a line each
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    charset: CharsetOption,
}

/// A severity and all that is worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Least(Severity);

impl Least {
    fn includes(self, severity: Severity) -> bool {
        rank(severity) >= rank(self.0)
    }
}

const fn rank(severity: Severity) -> u8 {
    match severity {
        Severity::Information => 0,
        Severity::Warning => 1,
        Severity::Error => 2,
    }
}

/// A severity in words.
pub(crate) const fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Information => "information",
    }
}

fn severity(text: &str) -> Result<Least, String> {
    match text {
        "error" => Ok(Least(Severity::Error)),
        "warning" => Ok(Least(Severity::Warning)),
        "information" => Ok(Least(Severity::Information)),
        _ => Err("write error, warning or information".to_owned()),
    }
}

fn level(text: &str) -> Result<Level, String> {
    Level::named(text).ok_or_else(|| "write lenient, standard or strict".to_owned())
}

/// What came of all files.
#[derive(Debug, Default)]
struct Tally {
    files: usize,
    messages: u64,
    with_errors: u64,
    unreadable: u64,
    /// Files that could not be read.
    unread: u64,
    failing: u64,
    errors: u64,
    warnings: u64,
    information: u64,
    /// How often each rule was departed from.
    rules: BTreeMap<&'static str, u64>,
}

impl Arguments {
    pub(crate) fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let sources = sources(&self.files)?;
        let mut validator = Validator::new(self.level);
        let profile = match &self.profile {
            Some(name) => Some(crate::commands::profile::constraints(name, terminal)?),
            None => None,
        };
        let constraints: &dyn Constraints = match &profile {
            Some(profile) => profile,
            None => &Standard,
        };
        if let Some(version) = self.version {
            validator = validator.with_version(version);
        }
        let mut tally = Tally::default();
        let bar = if sources.len() > 1 { progress(terminal) } else { ProgressBar::hidden() };
        bar.set_length(sources.len() as u64);
        let mut could_not = None;
        terminal.write(|output| {
            for source in &sources {
                match MessageFile::read(source, self.charset) {
                    Ok(file) => {
                        file.warn(terminal);
                        self.file(
                            &source.name(),
                            &file,
                            (&mut validator, constraints),
                            &mut tally,
                            terminal,
                            output,
                        )?;
                    }
                    Err(error) => {
                        let failure = Failure::from(error);
                        let text = failure.message().unwrap_or_default();
                        bar.suspend(|| terminal.error(text));
                        could_not = Some(failure.exit());
                        tally.unread = tally.unread.saturating_add(1);
                    }
                }
                tally.files = tally.files.saturating_add(1);
                bar.inc(1);
            }
            bar.finish_and_clear();
            if self.json { Ok(()) } else { self.summary(&tally, terminal, output) }
        })?;
        Ok(match could_not {
            Some(exit) => exit,
            None if tally.failing > 0 || tally.unreadable > 0 => Exit::NotSo,
            None => Exit::Ok,
        })
    }

    fn file(
        &self,
        name: &str,
        file: &MessageFile,
        (validator, constraints): (&mut Validator, &dyn Constraints),
        tally: &mut Tally,
        terminal: &Terminal,
        output: &mut dyn Write,
    ) -> io::Result<()> {
        let Ok(messages) = file.chosen(None) else { return Ok(()) };
        let several = file.count() > 1;
        let bar = if file.count() >= PROGRESS_MESSAGES_MIN {
            progress(terminal)
        } else {
            ProgressBar::hidden()
        };
        bar.set_length(file.count() as u64);
        for (index, message) in messages.enumerate() {
            tally.messages = tally.messages.saturating_add(1);
            let number = index.saturating_add(1);
            let place = if several { format!("{name}, message {number}") } else { name.to_owned() };
            let message = match message {
                Ok(message) => message,
                Err(error) => {
                    tally.unreadable = tally.unreadable.saturating_add(1);
                    let text = Failure::from(error).message().unwrap_or_default();
                    self.unreadable(name, number, &place, &text, terminal, output)?;
                    continue;
                }
            };
            validator.set_text_form(message.form.of_validation());
            validator.validate(&message.message, constraints);
            let findings = validator.findings();
            let errors = u64::from(findings.errors());
            let warnings = u64::from(findings.warnings());
            let information = u64::from(findings.information());
            let fails = match self.fail_on.0 {
                Severity::Error => errors > 0,
                Severity::Warning => errors > 0 || warnings > 0,
                Severity::Information => !findings.is_empty(),
            };
            tally.failing = tally.failing.saturating_add(u64::from(fails));
            tally.with_errors = tally.with_errors.saturating_add(u64::from(errors > 0));
            tally.errors = tally.errors.saturating_add(errors);
            tally.warnings = tally.warnings.saturating_add(warnings);
            tally.information = tally.information.saturating_add(information);
            for finding in findings {
                let count = tally.rules.entry(finding.rule_id()).or_default();
                *count = count.saturating_add(1);
            }
            if self.json {
                let kind = message.message.segment("MSH", 1).and_then(|header| header.field(9));
                let kind = kind.map(|kind| message.form.text(kind.raw()).into_owned());
                let version = validator.resolved().map(|resolved| resolved.version);
                let structure = validator.resolved().and_then(|resolved| resolved.structure);
                let listed: Vec<Json> = findings
                    .iter()
                    .filter(|finding| self.shows(finding))
                    .map(|finding| json_of(finding, &validator.group_of(finding)))
                    .collect();
                let object = json!({
                    "file": name,
                    "message": number,
                    "type": kind,
                    "version": version.map(|version| version.to_string()),
                    "structure": structure.map(|structure| structure.name()),
                    "errors": errors,
                    "warnings": warnings,
                    "information": information,
                    "findings": listed,
                });
                serde_json::to_writer(&mut *output, &object)?;
                writeln!(output)?;
            } else {
                let listed = findings.iter().filter(|finding| self.shows(finding));
                self.list(&place, listed, terminal, output)?;
            }
            bar.inc(1);
        }
        bar.finish_and_clear();
        Ok(())
    }

    fn shows(&self, finding: &Finding) -> bool {
        let least = self.show.unwrap_or(Least(if self.json {
            Severity::Information
        } else {
            Severity::Warning
        }));
        least.includes(finding.severity)
    }

    fn unreadable(
        &self,
        name: &str,
        number: usize,
        place: &str,
        text: &str,
        terminal: &Terminal,
        output: &mut dyn Write,
    ) -> io::Result<()> {
        if self.json {
            let object = json!({ "file": name, "message": number, "unreadable": text });
            serde_json::to_writer(&mut *output, &object)?;
            return writeln!(output);
        }
        writeln!(output, "{}", terminal.paint(Tone::Strong, place))?;
        writeln!(output, "  {} {text}", terminal.paint(Tone::Bad, "unreadable:"))
    }

    fn list<'f>(
        &self,
        place: &str,
        findings: impl Iterator<Item = &'f Finding>,
        terminal: &Terminal,
        output: &mut dyn Write,
    ) -> io::Result<()> {
        let width = terminal.width();
        for (index, finding) in findings.enumerate() {
            if index == 0 {
                writeln!(output, "{}", terminal.paint(Tone::Strong, place))?;
            }
            let tone = match finding.severity {
                Severity::Error => Tone::Bad,
                Severity::Warning => Tone::Warning,
                Severity::Information => Tone::Faint,
            };
            let severity = terminal.paint(tone, format_args!("{:<11}", word(finding.severity)));
            let path = terminal.paint(Tone::Strong, finding.path());
            writeln!(output, "  {severity} {path}  {}", finding.text())?;
            let clause = finding.clause();
            let source = if clause.is_empty() { String::new() } else { format!(", {clause}") };
            let about = format!("{:14}[{}]{source}", "", finding.rule_id());
            writeln!(output, "{}", terminal.paint(Tone::Faint, fit(&about, width)))?;
        }
        Ok(())
    }

    fn summary(
        &self,
        tally: &Tally,
        terminal: &Terminal,
        output: &mut dyn Write,
    ) -> io::Result<()> {
        let Tally { files, messages, with_errors, errors, warnings, information, .. } = tally;
        let listed = tally.errors > 0 || tally.warnings > 0 || tally.unreadable > 0;
        if listed {
            writeln!(output)?;
        }
        let of_files = if *files > 1 { format!(" in {files} files") } else { String::new() };
        let verdict = if tally.failing == 0 && tally.unreadable == 0 && tally.unread == 0 {
            terminal.paint(Tone::Good, "ok")
        } else {
            terminal.paint(Tone::Bad, "not ok")
        };
        writeln!(
            output,
            "{verdict}: {messages} message(s){of_files} at level {}, {with_errors} with errors; \
             {errors} error(s), {warnings} warning(s), {information} information",
            self.level
        )?;
        if tally.unread > 0 {
            writeln!(output, "{} file(s) cannot be read", tally.unread)?;
        }
        if tally.unreadable > 0 {
            writeln!(output, "{} message(s) cannot be read", tally.unreadable)?;
        }
        if *messages > 1 && !tally.rules.is_empty() {
            let mut rules: Vec<_> = tally.rules.iter().collect();
            rules.sort_by_key(|(rule, count)| (std::cmp::Reverse(**count), **rule));
            for (rule, count) in rules {
                writeln!(output, "{count:>9} × {rule}")?;
            }
        }
        Ok(())
    }
}

fn json_of(finding: &Finding, group: &str) -> Json {
    json!({
        "path": finding.path(),
        "group": group,
        "severity": word(finding.severity),
        "rule": finding.rule_id(),
        "code": finding.code().number(),
        "text": finding.text(),
        "name": finding.name(),
        "clause": finding.clause(),
    })
}

/// A directory that cannot be gone through.
#[derive(Debug, thiserror::Error)]
enum DirectoryError {
    #[error("cannot list {name}")]
    List {
        name: String,
        #[source]
        source: io::Error,
    },
    #[error("{name} holds more than {FILES_MAX} files: name fewer")]
    TooMany { name: String },
    #[error("{name} goes deeper than {DEPTH_MAX} directories")]
    TooDeep { name: String },
}

/// The files meant: those named, and of directories those in them, by name.
pub(crate) fn sources(names: &[PathBuf]) -> Result<Vec<Source>, Failure> {
    let mut sources = Vec::new();
    for name in names {
        if name.is_dir() {
            files_below(name, 0, &mut sources).map_err(Failure::could_not)?;
        } else {
            sources.push(Source::from(name.clone()));
        }
    }
    Ok(sources)
}

fn files_below(
    directory: &Path,
    depth: usize,
    sources: &mut Vec<Source>,
) -> Result<(), DirectoryError> {
    let name = || directory.display().to_string();
    if depth >= DEPTH_MAX {
        return Err(DirectoryError::TooDeep { name: name() });
    }
    let list = |source| DirectoryError::List { name: name(), source };
    let mut entries = Vec::new();
    for entry in fs::read_dir(directory).map_err(list)? {
        let entry = entry.map_err(list)?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            entries.push(entry.path());
        }
    }
    entries.sort();
    for path in entries {
        if path.is_dir() {
            files_below(&path, depth.saturating_add(1), sources)?;
        } else {
            if sources.len() >= FILES_MAX {
                return Err(DirectoryError::TooMany { name: name() });
            }
            sources.push(Source::File(path));
        }
    }
    Ok(())
}
