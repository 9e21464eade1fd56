//! What follower, dispatcher, websocket and API share, and what people are shown of it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pipehat_resource::fhirpath::EvaluationError;
use pipehat_resource::json::Value;
use pipehat_resource::outcome::Issue;
use pipehat_store::datastore::{
    ChangeNumber, Datastore, DatastoreError, Delivery, DeliveryBook, DeliveryCounts,
};
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, Semaphore, watch};
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use super::delay::Patience;
use super::dispatcher;
use super::endpoint::EndpointRules;
use super::follower;
use super::listeners::Listeners;
use super::rest_hook::RestHook;
use super::subscriber::Subscriber;
use super::subscription::{Channel, Note, Reading, Status, Subscription, UNDECIDED};
use super::watch::Watch;
use super::websocket::LISTENERS_MAX;
use crate::fhir::access::Clients;
use crate::fhir::conditions::instant;
use crate::fhir::parameters::SearchParameters;

/// How long a redelivery waits for Subscriptions that were just mended.
const MEND_WAIT: Duration = Duration::from_secs(5);

/// What Subscriptions may be told.
#[derive(Default)]
pub struct SubscriptionOptions {
    /// Which endpoints may be called.
    pub rules: EndpointRules,
    /// What failed deliveries may cost.
    pub patience: Patience,
    /// Who takes endpoints of its own.
    pub subscribers: Vec<Arc<dyn Subscriber>>,
    /// The server's public address, where it is configured.
    pub base: String,
    /// Knows which clients were revoked: their Subscriptions end.
    pub clients: Option<Arc<dyn Clients>>,
}

/// Why Subscriptions can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartSubscriptionsError {
    /// The book of deliveries can't be opened.
    #[error("the book of deliveries of Subscriptions can't be opened")]
    Book(#[from] DatastoreError),
    /// There is no HTTP client.
    #[error("no HTTP client for Subscriptions can be made")]
    Client(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The Subscriptions of a datastore.
pub struct Subscriptions {
    pub(super) datastore: Arc<dyn Datastore>,
    pub(super) parameters: Arc<SearchParameters>,
    pub(super) options: SubscriptionOptions,
    pub(super) rest_hook: RestHook,
    pub(super) listeners: Listeners,
    pub(super) listening: Arc<Semaphore>,
    /// Woken when the dispatcher has something to look at.
    pub(super) dispatch: Notify,
    /// Woken when the follower has a status to write.
    pub(super) follow: Notify,
    pub(super) stop: CancellationToken,
    /// The change that the follower has come to: Subscriptions up to it are in force.
    pub(super) followed: watch::Sender<ChangeNumber>,
    /// The clients that were revoked, as the follower last saw them.
    pub(super) revoked: watch::Sender<Arc<HashSet<String>>>,
    book: Arc<DeliveryBook>,
    watch: RwLock<Watch>,
    stirred: Mutex<BTreeMap<String, Stir>>,
    wishes: Mutex<BTreeMap<String, Wish>>,
    troubles: Mutex<HashMap<String, Trouble>>,
}

/// What the dispatcher is to do about a Subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stir {
    /// Look whether something may be sent.
    Look,
    /// Forget its failures, too: it was changed.
    Afresh,
}

/// A change of a Subscription resource that the server wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wish {
    /// `requested` becomes `active`.
    Active,
    /// It is over.
    Off,
    /// It can't be active: why, and of which version that was said, where it is about one.
    Error(String, Option<u64>),
    /// Something of it was given up, and it goes on.
    Note,
    /// Its condition fails for a change: why. It goes on with all others.
    Undecided(String),
    /// What went wrong is put right: the note goes.
    Clear,
}

impl Wish {
    /// Says of a Subscription that its condition fails.
    pub(super) fn undecided(error: &EvaluationError) -> Self {
        Self::Undecided(format!("{UNDECIDED}: {error}"))
    }
}

/// What the dispatcher last saw of a Subscription.
#[derive(Debug, Clone, Default)]
pub(super) struct Trouble {
    /// Failures since the last success.
    pub(super) failures: u32,
    /// Why the latest failed.
    pub(super) why: String,
    /// The changes that failed and were neither taken nor given up since, at most [`FAILING_MAX`].
    failing: BTreeSet<u64>,
}

/// How many failing changes of a Subscription are counted.
const FAILING_MAX: usize = 10_000;

/// A Subscription as people are shown it: nothing of its criteria's values, its path or its headers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SubscriptionState {
    /// Its id.
    pub id: String,
    /// Whether it is active; one that is not may still have deliveries.
    pub active: bool,
    /// The type its criteria are about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_type: Option<String>,
    /// `rest-hook` or `websocket`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// Scheme, host and port of the endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// Deliveries that wait.
    pub waiting: u64,
    /// Deliveries that were given up.
    pub dead_letters: u64,
    /// Failures since the last success.
    pub failures: u32,
    /// Changes that failed and are tried again, since the start.
    #[serde(default)]
    pub failing: u64,
    /// Why the latest failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// A delivery that was given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeadLetter {
    /// The number of the change: with the subscription, it names the letter.
    pub change: u64,
    /// The id of the Subscription.
    pub subscription: String,
    /// `Type/id` of the resource.
    pub resource: String,
    /// The version that was to be told.
    pub version: u64,
    /// create, update or delete.
    pub interaction: String,
    /// How often it was tried.
    pub attempts: u32,
    /// Why the last attempt failed.
    pub why: String,
    /// Since when it waited.
    pub since: String,
    /// When it was given up.
    pub given_up: String,
}

/// What a redelivery did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Redelivered {
    /// How many dead letters wait again.
    pub redelivered: u64,
}

/// The counts of all Subscriptions together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Figures {
    /// Active ones.
    pub active: u64,
    /// Deliveries that wait.
    pub waiting: u64,
    /// Deliveries that were given up.
    pub dead_letters: u64,
}

impl Subscriptions {
    /// Opens the book of deliveries. Nothing is told before [`Self::run`].
    ///
    /// # Errors
    /// The book can't be opened.
    pub async fn open(
        datastore: Arc<dyn Datastore>,
        parameters: Arc<SearchParameters>,
        book: PathBuf,
        options: SubscriptionOptions,
    ) -> Result<Arc<Self>, StartSubscriptionsError> {
        let newest = *datastore.newest_change().borrow();
        let open = move || DeliveryBook::open(&book, newest);
        let book =
            tokio::task::spawn_blocking(open).await.map_err(|_| DatastoreError::Closed)??;
        let rest_hook =
            RestHook::new().map_err(|error| StartSubscriptionsError::Client(Box::new(error)))?;
        Ok(Arc::new(Self {
            datastore,
            parameters,
            options,
            rest_hook,
            listeners: Listeners::default(),
            listening: Arc::new(Semaphore::new(LISTENERS_MAX)),
            dispatch: Notify::new(),
            follow: Notify::new(),
            stop: CancellationToken::new(),
            followed: watch::Sender::new(ChangeNumber(0)),
            revoked: watch::Sender::new(Arc::default()),
            book: Arc::new(book),
            watch: RwLock::new(Watch::default()),
            stirred: Mutex::default(),
            wishes: Mutex::default(),
            troubles: Mutex::default(),
        }))
    }

    /// Follows the datastore and delivers, until the stop; deliveries under way then have a moment to end.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let _stopped = self.stop.clone().drop_guard();
        tokio::join!(follower::follow(&self, &stop), dispatcher::dispatch(&self, &stop));
    }

    /// Waits until the Subscriptions that were written before are in force, or this long.
    pub(super) async fn catch_up(&self, at_most: Duration) {
        let newest = *self.datastore.newest_change().borrow();
        let mut followed = self.followed.subscribe();
        let caught_up = followed.wait_for(|change| *change >= newest);
        // One who is not there in time is as one who never comes.
        let _ = tokio::time::timeout(at_most, caught_up).await;
    }

    /// What is wrong with a Subscription resource that is to be active.
    pub(in crate::fhir) fn findings(&self, resource: &Value) -> Vec<Issue> {
        match Status::of(resource) {
            Status::Silent => Vec::new(),
            Status::Requested | Status::Active | Status::Failing => {
                let registry = self.parameters.known();
                match Subscription::read(resource, self.reading(&registry)) {
                    Ok(subscription) => subscription.doubts(),
                    Err(issues) => issues,
                }
            }
        }
    }

    pub(super) fn reading<'a>(
        &'a self,
        registry: &'a pipehat_resource::search::Registry,
    ) -> Reading<'a> {
        Reading {
            registry,
            base: &self.options.base,
            rules: &self.options.rules,
            subscribers: &self.options.subscribers,
            now: now(),
        }
    }

    /// Every Subscription that is active or has deliveries, by id.
    ///
    /// # Errors
    /// The book can't be read; so with all that follow.
    pub async fn states(&self) -> Result<Vec<SubscriptionState>, DatastoreError> {
        let counts: BTreeMap<String, DeliveryCounts> =
            self.with_book(DeliveryBook::counts).await?.into_iter().collect();
        let mut states: BTreeMap<String, SubscriptionState> = counts
            .iter()
            .filter(|(_, counts)| counts.waiting > 0 || counts.dead > 0)
            .map(|(id, _)| (id.clone(), state(id, None)))
            .collect();
        self.look(|watch| {
            for subscription in watch.all() {
                states.insert(subscription.id.clone(), state(&subscription.id, Some(subscription)));
            }
        });
        let troubles = self.troubles();
        for (id, state) in &mut states {
            let counts = counts.get(id).copied().unwrap_or_default();
            state.waiting = counts.waiting;
            state.dead_letters = counts.dead;
            if let Some(trouble) = troubles.get(id) {
                state.failures = trouble.failures;
                state.failing = trouble.failing.len() as u64;
                state.problem = Some(trouble.why.clone());
            }
        }
        Ok(states.into_values().collect())
    }

    /// The counts of all together.
    ///
    /// # Errors
    /// See [`Self::states`].
    pub async fn figures(&self) -> Result<Figures, DatastoreError> {
        let mut figures = Figures::default();
        for (_, counts) in self.with_book(DeliveryBook::counts).await? {
            figures.waiting = figures.waiting.saturating_add(counts.waiting);
            figures.dead_letters = figures.dead_letters.saturating_add(counts.dead);
        }
        figures.active = self.look(|watch| watch.len() as u64);
        Ok(figures)
    }

    /// Dead letters, oldest first, behind a change and a subscription.
    ///
    /// # Errors
    /// See [`Self::states`].
    pub async fn dead_letters(
        &self,
        subscription: Option<String>,
        after: (u64, String),
        limit: usize,
    ) -> Result<Vec<DeadLetter>, DatastoreError> {
        let letters = self
            .with_book(move |book| {
                let after = (ChangeNumber(after.0), after.1.as_str());
                book.dead_letters(subscription.as_deref(), after, limit)
            })
            .await?;
        Ok(letters.into_iter().map(letter).collect())
    }

    /// Has dead letters delivered again: of one subscription or of all, of one change or of all. By the Subscriptions
    /// as they are when this is called, so that a mend just made counts.
    ///
    /// # Errors
    /// See [`Self::states`].
    pub async fn redeliver(
        &self,
        subscription: Option<String>,
        change: Option<u64>,
    ) -> Result<Redelivered, DatastoreError> {
        self.catch_up(MEND_WAIT).await;
        let redelivered = self
            .with_book(move |book| {
                book.redeliver(subscription.as_deref(), change.map(ChangeNumber), now())
            })
            .await?;
        self.stir_all().await?;
        Ok(Redelivered { redelivered })
    }

    /// Has the dispatcher look at all that have deliveries.
    pub(super) async fn stir_all(&self) -> Result<(), DatastoreError> {
        let counts = self.with_book(DeliveryBook::counts).await?;
        let waiting = counts.into_iter().filter(|(_, counts)| counts.waiting > 0);
        self.stir(waiting.map(|(id, _)| (id, Stir::Look)));
        Ok(())
    }

    /// Does something with the book, on a thread that may block.
    pub(super) async fn with_book<T: Send + 'static>(
        &self,
        work: impl FnOnce(&DeliveryBook) -> Result<T, DatastoreError> + Send + 'static,
    ) -> Result<T, DatastoreError> {
        let book = Arc::clone(&self.book);
        tokio::task::spawn_blocking(move || work(&book))
            .await
            .map_err(|error| DatastoreError::Database(Box::new(error)))?
    }

    pub(super) fn look<T>(&self, look: impl FnOnce(&Watch) -> T) -> T {
        look(&self.watch.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Watch) -> T) -> T {
        let mut watch = self.watch.write().unwrap_or_else(PoisonError::into_inner);
        let changed = change(&mut watch);
        self.listeners.release(|id| watch.get(id).is_some());
        changed
    }

    pub(super) fn subscription(&self, id: &str) -> Option<Arc<Subscription>> {
        self.look(|watch| watch.get(id).cloned())
    }

    /// Whether a Subscription says that it was not told something.
    pub(super) fn is_noted(&self, id: &str) -> bool {
        self.subscription(id).is_some_and(|found| found.note != Note::None)
    }

    /// Has the dispatcher look at these.
    pub(super) fn stir(&self, ids: impl Iterator<Item = (String, Stir)>) {
        let mut stirred = lock(&self.stirred);
        for (id, stir) in ids {
            let known = stirred.entry(id).or_insert(stir);
            *known = stir.max(*known);
        }
        drop(stirred);
        self.dispatch.notify_one();
    }

    pub(super) fn take_stirred(&self) -> BTreeMap<String, Stir> {
        std::mem::take(&mut lock(&self.stirred))
    }

    /// Has the follower change a Subscription resource.
    pub(super) fn wish(&self, id: &str, wish: Wish) {
        let mut wishes = lock(&self.wishes);
        // A note can come again, and so can its end; what makes it active or ends it does not.
        let gives_way = match &wish {
            Wish::Note => wishes.get(id).is_some_and(|known| *known != Wish::Clear),
            Wish::Undecided(_) => {
                wishes.get(id).is_some_and(|known| matches!(known, Wish::Off | Wish::Error(..)))
            }
            Wish::Clear => wishes.contains_key(id),
            Wish::Active | Wish::Off | Wish::Error(..) => false,
        };
        if !gives_way {
            wishes.insert(id.to_owned(), wish);
        }
        drop(wishes);
        self.follow.notify_one();
    }

    pub(super) fn take_wishes(&self) -> BTreeMap<String, Wish> {
        std::mem::take(&mut lock(&self.wishes))
    }

    /// What was wished before stays, unless something newer came.
    pub(super) fn wish_again(&self, id: String, wish: Wish) {
        lock(&self.wishes).entry(id).or_insert(wish);
    }

    /// One of a Subscription was taken.
    pub(super) fn note_success(&self, id: &str, change: u64) {
        if let Some(trouble) = self.troubles().get_mut(id) {
            trouble.failures = 0;
        }
        self.note_end(id, change);
    }

    /// One is not tried any more.
    pub(super) fn note_end(&self, id: &str, change: u64) {
        let mut troubles = self.troubles();
        let Some(trouble) = troubles.get_mut(id) else { return };
        trouble.failing.remove(&change);
        if trouble.failing.is_empty() && trouble.failures == 0 {
            troubles.remove(id);
        }
    }

    /// One failed.
    pub(super) fn note_failure(&self, id: &str, change: u64, failures: u32, why: &str) {
        let mut troubles = self.troubles();
        let trouble = troubles.entry(id.to_owned()).or_default();
        trouble.failures = failures;
        why.clone_into(&mut trouble.why);
        if trouble.failing.len() < FAILING_MAX {
            trouble.failing.insert(change);
        }
    }

    pub(super) fn troubles(&self) -> MutexGuard<'_, HashMap<String, Trouble>> {
        lock(&self.troubles)
    }
}

fn state(id: &str, subscription: Option<&Subscription>) -> SubscriptionState {
    let (channel, endpoint) = match subscription.map(|subscription| &subscription.channel) {
        None => (None, None),
        Some(Channel::WebSocket) => (Some("websocket"), None),
        Some(Channel::Hook(hook)) => {
            let origin = hook.url.as_ref().map(|url| url.origin().ascii_serialization());
            (Some("rest-hook"), origin.or_else(|| Some(hook.endpoint.clone())))
        }
    };
    SubscriptionState {
        id: id.to_owned(),
        active: subscription.is_some(),
        resource_type: subscription.map(|subscription| subscription.resource_type.clone()),
        channel: channel.map(str::to_owned),
        endpoint,
        waiting: 0,
        dead_letters: 0,
        failures: 0,
        failing: 0,
        problem: None,
    }
}

fn letter(delivery: Delivery) -> DeadLetter {
    let Delivery { matched, attempts, since, ended, why, .. } = delivery;
    DeadLetter {
        change: matched.change.0,
        subscription: matched.subscription,
        resource: format!("{}/{}", matched.key.resource_type, matched.key.id),
        version: matched.version,
        interaction: matched.trigger.code().to_owned(),
        attempts,
        why: why.unwrap_or_default(),
        since: instant(since),
        given_up: instant(ended.unwrap_or_default()),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Microseconds since 1970 (UTC).
pub(super) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
