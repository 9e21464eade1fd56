//! A message: its bytes, and an index of its segments.

use std::borrow::Cow;
use std::fmt;
use std::num::NonZeroU32;

use crate::delimiters::Delimiters;
use crate::groups::{GroupReader, GroupedSegment};
use crate::parse::{self, Limits, Line, ParseError};
use crate::part::{self, Place};
use crate::path::{Occurrence, Path};
use crate::segment::{Segment, SegmentName};
use crate::value::{Depth, Value};

/// One HL7 v2 message.
///
/// Parsing borrows the bytes and only finds the segments; fields are looked for when asked. The first edit copies the
/// bytes. Until then [`Message::as_bytes`] is the input itself, whatever oddities it contains; afterwards it differs
/// from it only where an edit went.
#[derive(Clone)]
pub struct Message<'a> {
    pub(crate) bytes: Cow<'a, [u8]>,
    pub(crate) lines: Vec<Line>,
    pub(crate) delimiters: Delimiters,
    pub(crate) limits: Limits,
    pub(crate) edited: bool,
    pub(crate) group_reader: Option<&'static dyn GroupReader>,
}

/// One match of a path with `*` or `last` in it.
#[derive(Clone)]
pub struct Match<'m> {
    /// The path of just this match: every `*` and `last` replaced by a number.
    pub path: Path,
    /// What stands there.
    pub value: Value<'m>,
}

impl<'a> Message<'a> {
    /// Reads a message within the default [`Limits`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ParseError> {
        Self::parse_with(bytes, &Limits::DEFAULT)
    }

    /// Reads a message within the given limits.
    pub fn parse_with(bytes: &'a [u8], limits: &Limits) -> Result<Self, ParseError> {
        Self::indexed(Cow::Borrowed(bytes), limits)
    }

    /// Reads a message from bytes that it then owns, so that editing a large one does not copy it.
    pub fn parse_owned(bytes: Vec<u8>, limits: &Limits) -> Result<Message<'static>, ParseError> {
        Message::indexed(Cow::Owned(bytes), limits)
    }

    /// How many segments of a name there are, as of a message read [within](Self::parse_with) these limits and by the
    /// same rules, but without its index: for one that is only looked at as a whole.
    pub fn count_segments(
        bytes: &[u8],
        name: SegmentName,
        limits: &Limits,
    ) -> Result<usize, ParseError> {
        parse::count(bytes, limits, name)
    }

    /// Goes over the [`segments`](Self::segments) of a message read [within](Self::parse_with) these limits and by the
    /// same rules, but without its index: for one of which a few are wanted, once. What was given before an error is of
    /// no message.
    pub fn each_segment(
        bytes: &'a [u8],
        limits: &Limits,
        mut take: impl FnMut(Segment<'a>),
    ) -> Result<(), ParseError> {
        let mut index = 0;
        parse::each(bytes, limits, |delimiters, line| {
            let raw = bytes.get(line.span()).unwrap_or_default();
            take(Segment::of_message(raw, line.name, delimiters, index));
            index += 1;
        })
    }

    fn indexed(bytes: Cow<'a, [u8]>, limits: &Limits) -> Result<Self, ParseError> {
        let (delimiters, lines) = parse::index(&bytes, limits)?;
        Ok(Self { bytes, lines, delimiters, limits: *limits, edited: false, group_reader: None })
    }

    /// Puts other bytes in the place of all of it, within the limits it was read with; where they are no message it stays.
    pub fn rewrite(&mut self, bytes: Vec<u8>) -> Result<(), ParseError> {
        let (delimiters, lines) = parse::index(&bytes, &self.limits)?;
        self.edited |= bytes != *self.bytes;
        self.bytes = Cow::Owned(bytes);
        (self.delimiters, self.lines) = (delimiters, lines);
        Ok(())
    }

    /// The same message, independent of the bytes it was parsed from.
    pub fn into_owned(self) -> Message<'static> {
        let Self { bytes, lines, delimiters, limits, edited, group_reader } = self;
        let bytes = Cow::Owned(bytes.into_owned());
        Message { bytes, lines, delimiters, limits, edited, group_reader }
    }

    /// Lets paths through segment groups find what they name.
    pub fn read_groups_with(mut self, reader: &'static dyn GroupReader) -> Self {
        self.group_reader = Some(reader);
        self
    }

    /// The delimiters that MSH-1 and MSH-2 declare.
    pub fn delimiters(&self) -> Delimiters {
        self.delimiters
    }

    /// The encoded message: exactly the bytes parsed, except where edited.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The encoded message, borrowed if it was parsed from borrowed bytes and never edited.
    pub fn into_bytes(self) -> Cow<'a, [u8]> {
        self.bytes
    }

    /// Whether an edit has changed any byte.
    pub fn is_edited(&self) -> bool {
        self.edited
    }

    /// All lines that are not blank, in order; those that are not segments have no
    /// [`segment_name`](Segment::segment_name).
    pub fn segments(&self) -> impl ExactSizeIterator<Item = Segment<'_>> + DoubleEndedIterator {
        self.lines.iter().enumerate().map(|(index, line)| self.view(index, line))
    }

    /// The nth segment of a name, counted from 1.
    pub fn segment(
        &self,
        name: impl TryInto<SegmentName>,
        occurrence: usize,
    ) -> Option<Segment<'_>> {
        let name = name.try_into().ok()?;
        let nth = occurrence.checked_sub(1)?;
        self.segments().filter(|segment| segment.segment_name() == Some(name)).nth(nth)
    }

    /// The segment at an index of [`Message::segments`].
    pub fn segment_at(&self, index: usize) -> Option<Segment<'_>> {
        self.lines.get(index).map(|line| self.view(index, line))
    }

    /// The path of the segment at an index of [`Message::segments`]; `None` for a line that is not a segment.
    pub fn segment_path(&self, index: usize) -> Option<Path> {
        let name = self.lines.get(index)?.name?;
        let named = self.lines.iter().take(index + 1).filter(|line| line.name == Some(name));
        let occurrence = NonZeroU32::new(u32::try_from(named.count()).ok()?)?;
        Some(Path::of_segment(name).with_occurrence(Occurrence::At(occurrence)))
    }

    /// What stands at `path`, or `None` where nothing does: absent, which is neither empty nor null.
    ///
    /// The first match, if the path has a `*` in it. Does not allocate.
    pub fn get(&self, path: &Path) -> Option<Value<'_>> {
        let Occurrence::At(occurrence) = path.occurrence() else {
            return self.found(path).next().map(|found| found.value);
        };
        if path.repetition() == Some(Occurrence::All) || !path.groups().is_empty() {
            return self.found(path).next().map(|found| found.value);
        }
        let name = Some(path.segment());
        let mut named = self.lines.iter().filter(|line| line.name == name);
        let line = named.nth(occurrence.get() as usize - 1)?;
        in_segment(self.bytes.get(line.span())?, line.name, path, self.delimiters)
    }

    /// What stands at every place the path matches, in message order.
    pub fn values<'s>(&'s self, path: &Path) -> impl Iterator<Item = Value<'s>> {
        self.found(path).map(|found| found.value)
    }

    /// Every match of a path, each with its own path.
    pub fn matches<'s>(&'s self, path: &Path) -> impl Iterator<Item = Match<'s>> {
        self.found(path).map(move |found| {
            let mut own = match &found.groups {
                Some(numbered) => path.clone().numbered_as(numbered),
                None => path.clone().with_occurrence(found.occurrence),
            };
            if let Some(repetition) = found.repetition {
                own = own.with_repetition(repetition);
            }
            Match { path: own, value: found.value }
        })
    }

    fn found<'s, 'p>(&'s self, path: &'p Path) -> Found<'s, 'p> {
        let (lines, message) = (self.lines_of(path), self.parts());
        Found { lines, message, path, field: None, groups: None }
    }

    /// The indexes of the segments that a path names, in message order; what is below the segment does not matter.
    pub fn segment_indexes(&self, path: &Path) -> impl Iterator<Item = usize> {
        self.lines_of(path).map(|found| found.index)
    }

    pub(crate) fn lines_of(&self, path: &Path) -> Lines<'_> {
        let grouped = (!path.groups().is_empty()).then(|| {
            let found = self.group_reader.map(|reader| reader.segments(self, path));
            found.unwrap_or_default().into_iter()
        });
        Lines {
            lines: &self.lines,
            next: 0,
            name: path.segment(),
            passed: 0,
            wanted: path.occurrence(),
            grouped,
        }
    }

    fn parts(&self) -> Parts<'_> {
        Parts { bytes: &self.bytes, delimiters: self.delimiters }
    }

    fn view(&self, index: usize, line: &Line) -> Segment<'_> {
        let raw = self.bytes.get(line.span()).unwrap_or_default();
        Segment::of_message(raw, line.name, self.delimiters, index)
    }
}

/// Shows the shape; what the message holds belongs to a patient.
impl fmt::Debug for Message<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Message")
            .field("bytes", &self.bytes.len())
            .field("segments", &self.lines.len())
            .field("edited", &self.edited)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Match<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Match").field(&self.path).field(&self.value).finish()
    }
}

/// The lines a path's segment part matches.
pub(crate) struct Lines<'l> {
    lines: &'l [Line],
    next: usize,
    name: SegmentName,
    passed: u32,
    wanted: Occurrence,
    /// Of a path through groups: those found.
    grouped: Option<std::vec::IntoIter<GroupedSegment>>,
}

/// One of them.
pub(crate) struct FoundLine<'l> {
    pub(crate) index: usize,
    pub(crate) line: &'l Line,
    /// Which of its name it is, from 1.
    pub(crate) occurrence: u32,
    /// Of a path through groups: its own.
    pub(crate) path: Option<Path>,
}

impl<'l> Lines<'l> {
    fn step(&mut self) -> Option<FoundLine<'l>> {
        let rest = self.lines.get(self.next..)?;
        let ahead = rest.iter().position(|line| line.name == Some(self.name))?;
        let index = self.next + ahead;
        self.next = index + 1;
        self.passed += 1;
        let line = self.lines.get(index)?;
        Some(FoundLine { index, line, occurrence: self.passed, path: None })
    }
}

impl<'l> Iterator for Lines<'l> {
    type Item = FoundLine<'l>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(grouped) = &mut self.grouped {
            let GroupedSegment { index, path } = grouped.next()?;
            let line = self.lines.get(index)?;
            return Some(FoundLine { index, line, occurrence: 1, path: Some(path) });
        }
        match self.wanted {
            Occurrence::All => self.step(),
            Occurrence::Next => None,
            Occurrence::At(wanted) => loop {
                let found = self.step()?;
                if found.occurrence == wanted.get() {
                    self.lines = &[];
                    return Some(found);
                }
            },
            Occurrence::Last => {
                let mut last = None;
                while let Some(found) = self.step() {
                    last = Some(found);
                }
                self.lines = &[];
                last
            }
        }
    }
}

struct FoundValue<'m> {
    occurrence: Occurrence,
    /// Of a path through groups: the path of the segment it stands in.
    groups: Option<Path>,
    repetition: Option<Occurrence>,
    value: Value<'m>,
}

/// The part of a message that views refer to.
#[derive(Clone, Copy)]
struct Parts<'m> {
    bytes: &'m [u8],
    delimiters: Delimiters,
}

/// Every match of a path, in message order.
struct Found<'m, 'p> {
    message: Parts<'m>,
    path: &'p Path,
    lines: Lines<'m>,
    /// While the repetitions of one field are walked through: what is left of it.
    field: Option<Repetitions<'m>>,
    /// Of a path through groups: the path of the segment at hand.
    groups: Option<Path>,
}

struct Repetitions<'m> {
    rest: Option<&'m [u8]>,
    occurrence: u32,
    passed: u32,
}

impl<'m> Iterator for Found<'m, '_> {
    type Item = FoundValue<'m>;

    fn next(&mut self) -> Option<FoundValue<'m>> {
        loop {
            if let Some(found) = self.next_repetition() {
                return Some(found);
            }
            let FoundLine { line, occurrence, path, .. } = self.lines.next()?;
            self.groups = path;
            let raw = self.message.bytes.get(line.span())?;
            let Some(found) = self.in_segment(raw, line.name, occurrence) else { continue };
            return Some(found);
        }
    }
}

impl<'m> Found<'m, '_> {
    fn next_repetition(&mut self) -> Option<FoundValue<'m>> {
        loop {
            let delimiters = self.message.delimiters;
            let field = self.field.as_mut()?;
            let Some(rest) = field.rest else {
                self.field = None;
                return None;
            };
            let end = memchr::memchr(delimiters.repetition, rest);
            field.rest = end.and_then(|at| rest.get(at + 1..));
            field.passed += 1;
            let (occurrence, number) = (at(field.occurrence), at(field.passed));
            let raw = rest.get(..end.unwrap_or(rest.len()))?;
            if let Some(value) = in_repetition(raw, self.path, delimiters) {
                let groups = self.groups.clone();
                return Some(FoundValue { occurrence, groups, repetition: Some(number), value });
            }
        }
    }

    fn in_segment(
        &mut self,
        raw: &'m [u8],
        name: Option<SegmentName>,
        occurrence: u32,
    ) -> Option<FoundValue<'m>> {
        let (path, delimiters) = (self.path, self.message.delimiters);
        if path.repetition() == Some(Occurrence::All) && !path.names_delimiters() {
            self.field = Some(Repetitions {
                rest: Some(field(raw, name, path, delimiters)?),
                occurrence,
                passed: 0,
            });
            return self.next_repetition();
        }
        let value = in_segment(raw, name, path, delimiters)?;
        let repetition = match path.repetition() {
            Some(Occurrence::Last) => {
                let field = field(raw, name, path, delimiters)?;
                let count = part::count(field, delimiters.repetition);
                Some(at(u32::try_from(count).ok()?))
            }
            // MSH-1 and MSH-2 have no repetitions but themselves.
            Some(Occurrence::All) => Some(Occurrence::FIRST),
            repetition => repetition,
        };
        let groups = self.groups.clone();
        Some(FoundValue { occurrence: at(occurrence), groups, repetition, value })
    }
}

/// The field a path names within one segment.
fn field<'m>(
    raw: &'m [u8],
    name: Option<SegmentName>,
    path: &Path,
    delimiters: Delimiters,
) -> Option<&'m [u8]> {
    let position = usize::from(path.field()?.get());
    raw.get(part::field(raw, name, delimiters.field, position)?)
}

/// What a path names within one segment, unless that is every repetition.
fn in_segment<'m>(
    raw: &'m [u8],
    name: Option<SegmentName>,
    path: &Path,
    delimiters: Delimiters,
) -> Option<Value<'m>> {
    if path.field().is_none() {
        return Some(Value::new(raw, delimiters, Depth::Segment));
    }
    let field = field(raw, name, path, delimiters)?;
    if path.names_delimiters() {
        let whole = Value::new(field, delimiters, Depth::Delimiters);
        return path.names_first_parts().then_some(whole);
    }
    let repetition = match path.repetition() {
        None => return Some(Value::new(field, delimiters, Depth::Field)),
        Some(Occurrence::At(wanted)) => {
            part::nth(field, delimiters.repetition, wanted.get() as usize - 1)?
        }
        Some(Occurrence::Last) => field.get(part::last(field, delimiters.repetition))?,
        Some(Occurrence::All | Occurrence::Next) => return None,
    };
    in_repetition(repetition, path, delimiters)
}

fn at(number: u32) -> Occurrence {
    Occurrence::At(NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN))
}

/// What the component and subcomponent of a path name within one repetition.
fn in_repetition<'m>(raw: &'m [u8], path: &Path, delimiters: Delimiters) -> Option<Value<'m>> {
    let Some(component) = path.component() else {
        return Some(Value::new(raw, delimiters, Depth::Repetition));
    };
    let raw = part::nth(raw, delimiters.component, usize::from(component.get()) - 1)?;
    let Some(subcomponent) = path.subcomponent() else {
        return Some(Value::new(raw, delimiters, Depth::Component));
    };
    let index = usize::from(subcomponent.get()) - 1;
    let span = match delimiters.subcomponent {
        Some(delimiter) => part::place(raw, delimiter, index),
        // No separator declared: the component is its own only subcomponent.
        None if index == 0 => Place::Found(0..raw.len()),
        None => Place::Missing(index),
    };
    match span {
        Place::Found(span) => Some(Value::new(raw.get(span)?, delimiters, Depth::Subcomponent)),
        Place::Missing(_) => None,
    }
}

#[cfg(test)]
mod tests;
