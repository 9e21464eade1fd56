//! The response to a posted message.

use bytes::Bytes;
use http::header::{
    ALLOW, CONNECTION, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
};
use http::{HeaderMap, Response, StatusCode};
use http_body_util::Full;

use crate::{Receipt, ReceiptOutcome};

/// The content type where the request names none that a reply can have.
const HL7: HeaderValue = HeaderValue::from_static("application/hl7-v2");

const PLAIN: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// How long a sender should wait that found us busy.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("5");

/// What a sender is told whose message was refused for its content, where there is no acknowledgment to say so.
const REFUSED: &str = "refused: the body can't be read as what is received here, or is larger than is kept; the same \
     bytes would be refused again\n";

/// Why a request gets no further than us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Declined {
    Path,
    Method,
    Token,
    /// Compressed bodies and forms are not taken.
    MediaType,
    Empty,
    TooLarge,
    TooSlow,
    Broken,
    Busy,
}

impl Declined {
    fn status(self) -> StatusCode {
        match self {
            Self::Path => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Token => StatusCode::UNAUTHORIZED,
            Self::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Empty | Self::Broken => StatusCode::BAD_REQUEST,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::Path => "nothing is received at this path\n",
            Self::Method => "messages are sent by POST\n",
            Self::Token => "a valid token is needed\n",
            Self::MediaType => {
                "send the message itself as the body, not encoded and not as a form\n"
            }
            Self::Empty => "the body is empty: there is no message in it\n",
            Self::TooLarge => "the message is larger than is taken here\n",
            Self::TooSlow => "the message did not come in time\n",
            Self::Broken => "the body is not complete\n",
            Self::Busy => "no room for a message now: try again\n",
        }
    }

    /// The response.
    pub(super) fn response(self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::from(self.text()));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, PLAIN);
        match self {
            Self::Method => drop(headers.insert(ALLOW, HeaderValue::from_static("POST"))),
            Self::Token => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Self::Busy => drop(headers.insert(RETRY_AFTER, RETRY_AFTER_SECONDS)),
            Self::Path | Self::MediaType | Self::Empty => {}
            // What is left of the body is not read.
            Self::TooLarge | Self::TooSlow | Self::Broken => {
                headers.insert(CONNECTION, HeaderValue::from_static("close"));
            }
        }
        response
    }
}

/// Whether a body can be the message itself.
pub(super) fn is_message(headers: &HeaderMap) -> bool {
    let is_encoded = headers
        .get(CONTENT_ENCODING)
        .is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity"));
    !is_encoded && !media_type(headers).starts_with(b"multipart/")
}

/// The response with the engine's answer in it, in the content type of the request: its charset parameter stays,
/// since the acknowledgment is in the message's character set.
pub(super) fn response(
    receipt: &Receipt,
    body: Option<Bytes>,
    request: &HeaderMap,
    rejected: StatusCode,
) -> Response<Full<Bytes>> {
    let status = match receipt.outcome {
        ReceiptOutcome::Kept => StatusCode::OK,
        ReceiptOutcome::Rejected => rejected,
        ReceiptOutcome::Busy => StatusCode::SERVICE_UNAVAILABLE,
    };
    let mut response = match body {
        Some(body) => {
            let mut response = Response::new(Full::new(body));
            response.headers_mut().insert(CONTENT_TYPE, content_type(request));
            response
        }
        // A reply of its own has HL7 only. Why the content is refused may tell what stands in it, and so only
        // that it is refused is said.
        None => match receipt.outcome {
            ReceiptOutcome::Kept => Response::new(Full::default()),
            ReceiptOutcome::Rejected => plain(REFUSED),
            ReceiptOutcome::Busy => plain(Declined::Busy.text()),
        },
    };
    *response.status_mut() = status;
    if receipt.outcome == ReceiptOutcome::Busy {
        response.headers_mut().insert(RETRY_AFTER, RETRY_AFTER_SECONDS);
    }
    response
}

fn plain(text: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(text));
    response.headers_mut().insert(CONTENT_TYPE, PLAIN);
    response
}

/// The request's, unless it is a form's: tools that post whatever they are given call everything a form.
fn content_type(request: &HeaderMap) -> HeaderValue {
    match request.get(CONTENT_TYPE) {
        Some(own) if media_type(request) != b"application/x-www-form-urlencoded" => own.clone(),
        _ => HL7,
    }
}

fn media_type(headers: &HeaderMap) -> Vec<u8> {
    let value = headers.get(CONTENT_TYPE).map(|value| value.as_bytes()).unwrap_or_default();
    let end = value.iter().position(|&byte| byte == b';').unwrap_or(value.len());
    value.get(..end).unwrap_or_default().trim_ascii().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(outcome: ReceiptOutcome, status: u16, says: &str) {
        let receipt = Receipt { outcome, reply: None, later: None };
        let response = response(&receipt, None, &HeaderMap::new(), StatusCode::BAD_REQUEST);
        assert_eq!(response.status(), status);
        let typed = response.headers().get(CONTENT_TYPE) == Some(&PLAIN);
        assert_eq!(typed, !says.is_empty());
        let size = hyper::body::Body::size_hint(response.body()).exact();
        assert_eq!(size, Some(says.len() as u64), "{says}");
    }

    #[test]
    fn a_sender_without_an_acknowledgment_is_told_why_it_was_refused() {
        check(ReceiptOutcome::Kept, 200, "");
        check(ReceiptOutcome::Rejected, 400, REFUSED);
        check(ReceiptOutcome::Busy, 503, Declined::Busy.text());
    }
}
