//! A running Pipehat and its HTTP side: the admin API, health, metrics.
//!
//! [`Node`] puts the parts together: journal, engine, index, HTTP. The API answers from the same
//! books the engine keeps and from the message index; it holds no state of its own.
//!
//! Every call needs the token that a start writes beside the data, readable by its owner only;
//! health and readiness need none and say nothing but that.

pub mod access;
mod api;
mod bots;
mod codes;
mod datastore;
mod environment;
pub mod fhir;
mod indexer;
mod installation;
mod metrics;
mod node;
mod offline;
mod offline_datastore;
mod own_host;
mod project_watch;
mod reload;
mod upkeep;

pub use api::{
    AdminAccess, ApiError, ApplyView, BotView, BotsView, ChangeView, ChannelView, CountersView,
    DeadLettersPage, DeadLettersQuery, DecisionRequest, DecisionView, DeliveryView,
    DestinationView, DiscardRunsRequest, DiscardedRuns, FailingStepView, FindingView, HealthView,
    JournalView, LineageWanted, LossView, MessageDetail, MessageView, MessagesPage, OutputView,
    ProofChannelView, ProofView, RedeliverRequest, ReplayRequest, Replayed, RunDetail, RunView,
    RunsPage, RunsQuery, SearchRequest, SourceView, StageView, StatusView, SubscriptionsView,
    TranslationView, Wanted, openapi,
};
pub use bots::BotsError;
pub use codes::CODES;
pub use datastore::OpenDatastoreError;
pub use environment::{LookingOn, ProcessEnvironment};
pub use indexer::changes_of;
pub use installation::{DataDirectory, InstallationError};
pub use node::{Node, NodeError, NodeOptions};
pub use offline::{OfflineError, OfflineMessages};
pub use offline_datastore::{OfflineDatastore, OfflineDatastoreError, OfflineUse, ToldUpkeep};
pub use reload::ProjectLook;
pub use upkeep::{
    FaultView, IMPORT_BYTES_MAX, IMPORT_LINES_MAX, Imported, Reindexed, ResourceStatistics,
    StatisticsView, UpkeepError, UpkeepLine, UpkeepProgress, VerifiedView,
};
