//! A message split into fields once, and places in it.

use std::fmt;

use memchr::memchr;
use pipehat_message::{Delimiters, Message};

use crate::condition::Name;
use crate::plan::Positions;

/// The segments and fields of a message.
pub(crate) struct View<'a> {
    pub(crate) bytes: &'a [u8],
    /// The whole message, where it is UTF-8.
    text: Option<&'a str>,
    /// Where bytes stand that may mean something else than they show, in order: escape characters, controls, what is not
    /// ASCII. Segment terminators are in no value.
    special: Vec<u32>,
    pub(crate) delimiters: Delimiters,
    segments: Vec<SegmentView<'a>>,
    fields: Vec<FieldView<'a>>,
}

/// A field, and which delimiters stand in it: most have none, and then nobody looks for them again.
#[derive(Clone, Copy, Default)]
struct FieldView<'a> {
    raw: &'a [u8],
    has_repetition: bool,
    has_component: bool,
    has_subcomponent: bool,
}

impl<'a> FieldView<'a> {
    fn of(raw: &'a [u8], delimiters: &Delimiters) -> Self {
        let Delimiters { component, repetition, subcomponent, .. } = *delimiters;
        let mut field = Self { raw, ..Self::default() };
        for byte in raw.iter().copied() {
            field.has_repetition |= byte == repetition;
            field.has_component |= byte == component;
            field.has_subcomponent |= Some(byte) == subcomponent;
        }
        field
    }
}

#[derive(Clone, Copy)]
struct SegmentView<'a> {
    name: Option<Name>,
    raw: &'a [u8],
    /// Its fields' place in [`View::fields`].
    first: usize,
    count: usize,
    /// The fields in which something stands.
    filled: Positions,
    /// Which of its name it is, from 1.
    occurrence: u32,
}

impl<'a> View<'a> {
    pub(crate) fn of(message: &'a Message<'_>) -> Self {
        let bytes = message.as_bytes();
        let delimiters = message.delimiters();
        let mut view = Self {
            bytes,
            text: std::str::from_utf8(bytes).ok(),
            special: special(bytes, delimiters.escape),
            delimiters,
            segments: Vec::with_capacity(message.segments().len()),
            fields: Vec::with_capacity(message.segments().len() * 16),
        };
        for segment in message.segments() {
            let name = segment.segment_name().map(|name| Name(*name.as_bytes()));
            let first = view.fields.len();
            let delimiters = view.delimiters;
            view.fields
                .extend(segment.fields().map(|field| FieldView::of(field.raw(), &delimiters)));
            let same = view.segments.iter().rev().find(|own| own.name == name && name.is_some());
            let occurrence = same.map_or(0, |own| own.occurrence) + 1;
            let count = view.fields.len() - first;
            let mut filled = Positions::ALWAYS;
            for (position, field) in (1u16..).zip(view.fields.iter().skip(first)) {
                if !field.raw.is_empty() {
                    filled = filled.and(Positions::of(position));
                }
            }
            let raw = segment.raw();
            view.segments.push(SegmentView { name, raw, first, count, filled, occurrence });
        }
        view
    }

    pub(crate) fn len(&self) -> usize {
        self.segments.len()
    }

    /// A value of the message as text, where all of it stands as it means: printable ASCII without escape sequences.
    pub(crate) fn plain(&self, value: &[u8]) -> Option<&'a str> {
        let start = (value.as_ptr() as usize).checked_sub(self.bytes.as_ptr() as usize)?;
        let end = start.checked_add(value.len())?;
        let next = self.special.partition_point(|at| (*at as usize) < start);
        if self.special.get(next).is_some_and(|at| (*at as usize) < end) {
            return None;
        }
        self.text?.get(start..end)
    }

    /// The name of a segment.
    pub(crate) fn name(&self, segment: usize) -> Option<Name> {
        self.segments.get(segment)?.name
    }

    /// Which of its name a segment is, from 1.
    pub(crate) fn occurrence(&self, segment: usize) -> u32 {
        self.segments.get(segment).map_or(1, |own| own.occurrence)
    }

    /// How many fields a segment has.
    pub(crate) fn field_count(&self, segment: usize) -> usize {
        self.segments.get(segment).map_or(0, |own| own.count)
    }

    /// The fields of a segment in which something stands.
    pub(crate) fn filled(&self, segment: usize) -> Positions {
        self.segments.get(segment).map_or(Positions::ALWAYS, |own| own.filled)
    }

    /// A whole segment.
    pub(crate) fn raw(&self, segment: usize) -> &'a [u8] {
        self.segments.get(segment).map(|own| own.raw).unwrap_or_default()
    }

    /// A field with all its repetitions; empty where the segment ends before it.
    pub(crate) fn field(&self, segment: usize, position: u16) -> &'a [u8] {
        self.field_view(segment, position).raw
    }

    /// A field in which no delimiter stands: it is its only repetition, and that its only part.
    pub(crate) fn undivided(&self, segment: usize, position: u16) -> Option<&'a [u8]> {
        let field = self.field_view(segment, position);
        let is_divided = field.has_repetition || field.has_component || field.has_subcomponent;
        (!is_divided).then_some(field.raw)
    }

    fn field_view(&self, segment: usize, position: u16) -> FieldView<'a> {
        let find = || {
            let own = self.segments.get(segment)?;
            let place = usize::from(position).checked_sub(1).filter(|place| *place < own.count)?;
            self.fields.get(own.first + place).copied()
        };
        find().unwrap_or_default()
    }

    /// The repetitions of a field.
    #[inline]
    pub(crate) fn repetitions(
        &self,
        segment: usize,
        position: u16,
    ) -> impl Iterator<Item = Part<'a>> + use<'a> {
        let field = self.field_view(segment, position);
        // MSH-1 and MSH-2 are the delimiters themselves.
        let is_split = !(position <= 2 && self.declares_delimiters(segment));
        let at = At::of_field(segment, position);
        let splits_by = |delimiter: u8, is_there: bool| (is_split && is_there).then_some(delimiter);
        let delimiters = Splits {
            component: splits_by(self.delimiters.component, field.has_component),
            subcomponent: self
                .delimiters
                .subcomponent
                .and_then(|own| splits_by(own, field.has_subcomponent)),
        };
        let mut rest = (!field.raw.is_empty()).then_some(field.raw);
        let delimiter = splits_by(self.delimiters.repetition, field.has_repetition);
        let mut repetition = 0;
        std::iter::from_fn(move || {
            let raw = take(&mut rest, delimiter)?;
            repetition += 1;
            let at = At { repetition, ..at };
            Some(Part { raw, splits: delimiters, at })
        })
    }

    fn declares_delimiters(&self, segment: usize) -> bool {
        matches!(self.name(segment), Some(Name(name)) if matches!(&name, b"MSH" | b"FHS" | b"BHS"))
    }

    /// A place as people write it.
    pub(crate) fn path(&self, at: At) -> String {
        Path { view: self, at }.to_string()
    }
}

/// Where bytes stand that may mean something else than they show.
fn special(bytes: &[u8], escape: Option<u8>) -> Vec<u32> {
    /// Looked at together: most have none.
    const TOGETHER: usize = 32;
    // One that is no delimiter of this message is none that shows itself either.
    let escape = escape.unwrap_or(0);
    let is_special = |byte: u8| !matches!(byte, b' '..=b'~' | b'\r') | (byte == escape);
    let mut found = Vec::new();
    // Limits of `message` keep its length far below 4 GiB.
    for (chunk, first) in bytes.chunks(TOGETHER).zip((0u32..).step_by(TOGETHER)) {
        if chunk.iter().fold(false, |has, byte| has | is_special(*byte)) {
            let within = (first..).zip(chunk).filter(|(_, byte)| is_special(**byte));
            found.extend(within.map(|(at, _)| at));
        }
    }
    found
}

struct Path<'v, 'a> {
    view: &'v View<'a>,
    at: At,
}

impl fmt::Display for Path<'_, '_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let At { field, repetition, component, subcomponent, .. } = self.at;
        let segment = self.at.segment();
        match self.view.name(segment) {
            Some(name) => write!(formatter, "{name}")?,
            None => return write!(formatter, "line {}", segment + 1),
        }
        let occurrence = self.view.occurrence(segment);
        if occurrence > 1 {
            write!(formatter, "({occurrence})")?;
        }
        if field > 0 {
            write!(formatter, "-{field}")?;
        }
        if repetition > 1 {
            write!(formatter, "[{repetition}]")?;
        }
        if component > 0 {
            write!(formatter, ".{component}")?;
        }
        if subcomponent > 0 {
            write!(formatter, ".{subcomponent}")?;
        }
        Ok(())
    }
}

/// A place in a message, from 1; 0 where it is not so far down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct At {
    /// By index from 0. Places are handed on all the time, and this is as small as they get.
    segment: u32,
    pub(crate) field: u16,
    pub(crate) repetition: u16,
    pub(crate) component: u16,
    pub(crate) subcomponent: u16,
}

impl At {
    /// A whole segment.
    pub(crate) fn of_segment(segment: usize) -> Self {
        Self::of_field(segment, 0)
    }

    /// A whole field.
    pub(crate) fn of_field(segment: usize, field: u16) -> Self {
        // Limits of `message` keep their number far below this.
        let segment = u32::try_from(segment).unwrap_or(u32::MAX);
        Self { segment, field, repetition: 0, component: 0, subcomponent: 0 }
    }

    /// The segment, by index from 0.
    pub(crate) fn segment(self) -> usize {
        self.segment as usize
    }
}

/// How far down in a field a part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Depth {
    Repetition,
    Component,
    Subcomponent,
}

#[derive(Debug, Clone, Copy)]
struct Splits {
    component: Option<u8>,
    subcomponent: Option<u8>,
}

/// A repetition, component or subcomponent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Part<'a> {
    pub(crate) raw: &'a [u8],
    splits: Splits,
    pub(crate) at: At,
}

/// Values of at most this many bytes are searched byte by byte: a wider search pays only in longer ones.
const SHORT_MAX: usize = 32;

fn position_of(delimiter: u8, bytes: &[u8]) -> Option<usize> {
    if bytes.len() <= SHORT_MAX {
        bytes.iter().position(|byte| *byte == delimiter)
    } else {
        memchr(delimiter, bytes)
    }
}

/// Cuts off what stands before the delimiter.
fn take<'a>(rest: &mut Option<&'a [u8]>, delimiter: Option<u8>) -> Option<&'a [u8]> {
    let all = (*rest)?;
    match delimiter.and_then(|delimiter| position_of(delimiter, all)) {
        Some(end) => {
            *rest = all.get(end + 1..);
            all.get(..end)
        }
        None => {
            *rest = None;
            Some(all)
        }
    }
}

impl<'a> Part<'a> {
    pub(crate) fn is_empty(&self) -> bool {
        self.raw.is_empty()
    }

    /// Exactly `""`.
    pub(crate) fn is_null(&self) -> bool {
        self.raw == b"\"\""
    }

    /// Whether it holds anything but delimiters.
    pub(crate) fn is_valued(&self) -> bool {
        let Splits { component, subcomponent } = self.splits;
        self.raw.iter().any(|byte| Some(*byte) != component && Some(*byte) != subcomponent)
    }

    fn depth(&self) -> Depth {
        match (self.at.component, self.at.subcomponent) {
            (0, _) => Depth::Repetition,
            (_, 0) => Depth::Component,
            _ => Depth::Subcomponent,
        }
    }

    /// What separates its parts; a subcomponent is its own only one.
    fn delimiter(&self) -> Option<u8> {
        match self.depth() {
            Depth::Repetition => self.splits.component,
            Depth::Component => self.splits.subcomponent,
            Depth::Subcomponent => None,
        }
    }

    fn part_of(&self, raw: &'a [u8], position: u16) -> Part<'a> {
        let at = match self.depth() {
            Depth::Repetition => At { component: position, ..self.at },
            _ => At { subcomponent: position, ..self.at },
        };
        Part { raw, splits: self.splits, at }
    }

    /// Its parts of the next level.
    pub(crate) fn parts(&self) -> impl Iterator<Item = Part<'a>> + use<'a> {
        let own = *self;
        let delimiter = own.delimiter();
        let mut rest = Some(own.raw);
        let mut position = 0;
        std::iter::from_fn(move || {
            let raw = take(&mut rest, delimiter)?;
            position += 1;
            Some(own.part_of(raw, position))
        })
    }

    /// All its parts at once, where many will be asked for.
    pub(crate) fn split(&self) -> Split<'a> {
        let mut split = Split { value: *self, filled: BEHIND, raw: [&[]; PARTS_MAX] };
        for ((position, to), from) in (1u16..).zip(&mut split.raw).zip(self.parts()) {
            *to = from.raw;
            if !from.raw.is_empty() {
                split.filled = split.filled.and(Positions::of(position));
            }
        }
        split
    }

    /// Nothing, in its place.
    pub(crate) fn nothing(&self) -> Part<'a> {
        Part { raw: &[], ..*self }
    }

    /// The part at a position of the next level; itself for 0, empty where there is none.
    #[inline]
    pub(crate) fn part(&self, position: u16) -> Part<'a> {
        if position == 0 { *self } else { self.nth(position) }
    }

    // By value, so that its caller need not keep the whole in memory.
    fn nth(self, position: u16) -> Part<'a> {
        let delimiter = self.delimiter();
        let mut rest = Some(self.raw);
        for _ in 1..position {
            take(&mut rest, delimiter);
        }
        take(&mut rest, delimiter).map_or_else(|| self.nothing(), |raw| self.part_of(raw, position))
    }

    /// The first primitive value within: a component is its own first subcomponent (HL7 v2.5.1 §2.5.3.2).
    pub(crate) fn first(&self) -> Part<'a> {
        match self.depth() {
            Depth::Repetition => self.part(1).part(1),
            Depth::Component => self.part(1),
            Depth::Subcomponent => *self,
        }
    }

    /// Whether nothing follows its first primitive value.
    pub(crate) fn is_single(&self) -> bool {
        let Splits { component, subcomponent } = self.splits;
        component.is_none() && subcomponent.is_none() || self.first().raw.len() == self.raw.len()
    }
}

/// More components than any v2 data type has; those behind are found one by one.
const PARTS_MAX: usize = 24;
const BEHIND: Positions = Positions::above(24);

/// A value with its parts.
pub(crate) struct Split<'a> {
    value: Part<'a>,
    /// The parts in which something stands; of those that are not split nobody knows.
    pub(crate) filled: Positions,
    raw: [&'a [u8]; PARTS_MAX],
}

impl<'a> Split<'a> {
    /// As [`Part::part`].
    pub(crate) fn part(&self, position: u16) -> Part<'a> {
        let place = usize::from(position).checked_sub(1);
        match place.and_then(|place| self.raw.get(place)) {
            Some(raw) => self.value.part_of(raw, position),
            None => self.value.part(position),
        }
    }
}
