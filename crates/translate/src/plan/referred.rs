//! What resources of a message can refer to, by type: whoever may not write one of these fails at a message that says it.

use std::collections::BTreeSet;

use super::{Action, DatatypeRule, MessageMap, Plan, ReferenceTo, Rule, SlotRef, Step};

/// Pairs of resource types: what refers, and to what.
type References = BTreeSet<(&'static str, &'static str)>;

impl Plan {
    /// All that rows of this map, and of the maps that they lead to, make refer to each other.
    pub(crate) fn references(&self, map: &MessageMap) -> BTreeSet<(&'static str, &'static str)> {
        let mut walk = Walk { plan: self, found: References::new(), seen: BTreeSet::new() };
        for row in &map.rows {
            let slot = SlotRef::Slot(row.slot);
            let Some(root) = type_of(map, slot) else { continue };
            let holder = walk.along(root, &row.path);
            if let Some(segment) = row.map.and_then(|number| self.segments.get(number as usize)) {
                segment.runs.iter().for_each(|run| walk.rules(holder, &run.rules));
            }
            for reference in &row.references {
                let ReferenceTo::Resource(to) = reference.to else { continue };
                let (from, to) = (type_of(map, reference.from), type_of(map, to));
                if let Some((from, to)) = from.zip(to) {
                    let from = walk.along(from, &reference.path);
                    walk.found.insert((from, to));
                }
            }
        }
        walk.found
    }
}

fn type_of(map: &MessageMap, slot: SlotRef) -> Option<&'static str> {
    match slot {
        SlotRef::Slot(number) => Some(map.slots.get(usize::from(number))?.resource.name()),
        SlotRef::Latest(definition) => Some(definition.name()),
    }
}

struct Walk<'p> {
    plan: &'p Plan,
    found: References,
    /// Datatype maps, each by the type that its value stands in.
    seen: BTreeSet<(&'static str, u32)>,
}

impl Walk<'_> {
    /// The resource that a path from this one ends in.
    fn along(&mut self, mut holder: &'static str, path: &[Step]) -> &'static str {
        for step in path {
            if let Step::Resource(definition) = step {
                self.found.insert((holder, definition.name()));
                holder = definition.name();
            }
        }
        holder
    }

    fn rules(&mut self, holder: &'static str, rules: &[Rule]) {
        for rule in rules {
            let holder = self.along(holder, &rule.path);
            if let Action::Datatype(DatatypeRule { map, .. }) = rule.action
                && self.seen.insert((holder, map))
                && let Some(datatype) = self.plan.datatypes.get(map as usize)
            {
                self.rules(holder, &datatype.rules);
                // Places of a place are of its own type.
                if !datatype.links.is_empty() {
                    self.found.insert((holder, holder));
                }
            }
        }
    }
}
