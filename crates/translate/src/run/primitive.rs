//! Values of one place as primitives of FHIR.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pipehat_resource::definitions::Primitive;

use super::Run;
use super::tree::Leaf;
use super::view::Part;
use crate::finding::FindingKind;
use crate::plan::PrimitiveRule;
use crate::value::{
    Doubt, Moment, code_system, date, date_time, decimal, instant, time_of_day, whole,
};

impl<'a> Run<'a> {
    /// The URI of a coding system that a component names.
    pub(super) fn system_of(&mut self, part: &Part<'a>) -> Option<String> {
        let name = self.first_text(part);
        let found = code_system(&name, self.plan, self.settings);
        match found {
            Some(uri) => {
                self.consumed.take(part.first().raw);
                Some(uri)
            }
            None => {
                self.consumed.take(part.first().raw);
                self.find(FindingKind::SystemUnknown, part, "the coding system has no known URI");
                None
            }
        }
    }

    /// A primitive value; a finding where the type can't carry it.
    pub(super) fn primitive(&mut self, rule: &PrimitiveRule, part: &Part<'a>) -> Option<Leaf<'a>> {
        let first = part.first();
        if rule.is_code_system {
            return self.system_of(part).map(|uri| Leaf::Text(Cow::Owned(uri)));
        }
        if let Some(vocabulary) = rule.vocabulary {
            return self.translated(rule, vocabulary, part);
        }
        let unfit = match rule.primitive {
            Primitive::String | Primitive::Markdown | Primitive::Xhtml => {
                let raw = if rule.is_whole { part.raw } else { first.raw };
                let text = self.text(raw, rule.is_formatted);
                if rule.primitive == Primitive::Xhtml || is_blank(&text) {
                    "the element takes no such text"
                } else {
                    self.consumed.take_all(raw);
                    return Some(Leaf::Text(text));
                }
            }
            Primitive::Boolean => match &*self.first_text(&first) {
                "Y" | "true" => return self.took(&first, Leaf::Bool(true)),
                "N" | "false" => return self.took(&first, Leaf::Bool(false)),
                _ => "neither yes nor no",
            },
            Primitive::Date => match date(first.raw) {
                Some(text) => return self.took(&first, Leaf::Text(Cow::Owned(text))),
                None => "not a date",
            },
            Primitive::DateTime | Primitive::Instant => {
                let moment = match rule.primitive {
                    Primitive::Instant => instant(first.raw, self.clock),
                    _ => date_time(first.raw, self.clock),
                };
                match moment {
                    Moment::Known(text) => return self.took(&first, Leaf::Text(Cow::Owned(text))),
                    Moment::Cut(text, doubt) => {
                        let (kind, words) = doubtful(doubt, Left::Date);
                        self.find(kind, &first, words);
                        return self.took(&first, Leaf::Text(Cow::Owned(text)));
                    }
                    Moment::Doubtful(doubt) => {
                        let (kind, words) = doubtful(doubt, Left::Nothing);
                        self.find(kind, &first, words);
                        self.consumed.take(first.raw);
                        return None;
                    }
                    Moment::Unfit => "not a date and time",
                }
            }
            Primitive::Time => match time_of_day(first.raw) {
                Some(text) => {
                    if first.raw.iter().any(|byte| matches!(byte, b'+' | b'-')) {
                        let text = "the offset of a time of day is left out: R4's time has none";
                        self.find(FindingKind::ValueUnfit, &first, text);
                    }
                    return self.took(&first, Leaf::Text(Cow::Owned(text)));
                }
                None => "not a time of day",
            },
            Primitive::Decimal => {
                let digits = self.first_text(&first);
                match borrowed(&digits, decimal) {
                    Some(digits) => return self.took(&first, Leaf::Number(Cow::Owned(digits))),
                    None => "not a number",
                }
            }
            Primitive::Integer | Primitive::UnsignedInt | Primitive::PositiveInt => {
                let least = match rule.primitive {
                    Primitive::Integer => i32::MIN,
                    Primitive::UnsignedInt => 0,
                    _ => 1,
                };
                match whole(&self.first_text(&first), least) {
                    Some(digits) => return self.took(&first, Leaf::Number(digits)),
                    None => "not a whole number that the element takes",
                }
            }
            Primitive::Code => {
                let text = self.first_text(&first);
                if rule.codes.is_some_and(|codes| codes.system_of(&text).is_none()) {
                    "not a code that FHIR takes here"
                } else if is_code(&text) {
                    return self.took(&first, Leaf::Text(text));
                } else {
                    "not a code"
                }
            }
            Primitive::Uri
            | Primitive::Url
            | Primitive::Canonical
            | Primitive::Oid
            | Primitive::Uuid => {
                let text = self.first_text(&first);
                if !text.is_empty() && !text.contains(char::is_whitespace) {
                    return self.took(&first, Leaf::Text(text));
                }
                "not a URI"
            }
            Primitive::Base64Binary => {
                let raw = if rule.is_whole { part.raw } else { first.raw };
                let text = self.text(raw, rule.is_formatted);
                self.consumed.take_all(raw);
                return Some(Leaf::Text(Cow::Owned(STANDARD.encode(text.as_bytes()))));
            }
            Primitive::Id => {
                let text = self.first_text(&first);
                let is_part =
                    |sign: u8| sign.is_ascii_alphanumeric() || matches!(sign, b'-' | b'.');
                if (1..=64).contains(&text.len()) && text.bytes().all(is_part) {
                    return self.took(&first, Leaf::Text(text));
                }
                "not an id"
            }
        };
        self.consumed.take(first.raw);
        self.find(FindingKind::ValueUnfit, &first, unfit);
        None
    }

    fn took(&mut self, part: &Part<'a>, leaf: Leaf<'a>) -> Option<Leaf<'a>> {
        self.consumed.take(part.raw);
        Some(leaf)
    }
}

/// What is left of a time of day that is no instant.
#[derive(Clone, Copy)]
enum Left {
    Date,
    Nothing,
}

/// What is told of a time of day that is no instant.
fn doubtful(doubt: Doubt, left: Left) -> (FindingKind, &'static str) {
    match (doubt, left) {
        (Doubt::ZoneMissing, Left::Date) => {
            (FindingKind::ZoneMissing, "no time zone: only the date is kept")
        }
        (Doubt::ZoneMissing, Left::Nothing) => (FindingKind::ZoneMissing, "no time zone: left out"),
        (Doubt::Skipped, Left::Date) => (
            FindingKind::ValueUnfit,
            "the time zone has no such time, for its clocks went forward: only the date is kept",
        ),
        (Doubt::Skipped, Left::Nothing) => (
            FindingKind::ValueUnfit,
            "the time zone has no such time, for its clocks went forward: left out",
        ),
        (Doubt::Twice, Left::Date) => (
            FindingKind::ZoneMissing,
            "no offset, and the time zone has this time twice, for its clocks went back: only the date is kept",
        ),
        (Doubt::Twice, Left::Nothing) => (
            FindingKind::ZoneMissing,
            "no offset, and the time zone has this time twice, for its clocks went back: left out",
        ),
    }
}

/// `decimal` of a text that is dropped.
fn borrowed(text: &str, convert: impl Fn(&str) -> Option<Cow<'_, str>>) -> Option<String> {
    convert(text).map(Cow::into_owned)
}

/// Whether nothing but white space stands in a text. Most have something else in front.
fn is_blank(text: &str) -> bool {
    !text.as_bytes().first().is_some_and(u8::is_ascii_graphic) && text.trim().is_empty()
}

/// `[^\s]+(\s[^\s]+)*`
pub(super) fn is_code(text: &str) -> bool {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return true;
    }
    !text.is_empty() && text.trim() == text && !text.split(char::is_whitespace).any(str::is_empty)
}
