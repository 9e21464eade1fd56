//! Reads of single resources that wait share a statement: one way there and back for all of them.

use std::sync::Arc;

use tokio::sync::{Mutex, mpsc, oneshot};

use super::session::State;
use super::{AWAY_MAX, Inner, STATEMENT_TIME_MAX, absence};
use crate::datastore::error::DatastoreError;
use crate::datastore::interaction::{ResourceKey, StoredVersion};
use crate::datastore::read;
use crate::datastore::sql::SessionError;

/// How many statements are under way at the same time.
pub(super) const STATEMENTS: usize = 2;

/// How many reads share one at most.
const READS_MAX: usize = 64;

/// A read that waits.
pub(super) struct Reading {
    pub(super) key: ResourceKey,
    pub(super) reply: oneshot::Sender<Result<Option<StoredVersion>, DatastoreError>>,
}

/// Reads what waits, until nobody can come any more.
pub(super) async fn run(line: Arc<Mutex<mpsc::Receiver<Reading>>>, inner: Arc<Inner>) {
    loop {
        let mut reads = Vec::new();
        if line.lock().await.recv_many(&mut reads, READS_MAX).await == 0 {
            return;
        }
        read_all(&inner, reads).await;
    }
}

async fn read_all(inner: &Inner, reads: Vec<Reading>) {
    if let [_, _, ..] = reads.as_slice()
        && let Ok(found) = together(inner, &reads).await
    {
        for (reading, found) in reads.into_iter().zip(found) {
            // Whoever asked may have gone.
            let _ = reading.reply.send(Ok(found));
        }
        return;
    }
    // Each with an error of its own.
    let alone = reads.into_iter().map(|reading| async move {
        let read = alone(inner, &reading.key).await;
        let read = read.map_err(|error| error.outwards(STATEMENT_TIME_MAX.as_secs()));
        let _ = reading.reply.send(read);
    });
    futures_util::future::join_all(alone).await;
}

/// Reads one, again where the database went away in the midst of it.
async fn alone(inner: &Inner, key: &ResourceKey) -> Result<Option<StoredVersion>, SessionError> {
    let mut away = 0;
    loop {
        let read = async {
            let client = inner.connection().await?;
            let mut session = inner.session(&client, State::Single);
            read::current(&mut session, &inner.core, key).await
        };
        match read.await {
            Err(SessionError::Unavailable(_)) if away < AWAY_MAX => absence(&mut away).await,
            read => return Ok(read?.map(|current| current.version)),
        }
    }
}

async fn together(
    inner: &Inner,
    reads: &[Reading],
) -> Result<Vec<Option<StoredVersion>>, SessionError> {
    let mut keys: Vec<ResourceKey> = reads.iter().map(|reading| reading.key.clone()).collect();
    keys.sort_unstable_by(|one, other| {
        (&one.resource_type, &one.id).cmp(&(&other.resource_type, &other.id))
    });
    keys.dedup();
    let client = inner.connection().await?;
    let mut session = inner.session(&client, State::Single);
    let found = read::currents(&mut session, &inner.core, &keys).await?;
    Ok(reads
        .iter()
        .map(|reading| Some(found.get(&reading.key)?.as_ref()?.version.clone()))
        .collect())
}
