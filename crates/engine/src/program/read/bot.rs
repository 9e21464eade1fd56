//! The `bot` step: which bot runs, and what becomes of what it returns.

use pipehat_config::{Diagnostic, Diagnostics, Fields, Node, nearest};

use super::{Asked, LookupNode, Owner, Reader, Whole};
use crate::program::bot::{BOT, BotStep, TakenResult};
use crate::program::reference::Scope;
use crate::program::step::Action;
use crate::program::verdict::StepPlace;

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
        if matches!(result, TakenResult::Message | TakenResult::Unsaid) {
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
}
