//! Bots as resources: those of the project stand in the datastore, too, and say where they come from.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use pipehat_resource::json::{Object, Value, parse};

use super::deployed::Deployed;
use super::service::Bots;
use crate::fhir::{BotDatastore, PROJECT, Principal, Scopes};

/// The system of the names of bots of the project.
pub(crate) const SYSTEM: &str = "urn:pipehat:bot";

/// Says by which revision a resource was written.
const REVISION: &str = "urn:pipehat:bot-revision";

/// The most subscriptions of a bot.
const SUBSCRIPTIONS_MAX: usize = 16;

/// How many bots of the project there may have been.
const BOTS_MAX: usize = 1_000;

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
    Some((file_name(title.unwrap_or("index.ts")), code))
}

/// A name that a script may have.
pub(crate) fn file_name(title: &str) -> String {
    let name = title.rsplit(['/', '\\']).next().unwrap_or_default();
    let plain =
        name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    let ending = [".ts", ".mts", ".js", ".mjs"].iter().any(|ending| name.ends_with(ending));
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
        let set = self.set();
        for bot in set.bots.values() {
            put(datastore, &format!("Bot/{}", bot.id), &bot_resource(bot)).await;
            let wanted = subscriptions(bot);
            for (id, resource) in &wanted {
                put(datastore, &format!("Subscription/{id}"), resource).await;
            }
            for number in wanted.len().saturating_add(1)..=SUBSCRIPTIONS_MAX {
                if !remove(datastore, &format!("Subscription/{}", subscription_id(&bot.id, number)))
                    .await
                {
                    // They are numbered without gaps.
                    break;
                }
            }
        }
        for id in project_bots(datastore).await {
            if set.bots.contains_key(&id) {
                continue;
            }
            for number in 1..=SUBSCRIPTIONS_MAX {
                if !remove(datastore, &format!("Subscription/{}", subscription_id(&id, number)))
                    .await
                {
                    break;
                }
            }
            remove(datastore, &format!("Bot/{id}")).await;
        }
    }
}

fn project() -> Principal {
    Principal { client: PROJECT.into(), scopes: Scopes::All }
}

/// The ids of the bots that this or an earlier project wrote.
async fn project_bots(datastore: &BotDatastore) -> Vec<String> {
    let path = format!("Bot?identifier={SYSTEM}%7C&_count={BOTS_MAX}&_elements=id");
    let (status, _, body) =
        datastore.exchange(project(), Method::GET, &path, HeaderMap::new(), Bytes::new()).await;
    if !status.is_success() {
        return Vec::new();
    }
    let bundle = parse(&body).unwrap_or(Value::Null);
    let entries = bundle.items("entry").iter();
    entries.filter_map(|entry| Some(entry.get("resource")?.id()?.to_owned())).collect()
}

/// Writes a resource where another revision stands.
async fn put(datastore: &BotDatastore, path: &str, resource: &Value) {
    let (status, _, body) =
        datastore.exchange(project(), Method::GET, path, HeaderMap::new(), Bytes::new()).await;
    if status.is_success() && parse(&body).is_ok_and(|known| is_same(&known, resource)) {
        return;
    }
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/fhir+json"));
    let body = Bytes::from(resource.to_json());
    let (status, _, _) = datastore.exchange(project(), Method::PUT, path, headers, body).await;
    if !status.is_success() {
        tracing::error!(
            resource = path,
            status = status.as_u16(),
            "a bot of the project can't be written into the datastore: it hears of no change"
        );
    }
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
async fn remove(datastore: &BotDatastore, path: &str) -> bool {
    let (status, _, _) =
        datastore.exchange(project(), Method::GET, path, HeaderMap::new(), Bytes::new()).await;
    if !status.is_success() {
        return status != StatusCode::NOT_FOUND && status != StatusCode::GONE;
    }
    let (status, _, _) =
        datastore.exchange(project(), Method::DELETE, path, HeaderMap::new(), Bytes::new()).await;
    status.is_success()
}
