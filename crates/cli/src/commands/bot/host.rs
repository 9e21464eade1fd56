//! The outside of a bot that runs without a server: a datastore of its own, the project's tables, state in memory, and
//! HTTP to the hosts that were granted. What is sent or parked is only shown.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use pipehat_engine::program::{Made, TranslationSettings, translate_to_fhir, translate_to_v2};
use pipehat_script::{Answer, Ask, AskError, Begun, Host, LogLine};
use pipehat_store::bots::{
    BotBookError, STATE_KEY_BYTES_MAX, STATE_KEYS_MAX, STATE_VALUE_BYTES_MAX,
};
use serde_json::json;
use tokio::task::{AbortHandle, JoinSet};

use super::datastore::BotDatastore;
use super::translation::Granted;
use crate::control_id::ControlIds;

/// The largest answer to a `fetch`, as on a server.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Something that was asked, and what came of it.
pub(super) type Asked = (Ask, Result<Answer, AskError>);

/// The outside of a bot.
pub(super) struct LocalHost {
    /// The folder of the project, for its tables.
    project: PathBuf,
    /// The hosts that `fetch` may speak to.
    hosts: Vec<String>,
    /// What it may do in the datastore.
    granted: Granted,
    state: BTreeMap<String, String>,
    datastore: BotDatastore,
    translation: TranslationSettings,
    /// The fetches under way, with their numbers. Before what they run in: they end first.
    fetches: JoinSet<(u32, Result<Answer, AskError>)>,
    open: BTreeMap<u32, AbortHandle>,
    http: Option<(tokio::runtime::Runtime, reqwest::Client)>,
    pub(super) log: Vec<LogLine>,
}

impl LocalHost {
    pub(super) fn new(
        project: PathBuf,
        hosts: Vec<String>,
        granted: Granted,
        datastore: BotDatastore,
        translation: TranslationSettings,
    ) -> Self {
        let (state, fetches, open, log) = Default::default();
        let http = None;
        Self { project, hosts, granted, state, datastore, translation, fetches, open, http, log }
    }

    /// Does what is asked, and keeps no record of it.
    pub(super) fn answer(&mut self, ask: &Ask, remaining: Duration) -> Result<Answer, AskError> {
        match ask {
            Ask::Fetch { method, url, headers, body } => {
                let request = self.request((method, url), headers, body, remaining)?;
                let (runtime, _) = self.http()?;
                runtime.block_on(fetched(request))
            }
            Ask::Datastore { method, path, headers, body } => {
                if let Some(why) = self.granted.refusal(ask) {
                    return Ok(forbidden(&why));
                }
                self.datastore.exchange(method, path, headers, body.clone())
            }
            Ask::Table { table, key } => self.table(table, key),
            Ask::StateGet { key } => {
                Ok(self.state.get(key).map_or_else(nothing, |value| text(value)))
            }
            Ask::StateSet { key, value } => self.keep(key, value.as_deref()),
            Ask::StateAdd { key, by } => {
                let known = self.state.get(key).map_or(Some(0), |known| known.parse::<i64>().ok());
                let sum = known.and_then(|known| known.checked_add(*by));
                let sum = sum.filter(|sum| sum.unsigned_abs() < 1 << 53).ok_or_else(|| {
                    let why =
                        "the value is no whole number, or becomes too large: it is left as it is";
                    AskError::Failed(why.to_owned())
                })?;
                self.keep(key, Some(&sum.to_string()))?;
                Ok(text(&sum.to_string()))
            }
            Ask::Send { .. } | Ask::Park { .. } => Ok(text("")),
            Ask::ToFhir { message } => to_fhir(message, &self.translation),
            Ask::ToV2 { bundle, wanted, version } => {
                to_v2(bundle, (wanted, version), &self.translation)
            }
            Ask::Sftp { .. } => Err(refused("SFTP")),
            Ask::ExecuteBot { .. } => Err(refused("running another bot")),
        }
    }

    /// Keeps a value, as much as a server does.
    fn keep(&mut self, key: &str, value: Option<&str>) -> Result<Answer, AskError> {
        if key.is_empty() || key.len() > STATE_KEY_BYTES_MAX {
            let why = format!("a key has 1 to {STATE_KEY_BYTES_MAX} bytes");
            return Err(AskError::Refused(why));
        }
        let Some(value) = value else {
            self.state.remove(key);
            return Ok(text(""));
        };
        let keys = u64::try_from(self.state.len()).unwrap_or(u64::MAX);
        let is_new = !self.state.contains_key(key);
        if value.len().saturating_add(key.len()) > STATE_VALUE_BYTES_MAX
            || (is_new && keys >= STATE_KEYS_MAX)
        {
            return Err(AskError::Failed(BotBookError::TooMuch.to_string()));
        }
        self.state.insert(key.to_owned(), value.to_owned());
        Ok(text(""))
    }

    fn table(&self, table: &str, key: &str) -> Result<Answer, AskError> {
        let is_name = !table.is_empty() && !table.contains(['/', '\\', '.']);
        let path = self.project.join("tables").join(format!("{table}.csv"));
        if !is_name || !path.is_file() {
            return Err(AskError::Failed(format!(
                "there is no table {table}: no tables/{table}.csv"
            )));
        }
        let content = std::fs::read_to_string(&path)
            .map_err(|_| AskError::Failed(format!("tables/{table}.csv can't be read")))?;
        let found = pipehat_engine::program::Table::parse(table, &content).map_err(|mistakes| {
            let first = mistakes.first().map_or("", |mistake| mistake.message.as_str());
            AskError::Failed(format!("tables/{table}.csv: {first}"))
        })?;
        Ok(found.becomes(key).map_or_else(nothing, text))
    }

    fn http(&mut self) -> Result<&(tokio::runtime::Runtime, reqwest::Client), AskError> {
        match &mut self.http {
            Some(http) => Ok(http),
            none => Ok(none.insert(http().map_err(AskError::Failed)?)),
        }
    }

    /// A request that the bot may make.
    fn request(
        &mut self,
        (method, url): (&str, &str),
        headers: &[(String, String)],
        body: &[u8],
        remaining: Duration,
    ) -> Result<reqwest::RequestBuilder, AskError> {
        let url = reqwest::Url::parse(url)
            .map_err(|error| AskError::Failed(format!("the URL can't be read: {error}")))?;
        let host = match (url.host_str(), url.port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (Some(host), None) => host.to_owned(),
            (None, _) => return Err(AskError::Failed("the URL names no host".to_owned())),
        };
        if !self.hosts.contains(&host) {
            return Err(AskError::Refused(format!(
                "the bot may not speak to {host}: `--allow {host}` lets it here, and its configuration on a server"
            )));
        }
        let (_, client) = self.http()?;
        let method = reqwest::Method::from_bytes(method.as_bytes())
            .map_err(|_| AskError::Failed("there is no such method".to_owned()))?;
        let mut request = client.request(method, url).timeout(remaining).body(body.to_vec());
        for (name, value) in headers {
            request = request.header(name, value);
        }
        Ok(request)
    }
}

impl Host for LocalHost {
    fn now(&mut self) -> Timestamp {
        Timestamp::now()
    }

    fn random(&mut self, bytes: &mut [u8]) {
        if getrandom::fill(bytes).is_err() {
            bytes.fill(0);
        }
    }

    fn ask(&mut self, ask: &Ask, remaining: Duration) -> Result<Answer, AskError> {
        self.answer(ask, remaining)
    }

    /// Fetches go by themselves, as on a server; all else is done in place.
    fn begin(&mut self, number: u32, ask: &Ask, remaining: Duration) -> Begun {
        let Ask::Fetch { method, url, headers, body } = ask else {
            return Begun::Answered(self.answer(ask, remaining));
        };
        let request = match self.request((method, url), headers, body, remaining) {
            Ok(request) => request,
            Err(error) => return Begun::Answered(Err(error)),
        };
        let Some((runtime, _)) = &self.http else {
            return Begun::Answered(self.answer(ask, remaining));
        };
        let fetch = async move { (number, fetched(request).await) };
        let handle = self.fetches.spawn_on(fetch, runtime.handle());
        self.open.insert(number, handle);
        Begun::Open
    }

    fn next_answer(&mut self, most: Duration) -> Option<(u32, Result<Answer, AskError>)> {
        let (runtime, _) = self.http.as_ref()?;
        let begun = Instant::now();
        loop {
            let left = most.saturating_sub(begun.elapsed());
            let next = async { tokio::time::timeout(left, self.fetches.join_next()).await };
            match runtime.block_on(next) {
                Ok(Some(Ok((number, answer)))) => {
                    self.open.remove(&number);
                    return Some((number, answer));
                }
                // It was given up.
                Ok(Some(Err(_))) => {}
                // No fetch is under way, and the run has its thread to itself: only a timer is waited for.
                Ok(None) => {
                    std::thread::sleep(left);
                    return None;
                }
                Err(_) => return None,
            }
        }
    }

    fn give_up(&mut self, number: u32) {
        if let Some(fetch) = self.open.remove(&number) {
            fetch.abort();
        }
    }

    fn log(&mut self, line: LogLine) {
        self.log.push(line);
    }
}

/// Makes a request, and takes all of its answer.
async fn fetched(request: reqwest::RequestBuilder) -> Result<Answer, AskError> {
    let failed = |error: reqwest::Error| AskError::Failed(with_causes(&error));
    let mut response = request.send().await.map_err(failed)?;
    let headers = response.headers().iter().map(|(name, value)| {
        (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    });
    let (status, headers) = (response.status().as_u16(), headers.collect());
    let mut body = Vec::new();
    while let Some(part) = response.chunk().await.map_err(failed)? {
        if body.len().saturating_add(part.len()) > ANSWER_BYTES_MAX {
            return Err(AskError::Failed("the answer is larger than 16 MiB".to_owned()));
        }
        body.extend_from_slice(&part);
    }
    Ok(Answer { status, headers, body })
}

fn http() -> Result<(tokio::runtime::Runtime, reqwest::Client), String> {
    // Who has installed one before has installed the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    // An answer that leads elsewhere could lead to a host that was not granted.
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build();
    Ok((runtime, client.map_err(|error| with_causes(&error))?))
}

/// The error and its causes as one sentence, without the URL: that may carry patient data.
fn with_causes(error: &reqwest::Error) -> String {
    let mut message = match error.is_timeout() {
        true => "no answer in time".to_owned(),
        false => "the request failed".to_owned(),
    };
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        message = format!("{message}: {error}");
        cause = error.source();
    }
    message
}

fn to_fhir(message: &str, settings: &TranslationSettings) -> Result<Answer, AskError> {
    let Made { made: bundle, .. } =
        translate_to_fhir(message, settings).map_err(AskError::Failed)?;
    let headers = vec![("content-type".to_owned(), "application/fhir+json".to_owned())];
    Ok(Answer { status: 200, headers, body: bundle.into_bytes() })
}

fn to_v2(
    bundle: &str,
    wanted: (&str, &str),
    settings: &TranslationSettings,
) -> Result<Answer, AskError> {
    let control_id =
        ControlIds::new().map_err(|error| AskError::Failed(error.to_string()))?.next_text();
    let stamp = (Timestamp::now(), control_id.as_str());
    let Made { made: body, .. } =
        translate_to_v2(bundle, wanted, stamp, settings).map_err(AskError::Failed)?;
    Ok(Answer { status: 200, headers: Vec::new(), body })
}

fn refused(what: &str) -> AskError {
    AskError::Refused(format!(
        "{what} needs a server: `pipehat bot run` has none; in `pipehat bot test` write the answer into asks.json"
    ))
}

fn text(text: &str) -> Answer {
    Answer { status: 200, headers: Vec::new(), body: text.as_bytes().to_vec() }
}

/// What the datastore of a server answers whoever lacks a scope.
fn forbidden(why: &str) -> Answer {
    let outcome = json!({
        "resourceType": "OperationOutcome",
        "issue": [{ "severity": "error", "code": "forbidden", "details": { "text": why } }]
    });
    let headers = vec![("content-type".to_owned(), "application/fhir+json".to_owned())];
    Answer { status: 403, headers, body: outcome.to_string().into_bytes() }
}

fn nothing() -> Answer {
    Answer { status: 404, headers: Vec::new(), body: Vec::new() }
}
