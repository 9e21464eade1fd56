//! What is wrong with an expression, and where: positions are in the expression, never in a resource, and
//! no text shows a value.

use thiserror::Error;

/// A text is no expression.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("column {column}: {problem}")]
pub struct ParseError {
    /// The position in the expression, in characters from 1.
    pub column: usize,
    /// What is wrong there.
    pub problem: ParseProblem,
}

/// What is wrong with a text that is no expression.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ParseProblem {
    /// Nothing stands there.
    #[error("the expression is empty")]
    Empty,
    /// Too long.
    #[error("the expression is longer than {} bytes", super::EXPRESSION_BYTES_MAX)]
    Length,
    /// Too deep.
    #[error("the expression nests deeper than {} levels", super::EXPRESSION_DEPTH_MAX)]
    Depth,
    /// No word begins with this character.
    #[error("this character has no meaning here")]
    Character,
    /// A comment has no end.
    #[error("the comment has no `*/`")]
    Comment,
    /// A string or delimited identifier has no end.
    #[error("the closing quote is missing")]
    Quote,
    /// An escape FHIRPath does not have.
    #[error("unknown escape sequence; write `\\\\` for a backslash")]
    Escape,
    /// A number out of range.
    #[error("the number is out of range")]
    Number,
    /// No date or time.
    #[error("this is no date, time or dateTime (as in @2015-02-04T14:34:28Z)")]
    Temporal,
    /// No name behind `%`.
    #[error("expected a name behind `%`")]
    Variable,
    /// Something else than the three behind `$`.
    #[error("only $this, $index and $total exist")]
    Dollar,
    /// Something else should stand there.
    #[error("expected {0}")]
    Expected(&'static str),
    /// No such function.
    #[error("there is no function `{0}`")]
    UnknownFunction(String),
    /// A function with too many or too few arguments.
    #[error("`{name}` takes {takes}")]
    Arguments {
        /// The function.
        name: &'static str,
        /// What it takes.
        takes: String,
    },
    /// A pattern that is no regular expression, or too large a one.
    #[error(
        "this is no regular expression we take (no look-around, no back-references, limited size)"
    )]
    Pattern,
}

/// An expression has no result.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("column {column}: {problem}")]
pub struct EvaluationError {
    /// The position in the expression, in characters from 1.
    pub column: usize,
    /// What is wrong there.
    pub problem: EvaluationProblem,
}

/// Why an expression has no result.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EvaluationProblem {
    /// Several items where one is asked for.
    #[error("expected one item, found several")]
    NotSingle,
    /// A value of another type.
    #[error("expected {expected}")]
    WrongType {
        /// The type asked for.
        expected: &'static str,
    },
    /// An operator or function does not know these types.
    #[error("`{operation}` is not defined for these types")]
    Undefined {
        /// The operator or function.
        operation: &'static str,
    },
    /// A name behind `is`, `as` or in `ofType` that is no type.
    #[error("there is no type `{0}`")]
    UnknownType(String),
    /// A variable that nobody set.
    #[error("there is no variable `%{0}`")]
    UnknownVariable(String),
    /// `$index` or `$total` where there is none.
    #[error("`{0}` has no value here")]
    NoValue(&'static str),
    /// A function that needs what the caller did not give.
    #[error("`{0}` cannot be answered here")]
    Unanswerable(&'static str),
    /// A pattern that is no regular expression, or too large a one.
    #[error(
        "the pattern is no regular expression we take (no look-around, no back-references, limited size)"
    )]
    Pattern,
    /// A function of the language we do not have.
    #[error("`{0}` is not supported")]
    Unsupported(&'static str),
    /// Modifier extensions that were not expected.
    #[error("there are modifier extensions that were not expected")]
    Modifiers,
    /// Took too many steps.
    #[error("the expression takes more than {0} steps")]
    Steps(u64),
    /// A collection grew too large.
    #[error("a collection has more than {0} items")]
    Items(usize),
    /// A string grew too large.
    #[error("a string has more than {0} bytes")]
    StringBytes(usize),
}

impl ParseError {
    pub(super) fn at(expression: &str, byte: usize, problem: ParseProblem) -> Self {
        Self { column: column(expression, byte), problem }
    }
}

/// The column of a byte, in characters from 1.
pub(super) fn column(expression: &str, byte: usize) -> usize {
    expression.char_indices().take_while(|(at, _)| *at < byte).count() + 1
}
