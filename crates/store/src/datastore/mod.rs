//! The FHIR datastore: resources with their versions, and what they are found by.
//!
//! [`Datastore`] is what the REST API, channels, subscriptions and commands speak to; there is one for SQLite
//! and one for PostgreSQL, and one contract suite runs on both.
//!
//! Guarantees:
//! - What [`Datastore::apply`] answers is durable. A group is applied whole or not at all.
//! - Conditional interactions are decided inside the transaction that writes: two that ask for the same never
//!   make two resources. Conflicts of the database are tried again inside.
//! - Every version has a [`ChangeNumber`], in the order in which versions became visible: whoever reads on from
//!   the last one it saw misses nothing.

mod apply;
pub(crate) mod body;
#[cfg(test)]
mod contract;
mod core;
mod deliveries;
mod entries;
mod error;
mod interaction;
mod labels;
mod maintenance;
mod postgres;
mod r4;
mod read;
mod rules;
mod schema;
mod search;
mod sql;
mod sqlite;
mod stamp;
mod transfer;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use pipehat_resource::search::Search;

pub use body::BodyKey;
pub use deliveries::{
    DELIVERIES_MAX, Delivery, DeliveryBook, DeliveryCounts, Matched, Trigger, Verdict,
};
pub use error::DatastoreError;
pub use interaction::{
    Applied, Body, ChangeNumber, Group, GroupRefusal, HistoryQuery, HistoryScope, Interaction,
    Method, Outcome, Precondition, Refusal, ResourceKey, SearchMatch, SearchPage, SearchRequest,
    StoredVersion,
};
pub use maintenance::{
    Fault, PROBLEMS_MAX, Problem, Progress, Resources, Statistics, Told, TypeStatistics, Verified,
};
pub use postgres::{PostgresDatastore, PostgresLocation};
pub use r4::R4Rules;
pub use rules::{ParameterNames, Rules};
pub use sqlite::SqliteDatastore;
pub use transfer::{Imported, LINE_BYTES_MAX, TransferError, Unfit, export, fit, import};

/// What an asynchronous call gives back.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, DatastoreError>> + Send + 'a>>;

/// A place that keeps resources.
pub trait Datastore: Send + Sync {
    /// The newest version, also where that is a deletion. `None` where it never was.
    fn read<'a>(&'a self, key: &'a ResourceKey) -> Answer<'a, Option<StoredVersion>>;

    /// One version.
    fn version<'a>(
        &'a self,
        key: &'a ResourceKey,
        version: u64,
    ) -> Answer<'a, Option<StoredVersion>>;

    /// Versions, newest first.
    fn history<'a>(&'a self, query: &'a HistoryQuery) -> Answer<'a, Vec<StoredVersion>>;

    /// A page of a search.
    fn search<'a>(&'a self, request: &'a SearchRequest) -> Answer<'a, SearchPage>;

    /// Applies a group: in the order given, in one transaction.
    fn apply(&self, group: Group) -> Answer<'_, Applied>;

    /// The versions written after `after`, oldest first, at most `limit`.
    fn changes(&self, after: ChangeNumber, limit: usize) -> Answer<'_, Vec<StoredVersion>>;

    /// The number of the newest change; a receiver is told each time it grows.
    fn newest_change(&self) -> tokio::sync::watch::Receiver<ChangeNumber>;

    /// Whether this node looks after what only one should: Subscriptions, where several share a database. It may
    /// change at any time, and for moments two may think so.
    fn leads(&self) -> bool {
        true
    }

    /// Whether other nodes may share the database.
    fn is_shared(&self) -> bool {
        false
    }

    /// Up to which change whoever led last has looked after Subscriptions, and the number of its book; `None` where
    /// nobody said.
    fn told_to(&self) -> Answer<'_, Option<(ChangeNumber, u64)>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    /// Says so, for the node that leads next.
    fn set_told_to(&self, _change: ChangeNumber, _book: u64) -> Answer<'_, ()> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// How many resources match, without reading them.
    fn count<'a>(&'a self, search: &'a Search) -> Answer<'a, u64>;

    /// Goes by other rules from now on: search parameters were added or taken away. What they find differently is
    /// found so behind [`Datastore::reindex`].
    fn use_rules(&self, rules: Arc<dyn Rules>) -> Answer<'_, ()>;

    /// Whether everything is indexed by the rules in force.
    fn is_indexed(&self) -> Answer<'_, bool>;

    /// Indexes the resources of these types anew (of all, where none is named); how many. One of all types that
    /// was broken off goes on where it was.
    fn reindex<'a>(&'a self, types: &'a [String], told: Told<'a>) -> Answer<'a, u64>;

    /// Says that everything is indexed by the rules in force: whoever knows which types they find differently than
    /// those before has indexed these.
    fn set_indexed(&self) -> Answer<'_, ()>;

    /// Looks for resources that an older release indexed otherwise than this one does, and indexes these anew; how many.
    /// Once that is done, nothing is left to do; what was broken off goes on where it was. What is found by them until
    /// then is what the older release would find.
    fn catch_up(&self) -> Answer<'_, u64> {
        Box::pin(std::future::ready(Ok(0)))
    }

    /// Resources of these types (of all, where none is named) whose meta together have every profile, tag and security
    /// label in use, at most `limit`.
    fn labelled<'a>(&'a self, types: &'a [String], limit: usize) -> Answer<'a, Vec<StoredVersion>>;

    /// What it holds.
    fn statistics(&self) -> Answer<'_, Statistics>;

    /// Whether all that stands there agrees: versions with their resources, and the index with both.
    fn verify<'a>(&'a self, told: Told<'a>) -> Answer<'a, Verified>;

    /// The newest versions of resources, in the order in which they were created, behind a place that a call
    /// before gave; 0 at the beginning.
    fn resources<'a>(
        &'a self,
        types: &'a [String],
        after: u64,
        limit: usize,
    ) -> Answer<'a, Resources>;
}
