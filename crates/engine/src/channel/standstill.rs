//! When a channel can't go on for a while: a full disk, a message that holds its lane.

use std::sync::Arc;
use std::time::Instant;

use pipehat_journal::AppendError;
use tokio::sync::oneshot;

use super::conductor::{Blocked, Conductor, DecideError, STALL, Work};
use super::intake::now;
use crate::names::MessageId;
use crate::project::OnFailure;
use crate::record::{Decided, Decision, Disposition, Ended, Processed, ProcessedOutcome};
use crate::retry::RetryPolicy;

impl Conductor {
    /// The outcome of a message could not be kept. One that no journal could keep is parked;
    /// otherwise the message is processed again when the journal works, and nothing of its
    /// channel overtakes it meanwhile.
    pub(super) fn not_processed(&mut self, work: Work, error: &AppendError) {
        self.processing_kept = self.processing_kept.saturating_sub(1);
        if let AppendError::TooLarge { .. } | AppendError::TooManyBodies = error {
            let outcome = Ended {
                disposition: Disposition::Parked,
                code: "program.output-too-large".to_owned(),
                detail: format!("what the steps made of it can't be kept: {error}"),
            };
            let record = self.ended(&work, outcome);
            self.keep_processed(work, record);
            return;
        }
        self.again.insert(work.message, work);
        self.stall_for_a_while();
    }

    /// The record of a message that ends without the steps' doing.
    fn ended(&self, work: &Work, ended: Ended) -> Processed {
        Processed {
            channel: Arc::clone(&self.spec.name),
            message: work.message,
            at: now(),
            revision: self.spec.revision.0,
            lanes: work.lanes.clone(),
            file: None,
            effects: Vec::new(),
            findings: Vec::new(),
            outcome: ProcessedOutcome::Ended(ended),
            reply: None,
            translations: Vec::new(),
        }
    }

    pub(super) fn stall_for_a_while(&mut self) {
        if self.stalled.is_none() {
            tracing::error!(
                channel = &*self.spec.name,
                "the journal can't be written; the channel stands still and tries again"
            );
        }
        self.stalled.get_or_insert_with(|| Instant::now() + STALL);
    }

    /// Goes on after a stall, in the order of acceptance.
    pub(super) fn resume_after_stall(&mut self, now: Instant) {
        if self.stalled.is_none_or(|due| due > now) || self.is_keeping() {
            return;
        }
        self.stalled = None;
        self.known_failures = self.services.log.failures();
        for record in std::mem::take(&mut self.unrecorded).into_values() {
            self.keep_settled(record);
        }
        for (message, work) in std::mem::take(&mut self.again) {
            self.enter(message, work.incoming);
        }
    }

    /// A failing message holds its lanes: `on_failure: stop` until a person decides, `retry` for
    /// a while.
    pub(super) fn block(&mut self, mut blocked: Blocked) {
        blocked.failures = blocked.failures.saturating_add(1);
        if self.spec.on_failure == OnFailure::Retry {
            let pause = RetryPolicy::DEFAULT.pause(blocked.failures, self.jitter());
            blocked.retry_at = Some(Instant::now() + pause);
        }
        tracing::error!(
            channel = &*self.spec.name,
            message_id = blocked.work.message.0.get(),
            code = blocked.code,
            "processing failed; the message holds its lane"
        );
        self.blocked.insert(blocked.work.message, blocked);
    }

    /// Tries again what is due.
    pub(super) fn retry_blocked(&mut self, now: Instant) {
        let due = |blocked: &Blocked| blocked.retry_at.is_some_and(|due| due <= now);
        let messages: Vec<MessageId> = self
            .blocked
            .iter()
            .filter(|(_, blocked)| due(blocked))
            .map(|(message, _)| *message)
            .collect();
        for message in messages {
            match self.blocked.remove(&message) {
                Some(blocked) if blocked.asking.is_some() => self.ask_once(blocked),
                Some(blocked) => self.try_blocked(blocked),
                None => {}
            }
        }
    }

    /// Runs the program from its beginning; what it was answered before is asked for again.
    fn try_blocked(&mut self, blocked: Blocked) {
        self.go_on(blocked, Vec::new());
    }

    /// A decision about a message that holds its lane.
    pub(super) fn decide_blocked(
        &mut self,
        blocked: Blocked,
        decided: &Decided,
        answer: oneshot::Sender<Result<(), DecideError>>,
    ) {
        if matches!(decided.decision, Decision::Reprocess) {
            self.try_blocked(blocked);
        } else {
            let record = self.ended(
                &blocked.work,
                Ended {
                    disposition: Disposition::Superseded,
                    code: "decided.discarded".to_owned(),
                    detail: format!("discarded by {}: {}", decided.by, decided.reason),
                },
            );
            let mut next = Vec::new();
            self.end_work(blocked.ticket, blocked.work, record, &mut next);
            for (ticket, work) in next.into_iter().rev() {
                self.process(ticket, work);
            }
        }
        let _ = answer.send(Ok(()));
    }
}
