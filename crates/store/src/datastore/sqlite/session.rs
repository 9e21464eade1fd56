//! A transaction of SQLite. Nothing in it waits.

use std::collections::BTreeMap;
use std::time::Instant;

use rusqlite::types::{ToSql, ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, ErrorCode};

use crate::datastore::schema::{RESOURCES, VERSIONS};
use crate::datastore::sql::{
    Dialect, Ending, Flushed, Lock, Pending, Row, Session, SessionError, SqlValue, VersionRow,
};

/// What the writer counts; a transaction that is rolled back puts it back.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counters {
    pub(super) key: i64,
    pub(super) change: u64,
}

/// What is to become of the words of resources, by key: FTS5 takes them together and in the order of keys, for all that
/// a transaction writes; one by one, each would make a segment of the full-text index.
pub(super) type Words = BTreeMap<i64, WordsOf>;

/// What is to become of the words of one resource.
#[derive(Debug, Default)]
pub(super) struct WordsOf {
    /// Those that stand there go.
    remove: bool,
    /// These come: of the narrative and of the whole.
    add: Option<(String, String)>,
}

/// The words of this many resources are held back at most.
const WORDS_MAX: usize = 4096;

/// A connection with a transaction open, or outside of one for a single statement.
pub(in crate::datastore) struct SqliteSession<'c> {
    pub(super) connection: &'c mut Connection,
    pub(super) counters: Counters,
    pub(super) words: Words,
    /// When statements stop, where they do.
    pub(super) deadline: Option<Instant>,
}

impl ToSql for SqlValue {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Null => ToSqlOutput::Borrowed(ValueRef::Null),
            Self::Integer(integer) => ToSqlOutput::Borrowed(ValueRef::Integer(*integer)),
            Self::Real(real) => ToSqlOutput::Borrowed(ValueRef::Real(*real)),
            Self::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
            Self::Blob(blob) => ToSqlOutput::Borrowed(ValueRef::Blob(blob)),
            Self::Integers(integers) => {
                let mut json = String::from("[");
                for (at, integer) in integers.iter().enumerate() {
                    if at > 0 {
                        json.push(',');
                    }
                    json.push_str(&integer.to_string());
                }
                json.push(']');
                ToSqlOutput::Owned(Value::Text(json))
            }
            Self::Texts(texts) => {
                let texts: Vec<pipehat_resource::json::Value> =
                    texts.iter().map(|text| text.as_str().into()).collect();
                let json = pipehat_resource::json::Value::from(texts).to_json();
                ToSqlOutput::Owned(Value::Text(json))
            }
        })
    }
}

fn value(read: ValueRef<'_>) -> Result<SqlValue, SessionError> {
    Ok(match read {
        ValueRef::Null => SqlValue::Null,
        ValueRef::Integer(integer) => SqlValue::Integer(integer),
        ValueRef::Real(real) => SqlValue::Real(real),
        ValueRef::Text(text) => SqlValue::Text(
            std::str::from_utf8(text)
                .map_err(|error| SessionError::Damaged(Box::new(error)))?
                .to_owned(),
        ),
        ValueRef::Blob(blob) => SqlValue::Blob(blob.to_vec()),
    })
}

impl From<rusqlite::Error> for SessionError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::OperationInterrupted) => Self::TooLong,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::Damaged(Box::new(error))
            }
            _ if pipehat_vault::is_damage(&error) => Self::Damaged(Box::new(error)),
            _ => Self::Database(Box::new(error)),
        }
    }
}

impl<'c> SqliteSession<'c> {
    pub(super) fn new(connection: &'c mut Connection, counters: Counters) -> Self {
        Self { connection, counters, words: Words::new(), deadline: None }
    }

    /// Writes the words that were held back: before a transaction ends, and before words are searched.
    pub(super) fn settle(&mut self) -> Result<(), SessionError> {
        if self.words.is_empty() {
            return Ok(());
        }
        let words = std::mem::take(&mut self.words);
        let mut delete = self.connection.prepare_cached("DELETE FROM words WHERE rowid = ?1")?;
        let sql = "INSERT INTO words (rowid, narrative, whole) VALUES (?1, ?2, ?3)";
        let mut insert = self.connection.prepare_cached(sql)?;
        for (key, WordsOf { remove, add }) in words {
            if remove {
                delete.execute([key])?;
            }
            if let Some((narrative, whole)) = add {
                insert.execute(rusqlite::params![key, narrative, whole])?;
            }
        }
        Ok(())
    }
}

impl SqliteSession<'_> {
    fn run(&mut self, sql: &str, parameters: &[SqlValue]) -> Result<u64, SessionError> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let changed = statement.execute(rusqlite::params_from_iter(parameters))?;
        Ok(changed as u64)
    }

    fn fetch(&mut self, sql: &str, parameters: &[SqlValue]) -> Result<Vec<Row>, SessionError> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let columns = statement.column_count();
        let mut rows = statement.query(rusqlite::params_from_iter(parameters))?;
        let mut fetched = Vec::new();
        while let Some(row) = rows.next()? {
            let mut values = Vec::with_capacity(columns);
            for column in 0..columns {
                values.push(value(row.get_ref(column)?)?);
            }
            fetched.push(Row(values));
        }
        Ok(fetched)
    }
}

impl Session for SqliteSession<'_> {
    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    fn in_time(&self) -> Result<(), SessionError> {
        match self.deadline {
            Some(deadline) if Instant::now() >= deadline => Err(SessionError::TooLong),
            _ => Ok(()),
        }
    }

    async fn query(
        &mut self,
        sql: &str,
        parameters: &[SqlValue],
    ) -> Result<Vec<Row>, SessionError> {
        if !self.words.is_empty() && sql.contains("words") {
            self.settle()?;
        }
        self.fetch(sql, parameters)
    }

    async fn execute(&mut self, sql: &str, parameters: &[SqlValue]) -> Result<u64, SessionError> {
        self.run(sql, parameters)
    }

    async fn flush(&mut self, pending: Pending) -> Result<Flushed, SessionError> {
        let mut flushed = Flushed::default();
        for (table, keys) in pending.unindex {
            for key in keys {
                self.run(table.delete(), &[SqlValue::Integer(key)])?;
            }
        }
        for (table, rows) in pending.removed {
            let mut statement = self.connection.prepare_cached(table.delete_one())?;
            for row in rows {
                statement.execute(row)?;
            }
        }
        for key in pending.unword {
            let words = self.words.entry(key).or_default();
            *words = WordsOf { remove: words.remove || words.add.is_none(), add: None };
        }
        for changed in pending.changed {
            let rows = self.run(
                "UPDATE resources SET version = ?2, last_updated = ?3, deleted = ?4
                 WHERE key = ?1 AND version = ?5",
                &[
                    SqlValue::Integer(changed.key),
                    SqlValue::number(changed.version),
                    SqlValue::Integer(changed.last_updated),
                    SqlValue::Integer(i64::from(changed.deleted)),
                    SqlValue::number(changed.before),
                ],
            )?;
            flushed.changed = flushed.changed.saturating_add(usize::try_from(rows).unwrap_or(0));
        }
        for row in pending.new {
            let rows = self.run(RESOURCES.insert_new(), &row)?;
            flushed.added = flushed.added.saturating_add(usize::try_from(rows).unwrap_or(0));
        }
        for rows in pending.rows {
            let mut statement = self.connection.prepare_cached(rows.table.insert())?;
            for row in &rows.rows {
                statement.execute(rusqlite::params_from_iter(row))?;
            }
        }
        for (key, narrative, whole) in pending.words {
            self.words.entry(key).or_default().add = Some((narrative, whole));
        }
        if self.words.len() >= WORDS_MAX {
            self.settle()?;
        }
        Ok(flushed)
    }

    async fn keys(&mut self, wanted: usize) -> Result<Vec<i64>, SessionError> {
        let mut keys = Vec::with_capacity(wanted);
        for _ in 0..wanted {
            self.counters.key = self.counters.key.saturating_add(1);
            keys.push(self.counters.key);
        }
        Ok(keys)
    }

    async fn number(
        &mut self,
        versions: Vec<VersionRow>,
        _: Ending,
    ) -> Result<Vec<u64>, SessionError> {
        let mut numbers = Vec::with_capacity(versions.len());
        for version in versions {
            self.counters.change = self.counters.change.saturating_add(1);
            let row = version.row(self.counters.change);
            self.run(VERSIONS.insert(), &row)?;
            numbers.push(self.counters.change);
        }
        Ok(numbers)
    }

    async fn lock(&mut self, _: &[Lock]) -> Result<(), SessionError> {
        // There is one writer.
        Ok(())
    }
}
