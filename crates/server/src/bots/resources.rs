//! Bots as resources: those of the project stand in the datastore, too, and say where they come from.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use pipehat_resource::json::{Object, Value, parse};
use pipehat_script::Script;
use pipehat_store::datastore::ResourceKey;

use super::deployed::Deployed;
use super::service::Bots;
use crate::fhir::{BotDatastore, PROJECT, Principal, Scopes};

/// The system of the names of bots of the project.
pub(crate) const SYSTEM: &str = "urn:pipehat:bot";

/// Says by which revision a resource was written.
const REVISION: &str = "urn:pipehat:bot-revision";

/// The most subscriptions of a bot.
const SUBSCRIPTIONS_MAX: usize = 16;

/// Where the book notes which bots stand in the datastore.
const OWNER: &str = "pipehat";
const WRITTEN: &str = "bots of the project";

fn object<const N: usize>(members: [(&str, Value); N]) -> Value {
    members.into_iter().collect::<Object>().into()
}

/// The Bot of a bot of the project.
fn bot_resource(bot: &Deployed) -> Value {
    let mut resource = Object::new();
    resource.set("resourceType", "Bot".into());
    resource.set("id", bot.id.as_str().into());
    resource.set("extension", Value::Array(vec![revision(&bot.revision)]));
    let identifier = object([("system", SYSTEM.into()), ("value", bot.id.as_str().into())]);
    resource.set("identifier", Value::Array(vec![identifier]));
    resource.set("name", bot.id.as_str().into());
    if let Some(spec) = &bot.spec {
        if let Some(description) = spec.description.as_deref().filter(|text| !text.is_empty()) {
            resource.set("description", description.into());
        }
        if let Some(cron) = spec.cron.first() {
            resource.set("cronString", cron.at.to_string().into());
        }
        let source = object([
            ("contentType", "application/typescript".into()),
            ("title", spec.script.as_str().into()),
        ]);
        resource.set("sourceCode", source);
    }
    resource.into()
}

fn revision(revision: &str) -> Value {
    object([("url", REVISION.into()), ("valueString", revision.into())])
}

/// The Subscriptions of a bot of the project, each with its id.
fn subscriptions(bot: &Deployed) -> Vec<(String, Value)> {
    let Some(spec) = bot.spec.as_ref().filter(|spec| spec.enabled) else { return Vec::new() };
    let written = (1..).zip(&spec.subscriptions).map(|(number, trigger)| {
        let id = subscription_id(&bot.id, number);
        let mut extensions = vec![revision(&bot.revision)];
        for change in &trigger.changes {
            let url =
                "https://medplum.com/fhir/StructureDefinition/subscription-supported-interaction";
            extensions.push(object([("url", url.into()), ("valueCode", (*change).into())]));
        }
        if let Some(when) = &trigger.when {
            let url = "https://medplum.com/fhir/StructureDefinition/fhir-path-criteria-expression";
            extensions.push(object([("url", url.into()), ("valueString", when.as_str().into())]));
        }
        let channel = object([
            ("type", "rest-hook".into()),
            ("endpoint", format!("Bot/{}", bot.id).into()),
            ("payload", "application/fhir+json".into()),
        ]);
        let resource = object([
            ("resourceType", "Subscription".into()),
            ("id", id.as_str().into()),
            ("extension", Value::Array(extensions)),
            ("status", "requested".into()),
            ("reason", format!("the bot `{}` of the project", bot.id).into()),
            ("criteria", trigger.criteria.as_str().into()),
            ("channel", channel),
        ]);
        (id, resource)
    });
    written.collect()
}

fn subscription_id(bot: &str, number: usize) -> String {
    let mut id = format!("bot-{bot}-{number}");
    // An id has at most 64 characters; names of this length differ in their heads, or not at all.
    id.truncate(64);
    id
}

/// The code of a bot that a client deployed, and what it is called.
pub(super) fn code_of(bot: &Value) -> Option<(String, String)> {
    let attachment = bot.get("executableCode").or_else(|| bot.get("sourceCode"));
    let code = attachment
        .and_then(|attachment| attachment.text("data"))
        .and_then(|data| STANDARD.decode(data).ok())
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .or_else(|| bot.text("code").map(str::to_owned))?;
    let title = attachment.and_then(|attachment| attachment.text("title"));
    Some((file_name(title.unwrap_or("index.ts"), &code), code))
}

/// A name that a script may have: with the ending of CommonJS where the code is that, whatever it was called.
pub(crate) fn file_name(title: &str, code: &str) -> String {
    let name = sound_name(title);
    if !name.ends_with(".cjs") && Script::is_commonjs(code) {
        let stem = name.rsplit_once('.').map_or(name.as_str(), |(stem, _)| stem);
        return format!("{stem}.cjs");
    }
    name
}

fn sound_name(title: &str) -> String {
    let name = title.rsplit(['/', '\\']).next().unwrap_or_default();
    let plain =
        name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    let ending = [".ts", ".mts", ".js", ".mjs", ".cjs"].iter().any(|ending| name.ends_with(ending));
    if plain && ending && name.len() <= 100 {
        format!("bots/{name}")
    } else {
        "bots/index.ts".to_owned()
    }
}

/// A Bot with other code.
pub(crate) fn with_code(mut bot: Value, name: &str, code: &str) -> Value {
    let title = name.strip_prefix("bots/").unwrap_or(name);
    let kind =
        if title.ends_with("ts") { "application/typescript" } else { "application/javascript" };
    let attachment = object([
        ("contentType", kind.into()),
        ("data", STANDARD.encode(code).into()),
        ("title", title.into()),
    ]);
    if let Some(object) = bot.as_object_mut() {
        object.set("executableCode", attachment);
        object.remove("code");
    }
    bot
}

impl Bots {
    /// Writes the project's bots and their Subscriptions into the datastore, and takes away those that are no more.
    pub(crate) async fn write_resources(&self) {
        let Some(datastore) = self.datastore() else { return };
        let datastore = datastore.as_ref();
        let set = self.set();
        let mut unheard = BTreeMap::new();
        for bot in set.bots.values() {
            let mut written = put(datastore, "Bot", &bot.id, &bot_resource(bot)).await;
            let wanted = subscriptions(bot);
            for (id, resource) in &wanted {
                written = written.and(put(datastore, "Subscription", id, resource).await);
            }
            if let Err(why) = written {
                tracing::error!(
                    bot = bot.id,
                    why,
                    "a bot of the project can't be written into the datastore: it hears of no change"
                );
                unheard.insert(bot.id.clone(), why);
            }
            for number in wanted.len().saturating_add(1)..=SUBSCRIPTIONS_MAX {
                if !remove(datastore, "Subscription", &subscription_id(&bot.id, number)).await {
                    // They are numbered without gaps.
                    break;
                }
            }
        }
        *self.unheard.write().unwrap_or_else(PoisonError::into_inner) = unheard;
        let names: Vec<&String> = set.bots.keys().collect();
        let before = self.written().await;
        for id in before.iter().filter(|id| !set.bots.contains_key(*id)) {
            for number in 1..=SUBSCRIPTIONS_MAX {
                if !remove(datastore, "Subscription", &subscription_id(id, number)).await {
                    break;
                }
            }
            remove(datastore, "Bot", id).await;
        }
        if before.len() != names.len() || !names.iter().all(|name| before.contains(name)) {
            self.note_written(&names).await;
        }
    }

    /// The bots of the project by the ids of their Subscriptions.
    pub(crate) fn subscription_ids(&self) -> BTreeMap<String, String> {
        let set = self.set();
        let ids = set.bots.values().flat_map(|bot| {
            let count = bot.spec.as_ref().map_or(0, |spec| spec.subscriptions.len());
            (1..=count).map(|number| (subscription_id(&bot.id, number), bot.id.clone()))
        });
        ids.collect()
    }

    /// The bots that this or an earlier project wrote: a note in the book.
    async fn written(&self) -> Vec<String> {
        let book = Arc::clone(&self.book);
        let note = tokio::task::spawn_blocking(move || book.value(OWNER, WRITTEN)).await;
        let note = note.ok().and_then(Result::ok).flatten();
        note.and_then(|note| serde_json::from_str(&note).ok()).unwrap_or_default()
    }

    async fn note_written(&self, names: &[&String]) {
        let book = Arc::clone(&self.book);
        let note = serde_json::to_string(names).unwrap_or_default();
        let kept =
            tokio::task::spawn_blocking(move || book.keep_value(OWNER, WRITTEN, Some(&note)));
        if let Ok(Err(error)) = kept.await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "which bots stand in the datastore can't be noted: one that goes stays there"
            );
        }
    }
}

fn project() -> Principal {
    Principal { client: PROJECT.into(), scopes: Scopes::All }
}

/// Writes a resource where another revision stands; tells why it is not taken. That is about the project: no patient is in it.
async fn put(
    datastore: &BotDatastore,
    resource_type: &str,
    id: &str,
    resource: &Value,
) -> Result<(), String> {
    let known = stands(datastore, resource_type, id).await;
    if known.is_some_and(|known| is_same(&known, resource)) {
        return Ok(());
    }
    let path = format!("{resource_type}/{id}");
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/fhir+json"));
    let body = Bytes::from(resource.to_json());
    let (status, _, body) = datastore.exchange(project(), Method::PUT, &path, headers, body).await;
    if status.is_success() {
        return Ok(());
    }
    let outcome = parse(&body).unwrap_or(Value::Null);
    let said = outcome.items("issue").iter().filter_map(|issue| {
        let text = issue.text("diagnostics");
        text.or_else(|| issue.get("details")?.text("text")).map(str::to_owned)
    });
    let said: Vec<String> = said.collect();
    Err(match said.is_empty() {
        true => format!("{path} is refused with status {}", status.as_u16()),
        false => format!("{path} is refused: {}", said.join("; ")),
    })
}

/// What stands there: looked at for the server's own sake.
async fn stands(datastore: &BotDatastore, resource_type: &str, id: &str) -> Option<Value> {
    let key = ResourceKey { resource_type: resource_type.to_owned(), id: id.to_owned() };
    let version = datastore.read(&key).await.ok()??;
    parse(version.body?.as_bytes()).ok()
}

/// Whether the known resource was written by this revision, and is not switched off since.
fn is_same(known: &Value, resource: &Value) -> bool {
    let revision = |resource: &Value| {
        let extensions = resource.items("extension").iter();
        let own = extensions.filter(|extension| extension.text("url") == Some(REVISION));
        own.filter_map(|extension| extension.text("valueString").map(str::to_owned)).next()
    };
    let is_on = !matches!(known.text("status"), Some("off" | "error"));
    is_on && revision(known) == revision(resource)
}

/// Whether it was there.
async fn remove(datastore: &BotDatastore, resource_type: &str, id: &str) -> bool {
    if stands(datastore, resource_type, id).await.is_none() {
        return false;
    }
    let path = format!("{resource_type}/{id}");
    let gone =
        datastore.exchange(project(), Method::DELETE, &path, HeaderMap::new(), Bytes::new()).await;
    gone.0.is_success()
}
