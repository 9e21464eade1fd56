//! Applying changes: those of one message are folded in memory and written as one row.

use std::collections::{BTreeMap, btree_map::Entry as MapEntry};

use rusqlite::{CachedStatement, Connection, params};

use super::{
    detail::Detail,
    epoch::{self, Facet, OpenEpoch},
    identifiers,
    message_row::{self, Facts, Stored},
    names::{NameKind, WriterNames, kind_number},
    seal::{Place, Sealer},
    signed, stored,
};
use crate::{
    Change, DeliveryState, Disposition, IdentifierKind, IndexError, IndexKeys, Outcome, Processed,
    Received, Released, Settled,
    keys::{Hash, Hasher},
    life::{Duplicate, EMPTY_NAME, Leg, Life, NameId, Stage, Step},
};

/// What the writer knows by heart of what is committed.
pub(super) struct Writer {
    hasher: Hasher,
    sealer: Sealer,
    names: WriterNames,
    /// Messages before it are forgotten.
    floor: i64,
    /// The highest message there is: one above it needs no looking up.
    pub(super) last_message: i64,
    pub(super) open: OpenEpoch,
    data_version: i64,
}

impl Writer {
    pub(super) fn begin(connection: &Connection, keys: &IndexKeys) -> Result<Writer, IndexError> {
        let number = |sql| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
        let open = OpenEpoch::load(connection)?;
        // Forgetting may have left the open epoch without messages: it still begins after all
        // messages before.
        let last_message =
            number("SELECT ifnull(max(id), 0) FROM message")?.max(open.first.saturating_sub(1));
        Ok(Writer {
            hasher: Hasher::new(keys),
            sealer: Sealer::begin(connection, keys)?,
            names: WriterNames::new(),
            floor: number("SELECT floor FROM state")?,
            last_message,
            open,
            data_version: data_version(connection)?,
        })
    }

    /// Whether nobody else has written since, such as a command that reindexes in another process.
    pub(super) fn is_current(&self, connection: &Connection) -> Result<bool, IndexError> {
        Ok(self.data_version == data_version(connection)?)
    }

    fn name(
        &mut self,
        connection: &Connection,
        kind: NameKind,
        text: &str,
    ) -> Result<NameId, IndexError> {
        self.names.number(connection, &self.hasher, &mut self.sealer, kind, text)
    }
}

/// Changes when another connection has changed the database.
fn data_version(connection: &Connection) -> Result<i64, IndexError> {
    let mut statement = connection.prepare_cached("PRAGMA data_version")?;
    Ok(statement.query_row([], |row| row.get(0))?)
}

/// Applies changes inside the caller's transaction.
pub(super) fn apply(
    connection: &Connection,
    writer: &mut Writer,
    changes: &[Change],
) -> Result<(), IndexError> {
    let mut entries: BTreeMap<i64, Entry<'_>> = BTreeMap::new();
    for change in changes {
        let id = signed(change.message())?;
        if id < writer.floor {
            continue;
        }
        let entry = match entries.entry(id) {
            MapEntry::Occupied(entry) => entry.into_mut(),
            MapEntry::Vacant(vacant) => {
                let stored = if id > writer.last_message {
                    None
                } else {
                    message_row::load(connection, id)?
                };
                vacant.insert(Entry::new(stored.map(Box::new)))
            }
        };
        entry.take(connection, writer, change)?;
    }
    let mut fold = Fold {
        connection,
        statements: Statements::prepare(connection)?,
        fresh: identifiers::Fresh::prepare(connection)?,
        room: Room::default(),
        writer,
        tally: BTreeMap::new(),
        growth: BTreeMap::new(),
        late: BTreeMap::new(),
    };
    for (id, entry) in entries {
        fold.write(id, entry)?;
    }
    fold.finish()
}

/// A message that changes.
struct Entry<'a> {
    /// Boxed, because few messages have it and all are held at once.
    stored: Option<Box<Stored>>,
    life: Life,
    /// Set when it is not stored as received yet.
    received: Option<&'a Received>,
}

impl<'a> Entry<'a> {
    fn new(stored: Option<Box<Stored>>) -> Entry<'a> {
        let life = stored.as_ref().map(|stored| stored.life.clone()).unwrap_or_default();
        Entry { stored, life, received: None }
    }

    fn take(
        &mut self,
        connection: &Connection,
        writer: &mut Writer,
        change: &'a Change,
    ) -> Result<(), IndexError> {
        match change {
            Change::Received(received) => {
                let known = self.stored.as_ref().is_some_and(|stored| stored.channel.is_some());
                // What was received never changes: the first to come is as good as any.
                if !known && self.received.is_none() {
                    self.received = Some(received);
                }
            }
            Change::Processed(processed) => self.process(connection, writer, processed)?,
            Change::Settled(settled) => self.settle(connection, writer, settled)?,
            Change::Released(released) => self.release(connection, writer, released)?,
        }
        Ok(())
    }

    fn process(
        &mut self,
        connection: &Connection,
        writer: &mut Writer,
        processed: &Processed,
    ) -> Result<(), IndexError> {
        signed(processed.position)?;
        let stage = match processed.disposition {
            None => Stage::Routed,
            Some(Disposition::InFlight) => Stage::Waiting,
            Some(disposition) => Stage::Ended(disposition),
        };
        let step = Step {
            position: processed.position,
            at_micros: processed.at_micros,
            stage,
            code: writer.name(connection, NameKind::OperatorCode, &processed.code)?,
            revision: writer.name(connection, NameKind::Revision, &processed.revision)?,
        };
        let mut outputs = Vec::with_capacity(processed.outputs.len());
        for output in &processed.outputs {
            let destination =
                writer.name(connection, NameKind::Destination, &output.destination)?;
            outputs.push((output.ordinal, destination));
        }
        self.life.step(step, outputs);
        Ok(())
    }

    fn settle(
        &mut self,
        connection: &Connection,
        writer: &mut Writer,
        settled: &Settled,
    ) -> Result<(), IndexError> {
        signed(settled.position)?;
        let leg = Leg {
            position: settled.position,
            destination: writer.name(connection, NameKind::Destination, &settled.destination)?,
            state: match settled.outcome {
                Outcome::Delivered => DeliveryState::Delivered,
                Outcome::Parked => DeliveryState::Parked,
                Outcome::Discarded => DeliveryState::Discarded,
            },
            at_micros: settled.at_micros,
            code: writer.name(connection, NameKind::OperatorCode, &settled.code)?,
            attempts: settled.attempts,
        };
        self.life.leg(settled.ordinal, leg);
        Ok(())
    }

    fn release(
        &mut self,
        connection: &Connection,
        writer: &mut Writer,
        released: &Released,
    ) -> Result<(), IndexError> {
        signed(released.position)?;
        let (position, at_micros) = (released.position, released.at_micros);
        let Some(output) = &released.output else {
            self.life.step(Step { position, at_micros, ..Step::default() }, []);
            return Ok(());
        };
        let leg = Leg {
            position,
            destination: writer.name(connection, NameKind::Destination, &output.destination)?,
            state: DeliveryState::InFlight,
            at_micros,
            code: EMPTY_NAME,
            attempts: 0,
        };
        self.life.leg(output.ordinal, leg);
        Ok(())
    }
}

/// How much an epoch grew.
struct Growth {
    messages: i64,
    from_micros: i64,
    to_micros: i64,
}

/// What is executed for every message. Looking a statement up among those that are prepared costs
/// a good part of executing it.
struct Statements<'a> {
    insert: CachedStatement<'a>,
    write_delivery: CachedStatement<'a>,
}

impl<'a> Statements<'a> {
    fn prepare(connection: &'a Connection) -> Result<Statements<'a>, IndexError> {
        Ok(Statements {
            insert: connection.prepare_cached(message_row::INSERT)?,
            write_delivery: connection.prepare_cached(message_row::WRITE_DELIVERY)?,
        })
    }
}

/// Room for what is made of each message, kept from one to the next.
#[derive(Default)]
struct Room {
    kinds: Vec<i64>,
    hashes: Vec<(Hash, i64)>,
    detail: Vec<u8>,
}

struct Fold<'a> {
    connection: &'a Connection,
    statements: Statements<'a>,
    fresh: identifiers::Fresh<'a>,
    room: Room,
    writer: &'a mut Writer,
    /// How many messages came to a channel's disposition, less those that left it.
    tally: BTreeMap<(NameId, Disposition), i64>,
    growth: BTreeMap<i64, Growth>,
    /// What is to be added to the lists of closed epochs.
    late: BTreeMap<(i64, Facet, NameId), Vec<i64>>,
}

impl Fold<'_> {
    fn write(&mut self, id: i64, entry: Entry<'_>) -> Result<(), IndexError> {
        let Entry { stored, life, received } = entry;
        // `None` when it is in the open epoch.
        let closed = if id < self.writer.open.first {
            Some(epoch::closed_epoch(self.connection, id)?)
        } else {
            None
        };
        let facts = match received {
            None => None,
            Some(received) => Some(self.facts(id, closed, received)?),
        };
        let channel = facts
            .as_ref()
            .map(|facts| facts.channel)
            .or_else(|| stored.as_ref().and_then(|stored| stored.channel));
        let duplicate = match &facts {
            Some(facts) if facts.duplicate_of.is_some() => Duplicate::Yes,
            Some(_) => Duplicate::No,
            None => stored.as_ref().map_or(Duplicate::No, |stored| stored.duplicate),
        };
        let disposition = channel.map(|_| life.disposition(duplicate));
        self.count(channel, stored.as_ref().and_then(|stored| stored.disposition), -1);
        self.count(channel, disposition, 1);
        self.grow(id, closed, stored.is_none(), facts.as_ref());
        match &stored {
            None => {
                let insert = &mut self.statements.insert;
                message_row::insert(insert, id, facts.as_ref(), disposition, &life.step)?
            }
            Some(stored) => {
                if let Some(facts) = &facts {
                    message_row::describe(self.connection, id, facts)?;
                }
                if stored.disposition != disposition || stored.life.step != life.step {
                    message_row::advance(self.connection, id, disposition, &life.step)?;
                }
            }
        }
        let before = stored.map(|stored| stored.life.deliveries).unwrap_or_default();
        self.write_deliveries(id, closed, &before, &life.deliveries)
    }

    /// Numbers, seals and hashes what was received, and writes its identifiers.
    fn facts(
        &mut self,
        id: i64,
        closed: Option<i64>,
        received: &Received,
    ) -> Result<Facts, IndexError> {
        let connection = self.connection;
        let Room { kinds, hashes, detail: encoded } = &mut self.room;
        kinds.clear();
        for identifier in &received.identifiers {
            let custom = match &identifier.kind {
                IdentifierKind::Custom(name) => {
                    self.writer.name(connection, NameKind::Custom, name)?
                }
                _ => EMPTY_NAME,
            };
            kinds.push(kind_number(&identifier.kind, custom));
        }
        let detail = Detail::of(received, kinds);
        detail.hashes(&self.writer.hasher, hashes);
        match closed {
            None => self.fresh.keep(id, hashes)?,
            Some(epoch) => identifiers::add_late(connection, epoch, id, hashes)?,
        }
        detail.encode(encoded);
        let sealed = self.writer.sealer.seal(&Place::Message(id), encoded);
        let mut name = |kind, text: &str| self.writer.name(connection, kind, text);
        let facts = Facts {
            channel: name(NameKind::Channel, &received.channel)?,
            received_at_micros: received.received_at_micros,
            bytes: received.bytes,
            code: name(NameKind::Code, &received.code)?,
            trigger: name(NameKind::Trigger, &received.trigger)?,
            application: name(NameKind::Application, &received.sending_application)?,
            facility: name(NameKind::Facility, &received.sending_facility)?,
            structure: name(NameKind::Structure, &received.structure)?,
            version: name(NameKind::Version, &received.version)?,
            processing: name(NameKind::Processing, &received.processing_id)?,
            duplicate_of: received.duplicate_of.map(signed).transpose()?,
            sealed,
        };
        if let Some(epoch) = closed {
            for (facet, name) in [
                (Facet::Channel, facts.channel),
                (Facet::Code, facts.code),
                (Facet::Trigger, facts.trigger),
                (Facet::Application, facts.application),
                (Facet::Facility, facts.facility),
            ] {
                self.late.entry((epoch, facet, name)).or_default().push(id);
            }
        }
        Ok(facts)
    }

    fn write_deliveries(
        &mut self,
        id: i64,
        closed: Option<i64>,
        before: &BTreeMap<u32, Leg>,
        after: &BTreeMap<u32, Leg>,
    ) -> Result<(), IndexError> {
        for ordinal in before.keys().filter(|ordinal| !after.contains_key(ordinal)) {
            self.connection
                .prepare_cached("DELETE FROM delivery WHERE message = ?1 AND ordinal = ?2")?
                .execute(params![id, ordinal])?;
        }
        for (ordinal, leg) in after {
            let known = before.get(ordinal);
            if known == Some(leg) {
                continue;
            }
            message_row::write_delivery(&mut self.statements.write_delivery, id, *ordinal, leg)?;
            let listed = known.is_some_and(|known| known.destination == leg.destination);
            if let (Some(epoch), false) = (closed, listed) {
                let list = (epoch, Facet::Destination, leg.destination);
                self.late.entry(list).or_default().push(id);
            }
        }
        Ok(())
    }

    fn count(&mut self, channel: Option<NameId>, disposition: Option<Disposition>, by: i64) {
        if let (Some(channel), Some(disposition)) = (channel, disposition) {
            let messages = self.tally.entry((channel, disposition)).or_default();
            *messages = messages.saturating_add(by);
        }
    }

    fn grow(&mut self, id: i64, closed: Option<i64>, new: bool, facts: Option<&Facts>) {
        let epoch = closed.unwrap_or(self.writer.open.number);
        let growth = self.growth.entry(epoch).or_insert(Growth {
            messages: 0,
            from_micros: i64::MAX,
            to_micros: i64::MIN,
        });
        if new {
            growth.messages = growth.messages.saturating_add(1);
            if closed.is_none() {
                self.writer.open.messages = self.writer.open.messages.saturating_add(1);
            }
            self.writer.last_message = self.writer.last_message.max(id);
        }
        if let Some(facts) = facts {
            growth.from_micros = growth.from_micros.min(facts.received_at_micros);
            growth.to_micros = growth.to_micros.max(facts.received_at_micros);
        }
    }

    fn finish(mut self) -> Result<(), IndexError> {
        self.fresh.write()?;
        let mut tally = self.connection.prepare_cached(
            "INSERT INTO tally (channel, disposition, messages) VALUES (?1, ?2, ?3)
             ON CONFLICT (channel, disposition) DO UPDATE SET messages = messages + ?3",
        )?;
        for ((channel, disposition), by) in self.tally.into_iter().filter(|(_, by)| *by != 0) {
            tally.execute([channel, stored::disposition_number(disposition), by])?;
        }
        let mut grow = self.connection.prepare_cached(
            "UPDATE epoch SET messages = messages + ?2,
                 from_micros = min(from_micros, ?3), to_micros = max(to_micros, ?4)
             WHERE number = ?1",
        )?;
        for (epoch, growth) in self.growth {
            grow.execute([epoch, growth.messages, growth.from_micros, growth.to_micros])?;
        }
        epoch::add_late(self.connection, self.late)
    }
}
