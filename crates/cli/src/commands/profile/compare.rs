//! `pipehat profile compare`: what changed between two systems or two periods.

use std::path::PathBuf;

use pipehat_dictionary::profile::{Change, Impact, Learner, Profile, compare};
use serde_json::json;

use super::traffic::Traffic;
use super::{is_profile_file, load};
use crate::exit::{Exit, Failure};
use crate::terminal::{Terminal, Tone};

const EXAMPLES: &str = "\
Examples:
  pipehat profile compare profiles/lab2.yaml today.hl7
  pipehat profile compare january/ february/
  pipehat profile compare old.yaml new.yaml --json | jq '.changes[].impact'

Each side is a profile (a file that ends with .yaml) or traffic: a file or directory of messages. To
compare two periods of a channel, learn a profile of each with `pipehat profile learn --channel
NAME --since … --until …`.

What the profiles say is compared, and what they were learned from (`evidence`). What is likely to
break a receiver comes first:

  breaking  new codes, types, repetitions; what was there in 90 % or always
            and is missing beyond chance; less precise dates; a rule that
            promises less (R to RE, another format)
  notable   what a receiver may notice: new fields, another length, a gap in
            what was always there that may be chance
  minor     what should be of no consequence, as a rule that promises more

The exit code is 1 when something breaking changed, and 0 when not.";

/// Tell what changed between two profiles, or two sets of messages
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// How it was: a profile, or messages
    #[arg(value_name = "BEFORE")]
    before: PathBuf,

    /// How it is: a profile, or messages
    #[arg(value_name = "AFTER")]
    after: PathBuf,

    /// Also tell what should be of no consequence
    #[arg(long)]
    all: bool,

    /// The result as JSON
    #[arg(long)]
    json: bool,
}

impl Arguments {
    pub(crate) fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let before = side(&self.before, terminal)?;
        let after = side(&self.after, terminal)?;
        let changes = compare(&before, &after);
        let breaking = changes.iter().filter(|change| change.impact == Impact::Breaking).count();
        let shown: Vec<&Change> = changes
            .iter()
            .filter(|change| self.all || self.json || change.impact != Impact::Minor)
            .collect();
        if self.json {
            let messages =
                |profile: &Profile| profile.evidence.as_ref().map(|evidence| evidence.messages);
            let listed: Vec<_> = shown
                .iter()
                .map(|change| {
                    json!({
                        "impact": change.impact.as_str(),
                        "place": change.place,
                        "kind": change.kind,
                        "share": (change.share * 10.0).round() / 10.0,
                        "text": change.text,
                    })
                })
                .collect();
            let result = json!({
                "breaking": breaking > 0,
                "messages_before": messages(&before),
                "messages_after": messages(&after),
                "changes": listed,
            });
            terminal.write(|output| writeln!(output, "{result:#}"))?;
        } else {
            list(&shown, &changes, terminal)?;
        }
        Ok(if breaking > 0 { Exit::NotSo } else { Exit::Ok })
    }
}

fn list(shown: &[&Change], all: &[Change], terminal: &Terminal) -> Result<(), Failure> {
    terminal.write(|output| {
        for change in shown {
            let tone = match change.impact {
                Impact::Breaking => Tone::Bad,
                Impact::Notable => Tone::Warning,
                Impact::Minor => Tone::Faint,
            };
            let impact = terminal.paint(tone, format!("{:8}", change.impact.as_str()));
            writeln!(output, "{impact}  {}", change.text)?;
        }
        if all.is_empty() {
            return writeln!(output, "{}", terminal.paint(Tone::Good, "nothing changed"));
        }
        let count = |impact| all.iter().filter(|change| change.impact == impact).count();
        let left_out = all.len().saturating_sub(shown.len());
        let hint = if left_out > 0 { " (add --all to see these)" } else { "" };
        writeln!(
            output,
            "{} breaking, {} notable, {} minor{hint}",
            count(Impact::Breaking),
            count(Impact::Notable),
            count(Impact::Minor)
        )
    })?;
    Ok(())
}

/// One side: a profile as it is written, or as it is learned from messages.
fn side(path: &PathBuf, terminal: &Terminal) -> Result<Profile, Failure> {
    if is_profile_file(path) {
        return load(&path.display().to_string(), terminal);
    }
    let mut learner = Learner::default();
    Traffic::files(std::slice::from_ref(path))?.read(&mut learner, terminal)?;
    Ok(learner.profile("learned"))
}
