//! FHIR R4 to HL7 v2.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::fmt::temporal::Pieces;
use jiff::tz::Offset;
use pipehat_config::{Diagnostics, Node, SourceFile};
use pipehat_dictionary::Version;
use pipehat_resource::json::{self, JsonError, Value};
use pipehat_translate::to_v2::{Profile, Resources, Stamp, Wanted, WriteError, Writer, Written};
use pipehat_translate::{Finding, FindingKind, LineageLimits};
use serde_json::json;

use super::Output;
use crate::commands::project::show;
use crate::control_id::ControlIds;
use crate::exit::{Exit, Failure};
use crate::input::Source;
use crate::terminal::Terminal;
use crate::version_name;

/// Options of `--to v2`.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Options of --to v2")]
#[group(id = "to_v2")]
pub(super) struct Options {
    /// Message code and trigger event, like 'ADT^A03'
    #[arg(long, value_name = "EVENT", required_if_eq("to", "v2"))]
    event: Option<String>,

    /// The version of HL7 v2
    #[arg(
        long = "version",
        value_name = "VERSION",
        default_value = "2.5.1",
        value_parser = version_name::exactly
    )]
    version: Version,

    /// The receiver's profile
    #[arg(long, value_name = "FILE")]
    profile: Option<PathBuf>,

    /// The resource the message is about, like Encounter/e1
    #[arg(long, value_name = "TYPE/ID")]
    root: Option<String>,

    /// ORC-1 of an order, like CA, instead of what its status says
    #[arg(long, value_name = "CODE")]
    control: Option<String>,

    /// MSH-10, instead of a new one
    #[arg(long, value_name = "ID")]
    control_id: Option<String>,

    /// MSH-7 as FHIR writes it, instead of the time it is
    #[arg(long, value_name = "TIME", value_parser = told_time)]
    timestamp: Option<(Timestamp, Offset)>,

    /// End segments with LF, for reading
    #[arg(long)]
    lf: bool,
}

/// Why nothing was translated.
#[derive(Debug, thiserror::Error)]
enum TranslateError {
    #[error("{name} is not JSON")]
    NotJson {
        name: String,
        #[source]
        source: JsonError,
    },
    #[error("{name} holds no FHIR resource: it has no `resourceType`")]
    NoResource { name: String },
    #[error("{name} has no {root}")]
    RootAbsent { name: String, root: String },
    #[error("cannot read the profile {name}")]
    ProfileUnread {
        name: String,
        #[source]
        source: io::Error,
    },
    #[error("the profile {name} has mistakes")]
    ProfileMistaken { name: String },
}

/// A time as FHIR writes it, and the offset it is told with.
fn told_time(text: &str) -> Result<(Timestamp, Offset), String> {
    let time: Timestamp = text.parse().map_err(|problem: jiff::Error| problem.to_string())?;
    let pieces = Pieces::parse(text).map_err(|problem| problem.to_string())?;
    Ok((time, pieces.to_numeric_offset().unwrap_or(Offset::UTC)))
}

impl Options {
    pub(super) fn run(
        self,
        file: Option<PathBuf>,
        output: Output,
        terminal: &Terminal,
    ) -> Result<Exit, Failure> {
        let profile = match &self.profile {
            Some(path) => profile(path, terminal)?,
            None => Profile::default(),
        };
        let source = Source::from(file);
        let name = source.name();
        let bytes = source.read()?;
        let value = json::parse(&bytes).map_err(|source| {
            Failure::could_not(TranslateError::NotJson { name: name.clone(), source })
        })?;
        let resources = self.resources(&value, &name)?;
        let control_id = match &self.control_id {
            Some(id) => id.clone(),
            None => ControlIds::new().map_err(Failure::could_not)?.next_text(),
        };
        let (time, offset) = self.timestamp.unwrap_or_else(|| (Timestamp::now(), Offset::UTC));
        let stamp = Stamp { time, offset, control_id: &control_id };
        let wanted = Wanted {
            event: self.event.as_deref().unwrap_or_default(),
            version: self.version,
            order_control: self.control.as_deref(),
            lineage: output.lineage.then_some(LineageLimits::SHOWN),
        };
        let written = Writer::new(profile).write(&wanted, &resources, &stamp).map_err(refused)?;
        self.tell(&written, output, terminal)?;
        let is_valid = !written.findings.iter().any(is_fault);
        Ok(if is_valid { Exit::Ok } else { Exit::NotSo })
    }

    fn resources<'v>(&self, value: &'v Value, name: &str) -> Result<Resources<'v>, Failure> {
        let name = || name.to_owned();
        let resources = match value.resource_type() {
            None => return Err(Failure::could_not(TranslateError::NoResource { name: name() })),
            Some("Bundle") => Resources::of_bundle(value),
            Some(_) => Resources::default().with_root(value),
        };
        let Some(root) = &self.root else { return Ok(resources) };
        let is_root = |resource: &&Value| {
            let own = resource.resource_type().zip(resource.id());
            root.split_once('/').is_some_and(|wanted| own == Some(wanted))
        };
        let entries = value.items("entry").iter().filter_map(|entry| entry.get("resource"));
        let found = entries.chain([value]).find(is_root);
        let absent = || TranslateError::RootAbsent { name: name(), root: root.clone() };
        Ok(resources.with_root(found.ok_or_else(|| Failure::could_not(absent()))?))
    }

    fn tell(&self, written: &Written, output: Output, terminal: &Terminal) -> Result<(), Failure> {
        if output.json {
            let object = object(written, output, terminal);
            terminal.write(|out| writeln!(out, "{object}"))?;
            return Ok(());
        }
        let mut message = written.message.clone();
        if self.lf {
            message.iter_mut().filter(|byte| **byte == b'\r').for_each(|byte| *byte = b'\n');
        }
        terminal.write_message(&message)?;
        for finding in &written.findings {
            terminal.warn(format_args!("{}: {}", finding.path, finding.text));
        }
        for source in super::sources(output, written.lineage.as_ref(), terminal) {
            let paths = super::shown(&source.paths).join(", ");
            let from = if paths.is_empty() { &*source.rule } else { &paths };
            terminal.note(format_args!("{} <- {from}", source.element));
        }
        Ok(())
    }
}

/// Whether a receiver may refuse the message for it.
fn is_fault(finding: &Finding) -> bool {
    finding.kind == FindingKind::Incomplete
}

fn refused(error: WriteError) -> Failure {
    match error {
        WriteError::RootMissing { .. }
        | WriteError::DoNotPerform { .. }
        | WriteError::Contradicted { .. }
        | WriteError::Unsayable { .. } => Failure::could_not(error),
        WriteError::EventUnknown { .. }
        | WriteError::NotInVersion { .. }
        | WriteError::OrderControlUnknown { .. } => Failure::usage(error),
    }
}

fn object(written: &Written, output: Output, terminal: &Terminal) -> serde_json::Value {
    let finding = |finding: &Finding| {
        json!({
            "kind": finding.kind.as_str(),
            "path": finding.path,
            "text": finding.text,
        })
    };
    let findings: Vec<_> = written.findings.iter().map(finding).collect();
    let mut object = json!({
        "message": String::from_utf8_lossy(&written.message),
        "findings": findings,
    });
    if output.lineage {
        let sources = super::sources(output, written.lineage.as_ref(), terminal);
        let sources = sources.iter().map(super::source_object);
        object["lineage"] = sources.collect();
    }
    object
}

/// A receiver's profile; shows its mistakes.
fn profile(path: &Path, terminal: &Terminal) -> Result<Profile, Failure> {
    let name = path.display().to_string();
    let text = fs::read_to_string(path).map_err(|source| {
        Failure::could_not(TranslateError::ProfileUnread { name: name.clone(), source })
    })?;
    let file = SourceFile::new(&*name, &*text);
    let mut diagnostics = Diagnostics::new();
    let node = Node::parse(&file, &mut diagnostics);
    let profile = node.and_then(|node| Profile::read(&node, &mut diagnostics));
    show(&diagnostics, terminal);
    profile.ok_or_else(|| Failure::could_not(TranslateError::ProfileMistaken { name }))
}
