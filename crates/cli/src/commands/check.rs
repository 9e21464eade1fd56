//! `pipehat check`: finds the mistakes of a project.

use std::path::PathBuf;

use pipehat_config::Diagnostic;
use pipehat_engine::project::{DatastoreSettings, Project, StorePlace};
use pipehat_server::{LookingOn, ProcessEnvironment};
use pipehat_store::datastore::PostgresLocation;
use serde_json::json;

use super::project::{must_exist, records, show};
use crate::exit::{Exit, Failure};
use crate::terminal::{Terminal, Tone};

const EXAMPLES: &str = "\
Examples:
  pipehat check                 check the project in this folder
  pipehat check feeds --json    the mistakes as JSON, for an editor

Every mistake of every file is shown at once, with file, line and column, and what to write
instead. Nothing is started: no listener, no connection. Secrets that are not set here are warned of:
`pipehat up` needs them. Exits with 1 when there are mistakes, and with 3 when there is no project.";

/// Check a project: every mistake, with file, line and column
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The project directory
    #[arg(value_name = "DIR", default_value = ".")]
    directory: PathBuf,

    /// The result as JSON
    #[arg(long)]
    json: bool,
}

/// What is wrong with the database's address, and with the files that it names.
fn address_mistake(settings: &DatastoreSettings) -> Option<Diagnostic> {
    let StorePlace::Postgres(reference) = &settings.store else { return None };
    // One that is not there was warned of already.
    let secret = reference.resolve(&ProcessEnvironment)?;
    let why = PostgresLocation::check(secret.expose(), &settings.directory).err()?;
    let text = format!("in the secret `{}`: {why}", reference.name());
    Some(Diagnostic::error("project.secret", reference.span(), text))
}

impl Arguments {
    pub(crate) fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        must_exist(&self.directory)?;
        let mut loaded = Project::load(&self.directory, &ProcessEnvironment, &LookingOn);
        let settings =
            loaded.project.as_ref().and_then(|project| project.settings.datastore.as_ref());
        if let Some(mistake) = settings.and_then(address_mistake) {
            loaded.diagnostics.push(mistake);
            loaded.project = None;
        }
        let exit = if loaded.project.is_some() { Exit::Ok } else { Exit::NotSo };
        if self.json {
            let channels: Vec<_> = loaded
                .project
                .iter()
                .flat_map(|project| &project.channels)
                .map(|channel| {
                    json!({ "channel": &*channel.name, "revision": channel.revision.to_string() })
                })
                .collect();
            let result = json!({
                "ok": loaded.project.is_some(),
                "channels": channels,
                "diagnostics": records(&loaded.diagnostics),
            });
            terminal.write(|output| writeln!(output, "{result:#}"))?;
            return Ok(exit);
        }
        show(&loaded.diagnostics, terminal);
        let Some(project) = loaded.project else {
            let count = loaded.diagnostics.errors();
            terminal.note(format_args!(
                "{count} mistake{} in {}",
                if count == 1 { "" } else { "s" },
                self.directory.display()
            ));
            return Ok(exit);
        };
        terminal.write(|output| {
            for channel in &project.channels {
                let name = terminal.paint(Tone::Strong, &channel.name);
                let off = if channel.enabled { "" } else { "  (not enabled)" };
                writeln!(output, "{name}  revision {}{off}", channel.revision)?;
            }
            let count = project.channels.len();
            let channels = if count == 1 { "channel" } else { "channels" };
            let datastore =
                if project.settings.datastore.is_some() { " and a FHIR datastore" } else { "" };
            writeln!(output, "{count} {channels}{datastore}, no mistakes")
        })?;
        Ok(exit)
    }
}
