use pipehat_vault::{Failure, Key, VaultError, failure};
use rusqlite::{Connection, OpenFlags};

use super::{beside, integrity, key, open};

#[test]
fn what_was_written_is_there_when_opened_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("a.db");
    for round in 0_i64..5 {
        let connection = open(&path);
        connection
            .execute_batch(
                "CREATE TABLE IF NOT EXISTS t (v TEXT); CREATE INDEX IF NOT EXISTS i ON t (v)",
            )
            .expect("a table");
        let count: i64 =
            connection.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).expect("rows");
        assert_eq!(count, round * 500);
        connection.execute_batch("BEGIN").expect("begun");
        for row in 0..500 {
            connection
                .execute(
                    "INSERT INTO t VALUES (?1)",
                    [format!("value {round} {row} {}", "x".repeat(200))],
                )
                .expect("a row");
        }
        connection.execute_batch("COMMIT").expect("committed");
        assert_eq!(integrity(&connection), "ok");
        let mode: String =
            connection.pragma_query_value(None, "journal_mode", |row| row.get(0)).expect("mode");
        assert_eq!(mode, "wal");
    }
    // The last connection has copied the log into the database and removed it.
    assert!(!beside(&path, "-wal").exists());
    let reader = pipehat_vault::open(&path, &key(), OpenFlags::SQLITE_OPEN_READ_ONLY);
    let count: i64 = reader
        .expect("a reader")
        .query_row("SELECT count(*) FROM t", [], |row| row.get(0))
        .expect("rows");
    assert_eq!(count, 2500);
}

#[cfg(unix)]
#[test]
fn a_new_database_is_its_owners_only() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("a.db");
    let connection = open(&path);
    connection.execute_batch("CREATE TABLE t (v)").expect("a table");
    for suffix in ["", "-wal", "-shm"] {
        let mode = beside(&path, suffix).metadata().expect("the file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{suffix}");
    }
}

#[test]
fn a_new_database_begins_without_the_log_of_another() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("a.db");
    std::fs::write(beside(&path, "-wal"), b"of another").expect("a log");
    open(&path).execute_batch("CREATE TABLE t (v)").expect("a table");
    assert_eq!(integrity(&open(&path)), "ok");
}

#[test]
fn an_empty_file_becomes_a_database_unless_it_has_a_log() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("a.db");
    std::fs::write(&path, b"").expect("an empty file");
    let connection = open(&path);
    connection.execute_batch("CREATE TABLE t (v)").expect("a table");
    let copy = directory.path().join("copy.db");
    super::copy_as_it_is(&path, &copy);
    std::fs::write(&copy, b"").expect("cut off");
    let cut_off = pipehat_vault::open(&copy, &key(), OpenFlags::default());
    assert!(matches!(cut_off, Err(VaultError::Failure { failure: Failure::NotSealed, .. })));
    assert!(beside(&copy, "-wal").exists());
}

#[test]
fn another_key_is_told() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("a.db");
    let connection = open(&path);
    connection.execute_batch("CREATE TABLE t (v)").expect("a table");
    let other = || pipehat_vault::open(&path, &Key::new([1; 32]), OpenFlags::default());
    assert!(matches!(other(), Err(VaultError::OpenUnderOtherKey(_))));
    drop(connection);
    assert!(matches!(other(), Err(VaultError::Failure { failure: Failure::OtherKey, .. })));
    assert_eq!(integrity(&open(&path)), "ok");
}

#[test]
fn what_is_no_sealed_database_is_told() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("a.db");
    let check = |expected: Failure| {
        let error = pipehat_vault::open(&path, &key(), OpenFlags::default()).expect_err("no vault");
        assert!(
            matches!(&error, VaultError::Failure { failure, .. } if *failure == expected),
            "{error:?}"
        );
    };
    Connection::open(&path).expect("plain").execute_batch("CREATE TABLE t (v)").expect("a table");
    check(Failure::NotSealed);
    std::fs::write(&path, b"short").expect("written");
    check(Failure::NotSealed);
    std::fs::remove_file(&path).expect("removed");
    drop(open(&path));
    let mut bytes = std::fs::read(&path).expect("read");
    bytes[7] = 2;
    std::fs::write(&path, bytes).expect("written");
    check(Failure::Format(2));
    let missing = directory.path().join("none.db");
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
    let error = pipehat_vault::open(&missing, &key(), flags).expect_err("no file");
    assert!(matches!(error, VaultError::File { .. }));
}

#[test]
fn a_name_is_never_a_uri() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("file:a.db?mode=memory#x%20y");
    open(&path).execute_batch("CREATE TABLE t (v)").expect("a table");
    assert!(path.exists());
}

#[test]
fn reached_by_a_link_it_is_the_same_database() {
    let directory = tempfile::tempdir().expect("a directory");
    let (path, link) = (directory.path().join("a.db"), directory.path().join("link.db"));
    let first = open(&path);
    first.execute_batch("CREATE TABLE t (v); INSERT INTO t VALUES (1)").expect("a table");
    std::os::unix::fs::symlink(&path, &link).expect("a link");
    let count: i64 =
        open(&link).query_row("SELECT count(*) FROM t", [], |row| row.get(0)).expect("rows");
    assert_eq!(count, 1);
}

#[test]
fn an_ordinary_connection_has_no_failure() {
    assert_eq!(failure(&Connection::open_in_memory().expect("memory")), None);
    let directory = tempfile::tempdir().expect("a directory");
    assert_eq!(failure(&Connection::open(directory.path().join("a.db")).expect("plain")), None);
    assert_eq!(failure(&open(&directory.path().join("b.db"))), None);
}

#[test]
fn a_backup_is_a_copy() {
    let directory = tempfile::tempdir().expect("a directory");
    let from = open(&directory.path().join("a.db"));
    from.execute_batch(
        "CREATE TABLE t (v TEXT);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
         INSERT INTO t SELECT printf('%0100d', i) FROM n",
    )
    .expect("rows");
    let to = directory.path().join("b.db");
    // SAFETY: both connections are open, nobody else uses them, and the backup is finished.
    let done = unsafe {
        let to = open(&to);
        let backup = rusqlite::ffi::sqlite3_backup_init(
            to.handle(),
            c"main".as_ptr(),
            from.handle(),
            c"main".as_ptr(),
        );
        assert!(!backup.is_null());
        let done = rusqlite::ffi::sqlite3_backup_step(backup, -1);
        rusqlite::ffi::sqlite3_backup_finish(backup);
        done
    };
    assert_eq!(done, rusqlite::ffi::SQLITE_DONE);
    let copy = open(&to);
    assert_eq!(integrity(&copy), "ok");
    assert_eq!(super::content(&copy).expect("content"), super::content(&from).expect("content"));
}
