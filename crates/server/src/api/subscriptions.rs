//! Subscriptions of the FHIR datastore: how they stand, their dead letters, redelivery.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::problem::ApiError;
use super::request::JsonBody;
use crate::fhir::{DeadLetter, Redelivered, SubscriptionState, Subscriptions};
use crate::node::Shared;

/// How many dead letters a page has when nothing is asked for, and at most.
const PAGE: usize = 100;
const PAGE_MAX: usize = 1_000;

/// All Subscriptions that are active or have deliveries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SubscriptionsView {
    /// By id.
    pub subscriptions: Vec<SubscriptionState>,
}

/// A page of dead letters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeadLettersPage {
    /// Oldest first.
    pub dead_letters: Vec<DeadLetter>,
    /// Whether there are more behind the last.
    pub more: bool,
}

/// Which dead letters.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct DeadLettersQuery {
    /// Only those of this Subscription.
    pub subscription: Option<String>,
    /// Only those behind this change…
    pub after_change: Option<u64>,
    /// …or of that change, behind this Subscription.
    pub after_subscription: Option<String>,
    /// How many; 100 unless said, at most 1,000.
    pub limit: Option<usize>,
}

/// What is to be delivered again.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RedeliverRequest {
    /// Of which Subscription; of all where none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription: Option<String>,
    /// Of which change; of all where none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<u64>,
}

fn subscriptions(shared: &Shared) -> Result<&Arc<Subscriptions>, ApiError> {
    shared.subscriptions.as_ref().ok_or_else(|| ApiError::not_found("FHIR datastore"))
}

fn failed(error: pipehat_store::datastore::DatastoreError) -> ApiError {
    tracing::error!(error = &error as &dyn std::error::Error, "the book of deliveries fails");
    ApiError::unavailable("the book of deliveries can't be read; the log says why")
}

/// Every Subscription that is active or has deliveries.
#[utoipa::path(get, path = "/api/v1/subscriptions",
    responses((status = 200, body = SubscriptionsView), (status = 404, body = ApiError)))]
pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
) -> Result<Json<SubscriptionsView>, ApiError> {
    let subscriptions = subscriptions(&shared)?.states().await.map_err(failed)?;
    Ok(Json(SubscriptionsView { subscriptions }))
}

/// Notifications that were given up, oldest first.
#[utoipa::path(get, path = "/api/v1/subscriptions/dead-letters", params(DeadLettersQuery),
    responses((status = 200, body = DeadLettersPage), (status = 404, body = ApiError)))]
pub(super) async fn dead_letters(
    State(shared): State<Arc<Shared>>,
    query: Result<Query<DeadLettersQuery>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<DeadLettersPage>, ApiError> {
    let Query(query) = query.map_err(|error| ApiError::bad_request(error.body_text()))?;
    let limit = query.limit.unwrap_or(PAGE).clamp(1, PAGE_MAX);
    let after =
        (query.after_change.unwrap_or_default(), query.after_subscription.unwrap_or_default());
    let mut dead_letters = subscriptions(&shared)?
        .dead_letters(query.subscription, after, limit.saturating_add(1))
        .await
        .map_err(failed)?;
    let more = dead_letters.len() > limit;
    dead_letters.truncate(limit);
    Ok(Json(DeadLettersPage { dead_letters, more }))
}

/// Has dead letters delivered again.
#[utoipa::path(post, path = "/api/v1/subscriptions/redeliver", request_body = RedeliverRequest,
    responses((status = 200, body = Redelivered), (status = 404, body = ApiError)))]
pub(super) async fn redeliver(
    State(shared): State<Arc<Shared>>,
    JsonBody(request): JsonBody<RedeliverRequest>,
) -> Result<Json<Redelivered>, ApiError> {
    let subscriptions = subscriptions(&shared)?;
    let done = subscriptions.redeliver(request.subscription, request.change).await;
    Ok(Json(done.map_err(failed)?))
}
