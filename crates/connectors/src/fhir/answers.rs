//! The ways in which a FHIR server says no, and how they are recognised.

use http::StatusCode;
use pipehat_resource::json;
use pipehat_resource::kept::SAME_RULE;

use super::codes;
use crate::http::statuses::{named, of_status, status};
use crate::{Answer, OnRefusal};

/// Every refusal that `on:` can name. A status that has no line of its own is its class.
pub(super) const ANSWERS: &[Answer] = &[
    status("400", "4xx", OnRefusal::Park, "Bad request: the resource is not understood."),
    status(
        "401",
        "4xx",
        OnRefusal::Retry,
        "Unauthorized: our token or password is not taken, whatever the resource.",
    ),
    status("403", "4xx", OnRefusal::Park, "Forbidden: we may not write this."),
    status("404", "4xx", OnRefusal::Park, "Not found: no such type, or nothing at this address."),
    status("405", "4xx", OnRefusal::Park, "The server does not do this."),
    status("408", "4xx", OnRefusal::Retry, "Request timeout: the server saw only a part in time."),
    status(
        "409",
        "4xx",
        OnRefusal::Retry,
        "Conflict: somebody else changed the same at that time.",
    ),
    status("410", "4xx", OnRefusal::Park, "Gone: what is to be changed was deleted."),
    status(
        "412",
        "4xx",
        OnRefusal::Park,
        "The condition does not hold, or finds several resources.",
    ),
    status("413", "4xx", OnRefusal::Park, "The resource is too large for the server."),
    status("415", "4xx", OnRefusal::Park, "The server does not take FHIR as JSON."),
    status("422", "4xx", OnRefusal::Park, "The resource breaks a rule: the reply says which."),
    status("423", "4xx", OnRefusal::Retry, "Locked."),
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
    status("502", "5xx", OnRefusal::Retry, "Bad gateway: a proxy can't reach the server."),
    status("503", "5xx", OnRefusal::Retry, "Unavailable: busy or being maintained."),
    status("504", "5xx", OnRefusal::Retry, "Gateway timeout: the server did not answer a proxy."),
    status("507", "5xx", OnRefusal::Retry, "Insufficient storage."),
    Answer {
        name: "5xx",
        class: None,
        default: OnRefusal::Retry,
        doc: "Any other error of the server's.",
    },
    Answer {
        name: "3xx",
        class: None,
        default: OnRefusal::Park,
        doc: "A redirection: it is not followed, since it could lead resources anywhere. Correct `base`.",
    },
    Answer {
        name: "entry",
        class: None,
        default: OnRefusal::Park,
        doc: "A batch was performed, but not all of its entries; the reply says which. Those that were are performed \
              again when it is sent again.",
    },
    Answer {
        name: "unreadable",
        class: None,
        default: OnRefusal::Park,
        doc: "A batch was answered with success, and without the Bundle that says what became of its entries.",
    },
    Answer {
        name: "none",
        class: None,
        default: OnRefusal::Retry,
        doc: "No response in time, or one that broke off: nobody knows whether the server has it.",
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
    (codes::MAY_DOUBLE.code, "none"),
];

/// The interruptions behind which a second try may do harm.
pub(super) const UNREPEATABLE: &[&str] = &[codes::MAY_DOUBLE.code];

/// Whether a response says that there is nothing to be deleted (FHIR R4 §3.1.0.7).
pub(super) fn is_gone(status: StatusCode) -> bool {
    matches!(status, StatusCode::NOT_FOUND | StatusCode::GONE)
}

/// What a Pipehat's refusal says where a reference has to lead to the same and would not: what, and in which entry, without values.
pub(super) fn moved(status: StatusCode, answer: &[u8]) -> Option<String> {
    if status != StatusCode::UNPROCESSABLE_ENTITY {
        return None;
    }
    let answer = json::parse(answer).ok()?;
    let issue = answer.items("issue").first()?;
    let details = issue.get("details")?;
    let is_it = |own: &json::Value| own.text("code") == Some(SAME_RULE);
    details.items("coding").iter().any(is_it).then(|| {
        let place = issue.items("expression").first().and_then(json::Value::as_str);
        let text = details.text("text").unwrap_or_default();
        place.map_or_else(|| text.to_owned(), |place| format!("{place}: {text}"))
    })
}

/// What a response says of a request that was not refused.
pub(super) fn refusal(status: StatusCode, entries: Option<&[u8]>) -> Option<&'static Answer> {
    if !status.is_success() {
        return Some(of_status(ANSWERS, status));
    }
    let bundle = match entries.map(json::parse) {
        None => return None,
        Some(Ok(bundle)) if bundle.resource_type() == Some("Bundle") => bundle,
        Some(_) => return Some(named(ANSWERS, "unreadable")),
    };
    let is_refused = bundle.items("entry").iter().any(|entry| {
        let status = entry.get("response").and_then(|response| response.text("status"));
        !status.is_some_and(|status| status.starts_with('2') || status.starts_with("304"))
    });
    is_refused.then(|| named(ANSWERS, "entry"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(status: u16, entries: Option<&str>, expected: Option<(&str, OnRefusal)>) {
        let status = StatusCode::from_u16(status).expect("a status");
        let refused = refusal(status, entries.map(str::as_bytes));
        assert_eq!(refused.map(|answer| (answer.name, answer.default)), expected);
    }

    #[test]
    fn statuses() {
        for success in [200, 201, 204] {
            check(success, None, None);
        }
        for retried in ["401", "409", "429", "500", "503"] {
            let status = retried.parse().expect("a number");
            check(status, None, Some((retried, OnRefusal::Retry)));
        }
        for parked in ["400", "404", "412", "422"] {
            let status = parked.parse().expect("a number");
            check(status, None, Some((parked, OnRefusal::Park)));
        }
        check(307, None, Some(("3xx", OnRefusal::Park)));
        check(418, None, Some(("4xx", OnRefusal::Park)));
        check(599, None, Some(("5xx", OnRefusal::Retry)));
        check(600, None, Some(("other", OnRefusal::Park)));
    }

    #[test]
    fn a_batch_is_taken_when_all_of_its_entries_are() {
        let bundle = |statuses: &[&str]| {
            let entries: Vec<String> = statuses
                .iter()
                .map(|status| format!(r#"{{"response":{{"status":"{status}"}}}}"#))
                .collect();
            format!(r#"{{"resourceType":"Bundle","entry":[{}]}}"#, entries.join(","))
        };
        check(200, Some(&bundle(&["201 Created", "200 OK", "304"])), None);
        check(200, Some(&bundle(&["201", "422"])), Some(("entry", OnRefusal::Park)));
        check(200, Some(r#"{"resourceType":"Bundle"}"#), None);
        check(200, Some("ok"), Some(("unreadable", OnRefusal::Park)));
        check(503, Some(""), Some(("503", OnRefusal::Retry)));
    }
}
