//! The mapping tables as rows: official ones, our own, and what corrections make of them.
//!
//! Rows are read from JSON lines that lie in the binary; a broken line is a defect of the repository, found by tests.

mod check;
mod correction;
mod reason;
mod row;

pub(crate) use check::group_paths;
pub use check::{TableCheck, check_tables};
pub(crate) use correction::{Correction, correct, corrections};
pub(crate) use reason::reasons;
pub(crate) use row::{Row, RowTable};

use row::parse_rows;

const OFFICIAL: [(RowTable, &str); 4] = [
    (RowTable::Messages, include_str!("../../tables/official/messages.jsonl")),
    (RowTable::Segments, include_str!("../../tables/official/segments.jsonl")),
    (RowTable::Datatypes, include_str!("../../tables/official/datatypes.jsonl")),
    (RowTable::Codesystems, include_str!("../../tables/official/codesystems.jsonl")),
];
const OWN: [(RowTable, &str); 4] = [
    (RowTable::Messages, include_str!("../../tables/own/messages.jsonl")),
    (RowTable::Segments, include_str!("../../tables/own/segments.jsonl")),
    (RowTable::Datatypes, include_str!("../../tables/own/datatypes.jsonl")),
    (RowTable::Codesystems, include_str!("../../tables/own/codesystems.jsonl")),
];

/// All rows, corrected, in the order of the tables; which corrections changed nothing comes with them.
pub(crate) fn rows() -> (Vec<Row>, Vec<Correction>) {
    let mut rows = Vec::with_capacity(10_000);
    for (table, text) in OFFICIAL.into_iter().chain(OWN) {
        rows.extend(parse_rows(table, text));
    }
    let idle = correct(&mut rows, corrections());
    (rows, idle)
}
