//! Searches for steps of channels.
//!
//! A search is posted (FHIR R4 §3.1.0.1.2): what it looks for stands in the body, and in no URL that a proxy or the
//! server may log. Unknown parameters must be refused (`handling=strict`): ignored, the search would find others.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt};
use http::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Method, StatusCode};
use pipehat_resource::json::{self, Value};
use tokio::sync::Semaphore;

use super::codes;
use super::peer::Peer;
use super::request::{Interaction, Prepared, Repeat};
use crate::http::asked_to_wait::AskedToWait;
use crate::http::client::Reply;
use crate::http::exchange::Response;
use crate::http::statuses::{of_status, status};
use crate::{
    Answer, Asked, Attempt, Found, Health, LOOKUP_BYTES_MAX, Lookup, LookupAttempt, OnRefusal,
    OperatorCode, Problem,
};

const FHIR_JSON: HeaderValue = HeaderValue::from_static("application/fhir+json");
const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");
const PREFER: HeaderName = HeaderName::from_static("prefer");
const STRICT: HeaderValue = HeaderValue::from_static("handling=strict");

/// Every refusal that `on:` can name. A status that has no line of its own is its class.
pub(super) const LOOKUP_ANSWERS: &[Answer] = &[
    status("400", "4xx", OnRefusal::Park, "Bad request: the search is not understood."),
    status(
        "401",
        "4xx",
        OnRefusal::Retry,
        "Unauthorized: our token or password is not taken, whatever the search.",
    ),
    status("403", "4xx", OnRefusal::Park, "Forbidden: we may not read this."),
    status("404", "4xx", OnRefusal::Park, "Not found: no such type, or no FHIR API there."),
    status("405", "4xx", OnRefusal::Park, "The server takes no searches by POST."),
    status("408", "4xx", OnRefusal::Retry, "Request timeout."),
    status("409", "4xx", OnRefusal::Retry, "Conflict: with what others do at that time."),
    status("423", "4xx", OnRefusal::Retry, "Locked."),
    status("425", "4xx", OnRefusal::Retry, "Too early."),
    status("429", "4xx", OnRefusal::Retry, "Too many requests."),
    Answer {
        name: "4xx",
        class: None,
        default: OnRefusal::Park,
        doc: "Any other error that is said to be ours.",
    },
    Answer {
        name: "5xx",
        class: None,
        default: OnRefusal::Retry,
        doc: "An error of the server's.",
    },
    Answer {
        name: "3xx",
        class: None,
        default: OnRefusal::Park,
        doc: "A redirection: it is not followed. Correct `base`.",
    },
    Answer {
        name: "other",
        class: None,
        default: OnRefusal::Park,
        doc: "A status that HTTP does not have.",
    },
];

/// Where is searched.
pub(super) struct LookupOptions {
    pub(super) peer: Peer,
    pub(super) connections: usize,
}

/// A FHIR server that is searched.
pub(super) struct FhirLookup {
    searcher: Arc<Searcher>,
}

impl FhirLookup {
    /// It connects when first asked.
    pub(super) fn new(options: LookupOptions, health: Arc<Health>) -> Self {
        let turns = Semaphore::new(options.connections);
        let (peer, asked_to_wait) = (options.peer, AskedToWait::default());
        Self { searcher: Arc::new(Searcher { peer, turns, health, asked_to_wait }) }
    }
}

impl Lookup for FhirLookup {
    fn ask(&self, asked: Asked) -> BoxFuture<'static, LookupAttempt> {
        let searcher = Arc::clone(&self.searcher);
        async move { searcher.ask(asked).await }.boxed()
    }
}

struct Searcher {
    peer: Peer,
    /// One for each connection.
    turns: Semaphore,
    health: Arc<Health>,
    asked_to_wait: AskedToWait,
}

impl Searcher {
    async fn ask(&self, asked: Asked) -> LookupAttempt {
        let name = self.peer.name();
        // It is never closed.
        let _turn = self.turns.acquire().await;
        if let Some(detail) = self.asked_to_wait.still(name) {
            return LookupAttempt::Failed { code: codes::ASKED_TO_WAIT.code, detail };
        }
        // Without a search it is a resource, or a version of one, that is read.
        let reads = asked.query.is_empty();
        let place = &asked.resource_type;
        let (prepared, body) = if reads { read(place) } else { posted(place, &asked.query) };
        let _connected = self.health.connected();
        let bytes = body.len();
        match self.peer.ask(&prepared, &asked.channel, body).await {
            Ok(said) => {
                self.health.sent(bytes);
                if reads { self.judge_read(said) } else { self.judge(said) }
            }
            Err(Attempt::NotSent { code, detail }) => self.failed(code, detail),
            Err(Attempt::Impossible { code, detail }) => LookupAttempt::Impossible { code, detail },
            Err(Attempt::Interrupted { detail, .. }) => {
                self.failed(codes::SEARCH_FAILED.code, detail)
            }
            // A server that was asked for nothing else says nothing else.
            Err(Attempt::Delivered { .. } | Attempt::Refused { .. }) => {
                self.failed(codes::SEARCH_FAILED.code, format!("{name} did not answer"))
            }
        }
    }

    fn failed(&self, code: &'static str, detail: String) -> LookupAttempt {
        self.health.down(Problem { code, detail: detail.clone() });
        LookupAttempt::Failed { code, detail }
    }

    /// A response came, so the server is there.
    fn judge(&self, said: Response) -> LookupAttempt {
        let name = self.peer.name();
        self.health.up();
        if !said.status.is_success() {
            return self.refused(said.status, said);
        }
        let body = match said.body {
            Reply::Whole(body) => body,
            Reply::Cut(start) => {
                self.health.received(start.len());
                let detail = format!("the answer of {name} is larger than `reply_bytes_max`");
                return self.impossible(&codes::ANSWER_TOO_LARGE, detail);
            }
        };
        self.health.received(body.len());
        match found(&body) {
            Ok(found) => LookupAttempt::Found(found),
            Err(Unusable::NoBundle) => {
                let detail = format!("the answer of {name} is no Bundle of type searchset");
                self.impossible(&codes::ANSWER_UNREADABLE, detail)
            }
            Err(Unusable::TooLarge) => {
                let detail = format!("the resource in the answer of {name} is larger than 1 MiB");
                self.impossible(&codes::ANSWER_TOO_LARGE, detail)
            }
        }
    }

    /// What a read gave: what is not there, or no more, is no refusal.
    fn judge_read(&self, said: Response) -> LookupAttempt {
        if matches!(said.status, StatusCode::NOT_FOUND | StatusCode::GONE) {
            self.health.up();
            return LookupAttempt::Found(Found::Nothing);
        }
        let body = match &said.body {
            Reply::Whole(body) if said.status.is_success() => body.clone(),
            _ => return self.judge(said),
        };
        self.health.up();
        self.health.received(body.len());
        if body.len() > LOOKUP_BYTES_MAX {
            let detail =
                format!("the resource in the answer of {} is larger than 1 MiB", self.peer.name());
            return self.impossible(&codes::ANSWER_TOO_LARGE, detail);
        }
        LookupAttempt::Found(Found::One(body))
    }

    fn refused(&self, status: StatusCode, said: Response) -> LookupAttempt {
        self.asked_to_wait.told(said.wait);
        let (code, answer) = (codes::SEARCH_REFUSED.code, of_status(LOOKUP_ANSWERS, status));
        let detail = format!("{} answered {}", self.peer.name(), status.as_str());
        self.health.problem(Problem { code, detail: detail.clone() });
        LookupAttempt::Refused { code, answer, detail }
    }

    fn impossible(&self, code: &OperatorCode, detail: String) -> LookupAttempt {
        self.health.problem(Problem { code: code.code, detail: detail.clone() });
        LookupAttempt::Impossible { code: code.code, detail }
    }
}

/// The request, and its body: two resources are enough to tell one from several.
pub(super) fn posted(resource_type: &str, query: &str) -> (Prepared, Bytes) {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, FHIR_JSON);
    headers.insert(CONTENT_TYPE, FORM);
    headers.insert(PREFER, STRICT);
    let prepared = Prepared {
        method: Method::POST,
        path: format!("{resource_type}/_search"),
        headers,
        repeat: Repeat::Harmless,
        interaction: Interaction::Search,
        has_entries: false,
    };
    (prepared, format!("{query}&_count=2").into())
}

/// A read. Its place is made of a reference, which names no value.
pub(super) fn read(path: &str) -> (Prepared, Bytes) {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, FHIR_JSON);
    let prepared = Prepared {
        method: Method::GET,
        path: path.to_owned(),
        headers,
        repeat: Repeat::Harmless,
        interaction: Interaction::Search,
        has_entries: false,
    };
    (prepared, Bytes::new())
}

/// Why an answer can't be used.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unusable {
    NoBundle,
    TooLarge,
}

/// What a searchset has. Only what matches counts: included resources and outcomes are not what was searched.
pub(super) fn found(body: &[u8]) -> Result<Found, Unusable> {
    let bundle = json::parse(body).map_err(|_| Unusable::NoBundle)?;
    if bundle.resource_type() != Some("Bundle") || bundle.text("type") != Some("searchset") {
        return Err(Unusable::NoBundle);
    }
    let is_match = |entry: &&Value| {
        let mode = entry.get("search").and_then(|search| search.text("mode"));
        mode.is_none_or(|mode| mode == "match")
    };
    let mut matches =
        bundle.items("entry").iter().filter(is_match).filter_map(|entry| entry.get("resource"));
    // A server may give fewer than two on a page, and more on the next.
    let has_next = bundle.items("link").iter().any(|link| link.text("relation") == Some("next"));
    let Some(first) = matches.next() else {
        return if has_next { Err(Unusable::NoBundle) } else { Ok(Found::Nothing) };
    };
    let resource = first.to_json();
    if resource.len() > LOOKUP_BYTES_MAX {
        return Err(Unusable::TooLarge);
    }
    let several = matches.next().is_some() || has_next;
    Ok(if several { Found::Several(resource.into()) } else { Found::One(resource.into()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bundle: &str, expected: Result<Found, Unusable>) {
        assert_eq!(found(bundle.as_bytes()), expected, "{bundle}");
    }

    #[test]
    fn matches_are_counted_and_nothing_else() {
        let set = |entries: &str, more: &str| {
            format!(r#"{{"resourceType":"Bundle","type":"searchset","entry":[{entries}]{more}}}"#)
        };
        let a = r#"{"resource":{"resourceType":"Patient","id":"a"},"search":{"mode":"match"}}"#;
        let plain = r#"{"resource":{"resourceType":"Patient","id":"a"}}"#;
        let included =
            r#"{"resource":{"resourceType":"Group","id":"b"},"search":{"mode":"include"}}"#;
        let outcome =
            r#"{"resource":{"resourceType":"OperationOutcome"},"search":{"mode":"outcome"}}"#;
        let resource = || Bytes::from(r#"{"resourceType":"Patient","id":"a"}"#);
        let next = r#","link":[{"relation":"self","url":"x"},{"relation":"next","url":"y"}]"#;
        check(&set("", ""), Ok(Found::Nothing));
        check(&set(outcome, ""), Ok(Found::Nothing));
        check(&set(a, ""), Ok(Found::One(resource())));
        check(&set(plain, ""), Ok(Found::One(resource())));
        check(&set(&format!("{outcome},{a},{included}"), ""), Ok(Found::One(resource())));
        check(&set(&format!("{a},{a}"), ""), Ok(Found::Several(resource())));
        check(&set(a, next), Ok(Found::Several(resource())));
        check(&set("", next), Err(Unusable::NoBundle));
        check(r#"{"resourceType":"Bundle","type":"searchset"}"#, Ok(Found::Nothing));
        check(r#"{"resourceType":"Bundle","type":"batch"}"#, Err(Unusable::NoBundle));
        check(r#"{"resourceType":"Patient"}"#, Err(Unusable::NoBundle));
        check("<html>", Err(Unusable::NoBundle));
    }

    #[test]
    fn a_resource_that_can_not_be_kept_is_told() {
        let of = |bytes: usize| {
            let frame = r#"{"resourceType":"X","id":""}"#.len();
            let id = "a".repeat(bytes - frame);
            format!(
                r#"{{"resourceType":"Bundle","type":"searchset","entry":[{{"resource":{{"resourceType":"X","id":"{id}"}}}}]}}"#
            )
        };
        assert!(found(of(LOOKUP_BYTES_MAX).as_bytes()).is_ok());
        check(&of(LOOKUP_BYTES_MAX + 1), Err(Unusable::TooLarge));
    }
}
