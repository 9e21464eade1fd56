//! Paths through segment groups, as `/PATIENT_RESULT/ORDER_OBSERVATION(2)/OBX(1)-5`.
//!
//! Each step names a group within the one before, and the last a segment. Where the structure has what is named
//! directly in the group, that is meant: in ORU_R01 `/ORDER_OBSERVATION/NTE` is a note on the order and not on one of
//! its observations. Where it has not, all within are meant, in the order of the message: `/ORDER_OBSERVATION(2)/OBX(3)`
//! is the third observation of the second order, though a group OBSERVATION lies between; and `/ORDER_OBSERVATION` needs
//! no `/PATIENT_RESULT` before it.

use std::fmt;
use std::num::NonZeroU32;

use pipehat_message::{
    GroupReader, GroupStep, GroupedSegment, Header, InsertAt, Message, Occurrence, Path,
    SegmentName,
};

use crate::element::Cardinality;
use crate::grammar::{Grammar, MESSAGE, Shape};
use crate::reading::Reading;
use crate::resolve::resolve;
use crate::structure::{Node, NodeKind, Structure};
use crate::version::Version;

/// Reads the groups of messages by the structures of the standard; for
/// [`Message::read_groups_with`](pipehat_message::Message::read_groups_with).
pub static STANDARD_GROUPS: &dyn GroupReader = &StandardGroups;

struct StandardGroups;

impl GroupReader for StandardGroups {
    fn segments(&self, message: &Message<'_>, path: &Path) -> Vec<GroupedSegment> {
        Places::of(message).map(|places| places.segments(path)).unwrap_or_default()
    }

    fn place_of_new(&self, message: &Message<'_>, path: &Path) -> Option<InsertAt> {
        Places::of(message)?.place_of_new(path)
    }
}

impl Reading {
    /// Reads a message by its own structure, if there is one for it.
    pub fn of(message: &Message<'_>) -> Option<Self> {
        let header = Header::read(message.as_bytes()).ok()?;
        let structure = resolve(&header).structure?;
        let mut reading = Self::new();
        reading.read(structure, message.segments());
        Some(reading)
    }

    fn node_of(&self, group: usize) -> u16 {
        let node = self.groups().get(group).and_then(|group| group.node());
        node.and_then(|node| u16::try_from(node).ok()).unwrap_or(MESSAGE)
    }

    /// The groups of a name in another: those directly in it where the structure has them there, else all within.
    pub(crate) fn groups_named_within(&self, outer: usize, name: &str) -> Vec<usize> {
        let Some(around) = self.groups().get(outer) else { return Vec::new() };
        let Some(structure) = self.structure() else { return Vec::new() };
        let is_direct = directly(structure, structure.grammar(), self.node_of(outer), &|node| {
            is_group(node, name)
        })
        .is_some();
        let after = self.groups().iter().enumerate().skip(outer + 1);
        after
            .take_while(|(_, group)| group.segments().start < around.segments().end)
            .filter(|&(index, group)| {
                same_name(self.group_name(index), name) && (!is_direct || group.parent() == outer)
            })
            .map(|(index, _)| index)
            .collect()
    }

    /// The segments of a name in a group: those directly in it where the structure has them there, else all within.
    pub(crate) fn segments_named_within(&self, group: usize, name: SegmentName) -> Vec<usize> {
        let Some(around) = self.groups().get(group) else { return Vec::new() };
        let Some(structure) = self.structure() else { return Vec::new() };
        let is_direct = directly(structure, structure.grammar(), self.node_of(group), &|node| {
            node.kind() == NodeKind::Segment(name)
        })
        .is_some();
        let placements = self.placements();
        around
            .segments()
            .filter(|&index| self.name(index) == Some(name))
            .filter(|&index| {
                !is_direct || placements.get(index).is_some_and(|it| it.group() == group)
            })
            .collect()
    }

    /// The groups that these names lead to from the message on; without names the message.
    pub(crate) fn groups_on_way(&self, names: &[Box<str>]) -> Vec<usize> {
        if self.groups().is_empty() {
            return Vec::new();
        }
        names.iter().fold(vec![0], |reached, name| {
            reached.iter().flat_map(|&group| self.groups_named_within(group, name)).collect()
        })
    }

    /// The segment that the structure begins such a group with.
    pub(crate) fn first_segment_of_group(&self, names: &[Box<str>]) -> Option<SegmentName> {
        let structure = self.structure()?;
        let grammar = structure.grammar();
        let node = names.iter().try_fold(MESSAGE, |outer, name| {
            let wanted = |node: Node| is_group(node, name);
            directly(structure, grammar, outer, &wanted)
                .or_else(|| below(structure, grammar, outer, &wanted))
        })?;
        let end = usize::from(grammar.node(node).end);
        (usize::from(node)..end).find_map(|at| match structure.node(at)?.kind() {
            NodeKind::Segment(name) => Some(name),
            _ => None,
        })
    }
}

/// A message's groups, to be walked down.
struct Places {
    structure: Structure,
    grammar: &'static Grammar,
    reading: Reading,
}

/// A group reached, with the numbers of the way to it.
#[derive(Clone)]
struct Reached {
    group: usize,
    way: Vec<GroupStep>,
}

impl Places {
    fn of(message: &Message<'_>) -> Option<Self> {
        let reading = Reading::of(message)?;
        let structure = reading.structure()?;
        Some(Self { structure, grammar: structure.grammar(), reading })
    }

    fn segments(&self, path: &Path) -> Vec<GroupedSegment> {
        let mut found = Vec::new();
        for Reached { group, way } in self.reach(path.groups()) {
            let of_name = self.reading.segments_named_within(group, path.segment());
            for (number, index) in chosen(&of_name, path.occurrence()) {
                let path = path.clone().with_groups(way.clone()).with_occurrence(number);
                found.push(GroupedSegment { index, path });
            }
        }
        found
    }

    /// The groups that these steps lead to, from the message on.
    fn reach(&self, steps: &[GroupStep]) -> Vec<Reached> {
        let mut reached = vec![Reached { group: 0, way: Vec::new() }];
        for step in steps {
            let mut next = Vec::new();
            for Reached { group, way } in &reached {
                let of_name = self.reading.groups_named_within(*group, &step.name);
                for (occurrence, group) in chosen(&of_name, step.occurrence) {
                    let mut way = way.clone();
                    way.push(GroupStep { name: step.name.clone(), occurrence });
                    next.push(Reached { group, way });
                }
            }
            reached = next;
        }
        reached
    }

    fn place_of_new(&self, path: &Path) -> Option<InsertAt> {
        let steps = path.groups();
        let first_new = steps.iter().position(|step| step.occurrence == Occurrence::Next);
        let (known, _) = steps.split_at(first_new.unwrap_or(steps.len()));
        let [Reached { group, .. }] = self.reach(known).try_into().ok()?;
        let parent = self.reading.node_of(group);
        let find = |wanted: &dyn Fn(Node) -> bool| {
            directly(self.structure, self.grammar, parent, wanted)
                .or_else(|| below(self.structure, self.grammar, parent, wanted))
        };
        let node = match first_new.and_then(|at| steps.get(at)) {
            Some(step) => Some(find(&|node| is_group(node, &step.name))?),
            None => find(&|node| node.kind() == NodeKind::Segment(path.segment())),
        };
        let range = self.reading.groups().get(group)?.segments();
        // A segment that the structure does not have goes to the end of the group.
        let end = node.map_or(usize::MAX, |node| usize::from(self.grammar.node(node).end));
        let before = range.clone().rev().find(|&index| {
            let placement = self.reading.placements().get(index);
            placement.and_then(|placement| placement.node()).is_some_and(|node| node < end)
        });
        let Some(mut before) = before else { return Some(InsertAt::Before(range.start)) };
        // What has no place of its own stays with what it follows.
        let aside = |index: usize| {
            range.contains(&index)
                && self.reading.placements().get(index).is_some_and(|it| it.node().is_none())
        };
        while aside(before + 1) {
            before += 1;
        }
        Some(InsertAt::After(before))
    }
}

/// Those of several that an occurrence means, each with its own number.
fn chosen(all: &[usize], which: Occurrence) -> Vec<(Occurrence, usize)> {
    let mut numbered = all.iter().enumerate().filter_map(|(index, &it)| {
        let number = u32::try_from(index).ok()?.checked_add(1).and_then(NonZeroU32::new)?;
        Some((Occurrence::At(number), it))
    });
    match which {
        Occurrence::All => numbered.collect(),
        Occurrence::Last => numbered.next_back().into_iter().collect(),
        Occurrence::At(wanted) => numbered.skip(wanted.get() as usize - 1).take(1).collect(),
        Occurrence::Next => Vec::new(),
    }
}

/// The last node of a kind that stands in a group itself, or in a choice there.
fn directly(
    structure: Structure,
    grammar: &Grammar,
    parent: u16,
    wanted: &dyn Fn(Node) -> bool,
) -> Option<u16> {
    let mut found = None;
    for child in grammar.children(parent) {
        if structure.node(usize::from(child)).is_some_and(wanted) {
            found = Some(child);
        } else if grammar.node(child).shape == Shape::Choice {
            found = directly(structure, grammar, child, wanted).or(found);
        }
    }
    found
}

/// The last node of a kind anywhere within a group.
fn below(
    structure: Structure,
    grammar: &Grammar,
    parent: u16,
    wanted: &dyn Fn(Node) -> bool,
) -> Option<u16> {
    let (first, end) = match parent {
        MESSAGE => (0, structure.node_count()),
        parent => (usize::from(parent) + 1, usize::from(grammar.node(parent).end)),
    };
    let found = (first..end).rev().find(|&at| structure.node(at).is_some_and(wanted))?;
    u16::try_from(found).ok()
}

fn is_group(node: Node, name: &str) -> bool {
    matches!(node.kind(), NodeKind::Group(own) if same_name(own, name))
}

/// A few groups of the standard have hyphens or a plus in their name, which a path writes as underscores.
fn same_name(own: &str, written: &str) -> bool {
    own.len() == written.len()
        && own.bytes().zip(written.bytes()).all(|(own, written)| {
            let own = if own.is_ascii_alphanumeric() { own.to_ascii_uppercase() } else { b'_' };
            own == written
        })
}

/// Why a path through groups can't find anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupPathProblem {
    /// There is no such group.
    UnknownGroup {
        /// As it is written.
        name: Box<str>,
        /// The nearest name there is.
        nearest: Option<&'static str>,
        /// The structure it was looked for in; none is any.
        structure: Option<Structure>,
    },
    /// There is such a group, but not there.
    NotWithin {
        /// The group or segment.
        inner: Box<str>,
        /// What it is not within.
        outer: Box<str>,
        /// The structure it was looked for in; none is any.
        structure: Option<Structure>,
    },
}

impl fmt::Display for GroupPathProblem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::UnknownGroup { structure, .. } | Self::NotWithin { structure, .. }) = self;
        match structure {
            Some(structure) => {
                write!(formatter, "{} of {} has", structure.name(), structure.version())?
            }
            None => formatter.write_str("no message structure has")?,
        }
        match (self, structure) {
            (Self::UnknownGroup { name, .. }, Some(_)) => write!(formatter, " no group `{name}`"),
            (Self::UnknownGroup { name, .. }, None) => write!(formatter, " a group `{name}`"),
            (Self::NotWithin { inner, outer, .. }, Some(_)) => {
                write!(formatter, " no `{inner}` within `{outer}`")
            }
            (Self::NotWithin { inner, outer, .. }, None) => {
                write!(formatter, " `{inner}` within `{outer}`")
            }
        }
    }
}

impl GroupPathProblem {
    /// The name that was probably meant.
    pub fn nearest(&self) -> Option<&'static str> {
        match self {
            Self::UnknownGroup { nearest, .. } => *nearest,
            Self::NotWithin { .. } => None,
        }
    }
}

/// How often a structure has the group that these names lead to, or a segment in it, in what is around it.
pub(crate) fn cardinality_on_way(
    structure: Structure,
    names: &[Box<str>],
    segment: Option<SegmentName>,
) -> Option<Cardinality> {
    let grammar = structure.grammar();
    let find = |outer: u16, wanted: &dyn Fn(Node) -> bool| {
        directly(structure, grammar, outer, wanted)
            .or_else(|| below(structure, grammar, outer, wanted))
    };
    let group = names
        .iter()
        .try_fold(MESSAGE, |outer, name| find(outer, &|node: Node| is_group(node, name)))?;
    let node = match segment {
        Some(segment) => find(group, &|node: Node| node.kind() == NodeKind::Segment(segment))?,
        None => group,
    };
    Some(structure.node(usize::from(node))?.cardinality())
}

/// Whether a structure, or without one any structure of any version, has the groups of a path and the segment in
/// them. A segment of a site's own can be anywhere.
///
/// # Errors
/// The first step that leads nowhere.
pub fn check_group_path(path: &Path, structure: Option<Structure>) -> Result<(), GroupPathProblem> {
    let among = || {
        let all = Version::ALL.into_iter().flat_map(Version::structures);
        let others = all.filter(move |_| structure.is_none());
        structure.into_iter().chain(others)
    };
    let steps = path.groups();
    let leads = |count: usize| {
        let steps = steps.get(..count).unwrap_or(steps);
        among().any(|structure| !ends(structure, steps).is_empty())
    };
    for (index, step) in steps.iter().enumerate() {
        if leads(index + 1) {
            continue;
        }
        let names = || {
            among().flat_map(Structure::nodes).filter_map(|node| match node.kind() {
                NodeKind::Group(name) => Some(name),
                _ => None,
            })
        };
        let outer = index.checked_sub(1).and_then(|index| steps.get(index));
        return Err(match outer {
            Some(outer) if names().any(|name| same_name(name, &step.name)) => {
                GroupPathProblem::NotWithin {
                    inner: step.name.clone(),
                    outer: outer.name.clone(),
                    structure,
                }
            }
            _ => GroupPathProblem::UnknownGroup {
                name: step.name.clone(),
                nearest: nearest(&step.name, names()),
                structure,
            },
        });
    }
    let segment = path.segment();
    let has_segment = |structure: Structure| {
        ends(structure, steps).into_iter().any(|group| {
            below(structure, structure.grammar(), group, &|node| match node.kind() {
                NodeKind::Segment(name) => name == segment,
                NodeKind::AnySegment => true,
                _ => false,
            })
            .is_some()
        })
    };
    let is_own = segment.as_bytes().first() == Some(&b'Z');
    match steps.last() {
        Some(outer) if !is_own && !among().any(has_segment) => Err(GroupPathProblem::NotWithin {
            inner: segment.as_str().into(),
            outer: outer.name.clone(),
            structure,
        }),
        _ => Ok(()),
    }
}

/// The group nodes of a structure that these steps end at.
fn ends(structure: Structure, steps: &[GroupStep]) -> Vec<u16> {
    let grammar = structure.grammar();
    let mut reached = vec![MESSAGE];
    for step in steps {
        let mut next = Vec::new();
        for outer in reached {
            let (first, end) = match outer {
                MESSAGE => (0, structure.node_count()),
                outer => (usize::from(outer) + 1, usize::from(grammar.node(outer).end)),
            };
            let named = (first..end)
                .filter(|&at| structure.node(at).is_some_and(|node| is_group(node, &step.name)));
            next.extend(named.filter_map(|at| u16::try_from(at).ok()));
        }
        next.dedup();
        reached = next;
    }
    reached
}

/// The name that differs least, if it does not differ much.
fn nearest(written: &str, names: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    let scored = names.map(|name| (strsim::damerau_levenshtein(written, name), name));
    let (distance, name) = scored.min()?;
    (distance <= written.len() / 3).then_some(name)
}

#[cfg(test)]
mod tests;
