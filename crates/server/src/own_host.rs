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
use http::{HeaderMap, StatusCode, Uri, Version};
use pipehat_resource::outcome::{Issue, IssueCode, operation_outcome};

const REMEDY: &str = "this server is not known by the host that the request names; where clients reach it by another name \
    than localhost, as through a proxy, set `datastore: { base: https://NAME/fhir/R4 }` in pipehat.yaml";

const UNCLEAR: &str =
    "a request has one header Host (RFC 9112 §3.2), which says which server it is for";

/// Passes on what is for this server.
pub(crate) async fn only_own(request: Request, next: Next) -> Response {
    let (status, code, why) = if is_unclear(request.headers(), request.uri(), request.version()) {
        (StatusCode::BAD_REQUEST, IssueCode::Invalid, UNCLEAR)
    } else if is_own(request.headers(), request.uri()) {
        return next.run(request).await;
    } else {
        (StatusCode::MISDIRECTED_REQUEST, IssueCode::Security, REMEDY)
    };
    let (kind, body) = if request.uri().path().starts_with("/fhir/") {
        let outcome = operation_outcome(&[Issue::error(code, why)]);
        ("application/fhir+json; charset=utf-8", outcome.to_json())
    } else {
        let error = serde_json::json!({ "error": "invalid_request", "error_description": why });
        ("application/json", error.to_string())
    };
    let headers = [(CONTENT_TYPE, HeaderValue::from_static(kind))];
    (status, headers, Body::from(body)).into_response()
}

/// Whether a request says of no server, or of several, that it is for it. HTTP/2 says it in the address.
fn is_unclear(headers: &HeaderMap, uri: &Uri, version: Version) -> bool {
    match headers.get_all(HOST).iter().count() {
        0 => version == Version::HTTP_11 && uri.authority().is_none(),
        hosts => hosts > 1,
    }
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
    fn one_host_is_named() {
        let check = |hosts: &[&str], uri: &'static str, version, expected: bool| {
            let mut headers = HeaderMap::new();
            for host in hosts {
                headers.append(HOST, host.parse().expect("a header"));
            }
            let uri = Uri::from_static(uri);
            assert_eq!(is_unclear(&headers, &uri, version), expected, "{hosts:?} {uri}");
        };
        check(&["localhost"], "/fhir/R4", Version::HTTP_11, false);
        check(&["localhost", "evil"], "/fhir/R4", Version::HTTP_11, true);
        check(&["localhost", "localhost"], "/fhir/R4", Version::HTTP_2, true);
        check(&[], "/fhir/R4", Version::HTTP_11, true);
        check(&[], "/fhir/R4", Version::HTTP_10, false);
        check(&[], "http://localhost/fhir/R4", Version::HTTP_2, false);
    }

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
