//! No clear value stands in any file: markers are planted everywhere and looked for everywhere, also in files that
//! have no name.

use std::fs;
use std::path::Path;

use super::{beside, open};

const MARKER: &str = "MARKERvalue";

fn check_files(directory: &Path, when: &str) -> usize {
    let mut files = 0;
    for file in fs::read_dir(directory).expect("files") {
        let path = file.expect("a file").path();
        check_bytes(&fs::read(&path).expect("read"), &format!("{}, {when}", path.display()));
        files += 1;
    }
    files
}

fn check_bytes(bytes: &[u8], what: &str) {
    for marker in [MARKER.as_bytes(), b"MARKERtable", b"SQLite format", b"CREATE TABLE"] {
        assert!(!bytes.windows(marker.len()).any(|part| part == marker), "{what}");
    }
}

/// Files that were deleted and are open: those that SQLite makes for itself.
#[cfg(target_os = "linux")]
fn check_deleted_files(when: &str) -> usize {
    let mut files = 0;
    for entry in fs::read_dir("/proc/self/fd").expect("open files") {
        let path = entry.expect("an open file").path();
        let Ok(target) = fs::read_link(&path) else { continue };
        let target = target.to_string_lossy();
        // Unnamed files are shown by their inode; where there are none, SQLite uses a name and deletes it.
        if target.ends_with("(deleted)") && (target.contains("/#") || target.contains("etilqs")) {
            check_bytes(&fs::read(&path).expect("read"), &format!("{target}, {when}"));
            files += 1;
        }
    }
    files
}

const ROWS: &str =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)";

#[test]
fn in_no_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("a.db");
    let connection = open(&path);
    let run = |sql: &str| {
        connection.execute_batch(sql).unwrap_or_else(|error| {
            panic!("{sql}: {error} {:?}", pipehat_vault::failure(&connection))
        });
        check_files(directory.path(), sql);
    };
    run("CREATE TABLE MARKERtable (k INTEGER PRIMARY KEY, v TEXT, w TEXT)");
    run("CREATE INDEX by_v ON MARKERtable (v)");
    run("CREATE VIRTUAL TABLE words USING fts5 (text)");
    run(&format!(
        "{ROWS} INSERT INTO MARKERtable SELECT i, '{MARKER}' || i, hex(randomblob(40)) FROM n"
    ));
    run("INSERT INTO words SELECT v FROM MARKERtable");
    assert_eq!(check_files(directory.path(), "while open"), 3);
    run(&format!("UPDATE MARKERtable SET v = '{MARKER} again' || k WHERE k % 3 = 0"));
    run("DELETE FROM MARKERtable WHERE k % 5 = 0");
    // Large values stand on pages of their own.
    run(&format!(
        "INSERT INTO MARKERtable VALUES (0, '{MARKER}', replace(hex(zeroblob(60000)), '00', '{MARKER}'))"
    ));
    run("CREATE INDEX by_w ON MARKERtable (w, v)");
    run("SELECT count(*) FROM (SELECT DISTINCT v || w FROM MARKERtable ORDER BY w DESC, v)");
    run("PRAGMA wal_checkpoint(TRUNCATE)");
    run("VACUUM");
    run("ANALYZE");
    run("PRAGMA wal_checkpoint(PASSIVE)");
    drop(connection);
    assert_eq!(check_files(directory.path(), "closed"), 1);
}

/// SQLite is told to keep what is temporary in memory. Somebody may tell it otherwise, and then it is sealed.
#[cfg(target_os = "linux")]
#[test]
fn in_no_file_without_a_name() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("a.db");
    let connection = open(&path);
    let large_savepoint = format!("BEGIN; SAVEPOINT s; UPDATE t SET v = v || '{MARKER}'");
    let undo = "ROLLBACK TO s; RELEASE s; COMMIT";
    let run = |sql: &str| {
        connection.execute_batch(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
        check_files(directory.path(), sql);
        check_deleted_files(sql)
    };
    run("PRAGMA cache_size = 60; CREATE TABLE t (k INTEGER PRIMARY KEY, v TEXT)");
    run(&format!("{ROWS} INSERT INTO t SELECT i, '{MARKER}' || i || hex(randomblob(400)) FROM n"));
    assert_eq!(run(&large_savepoint), 0);
    run(undo);
    run("PRAGMA temp_store = FILE");
    assert!(run(&large_savepoint) > 0, "the statement's journal was not large enough");
    run(undo);
    assert_eq!(super::integrity(&connection), "ok");
    let changed: i64 = connection
        .query_row(&format!("SELECT count(*) FROM t WHERE v LIKE '%{MARKER}'"), [], |row| {
            row.get(0)
        })
        .expect("a count");
    assert_eq!(changed, 0);
    run("PRAGMA temp.cache_size = 10");
    let tables = run("CREATE TEMP TABLE MARKERtable AS SELECT * FROM t");
    assert!(tables > 0, "the temporary table was not large enough");
    run("CREATE INDEX temp.by_v ON MARKERtable (v)");
    let same: i64 = connection
        .query_row(
            "SELECT count(*) FROM t JOIN MARKERtable m USING (k) WHERE t.v = m.v",
            [],
            |row| row.get(0),
        )
        .expect("a count");
    assert_eq!(same, 20_000);
    let mut sorted =
        connection.prepare("SELECT v FROM t ORDER BY substr(v, 20), v").expect("a sort");
    let mut rows = sorted.query([]).expect("a sort");
    let (mut last, mut number) = (String::new(), 0);
    while let Some(row) = rows.next().expect("a row") {
        let value: String = row.get(0).expect("a text");
        assert!(last.get(19..) <= value.get(19..));
        last = value;
        number += 1;
        if number == 10_000 {
            assert!(check_deleted_files("while sorting") > tables, "the sort was not large enough");
            check_files(directory.path(), "while sorting");
        }
    }
    assert_eq!(number, 20_000);
}

#[test]
fn not_after_a_crash() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("a.db");
    let connection = open(&path);
    connection
        .execute_batch(&format!(
            "CREATE TABLE MARKERtable (v); INSERT INTO MARKERtable VALUES ('{MARKER}')"
        ))
        .expect("a row");
    let other = tempfile::tempdir().expect("a directory");
    let copy = other.path().join("a.db");
    super::copy_as_it_is(&path, &copy);
    assert!(beside(&copy, "-wal").exists());
    check_files(other.path(), "crashed");
    let recovered = open(&copy);
    assert_eq!(super::content(&recovered).expect("content").len(), 2);
    check_files(other.path(), "recovered");
}
