//! history of resources, types and everything.

use serde_json::json;

use crate::harness::{BASE, Server};

async fn three_versions(server: &Server) {
    for active in [true, false] {
        server.put(&json!({ "resourceType": "Patient", "id": "p", "active": active })).await;
    }
    server.send("DELETE /Patient/p", "", "").await.expect(204);
}

#[tokio::test]
async fn a_history_shows_versions_newest_first() {
    let server = Server::new();
    three_versions(&server).await;
    let history = server.get("/Patient/p/_history").await.expect(200).value();
    assert_eq!(history["type"], "history");
    assert_eq!(history["total"], 3);
    let entries = history["entry"].as_array().expect("entries");
    let seen: Vec<_> = entries
        .iter()
        .map(|entry| {
            let text = |value: &serde_json::Value| value.as_str().unwrap_or("-").to_owned();
            assert_eq!(entry["fullUrl"], format!("{BASE}/Patient/p"));
            assert_eq!(entry["request"]["url"], "Patient/p");
            let version = text(&entry["resource"]["meta"]["versionId"]);
            if version != "-" {
                assert_eq!(
                    entry["response"]["lastModified"],
                    entry["resource"]["meta"]["lastUpdated"]
                );
            }
            let etag = text(&entry["response"]["etag"]);
            (text(&entry["request"]["method"]), text(&entry["response"]["status"]), etag, version)
        })
        .collect();
    let entry = |method: &str, status: &str, etag: &str, version: &str| {
        (method.to_owned(), status.to_owned(), etag.to_owned(), version.to_owned())
    };
    assert_eq!(
        seen,
        [
            entry("DELETE", "204 No Content", "W/\"3\"", "-"),
            entry("PUT", "200 OK", "W/\"2\"", "2"),
            entry("PUT", "201 Created", "W/\"1\"", "1"),
        ]
    );
    server.get("/Patient/never/_history").await.refused(404, "not-found");
}

#[tokio::test]
async fn histories_of_types_and_of_everything() {
    let server = Server::new();
    three_versions(&server).await;
    server.put(&json!({ "resourceType": "Organization", "id": "o", "name": "x" })).await;
    let created = server.json("POST /Patient", &json!({ "resourceType": "Patient" })).await;
    let patients = server.get("/Patient/_history").await.expect(200).value();
    assert_eq!(patients["total"], 4);
    assert_eq!(patients["entry"][0]["request"], json!({ "method": "POST", "url": "Patient" }));
    assert_eq!(patients["entry"][0]["resource"]["id"], created.id());
    assert_eq!(server.get("/_history").await.expect(200).value()["total"], 5);
    assert_eq!(server.get("/Practitioner/_history").await.expect(200).value()["total"], 0);
}

#[tokio::test]
async fn histories_are_paged() {
    let server = Server::new();
    three_versions(&server).await;
    let mut path = "/Patient/p/_history?_count=1".to_owned();
    let mut seen = Vec::new();
    loop {
        let page = server.get(&path).await.expect(200);
        let value = page.value();
        assert!(value.get("total").is_none());
        seen.push(value["entry"][0]["response"]["etag"].as_str().expect("a tag").to_owned());
        assert!(page.link("self").expect("a link").contains("_count=1"));
        match page.link("next") {
            Some(next) => path = next,
            None => break,
        }
        // What is written meanwhile does not move the pages.
        server
            .put(&json!({ "resourceType": "Patient", "id": "q", "active": seen.len() == 1 }))
            .await;
    }
    assert_eq!(seen, ["W/\"3\"", "W/\"2\"", "W/\"1\""]);
    server.get("/Patient/p/_history?_count=x").await.refused(400, "value");
    server.get("/Patient/p/_history?_before=x").await.refused(400, "value");
    assert_eq!(server.get("/Patient/p/_history?_count=0").await.expect(200).entries().len(), 0);
}

#[tokio::test]
async fn histories_of_a_time() {
    let server = Server::new();
    three_versions(&server).await;
    let all = server.get("/Patient/p/_history").await.expect(200).value();
    let second = all["entry"][1]["response"]["lastModified"].as_str().expect("a time");
    let since = server.get(&format!("/Patient/p/_history?_since={second}")).await.expect(200);
    assert_eq!(since.value()["total"], 2);
    let at = server.get(&format!("/Patient/p/_history?_at={second}")).await.expect(200).value();
    assert_eq!(at["entry"][0]["response"]["etag"], "W/\"2\"");
    assert_eq!(at["entry"].as_array().map(Vec::len), Some(1));
    let early = server.get("/Patient/p/_history?_at=2001").await.expect(200);
    assert_eq!(early.value()["total"], 0);
    server.get("/Patient/p/_history?_since=yesterday").await.refused(400, "value");
}

#[tokio::test]
async fn what_stands_again_was_created() {
    let server = Server::new();
    let patient = json!({ "resourceType": "Patient", "id": "p" });
    server.put(&patient).await;
    server.send("DELETE /Patient/p", "", "").await.expect(204);
    server.json("PUT /Patient/p", &patient).await.expect(201);
    let history = server.get("/Patient/p/_history").await.expect(200).value();
    let statuses: Vec<&str> = history["entry"]
        .as_array()
        .expect("entries")
        .iter()
        .filter_map(|entry| entry["response"]["status"].as_str())
        .collect();
    assert_eq!(statuses, ["201 Created", "204 No Content", "201 Created"]);
}
