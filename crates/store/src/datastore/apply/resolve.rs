//! Deciding what each interaction is about: deletions at once, then every condition.

use pipehat_resource::search::Search;

use super::{Kind, Plan, Stop, Work, references, refuse};
use crate::datastore::interaction::{
    Interaction, Method, Outcome, Precondition, Refusal, ResourceKey,
};
use crate::datastore::read::{self, Current};
use crate::datastore::search;
use crate::datastore::sql::{Dialect, Session, SessionError};
use crate::datastore::stamp;

impl<S: Session> Work<'_, S> {
    /// Deletions come first: what is written afterwards may take their place.
    pub(super) async fn delete(&mut self) -> Result<(), Stop> {
        let prepared = self.prepared;
        for (at, interaction) in prepared.interactions.iter().enumerate() {
            match interaction {
                Interaction::Delete { key, precondition } => {
                    self.touch(at, key)?;
                    let current = self.current(key).await?;
                    check(at, key, current.as_ref(), precondition)?;
                    let current = current.filter(|current| !current.is_deleted());
                    self.delete_these(at, current.into_iter().collect()).await?;
                }
                Interaction::ConditionalDelete { search, several, precondition } => {
                    let limit = if *several { usize::MAX } else { 2 };
                    let found = self.find(search, limit).await?;
                    if found.len() > 1 && !several {
                        return refuse(at, Refusal::SeveralMatch);
                    }
                    if found.is_empty() && matches!(precondition, Precondition::Version(_)) {
                        return refuse(at, Refusal::NothingToMatch);
                    }
                    let mut victims = Vec::with_capacity(found.len());
                    for key in found {
                        self.touch(at, &key)?;
                        if let Some(current) = read::current(self.session, self.core, &key).await?
                            && !current.is_deleted()
                        {
                            check(at, &key, Some(&current), precondition)?;
                            victims.push(current);
                        }
                    }
                    self.delete_these(at, victims).await?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    async fn delete_these(&mut self, at: usize, victims: Vec<Current>) -> Result<(), Stop> {
        if victims.is_empty() {
            self.done(at, Outcome::Deleted(Vec::new()));
        }
        for current in victims {
            self.write_version(at, Kind::Deleted, Method::Delete, Some(current), None).await?;
        }
        Ok(())
    }

    /// Reads what stands under the ids that are named, together, where each question is a way to the server and back.
    pub(super) async fn load(&mut self) -> Result<(), Stop> {
        if self.session.dialect() == Dialect::Sqlite {
            return Ok(());
        }
        let keys: Vec<ResourceKey> = self
            .prepared
            .interactions
            .iter()
            .filter_map(|interaction| match interaction {
                Interaction::Update { resource, .. } => stamp::key_of(resource),
                Interaction::Patch { key, .. } | Interaction::Delete { key, .. } => {
                    Some(key.clone())
                }
                _ => None,
            })
            .collect();
        if keys.len() > 1 {
            self.loaded = read::currents(self.session, self.core, &keys).await?;
        }
        Ok(())
    }

    async fn current(&mut self, key: &ResourceKey) -> Result<Option<Current>, Stop> {
        match self.loaded.remove(key) {
            Some(current) => Ok(current),
            None => Ok(read::current(self.session, self.core, key).await?),
        }
    }

    /// Decides every condition, and with it every id.
    pub(super) async fn resolve(&mut self) -> Result<(), Stop> {
        let prepared = self.prepared;
        for (at, interaction) in prepared.interactions.iter().enumerate() {
            let (key, precondition, current, full_url) = match interaction {
                Interaction::Create { resource, if_none_exist, full_url } => {
                    let key = key_of(resource)?;
                    if let Some(search) = if_none_exist
                        && let Some(found) = self.existing(at, search).await?
                    {
                        self.name(full_url.as_deref(), &found);
                        continue;
                    }
                    (key, &Precondition::None, None, full_url.as_deref())
                }
                Interaction::Update { resource, precondition, full_url, .. } => {
                    let key = key_of(resource)?;
                    let current = self.current(&key).await?;
                    (key, precondition, current, full_url.as_deref())
                }
                Interaction::ConditionalUpdate {
                    search,
                    resource,
                    new_id,
                    precondition,
                    full_url,
                    ..
                } => {
                    let own = resource.id();
                    let found = self.find(search, 2).await?;
                    let none = found.is_empty();
                    // Two resources under one condition: no later one could be decided.
                    if none && let Some(twin) = self.made_by(search) {
                        return refuse(at, Refusal::Twice(twin));
                    }
                    let key = match found.as_slice() {
                        [] => ResourceKey {
                            resource_type: resource.resource_type().unwrap_or_default().to_owned(),
                            id: own.unwrap_or(new_id).to_owned(),
                        },
                        [found] if own.is_some_and(|own| own != found.id) => {
                            return refuse(at, Refusal::IdMismatch);
                        }
                        [found] => found.clone(),
                        _ => return refuse(at, Refusal::SeveralMatch),
                    };
                    let current = self.current(&key).await?;
                    // Where none matches, the update creates (FHIR R4 §3.1.0.4.3): what stands there under that id
                    // is another resource, which nobody asked to replace.
                    if none && current.as_ref().is_some_and(|current| !current.is_deleted()) {
                        return refuse(at, Refusal::Taken(key));
                    }
                    (key, precondition, current, full_url.as_deref())
                }
                Interaction::Patch { key, precondition, .. } => {
                    let current = self.current(key).await?;
                    (key.clone(), precondition, current, None)
                }
                Interaction::ConditionalPatch { search, precondition, if_found, .. } => {
                    let key = match self.find(search, 2).await?.as_slice() {
                        [] if *if_found => {
                            self.done(at, Outcome::Read(None));
                            continue;
                        }
                        [] => return refuse(at, Refusal::NoneMatches),
                        [found] => found.clone(),
                        _ => return refuse(at, Refusal::SeveralMatch),
                    };
                    let current = self.current(&key).await?;
                    (key, precondition, current, None)
                }
                Interaction::Delete { .. }
                | Interaction::ConditionalDelete { .. }
                | Interaction::Read { .. }
                | Interaction::Search(_) => continue,
            };
            self.touch(at, &key)?;
            check(at, &key, current.as_ref(), precondition)?;
            self.name(full_url, &key);
            self.plans.push(Plan { interaction: at, key, current });
        }
        Ok(())
    }

    /// What this group makes because the same condition finds nothing.
    fn made_by(&self, search: &Search) -> Option<ResourceKey> {
        let interactions = &self.prepared.interactions;
        let twin = self.plans.iter().find(|plan| match interactions.get(plan.interaction) {
            Some(Interaction::Create { if_none_exist: Some(other), .. }) => other == search,
            Some(Interaction::ConditionalUpdate { search: other, .. }) => {
                plan.current.is_none() && other == search
            }
            _ => false,
        });
        twin.map(|plan| plan.key.clone())
    }

    /// What a conditional create finds: what stands there, or what the same condition makes in this group.
    async fn existing(&mut self, at: usize, search: &Search) -> Result<Option<ResourceKey>, Stop> {
        let found = self.find(search, 2).await?;
        match found.as_slice() {
            [found] => {
                let Some(current) = read::current(self.session, self.core, found).await? else {
                    return Err(SessionError::Conflict.into());
                };
                self.done(at, Outcome::Unchanged(current.version));
                Ok(Some(found.clone()))
            }
            [] => {
                let interactions = &self.prepared.interactions;
                let twin = self.plans.iter().find(|plan| {
                    matches!(
                        interactions.get(plan.interaction),
                        Some(Interaction::Create { if_none_exist: Some(other), .. })
                            if other == search
                    )
                });
                let twin = twin.map(|plan| (plan.interaction, plan.key.clone()));
                self.twins.extend(twin.iter().map(|(first, _)| (at, *first)));
                Ok(twin.map(|(_, key)| key))
            }
            _ => refuse(at, Refusal::SeveralMatch),
        }
    }

    /// What a condition finds now, locked until the transaction ends.
    pub(super) async fn find(
        &mut self,
        search: &Search,
        limit: usize,
    ) -> Result<Vec<ResourceKey>, Stop> {
        self.flush().await?;
        let found = search::keys(self.session, self.catalogue, search, limit).await?;
        if self.session.dialect() == Dialect::Sqlite || found.is_empty() {
            return Ok(found);
        }
        // Others may have changed it before the lock was had.
        self.session.lock(&super::locks_of(found.iter())).await?;
        let again = search::keys(self.session, self.catalogue, search, limit).await?;
        if again == found { Ok(found) } else { Err(SessionError::Conflict.into()) }
    }

    fn name(&mut self, full_url: Option<&str>, key: &ResourceKey) {
        let Some(full_url) = full_url else { return };
        for name in references::names_of(full_url) {
            self.names.insert(name, format!("{}/{}", key.resource_type, key.id));
        }
    }

    pub(super) fn done(&mut self, at: usize, outcome: Outcome) {
        if let Some(place) = self.outcomes.get_mut(at) {
            *place = Some(outcome);
        }
    }
}

fn key_of(resource: &pipehat_resource::json::Value) -> Result<ResourceKey, Stop> {
    stamp::key_of(resource).ok_or_else(|| {
        Stop::Failed(SessionError::Database("a resource came without type and id".into()))
    })
}

/// Whether what must hold does.
fn check(
    at: usize,
    key: &ResourceKey,
    current: Option<&Current>,
    precondition: &Precondition,
) -> Result<(), Stop> {
    match precondition {
        Precondition::None => Ok(()),
        Precondition::Version(expected) => {
            let newest = current.map_or(0, |current| current.version.version);
            if newest == *expected {
                Ok(())
            } else {
                let (key, expected) = (key.clone(), *expected);
                refuse(at, Refusal::VersionConflict { key, expected, current: newest })
            }
        }
        Precondition::Absent if current.is_some_and(|current| !current.is_deleted()) => {
            refuse(at, Refusal::Exists(key.clone()))
        }
        Precondition::Absent => Ok(()),
    }
}
