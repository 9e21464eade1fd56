//! A project directory: read, checked as a whole, and made ready to run.
//!
//! ```text
//! pipehat.yaml            the installation: HTTP address, data, journal (optional)
//! channels/NAME.yaml      one channel each
//! bots/NAME.yaml          one bot each, beside its script
//! tables/NAME.csv         code tables
//! profiles/NAME.yaml      what a partner's messages are like
//! tests/CHANNEL/CASE/     cases for `pipehat test`
//! ```
//!
//! Loading takes all or nothing: a [`Project`] comes out only when no file has a mistake, and
//! every mistake of every file is told at once, with its place. Loading reads files through
//! [`ProjectFiles`] and opens nothing else: no socket, no peer.

mod bot;
mod case_change;
mod case_datastore;
mod cases;
mod channel;
mod codes;
mod deletions;
mod destination;
mod difference;
#[cfg(test)]
mod example_scopes;
mod files;
mod fingerprint;
mod format;
mod load;
mod lookup;
mod mappings;
mod name;
mod numbering;
mod order;
mod profiles;
mod reply;
mod settings;
mod sftp;
mod source;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use bot::{
    BotGrants, BotName, BotSpec, Cron, CronError, CronTrigger, DeployedBots, HmacHash, Missed,
    SubscriptionTrigger, WebhookAnswer, WebhookProof, WebhookTrigger, bot_limits,
};
pub use cases::{CaseReport, CaseUpdate, CasesRun, Mismatch, run_cases};
pub use channel::{ChannelSpec, IndexPath, OnFailure, SourceSpec};
pub use codes::CODES;
pub use destination::DestinationSpec;
pub use difference::{Difference, differences};
pub use files::{DirectoryFiles, Entry, EntryKind, FILE_BYTES_MAX, MemoryFiles, ProjectFiles};
pub use fingerprint::Revision;
pub use load::{LoadContext, Loaded, Project};
pub use lookup::LookupSpec;
pub(crate) use mappings::Mappings;
pub use order::Order;
pub(crate) use profiles::Profiles;
pub use profiles::{LoadedProfile, ProfileFile};
pub use reply::{ReplyMode, Unanswered};
pub use settings::{
    Compression, DatastoreSettings, HttpSettings, JournalSettings, ProjectSettings, StorePlace,
};
