//! The one thread that writes.
//!
//! It takes all groups that wait, applies them, commits once and answers all: so many writers share one sync of the
//! disk. A group that is refused or fails leaves nothing behind and does not touch others.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::{oneshot, watch};

use super::checkpointer::{Checkpointer, State, checkpoint};
use super::session::{Counters, SqliteSession, Words};
use crate::datastore::apply::{self, Prepared};
use crate::datastore::core::Core;
use crate::datastore::error::DatastoreError;
use crate::datastore::interaction::{Applied, ChangeNumber};
use crate::datastore::sql::{SessionError, ready};

/// How many groups may wait; the next is told that the datastore is busy.
pub(super) const WAITING_MAX: usize = 1024;

/// How many groups share a transaction at most: those behind wait no longer than these take.
const GROUPS_MAX: usize = 64;

/// The log is copied into the database when this many of its pages are not (64 MiB): of a page that was written often,
/// the last.
const CHECKPOINT_PAGES: i64 = 8_192;

/// A log of this many pages (192 MiB) is to begin again: the writer copies what came while it was copied.
const REST_PAGES: i64 = 24_576;

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
        checkpointer: Checkpointer,
        counters: Counters,
        core: Arc<Core>,
        newest: watch::Sender<ChangeNumber>,
    ) -> std::io::Result<Self> {
        let (mailbox, jobs) = sync_channel(WAITING_MAX);
        let thread =
            std::thread::Builder::new().name("datastore-writer".to_owned()).spawn(move || {
                Loop { connection, checkpointer, counters, words: Words::new(), core, newest }
                    .run(&jobs)
            })?;
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
    checkpointer: Checkpointer,
    counters: Counters,
    /// What the transaction has still to write of words.
    words: Words,
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
        self.checkpointer.stop();
        // Closed in good order, the database's one file is whole by itself.
        if let Err(error) = checkpoint(&self.connection, "TRUNCATE") {
            tracing::warn!(%error, "the datastore's log stays beside it");
        }
    }

    fn groups(&mut self, groups: Vec<(Box<Prepared>, Reply<Applied>)>) {
        let before = self.counters;
        let (groups, replies): (Vec<_>, Vec<_>) = groups.into_iter().unzip();
        let applied = self.applied(&groups).and_then(|answers| {
            if self.connection.is_autocommit() {
                // What fails badly (a full disk) takes the whole transaction with it.
                return Err(SessionError::Database("the transaction was rolled back".into()));
            }
            self.session().settle()?;
            self.statement("COMMIT")?;
            Ok(answers)
        });
        self.words.clear();
        match applied {
            Ok(answers) => {
                self.newest.send_if_modified(|newest| {
                    let now = ChangeNumber(self.counters.change);
                    let grown = *newest < now;
                    *newest = now;
                    grown
                });
                for (answer, reply) in answers.into_iter().zip(replies) {
                    // Whoever asked may have gone: it is written all the same.
                    let _ = reply.send(answer.map_err(|error| error.outwards(0)));
                }
            }
            Err(error) => {
                let _ = self.statement("ROLLBACK");
                self.counters = before;
                answer_all(replies.into_iter(), &error);
            }
        }
    }

    /// Applies groups in a transaction that is left open.
    ///
    /// Most are neither refused nor fail. So they are applied without a way to take one of them back, which would copy
    /// every page once more, and make the words of each be written on their own. Where one can't be applied, all are
    /// taken back and applied again, each in a savepoint.
    fn applied(
        &mut self,
        groups: &[Box<Prepared>],
    ) -> Result<Vec<Result<Applied, SessionError>>, SessionError> {
        let before = self.counters;
        self.statement("BEGIN IMMEDIATE")?;
        let mut answers = Vec::with_capacity(groups.len());
        for group in groups {
            let answer = self.apply(group);
            let is_done = matches!(answer, Ok(Applied::Done(_)));
            answers.push(answer);
            if !is_done {
                break;
            }
        }
        if matches!(answers.last(), Some(Ok(Applied::Done(_))) | None) {
            return Ok(answers);
        }
        self.counters = before;
        self.words.clear();
        if !self.connection.is_autocommit() {
            self.statement("ROLLBACK")?;
        }
        self.statement("BEGIN IMMEDIATE")?;
        if let [_] = groups {
            return Ok(answers);
        }
        Ok(groups.iter().map(|group| self.apply_alone(group)).collect())
    }

    /// Applies one group so that it leaves nothing behind where it is refused or fails.
    fn apply_alone(&mut self, group: &Prepared) -> Result<Applied, SessionError> {
        let before = self.counters;
        self.statement("SAVEPOINT one")?;
        let applied = self.apply(group).and_then(|applied| {
            self.session().settle()?;
            Ok(applied)
        });
        if !matches!(applied, Ok(Applied::Done(_))) {
            self.counters = before;
            self.words.clear();
            self.statement("ROLLBACK TO one")?;
        }
        self.statement("RELEASE one")?;
        applied
    }

    /// Applies one group inside the transaction.
    fn apply(&mut self, group: &Prepared) -> Result<Applied, SessionError> {
        let catalogue = self.core.catalogue();
        let mut session = SqliteSession {
            connection: &mut self.connection,
            counters: self.counters,
            words: std::mem::take(&mut self.words),
            deadline: None,
        };
        let applied = ready(apply::apply(&mut session, &self.core, &catalogue, group));
        self.counters = session.counters;
        self.words = session.words;
        applied
    }

    /// A session that leaves what is counted as it is.
    fn session(&mut self) -> SqliteSession<'_> {
        SqliteSession {
            connection: &mut self.connection,
            counters: self.counters,
            words: std::mem::take(&mut self.words),
            deadline: None,
        }
    }

    fn task(&mut self, task: Task) {
        let before = self.counters;
        let mut session = SqliteSession::new(&mut self.connection, self.counters);
        if let Err(error) = session.connection.execute_batch("BEGIN IMMEDIATE") {
            // Without a transaction nothing is to be done: dropping the task says that it was not.
            tracing::warn!(%error, "datastore transaction can't begin");
            return;
        }
        let (outcome, finish) = task(&mut session);
        self.counters = session.counters;
        let ended = match outcome {
            Outcome::Commit => session.settle().and_then(|()| {
                session.connection.execute_batch("COMMIT").map_err(SessionError::from)
            }),
            Outcome::RollBack => Ok(()),
        };
        if ended.is_err() || outcome == Outcome::RollBack {
            self.counters = before;
            let _ = self.connection.execute_batch("ROLLBACK");
        }
        let change = ChangeNumber(self.counters.change);
        self.newest.send_if_modified(|newest| std::mem::replace(newest, change) != change);
        finish(ended.map_err(|error| error.outwards(0)));
    }

    fn statement(&mut self, sql: &str) -> Result<(), SessionError> {
        self.connection.prepare_cached(sql)?.execute([])?;
        Ok(())
    }

    /// Has the log copied into the database when it is long. Readers are not waited for, unless it grows without end.
    fn checkpoint(&mut self) {
        let checkpointed = checkpoint(&self.connection, "NOOP").and_then(|(pages, copied)| {
            let state = self.checkpointer.state();
            if state == State::Copying && pages < RESTART_PAGES {
                return Ok(());
            }
            if pages >= RESTART_PAGES {
                checkpoint(&self.connection, "RESTART").map(drop)
            } else if state == State::Done && pages >= REST_PAGES {
                checkpoint(&self.connection, "PASSIVE").map(drop)
            } else {
                if pages.saturating_sub(copied) >= CHECKPOINT_PAGES {
                    self.checkpointer.copy();
                }
                Ok(())
            }
        });
        if let Err(error) = checkpointed {
            tracing::warn!(%error, "datastore checkpoint failed, tried again later");
        }
    }
}

fn answer_all<T>(replies: impl Iterator<Item = Reply<T>>, error: &SessionError) {
    tracing::error!(%error, "datastore transaction failed");
    for reply in replies {
        let _ = reply.send(Err(DatastoreError::Database(error.to_string().into())));
    }
}
