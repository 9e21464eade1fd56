//! How the cases went: for people, with expected and actual under each other, and as JSON.

use std::io::{self, Write};

use pipehat_config::Diagnostics;
use pipehat_engine::project::{CaseReport, Difference, Mismatch, Project};
use serde_json::{Value, json};

use super::Outcome;
use crate::exit::OutputError;
use crate::terminal::{Terminal, Tone, columns, fit, visible};

/// Places longer than this do not push the others to the right.
const PLACE_COLUMNS_MAX: usize = 36;

pub(super) fn print(
    outcome: &Outcome,
    project: &Project,
    terminal: &Terminal,
) -> Result<(), OutputError> {
    terminal.write(|output| {
        for case in &outcome.run.cases {
            one(outcome, case, terminal, output)?;
        }
        summary(outcome, project, terminal, output)
    })
}

fn one(
    outcome: &Outcome,
    case: &CaseReport,
    terminal: &Terminal,
    output: &mut dyn Write,
) -> io::Result<()> {
    let name = format!("{}/{}", case.channel, case.case);
    if case.mismatches.is_empty() {
        if terminal.is_quiet() {
            return Ok(());
        }
        return writeln!(output, "{}  {name}", terminal.paint(Tone::Good, "ok     "));
    }
    let (tone, word) = match outcome.is_updated(case) {
        true => (Tone::Warning, "updated"),
        false => (Tone::Bad, "FAILED "),
    };
    writeln!(output, "{}  {}", terminal.paint(tone, word), terminal.paint(Tone::Strong, name))?;
    for mismatch in &case.mismatches {
        // What a case lacked is written by now.
        if matches!(mismatch, Mismatch::NothingExpected) && outcome.is_updated(case) {
            continue;
        }
        show_mismatch(&case.folder(), mismatch, "pipehat test", terminal, output)?;
    }
    for update in case.updates.iter().filter(|update| outcome.updated.contains(update)) {
        let did = if update.content.is_some() { "wrote" } else { "removed" };
        writeln!(output, "  {did} {}", update.path)?;
    }
    Ok(())
}

/// Shows one way in which a case came out otherwise; `command` writes what came out by `--update`.
pub(in crate::commands) fn show_mismatch(
    folder: &str,
    mismatch: &Mismatch,
    command: &str,
    terminal: &Terminal,
    output: &mut dyn Write,
) -> io::Result<()> {
    let file = |file: &str| terminal.paint(Tone::Strong, format!("{folder}/{file}"));
    match mismatch {
        Mismatch::NothingExpected => writeln!(
            output,
            "  {} says nothing about what must come out: let `{command} --update` write what comes\n  \
             out, and read it",
            terminal.paint(Tone::Strong, folder)
        ),
        Mismatch::Ended { expected, actual, reason } => {
            writeln!(output, "  how it ends")?;
            pair("", Some(expected), Some(actual), 0, terminal, output)?;
            if reason.is_empty() {
                return Ok(());
            }
            writeln!(output, "      because   {}", visible(reason))
        }
        Mismatch::Missing { file: name } => {
            writeln!(output, "  {}: nothing was sent that it would expect", file(name))
        }
        Mismatch::NotExpected { file: name, actual } => {
            writeln!(output, "  {}: does not exist, but this was sent:", file(name))?;
            for line in actual.lines() {
                let line =
                    fit(&visible(line), terminal.width().map(|width| width.saturating_sub(4)));
                writeln!(output, "    {}", terminal.paint(Tone::Bad, line))?;
            }
            Ok(())
        }
        Mismatch::Differs { file: name, differences } => {
            writeln!(output, "  {}", file(name))?;
            let places: Vec<_> = differences.iter().map(Difference::named_place).collect();
            let width = places.iter().map(|place| columns(place)).max().unwrap_or(0);
            for (Difference { expected, actual, .. }, place) in differences.iter().zip(&places) {
                let (expected, actual) = (expected.as_deref(), actual.as_deref());
                pair(place, expected, actual, width.min(PLACE_COLUMNS_MAX), terminal, output)?;
            }
            Ok(())
        }
    }
}

/// Expected and actual under each other, so that the eye finds where they part.
fn pair(
    place: &str,
    expected: Option<&str>,
    actual: Option<&str>,
    width: usize,
    terminal: &Terminal,
    output: &mut dyn Write,
) -> io::Result<()> {
    let taken = 4 + width + usize::from(width > 0) * 2 + 10;
    let room = terminal.width().map(|columns| columns.saturating_sub(taken).max(10));
    let value = |value: Option<&str>, tone| match value {
        Some("") => terminal.paint(Tone::Faint, "(empty)"),
        Some(value) => terminal.paint(tone, fit(&visible(value), room)),
        None => terminal.paint(Tone::Faint, "(nothing)"),
    };
    let gap = if width > 0 { "  " } else { "" };
    writeln!(output, "    {place:width$}{gap}expected  {}", value(expected, Tone::Good))?;
    writeln!(output, "    {:width$}{gap}actual    {}", "", value(actual, Tone::Bad))
}

fn summary(
    outcome: &Outcome,
    project: &Project,
    terminal: &Terminal,
    output: &mut dyn Write,
) -> io::Result<()> {
    let cases = outcome.run.cases.len();
    if cases == 0 && outcome.run.diagnostics.is_err() {
        return writeln!(output, "no case was run: those there are have mistakes");
    }
    if cases == 0 {
        let channel = project.channels.first().map_or("CHANNEL", |channel| &*channel.name);
        return writeln!(
            output,
            "no cases yet. Write one:\n  \
             mkdir -p tests/{channel}/first\n  \
             put a message that comes in into tests/{channel}/first/in.hl7\n  \
             pipehat test --update     writes what comes out beside it; read it, and keep it if it is right"
        );
    }
    let failed = cases - outcome.passed();
    let updated = outcome.run.cases.iter().filter(|case| outcome.is_updated(case)).count();
    let mut parts = Vec::new();
    if failed > 0 {
        parts.push(terminal.paint(Tone::Bad, format!("{failed} failed")));
    }
    if updated > 0 {
        parts.push(terminal.paint(Tone::Warning, format!("{updated} updated")));
    }
    parts.push(terminal.paint(Tone::Good, format!("{} passed", outcome.passed() - updated)));
    writeln!(output, "{} of {}", parts.join(", "), counted(cases, "case"))?;
    if failed > 0 && !terminal.is_quiet() {
        writeln!(
            output,
            "where what came out is right, `pipehat test --update` writes it into the files"
        )?;
    }
    Ok(())
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// One line about a mismatch, for reports that have no layout.
pub(super) fn sentence(mismatch: &Mismatch) -> String {
    match mismatch {
        Mismatch::NothingExpected => "the case says nothing about what must come out".to_owned(),
        Mismatch::Ended { expected, actual, reason } if reason.is_empty() => {
            format!("expected to end as `{expected}`, ended as `{actual}`")
        }
        Mismatch::Ended { expected, actual, reason } => {
            format!("expected to end as `{expected}`, ended as `{actual}`: {reason}")
        }
        Mismatch::Missing { file } => format!("{file}: nothing was sent that it would expect"),
        Mismatch::NotExpected { file, .. } => {
            format!("{file}: does not exist, but a message was sent")
        }
        Mismatch::Differs { file, differences } => {
            let first = differences.first().map(|one| &one.place);
            let more = differences.len().saturating_sub(1);
            match (first, more) {
                (None, _) => format!("{file} differs"),
                (Some(place), 0) => format!("{file} differs at {place}"),
                (Some(place), more) => {
                    format!("{file} differs at {place} and {}", counted(more, "more place"))
                }
            }
        }
    }
}

pub(super) fn diagnostics(diagnostics: &Diagnostics) -> Value {
    let records = diagnostics.records().into_iter().map(|record| {
        json!({
            "severity": record.severity,
            "code": record.code,
            "file": record.file,
            "line": record.line,
            "column": record.column,
            "message": record.message,
            "help": record.help,
        })
    });
    records.collect()
}

pub(super) fn json(outcome: &Outcome) -> Value {
    let cases = outcome.run.cases.iter().map(|case| {
        json!({
            "channel": case.channel,
            "case": case.case,
            "passed": outcome.is_in_order(case),
            "mismatches": case.mismatches.iter().map(mismatch_json).collect::<Vec<_>>(),
        })
    });
    let updated = outcome
        .updated
        .iter()
        .map(|update| json!({ "file": update.path, "removed": update.content.is_none() }));
    json!({
        "ok": outcome.exit() == crate::exit::Exit::Ok,
        "passed": outcome.passed(),
        "failed": outcome.run.cases.len() - outcome.passed(),
        "seconds": outcome.took.as_secs_f64(),
        "cases": cases.collect::<Vec<_>>(),
        "updated": updated.collect::<Vec<_>>(),
        "diagnostics": diagnostics(&outcome.run.diagnostics),
    })
}

pub(in crate::commands) fn mismatch_json(mismatch: &Mismatch) -> Value {
    let text = sentence(mismatch);
    match mismatch {
        Mismatch::NothingExpected => json!({ "kind": "nothing-expected", "text": text }),
        Mismatch::Ended { expected, actual, reason } => json!({
            "kind": "ended", "text": text,
            "expected": expected, "actual": actual, "reason": reason,
        }),
        Mismatch::Missing { file } => json!({ "kind": "missing", "text": text, "file": file }),
        Mismatch::NotExpected { file, actual } => {
            json!({ "kind": "not-expected", "text": text, "file": file, "actual": actual })
        }
        Mismatch::Differs { file, differences } => {
            let differences = differences.iter().map(|one| {
                json!({
                    "path": one.place,
                    "name": one.name,
                    "expected": one.expected,
                    "actual": one.actual,
                })
            });
            json!({
                "kind": "differs", "text": text, "file": file,
                "differences": differences.collect::<Vec<_>>(),
            })
        }
    }
}
