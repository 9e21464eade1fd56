//! Paths: the address of a place in a message, as `PID-3[2].4.1` or `OBX(*)-5`.
//!
//! ```text
//! path      = [ { "/" group [ "(" which ")" ] } "/" ] segment [ "(" which ")" ]
//!             [ "-" field [ "[" which "]" ] [ "." component [ "." subcomponent ] ] ]
//! which     = number | "*" | "last" | "+1"
//! ```
//!
//! All positions count from 1. Without an occurrence the first segment is meant. Without a repetition the whole field
//! is meant, or its first repetition if a component follows. Compiling allocates, using a path does not.

use std::fmt;
use std::num::{NonZeroU16, NonZeroU32};
use std::str::FromStr;

use crate::segment::SegmentName;

mod error;
mod read;

pub use error::{PathError, PathErrorKind};

/// Which one of several equal parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Occurrence {
    /// This one, counted from 1.
    At(NonZeroU32),
    /// The last one there is.
    Last,
    /// Every one: `*`.
    All,
    /// A new one after the last: `+1`. Reading finds nothing there; writing appends.
    Next,
}

impl Occurrence {
    /// The first.
    pub const FIRST: Self = Self::At(NonZeroU32::MIN);
}

impl fmt::Display for Occurrence {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(number) => write!(formatter, "{number}"),
            Self::Last => formatter.write_str("last"),
            Self::All => formatter.write_str("*"),
            Self::Next => formatter.write_str("+1"),
        }
    }
}

/// One segment group on the way to a segment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct GroupStep {
    /// The group's name in the message structure.
    pub name: Box<str>,
    /// Which of its occurrences.
    pub occurrence: Occurrence,
}

/// The address of a segment, field, repetition, component or subcomponent.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Path {
    groups: Box<[GroupStep]>,
    segment: SegmentName,
    occurrence: Occurrence,
    field: Option<NonZeroU16>,
    /// Always there when `component` is.
    repetition: Option<Occurrence>,
    component: Option<NonZeroU16>,
    subcomponent: Option<NonZeroU16>,
}

impl Path {
    /// The highest field, component or subcomponent position. Standard segments have fewer than a hundred fields; the
    /// bound limits how much padding writing one field can make.
    pub const POSITION_MAX: u16 = 9_999;
    /// The highest number of a segment, repetition or group: above the largest result messages, low enough that
    /// padding stays within a megabyte.
    pub const OCCURRENCE_MAX: u32 = 999_999;

    /// Compiles a path.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        read::path(text)
    }

    /// The first segment of a name.
    pub fn of_segment(name: SegmentName) -> Self {
        Self {
            groups: Box::default(),
            segment: name,
            occurrence: Occurrence::FIRST,
            field: None,
            repetition: None,
            component: None,
            subcomponent: None,
        }
    }

    /// The same place in another occurrence of the segment.
    pub fn with_occurrence(mut self, occurrence: Occurrence) -> Self {
        self.occurrence = occurrence;
        self
    }

    /// A field of the same segment, with all its repetitions.
    pub fn with_field(mut self, field: NonZeroU16) -> Self {
        self.field = Some(field);
        self.repetition = None;
        self.component = None;
        self.subcomponent = None;
        self
    }

    /// The same place in another repetition of the field; a path without a field is left as it is.
    pub fn with_repetition(mut self, repetition: Occurrence) -> Self {
        if self.field.is_some() {
            self.repetition = Some(repetition);
        }
        self
    }

    /// A component of the same repetition (the first, if none is named); a path without a field is left as it is.
    pub fn with_component(mut self, component: NonZeroU16) -> Self {
        if self.field.is_some() {
            self.repetition = self.repetition.or(Some(Occurrence::FIRST));
            self.component = Some(component);
            self.subcomponent = None;
        }
        self
    }

    /// A subcomponent of the same component; a path without a component is left as it is.
    pub fn with_subcomponent(mut self, subcomponent: NonZeroU16) -> Self {
        if self.component.is_some() {
            self.subcomponent = Some(subcomponent);
        }
        self
    }

    /// The same place reached through these groups, outermost first.
    pub fn with_groups(mut self, groups: Vec<GroupStep>) -> Self {
        self.groups = groups.into();
        self
    }

    /// The same place in the very segment of another path.
    pub(crate) fn numbered_as(mut self, other: &Self) -> Self {
        self.groups.clone_from(&other.groups);
        self.occurrence = other.occurrence;
        self
    }

    /// Whether writing there adds a segment: one of its `which` before the field is `+1`.
    pub fn adds_segment(&self) -> bool {
        self.occurrence == Occurrence::Next
            || self.groups.iter().any(|group| group.occurrence == Occurrence::Next)
    }

    /// The segment groups on the way, outermost first; empty for a path that names a segment directly.
    pub fn groups(&self) -> &[GroupStep] {
        &self.groups
    }

    /// The segment's name.
    pub fn segment(&self) -> SegmentName {
        self.segment
    }

    /// Which segment of that name.
    pub fn occurrence(&self) -> Occurrence {
        self.occurrence
    }

    /// The field's position, or `None` for the whole segment.
    pub fn field(&self) -> Option<NonZeroU16> {
        self.field
    }

    /// Which repetition, or `None` for the whole field.
    pub fn repetition(&self) -> Option<Occurrence> {
        self.repetition
    }

    /// The component's position, or `None` for the whole repetition.
    pub fn component(&self) -> Option<NonZeroU16> {
        self.component
    }

    /// The subcomponent's position, or `None` for the whole component.
    pub fn subcomponent(&self) -> Option<NonZeroU16> {
        self.subcomponent
    }

    /// Whether it can match several places.
    pub fn has_wildcard(&self) -> bool {
        self.occurrence == Occurrence::All
            || self.repetition == Some(Occurrence::All)
            || self.groups.iter().any(|group| group.occurrence == Occurrence::All)
    }

    /// Whether the field is one that declares delimiters: MSH-1, MSH-2 and their like in FHS and BHS.
    pub(crate) fn names_delimiters(&self) -> bool {
        self.segment.declares_delimiters() && self.field.is_some_and(|field| field.get() <= 2)
    }

    /// Whether repetition, component and subcomponent are all the first, which an unsplit field also is.
    pub(crate) fn names_first_parts(&self) -> bool {
        let first =
            |position: Option<NonZeroU16>| position.is_none_or(|position| position.get() == 1);
        let repetition = match self.repetition {
            None | Some(Occurrence::Last | Occurrence::All) => true,
            Some(Occurrence::At(number)) => number.get() == 1,
            Some(Occurrence::Next) => false,
        };
        repetition && first(self.component) && first(self.subcomponent)
    }
}

impl FromStr for Path {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        Self::parse(text)
    }
}

/// The shortest text that means the same: no `(1)`, and no `[1]` before a component.
impl fmt::Display for Path {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let occurrence = |formatter: &mut fmt::Formatter<'_>, occurrence: Occurrence| {
            if occurrence == Occurrence::FIRST {
                Ok(())
            } else {
                write!(formatter, "({occurrence})")
            }
        };
        for group in &self.groups {
            write!(formatter, "/{}", group.name)?;
            occurrence(formatter, group.occurrence)?;
        }
        if !self.groups.is_empty() {
            formatter.write_str("/")?;
        }
        write!(formatter, "{}", self.segment)?;
        occurrence(formatter, self.occurrence)?;
        let Some(field) = self.field else { return Ok(()) };
        write!(formatter, "-{field}")?;
        match self.repetition {
            Some(Occurrence::FIRST) if self.component.is_some() => {}
            Some(repetition) => write!(formatter, "[{repetition}]")?,
            None => {}
        }
        if let Some(component) = self.component {
            write!(formatter, ".{component}")?;
        }
        if let Some(subcomponent) = self.subcomponent {
            write!(formatter, ".{subcomponent}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Path({self})")
    }
}

#[cfg(test)]
mod tests;
