//! `pipehat profile import`: a conformance profile in XML as a profile.

use std::path::PathBuf;

use pipehat_dictionary::profile::import;

use super::{name_of, write_profile};
use crate::exit::{Exit, Failure};
use crate::input::Source;
use crate::terminal::Terminal;

const EXAMPLES: &str = "\
Examples:
  pipehat profile import lab2.xml -o profiles/lab2.yaml
  pipehat profile import lab2.xml tables.xml -o profiles/lab2.yaml

Reads HL7 v2 conformance profiles in XML: those of the Messaging Workbench
(HL7v2xConformanceProfile) and those of NIST (ConformanceProfile, from IGAMT), and tables or value
sets in files of their own. What a profile of Pipehat can't say is listed; the exit code is then 1,
and the profile is written all the same.";

/// Make a profile from an HL7 v2 conformance profile in XML
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The conformance profile, and files with its tables; `-` for standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,

    /// Write the profile into this new file; its name is the profile's
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Arguments {
    pub(crate) fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let mut texts = Vec::new();
        for file in self.files {
            let source = Source::from(file);
            texts.push((source.name(), source.read()?));
        }
        let documents: Vec<(&str, &[u8])> =
            texts.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
        let name = match &self.output {
            Some(path) => name_of(Some(path)),
            None => "imported".to_owned(),
        };
        let imported = import(&name, &documents).map_err(Failure::could_not)?;
        write_profile(&imported.profile.write(), self.output.as_deref(), terminal)?;
        for left_out in &imported.left_out {
            terminal.warn(left_out);
        }
        if imported.left_out.is_empty() {
            return Ok(Exit::Ok);
        }
        terminal
            .note(format_args!("{} thing(s) could not be carried over", imported.left_out.len()));
        Ok(Exit::NotSo)
    }
}
