//! Whatever comes in, the answer is none of a broken server.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use proptest::prelude::*;
use serde_json::json;

use crate::harness::Server;

/// Paths near those that mean something.
fn path() -> impl Strategy<Value = String> {
    let segment = prop_oneof![
        Just("Patient".to_owned()),
        Just("Observation".to_owned()),
        Just("p".to_owned()),
        Just("_history".to_owned()),
        Just("_search".to_owned()),
        Just("$meta".to_owned()),
        Just("$validate".to_owned()),
        Just("$everything".to_owned()),
        Just("*".to_owned()),
        Just("1".to_owned()),
        Just("%00".to_owned()),
        Just("%F0%9F%98%80".to_owned()),
        "[a-zA-Z$_.%-]{0,5}",
    ];
    let name = prop_oneof![
        Just("name".to_owned()),
        Just("_id".to_owned()),
        Just("_sort".to_owned()),
        Just("birthdate".to_owned()),
        Just("_include".to_owned()),
        Just("_has:Observation:subject:code".to_owned()),
        Just("_filter".to_owned()),
        Just("_count".to_owned()),
        Just("_after".to_owned()),
        Just("_before".to_owned()),
        Just("_since".to_owned()),
        Just("_elements".to_owned()),
        Just("_lastUpdated".to_owned()),
        Just("general-practitioner.name".to_owned()),
        Just("_type".to_owned()),
        Just("_at".to_owned()),
        "[a-z:._-]{0,8}",
    ];
    let value = "[a-zA-Z0-9|,$:.%+*-]{0,12}";
    let query = proptest::collection::vec((name, value), 0..4);
    (proptest::collection::vec(segment, 0..5), query).prop_map(|(segments, query)| {
        let query: Vec<String> =
            query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!("/{}?{}", segments.join("/"), query.join("&"))
    })
}

/// Bodies near those that mean something.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let json = prop_oneof![
        Just(json!({ "resourceType": "Patient", "id": "p" })),
        Just(json!({ "resourceType": "Patient", "meta": 1, "name": { "family": [] } })),
        Just(
            json!({ "resourceType": "Bundle", "type": "batch", "entry": [{}, 1, { "request": { "method": "GET", "url": "?" } }] })
        ),
        Just(
            json!({ "resourceType": "Bundle", "type": "transaction", "entry": [{ "request": { "method": "PATCH", "url": "Patient/p" }, "resource": [] }] })
        ),
        Just(
            json!({ "resourceType": "Parameters", "parameter": [{ "name": "meta", "valueMeta": { "tag": [1, "x", {}] } }, 3] })
        ),
        Just(json!([{ "op": "add", "path": "/a/b/-", "value": 1 }, { "op": "move" }])),
    ];
    prop_oneof![
        json.prop_map(|value| value.to_string().into_bytes()),
        proptest::collection::vec(any::<u8>(), 0..64),
        "[{}\\[\\]\":,a-z0-9 ]{0,40}".prop_map(String::into_bytes),
    ]
}

#[test]
fn no_request_breaks_the_server() {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let server = runtime.block_on(async {
        let server = Server::new();
        server.put(&json!({ "resourceType": "Patient", "id": "p" })).await;
        server
    });
    let methods = prop_oneof![
        Just("GET"),
        Just("HEAD"),
        Just("POST"),
        Just("PUT"),
        Just("PATCH"),
        Just("DELETE"),
        Just("OPTIONS")
    ];
    let headers = prop_oneof![
        Just("content-type: application/fhir+json"),
        Just("content-type: application/json-patch+json"),
        Just("content-type: application/x-www-form-urlencoded"),
        Just("content-type: image/png"),
        Just("content-type: application/fhir+json\ncontent-encoding: gzip"),
        Just("if-none-exist: a=b"),
        Just("content-type: application/fhir+json\nif-none-exist: name=%F0"),
        Just("if-match: W/\"1\""),
        Just("prefer: handling=strict"),
        Just("accept: image/*"),
    ];
    let config = ProptestConfig { cases: 600, ..ProptestConfig::default() };
    proptest!(config, |(method in methods, path in path(), headers in headers, body in body())| {
        let path = path.replace(|letter: char| !letter.is_ascii_graphic(), "");
        // What is no URI never comes as far as a handler.
        prop_assume!(format!("/fhir/R4{path}").parse::<http::Uri>().is_ok());
        let reply = runtime.block_on(server.send(&format!("{method} {path}"), headers, body));
        prop_assert!(reply.status < 500, "{method} {path}: {} {}", reply.status, reply.text());
        if reply.status >= 400 && method != "HEAD" {
            prop_assert_eq!(&reply.value()["resourceType"], "OperationOutcome");
        }
    });
}

#[tokio::test]
async fn a_body_that_is_too_large_is_read_before_it_is_refused() {
    // A client that sends all before it reads would find the connection broken otherwise.
    const PIECES: usize = 40;
    let server = Server::new();
    for announced in [true, false] {
        let read = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&read);
        let piece = Bytes::from(vec![b' '; 1024 * 1024]);
        let pieces = stream::iter((0..PIECES).map(move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
            Ok::<_, Infallible>(piece.clone())
        }));
        let length = format!("\ncontent-length: {}", PIECES * 1024 * 1024);
        let headers = format!(
            "content-type: application/fhir+json{}",
            if announced { length.as_str() } else { "" }
        );
        let reply = server.send("POST /Patient", &headers, Body::from_stream(pieces)).await;
        reply.refused(413, "too-long");
        assert_eq!(read.load(Ordering::Relaxed), PIECES, "{announced}");
    }
}

#[tokio::test]
async fn a_body_that_is_far_too_large_is_refused_at_once() {
    let server = Server::new();
    let nothing = stream::pending::<Result<Bytes, Infallible>>();
    let headers = "content-type: application/fhir+json\ncontent-length: 99999999999";
    let asked = server.send("POST /Patient", headers, Body::from_stream(nothing));
    let reply = tokio::time::timeout(Duration::from_secs(5), asked).await.expect("it is answered");
    reply.refused(413, "too-long");
}
