//! What is wrong with a patch, by its operation.

use std::fmt;

use super::apply::WORK_MAX;
use super::operation::OPERATIONS_MAX;
use crate::json::DEPTH_MAX;

/// Characters of a pointer that an error shows.
const POINTER_SHOWN_MAX: usize = 100;

/// A patch cannot be read, or not be applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatchError {
    /// The operation, from 1; nothing where the patch as a whole is meant.
    pub operation: Option<usize>,
    /// What is wrong.
    pub problem: PatchProblem,
}

/// What is wrong with a patch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatchProblem {
    /// The document is neither an array nor an object.
    #[error("a patch is an array of operations (RFC 6902 §3) or an object to merge (RFC 7396 §2)")]
    NotAnArray,
    /// Too many operations.
    #[error("the patch has more than {OPERATIONS_MAX} operations")]
    TooManyOperations,
    /// An operation is no object.
    #[error("an operation is an object")]
    NotAnObject,
    /// A member is missing.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// A member is no string.
    #[error("`{0}` is not a string")]
    NotAString(&'static str),
    /// There is no such operation.
    #[error("`op` is none of add, remove, replace, move, copy, test")]
    UnknownOperation,
    /// A pointer is not written as one.
    #[error(
        "`{0}` is not a JSON Pointer: it is empty or begins with `/`, and `~` is written `~0`, `/` in a name `~1`"
    )]
    Pointer(&'static str),
    /// Nothing stands there.
    #[error("nothing stands at {0}")]
    NotFound(Pointed),
    /// A token is not the position of an item.
    #[error(
        "{0} is not the position of an item: digits without a leading zero, or `-` for the end of an `add`"
    )]
    Position(Pointed),
    /// A position behind the end.
    #[error("{0} is behind the end of the array")]
    BehindEnd(Pointed),
    /// Neither an object nor an array.
    #[error("{0} is neither an object nor an array")]
    NoContainer(Pointed),
    /// The whole resource would go.
    #[error("the whole resource cannot be removed by a patch")]
    WholeRemoved,
    /// A value would be moved into itself.
    #[error("a value cannot be moved into itself")]
    IntoItself,
    /// A test did not hold.
    #[error("the test at {0} failed: another value stands there")]
    TestFailed(Pointed),
    /// Too deep.
    #[error("the result is nested deeper than {DEPTH_MAX} levels")]
    Depth,
    /// Too much is copied and moved.
    #[error("the patch adds, copies and moves more than {WORK_MAX} bytes")]
    Work,
    /// No Parameters resource.
    #[error("a FHIRPath Patch is a Parameters resource")]
    NotParameters,
    /// A parameter of another name.
    #[error("each parameter of a FHIRPath Patch is named `operation`")]
    NotAnOperation,
    /// There is no such operation in a FHIRPath Patch.
    #[error("`type` is none of add, insert, delete, replace, move")]
    UnknownType,
    /// A position is none.
    #[error("`{0}` is not a position from 0")]
    NotAPosition(&'static str),
    /// The path is no expression.
    #[error("`path`: {0}")]
    Expression(#[from] crate::fhirpath::ParseError),
    /// The path has no result.
    #[error("`path`: {0}")]
    Evaluation(#[from] crate::fhirpath::EvaluationError),
    /// The path leads to more or fewer than one element.
    #[error("the path leads to {0} elements, expected one")]
    NotOne(usize),
    /// The path leads to something computed, or to another resource.
    #[error("the path leads to a value that is not in the resource")]
    NotInResource,
    /// The path leads to some items of a list, or to none.
    #[error("the path does not lead to a whole list")]
    NotAList,
    /// A position behind the end.
    #[error("a position is behind the end of the list")]
    BehindList,
    /// The definitions do not know where the path leads.
    #[error("the definitions do not say which elements may be added there")]
    UnknownOwner,
    /// There is no such element.
    #[error("the definitions have no element `{0}` there that takes such a value")]
    NoElement(String),
    /// An element that does not repeat is there.
    #[error("`{0}` is there already and does not repeat")]
    Exists(String),
    /// The resource would be another one.
    #[error("a patch cannot change `{0}`")]
    Identity(&'static str),
}

/// A pointer as an error shows it, shortened where it is long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pointed(String);

impl Pointed {
    pub(super) fn new(pointer: &str) -> Self {
        if pointer.is_empty() {
            return Self("the whole resource".to_owned());
        }
        let mut shown: String = pointer
            .chars()
            .map(|character| if character.is_control() { '\u{fffd}' } else { character })
            .take(POINTER_SHOWN_MAX)
            .collect();
        if pointer.chars().nth(POINTER_SHOWN_MAX).is_some() {
            shown.push('…');
        }
        Self(shown)
    }
}

impl fmt::Display for Pointed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for PatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.operation {
            Some(operation) => write!(f, "operation {operation}: {}", self.problem),
            None => fmt::Display::fmt(&self.problem, f),
        }
    }
}

impl std::error::Error for PatchError {}

impl From<PatchProblem> for PatchError {
    fn from(problem: PatchProblem) -> Self {
        Self { operation: None, problem }
    }
}
