//! The HTTP source: a listener, its connections, and what is done with each request.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt};
use http::header::HeaderName;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use pipehat_config::Address;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::body::{BodyError, BodyReader};
use super::codes;
use super::reply::{self, Declined};
use super::token::Token;
use crate::tls::{ServerTls, client_identity};
use crate::{
    Bound, Health, Inbound, Intake, Numbering, Peer, Problem, ReceiptOutcome, Source, StartError,
};

/// A header is kept so far.
const HEADER_CHARS_MAX: usize = 1_000;

/// The pause after a failed accept: the system is out of descriptors, and asking at once asks for ever.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How messages are received.
#[derive(Debug, Clone)]
pub(super) struct SourceOptions {
    pub(super) listen: Address,
    pub(super) path: String,
    pub(super) token: Option<Token>,
    pub(super) tls: Option<ServerTls>,
    pub(super) connections_max: usize,
    pub(super) message_bytes_max: usize,
    /// For TLS handshakes, for request heads, and between requests.
    pub(super) header_timeout: Duration,
    pub(super) body_timeout: Duration,
    /// Headers of requests that are kept with the message.
    pub(super) headers: Vec<HeaderName>,
    pub(super) rejected_status: StatusCode,
}

/// A listener to be.
#[derive(Debug)]
pub(super) struct HttpSource {
    options: Arc<SourceOptions>,
}

impl HttpSource {
    /// A source with these options.
    pub(super) fn new(options: SourceOptions) -> Self {
        Self { options: Arc::new(options) }
    }
}

impl Source for HttpSource {
    fn bind(&self) -> BoxFuture<'_, Result<Box<dyn Bound>, StartError>> {
        async {
            let (host, port) = (self.options.listen.host(), self.options.listen.port());
            let listened = async {
                let listener = TcpListener::bind((host, port)).await?;
                let address = listener.local_addr()?;
                Ok::<_, std::io::Error>((listener, address))
            };
            match listened.await {
                Ok::<_, std::io::Error>((listener, address)) => {
                    let options = self.options.clone();
                    Ok(Box::new(Listening { options, listener, address }) as Box<dyn Bound>)
                }
                Err(source) => Err(StartError {
                    code: codes::LISTEN_FAILED.code,
                    message: format!("can't listen on {}", self.options.listen),
                    source: Some(source),
                }),
            }
        }
        .boxed()
    }
}

struct Listening {
    options: Arc<SourceOptions>,
    listener: TcpListener,
    address: SocketAddr,
}

impl Bound for Listening {
    fn address(&self) -> Option<String> {
        Some(self.address.to_string())
    }

    fn run(
        self: Box<Self>,
        intake: Arc<dyn Intake>,
        health: Arc<Health>,
        stop: CancellationToken,
    ) -> BoxFuture<'static, ()> {
        let desk = Arc::new(Desk { options: self.options, intake, health, stop });
        accept(self.listener, desk).boxed()
    }
}

/// Accepts connections, no more at a time than allowed: others wait in the system's queue.
async fn accept(listener: TcpListener, desk: Arc<Desk>) {
    let places = Arc::new(Semaphore::new(desk.options.connections_max));
    let mut connections = JoinSet::new();
    desk.health.up();
    loop {
        // Cancel-safe: a permit or a connection is taken whole or not at all.
        let accepted = tokio::select! {
            accepted = accept_one(&listener, &places) => accepted,
            Some(_) = connections.join_next() => continue,
            () = desk.stop.cancelled() => break,
        };
        let Some((stream, address, place)) = accepted else {
            let detail = format!("a connection to {} could not be accepted", desk.options.listen);
            desk.problem(codes::CONNECTION_FAILED.code, detail);
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let desk = desk.clone();
        connections.spawn(async move {
            let _place = place;
            desk.connection(stream, address).await;
        });
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
    desk.health.stopped();
}

async fn accept_one(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let place = places.clone().acquire_owned().await.ok()?;
    let (stream, address) = listener.accept().await.ok()?;
    Some((stream, address, place))
}

/// What all connections share.
struct Desk {
    options: Arc<SourceOptions>,
    intake: Arc<dyn Intake>,
    health: Arc<Health>,
    stop: CancellationToken,
}

impl Desk {
    async fn connection(self: Arc<Self>, stream: TcpStream, address: SocketAddr) {
        let _connected = self.health.connected();
        // A response is one small write: waiting to fill a packet would only delay it.
        let _ = stream.set_nodelay(true);
        let peer = Peer { address: Some(address), ..Peer::default() };
        let Some(tls) = self.options.tls.clone() else {
            return self.serve(stream, peer).await;
        };
        let handshake = tokio::time::timeout(self.options.header_timeout, tls.accept(stream));
        let shaken = tokio::select! {
            shaken = handshake => shaken,
            () = self.stop.cancelled() => return,
        };
        match shaken {
            Ok(Ok(stream)) => {
                let identity = client_identity(&stream);
                self.serve(stream, Peer { identity, ..peer }).await;
            }
            Ok(Err(_)) | Err(_) => {
                let detail = format!("the TLS handshake with {} failed", address.ip());
                self.problem(codes::CONNECTION_FAILED.code, detail);
            }
        }
    }

    async fn serve<S>(self: &Arc<Self>, stream: S, peer: Peer)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let address = peer.address.map(|address| address.ip());
        let peer = Arc::new(peer);
        let service = service_fn(|request| {
            let (desk, peer) = (self.clone(), peer.clone());
            async move { Ok::<_, Infallible>(desk.answer(request, &peer).await) }
        });
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(self.options.header_timeout);
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);
        let served = tokio::select! {
            served = connection.as_mut() => served,
            () = self.stop.cancelled() => {
                // Ends an idle connection now, and another after its response.
                connection.as_mut().graceful_shutdown();
                connection.as_mut().await
            }
        };
        // An idle connection that timed out is no problem of anyone's.
        if let (Err(error), Some(address)) = (served, address)
            && !error.is_timeout()
            && !error.is_incomplete_message()
        {
            let detail = format!("a connection from {address} ended in the middle of a request");
            self.problem(codes::CONNECTION_FAILED.code, detail);
        }
    }

    async fn answer(&self, request: Request<Incoming>, peer: &Arc<Peer>) -> Response<Full<Bytes>> {
        let response = match self.receive(request, peer).await {
            Ok(response) => response,
            Err(declined) => {
                self.tell(declined, peer);
                declined.response()
            }
        };
        let bytes = hyper::body::Body::size_hint(response.body()).lower();
        self.health.sent(usize::try_from(bytes).unwrap_or(usize::MAX));
        response
    }

    async fn receive(
        &self,
        request: Request<Incoming>,
        peer: &Arc<Peer>,
    ) -> Result<Response<Full<Bytes>>, Declined> {
        let (head, body) = request.into_parts();
        if self.options.token.as_ref().is_some_and(|token| !token.is_shown(&head.headers)) {
            return Err(Declined::Token);
        }
        if head.uri.path() != self.options.path {
            return Err(Declined::Path);
        }
        if head.method != Method::POST {
            return Err(Declined::Method);
        }
        if !reply::is_message(&head.headers) {
            return Err(Declined::MediaType);
        }
        let reader = BodyReader {
            intake: &self.intake,
            stop: &self.stop,
            bytes_max: self.options.message_bytes_max,
            timeout: self.options.body_timeout,
        };
        let (bytes, admission) =
            reader.read(&head.headers, body).await.map_err(|error| match error {
                BodyError::TooLarge => Declined::TooLarge,
                BodyError::TooSlow => Declined::TooSlow,
                BodyError::Broken => Declined::Broken,
                BodyError::NoRoom => Declined::Busy,
            })?;
        self.health.received(bytes.len());
        if bytes.is_empty() {
            return Err(Declined::Empty);
        }
        let sender = self.peer_of(&head.headers, peer);
        let inbound = Inbound { bytes, peer: sender, part: None, numbering: Numbering::Ignored };
        let mut receipt = self.intake.receive(admission, inbound).await;
        match receipt.outcome {
            ReceiptOutcome::Kept => self.health.up(),
            ReceiptOutcome::Rejected => {}
            ReceiptOutcome::Busy => self.tell(Declined::Busy, peer),
        }
        // HTTP has room for one answer: the accept acknowledgment when there is one, else the application's.
        let body = match (receipt.reply.take(), receipt.later.take()) {
            (None, Some(later)) => later.await,
            (reply, _) => reply,
        };
        Ok(reply::response(&receipt, body, &head.headers, self.options.rejected_status))
    }

    fn peer_of(&self, headers: &HeaderMap, peer: &Arc<Peer>) -> Arc<Peer> {
        if self.options.headers.is_empty() {
            return peer.clone();
        }
        let kept = self.options.headers.iter().flat_map(|name| {
            headers.get_all(name).iter().map(|value| {
                let text = String::from_utf8_lossy(value.as_bytes());
                (name.as_str().to_owned(), text.chars().take(HEADER_CHARS_MAX).collect())
            })
        });
        Arc::new(Peer { headers: kept.collect(), ..(**peer).clone() })
    }

    fn tell(&self, declined: Declined, peer: &Peer) {
        let from =
            peer.address.map_or_else(String::new, |address| format!(" from {}", address.ip()));
        let (code, detail) = match declined {
            Declined::Token => {
                (codes::UNAUTHORISED.code, format!("a request{from} had no valid token"))
            }
            Declined::TooLarge => {
                (codes::BODY_TOO_LARGE.code, format!("a request{from} was too large"))
            }
            Declined::Busy => (codes::BUSY.code, format!("a request{from} was put off")),
            Declined::TooSlow | Declined::Broken => {
                (codes::CONNECTION_FAILED.code, format!("a request{from} was not complete"))
            }
            Declined::Path | Declined::Method | Declined::MediaType | Declined::Empty => return,
        };
        self.problem(code, detail);
    }

    fn problem(&self, code: &'static str, detail: String) {
        self.health.problem(Problem { code, detail });
    }
}
