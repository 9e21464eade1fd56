//! Message structures: which segments a message has, in which order and groups.

use pipehat_message::SegmentName;

use crate::element::Cardinality;
use crate::file::{self, Row, Rows};
use crate::layout::{DEPRECATED, NODE_ANY_SEGMENT, NODE_CHOICE, NODE_GROUP, Section};
use crate::version::Version;

/// A message structure as one version defines it (HL7 v2.5.1 §2.12, the abstract message syntax).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Structure {
    version: Version,
    at: u32,
}

/// A segment, a segment group or a choice within a structure.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Node {
    at: u32,
}

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NodeKind {
    /// A segment.
    Segment(SegmentName),
    /// A segment group, with its name.
    Group(&'static str),
    /// One of its children.
    Choice,
    /// Any segment: `ANYHL7SEGMENT`, the standard's `[Hxx]`.
    AnySegment,
}

impl Structure {
    #[inline]
    pub(crate) const fn new(version: Version, at: u32) -> Self {
        Self { version, at }
    }

    fn row(self) -> Row {
        file::row(Section::Structures, self.at)
    }

    /// The version that defines it so.
    pub const fn version(self) -> Version {
        self.version
    }

    /// Its name, as in `ADT_A01`; in 2.9.1 with its variant, as in `ADT_A01-A`.
    pub fn name(self) -> &'static str {
        self.row().text(0)
    }

    /// Its name without a variant: what MSH-9.3 says.
    pub fn base_name(self) -> &'static str {
        let name = self.name();
        name.split_once('-').map_or(name, |(base, _)| base)
    }

    /// Segments, groups and choices, in the order of the standard, each group before what is in it.
    pub fn nodes(self) -> impl ExactSizeIterator<Item = Node> {
        self.rows().iter().map(|at| Node { at })
    }

    /// How many nodes it has.
    pub fn node_count(self) -> usize {
        self.rows().count as usize
    }

    /// A node, by its index from 0 in the order of [`Structure::nodes`].
    #[inline]
    pub fn node(self, index: usize) -> Option<Node> {
        self.rows().at(index).map(|at| Node { at })
    }

    #[inline]
    fn rows(self) -> Rows {
        self.row().run(4)
    }

    /// Its place among the structures of all versions.
    #[inline]
    pub(crate) fn row_index(self) -> usize {
        self.at as usize
    }
}

impl std::fmt::Debug for Structure {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} of {}", self.name(), self.version)
    }
}

impl Node {
    #[inline]
    fn row(self) -> Row {
        file::row(Section::Nodes, self.at)
    }

    /// What it is.
    #[inline]
    pub fn kind(self) -> NodeKind {
        let row = self.row();
        match row.u8(10) {
            NODE_GROUP => NodeKind::Group(row.text(0)),
            NODE_CHOICE => NodeKind::Choice,
            NODE_ANY_SEGMENT => NodeKind::AnySegment,
            _ => SegmentName::new(row.name(0)).map_or(NodeKind::AnySegment, NodeKind::Segment),
        }
    }

    /// How often it may occur.
    #[inline]
    pub fn cardinality(self) -> Cardinality {
        let row = self.row();
        Cardinality::of(row.u16(4), row.u16(6))
    }

    /// How many nodes are below it: those that follow it in [`Structure::nodes`].
    #[inline]
    pub fn descendants(self) -> usize {
        usize::from(self.row().u16(8))
    }

    /// Whether the version keeps it for older messages only.
    pub fn is_deprecated(self) -> bool {
        self.row().u8(11) & DEPRECATED != 0
    }
}

impl std::fmt::Debug for Node {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{:?}", self.kind())
    }
}
