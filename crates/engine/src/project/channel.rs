//! One channel's file.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use pipehat_config::{Diagnostic, Diagnostics, Fields, Node, Settings, Span, nearest};
use pipehat_connectors::{BuildContext, Descriptor, LocalBots, PayloadFormat, Source};
use pipehat_message::{Charset, CharsetRule, Path};
use pipehat_script::JsonGiven;

use super::bot::BotName;
use super::deletions::{Whole, check_deletions};
use super::destination::{DestinationSpec, ReadDestination, destination};
use super::fingerprint::Revision;
use super::format::{FormatSource, check_destinations, check_format, format};
use super::load::Content;
use super::lookup::{LookupSpec, askable, lookups};
use super::name::{check_name, is_name};
use super::numbering::numbering;
use super::order::{Order, order};
use super::reply::{ReplyMode, reply};
use super::source::source;
use crate::channel::Terms;
use crate::names::ChannelName;
use crate::program::{self, DestinationSource, Program, ProgramSource, TranslationSettings};

/// A channel, checked and ready to run.
pub struct ChannelSpec {
    /// Its name, as its file is named.
    pub name: ChannelName,
    /// The content hash of all that makes it.
    pub revision: Revision,
    /// Whether it runs.
    pub enabled: bool,
    /// What it is for, if the file says so.
    pub description: Option<String>,
    /// Where its messages come from.
    pub source: SourceSpec,
    /// What its messages are.
    pub format: PayloadFormat,
    /// What the sender is told, and when.
    pub reply: ReplyMode,
    /// Which messages wait for each other.
    pub order: Order,
    /// What follows when the steps fail on a message.
    pub on_failure: OnFailure,
    /// For how long a message that is sent again gets the first one's acknowledgment and is not
    /// processed again; none: it always is.
    pub duplicates: Option<Duration>,
    /// The character set of its messages.
    pub charset: CharsetRule,
    /// The zone of times without an offset.
    pub time_zone: Option<TimeZone>,
    /// What its translations go by: bots of its steps translate by the same.
    pub translation: TranslationSettings,
    /// Its steps and destinations, compiled.
    pub program: Program,
    /// What its `lookup` steps ask.
    pub lookups: Vec<LookupSpec>,
    /// Where its messages go; none: it keeps what it receives.
    pub destinations: Vec<DestinationSpec>,
    /// Paths to be found by, beside the usual ones.
    pub index_paths: Vec<IndexPath>,
}

impl ChannelSpec {
    /// How its messages are received.
    pub(crate) fn terms(&self) -> Terms {
        Terms { format: self.format, mode: self.reply.clone() }
    }
}

impl fmt::Debug for ChannelSpec {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ChannelSpec")
            .field("name", &self.name)
            .field("revision", &self.revision)
            .field("source", &self.source.connector)
            .field("destinations", &self.destinations)
            .finish_non_exhaustive()
    }
}

/// Where a channel's messages come from.
pub struct SourceSpec {
    /// The connector's name.
    pub connector: &'static str,
    /// The connector.
    pub descriptor: &'static Descriptor,
    /// The connector's settings.
    pub settings: Settings,
    /// The receiving side, not listening yet.
    pub source: Arc<dyn Source>,
    /// Tells whether the section is that of another revision.
    pub fingerprint: [u8; 32],
    /// What it holds alone on this machine.
    pub claim: Option<String>,
}

impl fmt::Debug for SourceSpec {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SourceSpec")
            .field("connector", &self.connector)
            .field("claim", &self.claim)
            .finish_non_exhaustive()
    }
}

/// What follows when the steps fail on a message: what they say can't be done with it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// It is set aside, and the next one is processed.
    #[default]
    Park,
    /// Its lanes stand still until a person acts.
    Stop,
    /// It is tried again and again, which helps once the configuration is mended.
    Retry,
}

/// A path to be found by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexPath {
    /// What it is called in searches.
    pub name: String,
    /// Where it stands.
    pub path: Path,
}

/// Senders repeat a message when its acknowledgment is late, some only after a restart: within
/// the hour.
const DUPLICATES_WINDOW: Duration = Duration::from_secs(3600);

/// The most paths a channel adds to the index: each costs a row per message.
const INDEX_PATHS_MAX: usize = 16;

/// The most destinations of a channel; their numbers have 16 bits, and a person reads the file.
const DESTINATIONS_MAX: usize = 256;

/// What reading a channel may use.
#[derive(Clone, Copy)]
pub(super) struct ChannelContext<'c> {
    pub(super) connectors: &'c [&'static Descriptor],
    pub(super) build: &'c BuildContext<'c>,
    pub(super) content: &'c Content,
    /// The bots of the project, and their revisions.
    pub(super) bots: &'c BTreeMap<&'c str, Revision>,
    /// Those whose handlers return JSON for certain, and where.
    pub(super) bots_of_json: &'c BTreeMap<BotName, JsonGiven>,
    /// Who runs them.
    pub(super) local_bots: &'c LocalBots,
}

/// What was read of a channel, and where it holds what only one channel may hold.
pub(super) struct ReadChannel {
    pub(super) spec: Option<ChannelSpec>,
    pub(super) claim: Option<(String, Span)>,
}

/// Reads a channel's tree. `stem` is the file's name without `.yaml`.
pub(super) fn channel(
    node: &Node,
    stem: &str,
    bytes: &[u8],
    context: &ChannelContext<'_>,
    diagnostics: &mut Diagnostics,
) -> ReadChannel {
    let errors_before = diagnostics.errors();
    let build = BuildContext { channel: stem, ..*context.build };
    let context = &ChannelContext { build: &build, ..*context };
    let mut nothing = ReadChannel { spec: None, claim: None };
    let Some(mut fields) = Fields::of(node, "channel file", diagnostics) else { return nothing };
    for key in ["mllp", "file", "http", "listen"] {
        fields.misplaced(key, "this belongs under `source`, or to one of the `destinations`");
    }
    for key in ["when", "filter", "route", "set", "map", "script"] {
        fields.misplaced(key, "this is a step: write it as an entry of `steps`");
    }
    fields.misplaced("destination", "write `destinations`, and below it a name for each");
    let name_span = fields.map().get("channel").map(|node| node.span.clone());
    let name = fields.required("channel", |node, diagnostics| name(node, stem, diagnostics));
    let description = fields
        .optional("description", |node, diagnostics| node.text(diagnostics).map(str::to_owned));
    let enabled = fields.optional("enabled", Node::boolean).unwrap_or(true);
    let source_node = fields.map().get("source");
    let source = fields.required("source", |node, diagnostics| {
        source(node, context.connectors, context.build, diagnostics)
    });
    if let (Some(node), Some(source), true) = (source_node, &source, enabled) {
        nothing.claim = source.claim.clone().map(|claim| (claim, claim_span(node)));
    }
    let of = |key: &str| node.as_map().and_then(|map| map.get(key));
    let usual = || source.as_ref()?.descriptor.source.as_ref()?.formats.first().copied();
    let format = fields.optional("format", format).or_else(usual).unwrap_or(PayloadFormat::Hl7);
    let charset = fields.optional("charset", charset).unwrap_or_default();
    let time_zone = fields.optional("time_zone", program::time_zone);
    let order = fields.optional("order", order).unwrap_or(Order::Strict);
    let on_failure = fields.optional("on_failure", on_failure).unwrap_or_default();
    let duplicates = fields.optional("duplicates", duplicates).unwrap_or(Some(DUPLICATES_WINDOW));
    let index_paths = fields.optional("index", index).unwrap_or_default();
    let accept = fields.take("accept");
    let steps = fields.take("steps");
    let reply_node = fields.take("reply");
    let destinations = fields
        .optional("destinations", |node, diagnostics| destinations(node, context, diagnostics))
        .unwrap_or_default();
    let reply = reply_node.map_or(Some(ReplyMode::Received), |node| {
        let names: Vec<&str> = destinations.iter().map(|one| one.key.text.as_str()).collect();
        reply(node, &names, fields.diagnostics())
    });
    if let Some(application) = reply.as_ref().and_then(ReplyMode::application) {
        application_alone(application, &destinations, fields.diagnostics());
    }
    fields.finish();
    check_format(
        &FormatSource {
            format,
            node: of("format"),
            source: source.as_ref().zip(source_node),
            readers: ["charset", "time_zone", "index"].map(|key| (key, of(key))),
            reply: reply.as_ref().zip(of("reply")),
            order: Some(&order).zip(of("order")),
        },
        diagnostics,
    );
    let numbered = source.as_ref().zip(source_node);
    numbering(numbered, reply.as_ref(), &order, &destinations, diagnostics);
    if let Some(source) = &source {
        let whole = Whole {
            changes: source.source.changes(),
            chooses: accept.is_some() || steps.is_some(),
            order: (&order, of("order").map_or(&node.span, |node| &node.span)),
        };
        check_deletions(&whole, &destinations, diagnostics);
    }
    let askable = askable(context.connectors);
    let bots: Vec<&str> = context.bots.keys().copied().collect();
    let program_source = ProgramSource {
        channel: name_span.as_ref().unwrap_or(&node.span),
        accept,
        steps,
        destinations: destinations
            .iter()
            .map(|one| DestinationSource {
                name: &one.key.text,
                span: &one.key.span,
                when: one.when,
                steps: one.steps,
                sends: one.sends(),
            })
            .collect(),
        lanes: order.lanes(),
        charset,
        time_zone: time_zone.clone(),
        format,
        connectors: &askable,
        bots: &bots,
        bots_of_json: context.bots_of_json,
        changes: source.as_ref().map(|source| source.source.changes()).unwrap_or_default(),
        resource_type: source.as_ref().and_then(|source| source.source.resource_type()),
    };
    let read = Program::read(
        &program_source,
        &context.content.tables,
        (&context.content.profiles, &context.content.mappings),
        diagnostics,
    );
    check_destinations(format, &destinations, &read.formats, diagnostics);
    check_replying(&read.replying, reply.as_ref(), diagnostics);
    warn_of_kept_by_sender(&read.kept_by_sender, &destinations, diagnostics);
    let (connectors, build) = (context.connectors, context.build);
    let lookups = lookups(&read.lookups, connectors, build, context.local_bots, diagnostics);
    if diagnostics.errors() != errors_before {
        return nothing;
    }
    let (Some(name), Some(source), Some(reply), Some(program)) =
        (name, source, reply, read.program)
    else {
        return nothing;
    };
    let tables = read.tables.iter().filter_map(|table| {
        let (name, bytes) = context.content.table_bytes.get_key_value(table)?;
        Some((name.as_str(), bytes.as_slice()))
    });
    let profiles: Vec<(String, &[u8])> =
        read.profiles.iter().flat_map(|profile| context.content.of_profile(profile)).collect();
    let profiles = profiles.iter().map(|(name, bytes)| (name.as_str(), *bytes));
    let mappings = context.content.mappings.bytes(&read.mappings);
    let bots = read.bots.iter().filter_map(|name| {
        let (name, revision) = context.bots.get_key_value(name.as_str())?;
        Some((format!("bots/{name}"), revision.0))
    });
    let bots: Vec<(String, [u8; 32])> = bots.collect();
    let bots = bots.iter().map(|(name, revision)| (name.as_str(), &revision[..]));
    let spec = ChannelSpec {
        name: name.as_str().into(),
        revision: Revision::of(
            [(stem, bytes)].into_iter().chain(tables).chain(profiles).chain(mappings).chain(bots),
        ),
        enabled,
        description,
        source,
        format,
        reply,
        order,
        on_failure,
        duplicates,
        charset,
        time_zone,
        translation: read.translation,
        program,
        lookups,
        destinations: destinations.into_iter().filter_map(|one| one.spec).collect(),
        index_paths,
    };
    ReadChannel { spec: Some(spec), ..nothing }
}

/// Refuses steps where application acknowledgments go: they are sent as they are, and nothing else
/// is sent there.
fn application_alone(
    name: &str,
    destinations: &[ReadDestination<'_>],
    diagnostics: &mut Diagnostics,
) {
    let destination = destinations.iter().find(|one| one.key.text == name);
    for node in destination.iter().flat_map(|one| [one.when, one.steps]).flatten() {
        let message = "only application acknowledgments go to this destination, as they are";
        diagnostics.push(
            Diagnostic::error("channel.reply", &node.span, message)
                .with_help("remove this, or name another destination in `reply`"),
        );
    }
}

/// What in a source names the place it holds: its `listen`, else its first value.
fn claim_span(source: &Node) -> Span {
    let connector = source.as_map().and_then(|map| map.iter().next()).map(|(_, node)| node);
    let settings = connector.and_then(Node::as_map);
    let place = settings
        .and_then(|map| map.get("listen").or_else(|| map.iter().next().map(|(_, node)| node)));
    place.map_or_else(|| source.span.clone(), |node| node.span.clone())
}

fn name(node: &Node, stem: &str, diagnostics: &mut Diagnostics) -> Option<String> {
    let name = node.text_not_empty(diagnostics)?;
    if !check_name(name, "a channel", &node.span, diagnostics) {
        return None;
    }
    if name == stem {
        return Some(name.to_owned());
    }
    let error = Diagnostic::error(
        "channel.name",
        &node.span,
        "the channel is not called what its file is called",
    );
    diagnostics.push(if is_name(stem) {
        error
            .with_suggestion(format!("write `{stem}`"))
            .with_help(format!("or rename the file to `{name}.yaml`"))
    } else {
        error.with_help(format!("rename the file to `{name}.yaml`"))
    });
    None
}

fn charset(node: &Node, diagnostics: &mut Diagnostics) -> Option<CharsetRule> {
    let name = node.text_not_empty(diagnostics)?;
    if let Some(charset) = Charset::from_name(name) {
        return Some(CharsetRule::Override(charset));
    }
    let usual = ["ASCII", "UNICODE UTF-8", "8859/1", "8859/15", "WINDOWS-1252", "UTF-8"];
    let substituted = node.as_scalar().is_some_and(|scalar| scalar.is_substituted());
    let near = nearest(name, usual).filter(|_| !substituted);
    diagnostics.push(
        Diagnostic::error("channel.charset", &node.span, "there is no such character set")
            .with_nearest(near)
            .with_help("write it as in HL7 table 0211, such as `UNICODE UTF-8` or `8859/1`; left out, each message's MSH-18 counts"),
    );
    None
}

fn on_failure(node: &Node, diagnostics: &mut Diagnostics) -> Option<OnFailure> {
    Some(match node.one_of(&["park", "stop", "retry"], diagnostics)? {
        "stop" => OnFailure::Stop,
        "retry" => OnFailure::Retry,
        _ => OnFailure::Park,
    })
}

/// `off` or `{ window: 1h }`.
fn duplicates(node: &Node, diagnostics: &mut Diagnostics) -> Option<Option<Duration>> {
    if node.as_map().is_none() {
        node.one_of(&["off"], diagnostics)?;
        return Some(None);
    }
    let mut fields = Fields::of(node, "duplicates", diagnostics)?;
    let window = fields.required("window", |node, diagnostics| {
        node.duration_within(Duration::from_secs(1)..=Duration::from_secs(30 * 86_400), diagnostics)
    });
    fields.finish().then_some(Some(window?))
}

fn index(node: &Node, diagnostics: &mut Diagnostics) -> Option<Vec<IndexPath>> {
    let map = node.map("index", diagnostics)?;
    if map.len() > INDEX_PATHS_MAX {
        let message = format!("a channel adds at most {INDEX_PATHS_MAX} paths to the index");
        diagnostics.push(Diagnostic::error("channel.index", &node.span, message).with_help(
            "keep those that people search by; everything else is found by text search",
        ));
        return None;
    }
    let mut paths = Some(Vec::new());
    for (key, node) in map.iter() {
        let named = check_name(&key.text, "an index path", &key.span, diagnostics);
        let path = node.text_not_empty(diagnostics).and_then(|text| {
            program::plain_path(node, text, 0, diagnostics)
                .map_err(|error| program::report("channel.path", node, error, diagnostics))
                .ok()
        });
        let entry = path.filter(|_| named).map(|path| IndexPath { name: key.text.clone(), path });
        paths = paths.zip(entry).map(|(mut paths, entry)| {
            paths.push(entry);
            paths
        });
    }
    paths
}

fn destinations<'n>(
    node: &'n Node,
    context: &ChannelContext<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<Vec<ReadDestination<'n>>> {
    let map = node.map("destinations", diagnostics)?;
    if map.len() > DESTINATIONS_MAX {
        let message = format!("a channel has at most {DESTINATIONS_MAX} destinations");
        diagnostics.push(
            Diagnostic::error("channel.destinations", &node.span, message)
                .with_help("divide the work among several channels"),
        );
        return None;
    }
    let mut read = Vec::new();
    for (key, node) in map.iter() {
        check_name(&key.text, "a destination", &key.span, diagnostics);
        read.push(destination(key, node, context.connectors, context.build, diagnostics));
    }
    Some(read)
}

/// Warns of translations into a datastore for which a number whose authority has a name alone is another record with each
/// sender: a result would refer to a patient whom the registration told under another id.
fn warn_of_kept_by_sender(
    steps: &[(Span, Option<usize>)],
    destinations: &[ReadDestination<'_>],
    diagnostics: &mut Diagnostics,
) {
    let stores =
        |one: &ReadDestination<'_>| one.spec.as_ref().is_some_and(|spec| spec.connector == "fhir");
    for (span, destination) in steps {
        let is_stored = match destination {
            Some(index) => destinations.get(*index).is_some_and(stores),
            None => destinations.iter().any(stores),
        };
        if !is_stored {
            continue;
        }
        let message = "numbers whose authority has a name and no OID (`900^^^KIS`) are known by their sender here: what two \
                       senders tell of one patient would not meet";
        diagnostics.push(Diagnostic::warning("channel.kept-by-sender", span, message).with_help(
            "where a name means the same from every sender, write `system_base: https://hospital.example/id/`, or `systems` in an \
             overlay; where it does not, say which sender this is by `sender: NAME`. Numbers that have an OID stay as they are",
        ));
    }
}

/// What a bot makes for the sender goes to one that waits for it.
fn check_replying(steps: &[Span], reply: Option<&ReplyMode>, diagnostics: &mut Diagnostics) {
    if !matches!(reply, Some(ReplyMode::Received | ReplyMode::None)) {
        return;
    }
    for span in steps {
        diagnostics.push(
            Diagnostic::error(
                "channel.bot",
                span,
                "this reply goes nowhere: the sender of this channel does not wait for its steps",
            )
            .with_help("write `reply: processed` beside `source`, or another `result`"),
        );
    }
}
