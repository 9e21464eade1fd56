//! The API for the channels of this process: the same way through validation, conditions and audit, without a network.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::header::{HOST, HeaderValue};
use http::{HeaderMap, Request, StatusCode};
use pipehat_connectors::{FhirDatastore, FhirRequest, FhirResponse};

use super::access::{Principal, Scopes};
use super::service::{BASE_PATH, FhirService};

/// The largest answer that is handed on.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A datastore as the channels of this process see it. A channel may do everything: what it does is written down in
/// its file.
pub struct LocalDatastore {
    service: Arc<FhirService>,
    host: HeaderValue,
}

impl LocalDatastore {
    /// Over this API, which is served at this address.
    pub fn new(service: Arc<FhirService>, address: SocketAddr) -> Self {
        let host = HeaderValue::try_from(address.to_string())
            .unwrap_or_else(|_| HeaderValue::from_static("localhost"));
        Self { service, host }
    }
}

impl FhirDatastore for LocalDatastore {
    fn exchange(&self, request: FhirRequest) -> BoxFuture<'static, FhirResponse> {
        let (service, host) = (Arc::clone(&self.service), self.host.clone());
        async move { exchange(&service, host, request).await }.boxed()
    }
}

async fn exchange(service: &FhirService, host: HeaderValue, asked: FhirRequest) -> FhirResponse {
    let uri = match asked.path.as_str() {
        "" => BASE_PATH.to_owned(),
        path => format!("{BASE_PATH}/{path}"),
    };
    let Ok(mut request) = Request::builder().method(asked.method).uri(uri).body(()) else {
        // Its condition is no part of a URL.
        return FhirResponse {
            status: StatusCode::BAD_REQUEST,
            headers: HeaderMap::new(),
            body: Bytes::new(),
        };
    };
    *request.headers_mut() = asked.headers;
    request.headers_mut().insert(HOST, host);
    let client = format!("channel {}", asked.channel);
    request.extensions_mut().insert(Principal { client: client.into(), scopes: Scopes::All });
    let (parts, ()) = request.into_parts();
    let (parts, body) = service.serve(parts, None, Body::from(asked.body)).await.into_parts();
    match to_bytes(body, ANSWER_BYTES_MAX).await {
        Ok(body) => FhirResponse { status: parts.status, headers: parts.headers, body },
        // What was asked is done: only its answer is too large.
        Err(_) => FhirResponse { status: parts.status, headers: parts.headers, body: Bytes::new() },
    }
}
