//! The replies this connector writes itself: no to a message that is too long to be kept, and what the bringer of an
//! application acknowledgment is told.

use std::time::SystemTime;

use jiff::Timestamp;
use pipehat_message::{
    AcknowledgmentBuilder, AcknowledgmentCode, AcknowledgmentMode, ErrorCode, ErrorDetail, Header,
    Outcome, Severity, acknowledgment_mode, unreadable_header_reply, wants_accept_acknowledgment,
    wants_application_acknowledgment,
};

/// The negative acknowledgment of a message of which only the beginning was kept; none where its sender wants none.
pub(super) fn too_long(head: &[u8], bytes_max: usize) -> Option<Vec<u8>> {
    let text = format!("the message is longer than the {bytes_max} bytes that are accepted");
    let (control_id, timestamp) = (own_control_id(), timestamp());
    let Ok(header) = Header::read(head) else {
        return Some(unreadable_header_reply(head, &control_id, &timestamp, &text));
    };
    let code = refusal_code(&header)?;
    let error = ErrorDetail {
        code: ErrorCode::ApplicationInternalError,
        severity: Severity::Error,
        location: None,
        text: &text,
    };
    let reply = AcknowledgmentBuilder::new(&header)
        .code(code)
        .control_id(&control_id)
        .timestamp(&timestamp)
        .text(&text)
        .error(error);
    Some(reply.build())
}

/// CA to a message, if it asks for an accept acknowledgment (HL7 v2.5.1 §2.9.3).
pub(super) fn accepted(message: &[u8]) -> Option<Vec<u8>> {
    accept_acknowledgment(message, AcknowledgmentCode::Ca, Outcome::Success)
}

/// CR to a message that is no acknowledgment, if it asks for an accept acknowledgment.
pub(super) fn no_acknowledgment(message: &[u8]) -> Option<Vec<u8>> {
    accept_acknowledgment(message, AcknowledgmentCode::Cr, Outcome::Failure)
}

fn accept_acknowledgment(
    message: &[u8],
    code: AcknowledgmentCode,
    outcome: Outcome,
) -> Option<Vec<u8>> {
    let header = Header::read(message).ok()?;
    let wanted = acknowledgment_mode(&header) == AcknowledgmentMode::Enhanced
        && wants_accept_acknowledgment(&header, outcome);
    let (control_id, timestamp) = (own_control_id(), timestamp());
    let reply = AcknowledgmentBuilder::new(&header)
        .code(code)
        .control_id(&control_id)
        .timestamp(&timestamp);
    wanted.then(|| reply.build())
}

/// AR, or in enhanced mode what the sender asks for (HL7 v2.5.1 §2.9.3).
fn refusal_code(header: &Header<'_>) -> Option<AcknowledgmentCode> {
    match acknowledgment_mode(header) {
        AcknowledgmentMode::Original => Some(AcknowledgmentCode::Ar),
        AcknowledgmentMode::Enhanced if wants_accept_acknowledgment(header, Outcome::Failure) => {
            Some(AcknowledgmentCode::Cr)
        }
        AcknowledgmentMode::Enhanced => wants_application_acknowledgment(header, Outcome::Failure)
            .then_some(AcknowledgmentCode::Ar),
    }
}

/// Unique enough for a reply that nobody acknowledges: MSH-10 has 20 characters until v2.6.
fn own_control_id() -> String {
    let number = getrandom::u64().unwrap_or_else(|_| {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        now.map_or(0, |now| now.subsec_nanos().into())
    });
    format!("{number:016X}")
}

/// Now, in the form of MSH-7.
fn timestamp() -> String {
    Timestamp::now().strftime("%Y%m%d%H%M%S+0000").to_string()
}

#[cfg(test)]
mod tests {
    use pipehat_message::Acknowledgment;

    use super::*;

    #[track_caller]
    fn check(head: &str, expected: Option<(AcknowledgmentCode, &str)>) {
        let reply = too_long(head.as_bytes(), 100);
        let read =
            reply.as_deref().map(|reply| Acknowledgment::read(reply).expect("an acknowledgment"));
        let control_id =
            |read: Acknowledgment<'_>| String::from_utf8_lossy(read.control_id()).into_owned();
        let read = read.map(|read| (read.code(), control_id(read)));
        assert_eq!(read, expected.map(|(code, id)| (code, id.to_owned())), "{head}");
    }

    #[test]
    fn the_refusal_is_the_one_the_sender_asks_for() {
        use AcknowledgmentCode::{Ar, Cr};
        check("MSH|^~\\&|A|B|C|D|2026||ADT^A01|ID1|P|2.5\rPID|", Some((Ar, "ID1")));
        check("MSH|^~\\&|A|B|C|D|2026||ADT^A01|ID1|P|2.5|||AL|AL\rPID|", Some((Cr, "ID1")));
        check("MSH|^~\\&|A|B|C|D|2026||ADT^A01|ID1|P|2.5|||NE|AL\rPID|", Some((Ar, "ID1")));
        check("MSH|^~\\&|A|B|C|D|2026||ADT^A01|ID1|P|2.5|||NE|NE\rPID|", None);
        check("rubbish", Some((Ar, "")));
    }
}
