//! What runs: a script, and what it may reach.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use pipehat_connectors::{Secrets, SftpServer};
use pipehat_engine::RetryPolicy;
use pipehat_engine::program::{Table, TranslationSettings};
use pipehat_engine::project::{
    BotGrants, BotSpec, CronTrigger, DeployedBots, Project, WebhookProof, WebhookTrigger,
};
use pipehat_script::{Limits, Script};

use crate::fhir::{EndpointRules, HostRule};

/// A bot, ready to run.
pub(crate) struct Deployed {
    /// The id of its resource; of a bot of the project, its name.
    pub(crate) id: String,
    pub(crate) revision: String,
    pub(crate) script: Script,
    pub(crate) limits: Limits,
    pub(crate) scopes: Vec<String>,
    pub(crate) allow: BotGrants,
    pub(crate) hosts: EndpointRules,
    pub(crate) secrets: BTreeMap<String, String>,
    pub(crate) translation: TranslationSettings,
    pub(crate) retry: RetryPolicy,
    pub(crate) keep: Duration,
    pub(crate) webhook: Option<Webhook>,
    pub(crate) cron: Vec<CronTrigger>,
    /// Its part of the project, where it has one.
    pub(crate) spec: Option<Arc<BotSpec>>,
}

/// A webhook with its secret.
pub(crate) struct Webhook {
    pub(crate) trigger: WebhookTrigger,
    pub(crate) secret: String,
}

impl fmt::Debug for Deployed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Deployed")
            .field("id", &self.id)
            .field("revision", &self.revision)
            .finish_non_exhaustive()
    }
}

/// What bots see of a channel whose step they are.
#[derive(Debug, Clone, Default)]
pub(crate) struct ChannelPart {
    pub(crate) destinations: Vec<Arc<str>>,
    pub(crate) translation: TranslationSettings,
}

/// The bots of a project that another one has not, or has otherwise.
#[derive(Debug, Default)]
pub(crate) struct BotChanges {
    pub(crate) added: Vec<Arc<str>>,
    pub(crate) changed: Vec<Arc<str>>,
    pub(crate) removed: Vec<Arc<str>>,
}

/// The bots of a project, and what they share.
pub(crate) struct BotSet {
    pub(crate) bots: HashMap<String, Arc<Deployed>>,
    pub(crate) tables: BTreeMap<String, Arc<Table>>,
    /// The SFTP servers that they may be granted.
    pub(crate) sftp: BTreeMap<String, SftpServer>,
    /// What bots may that clients deployed.
    pub(crate) deployed: DeployedBots,
    /// The destinations of each channel, and what it translates by.
    pub(crate) channels: HashMap<String, Arc<ChannelPart>>,
    secrets_of_deployed: BTreeMap<String, String>,
}

impl BotSet {
    /// Those of a project.
    pub(crate) fn of(project: &Project, secrets: &dyn Secrets) -> Self {
        let bots = project.bots.iter().map(|spec| {
            let deployed = of_project(spec, secrets);
            (deployed.id.clone(), Arc::new(deployed))
        });
        let channels = project.channels.iter().map(|channel| {
            let names = channel.destinations.iter().map(|one| Arc::clone(&one.name));
            let part = ChannelPart {
                destinations: names.collect(),
                translation: channel.translation.clone(),
            };
            (channel.name.to_string(), Arc::new(part))
        });
        let deployed = project.settings.bots.clone();
        Self {
            bots: bots.collect(),
            tables: project.tables.clone(),
            sftp: project.settings.sftp.clone(),
            channels: channels.collect(),
            secrets_of_deployed: granted_secrets(&deployed.allow, secrets),
            deployed,
        }
    }

    /// The secrets that a bot is given.
    pub(crate) fn secrets_of(&self, id: &str) -> &BTreeMap<String, String> {
        self.bots.get(id).map_or(&self.secrets_of_deployed, |bot| &bot.secrets)
    }

    /// The bots of the project in which it differs from one before.
    pub(crate) fn changes_since(&self, before: &Self) -> BotChanges {
        let mut changes = BotChanges::default();
        for (name, bot) in &self.bots {
            match before.bots.get(name) {
                None => changes.added.push(name.as_str().into()),
                Some(old) if old.revision != bot.revision => {
                    changes.changed.push(name.as_str().into());
                }
                Some(_) => {}
            }
        }
        let gone = before.bots.keys().filter(|name| !self.bots.contains_key(*name));
        changes.removed.extend(gone.map(|name| Arc::from(name.as_str())));
        for names in [&mut changes.added, &mut changes.changed, &mut changes.removed] {
            names.sort_unstable();
        }
        changes
    }

    /// A bot that a client deployed.
    pub(crate) fn of_api(&self, id: &str, revision: String, script: Script) -> Deployed {
        let DeployedBots { scopes, allow, translation, limits } = self.deployed.clone();
        Deployed {
            id: id.to_owned(),
            revision,
            script,
            limits,
            scopes,
            hosts: hosts(&allow),
            allow,
            secrets: self.secrets_of_deployed.clone(),
            translation,
            retry: RetryPolicy {
                give_up: Some(Duration::from_secs(86_400)),
                ..RetryPolicy::DEFAULT
            },
            keep: Duration::from_secs(30 * 86_400),
            webhook: None,
            cron: Vec::new(),
            spec: None,
        }
    }
}

fn of_project(spec: &Arc<BotSpec>, secrets: &dyn Secrets) -> Deployed {
    let webhook = spec.webhook.as_ref().filter(|_| spec.enabled).map(|trigger| {
        let (WebhookProof::Token { secret, .. } | WebhookProof::Hmac { secret, .. }) =
            &trigger.proof;
        Webhook { trigger: trigger.clone(), secret: text_of(secret.name(), secrets) }
    });
    Deployed {
        id: spec.name.to_string(),
        revision: spec.revision.to_string(),
        script: spec.code.clone(),
        limits: spec.limits.clone(),
        scopes: spec.scopes.clone(),
        allow: spec.allow.clone(),
        hosts: hosts(&spec.allow),
        secrets: granted_secrets(&spec.allow, secrets),
        translation: spec.translation.clone(),
        retry: spec.retry,
        keep: spec.keep,
        webhook,
        cron: if spec.enabled { spec.cron.clone() } else { Vec::new() },
        spec: Some(Arc::clone(spec)),
    }
}

fn hosts(allow: &BotGrants) -> EndpointRules {
    // What is no host was refused when the project was read.
    let rules = allow.hosts.iter().filter_map(|host| HostRule::parse(host).ok());
    EndpointRules::new(Some(rules.collect()))
}

fn granted_secrets(allow: &BotGrants, secrets: &dyn Secrets) -> BTreeMap<String, String> {
    allow.secrets.iter().map(|name| (name.clone(), text_of(name, secrets))).collect()
}

/// That it is there was seen to when the project was read.
fn text_of(name: &str, secrets: &dyn Secrets) -> String {
    let bytes = secrets.secret(name).unwrap_or_default();
    String::from_utf8(bytes).unwrap_or_default().trim_end_matches(['\r', '\n']).to_owned()
}
