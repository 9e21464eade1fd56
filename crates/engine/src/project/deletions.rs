//! What a source that gives deletions asks of the rest of a channel.

use pipehat_config::{Diagnostic, Diagnostics, Span};
use pipehat_connectors::GivenChanges;

use super::destination::ReadDestination;
use super::order::Order;

/// A channel, as far as deletions matter.
pub(super) struct Whole<'w> {
    pub(super) changes: GivenChanges,
    /// The channel chooses among its messages before its destinations do.
    pub(super) chooses: bool,
    /// How its messages wait for each other, and where that is said.
    pub(super) order: (&'w Order, &'w Span),
}

/// Refuses destinations that can't make a deletion happen, and warns where it may overtake what was written before.
pub(super) fn check_deletions(
    channel: &Whole<'_>,
    destinations: &[ReadDestination<'_>],
    diagnostics: &mut Diagnostics,
) {
    if !channel.changes.has_deletions() {
        return;
    }
    for destination in destinations {
        let Some(spec) = &destination.spec else { continue };
        // Who chooses may keep deletions away: one that comes all the same is parked.
        if channel.chooses || destination.when.is_some() || destination.steps.is_some() {
            continue;
        }
        if let Some(refused) = spec.destination.refuses_deletions() {
            diagnostics.push(
                Diagnostic::error("channel.deletions", &destination.key.span, refused.why)
                    .with_help(refused.remedy),
            );
        }
    }
    if let (GivenChanges::All, Order::None, span) =
        (channel.changes, channel.order.0, channel.order.1)
    {
        let message = "a deletion may overtake what was written before it, and the resource stays";
        diagnostics.push(
            Diagnostic::warning("channel.deletions", span, message)
                .with_help("write `order: strict`, or take `delete` out of the source's `on`"),
        );
    }
}
