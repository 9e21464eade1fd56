//! Strings (N1 §5.6). Positions are in characters, from 0, as the specification counts.

use std::borrow::Cow;

use regex::{Captures, Regex};

use super::super::error::EvaluationProblem;
use super::super::evaluate::{Evaluated, Failure};
use super::super::function::FunctionId;
use super::super::item::{Item, Scalar};
use super::super::parse::{full_pattern, pattern};
use super::{Invocation, boolean, maybe, single};

/// Steps that compiling a pattern counts for: some milliseconds at worst.
const COMPILE_STEPS: usize = 100_000;

pub(super) fn call<'a>(invocation: &Invocation<'_, '_, 'a>, items: &[Item<'a>]) -> Evaluated<'a> {
    use FunctionId as F;

    let id = invocation.call.function.id;
    if id == F::Join {
        return joined(invocation, items);
    }
    let Some(text) = text_of(items)? else { return Ok(Vec::new()) };
    let text = &*text;
    let budget = &invocation.evaluator.budget;
    budget.spend(text.len() / 16)?;
    match id {
        F::Upper => made(invocation, text.to_uppercase()),
        F::Lower => made(invocation, text.to_lowercase()),
        F::Trim => made(invocation, text.trim().to_owned()),
        F::Length => Ok(vec![Item::Integer(count(text))]),
        F::ToChars => {
            budget.spend(text.len())?;
            let characters: Vec<_> =
                text.chars().map(|character| Item::string(character.to_string())).collect();
            budget.hold(&characters)?;
            Ok(characters)
        }
        F::Substring => substring(invocation, text),
        F::Matches | F::MatchesFull => matches(invocation, text),
        F::ReplaceMatches => replace_matches(invocation, text),
        F::Replace => replace(invocation, text),
        _ => {
            let Some(other) = argument(invocation, 0)? else { return Ok(Vec::new()) };
            let other = &*other;
            match id {
                F::IndexOf => Ok(vec![Item::Integer(place(text, text.find(other)))]),
                F::LastIndexOf => Ok(vec![Item::Integer(place(text, text.rfind(other)))]),
                F::StartsWith => Ok(boolean(text.starts_with(other))),
                F::EndsWith => Ok(boolean(text.ends_with(other))),
                F::Contains => Ok(boolean(text.contains(other))),
                _ => {
                    budget.text(text.len())?;
                    let parts: Vec<_> =
                        text.split(other).map(|part| Item::string(part.to_owned())).collect();
                    budget.spend(parts.len())?;
                    budget.hold(&parts)?;
                    Ok(parts)
                }
            }
        }
    }
}

/// The one string of a collection.
fn text_of<'s>(items: &'s [Item<'_>]) -> Result<Option<Cow<'s, str>>, EvaluationProblem> {
    let Some(item) = single(items)? else { return Ok(None) };
    match item.scalar() {
        Some(Scalar::String(text)) => Ok(Some(Cow::Borrowed(text))),
        // An element with extensions only.
        None if matches!(item, Item::Element(_)) && item.json().is_none() => Ok(None),
        _ => Err(EvaluationProblem::WrongType { expected: "a string" }),
    }
}

fn argument(
    invocation: &Invocation<'_, '_, '_>,
    position: usize,
) -> Result<Option<String>, Failure> {
    let items = invocation.argument(position)?;
    let text = text_of(&items)?.map(Cow::into_owned);
    invocation.evaluator.budget.text(text.as_ref().map_or(0, String::len))?;
    Ok(text)
}

fn made<'a>(invocation: &Invocation<'_, '_, 'a>, text: String) -> Evaluated<'a> {
    invocation.evaluator.budget.text(text.len())?;
    Ok(vec![Item::string(text)])
}

fn count(text: &str) -> i64 {
    i64::try_from(text.chars().count()).unwrap_or(i64::MAX)
}

/// The position of a byte, in characters; -1 for none.
fn place(text: &str, byte: Option<usize>) -> i64 {
    byte.and_then(|byte| text.get(..byte)).map_or(-1, count)
}

fn substring<'a>(invocation: &Invocation<'_, '_, 'a>, text: &str) -> Evaluated<'a> {
    let Some(start) = invocation.integer(0)? else { return Ok(Vec::new()) };
    let Some(start) = usize::try_from(start).ok() else { return Ok(Vec::new()) };
    let length = match invocation.integer(1)? {
        None => usize::MAX,
        Some(length) => usize::try_from(length).unwrap_or(0),
    };
    let mut rest = text.chars().skip(start).peekable();
    if rest.peek().is_none() {
        return Ok(Vec::new());
    }
    made(invocation, rest.take(length).collect())
}

fn replace<'a>(invocation: &Invocation<'_, '_, 'a>, text: &str) -> Evaluated<'a> {
    let (Some(wanted), Some(substitute)) = (argument(invocation, 0)?, argument(invocation, 1)?)
    else {
        return Ok(Vec::new());
    };
    // The size is known before anything is made.
    let found = text.matches(&wanted).count();
    let most = text.len().saturating_add(found.saturating_mul(substitute.len()));
    invocation.evaluator.budget.text(most)?;
    Ok(vec![Item::string(text.replace(&wanted, &substitute))])
}

/// The pattern: that of the literal, or one compiled now.
fn compiled<'r>(invocation: &Invocation<'_, '_, 'r>) -> Result<Option<Cow<'r, Regex>>, Failure> {
    if let Some(pattern) = &invocation.call.pattern {
        return Ok(Some(Cow::Borrowed(pattern)));
    }
    let Some(text) = argument(invocation, 0)? else { return Ok(None) };
    invocation.evaluator.budget.spend(COMPILE_STEPS)?;
    let is_full = invocation.call.function.id == FunctionId::MatchesFull;
    let compiled = if is_full { full_pattern(&text) } else { pattern(&text) };
    compiled.map(Cow::Owned).map(Some).ok_or_else(|| EvaluationProblem::Pattern.into())
}

fn matches<'a>(invocation: &Invocation<'_, '_, 'a>, text: &str) -> Evaluated<'a> {
    let pattern = compiled(invocation)?;
    invocation.evaluator.budget.spend(text.len() / 4)?;
    Ok(maybe(pattern.map(|pattern| Item::Boolean(pattern.is_match(text)))))
}

fn replace_matches<'a>(invocation: &Invocation<'_, '_, 'a>, text: &str) -> Evaluated<'a> {
    let (Some(pattern), Some(substitute)) = (compiled(invocation)?, argument(invocation, 1)?)
    else {
        return Ok(Vec::new());
    };
    // An empty pattern finds nothing, as an empty text in `replace` does not.
    if pattern.as_str().is_empty() {
        return made(invocation, text.to_owned());
    }
    let budget = &invocation.evaluator.budget;
    budget.spend(text.len() / 4)?;
    let mut replaced = String::new();
    let mut end = 0;
    for captures in pattern.captures_iter(text) {
        let Some(whole) = captures.get(0) else { continue };
        replaced.push_str(text.get(end..whole.start()).unwrap_or(""));
        substituted(&substitute, &captures, &mut replaced);
        end = whole.end();
        budget.spend(1)?;
        held(invocation, replaced.len())?;
    }
    replaced.push_str(text.get(end..).unwrap_or(""));
    made(invocation, replaced)
}

/// A substitute's `$1` and `${name}` are what the groups found; `$0` is the whole.
fn substituted(substitute: &str, captures: &Captures<'_>, out: &mut String) {
    let mut rest = substitute;
    while let Some(at) = rest.find('$') {
        let (plain, reference) = rest.split_at(at);
        out.push_str(plain);
        let behind = reference.get(1..).unwrap_or("");
        if let Some((name, tail)) = behind.strip_prefix('{').and_then(|name| name.split_once('}')) {
            let group = name
                .parse()
                .map_or_else(|_| captures.name(name), |number: usize| captures.get(number));
            out.push_str(group.map_or("", |group| group.as_str()));
            rest = tail;
            continue;
        }
        let length = behind.bytes().take(2).take_while(u8::is_ascii_digit).count();
        let (digits, tail) = behind.split_at(length);
        match digits.parse::<usize>() {
            Ok(number) => out.push_str(captures.get(number).map_or("", |group| group.as_str())),
            Err(_) => out.push('$'),
        }
        rest = tail;
    }
    out.push_str(rest);
}

fn joined<'a>(invocation: &Invocation<'_, '_, 'a>, items: &[Item<'a>]) -> Evaluated<'a> {
    if items.is_empty() {
        return Ok(Vec::new());
    }
    let separator = argument(invocation, 0)?.unwrap_or_default();
    let mut joined = String::new();
    for (position, item) in items.iter().enumerate() {
        let Some(Scalar::String(text)) = item.scalar() else {
            return Err(EvaluationProblem::WrongType { expected: "strings" }.into());
        };
        if position > 0 {
            joined.push_str(&separator);
        }
        joined.push_str(text);
        invocation.evaluator.budget.spend(1)?;
        held(invocation, joined.len())?;
    }
    made(invocation, joined)
}

/// Checks a string that is still growing.
fn held(invocation: &Invocation<'_, '_, '_>, bytes: usize) -> Result<(), EvaluationProblem> {
    let most = invocation.evaluator.context.limits.string_bytes_max;
    if bytes > most { Err(EvaluationProblem::StringBytes(most)) } else { Ok(()) }
}
