//! Messages with more patients or documents than their structure has: senders batch like that.
//!
//! What stands behind another PID is of that patient: nothing that was told before it, except what stands before the first PID,
//! is of it. What stands behind another TXA, and the order before it, is of that document.

use std::ops::Range;

use pipehat_dictionary::Reading;

use super::view::View;
use crate::condition::Name;
use crate::plan::MessageMap;

const OBX: Name = Name(*b"OBX");
const PID: Name = Name(*b"PID");
const TXA: Name = Name(*b"TXA");
/// What is of one document of several.
const OF_DOCUMENT: [Name; 8] = [
    TXA,
    OBX,
    Name(*b"NTE"),
    Name(*b"CON"),
    Name(*b"ORC"),
    Name(*b"OBR"),
    Name(*b"TQ1"),
    Name(*b"TQ2"),
];
/// What a prior result has at least one of.
const ORDERS: [Name; 2] = [Name(*b"ORC"), Name(*b"OBR")];
/// What stands behind a TXA, or behind an OBX under it: it is never of the next document.
const BEHIND: [Name; 3] = [Name(*b"NTE"), Name(*b"PRT"), Name(*b"CON")];

/// The parts of a message; empty where its structure has room for all of it, as nearly always.
#[derive(Debug, Default)]
pub(super) struct Parts {
    /// The first PID: what stands before it is of all patients.
    first: usize,
    /// The PIDs that begin what is another patient's.
    patients: Vec<usize>,
    /// Where a further document begins, with the order before its TXA.
    documents: Vec<usize>,
    /// Groups of a prior result that hold no order: what was read into them is the next patient's own.
    strayed: Vec<usize>,
}

impl Parts {
    /// Where another patient and where a further document begins.
    pub(super) fn of(view: &View<'_>, reading: &Reading, map: &MessageMap) -> Self {
        let is_further =
            |at: usize| view.occurrence(at) > 1 && matches!(view.name(at), Some(PID | TXA));
        if !(0..view.len()).any(is_further) {
            return Self::default();
        }
        let named = |name: Name| (0..view.len()).filter(move |at| view.name(*at) == Some(name));
        let mut parts = Self { first: named(PID).next().unwrap_or(0), ..Self::default() };
        let mut before: Vec<usize> = Vec::new();
        for pid in named(PID) {
            let is_same = before.last().is_some_and(|last| is_same_patient(view, *last, pid));
            let node = |at: usize| reading.placements().get(at).and_then(|own| own.node());
            // A structure that has room for two patients has a PID for each (ADT_A24).
            let is_beyond =
                node(pid).is_none() || before.iter().any(|other| node(*other) == node(pid));
            let prior = prior_of(reading, pid);
            let is_stray = prior.is_some_and(|prior| !has_order(view, reading, prior));
            let is_next = is_stray || is_beyond && prior.is_none();
            if !before.is_empty() && !is_same && is_next {
                parts.patients.push(pid);
                parts.strayed.extend(prior);
            }
            before.push(pid);
        }
        if map.homes.contains_key(&TXA) {
            for txa in named(TXA).skip(1) {
                let is_end = |at: &usize| matches!(view.name(*at), Some(OBX | TXA | PID));
                let mut begin = (0..txa).rev().find(is_end).map_or(txa, |end| end + 1);
                while view.name(begin).is_some_and(|name| BEHIND.contains(&name)) {
                    begin += 1;
                }
                parts.documents.push(begin.min(txa));
            }
        }
        parts
    }

    /// Whether what the segment of a name says may be asked for at another: no other patient begins between, and what is of a
    /// document is of the same.
    pub(super) fn may_say(&self, name: Name, one: usize, other: usize) -> bool {
        if !self.are_several() {
            return true;
        }
        let (from, to) = (one.min(other), one.max(other));
        let begins = |own: &[usize]| own.iter().any(|begin| (from + 1..=to).contains(begin));
        let is_of_document = OF_DOCUMENT.contains(&name);
        !(from >= self.first && begins(&self.patients) || is_of_document && begins(&self.documents))
    }

    /// Whether there are more patients or documents than the structure has.
    pub(super) fn are_several(&self) -> bool {
        !(self.patients.is_empty() && self.documents.is_empty())
    }

    /// Whether a segment stands where the structure has no room for it, in a group that it has nothing to do with.
    pub(super) fn is_stray(&self, reading: &Reading, segment: usize) -> bool {
        self.are_several()
            && reading.placements().get(segment).is_some_and(|own| {
                own.node().is_none() || self.is_stray_group(reading, own.group())
            })
    }

    /// Whether a group is, or is within, a prior result that is none.
    pub(super) fn is_stray_group(&self, reading: &Reading, mut group: usize) -> bool {
        while group != 0 && !self.strayed.is_empty() {
            if self.strayed.contains(&group) {
                return true;
            }
            group = reading.groups().get(group).map_or(0, |own| own.parent());
        }
        false
    }

    /// Whether another patient begins with a segment.
    pub(super) fn begins_patient(&self, segment: usize) -> bool {
        self.patients.contains(&segment)
    }

    /// Whether a further document begins with a segment.
    pub(super) fn begins_document(&self, segment: usize) -> bool {
        self.documents.contains(&segment)
    }

    /// Whether something stands in a slot that is of all patients: it was made before the first PID.
    pub(super) fn is_of_all(&self, segment: usize) -> bool {
        segment < self.first
    }

    /// The segments that are of the same document as one, of a message of so many.
    pub(super) fn document(&self, segment: usize, count: usize) -> Range<usize> {
        let begins = || self.documents.iter().chain(&self.patients).copied();
        let start = begins().filter(|begin| *begin <= segment).max().unwrap_or(0);
        let end = begins().filter(|begin| *begin > segment).min().unwrap_or(count);
        start..end
    }
}

/// Whether a PID is the one before it once more: by its numbers and the name.
fn is_same_patient(view: &View<'_>, one: usize, other: usize) -> bool {
    let told = |segment: usize| [3, 5].map(|field| view.field(segment, field).trim_ascii());
    told(one) == told(other) && told(one).first().is_some_and(|numbers| !numbers.is_empty())
}

/// The outermost group of a prior result around a PID.
fn prior_of(reading: &Reading, pid: usize) -> Option<usize> {
    let placement = reading.placements().get(pid).filter(|own| own.node().is_some())?;
    let mut group = placement.group();
    let mut prior = None;
    while group != 0 {
        if reading.group_name(group).contains("PRIOR") {
            prior = Some(group);
        }
        group = reading.groups().get(group).map_or(0, |own| own.parent());
    }
    prior
}

/// Whether a group has a segment that tells an order.
fn has_order(view: &View<'_>, reading: &Reading, group: usize) -> bool {
    let mut segments = reading.groups().get(group).into_iter().flat_map(|own| own.segments());
    segments.any(|segment| view.name(segment).is_some_and(|name| ORDERS.contains(&name)))
}
