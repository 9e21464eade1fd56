//! What a channel tells its senders, and when.

use std::time::Duration;

use pipehat_config::{Diagnostic, Diagnostics, Fields, Node, Span, nearest};

use crate::names::DestinationName;

/// What a sender is told, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplyMode {
    /// As soon as the message is kept.
    Received,
    /// When the steps are through.
    Processed {
        /// How long the sender waits for that.
        timeout: Duration,
    },
    /// A destination's reply goes back to the sender.
    Delivered {
        /// Which destination's.
        from: DestinationName,
        /// How long the sender waits for it.
        timeout: Duration,
    },
    /// As MSH-15 and MSH-16 ask.
    Enhanced {
        /// How long the application acknowledgment waits for the steps.
        timeout: Duration,
    },
    /// Nothing.
    None,
}

impl ReplyMode {
    /// How long a sender waits for what becomes of its message, where it waits for that at all.
    pub fn timeout(&self) -> Option<Duration> {
        match self {
            Self::Processed { timeout }
            | Self::Delivered { timeout, .. }
            | Self::Enhanced { timeout } => Some(*timeout),
            Self::Received | Self::None => None,
        }
    }
}

/// How long a sender waits for what becomes of its message where the file does not say.
const REPLY_TIMEOUT: Duration = Duration::from_secs(60);

const REPLY_MODES: [&str; 5] = ["received", "processed", "delivered", "enhanced", "none"];

/// A mode, or `{ mode: delivered, from: lab, timeout: 30s }`.
pub(super) fn reply(
    node: &Node,
    destinations: &[&str],
    diagnostics: &mut Diagnostics,
) -> Option<ReplyMode> {
    if node.as_map().is_none() {
        let mode = node.one_of(&REPLY_MODES, diagnostics)?;
        return reply_mode(mode, None, REPLY_TIMEOUT, &node.span, destinations, diagnostics);
    }
    let mut fields = Fields::of(node, "reply", diagnostics)?;
    let mode = fields.required("mode", |node, diagnostics| node.one_of(&REPLY_MODES, diagnostics));
    let from = fields.optional("from", |node, diagnostics| {
        let name = node.text_not_empty(diagnostics)?;
        if destinations.contains(&name) {
            return Some(name.to_owned());
        }
        let error = Diagnostic::error(
            "channel.unknown-destination",
            &node.span,
            "this channel has no such destination",
        );
        diagnostics.push(match nearest(name, destinations.iter().copied()) {
            Some(near) => error.with_nearest(Some(near)),
            None => error.with_help("name one of the `destinations` of this channel"),
        });
        None
    });
    let timeout = fields.optional("timeout", |node, diagnostics| {
        node.duration_within(Duration::from_millis(100)..=Duration::from_secs(600), diagnostics)
    });
    let refused: &[(&str, &str)] = match mode {
        Some("processed" | "enhanced") => &[("from", "`mode: delivered`")],
        Some("received" | "none") => &[
            ("from", "`mode: delivered`"),
            ("timeout", "`mode: processed`, `delivered` or `enhanced`"),
        ],
        _ => &[],
    };
    for (key, wanted) in refused {
        if let Some(span) = fields.key_span(key).cloned() {
            fields.diagnostics().push(
                Diagnostic::error(
                    "channel.reply",
                    &span,
                    format!("`{key}` goes with {wanted} only"),
                )
                .with_help(format!("remove it, or write {wanted}")),
            );
        }
    }
    let named = fields.contains("from");
    let span = fields.span().clone();
    let sound = fields.finish();
    if !sound || (named && from.is_none()) {
        return None;
    }
    let timeout = timeout.unwrap_or(REPLY_TIMEOUT);
    reply_mode(mode?, from, timeout, &span, destinations, diagnostics)
}

fn reply_mode(
    mode: &str,
    from: Option<String>,
    timeout: Duration,
    span: &Span,
    destinations: &[&str],
    diagnostics: &mut Diagnostics,
) -> Option<ReplyMode> {
    let from = match (mode, from, destinations) {
        ("received", ..) => return Some(ReplyMode::Received),
        ("processed", ..) => return Some(ReplyMode::Processed { timeout }),
        ("enhanced", ..) => return Some(ReplyMode::Enhanced { timeout }),
        ("none", ..) => return Some(ReplyMode::None),
        (_, Some(from), _) => from,
        (_, None, [only]) => (*only).to_owned(),
        (_, None, []) => {
            diagnostics.push(
                Diagnostic::error(
                    "channel.reply",
                    span,
                    "the reply is to come from a destination, and there is none",
                )
                .with_help("add `destinations`, or write `reply: received`"),
            );
            return None;
        }
        (_, None, [..]) => {
            let names: Vec<String> = destinations.iter().map(|name| format!("`{name}`")).collect();
            let help = format!(
                "write `reply: {{ mode: delivered, from: {} }}`; the destinations are {}",
                destinations.first().unwrap_or(&"NAME"),
                names.join(", ")
            );
            diagnostics.push(
                Diagnostic::error(
                    "channel.reply",
                    span,
                    "it is not said which destination's reply goes back to the sender",
                )
                .with_help(help),
            );
            return None;
        }
    };
    Some(ReplyMode::Delivered { from: from.into(), timeout })
}
