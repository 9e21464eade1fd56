//! What the standard says about one field or one component.

use crate::data_type::DataType;
use crate::file::{self, Row, Rows};
use crate::layout::{NO_DATA_TYPE, NO_LENGTH, Section, TRUNCATABLE, UNBOUNDED};
use crate::table::{Table, TableNumber};
use crate::version::Version;

/// A field of a segment, or a component of a data type.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Element {
    version: Version,
    at: u32,
    position: u16,
}

/// Whether an element has to be there (HL7 v2.5.1 §2.12.6, v2.9.1 §2.B.7.5).
///
/// The definitions up to 2.8.2 say only required, optional and backward compatible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Usage {
    /// `R`
    Required,
    /// `RE`: may be empty, but a sender who knows it has to send it.
    RequiredOrEmpty,
    /// `O`
    Optional,
    /// `C`
    Conditional,
    /// `CE`: conditional, and may be empty.
    ConditionalOrEmpty,
    /// `B`: kept for older versions.
    BackwardCompatible,
    /// `W`: withdrawn from the standard.
    Withdrawn,
    /// `X`: not supported.
    NotSupported,
}

impl Usage {
    const ALL: [Self; 8] = [
        Self::Optional,
        Self::Required,
        Self::RequiredOrEmpty,
        Self::Conditional,
        Self::BackwardCompatible,
        Self::Withdrawn,
        Self::NotSupported,
        Self::ConditionalOrEmpty,
    ];

    /// The letters the standard prints.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Optional => "O",
            Self::Required => "R",
            Self::RequiredOrEmpty => "RE",
            Self::Conditional => "C",
            Self::BackwardCompatible => "B",
            Self::Withdrawn => "W",
            Self::NotSupported => "X",
            Self::ConditionalOrEmpty => "CE",
        }
    }

    /// The usage that these letters name.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|usage| usage.code() == code)
    }
}

/// How often something may occur.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cardinality {
    /// At least so often.
    pub least: u16,
    /// At most so often; `None` is any number.
    pub most: Option<u16>,
}

impl Cardinality {
    pub(crate) const fn of(least: u16, most: u16) -> Self {
        Self { least, most: if most == UNBOUNDED { None } else { Some(most) } }
    }

    /// Whether it may occur more than once.
    pub const fn repeats(self) -> bool {
        !matches!(self.most, Some(0 | 1))
    }
}

/// How long a value that can be longer is still to be understood (HL7 v2.7 §2.5.3.2, conformance length).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConformanceLength {
    /// Characters that a receiver has to take.
    pub characters: u32,
    /// Whether a longer value may be cut.
    pub may_be_truncated: bool,
}

impl Element {
    #[inline]
    pub(crate) const fn new(version: Version, at: u32, position: u16) -> Self {
        Self { version, at, position }
    }

    /// The elements of some rows, positions counted from 1.
    pub(crate) fn run(version: Version, rows: Rows) -> impl ExactSizeIterator<Item = Self> {
        let position = move |at: u32| u16::try_from(at - rows.first + 1).unwrap_or(u16::MAX);
        rows.iter().map(move |at| Self::new(version, at, position(at)))
    }

    #[inline]
    fn row(self) -> Row {
        file::row(Section::Elements, self.at)
    }

    /// Which field or component it is, from 1.
    pub const fn position(self) -> u16 {
        self.position
    }

    /// What the standard calls it, as in `Patient Identifier List`. Empty for a position that the standard skips.
    pub fn name(self) -> &'static str {
        self.row().text(0)
    }

    /// Whether this position is one that the standard skips.
    pub fn is_unused(self) -> bool {
        self.row().u16(12) == NO_DATA_TYPE
    }

    /// Its data type. `None` for a position that the standard skips, and for a type the version does not define.
    #[inline]
    pub fn data_type(self) -> Option<DataType> {
        match self.row().u16(12) {
            NO_DATA_TYPE => None,
            number => self.version.data_type_numbered(number),
        }
    }

    /// The name of its data type, as in `CX`; empty when there is none.
    pub fn data_type_name(self) -> &'static str {
        match self.row().u16(12) {
            NO_DATA_TYPE => "",
            number => file::row(Section::DataTypeNames, u32::from(number)).text(0),
        }
    }

    /// The table its codes come from.
    #[inline]
    pub fn table_number(self) -> Option<TableNumber> {
        TableNumber::new(self.row().u16(14))
    }

    /// The table its codes come from, if this version has it.
    pub fn table(self) -> Option<Table> {
        self.table_number().and_then(|number| self.version.table(number))
    }

    /// HL7's number for the data element, as in `00106`.
    pub fn item(self) -> Option<u16> {
        Some(self.row().u16(16)).filter(|&item| item != 0)
    }

    /// How often it may occur. A component occurs at most once.
    #[inline]
    pub fn cardinality(self) -> Cardinality {
        let row = self.row();
        Cardinality::of(row.u16(18), row.u16(20))
    }

    /// Characters a value has at least.
    pub fn length_min(self) -> Option<u16> {
        Some(self.row().u16(22)).filter(|&length| length != 0)
    }

    /// Characters a value has at most.
    #[inline]
    pub fn length_max(self) -> Option<u32> {
        Some(self.row().u32(4)).filter(|&length| length != NO_LENGTH)
    }

    /// From version 2.7: how long a value may be for all to understand it.
    pub fn conformance_length(self) -> Option<ConformanceLength> {
        let row = self.row();
        let characters = Some(row.u32(8)).filter(|&length| length != NO_LENGTH)?;
        Some(ConformanceLength { characters, may_be_truncated: row.u8(25) & TRUNCATABLE != 0 })
    }

    /// Whether it has to be there.
    #[inline]
    pub fn usage(self) -> Usage {
        Usage::ALL.get(usize::from(self.row().u8(24))).copied().unwrap_or(Usage::Optional)
    }
}

impl std::fmt::Debug for Element {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} {} ({})", self.position, self.name(), self.data_type_name())
    }
}
