//! Reads expressions: from text to [`Expression`], with an answer to every slip.
//!
//! ```text
//! expression = all { "or" all }             all = one { "and" one }
//! one        = "not" one | "(" expression ")" | "true" | "false" | subject test
//! subject    = operand | ( "any" | "all" ) "(" path ")"
//! test       = ( "=" | "!=" | "<" | "<=" | ">" | ">=" ) operand
//!            | [ "not" ] "in" "[" operand { "," operand } "]"
//!            | "exists" | [ "is" ] [ "not" ] ( "empty" | "null" )
//!            | "matches" text | "contains" operand | ( "starts" | "ends" ) "with" operand
//! operand    = path | text | number | fact | "count" "(" path ")" | function "(" operand { "," operand } ")"
//! ```

use std::ops::Range;

use pipehat_config::nearest;
use pipehat_connectors::ChangeKind;

use super::SyntaxError;
use super::expression::{Comparison, Expression, Operand, PlaceTest, Quantifier, Test};
use super::facts::Fact;
use super::reference::{Scope, Use};
use super::token::{Symbol, Token, TokenKind, tokens};

/// How deep parentheses, `not` and functions may nest; also bounds the evaluation's stack.
const NESTING_MAX: usize = 32;

/// How much memory a compiled pattern may take: above any pattern a person writes.
const REGEX_BYTES_MAX: usize = 1 << 20;

/// Reads a condition.
pub(super) fn expression(text: &str, scope: &Scope) -> Result<Expression, SyntaxError> {
    let mut parser = Parser::new(text, scope)?;
    let expression = parser.any_of(0)?;
    parser.end()?;
    Ok(expression)
}

/// Reads what stands between the braces of a template: an operand, then `|function` as often as
/// wanted.
pub(super) fn placeholder(text: &str, scope: &Scope) -> Result<Operand, SyntaxError> {
    let mut parser = Parser::new(text, scope)?;
    let mut operand = parser.operand(0)?;
    while parser.take(Symbol::Pipe) {
        let token = parser.next();
        let function = parser.function_named(&token)?;
        let mut arguments = vec![operand];
        let mut places = vec![token.at.clone()];
        if parser.take(Symbol::Open) && !parser.take(Symbol::Close) {
            parser.arguments(0, &mut arguments, &mut places)?;
        }
        operand = parser.call(function, &token.at, arguments, &places)?;
    }
    parser.end()?;
    Ok(operand)
}

pub(super) struct Parser<'p> {
    text: &'p str,
    pub(super) scope: &'p Scope,
    tokens: Vec<Token>,
    pub(super) position: usize,
}

impl<'p> Parser<'p> {
    fn new(text: &'p str, scope: &'p Scope) -> Result<Self, SyntaxError> {
        Ok(Self { text, scope, tokens: tokens(text)?, position: 0 })
    }

    pub(super) fn peek(&self) -> &TokenKind {
        self.tokens.get(self.position).map_or(&TokenKind::End, |token| &token.kind)
    }

    pub(super) fn here(&self) -> Range<usize> {
        let end = self.text.len();
        self.tokens.get(self.position).map_or(end..end, |token| token.at.clone())
    }

    pub(super) fn next(&mut self) -> Token {
        let token = Token { at: self.here(), kind: self.peek().clone() };
        self.position += 1;
        token
    }

    pub(super) fn take(&mut self, symbol: Symbol) -> bool {
        let found = *self.peek() == TokenKind::Symbol(symbol);
        if found {
            self.position += 1;
        }
        found
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), TokenKind::Word(own) if own == word);
        if found {
            self.position += 1;
        }
        found
    }

    pub(super) fn expect(&mut self, symbol: Symbol, purpose: &str) -> Result<(), SyntaxError> {
        if self.take(symbol) {
            return Ok(());
        }
        Err(self.unexpected(&format!("`{}` {purpose}", symbol.written())))
    }

    pub(super) fn unexpected(&self, wanted: &str) -> SyntaxError {
        let found = match self.peek() {
            TokenKind::End => "the end".to_owned(),
            TokenKind::Word(word) | TokenKind::Path(word) | TokenKind::Number(word) => {
                format!("`{word}`")
            }
            TokenKind::Text(_) => "a text".to_owned(),
            TokenKind::Symbol(symbol) => format!("`{}`", symbol.written()),
        };
        SyntaxError::new(self.here(), format!("expected {wanted}, found {found}"))
    }

    fn end(&self) -> Result<(), SyntaxError> {
        match self.peek() {
            TokenKind::End => Ok(()),
            TokenKind::Symbol(Symbol::Close) => {
                Err(SyntaxError::new(self.here(), "this `)` closes nothing"))
            }
            TokenKind::Word(word) => {
                let error = self.unexpected("`and`, `or` or the end");
                Err(match nearest(word, ["and", "or"]) {
                    Some(word) => error.help(format!("did you mean `{word}`?")),
                    None => error,
                })
            }
            _ => Err(self
                .unexpected("`and`, `or` or the end")
                .help("join two conditions with `and` or `or`")),
        }
    }

    pub(super) fn deeper(&self, depth: usize) -> Result<usize, SyntaxError> {
        if depth >= NESTING_MAX {
            return Err(SyntaxError::new(self.here(), "this is nested too deep")
                .help("split the condition over several `when` steps"));
        }
        Ok(depth + 1)
    }

    fn any_of(&mut self, depth: usize) -> Result<Expression, SyntaxError> {
        let mut all = vec![self.all_of(depth)?];
        while self.take_word("or") {
            all.push(self.all_of(depth)?);
        }
        Ok(one_or(all, Expression::Or))
    }

    fn all_of(&mut self, depth: usize) -> Result<Expression, SyntaxError> {
        let mut all = vec![self.one(depth)?];
        while self.take_word("and") {
            all.push(self.one(depth)?);
        }
        Ok(one_or(all, Expression::And))
    }

    fn one(&mut self, depth: usize) -> Result<Expression, SyntaxError> {
        let depth = self.deeper(depth)?;
        if self.take_word("not") {
            return Ok(Expression::Not(Box::new(self.one(depth)?)));
        }
        if self.take_word("true") {
            return Ok(Expression::Constant(true));
        }
        if self.take_word("false") {
            return Ok(Expression::Constant(false));
        }
        let open = self.here();
        if self.take(Symbol::Open) {
            let inner = self.any_of(depth)?;
            if !self.take(Symbol::Close) {
                return Err(SyntaxError::new(open, "this `(` is never closed")
                    .help("write `)` where it ends"));
            }
            return Ok(inner);
        }
        self.condition(depth)
    }

    fn condition(&mut self, depth: usize) -> Result<Expression, SyntaxError> {
        let start = self.here();
        let quantifier = match self.peek() {
            TokenKind::Word(word) if word == "any" => Quantifier::Any,
            TokenKind::Word(word) if word == "all" => Quantifier::All,
            _ => Quantifier::First,
        };
        let subject = if quantifier == Quantifier::First {
            self.operand(depth)?
        } else {
            self.position += 1;
            self.expect(Symbol::Open, "and a path, as in `any(OBX-8) = \"H\"`")?;
            let reference = self.path(Use::ReadAll)?;
            self.expect(Symbol::Close, "after the path")?;
            Operand::Path(reference, quantifier)
        };
        let subject_at = start.start..self.end_of_last();
        self.test(subject, quantifier, subject_at)
    }

    fn end_of_last(&self) -> usize {
        let last = self.position.checked_sub(1).and_then(|index| self.tokens.get(index));
        last.map_or(0, |token| token.at.end)
    }

    fn test(
        &mut self,
        subject: Operand,
        quantifier: Quantifier,
        subject_at: Range<usize>,
    ) -> Result<Expression, SyntaxError> {
        let token = self.next();
        let test = match &token.kind {
            TokenKind::Symbol(symbol) => match comparison(*symbol) {
                Some(comparison) => {
                    let right_at = self.here();
                    let right = self.operand(0)?;
                    self.comparable(&right, &right_at)?;
                    if subject.is_fixed() && right.is_fixed() {
                        return Err(SyntaxError::new(
                            subject_at.start..self.end_of_last(),
                            "this compares two fixed values: its answer never changes",
                        )
                        .help("name a field on one side, as in `PV1-2 = \"I\"`"));
                    }
                    Test::Compare(comparison, right)
                }
                None => return Err(self.no_test(&token, &subject, &subject_at)),
            },
            TokenKind::Word(word) => match word.as_str() {
                "exists" => return place(subject, quantifier, PlaceTest::Exists),
                "empty" | "null" => return place(subject, quantifier, place_test(word, false)),
                "is" => return self.is(subject, quantifier),
                "in" => self.list(false)?,
                "not" if self.take_word("in") => self.list(true)?,
                "not" if self.take_word("exists") => {
                    let exists = place(subject, quantifier, PlaceTest::Exists)?;
                    return Ok(Expression::Not(Box::new(exists)));
                }
                "matches" => self.matches()?,
                "contains" => Test::Contains(self.value()?),
                "starts" => {
                    self.with("starts")?;
                    Test::StartsWith(self.value()?)
                }
                "ends" => {
                    self.with("ends")?;
                    Test::EndsWith(self.value()?)
                }
                _ => return Err(self.no_test(&token, &subject, &subject_at)),
            },
            _ => return Err(self.no_test(&token, &subject, &subject_at)),
        };
        self.comparable(&subject, &subject_at)?;
        self.kinds_of_change(&subject, &test, subject_at.start..self.end_of_last())?;
        Ok(Expression::Test { subject, test })
    }

    /// The subject stands there, but what follows says nothing about it.
    fn no_test(&mut self, token: &Token, subject: &Operand, at: &Range<usize>) -> SyntaxError {
        if let TokenKind::Word(word) = &token.kind {
            let known = [
                "exists", "is", "in", "not", "matches", "contains", "starts", "ends", "and", "or",
                "empty", "null",
            ];
            if let Some(word) =
                nearest(word, known).filter(|_| !matches!(word.as_str(), "and" | "or"))
            {
                return SyntaxError::new(token.at.clone(), "this is no test that can follow here")
                    .help(format!("did you mean `{word}`?"));
            }
        }
        let written = self.text.get(at.clone()).unwrap_or("").to_owned();
        let help = match subject {
            Operand::Path(..) => {
                format!("say what about it, as in `{written} exists` or `{written} = \"A\"`")
            }
            _ => "say what about it, as in `PV1-2 = \"I\"`".to_owned(),
        };
        SyntaxError::new(at.clone(), format!("`{written}` alone is no condition")).help(help)
    }

    fn is(&mut self, subject: Operand, quantifier: Quantifier) -> Result<Expression, SyntaxError> {
        let negated = self.take_word("not");
        let word = match self.peek() {
            TokenKind::Word(word) if word == "empty" || word == "null" => word.clone(),
            _ => {
                return Err(self
                    .unexpected("`empty` or `null` after `is`")
                    .help("to compare, write `=`: `PV1-2 = \"I\"`"));
            }
        };
        self.position += 1;
        place(subject, quantifier, place_test(&word, negated))
    }

    fn with(&mut self, word: &str) -> Result<(), SyntaxError> {
        if self.take_word("with") {
            return Ok(());
        }
        Err(self.unexpected("`with`").help(format!("write `{word} with`")))
    }

    fn value(&mut self) -> Result<Operand, SyntaxError> {
        let at = self.here();
        let operand = self.operand(0)?;
        self.comparable(&operand, &at)?;
        Ok(operand)
    }

    fn list(&mut self, negated: bool) -> Result<Test, SyntaxError> {
        if !self.take(Symbol::OpenList) {
            return Err(self
                .unexpected("`[` and a list")
                .help("write a list: `in [\"A01\", \"A04\"]`; for one value `= \"A01\"`"));
        }
        let mut list = Vec::new();
        loop {
            if self.take(Symbol::CloseList) {
                break;
            }
            list.push(self.value()?);
            if self.take(Symbol::CloseList) {
                break;
            }
            self.expect(Symbol::Comma, "or `]`")?;
        }
        if list.is_empty() {
            let at = self.end_of_last();
            return Err(SyntaxError::new(at.saturating_sub(1)..at, "this list is empty")
                .help("put the values in: `in [\"A01\", \"A04\"]`"));
        }
        Ok(Test::In { list: list.into(), negated })
    }

    fn matches(&mut self) -> Result<Test, SyntaxError> {
        let at = self.here();
        let TokenKind::Text(pattern) = self.peek().clone() else {
            return Err(self.unexpected("a pattern in quotes, as in `matches \"^A[0-9]+$\"`"));
        };
        self.position += 1;
        let built = regex::RegexBuilder::new(&pattern)
            .size_limit(REGEX_BYTES_MAX)
            .dfa_size_limit(REGEX_BYTES_MAX)
            .build();
        match built {
            Ok(regex) => Ok(Test::Matches(regex)),
            Err(regex::Error::CompiledTooBig(_)) => {
                Err(SyntaxError::new(at, "this pattern is too large")
                    .help("repeat less in it, such as `{1,10}` for `{1,1000}`"))
            }
            Err(error) => {
                let reason = error.to_string();
                let reason = reason.lines().last().unwrap_or("");
                let reason = reason.strip_prefix("error: ").unwrap_or(reason);
                Err(SyntaxError::new(at, format!("this pattern can't be read: {reason}"))
                    .help("put a `\\` before characters that stand for themselves, such as `\\(`"))
            }
        }
    }

    /// Refuses what no change of a resource is called.
    fn kinds_of_change(
        &self,
        subject: &Operand,
        test: &Test,
        at: Range<usize>,
    ) -> Result<(), SyntaxError> {
        let compared: &[Operand] = match test {
            Test::Compare(Comparison::Equal | Comparison::NotEqual, operand) => {
                std::slice::from_ref(operand)
            }
            Test::In { list, .. } => list,
            _ => return Ok(()),
        };
        let Operand::Fact(Fact::CHANGE_KIND) = subject else { return Ok(()) };
        let kinds = ChangeKind::ALL.map(ChangeKind::as_str);
        let unknown = compared.iter().find_map(|operand| match operand {
            Operand::Text(text) if !kinds.contains(&&**text) => Some(text),
            _ => None,
        });
        let Some(unknown) = unknown else { return Ok(()) };
        let error = SyntaxError::new(at, "a change is `create`, `update` or `delete`");
        Err(match nearest(unknown, kinds) {
            Some(near) => error.help(format!("did you mean `{near}`?")),
            None => error,
        })
    }

    /// Refuses operands no value can be compared with.
    fn comparable(&self, operand: &Operand, at: &Range<usize>) -> Result<(), SyntaxError> {
        match operand {
            Operand::Text(text) if text.is_empty() => {
                Err(SyntaxError::new(at.clone(), "nothing is ever equal to an empty text")
                    .help("write `is empty`, or `is null` for HL7's `\"\"`"))
            }
            Operand::Path(reference, _) if reference.depth() == 0 => {
                let written = reference.written();
                Err(SyntaxError::new(
                    at.clone(),
                    format!("`{written}` names a whole segment, which has no single value"),
                )
                .help(format!(
                    "name a field (`{written}-1`); a text goes in quotes (`\"{written}\"`)"
                )))
            }
            _ => Ok(()),
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

fn comparison(symbol: Symbol) -> Option<Comparison> {
    Some(match symbol {
        Symbol::Equal => Comparison::Equal,
        Symbol::NotEqual => Comparison::NotEqual,
        Symbol::Less => Comparison::Less,
        Symbol::LessOrEqual => Comparison::LessOrEqual,
        Symbol::Greater => Comparison::Greater,
        Symbol::GreaterOrEqual => Comparison::GreaterOrEqual,
        Symbol::Open
        | Symbol::Close
        | Symbol::OpenList
        | Symbol::CloseList
        | Symbol::Comma
        | Symbol::Pipe => return None,
    })
}

fn place_test(word: &str, negated: bool) -> (PlaceTest, bool) {
    let test = if word == "null" { PlaceTest::Null } else { PlaceTest::Empty };
    (test, negated)
}

/// A condition on the place itself; a fact or a function's result can only be there or not.
fn place(
    subject: Operand,
    quantifier: Quantifier,
    is: impl Into<PlaceCondition>,
) -> Result<Expression, SyntaxError> {
    let PlaceCondition { test, negated } = is.into();
    let expression = match subject {
        Operand::Path(reference, _) => Expression::Place { reference, quantifier, is: test },
        subject => {
            let valued = test == PlaceTest::Exists;
            Expression::Test { subject, test: Test::Valued { negated: !valued } }
        }
    };
    Ok(if negated { Expression::Not(Box::new(expression)) } else { expression })
}

struct PlaceCondition {
    test: PlaceTest,
    negated: bool,
}

impl From<PlaceTest> for PlaceCondition {
    fn from(test: PlaceTest) -> Self {
        Self { test, negated: false }
    }
}

impl From<(PlaceTest, bool)> for PlaceCondition {
    fn from((test, negated): (PlaceTest, bool)) -> Self {
        Self { test, negated }
    }
}
