//! Whatever is found on disk, there is an index afterwards.

use std::{fs, path::Path};

use rusqlite::{Connection, OpenFlags};

use super::{file, keys, newest, open, received};
use crate::{
    IndexError, IndexKeys, MessageIndex, MessageSearch, Opened, Query, RebuildReason,
    SqliteMessageIndex, SqliteMessageSearch, keys::file_key,
};

fn written(path: &Path, messages: u64) {
    let Opened { mut index, .. } = open(path);
    index.apply(&received(1..=messages), messages).expect("apply");
}

/// Spoils a written index and checks that it begins empty, for this reason, and works.
fn check(spoil: impl Fn(&Path), expected: RebuildReason) {
    let directory = tempfile::tempdir().expect("directory");
    let path = file(&directory);
    written(&path, 40);
    spoil(&path);
    let Opened { mut index, rebuild } = open(&path);
    assert_eq!(rebuild, Some(expected));
    assert_eq!(index.through().expect("through"), 0);
    let search = index.search();
    assert!(newest(&search).is_empty());
    index.apply(&received(1..=3), 3).expect("apply");
    assert_eq!(newest(&search), [3, 2, 1]);
    drop((index, search));
    let Opened { index, rebuild } = open(&path);
    assert_eq!((rebuild, index.through().expect("through")), (None, 3));
}

fn edit(path: &Path, sql: &str) {
    let key = file_key(&keys());
    let database = pipehat_vault::open(path, &key, OpenFlags::default()).expect("database");
    database.execute_batch(sql).expect("sql");
}

/// An index of a release that did not seal the file.
fn in_the_clear(path: &Path) {
    fs::remove_file(path).expect("remove");
    let clear = Connection::open(path).expect("database");
    let sql = "PRAGMA application_id = 0x50686174; PRAGMA user_version = 2; CREATE TABLE state (x)";
    clear.execute_batch(sql).expect("sql");
}

/// Turns a bit of a file.
fn turn(path: &Path, at: usize) {
    let mut bytes = fs::read(path).expect("read");
    bytes[at] ^= 1;
    fs::write(path, bytes).expect("write");
}

#[test]
fn a_new_index_says_that_there_was_none() {
    let directory = tempfile::tempdir().expect("directory");
    assert_eq!(open(&file(&directory)).rebuild, Some(RebuildReason::Missing));
    assert_eq!(open(&file(&directory)).rebuild, None);
}

#[test]
fn an_index_that_is_opened_again_goes_on() {
    let directory = tempfile::tempdir().expect("directory");
    let path = file(&directory);
    for end in [5, 20, 21, 60] {
        let Opened { mut index, .. } = open(&path);
        let next = index.through().expect("through") + 1;
        index.apply(&received(next..=end), end).expect("apply");
        let search = index.search();
        let query = Query { limit: 100, ..Query::default() };
        assert_eq!(search.search(&query).expect("search").summaries.len() as u64, end);
        let summary = search.message(1).expect("message").expect("known");
        assert_eq!(summary.control_id.expose(), "C1", "sealed in the first session");
    }
}

#[test]
fn what_is_damaged_or_strange_is_replaced() {
    check(|path| fs::write(path, b"").expect("write"), RebuildReason::Damaged);
    check(|path| fs::write(path, vec![0x5A; 100_000]).expect("write"), RebuildReason::Damaged);
    check(|path| edit(path, "PRAGMA user_version = 0"), RebuildReason::Format);
    check(|path| edit(path, "PRAGMA user_version = 4"), RebuildReason::Format);
    check(|path| edit(path, "PRAGMA application_id = 7"), RebuildReason::Format);
    check(|path| edit(path, "DELETE FROM state"), RebuildReason::Damaged);
    check(|path| edit(path, "DROP TABLE state"), RebuildReason::Damaged);
    check(
        |path| {
            let keep = 4096;
            fs::OpenOptions::new()
                .write(true)
                .open(path)
                .expect("open")
                .set_len(keep)
                .expect("cut");
        },
        RebuildReason::Damaged,
    );
    check(in_the_clear, RebuildReason::Format);
    check(|path| turn(path, 3), RebuildReason::Damaged);
    check(|path| turn(path, 100), RebuildReason::Damaged);
    check(|path| turn(path, 8192 + 100), RebuildReason::Damaged);
    check(|path| fs::remove_file(path).expect("remove"), RebuildReason::Missing);
}

#[test]
fn other_keys_make_another_index() {
    for other in [IndexKeys::new([9; 32], [2; 32]), IndexKeys::new([1; 32], [9; 32])] {
        let directory = tempfile::tempdir().expect("directory");
        let path = file(&directory);
        written(&path, 3);
        let opened = SqliteMessageIndex::open(&path, other).expect("open");
        assert_eq!(opened.rebuild, Some(RebuildReason::Keys));
        // A process has a database open under one key.
        drop(opened);
        assert_eq!(open(&path).rebuild, Some(RebuildReason::Keys));
        assert_eq!(SqliteMessageIndex::open(&path, keys()).expect("open").rebuild, None);
    }
}

/// We may die between any two steps of replacing an index: a log must never meet another database.
#[test]
fn a_log_left_alone_is_not_taken_up() {
    let directory = tempfile::tempdir().expect("directory");
    let path = file(&directory);
    let log = directory.path().join("messages.sqlite-wal");
    let Opened { mut index, .. } = open(&path);
    index.apply(&received(1..=20), 20).expect("apply");
    let bytes = fs::read(&log).expect("log");
    assert!(!bytes.is_empty());
    drop(index);
    fs::rename(&path, directory.path().join("messages.sqlite-discarded")).expect("rename");
    fs::write(&log, bytes).expect("log");
    let Opened { index, rebuild } = open(&path);
    assert_eq!(rebuild, Some(RebuildReason::Missing));
    assert!(newest(&index.search()).is_empty());
    assert!(!directory.path().join("messages.sqlite-discarded").exists());
}

#[test]
fn damage_that_shows_later_is_named_and_cleared() {
    let directory = tempfile::tempdir().expect("directory");
    let path = file(&directory);
    written(&path, 40);
    let length = fs::metadata(&path).expect("metadata").len() as usize;
    let mut bytes = fs::read(&path).expect("read");
    // All but the header and the schema on the first page, and the state on the next.
    bytes[3 * 8192..].fill(0x5A);
    fs::write(&path, bytes).expect("write");
    assert!(length > 10 * 8192);
    let Opened { mut index, rebuild } = open(&path);
    assert_eq!(rebuild, None, "the first pages are sound");
    let search = index.search();
    assert!(matches!(search.search(&Query::default()), Err(IndexError::Damaged(_))));
    assert!(matches!(index.apply(&received(41..=50), 50), Err(IndexError::Damaged(_))));
    index.clear().expect("clear");
    assert_eq!(index.through().expect("through"), 0);
    index.apply(&received(1..=2), 2).expect("apply");
    assert_eq!(newest(&search), [2, 1]);
}

#[test]
fn a_place_that_can_not_be_written_is_an_error() {
    let directory = tempfile::tempdir().expect("directory");
    let nowhere = directory.path().join("missing").join("messages.sqlite");
    let refused = SqliteMessageIndex::open(&nowhere, keys());
    assert!(matches!(refused, Err(IndexError::Unavailable(_))));
}

#[test]
fn read_only_nothing_is_replaced() {
    let directory = tempfile::tempdir().expect("directory");
    let path = file(&directory);
    let read = || SqliteMessageSearch::open(&path, keys()).expect("opens");
    assert!(read().is_none(), "none is made");
    assert!(!path.exists());
    written(&path, 5);
    let (search, through) = read().expect("an index");
    assert_eq!((newest(&search), through), (vec![5, 4, 3, 2, 1], 5));
    drop(search);
    fs::write(&path, b"no database").expect("writes");
    assert!(read().is_none());
    assert_eq!(fs::read(&path).expect("reads"), b"no database");
}
