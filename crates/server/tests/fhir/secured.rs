//! A server with clients and an audit, as a node has it.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use http::{HeaderMap, Request};
use http_body_util::BodyExt;
use pipehat_server::access::{
    AccessService, AccessSettings, AuditEvents, ClientFile, ClientRegister, LogTrail, NewClient,
    PublicKey, SmartScope,
};
use pipehat_server::fhir::{FhirOptions, FhirService, SearchParameters};
use pipehat_store::audit::AuditLog;
use pipehat_store::datastore::BodyKey;
use serde_json::Value;
use tempfile::TempDir;
use tower::ServiceExt;

use crate::harness::open_store;

pub(crate) const ADMIN_TOKEN: &str = "open-sesame";

/// A server, and the register of its clients.
pub(crate) struct Secured {
    pub(crate) clients: ClientFile,
    pub(crate) folder: TempDir,
    access: Arc<AccessService>,
    router: Router,
}

/// An answer.
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Secured {
    pub(crate) fn new() -> Self {
        Self::with_base(None)
    }

    /// With a public address.
    pub(crate) fn with_base(base: Option<&str>) -> Self {
        Self::open(tempfile::tempdir().expect("a folder can be made"), base)
    }

    /// The same data, after a restart.
    pub(crate) fn restarted(self) -> Self {
        let Self { folder, access, router, .. } = self;
        drop((access, router));
        Self::open(folder, None)
    }

    /// What was done to clients stands in the audit.
    pub(crate) async fn tell_of_clients(&self) {
        self.access.tell_of_clients().await.expect("the audit is written");
    }

    fn open(folder: TempDir, base: Option<&str>) -> Self {
        let path = |name: &str| folder.path().join(name);
        let parameters = Arc::new(SearchParameters::new(base.unwrap_or_default()));
        let key = BodyKey::new(1, [7; 32]);
        let store = open_store(folder.path(), parameters.rules());
        let log = AuditLog::open(&path("audit.sqlite"), key, [8; 32]).expect("the audit opens");
        let log = Arc::new(log);
        let register = Arc::new(ClientRegister::new(path("clients.json")));
        let settings = AccessSettings {
            token_secret: [9; 32],
            admin_token: ADMIN_TOKEN.to_owned(),
            base: base.map(str::to_owned),
            origins: vec!["https://app.example.org".to_owned()],
        };
        let access = AccessService::new(
            settings,
            Arc::clone(&register),
            Arc::clone(&parameters),
            Arc::clone(&log),
        );
        let access = Arc::new(access.expect("the audit can be read"));
        let events = AuditEvents::new(
            store,
            Arc::clone(&log),
            Arc::clone(&parameters),
            base.unwrap_or_default().to_owned(),
        );
        let trail = LogTrail::new(log, register);
        let options = FhirOptions { base: base.map(str::to_owned), ..FhirOptions::default() };
        let service = FhirService::new(
            Arc::new(events),
            parameters,
            Arc::clone(&access) as _,
            Arc::new(trail),
            options,
        );
        let router = Arc::new(service).router().merge(access.router());
        let clients = ClientFile::new(path("clients.json"));
        Self { clients, folder, access, router }
    }

    /// Adds a client with a secret; its id and secret.
    pub(crate) fn client(&self, name: &str, scopes: &str) -> (String, String) {
        let NewClient { client, secret } = self.added(name, scopes, None);
        (client.id, secret.expect("a secret"))
    }

    pub(crate) fn added(
        &self,
        name: &str,
        scopes: &str,
        keys: Option<Vec<PublicKey>>,
    ) -> NewClient {
        let scopes = SmartScope::parse_list(scopes).expect("scopes");
        self.clients.add(name, scopes, keys, "2026-01-02T03:04:05Z").expect("a client")
    }

    /// Sends `METHOD /path` with an `Authorization` and a body.
    pub(crate) async fn call(&self, asked: &str, authorization: &str, body: &Value) -> Answered {
        let text = if body.is_null() { String::new() } else { body.to_string() };
        let kind = if asked.starts_with("PATCH") {
            "application/json-patch+json"
        } else {
            "application/fhir+json"
        };
        self.send(asked, &[("authorization", authorization), ("content-type", kind)], text).await
    }

    /// Sends a GET.
    pub(crate) async fn get(&self, path: &str, authorization: &str) -> Answered {
        self.call(&format!("GET {path}"), authorization, &Value::Null).await
    }

    /// Sends a form.
    pub(crate) async fn form(&self, path: &str, authorization: &str, form: &str) -> Answered {
        let headers = [
            ("authorization", authorization),
            ("content-type", "application/x-www-form-urlencoded"),
        ];
        self.send(&format!("POST {path}"), &headers, form.to_owned()).await
    }

    /// A token for a client, as a header.
    pub(crate) async fn token(&self, client: &(String, String), more: &str) -> String {
        let form = format!(
            "grant_type=client_credentials&client_id={}&client_secret={}{more}",
            client.0, client.1
        );
        let answer = self.form("/oauth2/token", "", &form).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        format!("Bearer {}", answer.body["access_token"].as_str().expect("a token"))
    }

    pub(crate) async fn send(
        &self,
        asked: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> Answered {
        let (method, path) = asked.split_once(' ').expect("a method and a path");
        let mut request = Request::builder().method(method).uri(path).header("host", "fhir.test");
        for (name, value) in headers.iter().filter(|(_, value)| !value.is_empty()) {
            request = request.header(*name, *value);
        }
        let mut request = request.body(Body::from(body)).expect("a request");
        let peer = SocketAddr::from(([192, 0, 2, 7], 4711));
        request.extensions_mut().insert(ConnectInfo(peer));
        let response = self.router.clone().oneshot(request).await.expect("routes answer");
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("a body").to_bytes();
        Answered {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: serde_json::from_slice(&body).unwrap_or_default(),
        }
    }
}
