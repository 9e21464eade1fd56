//! What Subscriptions still have to be told: the book of deliveries.
//!
//! It holds how far the changes of a datastore were looked at, and one row for each change that somebody has to be
//! told and was not: never a resource, only its type, id and version. Both are written in one transaction, so that
//! a restart goes on where the last one stood: nothing is passed over, and what was under way is sent again.
//!
//! A file of its own rather than tables of the datastore: so it never takes a turn of the datastore's writer, and
//! needs no sync of the disk of its own. What the last moments before a power failure wrote may be lost with it,
//! together and in order: those changes are looked at again.
//!
//! Of the rows of one subscription and one resource at most one is the *head*, which may be sent; those behind wait
//! for it. So versions arrive in their order, and a backlog costs disk and not memory.

mod rows;

use std::fs;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use self::rows::{count, counts_of, delivery};
use super::error::DatastoreError;
use super::interaction::{ChangeNumber, ResourceKey};

/// Says of a file that it is a book of deliveries.
const APPLICATION_ID: i64 = 0x5048_4442;

const SCHEMA_VERSION: i64 = 1;

/// How many deliveries of one subscription are kept, waiting and dead together. Beyond it, the subscription has
/// failed.
pub const DELIVERIES_MAX: u64 = 1_000_000;

/// The states of a row: 0 behind another, 1 the head, 2 dead.
const HEAD: i64 = 1;

const SCHEMA: &str = "
    CREATE TABLE facts (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE deliveries (subscription TEXT NOT NULL, change INTEGER NOT NULL, type TEXT NOT NULL,
        id TEXT NOT NULL, version INTEGER NOT NULL, trigger INTEGER NOT NULL, state INTEGER NOT NULL,
        due INTEGER NOT NULL, attempts INTEGER NOT NULL, since INTEGER NOT NULL, ended INTEGER, why TEXT,
        PRIMARY KEY (subscription, change)) WITHOUT ROWID;
    CREATE INDEX deliveries_due ON deliveries (subscription, due, change) WHERE state = 1;
    CREATE INDEX deliveries_old ON deliveries (since) WHERE state = 1;
    CREATE INDEX deliveries_waiting ON deliveries (subscription, type, id, change) WHERE state < 2;
    CREATE INDEX deliveries_dead ON deliveries (change, subscription) WHERE state = 2;
    CREATE TABLE counts (subscription TEXT PRIMARY KEY, waiting INTEGER NOT NULL, dead INTEGER NOT NULL)
        WITHOUT ROWID;
    CREATE TABLE missed (subscription TEXT PRIMARY KEY) WITHOUT ROWID;
    CREATE TRIGGER added AFTER INSERT ON deliveries BEGIN
        INSERT INTO counts VALUES (new.subscription, new.state < 2, new.state = 2)
            ON CONFLICT (subscription) DO UPDATE
            SET waiting = waiting + excluded.waiting, dead = dead + excluded.dead;
    END;
    CREATE TRIGGER turned AFTER UPDATE OF state ON deliveries BEGIN
        UPDATE counts SET waiting = waiting + (new.state < 2) - (old.state < 2),
            dead = dead + (new.state = 2) - (old.state = 2) WHERE subscription = new.subscription;
    END;
    CREATE TRIGGER removed AFTER DELETE ON deliveries BEGIN
        UPDATE counts SET waiting = waiting - (old.state < 2), dead = dead - (old.state = 2)
            WHERE subscription = old.subscription;
    END;";

const COLUMNS: &str =
    "subscription, change, type, id, version, trigger, due, attempts, since, ended, why";

/// What a change did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Trigger {
    /// It made the resource.
    Create,
    /// It made a new version.
    Update,
    /// It deleted the resource.
    Delete,
}

impl Trigger {
    /// Its code: `create`, `update` or `delete`.
    pub fn code(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }

    fn number(self) -> i64 {
        match self {
            Self::Create => 1,
            Self::Update => 2,
            Self::Delete => 3,
        }
    }

    fn of(number: i64) -> Self {
        match number {
            1 => Self::Create,
            3 => Self::Delete,
            _ => Self::Update,
        }
    }
}

/// A change that a subscription is to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matched {
    /// The id of the Subscription.
    pub subscription: String,
    /// Which resource.
    pub key: ResourceKey,
    /// Which version of it.
    pub version: u64,
    /// Its place among all changes.
    pub change: ChangeNumber,
    /// What it did.
    pub trigger: Trigger,
    /// Whether it is to be told.
    pub verdict: Verdict,
}

/// Whether a change is to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It is.
    Tell,
    /// Not known: what decides it failed when the change was read. It is decided before it is told.
    Open,
}

/// The bit of a trigger's number that stands where it is not decided whether the change is told.
const OPEN: i64 = 4;

impl Verdict {
    fn number(self) -> i64 {
        match self {
            Self::Tell => 0,
            Self::Open => OPEN,
        }
    }
}

/// A delivery that waits, or that was given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// What is to be told whom.
    pub matched: Matched,
    /// How often it was tried.
    pub attempts: u32,
    /// When it is to be tried, in microseconds since 1970 (UTC).
    pub due: i64,
    /// Since when it waits.
    pub since: i64,
    /// When it was given up.
    pub ended: Option<i64>,
    /// Why the last attempt failed: never anything of a resource.
    pub why: Option<String>,
}

/// How many deliveries a subscription has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DeliveryCounts {
    /// To be sent.
    pub waiting: u64,
    /// Given up.
    pub dead: u64,
}

/// The book of deliveries, in one file of SQLite. Its calls are short and may block: for threads that may, too.
pub struct DeliveryBook {
    connection: Mutex<Connection>,
}

impl DeliveryBook {
    /// Opens the book in this file, or begins one: `newest` is the newest change of the datastore. A book that is
    /// ahead of it belongs to what the datastore was before it was put back, and goes on from `newest`.
    ///
    /// # Errors
    /// The file can't be opened, or is no such book, or of a newer release.
    pub fn open(path: &Path, newest: ChangeNumber) -> Result<Self, DatastoreError> {
        create_private(path).map_err(|error| DatastoreError::Database(Box::new(error)))?;
        let connection = Connection::open(path).map_err(failed)?;
        connection.busy_timeout(Duration::from_secs(10)).map_err(failed)?;
        connection
            .pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))
            .map_err(failed)?;
        connection.pragma_update(None, "synchronous", "NORMAL").map_err(failed)?;
        connection.pragma_update(None, "temp_store", "MEMORY").map_err(failed)?;
        connection.set_prepared_statement_cache_capacity(64);
        let pragma = |name: &str| {
            connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).map_err(failed)
        };
        let newest = integer(newest.0);
        match (pragma("application_id")?, pragma("user_version")?) {
            (0, 0) => {
                let sql = format!(
                    "BEGIN IMMEDIATE; {SCHEMA} INSERT INTO facts VALUES ('position', {newest});
                     PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
                );
                connection.execute_batch(&sql).map_err(failed)?;
            }
            (APPLICATION_ID, SCHEMA_VERSION) => {
                let sql = "UPDATE facts SET value = ?1 WHERE name = 'position' AND value > ?1";
                connection.execute(sql, [newest]).map_err(failed)?;
            }
            (APPLICATION_ID, _) => {
                let text = "the book of deliveries was written by a newer release";
                return Err(DatastoreError::Database(text.into()));
            }
            _ => return Err(DatastoreError::Database("the file is no book of deliveries".into())),
        }
        Ok(Self { connection: Mutex::new(connection) })
    }

    /// Up to which change everything was looked at.
    ///
    /// # Errors
    /// The database fails; so with all that follow.
    pub fn position(&self) -> Result<ChangeNumber, DatastoreError> {
        let connection = self.lock();
        let value: i64 = connection
            .query_row("SELECT value FROM facts WHERE name = 'position'", [], |row| row.get(0))
            .map_err(failed)?;
        Ok(ChangeNumber(u64::try_from(value).unwrap_or(0)))
    }

    /// A number that tells this book from those of other nodes.
    ///
    /// # Errors
    /// See [`Self::position`].
    pub fn number(&self) -> Result<u64, DatastoreError> {
        let mut random = [0; 8];
        getrandom::fill(&mut random)
            .map_err(|error| DatastoreError::Database(error.to_string().into()))?;
        let random = i64::from_le_bytes(random) & i64::MAX;
        self.write(|transaction| {
            let sql = "INSERT INTO facts VALUES ('number', ?1) ON CONFLICT DO NOTHING";
            transaction.execute(sql, [random])?;
            Ok(())
        })?;
        Ok(self.fact("number")?.unwrap_or(0))
    }

    /// Up to which change everything that was to be told was entered here; `None` where nothing ever was.
    ///
    /// # Errors
    /// See [`Self::position`].
    pub fn led_to(&self) -> Result<Option<ChangeNumber>, DatastoreError> {
        Ok(self.fact("led_to")?.map(ChangeNumber))
    }

    /// Says so.
    ///
    /// # Errors
    /// See [`Self::position`].
    pub fn lead_to(&self, change: ChangeNumber) -> Result<(), DatastoreError> {
        self.write(|transaction| {
            let sql = "INSERT INTO facts VALUES ('led_to', ?1)
                       ON CONFLICT (name) DO UPDATE SET value = excluded.value";
            transaction.prepare_cached(sql)?.execute([integer(change.0)])?;
            Ok(())
        })
    }

    fn fact(&self, name: &str) -> Result<Option<u64>, DatastoreError> {
        let sql = "SELECT value FROM facts WHERE name = ?1";
        let value: Option<i64> =
            self.lock().query_row(sql, [name], |row| row.get(0)).optional().map_err(failed)?;
        Ok(value.map(|value| u64::try_from(value).unwrap_or(0)))
    }

    /// Enters what is to be told of the changes up to `position`, and, by their ids, the subscriptions whose
    /// listeners may have missed something. Gives the subscriptions that have too many deliveries to take more.
    ///
    /// # Errors
    /// See [`Self::position`].
    pub fn record(
        &self,
        position: ChangeNumber,
        matched: &[Matched],
        missed: &[String],
        now: i64,
    ) -> Result<Vec<String>, DatastoreError> {
        let mut full = Vec::new();
        self.write(|transaction| {
            for matched in matched {
                let counts = counts_of(transaction, &matched.subscription)?;
                if counts.waiting.saturating_add(counts.dead) >= DELIVERIES_MAX {
                    if !full.contains(&matched.subscription) {
                        full.push(matched.subscription.clone());
                    }
                    continue;
                }
                let ResourceKey { resource_type, id } = &matched.key;
                transaction
                    .prepare_cached(
                        "INSERT INTO deliveries
                         SELECT ?1, ?2, ?3, ?4, ?5, ?6, NOT EXISTS (SELECT 1 FROM deliveries
                             WHERE subscription = ?1 AND type = ?3 AND id = ?4 AND state < 2), ?7, 0, ?7, NULL, NULL
                         WHERE true ON CONFLICT DO NOTHING",
                    )?
                    .execute(params![
                        matched.subscription,
                        integer(matched.change.0),
                        resource_type,
                        id,
                        integer(matched.version),
                        matched.trigger.number() | matched.verdict.number(),
                        now
                    ])?;
            }
            for subscription in missed {
                transaction
                    .prepare_cached("INSERT INTO missed VALUES (?1) ON CONFLICT DO NOTHING")?
                    .execute([subscription])?;
            }
            let sql = "UPDATE facts SET value = ?1 WHERE name = 'position'";
            transaction.prepare_cached(sql)?.execute([integer(position.0)])?;
            Ok(())
        })?;
        Ok(full)
    }

    /// The deliveries of a subscription that may be sent, now or later: those due first, first; at most `limit`.
    ///
    /// # Errors
    /// See [`Self::position`].
    pub fn heads(&self, subscription: &str, limit: usize) -> Result<Vec<Delivery>, DatastoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM deliveries WHERE subscription = ?1 AND state = 1
             ORDER BY due, change LIMIT ?2"
        );
        self.list(&sql, params![subscription, integer(limit as u64)])
    }

    /// One was delivered: the next of its resource may be sent.
    ///
    /// # Errors
    /// See [`Self::position`].
    pub fn delivered(&self, delivered: &Matched) -> Result<(), DatastoreError> {
        self.write(|transaction| {
            let sql =
                "DELETE FROM deliveries WHERE subscription = ?1 AND change = ?2 AND state < 2";
            transaction
                .prepare_cached(sql)?
                .execute(params![delivered.subscription, integer(delivered.change.0)])?;
            promote(transaction, delivered)
        })
    }

    /// One failed and is tried again at `due`.
    ///
    /// # Errors
    /// See [`Self::position`].
    pub fn again(&self, matched: &Matched, due: i64, why: &str) -> Result<(), DatastoreError> {
        self.write(|transaction| {
            let sql = "UPDATE deliveries SET due = ?3, attempts = attempts + 1, why = ?4
                       WHERE subscription = ?1 AND change = ?2 AND state < 2";
            let change = integer(matched.change.0);
            transaction.prepare_cached(sql)?.execute(params![
                matched.subscription,
                change,
                due,
                why
            ])?;
            Ok(())
        })
    }

    /// One failed for the last time: a dead letter. The next of its resource may be sent.
    ///
    /// # Errors
    /// See [`Self::position`].
    pub fn give_up(&self, matched: &Matched, why: &str, now: i64) -> Result<(), DatastoreError> {
        self.write(|transaction| {
            let sql =
                "UPDATE deliveries SET state = 2, ended = ?3, attempts = attempts + 1, why = ?4
                       WHERE subscription = ?1 AND change = ?2 AND state < 2";
            let change = integer(matched.change.0);
            transaction.prepare_cached(sql)?.execute(params![
                matched.subscription,
                change,
                now,
                why
            ])?;
            promote(transaction, matched)
        })
    }

    /// Gives up heads that wait since before `before`, a bounded number of them; how many.
    ///
    /// # Errors
    /// See [`Self::position`].
    pub fn give_up_old(&self, before: i64, why: &str, now: i64) -> Result<usize, DatastoreError> {
        const AT_ONCE: usize = 500;
        let sql = format!(
            "SELECT {COLUMNS} FROM deliveries WHERE state = 1 AND since < ?1 ORDER BY since LIMIT ?2"
        );
        let old = self.list(&sql, params![before, integer(AT_ONCE as u64)])?;
        self.write(|transaction| {
            for delivery in &old {
                let sql = "UPDATE deliveries SET state = 2, ended = ?3, why = coalesce(why, ?4)
                           WHERE subscription = ?1 AND change = ?2 AND state = 1";
                let matched = &delivery.matched;
                let change = integer(matched.change.0);
                transaction.prepare_cached(sql)?.execute(params![
                    matched.subscription,
                    change,
                    now,
                    why
                ])?;
                promote(transaction, matched)?;
            }
            Ok(())
        })?;
        Ok(old.len())
    }

    /// Has everything of a subscription that waits tried at once: it was changed.
    ///
    /// # Errors
    /// See [`Self::position`].
    pub fn hurry(&self, subscription: &str, now: i64) -> Result<(), DatastoreError> {
        self.write(|transaction| {
            let sql =
                "UPDATE deliveries SET due = ?2 WHERE subscription = ?1 AND state = 1 AND due > ?2";
            transaction.execute(sql, params![subscription, now])?;
            Ok(())
        })
    }

    /// Forgets a subscription with all its deliveries: it was deleted.
    ///
    /// # Errors
    /// See [`Self::position`].
    pub fn forget(&self, subscription: &str) -> Result<(), DatastoreError> {
        self.write(|transaction| {
            for table in ["deliveries", "counts", "missed"] {
                let sql = format!("DELETE FROM {table} WHERE subscription = ?1");
                transaction.execute(&sql, [subscription])?;
            }
            Ok(())
        })
    }

    /// Dead letters in the order of their changes, of one subscription or of all, behind a change (and of that
    /// change, behind a subscription).
    ///
    /// # Errors
    /// See [`Self::position`].
    pub fn dead_letters(
        &self,
        subscription: Option<&str>,
        after: (ChangeNumber, &str),
        limit: usize,
    ) -> Result<Vec<Delivery>, DatastoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM deliveries WHERE state = 2 AND (change, subscription) > (?1, ?2)
             AND (?3 IS NULL OR subscription = ?3) ORDER BY change, subscription LIMIT ?4"
        );
        let (change, behind) = (integer(after.0.0), after.1);
        self.list(&sql, params![change, behind, subscription, integer(limit as u64)])
    }

    /// Has dead letters delivered again: of one subscription or of all, of one change or of all. How many.
    ///
    /// # Errors
    /// See [`Self::position`].
    pub fn redeliver(
        &self,
        subscription: Option<&str>,
        change: Option<ChangeNumber>,
        now: i64,
    ) -> Result<u64, DatastoreError> {
        const AT_ONCE: usize = 1_000;
        let change = change.map(|change| integer(change.0));
        let sql = format!(
            "SELECT {COLUMNS} FROM deliveries WHERE state = 2 AND (?1 IS NULL OR subscription = ?1)
             AND (?2 IS NULL OR change = ?2) ORDER BY change LIMIT ?3"
        );
        let mut redelivered = 0u64;
        loop {
            let dead = self.list(&sql, params![subscription, change, integer(AT_ONCE as u64)])?;
            self.write(|transaction| {
                for Delivery { matched, .. } in &dead {
                    let sql = "UPDATE deliveries SET state = 0, due = ?3, since = ?3, attempts = 0, ended = NULL
                               WHERE subscription = ?1 AND change = ?2 AND state = 2";
                    let change = integer(matched.change.0);
                    transaction
                        .prepare_cached(sql)?
                        .execute(params![matched.subscription, change, now])?;
                    promote(transaction, matched)?;
                }
                Ok(())
            })?;
            redelivered = redelivered.saturating_add(dead.len() as u64);
            if dead.len() < AT_ONCE {
                return Ok(redelivered);
            }
        }
    }

    /// How many deliveries each subscription has, by its id.
    ///
    /// # Errors
    /// See [`Self::position`].
    pub fn counts(&self) -> Result<Vec<(String, DeliveryCounts)>, DatastoreError> {
        let connection = self.lock();
        let mut statement = connection
            .prepare_cached("SELECT subscription, waiting, dead FROM counts ORDER BY subscription")
            .map_err(failed)?;
        let rows = statement
            .query_map([], |row| {
                let counts = DeliveryCounts { waiting: count(row, 1)?, dead: count(row, 2)? };
                Ok((row.get(0)?, counts))
            })
            .map_err(failed)?;
        rows.collect::<Result<_, _>>().map_err(failed)
    }

    /// Whether a subscription has changes that wait and are not decided.
    ///
    /// # Errors
    /// See [`Self::position`].
    pub fn has_open(&self, subscription: &str) -> Result<bool, DatastoreError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM deliveries
                   WHERE subscription = ?1 AND state < 2 AND trigger >= ?2)";
        let connection = self.lock();
        let mut statement = connection.prepare_cached(sql).map_err(failed)?;
        statement.query_row(params![subscription, OPEN], |row| row.get(0)).map_err(failed)
    }

    /// Whether the listeners of a subscription missed something; forgets it.
    ///
    /// # Errors
    /// See [`Self::position`].
    pub fn take_missed(&self, subscription: &str) -> Result<bool, DatastoreError> {
        let mut missed = 0;
        self.write(|transaction| {
            let sql = "DELETE FROM missed WHERE subscription = ?1";
            missed = transaction.prepare_cached(sql)?.execute([subscription])?;
            Ok(())
        })?;
        Ok(missed > 0)
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<()>,
    ) -> Result<(), DatastoreError> {
        let mut connection = self.lock();
        let transaction = connection.transaction().map_err(failed)?;
        work(&transaction).map_err(failed)?;
        transaction.commit().map_err(failed)
    }

    fn list(
        &self,
        sql: &str,
        parameters: &[&dyn rusqlite::ToSql],
    ) -> Result<Vec<Delivery>, DatastoreError> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(sql).map_err(failed)?;
        let rows = statement.query_map(parameters, delivery).map_err(failed)?;
        rows.collect::<Result<_, _>>().map_err(failed)
    }
}

/// Makes the first of what waits for a subscription and resource the head, unless there is one.
fn promote(transaction: &Transaction<'_>, matched: &Matched) -> rusqlite::Result<()> {
    let ResourceKey { resource_type, id } = &matched.key;
    let first: Option<(i64, i64)> = transaction
        .prepare_cached(
            "SELECT change, (SELECT count(*) FROM deliveries WHERE subscription = ?1 AND type = ?2 AND id = ?3
                 AND state = 1) FROM deliveries
             WHERE subscription = ?1 AND type = ?2 AND id = ?3 AND state < 2 ORDER BY change LIMIT 1",
        )?
        .query_row(params![matched.subscription, resource_type, id], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    if let Some((change, 0)) = first {
        let sql = "UPDATE deliveries SET state = ?3 WHERE subscription = ?1 AND change = ?2";
        transaction.prepare_cached(sql)?.execute(params![matched.subscription, change, HEAD])?;
    }
    Ok(())
}

/// A count or number of ours; those never reach 2^63.
fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn failed(error: rusqlite::Error) -> DatastoreError {
    DatastoreError::Database(Box::new(error))
}

/// Who may read it is decided before anything stands in it.
fn create_private(path: &Path) -> std::io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

#[cfg(test)]
mod tests;
