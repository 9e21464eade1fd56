//! The receiver of the bench: acknowledges whatever comes, on a thread of its own, and counts how long it was under way.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use super::sample::{Clock, control_id, sent_at};
use crate::latency::Latencies;

/// Enough for many messages that come at once.
const BUFFER_BYTES: usize = 256 * 1024;

/// What came in.
#[derive(Debug, Default, Clone)]
pub(super) struct Received {
    /// Messages since [`Receiver::begin`].
    pub(super) all: u64,
    /// Those sent after the warm-up.
    pub(super) measured: u64,
    /// From the sender's first byte to here, of those.
    pub(super) latencies: Latencies,
    /// When the last came.
    pub(super) last: u64,
    measure_from: u64,
}

/// A thread with a listener.
#[derive(Debug)]
pub(super) struct Receiver {
    address: SocketAddr,
    received: Arc<Mutex<Received>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Receiver {
    pub(super) fn start(clock: Clock) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let received = Arc::new(Mutex::new(Received::default()));
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let shared = Arc::clone(&received);
        let thread = std::thread::Builder::new().name("receiver".to_owned()).spawn(move || {
            runtime.block_on(async {
                let Ok(listener) = TcpListener::from_std(listener) else { return };
                tokio::select! {
                    () = accept(listener, clock, shared) => {}
                    _ = stopped => {}
                }
            });
        })?;
        Ok(Self { address, received, stop: Some(stop), thread: Some(thread) })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Counts from zero; messages sent before `measure_from` count as warm-up.
    pub(super) fn begin(&self, measure_from: u64) {
        *lock(&self.received) = Received { measure_from, ..Received::default() };
    }

    pub(super) fn received(&self) -> Received {
        lock(&self.received).clone()
    }

    pub(super) fn count(&self) -> u64 {
        lock(&self.received).all
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            // A panic was printed where it happened.
            let _ = thread.join();
        }
    }
}

fn lock(received: &Mutex<Received>) -> MutexGuard<'_, Received> {
    received.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, clock: Clock, received: Arc<Mutex<Received>>) {
    // The tasks end with their connections, or with the runtime.
    while let Ok((stream, _)) = listener.accept().await {
        let received = Arc::clone(&received);
        tokio::spawn(async move {
            // A sender that closes its connection has ended its run.
            let _ = converse(stream, clock, &received).await;
        });
    }
}

async fn converse(
    mut stream: TcpStream,
    clock: Clock,
    received: &Mutex<Received>,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut input = vec![0; BUFFER_BYTES];
    let mut filled = 0;
    let mut replies = Vec::with_capacity(8 * 1024);
    loop {
        let room = input.get_mut(filled..).filter(|room| !room.is_empty());
        let room = room.ok_or(io::ErrorKind::InvalidData)?;
        let read = stream.read(room).await?;
        if read == 0 {
            return Ok(());
        }
        filled += read;
        let now = clock.now();
        let mut taken = 0;
        replies.clear();
        {
            let mut received = lock(received);
            let bytes = input.get(..filled).unwrap_or_default();
            for end in memchr::memchr_iter(0x1c, bytes) {
                let frame = bytes.get(taken..end).unwrap_or_default();
                let control_id = control_id(frame);
                acknowledge(control_id, &mut replies);
                received.count(sent_at(control_id), now);
                // The carriage return after it may be still to come: then it leads the next frame.
                taken = end + 1;
            }
        }
        input.copy_within(taken..filled, 0);
        filled -= taken;
        if !replies.is_empty() {
            stream.write_all(&replies).await?;
        }
    }
}

impl Received {
    fn count(&mut self, sent: Option<u64>, now: u64) {
        self.all += 1;
        self.last = now;
        if let Some(sent) = sent.filter(|sent| *sent >= self.measure_from) {
            self.measured += 1;
            self.latencies.record(std::time::Duration::from_nanos(now.saturating_sub(sent)));
        }
    }
}

fn acknowledge(control_id: &[u8], replies: &mut Vec<u8>) {
    replies.extend_from_slice(b"\x0bMSH|^~\\&|CLINIC|NORTH|LAB|NORTH|20260105093001||ACK|A");
    replies.extend_from_slice(control_id);
    replies.extend_from_slice(b"|P|2.5.1\rMSA|AA|");
    replies.extend_from_slice(control_id);
    replies.extend_from_slice(b"\r\x1c\r");
}
