//! `pipehat message show`: a whole message, for eyes or as JSON.

use std::io::{self, Write};
use std::num::{NonZeroU16, NonZeroU32};
use std::path::PathBuf;

use pipehat_message::{Occurrence, Path, Segment, Value};

use super::path::SegmentPaths;
use super::tree::MessageTree;
use crate::exit::{Exit, Failure};
use crate::input::Source;
use crate::message_file::{FileMessage, MessageFile, Reading, TextForm};
use crate::terminal::{Terminal, Tone, columns, fit, visible};

const EXAMPLES: &str = r#"Examples:
  pipehat message show admit.hl7
  pipehat message show batch.hl7 --message 3 --full
  pipehat message show admit.hl7 --json | jq -r '.segments[].name'

The table has a line for each part that holds something: its path, and what stands there, escape
sequences not decoded; control characters are shown as \xNN. On a terminal long values are cut.

The JSON leaves nothing out: `segments` have `name`, `path`, `raw`, `end` (what stands before the next
segment) and `fields`; fields have `repetitions`, these `components`, these `subcomponents`, each with
`raw` and `decoded` text. A byte that is no character in the message's character set becomes the
character U+10FE00 + byte. A file with several messages gives one object for each, a line each."#;

/// The widest that paths get before values are moved out of line.
const PATH_COLUMNS_MAX: usize = 18;

/// Show a whole message, part by part
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The file; standard input if it is left out or `-`
    file: Option<PathBuf>,

    /// Print the whole tree as JSON, nothing left out
    #[arg(long)]
    json: bool,

    /// Do not cut long values to the width of the terminal
    #[arg(long)]
    full: bool,

    #[command(flatten)]
    reading: Reading,
}

impl Arguments {
    pub(crate) fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let file = MessageFile::read(&Source::from(self.file), self.reading.charset)?;
        let messages = file.chosen(self.reading.number)?;
        let messages = messages.collect::<Result<Vec<_>, _>>()?;
        if self.reading.number.is_none() {
            file.warn(terminal);
        }
        messages.iter().for_each(|message| message.warn(terminal));
        if self.json {
            let pretty = messages.len() == 1 && terminal.output_is_terminal();
            terminal.write(|output| write_json(&messages, pretty, output))?;
            return Ok(Exit::Ok);
        }
        let width = terminal.width().filter(|_| !self.full);
        let count = file.count();
        terminal.write(|output| {
            for (index, message) in messages.iter().enumerate() {
                if count > 1 {
                    if index > 0 {
                        writeln!(output)?;
                    }
                    let heading = format!("message {} of {count}", message.number);
                    writeln!(output, "{}", terminal.paint(Tone::Strong, heading))?;
                }
                write_table(message, terminal, width, output)?;
            }
            Ok(())
        })?;
        Ok(Exit::Ok)
    }
}

fn write_json(
    messages: &[FileMessage<'_>],
    pretty: bool,
    output: &mut dyn Write,
) -> io::Result<()> {
    for message in messages {
        if pretty {
            serde_json::to_writer_pretty(&mut *output, &MessageTree(message))?;
        } else {
            serde_json::to_writer(&mut *output, &MessageTree(message))?;
        }
        writeln!(output)?;
    }
    Ok(())
}

/// One line of the table.
struct Row {
    /// Where: a path, or the number of a line that is no segment.
    place: String,
    value: String,
}

fn write_table(
    FileMessage { message, form, .. }: &FileMessage<'_>,
    terminal: &Terminal,
    width: Option<usize>,
    output: &mut dyn Write,
) -> io::Result<()> {
    let mut paths = SegmentPaths::default();
    for (index, segment) in message.segments().enumerate() {
        let rows = match paths.next(&segment) {
            Some(path) => rows(&segment, &path, *form),
            None => vec![Row {
                place: format!("line {}", index.saturating_add(1)),
                value: visible(&form.text(segment.raw())),
            }],
        };
        for Row { place, value } in rows {
            let padding = PATH_COLUMNS_MAX.saturating_sub(columns(&place));
            let used = columns(&place).max(PATH_COLUMNS_MAX).saturating_add(2);
            let value = fit(&value, width.map(|width| width.saturating_sub(used).max(1)));
            let place = terminal.paint(Tone::Faint, place);
            if value.is_empty() {
                writeln!(output, "{place}")?;
            } else {
                writeln!(output, "{place}{:padding$}  {value}", "")?;
            }
        }
    }
    Ok(())
}

/// A line for each smallest part that holds something; one for a segment in which nothing does.
fn rows(segment: &Segment<'_>, path: &Path, form: TextForm) -> Vec<Row> {
    let mut rows = Vec::new();
    for (index, field) in segment.fields().enumerate() {
        let Some(position) = position(index) else { break };
        let path = path.clone().with_field(position);
        let repetitions: Vec<_> = field.repetitions().collect();
        for (index, repetition) in repetitions.iter().enumerate() {
            let path = match NonZeroU32::new(number(index)) {
                Some(number) if repetitions.len() > 1 => {
                    path.clone().with_repetition(Occurrence::At(number))
                }
                _ => path.clone(),
            };
            push_components(repetition, &path, form, &mut rows);
        }
    }
    if rows.is_empty() {
        rows.push(Row { place: path.to_string(), value: String::new() });
    }
    rows
}

fn push_components(repetition: &Value<'_>, path: &Path, form: TextForm, rows: &mut Vec<Row>) {
    let components: Vec<_> = repetition.components().collect();
    for (index, component) in components.iter().enumerate() {
        let path = match position(index) {
            Some(position) if components.len() > 1 => path.clone().with_component(position),
            _ => path.clone(),
        };
        let subcomponents: Vec<_> = component.subcomponents().collect();
        for (index, value) in subcomponents.iter().enumerate() {
            let path = match position(index) {
                Some(position) if subcomponents.len() > 1 => {
                    let first = NonZeroU16::MIN;
                    let component = path.component().unwrap_or(first);
                    path.clone().with_component(component).with_subcomponent(position)
                }
                _ => path.clone(),
            };
            if !value.is_empty() {
                let value = visible(&form.text(value.raw()));
                rows.push(Row { place: path.to_string(), value });
            }
        }
    }
}

fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX).saturating_add(1)
}

fn position(index: usize) -> Option<NonZeroU16> {
    u16::try_from(index).ok().and_then(|index| index.checked_add(1)).and_then(NonZeroU16::new)
}
