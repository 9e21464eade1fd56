//! Where appends wait for the writer: bounded by bytes, in order.

use std::{
    collections::VecDeque,
    hint,
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use crate::{AppendError, Durable, Flush, NewRecord};

/// One append. A refused one has no records any more: it only waits for its turn to be answered.
pub(crate) struct Waiting {
    pub(crate) records: Vec<NewRecord>,
    pub(crate) bytes: usize,
    pub(crate) refused: Option<AppendError>,
    pub(crate) done: Durable,
}

pub(crate) struct Queue {
    state: Mutex<State>,
    arrived: Condvar,
    /// Set with `State::due`, so that the writer can look without the lock.
    due: AtomicBool,
    waiting_bytes_max: usize,
    group_bytes_max: usize,
    later_max: Duration,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Waiting>,
    /// Of the appends above and of those that the writer took and has not answered.
    bytes: usize,
    /// Of the appends above.
    queued_bytes: usize,
    /// One was refused for want of room: those behind it are refused too, until it has been
    /// answered, so that none overtakes it.
    refusing: bool,
    /// Something is to be written at once.
    due: bool,
    /// When the oldest append that may wait has waited long enough.
    due_at: Option<Instant>,
    asleep: bool,
    closed: bool,
}

impl Queue {
    pub(crate) fn new(
        waiting_bytes_max: usize,
        group_bytes_max: usize,
        later_max: Duration,
    ) -> Queue {
        Queue {
            state: Mutex::default(),
            arrived: Condvar::new(),
            due: AtomicBool::new(false),
            waiting_bytes_max,
            group_bytes_max,
            later_max,
        }
    }

    /// Puts an append at the end; gives it back when the queue is closed. One that does not fit is
    /// queued without its records, to be answered [`AppendError::Full`] in its turn.
    pub(crate) fn push(&self, mut append: Waiting, flush: Flush) -> Result<(), Waiting> {
        let mut state = self.lock();
        if state.closed {
            return Err(append);
        }
        let full = state.refusing || state.bytes + append.bytes > self.waiting_bytes_max;
        if append.refused.is_none() && full {
            append.refused = Some(AppendError::Full);
            state.refusing = true;
        }
        if append.refused.is_some() {
            append.bytes = 0;
            append.records = Vec::new();
        }
        state.bytes += append.bytes;
        state.queued_bytes += append.bytes;
        let urgent = flush == Flush::Now
            || append.refused.is_some()
            || state.queued_bytes >= self.group_bytes_max;
        state.waiting.push_back(append);
        let mut wake = false;
        if urgent {
            wake = !state.due;
            state.due = true;
            self.due.store(true, Ordering::Release);
        } else if state.due_at.is_none() {
            state.due_at = Instant::now().checked_add(self.later_max);
            wake = !state.due;
        }
        wake &= state.asleep;
        drop(state);
        if wake {
            self.arrived.notify_one();
        }
        Ok(())
    }

    /// Waits until something is due and takes what waits, up to the size of a group; `None` once
    /// the queue is closed and empty. Looks out for `spin` before it goes to sleep.
    pub(crate) fn take(&self, spin: Duration) -> Option<Vec<Waiting>> {
        self.look_out(spin);
        let mut state = self.lock();
        loop {
            if state.due || (state.closed && !state.waiting.is_empty()) {
                return Some(self.split(&mut state));
            }
            if state.closed {
                return None;
            }
            state.asleep = true;
            state = match state.due_at {
                None => self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(due_at) => {
                    let left = due_at.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        state.asleep = false;
                        return Some(self.split(&mut state));
                    }
                    let waited = self.arrived.wait_timeout(state, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
            state.asleep = false;
        }
    }

    fn look_out(&self, spin: Duration) {
        if spin.is_zero() {
            return;
        }
        let start = Instant::now();
        while !self.due.load(Ordering::Acquire) && start.elapsed() < spin {
            hint::spin_loop();
        }
    }

    fn split(&self, state: &mut State) -> Vec<Waiting> {
        let mut bytes = 0_usize;
        let fitting = state
            .waiting
            .iter()
            .take_while(|append| {
                let first = bytes == 0;
                bytes += append.bytes;
                first || bytes <= self.group_bytes_max
            })
            .count();
        let taken: Vec<Waiting> = state.waiting.drain(..fitting).collect();
        state.queued_bytes -= taken.iter().map(|append| append.bytes).sum::<usize>();
        if state.waiting.is_empty() {
            state.refusing = false;
        }
        state.due = !state.waiting.is_empty();
        state.due_at = None;
        self.due.store(state.due, Ordering::Release);
        taken
    }

    /// Refuses all that waits: an append before them failed, and none may overtake it.
    pub(crate) fn refuse_waiting(&self, error: &AppendError) {
        let mut state = self.lock();
        let mut freed = 0;
        for append in &mut state.waiting {
            if append.refused.is_none() {
                append.refused = Some(error.clone());
                freed += std::mem::take(&mut append.bytes);
                append.records = Vec::new();
            }
        }
        state.bytes -= freed;
        state.queued_bytes -= freed;
    }

    /// Makes room for what the writer has answered.
    pub(crate) fn release(&self, bytes: usize) {
        self.lock().bytes -= bytes;
    }

    pub(crate) fn waiting_bytes(&self) -> usize {
        self.lock().bytes
    }

    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.arrived.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
