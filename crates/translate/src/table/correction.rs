//! What is mended in the official rows, as data.

use hashbrown::HashMap;
use pipehat_resource::json;

use super::row::Row;

const CORRECTIONS: &str = include_str!("../../tables/corrections.jsonl");

/// One correction; `tables/README.md` says what its members mean.
#[derive(Debug, Clone)]
pub(crate) struct Correction {
    pub(crate) table: String,
    pub(crate) map: String,
    pub(crate) id: String,
    pub(crate) order: Option<String>,
    pub(crate) column: String,
    pub(crate) was: Option<String>,
    pub(crate) now: String,
    /// Other cells that the row must have.
    pub(crate) cells: Vec<(String, String)>,
}

/// The corrections in the repository.
pub(crate) fn corrections() -> Vec<Correction> {
    CORRECTIONS.lines().filter_map(read).collect()
}

fn read(line: &str) -> Option<Correction> {
    let value = json::parse(line.as_bytes()).ok()?;
    let text = |name: &str| value.text(name).map(str::to_owned);
    Some(Correction {
        table: text("table")?,
        map: text("map")?,
        id: text("id")?,
        order: text("order"),
        column: text("column")?,
        was: text("was"),
        now: text("now").unwrap_or_default(),
        cells: value
            .get("where")
            .and_then(|cells| cells.as_object())
            .into_iter()
            .flat_map(|cells| cells.iter())
            .map(|(name, text)| {
                (name.to_owned(), text.as_str().unwrap_or_default().trim().to_owned())
            })
            .collect(),
    })
}

impl Correction {
    fn is_about(&self, row: &Row) -> bool {
        self.table == row.table.name()
            && (self.map == "*" || self.map == row.map())
            && (self.id == "*" || self.id == row.id())
            && self.order.as_deref().is_none_or(|order| order == row.cell("order"))
            && self.cells.iter().all(|(name, text)| row.cell(name) == text)
    }

    /// Whether it chooses this row by what its column says. Of a row taken out, `was` is its element.
    fn applies(&self, row: &Row) -> bool {
        let column = match self.column.as_str() {
            "*" if row.table == super::RowTable::Messages => "target",
            "*" => "attr",
            column => column,
        };
        self.is_about(row) && self.was.as_deref().is_none_or(|was| was.trim() == row.cell(column))
    }
}

/// Applies corrections in their order and gives back those that changed nothing. None changes a row's map.
pub(crate) fn correct(rows: &mut Vec<Row>, corrections: Vec<Correction>) -> Vec<Correction> {
    let mut places: HashMap<String, Vec<usize>> = HashMap::new();
    for (place, row) in rows.iter().enumerate() {
        places.entry_ref(row.map()).or_default().push(place);
    }
    let all: Vec<usize> = (0..rows.len()).collect();
    let mut dropped = vec![false; rows.len()];
    let mut idle = Vec::new();
    for correction in corrections {
        let candidates = match &*correction.map {
            "*" => all.as_slice(),
            map => places.get(map).map(Vec::as_slice).unwrap_or_default(),
        };
        let mut changed = false;
        for place in candidates {
            let (Some(row), Some(dropped)) = (rows.get_mut(*place), dropped.get_mut(*place)) else {
                continue;
            };
            if *dropped || !correction.applies(row) {
                continue;
            }
            if correction.column == "*" {
                *dropped = true;
                changed = true;
            } else if row.cell(&correction.column) != correction.now.trim() {
                row.set(&correction.column, &correction.now);
                changed = true;
            }
        }
        if !changed {
            idle.push(correction);
        }
    }
    let mut dropped = dropped.into_iter();
    rows.retain(|_| !dropped.next().unwrap_or_default());
    idle
}
