//! The server that is spoken to: the datastore of this Pipehat, or one behind HTTP.

use std::sync::Arc;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use reqwest::{Client, Url};

use super::codes;
use super::request::{Prepared, Repeat};
use super::token::Tokens;
use crate::Attempt;
use crate::http::client::Reply;
use crate::http::exchange::{Failure, NoResponse, Response, exchange};
use crate::http::retry_after::retry_after;
use crate::local_fhir::{FhirRequest, LocalFhir};

/// A FHIR server.
pub(super) enum Peer {
    /// The datastore of this Pipehat.
    Local(LocalFhir),
    /// Another one.
    Remote(Box<Remote>),
}

/// A server behind HTTP.
pub(super) struct Remote {
    pub(super) base: Url,
    /// Where to connect, as an operator would write it.
    pub(super) address: String,
    /// What is sent with every request: what signs us in, and what is configured.
    pub(super) headers: HeaderMap,
    pub(super) tokens: Option<Tokens>,
    pub(super) client: Client,
    pub(super) reply_bytes_max: usize,
}

impl Peer {
    /// Its name for people.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Local(_) => "the datastore",
            Self::Remote(remote) => &remote.address,
        }
    }

    /// Sends a request.
    ///
    /// # Errors
    /// What became of it where there is no response.
    pub(super) async fn ask(
        &self,
        prepared: &Prepared,
        channel: &Arc<str>,
        body: Bytes,
    ) -> Result<Response, Attempt> {
        match self {
            Self::Local(local) => ask_local(local, prepared, channel, body).await,
            Self::Remote(remote) => remote.ask(prepared, body).await,
        }
    }
}

async fn ask_local(
    local: &LocalFhir,
    prepared: &Prepared,
    channel: &Arc<str>,
    body: Bytes,
) -> Result<Response, Attempt> {
    let Some(datastore) = local.get() else {
        let detail = "the datastore of this Pipehat is not open".to_owned();
        return Err(Attempt::NotSent { code: codes::NOT_OPEN.code, detail });
    };
    let response = datastore
        .exchange(FhirRequest {
            channel: Arc::clone(channel),
            method: prepared.method.clone(),
            path: prepared.path.clone(),
            headers: prepared.headers.clone(),
            body,
        })
        .await;
    let wait = retry_after(&response.headers, Timestamp::now());
    let (status, headers) = (response.status, response.headers);
    Ok(Response { status, headers, body: Reply::Whole(response.body), wait })
}

impl Remote {
    async fn ask(&self, prepared: &Prepared, body: Bytes) -> Result<Response, Attempt> {
        let token =
            match &self.tokens {
                None => None,
                Some(tokens) => Some(tokens.header().await.map_err(|detail| Attempt::NotSent {
                    code: codes::TOKEN_FAILED.code,
                    detail,
                })?),
            };
        let mut headers = self.headers.clone();
        headers.extend(prepared.headers.clone());
        if let Some(token) = &token {
            headers.insert(AUTHORIZATION, token.clone());
        }
        let url = self.url(&prepared.path)?;
        let request = self.client.request(prepared.method.clone(), url).headers(headers);
        let request = request.body(body);
        let response = exchange(request, &self.address, self.reply_bytes_max)
            .await
            .map_err(|no_response| failed(no_response, prepared.repeat))?;
        if let (StatusCode::UNAUTHORIZED, Some(tokens), Some(token)) =
            (response.status, &self.tokens, &token)
        {
            tokens.forget(token).await;
        }
        Ok(response)
    }

    fn url(&self, path: &str) -> Result<Url, Attempt> {
        let base = self.base.as_str().trim_end_matches('/');
        let written = if path.is_empty() { base.to_owned() } else { format!("{base}/{path}") };
        Url::parse(&written).map_err(|_| Attempt::Impossible {
            code: codes::CONDITION.code,
            detail: "no URL can be made of the condition".to_owned(),
        })
    }
}

/// What becomes of a request that has no response.
fn failed(NoResponse { failure, detail }: NoResponse, repeat: Repeat) -> Attempt {
    let code = match (failure, repeat) {
        (Failure::NotConnected, _) => {
            return Attempt::NotSent { code: codes::CONNECT_FAILED.code, detail };
        }
        (_, Repeat::MayDouble) => codes::MAY_DOUBLE.code,
        (Failure::TimedOut, Repeat::Harmless) => codes::RESPONSE_TIMEOUT.code,
        (Failure::BrokenOff, Repeat::Harmless) => codes::RESPONSE_LOST.code,
    };
    Attempt::Interrupted { code, detail, reply: None }
}
