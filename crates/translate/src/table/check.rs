//! Whether every row is run or has a reason, and every reason and correction is needed.

use std::fmt::Write;

use hashbrown::HashSet;
use pipehat_dictionary::{NodeKind, Structure, Version};

use super::{reasons, rows};
use crate::condition::Name;
use crate::plan::{MessageMap, Unread, compile};
use crate::run::structure;

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
    /// Rows of message maps at places that no version's structure has.
    pub misplaced: Vec<String>,
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
    check.misplaced = plan.messages.iter().flat_map(misplaced).collect();
    check
}

/// Rows of a map at places that no version's structure has: they would never run, or in the wrong group.
fn misplaced(map: &MessageMap) -> Vec<String> {
    if structure(map).is_none() {
        return vec![format!("{}: no structure", map.name)];
    }
    let mut places = Places::default();
    for structure in Version::ALL.iter().filter_map(|version| version.structure(&map.structure)) {
        places.add(structure);
    }
    let mut lines: Vec<String> = map
        .places
        .keys()
        .filter_map(|(group, segment)| {
            let group = map.group_path(*group);
            let stands = places.segments.contains(&(group.clone(), *segment));
            // A segment of a later or an earlier version, and those of a query's own answer.
            let is_added = places.groups.contains(&group)
                && !places.segments.iter().any(|(_, own)| own == segment);
            let stands = stands || is_added;
            (!stands).then(|| {
                let known = places.segments.iter().filter(|(_, own)| own == segment);
                let mut known: Vec<_> = known.map(|(group, _)| group.as_str()).collect();
                known.sort_unstable();
                let segment = String::from_utf8_lossy(&segment.0);
                format!("{}: {segment} in {group:?}, but only in {known:?}", map.name)
            })
        })
        .collect();
    lines.sort();
    lines
}

/// The paths of a structure's groups in all versions, and of the message itself; nothing where there is no structure.
pub(crate) fn group_paths(structure: &str) -> Option<HashSet<String>> {
    let mut places = Places::default();
    for structure in Version::ALL.iter().filter_map(|version| version.structure(structure)) {
        places.add(structure);
    }
    (!places.groups.is_empty()).then_some(places.groups)
}

/// What stands where in a structure.
#[derive(Default)]
struct Places {
    segments: HashSet<(String, Name)>,
    groups: HashSet<String>,
}

impl Places {
    fn add(&mut self, structure: Structure) {
        self.groups.insert(String::new());
        let mut around: Vec<(usize, String)> = Vec::new();
        for (index, node) in structure.nodes().enumerate() {
            around.retain(|(last, _)| *last >= index);
            let outer = around.last().map(|(_, path)| path.clone()).unwrap_or_default();
            match node.kind() {
                NodeKind::Group(name) => {
                    let dot = if outer.is_empty() { "" } else { "." };
                    let path = format!("{outer}{dot}{name}");
                    self.groups.insert(path.clone());
                    around.push((index + node.descendants(), path));
                }
                NodeKind::Segment(name) => {
                    self.segments.extend(Name::parse(name.as_str()).map(|name| (outer, name)));
                }
                NodeKind::AnySegment | NodeKind::Choice => {}
            }
        }
    }
}

fn line(unread: &Unread) -> String {
    let Unread { table, map, id, column, text, problem, .. } = unread;
    let mut line = String::new();
    // Writing to a String does not fail.
    let _ = write!(line, "{}\t{map}\t{id}\t{column}\t{text}\t{problem}", table.name());
    line
}
