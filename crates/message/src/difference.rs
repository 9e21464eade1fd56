//! What differs between two messages, place by place.
//!
//! Segments are aligned first, so that one that was added, removed or moved does not make all that follow it differ:
//! the alignment keeps both orders, pairs only segments of the same name, and makes the pairs as alike as it can. In
//! each pair the smallest parts that differ are told: a component rather than its field where both fields have it.
//! Repetitions and components are compared by their position.
//!
//! Bytes are compared, so that an escape sequence differs from what it stands for; where the two messages declare
//! different delimiters, the parts that these separate are compared decoded. Absent, empty and null are three things.
//! How segments end, blank lines and framing are no difference.

use std::collections::HashMap;
use std::num::{NonZeroU16, NonZeroU32};

use crate::message::Message;
use crate::path::{Occurrence, Path};
use crate::segment::{Segment, SegmentName};
use crate::value::Value;

mod align;
#[cfg(test)]
mod tests;

use align::Pair;

/// One place where two messages differ.
///
/// ```
/// use pipehat_message::{Message, differences};
///
/// # fn main() -> Result<(), pipehat_message::ParseError> {
/// let left = Message::parse(b"MSH|^~\\&\rPID|||4711||DOE^JANE")?;
/// let right = Message::parse(b"MSH|^~\\&\rPID|||4711||ROE^JANE")?;
/// let found = differences(&left, &right);
/// let paths: Vec<_> = found.iter().filter_map(|it| it.path()).map(ToString::to_string).collect();
/// assert_eq!(paths, ["PID-5.1"]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Difference<'m> {
    /// The first message's segment with the place.
    pub left: Side<'m>,
    /// The second message's segment with the place.
    pub right: Side<'m>,
}

/// One message's side of a difference.
#[derive(Debug, Clone, Default)]
pub struct Side<'m> {
    /// The segment's index in [`Message::segments`]; `None` where this message has no such segment.
    pub segment_index: Option<usize>,
    /// The path the place has in this message, or would have where the segment ends before it. `None` where this
    /// message has no such segment, and for a line that is not a segment.
    pub path: Option<Path>,
    /// What stands there; `None` where nothing does.
    pub value: Option<Value<'m>>,
}

impl Difference<'_> {
    /// Where it is: the path in the first message, or in the second if only that has the segment. `None` for a line
    /// that is not a segment.
    pub fn path(&self) -> Option<&Path> {
        self.left.path.as_ref().or(self.right.path.as_ref())
    }
}

/// All places where two messages differ, in message order.
pub fn differences<'m>(left: &'m Message<'_>, right: &'m Message<'_>) -> Vec<Difference<'m>> {
    let left = lines(left);
    let right = lines(right);
    let mut differences = Vec::new();
    for Pair { left: left_index, right: right_index } in align::pairs(&left, &right) {
        let left = left_index.and_then(|index| left.get(index));
        let right = right_index.and_then(|index| right.get(index));
        match (left, right) {
            (Some(left), Some(right)) => compare_lines(left, right, &mut differences),
            (Some(only), None) => {
                differences.push(Difference { left: only.whole(), right: Side::default() });
            }
            (None, Some(only)) => {
                differences.push(Difference { left: Side::default(), right: only.whole() });
            }
            (None, None) => {}
        }
    }
    differences
}

/// A segment, or another line, with its place.
struct Line<'m> {
    segment: Segment<'m>,
    path: Option<Path>,
    fields: Vec<Value<'m>>,
}

impl<'m> Line<'m> {
    fn whole(&self) -> Side<'m> {
        self.side(self.path.clone(), Some(self.segment.value()))
    }

    fn side(&self, path: Option<Path>, value: Option<Value<'m>>) -> Side<'m> {
        Side { segment_index: Some(self.segment.index()), path, value }
    }
}

fn lines<'m>(message: &'m Message<'_>) -> Vec<Line<'m>> {
    let mut passed: HashMap<SegmentName, u32> = HashMap::new();
    let line = |segment: Segment<'m>| {
        let path = segment.segment_name().and_then(|name| {
            let passed = passed.entry(name).or_default();
            *passed = passed.saturating_add(1);
            let occurrence = NonZeroU32::new(*passed).map(Occurrence::At)?;
            Some(Path::of_segment(name).with_occurrence(occurrence))
        });
        let fields = if path.is_some() { segment.fields().collect() } else { Vec::new() };
        Line { segment, path, fields }
    };
    message.segments().map(line).collect()
}

fn compare_lines<'m>(left: &Line<'m>, right: &Line<'m>, differences: &mut Vec<Difference<'m>>) {
    let same_delimiters = left.segment.delimiters() == right.segment.delimiters();
    if same_delimiters && left.segment.raw() == right.segment.raw() {
        return;
    }
    let mut comparison = Comparison { left, right, same_delimiters, differences };
    let fields = left.fields.len().max(right.fields.len());
    let (Some(left_path), Some(right_path)) = (&left.path, &right.path) else {
        return comparison.whole();
    };
    if fields > usize::from(Path::POSITION_MAX) {
        // No path reaches the last fields.
        return comparison.whole();
    }
    for (index, position) in (0..fields).zip(1..) {
        let Some(position) = NonZeroU16::new(position) else { break };
        let paths = [left_path, right_path].map(|path| path.clone().with_field(position));
        let values = [left, right].map(|line| line.fields.get(index).copied());
        comparison.part(Level::Field, values, paths);
    }
}

#[derive(Clone, Copy)]
enum Level {
    Field,
    Repetition,
    Component,
    Subcomponent,
}

/// Two segments that belong together.
struct Comparison<'c, 'm> {
    left: &'c Line<'m>,
    right: &'c Line<'m>,
    same_delimiters: bool,
    differences: &'c mut Vec<Difference<'m>>,
}

impl<'m> Comparison<'_, 'm> {
    fn whole(&mut self) {
        self.differences.push(Difference { left: self.left.whole(), right: self.right.whole() });
    }

    /// Tells where two parts differ; left first in both arrays.
    fn part(&mut self, level: Level, values: [Option<Value<'m>>; 2], paths: [Path; 2]) {
        match values {
            [None, None] => {}
            [Some(left), Some(right)] => {
                if self.same_delimiters && left.raw() == right.raw() {
                    return;
                }
                let whole = |value: Value<'_>| value.is_empty() || value.is_null();
                if whole(left) != whole(right) {
                    return self.differ(values, paths);
                }
                self.inside(level, left, right, paths);
            }
            [None, Some(_)] | [Some(_), None] => self.differ(values, paths),
        }
    }

    /// Goes down a level; where both have but one part there, the path stays as short as it is.
    fn inside(&mut self, level: Level, left: Value<'m>, right: Value<'m>, paths: [Path; 2]) {
        let (below, parts): (_, [Vec<_>; 2]) = match level {
            Level::Field => {
                (Level::Repetition, [left, right].map(|value| value.repetitions().collect()))
            }
            Level::Repetition => {
                (Level::Component, [left, right].map(|value| value.components().collect()))
            }
            Level::Component => {
                (Level::Subcomponent, [left, right].map(|value| value.subcomponents().collect()))
            }
            Level::Subcomponent => {
                if self.same_delimiters || left.decoded() != right.decoded() {
                    self.differ([Some(left), Some(right)], paths);
                }
                return;
            }
        };
        let count = parts.iter().map(Vec::len).max().unwrap_or(0);
        if count == 1 {
            return self.part(below, parts.map(|parts| parts.first().copied()), paths);
        }
        let limit = match level {
            Level::Field => Path::OCCURRENCE_MAX,
            Level::Repetition | Level::Component | Level::Subcomponent => {
                u32::from(Path::POSITION_MAX)
            }
        };
        if u32::try_from(count).is_ok_and(|count| count <= limit) {
            for (index, number) in (0..count).zip(1..) {
                let values = [&parts[0], &parts[1]].map(|parts| parts.get(index).copied());
                let paths = paths.clone().map(|path| part_path(path, level, number));
                self.part(below, values, paths);
            }
        } else {
            // No path reaches the last parts.
            self.differ([Some(left), Some(right)], paths);
        }
    }

    fn differ(&mut self, values: [Option<Value<'m>>; 2], paths: [Path; 2]) {
        let [left_value, right_value] = values;
        let [left_path, right_path] = paths;
        self.differences.push(Difference {
            left: self.left.side(Some(left_path), left_value),
            right: self.right.side(Some(right_path), right_value),
        });
    }
}

/// The path of a part of what stands at `path`, which is of this level.
fn part_path(path: Path, level: Level, number: u32) -> Path {
    let position = || u16::try_from(number).ok().and_then(NonZeroU16::new);
    match level {
        Level::Field => match NonZeroU32::new(number) {
            Some(number) => path.with_repetition(Occurrence::At(number)),
            None => path,
        },
        Level::Repetition => match position() {
            Some(position) => path.with_component(position),
            None => path,
        },
        Level::Component | Level::Subcomponent => match position() {
            Some(position) => {
                let component = path.component().unwrap_or(NonZeroU16::MIN);
                path.with_component(component).with_subcomponent(position)
            }
            None => path,
        },
    }
}
