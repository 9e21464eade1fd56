//! How the definitions lie in their file: what `cargo xtask definitions` writes and this crate reads.
//!
//! Everything is little-endian. The file begins with [`MAGIC`], then for each [`Section`] the offset of its first
//! row and the number of rows, as two `u32`. A text is the `u32` offset, within the section of texts, of a `u16`
//! length and as many bytes of UTF-8. Rows of a fixed size; a run of rows is a first row and a count, so that
//! versions which say the same share the rows.

/// The first bytes of the file: a name and the format's version.
pub const MAGIC: &[u8; 8] = b"HL7DEF\0\x01";

/// The parts of the file, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// Texts, each once. Counted in bytes.
    Texts,
    /// Names of data types, each once, sorted: a data type's number is its place here.
    DataTypeNames,
    /// One for each version, oldest first.
    Versions,
    /// Sorted by name within a version.
    Segments,
    /// Fields and components.
    Elements,
    /// Sorted by number within a version.
    DataTypes,
    /// Sorted by number within a version.
    Tables,
    /// Sorted by code within a table.
    Codes,
    /// Sorted by name within a version.
    Structures,
    /// The nodes of a structure, in the order of the standard's abstract message syntax.
    Nodes,
    /// Sorted by message code and trigger event within a version.
    Events,
}

impl Section {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Texts,
        Self::DataTypeNames,
        Self::Versions,
        Self::Segments,
        Self::Elements,
        Self::DataTypes,
        Self::Tables,
        Self::Codes,
        Self::Structures,
        Self::Nodes,
        Self::Events,
    ];

    /// Bytes of one row.
    pub const fn row_bytes(self) -> usize {
        match self {
            Self::Texts => 1,
            // text
            Self::DataTypeNames => 4,
            // text; first row and count of segments, data types, tables, structures, events
            Self::Versions => 44,
            // name (4 bytes, zero-filled), title, first element, elements (u16), unused (u16)
            Self::Segments => 16,
            // name, longest length, conformance length, data type (u16), table (u16), item (u16), least (u16),
            // most (u16), shortest length (u16), usage (u8), flags (u8)
            Self::Elements => 26,
            // number (u16), components (u16), title, first element
            Self::DataTypes => 12,
            // number (u16), kind (u8), unused (u8), name, first code, codes
            Self::Tables => 16,
            // code, display, flags (u8), unused
            Self::Codes => 12,
            // name, first node, nodes
            Self::Structures => 12,
            // name (text, or 4 bytes of a segment's name), least (u16), most (u16), nodes below it (u16),
            // kind (u8), flags (u8)
            Self::Nodes => 12,
            // `CODE_TRIGGER`, structure, acknowledgment's structure (or NO_TEXT)
            Self::Events => 12,
        }
    }

    /// Where its entry stands in the header.
    pub const fn entry(self) -> usize {
        MAGIC.len() + self as usize * 8
    }
}

/// Bytes before the first section.
pub const HEADER_BYTES: usize = MAGIC.len() + Section::ALL.len() * 8;

/// In place of the greatest number of occurrences: any number.
pub const UNBOUNDED: u16 = u16::MAX;

/// In place of a length: none is given.
pub const NO_LENGTH: u32 = u32::MAX;

/// In place of a text: none.
pub const NO_TEXT: u32 = u32::MAX;

/// In place of a data type: none.
pub const NO_DATA_TYPE: u16 = u16::MAX;

/// Flag of an element: its conformance length may be truncated.
pub const TRUNCATABLE: u8 = 1;

/// Flag of a code or a node: deprecated in this version.
pub const DEPRECATED: u8 = 1;

/// Kind of a node: a segment.
pub const NODE_SEGMENT: u8 = 0;
/// Kind of a node: a segment group.
pub const NODE_GROUP: u8 = 1;
/// Kind of a node: exactly one of its children.
pub const NODE_CHOICE: u8 = 2;
/// Kind of a node: any segment.
pub const NODE_ANY_SEGMENT: u8 = 3;

/// Kind of a table: by HL7.
pub const TABLE_HL7: u8 = 0;
/// Kind of a table: by its users, with suggestions.
pub const TABLE_USER: u8 = 1;
/// Kind of a table: by somebody else.
pub const TABLE_EXTERNAL: u8 = 2;

/// Usages, as an element stores them.
pub const USAGES: [&str; 8] = ["O", "R", "RE", "C", "B", "W", "X", "CE"];
