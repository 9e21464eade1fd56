//! A channel's destinations as they run, and what happens to them when the configuration changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use pipehat_connectors::{
    Attempt, Destination, Health, HealthSnapshot, OnRefusal, Outbound, Parallel,
};
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;

use super::asking::Asking;
use super::conductor::Conductor;
use super::outbox::{Outbox, Policy};
use super::status::{ChannelStatus, DestinationStatus};
use crate::names::{ChannelName, DestinationName};
use crate::project::{ChannelSpec, DestinationSpec, ReplyMode};

/// One destination as it runs.
#[derive(Debug)]
pub(super) struct Post {
    pub(super) outbox: Outbox,
    pub(super) connection: Connection,
    /// Where several deliveries of a lane may be under way: ends when the latest of them has been
    /// told. So they settle in the order they were sent, whoever is woken first.
    pub(super) latest: Option<oneshot::Receiver<()>>,
    /// The channel that takes what is answered.
    pub(super) replies_to: Option<ChannelName>,
}

/// The connector's side of a destination.
#[derive(Clone)]
pub(super) struct Connection {
    pub(super) destination: Arc<dyn Destination>,
    pub(super) health: Arc<Health>,
    pub(super) connector: &'static str,
    /// The settings it was made of.
    fingerprint: [u8; 32],
    /// Its sends under way: it is closed when they are through.
    pub(super) sends: TaskTracker,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Connection").field("connector", &self.connector).finish()
    }
}

impl Connection {
    fn of(spec: &DestinationSpec) -> Self {
        Self {
            destination: Arc::clone(&spec.destination),
            health: Arc::clone(&spec.health),
            connector: spec.connector,
            fingerprint: spec.fingerprint,
            sends: TaskTracker::new(),
        }
    }

    /// Stands in for a destination that was taken away while deliveries were open.
    fn removed() -> Self {
        Self {
            destination: Arc::new(Removed),
            health: Arc::default(),
            connector: "removed",
            fingerprint: [0; 32],
            sends: TaskTracker::new(),
        }
    }
}

/// Closes a connection once its sends are through.
pub(super) async fn close(connection: Connection) {
    connection.sends.close();
    connection.sends.wait().await;
    connection.destination.close().await;
    connection.health.stopped();
}

impl Conductor {
    /// Makes the destinations of the configuration, and stand-ins for those that are no longer
    /// there but still have deliveries open.
    pub(super) fn install_all(&mut self) {
        let spec = Arc::clone(&self.spec);
        for destination in &spec.destinations {
            let connection = Connection::of(destination);
            self.install(&destination.name, connection, policy(&spec, destination));
            self.answer_to(destination);
        }
        let orphans: Vec<DestinationName> = self
            .ledger
            .queues
            .iter()
            .filter(|(name, queue)| queue.depth() > 0 && !self.posts.contains_key(*name))
            .map(|(name, _)| Arc::clone(name))
            .collect();
        for name in orphans {
            self.install(&name, Connection::removed(), Policy::default());
        }
    }

    /// Makes sure that somebody looks after this destination's deliveries: what was routed or
    /// released when the destination was just being taken away comes back after that.
    pub(super) fn ensure_post(&mut self, name: &DestinationName) {
        if !self.posts.contains_key(name) {
            self.install(name, Connection::removed(), Policy::default());
        }
    }

    fn install(&mut self, name: &DestinationName, connection: Connection, policy: Policy) {
        let (slots, window) = slots_and_window(&*connection.destination);
        let mut outbox = Outbox::new(policy, slots, window);
        if let Some(queue) = self.ledger.queues.get(name) {
            outbox.must_load(queue.open.keys().copied());
        }
        let post = Post { outbox, connection, latest: None, replies_to: None };
        self.posts.insert(Arc::clone(name), post);
    }

    fn answer_to(&mut self, destination: &DestinationSpec) {
        if let Some(post) = self.posts.get_mut(&destination.name) {
            post.replies_to = destination.replies_to.as_ref().map(|(name, _)| Arc::clone(name));
        }
    }

    /// Takes on a changed configuration: destinations whose settings did not change keep their
    /// connections, and no delivery is lost or doubled.
    pub(super) fn apply(&mut self, spec: Arc<ChannelSpec>) {
        self.spec = spec;
        let spec = Arc::clone(&self.spec);
        let mut before: BTreeMap<DestinationName, Post> = std::mem::take(&mut self.posts);
        for destination in &spec.destinations {
            let Some(mut post) = before.remove(&destination.name) else {
                let connection = Connection::of(destination);
                self.install(&destination.name, connection, policy(&spec, destination));
                self.answer_to(destination);
                continue;
            };
            if post.connection.fingerprint != destination.fingerprint {
                let old = std::mem::replace(&mut post.connection, Connection::of(destination));
                tokio::spawn(close(old));
            }
            let (slots, window) = slots_and_window(&*post.connection.destination);
            post.outbox.reconfigure(policy(&spec, destination), slots, window);
            self.posts.insert(Arc::clone(&destination.name), post);
            self.answer_to(destination);
        }
        for (name, mut post) in before {
            let old = std::mem::replace(&mut post.connection, Connection::removed());
            tokio::spawn(close(old));
            if self.ledger.queues.get(&name).is_some_and(|queue| queue.depth() > 0) {
                tracing::warn!(
                    channel = &*spec.name,
                    destination = &*name,
                    "a destination was taken away; what is queued for it is parked"
                );
                post.outbox.reconfigure(Policy::default(), 1, 1);
                self.posts.insert(name, post);
            }
        }
        self.reloads.retain(|name, _| self.posts.contains_key(name));
    }

    /// The channel as an operator sees it; the engine adds the source's side.
    pub(super) fn status(&self) -> ChannelStatus {
        let queues = &self.ledger.queues;
        ChannelStatus {
            name: Arc::clone(&self.spec.name),
            revision: self.spec.revision.0,
            counters: self.ledger.counters,
            unprocessed: self.ledger.unprocessed.len() as u64,
            blocked: self
                .blocked
                .iter()
                // A question that was not answered yet, for it has just been asked, is nothing to look at.
                .filter(|(_, blocked)| blocked.asking.as_ref().is_none_or(Asking::has_failed))
                .map(|(message, blocked)| (*message, format!("{}: {}", blocked.code, blocked.why)))
                .collect(),
            failing_bots: self.failing_bots(),
            anomalies: self.ledger.anomalies,
            stalled: self.stalled.is_some(),
            failed: false,
            address: None,
            source_connector: self.spec.source.connector,
            source: Health::default().snapshot(),
            destinations: self
                .posts
                .iter()
                .map(|(name, post)| DestinationStatus {
                    name: Arc::clone(name),
                    connector: post.connection.connector,
                    queued: queues.get(name).map_or(0, |queue| queue.depth()),
                    sending: post.outbox.sending(),
                    retrying: post.outbox.retrying(),
                    failures: post.outbox.circuit().failures,
                    health: health(post),
                })
                .collect(),
        }
    }
}

/// How a destination stands. Where its connection has no problem, that of what it does not take is shown.
fn health(post: &Post) -> HealthSnapshot {
    let mut health = post.connection.health.snapshot();
    if health.problem.is_none()
        && let Some(failure) = post.outbox.failure()
    {
        (health.problem, health.problem_at) = (Some(failure.problem.clone()), Some(failure.at));
    }
    health
}

fn policy(channel: &ChannelSpec, spec: &DestinationSpec) -> Policy {
    let interruptions = spec.descriptor.destination.iter().flat_map(|side| side.interruptions);
    Policy {
        retry: spec.retry,
        on_interrupted: spec.on_interrupted,
        answers: spec.answers.clone(),
        interruptions: (spec.unrepeatable.iter().map(|code| (*code, OnRefusal::Park)))
            .chain(
                interruptions
                    .filter_map(|(code, answer)| Some((*code, *spec.answers.get(*answer)?))),
            )
            .collect(),
        queries: match &channel.reply {
            ReplyMode::Delivered { from, unanswered, .. } if *from == spec.name => {
                Some(*unanswered)
            }
            _ => None,
        },
    }
}

/// How many deliveries run at a time, and how many of one lane. Only a single connection keeps
/// the order of several unanswered messages.
fn slots_and_window(destination: &dyn Destination) -> (usize, usize) {
    let Parallel { connections, window } = destination.parallel();
    let slots = connections.max(1).saturating_mul(window.max(1));
    (slots, if connections <= 1 { window.max(1) } else { 1 })
}

/// A destination that is no longer configured.
#[derive(Debug)]
struct Removed;

impl Destination for Removed {
    fn parallel(&self) -> Parallel {
        Parallel { connections: 1, window: 1 }
    }

    fn deliver(&self, _: Outbound) -> BoxFuture<'static, Attempt> {
        std::future::ready(Attempt::Impossible {
            code: "delivery.destination-removed",
            detail: "the channel no longer has this destination".to_owned(),
        })
        .boxed()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        std::future::ready(()).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::testing::channel;

    /// What follows an interruption behind which a second try may do harm.
    fn after_doubt(more: &str) -> Option<OnRefusal> {
        let rest = format!("destinations:\n  lab:\n    mllp: 127.0.0.1:2576\n{more}");
        let spec = channel(&rest);
        let destination = spec.destinations.first().expect("a destination");
        policy(&spec, destination).interruptions.get("mllp.may-double").copied()
    }

    #[test]
    fn what_may_double_is_parked_unless_the_file_says_otherwise() {
        assert_eq!(after_doubt(""), Some(OnRefusal::Park));
        // Left to `on_interrupted`.
        assert_eq!(after_doubt("    on_interrupted: resend\n"), None);
    }
}
