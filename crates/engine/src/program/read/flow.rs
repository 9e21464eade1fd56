//! Which steps and destinations a message can reach.

use std::collections::BTreeSet;

use pipehat_config::{Diagnostic, Diagnostics, Node};

use crate::program::expression::Expression;
use crate::program::step::{Action, Step};

/// Reports a condition whose answer never changes.
pub(super) fn check_not_fixed(node: &Node, condition: &Expression, diagnostics: &mut Diagnostics) {
    let Some(constant) = constant(condition) else { return };
    let (message, help) = if constant {
        ("this condition always holds", "remove the condition: what depends on it always happens")
    } else {
        (
            "this condition never holds",
            "remove what depends on it, or put `#` before its lines to keep them for later",
        )
    };
    diagnostics
        .push(Diagnostic::error("channel.fixed-condition", &node.span, message).with_help(help));
}

/// What a condition always gives, if it does.
pub(super) fn constant(condition: &Expression) -> Option<bool> {
    match condition {
        Expression::Constant(constant) => Some(*constant),
        Expression::Not(inner) => constant(inner).map(|constant| !constant),
        Expression::And(all) => {
            if all.iter().any(|one| constant(one) == Some(false)) {
                return Some(false);
            }
            all.iter().all(|one| constant(one) == Some(true)).then_some(true)
        }
        Expression::Or(any) => {
            if any.iter().any(|one| constant(one) == Some(true)) {
                return Some(true);
            }
            any.iter().all(|one| constant(one) == Some(false)).then_some(false)
        }
        Expression::Test { .. } | Expression::Place { .. } => None,
    }
}

/// Whether no message goes past this step.
fn ends(step: &Step) -> bool {
    match &step.action {
        Action::Park { .. } | Action::Reject { .. } | Action::Route(_) => true,
        Action::Filter(condition) => constant(condition) == Some(true),
        Action::Accept(condition) => constant(condition) == Some(false),
        Action::When { then, otherwise, .. } => always_ends(then) && always_ends(otherwise),
        _ => false,
    }
}

/// Whether no message comes to the end of these steps.
pub(super) fn always_ends(steps: &[Step]) -> bool {
    steps.iter().any(ends)
}

/// The destinations that `route` steps name.
pub(super) fn reached(steps: &[Step], targets: &mut BTreeSet<u16>) {
    for step in steps {
        match &step.action {
            Action::Route(named) => targets.extend(named),
            Action::When { then, otherwise, .. } => {
                reached(then, targets);
                reached(otherwise, targets);
            }
            Action::Each { steps, .. } => reached(steps, targets),
            _ => {}
        }
    }
}

/// Reports a step that comes after one that lets no message past: once, at the first of them.
pub(super) fn check_reachable(
    before: &[Step],
    step: &Step,
    nodes: &[Node],
    index: usize,
    diagnostics: &mut Diagnostics,
) {
    let Some(last) = before.last().filter(|last| ends(last)) else { return };
    let (Some(node), Some(ending)) = (nodes.get(index), nodes.get(index.saturating_sub(1))) else {
        return;
    };
    if before.iter().rev().skip(1).any(ends) {
        return;
    }
    let name = |step: &Step| step.place.step().rsplit('.').next().unwrap_or("").to_owned();
    diagnostics.push(
        Diagnostic::error(
            "channel.unreachable-step",
            &first_key(node),
            format!("no message ever reaches this `{}`", name(step)),
        )
        .with_label(&first_key(ending), format!("this `{}` ends every message", name(last)))
        .with_help("remove the step, move it up, or add a `when` to the one before it"),
    );
}

/// The step's name in the file, for a place of one line.
fn first_key(node: &Node) -> pipehat_config::Span {
    let key = node.as_map().and_then(|map| map.keys().next());
    key.map_or_else(|| node.span.clone(), |key| key.span.clone())
}
