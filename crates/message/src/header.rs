//! A quick read of the header segment alone, for every message at intake: no index of the message, no allocation.
//!
//! It finds MSH behind a byte order mark, a stray start block or blank lines, takes the delimiters it declares and says
//! where its fields are. It decodes nothing and judges no field: what is absent reads as empty.

use std::fmt;

use memchr::{memchr, memchr2};
use thiserror::Error;

use crate::{Charset, Delimiters, parse};

/// The most bytes before the end of the header segment.
///
/// Real headers hold a few hundred; the limit keeps a message without line ends from being searched to its end.
pub const HEADER_BYTES_MAX: usize = 64 * 1024;

/// How many fields are found at once; MSH has 28 in v2.9. Fields behind these are still read, by searching.
const FIELDS_INDEXED: usize = 30;

const BYTE_ORDER_MARK: &[u8] = &[0xEF, 0xBB, 0xBF];

/// Why a header could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum HeaderError {
    /// There is no byte that is not blank.
    #[error("the message is empty")]
    Empty,
    /// The first segment is none that starts a message.
    #[error("the message does not start with an MSH segment")]
    NotHeader,
    /// A batch or file header: split it first.
    #[error("this is a batch or file (FHS or BHS), not a single message")]
    Batch,
    /// UTF-16 or UTF-32: transcode the whole message first.
    #[error("the message is in UTF-16 or UTF-32 and was not transcoded")]
    WideEncoding,
    /// MSH-1 is missing or a byte that can't be a delimiter.
    #[error("MSH-1 is missing or not a possible field separator")]
    FieldSeparator,
    /// MSH-2 is empty, too long, names a byte twice or one that can't be a delimiter.
    #[error("MSH-2 does not declare possible encoding characters")]
    EncodingCharacters,
    /// The header segment does not end within [`HEADER_BYTES_MAX`].
    #[error("the header segment is longer than {HEADER_BYTES_MAX} bytes")]
    TooLong,
}

/// The header segment of a message and where its fields are.
#[derive(Clone, Copy)]
pub struct Header<'a> {
    /// From `MSH` to before the segment end.
    segment: &'a [u8],
    delimiters: Delimiters,
    /// Where the first fields end in `segment`, from MSH-2 on.
    ends: [u32; FIELDS_INDEXED],
    /// How many of `ends` are set.
    indexed: usize,
}

impl<'a> Header<'a> {
    /// Reads the header of a message.
    ///
    /// # Errors
    /// What keeps the delimiters or the extent of the header from being known; see [`HeaderError`].
    pub fn read(message: &'a [u8]) -> Result<Self, HeaderError> {
        let bytes = skip_to_content(message).ok_or(HeaderError::Empty)?;
        match bytes.first_chunk::<3>() {
            Some(b"MSH") => {}
            Some(b"FHS" | b"BHS") => return Err(HeaderError::Batch),
            _ if Charset::detect_wide(message).is_some() => {
                return Err(HeaderError::WideEncoding);
            }
            _ => return Err(HeaderError::NotHeader),
        }
        let window = bytes.get(..HEADER_BYTES_MAX).unwrap_or(bytes);
        let segment = match memchr2(b'\r', b'\n', window) {
            Some(end) => window.get(..end).unwrap_or(window),
            None if window.len() < bytes.len() => return Err(HeaderError::TooLong),
            None => window,
        };
        // A closing end block sticks to a header that is the whole of a badly unframed message.
        let segment = segment.strip_suffix(&[0x1C]).unwrap_or(segment);
        let delimiters = read_delimiters(segment)?;

        // Fields of a header are so short that storing at every byte and keeping what is at a separator beats searching.
        let mut ends = [0; FIELDS_INDEXED];
        let mut indexed = 0;
        for (position, &byte) in (0_u32..).zip(segment).skip(4) {
            let Some(slot) = ends.get_mut(indexed) else { break };
            *slot = position;
            indexed += usize::from(byte == delimiters.field);
        }
        if let Some(slot) = ends.get_mut(indexed) {
            *slot = u32::try_from(segment.len()).map_err(|_| HeaderError::TooLong)?;
            indexed += 1;
        }
        Ok(Self { segment, delimiters, ends, indexed })
    }

    /// The delimiters the message declares.
    #[must_use]
    pub fn delimiters(&self) -> Delimiters {
        self.delimiters
    }

    /// The segment as it stands, from `MSH` to before its end.
    #[must_use]
    pub fn segment(&self) -> &'a [u8] {
        self.segment
    }

    /// The raw field with this position, empty when absent: `field(9)` is MSH-9.
    #[must_use]
    pub fn field(&self, position: usize) -> &'a [u8] {
        let bounds = match position {
            0 => None,
            1 => Some((3, 4)),
            2 => self.end(0).map(|end| (4, end)),
            _ => {
                let index = position - 2;
                match (self.end(index - 1), self.end(index)) {
                    (Some(before), Some(end)) => Some((before + 1, end)),
                    (Some(_), None) if index == FIELDS_INDEXED => {
                        return self.field_behind_index(position);
                    }
                    (None, _) if index > FIELDS_INDEXED && self.indexed == FIELDS_INDEXED => {
                        return self.field_behind_index(position);
                    }
                    _ => None,
                }
            }
        };
        bounds.and_then(|(start, end)| self.segment.get(start..end)).unwrap_or_default()
    }

    fn end(&self, index: usize) -> Option<usize> {
        if index >= self.indexed {
            return None;
        }
        self.ends.get(index).and_then(|&end| usize::try_from(end).ok())
    }

    fn field_behind_index(&self, position: usize) -> &'a [u8] {
        let fields = self.segment.get(4..).unwrap_or_default();
        fields.split(|&byte| byte == self.delimiters.field).nth(position - 2).unwrap_or_default()
    }

    /// The raw component of a field's first repetition, empty when absent: `component(9, 2)` is MSH-9.2.
    #[must_use]
    pub fn component(&self, field: usize, component: usize) -> &'a [u8] {
        let field = self.field(field);
        let first = match memchr(self.delimiters.repetition, field) {
            Some(end) => field.get(..end).unwrap_or(field),
            None => field,
        };
        component
            .checked_sub(1)
            .and_then(|index| first.split(|&byte| byte == self.delimiters.component).nth(index))
            .unwrap_or_default()
    }

    /// MSH-2 as declared.
    #[must_use]
    pub fn encoding_characters(&self) -> &'a [u8] {
        self.field(2)
    }

    /// MSH-3.
    #[must_use]
    pub fn sending_application(&self) -> &'a [u8] {
        self.field(3)
    }

    /// MSH-4.
    #[must_use]
    pub fn sending_facility(&self) -> &'a [u8] {
        self.field(4)
    }

    /// MSH-5.
    #[must_use]
    pub fn receiving_application(&self) -> &'a [u8] {
        self.field(5)
    }

    /// MSH-6.
    #[must_use]
    pub fn receiving_facility(&self) -> &'a [u8] {
        self.field(6)
    }

    /// MSH-7, date and time of the message.
    #[must_use]
    pub fn timestamp(&self) -> &'a [u8] {
        self.field(7)
    }

    /// MSH-8.
    #[must_use]
    pub fn security(&self) -> &'a [u8] {
        self.field(8)
    }

    /// MSH-9.1: `ADT`.
    #[must_use]
    pub fn message_code(&self) -> &'a [u8] {
        self.component(9, 1)
    }

    /// MSH-9.2: `A01`.
    #[must_use]
    pub fn trigger_event(&self) -> &'a [u8] {
        self.component(9, 2)
    }

    /// MSH-9.3: `ADT_A01`.
    #[must_use]
    pub fn message_structure(&self) -> &'a [u8] {
        self.component(9, 3)
    }

    /// MSH-10.
    #[must_use]
    pub fn control_id(&self) -> &'a [u8] {
        self.field(10)
    }

    /// MSH-11.
    #[must_use]
    pub fn processing_id(&self) -> &'a [u8] {
        self.field(11)
    }

    /// MSH-12.1: `2.5.1`. The other components of MSH-12 name a country's variant.
    #[must_use]
    pub fn version_id(&self) -> &'a [u8] {
        self.component(12, 1)
    }

    /// MSH-13, of the sequence number protocol.
    #[must_use]
    pub fn sequence_number(&self) -> &'a [u8] {
        self.field(13)
    }

    /// MSH-14.
    #[must_use]
    pub fn continuation_pointer(&self) -> &'a [u8] {
        self.field(14)
    }

    /// MSH-15, table 0155.
    #[must_use]
    pub fn accept_acknowledgment_type(&self) -> &'a [u8] {
        self.field(15)
    }

    /// MSH-16, table 0155.
    #[must_use]
    pub fn application_acknowledgment_type(&self) -> &'a [u8] {
        self.field(16)
    }

    /// MSH-17.
    #[must_use]
    pub fn country_code(&self) -> &'a [u8] {
        self.field(17)
    }

    /// MSH-18 with all its repetitions, table 0211.
    #[must_use]
    pub fn character_set(&self) -> &'a [u8] {
        self.field(18)
    }

    /// MSH-19.
    #[must_use]
    pub fn principal_language(&self) -> &'a [u8] {
        self.field(19)
    }

    /// MSH-20, table 0356.
    #[must_use]
    pub fn character_set_handling_scheme(&self) -> &'a [u8] {
        self.field(20)
    }

    /// MSH-21 with all its repetitions.
    #[must_use]
    pub fn message_profile_identifier(&self) -> &'a [u8] {
        self.field(21)
    }
}

impl fmt::Debug for Header<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Header")
            .field("bytes", &self.segment.len())
            .field("delimiters", &self.delimiters)
            .finish_non_exhaustive()
    }
}

/// The message without what may precede its header: blanks, control bytes such as line ends
/// and a start block, a byte order mark.
pub(crate) fn skip_to_content(message: &[u8]) -> Option<&[u8]> {
    let mut rest = message;
    loop {
        let start = rest.iter().position(|&byte| byte > b' ')?;
        rest = rest.get(start..)?;
        match rest.strip_prefix(BYTE_ORDER_MARK) {
            Some(behind) => rest = behind,
            None => return Some(rest),
        }
    }
}

/// The delimiters a header segment declares (HL7 v2.5.1 §2.5.4): MSH-1, and two to five encoding characters in MSH-2.
fn read_delimiters(segment: &[u8]) -> Result<Delimiters, HeaderError> {
    let behind = segment.get(3..).unwrap_or_default();
    if !behind.first().is_some_and(|&byte| parse::is_legal(byte)) {
        return Err(HeaderError::FieldSeparator);
    }
    parse::declared(behind, 3).map_err(|_| HeaderError::EncodingCharacters)
}

#[cfg(test)]
mod tests;
