//! A version's definitions, looked up once and laid out for writing.

use pipehat_dictionary::{DataType, Element, NodeKind, Structure, TableKind, Usage, Version};
use pipehat_message::SegmentName;

use crate::content::{Provider, provider};

/// How a data type is formed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Formatted,
    Number,
    Sequence,
    /// ID and IS.
    Code,
    Date,
    Time,
    DateTime,
    Telephone,
    /// TS: a composite whose first component is the time.
    TimeStamp,
    /// CX and its forebears.
    Identifier,
    Entity,
    Entities,
    Designator,
    Name,
    Family,
    Practitioner,
    /// CN: before there was an authority that assigned the number.
    OldPractitioner,
    Bed,
    Address,
    Street,
    Contact,
    Coded,
    Organization,
    Quantity,
    Price,
    Money,
    Timing,
    Period,
    MessageType,
    Document,
    Structured,
    Location,
    /// What comes goes into its first component.
    OtherComposite,
    /// CM of old versions, whose components nothing names.
    Untyped,
    /// The type is said elsewhere, as for OBX-5.
    Varies,
}

fn kind_of(name: &str, is_primitive: bool) -> Kind {
    match name {
        "FT" | "TX" => Kind::Formatted,
        "NM" => Kind::Number,
        "SI" => Kind::Sequence,
        "ID" | "IS" => Kind::Code,
        "DT" => Kind::Date,
        "TM" => Kind::Time,
        "DTM" => Kind::DateTime,
        "TN" => Kind::Telephone,
        "TS" | "TSW" => Kind::TimeStamp,
        "Varies" | "VARIES" | "*" => Kind::Varies,
        "CM" if is_primitive => Kind::Untyped,
        "CX" | "CK" | "CK_ACCOUNT_NO" | "CK_PAT_ID" | "CM_PAT_ID" | "CM_PAT_ID_0192" => {
            Kind::Identifier
        }
        "EI" | "CM_PLACER" | "CM_FILLER" | "CM_GROUP_ID" => Kind::Entity,
        "EIP" | "CM_EIP" => Kind::Entities,
        "HD" => Kind::Designator,
        "XPN" | "PN" => Kind::Name,
        "FN" => Kind::Family,
        "XCN" | "PPN" => Kind::Practitioner,
        "CN" | "CNN" | "CN_PERSON" | "CN_PHYSICIAN" => Kind::OldPractitioner,
        "PL" | "CM_INTERNAL_LOCATION" => Kind::Bed,
        "XAD" | "AD" => Kind::Address,
        "SAD" => Kind::Street,
        "XTN" => Kind::Contact,
        "CE" | "CWE" | "CNE" | "CF" => Kind::Coded,
        "XON" => Kind::Organization,
        "CQ" | "CQ_QUANTITY" | "CQ_SIMPLE" => Kind::Quantity,
        "CP" => Kind::Price,
        "MO" => Kind::Money,
        "TQ" => Kind::Timing,
        "DR" => Kind::Period,
        "MSG" | "CM_MSG" => Kind::MessageType,
        "ED" => Kind::Document,
        "SN" => Kind::Structured,
        "ERL" | "ELD" | "CM_ELD" => Kind::Location,
        _ if is_primitive => Kind::Text,
        _ => Kind::OtherComposite,
    }
}

/// Whether something may and must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    Must,
    May,
    /// Withdrawn, not supported, or a position that the standard skips.
    Never,
}

/// A field or a component.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Part {
    pub(crate) kind: Kind,
    pub(crate) need: Need,
    /// Where its components are in [`Plan::types`].
    pub(crate) data_type: u16,
    /// Where its codes are in [`Plan::tables`].
    pub(crate) table: Option<u16>,
    pub(crate) characters_max: u32,
    /// How long a value may be that every receiver takes.
    pub(crate) comfortable: u32,
    pub(crate) most: u16,
    pub(crate) position: u16,
    /// A text that is a time: the first component of TS before it had a type of its own.
    pub(crate) is_time: bool,
    pub(crate) name: &'static str,
}

/// The codes of a table.
#[derive(Debug)]
pub(crate) struct Codes {
    pub(crate) number: u16,
    /// Whether other codes are allowed.
    pub(crate) is_open: bool,
    /// Sorted: code, what it means.
    pub(crate) codes: Vec<(&'static str, &'static str)>,
    /// The codes that fit into eight bytes as numbers, sorted, with their places.
    keys: Vec<(u64, u16)>,
}

/// A short code as a number.
fn key(code: &str) -> Option<u64> {
    let mut bytes = [0; 8];
    bytes.get_mut(..code.len())?.copy_from_slice(code.as_bytes());
    Some(u64::from_be_bytes(bytes))
}

impl Codes {
    /// The spelling of the table, and what it means.
    pub(crate) fn find(&self, code: &str) -> Option<(&'static str, &'static str)> {
        let at = match key(code) {
            Some(key) => {
                let at = self.keys.binary_search_by_key(&key, |(key, _)| *key).ok()?;
                usize::from(self.keys.get(at)?.1)
            }
            None => self.codes.binary_search_by(|(listed, _)| (*listed).cmp(code)).ok()?,
        };
        self.codes.get(at).copied()
    }
}

/// A segment.
#[derive(Debug)]
pub(crate) struct SegmentPlan {
    pub(crate) name: SegmentName,
    pub(crate) fields: Vec<Part>,
    pub(crate) provider: Option<Provider>,
}

/// A node of a message structure.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NodePlan {
    pub(crate) kind: NodePlanKind,
    pub(crate) least: u16,
    pub(crate) most: u16,
    pub(crate) descendants: u16,
    /// The segment that says what the node is about: its own, or the first that a group needs.
    pub(crate) head: [u8; 3],
    /// Whether somebody knows what to write into everything that the node must have.
    pub(crate) is_known: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NodePlanKind {
    /// With its place in [`Plan::segments`].
    Segment(u16),
    Group(&'static str),
    Choice,
    Any,
}

/// A version as it is written.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) version: Version,
    pub(crate) segments: Vec<SegmentPlan>,
    pub(crate) types: Vec<(&'static str, Kind, Vec<Part>)>,
    pub(crate) tables: Vec<Codes>,
}

impl Plan {
    pub(crate) fn new(version: Version) -> Self {
        let mut plan =
            Self { version, segments: Vec::new(), types: Vec::new(), tables: Vec::new() };
        plan.tables = version.tables().map(codes).collect();
        let types: Vec<DataType> = version.data_types().collect();
        plan.types = types
            .iter()
            .map(|one| (one.name(), kind_of(one.name(), one.is_primitive()), Vec::new()))
            .collect();
        for (at, data_type) in types.iter().enumerate() {
            let mut parts: Vec<Part> =
                data_type.components().map(|element| plan.part(element)).collect();
            if let Some((_, kind, components)) = plan.types.get_mut(at) {
                if *kind == Kind::TimeStamp
                    && let Some(first) = parts.first_mut()
                {
                    first.is_time = true;
                }
                // Types like CF are defined without components in some versions.
                if parts.is_empty() && !matches!(kind_of(data_type.name(), true), Kind::Varies) {
                    *kind = kind_without_components(*kind);
                }
                *components = parts;
            }
        }
        for definition in version.segments() {
            let fields = definition.fields().map(|element| plan.part(element)).collect();
            let name = definition.name();
            plan.segments.push(SegmentPlan { name, fields, provider: provider(name.as_bytes()) });
        }
        plan
    }

    fn part(&self, element: Element) -> Part {
        let named = element.data_type().map(|one| one.name()).unwrap_or_default();
        let at = self.type_named(named);
        let need = if at.is_none() {
            Need::Never
        } else {
            match element.usage() {
                Usage::Required => Need::Must,
                Usage::Withdrawn | Usage::NotSupported => Need::Never,
                _ if element.cardinality().most == Some(0) => Need::Never,
                _ if element.cardinality().least > 0 => Need::Must,
                _ => Need::May,
            }
        };
        let data_type = at.unwrap_or_default();
        let (_, kind, components) = &self.types[usize::from(data_type)];
        let kind = match kind_of(named, components.is_empty()) {
            Kind::OtherComposite | Kind::Text => *kind,
            kind => kind,
        };
        Part {
            kind,
            need,
            data_type,
            table: element.table().and_then(|table| {
                let number = table.number().get();
                let at = self.tables.binary_search_by_key(&number, |codes| codes.number).ok()?;
                u16::try_from(at).ok()
            }),
            // The published length of MSH-9 in some versions has no room for the trigger event it must have.
            characters_max: if kind == Kind::MessageType
                || element.name().eq_ignore_ascii_case("message type")
            {
                u32::MAX
            } else {
                element.length_max().unwrap_or(u32::MAX)
            },
            comfortable: element
                .conformance_length()
                .map_or(u32::MAX, |length| length.characters)
                .min(element.length_max().unwrap_or(u32::MAX)),
            most: element.cardinality().most.unwrap_or(u16::MAX),
            position: element.position(),
            is_time: false,
            name: element.name(),
        }
    }

    /// Where a data type is in [`Plan::types`].
    pub(crate) fn type_named(&self, name: &str) -> Option<u16> {
        let at = self.types.binary_search_by(|(listed, ..)| (*listed).cmp(name));
        // Names are sorted as the definitions are; a test looks.
        at.ok()
            .or_else(|| self.types.iter().position(|(listed, ..)| *listed == name))
            .and_then(|at| u16::try_from(at).ok())
    }

    pub(crate) fn segment_at(&self, name: &[u8; 3]) -> Option<u16> {
        let at =
            self.segments.binary_search_by(|segment| segment.name.as_bytes().cmp(name)).ok()?;
        u16::try_from(at).ok()
    }

    pub(crate) fn components(&self, part: &Part) -> &[Part] {
        self.types.get(usize::from(part.data_type)).map_or(&[], |(_, _, parts)| parts)
    }

    pub(crate) fn codes(&self, part: &Part) -> Option<&Codes> {
        part.table.and_then(|at| self.tables.get(usize::from(at)))
    }

    /// The nodes of a structure, each group before what is in it.
    pub(crate) fn structure(&self, structure: Structure) -> Vec<NodePlan> {
        let mut nodes: Vec<NodePlan> = structure
            .nodes()
            .map(|node| {
                let (kind, head) = match node.kind() {
                    NodeKind::Segment(name) => match self.segment_at(name.as_bytes()) {
                        Some(at) => (NodePlanKind::Segment(at), *name.as_bytes()),
                        None => (NodePlanKind::Any, *b"   "),
                    },
                    NodeKind::Group(name) => (NodePlanKind::Group(name), *b"   "),
                    NodeKind::Choice => (NodePlanKind::Choice, *b"   "),
                    NodeKind::AnySegment => (NodePlanKind::Any, *b"   "),
                };
                let cardinality = node.cardinality();
                NodePlan {
                    kind,
                    least: cardinality.least,
                    most: if node.is_deprecated() {
                        cardinality.least
                    } else {
                        cardinality.most.unwrap_or(u16::MAX)
                    },
                    descendants: u16::try_from(node.descendants()).unwrap_or(u16::MAX),
                    head,
                    is_known: true,
                }
            })
            .collect();
        // From the last to the first: what is in a group is known before the group.
        for at in (0..nodes.len()).rev() {
            let (head, is_known) = self.nature(&nodes, at);
            if let Some(node) = nodes.get_mut(at) {
                (node.head, node.is_known) = (head, is_known);
            }
        }
        nodes
    }

    fn nature(&self, nodes: &[NodePlan], at: usize) -> ([u8; 3], bool) {
        let Some(node) = nodes.get(at) else { return (*b"   ", false) };
        match node.kind {
            NodePlanKind::Segment(segment) => {
                let plan = self.segments.get(usize::from(segment));
                (node.head, plan.is_some_and(|plan| plan.provider.is_some()))
            }
            NodePlanKind::Any => (node.head, false),
            NodePlanKind::Choice | NodePlanKind::Group(_) => {
                let children = children(nodes, at);
                let own = |child: &&NodePlan| {
                    matches!(child.kind, NodePlanKind::Segment(_) | NodePlanKind::Choice)
                };
                let needed = children.clone().filter(own).find(|child| child.least > 0);
                let head = needed
                    .or_else(|| children.clone().find(own))
                    .map_or(*b"   ", |child| child.head);
                let is_known = match node.kind {
                    NodePlanKind::Choice => children.clone().any(|child| child.is_known),
                    // Nobody remembers earlier results of orders that are placed now.
                    NodePlanKind::Group(name) if name.contains("PRIOR") => false,
                    _ => children.clone().all(|child| child.least == 0 || child.is_known),
                };
                (head, is_known)
            }
        }
    }
}

/// Makes a segment one that a message must have where the structure first has it, or never has.
pub(crate) fn require(nodes: &mut [NodePlan], name: SegmentName, must: bool) {
    let named = |node: &NodePlan| {
        matches!(node.kind, NodePlanKind::Segment(_)) && node.head == *name.as_bytes()
    };
    if !must {
        // What the structure requires stays: the standard has the last word there.
        for node in nodes.iter_mut().filter(|node| named(node) && node.least == 0) {
            node.most = 0;
        }
        return;
    }
    let Some(at) = nodes.iter().position(named) else { return };
    for (index, node) in nodes.iter_mut().enumerate().take(at + 1) {
        if index == at || index + usize::from(node.descendants) >= at {
            (node.least, node.most, node.is_known) = (node.least.max(1), node.most.max(1), true);
        }
    }
}

/// The nodes directly below one.
pub(crate) fn children(nodes: &[NodePlan], at: usize) -> impl Iterator<Item = &NodePlan> + Clone {
    let end = nodes.get(at).map_or(at, |node| at + 1 + usize::from(node.descendants));
    let mut next = at + 1;
    std::iter::from_fn(move || {
        let node = nodes.get(next).filter(|_| next < end)?;
        next += 1 + usize::from(node.descendants);
        Some(node)
    })
    .collect::<Vec<_>>()
    .into_iter()
}

const fn kind_without_components(kind: Kind) -> Kind {
    match kind {
        Kind::Text
        | Kind::Formatted
        | Kind::Number
        | Kind::Sequence
        | Kind::Code
        | Kind::Date
        | Kind::Time
        | Kind::DateTime
        | Kind::Telephone
        | Kind::Untyped
        | Kind::Varies => kind,
        Kind::TimeStamp => Kind::DateTime,
        Kind::Money | Kind::Quantity | Kind::Price => Kind::Number,
        _ => Kind::Text,
    }
}

fn codes(table: pipehat_dictionary::Table) -> Codes {
    let is_placeholder = |code: &str| {
        code.contains("...")
            || code.contains('<') && code.len() > 1
            || code.contains("zzz")
            || code.contains("xxx")
            || code.contains(' ') && code.len() > 12
    };
    let mut is_open = table.kind() == TableKind::External || table.code_count() == 0;
    let mut list = Vec::with_capacity(table.code_count());
    for code in table.codes() {
        if is_placeholder(code.code()) {
            is_open = true;
        } else if !code.code().is_empty() {
            list.push((code.code(), code.display()));
        }
    }
    is_open |= list.is_empty();
    let mut keys: Vec<(u64, u16)> =
        list.iter().zip(0..).filter_map(|((code, _), at)| Some((key(code)?, at))).collect();
    keys.sort_unstable();
    Codes { number: table.number().get(), is_open, codes: list, keys }
}
