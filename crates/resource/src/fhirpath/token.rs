//! The words of FHIRPath's grammar (N1 §2, appendix A).

use super::decimal::Decimal;
use super::error::{ParseError, ParseProblem};
use super::temporal::{Date, DateTime, Time};

/// A word, and the byte it begins at.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub(super) at: usize,
    pub(super) kind: TokenKind,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum TokenKind {
    /// A name, whether a keyword or not.
    Name(String),
    /// A name in backticks: never a keyword.
    Delimited(String),
    String(String),
    Integer(i64),
    Decimal(Decimal),
    Date(Date),
    DateTime(DateTime),
    Time(Time),
    /// `%name`, `%'name'`, `` %`name` ``.
    Variable(String),
    /// `$this`, `$index`, `$total`.
    Dollar(Dollar),
    /// Punctuation and operators that are no words.
    Sign(&'static str),
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dollar {
    This,
    Index,
    Total,
}

/// Longer signs first.
const SIGNS: [&str; 22] = [
    "!=", "!~", "<=", ">=", "(", ")", "[", "]", "{", "}", ".", ",", "+", "-", "*", "/", "&", "|",
    "=", "~", "<", ">",
];

/// Cuts an expression into words, the last of them [`TokenKind::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, ParseError> {
    let mut scanner = Scanner { text, at: 0 };
    let mut tokens = Vec::new();
    loop {
        scanner.space()?;
        let at = scanner.at;
        let kind = scanner.token()?;
        let is_end = kind == TokenKind::End;
        tokens.push(Token { at, kind });
        if is_end {
            return Ok(tokens);
        }
    }
}

struct Scanner<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Scanner<'t> {
    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn error(&self, at: usize, problem: ParseProblem) -> ParseError {
        ParseError::at(self.text, at, problem)
    }

    fn space(&mut self) -> Result<(), ParseError> {
        loop {
            let rest = self.rest();
            if rest.starts_with("//") {
                self.at += rest.find(['\n', '\r']).unwrap_or(rest.len());
            } else if rest.starts_with("/*") {
                let end = rest.find("*/").ok_or(self.error(self.at, ParseProblem::Comment))?;
                self.at += end + 2;
            } else if matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
                self.at += 1;
            } else {
                return Ok(());
            }
        }
    }

    fn token(&mut self) -> Result<TokenKind, ParseError> {
        let Some(first) = self.peek() else { return Ok(TokenKind::End) };
        match first {
            b'\'' => self.quoted('\'').map(TokenKind::String),
            b'`' => self.quoted('`').map(TokenKind::Delimited),
            b'0'..=b'9' => self.number(),
            b'@' => self.temporal(),
            b'%' => self.variable(),
            b'$' => self.dollar(),
            b'A'..=b'Z' | b'a'..=b'z' | b'_' => Ok(TokenKind::Name(self.name().to_owned())),
            _ => match SIGNS.iter().find(|sign| self.rest().starts_with(**sign)) {
                Some(sign) => {
                    self.at += sign.len();
                    Ok(TokenKind::Sign(sign))
                }
                None => Err(self.error(self.at, ParseProblem::Character)),
            },
        }
    }

    fn take_while(&mut self, accept: impl Fn(u8) -> bool) -> &'t str {
        let rest = self.rest();
        let length = rest.bytes().take_while(|byte| accept(*byte)).count();
        self.at += length;
        rest.get(..length).unwrap_or("")
    }

    fn name(&mut self) -> &'t str {
        self.take_while(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    }

    fn number(&mut self) -> Result<TokenKind, ParseError> {
        let start = self.at;
        self.take_while(|byte| byte.is_ascii_digit());
        let mut after_point = self.rest().bytes().skip(1);
        let is_decimal = self.peek() == Some(b'.')
            && after_point.next().is_some_and(|byte| byte.is_ascii_digit());
        if is_decimal {
            self.at += 1;
            self.take_while(|byte| byte.is_ascii_digit());
        }
        let text = self.text.get(start..self.at).unwrap_or("");
        let too_large = || self.error(start, ParseProblem::Number);
        if is_decimal {
            Decimal::parse(text).map(TokenKind::Decimal).ok_or_else(too_large)
        } else {
            text.parse().map(TokenKind::Integer).map_err(|_| too_large())
        }
    }

    fn temporal(&mut self) -> Result<TokenKind, ParseError> {
        let start = self.at;
        self.at += 1;
        let mut text = self.take_while(|byte| byte.is_ascii_digit() || b"-:TZ+".contains(&byte));
        // A point belongs to the fraction of a second only: `@2015.toString()` is a call.
        let fraction = self
            .rest()
            .strip_prefix('.')
            .map(|rest| rest.bytes().take_while(u8::is_ascii_digit).count());
        if let (Some(digits @ 1..), true) = (fraction, text.contains(':')) {
            self.at += 1 + digits;
            self.take_while(|byte| byte.is_ascii_digit() || b"-:Z+".contains(&byte));
            text = self.text.get(start + 1..self.at).unwrap_or("");
        }
        let kind = if let Some(time) = text.strip_prefix('T') {
            Time::parse(time).map(TokenKind::Time)
        } else if text.contains('T') {
            DateTime::parse(text).map(TokenKind::DateTime)
        } else {
            Date::parse(text).map(TokenKind::Date)
        };
        kind.ok_or_else(|| self.error(start, ParseProblem::Temporal))
    }

    fn variable(&mut self) -> Result<TokenKind, ParseError> {
        let start = self.at;
        self.at += 1;
        let name = match self.peek() {
            Some(b'\'') => self.quoted('\'')?,
            Some(b'`') => self.quoted('`')?,
            _ => self.name().to_owned(),
        };
        if name.is_empty() {
            return Err(self.error(start, ParseProblem::Variable));
        }
        Ok(TokenKind::Variable(name))
    }

    fn dollar(&mut self) -> Result<TokenKind, ParseError> {
        let start = self.at;
        self.at += 1;
        let dollar = match self.name() {
            "this" => Dollar::This,
            "index" => Dollar::Index,
            "total" => Dollar::Total,
            _ => return Err(self.error(start, ParseProblem::Dollar)),
        };
        Ok(TokenKind::Dollar(dollar))
    }

    /// A text in quotes, its escapes resolved (N1 §2.3).
    fn quoted(&mut self, quote: char) -> Result<String, ParseError> {
        let start = self.at;
        let mut text = String::new();
        let mut characters = self.rest().char_indices().skip(1);
        let mut high = None;
        while let Some((offset, character)) = characters.next() {
            if character == quote {
                if high.is_some() {
                    return Err(self.error(start + offset, ParseProblem::Escape));
                }
                self.at = start + offset + 1;
                return Ok(text);
            }
            if character != '\\' {
                if high.is_some() {
                    return Err(self.error(start + offset, ParseProblem::Escape));
                }
                text.push(character);
                continue;
            }
            let wrong = || self.error(start + offset, ParseProblem::Escape);
            let (_, escape) = characters.next().ok_or_else(wrong)?;
            let plain = match escape {
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'f' => '\u{c}',
                '\'' | '"' | '`' | '\\' | '/' => escape,
                'u' => {
                    let mut unit = 0u32;
                    for _ in 0..4 {
                        let digit = characters.next().and_then(|(_, digit)| digit.to_digit(16));
                        unit = unit * 16 + digit.ok_or_else(wrong)?;
                    }
                    match (high.take(), unit) {
                        (None, 0xd800..=0xdbff) => {
                            high = Some(unit);
                            continue;
                        }
                        (Some(high), 0xdc00..=0xdfff) => {
                            let code = 0x10000 + ((high - 0xd800) << 10) + (unit - 0xdc00);
                            char::from_u32(code).ok_or_else(wrong)?
                        }
                        (None, _) => char::from_u32(unit).ok_or_else(wrong)?,
                        (Some(_), _) => return Err(wrong()),
                    }
                }
                _ => return Err(wrong()),
            };
            if high.is_some() {
                return Err(wrong());
            }
            text.push(plain);
        }
        Err(self.error(start, ParseProblem::Quote))
    }
}
