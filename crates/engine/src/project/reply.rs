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
        /// What becomes of a query when its asker was told that there is no answer.
        unanswered: Unanswered,
    },
    /// As MSH-15 and MSH-16 ask.
    Enhanced {
        /// How long the application acknowledgment waits for the steps.
        timeout: Duration,
        /// The destination that application acknowledgments go to, as messages of their own; none:
        /// the connection the message came by.
        application: Option<DestinationName>,
    },
    /// Nothing.
    None,
}

/// What becomes of a query (QBP, QRY, …) that was not answered, or too late. Its asker has been told
/// so, and asks again if it still wants to know.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Unanswered {
    /// It is asked once, and ends superseded.
    #[default]
    GiveUp,
    /// It is asked once, and waits for a person.
    Park,
    /// It is delivered as any other message.
    Retry,
}

/// How long a sender waits for what becomes of its message where the file does not say.
const REPLY_TIMEOUT: Duration = Duration::from_secs(60);

impl ReplyMode {
    /// How long a sender waits for what becomes of its message, where it waits for that at all.
    pub fn timeout(&self) -> Option<Duration> {
        match self {
            Self::Processed { timeout }
            | Self::Delivered { timeout, .. }
            | Self::Enhanced { timeout, .. } => Some(*timeout),
            Self::Received | Self::None => None,
        }
    }

    /// The destination that gets application acknowledgments, and nothing else.
    pub(crate) fn application(&self) -> Option<&DestinationName> {
        match self {
            Self::Enhanced { application, .. } => application.as_ref(),
            _ => None,
        }
    }
}

const REPLY_MODES: [&str; 5] = ["received", "processed", "delivered", "enhanced", "none"];

/// A mode, or `{ mode: delivered, from: lab, timeout: 30s }`.
pub(super) fn reply(
    node: &Node,
    destinations: &[&str],
    diagnostics: &mut Diagnostics,
) -> Option<ReplyMode> {
    if node.as_map().is_none() {
        let mode = node.one_of(&REPLY_MODES, diagnostics)?;
        let terms = Terms { timeout: REPLY_TIMEOUT, unanswered: Unanswered::default() };
        return reply_mode(mode, None, terms, &node.span, destinations, diagnostics);
    }
    let mut fields = Fields::of(node, "reply", diagnostics)?;
    let mode = fields.required("mode", |node, diagnostics| node.one_of(&REPLY_MODES, diagnostics));
    let from = fields
        .optional("from", |node, diagnostics| destination_name(node, destinations, diagnostics));
    let timeout = fields.optional("timeout", |node, diagnostics| {
        node.duration_within(Duration::from_millis(100)..=Duration::from_secs(600), diagnostics)
    });
    let unanswered = fields.optional("unanswered", |node, diagnostics| {
        Some(match node.one_of(&["give_up", "park", "retry"], diagnostics)? {
            "park" => Unanswered::Park,
            "retry" => Unanswered::Retry,
            _ => Unanswered::GiveUp,
        })
    });
    let application = fields.optional("application", |node, diagnostics| {
        destination_name(node, destinations, diagnostics)
    });
    const DELIVERED: &str = "`mode: delivered`";
    const ENHANCED: &str = "`mode: enhanced`";
    const WAITING: &str = "`mode: processed`, `delivered` or `enhanced`";
    let refused: &[(&str, &str)] = match mode {
        Some("processed") => {
            &[("from", DELIVERED), ("unanswered", DELIVERED), ("application", ENHANCED)]
        }
        Some("enhanced") => &[("from", DELIVERED), ("unanswered", DELIVERED)],
        Some("delivered") => &[("application", ENHANCED)],
        Some("received" | "none") => &[
            ("from", DELIVERED),
            ("timeout", WAITING),
            ("unanswered", DELIVERED),
            ("application", ENHANCED),
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
    let named = [fields.contains("from"), fields.contains("application")];
    let span = fields.span().clone();
    let sound = fields.finish();
    if !sound || named != [from.is_some(), application.is_some()] {
        return None;
    }
    let terms = Terms {
        timeout: timeout.unwrap_or(REPLY_TIMEOUT),
        unanswered: unanswered.unwrap_or_default(),
    };
    let mode = reply_mode(mode?, from, terms, &span, destinations, diagnostics)?;
    Some(match mode {
        ReplyMode::Enhanced { timeout, .. } => {
            ReplyMode::Enhanced { timeout, application: application.map(DestinationName::from) }
        }
        mode => mode,
    })
}

/// How long a destination's reply is waited for, and what follows when there is none.
#[derive(Clone, Copy)]
struct Terms {
    timeout: Duration,
    unanswered: Unanswered,
}

fn destination_name(
    node: &Node,
    destinations: &[&str],
    diagnostics: &mut Diagnostics,
) -> Option<String> {
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
}

fn reply_mode(
    mode: &str,
    from: Option<String>,
    terms: Terms,
    span: &Span,
    destinations: &[&str],
    diagnostics: &mut Diagnostics,
) -> Option<ReplyMode> {
    let from = match (mode, from, destinations) {
        ("received", ..) => return Some(ReplyMode::Received),
        ("processed", ..) => return Some(ReplyMode::Processed { timeout: terms.timeout }),
        ("enhanced", ..) => {
            return Some(ReplyMode::Enhanced { timeout: terms.timeout, application: None });
        }
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
    let Terms { timeout, unanswered } = terms;
    Some(ReplyMode::Delivered { from: from.into(), timeout, unanswered })
}
