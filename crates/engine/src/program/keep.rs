//! The `keep` step: of a message goes on what is named, and nothing else.
//!
//! Whoever tells a message on, and less of it, writes down what the receiver may see; what senders and translations learn to
//! say later stays out by itself. MSH stays: without it there is no message. A line that is no segment goes.

use std::borrow::Cow;

use pipehat_message::{Message, Occurrence, Path, Segment, SegmentName, Value};

/// The message of these places alone. A segment means every one of its name and all of it, a field all its repetitions, a
/// component that of the first repetition, as everywhere.
pub(super) fn kept(message: &Message<'_>, places: &[Path]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(message.as_bytes().len());
    for segment in message.segments() {
        let Some(name) = segment.segment_name() else { continue };
        if name == SegmentName::MSH {
            bytes.extend_from_slice(segment.raw());
            bytes.push(b'\r');
            continue;
        }
        let own: Vec<&Path> = places.iter().filter(|place| place.segment() == name).collect();
        if own.is_empty() {
            continue;
        }
        if own.iter().any(|place| place.field().is_none()) {
            bytes.extend_from_slice(segment.raw());
        } else {
            bytes.extend_from_slice(segment.name());
            bytes.extend_from_slice(&fields(&segment, &own));
        }
        bytes.push(b'\r');
    }
    bytes
}

/// The fields of a segment, each behind its separator.
fn fields(segment: &Segment<'_>, own: &[&Path]) -> Vec<u8> {
    let separator = segment.delimiters().field;
    let mut bytes = Vec::new();
    let mut absent = 0_usize;
    for (number, field) in (1_u16..).zip(segment.fields()) {
        absent += 1;
        let places: Vec<&Path> = own
            .iter()
            .copied()
            .filter(|place| place.field().is_some_and(|field| field.get() == number))
            .collect();
        let content = content(&field, &places);
        if !content.is_empty() {
            bytes.extend(std::iter::repeat_n(separator, absent));
            bytes.extend_from_slice(&content);
            absent = 0;
        }
    }
    bytes
}

/// What stays of a field.
fn content<'v>(field: &Value<'v>, places: &[&Path]) -> Cow<'v, [u8]> {
    if places.iter().any(|place| place.repetition().is_none() && place.component().is_none()) {
        return Cow::Borrowed(field.raw());
    }
    let repetitions = (1_u32..).zip(field.repetitions()).map(|(number, repetition)| {
        let here = places.iter().filter(|place| match place.repetition() {
            None => number == 1,
            Some(Occurrence::At(wanted)) => wanted.get() == number,
            Some(Occurrence::All) => true,
            Some(_) => false,
        });
        let numbers: Vec<Option<u16>> =
            here.map(|place| place.component().map(|component| component.get())).collect();
        if numbers.contains(&None) {
            return repetition.raw().to_vec();
        }
        let components = (1_u16..).zip(repetition.components()).map(|(number, component)| {
            if numbers.contains(&Some(number)) { component.raw() } else { b"" }
        });
        joined(components, field.delimiters().component)
    });
    Cow::Owned(joined(repetitions, field.delimiters().repetition))
}

/// Parts with a delimiter between them; none behind the last that says something.
fn joined<P: AsRef<[u8]>>(parts: impl Iterator<Item = P>, delimiter: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut absent = 0_usize;
    for (index, part) in parts.enumerate() {
        absent += usize::from(index > 0);
        if !part.as_ref().is_empty() {
            bytes.extend(std::iter::repeat_n(delimiter, absent));
            bytes.extend_from_slice(part.as_ref());
            absent = 0;
        }
    }
    bytes
}
