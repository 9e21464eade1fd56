//! What changed between two profiles, in the order in which it is likely to break a receiver.
//!
//! Two profiles that were learned are compared by their evidence, which tells rates; others by what they say. A change is
//! told when it is more than chance: in evidence from few messages, small differences of rates are not.

use std::fmt;

use super::constraint::Profile;

mod constraints;
mod evidence;

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
    match (&before.evidence, &after.evidence) {
        (Some(first), Some(second)) => {
            evidence::compare(first, second, after, &mut changes);
        }
        _ => constraints::compare(before, after, &mut changes),
    }
    changes.sorted()
}

#[derive(Default)]
struct Changes(Vec<Change>);

impl Changes {
    fn add(
        &mut self,
        impact: Impact,
        share: f64,
        place: impl fmt::Display,
        kind: &'static str,
        text: String,
    ) {
        self.0.push(Change { impact, share, place: place.to_string(), kind, text });
    }

    fn sorted(mut self) -> Vec<Change> {
        self.0.sort_by(|one, other| {
            let by_impact = one.impact.cmp(&other.impact);
            let by_share = other.share.total_cmp(&one.share);
            by_impact.then(by_share).then_with(|| one.place.cmp(&other.place))
        });
        self.0
    }
}
