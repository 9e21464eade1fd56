//! A sealed database beside an ordinary one, in one run: inserts, point reads cold and warm, scans.
//!
//! `cargo bench -p pipehat-vault` measures all; `-- NAME` what has this in its name. Each figure is the best of
//! several rounds, the two databases taking turns.

use std::path::Path;
use std::time::{Duration, Instant};

use pipehat_vault::Key;
use rusqlite::{Connection, OpenFlags};

const ROWS: i64 = 100_000;
const ROUNDS: usize = 5;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    Sealed,
}

fn open(kind: Kind, path: &Path) -> Connection {
    let connection = match kind {
        Kind::Sealed => {
            pipehat_vault::open(path, &Key::new([7; 32]), OpenFlags::default()).expect("sealed")
        }
        Kind::Plain => {
            let connection = Connection::open(path).expect("plain");
            connection
                .execute_batch("PRAGMA page_size = 8192; PRAGMA journal_mode = WAL; PRAGMA temp_store = MEMORY")
                .expect("set");
            connection
        }
    };
    connection.execute_batch("PRAGMA synchronous = FULL; PRAGMA cache_size = -65536").expect("set");
    connection
        .execute_batch(
            "CREATE TABLE IF NOT EXISTS patient (k INTEGER PRIMARY KEY, name TEXT, body BLOB);
             CREATE INDEX IF NOT EXISTS by_name ON patient (name)",
        )
        .expect("a table");
    connection
}

/// The same people in both, in an order that touches pages everywhere.
fn name(key: i64) -> String {
    let mixed = key.wrapping_mul(0x9E37_79B9_7F4A_7C15_u64 as i64) as u64;
    format!("NAME{:016x}", mixed)
}

fn insert(connection: &Connection, from: i64, count: i64) {
    let mut statement =
        connection.prepare_cached("INSERT INTO patient VALUES (?1, ?2, ?3)").expect("a statement");
    let body = [0x55_u8; 600];
    for key in from..from + count {
        statement.execute((key, name(key), &body[..])).expect("a row");
    }
}

fn fill(kind: Kind, path: &Path) {
    let connection = open(kind, path);
    connection.execute_batch("BEGIN").expect("begun");
    insert(&connection, 0, ROWS);
    connection.execute_batch("COMMIT; PRAGMA wal_checkpoint(TRUNCATE)").expect("committed");
}

fn point_reads(connection: &Connection, count: i64) {
    let mut statement = connection
        .prepare_cached("SELECT k, body FROM patient WHERE name = ?1")
        .expect("a statement");
    for number in 0..count {
        let key = number * 7919 % ROWS;
        let found: i64 = statement.query_row([name(key)], |row| row.get(0)).expect("a row");
        assert_eq!(found, key);
    }
}

/// Best of several rounds for both, and what one of `count` takes.
fn compare(what: &str, count: i64, mut measure: impl FnMut(Kind) -> Duration) {
    let asked = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    if asked.is_some_and(|asked| !what.contains(&asked)) {
        return;
    }
    let mut best = [Duration::MAX; 2];
    for _ in 0..ROUNDS {
        for (kind, best) in [Kind::Plain, Kind::Sealed].into_iter().zip(&mut best) {
            *best = measure(kind).min(*best);
        }
    }
    let each = best.map(|time| time.as_secs_f64() * 1e6 / count as f64);
    println!(
        "{what:<28} plain {:>10.2} µs   sealed {:>10.2} µs   {:>5.2} times",
        each[0],
        each[1],
        each[1] / each[0]
    );
}

fn timed(work: impl FnOnce()) -> Duration {
    let begun = Instant::now();
    work();
    begun.elapsed()
}

fn main() {
    let directory = tempfile::tempdir_in(
        std::env::var_os("BENCH_DIRECTORY").unwrap_or_else(|| "target".into()),
    )
    .or_else(|_| tempfile::tempdir())
    .expect("a directory");
    let path =
        |kind| directory.path().join(if kind == Kind::Plain { "plain.db" } else { "sealed.db" });
    for kind in [Kind::Plain, Kind::Sealed] {
        fill(kind, &path(kind));
    }
    let mut next = ROWS;
    compare("insert, 1000 a commit", 20_000, |kind| {
        let connection = open(kind, &path(kind));
        let from = next;
        next += 20_000;
        timed(|| {
            for batch in 0..20 {
                connection.execute_batch("BEGIN").expect("begun");
                insert(&connection, from + batch * 1000, 1000);
                connection.execute_batch("COMMIT").expect("committed");
            }
        })
    });
    compare("insert, each durable", 300, |kind| {
        let connection = open(kind, &path(kind));
        let from = next;
        next += 300;
        timed(|| {
            for row in 0..300 {
                insert(&connection, from + row, 1);
            }
        })
    });
    compare("checkpoint, of 2000 rows", 2000, |kind| {
        let connection = open(kind, &path(kind));
        connection.execute_batch("PRAGMA wal_autocheckpoint = 0; BEGIN").expect("begun");
        insert(&connection, next, 2000);
        next += 2000;
        connection.execute_batch("COMMIT").expect("committed");
        timed(|| connection.execute_batch("PRAGMA wal_checkpoint(FULL)").expect("copied"))
    });
    // Cold for SQLite: every page is read from the system's cache, and opened.
    compare("point read, cold", 5000, |kind| {
        let connection = open(kind, &path(kind));
        connection.execute_batch("PRAGMA cache_size = 20").expect("set");
        timed(|| point_reads(&connection, 5000))
    });
    compare("point read, warm", 5000, |kind| {
        let connection = open(kind, &path(kind));
        connection.execute_batch("PRAGMA cache_size = -400000").expect("set");
        point_reads(&connection, 5000);
        timed(|| point_reads(&connection, 5000))
    });
    compare("scan, cold", ROWS, |kind| {
        let connection = open(kind, &path(kind));
        timed(|| {
            let bytes: i64 = connection
                .query_row("SELECT sum(length(name)) FROM patient NOT INDEXED", [], |row| {
                    row.get(0)
                })
                .expect("a sum");
            assert!(bytes >= ROWS * 20);
        })
    });
}
