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

mod read;

use std::sync::Arc;

use pipehat_config::{Diagnostic, Diagnostics, Node, Span};

use crate::plan::{Plan, compile};
use crate::table::{self, Row};

/// What a site adds to the tables, compiled with them.
#[derive(Debug, Clone)]
pub struct Overlay {
    plan: Arc<Plan>,
}

/// A row of an overlay, and where it stands.
struct Added {
    row: Row,
    span: Span,
    /// The cells' own places, by their columns.
    cells: Vec<(&'static str, Span)>,
}

/// Rows that are taken out.
struct Dropped {
    map: String,
    id: String,
    attr: Option<String>,
    span: Span,
}

impl Overlay {
    /// Reads an overlay and compiles it with the tables. `None` where it has an error; all are reported.
    pub fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        let (mut rows, _) = table::rows();
        let (added, dropped) = read::read(node, &rows, diagnostics)?;
        for drop in &dropped {
            let before = rows.len();
            rows.retain(|row| {
                row.map() != drop.map
                    || row.id() != drop.id
                    || drop.attr.as_deref().is_some_and(|attr| row.cell("attr") != attr)
            });
            if rows.len() == before {
                diagnostics.push(
                    Diagnostic::warning(
                        "overlay.nothing-dropped",
                        &drop.span,
                        "the tables have no such row",
                    )
                    .with_help("remove it, or look the map and the field up in the mapping tables"),
                );
            }
        }
        rows.extend(added.iter().map(|added| added.row.clone()));
        let plan = compile(&rows);
        let mut has_error = false;
        for unread in &plan.unread {
            let Some(added) = unread.overlay.and_then(|number| added.get(number)) else { continue };
            has_error = true;
            let cell = added.cells.iter().find(|(column, _)| *column == unread.column);
            let span = cell.map_or(&added.span, |(_, span)| span);
            let mut diagnostic = Diagnostic::error("overlay.row", span, unread.problem.clone());
            if unread.column == "antlr" {
                diagnostic = diagnostic.with_help(
                    "write `IF ZPD-2 VALUED`, `IF PV1-2 EQUALS \"I\"`, `IF X IN (\"a\", \"b\")`, with AND, OR and NOT",
                );
            }
            diagnostics.push(diagnostic);
        }
        (!has_error).then(|| Self { plan: Arc::new(plan) })
    }

    pub(crate) fn plan(&self) -> Arc<Plan> {
        Arc::clone(&self.plan)
    }
}

#[cfg(test)]
mod tests;
