//! What the parser says of a mistake, with what stands at the place: it says "Unexpected token" and "found `EOF`".

use oxc::diagnostics::OxcDiagnostic;

use super::failure::{Place, ScriptError};

/// How much of a token is shown in a sentence; the whole line stands below.
const TOKEN_CHARACTERS_MAX: usize = 40;

/// What may stand before a token that does not belong there, longest first.
const PUNCTUATION: &[&str] = &[
    "===", "!==", "**=", "...", "??=", "&&=", "||=", "=>", "==", "!=", "<=", ">=", "&&", "||",
    "??", "?.", "+=", "-=", "*=", "++", "--",
];

/// Behind these a value belongs, or a type.
const WANT_VALUE: &[&str] = &[
    "=", "+", "-", "*", "%", "==", "===", "!=", "!==", "<=", ">=", "&&", "||", "??", "+=", "-=",
    "*=", "&&=", "||=", "??=", "**=", "=>", "of", "in", "?", "!", "...",
];

/// Behind these a name belongs.
const WANT_NAME: &[&str] = &["const", "let", "var", "class", "interface", "enum", ".", "?."];

/// A mistake that the parser or what follows it found.
pub(super) fn mistake(file: &str, source: &str, found: &OxcDiagnostic) -> ScriptError {
    let message = found.message.as_ref();
    let Some(label) = found.labels.first() else {
        return with_help(ScriptError::of_file(file, message.to_owned()), found);
    };
    let (start, length) = (label.offset() as usize, label.len() as usize);
    let text_end = source.trim_end().len();
    // At the end of the file nothing is to be seen: the last line of text is shown.
    let at_end = start >= text_end;
    let offset = start.min(text_end);
    let token = || {
        let text = source.get(start..start.saturating_add(length)).unwrap_or_default();
        if at_end { "the end of the file".to_owned() } else { format!("`{}`", cut(text)) }
    };
    let error = |message: String| ScriptError::at(file, source, offset, message);
    match message {
        "Unexpected token" => {
            let before = token_before(source, offset);
            let sentence = match before {
                Some(before) => format!("Unexpected {} behind `{before}`", token()),
                None => format!("Unexpected {}", token()),
            };
            let closer = source.get(offset..).is_some_and(|rest| rest.starts_with(['}', ')', ']']));
            let help = match before {
                Some(before) if WANT_VALUE.contains(&before) => {
                    format!("a value is missing behind `{before}`")
                }
                Some(before) if WANT_NAME.contains(&before) => {
                    format!("a name is missing behind `{before}`")
                }
                _ if closer => "it may be one too many".to_owned(),
                _ => return error(sentence),
            };
            error(sentence).with_help(help)
        }
        _ if message.starts_with("Expected a semicolon") => {
            let next = token_after(source, offset);
            error(format!("Expected `;` or a new line but found {next}"))
                .with_help("a word may be misspelt, or a comma, an operator or a bracket missing")
        }
        _ => match message.split_once(" but found `") {
            Some((expected, _)) => {
                let error = error(format!("{expected} but found {}", token()));
                match found.labels.get(1).filter(|_| message.starts_with("Expected")) {
                    Some(opened) => {
                        let Place { line, column } = Place::of(source, opened.offset() as usize);
                        let what = source
                            .get(opened.offset() as usize..)
                            .and_then(|rest| rest.chars().next())
                            .map(String::from)
                            .unwrap_or_default();
                        error.with_help(format!("`{what}` stands at {line}:{column}"))
                    }
                    None => with_help(error, found),
                }
            }
            None => with_help(error(message.to_owned()), found),
        },
    }
}

fn with_help(error: ScriptError, found: &OxcDiagnostic) -> ScriptError {
    match &found.help {
        Some(help) => error.with_help(help.to_string()),
        None => error,
    }
}

fn cut(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    match line.char_indices().nth(TOKEN_CHARACTERS_MAX) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line.to_owned(),
    }
}

fn of_name(character: char) -> bool {
    character.is_alphanumeric() || character == '_' || character == '$'
}

/// The word or the sign before a place. None where that can't be told without reading the file anew: behind a comment,
/// a text or a regular expression.
fn token_before(source: &str, offset: usize) -> Option<&str> {
    let before = source.get(..offset)?.trim_end();
    let line = before.rsplit('\n').next().unwrap_or(before);
    if line.contains("//") || before.ends_with(['"', '\'', '`', '/']) {
        return None;
    }
    let last = before.chars().next_back()?;
    if of_name(last) {
        let start = before.char_indices().rev().take_while(|(_, it)| of_name(*it)).last()?.0;
        return before.get(start..).filter(|word| word.len() <= TOKEN_CHARACTERS_MAX);
    }
    let sign = PUNCTUATION.iter().find(|sign| before.ends_with(**sign));
    let length = sign.map_or(last.len_utf8(), |sign| sign.len());
    before.get(before.len() - length..)
}

/// The word or the sign that follows a place.
fn token_after(source: &str, offset: usize) -> String {
    let rest = source.get(offset..).unwrap_or_default().trim_start();
    let word = rest.find(|it| !of_name(it)).unwrap_or(rest.len());
    let end = if word == 0 { rest.chars().next().map_or(0, char::len_utf8) } else { word };
    match rest.get(..end).unwrap_or_default() {
        "" => "the end of the file".to_owned(),
        token => format!("`{}`", cut(token)),
    }
}
