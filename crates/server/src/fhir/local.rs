//! The API for the channels of this process: the same way through validation, conditions and audit, without a network.

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::header::{HOST, HeaderValue};
use http::{HeaderMap, Method as HttpMethod, Request, StatusCode};
use pipehat_connectors::{
    ChangeKind, FeedError, FhirChange, FhirDatastore, FhirRequest, FhirResponse,
};
use pipehat_resource::search::Registry;
use pipehat_store::datastore::{ChangeNumber, DatastoreError, Method, ResourceKey, StoredVersion};

use super::access::{Principal, Scopes};
use super::service::{BASE_PATH, FhirService};
use crate::bots::Deployed;

/// The largest answer that is handed on.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What the names of channels are led by where they stand for clients.
const CHANNEL: &str = "channel ";

/// The channel that a client of the audit is; none for one that signed in.
pub fn channel_of(client: &str) -> Option<&str> {
    client.strip_prefix(CHANNEL)
}

/// A datastore as the channels of this process see it. A channel may do everything: what it does is written down in
/// its file.
pub struct LocalDatastore {
    service: Arc<FhirService>,
    host: HeaderValue,
    /// Where channels that follow the changes note how far they got.
    notes: PathBuf,
}

impl LocalDatastore {
    /// Over this API, which is served at this address. `notes` is a folder for the positions of channels.
    pub fn new(service: Arc<FhirService>, address: SocketAddr, notes: PathBuf) -> Self {
        let host = HeaderValue::try_from(address.to_string())
            .unwrap_or_else(|_| HeaderValue::from_static("localhost"));
        Self { service, host, notes }
    }
}

impl FhirDatastore for LocalDatastore {
    fn exchange(&self, request: FhirRequest) -> BoxFuture<'static, FhirResponse> {
        let (service, host) = (Arc::clone(&self.service), self.host.clone());
        async move { exchange(&service, host, request).await }.boxed()
    }

    fn changes(
        &self,
        after: u64,
        limit: usize,
    ) -> BoxFuture<'static, Result<Vec<FhirChange>, FeedError>> {
        let datastore = Arc::clone(&self.service.datastore);
        async move {
            let versions = datastore.changes(ChangeNumber(after), limit).await.map_err(unread)?;
            Ok(versions.into_iter().map(change).collect())
        }
        .boxed()
    }

    fn newest_change(&self) -> u64 {
        self.service.datastore.newest_change().borrow().0
    }

    fn changed(&self, after: u64) -> BoxFuture<'static, ()> {
        let mut newest = self.service.datastore.newest_change();
        async move {
            if newest.wait_for(|newest| newest.0 > after).await.is_err() {
                // A closed datastore changes no more.
                std::future::pending::<()>().await;
            }
        }
        .boxed()
    }

    fn version(
        &self,
        resource_type: &str,
        id: &str,
        version: u64,
    ) -> BoxFuture<'static, Result<Option<Arc<str>>, FeedError>> {
        let datastore = Arc::clone(&self.service.datastore);
        let key = ResourceKey { resource_type: resource_type.to_owned(), id: id.to_owned() };
        async move {
            let version = datastore.version(&key, version).await.map_err(unread)?;
            Ok(version.and_then(|version| version.body))
        }
        .boxed()
    }

    fn registry(&self) -> Arc<Registry> {
        self.service.parameters.registry()
    }

    fn position(&self, channel: &str) -> BoxFuture<'static, Result<Option<u64>, FeedError>> {
        let note = self.notes.join(channel);
        async move { blocking(move || read_note(&note)).await }.boxed()
    }

    fn keep_position(
        &self,
        channel: &str,
        change: u64,
    ) -> BoxFuture<'static, Result<(), FeedError>> {
        let (notes, channel) = (self.notes.clone(), channel.to_owned());
        async move { blocking(move || write_note(&notes, &channel, change)).await }.boxed()
    }
}

fn unread(error: DatastoreError) -> FeedError {
    FeedError(format!("the changes can't be read: {error}"))
}

fn change(version: StoredVersion) -> FhirChange {
    FhirChange {
        number: version.change.0,
        kind: match (version.method, version.version) {
            (Method::Delete, _) => ChangeKind::Delete,
            (_, 1) => ChangeKind::Create,
            _ => ChangeKind::Update,
        },
        resource_type: version.key.resource_type,
        id: version.key.id,
        version: version.version,
        resource: version.body,
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, FeedError> {
    let done = tokio::task::spawn_blocking(work).await;
    let failed = |why: String| FeedError(format!("the channel's position can't be noted: {why}"));
    done.map_err(|_| failed("a defect of Pipehat".to_owned()))?
        .map_err(|error| failed(error.kind().to_string()))
}

fn read_note(note: &Path) -> std::io::Result<Option<u64>> {
    let text = match std::fs::read_to_string(note) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    text.trim().parse().map(Some).map_err(|_| std::io::ErrorKind::InvalidData.into())
}

/// The new note takes the old one's place whole, and is on the disk when this returns.
fn write_note(notes: &Path, channel: &str, change: u64) -> std::io::Result<()> {
    std::fs::create_dir_all(notes)?;
    let new = notes.join(format!("{channel}.new~"));
    let mut file = std::fs::File::create(&new)?;
    file.write_all(format!("{change}\n").as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&new, notes.join(channel))?;
    std::fs::File::open(notes)?.sync_all()
}

async fn exchange(service: &FhirService, host: HeaderValue, asked: FhirRequest) -> FhirResponse {
    let client = format!("{CHANNEL}{}", asked.channel);
    let principal = Principal { client: client.into(), scopes: Scopes::All };
    let FhirRequest { method, path, mut headers, body, .. } = asked;
    headers.insert(HOST, host);
    let asked = Asked { method, path: &path, headers, body };
    let (status, headers, body) = ask(service, principal, asked).await;
    FhirResponse { status, headers, body }
}

/// An interaction that is asked for within this process.
pub(super) struct Asked<'a> {
    pub(super) method: HttpMethod,
    /// Below the base, without a slash at its start.
    pub(super) path: &'a str,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// Performs an interaction for somebody, with all that belongs to it.
pub(super) async fn ask(
    service: &FhirService,
    principal: Principal,
    asked: Asked<'_>,
) -> (StatusCode, HeaderMap, Bytes) {
    let uri = match asked.path {
        "" => BASE_PATH.to_owned(),
        path => format!("{BASE_PATH}/{path}"),
    };
    let Ok(mut request) = Request::builder().method(asked.method).uri(uri).body(()) else {
        // Its condition is no part of a URL.
        return (StatusCode::BAD_REQUEST, HeaderMap::new(), Bytes::new());
    };
    *request.headers_mut() = asked.headers;
    request.extensions_mut().insert(principal);
    let (parts, ()) = request.into_parts();
    let (parts, body) = service.serve(parts, None, Body::from(asked.body)).await.into_parts();
    match to_bytes(body, ANSWER_BYTES_MAX).await {
        Ok(body) => (parts.status, parts.headers, body),
        // What was asked is done: only its answer is too large.
        Err(_) => (parts.status, parts.headers, Bytes::new()),
    }
}

/// What the names of bots are led by where they stand for clients.
const BOT: &str = "Bot/";

/// The bot that a client of the audit is; none for any other.
pub(crate) fn bot_of(client: &str) -> Option<&str> {
    client.strip_prefix(BOT)
}

/// The datastore as bots see it: each with an identity and scopes of its own.
pub(crate) struct BotDatastore {
    service: Arc<FhirService>,
    host: HeaderValue,
    base: String,
}

impl BotDatastore {
    /// Over this API, which is served at this address.
    pub(crate) fn new(service: Arc<FhirService>, address: SocketAddr) -> Self {
        let host = HeaderValue::try_from(address.to_string())
            .unwrap_or_else(|_| HeaderValue::from_static("localhost"));
        let base = service.options.base.clone().unwrap_or_default();
        Self { service, host, base }
    }

    /// A bot as a client: what its scopes give, by the search parameters in force.
    pub(crate) fn principal(&self, bot: &Deployed) -> Principal {
        let registry = self.service.parameters.registry();
        let scopes = crate::access::scopes_of(&bot.scopes, &registry, &self.base);
        Principal { client: format!("{BOT}{}", bot.id).into(), scopes: Scopes::Some(scopes) }
    }

    /// Performs one interaction.
    pub(crate) async fn exchange(
        &self,
        principal: Principal,
        method: HttpMethod,
        path: &str,
        mut headers: HeaderMap,
        body: Bytes,
    ) -> (StatusCode, HeaderMap, Bytes) {
        headers.insert(HOST, self.host.clone());
        ask(&self.service, principal, Asked { method, path, headers, body }).await
    }

    /// A resource, without telling the audit: for the server's own sake.
    pub(crate) async fn read(
        &self,
        key: &ResourceKey,
    ) -> Result<Option<StoredVersion>, DatastoreError> {
        self.service.datastore.read(key).await
    }

    /// Whether this node looks after what only one should.
    pub(crate) fn leads(&self) -> bool {
        self.service.datastore.leads()
    }
}
