//! The `bot` step: which bot runs, and what becomes of what it returns.

use pipehat_config::{Diagnostic, Diagnostics, Fields, Node, Span, nearest};
use pipehat_connectors::PayloadFormat;

use super::{ACTIONS, Asked, DestinationSource, LookupNode, Owner, ProgramSource, Reader, Whole};
use crate::program::bot::{BOT, BotStep, RESULT_HELP, TakenResult};
use crate::program::json;
use crate::program::reference::Scope;
use crate::program::step::Action;
use crate::program::verdict::StepPlace;

/// What is JSON behind a `bot` step that takes HL7 v2.
pub(super) struct JsonResult {
    span: Span,
    bot: String,
    /// Where its handler returns it.
    returned: String,
    /// The destination whose step it is, from 0.
    destination: Option<usize>,
}

/// What a `bot` step's script sends that is JSON.
pub(super) struct JsonSent {
    span: Span,
    bot: String,
    /// The destination or the channel, and where the script says so.
    sent: Vec<(String, String)>,
}

impl JsonResult {
    fn warn(&self, why: &str, diagnostics: &mut Diagnostics) {
        let Self { span, bot, returned, .. } = self;
        let message =
            format!("`{bot}` returns JSON ({returned}), and {why}: the message is parked then");
        diagnostics
            .push(Diagnostic::warning("channel.format", span, message).with_help(RESULT_HELP));
    }
}

impl Reader<'_> {
    pub(super) fn bot(
        &mut self,
        node: &Node,
        place: &StepPlace,
        whole: &Whole<'_>,
        scope: &Scope,
        diagnostics: &mut Diagnostics,
    ) -> Option<Action> {
        self.not_in_each("bot", node, scope, diagnostics)?;
        let (name, result, retry) = if node.as_scalar().is_some() {
            (self.bot_name(node, diagnostics)?, TakenResult::Unsaid, None)
        } else {
            let mut fields = Fields::of(node, "bot", diagnostics)?;
            let name =
                fields.required("name", |node, diagnostics| self.bot_name(node, diagnostics));
            let result = fields.optional("result", |node, diagnostics| {
                Some(match node.one_of(&["message", "reply", "ignored"], diagnostics)? {
                    "reply" => TakenResult::Reply,
                    "ignored" => TakenResult::Ignored,
                    _ => TakenResult::Message,
                })
            });
            let retry = fields.take("retry").cloned();
            let sound = fields.finish();
            (name.filter(|_| sound)?, result.unwrap_or_default(), retry)
        };
        if result == TakenResult::Reply && whole.owner == Owner::Destination {
            diagnostics.push(
                Diagnostic::error(
                    "channel.bot",
                    &node.span,
                    "a reply to the sender is made by the channel's own steps",
                )
                .with_help("move this step to `steps` of the channel"),
            );
            return None;
        }
        if result == TakenResult::Reply {
            self.replying.push(node.span.clone());
        }
        let given = self.bots_of_json.get(name.as_str());
        if let Some(given) = given.filter(|given| !given.sent.is_empty()) {
            self.json_sent.push(JsonSent {
                span: node.span.clone(),
                bot: name.clone(),
                sent: given.sent.clone(),
            });
        }
        if matches!(result, TakenResult::Message | TakenResult::Unsaid) {
            if let Some(returned) = given.and_then(|given| given.returned.as_ref())
                && self.format == PayloadFormat::Hl7
            {
                self.json_results.push(JsonResult {
                    span: node.span.clone(),
                    bot: name.clone(),
                    returned: returned.clone(),
                    destination: self.destination,
                });
            }
            // It may give another resource, and name what it likes.
            self.resource_type = None;
            self.names_authority.set(true);
        }
        let lookup = self.next_lookup(node, diagnostics)?;
        self.used_bots.insert(name.clone());
        self.lookups.push(LookupNode {
            connector: BOT,
            asked: Asked::Bot(name.as_str().into()),
            node: node.clone(),
            retry,
            on: None,
            place: place.clone(),
        });
        Some(Action::Bot(BotStep { lookup, bot: name.into(), result }))
    }

    fn bot_name(&self, node: &Node, diagnostics: &mut Diagnostics) -> Option<String> {
        let name = node.text_not_empty(diagnostics)?;
        if self.bots.contains(&name) {
            return Some(name.to_owned());
        }
        let mut error = Diagnostic::error(
            "channel.bot",
            &node.span,
            format!("the project has no bot `{name}`"),
        );
        error = match nearest(name, self.bots.iter().copied()) {
            Some(near) => error.with_nearest(Some(near)),
            None => error.with_help(format!(
                "a bot is a file such as `bots/{name}.yaml` with `bot: {name}`, beside its script `bots/{name}.ts`"
            )),
        };
        diagnostics.push(error);
        None
    }

    /// Refuses a step that makes another message of a message where only a part of it is at hand.
    pub(super) fn not_in_each(
        &self,
        step: &str,
        node: &Node,
        scope: &Scope,
        diagnostics: &mut Diagnostics,
    ) -> Option<()> {
        if scope.is_empty() {
            return Some(());
        }
        diagnostics.push(
            Diagnostic::error(
                "channel.each",
                &node.span,
                format!("`{step}` takes the whole message, and stands in an `each`"),
            )
            .with_help("move it before or behind the `each`"),
        );
        None
    }

    /// Warns of JSON that a bot returns before steps that read HL7 v2; such a result is not looked at again.
    pub(super) fn warn_of_json_before(
        &mut self,
        rest: &[Node],
        results: usize,
        diagnostics: &mut Diagnostics,
    ) {
        let reads = |name: &&str| {
            !json::STEPS.contains(name)
                && rest.iter().filter_map(Node::as_map).any(|step| step.get(name).is_some())
        };
        let Some(name) = ACTIONS.into_iter().find(reads) else {
            return;
        };
        for result in self.json_results.drain(results..) {
            result.warn(&format!("the step `{name}` behind it is for HL7 v2"), diagnostics);
        }
    }

    /// Warns of JSON that a bot returns where it goes to a destination that sends HL7 v2 alone.
    pub(super) fn warn_of_json_results(
        &self,
        source: &ProgramSource<'_>,
        diagnostics: &mut Diagnostics,
    ) {
        for result in &self.json_results {
            let takes = |one: &&DestinationSource<'_>| one.sends.contains(&PayloadFormat::Json);
            let mut meant: Vec<&DestinationSource<'_>> = match result.destination {
                Some(index) => source.destinations.get(index).into_iter().collect(),
                None => source.destinations.iter().collect(),
            };
            // Where one takes it, the steps or `when` may choose that one.
            let is_for_some = result.destination.is_none() && meant.iter().any(takes);
            meant.retain(|one| !takes(one));
            if let Some(one) = meant.first().filter(|_| !is_for_some) {
                result.warn(&format!("`{}` sends HL7 v2", one.name), diagnostics);
            }
        }
    }

    /// Warns of JSON that a bot sends to a destination that sends HL7 v2 alone; steps of the destination don't see it.
    pub(super) fn warn_of_json_sent(
        &self,
        source: &ProgramSource<'_>,
        diagnostics: &mut Diagnostics,
    ) {
        for JsonSent { span, bot, sent } in &self.json_sent {
            for (to, place) in sent {
                let named = source.destinations.iter().find(|one| one.name == to);
                if named.is_none_or(|one| one.sends.contains(&PayloadFormat::Json)) {
                    continue;
                }
                let message = format!(
                    "`{bot}` sends JSON to `{to}` ({place}), which sends HL7 v2: the message is parked then"
                );
                diagnostics.push(
                    Diagnostic::warning("channel.format", span, message)
                        .with_help("send an Hl7Message, or to a destination that takes JSON"),
                );
            }
        }
    }
}
