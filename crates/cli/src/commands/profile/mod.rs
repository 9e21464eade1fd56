//! `pipehat profile`: what a partner's messages are like, written down, learned, compared.

mod compare;
mod import;
mod learn;
mod traffic;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Subcommand;
use pipehat_dictionary::profile::{Profile, ProfileConstraints};
use pipehat_engine::project::ProfileFile;

use crate::commands::project::show;
use crate::exit::{Exit, Failure};
use crate::terminal::Terminal;

const EXAMPLES: &str = "\
Examples:
  pipehat profile learn inbox/ -o profiles/lab2.yaml
  pipehat profile compare january.yaml february/
  pipehat profile import lab2.xml -o profiles/lab2.yaml
  pipehat message validate new.hl7 --profile lab2

A profile is a small YAML file: what one partner's messages have, how often, with which codes and
formats, which segments of their own. It stands in the folder `profiles` of a project, where
`pipehat check` checks it. The guide explains what it may say.";

/// Describe a partner's messages: learn a profile from traffic, compare two, import one
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Learn(learn::Arguments),
    Compare(compare::Arguments),
    Import(import::Arguments),
}

impl Arguments {
    pub(crate) fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        match self.command {
            Command::Learn(arguments) => arguments.run(terminal),
            Command::Compare(arguments) => arguments.run(terminal),
            Command::Import(arguments) => arguments.run(terminal),
        }
    }
}

/// A profile that can't be used.
#[derive(Debug, thiserror::Error)]
enum ProfileError {
    #[error("there is no profile {name}: neither a file of this name nor profiles/{name}.yaml")]
    NotThere { name: String },
    #[error("the profile {name} has mistakes")]
    Mistakes { name: String },
}

/// The profile of this name in the project of the current folder, or in a file; shows its mistakes.
pub(crate) fn load(name: &str, terminal: &Terminal) -> Result<Profile, Failure> {
    let path = if is_profile_file(Path::new(name)) {
        PathBuf::from(name)
    } else {
        Path::new("profiles").join(format!("{name}.yaml"))
    };
    if !path.exists() {
        let name = name.to_owned();
        return Err(Failure::could_not(ProfileError::NotThere { name }));
    }
    let loaded = ProfileFile::load(&path);
    show(&loaded.diagnostics, terminal);
    let name = path.display().to_string();
    loaded.profile.ok_or_else(|| Failure::could_not(ProfileError::Mistakes { name }))
}

/// The same, ready for validation.
pub(crate) fn constraints(name: &str, terminal: &Terminal) -> Result<ProfileConstraints, Failure> {
    Ok(ProfileConstraints::new(Arc::new(load(name, terminal)?)))
}

/// Whether a name is that of a profile's file, and not of one with messages.
fn is_profile_file(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "yaml" || ending == "yml")
}

/// Writes a profile where it is wanted: into a new file, or to standard output.
fn write_profile(text: &str, output: Option<&Path>, terminal: &Terminal) -> Result<(), Failure> {
    match output {
        Some(path) => Ok(crate::output_file::create(path, text.as_bytes())?),
        None => Ok(terminal.write(|output| write!(output, "{text}"))?),
    }
}

/// What a profile is called that is written to this file.
fn name_of(output: Option<&Path>) -> String {
    let stem = output.and_then(Path::file_stem).and_then(|stem| stem.to_str());
    stem.unwrap_or("learned").to_owned()
}
