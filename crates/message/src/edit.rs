//! Changing a message: each edit replaces its own span of bytes and nothing else.
//!
//! Offsets of later segments are moved along; nothing is parsed again. What an edit would have to break to be done
//! (MSH-1, MSH-2, a delimiter inside a value) is refused, and a refused edit leaves the message as it was.

use std::num::NonZeroU32;
use std::ops::Range;

use crate::delimiters::Delimiters;
use crate::escape;
use crate::message::{FoundLine, Message};
use crate::parse::Line;
use crate::part::{self, Place};
use crate::path::{Occurrence, Path};
use crate::segment::SegmentName;

mod splice;

use splice::{Padding, Target};

/// Why an edit was refused. The message is as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// MSH-1 and MSH-2 say how the rest is to be read.
    #[error("`{0}` holds the message's delimiters, which cannot be edited")]
    Delimiters(Path),
    /// The header must stay, and stay first.
    #[error("the message header (MSH) stays the first segment")]
    Header,
    /// Nobody told the message how to [read groups](crate::Message::read_groups_with).
    #[error("`{0}` is a group path, and the message's groups are not known")]
    GroupPath(Path),
    /// There is no such segment, and the path does not ask for a new one.
    #[error("`{0}` is not in the message: to add a segment write `(+1)`")]
    SegmentAbsent(Path),
    /// No segment stands at this index.
    #[error("the message has no segment at index {index}")]
    IndexAbsent {
        /// The index asked for.
        index: usize,
    },
    /// An insertion needs one place.
    #[error("`{0}` names several places: insert at one")]
    Wildcard(Path),
    /// The message declares no subcomponent separator.
    #[error("`{0}` is a subcomponent, but MSH-2 declares no subcomponent separator")]
    NoSubcomponentSeparator(Path),
    /// The text holds a delimiter and the message declares no escape character.
    #[error("the text for `{0}` needs escaping, but MSH-2 declares no escape character")]
    NoEscapeCharacter(Path),
    /// The raw value would be read as more than one value of its kind.
    #[error("the raw value for `{path}` has a delimiter of its own or a higher level at byte {at}")]
    DelimiterInValue {
        /// The place.
        path: Path,
        /// Where in the value, from 0.
        at: usize,
    },
    /// The raw value holds CR, LF, VT or FS.
    #[error("the raw value for `{path}` has a byte at {at} that ends a segment or a frame")]
    TerminatorInValue {
        /// The place.
        path: Path,
        /// Where in the value, from 0.
        at: usize,
    },
    /// A whole segment must begin with a segment's name: that of the path, if there is one.
    #[error("a raw segment begins with its name and the message's field separator")]
    SegmentName,
    /// The message would exceed [`Limits::message_bytes_max`](crate::Limits::message_bytes_max).
    #[error("the message would have more than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// The message would exceed [`Limits::segments_max`](crate::Limits::segments_max).
    #[error("the message would have more than {limit} segments")]
    TooManySegments {
        /// The limit.
        limit: usize,
    },
}

/// Where a new segment goes; indices are those of [`Message::segments`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InsertAt {
    /// Before this segment.
    Before(usize),
    /// After this segment.
    After(usize),
    /// After the last segment.
    End,
}

/// What to do with each place a path names.
#[derive(Clone, Copy)]
enum Change<'v> {
    Set(&'v [u8]),
    Clear,
    Remove,
}

impl Message<'_> {
    /// Puts raw bytes at `path`, delimiters of lower levels and escape sequences included.
    ///
    /// Missing fields, repetitions and components before the place are added, empty. With `*` every match is set; a
    /// segment is only added where the path says `(+1)`.
    pub fn set_raw(&mut self, path: &Path, raw: &[u8]) -> Result<(), EditError> {
        self.check(path)?;
        self.check_value(path, raw)?;
        if path.field().is_none() {
            return self.set_segment(path, raw);
        }
        if path.adds_segment() {
            let line = self.new_segment(path, raw);
            let at = self.place_of_new(path)?;
            return self.insert_line(at, path.segment(), &line);
        }
        self.change(path, Change::Set(raw))
    }

    /// Puts text at `path`, in the message's character set; delimiters and segment ends in it are escaped.
    ///
    /// The text `""` is written as it is and means null.
    pub fn set_text(&mut self, path: &Path, text: &[u8]) -> Result<(), EditError> {
        self.check(path)?;
        if !escape::is_representable(text, &self.delimiters) {
            return Err(EditError::NoEscapeCharacter(path.clone()));
        }
        self.set_raw(path, &escape::escape(text, &self.delimiters))
    }

    /// Empties what stands at `path`, every match of it; its delimiters and what follows stay.
    ///
    /// Where nothing stands nothing happens. A segment keeps its name only.
    pub fn clear(&mut self, path: &Path) -> Result<(), EditError> {
        self.check(path)?;
        self.change(path, Change::Clear)
    }

    /// Takes out what stands at `path`, every match of it, with its delimiter: what follows moves up.
    ///
    /// Where nothing stands nothing happens. A segment goes with its end.
    pub fn remove(&mut self, path: &Path) -> Result<(), EditError> {
        self.check(path)?;
        self.change(path, Change::Remove)
    }

    /// Puts raw bytes before what stands at `path`, which moves down with all that follows it.
    ///
    /// Where nothing stands, or the place is all there is and empty, it is set.
    pub fn insert_raw(&mut self, path: &Path, raw: &[u8]) -> Result<(), EditError> {
        self.check(path)?;
        self.check_value(path, raw)?;
        if path.has_wildcard() {
            return Err(EditError::Wildcard(path.clone()));
        }
        if path.subcomponent().is_some() && self.delimiters.subcomponent.is_none() {
            // Nothing could separate the new subcomponent from the one before which it goes.
            return Err(EditError::NoSubcomponentSeparator(path.clone()));
        }
        if path.adds_segment() {
            return self.set_raw(path, raw);
        }
        let Some(FoundLine { index, line, .. }) = self.lines_of(path).next() else {
            return Err(EditError::SegmentAbsent(path.clone()));
        };
        if path.field().is_none() {
            let name = self.line_name(path, raw)?;
            return self.insert_line(InsertAt::Before(index), name, raw);
        }
        let Some(target) = self.locate(index, line, path, path.repetition()) else { return Ok(()) };
        let delimiter = level(path, &self.delimiters);
        let with_delimiter =
            self.neighbours(&target.span, delimiter) != Neighbours::None || !target.span.is_empty();
        match delimiter.filter(|_| with_delimiter && !target.missing) {
            Some(delimiter) => {
                let place = Target { span: target.span.start..target.span.start, ..target };
                self.splice(&place, raw, Some(delimiter))
            }
            None => self.splice(&target, raw, None),
        }
    }

    /// Adds a segment and tells its path. `raw` is its name, or its name with fields.
    ///
    /// It ends as the message's header does.
    pub fn insert_segment(&mut self, at: InsertAt, raw: &[u8]) -> Result<Path, EditError> {
        let name = SegmentName::of_line(raw, self.delimiters.field);
        let name = name.ok_or(EditError::SegmentName)?;
        let path = Path::of_segment(name);
        self.check_value(&path, raw)?;
        if name.declares_delimiters() {
            return Err(EditError::Delimiters(path));
        }
        let index = match at {
            InsertAt::Before(index) => index,
            InsertAt::After(index) => index.saturating_add(1),
            InsertAt::End => self.lines.len(),
        };
        self.insert_line(at, name, raw)?;
        self.segment_path(index).ok_or(EditError::IndexAbsent { index })
    }

    /// Refuses what no edit may touch.
    fn check(&self, path: &Path) -> Result<(), EditError> {
        if !path.groups().is_empty() && self.group_reader.is_none() {
            return Err(EditError::GroupPath(path.clone()));
        }
        let whole_header = path.field().is_none() && path.segment().declares_delimiters();
        if whole_header || path.names_delimiters() {
            return Err(EditError::Delimiters(path.clone()));
        }
        let subcomponent = path.subcomponent().is_some_and(|position| position.get() > 1);
        if subcomponent && self.delimiters.subcomponent.is_none() {
            return Err(EditError::NoSubcomponentSeparator(path.clone()));
        }
        Ok(())
    }

    /// Refuses bytes that would be read as more than the value they are meant to be.
    fn check_value(&self, path: &Path, raw: &[u8]) -> Result<(), EditError> {
        if let Some(at) = raw.iter().position(|&byte| ends_line_or_frame(byte)) {
            return Err(EditError::TerminatorInValue { path: path.clone(), at });
        }
        let Delimiters { field, repetition, component, subcomponent, .. } = self.delimiters;
        let field = path.field().map(|_| field);
        let repetition = path.repetition().map(|_| repetition);
        let component = path.component().map(|_| component);
        let subcomponent = path.subcomponent().and(subcomponent);
        let forbidden = [field, repetition, component, subcomponent];
        match raw.iter().position(|&byte| forbidden.contains(&Some(byte))) {
            Some(at) => Err(EditError::DelimiterInValue { path: path.clone(), at }),
            None => Ok(()),
        }
    }

    fn line_name(&self, path: &Path, raw: &[u8]) -> Result<SegmentName, EditError> {
        let name = SegmentName::of_line(raw, self.delimiters.field);
        name.filter(|&name| name == path.segment()).ok_or(EditError::SegmentName)
    }

    fn set_segment(&mut self, path: &Path, raw: &[u8]) -> Result<(), EditError> {
        let name = self.line_name(path, raw)?;
        if path.adds_segment() {
            return self.insert_line(self.place_of_new(path)?, name, raw);
        }
        self.change(path, Change::Set(raw))
    }

    fn change(&mut self, path: &Path, change: Change<'_>) -> Result<(), EditError> {
        if path.has_wildcard() {
            return self.change_every(path, change);
        }
        let Some(FoundLine { index, line, .. }) = self.lines_of(path).next() else {
            return match change {
                Change::Set(_) => Err(EditError::SegmentAbsent(path.clone())),
                Change::Clear | Change::Remove => Ok(()),
            };
        };
        match self.locate(index, line, path, path.repetition()) {
            Some(target) => self.apply(path, &target, change),
            None => Ok(()),
        }
    }

    /// Finds all places first, so that a limit refuses the whole edit, then goes backwards so that none moves.
    fn change_every(&mut self, path: &Path, change: Change<'_>) -> Result<(), EditError> {
        let mut targets = Vec::new();
        for FoundLine { index, line, .. } in self.lines_of(path) {
            if path.repetition() != Some(Occurrence::All) {
                targets.extend(self.locate(index, line, path, path.repetition()));
                continue;
            }
            for number in 1..=self.count_repetitions(line, path) {
                let repetition = NonZeroU32::new(number).map(Occurrence::At);
                targets.extend(self.locate(index, line, path, repetition));
            }
        }
        if let Change::Set(raw) = change {
            let (added, removed) = targets.iter().fold((0_usize, 0_usize), |sum, target| {
                let added = target.padding.len().saturating_add(raw.len());
                (sum.0.saturating_add(added), sum.1.saturating_add(target.span.len()))
            });
            self.check_size(self.bytes.len().saturating_sub(removed).saturating_add(added))?;
        }
        targets.iter().rev().try_for_each(|target| self.apply(path, target, change))
    }

    fn count_repetitions(&self, line: &Line, path: &Path) -> u32 {
        let raw = self.bytes.get(line.span()).unwrap_or_default();
        let position = path.field().map_or(0, |field| usize::from(field.get()));
        let field = part::field(raw, line.name, self.delimiters.field, position)
            .and_then(|span| raw.get(span));
        let count = field.map_or(0, |field| part::count(field, self.delimiters.repetition));
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    fn apply(&mut self, path: &Path, target: &Target, change: Change<'_>) -> Result<(), EditError> {
        match change {
            Change::Set(raw) => self.splice(target, raw, None),
            Change::Clear | Change::Remove if target.missing => Ok(()),
            Change::Clear if path.field().is_none() => {
                let start = target.span.start.saturating_add(3);
                let fields = Target { span: start..target.span.end, ..target.clone() };
                self.splice(&fields, b"", None)
            }
            Change::Clear => self.splice(target, b"", None),
            Change::Remove if path.field().is_none() => self.remove_line(target.line),
            Change::Remove => {
                let delimiter = level(path, &self.delimiters);
                let Range { start, end } = target.span;
                let span = match self.neighbours(&target.span, delimiter) {
                    Neighbours::After => start..end + 1,
                    Neighbours::Before => start - 1..end,
                    Neighbours::None => start..end,
                };
                self.splice(&Target { span, ..target.clone() }, b"", None)
            }
        }
    }

    /// Which delimiter of the level belongs to the part at `span`.
    fn neighbours(&self, span: &Range<usize>, delimiter: Option<u8>) -> Neighbours {
        let Some(delimiter) = delimiter else { return Neighbours::None };
        let before = span.start.checked_sub(1).and_then(|at| self.bytes.get(at));
        if self.bytes.get(span.end) == Some(&delimiter) {
            Neighbours::After
        } else if before == Some(&delimiter) {
            Neighbours::Before
        } else {
            Neighbours::None
        }
    }

    /// Where the place stands, or where and with which padding it would be made. `None`: never (`[*]` of nothing).
    fn locate(
        &self,
        index: usize,
        line: &Line,
        path: &Path,
        repetition: Option<Occurrence>,
    ) -> Option<Target> {
        let mut walk = Walk { bytes: &self.bytes, span: line.span(), missing: false };
        let mut padding = Padding::default();
        let target = |walk: Walk<'_>, padding: Padding| {
            Some(Target { line: index, span: walk.span, padding, missing: walk.missing })
        };
        let Some(field) = path.field() else { return target(walk, padding) };
        let field = part::field_index(line.name, usize::from(field.get()))?;
        padding.fields = walk.descend(self.delimiters.field, field);
        let Some(repetition) = repetition else { return target(walk, padding) };
        let count = walk.count(self.delimiters.repetition);
        let number = match repetition {
            Occurrence::At(number) => number.get() as usize - 1,
            Occurrence::Last => count.saturating_sub(1),
            Occurrence::Next if walk.span.is_empty() => 0,
            Occurrence::Next => count,
            Occurrence::All => return None,
        };
        padding.repetitions = walk.descend(self.delimiters.repetition, number);
        let Some(component) = path.component() else { return target(walk, padding) };
        let component = usize::from(component.get()) - 1;
        padding.components = walk.descend(self.delimiters.component, component);
        let Some(subcomponent) = path.subcomponent() else { return target(walk, padding) };
        let subcomponent = usize::from(subcomponent.get()) - 1;
        if let Some(delimiter) = self.delimiters.subcomponent {
            padding.subcomponents = walk.descend(delimiter, subcomponent);
        }
        target(walk, padding)
    }

    /// A line with nothing but one value.
    fn new_segment(&self, path: &Path, raw: &[u8]) -> Vec<u8> {
        let index = |position: Option<std::num::NonZeroU16>| {
            position.map_or(0, |position| usize::from(position.get()) - 1)
        };
        let padding = Padding {
            fields: path.field().map_or(0, |field| usize::from(field.get())),
            repetitions: match path.repetition() {
                Some(Occurrence::At(number)) => number.get() as usize - 1,
                Some(Occurrence::Last | Occurrence::All | Occurrence::Next) | None => 0,
            },
            components: index(path.component()),
            subcomponents: index(path.subcomponent()),
        };
        let mut line = Vec::with_capacity(3 + padding.len() + raw.len());
        line.extend_from_slice(path.segment().as_bytes());
        for (delimiter, count) in padding.runs(&self.delimiters) {
            line.resize(line.len() + count, delimiter);
        }
        line.extend_from_slice(raw);
        line
    }

    /// Where the segment goes that a path with `+1` adds.
    fn place_of_new(&self, path: &Path) -> Result<InsertAt, EditError> {
        if path.groups().is_empty() {
            return Ok(self.place_after_last(path.segment()));
        }
        let place = self.group_reader.and_then(|reader| reader.place_of_new(self, path));
        place.ok_or_else(|| EditError::SegmentAbsent(path.clone()))
    }

    /// After the last segment of the name and the notes that belong to it; at the end if there is none.
    fn place_after_last(&self, name: SegmentName) -> InsertAt {
        let Some(last) = self.lines.iter().rposition(|line| line.name == Some(name)) else {
            return InsertAt::End;
        };
        let after = self.lines.iter().skip(last + 1);
        let is_note = |line: &&Line| line.name == Some(SegmentName::NTE);
        InsertAt::After(last + after.take_while(is_note).count())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Neighbours {
    After,
    Before,
    None,
}

/// CR, LF, VT, FS: they end a segment or a frame wherever they stand.
fn ends_line_or_frame(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n' | 0x0B | 0x1C)
}

/// The delimiter between parts of the path's kind.
fn level(path: &Path, delimiters: &Delimiters) -> Option<u8> {
    if path.subcomponent().is_some() {
        delimiters.subcomponent
    } else if path.component().is_some() {
        Some(delimiters.component)
    } else if path.repetition().is_some() {
        Some(delimiters.repetition)
    } else {
        Some(delimiters.field)
    }
}

/// Going down from a segment to a place, one level after another.
struct Walk<'m> {
    bytes: &'m [u8],
    span: Range<usize>,
    missing: bool,
}

impl Walk<'_> {
    /// Narrows the span to part `index`, or to the end of what there is; gives the number of delimiters missing.
    fn descend(&mut self, delimiter: u8, index: usize) -> usize {
        if self.missing {
            return index;
        }
        match part::place(self.within(), delimiter, index) {
            Place::Found(part) => {
                self.span = self.span.start + part.start..self.span.start + part.end;
                0
            }
            Place::Missing(count) => {
                self.span = self.span.end..self.span.end;
                self.missing = true;
                count
            }
        }
    }

    fn count(&self, delimiter: u8) -> usize {
        if self.missing { 0 } else { part::count(self.within(), delimiter) }
    }

    fn within(&self) -> &[u8] {
        self.bytes.get(self.span.clone()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
