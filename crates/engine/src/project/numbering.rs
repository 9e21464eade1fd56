//! What the sequence number protocol asks of a channel (HL7 v2.5.1 §2.10.1).

use pipehat_config::{Diagnostic, Diagnostics, Node, Span};

use super::channel::SourceSpec;
use super::destination::ReadDestination;
use super::order::Order;
use super::reply::ReplyMode;
use crate::channel::OnInterrupted;

/// Refuses what would let a message go out of its turn, or hide from its sender which is expected.
pub(super) fn numbering(
    source: Option<(&SourceSpec, &Node)>,
    reply: Option<&ReplyMode>,
    order: &Order,
    destinations: &[ReadDestination<'_>],
    diagnostics: &mut Diagnostics,
) {
    if let Some((source, node)) = source
        && follows_numbers(source)
        && let Some(ReplyMode::None | ReplyMode::Delivered { .. }) = reply
    {
        let span = source.settings.span_of("sequence_numbers").unwrap_or(&node.span);
        diagnostics.push(
            mistake(span, "the sender is to be told which number is expected (MSA-4)")
                .with_help("write `reply: received`, `processed` or `enhanced`"),
        );
    }
    for destination in destinations {
        let Some(spec) = destination.spec.as_ref().filter(|one| one.destination.is_numbered())
        else {
            continue;
        };
        let (message, help) = if *order != Order::Strict {
            let message = "messages are numbered in the order they are sent, and the channel lets them overtake each other";
            (message, "write `order: strict`, or remove it")
        } else if spec.retry.give_up.is_some() {
            let message =
                "a delivery that is given up would leave the partner waiting for its number";
            (message, "write `give_up: never` in `retry`, or remove it")
        } else if spec.on_interrupted == OnInterrupted::Park {
            let message = "a delivery that is parked when it is interrupted would leave it open whether its number is used";
            (
                message,
                "write `on_interrupted: resend`, or remove it: the partner knows by the number what it has",
            )
        } else {
            continue;
        };
        diagnostics.push(mistake(&destination.key.span, message).with_help(help));
    }
}

fn follows_numbers(source: &SourceSpec) -> bool {
    let schema = source.descriptor.source.iter().flat_map(|side| side.schema);
    let known = schema.into_iter().any(|field| field.name == "sequence_numbers");
    known && source.settings.boolean("sequence_numbers") == Some(true)
}

fn mistake(span: &Span, message: &str) -> Diagnostic {
    Diagnostic::error("channel.sequence-numbers", span, message)
}
