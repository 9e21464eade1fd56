//! Reading an expression: FHIRPath N1's grammar by precedence climbing, in bounded depth.

use regex::{Regex, RegexBuilder};

use super::error::{ParseError, ParseProblem};
use super::function::{Function, FunctionId};
use super::item::System;
use super::model::Type;
use super::quantity::Quantity;
use super::syntax::{Call, Literal, Node, NodeKind, Operator, TypeName, TypeOperation, TypeTarget};
use super::token::{Token, TokenKind, tokens};
use super::{Decimal, EXPRESSION_BYTES_MAX, EXPRESSION_DEPTH_MAX, PATTERN_BYTES_MAX};

/// Reads a whole expression.
pub(super) fn parse(text: &str) -> Result<Node, ParseError> {
    if text.len() > EXPRESSION_BYTES_MAX {
        return Err(ParseError { column: 1, problem: ParseProblem::Length });
    }
    let tokens = tokens(text)?;
    let mut parser = Parser { text, tokens, next: 0, depth: 0 };
    if parser.peek() == &TokenKind::End {
        return Err(parser.error(ParseProblem::Empty));
    }
    let node = parser.expression(0)?;
    match parser.peek() {
        TokenKind::End => Ok(node),
        _ => Err(parser.error(ParseProblem::Expected("an operator or the end"))),
    }
}

/// A pattern as FHIRPath means it: a point is any character, in bounded size.
pub(super) fn pattern(text: &str) -> Option<Regex> {
    RegexBuilder::new(text)
        .dot_matches_new_line(true)
        .size_limit(PATTERN_BYTES_MAX)
        .dfa_size_limit(PATTERN_BYTES_MAX)
        .build()
        .ok()
}

/// A pattern that a whole text has to match.
pub(super) fn full_pattern(text: &str) -> Option<Regex> {
    pattern(text).and_then(|_| pattern(&format!("\\A(?:{text})\\z")))
}

struct Parser<'t> {
    text: &'t str,
    tokens: Vec<Token>,
    next: usize,
    depth: usize,
}

impl Parser<'_> {
    fn peek(&self) -> &TokenKind {
        self.peek_behind(0)
    }

    fn peek_behind(&self, count: usize) -> &TokenKind {
        self.tokens.get(self.next + count).map_or(&TokenKind::End, |token| &token.kind)
    }

    fn at(&self) -> usize {
        self.tokens.get(self.next).map_or(self.text.len(), |token| token.at)
    }

    fn take(&mut self) -> TokenKind {
        let kind = self
            .tokens
            .get_mut(self.next)
            .map(|token| std::mem::replace(&mut token.kind, TokenKind::End));
        self.next += 1;
        kind.unwrap_or(TokenKind::End)
    }

    fn error(&self, problem: ParseProblem) -> ParseError {
        ParseError::at(self.text, self.at(), problem)
    }

    fn is_sign(&self, sign: &str) -> bool {
        matches!(self.peek(), TokenKind::Sign(own) if *own == sign)
    }

    fn eat(&mut self, sign: &str) -> bool {
        let is_there = self.is_sign(sign);
        self.next += usize::from(is_there);
        is_there
    }

    fn expect(&mut self, sign: &str, expected: &'static str) -> Result<(), ParseError> {
        if self.eat(sign) { Ok(()) } else { Err(self.error(ParseProblem::Expected(expected))) }
    }

    fn operator(&self) -> Option<Operator> {
        let word = match self.peek() {
            TokenKind::Sign(sign) => sign,
            TokenKind::Name(name) => name.as_str(),
            _ => return None,
        };
        Operator::ALL.iter().find(|(own, _)| *own == word).map(|(_, operator)| *operator)
    }

    /// Operators that bind at least as tightly as `least`.
    fn expression(&mut self, least: u8) -> Result<Node, ParseError> {
        let mut left = self.nested(Self::unary)?;
        while let Some(operator) = self.operator() {
            let (at, precedence) = (self.at(), operator.precedence());
            if precedence < least {
                break;
            }
            self.take();
            if let Operator::Is | Operator::As = operator {
                let operation =
                    if operator == Operator::Is { TypeOperation::Is } else { TypeOperation::As };
                let kind = NodeKind::OfType(operation, self.type_name()?);
                left = chained(left, Node { at, kind });
                continue;
            }
            let right = self.nested(|parser| parser.expression(precedence + 1))?;
            left = match left.kind {
                NodeKind::Binary(first, mut rest)
                    if rest.first().is_some_and(|(own, _)| own.precedence() == precedence) =>
                {
                    rest.push((operator, right));
                    Node { at: left.at, kind: NodeKind::Binary(first, rest) }
                }
                kind => {
                    let first = Box::new(Node { at: left.at, kind });
                    Node { at, kind: NodeKind::Binary(first, vec![(operator, right)]) }
                }
            };
        }
        Ok(left)
    }

    fn nested<T>(
        &mut self,
        parse: impl FnOnce(&mut Self) -> Result<T, ParseError>,
    ) -> Result<T, ParseError> {
        // An operand is two levels: the operator's and its own.
        if self.depth >= 2 * EXPRESSION_DEPTH_MAX {
            return Err(self.error(ParseProblem::Depth));
        }
        self.depth += 1;
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    fn unary(&mut self) -> Result<Node, ParseError> {
        let at = self.at();
        if self.eat("-") {
            let operand = self.nested(Self::unary)?;
            return Ok(Node { at, kind: NodeKind::Negate(Box::new(operand)) });
        }
        if self.eat("+") {
            let operand = self.nested(Self::unary)?;
            return Ok(Node { at, kind: NodeKind::Plus(Box::new(operand)) });
        }
        let mut node = self.term()?;
        loop {
            let at = self.at();
            if self.eat(".") {
                let step = self.invocation()?;
                node = chained(node, step);
            } else if self.eat("[") {
                let index = self.nested(|parser| parser.expression(0))?;
                self.expect("]", "`]`")?;
                node = chained(node, Node { at, kind: NodeKind::Index(Box::new(index)) });
            } else {
                return Ok(node);
            }
        }
    }

    fn term(&mut self) -> Result<Node, ParseError> {
        let at = self.at();
        let kind = match self.peek() {
            TokenKind::Sign("(") => {
                self.take();
                let inner = self.nested(|parser| parser.expression(0))?;
                self.expect(")", "`)`")?;
                return Ok(inner);
            }
            TokenKind::Sign("{") => {
                self.take();
                self.expect("}", "`}`")?;
                NodeKind::Empty
            }
            TokenKind::Name(name) if name == "true" || name == "false" => {
                let value = name == "true";
                self.take();
                NodeKind::Literal(Literal::Boolean(value))
            }
            TokenKind::Name(name) | TokenKind::Delimited(name) => {
                let is_type = name.starts_with(|first: char| first.is_ascii_uppercase());
                let node = self.invocation()?;
                match node.kind {
                    NodeKind::Member(name) if is_type => {
                        let type_ = Type::named(&name);
                        return Ok(Node { at, kind: NodeKind::TypeOrMember(name, type_) });
                    }
                    _ => return Ok(node),
                }
            }
            TokenKind::Dollar(_) => return self.invocation(),
            TokenKind::Sign(_) | TokenKind::End => {
                return Err(self.error(ParseProblem::Expected("a value, a name or `(`")));
            }
            _ => match self.take() {
                TokenKind::String(text) => NodeKind::Literal(Literal::String(text.into())),
                TokenKind::Integer(value) => {
                    let number = Literal::Integer(value);
                    NodeKind::Literal(self.quantity(Decimal::from(value)).unwrap_or(number))
                }
                TokenKind::Decimal(value) => {
                    NodeKind::Literal(self.quantity(value).unwrap_or(Literal::Decimal(value)))
                }
                TokenKind::Date(value) => NodeKind::Literal(Literal::Date(value)),
                TokenKind::DateTime(value) => NodeKind::Literal(Literal::DateTime(value)),
                TokenKind::Time(value) => NodeKind::Literal(Literal::Time(value)),
                TokenKind::Variable(name) => NodeKind::Variable(name.into()),
                TokenKind::Name(_)
                | TokenKind::Delimited(_)
                | TokenKind::Dollar(_)
                | TokenKind::Sign(_)
                | TokenKind::End => NodeKind::Empty,
            },
        };
        Ok(Node { at, kind })
    }

    /// The unit behind a number makes a quantity of it: `4 days`, `5 'mg'`.
    fn quantity(&mut self, value: Decimal) -> Option<Literal> {
        let quantity = match self.peek() {
            // `1 'month'` is meant as the calendar's as well.
            TokenKind::String(unit) => Quantity::calendar(value, unit)
                .unwrap_or_else(|| Quantity::ucum(value, unit.clone())),
            TokenKind::Name(unit) => Quantity::calendar(value, unit)?,
            _ => return None,
        };
        self.take();
        Some(Literal::Quantity(quantity))
    }

    /// A member or a call, at the beginning of a path or behind a point.
    fn invocation(&mut self) -> Result<Node, ParseError> {
        let at = self.at();
        let (name, is_delimited) = match self.peek() {
            TokenKind::Name(_) | TokenKind::Delimited(_) | TokenKind::Dollar(_) => {
                match self.take() {
                    TokenKind::Name(name) => (name, false),
                    TokenKind::Delimited(name) => (name, true),
                    TokenKind::Dollar(dollar) => {
                        return Ok(Node { at, kind: NodeKind::Dollar(dollar) });
                    }
                    _ => return Err(self.error(ParseProblem::Expected("a name"))),
                }
            }
            _ => return Err(self.error(ParseProblem::Expected("a name or a function"))),
        };
        if is_delimited || !self.eat("(") {
            return Ok(Node { at, kind: NodeKind::Member(name.into()) });
        }
        let operation = match name.as_str() {
            "is" => Some(TypeOperation::Is),
            "as" => Some(TypeOperation::As),
            "ofType" => Some(TypeOperation::OfType),
            _ => None,
        };
        if let Some(operation) = operation {
            let type_name = self.type_name()?;
            self.expect(")", "`)`")?;
            return Ok(Node { at, kind: NodeKind::OfType(operation, type_name) });
        }
        self.call(at, &name)
    }

    fn call(&mut self, at: usize, name: &str) -> Result<Node, ParseError> {
        let Some(function) = Function::named(name) else {
            let problem = ParseProblem::UnknownFunction(name.to_owned());
            return Err(ParseError::at(self.text, at, problem));
        };
        let mut arguments = Vec::new();
        if !self.eat(")") {
            loop {
                arguments.push(self.nested(|parser| parser.expression(0))?);
                if self.eat(")") {
                    break;
                }
                self.expect(",", "`,` or `)`")?;
            }
        }
        if !function.takes(arguments.len()) {
            let problem = ParseProblem::Arguments { name: function.name, takes: function.arity() };
            return Err(ParseError::at(self.text, at, problem));
        }
        let pattern = self.literal_pattern(function.id, &arguments)?;
        Ok(Node { at, kind: NodeKind::Call(Call { function, arguments, pattern }) })
    }

    /// Compiles a pattern that is a literal, once.
    fn literal_pattern(
        &self,
        function: FunctionId,
        arguments: &[Node],
    ) -> Result<Option<Regex>, ParseError> {
        let Some(Node { at, kind: NodeKind::Literal(Literal::String(text)) }) = arguments.first()
        else {
            return Ok(None);
        };
        let compiled = match function {
            FunctionId::Matches | FunctionId::ReplaceMatches => pattern(text),
            FunctionId::MatchesFull => full_pattern(text),
            _ => return Ok(None),
        };
        match compiled {
            Some(compiled) => Ok(Some(compiled)),
            None => Err(ParseError::at(self.text, *at, ParseProblem::Pattern)),
        }
    }

    /// A type, with or without its namespace.
    fn type_name(&mut self) -> Result<TypeName, ParseError> {
        let first = self.identifier()?;
        if (first == "FHIR" || first == "System") && self.is_sign(".") {
            self.take();
            let name = self.identifier()?;
            let target = if first == "FHIR" {
                Type::named(&name).map(TypeTarget::Fhir)
            } else {
                Some(System::named(&name).map_or(TypeTarget::Nothing, TypeTarget::System))
            };
            return Ok(TypeName { name: format!("{first}.{name}").into(), target });
        }
        let target = Type::named(&first)
            .map(TypeTarget::Fhir)
            .or_else(|| System::named(&first).map(TypeTarget::System));
        Ok(TypeName { name: first.into(), target })
    }

    fn identifier(&mut self) -> Result<String, ParseError> {
        match self.peek() {
            TokenKind::Name(_) | TokenKind::Delimited(_) => match self.take() {
                TokenKind::Name(name) | TokenKind::Delimited(name) => Ok(name),
                _ => Err(self.error(ParseProblem::Expected("the name of a type"))),
            },
            _ => Err(self.error(ParseProblem::Expected("the name of a type"))),
        }
    }
}

/// One more step on a path.
fn chained(node: Node, step: Node) -> Node {
    match node.kind {
        NodeKind::Chain(first, mut steps) => {
            steps.push(step);
            Node { at: node.at, kind: NodeKind::Chain(first, steps) }
        }
        kind => {
            let at = node.at;
            let first = Box::new(Node { at, kind });
            Node { at, kind: NodeKind::Chain(first, vec![step]) }
        }
    }
}
