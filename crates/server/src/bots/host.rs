//! What a run may ask: the datastore under the bot's own name, what its file grants, and nothing else.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use jiff::Timestamp;
use pipehat_engine::program::{
    Followed, KeepsLineage, Made, Told, ToldFinding, TranslationSettings,
};
use pipehat_resource::json;
use pipehat_script::{Answer, Ask, AskError, Begun, Host, LogLine, Output};
use pipehat_store::bots::STATE_KEY_BYTES_MAX;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, JoinSet};

use super::deployed::{ChannelPart, Deployed};
use super::files::{self, FileRequest, FileToFinish};
use super::hosts;
use super::input;
use super::pool::run_here;
use super::resources::SYSTEM;
use super::service::{Bots, event};
use crate::fhir::{PROJECT, Principal, Query, Scopes};

/// How deep bots may run bots.
pub(super) const DEPTH_MAX: u8 = 4;

/// How many fetches of one run go at the same time.
const FETCHES_AT_ONCE: usize = 8;

/// The largest answer of a fetch.
const FETCHED_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The most that one run may send.
const SENT_MAX: usize = 1_000;

/// What a script can't set: the connection's, and what is ours.
const HEADERS_REFUSED: [&str; 8] = [
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "upgrade",
];

/// For what a run is.
#[derive(Debug, Clone, Default)]
pub(super) struct Setting {
    /// The channel whose step it is, and its destinations.
    pub(super) channel: Option<(Arc<str>, Arc<ChannelPart>)>,
    /// How many bots run bots above this one.
    pub(super) depth: u8,
    /// How many runs led to it, each for a change that the one before made.
    pub(super) chain: u16,
}

impl Setting {
    /// What it translates by: the bot's own before the channel's.
    fn translation<'s>(&self, bot: &'s Deployed) -> Cow<'s, TranslationSettings> {
        match &self.channel {
            Some((_, part)) => Cow::Owned(bot.translation.or(&part.translation)),
            // Nothing of the message would be kept with it.
            None => Cow::Owned(TranslationSettings {
                lineage: Some(KeepsLineage::No),
                ..bot.translation.clone()
            }),
        }
    }

    /// Whose values it reads and keeps.
    fn owner(&self, bot: &Deployed) -> String {
        match &self.channel {
            Some((channel, _)) => format!("channel {channel}"),
            None => format!("bot {}", bot.id),
        }
    }
}

/// What a run wants done once it has succeeded.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    /// To destinations of its own channel.
    pub(super) outputs: Vec<(Arc<str>, Bytes)>,
    /// To other channels.
    pub(super) handed_over: Vec<(String, Bytes)>,
    /// To be done with files once what is sent is kept.
    pub(super) files: Vec<FileToFinish>,
    /// Why the message is set aside.
    pub(super) park: Option<String>,
    /// What the datastore refused for want of a scope, in its own words, which name no value.
    pub(super) refused: Vec<String>,
    /// Where what was translated came from; none where that is more than is kept.
    pub(super) lineage: Vec<Option<Bytes>>,
}

/// The most translations of one run whose lineage is kept.
const LINEAGES_MAX: usize = 100;

/// The most bytes of lineage that one run keeps.
const LINEAGE_BYTES_MAX: usize = 1024 * 1024;

impl Gathered {
    /// Keeps the lineage of a translation with the message whose step the run is.
    fn follow(&mut self, lineage: Followed) {
        let lineage = match lineage {
            Followed::NotWanted => return,
            Followed::TooLarge => None,
            Followed::Kept(lineage) => Some(lineage),
        };
        if self.lineage.len() >= LINEAGES_MAX {
            return;
        }
        // The last that is told stands for all that follow: they are not kept.
        let has_room = self.lineage.len().saturating_add(1) < LINEAGES_MAX;
        let before: usize = self.lineage.iter().flatten().map(Bytes::len).sum();
        let fits = |own: &Bytes| before.saturating_add(own.len()) <= LINEAGE_BYTES_MAX;
        self.lineage.push(lineage.filter(|own| has_room && fits(own)));
    }
}

/// The outside of one run.
pub(super) struct RunHost {
    bots: Arc<Bots>,
    bot: Arc<Deployed>,
    setting: Setting,
    log: Vec<LogLine>,
    gathered: Gathered,
    /// The fetches under way: they end with the run.
    fetches: JoinSet<(u32, Result<Answer, AskError>)>,
    /// The same by number.
    open: BTreeMap<u32, AbortHandle>,
    /// Room for [`FETCHES_AT_ONCE`].
    room: Arc<Semaphore>,
}

impl RunHost {
    pub(super) fn new(bots: Arc<Bots>, bot: Arc<Deployed>, setting: Setting) -> Self {
        let (log, gathered, fetches, open) = Default::default();
        let room = Arc::new(Semaphore::new(FETCHES_AT_ONCE));
        Self { bots, bot, setting, log, gathered, fetches, open, room }
    }

    pub(super) fn take(&mut self) -> (Vec<LogLine>, Gathered) {
        (std::mem::take(&mut self.log), std::mem::take(&mut self.gathered))
    }

    fn wait_for<T>(
        &self,
        remaining: Duration,
        work: impl Future<Output = Result<T, AskError>>,
    ) -> Result<T, AskError> {
        self.bots.handle.block_on(async {
            tokio::time::timeout(remaining, work).await.unwrap_or(Err(AskError::TimedOut))
        })
    }

    /// A request that the bot may make.
    fn request(
        &self,
        (method, url): (&str, &str),
        headers: &[(String, String)],
        body: &[u8],
        remaining: Duration,
    ) -> Result<reqwest::RequestBuilder, AskError> {
        let allowed = self.bot.hosts.allowed(url);
        let url = allowed.map_err(|_| AskError::Refused(hosts::refusal(url)))?;
        let method = reqwest::Method::from_bytes(method.as_bytes())
            .map_err(|_| AskError::Refused("there is no such method".to_owned()))?;
        let mut sent = HeaderMap::new();
        for (name, value) in headers {
            if HEADERS_REFUSED.contains(&name.as_str()) {
                continue;
            }
            let pair =
                HeaderName::from_bytes(name.as_bytes()).ok().zip(HeaderValue::from_str(value).ok());
            let Some((name, mut value)) = pair else {
                return Err(AskError::Failed("a header has characters that none has".to_owned()));
            };
            value.set_sensitive(true);
            sent.append(name, value);
        }
        let request = self.bots.client.request(method, url).headers(sent).timeout(remaining);
        Ok(request.body(body.to_vec()))
    }

    fn datastore(
        &mut self,
        (method, path): (&str, &str),
        headers: &[(String, String)],
        body: &[u8],
        remaining: Duration,
    ) -> Result<Answer, AskError> {
        let Some(local) = self.bots.datastore() else {
            return Err(AskError::Refused(
                "this project has no datastore: add `datastore:` to pipehat.yaml".to_owned(),
            ));
        };
        let method = http::Method::from_bytes(method.as_bytes())
            .map_err(|_| AskError::Refused("there is no such method".to_owned()))?;
        let mut sent = HeaderMap::new();
        for (name, value) in headers {
            let pair =
                HeaderName::from_bytes(name.as_bytes()).ok().zip(HeaderValue::from_str(value).ok());
            if let Some((name, value)) = pair.filter(|(name, _)| *name != http::header::HOST) {
                sent.append(name, value);
            }
        }
        let principal = local.principal(&self.bot);
        let body = Bytes::copy_from_slice(body);
        let exchange = local.exchange(principal, method.clone(), path, sent, body);
        let answered = self.wait_for(remaining, async {
            let writing = (!method.is_safe()).then(|| self.bots.own_changes.writing());
            let (status, headers, body) = exchange.await;
            let headers = headers.iter().filter_map(|(name, value)| {
                Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
            });
            let answer =
                Answer { status: status.as_u16(), headers: headers.collect(), body: body.to_vec() };
            let own = (self.bot.id.as_str(), self.setting.chain);
            self.bots.own_changes.note(own, &method, path, &answer);
            drop(writing);
            Ok(answer)
        });
        if let Ok(answer) = &answered {
            self.note_refusal(answer);
        }
        answered
    }

    /// Keeps in mind what the bot has no scope for: the run that ends by it is no other try's to mend.
    fn note_refusal(&mut self, answer: &Answer) {
        if answer.status != http::StatusCode::FORBIDDEN.as_u16() {
            return;
        }
        let outcome = json::parse(&answer.body).unwrap_or(json::Value::Null);
        let mut texts = outcome.items("issue").iter().filter_map(|issue| {
            issue
                .get("details")
                .and_then(|details| details.text("text"))
                .or_else(|| issue.text("diagnostics"))
        });
        if let Some(text) = texts.next() {
            let text = text.to_owned();
            if !self.gathered.refused.contains(&text) {
                self.gathered.refused.push(text);
            }
        }
    }

    fn send(&mut self, to: &str, body: &[u8]) -> Result<Answer, AskError> {
        if self.gathered.outputs.len().saturating_add(self.gathered.handed_over.len()) >= SENT_MAX {
            return Err(AskError::Refused(format!("a run sends at most {SENT_MAX} messages")));
        }
        if let Some((channel, part)) = &self.setting.channel {
            if let Some(name) = part.destinations.iter().find(|name| &***name == to) {
                self.gathered.outputs.push((Arc::clone(name), Bytes::copy_from_slice(body)));
                return Ok(done());
            }
            if **channel == *to {
                return Err(AskError::Refused(
                    "a bot can't send to the channel whose step it is; return what goes on"
                        .to_owned(),
                ));
            }
        }
        if !self.bot.allow.channels.iter().any(|channel| channel == to) {
            return Err(AskError::Refused(format!(
                "`{to}` is no destination of the channel, and no channel that this bot may send to: add it to \
                 `allow: {{ channels: [{to}] }}`"
            )));
        }
        self.gathered.handed_over.push((to.to_owned(), Bytes::copy_from_slice(body)));
        Ok(done())
    }

    /// The id of a bot that a script names by it, by a reference, or by an identifier (`system|value`).
    fn named(&self, bot: &str, remaining: Duration) -> Result<String, AskError> {
        let Some((system, value)) = bot.split_once('|') else {
            return Ok(bot.strip_prefix("Bot/").unwrap_or(bot).to_owned());
        };
        if system == SYSTEM || (system.is_empty() && self.bots.is_of_project(value)) {
            return Ok(value.to_owned());
        }
        let unknown = || AskError::Failed("no bot has this identifier, or several have".to_owned());
        let local = self.bots.datastore().ok_or_else(unknown)?;
        // Whether it may be run is asked next; until then nothing is told of it.
        let principal = Principal { client: PROJECT.into(), scopes: Scopes::All };
        let mut query = Query::default();
        query.push("identifier", bot);
        query.push("_count", "2");
        let path = format!("Bot?{}", query.encoded());
        let search =
            local.exchange(principal, http::Method::GET, &path, HeaderMap::new(), Bytes::new());
        let (_, _, body) = self.wait_for(remaining, async { Ok(search.await) })?;
        let found = json::parse(&body).unwrap_or(json::Value::Null);
        let mut ids = found.items("entry").iter().filter_map(|entry| entry.get("resource")?.id());
        match (ids.next(), ids.next()) {
            (Some(id), None) => Ok(id.to_owned()),
            _ => Err(unknown()),
        }
    }

    fn finish_later(&mut self, file: FileToFinish) -> Result<Answer, AskError> {
        if self.setting.channel.is_some() {
            // What a step sends is kept with its message, after the step.
            return Err(AskError::Refused(
                "a step of a channel can't do something with a file once its message is kept: have a bot do it that runs by \
                 the clock or by a webhook"
                    .to_owned(),
            ));
        }
        if self.gathered.files.len() >= SENT_MAX {
            return Err(AskError::Refused(format!("a run finishes at most {SENT_MAX} files")));
        }
        self.gathered.files.push(file);
        Ok(done())
    }

    /// Runs another bot on this thread, with its own identity and rights.
    fn execute(
        &self,
        bot: &str,
        content_type: &str,
        body: &[u8],
        remaining: Duration,
    ) -> Result<Answer, AskError> {
        let name = self.named(bot, remaining)?;
        let name = name.as_str();
        if !self.bot.allow.bots.iter().any(|allowed| allowed == name) {
            return Err(AskError::Refused(format!(
                "this bot may not run `{name}`: add it to `allow: {{ bots: [{name}] }}`"
            )));
        }
        if self.setting.depth >= DEPTH_MAX {
            return Err(AskError::Refused(format!("bots run bots at most {DEPTH_MAX} deep")));
        }
        let bots = Arc::clone(&self.bots);
        let found = self.wait_for(remaining, async {
            bots.find(name).await.map_err(|error| AskError::Failed(error.to_string()))
        })?;
        let event = event(&found, content_type, body.to_vec(), Vec::new())
            .map_err(|why| AskError::Failed(why.to_owned()))?;
        let depth = self.setting.depth.saturating_add(1);
        let setting = Setting { depth, chain: self.setting.chain, ..Setting::default() };
        let host = RunHost::new(Arc::clone(&self.bots), Arc::clone(&found), setting);
        let ended = run_here(&found, &event, host);
        let caller = format!("Bot/{}", self.bot.id);
        let result = bots.end_nested(&found, &caller, content_type, body, ended);
        let output = result.map_err(AskError::Failed)?;
        let (content_type, body) = input::output(output, content_type, body, Timestamp::now());
        let headers = vec![("content-type".to_owned(), content_type)];
        Ok(Answer { status: 200, headers, body })
    }
}

impl Host for RunHost {
    fn now(&mut self) -> Timestamp {
        Timestamp::now()
    }

    fn random(&mut self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the system has randomness, or nothing here is safe");
    }

    fn ask(&mut self, ask: &Ask, remaining: Duration) -> Result<Answer, AskError> {
        match ask {
            Ask::Fetch { method, url, headers, body } => {
                let request = self.request((method, url), headers, body, remaining)?;
                self.wait_for(remaining, fetched(request))
            }
            Ask::Datastore { method, path, headers, body } => {
                self.datastore((method, path), headers, body, remaining)
            }
            Ask::Table { table, key } => {
                let set = self.bots.set();
                let Some(found) = set.tables.get(table) else {
                    return Err(AskError::Refused(format!("the project has no table `{table}`")));
                };
                Ok(match found.becomes(key) {
                    Some(value) => text(value.to_owned()),
                    None => absent(),
                })
            }
            Ask::StateGet { key } => {
                let owner = self.setting.owner(&self.bot);
                match self.bots.book.value(&owner, key) {
                    Ok(Some(value)) => Ok(text(value)),
                    Ok(None) => Ok(absent()),
                    Err(error) => Err(AskError::Failed(error.to_string())),
                }
            }
            Ask::StateSet { key, value } => {
                check_key(key)?;
                let owner = self.setting.owner(&self.bot);
                let kept = self.bots.book.keep_value(&owner, key, value.as_deref());
                kept.map(|()| done()).map_err(|error| AskError::Failed(error.to_string()))
            }
            Ask::StateAdd { key, by } => {
                check_key(key)?;
                let owner = self.setting.owner(&self.bot);
                match self.bots.book.add_to_value(&owner, key, *by) {
                    Ok(Some(sum)) => Ok(text(sum.to_string())),
                    Ok(None) => Err(AskError::Failed(NOT_COUNTED.to_owned())),
                    Err(error) => Err(AskError::Failed(error.to_string())),
                }
            }
            Ask::Send { destination, body, .. } => self.send(destination, body),
            Ask::Park { reason } => {
                if self.setting.channel.is_none() {
                    return Err(AskError::Refused(
                        "only a message of a channel can be set aside".to_owned(),
                    ));
                }
                self.gathered.park = Some(reason.clone());
                Ok(done())
            }
            Ask::ToFhir { message } => {
                let (answer, lineage) = to_fhir(message, &self.setting.translation(&self.bot))?;
                self.gathered.follow(lineage);
                Ok(answer)
            }
            Ask::ToV2 { bundle, wanted, version } => {
                let settings = self.setting.translation(&self.bot);
                let (answer, lineage) = to_v2(bundle, (wanted, version), &settings)?;
                self.gathered.follow(lineage);
                Ok(answer)
            }
            Ask::Sftp { server, operation, path, argument, body } => {
                let argument = argument.as_deref();
                let request = FileRequest { server, operation, path, argument, body };
                let set = self.bots.set();
                let server = files::granted(server, &self.bot.allow.sftp, &set.sftp)?;
                if let Some(later) = FileToFinish::of(&request) {
                    return self.finish_later(later);
                }
                self.bots.handle.block_on(files::answer(&request, server, remaining))
            }
            Ask::ExecuteBot { bot, content_type, body } => {
                self.execute(bot, content_type, body, remaining)
            }
        }
    }

    /// Fetches go by themselves, at most [`FETCHES_AT_ONCE`] of a run at the same time; all else is done in place.
    fn begin(&mut self, number: u32, ask: &Ask, remaining: Duration) -> Begun {
        let Ask::Fetch { method, url, headers, body } = ask else {
            return Begun::Answered(self.ask(ask, remaining));
        };
        let request = match self.request((method, url), headers, body, remaining) {
            Ok(request) => request,
            Err(error) => return Begun::Answered(Err(error)),
        };
        let room = Arc::clone(&self.room);
        let answer = async move {
            let _place = room.acquire_owned().await;
            fetched(request).await
        };
        let fetch = async move {
            let answer = tokio::time::timeout(remaining, answer).await;
            (number, answer.unwrap_or(Err(AskError::TimedOut)))
        };
        let handle = self.fetches.spawn_on(fetch, &self.bots.handle);
        self.open.insert(number, handle);
        Begun::Open
    }

    fn next_answer(&mut self, most: Duration) -> Option<(u32, Result<Answer, AskError>)> {
        let begun = Instant::now();
        loop {
            let left = most.saturating_sub(begun.elapsed());
            let next = async { tokio::time::timeout(left, self.fetches.join_next()).await };
            match self.bots.handle.block_on(next) {
                Ok(Some(Ok((number, answer)))) => {
                    self.open.remove(&number);
                    return Some((number, answer));
                }
                // It was given up, or ended in a panic.
                Ok(Some(Err(error))) => {
                    let of_it = |(_, open): &(&u32, &AbortHandle)| open.id() == error.id();
                    let number = self.open.iter().find(of_it).map(|(number, _)| *number);
                    if let Some(number) = number {
                        self.open.remove(&number);
                        let why = "the request broke off".to_owned();
                        return Some((number, Err(AskError::Failed(why))));
                    }
                }
                Ok(None) => {
                    self.wait(left);
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

/// What `state.add` says of a value that it can't add to.
const NOT_COUNTED: &str = "the value is no whole number, or becomes too large: it is left as it is";

fn check_key(key: &str) -> Result<(), AskError> {
    match key.is_empty() || key.len() > STATE_KEY_BYTES_MAX {
        true => Err(AskError::Refused(format!("a key has 1 to {STATE_KEY_BYTES_MAX} bytes"))),
        false => Ok(()),
    }
}

/// Makes a request, and takes all of its answer.
async fn fetched(request: reqwest::RequestBuilder) -> Result<Answer, AskError> {
    let failed = |error: reqwest::Error| {
        if error.is_timeout() {
            AskError::TimedOut
        } else {
            AskError::Failed(why(&error).to_owned())
        }
    };
    let mut response = request.send().await.map_err(failed)?;
    let status = response.status().as_u16();
    let headers = response.headers().iter().filter_map(|(name, value)| {
        Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
    });
    let headers = headers.collect();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        if body.len().saturating_add(chunk.len()) > FETCHED_BYTES_MAX {
            return Err(AskError::Failed("the answer is larger than 16 MiB".to_owned()));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status, headers, body })
}

/// As a bot sees a translation: the Bundle or the message, with what could not be said beside it.
fn to_fhir(message: &str, settings: &TranslationSettings) -> Result<(Answer, Followed), AskError> {
    let translated = pipehat_engine::program::translate_to_fhir(message, settings);
    let Made { made, told, lineage } = translated.map_err(AskError::Failed)?;
    Ok((translated_answer(made.into_bytes(), "application/fhir+json", &told), lineage))
}

fn to_v2(
    bundle: &str,
    wanted: (&str, &str),
    settings: &TranslationSettings,
) -> Result<(Answer, Followed), AskError> {
    let control_id = STANDARD.encode(random(12)).replace(['+', '/'], "0");
    let translated = pipehat_engine::program::translate_to_v2(
        bundle,
        wanted,
        (Timestamp::now(), &control_id),
        settings,
    );
    let Made { made, told, lineage } = translated.map_err(AskError::Failed)?;
    Ok((translated_answer(made, "x-application/hl7-v2+er7", &told), lineage))
}

/// The header of an answer that has what a translation could not say.
pub(super) const FINDINGS: &str = "x-findings";

fn translated_answer(body: Vec<u8>, content_type: &str, findings: &Told) -> Answer {
    let findings: Vec<_> = findings
        .iter()
        .map(|ToldFinding { code, path, text }| {
            serde_json::json!({ "code": code, "path": path, "text": text })
        })
        .collect();
    let headers = vec![
        ("content-type".to_owned(), content_type.to_owned()),
        (FINDINGS.to_owned(), serde_json::Value::Array(findings).to_string()),
    ];
    Answer { status: 200, headers, body }
}

fn random(count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    getrandom::fill(&mut bytes).expect("the system has randomness, or nothing here is safe");
    bytes
}

fn done() -> Answer {
    Answer { status: 200, ..Answer::default() }
}

fn absent() -> Answer {
    Answer { status: 404, ..Answer::default() }
}

fn text(text: String) -> Answer {
    Answer { status: 200, headers: Vec::new(), body: text.into_bytes() }
}

/// Why a fetch failed, without its address.
fn why(error: &reqwest::Error) -> &'static str {
    if error.is_connect() { "no connection" } else { "the connection broke off" }
}

/// The text of an output: what a channel goes on with.
pub(super) fn bytes_of(output: Output) -> (bool, Option<Bytes>) {
    match output {
        Output::Nothing => (false, None),
        Output::Hl7(bytes) | Output::Bytes(bytes) => (false, Some(bytes.into())),
        Output::Text(text) => (false, Some(text.into())),
        Output::Json(json) => (true, Some(json.into())),
    }
}
