//! The HTTP destination: one request for each message, over connections that are kept open.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt};
use http::{HeaderMap, Method, StatusCode};
use jiff::Timestamp;
use pipehat_message::Acknowledgment;
use reqwest::{Client, Url};

use super::answers::{Verdict, judge};
use super::asked_to_wait::AskedToWait;
use super::client::{self, ClientOptions, Reply, cause, read};
use super::codes;
use super::retry_after::retry_after;
use crate::{Attempt, Destination, Health, OperatorCode, Outbound, Parallel, Problem};

/// What is done with an acknowledgment in the response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AcknowledgmentRule {
    /// Its code counts, when there is one.
    Honour,
    /// A success without one is none.
    Require,
    /// The status alone counts.
    Ignore,
}

/// How messages are sent.
#[derive(Clone)]
pub(super) struct DestinationOptions {
    /// The URL; its host is the name the partner's certificate must have.
    pub(super) url: Url,
    /// Where to connect, as an operator would write it.
    pub(super) address: String,
    pub(super) client: ClientOptions,
    pub(super) method: Method,
    /// Content type, authorization and whatever else is configured.
    pub(super) headers: HeaderMap,
    pub(super) reply_bytes_max: usize,
    pub(super) acknowledgment: AcknowledgmentRule,
}

/// A URL messages are sent to.
pub(super) struct HttpDestination {
    sender: Arc<Sender>,
}

impl HttpDestination {
    /// A destination with these options. It connects when first used.
    ///
    /// # Errors
    /// When no client can be made of the TLS settings.
    pub(super) fn new(options: DestinationOptions, health: Arc<Health>) -> reqwest::Result<Self> {
        let client = client::build(&options.client)?;
        let sender = Sender { options, client, health, asked_to_wait: AskedToWait::default() };
        Ok(Self { sender: Arc::new(sender) })
    }
}

impl Destination for HttpDestination {
    fn parallel(&self) -> Parallel {
        Parallel { connections: self.sender.options.client.connections, window: 1 }
    }

    fn deliver(&self, outbound: Outbound) -> BoxFuture<'static, Attempt> {
        let sender = self.sender.clone();
        async move { sender.deliver(outbound).await }.boxed()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.sender.health.stopped();
        async {}.boxed()
    }
}

struct Sender {
    options: DestinationOptions,
    client: Client,
    health: Arc<Health>,
    asked_to_wait: AskedToWait,
}

impl Sender {
    async fn deliver(&self, outbound: Outbound) -> Attempt {
        if let Some(detail) = self.asked_to_wait.still(&self.options.address) {
            return Attempt::NotSent { code: codes::ASKED_TO_WAIT.code, detail };
        }
        let _connected = self.health.connected();
        let bytes = outbound.bytes.len();
        let request = self
            .client
            .request(self.options.method.clone(), self.options.url.clone())
            .headers(self.options.headers.clone())
            .body(outbound.bytes);
        let mut response = match request.send().await {
            Ok(response) => response,
            Err(error) if error.is_connect() => {
                let (code, detail) = self.down(codes::CONNECT_FAILED, "can't be reached", &error);
                return Attempt::NotSent { code, detail };
            }
            Err(error) => return self.interrupted(&error),
        };
        self.health.sent(bytes);
        let (status, wait) = (response.status(), retry_after(response.headers(), Timestamp::now()));
        match read(&mut response, self.options.reply_bytes_max).await {
            Ok(reply) => self.judge(status, reply, wait),
            Err(error) => self.interrupted(&error),
        }
    }

    /// A response came, so the partner is there: what it says of the message is no matter of the link's.
    fn judge(&self, status: StatusCode, reply: Reply, wait: Option<Duration>) -> Attempt {
        let (start, reply) = match reply {
            Reply::Whole(body) if body.is_empty() => (body, None),
            Reply::Whole(body) => (body.clone(), Some(body)),
            Reply::Cut(start) => (start, None),
        };
        self.health.received(start.len());
        let acknowledgment = match self.options.acknowledgment {
            AcknowledgmentRule::Ignore => None,
            AcknowledgmentRule::Honour | AcknowledgmentRule::Require => {
                Acknowledgment::read(&start).ok()
            }
        };
        let code = acknowledgment.map(|acknowledgment| acknowledgment.code());
        let address = &self.options.address;
        match judge(status, code) {
            Verdict::Taken
                if code.is_none() && self.options.acknowledgment == AcknowledgmentRule::Require =>
            {
                let code = codes::RESPONSE_UNREADABLE.code;
                let detail = format!("the response of {address} ({status}) has no acknowledgment");
                self.health.problem(Problem { code, detail: detail.clone() });
                Attempt::Interrupted { code, detail, reply }
            }
            Verdict::Taken => {
                self.health.up();
                if reply.is_none() && !start.is_empty() {
                    let code = codes::REPLY_TOO_LARGE.code;
                    let detail = format!("the response of {address} is too large to keep");
                    self.health.problem(Problem { code, detail });
                }
                Attempt::Delivered { reply }
            }
            Verdict::Refused(answer) => {
                self.health.up();
                self.asked_to_wait.told(wait);
                let code = codes::REFUSED.code;
                let detail = format!("{address} answered {}", answer.name);
                self.health.problem(Problem { code, detail });
                Attempt::Refused { code, answer, reply }
            }
        }
    }

    fn interrupted(&self, error: &reqwest::Error) -> Attempt {
        let (code, detail) = if error.is_timeout() {
            self.down(codes::RESPONSE_TIMEOUT, "did not answer in time", error)
        } else {
            self.down(codes::RESPONSE_LOST, "broke off before the response was complete", error)
        };
        Attempt::Interrupted { code, detail, reply: None }
    }

    fn down(
        &self,
        code: OperatorCode,
        what: &str,
        error: &reqwest::Error,
    ) -> (&'static str, String) {
        let mut detail = format!("{} {what}", self.options.address);
        if let Some(cause) = cause(error) {
            detail.push_str(&format!(": {cause}"));
        }
        self.health.down(Problem { code: code.code, detail: detail.clone() });
        (code.code, detail)
    }
}
