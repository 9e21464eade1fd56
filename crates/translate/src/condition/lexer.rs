//! The words of a condition.

/// One word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// Letters, digits, dashes and dots, in capitals.
    Word(String),
    /// In double or single quotes.
    Text(String),
    Open,
    Close,
    Comma,
    /// `=`, `>`, `<`, `>=`, `<=`, `<>`, `!=`
    Sign(String),
}

/// Splits a condition; nothing where a character is none of its.
pub(super) fn tokens(text: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, length) = match first {
            '(' => (Token::Open, 1),
            ')' => (Token::Close, 1),
            ',' => (Token::Comma, 1),
            '"' | '\'' | '\u{201c}' => quoted(rest)?,
            '=' | '<' | '>' | '!' => {
                let length = rest.find(|sign| !"=<>!".contains(sign)).unwrap_or(rest.len());
                (Token::Sign(rest.get(..length)?.to_owned()), length)
            }
            first if first.is_alphanumeric() => word(rest)?,
            _ => return None,
        };
        tokens.push(token);
        rest = rest.get(length..)?.trim_start();
    }
    Some(tokens)
}

/// A word; directly before a quote (`X")`) it is a text whose opening quote was forgotten.
fn word(rest: &str) -> Option<(Token, usize)> {
    let is_part = |character: char| character.is_alphanumeric() || matches!(character, '-' | '.');
    let length = rest.find(|character| !is_part(character)).unwrap_or(rest.len());
    let word = rest.get(..length)?;
    if rest.get(length..)?.starts_with('"') {
        return Some((Token::Text(word.to_owned()), length + 1));
    }
    Some((Token::Word(word.to_uppercase()), length))
}

fn quoted(rest: &str) -> Option<(Token, usize)> {
    let quote = rest.chars().next()?;
    let closing = if quote == '\u{201c}' { '\u{201d}' } else { quote };
    let inner = rest.get(quote.len_utf8()..)?;
    let end = inner.find(closing)?;
    let length = quote.len_utf8() + end + closing.len_utf8();
    Some((Token::Text(inner.get(..end)?.to_owned()), length))
}
