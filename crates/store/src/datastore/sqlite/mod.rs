//! The datastore in one file of SQLite: nothing to install, nothing to run.
//!
//! The database is in WAL mode with full synchronisation: what the writer answers is on the disk. Readers never
//! wait for the writer, nor it for them.

mod checkpointer;
mod open;
mod readers;
mod session;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use pipehat_resource::search::Search;
use tokio::sync::{oneshot, watch};

use self::checkpointer::Checkpointer;
use self::readers::Readers;
use self::session::{Counters, SqliteSession};
use self::writer::{Job, Writer};
use super::apply::Prepared;
use super::body::{BodyKey, Seal};
use super::core::{self, Core, Opened};
use super::error::DatastoreError;
use super::interaction::{
    Applied, ChangeNumber, Group, HistoryQuery, ResourceKey, SearchPage, SearchRequest,
    StoredVersion,
};
use super::maintenance::{self, Progress, Resources, Statistics, Told, Verified};
use super::rules::Rules;
use super::sql::ready;
use super::{Answer, Datastore, labels, read, search};

/// How long a read or search may take.
const READ_TIME_MAX: Duration = Duration::from_secs(20);

/// Groups of more interactions than this are prepared on a thread that may block.
const PREPARED_HERE_MAX: usize = 8;

/// The datastore in SQLite.
pub struct SqliteDatastore {
    core: Arc<Core>,
    opened: Opened,
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
            let mut session = SqliteSession::new(&mut connection, counters);
            let catalogue = ready(core::catalogue(&mut session, rules, Opened::ToWrite))?;
            ready(core::begin_index(&mut session, &catalogue))?;
            connection.execute_batch("COMMIT")?;
            catalogue
        };
        let key = seal.file_key();
        let core = Arc::new(Core::new(seal, catalogue));
        let (sender, newest) = watch::channel(ChangeNumber(counters.change));
        let other = |error| super::sql::SessionError::Database(Box::new(error));
        let checkpointer = Checkpointer::start(open::checkpointer(&path, &key)?).map_err(other)?;
        let writer = Writer::start(connection, checkpointer, counters, Arc::clone(&core), sender)
            .map_err(other)?;
        let readers = Readers::new(path, key, READ_TIME_MAX);
        Ok(Self { core, opened: Opened::ToWrite, writer, readers, newest })
    }

    /// Opens the datastore in this file to read it: nothing of it is changed, and whatever would is refused.
    ///
    /// # Errors
    /// The file can't be opened, is no datastore, of another version, or was written with another key.
    pub fn open_to_read(
        path: &Path,
        key: BodyKey,
        rules: Arc<dyn Rules>,
    ) -> Result<Self, DatastoreError> {
        let seal =
            Seal::new(key).map_err(|error| DatastoreError::Database(error.to_string().into()))?;
        let opened = || {
            let key = seal.file_key();
            let mut reader = open::Reader::open(path, &key)?;
            let newest = open::check(&mut reader, &seal)?;
            let mut session = SqliteSession::new(&mut reader.connection, Counters::default());
            let catalogue = ready(core::catalogue(&mut session, rules, Opened::ToRead))?;
            Ok((Readers::new(path.to_owned(), key, READ_TIME_MAX), catalogue, newest))
        };
        let (readers, catalogue, newest) =
            opened().map_err(|error: super::sql::SessionError| error.outwards(0))?;
        let core = Arc::new(Core::new(seal, catalogue));
        let (_, newest) = watch::channel(ChangeNumber(newest));
        Ok(Self { core, opened: Opened::ToRead, writer: Writer::none(), readers, newest })
    }

    #[cfg(test)]
    pub(in crate::datastore) async fn with_reader<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut SqliteSession<'_>, &Core) -> Result<T, super::sql::SessionError>
        + Send
        + 'static,
    ) -> Result<T, DatastoreError> {
        let core = Arc::clone(&self.core);
        self.readers.read(move |session| work(session, &core)).await
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
            let catalogue = self.core.catalogue();
            let quickly = self.readers.read_quickly(|session| {
                ready(search::page(session, &self.core, &catalogue, request))
            });
            let page = match quickly {
                Some(page) => page?,
                None => {
                    let (core, request) = (Arc::clone(&self.core), request.clone());
                    let search = move |session: &mut SqliteSession<'_>| {
                        ready(search::page(session, &core, &catalogue, &request))
                    };
                    self.readers.read(search).await?
                }
            };
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

    fn use_rules(&self, rules: Arc<dyn Rules>) -> Answer<'_, ()> {
        Box::pin(async move {
            let (core, opened) = (Arc::clone(&self.core), self.opened);
            let work = move |session: &mut SqliteSession<'_>| {
                if opened == Opened::ToWrite {
                    ready(core::follow_rules(session, rules.as_ref()))?;
                }
                core.set_catalogue(ready(core::catalogue(session, rules, opened))?);
                Ok(())
            };
            match opened {
                Opened::ToWrite => self.writer.task(work).await,
                Opened::ToRead => self.readers.read(work).await,
            }
        })
    }

    fn is_indexed(&self) -> Answer<'_, bool> {
        Box::pin(async move {
            let fingerprint = self.core.catalogue().rules.fingerprint();
            let by = self.readers.read(move |session| ready(maintenance::indexed_by(session)));
            Ok(by.await? == Some(fingerprint))
        })
    }

    fn reindex<'a>(&'a self, types: &'a [String], told: Told<'a>) -> Answer<'a, u64> {
        Box::pin(async move {
            let catalogue = self.core.catalogue();
            let fingerprint = catalogue.rules.fingerprint();
            let (owned, by) = (types.to_vec(), fingerprint.clone());
            let begin = move |session: &mut SqliteSession<'_>| {
                let from = match owned.is_empty() {
                    true => ready(maintenance::reindexed_to(session, &by))?,
                    false => 0,
                };
                Ok((ready(maintenance::resources_all(session, &owned))?, from))
            };
            let (all, from) = self.readers.read(begin).await?;
            let (mut done, mut indexed, mut next) = (0u64, 0u64, Some(from));
            while let Some(after) = next {
                let (core, catalogue) = (Arc::clone(&self.core), Arc::clone(&catalogue));
                let (types, by) = (types.to_vec(), fingerprint.clone());
                let batch = move |session: &mut SqliteSession<'_>| {
                    let (passed, next) =
                        ready(maintenance::reindex(session, &core, &catalogue, &types, after))?;
                    if types.is_empty() {
                        ready(maintenance::set_reindexed_to(session, &by, next.unwrap_or(0)))?;
                        if next.is_none() {
                            ready(maintenance::set_indexed_whole(session, &by))?;
                        }
                    }
                    Ok((passed, next))
                };
                let (passed, following) = self.writer.task(batch).await?;
                done = done.saturating_add(passed.all);
                indexed = indexed.saturating_add(passed.indexed);
                next = following;
                told(Progress { done, all });
            }
            Ok(indexed)
        })
    }

    fn set_indexed(&self) -> Answer<'_, ()> {
        Box::pin(async move {
            let fingerprint = self.core.catalogue().rules.fingerprint();
            let set = move |session: &mut SqliteSession<'_>| {
                ready(maintenance::set_indexed_by(session, &fingerprint))
            };
            self.writer.task(set).await
        })
    }

    fn catch_up(&self) -> Answer<'_, u64> {
        Box::pin(async move {
            let begin =
                self.readers.read(|session| ready(maintenance::caught_up_to(session))).await?;
            let (mut indexed, mut next) = (0u64, begin);
            while let Some(after) = next {
                let core = Arc::clone(&self.core);
                let batch = move |session: &mut SqliteSession<'_>| {
                    ready(maintenance::catch_up(session, &core, &core.catalogue(), after))
                };
                let (anew, following) = self.writer.task(batch).await?;
                indexed = indexed.saturating_add(anew);
                next = following;
            }
            Ok(indexed)
        })
    }

    fn labelled<'a>(&'a self, types: &'a [String], limit: usize) -> Answer<'a, Vec<StoredVersion>> {
        Box::pin(async move {
            let (core, types) = (Arc::clone(&self.core), types.to_vec());
            let read = move |session: &mut SqliteSession<'_>| {
                let catalogue = core.catalogue();
                ready(labels::labelled(session, &core, &catalogue, &types, limit))
            };
            self.readers.read(read).await
        })
    }

    fn statistics(&self) -> Answer<'_, Statistics> {
        Box::pin(async move {
            let counted = self.readers.read(|session| ready(maintenance::statistics(session)));
            // What is in its log counts, too, until it is written back.
            Ok(Statistics { bytes: self.readers.disk_bytes(), ..counted.await? })
        })
    }

    fn verify<'a>(&'a self, told: Told<'a>) -> Answer<'a, Verified> {
        Box::pin(async move {
            let all = self
                .readers
                .read(|session| ready(maintenance::resources_all(session, &[])))
                .await?;
            let mut verified =
                self.readers.read_long(|session| ready(maintenance::orphans(session))).await?;
            let mut next = Some(0);
            while let Some(after) = next {
                let core = Arc::clone(&self.core);
                let batch = move |session: &mut SqliteSession<'_>| {
                    ready(maintenance::verify(session, &core, &core.catalogue(), after))
                };
                let (found, following) = self.readers.read_long(batch).await?;
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
        Box::pin(async move {
            let (core, types) = (Arc::clone(&self.core), types.to_vec());
            let read = move |session: &mut SqliteSession<'_>| {
                ready(maintenance::resources(session, &core, &types, after, limit))
            };
            self.readers.read_long(read).await
        })
    }
}
