//! Resources that a site's own segment alone made, of nobody.

use super::Run;
use crate::FindingKind;

impl Run<'_> {
    /// Tells of what a Z-segment made and nothing says whose it is: most likely the row of the overlay names another
    /// number than that of the resource it is to add to.
    pub(super) fn find_ghosts(&mut self) {
        for index in 0..self.resources.len() {
            let Some(own) = self.resources.get(index).filter(|own| !own.is_dropped) else {
                continue;
            };
            let is_own = self.view.name(own.segment).is_some_and(|name| name.0.starts_with(b"Z"));
            let whose = ["subject", "patient", "beneficiary"];
            let mut whose = whose.into_iter().filter(|name| own.definition.element(name).is_some());
            let Some(whose) = whose.next().filter(|_| is_own && own.is_direct) else { continue };
            let is_told = self.tree.children(own.root).any(|child| {
                let name = self.tree.node(child).map(|node| self.plan.names.text(node.name));
                name == Some(whose) && self.says(child)
            });
            if !is_told {
                let (name, segment) = (own.definition.name(), own.segment);
                let text = format!(
                    "this segment alone makes the {name}, and nothing says its {whose}: its row of `messages` may name \
                     another number (`{name}[…]`) than that of the {name} it is to add to"
                );
                self.find_at(FindingKind::Incomplete, Self::segment_at(segment), text);
            }
        }
    }
}
