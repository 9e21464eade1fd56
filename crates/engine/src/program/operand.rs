//! Reads operands: paths, texts, numbers, facts and functions of them.

use std::ops::Range;

use pipehat_config::nearest;

use super::SyntaxError;
use super::expression::{Operand, Quantifier};
use super::facts::Fact;
use super::function::{Function, Parameter};
use super::grammar::Parser;
use super::reference::{Reference, Use};
use super::token::{Symbol, Token, TokenKind};

impl Parser<'_> {
    pub(super) fn path(&mut self, wanted: Use) -> Result<Reference, SyntaxError> {
        let token = self.next();
        match &token.kind {
            TokenKind::Path(path) => Reference::parse(path, self.scope, wanted).map_err(|error| {
                if looks_like_path(path) {
                    error.moved(token.at.start)
                } else {
                    SyntaxError::new(token.at.clone(), format!("`{path}` is not a path"))
                        .help(format!("a text goes in quotes: `\"{path}\"`"))
                }
            }),
            _ => {
                self.position -= 1;
                Err(self.unexpected("a path such as `PID-3.1`"))
            }
        }
    }

    pub(super) fn operand(&mut self, depth: usize) -> Result<Operand, SyntaxError> {
        let depth = self.deeper(depth)?;
        let token = self.next();
        match &token.kind {
            TokenKind::Text(text) => Ok(Operand::Text(text.as_str().into())),
            TokenKind::Number(number) => Ok(Operand::Number(number.as_str().into())),
            TokenKind::Path(_) => {
                self.position -= 1;
                Ok(Operand::Path(self.path(Use::Read)?, Quantifier::First))
            }
            TokenKind::Word(word) if *self.peek() == TokenKind::Symbol(Symbol::Open) => {
                self.position += 1;
                self.called(word, &token, depth)
            }
            TokenKind::Word(word) => match Fact::named(word) {
                Some(fact) => Ok(Operand::Fact(fact)),
                None => Err(unknown_word(word, &token.at)),
            },
            TokenKind::Symbol(_) | TokenKind::End => {
                self.position -= 1;
                Err(self.unexpected("a path, a text in quotes or a number"))
            }
        }
    }

    /// A function's arguments, after its `(`.
    fn called(&mut self, word: &str, token: &Token, depth: usize) -> Result<Operand, SyntaxError> {
        match word {
            "count" => {
                let reference = self.path(Use::ReadAll)?;
                self.expect(Symbol::Close, "after the path")?;
                return Ok(Operand::Count(reference));
            }
            "header" => {
                let TokenKind::Text(name) = self.next().kind else {
                    self.position -= 1;
                    return Err(self.unexpected("a header's name in quotes"));
                };
                self.expect(Symbol::Close, "after the name")?;
                return Ok(Operand::Fact(Fact::Header(name.into())));
            }
            "any" | "all" => {
                return Err(SyntaxError::new(
                    token.at.clone(),
                    format!("`{word}(…)` stands only at the beginning of a condition"),
                )
                .help(format!("write it on the left: `{word}(OBX-8) = \"H\"`")));
            }
            _ => {}
        }
        let function = self.function_named(token)?;
        let mut arguments = Vec::new();
        let mut places = Vec::new();
        if !self.take(Symbol::Close) {
            self.arguments(depth, &mut arguments, &mut places)?;
        }
        self.call(function, &token.at, arguments, &places)
    }

    pub(super) fn function_named(&self, token: &Token) -> Result<Function, SyntaxError> {
        let TokenKind::Word(word) = &token.kind else {
            return Err(SyntaxError::new(token.at.clone(), "expected the name of a function")
                .help(
                    "known are upper, lower, trim, first, last, substring, pad, default and others",
                ));
        };
        Function::named(word).ok_or_else(|| {
            let names = Function::ALL
                .iter()
                .map(|(name, _)| *name)
                .chain(["any", "all", "count", "header"]);
            let error =
                SyntaxError::new(token.at.clone(), format!("there is no function `{word}`"));
            match nearest(word, names.clone()) {
                Some(name) => error.help(format!("did you mean `{name}`?")),
                None => error.help(format!("known are {}", names.collect::<Vec<_>>().join(", "))),
            }
        })
    }

    pub(super) fn arguments(
        &mut self,
        depth: usize,
        arguments: &mut Vec<Operand>,
        places: &mut Vec<Range<usize>>,
    ) -> Result<(), SyntaxError> {
        loop {
            places.push(self.here());
            arguments.push(self.operand(depth)?);
            if self.take(Symbol::Close) {
                return Ok(());
            }
            self.expect(Symbol::Comma, "or `)`")?;
        }
    }

    pub(super) fn call(
        &self,
        function: Function,
        at: &Range<usize>,
        arguments: Vec<Operand>,
        places: &[Range<usize>],
    ) -> Result<Operand, SyntaxError> {
        let usage = || format!("write it like this: `{}`", function.usage());
        let (parameters, optional) = function.parameters();
        let given = arguments.len().checked_sub(1);
        let fits = given.is_some_and(|given| {
            given <= parameters.len() && given >= parameters.len().saturating_sub(optional)
        });
        if !fits {
            return Err(
                SyntaxError::new(at.clone(), "this function takes other arguments").help(usage())
            );
        }
        for ((parameter, argument), place) in
            parameters.iter().zip(arguments.iter().skip(1)).zip(places.iter().skip(1))
        {
            let whole = match argument {
                Operand::Number(number) => number.parse::<usize>().is_ok_and(|number| number > 0),
                _ => false,
            };
            if *parameter == Parameter::Number && !whole {
                return Err(SyntaxError::new(
                    place.clone(),
                    "a whole number from 1 on belongs here",
                )
                .help(usage()));
            }
        }
        for (argument, place) in arguments.iter().zip(places) {
            if let Operand::Path(reference, _) = argument
                && reference.depth() == 0
            {
                return Err(SyntaxError::new(
                    place.clone(),
                    format!(
                        "`{}` names a whole segment, which has no single value",
                        reference.written()
                    ),
                )
                .help(usage()));
            }
        }
        Ok(Operand::Call(function, arguments.into()))
    }
}

/// Whether someone meant a path and slipped, or wrote a text without quotes.
fn looks_like_path(text: &str) -> bool {
    text.starts_with('/')
        || text.contains(['-', '.', '(', '['])
        || (text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

fn unknown_word(word: &str, at: &Range<usize>) -> SyntaxError {
    let error = SyntaxError::new(at.clone(), format!("`{word}` is not known here"));
    let capitals = word.to_uppercase();
    if word.get(..3).is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_alphanumeric()))
        && word.len() == 3
    {
        return error.help(format!("segment names have capital letters: `{capitals}`"));
    }
    let facts = Fact::WORDS.iter().map(|(name, _)| *name);
    let functions = Function::ALL.iter().map(|(name, _)| *name);
    match nearest(word, facts.chain(functions)) {
        Some(known) => error.help(format!("did you mean `{known}`?")),
        None => error.help(format!("a text goes in quotes: `\"{word}\"`")),
    }
}
