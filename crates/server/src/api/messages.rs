//! Searching messages, looking at one, and deciding about it.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use pipehat_engine::record::Record;
use pipehat_engine::{DecideError, Deciding, Log, MessageId, Stage, message_of};
use pipehat_journal::Position;
use pipehat_store as store;
use pipehat_store::{MessageSearch, Redacted, SqliteMessageSearch};
use pipehat_translate::PlacePattern;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::lineage::LineageWanted;
use super::problem::ApiError;
use super::request::{JsonBody, Number};
use super::stage::{StageView, Wanted};
use super::view::MessageView;
use crate::node::Shared;

/// Records looked through behind a message for its further stages.
const RECORDS_MAX: usize = 500_000;

/// Records looked through behind the last the index knows of.
const LOOK_FURTHER: usize = 1_000;

/// What is searched for. Sent as a body: identifiers of patients do not belong into addresses.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SearchRequest {
    /// Only these channels.
    pub channels: Vec<String>,
    /// Received at or after, RFC 3339.
    pub from: Option<String>,
    /// Received before, RFC 3339.
    pub until: Option<String>,
    /// `ADT` or `ADT^A01`.
    #[serde(rename = "type")]
    pub message_type: Option<String>,
    /// MSH-10.
    pub control_id: Option<String>,
    /// MSH-3.
    pub sending_application: Option<String>,
    /// MSH-4.
    pub sending_facility: Option<String>,
    /// A patient, visit, order or accession identifier.
    pub identifier: Option<String>,
    /// A path the channel names under `index:`, and its value.
    pub named: Option<(String, String)>,
    /// `in-flight`, `delivered`, `filtered`, `parked`, `rejected`, `superseded`.
    pub disposition: Option<String>,
    /// Only messages with a delivery for this destination.
    pub destination: Option<String>,
    /// Oldest first instead of newest first.
    pub oldest_first: bool,
    /// How many; 50 unless said, 500 at most.
    pub limit: Option<usize>,
    /// Where the page before ended.
    pub cursor: Option<String>,
}

/// A page of messages.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct MessagesPage {
    /// The messages.
    pub messages: Vec<MessageView>,
    /// What to send as `cursor` for the next page.
    pub next: Option<String>,
}

/// One message with its stages.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct MessageDetail {
    /// As lists show it; none while the index has not taken it in.
    pub message: Option<MessageView>,
    /// What happened to it, in order.
    pub stages: Vec<StageView>,
}

/// Why and by whom.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DecisionRequest {
    /// Why; shown with the message for ever.
    pub reason: String,
    /// Who, when it is not the holder of the token.
    #[serde(default)]
    pub by: Option<String>,
    /// Only this destination; for `resend`.
    #[serde(default)]
    pub destination: Option<String>,
}

/// What a decision did.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DecisionView {
    /// Deliveries (or the message itself) it applied to.
    pub count: u64,
}

/// How much of a message is shown.
#[derive(Debug, Deserialize, IntoParams)]
pub(super) struct Show {
    /// Whether payloads are shown.
    #[serde(default)]
    bodies: bool,
    /// Whether it is shown where what translations made came from.
    #[serde(default)]
    lineage: bool,
    /// Of lineage only what came from this place or went there: `PID-3`, `Patient.identifier`, `Bundle.entry[2]`.
    lineage_of: Option<String>,
}

impl Show {
    fn wanted(self) -> Result<Wanted, ApiError> {
        let place = self.lineage_of.as_deref().map(PlacePattern::parse).transpose();
        let lineage = match place.map_err(|error| ApiError::bad_request(error.to_string()))? {
            Some(place) => LineageWanted::Of(place),
            None if self.lineage => LineageWanted::All,
            None => LineageWanted::No,
        };
        Ok(Wanted { bodies: self.bodies, lineage })
    }
}

/// Finds messages.
#[utoipa::path(post, path = "/api/v1/messages/search", request_body = SearchRequest,
    responses((status = 200, body = MessagesPage), (status = 400, body = ApiError), (status = 503, body = ApiError)))]
pub(super) async fn search(
    State(shared): State<Arc<Shared>>,
    JsonBody(request): JsonBody<SearchRequest>,
) -> Result<Json<MessagesPage>, ApiError> {
    let search = shared
        .search
        .clone()
        .ok_or_else(|| ApiError::unavailable("this Pipehat runs without a message index"))?;
    tokio::task::spawn_blocking(move || page_of(&search, request))
        .await
        .map_err(|_| ApiError::internal("the search failed"))?
        .map(Json)
}

/// A page of the index.
pub(crate) fn page_of(
    search: &SqliteMessageSearch,
    request: SearchRequest,
) -> Result<MessagesPage, ApiError> {
    let page = search
        .search(&query_of(request)?)
        .map_err(|error| ApiError::unavailable(error.to_string()))?;
    Ok(MessagesPage {
        messages: page.summaries.into_iter().map(Into::into).collect(),
        next: page.next.map(|cursor| cursor.to_string()),
    })
}

fn query_of(request: SearchRequest) -> Result<store::Query, ApiError> {
    let time = |text: &Option<String>| -> Result<Option<i64>, ApiError> {
        let Some(text) = text else { return Ok(None) };
        let time: Timestamp = text
            .parse()
            .map_err(|_| ApiError::bad_request("times are written like 2026-01-31T08:00:00Z"))?;
        Ok(Some(time.as_microsecond()))
    };
    let mut query = store::Query {
        from_micros: time(&request.from)?,
        until_micros: time(&request.until)?,
        control_id: request.control_id.map(Redacted::new),
        sending_application: request.sending_application,
        sending_facility: request.sending_facility,
        destination: request.destination.map(Arc::from),
        limit: request.limit.unwrap_or(50).min(store::PAGE_SUMMARIES_MAX),
        ..store::Query::default()
    };
    if !request.channels.is_empty() {
        query.channels = Some(request.channels.into_iter().map(Arc::from).collect());
    }
    if let Some(message_type) = request.message_type {
        let (code, trigger) = match message_type.split_once('^') {
            Some((code, trigger)) => (code.to_owned(), Some(trigger.to_owned())),
            None => (message_type, None),
        };
        query.code = Some(code);
        query.trigger = trigger;
    }
    if let Some(identifier) = request.identifier {
        query
            .identifiers
            .push(store::IdentifierQuery { kind: None, value: Redacted::new(identifier) });
    }
    if let Some((name, value)) = request.named {
        query.identifiers.push(store::IdentifierQuery {
            kind: Some(store::IdentifierKind::Custom(Arc::from(name))),
            value: Redacted::new(value),
        });
    }
    if let Some(wanted) = request.disposition {
        query.dispositions.push(disposition_named(&wanted)?);
    }
    if request.oldest_first {
        query.order = store::Order::OldestFirst;
    }
    if let Some(cursor) = request.cursor {
        let cursor = cursor.parse().map_err(|_| ApiError::bad_request("that is no cursor"))?;
        query.cursor = Some(cursor);
    }
    Ok(query)
}

fn disposition_named(name: &str) -> Result<store::Disposition, ApiError> {
    Ok(match name {
        "in-flight" => store::Disposition::InFlight,
        "delivered" => store::Disposition::Delivered,
        "filtered" => store::Disposition::Filtered,
        "parked" => store::Disposition::Parked,
        "rejected" => store::Disposition::Rejected,
        "superseded" => store::Disposition::Superseded,
        _ => {
            return Err(ApiError::bad_request(
                "a disposition is in-flight, delivered, filtered, parked, rejected or superseded",
            ));
        }
    })
}

/// Shows one message with every stage.
#[utoipa::path(get, path = "/api/v1/messages/{id}", params(("id" = u64, Path), Show),
    responses((status = 200, body = MessageDetail), (status = 400, body = ApiError), (status = 404, body = ApiError)))]
pub(super) async fn show(
    State(shared): State<Arc<Shared>>,
    Number(id): Number,
    Query(show): Query<Show>,
) -> Result<Json<MessageDetail>, ApiError> {
    let (log, search) = (shared.engine.log().clone(), shared.search.clone());
    let wanted = show.wanted()?;
    tokio::task::spawn_blocking(move || detail_of(&log, search.as_deref(), id, &wanted))
        .await
        .map_err(|_| ApiError::internal("the message could not be read"))?
        .map(Json)
}

/// One message, by the journal and, where there is one, the index.
pub(crate) fn detail_of(
    log: &Log,
    search: Option<&SqliteMessageSearch>,
    id: u64,
    wanted: &Wanted,
) -> Result<MessageDetail, ApiError> {
    let message = message_id(id)?;
    let summary = search.and_then(|search| search.message(id).ok().flatten());
    let stages = stages(log, message, summary.as_ref())?;
    Ok(MessageDetail { message: summary.map(Into::into), stages: StageView::all(&stages, wanted) })
}

/// The records of a message, as far as the index knows there are more.
fn stages(
    log: &Log,
    message: MessageId,
    summary: Option<&store::Summary>,
) -> Result<Vec<Stage>, ApiError> {
    let unreadable = |_| ApiError::not_found("such message in the journal");
    let first = log.fetch(message.0).map_err(unreadable)?;
    if !matches!(first, Record::Received(_)) {
        return Err(ApiError::not_found("such message: that is the position of another record"));
    }
    let mut stages = vec![Stage { position: message.0, record: first }];
    // What the index has not taken in yet stands behind all it knows: look a little further.
    let known = summary.map_or(0, |summary| summary.last_position);
    let settled =
        summary.is_some_and(|summary| summary.disposition != store::Disposition::InFlight);
    for (read, entry) in log.heads(message.0.next()).take(RECORDS_MAX).enumerate() {
        let (position, record) = entry.map_err(|error| ApiError::internal(error.to_string()))?;
        if position.get() > known && settled && read > LOOK_FURTHER {
            break;
        }
        if message_of(&record) == Some(message) {
            let record =
                log.fetch(position).map_err(|error| ApiError::internal(error.to_string()))?;
            stages.push(Stage { position, record });
        }
    }
    Ok(stages)
}

/// The exact bytes as received.
#[utoipa::path(get, path = "/api/v1/messages/{id}/bytes", params(("id" = u64, Path)),
    responses((status = 200, content_type = "application/octet-stream"), (status = 404, body = ApiError)))]
pub(super) async fn bytes(
    State(shared): State<Arc<Shared>>,
    Number(id): Number,
) -> Result<Response, ApiError> {
    let log = shared.engine.log().clone();
    let bytes = tokio::task::spawn_blocking(move || bytes_of(&log, id))
        .await
        .map_err(|_| ApiError::internal("the message could not be read"))??;
    Ok(([(CONTENT_TYPE, "application/octet-stream")], bytes).into_response())
}

/// A message's bytes as they were received.
pub(crate) fn bytes_of(log: &Log, id: u64) -> Result<Bytes, ApiError> {
    let received = |message: MessageId| match log.fetch(message.0) {
        Ok(Record::Received(record)) => Ok(record),
        _ => Err(ApiError::not_found("such message in the journal")),
    };
    let record = received(message_id(id)?)?;
    match record.duplicate_of {
        Some(original) => Ok(received(original)?.bytes),
        None => Ok(record.bytes),
    }
}

/// Lets a parked message go on.
#[utoipa::path(post, path = "/api/v1/messages/{id}/release", params(("id" = u64, Path)),
    request_body = DecisionRequest,
    responses((status = 200, body = DecisionView), (status = 404, body = ApiError), (status = 409, body = ApiError)))]
pub(super) async fn release(
    State(shared): State<Arc<Shared>>,
    Number(id): Number,
    JsonBody(request): JsonBody<DecisionRequest>,
) -> Result<Json<DecisionView>, ApiError> {
    let who = deciding(&request)?;
    done(shared.engine.release(message_id(id)?, &who).await)
}

/// Gives up a parked message.
#[utoipa::path(post, path = "/api/v1/messages/{id}/discard", params(("id" = u64, Path)),
    request_body = DecisionRequest,
    responses((status = 200, body = DecisionView), (status = 404, body = ApiError), (status = 409, body = ApiError)))]
pub(super) async fn discard(
    State(shared): State<Arc<Shared>>,
    Number(id): Number,
    JsonBody(request): JsonBody<DecisionRequest>,
) -> Result<Json<DecisionView>, ApiError> {
    let who = deciding(&request)?;
    done(shared.engine.discard(message_id(id)?, &who).await)
}

/// Sends a message's outputs once more, the same bytes.
#[utoipa::path(post, path = "/api/v1/messages/{id}/resend", params(("id" = u64, Path)),
    request_body = DecisionRequest,
    responses((status = 200, body = DecisionView), (status = 404, body = ApiError), (status = 409, body = ApiError)))]
pub(super) async fn resend(
    State(shared): State<Arc<Shared>>,
    Number(id): Number,
    JsonBody(request): JsonBody<DecisionRequest>,
) -> Result<Json<DecisionView>, ApiError> {
    let who = deciding(&request)?;
    done(shared.engine.resend(message_id(id)?, request.destination.as_deref(), &who).await)
}

fn deciding(request: &DecisionRequest) -> Result<Deciding, ApiError> {
    if request.reason.trim().is_empty() {
        return Err(ApiError::bad_request("say why: the reason is kept with the message"));
    }
    Ok(Deciding {
        by: request.by.clone().unwrap_or_else(|| "admin token".to_owned()),
        reason: request.reason.clone(),
    })
}

fn done(result: Result<usize, DecideError>) -> Result<Json<DecisionView>, ApiError> {
    match result {
        Ok(count) => Ok(Json(DecisionView { count: count as u64 })),
        Err(error @ (DecideError::NoMessage { .. } | DecideError::NoChannel { .. })) => {
            Err(ApiError::not_found("such message").with_detail(error.to_string()))
        }
        Err(error @ DecideError::NotSo { .. }) => {
            Err(ApiError::conflict("message.state", error.to_string()))
        }
        Err(error @ (DecideError::NotKept | DecideError::Stopping)) => {
            Err(ApiError::unavailable(error.to_string()))
        }
    }
}

fn message_id(id: u64) -> Result<MessageId, ApiError> {
    Position::new(id).map(MessageId).ok_or_else(|| ApiError::not_found("message 0"))
}
