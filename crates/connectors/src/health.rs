//! What an operator sees of a running source or destination.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;

/// Live facts of one source or destination, shared with whoever shows them.
#[derive(Debug, Default)]
pub struct Health {
    connections: AtomicU64,
    connections_total: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    problems: AtomicU64,
    state: Mutex<Kept>,
}

/// The state, and the latest problem with its time.
type Kept = (LinkState, Option<(Problem, Timestamp)>);

/// Whether the other side is reached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LinkState {
    /// Not tried yet.
    #[default]
    Idle,
    /// Working.
    Up,
    /// Failing; being tried again.
    Down,
    /// Ended by configuration or shutdown.
    Stopped,
}

/// The latest thing that went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The operator code.
    pub code: &'static str,
    /// Where and what, without content.
    pub detail: String,
}

/// The facts at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthSnapshot {
    /// Connections open now.
    pub connections: u64,
    /// Connections opened since start.
    pub connections_total: u64,
    /// Bytes received, framing included.
    pub bytes_in: u64,
    /// Bytes sent, framing included.
    pub bytes_out: u64,
    /// Problems since start.
    pub problems: u64,
    /// Whether the other side is reached.
    pub state: LinkState,
    /// The latest problem, cleared by the next success.
    pub problem: Option<Problem>,
    /// When it was; of one that keeps the other side from being reached, since when.
    pub problem_at: Option<Timestamp>,
}

impl Health {
    /// Counts a connection as open until the guard is dropped.
    pub fn connected(&self) -> Connected<'_> {
        self.connections.fetch_add(1, Ordering::Relaxed);
        self.connections_total.fetch_add(1, Ordering::Relaxed);
        Connected(self)
    }

    /// Counts received bytes.
    pub fn received(&self, bytes: usize) {
        self.bytes_in.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Counts sent bytes.
    pub fn sent(&self, bytes: usize) {
        self.bytes_out.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Notes that the other side works.
    pub fn up(&self) {
        let mut state = self.lock();
        if state.0 != LinkState::Up || state.1.is_some() {
            *state = (LinkState::Up, None);
        }
    }

    /// Notes a problem that keeps the other side from being reached.
    pub fn down(&self, problem: Problem) {
        self.problems.fetch_add(1, Ordering::Relaxed);
        let mut state = self.lock();
        let since = match &*state {
            (LinkState::Down, Some((known, since))) if known.code == problem.code => *since,
            _ => Timestamp::now(),
        };
        *state = (LinkState::Down, Some((problem, since)));
    }

    /// Notes a problem of one message or connection; the rest works.
    pub fn problem(&self, problem: Problem) {
        self.problems.fetch_add(1, Ordering::Relaxed);
        self.lock().1 = Some((problem, Timestamp::now()));
    }

    /// Notes the end.
    pub fn stopped(&self) {
        self.lock().0 = LinkState::Stopped;
    }

    /// The facts now.
    pub fn snapshot(&self) -> HealthSnapshot {
        let (state, problem) = self.lock().clone();
        let (problem, problem_at) = problem.unzip();
        HealthSnapshot {
            connections: self.connections.load(Ordering::Relaxed),
            connections_total: self.connections_total.load(Ordering::Relaxed),
            bytes_in: self.bytes_in.load(Ordering::Relaxed),
            bytes_out: self.bytes_out.load(Ordering::Relaxed),
            problems: self.problems.load(Ordering::Relaxed),
            state,
            problem,
            problem_at,
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// An open connection, counted while this lives.
#[derive(Debug)]
pub struct Connected<'h>(&'h Health);

impl Drop for Connected<'_> {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_has_its_time_and_one_that_lasts_that_of_its_beginning() {
        let health = Health::default();
        let problem = |code| Problem { code, detail: String::new() };
        let at = || health.snapshot().problem_at;
        assert_eq!(at(), None);
        health.down(problem("a.away"));
        let since = at();
        assert!(since.is_some());
        health.down(problem("a.away"));
        assert_eq!(at(), since);
        health.down(problem("a.refused"));
        assert!(at() >= since);
        health.up();
        assert_eq!((at(), health.snapshot().problem), (None, None));
        health.problem(problem("a.message"));
        assert!(at() >= since);
    }
}
