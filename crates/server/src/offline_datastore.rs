//! The FHIR datastore of a data directory on which no Pipehat runs.
//!
//! It holds the journal's lock for as long as it is open, so that no Pipehat can start meanwhile, and is refused while
//! one runs. Its SearchParameter resources are in force, as in one that runs.
//!
//! Opened to read ([`OfflineUse::Read`]), nothing of the datastore is changed: neither are its tables brought up to
//! date, which is refused as it is then, nor is the end of the journal mended that a kill left behind. What an export is
//! told of in the audit is the one thing written. Opened to write, the tables are brought up to date, as a start does; the
//! index is written anew only when that is asked for, or when SearchParameters are taken in.

use std::path::PathBuf;
use std::sync::Arc;

use pipehat_engine::project::{DatastoreSettings, Project, StorePlace};
use pipehat_journal::{FileJournal, Journal as _, JournalLock};
use pipehat_store::datastore::{DatastoreError, Progress};

use crate::datastore::{OpenDatastoreError, Purpose, open_audit, open_store};
use crate::fhir::SearchParameters;
use crate::installation::{DataDirectory, InstallationError};
use crate::node::{NodeError, datastore_keys, open_journal};
use crate::upkeep::{
    AuditPlace, Imported, Reindexed, StatisticsView, Upkeep, UpkeepError, UpkeepProgress,
    VerifiedView,
};

/// Why the datastore of a stopped Pipehat can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OfflineDatastoreError {
    /// The project has none.
    #[error(
        "the project has no FHIR datastore: its pipehat.yaml has no section `datastore:`; name the project with \
         --project"
    )]
    NoDatastore,
    /// There is none yet.
    #[error(
        "there is no FHIR datastore in {data} yet: name the data directory with --data; `pipehat up` or an import \
         makes one"
    )]
    Missing {
        /// The data directory.
        data: PathBuf,
    },
    /// The data directory or its key can't be used.
    #[error(transparent)]
    Installation(#[from] InstallationError),
    /// The journal can't be opened; among others because a Pipehat runs on it.
    #[error(transparent)]
    Journal(Box<NodeError>),
    /// The datastore can't be opened.
    #[error(transparent)]
    Open(#[from] OpenDatastoreError),
    /// Its SearchParameters can't be read.
    #[error("the datastore's search parameters can't be read")]
    Parameters(#[from] DatastoreError),
}

/// What the datastore of a stopped Pipehat is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OfflineUse {
    /// To read: it must be there, and stays as it is.
    Read,
    /// To change it: it must be there.
    Change,
    /// To take resources in: one that is not there is made.
    Fill,
}

/// Told as long work goes on.
pub type ToldUpkeep<'a> = &'a (dyn Fn(UpkeepProgress) + Send + Sync);

/// The datastore of a Pipehat that does not run.
pub struct OfflineDatastore {
    upkeep: Upkeep,
    hold: Hold,
}

/// What keeps others away.
enum Hold {
    Journal(Box<FileJournal>),
    Lock { _held: Option<JournalLock> },
}

impl OfflineDatastore {
    /// Opens it by the project's settings, with the installation's key.
    ///
    /// # Errors
    /// A Pipehat runs on the data, the key is missing, or the datastore is not there or can't be opened.
    pub async fn open(
        project: &Project,
        data: &DataDirectory,
        purpose: OfflineUse,
    ) -> Result<Self, OfflineDatastoreError> {
        let settings =
            project.settings.datastore.as_ref().ok_or(OfflineDatastoreError::NoDatastore)?;
        if purpose != OfflineUse::Fill && is_missing(settings, data) {
            return Err(OfflineDatastoreError::Missing { data: data.root().to_owned() });
        }
        if purpose != OfflineUse::Read {
            data.create()?;
        }
        let is_new = !data.has_journal() && !data.datastore().exists();
        let key = match purpose {
            OfflineUse::Read => data.existing_key()?,
            _ if is_new => data.key()?,
            _ => data.existing_key()?,
        };
        // The lock comes first: a node that runs has the datastore open.
        let failed = |error| OfflineDatastoreError::Journal(Box::new(error));
        let hold = match purpose {
            OfflineUse::Read if data.journal().exists() => {
                let directory = data.journal();
                let held = JournalLock::take(&directory)
                    .map_err(|source| failed(NodeError::Journal { directory, source }))?;
                Hold::Lock { _held: Some(held) }
            }
            // Nobody ever started on this data: it has its resources in PostgreSQL.
            OfflineUse::Read => Hold::Lock { _held: None },
            OfflineUse::Change | OfflineUse::Fill => {
                let (journal, _) =
                    open_journal(project, data, Some(key.clone())).map_err(failed)?;
                Hold::Journal(Box::new(journal))
            }
        };
        // No admin API runs that its token could open.
        let keys = datastore_keys(Some(&key), String::new())?;
        let base = settings.base.as_deref().unwrap_or_default();
        let parameters = Arc::new(SearchParameters::new(base));
        let rules = parameters.rules();
        let (datastore, audit) = match purpose {
            OfflineUse::Read => {
                let store = open_store(settings, data, keys.body, rules, Purpose::Read).await?;
                let (path, key, chain_key) = (data.audit(), keys.audit, keys.audit_chain);
                (store, AuditPlace::File { path, key, chain_key })
            }
            OfflineUse::Change | OfflineUse::Fill => {
                let store = open_store(settings, data, keys.body, rules, Purpose::Write).await?;
                let audit = open_audit(data, keys.audit, keys.audit_chain).await?;
                (store, AuditPlace::Open(audit))
            }
        };
        parameters.load(datastore.as_ref()).await?;
        Ok(Self { upkeep: Upkeep::new(datastore, parameters, audit), hold })
    }

    /// Says in the audit what is about to be done: `export`, `import`…
    ///
    /// # Errors
    /// The audit can't be written.
    pub async fn tell(&self, operation: &str) -> Result<(), UpkeepError> {
        self.upkeep.tell(operation).await
    }

    /// Some resources, a line each, behind a place that a call before gave (0 at the beginning), and where the next
    /// begin.
    ///
    /// # Errors
    /// The datastore fails.
    pub async fn export(
        &self,
        types: &[String],
        after: u64,
    ) -> Result<(Vec<u8>, Option<u64>), UpkeepError> {
        let exported = self.upkeep.export(types, after).await?;
        Ok((exported.lines, exported.next))
    }

    /// Takes lines in, of which the first has the number behind `lines_before`.
    ///
    /// # Errors
    /// A line can't be taken in.
    pub async fn import(&self, lines: &[u8], lines_before: u64) -> Result<Imported, UpkeepError> {
        self.upkeep.import(lines, lines_before).await
    }

    /// Has the index follow SearchParameters that were taken in.
    ///
    /// # Errors
    /// The datastore fails.
    pub async fn follow_parameters(&self, told: ToldUpkeep<'_>) -> Result<(), UpkeepError> {
        self.upkeep.follow_parameters(&|progress: Progress| told(progress.into())).await
    }

    /// Writes the index anew, of these types or all.
    ///
    /// # Errors
    /// The datastore fails.
    pub async fn reindex(
        &self,
        types: &[String],
        told: ToldUpkeep<'_>,
    ) -> Result<Reindexed, UpkeepError> {
        self.upkeep.reindex(types, &|progress: Progress| told(progress.into())).await
    }

    /// What it holds.
    ///
    /// # Errors
    /// The datastore fails.
    pub async fn statistics(&self) -> Result<StatisticsView, UpkeepError> {
        self.upkeep.statistics().await
    }

    /// Whether everything in it agrees.
    ///
    /// # Errors
    /// The datastore fails.
    pub async fn verify(&self, told: ToldUpkeep<'_>) -> Result<VerifiedView, UpkeepError> {
        self.upkeep.verify(&|progress: Progress| told(progress.into())).await
    }
}

fn is_missing(settings: &DatastoreSettings, data: &DataDirectory) -> bool {
    match settings.store {
        StorePlace::Embedded => !data.datastore().exists(),
        StorePlace::Postgres(_) => false,
    }
}

impl Drop for OfflineDatastore {
    fn drop(&mut self) {
        if let Hold::Journal(journal) = &self.hold {
            journal.close();
        }
    }
}
