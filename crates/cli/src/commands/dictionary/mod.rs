//! `pipehat dictionary`: what the standard says, offline.

use std::collections::BTreeSet;

use clap::builder::{PossibleValue, TypedValueParser};
use pipehat_dictionary::{Event, Subject, Version, names};
use serde_json::json;

use crate::exit::{Exit, Failure};
use crate::terminal::{Terminal, Tone};
use crate::version_name;

mod describe;
mod tree;

const EXAMPLES: &str = r#"Examples:
  pipehat dictionary PID-3
  pipehat dictionary PV1 --version 2.3
  pipehat dictionary ORU_R01
  pipehat dictionary ADT^A08
  pipehat dictionary ADT
  pipehat dictionary CX.5 PID-3.4.2
  pipehat dictionary table 0001
  pipehat dictionary PID-8 --all-versions
  pipehat dictionary search "visit number"

It knows segments, fields, components, data types, message structures, trigger events and tables of
versions 2.1 to 2.9.1. Usage is R required, O optional, C conditional, B kept for older versions, W
withdrawn; the number of occurrences is least..most, `*` is any number.

The exit code is 1 where the version has no such thing."#;

/// Hits of a search that are shown; more are counted.
const HITS_MAX: usize = 40;

/// Look up segments, fields, data types, messages and tables of the standard
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, arg_required_else_help = true)]
pub(crate) struct Arguments {
    /// What to look up: PID, PID-3, CX, CX.5, ORU_R01, ADT^A08, `table 0001`, or `search` and words
    #[arg(required = true, value_name = "NAME", value_parser = Term, hide_possible_values = true)]
    terms: Vec<String>,

    /// The version of HL7 v2
    #[arg(long, value_name = "VERSION", default_value = "2.5.1", value_parser = version_name::read_by)]
    version: Version,

    /// Show it in every version, those that say the same together
    #[arg(long, conflicts_with = "version")]
    all_versions: bool,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Takes any text; the names of the usual version are what a shell completes.
#[derive(Clone)]
struct Term;

impl TypedValueParser for Term {
    type Value = String;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &std::ffi::OsStr,
    ) -> Result<String, clap::Error> {
        clap::builder::StringValueParser::new().parse_ref(command, argument, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        let names: BTreeSet<String> = names(Version::V2_5_1).collect();
        let words = ["search", "table"].into_iter().map(str::to_owned);
        Some(Box::new(words.chain(names).map(PossibleValue::new)))
    }
}

/// The number of the table that a person means by `9999` after `table`, or by `table 9999` in one argument.
fn table_number(term: &str, is_table: bool) -> Option<&str> {
    let term = term.trim();
    let number = match term.split_once(char::is_whitespace) {
        Some((word, number)) if word.eq_ignore_ascii_case("table") => number.trim(),
        _ => term,
    };
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    (is_table || is_number).then_some(number)
}

/// What is not in the dictionary.
#[derive(Debug, thiserror::Error)]
#[error("the search needs words: write `pipehat dictionary search \"visit number\"`")]
struct NoWords;

impl Arguments {
    pub(crate) fn run(mut self, terminal: &Terminal) -> Result<Exit, Failure> {
        // `"search visit number"` as one argument is meant as three.
        if let Some(first) = self.terms.first()
            && first.split_whitespace().next().is_some_and(|it| it.eq_ignore_ascii_case("search"))
        {
            let words: Vec<String> = first.split_whitespace().map(str::to_owned).collect();
            self.terms.splice(..1, words);
        }
        let first = self.terms.first().map(|term| term.to_lowercase()).unwrap_or_default();
        let rest = self.terms.get(1..).unwrap_or_default();
        if first == "search" {
            if rest.iter().all(|words| words.trim().is_empty()) {
                return Err(Failure::usage(NoWords));
            }
            return self.search(rest, terminal);
        }
        // `table 0001` is one name in two words.
        let is_table = first == "table" && !rest.is_empty();
        let terms = if is_table { rest } else { &self.terms };
        let mut exit = Exit::Ok;
        let mut shown = Vec::new();
        let mut listed = Vec::new();
        for term in terms {
            let found = self.find(term);
            let events = if found.is_empty() { self.events(term) } else { Vec::new() };
            if found.is_empty() && events.is_empty() {
                match table_number(term, is_table) {
                    Some(number) => self.tell_no_table(number, terminal),
                    None => self.tell_absent(term, terminal),
                }
                exit = Exit::NotSo;
            }
            shown.extend(found);
            listed.extend(events);
        }
        terminal.write(|output| {
            if self.json {
                for group in &shown {
                    writeln!(output, "{}", describe::json(group))?;
                }
                for event in &listed {
                    let event = json!({
                        "name": Subject::Event(*event).to_string(),
                        "kind": "event",
                        "structure": event.structure_name(),
                        "version": event.version().as_str(),
                    });
                    writeln!(output, "{event}")?;
                }
                return Ok(());
            }
            for (index, group) in shown.iter().enumerate() {
                if index > 0 {
                    writeln!(output)?;
                }
                describe::write(group, terminal, output)?;
            }
            if !shown.is_empty() && !listed.is_empty() {
                writeln!(output)?;
            }
            for event in &listed {
                let name = format!("{:10}", Subject::Event(*event).to_string());
                let name = terminal.paint(Tone::Strong, format_args!("{name}"));
                let version = if event.version() == self.version {
                    String::new()
                } else {
                    format!("  ({})", event.version())
                };
                writeln!(output, "{name}  {}{version}", event.structure_name())?;
            }
            Ok(())
        })?;
        Ok(exit)
    }

    /// What is meant, each with all the versions that say the same of those asked for.
    fn find(&self, term: &str) -> Vec<Vec<Subject>> {
        if !self.all_versions {
            return Subject::named(term, self.version).into_iter().map(|it| vec![it]).collect();
        }
        let mut groups: Vec<(String, Vec<Subject>)> = Vec::new();
        for version in Version::ALL {
            for subject in Subject::named(term, version) {
                let description = describe::plain(subject);
                match groups.iter_mut().find(|(known, _)| *known == description) {
                    Some((_, group)) => group.push(subject),
                    None => groups.push((description, vec![subject])),
                }
            }
        }
        groups.into_iter().map(|(_, group)| group).collect()
    }

    /// The events of a message code, as of `ADT`; of all versions, each as the newest has it.
    fn events(&self, code: &str) -> Vec<Event> {
        let of = |version: Version| {
            version.events().filter(|it| it.message_code().eq_ignore_ascii_case(code.trim()))
        };
        if !self.all_versions {
            return of(self.version).collect();
        }
        let mut events: Vec<Event> = Vec::new();
        for event in Version::ALL.into_iter().rev().flat_map(of) {
            if !events.iter().any(|known| known.trigger_event() == event.trigger_event()) {
                events.push(event);
            }
        }
        events.sort_by_key(|event| event.trigger_event());
        events
    }

    fn tell_no_table(&self, number: &str, terminal: &Terminal) {
        let having: Vec<Version> =
            Version::ALL.into_iter().filter(|&it| !Subject::named(number, it).is_empty()).collect();
        if self.all_versions || having.is_empty() {
            terminal.note(format_args!("there is no table {number} in any version"));
        } else {
            let runs = describe::runs(&having);
            terminal.note(format_args!("there is no table {number} in {}", self.version));
            terminal.note(format_args!("it is in {runs}: add `--version` to see it"));
        }
    }

    fn tell_absent(&self, term: &str, terminal: &Terminal) {
        if self.all_versions {
            terminal.note(format_args!("no version has `{term}`"));
        } else {
            terminal.note(format_args!("HL7 v{} has no `{term}`", self.version));
        }
        let others: Vec<Version> =
            Version::ALL.into_iter().filter(|&it| !Subject::named(term, it).is_empty()).collect();
        if !others.is_empty() {
            let runs = describe::runs(&others);
            terminal.note(format_args!("it is in {runs}: add `--version` to see it"));
            return;
        }
        if let Some(text) = Subject::past_end(term, self.version) {
            terminal.note(text);
            return;
        }
        let nearest = Subject::nearest(term, self.version);
        if !nearest.is_empty() {
            terminal.note(format_args!("did you mean {}?", nearest.join(", ")));
        } else if term.chars().any(char::is_alphabetic) {
            terminal.note("to look for words in names: `pipehat dictionary search WORDS`");
        }
    }

    fn search(&self, words: &[String], terminal: &Terminal) -> Result<Exit, Failure> {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut hits = Subject::search(&words, self.version);
        if self.all_versions {
            for version in Version::ALL.into_iter().rev() {
                for hit in Subject::search(&words, version) {
                    let same = |known: &Subject| {
                        known.to_string() == hit.to_string() && known.title() == hit.title()
                    };
                    if !hits.iter().any(same) {
                        hits.push(hit);
                    }
                }
            }
        }
        let more = hits.len().saturating_sub(HITS_MAX);
        terminal.write(|output| {
            if self.json {
                for hit in &hits {
                    let hit = json!({
                        "name": hit.to_string(),
                        "kind": describe::kind(*hit),
                        "title": hit.title(),
                        "version": hit.version().as_str(),
                    });
                    writeln!(output, "{hit}")?;
                }
                return Ok(());
            }
            for hit in hits.iter().take(HITS_MAX) {
                let name = terminal.paint(Tone::Strong, format_args!("{:10}", hit.to_string()));
                let version = if hit.version() == self.version {
                    String::new()
                } else {
                    format!("  ({})", hit.version())
                };
                let kind = terminal.paint(Tone::Faint, format_args!("{:10}", describe::kind(*hit)));
                writeln!(output, "{name}  {kind}  {}{version}", hit.title())?;
            }
            Ok(())
        })?;
        if more > 0 && !self.json {
            terminal.note(format_args!("and {more} more: add a word, or `--json` for all"));
        }
        if hits.is_empty() {
            terminal.note("nothing has these words in its name");
            return Ok(Exit::NotSo);
        }
        Ok(Exit::Ok)
    }
}
