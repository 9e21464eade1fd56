//! Binary, as bytes and as a resource.

use serde_json::{Value, json};

use crate::harness::{BASE, Server};

#[tokio::test]
async fn bytes_go_in_and_come_out() {
    let server = Server::new();
    let bytes: Vec<u8> = (0..=255).collect();
    let headers = "content-type: image/png\nx-security-context: Patient/p";
    let created = server.send("POST /Binary", headers, bytes.clone()).await.expect(201);
    assert_eq!(created.value()["contentType"], "image/png");
    assert_eq!(created.value()["securityContext"]["reference"], "Patient/p");
    let path = format!("/Binary/{}", created.id());
    for accept in ["", "accept: */*", "accept: image/png"] {
        let reply = server.send(&format!("GET {path}"), accept, "").await.expect(200);
        assert_eq!(reply.header("content-type"), "image/png", "{accept}");
        assert_eq!(reply.body, bytes, "{accept}");
        assert!(reply.header("content-security-policy").contains("sandbox"));
        assert_eq!(reply.header("etag"), "W/\"1\"");
    }
    for accept in ["accept: application/fhir+json", "accept: application/fhir+json, */*; q=0.1"] {
        let reply = server.send(&format!("GET {path}"), accept, "").await.expect(200);
        assert_eq!(reply.value()["resourceType"], "Binary", "{accept}");
    }
    server.get(&format!("{path}?_format=json")).await.expect(200).value();
    server.send(&format!("GET {path}"), "accept: text/plain", "").await.expect(406);
}

#[tokio::test]
async fn bytes_are_replaced_by_put() {
    let server = Server::new();
    server.send("PUT /Binary/b", "content-type: text/plain", "one").await.expect(201);
    let reply = server.send("PUT /Binary/b", "content-type: text/csv", "two").await.expect(200);
    assert_eq!(reply.header("etag"), "W/\"2\"");
    assert_eq!(server.get("/Binary/b").await.expect(200).text(), "two");
    let old = server.get("/Binary/b/_history/1").await.expect(200);
    assert_eq!((old.header("content-type"), old.text().as_str()), ("text/plain", "one"));
}

#[tokio::test]
async fn who_may_see_bytes_stays_said() {
    let server = Server::new();
    let put = async |headers: &str, status: u16, expected: Option<&str>| {
        let headers = format!("content-type: text/plain\n{headers}");
        server.send("PUT /Binary/b", &headers, "x").await.expect(status);
        let resource = server.get("/Binary/b?_format=json").await.value();
        assert_eq!(resource["securityContext"]["reference"].as_str(), expected, "{headers}");
    };
    put("", 201, None).await;
    put("x-security-context: Patient/1", 200, Some("Patient/1")).await;
    put("", 200, Some("Patient/1")).await;
    put("if-match: W/\"2\"", 200, Some("Patient/1")).await;
    put("x-security-context: Patient/2", 200, Some("Patient/2")).await;
}

#[tokio::test]
async fn a_binary_may_come_as_a_resource() {
    let server = Server::new();
    let binary =
        json!({ "resourceType": "Binary", "id": "b", "contentType": "text/plain", "data": "aGk=" });
    server.put(&binary).await;
    assert_eq!(server.get("/Binary/b").await.expect(200).text(), "hi");
    server.send("POST /Binary", "", "x").await.refused(400, "required");
}

#[tokio::test]
async fn a_client_of_medplum_learns_the_address() {
    let server = Server::new();
    let headers = "content-type: text/plain\nx-medplum: extended";
    let created = server.send("POST /Binary", headers, "one").await.expect(201);
    let url = created.value()["url"].as_str().expect("an address").to_owned();
    assert_eq!(url, format!("{BASE}/Binary/{}", created.id()));
    let path = format!("/Binary/{}", created.id());
    let as_json = server.get(&format!("{path}?_format=json")).await.expect(200).value();
    assert_eq!(as_json["url"], Value::Null, "it is no element of R4, and not stored");
    let json = "content-type: application/fhir+json\nx-medplum: extended";
    let call = format!("PUT {path}");
    server.send(&call, json, created.value().to_string()).await.expect(200);
    server.json(&call, &created.value()).await.expect(400);
    let plain = server.send("POST /Binary", "content-type: text/plain", "one").await.expect(201);
    assert_eq!(plain.value()["url"], Value::Null);
    let minimal = format!("{headers}\nprefer: return=minimal");
    assert!(server.send("POST /Binary", &minimal, "one").await.expect(201).body.is_empty());
}
