//! Who listens at the websocket, and to what.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// How many Subscriptions one listener may be bound to.
pub(super) const BINDINGS_MAX: usize = 100;

/// Those who listen.
#[derive(Debug, Default)]
pub(super) struct Listeners {
    bound: Mutex<HashMap<String, Vec<Arc<Listener>>>>,
}

/// One who listens. What it was not told yet is counted, not queued: a slow one costs nothing.
#[derive(Debug, Default)]
pub(super) struct Listener {
    untold: Mutex<Untold>,
    wake: Notify,
}

/// What a listener is still to be told.
#[derive(Debug, Default)]
pub(super) struct Untold {
    /// The ids of Subscriptions, each with how often something is there.
    pub(super) pings: BTreeMap<String, u32>,
    /// The ids of those that are no longer, to which it was bound.
    pub(super) ended: BTreeSet<String>,
}

impl Listener {
    /// Waits until there is something to tell.
    pub(super) async fn told(&self) -> Untold {
        loop {
            let wake = self.wake.notified();
            let untold = std::mem::take(&mut *lock(&self.untold));
            if !untold.pings.is_empty() || !untold.ended.is_empty() {
                return untold;
            }
            wake.await;
        }
    }

    /// Tells it that something is there.
    pub(super) fn tell(&self, subscription: &str) {
        let mut untold = lock(&self.untold);
        match untold.pings.get_mut(subscription) {
            Some(count) => *count = count.saturating_add(1),
            None => drop(untold.pings.insert(subscription.to_owned(), 1)),
        }
        self.wake.notify_one();
    }

    /// Tells it that a Subscription is no longer.
    fn tell_end(&self, subscription: &str) {
        lock(&self.untold).ended.insert(subscription.to_owned());
        self.wake.notify_one();
    }
}

impl Listeners {
    /// Binds a listener to a Subscription.
    pub(super) fn bind(&self, subscription: &str, listener: &Arc<Listener>) {
        let mut bound = lock(&self.bound);
        let listening = bound.entry(subscription.to_owned()).or_default();
        if !listening.iter().any(|other| Arc::ptr_eq(other, listener)) {
            listening.push(Arc::clone(listener));
        }
    }

    /// A listener is gone.
    pub(super) fn unbind(&self, listener: &Arc<Listener>) {
        lock(&self.bound).retain(|_, listening| {
            listening.retain(|other| !Arc::ptr_eq(other, listener));
            !listening.is_empty()
        });
    }

    /// A listener hears of a Subscription no more.
    pub(super) fn let_go(&self, subscription: &str, listener: &Arc<Listener>) {
        let mut bound = lock(&self.bound);
        if let Some(listening) = bound.get_mut(subscription) {
            listening.retain(|other| !Arc::ptr_eq(other, listener));
            if listening.is_empty() {
                bound.remove(subscription);
            }
        }
    }

    /// Lets go of those who listen to a Subscription that is no longer, and tells them.
    pub(super) fn release(&self, is_there: impl Fn(&str) -> bool) {
        lock(&self.bound).retain(|subscription, listening| {
            let stays = is_there(subscription);
            if !stays {
                listening.iter().for_each(|listener| listener.tell_end(subscription));
            }
            stays
        });
    }

    /// Tells those who listen to a Subscription; whether there are any.
    pub(super) fn tell(&self, subscription: &str) -> bool {
        let bound = lock(&self.bound);
        let Some(listening) = bound.get(subscription) else { return false };
        listening.iter().for_each(|listener| listener.tell(subscription));
        !listening.is_empty()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
