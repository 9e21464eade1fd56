//! Whether conditions hold.

use super::Run;
use super::view::{At, Part};
use crate::condition::Name;
use crate::plan::{Choice, Place, Test};
use crate::value::{
    Moment, compared, date, date_time, decimal, is_after, is_same_instant, time_of_day,
};

/// Where a condition is asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Here<'a> {
    /// The segment at hand.
    pub(super) segment: usize,
    /// The field at hand, 0 where there is none.
    pub(super) field: u16,
    /// The repetition at hand; of a datatype map the value it is applied to.
    pub(super) value: Option<Part<'a>>,
    /// What the rule reads.
    pub(super) own: Option<Part<'a>>,
}

/// What stands at a place.
enum Found<'a> {
    Nothing,
    /// A whole segment.
    Segment,
    Part(Part<'a>),
}

impl<'a> Run<'a> {
    /// Whether a condition holds.
    pub(super) fn holds(&mut self, test: &'a Test, here: &Here<'a>) -> bool {
        match test {
            Test::Not(inner) => !self.holds(inner, here),
            Test::And(parts) => parts.iter().all(|part| self.holds(part, here)),
            Test::Or(parts) => parts.iter().any(|part| self.holds(part, here)),
            Test::Valued(place) => {
                if let Some(raw) = self.undivided(*place, here) {
                    return !raw.is_empty() && raw != b"\"\"";
                }
                match self.at(*place, here) {
                    Found::Nothing => false,
                    Found::Segment => true,
                    Found::Part(part) => part.is_valued() && !part.is_null(),
                }
            }
            Test::In(place, texts) => {
                let raw = match self.undivided(*place, here) {
                    Some(raw) => raw,
                    None => match self.at(*place, here) {
                        Found::Part(part) => part.first().raw,
                        _ => return false,
                    },
                };
                let is_one = self.is_one_of(raw, texts);
                if is_one {
                    // What decides is carried by what it decided.
                    self.consumed.take(raw);
                }
                is_one
            }
            Test::Numeric(place) => self
                .single(*place, here)
                .is_some_and(|raw| decimal(&self.trimmed_text(raw)).is_some()),
            Test::Compared(place) => self
                .single(*place, here)
                .is_some_and(|raw| compared(&self.trimmed_text(raw)).is_some()),
            Test::Date(place) => self.single(*place, here).is_some_and(|raw| date(raw).is_some()),
            Test::Time(place) => {
                self.single(*place, here).is_some_and(|raw| time_of_day(raw).is_some())
            }
            Test::Same(one, other) => match (self.at(*one, here), self.at(*other, here)) {
                (Found::Part(one), Found::Part(other)) => one.raw == other.raw,
                _ => false,
            },
            Test::After(one, other) => match (self.at(*one, here), self.at(*other, here)) {
                (Found::Part(one), Found::Part(other)) => {
                    is_after(one.first().raw, other.first().raw) == Some(true)
                }
                _ => false,
            },
            Test::Count(place, how, number) => {
                let count = match self.undivided(*place, here) {
                    Some(raw) => u32::from(!raw.is_empty()),
                    None => self.count(*place, here),
                };
                how.holds(count, *number)
            }
            Test::Length(place, how, number) => {
                let length = match self.at(*place, here) {
                    Found::Part(part) => part.first().raw.len(),
                    _ => 0,
                };
                how.holds(u32::try_from(length).unwrap_or(u32::MAX), *number)
            }
        }
    }

    /// A whole field of the segment at hand in which no delimiter stands. Most conditions ask of one, and no place in it has to
    /// be looked for.
    fn undivided(&self, place: Place, here: &Here<'a>) -> Option<&'a [u8]> {
        match place {
            Place::Field(field, 0, 0) if field > 0 => self.view.undivided(here.segment, field),
            _ => None,
        }
    }

    /// What stands at a place, without parts.
    fn single(&self, place: Place, here: &Here<'a>) -> Option<&'a [u8]> {
        if let Some(raw) = self.undivided(place, here) {
            return Some(raw).filter(|raw| !raw.is_empty());
        }
        match self.at(place, here) {
            Found::Part(part) if part.is_single() => Some(part.first().raw),
            _ => None,
        }
    }

    /// The rules of a run that may apply to a segment; nothing where each must be asked.
    pub(super) fn chosen(&self, choice: &'a Choice, segment: usize) -> Option<&'a [u16]> {
        let text = match choice.place {
            // Most such fields are one code.
            Place::Field(field, 0 | 1, 0 | 1)
                if let Some(raw) = self.view.undivided(segment, field) =>
            {
                raw
            }
            // Of the rules' own field, the repetition at hand decides.
            Place::Field(field, ..) if self.view.repetitions(segment, field).nth(1).is_some() => {
                return None;
            }
            place => {
                let here = Here { segment, field: 0, value: None, own: None };
                match self.at(place, &here) {
                    Found::Part(part) => part.first().raw,
                    _ => &[],
                }
            }
        };
        let text = text.trim_ascii();
        self.is_plain(text).then(|| choice.rules(text))
    }

    /// Whether text stands as it means, without escape sequences or a character set.
    fn is_plain(&self, raw: &[u8]) -> bool {
        let escape = self.view.delimiters.escape;
        raw.iter().all(|byte| byte.is_ascii() && Some(*byte) != escape)
    }

    /// Whether a value is one of these texts. Most are plain, and then nothing is decoded.
    fn is_one_of(&self, value: &'a [u8], texts: &[Box<str>]) -> bool {
        let raw = value.trim_ascii();
        if raw.is_empty() {
            return false;
        }
        // Their first bytes tell most apart.
        let is_it = |own: &str| own.as_bytes().first() == raw.first() && own.as_bytes() == raw;
        if texts.iter().any(|own| is_it(own)) {
            return true;
        }
        !self.is_plain(raw) && {
            let text = self.trimmed_text(value);
            texts.iter().any(|own| **own == *text)
        }
    }

    /// The value at a place, if there is one.
    pub(super) fn part_at(&self, place: Place, here: &Here<'a>) -> Option<Part<'a>> {
        match self.at(place, here) {
            Found::Part(part) if !part.is_empty() => Some(part),
            _ => None,
        }
    }

    fn at(&self, place: Place, here: &Here<'a>) -> Found<'a> {
        let found = match place {
            Place::Own => here.own,
            Place::Component(component, part) => {
                here.value.map(|value| value.part(component).part(part))
            }
            Place::Field(field, component, part) => {
                if field == 0 {
                    return Found::Segment;
                }
                // Most conditions ask for fields that a segment does not fill.
                if self.view.field(here.segment, field).is_empty() {
                    return Found::Nothing;
                }
                let value = match here.value {
                    Some(value) if field == here.field && value.at.segment() == here.segment => {
                        Some(value)
                    }
                    _ => self.view.repetitions(here.segment, field).next(),
                };
                value.map(|value| value.part(component).part(part))
            }
            Place::Segment(name, field, component, part) => {
                let Some(segment) = self.nearest(name, here.segment) else { return Found::Nothing };
                if field == 0 {
                    return Found::Segment;
                }
                let value = self.view.repetitions(segment, field).next();
                value.map(|value| value.part(component).part(part))
            }
        };
        found.map_or(Found::Nothing, Found::Part)
    }

    fn count(&self, place: Place, here: &Here<'a>) -> u32 {
        let (segment, field) = match place {
            Place::Field(field, ..) => (Some(here.segment), field),
            Place::Segment(name, field, ..) => (self.nearest(name, here.segment), field),
            Place::Own | Place::Component(..) => (Some(here.segment), here.field),
        };
        let Some(segment) = segment else { return 0 };
        let valued = self.view.repetitions(segment, field).filter(Part::is_valued).count();
        u32::try_from(valued).unwrap_or(u32::MAX)
    }

    /// The segment of a name that is nearest: in the group of a segment, the last before it or else the first behind;
    /// else in the groups around, but not in other occurrences of the groups that it stands in, and not of another patient.
    pub(super) fn nearest(&self, name: Name, from: usize) -> Option<usize> {
        if self.view.name(from) == Some(name) {
            return Some(from);
        }
        if let Some(asked) = self.doses.asked.filter(|own| self.view.name(*own) == Some(name)) {
            return Some(asked);
        }
        let is_named = |segment: &usize| {
            self.view.name(*segment) == Some(name) && self.parts.may_say(name, *segment, from)
        };
        let groups = self.reading.groups();
        let Some(placement) = self.reading.placements().get(from) else {
            return (0..self.view.len()).find(is_named);
        };
        // What the structure has no room for is of no group: it stands in the one around it.
        let is_stray = self.parts.is_stray(&self.reading, from);
        let mut group = if is_stray { 0 } else { placement.group() };
        let mut inner: Option<usize> = None;
        for _ in 0..=groups.len() {
            let own = groups.get(group)?;
            let range = own.segments();
            let is_near = |segment: &usize| {
                is_named(segment)
                    && !inner.is_some_and(|inner| self.is_in_sibling(*segment, group, inner))
            };
            let before = (range.start..from.min(range.end)).rev().find(is_near);
            let found = before.or_else(|| (from..range.end).find(is_near));
            if found.is_some() {
                return found;
            }
            if group == 0 {
                return None;
            }
            inner = Some(group);
            group = own.parent();
        }
        None
    }

    /// Whether a segment stands in another occurrence of the group `inner`, both within `outer`.
    fn is_in_sibling(&self, segment: usize, outer: usize, inner: usize) -> bool {
        let groups = self.reading.groups();
        let Some(placement) = self.reading.placements().get(segment) else { return false };
        if self.parts.is_stray(&self.reading, segment) {
            return false;
        }
        let mut group = placement.group();
        while group != outer && group != 0 {
            let Some(own) = groups.get(group) else { return false };
            if own.parent() == outer {
                // What stands in `inner` itself has been looked at.
                return groups.get(inner).is_some_and(|inner| inner.node() == own.node());
            }
            group = own.parent();
        }
        false
    }

    /// Takes a value over that another place says as well, and is preferred.
    pub(super) fn take_said_twice(&mut self, test: &Test, here: &Here<'a>) {
        let Some(own) = here.own else { return };
        match test {
            Test::Not(inner) => {
                if let Test::Valued(place @ (Place::Field(..) | Place::Segment(..))) = &**inner
                    && self.part_at(*place, here).is_some_and(|other| {
                        // A row that asks of its own field is not told elsewhere.
                        let is_elsewhere = (other.at.segment(), other.at.field)
                            != (own.at.segment(), own.at.field);
                        is_elsewhere
                            && (other.raw == own.raw || self.is_one_moment(own.raw, other.raw))
                    })
                {
                    self.consumed.take_all(own.raw);
                }
            }
            Test::And(parts) => {
                for part in parts {
                    self.take_said_twice(part, here);
                }
            }
            _ => {}
        }
    }

    /// Whether two values are times of one instant, told with different offsets or precisions.
    fn is_one_moment(&self, one: &[u8], other: &[u8]) -> bool {
        const TO_THE_MINUTE: usize = "YYYYMMDDHHMM".len();
        let is_time = |raw: &[u8]| {
            raw.get(..TO_THE_MINUTE).is_some_and(|start| start.iter().all(u8::is_ascii_digit))
        };
        if !is_time(one) || !is_time(other) {
            return false;
        }
        match (date_time(one, self.clock), date_time(other, self.clock)) {
            (Moment::Known(one), Moment::Known(other)) => is_same_instant(&one, &other),
            _ => false,
        }
    }

    /// The place of a whole segment.
    pub(super) fn segment_at(segment: usize) -> At {
        At::of_segment(segment)
    }
}
