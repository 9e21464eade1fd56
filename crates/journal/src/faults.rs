//! How the journal answers to a disk that fails, tried on a disk that fails on purpose.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
        mpsc,
    },
    time::Duration,
};

use bytes::Bytes;
use tempfile::TempDir;

use crate::{
    AppendError, FileJournal, Flush, Journal, NewRecord, OpenOptions, Position, disk::Operation,
    file,
};

/// What fails at the moment.
#[derive(Clone, Default)]
struct Switch(Arc<AtomicU8>);

impl Switch {
    const FULL: u8 = 8;

    fn set(&self, operation: Option<Operation>, full: bool) {
        let operation = operation.map_or(0, |operation| match operation {
            Operation::Allocate => 1,
            Operation::Write => 2,
            Operation::Sync => 4,
        });
        self.0.store(operation | if full { Self::FULL } else { 0 }, Ordering::SeqCst);
    }

    fn check(&self, operation: Operation) -> io::Result<()> {
        let state = self.0.load(Ordering::SeqCst);
        let fails = match operation {
            Operation::Allocate => state & 1,
            Operation::Write => state & 2,
            Operation::Sync => state & 4,
        } != 0;
        match (fails, state & Self::FULL != 0) {
            (false, _) => Ok(()),
            (true, true) => Err(io::ErrorKind::StorageFull.into()),
            (true, false) => Err(io::Error::other("broken")),
        }
    }
}

fn open(directory: &TempDir, switch: &Switch) -> FileJournal {
    let options =
        OpenOptions { chunk_bytes: 8192, ..OpenOptions::new(directory.path().join("journal")) };
    let switch = switch.clone();
    let fault = Arc::new(move |operation| switch.check(operation));
    file::open(options, Some(fault)).expect("opens").0
}

fn append(journal: &FileJournal, body: usize) -> Result<Position, AppendError> {
    let (sender, receiver) = mpsc::channel();
    let bodies = vec![Bytes::from(vec![7; body])];
    let records = vec![NewRecord { kind: 1, head: b"head".to_vec(), bodies }];
    let done = Box::new(move |answer| sender.send(answer).expect("the test waits"));
    journal.append(records, Flush::Now, done);
    receiver.recv_timeout(Duration::from_secs(20)).expect("an answer")
}

/// What is kept now, and after opening again.
fn check_kept(directory: &TempDir, journal: FileJournal, expected: u64) {
    let count = |journal: &FileJournal| {
        let records = journal.read(Position::FIRST);
        records.inspect(|entry| assert!(entry.is_ok(), "{entry:?}")).count() as u64
    };
    assert_eq!(count(&journal), expected);
    drop(journal);
    let journal = open(directory, &Switch::default());
    assert_eq!(journal.next_position().get(), expected + 1);
    assert_eq!(count(&journal), expected);
    assert!(append(&journal, 10).is_ok());
}

#[test]
fn a_full_disk_refuses_until_there_is_room() {
    for operation in [Operation::Write, Operation::Sync] {
        for body in [10, 300_000] {
            let directory = TempDir::new().expect("a temporary directory");
            let switch = Switch::default();
            let journal = open(&directory, &switch);
            assert!(append(&journal, 10).is_ok());
            for _ in 0..3 {
                switch.set(Some(operation), true);
                for _ in 0..2 {
                    let refused = append(&journal, body);
                    assert!(matches!(refused, Err(AppendError::DiskFull)), "{refused:?}");
                }
                switch.set(None, false);
                assert!(append(&journal, 10).is_ok());
            }
            check_kept(&directory, journal, 4);
        }
    }
}

#[test]
fn a_disk_without_room_for_a_chunk_refuses_and_recovers() {
    let directory = TempDir::new().expect("a temporary directory");
    let switch = Switch::default();
    let journal = open(&directory, &switch);
    switch.set(Some(Operation::Allocate), true);
    let mut kept = 0;
    while kept < 1000 && append(&journal, 1000).is_ok() {
        kept += 1;
    }
    assert!(kept < 1000, "the chunk was filled up");
    assert!(matches!(append(&journal, 1000), Err(AppendError::DiskFull)));
    // What fits into the old chunk is still taken.
    let fits = append(&journal, 1).is_ok();
    switch.set(None, false);
    for _ in 0..50 {
        assert!(append(&journal, 1000).is_ok());
    }
    check_kept(&directory, journal, kept + u64::from(fits) + 50);
}

#[test]
fn after_a_failed_write_or_sync_nothing_more_is_appended() {
    for operation in [Operation::Write, Operation::Sync] {
        let directory = TempDir::new().expect("a temporary directory");
        let switch = Switch::default();
        let journal = open(&directory, &switch);
        assert!(append(&journal, 10).is_ok());
        switch.set(Some(operation), false);
        assert!(matches!(append(&journal, 10), Err(AppendError::Failed { .. })));
        switch.set(None, false);
        // The disk works again, but what it holds is not known.
        assert!(matches!(append(&journal, 10), Err(AppendError::Failed { .. })));
        assert_eq!(journal.next_position().get(), 2);
        assert_eq!(journal.read(Position::FIRST).filter(Result::is_ok).count(), 1);
        drop(journal);
        let journal = open(&directory, &Switch::default());
        // The unanswered record may have reached the disk, or not.
        let next = journal.next_position();
        assert!([2, 3].contains(&next.get()));
        assert_eq!(append(&journal, 10).expect("appends"), next);
    }
}

#[test]
fn a_chunk_that_cannot_be_made_for_another_reason_stops_the_journal() {
    let directory = TempDir::new().expect("a temporary directory");
    let switch = Switch::default();
    let journal = open(&directory, &switch);
    switch.set(Some(Operation::Allocate), false);
    let mut kept = 0;
    let error = loop {
        match append(&journal, 1000) {
            Ok(_) => kept += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, AppendError::Failed { .. }));
    switch.set(None, false);
    check_kept(&directory, journal, kept);
}
