//! What HTTP alone can do: a route that always answers the same Patient.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use bytes::Bytes;
use pipehat_testdata::resources::Case;

use super::fill::Known;
use super::server::Target;

/// A server with one route.
pub(super) struct Fixed {
    runtime: Option<tokio::runtime::Runtime>,
    target: Target,
}

impl Fixed {
    pub(super) fn start() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let mut body = String::new();
        Case::new(super::fill::SEED, 1).patient(Some("1"), 1, &mut body);
        let body = Bytes::from(body);
        let answer = move || {
            let body = body.clone();
            std::future::ready(([(CONTENT_TYPE, "application/fhir+json; fhirVersion=4.0")], body))
        };
        let routes = axum::Router::new().route("/fhir/R4/{*below}", get(answer));
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))?;
        let address = listener.local_addr()?;
        runtime.spawn(async move { axum::serve(listener, routes).await });
        let target = Target {
            address,
            host: address.to_string(),
            path: "/fhir/R4".to_owned(),
            authorization: Some("Bearer of-the-length-of-one".repeat(12)),
        };
        Ok(Self { runtime: Some(runtime), target })
    }

    pub(super) fn target(&self) -> Target {
        self.target.clone()
    }
}

impl Drop for Fixed {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(1));
        }
    }
}

/// The one resource there is.
pub(super) fn known() -> Arc<Known> {
    let patients = vec![("1".to_owned(), 1)];
    Arc::new(Known { patients, observations: Vec::new(), all_patients: 1 })
}
