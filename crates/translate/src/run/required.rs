//! What FHIR requires and the message does not say.
//!
//! A required code has the default of `tables/defaults.tsv`, where there is one. Any other required value is declared
//! unknown (data-absent-reason, R4 §2.1.5.1.2). A reference or a group can't be: without it the element around it goes,
//! and without that the resource, with a finding.

use std::sync::LazyLock;

use hashbrown::HashMap;
use pipehat_resource::definitions::{Element, Primitive, TypeDefinition, TypeKind};

use super::tree::{Child, Leaf, NodeId};
use super::{Resource, Run};
use crate::finding::FindingKind;
use crate::plan::{NO_CHOICE, NameId};

const DEFAULTS: &str = include_str!("../../tables/defaults.tsv");
pub(super) const DATA_ABSENT_REASON: &str =
    "http://hl7.org/fhir/StructureDefinition/data-absent-reason";
/// References that are dropped may make others incomplete; no chain of them is longer.
const ROUNDS_MAX: usize = 8;

static TABLE: LazyLock<HashMap<&'static str, &'static str>> = LazyLock::new(|| {
    let cells = DEFAULTS.lines().skip(1).filter_map(|line| {
        let mut cells = line.split('\t');
        Some((cells.next()?, cells.next()?))
    });
    cells.collect()
});

impl<'a> Run<'a> {
    /// Drops what says nothing, completes what lacks something, and drops what can't be completed.
    pub(super) fn complete_all(&mut self) {
        for resource in &mut self.resources {
            let stays =
                matches!(resource.definition.name(), "MessageHeader" | "Provenance" | "Bundle");
            resource.is_dropped |= !resource.has_value && !stays;
        }
        for _ in 0..ROUNDS_MAX {
            let mut dropped = false;
            for index in 0..self.resources.len() {
                let is_made = |own: &&Resource| !own.is_dropped && !own.is_taken_out;
                let Some(own) = self.resources.get(index).filter(is_made) else { continue };
                let (root, definition) = (own.root, own.definition);
                self.completing = own.segment;
                // What only led to something that is gone.
                let is_bare = !own.is_direct && !self.says(root);
                if is_bare && let Some(own) = self.resources.get_mut(index) {
                    own.is_dropped = true;
                    dropped = true;
                    continue;
                }
                if definition.name() == "Bundle" || self.is_complete(root, definition) {
                    continue;
                }
                dropped = true;
                let (segment, has_value) =
                    self.resources.get_mut(index).map_or((0, false), |own| {
                        own.is_dropped = true;
                        (own.segment, own.has_value)
                    });
                self.has_removed = true;
                let is_of_us = matches!(definition.name(), "MessageHeader" | "Provenance");
                if !is_of_us || has_value || index == 0 {
                    self.find_at(
                        FindingKind::Incomplete,
                        Self::segment_at(segment),
                        self.not_made(definition),
                    );
                }
            }
            if !dropped {
                break;
            }
        }
        if self.has_removed {
            self.drop_orphans();
        }
    }

    /// Drops what was only made to be referred to, and is not any more: what referred to it was not made, or had no room.
    fn drop_orphans(&mut self) {
        let mut references = Vec::new();
        for (from, own) in self.resources.iter().enumerate().filter(|(_, own)| !own.is_dropped) {
            self.collect_references(own.root, from, &mut references);
        }
        for _ in 0..ROUNDS_MAX {
            let mut is_referred = vec![false; self.resources.len()];
            for (from, to) in &references {
                let stays = self.resources.get(*from).is_some_and(|own| !own.is_dropped);
                if stays && let Some(mark) = is_referred.get_mut(*to as usize) {
                    *mark = true;
                }
            }
            let mut dropped = false;
            for (index, is_referred) in is_referred.into_iter().enumerate() {
                let Some(own) = self.resources.get_mut(index) else { continue };
                if is_referred || own.is_direct || own.is_dropped {
                    continue;
                }
                own.is_dropped = true;
                dropped = true;
                let (segment, name) = (own.segment, own.definition.name());
                // Its places went with it.
                if self.unnamed.contains(&segment) {
                    continue;
                }
                let text =
                    format!("{name}: nothing that was made refers to it, so it was not made");
                self.find_at(FindingKind::Incomplete, Self::segment_at(segment), text);
            }
            if !dropped {
                break;
            }
        }
    }

    /// What an element of the resource `from` refers to.
    fn collect_references(&self, node: NodeId, from: usize, references: &mut Vec<(usize, u32)>) {
        if let Leaf::Reference(resource) = *self.tree.leaf(node) {
            references.push((from, resource));
        }
        for child in self.tree.children(node) {
            self.collect_references(child, from, references);
        }
    }

    /// Whether an element says anything that stays.
    pub(super) fn says(&self, node: NodeId) -> bool {
        let own = match self.tree.leaf(node) {
            Leaf::None => false,
            Leaf::Reference(resource) => {
                self.resources.get(*resource as usize).is_some_and(|own| !own.is_dropped)
            }
            _ => true,
        };
        own || self.tree.children(node).any(|child| self.says(child))
    }

    /// Completes an element; whether it has all it must have.
    fn is_complete(&mut self, node: NodeId, definition: &'static TypeDefinition) -> bool {
        let mut choices: Option<(u16, u16)> = None;
        let mut has_two_choices = false;
        let mut next = self.tree.first_child(node);
        while let Some(child) = next {
            next = self.tree.next_sibling(child);
            let Some(own) = self.tree.node(child) else { break };
            let (name, choice, type_of_child) = (own.name, own.choice, own.definition);
            if choice != NO_CHOICE {
                has_two_choices |= choices.is_some_and(|(other, _)| other != name);
                choices = Some((name, choice));
            }
            let is_bare = self.tree.first_child(child).is_none();
            // A value without parts lacks nothing.
            if !is_bare && self.says(child) && !self.is_complete(child, type_of_child) {
                self.tree.remove(node, child);
                self.has_removed = true;
                if !matches!(
                    type_of_child.name(),
                    "Extension" | "SampledData" | "Provenance.agent" | "ContactPoint"
                ) {
                    let at = Self::segment_at(self.completing);
                    let text = self.not_made(type_of_child);
                    self.find_at(FindingKind::Incomplete, at, text);
                }
            }
        }
        if has_two_choices {
            self.one_choice_each(node);
        }
        if !self.keeps_invariants(node, definition) {
            return false;
        }
        let plan = self.plan;
        let lacking = plan.requirements.of(definition).iter().find(|required| {
            let is_there = required.members.iter().any(|name| self.has_member(node, *name));
            !is_there && !self.supply(node, definition, required.element)
        });
        self.lacking = lacking.map(|required| required.element.name());
        lacking.is_none()
    }

    /// What was not made, and what it would have lacked.
    fn not_made(&self, definition: &TypeDefinition) -> String {
        let name = definition.name();
        self.lacking.map_or_else(
            || format!("{name} would lack what FHIR requires, and was not made"),
            |element| {
                format!("{name} would lack its {element}, which FHIR requires, and was not made")
            },
        )
    }

    /// Whether a member says anything.
    pub(super) fn has_member(&self, node: NodeId, name: NameId) -> bool {
        let mut children = self.tree.children(node);
        children.any(|child| {
            self.tree.node(child).is_some_and(|own| own.name == name) && self.says(child)
        })
    }

    /// Of a choice, the first value counts.
    fn one_choice_each(&mut self, node: NodeId) {
        let mut seen: Vec<(u16, u16)> = Vec::new();
        let children: Vec<NodeId> = self.tree.children(node).collect();
        for child in children {
            let Some(own) = self.tree.node(child).filter(|own| own.choice != NO_CHOICE) else {
                continue;
            };
            let (name, choice) = (own.name, own.choice);
            if !self.says(child) {
                continue;
            }
            match seen.iter().find(|(_, same)| *same == choice) {
                Some((other, _)) if *other != name => {
                    self.tree.remove(node, child);
                    self.has_removed = true;
                    self.find_at(
                        FindingKind::ValueUnfit,
                        Self::segment_at(self.completing),
                        format!(
                            "{} and {} can't both be told: the latter is left out",
                            self.plan.names.text(*other),
                            self.plan.names.text(name)
                        ),
                    );
                }
                Some(_) => {}
                None => seen.push((name, choice)),
            }
        }
    }

    /// Puts a default or a data-absent-reason; false where neither can stand.
    fn supply(
        &mut self,
        node: NodeId,
        definition: &'static TypeDefinition,
        element: &'static Element,
    ) -> bool {
        let Some(own) = element.types().first() else { return false };
        let name = if element.is_choice() { own.member() } else { element.name() };
        // Names that no table uses have no number; none of them is required of what tables make.
        let Some(id) = self.plan.names.find(name) else { return false };
        let path = format!("{}.{}", definition.name(), element.name());
        let own = own.definition();
        let child = Child {
            name: id,
            is_list: element.is_list(),
            is_primitive: own.primitive().is_some(),
            definition: own,
            choice: NO_CHOICE,
            label: 0,
        };
        if let Some(text) = TABLE.get(path.as_str()) {
            let text = match *text {
                "@now" => match self.message_time(own.primitive().unwrap_or(Primitive::DateTime)) {
                    Some(text) => text.into(),
                    None => return self.absent(node, child, own),
                },
                text => text.into(),
            };
            let added = self.tree.child(node, child);
            self.tree.set_leaf(added, Leaf::Text(text));
            return true;
        }
        self.absent(node, child, own)
    }

    pub(super) fn absent(
        &mut self,
        node: NodeId,
        child: Child,
        own: &'static TypeDefinition,
    ) -> bool {
        if own.kind() == TypeKind::Backbone
            || matches!(own.name(), "Reference" | "Extension" | "Resource")
        {
            return false;
        }
        // Extension.url and the like carry no extensions.
        if own.primitive() == Some(Primitive::Uri)
            && matches!(self.plan.names.text(child.name), "url")
        {
            return false;
        }
        let added = self.tree.child(node, child);
        let extension = Child {
            name: self.plan.well_known.extension,
            is_list: true,
            is_primitive: false,
            definition: self.types.extension,
            choice: NO_CHOICE,
            label: 0,
        };
        let extension = self.tree.append(added, extension);
        let url = self.text_child(self.plan.well_known.url);
        let url = self.tree.child(extension, url);
        self.tree.set_leaf(url, Leaf::Text(DATA_ABSENT_REASON.into()));
        let code = self.text_child(self.plan.well_known.value_code);
        let code = self.tree.child(extension, code);
        self.tree.set_leaf(code, Leaf::Text("unknown".into()));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_of_required_elements() {
        assert!(!TABLE.is_empty());
        for path in TABLE.keys() {
            let (name, element) = path.rsplit_once('.').expect("an element");
            let own = TypeDefinition::named(name).unwrap_or_else(|| panic!("no type {name}"));
            let element = own.element_named(element).unwrap_or_else(|| panic!("no {path}"));
            assert!(element.min() > 0, "{path}");
        }
    }
}
