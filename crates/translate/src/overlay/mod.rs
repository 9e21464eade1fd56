//! What a site adds to the tables: a YAML file of the project, checked like its channels.
//!
//! ```yaml
//! systems: { GOOD: https://good.example/id/mrn }        # assigning authorities
//! coding_systems: { L: https://good.example/codes }     # names of coding systems
//! codes:
//!   AdministrativeSex: { W: female, D: { code: other, system: "http://hl7.org/fhir/administrative-gender" } }
//! segments:
//!   ZPD[Patient]:
//!     - { field: ZPD-2, to: "extension[1].url", assign: '"https://good.example/ward"' }
//!     - { field: ZPD-2, to: "extension[1].valueString", when: IF ZPD-2 VALUED }
//! messages:
//!   ADT_A01:
//!     - { segment: ZPD, resource: "Patient[1]", map: "ZPD[Patient]" }
//! drop:
//!   - { map: "PID[Patient]", field: PID-19 }
//! ```
//!
//! Rows have the columns of the tables (`tables/README.md`) by the names a reader knows. They stand behind the tables'
//! own, so that of two that write the same element the site's counts. What can't be read is an error at its place.

mod explain;
mod read;

use std::collections::BTreeSet;
use std::sync::Arc;

use pipehat_config::{Diagnostic, Diagnostics, Node, Span};

use crate::plan::{Plan, compile};
use crate::table::{self, Row, RowTable};

/// What a site adds to the tables, compiled with them.
#[derive(Debug, Clone)]
pub struct Overlay {
    plan: Arc<Plan>,
    names_authorities: bool,
}

/// A row of an overlay, and where it stands.
struct Added {
    row: Row,
    span: Span,
    /// The cells' own places, by their columns.
    cells: Vec<(&'static str, Span)>,
}

impl Added {
    fn span_of(&self, column: &str) -> &Span {
        self.cells.iter().find(|(own, _)| *own == column).map_or(&self.span, |(_, span)| span)
    }
}

/// Rows that are taken out.
struct Dropped {
    map: String,
    id: String,
    attr: Option<String>,
    span: Span,
}

/// The map of assigning authorities.
const AUTHORITIES: &str = "AssigningAuthority";

impl Overlay {
    /// Whether it says the system of an assigning authority.
    pub fn names_authorities(&self) -> bool {
        self.names_authorities
    }

    /// Reads an overlay and compiles it with the tables. `None` where it has an error; all are reported.
    pub fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        let before = diagnostics.errors();
        let (mut rows, _) = table::rows();
        let (added, dropped) = read::read(node, &rows, diagnostics)?;
        for drop in &dropped {
            let is_meant = |row: &Row| {
                row.map() == drop.map
                    && row.id() == drop.id
                    && drop.attr.as_deref().is_none_or(|attr| row.cell("attr") == attr)
            };
            if !rows.iter().any(is_meant) {
                diagnostics.push(explain::nothing_dropped(drop, &rows));
            }
            rows.retain(|row| !is_meant(row));
        }
        let of_messages = rows.iter().filter(|row| row.table == RowTable::Messages);
        let tables: BTreeSet<String> = of_messages.map(|row| row.map().to_owned()).collect();
        rows.extend(added.iter().map(|added| added.row.clone()));
        let plan = compile(&rows);
        for unread in &plan.unread {
            let Some(added) = unread.overlay.and_then(|number| added.get(number)) else { continue };
            diagnostics.push(explain::unread(unread, added.span_of(unread.column), &rows));
        }
        for added in added.iter().filter(|added| added.row.table == RowTable::Messages) {
            if let Some(diagnostic) = explain::group(&added.row, added.span_of("id")) {
                diagnostics.push(diagnostic);
            }
            if added.row.cell("segment_map").is_empty() && added.row.cell("references").is_empty() {
                let text = "the row does nothing: it has neither `map` nor `references`";
                diagnostics.push(Diagnostic::error("overlay.row", &added.span, text));
            }
        }
        for added in &added {
            let found = match added.row.table {
                RowTable::Messages => explain::structure(&added.row, &added.span, &tables),
                RowTable::Segments => explain::url(&added.row, added.span_of("attr"), &rows),
                RowTable::Codesystems => {
                    explain::code(&added.row, added.span_of("fcode"), &plan, &rows)
                }
                RowTable::Datatypes => None,
            };
            found.into_iter().for_each(|found| diagnostics.push(found));
        }
        let has_error = diagnostics.errors() > before;
        if !has_error {
            let of_segments = added.iter().filter(|added| added.row.table == RowTable::Segments);
            let unused =
                of_segments.filter_map(|added| explain::unused(&added.row, &added.span, &rows));
            unused.for_each(|unused| diagnostics.push(unused));
        }
        let names_authorities = added.iter().any(|added| {
            added.row.table == RowTable::Codesystems && added.row.map() == AUTHORITIES
        });
        (!has_error).then(|| Self { plan: Arc::new(plan), names_authorities })
    }

    pub(crate) fn plan(&self) -> Arc<Plan> {
        Arc::clone(&self.plan)
    }
}

#[cfg(test)]
mod tests;
