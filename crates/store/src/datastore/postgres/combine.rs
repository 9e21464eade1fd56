//! Groups that do not depend on each other share a transaction: one sync of the server's disk, and a few ways there
//! and back, for all that wait.
//!
//! While one transaction commits, the next is written. Where a shared one is refused or fails, its groups are
//! applied one by one, so that none sees another.

use std::collections::HashSet;
use std::sync::Arc;

use tokio::sync::{Mutex, mpsc, oneshot};

use super::Inner;
use crate::datastore::apply::Prepared;
use crate::datastore::error::DatastoreError;
use crate::datastore::interaction::{Applied, ResourceKey};
use crate::datastore::sql::SessionError;

/// How many groups may wait; the next is told that the datastore is busy.
pub(super) const WAITING_MAX: usize = 1024;

/// How many transactions are under way at the same time.
pub(super) const TRANSACTIONS: usize = 2;

/// How many groups share one at most.
const GROUPS_MAX: usize = 64;

/// How many interactions share one at most, unless a single group has more.
const INTERACTIONS_MAX: usize = 400;

/// A group that waits.
pub(super) struct Waiting {
    pub(super) prepared: Prepared,
    pub(super) keys: Vec<ResourceKey>,
    pub(super) reply: oneshot::Sender<Result<Applied, DatastoreError>>,
}

/// What waits, and the one that did not fit into the transaction before.
pub(super) struct Line {
    waiting: mpsc::Receiver<Waiting>,
    next: Option<Waiting>,
}

impl Line {
    pub(super) fn new(waiting: mpsc::Receiver<Waiting>) -> Arc<Mutex<Self>> {
        Arc::new(Mutex::new(Self { waiting, next: None }))
    }

    /// The groups of the next transaction. `None` when nobody can come any more.
    async fn take(&mut self) -> Option<Vec<Waiting>> {
        let first = match self.next.take() {
            Some(next) => next,
            None => self.waiting.recv().await?,
        };
        let mut keys: HashSet<ResourceKey> = first.keys.iter().cloned().collect();
        let mut groups = vec![first];
        while groups.len() < GROUPS_MAX {
            let Ok(next) = self.waiting.try_recv() else { break };
            let fits = keys.len().saturating_add(next.keys.len()) <= INTERACTIONS_MAX
                && !next.keys.iter().any(|key| keys.contains(key));
            if !fits {
                self.next = Some(next);
                break;
            }
            keys.extend(next.keys.iter().cloned());
            groups.push(next);
        }
        Some(groups)
    }
}

/// Applies what waits, until nobody can come any more.
pub(super) async fn run(line: Arc<Mutex<Line>>, inner: Arc<Inner>) {
    loop {
        let groups = line.lock().await.take().await;
        let Some(groups) = groups else { return };
        apply(&inner, groups).await;
    }
}

async fn apply(inner: &Inner, groups: Vec<Waiting>) {
    if let [_, _, ..] = groups.as_slice() {
        let together = Prepared::together(groups.iter().map(|waiting| &waiting.prepared));
        match inner.apply_once(&together).await {
            Ok(Applied::Done(outcomes)) => {
                let mut outcomes = outcomes.into_iter();
                for waiting in groups {
                    let own = outcomes.by_ref().take(waiting.keys.len()).collect();
                    // Whoever asked may have gone: it is written all the same.
                    let _ = waiting.reply.send(Ok(Applied::Done(own)));
                }
                return;
            }
            // Perhaps it is written: doing it again would do it twice.
            Err(SessionError::Uncertain(source)) => {
                let text = source.to_string();
                for waiting in groups {
                    let error = DatastoreError::Uncertain(text.clone().into());
                    let _ = waiting.reply.send(Err(error));
                }
                return;
            }
            Ok(Applied::Refused(_)) | Err(_) => {}
        }
    }
    let alone = groups.into_iter().map(|waiting| async move {
        let _ = waiting.reply.send(inner.apply(&waiting.prepared).await);
    });
    futures_util::future::join_all(alone).await;
}
