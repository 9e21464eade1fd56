//! Who may call: whoever can read the file with the token.

use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use subtle::ConstantTimeEq;

use super::problem::ApiError;
use crate::node::Shared;

/// Where the API is and what opens it: the content of `admin.json` in the data directory.
#[derive(Clone, Serialize, Deserialize)]
pub struct AdminAccess {
    /// `http://127.0.0.1:8103`
    pub url: String,
    /// Where clients of the FHIR API find this server, where `datastore: { base: … }` says so:
    /// `https://fhir.example.org`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_url: Option<String>,
    /// The bearer token, new at every start.
    pub token: String,
    /// The process that listens.
    pub process: u32,
}

impl std::fmt::Debug for AdminAccess {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("AdminAccess").field("url", &self.url).finish_non_exhaustive()
    }
}

/// A token nobody can guess: 256 random bits.
pub(crate) fn new_token() -> String {
    let mut random = [0_u8; 32];
    getrandom::fill(&mut random).expect("the system has randomness, or nothing here is safe");
    random.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Lets a request through when it carries the token.
pub(super) async fn require_token(
    State(shared): State<Arc<Shared>>,
    request: Request,
    next: Next,
) -> Response {
    let given = request
        .headers()
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "))
        .unwrap_or_default();
    if bool::from(given.as_bytes().ct_eq(shared.token.as_bytes())) {
        next.run(request).await
    } else {
        ApiError::unauthorized().into_response()
    }
}
