//! What the compiler does not run.

use crate::table::{Row, RowTable};

/// A cell that is not run, and why the compiler can't.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unread {
    pub(crate) table: RowTable,
    pub(crate) map: String,
    pub(crate) id: String,
    pub(crate) column: &'static str,
    pub(crate) text: String,
    /// What the compiler says of it.
    pub(crate) problem: String,
    /// Of a site's overlay: which of its rows.
    pub(crate) overlay: Option<usize>,
}

impl Unread {
    pub(super) fn new(row: &Row, column: &'static str, problem: impl Into<String>) -> Self {
        Self {
            table: row.table,
            map: row.map().to_owned(),
            id: row.id().to_owned(),
            column,
            // A line of the list must stay one.
            text: row.cell(column).replace(['\n', '\r', '\t'], " "),
            problem: problem.into(),
            overlay: row.overlay,
        }
    }
}
