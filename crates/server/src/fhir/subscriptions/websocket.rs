//! The websocket of R4's Subscriptions (FHIR R4 §2.41.10.2): a listener says `bind :id`, is told `bound :id`, and from
//! then on `ping :id` for each match. What matched while nobody listened is one ping behind `bound`. When the
//! Subscription is deleted or ends, it is told `error :id` and why.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{AUTHORIZATION, HeaderValue, SEC_WEBSOCKET_PROTOCOL};
use http::request::Parts;
use pipehat_resource::outcome::IssueCode;
use pipehat_store::datastore::ResourceKey;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, MissedTickBehavior};

use super::listeners::{BINDINGS_MAX, Listener};
use super::service::Subscriptions;
use super::subscription::{Channel, Subscription};
use crate::fhir::access::{Permission, Principal};
use crate::fhir::problem::Problem;
use crate::fhir::service::FhirService;

/// What is said of a Subscription that can't be bound to, or no longer.
const NONE: &str = "there is no such active Subscription with a websocket";

/// What is said of one whose criteria are about what the client may not read whole.
const UNREAD: &str = "this client may not read all that the Subscription is about";

/// Where it is, below the server's address.
pub(in crate::fhir) const PATH: &str = "/fhir/R4/$subscriptions";

/// The protocol that a token stands behind.
const BEARER: &str = "bearer";

/// How many listen at once.
pub(super) const LISTENERS_MAX: usize = 1024;

/// `bind` and an id are short.
const MESSAGE_BYTES_MAX: usize = 256;

/// How often a connection is looked after.
const HEARTBEAT: Duration = Duration::from_secs(30);

/// Without a sign of life for so long, a listener is gone.
const SILENCE_MAX: Duration = Duration::from_secs(100);

/// A listener that does not take what it is told within this is gone.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);

/// One who binds to a Subscription just made waits this long at most until it is in force.
const BIND_WAIT_MAX: Duration = Duration::from_secs(5);

/// How many pings of one Subscription are sent for matches that came together.
const PINGS_MAX: u32 = 1_000;

/// Answers the request for a websocket.
pub(in crate::fhir) async fn upgrade(
    service: Arc<FhirService>,
    subscriptions: Arc<Subscriptions>,
    parts: &Parts,
    peer: Option<SocketAddr>,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Problem> {
    let parts = &with_token(parts);
    let principal = service.listener(parts, peer).await?;
    let Ok(permit) = Arc::clone(&subscriptions.listening).try_acquire_owned() else {
        return Err(Problem::new(
            StatusCode::TOO_MANY_REQUESTS,
            IssueCode::Throttled,
            "too many listen already",
        )
        .with_header(http::header::RETRY_AFTER, "60"));
    };
    let credentials = Credentials { parts: parts.clone(), peer };
    let upgrade = upgrade
        .protocols([BEARER])
        .max_message_size(MESSAGE_BYTES_MAX)
        .max_frame_size(MESSAGE_BYTES_MAX)
        .on_upgrade(move |socket| async move {
            let listener = Arc::new(Listener::default());
            let mut listening = Listening {
                service,
                subscriptions,
                principal,
                credentials,
                listener,
                bound: 0,
                _permit: permit,
            };
            listening.run(socket).await;
            listening.subscriptions.listeners.unbind(&listening.listener);
        });
    Ok(upgrade.into_response())
}

/// A script in a browser can give no header but this one: `new WebSocket(address, ["bearer", token])`.
fn with_token(parts: &Parts) -> Parts {
    let mut parts = parts.clone();
    if parts.headers.contains_key(AUTHORIZATION) {
        return parts;
    }
    let protocols = parts.headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
    let protocols = protocols.filter_map(|value| value.to_str().ok());
    let mut protocols = protocols.flat_map(|value| value.split(',')).map(str::trim);
    let token = protocols.find(|name| *name == BEARER).and_then(|_| protocols.next());
    let value = token.and_then(|token| HeaderValue::from_str(&format!("Bearer {token}")).ok());
    if let Some(mut value) = value {
        value.set_sensitive(true);
        parts.headers.insert(AUTHORIZATION, value);
    }
    parts
}

/// What a listener showed when it came.
struct Credentials {
    parts: Parts,
    peer: Option<SocketAddr>,
}

struct Listening {
    service: Arc<FhirService>,
    subscriptions: Arc<Subscriptions>,
    principal: Principal,
    credentials: Credentials,
    listener: Arc<Listener>,
    bound: usize,
    _permit: OwnedSemaphorePermit,
}

impl Listening {
    async fn run(&mut self, mut socket: WebSocket) {
        let stop = self.subscriptions.stop.clone();
        let listener = Arc::clone(&self.listener);
        let mut heartbeat = tokio::time::interval_at(Instant::now() + HEARTBEAT, HEARTBEAT);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard = Instant::now();
        let mut revoked = self.subscriptions.revoked.subscribe();
        loop {
            let sent = tokio::select! {
                () = stop.cancelled() => {
                    let _ = send(&mut socket, Message::Close(None)).await;
                    return;
                }
                message = socket.recv() => {
                    heard = Instant::now();
                    match message {
                        None | Some(Err(_) | Ok(Message::Close(_))) => return,
                        Some(Ok(Message::Text(text))) => {
                            let answer = self.answer(text.as_str()).await;
                            send(&mut socket, Message::Text(answer.into())).await
                        }
                        Some(Ok(_)) => Some(()),
                    }
                }
                untold = listener.told() => {
                    let mut sent = Some(());
                    for (id, count) in untold.pings {
                        if !self.may_hear_of(&id) {
                            self.bound = self.bound.saturating_sub(1);
                            self.subscriptions.listeners.let_go(&id, &listener);
                            let unread = Message::Text(format!("error {id} {UNREAD}").into());
                            sent = sent.and(send(&mut socket, unread).await);
                            continue;
                        }
                        for _ in 0..count.min(PINGS_MAX) {
                            let ping = Message::Text(format!("ping {id}").into());
                            sent = sent.and(send(&mut socket, ping).await);
                        }
                    }
                    for id in untold.ended {
                        self.bound = self.bound.saturating_sub(1);
                        let gone = Message::Text(format!("error {id} {NONE}").into());
                        sent = sent.and(send(&mut socket, gone).await);
                    }
                    sent
                }
                Ok(()) = revoked.changed() => {
                    let Credentials { parts, peer } = &self.credentials;
                    if self.service.opens(parts, *peer).await {
                        Some(())
                    } else {
                        let close = CloseFrame {
                            code: close_code::POLICY,
                            reason: "the credentials open nothing any more".into(),
                        };
                        let _ = send(&mut socket, Message::Close(Some(close))).await;
                        return;
                    }
                }
                _ = heartbeat.tick() => {
                    if heard.elapsed() > SILENCE_MAX {
                        return;
                    }
                    send(&mut socket, Message::Ping(bytes::Bytes::new())).await
                }
            };
            if sent.is_none() {
                return;
            }
        }
    }

    async fn answer(&mut self, text: &str) -> String {
        let Some(id) = text.trim().strip_prefix("bind ").map(str::trim) else {
            return "error expected `bind ` and the id of a Subscription".to_owned();
        };
        let id = id.strip_prefix("Subscription/").unwrap_or(id);
        if !is_id(id) {
            return "error that is no id of a Subscription".to_owned();
        }
        match self.bind(id).await {
            Ok(()) => format!("bound {id}"),
            Err(why) => format!("error {id} {why}"),
        }
    }

    /// Whether the client may read all that a Subscription is about, as whoever makes one must: a ping tells that
    /// something matched, and when.
    fn may_hear(&self, subscription: &Subscription) -> bool {
        let read = self.principal.require(&subscription.resource_type, Permission::Read);
        matches!(read, Ok(None))
    }

    /// The same of one that it is bound to, which may be about something else by now.
    fn may_hear_of(&self, id: &str) -> bool {
        let subscription = self.subscriptions.subscription(id);
        subscription.is_none_or(|subscription| self.may_hear(&subscription))
    }

    async fn bind(&mut self, id: &str) -> Result<(), &'static str> {
        if self.bound >= BINDINGS_MAX {
            return Err("a connection is bound to 100 Subscriptions at most");
        }
        let filter = self.principal.require("Subscription", Permission::Read).map_err(|_| NONE)?;
        if let Some(filter) = filter {
            let key = ResourceKey { resource_type: "Subscription".to_owned(), id: id.to_owned() };
            if !self.service.key_fits(&filter, &key).await.map_err(|_| NONE)? {
                return Err(NONE);
            }
        }
        let subscription = match self.subscriptions.subscription(id) {
            Some(subscription) => subscription,
            // It may have been made a moment ago.
            None => {
                self.subscriptions.catch_up(BIND_WAIT_MAX).await;
                self.subscriptions.subscription(id).ok_or(NONE)?
            }
        };
        if !matches!(subscription.channel, Channel::WebSocket) {
            return Err(NONE);
        }
        if !self.may_hear(&subscription) {
            return Err(UNREAD);
        }
        self.bound = self.bound.saturating_add(1);
        self.subscriptions.listeners.bind(id, &self.listener);
        let of = id.to_owned();
        // Not told is better than not bound: the listener looks for itself when it connects.
        if let Ok(true) = self.subscriptions.with_book(move |book| book.take_missed(&of)).await {
            self.listener.tell(id);
        }
        Ok(())
    }
}

fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
}

/// `None` when the listener is gone.
async fn send(socket: &mut WebSocket, message: Message) -> Option<()> {
    tokio::time::timeout(SEND_TIMEOUT, socket.send(message)).await.ok()?.ok()
}
