//! `pipehat mask`: messages without what tells whose they are.

mod files;
mod key;

use std::collections::HashSet;
use std::path::PathBuf;

use pipehat_message::CharsetRule;
use pipehat_testdata::mask::{Allowance, Masker, Options, TextPolicy};

use crate::exit::{Exit, Failure};
use crate::message_file::CharsetOption;
use crate::terminal::Terminal;

use files::{Job, Summary};

const EXAMPLES: &str = "\
Examples:
  pipehat mask lab.hl7 > masked.hl7
  pipehat mask --key site.key --into masked/ feed/
  pipehat mask --allow ZPI-3 --allow ZBX lab.hl7

Names, addresses, numbers of people, devices and documents, dates and free text are replaced, in every
field of every version that can hold them, as HIPAA's Safe Harbor lists them (45 CFR 164.514(b)(2)). The
same value becomes the same pseudonym wherever it stands, for as long as the key is the same; the dates
of one patient move together, so that intervals stay. Codes, units, results, lengths, structure and
character set stay. In free text, words that are known to be clinical or common stay.

Fields the standard does not define, those of Z-segments above all, are masked unless allowed.
Every message is checked after masking: one in which a value survived is left out, and the command
exits with 1. File names are kept: look whether they tell something. What remains may still tell
someone who knows the patient: have it reviewed before you publish it.";

/// Replace what tells whose messages these are
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Files of messages, or directories of them; `-` is standard input
    #[arg(required = true)]
    files: Vec<PathBuf>,

    /// Write each file under its own name into this directory, which is made if it is not there
    #[arg(long, value_name = "DIR")]
    into: Option<PathBuf>,

    /// The file with the secret that pseudonyms depend on; it is made if it is not there
    /// [default: a secret that is forgotten afterwards]
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,

    /// Leave this segment, field or component as it is, but for names and numbers of the patient
    #[arg(long, value_name = "PATH")]
    allow: Vec<Allowance>,

    /// A file of words, apart by blanks, that may stay in free text
    #[arg(long, value_name = "FILE")]
    words: Option<PathBuf>,

    /// Mask every word of free text
    #[arg(long, conflicts_with = "words")]
    mask_text: bool,

    #[command(flatten)]
    charset: CharsetOption,

    /// Print what was done as JSON; needs --into
    #[arg(long, requires = "into")]
    json: bool,
}

impl Arguments {
    pub(crate) fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        if self.into.is_none() && self.files.len() > 1 {
            return Err(Failure::usage("several files need --into DIR, where each gets its own"));
        }
        let words = match &self.words {
            Some(file) => words(file)?,
            None => HashSet::new(),
        };
        let options = Options {
            allow: self.allow,
            text: if self.mask_text { TextPolicy::Mask } else { TextPolicy::Scrub },
            words,
            charset: self.charset.charset.map_or(CharsetRule::Declared, CharsetRule::Override),
        };
        let allowed = options.allow.clone();
        let masker = Masker::new(key::load(self.key.as_deref(), terminal)?, options.clone());
        let mut job = Job::new(masker, options.charset, terminal);
        match &self.into {
            Some(into) => job.files(&self.files, into)?,
            None => self.files.iter().try_for_each(|file| job.file(file))?,
        }
        let (summary, unused) = job.finish();
        for allowance in unused.into_iter().filter_map(|place| allowed.get(place)) {
            terminal.warn(format_args!("`--allow {allowance}` met nothing: is it spelt right?"));
        }
        tell(&summary, self.json, terminal)?;
        Ok(if summary.left_out == 0 { Exit::Ok } else { Exit::NotSo })
    }
}

fn words(file: &std::path::Path) -> Result<HashSet<String>, Failure> {
    let bytes = crate::input::Source::from(file.to_owned()).read()?;
    let text = String::from_utf8_lossy(&bytes).to_lowercase();
    Ok(text.split_whitespace().map(str::to_owned).collect())
}

fn tell(summary: &Summary, json: bool, terminal: &Terminal) -> Result<(), Failure> {
    if json {
        let text = serde_json::to_string_pretty(summary).map_err(Failure::could_not)?;
        return Ok(terminal.write(|output| writeln!(output, "{text}"))?);
    }
    terminal.note(format_args!(
        "{} message(s) of {} file(s) masked, {} value(s) replaced; {} left out",
        summary.messages, summary.files, summary.values, summary.left_out
    ));
    Ok(())
}
