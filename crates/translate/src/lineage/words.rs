//! Names and rules in few bytes: those that translations use are known by their number in a list.
//!
//! The list is part of the form: its lines stand where they stand for ever, and new ones are added at its end. A text that it
//! has not, as of a site's own rows, is written out.

use std::sync::LazyLock;

use hashbrown::HashMap;

/// The most used first, for theirs are the shortest numbers.
static LINES: LazyLock<Vec<&'static str>> =
    LazyLock::new(|| include_str!("words.txt").lines().collect());

static NUMBERS: LazyLock<HashMap<&'static str, u32>> =
    LazyLock::new(|| LINES.iter().copied().zip(0..).collect());

/// The number of a word, from 0.
pub(super) fn number(word: &str) -> Option<u32> {
    NUMBERS.get(word).copied()
}

/// The word of a number.
pub(super) fn word(number: usize) -> Option<&'static str> {
    LINES.get(number).copied()
}

/// The end of a rule's text: the place in the standard that its map is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tail<'t> {
    /// `PID-3` of `segments PID[Patient]`, `CX.1` of `datatypes CX[Identifier]`, `8` of `to_v2 PID(Patient)`.
    Position(Mark, u32),
    /// Any other.
    Text(&'t str),
}

/// What stands before the position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// The map's segment and `-`.
    Dash = 1,
    /// The map's data type and `.`.
    Dot = 2,
    /// Nothing.
    Bare = 3,
}

impl Mark {
    pub(super) fn of(bits: u64) -> Option<Self> {
        [Self::Dash, Self::Dot, Self::Bare].into_iter().find(|mark| *mark as u64 == bits)
    }
}

/// A rule's map and place.
pub(super) fn split(rule: &str) -> (&str, Tail<'_>) {
    let parts = rule.rsplit_once(' ').filter(|(map, _)| !map.is_empty());
    let Some((map, place)) = parts else { return ("", Tail::Text(rule)) };
    let marked =
        |mark, text: &'_ str| position(text).map(|position| Tail::Position(mark, position));
    let tail = match place.strip_prefix(base(map)).filter(|_| !base(map).is_empty()) {
        Some(rest) => match rest.split_at_checked(1) {
            Some(("-", number)) => marked(Mark::Dash, number),
            Some((".", number)) => marked(Mark::Dot, number),
            _ => None,
        },
        None => marked(Mark::Bare, place),
    };
    (map, tail.unwrap_or(Tail::Text(place)))
}

/// The text that [`split`] took apart.
pub(super) fn joined(map: &str, tail: Tail<'_>) -> String {
    match tail {
        Tail::Text(text) if map.is_empty() => text.to_owned(),
        Tail::Text(text) => format!("{map} {text}"),
        Tail::Position(Mark::Dash, position) => format!("{map} {}-{position}", base(map)),
        Tail::Position(Mark::Dot, position) => format!("{map} {}.{position}", base(map)),
        Tail::Position(Mark::Bare, position) => format!("{map} {position}"),
    }
}

/// `PID` of `segments PID[Patient]`
fn base(map: &str) -> &str {
    let name = map.rsplit_once(' ').map_or(map, |(_, name)| name);
    name.split(['[', '(']).next().unwrap_or_default()
}

/// A position as it is written: without zeroes before it.
fn position(text: &str) -> Option<u32> {
    let position = text.parse::<u32>().ok()?;
    (text.bytes().all(|byte| byte.is_ascii_digit()) && (!text.starts_with('0') || text == "0"))
        .then_some(position)
}
