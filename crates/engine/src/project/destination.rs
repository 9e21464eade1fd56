//! One destination of a channel.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

use pipehat_config::{
    Diagnostic, Diagnostics, DurationOrWord, Fields, Key, Misplaced, Node, Settings, Span, nearest,
};
use pipehat_connectors::{
    Answer, BuildContext, Descriptor, Destination, Health, OnRefusal, PayloadFormat,
};

use super::fingerprint::fingerprint;
use crate::channel::OnInterrupted;
use crate::names::{ChannelName, DestinationName};
use crate::retry::RetryPolicy;

/// Where a channel's messages go, ready to run.
pub struct DestinationSpec {
    /// Its name, unique in the channel.
    pub name: DestinationName,
    /// What it is for, if the file says so.
    pub description: Option<String>,
    /// The connector's name.
    pub connector: &'static str,
    /// The connector.
    pub descriptor: &'static Descriptor,
    /// The connector's settings.
    pub settings: Settings,
    /// The sending side, not connected yet.
    pub destination: Arc<dyn Destination>,
    /// Tells whether the connector's settings are those of another revision.
    pub fingerprint: [u8; 32],
    /// When a failed delivery is tried again.
    pub retry: RetryPolicy,
    /// The file's `on:`, by the answer's name or class.
    pub answers: HashMap<String, OnRefusal>,
    /// What follows a send of which nobody knows whether it arrived.
    pub on_interrupted: OnInterrupted,
    /// The interruptions behind which it is set aside all the same: a second try might do harm, and the file
    /// does not ask for one.
    pub unrepeatable: &'static [&'static str],
    /// The channel that takes what the peer answers as messages of its own, and where the file names it.
    pub replies_to: Option<(ChannelName, Span)>,
    /// What an operator sees of the connection.
    pub health: Arc<Health>,
}

impl fmt::Debug for DestinationSpec {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("DestinationSpec")
            .field("name", &self.name)
            .field("connector", &self.connector)
            .finish_non_exhaustive()
    }
}

/// What people write inside the connector's section.
const ONE_LEVEL_UP: [Misplaced; 6] = [
    Misplaced { key: "retry", hint: "`retry` belongs one level up, beside the connector" },
    Misplaced { key: "on", hint: "`on` belongs one level up, beside the connector" },
    Misplaced { key: "when", hint: "`when` belongs one level up, beside the connector" },
    Misplaced { key: "steps", hint: "`steps` belong one level up, beside the connector" },
    Misplaced {
        key: "on_interrupted",
        hint: "`on_interrupted` belongs one level up, beside the connector",
    },
    Misplaced {
        key: "replies_to",
        hint: "`replies_to` belongs one level up, beside the connector",
    },
];

/// A destination's section, read; the program reads `when` and `steps`.
pub(super) struct ReadDestination<'n> {
    pub(super) key: &'n Key,
    pub(super) when: Option<&'n Node>,
    pub(super) steps: Option<&'n Node>,
    pub(super) spec: Option<DestinationSpec>,
}

impl ReadDestination<'_> {
    /// What its connector sends; anything where that was not read.
    pub(super) fn sends(&self) -> &'static [PayloadFormat] {
        let side = self.spec.as_ref().and_then(|spec| spec.descriptor.destination.as_ref());
        side.map_or(&[PayloadFormat::Hl7, PayloadFormat::Json], |side| side.formats)
    }
}

/// Reads one entry of `destinations`.
pub(super) fn destination<'n>(
    key: &'n Key,
    node: &'n Node,
    connectors: &[&'static Descriptor],
    context: &BuildContext<'_>,
    diagnostics: &mut Diagnostics,
) -> ReadDestination<'n> {
    let mut read = ReadDestination { key, when: None, steps: None, spec: None };
    let sending: Vec<&'static str> = connectors
        .iter()
        .filter(|connector| connector.destination.is_some())
        .map(|connector| connector.name)
        .collect();
    let Some(mut fields) = Fields::of(node, &key.text, diagnostics) else { return read };
    fields.misplaced("accept", "a destination chooses its messages by `when`");
    fields.misplaced("route", "`route` is a step: put it into `steps` of the channel");
    read.when = fields.take("when");
    read.steps = fields.take("steps");
    let description = fields
        .optional("description", |node, diagnostics| node.text(diagnostics).map(str::to_owned));
    let chosen = fields.exactly_one(&sending);
    let retry = fields.optional("retry", retry);
    let on_node = fields.take("on");
    let on_interrupted = fields.optional("on_interrupted", |node, diagnostics| {
        Some(match node.one_of(&["resend", "park"], diagnostics)? {
            "park" => OnInterrupted::Park,
            _ => OnInterrupted::Resend,
        })
    });
    let replies_to = fields.optional("replies_to", |node, diagnostics| {
        Some((node.text_not_empty(diagnostics)?.into(), node.span.clone()))
    });
    let sound = fields.finish();
    let Some((name, node)) = chosen else { return read };
    let Some(descriptor) = connectors.iter().find(|connector| connector.name == name) else {
        return read;
    };
    let Some(sending) = &descriptor.destination else { return read };
    let answers = on_node.map(|node| answers(node, name, sending.answers, diagnostics));
    let health = Arc::new(Health::default());
    let written_out =
        sending.shorthand.filter(|_| node.as_scalar().is_some()).map(|key| node.under(key));
    let node = written_out.as_ref().unwrap_or(node);
    let settings =
        Settings::read_with_hints(node, name, sending.schema, &ONE_LEVEL_UP, diagnostics);
    let built = settings.and_then(|settings| {
        let built = (sending.build)(&settings, context, Arc::clone(&health), diagnostics)?;
        Some((settings, built))
    });
    let (Some((settings, destination)), true) = (built, sound) else { return read };
    let answers = match answers {
        None => HashMap::new(),
        Some(Some(answers)) => answers,
        Some(None) => return read,
    };
    read.spec = Some(DestinationSpec {
        name: key.text.as_str().into(),
        description,
        connector: descriptor.name,
        descriptor,
        settings,
        destination,
        fingerprint: fingerprint(name, node),
        retry: retry.unwrap_or_default(),
        answers,
        on_interrupted: on_interrupted.unwrap_or_default(),
        unrepeatable: if on_interrupted.is_none() { sending.unrepeatable } else { &[] },
        replies_to,
        health,
    });
    read
}

/// `retry: { first: 1s, most: 5m, give_up: never }`.
pub(super) fn retry(node: &Node, diagnostics: &mut Diagnostics) -> Option<RetryPolicy> {
    let mut fields = Fields::of(node, "retry", diagnostics)?;
    let first = fields.optional("first", |node, diagnostics| {
        node.duration_within(
            std::time::Duration::from_millis(10)..=std::time::Duration::from_secs(86_400),
            diagnostics,
        )
    });
    let most = fields.optional("most", |node, diagnostics| {
        node.duration_within(
            std::time::Duration::from_millis(10)..=std::time::Duration::from_secs(86_400),
            diagnostics,
        )
    });
    let give_up = fields.optional("give_up", |node, diagnostics| {
        Some(match node.duration_or_word(&["never"], diagnostics)? {
            DurationOrWord::Duration(duration) => Some(duration),
            DurationOrWord::Word(_) => None,
        })
    });
    let default = RetryPolicy::DEFAULT;
    let first_pause = first.unwrap_or(default.first);
    let policy = RetryPolicy {
        first: first_pause,
        // A long first pause alone is no contradiction.
        most: most.unwrap_or(default.most.max(first_pause)),
        give_up: give_up.unwrap_or(default.give_up),
    };
    if let (Some(first), Some(most)) = (first, most)
        && first > most
    {
        let span = fields.map().get("most").map_or(&node.span, |node| &node.span).clone();
        fields.diagnostics().push(
            Diagnostic::error("channel.retry", &span, "`most` is shorter than `first`")
                .with_help("`first` is the first pause, and pauses double until they reach `most`"),
        );
    }
    fields.finish().then_some(policy)
}

/// `on: { AE: park, AR: retry }`, against the ways in which the connector's peers refuse.
pub(super) fn answers(
    node: &Node,
    connector: &str,
    known: &'static [Answer],
    diagnostics: &mut Diagnostics,
) -> Option<HashMap<String, OnRefusal>> {
    let errors_before = diagnostics.errors();
    let map = node.map("on", diagnostics)?;
    let mut names: BTreeSet<&str> = known.iter().map(|answer| answer.name).collect();
    names.extend(known.iter().filter_map(|answer| answer.class));
    let mut answers = HashMap::new();
    for (key, node) in map.iter() {
        let then = node.one_of(&["park", "retry", "accept"], diagnostics);
        if !names.contains(key.text.as_str()) {
            let message = format!("peers of `{connector}` never answer `{}`", key.text);
            let all: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
            let error = Diagnostic::error("channel.unknown-answer", &key.span, message)
                .with_nearest(nearest(&key.text, names.iter().copied()));
            diagnostics.push(if all.is_empty() {
                error.with_help("remove `on`: this connector's peers do not answer")
            } else {
                error.with_help(format!("the answers are: {}", all.join(", ")))
            });
        }
        let then = match then {
            Some("park") => OnRefusal::Park,
            Some("retry") => OnRefusal::Retry,
            Some(_) => OnRefusal::Accept,
            None => continue,
        };
        answers.insert(key.text.clone(), then);
    }
    (diagnostics.errors() == errors_before).then_some(answers)
}
