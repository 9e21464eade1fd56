//! The small languages within YAML values: their mistakes, at their characters.

use std::ops::Range;

use pipehat_config::{Diagnostic, Diagnostics, Key, Node, Span};

use super::flow::check_not_fixed;
use crate::program::SyntaxError;
use crate::program::expression::Expression;
use crate::program::grammar;
use crate::program::reference::{Reference, Scope, Use};
use crate::program::unknown_place::UnknownPlace;

/// Reads an expression.
pub(super) fn condition(
    node: &Node,
    scope: &Scope,
    diagnostics: &mut Diagnostics,
) -> Option<Expression> {
    let text = node.text_not_empty(diagnostics)?;
    let read = grammar::expression(text, scope);
    let condition =
        read.map_err(|error| report("channel.expression", node, error, diagnostics)).ok()?;
    warn_of_unknown(node, scope, diagnostics);
    check_not_fixed(node, &condition, diagnostics);
    Some(condition)
}

/// Reads a path.
pub(super) fn reference(
    node: &Node,
    scope: &Scope,
    wanted: Use,
    diagnostics: &mut Diagnostics,
) -> Option<Reference> {
    let text = node.text_not_empty(diagnostics)?;
    let read = Reference::parse(text, scope, wanted);
    let read = read.map_err(|error| report("channel.path", node, error, diagnostics)).ok();
    warn_of_unknown(node, scope, diagnostics);
    read
}

/// Warns of paths in a value whose place no version of HL7 v2 has: a dialect may.
pub(crate) fn warn_of_unknown(node: &Node, scope: &Scope, diagnostics: &mut Diagnostics) {
    let scalar = node.as_scalar();
    for place in scope.take_unknown() {
        // The message may quote what a variable put in.
        if scalar.is_some_and(|scalar| scalar.is_substituted()) {
            continue;
        }
        let at = scalar.and_then(|scalar| scalar.text().find(&*place.written));
        let span = at.map_or_else(
            || node.span.clone(),
            |at| node.sub_span_of_bytes(at, at.saturating_add(place.written.len())),
        );
        diagnostics.push(unknown(place, &span));
    }
}

fn unknown(place: UnknownPlace, span: &Span) -> Diagnostic {
    let warning = Diagnostic::warning("channel.unknown-place", span, place.message);
    match place.suggestion {
        Some(suggestion) => warning.with_suggestion(suggestion),
        None => warning.with_help(
            "it is nowhere in a message of the standard: this stands for a dialect's own",
        ),
    }
}

/// Reads a path that stands as a key.
pub(super) fn key_reference(
    key: &Key,
    scope: &Scope,
    wanted: Use,
    diagnostics: &mut Diagnostics,
) -> Option<Reference> {
    let read = Reference::parse(&key.text, scope, wanted);
    read.map_err(|error| {
        let span = within_key(key, error.at.clone());
        diagnostics.push(told("channel.path", &span, error));
    })
    .ok()
    .inspect(|_| {
        for place in scope.take_unknown() {
            let span = within_key(key, 0..place.written.len());
            diagnostics.push(unknown(place, &span));
        }
    })
}

/// Reports a mistake in the text of a value.
pub(crate) fn report(
    code: &'static str,
    node: &Node,
    error: SyntaxError,
    diagnostics: &mut Diagnostics,
) {
    let Range { start, end } = error.at.clone();
    let mut span = node.sub_span_of_bytes(start, end);
    if span.start() == span.end() {
        // Past the end of the text: the last character shows better where.
        let last = node.as_scalar().map_or(0, |scalar| scalar.text().trim_end().len());
        span = node.sub_span_of_bytes(last.saturating_sub(1), last);
    }
    let substituted = node.as_scalar().is_some_and(|scalar| scalar.is_substituted());
    if substituted {
        // The message may quote what a variable put in.
        diagnostics.push(
            Diagnostic::error(code, &span, "what the variable puts in here can't be read")
                .with_help("check the value of the variable"),
        );
        return;
    }
    diagnostics.push(told(code, &span, error));
}

fn told(code: &'static str, span: &Span, error: SyntaxError) -> Diagnostic {
    let diagnostic = Diagnostic::error(code, span, error.message);
    match error.help {
        Some(help) => diagnostic.with_help(help),
        None => diagnostic,
    }
}

fn within_key(key: &Key, at: Range<usize>) -> Span {
    let written = key.span.text();
    let quotes = usize::from(written.starts_with(['"', '\'']));
    let inner = written.get(quotes..written.len().saturating_sub(quotes));
    if inner != Some(key.text.as_str()) {
        return key.span.clone();
    }
    let start = key.span.start() + quotes;
    let end = at.end.max(at.start + 1).min(key.text.len());
    let from = at.start.min(end.saturating_sub(1));
    Span::new(key.span.file(), start + from, start + end)
}
