//! The HTTP destination: one request for each message, over connections that are kept open.

use std::sync::Arc;

use futures_util::future::{BoxFuture, FutureExt};
use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, Method};
use pipehat_message::Acknowledgment;
use reqwest::{Client, Url};

use super::answers::{Verdict, judge};
use super::asked_to_wait::AskedToWait;
use super::client::{self, ClientOptions, Reply};
use super::codes;
use super::exchange::{Failure, NoResponse, Response, exchange};
use crate::{Attempt, Destination, Health, Outbound, Parallel, Problem, ResourceChange};

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
        let mut headers = self.options.headers.clone();
        if let Some(change) = &outbound.change {
            add_change(&mut headers, change);
        }
        let request = self
            .client
            .request(self.options.method.clone(), self.options.url.clone())
            .headers(headers)
            .body(outbound.bytes);
        let options = &self.options;
        match exchange(request, &options.address, options.reply_bytes_max).await {
            Ok(response) => {
                self.health.sent(bytes);
                self.judge(response)
            }
            Err(no_response) => self.failed(no_response),
        }
    }

    /// A response came, so the partner is there: what it says of the message is no matter of the link's.
    fn judge(&self, response: Response) -> Attempt {
        let Response { status, wait, .. } = response;
        let (start, reply) = match response.body {
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

    fn failed(&self, NoResponse { failure, detail }: NoResponse) -> Attempt {
        let code = match failure {
            Failure::NotConnected => codes::CONNECT_FAILED.code,
            Failure::TimedOut => codes::RESPONSE_TIMEOUT.code,
            Failure::BrokenOff => codes::RESPONSE_LOST.code,
        };
        self.health.down(Problem { code, detail: detail.clone() });
        match failure {
            Failure::NotConnected => Attempt::NotSent { code, detail },
            Failure::TimedOut | Failure::BrokenOff => {
                Attempt::Interrupted { code, detail, reply: None }
            }
        }
    }
}

/// Says which change of a resource the message tells of. What is configured under the same name stays.
fn add_change(headers: &mut HeaderMap, change: &ResourceChange) {
    for (name, value) in change.named() {
        // Types, ids and numbers are characters that any header can have.
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.entry(HeaderName::from_static(name)).or_insert(value);
        }
    }
}
