//! From values to bytes, escaped and delimited, with the path of each for lineage.

use pipehat_message::{Delimiters, escape};

/// A field's repetition, a component or a subcomponent: a value or parts, by position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    Leaf(Leaf),
    Parts(Vec<Option<Node>>),
}

/// One value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Leaf {
    pub(super) text: String,
    /// Whether line breaks are `\.br\`.
    pub(super) is_formatted: bool,
    /// Where its elements stand in memory, for lineage.
    pub(super) sources: Vec<usize>,
    /// The map and the place that wrote it.
    pub(super) rule: (usize, u16),
}

/// A segment's fields, each with its repetitions.
#[derive(Debug, Default)]
pub(super) struct SegmentFields {
    pub(super) fields: Vec<Vec<Node>>,
}

impl Node {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Leaf(Leaf {
            text: text.into(),
            is_formatted: false,
            sources: Vec::new(),
            rule: (0, 0),
        })
    }

    /// Parts, if there are any.
    pub(super) fn parts(mut parts: Vec<Option<Self>>) -> Option<Self> {
        while parts.last().is_some_and(Option::is_none) {
            parts.pop();
        }
        (!parts.is_empty()).then_some(Self::Parts(parts))
    }

    /// The first value: what is left where a version has only one.
    pub(super) fn into_first(self) -> Option<Self> {
        match self {
            Self::Leaf(_) => Some(self),
            Self::Parts(parts) => parts.into_iter().next().flatten()?.into_first(),
        }
    }

    /// Whether the values are the same, wherever they come from.
    fn says_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Leaf(own), Self::Leaf(theirs)) => own.text == theirs.text,
            (Self::Parts(own), Self::Parts(theirs)) => {
                own.len() == theirs.len()
                    && own.iter().zip(theirs).all(|(own, theirs)| match (own, theirs) {
                        (Some(own), Some(theirs)) => own.says_same(theirs),
                        (None, None) => true,
                        (Some(_), None) | (None, Some(_)) => false,
                    })
            }
            (Self::Leaf(_), Self::Parts(_)) | (Self::Parts(_), Self::Leaf(_)) => false,
        }
    }

    fn visit<'s>(&'s self, place: &mut Vec<u16>, visit: &mut dyn FnMut(&'s Leaf, &[u16])) {
        match self {
            Self::Leaf(leaf) => visit(leaf, place),
            Self::Parts(parts) => {
                for (number, part) in (1..).zip(parts) {
                    if let Some(part) = part {
                        place.push(number);
                        part.visit(place, visit);
                        place.pop();
                    }
                }
            }
        }
    }

    fn write(&self, out: &mut Vec<u8>, level: Level, delimiters: &Delimiters) {
        match self {
            Self::Leaf(leaf) => leaf.write(out, delimiters),
            Self::Parts(parts) => {
                let separator = level.separator(delimiters);
                for (index, part) in parts.iter().enumerate() {
                    if index > 0 {
                        out.push(separator);
                    }
                    if let Some(part) = part {
                        part.write(out, Level::Subcomponent, delimiters);
                    }
                }
            }
        }
    }
}

impl Leaf {
    fn write(&self, out: &mut Vec<u8>, delimiters: &Delimiters) {
        let line_break = delimiters.escape.filter(|_| self.is_formatted);
        let Some(escape_character) = line_break else {
            out.extend_from_slice(&escape(self.text.as_bytes(), delimiters));
            return;
        };
        for (index, line) in self.text.lines().enumerate() {
            if index > 0 {
                out.push(escape_character);
                out.extend_from_slice(b".br");
                out.push(escape_character);
            }
            out.extend_from_slice(&escape(line.as_bytes(), delimiters));
        }
    }
}

#[derive(Clone, Copy)]
enum Level {
    Component,
    Subcomponent,
}

impl Level {
    fn separator(self, delimiters: &Delimiters) -> u8 {
        match self {
            Self::Component => delimiters.component,
            Self::Subcomponent => delimiters.subcomponent.unwrap_or(delimiters.component),
        }
    }
}

/// Where in a segment a value stands, from 1.
pub(super) struct At<'p> {
    pub(super) field: u16,
    pub(super) repetition: u32,
    /// Component and subcomponent.
    pub(super) place: &'p [u16],
}

impl SegmentFields {
    /// Every value and where it stands, in order.
    pub(super) fn values<'s>(&'s self, visit: &mut dyn FnMut(&'s Leaf, At<'_>)) {
        for (field, repetitions) in (1..).zip(&self.fields) {
            for (repetition, node) in (1..).zip(repetitions) {
                node.visit(&mut Vec::new(), &mut |leaf, place| {
                    visit(leaf, At { field, repetition, place });
                });
            }
        }
    }

    /// The repetitions of a field, from 1.
    pub(super) fn field_mut(&mut self, position: u16) -> &mut Vec<Node> {
        let index = usize::from(position.max(1)) - 1;
        if self.fields.len() <= index {
            self.fields.resize_with(index + 1, Vec::new);
        }
        // Just made long enough.
        &mut self.fields[index]
    }

    /// Whether a field holds anything.
    pub(super) fn has(&self, position: u16) -> bool {
        !self.repetitions(position).is_empty()
    }

    /// A field as it is written.
    pub(super) fn written(&self, position: u16) -> Vec<u8> {
        let mut out = Vec::new();
        for node in self.repetitions(position) {
            node.write(&mut out, Level::Component, &Delimiters::STANDARD);
        }
        out
    }

    fn repetitions(&self, position: u16) -> &[Node] {
        self.fields.get(usize::from(position.max(1)) - 1).map(Vec::as_slice).unwrap_or_default()
    }

    /// Whether all that it says but its number is said by another.
    pub(super) fn is_said_by(&self, other: &Self) -> bool {
        (1..).zip(&self.fields).skip(1).all(|(at, field): (usize, _)| {
            let theirs = other.fields.get(at - 1);
            field.is_empty()
                || theirs.is_some_and(|theirs| {
                    field.iter().all(|node| theirs.iter().any(|their| node.says_same(their)))
                })
        })
    }

    /// Writes fields from a position on, each with the field separator before it.
    pub(super) fn write(&self, out: &mut Vec<u8>, from: usize, delimiters: &Delimiters) {
        let last = self.fields.iter().rposition(|field| !field.is_empty()).map_or(0, |at| at + 1);
        for field in self.fields.iter().take(last).skip(from.saturating_sub(1)) {
            out.push(delimiters.field);
            for (index, repetition) in field.iter().enumerate() {
                if index > 0 {
                    out.push(delimiters.repetition);
                }
                repetition.write(out, Level::Component, delimiters);
            }
        }
    }
}
