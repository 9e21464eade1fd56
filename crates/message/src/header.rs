//! A quick read of the header segment alone, for every message at intake: no index of the message, no allocation.
//!
//! It finds MSH behind a byte order mark, a stray start block or blank lines, takes the delimiters it declares and says
//! where its fields are. It decodes nothing and judges no field: what is absent reads as empty.

use std::fmt;

use memchr::{memchr, memchr_iter, memchr2};
use thiserror::Error;

use crate::{Charset, Delimiters};

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

        let mut ends = [0; FIELDS_INDEXED];
        let mut indexed = 0;
        let after_field_separator = segment.get(4..).unwrap_or_default();
        let separators =
            memchr_iter(delimiters.field, after_field_separator).map(|position| position + 4);
        for (slot, end) in ends.iter_mut().zip(separators.chain([segment.len()])) {
            *slot = u32::try_from(end).map_err(|_| HeaderError::TooLong)?;
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
    let field = segment.get(3).copied().filter(|&byte| may_delimit(byte));
    let field = field.ok_or(HeaderError::FieldSeparator)?;
    let behind = segment.get(4..).unwrap_or_default();
    let end = memchr(field, behind).unwrap_or(behind.len());
    let declared = behind.get(..end).unwrap_or_default();
    let distinct = declared
        .iter()
        .enumerate()
        .all(|(index, byte)| may_delimit(*byte) && !declared.iter().take(index).any(|b| b == byte));
    match *declared {
        [component, repetition, ref rest @ ..] if distinct && rest.len() <= 3 => Ok(Delimiters {
            field,
            component,
            repetition,
            escape: rest.first().copied(),
            subcomponent: rest.get(1).copied(),
            truncation: rest.get(2).copied(),
        }),
        _ => Err(HeaderError::EncodingCharacters),
    }
}

/// A delimiter is ASCII, and neither part of plain text (letters, digits, blanks, quotation marks) nor of line ends and
/// framing.
fn may_delimit(byte: u8) -> bool {
    byte.is_ascii()
        && !byte.is_ascii_alphanumeric()
        && !matches!(byte, 0x00 | b'\r' | b'\n' | 0x0B | 0x1C | b' ' | b'"')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert_eq, proptest};

    use super::*;

    const ADMIT: &[u8] = b"MSH|^~\\&|REG|GENERAL|LAB|NORTH|20240102030405||ADT^A01^ADT_A01~X^Y|C-1|P|2.5.1^USA|7||AL|NE|GBR|8859/1~UNICODE UTF-8\rEVN|A01\r";

    fn read(message: &[u8]) -> Header<'_> {
        Header::read(message).expect("a readable header")
    }

    #[test]
    fn fields_have_names_and_positions() {
        let header = read(ADMIT);
        assert_eq!(header.delimiters(), Delimiters::STANDARD);
        assert_eq!(header.field(1), b"|");
        assert_eq!(header.encoding_characters(), b"^~\\&");
        assert_eq!(header.sending_application(), b"REG");
        assert_eq!(header.sending_facility(), b"GENERAL");
        assert_eq!(header.receiving_application(), b"LAB");
        assert_eq!(header.receiving_facility(), b"NORTH");
        assert_eq!(header.timestamp(), b"20240102030405");
        assert_eq!(header.security(), b"");
        assert_eq!(header.message_code(), b"ADT");
        assert_eq!(header.trigger_event(), b"A01");
        assert_eq!(header.message_structure(), b"ADT_A01");
        assert_eq!(header.control_id(), b"C-1");
        assert_eq!(header.processing_id(), b"P");
        assert_eq!(header.version_id(), b"2.5.1");
        assert_eq!(header.sequence_number(), b"7");
        assert_eq!(header.continuation_pointer(), b"");
        assert_eq!(header.accept_acknowledgment_type(), b"AL");
        assert_eq!(header.application_acknowledgment_type(), b"NE");
        assert_eq!(header.country_code(), b"GBR");
        assert_eq!(header.character_set(), b"8859/1~UNICODE UTF-8");
        assert_eq!(header.principal_language(), b"");
        assert_eq!(header.field(0), b"");
        assert_eq!(header.field(usize::MAX), b"");
        assert_eq!(header.component(9, 0), b"");
        assert!(header.segment().ends_with(b"UTF-8"));
    }

    #[test]
    fn what_precedes_the_header_is_skipped() {
        for before in [&b"\xEF\xBB\xBF"[..], b"\x0B", b"\r\n\n", b"\x0B\xEF\xBB\xBF\r\n", b" \t"] {
            let message = [before, ADMIT].concat();
            assert_eq!(read(&message).control_id(), b"C-1", "{before:?}");
        }
    }

    #[test]
    fn a_header_may_end_anywhere() {
        for (message, control_id) in [
            (&b"MSH|^~\\&"[..], &b""[..]),
            (b"MSH|^~\\&|", b""),
            (b"MSH|^~\\&||||||||C", b"C"),
            (b"MSH|^~\\&||||||||C\nPID|1", b"C"),
            (b"MSH|^~\\&||||||||C\x1C\r", b"C"),
        ] {
            assert_eq!(read(message).control_id(), control_id, "{message:?}");
        }
    }

    #[test]
    fn declared_delimiters_are_taken() {
        let with = |encoding: &[u8]| {
            let message = [b"MSH|", encoding, b"|A|B\r"].concat();
            Header::read(&message).map(|header| header.delimiters())
        };
        let standard = Delimiters::STANDARD;
        assert_eq!(with(b"^~\\&"), Ok(standard));
        assert_eq!(with(b"^~\\&#"), Ok(Delimiters { truncation: Some(b'#'), ..standard }));
        assert_eq!(with(b"^~\\"), Ok(Delimiters { subcomponent: None, ..standard }));
        let short = Delimiters { escape: None, subcomponent: None, ..standard };
        assert_eq!(with(b"^~"), Ok(short));
        for refused in [
            &b""[..],
            b"^",
            b"^~\\&#%",
            b"^~\\\\&",
            b"^^",
            b"^~\\^",
            b"A~\\&",
            b"^1\\&",
            b"^~\\\xE9",
            b"^\0",
            b"^~ ",
            b"^~\"",
        ] {
            assert_eq!(with(refused), Err(HeaderError::EncodingCharacters), "{refused:?}");
        }
        let other = read(b"MSH#!@%*#A#B!C\r");
        assert_eq!((other.field(3), other.component(4, 2)), (&b"A"[..], &b"C"[..]));
    }

    #[test]
    fn what_is_no_header_has_a_name() {
        for (message, error) in [
            (&b""[..], HeaderError::Empty),
            (b"\r\n \x0B", HeaderError::Empty),
            (b"\xEF\xBB\xBF", HeaderError::Empty),
            (b"MS", HeaderError::NotHeader),
            (b"PID|1", HeaderError::NotHeader),
            (b"GET / HTTP/1.1\r\n", HeaderError::NotHeader),
            (b"FHS|^~\\&|", HeaderError::Batch),
            (b"BHS|^~\\&|", HeaderError::Batch),
            (b"\xFF\xFEM\0S\0H\0|\0", HeaderError::WideEncoding),
            (b"\0M\0S\0H\0|", HeaderError::WideEncoding),
            (b"MSH", HeaderError::FieldSeparator),
            (b"MSH\r|^~\\&", HeaderError::FieldSeparator),
            (b"MSHA^~\\&A", HeaderError::FieldSeparator),
            (b"MSH|", HeaderError::EncodingCharacters),
            (b"MSH||REG", HeaderError::EncodingCharacters),
        ] {
            assert_eq!(Header::read(message).unwrap_err(), error, "{message:?}");
        }
    }

    #[test]
    fn the_header_has_a_limit() {
        let header_of = |bytes: usize| {
            let mut message = b"MSH|^~\\&|".to_vec();
            message.resize(bytes, b'A');
            message.extend_from_slice(b"\rPID|1\r");
            message
        };
        assert!(Header::read(&header_of(HEADER_BYTES_MAX - 1)).is_ok());
        let too_long = Header::read(&header_of(HEADER_BYTES_MAX)).unwrap_err();
        assert_eq!(too_long, HeaderError::TooLong);
    }

    #[test]
    fn fields_behind_the_index_are_found() {
        let fields: Vec<_> = (3..=40).map(|position| format!("F{position}")).collect();
        let message = format!("MSH|^~\\&|{}\r", fields.join("|"));
        let header = read(message.as_bytes());
        for position in 3..=40 {
            assert_eq!(header.field(position), format!("F{position}").as_bytes());
        }
        assert_eq!(header.field(41), b"");
    }

    proptest! {
        #[test]
        fn fields_are_those_of_a_plain_split(text in r"[A-C^~|]{0,60}") {
            let message = format!("MSH|^~\\&|{text}\rPID");
            let header = read(message.as_bytes());
            let mut fields = text.split('|');
            for position in 3..64 {
                let expected = fields.next().unwrap_or_default();
                prop_assert_eq!(header.field(position), expected.as_bytes());
            }
        }

        #[test]
        fn no_input_panics(bytes: Vec<u8>) {
            let message = [b"MSH", bytes.as_slice()].concat();
            for message in [bytes.as_slice(), message.as_slice()] {
                if let Ok(header) = Header::read(message) {
                    for position in 0..40 {
                        let _ = header.component(position, position);
                    }
                }
            }
        }
    }
}
