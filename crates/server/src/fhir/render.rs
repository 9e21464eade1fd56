//! From answers to HTTP responses.

use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use pipehat_resource::json::parse;
use pipehat_store::datastore::Body as StoredBody;

use super::answer::{Answer, AnswerContent, VersionNote};
use super::coding::{self, CODED_BYTES_MIN, OFFERED};
use super::conditions::{entity_tag, http_date};
use super::negotiation::{JsonName, content_coding};
use super::problem::Problem;
use super::shape::Shape;

/// Above this, coding a body is no matter of microseconds, and has a thread of its own.
const CODED_ASIDE_BYTES: usize = 256 * 1024;

/// Response headers that scripts of other origins may read.
const EXPOSED: &str = "Content-Location, ETag, Last-Modified, Location, X-Request-Id";

/// Request headers that they may send.
const ALLOWED: &str = "Accept, Authorization, Content-Type, If-Match, If-Modified-Since, If-None-Exist, \
     If-None-Match, Prefer, X-Medplum, X-Request-Id, X-Security-Context";

/// The form of a response, as far as the request's head decides it.
#[derive(Debug)]
pub(super) struct Form {
    /// How JSON is called.
    pub(super) json: JsonName,
    /// `_pretty`.
    pub(super) pretty: bool,
    /// Which part of a resource that was read is shown.
    pub(super) shape: Shape,
    /// The public address of the API.
    pub(super) base: String,
    coding: Option<&'static str>,
    head_only: bool,
}

impl Form {
    /// What is known before anything was checked.
    pub(super) fn of(parts: &Parts) -> Self {
        Self {
            json: JsonName::Fhir,
            pretty: false,
            shape: Shape::default(),
            base: String::new(),
            coding: content_coding(&parts.headers, &OFFERED),
            head_only: parts.method == Method::HEAD,
        }
    }
}

/// The response of an answer.
pub(super) async fn answer(answer: Answer, form: &Form) -> Response {
    let mut headers = answer.headers;
    put_version(&mut headers, answer.version);
    if let Some(location) = &answer.location {
        put(&mut headers, header::LOCATION, &format!("{}/{location}", form.base));
    }
    let bytes = match answer.content {
        AnswerContent::None => return finish(answer.status, headers, None, form).await,
        AnswerContent::Stored(body) => {
            if form.shape.is_whole() {
                json(shared(body), form)
            } else {
                json(form.shape.shown(&body).into_owned().into(), form)
            }
        }
        AnswerContent::Made(text) => json(text.into(), form),
        AnswerContent::Raw { content_type, bytes } => {
            put(&mut headers, header::CONTENT_TYPE, &content_type);
            // A page or a picture with scripts must not run as if it were ours.
            put(&mut headers, header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox");
            return finish(answer.status, headers, Some(bytes), form).await;
        }
    };
    put(&mut headers, header::CONTENT_TYPE, form.json.content_type());
    finish(answer.status, headers, Some(bytes), form).await
}

/// The response of a refusal.
pub(super) async fn problem(problem: &Problem, form: &Form) -> Response {
    let mut headers = problem.headers().clone();
    put_version(&mut headers, problem.version());
    put(&mut headers, header::CONTENT_TYPE, form.json.content_type());
    let outcome = problem.outcome();
    let text = if form.pretty { outcome.to_pretty_json() } else { outcome.to_json() };
    finish(problem.status(), headers, Some(text.into()), form).await
}

fn put_version(headers: &mut HeaderMap, version: Option<VersionNote>) {
    let Some(note) = version else { return };
    put(headers, header::ETAG, &entity_tag(note.version));
    put(headers, header::LAST_MODIFIED, &http_date(note.last_updated));
}

fn json(bytes: Bytes, form: &Form) -> Bytes {
    if !form.pretty {
        return bytes;
    }
    match parse(&bytes) {
        Ok(value) => value.to_pretty_json().into(),
        Err(_) => bytes,
    }
}

/// A stored body's bytes, without copying them.
fn shared(body: StoredBody) -> Bytes {
    struct Owner(Arc<str>);
    impl AsRef<[u8]> for Owner {
        fn as_ref(&self) -> &[u8] {
            self.0.as_bytes()
        }
    }
    Bytes::from_owner(Owner(body))
}

async fn finish(
    status: StatusCode,
    mut headers: HeaderMap,
    bytes: Option<Bytes>,
    form: &Form,
) -> Response {
    let mut bytes = bytes.unwrap_or_default();
    if let Some(name) = form.coding.filter(|_| bytes.len() >= CODED_BYTES_MIN) {
        let coded = if bytes.len() < CODED_ASIDE_BYTES {
            coding::encode(name, &bytes)
        } else {
            let plain = bytes.clone();
            tokio::task::spawn_blocking(move || coding::encode(name, &plain)).await.ok().flatten()
        };
        if let Some(coded) = coded {
            put(&mut headers, header::CONTENT_ENCODING, name);
            bytes = coded;
        }
    }
    // RFC 9110 §8.6: neither of these has a length.
    if !matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        put(&mut headers, header::CONTENT_LENGTH, &bytes.len().to_string());
    }
    let body = if form.head_only { Body::empty() } else { Body::from(bytes) };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// Headers of every response.
pub(crate) fn common_headers(
    headers: &mut HeaderMap,
    request_id: &str,
    parts: &Parts,
    origins: &[String],
) {
    if let Ok(value) = HeaderValue::from_str(request_id) {
        headers.insert("x-request-id", value);
    }
    // Patients' data has no place in caches of others.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.append(header::VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
    if let Some(origin) = allowed_origin(parts, origins) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
    }
}

/// The answer to a browser that asks whether it may ask (CORS), where its origin is one that may.
pub(crate) fn preflight(parts: &Parts, origins: &[String]) -> Option<Response> {
    if parts.method != Method::OPTIONS
        || !parts.headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
    {
        return None;
    }
    let origin = allowed_origin(parts, origins)?;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE"),
    );
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(ALLOWED));
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    headers.insert(header::VARY, HeaderValue::from_static("Origin"));
    Some(response)
}

fn allowed_origin(parts: &Parts, origins: &[String]) -> Option<HeaderValue> {
    let origin = parts.headers.get(header::ORIGIN)?;
    let text = origin.to_str().ok()?;
    origins.iter().any(|allowed| allowed == "*" || allowed == text).then(|| origin.clone())
}

/// Sets a header, unless the text can't be one.
fn put(headers: &mut HeaderMap, name: header::HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        headers.insert(name, value);
    }
}
