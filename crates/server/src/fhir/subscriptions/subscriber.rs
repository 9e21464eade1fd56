//! Whoever takes what Subscriptions are told: the seam for everything that is told of changes.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use pipehat_store::datastore::{Body, ResourceKey, Trigger};

/// What a delivery gives back.
pub type Delivered<'a> = Pin<Box<dyn Future<Output = Result<(), DeliveryFailure>> + Send + 'a>>;

/// Takes the notices of Subscriptions whose endpoint is its own, such as `Bot/123`. The channel's type is
/// `rest-hook`; order, retries, dead letters and restarts are the same as for addresses.
pub trait Subscriber: Send + Sync {
    /// Whether an endpoint is its own: no address is called then.
    fn takes(&self, endpoint: &str) -> bool;

    /// Takes one notice. Those of one Subscription and one resource come one after another, each again until it
    /// succeeds or is given up; the same one may come twice.
    fn deliver<'a>(&'a self, endpoint: &'a str, notice: &'a Notice) -> Delivered<'a>;

    /// Is told that a notice may be none: what the Subscription's condition says of it can't be told, `why` says for what
    /// reason and without content. The same comes again as one that failed does, until it is decided or given up.
    fn undecided<'a>(
        &'a self,
        endpoint: &'a str,
        notice: &'a Notice,
        why: &'a str,
    ) -> Delivered<'a> {
        let _ = (endpoint, notice);
        Box::pin(std::future::ready(Err(DeliveryFailure::new(why))))
    }
}

/// A change that met the criteria of a Subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The id of the Subscription.
    pub subscription: String,
    /// The resource.
    pub key: ResourceKey,
    /// The version that the change made.
    pub version: u64,
    /// What it did.
    pub trigger: Trigger,
    /// The resource as the change made it; of a deletion, as it was before.
    pub body: Option<Body>,
    /// How often it was tried before.
    pub attempts: u32,
}

/// Why a delivery failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct DeliveryFailure {
    /// For people, and without anything of a resource: it is kept and shown.
    pub why: String,
    /// How long not to try again.
    pub retry_after: Option<Duration>,
    /// After how many attempts it is given up, where that is sooner than for others: it most likely fails each time.
    pub attempts_max: Option<u32>,
}

impl DeliveryFailure {
    /// A failure.
    pub fn new(why: impl Into<String>) -> Self {
        Self { why: why.into(), retry_after: None, attempts_max: None }
    }
}
