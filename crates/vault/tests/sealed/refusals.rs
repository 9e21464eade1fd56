use pipehat_vault::{Failure, failure};
use rusqlite::Connection;

use super::{content, integrity, open};

/// What this SQL is answered with must be an error, or change nothing; the database stays sealed and whole.
fn check(sql: &str, expected: Option<Failure>) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("a.db");
    let connection = open(&path);
    connection
        .execute_batch("CREATE TABLE t (v TEXT); INSERT INTO t VALUES ('CHALMERS')")
        .expect("a row");
    let before = content(&connection).expect("content");
    // Some say what they did by a row, some by an error.
    let _answer = connection.execute_batch(sql);
    assert_eq!(failure(&connection), expected, "{sql}");
    drop(connection);
    let connection = open(&path);
    assert_eq!(content(&connection).expect("content"), before, "{sql}");
    assert_eq!(integrity(&connection), "ok", "{sql}");
    connection.execute_batch("INSERT INTO t VALUES ('PETER')").expect("still writable");
    drop(connection);
    for file in std::fs::read_dir(directory.path()).expect("files") {
        let bytes = std::fs::read(file.expect("a file").path()).expect("read");
        assert!(!bytes.windows(8).any(|part| part == b"CHALMERS"), "{sql}");
    }
}

#[test]
fn other_journals() {
    check("PRAGMA journal_mode = DELETE", None);
    check("PRAGMA journal_mode = TRUNCATE", None);
    let refused = Failure::Refused("another page size or journal mode");
    check("PRAGMA journal_mode = MEMORY", Some(refused));
    check("PRAGMA journal_mode = OFF", Some(refused));
}

#[test]
fn other_layouts() {
    check("PRAGMA page_size = 4096; VACUUM", None);
    check("PRAGMA auto_vacuum = FULL; VACUUM", Some(Failure::Refused("auto-vacuum")));
    check("PRAGMA mmap_size = 1000000", None);
    check("PRAGMA locking_mode = EXCLUSIVE; SELECT * FROM t", None);
}

#[test]
fn other_databases() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("a.db");
    let other = directory.path().join("b.db");
    let connection = open(&path);
    let attach = format!("ATTACH '{}' AS other", other.display());
    assert!(connection.execute_batch(&attach).is_err());
    let into = format!("VACUUM INTO '{}'", other.display());
    assert!(connection.execute_batch(&into).is_err());
    assert!(std::fs::metadata(&other).is_err());
    connection
        .execute_batch("ATTACH ':memory:' AS other; CREATE TABLE other.t (v)")
        .expect("memory");
}

#[test]
fn a_plain_database_does_not_become_a_sealed_one_by_backup() {
    let directory = tempfile::tempdir().expect("a directory");
    let plain = Connection::open_in_memory().expect("memory");
    plain.execute_batch("PRAGMA page_size = 8192; CREATE TABLE p (v)").expect("a table");
    let path = directory.path().join("a.db");
    let to = open(&path);
    to.execute_batch("CREATE TABLE t (v)").expect("a table");
    let before = content(&to).expect("content");
    // SAFETY: both connections are open, nobody else uses them, and the backup is finished.
    let done = unsafe {
        let backup = rusqlite::ffi::sqlite3_backup_init(
            to.handle(),
            c"main".as_ptr(),
            plain.handle(),
            c"main".as_ptr(),
        );
        let _step = rusqlite::ffi::sqlite3_backup_step(backup, -1);
        rusqlite::ffi::sqlite3_backup_finish(backup)
    };
    assert_ne!(done, rusqlite::ffi::SQLITE_OK);
    drop(to);
    assert_eq!(content(&open(&path)).expect("content"), before);
}
