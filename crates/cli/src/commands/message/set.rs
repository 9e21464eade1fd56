//! `pipehat message set`: change some parts of a message and nothing else.

use std::path::PathBuf;

use pipehat_message::{EditError, Message, Unencodable};

use super::path::TypedPath;
use crate::exit::{Exit, Failure};
use crate::input::Source;
use crate::message_file::{MessageFile, Reading, TextForm};
use crate::output_file;
use crate::terminal::Terminal;

const EXAMPLES: &str = r#"Examples:
  pipehat message set admit.hl7 PID-8=F MSH-11=T > test.hl7
  pipehat message set admit.hl7 'PID-3[+1].1=4711' 'OBX(*)-11=F' --in-place
  pipehat message set admit.hl7 'PID-5=DOE^JANE' --raw -o renamed.hl7
  pipehat message set admit.hl7 PID-19= > empty.hl7
  pipehat message set admit.hl7 PID-19='""' > null.hl7

VALUE is text: delimiters in it are escaped, and it is written in the message's character set. With
--raw it goes in as it stands, with components and escape sequences. Fields that are missing before
the place are added; a new segment only where the path says (+1). All else keeps its bytes, line ends
included. Changes are made from left to right; if one is refused, nothing is written."#;

/// Change parts of a message, byte for byte the same otherwise
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The file; `-` for standard input
    file: PathBuf,

    /// What to put where, like PID-8=F
    #[arg(required = true, value_name = "PATH=VALUE")]
    changes: Vec<String>,

    /// VALUE holds delimiters and escape sequences that mean what they mean
    #[arg(long)]
    raw: bool,

    /// Change the file itself (by putting a new one in its place)
    #[arg(long, conflicts_with = "output")]
    in_place: bool,

    /// Write here instead of to standard output
    #[arg(long, short, value_name = "OUT")]
    output: Option<PathBuf>,

    #[command(flatten)]
    reading: Reading,
}

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
enum SetError {
    #[error("`{0}` has no `=`: write a path and a value, like PID-8=F")]
    EqualsSignMissing(String),
    #[error(
        "the value for {path} has a character, number {number}, that the message's character set {charset} does not have"
    )]
    Unencodable { path: String, number: usize, charset: &'static str },
    #[error(transparent)]
    Refused(#[from] EditError),
    #[error("standard input cannot be changed in place: leave out --in-place or name a file")]
    StandardInputInPlace,
    #[error(
        "the message spells its character set {charset} in an unusual way, so that bytes you did not name would change too: nothing was written"
    )]
    NotKept { charset: &'static str },
}

impl From<SetError> for Failure {
    fn from(error: SetError) -> Self {
        match error {
            SetError::NotKept { .. } => Self::could_not(error),
            SetError::EqualsSignMissing(_)
            | SetError::Unencodable { .. }
            | SetError::Refused(_)
            | SetError::StandardInputInPlace => Self::usage(error),
        }
    }
}

struct Change {
    place: TypedPath,
    value: String,
}

impl Change {
    fn read(argument: &str) -> Result<Self, Failure> {
        let Some((path, value)) = argument.split_once('=') else {
            // A path may be shown; a value was not given.
            TypedPath::read(argument)?;
            return Err(SetError::EqualsSignMissing(argument.to_owned()).into());
        };
        Ok(Self { place: TypedPath::read(path)?, value: value.to_owned() })
    }

    fn apply(&self, message: &mut Message<'_>, form: TextForm, raw: bool) -> Result<(), SetError> {
        let TypedPath { text, path } = &self.place;
        let value =
            form.bytes(&self.value).map_err(|Unencodable { at }| SetError::Unencodable {
                path: text.clone(),
                number: self.value.get(..at).unwrap_or_default().chars().count().saturating_add(1),
                charset: form.charset().name(),
            })?;
        let set = if raw { message.set_raw(path, &value) } else { message.set_text(path, &value) };
        Ok(set?)
    }
}

impl Arguments {
    pub(crate) fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let changes = self.changes.iter().map(|argument| Change::read(argument));
        let changes = changes.collect::<Result<Vec<_>, _>>()?;
        let source = Source::from(self.file);
        let target = match (&source, self.in_place) {
            (Source::StandardInput, true) => return Err(SetError::StandardInputInPlace.into()),
            (Source::File(path), true) => Some(path.clone()),
            (_, false) => self.output,
        };
        let file = MessageFile::read(&source, self.reading.charset)?;
        let mut found = file.one(self.reading.number)?;
        found.warn(terminal);
        for change in &changes {
            change.place.check_groups(&found.message)?;
            change.apply(&mut found.message, found.form, self.raw)?;
        }
        let charset = found.form.charset().name();
        let bytes = file.with(&found).ok_or(SetError::NotKept { charset })?;
        match target {
            Some(path) => output_file::replace(&path, &bytes)?,
            None => terminal.write_message(&bytes)?,
        }
        Ok(Exit::Ok)
    }
}
