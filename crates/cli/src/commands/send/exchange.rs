//! One connection: frames go out as the window, the rate and the plan allow, acknowledgments come in.
//!
//! There is no task and no allocation for each message of a file, so that one core sends tens of thousands a second. Reading and
//! writing go on at the same time: a peer that answers before it reads on cannot bring both to a stand.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use pipehat_message::mllp::{self, Decoder, Event};
use pipehat_message::{Acknowledgment, CharsetRule, ReportedError};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio_util::sync::CancellationToken;

use super::outgoing::Outgoing;
use super::rate::Rate;
use super::report::{Answer, Outcome, Report};
use crate::control_id::ControlIds;

/// How much is framed ahead of writing.
const WRITTEN_AHEAD_MAX: usize = 256 * 1024;
/// How much room there is for one read.
const READ_BYTES: usize = 64 * 1024;
/// An acknowledgment larger than this is none.
const REPLY_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How exactly acknowledgment timeouts are kept.
const TIMEOUT_CHECK: Duration = Duration::from_millis(50);
/// How long to wait for the peer to read what no acknowledgment is awaited for.
const LINGER: Duration = Duration::from_secs(10);
/// How many errors of one acknowledgment are told.
const ERRORS_TOLD_MAX: usize = 5;

/// Whether to wait for acknowledgments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Wait {
    /// For the acknowledgment of each message
    Ack,
    /// For nothing: write and go on
    None,
}

/// Where the messages come from.
pub(super) enum Messages {
    /// They were read, and come one after another again and again.
    Loaded(Vec<Outgoing>),
    /// Each is made when it is its turn.
    Made(RefCell<Box<dyn FnMut() -> Outgoing>>),
}

/// What to send and how.
pub(super) struct Plan {
    pub(super) messages: Messages,
    /// How many in all; the messages of files come again when they are used up.
    pub(super) count: u64,
    pub(super) rate: Option<Rate>,
    /// When to stop, counted from the start.
    pub(super) duration: Option<Duration>,
    /// How many wait for their acknowledgment on one connection.
    pub(super) window: usize,
    pub(super) timeout: Duration,
    pub(super) wait: Wait,
    pub(super) fresh_control_ids: bool,
    /// Whether values of acknowledgments may be told.
    pub(super) show: bool,
}

/// What all connections share; they run on one thread.
pub(super) struct Shared {
    pub(super) plan: Plan,
    pub(super) started: Instant,
    next: Cell<u64>,
    pub(super) report: RefCell<Report>,
    /// Takes each outcome; `None` if nobody wants them one by one.
    pub(super) tell: Option<Box<dyn Fn(Outcome)>>,
    pub(super) stop: CancellationToken,
}

/// Why an exchange ended.
#[derive(Debug)]
pub(super) enum End {
    /// Nothing is left to send, and all that was sent has ended.
    Done,
    /// It was stopped.
    Stopped,
    /// The connection is of no use any more; whether any message was sent over it.
    Broken { sent: bool },
}

impl Shared {
    pub(super) fn new(plan: Plan, tell: Option<Box<dyn Fn(Outcome)>>) -> Self {
        Self {
            plan,
            started: Instant::now(),
            next: Cell::new(0),
            report: RefCell::default(),
            tell,
            stop: CancellationToken::new(),
        }
    }

    /// Whether nothing is left to send.
    pub(super) fn is_exhausted(&self, now: Instant) -> bool {
        self.next.get() >= self.plan.count
            || self.plan.duration.is_some_and(|most| now.duration_since(self.started) >= most)
            || self.stop.is_cancelled()
    }
}

/// A message whose acknowledgment has not come yet.
struct InFlight {
    index: u64,
    control_id: InFlightId,
    sent: Instant,
}

/// The control id of a message that was sent.
enum InFlightId {
    /// The one it has in its file.
    Own,
    Fresh([u8; 20]),
    Made(Box<[u8]>),
}

/// The state of one connection.
pub(super) struct Exchange<'s> {
    shared: &'s Shared,
    ids: &'s mut ControlIds,
    decoder: Decoder,
    output: Vec<u8>,
    written: usize,
    in_flight: VecDeque<InFlight>,
    exhausted: bool,
    /// When the next message may go, if that is what is waited for.
    due: Option<Instant>,
    sent: bool,
}

impl<'s> Exchange<'s> {
    pub(super) fn new(shared: &'s Shared, ids: &'s mut ControlIds) -> Self {
        Self {
            shared,
            ids,
            decoder: Decoder::new(mllp::Limits::new(REPLY_BYTES_MAX)),
            output: Vec::new(),
            written: 0,
            in_flight: VecDeque::new(),
            exhausted: false,
            due: None,
            sent: false,
        }
    }

    /// Sends until nothing is left or the connection breaks; what waits for its acknowledgment then has none.
    pub(super) async fn run(
        mut self,
        mut reader: impl AsyncRead + Unpin,
        mut writer: impl AsyncWrite + Unpin,
    ) -> End {
        let sleep = tokio::time::sleep(Duration::ZERO);
        tokio::pin!(sleep);
        let mut timeouts = tokio::time::interval(TIMEOUT_CHECK);
        let mut unflushed = false;
        loop {
            self.fill(Instant::now());
            let writing = self.written < self.output.len();
            if self.exhausted && self.in_flight.is_empty() && !writing && !unflushed {
                match self.shared.plan.wait {
                    Wait::Ack => {
                        // All is answered: nothing depends on how the connection ends.
                        let _ = writer.shutdown().await;
                    }
                    Wait::None => linger(reader, writer).await,
                }
                return if self.shared.stop.is_cancelled() { End::Stopped } else { End::Done };
            }
            if let Some(due) = self.due {
                sleep.as_mut().reset(due.into());
            }
            let pending = self.output.get(self.written..).unwrap_or_default();
            // All arms are cancel-safe: reads and writes either happen or leave everything as it was.
            let result = tokio::select! {
                biased;
                () = self.shared.stop.cancelled() => {
                    self.lose(Answer::Lost);
                    return End::Stopped;
                }
                read = reader.read_buf(self.decoder.buffer_mut(READ_BYTES)) => {
                    self.take(read)
                }
                written = write_or_flush(&mut writer, pending), if writing || unflushed => {
                    unflushed = writing;
                    self.advance(written)
                }
                () = &mut sleep, if self.due.is_some() => Ok(()),
                _ = timeouts.tick() => {
                    if self.has_timed_out(Instant::now()) {
                        // What comes later could be taken for the answer to something else.
                        self.lose_timed_out();
                        return End::Broken { sent: self.sent };
                    }
                    Ok(())
                }
            };
            if result.is_err() {
                self.lose(Answer::Lost);
                return End::Broken { sent: self.sent };
            }
        }
    }

    /// Frames what may go now.
    fn fill(&mut self, now: Instant) {
        let Shared { plan, started, next, report, .. } = self.shared;
        self.due = None;
        while !self.exhausted
            && self.in_flight.len() < plan.window
            && self.output.len().saturating_sub(self.written) < WRITTEN_AHEAD_MAX
        {
            if self.shared.is_exhausted(now) {
                self.exhausted = true;
                return;
            }
            let index = next.get();
            if let Some(rate) = plan.rate {
                let due = rate.due(index);
                if now.duration_since(*started) < due {
                    let due = plan.duration.map_or(due, |most| most.min(due));
                    self.due = started.checked_add(due);
                    return;
                }
            }
            next.set(index.saturating_add(1));
            let (control_id, bytes) = match &plan.messages {
                Messages::Made(make) => {
                    let message = make.borrow_mut()();
                    message.frame(None, &mut self.output);
                    (InFlightId::Made(message.control_id().into()), message.len())
                }
                Messages::Loaded(messages) => {
                    let Some(message) = at(messages, index) else { return };
                    if plan.fresh_control_ids {
                        let fresh = self.ids.next_id();
                        message.frame(Some(&fresh), &mut self.output);
                        (InFlightId::Fresh(fresh), message.len())
                    } else {
                        message.frame(None, &mut self.output);
                        (InFlightId::Own, message.len())
                    }
                }
            };
            self.sent = true;
            {
                let mut report = report.borrow_mut();
                report.sent = report.sent.saturating_add(1);
                report.bytes = report.bytes.saturating_add(bytes as u64);
            }
            let in_flight = InFlight { index, control_id, sent: now };
            match plan.wait {
                Wait::Ack => self.in_flight.push_back(in_flight),
                Wait::None => self.end(&in_flight, Answer::NotAwaited, None),
            }
        }
    }

    fn advance(&mut self, written: io::Result<usize>) -> io::Result<()> {
        self.written = self.written.saturating_add(written?);
        if self.written >= self.output.len() {
            self.output.clear();
            self.written = 0;
        }
        Ok(())
    }

    fn take(&mut self, read: io::Result<usize>) -> io::Result<()> {
        if read? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let now = Instant::now();
        while let Some(event) = self.decoder.next() {
            match event {
                Event::Frame(reply) => self.acknowledge(&reply, now),
                Event::Oversized { head } => self.acknowledge(&head, now),
                // MLLP Release 2 says first that it has the message; what matters is the acknowledgment.
                Event::CommitAck | Event::CommitNak => {}
                Event::Garbage { .. } | Event::Unterminated { .. } => self.unexpected(),
            }
        }
        Ok(())
    }

    fn acknowledge(&mut self, reply: &[u8], now: Instant) {
        let acknowledgment = Acknowledgment::read(reply).ok();
        let position = match acknowledgment.as_ref().map(Acknowledgment::control_id) {
            // A reply that says not what it answers to answers the message that has waited longest.
            None | Some(b"") => 0,
            Some(id) => {
                match self.in_flight.iter().position(|waits| self.control_id(waits) == id) {
                    Some(position) => position,
                    None => return self.unexpected(),
                }
            }
        };
        let Some(in_flight) = self.in_flight.remove(position) else { return self.unexpected() };
        let latency = now.duration_since(in_flight.sent);
        let answer = match &acknowledgment {
            Some(acknowledgment) => Answer::Code(acknowledgment.code().as_str()),
            None => Answer::Unreadable,
        };
        self.end(&in_flight, answer, Some((latency, acknowledgment)));
    }

    fn control_id<'a>(&'a self, in_flight: &'a InFlight) -> &'a [u8] {
        match (&in_flight.control_id, &self.shared.plan.messages) {
            (InFlightId::Fresh(fresh), _) => fresh,
            (InFlightId::Made(made), _) => made,
            (InFlightId::Own, Messages::Loaded(messages)) => {
                at(messages, in_flight.index).map(Outgoing::control_id).unwrap_or_default()
            }
            (InFlightId::Own, Messages::Made(_)) => &[],
        }
    }

    /// Counts how a message ended and tells it.
    fn end(
        &self,
        in_flight: &InFlight,
        answer: Answer,
        reply: Option<(Duration, Option<Acknowledgment<'_>>)>,
    ) {
        let latency = reply.as_ref().map(|(latency, _)| *latency);
        self.shared.report.borrow_mut().count(answer, latency);
        let Some(tell) = &self.shared.tell else { return };
        let acknowledgment = reply.and_then(|(_, acknowledgment)| acknowledgment);
        let errors = acknowledgment.iter().flat_map(Acknowledgment::errors);
        let text = acknowledgment.filter(|_| self.shared.plan.show).map(|acknowledgment| {
            let charset = CharsetRule::Declared
                .resolve(acknowledgment.header().character_set(), acknowledgment.text());
            charset.map_or_else(
                |_| String::from_utf8_lossy(acknowledgment.text()).into_owned(),
                |charset| charset.decode(acknowledgment.text()).text.into_owned(),
            )
        });
        tell(Outcome {
            number: in_flight.index.saturating_add(1),
            control_id: String::from_utf8_lossy(self.control_id(in_flight)).into_owned(),
            answer,
            errors: errors.take(ERRORS_TOLD_MAX).map(|error| reported(&error)).collect(),
            text,
            latency,
        });
    }

    fn unexpected(&self) {
        let mut report = self.shared.report.borrow_mut();
        report.unexpected = report.unexpected.saturating_add(1);
    }

    fn has_timed_out(&self, now: Instant) -> bool {
        let oldest = self.in_flight.front();
        oldest.is_some_and(|oldest| now.duration_since(oldest.sent) >= self.shared.plan.timeout)
    }

    /// The first in the window has waited too long; those behind it can't be told apart from it any more.
    fn lose_timed_out(&mut self) {
        if let Some(first) = self.in_flight.pop_front() {
            self.end(&first, Answer::TimedOut, None);
        }
        self.lose(Answer::Lost);
    }

    fn lose(&mut self, answer: Answer) {
        while let Some(in_flight) = self.in_flight.pop_front() {
            self.end(&in_flight, answer, None);
        }
    }
}

/// The message with this index, the first following the last.
fn at(messages: &[Outgoing], index: u64) -> Option<&Outgoing> {
    let index = index.checked_rem(messages.len() as u64)?;
    usize::try_from(index).ok().and_then(|index| messages.get(index))
}

fn reported(error: &ReportedError<'_>) -> String {
    let code = String::from_utf8_lossy(error.code);
    match error.location() {
        Some(location) => format!("{code} at {location}"),
        None => code.into_owned(),
    }
}

/// Writes some of what there is to write; without any, hands on what the stream itself holds back, and gives 0.
async fn write_or_flush(
    writer: &mut (impl AsyncWrite + Unpin),
    pending: &[u8],
) -> io::Result<usize> {
    if pending.is_empty() {
        return writer.flush().await.map(|()| 0);
    }
    match writer.write(pending).await? {
        0 => Err(io::ErrorKind::WriteZero.into()),
        written => Ok(written),
    }
}

/// Lets the peer read all that was written: closing at once could take it away again.
async fn linger(mut reader: impl AsyncRead + Unpin, mut writer: impl AsyncWrite + Unpin) {
    let mut ignored = [0; 4096];
    let until_closed = async {
        writer.shutdown().await?;
        while reader.read(&mut ignored).await? > 0 {}
        io::Result::Ok(())
    };
    // Whether the peer closes in time or not, nothing more can be done for it.
    let _ = tokio::time::timeout(LINGER, until_closed).await;
}
