//! The replies a connection owes, in the order of its messages.

use std::collections::VecDeque;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use pipehat_message::mllp::{COMMIT_ACKNOWLEDGMENT, COMMIT_NEGATIVE_ACKNOWLEDGMENT};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::mllp::wire::Wire;
use crate::{Receipt, ReceiptOutcome};

/// Messages of one connection that may wait for their receipts at once: more than a group commit gathers from one.
const UNDER_WAY_MAX: usize = 64;

/// No further message is taken from a connection while so many bytes of it wait for their receipts.
const UNDER_WAY_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Application acknowledgments a connection may wait for; further messages are not read before some have left.
const LATER_MAX: usize = 1024;

/// What is owed to a partner.
pub(super) struct Answers {
    commit: CommitBytes,
    in_order: VecDeque<Answer>,
    under_way_bytes: usize,
    later: FuturesUnordered<BoxFuture<'static, Option<Bytes>>>,
}

/// Whether the partner speaks MLLP release 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CommitBytes {
    Sent,
    NotSent,
}

enum Answer {
    Awaited {
        receipt: BoxFuture<'static, Receipt>,
        bytes: usize,
    },
    /// No to a message that the engine never saw, with the reply that says so.
    Refusal(Option<Bytes>),
}

/// What became ready.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Progress {
    /// Something was put in line.
    pub(super) any: bool,
    /// A message was kept.
    pub(super) kept: bool,
}

impl Answers {
    pub(super) fn new(commit: CommitBytes) -> Self {
        let (in_order, later) = (VecDeque::new(), FuturesUnordered::new());
        Self { commit, in_order, under_way_bytes: 0, later }
    }

    /// Whether another message may be taken.
    pub(super) fn has_room(&self) -> bool {
        self.in_order.len() < UNDER_WAY_MAX
            && self.under_way_bytes < UNDER_WAY_BYTES_MAX
            && self.later.len() < LATER_MAX
    }

    /// How many replies are owed, those that follow later not counted.
    pub(super) fn owed(&self) -> usize {
        self.in_order.len()
    }

    /// How many application acknowledgments are still to come.
    pub(super) fn later(&self) -> usize {
        self.later.len()
    }

    /// Forgets the application acknowledgments: nobody is there to hear them.
    pub(super) fn forget_later(&mut self) {
        self.later.clear();
    }

    /// The engine has taken a message of so many bytes.
    pub(super) fn await_receipt(&mut self, receipt: BoxFuture<'static, Receipt>, bytes: usize) {
        self.under_way_bytes = self.under_way_bytes.saturating_add(bytes);
        self.in_order.push_back(Answer::Awaited { receipt, bytes });
    }

    /// A message is refused without having been taken.
    pub(super) fn refuse(&mut self, reply: Option<Bytes>) {
        self.in_order.push_back(Answer::Refusal(reply));
    }

    /// Puts replies in line, oldest first. Only the oldest is asked: the others could not leave before it.
    pub(super) fn poll<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        wire: &mut Wire<S>,
        context: &mut Context<'_>,
    ) -> Progress {
        let mut progress = Progress::default();
        while let Some(answer) = self.in_order.front_mut() {
            let (outcome, reply) = match answer {
                Answer::Refusal(reply) => (ReceiptOutcome::Rejected, reply.take()),
                Answer::Awaited { receipt, bytes } => {
                    let Poll::Ready(receipt) = receipt.as_mut().poll(context) else { break };
                    self.under_way_bytes = self.under_way_bytes.saturating_sub(*bytes);
                    self.later.extend(receipt.later);
                    (receipt.outcome, receipt.reply)
                }
            };
            self.in_order.pop_front();
            self.queue(outcome, reply, wire);
            progress.any = true;
            progress.kept |= outcome == ReceiptOutcome::Kept;
        }
        while !self.later.is_empty() {
            let Poll::Ready(Some(reply)) = self.later.poll_next_unpin(context) else { break };
            reply.into_iter().for_each(|reply| wire.queue_frame(reply));
            progress.any = true;
        }
        progress
    }

    /// With commit bytes, a partner that hears "not kept" takes the message as not sent, and expects no acknowledgment.
    fn queue<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        outcome: ReceiptOutcome,
        reply: Option<Bytes>,
        wire: &mut Wire<S>,
    ) {
        match (self.commit, outcome) {
            (CommitBytes::NotSent, _) => {}
            (CommitBytes::Sent, ReceiptOutcome::Kept) => wire.queue_raw(&COMMIT_ACKNOWLEDGMENT),
            (CommitBytes::Sent, ReceiptOutcome::Rejected | ReceiptOutcome::Busy) => {
                return wire.queue_raw(&COMMIT_NEGATIVE_ACKNOWLEDGMENT);
            }
        }
        reply.into_iter().for_each(|reply| wire.queue_frame(reply));
    }
}
