//! Reading a bot's file.

use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use jiff::tz::TimeZone;
use pipehat_config::{Diagnostic, Diagnostics, Fields, Node, SecretReference, SourceFile, nearest};
use pipehat_connectors::Secrets;
use pipehat_script::{Limits, Script, ScriptError, Sources};

use super::cron::Cron;
use super::scope::scope;
use super::subscription::subscription;
use super::{
    BotGrants, BotSpec, CronTrigger, DeployedBots, HmacHash, Missed, SubscriptionTrigger,
    WebhookAnswer, WebhookProof, WebhookTrigger,
};
use crate::program;
use crate::project::destination::retry;
use crate::project::files::ProjectFiles;
use crate::project::fingerprint::Revision;
use crate::project::mappings::Mappings;
use crate::project::name::check_name;
use crate::retry::RetryPolicy;

/// Long enough for whoever comes back from a holiday.
const KEEP: Duration = Duration::from_secs(30 * 86_400);

/// A failed run is tried for a day: longer, and what it was about has passed.
const RETRY: RetryPolicy = RetryPolicy {
    first: Duration::from_secs(1),
    most: Duration::from_secs(300),
    give_up: Some(Duration::from_secs(86_400)),
};

/// The most subscriptions or times of a bot.
const TRIGGERS_MAX: usize = 16;

/// The most entries of a list of grants.
const GRANTS_MAX: usize = 100;

/// What reading a bot may use.
pub(in crate::project) struct BotContext<'c> {
    pub(in crate::project) secrets: Option<&'c dyn Secrets>,
    /// Whether there is a datastore, which subscriptions and scopes are about.
    pub(in crate::project) datastore: bool,
    /// What translations may go by.
    pub(in crate::project) mappings: &'c Mappings,
}

/// Reads a bot's tree. `stem` is the file's name without `.yaml`.
pub(in crate::project) fn bot(
    node: &Node,
    stem: &str,
    bytes: &[u8],
    files: &dyn ProjectFiles,
    context: &BotContext<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<BotSpec> {
    let errors_before = diagnostics.errors();
    let mut fields = Fields::of(node, "bot file", diagnostics)?;
    for key in ["subscription", "webhook", "cron", "criteria"] {
        fields.misplaced(key, "this belongs under `on`");
    }
    for key in ["hosts", "secrets", "channels", "bots", "sftp"] {
        fields.misplaced(key, "this belongs under `allow`");
    }
    for key in ["source", "steps", "destinations"] {
        fields.misplaced(
            key,
            "this belongs to a channel: a file of its own in the folder `channels`",
        );
    }
    let name = fields.required("bot", |node, diagnostics| name(node, stem, diagnostics));
    let description = fields
        .optional("description", |node, diagnostics| node.text(diagnostics).map(str::to_owned));
    let enabled = fields.optional("enabled", Node::boolean).unwrap_or(true);
    let script_node = fields.take("script");
    let triggers = fields
        .optional("on", |node, diagnostics| triggers(node, context, diagnostics))
        .unwrap_or_default();
    let scopes = fields
        .optional("scopes", |node, diagnostics| {
            let scopes = node.list_of(diagnostics, scope)?;
            datastore_for(node, "`scopes` are about the datastore", context, diagnostics);
            Some(scopes)
        })
        .unwrap_or_default();
    let allow = fields
        .optional("allow", |node, diagnostics| grants(node, context, diagnostics))
        .unwrap_or_default();
    let mut mappings = BTreeSet::new();
    let translation = fields
        .optional("translate", |node, diagnostics| {
            program::translation(node, context.mappings, &mut mappings, diagnostics)
        })
        .unwrap_or_default();
    let limits = fields.optional("limits", limits_of_a_bot).unwrap_or_default();
    let retry = fields.optional("retry", retry).unwrap_or(RETRY);
    let keep = fields.optional("keep", |node, diagnostics| {
        node.duration_within(
            Duration::from_secs(3600)..=Duration::from_secs(3650 * 86_400),
            diagnostics,
        )
    });
    fields.finish();
    let (script, code, sources) = script(script_node, node, stem, files, diagnostics)?;
    if diagnostics.errors() != errors_before {
        return None;
    }
    Some(BotSpec {
        name: name?.into(),
        description,
        enabled,
        revision: {
            let sources = sources.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice()));
            let mappings = context.mappings.bytes(&mappings);
            Revision::of([(stem, bytes)].into_iter().chain(sources).chain(mappings))
        },
        script,
        code,
        subscriptions: triggers.subscriptions,
        webhook: triggers.webhook,
        cron: triggers.cron,
        scopes,
        allow,
        translation,
        limits,
        retry,
        keep: keep.unwrap_or(KEEP),
    })
}

/// `bots:` of pipehat.yaml.
pub(in crate::project) fn deployed(
    node: &Node,
    secrets: Option<&dyn Secrets>,
    mappings: Option<&Mappings>,
    diagnostics: &mut Diagnostics,
) -> Option<DeployedBots> {
    let none = Mappings::default();
    let context = BotContext { secrets, datastore: true, mappings: mappings.unwrap_or(&none) };
    let mut fields = Fields::of(node, "bots", diagnostics)?;
    let scopes = fields.optional("scopes", |node, diagnostics| node.list_of(diagnostics, scope));
    let allow = fields.optional("allow", |node, diagnostics| grants(node, &context, diagnostics));
    let translation = match mappings {
        Some(mappings) => fields.optional("translate", |node, diagnostics| {
            // Bots of clients are compiled anew with each project: no revision is to tell of these files.
            program::translation(node, mappings, &mut BTreeSet::new(), diagnostics)
        }),
        // Who reads the settings alone runs no bots.
        None => {
            fields.take("translate");
            None
        }
    };
    let limits = fields.optional("limits", limits_of_a_bot);
    fields.finish().then(|| DeployedBots {
        scopes: scopes.unwrap_or_default(),
        allow: allow.unwrap_or_default(),
        translation: translation.unwrap_or_default(),
        limits: limits.unwrap_or_default(),
    })
}

/// A bot is a resource, too, whose id has no `_` (FHIR R4 §2.24.0.1, `id`).
fn name(node: &Node, stem: &str, diagnostics: &mut Diagnostics) -> Option<String> {
    let name = node.text_not_empty(diagnostics)?;
    if !check_name(name, "a bot", &node.span, diagnostics) {
        return None;
    }
    if name.contains('_') {
        diagnostics.push(
            Diagnostic::error("project.name", &node.span, "this can't be the name of a bot")
                .with_suggestion(format!("write `{}`", name.replace('_', "-")))
                .with_help("it is the id of a resource, too, which has no `_`"),
        );
        return None;
    }
    if name == stem {
        return Some(name.to_owned());
    }
    diagnostics.push(
        Diagnostic::error("bot.name", &node.span, "the bot is not called what its file is called")
            .with_suggestion(format!("write `{stem}`"))
            .with_help(format!("or rename the file to `{name}.yaml`")),
    );
    None
}

/// The files that a script is made of.
type SourceFiles = Vec<(String, Vec<u8>)>;

/// The files of a project as its scripts see them.
struct ScriptFiles<'f>(&'f dyn ProjectFiles);

impl Sources for ScriptFiles<'_> {
    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>> {
        self.0.read(path)
    }
}

/// Compiles a script; says what is wrong with it where it is.
fn compiled(
    path: &str,
    files: &dyn ProjectFiles,
    diagnostics: &mut Diagnostics,
) -> Option<(Script, SourceFiles)> {
    let script = match Script::load(&ScriptFiles(files), path) {
        Ok(script) if script.may_have_handler() => script,
        Ok(_) => {
            let none = Diagnostic::error_in_file("bot.script", path, "it exports no `handler`");
            diagnostics
                .push(none.with_help("write `export async function handler(client, event) { … }`"));
            return None;
        }
        Err(errors) => {
            errors.iter().for_each(|error| diagnostics.push(mistake(error, files)));
            return None;
        }
    };
    let sources = script.files().map(|name| {
        let bytes = files.read(name).ok().flatten().unwrap_or_default();
        (name.to_owned(), bytes)
    });
    let sources = sources.collect();
    Some((script, sources))
}

/// A mistake of a script, at its place in the file.
fn mistake(error: &ScriptError, files: &dyn ProjectFiles) -> Diagnostic {
    const CODE: &str = "bot.script";
    let place = |number| usize::try_from(number).unwrap_or(1).max(1);
    let (line, column) = (place(error.line), place(error.column));
    let bytes = files.read(&error.file).ok().flatten();
    let message = error.message.as_str();
    let diagnostic = match (error.line, bytes.and_then(|bytes| String::from_utf8(bytes).ok())) {
        (0, _) => Diagnostic::error_in_file(CODE, &error.file, message),
        (_, Some(source)) => {
            let file = SourceFile::new(error.file.as_str(), source);
            Diagnostic::error_in_text(CODE, &file, line, column, message)
        }
        (_, None) => Diagnostic::error_at(CODE, &*error.file, line, column, message),
    };
    match &error.help {
        Some(help) => diagnostic.with_help(help.as_str()),
        None => diagnostic,
    }
}

/// The script's path in the project, compiled, and the files it is made of.
fn script(
    node: Option<&Node>,
    whole: &Node,
    stem: &str,
    files: &dyn ProjectFiles,
    diagnostics: &mut Diagnostics,
) -> Option<(String, Script, SourceFiles)> {
    let (span, name) = match node {
        Some(node) => (&node.span, node.text_not_empty(diagnostics)?.to_owned()),
        None => (&whole.span, format!("{stem}.ts")),
    };
    let inside = name.strip_prefix("bots/").unwrap_or(&name).trim_start_matches("./");
    let path = format!("bots/{inside}");
    let ending = inside.rsplit_once('.').map(|(_, ending)| ending);
    if !matches!(ending, Some("ts" | "mts" | "js" | "mjs")) || inside.contains("..") {
        diagnostics.push(
            Diagnostic::error("bot.script", span, "this is no script of the folder `bots`")
                .with_help("name a file such as `identity.ts` below `bots`"),
        );
        return None;
    }
    match files.read(&path) {
        Ok(Some(_)) => {
            let (code, sources) = compiled(&path, files, diagnostics)?;
            Some((path, code, sources))
        }
        Ok(None) => {
            let (folder, file) = path.rsplit_once('/').unwrap_or(("bots", inside));
            let entries = files.list(folder).unwrap_or_default();
            let scripts = entries.iter().map(|entry| entry.name.as_str());
            let near =
                nearest(file, scripts.filter(|name| name.ends_with("ts") || name.ends_with("js")));
            diagnostics.push(
                Diagnostic::error("bot.script", span, format!("there is no script `{path}`"))
                    .with_nearest(near)
                    .with_help("it has `export async function handler(client, event) { … }`"),
            );
            None
        }
        Err(error) => {
            let message = format!("the script `{path}` can't be read: {error}");
            diagnostics.push(Diagnostic::error("bot.script", span, message));
            None
        }
    }
}

#[derive(Default)]
struct Triggers {
    subscriptions: Vec<SubscriptionTrigger>,
    webhook: Option<WebhookTrigger>,
    cron: Vec<CronTrigger>,
}

fn triggers(
    node: &Node,
    context: &BotContext<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<Triggers> {
    let mut fields = Fields::of(node, "on", diagnostics)?;
    let subscriptions = fields.optional("subscription", |node, diagnostics| {
        datastore_for(node, "a subscription is to the datastore", context, diagnostics);
        one_or_several(node, subscription, diagnostics)
    });
    let webhook =
        fields.optional("webhook", |node, diagnostics| webhook(node, context, diagnostics));
    let cron = fields.optional("cron", |node, diagnostics| one_or_several(node, cron, diagnostics));
    fields.finish().then(|| Triggers {
        subscriptions: subscriptions.unwrap_or_default(),
        webhook,
        cron: cron.unwrap_or_default(),
    })
}

fn datastore_for(node: &Node, what: &str, context: &BotContext<'_>, diagnostics: &mut Diagnostics) {
    if !context.datastore {
        let message = format!("{what}, and this project has none");
        diagnostics.push(
            Diagnostic::error("bot.no-datastore", &node.span, message)
                .with_help("add `datastore:` to pipehat.yaml"),
        );
    }
}

fn one_or_several<T>(
    node: &Node,
    read: impl Fn(&Node, &mut Diagnostics) -> Option<T>,
    diagnostics: &mut Diagnostics,
) -> Option<Vec<T>> {
    let Some(list) = node.as_list() else { return Some(vec![read(node, diagnostics)?]) };
    if list.is_empty() || list.len() > TRIGGERS_MAX {
        let message = format!("expected 1 to {TRIGGERS_MAX} of them");
        diagnostics.push(Diagnostic::error("bot.triggers", &node.span, message));
        return None;
    }
    let all: Vec<Option<T>> = list.iter().map(|node| read(node, diagnostics)).collect();
    all.into_iter().collect()
}

fn webhook(
    node: &Node,
    context: &BotContext<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<WebhookTrigger> {
    let mut fields = Fields::of(node, "webhook", diagnostics)?;
    let header = fields.optional("header", header_name);
    let chosen = fields.exactly_one(&["token", "hmac"]);
    let answer = fields.optional("answer", |node, diagnostics| {
        Some(match node.one_of(&["result", "accepted"], diagnostics)? {
            "accepted" => WebhookAnswer::Accepted,
            _ => WebhookAnswer::Result,
        })
    });
    let proof = match chosen {
        Some(("token", node)) => {
            secret(node, context, fields.diagnostics()).map(|secret| WebhookProof::Token {
                secret,
                header: header.clone().unwrap_or_else(|| "authorization".to_owned()),
            })
        }
        Some((_, node)) => hmac(node, header.clone(), context, fields.diagnostics()),
        None => None,
    };
    let sound = fields.finish();
    let trigger = WebhookTrigger { proof: proof?, answer: answer.unwrap_or_default() };
    sound.then_some(trigger)
}

fn hmac(
    node: &Node,
    header: Option<String>,
    context: &BotContext<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<WebhookProof> {
    if node.as_scalar().is_some() {
        return Some(WebhookProof::Hmac {
            secret: secret(node, context, diagnostics)?,
            header: header.unwrap_or_else(|| "x-signature".to_owned()),
            prefix: String::new(),
            hash: HmacHash::Sha256,
        });
    }
    let mut fields = Fields::of(node, "hmac", diagnostics)?;
    let secret = fields.required("secret", |node, diagnostics| secret(node, context, diagnostics));
    let own = fields.optional("header", header_name);
    let prefix =
        fields.optional("prefix", |node, diagnostics| node.text(diagnostics).map(str::to_owned));
    let hash = fields.optional("hash", |node, diagnostics| {
        Some(match node.one_of(&["sha256", "sha512"], diagnostics)? {
            "sha512" => HmacHash::Sha512,
            _ => HmacHash::Sha256,
        })
    });
    let sound = fields.finish();
    let proof = WebhookProof::Hmac {
        secret: secret?,
        header: own.or(header).unwrap_or_else(|| "x-signature".to_owned()),
        prefix: prefix.unwrap_or_default(),
        hash: hash.unwrap_or(HmacHash::Sha256),
    };
    sound.then_some(proof)
}

fn header_name(node: &Node, diagnostics: &mut Diagnostics) -> Option<String> {
    let text = node.text_not_empty(diagnostics)?;
    let lawful = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if text.len() <= 100 && text.bytes().all(lawful) {
        return Some(text.to_ascii_lowercase());
    }
    diagnostics.push(
        Diagnostic::error("bot.webhook", &node.span, "this is no name of a header")
            .with_help("such as `X-Signature`"),
    );
    None
}

fn secret(
    node: &Node,
    context: &BotContext<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<SecretReference> {
    let reference = node.secret(diagnostics)?;
    known_secret(reference.name(), node, context, diagnostics)?;
    Some(reference)
}

fn known_secret(
    name: &str,
    node: &Node,
    context: &BotContext<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<()> {
    // Who only looks for the data needs no secrets.
    let Some(secrets) = context.secrets else { return Some(()) };
    let wrong = match secrets.secret(name) {
        Ok(secret) if std::str::from_utf8(&secret).is_ok_and(|text| !text.trim().is_empty()) => {
            return Some(());
        }
        Ok(_) => Diagnostic::error(
            "bot.secret",
            &node.span,
            format!("the secret `{name}` is empty, or no text"),
        ),
        Err(unknown) => {
            let message = format!("there is no secret `{}`", unknown.name);
            if secrets.stand_in().is_some() {
                let warning = Diagnostic::warning("bot.secret", &node.span, message);
                diagnostics.push(warning.with_help(unknown.remedy));
                return Some(());
            }
            Diagnostic::error("bot.secret", &node.span, message).with_help(unknown.remedy)
        }
    };
    diagnostics.push(wrong);
    None
}

fn cron(node: &Node, diagnostics: &mut Diagnostics) -> Option<CronTrigger> {
    if node.as_scalar().is_some() {
        let at = times(node, diagnostics)?;
        return Some(CronTrigger { at, time_zone: TimeZone::UTC, missed: Missed::default() });
    }
    let mut fields = Fields::of(node, "cron", diagnostics)?;
    let at = fields.required("at", times);
    let time_zone = fields.optional("time_zone", program::time_zone);
    let missed = fields.optional("missed", |node, diagnostics| {
        Some(match node.one_of(&["once", "skip"], diagnostics)? {
            "skip" => Missed::Skip,
            _ => Missed::Once,
        })
    });
    let sound = fields.finish();
    let trigger = CronTrigger {
        at: at?,
        time_zone: time_zone.unwrap_or(TimeZone::UTC),
        missed: missed.unwrap_or_default(),
    };
    sound.then_some(trigger)
}

fn times(node: &Node, diagnostics: &mut Diagnostics) -> Option<Cron> {
    match Cron::parse(node.text_not_empty(diagnostics)?) {
        Ok(cron) => Some(cron),
        Err(error) => {
            diagnostics.push(
                Diagnostic::error("bot.cron", &node.span, error.to_string())
                    .with_help("such as `0 7 * * 1-5`: at 7 on working days"),
            );
            None
        }
    }
}

fn grants(
    node: &Node,
    context: &BotContext<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<BotGrants> {
    let mut fields = Fields::of(node, "allow", diagnostics)?;
    let mut names =
        |key: &'static str, check: &dyn Fn(&Node, &str, &mut Diagnostics) -> Option<()>| {
            fields
                .optional(key, |node, diagnostics| {
                    let names = node.list_of(diagnostics, |node, diagnostics| {
                        let text = node.text_not_empty(diagnostics)?;
                        check(node, text, diagnostics)?;
                        Some(text.to_owned())
                    })?;
                    if names.len() > GRANTS_MAX {
                        let message = format!("at most {GRANTS_MAX} may be named here");
                        diagnostics.push(Diagnostic::error("bot.allow", &node.span, message));
                        return None;
                    }
                    Some(names)
                })
                .unwrap_or_default()
        };
    let any = |_: &Node, _: &str, _: &mut Diagnostics| Some(());
    let host = |node: &Node, text: &str, diagnostics: &mut Diagnostics| {
        if crate::project::settings::hook_host(text) {
            return Some(());
        }
        diagnostics.push(Diagnostic::error("bot.allow", &node.span, "this is no host").with_help(
            "write `api.example.org`, `\"*.example.org\"`, `api.example.org:8443`, or \
                 `http://10.1.2.3:8080` where there is no TLS",
        ));
        None
    };
    let known = |node: &Node, text: &str, diagnostics: &mut Diagnostics| {
        known_secret(text, node, context, diagnostics)
    };
    let grants = BotGrants {
        hosts: names("hosts", &host),
        secrets: names("secrets", &known),
        channels: names("channels", &any),
        bots: names("bots", &any),
        sftp: names("sftp", &any),
    };
    fields.finish().then_some(grants)
}

fn limits_of_a_bot(node: &Node, diagnostics: &mut Diagnostics) -> Option<Limits> {
    bot_limits(node, &Limits::default(), diagnostics)
}

/// Reads `limits:`, of a bot or of a case beside one. What it does not name is as in `otherwise`.
pub fn bot_limits(
    node: &Node,
    otherwise: &Limits,
    diagnostics: &mut Diagnostics,
) -> Option<Limits> {
    const MIB: u64 = 1024 * 1024;
    let mut fields = Fields::of(node, "limits", diagnostics)?;
    let time = |fields: &mut Fields<'_, '_>, key, most| {
        fields.optional(key, |node, diagnostics| {
            node.duration_within(Duration::from_millis(10)..=Duration::from_secs(most), diagnostics)
        })
    };
    let wall_time = time(&mut fields, "time", 600);
    let cpu_time = time(&mut fields, "cpu", 60);
    let bytes = |fields: &mut Fields<'_, '_>, key, least, most| {
        let bytes =
            fields.optional(key, |node, diagnostics| node.bytes_within(least..=most, diagnostics));
        bytes.and_then(|bytes| usize::try_from(bytes).ok())
    };
    let memory = bytes(&mut fields, "memory", 4 * MIB, 1024 * MIB);
    let output = bytes(&mut fields, "output", 1024, 64 * MIB);
    let log = bytes(&mut fields, "log", 1024, 4 * MIB);
    let asks = fields.optional("asks", |node, diagnostics| node.integer(1..=100_000, diagnostics));
    fields.finish().then(|| Limits {
        wall_time: wall_time.unwrap_or(otherwise.wall_time),
        cpu_time: cpu_time.unwrap_or(otherwise.cpu_time),
        memory: memory.unwrap_or(otherwise.memory),
        output: output.unwrap_or(otherwise.output),
        log: log.unwrap_or(otherwise.log),
        asks: asks.and_then(|asks| u32::try_from(asks).ok()).unwrap_or(otherwise.asks),
        stack: otherwise.stack,
    })
}
