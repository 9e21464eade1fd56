//! Killed at any moment, it has what was committed.
//!
//! A child process (this test binary again) writes rows and says after each commit how far it is; it is killed, and
//! what it said must be there.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::{integrity, open};

const PLACE: &str = "PIPEHAT_VAULT_CRASH_TEST";

/// Not a test by itself: the process that is killed.
#[test]
fn writing_child() {
    let Some(path) = std::env::var_os(PLACE) else { return };
    let connection = open(Path::new(&path));
    connection
        .execute_batch(
            "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 25; PRAGMA cache_size = 10;
             CREATE TABLE IF NOT EXISTS t (k INTEGER PRIMARY KEY, part INTEGER, v TEXT);
             CREATE INDEX IF NOT EXISTS i ON t (v)",
        )
        .expect("a table");
    let first: i64 = connection
        .query_row("SELECT coalesce(max(k), 0) / 10 + 1 FROM t", [], |row| row.get(0))
        .expect("a number");
    let mut output = std::io::stdout().lock();
    for transaction in first.. {
        connection.execute_batch("BEGIN").expect("begun");
        for part in 0..10 {
            let text = format!("{:0>300}", transaction * 7919 % 1000);
            connection
                .execute("INSERT INTO t VALUES (?1, ?2, ?3)", (transaction * 10 + part, part, text))
                .expect("a row");
        }
        if transaction % 7 == 0 {
            connection.execute_batch("UPDATE t SET v = v WHERE k % 3 = 0").expect("updated");
        }
        connection.execute_batch("COMMIT").expect("committed");
        writeln!(output, "committed {transaction}").expect("told");
        output.flush().expect("told");
    }
}

#[test]
fn killed_at_any_moment_it_has_what_was_committed() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("a.db");
    let mut told = 0_i64;
    for life in 0_u32..12 {
        let mut child = Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", "crash::writing_child", "--nocapture", "--test-threads", "1"])
            .env(PLACE, &path)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("a child");
        let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let (begun, mut commits) = (Instant::now(), 0);
        // Another number of commits and another moment behind the last, in each life.
        while commits < 5 + life * 3 {
            assert!(begun.elapsed() < Duration::from_secs(60), "the child does not commit");
            let line = lines.next().expect("the child lives").expect("its output");
            if let Some((_, number)) = line.split_once("committed ") {
                told = number.trim().parse().expect("a number");
                commits += 1;
            }
        }
        let moment = Instant::now();
        while moment.elapsed() < Duration::from_micros(u64::from(life) * 370) {
            std::hint::spin_loop();
        }
        child.kill().expect("killed");
        child.wait().expect("ended");
        for line in lines.map_while(Result::ok) {
            if let Some((_, number)) = line.split_once("committed ") {
                told = number.trim().parse().unwrap_or(told);
            }
        }
        let connection = open(&path);
        assert_eq!(integrity(&connection), "ok", "life {life}");
        let (rows, newest): (i64, i64) = connection
            .query_row("SELECT count(*), max(k) / 10 FROM t", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .expect("rows");
        assert!(newest >= told, "life {life}: {told} was committed, {newest} is there");
        assert_eq!(rows, newest * 10, "life {life}: no half transaction");
        assert_eq!(pipehat_vault::failure(&connection), None);
        told = newest;
        // Left open by some, so that the next life finds a log.
        if life % 2 == 0 {
            std::mem::forget(connection);
        }
    }
}
