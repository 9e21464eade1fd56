//! What a connector says of itself: the one place its settings, forms and pages come from.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use pipehat_config::{Diagnostics, FieldSchema, Settings};

use crate::{Answer, Destination, Health, LocalFhir, Lookup, Source};

/// One connector.
#[derive(Debug)]
pub struct Descriptor {
    /// The key in a channel file, such as `mllp`.
    pub name: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// What it speaks, in a sentence or two.
    pub doc: &'static str,
    /// How it receives, if it does.
    pub source: Option<SourceDescriptor>,
    /// How it sends, if it does.
    pub destination: Option<DestinationDescriptor>,
    /// How a `lookup` step asks it, if it can be asked.
    pub lookup: Option<LookupDescriptor>,
    /// What it may tell an operator: every code of its problems, attempts and mistakes.
    pub codes: &'static [OperatorCode],
}

/// What the messages of a channel are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PayloadFormat {
    /// HL7 v2.
    #[default]
    Hl7,
    /// JSON: a FHIR resource, or any other object.
    Json,
}

impl PayloadFormat {
    /// Its name in a channel file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hl7 => "hl7",
            Self::Json => "json",
        }
    }
}

/// A stable code that an operator meets in the console, in logs and in records, and looks up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OperatorCode {
    /// The code itself, `mllp.connect-failed`: the connector and what happened.
    pub code: &'static str,
    /// What it means and what usually lies behind it.
    pub cause: &'static str,
    /// What to do about it.
    pub remedy: &'static str,
}

/// Makes a source.
pub type BuildSource =
    fn(&Settings, &BuildContext<'_>, &mut Diagnostics) -> Option<Arc<dyn Source>>;

/// Makes a destination, which keeps its health there.
pub type BuildDestination =
    fn(&Settings, &BuildContext<'_>, Arc<Health>, &mut Diagnostics) -> Option<Arc<dyn Destination>>;

/// Makes what a `lookup` step asks, which keeps its health there.
pub type BuildLookup =
    fn(&Settings, &BuildContext<'_>, Arc<Health>, &mut Diagnostics) -> Option<Arc<dyn Lookup>>;

/// How a connector receives.
#[derive(Debug)]
pub struct SourceDescriptor {
    /// Its settings.
    pub schema: &'static [FieldSchema],
    /// What it can receive; the first is what it receives when the channel does not say.
    pub formats: &'static [PayloadFormat],
    /// Makes a source of checked settings; reports what only the whole shows to be wrong.
    pub build: BuildSource,
    /// What it holds alone on this machine, such as `tcp 0.0.0.0:2575` or a folder: two sources
    /// with the same claim clash. Addresses of port 0 claim nothing.
    pub claim: fn(&Settings) -> Option<String>,
}

/// How a connector sends.
#[derive(Debug)]
pub struct DestinationDescriptor {
    /// Its settings.
    pub schema: &'static [FieldSchema],
    /// The setting that a single value in place of a map stands for: `fhir: local`.
    pub shorthand: Option<&'static str>,
    /// What it can send.
    pub formats: &'static [PayloadFormat],
    /// The ways in which its peers refuse, and those interruptions that `on:` may name too.
    pub answers: &'static [Answer],
    /// Which interruptions are named by an answer: the code of [`crate::Attempt::Interrupted`] and
    /// the answer's name, such as `mllp.acknowledgment-timeout` and `none`.
    pub interruptions: &'static [(&'static str, &'static str)],
    /// The interruptions behind which a second try may do harm: what was sent is set aside unless the channel file
    /// says otherwise.
    pub unrepeatable: &'static [&'static str],
    /// Makes a destination of checked settings; reports what only the whole shows to be wrong.
    pub build: BuildDestination,
}

/// How a connector is asked.
#[derive(Debug)]
pub struct LookupDescriptor {
    /// Its settings.
    pub schema: &'static [FieldSchema],
    /// The setting that a single value in place of a map stands for: `fhir: local`.
    pub shorthand: Option<&'static str>,
    /// The ways in which it refuses to answer: what `on:` may name.
    pub answers: &'static [Answer],
    /// Makes what is asked of checked settings; reports what only the whole shows to be wrong.
    pub build: BuildLookup,
}

impl DestinationDescriptor {
    /// The answer that stands for an interruption with this code, if `on:` may name it. What the
    /// configuration does not name is left to `on_interrupted`.
    pub fn answer_to_interruption(&self, code: &str) -> Option<&'static Answer> {
        let (_, name) = self.interruptions.iter().find(|(known, _)| *known == code)?;
        self.answers.iter().find(|answer| answer.name == *name)
    }
}

/// What building a connector may use.
#[derive(Clone, Copy)]
pub struct BuildContext<'c> {
    /// The project directory, which relative paths of certificates and folders start from.
    pub project: &'c Path,
    /// Resolves `secret:` references.
    pub secrets: &'c dyn Secrets,
    /// The channel that is built.
    pub channel: &'c str,
    /// The project's FHIR datastore, where it has one.
    pub datastore: Option<&'c LocalFhir>,
}

impl BuildContext<'_> {
    /// A path of the configuration, seen from the project directory.
    pub fn path(&self, written: &str) -> PathBuf {
        self.project.join(written)
    }
}

/// Gives the text behind a secret's name.
pub trait Secrets {
    /// The secret's bytes.
    ///
    /// # Errors
    /// When no secret has that name; the message says where one is looked for.
    fn secret(&self, name: &str) -> Result<Vec<u8>, UnknownSecret>;

    /// What stands in for a secret that is not there, where a configuration is only looked at and never runs. Who reads
    /// one then warns of it, and goes on.
    fn stand_in(&self) -> Option<&'static [u8]> {
        None
    }
}

/// No such secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no secret `{name}`: {remedy}")]
pub struct UnknownSecret {
    /// Its name.
    pub name: String,
    /// Where it may be put.
    pub remedy: String,
}
