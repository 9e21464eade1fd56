//! The FHIR datastore of this installation, as connectors see it: they speak to it without a network between.
//!
//! Which datastore that is a node knows only after the configuration was read: [`LocalFhir`] stands for it until
//! then. Who runs a project without one (a check, a test) opens nothing, and nothing is sent.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, Method, StatusCode};
use pipehat_resource::search::Registry;
use tokio::sync::watch;

/// A FHIR datastore that can be spoken to in this process.
pub trait FhirDatastore: Send + Sync + 'static {
    /// Performs one interaction of the REST API, with all that belongs to it: validation, conditions, audit.
    fn exchange(&self, request: FhirRequest) -> BoxFuture<'static, FhirResponse>;

    /// The changes behind this number, the oldest first, at most `limit`.
    fn changes(
        &self,
        after: u64,
        limit: usize,
    ) -> BoxFuture<'static, Result<Vec<FhirChange>, FeedError>>;

    /// The number of the newest change; 0 before the first.
    fn newest_change(&self) -> u64;

    /// Waits for a change behind this number.
    fn changed(&self, after: u64) -> BoxFuture<'static, ()>;

    /// The JSON of a version; none where there is no such version, or it is a deletion.
    fn version(
        &self,
        resource_type: &str,
        id: &str,
        version: u64,
    ) -> BoxFuture<'static, Result<Option<Arc<str>>, FeedError>>;

    /// The search parameters in force: R4's, and the datastore's own.
    fn registry(&self) -> Arc<Registry>;

    /// The change that a channel has got to, by its note; none where it has made none.
    fn position(&self, channel: &str) -> BoxFuture<'static, Result<Option<u64>, FeedError>>;

    /// Notes the change that a channel has got to. On stable storage when it is ready.
    fn keep_position(
        &self,
        channel: &str,
        change: u64,
    ) -> BoxFuture<'static, Result<(), FeedError>>;
}

/// One change. `Debug` shows no content.
#[derive(Clone, PartialEq, Eq)]
pub struct FhirChange {
    /// Its number: it grows from change to change, with gaps.
    pub number: u64,
    /// The type of the resource.
    pub resource_type: String,
    /// Its logical id.
    pub id: String,
    /// The version that the change made.
    pub version: u64,
    /// What happened.
    pub kind: ChangeKind,
    /// The resource's JSON; none of a deletion.
    pub resource: Option<Arc<str>>,
}

/// What happened to a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// It has its first version.
    Create,
    /// It has another version.
    Update,
    /// It is gone.
    Delete,
}

/// The changes can't be read, or a position not be noted. The text says where, never what a resource holds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FeedError(pub String);

/// An interaction that is asked for. `Debug` shows no content.
#[derive(Clone)]
pub struct FhirRequest {
    /// Who asks: the channel, for the audit.
    pub channel: Arc<str>,
    /// The method.
    pub method: Method,
    /// Below the base address, without a slash at its start: `Patient?identifier=…`; empty for the base itself.
    pub path: String,
    /// Content type, conditions, preferences.
    pub headers: HeaderMap,
    /// The resource.
    pub body: Bytes,
}

/// What the API answered. `Debug` shows no content.
#[derive(Clone)]
pub struct FhirResponse {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The resource or the OperationOutcome.
    pub body: Bytes,
}

/// The datastore of this installation: it is there once a node has opened it.
#[derive(Clone)]
pub struct LocalFhir(Arc<watch::Sender<Option<Arc<dyn FhirDatastore>>>>);

impl Default for LocalFhir {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(None)))
    }
}

impl LocalFhir {
    /// From now on it is this one.
    pub fn open(&self, datastore: Arc<dyn FhirDatastore>) {
        self.0.send_replace(Some(datastore));
    }

    /// Waits until it is open.
    pub async fn opened(&self) -> Arc<dyn FhirDatastore> {
        let mut receiver = self.0.subscribe();
        loop {
            if let Some(datastore) = receiver.borrow_and_update().clone() {
                return datastore;
            }
            // We hold the sender.
            let _ = receiver.changed().await;
        }
    }

    /// The datastore, where it is open.
    pub fn get(&self) -> Option<Arc<dyn FhirDatastore>> {
        self.0.borrow().clone()
    }
}

impl fmt::Debug for LocalFhir {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_open = self.0.borrow().is_some();
        formatter.debug_struct("LocalFhir").field("is_open", &is_open).finish()
    }
}

impl fmt::Debug for FhirRequest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("FhirRequest")
            .field("channel", &self.channel)
            .field("method", &self.method)
            .field("body", &self.body.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for FhirResponse {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("FhirResponse")
            .field("status", &self.status)
            .field("body", &self.body.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for FhirChange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("FhirChange")
            .field("number", &self.number)
            .field("resource_type", &self.resource_type)
            .field("version", &self.version)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}
