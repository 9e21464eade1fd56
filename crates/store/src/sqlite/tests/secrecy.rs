//! Nothing of a message stands in the files in clear.

use std::fs;

use super::{adt, file, open};
use crate::{
    Change, Identifier, IdentifierKind, IdentifierQuery, MessageIndex, MessageSearch, Opened,
    Query, Received,
};

/// Where a marker was put and what it looks like. Long enough that it can't stand there by chance.
fn marker(number: usize) -> String {
    format!("MARKER-{number:02}-ZYXWVUTSRQ")
}

#[test]
fn no_marker_stands_in_the_files() {
    let directory = tempfile::tempdir().expect("directory");
    let Opened { mut index, .. } = open(&file(&directory));
    let search = index.search();
    let kinds = [
        IdentifierKind::Patient,
        IdentifierKind::Visit,
        IdentifierKind::Order,
        IdentifierKind::Accession,
        IdentifierKind::Custom(marker(1).as_str().into()),
    ];
    let identifiers = kinds
        .iter()
        .zip(2..)
        .map(|(kind, number)| Identifier { kind: kind.clone(), value: marker(number).into() })
        .collect();
    let received = Received {
        code: marker(7).as_str().into(),
        trigger: marker(8).as_str().into(),
        structure: marker(9).as_str().into(),
        version: marker(10).as_str().into(),
        control_id: marker(11).into(),
        sending_application: marker(12).as_str().into(),
        sending_facility: marker(13).as_str().into(),
        processing_id: marker(14).as_str().into(),
        peer: marker(15).into(),
        identifiers,
        ..adt(1)
    };
    let changes: Vec<Change> = (1..=30)
        .map(|message| Change::Received(Received { message, ..received.clone() }))
        .collect();
    let query = Query {
        identifiers: vec![IdentifierQuery { kind: None, value: marker(2).into() }],
        ..Query::default()
    };
    // Some epochs closed, one open, and a reader at work.
    for part in changes.chunks(5) {
        index.apply(part, 30).expect("apply");
        search.search(&query).expect("search");
    }
    assert_eq!(search.search(&query).expect("search").summaries.len(), 30);

    let mut files = Vec::new();
    let mut look = || {
        for entry in fs::read_dir(directory.path()).expect("directory") {
            let path = entry.expect("entry").path();
            let bytes = fs::read(&path).expect("file");
            for text in ["MARKER", "ZYXWVUTSRQ"] {
                let found = bytes.windows(text.len()).any(|window| window == text.as_bytes());
                assert!(!found, "{text} in {}", path.display());
            }
            files.push((path, bytes.len()));
        }
    };
    look();
    // The last connection to close copies the log into the database, if it may write.
    drop(search);
    drop(index);
    look();
    let seen = |suffix: &str| {
        files
            .iter()
            .any(|(path, bytes)| path.to_string_lossy().ends_with(suffix) && *bytes > 10_000)
    };
    assert!(seen(".sqlite") && seen("-wal") && seen("-shm"), "looked at {files:?}");
}

#[cfg(unix)]
#[test]
fn the_files_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;

    let directory = tempfile::tempdir().expect("directory");
    let Opened { mut index, .. } = open(&file(&directory));
    index.apply(&super::received([1]), 1).expect("apply");
    let mut files = 0;
    for entry in fs::read_dir(directory.path()).expect("directory") {
        let entry = entry.expect("entry");
        let mode = entry.metadata().expect("metadata").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", entry.path().display());
        files += 1;
    }
    assert_eq!(files, 3);
}
