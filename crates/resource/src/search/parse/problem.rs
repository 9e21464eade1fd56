//! What is wrong with a search: which parameter, where, and what to do. Never its values.

use std::fmt;

/// A problem with one parameter of a search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchProblem {
    /// What kind of problem it is.
    pub kind: ProblemKind,
    /// The parameter as it was written, where that can be shown; else its position, as `parameter 3`.
    pub parameter: String,
    /// What is wrong and what to do, without the value.
    pub message: String,
}

/// Kinds of problems, which a server answers differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProblemKind {
    /// The type has no such parameter: ignored where handling is lenient (FHIR R4 §3.1.1.3).
    Unknown,
    /// The index does not follow the parameter yet. Never ignored: it is one that the type has.
    Indexing,
    /// No value stands there: ignored where handling is lenient.
    Empty,
    /// It can't be read.
    Invalid,
    /// FHIR has it, this server does not.
    NotSupported,
    /// More than a search may ask for.
    TooCostly,
}

impl ProblemKind {
    /// The code of an issue of an OperationOutcome.
    pub fn issue_code(self) -> &'static str {
        match self {
            Self::Unknown | Self::NotSupported => "not-supported",
            Self::Indexing => "transient",
            Self::Empty | Self::Invalid => "invalid",
            Self::TooCostly => "too-costly",
        }
    }
}

impl fmt::Display for SearchProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.parameter, self.message)
    }
}

impl std::error::Error for SearchProblem {}

/// A problem before it is known which parameter it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) kind: ProblemKind,
    pub(super) message: String,
}

pub(super) fn unknown(message: impl Into<String>) -> Problem {
    Problem { kind: ProblemKind::Unknown, message: message.into() }
}

pub(super) fn indexing(code: &str) -> Problem {
    let message = format!("the search parameter {} is being indexed, try again", quoted(code));
    Problem { kind: ProblemKind::Indexing, message }
}

pub(super) fn invalid(message: impl Into<String>) -> Problem {
    Problem { kind: ProblemKind::Invalid, message: message.into() }
}

pub(super) fn not_supported(message: impl Into<String>) -> Problem {
    Problem { kind: ProblemKind::NotSupported, message: message.into() }
}

pub(super) fn too_costly(message: impl Into<String>) -> Problem {
    Problem { kind: ProblemKind::TooCostly, message: message.into() }
}

pub(super) fn empty() -> Problem {
    Problem { kind: ProblemKind::Empty, message: "has no value".to_owned() }
}

impl Problem {
    /// The problem of the parameter that stands at `position` (from 1).
    pub(super) fn of(self, name: &str, position: usize) -> SearchProblem {
        SearchProblem {
            kind: self.kind,
            parameter: shown(name).unwrap_or_else(|| format!("parameter {position}")),
            message: self.message,
        }
    }
}

/// Part of a parameter's name, to be shown: `None` where it is too long or could be something else than a name.
pub(super) fn shown(name: &str) -> Option<String> {
    const SHOWN_MAX: usize = 100;
    let is_name = !name.is_empty()
        && name.len() <= SHOWN_MAX
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.:*".contains(&byte));
    is_name.then(|| format!("`{name}`"))
}

/// Part of a parameter's name, to be shown inside a sentence.
pub(super) fn quoted(name: &str) -> String {
    shown(name).unwrap_or_else(|| "that".to_owned())
}
