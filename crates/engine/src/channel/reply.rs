//! What a sender is told: by the channel's reply mode, from what became of its message.

use bytes::Bytes;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use pipehat_connectors::ReceiptOutcome;
use pipehat_message::{
    Acknowledgment, AcknowledgmentBuilder, AcknowledgmentCode, BatchPartKind, Batches, ErrorCode,
    ErrorDetail, Header, HeaderError, Message, Path, Severity, unreadable_header_reply,
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
}

impl Refusal {
    /// An application error: the message was understood and is kept or refused for its content.
    pub(crate) fn error(text: impl Into<String>) -> Self {
        Self {
            code: AcknowledgmentCode::Ae,
            error: ErrorCode::ApplicationInternalError,
            location: None,
            text: text.into(),
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
) -> Option<Bytes> {
    let header = header_of(received).ok()?;
    let timestamp = hl7_time(at);
    let reply = AcknowledgmentBuilder::new(&header)
        .code(code)
        .control_id(control_id)
        .timestamp(&timestamp)
        .build();
    Some(reply.into())
}

/// A negative acknowledgment of these bytes, whatever they are.
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
    AcknowledgmentBuilder::new(&header)
        .code(refusal.code)
        .control_id(control_id)
        .timestamp(&timestamp)
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

/// Whether a reply says that all went well.
pub(crate) fn is_positive(reply: &[u8]) -> bool {
    Acknowledgment::read(reply).is_ok_and(|reply| reply.code().is_positive())
}

/// A time as DTM with its offset, to the second (HL7 v2.5.1 §2.A.22). In UTC: the engine's own
/// time needs no local reading.
fn hl7_time(at: Timestamp) -> String {
    let at = at.to_zoned(TimeZone::UTC);
    at.strftime("%Y%m%d%H%M%S+0000").to_string()
}
