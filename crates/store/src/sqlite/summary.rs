//! Rows as they are shown.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};

use super::{detail::Detail, names, reader::Decoder, seal::Place, stored};
use crate::{ChannelCount, Delivery, Identifier, IndexError, Summary, life::NameId};

/// A message with at most so many deliveries; `None` when it is not known as received.
pub(super) fn load(
    connection: &Connection,
    decoder: &mut Decoder,
    id: i64,
    deliveries_max: Option<usize>,
) -> Result<Option<Summary>, IndexError> {
    let mut statement = connection.prepare_cached(
        "SELECT disposition, channel, received_at, bytes, code, trigger, application, facility,
             structure, version, processing, duplicate_of, step_position, step_at, step_code,
             step_revision, sealed
         FROM message WHERE id = ?1 AND channel IS NOT NULL",
    )?;
    let mut rows = statement.query([id])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let sealed: Vec<u8> = row.get(16)?;
    let opened = decoder.opener.open(connection, &Place::Message(id), &sealed)?;
    let detail = Detail::decode(&opened)?;
    let identifiers = identifiers(connection, decoder, &detail)?;
    let duplicate_of: Option<i64> = row.get(11)?;
    let step_position: i64 = row.get(12)?;
    let (deliveries, deliveries_total) = deliveries(connection, decoder, id, deliveries_max)?;
    let last_position = last_position(connection, id)?.max(step_position).max(id);
    let mut name = |column: usize| text(connection, decoder, row.get(column)?);
    Ok(Some(Summary {
        message: stored::unsigned(id)?,
        disposition: stored::disposition(row.get(0)?)?,
        channel: name(1)?,
        received_at_micros: row.get(2)?,
        bytes: stored::small(row.get(3)?)?,
        code: name(4)?,
        trigger: name(5)?,
        sending_application: name(6)?,
        sending_facility: name(7)?,
        structure: name(8)?,
        version: name(9)?,
        processing_id: name(10)?,
        control_id: detail.control_id.into(),
        peer: detail.peer.into(),
        identifiers,
        duplicate_of: duplicate_of.map(stored::unsigned).transpose()?,
        processed_at_micros: if step_position == 0 { None } else { Some(row.get(13)?) },
        operator_code: name(14)?,
        revision: name(15)?,
        deliveries,
        deliveries_total,
        last_position: stored::unsigned(last_position)?,
    }))
}

/// The newest record about a delivery of the message.
fn last_position(connection: &Connection, id: i64) -> Result<i64, IndexError> {
    let mut statement =
        connection.prepare_cached("SELECT max(position) FROM delivery WHERE message = ?1")?;
    let newest: Option<i64> = statement.query_row([id], |row| row.get(0))?;
    Ok(newest.unwrap_or_default())
}

/// How many messages each channel has in each disposition.
pub(super) fn counts(
    connection: &Connection,
    decoder: &mut Decoder,
) -> Result<Vec<ChannelCount>, IndexError> {
    let mut statement = connection
        .prepare_cached("SELECT channel, disposition, messages FROM tally WHERE messages <> 0")?;
    let mut counts = Vec::new();
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        counts.push(ChannelCount {
            channel: text(connection, decoder, row.get(0)?)?,
            disposition: stored::disposition(row.get(1)?)?,
            messages: stored::unsigned(row.get(2)?)?,
        });
    }
    counts.sort();
    Ok(counts)
}

fn text(
    connection: &Connection,
    decoder: &mut Decoder,
    id: NameId,
) -> Result<Arc<str>, IndexError> {
    decoder.names.text(connection, &mut decoder.opener, id)
}

fn identifiers(
    connection: &Connection,
    decoder: &mut Decoder,
    detail: &Detail<'_>,
) -> Result<Vec<Identifier>, IndexError> {
    let mut identifiers = Vec::with_capacity(detail.identifiers.len());
    for (number, value) in &detail.identifiers {
        let kind = names::kind(*number, |name| text(connection, decoder, name))?;
        identifiers.push(Identifier { kind, value: (*value).into() });
    }
    Ok(identifiers)
}

/// The first deliveries of a message, and how many it has.
fn deliveries(
    connection: &Connection,
    decoder: &mut Decoder,
    id: i64,
    most: Option<usize>,
) -> Result<(Vec<Delivery>, u64), IndexError> {
    let limit = most.map_or(-1, |most| i64::try_from(most).unwrap_or(i64::MAX));
    let mut statement = connection.prepare_cached(
        "SELECT ordinal, destination, state, at, code, attempts
         FROM delivery WHERE message = ?1 ORDER BY ordinal LIMIT ?2",
    )?;
    let mut deliveries = Vec::new();
    let mut rows = statement.query(params![id, limit])?;
    while let Some(row) = rows.next()? {
        deliveries.push(Delivery {
            ordinal: stored::small(row.get(0)?)?,
            destination: text(connection, decoder, row.get(1)?)?,
            state: stored::state(row.get(2)?)?,
            at_micros: row.get(3)?,
            operator_code: text(connection, decoder, row.get(4)?)?,
            attempts: stored::small(row.get(5)?)?,
        });
    }
    let shown = deliveries.len();
    let total = if most.is_some_and(|most| shown >= most) {
        let mut statement =
            connection.prepare_cached("SELECT count(*) FROM delivery WHERE message = ?1")?;
        let count: Option<i64> = statement.query_row([id], |row| row.get(0)).optional()?;
        stored::unsigned(count.unwrap_or_default())?
    } else {
        shown as u64
    };
    Ok((deliveries, total))
}
