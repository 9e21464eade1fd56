//! What a YAML parser's complaint means for a person who does not know YAML's grammar.

use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::source::{SourceFile, Span};

/// So many lines with a tab are shown.
const TABS_SHOWN_MAX: usize = 20;

const CODE: &str = "config.syntax";

/// Adds what is wrong at a byte offset. `info` is the parser's word, `open` the brackets that are open.
pub(crate) fn explain(
    file: &Arc<SourceFile>,
    at: usize,
    info: &str,
    open: &[Span],
    diagnostics: &mut Diagnostics,
) {
    let tabs = tabs(file, diagnostics);
    let before = file.text().get(..at).unwrap_or_default();
    let at_tab = tabs.iter().any(|span| span.line_column().line == file.line_column(at).line);
    if at_tab || (!tabs.is_empty() && info.contains("tab")) {
        return;
    }
    let here = here(file, at);
    let diagnostic = if let Some(span) = unquoted_variable(file, before, &here) {
        Diagnostic::error(CODE, &span, "within `{ }` and `[ ]`, a `${…}` must be in quotes")
            .with_help("write `\"${NAME}\"`, with the quotes")
    } else if info.contains("quoted scalar") {
        quoted(file, at, info, &here)
    } else if info.contains("flow")
        || (info.contains("eof") && !open.is_empty())
        || info.contains("bracket")
    {
        bracket(file, info, open, &here)
    } else {
        block(file, info, &here)
    };
    diagnostics.push(diagnostic);
}

/// The character at an offset; at the end of a line or of the file, the last one before.
fn here(file: &Arc<SourceFile>, at: usize) -> Span {
    let text = file.text();
    let rest = text.get(at..).unwrap_or_default();
    match rest.chars().next() {
        Some(character) if !character.is_whitespace() => {
            Span::new(file, at, at + character.len_utf8())
        }
        _ => {
            let end = text.get(..at).unwrap_or_default().trim_end().len();
            let last = text.get(..end).unwrap_or_default().chars().next_back();
            Span::new(file, end - last.map_or(0, char::len_utf8), end)
        }
    }
}

/// Reports the lines whose indentation has a tab.
fn tabs(file: &Arc<SourceFile>, diagnostics: &mut Diagnostics) -> Vec<Span> {
    let mut spans = Vec::new();
    for number in 1..=file.lines() {
        let line = file.line(number);
        let content = line.trim_start_matches([' ', '\t']);
        let indentation = line.len() - content.len();
        let tab = line.get(..indentation).and_then(|indentation| indentation.find('\t'));
        if let (Some(tab), false) = (tab, content.is_empty() || content.starts_with('#')) {
            let start = file.line_start(number);
            spans.push(Span::new(file, start + tab, start + indentation));
        }
        if spans.len() == TABS_SHOWN_MAX {
            break;
        }
    }
    for span in &spans {
        diagnostics.push(
            Diagnostic::error("config.tab", span, "this line is indented with a tab")
                .with_suggestion("use spaces")
                .with_help("YAML takes only spaces for indentation; most editors can turn tabs into spaces"),
        );
    }
    spans
}

/// `${NAME}` without quotes within brackets: the parser sees a `{` after a `$`.
fn unquoted_variable(file: &Arc<SourceFile>, before: &str, here: &Span) -> Option<Span> {
    let line_start = before.rfind('\n').map_or(0, |index| index + 1);
    let line = file.line(here.line_column().line);
    let dollar = line
        .match_indices("${")
        .map(|(index, _)| line_start + index)
        .filter(|dollar| *dollar <= here.end())
        .last()?;
    let text = file.text().get(dollar..)?;
    let end =
        text.find('}').filter(|end| !text.get(..*end).is_some_and(|name| name.contains('\n')))?;
    let quoted = file.text().get(line_start..dollar)?.matches(['"', '\'']).count() % 2 == 1;
    (!quoted && here.end() <= dollar + end + 2).then(|| Span::new(file, dollar, dollar + end + 1))
}

fn quoted(file: &Arc<SourceFile>, at: usize, info: &str, here: &Span) -> Diagnostic {
    if info.contains("unknown escape")
        || info.contains("hexadecimal")
        || info.contains("escape code")
    {
        return Diagnostic::error(CODE, here, "a backslash within double quotes must be followed by a known letter")
            .with_help("write `\\\\` for a backslash, or use single quotes, in which a backslash is an ordinary character");
    }
    if info.contains("trailing content") {
        return Diagnostic::error(CODE, here, "something follows the closing quote").with_help(
            "a quote within double quotes is written `\\\"`, one within single quotes `''`",
        );
    }
    // The parser gives the place where it stopped; the opening quote helps more.
    let opening = opening_quote(file, at).unwrap_or_else(|| here.clone());
    let help = "add the closing quote; a quote within double quotes is written `\\\"`, one within single quotes `''`";
    Diagnostic::error(CODE, &opening, "the text that begins with this quote never ends")
        .with_help(help)
}

/// The last quote that opens a text: it stands where a value begins.
fn opening_quote(file: &Arc<SourceFile>, at: usize) -> Option<Span> {
    let text = file.text();
    if text.get(at..).is_some_and(|rest| rest.starts_with(['"', '\''])) {
        return Some(Span::new(file, at, at + 1));
    }
    let opens = |(index, _): &(usize, &str)| {
        let before = text.get(..*index).unwrap_or_default();
        let begins = before.ends_with([' ', '\n', '[', '{', '\t']) || before.is_empty();
        let trimmed = before.trim_end_matches([' ', '\t']);
        begins && (trimmed.is_empty() || trimmed.ends_with([':', '-', '[', '{', ',', '\n']))
    };
    let upto = text.get(..at)?;
    let (index, _) = upto.match_indices(['"', '\'']).filter(opens).next_back()?;
    Some(Span::new(file, index, index + 1))
}

fn bracket(file: &Arc<SourceFile>, info: &str, open: &[Span], here: &Span) -> Diagnostic {
    let Some(opening) = open.last() else {
        return Diagnostic::error(
            CODE,
            here,
            format!("there is no bracket that this `{}` closes", here.text()),
        )
        .with_help("remove it, or put the text in quotes if it belongs to a text");
    };
    let closing = if opening.text() == "{" { "}" } else { "]" };
    if info.contains("indentation") || here.end() >= file.text().trim_end().len() {
        return Diagnostic::error(
            CODE,
            opening,
            format!("this `{}` is never closed", opening.text()),
        )
        .with_help(format!("add the `{closing}`; lines within the brackets must be indented"));
    }
    let help = format!(
        "separate the entries with `,` and end with `{closing}`; a text with `{{ }} [ ] ,` in it must be in quotes"
    );
    Diagnostic::error(CODE, here, format!("expected `,` or `{closing}` here"))
        .with_label(opening, "opened here")
        .with_help(help)
}

fn block(file: &Arc<SourceFile>, info: &str, here: &Span) -> Diagnostic {
    let line = file.line(here.line_column().line);
    let (message, help) = match info {
        _ if info.contains("mapping values are not allowed") => {
            if line.matches(": ").count() + usize::from(line.ends_with(':')) > 1 {
                (
                    "this line has more than one `: `",
                    "if the text after the first `: ` belongs together, put it in quotes; otherwise begin a new line",
                )
            } else {
                (
                    "a new key is not expected here",
                    "check the indentation of this line and of the line above: keys that belong together start in the same column",
                )
            }
        }
        _ if info.contains("simple key") => {
            if line.contains(':') {
                ("this line is not `key: value`", "put a space after the `:`")
            } else {
                (
                    "this line has no `:`",
                    "write `key: value`; or indent the line if it continues the one above",
                )
            }
        }
        _ if info.contains("block mapping")
            || info.contains("block collection")
            || info.contains("invalid indentation") =>
        {
            (
                "this line does not fit the lines above it",
                "keys that belong together start in the same column; entries of a list all begin with `- ` in the same column",
            )
        }
        _ if info.contains("unknown anchor") => (
            "a text that begins with `*` must be in quotes",
            "`*name` without quotes stands for lines that were marked `&name` further up; there are none",
        ),
        _ if info.contains("anchor") => {
            ("a text that begins with `&` or `*` must be in quotes", "write `\"*\"`, for example")
        }
        _ if info.contains("unexpected character") => (
            "a text can't begin with this character unless it is in quotes",
            "put the text in quotes",
        ),
        _ if info.contains("block sequence entries are not allowed") => (
            "an entry of a list is not expected here",
            "begin the `- ` on a line of its own, below its key",
        ),
        _ if info.contains("tab") => {
            ("a tab stands where only spaces may stand", "replace the tab by spaces")
        }
        _ if info.contains("directive") || info.contains("document") => (
            "this looks like the start or end of a document",
            "a file holds one document: remove lines such as `---`, `...` and `%YAML`; put a text that begins with `%` in quotes",
        ),
        _ if info.contains("block scalar") => (
            "the lines of a text after `|` or `>` must all be indented",
            "put the text on the lines below, with the same indentation",
        ),
        _ if info.contains("tag") || info.contains("handle") => (
            "a word that begins with `!` is a YAML tag, which has no meaning here",
            "remove the tag; if the `!` belongs to the text, put the text in quotes",
        ),
        _ if info.contains("recursion limit") => {
            ("too many brackets stand within one another here", "close the brackets that are open")
        }
        _ => (
            "this can't be read",
            "check quotes, brackets and indentation here and in the line above",
        ),
    };
    Diagnostic::error(CODE, here, message).with_help(help)
}
