//! How two messages differ: which fields, expected and actual.

use std::fmt;
use std::num::{NonZeroU16, NonZeroU32};

use pipehat_message::{Message, Occurrence, Path, Segment, Value};

/// Messages with more segments are compared line by line, without looking for the best match.
const ALIGNED_SEGMENTS_MAX: usize = 2_000;

/// One place where two messages differ. It holds values: only for cases and other synthetic data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The path, or a segment's name with its number.
    pub place: String,
    /// What was expected there; none where nothing was.
    pub expected: Option<String>,
    /// What is there; none where nothing is.
    pub actual: Option<String>,
}

/// `PID-8: expected `male`, found `M``
impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, expected, actual } = self;
        match (expected, actual) {
            (Some(expected), Some(actual)) => {
                write!(formatter, "{place}: expected `{expected}`, found `{actual}`")
            }
            (Some(expected), None) => write!(formatter, "{place}: missing, expected `{expected}`"),
            (None, Some(actual)) => write!(formatter, "{place}: not expected, found `{actual}`"),
            (None, None) => write!(formatter, "{place}: differs"),
        }
    }
}

/// Where two messages differ, in message order. How segments end does not count.
pub fn differences(expected: &[u8], actual: &[u8]) -> Vec<Difference> {
    let (Ok(one), Ok(other)) = (Message::parse(expected), Message::parse(actual)) else {
        if lines(expected).eq(lines(actual)) {
            return Vec::new();
        }
        return vec![Difference {
            place: "the message".to_owned(),
            expected: Some(text(expected)),
            actual: Some(text(actual)),
        }];
    };
    let left: Vec<Segment<'_>> = one.segments().collect();
    let right: Vec<Segment<'_>> = other.segments().collect();
    let mut found = Vec::new();
    for pair in aligned(&left, &right) {
        match pair {
            (Some(left), Some(right)) => segments(&one, left, right, &mut found),
            (Some(left), None) => found.push(Difference {
                place: name(&one, left),
                expected: Some(text(left.raw())),
                actual: None,
            }),
            (None, Some(right)) => found.push(Difference {
                place: name(&other, right),
                expected: None,
                actual: Some(text(right.raw())),
            }),
            (None, None) => {}
        }
    }
    found
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|byte| matches!(byte, b'\r' | b'\n')).filter(|line| !line.is_empty())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end_matches(['\r', '\n']).to_owned()
}

fn name(message: &Message<'_>, segment: &Segment<'_>) -> String {
    match message.segment_path(segment.index()) {
        Some(path) => path.to_string(),
        None => format!("line {}", segment.index() + 1),
    }
}

type Pair<'p, 'm> = (Option<&'p Segment<'m>>, Option<&'p Segment<'m>>);

/// Pairs equal segments, then those of the same name, in order.
fn aligned<'p, 'm>(left: &'p [Segment<'m>], right: &'p [Segment<'m>]) -> Vec<Pair<'p, 'm>> {
    if left.len() > ALIGNED_SEGMENTS_MAX || right.len() > ALIGNED_SEGMENTS_MAX {
        let longest = left.len().max(right.len());
        return (0..longest).map(|index| (left.get(index), right.get(index))).collect();
    }
    let width = right.len() + 1;
    let mut best = vec![0_u32; (left.len() + 1) * width];
    let at = |best: &[u32], row: usize, column: usize| {
        best.get(row * width + column).copied().unwrap_or(0)
    };
    let worth = |row: usize, column: usize| match (left.get(row), right.get(column)) {
        (Some(one), Some(other)) if one.raw() == other.raw() => 3,
        (Some(one), Some(other)) if one.name() == other.name() => 1,
        _ => 0,
    };
    for row in (0..left.len()).rev() {
        for column in (0..right.len()).rev() {
            let paired = match worth(row, column) {
                0 => 0,
                worth => worth + at(&best, row + 1, column + 1),
            };
            let most = paired.max(at(&best, row + 1, column)).max(at(&best, row, column + 1));
            if let Some(cell) = best.get_mut(row * width + column) {
                *cell = most;
            }
        }
    }
    let mut pairs = Vec::new();
    let (mut row, mut column) = (0, 0);
    while row < left.len() || column < right.len() {
        let here = at(&best, row, column);
        let paired = worth(row, column);
        if row < left.len()
            && column < right.len()
            && paired > 0
            && here == paired + at(&best, row + 1, column + 1)
        {
            pairs.push((left.get(row), right.get(column)));
            row += 1;
            column += 1;
        } else if row < left.len() && (column >= right.len() || here == at(&best, row + 1, column))
        {
            pairs.push((left.get(row), None));
            row += 1;
        } else {
            pairs.push((None, right.get(column)));
            column += 1;
        }
    }
    pairs
}

fn segments(
    message: &Message<'_>,
    left: &Segment<'_>,
    right: &Segment<'_>,
    found: &mut Vec<Difference>,
) {
    if left.raw() == right.raw() {
        return;
    }
    let Some(path) = message.segment_path(left.index()) else {
        found.push(Difference {
            place: name(message, left),
            expected: Some(text(left.raw())),
            actual: Some(text(right.raw())),
        });
        return;
    };
    let (one, other): (Vec<_>, Vec<_>) = (left.fields().collect(), right.fields().collect());
    let before = found.len();
    for index in 0..one.len().max(other.len()) {
        let Some(position) = position(index) else { continue };
        let path = path.clone().with_field(position);
        level(&path, one.get(index), other.get(index), Level::Field, found);
    }
    if found.len() == before {
        found.push(Difference {
            place: path.to_string(),
            expected: Some(text(left.raw())),
            actual: Some(text(right.raw())),
        });
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Field,
    Repetition,
    Component,
    Subcomponent,
}

fn position(index: usize) -> Option<NonZeroU16> {
    NonZeroU16::new(u16::try_from(index.checked_add(1)?).ok()?)
}

/// Goes down as long as both sides have the same number of parts, so that the place named is the
/// smallest that tells the difference.
fn level(
    path: &Path,
    left: Option<&Value<'_>>,
    right: Option<&Value<'_>>,
    level_here: Level,
    found: &mut Vec<Difference>,
) {
    let raw = |value: Option<&Value<'_>>| value.map(|value| value.raw().to_vec());
    if raw(left) == raw(right) {
        return;
    }
    if let (Some(one), Some(other)) = (left, right) {
        let (one, other, next): (Vec<Value<'_>>, Vec<Value<'_>>, _) = match level_here {
            Level::Field => {
                (one.repetitions().collect(), other.repetitions().collect(), Level::Repetition)
            }
            Level::Repetition => {
                (one.components().collect(), other.components().collect(), Level::Component)
            }
            Level::Component => (
                one.subcomponents().collect(),
                other.subcomponents().collect(),
                Level::Subcomponent,
            ),
            Level::Subcomponent => (Vec::new(), Vec::new(), Level::Subcomponent),
        };
        let single = one.len() == 1 && other.len() == 1;
        if (one.len() == other.len() && !one.is_empty()) && level_here != Level::Subcomponent {
            for (index, (one, other)) in one.iter().zip(&other).enumerate() {
                let Some(position) = position(index) else { continue };
                let inner = match next {
                    // A part that is all there is needs no number.
                    _ if single => path.clone(),
                    Level::Repetition => {
                        let number = NonZeroU32::from(position);
                        path.clone().with_repetition(Occurrence::At(number))
                    }
                    Level::Component => path.clone().with_component(position),
                    Level::Subcomponent | Level::Field => path.clone().with_subcomponent(position),
                };
                level(&inner, Some(one), Some(other), next, found);
            }
            return;
        }
    }
    found.push(Difference {
        place: path.to_string(),
        expected: left.map(|value| text(value.raw())),
        actual: right.map(|value| text(value.raw())),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(expected: &str, actual: &str, differences_expected: &[&str]) {
        let header = "MSH|^~\\&|A|B\r";
        let found = differences(
            format!("{header}{expected}").as_bytes(),
            format!("{header}{actual}").as_bytes(),
        );
        let found: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(found, differences_expected);
    }

    #[test]
    fn the_smallest_place_is_named() {
        check("PID|1||4711^^^H^MR", "PID|1||4711^^^G^MR", &["PID-3.4: expected `H`, found `G`"]);
        check("PID|1||1~2^a&b", "PID|1||1~2^a&c", &["PID-3[2].2.2: expected `b`, found `c`"]);
        check("PID|1||1~2", "PID|1||1", &["PID-3: expected `1~2`, found `1`"]);
        check("PID|1|", "PID|1", &["PID-2: missing, expected ``"]);
        check("PID|1||M", "PID|1||F", &["PID-3: expected `M`, found `F`"]);
    }

    #[test]
    fn segments_are_matched_before_they_are_compared() {
        check(
            "OBX|1|A\rOBX|2|B\rNTE|x",
            "OBX|2|B\rNTE|x\rZZZ|9",
            &["OBX: missing, expected `OBX|1|A`", "ZZZ: not expected, found `ZZZ|9`"],
        );
        check("OBX|1\rOBX|2", "OBX|1\rOBX|3", &["OBX(2)-1: expected `2`, found `3`"]);
    }

    #[test]
    fn segment_ends_do_not_count() {
        check("PID|1\nPV1|1\n", "PID|1\rPV1|1", &[]);
    }
}
