//! Several timings of one medication: each TQ1 is a dosage of its own, with what the order says of all of them.

use pipehat_resource::definitions::TypeDefinition;

use super::Run;
use super::path::ToldAgain;
use super::tree::{Child, Leaf, NodeId};
use super::view::{At, Part};
use crate::finding::FindingKind;
use crate::plan::NO_CHOICE;

/// How a timing follows the one before it: that one's TQ1-12 (HL7 v2.5.1 §4.5.4.12, table 0472).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Conjunction {
    /// `S`
    After,
    /// `A`
    Beside,
    /// `C`: it tells when the service ends.
    Ends,
    Unsaid,
}

/// The dosages of one resource, with the segments that tell them.
struct Dosages {
    resource: NodeId,
    /// The row that says how they follow each other.
    origin: u32,
    told: Vec<(NodeId, usize)>,
}

impl<'a> Run<'a> {
    /// Makes a dosage of each further timing of a medication.
    pub(super) fn tell_dosages(&mut self) {
        let Some(name) = self.plan.names.find("dosageInstruction") else { return };
        self.apart = None;
        let mut all: Vec<Dosages> = Vec::new();
        let mut copied = Vec::new();
        for ToldAgain { map, stands, first, again, segment } in self.told_again.clone() {
            let known = self.plan.conjunctions.iter().find(|(name, _)| *name == map.root.name());
            let Some((_, origin)) = known.copied().filter(|_| &map.segment.0 == b"TQ1") else {
                continue;
            };
            // Behind ORC and behind RXE it is told of the same timings.
            if self.group_of(first) != self.group_of(segment) || self.ends_the_one_before(segment) {
                continue;
            }
            let own = self.tree.find(again, name).filter(|own| !self.tree.is_empty(*own));
            let Some(own) = own else { continue };
            let place = all.iter().position(|all| all.resource == stands);
            let place = place.unwrap_or_else(|| {
                all.push(Dosages { resource: stands, origin, told: Vec::new() });
                all.len() - 1
            });
            let Some(dosages) = all.get_mut(place) else { continue };
            // What a timing says by itself is not of the others.
            let first = dosages.told.first().map_or(first, |(_, first)| *first);
            let of_first = self.tree.root(map.root);
            self.scope += 1;
            self.apply_map(map, first, of_first, u32::MAX);
            let of_first = self.tree.find(of_first, name);
            let of_first = of_first.filter(|own| !self.tree.is_empty(*own));
            let shared = self.tree.find(stands, name);
            match (of_first, shared) {
                (Some(of_first), Some(shared)) => {
                    let is_same = self.quantity(first) == self.quantity(segment)
                        && self.tree.says_all_of(of_first, own)
                        && self.tree.says_all_of(own, of_first);
                    if is_same {
                        continue;
                    }
                    self.tree.remove(again, own);
                    self.share_dosage((first, segment), shared, (of_first, own), &mut copied);
                    self.tree.adopt(stands, own);
                    if dosages.told.is_empty() {
                        dosages.told.push((shared, first));
                    }
                    dosages.told.push((own, segment));
                }
                // The first that tells a dosage.
                (_, Some(shared)) => {
                    self.tree.remove(again, own);
                    self.tree.merge_lists(shared, own);
                    dosages.told.push((shared, segment));
                }
                (_, None) => {
                    self.tree.remove(again, own);
                    self.tree.adopt(stands, own);
                    dosages.told.push((own, segment));
                }
            }
        }
        if let Some(traces) = &mut self.traces {
            traces.copy(&copied);
        }
        for dosages in all.iter().filter(|all| all.told.len() > 1) {
            self.number_dosages(&dosages.told, dosages.origin);
        }
    }

    /// Takes over what an order says of all of its dosages. A dose isn't that of a timing with a quantity of its own.
    fn share_dosage(
        &mut self,
        (first, segment): (usize, usize),
        shared: NodeId,
        (of_first, own): (NodeId, NodeId),
        copied: &mut Vec<(NodeId, NodeId)>,
    ) {
        let has_quantity = self.quantity(segment) != self.quantity(first);
        let dose = self.plan.names.find("doseAndRate");
        let children: Vec<NodeId> = self.tree.children(shared).collect();
        for child in children {
            let Some(node) = self.tree.node(child).copied() else { continue };
            let is_alike =
                |other: NodeId| self.tree.node(other).is_some_and(|own| own.name == node.name);
            let is_firsts = self.tree.children(of_first).any(|other| {
                is_alike(other) && (!node.is_list || self.tree.says_all_of(other, child))
            });
            let is_told = self.tree.children(own).any(is_alike) && !node.is_list;
            if is_firsts || is_told || self.tree.is_empty(child) {
                continue;
            }
            if has_quantity && Some(node.name) == dose {
                let at = At::of_field(segment, 2);
                let text = "not the quantity of the first timing: the order's dose is not taken for this one";
                self.find_at(FindingKind::Ambiguous, at, text);
                continue;
            }
            copied.extend(self.tree.copy(own, child));
        }
    }

    /// TQ1-2, which is 1 where it is empty.
    fn quantity(&self, segment: usize) -> &'a [u8] {
        match self.view.field(segment, 2) {
            b"1" => b"",
            other => other,
        }
    }

    /// Numbers dosages by how they follow each other, where all of it is told. Of one number they are beside each other.
    fn number_dosages(&mut self, told: &[(NodeId, usize)], origin: u32) {
        let mut number = 1_u32;
        let mut numbers = vec![number];
        for (_, segment) in told.iter().rev().skip(1).rev() {
            match self.conjunction(*segment) {
                Conjunction::After => number += 1,
                Conjunction::Beside => {}
                Conjunction::Ends | Conjunction::Unsaid => {
                    let at = At::of_field(*segment, 12);
                    let text = "doesn't say whether the next timing is after this one or beside it: the dosages have no sequence";
                    self.find_at(FindingKind::Ambiguous, at, text);
                    return;
                }
            }
            numbers.push(number);
        }
        let mut before: Vec<Part<'a>> = Vec::new();
        for ((dosage, segment), number) in told.iter().zip(numbers) {
            let sequence = self.put_sequence(*dosage, number);
            let own: Vec<Part<'a>> = self.view.repetitions(*segment, 12).collect();
            for part in &own {
                self.consumed.take_all(part.raw);
            }
            // What says where the first stands is what follows it.
            for part in if before.is_empty() { &own } else { &before } {
                self.trace(sequence, part, origin);
            }
            before = own;
        }
    }

    fn put_sequence(&mut self, dosage: NodeId, number: u32) -> NodeId {
        let definition: Option<&'static TypeDefinition> =
            self.tree.node(dosage).map(|own| own.definition);
        let Some(member) = definition.and_then(|own| own.member("sequence")) else {
            return dosage;
        };
        let child = Child {
            name: self.names.sequence,
            is_list: false,
            is_primitive: true,
            definition: member.element_type.definition(),
            choice: NO_CHOICE,
            label: 0,
        };
        let added = self.tree.child(dosage, child);
        self.tree.set_leaf(added, Leaf::Number(number.to_string().into()));
        added
    }

    /// Whether a timing is the completion time of the one before it.
    fn ends_the_one_before(&self, segment: usize) -> bool {
        let name = self.view.name(segment);
        let before = (0..segment).rev().find(|own| self.view.name(*own) == name);
        before.is_some_and(|before| self.conjunction(before) == Conjunction::Ends)
    }

    fn conjunction(&self, segment: usize) -> Conjunction {
        match self.view.field(segment, 12).trim_ascii() {
            b"S" | b"s" => Conjunction::After,
            b"A" | b"a" => Conjunction::Beside,
            b"C" | b"c" => Conjunction::Ends,
            _ => Conjunction::Unsaid,
        }
    }
}
