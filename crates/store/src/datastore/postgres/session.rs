//! A transaction of PostgreSQL.
//!
//! It begins with its first statement, in the same message; what does not depend on each other is sent at once, and
//! the commit goes out together with the numbering of versions, so that others wait for that as briefly as can be.

use std::sync::{Mutex, PoisonError};

use deadpool_postgres::Client;
use futures_util::future::{join, try_join_all};
use tokio_postgres::Statement;
use tokio_postgres::error::{DbError, SqlState};
use tokio_postgres::types::ToSql;

use super::values::{self, Array};
use crate::datastore::core::placeholders;
use crate::datastore::schema::RESOURCES;
use crate::datastore::sql::{
    Changed, Dialect, Ending, Flushed, Lock, Pending, Row, Rows, Session, SessionError, SqlValue,
    VersionRow,
};

/// How many statements a connection keeps prepared; searches have more forms than one expects.
const STATEMENTS_MAX: usize = 512;

/// How many keys the sequence gives at once.
const KEYS_AT_ONCE: i64 = 64;

impl From<tokio_postgres::Error> for SessionError {
    fn from(error: tokio_postgres::Error) -> Self {
        match error.code() {
            Some(
                &SqlState::T_R_SERIALIZATION_FAILURE
                | &SqlState::T_R_DEADLOCK_DETECTED
                | &SqlState::UNIQUE_VIOLATION
                | &SqlState::LOCK_NOT_AVAILABLE,
            ) => Self::Conflict,
            Some(&SqlState::QUERY_CANCELED) => Self::TooLong,
            Some(code) if is_away(code) => {
                Self::Unavailable(report(code, error.as_db_error()).into())
            }
            Some(code) => Self::Database(report(code, error.as_db_error()).into()),
            None if is_broken(&error) => Self::Unavailable(Box::new(error)),
            None => Self::Database(Box::new(error)),
        }
    }
}

/// Whether the server says that it can't serve now, and may later.
fn is_away(code: &SqlState) -> bool {
    code.code().starts_with("08")
        || [
            SqlState::ADMIN_SHUTDOWN,
            SqlState::CRASH_SHUTDOWN,
            SqlState::CANNOT_CONNECT_NOW,
            SqlState::TOO_MANY_CONNECTIONS,
            SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
            // A server that became, or still is, a copy of another one.
            SqlState::READ_ONLY_SQL_TRANSACTION,
        ]
        .contains(code)
}

/// Whether the connection broke, or none was made.
fn is_broken(error: &tokio_postgres::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if let Some(cause) = cause.downcast_ref::<std::io::Error>() {
            // What a certificate is refused with stays refused.
            return cause.kind() != std::io::ErrorKind::InvalidData;
        }
        source = cause.source();
    }
    error.is_closed()
}

/// What PostgreSQL said, for a log: its message and detail repeat values of the row that is refused, so of them
/// only the message stays, and only where it speaks of the server (classes 08, 28, 3D, 42, 53 to 58).
fn report(code: &SqlState, error: Option<&DbError>) -> String {
    const OF_THE_SERVER: [&str; 9] = ["08", "28", "3D", "42", "53", "54", "55", "57", "58"];
    let mut text = format!("PostgreSQL answered with SQLSTATE {}", code.code());
    let Some(error) = error else { return text };
    for (what, name) in [("table", error.table()), ("constraint", error.constraint())] {
        if let Some(name) = name {
            text.push_str(&format!(", {what} {name}"));
        }
    }
    if OF_THE_SERVER.iter().any(|class| code.code().starts_with(class)) {
        text.push_str(": ");
        text.push_str(error.message());
    }
    text
}

/// Keys that the sequence gave and nobody has yet.
#[derive(Debug, Default)]
pub(super) struct Keys(Mutex<std::ops::Range<i64>>);

impl Keys {
    fn take(&self) -> Option<i64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).next()
    }

    fn refill(&self, first: i64) {
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *keys = first..first.saturating_add(KEYS_AT_ONCE);
    }
}

/// Where a session stands with its transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Each statement by itself.
    Single,
    /// A transaction begins with the next statement.
    Beginning,
    /// A transaction is open.
    Open,
    /// It is committed.
    Committed,
}

pub(in crate::datastore) struct PostgresSession<'c> {
    pub(super) client: &'c Client,
    pub(super) keys: &'c Keys,
    pub(super) state: State,
    /// Of the advisory locks of this datastore.
    pub(super) lock_class: i32,
    /// That versions were numbered is told here.
    pub(super) channel: &'c str,
}

impl PostgresSession<'_> {
    async fn prepare(&self, sql: &str) -> Result<Statement, SessionError> {
        if self.client.statement_cache.size() >= STATEMENTS_MAX {
            self.client.statement_cache.clear();
        }
        Ok(self.client.prepare_cached(&placeholders(Dialect::Postgres, sql)).await?)
    }

    /// Runs statements one behind the other, sent together; how many rows each changed.
    async fn all(
        &mut self,
        statements: Vec<(Statement, Vec<Array>)>,
    ) -> Result<Vec<u64>, SessionError> {
        let parameters: Vec<(Statement, Vec<&(dyn ToSql + Sync)>)> = statements
            .iter()
            .map(|(statement, arrays)| {
                let arrays = arrays.iter().map(|array| array as &(dyn ToSql + Sync)).collect();
                (statement.clone(), arrays)
            })
            .collect();
        let client = self.client;
        let runs = parameters
            .iter()
            .map(|(statement, parameters)| client.execute(statement, parameters.as_slice()));
        let runs = try_join_all(runs);
        if self.state == State::Beginning {
            let (begun, counts) = join(client.batch_execute("BEGIN"), runs).await;
            begun?;
            self.state = State::Open;
            return Ok(counts?);
        }
        Ok(runs.await?)
    }

    /// Begins the transaction, where that has not happened.
    async fn begin(&mut self) -> Result<(), SessionError> {
        if self.state == State::Beginning {
            self.client.batch_execute("BEGIN").await?;
            self.state = State::Open;
        }
        Ok(())
    }
}

impl Session for PostgresSession<'_> {
    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    async fn query(
        &mut self,
        sql: &str,
        parameters: &[SqlValue],
    ) -> Result<Vec<Row>, SessionError> {
        let statement = self.prepare(sql).await?;
        let parameters: Vec<&(dyn ToSql + Sync)> =
            parameters.iter().map(|value| value as &(dyn ToSql + Sync)).collect();
        let rows = if self.state == State::Beginning {
            let (begun, rows) = join(
                self.client.batch_execute("BEGIN"),
                self.client.query(&statement, &parameters),
            )
            .await;
            begun?;
            self.state = State::Open;
            rows?
        } else {
            self.client.query(&statement, &parameters).await?
        };
        rows.iter().map(values::row).collect()
    }

    async fn execute(&mut self, sql: &str, parameters: &[SqlValue]) -> Result<u64, SessionError> {
        self.begin().await?;
        let statement = self.prepare(sql).await?;
        let parameters: Vec<&(dyn ToSql + Sync)> =
            parameters.iter().map(|value| value as &(dyn ToSql + Sync)).collect();
        Ok(self.client.execute(&statement, &parameters).await?)
    }

    async fn flush(&mut self, pending: Pending) -> Result<Flushed, SessionError> {
        let mut statements = Vec::new();
        let mut leaving: Vec<(&str, Vec<i64>)> =
            pending.unindex.into_iter().map(|(table, keys)| (table.name, keys)).collect();
        if !pending.unword.is_empty() {
            leaving.push(("words", pending.unword));
        }
        for (name, keys) in leaving {
            let sql = format!("DELETE FROM {name} WHERE key = ANY(?1::bigint[])");
            let keys = keys.into_iter().map(Some).collect();
            statements.push((self.prepare(&sql).await?, vec![Array::Integers(keys)]));
        }
        let (mut changes, mut additions) = (None, None);
        if !pending.changed.is_empty() {
            let column = |value: fn(&Changed) -> i64| {
                Array::Integers(pending.changed.iter().map(|one| Some(value(one))).collect())
            };
            let arrays = vec![
                column(|one| one.key),
                column(|one| i64::try_from(one.version).unwrap_or(i64::MAX)),
                column(|one| one.last_updated),
                column(|one| i64::from(one.deleted)),
                column(|one| i64::try_from(one.before).unwrap_or(i64::MAX)),
            ];
            let sql = "UPDATE resources r
                 SET version = c.version, last_updated = c.last_updated, deleted = c.deleted
                 FROM unnest(?1::bigint[], ?2::bigint[], ?3::bigint[], ?4::bigint[], ?5::bigint[])
                     AS c (key, version, last_updated, deleted, before)
                 WHERE r.key = c.key AND r.version = c.before";
            changes = Some(statements.len());
            statements.push((self.prepare(sql).await?, arrays));
        }
        if !pending.new.is_empty() {
            let sql = format!("{} ON CONFLICT (type, id) DO NOTHING", RESOURCES.insert_many());
            additions = Some(statements.len());
            let arrays = values::columns(&RESOURCES, pending.new);
            statements.push((self.prepare(&sql).await?, arrays));
        }
        for Rows { table, rows } in pending.rows {
            let statement = self.prepare(table.insert_many()).await?;
            statements.push((statement, values::columns(table, rows)));
        }
        if !pending.words.is_empty() {
            let sql = "INSERT INTO words (key, narrative, whole)
                 SELECT w.key, array_to_tsvector(string_to_array(w.narrative, ' ')),
                     array_to_tsvector(string_to_array(w.whole, ' '))
                 FROM unnest(?1::bigint[], ?2::text[], ?3::text[]) AS w (key, narrative, whole)";
            let (mut keys, mut narratives, mut wholes) = (vec![], vec![], vec![]);
            for (key, narrative, whole) in pending.words {
                keys.push(Some(key));
                narratives.push(Some(narrative));
                wholes.push(Some(whole));
            }
            let arrays =
                vec![Array::Integers(keys), Array::Texts(narratives), Array::Texts(wholes)];
            statements.push((self.prepare(sql).await?, arrays));
        }
        let counts = self.all(statements).await?;
        let count = |at: Option<usize>| {
            let count = at.and_then(|at| counts.get(at)).copied().unwrap_or(0);
            usize::try_from(count).unwrap_or(usize::MAX)
        };
        Ok(Flushed { changed: count(changes), added: count(additions) })
    }

    async fn keys(&mut self, wanted: usize) -> Result<Vec<i64>, SessionError> {
        let mut keys = Vec::with_capacity(wanted);
        while keys.len() < wanted {
            match self.keys.take() {
                Some(key) => keys.push(key),
                None => {
                    let rows = self.query("SELECT nextval('resource_keys')", &[]).await?;
                    let first = rows.first().map_or(Ok(1), |row| row.integer(0))?;
                    self.keys.refill(first);
                }
            }
        }
        Ok(keys)
    }

    async fn number(
        &mut self,
        versions: Vec<VersionRow>,
        ending: Ending,
    ) -> Result<Vec<u64>, SessionError> {
        let count = versions.len() as u64;
        let rows: Vec<_> = versions.into_iter().map(|version| version.row(0)).collect();
        // The counter's row stays locked until the commit, so versions become visible in the order of their numbers.
        let sql = format!(
            "WITH counted AS (UPDATE counter SET newest = newest + ?1 RETURNING newest)
             INSERT INTO versions (change, key, type, version, last_updated, method, body)
             SELECT c.newest - ?1 + v.place, v.key, v.type, v.version, v.last_updated, v.method,
                 v.body
             FROM counted c, unnest(?2::bigint[], ?3::text[], ?4::bigint[], ?5::bigint[],
                 ?6::bigint[], ?7::bytea[]) WITH ORDINALITY
                 AS v (key, type, version, last_updated, method, body, place)
             RETURNING change, (SELECT pg_notify('{}', '') IS NULL)::int4",
            self.channel
        );
        self.begin().await?;
        let statement = self.prepare(&sql).await?;
        let amount = i64::try_from(count).unwrap_or(i64::MAX);
        let arrays = values::columns(&crate::datastore::schema::VERSIONS, rows);
        let mut parameters: Vec<&(dyn ToSql + Sync)> = vec![&amount];
        // The first column is the number.
        parameters.extend(arrays.iter().skip(1).map(|array| array as &(dyn ToSql + Sync)));
        let numbered = self.client.query(&statement, &parameters);
        let rows = match ending {
            Ending::More => numbered.await?,
            Ending::Commit => {
                let (rows, ended) = join(numbered, self.client.batch_execute("COMMIT")).await;
                let rows = match rows {
                    // The server refused before it came to the commit.
                    Err(error) if error.code().is_some() => return Err(error.into()),
                    Err(error) => return Err(SessionError::from(error).of_commit()),
                    Ok(rows) => rows,
                };
                ended.map_err(|error| SessionError::from(error).of_commit())?;
                self.state = State::Committed;
                rows
            }
        };
        let mut newest = 0;
        for row in &rows {
            newest = newest.max(row.try_get::<_, i64>(0)?);
        }
        let newest = u64::try_from(newest).unwrap_or(0);
        let first = newest.saturating_sub(count).saturating_add(1);
        Ok((first..=newest).collect())
    }

    async fn lock(&mut self, locks: &[Lock]) -> Result<(), SessionError> {
        if locks.is_empty() {
            return Ok(());
        }
        let sql = format!(
            "SELECT (CASE WHEN l.shared = 1
                 THEN pg_advisory_xact_lock_shared({class}, l.number::int4) IS NULL
                 ELSE pg_advisory_xact_lock({class}, l.number::int4) IS NULL END)::int4
             FROM unnest(?1::bigint[], ?2::bigint[]) AS l (number, shared)",
            class = self.lock_class
        );
        let numbers = locks.iter().map(|lock| lock.number).collect();
        let shared = locks.iter().map(|lock| i64::from(lock.shared)).collect();
        self.query(&sql, &[SqlValue::Integers(numbers), SqlValue::Integers(shared)]).await?;
        Ok(())
    }
}
