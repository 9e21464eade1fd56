//! Reading a message by its structure: which segment is which node, and in which group it stands.
//!
//! Segments go in by their names, a [`Placement`] for each comes out, in the order of the message; the segment groups found; and
//! what was not as the structure says, as [`PlacementFinding`]s. Nothing is refused: a segment that the structure has
//! no place for stays with the group around it and is reported, and what follows is read as if it were not there.
//! Segments of sites' own (`Z..`), `ADD` and, where the structure has none, `DSC` may stand anywhere (HL7 v2.5.1
//! §2.10.2, §2.11).
//!
//! Of all readings the one with the fewest faults is chosen, and among those the one that places each segment
//! nearest. So a message that follows its structure is read without findings, however far one has to look ahead to
//! see which group a segment begins. What would end a group before its required segment, which follows (NTE between ORC
//! and OBR of a result), is out of place and ends nothing. Between an order and a prior result that comes with one, which may be of the same
//! segments, ORC-1 decides: see [`SegmentHead`]. The work grows linearly with the segments: of the readings begun only
//! [`READINGS_MAX`] are followed.

use std::fmt;

use pipehat_message::SegmentName;

use crate::grammar::{Awaited, Grammar, MESSAGE, MISPLACED, MISSING, Step};
use crate::structure::{Node, NodeKind, Structure};

use head::OrderSaid;
pub use head::SegmentHead;

mod head;
mod replay;
#[cfg(test)]
mod tests;

/// How many readings of what came before are followed at once. Two or three differ in a real message.
const READINGS_MAX: usize = 8;
/// A reading that is worse than the best by more than this does not catch up.
const BEHIND_MAX: u64 = 3 * MISPLACED;
/// How far is looked for a group's required segment before what stands between is taken to end the group: each segment
/// between looks.
const AHEAD_MAX: usize = 256;
/// To leave aside what would tear a group. All of [`AHEAD_MAX`] cost less than a group that is torn, or begun elsewhere
/// so that it isn't, may; each costs more than a place far away.
const OUT_OF_PLACE: u64 = 1 << 28;
/// What it costs to leave aside a segment that may stand anywhere: less than any fault, more than a place for it.
const FREE: u64 = 1 << 21;
/// To begin a prior result with what may as well begin an order: more than any place is far, less than any fault.
const PRIOR_UNSAID: u64 = 1 << 24;
/// To read as an order what says that it is a prior result: more than any fault of it, so that no other order comes of it;
/// less than the two that a prior result has which no order is before.
const PRIOR_DENIED: u64 = 2 * MISSING - (1 << 24);

/// A message read by its structure. One value can read many messages, and then allocates only for larger ones.
#[derive(Default)]
pub struct Reading {
    structure: Option<Structure>,
    heads: Vec<SegmentHead>,
    placements: Vec<Placement>,
    groups: Vec<GroupInstance>,
    findings: Vec<PlacementFinding>,
    alternatives: Vec<Alternative>,
    before: Vec<Alternative>,
    traces: Vec<Trace>,
    /// Of the quick way: how it came to each segment.
    steps: Vec<Option<Step>>,
    replay: replay::Scratch,
}

/// Where one segment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placement {
    group: u32,
    node: u16,
    /// Without a node: the node it should have been at, or why there is none.
    home: u16,
}

/// One occurrence of a segment group in a message. The first of a [`Reading`] is the message itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupInstance {
    node: u16,
    parent: u32,
    occurrence: u32,
    first: u32,
    end: u32,
}

/// Something that is not as the structure says. Says where, never what the message holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlacementFinding {
    /// What is wrong.
    pub problem: PlacementProblem,
    /// The segment, by its index from 0. Of what is missing: the segment it should stand before, or the number of
    /// segments for the end of the message.
    pub segment: usize,
    /// The group it is about, by its index in [`Reading::groups`].
    pub group: usize,
}

/// What can be wrong with a segment's place. Nodes are indexes for [`Structure::node`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlacementProblem {
    /// The structure has no such segment.
    Unexpected,
    /// The structure has such a segment, but not here.
    Misplaced {
        /// Where it belongs; the first place if there are several.
        home: usize,
    },
    /// A segment, or the group it begins, occurs more often than allowed. Said once for all that are too many.
    TooMany {
        /// The segment or the group.
        node: usize,
    },
    /// A required segment or group is not there.
    Missing {
        /// The segment, group or choice.
        node: usize,
    },
    /// A line that does not begin with a segment's name.
    NotASegment,
}

/// One reading of the segments so far, told apart from the others by the node placed last.
#[derive(Clone, Copy)]
struct Alternative {
    cost: u64,
    node: u16,
    trace: u32,
}

/// A segment placed, and the one placed before it in the same reading.
#[derive(Clone, Copy)]
struct Trace {
    segment: u32,
    before: u32,
    node: u16,
}

const NO_TRACE: u32 = u32::MAX;
/// Homes of segments that have none in the structure; nodes are numbered far below.
const NOT_A_SEGMENT: u16 = MESSAGE - 1;
const UNEXPECTED: u16 = MESSAGE - 2;

impl Reading {
    /// Nothing read yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a message: its segments in order.
    pub fn read(
        &mut self,
        structure: Structure,
        segments: impl IntoIterator<Item = impl Into<SegmentHead>>,
    ) {
        let grammar = structure.grammar();
        self.structure = Some(structure);
        self.placements.clear();
        self.groups.clear();
        self.findings.clear();
        self.steps.clear();
        self.heads.clear();
        // Limits of `message` keep the number of segments far below this.
        self.heads.extend(segments.into_iter().take(NO_TRACE as usize).map(Into::into));
        if !self.follow_nearest(grammar) {
            self.follow_all(grammar);
        }
        self.replay(grammar);
    }

    /// The quick way, which most messages allow: each segment goes to the nearest place. Gives up, and says so, where
    /// that is a fault; another reading may then be better.
    fn follow_nearest(&mut self, grammar: &Grammar) -> bool {
        let mut last = MESSAGE;
        for &head in &self.heads {
            let mut placement = Placement { group: 0, node: MESSAGE, home: NOT_A_SEGMENT };
            let mut taken = None;
            if let Some(name) = head.name {
                let named = grammar.nodes_named(name);
                if named.is_empty() && !grammar.nodes_of_any().is_empty() {
                    return false;
                }
                let mut nearest: Option<(u16, Step)> = None;
                for &(_, node) in named {
                    match step(grammar, last, node, head.order) {
                        Some(step) if step.cost < nearest.map_or(MISSING, |(_, it)| it.cost) => {
                            nearest = Some((node, step));
                        }
                        _ => {}
                    }
                }
                if let Some((node, step)) = nearest {
                    last = node;
                    placement.node = node;
                    taken = Some(step);
                } else if !named.is_empty() {
                    return false;
                }
                placement.home = if stands_anywhere(name) { MESSAGE } else { UNEXPECTED };
            }
            self.placements.push(placement);
            self.steps.push(taken);
        }
        last != MESSAGE && grammar.missing_at_end(last) == 0
    }

    /// The thorough way: every reading that may turn out to be the best.
    fn follow_all(&mut self, grammar: &Grammar) {
        self.placements.clear();
        self.steps.clear();
        self.traces.clear();
        self.alternatives.clear();
        self.alternatives.push(Alternative { cost: 0, node: MESSAGE, trace: NO_TRACE });
        for index in 0..self.heads.len() {
            let Ok(segment) = u32::try_from(index) else { break };
            let home = match self.heads.get(index) {
                Some(&SegmentHead { name: Some(name), order, .. }) => {
                    self.follow(grammar, segment, name, order)
                }
                _ => NOT_A_SEGMENT,
            };
            self.placements.push(Placement { group: 0, node: MESSAGE, home });
        }
        self.choose(grammar);
    }

    /// Puts the segment at each of its nodes behind each reading so far, and keeps the best. Tells its home, for when
    /// the reading chosen in the end has left it aside.
    fn follow(
        &mut self,
        grammar: &Grammar,
        segment: u32,
        name: SegmentName,
        order: Option<OrderSaid>,
    ) -> u16 {
        let named = grammar.nodes_named(name);
        let any = grammar.nodes_of_any();
        let (home, aside) = match named.first() {
            Some(&(_, first)) => {
                let required = named.iter().find(|&&(_, node)| grammar.node(node).required);
                (required.map_or(first, |&(_, node)| node), MISPLACED)
            }
            None if stands_anywhere(name) => (MESSAGE, FREE),
            None => (UNEXPECTED, MISPLACED),
        };
        if named.is_empty() && any.is_empty() {
            return home;
        }
        std::mem::swap(&mut self.alternatives, &mut self.before);
        self.alternatives.clear();
        let nodes = || named.iter().map(|&(_, node)| node).chain(any.iter().copied());
        let mut tears = [false; READINGS_MAX];
        for (tears, before) in tears.iter_mut().zip(&self.before) {
            *tears = self.tears(grammar, segment, *before, nodes());
        }
        for node in nodes() {
            let before = self.before.iter().zip(tears).filter(|&(_, tears)| !tears);
            let ways = before.filter_map(|(before, _)| {
                let Step { cost, .. } = step(grammar, before.node, node, order)?;
                Some((before.cost + cost, before.trace))
            });
            let Some((cost, before)) = ways.min_by_key(|&(cost, _)| cost) else { continue };
            let Ok(trace) = u32::try_from(self.traces.len()) else { break };
            self.traces.push(Trace { segment, before, node });
            self.alternatives.push(Alternative { cost, node, trace });
        }
        for (before, tears) in self.before.iter().zip(tears) {
            let cost = before.cost + if tears { OUT_OF_PLACE.min(aside) } else { aside };
            match self.alternatives.iter_mut().find(|other| other.node == before.node) {
                Some(other) if other.cost <= cost => {}
                Some(other) => *other = Alternative { cost, ..*before },
                None => self.alternatives.push(Alternative { cost, ..*before }),
            }
        }
        let best = self.alternatives.iter().map(|alternative| alternative.cost).min();
        let most = best.unwrap_or(0).saturating_add(BEHIND_MAX);
        self.alternatives.retain(|alternative| alternative.cost <= most);
        if self.alternatives.len() > READINGS_MAX {
            self.alternatives.sort_unstable_by_key(|alternative| alternative.cost);
            self.alternatives.truncate(READINGS_MAX);
        }
        home
    }

    /// Whether a segment could be at these nodes only by passing over a required segment of the group at hand, which
    /// follows before the group could begin anew; or, of a note, over one that begins a group within it.
    fn tears(
        &self,
        grammar: &Grammar,
        segment: u32,
        before: Alternative,
        nodes: impl Iterator<Item = u16> + Clone,
    ) -> bool {
        let last = before.node;
        let name = self.heads.get(segment as usize).and_then(|head| head.name);
        let is_note = name.is_some_and(|name| name.as_bytes() == b"NTE");
        // What the order would not be spared makes no prior result of it.
        if grammar.is_prior(last) && !is_note {
            return false;
        }
        // Doses are told more often in an order than structures have them: which of them an order waits for is not known.
        let is_no_dose = |own: &Awaited| !own.name.as_bytes().starts_with(b"RX");
        let leads_past = |awaited: Awaited, is_within: bool| {
            nodes.clone().all(|node| {
                grammar.step(last, node).is_none_or(|step| {
                    let is_there = !step.repeats && grammar.contains(awaited.group, node);
                    grammar.passes(step, node, awaited) && (is_there || !is_within)
                })
            })
        };
        let required =
            grammar.awaited(last).filter(is_no_dose).filter(|own| leads_past(*own, false));
        if required.is_some_and(|own| self.follows(grammar, segment, before, own)) {
            return true;
        }
        // A note is of what it stands behind, so it begins nothing that may come.
        let mut optional = grammar.may_come(last).filter(|own| is_note && is_no_dose(own));
        optional.any(|own| leads_past(own, true) && self.follows(grammar, segment, before, own))
    }

    /// Whether what a group waits for follows a segment before the group could begin anew.
    fn follows(
        &self,
        grammar: &Grammar,
        segment: u32,
        before: Alternative,
        awaited: Awaited,
    ) -> bool {
        if self.is_another_patient(segment) {
            return false;
        }
        // A reading that left it aside waits for it no more.
        let placed = self.traces.get(before.trace as usize).map_or(0, |trace| trace.segment);
        let between = self.heads.get(placed as usize + 1..segment as usize).unwrap_or_default();
        let mut between = between.iter().rev().take(AHEAD_MAX);
        if between.any(|head| head.name == Some(awaited.name)) {
            return false;
        }
        let ahead = self.heads.iter().skip(segment as usize + 1).take(AHEAD_MAX);
        let mut names = ahead.filter_map(|head| head.name);
        let next =
            names.find(|&name| name == awaited.name || grammar.may_begin(awaited.group, name));
        next == Some(awaited.name)
    }

    /// Whether a segment is a PID that is not the one before it once more: what follows is not of what began before.
    fn is_another_patient(&self, segment: u32) -> bool {
        let heads = self.heads.get(..=segment as usize).unwrap_or_default();
        let Some((own, before)) = heads.split_last().filter(|(own, _)| own.is_patient()) else {
            return false;
        };
        let last = before.iter().rfind(|head| head.is_patient());
        !last.is_some_and(|last| last.is_same_patient(*own))
    }

    /// Takes the reading that is best when the message ends, and writes down its nodes.
    fn choose(&mut self, grammar: &Grammar) {
        let ended = self
            .alternatives
            .iter()
            .min_by_key(|alternative| alternative.cost + grammar.missing_at_end(alternative.node));
        let mut next = ended.map_or(NO_TRACE, |alternative| alternative.trace);
        while let Some(&Trace { segment, before, node }) = self.traces.get(next as usize) {
            if let Some(placement) = self.placements.get_mut(segment as usize) {
                placement.node = node;
            }
            next = before;
        }
    }

    fn find(&mut self, problem: PlacementProblem, segment: u32, group: u32) {
        let finding =
            PlacementFinding { problem, segment: segment as usize, group: group as usize };
        self.findings.push(finding);
    }

    /// The structure the message was read by.
    pub fn structure(&self) -> Option<Structure> {
        self.structure
    }

    /// Forgets the message, and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.structure = None;
        self.heads.clear();
        self.placements.clear();
        self.groups.clear();
        self.findings.clear();
    }

    /// The name of a segment; none of a line that is no segment.
    pub(crate) fn name(&self, segment: usize) -> Option<SegmentName> {
        self.heads.get(segment)?.name
    }

    /// Where each segment stands, in the order of the message.
    pub fn placements(&self) -> &[Placement] {
        &self.placements
    }

    /// The groups found, each before those within it; the first is the message.
    pub fn groups(&self) -> &[GroupInstance] {
        &self.groups
    }

    /// What is not as the structure says, in the order of the message.
    pub fn findings(&self) -> &[PlacementFinding] {
        &self.findings
    }

    /// A group's name, empty for the message and for a group that is not there.
    pub fn group_name(&self, group: usize) -> &'static str {
        let node = self.groups.get(group).and_then(|group| group.node());
        match node.and_then(|node| self.structure?.node(node)).map(Node::kind) {
            Some(NodeKind::Group(name)) => name,
            _ => "",
        }
    }

    /// The way to a group, as `/PATIENT_RESULT/ORDER_OBSERVATION(2)`; nothing for the message.
    pub fn group_path(&self, group: usize) -> impl fmt::Display + '_ {
        GroupPath { reading: self, group }
    }
}

impl Placement {
    /// The group around the segment, by its index in [`Reading::groups`].
    pub fn group(self) -> usize {
        self.group as usize
    }

    /// The segment's node, by its index for [`Structure::node`]; `None` for a segment without a place.
    pub fn node(self) -> Option<usize> {
        (self.node != MESSAGE).then_some(usize::from(self.node))
    }
}

impl GroupInstance {
    /// The group's node, by its index for [`Structure::node`]; `None` for the message.
    pub fn node(self) -> Option<usize> {
        (self.node != MESSAGE).then_some(usize::from(self.node))
    }

    /// The group around it, by its index in [`Reading::groups`]; the message is its own.
    pub fn parent(self) -> usize {
        self.parent as usize
    }

    /// Which of those groups within the parent it is, from 1.
    pub fn occurrence(self) -> u32 {
        self.occurrence
    }

    /// Its segments, by their indexes from 0, with those of groups within it.
    pub fn segments(self) -> std::ops::Range<usize> {
        self.first as usize..self.end as usize
    }
}

struct GroupPath<'r> {
    reading: &'r Reading,
    group: usize,
}

impl fmt::Display for GroupPath<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(group) =
            self.reading.groups.get(self.group).filter(|group| group.node().is_some())
        else {
            return Ok(());
        };
        Self { reading: self.reading, group: group.parent() }.fmt(formatter)?;
        write!(formatter, "/{}", self.reading.group_name(self.group))?;
        match group.occurrence {
            1 => Ok(()),
            occurrence => write!(formatter, "({occurrence})"),
        }
    }
}

/// Shows the shape only.
impl fmt::Debug for Reading {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Reading")
            .field("structure", &self.structure)
            .field("segments", &self.placements.len())
            .field("groups", &self.groups.len())
            .field("findings", &self.findings)
            .finish_non_exhaustive()
    }
}

/// The best way on to a node. An ORC pays for a place that is not by what it says: silent, it begins an order, and goes on
/// with a prior result where it stands in one.
#[inline]
fn step(grammar: &Grammar, from: u16, to: u16, order: Option<OrderSaid>) -> Option<Step> {
    let step = grammar.step(from, to)?;
    let Some(order) = order.filter(|_| grammar.has_prior()) else { return Some(step) };
    let besides = match (order, grammar.is_prior(to)) {
        (OrderSaid::Either, true) if grammar.is_prior(from) => 0,
        (OrderSaid::Either | OrderSaid::Own, true) => PRIOR_UNSAID,
        (OrderSaid::Prior, false) => PRIOR_DENIED,
        (_, _) => 0,
    };
    Some(Step { cost: step.cost + besides, ..step })
}

/// Sites' own segments, and the continuation of any segment or message.
fn stands_anywhere(name: SegmentName) -> bool {
    matches!(name.as_bytes(), [b'Z', ..] | b"ADD" | b"DSC")
}
