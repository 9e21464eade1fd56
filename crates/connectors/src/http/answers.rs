//! The ways in which an HTTP partner says no, and how they are recognised.

use http::StatusCode;
use pipehat_message::AcknowledgmentCode;

use super::codes;
use super::statuses::{named, of_status, status};
use crate::{Answer, OnRefusal};

const fn acknowledgment(name: &'static str, default: OnRefusal, doc: &'static str) -> Answer {
    Answer { name, class: None, default, doc }
}

/// Every refusal that `on:` can name. A status that has no line of its own is its class.
pub(super) const ANSWERS: &[Answer] = &[
    acknowledgment("AE", OnRefusal::Park, "Application error: something in the message is wrong."),
    acknowledgment(
        "AR",
        OnRefusal::Retry,
        "Application reject: a reason unrelated to the content.",
    ),
    acknowledgment("CE", OnRefusal::Retry, "Commit error: the message could not be stored now."),
    acknowledgment(
        "CR",
        OnRefusal::Park,
        "Commit reject: type, version or processing id is not taken.",
    ),
    status("400", "4xx", OnRefusal::Park, "Bad request: the message is not understood."),
    status(
        "401",
        "4xx",
        OnRefusal::Retry,
        "Unauthorized: our token or password is not taken, whatever the message.",
    ),
    status("403", "4xx", OnRefusal::Park, "Forbidden."),
    status("404", "4xx", OnRefusal::Park, "Not found: nothing is received at this URL."),
    status("405", "4xx", OnRefusal::Park, "Method not allowed."),
    status("407", "4xx", OnRefusal::Retry, "A proxy wants us to sign in, whatever the message."),
    status("408", "4xx", OnRefusal::Retry, "Request timeout: the partner saw only a part in time."),
    status("409", "4xx", OnRefusal::Park, "Conflict with what the partner has."),
    status("410", "4xx", OnRefusal::Park, "Gone: nothing is received at this URL any more."),
    status("412", "4xx", OnRefusal::Park, "Precondition failed."),
    status("413", "4xx", OnRefusal::Park, "The message is too large for the partner."),
    status("415", "4xx", OnRefusal::Park, "The content type is not taken."),
    status("422", "4xx", OnRefusal::Park, "The message is understood, and not taken."),
    status("423", "4xx", OnRefusal::Park, "Locked."),
    status("425", "4xx", OnRefusal::Retry, "Too early."),
    status("429", "4xx", OnRefusal::Retry, "Too many requests."),
    Answer {
        name: "4xx",
        class: None,
        default: OnRefusal::Park,
        doc: "Any other error that is said to be ours.",
    },
    status("500", "5xx", OnRefusal::Retry, "Internal error."),
    status("501", "5xx", OnRefusal::Retry, "Not implemented."),
    status("502", "5xx", OnRefusal::Retry, "Bad gateway: a proxy can't reach the partner."),
    status("503", "5xx", OnRefusal::Retry, "Unavailable: busy or being maintained."),
    status("504", "5xx", OnRefusal::Retry, "Gateway timeout: the partner did not answer a proxy."),
    status("507", "5xx", OnRefusal::Retry, "Insufficient storage."),
    Answer {
        name: "5xx",
        class: None,
        default: OnRefusal::Retry,
        doc: "Any other error of the partner's.",
    },
    Answer {
        name: "3xx",
        class: None,
        default: OnRefusal::Park,
        doc: "A redirection: it is not followed, since it could lead messages anywhere. Correct `url`.",
    },
    Answer {
        name: "none",
        class: None,
        default: OnRefusal::Retry,
        doc: "No response in time, or one that broke off: nobody knows whether the partner has the message.",
    },
    Answer {
        name: "unreadable",
        class: None,
        default: OnRefusal::Retry,
        doc: "A success without the acknowledgment that `acknowledgment: require` asks for.",
    },
    Answer {
        name: "other",
        class: None,
        default: OnRefusal::Park,
        doc: "A status that HTTP does not have.",
    },
];

/// Which answer an interruption counts as.
pub(super) const INTERRUPTIONS: &[(&str, &str)] = &[
    (codes::RESPONSE_TIMEOUT.code, "none"),
    (codes::RESPONSE_LOST.code, "none"),
    (codes::RESPONSE_UNREADABLE.code, "unreadable"),
];

/// What a response says of the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It was taken.
    Taken,
    /// It was not.
    Refused(&'static Answer),
}

/// Judges a response. A negative acknowledgment counts more than the status: partners that answer with an error's
/// acknowledgment use 200, 400 and 500 alike, and MSA-1 says more. A positive one does not make an error a success.
pub(super) fn judge(status: StatusCode, code: Option<AcknowledgmentCode>) -> Verdict {
    let negative = code.and_then(|code| match code {
        AcknowledgmentCode::Aa | AcknowledgmentCode::Ca => None,
        AcknowledgmentCode::Ae => Some("AE"),
        AcknowledgmentCode::Ar => Some("AR"),
        AcknowledgmentCode::Ce => Some("CE"),
        AcknowledgmentCode::Cr => Some("CR"),
    });
    match negative {
        Some(name) => Verdict::Refused(named(ANSWERS, name)),
        None if status.is_success() => Verdict::Taken,
        None => Verdict::Refused(of_status(ANSWERS, status)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(status: u16, code: Option<AcknowledgmentCode>, expected: Option<(&str, OnRefusal)>) {
        let status = StatusCode::from_u16(status).expect("a status");
        let judged = match judge(status, code) {
            Verdict::Taken => None,
            Verdict::Refused(answer) => Some((answer.name, answer.default)),
        };
        assert_eq!(judged, expected);
    }

    #[test]
    fn statuses() {
        for success in [200, 201, 202, 204, 299] {
            check(success, None, None);
        }
        check(301, None, Some(("3xx", OnRefusal::Park)));
        check(400, None, Some(("400", OnRefusal::Park)));
        check(418, None, Some(("4xx", OnRefusal::Park)));
        for retried in [401, 407, 408, 425, 429, 500, 503] {
            check(retried, None, Some((retried.to_string().as_str(), OnRefusal::Retry)));
        }
        check(599, None, Some(("5xx", OnRefusal::Retry)));
        check(600, None, Some(("other", OnRefusal::Park)));
        check(199, None, Some(("other", OnRefusal::Park)));
    }

    #[test]
    fn a_negative_acknowledgment_counts_whatever_the_status() {
        use AcknowledgmentCode::{Aa, Ae, Ar, Ca, Ce, Cr};
        check(200, Some(Aa), None);
        check(200, Some(Ca), None);
        for status in [200, 400, 500] {
            check(status, Some(Ae), Some(("AE", OnRefusal::Park)));
            check(status, Some(Ar), Some(("AR", OnRefusal::Retry)));
            check(status, Some(Ce), Some(("CE", OnRefusal::Retry)));
            check(status, Some(Cr), Some(("CR", OnRefusal::Park)));
        }
        check(503, Some(Aa), Some(("503", OnRefusal::Retry)));
    }
}
