//! One connection of a source: messages in, replies out, in the same order.
//!
//! A partner may send on before it has its answers. So several messages of a connection are under way at once, up to the
//! limits of [`Answers`]; the engine takes them in the order of their frames, and their replies leave in that order too.
//! Replies that are ready together leave in one write.
//!
//! Nothing is read while the engine has no room, while replies wait to be written, or at those limits: a partner that
//! sends faster than that is slowed down by TCP.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use pipehat_message::mllp::{Event, Remainder};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::mllp::alarm::Alarm;
use crate::mllp::answers::{Answers, CommitBytes};
use crate::mllp::config::SourceRules;
use crate::mllp::wire::Wire;
use crate::mllp::{codes, refusal};
use crate::{Admission, Health, Inbound, Intake, IntakeClosed, Peer, Problem};

/// Nothing more is taken while so many bytes of replies wait to be written: the partner does not read.
const REPLY_BYTES_MAX: u64 = 64 * 1024;

/// A frame that outgrows this is read on only when the engine has room for the longest message there may be.
/// Below, each connection may hold so much without asking.
const LARGE_FRAME_BYTES: usize = 256 * 1024;

/// What a partner that is slow, but no danger, sends in a second.
const FRAME_BYTES_PER_SECOND: u64 = 16 * 1024;

/// Bytes outside frames, in a row, after which a connection is closed: the partner does not speak MLLP.
const GARBAGE_BYTES_MAX: usize = 64 * 1024;

/// How long a stopping source waits for the receipts of what is under way.
const STOP_GRACE: Duration = Duration::from_secs(10);

/// How long it waits for application acknowledgments, once all receipts have come.
const LATER_GRACE: Duration = Duration::from_secs(1);

/// How long a closed connection waits for the partner to close it too. Closing with unread input would make the
/// system reset the connection, and the partner could lose the last replies.
const LINGER: Duration = Duration::from_millis(250);

/// One connection and what is under way on it.
pub(super) struct Conversation<S> {
    wire: Wire<S>,
    rules: Arc<SourceRules>,
    intake: Arc<dyn Intake>,
    health: Arc<Health>,
    peer: Arc<Peer>,
    stop: Pin<Box<WaitForCancellationFutureOwned>>,
    alarm: Alarm,

    /// A whole message that waits for room in the engine.
    admission: Option<(BoxFuture<'static, Result<Admission, IntakeClosed>>, Bytes)>,
    /// Room for a long message whose end has not come yet.
    large: LargeFrame,
    answers: Answers,

    input: Input,
    output: Output,
    phase: Phase,
    /// Whether all that was read so far was taken.
    drained: bool,
    garbage_in_row: usize,
    /// When something last happened: a read, a reply that is ready, a write.
    active: Instant,
    /// When the present frame began, or reading went on after a pause.
    frame_since: Instant,
    written_total: u64,
}

enum LargeFrame {
    None,
    Asking(BoxFuture<'static, Result<Admission, IntakeClosed>>),
    Granted(Admission),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Input {
    Open,
    /// The partner sends nothing more.
    Ended,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Output {
    Open,
    /// The partner takes nothing more.
    Broken,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Receiving,
    /// Nothing more is taken; what is under way is answered until then.
    Stopping {
        until: Instant,
    },
    /// Application acknowledgments are waited for until then.
    AwaitingLater {
        until: Instant,
    },
}

/// Why a conversation ended, if there is something to say about it.
type Ending = Option<Problem>;

impl<S: AsyncRead + AsyncWrite + Unpin> Conversation<S> {
    pub(super) fn new(
        stream: S,
        rules: Arc<SourceRules>,
        intake: Arc<dyn Intake>,
        health: Arc<Health>,
        peer: Peer,
        stop: CancellationToken,
    ) -> Self {
        let now = Instant::now();
        let commit = if rules.commit_bytes { CommitBytes::Sent } else { CommitBytes::NotSent };
        Self {
            wire: Wire::new(stream, rules.message_bytes_max),
            rules,
            intake,
            health,
            peer: Arc::new(peer),
            stop: Box::pin(stop.cancelled_owned()),
            alarm: Alarm::default(),
            admission: None,
            large: LargeFrame::None,
            answers: Answers::new(commit),
            input: Input::Open,
            output: Output::Open,
            drained: true,
            phase: Phase::Receiving,
            garbage_in_row: 0,
            active: now,
            frame_since: now,
            written_total: 0,
        }
    }

    /// Holds the conversation to its end.
    pub(super) async fn run(mut self) {
        let ending = poll_fn(|context| self.poll(context)).await;
        if let Some(problem) = ending {
            self.report(problem.code, problem.detail);
            return;
        }
        let shutdown = poll_fn(|context| self.wire.poll_shutdown(context));
        if let Ok(Ok(())) = timeout(LINGER, shutdown).await
            && self.input == Input::Open
        {
            let discard = poll_fn(|context| self.wire.poll_discard_input(context));
            // Whether the partner closes too or time is up: the connection ends here.
            let _ = timeout(LINGER, discard).await;
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Ending> {
        let now = Instant::now();
        if self.phase == Phase::Receiving && self.stop.as_mut().poll(context).is_ready() {
            self.stop_receiving(now);
        }
        loop {
            if let Poll::Ready(Some(problem)) = self.poll_take(context, now) {
                return Poll::Ready(Some(problem));
            }
            let answered = self.answers.poll(&mut self.wire, context);
            if answered.any {
                self.active = now;
            }
            if answered.kept {
                self.health.up();
            }
            self.poll_send(context, now);
            if self.is_over(now) {
                return Poll::Ready(None);
            }
            let more = self.poll_read(context, now);
            if !more && (self.drained || !self.has_room()) {
                break;
            }
        }
        self.poll_deadline(context, now)
    }

    fn stop_receiving(&mut self, now: Instant) {
        self.drained = true;
        self.phase = Phase::Stopping { until: now + STOP_GRACE };
        self.admission = None;
        self.large = LargeFrame::None;
    }

    /// Hands whole messages to the engine, as far as it has room. Ready when the conversation must end.
    fn poll_take(&mut self, context: &mut Context<'_>, now: Instant) -> Poll<Ending> {
        while self.phase == Phase::Receiving {
            if let Some((admission, payload)) = &mut self.admission {
                let Poll::Ready(admitted) = admission.as_mut().poll(context) else { break };
                let payload = std::mem::take(payload);
                self.admission = None;
                match admitted {
                    Ok(admission) => self.receive(admission, payload),
                    Err(IntakeClosed) => self.stop_receiving(now),
                }
                continue;
            }
            if !self.has_room() {
                break;
            }
            let Some(event) = self.wire.next_event() else {
                self.drained = true;
                break;
            };
            let granted = std::mem::replace(&mut self.large, LargeFrame::None);
            self.frame_since = now;
            if let Some(problem) = self.handle(event, granted) {
                return Poll::Ready(Some(problem));
            }
        }
        Poll::Pending
    }

    fn has_room(&self) -> bool {
        self.admission.is_none()
            && self.answers.has_room()
            && self.wire.waiting_bytes() < REPLY_BYTES_MAX
    }

    fn handle(&mut self, event: Event, granted: LargeFrame) -> Ending {
        match event {
            Event::Frame(payload) => {
                self.garbage_in_row = 0;
                let payload = Bytes::from(payload);
                match granted {
                    LargeFrame::Granted(mut admission) => {
                        admission.reduce(self.rules.message_bytes_max, payload.len());
                        self.receive(admission, payload);
                    }
                    LargeFrame::None | LargeFrame::Asking(_) => {
                        self.admission = Some((self.intake.admit(payload.len()), payload));
                    }
                }
            }
            Event::Garbage { bytes } => {
                self.garbage_in_row = self.garbage_in_row.saturating_add(bytes);
                let detail = format!("{bytes} bytes outside frames {}", self.from());
                if self.garbage_in_row >= GARBAGE_BYTES_MAX {
                    return Some(Problem { code: codes::GARBAGE_RECEIVED, detail });
                }
                self.report(codes::GARBAGE_RECEIVED, detail);
            }
            Event::Oversized { head } => {
                self.garbage_in_row = 0;
                let bytes_max = self.rules.message_bytes_max;
                let detail = format!("a message of more than {bytes_max} bytes {}", self.from());
                self.report(codes::FRAME_TOO_LONG, detail);
                let reply = refusal::too_long(&head, bytes_max);
                if self.rules.commit_bytes || reply.is_some() {
                    self.answers.refuse(reply.map(Bytes::from));
                }
            }
            Event::Unterminated { bytes } => {
                let detail = format!("a message given up after {bytes} bytes {}", self.from());
                self.report(codes::FRAME_UNTERMINATED, detail);
            }
            // The partner says that it has kept our reply, or not: a reply is never sent twice.
            Event::CommitAck | Event::CommitNak => {}
        }
        None
    }

    fn receive(&mut self, admission: Admission, bytes: Bytes) {
        let length = bytes.len();
        let numbering = self.rules.numbering;
        let inbound = Inbound { bytes, peer: self.peer.clone(), part: None, numbering };
        let receipt = self.intake.receive(admission, inbound);
        self.answers.await_receipt(receipt, length);
    }

    /// Writes. A partner that is gone before it has its replies may still have sent whole messages: they are read.
    fn poll_send(&mut self, context: &mut Context<'_>, now: Instant) {
        if self.output == Output::Broken {
            self.wire.discard_output();
            self.answers.forget_later();
        }
        if !self.wire.has_output() {
            return;
        }
        let sent = self.wire.poll_send(context, now);
        let written = self.wire.written_total();
        if written > self.written_total {
            let bytes = usize::try_from(written - self.written_total).unwrap_or(usize::MAX);
            self.health.sent(bytes);
            self.written_total = written;
            self.active = now;
        }
        if let Poll::Ready(Err(error)) = sent {
            let detail = format!("{} {}", error.kind(), self.to());
            self.report(codes::REPLY_UNDELIVERED, detail);
            self.output = Output::Broken;
            self.wire.discard_output();
            self.answers.forget_later();
        }
    }

    /// Reads once; whether there is more to do.
    fn poll_read(&mut self, context: &mut Context<'_>, now: Instant) -> bool {
        if !self.may_read(context, now) {
            self.frame_since = now;
            return false;
        }
        let inside_frame = self.wire.is_inside_frame();
        match self.wire.poll_fill(context) {
            Poll::Pending => return false,
            Poll::Ready(Ok(0)) => self.end_input("the connection was closed"),
            Poll::Ready(Ok(bytes)) => {
                self.health.received(bytes);
                self.active = now;
                self.drained = false;
                if !inside_frame {
                    self.frame_since = now;
                }
            }
            Poll::Ready(Err(error)) => self.end_input(&error.kind().to_string()),
        }
        true
    }

    fn may_read(&mut self, context: &mut Context<'_>, now: Instant) -> bool {
        let receiving = self.phase == Phase::Receiving && self.input == Input::Open;
        if !receiving || !self.drained || !self.has_room() {
            return false;
        }
        if self.wire.buffered_bytes() < LARGE_FRAME_BYTES {
            return true;
        }
        if let LargeFrame::None = self.large {
            self.large = LargeFrame::Asking(self.intake.admit(self.rules.message_bytes_max));
        }
        match &mut self.large {
            LargeFrame::Asking(admission) => match admission.as_mut().poll(context) {
                Poll::Ready(Ok(admission)) => {
                    self.large = LargeFrame::Granted(admission);
                    true
                }
                Poll::Ready(Err(IntakeClosed)) => {
                    self.stop_receiving(now);
                    false
                }
                Poll::Pending => false,
            },
            LargeFrame::None | LargeFrame::Granted(_) => true,
        }
    }

    /// All that was read was taken before, so what is left is less than a frame.
    fn end_input(&mut self, how: &str) {
        self.input = Input::Ended;
        self.large = LargeFrame::None;
        match self.wire.finish_input() {
            Remainder::Nothing | Remainder::Oversized => {}
            Remainder::Garbage { bytes } => {
                let detail = format!("{bytes} bytes outside frames {}", self.from());
                self.report(codes::GARBAGE_RECEIVED, detail);
            }
            Remainder::Partial { bytes } => {
                let detail = format!("{how} after {bytes} bytes of a message {}", self.from());
                self.report(codes::FRAME_INCOMPLETE, detail);
            }
            // Only where frames end at FS and CR together, which this connector does not ask for.
            Remainder::Frame(payload) => {
                let detail =
                    format!("{how} after {} bytes of a message {}", payload.len(), self.from());
                self.report(codes::FRAME_INCOMPLETE, detail);
            }
        }
    }

    fn is_over(&mut self, now: Instant) -> bool {
        if self.answers.owed() > 0 || self.wire.has_output() || self.admission.is_some() {
            return false;
        }
        let ending = match self.phase {
            Phase::Receiving => self.input == Input::Ended,
            Phase::Stopping { .. } | Phase::AwaitingLater { .. } => true,
        };
        if ending && self.answers.later() > 0 {
            // A partner that has closed its side seldom waits for more.
            if !matches!(self.phase, Phase::AwaitingLater { .. }) {
                self.phase = Phase::AwaitingLater { until: now + LATER_GRACE };
            }
            return false;
        }
        ending
    }

    /// Ready when one of the deadlines has passed.
    fn poll_deadline(&mut self, context: &mut Context<'_>, now: Instant) -> Poll<Ending> {
        let stalled = self.wire.stalled_since();
        let writing = stalled.map(|since| (since + self.rules.write_timeout, Late::Writing));
        let other = match self.phase {
            Phase::Stopping { until } | Phase::AwaitingLater { until } => {
                Some((until, Late::Stopping))
            }
            Phase::Receiving if self.input == Input::Ended || self.admission.is_some() => None,
            Phase::Receiving if self.wire.is_inside_frame() => {
                // While the engine has no room, the frame's time stands still.
                let reads = self.has_room() && !matches!(self.large, LargeFrame::Asking(_));
                reads.then(|| (self.frame_deadline(), Late::Frame))
            }
            Phase::Receiving => {
                let quiet = self.answers.owed() == 0 && self.answers.later() == 0;
                let idle = self.rules.idle_timeout.filter(|_| quiet);
                idle.map(|idle| (self.active + idle, Late::Idle))
            }
        };
        let earliest = [writing, other].into_iter().flatten().min_by_key(|(deadline, _)| *deadline);
        let fired = self.alarm.poll(earliest.map(|(deadline, _)| deadline), context);
        match (fired, earliest) {
            (Poll::Ready(()), Some((_, late))) => Poll::Ready(self.give_up(late, now)),
            (Poll::Ready(()), None) | (Poll::Pending, _) => Poll::Pending,
        }
    }

    fn frame_deadline(&self) -> Instant {
        let seconds = self.wire.buffered_bytes() as u64 / FRAME_BYTES_PER_SECOND;
        self.frame_since + self.rules.frame_timeout + Duration::from_secs(seconds)
    }

    fn give_up(&mut self, late: Late, now: Instant) -> Ending {
        match late {
            Late::Idle => None,
            Late::Writing => {
                let detail =
                    format!("nothing was read for {:?} {}", self.rules.write_timeout, self.by());
                Some(Problem { code: codes::PEER_NOT_READING, detail })
            }
            Late::Frame => {
                let (bytes, time) = (self.wire.buffered_bytes(), now - self.frame_since);
                let detail =
                    format!("{bytes} bytes of a message in {} s {}", time.as_secs(), self.from());
                Some(Problem { code: codes::FRAME_INCOMPLETE, detail })
            }
            Late::Stopping if self.answers.owed() == 0 => None,
            Late::Stopping => {
                let detail =
                    format!("{} replies were not ready in time {}", self.answers.owed(), self.to());
                Some(Problem { code: codes::REPLY_UNDELIVERED, detail })
            }
        }
    }

    fn report(&self, code: &'static str, detail: String) {
        tracing::warn!(code, detail, "mllp source had a problem");
        self.health.problem(Problem { code, detail });
    }

    fn address(&self) -> String {
        self.peer.address.map_or_else(|| "a partner".to_owned(), |address| address.to_string())
    }

    fn from(&self) -> String {
        format!("from {}", self.address())
    }

    fn to(&self) -> String {
        format!("to {}", self.address())
    }

    fn by(&self) -> String {
        format!("by {}", self.address())
    }
}

/// Which deadline has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Late {
    Idle,
    Frame,
    Writing,
    Stopping,
}
