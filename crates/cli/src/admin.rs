//! The running Pipehat, as the command line talks to it: over the admin API, with the token it
//! left in its data directory.

use std::time::Duration;

use pipehat_server::{AdminAccess, ApiError, DataDirectory};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::exit::Failure;

/// How long an answer may take; a proof of a large journal reads all of it.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3_600);

/// How long an answer may take that comes in many parts: a large datastore goes through it.
const LONG_ANSWER_TIMEOUT: Duration = Duration::from_secs(7 * 24 * 3_600);

/// How long a connection may take: it is on this machine.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection to the admin API.
pub(crate) struct Admin {
    access: AdminAccess,
    /// The data directory, as it is called.
    data: String,
    client: reqwest::Client,
    runtime: tokio::runtime::Runtime,
}

/// Why the admin API did not answer as hoped.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AdminError {
    #[error(
        "no Pipehat runs on {data}: start it with `pipehat up`, or name its data directory with --data"
    )]
    NotRunning { data: String },
    #[error(
        "no Pipehat runs on {data}: the one that did ended without a word (it is no longer at {url}); start \
         it with `pipehat up`, nothing that was acknowledged is lost"
    )]
    Gone { data: String, url: String },
    #[error("the Pipehat on {data} does not answer at {url}; has it stopped?")]
    Unreachable {
        data: String,
        url: String,
        #[source]
        source: reqwest::Error,
    },
    #[error("{}{}", error.message, error.detail.as_ref().map(|detail| format!("\n{detail}")).unwrap_or_default())]
    Refused { error: ApiError },
    #[error("the Pipehat at {url} gave an answer this release does not understand")]
    Answer { url: String },
    #[error("the answer of the Pipehat at {url} broke off before its end; its log may say why")]
    BrokenOff {
        url: String,
        #[source]
        source: Option<reqwest::Error>,
    },
}

/// Where the admin API of the Pipehat that runs on this data is, and its token; as one that was killed left it, too.
fn access(data: &DataDirectory) -> Result<AdminAccess, Failure> {
    data.read_admin().map_err(Failure::could_not)?.ok_or_else(|| {
        Failure::could_not(AdminError::NotRunning { data: data.root().display().to_string() })
    })
}

/// Whether it answered, and said no.
pub(crate) fn is_refusal(failure: &Failure) -> bool {
    matches!(failure.cause(), Some(AdminError::Refused { .. }))
}

/// The code of an error that the admin API answered with.
pub(crate) fn code(failure: &Failure) -> Option<&str> {
    match failure.cause() {
        Some(AdminError::Refused { error }) => Some(&error.code),
        _ => None,
    }
}

impl Admin {
    /// Finds the Pipehat that runs on this data.
    pub(crate) fn find(data: &DataDirectory) -> Result<Self, Failure> {
        let access = access(data)?;
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(crate::tls::trusting_nobody()?)
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(ANSWER_TIMEOUT)
            .build()
            .map_err(Failure::could_not)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Failure::could_not)?;
        Ok(Self { access, data: data.root().display().to_string(), client, runtime })
    }

    /// Where it is, and its token.
    pub(crate) fn access(&self) -> &AdminAccess {
        &self.access
    }

    /// Makes sure that it is the one that left its address: it answers, and knows its token.
    pub(crate) fn must_answer(&self) -> Result<(), Failure> {
        match self.get_bytes("/api/v1/status") {
            Err(failure) if is_refusal(&failure) => Err(Failure::could_not(AdminError::Gone {
                data: self.data.clone(),
                url: self.access.url.clone(),
            })),
            answered => answered.map(drop),
        }
    }

    /// Whether it answers at all.
    pub(crate) fn is_there(&self) -> bool {
        self.get_bytes("/health/live").is_ok()
    }

    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        let bytes = self.send(self.client.get(self.url(path)))?;
        self.parse(&bytes)
    }

    pub(crate) fn get_bytes(&self, path: &str) -> Result<Vec<u8>, Failure> {
        self.send(self.client.get(self.url(path)))
    }

    pub(crate) fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Failure> {
        let body = serde_json::to_vec(body).map_err(Failure::could_not)?;
        let request = self.client.post(self.url(path)).header("content-type", "application/json");
        let bytes = self.send(request.body(body))?;
        self.parse(&bytes)
    }

    /// Asks for something that is answered by being done.
    pub(crate) fn post_for_nothing(&self, path: &str) -> Result<(), Failure> {
        self.send(self.client.post(self.url(path))).map(drop)
    }

    /// Sends lines of JSON.
    pub(crate) fn post_lines<T: DeserializeOwned>(
        &self,
        path: &str,
        lines: Vec<u8>,
    ) -> Result<T, Failure> {
        let request =
            self.client.post(self.url(path)).header("content-type", "application/x-ndjson");
        let bytes = self.send(request.body(lines))?;
        self.parse(&bytes)
    }

    /// Gets an answer as it comes.
    pub(crate) fn get_in_parts(
        &self,
        path: &str,
        part: &mut dyn FnMut(&[u8]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        self.in_parts(self.client.get(self.url(path)), part)
    }

    /// Asks for long work, and gets the answer as it comes.
    pub(crate) fn post_in_parts(
        &self,
        path: &str,
        part: &mut dyn FnMut(&[u8]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        self.in_parts(self.client.post(self.url(path)), part)
    }

    fn in_parts(
        &self,
        request: reqwest::RequestBuilder,
        part: &mut dyn FnMut(&[u8]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let request = request.bearer_auth(&self.access.token).timeout(LONG_ANSWER_TIMEOUT);
        self.runtime.block_on(async {
            let mut response = request.send().await.map_err(|error| self.unreachable(error))?;
            if !response.status().is_success() {
                let bytes = response.bytes().await.map_err(|error| self.unreachable(error))?;
                return Err(self.refusal(&bytes));
            }
            loop {
                match response.chunk().await {
                    Ok(Some(bytes)) => part(&bytes)?,
                    Ok(None) => return Ok(()),
                    Err(source) => return Err(self.broken_off(Some(source))),
                }
            }
        })
    }

    /// The answer has no end.
    pub(crate) fn broken_off(&self, source: Option<reqwest::Error>) -> Failure {
        Failure::could_not(AdminError::BrokenOff { url: self.access.url.clone(), source })
    }

    fn unreachable(&self, source: reqwest::Error) -> Failure {
        let (data, url) = (self.data.clone(), self.access.url.clone());
        Failure::could_not(if source.is_connect() {
            AdminError::Gone { data, url }
        } else {
            AdminError::Unreachable { data, url, source }
        })
    }

    fn refusal(&self, body: &[u8]) -> Failure {
        Failure::could_not(match serde_json::from_slice::<ApiError>(body) {
            Ok(error) => AdminError::Refused { error },
            Err(_) => AdminError::Answer { url: self.access.url.clone() },
        })
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.access.url)
    }

    fn send(&self, request: reqwest::RequestBuilder) -> Result<Vec<u8>, Failure> {
        let request = request.bearer_auth(&self.access.token);
        self.runtime.block_on(async {
            let response = request.send().await.map_err(|error| self.unreachable(error))?;
            let status = response.status();
            let bytes = response.bytes().await.map_err(|error| self.unreachable(error))?;
            if status.is_success() { Ok(bytes.to_vec()) } else { Err(self.refusal(&bytes)) }
        })
    }

    /// Reads an answer.
    pub(crate) fn parse<T: DeserializeOwned>(&self, bytes: &[u8]) -> Result<T, Failure> {
        serde_json::from_slice(bytes)
            .map_err(|_| Failure::could_not(AdminError::Answer { url: self.access.url.clone() }))
    }
}
