//! Rows of the book, read.

use rusqlite::{OptionalExtension, Row, Transaction};

use super::{Delivery, DeliveryCounts, Matched, OPEN, Trigger, Verdict};
use crate::datastore::interaction::{ChangeNumber, ResourceKey};

pub(super) fn counts_of(
    transaction: &Transaction<'_>,
    subscription: &str,
) -> rusqlite::Result<DeliveryCounts> {
    let sql = "SELECT waiting, dead FROM counts WHERE subscription = ?1";
    let counts = transaction
        .prepare_cached(sql)?
        .query_row([subscription], |row| {
            Ok(DeliveryCounts { waiting: count(row, 0)?, dead: count(row, 1)? })
        })
        .optional()?;
    Ok(counts.unwrap_or_default())
}

pub(super) fn delivery(row: &Row<'_>) -> rusqlite::Result<Delivery> {
    let number: i64 = row.get(5)?;
    let trigger = Trigger::of(number & !OPEN);
    let verdict = if number & OPEN == 0 { Verdict::Tell } else { Verdict::Open };
    Ok(Delivery {
        matched: Matched {
            subscription: row.get(0)?,
            key: ResourceKey { resource_type: row.get(2)?, id: row.get(3)? },
            version: count(row, 4)?,
            change: ChangeNumber(count(row, 1)?),
            trigger,
            verdict,
        },
        due: row.get(6)?,
        attempts: u32::try_from(row.get::<_, i64>(7)?).unwrap_or(u32::MAX),
        since: row.get(8)?,
        ended: row.get(9)?,
        why: row.get(10)?,
    })
}

pub(super) fn count(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    Ok(u64::try_from(row.get::<_, i64>(column)?).unwrap_or(0))
}
