//! `pipehat test`: runs a project's cases and shows what came out otherwise than expected.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use pipehat_engine::project::{
    CaseReport, CaseUpdate, CasesRun, DirectoryFiles, Project, run_cases,
};
use pipehat_server::{LookingOn, ProcessEnvironment};
use serde_json::json;

use super::project::{must_exist, show};
use crate::exit::{Exit, Failure};
use crate::output_file;
use crate::terminal::Terminal;

pub(in crate::commands) mod junit;
pub(in crate::commands) mod report;

const EXAMPLES: &str = "\
Examples:
  pipehat test                         every case of the project in this folder
  pipehat test feeds                   of the project in the folder feeds
  pipehat test . adt-in/admit          one case
  pipehat test tests/adt-in/admit      the same, as the shell completes it
  pipehat test --channel adt-in        the cases of one channel
  pipehat test --update                write what came out; look at it
  pipehat test --junit results.xml     also a report that build servers read

A case is a folder beside the channels:
  tests/CHANNEL/CASE/in.hl7            the message as it comes in
  tests/CHANNEL/CASE/out.DEST.hl7      what goes to DEST; out.DEST.2.hl7 next
  tests/CHANNEL/CASE/ended.txt         how it ends: `filtered`, `parked`…
  tests/CHANNEL/CASE/case.yaml         time and sender, where they matter
Messages that are JSON stand in in.json and out.DEST.json, a deletion in out.DEST.delete.json.
To begin, write in.hl7 and let --update write the rest. Nothing is started, nothing is sent: the
channel's steps run as they would, at a fixed time and with fixed control ids.

The exit code is 1 when a case fails or the project has mistakes.";

/// Run the cases of a project and show what came out otherwise than expected
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The project directory
    #[arg(value_name = "DIR", default_value = ".")]
    directory: PathBuf,

    /// Only this case (CHANNEL/CASE), or this channel's
    #[arg(value_name = "CASE")]
    case: Option<String>,

    /// Only the cases of this channel
    #[arg(long, value_name = "NAME", conflicts_with = "case")]
    channel: Option<String>,

    /// Write what came out into the files of the cases
    #[arg(long)]
    update: bool,

    /// Write a JUnit report into this file
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,

    /// The result as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, thiserror::Error)]
#[error("there is no case `{wanted}` in {}: cases are folders below tests/CHANNEL/", directory.display())]
struct NoSuchCase {
    wanted: String,
    directory: PathBuf,
}

#[derive(Debug, thiserror::Error)]
#[error("the case's file {} can't be removed", path.display())]
struct NotRemoved {
    path: PathBuf,
    #[source]
    source: std::io::Error,
}

/// What was run, and what became of it.
struct Outcome {
    run: CasesRun,
    took: Duration,
    /// The files that `--update` wrote or removed.
    updated: Vec<CaseUpdate>,
}

impl Outcome {
    fn passed(&self) -> usize {
        self.run.cases.iter().filter(|case| self.is_in_order(case)).count()
    }

    /// Whether it came out as expected, or what is expected was written anew.
    fn is_in_order(&self, case: &CaseReport) -> bool {
        case.mismatches.is_empty() || self.is_updated(case)
    }

    fn is_updated(&self, case: &CaseReport) -> bool {
        !case.updates.is_empty() && case.updates.iter().all(|update| self.updated.contains(update))
    }

    /// Where what was written says that a message does not go out, and how it ends.
    fn now_refused(&self) -> impl Iterator<Item = (&CaseReport, String)> {
        self.run.cases.iter().filter_map(|case| {
            let ended = case.updates.iter().find(|update| {
                update.path.ends_with("/ended.txt") && self.updated.contains(update)
            });
            let ended = String::from_utf8_lossy(ended?.content.as_deref()?).trim().to_owned();
            (ended.starts_with("parked") || ended.starts_with("rejected")).then_some((case, ended))
        })
    }

    /// What is written as right is passed from then on: that a message is refused must not become that unseen.
    fn warn_of_refused(&self, terminal: &Terminal) {
        for (case, ended) in self.now_refused() {
            terminal.warn(format_args!(
                "{}/{} now expects that its message is not sent: {}",
                case.channel,
                case.case,
                crate::terminal::visible(&ended)
            ));
        }
        if self.now_refused().next().is_some() {
            terminal.note("where it should go out, mend the channel and run --update again");
        }
    }

    fn exit(&self) -> Exit {
        let in_order = self.passed() == self.run.cases.len() && !self.run.diagnostics.is_err();
        if in_order { Exit::Ok } else { Exit::NotSo }
    }
}

impl Arguments {
    pub(crate) fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let (directory, wanted) = self.wanted();
        must_exist(&directory)?;
        let loaded = Project::load(&directory, &ProcessEnvironment, &LookingOn);
        let Some(project) = loaded.project else {
            if self.json {
                let result =
                    json!({ "ok": false, "diagnostics": report::diagnostics(&loaded.diagnostics) });
                terminal.write(|output| writeln!(output, "{result:#}"))?;
            } else {
                show(&loaded.diagnostics, terminal);
                terminal.note("the project has mistakes: no case was run");
            }
            return Ok(Exit::NotSo);
        };
        let start = Instant::now();
        let run = run_cases(&project, &DirectoryFiles::new(&directory), wanted.as_deref());
        let mut outcome = Outcome { run, took: start.elapsed(), updated: Vec::new() };
        if let Some(wanted) = wanted
            && outcome.run.cases.is_empty()
            && !outcome.run.diagnostics.is_err()
        {
            return Err(Failure::usage(NoSuchCase { wanted, directory }));
        }
        if self.update {
            for update in outcome.run.cases.iter().flat_map(|case| &case.updates) {
                write(&directory, update)?;
                outcome.updated.push(update.clone());
            }
        }
        if let Some(path) = &self.junit {
            output_file::replace(path, junit::report(&outcome).as_bytes())?;
        }
        if self.json {
            let result = report::json(&outcome);
            terminal.write(|output| writeln!(output, "{result:#}"))?;
        } else {
            if !outcome.run.diagnostics.is_empty() {
                show(&outcome.run.diagnostics, terminal);
            }
            report::print(&outcome, &project, terminal)?;
        }
        outcome.warn_of_refused(terminal);
        Ok(outcome.exit())
    }

    /// The project, and the cases asked for. A case may stand where the directory does, and as the
    /// path of its folder, for the shell completes that.
    fn wanted(&self) -> (PathBuf, Option<String>) {
        if let Some(case) = self.case.as_ref().or(self.channel.as_ref()) {
            return (self.directory.clone(), Some(case_name(case).to_owned()));
        }
        if let Some(text) = self.directory.to_str() {
            let below_tests = text.strip_prefix("./").unwrap_or(text).starts_with("tests/");
            if below_tests || !self.directory.is_dir() {
                return (PathBuf::from("."), Some(case_name(text).to_owned()));
            }
        }
        (self.directory.clone(), None)
    }
}

/// `adt-in/admit` of `./tests/adt-in/admit/`.
fn case_name(text: &str) -> &str {
    let plain = text.strip_prefix("./").unwrap_or(text);
    plain.strip_prefix("tests/").unwrap_or(text).trim_end_matches('/')
}

fn write(directory: &Path, update: &CaseUpdate) -> Result<(), Failure> {
    let path = directory.join(&update.path);
    match &update.content {
        Some(content) => Ok(output_file::replace(&path, content)?),
        None => std::fs::remove_file(&path)
            .map_err(|source| Failure::could_not(NotRemoved { path, source })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(directory: &str, case: Option<&str>, expected: (&str, Option<&str>)) {
        let arguments = Arguments {
            directory: PathBuf::from(directory),
            case: case.map(str::to_owned),
            channel: None,
            update: false,
            junit: None,
            json: false,
        };
        let (found, wanted) = arguments.wanted();
        assert_eq!((found.to_str(), wanted.as_deref()), (Some(expected.0), expected.1));
    }

    #[test]
    fn a_case_may_stand_where_the_directory_does() {
        check(".", None, (".", None));
        check("src", None, ("src", None));
        check("src/", None, ("src/", None));
        check("src", Some("adt-in/admit"), ("src", Some("adt-in/admit")));
        check(".", Some("tests/adt-in/admit/"), (".", Some("adt-in/admit")));
        check("tests/adt-in/admit", None, (".", Some("adt-in/admit")));
        check("./tests/adt-in/", None, (".", Some("adt-in")));
        check("adt-in/admit", None, (".", Some("adt-in/admit")));
    }
}
