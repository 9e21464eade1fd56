//! Synthetic changes.

use crate::{
    Change, Disposition, Identifier, IdentifierKind, Outcome, Output, Processed, Received,
    Redacted, Released, Settled,
};

/// A second, in the microseconds that times are in.
pub(crate) const SECOND: i64 = 1_000_000;

fn seconds(position: u64) -> i64 {
    i64::try_from(position).unwrap_or(i64::MAX).saturating_mul(SECOND)
}

/// An ADT^A01 received by `adt-in` `message` seconds after 1970.
pub(crate) fn adt(message: u64) -> Received {
    Received {
        message,
        channel: "adt-in".into(),
        received_at_micros: seconds(message),
        bytes: 900,
        code: "ADT".into(),
        trigger: "A01".into(),
        structure: "ADT_A01".into(),
        version: "2.5.1".into(),
        control_id: Redacted::from(format!("C{message}")),
        sending_application: "REG".into(),
        sending_facility: "GENERAL".into(),
        processing_id: "P".into(),
        identifiers: vec![identifier(IdentifierKind::Patient, &format!("MRN{message}"))],
        peer: "192.0.2.7:50123".into(),
        duplicate_of: None,
    }
}

pub(crate) fn received(message: u64) -> Change {
    Change::Received(adt(message))
}

pub(super) fn identifier(kind: IdentifierKind, value: &str) -> Identifier {
    Identifier { kind, value: value.into() }
}

pub(super) fn output(ordinal: u32, destination: &str) -> Output {
    Output { ordinal, destination: destination.into() }
}

pub(super) fn routed(message: u64, position: u64, outputs: &[&str]) -> Change {
    Change::Processed(Processed {
        message,
        position,
        at_micros: seconds(position),
        disposition: None,
        code: "".into(),
        outputs: (0..).zip(outputs).map(|(ordinal, name)| output(ordinal, name)).collect(),
        revision: "r1".into(),
    })
}

pub(super) fn ended(message: u64, position: u64, disposition: Disposition, code: &str) -> Change {
    Change::Processed(Processed {
        message,
        position,
        at_micros: seconds(position),
        disposition: Some(disposition),
        code: code.into(),
        outputs: Vec::new(),
        revision: "r1".into(),
    })
}

pub(super) fn settled(
    message: u64,
    position: u64,
    (ordinal, destination): (u32, &str),
    outcome: Outcome,
) -> Change {
    Change::Settled(Settled {
        message,
        position,
        ordinal,
        destination: destination.into(),
        at_micros: seconds(position),
        outcome,
        code: if outcome == Outcome::Delivered { "".into() } else { "P01".into() },
        attempts: 1,
    })
}

pub(super) fn released(message: u64, position: u64, output: Option<Output>) -> Change {
    Change::Released(Released { message, position, at_micros: seconds(position), output })
}
