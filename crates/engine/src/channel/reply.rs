//! What a sender is told: by the channel's reply mode, from what became of its message.

use bytes::Bytes;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use pipehat_connectors::ReceiptOutcome;
use pipehat_message::{
    Acknowledgment, AcknowledgmentBuilder, AcknowledgmentCode, AcknowledgmentCondition,
    AcknowledgmentMode, BatchPartKind, Batches, ErrorCode, ErrorDetail, Header, HeaderError,
    Message, Outcome, Path, Severity, acknowledgment_mode, is_query, unreadable_header_reply,
    wants_application_acknowledgment,
};

use crate::program::Refused;

/// The final answer to a sender who waits for more than durability.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) outcome: ReceiptOutcome,
    pub(crate) reply: Option<Bytes>,
}

/// Why an acknowledgment is negative.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: AcknowledgmentCode,
    pub(crate) error: ErrorCode,
    pub(crate) location: Option<String>,
    pub(crate) text: String,
    /// MSA-4, where the sender numbers its messages.
    pub(crate) expected: Option<i64>,
}

impl Refusal {
    /// An application error: the message was understood and is kept or refused for its content.
    pub(crate) fn error(text: impl Into<String>) -> Self {
        Self {
            code: AcknowledgmentCode::Ae,
            error: ErrorCode::ApplicationInternalError,
            location: None,
            text: text.into(),
            expected: None,
        }
    }

    /// A refusal that has nothing to do with the content: the sender should try again.
    pub(crate) fn busy(text: impl Into<String>) -> Self {
        Self { code: AcknowledgmentCode::Ar, ..Self::error(text) }
    }
}

/// The header a payload is acknowledged by: its own, or of a batch that of its first message
/// (a batch over MLLP is answered as one message; HL7 v2.5.1 §2.10.3 leaves its acknowledgment to
/// the sites).
///
/// # Errors
/// When there is no header to be read.
pub(crate) fn header_of(received: &[u8]) -> Result<Header<'_>, HeaderError> {
    match Header::read(received) {
        Err(HeaderError::Batch) => {
            let first = Batches::new(received).find(|part| part.kind == BatchPartKind::Message);
            first.map_or(Err(HeaderError::Batch), |part| Header::read(part.content()))
        }
        header => header,
    }
}

/// A positive acknowledgment of these bytes.
pub(crate) fn positive(
    received: &[u8],
    code: AcknowledgmentCode,
    control_id: &str,
    at: Timestamp,
    expected: Option<i64>,
) -> Option<Bytes> {
    let header = header_of(received).ok()?;
    let timestamp = hl7_time(at);
    let reply = AcknowledgmentBuilder::new(&header)
        .code(code)
        .control_id(control_id)
        .timestamp(&timestamp)
        .expected_sequence_number(&number(expected))
        .build();
    Some(reply.into())
}

/// A negative acknowledgment of these bytes, whatever they are; of a query, the response it would
/// have got, with the error in it.
pub(crate) fn negative(
    received: &[u8],
    refusal: &Refusal,
    control_id: &str,
    at: Timestamp,
) -> Bytes {
    let timestamp = hl7_time(at);
    let Ok(header) = header_of(received) else {
        return unreadable_header_reply(received, control_id, &timestamp, &refusal.text).into();
    };
    let builder = match refusal.code {
        // The accept level knows only general acknowledgments.
        AcknowledgmentCode::Ca | AcknowledgmentCode::Ce | AcknowledgmentCode::Cr => {
            AcknowledgmentBuilder::new(&header)
        }
        _ => AcknowledgmentBuilder::new(&header).in_response_to(received),
    };
    builder
        .code(refusal.code)
        .control_id(control_id)
        .timestamp(&timestamp)
        .expected_sequence_number(&number(refusal.expected))
        .text(&refusal.text)
        .error(ErrorDetail {
            code: refusal.error,
            severity: Severity::Error,
            location: refusal.location.as_deref(),
            text: &refusal.text,
        })
        .build()
        .into()
}

/// A negative acknowledgment with what is wrong, in the form of the message's version: an ERR
/// segment each, or up to v2.4 the repetitions of one.
pub(crate) fn refusing(
    received: &[u8],
    code: AcknowledgmentCode,
    text: &str,
    errors: &[Refused],
    control_id: &str,
    at: Timestamp,
) -> Bytes {
    let timestamp = hl7_time(at);
    let Ok(header) = header_of(received) else {
        return unreadable_header_reply(received, control_id, &timestamp, text).into();
    };
    let mut builder = AcknowledgmentBuilder::new(&header)
        .code(code)
        .control_id(control_id)
        .timestamp(&timestamp)
        .text(text);
    for error in errors {
        builder = builder.error(ErrorDetail {
            code: error.code,
            severity: Severity::Error,
            location: Some(&error.location),
            text: &error.text,
        });
    }
    builder.build().into()
}

/// A destination's reply as the sender must see it: MSA-2 names the sender's own control id.
pub(crate) fn forwarded(reply: &Bytes, received: &[u8]) -> Bytes {
    let Ok(header) = header_of(received) else { return reply.clone() };
    let named = Acknowledgment::read(reply)
        .is_ok_and(|acknowledgment| acknowledgment.control_id() == header.control_id());
    if named {
        return reply.clone();
    }
    let (Ok(mut message), Ok(path)) = (Message::parse(reply), Path::parse("MSA-2")) else {
        return reply.clone();
    };
    if message.set_raw(&path, header.control_id()).is_err() {
        return reply.clone();
    }
    message.into_bytes().into_owned().into()
}

/// A destination's general acknowledgment that refuses a query: the asker expects a response, and
/// gets one that says the same.
pub(crate) fn refusal_of_query(reply: &[u8], received: &[u8]) -> Option<Refusal> {
    let header = header_of(received).ok()?;
    let acknowledgment = Acknowledgment::read(reply).ok()?;
    let general = acknowledgment.header().message_code() == b"ACK";
    if !general || !is_query(&header) {
        return None;
    }
    let code = match acknowledgment.code() {
        AcknowledgmentCode::Aa | AcknowledgmentCode::Ca => return None,
        AcknowledgmentCode::Ae | AcknowledgmentCode::Cr => AcknowledgmentCode::Ae,
        AcknowledgmentCode::Ar | AcknowledgmentCode::Ce => AcknowledgmentCode::Ar,
    };
    let said = |text: &[u8]| str::from_utf8(text).ok().map(str::to_owned);
    let said = said(acknowledgment.text()).filter(|text| !text.is_empty());
    let said = said.filter(|text| text.chars().all(|char| char.is_ascii() && char != '\\'));
    let text = match said {
        Some(said) => format!("refused by the destination: {said}"),
        None => "refused by the destination".to_owned(),
    };
    Some(Refusal { code, ..Refusal::error(text) })
}

/// Whether this is a query.
pub(crate) fn asks(received: &[u8]) -> bool {
    header_of(received).is_ok_and(|header| is_query(&header))
}

/// An application acknowledgment as a message of its own, if the sender's MSH-16 asks for it. As an
/// initiating message it says which acknowledgments it wants itself: the accept acknowledgment that
/// ends its delivery, and no other.
pub(crate) fn wanted_application(received: &[u8], reply: &Bytes) -> Option<Bytes> {
    let header = header_of(received).ok()?;
    let went = if is_positive(reply) { Outcome::Success } else { Outcome::Failure };
    let wanted = acknowledgment_mode(&header) == AcknowledgmentMode::Enhanced
        && wants_application_acknowledgment(&header, went);
    wanted.then(|| asking(reply, AcknowledgmentCondition::Always))
}

/// A reply with MSH-15 and MSH-16, the second NE (HL7 v2.5.1 §2.9.3): it wants no application
/// acknowledgment.
pub(crate) fn asking(reply: &Bytes, accept: AcknowledgmentCondition) -> Bytes {
    let edit = || {
        let mut message = Message::parse(reply).ok()?;
        for (path, condition) in [("MSH-15", accept), ("MSH-16", AcknowledgmentCondition::Never)] {
            message.set_raw(&Path::parse(path).ok()?, condition.as_str().as_bytes()).ok()?;
        }
        Some(message.into_bytes().into_owned().into())
    };
    edit().unwrap_or_else(|| reply.clone())
}

/// Whether a reply says that all went well.
pub(crate) fn is_positive(reply: &[u8]) -> bool {
    Acknowledgment::read(reply).is_ok_and(|reply| reply.code().is_positive())
}

fn number(expected: Option<i64>) -> String {
    expected.map(|number| number.to_string()).unwrap_or_default()
}

/// A time as DTM with its offset, to the second (HL7 v2.5.1 §2.A.22). In UTC: the engine's own
/// time needs no local reading.
fn hl7_time(at: Timestamp) -> String {
    let at = at.to_zoned(TimeZone::UTC);
    at.strftime("%Y%m%d%H%M%S+0000").to_string()
}
