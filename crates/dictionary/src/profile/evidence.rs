//! What a profile was learned from, as numbers.

use std::collections::BTreeMap;

use pipehat_message::SegmentName;

use super::place::Place;

/// Counts of what messages had. It holds no value of a message but codes that [`learn`](super::learn) allows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Messages that were looked at.
    pub messages: u64,
    /// Parts of the traffic that could not be read as a message.
    pub unreadable: u64,
    /// How many messages of each type, as in `ORU^R01`.
    pub types: BTreeMap<String, u64>,
    /// How many messages name each version in MSH-12.
    pub versions: BTreeMap<String, u64>,
    /// How many messages name each character set in MSH-18; `none` where it is empty.
    pub charsets: BTreeMap<String, u64>,
    /// Messages with a byte that is not ASCII.
    pub not_ascii: u64,
    /// Messages that name UTF-8 and are not.
    pub not_utf8: u64,
    /// Each segment.
    pub segments: BTreeMap<SegmentName, SegmentEvidence>,
    /// Each field and part of one that was valued.
    pub elements: BTreeMap<Place, ElementEvidence>,
}

/// Counts of a segment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SegmentEvidence {
    /// Messages that have it.
    pub messages: u64,
    /// How often it occurs in all of them.
    pub total: u64,
    /// The most of one message.
    pub most: u64,
    /// Behind which segment it stands and how often, for one that the standard does not have there.
    pub after: BTreeMap<SegmentName, u64>,
}

/// Counts of a field or a part of one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ElementEvidence {
    /// How often it is valued.
    pub valued: u64,
    /// How often it could have been: segments for a field, valued fields for a component.
    pub of: u64,
    /// How often it is `""`.
    pub null: u64,
    /// How many fields have so many repetitions; the last number counts all that have as many or more.
    pub repeats: BTreeMap<u64, u64>,
    /// The most repetitions.
    pub most: u64,
    /// The fewest characters, and the most.
    pub length: Option<(u64, u64)>,
    /// How often each code stands there, if they may be told.
    pub codes: BTreeMap<String, u64>,
    /// How often another code stands there.
    pub other_codes: u64,
    /// How many dates or times have so many parts, from 1 for years to 6 for seconds and 7 to 10 for fractions.
    pub precisions: BTreeMap<u8, u64>,
    /// How many dates or times have an offset.
    pub zoned: u64,
    /// How many values are numbers.
    pub numbers: u64,
}

impl ElementEvidence {
    /// In how many of a hundred cases it is valued.
    pub fn percent(&self) -> f64 {
        percent(self.valued, self.of)
    }
}

/// How many of a hundred.
pub(super) fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 }
}

/// A percentage as it is shown: `98 %`, but `99.9 %` and `0.1 %` where rounding would say all or none.
pub(super) fn shown_percent(part: u64, whole: u64) -> String {
    let value = percent(part, whole);
    if part == 0 || part == whole {
        format!("{value:.0} %")
    } else if value > 99.0 {
        format!("{:.1} %", value.min(99.9))
    } else if value < 1.0 {
        format!("{:.1} %", value.max(0.1))
    } else {
        format!("{value:.0} %")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentage_never_says_all_or_none_when_it_is_not_so() {
        let check = |part, whole, expected: &str| assert_eq!(shown_percent(part, whole), expected);
        check(0, 0, "0 %");
        check(5, 5, "100 %");
        check(99_999, 100_000, "99.9 %");
        check(1, 100_000, "0.1 %");
        check(1, 3, "33 %");
    }
}
