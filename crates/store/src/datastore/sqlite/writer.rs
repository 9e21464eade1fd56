//! The one thread that writes.
//!
//! It takes all groups that wait, applies each inside a savepoint, commits once and answers all: so many writers
//! share one sync of the disk. A group that is refused or fails leaves nothing behind and does not touch others.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::{oneshot, watch};

use super::session::{Counters, SqliteSession};
use crate::datastore::apply::{self, Prepared};
use crate::datastore::core::Core;
use crate::datastore::error::DatastoreError;
use crate::datastore::interaction::{Applied, ChangeNumber};
use crate::datastore::sql::{SessionError, ready};

/// How many groups may wait; the next is told that the datastore is busy.
pub(super) const WAITING_MAX: usize = 1024;

/// How many groups share a transaction at most: those behind wait no longer than these take.
const GROUPS_MAX: usize = 64;

/// The log is copied into the database when it has this many pages (32 MiB).
const CHECKPOINT_PAGES: i64 = 4096;

/// The log has grown this much because readers always hold it: they have to wait once.
const RESTART_PAGES: i64 = 65_536;

type Reply<T> = oneshot::Sender<Result<T, DatastoreError>>;

/// Work on the writer's connection, inside a transaction of its own.
type Task = Box<dyn FnOnce(&mut SqliteSession<'_>) -> (Outcome, Finish) + Send>;

/// Whether a task's transaction is to be committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Commit,
    RollBack,
}

/// What is left to do when a task's transaction has ended; given the error when it failed.
type Finish = Box<dyn FnOnce(Result<(), DatastoreError>) + Send>;

pub(super) enum Job {
    Apply(Box<Prepared>, Reply<Applied>),
    Task(Task),
}

/// The writer's mailbox and thread.
pub(super) struct Writer {
    mailbox: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// One that refuses everything, of a datastore that is only read.
    pub(super) fn none() -> Self {
        Self { mailbox: None, thread: None }
    }

    pub(super) fn start(
        connection: Connection,
        counters: Counters,
        core: Arc<Core>,
        newest: watch::Sender<ChangeNumber>,
    ) -> std::io::Result<Self> {
        let (mailbox, jobs) = sync_channel(WAITING_MAX);
        let thread = std::thread::Builder::new()
            .name("datastore-writer".to_owned())
            .spawn(move || Loop { connection, counters, core, newest }.run(&jobs))?;
        Ok(Self { mailbox: Some(mailbox), thread: Some(thread) })
    }

    pub(super) fn send(&self, job: Job) -> Result<(), DatastoreError> {
        let Some(mailbox) = &self.mailbox else { return Err(DatastoreError::Closed) };
        mailbox.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => DatastoreError::Busy,
            TrySendError::Disconnected(_) => DatastoreError::Closed,
        })
    }

    /// Runs something in a transaction of the writer.
    pub(super) async fn task<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut SqliteSession<'_>) -> Result<T, SessionError> + Send + 'static,
    ) -> Result<T, DatastoreError> {
        let (reply, answer) = oneshot::channel();
        self.send(Job::Task(Box::new(move |session| {
            let result = work(session);
            let outcome = if result.is_ok() { Outcome::Commit } else { Outcome::RollBack };
            let finish: Finish = Box::new(move |ended| {
                let answer = match (result, ended) {
                    (Err(error), _) => Err(error.outwards(0)),
                    (Ok(_), Err(error)) => Err(error),
                    (Ok(value), Ok(())) => Ok(value),
                };
                // Whoever asked may have gone.
                let _ = reply.send(answer);
            });
            (outcome, finish)
        })))?;
        answer.await.unwrap_or(Err(DatastoreError::Closed))
    }
}

impl Drop for Writer {
    /// What waits is still done.
    fn drop(&mut self) {
        self.mailbox = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the writer has been told by the panic itself.
            let _ = thread.join();
        }
    }
}

struct Loop {
    connection: Connection,
    counters: Counters,
    core: Arc<Core>,
    newest: watch::Sender<ChangeNumber>,
}

impl Loop {
    fn run(mut self, jobs: &Receiver<Job>) {
        while let Ok(first) = jobs.recv() {
            let mut next = Some(first);
            while let Some(job) = next.take() {
                match job {
                    Job::Task(task) => self.task(task),
                    Job::Apply(group, reply) => {
                        let mut groups = vec![(group, reply)];
                        while groups.len() < GROUPS_MAX {
                            match jobs.try_recv() {
                                Ok(Job::Apply(group, reply)) => groups.push((group, reply)),
                                Ok(other) => {
                                    next = Some(other);
                                    break;
                                }
                                Err(_) => break,
                            }
                        }
                        self.groups(groups);
                    }
                }
            }
            self.checkpoint();
        }
        // Closed in good order, the database's one file is whole by itself.
        if let Err(error) = self.checkpoint_in("TRUNCATE") {
            tracing::warn!(%error, "the datastore's log stays beside it");
        }
    }

    fn groups(&mut self, groups: Vec<(Box<Prepared>, Reply<Applied>)>) {
        let before = self.counters;
        if let Err(error) = self.statement("BEGIN IMMEDIATE") {
            answer_all(groups.into_iter().map(|(_, reply)| reply), &error);
            return;
        }
        let mut answers = Vec::with_capacity(groups.len());
        for (group, reply) in groups {
            answers.push((self.group(&group), reply));
        }
        let committed = if self.connection.is_autocommit() {
            // What fails badly (a full disk) takes the whole transaction with it.
            Err(SessionError::Database("the transaction was rolled back".into()))
        } else {
            self.statement("COMMIT")
        };
        match committed {
            Ok(()) => {
                self.newest.send_if_modified(|newest| {
                    let now = ChangeNumber(self.counters.change);
                    let grown = *newest < now;
                    *newest = now;
                    grown
                });
                for (answer, reply) in answers {
                    // Whoever asked may have gone: it is written all the same.
                    let _ = reply.send(answer.map_err(|error| error.outwards(0)));
                }
            }
            Err(error) => {
                let _ = self.statement("ROLLBACK");
                self.counters = before;
                answer_all(answers.into_iter().map(|(_, reply)| reply), &error);
            }
        }
    }

    /// Applies one group inside the transaction.
    fn group(&mut self, group: &Prepared) -> Result<Applied, SessionError> {
        let before = self.counters;
        self.statement("SAVEPOINT one")?;
        let catalogue = self.core.catalogue();
        let mut session =
            SqliteSession { connection: &mut self.connection, counters: self.counters };
        let applied = ready(apply::apply(&mut session, &self.core, &catalogue, group));
        self.counters = session.counters;
        if !matches!(applied, Ok(Applied::Done(_))) {
            self.counters = before;
            self.statement("ROLLBACK TO one")?;
        }
        self.statement("RELEASE one")?;
        applied
    }

    fn task(&mut self, task: Task) {
        let before = self.counters;
        let mut session =
            SqliteSession { connection: &mut self.connection, counters: self.counters };
        if let Err(error) = session.connection.execute_batch("BEGIN IMMEDIATE") {
            // Without a transaction nothing is to be done: dropping the task says that it was not.
            tracing::warn!(%error, "datastore transaction can't begin");
            return;
        }
        let (outcome, finish) = task(&mut session);
        self.counters = session.counters;
        let ended = match outcome {
            Outcome::Commit => self.connection.execute_batch("COMMIT"),
            Outcome::RollBack => Ok(()),
        };
        if ended.is_err() || outcome == Outcome::RollBack {
            self.counters = before;
            let _ = self.connection.execute_batch("ROLLBACK");
        }
        let change = ChangeNumber(self.counters.change);
        self.newest.send_if_modified(|newest| std::mem::replace(newest, change) != change);
        finish(ended.map_err(|error| SessionError::from(error).outwards(0)));
    }

    fn statement(&mut self, sql: &str) -> Result<(), SessionError> {
        self.connection.prepare_cached(sql)?.execute([])?;
        Ok(())
    }

    /// Copies the log into the database when it is long. Readers are not waited for, unless it grows without end.
    fn checkpoint(&mut self) {
        let run = |mode: &str| self.checkpoint_in(mode);
        let checkpointed = run("NOOP").and_then(|(pages, copied)| {
            if pages >= RESTART_PAGES {
                run("RESTART").map(drop)
            } else if pages.saturating_sub(copied) >= CHECKPOINT_PAGES {
                run("PASSIVE").map(drop)
            } else {
                Ok(())
            }
        });
        if let Err(error) = checkpointed {
            tracing::warn!(%error, "datastore checkpoint failed, tried again later");
        }
    }
}

impl Loop {
    /// Checkpoints in this mode; gives the pages of the log, and how many of them were copied.
    fn checkpoint_in(&self, mode: &str) -> Result<(i64, i64), rusqlite::Error> {
        let sql = format!("PRAGMA wal_checkpoint({mode})");
        self.connection.query_row(&sql, [], |row| Ok((row.get(1)?, row.get(2)?)))
    }
}

fn answer_all<T>(replies: impl Iterator<Item = Reply<T>>, error: &SessionError) {
    tracing::error!(%error, "datastore transaction failed");
    for reply in replies {
        let _ = reply.send(Err(DatastoreError::Database(error.to_string().into())));
    }
}
