//! What the standard says about a data type.

use crate::element::Element;
use crate::file::{self, Row, Rows};
use crate::layout::Section;
use crate::version::Version;

/// A data type as one version defines it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct DataType {
    version: Version,
    at: u32,
}

impl DataType {
    #[inline]
    pub(crate) const fn new(version: Version, at: u32) -> Self {
        Self { version, at }
    }

    #[inline]
    fn row(self) -> Row {
        file::row(Section::DataTypes, self.at)
    }

    #[inline]
    fn elements(self) -> Rows {
        let row = self.row();
        Rows { first: row.u32(8), count: u32::from(row.u16(2)) }
    }

    /// The version that defines it so.
    pub const fn version(self) -> Version {
        self.version
    }

    /// Its name, as in `CX`. Some old types have a name of the published database, as in `CM_MSG`.
    pub fn name(self) -> &'static str {
        file::row(Section::DataTypeNames, u32::from(self.row().u16(0))).text(0)
    }

    /// What the standard calls it, as in `Extended Composite ID with Check Digit`.
    pub fn title(self) -> &'static str {
        self.row().text(4)
    }

    /// Whether it has no components.
    #[inline]
    pub fn is_primitive(self) -> bool {
        self.row().u16(2) == 0
    }

    /// How many components it has; 0 for a primitive one.
    pub fn component_count(self) -> u16 {
        self.row().u16(2)
    }

    /// A component, by its position from 1.
    #[inline]
    pub fn component(self, position: usize) -> Option<Element> {
        let at = self.elements().at(position.checked_sub(1)?)?;
        Some(Element::new(self.version, at, u16::try_from(position).ok()?))
    }

    /// All components, in order.
    pub fn components(self) -> impl ExactSizeIterator<Item = Element> {
        Element::run(self.version, self.elements())
    }
}

impl std::fmt::Debug for DataType {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} of {}", self.name(), self.version)
    }
}
