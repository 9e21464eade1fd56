//! How the records stand in the journal: a kind, a head with its format version, and bodies.

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use pipehat_connectors::{FilePart, Found, PartOrder};
use pipehat_journal::{BODIES_MAX, NewRecord, Position};

use super::encoding::{Reader, RecordError, Writer};
use super::life::{
    Applied, Attempted, BodyRef, Decided, Decision, DeliveryRef, Disposition, Ended, OutputRecord,
    PeerRecord, Processed, ProcessedOutcome, Received, Record, Settled, SettledOutcome, Sibling,
    TranslationRecord,
};
use crate::effects::{Effect, LookupAnswer};
use crate::names::MessageId;
use crate::sequence::LinkNumber;

const FORMAT: u8 = 1;

/// A Received, Processed or Settled record that says more than format 1 can.
const FORMAT_2: u8 = 2;

/// A Processed record with the translations that its outputs went through: behind the fields of format 2.
const FORMAT_3: u8 = 3;

const RECEIVED: u8 = 1;
const PROCESSED: u8 = 2;
const ATTEMPTED: u8 = 3;
const SETTLED: u8 = 4;
const DECIDED: u8 = 5;
const APPLIED: u8 = 6;

impl Record {
    /// The record as the journal keeps it.
    pub fn encode(&self) -> NewRecord {
        match self {
            Self::Received(record) => encode_received(record),
            Self::Processed(record) => encode_processed(record),
            Self::Attempted(record) => encode_attempted(record),
            Self::Settled(record) => encode_settled(record),
            Self::Decided(record) => encode_decided(record),
            Self::Applied(record) => encode_applied(record),
        }
    }

    /// The record the journal kept.
    ///
    /// # Errors
    /// When the bytes are not those of a record this release knows.
    pub fn decode(kind: u8, head: Bytes, bodies: Vec<Bytes>) -> Result<Self, RecordError> {
        let mut reader = Reader::new(head);
        let format = reader.byte()?;
        let says_more = matches!(kind, RECEIVED | PROCESSED | SETTLED) && format == FORMAT_2;
        let is_translated = kind == PROCESSED && format == FORMAT_3;
        if format != FORMAT && !says_more && !is_translated {
            return Err(RecordError::Unknown { kind, format });
        }
        let mut bodies = bodies.into_iter();
        let record = match kind {
            RECEIVED => Self::Received(decode_received(says_more, &mut reader, &mut bodies)?),
            PROCESSED => {
                Self::Processed(decode_processed(is_translated, &mut reader, &mut bodies)?)
            }
            ATTEMPTED => Self::Attempted(decode_attempted(&mut reader)?),
            SETTLED => Self::Settled(decode_settled(says_more, &mut reader, &mut bodies)?),
            DECIDED => Self::Decided(decode_decided(&mut reader)?),
            APPLIED => Self::Applied(decode_applied(&mut reader)?),
            _ => return Err(RecordError::Unknown { kind, format }),
        };
        reader.finish()?;
        Ok(record)
    }
}

fn encode_received(record: &Received) -> NewRecord {
    let says_more = record.sequence.is_some() || record.acknowledges.is_some();
    let mut head = Writer::new(if says_more { FORMAT_2 } else { FORMAT });
    head.text(&record.channel);
    write_time(&mut head, record.at);
    head.optional_text(record.peer.address.as_deref());
    head.optional_text(record.peer.identity.as_deref());
    head.optional_text(record.peer.file.as_deref());
    head.number(record.peer.headers.len() as u64);
    for (name, value) in &record.peer.headers {
        head.text(name);
        head.text(value);
    }
    match &record.part {
        None => head.byte(0),
        Some(part) => {
            head.byte(1 + u8::from(part.last));
            head.text(&part.key);
            head.number(part.index);
        }
    }
    head.hash(record.sender_hash);
    head.hash(record.content_hash);
    head.number(record.duplicate_of.map_or(0, |message| message.0.get()));
    match &record.refused {
        None => head.byte(0),
        Some((code, detail)) => {
            head.byte(1);
            head.text(code);
            head.text(detail);
        }
    }
    if says_more {
        match &record.sequence {
            None => head.byte(0),
            Some(sequence) => {
                head.byte(1);
                head.text(&sequence.link);
                // -1 is the least there is.
                head.number(sequence.number.saturating_add(1).unsigned_abs());
            }
        }
        head.number(record.acknowledges.map_or(0, |message| message.0.get()));
    }
    let bodies =
        if record.duplicate_of.is_some() { Vec::new() } else { vec![record.bytes.clone()] };
    NewRecord { kind: RECEIVED, head: head.finish(), bodies }
}

fn decode_received(
    says_more: bool,
    head: &mut Reader,
    bodies: &mut impl Iterator<Item = Bytes>,
) -> Result<Received, RecordError> {
    let channel = head.text()?;
    let at = read_time(head)?;
    let address = head.optional_text()?;
    let identity = head.optional_text()?;
    let file = head.optional_text()?;
    let mut headers = Vec::new();
    for _ in 0..head.count()? {
        headers.push((head.text()?, head.text()?));
    }
    let part = match head.byte()? {
        0 => None,
        last @ (1 | 2) => Some(FilePart {
            key: head.text()?,
            index: head.number()?,
            last: last == 2,
            order: PartOrder::default(),
        }),
        _ => return Err(RecordError::Range),
    };
    let sender_hash = head.hash()?;
    let content_hash = head.hash()?;
    let duplicate_of = match head.number()? {
        0 => None,
        position => Some(MessageId(position_of(position)?)),
    };
    let refused = match head.byte()? {
        0 => None,
        1 => Some((head.text()?, head.text()?)),
        _ => return Err(RecordError::Range),
    };
    let (mut sequence, mut acknowledges) = (None, None);
    if says_more {
        sequence = match head.byte()? {
            0 => None,
            1 => {
                let link = head.text()?;
                let number = i64::try_from(head.number()?).map_err(|_| RecordError::Range)?;
                Some(LinkNumber { link, number: number.saturating_sub(1) })
            }
            _ => return Err(RecordError::Range),
        };
        acknowledges = match head.number()? {
            0 => None,
            position => Some(MessageId(position_of(position)?)),
        };
    }
    let bytes = match duplicate_of {
        Some(_) => Bytes::new(),
        None => bodies.next().ok_or(RecordError::Body)?,
    };
    Ok(Received {
        channel,
        at,
        peer: PeerRecord { address, identity, file, headers },
        part,
        sender_hash,
        content_hash,
        duplicate_of,
        refused,
        sequence,
        acknowledges,
        bytes,
    })
}

fn encode_processed(record: &Processed) -> NewRecord {
    let looked_up = record.effects.iter().any(|effect| matches!(effect, Effect::Lookup { .. }));
    let format = match (record.translations.is_empty(), looked_up) {
        (false, _) => FORMAT_3,
        (true, true) => FORMAT_2,
        (true, false) => FORMAT,
    };
    let mut head = Writer::new(format);
    let mut bodies: Vec<Bytes> = Vec::new();
    head.text(&record.channel);
    head.number(record.message.0.get());
    write_time(&mut head, record.at);
    head.bytes(&record.revision);
    head.number(record.lanes.len() as u64);
    for lane in &record.lanes {
        head.hash(*lane);
    }
    head.optional_text(record.file.as_deref());
    head.number(record.effects.len() as u64);
    for effect in &record.effects {
        match effect {
            Effect::Now(at) => {
                head.byte(1);
                write_time(&mut head, *at);
            }
            Effect::ControlId(id) => {
                head.byte(2);
                head.text(id);
            }
            Effect::Lookup { search, answer } => {
                head.byte(3);
                head.text(search);
                match answer {
                    LookupAnswer::Found(Found::Nothing) => head.byte(0),
                    LookupAnswer::Found(Found::One(resource)) => {
                        head.byte(1);
                        head.number(body_number(&mut bodies, resource));
                    }
                    LookupAnswer::Found(Found::Several(first)) => {
                        head.byte(2);
                        head.number(body_number(&mut bodies, first));
                    }
                    LookupAnswer::Refused { detail } => {
                        head.byte(3);
                        head.text(detail);
                    }
                }
            }
        }
    }
    let answers = bodies.len();
    head.number(record.findings.len() as u64);
    for (code, place, count) in &record.findings {
        head.text(code);
        head.text(place);
        head.number(*count);
    }
    match &record.outcome {
        ProcessedOutcome::Ended(ended) => {
            head.byte(ended.disposition.byte());
            head.text(&ended.code);
            head.text(&ended.detail);
        }
        ProcessedOutcome::Routed(outputs) => {
            head.byte(0);
            head.number(outputs.len() as u64);
            for output in outputs {
                head.text(&output.destination);
                head.number(match &output.bytes {
                    BodyRef::AsReceived => 0,
                    BodyRef::Own(bytes) => body_number(&mut bodies, bytes),
                });
            }
        }
    }
    head.number(record.reply.as_ref().map_or(0, |reply| body_number(&mut bodies, reply)));
    if !record.translations.is_empty() {
        encode_translations(record, answers, &mut head, &mut bodies);
    }
    NewRecord { kind: PROCESSED, head: head.finish(), bodies }
}

/// The translations, and which of them each output went through last. What a bot's answer holds of lineage stands there, in
/// one of the first `answers` bodies, and not once more.
fn encode_translations(
    record: &Processed,
    answers: usize,
    head: &mut Writer,
    bodies: &mut Vec<Bytes>,
) {
    let number = |number: Option<u16>| number.map_or(0, |number| u64::from(number) + 1);
    head.number(record.translations.len() as u64);
    for translation in &record.translations {
        head.text(&translation.at);
        head.optional_text(translation.bot.as_deref());
        head.number(number(translation.before));
        let within = translation.lineage.as_ref().and_then(|lineage| {
            (1..).zip(bodies.iter().take(answers)).find_map(|(body, bytes)| {
                let from = lineage.as_ptr().addr().checked_sub(bytes.as_ptr().addr())?;
                (from.checked_add(lineage.len())? <= bytes.len()).then_some((body, from))
            })
        });
        match (&translation.lineage, within) {
            (Some(lineage), Some((body, from))) => {
                head.number(body);
                head.number(from as u64);
                head.number(lineage.len() as u64);
            }
            (Some(lineage), None) if bodies.len() < BODIES_MAX => {
                bodies.push(lineage.clone());
                head.number(bodies.len() as u64);
                head.number(0);
                head.number(lineage.len() as u64);
            }
            // A record with as many bodies as may be keeps its outputs rather than where they came from.
            _ => head.number(0),
        }
    }
    if let ProcessedOutcome::Routed(outputs) = &record.outcome {
        for output in outputs {
            head.number(number(output.translation));
        }
    }
}

fn decode_translations(
    outcome: &mut ProcessedOutcome,
    head: &mut Reader,
    bodies: &[Bytes],
) -> Result<Vec<TranslationRecord>, RecordError> {
    // Each names an earlier one, so that none is before itself.
    let number = |number: u64, most: usize| match number.checked_sub(1) {
        None => Ok(None),
        Some(number) => match u16::try_from(number) {
            Ok(number) if usize::from(number) < most => Ok(Some(number)),
            _ => Err(RecordError::Range),
        },
    };
    let mut translations = Vec::new();
    for own in 0..head.count()? {
        let at = head.text()?;
        let bot = head.optional_text()?;
        let before = number(head.number()?, own)?;
        let lineage = match head.small::<usize>()?.checked_sub(1) {
            None => None,
            Some(body) => {
                let body = bodies.get(body).ok_or(RecordError::Body)?;
                let (from, length): (usize, usize) = (head.small()?, head.small()?);
                let to = from.checked_add(length).filter(|to| *to <= body.len());
                Some(body.slice(from..to.ok_or(RecordError::Body)?))
            }
        };
        translations.push(TranslationRecord { at, bot, before, lineage });
    }
    if let ProcessedOutcome::Routed(outputs) = outcome {
        for output in outputs {
            output.translation = number(head.number()?, translations.len())?;
        }
    }
    Ok(translations)
}

/// The 1-based number of `bytes` among the bodies; outputs that share their bytes share a body.
fn body_number(bodies: &mut Vec<Bytes>, bytes: &Bytes) -> u64 {
    let same = |body: &Bytes| body.as_ptr() == bytes.as_ptr() && body.len() == bytes.len();
    if let Some(index) = bodies.iter().position(same) {
        return index as u64 + 1;
    }
    bodies.push(bytes.clone());
    bodies.len() as u64
}

fn decode_processed(
    is_translated: bool,
    head: &mut Reader,
    bodies: &mut impl Iterator<Item = Bytes>,
) -> Result<Processed, RecordError> {
    let bodies: Vec<Bytes> = bodies.collect();
    let body = |number: u64| -> Result<Option<Bytes>, RecordError> {
        let Some(index) = number.checked_sub(1) else { return Ok(None) };
        let index = usize::try_from(index).map_err(|_| RecordError::Range)?;
        bodies.get(index).cloned().map(Some).ok_or(RecordError::Body)
    };
    let channel = head.text()?;
    let message = MessageId(position_of(head.number()?)?);
    let at = read_time(head)?;
    let revision = head.bytes()?.as_ref().try_into().map_err(|_| RecordError::Range)?;
    let mut lanes = Vec::new();
    for _ in 0..head.count()? {
        lanes.push(head.hash()?);
    }
    let file = head.optional_text()?.map(Arc::from);
    let mut effects = Vec::new();
    for _ in 0..head.count()? {
        effects.push(match head.byte()? {
            1 => Effect::Now(read_time(head)?),
            2 => Effect::ControlId(head.text()?),
            3 => {
                let search = head.text()?;
                let resource = |number: u64| body(number)?.ok_or(RecordError::Body);
                let answer = match head.byte()? {
                    0 => LookupAnswer::Found(Found::Nothing),
                    1 => LookupAnswer::Found(Found::One(resource(head.number()?)?)),
                    2 => LookupAnswer::Found(Found::Several(resource(head.number()?)?)),
                    3 => LookupAnswer::Refused { detail: head.text()? },
                    _ => return Err(RecordError::Range),
                };
                Effect::Lookup { search, answer }
            }
            _ => return Err(RecordError::Range),
        });
    }
    let mut findings = Vec::new();
    for _ in 0..head.count()? {
        findings.push((head.text()?, head.text()?, head.number()?));
    }
    let mut outcome = match head.byte()? {
        0 => {
            let mut outputs = Vec::new();
            for _ in 0..head.count()? {
                let destination = head.text()?;
                let bytes = body(head.number()?)?.map_or(BodyRef::AsReceived, BodyRef::Own);
                outputs.push(OutputRecord { destination, bytes, translation: None });
            }
            ProcessedOutcome::Routed(outputs)
        }
        disposition => ProcessedOutcome::Ended(Ended {
            disposition: Disposition::of(disposition)?,
            code: head.text()?,
            detail: head.text()?,
        }),
    };
    let reply = body(head.number()?)?;
    let translations =
        if is_translated { decode_translations(&mut outcome, head, &bodies)? } else { Vec::new() };
    Ok(Processed {
        channel,
        message,
        at,
        revision,
        lanes,
        file,
        effects,
        findings,
        outcome,
        reply,
        translations,
    })
}

fn encode_attempted(record: &Attempted) -> NewRecord {
    let mut head = Writer::new(FORMAT);
    head.text(&record.channel);
    head.number(record.message.0.get());
    head.number(u64::from(record.ordinal));
    head.number(u64::from(record.attempt));
    write_time(&mut head, record.at);
    head.text(&record.code);
    head.text(&record.detail);
    NewRecord { kind: ATTEMPTED, head: head.finish(), bodies: Vec::new() }
}

fn decode_attempted(head: &mut Reader) -> Result<Attempted, RecordError> {
    Ok(Attempted {
        channel: head.text()?,
        message: MessageId(position_of(head.number()?)?),
        ordinal: head.small()?,
        attempt: head.small()?,
        at: read_time(head)?,
        code: head.text()?,
        detail: head.text()?,
    })
}

fn encode_settled(record: &Settled) -> NewRecord {
    let mut head = Writer::new(if record.sequence.is_some() { FORMAT_2 } else { FORMAT });
    head.text(&record.channel);
    head.number(record.message.0.get());
    head.number(record.processed.get());
    head.number(u64::from(record.ordinal));
    head.text(&record.destination);
    write_siblings(&mut head, &record.siblings);
    write_time(&mut head, record.at);
    head.number(u64::from(record.attempts));
    match &record.outcome {
        SettledOutcome::Delivered => head.byte(1),
        SettledOutcome::Parked { code, detail } => {
            head.byte(2);
            head.text(code);
            head.text(detail);
        }
        SettledOutcome::GivenUp { code, detail } => {
            head.byte(3);
            head.text(code);
            head.text(detail);
        }
    }
    if let Some(sequence) = record.sequence {
        head.number(sequence);
    }
    NewRecord { kind: SETTLED, head: head.finish(), bodies: record.reply.iter().cloned().collect() }
}

fn decode_settled(
    says_more: bool,
    head: &mut Reader,
    bodies: &mut impl Iterator<Item = Bytes>,
) -> Result<Settled, RecordError> {
    Ok(Settled {
        channel: head.text()?,
        message: MessageId(position_of(head.number()?)?),
        processed: position_of(head.number()?)?,
        ordinal: head.small()?,
        destination: head.text()?,
        siblings: read_siblings(head)?,
        at: read_time(head)?,
        attempts: head.small()?,
        outcome: match head.byte()? {
            1 => SettledOutcome::Delivered,
            2 => SettledOutcome::Parked { code: head.text()?, detail: head.text()? },
            3 => SettledOutcome::GivenUp { code: head.text()?, detail: head.text()? },
            _ => return Err(RecordError::Range),
        },
        sequence: if says_more { Some(head.number()?) } else { None },
        reply: bodies.next(),
    })
}

fn encode_decided(record: &Decided) -> NewRecord {
    let mut head = Writer::new(FORMAT);
    head.text(&record.channel);
    head.number(record.message.0.get());
    write_time(&mut head, record.at);
    head.text(&record.by);
    head.text(&record.reason);
    match &record.decision {
        Decision::Reprocess => head.byte(1),
        Decision::Discard => head.byte(2),
        Decision::Resend(delivery) => {
            head.byte(3);
            write_delivery(&mut head, delivery);
        }
        Decision::DiscardDelivery(delivery) => {
            head.byte(4);
            write_delivery(&mut head, delivery);
        }
    }
    NewRecord { kind: DECIDED, head: head.finish(), bodies: Vec::new() }
}

fn decode_decided(head: &mut Reader) -> Result<Decided, RecordError> {
    Ok(Decided {
        channel: head.text()?,
        message: MessageId(position_of(head.number()?)?),
        at: read_time(head)?,
        by: head.text()?,
        reason: head.text()?,
        decision: match head.byte()? {
            1 => Decision::Reprocess,
            2 => Decision::Discard,
            3 => Decision::Resend(read_delivery(head)?),
            4 => Decision::DiscardDelivery(read_delivery(head)?),
            _ => return Err(RecordError::Range),
        },
    })
}

fn encode_applied(record: &Applied) -> NewRecord {
    let mut head = Writer::new(FORMAT);
    head.text(&record.channel);
    write_time(&mut head, record.at);
    head.text(&record.by);
    head.bytes(record.revision.as_ref().map_or(&[], |revision| revision.as_slice()));
    NewRecord { kind: APPLIED, head: head.finish(), bodies: Vec::new() }
}

fn decode_applied(head: &mut Reader) -> Result<Applied, RecordError> {
    let channel = head.text()?;
    let at = read_time(head)?;
    let by = head.text()?;
    let revision = head.bytes()?;
    let revision = match revision.as_ref() {
        [] => None,
        bytes => Some(bytes.try_into().map_err(|_| RecordError::Range)?),
    };
    Ok(Applied { channel, at, by, revision })
}

fn write_delivery(head: &mut Writer, delivery: &DeliveryRef) {
    head.number(delivery.processed.get());
    head.number(u64::from(delivery.ordinal));
    head.text(&delivery.destination);
    write_siblings(head, &delivery.siblings);
}

fn read_delivery(head: &mut Reader) -> Result<DeliveryRef, RecordError> {
    Ok(DeliveryRef {
        processed: position_of(head.number()?)?,
        ordinal: head.small()?,
        destination: head.text()?,
        siblings: read_siblings(head)?,
    })
}

fn write_siblings(head: &mut Writer, siblings: &[Sibling]) {
    head.number(siblings.len() as u64);
    for sibling in siblings {
        head.number(u64::from(sibling.ordinal));
        head.text(&sibling.destination);
    }
}

fn read_siblings(head: &mut Reader) -> Result<Vec<Sibling>, RecordError> {
    let mut siblings = Vec::new();
    for _ in 0..head.count()? {
        siblings.push(Sibling { ordinal: head.small()?, destination: head.text()? });
    }
    Ok(siblings)
}

/// Microseconds since 1970: finer than any clock the sender shows, and small.
fn write_time(head: &mut Writer, at: Timestamp) {
    head.number(at.as_microsecond().max(0).unsigned_abs());
}

fn read_time(head: &mut Reader) -> Result<Timestamp, RecordError> {
    Timestamp::from_microsecond(head.small()?).map_err(|_| RecordError::Range)
}

fn position_of(number: u64) -> Result<Position, RecordError> {
    Position::new(number).ok_or(RecordError::Range)
}
