//! A transaction of SQLite. Nothing in it waits.

use rusqlite::types::{ToSql, ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, ErrorCode};

use crate::datastore::schema::{INDEX_TABLES, RESOURCES, VERSIONS};
use crate::datastore::sql::{
    Dialect, Ending, Lock, Row, Rows, Session, SessionError, SqlValue, VersionRow,
};

/// What the writer counts; a transaction that is rolled back puts it back.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counters {
    pub(super) key: i64,
    pub(super) change: u64,
}

/// A connection with a transaction open, or outside of one for a single statement.
pub(super) struct SqliteSession<'c> {
    pub(super) connection: &'c mut Connection,
    pub(super) counters: Counters,
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
            _ => Self::Database(Box::new(error)),
        }
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

    fn unindex_one(&mut self, key: i64) -> Result<(), SessionError> {
        for table in INDEX_TABLES {
            self.run(table.delete(), &[SqlValue::Integer(key)])?;
        }
        self.run("DELETE FROM words WHERE rowid = ?1", &[SqlValue::Integer(key)])?;
        Ok(())
    }
}

impl Session for SqliteSession<'_> {
    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    async fn query(
        &mut self,
        sql: &str,
        parameters: &[SqlValue],
    ) -> Result<Vec<Row>, SessionError> {
        self.fetch(sql, parameters)
    }

    async fn execute(&mut self, sql: &str, parameters: &[SqlValue]) -> Result<u64, SessionError> {
        self.run(sql, parameters)
    }

    async fn write(
        &mut self,
        rows: Vec<Rows>,
        words: Vec<(i64, String, String)>,
    ) -> Result<(), SessionError> {
        for rows in rows {
            let mut statement = self.connection.prepare_cached(rows.table.insert())?;
            for row in &rows.rows {
                statement.execute(rusqlite::params_from_iter(row))?;
            }
        }
        let sql = "INSERT INTO words (rowid, narrative, whole) VALUES (?1, ?2, ?3)";
        let mut statement = self.connection.prepare_cached(sql)?;
        for (key, narrative, whole) in words {
            statement.execute(rusqlite::params![key, narrative, whole])?;
        }
        Ok(())
    }

    async fn add(&mut self, rows: Vec<Vec<SqlValue>>) -> Result<usize, SessionError> {
        let sql = RESOURCES.insert_new();
        let mut added = 0usize;
        for row in rows {
            let changed = self.run(sql, &row)?;
            added = added.saturating_add(usize::try_from(changed).unwrap_or(0));
        }
        Ok(added)
    }

    async fn unindex(&mut self, keys: &[i64]) -> Result<(), SessionError> {
        for key in keys {
            self.unindex_one(*key)?;
        }
        Ok(())
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
