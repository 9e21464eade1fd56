//! Several connections, on threads of their own.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::{integrity, key, open};

/// Every transaction moves an amount from one row to another: so the sum is always the same.
#[test]
fn readers_see_whole_transactions_while_one_writes() {
    const ROWS: i64 = 400;
    const SUM: i64 = ROWS * 100;
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("a.db");
    let writer = open(&path);
    writer.busy_timeout(Duration::from_secs(20)).expect("set");
    writer
        .execute_batch(
            "PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 20; PRAGMA cache_size = 10;
             CREATE TABLE t (k INTEGER PRIMARY KEY, amount INTEGER, filler TEXT)",
        )
        .expect("a table");
    for row in 0..ROWS {
        writer
            .execute("INSERT INTO t VALUES (?1, 100, ?2)", (row, "f".repeat(900)))
            .expect("a row");
    }
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let readers = [(); 3].map(|()| {
            scope.spawn(|| {
                let mut looks = 0_u32;
                while !done.load(Ordering::Relaxed) {
                    // Opened anew now and then: SQLite looks at page 1 while a checkpoint may be writing it.
                    let reader =
                        pipehat_vault::open(&path, &key(), OpenFlags::SQLITE_OPEN_READ_ONLY)
                            .expect("a reader");
                    reader.busy_timeout(Duration::from_secs(20)).expect("set");
                    for _ in 0..5 {
                        let sum: i64 = reader
                            .query_row("SELECT sum(amount) FROM t", [], |row| row.get(0))
                            .expect("a sum");
                        assert_eq!(sum, SUM);
                        looks += 1;
                    }
                }
                looks
            })
        });
        let second = scope.spawn(|| {
            let writer = open(&path);
            writer.busy_timeout(Duration::from_secs(20)).expect("set");
            for round in 0..300 {
                shift(&writer, round * 7 % ROWS, round * 11 % ROWS);
            }
        });
        for round in 0..700 {
            shift(&writer, round * 13 % ROWS, round * 17 % ROWS);
        }
        second.join().expect("no panic");
        done.store(true, Ordering::Relaxed);
        let looks: u32 = readers.map(|reader| reader.join().expect("no panic")).iter().sum();
        assert!(looks > 0);
    });
    assert_eq!(integrity(&writer), "ok");
    assert_eq!(pipehat_vault::failure(&writer), None);
}

fn shift(connection: &Connection, from: i64, to: i64) {
    connection.execute_batch("BEGIN IMMEDIATE").expect("begun");
    connection.execute("UPDATE t SET amount = amount - 1 WHERE k = ?1", [from]).expect("taken");
    connection.execute("UPDATE t SET amount = amount + 1 WHERE k = ?1", [to]).expect("given");
    connection.execute_batch("COMMIT").expect("committed");
}

/// What a transaction wrote to the log before it was rolled back stands nowhere that another has written to since.
#[test]
fn what_was_rolled_back_does_not_come_back() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("a.db");
    let (first, second) = (open(&path), open(&path));
    for connection in [&first, &second] {
        connection
            .execute_batch("PRAGMA synchronous = NORMAL; PRAGMA cache_size = 10; PRAGMA wal_autocheckpoint = 0")
            .expect("set");
    }
    first.execute_batch("CREATE TABLE t (k INTEGER PRIMARY KEY, filler TEXT)").expect("a table");
    const ROWS: i64 = 240;
    for _ in 0..ROWS {
        first.execute("INSERT INTO t (filler) VALUES (?1)", ["a".repeat(900)]).expect("a row");
    }
    // Changes of rows where they stand: a new page would have page 1 read when it is taken back, and all be written.
    let change = |connection: &Connection, by: &str, rows: i64| {
        connection.execute_batch("BEGIN IMMEDIATE").expect("begun");
        let sql = "UPDATE t SET filler = ?1 WHERE k <= ?2";
        connection.execute(sql, (by.repeat(900), rows)).expect("changed");
    };
    let count = |connection: &Connection, by: &str| -> i64 {
        let sql = "SELECT count(*) FROM t WHERE filler LIKE ?1";
        connection.query_row(sql, [format!("{by}%")], |row| row.get(0)).expect("a number")
    };
    for rows in (8..ROWS).step_by(5) {
        // Without a log to read from, which would have all written.
        second.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).expect("copied");
        // Of what does not fit into memory, some is written and some waits when it is taken back.
        change(&first, "f", rows);
        first.execute_batch("ROLLBACK").expect("rolled back");
        let by = ["s", "t"][usize::from(rows % 2 == 0)];
        change(&second, by, ROWS - rows);
        second.execute_batch("COMMIT").expect("committed");
        for connection in [&first, &second, &open(&path)] {
            assert_eq!(
                (count(connection, "f"), count(connection, by) >= ROWS - rows),
                (0, true),
                "{rows}"
            );
        }
    }
    assert_eq!(integrity(&second), "ok");
    assert_eq!(pipehat_vault::failure(&second), None);
    drop((first, second));
    let again = open(&path);
    assert_eq!((integrity(&again), count(&again, "f")), ("ok".to_owned(), 0));
}
