//! The steps, compiled.

use std::sync::Arc;

use pipehat_message::{AcknowledgmentCode, Path, SegmentName};

use super::bot::BotStep;
use super::date::DateForm;
use super::expression::Expression;
use super::lookup::LookupStep;
use super::reference::Reference;
use super::table::{Table, TableColumn};
use super::template::Template;
use super::translate::TranslateStep;
use super::validation::Validation;
use super::verdict::StepPlace;

/// One step and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub(super) place: StepPlace,
    pub(super) action: Action,
}

/// What a step does.
#[derive(Debug, Clone)]
pub(super) enum Action {
    /// Goes on only with messages for which this holds.
    Accept(Expression),
    /// Ends messages for which this holds.
    Filter(Expression),
    Set(Box<[Assignment]>),
    Copy {
        from: Reference,
        to: Reference,
        source: Source,
    },
    Clear(Box<[Reference]>),
    Remove(Box<[Reference]>),
    AddSegment {
        name: SegmentName,
        at: Anchor,
        fields: Box<[Assignment]>,
    },
    RemoveSegment(Reference),
    /// Nothing goes on but what stands at these places.
    Keep(Box<[Path]>),
    Each {
        over: Over,
        steps: Box<[Step]>,
    },
    Map {
        field: Reference,
        to: Reference,
        table: Arc<Table>,
        column: TableColumn,
        otherwise: Otherwise,
    },
    Date {
        field: Reference,
        to: Reference,
        form: Box<DateForm>,
        otherwise: Otherwise,
    },
    Join {
        from: Box<[Reference]>,
        with: Box<str>,
        to: Reference,
    },
    Split(Split),
    Park {
        reason: Arc<str>,
    },
    Reject {
        code: AcknowledgmentCode,
        text: Arc<str>,
    },
    /// Checks the message against the standard.
    Validate(Validation),
    Lookup(Box<LookupStep>),
    /// A script runs on the message.
    Bot(BotStep),
    /// It becomes the same in another standard.
    Translate(TranslateStep),
    /// Ends the channel's steps: to these destinations and no others.
    Route(Box<[u16]>),
    When {
        condition: Expression,
        then: Box<[Step]>,
        otherwise: Box<[Step]>,
    },
}

/// What becomes of the place a value was taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Stays,
    IsCleared,
}

/// A value for a place.
#[derive(Debug, Clone)]
pub(super) struct Assignment {
    pub(super) to: Reference,
    pub(super) value: Written,
}

/// What is written.
#[derive(Debug, Clone)]
pub(super) enum Written {
    /// Text: delimiters in it are escaped.
    Text(Template),
    /// A value with delimiters in it, written with `|^~\&`.
    Raw(Box<str>),
}

/// Where a new segment goes.
#[derive(Debug, Clone)]
pub(super) enum Anchor {
    /// After the last of the first of these that the message has.
    After(Box<[Reference]>),
    /// Before the first of the first of these that the message has.
    Before(Box<[Reference]>),
    End,
}

/// What an `each` goes over.
#[derive(Debug, Clone)]
pub(super) enum Over {
    /// Every segment of a name; inside other `each`, those that follow the current segment.
    Segments {
        name: SegmentName,
        within: Within,
    },
    /// The segments that a path through groups names.
    Grouped(Reference),
    Repetitions(Reference),
}

/// The segments that `each` steps around go over, outermost first.
#[derive(Debug, Clone, Default)]
pub(super) struct Within(pub(super) Box<[(SegmentName, u8)]>);

/// What is done with a value that a table does not have, or that is no date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Otherwise {
    Keep,
    Clear,
    Park,
    Default(Box<str>),
}

/// How a message is split.
#[derive(Debug, Clone)]
pub(super) struct Split {
    pub(super) each: Parts,
    pub(super) control_ids: ControlIds,
}

/// What the parts of a split are.
#[derive(Debug, Clone)]
pub(super) enum Parts {
    /// Each has one of these segments, with what follows it.
    Segments(SegmentName),
    /// Each is one of the segment groups that hold what this path names.
    Groups(Path),
}

/// The control ids of the messages a split makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ControlIds {
    /// New ones.
    New,
    /// The received one with `.1`, `.2`… after it.
    Numbered,
}

impl Step {
    /// Whether a message may become several here, or another.
    pub(super) fn splits(&self) -> bool {
        match &self.action {
            Action::Split(_) | Action::Bot(_) | Action::Translate(_) => true,
            Action::When { then, otherwise, .. } => then.iter().chain(otherwise).any(Self::splits),
            _ => false,
        }
    }
}
