//! Searches with places of the message in them: `identifier=urn:oid:1.2.3|{PID-3.1}`.
//!
//! What is filled in is a value and nothing else: what separates values in a search (`,`, `|`, `$`) is escaped (FHIR R4
//! §3.1.1.4.1), and what has a meaning in a query percent-encoded. Times, where a parameter is one, are written as FHIR
//! has them.

use std::ops::Range;

use pipehat_config::nearest;
use pipehat_resource::search::{
    Handling, ProblemKind, Registry, Search, SearchOptions, SearchProblem, query_pairs, query_text,
    query_value,
};

use super::SyntaxError;
use super::fhir_value::fhir_time;
use super::reference::Scope;
use super::template::{Piece, Template};
use super::view::View;
use crate::effects::Effects;

/// The longest search: far more than a person writes and a message fills in.
const SEARCH_BYTES_MAX: usize = 64 * 1024;

/// A search, compiled.
#[derive(Debug, Clone)]
pub(super) struct SearchTemplate {
    /// Texts, ready for a query, and places.
    parts: Box<[Part]>,
}

#[derive(Debug, Clone)]
enum Part {
    Text(Box<str>),
    Place(Piece, Written),
}

/// How what is filled in is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Written {
    AsIs,
    AsTime,
}

/// Why there is no search for a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoSearch {
    /// A place has no value.
    Empty,
    TooLong,
}

/// What a search is read with.
pub(super) struct SearchContext<'c> {
    pub(super) registry: &'c Registry,
    pub(super) resource_type: &'c str,
    /// Parameters of the server's own.
    pub(super) custom: &'c [String],
}

impl SearchTemplate {
    /// Reads what stands behind the `?`.
    pub(super) fn parse(
        text: &str,
        scope: &Scope,
        context: &SearchContext<'_>,
    ) -> Result<Self, SyntaxError> {
        let template = Template::parse(text, scope, None)?;
        let mut parts = Vec::new();
        let mut asks = false;
        let mut behind = 0;
        for pair in pairs(template.into_pieces()) {
            let at = place_of(text, &pair.name, &mut behind);
            let written = check(&pair, at, context)?;
            asks |= !is_about_results(&pair.name);
            let begin = if parts.is_empty() { "" } else { "&" };
            parts.push(Part::Text(format!("{begin}{}=", query_text(&pair.name)).into()));
            parts.extend(pair.value.into_iter().map(|piece| match piece {
                Piece::Text(text) => Part::Text(query_text(&text).into()),
                place => Part::Place(place, written),
            }));
        }
        if !asks {
            let error = SyntaxError::new(0..text.len(), "this would find every resource");
            return Err(error.help("say what must hold, as in `Patient?identifier={PID-3.1}`"));
        }
        Ok(Self { parts: parts.into() })
    }

    /// The query for this message.
    pub(super) fn query<'v>(
        &'v self,
        view: &View<'v>,
        effects: &mut dyn Effects,
    ) -> Result<String, NoSearch> {
        let mut query = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => query.push_str(text),
                Part::Place(piece, written) => {
                    let mut value = piece.text(view, effects);
                    if value.is_empty() {
                        return Err(NoSearch::Empty);
                    }
                    if *written == Written::AsTime {
                        value = fhir_time(value);
                    }
                    query.push_str(&query_value(&value));
                }
            }
        }
        if query.len() > SEARCH_BYTES_MAX {
            return Err(NoSearch::TooLong);
        }
        Ok(query)
    }
}

/// One parameter, as it is written.
struct Pair {
    name: String,
    value: Vec<Piece>,
    /// What should not be where it is: a place in the name, or no `=`.
    is_malformed: bool,
}

/// The parameters of a query.
fn pairs(pieces: Vec<Piece>) -> Vec<Pair> {
    let mut pairs = Vec::new();
    let mut pair: Option<Pair> = None;
    let new = || Pair { name: String::new(), value: Vec::new(), is_malformed: true };
    for piece in pieces {
        let text = match piece {
            Piece::Text(text) => text,
            place => {
                let pair = pair.get_or_insert_with(new);
                // Before the `=` it stands in the name, and what is malformed stays so.
                if pair.is_malformed {
                    pair.name.push_str("{…}");
                }
                pair.value.push(place);
                continue;
            }
        };
        for (index, mut text) in text.split('&').enumerate() {
            if index > 0 {
                pairs.extend(pair.take());
            }
            let pair = pair.get_or_insert_with(new);
            if pair.is_malformed
                && pair.value.is_empty()
                && let Some((name, value)) = text.split_once('=')
            {
                pair.name.push_str(name);
                pair.is_malformed = false;
                text = value;
            } else if pair.is_malformed {
                pair.name.push_str(text);
                continue;
            }
            if !text.is_empty() {
                pair.value.push(Piece::Text(text.into()));
            }
        }
    }
    pairs.extend(pair);
    pairs
}

/// Where a parameter stands in the text.
fn place_of(text: &str, name: &str, behind: &mut usize) -> Range<usize> {
    let rest = text.get(*behind..).unwrap_or_default();
    match rest.find(name).filter(|_| !name.is_empty()) {
        Some(at) => {
            let start = *behind + at;
            *behind = start + name.len();
            start..*behind
        }
        None => 0..text.len(),
    }
}

/// What is filled in to check a search, a text, a number and a date: one of them suits every parameter.
const SAMPLES: [&str; 3] = ["x", "1", "2000-01-01"];

/// Checks one parameter, and tells how values are written into it.
fn check(
    pair: &Pair,
    at: Range<usize>,
    context: &SearchContext<'_>,
) -> Result<Written, SyntaxError> {
    if pair.is_malformed {
        let error = SyntaxError::new(at, "this is no parameter and value");
        return Err(error.help("write `name=value`, and `{PID-3.1}` only in values"));
    }
    let code = pair.name.split([':', '.']).next().unwrap_or_default();
    if context.custom.iter().any(|custom| custom == code) {
        return Ok(Written::AsIs);
    }
    if is_about_results(&pair.name) && !matches!(code, "_sort" | "_elements") {
        let error = SyntaxError::new(at, format!("`{code}` has no use in a lookup"));
        return Err(error.help("one resource is taken: leave it out"));
    }
    let mut first = None;
    for sample in SAMPLES {
        match parsed(pair, sample, context) {
            // A text suits anything but numbers and dates; and only dates don't take a number.
            Ok(()) if sample == "2000-01-01" => return Ok(Written::AsTime),
            Ok(()) => return Ok(Written::AsIs),
            Err(problem) => first = first.or(problem),
        }
    }
    let Some(problem) = first else {
        return Err(SyntaxError::new(at, "this can't be read as a search"));
    };
    let SearchProblem { kind, message, .. } = problem;
    // A person who writes a channel looks elsewhere than one who calls the API.
    let message = message.split("; the CapabilityStatement").next().unwrap_or_default();
    let named = if message.contains(&pair.name) { "" } else { &*format!("`{}`: ", pair.name) };
    let error = SyntaxError::new(at, format!("{named}{message}"));
    if kind != ProblemKind::Unknown {
        return Err(error);
    }
    let codes = context.registry.parameters(context.resource_type).map(|known| known.code());
    let own = format!("a parameter of the server's own is named in `custom: [{code}]`");
    Err(match nearest(code, codes) {
        Some(near) => error.help(format!("did you mean `{near}`? Or else: {own}")),
        None => error.help(own),
    })
}

fn parsed(
    pair: &Pair,
    sample: &str,
    context: &SearchContext<'_>,
) -> Result<(), Option<SearchProblem>> {
    let value: String = pair
        .value
        .iter()
        .map(|piece| match piece {
            Piece::Text(text) => query_text(text),
            _ => query_value(sample),
        })
        .collect();
    let query = query_pairs(&format!("{}={value}", query_text(&pair.name)));
    let options = SearchOptions {
        handling: Handling::Strict,
        only_criteria: !is_about_results(&pair.name),
        ..SearchOptions::default()
    };
    match Search::parse(&[context.resource_type], &query, context.registry, &options) {
        Ok(_) => Ok(()),
        Err(problems) => Err(problems.into_iter().next()),
    }
}

fn is_about_results(name: &str) -> bool {
    let code = name.split(':').next().unwrap_or_default();
    matches!(
        code,
        "_sort"
            | "_count"
            | "_include"
            | "_revinclude"
            | "_summary"
            | "_total"
            | "_elements"
            | "_contained"
            | "_containedType"
            | "_score"
            | "_format"
            | "_pretty"
    )
}
