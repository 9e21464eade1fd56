//! What the standard says about a segment.

use pipehat_message::SegmentName;

use crate::element::Element;
use crate::file::{self, Row, Rows};
use crate::layout::Section;
use crate::version::Version;

/// A segment as one version defines it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SegmentDefinition {
    version: Version,
    at: u32,
}

impl SegmentDefinition {
    #[inline]
    pub(crate) const fn new(version: Version, at: u32) -> Self {
        Self { version, at }
    }

    #[inline]
    fn row(self) -> Row {
        file::row(Section::Segments, self.at)
    }

    #[inline]
    fn elements(self) -> Rows {
        let row = self.row();
        Rows { first: row.u32(8), count: u32::from(row.u16(12)) }
    }

    /// The version that defines it so.
    pub const fn version(self) -> Version {
        self.version
    }

    /// Its name, as in `PID`.
    pub fn name(self) -> SegmentName {
        SegmentName::new(self.row().name(0))
            .expect("the definitions name segments: a test looks at all")
    }

    /// What the standard calls it, as in `Patient Identification`.
    pub fn title(self) -> &'static str {
        self.row().text(4)
    }

    /// How many fields it has.
    pub fn field_count(self) -> u16 {
        self.row().u16(12)
    }

    /// A field, by its position from 1.
    #[inline]
    pub fn field(self, position: usize) -> Option<Element> {
        let at = self.elements().at(position.checked_sub(1)?)?;
        Some(Element::new(self.version, at, u16::try_from(position).ok()?))
    }

    /// All fields, in order.
    pub fn fields(self) -> impl ExactSizeIterator<Item = Element> {
        Element::run(self.version, self.elements())
    }
}

impl std::fmt::Debug for SegmentDefinition {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} of {}", self.name(), self.version)
    }
}
