//! Numbers that a message takes from who goes on (MRG). Of one record whose number changes (ADT^A46 to A51, HL7 v2.5.1 §3.3.46
//! to §3.3.51) the number before is the way to it, and stays as an old one. Of two that become one (§3.3.40 and its like) each
//! is known by its own: one that both were told with would find either, and who is told to go on by the very number that is
//! retired would be retired.

use std::borrow::Cow;

use super::Run;
use super::naming::{Naming, Number};
use super::tree::{Leaf, NodeId};
use super::view::At;
use crate::condition::Name;
use crate::finding::FindingKind;
use crate::identity::Identity;

const MRG: Name = Name(*b"MRG");

/// Events by which a number changes, and nobody is merged.
const CHANGES: [&str; 6] = ["A46", "A47", "A48", "A49", "A50", "A51"];

/// A number and whose it is.
#[derive(PartialEq, Eq)]
struct Told<'a> {
    system: Option<Cow<'a, str>>,
    value: Cow<'a, str>,
    /// Of one without a system.
    whose: String,
    range: Option<&'static str>,
}

impl<'a> Run<'a> {
    /// Has two records that become one keep to the numbers of their own, and nobody be merged into themselves.
    pub(super) fn part_merged(&mut self) {
        if !(0..self.view.len()).any(|segment| self.view.name(segment) == Some(MRG)) {
            return;
        }
        let event = self.view.repetitions(0, 9).next().map(|own| own.part(2));
        let event = event.map(|own| self.first_text(&own)).unwrap_or_default();
        self.is_renumbering = CHANGES.contains(&&*event);
        let mut naming = self.naming();
        for index in 0..self.resources.len() {
            let Some(own) = self.resources.get(index).filter(|own| !own.is_dropped) else {
                continue;
            };
            let (root, segment, name) = (own.root, own.segment, own.definition.name());
            let is_retired = self.view.name(segment) == Some(MRG);
            match name {
                "Patient" if is_retired => self.part_patients(index, root, segment, &mut naming),
                "Account" if is_retired => self.part_accounts(index, root, segment, &mut naming),
                "Patient" | "Account" | "Encounter" => self.drop_unchanged(root, name, &mut naming),
                _ => {}
            }
        }
    }

    fn part_patients(&mut self, index: usize, root: NodeId, segment: usize, naming: &mut Naming) {
        let Some((survivor, link)) = self.linked(root) else { return };
        let own_root = self.root(survivor);
        let retired = self.told(root, "Patient", naming);
        let own = self.told(own_root, "Patient", naming);
        let (shared, left): (Vec<_>, Vec<_>) =
            own.iter().partition(|(_, own)| retired.iter().any(|(_, other)| own == other));
        if shared.is_empty() {
            return;
        }
        // PID-3 tells who it is; where it tells nothing, PID-2 and PID-4.
        let is_of = |numbers: &[&(NodeId, Told<'a>)], fields: &[u64]| {
            numbers.iter().any(|(node, _)| fields.contains(&self.instance(*node)))
        };
        let is_known = is_of(&left, &[2]) || !is_of(&shared, &[2]) && is_of(&left, &[1, 3]);
        if is_known {
            let nodes: Vec<NodeId> = shared.iter().map(|(node, _)| *node).collect();
            let of_retired =
                retired.iter().filter(|(_, own)| shared.iter().any(|(_, it)| it == own));
            self.shared.extend(of_retired.map(|(node, _)| *node));
            for node in nodes {
                self.tree.remove(own_root, node);
            }
            self.has_removed = true;
            let patient = self.resources.get(survivor as usize).map_or(segment, |own| own.segment);
            self.find_at(
                FindingKind::ValueUnfit,
                At::of_field(patient, 3),
                "a number that MRG retires: the retired record has it, and not the one that goes on",
            );
            return;
        }
        if let Some(own) = self.resources.get_mut(index) {
            own.is_dropped = true;
        }
        self.has_removed = true;
        let retired = u32::try_from(index).unwrap_or(u32::MAX);
        let back: Vec<NodeId> = self.links(own_root, link, retired);
        for link in back {
            self.tree.remove(own_root, link);
        }
        self.find_at(
            FindingKind::ValueUnfit,
            Self::segment_at(segment),
            "who goes on has no number but those that are retired here: nobody is merged, and no record is put out of use",
        );
    }

    /// The patient that a retired record is replaced by, and what links are called.
    fn linked(&self, root: NodeId) -> Option<(u32, u16)> {
        let name = self.plan.names.find("link")?;
        let other = self.plan.names.find("other")?;
        let link = self.tree.find(root, name)?;
        match self.tree.leaf(self.tree.find(link, other)?) {
            Leaf::Reference(survivor) => Some((*survivor, name)),
            _ => None,
        }
    }

    /// The links to a resource.
    fn links(&self, root: NodeId, name: u16, to: u32) -> Vec<NodeId> {
        let Some(other) = self.plan.names.find("other") else { return Vec::new() };
        let is_it = |link: &NodeId| {
            self.tree.node(*link).is_some_and(|own| own.name == name)
                && self.tree.find(*link, other).map(|own| self.tree.leaf(own))
                    == Some(&Leaf::Reference(to))
        };
        self.tree.children(root).filter(is_it).collect()
    }

    fn part_accounts(&mut self, index: usize, root: NodeId, segment: usize, naming: &mut Naming) {
        let retired = self.told(root, "Account", naming);
        let others: Vec<NodeId> = self
            .resources
            .iter()
            .filter(|own| !own.is_dropped && own.definition.name() == "Account")
            .map(|own| own.root)
            .filter(|own| *own != root)
            .collect();
        let is_told = |(_, number): &(NodeId, Told<'a>), naming: &mut Naming| {
            others.iter().any(|other| {
                self.told(*other, "Account", naming).iter().any(|(_, own)| own == number)
            })
        };
        if !retired.iter().any(|number| is_told(number, naming)) {
            return;
        }
        if let Some(own) = self.resources.get_mut(index) {
            own.is_dropped = true;
        }
        self.has_removed = true;
        self.find_at(FindingKind::ValueUnfit, At::of_field(segment, 3), ITSELF);
    }

    /// A number of before that stands as it was (A48 changes PID-4, and MRG-1 repeats PID-3) is no old one.
    fn drop_unchanged(&mut self, root: NodeId, name: &'static str, naming: &mut Naming) {
        let current = self.told(root, name, naming);
        let mut old = Vec::new();
        for node in self.prior(root) {
            old.extend(self.numbered_by(node, name, naming).map(|own| (node, own)));
        }
        for (node, own) in &old {
            if !current.iter().any(|(_, other)| other == own) {
                continue;
            }
            self.tree.remove(root, *node);
            self.has_removed = true;
            if !self.is_renumbering && name == "Encounter" {
                let prior = (0..self.view.len()).find(|at| self.view.name(*at) == Some(MRG));
                let at = At::of_field(prior.unwrap_or_default(), 5);
                self.find_at(FindingKind::ValueUnfit, at, ITSELF);
            }
        }
    }

    /// The numbers that a resource has now.
    fn told(&self, root: NodeId, name: &str, naming: &mut Naming) -> Vec<(NodeId, Told<'a>)> {
        let prior = self.prior(root);
        let mut numbers = Vec::new();
        for node in self.identifiers_of(root).filter(|own| !prior.contains(own)) {
            numbers.extend(self.numbered_by(node, name, naming).map(|own| (node, own)));
        }
        numbers
    }

    fn numbered_by(&self, node: NodeId, name: &str, naming: &mut Naming) -> Option<Told<'a>> {
        let known = &self.plan.well_known;
        let value = self.member_text(node, known.value)?;
        let system = self.member_text(node, known.system);
        let (whose, range) = match system {
            Some(_) => (String::new(), None),
            None => (self.assigner(node, naming, 0), self.range_of(name, node)),
        };
        Some(Told { system, value, whose, range })
    }

    fn identifiers_of(&self, root: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        let identifier = self.plan.well_known.identifier;
        let is_it =
            move |own: &NodeId| self.tree.node(*own).is_some_and(|node| node.name == identifier);
        self.tree.children(root).filter(is_it)
    }

    /// The numbers of before, which MRG told.
    fn prior(&self, root: NodeId) -> Vec<NodeId> {
        self.identifiers_of(root).filter(|own| matches!(self.instance(*own), 21..=23)).collect()
    }

    /// The numbers of before that its own number may have taken the place of: of PID-3 those of MRG-1.
    fn before(&self, root: NodeId, name: &str, number: NodeId) -> Vec<NodeId> {
        let mut prior = self.prior(root);
        if self.range_of(name, number).is_none() {
            prior.retain(|own| self.range_of(name, *own).is_none());
        }
        prior
    }

    /// The other numbers that find a record whose number changes: one that still has the number before, or has the new one already.
    /// Where these are two records, no one can say which is meant, and the update is refused.
    pub(super) fn find_by_prior(
        &self,
        root: NodeId,
        name: &str,
        number: &Number<'a>,
        identity: &mut Identity,
    ) {
        if !self.is_renumbering || !matches!(name, "Patient" | "Encounter" | "Account") {
            return;
        }
        let known = &self.plan.well_known;
        let part = |node: NodeId| {
            let value = self.member_text(node, known.value)?;
            let system = self.member_text(node, known.system)?;
            (!value.contains(char::REPLACEMENT_CHARACTER)).then_some((system, value))
        };
        let before = self.before(root, name, number.node);
        let before: Vec<_> = before.into_iter().filter_map(part).collect();
        let is_changed = |(system, _): &(Cow<'_, str>, Cow<'_, str>)| {
            before.iter().any(|(other, _)| other == system)
        };
        let prior = self.prior(root);
        let now = self
            .identifiers_of(root)
            .filter(|own| *own != number.node && !prior.contains(own))
            .filter_map(part)
            .filter(is_changed);
        let mut others: Vec<(Cow<'_, str>, Cow<'_, str>)> = now.collect();
        others.extend(before.iter().cloned());
        for (system, value) in others {
            identity.also_by(&system, &value);
        }
    }

    /// Tells of records whose number changes and that nothing looks for by the one before.
    pub(super) fn find_unsought(&mut self, identities: &[Option<Identity>]) {
        if !self.is_renumbering {
            return;
        }
        for index in 0..self.resources.len() {
            let Some(own) = self.resources.get(index).filter(|own| !own.is_dropped) else {
                continue;
            };
            let (root, name) = (own.root, own.definition.name());
            let Some(Some(identity)) = identities.get(index) else { continue };
            let Some(number) = self.by_identifier(root, name) else { continue };
            let before = self.before(root, name, number.node);
            let has_system =
                |own: &NodeId| self.tree.find(*own, self.plan.well_known.system).is_some();
            if before.is_empty() || identity.search.is_some() && before.iter().all(has_system) {
                continue;
            }
            let prior = (0..self.view.len()).find(|at| self.view.name(*at) == Some(MRG));
            self.find_at(
                FindingKind::LeftOut,
                Self::segment_at(prior.unwrap_or_default()),
                "a number of before that is not looked for without an authority: what stands under it stays there",
            );
        }
    }
}

const ITSELF: &str = "the number that is retired is the one that goes on: nothing is merged";
