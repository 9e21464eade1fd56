//! Paths as arguments: what the user typed beside what it means, and an error that points at the wrong character.

use std::collections::HashMap;
use std::num::NonZeroU32;

use pipehat_dictionary::{GroupPathProblem, check_group_path, resolve};
use pipehat_message::{
    Header, Message, Occurrence, Path, PathError, PathErrorKind, Segment, SegmentName,
};

use crate::exit::Failure;
use crate::terminal::{columns, visible};

/// A path, and how it was typed.
#[derive(Debug, Clone)]
pub(crate) struct TypedPath {
    pub(crate) text: String,
    pub(crate) path: Path,
}

impl TypedPath {
    /// Reads what was typed.
    pub(crate) fn read(text: &str) -> Result<Self, NotAPath> {
        match Path::parse(text) {
            Ok(path) => Ok(Self { text: text.to_owned(), path }),
            Err(error) => Err(NotAPath::new(text, error)),
        }
    }

    /// Refuses a path through groups that the message's structure does not have.
    pub(crate) fn check_groups(&self, message: &Message<'_>) -> Result<(), NoSuchGroup> {
        if self.path.groups().is_empty() {
            return Ok(());
        }
        let structure = Header::read(message.as_bytes()).ok();
        let structure = structure.and_then(|header| resolve(&header).structure);
        check_group_path(&self.path, structure)
            .map_err(|problem| NoSuchGroup { argument: visible(&self.text), problem })
    }
}

/// The paths of a message's segments, one after another.
#[derive(Debug, Default)]
pub(crate) struct SegmentPaths {
    passed: HashMap<SegmentName, u32>,
}

impl SegmentPaths {
    /// The path of the next segment; `None` for a line that is not a segment.
    pub(crate) fn next(&mut self, segment: &Segment<'_>) -> Option<Path> {
        let name = segment.segment_name()?;
        let passed = self.passed.entry(name).or_default();
        *passed = passed.saturating_add(1);
        let occurrence = NonZeroU32::new(*passed).map(Occurrence::At)?;
        Some(Path::of_segment(name).with_occurrence(occurrence))
    }
}

/// An argument that is no path: the argument, a caret under the wrong character, and what to write instead.
#[derive(Debug, thiserror::Error)]
#[error("this is not a path:\n  {argument}\n  {caret}\n{reason}")]
pub(crate) struct NotAPath {
    argument: String,
    caret: String,
    reason: PathErrorKind,
}

impl NotAPath {
    fn new(argument: &str, PathError { at, kind }: PathError) -> Self {
        let before: String = argument.chars().take(at).collect();
        let caret = format!("{}^", " ".repeat(columns(&visible(&before))));
        Self { argument: visible(argument), caret, reason: kind }
    }
}

/// A path through groups that leads nowhere.
#[derive(Debug, thiserror::Error)]
#[error("`{argument}` leads nowhere: {problem}{}", self.suggestion())]
pub(crate) struct NoSuchGroup {
    argument: String,
    problem: GroupPathProblem,
}

impl NoSuchGroup {
    fn suggestion(&self) -> String {
        match self.problem.nearest() {
            Some(nearest) => format!("; did you mean `{nearest}`?"),
            None => String::new(),
        }
    }
}

impl From<NoSuchGroup> for Failure {
    fn from(error: NoSuchGroup) -> Self {
        Self::usage(error)
    }
}

impl From<NotAPath> for Failure {
    fn from(error: NotAPath) -> Self {
        Self::usage(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(argument: &str, expected: &str) {
        let error = TypedPath::read(argument).expect_err("not a path");
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn the_caret_stands_under_the_wrong_character() {
        check(
            "PID.3",
            "this is not a path:\n  PID.3\n     ^\na field follows its segment after a hyphen: write `PID-3`",
        );
        check(
            "PID-3.0",
            "this is not a path:\n  PID-3.0\n        ^\npositions are counted from 1, as the standard prints them: write 1 for the first",
        );
        check(
            "",
            "this is not a path:\n  \n  ^\nthe path is empty: write a segment and a field, like `PID-3`",
        );
    }
}
