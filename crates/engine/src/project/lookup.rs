//! What the `lookup` steps of a channel ask.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use pipehat_config::{Diagnostic, Diagnostics, Misplaced, Node, Settings};
use pipehat_connectors::{
    Answer, BotLookup, BuildContext, Descriptor, Health, LocalBots, Lookup, OnRefusal,
};

use super::destination::{answers, retry};
use super::fingerprint::fingerprint;
use crate::program::{Asked, BOT, LookupNode, StepPlace};
use crate::retry::RetryPolicy;

/// What one `lookup` step asks, ready to be asked.
pub struct LookupSpec {
    /// The step.
    pub place: StepPlace,
    /// The connector's name.
    pub connector: &'static str,
    /// What is asked. Steps with the same settings share one.
    pub lookup: Arc<dyn Lookup>,
    /// When it is asked again.
    pub retry: RetryPolicy,
    /// The file's `on:`, by the answer's name or class.
    answers: HashMap<String, OnRefusal>,
    /// What an operator sees of it.
    pub health: Arc<Health>,
    fingerprint: [u8; 32],
}

impl LookupSpec {
    /// What follows a refusal.
    pub(crate) fn on_refusal(&self, answer: &'static Answer) -> OnRefusal {
        let own = self.answers.get(answer.name);
        let of_class = || self.answers.get(answer.class?);
        own.or_else(of_class).copied().unwrap_or(answer.default)
    }
}

impl fmt::Debug for LookupSpec {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("LookupSpec")
            .field("place", &self.place)
            .field("connector", &self.connector)
            .finish_non_exhaustive()
    }
}

/// What people write inside the connector's section.
const ONE_LEVEL_UP: [Misplaced; 5] = [
    Misplaced { key: "search", hint: "`search` belongs one level up, beside the connector" },
    Misplaced { key: "into", hint: "`into` belongs one level up, beside the connector" },
    Misplaced { key: "otherwise", hint: "`otherwise` belongs one level up, beside the connector" },
    Misplaced { key: "retry", hint: "`retry` belongs one level up, beside the connector" },
    Misplaced { key: "on", hint: "`on` belongs one level up, beside the connector" },
];

/// The connectors that can be asked.
pub(super) fn askable(connectors: &[&'static Descriptor]) -> Vec<&'static str> {
    let askable = connectors.iter().filter(|connector| connector.lookup.is_some());
    askable.map(|connector| connector.name).collect()
}

/// Makes what the steps ask; reports every mistake.
pub(super) fn lookups(
    nodes: &[LookupNode],
    connectors: &[&'static Descriptor],
    context: &BuildContext<'_>,
    bots: &LocalBots,
    diagnostics: &mut Diagnostics,
) -> Vec<LookupSpec> {
    let mut specs: Vec<LookupSpec> = Vec::new();
    for node in nodes {
        if let Asked::Bot(name) = &node.asked {
            specs.extend(bot(node, name, bots, diagnostics));
            continue;
        }
        specs.extend(lookup(node, &specs, connectors, context, diagnostics));
    }
    specs
}

/// A bot of the project, as a step asks it. What it failed at it tries again only where the step says so: its sender
/// may wait, and its lane does.
fn bot(
    asked: &LookupNode,
    name: &Arc<str>,
    bots: &LocalBots,
    diagnostics: &mut Diagnostics,
) -> Option<LookupSpec> {
    let policy = asked.retry.as_ref().map(|node| bot_retry(node, diagnostics));
    let lookup =
        BotLookup { bots: bots.clone(), bot: Arc::clone(name), tries_again: asked.retry.is_some() };
    Some(LookupSpec {
        place: asked.place.clone(),
        connector: BOT,
        lookup: Arc::new(lookup),
        retry: policy.map_or(Some(RetryPolicy::DEFAULT), |policy| policy)?,
        answers: HashMap::new(),
        health: Arc::new(Health::default()),
        fingerprint: fingerprint(BOT, &asked.node),
    })
}

/// How long a failing bot is tried again where the step does not say: a lane waits for it all the while, and what a
/// script throws at one message it mostly throws at the same message again.
const BOT_GIVE_UP: Duration = Duration::from_secs(600);

/// A step's `retry`. One that never gives up is allowed, and warned of.
fn bot_retry(node: &Node, diagnostics: &mut Diagnostics) -> Option<RetryPolicy> {
    let policy = retry(node, diagnostics)?;
    let Some(given) = node.as_map().and_then(|map| map.get("give_up")) else {
        return Some(RetryPolicy { give_up: Some(BOT_GIVE_UP), ..policy });
    };
    if policy.give_up.is_none() {
        let message = "a message at which the bot fails each time holds up all that come behind it in its lane, until a \
                       person decides";
        diagnostics.push(Diagnostic::warning("channel.retry", &given.span, message).with_help(
            "write how long it may hold them, such as `give_up: 10m`: then it is set aside",
        ));
    }
    Some(policy)
}

fn lookup(
    asked: &LookupNode,
    before: &[LookupSpec],
    connectors: &[&'static Descriptor],
    context: &BuildContext<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<LookupSpec> {
    let name = asked.connector;
    let descriptor = connectors.iter().find(|connector| connector.name == name)?;
    let asking = descriptor.lookup.as_ref()?;
    let retry = asked.retry.as_ref().map(|node| retry(node, diagnostics));
    let answers = asked.on.as_ref().map(|node| answers(node, name, asking.answers, diagnostics));
    let written_out = asking
        .shorthand
        .filter(|_| asked.node.as_scalar().is_some())
        .map(|key| asked.node.under(key));
    let node = written_out.as_ref().unwrap_or(&asked.node);
    let fingerprint = fingerprint(name, node);
    let (lookup, health) = match before.iter().find(|other| other.fingerprint == fingerprint) {
        Some(other) => (Arc::clone(&other.lookup), Arc::clone(&other.health)),
        None => {
            let health = Arc::new(Health::default());
            let settings =
                Settings::read_with_hints(node, name, asking.schema, &ONE_LEVEL_UP, diagnostics)?;
            let built = (asking.build)(&settings, context, Arc::clone(&health), diagnostics)?;
            (built, health)
        }
    };
    Some(LookupSpec {
        place: asked.place.clone(),
        connector: descriptor.name,
        lookup,
        retry: retry.map_or(Some(RetryPolicy::DEFAULT), |retry| retry)?,
        answers: answers.map_or(Some(HashMap::new()), |answers| answers)?,
        health,
        fingerprint,
    })
}
