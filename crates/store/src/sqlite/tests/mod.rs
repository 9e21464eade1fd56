//! The contract, and what is SQLite's own.

mod concurrency;
mod opening;
mod plans;
mod secrecy;

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::{
    Change, IndexKeys, MessageIndex, MessageSearch, Opened, Query, Received, SqliteMessageIndex,
    SqliteMessageSearch, contract::adt,
};

fn keys() -> IndexKeys {
    IndexKeys::new([1; 32], [2; 32])
}

fn file(directory: &TempDir) -> PathBuf {
    directory.path().join("messages.sqlite")
}

fn open(path: &Path) -> Opened {
    SqliteMessageIndex::open_with_epochs(path, keys(), 8).expect("open")
}

fn received(messages: impl IntoIterator<Item = u64>) -> Vec<Change> {
    messages.into_iter().map(|message| Change::Received(adt(message))).collect()
}

fn received_by(channel: &str, message: u64) -> Change {
    Change::Received(Received { channel: channel.into(), ..adt(message) })
}

fn newest(search: &SqliteMessageSearch) -> Vec<u64> {
    let page = search.search(&Query::default()).expect("search");
    page.summaries.iter().map(|summary| summary.message).collect()
}

mod contract {
    use tempfile::TempDir;

    use crate::{IndexKeys, SqliteMessageIndex, SqliteMessageSearch, contract};

    fn open(epoch_messages: u64) -> (SqliteMessageIndex, SqliteMessageSearch, TempDir) {
        let directory = tempfile::tempdir().expect("directory");
        let keys = IndexKeys::new([1; 32], [2; 32]);
        let path = super::file(&directory);
        let opened = SqliteMessageIndex::open_with_epochs(&path, keys, epoch_messages);
        let index = opened.expect("open").index;
        let search = index.search();
        (index, search, directory)
    }

    mod one_epoch {
        fn open() -> (crate::SqliteMessageIndex, crate::SqliteMessageSearch, tempfile::TempDir) {
            super::open(1_000_000)
        }
        super::contract::message_index_contract!(open);
    }

    mod many_epochs {
        fn open() -> (crate::SqliteMessageIndex, crate::SqliteMessageSearch, tempfile::TempDir) {
            super::open(4)
        }
        super::contract::message_index_contract!(open);
    }
}

#[test]
fn a_failed_transaction_leaves_the_writer_as_it_was() {
    let directory = tempfile::tempdir().expect("directory");
    let Opened { mut index, .. } = open(&file(&directory));
    let search = index.search();
    index.apply(&received(1..=5), 5).expect("apply");
    for _ in 0..3 {
        // New names, a closed epoch and new sealed texts, all rolled back.
        let mut changes: Vec<Change> = (6..=20).map(|id| received_by("new-channel", id)).collect();
        changes.push(received([u64::MAX]).remove(0));
        index.apply(&changes, 20).expect_err("the last position is out of range");
        assert_eq!((newest(&search).len(), index.through().expect("through")), (5, 5));
    }
    index.apply(&received(6..=20), 20).expect("apply");
    index.apply(&[received_by("new-channel", 21)], 21).expect("apply");
    assert_eq!(newest(&search), (1..=21).rev().collect::<Vec<u64>>());
    let summary = search.message(21).expect("message").expect("known");
    assert_eq!(&*summary.channel, "new-channel");
}

#[test]
fn writers_that_take_turns_do_not_confuse_each_other() {
    let directory = tempfile::tempdir().expect("directory");
    let path = file(&directory);
    let Opened { index: mut first, .. } = open(&path);
    let Opened { index: mut second, .. } = open(&path);
    for turn in 0..10 {
        for (index, from) in [(&mut first, turn * 20 + 1), (&mut second, turn * 20 + 11)] {
            index.apply(&received(from..from + 10), from + 9).expect("apply");
        }
    }
    let query = Query { limit: 500, ..Query::default() };
    let page = first.search().search(&query).expect("search");
    let ids = page.summaries.iter().map(|summary| summary.message);
    assert!(ids.eq((1..=200).rev()));
}

#[test]
fn what_a_search_reads_through_stays_as_small_as_an_epoch() {
    let directory = tempfile::tempdir().expect("directory");
    let Opened { mut index, .. } = open(&file(&directory));
    let reader = super::open::open_reader(&index.location).expect("reader");
    let count = |sql: &str| reader.query_row(sql, [], |row| row.get::<_, i64>(0)).expect("count");
    let (mut most_fresh, mut most_open) = (0, 0);
    for message in 1..=100 {
        index.apply(&received([message]), message).expect("apply");
        most_fresh = most_fresh.max(count("SELECT count(*) FROM fresh"));
        most_open = most_open
            .max(count("SELECT count(*) FROM message WHERE id >= (SELECT max(first) FROM epoch)"));
    }
    // Eight messages close an epoch, whose identifiers fit one block.
    assert_eq!((most_open, most_fresh), (7, 7));
    assert_eq!(count("SELECT count(*) FROM epoch"), 100 / 8 + 1);
    assert_eq!(count("SELECT count(*) FROM identifier"), 96 / 8);
}

#[test]
fn a_page_that_costs_too_much_is_continued() {
    use super::{plan::Plan, search::Walk};
    use crate::{Order, keys::Hasher};

    let directory = tempfile::tempdir().expect("directory");
    let Opened { mut index, .. } = open(&file(&directory));
    let changes: Vec<Change> =
        (1..=100).map(|id| received_by(if id % 10 == 0 { "rare" } else { "common" }, id)).collect();
    for part in changes.chunks(7) {
        index.apply(part, 100).expect("apply");
    }
    let connection = super::open::open_reader(&index.location).expect("reader");
    for (order, expected) in [
        (Order::NewestFirst, (1..=10).rev().map(|n| n * 10).collect::<Vec<i64>>()),
        (Order::OldestFirst, (1..=10).map(|n| n * 10).collect()),
    ] {
        let mut query = Query { channels: Some(vec!["rare".into()]), order, ..Query::default() };
        let (mut found, mut pages) = (Vec::new(), 0);
        loop {
            let plan = Plan::resolve(&connection, &Hasher::new(&keys()), &query).expect("plan");
            let Some(plan) = plan else { break };
            let (page, next) = Walk::new(&connection, &plan, 3).run().expect("search");
            found.extend(page);
            pages += 1;
            match next {
                Some(cursor) => query.cursor = Some(cursor),
                None => break,
            }
        }
        assert_eq!(found, expected);
        assert!(pages > 5, "{pages} pages: the cost was not bounded");
    }
}
