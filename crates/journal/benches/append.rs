//! Durable appends beside the bare disk: `cargo bench -p pipehat-journal`.
//!
//! The baseline writes the same bytes with `write` and `fdatasync` and nothing else, so many
//! messages a sync as there are senders: no log that syncs before it answers can be faster.
//! A first argument selects rows by name; `PIPEHAT_BENCH_DIRECTORY` chooses the disk.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::Path,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use pipehat_journal::{
    Compression, FileJournal, Flush, Journal, KeyRing, NewRecord, OpenOptions, Position,
};
use tempfile::TempDir;

const MESSAGE_BYTES: usize = 2048;
const DURATION: Duration = Duration::from_millis(1500);
const SENDERS: [usize; 4] = [1, 8, 32, 64];
const CHUNK_BYTES: u64 = 64 * 1024 * 1024;

struct Row {
    name: String,
    messages: u64,
    took: Duration,
    latencies: Vec<Duration>,
    bytes_written: u64,
}

impl Row {
    fn print(mut self) {
        self.latencies.sort_unstable();
        let percentile = |percent: usize| {
            let index = self.latencies.len().saturating_sub(1) * percent / 100;
            self.latencies.get(index).copied().unwrap_or_default().as_secs_f64() * 1e3
        };
        println!(
            "{:<44} {:>10.0} {:>9.3} {:>9.3} {:>9.0}",
            self.name,
            self.messages as f64 / self.took.as_secs_f64(),
            percentile(50),
            percentile(99),
            self.bytes_written as f64 / self.messages.max(1) as f64,
        );
    }
}

fn main() {
    let filter = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let wanted = |name: &str| filter.as_ref().is_none_or(|filter| name.contains(filter.as_str()));
    println!(
        "{:<44} {:>10} {:>9} {:>9} {:>9}",
        "2 KB messages", "messages/s", "p50 ms", "p99 ms", "written B"
    );
    for senders in SENDERS {
        for (kind, preallocated) in [("preallocated", true), ("growing", false)] {
            let name = format!("bare {kind}, {senders} a sync");
            if wanted(&name) {
                bare(name, senders, preallocated).expect("the disk works").print();
            }
        }
        for (kind, sealed, compression) in [
            ("plain", false, Compression::None),
            ("lz4", false, Compression::Lz4),
            ("sealed", true, Compression::None),
            ("sealed lz4", true, Compression::Lz4),
        ] {
            let name = format!("journal {kind}, {senders} senders");
            if wanted(&name) {
                journal(name, sealed, compression, senders, 1).print();
            }
        }
    }
    for (kind, sealed, compression) in
        [("plain", false, Compression::None), ("sealed lz4", true, Compression::Lz4)]
    {
        let name = format!("journal {kind}, bulk of 100, 32 under way");
        if wanted(&name) {
            journal(name, sealed, compression, 32, 100).print();
        }
    }
    if wanted("open") {
        opening();
    }
}

fn directory() -> TempDir {
    match std::env::var_os("PIPEHAT_BENCH_DIRECTORY") {
        Some(path) => TempDir::new_in(path).expect("a directory"),
        None => TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory"),
    }
}

/// Messages that differ and compress as real ones do: names repeat, numbers don't.
fn message(number: u64) -> Bytes {
    let mut text = format!(
        "MSH|^~\\&|REGISTRATION|GENERAL|LAB|GENERAL|20260301120000||ADT^A08|{number:012}|P|2.5.1\r\
         EVN|A08|20260301120000\rPID|1||{:010}^^^GENERAL^MR||SAMPLE^PATIENT||19700101|F\r",
        number.wrapping_mul(2_654_435_761)
    );
    let mut state = number;
    let mut set = 1;
    while text.len() < MESSAGE_BYTES {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        text.push_str(&format!(
            "OBX|{set}|NM|{}^RESULT^L||{}.{}|mmol/L|3.5-5.1|N|||F|||20260301{:06}\r",
            state >> 50,
            (state >> 40) % 100,
            (state >> 30) % 10,
            (state >> 20) % 240_000
        ));
        set += 1;
    }
    text.truncate(MESSAGE_BYTES);
    Bytes::from(text)
}

fn bare(name: String, messages_a_sync: usize, preallocated: bool) -> io::Result<Row> {
    let directory = directory();
    let file = File::create(directory.path().join("bare"))?;
    if preallocated {
        let zeroes = vec![0; 1 << 20];
        for offset in (0..CHUNK_BYTES).step_by(1 << 20) {
            file.write_all_at(&zeroes, offset)?;
        }
        file.sync_all()?;
    }
    let bytes: Vec<u8> =
        (0..messages_a_sync as u64).flat_map(|number| message(number).to_vec()).collect();
    let mut latencies = Vec::new();
    let (mut offset, mut written) = (0, 0);
    let start = Instant::now();
    while start.elapsed() < DURATION {
        if preallocated && offset + bytes.len() as u64 > CHUNK_BYTES {
            offset = 0;
        }
        let sent = Instant::now();
        file.write_all_at(&bytes, offset)?;
        file.sync_data()?;
        latencies.push(sent.elapsed());
        offset += bytes.len() as u64;
        written += bytes.len() as u64;
    }
    let took = start.elapsed();
    let messages = written / MESSAGE_BYTES as u64;
    Ok(Row { name, messages, took, latencies, bytes_written: written })
}

fn options(directory: &Path, sealed: bool, compression: Compression) -> OpenOptions {
    let key = sealed.then(|| KeyRing::create(&directory.join("bench.key")).expect("a key"));
    OpenOptions {
        key,
        compression,
        chunk_bytes: CHUNK_BYTES,
        ..OpenOptions::new(directory.join("journal"))
    }
}

/// Senders that each wait for their answer before they send again, all driven by one thread, as
/// tasks on a runtime would be.
fn journal(
    name: String,
    sealed: bool,
    compression: Compression,
    senders: usize,
    unit: usize,
) -> Row {
    let directory = directory();
    let options = options(directory.path(), sealed, compression);
    let (journal, _) = FileJournal::open(options).expect("opens");
    let messages: Vec<Bytes> = (0..1000).map(message).collect();
    let written_before = journal.statistics().bytes_written;
    let (answered, answers) = mpsc::channel();
    let mut number = 0;
    let mut send = |sender: usize, sent: &mut [Instant]| {
        let records = (0..unit)
            .map(|_| {
                number += 1;
                let body = messages[number % messages.len()].clone();
                NewRecord { kind: 1, head: vec![7; 64], bodies: vec![body] }
            })
            .collect();
        let answered = answered.clone();
        sent[sender] = Instant::now();
        let done = Box::new(move |answer: Result<Position, _>| {
            answer.expect("appends");
            let _ = answered.send((sender, Instant::now()));
        });
        journal.append(records, Flush::Now, done);
    };
    let start = Instant::now();
    let mut sent = vec![start; senders];
    let mut latencies = Vec::new();
    for sender in 0..senders {
        send(sender, &mut sent);
    }
    let mut under_way = senders;
    while under_way > 0 {
        let (sender, _) = answers.recv().expect("an answer");
        latencies.push(sent[sender].elapsed());
        if start.elapsed() < DURATION {
            send(sender, &mut sent);
        } else {
            under_way -= 1;
        }
    }
    let took = start.elapsed();
    let statistics = journal.statistics();
    let messages = statistics.records;
    if std::env::var_os("PIPEHAT_BENCH_SYNCS").is_some() {
        println!(
            "  {} syncs of {:?}, {:.1} messages each",
            statistics.syncs,
            statistics.sync_time / u32::try_from(statistics.syncs.max(1)).unwrap_or(u32::MAX),
            messages as f64 / statistics.syncs.max(1) as f64
        );
    }
    let bytes_written = statistics.bytes_written - written_before;
    Row { name, messages, took, latencies, bytes_written }
}

/// How long a start takes with a full newest chunk, and what reading costs.
fn opening() {
    let directory = directory();
    let options = options(directory.path(), true, Compression::Lz4);
    let start = Instant::now();
    let (journal, _) = FileJournal::open(options.clone()).expect("opens");
    println!("first opening: {:?}", start.elapsed());
    let (answered, answers) = mpsc::channel();
    let units = 500;
    for unit in 0..units {
        let records = (0..100)
            .map(|index| {
                let bodies = vec![message(unit * 100 + index)];
                NewRecord { kind: 1, head: vec![7; 64], bodies }
            })
            .collect();
        let answered = answered.clone();
        let done = Box::new(move |answer: Result<Position, _>| {
            answered.send(answer.expect("appends")).expect("waited for");
        });
        journal.append(records, Flush::Now, done);
    }
    let last = answers.iter().take(units as usize).last();
    assert!(last.is_some(), "all are answered");
    drop(journal);
    let start = Instant::now();
    let (journal, recovery) = FileJournal::open(options).expect("opens");
    println!("opening with {} records: {:?}", recovery.records(), start.elapsed());
    let start = Instant::now();
    let count = journal.read(Position::FIRST).inspect(|entry| assert!(entry.is_ok())).count();
    println!("reading: {:.0} records/s", count as f64 / start.elapsed().as_secs_f64());
    let start = Instant::now();
    let mut at = 1;
    for _ in 0..2000 {
        at = (at * 48_271) % recovery.records() + 1;
        journal.fetch(Position::new(at).expect("positive")).expect("fetches");
    }
    println!("fetching at random: {:?} each", start.elapsed() / 2000);
    thread::sleep(Duration::from_millis(1));
}
