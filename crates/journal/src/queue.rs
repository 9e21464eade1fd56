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

use crate::{AppendError, Durable, Flush, NewRecord, Turn};

/// One append. A refused one has no records any more: it only waits for its turn to be answered.
pub(crate) struct Waiting {
    pub(crate) records: Vec<NewRecord>,
    pub(crate) bytes: usize,
    pub(crate) refused: Option<AppendError>,
    pub(crate) turn: Turn,
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
        if append.refused.is_none() && append.turn.is_past() {
            append.refused = Some(AppendError::Overtakes);
        } else if append.refused.is_none() && full {
            append.refused = Some(AppendError::Full);
            append.turn.fail();
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

    /// Refuses all that waits: those that the writer took failed, and none may overtake them. Whoever comes
    /// before it is told of them is refused by its turn.
    pub(crate) fn refuse_waiting(&self, error: &AppendError, failed: &[Waiting]) {
        let mut state = self.lock();
        for append in failed.iter().filter(|append| append.refused.is_none()) {
            append.turn.fail();
        }
        let mut freed = 0;
        for append in &mut state.waiting {
            if append.refused.is_none() {
                append.refused = Some(error.clone());
                append.turn.fail();
                freed += std::mem::take(&mut append.bytes);
                append.records = Vec::new();
            }
        }
        state.bytes -= freed;
        state.queued_bytes -= freed;
    }

    /// Fails an append for a reason, if there is one, or because one before it failed.
    pub(crate) fn fail(
        &self,
        turn: &Turn,
        reason: impl FnOnce() -> Option<AppendError>,
    ) -> Option<AppendError> {
        let _no_one_comes_meanwhile = self.lock();
        if turn.is_past() {
            return Some(AppendError::Overtakes);
        }
        let reason = reason()?;
        turn.fail();
        Some(reason)
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Queue, Waiting};
    use crate::{AppendError, Flush, Order, Turn};

    fn append(bytes: usize, turn: Turn) -> Waiting {
        Waiting { records: Vec::new(), bytes, refused: None, turn, done: Box::new(drop) }
    }

    /// Appends one, takes all that waits, and says why the last of it was refused.
    #[track_caller]
    fn refused(queue: &Queue, bytes: usize, turn: Turn) -> Option<AppendError> {
        assert!(queue.push(append(bytes, turn), Flush::Now).is_ok());
        let last = queue.take(Duration::ZERO).expect("one waits").pop();
        last.expect("one was taken").refused
    }

    #[test]
    fn none_of_an_order_comes_between_a_failure_and_its_answer() {
        let queue = Queue::new(100, 100, Duration::ZERO);
        let (order, other) = (Order::default(), Order::default());
        let (known, others) = (order.failures(), other.failures());
        assert!(queue.push(append(10, order.after(known)), Flush::Now).is_ok());
        let taken = queue.take(Duration::ZERO).expect("one waits");
        assert!(queue.push(append(10, other.after(others)), Flush::Later).is_ok());
        queue.refuse_waiting(&AppendError::DiskFull, &taken);
        queue.release(10);
        // Nobody has been told of the failure yet.
        let late = refused(&queue, 10, order.after(known));
        assert!(matches!(late, Some(AppendError::Overtakes)), "{late:?}");
        assert!(refused(&queue, 10, other.after(others)).is_some(), "what waited failed, too");
        assert!(refused(&queue, 10, order.after(order.failures())).is_none());
        assert!(refused(&queue, 10, Turn::default()).is_none());
    }

    #[test]
    fn none_of_an_order_overtakes_one_that_found_no_room() {
        let queue = Queue::new(100, 100, Duration::ZERO);
        let order = Order::default();
        let known = order.failures();
        let large = refused(&queue, 101, order.after(known));
        assert!(matches!(large, Some(AppendError::Full)), "{large:?}");
        let late = refused(&queue, 1, order.after(known));
        assert!(matches!(late, Some(AppendError::Overtakes)), "{late:?}");
        assert!(refused(&queue, 1, order.after(order.failures())).is_none());
    }
}
