//! Reading lineage.

use std::fmt::Write as _;
use std::sync::Arc;

use super::pack::{DEPTH_MAX, FORM, FieldPlace, MORE, SOURCES_MORE, Step};
use super::words::{self, Mark, Tail};
use super::{Direction, Lineage, Place, Source};

/// The longest name or rule.
const TEXT_BYTES_MAX: usize = 4_096;

/// What all places and rules may come to, unpacked: more than any translation makes.
const UNPACKED_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Kept lineage that can't be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LineageError {
    /// It is of a later release.
    #[error("the lineage is of a later form")]
    LaterForm,
    /// It ends before all is told.
    #[error("the lineage ends too early")]
    Short,
    /// Bytes are left over.
    #[error("the lineage holds more than its elements")]
    Long,
    /// A number or text is none that a translator writes.
    #[error("the lineage is damaged")]
    Damaged,
    /// It says more than any translation does.
    #[error("the lineage is too large")]
    TooLarge,
}

struct Unpacker<'b> {
    rest: &'b [u8],
    is_bundle: bool,
    names: Vec<&'b str>,
    segments: Vec<&'b str>,
    occurrences: Vec<u32>,
    rules: Vec<Arc<str>>,
    steps: Vec<Step>,
    place: FieldPlace,
    left_bytes: usize,
}

pub(super) fn unpack(bytes: &[u8]) -> Result<Lineage, LineageError> {
    let mut own = Unpacker {
        rest: bytes,
        is_bundle: true,
        names: Vec::new(),
        segments: Vec::new(),
        occurrences: Vec::new(),
        rules: Vec::new(),
        steps: Vec::new(),
        place: FieldPlace::default(),
        left_bytes: UNPACKED_BYTES_MAX,
    };
    if own.byte()? != FORM {
        return Err(LineageError::LaterForm);
    }
    let direction = match own.byte()? {
        1 => Direction::ToFhir,
        2 => Direction::ToV2,
        _ => return Err(LineageError::Damaged),
    };
    own.is_bundle = match own.byte()? {
        1 => true,
        2 => false,
        _ => return Err(LineageError::Damaged),
    };
    for _ in 0..own.count()? {
        let name = own.word()?;
        own.names.push(name);
    }
    for _ in 0..own.count()? {
        let segment = own.word()?;
        own.segments.push(segment);
        own.occurrences.push(0);
    }
    own.read_rules()?;
    let mut sources = Vec::new();
    for _ in 0..own.count()? {
        sources.push(own.source(direction)?);
    }
    if own.rest.is_empty() { Ok(Lineage { direction, sources }) } else { Err(LineageError::Long) }
}

impl<'b> Unpacker<'b> {
    fn read_rules(&mut self) -> Result<(), LineageError> {
        for _ in 0..self.count()? {
            let map = self.word()?;
            let tail = match self.number()? {
                0 => Tail::Text(self.text()?),
                number => {
                    let mark = Mark::of(number & 3).ok_or(LineageError::Damaged)?;
                    let position = u32::try_from(number >> 2).map_err(|_| LineageError::Damaged)?;
                    Tail::Position(mark, position)
                }
            };
            let rule = words::joined(map, tail);
            self.take_from_limit(rule.len())?;
            self.rules.push(rule.into());
        }
        Ok(())
    }

    fn source(&mut self, direction: Direction) -> Result<Source, LineageError> {
        let head = self.byte()?;
        let count = match head >> 6 {
            SOURCES_MORE => self.count()?,
            few => usize::from(few),
        };
        let element = match direction {
            Direction::ToFhir => self.element(head)?,
            Direction::ToV2 => self.field(head)?,
        };
        let mut paths = Vec::with_capacity(count.min(16));
        for _ in 0..count {
            let head = self.byte()?;
            if head >> 6 != 0 {
                return Err(LineageError::Damaged);
            }
            paths.push(match direction {
                Direction::ToFhir => self.field(head)?,
                Direction::ToV2 => self.element(head)?,
            });
        }
        let rule = self.small::<usize>()?;
        let rule = self.rules.get(rule).cloned().ok_or(LineageError::Damaged)?;
        Ok(Source { element, paths, rule })
    }

    fn element(&mut self, head: u8) -> Result<Place, LineageError> {
        let same = self.few(head >> 3 & MORE)?;
        let new = self.few(head & MORE)?;
        if same > self.steps.len() || same.saturating_add(new) > DEPTH_MAX {
            return Err(LineageError::Damaged);
        }
        let mut steps = self.steps.get(..same).unwrap_or_default().to_vec();
        for depth in same..same.saturating_add(new) {
            let number = self.number()?;
            let name = u32::try_from(number >> 1).map_err(|_| LineageError::Damaged)?;
            let before = self.steps.get(depth).filter(|own| own.name == name);
            let before = before.and_then(|own| own.index).unwrap_or(0);
            let index = if number & 1 == 1 { Some(self.distance(before)?) } else { None };
            steps.push(Step { name, index });
        }
        self.steps = steps;
        self.element_place()
    }

    fn element_place(&mut self) -> Result<Place, LineageError> {
        let mut path = String::with_capacity(48);
        let mut entry = None;
        for (depth, step) in self.steps.iter().enumerate() {
            let name = self.names.get(step.name as usize).ok_or(LineageError::Damaged)?;
            if depth == 0 {
                path.push_str(name);
                entry = step.index.filter(|_| self.is_bundle);
            } else {
                path.push('.');
                path.push_str(name);
            }
            if let Some(index) = step.index.filter(|_| depth > 0 || !self.is_bundle) {
                let _ = write!(path, "[{index}]");
            }
        }
        self.take_from_limit(path.len())?;
        Ok(Place { path, entry })
    }

    fn field(&mut self, head: u8) -> Result<Place, LineageError> {
        let mut place = self.place;
        let is_told = |bit: u8| head >> bit & 1 == 1;
        if is_told(0) {
            place.segment = self.small()?;
        }
        let segment = place.segment as usize;
        let name = *self.segments.get(segment).ok_or(LineageError::Damaged)?;
        let last = self.occurrences.get(segment).copied().unwrap_or_default();
        place.occurrence = if is_told(1) { self.distance(last)? } else { last };
        for (bit, part) in [
            (2, &mut place.field),
            (3, &mut place.repetition),
            (4, &mut place.component),
            (5, &mut place.subcomponent),
        ] {
            if is_told(bit) {
                *part = self.small()?;
            }
        }
        if let Some(own) = self.occurrences.get_mut(segment) {
            *own = place.occurrence;
        }
        self.place = place;
        let FieldPlace { occurrence, field, repetition, component, subcomponent, .. } = place;
        let mut path = String::with_capacity(16);
        path.push_str(name);
        for (is_written, before, number, behind) in [
            (occurrence > 1, "(", occurrence, ")"),
            (field > 0, "-", field, ""),
            (repetition > 1, "[", repetition, "]"),
            (component > 0, ".", component, ""),
            (subcomponent > 0, ".", subcomponent, ""),
        ] {
            if is_written {
                let _ = write!(path, "{before}{number}{behind}");
            }
        }
        self.take_from_limit(path.len())?;
        Ok(Place { path, entry: None })
    }

    /// A number of 3 bits, or the one that follows.
    fn few(&mut self, bits: u8) -> Result<usize, LineageError> {
        if bits == MORE { self.small() } else { Ok(usize::from(bits)) }
    }

    fn distance(&mut self, from: u32) -> Result<u32, LineageError> {
        let number = self.number()?;
        let way = (number >> 1).cast_signed() ^ -(number & 1).cast_signed();
        let to = i64::from(from).checked_add(way).ok_or(LineageError::Damaged)?;
        u32::try_from(to).map_err(|_| LineageError::Damaged)
    }

    fn take_from_limit(&mut self, bytes: usize) -> Result<(), LineageError> {
        self.left_bytes = self.left_bytes.checked_sub(bytes).ok_or(LineageError::TooLarge)?;
        Ok(())
    }

    fn byte(&mut self) -> Result<u8, LineageError> {
        let (first, rest) = self.rest.split_first().ok_or(LineageError::Short)?;
        self.rest = rest;
        Ok(*first)
    }

    fn number(&mut self) -> Result<u64, LineageError> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let part = u64::from(byte & 0x7f);
            if shift == 63 && part > 1 {
                return Err(LineageError::Damaged);
            }
            value |= part << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(LineageError::Damaged)
    }

    fn small<N: TryFrom<u64>>(&mut self) -> Result<N, LineageError> {
        N::try_from(self.number()?).map_err(|_| LineageError::Damaged)
    }

    /// A count of things that take a byte each at least, so that a damaged one reserves no memory.
    fn count(&mut self) -> Result<usize, LineageError> {
        let count: usize = self.small()?;
        if count > self.rest.len() { Err(LineageError::Short) } else { Ok(count) }
    }

    fn word(&mut self) -> Result<&'b str, LineageError> {
        match self.small::<usize>()?.checked_sub(1) {
            Some(number) => words::word(number).ok_or(LineageError::LaterForm),
            None => self.text(),
        }
    }

    fn text(&mut self) -> Result<&'b str, LineageError> {
        let length: usize = self.small()?;
        if length > TEXT_BYTES_MAX {
            return Err(LineageError::Damaged);
        }
        let (text, rest) = self.rest.split_at_checked(length).ok_or(LineageError::Short)?;
        self.rest = rest;
        str::from_utf8(text).map_err(|_| LineageError::Damaged)
    }
}
