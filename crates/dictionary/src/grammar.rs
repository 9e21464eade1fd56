//! A message structure made ready to read messages by it.
//!
//! A structure is a regular expression over segment names. Where a message stands in it is the node of the segment
//! that was placed last, for the groups which are open are those above that node. So all there is to know about
//! placing a segment is what it costs to go from one node to another: [`Grammar::step`]. How many required siblings
//! lie in between is a difference of sums, which are made once for each structure, when it is first used.

use std::sync::{LazyLock, OnceLock};

use pipehat_message::SegmentName;

use crate::file;
use crate::layout::Section;
use crate::structure::{NodeKind, Structure};

/// In place of a node: the message itself, above all nodes.
pub(crate) const MESSAGE: u16 = u16::MAX;

/// The most nodes of a structure; the definitions stay far below.
const NODES_MAX: usize = 4096;

/// What each fault costs. The reading chosen is the one that costs least in total, so only the proportions matter:
/// a missing part is likelier than a segment out of place, and a segment that occurs once too often likelier than one
/// that is elsewhere; but nobody begins a group again without its first required segment.
pub(crate) const MISSING: u64 = 20 << 32;
const REOPENED: u64 = 20 << 32;
const TOO_MANY: u64 = 28 << 32;
pub(crate) const MISPLACED: u64 = 30 << 32;
/// Among readings with the same faults, the nearest place is taken: the lower 32 bits compare distances.
const LEVEL: u64 = 1 << 12;
const FORWARD_OUT_OF_GROUP: u64 = 1 << 11;
/// A segment that has a name of its own in the structure is rather that one.
const ANY_SEGMENT: u64 = 1 << 20;

/// Earlier results that go with an order, as all versions call their group: orders again, within the order (HL7 v2.5.1
/// §4.4.6).
const PRIOR_RESULT: &str = "PRIOR_RESULT";

#[derive(Clone, Copy)]
pub(crate) struct GrammarNode {
    /// The node above it, or [`MESSAGE`].
    pub(crate) parent: u16,
    /// Behind its last descendant.
    pub(crate) end: u16,
    pub(crate) least: u16,
    /// `u16::MAX` is any number.
    pub(crate) most: u16,
    pub(crate) shape: Shape,
    level: u16,
    /// Whether a message without it lacks something.
    pub(crate) required: bool,
    /// Whether it is of a prior result that goes with an order.
    is_prior: bool,
    /// Required siblings before it, and with itself.
    before: u16,
    through: u16,
    /// Required nodes before it within all that is around it, up to the message; and after it.
    all_before: u16,
    all_after: u16,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Segment,
    AnySegment,
    Group,
    Choice,
}

pub(crate) struct Grammar {
    nodes: Vec<GrammarNode>,
    /// Segment nodes by name, then by place.
    named: Vec<(SegmentName, u16)>,
    any: Vec<u16>,
    has_prior: bool,
}

/// A way from the node of one segment to the node of the next.
#[derive(Clone, Copy)]
pub(crate) struct Step {
    pub(crate) cost: u64,
    /// The node that begins anew, or within which the way leads on.
    pub(crate) via: u16,
    pub(crate) repeats: bool,
}

/// A required segment of a group that has begun.
#[derive(Clone, Copy)]
pub(crate) struct Awaited {
    pub(crate) group: u16,
    pub(crate) segment: u16,
    pub(crate) name: SegmentName,
}

impl Structure {
    /// The structure made ready, when it is first asked for.
    pub(crate) fn grammar(self) -> &'static Grammar {
        static GRAMMARS: LazyLock<Box<[OnceLock<Grammar>]>> = LazyLock::new(|| {
            file::rows(Section::Structures).iter().map(|_| OnceLock::new()).collect()
        });
        static NONE: Grammar =
            Grammar { nodes: Vec::new(), named: Vec::new(), any: Vec::new(), has_prior: false };
        match GRAMMARS.get(self.row_index()) {
            Some(cell) => cell.get_or_init(|| Grammar::of(self)),
            None => &NONE,
        }
    }
}

impl Grammar {
    fn of(structure: Structure) -> Self {
        let count = structure.node_count().min(NODES_MAX);
        let mut nodes = Vec::with_capacity(count);
        let (mut named, mut any) = (Vec::new(), Vec::new());
        let mut open: Vec<(u16, usize)> = Vec::new();
        for (index, node) in structure.nodes().take(count).enumerate() {
            let own = narrow(index);
            open.retain(|&(_, end)| index < end);
            let end = (index + 1 + node.descendants()).min(count);
            let shape = match node.kind() {
                NodeKind::Segment(name) => {
                    named.push((name, own));
                    Shape::Segment
                }
                NodeKind::AnySegment => {
                    any.push(own);
                    Shape::AnySegment
                }
                NodeKind::Group(_) => Shape::Group,
                NodeKind::Choice => Shape::Choice,
            };
            let cardinality = node.cardinality();
            let parent = open.last().map_or(MESSAGE, |&(parent, _)| parent);
            let around: Option<&GrammarNode> = nodes.get(usize::from(parent));
            let is_prior = node.kind() == NodeKind::Group(PRIOR_RESULT)
                || around.is_some_and(|around| around.is_prior);
            nodes.push(GrammarNode {
                parent,
                end: narrow(end),
                least: cardinality.least,
                most: cardinality.most.unwrap_or(u16::MAX).max(1),
                shape,
                level: narrow(open.len()),
                required: false,
                is_prior,
                before: 0,
                through: 0,
                all_before: 0,
                all_after: 0,
            });
            if end > index + 1 {
                open.push((own, end));
            }
        }
        named.sort_unstable();
        let has_prior = nodes.iter().any(|node| node.is_prior);
        let mut grammar = Self { nodes, named, any, has_prior };
        grammar.find_required();
        grammar.sum();
        grammar
    }

    /// A group of optional segments may be there without any, so it can't be missed.
    fn find_required(&mut self) {
        for index in (0..self.nodes.len()).rev() {
            let Some(&node) = self.nodes.get(index) else { continue };
            let mut children = self.children(narrow(index)).peekable();
            let filled = match node.shape {
                Shape::Segment | Shape::AnySegment => true,
                Shape::Choice => {
                    children.peek().is_some() && children.all(|child| self.node(child).required)
                }
                Shape::Group => children.any(|child| self.node(child).required),
            };
            drop(children);
            if let Some(node) = self.nodes.get_mut(index) {
                node.required = node.least > 0 && filled;
            }
        }
    }

    fn sum(&mut self) {
        self.sum_children(MESSAGE);
        for index in 0..self.nodes.len() {
            self.sum_children(narrow(index));
        }
    }

    fn sum_children(&mut self, parent: u16) {
        let is_choice = parent != MESSAGE && self.node(parent).shape == Shape::Choice;
        let counts = |node: GrammarNode| u16::from(node.required && !is_choice);
        let children: Vec<u16> = self.children(parent).collect();
        let total: u16 = children.iter().map(|&child| counts(self.node(child))).sum();
        let (around_before, around_after) = match parent {
            MESSAGE => (0, 0),
            parent => (self.node(parent).all_before, self.node(parent).all_after),
        };
        let mut passed = 0;
        for child in children {
            let Some(node) = self.nodes.get_mut(usize::from(child)) else { continue };
            node.before = passed;
            passed += counts(*node);
            node.through = passed;
            node.all_before = around_before + node.before;
            node.all_after = around_after + total - node.through;
        }
    }

    /// The nodes directly below one, or below the message.
    pub(crate) fn children(&self, parent: u16) -> impl Iterator<Item = u16> + '_ {
        let (mut next, end) = match parent {
            MESSAGE => (0, narrow(self.nodes.len())),
            parent => (parent + 1, self.node(parent).end),
        };
        std::iter::from_fn(move || {
            let child = (next < end).then_some(next)?;
            next = self.node(child).end.max(child + 1);
            Some(child)
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    #[inline]
    pub(crate) fn node(&self, index: u16) -> GrammarNode {
        const NOWHERE: GrammarNode = GrammarNode {
            parent: MESSAGE,
            end: 0,
            least: 0,
            most: u16::MAX,
            shape: Shape::Choice,
            level: 0,
            required: false,
            is_prior: false,
            before: 0,
            through: 0,
            all_before: 0,
            all_after: 0,
        };
        self.nodes.get(usize::from(index)).copied().unwrap_or(NOWHERE)
    }

    /// The nodes that a segment of this name can be.
    #[inline]
    pub(crate) fn nodes_named(&self, name: SegmentName) -> &[(SegmentName, u16)] {
        let from = self.named.partition_point(|&(other, _)| other < name);
        let rest = self.named.get(from..).unwrap_or_default();
        let count = rest.iter().take_while(|&&(other, _)| other == name).count();
        rest.get(..count).unwrap_or_default()
    }

    /// The nodes that any segment can be.
    #[inline]
    pub(crate) fn nodes_of_any(&self) -> &[u16] {
        &self.any
    }

    /// Whether a node is of a prior result that goes with an order.
    pub(crate) fn is_prior(&self, index: u16) -> bool {
        self.node(index).is_prior
    }

    /// Whether orders come with prior results.
    pub(crate) fn has_prior(&self) -> bool {
        self.has_prior
    }

    /// Whether a node is below another, or the same.
    #[inline]
    pub(crate) fn contains(&self, outer: u16, inner: u16) -> bool {
        outer <= inner && inner < self.node(outer).end
    }

    /// The best way from the node placed last to this one; `MESSAGE` is before the first segment.
    #[inline]
    pub(crate) fn step(&self, from: u16, to: u16) -> Option<Step> {
        let target = self.node(to);
        let any = if target.shape == Shape::AnySegment { ANY_SEGMENT } else { 0 };
        if from == MESSAGE {
            let cost = u64::from(target.all_before) * MISSING + u64::from(to) + any;
            return Some(Step { cost, via: MESSAGE, repeats: false });
        }
        let origin = self.node(from);
        if from == to && origin.most > 1 {
            return Some(Step { cost: any, via: from, repeats: true });
        }
        let mut best: Option<Step> = None;
        // Climbing: `below` is what was left behind, `around` what holds both.
        let (mut below, mut around) = (from, from);
        let mut passed_lowest = false;
        loop {
            let holds = around == MESSAGE || self.contains(around, to);
            if holds && !passed_lowest && around != from {
                passed_lowest = true;
                if let Some(step) = self.forward(origin, below, around, to, target) {
                    best = Some(step);
                }
            }
            if around == MESSAGE {
                break;
            }
            let node = self.node(around);
            if holds {
                let left = u64::from(origin.all_after - node.all_after);
                let entered = u64::from(target.all_before - node.all_before);
                let mut cost = (left + entered) * MISSING;
                if node.most == 1 {
                    cost += TOO_MANY;
                }
                if entered > 0 {
                    cost += REOPENED;
                }
                cost += u64::from(origin.level - node.level) * LEVEL;
                if best.is_none_or(|best| cost < best.cost) {
                    best = Some(Step { cost, via: around, repeats: true });
                }
                if cost < MISSING {
                    break;
                }
            }
            (below, around) = (around, node.parent);
        }
        best.map(|step| Step { cost: step.cost + any, ..step })
    }

    /// On from `below` to a later sibling within `around`, and down to the node.
    fn forward(
        &self,
        origin: GrammarNode,
        below: u16,
        around: u16,
        to: u16,
        target: GrammarNode,
    ) -> Option<Step> {
        let left = self.node(below);
        if to < left.end || (around != MESSAGE && self.node(around).shape == Shape::Choice) {
            return None;
        }
        let mut entered = to;
        while self.node(entered).parent != around {
            entered = self.node(entered).parent;
            if entered == MESSAGE {
                return None;
            }
        }
        let sibling = self.node(entered);
        let missing = (origin.all_after - left.all_after)
            + (sibling.before - left.through)
            + (target.all_before - sibling.all_before);
        let levels = u64::from(origin.level - left.level);
        let distance = u64::from(entered - below).min(FORWARD_OUT_OF_GROUP - 1);
        let mut cost = u64::from(missing) * MISSING + levels * LEVEL + distance;
        if levels > 0 {
            cost += FORWARD_OUT_OF_GROUP;
        }
        Some(Step { cost, via: around, repeats: false })
    }

    /// What of the group at hand has to come behind a node: its next required segment, of the innermost group around the
    /// node that still lacks something.
    pub(crate) fn awaited(&self, from: u16) -> Option<Awaited> {
        let (mut below, mut around) = (from, self.node(from).parent);
        while around != MESSAGE {
            let mut behind = self.children(around).skip_while(|&child| child <= below);
            let next = behind.find(|&child| self.node(child).required);
            drop(behind);
            let is_group = self.node(around).shape == Shape::Group;
            if let Some(segment) = next.filter(|_| is_group) {
                let mut named = self.named.iter();
                let name = named.find(|&&(_, node)| node == segment).map(|&(name, _)| name)?;
                return Some(Awaited { group: around, segment, name });
            }
            (below, around) = (around, self.node(around).parent);
        }
        None
    }

    /// What the optional groups behind a node begin with, which stand with it in a group.
    pub(crate) fn may_come(&self, from: u16) -> impl Iterator<Item = Awaited> + '_ {
        let around = self.node(from).parent;
        let is_group = |node: u16| node != MESSAGE && self.node(node).shape == Shape::Group;
        let siblings = is_group(around).then(|| self.children(around)).into_iter().flatten();
        let groups = siblings.filter(move |&child| from < child && is_group(child));
        groups.filter_map(move |group| {
            let first = self.children(group).next().filter(|&first| self.node(first).required)?;
            let mut named = self.named.iter();
            let name = named.find(|&&(_, node)| node == first).map(|&(name, _)| name)?;
            Some(Awaited { group: around, segment: first, name })
        })
    }

    /// Whether a way leads past what has to come.
    pub(crate) fn passes(&self, step: Step, to: u16, awaited: Awaited) -> bool {
        if step.repeats { self.contains(step.via, awaited.group) } else { awaited.segment < to }
    }

    /// Whether a group may begin with a segment of this name.
    pub(crate) fn may_begin(&self, group: u16, name: SegmentName) -> bool {
        let before = self.node(group).all_before;
        self.nodes_named(name)
            .iter()
            .any(|&(_, node)| self.contains(group, node) && self.node(node).all_before == before)
    }

    /// Whether nothing can be missing of what stands in `parent` between `last` (or its beginning) and `next` (or its
    /// end). Quick, and so says no where only the number of `last` is in doubt.
    #[inline]
    pub(crate) fn is_complete_between(&self, parent: u16, last: u16, next: u16) -> bool {
        if parent != MESSAGE && self.node(parent).shape == Shape::Choice {
            return true;
        }
        let last = (last != MESSAGE).then(|| self.node(last));
        let through = last.map_or(0, |last| last.through);
        let missing = if next != MESSAGE {
            self.node(next).before.saturating_sub(through)
        } else if let Some(last) = last {
            let around = if parent == MESSAGE { 0 } else { self.node(parent).all_after };
            last.all_after.saturating_sub(around)
        } else {
            1
        };
        missing == 0 && last.is_none_or(|last| last.least < 2)
    }

    /// What is missing when the message ends after this node.
    #[inline]
    pub(crate) fn missing_at_end(&self, last: u16) -> u64 {
        match last {
            // Nothing was placed: all that is required is missing.
            MESSAGE => self.nodes.first().map_or(0, |first| {
                (u64::from(first.all_after) + u64::from(first.required)) * MISSING
            }),
            last => u64::from(self.node(last).all_after) * MISSING,
        }
    }
}

/// Nodes are fewer than [`NODES_MAX`].
fn narrow(index: usize) -> u16 {
    u16::try_from(index).unwrap_or(MESSAGE)
}
