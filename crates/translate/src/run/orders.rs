//! Several orders under one number.
//!
//! An OBR says what is ordered (OBR-4); placer and filler may give several of them one number. The first is the request
//! found by that number. Each further one with another code is a request of its own, which carries the number as its
//! `requisition` (R4: the identifier shared by all requests of one act of ordering), so that who looks for the number
//! still finds one; it is found by its requisition and its code. So it is with drugs (RXE-2), in `groupIdentifier`, and with
//! vaccinations (RXA-5, and when), which have no such element: there the first has the number.

use uuid::Uuid;

use super::Run;
use super::naming::Naming;
use super::tree::{Child, Leaf, NodeId};
use super::view::At;
use crate::condition::Name;
use crate::finding::FindingKind;
use crate::identity::Identity;
use crate::plan::{NO_CHOICE, NameId};

/// The request found by a number.
struct First {
    id: Uuid,
    resource: u32,
    code: Option<Code>,
}

/// What is ordered: the first coding, else the text.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Code {
    system: String,
    code: String,
    text: String,
}

impl<'a> Run<'a> {
    /// Gives further orders under a known number a name of their own.
    pub(super) fn split_orders(&mut self, naming: &mut Naming) {
        let mut firsts: Vec<First> = Vec::new();
        let mut split: Vec<(u32, u32)> = Vec::new();
        for index in 0..self.resources.len() {
            let Some(own) = self.resources.get(index).filter(|own| !own.is_dropped) else {
                continue;
            };
            let (root, segment) = (own.root, own.segment);
            let group = match own.definition.name() {
                "ServiceRequest" => Some("requisition"),
                "MedicationRequest" => Some("groupIdentifier"),
                "Immunization" => None,
                _ => continue,
            };
            let Some(id) = naming.identities.get(index).and_then(Option::as_ref).map(|own| own.id)
            else {
                continue;
            };
            let resource = u32::try_from(index).unwrap_or(u32::MAX);
            let code = self.ordered_code(root);
            let Some(first) = firsts.iter_mut().find(|first| first.id == id) else {
                firsts.push(First { id, resource, code });
                continue;
            };
            let Some(code) = code else { continue };
            match &first.code {
                None => first.code = Some(code),
                Some(known) if *known == code => {
                    let first = first.resource;
                    if group == Some("requisition") {
                        self.find_other_parent(segment, first);
                    }
                }
                Some(_) => {
                    split.push((resource, first.resource));
                    let first = self.root(first.resource);
                    let identity = self.requisition(root, first, group, id, &code);
                    let told = match group {
                        Some("requisition") => None,
                        Some(_) => Some(
                            "the number is the one of another drug before, which is found by it",
                        ),
                        None => Some(
                            "the number is the one of another vaccination before, which has it",
                        ),
                    };
                    if let Some(text) = told {
                        self.find_at(FindingKind::ValueUnfit, Self::segment_at(segment), text);
                    }
                    if let Some(place) = naming.identities.get_mut(index) {
                        *place = Some(identity);
                    }
                }
            }
        }
        if !split.is_empty() {
            self.base_on_first(&split);
        }
    }

    /// Tells of an order that follows from another one than the order before that has its number: the number finds one request,
    /// which so has the parents of both. The reports are two.
    fn find_other_parent(&mut self, segment: usize, first: u32) {
        let Some(before) = self.resources.get(first as usize).map(|own| own.segment) else {
            return;
        };
        let parent = |segment: usize| {
            self.nearest(Name(*b"OBR"), segment).map(|obr| (obr, self.parent_key(obr, "filler")))
        };
        let (Some((obr, Some(own))), Some((_, Some(other)))) = (parent(segment), parent(before))
        else {
            return;
        };
        if own != other {
            let at = At::of_field(obr, 29);
            let text = "the order before of this number follows from another one: their request names both";
            self.find_at(FindingKind::Ambiguous, at, text);
        }
    }

    fn ordered_code(&self, root: NodeId) -> Option<Code> {
        let known = &self.plan.well_known;
        let named = |name| self.plan.names.find(name).and_then(|name| self.tree.find(root, name));
        let concept = match named("medicationReference").map(|own| self.tree.leaf(own)) {
            Some(Leaf::Reference(drug)) => self.tree.find(self.root(*drug), known.code)?,
            _ => named("medicationCodeableConcept")
                .or_else(|| named("vaccineCode"))
                .or_else(|| self.tree.find(root, known.code))?,
        };
        let text = self.plan.names.find("text").and_then(|name| self.leaf_text(concept, name));
        let coding = self.tree.find(concept, known.coding);
        let part =
            |name| coding.and_then(|coding| self.leaf_text(coding, name)).unwrap_or_default();
        let (code, system) = (part(known.code), part(known.system));
        let called = || coding.and_then(|coding| self.leaf_text(coding, known.display));
        let mut text = text.or_else(called).filter(|_| code.is_empty()).unwrap_or_default();
        if code.is_empty() && text.is_empty() {
            return None;
        }
        if named("vaccineCode").is_some() {
            // One vaccine is given several times.
            text.push_str(&self.begin_of(root));
        }
        Some(Code { system, code, text })
    }

    fn leaf_text(&self, node: NodeId, name: NameId) -> Option<String> {
        match self.tree.leaf(self.tree.find(node, name)?) {
            Leaf::Text(text) => Some(text.to_string()),
            _ => None,
        }
    }

    fn identifiers(&self, root: NodeId) -> Vec<(NodeId, Option<String>, String)> {
        let known = &self.plan.well_known;
        let is_identifier = |child: &NodeId| {
            self.tree.node(*child).is_some_and(|node| node.name == known.identifier)
        };
        let children = self.tree.children(root).filter(is_identifier);
        let read = children.filter_map(|child| {
            let value = self.leaf_text(child, known.value)?;
            Some((child, self.leaf_text(child, known.system), value))
        });
        read.collect()
    }

    /// Makes the number that a request shares with the first one that of its group, and says how it is found.
    fn requisition(
        &mut self,
        root: NodeId,
        first: NodeId,
        group: Option<&str>,
        id: Uuid,
        code: &Code,
    ) -> Identity {
        let firsts = self.identifiers(first);
        let shared = self.identifiers(root).into_iter().filter(|(_, system, value)| {
            firsts.iter().any(|(_, other, number)| other == system && number == value)
        });
        let mut shared: Vec<_> = shared.collect();
        // The number it is found by comes first: one with a system.
        shared.sort_by_key(|(_, system, _)| system.is_none());
        let by_key = || {
            let Code { system, code, text } = code;
            Identity::of_key(&["requisition", &id.to_string(), system, code, text])
        };
        for (node, ..) in &shared {
            self.tree.remove(root, *node);
        }
        let Some((node, system, value)) = shared.into_iter().next() else { return by_key() };
        let (Some(name), Some(definition)) = (
            group.and_then(|group| self.plan.names.find(group)),
            self.tree.node(node).map(|node| node.definition),
        ) else {
            return by_key();
        };
        if let Some(group) = self.tree.find(root, name) {
            self.tree.remove(root, group);
        }
        let child = Child {
            name,
            is_list: false,
            is_primitive: false,
            definition,
            choice: NO_CHOICE,
            label: 0,
        };
        let requisition = self.tree.append(root, child);
        self.tree.merge(requisition, node);
        match system {
            Some(system) if !code.code.is_empty() && group == Some("requisition") => {
                Identity::of_requisition((&system, &value), (&code.system, &code.code))
            }
            _ => by_key(),
        }
    }

    /// A report on a further order is based on the first as well, which the number finds.
    fn base_on_first(&mut self, split: &[(u32, u32)]) {
        let Some(name) = self.plan.names.find("basedOn") else { return };
        for index in 0..self.resources.len() {
            let Some(own) = self.resources.get(index) else { continue };
            if own.definition.name() != "DiagnosticReport" {
                continue;
            }
            let root = own.root;
            let references: Vec<NodeId> = self
                .tree
                .children(root)
                .filter(|child| self.tree.node(*child).is_some_and(|node| node.name == name))
                .collect();
            for reference in references {
                let Leaf::Reference(request) = *self.tree.leaf(reference) else { continue };
                let Some((_, first)) = split.iter().find(|(own, _)| *own == request) else {
                    continue;
                };
                let Some(definition) = self.tree.node(reference).map(|node| node.definition) else {
                    continue;
                };
                let child = Child {
                    name,
                    is_list: true,
                    is_primitive: false,
                    definition,
                    choice: NO_CHOICE,
                    label: 0,
                };
                let again = self.tree.append(root, child);
                self.tree.set_leaf(again, Leaf::Reference(*first));
            }
        }
    }
}
