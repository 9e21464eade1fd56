//! The datastore in PostgreSQL, version 15 or newer, which several nodes may share.
//!
//! Transactions run side by side, under read committed isolation and locks of our own (see `apply::locks`). What
//! still collides is rolled back and tried again.

mod address;
mod combine;
mod connect;
mod open;
mod reads;
mod session;
mod tls;
mod values;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use deadpool_postgres::{Object, Pool};
use pipehat_resource::search::Search;
use tokio::sync::{Mutex, Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use self::combine::{Line, Waiting};
use self::reads::Reading;
use self::session::{Keys, PostgresSession, State};
use super::apply::{self, Prepared};
use super::body::{BodyKey, Seal};
use super::core::{self, Core, Opened};
use super::error::DatastoreError;
use super::interaction::{
    Applied, ChangeNumber, Group, GroupRefusal, HistoryQuery, Outcome, Refusal, ResourceKey,
    SearchPage, SearchRequest, StoredVersion,
};
use super::maintenance::{self, Passed, Progress, Resources, Statistics, Told, Verified};
use super::rules::Rules;
use super::sql::{Lock, Session, SessionError};
use super::{Answer, Datastore, labels, read, search};

/// How often a group is tried before it is refused.
const TRIES_MAX: u32 = 12;

/// The fact that says to which change Subscriptions were looked after.
const TOLD_TO: &str = "told_to";

/// How often something is tried again while the server is away.
const AWAY_MAX: u32 = 6;

/// How long a statement may take.
const STATEMENT_TIME_MAX: Duration = Duration::from_secs(20);

/// How many groups and reads may wait for a connection; the next is told that the datastore is busy.
const WAITING_MAX: usize = 4096;

/// Where a datastore in PostgreSQL is.
#[derive(Debug, Clone)]
pub struct PostgresLocation {
    /// `postgres://user:password@host/database`, or `host=… user=…`; with `sslmode`, `sslrootcert`, `sslcert` and
    /// `sslkey` as libpq has them.
    pub url: String,
    /// Where relative paths in it start from.
    pub directory: PathBuf,
    /// The schema its tables are in: lower case letters, digits and `_`.
    pub schema: String,
    /// How many connections are open at most.
    pub connections_max: usize,
}

impl PostgresLocation {
    /// Looks at an address, and at the files that it names, without connecting.
    ///
    /// # Errors
    /// What is wrong with it, without its password.
    pub fn check(url: &str, directory: &Path) -> Result<(), String> {
        address::read(url, directory).map(drop)
    }
}

/// The datastore in PostgreSQL.
pub struct PostgresDatastore {
    inner: Arc<Inner>,
    newest: watch::Receiver<ChangeNumber>,
    listener: JoinHandle<()>,
    line: mpsc::Sender<Waiting>,
    reads: mpsc::Sender<Reading>,
}

struct Inner {
    core: Core,
    opened: Opened,
    pool: Pool,
    places: Semaphore,
    keys: Keys,
    lock_class: i32,
    channel: String,
    newest: watch::Sender<ChangeNumber>,
    leads: AtomicBool,
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
        Self::open_as(location, key, rules, Opened::ToWrite).await
    }

    /// Opens the datastore to read it: nothing of it is changed, and whatever would is refused.
    ///
    /// # Errors
    /// The server can't be reached, is too old, or the datastore is not there, of another version or of another key.
    pub async fn open_to_read(
        location: &PostgresLocation,
        key: BodyKey,
        rules: Arc<dyn Rules>,
    ) -> Result<Self, DatastoreError> {
        Self::open_as(location, key, rules, Opened::ToRead).await
    }

    async fn open_as(
        location: &PostgresLocation,
        key: BodyKey,
        rules: Arc<dyn Rules>,
        purpose: Opened,
    ) -> Result<Self, DatastoreError> {
        let seal =
            Seal::new(key).map_err(|error| DatastoreError::Database(error.to_string().into()))?;
        let opened =
            open::open(location, &seal, rules, purpose).await.map_err(|error| error.outwards(0))?;
        let (sender, newest) = watch::channel(opened.newest);
        let inner = Arc::new(Inner {
            core: Core::new(seal, opened.catalogue),
            opened: purpose,
            pool: opened.pool,
            places: Semaphore::new(WAITING_MAX),
            keys: Keys::default(),
            lock_class: opened.lock_class,
            channel: opened.channel,
            newest: sender,
            leads: AtomicBool::new(false),
        });
        let listener = tokio::spawn(open::listen(opened.config, opened.tls, Arc::clone(&inner)));
        let (sender, waiting) = mpsc::channel(combine::WAITING_MAX);
        let line = Line::new(waiting);
        for _ in 0..combine::TRANSACTIONS {
            // They end when the datastore is dropped and what waits is done.
            tokio::spawn(combine::run(Arc::clone(&line), Arc::clone(&inner)));
        }
        let (reads, waiting) = mpsc::channel(WAITING_MAX);
        let waiting = Arc::new(Mutex::new(waiting));
        for _ in 0..reads::STATEMENTS {
            tokio::spawn(reads::run(Arc::clone(&waiting), Arc::clone(&inner)));
        }
        Ok(Self { inner, newest, listener, line: sender, reads })
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
        self.pool.get().await.map_err(open::pool_error)
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
        let mut away = 0;
        for attempt in 0..TRIES_MAX {
            match self.apply_once(prepared).await {
                Err(SessionError::Conflict) => pause(attempt).await,
                Err(SessionError::Unavailable(_)) if away < AWAY_MAX => absence(&mut away).await,
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
            (Ok(Applied::Done(_)), State::Open) => connection
                .batch_execute("COMMIT")
                .await
                .map_err(|error| SessionError::from(error).of_commit())?,
            // Where that fails, the connection is given up, and the transaction with it.
            (Err(_), State::Open) if connection.batch_execute("ROLLBACK").await.is_err() => {
                return applied;
            }
            (Err(_), State::Open) => {}
            (_, State::Open) => connection.batch_execute("ROLLBACK").await?,
        }
        client.release();
        if let Ok(Applied::Done(outcomes)) = &applied {
            self.saw(newest_of(outcomes));
        }
        applied
    }

    fn leads(&self) -> bool {
        self.leads.load(Ordering::Acquire)
    }

    fn lead(&self, leads: bool) {
        self.leads.store(leads, Ordering::Release);
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

/// Waits for a server that restarts, longer each time: three seconds in all.
async fn absence(times: &mut u32) {
    let pause = Duration::from_millis(50u64 << (*times).min(6));
    *times = times.saturating_add(1);
    tokio::time::sleep(pause).await;
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
            let mut away = 0;
            loop {
                let work = async {
                    let client = inner.connection().await?;
                    let mut session = inner.session(&client, State::Single);
                    let $session = &mut session;
                    $work.await
                };
                match work.await {
                    Err(SessionError::Unavailable(_)) if away < AWAY_MAX => {
                        absence(&mut away).await;
                    }
                    result => {
                        let seconds = STATEMENT_TIME_MAX.as_secs();
                        break result.map_err(|error: SessionError| error.outwards(seconds));
                    }
                }
            }
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
            let (mut attempt, mut away) = (0, 0);
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
                        match &result {
                            Ok(_) => connection
                                .batch_execute("COMMIT")
                                .await
                                .map_err(|error| SessionError::from(error).of_commit())?,
                            Err(_) if connection.batch_execute("ROLLBACK").await.is_err() => {
                                return result;
                            }
                            Err(_) => {}
                        }
                    }
                    client.release();
                    result
                };
                match work.await {
                    Err(SessionError::Conflict) if attempt < TRIES_MAX => pause(attempt).await,
                    // Each of these works may be done twice.
                    Err(SessionError::Unavailable(_) | SessionError::Uncertain(_))
                        if away < AWAY_MAX =>
                    {
                        absence(&mut away).await;
                    }
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
        Box::pin(async move {
            let (reply, answer) = oneshot::channel();
            let reading = Reading { key: key.clone(), reply };
            self.reads.try_send(reading).map_err(|_| DatastoreError::Busy)?;
            answer.await.unwrap_or(Err(DatastoreError::Closed))
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

    fn leads(&self) -> bool {
        self.inner.leads()
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn told_to(&self) -> Answer<'_, Option<(ChangeNumber, u64)>> {
        reading!(self, session => async {
            let told = core::fact(session, TOLD_TO).await?;
            let parse = |told: String| {
                let (change, book) = told.split_once(' ')?;
                Some((ChangeNumber(change.parse().ok()?), book.parse().ok()?))
            };
            Ok(told.and_then(parse))
        })
    }

    fn set_told_to(&self, change: ChangeNumber, book: u64) -> Answer<'_, ()> {
        let told = format!("{} {book}", change.0);
        writing!(self, session => core::set_fact(session, TOLD_TO, &told))
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
            if self.inner.opened == Opened::ToWrite {
                session.lock(&[Lock { number: -1, shared: false }]).await?;
                core::follow_rules(session, rules.as_ref()).await?;
            }
            let catalogue =
                core::catalogue(session, Arc::clone(&rules), self.inner.opened).await?;
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
                            maintenance::set_indexed_whole(session, by).await?;
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

    fn set_indexed(&self) -> Answer<'_, ()> {
        writing!(self, session => async {
            let by = self.inner.core.catalogue().rules.fingerprint();
            maintenance::set_indexed_by(session, &by).await
        })
    }

    fn catch_up(&self) -> Answer<'_, u64> {
        Box::pin(async move {
            let begin: Answer<'_, Option<u64>> =
                reading!(self, session => maintenance::caught_up_to(session));
            let (mut indexed, mut next) = (0u64, begin.await?);
            while let Some(after) = next {
                let catalogue = &self.inner.core.catalogue();
                let batch: Answer<'_, (u64, Option<u64>)> = writing!(self, session => {
                    maintenance::catch_up(session, &self.inner.core, catalogue, after)
                });
                let (anew, following) = batch.await?;
                indexed = indexed.saturating_add(anew);
                next = following;
            }
            Ok(indexed)
        })
    }

    fn labelled<'a>(&'a self, types: &'a [String], limit: usize) -> Answer<'a, Vec<StoredVersion>> {
        let catalogue = self.inner.core.catalogue();
        reading!(self, session => async {
            labels::labelled(session, &self.inner.core, &catalogue, types, limit).await
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
