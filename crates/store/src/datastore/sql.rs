//! What the interactions need of a database: one transaction at a time, spoken to in SQL that both understand.
//!
//! SQL is written with `?1`, `?2`…; where the databases differ, [`Dialect`] has both ways. A [`Session`] of
//! SQLite never waits: its futures are ready when they are first polled ([`ready`]).

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::error::DatastoreError;
use super::schema::{INDEX_TABLES, Table};

/// A value on its way to or from the database.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum SqlValue {
    Null,
    Integer(i64),
    Real(f64),
    Text(String),
    Blob(Vec<u8>),
    /// A list, for [`Dialect::in_integers`].
    Integers(Vec<i64>),
    /// A list, for [`Dialect::in_texts`].
    Texts(Vec<String>),
}

impl SqlValue {
    pub(super) fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    pub(super) fn optional(text: Option<&str>) -> Self {
        text.map_or(Self::Null, Self::text)
    }

    /// A count or number of ours; those never reach 2^63.
    pub(super) fn number(number: u64) -> Self {
        Self::Integer(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

/// A row that was read.
#[derive(Debug)]
pub(super) struct Row(pub(super) Vec<SqlValue>);

impl Row {
    pub(super) fn integer(&self, column: usize) -> Result<i64, SessionError> {
        match self.0.get(column) {
            Some(SqlValue::Integer(value)) => Ok(*value),
            _ => Err(SessionError::damaged("a number", column)),
        }
    }

    pub(super) fn unsigned(&self, column: usize) -> Result<u64, SessionError> {
        u64::try_from(self.integer(column)?)
            .map_err(|_| SessionError::damaged("a positive number", column))
    }

    pub(super) fn text(&self, column: usize) -> Result<&str, SessionError> {
        match self.0.get(column) {
            Some(SqlValue::Text(value)) => Ok(value),
            _ => Err(SessionError::damaged("a text", column)),
        }
    }

    pub(super) fn blob(&self, column: usize) -> Result<Option<&[u8]>, SessionError> {
        match self.0.get(column) {
            Some(SqlValue::Blob(value)) => Ok(Some(value)),
            Some(SqlValue::Null) => Ok(None),
            _ => Err(SessionError::damaged("bytes", column)),
        }
    }

    pub(super) fn value(&self, column: usize) -> SqlValue {
        self.0.get(column).cloned().unwrap_or(SqlValue::Null)
    }
}

/// Why a statement has no result.
#[derive(Debug, thiserror::Error)]
pub(super) enum SessionError {
    /// Another transaction was in the way: the whole may be tried again.
    #[error("another transaction was in the way")]
    Conflict,
    /// It took longer than it may.
    #[error("the statement took too long")]
    TooLong,
    /// The database can't be connected to: why, and what to do.
    #[error("{0}")]
    Connect(String),
    /// The database can't be reached, or went away; what was under way is undone.
    #[error("the database can't be reached")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The database went away while it committed.
    #[error("the database went away while it committed")]
    Uncertain(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The database's address can't be used.
    #[error("the address of the database: {0}")]
    Location(String),
    /// The database failed.
    #[error("the database failed")]
    Database(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// What stands there is not what was written.
    #[error("what stands in the database can't be read")]
    Damaged(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl SessionError {
    fn damaged(expected: &str, column: usize) -> Self {
        Self::Damaged(format!("expected {expected} in column {column}").into())
    }

    /// The same, of a commit: what went away then may have committed.
    pub(super) fn of_commit(self) -> Self {
        match self {
            Self::Unavailable(source) => Self::Uncertain(source),
            other => other,
        }
    }

    /// As a caller of the datastore sees it.
    pub(super) fn outwards(self, seconds: u64) -> DatastoreError {
        match self {
            Self::Conflict => DatastoreError::Busy,
            Self::TooLong => DatastoreError::SearchTooLong { seconds },
            Self::Connect(why) => DatastoreError::Connect(why),
            Self::Unavailable(source) => DatastoreError::Unavailable(source),
            Self::Uncertain(source) => DatastoreError::Uncertain(source),
            Self::Location(problem) => DatastoreError::Location(problem),
            Self::Database(source) => DatastoreError::Database(source),
            Self::Damaged(source) => DatastoreError::Damaged(source),
        }
    }
}

/// Which database's SQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    Sqlite,
    Postgres,
}

impl Dialect {
    /// That what stands before is among the integers of a [`SqlValue::Integers`].
    pub(super) fn in_integers(self, parameter: usize) -> String {
        match self {
            Self::Sqlite => format!("IN (SELECT value FROM json_each(?{parameter}))"),
            Self::Postgres => format!("= ANY(?{parameter}::bigint[])"),
        }
    }

    /// That what stands before is among the texts of a [`SqlValue::Texts`].
    pub(super) fn in_texts(self, parameter: usize) -> String {
        match self {
            Self::Sqlite => format!("IN (SELECT value FROM json_each(?{parameter}))"),
            Self::Postgres => format!("= ANY(?{parameter}::text[])"),
        }
    }

    /// Whether one text holds another; no wildcards.
    pub(super) fn contains(self, text: &str, part: &str) -> String {
        match self {
            Self::Sqlite => format!("instr({text}, {part}) > 0"),
            Self::Postgres => format!("strpos({text}, {part}) > 0"),
        }
    }

    /// An index table of which the few rows of one resource are looked at. SQLite, which knows nothing of how many
    /// rows a value has, would rather go along all that lie between two bounds.
    pub(super) fn by_key(self, table: &str, alias: &str) -> String {
        match self {
            Self::Sqlite => format!("{table} {alias} INDEXED BY sqlite_autoindex_{table}_1"),
            Self::Postgres => format!("{table} {alias}"),
        }
    }

    /// Joins a table, for each row of what stands before. Statistics, in which one column holds the values of all
    /// parameters, would have the planner begin elsewhere: PostgreSQL can't go through a subquery with an offset
    /// any other way.
    pub(super) fn then_join(self, table: &str, alias: &str, on: &str) -> String {
        match self {
            Self::Sqlite => format!("CROSS JOIN {table} {alias} ON {on}"),
            Self::Postgres => format!(
                "JOIN LATERAL (SELECT * FROM {table} {alias} WHERE {on} OFFSET 0) {alias} ON true"
            ),
        }
    }

    /// That a query finds something, asked for each row by itself: not turned into a join.
    pub(super) fn exists(self, query: &str) -> String {
        match self {
            Self::Sqlite => format!("EXISTS ({query})"),
            Self::Postgres => format!("EXISTS ({query} OFFSET 0)"),
        }
    }
}

/// Rows for a table.
#[derive(Debug)]
pub(super) struct Rows {
    pub(super) table: &'static Table,
    pub(super) rows: Vec<Vec<SqlValue>>,
}

/// A resource whose newest version is another now.
#[derive(Debug)]
pub(super) struct Changed {
    pub(super) key: i64,
    /// The version before.
    pub(super) before: u64,
    pub(super) version: u64,
    pub(super) last_updated: i64,
    pub(super) deleted: bool,
}

/// What is to be written, but for versions.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// Resources whose rows leave an index table.
    pub(super) unindex: Vec<(&'static Table, Vec<i64>)>,
    /// Single rows that leave, each by its key, parameter and number.
    pub(super) removed: Vec<(&'static Table, Vec<[i64; 3]>)>,
    /// Resources whose words leave.
    pub(super) unword: Vec<i64>,
    pub(super) changed: Vec<Changed>,
    /// Rows of new resources.
    pub(super) new: Vec<Vec<SqlValue>>,
    /// Rows of index tables.
    pub(super) rows: Vec<Rows>,
    /// By key, the words of a narrative and of a whole, parted by spaces.
    pub(super) words: Vec<(i64, String, String)>,
}

impl Pending {
    /// The rows of a resource leave an index table.
    pub(super) fn unindex(&mut self, table: &'static Table, key: i64) {
        match self.unindex.iter_mut().find(|(known, _)| std::ptr::eq(*known, table)) {
            Some((_, keys)) => keys.push(key),
            None => self.unindex.push((table, vec![key])),
        }
    }

    /// A row of a resource leaves an index table, by its parameter and number.
    pub(super) fn remove(&mut self, table: &'static Table, row: [i64; 3]) {
        match self.removed.iter_mut().find(|(known, _)| std::ptr::eq(*known, table)) {
            Some((_, rows)) => rows.push(row),
            None => self.removed.push((table, vec![row])),
        }
    }

    /// A resource leaves the index.
    pub(super) fn unindex_all(&mut self, key: i64) {
        for table in INDEX_TABLES {
            self.unindex(table, key);
        }
        self.unword.push(key);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.unindex.is_empty()
            && self.removed.is_empty()
            && self.unword.is_empty()
            && self.changed.is_empty()
            && self.new.is_empty()
            && self.rows.is_empty()
            && self.words.is_empty()
    }
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Flushed {
    /// How many resources were changed: one that has another version by now is passed over.
    pub(super) changed: usize,
    /// How many resources were added: one whose type and id are taken is passed over.
    pub(super) added: usize,
}

/// A version to be numbered and written.
#[derive(Debug)]
pub(super) struct VersionRow {
    pub(super) key: i64,
    pub(super) resource_type: String,
    pub(super) version: u64,
    pub(super) last_updated: i64,
    pub(super) method: i64,
    pub(super) body: Option<Vec<u8>>,
}

impl VersionRow {
    /// The row of `versions`.
    pub(super) fn row(self, change: u64) -> Vec<SqlValue> {
        vec![
            SqlValue::number(change),
            SqlValue::Integer(self.key),
            SqlValue::Text(self.resource_type),
            SqlValue::number(self.version),
            SqlValue::Integer(self.last_updated),
            SqlValue::Integer(self.method),
            self.body.map_or(SqlValue::Null, SqlValue::Blob),
        ]
    }
}

/// Something that only one transaction may decide at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Lock {
    pub(super) number: i64,
    /// Several may hold it together, but none of them with one that does not share.
    pub(super) shared: bool,
}

/// What comes behind the numbering of versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// Nothing: where it can, the transaction is committed with it.
    Commit,
    /// Reads.
    More,
}

/// A transaction.
pub(super) trait Session: Send {
    fn dialect(&self) -> Dialect;

    /// Whether what is computed between statements may go on.
    ///
    /// # Errors
    /// [`SessionError::TooLong`].
    fn in_time(&self) -> Result<(), SessionError> {
        Ok(())
    }

    fn query(
        &mut self,
        sql: &str,
        parameters: &[SqlValue],
    ) -> impl Future<Output = Result<Vec<Row>, SessionError>> + Send;

    /// How many rows it changed.
    fn execute(
        &mut self,
        sql: &str,
        parameters: &[SqlValue],
    ) -> impl Future<Output = Result<u64, SessionError>> + Send;

    /// Brings what is pending into the database, in the order of its parts.
    fn flush(
        &mut self,
        pending: Pending,
    ) -> impl Future<Output = Result<Flushed, SessionError>> + Send;

    /// Keys for new resources, greater than those given before by this process.
    fn keys(
        &mut self,
        wanted: usize,
    ) -> impl Future<Output = Result<Vec<i64>, SessionError>> + Send;

    /// Numbers versions and writes them. From here on, others that do the same wait until this transaction ends:
    /// whoever sees a number has seen all smaller ones.
    fn number(
        &mut self,
        versions: Vec<VersionRow>,
        ending: Ending,
    ) -> impl Future<Output = Result<Vec<u64>, SessionError>> + Send;

    /// Waits for locks, in an order that all keep, and holds them until the transaction ends.
    fn lock(&mut self, locks: &[Lock]) -> impl Future<Output = Result<(), SessionError>> + Send;
}

/// The result of a future that never waits: what is generic over [`Session`], on SQLite.
pub(super) fn ready<T>(
    future: impl Future<Output = Result<T, SessionError>>,
) -> Result<T, SessionError> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => Err(SessionError::Database("a session of SQLite waited".into())),
    }
}
