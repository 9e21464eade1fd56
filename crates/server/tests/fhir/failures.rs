//! A datastore that can't: what clients are told.

use std::sync::Arc;

use pipehat_resource::search::Search;
use pipehat_server::fhir::{FhirOptions, TokenAccess};
use pipehat_store::datastore::{
    Answer, Applied, ChangeNumber, Datastore, DatastoreError, Group, HistoryQuery, ResourceKey,
    Resources, Rules, SearchPage, SearchRequest, Statistics, StoredVersion, Told, Verified,
};
use serde_json::json;

use crate::harness::{Server, TOKEN};

type Failure = fn() -> DatastoreError;

/// Fails at everything.
struct Failing(Failure);

impl Failing {
    fn fail<T: Send + 'static>(&self) -> Answer<'_, T> {
        Box::pin(std::future::ready(Err((self.0)())))
    }
}

impl Datastore for Failing {
    fn read<'a>(&'a self, _: &'a ResourceKey) -> Answer<'a, Option<StoredVersion>> {
        self.fail()
    }

    fn version<'a>(&'a self, _: &'a ResourceKey, _: u64) -> Answer<'a, Option<StoredVersion>> {
        self.fail()
    }

    fn history<'a>(&'a self, _: &'a HistoryQuery) -> Answer<'a, Vec<StoredVersion>> {
        self.fail()
    }

    fn search<'a>(&'a self, _: &'a SearchRequest) -> Answer<'a, SearchPage> {
        self.fail()
    }

    fn apply(&self, _: Group) -> Answer<'_, Applied> {
        self.fail()
    }

    fn changes(&self, _: ChangeNumber, _: usize) -> Answer<'_, Vec<StoredVersion>> {
        self.fail()
    }

    fn newest_change(&self) -> tokio::sync::watch::Receiver<ChangeNumber> {
        tokio::sync::watch::channel(ChangeNumber(0)).1
    }

    fn count<'a>(&'a self, _: &'a Search) -> Answer<'a, u64> {
        self.fail()
    }

    fn use_rules(&self, _: Arc<dyn Rules>) -> Answer<'_, ()> {
        self.fail()
    }

    fn is_indexed(&self) -> Answer<'_, bool> {
        self.fail()
    }

    fn reindex<'a>(&'a self, _: &'a [String], _: Told<'a>) -> Answer<'a, u64> {
        self.fail()
    }

    fn set_indexed(&self) -> Answer<'_, ()> {
        self.fail()
    }

    fn labelled<'a>(&'a self, _: &'a [String], _: usize) -> Answer<'a, Vec<StoredVersion>> {
        self.fail()
    }

    fn statistics(&self) -> Answer<'_, Statistics> {
        self.fail()
    }

    fn verify<'a>(&'a self, _: Told<'a>) -> Answer<'a, Verified> {
        self.fail()
    }

    fn resources<'a>(&'a self, _: &'a [String], _: u64, _: usize) -> Answer<'a, Resources> {
        self.fail()
    }
}

#[tokio::test]
async fn failures_have_their_status_and_no_details() {
    let failures: [(Failure, u16, &str); 7] = [
        (|| DatastoreError::Busy, 429, "throttled"),
        (|| DatastoreError::SearchTooLong { seconds: 20 }, 400, "too-costly"),
        (|| DatastoreError::Database("secret detail".into()), 500, "exception"),
        (|| DatastoreError::Damaged("secret detail".into()), 500, "exception"),
        (|| DatastoreError::Closed, 503, "transient"),
        (|| DatastoreError::Unavailable("secret detail".into()), 503, "transient"),
        (|| DatastoreError::Uncertain("secret detail".into()), 503, "transient"),
    ];
    for (fail, status, code) in failures {
        let access = Arc::new(TokenAccess::new(TOKEN));
        let server = Server::over(Arc::new(Failing(fail)), access, FhirOptions::default(), None);
        for asked in [
            "GET /Patient/p",
            "GET /Patient",
            "GET /_history",
            "DELETE /Patient/p",
            "GET /Patient?_count=0",
        ] {
            let reply = server.send(asked, "", "").await.refused(status, code);
            assert!(!reply.text().contains("secret"), "{asked}");
            let waits = !reply.header("retry-after").is_empty();
            assert_eq!(waits, matches!(status, 429 | 503), "{asked}");
        }
        let patient = json!({ "resourceType": "Patient" });
        server.json("POST /Patient", &patient).await.refused(status, code);
        let batch = json!({ "resourceType": "Bundle", "type": "batch",
            "entry": [{ "request": { "method": "GET", "url": "Patient/p" } }] });
        let reply = server.json("POST /", &batch).await.expect(200).value();
        let text = reply["entry"][0]["response"]["status"].as_str().expect("a status").to_owned();
        assert!(text.starts_with(&status.to_string()), "{text}");
    }
}
