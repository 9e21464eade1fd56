//! One row of a table.

use pipehat_resource::json::{self, Value};

/// Which table a row is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum RowTable {
    Messages,
    Segments,
    Datatypes,
    Codesystems,
}

impl RowTable {
    /// The name of its file.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Messages => "messages",
            Self::Segments => "segments",
            Self::Datatypes => "datatypes",
            Self::Codesystems => "codesystems",
        }
    }
}

/// One row; cells that are empty are empty strings. `tables/README.md` says what the columns mean.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) table: RowTable,
    cells: Vec<(Box<str>, String)>,
    pub(crate) is_ours: bool,
    /// Of a site's overlay: which of its rows.
    pub(crate) overlay: Option<usize>,
}

impl Row {
    /// A row of an overlay.
    pub(crate) fn of_overlay(
        table: RowTable,
        number: usize,
        cells: Vec<(Box<str>, String)>,
    ) -> Self {
        Self { table, cells, is_ours: true, overlay: Some(number) }
    }

    /// The cell of a column.
    pub(crate) fn cell(&self, column: &str) -> &str {
        self.cells
            .iter()
            .find(|(name, _)| **name == *column)
            .map(|(_, text)| text.trim())
            .unwrap_or_default()
    }

    /// Puts another text into a column.
    pub(crate) fn set(&mut self, column: &str, text: &str) {
        match self.cells.iter_mut().find(|(name, _)| **name == *column) {
            Some((_, cell)) => text.clone_into(cell),
            None => self.cells.push((column.into(), text.to_owned())),
        }
    }

    /// The table it belongs to: `PID[Patient]`.
    pub(crate) fn map(&self) -> &str {
        self.cell("map")
    }

    /// The v2 element it is about.
    pub(crate) fn id(&self) -> &str {
        self.cell("id")
    }
}

/// The rows of a file of JSON lines.
pub(super) fn parse_rows(table: RowTable, text: &str) -> impl Iterator<Item = Row> {
    text.lines().filter(|line| !line.trim().is_empty()).filter_map(move |line| {
        let value = json::parse(line.as_bytes()).ok()?;
        let mut is_ours = false;
        let cells = value
            .as_object()?
            .iter()
            .filter_map(|(name, value)| match value {
                Value::String(text) => Some((name.into(), text.clone())),
                Value::Bool(own) => {
                    is_ours |= name == "ours" && *own;
                    None
                }
                _ => None,
            })
            .collect();
        Some(Row { table, cells, is_ours, overlay: None })
    })
}
