//! The words of the expression language.

use std::ops::Range;

use super::SyntaxError;

/// One token and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) at: Range<usize>,
    pub(super) kind: TokenKind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// A word in lower case, with dots: `and`, `in`, `peer.address`.
    Word(String),
    /// What looks like a path: begins with a capital letter or `/`.
    Path(String),
    /// A quoted text, without its quotes.
    Text(String),
    /// A number as written.
    Number(String),
    Symbol(Symbol),
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Symbol {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Open,
    Close,
    OpenList,
    CloseList,
    Comma,
    Pipe,
}

impl Symbol {
    pub(super) const fn written(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Open => "(",
            Self::Close => ")",
            Self::OpenList => "[",
            Self::CloseList => "]",
            Self::Comma => ",",
            Self::Pipe => "|",
        }
    }
}

/// The tokens of `text`, the last of which is [`TokenKind::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, SyntaxError> {
    let mut scanner = Scanner { text, position: 0 };
    let mut tokens = Vec::new();
    loop {
        let token = scanner.token()?;
        let ended = token.kind == TokenKind::End;
        tokens.push(token);
        if ended {
            return Ok(tokens);
        }
    }
}

struct Scanner<'t> {
    text: &'t str,
    position: usize,
}

impl<'t> Scanner<'t> {
    fn rest(&self) -> &'t str {
        self.text.get(self.position..).unwrap_or("")
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// Takes the longest prefix of which `belongs` holds.
    fn take(&mut self, belongs: impl Fn(char) -> bool) -> &'t str {
        let rest = self.rest();
        let end = rest.find(|character| !belongs(character)).unwrap_or(rest.len());
        self.position += end;
        rest.get(..end).unwrap_or("")
    }

    fn token(&mut self) -> Result<Token, SyntaxError> {
        self.take(char::is_whitespace);
        let start = self.position;
        let Some(first) = self.peek() else {
            return Ok(Token { at: start..start, kind: TokenKind::End });
        };
        let kind = match first {
            '"' | '\'' => self.quoted(first)?,
            '0'..='9' => self.number(),
            '-' | '+' if self.rest().chars().nth(1).is_some_and(|next| next.is_ascii_digit()) => {
                self.number()
            }
            'a'..='z' => TokenKind::Word(
                self.take(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.')).to_owned(),
            ),
            'A'..='Z' | '/' => self.path(),
            _ => self.symbol(first)?,
        };
        Ok(Token { at: start..self.position, kind })
    }

    /// A backslash stands for itself, so that regular expressions need no doubling; only before
    /// the quote it keeps the text open.
    fn quoted(&mut self, quote: char) -> Result<TokenKind, SyntaxError> {
        let start = self.position;
        let mut value = String::new();
        let mut characters = self.rest().char_indices().skip(1).peekable();
        while let Some((offset, character)) = characters.next() {
            if character == quote {
                self.position = start + offset + quote.len_utf8();
                return Ok(TokenKind::Text(value));
            }
            if character == '\\' && characters.peek().is_some_and(|(_, next)| *next == quote) {
                value.push(quote);
                characters.next();
            } else {
                value.push(character);
            }
        }
        Err(SyntaxError::new(start..self.text.len(), "this text has no closing quote")
            .help(format!("end it with {quote}")))
    }

    fn number(&mut self) -> TokenKind {
        let start = self.position;
        self.take(|c| matches!(c, '-' | '+'));
        self.take(|c| c.is_ascii_digit());
        let mut after_point = self.rest().chars();
        if after_point.next() == Some('.') && after_point.next().is_some_and(|c| c.is_ascii_digit())
        {
            self.position += 1;
            self.take(|c| c.is_ascii_digit());
        }
        TokenKind::Number(self.text.get(start..self.position).unwrap_or("").to_owned())
    }

    /// Takes as much as can belong to a path. A bracket belongs to it when it follows a name or
    /// a number without a space and holds only a number, `*` or `+`.
    fn path(&mut self) -> TokenKind {
        let start = self.position;
        loop {
            self.take(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '/' | '-' | '.'));
            let close = match self.peek() {
                Some('(') => ')',
                Some('[') => ']',
                _ => break,
            };
            let inside = self.rest().get(1..).unwrap_or("");
            let length = inside
                .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '*' | '+')))
                .unwrap_or(inside.len());
            if length == 0 || !inside.get(length..).is_some_and(|rest| rest.starts_with(close)) {
                break;
            }
            self.position += length + 2;
        }
        // A full stop or dash that ends a sentence is a slip to point at, and stays in the path.
        TokenKind::Path(self.text.get(start..self.position).unwrap_or("").to_owned())
    }

    fn symbol(&mut self, first: char) -> Result<TokenKind, SyntaxError> {
        let start = self.position;
        let rest = self.rest();
        for (written, suggestion) in
            [("==", "="), ("&&", "and"), ("||", "or"), ("<>", "!="), ("=~", "matches")]
        {
            if rest.starts_with(written) {
                return Err(SyntaxError::new(
                    start..start + written.len(),
                    format!("`{written}` is not known here"),
                )
                .help(format!("write `{suggestion}`")));
            }
        }
        for symbol in [
            Symbol::NotEqual,
            Symbol::LessOrEqual,
            Symbol::GreaterOrEqual,
            Symbol::Less,
            Symbol::Greater,
            Symbol::Equal,
            Symbol::Open,
            Symbol::Close,
            Symbol::OpenList,
            Symbol::CloseList,
            Symbol::Comma,
            Symbol::Pipe,
        ] {
            if rest.starts_with(symbol.written()) {
                self.position += symbol.written().len();
                return Ok(TokenKind::Symbol(symbol));
            }
        }
        let error = SyntaxError::new(
            start..start + first.len_utf8(),
            format!("the character `{first}` means nothing here"),
        );
        Err(match first {
            '!' => error.help("write `not`"),
            '“' | '”' | '„' | '‘' | '’' => error.help("write straight quotes: \"…\""),
            _ => error.help("put quotes around text: \"…\""),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let written: Vec<String> = tokens(text)
            .expect("tokens")
            .into_iter()
            .map(|token| match token.kind {
                TokenKind::Word(word) => format!("word {word}"),
                TokenKind::Path(path) => format!("path {path}"),
                TokenKind::Text(text) => format!("text {text}"),
                TokenKind::Number(number) => format!("number {number}"),
                TokenKind::Symbol(symbol) => symbol.written().to_owned(),
                TokenKind::End => "end".to_owned(),
            })
            .collect();
        assert_eq!(written, expected, "{text}");
    }

    #[test]
    fn paths_end_where_an_expression_goes_on() {
        check("PID-3[2].4.1 exists", &["path PID-3[2].4.1", "word exists", "end"]);
        check("any(OBX(*)-8)", &["word any", "(", "path OBX(*)-8", ")", "end"]);
        check("(PID-8)", &["(", "path PID-8", ")", "end"]);
        check(
            "/PATIENT_RESULT/ORDER_OBSERVATION(2)/OBX(1)-5>=7",
            &["path /PATIENT_RESULT/ORDER_OBSERVATION(2)/OBX(1)-5", ">=", "number 7", "end"],
        );
        check("PV1-2 in [\"I\"]", &["path PV1-2", "word in", "[", "text I", "]", "end"]);
        check("PID-3[+1].1", &["path PID-3[+1].1", "end"]);
    }

    #[test]
    fn a_backslash_in_a_text_stands_for_itself() {
        check(r#""^\d+$""#, &[r"text ^\d+$", "end"]);
        check(r#""say \"no\"""#, &["text say \"no\"", "end"]);
        check("'a\"b'", &["text a\"b", "end"]);
    }

    #[test]
    fn numbers_have_signs_and_fractions() {
        check("-1.50", &["number -1.50", "end"]);
        check("+3", &["number +3", "end"]);
        assert_eq!(tokens("7.").expect_err("a lone point").at, 1..2);
    }
}
