//! `pipehat message diff`: what differs between two messages, by path.

use std::path::PathBuf;

use pipehat_dictionary::path_name_in;
use pipehat_dictionary::profile::Profile;
use pipehat_message::{Difference, Path, Value, differences};
use serde_json::{Value as Json, json};

use super::path::TypedPath;
use crate::exit::{Exit, Failure};
use crate::input::Source;
use crate::message_file::{FileMessage, MessageFile, Reading, TextForm};
use crate::terminal::{Terminal, Tone, visible};

const EXAMPLES: &str = r#"Examples:
  pipehat message diff before.hl7 after.hl7
  pipehat message diff expected.hl7 actual.hl7 --ignore MSH-7 --ignore MSH-10
  pipehat message diff lab-before.hl7 lab-after.hl7 --profile lab2
  pipehat message diff a.hl7 b.hl7 --json | jq -r '.[].path'

Segments are aligned by name and content, then the smallest parts that differ are told, as they stand
between the delimiters. How segments end is no difference. Files of several messages are compared
message by message, in order. A path is that in the first file; in the JSON each side has its own,
and `left` and `right` are null where nothing stands.

The exit code is 1 when something differs."#;

/// Show what differs between two messages
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The first file; `-` for standard input
    #[arg(value_name = "A")]
    left: PathBuf,

    /// The second file; `-` for standard input
    #[arg(value_name = "B")]
    right: PathBuf,

    /// Do not compare what stands here, like MSH-7 or 'OBX(*)-14'
    #[arg(long, value_name = "PATH")]
    ignore: Vec<String>,

    /// Print a list of differences as JSON
    #[arg(long)]
    json: bool,

    /// A profile with names for the partner's own: a name of this project, or a file
    #[arg(long, value_name = "PROFILE")]
    profile: Option<String>,

    #[command(flatten)]
    reading: Reading,
}

#[derive(Debug, thiserror::Error)]
#[error("both files cannot be standard input: name one")]
struct StandardInputTwice;

/// One difference, as it is shown.
struct Line {
    message: Option<usize>,
    place: String,
    name: Option<String>,
    left_path: Option<String>,
    right_path: Option<String>,
    left: Option<String>,
    right: Option<String>,
}

impl Arguments {
    pub(crate) fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let profile = match &self.profile {
            Some(name) => Some(crate::commands::profile::load(name, terminal)?),
            None => None,
        };
        let profile = profile.as_ref();
        let ignored = self.ignore.iter().map(|text| TypedPath::read(text));
        let ignored = ignored.collect::<Result<Vec<_>, _>>()?;
        let sources = [Source::from(self.left), Source::from(self.right)];
        if sources == [Source::StandardInput, Source::StandardInput] {
            return Err(Failure::usage(StandardInputTwice));
        }
        let [left_source, right_source] = &sources;
        let left = MessageFile::read(left_source, self.reading.charset)?;
        let right = MessageFile::read(right_source, self.reading.charset)?;
        let mut lines = Vec::new();
        let several = self.reading.number.is_none() && (left.count() > 1 || right.count() > 1);
        let count = match self.reading.number {
            Some(_) => 1,
            None => left.count().min(right.count()),
        };
        for number in (1..).take(count) {
            let number = self.reading.number.unwrap_or(number);
            let (left, right) = (left.one(Some(number))?, right.one(Some(number))?);
            left.warn(terminal);
            right.warn(terminal);
            let found = differences(&left.message, &right.message);
            let wanted = found.iter().filter(|it| {
                let path = it.path();
                !ignored.iter().any(|outer| path.is_some_and(|path| is_within(path, &outer.path)))
            });
            lines.extend(
                wanted.map(|difference| Line::of(difference, &left, &right, several, profile)),
            );
        }
        let counts_differ = several && left.count() != right.count();
        self::print(&lines, self.json, terminal)?;
        if counts_differ {
            terminal.note(format_args!(
                "{} holds {} message(s), {} holds {}",
                left_source.name(),
                left.count(),
                right_source.name(),
                right.count()
            ));
        }
        Ok(if lines.is_empty() && !counts_differ { Exit::Ok } else { Exit::NotSo })
    }
}

/// Whether a path names a part of what another names, or that itself.
fn is_within(path: &Path, outer: &Path) -> bool {
    use pipehat_message::Occurrence;
    let names = |outer: Occurrence, inner: Occurrence| outer == Occurrence::All || outer == inner;
    let first = |repetition: Option<Occurrence>| repetition.unwrap_or(Occurrence::FIRST);
    let one = std::num::NonZeroU16::MIN;
    path.segment() == outer.segment()
        && names(outer.occurrence(), path.occurrence())
        && (outer.field().is_none() || outer.field() == path.field())
        && outer.repetition().is_none_or(|outer| names(outer, first(path.repetition())))
        && outer.component().is_none_or(|outer| outer == path.component().unwrap_or(one))
        && outer.subcomponent().is_none_or(|outer| outer == path.subcomponent().unwrap_or(one))
}

/// What the standard or the profile calls the place, in the message whose path it is.
fn name(
    difference: &Difference<'_>,
    left: &FileMessage<'_>,
    right: &FileMessage<'_>,
    profile: Option<&Profile>,
) -> Option<String> {
    let sides = [(&difference.left.path, left), (&difference.right.path, right)];
    sides.into_iter().find_map(|(path, side)| path_name_in(&side.message, path.as_ref()?, profile))
}

impl Line {
    fn of(
        difference: &Difference<'_>,
        left: &FileMessage<'_>,
        right: &FileMessage<'_>,
        several: bool,
        profile: Option<&Profile>,
    ) -> Self {
        let text = |value: Option<Value<'_>>, form: TextForm| {
            value.map(|value| form.text(value.raw()).into_owned())
        };
        let sides = [&difference.left, &difference.right];
        let line = sides.iter().find_map(|side| side.segment_index).unwrap_or(0);
        let place = match difference.path() {
            Some(path) => path.to_string(),
            None => format!("line {}", line.saturating_add(1)),
        };
        Self {
            message: several.then_some(left.number),
            place,
            name: name(difference, left, right, profile),
            left_path: difference.left.path.as_ref().map(ToString::to_string),
            right_path: difference.right.path.as_ref().map(ToString::to_string),
            left: text(difference.left.value, left.form),
            right: text(difference.right.value, right.form),
        }
    }

    fn json(&self) -> Json {
        let Self { message, place, name, left_path, right_path, left, right } = self;
        let mut json = json!({
            "path": place,
            "name": name,
            "left_path": left_path,
            "right_path": right_path,
            "left": left,
            "right": right,
        });
        if let (Some(message), Some(map)) = (message, json.as_object_mut()) {
            map.insert("message".to_owned(), json!(message));
        }
        json
    }
}

fn print(lines: &[Line], as_json: bool, terminal: &Terminal) -> Result<(), Failure> {
    if as_json {
        let list: Vec<_> = lines.iter().map(Line::json).collect();
        return Ok(terminal.write(|output| {
            serde_json::to_writer(&mut *output, &list)?;
            writeln!(output)
        })?);
    }
    let shown = |value: &Option<String>, tone: Tone| match value.as_deref() {
        None => terminal.paint(Tone::Faint, "(absent)"),
        Some("") => terminal.paint(Tone::Faint, "(empty)"),
        Some(value) => terminal.paint(tone, visible(value)),
    };
    Ok(terminal.write(|output| {
        for line in lines {
            if let Some(message) = line.message {
                write!(output, "message {message}: ")?;
            }
            let (left, right) = (shown(&line.left, Tone::Bad), shown(&line.right, Tone::Good));
            let name = line.name.as_deref().unwrap_or_default();
            let name = if name.is_empty() { String::new() } else { format!("  {name}") };
            let name = terminal.paint(Tone::Faint, name);
            writeln!(
                output,
                "{}{name}: {left} → {right}",
                terminal.paint(Tone::Strong, &line.place)
            )?;
        }
        Ok(())
    })?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, outer: &str, expected: bool) {
        let read = |text: &str| Path::parse(text).expect("a path");
        assert_eq!(is_within(&read(path), &read(outer)), expected, "{path} within {outer}");
    }

    #[test]
    fn a_path_is_within_itself_and_what_contains_it() {
        check("MSH-7", "MSH-7", true);
        check("MSH-7.1", "MSH-7", true);
        check("PID-3[2].1", "PID-3", true);
        check("PID-3[2].1", "PID-3[*].1", true);
        check("PID-3[2].1", "PID-3.1", false);
        check("PID-3", "PID-3.1", true);
        check("PID-3.2", "PID-3.1", false);
        check("OBX(3)-14", "OBX(*)-14", true);
        check("OBX(3)-14", "OBX-14", false);
        check("OBX(3)-14", "OBX(*)", true);
        check("OBX(3)", "OBX(*)-14", false);
    }
}
