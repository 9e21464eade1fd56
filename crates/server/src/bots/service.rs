//! Runs bots, records what came of it, and keeps what nobody waits for.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use bytes::Bytes;
use jiff::Timestamp;
use pipehat_engine::Engine;
use pipehat_message::CharsetRule;
use pipehat_resource::json::parse;
use pipehat_script::{Concealed, Event, Output, Script};
use pipehat_store::bots::{BotBook, BotBookError, BotRun, RunState};
use pipehat_store::datastore::ResourceKey;
use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot};

use super::deployed::{BotSet, Deployed};
use super::failing::FailingSteps;
use super::failure::{Failed, why, words};
use super::files;
use super::host::{Gathered, RunHost, Setting};
use super::input;
use super::own_changes::OwnChanges;
use super::pool::{Ended, Full, Pool, run_here};
use super::record;
use crate::fhir::{BotDatastore, now};

/// How many runs go side by side where nothing else is said. Most of a run is waiting.
const THREADS: usize = 8;

/// How many bots that clients deployed are kept compiled.
const COMPILED_MAX: usize = 200;

/// What bots are made of.
pub(crate) struct BotsOptions {
    pub(crate) book: PathBuf,
    pub(crate) key: [u8; 32],
    pub(crate) set: BotSet,
}

/// Why bots can't start.
#[derive(Debug, thiserror::Error)]
pub enum BotsError {
    /// The book of runs.
    #[error(transparent)]
    Book(#[from] BotBookError),
    /// A thread.
    #[error("the system has no thread left for bots")]
    Thread(#[source] std::io::Error),
    /// The client that fetches.
    #[error("bots can't have an HTTP client")]
    Client(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A task ended by a panic.
    #[error("a part of the node failed")]
    Failed,
}

/// Why there is no such bot to run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotFound {
    #[error("there is no such bot")]
    Nobody,
    #[error("the bot has no code: deploy it")]
    NoCode,
    #[error("the bot's code can't be compiled: {0}")]
    Broken(String),
    #[error("the datastore can't be read")]
    Unread,
}

/// A run that is asked for.
pub(crate) struct Task {
    pub(crate) bot: Arc<Deployed>,
    pub(crate) trigger: &'static str,
    /// A reference to what it is for, without content.
    pub(crate) source: String,
    pub(crate) content_type: String,
    pub(crate) body: Vec<u8>,
    pub(crate) headers: Vec<(String, String)>,
}

/// What a run that succeeded gives.
pub(crate) struct Done {
    pub(crate) run: u64,
    pub(crate) output: Output,
}

/// The bots of a node.
pub(crate) struct Bots {
    pub(super) handle: Handle,
    pub(super) book: Arc<BotBook>,
    pub(super) client: reqwest::Client,
    pub(super) wake: Notify,
    pub(super) own_changes: OwnChanges,
    pub(crate) failing_steps: FailingSteps,
    pub(super) pool: Pool,
    set: RwLock<Arc<BotSet>>,
    /// What it reaches of the node, from its start until it is closed: the node reaches the bots too.
    datastore: RwLock<Option<Arc<BotDatastore>>>,
    engine: RwLock<Option<Arc<Engine>>>,
    /// Bots of the project that hear of no change, each with why: the datastore refused what tells them.
    pub(super) unheard: RwLock<BTreeMap<String, String>>,
    /// What clients deployed, compiled, by id with its version.
    compiled: Mutex<HashMap<String, (u64, Arc<Deployed>)>>,
}

impl Bots {
    /// Opens the book and starts the threads.
    ///
    /// # Errors
    /// When the book can't be opened, or there are no threads.
    pub(crate) async fn start(options: BotsOptions) -> Result<Arc<Self>, BotsError> {
        let BotsOptions { book, key, set } = options;
        let open = move || BotBook::open(&book, key, now());
        let book = tokio::task::spawn_blocking(open).await.map_err(|_| BotsError::Failed)??;
        let client =
            crate::fhir::careful_client().map_err(|error| BotsError::Client(Box::new(error)))?;
        Ok(Arc::new(Self {
            handle: Handle::current(),
            book: Arc::new(book),
            client,
            wake: Notify::new(),
            own_changes: OwnChanges::default(),
            failing_steps: FailingSteps::default(),
            pool: Pool::start(THREADS).map_err(BotsError::Thread)?,
            set: RwLock::new(Arc::new(set)),
            datastore: RwLock::default(),
            engine: RwLock::default(),
            unheard: RwLock::default(),
            compiled: Mutex::default(),
        }))
    }

    /// From now on bots reach this datastore.
    pub(crate) fn use_datastore(&self, datastore: BotDatastore) {
        put(&self.datastore, Some(Arc::new(datastore)));
    }

    /// From now on bots reach the channels of this engine.
    pub(crate) fn use_engine(&self, engine: Arc<Engine>) {
        put(&self.engine, Some(engine));
    }

    /// Goes by another project from now on. Runs under way end as they began.
    pub(crate) fn use_set(&self, set: BotSet) {
        self.failing_steps.keep(|bot| set.bots.contains_key(bot));
        *self.set.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(set);
        // What they may is another thing now.
        self.compiled.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.wake.notify_one();
    }

    /// Takes nothing more, waits for what runs, and lets go of the node, whose databases close once nobody holds them.
    pub(crate) fn close(&self) {
        self.pool.close();
        put(&self.datastore, None);
        put(&self.engine, None);
    }

    /// Has what is due looked at.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    pub(crate) fn book(&self) -> &Arc<BotBook> {
        &self.book
    }

    pub(crate) fn set(&self) -> Arc<BotSet> {
        Arc::clone(&self.set.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Bots of the project that hear of no change, and why.
    pub(crate) fn unheard(&self) -> BTreeMap<String, String> {
        self.unheard.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn datastore(&self) -> Option<Arc<BotDatastore>> {
        self.datastore.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn engine(&self) -> Option<Arc<Engine>> {
        self.engine.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether a bot is the project's.
    pub(crate) fn is_of_project(&self, id: &str) -> bool {
        self.set().bots.contains_key(id)
    }

    /// The bot of an id: the project's, or one that a client deployed.
    pub(crate) async fn find(&self, id: &str) -> Result<Arc<Deployed>, NotFound> {
        let set = self.set();
        if let Some(bot) = set.bots.get(id) {
            return Ok(Arc::clone(bot));
        }
        let datastore = self.datastore().ok_or(NotFound::Nobody)?;
        let key = ResourceKey { resource_type: "Bot".to_owned(), id: id.to_owned() };
        let version = datastore.read(&key).await.map_err(|_| NotFound::Unread)?;
        let version = version.ok_or(NotFound::Nobody)?;
        let body = version.body.as_deref().ok_or(NotFound::Nobody)?;
        if let Some(bot) = self.known(id, version.version) {
            return Ok(bot);
        }
        let resource = parse(body.as_bytes()).map_err(|_| NotFound::Unread)?;
        let (name, code) = super::resources::code_of(&resource).ok_or(NotFound::NoCode)?;
        let script = compile(name, code).await?;
        let revision = format!("{}.{}", id, version.version);
        let bot = Arc::new(set.of_api(id, revision, script));
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        if compiled.len() >= COMPILED_MAX {
            compiled.clear();
        }
        compiled.insert(id.to_owned(), (version.version, Arc::clone(&bot)));
        Ok(bot)
    }

    /// Whether there is no bot of this id, as far as that can be told.
    pub(crate) async fn is_nobody(&self, id: &str) -> bool {
        !self.set().bots.contains_key(id) && matches!(self.find(id).await, Err(NotFound::Nobody))
    }

    /// What a client deployed, where this version was compiled before.
    fn known(&self, id: &str, version: u64) -> Option<Arc<Deployed>> {
        let compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        let (known, bot) = compiled.get(id)?;
        (*known == version).then(|| Arc::clone(bot))
    }

    /// Runs a bot for somebody who waits.
    pub(crate) async fn run(self: &Arc<Self>, task: Task) -> Result<Done, Failed> {
        self.run_behind(task, 0).await
    }

    /// Runs a bot for a change that so many runs led to.
    pub(super) async fn run_behind(
        self: &Arc<Self>,
        task: Task,
        chain: u16,
    ) -> Result<Done, Failed> {
        let setting = Setting { chain, ..Setting::default() };
        let run = self.begun(&task);
        self.run_as(task, setting, run, Waiting::Somebody).await
    }

    /// Records that it can't be told whether a bot was to run: that counts as a run that failed.
    pub(super) fn undecided(&self, task: Task, why: &str) -> Failed {
        let mut run = self.begun(&task);
        run.attempts = 1;
        let failed = Failed::new("bot.when", why, Some(run.id));
        run.input = task.body;
        self.keep_failed(run, &task.bot, &failed, Waiting::Somebody);
        failed
    }

    /// Gives up a run that has not begun, for a person to see.
    pub(super) async fn give_up(&self, task: Task, failed: &Failed) {
        let mut run = self.begun(&task);
        (run.state, run.started, run.ended) = (RunState::Dead, None, Some(now()));
        run.why = Some(format!("{}: {}", failed.code, failed.why));
        run.input = task.body;
        let (id, bot) = (run.id, run.bot.clone());
        let book = Arc::clone(&self.book);
        let kept = tokio::task::spawn_blocking(move || book.put(&run)).await;
        tracing::warn!(
            bot,
            run = id,
            code = failed.code,
            why = failed.why,
            is_recorded = matches!(kept, Ok(Ok(()))),
            "a run of a bot was given up; see `pipehat bot dead`"
        );
    }

    /// Keeps a run that nobody waits for. It is durable when this returns.
    pub(crate) async fn promise(&self, task: Task) -> Result<u64, Failed> {
        let mut run = self.begun(&task);
        run.state = RunState::Waiting;
        run.started = None;
        run.input = task.body;
        let (book, number) = (Arc::clone(&self.book), run.id);
        let kept = tokio::task::spawn_blocking(move || book.put(&run)).await;
        match kept {
            Ok(Ok(())) => {
                self.wake.notify_one();
                Ok(number)
            }
            _ => {
                let why = "the run can't be kept; nothing was done";
                Err(Failed::new("bot.not-kept", why, None))
            }
        }
    }

    pub(super) fn begun(&self, task: &Task) -> BotRun {
        let now = now();
        let headers: serde_json::Map<_, _> = task
            .headers
            .iter()
            .map(|(name, value)| (name.clone(), serde_json::Value::from(value.as_str())))
            .collect();
        BotRun {
            id: self.book.number(),
            bot: task.bot.id.clone(),
            revision: task.bot.revision.clone(),
            trigger: task.trigger.to_owned(),
            source: task.source.clone(),
            state: RunState::Running,
            queued: now,
            started: Some(now),
            ended: None,
            due: now,
            attempts: 0,
            content_type: task.content_type.clone(),
            input: Vec::new(),
            headers: serde_json::Value::Object(headers).to_string(),
            result_type: None,
            result: Vec::new(),
            why: None,
            error: None,
            log: "[]".to_owned(),
            effects: "[]".to_owned(),
            took: 0,
            cpu: 0,
        }
    }

    pub(super) async fn run_as(
        self: &Arc<Self>,
        task: Task,
        setting: Setting,
        mut run: BotRun,
        waiting: Waiting,
    ) -> Result<Done, Failed> {
        let Task { bot, content_type, body, headers, .. } = task;
        run.input.clone_from(&body);
        run.revision.clone_from(&bot.revision);
        let id = run.id;
        let number = Some(id);
        let event = match event(&bot, &content_type, body, headers) {
            Ok(event) => event,
            Err(why) => {
                let failed = Failed::lasting("bot.input", why, number);
                self.keep_failed(run, &bot, &failed, waiting);
                return Err(failed);
            }
        };
        let (told, ended) = oneshot::channel();
        let (bots, of) = (Arc::clone(self), Arc::clone(&bot));
        let submitted = self.pool.submit(Box::new(move || {
            let host = RunHost::new(bots, Arc::clone(&of), setting);
            // Whoever waited may have gone; then the run's end is lost with it, as with a kill.
            let _ = told.send(run_here(&of, &event, host));
        }));
        if submitted == Err(Full) {
            let why = "too many runs of bots wait already";
            let failed = Failed::new("bot.busy", why, None);
            if matches!(waiting, Waiting::Nobody) {
                self.keep_failed(run, &bot, &failed, waiting);
            }
            return Err(failed);
        }
        let Ok(ended) = ended.await else {
            return Err(Failed::new("bot.stopping", "the server stops", None));
        };
        let Ended { run: ran, log, mut gathered } = ended;
        let concealed = Concealed::of(&bot.secrets);
        run.effects = record::effects(&ran.recorded, &concealed);
        run.log = record::log(&log, &concealed);
        run.took = micros(ran.took);
        run.cpu = micros(ran.cpu);
        run.attempts = run.attempts.saturating_add(1);
        let output = match ran.result {
            Ok(output) => output,
            Err(error) => {
                let failed = Failed::of_run(&error, &gathered.refused, id);
                run.error = Some(concealed.text(&words(error)).into_owned());
                self.keep_failed(run, &bot, &failed, waiting);
                return Err(failed);
            }
        };
        if let Err(why) = self.hand_over(&bot, &mut gathered).await {
            let failed = Failed::new("bot.send-failed", why, number);
            self.keep_failed(run, &bot, &failed, waiting);
            return Err(failed);
        }
        let (result_type, result) =
            input::output(output.clone(), &run.content_type, &run.input, Timestamp::now());
        run.result_type = Some(result_type).filter(|name| !name.is_empty());
        run.result = result;
        run.state = RunState::Done;
        run.ended = Some(now());
        // Of the tries before.
        (run.why, run.error) = (None, None);
        self.keep(run, waiting);
        Ok(Done { run: id, output })
    }

    /// What a bot that another one ran came to.
    pub(super) fn end_nested(
        self: &Arc<Self>,
        bot: &Arc<Deployed>,
        caller: &str,
        content_type: &str,
        body: &[u8],
        ended: Ended,
    ) -> Result<Output, String> {
        let task = Task {
            bot: Arc::clone(bot),
            trigger: "bot",
            source: caller.to_owned(),
            content_type: content_type.to_owned(),
            body: Vec::new(),
            headers: Vec::new(),
        };
        let mut run = self.begun(&task);
        let Ended { run: ran, log, mut gathered } = ended;
        run.input = body.to_vec();
        let concealed = Concealed::of(&bot.secrets);
        run.effects = record::effects(&ran.recorded, &concealed);
        run.log = record::log(&log, &concealed);
        (run.took, run.cpu, run.attempts) = (micros(ran.took), micros(ran.cpu), 1);
        run.ended = Some(now());
        let result = match ran.result {
            Ok(output) => self.handle.block_on(self.hand_over(bot, &mut gathered)).map(|()| output),
            Err(error) => {
                run.error = Some(concealed.text(&error.message).into_owned());
                Err(format!("the bot `{}` failed: {}", bot.id, why(&error)))
            }
        };
        run.state = if result.is_ok() { RunState::Done } else { RunState::Failed };
        run.why = result.as_ref().err().cloned();
        self.book.put_later(run);
        result
    }

    /// Gives channels what a run sent them, in order; then does with files what was to be done once that is kept. Gives
    /// why not, without content.
    pub(super) async fn hand_over(
        &self,
        bot: &Deployed,
        gathered: &mut Gathered,
    ) -> Result<(), String> {
        let sent = std::mem::take(&mut gathered.handed_over);
        let not_taken = |channel: &str, error: &str| {
            format!("what it sent to the channel `{channel}` was not taken: {error}")
        };
        if let (Some((channel, _)), None) = (sent.first(), self.engine()) {
            return Err(not_taken(channel, "the server starts still"));
        }
        for (channel, bytes) in sent {
            let headers = vec![("x-pipehat-bot".to_owned(), bot.id.clone())];
            let Some(engine) = self.engine() else { continue };
            let handed = engine.hand_over(&channel, bytes, headers).await;
            handed.map_err(|error| not_taken(&channel, &error.to_string()))?;
        }
        files::finish(std::mem::take(&mut gathered.files), &self.set().sftp).await
    }

    /// Keeps a run that failed: for another try, where somebody was promised it.
    pub(super) fn keep_failed(
        &self,
        mut run: BotRun,
        bot: &Deployed,
        failed: &Failed,
        waiting: Waiting,
    ) {
        let now = now();
        run.why = Some(format!("{}: {}", failed.code, failed.why));
        run.state = RunState::Failed;
        run.ended = Some(now);
        if matches!(waiting, Waiting::Nobody) {
            // Where nothing ran, nothing was tried.
            let attempts = run.attempts.max(1);
            let failing = now.saturating_sub(run.queued);
            let failing = std::time::Duration::from_micros(u64::try_from(failing).unwrap_or(0));
            let is_enough = failed.attempts_max().is_some_and(|most| attempts >= most);
            if is_enough || bot.retry.gives_up_after(failing) {
                run.state = RunState::Dead;
                tracing::warn!(
                    bot = bot.id,
                    run = run.id,
                    attempts,
                    code = failed.code,
                    why = failed.why,
                    "a run of a bot was given up; see `pipehat bot dead`"
                );
            } else {
                // Told once: it is shown for as long as it fails.
                if attempts == 1 {
                    tracing::warn!(
                        bot = bot.id,
                        run = run.id,
                        code = failed.code,
                        "a run of a bot failed and is tried again; see `pipehat bot list`"
                    );
                }
                let pause = bot.retry.pause(attempts, run.id.wrapping_mul(0x9E37_79B9_7F4A_7C15));
                run.state = RunState::Waiting;
                run.ended = None;
                run.due = now.saturating_add(i64::try_from(pause.as_micros()).unwrap_or(i64::MAX));
            }
        }
        self.keep(run, waiting);
        self.wake.notify_one();
    }

    pub(super) fn keep(&self, run: BotRun, waiting: Waiting) {
        if matches!(waiting, Waiting::Somebody) {
            self.book.put_later(run);
            return;
        }
        let book = Arc::clone(&self.book);
        let id = run.id;
        // The task that waits for it holds its place among the jobs until this is through.
        tokio::task::block_in_place(move || {
            if let Err(error) = book.put(&run) {
                // It stands as running: it is run again at the next start.
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    run = id,
                    "the end of a run can't be recorded"
                );
            }
        });
    }
}

/// Who waits for a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waiting {
    /// Whoever asked for it: he is told how it ended.
    Somebody,
    /// Nobody but the book.
    Nobody,
}

/// Compiles code away from the threads that serve.
pub(crate) async fn compile(name: String, code: String) -> Result<Script, NotFound> {
    let work = move || {
        let files: std::collections::BTreeMap<String, String> = [(name.clone(), code)].into();
        Script::load(&files, &name)
    };
    let compiled = tokio::task::spawn_blocking(work).await.map_err(|_| NotFound::Unread)?;
    compiled.map_err(|error| NotFound::Broken(error.to_string()))
}

/// What a bot is given.
pub(super) fn event(
    bot: &Deployed,
    content_type: &str,
    body: Vec<u8>,
    mut headers: Vec<(String, String)>,
) -> Result<Event, &'static str> {
    // What its own file says is the zone of times that tell none; a channel's step has said already.
    let zone = bot.translation.to_fhir.zone.as_ref().and_then(|zone| zone.iana_name());
    if let Some(zone) = zone.filter(|_| headers.iter().all(|(name, _)| name != "time-zone")) {
        headers.push(("time-zone".to_owned(), zone.to_owned()));
    }
    Ok(Event {
        input: input::input(content_type, body)?,
        charset: CharsetRule::Declared,
        content_type: content_type.to_owned(),
        secrets: bot.secrets.clone(),
        headers: headers.into_iter().collect(),
        bot: format!("Bot/{}", bot.id),
    })
}

fn put<T>(place: &RwLock<T>, value: T) {
    *place.write().unwrap_or_else(PoisonError::into_inner) = value;
}

pub(super) fn micros(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// The bytes of an output, as they are told to whoever waits.
pub(crate) fn told(output: Output, content_type: &str, body: &[u8]) -> (String, Bytes) {
    let (name, bytes) = input::output(output, content_type, body, Timestamp::now());
    (name, bytes.into())
}
