//! A resource as a client sends it, made ready to be stored.

use http::StatusCode;
use pipehat_resource::json::{Object, Value};
use pipehat_resource::outcome::{Issue, IssueCode};

use super::binary;
use super::negotiation::ContentKind;
use super::problem::Problem;
use super::request::{Content, Request};
use super::shape::is_subsetted;

/// What a server sets and no client (FHIR R4 §2.27.3).
const SERVER_SET: [&str; 4] = ["versionId", "_versionId", "lastUpdated", "_lastUpdated"];

/// A resource that came in.
#[derive(Debug, Clone)]
pub(crate) struct Incoming {
    resource: Value,
    /// The text it was read from, for the places of mistakes.
    text: Option<bytes::Bytes>,
    /// Whether it came as bytes, which say nothing of an id.
    raw: bool,
}

impl Incoming {
    /// Reads the body of a request as a resource of a type.
    ///
    /// # Errors
    /// 415 and 400 where it is no such resource; 422 where it is only a part of one.
    pub(crate) fn read(request: &Request, resource_type: &str) -> Result<Self, Problem> {
        let mut raw = false;
        let (resource, text) = match &request.content {
            Content::Bytes(kind, bytes)
                if resource_type == "Binary" && *kind != ContentKind::Resource =>
            {
                let context = request.security_context.as_deref();
                raw = true;
                (binary::resource_of(kind, bytes, context)?, None)
            }
            Content::Bytes(_, bytes) => (request.content.resource()?, Some(bytes.clone())),
            Content::Value(_) | Content::None => (request.content.resource()?, None),
        };
        if resource.resource_type() != Some(resource_type) {
            return Err(Problem::of(
                StatusCode::BAD_REQUEST,
                &[Issue::error(
                    IssueCode::Value,
                    format!("expected a resource of the type {resource_type}"),
                )
                .at("resourceType")],
            ));
        }
        if is_subsetted(&resource) {
            return Err(Problem::of(
                StatusCode::UNPROCESSABLE_ENTITY,
                &[Issue::error(
                    IssueCode::BusinessRule,
                    "the tag SUBSETTED says that this is only a part of a resource: read it whole and change that",
                )
                .at(format!("{resource_type}.meta.tag"))],
            ));
        }
        let mut incoming = Self { resource, text, raw };
        if request.prefer.binary_url && resource_type == "Binary" {
            // The address that was told to it, sent back.
            if let Some(binary) = incoming.resource.as_object_mut() {
                binary.remove("url");
            }
        }
        incoming.forget_server_meta();
        incoming.make_references_relative(&request.setting.base);
        Ok(incoming)
    }

    /// The id it came with.
    pub(crate) fn id(&self) -> Option<&str> {
        self.resource.id()
    }

    /// Whether it came as bytes rather than as a resource.
    pub(crate) fn is_raw(&self) -> bool {
        self.raw
    }

    /// Gives it its id.
    pub(crate) fn set_id(&mut self, id: &str) {
        let Some(object) = self.resource.as_object_mut() else { return };
        match object.get_mut("id") {
            Some(own) => *own = id.into(),
            None => {
                let behind = object.iter().position(|(name, _)| name == "resourceType");
                object.insert(behind.map_or(0, |at| at + 1), "id", id.into());
            }
        }
    }

    /// Says of a Binary who may see it.
    pub(crate) fn set_security_context(&mut self, context: Value) {
        if let Some(object) = self.resource.as_object_mut() {
            // Where a Binary that says so itself has it, so that the same stays the same.
            let at = object.iter().position(|(name, _)| name == "data").unwrap_or(object.len());
            object.insert(at, "securityContext", context);
        }
    }

    /// The resource.
    pub(crate) fn resource(&self) -> &Value {
        &self.resource
    }

    /// The text it was read from.
    pub(crate) fn text(&self) -> Option<&str> {
        self.text.as_deref().and_then(|text| std::str::from_utf8(text).ok())
    }

    /// The resource itself.
    pub(crate) fn into_resource(self) -> Value {
        self.resource
    }

    fn forget_server_meta(&mut self) {
        let Some(object) = self.resource.as_object_mut() else { return };
        let Some(meta) = object.get_mut("meta").and_then(Value::as_object_mut) else { return };
        meta.retain(|name, _| !SERVER_SET.contains(&name));
        if meta.is_empty() {
            object.remove("meta");
        }
    }

    /// A reference to this server by its address is one to a resource here, whatever the address is tomorrow.
    fn make_references_relative(&mut self, base: &str) {
        if self
            .text
            .as_ref()
            .is_some_and(|text| memchr::memmem::find(text, base.as_bytes()).is_none())
        {
            return;
        }
        relative(&mut self.resource, base);
    }
}

fn relative(value: &mut Value, base: &str) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| relative(item, base)),
        Value::Object(object) => {
            for (name, member) in object.iter_mut() {
                match member {
                    Value::String(text) if name == "reference" => {
                        let below = text.strip_prefix(base).and_then(|rest| rest.strip_prefix('/'));
                        if let Some(below) = below.filter(|below| !below.is_empty()) {
                            *text = below.to_owned();
                        }
                    }
                    other => relative(other, base),
                }
            }
        }
        _ => {}
    }
}

/// A new id: a random UUID (RFC 9562 version 4).
pub(crate) fn new_id() -> String {
    let mut random = [0_u8; 16];
    getrandom::fill(&mut random).expect("the system has randomness, or nothing here is safe");
    let number = u128::from_be_bytes(random);
    let number = (number & !(0xf << 76)) | (0x4 << 76);
    let number = (number & !(0x3 << 62)) | (0x2 << 62);
    let digits = format!("{number:032x}");
    let part = |from, to| digits.get(from..to).unwrap_or_default();
    format!("{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32))
}

/// A Parameters resource.
pub(crate) fn parameters(parts: impl IntoIterator<Item = Object>) -> Value {
    let parts: Vec<Value> = parts.into_iter().map(Value::from).collect();
    let mut resource = Object::new();
    resource.set("resourceType", "Parameters".into());
    if !parts.is_empty() {
        resource.set("parameter", parts.into());
    }
    resource.into()
}

/// One parameter of it.
pub(crate) fn parameter(name: &str, member: &str, value: Value) -> Object {
    [("name", Value::from(name)), (member, value)].into_iter().collect()
}

#[cfg(test)]
mod tests {
    use pipehat_resource::json::parse;

    use super::*;

    #[test]
    fn ids_are_random_uuids() {
        let id = new_id();
        let groups: Vec<usize> = id.split('-').map(str::len).collect();
        assert_eq!(groups, [8, 4, 4, 4, 12], "{id}");
        assert_eq!(id.as_bytes().get(14), Some(&b'4'), "{id}");
        assert!(matches!(id.as_bytes().get(19), Some(b'8' | b'9' | b'a' | b'b')), "{id}");
        assert_ne!(new_id(), id);
    }

    fn incoming(text: &str) -> Incoming {
        Incoming { resource: parse(text.as_bytes()).expect("JSON"), text: None, raw: false }
    }

    #[test]
    fn what_the_server_sets_is_forgotten() {
        let check = |text, expected: &str| {
            let mut incoming = incoming(text);
            incoming.forget_server_meta();
            incoming.set_id("7");
            assert_eq!(incoming.into_resource().to_json(), expected);
        };
        check(
            r#"{"resourceType":"Patient","meta":{"versionId":"9","lastUpdated":"x","source":"s"}}"#,
            r#"{"resourceType":"Patient","id":"7","meta":{"source":"s"}}"#,
        );
        check(
            r#"{"resourceType":"Patient","id":"1","meta":{"versionId":"9"},"active":true}"#,
            r#"{"resourceType":"Patient","id":"7","active":true}"#,
        );
    }

    #[test]
    fn references_to_this_server_become_relative() {
        let mut incoming = incoming(
            r#"{"a":[{"reference":"http://h/fhir/R4/Patient/1"}],"b":{"reference":"http://h/fhir/R4x/Patient/1"},"url":"http://h/fhir/R4/x"}"#,
        );
        incoming.make_references_relative("http://h/fhir/R4");
        assert_eq!(
            incoming.into_resource().to_json(),
            r#"{"a":[{"reference":"Patient/1"}],"b":{"reference":"http://h/fhir/R4x/Patient/1"},"url":"http://h/fhir/R4/x"}"#
        );
    }
}
