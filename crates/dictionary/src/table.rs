//! Tables of codes.

use std::fmt;
use std::num::NonZeroU16;

use crate::file::{self, Row, Rows};
use crate::layout::{DEPRECATED, Section, TABLE_EXTERNAL, TABLE_HL7};
use crate::version::Version;

/// The number of a table, as in `0001`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TableNumber(NonZeroU16);

impl TableNumber {
    /// The table with this number; there is no table 0.
    pub const fn new(number: u16) -> Option<Self> {
        match NonZeroU16::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// The number.
    pub const fn get(self) -> u16 {
        self.0.get()
    }

    /// Reads `1`, `0001` or `HL70001`.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("HL7").unwrap_or(text);
        if digits.is_empty()
            || digits.len() > 5
            || !digits.bytes().all(|byte| byte.is_ascii_digit())
        {
            return None;
        }
        digits.parse().ok().and_then(Self::new)
    }
}

impl fmt::Display for TableNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:04}", self.0)
    }
}

impl fmt::Debug for TableNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:04}", self.0)
    }
}

/// Who says what codes a table has (HL7 v2.5.1 §2.5.3.6, §2.17.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TableKind {
    /// HL7: other codes are wrong.
    Hl7,
    /// Those who use it: the codes are suggestions.
    User,
    /// Another organisation: the codes are not listed, or in part.
    External,
}

/// A table as one version defines it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Table {
    version: Version,
    at: u32,
}

/// One code of a table.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Code {
    at: u32,
}

impl Table {
    #[inline]
    pub(crate) const fn new(version: Version, at: u32) -> Self {
        Self { version, at }
    }

    #[inline]
    fn row(self) -> Row {
        file::row(Section::Tables, self.at)
    }

    #[inline]
    fn rows(self) -> Rows {
        self.row().run(8)
    }

    /// The version that defines it so.
    pub const fn version(self) -> Version {
        self.version
    }

    /// Its number.
    pub fn number(self) -> TableNumber {
        TableNumber::new(self.row().u16(0))
            .expect("tables are numbered from 1: a test looks at all")
    }

    /// Its name, as in `Administrative Sex`.
    pub fn name(self) -> &'static str {
        self.row().text(4)
    }

    /// Who says what codes it has.
    pub fn kind(self) -> TableKind {
        match self.row().u8(2) {
            TABLE_HL7 => TableKind::Hl7,
            TABLE_EXTERNAL => TableKind::External,
            _ => TableKind::User,
        }
    }

    /// How many codes are listed.
    pub fn code_count(self) -> usize {
        self.rows().count as usize
    }

    /// The code with exactly this spelling, if it is listed.
    #[inline]
    pub fn code(self, code: &[u8]) -> Option<Code> {
        self.rows()
            .find(|at| file::text_bytes(file::row(Section::Codes, at).u32(0)).cmp(code))
            .map(|at| Code { at })
    }

    /// All codes, sorted.
    pub fn codes(self) -> impl ExactSizeIterator<Item = Code> {
        self.rows().iter().map(|at| Code { at })
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "table {} of {}", self.number(), self.version)
    }
}

impl Code {
    #[inline]
    fn row(self) -> Row {
        file::row(Section::Codes, self.at)
    }

    /// The code itself, as in `F`.
    pub fn code(self) -> &'static str {
        self.row().text(0)
    }

    /// What it means, as in `Female`.
    pub fn display(self) -> &'static str {
        self.row().text(4)
    }

    /// Whether the version keeps it for older messages only.
    pub fn is_deprecated(self) -> bool {
        self.row().u8(8) & DEPRECATED != 0
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({})", self.code(), self.display())
    }
}
