//! The thread that copies the log into the database while the writer goes on.
//!
//! Copying takes some forty milliseconds for each 64 MiB of log, most of it reading, opening, sealing and syncing, which
//! every change would wait for if the writer did it. What is appended meanwhile stays uncopied: the writer itself
//! copies that rest now and then, so that the log begins again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use rusqlite::Connection;

/// What the thread does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing.
    Idle,
    /// It copies.
    Copying,
    /// It has copied since the writer looked last.
    Done,
}

/// The thread and its bell.
pub(super) struct Checkpointer {
    bell: Option<SyncSender<()>>,
    state: Arc<AtomicU8>,
    thread: Option<JoinHandle<()>>,
}

impl Checkpointer {
    pub(super) fn start(connection: Connection) -> std::io::Result<Self> {
        let (bell, rings) = sync_channel(1);
        let state = Arc::new(AtomicU8::new(IDLE));
        let own = Arc::clone(&state);
        let thread = std::thread::Builder::new()
            .name("datastore-checkpoint".to_owned())
            .spawn(move || run(&connection, &rings, &own))?;
        Ok(Self { bell: Some(bell), state, thread: Some(thread) })
    }

    /// Has the log copied, unless that is being done.
    pub(super) fn copy(&self) {
        let Some(bell) = &self.bell else { return };
        if self.state.swap(COPYING, Ordering::AcqRel) != COPYING && bell.try_send(()).is_err() {
            // The thread is gone, by a panic that told of itself: the log grows until the writer copies it.
            self.state.store(COPYING, Ordering::Release);
        }
    }

    /// What it does; `Done` is told once.
    pub(super) fn state(&self) -> State {
        match self.state.load(Ordering::Acquire) {
            COPYING => State::Copying,
            DONE => {
                self.state.store(IDLE, Ordering::Release);
                State::Done
            }
            _ => State::Idle,
        }
    }

    /// Waits until it has finished, and ends it.
    pub(super) fn stop(&mut self) {
        self.bell = None;
        if let Some(thread) = self.thread.take() {
            // A panic has been told by the panic itself.
            let _ = thread.join();
        }
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.stop();
    }
}

const IDLE: u8 = 0;
const COPYING: u8 = 1;
const DONE: u8 = 2;

fn run(connection: &Connection, rings: &Receiver<()>, state: &AtomicU8) {
    while rings.recv().is_ok() {
        if let Err(error) = checkpoint(connection, "PASSIVE") {
            tracing::warn!(%error, "datastore checkpoint failed, tried again later");
        }
        state.store(DONE, Ordering::Release);
    }
}

/// Checkpoints in this mode; gives the pages of the log, and how many of them were copied.
pub(super) fn checkpoint(
    connection: &Connection,
    mode: &str,
) -> Result<(i64, i64), rusqlite::Error> {
    let sql = format!("PRAGMA wal_checkpoint({mode})");
    connection.prepare_cached(&sql)?.query_row([], |row| Ok((row.get(1)?, row.get(2)?)))
}
