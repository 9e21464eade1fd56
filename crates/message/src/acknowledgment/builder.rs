//! Replies: MSH, MSA and ERR in the form of the sender's version.

use std::fmt;
use std::io::Write as _;

use super::code::AcknowledgmentCode;
use super::condition::AcknowledgmentCondition;
use super::detail::{ErrorCode, ErrorDetail, Location, Severity};
use super::query::{QueryResponse, response_status};
use super::version::Version;
use crate::header::skip_to_content;
use crate::{Charset, CharsetSpec, Delimiters, HEADER_BYTES_MAX, Header, escape, is_representable};

/// How much of an unreadable header is searched for something to answer to.
const UNREADABLE_HEADER_BYTES_MAX: usize = 4096;

/// Builds the acknowledgment of one message.
#[derive(Clone)]
pub struct AcknowledgmentBuilder<'a> {
    header: Header<'a>,
    code: AcknowledgmentCode,
    control_id: &'a str,
    timestamp: &'a str,
    text: &'a str,
    expected_sequence_number: &'a str,
    accept_condition: Option<AcknowledgmentCondition>,
    application_condition: Option<AcknowledgmentCondition>,
    errors: Vec<ErrorDetail<'a>>,
    query: Option<QueryResponse<'a>>,
}

impl<'a> AcknowledgmentBuilder<'a> {
    /// A positive application acknowledgment of the message with this header.
    ///
    /// Give it at least its own [`control_id`](Self::control_id) and [`timestamp`](Self::timestamp).
    #[must_use]
    pub fn new(header: &Header<'a>) -> Self {
        Self {
            header: *header,
            code: AcknowledgmentCode::Aa,
            control_id: "",
            timestamp: "",
            text: "",
            expected_sequence_number: "",
            accept_condition: None,
            application_condition: None,
            errors: Vec::new(),
            query: None,
        }
    }

    /// MSA-1.
    #[must_use]
    pub fn code(mut self, code: AcknowledgmentCode) -> Self {
        self.code = code;
        self
    }

    /// MSH-10 of the reply: the caller's own, unique.
    #[must_use]
    pub fn control_id(mut self, control_id: &'a str) -> Self {
        self.control_id = control_id;
        self
    }

    /// MSH-7 of the reply.
    #[must_use]
    pub fn timestamp(mut self, timestamp: &'a str) -> Self {
        self.timestamp = timestamp;
        self
    }

    /// A sentence for a person: MSA-3 until v2.6. From v2.7 on, where MSA-3 is withdrawn, ERR-8 of the first error, or
    /// of one for this text alone when the code is negative.
    #[must_use]
    pub fn text(mut self, text: &'a str) -> Self {
        self.text = text;
        self
    }

    /// One more error to report.
    #[must_use]
    pub fn error(mut self, error: ErrorDetail<'a>) -> Self {
        self.errors.push(error);
        self
    }

    /// MSA-4, of the sequence number protocol (HL7 v2.5.1 §2.10.1).
    #[must_use]
    pub fn expected_sequence_number(mut self, number: &'a str) -> Self {
        self.expected_sequence_number = number;
        self
    }

    /// MSH-15 and MSH-16 of the reply, for an application acknowledgment of enhanced mode that is a message of its own.
    #[must_use]
    pub fn conditions(
        mut self,
        accept: AcknowledgmentCondition,
        application: AcknowledgmentCondition,
    ) -> Self {
        self.accept_condition = Some(accept);
        self.application_condition = Some(application);
        self
    }

    /// The message that is answered, so that a query is refused in its own form: by the response it would have got (RSP,
    /// RTB, RDY, ADR, DSR, ORF, …) with QAK, and its QPD, or QRD and QRF, as they came (HL7 v2.5.1 §5.4, §5.10.2). Of any
    /// other message it changes nothing.
    #[must_use]
    pub fn in_response_to(mut self, message: &'a [u8]) -> Self {
        self.query = QueryResponse::to(&self.header, message);
        self
    }

    /// The reply; each segment ends with CR.
    #[must_use]
    pub fn build(&self) -> Vec<u8> {
        let version = Version::of(self.header.version_id());
        let mut writer = Writer::new(&self.header);
        self.write_header(version, &mut writer);
        self.write_msa(version, &mut writer);
        if let Some(query) = self.query.as_ref().filter(|query| query.echoed_first) {
            write_echoed(query, &mut writer);
        }
        if version.has_error_location() {
            self.write_errors(version, &mut writer);
        } else if !self.errors.is_empty() {
            self.write_old_errors(version, &mut writer);
        }
        if let Some(query) = &self.query {
            self.write_query_acknowledgment(query, &mut writer);
            if !query.echoed_first {
                write_echoed(query, &mut writer);
            }
        }
        writer.output
    }

    fn write_header(&self, version: Version, writer: &mut Writer<'_>) {
        let header = &self.header;
        writer.output.extend_from_slice(b"MSH");
        writer.byte(writer.delimiters.field);
        writer.raw(header.encoding_characters());
        writer.raw_field(header.receiving_application());
        writer.raw_field(header.receiving_facility());
        writer.raw_field(header.sending_application());
        writer.raw_field(header.sending_facility());
        writer.text_field(self.timestamp);
        writer.raw_field(b""); // MSH-8
        let (code, event, structure): (&str, &[u8], &[u8]) = match &self.query {
            Some(query) => (query.message_code, &query.event, &query.structure),
            None => ("ACK", header.trigger_event(), b"ACK"),
        };
        writer.raw_field(code.as_bytes());
        let structured = version.has_message_structure();
        let has_event = version.has_trigger_event() || self.query.is_some();
        if has_event && (structured || !event.is_empty()) {
            writer.byte(writer.delimiters.component);
            writer.raw(event);
        }
        if structured {
            writer.byte(writer.delimiters.component);
            writer.raw(structure);
        }
        writer.text_field(self.control_id);
        writer.raw_field(header.processing_id());
        writer.raw_field(header.field(12));
        writer.raw_field(b""); // MSH-13
        writer.raw_field(b""); // MSH-14
        for condition in [self.accept_condition, self.application_condition] {
            writer.text_field(condition.map_or("", AcknowledgmentCondition::as_str));
        }
        writer.raw_field(b""); // MSH-17
        writer.raw_field(header.character_set());
        writer.end_segment();
    }

    fn write_msa(&self, version: Version, writer: &mut Writer<'_>) {
        writer.output.extend_from_slice(b"MSA");
        writer.text_field(self.code.as_str());
        writer.raw_field(self.header.control_id());
        writer.text_field(if version.has_message_text() { self.text } else { "" });
        writer.text_field(self.expected_sequence_number);
        writer.raw_field(b""); // MSA-5
        writer.raw_field(b"");
        if let Some(error) = self.errors.first().filter(|_| version.has_error_condition()) {
            writer.coded(error.code, writer.delimiters.component);
        }
        writer.end_segment();
    }

    fn write_query_acknowledgment(&self, query: &QueryResponse<'_>, writer: &mut Writer<'_>) {
        if !query.acknowledges_query {
            return;
        }
        writer.output.extend_from_slice(b"QAK");
        writer.raw_field(query.tag);
        writer.text_field(response_status(self.code));
        writer.raw_field(query.name);
        writer.end_segment();
    }

    /// ERR from v2.5 on: a segment for each error.
    fn write_errors(&self, version: Version, writer: &mut Writer<'_>) {
        for (index, error) in self.errors.iter().enumerate() {
            let said_in_msa = version.has_message_text() || index > 0;
            let text = match (error.text, said_in_msa) {
                ("", false) => self.text,
                (text, _) => text,
            };
            write_error(&ErrorDetail { text, ..*error }, writer);
        }
        let only_text = self.errors.is_empty() && !self.text.is_empty();
        if only_text && !version.has_message_text() && !self.code.is_positive() {
            let (code, severity) = (ErrorCode::ApplicationInternalError, Severity::Error);
            write_error(&ErrorDetail { code, severity, location: None, text: self.text }, writer);
        }
    }

    /// ERR until v2.4: one segment, a repetition of ERR-1 for each error.
    fn write_old_errors(&self, version: Version, writer: &mut Writer<'_>) {
        let Delimiters { field, component, repetition, subcomponent, .. } = writer.delimiters;
        writer.output.extend_from_slice(b"ERR");
        for (index, error) in self.errors.iter().enumerate() {
            writer.byte(if index == 0 { field } else { repetition });
            if let Some(location) = error.location.and_then(Location::of) {
                writer.text(location.segment);
                writer.byte(component);
                writer.number(location.sequence);
                writer.byte(component);
                writer.number(location.field);
            } else {
                writer.output.extend_from_slice(&[component, component]);
            }
            writer.byte(component);
            match subcomponent.filter(|_| version.has_coded_error()) {
                Some(subcomponent) => writer.coded(error.code, subcomponent),
                None => writer.number(u32::from(error.code.number())),
            }
        }
        writer.end_segment();
    }
}

/// What a response repeats of its query, as it came.
fn write_echoed(query: &QueryResponse<'_>, writer: &mut Writer<'_>) {
    for segment in &query.echoed {
        writer.raw(segment);
        writer.byte(b'\r');
        writer.segment_start = writer.output.len();
    }
}

fn write_error(error: &ErrorDetail<'_>, writer: &mut Writer<'_>) {
    let component = writer.delimiters.component;
    writer.output.extend_from_slice(b"ERR");
    writer.raw_field(b""); // ERR-1
    writer.raw_field(b"");
    if let Some(location) = error.location.and_then(Location::of) {
        writer.text(location.segment);
        let Location { sequence, field, repetition, component: part, subcomponent, .. } = location;
        let mut numbers = &[sequence, field, repetition, part, subcomponent][..];
        while let [shorter @ .., 0] = numbers {
            numbers = shorter;
        }
        for &number in numbers {
            writer.byte(component);
            writer.number(number);
        }
    }
    writer.raw_field(b"");
    writer.coded(error.code, component);
    writer.text_field(error.severity.as_str());
    for _ in 5..=7 {
        writer.raw_field(b"");
    }
    writer.text_field(error.text);
    writer.end_segment();
}

impl fmt::Debug for AcknowledgmentBuilder<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("AcknowledgmentBuilder")
            .field("header", &self.header)
            .field("code", &self.code)
            .field("errors", &self.errors.len())
            .field("query", &self.query.is_some())
            .finish_non_exhaustive()
    }
}

/// The reply to bytes whose header can't be read: an AR that says so.
///
/// Where at least MSH-1 could be found, its fields are read with the recommended encoding characters, so that the
/// sender gets its own names and control id back; otherwise these fields stay empty. The form is that of v2.5.1 unless
/// MSH-12 could be read.
#[must_use]
pub fn unreadable_header_reply(
    bytes: &[u8],
    own_control_id: &str,
    timestamp: &str,
    text: &str,
) -> Vec<u8> {
    let repaired = repaired_header(bytes);
    let header = repaired.as_deref().and_then(|segment| Header::read(segment).ok());
    let unknown = || Header::read(UNKNOWN_HEADER).expect("a constant header");
    AcknowledgmentBuilder::new(&header.unwrap_or_else(unknown))
        .code(AcknowledgmentCode::Ar)
        .control_id(own_control_id)
        .timestamp(timestamp)
        .text(text)
        .error(ErrorDetail {
            code: ErrorCode::SegmentSequenceError,
            severity: Severity::Error,
            location: Some("MSH"),
            text,
        })
        .build()
}

const UNKNOWN_HEADER: &[u8] = b"MSH|^~\\&|||||||||P|2.5.1\r";

/// The header segment with the recommended encoding characters in the place of its own.
fn repaired_header(bytes: &[u8]) -> Option<Vec<u8>> {
    let behind = skip_to_content(bytes)?.strip_prefix(b"MSH")?;
    let (&field, behind) = behind.split_first()?;
    if !field.is_ascii_punctuation() || b"^~\\&".contains(&field) {
        return None;
    }
    let window = behind.get(..UNREADABLE_HEADER_BYTES_MAX).unwrap_or(behind);
    let line = window.split(|byte| matches!(byte, b'\r' | b'\n')).next()?;
    let fields_start = line.iter().position(|&byte| byte == field)?;
    let fields = line.get(fields_start..)?;
    Some([b"MSH", &[field][..], b"^~\\&", fields].concat())
}

const _: () = assert!(UNREADABLE_HEADER_BYTES_MAX < HEADER_BYTES_MAX);

/// The reply while it is written, with the sender's delimiters and in the sender's character set.
struct Writer<'a> {
    output: Vec<u8>,
    delimiters: Delimiters,
    /// MSH-18, looked up only for text that needs it.
    character_set: &'a [u8],
    segment_start: usize,
}

impl<'a> Writer<'a> {
    fn new(header: &Header<'a>) -> Self {
        Self {
            output: Vec::with_capacity(512),
            delimiters: header.delimiters(),
            character_set: header.character_set(),
            segment_start: 0,
        }
    }

    fn byte(&mut self, byte: u8) {
        self.output.push(byte);
    }

    /// Bytes of the sender's header, without those that would end the reply's frame.
    fn raw(&mut self, bytes: &[u8]) {
        let kept = bytes.iter().filter(|byte| !matches!(byte, 0x0B | 0x1C));
        self.output.extend(kept);
    }

    fn raw_field(&mut self, bytes: &[u8]) {
        self.byte(self.delimiters.field);
        self.raw(bytes);
    }

    fn text_field(&mut self, text: &str) {
        self.byte(self.delimiters.field);
        self.text(text);
    }

    /// Our own text, escaped. What the character set lacks becomes `?`, what can't be escaped a blank.
    fn text(&mut self, text: &str) {
        if text.is_ascii() && is_representable(text.as_bytes(), &self.delimiters) {
            self.output.extend_from_slice(&escape(text.as_bytes(), &self.delimiters));
            return;
        }
        let declared = CharsetSpec::from_msh18(self.character_set);
        let charset = declared.map_or(Charset::ASCII, |spec| spec.charset().of_values());
        for character in text.chars() {
            let mut utf8 = [0; 4];
            let text = character.encode_utf8(&mut utf8);
            if !is_representable(text.as_bytes(), &self.delimiters) {
                self.output.push(b' ');
            } else if character.is_ascii() {
                self.output.extend_from_slice(&escape(text.as_bytes(), &self.delimiters));
            } else {
                let encoded = charset.encode(text);
                self.output.extend_from_slice(encoded.as_deref().unwrap_or(b"?"));
            }
        }
    }

    /// Left out when 0.
    fn number(&mut self, number: u32) {
        if number > 0 {
            write!(self.output, "{number}").expect("writing to a vector can't fail");
        }
    }

    /// Data type CE or CWE.
    fn coded(&mut self, code: ErrorCode, separator: u8) {
        self.text(&code.number().to_string());
        self.byte(separator);
        self.text(code.description());
        self.byte(separator);
        self.text("HL70357");
    }

    /// Ends the segment without trailing empty fields.
    fn end_segment(&mut self) {
        let least = self.segment_start.saturating_add(4);
        while self.output.len() > least && self.output.last() == Some(&self.delimiters.field) {
            self.output.pop();
        }
        self.byte(b'\r');
        self.segment_start = self.output.len();
    }
}
