//! The admin API: JSON over HTTP on loopback, every call with a token.

mod access;
mod bots;
mod datastore;
mod handlers;
mod lineage;
mod listener;
mod messages;
mod problem;
mod remains;
mod request;
mod routes;
mod stage;
mod subscriptions;
mod view;

pub use access::AdminAccess;
pub use bots::{
    BotView, BotsView, DiscardRunsRequest, DiscardedRuns, FailingStepView, ReplayRequest, Replayed,
    RunDetail, RunView, RunsPage, RunsQuery,
};
pub use lineage::{LineageWanted, OutputView, SourceView, TranslationView};
pub use messages::{DecisionRequest, DecisionView, MessageDetail, MessagesPage, SearchRequest};
pub use problem::ApiError;
pub use routes::openapi;
pub use stage::{ChangeView, FindingView, StageView, Wanted};
pub use subscriptions::{DeadLettersPage, DeadLettersQuery, RedeliverRequest, SubscriptionsView};
pub use view::{
    ApplyView, ChannelView, CountersView, DeliveryView, DestinationView, HealthView, JournalView,
    LossView, MessageView, ProofChannelView, ProofView, StatusView,
};

pub(crate) use access::new_token;
pub(crate) use messages::{bytes_of, detail_of, page_of};
pub(crate) use routes::serve;
