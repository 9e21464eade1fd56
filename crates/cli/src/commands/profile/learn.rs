//! `pipehat profile learn`: a profile from traffic.

use std::path::PathBuf;

use pipehat_dictionary::Version;
use pipehat_dictionary::profile::{Learner, Profile};

use super::traffic::{Traffic, TrafficArguments};
use super::{name_of, write_profile};
use crate::exit::{Exit, Failure};
use crate::terminal::Terminal;
use crate::version_name;

const EXAMPLES: &str = "\
Examples:
  pipehat profile learn inbox/ -o profiles/lab2.yaml
  pipehat profile learn january.hl7 february.hl7
  pipehat profile learn --channel lab-in --since 7d -o profiles/lab2.yaml

The file is a profile that accepts the traffic it was learned from, with what was seen as numbers:
message types, segments, how often each field is valued and repeats, lengths, codes, formats of dates,
segments of the partner's own with guessed types, and what departs from the standard. Read it, cut what
was chance, and keep it.

It never holds a value of a patient. Only codes are written, where they are few; a code that is not
in the standard's table has to be seen with five different patients. The guide says the whole rule.

One pass in constant memory: files may be of any size. `--channel` reads what a channel received, from
the Pipehat that runs on this data, or from its journal when none runs.";

/// Learn a profile from traffic
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    traffic: TrafficArguments,

    /// Write the profile into this new file; its name is the profile's
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Read every message by this version, whatever MSH-12 says
    #[arg(long = "version", value_name = "VERSION", value_parser = version_name::read_by)]
    version: Option<Version>,
}

impl Arguments {
    pub(crate) fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let traffic = Traffic::of(&self.traffic)?;
        if let Some(path) = self.output.as_ref().filter(|path| path.exists()) {
            let path = path.display();
            return Err(Failure::could_not(format!("{path} is there already: name a new file")));
        }
        let mut learner = Learner::new(self.version);
        traffic.read(&mut learner, terminal)?;
        let profile = learner.profile(&name_of(self.output.as_deref()));
        write_profile(&profile.write(), self.output.as_deref(), terminal)?;
        terminal.note(summary(&profile));
        Ok(Exit::Ok)
    }
}

/// What was learned, in a line.
fn summary(profile: &Profile) -> String {
    let Some(evidence) = &profile.evidence else { return String::new() };
    let plural = |count: usize, one: &str| {
        if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") }
    };
    let own = profile.segments.keys().filter(|name| profile.version.segment(**name).is_none());
    let mut parts = vec![
        format!("learned from {} message(s)", evidence.messages),
        plural(evidence.types.len(), "message type"),
        plural(evidence.segments.len(), "segment"),
    ];
    match own.count() {
        0 => {}
        own => parts.push(format!("{own} of the partner's own")),
    }
    if !profile.accepted.is_empty() {
        parts.push(plural(profile.accepted.len(), "departure") + " from the standard");
    }
    if evidence.unreadable > 0 {
        parts.push(format!("{} part(s) that can't be read", evidence.unreadable));
    }
    parts.join(", ")
}
