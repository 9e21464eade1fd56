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
        quoted(file, at, info, open, &here)
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

fn error(span: &Span, message: impl Into<String>, help: impl Into<String>) -> Diagnostic {
    Diagnostic::error(CODE, span, message).with_help(help)
}

const QUOTE_HELP: &str =
    "a quote within double quotes is written `\\\"`, one within single quotes `''`";

fn quoted(file: &Arc<SourceFile>, at: usize, info: &str, open: &[Span], here: &Span) -> Diagnostic {
    if ["unknown escape", "hexadecimal", "escape code"].iter().any(|word| info.contains(word)) {
        let place = bad_escape(file, at).unwrap_or_else(|| here.clone());
        let help = "write `\\\\` for a backslash, or use single quotes, \
            in which a backslash is an ordinary character";
        return error(
            &place,
            "within double quotes, a backslash before this letter means nothing",
            help,
        );
    }
    if info.contains("trailing content") {
        return match open.last() {
            Some(opening) => separator(opening, here),
            None => error(here, "something follows the closing quote", QUOTE_HELP),
        };
    }
    // The parser gives the place where it stopped; the opening quote helps more.
    let opening = opening_quote(file, at).unwrap_or_else(|| here.clone());
    let help = format!("add the closing quote; {QUOTE_HELP}");
    error(&opening, "the text that begins with this quote never ends", help)
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
    let (index, _) = text.get(..at)?.match_indices(['"', '\'']).rfind(opens)?;
    Some(Span::new(file, index, index + 1))
}

/// The first backslash after an opening quote that YAML does not know (YAML 1.2.2 §5.7).
fn bad_escape(file: &Arc<SourceFile>, at: usize) -> Option<Span> {
    let text = file.text();
    let mut rest = text.get(at..)?.char_indices();
    while let Some((index, character)) = rest.next() {
        if character != '\\' {
            continue;
        }
        let start = at + index;
        let (_, sign) = rest.next()?;
        let digits = match sign {
            'x' => 2,
            'u' => 4,
            'U' => 8,
            _ if "0abt\tnvfre \"/\\N_LP\n\r".contains(sign) => 0,
            _ => return Some(Span::new(file, start, start + 1 + sign.len_utf8())),
        };
        let code = text.get(start + 2..start + 2 + digits).unwrap_or_default();
        let character = u32::from_str_radix(code, 16).ok().and_then(char::from_u32);
        if digits > 0 && character.is_none() {
            return Some(Span::new(file, start, start + 2));
        }
    }
    None
}

fn bracket(file: &Arc<SourceFile>, info: &str, open: &[Span], here: &Span) -> Diagnostic {
    let Some(opening) = open.last() else {
        let message = format!("there is no bracket that this `{}` closes", here.text());
        return error(
            here,
            message,
            "remove it, or put the text in quotes if it belongs to a text",
        );
    };
    // A line that is indented no more than the one with the bracket begins something new.
    let indentation = |span: &Span| {
        let line = file.line(span.line_column().line);
        line.len() - line.trim_start().len()
    };
    let later = here.line_column().line > opening.line_column().line;
    let begins_anew = later && indentation(here) <= indentation(opening);
    let at_end = here.end() >= file.text().trim_end().len();
    if info.contains("indentation") || begins_anew || at_end {
        let message = format!("this `{}` is never closed", opening.text());
        let closing = closing(opening);
        let help = format!("add the `{closing}`; lines within the brackets must be indented");
        return error(opening, message, help);
    }
    separator(opening, here)
}

fn closing(opening: &Span) -> &'static str {
    if opening.text() == "{" { "}" } else { "]" }
}

fn separator(opening: &Span, here: &Span) -> Diagnostic {
    let closing = closing(opening);
    let help = format!(
        "separate the entries with `,` and end with `{closing}`; \
         a text with `{{ }} [ ] ,` in it must be in quotes"
    );
    error(here, format!("expected `,` or `{closing}` here"), help)
        .with_label(opening, "opened here")
}

/// Words of the parser, what they mean, and what to do. The first that fits counts.
const COMPLAINTS: &[(&[&str], &str, &str)] = &[
    (
        &["mapping values are not allowed"],
        "a new key is not expected here",
        "check the indentation of this line and of the line above: \
         keys that belong together start in the same column",
    ),
    (
        &["block mapping", "block collection", "invalid indentation"],
        "this line does not fit the lines above it",
        "keys that belong together start in the same column; \
         entries of a list all begin with `- ` in the same column",
    ),
    (
        &["unknown anchor"],
        "a text that begins with `*` must be in quotes",
        "`*name` without quotes stands for lines that were marked `&name` further up; there are none",
    ),
    (
        &["anchor"],
        "a text that begins with `&` or `*` must be in quotes",
        "write `\"*\"`, for example",
    ),
    (
        &["unexpected character"],
        "a text can't begin with this character unless it is in quotes",
        "put the text in quotes",
    ),
    (
        &["block sequence entries are not allowed"],
        "an entry of a list is not expected here",
        "begin the `- ` on a line of its own, below its key",
    ),
    (
        &["must be followed by a valid YAML whitespace"],
        "a space is missing here",
        "put a space after the `-` of a list's entry and after the `:` of a key",
    ),
    (&["tab"], "a tab stands where only spaces may stand", "replace the tab by spaces"),
    (
        &["directive", "document"],
        "this looks like the start or end of a document",
        "a file holds one document: remove lines such as `---`, `...` and `%YAML`; \
         put a text that begins with `%` in quotes",
    ),
    (
        &["block scalar"],
        "the lines of a text after `|` or `>` must all be indented",
        "put the text on the lines below, with the same indentation",
    ),
    (
        &["tag", "handle"],
        "a word that begins with `!` is a YAML tag, which has no meaning here",
        "remove the tag; if the `!` belongs to the text, put the text in quotes",
    ),
    (
        &["recursion limit"],
        "too many brackets stand within one another here",
        "close the brackets that are open",
    ),
];

fn block(file: &Arc<SourceFile>, info: &str, here: &Span) -> Diagnostic {
    let line = file.line(here.line_column().line);
    let before = file.text().get(..here.start()).unwrap_or_default();
    let ending = before.trim_end_matches(' ').chars().next_back();
    if let Some(ending @ ('}' | ']' | '"' | '\'')) = ending {
        let message = format!("something follows the closing `{ending}`");
        let help = "if all of it is one text, put the whole text in single quotes: `'…'`";
        return error(here, message, help);
    }
    if info.contains("simple key")
        && let Some(span) = line_without_key(file, here)
    {
        return if span.text().contains(':') {
            error(&span, "this line is not `key: value`", "put a space after the `:`")
        } else {
            let help = "write `key: value`; or indent the line if it continues the one above";
            error(&span, "this line has no `:`", help)
        };
    }
    let colons = line.matches(": ").count() + usize::from(line.ends_with(':'));
    if info.contains("mapping values are not allowed") && colons > 1 {
        let help = "if the text after the first `: ` belongs together, put it in quotes; \
            otherwise begin a new line";
        return error(here, "this line has more than one `: `", help);
    }
    let complaint =
        COMPLAINTS.iter().find(|(words, ..)| words.iter().any(|word| info.contains(word)));
    match complaint {
        Some((_, message, help)) => error(here, *message, *help),
        None => {
            let help = "check quotes, brackets and indentation here and in the line above";
            error(here, "this can't be read", help)
        }
    }
}

/// The line that is no `key: value`: the parser notices only at the next one.
fn line_without_key(file: &Arc<SourceFile>, here: &Span) -> Option<Span> {
    let this = here.line_column().line;
    let blank = |line: &str| line.trim().is_empty() || line.trim_start().starts_with('#');
    let before = (1..this).rev().find(|number| !blank(file.line(*number)));
    before.into_iter().chain([this]).find_map(|number| {
        let line = file.line(number);
        let content = line.trim();
        let fits = content.contains(": ") || content.ends_with(':') || content.starts_with("- ");
        let start = file.line_start(number) + (line.len() - line.trim_start().len());
        (!fits && !content.is_empty()).then(|| Span::new(file, start, start + content.len()))
    })
}
