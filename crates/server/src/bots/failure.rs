//! Why a run gave nothing: its code, where it was, and what another try may come to. None of it is the script's own words but
//! [`words`], which stay with the run.

use pipehat_connectors::Prospect;
use pipehat_script::{Limit, RunError, RunErrorKind};

/// How often a run is tried that most likely fails each time.
const ATTEMPTS_MAX_OF_LASTING: u32 = 2;

const THREW: &str = "it threw an error";

/// A run that failed, or did not come about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failed {
    pub(crate) code: &'static str,
    /// Where and why, without content.
    pub(crate) why: String,
    /// Its number, where it came about.
    pub(crate) run: Option<u64>,
    /// What another try may come to.
    pub(crate) prospect: Prospect,
}

impl Failed {
    /// What may go well another time.
    pub(crate) fn new(code: &'static str, why: impl Into<String>, run: Option<u64>) -> Self {
        Self { code, why: why.into(), run, prospect: Prospect::Open }
    }

    /// What goes the same way again, most likely.
    pub(crate) fn lasting(code: &'static str, why: impl Into<String>, run: Option<u64>) -> Self {
        Self { prospect: Prospect::Poor, ..Self::new(code, why, run) }
    }

    /// Of a run that failed. What the datastore had refused it for want of a scope explains an error that says the same.
    pub(super) fn of_run(error: &RunError, refused: &[String], run: u64) -> Self {
        let code = code_of(error);
        let refused = refused.iter().find(|own| error.message.contains(own.as_str()));
        match (error.kind, refused) {
            (RunErrorKind::Thrown, Some(refused)) => {
                let (what, why) = (refused.replacen("this client", "it", 1), why(error));
                Self::barred(what + why.strip_prefix(THREW).unwrap_or_default(), run)
            }
            (RunErrorKind::Refused, _) => Self::barred(why(error), run),
            // The same message has the same character another time.
            (RunErrorKind::CharacterSet, _) => {
                Self { prospect: Prospect::Barred, ..Self::new(code, why(error), Some(run)) }
            }
            (RunErrorKind::Limit(limit), _) if limit.strikes_again() => {
                Self::lasting(code, why(error), Some(run))
            }
            _ => Self::new(code, why(error), Some(run)),
        }
    }

    fn barred(why: String, run: u64) -> Self {
        Self { prospect: Prospect::Barred, ..Self::new("bot.not-granted", why, Some(run)) }
    }

    /// How often it is tried at most, whatever the policy says: a busy machine may explain that a limit was reached once.
    pub(super) fn attempts_max(&self) -> Option<u32> {
        match self.prospect {
            Prospect::NeverRan | Prospect::Open => None,
            Prospect::Poor => Some(ATTEMPTS_MAX_OF_LASTING),
            Prospect::Barred => Some(1),
        }
    }
}

fn code_of(error: &RunError) -> &'static str {
    match error.kind {
        RunErrorKind::Thrown => "bot.threw",
        RunErrorKind::Limit(_) => "bot.limit",
        RunErrorKind::Refused => "bot.not-granted",
        RunErrorKind::NeverSettled => "bot.never-settled",
        RunErrorKind::CharacterSet => "bot.character-set",
        RunErrorKind::Defect => "bot.defect",
    }
}

/// Where and why, without the error's own words: they may hold a patient's data.
pub(super) fn why(error: &RunError) -> String {
    let mut places = error.stack.iter().filter_map(|line| {
        let inside = line.rsplit_once('(').map_or(line.as_str(), |(_, rest)| rest);
        let place = inside.trim_start_matches("at ").trim_end_matches(')').trim();
        let is_place = place.contains(':') && place.len() < 200 && !place.contains(' ');
        is_place.then(|| place.to_owned())
    });
    // The bot's own line, below those of the modules that it calls.
    let first = places.next();
    let own = first.iter().find(|place| !place.starts_with("pipehat:")).cloned();
    let place = own.or_else(|| places.find(|place| !place.starts_with("pipehat:"))).or(first);
    let what = match error.kind {
        RunErrorKind::Thrown => THREW,
        RunErrorKind::Limit(Limit::Stack) => "its calls went deeper than they may",
        // These words are the sandbox's own.
        RunErrorKind::Limit(_) | RunErrorKind::Defect => error.message.as_str(),
        RunErrorKind::Refused => "it asked for what it was not granted",
        RunErrorKind::NeverSettled => "it waits for what never comes",
        RunErrorKind::CharacterSet => {
            "it returned a message with a character that the set of its MSH-18 has not (where that is empty, ASCII or the channel's \
             `charset`), or whose MSH-18 names no known set"
        }
    };
    match place {
        Some(place) => format!("{what} at {place}"),
        None => what.to_owned(),
    }
}

/// What an error says, with its stack. It may hold a patient's data.
pub(super) fn words(error: RunError) -> String {
    let mut words = error.message;
    for line in error.stack {
        words.push_str("\n    ");
        words.push_str(&line);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_refusal_explains_what_says_the_same() {
        let refused = [
            "this client has no scope to read Patient",
            "this client has no scope to search Basic",
        ]
        .map(str::to_owned);
        for (message, code) in [
            ("403: this client has no scope to read Patient", "bot.not-granted"),
            ("this client has no scope to search Basic", "bot.not-granted"),
            ("another", "bot.threw"),
        ] {
            let (kind, message) = (RunErrorKind::Thrown, message.to_owned());
            let failed =
                Failed::of_run(&RunError { kind, message, stack: Vec::new() }, &refused, 1);
            assert_eq!(failed.code, code);
        }
    }
}
