//! One connection of a destination: messages out, acknowledgments in, each credited to its own message.
//!
//! An acknowledgment belongs to the message whose MSH-10 is its MSA-2. One that names a message which was answered or
//! given up before is ignored and counted. One that names any other, or can't be read, leaves nothing that could be
//! trusted: all that is under way is interrupted, and the connection is replaced.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use pipehat_message::mllp::{COMMIT_ACKNOWLEDGMENT, Event};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use crate::mllp::acknowledgment::{self, NOT_COMMITTED, Verdict};
use crate::mllp::alarm::Alarm;
use crate::mllp::applications::Applications;
use crate::mllp::codes;
use crate::mllp::config::{DestinationRules, Expect, OutOfStep};
use crate::mllp::link::{Delivery, Settled};
use crate::mllp::numbers::{self, Step};
use crate::mllp::wire::Wire;
use crate::{Attempt, Health, Problem};

/// How long a closing connection may take to say goodbye.
const GOODBYE: Duration = Duration::from_millis(250);

/// Late acknowledgments that are ignored while nothing else comes; a partner that sends more is out of step.
const LATE_MAX: usize = 1024;

/// An open connection and what is under way on it.
pub(super) struct Exchange<'l, S> {
    wire: Wire<S>,
    rules: &'l DestinationRules,
    health: &'l Health,
    settled: &'l mut Settled,
    applications: Option<&'l Applications>,
    under_way: VecDeque<UnderWay>,
    alarm: Alarm,
    active: Instant,
    written_total: u64,
    late_in_row: usize,
}

/// A message that was queued or written and is not answered.
struct UnderWay {
    delivery: Delivery,
    /// Where its frame begins and ends in what the connection sends.
    begins: u64,
    ends: u64,
    /// What is waited for, once all of it is written.
    stage: Stage,
    /// MSH-10 of the message by which the partner was told to begin to count anew.
    resynchronization: Option<Bytes>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Writing,
    /// An answer must come until then.
    Awaiting(Instant),
    /// The partner was told to begin to count anew, and must answer until then.
    Resynchronizing(Instant),
}

/// Why a connection is not used any more.
pub(super) enum Ending {
    /// Closed in good order, by the partner or by us, with nothing under way.
    Idle,
    /// The destination is being closed.
    Closed,
    /// Given up.
    Lost(Problem),
}

/// What breaks a connection: the code, and what was answered, if that was it.
struct Broken {
    problem: Problem,
    reply: Option<Bytes>,
}

impl Broken {
    fn new(code: &'static str, detail: String) -> Self {
        Self { problem: Problem { code, detail }, reply: None }
    }
}

impl<'l, S: AsyncRead + AsyncWrite + Unpin> Exchange<'l, S> {
    pub(super) fn new(
        stream: S,
        rules: &'l DestinationRules,
        health: &'l Health,
        settled: &'l mut Settled,
        applications: Option<&'l Applications>,
    ) -> Self {
        let now = Instant::now();
        Self {
            wire: Wire::new(stream, rules.message_bytes_max),
            rules,
            health,
            settled,
            applications,
            under_way: VecDeque::new(),
            alarm: Alarm::default(),
            active: now,
            written_total: 0,
            late_in_row: 0,
        }
    }

    /// Sends what comes, beginning with this delivery, until the connection ends.
    pub(super) async fn run(
        mut self,
        first: Delivery,
        mailbox: &mut mpsc::Receiver<Delivery>,
    ) -> Ending {
        self.start(first);
        let ending = poll_fn(|context| self.poll(mailbox, context)).await;
        match ending {
            Ok(ending) => {
                let goodbye = poll_fn(|context| self.wire.poll_shutdown(context));
                // Whether the partner hears it or not: the connection ends here.
                let _ = timeout(GOODBYE, goodbye).await;
                ending
            }
            Err(broken) => {
                self.interrupt(&broken);
                Ending::Lost(broken.problem)
            }
        }
    }

    fn poll(
        &mut self,
        mailbox: &mut mpsc::Receiver<Delivery>,
        context: &mut Context<'_>,
    ) -> Poll<Result<Ending, Broken>> {
        let now = Instant::now();
        loop {
            // Reading comes first: a connection that the partner has closed meanwhile takes no new message.
            let input = self.poll_read(context, now)?;
            if input == Input::Ended {
                return Poll::Ready(Ok(Ending::Idle));
            }
            let started = match self.poll_start(mailbox, context) {
                Poll::Ready(None) if self.under_way.is_empty() => {
                    return Poll::Ready(Ok(Ending::Closed));
                }
                Poll::Ready(Some(())) => true,
                Poll::Ready(None) | Poll::Pending => false,
            };
            let wrote = self.poll_send(context, now)?;
            if input != Input::Read && !started && !wrote {
                break;
            }
        }
        self.poll_deadline(context)
    }

    /// Takes new messages as far as the window allows. `None`: there will be no more.
    fn poll_start(
        &mut self,
        mailbox: &mut mpsc::Receiver<Delivery>,
        context: &mut Context<'_>,
    ) -> Poll<Option<()>> {
        let mut started = Poll::Pending;
        while self.under_way.len() < self.rules.window {
            match mailbox.poll_recv(context) {
                Poll::Ready(Some(delivery)) => {
                    self.start(delivery);
                    started = Poll::Ready(Some(()));
                }
                Poll::Ready(None) if started.is_pending() => return Poll::Ready(None),
                Poll::Ready(None) | Poll::Pending => break,
            }
        }
        started
    }

    fn start(&mut self, delivery: Delivery) {
        if delivery.is_given_up() {
            return;
        }
        let begins = self.wire.queued_total();
        self.wire.queue_frame(delivery.bytes());
        let ends = self.wire.queued_total();
        let stage = Stage::Writing;
        let under_way = UnderWay { delivery, begins, ends, stage, resynchronization: None };
        self.under_way.push_back(under_way);
    }

    /// Writes; whether anything came to its end by that.
    fn poll_send(&mut self, context: &mut Context<'_>, now: Instant) -> Result<bool, Broken> {
        if !self.wire.has_output() {
            return Ok(false);
        }
        let sent = self.wire.poll_send(context, now);
        let written = self.wire.written_total();
        if written > self.written_total {
            let bytes = usize::try_from(written - self.written_total).unwrap_or(usize::MAX);
            self.health.sent(bytes);
            self.written_total = written;
            self.active = now;
            let until = now + self.rules.ack_timeout;
            for one in self.under_way.iter_mut().filter(|one| one.stage == Stage::Writing) {
                if one.ends <= written {
                    one.stage = Stage::Awaiting(until);
                }
            }
        }
        match sent {
            Poll::Ready(Ok(())) => Ok(self.settle_unanswered()),
            Poll::Ready(Err(error)) => {
                Err(Broken::new(codes::CONNECTION_LOST, self.at(&error.kind().to_string())))
            }
            Poll::Pending => Ok(false),
        }
    }

    /// Where no answer comes, what is written is delivered.
    fn settle_unanswered(&mut self) -> bool {
        if self.rules.expect != Expect::Nothing || self.rules.commit_bytes {
            return false;
        }
        let any = !self.under_way.is_empty();
        while let Some(one) = self.under_way.pop_front() {
            one.delivery.answer(Attempt::Delivered { reply: None });
        }
        if any {
            self.health.up();
        }
        any
    }

    fn poll_read(&mut self, context: &mut Context<'_>, now: Instant) -> Result<Input, Broken> {
        let read = match self.wire.poll_fill(context) {
            Poll::Pending => return Ok(Input::Waiting),
            Poll::Ready(read) => read,
        };
        match read {
            Ok(0) if self.under_way.is_empty() => Ok(Input::Ended),
            Ok(0) => Err(Broken::new(codes::CONNECTION_LOST, self.at("closed without an answer"))),
            Ok(bytes) => {
                self.health.received(bytes);
                self.active = now;
                while let Some(event) = self.wire.next_event() {
                    self.handle(event, now)?;
                }
                Ok(Input::Read)
            }
            Err(_) if self.under_way.is_empty() => Ok(Input::Ended),
            Err(error) => {
                Err(Broken::new(codes::CONNECTION_LOST, self.at(&error.kind().to_string())))
            }
        }
    }

    fn handle(&mut self, event: Event, now: Instant) -> Result<(), Broken> {
        if self.rules.expect == Expect::Nothing && !self.rules.commit_bytes {
            return Ok(());
        }
        match event {
            Event::Frame(reply) => self.judge(Bytes::from(reply), now),
            Event::CommitAck => {
                if self.rules.commit_bytes && self.rules.expect == Expect::Nothing {
                    self.settle(0, Attempt::Delivered { reply: None });
                }
                Ok(())
            }
            Event::CommitNak if self.rules.commit_bytes => {
                self.decide(0, NOT_COMMITTED, None, now);
                Ok(())
            }
            Event::CommitNak => Err(Broken::new(
                codes::ACKNOWLEDGMENT_UNREADABLE,
                self.at("a commit byte; see `commit_bytes`"),
            )),
            // Blanks and remains between frames change nothing about the frames.
            Event::Garbage { .. } => Ok(()),
            Event::Oversized { .. } => Err(Broken::new(
                codes::ACKNOWLEDGMENT_UNREADABLE,
                self.at(&format!("an answer of more than {} bytes", self.rules.message_bytes_max)),
            )),
            Event::Unterminated { bytes } => Err(Broken::new(
                codes::ACKNOWLEDGMENT_UNREADABLE,
                self.at(&format!("an answer given up after {bytes} bytes")),
            )),
        }
    }

    fn judge(&mut self, bytes: Bytes, now: Instant) -> Result<(), Broken> {
        if self.rules.commit_bytes {
            self.wire.queue_raw(&COMMIT_ACKNOWLEDGMENT);
        }
        let reply = match acknowledgment::read(&bytes) {
            Ok(reply) => reply,
            Err(error) => {
                let detail = self.at(&error.to_string());
                let broken = Broken::new(codes::ACKNOWLEDGMENT_UNREADABLE, detail);
                return Err(Broken { reply: Some(bytes), ..broken });
            }
        };
        if self.is_resynchronized(reply.control_id, reply.verdict) {
            return Ok(());
        }
        let position = match self.rules.expect {
            Expect::Any => (!self.under_way.is_empty()).then_some(0),
            Expect::Matching | Expect::Nothing => {
                self.under_way.iter().position(|one| one.delivery.control_id() == reply.control_id)
            }
        };
        if let Some(position) = position {
            self.late_in_row = 0;
            let number = self.under_way.get(position).and_then(|one| one.delivery.number());
            let step = number.map_or(Step::As(reply.verdict), |number| {
                numbers::judge(number, reply.verdict, reply.expected_number)
            });
            match step {
                Step::As(verdict) => self.decide(position, verdict, Some(bytes), now),
                Step::OutOfStep => {
                    let said = String::from_utf8_lossy(reply.expected_number).into_owned();
                    self.out_of_step(position, &said, now);
                }
            }
            return Ok(());
        }
        let waits = |applications: &&Applications| {
            applications.answer(reply.control_id, reply.verdict, &bytes)
        };
        if self.applications.filter(waits).is_some() {
            return Ok(());
        }
        if self.settled.take_committed(reply.control_id) {
            self.heed_application(reply.verdict);
            return Ok(());
        }
        self.late_in_row = self.late_in_row.saturating_add(1);
        let known = self.rules.expect == Expect::Any || self.settled.contains(reply.control_id);
        if known && self.late_in_row < LATE_MAX {
            let detail = self.at("an answer to a message that was settled before");
            tracing::warn!(
                code = codes::ACKNOWLEDGMENT_LATE,
                detail,
                "mllp destination had a problem"
            );
            self.health.problem(Problem { code: codes::ACKNOWLEDGMENT_LATE, detail });
            return Ok(());
        }
        let detail = self.at("MSA-2 names no message under way");
        let broken = Broken::new(codes::ACKNOWLEDGMENT_UNMATCHED, detail);
        Err(Broken { reply: Some(bytes), ..broken })
    }

    /// An application acknowledgment that was not waited for: the delivery ended by its commit accept. That the
    /// application takes it is as expected; that it does not, a person must know.
    fn heed_application(&self, verdict: Verdict) {
        let Verdict::Refused(answer) = verdict else { return };
        let detail = self.at(&format!("{} for a message it had committed (CA)", answer.name));
        let code = codes::APPLICATION_REFUSED;
        tracing::warn!(code, detail, "mllp destination had a problem");
        self.health.problem(Problem { code, detail });
    }

    /// The partner expects another number: it is told to begin anew, or nothing more is sent.
    fn out_of_step(&mut self, position: usize, expected: &str, now: Instant) {
        let Some(one) = self.under_way.get_mut(position) else { return };
        let number = one.delivery.number().map_or(0, |numbered| numbered.number);
        let told = one.resynchronization.is_some();
        let resynchronization = numbers::resynchronization(&one.delivery.bytes())
            .filter(|_| self.rules.out_of_step == OutOfStep::Resynchronize && !told);
        if let Some((message, control_id)) = resynchronization {
            one.resynchronization = Some(control_id);
            one.stage = Stage::Resynchronizing(now + self.rules.ack_timeout);
            self.wire.queue_frame(message);
            return;
        }
        // What it expects is a number, and short; anything else is not repeated.
        let expected = expected.parse::<i64>().map_or("no number".to_owned(), |n| n.to_string());
        let detail = self.at(&format!("expects {expected} (MSA-4), and the next is {number}"));
        self.health.problem(Problem { code: codes::OUT_OF_STEP, detail: detail.clone() });
        if let Some(one) = self.under_way.remove(position) {
            self.settled.note(one.delivery.control_id());
            one.delivery.answer(Attempt::NotSent { code: codes::OUT_OF_STEP, detail });
        }
    }

    /// Takes the answer to a resynchronization; the message is sent again after it, with the same number. Without a
    /// positive answer the next answer to the message decides, which finds the partner as far out of step as before.
    fn is_resynchronized(&mut self, control_id: &[u8], verdict: Verdict) -> bool {
        let told = |one: &UnderWay| one.resynchronization.as_deref() == Some(control_id);
        let Some(one) = self.under_way.iter_mut().find(|one| told(one)) else { return false };
        if matches!(one.stage, Stage::Resynchronizing(_)) && !matches!(verdict, Verdict::Refused(_))
        {
            tracing::warn!(code = codes::OUT_OF_STEP, "mllp destination begins to count anew");
        }
        one.begins = self.wire.queued_total();
        self.wire.queue_frame(one.delivery.bytes());
        one.ends = self.wire.queued_total();
        one.stage = Stage::Writing;
        true
    }

    /// What an answer does to the message at this position.
    fn decide(&mut self, position: usize, verdict: Verdict, reply: Option<Bytes>, now: Instant) {
        match verdict {
            Verdict::Committed if self.rules.await_application => match self.applications {
                // It waits off this connection, which others may use and which may end.
                Some(applications) => {
                    if let Some(one) = self.under_way.remove(position) {
                        self.health.up();
                        applications.wait(one.delivery);
                    }
                }
                None => {
                    if let Some(one) = self.under_way.get_mut(position) {
                        one.stage = Stage::Awaiting(now + self.rules.application_timeout);
                    }
                }
            },
            Verdict::Committed | Verdict::Accepted => {
                if let (Verdict::Committed, Some(one)) = (verdict, self.under_way.get(position)) {
                    self.settled.note_committed(one.delivery.control_id());
                }
                self.settle(position, Attempt::Delivered { reply });
            }
            Verdict::Refused(answer) => {
                self.settle(position, Attempt::Refused { code: codes::REFUSED, answer, reply });
            }
        }
    }

    fn settle(&mut self, position: usize, attempt: Attempt) {
        if let Some(one) = self.under_way.remove(position) {
            self.settled.note(one.delivery.control_id());
            self.health.up();
            one.delivery.answer(attempt);
        }
    }

    fn poll_deadline(&mut self, context: &mut Context<'_>) -> Poll<Result<Ending, Broken>> {
        let stalled = self.wire.stalled_since();
        let writing = stalled.map(|since| (since + self.rules.write_timeout, Late::Writing));
        let awaiting = self.under_way.iter().filter_map(|one| match one.stage {
            Stage::Awaiting(until) | Stage::Resynchronizing(until) => Some((until, Late::Answer)),
            Stage::Writing => None,
        });
        let idle = self.rules.idle_timeout.filter(|_| self.under_way.is_empty());
        let idle = idle.map(|idle| (self.active + idle, Late::Idle));
        let earliest = awaiting.chain(writing).chain(idle).min_by_key(|(deadline, _)| *deadline);
        match (self.alarm.poll(earliest.map(|(deadline, _)| deadline), context), earliest) {
            (Poll::Ready(()), Some((_, late))) => Poll::Ready(self.give_up(late)),
            (Poll::Ready(()), None) | (Poll::Pending, _) => Poll::Pending,
        }
    }

    fn give_up(&self, late: Late) -> Result<Ending, Broken> {
        let (code, what) = match late {
            Late::Idle => return Ok(Ending::Idle),
            Late::Answer => {
                let time = self.rules.ack_timeout;
                (codes::ACKNOWLEDGMENT_TIMEOUT, format!("no answer within {time:?}"))
            }
            Late::Writing => {
                let time = self.rules.write_timeout;
                (codes::PEER_NOT_READING, format!("nothing was read for {time:?}"))
            }
        };
        Err(Broken::new(code, self.at(&what)))
    }

    /// Ends everything that is under way, oldest first.
    fn interrupt(&mut self, broken: &Broken) {
        let written = self.wire.written_total();
        let Problem { code, detail } = &broken.problem;
        while let Some(one) = self.under_way.pop_front() {
            let (code, detail) = (*code, detail.clone());
            if one.begins < written {
                self.settled.note(one.delivery.control_id());
                let reply = broken.reply.clone();
                one.delivery.answer(Attempt::Interrupted { code, detail, reply });
            } else {
                one.delivery.answer(Attempt::NotSent { code, detail });
            }
        }
    }

    fn at(&self, what: &str) -> String {
        format!("{}: {what}", self.rules.connect)
    }
}

/// What reading once gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Input {
    Read,
    Waiting,
    /// The partner closed, and nothing was under way.
    Ended,
}

/// Which deadline has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Late {
    Idle,
    Answer,
    Writing,
}
