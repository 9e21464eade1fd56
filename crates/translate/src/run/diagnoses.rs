//! One diagnosis in several segments: what it is called for certain counts.

use super::Run;
use crate::FindingKind;

impl Run<'_> {
    /// A diagnosis that one DG1 calls final (DG1-6 F) is not provisional because another, of the same code, calls it a
    /// working one (W; HL7 v2.5.1 §6.5.2.6, table 0052), in whichever order they stand.
    pub(super) fn weigh_diagnoses(&mut self, same: &[(u32, u32)]) {
        for &(_, first) in same {
            let own = same.iter().filter(|(_, other)| *other == first).map(|(again, _)| *again);
            let told: Vec<(u32, usize)> = own
                .chain([first])
                .filter_map(|number| {
                    let resource = self.resources.get(number as usize)?;
                    let is_condition = resource.definition.name() == "Condition";
                    is_condition.then_some((number, resource.segment))
                })
                .collect();
            if !told.iter().any(|(_, segment)| self.is_of_type(*segment, b"F")) {
                continue;
            }
            for (number, segment) in told {
                if !self.is_of_type(segment, b"W") {
                    continue;
                }
                let root = self.root(number);
                let mut children = self.tree.children(root);
                let status = children.find(|child| {
                    let name = self.tree.node(*child).map(|node| node.name);
                    name.is_some_and(|name| self.plan.names.text(name) == "verificationStatus")
                });
                drop(children);
                let Some(status) = status else { continue };
                self.tree.remove(root, status);
                self.find_at(
                    FindingKind::ValueUnfit,
                    Self::segment_at(segment),
                    "another DG1 calls this diagnosis final (DG1-6 F): that this one calls it a working one (W) is not told",
                );
            }
        }
    }

    /// Whether a segment tells a diagnosis of this type, and not that it is deleted (DG1-21 D).
    fn is_of_type(&self, segment: usize, type_: &[u8]) -> bool {
        let rest = self.view.field(segment, 6).strip_prefix(type_);
        self.view.name(segment).is_some_and(|name| name.0 == *b"DG1")
            && rest.is_some_and(|rest| rest.first().is_none_or(|it| !it.is_ascii_alphanumeric()))
            && self.view.field(segment, 21) != b"D"
    }
}
