//! Reading while the writer is at work.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use super::{adt, file, open};
use crate::{
    Change, Identifier, IdentifierKind, IdentifierQuery, MessageIndex, MessageSearch, Opened,
    Order, Query, Received,
};

/// Every message has the same patient, so that each search must find all there are: an epoch being
/// closed is not seen half done.
#[test]
fn a_search_sees_whole_transactions_only() {
    const BATCH: u64 = 3;
    let directory = tempfile::tempdir().expect("directory");
    let Opened { mut index, .. } = open(&file(&directory));
    let search = index.search();
    let patient = || Identifier { kind: IdentifierKind::Patient, value: "100".into() };
    let query = Query {
        identifiers: vec![IdentifierQuery { kind: None, value: "100".into() }],
        order: Order::OldestFirst,
        limit: 500,
        ..Query::default()
    };
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let readers: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    let (mut searches, mut last) = (0, 0);
                    while !done.load(Ordering::Acquire) || searches == 0 {
                        let page = search.search(&query).expect("search");
                        let ids = page.summaries.iter().map(|summary| summary.message);
                        let count = page.summaries.len() as u64;
                        assert!(ids.eq(1..=count), "a message is missing");
                        assert!(
                            count >= last && count.is_multiple_of(BATCH),
                            "{count} after {last}"
                        );
                        last = count;
                        searches += 1;
                    }
                    searches
                })
            })
            .collect();
        for batch in 0..100 {
            let ids = batch * BATCH + 1..=(batch + 1) * BATCH;
            let changes: Vec<Change> = ids
                .map(|id| Change::Received(Received { identifiers: vec![patient()], ..adt(id) }))
                .collect();
            index.apply(&changes, (batch + 1) * BATCH).expect("apply");
        }
        done.store(true, Ordering::Release);
        for reader in readers {
            assert!(reader.join().expect("reader") > 0);
        }
    });
    assert_eq!(search.search(&query).expect("search").summaries.len(), 300);
}
