//! What the messages of a channel are, and what that asks of the rest of its file.

use pipehat_config::{Diagnostic, Diagnostics, Node};
use pipehat_connectors::PayloadFormat;

use super::channel::SourceSpec;
use super::destination::ReadDestination;
use super::order::Order;
use super::reply::ReplyMode;

/// `hl7` or `json`.
pub(super) fn format(node: &Node, diagnostics: &mut Diagnostics) -> Option<PayloadFormat> {
    Some(match node.one_of(&["hl7", "json"], diagnostics)? {
        "json" => PayloadFormat::Json,
        _ => PayloadFormat::Hl7,
    })
}

/// What a channel's file says, as far as its format matters.
pub(super) struct FormatSource<'c, 'n> {
    pub(super) format: PayloadFormat,
    /// Where it is said.
    pub(super) node: Option<&'n Node>,
    pub(super) source: Option<(&'c SourceSpec, &'n Node)>,
    /// What reads the content of HL7 v2 messages, by its key.
    pub(super) readers: [(&'static str, Option<&'n Node>); 3],
    pub(super) reply: Option<(&'c ReplyMode, &'n Node)>,
    pub(super) order: Option<(&'c Order, &'n Node)>,
}

/// Refuses destinations that don't know what they are sent.
pub(super) fn check_destinations(
    received: PayloadFormat,
    destinations: &[ReadDestination<'_>],
    formats: &[PayloadFormat],
    diagnostics: &mut Diagnostics,
) {
    for (destination, format) in destinations.iter().zip(formats) {
        let Some(spec) = &destination.spec else { continue };
        let Some(side) = &spec.descriptor.destination else { continue };
        if side.formats.contains(format) {
            continue;
        }
        let name = spec.connector;
        let (is, help) = match format {
            PayloadFormat::Hl7 => (
                "HL7 v2",
                "it takes JSON: from a source that receives it, with `format: json`, or from HL7 v2 by \
                 `steps: [{ translate: fhir }]`",
            ),
            PayloadFormat::Json => ("JSON", "send them by `http` or `fhir`"),
        };
        let whose =
            if *format == received { "the messages of this channel" } else { "what it is sent" };
        let verb = if *format == received { "are" } else { "is" };
        let message = format!("`{name}` does not send {is}, and {whose} {verb} {is}");
        diagnostics.push(
            Diagnostic::error("channel.format", &destination.key.span, message).with_help(help),
        );
    }
}

/// Refuses a source that doesn't know the format, and what would read JSON as HL7 v2.
pub(super) fn check_format(channel: &FormatSource<'_, '_>, diagnostics: &mut Diagnostics) {
    let is = match channel.format {
        PayloadFormat::Hl7 => "HL7 v2",
        PayloadFormat::Json => "JSON",
    };
    let mut refuse = |span, message: String, help: &str| {
        let error = Diagnostic::error("channel.format", span, message);
        diagnostics.push(error.with_help(help));
    };
    if let Some((source, node)) = channel.source
        && let Some(side) = &source.descriptor.source
        && !side.formats.contains(&channel.format)
    {
        let span = channel.node.map_or(&node.span, |node| &node.span);
        let message = format!("`{}` does not receive {is}", source.connector);
        refuse(span, message, "leave `format` out, or take another source");
    }
    if channel.format == PayloadFormat::Hl7 {
        return;
    }
    let help = "remove it: messages that are JSON go to every destination as they are";
    for (key, node) in channel.readers.iter().copied() {
        if let Some(node) = node {
            refuse(
                &node.span,
                format!("`{key}` reads HL7 v2, and the messages of this channel are JSON"),
                help,
            );
        }
    }
    if let Some((Order::By(_), node)) = channel.order {
        let message = "`order: by` reads HL7 v2, and the messages of this channel are JSON";
        refuse(&node.span, message.to_owned(), "write `strict` or `none`");
    }
    if let Some((mode, node)) = channel.reply
        && !matches!(mode, ReplyMode::Received | ReplyMode::None)
    {
        let message = "this reply is an HL7 v2 message, and the messages of this channel are JSON";
        refuse(&node.span, message.to_owned(), "write `received` or `none`");
    }
}
