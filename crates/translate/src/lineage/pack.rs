//! Writing lineage.
//!
//! ```text
//! form u8: 1                        names, segments: counted words
//! direction u8: 1 to FHIR, 2 to v2  rules, counted: a word for the map, and its place: (position × 4
//! naming u8: 1 Bundle, 2 pool         + what stands before it), or 0 and a text
//!                                   count of elements, elements
//!
//! a word         its number in the list from 1, or 0 and a text
//! an element     its place, [count of sources where the head has 3], its sources, its rule's number
//! a place        head u8: bits 6 and 7 how many sources (of a source 0), below
//!   of FHIR      3 bits how many steps are those of the FHIR place before, 3 bits how many follow;
//!                7 where the number follows. A step: (name × 2 + is in a list), [index]
//!   of HL7 v2    6 bits, one for each part that differs from the HL7 v2 place before:
//!                [segment's number] [occurrence] [field] [repetition] [component] [subcomponent]
//! ```
//! Numbers have 7 bits a byte, the lowest first. The first step of a FHIR place is the resource's type with the number of its
//! entry. An index is told by its distance from that of the place before where the step has the same name, and an occurrence
//! by that from the segment's last one: so every observation of a result is written in the same bytes, which the journal's
//! compression then finds.

use super::words::{self, Tail};
use super::{Direction, LineageLimits, PackedLineage};

pub(super) const FORM: u8 = 1;

/// Deeper elements are in no resource.
pub(super) const DEPTH_MAX: usize = 64;

/// A step of a FHIR place: a name by the number that its user has for it, and which of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) name: u32,
    pub(crate) index: Option<u32>,
}

/// A place in a message: a segment by its number, and positions from 1. Where a repetition is the first, and where a place is
/// not so far down, it is 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct FieldPlace {
    pub(crate) segment: u32,
    pub(crate) occurrence: u32,
    pub(crate) field: u32,
    pub(crate) repetition: u32,
    pub(crate) component: u32,
    pub(crate) subcomponent: u32,
}

/// The texts that a lineage names, packed: those of names and rules by the numbers that the packer's user has for them.
pub(crate) trait Texts {
    /// Adds a name, as [`pack_word`] packs it.
    fn name(&self, name: u32, out: &mut Vec<u8>);

    /// Adds a rule, as [`pack_rule`] packs it.
    fn rule(&self, rule: u32, out: &mut Vec<u8>);
}

/// Of numbers that a user has for things, those that they have in a lineage: in the order in which they are named.
struct Numbers {
    /// From 1; 0 where a thing is not named.
    of: Vec<u32>,
    all: Vec<u32>,
}

impl Numbers {
    /// For things of so many numbers.
    fn of_as_many(count: usize) -> Self {
        Self { of: vec![0; count], all: Vec::with_capacity(count.min(128)) }
    }

    fn of(&mut self, thing: u32) -> u32 {
        let index = thing as usize;
        if self.of.len() <= index {
            self.of.resize(index.saturating_add(1), 0);
        }
        match self.of.get_mut(index) {
            Some(0) | None => {}
            Some(known) => return *known - 1,
        }
        self.all.push(thing);
        let count = u32::try_from(self.all.len()).unwrap_or(u32::MAX);
        if let Some(own) = self.of.get_mut(index) {
            *own = count;
        }
        count.saturating_sub(1)
    }
}

/// Writes lineage.
pub(crate) struct Packer {
    direction: Direction,
    /// Whether resources are entries of one Bundle.
    is_bundle: bool,
    limits: LineageLimits,
    names: Numbers,
    segments: Vec<Box<str>>,
    /// Of each segment, the last occurrence that was written.
    occurrences: Vec<u32>,
    rules: Numbers,
    count: u64,
    rows: Vec<u8>,
    steps: Vec<Step>,
    place: FieldPlace,
    has_room: bool,
}

impl Packer {
    pub(crate) fn new(direction: Direction, is_bundle: bool, limits: LineageLimits) -> Self {
        Self::with_room(direction, is_bundle, limits, (0, 0))
    }

    /// For names and rules of so many numbers.
    pub(crate) fn with_room(
        direction: Direction,
        is_bundle: bool,
        limits: LineageLimits,
        (names, rules): (usize, usize),
    ) -> Self {
        Self {
            direction,
            is_bundle,
            limits,
            names: Numbers::of_as_many(names),
            segments: Vec::with_capacity(8),
            occurrences: Vec::with_capacity(8),
            rules: Numbers::of_as_many(rules),
            count: 0,
            rows: Vec::with_capacity(2_048),
            steps: Vec::with_capacity(16),
            place: FieldPlace::default(),
            has_room: true,
        }
    }

    /// The number of a new segment.
    pub(crate) fn segment(&mut self, text: impl Into<Box<str>>) -> u32 {
        self.segments.push(text.into());
        self.occurrences.push(0);
        u32::try_from(self.segments.len().saturating_sub(1)).unwrap_or(u32::MAX)
    }

    /// Whether more may be written.
    pub(crate) fn has_room(&self) -> bool {
        self.has_room
    }

    /// An element of a Bundle and the fields it came from.
    pub(crate) fn element(&mut self, element: &[Step], sources: &[FieldPlace], rule: u32) {
        self.steps(element, Some(sources.len()));
        for source in sources {
            self.field_place(*source, None);
        }
        self.end(rule);
    }

    /// A field of a message and the elements it came from.
    pub(crate) fn field(&mut self, field: FieldPlace, sources: &[&[Step]], rule: u32) {
        self.field_place(field, Some(sources.len()));
        for source in sources {
            self.steps(source, None);
        }
        self.end(rule);
    }

    fn end(&mut self, rule: u32) {
        let rule = self.rules.of(rule);
        self.number(rule.into());
        self.count = self.count.saturating_add(1);
        self.has_room &= self.rows.len() <= self.limits.packed_bytes_max;
    }

    /// `sources` of an element: how many follow.
    fn steps(&mut self, steps: &[Step], sources: Option<usize>) {
        if steps.len() > DEPTH_MAX {
            self.has_room = false;
            return;
        }
        let same = self.steps.iter().zip(steps).take_while(|(own, other)| own == other).count();
        let new = steps.len().saturating_sub(same);
        self.head(small(same) << 3 | small(new), sources);
        for count in [same, new] {
            if small(count) == MORE {
                self.number(count as u64);
            }
        }
        for (depth, step) in steps.iter().enumerate().skip(same) {
            let name = self.names.of(step.name);
            self.number(u64::from(name) << 1 | u64::from(step.index.is_some()));
            let before = self.steps.get(depth).filter(|own| own.name == step.name);
            if let Some(index) = step.index {
                self.distance(before.and_then(|own| own.index).unwrap_or(0), index);
            }
        }
        self.steps.truncate(same);
        self.steps.extend(steps.iter().skip(same));
    }

    fn field_place(&mut self, place: FieldPlace, sources: Option<usize>) {
        let before = self.place;
        let last = self.occurrences.get(place.segment as usize).copied().unwrap_or_default();
        let parts = [
            (place.segment != before.segment, u64::from(place.segment)),
            (place.occurrence != last, zigzag(last, place.occurrence)),
            (place.field != before.field, u64::from(place.field)),
            (place.repetition != before.repetition, u64::from(place.repetition)),
            (place.component != before.component, u64::from(place.component)),
            (place.subcomponent != before.subcomponent, u64::from(place.subcomponent)),
        ];
        let bits = parts.iter().rev().fold(0, |bits, (differs, _)| bits << 1 | u8::from(*differs));
        self.head(bits, sources);
        for (_, value) in parts.into_iter().filter(|(differs, _)| *differs) {
            self.number(value);
        }
        if let Some(own) = self.occurrences.get_mut(place.segment as usize) {
            *own = place.occurrence;
        }
        self.place = place;
    }

    fn head(&mut self, bits: u8, sources: Option<usize>) {
        let sources = sources.unwrap_or(0);
        let few = u8::try_from(sources).unwrap_or(u8::MAX).min(SOURCES_MORE);
        self.rows.push(few << 6 | bits);
        if few == SOURCES_MORE {
            self.number(sources as u64);
        }
    }

    fn distance(&mut self, from: u32, to: u32) {
        self.number(zigzag(from, to));
    }

    fn number(&mut self, value: u64) {
        number(&mut self.rows, value);
    }

    /// The lineage; none where it has grown too large.
    pub(crate) fn finish(self, texts: &impl Texts) -> Option<PackedLineage> {
        let mut out = Vec::with_capacity(self.rows.len().saturating_add(2_048));
        out.push(FORM);
        out.push(match self.direction {
            Direction::ToFhir => 1,
            Direction::ToV2 => 2,
        });
        out.push(if self.is_bundle { 1 } else { 2 });
        number(&mut out, self.names.all.len() as u64);
        self.names.all.iter().for_each(|name| texts.name(*name, &mut out));
        number(&mut out, self.segments.len() as u64);
        self.segments.iter().for_each(|segment| pack_word(segment, &mut out));
        number(&mut out, self.rules.all.len() as u64);
        self.rules.all.iter().for_each(|rule| texts.rule(*rule, &mut out));
        number(&mut out, self.count);
        out.extend_from_slice(&self.rows);
        let fits = self.has_room && out.len() <= self.limits.packed_bytes_max;
        fits.then_some(PackedLineage(out))
    }
}

/// What 3 bits say of a number that follows.
pub(super) const MORE: u8 = 7;

/// What 2 bits say of a number that follows.
pub(super) const SOURCES_MORE: u8 = 3;

fn small(count: usize) -> u8 {
    u8::try_from(count).unwrap_or(MORE).min(MORE)
}

/// The way from one number to another: 0 for none, then 1 down, 1 up, 2 down…
fn zigzag(from: u32, to: u32) -> u64 {
    let way = i64::from(to) - i64::from(from);
    (way << 1 ^ way >> 63).cast_unsigned()
}

fn number(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Adds a word: its number in the list, or its text.
pub(crate) fn pack_word(word: &str, out: &mut Vec<u8>) {
    match words::number(word) {
        Some(known) => number(out, u64::from(known).saturating_add(1)),
        None => {
            number(out, 0);
            text(out, word);
        }
    }
}

/// Adds a rule: its map, and its place in that.
pub(crate) fn pack_rule(rule: &str, out: &mut Vec<u8>) {
    let (map, tail) = words::split(rule);
    pack_word(map, out);
    match tail {
        Tail::Position(mark, position) => number(out, u64::from(position) << 2 | mark as u64),
        Tail::Text(place) => {
            number(out, 0);
            text(out, place);
        }
    }
}

fn text(out: &mut Vec<u8>, text: &str) {
    number(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}
