//! Writing what was decided.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use pipehat_resource::json::{Value, parse};
use pipehat_resource::kept::{Keeps, Linked, Moved};
use pipehat_resource::search::{IndexEntry, Search};

use super::{Kind, Plan, Stop, Work, Written, index_rows, references, refuse, resource_of};
use crate::datastore::core::{Catalogue, method_number};
use crate::datastore::entries::IndexRows;
use crate::datastore::interaction::{
    ChangeNumber, Interaction, Method, Outcome, Refusal, ResourceKey, StoredVersion,
};
use crate::datastore::read::{self, Current};
use crate::datastore::sql::{Changed, Ending, Session, SessionError, SqlValue, VersionRow};
use crate::datastore::stamp;

/// A resource that waits for its references.
struct Waiting {
    key: ResourceKey,
    resource: Value,
    entries: Vec<IndexEntry>,
}

impl Waiting {
    fn new(plan: &Plan, resource: &Value, catalogue: &Catalogue) -> Self {
        let mut resource = resource.clone();
        stamp::set_id(&mut resource, &plan.key.id);
        let entries = catalogue.rules.extract(&resource);
        Self { key: plan.key.clone(), resource, entries }
    }

    fn meets(&self, search: &Search) -> bool {
        search.matches(&self.resource, &self.entries) == Some(true)
    }
}

impl<S: Session> Work<'_, S> {
    /// Writes all plans, those with conditional references when the others can be found.
    pub(super) async fn write_all(&mut self) -> Result<(), Stop> {
        let mut later = Vec::new();
        for plan in std::mem::take(&mut self.plans) {
            let at = plan.interaction;
            let mut resource = match self.prepared.interactions.get(at) {
                Some(
                    Interaction::Patch { patch, .. } | Interaction::ConditionalPatch { patch, .. },
                ) => self.patched(&plan, patch)?,
                Some(interaction) => match resource_of(interaction) {
                    Some(resource) => resource.clone(),
                    None => continue,
                },
                None => continue,
            };
            let rows = self.prepared.rows.get(at).and_then(Option::clone);
            if rows.is_some() && self.keeps(at).is_none_or(Keeps::takes_nothing) {
                self.put(plan, resource, rows).await?;
                continue;
            }
            references::rewrite(&mut resource, &self.names);
            let mut conditions = Vec::new();
            references::conditions(&resource, &mut conditions);
            if conditions.is_empty() {
                self.take_over(&plan, &mut resource)?;
                self.put(plan, resource, None).await?;
            } else {
                later.push((plan, resource, conditions));
            }
        }
        // What waits for its references may be what another's condition means: it is looked at as it will stand, for
        // what it is found by depends on no reference but those.
        let waiting: Vec<Waiting> = later
            .iter()
            .map(|(plan, resource, _)| Waiting::new(plan, resource, self.catalogue))
            .collect();
        let mut known = HashMap::new();
        for (plan, mut resource, conditions) in later {
            for condition in conditions {
                if let Entry::Vacant(place) = known.entry(condition) {
                    let at = plan.interaction;
                    let target = self.referred(at, place.key(), &waiting).await?;
                    place.insert(target);
                }
            }
            references::rewrite(&mut resource, &known);
            // What stands is known by what it refers to.
            self.take_over(&plan, &mut resource)?;
            self.put(plan, resource, None).await?;
        }
        self.flush().await?;
        self.refuse_moved().await
    }

    /// Refuses what would lead elsewhere than where it stands, unless it leads to a Patient that was merged with that one: by
    /// the links that stand, and by those that this group writes, which may be the merge itself.
    async fn refuse_moved(&mut self) -> Result<(), Stop> {
        let mut merged: Vec<Moved> = Vec::new();
        for (at, moved) in std::mem::take(&mut self.moved) {
            let is_known = |own: &Moved| own.from == moved.from && own.to == moved.to;
            if merged.iter().any(is_known) {
                continue;
            }
            if self.is_merged(&moved).await? {
                merged.push(moved);
            } else {
                let resource_type = self.prepared.interactions.get(at).and_then(resource_of);
                let resource_type =
                    resource_type.and_then(Value::resource_type).unwrap_or_default();
                let (resource_type, element) = (resource_type.to_owned(), moved.element.into());
                return refuse(at, Refusal::Moved { resource_type, element });
            }
        }
        Ok(())
    }

    async fn is_merged(&mut self, moved: &Moved) -> Result<bool, Stop> {
        let Some(mut linked) = Linked::of(moved) else { return Ok(false) };
        while let Some(name) = linked.next() {
            let (resource_type, id) = name.split_once('/').unwrap_or((name, ""));
            let key = ResourceKey { resource_type: resource_type.to_owned(), id: id.to_owned() };
            let written = self.versions.iter().find(|own| own.version.key == key);
            let body = match written {
                Some(written) => written.version.body.clone(),
                None => read::current(self.session, self.core, &key)
                    .await?
                    .and_then(|current| current.version.body),
            };
            let patient = body.map(|body| parse(body.as_bytes())).transpose();
            let patient = patient.map_err(|error| SessionError::Damaged(Box::new(error)))?;
            if linked.tell(patient.as_ref()) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The one resource that a conditional reference means.
    async fn referred(
        &mut self,
        at: usize,
        condition: &str,
        waiting: &[Waiting],
    ) -> Result<String, Stop> {
        let (resource_type, query) = condition.split_once('?').unwrap_or((condition, ""));
        let names: Vec<&str> =
            query.split('&').map(|pair| pair.split('=').next().unwrap_or_default()).collect();
        let reference = format!("{resource_type}?{}", names.join("&"));
        let Some(search) = self.catalogue.rules.condition(condition, self.prepared.now(at)) else {
            return refuse(at, Refusal::Unaskable(reference));
        };
        // Of those that wait, what stands in the store is of before.
        let mut found = self.find(&search, waiting.len().saturating_add(2)).await?;
        found.retain(|key| !waiting.iter().any(|own| own.key == *key));
        found.extend(waiting.iter().filter(|own| own.meets(&search)).map(|own| own.key.clone()));
        match found.as_slice() {
            [found] => Ok(format!("{}/{}", found.resource_type, found.id)),
            _ => refuse(at, Refusal::Reference { reference, matches: found.len() }),
        }
    }

    fn keeps(&self, at: usize) -> Option<&Keeps> {
        match self.prepared.interactions.get(at)? {
            Interaction::Update { keeps, .. } | Interaction::ConditionalUpdate { keeps, .. } => {
                keeps.as_ref()
            }
            _ => None,
        }
    }

    /// Has in a resource what is to be kept of the one that stands. What comes of the two is validated, as what comes of a
    /// patch is.
    fn take_over(&self, plan: &Plan, resource: &mut Value) -> Result<(), Stop> {
        let at = plan.interaction;
        let standing = plan.current.as_ref().and_then(|current| current.version.body.as_deref());
        let keeps = self.keeps(at).filter(|keeps| !keeps.takes_nothing());
        let Some((keeps, body)) = keeps.zip(standing) else { return Ok(()) };
        let standing =
            parse(body.as_bytes()).map_err(|error| SessionError::Damaged(Box::new(error)))?;
        keeps.take_over(&standing, resource, &|name| self.names.get(name).cloned());
        let nothing = Value::Array(Vec::new());
        match self.catalogue.rules.patch(resource, &nothing, self.prepared.now(at)) {
            Ok(_) => Ok(()),
            Err(refusal) => refuse(at, refusal),
        }
    }

    fn patched(&self, plan: &Plan, patch: &Value) -> Result<Value, Stop> {
        let at = plan.interaction;
        let Some(current) = &plan.current else {
            return refuse(at, Refusal::NotFound(plan.key.clone()));
        };
        let Some(body) = &current.version.body else {
            return refuse(at, Refusal::Gone(plan.key.clone()));
        };
        let before =
            parse(body.as_bytes()).map_err(|error| SessionError::Damaged(Box::new(error)))?;
        match self.catalogue.rules.patch(&before, patch, self.prepared.now(at)) {
            Ok(after) => Ok(after),
            Err(refusal) => refuse(at, refusal),
        }
    }

    /// Writes a version of a resource, unless it stands so already.
    async fn put(
        &mut self,
        plan: Plan,
        mut resource: Value,
        rows: Option<IndexRows>,
    ) -> Result<(), Stop> {
        let Plan { interaction: at, key, current } = plan;
        stamp::set_id(&mut resource, &key.id);
        if let Some(current) = &current
            && let Some(body) = &current.version.body
        {
            let version = &current.version;
            stamp::stamp(&mut resource, version.version, version.last_updated);
            if resource.to_json() == **body {
                self.done(at, Outcome::Unchanged(version.clone()));
                return Ok(());
            }
            if let Some(keeps) = self.keeps(at).filter(|keeps| keeps.same().next().is_some()) {
                let standing = parse(body.as_bytes())
                    .map_err(|error| SessionError::Damaged(Box::new(error)))?;
                let moved = keeps.moved(&standing, &resource);
                self.moved.extend(moved.into_iter().map(|moved| (at, moved)));
            }
        }
        let rows = rows.unwrap_or_else(|| index_rows(&resource, self.catalogue));
        let method = match self.prepared.interactions.get(at) {
            Some(Interaction::Create { .. }) => Method::Post,
            Some(Interaction::Patch { .. } | Interaction::ConditionalPatch { .. }) => Method::Patch,
            _ => Method::Put,
        };
        let kind = match &current {
            Some(current) if !current.is_deleted() => Kind::Updated,
            _ => Kind::Created,
        };
        let current = match current {
            Some(current) => Some(current),
            None => {
                let row = self.session.keys(1).await?.first().copied().unwrap_or_default();
                let version = StoredVersion {
                    key,
                    version: 0,
                    last_updated: i64::MIN,
                    change: ChangeNumber(0),
                    method,
                    body: None,
                };
                Some(Current { row, version })
            }
        };
        self.write_version(at, kind, method, current, Some((resource, rows))).await
    }

    /// Writes the version behind `current` (version 0: there is none yet).
    pub(super) async fn write_version(
        &mut self,
        at: usize,
        kind: Kind,
        method: Method,
        current: Option<Current>,
        resource: Option<(Value, IndexRows)>,
    ) -> Result<(), Stop> {
        let Some(Current { row, version: before }) = current else { return Ok(()) };
        let is_new = before.version == 0;
        let version = before.version.saturating_add(1);
        let last_updated =
            stamp::next_time(self.prepared.now(at), (!is_new).then_some(before.last_updated));
        let key = before.key;
        let deleted = resource.is_none();
        if is_new {
            self.pending.new.push(vec![
                SqlValue::Integer(row),
                SqlValue::text(&key.resource_type),
                SqlValue::text(&key.id),
                SqlValue::number(version),
                SqlValue::Integer(last_updated),
                SqlValue::Integer(i64::from(deleted)),
            ]);
            self.new.push((at, key.clone(), row));
        } else {
            let before = before.version;
            self.pending.changed.push(Changed { key: row, before, version, last_updated, deleted });
        }
        let mut body = None;
        let mut sealed = None;
        if let Some((mut resource, mut rows)) = resource {
            stamp::stamp(&mut resource, version, last_updated);
            let text = resource.to_json();
            sealed = Some(self.core.seal.seal(&key, version, &text));
            body = Some(text.into());
            let worded = match before.body.as_deref().map(|body| self.rows_of(body)) {
                None => true,
                Some(Ok(stand)) => {
                    rows.replace(row, &stand, &mut self.pending);
                    let worded = rows.narrative != stand.narrative || rows.whole != stand.whole;
                    if worded {
                        self.pending.unword.push(row);
                    }
                    worded
                }
                Some(Err(error)) => return Err(error.into()),
            };
            if worded {
                let words = (row, rows.narrative.clone(), rows.whole.clone());
                self.pending.words.push(words);
            }
            rows.append(row, &mut self.pending.rows);
        } else if before.body.is_some() {
            self.pending.unindex_all(row);
        }
        let version_row = VersionRow {
            key: row,
            resource_type: key.resource_type.clone(),
            version,
            last_updated,
            method: method_number(method),
            body: sealed,
        };
        let change = ChangeNumber(0);
        let version = StoredVersion { key, version, last_updated, change, method, body };
        self.versions.push(Written { interaction: at, kind, version, row: version_row });
        Ok(())
    }

    /// What a version is found by. Where the rules have changed since it was indexed, a reindexing is under way that
    /// will come over it.
    fn rows_of(&self, body: &str) -> Result<IndexRows, SessionError> {
        let resource =
            parse(body.as_bytes()).map_err(|error| SessionError::Damaged(Box::new(error)))?;
        Ok(index_rows(&resource, self.catalogue))
    }

    /// Brings what is pending into the database, so that it can be found.
    pub(super) async fn flush(&mut self) -> Result<(), Stop> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let pending = std::mem::take(&mut self.pending);
        let new = std::mem::take(&mut self.new);
        let changed = pending.changed.len();
        let flushed = self.session.flush(pending).await?;
        if flushed.changed != changed {
            return Err(SessionError::Conflict.into());
        }
        if flushed.added != new.len() {
            return self.taken(&new).await;
        }
        Ok(())
    }

    /// Somebody else has one of these ids.
    async fn taken(&mut self, new: &[(usize, ResourceKey, i64)]) -> Result<(), Stop> {
        for (at, key, row) in new {
            let creates =
                matches!(self.prepared.interactions.get(*at), Some(Interaction::Create { .. }));
            let there = read::row_key(self.session, key).await?;
            if creates && there.is_some_and(|there| there != *row) {
                return refuse(*at, Refusal::Exists(key.clone()));
            }
        }
        Err(SessionError::Conflict.into())
    }

    /// Numbers and writes the versions; from here on, they can be read.
    pub(super) async fn finish_versions(&mut self) -> Result<(), Stop> {
        self.flush().await?;
        let written = std::mem::take(&mut self.versions);
        if written.is_empty() {
            return Ok(());
        }
        let (rows, versions): (Vec<_>, Vec<_>) = written
            .into_iter()
            .map(|written| (written.row, (written.interaction, written.kind, written.version)))
            .unzip();
        let reads = self.prepared.interactions.iter().any(|interaction| {
            matches!(interaction, Interaction::Read { .. } | Interaction::Search(_))
        });
        let ending = if reads { Ending::More } else { Ending::Commit };
        let changes = self.session.number(rows, ending).await?;
        for ((at, kind, mut version), change) in versions.into_iter().zip(changes) {
            version.change = ChangeNumber(change);
            match (kind, self.outcomes.get_mut(at)) {
                (Kind::Deleted, Some(Some(Outcome::Deleted(versions)))) => versions.push(version),
                (_, Some(place)) => {
                    *place = Some(match kind {
                        Kind::Created => Outcome::Created(version),
                        Kind::Updated => Outcome::Updated(version),
                        Kind::Deleted => Outcome::Deleted(vec![version]),
                    });
                }
                (_, None) => {}
            }
        }
        for (at, first) in std::mem::take(&mut self.twins) {
            if let Some(Some(Outcome::Created(version))) = self.outcomes.get(first) {
                let version = version.clone();
                self.done(at, Outcome::Unchanged(version));
            }
        }
        Ok(())
    }
}
