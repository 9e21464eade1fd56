//! `pipehat message get`: what stands at some paths.

use std::path::PathBuf;

use pipehat_message::{Message, Value};
use serde_json::{Map, Value as Json};

use super::path::TypedPath;
use crate::exit::{Exit, Failure};
use crate::input::Source;
use crate::message_file::{MessageFile, Reading, TextForm};
use crate::terminal::{Terminal, visible};

const EXAMPLES: &str = r#"Examples:
  pipehat message get admit.hl7 PID-5.1
  pipehat message get admit.hl7 PID-3.1 PID-5 'OBX(*)-5' --json
  pipehat message get batch.hl7 MSH-10 --message 3
  cat admit.hl7 | pipehat message get - PID-8

With --json it prints one object: each path as you typed it, and the value as text. Absent is null,
empty is "", HL7's null (delete what you know) is "\"\"". A path with `*` gives a list. A byte that is
no character in the message's character set becomes the character U+10FE00 + byte.

Without --json it prints one line for each value, with its path before it when there are several;
control characters are shown as \xNN. Where nothing stands, the exit code is 1."#;

/// Print what stands at paths of a message
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The file; `-` for standard input
    file: PathBuf,

    /// Where to look, like PID-3.1 or 'OBX(*)-5'
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<String>,

    /// Print one JSON object: path to value
    #[arg(long)]
    json: bool,

    /// What stands between the delimiters, escape sequences not decoded
    #[arg(long)]
    raw: bool,

    #[command(flatten)]
    reading: Reading,
}

impl Arguments {
    pub(crate) fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let paths = self.paths.iter().map(|text| TypedPath::read(text));
        let paths = paths.collect::<Result<Vec<_>, _>>()?;
        let file = MessageFile::read(&Source::from(self.file), self.reading.charset)?;
        let found = file.one(self.reading.number)?;
        found.warn(terminal);
        paths.iter().try_for_each(|path| path.check_groups(&found.message))?;
        let reader = Reader { message: &found.message, form: found.form, raw: self.raw };
        if self.json {
            let object: Map<_, _> =
                paths.iter().map(|typed| (typed.text.clone(), reader.json(typed))).collect();
            terminal.write(|output| {
                serde_json::to_writer(&mut *output, &object)?;
                writeln!(output)
            })?;
            return Ok(Exit::Ok);
        }
        let lines: Vec<_> = paths.iter().flat_map(|typed| reader.lines(typed)).collect();
        let several = paths.len() > 1 || paths.iter().any(|typed| typed.path.has_wildcard());
        terminal.write(|output| {
            for Line { path, text } in &lines {
                match text {
                    Some(text) if several => writeln!(output, "{path}\t{text}")?,
                    Some(text) => writeln!(output, "{text}")?,
                    None => {}
                }
            }
            Ok(())
        })?;
        let mut exit = Exit::Ok;
        for absent in lines.iter().filter(|line| line.text.is_none()) {
            terminal.note(format_args!("{} is not in the message", absent.path));
            exit = Exit::NotSo;
        }
        Ok(exit)
    }
}

/// One value, or that there is none.
struct Line {
    path: String,
    text: Option<String>,
}

struct Reader<'m> {
    message: &'m Message<'m>,
    form: TextForm,
    raw: bool,
}

impl Reader<'_> {
    fn text(&self, value: &Value<'_>) -> String {
        if self.raw { self.form.text(value.raw()).into_owned() } else { self.form.decoded(value) }
    }

    fn json(&self, typed: &TypedPath) -> Json {
        let mut values =
            self.message.values(&typed.path).map(|value| Json::String(self.text(&value)));
        if typed.path.has_wildcard() {
            Json::Array(values.collect())
        } else {
            values.next().unwrap_or(Json::Null)
        }
    }

    fn lines(&self, typed: &TypedPath) -> Vec<Line> {
        let wildcard = typed.path.has_wildcard();
        let mut lines: Vec<_> = self
            .message
            .matches(&typed.path)
            .map(|found| {
                let path = if wildcard { found.path.to_string() } else { typed.text.clone() };
                Line { path, text: Some(visible(&self.text(&found.value))) }
            })
            .collect();
        if lines.is_empty() {
            lines.push(Line { path: typed.text.clone(), text: None });
        }
        lines
    }
}
