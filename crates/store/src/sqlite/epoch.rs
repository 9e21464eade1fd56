//! Epochs: how a search finds its way without an index on every column.

use std::{
    collections::{BTreeMap, HashMap},
    mem,
};

use rusqlite::{Connection, OptionalExtension, params};

use super::{fold::Writer, identifiers, stored, varint};
use crate::{IndexError, life::NameId};

/// How many messages an epoch has. More make closing it (about 3 µs a message) and reading the
/// open one through (a few milliseconds) longer; fewer make more epochs for a search to probe
/// (some 5 µs each: ten million messages are 305).
pub(super) const EPOCH_MESSAGES: u64 = 32 * 1024;

/// The epoch that messages are added to.
pub(super) struct OpenEpoch {
    pub(super) number: i64,
    pub(super) first: i64,
    pub(super) messages: u64,
}

impl OpenEpoch {
    pub(super) fn load(connection: &Connection) -> Result<OpenEpoch, IndexError> {
        let (number, first, messages): (i64, i64, i64) = connection
            .prepare_cached("SELECT number, first, messages FROM epoch ORDER BY number DESC")?
            .query_row([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        Ok(OpenEpoch { number, first, messages: stored::unsigned(messages)? })
    }
}

/// What the messages of a closed epoch are listed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Facet {
    Channel = 1,
    Code = 2,
    Trigger = 3,
    Application = 4,
    Facility = 5,
    Destination = 6,
}

impl Facet {
    const COUNT: usize = 7;
}

/// The closed epoch that covers this message.
pub(super) fn closed_epoch(connection: &Connection, message: i64) -> Result<i64, IndexError> {
    let number = connection
        .prepare_cached("SELECT number FROM epoch WHERE first <= ?1 ORDER BY first DESC LIMIT 1")?
        .query_row([message], |row| row.get(0))
        .optional()?;
    number.ok_or(IndexError::Damaged(None))
}

/// Closes the open epoch and opens the next.
pub(super) fn close(connection: &Connection, writer: &mut Writer) -> Result<(), IndexError> {
    let epoch = writer.open.number;
    identifiers::close(connection, epoch)?;
    let mut insert = connection.prepare_cached(
        "INSERT INTO facet (epoch, facet, name, messages) VALUES (?1, ?2, ?3, ?4)",
    )?;
    for ((facet, name), list) in facets(connection, writer.open.first)? {
        insert.execute(params![epoch, facet as u8, name, list.bytes])?;
    }
    let first = writer.last_message.saturating_add(1);
    connection
        .prepare_cached("UPDATE epoch SET last = ?2 WHERE number = ?1")?
        .execute([epoch, writer.last_message])?;
    let number = epoch.saturating_add(1);
    connection
        .prepare_cached(
            "INSERT INTO epoch (number, first, last, messages, from_micros, to_micros)
             VALUES (?1, ?2, ?3, 0, ?3, ?4)",
        )?
        .execute([number, first, i64::MAX, i64::MIN])?;
    writer.open = OpenEpoch { number, first, messages: 0 };
    Ok(())
}

fn facets(
    connection: &Connection,
    first: i64,
) -> Result<BTreeMap<(Facet, NameId), ListWriter>, IndexError> {
    let mut lists = Lists::default();
    let mut messages = connection.prepare_cached(
        "SELECT id, channel, code, trigger, application, facility FROM message
         WHERE id >= ?1 AND channel IS NOT NULL ORDER BY id",
    )?;
    let facets = [Facet::Channel, Facet::Code, Facet::Trigger, Facet::Application, Facet::Facility];
    let mut rows = messages.query([first])?;
    while let Some(row) = rows.next()? {
        let id = row.get(0)?;
        for (column, facet) in (1..).zip(facets) {
            lists.push(facet, row.get(column)?, id);
        }
    }
    let mut deliveries = connection.prepare_cached(
        "SELECT message, destination FROM delivery WHERE message >= ?1 ORDER BY message",
    )?;
    let mut rows = deliveries.query([first])?;
    while let Some(row) = rows.next()? {
        lists.push(Facet::Destination, row.get(1)?, row.get(0)?);
    }
    Ok(lists.into_sorted())
}

/// The lists of an epoch while they are made.
#[derive(Default)]
struct Lists {
    places: HashMap<(Facet, NameId), usize>,
    lists: Vec<ListWriter>,
    /// Of each facet the name last added to, and the place of its list: mostly the next one's.
    last: [Option<(NameId, usize)>; Facet::COUNT],
}

impl Lists {
    fn push(&mut self, facet: Facet, name: NameId, message: i64) {
        let last = self.last.get_mut(facet as usize).expect("a facet below COUNT");
        let place = match last {
            Some((known, place)) if *known == name => *place,
            _ => *self.places.entry((facet, name)).or_insert(self.lists.len()),
        };
        *last = Some((name, place));
        if place == self.lists.len() {
            self.lists.push(ListWriter::default());
        }
        if let Some(list) = self.lists.get_mut(place) {
            list.push(message);
        }
    }

    fn into_sorted(mut self) -> BTreeMap<(Facet, NameId), ListWriter> {
        let take = |(key, place): (_, usize)| Some((key, mem::take(self.lists.get_mut(place)?)));
        self.places.into_iter().filter_map(take).collect()
    }
}

/// Adds messages to the lists of epochs that were closed before.
pub(super) fn add_late(
    connection: &Connection,
    late: BTreeMap<(i64, Facet, NameId), Vec<i64>>,
) -> Result<(), IndexError> {
    let mut upsert = connection.prepare_cached(
        "INSERT INTO facet (epoch, facet, name, messages) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (epoch, facet, name) DO UPDATE SET messages = excluded.messages",
    )?;
    for ((epoch, facet, name), mut messages) in late {
        messages.extend(listed(connection, epoch, facet, name)?);
        messages.sort_unstable();
        let mut list = ListWriter::default();
        messages.into_iter().for_each(|message| list.push(message));
        upsert.execute(params![epoch, facet as u8, name, list.bytes])?;
    }
    Ok(())
}

/// The messages of a closed epoch that a facet lists, ascending.
pub(super) fn listed(
    connection: &Connection,
    epoch: i64,
    facet: Facet,
    name: NameId,
) -> Result<Vec<i64>, IndexError> {
    let bytes: Option<Vec<u8>> = connection
        .prepare_cached("SELECT messages FROM facet WHERE epoch = ?1 AND facet = ?2 AND name = ?3")?
        .query_row(params![epoch, facet as u8, name], |row| row.get(0))
        .optional()?;
    match bytes {
        Some(bytes) => decode(&bytes).ok_or(IndexError::Damaged(None)),
        None => Ok(Vec::new()),
    }
}

/// Writes ascending numbers as the distance from the one before.
#[derive(Default)]
struct ListWriter {
    last: Option<i64>,
    bytes: Vec<u8>,
}

impl ListWriter {
    /// Adds a number; the one before again changes nothing.
    fn push(&mut self, number: i64) {
        let distance = number.saturating_sub(self.last.unwrap_or(0));
        if self.last != Some(number) {
            varint::put(&mut self.bytes, distance.unsigned_abs());
            self.last = Some(number);
        }
    }
}

fn decode(mut bytes: &[u8]) -> Option<Vec<i64>> {
    let mut numbers = Vec::with_capacity(bytes.len());
    let mut last = 0_i64;
    while !bytes.is_empty() {
        last = last.checked_add(i64::try_from(varint::take(&mut bytes)?).ok()?)?;
        numbers.push(last);
    }
    Some(numbers)
}

#[cfg(test)]
mod tests {
    use super::{ListWriter, decode};

    #[test]
    fn a_list_comes_back_without_repeats() {
        let mut list = ListWriter::default();
        for number in [0, 0, 1, 300, 300, i64::MAX] {
            list.push(number);
        }
        assert_eq!(decode(&list.bytes), Some(vec![0, 1, 300, i64::MAX]));
        assert_eq!(decode(&[]), Some(Vec::new()));
        assert_eq!(decode(&[0x80]), None);
        list.bytes.push(1);
        assert_eq!(decode(&list.bytes), None, "past the greatest number");
    }
}
