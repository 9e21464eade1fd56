//! The FHIR datastore of this installation, as connectors see it: they speak to it without a network between.
//!
//! Which datastore that is a node knows only after the configuration was read: [`LocalFhir`] stands for it until
//! then. Who runs a project without one (a check, a test) opens nothing, and nothing is sent.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, Method, StatusCode};
use tokio::sync::watch;

/// A FHIR datastore that can be spoken to in this process.
pub trait FhirDatastore: Send + Sync + 'static {
    /// Performs one interaction of the REST API, with all that belongs to it: validation, conditions, audit.
    fn exchange(&self, request: FhirRequest) -> BoxFuture<'static, FhirResponse>;
}

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
