//! A place of a profile: a segment, a field or a part of one, wherever in the message the segment stands.

use std::fmt;

use pipehat_message::{Occurrence, Path, SegmentName};

/// `PID`, `PID-3`, `PID-3.4` or `PID-3.4.1`; what is not named is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// The segment.
    pub segment: SegmentName,
    /// The field, from 1.
    pub field: u16,
    /// The component, from 1.
    pub component: u16,
    /// The subcomponent, from 1.
    pub subcomponent: u16,
}

impl Place {
    /// A whole segment.
    pub const fn segment(segment: SegmentName) -> Self {
        Self { segment, field: 0, component: 0, subcomponent: 0 }
    }

    /// A field.
    pub const fn field(segment: SegmentName, field: u16) -> Self {
        Self { segment, field, component: 0, subcomponent: 0 }
    }

    /// The part of this place at a position: a field's component, a component's subcomponent.
    #[must_use]
    pub const fn part(self, position: u16) -> Self {
        if self.component == 0 {
            Self { component: position, ..self }
        } else {
            Self { subcomponent: position, ..self }
        }
    }

    /// Reads it; a place has no number of a segment or a repetition, for it stands for all of them.
    ///
    /// # Errors
    /// What is wrong, in a sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        let path = Path::parse(text).map_err(|error| error.to_string())?;
        if text.contains(['(', '[']) || path.occurrence() != Occurrence::FIRST {
            return Err(
                "this names one segment or repetition, and a profile speaks of all of them".into(),
            );
        }
        if !path.groups().is_empty() {
            return Err(
                "this names a segment group, and a profile speaks of segments and fields".into()
            );
        }
        let number = |part: Option<std::num::NonZeroU16>| part.map_or(0, std::num::NonZeroU16::get);
        Ok(Self {
            segment: path.segment(),
            field: number(path.field()),
            component: number(path.component()),
            subcomponent: number(path.subcomponent()),
        })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.segment)?;
        if self.field != 0 {
            write!(formatter, "-{}", self.field)?;
        }
        for part in [self.component, self.subcomponent] {
            if part != 0 {
                write!(formatter, ".{part}")?;
            }
        }
        Ok(())
    }
}
