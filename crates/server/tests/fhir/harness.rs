//! A server in memory, and requests to it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::BodyExt;
use pipehat_server::fhir::{
    Access, AuditFact, AuditTrail, FhirOptions, FhirService, Recorded, SearchParameters,
    Subscriptions, TokenAccess,
};
use pipehat_store::datastore::{BodyKey, Datastore, R4Rules, SqliteDatastore};
use serde_json::Value;
use tempfile::TempDir;
use tokio_util::sync::{CancellationToken, DropGuard};
use tower::ServiceExt;

/// The token that opens the server.
pub(crate) const TOKEN: &str = "open-sesame";

/// The base of the server.
pub(crate) const BASE: &str = "http://fhir.test/fhir/R4";

/// A server.
pub(crate) struct Server {
    router: Router,
    audit: Arc<Recording>,
    datastore: Arc<dyn Datastore>,
    parameters: Arc<SearchParameters>,
    /// Removed with the server.
    folder: Option<TempDir>,
}

/// An audit that keeps everything.
#[derive(Default)]
pub(crate) struct Recording(Mutex<Vec<AuditFact>>);

impl AuditTrail for Recording {
    fn record<'a>(&'a self, fact: AuditFact) -> Recorded<'a> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(fact);
        Box::pin(std::future::ready(Ok(())))
    }
}

/// Opens the datastore of a folder: in SQLite, or in PostgreSQL where that is asked for.
pub(crate) fn open_store(folder: &Path, rules: Arc<R4Rules>) -> Arc<dyn Datastore> {
    let key = BodyKey::new(1, [7; 32]);
    if let Some(store) = crate::postgres::open(folder, key.clone(), Arc::clone(&rules)) {
        return store;
    }
    let store = SqliteDatastore::open(&folder.join("datastore.sqlite"), key, rules);
    Arc::new(store.expect("the datastore opens"))
}

impl Server {
    /// One with an empty datastore.
    pub(crate) fn new() -> Self {
        Self::with_options(FhirOptions::default())
    }

    pub(crate) fn with_options(options: FhirOptions) -> Self {
        Self::with(Arc::new(TokenAccess::new(TOKEN)), options)
    }

    pub(crate) fn with(access: Arc<dyn Access>, options: FhirOptions) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let rules = SearchParameters::new("").rules();
        let datastore = open_store(folder.path(), rules);
        Self::over(datastore, access, options, Some(folder))
    }

    pub(crate) fn over(
        datastore: Arc<dyn Datastore>,
        access: Arc<dyn Access>,
        options: FhirOptions,
        folder: Option<TempDir>,
    ) -> Self {
        let parameters = Arc::new(SearchParameters::new(""));
        Self::of(datastore, parameters, access, options, folder, None)
    }

    pub(crate) fn of(
        datastore: Arc<dyn Datastore>,
        parameters: Arc<SearchParameters>,
        access: Arc<dyn Access>,
        options: FhirOptions,
        folder: Option<TempDir>,
        subscriptions: Option<Arc<Subscriptions>>,
    ) -> Self {
        let audit = Arc::new(Recording::default());
        let trail = Arc::clone(&audit) as Arc<dyn AuditTrail>;
        let service = FhirService::new(
            Arc::clone(&datastore),
            Arc::clone(&parameters),
            access,
            trail,
            options,
        );
        let service = match subscriptions {
            Some(subscriptions) => service.with_subscriptions(subscriptions),
            None => service,
        };
        let router = Arc::new(service).router();
        Self { router, audit, datastore, parameters, folder }
    }

    /// The same datastore for other clients.
    pub(crate) fn with_access(self, access: Arc<dyn Access>) -> Self {
        Self::over(self.datastore, access, FhirOptions::default(), self.folder)
    }

    /// Its routes.
    pub(crate) fn router(&self) -> Router {
        self.router.clone()
    }

    /// Puts the search parameters in force, as a start does.
    pub(crate) async fn open_parameters(&self) {
        self.parameters.open(self.datastore.as_ref()).await.expect("they are read");
    }

    /// Follows the search parameters in the background, for as long as the guard lives.
    pub(crate) fn follow_parameters(&self) -> DropGuard {
        let stop = CancellationToken::new();
        let (parameters, datastore) = (Arc::clone(&self.parameters), Arc::clone(&self.datastore));
        let stopped = stop.clone();
        tokio::spawn(async move { parameters.follow(datastore.as_ref(), stopped).await });
        stop.drop_guard()
    }

    /// What the audit was told, and forgets it.
    pub(crate) fn audited(&self) -> Vec<AuditFact> {
        std::mem::take(&mut self.audit.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Sends `METHOD /path` with headers, one a line.
    pub(crate) async fn send(&self, asked: &str, headers: &str, body: impl Into<Body>) -> Reply {
        let (method, path) = asked.split_once(' ').expect("a method and a path");
        let mut request = Request::builder().method(method).uri(format!("/fhir/R4{path}"));
        request = request.header("host", "fhir.test");
        let mut own_authorization = false;
        for line in headers.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(':').expect("a header");
            own_authorization |= name.eq_ignore_ascii_case("authorization");
            request = request.header(name, value.trim());
        }
        if !own_authorization {
            request = request.header("authorization", format!("Bearer {TOKEN}"));
        }
        let mut request = request.body(body.into()).expect("a request");
        let peer = SocketAddr::from(([127, 0, 0, 1], 4711));
        request.extensions_mut().insert(ConnectInfo(peer));
        let response = self.router.clone().oneshot(request).await.expect("routes answer");
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("a body").to_bytes();
        Reply {
            asked: asked.to_owned(),
            status: parts.status.as_u16(),
            headers: parts.headers,
            body,
        }
    }

    /// Sends without a body.
    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send(&format!("GET {path}"), "", "").await
    }

    /// Sends JSON.
    pub(crate) async fn json(&self, asked: &str, body: &Value) -> Reply {
        self.send(asked, "content-type: application/fhir+json", body.to_string()).await
    }

    /// Puts a resource where its type and id say.
    pub(crate) async fn put(&self, resource: &Value) -> Reply {
        let text = |name: &str| resource[name].as_str().expect("a resource");
        let path = format!("PUT /{}/{}", text("resourceType"), text("id"));
        let reply = self.json(&path, resource).await;
        assert!(matches!(reply.status, 200 | 201), "{path}: {}", reply.text());
        reply
    }
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    asked: String,
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Reply {
    /// Checks the status; whatever is refused is an OperationOutcome with issues.
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}: {}", self.asked, self.text());
        if status >= 400 && !self.body.is_empty() {
            let outcome = self.value();
            assert_eq!(outcome["resourceType"], "OperationOutcome", "{}", self.asked);
            let issues = outcome["issue"].as_array().expect("issues");
            assert!(!issues.is_empty(), "{}", self.asked);
            for issue in issues {
                assert!(issue["severity"].is_string() && issue["code"].is_string(), "{issue}");
                assert!(issue["details"]["text"].is_string(), "{issue}");
            }
        }
        self
    }

    /// Checks a status and the code of the first issue.
    pub(crate) fn refused(self, status: u16, code: &str) -> Self {
        let reply = self.expect(status);
        assert_eq!(reply.value()["issue"][0]["code"], code, "{}: {}", reply.asked, reply.text());
        reply
    }

    /// The text of a header.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn value(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{}: {error}: {}", self.asked, self.text()))
    }

    /// The id of a resource.
    pub(crate) fn id(&self) -> String {
        self.value()["id"].as_str().expect("an id").to_owned()
    }

    /// `Type/id` of the entries of a Bundle, in their order.
    pub(crate) fn entries(&self) -> Vec<String> {
        let bundle = self.value();
        let entries = bundle["entry"].as_array().cloned().unwrap_or_default();
        let name = |entry: &Value| {
            let resource = &entry["resource"];
            let text = |name: &str| resource[name].as_str().unwrap_or("-").to_owned();
            format!("{}/{}", text("resourceType"), text("id"))
        };
        entries.iter().map(name).collect()
    }

    /// A link of a Bundle, below the base.
    pub(crate) fn link(&self, relation: &str) -> Option<String> {
        let bundle = self.value();
        let links = bundle["link"].as_array()?;
        let link = links.iter().find(|link| link["relation"] == relation)?;
        let url = link["url"].as_str().expect("a url");
        Some(url.strip_prefix(BASE).expect("links are absolute").to_owned())
    }
}
