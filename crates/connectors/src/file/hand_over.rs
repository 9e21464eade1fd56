//! Gives the messages of one file to the engine, in order, a bounded number at a time.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::{FuturesOrdered, StreamExt};
use tokio_util::sync::CancellationToken;

use super::codes;
use super::notes::Notes;
use super::parts::{Part, PartReader};
use super::reasons::{Reason, Reasons};
use crate::{
    FilePart, Health, Inbound, Intake, IntakeClosed, Numbering, PartOrder, Peer, Problem,
    ReceiptOutcome,
};

/// How long to wait when the engine is busy: the first time, and at most.
const BUSY_WAIT_FIRST: Duration = Duration::from_millis(100);
const BUSY_WAIT_MOST: Duration = Duration::from_secs(5);

/// No further message is given while so many bytes wait for their receipts: a few large messages do as well as many small
/// ones.
const UNDER_WAY_BYTES_MAX: usize = 4 * 1024 * 1024;

/// How the messages of a file fared.
#[derive(Debug)]
pub(super) enum Handed {
    /// Each was kept or refused.
    All,
    /// We are stopping, or the channel is; the rest comes after the next start.
    Stopped,
    /// Reading failed.
    Unreadable(std::io::Error),
}

/// Gives messages to the engine.
///
/// Several may be under way at once. That is exact only because the engine takes the parts of one file in order and
/// without gaps: what it says to be kept ([`Intake::parts_kept`]) is all up to there.
pub(super) struct HandOver<'a> {
    pub(super) intake: &'a Arc<dyn Intake>,
    pub(super) health: &'a Health,
    pub(super) stop: &'a CancellationToken,
    pub(super) key: &'a str,
    pub(super) peer: Arc<Peer>,
    pub(super) notes: &'a Notes,
    pub(super) under_way_max: usize,
}

/// What the engine said of a message, and the message to give it again.
type Answered = (Part, ReceiptOutcome);
type Admitting = BoxFuture<'static, Result<crate::Admission, IntakeClosed>>;

/// Messages on their way.
#[derive(Default)]
struct Flow {
    /// To be given, in order.
    waiting: VecDeque<Part>,
    /// Given, not answered.
    under_way: FuturesOrdered<BoxFuture<'static, Answered>>,
    under_way_bytes: usize,
    /// To be given again, in order.
    again: VecDeque<Part>,
    ended: bool,
    stopped: bool,
}

impl HandOver<'_> {
    /// Hands over all of a file that the engine has not kept yet.
    pub(super) async fn run(&self, reader: &mut PartReader, reasons: &mut Reasons) -> Handed {
        let mut flow = Flow::default();
        let mut busy_wait = BUSY_WAIT_FIRST;
        let mut admitting: Option<Admitting> = None;
        loop {
            if self.stop.is_cancelled() && !flow.stopped {
                admitting = None;
                flow.stopped = true;
            }
            if flow.wants_more(self.under_way_max) {
                let before = reader.read_bytes();
                match reader.next(reasons).await {
                    Ok(part) => flow.add(part),
                    // What is under way is answered first: the next try goes on behind it.
                    Err(error) => {
                        while let Some((part, outcome)) = flow.under_way.next().await {
                            if outcome == ReceiptOutcome::Rejected {
                                self.note_refusal(&part, reasons).await;
                            }
                        }
                        return Handed::Unreadable(error);
                    }
                }
                let read = reader.read_bytes().saturating_sub(before);
                self.health.received(usize::try_from(read).unwrap_or(usize::MAX));
            }
            if flow.under_way.is_empty() && !flow.again.is_empty() && !flow.stopped {
                self.wait_out_busy(&mut busy_wait).await;
                flow.retry();
            }
            if admitting.is_none() && flow.may_give(self.under_way_max) {
                let bytes = flow.waiting.front().map_or(0, |part| part.bytes.len());
                admitting = Some(self.intake.admit(bytes));
            }
            if flow.under_way.is_empty() && admitting.is_none() {
                if flow.is_done() {
                    return Handed::All;
                }
                if flow.stopped {
                    return Handed::Stopped;
                }
                continue;
            }
            // Cancel-safe: neither stream nor admission loses anything when another arm is taken.
            tokio::select! {
                biased;
                Some((part, outcome)) = flow.under_way.next(), if !flow.under_way.is_empty() => {
                    flow.under_way_bytes = flow.under_way_bytes.saturating_sub(part.bytes.len());
                    match outcome {
                        ReceiptOutcome::Kept => busy_wait = BUSY_WAIT_FIRST,
                        ReceiptOutcome::Rejected => self.note_refusal(&part, reasons).await,
                        ReceiptOutcome::Busy => {
                            admitting = None;
                            flow.again.push_back(part);
                        }
                    }
                }
                admission = admitted(&mut admitting), if admitting.is_some() => {
                    admitting = None;
                    match (admission, flow.waiting.pop_front()) {
                        (Ok(admission), Some(part)) => {
                            flow.under_way_bytes = flow.under_way_bytes.saturating_add(part.bytes.len());
                            flow.under_way.push_back(self.give(admission, part));
                        }
                        _ => flow.stopped = true,
                    }
                }
                () = self.stop.cancelled(), if !flow.stopped => {}
            }
        }
    }

    fn give(&self, admission: crate::Admission, part: Part) -> BoxFuture<'static, Answered> {
        let place = FilePart {
            key: self.key.to_owned(),
            index: part.index,
            last: part.last,
            order: PartOrder::Next,
        };
        let bytes: Bytes = part.bytes.clone();
        let inbound = Inbound {
            bytes,
            peer: self.peer.clone(),
            part: Some(place),
            numbering: Numbering::Ignored,
        };
        let receipt = self.intake.receive(admission, inbound);
        async move { (part, receipt.await.outcome) }.boxed()
    }

    /// The engine counts a refused message as kept and does not tell again: it is written down beside the file, for
    /// the case that we are stopped before its end.
    async fn note_refusal(&self, part: &Part, reasons: &mut Reasons) {
        let message = part.index.saturating_add(1);
        reasons.add(Reason::Rejected { message });
        // A note that is lost costs no message: the file then goes to the done folder instead.
        let _ = self.notes.add(message).await;
    }

    async fn wait_out_busy(&self, wait: &mut Duration) {
        let detail = "the engine is busy; the file waits".to_owned();
        self.health.problem(Problem { code: codes::ENGINE_BUSY.code, detail });
        tokio::select! {
            () = tokio::time::sleep(*wait) => {}
            () = self.stop.cancelled() => {}
        }
        *wait = wait.saturating_mul(2).min(BUSY_WAIT_MOST);
    }
}

async fn admitted(admitting: &mut Option<Admitting>) -> Result<crate::Admission, IntakeClosed> {
    match admitting {
        Some(admitting) => admitting.await,
        None => std::future::pending().await,
    }
}

impl Flow {
    fn wants_more(&self, under_way_max: usize) -> bool {
        self.waiting.is_empty() && self.may_go_on(under_way_max) && !self.ended
    }

    fn may_give(&self, under_way_max: usize) -> bool {
        !self.waiting.is_empty() && self.may_go_on(under_way_max)
    }

    /// Nothing new is given while something is to be given again: it comes first.
    fn may_go_on(&self, under_way_max: usize) -> bool {
        self.under_way.len() < under_way_max
            && self.under_way_bytes < UNDER_WAY_BYTES_MAX
            && self.again.is_empty()
            && !self.stopped
    }

    fn add(&mut self, part: Option<Part>) {
        match part {
            Some(part) => self.waiting.push_back(part),
            None => self.ended = true,
        }
    }

    fn retry(&mut self) {
        while let Some(part) = self.again.pop_back() {
            self.waiting.push_front(part);
        }
    }

    fn is_done(&self) -> bool {
        self.ended && self.waiting.is_empty() && self.again.is_empty()
    }
}
