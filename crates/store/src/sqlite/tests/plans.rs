//! No search statement reads more than it must: SQLite's own word for it.

use super::{file, open};
use crate::{
    Opened,
    sqlite::{identifiers, open::open_reader, search},
};

fn check(sql: &str, expected: &[&str]) {
    let directory = tempfile::tempdir().expect("directory");
    let Opened { index, .. } = open(&file(&directory));
    let connection = open_reader(&index.location).expect("reader");
    let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).expect("prepare");
    let parameters = statement.parameter_count();
    let steps: Vec<String> = statement
        .query_map(rusqlite::params_from_iter(vec![1; parameters]), |row| row.get(3))
        .expect("explain")
        .collect::<Result<_, _>>()
        .expect("steps");
    assert_eq!(steps, expected, "{sql}");
}

#[test]
fn every_search_statement_goes_by_a_key() {
    let rows = "SEARCH message USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)";
    check(search::ROWS_NEWEST_FIRST, &[rows]);
    check(search::ROWS_OLDEST_FIRST, &[rows]);
    check(search::ROW, &["SEARCH message USING INTEGER PRIMARY KEY (rowid=?)"]);
    check(
        identifiers::BLOCK,
        &["SEARCH identifier USING INDEX identifier_by_first (epoch=? AND first<?)"],
    );
    check(
        search::BY_DISPOSITION,
        &["SEARCH message USING COVERING INDEX message_by_disposition \
           (disposition=? AND id>? AND id<?)"],
    );
    check(
        search::BY_DELIVERY_STATE,
        &["SEARCH delivery USING COVERING INDEX delivery_by_state \
           (state=? AND message>? AND message<?)"],
    );
    check(search::DELIVERY, &["SEARCH delivery USING PRIMARY KEY (message=?)"]);
    check(
        search::EPOCHS_NEWEST_FIRST,
        &["SEARCH epoch USING INDEX sqlite_autoindex_epoch_1 (first<?)"],
    );
    check(
        search::EPOCHS_OLDEST_FIRST,
        &[
            "SEARCH epoch USING INDEX sqlite_autoindex_epoch_1 (first>? AND first<?)",
            "SCALAR SUBQUERY 1",
            "SEARCH epoch USING COVERING INDEX sqlite_autoindex_epoch_1 (first<?)",
        ],
    );
}

/// The open epoch's identifiers are not sorted: reading them through is bounded by its size.
#[test]
fn only_the_open_epoch_is_read_through() {
    check(identifiers::FRESH, &["SCAN fresh"]);
}
