//! One request and its response, or why there is none.

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use reqwest::RequestBuilder;

use super::client::{Reply, cause, read};
use super::retry_after::retry_after;

/// What a partner answered.
pub(crate) struct Response {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Reply,
    /// How long it asks us to wait.
    pub(crate) wait: Option<Duration>,
}

/// How an exchange failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// No connection was made: the partner has nothing of the request.
    NotConnected,
    /// No whole response came in time: the partner may have the request.
    TimedOut,
    /// The connection broke before the response was complete: the partner may have the request.
    BrokenOff,
}

/// Why there is no response.
#[derive(Debug)]
pub(crate) struct NoResponse {
    pub(crate) failure: Failure,
    /// For an operator: who, what, and what the system or TLS says of it. Never a URL.
    pub(crate) detail: String,
}

/// Sends a request to the partner at `address`, and reads no more of its response than may be kept.
///
/// # Errors
/// When there is no whole response.
pub(crate) async fn exchange(
    request: RequestBuilder,
    address: &str,
    reply_bytes_max: usize,
) -> Result<Response, NoResponse> {
    let no_response = |error: reqwest::Error| no_response(address, &error);
    let mut response = request.send().await.map_err(no_response)?;
    let wait = retry_after(response.headers(), Timestamp::now());
    let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
    let body = read(&mut response, reply_bytes_max).await.map_err(no_response)?;
    Ok(Response { status, headers, body, wait })
}

fn no_response(address: &str, error: &reqwest::Error) -> NoResponse {
    let (failure, what) = if error.is_connect() {
        (Failure::NotConnected, "can't be reached")
    } else if error.is_timeout() {
        (Failure::TimedOut, "did not answer in time")
    } else {
        (Failure::BrokenOff, "broke off before the response was complete")
    };
    let detail = match cause(error) {
        Some(cause) => format!("{address} {what}: {cause}"),
        None => format!("{address} {what}"),
    };
    NoResponse { failure, detail }
}
