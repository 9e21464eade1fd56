//! From content types to inputs, and from outputs to content types.

use pipehat_message::{
    AcknowledgmentBuilder, AcknowledgmentCode, ErrorCode, ErrorDetail, Header, Severity,
    unreadable_header_reply,
};
use pipehat_script::{Input, Output};

/// What HL7 v2 is called over HTTP. The first is what Medplum's clients send.
const HL7: [&str; 4] = [
    "x-application/hl7-v2+er7",
    "application/hl7-v2",
    "application/hl7-v2+er7",
    "x-application/hl7-v2",
];

/// A content type without its parameters, in small letters.
pub(super) fn media_type(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Whether it is HL7 v2.
pub(super) fn is_hl7(content_type: &str) -> bool {
    HL7.contains(&media_type(content_type).as_str())
}

fn is_json(content_type: &str) -> bool {
    let name = media_type(content_type);
    name == "application/json" || name == "text/json" || name.ends_with("+json")
}

/// What a script is given.
///
/// # Errors
/// What the body is not.
pub(super) fn input(content_type: &str, body: Vec<u8>) -> Result<Input, &'static str> {
    let name = media_type(content_type);
    if is_hl7(&name) {
        return match Header::read(&body) {
            Ok(_) if messages(&body) > 1 => Err(
                "the body holds several HL7 v2 messages: each is sent by itself, to be answered by itself",
            ),
            Ok(_) => Ok(Input::Hl7(body)),
            Err(_) => Err("the body is no HL7 v2 message: it begins with no readable MSH segment"),
        };
    }
    if is_json(&name) {
        if body.is_empty() {
            return Ok(Input::Json("{}".to_owned()));
        }
        let text = String::from_utf8(body).map_err(|_| "the body is not UTF-8")?;
        return match pipehat_resource::json::parse(text.as_bytes()) {
            Ok(_) => Ok(Input::Json(text)),
            Err(_) => Err("the body is no JSON"),
        };
    }
    let is_text = name.is_empty()
        || name.starts_with("text/")
        || matches!(name.as_str(), "application/x-www-form-urlencoded" | "application/xml")
        || name.ends_with("+xml");
    if is_text {
        return String::from_utf8(body).map(Input::Text).map_err(|_| "the body is not UTF-8");
    }
    Ok(Input::Bytes(body))
}

/// How many segments MSH there are.
fn messages(body: &[u8]) -> usize {
    let segments = body.split(|byte| matches!(byte, b'\r' | b'\n'));
    let begins = |segment: &&[u8]| {
        let separator = segment.strip_prefix(b"MSH").and_then(|rest| rest.first());
        separator.is_some_and(|sign| !sign.is_ascii_alphanumeric() && *sign != b' ')
    };
    segments.filter(begins).count()
}

/// What goes out for an output, and what it is: for an HL7 message an HL7 message, in the content type it came in.
pub(super) fn output(
    output: Output,
    content_type: &str,
    input: &[u8],
    now: jiff::Timestamp,
) -> (String, Vec<u8>) {
    let hl7 = is_hl7(content_type);
    let same = || content_type.to_owned();
    match output {
        Output::Hl7(bytes) if hl7 => (same(), bytes),
        Output::Hl7(bytes) => (HL7[0].to_owned(), bytes),
        Output::Text(text) if hl7 && text.starts_with("MSH") => (same(), text.into_bytes()),
        Output::Text(text) => ("text/plain; charset=utf-8".to_owned(), text.into_bytes()),
        Output::Bytes(bytes) => ("application/octet-stream".to_owned(), bytes),
        Output::Json(json) => {
            let resource = pipehat_resource::json::parse(json.as_bytes());
            let fhir = resource.is_ok_and(|resource| resource.resource_type().is_some());
            let name = if fhir { "application/fhir+json" } else { "application/json" };
            (name.to_owned(), json.into_bytes())
        }
        // Who sends a message expects an acknowledgment.
        Output::Nothing if hl7 => (same(), acknowledgment(input, None, now)),
        Output::Nothing => (String::new(), Vec::new()),
    }
}

/// An acknowledgment: AA, or AE with an ERR segment that says why (HL7 v2.5.1 §2.9.2).
pub(super) fn acknowledgment(
    received: &[u8],
    error: Option<&str>,
    now: jiff::Timestamp,
) -> Vec<u8> {
    let time = now.strftime("%Y%m%d%H%M%S+0000").to_string();
    let control_id = crate::fhir::new_id().replace('-', "");
    let control_id = control_id.get(..20).unwrap_or(&control_id);
    let Ok(header) = Header::read(received) else {
        let text = error.unwrap_or("the header can't be read");
        return unreadable_header_reply(received, control_id, &time, text);
    };
    let builder = AcknowledgmentBuilder::new(&header).control_id(control_id).timestamp(&time);
    let Some(text) = error else { return builder.code(AcknowledgmentCode::Aa).build() };
    builder
        .code(AcknowledgmentCode::Ae)
        .text(text)
        .error(ErrorDetail {
            code: ErrorCode::ApplicationInternalError,
            severity: Severity::Error,
            location: None,
            text,
        })
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: &[u8] = b"MSH|^~\\&|A|B|C|D|20260101||ADT^A01|7|P|2.5.1\rPID|1\r";

    fn kind(content_type: &str, body: &[u8]) -> &'static str {
        match input(content_type, body.to_vec()) {
            Ok(Input::Hl7(_)) => "hl7",
            Ok(Input::Json(_)) => "json",
            Ok(Input::Text(_)) => "text",
            Ok(Input::Bytes(_)) => "bytes",
            Err(_) => "refused",
        }
    }

    #[test]
    fn bodies_are_read_by_their_type() {
        for name in HL7 {
            assert_eq!(kind(name, MESSAGE), "hl7", "{name}");
        }
        assert_eq!(kind("x-application/hl7-v2+er7; charset=utf-8", MESSAGE), "hl7");
        assert_eq!(kind("application/hl7-v2", b"{}"), "refused");
        // Only one of them could be answered.
        for between in ["", "\r", "\n"] {
            let two = [MESSAGE, between.as_bytes(), MESSAGE].concat();
            assert_eq!(kind("application/hl7-v2", &two), "refused");
            assert_eq!(kind("text/plain", &two), "text");
        }
        let within = [MESSAGE, b"NTE|1||MSH|\rMSH is no segment here\r"].concat();
        assert_eq!(kind("application/hl7-v2", &within), "hl7");
        assert_eq!(kind("application/fhir+json", b"{}"), "json");
        assert_eq!(kind("application/json", b""), "json");
        assert_eq!(kind("application/json", b"{"), "refused");
        assert_eq!(kind("text/plain", MESSAGE), "text");
        assert_eq!(kind("text/plain", b"\xff"), "refused");
        assert_eq!(kind("application/pdf", b"\xff"), "bytes");
    }

    #[test]
    fn a_message_is_answered_by_a_message() {
        let now = jiff::Timestamp::UNIX_EPOCH;
        let (name, body) = output(Output::Nothing, "application/hl7-v2", MESSAGE, now);
        let text = String::from_utf8(body).expect("ASCII");
        assert!(name == "application/hl7-v2" && text.contains("MSA|AA|7"), "{text}");
        let refused = acknowledgment(MESSAGE, Some("the bot failed"), now);
        let text = String::from_utf8(refused).expect("ASCII");
        assert!(text.contains("MSA|AE|7") && text.contains("\rERR|"), "{text}");
        assert_eq!(output(Output::Nothing, "text/plain", b"", now), (String::new(), Vec::new()));
    }
}
