//! `_filter` (FHIR R4 §3.1.3): conditions with operators, `and`, `or`, `not` and parentheses.
//!
//! ```text
//! or        = and { "or" and }
//! and       = term { "and" term }
//! term      = "not" "(" or ")" | "(" or ")" | path operator value
//! path      = parameter { "." parameter }
//! value     = "\"" text "\"" | word
//! ```
//!
//! The operators `in`, `ni`, `ss` and `sb` know the small value sets and code systems of FHIR R4 itself. Conditions
//! in brackets inside of a path are refused.

use super::super::entry::ParameterKind;
use super::super::fold::{fold, words};
use super::super::query::{Comparator, Criterion, Filter, StringMatch, UriMatch};
use super::super::registry::Parameter;
use super::criteria::Ask;
use super::problem::{Problem, empty, invalid, not_supported, quoted, too_costly};
use super::values::{in_value_set, related};
use super::{ProblemKind, Reader};

/// How deep parentheses may stand in each other.
const DEPTH_MAX: usize = 20;

/// An operator of `_filter` (FHIR R4 §3.1.3.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Compare(Comparator),
    Contains,
    StartsWith,
    EndsWith,
    Present,
    Overlaps,
    Refers,
    In,
    NotIn,
    Subsumes,
    SubsumedBy,
}

impl Operator {
    fn of_code(code: &str) -> Result<Self, Problem> {
        Ok(match code {
            "co" => Self::Contains,
            "sw" => Self::StartsWith,
            "ew" => Self::EndsWith,
            "pr" => Self::Present,
            "po" => Self::Overlaps,
            "re" => Self::Refers,
            "in" => Self::In,
            "ni" => Self::NotIn,
            "ss" => Self::Subsumes,
            "sb" => Self::SubsumedBy,
            _ => Self::Compare(Comparator::of_code(code).ok_or_else(|| {
                invalid(
                    "expected an operator behind the parameter: eq, ne, co, sw, ew, gt, lt, ge, le, ap, sa, eb, pr, \
                     po, ss, sb, in, ni or re",
                )
            })?),
        })
    }

    fn code(self) -> &'static str {
        match self {
            Self::Compare(comparator) => comparator.code(),
            Self::Contains => "co",
            Self::StartsWith => "sw",
            Self::EndsWith => "ew",
            Self::Present => "pr",
            Self::Overlaps => "po",
            Self::Refers => "re",
            Self::In => "in",
            Self::NotIn => "ni",
            Self::Subsumes => "ss",
            Self::SubsumedBy => "sb",
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Word {
    Open,
    Close,
    Plain(String),
    Text(String),
}

impl Reader<'_> {
    pub(super) fn expression(&mut self, types: &[&str], text: &str) -> Result<Filter, Problem> {
        let words = lex(text)?;
        let mut cursor = Cursor { words: &words, at: 0 };
        let filter = self.or(types, &mut cursor, 0)?;
        match cursor.next() {
            None => Ok(filter),
            Some(_) => Err(cursor.expected("`and`, `or` or the end")),
        }
    }

    fn or(
        &mut self,
        types: &[&str],
        cursor: &mut Cursor<'_>,
        depth: usize,
    ) -> Result<Filter, Problem> {
        let first = self.and(types, cursor, depth)?;
        let mut filters = vec![first];
        while cursor.take_plain("or") {
            filters.push(self.and(types, cursor, depth)?);
        }
        Ok(one_or(filters, Filter::Any))
    }

    fn and(
        &mut self,
        types: &[&str],
        cursor: &mut Cursor<'_>,
        depth: usize,
    ) -> Result<Filter, Problem> {
        let first = self.term(types, cursor, depth)?;
        let mut filters = vec![first];
        while cursor.take_plain("and") {
            filters.push(self.term(types, cursor, depth)?);
        }
        Ok(one_or(filters, Filter::All))
    }

    fn term(
        &mut self,
        types: &[&str],
        cursor: &mut Cursor<'_>,
        depth: usize,
    ) -> Result<Filter, Problem> {
        if depth > DEPTH_MAX {
            return Err(too_costly(format!(
                "parentheses stand in each other {DEPTH_MAX} deep at most"
            )));
        }
        let negated =
            matches!(cursor.words.get(cursor.at + 1), Some(Word::Open)) && cursor.take_plain("not");
        match cursor.next() {
            Some(Word::Open) => {
                let filter = self.or(types, cursor, depth + 1)?;
                if cursor.next() != Some(&Word::Close) {
                    return Err(cursor.expected("`)`"));
                }
                Ok(if negated { Filter::Not(Box::new(filter)) } else { filter })
            }
            Some(Word::Plain(path)) => {
                let start = cursor.at;
                let Some(Word::Plain(operator)) = cursor.next() else {
                    return Err(cursor.expected("an operator"));
                };
                let operator =
                    Operator::of_code(operator).map_err(|problem| placed(problem, start + 1))?;
                let (Some(Word::Plain(value)) | Some(Word::Text(value))) = cursor.next() else {
                    return Err(cursor.expected("a value"));
                };
                self.filter(types, path, Ask::Operation(operator, value), 0)
                    .map_err(|problem| placed(problem, start))
            }
            _ => Err(cursor.expected("a parameter, `not (` or `(`")),
        }
    }

    /// The condition that an operator makes of a parameter.
    pub(super) fn operation(
        &mut self,
        parameter: &Parameter,
        operator: Operator,
        value: &str,
    ) -> Result<Filter, Problem> {
        let kind = parameter.kind();
        if operator == Operator::Present {
            return self.parameter(parameter, Some("missing"), negated_boolean(value)?);
        }
        if operator == Operator::Compare(Comparator::NotEqual) {
            let equal = Operator::Compare(Comparator::Equal);
            return Ok(Filter::Not(Box::new(self.operation(parameter, equal, value)?)));
        }
        if operator == Operator::NotIn {
            return Ok(Filter::Not(Box::new(self.operation(parameter, Operator::In, value)?)));
        }
        let no_operator = || {
            not_supported(format!(
                "a {} parameter has no operator `{}`",
                kind.code(),
                operator.code()
            ))
        };
        let equal = operator == Operator::Compare(Comparator::Equal);
        if parameter.is_phonetic() {
            return if equal {
                self.phonetic(parameter, None, &[value])
            } else {
                Err(no_operator())
            };
        }
        let criterion = match kind {
            ParameterKind::String => Criterion::String {
                match_by: match operator {
                    Operator::Compare(Comparator::Equal) => StringMatch::Equal,
                    Operator::Contains => StringMatch::Contains,
                    Operator::StartsWith => StringMatch::Start,
                    Operator::EndsWith => StringMatch::End,
                    _ => return Err(no_operator()),
                },
                text: Some(fold(value)).filter(|text| !text.is_empty()).ok_or_else(empty)?,
            },
            ParameterKind::Uri => Criterion::Uri {
                match_by: match operator {
                    Operator::Compare(Comparator::Equal) => UriMatch::Exact,
                    Operator::Contains => UriMatch::Contains,
                    Operator::StartsWith => UriMatch::Below,
                    _ => return Err(no_operator()),
                },
                uri: value.to_owned(),
            },
            ParameterKind::Token if operator == Operator::In => {
                Criterion::Token(in_value_set(value)?)
            }
            // It subsumes what is asked for: it stands above it.
            ParameterKind::Token if operator == Operator::Subsumes => {
                Criterion::Token(related(value, |system, own, asked| system.is_a(asked, own))?)
            }
            ParameterKind::Token if operator == Operator::SubsumedBy => {
                Criterion::Token(related(value, |system, own, asked| system.is_a(own, asked))?)
            }
            ParameterKind::Token if equal => {
                self.criterion(kind, parameter.targets(), None, value)?
            }
            ParameterKind::Reference if equal || operator == Operator::Refers => {
                self.criterion(kind, parameter.targets(), None, value)?
            }
            ParameterKind::Date if operator == Operator::Overlaps => {
                let (_, range) = self.date(value)?;
                Criterion::Date { comparator: Comparator::Approximately, range }
            }
            ParameterKind::Date | ParameterKind::Number | ParameterKind::Quantity => {
                let Operator::Compare(comparator) = operator else { return Err(no_operator()) };
                let prefixed = format!("{}{value}", comparator.code());
                self.criterion(kind, parameter.targets(), None, &prefixed)?
            }
            ParameterKind::Token | ParameterKind::Reference => return Err(no_operator()),
            ParameterKind::Composite | ParameterKind::Special => {
                return Err(not_supported(format!(
                    "`{}` can't stand in `_filter`",
                    parameter.code()
                )));
            }
        };
        Ok(Filter::Parameter { parameter: parameter.id(), criteria: vec![criterion] })
    }

    /// The condition that an operator makes of a parameter that is not found in the index of values.
    pub(super) fn special_operation(
        &mut self,
        code: &str,
        operator: Operator,
        value: &str,
    ) -> Option<Result<Filter, Problem>> {
        let not = |filter| Filter::Not(Box::new(filter));
        let id = || Filter::Id(vec![value.to_owned()]);
        Some(match (code, operator) {
            ("_id", Operator::Compare(Comparator::Equal)) => Ok(id()),
            ("_id", Operator::Compare(Comparator::NotEqual)) => Ok(not(id())),
            ("_lastUpdated", Operator::Compare(Comparator::NotEqual)) => {
                self.date(value).map(|span| not(Filter::LastUpdated(vec![span])))
            }
            ("_lastUpdated", Operator::Compare(comparator)) => self
                .date(&format!("{}{value}", comparator.code()))
                .map(|span| Filter::LastUpdated(vec![span])),
            ("_text" | "_content", Operator::Contains) => {
                let words: Vec<String> = words(value).collect();
                if words.is_empty() {
                    Err(empty())
                } else {
                    Ok(Filter::FullText { whole: code == "_content", words })
                }
            }
            ("_id" | "_lastUpdated" | "_text" | "_content", _) => {
                Err(not_supported(format!("`{code}` has no operator `{}`", operator.code())))
            }
            ("_filter" | "_list" | "_query" | "_type" | "_contained" | "_containedType", _) => {
                Err(not_supported(format!("`{code}` can't stand in `_filter`")))
            }
            _ => return None,
        })
    }
}

fn one_or(mut filters: Vec<Filter>, combine: fn(Vec<Filter>) -> Filter) -> Filter {
    match (filters.len(), filters.pop()) {
        (1, Some(only)) => only,
        (_, last) => combine(filters.into_iter().chain(last).collect()),
    }
}

fn negated_boolean(value: &str) -> Result<&'static str, Problem> {
    match value {
        "true" => Ok("false"),
        "false" => Ok("true"),
        _ => Err(invalid("`pr` is followed by `true` or `false`")),
    }
}

/// Says where in the expression a problem is. An unknown parameter is an error here: leaving out a part would
/// change what the rest means.
fn placed(problem: Problem, word: usize) -> Problem {
    let kind = match problem.kind {
        ProblemKind::Unknown | ProblemKind::Empty => ProblemKind::Invalid,
        kind => kind,
    };
    Problem { kind, message: format!("word {word}: {}", problem.message) }
}

struct Cursor<'w> {
    words: &'w [Word],
    at: usize,
}

impl<'w> Cursor<'w> {
    fn next(&mut self) -> Option<&'w Word> {
        let word = self.words.get(self.at);
        self.at += 1;
        word
    }

    fn take_plain(&mut self, expected: &str) -> bool {
        let found = matches!(self.words.get(self.at), Some(Word::Plain(word)) if word == expected);
        self.at += usize::from(found);
        found
    }

    /// What was expected instead of the word that was just taken.
    fn expected(&self, what: &str) -> Problem {
        invalid(format!("expected {what} at word {}", self.at))
    }
}

fn lex(text: &str) -> Result<Vec<Word>, Problem> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        match first {
            '(' | ')' => {
                words.push(if first == '(' { Word::Open } else { Word::Close });
                rest = rest.get(1..).unwrap_or_default();
            }
            '"' => {
                let (text, after) = quoted_text(rest).ok_or_else(|| {
                    invalid(format!("the text at word {} has no closing quote", words.len() + 1))
                })?;
                words.push(Word::Text(text));
                rest = after;
            }
            '[' | ']' => {
                return Err(not_supported(format!(
                    "conditions in brackets are not supported (at word {}); write a chain for each",
                    words.len() + 1
                )));
            }
            _ => {
                let end = rest
                    .find(|next: char| {
                        next.is_whitespace() || matches!(next, '(' | ')' | '"' | '[' | ']')
                    })
                    .unwrap_or(rest.len());
                let (word, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
                words.push(Word::Plain(word.to_owned()));
                rest = after;
            }
        }
        rest = rest.trim_start();
    }
    Ok(words)
}

/// A text in double quotes with its escapes (`\"`, `\\`), and what follows it.
fn quoted_text(text: &str) -> Option<(String, &str)> {
    let mut plain = String::new();
    let mut characters = text.char_indices().skip(1);
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((plain, text.get(at + 1..)?)),
            '\\' => plain.push(characters.next()?.1),
            _ => plain.push(character),
        }
    }
    None
}

/// What a path in `_filter` can't have.
pub(super) fn no_modifier(modifier: &str) -> Problem {
    invalid(format!(
        "modifiers like {} have no place in `_filter`; it has operators",
        quoted(modifier)
    ))
}
