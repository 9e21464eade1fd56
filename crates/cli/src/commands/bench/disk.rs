//! The disk by itself: what any program that syncs before it answers is bound by; and our journal beside it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use pipehat_journal::{
    AppendError, Compression, FileJournal, Flush, Journal as _, KeyRing, NewRecord, OpenOptions,
    Position,
};

use super::sample::{Clock, Kind, Sample};
use super::table::Row;
use crate::exit::Failure;
use crate::latency::Latencies;

/// The preallocated file is written over and over.
const FILE_BYTES: u64 = 64 * 1024 * 1024;

/// Different messages to write; making them is not what is measured.
const MESSAGES: usize = 1024;

/// What the engine keeps of a message beside its bytes: where from, when, who, what it is.
const HEAD_BYTES: usize = 64;

/// Whether a file's blocks are there before they are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Blocks {
    Growing,
    Preallocated,
}

fn messages(kind: Kind, clock: Clock) -> Vec<Bytes> {
    let mut sample = Sample::new(kind, 0);
    let one = |_| {
        sample.next(clock.now());
        Bytes::copy_from_slice(sample.payload())
    };
    (0..MESSAGES).map(one).collect()
}

/// `write` and `fdatasync`, so many messages at a time, and nothing else.
pub(super) fn bare(
    directory: &Path,
    kind: Kind,
    at_once: usize,
    blocks: Blocks,
    time: Duration,
    clock: Clock,
) -> io::Result<Row> {
    let path = directory.join("bare");
    let file = File::create(&path)?;
    if blocks == Blocks::Preallocated {
        let zeroes = vec![0; 1 << 20];
        for offset in (0..FILE_BYTES).step_by(1 << 20) {
            file.write_all_at(&zeroes, offset)?;
        }
        file.sync_all()?;
    }
    let messages = messages(kind, clock);
    let groups: Vec<Vec<u8>> =
        messages.chunks_exact(at_once.min(MESSAGES)).map(|group| group.concat()).collect();
    let start = Instant::now();
    let wraps_at = (blocks == Blocks::Preallocated).then_some(FILE_BYTES);
    let (_, written, latencies) = synced(&file, &groups, wraps_at, time)?;
    let took = start.elapsed();
    drop(file);
    std::fs::remove_file(path)?;
    let what = match blocks {
        Blocks::Growing => "write + fdatasync, growing file",
        Blocks::Preallocated => "write + fdatasync, preallocated file",
    };
    let count = written / kind.bytes() as u64;
    let row = Row::new(what, at_once).measured(count, took, &latencies);
    Ok(row.with_written(written, count))
}

/// Writes groups one after another, each with a sync, until time is up: how many, how many bytes, and how long each took.
fn synced(
    file: &File,
    groups: &[Vec<u8>],
    wraps_at: Option<u64>,
    time: Duration,
) -> io::Result<(u64, u64, Latencies)> {
    let mut latencies = Latencies::default();
    let (mut offset, mut count, mut written) = (0, 0, 0);
    let start = Instant::now();
    for group in groups.iter().cycle() {
        if start.elapsed() >= time {
            break;
        }
        let bytes = group.len() as u64;
        if wraps_at.is_some_and(|end| offset + bytes > end) {
            offset = 0;
        }
        let before = Instant::now();
        file.write_all_at(group, offset)?;
        file.sync_data()?;
        latencies.record(before.elapsed());
        offset += bytes;
        count += 1;
        written += bytes;
    }
    Ok((count, written, latencies))
}

/// Appends bodies to a growing file, so many to a sync: how many were written, and how long each sync took.
pub(super) fn appends(
    directory: &Path,
    bodies: &[Vec<u8>],
    at_once: usize,
    time: Duration,
) -> io::Result<(u64, Latencies)> {
    let path = directory.join("bare");
    let file = File::create(&path)?;
    let groups: Vec<Vec<u8>> =
        bodies.chunks_exact(at_once.clamp(1, bodies.len())).map(|group| group.concat()).collect();
    let (count, _, latencies) = synced(&file, &groups, None, time)?;
    drop(file);
    std::fs::remove_file(path)?;
    Ok((count * at_once as u64, latencies))
}

/// The journal alone, as the engine opens it: each sender waits until its message is durable, then appends the next.
pub(super) fn journal(
    directory: &Path,
    kind: Kind,
    senders: usize,
    sealed: bool,
    time: Duration,
    clock: Clock,
) -> Result<Row, Failure> {
    let directory = directory.join("journal");
    std::fs::create_dir(&directory).map_err(Failure::could_not)?;
    let key = match sealed {
        true => Some(KeyRing::create(&directory.join("bench.key")).map_err(Failure::could_not)?),
        false => None,
    };
    let options = OpenOptions {
        key,
        compression: Compression::Lz4,
        ..OpenOptions::new(directory.join("data"))
    };
    let (journal, _) = FileJournal::open(options).map_err(Failure::could_not)?;
    let messages = messages(kind, clock);
    let before = journal.statistics();
    let (answered, answers) = mpsc::channel();
    let mut bodies = messages.iter().cycle().cloned();
    let mut append = |sender: usize| {
        let answered = answered.clone();
        let done = Box::new(move |answer: Result<Position, AppendError>| {
            // The other end is there until all are answered.
            let _ = answered.send((sender, answer));
        });
        let bodies = bodies.next().into_iter().collect();
        let record = NewRecord { kind: 1, head: vec![7; HEAD_BYTES], bodies };
        journal.append(vec![record], Flush::Now, done);
    };
    let start = Instant::now();
    let mut sent = vec![start; senders];
    (0..senders).for_each(&mut append);
    let mut under_way = senders;
    let mut latencies = Latencies::default();
    while under_way > 0 {
        let Ok((sender, answer)) = answers.recv() else { break };
        answer.map_err(Failure::could_not)?;
        let Some(sent) = sent.get_mut(sender) else { break };
        latencies.record(sent.elapsed());
        if start.elapsed() < time {
            *sent = Instant::now();
            append(sender);
        } else {
            under_way -= 1;
        }
    }
    let took = start.elapsed();
    let after = journal.statistics();
    journal.close();
    drop(journal);
    std::fs::remove_dir_all(directory).map_err(Failure::could_not)?;
    let what = if sealed { "journal, sealed" } else { "journal, not sealed" };
    let count = latencies.count();
    let row = Row::new(what, senders).measured(count, took, &latencies);
    Ok(row.with_written(after.bytes_written - before.bytes_written, count))
}
