//! The datastore in PostgreSQL, version 15 or newer, which several nodes may share.
//!
//! Transactions run side by side, under read committed isolation and locks of our own (see `apply::locks`). What
//! still collides is rolled back and tried again.

mod combine;
mod connect;
mod open;
mod session;
mod values;

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{Object, Pool};
use pipehat_resource::search::Search;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use self::combine::{Line, Waiting};
use self::session::{Keys, PostgresSession, State};
use super::apply::{self, Prepared};
use super::body::{BodyKey, Seal};
use super::core::{self, Core};
use super::error::DatastoreError;
use super::interaction::{
    Applied, ChangeNumber, Group, GroupRefusal, HistoryQuery, Outcome, Refusal, ResourceKey,
    SearchPage, SearchRequest, StoredVersion,
};
use super::maintenance::{self, Passed, Progress, Resources, Statistics, Told, Verified};
use super::rules::Rules;
use super::sql::{Lock, Session, SessionError};
use super::{Answer, Datastore, read, search};

/// How often a group is tried before it is refused.
const TRIES_MAX: u32 = 12;

/// How long a statement may take.
const STATEMENT_TIME_MAX: Duration = Duration::from_secs(20);

/// How many groups and reads may wait for a connection; the next is told that the datastore is busy.
const WAITING_MAX: usize = 4096;

/// Where a datastore in PostgreSQL is.
#[derive(Debug, Clone)]
pub struct PostgresLocation {
    /// `postgres://user:password@host/database`, or `host=… user=…`.
    pub url: String,
    /// The schema its tables are in: lower case letters, digits and `_`.
    pub schema: String,
    /// How many connections are open at most.
    pub connections_max: usize,
}

/// The datastore in PostgreSQL.
pub struct PostgresDatastore {
    inner: Arc<Inner>,
    newest: watch::Receiver<ChangeNumber>,
    listener: JoinHandle<()>,
    line: mpsc::Sender<Waiting>,
}

struct Inner {
    core: Core,
    pool: Pool,
    places: Semaphore,
    keys: Keys,
    lock_class: i32,
    channel: String,
    newest: watch::Sender<ChangeNumber>,
}

impl Drop for PostgresDatastore {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

impl PostgresDatastore {
    /// Opens the datastore, or makes it.
    ///
    /// # Errors
    /// The server can't be reached, is too old, or the datastore is of a newer version or of another key.
    pub async fn open(
        location: &PostgresLocation,
        key: BodyKey,
        rules: Arc<dyn Rules>,
    ) -> Result<Self, DatastoreError> {
        let seal =
            Seal::new(key).map_err(|error| DatastoreError::Database(error.to_string().into()))?;
        let opened = open::open(location, &seal, rules).await.map_err(|error| error.outwards(0))?;
        let (sender, newest) = watch::channel(opened.newest);
        let inner = Arc::new(Inner {
            core: Core::new(seal, opened.catalogue),
            pool: opened.pool,
            places: Semaphore::new(WAITING_MAX),
            keys: Keys::default(),
            lock_class: opened.lock_class,
            channel: opened.channel,
            newest: sender,
        });
        let listener = tokio::spawn(open::listen(opened.config, Arc::clone(&inner)));
        let (sender, waiting) = mpsc::channel(combine::WAITING_MAX);
        let line = Line::new(waiting);
        for _ in 0..combine::TRANSACTIONS {
            // They end when the datastore is dropped and what waits is done.
            tokio::spawn(combine::run(Arc::clone(&line), Arc::clone(&inner)));
        }
        Ok(Self { inner, newest, listener, line: sender })
    }
}

#[cfg(test)]
impl PostgresDatastore {
    pub(in crate::datastore) async fn client_and_core(&self) -> (Object, &Core) {
        (self.inner.connection().await.unwrap(), &self.inner.core)
    }

    pub(in crate::datastore) fn session<'c>(&'c self, client: &'c Object) -> PostgresSession<'c> {
        self.inner.session(client, State::Single)
    }
}

impl Inner {
    async fn connection(&self) -> Result<Object, SessionError> {
        self.pool.get().await.map_err(|error| SessionError::Database(Box::new(error)))
    }

    fn session<'c>(&'c self, client: &'c Object, state: State) -> PostgresSession<'c> {
        PostgresSession {
            client,
            keys: &self.keys,
            state,
            lock_class: self.lock_class,
            channel: &self.channel,
        }
    }

    /// Applies a group, again and again where others are in the way.
    async fn apply(&self, prepared: &Prepared) -> Result<Applied, DatastoreError> {
        let _place = self.places.try_acquire().map_err(|_| DatastoreError::Busy)?;
        for attempt in 0..TRIES_MAX {
            match self.apply_once(prepared).await {
                Err(SessionError::Conflict) => pause(attempt).await,
                Err(error) => return Err(error.outwards(STATEMENT_TIME_MAX.as_secs())),
                Ok(applied) => return Ok(applied),
            }
        }
        let refusal = GroupRefusal { interaction: 0, refusal: Refusal::Contention };
        Ok(Applied::Refused(refusal))
    }

    async fn apply_once(&self, prepared: &Prepared) -> Result<Applied, SessionError> {
        let client = Guarded(Some(self.connection().await?));
        let Some(connection) = &client.0 else { return Err(SessionError::Conflict) };
        let catalogue = self.core.catalogue();
        let mut session = self.session(connection, State::Beginning);
        let applied = apply::apply(&mut session, &self.core, &catalogue, prepared).await;
        let state = session.state;
        match (&applied, state) {
            (_, State::Single | State::Beginning | State::Committed) => {}
            (Ok(Applied::Done(_)), State::Open) => connection.batch_execute("COMMIT").await?,
            (_, State::Open) => connection.batch_execute("ROLLBACK").await?,
        }
        client.release();
        if let Ok(Applied::Done(outcomes)) = &applied {
            self.saw(newest_of(outcomes));
        }
        applied
    }

    /// A change that is visible now.
    fn saw(&self, change: ChangeNumber) {
        self.newest.send_if_modified(|newest| {
            let grown = *newest < change;
            *newest = (*newest).max(change);
            grown
        });
    }
}

/// A connection that goes back to the pool only when its transaction ended well.
struct Guarded(Option<Object>);

impl Guarded {
    fn release(mut self) {
        drop(self.0.take());
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            drop(Object::take(connection));
        }
    }
}

/// Waits a little, longer each time, not all equally long.
async fn pause(attempt: u32) {
    let mut random = [0; 2];
    // Without randomness all wait equally long, which is slower and still right.
    let _ = getrandom::fill(&mut random);
    let most = 2_000u64 << attempt.min(7);
    let micros = u64::from(u16::from_le_bytes(random)).saturating_mul(most) / 65_536;
    tokio::time::sleep(Duration::from_micros(micros)).await;
}

fn newest_of(outcomes: &[Outcome]) -> ChangeNumber {
    let of = |outcome: &Outcome| match outcome {
        Outcome::Created(version) | Outcome::Updated(version) => version.change,
        Outcome::Deleted(versions) => {
            versions.iter().map(|version| version.change).max().unwrap_or_default()
        }
        Outcome::Unchanged(_) | Outcome::Read(_) | Outcome::Found(_) => ChangeNumber(0),
    };
    outcomes.iter().map(of).max().unwrap_or_default()
}

/// Reads with a connection of the pool, each statement by itself.
macro_rules! reading {
    ($self:ident, $session:ident => $work:expr) => {
        Box::pin(async move {
            let inner = &$self.inner;
            let _place = inner.places.try_acquire().map_err(|_| DatastoreError::Busy)?;
            let work = async {
                let client = inner.connection().await?;
                let mut session = inner.session(&client, State::Single);
                let $session = &mut session;
                $work.await
            };
            let seconds = STATEMENT_TIME_MAX.as_secs();
            work.await.map_err(|error: SessionError| error.outwards(seconds))
        })
    };
}

/// What a person asked for takes as long as it takes.
const WITHOUT_END: &str = "SET LOCAL statement_timeout = 0";

/// Runs a transaction, again where others are in the way.
macro_rules! writing {
    ($self:ident, $session:ident => $work:expr) => {
        Box::pin(async move {
            let inner = &$self.inner;
            let _place = inner.places.try_acquire().map_err(|_| DatastoreError::Busy)?;
            let mut attempt = 0;
            loop {
                let work = async {
                    let client = Guarded(Some(inner.connection().await?));
                    let Some(connection) = &client.0 else { return Err(SessionError::Conflict) };
                    let mut session = inner.session(connection, State::Beginning);
                    let result = {
                        let $session = &mut session;
                        $work.await
                    };
                    if session.state == State::Open {
                        let end = if result.is_ok() { "COMMIT" } else { "ROLLBACK" };
                        connection.batch_execute(end).await?;
                    }
                    client.release();
                    result
                };
                match work.await {
                    Err(SessionError::Conflict) if attempt < TRIES_MAX => pause(attempt).await,
                    result => {
                        let seconds = STATEMENT_TIME_MAX.as_secs();
                        break result.map_err(|error: SessionError| error.outwards(seconds));
                    }
                }
                attempt += 1;
            }
        })
    };
}

impl Datastore for PostgresDatastore {
    fn read<'a>(&'a self, key: &'a ResourceKey) -> Answer<'a, Option<StoredVersion>> {
        reading!(self, session => async {
            let current = read::current(session, &self.inner.core, key).await?;
            Ok(current.map(|current| current.version))
        })
    }

    fn version<'a>(
        &'a self,
        key: &'a ResourceKey,
        version: u64,
    ) -> Answer<'a, Option<StoredVersion>> {
        reading!(self, session => read::version(session, &self.inner.core, key, version))
    }

    fn history<'a>(&'a self, query: &'a HistoryQuery) -> Answer<'a, Vec<StoredVersion>> {
        reading!(self, session => read::history(session, &self.inner.core, query))
    }

    fn search<'a>(&'a self, request: &'a SearchRequest) -> Answer<'a, SearchPage> {
        let catalogue = self.inner.core.catalogue();
        let page: Answer<'a, Result<SearchPage, Refusal>> = reading!(self, session => async {
            search::page(session, &self.inner.core, &catalogue, request).await
        });
        Box::pin(async move { page.await?.map_err(|_| DatastoreError::Page) })
    }

    fn apply(&self, group: Group) -> Answer<'_, Applied> {
        Box::pin(async move {
            let inner = Arc::clone(&self.inner);
            let line = self.line.clone();
            // On a task of its own: whoever asked may go, the transaction ends all the same.
            let task = tokio::spawn(async move {
                let prepared = Prepared::new(group, &inner.core.catalogue());
                let Some(keys) = prepared.independent() else {
                    return inner.apply(&prepared).await;
                };
                let (reply, answer) = oneshot::channel();
                let waiting = Waiting { prepared, keys, reply };
                line.try_send(waiting).map_err(|_| DatastoreError::Busy)?;
                answer.await.unwrap_or(Err(DatastoreError::Closed))
            });
            task.await.unwrap_or_else(|error| Err(DatastoreError::Database(Box::new(error))))
        })
    }

    fn changes(&self, after: ChangeNumber, limit: usize) -> Answer<'_, Vec<StoredVersion>> {
        reading!(self, session => read::changes(session, &self.inner.core, after, limit))
    }

    fn newest_change(&self) -> watch::Receiver<ChangeNumber> {
        self.newest.clone()
    }

    fn count<'a>(&'a self, search: &'a Search) -> Answer<'a, u64> {
        let catalogue = self.inner.core.catalogue();
        reading!(self, session => async {
            search::count(session, &catalogue, search).await
        })
    }

    fn use_rules(&self, rules: Arc<dyn Rules>) -> Answer<'_, ()> {
        writing!(self, session => async {
            session.lock(&[Lock { number: -1, shared: false }]).await?;
            let catalogue = core::catalogue(session, Arc::clone(&rules)).await?;
            self.inner.core.set_catalogue(catalogue);
            Ok(())
        })
    }

    fn is_indexed(&self) -> Answer<'_, bool> {
        reading!(self, session => async {
            let by = maintenance::indexed_by(session).await?;
            Ok(by == Some(self.inner.core.catalogue().rules.fingerprint()))
        })
    }

    fn reindex<'a>(&'a self, types: &'a [String], told: Told<'a>) -> Answer<'a, u64> {
        Box::pin(async move {
            let catalogue = &self.inner.core.catalogue();
            let by = &catalogue.rules.fingerprint();
            let begin: Answer<'_, (u64, u64)> = reading!(self, session => async {
                let from = match types.is_empty() {
                    true => maintenance::reindexed_to(session, by).await?,
                    false => 0,
                };
                Ok((maintenance::resources_all(session, types).await?, from))
            });
            let (all, from) = begin.await?;
            let (mut done, mut indexed, mut next) = (0u64, 0u64, Some(from));
            while let Some(after) = next {
                let batch: Answer<'_, (Passed, Option<u64>)> = writing!(self, session => async {
                    let core = &self.inner.core;
                    let (passed, next) =
                        maintenance::reindex(session, core, catalogue, types, after).await?;
                    if types.is_empty() {
                        let reached = next.unwrap_or(0);
                        maintenance::set_reindexed_to(session, by, reached).await?;
                        if next.is_none() {
                            maintenance::set_indexed_by(session, by).await?;
                        }
                    }
                    Ok((passed, next))
                });
                let (passed, following) = batch.await?;
                done = done.saturating_add(passed.all);
                indexed = indexed.saturating_add(passed.indexed);
                next = following;
                told(Progress { done, all });
            }
            Ok(indexed)
        })
    }

    fn statistics(&self) -> Answer<'_, Statistics> {
        reading!(self, session => maintenance::statistics(session))
    }

    fn verify<'a>(&'a self, told: Told<'a>) -> Answer<'a, Verified> {
        Box::pin(async move {
            let catalogue = &self.inner.core.catalogue();
            let begin: Answer<'_, (u64, Verified)> = writing!(self, session => async {
                session.execute(WITHOUT_END, &[]).await?;
                let all = maintenance::resources_all(session, &[]).await?;
                Ok((all, maintenance::orphans(session).await?))
            });
            let (all, mut verified) = begin.await?;
            let mut next = Some(0);
            while let Some(after) = next {
                let batch: Answer<'_, (Verified, Option<u64>)> = writing!(self, session => async {
                    // All statements of a batch see the same.
                    session.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", &[]).await?;
                    session.execute(WITHOUT_END, &[]).await?;
                    maintenance::verify(session, &self.inner.core, catalogue, after).await
                });
                let (found, following) = batch.await?;
                verified.add(found);
                next = following;
                told(Progress { done: verified.done(), all });
            }
            Ok(verified)
        })
    }

    fn resources<'a>(
        &'a self,
        types: &'a [String],
        after: u64,
        limit: usize,
    ) -> Answer<'a, Resources> {
        reading!(self, session => {
            maintenance::resources(session, &self.inner.core, types, after, limit)
        })
    }
}
