//! A simulated system that receives: it acknowledges, refuses, dawdles, breaks off, or is down.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use pipehat_message::{
    AcknowledgmentBuilder, AcknowledgmentCode, ErrorCode, ErrorDetail, Header, Severity,
};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::connection::Connection;
use super::random::Random;
use super::simulation::Shared;
use super::system::System;

/// How a partner is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    /// It works.
    Up,
    /// It works, and takes long.
    Slow,
    /// It takes messages and now and then closes the connection instead of acknowledging.
    BreakingOff,
    /// It is not there.
    Down,
}

/// A mood, and until when it lasts if that is known.
pub(crate) type Condition = (Mood, Option<Instant>);

/// A partner before it runs: its port is taken, so that nobody else gets it.
#[derive(Debug)]
pub(crate) struct Partner {
    system: System,
    address: SocketAddr,
    socket: TcpSocket,
}

impl Partner {
    /// Takes a free port on this machine.
    pub(crate) fn new(system: System) -> io::Result<Self> {
        let socket = reserve(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let address = socket.local_addr()?;
        Ok(Self { system, address, socket })
    }

    /// Which system it is.
    pub(crate) fn system(&self) -> System {
        self.system
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Receives until it is told to stop.
    pub(crate) async fn run(
        self,
        shared: Arc<Shared>,
        mut condition: watch::Receiver<Condition>,
        stop: CancellationToken,
    ) -> io::Result<()> {
        let mut socket = Some(self.socket);
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = until(&mut condition, |mood| mood != Mood::Down) => {}
            }
            let Some(taken) = socket.take() else { return Ok(()) };
            let listener = taken.listen(128)?;
            let opened = accept(&listener, self.system, &shared, &mut condition, &mut connections);
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                went_down = opened => went_down?,
            }
            // Bound and not listening, the port refuses connections and is nobody else's.
            connections.shutdown().await;
            drop(listener);
            socket = Some(reserve(self.address)?);
        }
    }
}

/// Waits for a mood; for ever when nobody changes it any more.
async fn until(condition: &mut watch::Receiver<Condition>, fits: impl Fn(Mood) -> bool) {
    if condition.wait_for(|(mood, _)| fits(*mood)).await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn reserve(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Takes connections until the partner goes down.
async fn accept(
    listener: &TcpListener,
    system: System,
    shared: &Arc<Shared>,
    condition: &mut watch::Receiver<Condition>,
    connections: &mut JoinSet<()>,
) -> io::Result<()> {
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted?;
                let talk = talk(stream, system, Arc::clone(shared), condition.clone());
                connections.spawn(async move {
                    // A connection that breaks is a matter of the other side, which sends again.
                    let _ = talk.await;
                });
            }
            Some(_) = connections.join_next() => {}
            () = until(condition, |mood| mood == Mood::Down) => return Ok(()),
        }
    }
}

async fn talk(
    stream: TcpStream,
    system: System,
    shared: Arc<Shared>,
    condition: watch::Receiver<Condition>,
) -> io::Result<()> {
    let mut connection = Connection::new(stream)?;
    let mut random = Random::of(shared.number(), system.name());
    while let Some(message) = connection.receive().await? {
        let mood = condition.borrow().0;
        let reception = shared.expectations.arrived(system, &message);
        for order in &reception.orders {
            shared.hospital().received(order);
        }
        let pause = pause(system, mood, &mut random);
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        if mood == Mood::BreakingOff && random.once_in(4) {
            return Ok(());
        }
        if let Some(reply) = acknowledgment(&message, reception.refused, shared.number()) {
            connection.send(&reply).await?;
        }
    }
    Ok(())
}

/// How long a system takes for a message.
fn pause(system: System, mood: Mood, random: &mut Random) -> Duration {
    let (least, most) = match (system, mood) {
        (_, Mood::Slow) => (60, 200),
        (System::Pharmacy, _) => (2, 15),
        (System::Portal, _) => (5, 30),
        (System::Laboratory, _) => (1, 4),
        _ => (0, 0),
    };
    Duration::from_millis(u64::from(random.between(least, most)))
}

/// What a system answers.
pub(super) fn acknowledgment(
    message: &[u8],
    refused: Option<&str>,
    number: u64,
) -> Option<Vec<u8>> {
    let header = Header::read(message).ok()?;
    let control_id = format!("ACK{number}");
    let time = jiff::Zoned::now().strftime("%Y%m%d%H%M%S%z").to_string();
    let builder = AcknowledgmentBuilder::new(&header).control_id(&control_id).timestamp(&time);
    let Some(refused) = refused else {
        return Some(builder.code(AcknowledgmentCode::Aa).build());
    };
    let error = ErrorDetail {
        code: ErrorCode::TableValueNotFound,
        severity: Severity::Error,
        location: Some("FT1^1^7"),
        text: refused,
    };
    Some(builder.code(AcknowledgmentCode::Ae).text(refused).error(error).build())
}
