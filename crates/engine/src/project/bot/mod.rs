//! A bot: a script of the project, what it runs for, and what it may reach.
//!
//! ```yaml
//! bot: identity                       # bots/identity.yaml, beside bots/identity.ts
//! on:
//!   subscription: { criteria: "Patient?active=true", changes: [create, update], when: "%previous.empty()" }
//!   webhook: { hmac: { secret: secret:portal, header: X-Signature } }
//!   cron: { at: "0 7 * * 1-5", time_zone: Europe/Berlin, missed: once }
//! scopes: [system/Patient.cruds]      # in the datastore; none unless said
//! allow: { hosts: [api.example.org], secrets: [portal], channels: [adt-out], bots: [notify] }
//! translate: { time_zone: Europe/Berlin, overlay: mappings/site.yaml, receiver: receivers/lab.yaml }
//! limits: { time: 30s, memory: 64MiB }
//! retry: { first: 1s, most: 5m, give_up: 1d }
//! keep: 30d
//! ```
//!
//! What is not written is not granted. A bot without `on` runs as a step of channels and by `$execute`.

mod cron;
mod read;
mod scope;
mod subscription;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use pipehat_config::SecretReference;
use pipehat_script::{Limits, Script};

pub use cron::{Cron, CronError};
pub use read::bot_limits;
pub(super) use read::{BotContext, bot, deployed};

use super::fingerprint::Revision;
use crate::program::TranslationSettings;
use crate::retry::RetryPolicy;

/// A bot's name, as its file is named.
pub type BotName = Arc<str>;

/// A bot of a project, checked.
#[derive(Clone)]
pub struct BotSpec {
    /// Its name.
    pub name: BotName,
    /// What it is for, if the file says so.
    pub description: Option<String>,
    /// Whether anything triggers it.
    pub enabled: bool,
    /// Its script, relative to the project: `bots/identity.ts`.
    pub script: String,
    /// Its script, compiled.
    pub code: Script,
    /// The content hash of its file, its script and all that this imports.
    pub revision: Revision,
    /// The changes of the datastore it runs for.
    pub subscriptions: Vec<SubscriptionTrigger>,
    /// The address it runs for, if there is one.
    pub webhook: Option<WebhookTrigger>,
    /// The times it runs at.
    pub cron: Vec<CronTrigger>,
    /// What it may do in the datastore: SMART scopes.
    pub scopes: Vec<String>,
    /// What else it may reach.
    pub allow: BotGrants,
    /// What it translates by; where it says nothing, a step of a channel goes by what the channel says.
    pub translation: TranslationSettings,
    /// What a run may use.
    pub limits: Limits,
    /// When a failed run is tried again, where nobody waits for it.
    pub retry: RetryPolicy,
    /// How long its runs are kept.
    pub keep: Duration,
}

/// What a bot may reach outside of the datastore. Everything by name; nothing by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BotGrants {
    /// Hosts for `fetch`: `api.example.org`, `*.example.org:8443`, `http://10.1.2.3:8080`.
    pub hosts: Vec<String>,
    /// Secrets by name.
    pub secrets: Vec<String>,
    /// Channels that it may send to.
    pub channels: Vec<String>,
    /// Bots that it may run.
    pub bots: Vec<String>,
    /// SFTP servers.
    pub sftp: Vec<String>,
}

/// What bots may that clients deploy over the API. Nothing unless the project says so: else whoever may change a Bot
/// would give it rights that he has not.
#[derive(Debug, Clone, Default)]
pub struct DeployedBots {
    /// What they may do in the datastore.
    pub scopes: Vec<String>,
    /// What else they may reach.
    pub allow: BotGrants,
    /// What they translate by.
    pub translation: TranslationSettings,
    /// What a run may use.
    pub limits: Limits,
}

/// Changes of the datastore that a bot runs for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriptionTrigger {
    /// A search, as in `Subscription.criteria`. What the file names in `custom` is known when it is put in force.
    pub criteria: String,
    /// `create`, `update`, `delete`; empty for each of them.
    pub changes: Vec<&'static str>,
    /// A FHIRPath condition over `%previous` and `%current`.
    pub when: Option<String>,
}

/// The address that a bot runs for: `/bots/NAME`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookTrigger {
    /// How a caller shows that it may.
    pub proof: WebhookProof,
    /// Whether the caller waits for the result.
    pub answer: WebhookAnswer,
}

/// How the caller of a webhook shows that it may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WebhookProof {
    /// `Authorization: Bearer TOKEN`, or the header that is named.
    Token {
        /// The secret.
        secret: SecretReference,
        /// The header, in small letters.
        header: String,
    },
    /// An HMAC of the body, in hexadecimal or base64.
    Hmac {
        /// The secret.
        secret: SecretReference,
        /// The header, in small letters.
        header: String,
        /// What stands before it: `sha256=`.
        prefix: String,
        /// The hash.
        hash: HmacHash,
    },
}

/// The hash of an HMAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HmacHash {
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
}

/// What the caller of a webhook is told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum WebhookAnswer {
    /// The bot's result, when it is there; a failed run is the caller's to repeat.
    #[default]
    Result,
    /// That it was kept (202): a failed run is tried again by `retry`.
    Accepted,
}

/// Times that a bot runs at.
#[derive(Debug, Clone, PartialEq)]
pub struct CronTrigger {
    /// When.
    pub at: Cron,
    /// By which clock.
    pub time_zone: TimeZone,
    /// What becomes of times that passed while nothing ran.
    pub missed: Missed,
}

/// What becomes of times that passed while nothing ran.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Missed {
    /// One run makes up for all of them.
    #[default]
    Once,
    /// They are passed over.
    Skip,
}

impl fmt::Debug for BotSpec {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("BotSpec")
            .field("name", &self.name)
            .field("revision", &self.revision)
            .finish_non_exhaustive()
    }
}
