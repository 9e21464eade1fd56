//! Writing and searching the message index, beside a bare SQLite table with rows of its size.
//!
//! `cargo bench -p pipehat-store --bench index`; more messages with `-- --messages 10000000`.

use std::{
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use pipehat_store::{
    Change, DeliveryState, Disposition, Identifier, IdentifierKind, IdentifierQuery, IndexKeys,
    MessageIndex, MessageSearch, Outcome, Output, Processed, Query, Received, Redacted, Settled,
    SqliteMessageIndex, SqliteMessageSearch,
};

const MESSAGES: u64 = 1_000_000;

/// How many messages each transaction takes in.
const BATCH_MESSAGES: u64 = 5_000;

/// A quiet feed: transactions stay small, and each writes whole pages.
const SMALL_BATCH: u64 = 100;
const SMALL_MESSAGES: u64 = 100_000;

/// How many messages are between a message's receipt and its settlement.
const IN_FLIGHT: u64 = 200;

const PATIENTS: u64 = 300_000;
const SEARCHES: u64 = 200;
const CHANNELS: u64 = 20;

fn main() {
    let mut arguments = std::env::args().skip_while(|argument| argument != "--messages").skip(1);
    let messages = arguments.next().map_or(MESSAGES, |text| text.parse().expect("a number"));
    let directory = tempfile::tempdir().expect("a temporary directory");
    let index_path = directory.path().join("messages.sqlite");

    println!("{messages} messages, transactions of {BATCH_MESSAGES}, {PATIENTS} patients\n");
    println!(
        "{:<34} {:>12} {:>14} {:>14} {:>14}",
        "write", "messages/s", "processor, µs", "on disk, B", "written, B"
    );
    let opened = SqliteMessageIndex::open(&index_path, IndexKeys::new([1; 32], [2; 32]));
    let mut index = opened.expect("an index").index;
    let written = write_index(&mut index, messages, BATCH_MESSAGES);
    written.print("index", messages, bytes_on_disk(directory.path()));
    let index_bytes = bytes_on_disk(directory.path()) / messages;
    let search = index.search();

    let small_directory = tempfile::tempdir().expect("a temporary directory");
    let small_path = small_directory.path().join("messages.sqlite");
    let opened = SqliteMessageIndex::open(&small_path, IndexKeys::new([1; 32], [2; 32]));
    let small = write_index(&mut opened.expect("an index").index, SMALL_MESSAGES, SMALL_BATCH);
    let name = format!("index, transactions of {SMALL_BATCH}");
    small.print(&name, SMALL_MESSAGES, bytes_on_disk(small_directory.path()));

    let bare_directory = tempfile::tempdir().expect("a temporary directory");
    let bare = write_bare(&bare_directory.path().join("bare.sqlite"), messages, index_bytes);
    let name = format!("bare rows of {index_bytes} B, no search");
    bare.print(&name, messages, bytes_on_disk(bare_directory.path()));

    println!("\n{:<34} {:>9} {:>9} {:>9} {:>9}", "search, ms", "first", "p50", "p99", "found");
    search_all(&search, messages);

    let start = Instant::now();
    index.forget(position(messages / 10)).expect("forget");
    println!("\nforget a tenth: {:.0} ms", start.elapsed().as_secs_f64() * 1e3);
}

struct Written {
    took: Duration,
    slowest: Duration,
    /// Unlike the time taken, this is the same on a busy machine.
    processor: Duration,
    bytes: u64,
}

impl Written {
    fn print(&self, name: &str, messages: u64, on_disk: u64) {
        println!(
            "{name:<34} {:>12.0} {:>14.1} {:>14} {:>14}   slowest transaction {:.0} ms",
            messages as f64 / self.took.as_secs_f64(),
            self.processor.as_secs_f64() * 1e6 / messages as f64,
            on_disk / messages,
            self.bytes / messages,
            self.slowest.as_secs_f64() * 1e3,
        );
    }
}

fn write_index(index: &mut impl MessageIndex, messages: u64, batch: u64) -> Written {
    let names = Names::new();
    let bytes_before = bytes_written();
    let (mut took, mut slowest, mut processor) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
    let mut next = 0;
    while next < messages {
        let end = (next + batch).min(messages);
        let settled_before = next.saturating_sub(IN_FLIGHT);
        let settled_end = if end == messages { end } else { end.saturating_sub(IN_FLIGHT) };
        let mut changes = Vec::new();
        changes.extend((next..end).map(|number| names.received(number)));
        changes.extend((next..end).map(|number| names.processed(number)));
        changes.extend((settled_before..settled_end).flat_map(|number| names.settled(number)));
        let (start, busy) = (Instant::now(), processor_time());
        index.apply(&changes, position(end)).expect("apply");
        took += start.elapsed();
        slowest = slowest.max(start.elapsed());
        processor += processor_time().saturating_sub(busy);
        next = end;
    }
    Written { took, slowest, processor, bytes: bytes_written() - bytes_before }
}

fn write_bare(path: &Path, messages: u64, row_bytes: u64) -> Written {
    let mut connection = rusqlite::Connection::open(path).expect("a database");
    connection
        .execute_batch(
            "PRAGMA page_size = 8192; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
             CREATE TABLE bare (id INTEGER PRIMARY KEY, row BLOB);",
        )
        .expect("a table");
    let row = vec![7_u8; row_bytes as usize];
    let bytes_before = bytes_written();
    let (start, busy, mut slowest) = (Instant::now(), processor_time(), Duration::ZERO);
    for batch in 0..messages.div_ceil(BATCH_MESSAGES) {
        let begun = Instant::now();
        let transaction = connection.transaction().expect("a transaction");
        {
            let mut insert = transaction
                .prepare_cached("INSERT INTO bare VALUES (?1, ?2)")
                .expect("a statement");
            for number in 0..BATCH_MESSAGES {
                let id = (batch * BATCH_MESSAGES + number) as i64;
                insert.execute(rusqlite::params![id, row]).expect("a row");
            }
        }
        transaction.commit().expect("a commit");
        slowest = slowest.max(begun.elapsed());
    }
    let processor = processor_time().saturating_sub(busy);
    Written { took: start.elapsed(), slowest, processor, bytes: bytes_written() - bytes_before }
}

/// Each message has three records.
fn position(number: u64) -> u64 {
    number * 3 + 1
}

/// The texts of the messages, shared as the engine shares them.
struct Names {
    channels: Vec<Arc<str>>,
    triggers: Vec<Arc<str>>,
    applications: Vec<Arc<str>>,
    destinations: Vec<Arc<str>>,
    code: Arc<str>,
    structure: Arc<str>,
    version: Arc<str>,
    facility: Arc<str>,
    processing_id: Arc<str>,
    revision: Arc<str>,
    empty: Arc<str>,
}

impl Names {
    fn new() -> Names {
        let numbered =
            |name: &str, count| (0..count).map(|n| format!("{name}{n:02}").into()).collect();
        Names {
            channels: numbered("channel-", CHANNELS),
            triggers: numbered("A", 40),
            applications: numbered("APP", 10),
            destinations: numbered("destination-", 12),
            code: "ADT".into(),
            structure: "ADT_A01".into(),
            version: "2.5.1".into(),
            facility: "GENERAL".into(),
            processing_id: "P".into(),
            revision: "b0a3c1d2".into(),
            empty: "".into(),
        }
    }

    fn one(names: &[Arc<str>], number: u64) -> Arc<str> {
        Arc::clone(&names[(number % names.len() as u64) as usize])
    }

    fn received(&self, number: u64) -> Change {
        let identifier = |kind, value: String| Identifier { kind, value: value.into() };
        Change::Received(Received {
            message: position(number),
            channel: Names::one(&self.channels, mixed(number) >> 8),
            received_at_micros: 1_700_000_000_000_000 + number as i64 * 1_000,
            bytes: 2_048,
            code: Arc::clone(&self.code),
            trigger: Names::one(&self.triggers, (mixed(number) >> 16).trailing_zeros().into()),
            structure: Arc::clone(&self.structure),
            version: Arc::clone(&self.version),
            control_id: Redacted::from(control_id(number)),
            sending_application: Names::one(&self.applications, mixed(number) >> 8),
            sending_facility: Arc::clone(&self.facility),
            processing_id: Arc::clone(&self.processing_id),
            identifiers: vec![
                identifier(IdentifierKind::Patient, patient(mixed(number) % PATIENTS)),
                identifier(IdentifierKind::Visit, format!("V{:09}", mixed(number / 6) % 1_000_000)),
                identifier(IdentifierKind::Order, format!("ORD-{number:010}")),
            ],
            peer: "192.0.2.17:50123".into(),
            duplicate_of: None,
        })
    }

    fn processed(&self, number: u64) -> Change {
        let outputs = outputs(number);
        Change::Processed(Processed {
            message: position(number),
            position: position(number) + 1,
            at_micros: 1_700_000_000_000_500 + number as i64 * 1_000,
            disposition: (outputs == 0).then_some(Disposition::Filtered),
            code: Arc::clone(&self.empty),
            outputs: (0..outputs)
                .map(|ordinal| Output {
                    ordinal,
                    destination: Names::one(&self.destinations, number + u64::from(ordinal)),
                })
                .collect(),
            revision: Arc::clone(&self.revision),
        })
    }

    /// The ends of its deliveries; one in two thousand is parked.
    fn settled(&self, number: u64) -> Vec<Change> {
        let settle = |ordinal| {
            let parked = mixed(number ^ (1 << 40)).is_multiple_of(2_000);
            Change::Settled(Settled {
                message: position(number),
                position: position(number) + 2,
                ordinal,
                destination: Names::one(&self.destinations, number + u64::from(ordinal)),
                at_micros: 1_700_000_000_200_000 + number as i64 * 1_000,
                outcome: if parked { Outcome::Parked } else { Outcome::Delivered },
                code: Arc::clone(&self.empty),
                attempts: 1,
            })
        };
        (0..outputs(number)).map(settle).collect()
    }
}

/// How many deliveries a message has: one in ten is filtered, one in three has two.
fn outputs(number: u64) -> u32 {
    if number.is_multiple_of(10) { 0 } else { 1 + u32::from(number.is_multiple_of(3)) }
}

fn patient(number: u64) -> String {
    format!("MRN{number:08}")
}

fn control_id(number: u64) -> String {
    format!("MSG{number:012}")
}

/// Scatters numbers (the finaliser of SplitMix64).
fn mixed(number: u64) -> u64 {
    let number = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ (number >> 31)
}

fn search_all(search: &SqliteMessageSearch, messages: u64) {
    let identified = |kind, value: String| Query {
        identifiers: vec![IdentifierQuery { kind, value: value.into() }],
        ..Query::default()
    };
    let channel = |number: u64| Some(vec![format!("channel-{:02}", number % CHANNELS).into()]);
    measure(search, "by patient", |n| {
        identified(Some(IdentifierKind::Patient), patient(mixed(n) % PATIENTS))
    });
    measure(search, "by a patient that is not there", |n| identified(None, format!("none{n}")));
    measure(search, "by patient and channel", |n| Query {
        channels: channel(n),
        ..identified(Some(IdentifierKind::Patient), patient(mixed(n) % PATIENTS))
    });
    measure(search, "by control id", |n| Query {
        control_id: Some(control_id(mixed(n) % messages).into()),
        ..Query::default()
    });
    measure(search, "newest", |_| Query::default());
    measure(search, "newest of a channel", |n| Query { channels: channel(n), ..Query::default() });
    measure(search, "by type", |n| Query {
        code: Some("ADT".into()),
        trigger: Some(format!("A{:02}", n % 16)),
        ..Query::default()
    });
    measure(search, "by rare type and channel", |n| Query {
        trigger: Some("A12".into()),
        channels: channel(n),
        ..Query::default()
    });
    measure(search, "at a time of a channel", |n| Query {
        until_micros: Some(1_700_000_000_000_000 + (mixed(n) % messages) as i64 * 1_000),
        channels: channel(n),
        ..Query::default()
    });
    measure(search, "parked of a destination", |n| Query {
        delivery_state: Some(DeliveryState::Parked),
        destination: Some(format!("destination-{:02}", n % 12).into()),
        ..Query::default()
    });
    measure(search, "rejected, of which there are none", |_| Query {
        dispositions: vec![Disposition::Rejected],
        ..Query::default()
    });
}

fn measure(search: &SqliteMessageSearch, name: &str, query: impl Fn(u64) -> Query) {
    let mut took = Vec::new();
    let mut found = 0;
    for number in 0..SEARCHES {
        let query = query(number);
        let start = Instant::now();
        let page = search.search(&query).expect("search");
        took.push(start.elapsed().as_secs_f64() * 1e3);
        found += page.summaries.len();
    }
    let first = took[0];
    took.sort_by(f64::total_cmp);
    println!(
        "{name:<34} {first:>9.2} {:>9.2} {:>9.2} {:>9.1}",
        took[took.len() / 2],
        took[took.len() * 99 / 100],
        found as f64 / SEARCHES as f64,
    );
}

fn bytes_on_disk(directory: &Path) -> u64 {
    let files = fs::read_dir(directory).expect("a directory");
    files.map(|file| file.and_then(|file| file.metadata()).expect("a file").len()).sum()
}

/// Bytes that this process gave to write calls.
fn bytes_written() -> u64 {
    let io = fs::read_to_string("/proc/self/io").unwrap_or_default();
    let line = io.lines().find_map(|line| line.strip_prefix("wchar: "));
    line.and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// The processor time of this process so far, in the kernel too.
fn processor_time() -> Duration {
    let text = fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let nanoseconds = text.split_whitespace().next().and_then(|number| number.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or(0))
}
