//! `pipehat message translate`: between HL7 v2 and FHIR R4.

use std::path::PathBuf;

use clap::ValueEnum;
use pipehat_translate::{PackedLineage, Place, Source};

use crate::exit::{Exit, Failure};
use crate::terminal::Terminal;

mod to_fhir;
mod to_v2;

const EXAMPLES: &str = "\
Examples:
  pipehat message translate admit.hl7 --to fhir --zone Europe/Berlin
  pipehat message translate lab.hl7 --to fhir --overlay site.yaml --lineage
  pipehat message translate batch.hl7 --to fhir --json | jq -c .bundle
  pipehat message translate discharge.json --to v2 --event 'ADT^A03'
  pipehat message translate order.json --to v2 --event 'ORM^O01' --control CA
  pipehat message translate oru.json --to v2 --event 'ORU^R01' --profile p.yaml
  pipehat message translate a03.json --to v2 --event 'ADT^A03' --lineage --json

To FHIR: the Bundle is a transaction, which a FHIR server applies whole. Resources with an identifier in
a known system are found by it; ids of the others follow from the message, so the same message twice
changes nothing. A date and time without a time zone is of --zone, unless MSH-7 has an offset that is not
this zone's then; without either only the date is kept. --systems is what the systems of assigning
authorities begin with that have no URI of their own. An overlay adds systems, codes, segments and rows of a site.

To v2: the JSON is a resource or a Bundle. Of a Bundle, the message is about the first kind of resource in
it that the event can be about: the Encounter, and without one the Patient, of an ADT^A03; --root
names another. What it refers to has to be in the Bundle.

The message goes to standard output, and what it could not say to standard error: elements that no
row of the tables takes over, codes and systems without a counterpart, and what the standard
requires and the resources lack. Nothing is guessed. `docs/translate.md` has the tables' format and
that of a profile, which says who sends, who receives, and what identifier systems are called.

To FHIR the exit code is 0, 1 with --strict when there is a finding, and 3 when a file cannot be read.
To v2 it is 0, 1 when the standard requires something that the resources lack, 2 when
the event or the version is unknown, and 3 when the file can't be read or holds nothing the event is
about.

Of a file of several messages each becomes a Bundle of its own, one after another; --message N takes one.
Nothing is put together: what belongs together is found by its identifiers when the Bundles are applied in
their order.

To FHIR --json prints an object for each message, a line each, with `message` (its number), `bundle`,
`findings` and `lineage`. To v2 it has `message`, `findings` (`kind`, `path`, `text`) and, with --lineage, `lineage`
(`element`, `name`: the same by the resource's type, `paths`, `rule`).";

/// Translate a message between HL7 v2 and FHIR R4
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The file; standard input if it is left out or `-`
    file: Option<PathBuf>,

    /// What it becomes
    #[arg(long, value_enum)]
    to: Target,

    /// Tell where each value came from
    #[arg(long)]
    lineage: bool,

    /// Print an object
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    to_fhir: to_fhir::Options,

    #[command(flatten)]
    to_v2: to_v2::Options,
}

/// What a file becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Target {
    /// A Bundle of FHIR R4 resources, from a message
    Fhir,
    /// A message, from resources
    V2,
}

impl Arguments {
    pub(crate) fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let output = Output { lineage: self.lineage, json: self.json };
        match self.to {
            Target::Fhir => self.to_fhir.run(self.file, output, terminal),
            Target::V2 => self.to_v2.run(self.file, output, terminal),
        }
    }
}

/// How the result is told.
#[derive(Debug, Clone, Copy)]
struct Output {
    lineage: bool,
    json: bool,
}

/// Where what was made came from, as far as it was asked for and is not more than is shown.
fn sources(output: Output, lineage: Option<&PackedLineage>, terminal: &Terminal) -> Vec<Source> {
    if !output.lineage {
        return Vec::new();
    }
    let lineage = lineage.map(PackedLineage::unpack).and_then(Result::ok);
    if lineage.is_none() {
        terminal.warn("the message has so many values that their lineage is not shown");
    }
    lineage.map(|lineage| lineage.sources).unwrap_or_default()
}

fn shown(paths: &[Place]) -> Vec<String> {
    paths.iter().map(ToString::to_string).collect()
}

fn source_object(source: &Source) -> serde_json::Value {
    serde_json::json!({
        "element": source.element.to_string(),
        "name": source.element.path(),
        "paths": shown(&source.paths),
        "rule": &*source.rule,
    })
}
