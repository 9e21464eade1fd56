//! Conditions of the tables: `IF OBX-2 EQUALS "NM" AND OBX-5 LST.COUNT GREATER THAN 1`.
//!
//! The published grammar (guidelines, "ANTLR Condition Syntax") does not accept what the tables hold; this reader does:
//! `IS`, `=`, `NOT VALUED` of several fields at once, a subject said only once, quotes that are not closed. What it
//! can't read it refuses, and the row is listed.

mod lexer;
mod parser;

use std::fmt;

pub(crate) use parser::parse_condition;

/// A place that a condition or an expression names: `PID-3.1`, `ORC`, `HD.3`, or nothing for the row's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct FieldRef {
    /// The segment or data type; `None`: the row's own place.
    pub(crate) name: Option<Name>,
    /// Whether a dash follows the name: a field. Of a component (`HD.3`) it does not, but the tables mix them.
    pub(crate) dashed: bool,
    /// The numbers behind the name, 0 where there is none.
    pub(crate) numbers: [u16; 3],
}

/// The name of a segment or data type, up to three bytes, padded with spaces.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Name(pub(crate) [u8; 3]);

impl Name {
    /// A name of two or three capital letters and digits.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let first = bytes.first()?;
        if !(2..=3).contains(&bytes.len())
            || !first.is_ascii_uppercase()
            || !bytes.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
        {
            return None;
        }
        let mut name = [b' '; 3];
        name.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        Some(Self(name))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(std::str::from_utf8(&self.0).unwrap_or("???").trim_end())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl FieldRef {
    /// The row's own place.
    pub(crate) const OWN: Self = Self { name: None, dashed: false, numbers: [0; 3] };

    /// Reads `PID-3.1`, `HD.3` or `ORC`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let end = text.find(['-', '.']).unwrap_or(text.len());
        let (name, rest) = text.split_at_checked(end)?;
        let name = Name::parse(name)?;
        let mut numbers = [0; 3];
        let mut places = numbers.iter_mut();
        let dashed = rest.starts_with('-');
        for number in rest.split(['-', '.']).skip(1) {
            *places.next()? = number.parse().ok().filter(|number| *number > 0)?;
        }
        Some(Self { name: Some(name), dashed, numbers })
    }
}

/// A condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Condition {
    /// Something stands there.
    Valued(FieldRef),
    /// It is a number (NM).
    Numeric(FieldRef),
    /// It is a comparator and a number: `<5`.
    Compared(FieldRef),
    /// It is a date, with or without a time (DT, DTM, TS).
    Date(FieldRef),
    /// It is a time of day (TM).
    Time(FieldRef),
    /// It is one of these texts.
    In(FieldRef, Vec<Box<str>>),
    /// Both places say the same.
    Same(FieldRef, FieldRef),
    /// The first is a later time than the second, as far as both tell.
    After(FieldRef, FieldRef),
    /// How often it repeats.
    Count(FieldRef, Comparison, u32),
    /// How many bytes it has.
    Length(FieldRef, Comparison, u32),
    /// Not so.
    Not(Box<Condition>),
    /// All of them.
    And(Vec<Condition>),
    /// One of them.
    Or(Vec<Condition>),
}

/// How two numbers compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

impl Comparison {
    /// Whether `left` is so to `right`.
    pub(crate) fn holds(self, left: u32, right: u32) -> bool {
        match self {
            Self::Equal => left == right,
            Self::Greater => left > right,
            Self::GreaterOrEqual => left >= right,
            Self::Less => left < right,
            Self::LessOrEqual => left <= right,
        }
    }
}

impl Condition {
    /// Whether it can hold while the place is empty because it asks for that.
    pub(crate) fn wants_absence(&self, of: FieldRef, within_not: bool) -> bool {
        match self {
            Self::Valued(place) => {
                within_not
                    && (*place == FieldRef::OWN
                        || (place.name == of.name && place.numbers == of.numbers))
            }
            Self::Not(inner) => inner.wants_absence(of, !within_not),
            Self::And(parts) | Self::Or(parts) => {
                parts.iter().any(|part| part.wants_absence(of, within_not))
            }
            _ => false,
        }
    }
}
