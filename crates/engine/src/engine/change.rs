//! Bringing a running engine to a changed configuration: all of it, or nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use pipehat_connectors::Bound;
use pipehat_journal::Flush;

use super::running::{bind, run_source, window};
use super::{Engine, EngineError, State};
use crate::names::ChannelName;
use crate::project::{ChannelSpec, Project};
use crate::record::{Applied, Record};

/// What an applied configuration changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ApplyReport {
    /// Channels that are new.
    pub added: Vec<ChannelName>,
    /// Channels that run a new revision.
    pub changed: Vec<ChannelName>,
    /// Channels taken away.
    pub removed: Vec<ChannelName>,
}

impl Engine {
    /// Brings the engine to a changed configuration: all of it, or, when a source can't start,
    /// nothing. Channels that did not change do not notice; a changed channel whose source did
    /// not change keeps its connections.
    ///
    /// # Errors
    /// When a source can't start; the configuration before runs on.
    pub async fn apply(&self, project: &Project, by: &str) -> Result<ApplyReport, EngineError> {
        let mut state = self.state.lock().await;
        let wanted: BTreeMap<&ChannelName, &Arc<ChannelSpec>> = project
            .channels
            .iter()
            .filter(|spec| spec.enabled)
            .map(|spec| (&spec.name, spec))
            .collect();
        let bound = self.bind_changed(&mut state, &wanted).await?;
        let report = self.switch(&mut state, &wanted, bound).await;
        self.publish(&state);
        self.note_applied(&state, &report, by);
        Ok(report)
    }

    /// Takes hold of everything that must listen anew. An address that a running source of ours
    /// holds is free only after that source has stopped: if another can't start then, those that
    /// were stopped start again.
    async fn bind_changed(
        &self,
        state: &mut State,
        wanted: &BTreeMap<&ChannelName, &Arc<ChannelSpec>>,
    ) -> Result<BTreeMap<ChannelName, Box<dyn Bound>>, EngineError> {
        let needed = |name: &ChannelName, spec: &ChannelSpec| {
            state.channels.get(name).is_none_or(|running| {
                // One that ended by itself holds nothing any more.
                running.source.task.is_finished()
                    || running.spec.source.fingerprint != spec.source.fingerprint
            })
        };
        let anew: Vec<&Arc<ChannelSpec>> = wanted
            .iter()
            .filter(|(name, spec)| needed(name, spec))
            .map(|(_, spec)| *spec)
            .collect();
        let claims: BTreeSet<&str> =
            anew.iter().filter_map(|spec| spec.source.claim.as_deref()).collect();
        let in_the_way: Vec<ChannelName> = state
            .channels
            .values()
            .filter(|running| {
                let claimed = running.spec.source.claim.as_deref();
                let kept = wanted
                    .get(&running.spec.name)
                    .is_some_and(|spec| spec.source.fingerprint == running.spec.source.fingerprint);
                !kept && claimed.is_some_and(|claim| claims.contains(claim))
            })
            .map(|running| Arc::clone(&running.spec.name))
            .collect();
        for name in &in_the_way {
            if let Some(running) = state.channels.get_mut(name) {
                running.source.end().await;
            }
        }
        let mut bound = BTreeMap::new();
        for spec in anew {
            match bind(spec).await {
                Ok(listening) => {
                    bound.insert(Arc::clone(&spec.name), listening);
                }
                Err(error) => {
                    drop(bound);
                    self.restart_sources(state, &in_the_way).await;
                    return Err(error);
                }
            }
        }
        Ok(bound)
    }

    async fn restart_sources(&self, state: &mut State, names: &[ChannelName]) {
        for name in names {
            let Some(running) = state.channels.get_mut(name) else { continue };
            match bind(&running.spec).await {
                Ok(bound) => running.source = run_source(name, bound, &running.intake),
                Err(error) => tracing::error!(
                    channel = &**name,
                    error = &error as &dyn std::error::Error,
                    "the source could not be started again"
                ),
            }
        }
    }

    /// Nothing can fail any more: brings every channel to its new revision.
    async fn switch(
        &self,
        state: &mut State,
        wanted: &BTreeMap<&ChannelName, &Arc<ChannelSpec>>,
        mut bound: BTreeMap<ChannelName, Box<dyn Bound>>,
    ) -> ApplyReport {
        let mut report = ApplyReport::default();
        let gone: Vec<ChannelName> =
            state.channels.keys().filter(|name| !wanted.contains_key(name)).cloned().collect();
        for name in gone {
            if let Some(running) = state.channels.remove(&name) {
                let books = match running.end().await {
                    Some((through, ledger)) => Some((Some(through), ledger)),
                    // It had failed: its books are made anew, for it may come back.
                    None => self.books_of(&name).await,
                };
                if let Some(books) = books {
                    state.dormant.insert(Arc::clone(&name), books);
                }
                report.removed.push(name);
            }
        }
        // A channel that comes back knows its senders' messages again.
        let comes_back = |name: &ChannelName| !state.channels.contains_key(name);
        let mut lately = if wanted.keys().any(|name| comes_back(name)) {
            self.lately().await
        } else {
            BTreeMap::new()
        };
        for (name, spec) in wanted {
            let listening = bound.remove(*name);
            if let Some(running) = state.channels.get_mut(*name) {
                if running.spec.revision == spec.revision && listening.is_none() {
                    continue;
                }
                running.change(spec, listening).await;
                report.changed.push(Arc::clone(name));
            } else if let Some(listening) = listening {
                let (through, ledger) = state.dormant.remove(*name).unwrap_or_default();
                let window = window(spec, lately.remove(*name).unwrap_or_default());
                let work = self.unprocessed(&ledger).await;
                let running =
                    self.launch(Arc::clone(spec), listening, through, ledger, window, work);
                state.channels.insert(Arc::clone(name), running);
                report.added.push(Arc::clone(name));
            }
        }
        report
    }

    pub(super) fn note_applied(&self, state: &State, report: &ApplyReport, by: &str) {
        let changed = report.added.iter().chain(&report.changed).chain(&report.removed);
        for channel in changed {
            let revision = state.channels.get(channel).map(|running| running.spec.revision.0);
            let record = Record::Applied(Applied {
                channel: Arc::clone(channel),
                at: Timestamp::now(),
                by: by.to_owned(),
                revision,
            });
            self.services.log.append(record, Flush::Later, |_, _| ());
        }
    }
}
