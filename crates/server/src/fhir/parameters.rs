//! The search parameters in force: R4's, and those of SearchParameter resources here (FHIR R4 §3.1.1.7).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use pipehat_resource::json::{Value, parse};
use pipehat_resource::outcome::{Issue, IssueCode};
use pipehat_resource::search::Registry;
use pipehat_store::datastore::{
    ChangeNumber, Datastore, DatastoreError, HistoryQuery, HistoryScope, Outcome, Progress,
    R4Rules, StoredVersion,
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::conditions::instant;
use super::resource::{parameter, parameters};
use super::service::now;

const RESOURCE_TYPE: &str = "SearchParameter";

/// SearchParameter resources are read in pages of this many.
const PAGE: usize = 200;

/// More of them than this are not taken: each search looks them up.
const CUSTOM_MAX: usize = 5_000;

/// How often to look whether another node changed a SearchParameter, while anything changes.
const LOOK: Duration = Duration::from_millis(500);

/// How long until all nodes have heard of a change.
const HEARD: Duration = Duration::from_secs(2);

/// The registry in force, and how far the index follows it.
#[derive(Debug)]
pub struct SearchParameters {
    /// The address that references to this server may begin with; empty where none is fixed.
    base: String,
    registry: RwLock<Arc<Registry>>,
    wanted: Notify,
    state: Mutex<State>,
}

#[derive(Debug, Clone, Default)]
struct State {
    running: bool,
    failed: bool,
    progress: Progress,
    /// When the last run ended well, in microseconds since 1970 (UTC).
    finished: Option<i64>,
    /// Whether somebody asked for a new index, whether or not it needs one.
    asked: bool,
    /// Whether the resources here were never read.
    fresh: bool,
    /// How often something was to be done. What is done ends only what was wanted when it began.
    wanted: u64,
}

impl SearchParameters {
    /// Starts with R4's. `base` is the server's own address, without a slash at its end, where it is fixed.
    pub fn new(base: &str) -> Self {
        Self {
            base: base.to_owned(),
            registry: RwLock::new(Registry::standard()),
            wanted: Notify::new(),
            state: Mutex::new(State { fresh: true, ..State::default() }),
        }
    }

    /// Those in force now.
    pub fn registry(&self) -> Arc<Registry> {
        Arc::clone(&self.registry.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The rules with R4's parameters, to open a datastore with.
    pub fn rules(&self) -> Arc<R4Rules> {
        Arc::new(R4Rules::new(self.registry(), &self.base))
    }

    /// Follows the SearchParameter resources of a datastore until the stop: puts them in force, and has the index
    /// written anew in the background.
    pub async fn follow(&self, datastore: &dyn Datastore, stop: CancellationToken) {
        let mut taken = BTreeMap::new();
        loop {
            let work = self.take(datastore, &mut taken);
            let done = tokio::select! {
                done = work => done,
                () = stop.cancelled() => return,
            };
            if let Err(error) = done {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "the index could not follow the search parameters"
                );
                self.change(|state| {
                    state.running = false;
                    state.failed = true;
                });
            }
            tokio::select! {
                () = self.wanted.notified() => {}
                () = others_change(datastore) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    async fn take(
        &self,
        datastore: &dyn Datastore,
        taken: &mut BTreeMap<String, Value>,
    ) -> Result<(), DatastoreError> {
        let wanted = self.lock().wanted;
        // Where the index followed the parameters before, only the types of those that changed are found differently.
        let followed = datastore.is_indexed().await?;
        let changed = self.put_in_force(datastore, taken).await?;
        if changed.is_any() && datastore.is_shared() {
            // What other nodes write by their old rules until they hear of these is indexed anew with all else.
            tokio::time::sleep(HEARD).await;
        }
        let asked = std::mem::take(&mut self.lock().asked);
        if asked || !datastore.is_indexed().await? {
            self.change(|state| {
                state.running = true;
                state.progress = Progress { done: 0, all: 0 };
            });
            let told = |progress: Progress| self.change(|state| state.progress = progress);
            match changed {
                Changed::Types(types) if followed && !asked => {
                    if !types.is_empty() {
                        let types: Vec<String> = types.into_iter().collect();
                        datastore.reindex(&types, &told).await?;
                    }
                    datastore.set_indexed().await?;
                }
                Changed::Types(_) | Changed::Unknown => {
                    datastore.reindex(&[], &told).await?;
                }
            }
        }
        self.change(|state| {
            state.running = state.wanted != wanted;
            state.failed = false;
            state.finished = Some(now());
        });
        Ok(())
    }

    /// Puts the SearchParameter resources of a datastore in force, and leaves its index as it is.
    pub(crate) async fn load(&self, datastore: &dyn Datastore) -> Result<(), DatastoreError> {
        self.put_in_force(datastore, &mut BTreeMap::new()).await.map(drop)
    }

    /// Has the SearchParameter resources looked at: some were written past the API.
    pub(crate) fn look_again(&self) {
        self.wanted.notify_one();
    }

    async fn put_in_force(
        &self,
        datastore: &dyn Datastore,
        taken: &mut BTreeMap<String, Value>,
    ) -> Result<Changed, DatastoreError> {
        let wanted = wanted(datastore).await?;
        let registry = self.registry();
        let fresh = std::mem::take(&mut self.lock().fresh);
        let mut next = Registry::clone(&registry);
        // What stays keeps its numbers, so that searches under way mean the same.
        for url in taken.keys().filter(|url| wanted.get(*url) != taken.get(*url)) {
            next = next.without(url);
        }
        for (url, definition) in &wanted {
            // One that can't be used was refused when it came, or says what is there already.
            if taken.get(url) != Some(definition)
                && let Ok(more) = next.with(definition)
            {
                next = more;
            }
        }
        let changed = match fresh {
            true => Changed::Unknown,
            false => Changed::Types(types_changed(&registry, &next)),
        };
        if fresh || wanted != *taken {
            let next = Arc::new(next);
            datastore.use_rules(Arc::new(R4Rules::new(Arc::clone(&next), &self.base))).await?;
            *self.registry.write().unwrap_or_else(PoisonError::into_inner) = next;
            *taken = wanted;
        }
        Ok(changed)
    }

    /// Has the index written anew in the background.
    pub(super) fn begin_reindex(&self) {
        self.change(|state| {
            state.asked = true;
            state.running = true;
            state.wanted += 1;
        });
        self.wanted.notify_one();
    }

    /// Looks whether what was done concerns search parameters.
    pub(super) fn notice(&self, outcomes: &[Outcome]) {
        let concerns = |version: &StoredVersion| version.key.resource_type == RESOURCE_TYPE;
        let concerns = |outcome: &Outcome| match outcome {
            Outcome::Created(version) | Outcome::Updated(version) => concerns(version),
            Outcome::Deleted(versions) => versions.iter().any(concerns),
            Outcome::Unchanged(_) | Outcome::Read(_) | Outcome::Found(_) => false,
        };
        if outcomes.iter().any(concerns) {
            // Who looks at the progress behind this change must not find the end of the one before.
            self.change(|state| {
                state.running = true;
                state.wanted += 1;
            });
            self.wanted.notify_one();
        }
    }

    /// What is wrong with a SearchParameter that is to be in force. Drafts and retired ones may be anything.
    pub(super) fn findings(&self, definition: &Value) -> Vec<Issue> {
        if !is_in_force(definition) {
            return Vec::new();
        }
        match self.registry().with(definition) {
            Ok(_) => Vec::new(),
            Err(refused) => refused
                .into_iter()
                .map(|refused| {
                    let place = refused.expression;
                    if refused.already_defined {
                        let text =
                            format!("{}; this one is kept and changes nothing", refused.problem);
                        return Issue::warning(IssueCode::Duplicate, text).at(place);
                    }
                    Issue::error(IssueCode::BusinessRule, refused.problem).at(place)
                })
                .collect(),
        }
    }

    /// How far the index is, as a Parameters resource.
    pub(super) fn progress(&self) -> Value {
        let state = self.lock().clone();
        let word = match &state {
            State { running: true, .. } => "running",
            State { failed: true, .. } => "failed",
            _ => "idle",
        };
        let number = |number: u64| Value::from(i64::try_from(number).unwrap_or(i64::MAX));
        let mut parts = vec![
            parameter("state", "valueCode", word.into()),
            parameter("done", "valueDecimal", number(state.progress.done)),
            parameter("total", "valueDecimal", number(state.progress.all)),
        ];
        if let Some(finished) = state.finished {
            parts.push(parameter("finished", "valueInstant", instant(finished).into()));
        }
        parameters(parts)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
    }
}

/// Which resources are found differently than before.
enum Changed {
    /// Those of these types.
    Types(BTreeSet<String>),
    /// That is not known.
    Unknown,
}

impl Changed {
    /// Whether there may be such.
    fn is_any(&self) -> bool {
        match self {
            Self::Types(types) => !types.is_empty(),
            Self::Unknown => true,
        }
    }
}

/// The types whose own parameters differ.
fn types_changed(before: &Registry, after: &Registry) -> BTreeSet<String> {
    let mut types = BTreeSet::new();
    for (one, other) in [(before, after), (after, before)] {
        for parameter in one.custom() {
            let own = other.find(parameter.resource_type(), parameter.code());
            if own.is_none_or(|own| own.id() != parameter.id()) {
                types.insert(parameter.resource_type().to_owned());
            }
        }
    }
    types
}

/// Waits until some node has changed a SearchParameter.
async fn others_change(datastore: &dyn Datastore) {
    if !datastore.is_shared() {
        return std::future::pending().await;
    }
    let mut newest = datastore.newest_change();
    let mut known = None;
    loop {
        match newest_of_ours(datastore).await {
            Ok(change) => {
                if known.is_some_and(|known| known != change) {
                    return;
                }
                known = Some(change);
            }
            Err(error) => tracing::warn!(
                error = &error as &dyn std::error::Error,
                "SearchParameters can't be read; trying again"
            ),
        }
        tokio::time::sleep(LOOK).await;
        if newest.changed().await.is_err() {
            return std::future::pending().await;
        }
    }
}

/// The newest change of a SearchParameter.
async fn newest_of_ours(datastore: &dyn Datastore) -> Result<ChangeNumber, DatastoreError> {
    let scope = HistoryScope::Type(RESOURCE_TYPE.to_owned());
    let query = HistoryQuery { scope, since: None, at: None, before: None, limit: 1 };
    let newest = datastore.history(&query).await?;
    Ok(newest.first().map(|version| version.change).unwrap_or_default())
}

/// The definitions that are to be in force, by their addresses.
async fn wanted(datastore: &dyn Datastore) -> Result<BTreeMap<String, Value>, DatastoreError> {
    let types = [RESOURCE_TYPE.to_owned()];
    let mut wanted = BTreeMap::new();
    let mut after = Some(0);
    while let Some(place) = after {
        let page = datastore.resources(&types, place, PAGE).await?;
        for version in &page.versions {
            let body = version.body.as_deref().unwrap_or_default();
            let Ok(definition) = parse(body.as_bytes()) else { continue };
            let url = definition.text("url").map(str::to_owned);
            if let Some(url) = url.filter(|_| is_in_force(&definition) && wanted.len() < CUSTOM_MAX)
            {
                wanted.insert(url, definition);
            }
        }
        after = page.next;
    }
    Ok(wanted)
}

/// Whether a SearchParameter resource counts.
fn is_in_force(definition: &Value) -> bool {
    definition.text("status") == Some("active")
}
