//! Retention: dropping the oldest messages, an epoch at a time.

use rusqlite::{Connection, TransactionBehavior, params};

use crate::IndexError;

/// Drops the messages before `before`. Each epoch is a transaction of its own, so that the log
/// stays small and readers see no long pause; the floor goes first, so that dying in between
/// leaves nothing that comes back.
pub(super) fn forget(connection: &mut Connection, before: i64) -> Result<(), IndexError> {
    connection.execute("UPDATE state SET floor = max(floor, ?1)", [before])?;
    while let Some(epoch) = oldest_epoch_before(connection, before)? {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let end = epoch.last.saturating_add(1).min(before);
        forget_messages(&transaction, end)?;
        if epoch.last < before {
            transaction.execute("DELETE FROM identifier WHERE epoch <= ?1", [epoch.number])?;
            transaction.execute("DELETE FROM facet WHERE epoch <= ?1", [epoch.number])?;
            transaction.execute("DELETE FROM epoch WHERE number <= ?1", [epoch.number])?;
            transaction.commit()?;
        } else {
            // Its lists may go on naming what is gone: a search looks at the rows.
            transaction.execute("DELETE FROM fresh WHERE last < ?1", [before])?;
            transaction.commit()?;
            break;
        }
    }
    Ok(())
}

struct Epoch {
    number: i64,
    last: i64,
}

fn oldest_epoch_before(connection: &Connection, before: i64) -> Result<Option<Epoch>, IndexError> {
    let mut statement = connection
        .prepare_cached("SELECT number, last FROM epoch WHERE first < ?1 ORDER BY first LIMIT 1")?;
    let mut rows = statement.query([before])?;
    match rows.next()? {
        Some(row) => Ok(Some(Epoch { number: row.get(0)?, last: row.get(1)? })),
        None => Ok(None),
    }
}

fn forget_messages(connection: &Connection, before: i64) -> Result<(), IndexError> {
    let mut statement = connection.prepare_cached(
        "SELECT channel, disposition, count(*) FROM message
         WHERE id < ?1 AND channel IS NOT NULL GROUP BY channel, disposition",
    )?;
    let mut rows = statement.query([before])?;
    while let Some(row) = rows.next()? {
        let (channel, disposition, messages): (i64, i64, i64) =
            (row.get(0)?, row.get(1)?, row.get(2)?);
        connection
            .prepare_cached(
                "UPDATE tally SET messages = messages - ?3
                 WHERE channel = ?1 AND disposition = ?2",
            )?
            .execute(params![channel, disposition, messages])?;
    }
    connection.execute("DELETE FROM delivery WHERE message < ?1", [before])?;
    connection.execute("DELETE FROM message WHERE id < ?1", [before])?;
    Ok(())
}
