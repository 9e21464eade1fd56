//! `pipehat datastore`: takes resources out and in, indexes anew, counts and verifies.

use std::fs::Permissions;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use indicatif::{ProgressBar, ProgressStyle};
use pipehat_resource::definitions::resource_types;
use pipehat_server::{FaultView, OfflineUse, StatisticsView};

use self::import::Import;
use super::project::DataArguments;
use super::prove::progress_of;
use super::status::size;
use crate::exit::{Exit, Failure, OutputError};
use crate::output_file;
use crate::resource_store::ResourceStore;
use crate::terminal::{Terminal, Tone};

mod import;

const EXAMPLES: &str = "\
Examples:
  pipehat datastore stats
  pipehat datastore export all.ndjson
  pipehat datastore export --type Patient --type Encounter - | gzip > a.gz
  pipehat datastore import --validate all.ndjson
  pipehat datastore verify --json
  pipehat datastore reindex --type Observation

They ask the Pipehat that runs on this data. When none does, they open the data themselves, by the
project's `datastore:` and with the key, and no Pipehat can start until they are done. Stats, verify
and export then change nothing of it; an export is told in the audit.";

const EXPORT_EXAMPLES: &str = "\
Examples:
  pipehat datastore export all.ndjson
  pipehat datastore export --type Patient - | gzip > patients.ndjson.gz
  pipehat datastore export --project clinic --data /var/lib/pipehat a.ndjson

The newest version of each resource that is there, a line of JSON each, in the order in which they
were created: neither histories nor deleted resources, nor the audit. While others write, each is as
it stands when its turn comes. A file is there whole or not at all, and only its owner may read a
new one.";

const REINDEX_EXAMPLES: &str = "\
Examples:
  pipehat datastore reindex
  pipehat datastore reindex --type Patient --type Observation

Others read and write meanwhile. One of all types that was broken off goes on where it was.";

const STATS_EXAMPLES: &str = "\
Examples:
  pipehat datastore stats
  pipehat datastore stats --json | jq .resources";

const VERIFY_EXAMPLES: &str = "\
Examples:
  pipehat datastore verify
  pipehat datastore verify --json | jq '.found[] | .resource'

Every version is opened, compared with where it stands, and indexed again to see that it is found by
the values it has and no others. The audit is checked by its keyed hashes, too. Exits with 1 when something does not agree; the first 100 findings
are shown. What only the index has wrong, `pipehat datastore reindex` mends.";

/// Export, import, reindex, count and verify the resources of the FHIR datastore
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write resources as NDJSON, a line each
    #[command(after_help = EXPORT_EXAMPLES)]
    Export(Export),
    /// Take resources in from NDJSON, under the ids they have
    Import(Import),
    /// Write the search index anew
    #[command(after_help = REINDEX_EXAMPLES)]
    Reindex(Reindex),
    /// Count resources and versions by type
    #[command(after_help = STATS_EXAMPLES)]
    Stats(Stats),
    /// Check that versions, resources, index and audit agree
    #[command(after_help = VERIFY_EXAMPLES)]
    Verify(Verify),
}

/// Where the datastore is.
#[derive(Debug, clap::Args)]
struct Place {
    /// The project directory, whose `datastore:` counts where no Pipehat runs
    #[arg(long, value_name = "DIR", default_value = ".")]
    project: PathBuf,

    #[command(flatten)]
    data: DataArguments,
}

#[derive(Debug, clap::Args)]
struct Export {
    /// The file to write; `-` or none is standard output
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,

    /// Only resources of this type; several times for more
    #[arg(long = "type", value_name = "TYPE", value_parser = resource_type)]
    types: Vec<String>,

    #[command(flatten)]
    place: Place,
}

#[derive(Debug, clap::Args)]
struct Reindex {
    /// Only resources of this type; several times for more
    #[arg(long = "type", value_name = "TYPE", value_parser = resource_type)]
    types: Vec<String>,

    /// How many, as JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    place: Place,
}

#[derive(Debug, clap::Args)]
struct Stats {
    /// The counts as JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    place: Place,
}

#[derive(Debug, clap::Args)]
struct Verify {
    /// The result as JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    place: Place,
}

impl Arguments {
    pub(crate) fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        match self.command {
            Command::Export(command) => command.run(terminal),
            Command::Import(command) => command.run(terminal),
            Command::Reindex(command) => command.run(terminal),
            Command::Stats(command) => command.run(terminal),
            Command::Verify(command) => command.run(terminal),
        }
    }
}

impl Place {
    fn open(&self, purpose: OfflineUse, terminal: &Terminal) -> Result<ResourceStore, Failure> {
        ResourceStore::open(&self.project, &self.data, purpose, terminal)
    }
}

impl Export {
    fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let store = self.place.open(OfflineUse::Read, terminal)?;
        let file = self.file.filter(|path| path != Path::new("-"));
        let counter = if file.is_some() { counter(terminal) } else { ProgressBar::hidden() };
        let mut count = 0u64;
        let mut counted = |lines: &[u8]| {
            count = count.saturating_add(memchr::memchr_iter(b'\n', lines).count() as u64);
            counter.set_position(count);
        };
        match &file {
            None => {
                let mut output = io::stdout().lock();
                store.export(&self.types, &mut |lines| {
                    counted(lines);
                    Ok(output.write_all(lines).map_err(OutputError)?)
                })?;
                output.flush().map_err(OutputError)?;
            }
            Some(path) => {
                let is_new = !path.exists();
                let mut failure = None;
                let written = output_file::stream(path, |output| {
                    if is_new {
                        output.set_permissions(Permissions::from_mode(0o600))?;
                    }
                    let mut output = io::BufWriter::new(output);
                    let exported = store.export(&self.types, &mut |lines| {
                        counted(lines);
                        output.write_all(lines).map_err(Failure::could_not)
                    });
                    // What was written of a file that is not whole goes away again.
                    exported.map_err(|error| {
                        failure = Some(error);
                        io::Error::from(io::ErrorKind::Interrupted)
                    })?;
                    output.flush()
                });
                counter.finish_and_clear();
                match (failure, written) {
                    (Some(failure), _) => return Err(failure),
                    (None, Err(error)) => {
                        let text = format!("cannot write {}: {error}", path.display());
                        return Err(Failure::could_not(text));
                    }
                    (None, Ok(())) => {}
                }
            }
        }
        if let Some(path) = &file {
            terminal.note(format_args!("{} in {}", resources(count), path.display()));
        }
        Ok(Exit::Ok)
    }
}

impl Reindex {
    fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let store = self.place.open(OfflineUse::Change, terminal)?;
        let bar = progress_of(terminal, "resources");
        let done = store.reindex(&self.types, &bar);
        bar.finish_and_clear();
        let done = done?;
        if self.json {
            let line = serde_json::to_string(&done).map_err(Failure::could_not)?;
            terminal.write(|output| writeln!(output, "{line}"))?;
        } else {
            terminal.write(|output| writeln!(output, "{} indexed", resources(done.resources)))?;
        }
        Ok(Exit::Ok)
    }
}

impl Stats {
    fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let statistics = self.place.open(OfflineUse::Read, terminal)?.statistics()?;
        if self.json {
            let text = serde_json::to_string_pretty(&statistics).map_err(Failure::could_not)?;
            terminal.write(|output| writeln!(output, "{text}"))?;
            return Ok(Exit::Ok);
        }
        let table = table(&statistics);
        terminal.write(|output| output.write_all(table.as_bytes()))?;
        if !statistics.indexed {
            terminal.warn(
                "the index does not follow the search parameters yet: `pipehat datastore reindex` writes it anew",
            );
        }
        Ok(Exit::Ok)
    }
}

impl Verify {
    fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let store = self.place.open(OfflineUse::Read, terminal)?;
        let bar = progress_of(terminal, "resources");
        let verified = store.verify(&bar);
        bar.finish_and_clear();
        let verified = verified?;
        let exit = if verified.sound { Exit::Ok } else { Exit::NotSo };
        if self.json {
            let text = serde_json::to_string_pretty(&verified).map_err(Failure::could_not)?;
            terminal.write(|output| writeln!(output, "{text}"))?;
            return Ok(exit);
        }
        terminal.write(|output| {
            for FaultView { resource, text, .. } in &verified.found {
                let resource = resource.as_deref().unwrap_or("no resource");
                writeln!(output, "{}", terminal.paint(Tone::Bad, format!("{resource}: {text}")))?;
            }
            let more = verified.faults.saturating_sub(verified.found.len() as u64);
            if more > 0 {
                writeln!(output, "and {more} more")?;
            }
            if !verified.indexed {
                let text = "the index does not follow the search parameters: see `pipehat datastore reindex`";
                writeln!(output, "{}", terminal.paint(Tone::Bad, text))?;
            }
            let verdict = match (verified.sound, verified.faults) {
                (true, _) => terminal.paint(Tone::Good, "sound"),
                (false, 0) => terminal.paint(Tone::Bad, "not indexed"),
                (false, faults) => terminal.paint(Tone::Bad, format!("{faults} do not agree")),
            };
            let (all, versions) = (resources(verified.resources), verified.versions);
            let records = verified.audit_records;
            writeln!(output, "{all}, {versions} versions, {records} records of the audit: {verdict}")
        })?;
        Ok(exit)
    }
}

/// Counts resources on a terminal where nobody knows how many there will be.
fn counter(terminal: &Terminal) -> ProgressBar {
    if !terminal.shows_progress() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{spinner} {human_pos} resources, {per_sec}");
    ProgressBar::no_length().with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
}

/// The counts, a line for each type.
fn table(statistics: &StatisticsView) -> String {
    let mut rows = vec![["", "resources", "deleted", "versions"].map(ToOwned::to_owned)];
    let row = |name: &str, resources: u64, deleted: u64, versions: u64| {
        [name.to_owned(), resources.to_string(), deleted.to_string(), versions.to_string()]
    };
    for of in &statistics.types {
        rows.push(row(&of.resource_type, of.resources, of.deleted, of.versions));
    }
    rows.push(row("in all", statistics.resources, statistics.deleted, statistics.versions));
    let width = |column: fn(&[String; 4]) -> usize| rows.iter().map(column).max().unwrap_or(0);
    let names = width(|[name, ..]| name.len());
    let numbers = width(|[_, a, b, c]| a.len().max(b.len()).max(c.len()));
    let mut text = String::new();
    for [name, resources, deleted, versions] in &rows {
        text.push_str(&format!(
            "{name:<names$}  {resources:>numbers$}  {deleted:>numbers$}  {versions:>numbers$}\n"
        ));
    }
    let (bytes, newest) = (size(statistics.bytes), statistics.newest_change);
    text.push_str(&format!("{bytes}, change {newest}\n"));
    text
}

fn resources(count: u64) -> String {
    if count == 1 { "1 resource".to_owned() } else { format!("{count} resources") }
}

/// A resource type of R4.
fn resource_type(text: &str) -> Result<String, String> {
    if resource_types().any(|known| known.name() == text) {
        return Ok(text.to_owned());
    }
    let near = resource_types().find(|known| known.name().eq_ignore_ascii_case(text));
    Err(match near {
        Some(known) => format!("the resource type is written `{}`", known.name()),
        None => "FHIR R4 has no such resource type".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use pipehat_server::ResourceStatistics;

    use super::*;

    #[test]
    fn resource_types_are_read() {
        assert_eq!(resource_type("Patient").as_deref(), Ok("Patient"));
        let near = resource_type("patient").unwrap_err();
        assert_eq!(near, "the resource type is written `Patient`");
        // An abstract type and a data type are none.
        for wrong in ["HumanName", "Resource", "", "Patient,Group"] {
            assert!(resource_type(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn counts_stand_in_columns() {
        let of = |name: &str, resources| ResourceStatistics {
            resource_type: name.to_owned(),
            resources,
            deleted: 1,
            versions: 12_000,
        };
        let statistics = StatisticsView {
            resources: 8_007,
            deleted: 2,
            versions: 24_000,
            bytes: 2_048,
            newest_change: 24_000,
            indexed: true,
            types: vec![of("Basic", 7), of("Observation", 8_000)],
        };
        let expected = "             resources    deleted   versions
Basic                7          1      12000
Observation       8000          1      12000
in all            8007          2      24000
2.0 KiB, change 24000
";
        assert_eq!(table(&statistics), expected);
    }
}
