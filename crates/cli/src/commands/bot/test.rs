//! `pipehat bot test`: runs the cases beside bots, and shows what came out otherwise than expected.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use pipehat_engine::project::Mismatch;
use serde_json::json;

use super::case::{Case, CaseRun};
use super::load::BotFile;
use crate::commands::test::{junit, report};
use crate::exit::{Exit, Failure};
use crate::output_file;
use crate::terminal::{Terminal, Tone, visible};

const EXAMPLES: &str = "\
Examples:
  pipehat bot test                      the cases of all bots below this folder
  pipehat bot test feeds                below the folder feeds
  pipehat bot test --case admission/new those whose name has this in it
  pipehat bot test --update             write what came out; look at it
  pipehat bot test --junit results.xml  also a report that build servers read

A case is a folder beside the bot:
  bots/NAME.cases/CASE/in.hl7           what it is run for; in.json, in.txt
  bots/NAME.cases/CASE/out.hl7          what it returns; out.json, out.txt
  bots/NAME.cases/CASE/error.txt        instead, what its error says
  bots/NAME.cases/CASE/asks.json        what it asks, each with the answer
  bots/NAME.cases/CASE/case.json        now, contentType, secrets, headers,
                                        channel, limits
  bots/NAME.cases/case.json             the same for all of them
  bots/NAME.cases/CASE/resources.json   what the datastore has for --update
To begin, write the input and let --update write the rest: what is asked is then asked of a FHIR
datastore that begins with resources.json, and the answers are kept. Nothing is sent. The time is
2026-01-01 00:00 UTC unless case.json says otherwise.

The exit code is 1 when a case fails, 3 when a bot or a case can't be read.";

/// Run the cases beside bots and show what came out otherwise than expected
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Where the bots are
    #[arg(value_name = "DIR", default_value = ".")]
    directory: PathBuf,

    /// Only cases whose name, BOT/CASE, has this in it
    #[arg(long, value_name = "TEXT")]
    case: Option<String>,

    /// Write what came out into the files of the cases; where that is an error, it is told
    #[arg(long)]
    update: bool,

    /// Show the log of the cases that fail
    #[arg(long)]
    log: bool,

    /// Write a JUnit report into this file
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,

    /// The result as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, thiserror::Error)]
enum TestError {
    #[error("there is no folder {}", .0.display())]
    NoFolder(PathBuf),
    #[error("no case has `{0}` in its name")]
    NoSuchCase(String),
    #[error("there is no bot for the cases in {}: no {name}.ts beside them", folder.display())]
    NoBot { folder: PathBuf, name: String },
    #[error("{} can't be read", path.display())]
    Unreadable {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// What marks a folder of cases.
const CASES: &str = ".cases";

/// How deep folders are looked into.
const DEPTH_MAX: usize = 32;

/// A bot's folder of cases.
struct Suite {
    bot: PathBuf,
    /// `admission`
    name: String,
    folder: PathBuf,
}

/// A case that was run.
struct Done {
    bot: String,
    case: String,
    folder: String,
    run: CaseRun,
    updated: bool,
}

impl Done {
    /// The error that its files say is right since they were written anew.
    fn now_fails(&self) -> Option<&str> {
        self.run.fails.as_deref().filter(|_| self.updated)
    }

    fn is_in_order(&self) -> bool {
        self.run.mismatches.is_empty() || self.updated
    }
}

impl Arguments {
    pub(crate) fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        if !self.directory.is_dir() {
            return Err(Failure::could_not(TestError::NoFolder(self.directory)));
        }
        let start = Instant::now();
        let mut suites = Vec::new();
        find(&self.directory, 0, &mut suites)?;
        let mut done = Vec::new();
        for suite in &suites {
            self.run_suite(suite, terminal, &mut done)?;
        }
        if let Some(case) = &self.case
            && done.is_empty()
        {
            return Err(Failure::usage(TestError::NoSuchCase(case.clone())));
        }
        if self.update {
            for one in &mut done {
                for update in &one.run.updates {
                    match &update.content {
                        Some(content) => output_file::replace(&update.path, content)?,
                        None => fs::remove_file(&update.path)
                            .map_err(|source| unreadable(&update.path, source))?,
                    }
                }
                one.updated = !one.run.updates.is_empty();
            }
        }
        let took = start.elapsed();
        if let Some(path) = &self.junit {
            output_file::replace(path, junit_report(&done, took).as_bytes())?;
        }
        if self.json {
            let result = json_report(&done, took);
            terminal.write(|output| writeln!(output, "{result:#}"))?;
        } else {
            terminal.write(|output| self.print(&done, terminal, output))?;
        }
        warn_of_errors(&done, terminal);
        Ok(if done.iter().all(Done::is_in_order) { Exit::Ok } else { Exit::NotSo })
    }

    fn run_suite(
        &self,
        suite: &Suite,
        terminal: &Terminal,
        done: &mut Vec<Done>,
    ) -> Result<(), Failure> {
        let mut is_told = false;
        let wanted = |case: &str| {
            let name = format!("{}/{case}", suite.name);
            self.case.as_ref().is_none_or(|text| name.contains(text.as_str()))
        };
        let cases: Vec<_> =
            folders(&suite.folder)?.into_iter().filter(|(name, _)| wanted(name)).collect();
        if cases.is_empty() {
            return Ok(());
        }
        let bot = BotFile::find(&suite.bot)?;
        let script = bot.load()?;
        for (case, path) in cases {
            let folder = path.strip_prefix("./").unwrap_or(&path).display().to_string();
            let read = Case::read(&path, &folder, &bot)?;
            if let Some(unread) = read.unread.as_ref().filter(|_| !is_told) {
                terminal.warn(unread);
                is_told = true;
            }
            let run = read.run(&script, &bot.project, self.update)?;
            let bot = suite.name.clone();
            done.push(Done { bot, case, folder: read.folder, run, updated: false });
        }
        Ok(())
    }

    fn print(&self, done: &[Done], terminal: &Terminal, output: &mut dyn Write) -> io::Result<()> {
        for one in done {
            let name = format!("{}/{}", one.bot, one.case);
            if one.run.mismatches.is_empty() {
                if !terminal.is_quiet() {
                    writeln!(output, "{}  {name}", terminal.paint(Tone::Good, "ok     "))?;
                }
                continue;
            }
            let (tone, word) = match one.updated {
                true => (Tone::Warning, "updated"),
                false => (Tone::Bad, "FAILED "),
            };
            writeln!(
                output,
                "{}  {}",
                terminal.paint(tone, word),
                terminal.paint(Tone::Strong, name)
            )?;
            // What a case lacked is written by now.
            let lacked = |mismatch: &&Mismatch| matches!(mismatch, Mismatch::NothingExpected);
            for mismatch in one.run.mismatches.iter().filter(|it| !(one.updated && lacked(it))) {
                report::show_mismatch(&one.folder, mismatch, "pipehat bot test", terminal, output)?;
            }
            for line in one.run.log.iter().filter(|_| self.log && !one.updated) {
                writeln!(output, "    log  {}", visible(&line.text))?;
            }
            for update in one.run.updates.iter().filter(|_| one.updated) {
                let did = if update.content.is_some() { "wrote" } else { "removed" };
                let path = update.path.strip_prefix("./").unwrap_or(&update.path);
                writeln!(output, "  {did} {}", path.display())?;
            }
        }
        summary(done, terminal, output)
    }
}

/// What is written as right is passed from then on: an error must not become that unseen.
fn warn_of_errors(done: &[Done], terminal: &Terminal) {
    for (one, error) in done.iter().filter_map(|one| Some((one, one.now_fails()?))) {
        let error = error.lines().next().unwrap_or_default();
        terminal.warn(format_args!(
            "{}/{} now expects an error: {}",
            one.bot,
            one.case,
            visible(error)
        ));
    }
    if done.iter().any(|one| one.now_fails().is_some()) {
        terminal.note("where it should have a result, mend the bot and run --update again");
    }
}

fn summary(done: &[Done], terminal: &Terminal, output: &mut dyn Write) -> io::Result<()> {
    if done.is_empty() {
        return writeln!(
            output,
            "no cases yet. Write one for bots/NAME.ts:\n  \
             mkdir -p bots/NAME.cases/first\n  \
             put what it is run for into bots/NAME.cases/first/in.hl7, or in.json\n  \
             pipehat bot test --update     writes what comes out beside it; read it, and keep it if it is right"
        );
    }
    let failed = done.iter().filter(|one| !one.is_in_order()).count();
    let updated = done.iter().filter(|one| one.updated).count();
    let passed = done.len().saturating_sub(failed).saturating_sub(updated);
    let mut parts = Vec::new();
    if failed > 0 {
        parts.push(terminal.paint(Tone::Bad, format!("{failed} failed")));
    }
    if updated > 0 {
        parts.push(terminal.paint(Tone::Warning, format!("{updated} updated")));
    }
    parts.push(terminal.paint(Tone::Good, format!("{passed} passed")));
    let cases = if done.len() == 1 { "case" } else { "cases" };
    writeln!(output, "{} of {} {cases}", parts.join(", "), done.len())?;
    if failed > 0 && !terminal.is_quiet() {
        writeln!(
            output,
            "where what came out is right, `pipehat bot test --update` writes it into the files"
        )?;
    }
    Ok(())
}

fn json_report(done: &[Done], took: Duration) -> serde_json::Value {
    let cases = done.iter().map(|one| {
        json!({
            "bot": one.bot,
            "case": one.case,
            "passed": one.is_in_order(),
            "nowExpectsError": one.now_fails(),
            "cpuSeconds": one.run.cpu.as_secs_f64(),
            "mismatches": one.run.mismatches.iter().map(report::mismatch_json).collect::<Vec<_>>(),
        })
    });
    let failed = done.iter().filter(|one| !one.is_in_order()).count();
    let updated = done.iter().filter(|one| one.updated).flat_map(|one| &one.run.updates).map(
        |update| {
            json!({ "file": update.path.display().to_string(), "removed": update.content.is_none() })
        },
    );
    json!({
        "ok": failed == 0,
        "passed": done.len().saturating_sub(failed),
        "failed": failed,
        "seconds": took.as_secs_f64(),
        "cases": cases.collect::<Vec<_>>(),
        "updated": updated.collect::<Vec<_>>(),
    })
}

fn junit_report(done: &[Done], took: Duration) -> String {
    let cases: Vec<_> = done
        .iter()
        .map(|one| junit::JunitCase {
            suite: &one.bot,
            name: &one.case,
            folder: &one.folder,
            mismatches: &one.run.mismatches,
            is_in_order: one.is_in_order(),
        })
        .collect();
    junit::written("pipehat bot test", &cases, &[], took)
}

fn unreadable(path: &Path, source: io::Error) -> Failure {
    Failure::could_not(TestError::Unreadable { path: path.to_owned(), source })
}

/// The folders in a folder, in the order of their names.
fn folders(folder: &Path) -> Result<Vec<(String, PathBuf)>, Failure> {
    let failed = |source| unreadable(folder, source);
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') && entry.path().is_dir() {
            found.push((name, entry.path()));
        }
    }
    found.sort();
    Ok(found)
}

/// Finds the folders of cases, and the bots beside them.
fn find(folder: &Path, depth: usize, suites: &mut Vec<Suite>) -> Result<(), Failure> {
    for (name, path) in folders(folder)? {
        if let Some(bot) = name.strip_suffix(CASES) {
            let beside = |ending: &&str| folder.join(format!("{bot}.{ending}"));
            let file = ["ts", "mts", "js", "mjs"].iter().map(beside).find(|file| file.is_file());
            let no_bot = || TestError::NoBot { folder: path.clone(), name: bot.to_owned() };
            let file = file.ok_or_else(no_bot).map_err(Failure::could_not)?;
            suites.push(Suite { bot: file, name: bot.to_owned(), folder: path });
        } else if name != "node_modules" && depth < DEPTH_MAX && !path.is_symlink() {
            find(&path, depth.saturating_add(1), suites)?;
        }
    }
    Ok(())
}
