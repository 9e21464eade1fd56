//! The FHIR datastore of a data directory on which no Pipehat runs.
//!
//! It holds the journal's lock for as long as it is open, so that no Pipehat can start meanwhile, and is refused while
//! one runs. Opening it brings its tables up to date and puts its SearchParameter resources in force, as a start does;
//! the index is written anew only when that is asked for, or when SearchParameters are taken in.

use std::path::PathBuf;
use std::sync::Arc;

use pipehat_engine::project::{DatastoreSettings, Project, StorePlace};
use pipehat_journal::{FileJournal, Journal as _};
use pipehat_store::datastore::{DatastoreError, Progress};

use crate::datastore::{OpenDatastoreError, open_audit, open_store};
use crate::fhir::SearchParameters;
use crate::installation::{DataDirectory, InstallationError};
use crate::node::{NodeError, datastore_keys, open_journal};
use crate::upkeep::{
    Imported, Reindexed, StatisticsView, Upkeep, UpkeepError, UpkeepProgress, VerifiedView,
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

/// Whether a datastore that is not there is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenMissing {
    /// It is.
    Make,
    /// It is an error.
    Refuse,
}

/// Told as long work goes on.
pub type ToldUpkeep<'a> = &'a (dyn Fn(UpkeepProgress) + Send + Sync);

/// The datastore of a Pipehat that does not run.
pub struct OfflineDatastore {
    upkeep: Upkeep,
    journal: FileJournal,
}

impl OfflineDatastore {
    /// Opens it by the project's settings, with the installation's key.
    ///
    /// # Errors
    /// A Pipehat runs on the data, the key is missing, or the datastore is not there or can't be opened.
    pub async fn open(
        project: &Project,
        data: &DataDirectory,
        when_missing: WhenMissing,
    ) -> Result<Self, OfflineDatastoreError> {
        let settings =
            project.settings.datastore.as_ref().ok_or(OfflineDatastoreError::NoDatastore)?;
        if when_missing == WhenMissing::Refuse && is_missing(settings, data) {
            return Err(OfflineDatastoreError::Missing { data: data.root().to_owned() });
        }
        data.create()?;
        let is_new = !data.has_journal() && !data.datastore().exists();
        let key = if is_new { data.key()? } else { data.existing_key()? };
        // The lock comes first: a node that runs has the datastore open.
        let (journal, _) = open_journal(project, data, Some(key.clone()))
            .map_err(|error| OfflineDatastoreError::Journal(Box::new(error)))?;
        // No admin API runs that its token could open.
        let keys = datastore_keys(Some(&key), String::new())?;
        let base = settings.base.as_deref().unwrap_or_default();
        let parameters = Arc::new(SearchParameters::new(base));
        let datastore = open_store(settings, data, keys.body, parameters.rules()).await?;
        let audit = open_audit(data, keys.audit, keys.audit_chain).await?;
        parameters.load(datastore.as_ref()).await?;
        Ok(Self { upkeep: Upkeep::new(datastore, parameters, audit), journal })
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
        self.journal.close();
    }
}
