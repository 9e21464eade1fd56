//! One segment of a message, and the three characters that name it (HL7 v2.5.1 §2.5.1).

use std::fmt;

use crate::delimiters::Delimiters;
use crate::part;
use crate::value::{Depth, Value};

/// Three characters that name a segment: a capital letter, then capital letters or digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SegmentName([u8; 3]);

/// These characters do not name a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a segment name is a capital letter followed by two capital letters or digits, like PID or ZP1"
)]
pub struct SegmentNameError;

impl SegmentName {
    /// Message header.
    pub const MSH: Self = Self(*b"MSH");
    /// File header.
    pub const FHS: Self = Self(*b"FHS");
    /// Batch header.
    pub const BHS: Self = Self(*b"BHS");
    /// Batch trailer.
    pub const BTS: Self = Self(*b"BTS");
    /// File trailer.
    pub const FTS: Self = Self(*b"FTS");
    /// Notes and comments.
    pub const NTE: Self = Self(*b"NTE");

    /// The name these three bytes make, if they make one.
    pub const fn new(name: [u8; 3]) -> Option<Self> {
        let [first, second, third] = name;
        if first.is_ascii_uppercase() && is_name_byte(second) && is_name_byte(third) {
            Some(Self(name))
        } else {
            None
        }
    }

    /// The three bytes.
    pub const fn as_bytes(&self) -> &[u8; 3] {
        &self.0
    }

    /// The three characters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("only ASCII letters and digits: checked in `new`")
    }

    /// Whether field 1 of this segment is the field separator itself and field 2 the encoding characters.
    pub const fn declares_delimiters(self) -> bool {
        matches!(&self.0, b"MSH" | b"FHS" | b"BHS")
    }

    /// The name a line begins with, when a field separator or the end of the line follows it.
    pub(crate) fn of_line(line: &[u8], field_separator: u8) -> Option<Self> {
        let (name, rest) = line.split_first_chunk::<3>()?;
        let ends = rest.first().is_none_or(|&byte| byte == field_separator);
        if ends { Self::new(*name) } else { None }
    }
}

const fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit()
}

impl TryFrom<&str> for SegmentName {
    type Error = SegmentNameError;

    fn try_from(name: &str) -> Result<Self, SegmentNameError> {
        Self::try_from(name.as_bytes())
    }
}

impl TryFrom<&[u8]> for SegmentName {
    type Error = SegmentNameError;

    fn try_from(name: &[u8]) -> Result<Self, SegmentNameError> {
        name.try_into().ok().and_then(Self::new).ok_or(SegmentNameError)
    }
}

impl std::str::FromStr for SegmentName {
    type Err = SegmentNameError;

    fn from_str(name: &str) -> Result<Self, SegmentNameError> {
        Self::try_from(name)
    }
}

impl fmt::Display for SegmentName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl fmt::Debug for SegmentName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// One line of a message, without its terminator.
///
/// Lines that do not begin with a segment name are kept as well, so that nothing a sender wrote is out of sight;
/// [`Segment::segment_name`] tells them apart.
#[derive(Clone, Copy)]
pub struct Segment<'m> {
    raw: &'m [u8],
    name: Option<SegmentName>,
    delimiters: Delimiters,
    index: usize,
}

impl<'m> Segment<'m> {
    /// Reads one line (without its terminator) with the given delimiters, outside of any message.
    pub fn new(raw: &'m [u8], delimiters: Delimiters) -> Self {
        let name = SegmentName::of_line(raw, delimiters.field);
        Self { raw, name, delimiters, index: 0 }
    }

    pub(crate) fn of_message(
        raw: &'m [u8],
        name: Option<SegmentName>,
        delimiters: Delimiters,
        index: usize,
    ) -> Self {
        Self { raw, name, delimiters, index }
    }

    /// What stands before the first field separator: three bytes, except in a line that is not a segment.
    pub fn name(&self) -> &'m [u8] {
        part::nth(self.raw, self.delimiters.field, 0).unwrap_or_default()
    }

    /// The segment's name, or `None` for a line that is not a segment.
    pub fn segment_name(&self) -> Option<SegmentName> {
        self.name
    }

    /// The line's bytes as received.
    pub fn raw(&self) -> &'m [u8] {
        self.raw
    }

    /// The delimiters this segment is read with.
    pub fn delimiters(&self) -> Delimiters {
        self.delimiters
    }

    /// Where the segment stands in its message, counted from 0 in the order of [`Message::segments`].
    ///
    /// [`Message::segments`]: crate::Message::segments
    pub fn index(&self) -> usize {
        self.index
    }

    /// The whole segment as a value.
    pub fn value(&self) -> Value<'m> {
        Value::new(self.raw, self.delimiters, Depth::Segment)
    }

    /// Field `position` with all its repetitions, counted from 1 as the standard prints it; `None` if the segment
    /// ends before it.
    pub fn field(&self, position: usize) -> Option<Value<'m>> {
        let span = part::field(self.raw, self.name, self.delimiters.field, position)?;
        let depth = if self.declares_delimiters() && position <= 2 {
            Depth::Delimiters
        } else {
            Depth::Field
        };
        Some(Value::new(self.raw.get(span)?, self.delimiters, depth))
    }

    /// All fields from field 1 to the last one present.
    pub fn fields(&self) -> impl Iterator<Item = Value<'m>> + use<'m> {
        let delimiters = self.delimiters;
        let own_delimiters = self.declares_delimiters();
        let separator = own_delimiters.then(|| self.raw.get(3..4)).flatten();
        let rest = part::split(self.raw, delimiters.field).skip(1);
        separator.into_iter().chain(rest).enumerate().map(move |(index, raw)| {
            let depth = if own_delimiters && index < 2 { Depth::Delimiters } else { Depth::Field };
            Value::new(raw, delimiters, depth)
        })
    }

    fn declares_delimiters(&self) -> bool {
        self.name.is_some_and(SegmentName::declares_delimiters)
    }
}

/// Shows the place and the name; what the segment holds belongs to a patient.
impl fmt::Debug for Segment<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Segment")
            .field("name", &self.name)
            .field("index", &self.index)
            .field("bytes", &self.raw.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raws<'m>(values: impl Iterator<Item = Value<'m>>) -> Vec<&'m [u8]> {
        values.map(|value| value.raw()).collect()
    }

    #[test]
    fn names_are_three_capitals_or_digits_beginning_with_a_letter() {
        for good in ["PID", "ZP1", "Z99", "A00"] {
            assert_eq!(SegmentName::try_from(good).map(|name| name.to_string()), Ok(good.into()));
        }
        for bad in ["", "PI", "PIDX", "pid", "1ID", "P D", "PÄ", "P\u{0}D"] {
            assert_eq!(SegmentName::try_from(bad), Err(SegmentNameError), "{bad:?}");
        }
    }

    #[test]
    fn fields_count_from_one() {
        let segment = Segment::new(b"PV1|1|I||", Delimiters::STANDARD);
        assert_eq!(segment.name(), b"PV1");
        assert_eq!(raws(segment.fields()), [b"1".as_slice(), b"I", b"", b""]);
        assert_eq!(segment.field(2).map(|field| field.raw()), Some(b"I".as_slice()));
        assert_eq!(segment.field(4).map(|field| field.raw()), Some(b"".as_slice()));
        assert!(segment.field(5).is_none());
        assert!(segment.field(0).is_none());
    }

    #[test]
    fn headers_count_the_separator_as_field_one() {
        for name in ["MSH", "FHS", "BHS"] {
            let line = format!("{name}|^~\\&|LAB|");
            let segment = Segment::new(line.as_bytes(), Delimiters::STANDARD);
            assert_eq!(raws(segment.fields()), [b"|".as_slice(), b"^~\\&", b"LAB", b""]);
            for position in 1..=4 {
                let by_position = segment.field(position).map(|field| field.raw());
                assert_eq!(by_position, segment.fields().nth(position - 1).map(|f| f.raw()));
            }
            assert!(segment.field(5).is_none());
        }
    }

    #[test]
    fn a_bare_name_has_no_fields() {
        let segment = Segment::new(b"EVN", Delimiters::STANDARD);
        assert_eq!(segment.segment_name(), SegmentName::new(*b"EVN"));
        assert_eq!(segment.fields().count(), 0);
        assert!(segment.field(1).is_none());
        assert!(Segment::new(b"MSH", Delimiters::STANDARD).field(1).is_none());
    }

    #[test]
    fn a_line_that_is_no_segment_is_told_apart() {
        for line in [b"PIDX|1".as_slice(), b"pid|1", b"continued text", b"|", b""] {
            assert_eq!(Segment::new(line, Delimiters::STANDARD).segment_name(), None);
        }
    }
}
