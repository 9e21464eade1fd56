//! The datastore in one file of SQLite: nothing to install, nothing to run.
//!
//! The database is in WAL mode with full synchronisation: what the writer answers is on the disk. Readers never
//! wait for the writer, nor it for them.

mod open;
mod readers;
mod session;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use pipehat_resource::search::Search;
use tokio::sync::{oneshot, watch};

use self::readers::Readers;
use self::session::SqliteSession;
use self::writer::{Job, Writer};
use super::apply::Prepared;
use super::body::{BodyKey, Seal};
use super::core::{self, Core};
use super::error::DatastoreError;
use super::interaction::{
    Applied, ChangeNumber, Group, HistoryQuery, ResourceKey, SearchPage, SearchRequest,
    StoredVersion,
};
use super::rules::Rules;
use super::sql::ready;
use super::{Answer, Datastore, read, search};

/// How long a read or search may take.
const READ_TIME_MAX: Duration = Duration::from_secs(20);

/// Groups of more interactions than this are prepared on a thread that may block.
const PREPARED_HERE_MAX: usize = 8;

/// The datastore in SQLite.
pub struct SqliteDatastore {
    core: Arc<Core>,
    writer: Writer,
    readers: Arc<Readers>,
    newest: watch::Receiver<ChangeNumber>,
}

impl SqliteDatastore {
    /// Opens the datastore in this file, or makes it.
    ///
    /// # Errors
    /// The file can't be opened, is no datastore, of a newer version, or was written with another key.
    pub fn open(path: &Path, key: BodyKey, rules: Arc<dyn Rules>) -> Result<Self, DatastoreError> {
        let seal =
            Seal::new(key).map_err(|error| DatastoreError::Database(error.to_string().into()))?;
        Self::try_open(path.to_owned(), seal, rules).map_err(|error| error.outwards(0))
    }

    fn try_open(
        path: PathBuf,
        seal: Seal,
        rules: Arc<dyn Rules>,
    ) -> Result<Self, super::sql::SessionError> {
        let (mut connection, counters) = open::writer(&path, &seal)?;
        let catalogue = {
            connection.execute_batch("BEGIN IMMEDIATE")?;
            let mut session = SqliteSession { connection: &mut connection, counters };
            let catalogue = ready(core::catalogue(&mut session, rules))?;
            connection.execute_batch("COMMIT")?;
            catalogue
        };
        let core = Arc::new(Core::new(seal, catalogue));
        let (sender, newest) = watch::channel(ChangeNumber(counters.change));
        let writer = Writer::start(connection, counters, Arc::clone(&core), sender)
            .map_err(|error| super::sql::SessionError::Database(Box::new(error)))?;
        Ok(Self { core, writer, readers: Readers::new(path, READ_TIME_MAX), newest })
    }

    async fn prepare(&self, group: Group) -> Result<Prepared, DatastoreError> {
        let catalogue = self.core.catalogue();
        if group.interactions.len() <= PREPARED_HERE_MAX {
            return Ok(Prepared::new(group, &catalogue));
        }
        tokio::task::spawn_blocking(move || Prepared::new(group, &catalogue))
            .await
            .map_err(|error| DatastoreError::Database(Box::new(error)))
    }
}

impl Datastore for SqliteDatastore {
    fn read<'a>(&'a self, key: &'a ResourceKey) -> Answer<'a, Option<StoredVersion>> {
        Box::pin(async move {
            let work = |session: &mut SqliteSession<'_>| {
                let current = ready(read::current(session, &self.core, key))?;
                Ok(current.map(|current| current.version))
            };
            if let Some(answer) = self.readers.read_now(work) {
                return answer;
            }
            let (core, key) = (Arc::clone(&self.core), key.clone());
            self.readers
                .read(move |session| {
                    let current = ready(read::current(session, &core, &key))?;
                    Ok(current.map(|current| current.version))
                })
                .await
        })
    }

    fn version<'a>(
        &'a self,
        key: &'a ResourceKey,
        version: u64,
    ) -> Answer<'a, Option<StoredVersion>> {
        Box::pin(async move {
            let (core, key) = (Arc::clone(&self.core), key.clone());
            self.readers
                .read(move |session| ready(read::version(session, &core, &key, version)))
                .await
        })
    }

    fn history<'a>(&'a self, query: &'a HistoryQuery) -> Answer<'a, Vec<StoredVersion>> {
        Box::pin(async move {
            let (core, query) = (Arc::clone(&self.core), query.clone());
            self.readers.read(move |session| ready(read::history(session, &core, &query))).await
        })
    }

    fn search<'a>(&'a self, request: &'a SearchRequest) -> Answer<'a, SearchPage> {
        Box::pin(async move {
            let (core, request) = (Arc::clone(&self.core), request.clone());
            let catalogue = core.catalogue();
            let page = self
                .readers
                .read(move |session| ready(search::page(session, &core, &catalogue, &request)))
                .await?;
            page.map_err(|_| DatastoreError::Page)
        })
    }

    fn apply(&self, group: Group) -> Answer<'_, Applied> {
        Box::pin(async move {
            let prepared = self.prepare(group).await?;
            let (reply, answer) = oneshot::channel();
            self.writer.send(Job::Apply(Box::new(prepared), reply))?;
            answer.await.unwrap_or(Err(DatastoreError::Closed))
        })
    }

    fn changes(&self, after: ChangeNumber, limit: usize) -> Answer<'_, Vec<StoredVersion>> {
        Box::pin(async move {
            let core = Arc::clone(&self.core);
            self.readers
                .read(move |session| ready(read::changes(session, &core, after, limit)))
                .await
        })
    }

    fn newest_change(&self) -> watch::Receiver<ChangeNumber> {
        self.newest.clone()
    }

    fn count<'a>(&'a self, search: &'a Search) -> Answer<'a, u64> {
        Box::pin(async move {
            let (catalogue, search) = (self.core.catalogue(), search.clone());
            self.readers
                .read(move |session| ready(search::count(session, &catalogue, &search)))
                .await
        })
    }
}
