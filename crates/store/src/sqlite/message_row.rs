//! A message's row and those of its deliveries: reading what the writer needs, and writing them.

use std::collections::BTreeMap;

use rusqlite::{CachedStatement, Connection, OptionalExtension, params};

use super::{
    signed,
    stored::{
        disposition as disposition_of, disposition_number, small, stage, stage_number, state,
        state_number, unsigned,
    },
};
use crate::{
    Disposition, IndexError,
    life::{Duplicate, Leg, Life, NameId, Step},
};

/// What is stored of a message, as far as its changes need it.
pub(super) struct Stored {
    /// `None` while it is not known as received.
    pub(super) channel: Option<NameId>,
    pub(super) disposition: Option<Disposition>,
    pub(super) duplicate: Duplicate,
    pub(super) life: Life,
}

/// What describes a message, as stored.
pub(super) struct Facts {
    pub(super) channel: NameId,
    pub(super) received_at_micros: i64,
    pub(super) bytes: u32,
    pub(super) code: NameId,
    pub(super) trigger: NameId,
    pub(super) application: NameId,
    pub(super) facility: NameId,
    pub(super) structure: NameId,
    pub(super) version: NameId,
    pub(super) processing: NameId,
    pub(super) duplicate_of: Option<i64>,
    pub(super) sealed: Vec<u8>,
}

pub(super) fn load(connection: &Connection, id: i64) -> Result<Option<Stored>, IndexError> {
    let mut statement = connection.prepare_cached(
        "SELECT channel, disposition, duplicate_of IS NOT NULL, step_position, step_at, step_stage,
             step_code, step_revision
         FROM message WHERE id = ?1",
    )?;
    type Row = (Option<i64>, Option<i64>, bool, [i64; 3], [i64; 2]);
    let row: Option<Row> = statement
        .query_row([id], |row| {
            let step = [row.get(3)?, row.get(4)?, row.get(5)?];
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, step, [row.get(6)?, row.get(7)?]))
        })
        .optional()?;
    let Some((channel, disposition, duplicate, step, [code, revision])) = row else {
        return Ok(None);
    };
    let [position, at_micros, stage_number] = step;
    let step = Step {
        position: unsigned(position)?,
        at_micros,
        stage: stage(stage_number)?,
        code,
        revision,
    };
    let life = Life { step, deliveries: load_deliveries(connection, id)? };
    Ok(Some(Stored {
        channel,
        disposition: disposition.map(disposition_of).transpose()?,
        duplicate: if duplicate { Duplicate::Yes } else { Duplicate::No },
        life,
    }))
}

fn load_deliveries(connection: &Connection, id: i64) -> Result<BTreeMap<u32, Leg>, IndexError> {
    let mut statement = connection.prepare_cached(
        "SELECT ordinal, position, destination, state, at, code, attempts
         FROM delivery WHERE message = ?1",
    )?;
    let mut deliveries = BTreeMap::new();
    let mut rows = statement.query([id])?;
    while let Some(row) = rows.next()? {
        let leg = Leg {
            position: unsigned(row.get(1)?)?,
            destination: row.get(2)?,
            state: state(row.get(3)?)?,
            at_micros: row.get(4)?,
            code: row.get(5)?,
            attempts: small(row.get(6)?)?,
        };
        deliveries.insert(small(row.get(0)?)?, leg);
    }
    Ok(deliveries)
}

/// What [`insert`] executes.
pub(super) const INSERT: &str =
    "INSERT INTO message (id, disposition, step_position, step_at, step_stage, step_code,
         step_revision, channel, received_at, bytes, code, trigger, application, facility,
         structure, version, processing, duplicate_of, sealed)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)";

/// Writes a message that was not known.
pub(super) fn insert(
    statement: &mut CachedStatement<'_>,
    id: i64,
    facts: Option<&Facts>,
    disposition: Option<Disposition>,
    step: &Step,
) -> Result<(), IndexError> {
    statement.execute(params![
        id,
        disposition.map(disposition_number),
        signed(step.position)?,
        step.at_micros,
        stage_number(step.stage),
        step.code,
        step.revision,
        facts.map(|facts| facts.channel),
        facts.map(|facts| facts.received_at_micros),
        facts.map(|facts| facts.bytes),
        facts.map(|facts| facts.code),
        facts.map(|facts| facts.trigger),
        facts.map(|facts| facts.application),
        facts.map(|facts| facts.facility),
        facts.map(|facts| facts.structure),
        facts.map(|facts| facts.version),
        facts.map(|facts| facts.processing),
        facts.and_then(|facts| facts.duplicate_of),
        facts.map(|facts| facts.sealed.as_slice()),
    ])?;
    Ok(())
}

/// Adds what describes a message to its row.
pub(super) fn describe(connection: &Connection, id: i64, facts: &Facts) -> Result<(), IndexError> {
    let mut statement = connection.prepare_cached(
        "UPDATE message SET channel = ?2, received_at = ?3, bytes = ?4, code = ?5, trigger = ?6,
             application = ?7, facility = ?8, structure = ?9, version = ?10, processing = ?11,
             duplicate_of = ?12, sealed = ?13
         WHERE id = ?1",
    )?;
    statement.execute(params![
        id,
        facts.channel,
        facts.received_at_micros,
        facts.bytes,
        facts.code,
        facts.trigger,
        facts.application,
        facts.facility,
        facts.structure,
        facts.version,
        facts.processing,
        facts.duplicate_of,
        facts.sealed,
    ])?;
    Ok(())
}

/// Writes where a message has come to.
pub(super) fn advance(
    connection: &Connection,
    id: i64,
    disposition: Option<Disposition>,
    step: &Step,
) -> Result<(), IndexError> {
    let mut statement = connection.prepare_cached(
        "UPDATE message SET disposition = ?2, step_position = ?3, step_at = ?4, step_stage = ?5,
             step_code = ?6, step_revision = ?7
         WHERE id = ?1",
    )?;
    statement.execute(params![
        id,
        disposition.map(disposition_number),
        signed(step.position)?,
        step.at_micros,
        stage_number(step.stage),
        step.code,
        step.revision,
    ])?;
    Ok(())
}

/// What [`write_delivery`] executes.
pub(super) const WRITE_DELIVERY: &str =
    "INSERT OR REPLACE INTO delivery (message, ordinal, position, destination, state, at, code,
         attempts)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";

pub(super) fn write_delivery(
    statement: &mut CachedStatement<'_>,
    id: i64,
    ordinal: u32,
    leg: &Leg,
) -> Result<(), IndexError> {
    statement.execute(params![
        id,
        ordinal,
        signed(leg.position)?,
        leg.destination,
        state_number(leg.state),
        leg.at_micros,
        leg.code,
        leg.attempts,
    ])?;
    Ok(())
}
