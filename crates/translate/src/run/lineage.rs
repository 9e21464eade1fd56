//! Which element came from where, followed while rows run and packed with the Bundle.

use std::collections::{HashMap, HashSet};

use super::Run;
use super::finish::entries_of;
use super::tree::{Leaf, NodeId};
use super::view::At;
use crate::identity::Identity;
use crate::lineage::{
    Direction, FieldPlace, LineageLimits, PackedLineage, Packer, Step, Texts, pack_word,
};
use crate::plan::Plan;

/// The most sources of one element that are compared one by one.
const COMPARED_MAX: usize = 16;

/// Where leaves came from, in the order in which they were written.
pub(super) struct Traces {
    limits: LineageLimits,
    all: Vec<Trace>,
    has_room: bool,
}

#[derive(Debug, Clone, Copy)]
struct Trace {
    node: NodeId,
    origin: u32,
    at: At,
}

impl Traces {
    pub(super) fn new(limits: LineageLimits, message_bytes: usize) -> Self {
        let capacity = (message_bytes / 8).min(4_096);
        Self { limits, all: Vec::with_capacity(capacity), has_room: true }
    }

    pub(super) fn push(&mut self, node: NodeId, at: At, origin: u32) {
        if self.all.len() < self.limits.values_max {
            self.all.push(Trace { node, origin, at });
        } else {
            self.has_room = false;
        }
    }

    /// What was copied came from where the original did.
    pub(super) fn copy(&mut self, copied: &[(NodeId, NodeId)]) {
        let mut copies: HashMap<NodeId, Vec<NodeId>> = HashMap::new();
        for (from, to) in copied {
            copies.entry(*from).or_default().push(*to);
        }
        for at in 0..self.all.len() {
            let Some(Trace { node, origin, at }) = self.all.get(at).copied() else { break };
            for to in copies.get(&node).into_iter().flatten() {
                self.push(*to, at, origin);
            }
        }
    }
}

/// Names and rules of a plan.
struct Named<'p> {
    plan: &'p Plan,
    types: &'p [&'static str],
}

impl Texts for Named<'_> {
    fn name(&self, name: u32, out: &mut Vec<u8>) {
        let names = &self.plan.names;
        match (name as usize).checked_sub(names.len()) {
            Some(place) => pack_word(self.types.get(place).copied().unwrap_or_default(), out),
            None => out.extend_from_slice(names.packed(name)),
        }
    }

    fn rule(&self, rule: u32, out: &mut Vec<u8>) {
        if let Some(origin) = self.plan.origins.get(rule as usize) {
            out.extend_from_slice(origin.packed());
        }
    }
}

/// Elements on the way to being packed.
struct Walk<'r, 'a> {
    run: &'r Run<'a>,
    traces: &'r [Trace],
    /// Of each element, its first trace, counted from 1.
    first: Vec<u32>,
    /// Of each trace, the next of the same element, counted from 1.
    next: Vec<u32>,
    packer: Packer,
    /// Of each segment's name, its number in the lineage.
    segments: Vec<([u8; 3], u32)>,
    /// Types of resources: their names stand behind those of members.
    types: Vec<&'static str>,
    steps: Vec<Step>,
    /// Of the lists in the elements around: their name and last instance.
    counts: Vec<(u16, u32)>,
    sources: Vec<FieldPlace>,
}

impl Run<'_> {
    /// Where the elements of the entries came from; none where nobody asked, or where there is more than may be.
    pub(super) fn lineage(&self, identities: &[Option<Identity>]) -> Option<PackedLineage> {
        let traces = self.traces.as_ref().filter(|traces| traces.has_room)?;
        let (first, next) = self.chains(&traces.all);
        let mut walk = Walk {
            run: self,
            traces: &traces.all,
            first,
            next,
            packer: Packer::with_room(
                Direction::ToFhir,
                true,
                traces.limits,
                (self.plan.names.len(), self.plan.origins.len()),
            ),
            segments: Vec::with_capacity(8),
            types: Vec::with_capacity(16),
            steps: Vec::with_capacity(16),
            counts: Vec::with_capacity(16),
            sources: Vec::with_capacity(8),
        };
        for (entry, (own, _)) in (0..).zip(entries_of(&self.resources, identities)) {
            let name = walk.type_name(own.definition.name());
            walk.steps.clear();
            walk.steps.push(Step { name, index: Some(entry) });
            walk.children(own.root);
            if !walk.packer.has_room() {
                return None;
            }
        }
        let Walk { packer, types, .. } = walk;
        packer.finish(&Named { plan: self.plan, types: &types })
    }

    /// The traces of each element, in their order.
    fn chains(&self, traces: &[Trace]) -> (Vec<u32>, Vec<u32>) {
        let mut first = vec![0_u32; self.tree.len()];
        let mut next = Vec::with_capacity(traces.len());
        // From the last on, so that each stands before the one that was found before it.
        let count = u32::try_from(traces.len()).unwrap_or(u32::MAX);
        for (number, trace) in (1..=count).rev().zip(traces.iter().rev()) {
            let own = first.get_mut(trace.node as usize);
            next.push(own.map_or(0, |own| std::mem::replace(own, number)));
        }
        next.reverse();
        (first, next)
    }
}

impl<'r> Walk<'r, '_> {
    fn children(&mut self, parent: NodeId) {
        let run = self.run;
        let known = self.counts.len();
        for child in run.tree.children(parent) {
            let Some(own) = run.tree.node(child) else { continue };
            if *run.tree.leaf(child) == Leaf::None && run.tree.is_empty(child) {
                continue;
            }
            let index = own.is_list.then(|| self.instance(own.name, known));
            self.steps.push(Step { name: own.name.into(), index });
            self.element(child);
            self.children(child);
            self.steps.pop();
        }
        self.counts.truncate(known);
    }

    /// Which instance of a list this is, from 0; those of one need not stand together.
    fn instance(&mut self, name: u16, known: usize) -> u32 {
        let mut counts = self.counts.iter_mut().skip(known);
        match counts.find(|(own, _)| *own == name) {
            Some((_, count)) => {
                *count = count.saturating_add(1);
                *count
            }
            None => {
                self.counts.push((name, 0));
                0
            }
        }
    }

    /// Packs an element where a value of the message went there.
    fn element(&mut self, node: NodeId) {
        let mut number = self.first.get(node as usize).copied().unwrap_or(0);
        let mut origin = None;
        self.sources.clear();
        let mut many: Option<HashSet<FieldPlace>> = None;
        while let Some(trace) = number.checked_sub(1).and_then(|at| self.traces.get(at as usize)) {
            let place = self.place(trace.at);
            origin = Some(trace.origin);
            let is_new = if self.sources.len() < COMPARED_MAX {
                !self.sources.contains(&place)
            } else {
                many.get_or_insert_with(|| self.sources.iter().copied().collect()).insert(place)
            };
            if is_new {
                self.sources.push(place);
            }
            number = self.next.get(number.saturating_sub(1) as usize).copied().unwrap_or(0);
        }
        let Some(origin) = origin else { return };
        self.packer.element(&self.steps, &self.sources, origin);
    }

    fn type_name(&mut self, name: &'static str) -> u32 {
        let known = self.types.iter().position(|own| *own == name);
        let place = known.unwrap_or_else(|| {
            self.types.push(name);
            self.types.len() - 1
        });
        u32::try_from(self.run.plan.names.len().saturating_add(place)).unwrap_or(u32::MAX)
    }

    fn place(&mut self, at: At) -> FieldPlace {
        let view = &self.run.view;
        let Some(name) = view.name(at.segment()) else {
            // What is no segment is told by its line.
            let text = format!("line {}", at.segment().saturating_add(1));
            let segment = self.packer.segment(text);
            return FieldPlace { segment, occurrence: 1, ..FieldPlace::default() };
        };
        let known = self.segments.iter().rev().find(|(own, _)| *own == name.0);
        let segment = known.map(|(_, number)| *number).unwrap_or_else(|| {
            let number = self.packer.segment(name.to_string());
            self.segments.push((name.0, number));
            number
        });
        FieldPlace {
            segment,
            occurrence: view.occurrence(at.segment()),
            field: at.field.into(),
            repetition: if at.repetition > 1 { at.repetition.into() } else { 0 },
            component: at.component.into(),
            subcomponent: at.subcomponent.into(),
        }
    }
}
