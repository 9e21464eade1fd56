//! The initiating side of the sequence number protocol (HL7 v2.5.1 §2.10.1).
//!
//! The engine says which number is next; it is written into MSH-13 when the message is sent, and stays the same for every
//! try. What the partner expects, by MSA-4, decides before its MSA-1: a number that was taken is delivered, and one that
//! can't be reached stops the link.

use bytes::Bytes;
use pipehat_message::{Delimiters, Header, Message, Path};

use crate::Attempt;
use crate::mllp::acknowledgment::{AR, CE, Verdict};
use crate::mllp::codes;

/// A message's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Numbered {
    pub(super) number: u64,
    /// Whether it may have been sent with this number before.
    pub(super) again: bool,
}

/// What an answer means for a numbered message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// What its MSA-1 says.
    As(Verdict),
    /// The partner expects another number.
    OutOfStep,
}

/// Judges an answer by its MSA-4.
pub(super) fn judge(numbered: Numbered, verdict: Verdict, expected: &[u8]) -> Step {
    if expected.is_empty() {
        return Step::As(verdict);
    }
    let expected = str::from_utf8(expected).ok().and_then(|text| text.parse::<u64>().ok());
    // A refusal that does not speak of the content.
    let rejected = matches!(verdict, Verdict::Refused(answer) if *answer == AR || *answer == CE);
    match expected {
        // It echoes the number, or still waits for it.
        Some(expected) if expected == numbered.number => Step::As(verdict),
        Some(expected) if expected.checked_sub(1) == Some(numbered.number) => {
            match (rejected, numbered.again) {
                (false, _) => Step::As(verdict),
                // Its acknowledgment was lost (§2.10.1 d 1).
                (true, true) => Step::As(Verdict::Accepted),
                (true, false) => Step::OutOfStep,
            }
        }
        _ => Step::OutOfStep,
    }
}

/// The message with its number in MSH-13.
pub(super) fn numbered(bytes: &Bytes, number: u64) -> Result<Bytes, Attempt> {
    let impossible = |detail: String| Attempt::Impossible { code: codes::NOT_NUMBERED, detail };
    let mut message = Message::parse(bytes).map_err(|error| impossible(error.to_string()))?;
    let path = Path::parse("MSH-13").map_err(|error| impossible(error.to_string()))?;
    let number = number.to_string();
    message.set_raw(&path, number.as_bytes()).map_err(|error| impossible(error.to_string()))?;
    Ok(message.into_bytes().into_owned().into())
}

/// A message without content that tells the partner to begin to count with the next one (§2.10.1 e), and its MSH-10.
pub(super) fn resynchronization(bytes: &[u8]) -> Option<(Bytes, Bytes)> {
    let header = Header::read(bytes).ok()?;
    let Delimiters { field, .. } = header.delimiters();
    // An identifier of its own, so that its acknowledgment is not taken for that of the message.
    let control_id = [header.control_id(), b"-R"].concat();
    let mut output = b"MSH".to_vec();
    output.push(field);
    output.extend_from_slice(header.encoding_characters());
    for position in 3..=18 {
        output.push(field);
        match position {
            8 => {}
            10 => output.extend_from_slice(&control_id),
            13 => output.extend_from_slice(b"-1"),
            _ => output.extend_from_slice(header.field(position)),
        }
    }
    output.push(b'\r');
    Some((output.into(), control_id.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const REJECTED: Verdict = Verdict::Refused(&AR);

    #[track_caller]
    fn check(again: bool, verdict: Verdict, expected: &str, step: Step) {
        let numbered = Numbered { number: 5, again };
        assert_eq!(judge(numbered, verdict, expected.as_bytes()), step, "MSA-4 `{expected}`");
    }

    #[test]
    fn what_the_partner_expects_decides() {
        use crate::mllp::acknowledgment::AE;
        let (error, stop) = (Verdict::Refused(&AE), Step::OutOfStep);
        for again in [false, true] {
            for verdict in [Verdict::Accepted, Verdict::Committed, REJECTED, error] {
                check(again, verdict, "", Step::As(verdict));
                check(again, verdict, "5", Step::As(verdict));
                for odd in ["4", "1", "7", "-1", "0", "x", "99999999999999999999999"] {
                    check(again, verdict, odd, stop);
                }
            }
            check(again, Verdict::Accepted, "6", Step::As(Verdict::Accepted));
            check(again, error, "6", Step::As(error));
        }
        check(true, REJECTED, "6", Step::As(Verdict::Accepted));
        check(false, REJECTED, "6", stop);
    }

    #[test]
    fn a_number_changes_only_its_field() {
        let check = |message: &str, expected: &str| {
            let numbered = numbered(&Bytes::copy_from_slice(message.as_bytes()), 42);
            let numbered = numbered.expect("a readable header");
            assert_eq!(String::from_utf8_lossy(&numbered), expected);
        };
        check(
            "MSH|^~\\&|A|B|||||ADT|1|P|2.5\rPID|1||\r",
            "MSH|^~\\&|A|B|||||ADT|1|P|2.5|42\rPID|1||\r",
        );
        check("MSH#*~\\&#A#########2.5#7#\rZ", "MSH#*~\\&#A#########2.5#42#\rZ");
    }

    #[test]
    fn a_resynchronization_has_a_header_alone() {
        let (bytes, id) =
            resynchronization(b"MSH|^~\\&|A|B|C|D|2026|S|ADT^A01|1|P|2.5|42||AL|NE\rPID|1\r")
                .expect("a readable header");
        assert_eq!(
            String::from_utf8_lossy(&bytes),
            "MSH|^~\\&|A|B|C|D|2026||ADT^A01|1-R|P|2.5|-1||AL|NE||\r"
        );
        assert_eq!(&id[..], b"1-R");
    }
}
