//! Acknowledgments that came back, for a destination to judge.

use std::fmt;

use memchr::memchr2;
use thiserror::Error;

use super::code::AcknowledgmentCode;
use super::detail::Severity;
use crate::header::skip_to_content;
use crate::{Delimiters, Header, HeaderError};

/// Why bytes are no acknowledgment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AcknowledgmentError {
    /// The header can't be read.
    #[error("the reply's header can't be read")]
    Header(#[source] HeaderError),
    /// There is no MSA segment.
    #[error("the reply has no MSA segment")]
    Missing,
    /// MSA-1 is none of table 0008.
    #[error("MSA-1 of the reply is not in table 0008")]
    Code,
}

/// A message with an MSA segment: an acknowledgment, or the response to a query.
#[derive(Clone, Copy)]
pub struct Acknowledgment<'a> {
    header: Header<'a>,
    msa: Segment<'a>,
    code: AcknowledgmentCode,
    /// All segments, for ERR.
    segments: Segments<'a>,
}

impl<'a> Acknowledgment<'a> {
    /// Reads the first MSA segment of a message.
    ///
    /// # Errors
    /// See [`AcknowledgmentError`].
    pub fn read(message: &'a [u8]) -> Result<Self, AcknowledgmentError> {
        let header = Header::read(message).map_err(AcknowledgmentError::Header)?;
        let delimiters = header.delimiters();
        let segments = Segments { rest: skip_to_content(message).unwrap_or_default(), delimiters };
        let msa = { segments }.find(|segment| segment.is(b"MSA"));
        let msa = msa.ok_or(AcknowledgmentError::Missing)?;
        let code = AcknowledgmentCode::from_bytes(msa.field(1)).ok_or(AcknowledgmentError::Code)?;
        Ok(Self { header, msa, code, segments })
    }

    /// The reply's own header.
    #[must_use]
    pub fn header(&self) -> &Header<'a> {
        &self.header
    }

    /// MSA-1.
    #[must_use]
    pub fn code(&self) -> AcknowledgmentCode {
        self.code
    }

    /// MSA-2: MSH-10 of the message it acknowledges, raw.
    #[must_use]
    pub fn control_id(&self) -> &'a [u8] {
        self.msa.field(2)
    }

    /// MSA-3, raw.
    #[must_use]
    pub fn text(&self) -> &'a [u8] {
        self.msa.field(3)
    }

    /// MSA-4, of the sequence number protocol.
    #[must_use]
    pub fn expected_sequence_number(&self) -> &'a [u8] {
        self.msa.field(4)
    }

    /// MSA-6, raw: an error code until v2.3.1.
    #[must_use]
    pub fn error_condition(&self) -> &'a [u8] {
        self.msa.field(6)
    }

    /// The errors its ERR segments report, in their old form (ERR-1) or their new one (ERR-2 and on), whichever is
    /// filled in: peers do not always keep to their version.
    pub fn errors(&self) -> impl Iterator<Item = ReportedError<'a>> + use<'a> {
        let delimiters = self.header.delimiters();
        self.segments.filter(|segment| segment.is(b"ERR")).flat_map(move |segment| {
            let new = !segment.field(3).is_empty() || !segment.field(2).is_empty();
            let repetitions = if new { &[] } else { segment.field(1) };
            let old = repetitions
                .split(move |&byte| byte == delimiters.repetition)
                .filter(|repetition| !repetition.is_empty())
                .map(move |repetition| ReportedError::of_eld(repetition, &delimiters));
            new.then(|| ReportedError::of_segment(&segment, &delimiters)).into_iter().chain(old)
        })
    }
}

impl fmt::Debug for Acknowledgment<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Acknowledgment").field("code", &self.code).finish_non_exhaustive()
    }
}

/// One error of an ERR segment. All bytes are raw.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ReportedError<'a> {
    /// The identifier of the error, mostly of table 0357.
    pub code: &'a [u8],
    /// What the identifier stands for, as the peer says it.
    pub description: &'a [u8],
    /// ERR-4.
    pub severity: Option<Severity>,
    /// ERR-8, or ERR-7 where it is empty.
    pub text: &'a [u8],
    segment: &'a [u8],
    /// Sequence, field, repetition, component, subcomponent; 0 where not said.
    numbers: [u32; 5],
}

impl<'a> ReportedError<'a> {
    fn of_eld(repetition: &'a [u8], delimiters: &Delimiters) -> Self {
        let [segment, sequence, field, coded] = parts(repetition, delimiters.component);
        let [code, description] = match delimiters.subcomponent {
            Some(subcomponent) => parts(coded, subcomponent),
            None => [coded, &[]],
        };
        let numbers = [number(sequence), number(field), 0, 0, 0];
        Self { code, description, severity: None, text: &[], segment, numbers }
    }

    fn of_segment(error: &Segment<'a>, delimiters: &Delimiters) -> Self {
        let [location] = parts(error.field(2), delimiters.repetition);
        let [segment, numbers @ ..] = parts::<6>(location, delimiters.component);
        let [code, description] = parts(error.field(3), delimiters.component);
        let text = [error.field(8), error.field(7)].into_iter().find(|text| !text.is_empty());
        Self {
            code,
            description,
            severity: Severity::from_bytes(error.field(4)),
            text: text.unwrap_or_default(),
            segment,
            numbers: numbers.map(number),
        }
    }

    /// Where the error is, as a path such as `PID-3[2].1`; `None` where the peer does not say it.
    #[must_use]
    pub fn location(&self) -> Option<String> {
        let segment = str::from_utf8(self.segment).ok().map(str::trim)?;
        if segment.len() != 3 || !segment.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return None;
        }
        let mut path = segment.to_owned();
        let [sequence, field, repetition, component, subcomponent] = self.numbers;
        if sequence > 1 {
            path += &format!("({sequence})");
        }
        if field > 0 {
            path += &format!("-{field}");
            if repetition > 1 {
                path += &format!("[{repetition}]");
            }
            let positions = [component, subcomponent].into_iter().take_while(|&part| part > 0);
            positions.for_each(|position| path += &format!(".{position}"));
        }
        Some(path)
    }
}

impl fmt::Debug for ReportedError<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ReportedError")
            .field("location", &self.location())
            .field("severity", &self.severity)
            .finish_non_exhaustive()
    }
}

fn parts<const COUNT: usize>(raw: &[u8], separator: u8) -> [&[u8]; COUNT] {
    let mut parts = raw.split(|&byte| byte == separator);
    [(); COUNT].map(|()| parts.next().unwrap_or_default())
}

fn number(digits: &[u8]) -> u32 {
    str::from_utf8(digits).ok().and_then(|digits| digits.trim().parse().ok()).unwrap_or(0)
}

#[derive(Clone, Copy)]
pub(super) struct Segment<'a> {
    raw: &'a [u8],
    field_separator: u8,
}

impl<'a> Segment<'a> {
    pub(super) fn is(&self, name: &[u8; 3]) -> bool {
        self.raw
            .strip_prefix(name)
            .is_some_and(|behind| behind.first().is_none_or(|&byte| byte == self.field_separator))
    }

    /// As it stands, without its end.
    pub(super) fn raw(self) -> &'a [u8] {
        self.raw
    }

    pub(super) fn field(&self, position: usize) -> &'a [u8] {
        self.raw.split(|&byte| byte == self.field_separator).nth(position).unwrap_or_default()
    }
}

#[derive(Clone, Copy)]
pub(super) struct Segments<'a> {
    rest: &'a [u8],
    delimiters: Delimiters,
}

impl<'a> Segments<'a> {
    /// Of a whole message.
    pub(super) fn of(message: &'a [u8], delimiters: Delimiters) -> Self {
        Self { rest: message, delimiters }
    }
}

impl<'a> Iterator for Segments<'a> {
    type Item = Segment<'a>;

    fn next(&mut self) -> Option<Segment<'a>> {
        if self.rest.is_empty() {
            return None;
        }
        let end = memchr2(b'\r', b'\n', self.rest).unwrap_or(self.rest.len());
        let (raw, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest.get(1..).unwrap_or_default();
        Some(Segment { raw, field_separator: self.delimiters.field })
    }
}
