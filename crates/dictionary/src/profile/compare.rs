//! What changed between two profiles, in the order in which it is likely to break a receiver.
//!
//! Profiles are compared by what they say, and those that were learned by their evidence, too, which tells rates; a rule
//! that only repeats what its evidence tells is not told twice. A change is told when it is more than chance: in evidence
//! from few messages, small differences of rates are not, unless something was always there.

use std::fmt;

use super::constraint::Profile;

mod constraints;
mod evidence;
mod learned;

/// How likely a change breaks a receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Impact {
    /// A receiver that was built for the first one is likely to fail, or to lose something.
    Breaking,
    /// A receiver may notice it.
    Notable,
    /// It should be of no consequence.
    Minor,
}

impl Impact {
    /// `breaking`, `notable` or `minor`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Breaking => "breaking",
            Self::Notable => "notable",
            Self::Minor => "minor",
        }
    }
}

impl fmt::Display for Impact {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// One change.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// How likely it breaks a receiver.
    pub impact: Impact,
    /// How much of the traffic it concerns, of a hundred; orders the changes of an impact.
    pub share: f64,
    /// The place, as in `OBX-8`, or what of the whole, as in `messages`.
    pub place: String,
    /// What kind of change it is: a stable name, as in `valued-less`.
    pub kind: &'static str,
    /// What changed, in a sentence without a full stop.
    pub text: String,
}

/// What changed from one profile to another.
pub fn compare(before: &Profile, after: &Profile) -> Vec<Change> {
    let mut changes = Changes::default();
    if before.version != after.version {
        changes.add(
            Impact::Notable,
            100.0,
            "MSH-12",
            "version",
            format!("the version went from {} to {}", before.version, after.version),
        );
    }
    changes.tells_new_rules = before.evidence.is_some() == after.evidence.is_some();
    match (&before.evidence, &after.evidence) {
        (Some(first), Some(second)) => {
            evidence::compare((first, before), (second, after), &mut changes);
            let (before, after) = learned::without_learned(before, after);
            constraints::compare(&before, &after, &mut changes);
        }
        _ => constraints::compare(before, after, &mut changes),
    }
    changes.sorted()
}

#[derive(Default)]
struct Changes {
    changes: Vec<Change>,
    /// Whether it is a change that something is said that was not. One that was learned says more than one that was
    /// written, and between those it is none.
    tells_new_rules: bool,
}

impl Changes {
    fn add(
        &mut self,
        impact: Impact,
        share: f64,
        place: impl fmt::Display,
        kind: &'static str,
        text: String,
    ) {
        self.changes.push(Change { impact, share, place: place.to_string(), kind, text });
    }

    fn sorted(mut self) -> Vec<Change> {
        self.changes.sort_by(|one, other| {
            let by_impact = one.impact.cmp(&other.impact);
            let by_share = other.share.total_cmp(&one.share);
            by_impact.then(by_share).then_with(|| one.place.cmp(&other.place))
        });
        self.changes
    }
}
