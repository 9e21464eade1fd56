//! Bots: which there are, their runs, what was given up, and replay.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use pipehat_engine::ChannelStatus;
use pipehat_script::Concealed;
use pipehat_store::bots::{BotBookError, BotRun, RunQuery, RunState, RunSummary};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::problem::ApiError;
use super::request::{JsonBody, Number};
use crate::bots::Failures;
use crate::fhir::{instant, now};
use crate::node::Shared;

/// How many runs a page has when nothing is asked for, and at most.
const PAGE: usize = 100;
const PAGE_MAX: usize = 1_000;

/// The bots of the project, and those that have runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BotsView {
    /// By name.
    pub bots: Vec<BotView>,
}

/// A bot.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BotView {
    /// The id of its resource; of a bot of the project, its name.
    pub bot: String,
    /// Whether the project directory has it; else a client deployed it, or it is gone.
    pub of_project: bool,
    /// Its revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// What it runs for: `subscription`, `webhook`, `cron`.
    pub triggers: Vec<String>,
    /// Runs that are to be tried.
    pub waiting: u64,
    /// Those of them that failed, and are tried again.
    #[serde(default)]
    pub failing: u64,
    /// Runs that were given up.
    pub dead: u64,
    /// Changes of the datastore that it has not been run for yet.
    #[serde(default)]
    pub changes_waiting: u64,
    /// Those of them for which it failed, and is run again.
    #[serde(default)]
    pub changes_failing: u64,
    /// Changes of the datastore for which it was given up.
    #[serde(default)]
    pub changes_given_up: u64,
    /// Why it failed for a change, or in a run that is tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// Channels in which it fails as a step.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<FailingStepView>,
    /// Why it hears of no change: the datastore refused its Subscription, or there is no such bot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unheard: Option<String>,
}

impl BotView {
    fn named(self, bot: String) -> Self {
        Self { bot, ..self }
    }

    /// Whether a person has to look: it fails, was given up, or hears of nothing.
    pub fn needs_a_person(&self) -> bool {
        self.dead > 0
            || self.failing > 0
            || self.changes_failing > 0
            || self.changes_given_up > 0
            || !self.steps.is_empty()
            || self.unheard.is_some()
    }
}

/// A channel in which a bot fails as a step.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FailingStepView {
    /// The channel.
    pub channel: String,
    /// Messages at which it fails and is run again, each of which holds its lane.
    pub messages: u64,
    /// Messages that wait behind them.
    pub waiting: u64,
    /// How often it failed in a row, or at one of those messages.
    pub failures: u64,
    /// Since when.
    pub since: String,
    /// The operator code of the latest failure.
    pub code: String,
}

/// A page of runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RunsPage {
    /// The latest first.
    pub runs: Vec<RunView>,
    /// Whether there are more before the last.
    pub more: bool,
}

/// A run, without its contents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RunView {
    /// Its number.
    pub run: u64,
    /// The bot.
    pub bot: String,
    /// What it ran for: execute, subscription, webhook, cron, channel, bot.
    pub trigger: String,
    /// Which one.
    pub source: String,
    /// waiting, running, done, failed or dead.
    pub state: String,
    /// When it was asked for.
    pub queued: String,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
    /// When it is tried next, where it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<String>,
    /// How often it was tried.
    pub attempts: u32,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// How long it took, in microseconds.
    pub took_us: u64,
}

/// A run, whole: it may hold patient data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RunDetail {
    /// The run.
    pub run: RunView,
    /// The revision that ran.
    pub revision: String,
    /// How much processor time it used, in microseconds.
    pub cpu_us: u64,
    /// The content type of its input.
    pub content_type: String,
    /// Its input; none where it is no text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<String>,
    /// The content type of its result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result_type: Option<String>,
    /// Its result; none where it is no text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
    /// The error's own words and its stack.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Its log.
    #[schema(value_type = Vec<Object>)]
    pub log: serde_json::Value,
    /// What it asked and was answered.
    #[schema(value_type = Vec<Object>)]
    pub effects: serde_json::Value,
}

/// Which runs.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct RunsQuery {
    /// Only those of this bot.
    pub bot: Option<String>,
    /// Only those that stand so: waiting, running, done, failed or dead.
    pub state: Option<String>,
    /// Only those before this one.
    pub before: Option<u64>,
    /// How many; 100 unless said, at most 1,000.
    pub limit: Option<usize>,
}

/// What is to be run again.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplayRequest {
    /// Which run; also one that failed and was not promised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<u64>,
    /// All that were given up of this bot; of all where none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bot: Option<String>,
}

/// What is not to be run again.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DiscardRunsRequest {
    /// Which run that was given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<u64>,
    /// All that were given up of this bot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bot: Option<String>,
    /// Why; it stands with the run.
    pub reason: String,
}

/// What a discard did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DiscardedRuns {
    /// How many runs are not given up any more, but failed.
    pub discarded: u64,
}

/// What a replay did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Replayed {
    /// How many runs wait again.
    pub replayed: u64,
}

fn failed(error: BotBookError) -> ApiError {
    tracing::error!(error = &error as &dyn std::error::Error, "the book of bots fails");
    ApiError::unavailable("the book of bots can't be read; the log says why")
}

async fn book<T: Send + 'static>(
    shared: &Shared,
    work: impl FnOnce(&pipehat_store::bots::BotBook) -> Result<T, BotBookError> + Send + 'static,
) -> Result<T, ApiError> {
    let book = Arc::clone(shared.bots.book());
    let done = tokio::task::spawn_blocking(move || work(&book)).await;
    done.map_err(|_| ApiError::internal("the book of bots can't be read"))?.map_err(failed)
}

fn view(run: RunSummary) -> RunView {
    let waits = run.state == RunState::Waiting;
    RunView {
        run: run.id,
        bot: run.bot,
        trigger: run.trigger,
        source: run.source,
        state: run.state.code().to_owned(),
        queued: instant(run.queued),
        ended: run.ended.map(instant),
        due: waits.then(|| instant(run.due)),
        attempts: run.attempts,
        why: run.why,
        took_us: run.took,
    }
}

/// Every bot, with what waits and what was given up.
#[utoipa::path(get, path = "/api/v1/bots", responses((status = 200, body = BotsView)))]
pub(super) async fn list(State(shared): State<Arc<Shared>>) -> Result<Json<BotsView>, ApiError> {
    let channels = shared.engine.status().await;
    Ok(Json(BotsView { bots: views(&shared, &channels).await? }))
}

/// What the Subscriptions of bots wait for and fail at, by bot.
async fn of_subscriptions(shared: &Shared) -> Result<BTreeMap<String, BotView>, ApiError> {
    let Some(subscriptions) = &shared.subscriptions else { return Ok(BTreeMap::new()) };
    let states = subscriptions.states().await.map_err(|error| {
        tracing::error!(error = &error as &dyn std::error::Error, "the book of deliveries fails");
        ApiError::unavailable("the book of deliveries can't be read; the log says why")
    })?;
    let own = shared.bots.subscription_ids();
    let mut bots: BTreeMap<String, BotView> = BTreeMap::new();
    for state in states {
        let endpoint = state.endpoint.as_deref().and_then(|endpoint| endpoint.strip_prefix("Bot/"));
        let Some(bot) = endpoint.or_else(|| own.get(&state.id).map(String::as_str)) else {
            continue;
        };
        let view = bots.entry(bot.to_owned()).or_default();
        view.changes_waiting = view.changes_waiting.saturating_add(state.waiting);
        view.changes_failing = view.changes_failing.saturating_add(state.failing);
        view.changes_given_up = view.changes_given_up.saturating_add(state.dead_letters);
        view.problem = view.problem.take().or(state.problem);
        if state.active && shared.bots.is_nobody(bot).await {
            view.unheard = Some(NOBODY.to_owned());
        }
    }
    Ok(bots)
}

/// Of a bot that a Subscription names and that is not there: it may be deployed later, and is told of until then.
const NOBODY: &str = "a Subscription names this bot, and there is none; deploy it, or mend the Subscription's endpoint";

/// The channels in which bots fail as steps, by bot.
fn of_steps(shared: &Shared, channels: &[ChannelStatus]) -> BTreeMap<String, Vec<FailingStepView>> {
    let mut in_a_row = shared.bots.failing_steps.all();
    let mut bots: BTreeMap<String, Vec<FailingStepView>> = BTreeMap::new();
    for channel in channels {
        let name = channel.name.to_string();
        for failing in &channel.failing_bots {
            let known = in_a_row.remove(&(failing.bot.to_string(), name.clone()));
            let since = known.map_or(i64::MAX, |known| known.since);
            let view = FailingStepView {
                channel: name.clone(),
                messages: failing.messages,
                waiting: failing.waiting,
                failures: known.map_or(0, |known| known.count).max(u64::from(failing.tries)),
                since: instant(since.min(failing.since.as_microsecond())),
                code: failing.code.to_owned(),
            };
            bots.entry(failing.bot.to_string()).or_default().push(view);
        }
        // What it failed at is parked; where nothing is any more, a person has decided.
        if channel.counters.parked == 0 {
            continue;
        }
        for ((bot, _), failures) in in_a_row.iter().filter(|((_, of), _)| *of == name) {
            let Failures { count, since, code } = *failures;
            let view = FailingStepView {
                channel: name.clone(),
                failures: count,
                since: instant(since),
                code: code.to_owned(),
                ..FailingStepView::default()
            };
            bots.entry(bot.clone()).or_default().push(view);
        }
    }
    bots
}

/// All bots.
pub(super) async fn views(
    shared: &Shared,
    channels: &[ChannelStatus],
) -> Result<Vec<BotView>, ApiError> {
    let mut counts = book(shared, |book| book.counts()).await?;
    let (mut told, mut unheard) = (of_subscriptions(shared).await?, shared.bots.unheard());
    let mut steps = of_steps(shared, channels);
    let set = shared.bots.set();
    let mut names: BTreeSet<String> = set.bots.keys().cloned().collect();
    names.extend(counts.keys().chain(told.keys()).chain(steps.keys()).cloned());
    let bots = names.into_iter().map(|name| {
        let bot = set.bots.get(&name);
        let spec = bot.and_then(|bot| bot.spec.as_ref());
        let mut triggers = Vec::new();
        for (word, has) in [
            ("subscription", spec.is_some_and(|spec| !spec.subscriptions.is_empty())),
            ("webhook", spec.is_some_and(|spec| spec.webhook.is_some())),
            ("cron", spec.is_some_and(|spec| !spec.cron.is_empty())),
        ] {
            if has {
                triggers.push(word.to_owned());
            }
        }
        let counts = counts.remove(&name).unwrap_or_default();
        let told = told.remove(&name).unwrap_or_default();
        BotView {
            unheard: unheard.remove(&name).or(told.unheard),
            steps: steps.remove(&name).unwrap_or_default(),
            of_project: bot.is_some(),
            revision: bot.map(|bot| bot.revision.clone()),
            triggers,
            waiting: counts.waiting,
            failing: counts.failing,
            dead: counts.dead,
            problem: told.problem.or(counts.why),
            ..told
        }
        .named(name)
    });
    Ok(bots.collect())
}

/// Runs, the latest first.
#[utoipa::path(get, path = "/api/v1/bots/runs", params(RunsQuery),
    responses((status = 200, body = RunsPage), (status = 400, body = ApiError)))]
pub(super) async fn runs(
    State(shared): State<Arc<Shared>>,
    query: Result<Query<RunsQuery>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<RunsPage>, ApiError> {
    let Query(query) = query.map_err(|error| ApiError::bad_request(error.body_text()))?;
    let limit = query.limit.unwrap_or(PAGE).clamp(1, PAGE_MAX);
    let state = match query.state.as_deref() {
        None => None,
        Some(code) => Some(RunState::of_code(code).ok_or_else(|| {
            ApiError::bad_request("a run is waiting, running, done, failed or dead")
        })?),
    };
    let query =
        RunQuery { bot: query.bot, state, before: query.before, limit: limit.saturating_add(1) };
    let mut runs = book(&shared, move |book| book.runs(&query)).await?;
    let more = runs.len() > limit;
    runs.truncate(limit);
    Ok(Json(RunsPage { runs: runs.into_iter().map(view).collect(), more }))
}

/// A run with its input, its result, its log and what it asked.
#[utoipa::path(get, path = "/api/v1/bots/runs/{id}", params(("id" = u64, Path)),
    responses((status = 200, body = RunDetail), (status = 404, body = ApiError)))]
pub(super) async fn show(
    State(shared): State<Arc<Shared>>,
    Number(id): Number,
) -> Result<Json<RunDetail>, ApiError> {
    let run = book(&shared, move |book| book.run(id)).await?;
    let run = run.ok_or_else(|| ApiError::not_found("such run (any more)"))?;
    let concealed = Concealed::of(shared.bots.set().secrets_of(&run.bot));
    Ok(Json(detail(run, &concealed)))
}

fn detail(run: BotRun, concealed: &Concealed) -> RunDetail {
    let text = |bytes: Vec<u8>| {
        let text = String::from_utf8(bytes).ok().filter(|text| !text.is_empty())?;
        Some(concealed.text(&text).into_owned())
    };
    // What earlier releases recorded had secrets in it.
    let json = |text: &str| {
        let mut value = serde_json::from_str(text).unwrap_or_default();
        concealed.value(&mut value);
        value
    };
    RunDetail {
        revision: run.revision,
        cpu_us: run.cpu,
        content_type: run.content_type,
        input: text(run.input),
        result_type: run.result_type,
        result: text(run.result),
        error: run.error.map(|error| concealed.text(&error).into_owned()),
        log: json(&run.log),
        effects: json(&run.effects),
        run: view(RunSummary {
            id: run.id,
            bot: run.bot,
            trigger: run.trigger,
            source: run.source,
            state: run.state,
            queued: run.queued,
            ended: run.ended,
            due: run.due,
            attempts: run.attempts,
            why: run.why,
            took: run.took,
        }),
    }
}

/// Has runs that were given up, or failed, run again.
#[utoipa::path(post, path = "/api/v1/bots/replay", request_body = ReplayRequest,
    responses((status = 200, body = Replayed)))]
pub(super) async fn replay(
    State(shared): State<Arc<Shared>>,
    JsonBody(request): JsonBody<ReplayRequest>,
) -> Result<Json<Replayed>, ApiError> {
    let work = move |book: &pipehat_store::bots::BotBook| {
        book.replay(request.run, request.bot.as_deref(), now())
    };
    let replayed = book(&shared, work).await?;
    shared.bots.wake();
    Ok(Json(Replayed { replayed }))
}

/// Has runs that were given up be left: they stand as failed, with the reason.
#[utoipa::path(post, path = "/api/v1/bots/discard", request_body = DiscardRunsRequest,
    responses((status = 200, body = DiscardedRuns), (status = 400, body = ApiError)))]
pub(super) async fn discard(
    State(shared): State<Arc<Shared>>,
    JsonBody(request): JsonBody<DiscardRunsRequest>,
) -> Result<Json<DiscardedRuns>, ApiError> {
    let DiscardRunsRequest { run, bot, reason } = request;
    if reason.trim().is_empty() {
        return Err(ApiError::bad_request("say why, in `reason`"));
    }
    if run.is_none() && bot.is_none() {
        return Err(ApiError::bad_request(
            "say which: a `run`, or all that were given up of a `bot`",
        ));
    }
    let work =
        move |book: &pipehat_store::bots::BotBook| book.discard(run, bot.as_deref(), reason.trim());
    Ok(Json(DiscardedRuns { discarded: book(&shared, work).await? }))
}
