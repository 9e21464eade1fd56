//! One message into several: batches, and repeated groups such as the OBR groups of an ORU.

use bytes::Bytes;
use pipehat_dictionary::{GroupInstance, Reading};
use pipehat_message::{
    BatchPartKind, Batches, HeaderFound, Message, ParseError, Path, SegmentName,
};

use super::step::{ControlIds, Parts};
use crate::effects::Effects;

/// The messages of a batch or of a file of batches, each the very bytes it has there; none where
/// there is a single message.
pub(super) fn batch(bytes: &Bytes, messages_max: usize) -> Option<Result<Vec<Bytes>, String>> {
    let single = match Message::parse(bytes) {
        Err(ParseError::NoHeader { found: HeaderFound::Batch, .. }) => false,
        // A message that is followed by another is a batch without its envelope.
        Ok(message) => {
            message.segments().filter(|one| one.segment_name() == Some(SegmentName::MSH)).count()
                < 2
        }
        Err(_) => true,
    };
    if single {
        return None;
    }
    let mut messages = Vec::new();
    for part in Batches::new(bytes) {
        match part.kind {
            BatchPartKind::Message if messages.len() < messages_max => {
                messages.push(bytes.slice_ref(part.content()));
            }
            BatchPartKind::Message => {
                return Some(Err(format!("the batch has more than {messages_max} messages")));
            }
            _ => {}
        }
    }
    if messages.is_empty() {
        return Some(Err("the batch has no message in it".to_owned()));
    }
    Some(Ok(messages))
}

/// One of the messages to be made: which lines of the received one it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    head: Vec<usize>,
    own: std::ops::Range<usize>,
}

/// The groups of a message that each begin at a segment called `each`.
///
/// What stands before the first group is the head that all have in common. An ORC right before
/// the segment begins its group (order and result messages have it there). A later PID begins a
/// new head: what stands before the first PID, and from this PID on (several patients in one ORU,
/// HL7 v2.5.1 §7.3.1).
pub(super) fn groups(message: &Message<'_>, each: &Parts) -> Vec<Group> {
    match each {
        Parts::Segments(each) => segments(message, *each),
        Parts::Groups(path) => segment_groups(message, path),
    }
}

/// The segment groups that hold what a path names, each with what stands before the first of its kind in the groups
/// around it. What follows the last of its kind stays with that one.
fn segment_groups(message: &Message<'_>, path: &Path) -> Vec<Group> {
    let Some(reading) = Reading::of(message) else { return Vec::new() };
    let mut wanted: Vec<usize> = message
        .segment_indexes(path)
        .filter_map(|index| reading.placements().get(index).map(|placed| placed.group()))
        .map(|group| named_by(&reading, group, path))
        .collect();
    wanted.dedup();
    let at = |group: usize| reading.groups().get(group).copied();
    let start = |group: usize| at(group).map_or(0, |group| group.segments().start);
    let mut groups = Vec::with_capacity(wanted.len());
    for (index, &group) in wanted.iter().enumerate() {
        let mut heads = Vec::new();
        let mut inner = group;
        while inner != 0
            && let Some(own) = at(inner)
        {
            let outer = own.parent();
            let same = |other: &&GroupInstance| {
                other.parent() == outer && other.node() == own.node() && other.occurrence() == 1
            };
            let first = reading.groups().iter().skip(outer + 1).find(same);
            let first = first.map_or(own.segments().start, |first| first.segments().start);
            heads.push(start(outer)..first);
            inner = outer;
        }
        let mut end = message.segments().len();
        if let Some(&next) = wanted.get(index + 1) {
            // Up to where the next one, or the group around it beside ours, begins.
            let parent = |group: usize| at(group).map_or(0, GroupInstance::parent);
            let holds_next =
                |group: usize| at(group).is_none_or(|it| it.segments().contains(&start(next)));
            let mut own = group;
            while !holds_next(parent(own)) {
                own = parent(own);
            }
            let mut beside = next;
            while beside != 0 && parent(beside) != parent(own) {
                beside = parent(beside);
            }
            end = start(beside);
        }
        let head = heads.into_iter().rev().flatten().collect();
        groups.push(Group { head, own: start(group)..end });
    }
    groups
}

/// The group that the last step of a path names, around this group or itself.
fn named_by(reading: &Reading, group: usize, path: &Path) -> usize {
    let Some(step) = path.groups().last() else { return group };
    let mut named = group;
    while named != 0 && reading.group_name(named) != &*step.name {
        named = reading.groups().get(named).map_or(0, |group| group.parent());
    }
    if named == 0 { group } else { named }
}

fn segments(message: &Message<'_>, each: SegmentName) -> Vec<Group> {
    let names: Vec<Option<SegmentName>> =
        message.segments().map(|segment| segment.segment_name()).collect();
    let patient = named("PID");
    let common_order = named("ORC");
    let starts_here = |index: usize| {
        let name = |index: usize| names.get(index).copied().flatten();
        let own = name(index) == Some(each);
        let led = index.checked_sub(1).is_some_and(|before| name(before) == common_order);
        let leads = name(index) == common_order && name(index + 1) == Some(each);
        (own && (!led || common_order == Some(each))) || leads
    };
    let first_patient = names.iter().position(|name| name.is_some() && *name == patient);
    let mut groups = Vec::new();
    let mut head: Vec<usize> = Vec::new();
    let mut start: Option<usize> = None;
    for index in 0..names.len() {
        let new_patient = start.is_some()
            && patient != Some(each)
            && names.get(index).copied().flatten() == patient
            && patient.is_some();
        if (starts_here(index) || new_patient)
            && let Some(start) = start.take()
        {
            groups.push(Group { head: head.clone(), own: start..index });
        }
        if new_patient {
            head = (0..first_patient.unwrap_or(index)).collect();
        }
        if starts_here(index) {
            start = Some(index);
        } else if start.is_none() {
            head.push(index);
        }
    }
    if let Some(start) = start {
        groups.push(Group { head, own: start..names.len() });
    }
    groups
}

fn named(name: &str) -> Option<SegmentName> {
    SegmentName::try_from(name).ok()
}

impl Group {
    /// The message: its lines unchanged, each ended by CR.
    pub(super) fn bytes(&self, message: &Message<'_>) -> Vec<u8> {
        let mut bytes = Vec::new();
        for index in self.head.iter().copied().chain(self.own.clone()) {
            if let Some(segment) = message.segment_at(index) {
                bytes.extend_from_slice(segment.raw());
                bytes.push(b'\r');
            }
        }
        bytes
    }
}

/// The control id of the message at `index` (from 0) of a split.
pub(super) fn control_id(
    message: &Message<'_>,
    how: ControlIds,
    index: usize,
    effects: &mut dyn Effects,
) -> Vec<u8> {
    match how {
        ControlIds::New => effects.control_id().into_bytes(),
        ControlIds::Numbered => {
            let received = message
                .segment("MSH", 1)
                .and_then(|header| header.field(10))
                .map(|id| id.decoded().into_owned())
                .unwrap_or_default();
            let number = format!(".{}", index + 1);
            [received, number.into_bytes()].concat()
        }
    }
}

/// MSH-10.
pub(super) fn control_id_path() -> Path {
    Path::parse("MSH-10").expect("MSH-10 is a path")
}
