//! A message as JSON, nothing left out: segments, fields, repetitions, components, subcomponents.
//!
//! It is written while the message is walked through, so that a large message needs no tree in memory.

use std::ops::Range;

use pipehat_dictionary::profile::Profile;
use pipehat_dictionary::{DataType, Named};
use pipehat_message::{Delimiters, Message, Segment, Value};
use serde::ser::{Serialize, SerializeMap as _, Serializer};

use super::names::Names;
use super::path::SegmentPaths;
use crate::message_file::{FileMessage, TextForm};

/// The whole of one message, with the names of a profile if there is one.
///
/// `start`, and `raw` and `end` of each segment, joined are the message again.
pub(super) struct MessageTree<'m>(pub(super) &'m FileMessage<'m>, pub(super) Option<&'m Profile>);

impl Serialize for MessageTree<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let &MessageTree(FileMessage { number, message, form, .. }, profile) = self;
        let bytes = message.as_bytes();
        let spans: Vec<_> = message.segments().map(|segment| span(message, &segment)).collect();
        let start = spans.first().map_or(bytes.len(), |span| span.start);
        let next_starts = spans.iter().skip(1).map(|span| span.start).chain([bytes.len()]);
        let names = Names::of(message, profile);
        let names = &names;
        let segments = Sequence(|| {
            let mut paths = SegmentPaths::default();
            let ends = spans.iter().map(|span| span.end).zip(next_starts.clone());
            message.segments().zip(ends).map(move |(segment, (end, next))| SegmentTree {
                path: paths.next(&segment).map(|path| path.to_string()),
                segment,
                names,
                end: bytes.get(end..next).unwrap_or_default(),
                form: *form,
            })
        });
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("message", number)?;
        map.serialize_entry("character_set", form.charset().name())?;
        map.serialize_entry("delimiters", &DelimitersTree(message.delimiters()))?;
        map.serialize_entry("start", &form.text(bytes.get(..start).unwrap_or_default()))?;
        map.serialize_entry("version", &names.version())?;
        map.serialize_entry("structure", &names.structure())?;
        map.serialize_entry("notes", &names.notes())?;
        map.serialize_entry("segments", &segments)?;
        map.end()
    }
}

/// Where a segment stands among the message's bytes.
fn span(message: &Message<'_>, segment: &Segment<'_>) -> Range<usize> {
    // A segment is a view into these bytes.
    let start = segment.raw().as_ptr().addr().saturating_sub(message.as_bytes().as_ptr().addr());
    start..start.saturating_add(segment.raw().len())
}

/// The delimiters by name; `null` for those that the message does not declare.
struct DelimitersTree(Delimiters);

impl Serialize for DelimitersTree {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Delimiters { field, component, repetition, escape, subcomponent, truncation } = self.0;
        serializer.collect_map([
            ("field", Some(char::from(field))),
            ("component", Some(char::from(component))),
            ("repetition", Some(char::from(repetition))),
            ("escape", escape.map(char::from)),
            ("subcomponent", subcomponent.map(char::from)),
            ("truncation", truncation.map(char::from)),
        ])
    }
}

struct SegmentTree<'m> {
    segment: Segment<'m>,
    names: &'m Names<'m>,
    path: Option<String>,
    /// What follows the segment up to the next one: its end, blank lines, what ends a frame.
    end: &'m [u8],
    form: TextForm,
}

impl Serialize for SegmentTree<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let form = self.form;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("name", &self.segment.segment_name().map(|name| name.to_string()))?;
        map.serialize_entry("title", &self.names.segment(&self.segment))?;
        map.serialize_entry("path", &self.path)?;
        map.serialize_entry("group", &self.names.group(&self.segment))?;
        map.serialize_entry("raw", &form.text(self.segment.raw()))?;
        map.serialize_entry("end", &form.text(self.end))?;
        // A line that is no segment has no fields, whatever stands in it.
        let is_segment = self.segment.segment_name().is_some();
        let fields = Sequence(|| {
            let fields = self.segment.fields().filter(|_| is_segment);
            fields.zip(1..).map(|(value, position)| {
                let named = self.names.field(&self.segment, position);
                ValueTree { value, named, form, level: Level::Field }
            })
        });
        map.serialize_entry("fields", &fields)?;
        map.end()
    }
}

#[derive(Clone, Copy)]
enum Level {
    Field,
    Repetition,
    Component,
    Subcomponent,
}

struct ValueTree<'m> {
    value: Value<'m>,
    named: Named<'m>,
    form: TextForm,
    level: Level,
}

impl Serialize for ValueTree<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { value, named, form, level } = *self;
        let below = |level| {
            move |(value, position): (_, usize)| {
                // Repetitions are called as their field; a part as the type says.
                let named = match level {
                    Level::Field | Level::Repetition => named,
                    Level::Component | Level::Subcomponent => named.part(position),
                };
                Self { value, named, form, level }
            }
        };
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("raw", &form.text(value.raw()))?;
        map.serialize_entry("decoded", &form.decoded(&value))?;
        if !matches!(level, Level::Repetition) {
            map.serialize_entry("name", &named.name())?;
            map.serialize_entry("data_type", &named.data_type().map(DataType::name))?;
        }
        if let Some(meaning) = named.meaning(&value) {
            map.serialize_entry("meaning", meaning)?;
        }
        match level {
            Level::Field => {
                let parts = Sequence(|| value.repetitions().zip(1..).map(below(Level::Repetition)));
                map.serialize_entry("repetitions", &parts)?;
            }
            Level::Repetition => {
                let parts = Sequence(|| value.components().zip(1..).map(below(Level::Component)));
                map.serialize_entry("components", &parts)?;
            }
            Level::Component => {
                let parts =
                    Sequence(|| value.subcomponents().zip(1..).map(below(Level::Subcomponent)));
                map.serialize_entry("subcomponents", &parts)?;
            }
            Level::Subcomponent => {}
        }
        map.end()
    }
}

/// A list whose items are made while it is written.
struct Sequence<F>(F);

impl<F, I> Serialize for Sequence<F>
where
    F: Fn() -> I,
    I: Iterator<Item: Serialize>,
{
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq((self.0)())
    }
}
