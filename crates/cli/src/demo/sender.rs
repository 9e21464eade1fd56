//! A simulated system that sends over MLLP: one message after another, each again until it is
//! acknowledged.

use std::collections::HashSet;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use pipehat_message::{Acknowledgment, AcknowledgmentCode};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::connection::Connection;
use super::random::Random;
use super::sending::Sending;
use super::simulation::Shared;

/// How long a sender waits for an acknowledgment before it sends again.
const ACKNOWLEDGMENT_TIMEOUT: Duration = Duration::from_secs(30);

/// How often a message is sent before the sender gives up, which counts against Pipehat.
const TRIES_MAX: u32 = 20;

/// The pause before a message is sent again.
const TRY_AGAIN: Duration = Duration::from_millis(200);

/// How long a sender waits at its end for application acknowledgments.
const APPLICATION_TIMEOUT: Duration = Duration::from_secs(15);

/// An impatient sender sends one message of so many twice.
const IMPATIENCE: u64 = 150;

/// One sending connection of a system.
pub(super) struct Line {
    /// The channel it sends to.
    pub(super) channel: &'static str,
    /// Where that channel listens.
    pub(super) address: SocketAddr,
    /// What it sends.
    pub(super) sendings: mpsc::Receiver<Sending>,
    /// What sets it apart.
    pub(super) manner: Manner,
}

/// What sets a sender apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// Nothing.
    Plain,
    /// Now and then it sends a message again although it was acknowledged.
    Impatient,
    /// It gets an application acknowledgment after the commit.
    Enhanced,
}

struct Talk {
    line: Line,
    shared: Arc<Shared>,
    connection: Option<Connection>,
    /// Control ids whose application acknowledgment is to come.
    awaited: HashSet<Vec<u8>>,
    random: Random,
}

impl Line {
    /// Sends until it is told to stop; what is under way is finished.
    pub(super) async fn run(self, shared: Arc<Shared>, stop: CancellationToken) {
        let random = Random::of(shared.seed, self.channel);
        let mut talk =
            Talk { line: self, shared, connection: None, awaited: HashSet::new(), random };
        loop {
            let sending = tokio::select! {
                () = stop.cancelled() => break,
                sending = talk.line.sendings.recv() => sending,
            };
            let Some(sending) = sending else { break };
            talk.deliver(&sending).await;
        }
        talk.finish().await;
    }
}

impl Talk {
    async fn deliver(&mut self, sending: &Sending) {
        let shared = Arc::clone(&self.shared);
        shared.expectations.send(sending);
        let started = Instant::now();
        if !self.send_until_acknowledged(sending).await {
            return;
        }
        shared.expectations.acknowledged(started.elapsed());
        if self.line.manner == Manner::Impatient && self.random.once_in(IMPATIENCE) {
            shared.expectations.repeat(self.line.channel);
            self.send_until_acknowledged(sending).await;
        }
    }

    async fn send_until_acknowledged(&mut self, sending: &Sending) -> bool {
        let shared = Arc::clone(&self.shared);
        for _ in 0..TRIES_MAX {
            let answer = timeout(ACKNOWLEDGMENT_TIMEOUT, self.exchange(sending)).await;
            match answer {
                Ok(Ok(code)) => {
                    if code != sending.acknowledgment {
                        shared.expectations.find(format!(
                            "{}: {} was answered {}, not {}",
                            sending.channel,
                            sending.control_id,
                            code.as_str(),
                            sending.acknowledgment.as_str()
                        ));
                    }
                    return true;
                }
                Ok(Err(_)) | Err(_) => {
                    self.connection = None;
                    shared.expectations.repeat(sending.channel);
                    sleep(TRY_AGAIN).await;
                }
            }
        }
        let (channel, control_id) = (sending.channel, &sending.control_id);
        shared.expectations.find(format!("{channel}: {control_id} was never acknowledged"));
        false
    }

    /// Sends once, and waits for the first acknowledgment of this message.
    async fn exchange(&mut self, sending: &Sending) -> io::Result<AcknowledgmentCode> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => Connection::new(TcpStream::connect(self.line.address).await?)?,
        };
        connection.send(&sending.bytes).await?;
        loop {
            let reply = connection.receive().await?.ok_or(io::ErrorKind::ConnectionAborted)?;
            let Ok(acknowledgment) = Acknowledgment::read(&reply) else {
                return Err(io::ErrorKind::InvalidData.into());
            };
            let (id, code) = (acknowledgment.control_id(), acknowledgment.code());
            if self.awaited.remove(id) {
                self.check_application(code);
            } else if id == sending.control_id.as_bytes() {
                if self.line.manner == Manner::Enhanced {
                    self.awaited.insert(id.to_vec());
                }
                self.connection = Some(connection);
                return Ok(code);
            }
        }
    }

    fn check_application(&self, code: AcknowledgmentCode) {
        if code != AcknowledgmentCode::Aa {
            let (channel, code) = (self.line.channel, code.as_str());
            self.shared.expectations.find(format!("{channel}: an application answered {code}"));
        }
    }

    /// Waits for the application acknowledgments that are still to come.
    async fn finish(&mut self) {
        let end = Instant::now() + APPLICATION_TIMEOUT;
        while !self.awaited.is_empty()
            && let Some(connection) = &mut self.connection
        {
            let left = end.saturating_duration_since(Instant::now());
            let Ok(Ok(Some(reply))) = timeout(left, connection.receive()).await else { break };
            if let Ok(acknowledgment) = Acknowledgment::read(&reply)
                && self.awaited.remove(acknowledgment.control_id())
            {
                self.check_application(acknowledgment.code());
            }
        }
        if !self.awaited.is_empty() {
            let (channel, count) = (self.line.channel, self.awaited.len());
            self.shared
                .expectations
                .find(format!("{channel}: {count} application acknowledgments did not come"));
        }
    }
}
