//! Binary: bytes in and out by their own type, or as a resource (FHIR R4 §2.38).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use pipehat_resource::json::{Object, Value, parse};
use pipehat_resource::outcome::IssueCode;

use super::answer::AnswerContent;
use super::negotiation::{ContentKind, Wanted};
use super::problem::Problem;

/// The longest name of a media type that is kept.
const CONTENT_TYPE_BYTES_MAX: usize = 255;

/// The resource around bytes that came by themselves.
pub(crate) fn resource_of(
    kind: &ContentKind,
    bytes: &[u8],
    security_context: Option<&str>,
) -> Result<Value, Problem> {
    let content_type = match kind {
        ContentKind::Other(name) if name.len() <= CONTENT_TYPE_BYTES_MAX => name.as_str(),
        ContentKind::Form => "application/x-www-form-urlencoded",
        ContentKind::JsonPatch => "application/json-patch+json",
        ContentKind::MergePatch => "application/merge-patch+json",
        ContentKind::None | ContentKind::Other(_) | ContentKind::Resource => {
            return Err(Problem::bad_request(
                IssueCode::Required,
                "a Binary needs the header Content-Type, with the type of its bytes",
            )
            .at_location("Content-Type"));
        }
    };
    let mut binary = Object::new();
    binary.set("resourceType", "Binary".into());
    binary.set("contentType", content_type.into());
    if let Some(reference) = security_context {
        let reference: Object = [("reference", Value::from(reference))].into_iter().collect();
        binary.set("securityContext", reference.into());
    }
    if !bytes.is_empty() {
        binary.set("data", STANDARD.encode(bytes).into());
    }
    Ok(binary.into())
}

/// The bytes of a stored Binary, where they are wanted rather than the resource.
pub(crate) fn raw(body: &str, wanted: &Wanted) -> Option<AnswerContent> {
    let resource = parse(body.as_bytes()).ok()?;
    let content_type = resource.text("contentType")?;
    if !wanted.takes_raw(content_type) {
        return None;
    }
    let bytes = data(&resource)?;
    Some(AnswerContent::Raw { content_type: content_type.to_owned(), bytes })
}

/// The JSON that a Binary holds.
pub(crate) fn json_of(resource: &Value) -> Option<Value> {
    if resource.resource_type() != Some("Binary") {
        return None;
    }
    parse(&data(resource)?).ok()
}

fn data(resource: &Value) -> Option<Bytes> {
    let text = resource.text("data").unwrap_or_default();
    // base64Binary may hold white space (FHIR R4 §2.24.0.1).
    let text: String = text.chars().filter(|letter| !letter.is_ascii_whitespace()).collect();
    STANDARD.decode(text).ok().map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, header};

    use super::*;
    use crate::fhir::query_string::Query;

    #[test]
    fn bytes_come_back_as_they_went_in() {
        let kind = ContentKind::Other("text/plain".into());
        let bytes = b"\0\xff text";
        let resource = resource_of(&kind, bytes, Some("Patient/1")).expect("a Binary");
        assert_eq!(
            resource.to_json(),
            r#"{"resourceType":"Binary","contentType":"text/plain","securityContext":{"reference":"Patient/1"},"data":"AP8gdGV4dA=="}"#
        );
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, "text/*".parse().expect("a header"));
        let wanted = Wanted::of(&headers, &Query::default()).expect("acceptable");
        match raw(&resource.to_json(), &wanted) {
            Some(AnswerContent::Raw { content_type, bytes: back }) => {
                assert_eq!((content_type.as_str(), &*back), ("text/plain", &bytes[..]));
            }
            other => panic!("{other:?}"),
        }
        assert!(raw(&resource.to_json(), &Wanted::json()).is_none());
    }

    #[test]
    fn what_is_no_base64_is_not_sent_as_bytes() {
        let body = r#"{"resourceType":"Binary","contentType":"text/plain","data":"?"}"#;
        let wanted = Wanted::of(&HeaderMap::new(), &Query::default()).expect("acceptable");
        assert!(raw(body, &wanted).is_none());
    }
}
