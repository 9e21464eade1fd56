//! The tree of a file: maps, lists and scalars, each with its place.

use std::fmt;

use crate::scalar_positions::char_positions;
use crate::source::Span;

/// One value of a file, with its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Where it stands. An absent value (`listen:` with nothing after it) has the place of its key.
    pub span: Span,
    /// What it is.
    pub value: Value,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing was written. `null` and `~` are scalars here: a typed reader judges them.
    Null,
    /// A text, whatever it may mean.
    Scalar(Scalar),
    /// `[a, b]`, or lines that begin with `- `.
    List(Vec<Node>),
    /// `{ key: value }`, or lines of `key: value`.
    Map(Map),
}

impl Value {
    /// What it is, in words, for "expected …, found …". It never holds the value itself.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Scalar(_) => "a single value",
            Self::List(_) => "a list",
            Self::Map(_) => "a map of `key: value` lines",
        }
    }
}

/// How a scalar was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ScalarStyle {
    /// Without quotes.
    Plain,
    /// `'like this'`
    SingleQuoted,
    /// `"like this"`
    DoubleQuoted,
    /// A block after `|`.
    Literal,
    /// A block after `>`.
    Folded,
}

/// A text, exactly as written after YAML's quoting is undone and variables are put in.
#[derive(Clone, PartialEq, Eq)]
pub struct Scalar {
    text: String,
    style: ScalarStyle,
    substituted: bool,
    unresolved: bool,
}

impl Scalar {
    pub(crate) fn new(text: String, style: ScalarStyle) -> Self {
        Self { text, style, substituted: false, unresolved: false }
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// How it was written.
    pub fn style(&self) -> ScalarStyle {
        self.style
    }

    /// Whether the value of a variable is in the text. It then belongs in no error text and no log.
    pub fn is_substituted(&self) -> bool {
        self.substituted
    }

    pub(crate) fn substitute(&mut self, text: String) {
        self.text = text;
        self.substituted = true;
    }

    /// Notes that a variable could not be put in, which was reported.
    pub(crate) fn leave_unresolved(&mut self) {
        self.unresolved = true;
    }

    /// Whether a variable could not be put in: that is one error, and what is left of the text is not a second one.
    pub(crate) fn is_unresolved(&self) -> bool {
        self.unresolved
    }

    /// Undoes an escape such as `$${`, which puts nothing in from outside.
    pub(crate) fn unescape(&mut self, text: String) {
        self.text = text;
    }
}

/// A substituted text is not printed.
impl fmt::Debug for Scalar {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.substituted {
            formatter.write_str("[redacted]")
        } else {
            fmt::Debug::fmt(&self.text, formatter)
        }
    }
}

/// A key of a map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The text.
    pub text: String,
    /// Where it stands.
    pub span: Span,
}

/// Keys and values in the order of the file. No key is there twice.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Map {
    entries: Vec<(Key, Node)>,
}

impl Map {
    pub(crate) fn new(entries: Vec<(Key, Node)>) -> Self {
        Self { entries }
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|(_, node)| node)
    }

    /// A key with its place, and its value.
    pub fn entry(&self, key: &str) -> Option<(&Key, &Node)> {
        self.iter().find(|(candidate, _)| candidate.text == key)
    }

    /// The keys in the order of the file.
    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        self.entries.iter().map(|(key, _)| key)
    }

    /// Keys and values in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = (&Key, &Node)> {
        self.entries.iter().map(|(key, node)| (key, node))
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut Node> {
        self.entries.iter_mut().map(|(_, node)| node)
    }
}

impl Node {
    /// A map with this alone in it: what a value stands for where a single one may be written in place of a map.
    #[must_use]
    pub fn under(&self, key: &str) -> Self {
        let key = Key { text: key.to_owned(), span: self.span.clone() };
        let value = Value::Map(Map::new(vec![(key, self.clone())]));
        Self { span: self.span.clone(), value }
    }

    /// The scalar, if it is one.
    pub fn as_scalar(&self) -> Option<&Scalar> {
        match &self.value {
            Value::Scalar(scalar) => Some(scalar),
            Value::Null | Value::List(_) | Value::Map(_) => None,
        }
    }

    /// The elements, if it is a list.
    pub fn as_list(&self) -> Option<&[Node]> {
        match &self.value {
            Value::List(nodes) => Some(nodes),
            Value::Null | Value::Scalar(_) | Value::Map(_) => None,
        }
    }

    /// The map, if it is one.
    pub fn as_map(&self) -> Option<&Map> {
        match &self.value {
            Value::Map(map) => Some(map),
            Value::Null | Value::Scalar(_) | Value::List(_) => None,
        }
    }

    /// Whether nothing was written.
    pub fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    /// The place in the file of some characters of a scalar's text (counted from 0, `end_char` not included), so that
    /// an error inside an expression points into the file.
    ///
    /// Exact for every way of writing a scalar, blocks of several lines included. Where a text can't be laid over
    /// its file (a variable was put in, or it is no scalar), the whole node is the answer.
    pub fn sub_span(&self, start_char: usize, end_char: usize) -> Span {
        self.exact_sub_span(start_char, end_char).unwrap_or_else(|| self.span.clone())
    }

    /// As [`Node::sub_span`], for byte offsets into the scalar's text.
    pub fn sub_span_of_bytes(&self, start: usize, end: usize) -> Span {
        let Some(scalar) = self.as_scalar() else { return self.span.clone() };
        let chars_before =
            |offset| scalar.text.char_indices().take_while(|(index, _)| *index < offset).count();
        self.sub_span(chars_before(start), chars_before(end))
    }

    fn exact_sub_span(&self, start_char: usize, end_char: usize) -> Option<Span> {
        let scalar = self.as_scalar().filter(|scalar| !scalar.substituted)?;
        let positions = char_positions(self.span.text(), &scalar.text, scalar.style)?;
        let base = self.span.start();
        let file = self.span.file();
        let after_last = positions.last().map(|(_, end)| *end)?;
        let start = positions.get(start_char).map_or(after_last, |(start, _)| *start);
        let last = end_char.checked_sub(1).and_then(|index| positions.get(index.max(start_char)));
        let end = match last {
            Some((_, end)) if end_char > start_char => *end,
            _ if end_char > start_char => after_last,
            _ => start,
        };
        Some(Span::new(file, base + start, base + end.max(start)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_substituted_text_is_not_printed() {
        let mut scalar = Scalar::new("${A}".to_owned(), ScalarStyle::Plain);
        assert_eq!(format!("{scalar:?}"), "\"${A}\"");
        scalar.substitute("hidden".to_owned());
        assert_eq!(format!("{scalar:?}"), "[redacted]");
    }
}
