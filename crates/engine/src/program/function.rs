//! The functions of expressions and templates.
//!
//! | function | gives |
//! | --- | --- |
//! | `upper(x)` `lower(x)` `trim(x)` | the text in capitals, in small letters, without spaces at its ends |
//! | `length(x)` | how many characters it has |
//! | `substring(x, from)` `substring(x, from, count)` | the characters from position `from` (1 is the first) |
//! | `first(x, n)` `last(x, n)` | the first or last `n` characters |
//! | `before(x, "y")` `after(x, "y")` | what stands before or after the first `y`; all of it, or no value, without one |
//! | `replace(x, "y", "z")` | every `y` replaced by `z` |
//! | `digits(x)` | its digits |
//! | `pad(x, n, "0")` | filled up to `n` characters on the left |
//! | `default(x, y)` | `y` where `x` has no value |
//!
//! Of no value every function but `default` gives no value. In a template `{x|f(y)}` is
//! `f(x, y)`.

use std::borrow::Cow;

use super::expression::Operand;
use super::view::View;

/// A function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Upper,
    Lower,
    Trim,
    Length,
    Substring,
    First,
    Last,
    Before,
    After,
    Replace,
    Digits,
    Pad,
    Default,
}

/// What a function takes beside the value: in words, and whether it is a number or a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parameter {
    /// A whole number, written out.
    Number,
    /// Any operand.
    Value,
}

/// The most characters `pad` fills up to.
pub(super) const PAD_CHARS_MAX: usize = 1000;

impl Function {
    /// Every function and its name.
    pub(super) const ALL: [(&'static str, Self); 13] = [
        ("upper", Self::Upper),
        ("lower", Self::Lower),
        ("trim", Self::Trim),
        ("length", Self::Length),
        ("substring", Self::Substring),
        ("first", Self::First),
        ("last", Self::Last),
        ("before", Self::Before),
        ("after", Self::After),
        ("replace", Self::Replace),
        ("digits", Self::Digits),
        ("pad", Self::Pad),
        ("default", Self::Default),
    ];

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(own, _)| *own == name).map(|(_, function)| *function)
    }

    /// The parameters after the value, and how many of them may be left out.
    pub(super) const fn parameters(self) -> (&'static [Parameter], usize) {
        match self {
            Self::Upper | Self::Lower | Self::Trim | Self::Length | Self::Digits => (&[], 0),
            Self::Substring => (&[Parameter::Number, Parameter::Number], 1),
            Self::First | Self::Last => (&[Parameter::Number], 0),
            Self::Before | Self::After | Self::Default => (&[Parameter::Value], 0),
            Self::Replace => (&[Parameter::Value, Parameter::Value], 0),
            Self::Pad => (&[Parameter::Number, Parameter::Value], 1),
        }
    }

    /// Its use, to show in an error.
    pub(super) const fn usage(self) -> &'static str {
        match self {
            Self::Upper => "upper(PID-5.1)",
            Self::Lower => "lower(PID-5.1)",
            Self::Trim => "trim(PID-5.1)",
            Self::Length => "length(PID-3.1)",
            Self::Substring => "substring(PID-3.1, 2, 5)",
            Self::First => "first(PID-3.1, 3)",
            Self::Last => "last(PID-3.1, 4)",
            Self::Before => "before(PID-3.1, \"-\")",
            Self::After => "after(PID-3.1, \"-\")",
            Self::Replace => "replace(PID-3.1, \"-\", \"\")",
            Self::Digits => "digits(PID-13.1)",
            Self::Pad => "pad(PID-3.1, 10, \"0\")",
            Self::Default => "default(PID-8, \"U\")",
        }
    }

    pub(super) fn call<'v>(
        self,
        arguments: &'v [Operand],
        view: &View<'v>,
    ) -> Option<Cow<'v, str>> {
        let argument = |index: usize| arguments.get(index);
        let text = |index: usize| argument(index).and_then(|operand| view.text(operand));
        let number = |index: usize| match argument(index) {
            Some(Operand::Number(number)) => number.parse::<usize>().ok(),
            _ => None,
        };
        let Some(value) = text(0) else {
            return if self == Self::Default { text(1) } else { None };
        };
        let result = match self {
            Self::Default => value,
            Self::Upper => {
                changed(value, |c| c.is_uppercase() || !c.is_alphabetic(), |v| v.to_uppercase())
            }
            Self::Lower => {
                changed(value, |c| c.is_lowercase() || !c.is_alphabetic(), |v| v.to_lowercase())
            }
            Self::Trim => part(value, |value| value.trim()),
            Self::Length => Cow::Owned(value.chars().count().to_string()),
            Self::Substring => {
                let skipped = number(1)?.saturating_sub(1);
                let count = number(2).unwrap_or(usize::MAX);
                part(value, |value| characters(value, skipped, count))
            }
            Self::First => {
                let count = number(1)?;
                part(value, |value| characters(value, 0, count))
            }
            Self::Last => {
                let skipped = value.chars().count().saturating_sub(number(1)?);
                part(value, |value| characters(value, skipped, usize::MAX))
            }
            Self::Before => {
                let mark = text(1)?;
                part(value, |value| value.split_once(&*mark).map_or(value, |(before, _)| before))
            }
            Self::After => {
                let mark = text(1)?;
                part(value, |value| value.split_once(&*mark).map_or("", |(_, after)| after))
            }
            Self::Replace => {
                let mark = text(1)?;
                let other = text(2).unwrap_or_default();
                if value.contains(&*mark) {
                    Cow::Owned(value.replace(&*mark, &other))
                } else {
                    value
                }
            }
            Self::Digits => changed(
                value,
                |c| c.is_ascii_digit(),
                |value| value.chars().filter(char::is_ascii_digit).collect(),
            ),
            Self::Pad => {
                let missing = number(1)?.min(PAD_CHARS_MAX).saturating_sub(value.chars().count());
                let filler = text(2).and_then(|text| text.chars().next()).unwrap_or(' ');
                if missing == 0 {
                    value
                } else {
                    Cow::Owned(std::iter::repeat_n(filler, missing).chain(value.chars()).collect())
                }
            }
        };
        // An empty text is no value, as in a message.
        (!result.is_empty()).then_some(result)
    }
}

/// Keeps the text borrowed where nothing in it changes.
fn changed<'v>(
    value: Cow<'v, str>,
    stays: impl Fn(char) -> bool,
    change: impl Fn(&str) -> String,
) -> Cow<'v, str> {
    if value.chars().all(stays) { value } else { Cow::Owned(change(&value)) }
}

/// A part of the text, without copying a borrowed one.
fn part<'v>(value: Cow<'v, str>, choose: impl for<'t> Fn(&'t str) -> &'t str) -> Cow<'v, str> {
    match value {
        Cow::Borrowed(text) => Cow::Borrowed(choose(text)),
        Cow::Owned(text) => Cow::Owned(choose(&text).to_owned()),
    }
}

fn characters(value: &str, skipped: usize, count: usize) -> &str {
    let mut boundaries = value.char_indices().map(|(index, _)| index).chain([value.len()]);
    let Some(start) = boundaries.nth(skipped) else { return "" };
    let end = match count.checked_sub(1) {
        None => start,
        Some(after) => boundaries.nth(after).unwrap_or(value.len()),
    };
    value.get(start..end).unwrap_or("")
}
