//! Why rows are not run.

const REASONS: &str = include_str!("../../tables/reasons.tsv");

/// One line of `tables/reasons.tsv`.
#[derive(Debug, Clone)]
pub(crate) struct Reason {
    pub(crate) table: &'static str,
    pub(crate) map: &'static str,
    pub(crate) id: &'static str,
    pub(crate) column: &'static str,
    pub(crate) text: &'static str,
    pub(crate) reason: &'static str,
}

/// The reasons in the repository.
pub(crate) fn reasons() -> Vec<Reason> {
    REASONS.lines().skip(1).filter_map(read).collect()
}

fn read(line: &'static str) -> Option<Reason> {
    let mut cells = line.split('\t');
    Some(Reason {
        table: cells.next()?,
        map: cells.next()?,
        id: cells.next()?,
        column: cells.next()?,
        text: cells.next()?,
        reason: cells.next()?,
    })
}

impl Reason {
    /// Whether it is about this cell.
    pub(crate) fn is_about(
        &self,
        table: &str,
        map: &str,
        id: &str,
        column: &str,
        text: &str,
    ) -> bool {
        let is = |own: &str, other: &str| own == "*" || own == other;
        is(self.table, table)
            && is(self.map, map)
            && is(self.id, id)
            && is(self.column, column)
            && is(self.text, text)
    }
}
