//! The delimiters a message declares in MSH-1 and MSH-2 (HL7 v2.5.1 §2.5.4; truncation: v2.7 §2.5.5.2).

/// The bytes that separate the parts of one message.
///
/// A message declares its own; nothing may be read with another message's delimiters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Delimiters {
    /// MSH-1, the field separator: `|`.
    pub field: u8,
    /// First encoding character, the component separator: `^`.
    pub component: u8,
    /// Second encoding character, the repetition separator: `~`.
    pub repetition: u8,
    /// Third encoding character, the escape character: `\`. Absent where a sender declares fewer.
    pub escape: Option<u8>,
    /// Fourth encoding character, the subcomponent separator: `&`. Absent where a sender declares fewer.
    pub subcomponent: Option<u8>,
    /// Fifth encoding character, the truncation character: `#` (from v2.7 on).
    pub truncation: Option<u8>,
}

impl Delimiters {
    /// The delimiters the standard recommends: `|^~\&`.
    pub const STANDARD: Self = Self {
        field: b'|',
        component: b'^',
        repetition: b'~',
        escape: Some(b'\\'),
        subcomponent: Some(b'&'),
        truncation: None,
    };
}

impl Default for Delimiters {
    fn default() -> Self {
        Self::STANDARD
    }
}
