//! What is asked of the server for a payload.

use http::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Method};
use jiff::Timestamp;
use pipehat_resource::json::{self, Value};

use super::codes;
use super::template::Condition;
use crate::OperatorCode;

const FHIR_JSON: HeaderValue = HeaderValue::from_static("application/fhir+json");
const IF_NONE_EXIST: HeaderName = HeaderName::from_static("if-none-exist");
const PREFER: HeaderName = HeaderName::from_static("prefer");

/// What is done with a resource.
#[derive(Debug, Clone)]
pub(super) enum Mode {
    /// A batch or transaction is performed; any other resource is written under its id.
    Automatic,
    /// It is created, with an id of the server's choice; not where the condition finds one.
    Create { if_none_exist: Option<Condition> },
    /// It is written under its id, or over what the condition finds.
    Update { search: Option<Condition> },
    /// It is a batch or transaction, and is performed.
    Transaction,
}

/// Whether a request may be sent twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// The second one changes nothing.
    Harmless,
    /// The second one may make a second resource.
    MayDouble,
}

/// One request, but for its body, which is the payload.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) method: Method,
    /// Below the base address.
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) repeat: Repeat,
    /// The response is a Bundle, and its entries count.
    pub(super) has_entries: bool,
}

/// Why nothing can be asked. Names places, never values.
#[derive(Debug)]
pub(super) struct NotFit {
    pub(super) code: &'static str,
    pub(super) detail: String,
}

fn not_fit(code: &OperatorCode, detail: impl Into<String>) -> NotFit {
    NotFit { code: code.code, detail: detail.into() }
}

/// Decides the request for a payload.
pub(super) fn prepare(
    mode: &Mode,
    payload: &[u8],
    prefer: &'static str,
    now: Timestamp,
) -> Result<Prepared, NotFit> {
    let resource = json::parse(payload)
        .map_err(|error| not_fit(&codes::NOT_JSON, format!("the payload is no JSON: {error}")))?;
    let resource_type = resource
        .resource_type()
        .filter(|name| is_type(name))
        .ok_or_else(|| not_fit(&codes::NOT_JSON, "the payload has no `resourceType`"))?;
    match mode {
        Mode::Automatic if is_performed(&resource) => Ok(transaction(&resource, prefer)),
        Mode::Automatic => update(resource_type, &resource, None, prefer, now),
        Mode::Create { if_none_exist } => {
            create(resource_type, &resource, if_none_exist.as_ref(), prefer, now)
        }
        Mode::Update { search } => update(resource_type, &resource, search.as_ref(), prefer, now),
        Mode::Transaction if is_performed(&resource) => Ok(transaction(&resource, prefer)),
        Mode::Transaction => Err(not_fit(
            &codes::NO_TRANSACTION,
            "the payload is no Bundle of type transaction or batch",
        )),
    }
}

fn is_performed(resource: &Value) -> bool {
    resource.resource_type() == Some("Bundle")
        && matches!(resource.text("type"), Some("transaction" | "batch"))
}

fn transaction(bundle: &Value, prefer: &'static str) -> Prepared {
    let doubles =
        bundle.items("entry").iter().filter_map(|entry| entry.get("request")).any(|request| {
            request.text("method") == Some("POST")
                && request.text("ifNoneExist").is_none_or(str::is_empty)
        });
    Prepared {
        method: Method::POST,
        path: String::new(),
        headers: headers(prefer),
        repeat: if doubles { Repeat::MayDouble } else { Repeat::Harmless },
        // A transaction is refused as a whole, by its status.
        has_entries: bundle.text("type") == Some("batch"),
    }
}

fn create(
    resource_type: &str,
    resource: &Value,
    if_none_exist: Option<&Condition>,
    prefer: &'static str,
    now: Timestamp,
) -> Result<Prepared, NotFit> {
    let mut headers = headers(prefer);
    let repeat = match if_none_exist {
        None => Repeat::MayDouble,
        Some(condition) => {
            let query = query(condition, resource, now)?;
            let value = HeaderValue::try_from(query)
                .map_err(|_| not_fit(&codes::CONDITION, "no header can have the condition"))?;
            headers.insert(IF_NONE_EXIST, value);
            Repeat::Harmless
        }
    };
    let path = resource_type.to_owned();
    Ok(Prepared { method: Method::POST, path, headers, repeat, has_entries: false })
}

fn update(
    resource_type: &str,
    resource: &Value,
    search: Option<&Condition>,
    prefer: &'static str,
    now: Timestamp,
) -> Result<Prepared, NotFit> {
    let path = match search {
        Some(condition) => format!("{resource_type}?{}", query(condition, resource, now)?),
        None => {
            let id = resource.id().filter(|id| is_id(id)).ok_or_else(|| {
                not_fit(
                    &codes::NO_ID,
                    format!("the {resource_type} has no `id` to be written under"),
                )
            })?;
            format!("{resource_type}/{id}")
        }
    };
    Ok(Prepared {
        method: Method::PUT,
        path,
        headers: headers(prefer),
        repeat: Repeat::Harmless,
        has_entries: false,
    })
}

fn query(condition: &Condition, resource: &Value, now: Timestamp) -> Result<String, NotFit> {
    condition.query(resource, now).map_err(|error| not_fit(&codes::CONDITION, error.to_string()))
}

fn headers(prefer: &'static str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, FHIR_JSON);
    headers.insert(ACCEPT, FHIR_JSON);
    headers.insert(PREFER, HeaderValue::from_static(prefer));
    headers
}

/// What stands in a URL as a type: the server knows which there are.
fn is_type(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphabetic())
}

/// FHIR R4 §2.24.0.1, `id`. `.` and `..` would name other places of a URL.
fn is_id(id: &str) -> bool {
    (1..=64).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
        && id.bytes().any(|byte| byte != b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(mode: &Mode, payload: &str) -> String {
        match prepare(mode, payload.as_bytes(), "return=minimal", Timestamp::UNIX_EPOCH) {
            Err(NotFit { code, .. }) => code.to_owned(),
            Ok(prepared) => {
                let condition = prepared.headers.get("if-none-exist").map(|value| value.to_str());
                format!(
                    "{} {:?} {condition:?} {:?}",
                    prepared.method, prepared.path, prepared.repeat
                )
            }
        }
    }

    fn condition(text: &str) -> Option<Condition> {
        Some(Condition::parse(text).expect("a condition"))
    }

    const PATIENT: &str =
        r#"{"resourceType":"Patient","id":"p1","identifier":[{"system":"s","value":"v"}]}"#;

    #[test]
    fn each_mode_asks_its_interaction() {
        let check = |mode: Mode, payload: &str, expected: &str| {
            assert_eq!(shown(&mode, payload), expected, "{payload}");
        };
        check(Mode::Automatic, PATIENT, "PUT \"Patient/p1\" None Harmless");
        check(Mode::Update { search: None }, PATIENT, "PUT \"Patient/p1\" None Harmless");
        check(
            Mode::Update { search: condition("identifier") },
            PATIENT,
            "PUT \"Patient?identifier=s%7Cv\" None Harmless",
        );
        check(Mode::Create { if_none_exist: None }, PATIENT, "POST \"Patient\" None MayDouble");
        check(
            Mode::Create { if_none_exist: condition("identifier") },
            PATIENT,
            "POST \"Patient\" Some(Ok(\"identifier=s%7Cv\")) Harmless",
        );
        let bundle = |kind: &str, request: &str| {
            format!(
                r#"{{"resourceType":"Bundle","id":"b","type":"{kind}","entry":[{{"request":{request}}}]}}"#
            )
        };
        let put = r#"{"method":"PUT","url":"Patient/p1"}"#;
        let post = r#"{"method":"POST","url":"Patient"}"#;
        let conditional = r#"{"method":"POST","url":"Patient","ifNoneExist":"identifier=a"}"#;
        check(Mode::Automatic, &bundle("transaction", put), "POST \"\" None Harmless");
        check(Mode::Automatic, &bundle("batch", post), "POST \"\" None MayDouble");
        check(Mode::Transaction, &bundle("transaction", conditional), "POST \"\" None Harmless");
        check(Mode::Automatic, &bundle("collection", put), "PUT \"Bundle/b\" None Harmless");
    }

    #[test]
    fn what_does_not_fit_is_not_sent() {
        let check = |mode: Mode, payload: &str, expected: &OperatorCode| {
            assert_eq!(shown(&mode, payload), expected.code, "{payload}");
        };
        check(Mode::Automatic, "MSH|^~\\&|", &codes::NOT_JSON);
        check(Mode::Automatic, "{}", &codes::NOT_JSON);
        check(Mode::Automatic, r#"{"resourceType":"../x"}"#, &codes::NOT_JSON);
        check(Mode::Automatic, r#"{"resourceType":"Patient"}"#, &codes::NO_ID);
        for id in ["..", "a/b", "", "a?b"] {
            let payload = format!(r#"{{"resourceType":"Patient","id":"{id}"}}"#);
            check(Mode::Automatic, &payload, &codes::NO_ID);
        }
        check(Mode::Transaction, PATIENT, &codes::NO_TRANSACTION);
        let update = Mode::Update { search: condition("identifier") };
        check(update, r#"{"resourceType":"Patient"}"#, &codes::CONDITION);
    }
}
