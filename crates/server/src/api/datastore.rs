//! The FHIR datastore: taking resources out and in, indexing anew, statistics, verification.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::Json;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use pipehat_resource::definitions::resource_types;
use pipehat_store::datastore::{DatastoreError, Progress, TransferError};
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;
use utoipa::IntoParams;

use super::problem::ApiError;
use crate::node::Shared;
use crate::upkeep::{IMPORT_BYTES_MAX, Imported, StatisticsView, Upkeep, UpkeepError, UpkeepLine};

/// FHIR's bulk data, and what else comes as JSON in lines.
const NDJSON: &str = "application/x-ndjson";

/// How many lines about progress wait for a slow reader; what does not fit is not told.
const LINES_MAX: usize = 16;

/// Of which types.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct TypesQuery {
    /// Resource types with commas between; all unless said.
    types: Option<String>,
}

/// Where lines come from.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct ImportQuery {
    /// How many lines of the file came before these, so that errors name the lines of the file.
    #[serde(default)]
    lines_before: u64,
}

type Asked<T> = Result<Query<T>, axum::extract::rejection::QueryRejection>;

fn upkeep(shared: &Shared) -> Result<Arc<Upkeep>, ApiError> {
    shared.upkeep.clone().ok_or_else(|| ApiError::not_found("FHIR datastore"))
}

fn asked<T>(query: Asked<T>) -> Result<T, ApiError> {
    query.map(|Query(query)| query).map_err(|error| ApiError::bad_request(error.body_text()))
}

impl TypesQuery {
    fn read(self) -> Result<Vec<String>, ApiError> {
        let text = self.types.unwrap_or_default();
        let types = text.split(',').filter(|name| !name.is_empty()).map(ToOwned::to_owned);
        let types: Vec<String> = types.collect();
        for (name, number) in types.iter().zip(1..) {
            if !resource_types().any(|known| known.name() == name) {
                let text = format!("`types`: number {number} is no resource type of R4");
                return Err(ApiError::bad_request(text));
            }
        }
        Ok(types)
    }
}

impl From<UpkeepError> for ApiError {
    fn from(error: UpkeepError) -> Self {
        match &error {
            UpkeepError::Busy => Self::conflict("upkeep.busy", error.to_string()),
            UpkeepError::Transfer(TransferError::Refused { .. }) => {
                Self::conflict("upkeep.refused", error.to_string())
            }
            UpkeepError::Transfer(_) => Self::bad_request(error.to_string()),
            UpkeepError::Datastore(_) | UpkeepError::Audit(_) | UpkeepError::AuditRead(_) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "the datastore could not be looked after"
                );
                // What a person can do something about without the log.
                let plain = match &error {
                    UpkeepError::Datastore(
                        cause @ (DatastoreError::Unavailable(_)
                        | DatastoreError::Uncertain(_)
                        | DatastoreError::Busy
                        | DatastoreError::Connect(_)
                        | DatastoreError::Closed),
                    ) => cause.to_string(),
                    error => format!("{error}; the log says more"),
                };
                Self::unavailable(plain)
            }
        }
    }
}

/// All resources as NDJSON, each as it stands when its turn comes; an answer that breaks off is not whole.
#[utoipa::path(get, path = "/api/v1/datastore/export", params(TypesQuery),
    responses((status = 200, content_type = "application/x-ndjson", body = String),
        (status = 400, body = ApiError), (status = 404, body = ApiError)))]
pub(super) async fn export(
    State(shared): State<Arc<Shared>>,
    query: Asked<TypesQuery>,
) -> Result<Response, ApiError> {
    let types = asked(query)?.read()?;
    let upkeep = upkeep(&shared)?;
    upkeep.tell("export").await?;
    let pages = stream::try_unfold((upkeep, types, Some(0)), |(upkeep, types, from)| async move {
        let Some(from) = from else { return Ok(None) };
        match upkeep.export(&types, from).await {
            Ok(page) => Ok(Some((Bytes::from(page.lines), (upkeep, types, page.next)))),
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "an export broke off");
                Err(error)
            }
        }
    });
    Ok(([(CONTENT_TYPE, NDJSON)], Body::from_stream(pages)).into_response())
}

/// Takes NDJSON in under the ids it has, at most 68 MiB at once. It is not validated.
#[utoipa::path(post, path = "/api/v1/datastore/import", params(ImportQuery),
    request_body(content = String, content_type = "application/x-ndjson"),
    responses((status = 200, body = Imported), (status = 400, body = ApiError),
        (status = 404, body = ApiError), (status = 409, body = ApiError)))]
pub(super) async fn import(
    State(shared): State<Arc<Shared>>,
    query: Asked<ImportQuery>,
    body: Body,
) -> Result<Json<Imported>, ApiError> {
    let query = asked(query)?;
    let upkeep = upkeep(&shared)?;
    let lines = to_bytes(body, IMPORT_BYTES_MAX).await.map_err(|_| {
        ApiError::bad_request(format!(
            "the lines did not come whole, or have more than {IMPORT_BYTES_MAX} bytes"
        ))
    })?;
    upkeep.tell("import").await?;
    Ok(Json(upkeep.import(&lines, query.lines_before).await?))
}

/// What the datastore holds.
#[utoipa::path(get, path = "/api/v1/datastore/statistics",
    responses((status = 200, body = StatisticsView), (status = 404, body = ApiError)))]
pub(super) async fn statistics(
    State(shared): State<Arc<Shared>>,
) -> Result<Json<StatisticsView>, ApiError> {
    Ok(Json(upkeep(&shared)?.statistics().await?))
}

/// Writes the index anew while others read and write. The answer is a line of JSON for each step; who goes away
/// breaks it off, and the next one of all types goes on there.
#[utoipa::path(post, path = "/api/v1/datastore/reindex", params(TypesQuery),
    responses((status = 200, content_type = "application/x-ndjson", body = UpkeepLine),
        (status = 400, body = ApiError), (status = 404, body = ApiError)))]
pub(super) async fn reindex(
    State(shared): State<Arc<Shared>>,
    query: Asked<TypesQuery>,
) -> Result<Response, ApiError> {
    let types = asked(query)?.read()?;
    let upkeep = upkeep(&shared)?;
    upkeep.tell("reindex").await?;
    Ok(in_lines(move |told| {
        Box::pin(async move { Ok(UpkeepLine::Reindexed(upkeep.reindex(&types, &told).await?)) })
    }))
}

/// Looks whether everything agrees: versions with their resources, and the index with both. The answer is a line of
/// JSON for each step.
#[utoipa::path(get, path = "/api/v1/datastore/verification",
    responses((status = 200, content_type = "application/x-ndjson", body = UpkeepLine),
        (status = 404, body = ApiError)))]
pub(super) async fn verify(State(shared): State<Arc<Shared>>) -> Result<Response, ApiError> {
    let upkeep = upkeep(&shared)?;
    Ok(in_lines(move |told| {
        Box::pin(async move { Ok(UpkeepLine::Verified(upkeep.verify(&told).await?)) })
    }))
}

type Work = Pin<Box<dyn Future<Output = Result<UpkeepLine, UpkeepError>> + Send>>;
type Told = Box<dyn Fn(Progress) + Send + Sync>;

/// Answers long work line by line. The work ends with the answer.
fn in_lines(work: impl FnOnce(Told) -> Work) -> Response {
    let (sender, receiver) = mpsc::channel(LINES_MAX);
    let progress = sender.clone();
    let told: Told = Box::new(move |step: Progress| {
        // Who reads slowly is told of later steps.
        let _ = progress.try_send(UpkeepLine::Progress(step.into()));
    });
    let work = work(told);
    let task = AbortOnDropHandle::new(tokio::spawn(async move {
        let last = work.await.unwrap_or_else(|error| UpkeepLine::Error(error.into()));
        // Nobody may be there any more.
        let _ = sender.send(last).await;
    }));
    let lines = stream::unfold((receiver, task), |(mut receiver, task)| async move {
        let line = receiver.recv().await?;
        let mut text = serde_json::to_vec(&line).unwrap_or_default();
        text.push(b'\n');
        Some((Ok::<_, Infallible>(Bytes::from(text)), (receiver, task)))
    });
    ([(CONTENT_TYPE, NDJSON)], Body::from_stream(lines)).into_response()
}
