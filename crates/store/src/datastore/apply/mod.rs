//! Applying a group of interactions, in one transaction of either database.
//!
//! The order: locks; deletions; then every condition is decided, so that all ids are known; then references
//! are rewritten and versions written, those with conditional references last, so that these find what the
//! others made; then versions are numbered, and what is read is read.
//!
//! A reference that has to lead to the same as where the resource stands is looked at when all is decided, and nothing is
//! numbered: a merge of this very group counts.
//!
//! An update that changes nothing but `meta.versionId` and `meta.lastUpdated` makes no version: FHIR R4 §3.1.0.4
//! leaves that open, and feeds repeat themselves.

mod locks;
mod references;
mod resolve;
mod write;

use std::collections::{HashMap, HashSet};

use pipehat_resource::json::Value;
use pipehat_resource::kept::{Keeps, Moved};

use super::core::{Catalogue, Core};
use super::entries::IndexRows;
use super::interaction::{
    Applied, Group, GroupRefusal, Interaction, Outcome, Refusal, ResourceKey, StoredVersion,
};
use super::read::{self, Current};
use super::search;
use super::sql::{Lock, Pending, Session, SessionError, VersionRow};
use super::stamp;

/// A group with what can be worked out before its turn.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) interactions: Vec<Interaction>,
    /// The time of each.
    nows: Vec<i64>,
    /// What each resource is found by, where that does not depend on what stands in the store.
    rows: Vec<Option<IndexRows>>,
}

impl Prepared {
    pub(super) fn new(mut group: Group, catalogue: &Catalogue) -> Self {
        let names = references::Names::of(&group.interactions);
        let rows = group
            .interactions
            .iter_mut()
            .map(|interaction| {
                let resource = resource_of_mut(interaction)?;
                references::rewrite(resource, &names.known);
                let settled = !references::may_change(resource, &names.undecided);
                settled.then(|| index_rows(resource, catalogue))
            })
            .collect();
        let nows = vec![group.now; group.interactions.len()];
        Self { interactions: group.interactions, nows, rows }
    }

    fn now(&self, at: usize) -> i64 {
        self.nows.get(at).copied().unwrap_or_default()
    }

    /// The resources it changes, where that is all it does and does not depend on what else stands in the store:
    /// such groups may share a transaction.
    pub(super) fn independent(&self) -> Option<Vec<ResourceKey>> {
        let mut keys = Vec::with_capacity(self.interactions.len());
        for (interaction, rows) in self.interactions.iter().zip(&self.rows) {
            match interaction {
                Interaction::Create { resource, if_none_exist: None, .. } if rows.is_some() => {
                    keys.push(stamp::key_of(resource)?);
                }
                // Whose it is may have it refused: then each of those that share goes alone.
                Interaction::Update { resource, keeps, .. }
                    if rows.is_some() && keeps.as_ref().is_none_or(Keeps::takes_nothing) =>
                {
                    keys.push(stamp::key_of(resource)?);
                }
                Interaction::Delete { key, .. } => keys.push(key.clone()),
                _ => return None,
            }
        }
        Some(keys)
    }

    /// All interactions of several groups as one.
    pub(super) fn together<'p>(groups: impl Iterator<Item = &'p Self>) -> Self {
        let (mut interactions, mut nows, mut rows) = (Vec::new(), Vec::new(), Vec::new());
        for group in groups {
            interactions.extend(group.interactions.iter().cloned());
            nows.extend(&group.nows);
            rows.extend(group.rows.iter().cloned());
        }
        Self { interactions, nows, rows }
    }
}

/// The locks of resources, in order.
pub(super) fn locks_of<'k>(keys: impl Iterator<Item = &'k ResourceKey>) -> Vec<Lock> {
    let mut locks: Vec<Lock> = keys.map(locks::of_resource).collect();
    locks.sort_unstable();
    locks.dedup();
    locks
}

fn index_rows(resource: &Value, catalogue: &Catalogue) -> IndexRows {
    IndexRows::of(resource, catalogue.rules.as_ref(), &catalogue.numbering)
}

/// The resource that an interaction brings along.
fn resource_of(interaction: &Interaction) -> Option<&Value> {
    match interaction {
        Interaction::Create { resource, .. }
        | Interaction::Update { resource, .. }
        | Interaction::ConditionalUpdate { resource, .. } => Some(resource),
        Interaction::Patch { .. }
        | Interaction::ConditionalPatch { .. }
        | Interaction::Delete { .. }
        | Interaction::ConditionalDelete { .. }
        | Interaction::Read { .. }
        | Interaction::Search(_) => None,
    }
}

fn resource_of_mut(interaction: &mut Interaction) -> Option<&mut Value> {
    match interaction {
        Interaction::Create { resource, .. }
        | Interaction::Update { resource, .. }
        | Interaction::ConditionalUpdate { resource, .. } => Some(resource),
        Interaction::Patch { .. }
        | Interaction::ConditionalPatch { .. }
        | Interaction::Delete { .. }
        | Interaction::ConditionalDelete { .. }
        | Interaction::Read { .. }
        | Interaction::Search(_) => None,
    }
}

/// Why a group ends early.
enum Stop {
    Refused(GroupRefusal),
    Failed(SessionError),
}

impl From<SessionError> for Stop {
    fn from(error: SessionError) -> Self {
        Self::Failed(error)
    }
}

fn refuse<T>(interaction: usize, refusal: Refusal) -> Result<T, Stop> {
    Err(Stop::Refused(GroupRefusal { interaction, refusal }))
}

/// Applies a group. Where it is refused or fails, the transaction must be rolled back.
pub(super) async fn apply<S: Session>(
    session: &mut S,
    core: &Core,
    catalogue: &Catalogue,
    prepared: &Prepared,
) -> Result<Applied, SessionError> {
    let work = Work {
        session,
        core,
        catalogue,
        prepared,
        touched: HashSet::new(),
        plans: Vec::new(),
        names: HashMap::new(),
        twins: Vec::new(),
        outcomes: prepared.interactions.iter().map(|_| None).collect(),
        loaded: HashMap::new(),
        pending: Pending::default(),
        new: Vec::new(),
        versions: Vec::new(),
        moved: Vec::new(),
    };
    match work.run().await {
        Ok(outcomes) => Ok(Applied::Done(outcomes)),
        Err(Stop::Refused(refusal)) => Ok(Applied::Refused(refusal)),
        Err(Stop::Failed(error)) => Err(error),
    }
}

/// What an interaction will write.
struct Plan {
    interaction: usize,
    key: ResourceKey,
    current: Option<Current>,
}

/// A version that was written: which outcome it belongs to, how, and itself.
struct Written {
    interaction: usize,
    kind: Kind,
    version: StoredVersion,
    row: VersionRow,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Created,
    Updated,
    Deleted,
}

struct Work<'a, S> {
    session: &'a mut S,
    core: &'a Core,
    catalogue: &'a Catalogue,
    prepared: &'a Prepared,
    /// What was named so far: a transaction speaks of a resource once.
    touched: HashSet<ResourceKey>,
    plans: Vec<Plan>,
    /// By what names others refer to an entry, and what it is called here.
    names: HashMap<String, String>,
    outcomes: Vec<Option<Outcome>>,
    /// Conditional creates that ask for what an earlier one of the group makes.
    twins: Vec<(usize, usize)>,
    /// What stands under ids that were read together.
    loaded: HashMap<ResourceKey, Option<Current>>,
    /// What is still to be written.
    pending: Pending,
    /// Which interactions make the new resources among it.
    new: Vec<(usize, ResourceKey, i64)>,
    versions: Vec<Written>,
    /// References that would lead elsewhere than they do, though they have to lead to the same.
    moved: Vec<(usize, Moved)>,
}

impl<S: Session> Work<'_, S> {
    async fn run(mut self) -> Result<Vec<Outcome>, Stop> {
        let locks = locks::of(self.prepared, self.catalogue);
        self.session.lock(&locks).await?;
        self.load().await?;
        self.delete().await?;
        self.resolve().await?;
        self.write_all().await?;
        self.finish_versions().await?;
        self.read().await?;
        let outcomes = self.outcomes.into_iter().map(|outcome| {
            outcome.ok_or_else(|| SessionError::Database("an interaction has no outcome".into()))
        });
        Ok(outcomes.collect::<Result<_, _>>()?)
    }

    /// The reads and searches of the group, when all else is done.
    async fn read(&mut self) -> Result<(), Stop> {
        let prepared = self.prepared;
        for (at, interaction) in prepared.interactions.iter().enumerate() {
            let outcome = match interaction {
                Interaction::Read { key, version: None } => {
                    let current = read::current(self.session, self.core, key).await?;
                    Outcome::Read(current.map(|current| current.version))
                }
                Interaction::Read { key, version: Some(version) } => {
                    Outcome::Read(read::version(self.session, self.core, key, *version).await?)
                }
                Interaction::Search(request) => {
                    match search::page(self.session, self.core, self.catalogue, request).await? {
                        Ok(page) => Outcome::Found(page),
                        Err(refusal) => return refuse(at, refusal),
                    }
                }
                _ => continue,
            };
            if let Some(place) = self.outcomes.get_mut(at) {
                *place = Some(outcome);
            }
        }
        Ok(())
    }

    /// Remembers that a resource is changed, which may be said once.
    fn touch(&mut self, at: usize, key: &ResourceKey) -> Result<(), Stop> {
        if self.touched.insert(key.clone()) {
            Ok(())
        } else {
            refuse(at, Refusal::Twice(key.clone()))
        }
    }
}
