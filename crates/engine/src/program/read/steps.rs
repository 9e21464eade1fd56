//! Lists of steps: each by its one name, its condition, and the steps within it.

use pipehat_config::{Diagnostic, Diagnostics, Fields, Node, nearest};
use pipehat_connectors::PayloadFormat;

use super::flow::check_reachable;
use super::{ACTIONS, Reader, Whole};
use crate::program::json;
use crate::program::reference::Scope;
use crate::program::step::{Action, Step};

/// The most steps of a channel, those within others included.
const STEPS_MAX: usize = 2_000;

/// How deep steps may stand in steps; bounds the stack that running them needs.
const STEPS_DEPTH_MAX: usize = 16;

/// Known steps that this version does not have.
const LATER: [&str; 1] = ["script"];

impl Reader<'_> {
    pub(super) fn list(
        &mut self,
        nodes: &[Node],
        whole: &Whole<'_>,
        scope: &Scope,
        diagnostics: &mut Diagnostics,
    ) -> Vec<Step> {
        let mut steps = Vec::new();
        for (index, node) in nodes.iter().enumerate() {
            self.steps += 1;
            if self.steps > STEPS_MAX {
                if self.steps == STEPS_MAX + 1 {
                    diagnostics.push(
                        Diagnostic::error(
                            "channel.too-many-steps",
                            &node.span,
                            format!("a channel has at most {STEPS_MAX} steps"),
                        )
                        .with_help("put codes that are replaced into a table, and use `map`"),
                    );
                }
                return steps;
            }
            let prefix = format!("{}[{}]", whole.prefix, whole.skipped + index + 1);
            let results = self.json_results.len();
            let read = self.step(node, &prefix, whole, scope, diagnostics);
            if self.json_results.len() > results {
                let rest = nodes.get(index.saturating_add(1)..).unwrap_or_default();
                self.warn_of_json_before(rest, results, diagnostics);
            }
            if let Some(step) = read {
                check_reachable(&steps, &step, nodes, index, diagnostics);
                steps.push(step);
            }
        }
        steps
    }

    fn step(
        &mut self,
        node: &Node,
        prefix: &str,
        whole: &Whole<'_>,
        scope: &Scope,
        diagnostics: &mut Diagnostics,
    ) -> Option<Step> {
        if self.told_of_a_wrong_form(node, diagnostics) {
            return None;
        }
        let mut fields = Fields::of(node, "step", diagnostics)?;
        self.check_step_of_json(&mut fields);
        if let Some((later, key)) =
            LATER.iter().find_map(|later| Some((later, fields.key_span(later)?.clone())))
        {
            fields.diagnostics().push(
                Diagnostic::error(
                    "channel.not-in-this-version",
                    &key,
                    format!("this version of Pipehat has no `{later}` step"),
                )
                .with_help("a script is a bot, run by `bot: NAME`; the steps there are: accept, bot, translate, filter, set, copy, move, clear, remove, add_segment, remove_segment, keep, each, map, date, join, split, park, reject, validate, lookup, route, when"),
            );
            return None;
        }
        if fields.contains("each") {
            return self.each(fields, node, prefix, whole, scope);
        }
        let condition_node = fields.take("when");
        let condition =
            condition_node.and_then(|node| self.condition(node, scope, fields.diagnostics()));
        let (then, otherwise) = (fields.take("do"), fields.take("else"));
        let format = self.format;
        if condition_node.is_some() && (then.is_some() || otherwise.is_some()) {
            let then = then.map(|node| {
                self.inner(node, &format!("{prefix}.do"), whole, scope, fields.diagnostics())
            });
            let then_format = std::mem::replace(&mut self.format, format);
            let otherwise = otherwise.map(|node| {
                self.inner(node, &format!("{prefix}.else"), whole, scope, fields.diagnostics())
            });
            if then_format != format {
                self.format = then_format;
            }
            self.same_format(format, node, fields.diagnostics());
            fields.finish();
            let action = Action::When {
                condition: condition?,
                then: then.flatten().unwrap_or_default().into(),
                otherwise: otherwise.flatten().unwrap_or_default().into(),
            };
            return Some(Step { place: self.place(&node.span, format!("{prefix}.when")), action });
        }
        if let Some(node) = then.or(otherwise) {
            fields.diagnostics().push(
                Diagnostic::error(
                    "channel.when-missing",
                    &node.span,
                    "these steps belong to a condition, and there is none",
                )
                .with_help("add `when: …` (or `each: …`) beside `do`"),
            );
            return None;
        }
        if condition_node.is_some() && node.as_map().is_some_and(|map| map.len() == 1) {
            let message = "a condition, and nothing that is done where it holds";
            fields.diagnostics().push(
                Diagnostic::error("channel.step-form", &node.span, message)
                    .with_help("add `do:` with steps below it, or a step beside it"),
            );
            return None;
        }
        let Some((name, value)) = fields.exactly_one(&ACTIONS) else {
            fields.finish();
            return None;
        };
        let place = self.place(&node.span, format!("{prefix}.{name}"));
        let action = self.action((name, value), &place, whole, scope, fields.diagnostics());
        if condition_node.is_some() {
            self.same_format(format, node, fields.diagnostics());
        }
        fields.finish();
        let step = Step { place: place.clone(), action: action? };
        if condition_node.is_none() {
            return Some(step);
        }
        let action =
            Action::When { condition: condition?, then: [step].into(), otherwise: [].into() };
        Some(Step { place, action })
    }

    /// Refuses steps by which a message is HL7 v2 or JSON according to a condition: those behind them would not know.
    fn same_format(&mut self, before: PayloadFormat, node: &Node, diagnostics: &mut Diagnostics) {
        if self.format == before {
            return;
        }
        diagnostics.push(
            Diagnostic::error(
                "channel.format",
                &node.span,
                "behind this the message would be HL7 v2 or JSON, by the condition",
            )
            .with_help(
                "put the condition as `when` on a destination, and `translate` into its `steps`",
            ),
        );
    }

    /// A step that is a word alone, or a list.
    fn told_of_a_wrong_form(&self, node: &Node, diagnostics: &mut Diagnostics) -> bool {
        let Some(scalar) = node.as_scalar() else { return false };
        let word = scalar.text().split_whitespace().next().unwrap_or("").to_owned();
        let known = nearest(&word, ACTIONS.iter().copied().chain(["when"]));
        let help = match known {
            Some(known) => format!("put a colon after its name: `- {known}: …`"),
            None => "write the step's name, a colon and what it needs: `- set: { MSH-4: LAB }`"
                .to_owned(),
        };
        diagnostics.push(
            Diagnostic::error("channel.step-form", &node.span, "this is not a step")
                .with_help(help),
        );
        true
    }

    pub(super) fn inner(
        &mut self,
        node: &Node,
        prefix: &str,
        whole: &Whole<'_>,
        scope: &Scope,
        diagnostics: &mut Diagnostics,
    ) -> Option<Vec<Step>> {
        if whole.depth >= STEPS_DEPTH_MAX {
            diagnostics.push(
                Diagnostic::error(
                    "channel.too-deep",
                    &node.span,
                    format!("steps stand at most {STEPS_DEPTH_MAX} deep in steps"),
                )
                .with_help("join conditions with `and`, or use a code table"),
            );
            return None;
        }
        let list = node.list(diagnostics)?;
        if list.is_empty() {
            diagnostics.push(
                Diagnostic::error("channel.no-steps", &node.span, "there are no steps here")
                    .with_help("add a step, or remove the line"),
            );
            return None;
        }
        let whole = Whole { prefix, skipped: 0, owner: whole.owner, depth: whole.depth + 1 };
        Some(self.list(list, &whole, scope, diagnostics))
    }

    /// Refuses a step that reads or changes HL7 v2 in a channel of JSON messages.
    pub(super) fn check_step_of_json(&self, fields: &mut Fields<'_, '_>) {
        if self.format == PayloadFormat::Hl7 {
            return;
        }
        for name in ACTIONS.into_iter().filter(|name| !json::STEPS.contains(name)) {
            let Some(span) = fields.key_span(name).cloned() else { continue };
            let message =
                format!("`{name}` is for HL7 v2, and the messages of this channel are JSON");
            let steps = "messages that are JSON are changed by bots and translations only; the steps there are: accept, filter, park, route, bot, translate, when";
            fields
                .diagnostics()
                .push(Diagnostic::error("channel.format", &span, message).with_help(steps));
        }
    }
}
