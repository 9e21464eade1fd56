//! Whether every row is run or has a reason, and every reason and correction is needed.

use std::fmt::Write;

use super::{reasons, rows};
use crate::plan::{Unread, compile};

/// What is wrong with the tables; empty where nothing is. For `cargo xtask mapping` and tests.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct TableCheck {
    /// Rows that are not run and have no reason, as lines of `reasons.tsv` with what the compiler says.
    pub unread: Vec<String>,
    /// Reasons that no row needs.
    pub idle_reasons: Vec<String>,
    /// Corrections that change nothing.
    pub idle_corrections: Vec<String>,
    /// Rows of ours without a comment.
    pub unexplained: Vec<String>,
    /// How many rows are run.
    pub rows_run: usize,
    /// How many have a reason not to be.
    pub rows_reasoned: usize,
}

/// Checks the mapping tables.
pub fn check_tables() -> TableCheck {
    let (rows, idle) = rows();
    let plan = compile(&rows);
    let reasons = reasons();
    let mut needed = vec![false; reasons.len()];
    let mut check = TableCheck { rows_run: plan.origins.len(), ..TableCheck::default() };
    for unread in &plan.unread {
        let found = reasons.iter().position(|reason| {
            let Unread { table, map, id, column, text, .. } = unread;
            reason.is_about(table.name(), map, id, column, text)
        });
        match found {
            Some(place) => {
                check.rows_reasoned += 1;
                if let Some(needed) = needed.get_mut(place) {
                    *needed = true;
                }
            }
            None => check.unread.push(line(unread)),
        }
    }
    for (reason, needed) in reasons.iter().zip(needed) {
        if !needed || reason.reason.trim().is_empty() {
            check.idle_reasons.push(format!("{reason:?}"));
        }
    }
    check.idle_corrections = idle.iter().map(|correction| format!("{correction:?}")).collect();
    let ours = rows.iter().filter(|row| row.is_ours && row.table != super::RowTable::Codesystems);
    check.unexplained = ours
        .filter(|row| row.cell("comment").is_empty())
        .map(|row| format!("{} {}", row.map(), row.id()))
        .collect();
    check
}

fn line(unread: &Unread) -> String {
    let Unread { table, map, id, column, text, problem, .. } = unread;
    let mut line = String::new();
    // Writing to a String does not fail.
    let _ = write!(line, "{}\t{map}\t{id}\t{column}\t{text}\t{problem}", table.name());
    line
}
