//! Looking after a FHIR datastore: taking resources out and in, indexing anew, statistics, verification.
//!
//! The admin API does so with the datastore of a node that runs, [`OfflineDatastore`](crate::OfflineDatastore) with
//! that of one that does not; both through [`Upkeep`], so that they do the same.
//!
//! Guarantees: what is done stands in the audit before anything is shown or changed; of long work there is one at a
//! time; what goes out or comes in at once has limits. Errors and faults name lines and resources, never a value.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use pipehat_store::audit::{AuditError, AuditLog, AuditRecord, Verified as AuditVerified};
use pipehat_store::datastore::{
    BodyKey, Datastore, DatastoreError, Fault, Problem, Progress, Statistics, Told, TransferError,
    Verified, import,
};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use utoipa::ToSchema;

use crate::access::{ADMIN, event_reference};
use crate::api::ApiError;
use crate::fhir::{SearchParameters, new_id, now};

/// How many resources are read at once to be taken out: each may have many megabytes.
const EXPORT_AT_ONCE: usize = 100;

/// How many lines are taken in at once.
pub const IMPORT_LINES_MAX: usize = 200;

/// How many bytes are taken in at once: the longest line, and some before it.
pub const IMPORT_BYTES_MAX: usize = 68 * 1024 * 1024;

/// How long a datastore may take to show that it is there.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(3);

/// Looks after a datastore.
pub(crate) struct Upkeep {
    datastore: Arc<dyn Datastore>,
    parameters: Arc<SearchParameters>,
    audit: AuditPlace,
    /// One long work at a time.
    long: Mutex<()>,
}

/// Where the audit is.
pub(crate) enum AuditPlace {
    /// Open.
    Open(Arc<AuditLog>),
    /// In a file that is opened only to write into it, or to check it.
    File {
        /// Its path.
        path: PathBuf,
        /// What seals it.
        key: BodyKey,
        /// What marks it.
        chain_key: [u8; 32],
    },
}

impl AuditPlace {
    async fn open(&self) -> Result<Arc<AuditLog>, AuditError> {
        match self {
            Self::Open(log) => Ok(Arc::clone(log)),
            Self::File { path, key, chain_key } => {
                let (path, key, chain_key) = (path.clone(), key.clone(), *chain_key);
                blocking(move || AuditLog::open(&path, key, chain_key)).await.map(Arc::new)
            }
        }
    }

    /// Checks the marks; changes nothing.
    async fn verify(&self) -> Result<AuditVerified, AuditError> {
        match self {
            Self::Open(log) => log.verify().await,
            Self::File { path, .. } if !path.exists() => Ok(AuditVerified::default()),
            Self::File { path, key, chain_key } => {
                let (path, key, chain_key) = (path.clone(), key.clone(), *chain_key);
                blocking(move || AuditLog::verify_file(&path, key, chain_key)).await
            }
        }
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, AuditError> + Send + 'static,
) -> Result<T, AuditError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| AuditError::Database(Box::new(error)))?
}

/// Why something could not be done to a datastore.
#[derive(Debug, thiserror::Error)]
pub enum UpkeepError {
    /// What was to be taken in.
    #[error(transparent)]
    Transfer(TransferError),
    /// The datastore.
    #[error("the datastore failed")]
    Datastore(#[from] DatastoreError),
    /// The audit.
    #[error("the audit can't be written, and without it nothing is shown or changed")]
    Audit(#[source] AuditError),
    /// The audit, which can't be read.
    #[error("the audit can't be read")]
    AuditRead(#[source] AuditError),
    /// Something that takes long goes on.
    #[error("a reindexing or verification goes on already; wait for its end")]
    Busy,
}

/// Resources on their way out.
pub(crate) struct Exported {
    /// A line each.
    pub(crate) lines: Vec<u8>,
    /// Where the next begin; `None` behind the last.
    pub(crate) next: Option<u64>,
}

/// What became of lines that were taken in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Imported {
    /// New resources.
    pub created: u64,
    /// New versions of resources.
    pub updated: u64,
    /// Resources that stood so already.
    pub unchanged: u64,
}

/// What was indexed anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Reindexed {
    /// How many resources; deleted ones have no index.
    pub resources: u64,
}

/// What a datastore holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StatisticsView {
    /// Resources that are there.
    pub resources: u64,
    /// Resources that were deleted.
    pub deleted: u64,
    /// Versions of all of them.
    pub versions: u64,
    /// How much room it takes, in bytes.
    pub bytes: u64,
    /// The number of the newest change.
    pub newest_change: u64,
    /// Whether everything is indexed by the search parameters in force.
    pub indexed: bool,
    /// By resource type.
    pub types: Vec<ResourceStatistics>,
}

/// What a datastore holds of one type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ResourceStatistics {
    /// The type's name.
    #[serde(rename = "type")]
    pub resource_type: String,
    /// Resources that are there.
    pub resources: u64,
    /// Resources that were deleted.
    pub deleted: u64,
    /// Versions of all of them.
    pub versions: u64,
}

/// What a verification found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VerifiedView {
    /// Whether everything agrees.
    pub sound: bool,
    /// Whether everything is indexed by the search parameters in force; where it is not, the index is at fault.
    pub indexed: bool,
    /// How many resources that are there were looked at.
    pub resources: u64,
    /// How many that were deleted.
    #[serde(default)]
    pub deleted: u64,
    /// How many versions.
    pub versions: u64,
    /// How many records of the audit.
    #[serde(default)]
    pub audit_records: u64,
    /// How much does not agree.
    pub faults: u64,
    /// The first of it.
    pub found: Vec<FaultView>,
}

/// Something that does not agree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FaultView {
    /// Which resource, as `Patient/7f3c`; none where no resource is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// What: `body`, `versions`, `identity`, `index`, `orphan` or `audit`.
    pub fault: String,
    /// The same for people.
    pub text: String,
}

/// How far long work is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UpkeepProgress {
    /// How many resources are done.
    pub done: u64,
    /// How many there are, as far as is known.
    pub all: u64,
}

/// A line of the answer while long work goes on; the last one has the result or the error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum UpkeepLine {
    /// How far it is.
    Progress(UpkeepProgress),
    /// The index was written anew.
    Reindexed(Reindexed),
    /// Everything was looked at.
    Verified(VerifiedView),
    /// It broke off.
    Error(ApiError),
}

impl Upkeep {
    /// Of a datastore whose search parameters are followed by these.
    pub(crate) fn new(
        datastore: Arc<dyn Datastore>,
        parameters: Arc<SearchParameters>,
        audit: AuditPlace,
    ) -> Self {
        Self { datastore, parameters, audit, long: Mutex::new(()) }
    }

    /// Says in the audit that something is about to be done; it is durable behind this.
    pub(crate) async fn tell(&self, operation: &str) -> Result<(), UpkeepError> {
        let record = AuditRecord {
            at: now(),
            request_id: new_id().into(),
            client: Some(ADMIN.into()),
            client_name: Some(ADMIN.into()),
            address: None,
            interaction: format!("${operation}"),
            resource_type: None,
            resource_id: None,
            status: StatusCode::OK.as_u16(),
            query: None,
            used_once: None,
        };
        let log = self.audit.open().await.map_err(UpkeepError::Audit)?;
        log.record(record).await.map_err(UpkeepError::Audit)?;
        log.flush().await.map_err(UpkeepError::Audit)
    }

    /// Some resources behind a place that a call before gave; 0 at the beginning.
    pub(crate) async fn export(
        &self,
        types: &[String],
        after: u64,
    ) -> Result<Exported, UpkeepError> {
        let page = self.datastore.resources(types, after, EXPORT_AT_ONCE).await?;
        let mut lines = Vec::new();
        for body in page.versions.iter().filter_map(|version| version.body.as_ref()) {
            lines.extend_from_slice(body.as_bytes());
            lines.push(b'\n');
        }
        Ok(Exported { lines, next: page.next })
    }

    /// Takes lines in, of which the first has the number behind `lines_before`.
    pub(crate) async fn import(
        &self,
        lines: &[u8],
        lines_before: u64,
    ) -> Result<Imported, UpkeepError> {
        let mut reader = lines;
        let imported = import(self.datastore.as_ref(), &mut reader, now()).await;
        if memchr::memmem::find(lines, b"SearchParameter").is_some() {
            self.parameters.look_again();
        }
        let imported = imported.map_err(|error| numbered(error, lines_before))?;
        let (created, updated) = (imported.created, imported.updated);
        Ok(Imported { created, updated, unchanged: imported.unchanged })
    }

    /// Writes the index anew, of these types or all.
    pub(crate) async fn reindex(
        &self,
        types: &[String],
        told: Told<'_>,
    ) -> Result<Reindexed, UpkeepError> {
        let _turn = self.long.try_lock().map_err(|_| UpkeepError::Busy)?;
        let resources = self.datastore.reindex(types, told).await?;
        Ok(Reindexed { resources })
    }

    /// Writes the index anew where it does not follow the search parameters.
    pub(crate) async fn follow_parameters(&self, told: Told<'_>) -> Result<(), UpkeepError> {
        self.parameters.load(self.datastore.as_ref()).await?;
        if !self.datastore.is_indexed().await? {
            self.reindex(&[], told).await?;
        }
        Ok(())
    }

    /// Whether the datastore answers.
    pub(crate) async fn answers(&self) -> bool {
        let asked = tokio::time::timeout(ANSWER_TIME_MAX, self.datastore.is_indexed());
        !matches!(asked.await, Err(_) | Ok(Err(DatastoreError::Unavailable(_))))
    }

    /// What there is.
    pub(crate) async fn statistics(&self) -> Result<StatisticsView, UpkeepError> {
        let statistics = self.datastore.statistics().await?;
        Ok(statistics_view(statistics, self.datastore.is_indexed().await?))
    }

    /// Whether everything agrees.
    pub(crate) async fn verify(&self, told: Told<'_>) -> Result<VerifiedView, UpkeepError> {
        let _turn = self.long.try_lock().map_err(|_| UpkeepError::Busy)?;
        let verified = self.datastore.verify(told).await?;
        let mut view = verified_view(verified, self.datastore.is_indexed().await?);
        let audit = self.audit.verify().await.map_err(UpkeepError::AuditRead)?;
        view.audit_records = audit.records;
        if let Some(number) = audit.changed_from {
            view.sound = false;
            view.faults = view.faults.saturating_add(1);
            view.found.push(FaultView {
                resource: Some(event_reference(number)),
                fault: "audit".to_owned(),
                text: "records of the audit were changed, added or taken out from here on"
                    .to_owned(),
            });
        }
        Ok(view)
    }
}

/// An error about lines, with the numbers they have in their file.
fn numbered(error: TransferError, before: u64) -> UpkeepError {
    let at = |line: u64| line.saturating_add(before);
    UpkeepError::Transfer(match error {
        TransferError::Datastore(error) => return UpkeepError::Datastore(error),
        TransferError::File(error) => TransferError::File(error),
        TransferError::Json { line, problem } => TransferError::Json { line: at(line), problem },
        TransferError::Long(line) => TransferError::Long(at(line)),
        TransferError::Unfit { line, unfit } => TransferError::Unfit { line: at(line), unfit },
        TransferError::Refused { line, refusal } => {
            TransferError::Refused { line: at(line), refusal }
        }
    })
}

fn statistics_view(statistics: Statistics, indexed: bool) -> StatisticsView {
    let sum = |part: fn(&ResourceStatistics) -> u64, types: &[ResourceStatistics]| {
        types.iter().map(part).fold(0, u64::saturating_add)
    };
    let types: Vec<ResourceStatistics> = statistics
        .types
        .into_iter()
        .map(|(resource_type, of)| ResourceStatistics {
            resource_type,
            resources: of.resources,
            deleted: of.deleted,
            versions: of.versions,
        })
        .collect();
    StatisticsView {
        resources: sum(|of| of.resources, &types),
        deleted: sum(|of| of.deleted, &types),
        versions: sum(|of| of.versions, &types),
        bytes: statistics.bytes,
        newest_change: statistics.newest.0,
        indexed,
        types,
    }
}

fn verified_view(verified: Verified, indexed: bool) -> VerifiedView {
    VerifiedView {
        sound: indexed && verified.problems_all == 0,
        indexed,
        resources: verified.resources,
        deleted: verified.deleted,
        versions: verified.versions,
        audit_records: 0,
        faults: verified.problems_all,
        found: verified.problems.into_iter().map(FaultView::from).collect(),
    }
}

impl From<Problem> for FaultView {
    fn from(problem: Problem) -> Self {
        let fault = match problem.fault {
            Fault::Body => "body",
            Fault::Versions => "versions",
            Fault::Identity => "identity",
            Fault::Index => "index",
            Fault::Orphan => "orphan",
        };
        Self {
            resource: problem.key.map(|key| format!("{}/{}", key.resource_type, key.id)),
            fault: fault.to_owned(),
            text: problem.fault.to_string(),
        }
    }
}

impl From<Progress> for UpkeepProgress {
    fn from(progress: Progress) -> Self {
        Self { done: progress.done, all: progress.all }
    }
}
