//! Forms of requests and answers: media types, codings, parts, headers.

use std::io::{Read, Write};

use serde_json::json;

use crate::harness::Server;
use pipehat_server::fhir::{FhirOptions, REQUEST_BYTES_MAX};

#[tokio::test]
async fn media_types_are_negotiated() {
    let server = Server::new();
    server.put(&json!({ "resourceType": "Patient", "id": "p" })).await;
    let check = |query: &'static str, accept: &'static str, expected: Result<&'static str, u16>| {
        let server = &server;
        async move {
            let headers =
                if accept.is_empty() { String::new() } else { format!("accept: {accept}") };
            let reply = server.send(&format!("GET /Patient/p{query}"), &headers, "").await;
            match expected {
                Ok(name) => {
                    let reply = reply.expect(200);
                    assert_eq!(reply.header("content-type"), format!("{name}; charset=utf-8"));
                }
                Err(status) => {
                    reply.refused(status, "not-supported");
                }
            }
        }
    };
    check("", "", Ok("application/fhir+json")).await;
    check("", "application/json", Ok("application/json")).await;
    check("", "*/*", Ok("application/fhir+json")).await;
    check("", "application/fhir+xml", Err(406)).await;
    check("?_format=json", "application/fhir+xml", Ok("application/fhir+json")).await;
    check("?_format=application/fhir+json", "", Ok("application/fhir+json")).await;
    check("?_format=xml", "application/fhir+json", Err(406)).await;
    let patient = json!({ "resourceType": "Patient" }).to_string();
    for (headers, status) in [
        ("content-type: application/fhir+xml", 415),
        ("content-type: text/plain", 415),
        ("content-type: application/json; charset=utf-16", 415),
        ("", 415),
        ("content-type: application/json", 201),
        ("content-type: application/fhir+json; charset=UTF-8", 201),
    ] {
        server.send("POST /Patient", headers, patient.clone()).await.expect(status);
    }
    let refused = "content-type: application/fhir+json\naccept: application/fhir+xml";
    server.send("PUT /Patient/never", refused, patient).await.expect(406);
    server.get("/Patient/never").await.expect(404);
}

#[tokio::test]
async fn head_is_get_without_its_body() {
    let server = Server::new();
    server.put(&json!({ "resourceType": "Patient", "id": "p" })).await;
    for path in ["/Patient/p", "/Patient", "/Patient/p/_history", "/metadata"] {
        let get = server.get(path).await.expect(200);
        let head = server.send(&format!("HEAD {path}"), "", "").await.expect(200);
        assert!(head.body.is_empty(), "{path}");
        assert_eq!(head.header("etag"), get.header("etag"), "{path}");
        assert_eq!(head.header("content-type"), get.header("content-type"), "{path}");
        assert_eq!(head.header("content-length"), get.body.len().to_string(), "{path}");
    }
    server.send("HEAD /Patient/never", "", "").await.expect(404);
}

#[tokio::test]
async fn bodies_are_coded_both_ways() {
    let server = Server::new();
    let long = "x".repeat(4000);
    let patient = json!({ "resourceType": "Patient", "id": "p", "name": [{ "text": long }] });
    let text = patient.to_string();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text.as_bytes()).expect("gzip");
    let gzip = gzip.finish().expect("gzip");
    let zstd = zstd::bulk::compress(text.as_bytes(), 1).expect("zstd");
    for (coding, body, status) in [("gzip", gzip, 201), ("zstd", zstd, 200)] {
        let headers = format!("content-type: application/fhir+json\ncontent-encoding: {coding}");
        server.send("PUT /Patient/p", &headers, body).await.expect(status);
        let reply = server.send("GET /Patient/p", &format!("accept-encoding: {coding}"), "").await;
        let reply = reply.expect(200);
        assert_eq!(reply.header("content-encoding"), coding);
        let mut back = String::new();
        match coding {
            "gzip" => flate2::read::GzDecoder::new(&*reply.body).read_to_string(&mut back),
            _ => zstd::stream::read::Decoder::new(&*reply.body)
                .expect("zstd")
                .read_to_string(&mut back),
        }
        .expect("it decodes");
        assert!(back.contains(&long));
    }
    let json = "content-type: application/fhir+json";
    let unknown = format!("{json}\ncontent-encoding: br");
    server.send("PUT /Patient/p", &unknown, text.clone()).await.expect(415);
    let damaged = format!("{json}\ncontent-encoding: gzip");
    server.send("PUT /Patient/p", &damaged, text).await.refused(400, "structure");
}

#[tokio::test]
async fn bodies_have_a_limit() {
    let server = Server::new();
    let json = "content-type: application/fhir+json";
    let large = vec![b' '; REQUEST_BYTES_MAX + 1];
    server.send("POST /Patient", json, large.clone()).await.refused(413, "too-long");
    let bomb = zstd::bulk::compress(&large, 1).expect("zstd");
    let coded = format!("{json}\ncontent-encoding: zstd");
    server.send("POST /Patient", &coded, bomb).await.refused(413, "too-long");
    let deep = format!("{{\"resourceType\":\"Patient\",\"x\":{}", "[".repeat(100_000));
    server.send("POST /Patient", json, deep).await.refused(400, "structure");
}

#[tokio::test]
async fn parts_of_resources() {
    let server = Server::new();
    server.put(&json!({ "resourceType": "Patient", "id": "p", "active": true,
        "text": { "status": "generated", "div": "<div xmlns=\"http://www.w3.org/1999/xhtml\">x</div>" },
        "maritalStatus": { "text": "m" } })).await;
    let members = |query: &'static str| {
        let server = &server;
        async move {
            let value = server.get(&format!("/Patient/p{query}")).await.expect(200).value();
            let tag = value["meta"]["tag"][0]["code"].as_str().unwrap_or_default().to_owned();
            let mut names: Vec<String> =
                value.as_object().expect("an object").keys().cloned().collect();
            names.retain(|name| !["resourceType", "id", "meta"].contains(&name.as_str()));
            (names.join(" "), tag)
        }
    };
    let part = |text: &str| (text.to_owned(), "SUBSETTED".to_owned());
    assert_eq!(members("?_summary=true").await, part("active"));
    assert_eq!(members("?_summary=text").await, part("text"));
    assert_eq!(members("?_summary=data").await, part("active maritalStatus"));
    assert_eq!(members("?_elements=maritalStatus").await, part("active maritalStatus"));
    assert_eq!(members("?_summary=false").await.1, "");
    server.get("/Patient/p?_summary=some").await.refused(400, "value");
    let pretty = server.get("/Patient/p?_pretty=true").await.expect(200).text();
    assert!(pretty.starts_with("{\n  \"resourceType\": \"Patient\""), "{pretty}");
}

#[tokio::test]
async fn request_ids_are_kept() {
    let server = Server::new();
    let reply = server.send("GET /Patient", "x-request-id: abc-1.2_3", "").await;
    assert_eq!(reply.header("x-request-id"), "abc-1.2_3");
    let reply = server.send("GET /Patient", "x-request-id: a b", "").await;
    assert_eq!(reply.header("x-request-id").len(), 36);
    assert_eq!(reply.header("cache-control"), "no-store");
    assert_eq!(reply.header("x-content-type-options"), "nosniff");
}

#[tokio::test]
async fn other_origins_may_call_where_they_are_allowed() {
    let server = Server::new();
    let origin = "origin: https://app.test";
    let ask = "origin: https://app.test\naccess-control-request-method: PUT";
    assert_eq!(
        server.send("GET /Patient", origin, "").await.header("access-control-allow-origin"),
        ""
    );
    server.send("OPTIONS /Patient", ask, "").await.expect(405);
    let origins = vec!["https://app.test".to_owned()];
    let server = Server::with_options(FhirOptions { origins, ..FhirOptions::default() });
    let reply = server.send("GET /Patient", origin, "").await.expect(200);
    assert_eq!(reply.header("access-control-allow-origin"), "https://app.test");
    assert!(reply.header("access-control-expose-headers").contains("ETag"));
    let reply = server.send("OPTIONS /Patient", ask, "").await.expect(204);
    assert!(reply.header("access-control-allow-methods").contains("PUT"));
    let other = "origin: https://evil.test\naccess-control-request-method: PUT";
    server.send("OPTIONS /Patient", other, "").await.expect(405);
}

#[tokio::test]
async fn the_public_base_stands_in_links() {
    let base = Some("https://fhir.example.org/r4/".to_owned());
    let server = Server::with_options(FhirOptions { base, ..FhirOptions::default() });
    let reply =
        server.json("POST /Patient", &json!({ "resourceType": "Patient" })).await.expect(201);
    let location = format!("https://fhir.example.org/r4/Patient/{}/_history/1", reply.id());
    assert_eq!(reply.header("location"), location);
    let bundle = server.get("/Patient").await.expect(200).value();
    assert_eq!(bundle["link"][0]["url"], "https://fhir.example.org/r4/Patient");
    let plain = Server::new();
    plain.send("GET /Patient", "host: a/b", "").await;
}
