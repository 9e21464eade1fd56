//! Places that people ask about: `PID-3`, `Patient.identifier`.

use std::fmt;

use super::{Lineage, Place, Source};

/// A place and all below it. Numbers that are not written stand for any: `OBX-5` is that of every OBX, `PID-3[1]` the first
/// repetition, `Patient.identifier` every identifier of every Patient, `Bundle.entry[2]` all of one resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacePattern {
    text: String,
    entry: Option<u32>,
    steps: Vec<Step>,
}

/// A part of a place, and which of several it is.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Step {
    name: String,
    number: Option<u32>,
}

/// It names no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a place is written like PID-3, OBX(2)-5.1, Patient.identifier or Bundle.entry[2]")]
pub struct PlaceError;

/// The longest text that is read as a place.
const TEXT_BYTES_MAX: usize = 1_000;

impl PlacePattern {
    /// Reads a place.
    ///
    /// # Errors
    /// When the text is not written as one.
    pub fn parse(text: &str) -> Result<Self, PlaceError> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(PlaceError);
        }
        let mut steps = steps(text).ok_or(PlaceError)?;
        let mut entry = None;
        if let [bundle, own, ..] = steps.as_slice()
            && (bundle.name == "Bundle" && own.name == "entry")
        {
            let (number, is_resource) =
                (own.number, steps.get(2).is_none_or(|step| step.name == "resource"));
            if !is_resource || bundle.number.is_some() {
                return Err(PlaceError);
            }
            entry = number;
            let below = steps.split_off(steps.len().min(3));
            // Of whichever type.
            steps = vec![Step { name: String::new(), number: None }];
            steps.extend(below);
        }
        Ok(Self { text: text.to_owned(), entry, steps })
    }

    /// Whether a place is this one, or below it.
    pub fn holds(&self, place: &Place) -> bool {
        if self.entry.is_some() && self.entry != place.entry() {
            return false;
        }
        let Some(own) = steps(place.path()) else { return false };
        // A Bundle's entry is that of an element, whatever its type.
        let is_field = own.first().is_some_and(|first| is_segment(&first.name));
        let first = self.steps.first();
        if first.is_some_and(|first| first.name.is_empty()) && is_field {
            return false;
        }
        own.len() >= self.steps.len()
            && own.iter().enumerate().zip(&self.steps).all(|((depth, own), wanted)| {
                // The first of a segment and of a field is not numbered.
                let number = own.number.or((is_field && depth < 2).then_some(1));
                (wanted.name.is_empty() || own.name == wanted.name)
                    && (wanted.number.is_none() || wanted.number == number)
            })
    }
}

impl fmt::Display for PlacePattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl Source {
    /// Whether it came from a place, or went there.
    pub fn is_about(&self, place: &PlacePattern) -> bool {
        place.holds(&self.element) || self.paths.iter().any(|path| place.holds(path))
    }
}

impl Lineage {
    /// What came from a place, or went there.
    #[must_use]
    pub fn about(mut self, place: &PlacePattern) -> Self {
        self.sources.retain(|source| source.is_about(place));
        self
    }
}

/// Types of FHIR have small letters.
fn is_segment(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

/// `PID(2)-3[2].1`, `Patient.identifier[0].value`
fn steps(text: &str) -> Option<Vec<Step>> {
    let (first, rest) = match text.split_once('-') {
        Some((segment, rest)) => (step(segment, ('(', ')'))?, Some(rest)),
        None => match text.split_once('.') {
            Some((first, rest)) => (either(first)?, Some(rest)),
            None => (either(text)?, None),
        },
    };
    let mut steps = vec![first];
    for part in rest.into_iter().flat_map(|rest| rest.split('.')) {
        steps.push(step(part, ('[', ']'))?);
    }
    Some(steps)
}

fn either(text: &str) -> Option<Step> {
    step(text, ('[', ']')).or_else(|| step(text, ('(', ')')))
}

fn step(text: &str, (open, close): (char, char)) -> Option<Step> {
    let (name, number) = match text.strip_suffix(close).and_then(|text| text.split_once(open)) {
        Some((name, number)) => (name, Some(number.parse().ok()?)),
        None => (text, None),
    };
    let is_name = !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b' '));
    is_name.then(|| Step { name: name.to_owned(), number })
}
