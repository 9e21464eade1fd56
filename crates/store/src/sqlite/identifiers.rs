//! Where identifiers stand, hashed: those of the open epoch as they came, those of a closed one by
//! hash, many to a row.
//!
//! A row of its own for each identifier would cost a message of six of them more than all the rest
//! of the index. So those that come in one transaction are packed into rows that fill a page, and a
//! closed epoch has *blocks*: runs of entries by ascending hash, each found by the hash it begins
//! with. All entries of one hash stand in one block.

use rusqlite::{CachedStatement, Connection, OptionalExtension, params};

use super::varint;
use crate::{IndexError, keys::Hash};

/// A block ends at the first hash behind so many bytes: four of them fill a page.
const BLOCK_BYTES: usize = 1_900;

pub(super) const BLOCK: &str = "SELECT entries FROM identifier
     WHERE epoch = ?1 AND first <= ?2 ORDER BY first DESC LIMIT 1";

pub(super) const FRESH: &str = "SELECT entries FROM fresh WHERE instr(entries, ?1)";

/// A row of the open epoch ends behind so many bytes: it fills a page, and needs no second.
const FRESH_BYTES: usize = 7_900;

/// An entry takes at least so many bytes.
const ENTRY_BYTES_MIN: usize = 18;

/// One identifier of one message, in the order of a closed epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    hash: Hash,
    kind: i64,
    message: i64,
}

/// What [`Fresh`] executes.
pub(super) const KEEP: &str = "INSERT INTO fresh (last, entries) VALUES (?1, ?2)";

/// What the messages of a transaction can be found by, while they are in the open epoch.
pub(super) struct Fresh<'a> {
    statement: CachedStatement<'a>,
    entries: Vec<u8>,
    /// The highest message in `entries`.
    last: i64,
}

impl<'a> Fresh<'a> {
    pub(super) fn prepare(connection: &'a Connection) -> Result<Fresh<'a>, IndexError> {
        let statement = connection.prepare_cached(KEEP)?;
        Ok(Fresh { statement, entries: Vec::with_capacity(FRESH_BYTES + 512), last: 0 })
    }

    /// Keeps what a message can be found by.
    pub(super) fn keep(&mut self, message: i64, hashes: &[(Hash, i64)]) -> Result<(), IndexError> {
        for (hash, kind) in hashes {
            Entry { hash: *hash, kind: *kind, message }.encode(&mut self.entries);
        }
        if !hashes.is_empty() {
            self.last = self.last.max(message);
        }
        if self.entries.len() >= FRESH_BYTES { self.write() } else { Ok(()) }
    }

    /// Writes what is not written yet.
    pub(super) fn write(&mut self) -> Result<(), IndexError> {
        if !self.entries.is_empty() {
            self.statement.execute(params![self.last, self.entries])?;
            self.entries.clear();
            self.last = 0;
        }
        Ok(())
    }
}

/// Sorts what the open epoch has into blocks of this epoch.
pub(super) fn close(connection: &Connection, epoch: i64) -> Result<(), IndexError> {
    // By the first byte of the hash, which leaves little to be sorted in each.
    let mut parts: [Vec<Entry>; 256] = std::array::from_fn(|_| Vec::new());
    let mut fresh = connection.prepare_cached("SELECT entries FROM fresh")?;
    let mut rows = fresh.query([])?;
    while let Some(row) = rows.next()? {
        each(row.get_ref(0)?.as_blob().map_err(|_| IndexError::Damaged(None))?, |entry| {
            let [first, ..] = entry.hash;
            if let Some(part) = parts.get_mut(usize::from(first)) {
                part.push(entry);
            }
        })?;
    }
    drop(rows);
    connection.prepare_cached("DELETE FROM fresh")?.execute([])?;
    let mut insert = connection
        .prepare_cached("INSERT INTO identifier (epoch, first, entries) VALUES (?1, ?2, ?3)")?;
    let mut block = Vec::with_capacity(2 * BLOCK_BYTES);
    let mut first: Option<Hash> = None;
    for mut part in parts {
        part.sort_unstable_by_key(Entry::order);
        part.dedup();
        for run in part.chunk_by(|one, other| one.hash == other.hash) {
            if let (Some(begins), true) = (first, block.len() >= BLOCK_BYTES) {
                insert.execute(params![epoch, begins, block])?;
                block.clear();
                first = None;
            }
            first = first.or(run.first().map(|entry| entry.hash));
            run.iter().for_each(|entry| entry.encode(&mut block));
        }
    }
    if let Some(begins) = first {
        insert.execute(params![epoch, begins, block])?;
    }
    Ok(())
}

/// Adds what a message of a closed epoch can be found by.
pub(super) fn add_late(
    connection: &Connection,
    epoch: i64,
    message: i64,
    hashes: &[(Hash, i64)],
) -> Result<(), IndexError> {
    let mut find = connection.prepare_cached(
        "SELECT first, entries FROM identifier
         WHERE epoch = ?1 AND first <= ?2 ORDER BY first DESC LIMIT 1",
    )?;
    let mut put = connection.prepare_cached(
        "INSERT INTO identifier (epoch, first, entries) VALUES (?1, ?2, ?3)
         ON CONFLICT (epoch, first) DO UPDATE SET entries = excluded.entries",
    )?;
    for (hash, kind) in hashes {
        let found: Option<(Hash, Vec<u8>)> = find
            .query_row(params![epoch, hash], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let (first, bytes) = found.unwrap_or((*hash, Vec::new()));
        let mut entries = decode(&bytes)?;
        let entry = Entry { hash: *hash, kind: *kind, message };
        if let Err(place) = entries.binary_search(&entry) {
            entries.insert(place, entry);
        }
        let mut block = Vec::with_capacity(bytes.len().saturating_add(32));
        entries.iter().for_each(|entry| entry.encode(&mut block));
        put.execute(params![epoch, first, block])?;
    }
    Ok(())
}

/// The messages of a closed epoch with this hash, each with the kind of the identifier.
pub(super) fn find(
    connection: &Connection,
    epoch: i64,
    hash: &Hash,
) -> Result<Vec<(i64, i64)>, IndexError> {
    let bytes: Option<Vec<u8>> = connection
        .prepare_cached(BLOCK)?
        .query_row(params![epoch, hash], |row| row.get(0))
        .optional()?;
    let entries = decode(&bytes.unwrap_or_default())?.into_iter();
    Ok(entries
        .filter(|entry| entry.hash == *hash)
        .map(|entry| (entry.message, entry.kind))
        .collect())
}

/// The messages of the open epoch with this hash, each with the kind of the identifier.
pub(super) fn find_fresh(
    connection: &Connection,
    hash: &Hash,
) -> Result<Vec<(i64, i64)>, IndexError> {
    let mut found = Vec::new();
    let mut statement = connection.prepare_cached(FRESH)?;
    let mut rows = statement.query([hash])?;
    while let Some(row) = rows.next()? {
        each(row.get_ref(0)?.as_blob().map_err(|_| IndexError::Damaged(None))?, |entry| {
            if entry.hash == *hash {
                found.push((entry.message, entry.kind));
            }
        })?;
    }
    Ok(found)
}

impl Entry {
    /// Sorts as the entry does; a number is compared in two steps, where bytes are in a call.
    fn order(&self) -> (u128, i64, i64) {
        (u128::from_be_bytes(self.hash), self.kind, self.message)
    }

    fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.hash);
        varint::put(bytes, self.kind.unsigned_abs());
        varint::put(bytes, self.message.unsigned_abs());
    }
}

fn each(mut bytes: &[u8], mut take: impl FnMut(Entry)) -> Result<(), IndexError> {
    while !bytes.is_empty() {
        let entry = take_hash(&mut bytes).and_then(|(hash, kind)| {
            let message = i64::try_from(varint::take(&mut bytes)?).ok()?;
            Some(Entry { hash, kind, message })
        });
        take(entry.ok_or(IndexError::Damaged(None))?);
    }
    Ok(())
}

fn decode(bytes: &[u8]) -> Result<Vec<Entry>, IndexError> {
    let mut entries = Vec::with_capacity(bytes.len() / ENTRY_BYTES_MIN);
    each(bytes, |entry| entries.push(entry))?;
    Ok(entries)
}

fn take_hash(bytes: &mut &[u8]) -> Option<(Hash, i64)> {
    let (hash, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some((*hash, i64::try_from(varint::take(bytes)?).ok()?))
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::{BLOCK_BYTES, FRESH_BYTES, Fresh, add_late, close, find, find_fresh};
    use crate::{IndexError, keys::Hash, sqlite::schema};

    fn tables() -> Connection {
        let connection = Connection::open_in_memory().expect("memory");
        connection.execute_batch(schema::TABLES).expect("tables");
        connection
    }

    fn keep<const COUNT: usize>(
        connection: &Connection,
        messages: std::ops::RangeInclusive<i64>,
        hashes: impl Fn(i64) -> [(Hash, i64); COUNT],
    ) {
        let mut fresh = Fresh::prepare(connection).expect("statement");
        for message in messages {
            fresh.keep(message, &hashes(message)).expect("keep");
        }
        fresh.write().expect("write");
    }

    fn hash(number: u32) -> Hash {
        let mut hash = [7; 16];
        hash[..4].copy_from_slice(&number.to_be_bytes());
        hash
    }

    fn rows(connection: &Connection, table: &str) -> usize {
        let sql = format!("SELECT count(*) FROM {table}");
        let rows: u32 = connection.query_row(&sql, [], |row| row.get(0)).expect("rows");
        rows as usize
    }

    #[test]
    fn every_identifier_is_found_before_and_after_its_epoch_is_closed() {
        let connection = tables();
        keep(&connection, 1..=1_000, |message| {
            let own = hash(u32::try_from(message).expect("small") * 2);
            // One that is its own, one that all share, and one of a channel's own kind.
            [(own, 0), (hash(1_001), 1), (own, 300)]
        });
        let bytes = 3_000 * 20;
        assert_eq!(rows(&connection, "fresh"), bytes / FRESH_BYTES + 1);
        let all: Vec<(i64, i64)> = (1..=1_000).map(|message| (message, 1)).collect();
        let own = vec![(500, 0), (500, 300)];
        assert_eq!(find_fresh(&connection, &hash(1_000)).expect("find"), own);
        assert_eq!(find_fresh(&connection, &hash(1_001)).expect("find"), all);
        close(&connection, 3).expect("close");
        assert!(find_fresh(&connection, &hash(1_000)).expect("find").is_empty());
        assert_eq!(find(&connection, 3, &hash(1_000)).expect("find"), own);
        assert_eq!(find(&connection, 3, &hash(1_001)).expect("find"), all);
        for (epoch, number) in [(3, 0), (3, 1_003), (3, 9_999), (2, 1_000), (4, 1_000)] {
            assert!(find(&connection, epoch, &hash(number)).expect("find").is_empty());
        }
        assert!(rows(&connection, "identifier") > bytes / BLOCK_BYTES / 2);
        assert_eq!(rows(&connection, "fresh"), 0);
    }

    #[test]
    fn late_identifiers_are_found_once_wherever_they_fall() {
        let connection = tables();
        keep(&connection, 1..=200, |message| {
            [(hash(u32::try_from(message).expect("small") * 10), 1)]
        });
        close(&connection, 1).expect("close");
        for number in [0, 1, 10, 11, 995, 1_000, 2_000, 2_001, u32::MAX] {
            for _ in 0..2 {
                add_late(&connection, 1, 77, &[(hash(number), 2)]).expect("add");
            }
            let mut found = find(&connection, 1, &hash(number)).expect("find");
            found.retain(|(message, _)| *message == 77);
            assert_eq!(found, [(77, 2)], "{number}");
        }
        for message in 1..=200_i64 {
            let own = hash(u32::try_from(message).expect("small") * 10);
            assert!(find(&connection, 1, &own).expect("find").contains(&(message, 1)));
        }
        add_late(&connection, 2, 78, &[(hash(5), 2)]).expect("an epoch without identifiers");
        assert_eq!(find(&connection, 2, &hash(5)).expect("find"), [(78, 2)]);
    }

    #[test]
    fn what_is_damaged_is_said_to_be() {
        let connection = tables();
        let cut = [7_u8; 20];
        for sql in [
            "INSERT INTO fresh (last, entries) VALUES (1, ?1)",
            "INSERT INTO identifier (epoch, first, entries) VALUES (1, zeroblob(16), ?1)",
        ] {
            connection.execute(sql, [cut]).expect("insert");
        }
        let found = find(&connection, 1, &[7; 16]);
        assert!(matches!(found, Err(IndexError::Damaged(_))));
        assert!(matches!(find_fresh(&connection, &[7; 16]), Err(IndexError::Damaged(_))));
        assert!(matches!(close(&connection, 2), Err(IndexError::Damaged(_))));
    }
}
