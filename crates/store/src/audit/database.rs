//! The database of the audit log: writing groups, finding records, checking marks.

use std::path::Path;
use std::sync::Arc;

use rusqlite::types::Value as SqlValue;
use rusqlite::{Connection, Row, params, params_from_iter};

use super::AuditError;
use super::chain::{Chain, FIRST_MARK};
use super::open;
use super::record::{AuditQuery, AuditRecord, StoredRecord, UsedOnce, Verified};
use crate::datastore::ResourceKey;
use crate::datastore::body::Seal;

const COLUMNS: &str =
    "number, at, request, client, client_name, address, interaction, type, id, status, query";

/// One connection.
pub(super) struct Database {
    connection: Connection,
    seal: Arc<Seal>,
    chain_key: [u8; 32],
    last: u64,
    mark: [u8; 32],
}

impl Database {
    /// Opens it for writing; makes it where there is none.
    pub(super) fn write(
        path: &Path,
        seal: Arc<Seal>,
        chain_key: [u8; 32],
    ) -> Result<Self, AuditError> {
        let connection = open::for_writing(path, &seal.file_key())?;
        let mut database = Self { connection, seal, chain_key, last: 0, mark: FIRST_MARK };
        database.find_end()?;
        Ok(database)
    }

    /// Opens it for reading.
    pub(super) fn read(
        path: &Path,
        seal: Arc<Seal>,
        chain_key: [u8; 32],
    ) -> Result<Self, AuditError> {
        let connection = open::for_reading(path, &seal.file_key())?;
        Ok(Self { connection, seal, chain_key, last: 0, mark: FIRST_MARK })
    }

    /// Copies the log into the database, so that its one file is whole by itself.
    pub(super) fn settle(&self) -> Result<(), AuditError> {
        Ok(self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?)
    }

    fn find_end(&mut self) -> Result<(), AuditError> {
        let sql = "SELECT last, mark FROM groups ORDER BY last DESC LIMIT 1";
        let mut statement = self.connection.prepare(sql)?;
        let mut rows = statement.query([])?;
        if let Some(row) = rows.next()? {
            self.last = u64::try_from(row.get::<_, i64>(0)?).unwrap_or_default();
            self.mark = row.get(1)?;
        }
        Ok(())
    }

    /// Writes a group in one transaction, with its mark.
    pub(super) fn append(&mut self, records: &[AuditRecord]) -> Result<(), AuditError> {
        let transaction = self.connection.unchecked_transaction()?;
        let mut number = self.last;
        let mut chain = Chain::behind(&self.chain_key, &self.mark);
        {
            let mut insert = transaction.prepare_cached(&format!(
                "INSERT INTO records ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"
            ))?;
            for record in records {
                number = number.saturating_add(1);
                let query =
                    record.query.as_deref().map(|query| self.seal.seal(&place(number), 1, query));
                chain.add(number, record, query.as_deref());
                insert.execute(params![
                    signed(number),
                    record.at,
                    &*record.request_id,
                    record.client.as_deref(),
                    record.client_name.as_deref(),
                    record.address,
                    record.interaction,
                    record.resource_type,
                    record.resource_id,
                    record.status,
                    query
                ])?;
                if let Some(UsedOnce { hash, until }) = &record.used_once {
                    transaction
                        .prepare_cached("DELETE FROM used_once WHERE until <= ?1")?
                        .execute([record.at])?;
                    transaction
                        .prepare_cached("INSERT OR REPLACE INTO used_once VALUES (?1, ?2)")?
                        .execute(params![hash, until])?;
                }
            }
        }
        let mark = chain.mark();
        transaction
            .prepare_cached("INSERT INTO groups (last, mark) VALUES (?1, ?2)")?
            .execute(params![signed(number), mark])?;
        transaction.commit()?;
        (self.last, self.mark) = (number, mark);
        Ok(())
    }

    /// What was used and must not be used again, as long as it could be.
    pub(super) fn used_once(&self, now: i64) -> Result<Vec<UsedOnce>, AuditError> {
        let sql = "SELECT hash, until FROM used_once WHERE until > ?1";
        let mut statement = self.connection.prepare(sql)?;
        let found = statement
            .query_map([now], |row| Ok(UsedOnce { hash: row.get(0)?, until: row.get(1)? }))?
            .collect::<Result<_, _>>()?;
        Ok(found)
    }

    /// The records that a question asks for.
    pub(super) fn find(&self, query: &AuditQuery) -> Result<Vec<StoredRecord>, AuditError> {
        let (sql, parameters) = question(query);
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut rows = statement.query(params_from_iter(parameters))?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let (mut stored, sealed) = stored(row)?;
            if let Some(sealed) = sealed {
                let opened = self.seal.open(&place(stored.number), 1, &sealed);
                let text = opened.map_err(|_| AuditError::Damaged(stored.number))?;
                stored.record.query = Some(text.to_string());
            }
            found.push(stored);
        }
        Ok(found)
    }

    pub(super) fn count(&self) -> Result<u64, AuditError> {
        let sql = "SELECT coalesce(max(last), 0) FROM groups";
        let last: i64 = self.connection.query_row(sql, [], |row| row.get(0))?;
        Ok(u64::try_from(last).unwrap_or_default())
    }

    /// Checks every mark.
    pub(super) fn verify(&self) -> Result<Verified, AuditError> {
        // One view of both tables, while others write.
        let view = self.connection.unchecked_transaction()?;
        let mut groups = view.prepare("SELECT last, mark FROM groups ORDER BY last")?;
        let mut groups = groups.query([])?;
        let mut records =
            view.prepare(&format!("SELECT {COLUMNS} FROM records ORDER BY number"))?;
        let mut records = records.query([])?;
        let mut verified = Verified::default();
        let mut mark = FIRST_MARK;
        let mut number = 0_u64;
        while let Some(group) = groups.next()? {
            let last = u64::try_from(group.get::<_, i64>(0)?).unwrap_or_default();
            let first = number.saturating_add(1);
            let mut chain = Chain::behind(&self.chain_key, &mark);
            while number < last {
                number = number.saturating_add(1);
                let Some(row) = records.next()? else {
                    return Ok(Verified { changed_from: Some(first), ..verified });
                };
                let (stored, sealed) = stored(row)?;
                if stored.number != number {
                    return Ok(Verified { changed_from: Some(first), ..verified });
                }
                chain.add(number, &stored.record, sealed.as_deref());
                verified.records = verified.records.saturating_add(1);
            }
            mark = chain.mark();
            if group.get::<_, [u8; 32]>(1)? != mark {
                return Ok(Verified { changed_from: Some(first), ..verified });
            }
        }
        if records.next()?.is_some() {
            verified.changed_from = Some(number.saturating_add(1));
        }
        Ok(verified)
    }
}

/// The statement that answers a question, and its parameters.
pub(super) fn question(query: &AuditQuery) -> (String, Vec<SqlValue>) {
    let mut parameters: Vec<SqlValue> = Vec::new();
    let mut bind = |value: SqlValue| {
        parameters.push(value);
        parameters.len()
    };
    let text = |text: &String| SqlValue::Text(text.clone());
    let mut conditions = Vec::new();
    if let Some(from) = query.from {
        conditions.push(format!("at >= ?{}", bind(SqlValue::Integer(from))));
    }
    if let Some(to) = query.to {
        conditions.push(format!("at <= ?{}", bind(SqlValue::Integer(to))));
    }
    if let Some((resource_type, id)) = &query.resource {
        conditions.push(format!("id = ?{}", bind(text(id))));
        if let Some(name) = resource_type {
            conditions.push(format!("type = ?{}", bind(text(name))));
        }
    }
    if let Some(client) = &query.client {
        conditions.push(format!("client = ?{}", bind(text(client))));
    }
    if let Some(action) = query.action {
        conditions.push(format!("action = ?{}", bind(text(&action.code().to_owned()))));
    }
    if let Some(outcome) = query.outcome {
        conditions.push(format!("outcome = ?{}", bind(text(&outcome.code().to_owned()))));
    }
    if let Some(numbers) = &query.numbers {
        let numbers: Vec<String> = numbers.iter().map(u64::to_string).collect();
        conditions.push(format!("number IN ({})", numbers.join(", ")));
    }
    if let Some((at, number)) = query.after {
        let comparator = if query.newest_first { "<" } else { ">" };
        let (at, number) = (bind(SqlValue::Integer(at)), bind(SqlValue::Integer(signed(number))));
        conditions.push(format!("(at, number) {comparator} (?{at}, ?{number})"));
    }
    let conditions =
        if conditions.is_empty() { String::from("1") } else { conditions.join(" AND ") };
    let order = if query.newest_first { "DESC" } else { "ASC" };
    let limit = bind(SqlValue::Integer(i64::try_from(query.limit).unwrap_or(i64::MAX)));
    let sql = format!(
        "SELECT {COLUMNS} FROM records WHERE {conditions} ORDER BY at {order}, number {order} LIMIT ?{limit}"
    );
    (sql, parameters)
}

fn stored(row: &Row<'_>) -> Result<(StoredRecord, Option<Vec<u8>>), AuditError> {
    let record = AuditRecord {
        at: row.get(1)?,
        request_id: row.get(2)?,
        client: row.get(3)?,
        client_name: row.get(4)?,
        address: row.get(5)?,
        interaction: row.get(6)?,
        resource_type: row.get(7)?,
        resource_id: row.get(8)?,
        status: row.get(9)?,
        query: None,
        used_once: None,
    };
    let number = u64::try_from(row.get::<_, i64>(0)?).unwrap_or_default();
    Ok((StoredRecord { number, record }, row.get(10)?))
}

/// What a sealed text belongs to: it opens in no other record.
fn place(number: u64) -> ResourceKey {
    ResourceKey { resource_type: "AuditEvent".to_owned(), id: number.to_string() }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
