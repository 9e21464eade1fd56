//! The search parameters in force: R4's, and those of SearchParameter resources here (FHIR R4 §3.1.1.7).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use pipehat_resource::json::{Value, parse};
use pipehat_resource::outcome::{Issue, IssueCode};
use pipehat_resource::search::{Parameter, ParameterId, Registry, leads_nowhere};
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

/// How long to wait before what failed is tried again.
const AGAIN: Duration = Duration::from_secs(5);

/// How long until all nodes have heard of a change.
const HEARD: Duration = Duration::from_secs(2);

/// The registry in force, and how far the index follows it.
#[derive(Debug)]
pub struct SearchParameters {
    /// The address that references to this server may begin with; empty where none is fixed.
    base: String,
    registries: RwLock<Registries>,
    wanted: Notify,
    state: Mutex<State>,
    /// The SearchParameter resources that were taken, by their addresses.
    taken: tokio::sync::Mutex<BTreeMap<String, Value>>,
}

/// The parameters that resources are indexed by, and those that the index follows whole.
#[derive(Debug, Clone)]
struct Registries {
    known: Arc<Registry>,
    usable: Arc<Registry>,
}

impl Registries {
    /// All of these are known; those that `unfinished` names can't be used yet.
    fn new(known: Arc<Registry>, unfinished: &BTreeSet<ParameterId>) -> Self {
        let usable = match unfinished.is_empty() {
            true => Arc::clone(&known),
            false => Arc::new(known.without_unfinished(unfinished)),
        };
        Self { known, usable }
    }
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
            registries: RwLock::new(Registries::new(Registry::standard(), &BTreeSet::new())),
            wanted: Notify::new(),
            state: Mutex::new(State { fresh: true, ..State::default() }),
            taken: tokio::sync::Mutex::default(),
        }
    }

    /// Those that can be searched by now. One that the index does not follow yet is not among them: it would find a
    /// part of what it is to find.
    pub fn registry(&self) -> Arc<Registry> {
        self.registries().usable
    }

    /// Those that resources have values of: also those that can't be searched by yet.
    pub(crate) fn known(&self) -> Arc<Registry> {
        self.registries().known
    }

    fn registries(&self) -> Registries {
        self.registries.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_registries(&self, registries: Registries) {
        *self.registries.write().unwrap_or_else(PoisonError::into_inner) = registries;
    }

    /// The rules in force; at first those with R4's parameters, to open a datastore with.
    pub fn rules(&self) -> Arc<R4Rules> {
        let Registries { known, usable } = self.registries();
        Arc::new(R4Rules::new(known, &self.base).asked_by(usable))
    }

    /// Follows the SearchParameter resources of a datastore until the stop: puts them in force, and has the index
    /// written anew in the background.
    pub async fn follow(&self, datastore: &dyn Datastore, stop: CancellationToken) {
        loop {
            // Asked first: what another node writes while these are taken is news still.
            let known = match datastore.is_shared() {
                true => newest_of_ours(datastore).await.ok(),
                false => None,
            };
            let work = self.take(datastore);
            let done = tokio::select! {
                done = work => done,
                () = stop.cancelled() => return,
            };
            let failed = done.is_err();
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
                () = tokio::time::sleep(AGAIN), if failed => {}
                () = others_change(datastore, known) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    async fn take(&self, datastore: &dyn Datastore) -> Result<(), DatastoreError> {
        let wanted = self.lock().wanted;
        self.change(|state| state.running = true);
        // Where the index followed the parameters before, only the types of those that changed are found differently.
        let followed = datastore.is_indexed().await?;
        let changed = self.put_in_force(datastore).await?;
        if (changed.is_any() || !followed) && datastore.is_shared() {
            // What other nodes write by their old rules until they hear of these is indexed anew with all else.
            tokio::time::sleep(HEARD).await;
        }
        let asked = std::mem::take(&mut self.lock().asked);
        // What a SearchParameter that is new or was changed finds is whole behind this; others stay usable meanwhile.
        if asked || !datastore.is_indexed().await? {
            self.change(|state| state.progress = Progress { done: 0, all: 0 });
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
        self.finish(datastore).await?;
        self.change(|state| {
            state.running = state.wanted != wanted;
            state.failed = false;
            state.finished = Some(now());
        });
        let anew = datastore.catch_up().await?;
        if anew > 0 {
            tracing::info!(
                resources = anew,
                "indexed anew what an older release indexed otherwise"
            );
        }
        Ok(())
    }

    /// Puts the SearchParameter resources of a datastore in force, and leaves its index as it is.
    pub(crate) async fn load(&self, datastore: &dyn Datastore) -> Result<(), DatastoreError> {
        self.put_in_force(datastore).await?;
        self.finish(datastore).await
    }

    /// Puts the SearchParameter resources of a datastore in force before it is searched. Those that its index does not
    /// follow yet are known, and refused until [`SearchParameters::follow`] is done with them.
    ///
    /// # Errors
    /// The datastore fails.
    pub async fn open(&self, datastore: &dyn Datastore) -> Result<(), DatastoreError> {
        self.put_in_force(datastore).await?;
        if datastore.is_indexed().await? {
            return self.finish(datastore).await;
        }
        // Until somebody has looked, nobody is to find that all is done.
        self.change(|state| state.running = true);
        Ok(())
    }

    /// Has the SearchParameter resources looked at: some were written past the API.
    pub(crate) fn look_again(&self) {
        self.wanted.notify_one();
    }

    async fn put_in_force(&self, datastore: &dyn Datastore) -> Result<Changed, DatastoreError> {
        let mut taken = self.taken.lock().await;
        let wanted = wanted(datastore).await?;
        let Registries { known: registry, usable } = self.registries();
        let fresh = std::mem::take(&mut self.lock().fresh);
        let mut next = Registry::clone(&registry);
        // What stays keeps its numbers, so that searches under way mean the same.
        for url in taken.keys().filter(|url| wanted.get(*url) != taken.get(*url)) {
            next = next.without(url);
        }
        let in_force: BTreeSet<Box<str>> = next.custom().map(|own| own.url().into()).collect();
        for (url, definition) in &wanted {
            // One that can't be used was refused when it came, or says what is there already; what was there may be
            // gone since.
            let stays = taken.get(url) == Some(definition) && in_force.contains(url.as_str());
            if !stays && let Ok(more) = next.with(definition) {
                next = more;
            }
        }
        let changed = match fresh {
            true => Changed::Unknown,
            false => Changed::Types(types_changed(&registry, &next)),
        };
        if fresh || wanted != *taken {
            // Whoever had not followed them before does not know which the index follows.
            let followed: BTreeSet<ParameterId> = usable.custom().map(Parameter::id).collect();
            let unfinished = next.custom().map(Parameter::id);
            let unfinished = unfinished.filter(|id| !followed.contains(id)).collect();
            self.set_registries(Registries::new(Arc::new(next), &unfinished));
            datastore.use_rules(self.rules()).await?;
            *taken = wanted;
        }
        Ok(changed)
    }

    /// Lets all be searched by, now that the index follows them.
    async fn finish(&self, datastore: &dyn Datastore) -> Result<(), DatastoreError> {
        let Registries { known, usable } = self.registries();
        if !Arc::ptr_eq(&known, &usable) {
            self.set_registries(Registries::new(known, &BTreeSet::new()));
            datastore.use_rules(self.rules()).await?;
        }
        Ok(())
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
        match self.known().with(definition) {
            Ok(_) => without_values(definition),
            Err(refused) => refused
                .into_iter()
                .map(|refused| {
                    let place = refused.expression;
                    if refused.already_defined {
                        return match says_the_same(definition, &refused.defined_by) {
                            true => Issue::warning(
                                IssueCode::Duplicate,
                                format!(
                                    "{}; this one is kept and changes nothing",
                                    refused.problem
                                ),
                            ),
                            false => Issue::error(
                                IssueCode::Duplicate,
                                format!("{}; choose another code", refused.problem),
                            ),
                        }
                        .at(place);
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

/// Waits until some node has changed a SearchParameter since the newest that is known.
async fn others_change(datastore: &dyn Datastore, mut known: Option<ChangeNumber>) {
    if !datastore.is_shared() {
        return std::future::pending().await;
    }
    let mut newest = datastore.newest_change();
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

/// The types of which a SearchParameter finds nothing, for its expression names no element of theirs.
fn without_values(definition: &Value) -> Vec<Issue> {
    let expression = definition.text("expression").unwrap_or_default();
    let bases = definition.items("base").iter().filter_map(Value::as_str);
    bases
        .filter(|base| leads_nowhere(expression, base))
        .map(|base| {
            let text = format!("names no element of {base}: the parameter finds nothing there");
            Issue::warning(IssueCode::BusinessRule, text).at("SearchParameter.expression")
        })
        .collect()
}

/// Whether a SearchParameter is the one of this address, or is derived from it, as those of implementation guides are
/// that say of R4's own what clients must know of them (FHIR R4 §5.3, `SearchParameter.derivedFrom`). It changes
/// nothing, and whoever loads a guide need not take it out.
fn says_the_same(definition: &Value, defined_by: &str) -> bool {
    ["url", "derivedFrom"].iter().any(|name| {
        let address = definition.text(name).unwrap_or_default();
        address.split('|').next() == Some(defined_by)
    })
}

/// Whether a SearchParameter resource counts.
fn is_in_force(definition: &Value) -> bool {
    definition.text("status") == Some("active")
}
