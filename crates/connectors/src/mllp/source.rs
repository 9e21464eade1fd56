//! Listening: who is let in, and who owns the connections.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::net::{TcpListener, TcpStream, lookup_host};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::mllp::config::SourceRules;
use crate::mllp::conversation::Conversation;
use crate::mllp::{codes, socket};
use crate::tls::client_identity;
use crate::{Bound, Health, Intake, Peer, Problem, Source, StartError};

/// How long accepting rests when the system has no more room for connections: some will be closed until then.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long a partner may take to shake hands.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// A configured MLLP source.
#[derive(Debug)]
pub(super) struct MllpSource {
    rules: Arc<SourceRules>,
}

impl MllpSource {
    pub(super) fn new(rules: SourceRules) -> Self {
        Self { rules: Arc::new(rules) }
    }

    async fn listen(&self) -> Result<Box<dyn Bound>, StartError> {
        let listen = &self.rules.listen;
        let failed = |error: io::Error| StartError {
            code: codes::LISTEN_FAILED,
            message: format!("can't listen on {listen}"),
            source: Some(error),
        };
        let addresses = lookup_host((listen.host(), listen.port())).await.map_err(failed)?;
        // A name such as `localhost` may have several: partners mostly come by IPv4.
        let address = addresses.min_by_key(SocketAddr::is_ipv6);
        let address = address.ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?;
        let listener = socket::listen(address).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Box::new(Listening { rules: self.rules.clone(), listener, address }))
    }
}

impl Source for MllpSource {
    fn bind(&self) -> BoxFuture<'_, Result<Box<dyn Bound>, StartError>> {
        self.listen().boxed()
    }
}

/// A source that holds its port.
#[derive(Debug)]
struct Listening {
    rules: Arc<SourceRules>,
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
        let door = Door { rules: self.rules, intake, health, stop };
        door.run(self.listener).boxed()
    }
}

/// The accept loop and what its connections share.
struct Door {
    rules: Arc<SourceRules>,
    intake: Arc<dyn Intake>,
    health: Arc<Health>,
    stop: CancellationToken,
}

impl Door {
    async fn run(self, listener: TcpListener) {
        self.health.up();
        let mut connections = JoinSet::new();
        loop {
            // Both arms may be dropped at any time: `accept` and `join_next` lose nothing.
            tokio::select! {
                biased;
                () = self.stop.cancelled() => break,
                Some(ended) = connections.join_next() => self.note_end(ended),
                accepted = listener.accept() => match accepted {
                    Ok((stream, address)) => self.admit(stream, address, &mut connections),
                    Err(error) => self.rest(&error).await,
                },
            }
        }
        drop(listener);
        while let Some(ended) = connections.join_next().await {
            self.note_end(ended);
        }
        self.health.stopped();
    }

    fn admit(&self, stream: TcpStream, address: SocketAddr, connections: &mut JoinSet<()>) {
        let address = SocketAddr::new(address.ip().to_canonical(), address.port());
        if !self.rules.allows(address.ip()) {
            return self
                .report(codes::PEER_NOT_ALLOWED, format!("{} was turned away", address.ip()));
        }
        let most = self.rules.connections_max;
        if connections.len() >= most {
            let detail = format!("{} was turned away: {most} connections are open", address.ip());
            return self.report(codes::CONNECTIONS_EXCEEDED, detail);
        }
        let (rules, intake) = (self.rules.clone(), self.intake.clone());
        let (health, stop) = (self.health.clone(), self.stop.child_token());
        connections.spawn(converse(stream, address, rules, intake, health, stop));
    }

    /// What concerns one connection is over with it; want of files or memory passes when others close.
    async fn rest(&self, error: &io::Error) {
        if matches!(
            error.kind(),
            io::ErrorKind::ConnectionAborted
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionRefused
                | io::ErrorKind::Interrupted
        ) {
            return;
        }
        self.report(codes::ACCEPT_FAILED, error.to_string());
        // Stopping does not wait for the pause to end.
        let _ = timeout(ACCEPT_PAUSE, self.stop.cancelled()).await;
    }

    fn note_end(&self, ended: Result<(), tokio::task::JoinError>) {
        if let Err(error) = ended {
            // A connection that panics is a mistake of ours; it takes nobody with it.
            tracing::error!(panic = error.is_panic(), "mllp connection ended unexpectedly");
        }
    }

    fn report(&self, code: &'static str, detail: String) {
        tracing::warn!(code, detail, "mllp source had a problem");
        self.health.problem(Problem { code, detail });
    }
}

/// One connection, from the handshake to its end.
async fn converse(
    stream: TcpStream,
    address: SocketAddr,
    rules: Arc<SourceRules>,
    intake: Arc<dyn Intake>,
    health: Arc<Health>,
    stop: CancellationToken,
) {
    let counted = health.clone();
    let _connected = counted.connected();
    socket::prepare(&stream, rules.keep_alive);
    let mut peer = Peer { address: Some(address), ..Peer::default() };
    let Some(tls) = &rules.tls else {
        return Conversation::new(stream, rules, intake, health, peer, stop).run().await;
    };
    let shake_hands = async {
        // Load balancers look whether the port is open, and leave without a byte: nothing to report.
        match stream.peek(&mut [0]).await {
            Ok(0) => Ok(None),
            Ok(_) => tls.accept(stream).await.map(Some),
            Err(error) => Err(error),
        }
    };
    let handshake = tokio::select! {
        () = stop.cancelled() => return,
        handshake = timeout(HANDSHAKE_TIMEOUT, shake_hands) => handshake,
    };
    let detail = match handshake {
        Ok(Ok(None)) => return,
        Ok(Ok(Some(stream))) => {
            peer.identity = client_identity(&stream);
            return Conversation::new(stream, rules.clone(), intake, health, peer, stop)
                .run()
                .await;
        }
        Ok(Err(error)) => format!("{address}: {error}"),
        Err(_) => format!("{address}: not within {HANDSHAKE_TIMEOUT:?}"),
    };
    tracing::warn!(code = codes::HANDSHAKE_FAILED, detail, "mllp source had a problem");
    health.problem(Problem { code: codes::HANDSHAKE_FAILED, detail });
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;
    use crate::contract::FakeEngine;
    use crate::mllp::config::{SOURCE, source_rules};
    use crate::tls::testing::{Project, settings};

    #[tokio::test(start_paused = true)]
    async fn accepting_rests_when_the_system_has_no_room() {
        let settings = settings("{ listen: 127.0.0.1:0 }", SOURCE);
        let mut diagnostics = pipehat_config::Diagnostics::new();
        let rules = source_rules(&settings, &Project::empty().context(), &mut diagnostics);
        let door = Door {
            rules: Arc::new(rules.expect("valid settings")),
            intake: FakeEngine::new(|_, _| None).shared(),
            health: Arc::default(),
            stop: CancellationToken::new(),
        };
        let start = Instant::now();
        door.rest(&io::ErrorKind::ConnectionAborted.into()).await;
        assert!(start.elapsed().is_zero() && door.health.snapshot().problem.is_none());
        const TOO_MANY_OPEN_FILES: i32 = 24;
        door.rest(&io::Error::from_raw_os_error(TOO_MANY_OPEN_FILES)).await;
        assert_eq!(start.elapsed().as_millis() / 10, ACCEPT_PAUSE.as_millis() / 10);
        let problem = door.health.snapshot().problem;
        assert_eq!(problem.map(|problem| problem.code), Some(codes::ACCEPT_FAILED));
        door.stop.cancel();
        let start = Instant::now();
        door.rest(&io::Error::from_raw_os_error(TOO_MANY_OPEN_FILES)).await;
        assert!(start.elapsed().is_zero(), "stopping does not wait");
    }
}
