//! Bytes changed at rest are noticed, or change nothing; never are there other data.

use std::fs;
use std::path::Path;

use pipehat_vault::{Failure, failure, is_damage};
use rusqlite::Connection;

use super::{beside, content, copy_as_it_is, integrity, open};

const SOME: &str = "CREATE TABLE t (k INTEGER PRIMARY KEY, v TEXT); CREATE INDEX i ON t (v);
     WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100)
     INSERT INTO t SELECT i, printf('%0200d', i * 7) FROM n;";

fn change(path: &Path, byte: usize) {
    let mut bytes = fs::read(path).expect("read");
    bytes[byte] ^= 0x40;
    fs::write(path, bytes).expect("written");
}

/// What is there, or the damage that was told.
fn look(path: &Path) -> Result<Vec<String>, Option<Failure>> {
    let connection = match pipehat_vault::open(path, &super::key(), rusqlite::OpenFlags::default())
    {
        Ok(connection) => connection,
        Err(pipehat_vault::VaultError::Failure { failure, .. }) => return Err(Some(failure)),
        Err(error) => panic!("{error}"),
    };
    let told = |error: rusqlite::Error, connection: &Connection| {
        assert!(is_damage(&error), "{error:?}");
        failure(connection)
    };
    let found = content(&connection).map_err(|error| told(error, &connection))?;
    // The index is read too.
    let by_index = connection
        .prepare("SELECT v FROM t INDEXED BY i ORDER BY v")
        .and_then(|mut rows| {
            rows.query_map([], |row| row.get::<_, String>(0))?.collect::<rusqlite::Result<Vec<_>>>()
        })
        .map_err(|error| told(error, &connection))?;
    assert!(by_index.is_sorted());
    Ok(found)
}

#[test]
fn in_the_database() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("a.db");
    open(&path).execute_batch(SOME).expect("rows");
    let bytes = fs::metadata(&path).expect("the file").len() as usize;
    let pages = bytes / 8192;
    let copy = directory.path().join("copy.db");
    // `database` has a test of every byte of a page.
    for byte in (0..bytes).filter(|byte| *byte < 64 || byte % 1511 == 0 || byte % 8192 > 8184) {
        copy_as_it_is(&path, &copy);
        change(&copy, byte);
        let told = look(&copy).expect_err("noticed").expect("told");
        let expected = match byte {
            0..7 => Failure::NotSealed,
            7 => Failure::Format(0x41),
            8..24 => Failure::OtherKey,
            _ => Failure::Page(byte as u64 / 8192 + 1),
        };
        assert_eq!(told, expected, "byte {byte}");
    }
    // Pages in each other's place.
    let whole = fs::read(&path).expect("read");
    for page in 2..pages {
        let mut moved = whole.clone();
        let (to, from) = moved.split_at_mut(page * 8192);
        to[(page - 1) * 8192..].swap_with_slice(&mut from[..8192]);
        fs::write(&copy, moved).expect("written");
        assert!(look(&copy).is_err(), "page {page}");
    }
    // A page of zeros is not one that SQLite may take for empty.
    for page in 1..pages {
        let mut zeroed = whole.clone();
        zeroed[page * 8192..(page + 1) * 8192].fill(0);
        fs::write(&copy, zeroed).expect("written");
        assert_eq!(look(&copy), Err(Some(Failure::Page(page as u64 + 1))));
    }
}

#[test]
fn in_the_log() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("a.db");
    let connection = open(&path);
    connection
        .execute_batch("PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0")
        .expect("set");
    // What is to be seen after each transaction, and how long the log is then.
    let mut states = Vec::new();
    let log = beside(&path, "-wal");
    let length = || fs::metadata(&log).expect("the log").len() as usize;
    connection.execute_batch(&format!("BEGIN; {SOME} COMMIT")).expect("rows");
    states.push((length(), content(&connection).expect("content")));
    for round in 0..4 {
        connection
            .execute("UPDATE t SET v = printf('%0200d', k * 7 + ?1) WHERE k % 9 = ?1", [round])
            .expect("updated");
        states.push((length(), content(&connection).expect("content")));
    }
    let copy = directory.path().join("copy.db");
    let bytes = length();
    let before_last = states[states.len() - 2].0;
    for byte in
        (0..bytes).filter(|byte| byte % 4001 == 0 || (byte % 11 == 0 && (byte + 8188) % 8260 < 90))
    {
        copy_as_it_is(&path, &copy);
        change(&beside(&copy, "-wal"), byte);
        match look(&copy) {
            // Only the last transaction may be taken for one whose writing was cut off.
            Ok(found) => {
                assert!(byte >= before_last, "byte {byte} of {bytes} was not noticed");
                assert_eq!(found, states[states.len() - 2].1, "byte {byte}");
            }
            Err(Some(Failure::LogHeader)) => assert!(byte < 72, "byte {byte}"),
            Err(Some(Failure::LogFrame(frame))) => {
                assert_eq!(frame as usize, (byte - 72) / 8260 + 1, "byte {byte}");
            }
            Err(other) => panic!("byte {byte}: {other:?}"),
        }
    }
    // Cut anywhere, as a crash does: a state as it was after some transaction.
    for cut in (0..bytes).step_by(1013).chain(states.iter().map(|(length, _)| *length)) {
        copy_as_it_is(&path, &copy);
        let file = fs::OpenOptions::new().write(true).open(beside(&copy, "-wal")).expect("the log");
        file.set_len(cut as u64).expect("cut");
        drop(file);
        let state = states.iter().rev().find(|(length, _)| *length <= cut);
        let connection = open(&copy);
        let found = content(&connection).expect("content");
        assert_eq!(
            found,
            state.map(|(_, content)| content.clone()).unwrap_or_default(),
            "cut {cut}"
        );
        assert_eq!(integrity(&connection), "ok");
    }
    // The last transaction torn, its sectors written in any order.
    for sector in (before_last..bytes).step_by(512) {
        copy_as_it_is(&path, &copy);
        let log = beside(&copy, "-wal");
        let mut torn = fs::read(&log).expect("read");
        torn[sector..bytes.min(sector + 512)].fill(0);
        fs::write(&log, torn).expect("written");
        assert_eq!(look(&copy).as_ref(), Ok(&states[states.len() - 2].1), "sector at {sector}");
    }
}

/// A log that was begun again: what is left of before is behind what counts.
#[test]
fn in_a_log_begun_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("a.db");
    let connection = open(&path);
    connection
        .execute_batch("PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0")
        .expect("set");
    connection
        .execute_batch(&format!("BEGIN; {SOME} COMMIT; PRAGMA wal_checkpoint"))
        .expect("rows");
    let log = beside(&path, "-wal");
    let bytes = fs::metadata(&log).expect("the log").len();
    for round in 1..3 {
        connection.execute("UPDATE t SET v = 'again' WHERE k = ?1", [round]).expect("updated");
    }
    assert_eq!(fs::metadata(&log).expect("the log").len(), bytes, "the log was not begun again");
    let expected = content(&connection).expect("content");
    let copy = directory.path().join("copy.db");
    copy_as_it_is(&path, &copy);
    assert_eq!(look(&copy), Ok(expected));
    for (byte, expected) in [(20, Failure::LogHeader), (72 + 100, Failure::LogFrame(1))] {
        copy_as_it_is(&path, &copy);
        change(&beside(&copy, "-wal"), byte);
        assert_eq!(look(&copy), Err(Some(expected)));
    }
    // Nothing is lost by what is behind.
    let expected = look(&path);
    copy_as_it_is(&path, &copy);
    change(&beside(&copy, "-wal"), usize::try_from(bytes).expect("a size") - 100);
    assert_eq!(look(&copy), expected);
}

/// A crash while the log is copied into the database leaves torn pages there; the log has them whole.
#[test]
fn torn_pages_of_the_database_are_taken_from_the_log() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("a.db");
    let connection = open(&path);
    connection.execute_batch("PRAGMA wal_autocheckpoint = 0").expect("set");
    connection.execute_batch(&format!("BEGIN; {SOME} COMMIT")).expect("rows");
    let expected = content(&connection).expect("content");
    let copy = directory.path().join("copy.db");
    copy_as_it_is(&path, &copy);
    let before = fs::read(&path).expect("read");
    connection.execute_batch("PRAGMA wal_checkpoint").expect("copied");
    let after = fs::read(&path).expect("read");
    let log = fs::read(beside(&copy, "-wal")).expect("read");
    for torn in [1, 3] {
        let mut mixed = after.clone();
        for (number, sector) in mixed.chunks_mut(4096).enumerate() {
            if number % 2 == torn % 2 {
                match before.get(number * 4096..(number + 1) * 4096) {
                    Some(old) => sector.copy_from_slice(old),
                    None => sector.fill(0),
                }
            }
        }
        mixed.truncate(after.len() - 1000);
        fs::write(&copy, mixed).expect("written");
        fs::write(beside(&copy, "-wal"), &log).expect("written");
        assert_eq!(look(&copy).as_ref(), Ok(&expected));
    }
}

/// However the files are changed and cut, what is read is what was there after some transaction.
#[test]
fn anywhere_and_anyhow() {
    use proptest::prelude::{any, prop};
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("a.db");
    let connection = open(&path);
    connection
        .execute_batch(&format!(
            "PRAGMA wal_autocheckpoint = 0; BEGIN; {SOME} COMMIT; PRAGMA wal_checkpoint(TRUNCATE)"
        ))
        .expect("rows");
    let mut states = vec![content(&connection).expect("content")];
    for round in 0..4 {
        connection
            .execute("UPDATE t SET v = 'changed' || k WHERE k % 9 = ?1", [round])
            .expect("updated");
        states.push(content(&connection).expect("content"));
    }
    let database = fs::read(&path).expect("read");
    let log = fs::read(beside(&path, "-wal")).expect("read");
    let copy = directory.path().join("copy.db");
    let change = (any::<bool>(), any::<prop::sample::Index>(), 0_u8..8, any::<u8>());
    let mut runner = proptest::test_runner::TestRunner::new(proptest::test_runner::Config {
        cases: 96,
        failure_persistence: None,
        ..Default::default()
    });
    runner
        .run(&prop::collection::vec(change, 1..6), |changes| {
            let (mut database, mut log) = (database.clone(), log.clone());
            for (of_log, at, how, byte) in changes {
                let file = if of_log { &mut log } else { &mut database };
                if file.is_empty() {
                    continue;
                }
                let at = at.index(file.len());
                match how {
                    0 => file.truncate(at),
                    1 => file.extend(std::iter::repeat_n(byte, at % 9000)),
                    2 => file[at..].fill(0),
                    _ => file[at] ^= byte,
                }
            }
            fs::write(&copy, database).expect("written");
            fs::write(beside(&copy, "-wal"), log).expect("written");
            let opened = pipehat_vault::open(&copy, &super::key(), rusqlite::OpenFlags::default());
            if let Ok(connection) = opened
                && let Ok(found) = content(&connection)
            {
                proptest::prop_assert!(states.contains(&found));
            }
            Ok(())
        })
        .unwrap_or_else(|failed| panic!("{failed}"));
}
