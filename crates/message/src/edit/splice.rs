//! Replacing bytes of a message and moving its index along.

use std::borrow::Cow;
use std::ops::Range;

use crate::delimiters::Delimiters;
use crate::edit::{EditError, InsertAt};
use crate::message::Message;
use crate::parse::Line;
use crate::segment::SegmentName;

/// Room left behind a message at its first edit, so that the usual few edits do not move it again.
const EDIT_ROOM: usize = 256;

/// Delimiters written before a value because the message ended before its place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Padding {
    pub(super) fields: usize,
    pub(super) repetitions: usize,
    pub(super) components: usize,
    pub(super) subcomponents: usize,
}

impl Padding {
    pub(super) fn len(&self) -> usize {
        self.fields + self.repetitions + self.components + self.subcomponents
    }

    pub(super) fn runs(&self, delimiters: &Delimiters) -> [(u8, usize); 4] {
        [
            (delimiters.field, self.fields),
            (delimiters.repetition, self.repetitions),
            (delimiters.component, self.components),
            (delimiters.subcomponent.unwrap_or_default(), self.subcomponents),
        ]
    }
}

/// The bytes an edit replaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) line: usize,
    pub(super) span: Range<usize>,
    pub(super) padding: Padding,
    /// Nothing stands there yet. (A missing first repetition needs no padding.)
    pub(super) missing: bool,
}

impl Message<'_> {
    pub(super) fn check_size(&self, bytes: usize) -> Result<(), EditError> {
        let limit = self.limits.bytes();
        if bytes > limit { Err(EditError::TooLarge { limit }) } else { Ok(()) }
    }

    /// The end of the header, for new segments to end alike.
    fn terminator(&self) -> &'static [u8] {
        let end = self.lines.first().map_or(0, |line| line.span().end);
        match self.terminator_at(end) {
            b"" => b"\r",
            terminator => terminator,
        }
    }

    fn terminator_at(&self, end: usize) -> &'static [u8] {
        match self.bytes.get(end..).unwrap_or_default() {
            [b'\r', b'\n', ..] => b"\r\n",
            [b'\r', ..] => b"\r",
            [b'\n', ..] => b"\n",
            _ => b"",
        }
    }

    pub(super) fn insert_line(
        &mut self,
        at: InsertAt,
        name: SegmentName,
        raw: &[u8],
    ) -> Result<(), EditError> {
        if self.lines.len() >= self.limits.segments_max {
            return Err(EditError::TooManySegments { limit: self.limits.segments_max });
        }
        let index = match at {
            InsertAt::Before(0) => return Err(EditError::Header),
            InsertAt::Before(index) => index,
            InsertAt::After(index) => index.saturating_add(1),
            InsertAt::End => self.lines.len(),
        };
        let (previous, end) = index
            .checked_sub(1)
            .and_then(|previous| Some((previous, self.lines.get(previous)?.span().end)))
            .ok_or(EditError::IndexAbsent { index })?;
        let own_end = self.terminator();
        let previous_end = self.terminator_at(end).len();
        // The last segment may lack its end: then the new one lacks it too.
        let (start, written) = if previous_end == 0 {
            (end + own_end.len(), [own_end, raw].concat())
        } else {
            (end + previous_end, [raw, own_end].concat())
        };
        let at = end + previous_end;
        let place =
            Target { line: previous, span: at..at, padding: Padding::default(), missing: false };
        self.splice(&place, &written, None)?;
        // The splice counted the new bytes as the previous line's.
        if let Some(line) = self.lines.get_mut(previous) {
            line.len -= written.len() as u32;
        }
        let line = Line { start: start as u32, len: raw.len() as u32, name: Some(name) };
        self.lines.insert(index, line);
        Ok(())
    }

    pub(super) fn remove_line(&mut self, index: usize) -> Result<(), EditError> {
        let Some(line) = self.lines.get(index) else { return Ok(()) };
        let Range { start, end } = line.span();
        let end = end + self.terminator_at(end).len();
        let span = start..end;
        let place = Target { line: index, span, padding: Padding::default(), missing: false };
        self.lines.remove(index);
        self.replace(&place, b"", None, index)
    }

    /// Replaces the target's span, within its line, by padding, value and suffix.
    pub(super) fn splice(
        &mut self,
        target: &Target,
        value: &[u8],
        suffix: Option<u8>,
    ) -> Result<(), EditError> {
        let before = self.bytes.len();
        self.replace(target, value, suffix, target.line.saturating_add(1))?;
        if let Some(line) = self.lines.get_mut(target.line) {
            // Both lengths fit 32 bits: `replace` checked the new one.
            line.len = line.len.wrapping_add((self.bytes.len() as u32).wrapping_sub(before as u32));
        }
        Ok(())
    }

    /// Replaces bytes and moves the lines from `later` on.
    fn replace(
        &mut self,
        target: &Target,
        value: &[u8],
        suffix: Option<u8>,
        later: usize,
    ) -> Result<(), EditError> {
        let Target { span, padding, .. } = target;
        let length = padding.len() + value.len() + usize::from(suffix.is_some());
        if self.bytes.get(span.clone()) == Some(value) && length == value.len() {
            return Ok(());
        }
        let before = self.bytes.len();
        let after = (before - span.len()).saturating_add(length);
        self.check_size(after)?;
        let runs = padding.runs(&self.delimiters);
        let bytes = self.bytes_mut(length);
        let tail = span.end..before;
        if after > before {
            bytes.resize(after, 0);
        }
        bytes.copy_within(tail, span.start + length);
        bytes.truncate(after);
        let mut room = bytes.get_mut(span.start..span.start + length).unwrap_or_default();
        for (delimiter, count) in runs {
            let (run, rest) = room.split_at_mut(count);
            run.fill(delimiter);
            room = rest;
        }
        let (place, rest) = room.split_at_mut(value.len());
        place.copy_from_slice(value);
        if let (Some(suffix), Some(place)) = (suffix, rest.first_mut()) {
            *place = suffix;
        }
        let moved = (after as u32).wrapping_sub(before as u32);
        for line in self.lines.iter_mut().skip(later) {
            line.start = line.start.wrapping_add(moved);
        }
        self.edited = true;
        Ok(())
    }

    fn bytes_mut(&mut self, added: usize) -> &mut Vec<u8> {
        if let Cow::Borrowed(borrowed) = self.bytes {
            let mut owned = Vec::with_capacity(borrowed.len() + added + EDIT_ROOM);
            owned.extend_from_slice(borrowed);
            self.bytes = Cow::Owned(owned);
        }
        self.bytes.to_mut()
    }
}
