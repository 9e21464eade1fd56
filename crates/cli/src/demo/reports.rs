//! The registry's door for reports: HTTP POST, answered by an acknowledgment.

use std::io;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::partner::acknowledgment;
use super::simulation::Shared;
use super::system::System;

/// Where reports are posted to.
pub(super) const PATH: &str = "/reports";

/// Takes reports until it is told to stop.
pub(super) async fn take_reports(
    listener: std::net::TcpListener,
    shared: Arc<Shared>,
    stop: CancellationToken,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let router = Router::new().route(PATH, post(report)).with_state(shared);
    axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await
}

async fn report(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    let reception = shared.expectations.arrived(System::Registry, &body);
    match acknowledgment(&body, reception.refused, shared.number()) {
        Some(reply) => ([(header::CONTENT_TYPE, "application/hl7-v2")], reply).into_response(),
        None => StatusCode::BAD_REQUEST.into_response(),
    }
}
