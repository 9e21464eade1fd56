//! The book itself.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use pipehat_vault::{Failure, Key, VaultError};
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, params};

use super::run::{BotCounts, BotRun, RunQuery, RunState, RunSummary};
use super::schema::{APPLICATION_ID, COLUMNS, SCHEMA_VERSION, SUMMARY, TABLES};

/// How long records of runs that nobody was promised may come together.
pub const LINGER: Duration = Duration::from_millis(20);

/// So many of them may wait; whoever brings more writes them himself.
const LATER_MAX: usize = 256;

/// The most values that a bot or a channel keeps.
pub const STATE_KEYS_MAX: u64 = 10_000;

/// The largest value.
pub const STATE_VALUE_BYTES_MAX: usize = 256 * 1024;

/// The longest key of one.
pub const STATE_KEY_BYTES_MAX: usize = 512;

/// Why the book can't answer.
#[derive(Debug, thiserror::Error)]
pub enum BotBookError {
    /// The database fails.
    #[error("the book of bots can't be read or written")]
    Database(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It is not what this key wrote, or of a later release.
    #[error("the file is no book of bots of this installation, or of a later release")]
    Foreign,
    /// A bot keeps too much.
    #[error(
        "a bot or channel keeps at most {STATE_KEYS_MAX} values of {STATE_VALUE_BYTES_MAX} bytes"
    )]
    TooMuch,
}

impl From<rusqlite::Error> for BotBookError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(Box::new(error))
    }
}

/// The largest whole number that JavaScript counts exactly.
const WHOLE_NUMBER_MAX: u64 = 9_007_199_254_740_991;

/// The book of bots, in one file. Its calls may block: for threads that may, too.
pub struct BotBook {
    inner: Arc<Inner>,
    writer: Option<JoinHandle<()>>,
}

struct Inner {
    connection: Mutex<Connection>,
    later: Mutex<Vec<BotRun>>,
    wake: Condvar,
    closed: AtomicBool,
    next: AtomicU64,
}

impl std::fmt::Debug for BotBook {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("BotBook").finish_non_exhaustive()
    }
}

impl BotBook {
    /// Opens the book, or makes it. Promised runs that were under way wait again from `now`.
    ///
    /// # Errors
    /// When the file can't be opened, or is none of ours.
    pub fn open(path: &Path, key: [u8; 32], now: i64) -> Result<Self, BotBookError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = pipehat_vault::open(path, &Key::new(key), flags).map_err(refused)?;
        connection.busy_timeout(Duration::from_secs(10))?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "trusted_schema", false)?;
        connection.set_prepared_statement_cache_capacity(32);
        let pragma =
            |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        match (pragma("application_id")?, pragma("user_version")?) {
            (0, 0) => connection.execute_batch(&format!(
                "BEGIN; {TABLES} PRAGMA application_id = {APPLICATION_ID};
                 PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
            ))?,
            (APPLICATION_ID, SCHEMA_VERSION) => {}
            _ => return Err(BotBookError::Foreign),
        }
        connection.execute("UPDATE runs SET state = 0, due = ?1 WHERE state = 1", [now])?;
        let last: Option<i64> =
            connection.query_row("SELECT max(id) FROM runs", [], |row| row.get(0))?;
        let next = u64::try_from(last.unwrap_or(0)).unwrap_or(0).saturating_add(1);
        let inner = Arc::new(Inner {
            connection: Mutex::new(connection),
            later: Mutex::default(),
            wake: Condvar::new(),
            closed: AtomicBool::new(false),
            next: AtomicU64::new(next),
        });
        let own = Arc::clone(&inner);
        let writer = std::thread::Builder::new().name("bot-book".to_owned());
        let writer = writer
            .spawn(move || own.write_later())
            .map_err(|error| BotBookError::Database(Box::new(error)))?;
        Ok(Self { inner, writer: Some(writer) })
    }

    /// The number of another run.
    pub fn number(&self) -> u64 {
        self.inner.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Writes a run, in place of what has its number. It is on stable storage when this returns.
    ///
    /// # Errors
    /// The database fails; so with all that follow.
    pub fn put(&self, run: &BotRun) -> Result<(), BotBookError> {
        let connection = self.connection()?;
        put(&connection, run)?;
        Ok(())
    }

    /// Writes a run within [`LINGER`].
    pub fn put_later(&self, run: BotRun) {
        let mut later = self.inner.later();
        later.push(run);
        if later.len() < LATER_MAX {
            self.inner.wake.notify_one();
            return;
        }
        drop(later);
        if let Err(error) = self.connection() {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "runs of bots can't be recorded"
            );
        }
    }

    /// The runs that are to be tried by now, marked as running, the one that waits longest first.
    ///
    /// # Errors
    /// See [`Self::put`].
    pub fn take_due(&self, now: i64, limit: usize) -> Result<Vec<BotRun>, BotBookError> {
        let connection = self.connection()?;
        let transaction = connection.unchecked_transaction()?;
        let sql = format!(
            "SELECT {COLUMNS} FROM runs WHERE state = 0 AND due <= ?1 ORDER BY due, id LIMIT ?2"
        );
        let mut runs = {
            let mut statement = transaction.prepare_cached(&sql)?;
            let rows = statement.query_map(params![now, integer(limit)], run)?;
            rows.collect::<Result<Vec<_>, _>>()?
        };
        for run in &mut runs {
            run.state = RunState::Running;
            transaction.execute("UPDATE runs SET state = 1 WHERE id = ?1", [number(run.id)])?;
        }
        transaction.commit()?;
        Ok(runs)
    }

    /// When the next run is to be tried.
    ///
    /// # Errors
    /// See [`Self::put`].
    pub fn next_due(&self) -> Result<Option<i64>, BotBookError> {
        let sql = "SELECT min(due) FROM runs WHERE state = 0";
        Ok(self.connection()?.query_row(sql, [], |row| row.get(0))?)
    }

    /// A run by its number.
    ///
    /// # Errors
    /// See [`Self::put`].
    pub fn run(&self, id: u64) -> Result<Option<BotRun>, BotBookError> {
        let sql = format!("SELECT {COLUMNS} FROM runs WHERE id = ?1");
        Ok(self.connection()?.query_row(&sql, [number(id)], run).optional()?)
    }

    /// Runs, the latest first.
    ///
    /// # Errors
    /// See [`Self::put`].
    pub fn runs(&self, query: &RunQuery) -> Result<Vec<RunSummary>, BotBookError> {
        let mut sql = format!("SELECT {SUMMARY} FROM runs WHERE id < ?1");
        if query.bot.is_some() {
            sql.push_str(" AND bot = ?2");
        }
        if query.state.is_some() {
            sql.push_str(" AND state = ?3");
        }
        sql.push_str(" AND (?2 IS NULL OR 1) AND (?3 IS NULL OR 1) ORDER BY id DESC LIMIT ?4");
        let before = query.before.map_or(i64::MAX, number);
        let connection = self.connection()?;
        let mut statement = connection.prepare_cached(&sql)?;
        let state = query.state.map(RunState::number);
        let rows = statement
            .query_map(params![before, query.bot, state, integer(query.limit)], summary)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// How many runs of each bot wait, and how many were given up.
    ///
    /// # Errors
    /// See [`Self::put`].
    pub fn counts(&self) -> Result<BTreeMap<String, BotCounts>, BotBookError> {
        const FAILING: &str = "state IN (0, 1) AND attempts > 0 AND why IS NOT NULL";
        let sql = format!(
            "SELECT bot, total(state IN (0, 1)), total(state = 4), total({FAILING}), max(CASE WHEN {FAILING} THEN why END)
             FROM runs WHERE state <> 2 GROUP BY bot"
        );
        let connection = self.connection()?;
        let mut statement = connection.prepare_cached(&sql)?;
        let rows = statement.query_map([], |row| {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
            let count = |value: f64| value as u64;
            let counts = BotCounts {
                waiting: count(row.get(1)?),
                dead: count(row.get(2)?),
                failing: count(row.get(3)?),
                why: row.get(4)?,
            };
            Ok((row.get::<_, String>(0)?, counts))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Has runs that were given up, or failed, tried again from now: one, or all dead ones of a bot, or of all. How many.
    ///
    /// # Errors
    /// See [`Self::put`].
    pub fn replay(
        &self,
        id: Option<u64>,
        bot: Option<&str>,
        now: i64,
    ) -> Result<u64, BotBookError> {
        let connection = self.connection()?;
        let changed = match id {
            Some(id) => connection.execute(
                "UPDATE runs SET state = 0, due = ?2, queued = ?2, attempts = 0, ended = NULL
                 WHERE id = ?1 AND state IN (3, 4)",
                params![number(id), now],
            )?,
            None => connection.execute(
                "UPDATE runs SET state = 0, due = ?2, queued = ?2, attempts = 0, ended = NULL
                 WHERE state = 4 AND (?1 IS NULL OR bot = ?1)",
                params![bot, now],
            )?,
        };
        Ok(u64::try_from(changed).unwrap_or(0))
    }

    /// Has runs that were given up count as failed, for a person said why they are not to be done: one, or all of a bot. How many.
    ///
    /// # Errors
    /// See [`Self::put`].
    pub fn discard(
        &self,
        id: Option<u64>,
        bot: Option<&str>,
        reason: &str,
    ) -> Result<u64, BotBookError> {
        let connection = self.connection()?;
        let changed = connection.execute(
            "UPDATE runs SET state = 3, why = 'discarded (' || ?3 || '): ' || coalesce(why, '')
             WHERE state = 4 AND (?1 IS NULL OR id = ?1) AND (?2 IS NULL OR bot = ?2)",
            params![id.map(number), bot, reason],
        )?;
        Ok(u64::try_from(changed).unwrap_or(0))
    }

    /// Forgets the runs of a bot that ended before, at most `limit`; how many.
    ///
    /// # Errors
    /// See [`Self::put`].
    pub fn forget(&self, bot: &str, before: i64, limit: usize) -> Result<u64, BotBookError> {
        let sql = "DELETE FROM runs WHERE id IN
                   (SELECT id FROM runs WHERE bot = ?1 AND ended < ?2 ORDER BY ended LIMIT ?3)";
        let gone = self.connection()?.execute(sql, params![bot, before, integer(limit)])?;
        Ok(u64::try_from(gone).unwrap_or(0))
    }

    /// The bots that have runs.
    ///
    /// # Errors
    /// See [`Self::put`].
    pub fn bots(&self) -> Result<Vec<String>, BotBookError> {
        let connection = self.connection()?;
        let mut statement = connection.prepare_cached("SELECT DISTINCT bot FROM runs")?;
        let rows = statement.query_map([], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// A value that a bot or channel keeps.
    ///
    /// # Errors
    /// See [`Self::put`].
    pub fn value(&self, owner: &str, key: &str) -> Result<Option<String>, BotBookError> {
        let sql = "SELECT value FROM state WHERE owner = ?1 AND key = ?2";
        Ok(self.connection()?.query_row(sql, [owner, key], |row| row.get(0)).optional()?)
    }

    /// Keeps a value, or forgets it. On stable storage when this returns.
    ///
    /// # Errors
    /// See [`Self::put`]; or when it is too large, or there are too many.
    pub fn keep_value(
        &self,
        owner: &str,
        key: &str,
        value: Option<&str>,
    ) -> Result<(), BotBookError> {
        let connection = self.connection()?;
        Self::keep(&connection, owner, key, value)
    }

    /// Adds to a value that is a whole number (none is 0), and gives the sum; nothing comes between. None where the value is
    /// none, or the sum beyond what JavaScript counts exactly.
    ///
    /// # Errors
    /// See [`Self::keep_value`].
    pub fn add_to_value(
        &self,
        owner: &str,
        key: &str,
        by: i64,
    ) -> Result<Option<i64>, BotBookError> {
        let connection = self.connection()?;
        let sql = "SELECT value FROM state WHERE owner = ?1 AND key = ?2";
        let known: Option<String> =
            connection.query_row(sql, [owner, key], |row| row.get(0)).optional()?;
        let sum = match known {
            None => Some(by),
            Some(known) => known.parse::<i64>().ok().and_then(|known| known.checked_add(by)),
        };
        let sum = sum.filter(|sum| sum.unsigned_abs() <= WHOLE_NUMBER_MAX);
        if let Some(sum) = sum {
            Self::keep(&connection, owner, key, Some(&sum.to_string()))?;
        }
        Ok(sum)
    }

    fn keep(
        connection: &Connection,
        owner: &str,
        key: &str,
        value: Option<&str>,
    ) -> Result<(), BotBookError> {
        let Some(value) = value else {
            connection.execute("DELETE FROM state WHERE owner = ?1 AND key = ?2", [owner, key])?;
            return Ok(());
        };
        if value.len().saturating_add(key.len()) > STATE_VALUE_BYTES_MAX {
            return Err(BotBookError::TooMuch);
        }
        let sql = "UPDATE state SET value = ?3 WHERE owner = ?1 AND key = ?2";
        if connection.execute(sql, [owner, key, value])? > 0 {
            return Ok(());
        }
        let sql = "SELECT count(*) FROM state WHERE owner = ?1";
        let count: i64 = connection.query_row(sql, [owner], |row| row.get(0))?;
        if u64::try_from(count).unwrap_or(u64::MAX) >= STATE_KEYS_MAX {
            return Err(BotBookError::TooMuch);
        }
        connection.execute("INSERT INTO state VALUES (?1, ?2, ?3)", [owner, key, value])?;
        Ok(())
    }

    /// Until when the times of a bot were looked after.
    ///
    /// # Errors
    /// See [`Self::put`].
    pub fn clock(&self, bot: &str, times: &str) -> Result<Option<i64>, BotBookError> {
        let sql = "SELECT last FROM cron WHERE bot = ?1 AND times = ?2";
        Ok(self.connection()?.query_row(sql, [bot, times], |row| row.get(0)).optional()?)
    }

    /// Notes that the times of a bot were looked after until then, and the run that came of it, if one did: both or none.
    ///
    /// # Errors
    /// See [`Self::put`].
    pub fn set_clock(
        &self,
        bot: &str,
        times: &str,
        last: i64,
        run: Option<&BotRun>,
    ) -> Result<(), BotBookError> {
        let connection = self.connection()?;
        let transaction = connection.unchecked_transaction()?;
        transaction.execute(
            "INSERT OR REPLACE INTO cron VALUES (?1, ?2, ?3)",
            params![bot, times, last],
        )?;
        if let Some(run) = run {
            put(&transaction, run)?;
        }
        transaction.commit()?;
        Ok(())
    }

    /// The connection, after what waits to be written.
    fn connection(&self) -> Result<MutexGuard<'_, Connection>, BotBookError> {
        let connection = self.inner.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let later = std::mem::take(&mut *self.inner.later());
        write(&connection, &later)?;
        Ok(connection)
    }
}

impl Drop for BotBook {
    fn drop(&mut self) {
        self.inner.closed.store(true, Ordering::Release);
        self.inner.wake.notify_all();
        if let Some(writer) = self.writer.take() {
            // It writes what it has, and has no other way to fail.
            let _ = writer.join();
        }
    }
}

impl Inner {
    fn later(&self) -> MutexGuard<'_, Vec<BotRun>> {
        self.later.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_later(&self) {
        loop {
            let closed = self.closed.load(Ordering::Acquire);
            let later = self.later();
            if later.is_empty() && !closed {
                let waited = self.wake.wait_timeout(later, Duration::from_secs(1));
                drop(waited);
                continue;
            }
            drop(later);
            if !closed {
                std::thread::sleep(LINGER);
            }
            let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
            let later = std::mem::take(&mut *self.later());
            if let Err(error) = write(&connection, &later) {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    runs = later.len(),
                    "runs of bots can't be recorded"
                );
            }
            if closed {
                return;
            }
        }
    }
}

fn write(connection: &Connection, later: &[BotRun]) -> Result<(), rusqlite::Error> {
    if later.is_empty() {
        return Ok(());
    }
    let transaction = connection.unchecked_transaction()?;
    for run in later {
        put(&transaction, run)?;
    }
    transaction.commit()
}

fn put(connection: &Connection, run: &BotRun) -> Result<(), rusqlite::Error> {
    let sql = format!(
        "INSERT OR REPLACE INTO runs ({COLUMNS}) VALUES
         (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22)"
    );
    connection.prepare_cached(&sql)?.execute(params![
        number(run.id),
        run.bot,
        run.revision,
        run.trigger,
        run.source,
        run.state.number(),
        run.queued,
        run.started,
        run.ended,
        run.due,
        run.attempts,
        run.content_type,
        run.input,
        run.headers,
        run.result_type,
        run.result,
        run.why,
        run.error,
        run.log,
        run.effects,
        number(run.took),
        number(run.cpu),
    ])?;
    Ok(())
}

fn run(row: &Row<'_>) -> Result<BotRun, rusqlite::Error> {
    Ok(BotRun {
        id: unsigned(row.get(0)?),
        bot: row.get(1)?,
        revision: row.get(2)?,
        trigger: row.get(3)?,
        source: row.get(4)?,
        state: state(row.get(5)?)?,
        queued: row.get(6)?,
        started: row.get(7)?,
        ended: row.get(8)?,
        due: row.get(9)?,
        attempts: row.get(10)?,
        content_type: row.get(11)?,
        input: row.get(12)?,
        headers: row.get(13)?,
        result_type: row.get(14)?,
        result: row.get(15)?,
        why: row.get(16)?,
        error: row.get(17)?,
        log: row.get(18)?,
        effects: row.get(19)?,
        took: unsigned(row.get(20)?),
        cpu: unsigned(row.get(21)?),
    })
}

fn summary(row: &Row<'_>) -> Result<RunSummary, rusqlite::Error> {
    Ok(RunSummary {
        id: unsigned(row.get(0)?),
        bot: row.get(1)?,
        trigger: row.get(2)?,
        source: row.get(3)?,
        state: state(row.get(4)?)?,
        queued: row.get(5)?,
        ended: row.get(6)?,
        due: row.get(7)?,
        attempts: row.get(8)?,
        why: row.get(9)?,
        took: unsigned(row.get(10)?),
    })
}

fn state(number: i64) -> Result<RunState, rusqlite::Error> {
    RunState::of(number).ok_or(rusqlite::Error::IntegralValueOutOfRange(0, number))
}

fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn integer(value: usize) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

fn refused(error: VaultError) -> BotBookError {
    match error {
        VaultError::Failure {
            failure: Failure::NotSealed | Failure::OtherKey | Failure::Format(_),
            ..
        }
        | VaultError::OpenUnderOtherKey(_) => BotBookError::Foreign,
        VaultError::Sqlite(error) => error.into(),
        error => BotBookError::Database(Box::new(error)),
    }
}
