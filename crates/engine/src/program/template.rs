//! Texts with places to fill in: `"{PID-5.1}, {PID-5.2|upper}"`.
//!
//! Between braces stands an operand of the [expression language](super::expression), then, if
//! wanted, functions after `|`: `{PID-3.1|pad(10, "0")}`. `{now}` is the time in the channel's
//! time zone as HL7 writes it, `{now("yyyy-MM-dd")}` by a pattern, `{control_id}` a new control
//! id. What has no value becomes nothing. `{{` and `}}` are the braces themselves.

use std::borrow::Cow;

use jiff::tz::TimeZone;

use super::SyntaxError;
use super::date::parts_of;
use super::date_pattern::DatePattern;
use super::expression::Operand;
use super::grammar::placeholder;
use super::reference::Scope;
use super::view::View;
use crate::effects::Effects;

/// A compiled text.
#[derive(Debug, Clone)]
pub(super) struct Template {
    pieces: Vec<Piece>,
}

/// A part of a text.
#[derive(Debug, Clone)]
pub(super) enum Piece {
    Text(Box<str>),
    Operand(Operand),
    Now(DatePattern, Option<TimeZone>),
    ControlId,
}

impl Template {
    /// Reads a template. Times are written in `time_zone`, or in UTC with its offset.
    pub(super) fn parse(
        text: &str,
        scope: &Scope,
        time_zone: Option<&TimeZone>,
    ) -> Result<Self, SyntaxError> {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut at = 0;
        while let Some(character) = text.get(at..).and_then(|rest| rest.chars().next()) {
            let doubled =
                text.get(at..).is_some_and(|rest| rest.starts_with("{{") || rest.starts_with("}}"));
            match character {
                '{' | '}' if doubled => {
                    literal.push(character);
                    at += 2;
                }
                '{' => {
                    if !literal.is_empty() {
                        pieces.push(Piece::Text(std::mem::take(&mut literal).into()));
                    }
                    let inside = text.get(at + 1..).unwrap_or("");
                    let Some(length) = closing_brace(inside) else {
                        return Err(SyntaxError::new(at..at + 1, "this `{` is never closed")
                            .help("write `}` after the path; `{{` is the brace itself"));
                    };
                    let inside = inside.get(..length).unwrap_or("");
                    let piece = piece(inside, scope, time_zone).map_err(|e| e.moved(at + 1))?;
                    pieces.push(piece);
                    at += length + 2;
                }
                '}' => {
                    return Err(SyntaxError::new(at..at + 1, "this `}` closes nothing")
                        .help("`}}` is the brace itself"));
                }
                character => {
                    literal.push(character);
                    at += character.len_utf8();
                }
            }
        }
        if !literal.is_empty() {
            pieces.push(Piece::Text(literal.into()));
        }
        Ok(Self { pieces })
    }

    /// Its parts, in order.
    pub(super) fn into_pieces(self) -> Vec<Piece> {
        self.pieces
    }

    /// The text, when nothing is filled in.
    pub(super) fn literal(&self) -> Option<&str> {
        match self.pieces.as_slice() {
            [] => Some(""),
            [Piece::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The text for this message.
    pub(super) fn text<'v>(&'v self, view: &View<'v>, effects: &mut dyn Effects) -> Cow<'v, str> {
        if let [piece] = self.pieces.as_slice() {
            return piece.text(view, effects);
        }
        let mut text = String::new();
        for piece in &self.pieces {
            text.push_str(&piece.text(view, effects));
        }
        Cow::Owned(text)
    }
}

impl Piece {
    pub(super) fn text<'v>(&'v self, view: &View<'v>, effects: &mut dyn Effects) -> Cow<'v, str> {
        match self {
            Self::Text(text) => Cow::Borrowed(text),
            Self::Operand(operand) => view.text(operand).unwrap_or_default(),
            Self::Now(pattern, time_zone) => {
                let parts = parts_of(effects.now(), time_zone.as_ref());
                Cow::Owned(pattern.write(&parts).unwrap_or_default())
            }
            Self::ControlId => Cow::Owned(effects.control_id()),
        }
    }
}

/// How the time is written where no pattern is given: to the second, as most peers expect.
const NOW: &str = "yyyyMMddHHmmss[Z]";

fn piece(text: &str, scope: &Scope, time_zone: Option<&TimeZone>) -> Result<Piece, SyntaxError> {
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return Err(SyntaxError::new(0..text.len(), "nothing stands between the braces")
            .help("write a path, as in `{PID-5.1}`"));
    }
    if trimmed == "control_id" {
        return Ok(Piece::ControlId);
    }
    if trimmed == "now" {
        return Ok(Piece::Now(DatePattern::parse(NOW)?, time_zone.cloned()));
    }
    let pattern = trimmed.strip_prefix("now(").and_then(|rest| rest.strip_suffix(')'));
    if let Some(quoted) = pattern {
        let start = text.find('(').map_or(0, |at| at + 2);
        let pattern = quoted.trim();
        let unquoted = ['"', '\'']
            .into_iter()
            .find_map(|quote| pattern.strip_prefix(quote)?.strip_suffix(quote));
        let Some(pattern) = unquoted else {
            return Err(SyntaxError::new(0..text.len(), "a pattern stands in quotes")
                .help("write `{now(\"yyyy-MM-dd\")}`"));
        };
        let pattern = DatePattern::parse(pattern).map_err(|error| error.moved(start))?;
        return Ok(Piece::Now(pattern, time_zone.cloned()));
    }
    Ok(Piece::Operand(placeholder(text, scope)?))
}

/// Where the brace closes, quotes passed over.
fn closing_brace(text: &str) -> Option<usize> {
    let mut quote = None;
    let mut escaped = false;
    for (at, character) in text.char_indices() {
        match (quote, character) {
            (Some(_), _) if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(open), character) if open == character => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(character),
            (None, '}') => return Some(at),
            (None, _) => {}
        }
    }
    None
}
