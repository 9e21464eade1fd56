//! The state of the node, its configuration, its proof.

use std::sync::{Arc, PoisonError};

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

use super::problem::ApiError;
use super::view::{ApplyView, JournalView, LossView, ProofView, StatusView};
use crate::metrics;
use crate::node::Shared;
use crate::reload::{self, ReloadError};

/// The process is alive.
#[utoipa::path(get, path = "/health/live", security(()), responses((status = 200)))]
pub(super) async fn live() -> &'static str {
    "alive\n"
}

/// The node takes messages. The journal does, so channels don't depend on the datastore; where there is nothing but a
/// datastore, that one must answer.
#[utoipa::path(get, path = "/health/ready", security(()), responses((status = 200), (status = 503)))]
pub(super) async fn ready(State(shared): State<Arc<Shared>>) -> Response {
    let statuses = shared.engine.status().await;
    let stands = statuses.iter().any(|status| status.stalled || status.failed);
    if shared.stop.is_cancelled() || stands {
        return (StatusCode::SERVICE_UNAVAILABLE, "not ready\n").into_response();
    }
    match &shared.upkeep {
        Some(upkeep) if !upkeep.answers().await => {
            let status =
                if statuses.is_empty() { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
            let word = if statuses.is_empty() { "not ready" } else { "ready" };
            (status, format!("{word}; the datastore's database can't be reached\n")).into_response()
        }
        _ => "ready\n".into_response(),
    }
}

/// Every channel and destination, the journal, the index.
#[utoipa::path(get, path = "/api/v1/status", responses((status = 200, body = StatusView)))]
pub(super) async fn status(State(shared): State<Arc<Shared>>) -> Json<StatusView> {
    Json(status_of(&shared).await)
}

async fn status_of(shared: &Shared) -> StatusView {
    let journal = shared.engine.log().journal();
    let next = journal.next_position().get();
    // That the book can't be read is in the log.
    let channels = shared.engine.status().await;
    let bots = super::bots::views(shared, &channels).await.unwrap_or_default();
    StatusView {
        bots: bots.into_iter().filter(super::bots::BotView::needs_a_person).collect(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        uptime_seconds: shared.started.elapsed().as_secs(),
        // `.` would tell nothing to who asks from elsewhere.
        project: std::path::absolute(&shared.project)
            .unwrap_or_else(|_| shared.project.clone())
            .display()
            .to_string(),
        channels: channels.into_iter().map(Into::into).collect(),
        journal: JournalView::of(&journal.statistics(), journal.first_position().get(), next),
        index_behind: shared
            .indexer
            .as_ref()
            .map(|indexer| (next - 1).saturating_sub(indexer.through())),
        refused_configuration: shared
            .refused
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone(),
        losses: LossView::all(&shared.engine.log().losses()),
    }
}

/// Counters for Prometheus.
#[utoipa::path(get, path = "/metrics", responses((status = 200, content_type = "text/plain")))]
pub(super) async fn prometheus(State(shared): State<Arc<Shared>>) -> Response {
    let status = status_of(&shared).await;
    let statistics = shared.engine.log().journal().statistics();
    let figures = match &shared.subscriptions {
        // A page without these is worth more than none.
        Some(subscriptions) => subscriptions.figures().await.ok(),
        None => None,
    };
    let text = metrics::render(&status, &statistics, figures.as_ref(), &shared.bots.set().sftp);
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}

/// Applies the project directory as it is now.
#[utoipa::path(post, path = "/api/v1/apply",
    responses((status = 200, body = ApplyView), (status = 409, body = ApiError)))]
pub(super) async fn apply(State(shared): State<Arc<Shared>>) -> Result<Json<ApplyView>, ApiError> {
    match reload::reload(&shared, "admin token").await {
        Ok(report) => Ok(Json(report.into())),
        Err(error) => {
            let detail = match &error {
                ReloadError::Mistakes { rendered, .. } => rendered.clone(),
                ReloadError::Engine(error) => error.to_string(),
            };
            Err(ApiError::conflict("configuration.refused", error.to_string()).with_detail(detail))
        }
    }
}

/// Makes the books anew from the journal and checks that nothing is missing.
#[utoipa::path(get, path = "/api/v1/proof", responses((status = 200, body = ProofView)))]
pub(super) async fn proof(State(shared): State<Arc<Shared>>) -> Result<Json<ProofView>, ApiError> {
    let engine = Arc::clone(&shared.engine);
    let proof = tokio::task::spawn_blocking(move || engine.prove(&mut |_, _| ()))
        .await
        .map_err(|_| ApiError::internal("the proof failed"))?
        .map_err(|error| ApiError::internal(error.to_string()))?;
    Ok(Json(proof.into()))
}

/// Writes the message index anew from the journal.
#[utoipa::path(post, path = "/api/v1/reindex", responses((status = 202), (status = 503, body = ApiError)))]
pub(super) async fn reindex(State(shared): State<Arc<Shared>>) -> Result<StatusCode, ApiError> {
    match &shared.indexer {
        Some(indexer) => {
            indexer.rebuild();
            Ok(StatusCode::ACCEPTED)
        }
        None => Err(ApiError::unavailable("this Pipehat runs without a message index")),
    }
}

/// Tries again at once whatever pauses in a channel.
#[utoipa::path(post, path = "/api/v1/channels/{name}/retry", params(("name" = String, Path)),
    responses((status = 202), (status = 404, body = ApiError)))]
pub(super) async fn retry(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    match shared.engine.knock(&name) {
        Ok(()) => Ok(StatusCode::ACCEPTED),
        Err(error) => Err(ApiError::not_found("such channel").with_detail(error.to_string())),
    }
}
