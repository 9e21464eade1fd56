//! A message as FHIR resources.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use pipehat_config::{Diagnostics, Node, SourceFile};
use pipehat_message::Message;
use pipehat_translate::{Finding, LineageLimits, Overlay, Settings, Translation, Translator};
use serde_json::{Value as Json, json};

use super::Output;
use crate::commands::project::show;
use crate::exit::{Exit, Failure};
use crate::input::Source;
use crate::message_file::{FileMessage, MessageFile, Reading};
use crate::terminal::Terminal;

/// Options of the way to FHIR.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Options of --to fhir")]
#[group(id = "to_fhir")]
pub(super) struct Options {
    /// A YAML file with what this site adds to the mapping
    #[arg(long, value_name = "FILE")]
    overlay: Option<PathBuf>,

    /// The time zone of times that name none, like Europe/Berlin
    #[arg(long, value_name = "ZONE", value_parser = zone)]
    zone: Option<TimeZone>,

    /// What the systems of authorities without a URI begin with, such as https://good.example/id/
    #[arg(long, value_name = "URI", value_parser = uri)]
    systems: Option<String>,

    /// Exit with 1 when the Bundle does not say all that the message says
    #[arg(long)]
    strict: bool,

    #[command(flatten)]
    reading: Reading,
}

fn uri(text: &str) -> Result<String, String> {
    if text.contains(':') && !text.contains(char::is_whitespace) {
        return Ok(text.to_owned());
    }
    Err("this is no URI: write it whole, such as https://good.example/id/".to_owned())
}

fn zone(name: &str) -> Result<TimeZone, String> {
    TimeZone::get(name)
        .map_err(|_| "there is no such time zone: write it like Europe/Berlin or UTC".to_owned())
}

/// An overlay that can't be used.
#[derive(Debug, thiserror::Error)]
enum OverlayError {
    #[error("{name} cannot be read")]
    Unreadable {
        name: String,
        #[source]
        source: io::Error,
    },
    #[error("the overlay {name} has mistakes")]
    Mistakes { name: String },
}

impl Options {
    pub(super) fn run(
        self,
        file: Option<PathBuf>,
        output: Output,
        terminal: &Terminal,
    ) -> Result<Exit, Failure> {
        let wanted = output;
        let overlay = match &self.overlay {
            Some(path) => Some(read_overlay(path, terminal)?),
            None => None,
        };
        let file = MessageFile::read(&Source::from(file), self.reading.charset)?;
        let messages = file.chosen(self.reading.number)?.collect::<Result<Vec<_>, _>>()?;
        if self.reading.number.is_none() {
            file.warn(terminal);
        }
        let several = self.reading.number.is_none() && file.count() > 1;
        let mut findings = 0;
        let mut translator: Option<Translator> = None;
        terminal.write(|output| {
            for message in &messages {
                message.warn(terminal);
                let settings = self.settings(message);
                // Made anew only where a message is in another character set.
                let known =
                    translator.take().filter(|known| known.settings().charset == settings.charset);
                let own = translator.insert(known.unwrap_or_else(|| match &overlay {
                    Some(overlay) => Translator::with_overlay(settings, overlay),
                    None => Translator::new(settings),
                }));
                let translation = translate(own, &message.message, wanted);
                findings += translation.findings.len() + translation.findings_beyond;
                let number = message.number;
                let place = if several { format!("message {number}: ") } else { String::new() };
                write(wanted, (number, &place), &translation, terminal, output)?;
            }
            Ok(())
        })?;
        Ok(if self.strict && findings > 0 { Exit::NotSo } else { Exit::Ok })
    }

    fn settings(&self, message: &FileMessage<'_>) -> Settings {
        Settings {
            zone: self.zone.clone(),
            system_base: self.systems.clone(),
            charset: message.form.rule(),
            ..Settings::default()
        }
    }
}

fn translate(translator: &Translator, message: &Message<'_>, wanted: Output) -> Translation {
    if wanted.lineage {
        translator.to_fhir_with_lineage(message, LineageLimits::SHOWN)
    } else {
        translator.to_fhir(message)
    }
}

fn write(
    wanted: Output,
    (number, place): (usize, &str),
    translation: &Translation,
    terminal: &Terminal,
    output: &mut dyn Write,
) -> io::Result<()> {
    if wanted.json {
        return write_object(wanted, number, translation, terminal, output);
    }
    writeln!(output, "{}", translation.bundle.to_pretty_json())?;
    for source in super::sources(wanted, translation.lineage.as_ref(), terminal) {
        let paths = super::shown(&source.paths).join(", ");
        writeln!(output, "{}  {paths}  {}", source.element, source.rule)?;
    }
    for finding in &translation.findings {
        let Finding { path, kind, text } = finding;
        terminal.note(format_args!("{place}{path} {}: {text}", kind.as_str()));
    }
    if translation.findings_beyond > 0 {
        terminal.warn(format_args!("{place}and {} findings more", translation.findings_beyond));
    }
    Ok(())
}

fn write_object(
    wanted: Output,
    number: usize,
    translation: &Translation,
    terminal: &Terminal,
    output: &mut dyn Write,
) -> io::Result<()> {
    // The Bundle is written as it is: its numbers keep their digits.
    write!(output, "{{\"message\":{number},\"bundle\":{}", translation.bundle.to_json())?;
    let findings: Vec<Json> = translation.findings.iter().map(finding).collect();
    write!(output, ",\"findings\":{}", Json::Array(findings))?;
    if wanted.lineage {
        let sources = super::sources(wanted, translation.lineage.as_ref(), terminal);
        let sources = sources.iter().map(super::source_object);
        write!(output, ",\"lineage\":{}", Json::Array(sources.collect()))?;
    }
    writeln!(output, "}}")
}

fn finding(finding: &Finding) -> Json {
    json!({ "kind": finding.kind.as_str(), "path": finding.path, "text": finding.text })
}

fn read_overlay(path: &Path, terminal: &Terminal) -> Result<Overlay, Failure> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|source| {
        Failure::could_not(OverlayError::Unreadable { name: name.clone(), source })
    })?;
    let file = SourceFile::new(name.clone(), text);
    let mut diagnostics = Diagnostics::new();
    let node = Node::parse(&file, &mut diagnostics);
    let overlay = node.and_then(|node| Overlay::read(&node, &mut diagnostics));
    show(&diagnostics, terminal);
    // Mistakes in its form are told, too: a key that stands twice is one of two.
    let overlay = overlay.filter(|_| diagnostics.errors() == 0);
    overlay.ok_or_else(|| Failure::could_not(OverlayError::Mistakes { name }))
}
