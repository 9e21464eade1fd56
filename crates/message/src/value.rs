//! What stands at one place of a message, undecoded until asked.

use std::borrow::Cow;
use std::fmt;

use crate::delimiters::Delimiters;
use crate::escape;
use crate::part;

/// How far a value can still be split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    Segment,
    Field,
    Repetition,
    Component,
    Subcomponent,
    /// MSH-1 and MSH-2: they name the delimiters and are split by none, nor do they hold escape sequences.
    Delimiters,
}

/// Whether a place that exists holds something (HL7 v2.5.1 §2.5.3). A place that does not exist has no [`Value`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// Nothing stands there: the receiver keeps what it knows.
    Empty,
    /// Exactly `""`: the receiver deletes what it knows.
    Null,
    /// Anything else.
    Present,
}

/// The bytes at one place of a message: a segment, field, repetition, component or subcomponent.
#[derive(Clone, Copy)]
pub struct Value<'m> {
    raw: &'m [u8],
    delimiters: Delimiters,
    depth: Depth,
}

impl<'m> Value<'m> {
    pub(crate) fn new(raw: &'m [u8], delimiters: Delimiters, depth: Depth) -> Self {
        Self { raw, delimiters, depth }
    }

    /// The bytes as received, escape sequences and inner delimiters included.
    pub fn raw(&self) -> &'m [u8] {
        self.raw
    }

    /// The delimiters this value is read with.
    pub fn delimiters(&self) -> Delimiters {
        self.delimiters
    }

    /// Whether no byte stands here.
    pub fn is_empty(&self) -> bool {
        self.raw.is_empty()
    }

    /// Whether exactly `""` stands here: the sender asks to delete what is known (HL7 v2.5.1 §2.5.3).
    pub fn is_null(&self) -> bool {
        self.raw == b"\"\""
    }

    /// Empty, null or present.
    pub fn presence(&self) -> Presence {
        if self.is_empty() {
            Presence::Empty
        } else if self.is_null() {
            Presence::Null
        } else {
            Presence::Present
        }
    }

    /// The bytes with escape sequences replaced by what they stand for; copied only if there are any.
    ///
    /// The character set is left alone: the result is in the message's own. Inner delimiters stay, so ask a
    /// component or subcomponent when the text itself is meant.
    pub fn decoded(&self) -> Cow<'m, [u8]> {
        match self.depth {
            Depth::Delimiters => Cow::Borrowed(self.raw),
            _ => escape::unescape(self.raw, &self.delimiters),
        }
    }

    /// The repetitions of a field; anything smaller is its own only repetition.
    pub fn repetitions(&self) -> impl Iterator<Item = Value<'m>> + use<'m> {
        let delimiter = (self.depth == Depth::Field).then_some(self.delimiters.repetition);
        self.split(delimiter, Depth::Repetition)
    }

    /// The components of a repetition; of a field, those of its first repetition; anything smaller is its own only
    /// component.
    pub fn components(&self) -> impl Iterator<Item = Value<'m>> + use<'m> {
        let repetition = self.first_repetition();
        let delimiter =
            (repetition.depth == Depth::Repetition).then_some(self.delimiters.component);
        repetition.split(delimiter, Depth::Component)
    }

    /// The first of the [`components`](Self::components).
    pub fn first_component(&self) -> Value<'m> {
        let repetition = self.first_repetition();
        match repetition.depth {
            Depth::Repetition => repetition.first(self.delimiters.component, Depth::Component),
            _ => repetition,
        }
    }

    /// The subcomponents of a component; of anything larger, those of its first component.
    pub fn subcomponents(&self) -> impl Iterator<Item = Value<'m>> + use<'m> {
        let component = self.first_component();
        let delimiter =
            if component.depth == Depth::Component { self.delimiters.subcomponent } else { None };
        component.split(delimiter, Depth::Subcomponent)
    }

    fn first_repetition(&self) -> Value<'m> {
        match self.depth {
            Depth::Field => self.first(self.delimiters.repetition, Depth::Repetition),
            _ => *self,
        }
    }

    fn first(&self, delimiter: u8, depth: Depth) -> Value<'m> {
        let raw = part::nth(self.raw, delimiter, 0).unwrap_or_default();
        Value { raw, depth, ..*self }
    }

    /// Splits by `delimiter`; without one the value is its own only part and keeps its depth.
    fn split(
        self,
        delimiter: Option<u8>,
        depth: Depth,
    ) -> impl Iterator<Item = Value<'m>> + use<'m> {
        let whole = delimiter.is_none().then_some(self);
        let parts = delimiter.map(|delimiter| part::split(self.raw, delimiter));
        let parts = parts.into_iter().flatten().map(move |raw| Value { raw, depth, ..self });
        whole.into_iter().chain(parts)
    }
}

/// Shows that something is there and never what it is.
impl fmt::Debug for Value<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Value")
            .field("presence", &self.presence())
            .field("bytes", &self.raw.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(raw: &[u8]) -> Value<'_> {
        Value::new(raw, Delimiters::STANDARD, Depth::Field)
    }

    fn raws<'m>(values: impl Iterator<Item = Value<'m>>) -> Vec<&'m [u8]> {
        values.map(|value| value.raw()).collect()
    }

    #[test]
    fn empty_null_and_present_differ() {
        assert_eq!(field(b"").presence(), Presence::Empty);
        assert_eq!(field(b"\"\"").presence(), Presence::Null);
        for present in [b"\"".as_slice(), b"\"\"\"", b" ", b"^", b"\"\"^"] {
            assert_eq!(field(present).presence(), Presence::Present);
        }
    }

    #[test]
    fn each_level_splits_by_its_own_delimiter() {
        let value = field(b"a&b^c~d^e&f");
        assert_eq!(raws(value.repetitions()), [b"a&b^c".as_slice(), b"d^e&f"]);
        assert_eq!(raws(value.components()), [b"a&b".as_slice(), b"c"]);
        assert_eq!(raws(value.subcomponents()), [b"a".as_slice(), b"b"]);
        let second = value.repetitions().nth(1).into_iter().flat_map(|r| r.components());
        assert_eq!(raws(second.flat_map(|c| c.subcomponents())), [b"d".as_slice(), b"e", b"f"]);
    }

    #[test]
    fn splitting_below_the_last_level_gives_the_value_itself() {
        let value = Value::new(b"a^b~c", Delimiters::STANDARD, Depth::Subcomponent);
        assert_eq!(raws(value.repetitions()), [b"a^b~c".as_slice()]);
        assert_eq!(raws(value.components()), [b"a^b~c".as_slice()]);
        assert_eq!(raws(value.subcomponents()), [b"a^b~c".as_slice()]);
    }

    #[test]
    fn encoding_characters_are_never_split_nor_unescaped() {
        let value = Value::new(b"^~\\&", Delimiters::STANDARD, Depth::Delimiters);
        assert_eq!(raws(value.repetitions()), [b"^~\\&".as_slice()]);
        assert_eq!(raws(value.components()), [b"^~\\&".as_slice()]);
        assert_eq!(raws(value.subcomponents()), [b"^~\\&".as_slice()]);
        assert_eq!(value.decoded().as_ref(), b"^~\\&");
    }

    #[test]
    fn without_a_subcomponent_separator_components_are_whole() {
        let delimiters = Delimiters { subcomponent: None, ..Delimiters::STANDARD };
        let value = Value::new(b"a&b^c", delimiters, Depth::Field);
        assert_eq!(raws(value.subcomponents()), [b"a&b".as_slice()]);
    }

    #[test]
    fn debug_shows_no_value() {
        let shown = format!("{:?}", field(b"SECRET"));
        assert!(shown.contains("Present") && !shown.contains("SECRET"), "{shown}");
    }
}
