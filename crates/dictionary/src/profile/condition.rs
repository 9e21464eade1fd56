//! Conditions of a profile: a part of the language of channels, with the same meaning.
//!
//! ```text
//! expression = all { "or" all }             all = one { "and" one }
//! one        = "not" one | "(" expression ")" | "true" | "false" | subject test
//! subject    = path | ( "any" | "all" | "count" ) "(" path ")"
//! test       = ( "=" | "!=" | "<" | "<=" | ">" | ">=" ) value
//!            | [ "not" ] "in" "[" value { "," value } "]"
//!            | [ "not" ] "exists" | [ "is" ] [ "not" ] ( "empty" | "null" )
//!            | "matches" text | "contains" text | ( "starts" | "ends" ) "with" text
//! value      = text | number | path
//! ```
//!
//! There are no functions but `count`, and no facts of the connection: a profile speaks of the message alone. A path to
//! the segment that is looked at means that very one, as inside `each`; a path to another segment means the nearest one
//! before it, or the first of the message where none is before it. A path with a number, as in `OBX(2)-5`, means what it
//! says. Text is compared byte by byte, after escape sequences are read.

use std::borrow::Cow;
use std::num::NonZeroU16;
use std::ops::Range;

use pipehat_message::{Message, Occurrence, Path, Segment, SegmentName, Value};
use regex::bytes::{Regex, RegexBuilder};

use super::decimal::compare_numbers;

mod grammar;

/// A condition on a message, and on one of its segments.
#[derive(Debug, Clone)]
pub struct Condition {
    text: Box<str>,
    expression: Expression,
}

/// A condition that can't be read: what, where in the text (in bytes), and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ConditionError {
    /// Where in the text.
    pub at: Range<usize>,
    /// What is wrong, in a sentence without a full stop.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
}

/// How much memory a compiled pattern may take: above any pattern a person writes.
const PATTERN_BYTES_MAX: usize = 1 << 20;

#[derive(Debug, Clone)]
enum Expression {
    Constant(bool),
    And(Vec<Expression>),
    Or(Vec<Expression>),
    Not(Box<Expression>),
    Test { subject: Subject, test: Test },
}

#[derive(Debug, Clone)]
enum Subject {
    First(Reference),
    Any(Reference),
    All(Reference),
    Count(Reference),
}

/// A path, and whether its segment and its repetition are numbered.
#[derive(Debug, Clone)]
struct Reference {
    path: Path,
    numbered: bool,
    repetition: bool,
}

#[derive(Debug, Clone)]
enum Operand {
    Text(Box<[u8]>),
    Number(Box<[u8]>),
    Path(Reference),
}

#[derive(Debug, Clone)]
enum Test {
    Exists,
    Empty,
    Null,
    Compare(Comparison, Operand),
    In { list: Vec<Operand>, negated: bool },
    Matches(Regex),
    Contains(Box<[u8]>),
    StartsWith(Box<[u8]>),
    EndsWith(Box<[u8]>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// Compiles a pattern within its limit.
pub(super) fn pattern(text: &str) -> Result<Regex, String> {
    let built = RegexBuilder::new(text)
        .size_limit(PATTERN_BYTES_MAX)
        .dfa_size_limit(PATTERN_BYTES_MAX)
        .build();
    built.map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => "this pattern is too large".to_owned(),
        error => {
            let reason = error.to_string();
            let reason = reason.lines().last().unwrap_or("");
            let reason = reason.strip_prefix("error: ").unwrap_or(reason);
            format!("this pattern can't be read: {reason}")
        }
    })
}

impl Condition {
    /// Reads a condition.
    ///
    /// # Errors
    /// Where it can't be read, and why.
    pub fn parse(text: &str) -> Result<Self, ConditionError> {
        Ok(Self { text: text.trim().into(), expression: grammar::expression(text)? })
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The segment its first path names.
    pub(super) fn subject(&self) -> Option<SegmentName> {
        self.expression.first_segment()
    }

    /// Whether it holds for the segment with this index, or for the message where there is none.
    pub fn holds(&self, message: &Message<'_>, segment: Option<usize>) -> bool {
        self.expression.holds(&View { message, segment })
    }
}

struct View<'v, 'm> {
    message: &'v Message<'m>,
    segment: Option<usize>,
}

impl<'v> View<'v, '_> {
    /// The segment a path without a number means.
    fn meant(&self, name: SegmentName) -> Option<Segment<'v>> {
        let current = self.segment?;
        let named = |segment: &Segment<'_>| segment.segment_name() == Some(name);
        let before = (0..=current).rev().filter_map(|index| self.message.segment_at(index));
        before.into_iter().find(named)
    }

    fn first(&self, reference: &Reference) -> Option<Value<'v>> {
        if !reference.numbered
            && let Some(segment) = self.meant(reference.path.segment())
        {
            return part(segment, &reference.path);
        }
        self.message.get(&reference.path)
    }
}

/// What a path names within a segment.
fn part<'m>(segment: Segment<'m>, path: &Path) -> Option<Value<'m>> {
    let Some(field) = path.field() else { return Some(segment.value()) };
    let field = segment.field(usize::from(field.get()))?;
    if path.repetition().is_none() && path.component().is_none() {
        return Some(field);
    }
    let index = match path.repetition() {
        Some(Occurrence::At(number)) => number.get() as usize - 1,
        Some(Occurrence::Last) => field.repetitions().count().saturating_sub(1),
        None | Some(Occurrence::All | Occurrence::Next) => 0,
    };
    let repetition = field.repetitions().nth(index)?;
    let nth = |position: NonZeroU16| usize::from(position.get()) - 1;
    let Some(component) = path.component() else { return Some(repetition) };
    let component = repetition.components().nth(nth(component))?;
    let Some(subcomponent) = path.subcomponent() else { return Some(component) };
    component.subcomponents().nth(nth(subcomponent))
}

/// A value's text: none where it is absent, empty or `""`.
fn text<'m>(value: Value<'m>) -> Option<Cow<'m, [u8]>> {
    Some(value).filter(|value| !value.is_empty() && !value.is_null()).map(|value| value.decoded())
}

impl Expression {
    fn holds(&self, view: &View<'_, '_>) -> bool {
        match self {
            Self::Constant(constant) => *constant,
            Self::And(all) => all.iter().all(|expression| expression.holds(view)),
            Self::Or(any) => any.iter().any(|expression| expression.holds(view)),
            Self::Not(expression) => !expression.holds(view),
            Self::Test { subject, test } => test.holds(subject, view),
        }
    }

    fn first_segment(&self) -> Option<SegmentName> {
        match self {
            Self::Constant(_) => None,
            Self::And(several) | Self::Or(several) => several.iter().find_map(Self::first_segment),
            Self::Not(expression) => expression.first_segment(),
            Self::Test { subject: Subject::First(reference), .. } if !reference.numbered => {
                Some(reference.path.segment())
            }
            Self::Test { .. } => None,
        }
    }
}

impl Test {
    fn holds(&self, subject: &Subject, view: &View<'_, '_>) -> bool {
        match subject {
            Subject::First(reference) => self.of(view.first(reference), view),
            Subject::Any(reference) => {
                view.message.values(&reference.path).any(|value| self.of(Some(value), view))
            }
            Subject::All(reference) => {
                let mut values = view.message.values(&reference.path).peekable();
                values.peek().is_some() && values.all(|value| self.of(Some(value), view))
            }
            Subject::Count(reference) => {
                let count = view.message.values(&reference.path).count().to_string();
                self.of_text(count.as_bytes(), true, view)
            }
        }
    }

    fn of(&self, value: Option<Value<'_>>, view: &View<'_, '_>) -> bool {
        let filled = value.filter(|value| !value.is_empty());
        match self {
            Self::Exists => filled.is_some_and(|value| !value.is_null()),
            Self::Empty => filled.is_none(),
            Self::Null => filled.is_some_and(|value| value.is_null()),
            _ => filled.and_then(text).is_some_and(|text| self.of_text(&text, false, view)),
        }
    }

    fn of_text(&self, value: &[u8], is_number: bool, view: &View<'_, '_>) -> bool {
        match self {
            Self::Exists => true,
            Self::Empty | Self::Null => false,
            Self::Compare(comparison, operand) => operand.text(view).is_some_and(|other| {
                comparison.holds(value, &other, is_number || operand.is_number())
            }),
            Self::In { list, negated } => {
                let found = list.iter().any(|operand| {
                    operand.text(view).is_some_and(|other| {
                        Comparison::Equal.holds(value, &other, is_number || operand.is_number())
                    })
                });
                found != *negated
            }
            Self::Matches(regex) => regex.is_match(value),
            Self::Contains(other) => {
                value.windows(other.len().max(1)).any(|window| window == &**other)
            }
            Self::StartsWith(other) => value.starts_with(other),
            Self::EndsWith(other) => value.ends_with(other),
        }
    }
}

impl Operand {
    fn is_number(&self) -> bool {
        matches!(self, Self::Number(_))
    }

    fn text<'o>(&'o self, view: &View<'o, '_>) -> Option<Cow<'o, [u8]>> {
        match self {
            Self::Text(text) | Self::Number(text) => Some(Cow::Borrowed(text)),
            Self::Path(reference) => view.first(reference).and_then(text),
        }
    }
}

impl Comparison {
    /// `numbers`: one side is a number as such, so that equality is that of numbers, too.
    fn holds(self, left: &[u8], right: &[u8], numbers: bool) -> bool {
        let by_number = numbers || !matches!(self, Self::Equal | Self::NotEqual);
        let as_numbers = by_number.then(|| compare_numbers(left, right)).flatten();
        let ordering = as_numbers.unwrap_or_else(|| left.cmp(right));
        match self {
            Self::Equal => ordering.is_eq(),
            Self::NotEqual => ordering.is_ne(),
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
            Self::Greater => ordering.is_gt(),
            Self::GreaterOrEqual => ordering.is_ge(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: &[u8] =
        b"MSH|^~\\&|A|B\rPID|1||1^^^X~2^^^Y\rOBR|1||007|GLU\rOBX|1|NM|a||7.50|mmol/l\r\
        OBR|2||8|\"\"\rOBX|2|ST|b||x\r";

    #[track_caller]
    fn check(condition: &str, segment: Option<usize>, expected: bool) {
        let message = Message::parse(MESSAGE).expect("a message");
        let condition = Condition::parse(condition).expect("a condition");
        assert_eq!(condition.holds(&message, segment), expected, "{}", condition.text());
    }

    #[test]
    fn a_path_means_the_segment_that_is_looked_at() {
        check("OBX-2 = \"NM\"", Some(3), true);
        check("OBX-2 = \"NM\"", Some(5), false);
        check("OBX-2 = 'NM'", None, true);
        check("OBR-3 = \"8\"", Some(5), true);
        check("OBR-3 = \"007\"", Some(3), true);
        check("OBR(1)-3 = \"007\"", Some(5), true);
        check("OBR-4 is null", Some(5), true);
        check("OBX-1 = 1", Some(2), true);
    }

    #[test]
    fn the_language_is_that_of_channels() {
        check("OBX-5 > 7 and OBX-5 < 7.51", Some(3), true);
        check("OBR-3 = 7", Some(3), true);
        check("OBR-3 = \"7\"", Some(3), false);
        check("PID-3.4 in [\"X\", \"Z\"]", None, true);
        check("PID-3.4 not in [\"X\", \"Z\"]", None, false);
        check("PID-40 not in [\"X\"]", None, false);
        check("any(PID-3[*].4) = \"Y\"", None, true);
        check("all(PID-3[*].4) = \"Y\"", None, false);
        check("count(OBX) = 2", None, true);
        check("not (ZPI exists) and PID exists", None, true);
        check("ZPI not exists or false", None, true);
        check(
            "OBX-6 starts with \"mm\" and OBX-6 ends with \"/l\" and OBX-6 contains \"ol\"",
            Some(3),
            true,
        );
        check("OBX-6 matches \"^[a-z/]+$\"", Some(3), true);
        check("OBX-7 is not empty", Some(3), false);
        check("OBX-7 empty", Some(3), true);
        check("OBX-1 = OBR-1", Some(3), true);
    }

    #[test]
    fn slips_are_told_with_their_place() {
        let check = |text: &str, expected: &str, at: Range<usize>| {
            let error = Condition::parse(text).expect_err(text);
            assert!(error.message.contains(expected), "{text}: {}", error.message);
            assert_eq!(error.at, at, "{text}: {}", error.message);
        };
        check("OBX-2", "alone is no condition", 0..5);
        check("OBX-2 == \"NM\"", "`==`", 6..8);
        check("OBX-2 = \"NM", "no closing quote", 8..11);
        check("OBX-2 = \"NM\" adn OBX-3 exists", "expected `and`, `or` or the end", 13..16);
        check("(OBX-2 exists", "never closed", 0..1);
        check("upper(OBX-2) = \"A\"", "`upper`", 0..5);
        check("OBX.2 = \"A\"", "", 0..5);
        check("OBX-2 in []", "empty", 9..11);
        check("OBX-2 matches \"(\"", "pattern", 14..17);
        check("", "expected a path", 0..0);
        check(&"(".repeat(100), "nested too deep", 32..33);
    }
}
