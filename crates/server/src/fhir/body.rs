//! The body of a request: read as far as there is room, decoded, and put where it belongs.

use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode, header};
use http_body_util::BodyExt;
use pipehat_resource::outcome::IssueCode;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::address::Call;
use super::coding;
use super::negotiation::ContentKind;
use super::problem::Problem;
use super::query_string::Query;
use super::request::{Content, Request};
use super::service::{FhirService, busy};
use super::shape::Shape;

/// The largest body, as it was sent and decoded. Bundles of whole histories have some megabytes.
pub const REQUEST_BYTES_MAX: usize = 32 * 1024 * 1024;

/// How much of all requests' bodies is in memory at once.
const BODIES_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Bodies are counted in pieces of this size.
const PIECE_BYTES: usize = 64 * 1024;

/// As much of a body that is too large is read before it is refused.
const DRAINED_BYTES_MAX: usize = 128 * 1024 * 1024;

/// How long that may take.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(15);

/// How long a client may take to send its body.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);

/// The room for all requests' bodies.
pub(super) fn room() -> Semaphore {
    Semaphore::new(BODIES_BYTES_MAX / PIECE_BYTES)
}

impl FhirService {
    /// Reads a body, as far as there is room for it.
    pub(super) async fn body<'s>(
        &'s self,
        headers: &HeaderMap,
        body: Body,
        permits: &mut Vec<SemaphorePermit<'s>>,
    ) -> Result<Bytes, Problem> {
        let announced = headers
            .get(header::CONTENT_LENGTH)
            .and_then(|length| length.to_str().ok())
            .and_then(|length| length.parse::<usize>().ok());
        let mut body = body;
        if announced.is_some_and(|length| length > REQUEST_BYTES_MAX) {
            // What could not be read to its end is not begun.
            if announced.is_some_and(|length| length <= DRAINED_BYTES_MAX) {
                drain(&mut body).await;
            }
            return Err(too_large());
        }
        let reading = async {
            let mut first = Bytes::new();
            let mut all = BytesMut::new();
            let mut length = 0_usize;
            while let Some(frame) = body.frame().await {
                let Ok(frame) = frame else {
                    return Err(Problem::bad_request(
                        IssueCode::Incomplete,
                        "the body ends too early",
                    ));
                };
                let Ok(piece) = frame.into_data() else { continue };
                length = length.saturating_add(piece.len());
                if length > REQUEST_BYTES_MAX {
                    drop((first, all));
                    permits.clear();
                    drain(&mut body).await;
                    return Err(too_large());
                }
                while length.div_ceil(PIECE_BYTES) > permits.len() {
                    let permit = self.bodies.try_acquire();
                    permits.push(permit.map_err(|_| busy("too many large bodies are under way"))?);
                }
                if all.is_empty() && first.is_empty() {
                    first = piece;
                } else {
                    if all.is_empty() {
                        all.extend_from_slice(&std::mem::take(&mut first));
                    }
                    all.extend_from_slice(&piece);
                }
            }
            Ok(if all.is_empty() { first } else { all.freeze() })
        };
        tokio::time::timeout(BODY_TIMEOUT, reading).await.unwrap_or_else(|_| {
            Err(Problem::new(
                StatusCode::REQUEST_TIMEOUT,
                IssueCode::Timeout,
                "the body did not arrive in time",
            ))
        })
    }
}

/// Puts a body where it belongs: the parameters of a form are those of the search.
pub(super) fn take_content(
    request: &mut Request,
    kind: ContentKind,
    bytes: Bytes,
) -> Result<(), Problem> {
    let searches = matches!(request.call, Call::Search(_))
        || matches!(request.call, Call::Operation { .. }) && kind == ContentKind::Form;
    if !searches {
        if !bytes.is_empty() || kind != ContentKind::None {
            request.content = Content::Bytes(kind, bytes);
        }
        return Ok(());
    }
    if bytes.is_empty() {
        return Ok(());
    }
    if kind != ContentKind::Form {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            IssueCode::NotSupported,
            "send a search with Content-Type: application/x-www-form-urlencoded",
        )
        .at_location("Content-Type"));
    }
    let wrong = |text: String| Problem::bad_request(IssueCode::Value, text);
    let text =
        std::str::from_utf8(&bytes).map_err(|_| wrong("the form is not UTF-8".to_owned()))?;
    let form = Query::parse(text).map_err(|error| wrong(error.to_string()))?;
    request.query.merge(form).map_err(|error| wrong(error.to_string()))?;
    let shape = Shape::of(&request.query)?;
    request.shape = shape;
    Ok(())
}

/// The body as it was before it was sent.
pub(super) async fn decoded(headers: &HeaderMap, body: Bytes) -> Result<Bytes, Problem> {
    let Some(coding) = headers.get(header::CONTENT_ENCODING) else { return Ok(body) };
    let coding = coding.to_str().unwrap_or("?").to_owned();
    let work = move || coding::decode(&coding, body, REQUEST_BYTES_MAX);
    let decoded = tokio::task::spawn_blocking(work).await.map_err(|_| {
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, IssueCode::Exception, "decoding failed")
    })?;
    decoded.map_err(|error| match error {
        coding::CodingError::Unknown => Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            IssueCode::NotSupported,
            error.to_string(),
        )
        .at_location("Content-Encoding"),
        coding::CodingError::TooLarge { .. } => {
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, IssueCode::TooLong, error.to_string())
        }
        coding::CodingError::Damaged(_) => {
            Problem::bad_request(IssueCode::Structure, error.to_string())
                .at_location("Content-Encoding")
        }
    })
}

/// Reads on and forgets what comes. Most clients read nothing before all is sent: without this they would see a broken
/// connection and no answer.
async fn drain(body: &mut Body) {
    let reading = async {
        let mut left = DRAINED_BYTES_MAX;
        while let Some(Ok(frame)) = body.frame().await {
            let length = frame.data_ref().map_or(0, Bytes::len);
            match left.checked_sub(length) {
                Some(rest) => left = rest,
                None => break,
            }
        }
    };
    // Whoever is slower than that sees no answer.
    let _ = tokio::time::timeout(DRAIN_TIMEOUT, reading).await;
}

fn too_large() -> Problem {
    Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        IssueCode::TooLong,
        format!("a request has at most {REQUEST_BYTES_MAX} bytes"),
    )
}
