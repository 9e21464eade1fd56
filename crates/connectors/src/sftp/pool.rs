//! The connections to one server: opened when they are needed, bounded, and closed when they are not.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::SftpError;
use super::config::Rules;
use super::connection::Connection;

/// How long a refused login is not repeated: servers lock out who tries too often.
const LOGIN_PAUSE: Duration = Duration::from_secs(30);

/// Connections of one server.
pub(super) struct Pool {
    rules: Rules,
    places: Arc<Semaphore>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The one used last is at the end.
    idle: Vec<(Connection, Instant)>,
    /// Closes idle ones; ends with the pool.
    closing: Option<AbortHandle>,
    refused: Option<(SftpError, Instant)>,
}

/// A connection that somebody uses. Dropped, it is closed; [`Lease::give_back`] keeps it.
pub(super) struct Lease {
    pub(super) connection: Connection,
    /// Whether others used it before, so that it may be dead by now.
    pub(super) used_before: bool,
    pool: Arc<Pool>,
    _place: OwnedSemaphorePermit,
}

impl Pool {
    pub(super) fn new(rules: Rules) -> Arc<Self> {
        let places = Arc::new(Semaphore::new(rules.connections));
        Arc::new(Self { rules, places, state: Mutex::default() })
    }

    pub(super) fn rules(&self) -> &Rules {
        &self.rules
    }

    /// A connection: an idle one, or a new one.
    pub(super) async fn lease(self: &Arc<Self>, deadline: Instant) -> Result<Lease, SftpError> {
        let place = self.place(deadline).await?;
        let reused = self.state().take_idle();
        match reused {
            Some(mut connection) => {
                connection.session.deadline = deadline;
                Ok(self.leased(connection, place, true))
            }
            None => self.open(place, deadline).await,
        }
    }

    /// A new connection, after an idle one turned out to be dead. Others that were idle as long go with it.
    pub(super) async fn lease_new(self: &Arc<Self>, deadline: Instant) -> Result<Lease, SftpError> {
        self.state().idle.clear();
        let place = self.place(deadline).await?;
        self.open(place, deadline).await
    }

    async fn place(&self, deadline: Instant) -> Result<OwnedSemaphorePermit, SftpError> {
        let busy = SftpError::Busy { connections: self.rules.connections };
        let acquiring = Arc::clone(&self.places).acquire_owned();
        // It is never closed.
        timeout_at(deadline, acquiring).await.ok().and_then(Result::ok).ok_or(busy)
    }

    async fn open(
        self: &Arc<Self>,
        place: OwnedSemaphorePermit,
        deadline: Instant,
    ) -> Result<Lease, SftpError> {
        if let Some((refusal, until)) = self.state().refused.clone() {
            let again = until.saturating_duration_since(Instant::now());
            if !again.is_zero() {
                return Err(SftpError::LoginRefusedBefore { refusal: Box::new(refusal), again });
            }
        }
        let opened = Connection::open(&self.rules, deadline).await;
        let until = Instant::now().checked_add(LOGIN_PAUSE);
        self.state().refused = match &opened {
            Err(refusal @ SftpError::LoginRefused { .. }) => {
                until.map(|until| (refusal.clone(), until))
            }
            _ => None,
        };
        Ok(self.leased(opened?, place, false))
    }

    fn leased(
        self: &Arc<Self>,
        connection: Connection,
        place: OwnedSemaphorePermit,
        used_before: bool,
    ) -> Lease {
        Lease { connection, used_before, pool: Arc::clone(self), _place: place }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take_idle(&mut self) -> Option<Connection> {
        while let Some((connection, _)) = self.idle.pop() {
            if !connection.is_closed() {
                return Some(connection);
            }
        }
        None
    }
}

impl Lease {
    /// Keeps the connection for the next.
    pub(super) fn give_back(self) {
        let Self { connection, pool, .. } = self;
        let Some(until) = Instant::now().checked_add(pool.rules.idle_timeout) else { return };
        let mut state = pool.state();
        state.idle.push((connection, until));
        let runs = state.closing.as_ref().is_some_and(|task| !task.is_finished());
        if !runs {
            let task = tokio::spawn(close_idle(Arc::downgrade(&pool)));
            state.closing = Some(task.abort_handle());
        }
    }
}

/// The pool is the owner of the task, and ends it.
impl Drop for Pool {
    fn drop(&mut self) {
        if let Some(task) = self.state().closing.take() {
            task.abort();
        }
    }
}

/// Closes connections that nobody needed for long, until none is left.
async fn close_idle(pool: Weak<Pool>) {
    loop {
        let Some(next) = pool.upgrade() else { return };
        let first = {
            let mut state = next.state();
            let first = state.idle.first().map(|(_, until)| *until);
            if first.is_none() {
                // Under the lock, so that whoever gives one back now starts another.
                state.closing = None;
            }
            first
        };
        drop(next);
        let Some(first) = first else { return };
        sleep_until(first).await;
        let Some(next) = pool.upgrade() else { return };
        let overdue: Vec<_> = {
            let mut state = next.state();
            let now = Instant::now();
            let count = state.idle.iter().take_while(|(_, until)| *until <= now).count();
            state.idle.drain(..count).collect()
        };
        drop(next);
        for (connection, _) in overdue {
            connection.close().await;
        }
    }
}
