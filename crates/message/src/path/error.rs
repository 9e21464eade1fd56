//! What is wrong with a path, where, and what to write instead.

use crate::path::Path;

/// A text that is not a path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("column {}: {kind}", self.column())]
pub struct PathError {
    /// Which character of the path is wrong, counted from 0; the number of characters if the path ends too early.
    pub at: usize,
    /// What is wrong with it.
    pub kind: PathErrorKind,
}

impl PathError {
    /// The column of the wrong character, counted from 1 as editors do.
    pub fn column(&self) -> usize {
        self.at.saturating_add(1)
    }
}

/// The ways in which a path can be wrong; each text ends with what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathErrorKind {
    /// No character at all.
    #[error("the path is empty: write a segment and a field, like `PID-3`")]
    Empty,
    /// The path does not begin with a segment's name.
    #[error(
        "a path begins with a segment's name, three capital letters or digits: write it like `PID-3`"
    )]
    SegmentName,
    /// The segment's name is not written in capitals.
    #[error("segment names are written in capitals: write `{0}`")]
    SegmentNameCase(String),
    /// A group path has an empty or misspelt group name.
    #[error(
        "a group's name is made of capitals, digits and underscores: write it like `/PATIENT_RESULT/PID-3`"
    )]
    GroupName,
    /// A group path ends with a group.
    #[error(
        "a group path ends with a segment of three characters: add one, like `/PATIENT_RESULT/PID`"
    )]
    GroupWithoutSegment,
    /// `PID[2]`.
    #[error("which segment is meant stands in round brackets: write `{0}(2)`")]
    SegmentInSquareBrackets(String),
    /// `PID.3`.
    #[error("a field follows its segment after a hyphen: write `{0}-3`")]
    DotBeforeField(String),
    /// `PID-3(2)`.
    #[error("which repetition is meant stands in square brackets: write `{0}[2]`")]
    RepetitionInRoundBrackets(String),
    /// `PID-3-1`.
    #[error("a component follows its field after a dot: write `{0}.1`")]
    HyphenBeforeComponent(String),
    /// `PID-3.1[2]`.
    #[error("a repetition belongs to the field: write it before the component, like `PID-3[2].1`")]
    RepetitionAfterComponent,
    /// `PID-3.1.2.3`.
    #[error("nothing is smaller than a subcomponent: write at most `PID-3.1.2`")]
    TooDeep,
    /// Something else than digits where a position belongs.
    #[error("a position is a number from 1: write one here, like `PID-3.1`")]
    NumberExpected,
    /// Position 0.
    #[error("positions are counted from 1, as the standard prints them: write 1 for the first")]
    Zero,
    /// A field, component or subcomponent above [`Path::POSITION_MAX`].
    #[error(
        "a field or component position is at most {}: write a smaller number",
        Path::POSITION_MAX
    )]
    PositionTooLarge,
    /// An occurrence above [`Path::OCCURRENCE_MAX`].
    #[error(
        "an occurrence or repetition is at most {}: write a smaller number",
        Path::OCCURRENCE_MAX
    )]
    OccurrenceTooLarge,
    /// Something else in brackets than one of the ways to say which.
    #[error(
        "in brackets stands which one is meant: write a number from 1, `*` for every one, `last`, or `+1` for a new one"
    )]
    OccurrenceExpected,
    /// A bracket is not closed.
    #[error("the bracket is not closed: write `{0}` here")]
    BracketNotClosed(char),
    /// `ZPI(+1)-3[*]`.
    #[error("a new segment has no repetitions yet: write `[1]` or nothing instead of `[*]`")]
    EveryRepetitionOfNew,
    /// A character that cannot stand here.
    #[error(
        "this character cannot stand here: write `-` before a field, `.` before a component, or nothing"
    )]
    Unexpected,
}
