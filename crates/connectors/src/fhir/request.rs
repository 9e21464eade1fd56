//! What is asked of the server for a payload.

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Method};
use jiff::Timestamp;
use pipehat_resource::json::{self, Object, Value};

use super::codes;
use super::template::Condition;
use crate::{OperatorCode, RefusesDeletions, ResourceChange};

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

impl Mode {
    /// Whether it writes over what a search finds.
    pub(super) fn searches(&self) -> bool {
        matches!(self, Self::Update { search: Some(_) })
    }

    /// Why no deletion can be told to the server.
    pub(super) fn refuses_deletions(&self) -> Option<RefusesDeletions> {
        let why = match self {
            Self::Automatic | Self::Update { .. } => return None,
            Self::Create { .. } => {
                "the source gives deletions, and which resource `mode: create` made of a deleted one nobody knows"
            }
            Self::Transaction => {
                "the source gives deletions, and `mode: transaction` performs Bundles alone"
            }
        };
        let remedy = "write `mode: update` (with `search`, where the ids differ), take `delete` out of the source's `on`, \
                      or keep deletions away: `when: fhir.change != \"delete\"`";
        Some(RefusesDeletions { why, remedy })
    }
}

/// What a request does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Interaction {
    /// The payload is written or performed.
    Write,
    /// A resource is deleted: there is no body.
    Delete,
    /// Something is looked for, and nothing changed.
    Search,
}

/// Whether a request may be sent twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// The second one changes nothing.
    Harmless,
    /// The second one may make a second resource.
    MayDouble,
}

/// One request, but for its body, which is the payload where something is written.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) method: Method,
    /// Below the base address.
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) repeat: Repeat,
    pub(super) interaction: Interaction,
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
        interaction: Interaction::Write,
        repeat: if doubles { Repeat::MayDouble } else { Repeat::Harmless },
        // A transaction is refused as a whole, by its status.
        has_entries: bundle.text("type") == Some("batch"),
    }
}

/// A batch of searches, each in an entry of its own.
pub(super) fn batched(questions: impl Iterator<Item = String>) -> (Prepared, Bytes) {
    let entries = questions.map(|url| {
        let request: Object =
            [("method", Value::string("GET")), ("url", Value::string(url))].into_iter().collect();
        Value::from([("request", request.into())].into_iter().collect::<Object>())
    });
    let entries = Value::Array(entries.collect());
    let mut batch = Object::new();
    batch.set("resourceType", Value::string("Bundle"));
    batch.set("type", Value::string("batch"));
    batch.set("entry", entries);
    let prepared = Prepared {
        method: Method::POST,
        path: String::new(),
        headers: headers("return=representation"),
        repeat: Repeat::Harmless,
        interaction: Interaction::Search,
        has_entries: false,
    };
    (prepared, Value::from(batch).to_json().into())
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
    let (method, interaction) = (Method::POST, Interaction::Write);
    Ok(Prepared { method, path, headers, repeat, interaction, has_entries: false })
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
        interaction: Interaction::Write,
        has_entries: false,
    })
}

/// Decides the request for a deletion. `payload` is the resource as it was before.
pub(super) fn prepare_deletion(
    mode: &Mode,
    deleted: &ResourceChange,
    payload: &[u8],
    prefer: &'static str,
    now: Timestamp,
) -> Result<Prepared, NotFit> {
    if let Some(refused) = mode.refuses_deletions() {
        return Err(not_fit(&codes::NO_DELETION, refused.why));
    }
    let resource_type = deleted.resource_type.as_str();
    let before = || {
        json::parse(payload)
            .map_err(|error| not_fit(&codes::NOT_JSON, format!("the payload is no JSON: {error}")))
    };
    let path = match mode {
        Mode::Update { search: Some(condition) } => {
            format!("{resource_type}?{}", query(condition, &before()?, now)?)
        }
        Mode::Automatic if resource_type == "Bundle" && is_performed(&before()?) => {
            let detail = "the Bundle was performed when it was written, which can't be taken back";
            return Err(not_fit(&codes::NO_DELETION, detail));
        }
        _ if is_type(resource_type) && is_id(&deleted.id) => {
            format!("{resource_type}/{}", deleted.id)
        }
        _ => {
            let detail = format!("the deleted {resource_type} has no `id` that FHIR allows");
            return Err(not_fit(&codes::NO_ID, detail));
        }
    };
    let mut headers = headers(prefer);
    headers.remove(CONTENT_TYPE);
    Ok(Prepared {
        method: Method::DELETE,
        path,
        headers,
        repeat: Repeat::Harmless,
        interaction: Interaction::Delete,
        has_entries: false,
    })
}

/// A resource without its `id`.
pub(super) fn without_id(payload: &Bytes) -> Bytes {
    let Ok(mut resource) = json::parse(payload) else { return payload.clone() };
    if let Some(members) = resource.as_object_mut() {
        members.remove("id");
        members.remove("_id");
    }
    resource.to_json().into()
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
    use crate::ChangeKind;

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

    #[track_caller]
    fn check_deletion(mode: Mode, id: &str, payload: &str, expected: &str) {
        let resource = json::parse(payload.as_bytes()).expect("JSON");
        let deleted = ResourceChange {
            kind: ChangeKind::Delete,
            resource_type: resource.resource_type().expect("a type").to_owned(),
            id: id.to_owned(),
            version: 2,
        };
        let (prefer, now) = ("return=minimal", Timestamp::UNIX_EPOCH);
        let shown = match prepare_deletion(&mode, &deleted, payload.as_bytes(), prefer, now) {
            Err(NotFit { code, .. }) => code.to_owned(),
            Ok(prepared) => {
                assert_eq!(prepared.interaction, Interaction::Delete);
                assert_eq!(prepared.headers.get(CONTENT_TYPE), None, "there is no body");
                format!("{} {:?} {:?}", prepared.method, prepared.path, prepared.repeat)
            }
        };
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_deletion_deletes() {
        let harmless = "DELETE \"Patient/p1\" Harmless";
        check_deletion(Mode::Automatic, "p1", PATIENT, harmless);
        check_deletion(Mode::Update { search: None }, "p1", PATIENT, harmless);
        check_deletion(
            Mode::Update { search: condition("identifier") },
            "p1",
            PATIENT,
            "DELETE \"Patient?identifier=s%7Cv\" Harmless",
        );
    }

    #[test]
    fn a_deletion_that_can_not_be_told_is_not_sent() {
        let no_deletion = codes::NO_DELETION.code;
        check_deletion(Mode::Create { if_none_exist: None }, "p1", PATIENT, no_deletion);
        let create = Mode::Create { if_none_exist: condition("identifier") };
        check_deletion(create, "p1", PATIENT, no_deletion);
        check_deletion(Mode::Transaction, "p1", PATIENT, no_deletion);
        let bundle = |kind: &str| format!(r#"{{"resourceType":"Bundle","type":"{kind}"}}"#);
        check_deletion(Mode::Automatic, "b", &bundle("batch"), no_deletion);
        let kept = "DELETE \"Bundle/b\" Harmless";
        check_deletion(Mode::Automatic, "b", &bundle("document"), kept);
        check_deletion(Mode::Automatic, "..", PATIENT, codes::NO_ID.code);
        let nobody = r#"{"resourceType":"Patient"}"#;
        let update = Mode::Update { search: condition("identifier") };
        check_deletion(update, "p1", nobody, codes::CONDITION.code);
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
