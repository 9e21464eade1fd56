//! The server that is spoken to: the datastore of this Pipehat, or one behind HTTP.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use reqwest::{Client, Url};

use super::codes;
use super::request::{Prepared, Repeat};
use super::token::Tokens;
use crate::Attempt;
use crate::http::client::{Reply, cause, read};
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

/// What the server said.
pub(super) struct Said {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Reply,
    /// How long it asks us to wait.
    pub(super) wait: Option<Duration>,
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
    ) -> Result<Said, Attempt> {
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
) -> Result<Said, Attempt> {
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
    Ok(Said { status, headers, body: Reply::Whole(response.body), wait })
}

impl Remote {
    async fn ask(&self, prepared: &Prepared, body: Bytes) -> Result<Said, Attempt> {
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
        let mut response = match request.body(body).send().await {
            Ok(response) => response,
            Err(error) if error.is_connect() => {
                let detail = self.told("can't be reached", &error);
                return Err(Attempt::NotSent { code: codes::CONNECT_FAILED.code, detail });
            }
            Err(error) => return Err(self.interrupted(&error, prepared.repeat)),
        };
        let wait = retry_after(response.headers(), Timestamp::now());
        let (status, headers) = (response.status(), response.headers().clone());
        if let (StatusCode::UNAUTHORIZED, Some(tokens), Some(token)) =
            (status, &self.tokens, &token)
        {
            tokens.forget(token).await;
        }
        match read(&mut response, self.reply_bytes_max).await {
            Ok(body) => Ok(Said { status, headers, body, wait }),
            Err(error) => Err(self.interrupted(&error, prepared.repeat)),
        }
    }

    fn url(&self, path: &str) -> Result<Url, Attempt> {
        let base = self.base.as_str().trim_end_matches('/');
        let written = if path.is_empty() { base.to_owned() } else { format!("{base}/{path}") };
        Url::parse(&written).map_err(|_| Attempt::Impossible {
            code: codes::CONDITION.code,
            detail: "no URL can be made of the condition".to_owned(),
        })
    }

    fn interrupted(&self, error: &reqwest::Error, repeat: Repeat) -> Attempt {
        let (code, what) = if error.is_timeout() {
            (&codes::RESPONSE_TIMEOUT, "did not answer in time")
        } else {
            (&codes::RESPONSE_LOST, "broke off before the response was complete")
        };
        let code = match repeat {
            Repeat::Harmless => code.code,
            Repeat::MayDouble => codes::MAY_DOUBLE.code,
        };
        Attempt::Interrupted { code, detail: self.told(what, error), reply: None }
    }

    fn told(&self, what: &str, error: &reqwest::Error) -> String {
        match cause(error) {
            Some(cause) => format!("{} {what}: {cause}", self.address),
            None => format!("{} {what}", self.address),
        }
    }
}
