//! Once each segment has its node: the groups that opens and closes, and what they lack or have too often.

use super::{GroupInstance, NOT_A_SEGMENT, Placement, PlacementProblem, Reading, UNEXPECTED};
use crate::grammar::{Grammar, MESSAGE, Shape};

/// What a replay needs besides its results, kept for the next message.
#[derive(Default)]
pub(super) struct Scratch {
    open: Vec<Frame>,
    /// How often each node occurred in the frame that holds it.
    tallies: Vec<Tally>,
    /// How often each group occurred in the group that holds it. Not the same where a choice lies between.
    occurrences: Vec<Tally>,
    /// Segments that were found elsewhere than at this node.
    misplaced: Vec<u32>,
    way: Vec<u16>,
    frames: u32,
}

/// A group or a choice, while it lasts.
#[derive(Clone, Copy)]
struct Frame {
    node: u16,
    /// Told apart from other occurrences of the node.
    number: u32,
    group: u32,
    /// The child that was placed last, or `MESSAGE`.
    last: u16,
}

#[derive(Clone, Copy)]
struct Tally {
    within: u32,
    count: u32,
}

const NEVER: Tally = Tally { within: u32::MAX, count: 0 };
const MESSAGE_FRAME: Frame = Frame { node: MESSAGE, number: 0, group: 0, last: MESSAGE };

impl Scratch {
    fn begin(&mut self, nodes: usize) {
        self.open.clear();
        self.open.push(MESSAGE_FRAME);
        for tallies in [&mut self.tallies, &mut self.occurrences] {
            tallies.clear();
            tallies.resize(nodes, NEVER);
        }
        self.misplaced.clear();
        self.frames = 0;
    }

    fn innermost(&self) -> Frame {
        self.open.last().copied().unwrap_or(MESSAGE_FRAME)
    }
}

fn count(tallies: &mut [Tally], node: u16, within: u32) -> u32 {
    let Some(tally) = tallies.get_mut(usize::from(node)) else { return 1 };
    let before = if tally.within == within { tally.count } else { 0 };
    *tally = Tally { within, count: before.saturating_add(1) };
    tally.count
}

impl Reading {
    pub(super) fn replay(&mut self, grammar: &Grammar) {
        let end = u32::try_from(self.placements.len()).unwrap_or(u32::MAX);
        self.replay.begin(grammar.len());
        self.groups.push(GroupInstance { node: MESSAGE, parent: 0, occurrence: 1, first: 0, end });
        let mut last = MESSAGE;
        for segment in 0..end {
            let Some(&Placement { node, home, .. }) = self.placements.get(segment as usize) else {
                break;
            };
            if node == MESSAGE {
                self.report_aside(grammar, segment, home);
            } else {
                self.place(grammar, segment, last, node);
                last = node;
            }
            let group = self.replay.innermost().group;
            if let Some(placement) = self.placements.get_mut(segment as usize) {
                placement.group = group;
            }
        }
        while self.replay.open.len() > 1 {
            self.close(grammar, end);
        }
        self.report_missing(grammar, self.replay.innermost(), MESSAGE, end);
        self.settle_findings();
    }

    fn report_aside(&mut self, grammar: &Grammar, segment: u32, home: u16) {
        let problem = match home {
            MESSAGE => return,
            UNEXPECTED => PlacementProblem::Unexpected,
            NOT_A_SEGMENT => PlacementProblem::NotASegment,
            home => {
                self.replay.misplaced.resize(grammar.len(), 0);
                if let Some(misplaced) = self.replay.misplaced.get_mut(usize::from(home)) {
                    *misplaced = misplaced.saturating_add(1);
                }
                PlacementProblem::Misplaced { home: usize::from(home) }
            }
        };
        let group = self.replay.innermost().group;
        self.find(problem, segment, group);
    }

    fn place(&mut self, grammar: &Grammar, segment: u32, last: u16, node: u16) {
        let Some(step) = grammar.step(last, node) else { return };
        loop {
            let innermost = self.replay.innermost().node;
            let stays = innermost == MESSAGE
                || if step.repeats {
                    innermost < step.via
                } else {
                    step.via != MESSAGE && innermost <= step.via
                };
            if stays {
                break;
            }
            self.close(grammar, segment);
        }
        let around = self.replay.innermost().node;
        let mut way = std::mem::take(&mut self.replay.way);
        way.clear();
        let mut next = node;
        while next != around && next != MESSAGE {
            way.push(next);
            next = grammar.node(next).parent;
        }
        while let Some(entered) = way.pop() {
            self.enter(grammar, entered, segment);
        }
        self.replay.way = way;
    }

    fn enter(&mut self, grammar: &Grammar, node: u16, segment: u32) {
        let entered = grammar.node(node);
        let around = self.replay.innermost();
        if around.last != node {
            self.report_missing(grammar, around, node, segment);
            if let Some(frame) = self.replay.open.last_mut() {
                frame.last = node;
            }
        }
        let times = count(&mut self.replay.tallies, node, around.number);
        if entered.most != u16::MAX && times == u32::from(entered.most) + 1 {
            self.find(PlacementProblem::TooMany { node: usize::from(node) }, segment, around.group);
        }
        let group = match entered.shape {
            Shape::Segment | Shape::AnySegment => return,
            Shape::Choice => around.group,
            Shape::Group => {
                let occurrence = count(&mut self.replay.occurrences, node, around.group);
                let group = u32::try_from(self.groups.len()).unwrap_or(u32::MAX);
                self.groups.push(GroupInstance {
                    node,
                    parent: around.group,
                    occurrence,
                    first: segment,
                    end: segment,
                });
                group
            }
        };
        self.replay.frames = self.replay.frames.saturating_add(1);
        self.replay.open.push(Frame { node, number: self.replay.frames, group, last: MESSAGE });
    }

    fn close(&mut self, grammar: &Grammar, segment: u32) {
        let Some(frame) = self.replay.open.pop() else { return };
        self.report_missing(grammar, frame, MESSAGE, segment);
        if grammar.node(frame.node).shape == Shape::Group
            && let Some(group) = self.groups.get_mut(frame.group as usize)
        {
            group.end = segment;
        }
    }

    /// Reports what a frame lacks between the child placed last and the next one; or after the last.
    fn report_missing(&mut self, grammar: &Grammar, frame: Frame, next: u16, segment: u32) {
        if grammar.is_complete_between(frame.node, frame.last, next) {
            return;
        }
        let passed = grammar
            .children(frame.node)
            .skip_while(|&child| frame.last != MESSAGE && child < frame.last)
            .take_while(|&child| child < next);
        for child in passed {
            let node = grammar.node(child);
            if !node.required {
                continue;
            }
            let tally = self.replay.tallies.get(usize::from(child)).copied().unwrap_or(NEVER);
            let times = if tally.within == frame.number { tally.count } else { 0 };
            if times < u32::from(node.least) {
                self.find(
                    PlacementProblem::Missing { node: usize::from(child) },
                    segment,
                    frame.group,
                );
            }
        }
    }

    /// A segment reported out of its place is not reported missing there as well.
    fn settle_findings(&mut self) {
        let misplaced = &mut self.replay.misplaced;
        if misplaced.is_empty() {
            return;
        }
        self.findings.retain(|finding| {
            let PlacementProblem::Missing { node } = finding.problem else { return true };
            match misplaced.get_mut(node) {
                Some(count) if *count > 0 => {
                    *count -= 1;
                    false
                }
                _ => true,
            }
        });
    }
}
