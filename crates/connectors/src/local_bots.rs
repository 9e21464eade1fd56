//! The bots of this installation, as channels see them: a step runs one on its message, and waits as for any lookup.
//!
//! Who runs them a node knows only after the configuration was read: [`LocalBots`] stands for it until then.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt};
use pipehat_resource::json::{self, Object, Value};
use tokio::sync::watch;

use crate::{Asked, Found, Lookup, LookupAttempt};

/// Runs bots in this process.
pub trait BotRunner: Send + Sync + 'static {
    /// Runs a bot on a message of a channel.
    fn run(&self, request: BotRequest) -> BoxFuture<'static, Result<BotOutcome, BotFailure>>;
}

/// A run that a channel asks for. `Debug` shows no content.
#[derive(Clone, PartialEq, Eq)]
pub struct BotRequest {
    /// The bot's name.
    pub bot: Arc<str>,
    /// The channel's name.
    pub channel: Arc<str>,
    /// The message as it stands at the step.
    pub body: Bytes,
    /// Whether that is HL7 v2; else it is JSON.
    pub is_hl7: bool,
}

/// What came of a run. `Debug` shows no content.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct BotOutcome {
    /// What the handler returned.
    pub result: BotResult,
    /// What it sent to destinations of the channel, in order.
    pub sent: Vec<(Arc<str>, Bytes)>,
    /// Why the message is to be set aside, where it is.
    pub park: Option<String>,
}

/// What a handler returned.
#[derive(Clone, PartialEq, Eq, Default)]
pub enum BotResult {
    /// Nothing.
    #[default]
    Nothing,
    /// A message, or any text.
    Text(Bytes),
    /// JSON.
    Json(Bytes),
}

/// Why a run gave nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BotFailure {
    /// The operator code: `bot.failed`, `bot.busy`.
    pub code: &'static str,
    /// Where and why, without content.
    pub detail: String,
    /// Whether it never came to a run, so that another try harms nobody.
    pub never_ran: bool,
}

impl BotOutcome {
    /// As it is recorded with the message.
    pub fn to_bytes(&self) -> Bytes {
        let text = |bytes: &Bytes| Value::string(STANDARD.encode(bytes));
        let mut object = Object::new();
        let result = match &self.result {
            BotResult::Nothing => None,
            BotResult::Text(bytes) => Some(("text", text(bytes))),
            BotResult::Json(bytes) => Some(("json", text(bytes))),
        };
        if let Some((kind, result)) = result {
            object.set(kind, result);
        }
        if !self.sent.is_empty() {
            let sent = self.sent.iter().map(|(destination, bytes)| {
                let mut one = Object::new();
                one.set("to", Value::string(&**destination));
                one.set("body", text(bytes));
                Value::from(one)
            });
            object.set("sent", Value::Array(sent.collect()));
        }
        if let Some(reason) = &self.park {
            object.set("park", Value::string(reason.as_str()));
        }
        Value::from(object).to_json().into()
    }

    /// What was recorded; none where it is no such record.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let value = json::parse(bytes).ok()?;
        let text = |value: &Value, name: &str| -> Option<Bytes> {
            Some(STANDARD.decode(value.text(name)?).ok()?.into())
        };
        let result = match (text(&value, "text"), text(&value, "json")) {
            (Some(bytes), _) => BotResult::Text(bytes),
            (None, Some(bytes)) => BotResult::Json(bytes),
            (None, None) => BotResult::Nothing,
        };
        let sent = value.items("sent").iter();
        let sent = sent.map(|one| Some((Arc::from(one.text("to")?), text(one, "body")?)));
        Some(Self {
            result,
            sent: sent.collect::<Option<_>>()?,
            park: value.text("park").map(str::to_owned),
        })
    }
}

/// The bots of this installation: they can be run once a node has opened them.
#[derive(Clone)]
pub struct LocalBots(Arc<watch::Sender<Option<Arc<dyn BotRunner>>>>);

impl Default for LocalBots {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(None)))
    }
}

impl LocalBots {
    /// From now on this runs them.
    pub fn open(&self, runner: Arc<dyn BotRunner>) {
        self.0.send_replace(Some(runner));
    }

    async fn opened(&self) -> Arc<dyn BotRunner> {
        let mut receiver = self.0.subscribe();
        loop {
            if let Some(runner) = receiver.borrow_and_update().clone() {
                return runner;
            }
            // We hold the sender.
            let _ = receiver.changed().await;
        }
    }
}

impl fmt::Debug for LocalBots {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_open = self.0.borrow().is_some();
        formatter.debug_struct("LocalBots").field("is_open", &is_open).finish()
    }
}

/// A bot as a step asks it.
#[derive(Debug, Clone)]
pub struct BotLookup {
    /// Who runs it.
    pub bots: LocalBots,
    /// Its name.
    pub bot: Arc<str>,
    /// Whether a run that failed is tried again; else the message is set aside at once, and its sender is told.
    pub tries_again: bool,
}

impl Lookup for BotLookup {
    fn ask(&self, asked: Asked) -> BoxFuture<'static, LookupAttempt> {
        let own = self.clone();
        async move {
            let request = BotRequest {
                bot: Arc::clone(&own.bot),
                channel: asked.channel,
                is_hl7: &*asked.query != JSON,
                body: asked.body,
            };
            match own.bots.opened().await.run(request).await {
                Ok(outcome) => LookupAttempt::Found(Found::One(outcome.to_bytes())),
                Err(BotFailure { code, detail, never_ran }) if never_ran || own.tries_again => {
                    LookupAttempt::Failed { code, detail }
                }
                Err(BotFailure { code, detail, .. }) => LookupAttempt::Impossible { code, detail },
            }
        }
        .boxed()
    }
}

/// What a step says of a message that is JSON.
pub const JSON: &str = "json";

impl fmt::Debug for BotRequest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("BotRequest")
            .field("bot", &self.bot)
            .field("channel", &self.channel)
            .field("body", &self.body.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for BotOutcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("BotOutcome")
            .field("result", &self.result)
            .field("sent", &self.sent.len())
            .field("parks", &self.park.is_some())
            .finish()
    }
}

impl fmt::Debug for BotResult {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => formatter.write_str("Nothing"),
            Self::Text(bytes) => formatter.debug_tuple("Text").field(&bytes.len()).finish(),
            Self::Json(bytes) => formatter.debug_tuple("Json").field(&bytes.len()).finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(outcome: &BotOutcome) {
        assert_eq!(BotOutcome::from_bytes(&outcome.to_bytes()).as_ref(), Some(outcome));
    }

    #[test]
    fn outcomes_are_read_as_they_were_written() {
        check(&BotOutcome::default());
        check(&BotOutcome {
            result: BotResult::Text(Bytes::from_static(b"MSH|^~\\&|\r\xff")),
            sent: vec![("lab".into(), Bytes::from_static(b"a")), ("x".into(), Bytes::new())],
            park: Some("ask \"them\"".to_owned()),
        });
        check(&BotOutcome {
            result: BotResult::Json(Bytes::from_static(b"{}")),
            ..BotOutcome::default()
        });
        assert_eq!(BotOutcome::from_bytes(b"MSH|"), None);
    }
}
