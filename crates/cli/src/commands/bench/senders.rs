//! The senders of the bench: connections that each send a message, wait for its acknowledgment, and send the next.
//!
//! All run on one thread that waits for whichever acknowledgment comes next, with nothing made for each message, so
//! that what is measured is the other side.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use memchr::memmem::Finder;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use super::node::Span;
use super::sample::{Clock, Kind, Sample};
use crate::exit::Failure;
use crate::latency::Latencies;

/// How long an acknowledgment may take.
const ACKNOWLEDGMENT_TIMEOUT: Duration = Duration::from_secs(30);

/// How often it is looked whether one takes longer.
const LATE_EVERY: Duration = Duration::from_secs(1);

/// Acknowledgments are a few hundred bytes.
const REPLY_BYTES_MAX: usize = 16 * 1024;

/// What the senders do.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    pub(super) address: SocketAddr,
    pub(super) connections: usize,
    pub(super) kind: Kind,
    /// Messages sent from then on are measured.
    pub(super) measure_from: u64,
    /// The last message is sent before.
    pub(super) until: u64,
}

impl Plan {
    /// Begins now.
    pub(super) fn of(
        address: SocketAddr,
        connections: usize,
        kind: Kind,
        span: Span,
        clock: Clock,
    ) -> Self {
        let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let measure_from = clock.now().saturating_add(nanoseconds(span.warm_up));
        let until = measure_from.saturating_add(nanoseconds(span.measured));
        Self { address, connections, kind, measure_from, until }
    }
}

/// What came of it.
#[derive(Debug, Default, Clone)]
pub(super) struct Sent {
    /// Messages acknowledged positively.
    pub(super) all: u64,
    /// Those sent after the warm-up, and their bytes.
    pub(super) measured: u64,
    pub(super) latencies: Latencies,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum SendError {
    #[error("a connection to the process under test failed")]
    Connection(#[source] io::Error),
    #[error("a message was not acknowledged within {} s", ACKNOWLEDGMENT_TIMEOUT.as_secs())]
    Late,
    #[error("a message was refused: {0}")]
    Refused(String),
    #[error("the senders failed")]
    Panicked,
}

/// Sends until time is up, on a thread of its own that is waited for.
pub(super) fn in_thread(plan: Plan, clock: Clock) -> Result<Sent, Failure> {
    let thread = std::thread::Builder::new()
        .name("senders".to_owned())
        .spawn(move || send(plan, clock))
        .map_err(Failure::could_not)?;
    let sent = thread.join().map_err(|_| Failure::could_not(SendError::Panicked))?;
    sent.map_err(Failure::could_not)
}

fn send(plan: Plan, clock: Clock) -> Result<Sent, SendError> {
    let mut poll = Poll::new().map_err(SendError::Connection)?;
    let mut sent = Sent::default();
    let mut connections = Vec::with_capacity(plan.connections);
    for number in 0..plan.connections {
        connections.push(Connection::open(plan, number, &poll).map_err(SendError::Connection)?);
    }
    let mut open = 0_usize;
    for connection in &mut connections {
        open += usize::from(connection.send_next(clock)? == Progress::Waits);
    }
    let positive = Finder::new(b"\rMSA|AA|");
    let mut events = Events::with_capacity(plan.connections.max(1));
    let mut looked = Instant::now();
    while open > 0 {
        match poll.poll(&mut events, Some(LATE_EVERY)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            polled => polled.map_err(SendError::Connection)?,
        }
        for event in &events {
            let Some(connection) = connections.get_mut(event.token().0) else { continue };
            if connection.under_way
                && connection.go_on(clock, &positive, &mut sent)? == Progress::Ended
            {
                open -= 1;
            }
        }
        if looked.elapsed() >= LATE_EVERY {
            looked = Instant::now();
            let now = clock.now();
            if connections.iter().any(|connection| connection.is_late(now)) {
                return Err(SendError::Late);
            }
        }
    }
    Ok(sent)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// For the rest of a message to be taken, or for its acknowledgment.
    Waits,
    /// Time is up.
    Ended,
}

/// One sender.
#[derive(Debug)]
struct Connection {
    plan: Plan,
    stream: TcpStream,
    sample: Sample,
    /// When the present message was sent.
    start: u64,
    /// Whether it is not acknowledged yet.
    under_way: bool,
    /// How much of it is written.
    written: usize,
    reply: Vec<u8>,
    /// How much of its acknowledgment has come.
    read: usize,
}

impl Connection {
    fn open(plan: Plan, number: usize, poll: &Poll) -> io::Result<Self> {
        let stream = std::net::TcpStream::connect(plan.address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(stream);
        let both = Interest::READABLE | Interest::WRITABLE;
        poll.registry().register(&mut stream, Token(number), both)?;
        Ok(Self {
            plan,
            stream,
            sample: Sample::new(plan.kind, number),
            start: 0,
            under_way: false,
            written: 0,
            reply: vec![0; REPLY_BYTES_MAX],
            read: 0,
        })
    }

    fn send_next(&mut self, clock: Clock) -> Result<Progress, SendError> {
        self.start = clock.now();
        self.under_way = self.start < self.plan.until;
        if !self.under_way {
            return Ok(Progress::Ended);
        }
        self.sample.next(self.start);
        (self.written, self.read) = (0, 0);
        self.write().map_err(SendError::Connection)?;
        Ok(Progress::Waits)
    }

    /// Writes what the system takes of the rest.
    fn write(&mut self) -> io::Result<()> {
        while let Some(rest) =
            self.sample.frame().get(self.written..).filter(|rest| !rest.is_empty())
        {
            match self.stream.write(rest) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => self.written += written,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Goes on after the system has said that there is something to do here; it says so once.
    fn go_on(
        &mut self,
        clock: Clock,
        positive: &Finder<'_>,
        sent: &mut Sent,
    ) -> Result<Progress, SendError> {
        self.write().map_err(SendError::Connection)?;
        if !self.read_reply().map_err(SendError::Connection)? {
            return Ok(Progress::Waits);
        }
        let latency = Duration::from_nanos(clock.now().saturating_sub(self.start));
        let reply = self.reply.get(..self.read).unwrap_or_default();
        if positive.find(reply).is_none() {
            return Err(SendError::Refused(reason(reply)));
        }
        sent.all += 1;
        if self.start >= self.plan.measure_from {
            sent.measured += 1;
            sent.latencies.record(latency);
        }
        self.send_next(clock)
    }

    /// Whether the reply is whole: no other can follow, for only one message is under way.
    fn read_reply(&mut self) -> io::Result<bool> {
        loop {
            let room = self.reply.get_mut(self.read..).filter(|room| !room.is_empty());
            match self.stream.read(room.ok_or(ErrorKind::InvalidData)?) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(read) => self.read += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
            if self.reply.get(..self.read).is_some_and(|reply| reply.ends_with(b"\x1c\r")) {
                return Ok(true);
            }
        }
    }

    fn is_late(&self, now: u64) -> bool {
        self.under_way
            && u128::from(now.saturating_sub(self.start)) > ACKNOWLEDGMENT_TIMEOUT.as_nanos()
    }
}

/// What a refusal says; its text is our own.
fn reason(reply: &[u8]) -> String {
    let text = String::from_utf8_lossy(reply);
    let lines = text.split('\r').filter(|line| line.starts_with("MSA") || line.starts_with("ERR"));
    lines.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::super::receiver::Receiver;
    use super::*;

    fn plan(address: SocketAddr, connections: usize, clock: Clock) -> Plan {
        let span = Span { warm_up: Duration::ZERO, measured: Duration::from_millis(100) };
        Plan::of(address, connections, Kind::Oru, span, clock)
    }

    #[test]
    fn each_message_is_acknowledged_before_the_next_is_sent() {
        let clock = Clock::new();
        let receiver = Receiver::start(clock).expect("a receiver");
        let plan = plan(receiver.address(), 3, clock);
        receiver.begin(plan.measure_from);
        let sent = send(plan, clock).expect("all are acknowledged");
        assert!(sent.all >= 3, "{}", sent.all);
        assert_eq!((sent.all, sent.measured), (receiver.count(), sent.latencies.count()));
    }

    /// Sends to a peer that answers the first message so, and says why the senders gave up.
    fn given_up(answer: &'static [u8]) -> SendError {
        let clock = Clock::new();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let plan = plan(listener.local_addr().expect("an address"), 1, clock);
        let peer = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a connection");
            let mut frame = [0; 16 * 1024];
            let mut length = 0;
            while !frame[..length].ends_with(b"\x1c\r") {
                length += stream.read(&mut frame[length..]).expect("a message");
            }
            stream.write_all(answer).expect("written");
        });
        let error = send(plan, clock).expect_err("not acknowledged");
        peer.join().expect("the peer is through");
        error
    }

    #[test]
    fn what_is_not_acknowledged_ends_the_run() {
        let refusal = b"\x0bMSH|^~\\&|\rMSA|AR|1|full\r\x1c\r";
        assert!(matches!(given_up(refusal), SendError::Refused(text) if text == "MSA|AR|1|full"));
        assert!(matches!(given_up(b"\x0bMSH"), SendError::Connection(_)));
    }
}
