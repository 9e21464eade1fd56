//! `pipehat message show`: a whole message, for eyes or as JSON.

use std::io::{self, Write};
use std::num::{NonZeroU16, NonZeroU32};
use std::path::PathBuf;

use pipehat_dictionary::Named;
use pipehat_dictionary::profile::Profile;
use pipehat_message::{Occurrence, Path, Segment, Value};

use super::names::Names;
use super::path::SegmentPaths;
use super::tree::MessageTree;
use crate::exit::{Exit, Failure};
use crate::input::Source;
use crate::message_file::{FileMessage, MessageFile, Reading, TextForm};
use crate::terminal::{Terminal, Tone, columns, fit, visible};

const EXAMPLES: &str = r#"Examples:
  pipehat message show admit.hl7
  pipehat message show batch.hl7 --message 3 --full
  pipehat message show lab.hl7 --profile lab2
  pipehat message show admit.hl7 --json | jq -r '.segments[].name'

The table has a heading for each segment, with the segment group it stands in, and a line for each
part that holds something: its path, what the standard calls it, what stands there, escape sequences
not decoded, and what a code means. Control characters are shown as \xNN. On a terminal long values
are cut. The first line says by which structure and version the message is read. With `--profile` what
the standard does not define, like Z segments and their fields, has the profile's names and data types.

The JSON leaves nothing out: `segments` have `name`, `path`, `raw`, `end` (what stands before the next
segment) and `fields`; fields have `repetitions`, these `components`, these `subcomponents`, each with
`raw` and `decoded` text. Names are those of the standard, or else of the profile: `title` and `group` of a segment, `name`,
`data_type` and, of a code, `meaning` of its parts; `version`, `structure` and `notes` (what had to be
assumed about these) of the message. A byte that is no character in the message's character set becomes the
character U+10FE00 + byte. A file with several messages gives one object for each, a line each."#;

/// The widest that paths get before values are moved out of line.
const PATH_COLUMNS_MAX: usize = 12;
/// The widest that names get before they are cut.
const NAME_COLUMNS_MAX: usize = 32;

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

    /// A profile with names for the partner's own: a name of this project, or a file
    #[arg(long, value_name = "PROFILE")]
    profile: Option<String>,

    #[command(flatten)]
    reading: Reading,
}

impl Arguments {
    pub(crate) fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let profile = match &self.profile {
            Some(name) => Some(crate::commands::profile::load(name, terminal)?),
            None => None,
        };
        let profile = profile.as_ref();
        let file = MessageFile::read(&Source::from(self.file), self.reading.charset)?;
        let messages = file.chosen(self.reading.number)?;
        let messages = messages.collect::<Result<Vec<_>, _>>()?;
        if self.reading.number.is_none() {
            file.warn(terminal);
        }
        messages.iter().for_each(|message| message.warn(terminal));
        if self.json {
            let pretty = messages.len() == 1 && terminal.output_is_terminal();
            terminal.write(|output| write_json(&messages, profile, pretty, output))?;
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
                write_table(message, profile, terminal, width, output)?;
            }
            Ok(())
        })?;
        Ok(Exit::Ok)
    }
}

fn write_json(
    messages: &[FileMessage<'_>],
    profile: Option<&Profile>,
    pretty: bool,
    output: &mut dyn Write,
) -> io::Result<()> {
    for message in messages {
        if pretty {
            serde_json::to_writer_pretty(&mut *output, &MessageTree(message, profile))?;
        } else {
            serde_json::to_writer(&mut *output, &MessageTree(message, profile))?;
        }
        writeln!(output)?;
    }
    Ok(())
}

/// One line of the table.
struct Row {
    /// Where: a path, or the number of a line that is no segment.
    place: String,
    /// What the standard calls it, indented as deep as it stands in its field.
    name: String,
    value: String,
    /// What a code means.
    meaning: &'static str,
}

fn write_table(
    FileMessage { message, form, .. }: &FileMessage<'_>,
    profile: Option<&Profile>,
    terminal: &Terminal,
    width: Option<usize>,
    output: &mut dyn Write,
) -> io::Result<()> {
    let names = Names::of(message, profile);
    write_heading(&names, terminal, output)?;
    let mut paths = SegmentPaths::default();
    for (index, segment) in message.segments().enumerate() {
        let Some(path) = paths.next(&segment) else {
            let place = format!("line {}", index.saturating_add(1));
            let value = visible(&form.text(segment.raw()));
            let row = Row { place, name: String::new(), value, meaning: "" };
            write_row(&row, terminal, width, output)?;
            continue;
        };
        let title = names.segment(&segment).unwrap_or_default();
        let place = terminal.paint(Tone::Strong, &path);
        let group = terminal.paint(Tone::Faint, names.group(&segment));
        let heading = format!("{place}  {title}  {group}");
        writeln!(output, "{}", heading.trim_end())?;
        for row in rows(&segment, &path, &names, *form) {
            write_row(&row, terminal, width, output)?;
        }
    }
    Ok(())
}

fn write_heading(names: &Names<'_>, terminal: &Terminal, output: &mut dyn Write) -> io::Result<()> {
    let Some(version) = names.version() else { return Ok(()) };
    let structure = names.structure().unwrap_or("no known structure");
    let mut heading = format!("read as {structure} of HL7 v{version}");
    for note in names.notes() {
        heading.push_str("; ");
        heading.push_str(&note);
    }
    writeln!(output, "{}", terminal.paint(Tone::Faint, heading))
}

fn write_row(
    Row { place, name, value, meaning }: &Row,
    terminal: &Terminal,
    width: Option<usize>,
    output: &mut dyn Write,
) -> io::Result<()> {
    let place_padding = PATH_COLUMNS_MAX.saturating_sub(columns(place));
    let place_columns = columns(place).max(PATH_COLUMNS_MAX);
    let name = fit(name, Some(NAME_COLUMNS_MAX));
    let name_padding = NAME_COLUMNS_MAX.saturating_sub(columns(&name));
    let used = place_columns.saturating_add(NAME_COLUMNS_MAX).saturating_add(4);
    let value = fit(value, width.map(|width| width.saturating_sub(used).max(1)));
    let left = width.map(|width| width.saturating_sub(used).saturating_sub(columns(&value)));
    let meaning = match left {
        _ if meaning.is_empty() => String::new(),
        Some(left) if left < 8 => String::new(),
        left => fit(&format!("  ({meaning})"), left),
    };
    let place = terminal.paint(Tone::Faint, place);
    let meaning = if meaning.is_empty() { meaning } else { terminal.paint(Tone::Faint, meaning) };
    let line =
        format!("{place}{:place_padding$}  {name}{:name_padding$}  {value}{meaning}", "", "");
    writeln!(output, "{}", line.trim_end())
}

/// A line for each smallest part that holds something, and one above those of a field that has parts.
fn rows(segment: &Segment<'_>, path: &Path, names: &Names<'_>, form: TextForm) -> Vec<Row> {
    let mut rows = Vec::new();
    for (index, field) in segment.fields().enumerate() {
        let Some(position) = position(index) else { break };
        let path = path.clone().with_field(position);
        let named = names.field(segment, usize::from(position.get()));
        let repetitions: Vec<_> = field.repetitions().collect();
        for (index, repetition) in repetitions.iter().enumerate() {
            let path = match NonZeroU32::new(number(index)) {
                Some(number) if repetitions.len() > 1 => {
                    path.clone().with_repetition(Occurrence::At(number))
                }
                _ => path.clone(),
            };
            push_components(repetition, &path, named, form, &mut rows);
        }
    }
    rows
}

fn push_components(
    repetition: &Value<'_>,
    path: &Path,
    named: Named<'_>,
    form: TextForm,
    rows: &mut Vec<Row>,
) {
    let components: Vec<_> = repetition.components().collect();
    let has_parts = components.len() > 1
        || components.first().is_some_and(|only| only.subcomponents().count() > 1);
    if has_parts && !repetition.is_empty() {
        let name = named.name().unwrap_or_default().to_owned();
        rows.push(Row { place: path.to_string(), name, value: String::new(), meaning: "" });
    }
    for (index, component) in components.iter().enumerate() {
        let part = named.part(index.saturating_add(1));
        let path = match position(index) {
            Some(position) if components.len() > 1 => path.clone().with_component(position),
            _ => path.clone(),
        };
        let subcomponents: Vec<_> = component.subcomponents().collect();
        for (index, value) in subcomponents.iter().enumerate() {
            if value.is_empty() {
                continue;
            }
            let own = part.part(index.saturating_add(1));
            let mut path = path.clone();
            let mut name = String::new();
            if let Some(position) = position(index).filter(|_| subcomponents.len() > 1) {
                let component = path.component().unwrap_or(NonZeroU16::MIN);
                path = path.with_component(component).with_subcomponent(position);
                name.push_str("    ");
                name.push_str(own.name().unwrap_or_default());
            } else if has_parts {
                name.push_str("  ");
                name.push_str(part.name().unwrap_or_default());
            } else {
                name.push_str(named.name().unwrap_or_default());
            }
            let meaning =
                own.meaning(value).or_else(|| named.meaning(value).filter(|_| !has_parts));
            let meaning = meaning.unwrap_or_default();
            let value = visible(&form.text(value.raw()));
            rows.push(Row { place: path.to_string(), name, value, meaning });
        }
    }
}

fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX).saturating_add(1)
}

fn position(index: usize) -> Option<NonZeroU16> {
    u16::try_from(index).ok().and_then(|index| index.checked_add(1)).and_then(NonZeroU16::new)
}
