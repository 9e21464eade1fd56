//! What a bot asked, as JSON that people read and write: in `asks.json` of cases and in results.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use pipehat_script::{Answer, Ask, AskError};
use serde_json::{Map, Value, json};

use super::host::Asked;

/// What was asked, in a few words: `datastore POST Patient`.
pub(super) fn title(ask: &Ask) -> String {
    match ask {
        Ask::Fetch { method, url, .. } => format!("fetch {method} {url}"),
        Ask::Datastore { method, path, .. } => {
            format!("datastore {method} {path}").trim_end().to_owned()
        }
        Ask::Table { table, key } => format!("table {table} {key}"),
        Ask::StateGet { key } => format!("state get {key}"),
        Ask::StateSet { key, value: Some(_) } => format!("state set {key}"),
        Ask::StateSet { key, value: None } => format!("state delete {key}"),
        Ask::Send { destination, .. } => format!("send {destination}"),
        Ask::Park { .. } => "park".to_owned(),
        Ask::ToFhir { .. } => "translate to FHIR".to_owned(),
        Ask::ToV2 { wanted, version, .. } => format!("translate to {wanted} {version}"),
        Ask::Sftp { server, operation, path, .. } => format!("sftp {server} {operation} {path}"),
        Ask::ExecuteBot { bot, .. } => format!("bot {bot}"),
    }
}

/// What was asked, whole: its title, and what it carried.
pub(super) fn ask(ask: &Ask) -> Value {
    let mut shown = Map::new();
    shown.insert("ask".to_owned(), json!(title(ask)));
    let mut add = |name: &str, value: Value| {
        if !value.is_null() {
            shown.insert(name.to_owned(), value);
        }
    };
    match ask {
        Ask::Fetch { headers, body, .. } | Ask::Datastore { headers, body, .. } => {
            add("headers", headers_of(headers, &["accept"]));
            add("body", content(body));
        }
        Ask::StateSet { value, .. } => add("value", json!(value)),
        Ask::Send { content_type, body, .. } | Ask::ExecuteBot { content_type, body, .. } => {
            add("contentType", json!(content_type));
            add("body", content(body));
        }
        Ask::Park { reason } => add("reason", json!(reason)),
        Ask::ToFhir { message } => add("body", content(message.as_bytes())),
        Ask::ToV2 { bundle, .. } => add("body", content(bundle.as_bytes())),
        Ask::Sftp { argument, body, .. } => {
            add("argument", json!(argument));
            add("body", content(body));
        }
        Ask::Table { .. } | Ask::StateGet { .. } => {}
    }
    Value::Object(shown)
}

/// What was asked, and what came of it.
pub(super) fn asked((one, answer): &Asked) -> Value {
    let mut shown = ask(one);
    shown["answer"] = self::answer(answer);
    shown
}

/// Headers that say nothing about a case: they are different each time.
const PASSING: &[&str] = &[
    "date",
    "content-length",
    "x-request-id",
    "etag",
    "last-modified",
    "cache-control",
    "vary",
    "x-content-type-options",
];

fn answer(answer: &Result<Answer, AskError>) -> Value {
    match answer {
        Ok(answer) => {
            let mut shown = Map::new();
            shown.insert("status".to_owned(), json!(answer.status));
            let headers = headers_of(&answer.headers, PASSING);
            if !headers.is_null() {
                shown.insert("headers".to_owned(), headers);
            }
            let body = content(&answer.body);
            if !body.is_null() {
                shown.insert("body".to_owned(), body);
            }
            Value::Object(shown)
        }
        Err(AskError::Refused(why)) => json!({ "refused": why }),
        Err(AskError::Failed(why)) => json!({ "failed": why }),
        Err(AskError::TimedOut) => json!({ "timedOut": true }),
        Err(AskError::GivenUp) => json!({ "givenUp": true }),
    }
}

/// An answer that was written down; none where it says nothing.
pub(super) fn answer_of(written: &Value) -> Option<Result<Answer, AskError>> {
    let text = |name: &str| written[name].as_str().map(str::to_owned);
    if let Some(why) = text("refused") {
        return Some(Err(AskError::Refused(why)));
    }
    if let Some(why) = text("failed") {
        return Some(Err(AskError::Failed(why)));
    }
    if written["timedOut"] == true {
        return Some(Err(AskError::TimedOut));
    }
    if written["givenUp"] == true {
        return Some(Err(AskError::GivenUp));
    }
    let object = written.as_object()?;
    let status = object.get("status").and_then(Value::as_u64).unwrap_or(200);
    let headers = object.get("headers").and_then(Value::as_object).into_iter().flatten();
    let body = object.get("body").unwrap_or(&Value::Null);
    Some(Ok(Answer {
        status: u16::try_from(status).unwrap_or(200),
        headers: headers
            .map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()))
            .collect(),
        body: bytes_of(body),
    }))
}

fn headers_of(headers: &[(String, String)], without: &[&str]) -> Value {
    let kept: Map<_, _> = headers
        .iter()
        .filter(|(name, _)| !without.contains(&name.to_ascii_lowercase().as_str()))
        .map(|(name, value)| (name.to_ascii_lowercase(), json!(value)))
        .collect();
    if kept.is_empty() { Value::Null } else { Value::Object(kept) }
}

/// Bytes as JSON: a value where they are JSON, the segments where they are HL7, else a text or base64.
pub(super) fn content(bytes: &[u8]) -> Value {
    if bytes.is_empty() {
        return Value::Null;
    }
    let Ok(text) = std::str::from_utf8(bytes) else {
        return json!({ "base64": BASE64.encode(bytes) });
    };
    if text.starts_with(['{', '['])
        && let Ok(value) = serde_json::from_str(text)
    {
        return value;
    }
    if text.starts_with("MSH") {
        let segments: Vec<_> = text.split(['\r', '\n']).filter(|one| !one.is_empty()).collect();
        return json!({ "hl7": segments });
    }
    json!(text)
}

fn bytes_of(content: &Value) -> Vec<u8> {
    match content {
        Value::Null => Vec::new(),
        Value::String(text) => text.clone().into_bytes(),
        Value::Object(object) if object.len() == 1 => {
            if let Some(segments) = object.get("hl7").and_then(Value::as_array) {
                let segments: Vec<_> = segments.iter().filter_map(Value::as_str).collect();
                return segments.join("\r").into_bytes();
            }
            let base64 = object.get("base64").and_then(Value::as_str);
            let decoded = base64.and_then(|text| BASE64.decode(text).ok());
            decoded.unwrap_or_else(|| content.to_string().into_bytes())
        }
        other => other.to_string().into_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], expected: Value) {
        let shown = content(bytes);
        assert_eq!(shown, expected);
        assert_eq!(bytes_of(&shown), bytes);
    }

    #[test]
    fn bodies_are_written_so_that_people_can_read_them() {
        check(b"", Value::Null);
        check(b"plain", json!("plain"));
        check(br#"{"a":[1]}"#, json!({ "a": [1] }));
        check(b"MSH|^~\\&|A\rPID|1", json!({ "hl7": ["MSH|^~\\&|A", "PID|1"] }));
        check(&[0xFF, 0], json!({ "base64": "/wA=" }));
    }

    #[test]
    fn an_answer_is_written_and_read() {
        let answers = [
            Err(AskError::Refused("no".to_owned())),
            Err(AskError::TimedOut),
            Err(AskError::GivenUp),
            Ok(Answer {
                status: 201,
                headers: vec![("location".to_owned(), "Patient/1".to_owned())],
                body: b"{}".to_vec(),
            }),
        ];
        for one in answers {
            assert_eq!(answer_of(&answer(&one)), Some(one));
        }
        assert_eq!(answer_of(&Value::Null), None);
    }
}
