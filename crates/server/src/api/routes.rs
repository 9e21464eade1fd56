//! Which address is answered by what.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Router, middleware};
use tokio::net::TcpListener;
use tower_http::limit::RequestBodyLimitLayer;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::access::require_token;
use super::listener::{OutcomeListener, Peer};
use super::problem::ApiError;
use super::remains::read_remains;
use super::{bots, datastore, handlers, messages, subscriptions};
use crate::bots::webhook_router;
use crate::node::Shared;
use crate::upkeep::IMPORT_BYTES_MAX;

/// The largest request: a search or a reason is small.
const REQUEST_BYTES_MAX: usize = 256 * 1024;

/// How long a stop waits for requests under way.
const STOP_GRACE: Duration = Duration::from_secs(5);

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Pipehat admin API",
        description = "Looks at a running Pipehat and decides about its messages. Listens on loopback; every call but /health needs the token of admin.json in the data directory.",
        license(name = "Apache-2.0")
    ),
    paths(
        handlers::live, handlers::ready, handlers::status, handlers::prometheus, handlers::apply,
        handlers::proof, handlers::reindex, handlers::retry, messages::search, messages::show,
        messages::bytes, messages::release, messages::discard, messages::resend,
        subscriptions::list, subscriptions::dead_letters, subscriptions::redeliver,
        datastore::export, datastore::import, datastore::reindex, datastore::statistics,
        datastore::verify, bots::list, bots::runs, bots::show, bots::replay, bots::discard
    ),
    modifiers(&Token),
    security(("token" = []))
)]
struct Description;

struct Token;

impl Modify for Token {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        let components = openapi.components.get_or_insert_with(Default::default);
        components.add_security_scheme("token", SecurityScheme::Http(scheme));
    }
}

/// The API's description, as JSON.
pub fn openapi() -> String {
    Description::openapi().to_pretty_json().unwrap_or_default()
}

/// Serves the API, and the FHIR API where there is one, until the node stops.
pub(crate) async fn serve(shared: Arc<Shared>, listener: TcpListener, fhir: Option<Router>) {
    let stop = shared.stop.clone();
    let closed = stop.clone();
    let webhooks = webhook_router(Arc::clone(&shared.bots));
    let routes = router(shared);
    let routes = routes.merge(webhooks);
    let routes = match fhir {
        Some(fhir) => fhir.merge(routes),
        None => routes,
    };
    let routes = routes.layer(middleware::map_request(name_peer));
    let routes = routes.layer(middleware::from_fn(read_remains));
    let routes = routes.into_make_service_with_connect_info::<Peer>();
    let serving = axum::serve(OutcomeListener(listener), routes)
        .with_graceful_shutdown(async move { stop.cancelled().await });
    let deadline = async move {
        closed.cancelled().await;
        tokio::time::sleep(STOP_GRACE).await;
    };
    tokio::select! {
        result = serving => if let Err(error) = result {
            tracing::error!(error = &error as &dyn std::error::Error, "the admin API has ended");
        },
        () = deadline => {}
    }
}

/// Handlers ask for the address itself.
async fn name_peer(mut request: Request) -> Request {
    if let Some(ConnectInfo(Peer(peer))) = request.extensions().get::<ConnectInfo<Peer>>() {
        let peer = ConnectInfo(*peer);
        request.extensions_mut().insert(peer);
    }
    request
}

fn router(shared: Arc<Shared>) -> Router {
    let open = Router::new()
        .route("/health/live", get(handlers::live))
        .route("/health/ready", get(handlers::ready));
    let api = Router::new()
        .route("/metrics", get(handlers::prometheus))
        .route("/api/v1/openapi.json", get(description))
        .route("/api/v1/status", get(handlers::status))
        .route("/api/v1/apply", post(handlers::apply))
        .route("/api/v1/proof", get(handlers::proof))
        .route("/api/v1/reindex", post(handlers::reindex))
        .route("/api/v1/channels/{name}/retry", post(handlers::retry))
        .route("/api/v1/messages/search", post(messages::search))
        .route("/api/v1/messages/{id}", get(messages::show))
        .route("/api/v1/messages/{id}/bytes", get(messages::bytes))
        .route("/api/v1/messages/{id}/release", post(messages::release))
        .route("/api/v1/messages/{id}/discard", post(messages::discard))
        .route("/api/v1/messages/{id}/resend", post(messages::resend))
        .route("/api/v1/subscriptions", get(subscriptions::list))
        .route("/api/v1/subscriptions/dead-letters", get(subscriptions::dead_letters))
        .route("/api/v1/subscriptions/redeliver", post(subscriptions::redeliver))
        .route("/api/v1/bots", get(bots::list))
        .route("/api/v1/bots/runs", get(bots::runs))
        .route("/api/v1/bots/runs/{id}", get(bots::show))
        .route("/api/v1/bots/replay", post(bots::replay))
        .route("/api/v1/bots/discard", post(bots::discard))
        .route("/api/v1/datastore/export", get(datastore::export))
        .route("/api/v1/datastore/reindex", post(datastore::reindex))
        .route("/api/v1/datastore/statistics", get(datastore::statistics))
        .route("/api/v1/datastore/verification", get(datastore::verify))
        .layer(middleware::from_fn_with_state(Arc::clone(&shared), require_token));
    // Resources are larger than anything else that comes here.
    let large = Router::new()
        .route("/api/v1/datastore/import", post(datastore::import))
        .layer(middleware::from_fn_with_state(Arc::clone(&shared), require_token))
        .layer(RequestBodyLimitLayer::new(IMPORT_BYTES_MAX));
    open.merge(api)
        .fallback(nothing)
        .layer(RequestBodyLimitLayer::new(REQUEST_BYTES_MAX))
        .merge(large)
        .with_state(shared)
}

async fn description(State(_): State<Arc<Shared>>) -> Response {
    ([(CONTENT_TYPE, "application/json")], openapi()).into_response()
}

async fn nothing() -> ApiError {
    ApiError::not_found("such address; see /api/v1/openapi.json")
}
