//! Which server a request is for, where no public address is set.
//!
//! `Host` is what a client says. It stands in links and `Location`, decides which absolute references are to resources
//! here, and which audience an assertion may have: one made for another server must not open this one because somebody
//! who got hold of it says that server's name (RFC 7523 §3). The HTTP side listens on loopback only. So without a `base`,
//! requests for other hosts than this machine's loopback are refused (RFC 9110 §15.5.20), whatever the port: it may be
//! forwarded.

use std::net::IpAddr;

use axum::body::Body;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, HOST, HeaderValue};
use http::{HeaderMap, StatusCode, Uri};
use pipehat_resource::outcome::{Issue, IssueCode, operation_outcome};

const REMEDY: &str = "this server is not known by the host that the request names; where clients reach it by another name \
    than localhost, as through a proxy, set `datastore: { base: https://NAME/fhir/R4 }` in pipehat.yaml";

/// Passes on what is for this server.
pub(crate) async fn only_own(request: Request, next: Next) -> Response {
    if is_own(request.headers(), request.uri()) {
        return next.run(request).await;
    }
    let (kind, body) = if request.uri().path().starts_with("/fhir/") {
        let outcome = operation_outcome(&[Issue::error(IssueCode::Security, REMEDY)]);
        ("application/fhir+json; charset=utf-8", outcome.to_json())
    } else {
        let error = serde_json::json!({ "error": "invalid_request", "error_description": REMEDY });
        ("application/json", error.to_string())
    };
    let headers = [(CONTENT_TYPE, HeaderValue::from_static(kind))];
    (StatusCode::MISDIRECTED_REQUEST, headers, Body::from(body)).into_response()
}

fn is_own(headers: &HeaderMap, uri: &Uri) -> bool {
    let authority = match headers.get(HOST) {
        Some(host) => host.to_str().ok(),
        None => uri.authority().map(http::uri::Authority::as_str),
    };
    match (authority, headers.contains_key(HOST)) {
        (Some(authority), _) => is_loopback(authority),
        (None, said) => !said,
    }
}

/// Whether `HOST` or `HOST:PORT` is loopback, or the address that stands for all of a machine's.
fn is_loopback(authority: &str) -> bool {
    let host = match authority.rsplit_once(':') {
        Some((host, port))
            if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            host
        }
        _ => authority,
    };
    let plain = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    if plain.eq_ignore_ascii_case("localhost") {
        return true;
    }
    plain.parse::<IpAddr>().is_ok_and(|address| address.is_loopback() || address.is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        let check = |host: &str, expected: bool| {
            assert_eq!(is_loopback(host), expected, "{host}");
        };
        for host in
            ["localhost", "LocalHost:8103", "127.0.0.1:8103", "127.8.0.1", "[::1]:9", "0.0.0.0:80"]
        {
            check(host, true);
        }
        for host in [
            "",
            ":80",
            "evil.example.org",
            "localhost.example.org",
            "localhost:80:90",
            "127.0.0.1.example.org:80",
            "10.0.0.1:8103",
            "[fe80::1]:80",
            "user@localhost",
        ] {
            check(host, false);
        }
    }
}
