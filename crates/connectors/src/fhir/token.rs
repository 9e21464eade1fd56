//! Access tokens by OAuth 2 client credentials (RFC 6749 §4.4), fetched when needed and kept while they last.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use pipehat_resource::json;
use reqwest::{Client, Url};
use tokio::sync::Mutex;

use crate::http::client::{Reply, cause, read};

/// The largest answer of an authorization server.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// A token is not used in its last seconds: it may end on the way.
const MARGIN: Duration = Duration::from_secs(10);

/// Servers that don't say how long a token lasts are asked again after this.
const LIFETIME: Duration = Duration::from_secs(60);

/// Where tokens come from, and as whom.
pub(super) struct TokenOptions {
    pub(super) url: Url,
    /// The client's id and secret, as `Authorization: Basic`.
    pub(super) basic: HeaderValue,
    /// The form that is posted.
    pub(super) form: String,
}

/// Gives the token to be shown.
pub(super) struct Tokens {
    options: TokenOptions,
    client: Client,
    current: Mutex<Option<Token>>,
}

struct Token {
    header: HeaderValue,
    until: Instant,
}

impl Tokens {
    pub(super) fn new(options: TokenOptions, client: Client) -> Self {
        Self { options, client, current: Mutex::new(None) }
    }

    /// The value of `Authorization`. Those that wait for one token fetch it once.
    ///
    /// # Errors
    /// Where and what, without content.
    pub(super) async fn header(&self) -> Result<HeaderValue, String> {
        let mut current = self.current.lock().await;
        if let Some(token) = &*current
            && Instant::now() < token.until
        {
            return Ok(token.header.clone());
        }
        *current = None;
        let token = self.fetch().await?;
        let header = token.header.clone();
        *current = Some(token);
        Ok(header)
    }

    /// A server did not take this one: the next comes anew.
    pub(super) async fn forget(&self, shown: &HeaderValue) {
        let mut current = self.current.lock().await;
        if current.as_ref().is_some_and(|token| token.header == *shown) {
            *current = None;
        }
    }

    async fn fetch(&self) -> Result<Token, String> {
        let asked_at = Instant::now();
        let host = self.options.url.host_str().unwrap_or_default().to_owned();
        let broken = |error: &reqwest::Error| match cause(error) {
            Some(cause) => format!("{host} gave no token: {cause}"),
            None => format!("{host} gave no token"),
        };
        let request = self
            .client
            .post(self.options.url.clone())
            .header(AUTHORIZATION, self.options.basic.clone())
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(self.options.form.clone());
        let mut response = request.send().await.map_err(|error| broken(&error))?;
        let status = response.status();
        let body = match read(&mut response, ANSWER_BYTES_MAX).await {
            Ok(Reply::Whole(body)) => body,
            Ok(Reply::Cut(_)) => Bytes::new(),
            Err(error) => return Err(broken(&error)),
        };
        if !status.is_success() {
            return Err(format!("{host} gave no token: it answered {status}"));
        }
        let no_token = || format!("the answer of {host} has no access token in it");
        let answer = json::parse(&body).map_err(|_| no_token())?;
        let token = answer.text("access_token").ok_or_else(no_token)?;
        let mut header =
            HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| no_token())?;
        header.set_sensitive(true);
        let seconds = answer.get("expires_in").and_then(|value| value.as_number()?.as_i64());
        let lifetime = seconds
            .and_then(|seconds| u64::try_from(seconds).ok())
            .map_or(LIFETIME, Duration::from_secs);
        let until = asked_at.checked_add(lifetime.saturating_sub(MARGIN)).unwrap_or(asked_at);
        Ok(Token { header, until })
    }
}
