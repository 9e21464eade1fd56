//! From text to [`Expression`], with an answer to every slip.

use std::ops::Range;

use pipehat_config::nearest;
use pipehat_message::{Occurrence, Path};

use super::{Comparison, ConditionError, Expression, Operand, Reference, Subject, Test, pattern};

/// How deep parentheses and `not` may nest; also bounds the stack that evaluating needs.
const NESTING_MAX: usize = 32;

pub(super) fn expression(text: &str) -> Result<Expression, ConditionError> {
    let mut parser = Parser { text, position: 0 };
    let expression = parser.any_of(0)?;
    parser.blanks();
    if parser.rest().is_empty() {
        return Ok(expression);
    }
    let at = parser.next_token();
    let found = parser.written(&at);
    let error = error(at, format!("expected `and`, `or` or the end, found `{found}`"));
    Err(match nearest(found, ["and", "or"]) {
        Some(word) => error.help(format!("did you mean `{word}`?")),
        None => error.help("join two conditions with `and` or `or`"),
    })
}

fn error(at: Range<usize>, message: impl Into<String>) -> ConditionError {
    ConditionError { at, message: message.into(), help: None }
}

impl ConditionError {
    fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

struct Parser<'t> {
    text: &'t str,
    position: usize,
}

impl<'t> Parser<'t> {
    fn rest(&self) -> &'t str {
        self.text.get(self.position..).unwrap_or("")
    }

    fn blanks(&mut self) {
        let rest = self.rest();
        self.position += rest.len() - rest.trim_start().len();
    }

    fn written(&self, at: &Range<usize>) -> &'t str {
        self.text.get(at.clone()).unwrap_or("")
    }

    /// Where the next word, symbol or path stands.
    fn next_token(&self) -> Range<usize> {
        let rest = self.rest();
        let word = rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/')))
            .unwrap_or(rest.len());
        let length = if word > 0 { word } else { rest.chars().next().map_or(0, char::len_utf8) };
        self.position..self.position + length
    }

    fn word(&self) -> &'t str {
        let rest = self.rest();
        let end = rest.find(|c: char| !(c.is_ascii_lowercase() || c == '_')).unwrap_or(rest.len());
        // `andPID` is no word.
        let ends = rest.get(end..).and_then(|rest| rest.chars().next());
        if ends.is_some_and(|c| c.is_ascii_alphanumeric()) {
            ""
        } else {
            rest.get(..end).unwrap_or("")
        }
    }

    fn take_word(&mut self, word: &str) -> bool {
        self.blanks();
        let found = self.word() == word;
        if found {
            self.position += word.len();
        }
        found
    }

    fn take(&mut self, symbol: &str) -> bool {
        self.blanks();
        let found = self.rest().starts_with(symbol);
        if found {
            self.position += symbol.len();
        }
        found
    }

    fn unexpected(&self, wanted: &str) -> ConditionError {
        let at = self.next_token();
        let found = match self.written(&at) {
            "" => "the end".to_owned(),
            found => format!("`{found}`"),
        };
        error(at, format!("expected {wanted}, found {found}"))
    }

    fn any_of(&mut self, depth: usize) -> Result<Expression, ConditionError> {
        let mut all = vec![self.all_of(depth)?];
        while self.take_word("or") {
            all.push(self.all_of(depth)?);
        }
        Ok(one_or(all, Expression::Or))
    }

    fn all_of(&mut self, depth: usize) -> Result<Expression, ConditionError> {
        let mut all = vec![self.one(depth)?];
        while self.take_word("and") {
            all.push(self.one(depth)?);
        }
        Ok(one_or(all, Expression::And))
    }

    fn one(&mut self, depth: usize) -> Result<Expression, ConditionError> {
        self.blanks();
        if depth >= NESTING_MAX {
            return Err(error(self.next_token(), "this is nested too deep")
                .help("split the condition over several rules"));
        }
        if self.take_word("not") {
            return Ok(Expression::Not(Box::new(self.one(depth + 1)?)));
        }
        if self.take_word("true") {
            return Ok(Expression::Constant(true));
        }
        if self.take_word("false") {
            return Ok(Expression::Constant(false));
        }
        let open = self.position;
        if self.take("(") {
            let inner = self.any_of(depth + 1)?;
            if !self.take(")") {
                return Err(error(open..open + 1, "this `(` is never closed")
                    .help("write `)` where it ends"));
            }
            return Ok(inner);
        }
        self.condition()
    }

    fn condition(&mut self) -> Result<Expression, ConditionError> {
        let start = self.position;
        let word = self.word();
        let subject = match word {
            "any" | "all" | "count" => {
                self.position += word.len();
                if !self.take("(") {
                    return Err(self.unexpected(&format!("`(` and a path, as in `{word}(OBX-8)`")));
                }
                let reference = self.path()?;
                if !self.take(")") {
                    return Err(self.unexpected("`)` after the path"));
                }
                // Inside them, what is not numbered means every one.
                let reference = reference.of_all();
                match word {
                    "any" => Subject::Any(reference),
                    "all" => Subject::All(reference),
                    _ => Subject::Count(reference),
                }
            }
            _ => Subject::First(self.path()?),
        };
        let subject_at = start..self.position;
        let test = self.test(&subject, subject_at)?;
        Ok(match test {
            (test, false) => Expression::Test { subject, test },
            (test, true) => Expression::Not(Box::new(Expression::Test { subject, test })),
        })
    }

    /// The test, and whether it is negated as a whole.
    fn test(
        &mut self,
        subject: &Subject,
        subject_at: Range<usize>,
    ) -> Result<(Test, bool), ConditionError> {
        self.blanks();
        for (written, instead) in
            [("==", "="), ("<>", "!="), ("=~", "matches"), ("&&", "and"), ("||", "or")]
        {
            if self.rest().starts_with(written) {
                return Err(error(
                    self.position..self.position + written.len(),
                    format!("`{written}` is not known here"),
                )
                .help(format!("write `{instead}`")));
            }
        }
        let comparisons = [
            ("!=", Comparison::NotEqual),
            ("<=", Comparison::LessOrEqual),
            (">=", Comparison::GreaterOrEqual),
            ("=", Comparison::Equal),
            ("<", Comparison::Less),
            (">", Comparison::Greater),
        ];
        let found = comparisons.into_iter().find(|(symbol, _)| self.take(symbol));
        let test = if let Some((_, comparison)) = found {
            (Test::Compare(comparison, self.operand()?), false)
        } else if self.take_word("exists") {
            return Ok((Test::Exists, false));
        } else if self.take_word("in") {
            (Test::In { list: self.list()?, negated: false }, false)
        } else if self.take_word("not") {
            if self.take_word("exists") {
                return Ok((Test::Exists, true));
            }
            if !self.take_word("in") {
                return Err(self.unexpected("`in` or `exists` after `not`"));
            }
            (Test::In { list: self.list()?, negated: true }, false)
        } else if self.take_word("is") {
            let negated = self.take_word("not");
            if self.take_word("empty") {
                return Ok((Test::Empty, negated));
            }
            if self.take_word("null") {
                return Ok((Test::Null, negated));
            }
            return Err(self
                .unexpected("`empty` or `null` after `is`")
                .help("to compare, write `=`: `PV1-2 = \"I\"`"));
        } else if self.take_word("empty") {
            return Ok((Test::Empty, false));
        } else if self.take_word("null") {
            return Ok((Test::Null, false));
        } else if self.take_word("matches") {
            self.blanks();
            let start = self.position;
            let text = self.text_value()?;
            let regex = pattern(&text).map_err(|message| error(start..self.position, message))?;
            (Test::Matches(regex), false)
        } else if self.take_word("contains") {
            (Test::Contains(self.bytes()?), false)
        } else if self.take_word("starts") {
            self.with()?;
            (Test::StartsWith(self.bytes()?), false)
        } else if self.take_word("ends") {
            self.with()?;
            (Test::EndsWith(self.bytes()?), false)
        } else {
            return Err(self.no_test(subject_at));
        };
        if subject.names_segment() {
            let written = self.written(&subject_at);
            return Err(error(
                subject_at.clone(),
                format!("`{written}` names a whole segment, which has no single value"),
            )
            .help(format!("name a field: `{written}-1`")));
        }
        Ok(test)
    }

    fn no_test(&mut self, subject_at: Range<usize>) -> ConditionError {
        self.blanks();
        let known =
            ["exists", "is", "in", "not", "matches", "contains", "starts", "ends", "empty", "null"];
        if let Some(word) = nearest(self.word(), known) {
            return error(self.next_token(), "this is no test that can follow here")
                .help(format!("did you mean `{word}`?"));
        }
        let written = self.written(&subject_at);
        error(subject_at, format!("`{written}` alone is no condition"))
            .help(format!("say what about it, as in `{written} exists` or `{written} = \"A\"`"))
    }

    fn with(&mut self) -> Result<(), ConditionError> {
        if self.take_word("with") { Ok(()) } else { Err(self.unexpected("`with`")) }
    }

    fn list(&mut self) -> Result<Vec<Operand>, ConditionError> {
        self.blanks();
        let start = self.position;
        if !self.take("[") {
            return Err(self
                .unexpected("`[` and a list")
                .help("write a list: `in [\"A01\", \"A04\"]`; for one value `= \"A01\"`"));
        }
        let mut list = Vec::new();
        while !self.take("]") {
            if !list.is_empty() && !self.take(",") {
                return Err(self.unexpected("`,` or `]`"));
            }
            if !list.is_empty() && self.take("]") {
                break;
            }
            list.push(self.operand()?);
        }
        if list.is_empty() {
            return Err(error(start..self.position, "this list is empty")
                .help("put the values in: `in [\"A01\", \"A04\"]`"));
        }
        Ok(list)
    }

    fn operand(&mut self) -> Result<Operand, ConditionError> {
        self.blanks();
        let rest = self.rest();
        match rest.chars().next() {
            Some('"' | '\'') => {
                let start = self.position;
                let text = self.text_value()?;
                if text.is_empty() {
                    return Err(error(
                        start..self.position,
                        "nothing is ever equal to an empty text",
                    )
                    .help("write `is empty`, or `is null` for HL7's `\"\"`"));
                }
                Ok(Operand::Text(text.into_bytes().into()))
            }
            Some('0'..='9' | '-' | '+') => {
                let end = rest
                    .find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '-' | '+')))
                    .unwrap_or(rest.len());
                let number = rest.get(..end).unwrap_or("");
                if super::compare_numbers(number.as_bytes(), b"0").is_none() {
                    return Err(self.unexpected("a number"));
                }
                self.position += end;
                Ok(Operand::Number(number.as_bytes().into()))
            }
            Some('A'..='Z') => Ok(Operand::Path(self.path()?)),
            _ => Err(self.unexpected("a text in quotes, a number or a path")),
        }
    }

    fn bytes(&mut self) -> Result<Box<[u8]>, ConditionError> {
        Ok(self.text_value()?.into_bytes().into())
    }

    /// A backslash stands for itself; only before the quote it keeps the text open.
    fn text_value(&mut self) -> Result<String, ConditionError> {
        self.blanks();
        let start = self.position;
        let mut characters = self.rest().char_indices();
        let Some((_, quote @ ('"' | '\''))) = characters.next() else {
            return Err(self.unexpected("a text in quotes"));
        };
        let mut value = String::new();
        let mut characters = characters.peekable();
        while let Some((offset, character)) = characters.next() {
            if character == quote {
                self.position = start + offset + quote.len_utf8();
                return Ok(value);
            }
            if character == '\\' && characters.peek().is_some_and(|(_, next)| *next == quote) {
                value.push(quote);
                characters.next();
            } else {
                value.push(character);
            }
        }
        Err(error(start..self.text.len(), "this text has no closing quote")
            .help(format!("end it with {quote}")))
    }

    fn path(&mut self) -> Result<Reference, ConditionError> {
        self.blanks();
        let rest = self.rest();
        if !rest.starts_with(|c: char| c.is_ascii_uppercase()) {
            let word = self.word();
            if !word.is_empty() && rest.get(word.len()..).is_some_and(|rest| rest.starts_with('('))
            {
                return Err(error(
                    self.position..self.position + word.len(),
                    format!("`{word}` is not known in conditions of a profile"),
                )
                .help("the functions here are `any`, `all` and `count`"));
            }
            return Err(self.unexpected("a path, as in `PID-3`"));
        }
        let mut end = 0;
        let (mut numbered, mut repetition) = (false, false);
        loop {
            let inside = rest.get(end..).unwrap_or("");
            end += inside
                .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '/' | '-' | '.')))
                .unwrap_or(inside.len());
            let close = match rest.get(end..).and_then(|rest| rest.chars().next()) {
                Some('(') => ')',
                Some('[') => ']',
                _ => break,
            };
            let inside = rest.get(end + 1..).unwrap_or("");
            let Some(length) = inside.find(close).filter(|&length| {
                length > 0
                    && inside.get(..length).is_some_and(|inside| {
                        inside.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'*')
                    })
            }) else {
                break;
            };
            numbered |= close == ')';
            repetition |= close == ']';
            end += length + 2;
        }
        let written = rest.get(..end).unwrap_or("");
        let at = self.position..self.position + end;
        let path = Path::parse(written).map_err(|cause| error(at.clone(), cause.to_string()))?;
        if !path.groups().is_empty() {
            return Err(error(at, "a condition of a profile has no segment groups")
                .help("name the segment alone: the nearest one before is meant"));
        }
        self.position += end;
        Ok(Reference { path, numbered, repetition })
    }
}

impl Reference {
    fn of_all(mut self) -> Self {
        if !self.numbered {
            self.path = self.path.with_occurrence(Occurrence::All);
        }
        if self.path.field().is_some() && !self.repetition {
            self.path = self.path.with_repetition(Occurrence::All);
        }
        self
    }
}

impl Subject {
    fn names_segment(&self) -> bool {
        match self {
            Self::First(reference) | Self::Any(reference) | Self::All(reference) => {
                reference.path.field().is_none()
            }
            Self::Count(_) => false,
        }
    }
}

fn one_or(
    mut expressions: Vec<Expression>,
    several: fn(Vec<Expression>) -> Expression,
) -> Expression {
    match expressions.pop() {
        Some(only) if expressions.is_empty() => only,
        Some(last) => {
            expressions.push(last);
            several(expressions)
        }
        None => Expression::Constant(false),
    }
}
