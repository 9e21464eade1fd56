//! What to answer to the bytes of one frame.

use std::borrow::Cow;

use pipehat_message::{
    AcknowledgmentBuilder, AcknowledgmentCode, Charset, Header, mllp, unreadable_header_reply,
};

use crate::control_id::ControlIds;

/// What a message says about itself, and what was answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answered {
    /// MSH-9 and MSH-10 as they stand, empty where the header can't be read.
    pub(super) message_type: String,
    pub(super) control_id: String,
    pub(super) code: AcknowledgmentCode,
}

/// What stands in every answer.
pub(super) struct Wording<'a> {
    pub(super) code: AcknowledgmentCode,
    pub(super) text: &'a str,
    pub(super) timestamp: &'a str,
}

/// Frames the acknowledgment of a message; an AR where its header can't be read.
pub(super) fn answer(
    message: &[u8],
    wording: &Wording<'_>,
    ids: &mut ControlIds,
    output: &mut Vec<u8>,
) -> Answered {
    let wide = Charset::detect_wide(message);
    let message = match wide {
        Some(charset) => Cow::Owned(charset.decode(message).text.into_owned().into_bytes()),
        None => Cow::Borrowed(message),
    };
    let id = ids.next_id();
    let control_id = str::from_utf8(&id).unwrap_or_default();
    let &Wording { mut code, text, timestamp } = wording;
    let mut message_type = String::new();
    let mut answered_id = String::new();
    let reply = match Header::read(&message) {
        Ok(header) => {
            message_type = String::from_utf8_lossy(header.field(9)).into_owned();
            answered_id = String::from_utf8_lossy(header.control_id()).into_owned();
            AcknowledgmentBuilder::new(&header)
                .code(code)
                .control_id(control_id)
                .timestamp(timestamp)
                .text(text)
                .build()
        }
        Err(_) => {
            code = AcknowledgmentCode::Ar;
            let text = "The message header (MSH) cannot be read";
            unreadable_header_reply(&message, control_id, timestamp, text)
        }
    };
    let encoded = wide.and_then(|charset| {
        let text = str::from_utf8(&reply).ok()?;
        charset.encode(text).ok().map(Cow::into_owned)
    });
    mllp::encode_frame(encoded.as_deref().unwrap_or(&reply), output);
    Answered { message_type, control_id: answered_id, code }
}

#[cfg(test)]
mod tests {
    use pipehat_message::Acknowledgment;

    use super::*;

    fn check(message: &[u8], code: AcknowledgmentCode, expected: (&str, &str, AcknowledgmentCode)) {
        let mut output = Vec::new();
        let wording = Wording { code, text: "", timestamp: "20250101" };
        let mut ids = ControlIds::new().unwrap();
        let answered = answer(message, &wording, &mut ids, &mut output);
        let (message_type, control_id, code) = expected;
        assert_eq!(
            answered,
            Answered { message_type: message_type.into(), control_id: control_id.into(), code }
        );
        let reply = output.strip_prefix(b"\x0b").and_then(|rest| rest.strip_suffix(b"\x1c\r"));
        let reply = reply.expect("one frame");
        let reply = match Charset::detect_wide(reply) {
            Some(charset) => charset.decode(reply).text.into_owned().into_bytes(),
            None => reply.to_vec(),
        };
        let acknowledgment = Acknowledgment::read(&reply).expect("an acknowledgment");
        assert_eq!(acknowledgment.code(), code);
        assert_eq!(acknowledgment.control_id(), control_id.as_bytes());
    }

    #[test]
    fn messages_get_the_code_that_was_asked_for() {
        use AcknowledgmentCode::{Aa, Ae, Ar};
        let message = "MSH|^~\\&|A|B|C|D|||ADT^A01|M1|P|2.5\r";
        check(message.as_bytes(), Aa, ("ADT^A01", "M1", Aa));
        check(message.as_bytes(), Ae, ("ADT^A01", "M1", Ae));
        check(b"hello", Aa, ("", "", Ar));
        let wide: Vec<u8> = "\u{feff}"
            .chars()
            .chain(message.chars())
            .flat_map(|c| (u32::from(c) as u16).to_be_bytes())
            .collect();
        check(&wide, Aa, ("ADT^A01", "M1", Aa));
    }
}
