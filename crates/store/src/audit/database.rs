//! The database of the audit log.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hmac::{Hmac, Mac};
use rusqlite::types::Value as SqlValue;
use rusqlite::{Connection, OpenFlags, Row, params, params_from_iter};
use sha2::Sha256;

use super::AuditError;
use super::record::{AuditQuery, AuditRecord, StoredRecord, Verified};
use crate::datastore::ResourceKey;
use crate::datastore::body::Seal;

/// Says of a file that it is an audit log.
const APPLICATION_ID: i64 = 0x5048_4155;
const SCHEMA_VERSION: i64 = 1;

/// A group's mark covers the groups before it: the first follows this.
const FIRST_MARK: [u8; 32] = [0; 32];

const SCHEMA: &str = "
CREATE TABLE records (
    number INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    request TEXT NOT NULL,
    client TEXT,
    client_name TEXT,
    address TEXT,
    interaction TEXT NOT NULL,
    type TEXT,
    id TEXT,
    status INTEGER NOT NULL,
    query BLOB
) STRICT;
CREATE INDEX records_at ON records (at);
CREATE INDEX records_resource ON records (id, type) WHERE id IS NOT NULL;
CREATE TABLE groups (
    last INTEGER PRIMARY KEY,
    mark BLOB NOT NULL
) STRICT;
";

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
        if !path.exists() {
            create_private(path).map_err(|error| AuditError::Database(Box::new(error)))?;
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(Duration::from_secs(10))?;
        connection.pragma_update(None, "page_size", 8192)?;
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        let pragma =
            |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        match (pragma("application_id")?, pragma("user_version")?) {
            (0, 0) => {
                connection.execute_batch(&format!(
                    "BEGIN; {SCHEMA} PRAGMA application_id = {APPLICATION_ID};
                     PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
                ))?;
            }
            (APPLICATION_ID, SCHEMA_VERSION) => {}
            _ => return Err(AuditError::Foreign),
        }
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
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(Duration::from_secs(10))?;
        Ok(Self { connection, seal, chain_key, last: 0, mark: FIRST_MARK })
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

    /// The records that a question asks for.
    pub(super) fn find(&self, query: &AuditQuery) -> Result<Vec<StoredRecord>, AuditError> {
        let mut parameters: Vec<SqlValue> = Vec::new();
        let mut bind = |value: SqlValue| {
            parameters.push(value);
            parameters.len()
        };
        let mut conditions = Vec::new();
        if let Some(from) = query.from {
            conditions.push(format!("at >= ?{}", bind(SqlValue::Integer(from))));
        }
        if let Some(to) = query.to {
            conditions.push(format!("at <= ?{}", bind(SqlValue::Integer(to))));
        }
        if let Some((resource_type, id)) = &query.resource {
            conditions.push(format!("id = ?{}", bind(SqlValue::Text(id.clone()))));
            if let Some(name) = resource_type {
                conditions.push(format!("type = ?{}", bind(SqlValue::Text(name.clone()))));
            }
        }
        if let Some(numbers) = &query.numbers {
            let numbers: Vec<String> = numbers.iter().map(u64::to_string).collect();
            conditions.push(format!("number IN ({})", numbers.join(", ")));
        }
        if let Some((at, number)) = query.after {
            let comparator = if query.newest_first { "<" } else { ">" };
            let (at, number) =
                (bind(SqlValue::Integer(at)), bind(SqlValue::Integer(signed(number))));
            conditions.push(format!("(at, number) {comparator} (?{at}, ?{number})"));
        }
        let conditions =
            if conditions.is_empty() { String::from("1") } else { conditions.join(" AND ") };
        let order = if query.newest_first { "DESC" } else { "ASC" };
        let limit = bind(SqlValue::Integer(i64::try_from(query.limit).unwrap_or(i64::MAX)));
        let sql = format!(
            "SELECT {COLUMNS} FROM records WHERE {conditions} ORDER BY at {order}, number {order} LIMIT ?{limit}"
        );
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

/// The keyed hash over a group and the mark before it.
struct Chain(Hmac<Sha256>);

impl Chain {
    fn behind(key: &[u8; 32], before: &[u8; 32]) -> Self {
        let mut mac =
            <Hmac<Sha256> as Mac>::new_from_slice(key).expect("HMAC takes keys of any length");
        mac.update(before);
        Self(mac)
    }

    /// Every field with its length, so that no two records give the same bytes.
    fn add(&mut self, number: u64, record: &AuditRecord, query: Option<&[u8]>) {
        self.0.update(&number.to_le_bytes());
        self.0.update(&record.at.to_le_bytes());
        self.0.update(&record.status.to_le_bytes());
        let texts = [
            Some(&*record.request_id),
            record.client.as_deref(),
            record.client_name.as_deref(),
            record.address.as_deref(),
            Some(record.interaction.as_str()),
            record.resource_type.as_deref(),
            record.resource_id.as_deref(),
        ];
        for field in texts.map(|text| text.map(str::as_bytes)).into_iter().chain([query]) {
            let length = field.map_or(u64::MAX, |bytes| bytes.len() as u64);
            self.0.update(&length.to_le_bytes());
            self.0.update(field.unwrap_or_default());
        }
    }

    fn mark(self) -> [u8; 32] {
        self.0.finalize().into_bytes().into()
    }
}

fn create_private(path: &Path) -> std::io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}
