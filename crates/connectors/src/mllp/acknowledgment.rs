//! What a partner's answer means for a delivery (HL7 table 0008).

use pipehat_message::{Acknowledgment, AcknowledgmentCode, AcknowledgmentError};

use crate::mllp::codes;
use crate::{Answer, OnRefusal};

pub(super) const AE: Answer = Answer {
    name: "AE",
    class: None,
    default: OnRefusal::Park,
    doc: "Application error: the partner's application refuses the content; it would refuse the same bytes again.",
};
pub(super) const AR: Answer = Answer {
    name: "AR",
    class: None,
    default: OnRefusal::Retry,
    doc: "Application reject: refused for reasons apart from the content, such as a system that is down.",
};
pub(super) const CE: Answer = Answer {
    name: "CE",
    class: None,
    default: OnRefusal::Retry,
    doc: "Commit error: the partner could not keep the message, for reasons that may pass.",
};
const CR: Answer = Answer {
    name: "CR",
    class: None,
    default: OnRefusal::Park,
    doc: "Commit reject: the partner takes no message of this type, version or processing id.",
};
const NAK: Answer = Answer {
    name: "NAK",
    class: None,
    default: OnRefusal::Retry,
    doc: "MLLP release 2: the partner could not keep the message, and wants it again.",
};

const NONE: Answer = Answer {
    name: "none",
    class: None,
    default: OnRefusal::Retry,
    doc: "No answer in time, or the connection ended before it came: the partner may have the message, or not.",
};
const UNREADABLE: Answer = Answer {
    name: "unreadable",
    class: None,
    default: OnRefusal::Retry,
    doc: "An answer that is no acknowledgment, or one of another message.",
};

/// The ways in which a partner may answer other than by taking the message.
pub(super) const ANSWERS: &[Answer] = &[AE, AR, CE, CR, NAK, NONE, UNREADABLE];

/// Which answer an interruption counts as.
pub(super) const INTERRUPTIONS: &[(&str, &str)] = &[
    (codes::ACKNOWLEDGMENT_TIMEOUT, "none"),
    (codes::CONNECTION_LOST, "none"),
    (codes::PEER_NOT_READING, "none"),
    (codes::ACKNOWLEDGMENT_UNREADABLE, "unreadable"),
    (codes::ACKNOWLEDGMENT_UNMATCHED, "unreadable"),
];

/// The partner's answer to one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// CA: it is kept; its application may still say more.
    Committed,
    /// AA.
    Accepted,
    /// It is not taken.
    Refused(&'static Answer),
}

/// What MLLP release 2 says by a byte.
pub(super) const NOT_COMMITTED: Verdict = Verdict::Refused(&NAK);

/// An answer and the message it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reply<'r> {
    /// MSA-2.
    pub(super) control_id: &'r [u8],
    pub(super) verdict: Verdict,
    /// MSA-4.
    pub(super) expected_number: &'r [u8],
}

/// Reads an acknowledgment, or a response that carries one.
pub(super) fn read(reply: &[u8]) -> Result<Reply<'_>, AcknowledgmentError> {
    let acknowledgment = Acknowledgment::read(reply)?;
    let verdict = match acknowledgment.code() {
        AcknowledgmentCode::Aa => Verdict::Accepted,
        AcknowledgmentCode::Ca => Verdict::Committed,
        AcknowledgmentCode::Ae => Verdict::Refused(&AE),
        AcknowledgmentCode::Ar => Verdict::Refused(&AR),
        AcknowledgmentCode::Ce => Verdict::Refused(&CE),
        AcknowledgmentCode::Cr => Verdict::Refused(&CR),
    };
    Ok(Reply {
        control_id: acknowledgment.control_id().trim_ascii(),
        verdict,
        expected_number: acknowledgment.expected_sequence_number().trim_ascii(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(code: &str, expected: Verdict) {
        let reply = format!("MSH|^~\\&|||||||ACK|1|P|2.5\rMSA|{code}| ID 7 |\r");
        let read = read(reply.as_bytes()).expect("an acknowledgment");
        assert_eq!((read.control_id, read.verdict), (&b"ID 7"[..], expected));
    }

    #[test]
    fn every_code_of_table_0008_has_its_verdict() {
        check("AA", Verdict::Accepted);
        check("CA", Verdict::Committed);
        check("AE", Verdict::Refused(&AE));
        check("AR", Verdict::Refused(&AR));
        check("CE", Verdict::Refused(&CE));
        check("CR", Verdict::Refused(&CR));
    }

    #[test]
    fn only_what_is_about_the_content_is_parked_by_default() {
        let parked: Vec<_> = ANSWERS.iter().filter(|one| one.default == OnRefusal::Park).collect();
        assert_eq!(parked.iter().map(|one| one.name).collect::<Vec<_>>(), ["AE", "CR"]);
    }
}
