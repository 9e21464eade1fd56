//! The walk over a message: which rows of its map run, and on which resource.

use pipehat_dictionary::{SegmentHead, Structure, Version};
use pipehat_message::SegmentName;
use pipehat_resource::definitions::TypeDefinition;

use super::parts::Parts;
use super::rule::Base;
use super::test::Here;
use super::tree::{Child, Leaf, NONE};
use super::{Filled, NO_PLACE, Run};
use crate::condition::Name;
use crate::finding::FindingKind;
use crate::plan::{MessageMap, MessageRow, ReferenceRule, ReferenceTo, SlotRef, Step};

/// Versions whose structures have the segment groups that the tables name, the likeliest first.
const GROUP_VERSIONS: [Version; 4] =
    [Version::V2_8_2, Version::V2_9_1, Version::V2_5_1, Version::V2_4];

const NTE: Name = Name(*b"NTE");
const PID: Name = Name(*b"PID");
const PV1: Name = Name(*b"PV1");

/// What begins something else than was observed before: a note behind it is not of that.
const BEGINNING: [&[u8; 3]; 9] =
    [b"PID", b"ORC", b"OBR", b"RXO", b"RXE", b"RXC", b"RXA", b"RXD", b"RXG"];

/// The structure to read a message's groups by. The tables are written for the newest versions; an older message is read
/// into the same groups, for later versions only add to them.
pub(crate) fn structure(map: &MessageMap) -> Option<Structure> {
    GROUP_VERSIONS.into_iter().find_map(|version| version.structure(&map.structure))
}

impl<'a> Run<'a> {
    /// Runs a message map.
    pub(super) fn message(&mut self, map: &'a MessageMap) {
        self.read_groups(map);
        self.slots = vec![None; map.slots.len()];
        let mut anchor = None;
        let mut patient = None;
        let mut next_group = 0;
        let mut before = 0;
        for segment in 0..self.view.len() {
            next_group = self.enter_groups(map, segment, next_group);
            self.enter_parts(map, segment);
            let Some(name) = self.view.name(segment) else { continue };
            if name != NTE {
                before = segment;
            } else if !self.is_note_there(segment, before) {
                continue;
            }
            if name == PID
                && let Some(before) = patient.replace(segment)
            {
                self.begin_further_patient(before, segment);
            }
            if map.anchors.contains(&name) {
                anchor = Some(name);
            }
            if BEGINNING.contains(&&name.0) {
                self.end_observations(map);
            }
            let group = self.group_of(segment);
            let Some(rows) = map.rows_at(group, name) else { continue };
            for row in rows {
                let Some(row) = map.rows.get(usize::from(*row)) else { continue };
                let is_here = row.follow.is_none() || row.follow == anchor;
                let is_one =
                    row.occurrence.is_none_or(|number| number == self.occurrence(segment, name));
                let is_anothers = self.has_further_patient && self.is_unbegun(map, row);
                if is_here && is_one && !is_anothers {
                    self.row(map, row, segment);
                }
            }
        }
    }

    /// A patient where the structure has one and there was one already: nothing behind it is about what was made of the first.
    fn begin_further_patient(&mut self, before: usize, segment: usize) {
        let place = |at: usize| {
            let own = self.reading.placements().get(at)?;
            Some((own.node(), own.group()))
        };
        let Some(own) = place(segment) else { return };
        if own.0.is_some() && place(before) != Some(own) {
            return;
        }
        let at = Self::segment_at(segment);
        self.find_at(
            FindingKind::ValueUnfit,
            at,
            "the structure has one patient: what stands behind is told of this one, and of no visit before",
        );
        let numbers = |segment| self.view.field(segment, 3).trim_ascii();
        if !numbers(segment).is_empty() && numbers(segment) == numbers(before) {
            return;
        }
        self.has_further_patient = true;
        // What was told since the first PID is out of sight already; of a visit the event tells, too, by MSH.
        let is_of_first = |own: &Filled| {
            let made = self.resources.get(own.resource as usize);
            made.is_some_and(|own| own.definition.name() == "Encounter")
        };
        for filled in &mut self.slots {
            *filled = filled.filter(|own| !is_of_first(own));
        }
    }

    /// Whether a row adds to a visit that no PV1 told of since: a diagnosis alone makes none.
    fn is_unbegun(&self, map: &MessageMap, row: &MessageRow) -> bool {
        let place = usize::from(row.slot);
        let is_filled = self.slots.get(place).is_some_and(Option::is_some);
        let is_visit = map.slots.get(place).is_some_and(|own| own.resource.name() == "Encounter");
        is_visit && row.map.is_some() && !is_filled && row.segment != PV1
    }

    /// Whether a note is of what it stands behind: the structure has that segment there, and a note of it. Behind others (SPM,
    /// CTI, a site's own) it is of these, and of no result before them. What is given or dispensed is more often than structures
    /// have it, each with its notes.
    fn is_note_there(&self, note: usize, before: usize) -> bool {
        let is_placed =
            |at: usize| self.reading.placements().get(at).is_none_or(|own| own.node().is_some());
        let begins = self.view.name(before).filter(|name| BEGINNING.contains(&&name.0));
        let is_dose = begins.is_some_and(|name| name.0.starts_with(b"RX"));
        is_dose || (is_placed(note) && is_placed(before))
    }

    fn end_observations(&mut self, map: &MessageMap) {
        for (slot, filled) in map.slots.iter().zip(&mut self.slots) {
            if slot.is_observation {
                *filled = None;
            }
        }
    }

    /// Which of the segments of this name in its group it is, 1-based.
    fn occurrence(&self, segment: usize, name: Name) -> usize {
        let group_at = |at: usize| self.reading.placements().get(at).map(|own| own.group());
        let own = group_at(segment);
        let is_like = |at: &usize| self.view.name(*at) == Some(name) && group_at(*at) == own;
        1 + (0..segment).filter(is_like).count()
    }

    fn read_groups(&mut self, map: &'a MessageMap) {
        let Some(structure) = structure(map) else { return };
        let view = &self.view;
        let heads = (0..view.len()).map(|segment| {
            let name = view.name(segment).and_then(|Name(name)| SegmentName::new(name));
            let control = || view.repetitions(segment, 1).next().map(|code| code.first().raw);
            let head = SegmentHead::new(name, || control().unwrap_or_default());
            if view.name(segment) == Some(PID) {
                head.with_patient(view.field(segment, 3), view.field(segment, 5))
            } else {
                head
            }
        });
        self.reading.read(structure, heads);
        self.groups = Vec::with_capacity(self.reading.groups().len());
        for (index, group) in self.reading.groups().iter().enumerate() {
            let parent = self.groups.get(group.parent()).copied().unwrap_or(0);
            let own = if index == 0 {
                0
            } else {
                let name = self.reading.group_name(index);
                // A group that the tables do not know is as the group around it.
                map.child_group(parent, name).unwrap_or(parent)
            };
            self.groups.push(own);
        }
        self.parts = Parts::of(&self.view, &self.reading, map);
        for (index, group) in self.groups.iter_mut().enumerate() {
            if self.parts.is_stray_group(&self.reading, index) {
                *group = 0;
            }
        }
    }

    /// The map's group of a segment.
    pub(super) fn group_of(&self, segment: usize) -> u16 {
        let placement = self.reading.placements().get(segment);
        placement.and_then(|own| self.groups.get(own.group())).copied().unwrap_or(0)
    }

    /// Groups that begin with this segment: what was made in an earlier occurrence is no longer meant.
    fn enter_groups(&mut self, map: &MessageMap, segment: usize, mut next: usize) -> usize {
        while let Some(group) = self.reading.groups().get(next) {
            if group.segments().start > segment {
                break;
            }
            let first = self.view.name(group.segments().start);
            let own = self.groups.get(next).and_then(|own| map.groups.get(usize::from(*own)));
            for slot in own.into_iter().flat_map(|own| &own.slots) {
                let dose = map.slots.get(usize::from(*slot)).and_then(|slot| slot.dose);
                // A dose without an ORC of its own is of the order before it.
                if dose.is_some() && dose == first {
                    continue;
                }
                if dose.is_some() {
                    self.begin_order();
                }
                if let Some(filled) = self.slots.get_mut(usize::from(*slot)) {
                    *filled = None;
                }
            }
            next += 1;
        }
        next
    }

    /// Another patient or document than the structure has room for: what was made for those before is no longer meant.
    fn enter_parts(&mut self, map: &MessageMap, segment: usize) {
        if self.parts.begins_patient(segment) {
            self.begin_order();
            for filled in &mut self.slots {
                *filled = filled.filter(|own| self.parts.is_of_all(own.segment));
            }
        } else if self.parts.begins_document(segment) {
            // The patient and the visit are of both; an order is of the document behind it.
            for (slot, filled) in map.slots.iter().zip(&mut self.slots) {
                if slot.home != 0 {
                    *filled = None;
                }
            }
        }
    }

    fn row(&mut self, map: &'a MessageMap, row: &'a MessageRow, segment: usize) {
        let here = Here { segment, field: 0, value: None, own: None };
        if row.condition.as_ref().is_some_and(|test| !self.holds(test, &here)) {
            return;
        }
        let base = Base { node: NONE, resource: u32::MAX, scope: self.scope + 1, repetition: 0 };
        let Some(own) = row.map.and_then(|map| self.plan.segments.get(map as usize)) else {
            self.scope += 1;
            for rule in &row.references {
                self.reference(map, rule, base, segment);
            }
            return;
        };
        // A row of EVN may apply a map of MSH.
        let read = if own.segment == row.segment {
            segment
        } else {
            match self.nearest(own.segment, segment) {
                Some(other) => other,
                None => return,
            }
        };
        let is_further = self.begin_dose(map, row, segment);
        let Some(resource) = self.fill(map, row, segment) else { return };
        self.note_dose(map, row, segment, resource);
        if is_further {
            self.tell_order_again(resource);
        }
        // The run's label, for the path to the map's target and for its references.
        let base = Base { scope: self.scope + 1, ..base };
        self.apply_row(row, (segment, read), resource);
        self.tell_earlier_doses(map, row, segment, resource);
        for rule in &row.references {
            self.reference(map, rule, base, segment);
        }
    }

    /// Applies a row's segment map, over the segment that it reads, to a resource.
    pub(super) fn apply_row(
        &mut self,
        row: &'a MessageRow,
        (segment, read): (usize, usize),
        resource: u32,
    ) {
        let Some(own) = row.map.and_then(|map| self.plan.segments.get(map as usize)) else {
            return;
        };
        let base =
            Base { node: self.root(resource), resource, scope: self.scope + 1, repetition: 0 };
        let (node, target) = self.path(&row.path, base, segment);
        self.segment(own, read, node, target);
        if target != resource
            && self.resources.get(target as usize).is_some_and(|own| own.has_value)
        {
            self.keep(resource);
        }
    }

    /// The resource of a row's slot, made where there is none or where the segment repeats.
    fn fill(&mut self, map: &MessageMap, row: &MessageRow, segment: usize) -> Option<u32> {
        let place = usize::from(row.slot);
        let filled = self.slots.get(place).copied().flatten();
        // A segment of the same name is another one wherever it stands: a diagnosis of the visit, and one of a charge.
        let is_again = |own: &Filled| {
            own.place == row.place
                || own.place != NO_PLACE && self.view.name(own.segment) == Some(row.segment)
        };
        if let Some(filled) = filled
            && (filled.segment == segment || !is_again(&filled))
        {
            return Some(filled.resource);
        }
        // A note is of something, and is nothing itself.
        if row.segment == NTE {
            return None;
        }
        let slot = map.slots.get(place)?;
        let resource = self.resource(slot.resource, segment, true);
        if slot.is_taken_out()
            && let Some(own) = self.resources.get_mut(resource as usize)
        {
            own.is_taken_out = true;
        }
        let filled = Filled { resource, place: row.place, segment };
        *self.slots.get_mut(place)? = Some(filled);
        Some(resource)
    }

    fn reference(&mut self, map: &MessageMap, rule: &'a ReferenceRule, base: Base, segment: usize) {
        let Some(from) = self.slotted(map, rule.from) else { return };
        let to = match &rule.to {
            ReferenceTo::Resource(slot) => match self.slotted(map, *slot) {
                Some(to) if to != from => Leaf::Reference(to),
                _ => return,
            },
            ReferenceTo::Constant(text) => Leaf::Text(text.as_ref().into()),
        };
        let from = Base { node: self.root(from), resource: from, ..base };
        let Some((last, path)) = rule.path.split_last() else { return };
        let (above, _) = self.path(path, from, segment);
        let Step::Child { name, is_list, is_primitive, definition, choice, instance, .. } = *last
        else {
            return;
        };
        let label = u64::from(base.scope) << 32 | u64::from(instance) << 16;
        let child = Child { name, is_list, is_primitive, definition, choice, label };
        if is_list && matches!(to, Leaf::Reference(_)) {
            // Each resource that is referred to is an instance of its own.
            let is_known = self.tree.children(above).any(|own| {
                self.tree.node(own).is_some_and(|node| node.name == name)
                    && *self.tree.leaf(own) == to
            });
            if !is_known {
                let node = self.tree.append(above, child);
                self.tree.set_leaf(node, to);
            }
            return;
        }
        let node = self.tree.child(above, child);
        if *self.tree.leaf(node) == Leaf::None {
            self.tree.set_leaf(node, to);
        }
    }

    fn slotted(&self, map: &MessageMap, slot: SlotRef) -> Option<u32> {
        match slot {
            SlotRef::Slot(slot) => {
                self.slots.get(usize::from(slot)).copied().flatten().map(|own| own.resource)
            }
            SlotRef::Latest(resource) => self.latest(map, resource),
        }
    }

    fn latest(&self, map: &MessageMap, resource: &TypeDefinition) -> Option<u32> {
        let filled =
            map.slots.iter().zip(&self.slots).filter(|(slot, _)| slot.resource == resource);
        filled.filter_map(|(_, filled)| filled.map(|filled| filled.resource)).max()
    }
}
