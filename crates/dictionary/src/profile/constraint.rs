//! What a profile says: of the whole, of segments, of fields and their parts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pipehat_message::SegmentName;

use super::condition::Condition;
use super::evidence::Evidence;
use super::format::Format;
use super::group::{GroupConstraint, GroupWay};
use super::place::Place;
use super::rule::Rule;
use super::value_set::{ValueSet, ValueSource};
use crate::element::{Cardinality, Usage};
use crate::version::Version;

/// A partner's dialect.
#[derive(Debug, Clone)]
pub struct Profile {
    /// Its name, as its file is named.
    pub name: Box<str>,
    /// The version it stands on.
    pub version: Version,
    /// What it is for.
    pub description: Option<Box<str>>,
    /// The messages it covers; none: every one.
    pub messages: Vec<MessageType>,
    /// What it says about segments, and about what is in them.
    pub segments: BTreeMap<SegmentName, SegmentConstraint>,
    /// What it says about segment groups, and about segments in them.
    pub groups: BTreeMap<GroupWay, GroupConstraint>,
    /// What holds between fields.
    pub rules: Vec<Rule>,
    /// Departures from the standard that are taken.
    pub accepted: Vec<Accepted>,
    /// What it was learned from.
    pub evidence: Option<Evidence>,
}

/// A departure from the standard that is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// Where; none: anywhere.
    pub at: Option<Place>,
    /// The rule of the standard, by its name in findings.
    pub rule: &'static str,
    /// How often it was seen.
    pub seen: Option<u64>,
}

/// A message code, with a trigger event or for all of them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageType {
    /// MSH-9.1.
    pub code: Box<str>,
    /// MSH-9.2; none: every one.
    pub trigger: Option<Box<str>>,
}

/// What is said about a segment.
#[derive(Debug, Clone, Default)]
pub struct SegmentConstraint {
    /// What it is called, for one that the standard does not have.
    pub name: Option<Box<str>>,
    /// Whether a message has to have it.
    pub usage: Option<UsageConstraint>,
    /// How often a message has it.
    pub cardinality: Option<Cardinality>,
    /// Where it may stand, for one that the message structure does not have there.
    pub standing: Option<Standing>,
    /// Its fields by position, the first at index 0.
    pub fields: Vec<Option<Box<ElementConstraint>>>,
}

/// Where a segment may stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Behind one of these, segments of its own name between them or not.
    After(Vec<SegmentName>),
    /// Anywhere behind MSH.
    Anywhere,
}

/// What is said about a field, a component or a subcomponent.
#[derive(Debug, Clone, Default)]
pub struct ElementConstraint {
    /// What it is called.
    pub name: Option<Box<str>>,
    /// Its data type.
    pub data_type: Option<Box<str>>,
    /// Whether it has to be there.
    pub usage: Option<UsageConstraint>,
    /// How often a field occurs.
    pub cardinality: Option<Cardinality>,
    /// How many characters it has.
    pub length: Option<Length>,
    /// The codes it may have.
    pub values: Option<Arc<ValueSet>>,
    /// The one value it always has.
    pub constant: Option<Box<str>>,
    /// How a date or time is written.
    pub format: Option<Format>,
    /// What a value looks like.
    pub pattern: Option<regex::bytes::Regex>,
    /// Its parts by position, the first at index 0.
    pub parts: Vec<Option<Box<ElementConstraint>>>,
}

/// Whether something has to be there, which may depend.
#[derive(Debug, Clone)]
pub struct UsageConstraint {
    /// Always, or where the condition holds.
    pub usage: Usage,
    /// Where it does not hold.
    pub otherwise: Usage,
    /// On what it depends.
    pub when: Option<Condition>,
}

/// How many characters a value has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Length {
    /// At least.
    pub least: u32,
    /// At most; none: any number.
    pub most: Option<u32>,
}

impl Length {
    /// Whether whatever has this length also has another.
    pub(super) fn is_within(self, other: Self) -> bool {
        self.least >= other.least && self.most.unwrap_or(u32::MAX) <= other.most.unwrap_or(u32::MAX)
    }
}

/// The most fields a profile speaks of in one segment; the longest of the standard has some eighty.
pub(super) const FIELDS_MAX: u16 = 999;

/// The most components or subcomponents a profile speaks of in one field.
pub(super) const PARTS_MAX: u16 = 99;

impl UsageConstraint {
    /// One that does not depend.
    pub const fn of(usage: Usage) -> Self {
        Self { usage, otherwise: usage, when: None }
    }

    /// `C(R/O)`, or the usage itself.
    pub fn code(&self) -> String {
        if self.when.is_none() && self.usage == self.otherwise {
            return self.usage.code().to_owned();
        }
        format!("C({}/{})", self.usage.code(), self.otherwise.code())
    }
}

impl MessageType {
    /// Reads `ADT` or `ADT^A01` (also `ADT_A01`).
    pub fn parse(text: &str) -> Option<Self> {
        let is_name = |name: &str| {
            (2..=3).contains(&name.len())
                && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
        };
        let (code, trigger) = match text.split_once(['^', '_']) {
            Some((code, trigger)) => (code, Some(trigger)),
            None => (text, None),
        };
        let sound = is_name(code) && trigger.is_none_or(is_name);
        sound.then(|| Self { code: code.into(), trigger: trigger.map(Into::into) })
    }

    /// Whether a message of this code and trigger event is meant.
    pub fn covers(&self, code: &[u8], trigger: &[u8]) -> bool {
        self.code.as_bytes() == code
            && self.trigger.as_ref().is_none_or(|own| own.as_bytes() == trigger)
    }
}

impl std::fmt::Display for MessageType {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.code)?;
        self.trigger.as_ref().map_or(Ok(()), |trigger| write!(formatter, "^{trigger}"))
    }
}

impl Profile {
    /// One that says nothing yet.
    pub fn new(name: &str, version: Version) -> Self {
        Self {
            name: name.into(),
            version,
            description: None,
            messages: Vec::new(),
            segments: BTreeMap::new(),
            groups: BTreeMap::new(),
            rules: Vec::new(),
            accepted: Vec::new(),
            evidence: None,
        }
    }

    /// Whether it speaks of messages with this message code and trigger event.
    pub fn covers(&self, code: &[u8], trigger: &[u8]) -> bool {
        self.messages.is_empty() || self.messages.iter().any(|own| own.covers(code, trigger))
    }

    /// The code tables of the project that it names.
    pub fn code_tables(&self) -> BTreeSet<&str> {
        let mut names = BTreeSet::new();
        let in_groups = self.groups.values().flat_map(|group| group.segments.values());
        for segment in self.segments.values().chain(in_groups) {
            segment.fields.iter().flatten().for_each(|field| field.code_tables(&mut names));
        }
        names
    }

    /// What it says about a segment.
    pub fn segment(&self, name: SegmentName) -> Option<&SegmentConstraint> {
        self.segments.get(&name)
    }

    /// What it says about a field or a part of one. Does not allocate.
    pub fn element(&self, place: &Place) -> Option<&ElementConstraint> {
        self.segment(place.segment)?.element(place)
    }

    /// What it says about a field or a part of one in a segment group, or without one wherever the segment stands.
    pub fn element_in(&self, way: Option<&GroupWay>, place: &Place) -> Option<&ElementConstraint> {
        match way {
            Some(way) => self.groups.get(way)?.segments.get(&place.segment)?.element(place),
            None => self.element(place),
        }
    }

    /// The same as [`Profile::element`], made when it is not there yet. None past [`FIELDS_MAX`] and [`PARTS_MAX`].
    pub fn element_mut(&mut self, place: &Place) -> Option<&mut ElementConstraint> {
        self.segments.entry(place.segment).or_default().element_mut(place)
    }

    /// What is said about a segment, wherever it stands or in a group; made when it is not there yet.
    pub(super) fn segment_mut(
        &mut self,
        way: Option<GroupWay>,
        name: SegmentName,
    ) -> &mut SegmentConstraint {
        let segments = match way {
            Some(way) => &mut self.groups.entry(way).or_default().segments,
            None => &mut self.segments,
        };
        segments.entry(name).or_default()
    }
}

impl SegmentConstraint {
    /// What is said about a field, by its position from 1.
    #[inline]
    pub fn field(&self, position: u16) -> Option<&ElementConstraint> {
        at(&self.fields, position)
    }

    /// What is said about a field or a part of one.
    pub(super) fn element(&self, place: &Place) -> Option<&ElementConstraint> {
        let mut element = self.field(place.field)?;
        for position in [place.component, place.subcomponent] {
            if position == 0 {
                break;
            }
            element = element.part(position)?;
        }
        Some(element)
    }

    pub(super) fn element_mut(&mut self, place: &Place) -> Option<&mut ElementConstraint> {
        let mut element = slot(&mut self.fields, place.field, FIELDS_MAX)?;
        for position in [place.component, place.subcomponent] {
            if position == 0 {
                break;
            }
            element = slot(&mut element.parts, position, PARTS_MAX)?;
        }
        Some(element)
    }
}

impl ElementConstraint {
    /// What is said about a component or subcomponent, by its position from 1.
    #[inline]
    pub fn part(&self, position: u16) -> Option<&ElementConstraint> {
        at(&self.parts, position)
    }

    fn code_tables<'c>(&'c self, names: &mut BTreeSet<&'c str>) {
        if let Some(ValueSource::CodeTable(name)) = self.values.as_deref().map(ValueSet::source) {
            names.insert(name);
        }
        self.parts.iter().flatten().for_each(|part| part.code_tables(names));
    }

    /// Whether something is said about a value, beyond that it is there.
    #[inline]
    pub(super) fn looks_at_values(&self) -> bool {
        !self.parts.is_empty()
            || self.length.is_some()
            || self.values.is_some()
            || self.constant.is_some()
            || self.format.is_some()
            || self.pattern.is_some()
    }

    /// Whether nothing is said about the element itself.
    pub fn is_empty(&self) -> bool {
        self.name.is_none()
            && self.data_type.is_none()
            && self.usage.is_none()
            && self.cardinality.is_none()
            && self.length.is_none()
            && self.values.is_none()
            && self.constant.is_none()
            && self.format.is_none()
            && self.pattern.is_none()
    }
}

#[inline]
fn at(elements: &[Option<Box<ElementConstraint>>], position: u16) -> Option<&ElementConstraint> {
    elements.get(usize::from(position).checked_sub(1)?)?.as_deref()
}

fn slot(
    elements: &mut Vec<Option<Box<ElementConstraint>>>,
    position: u16,
    most: u16,
) -> Option<&mut ElementConstraint> {
    let index = usize::from(Some(position).filter(|&position| position <= most)?).checked_sub(1)?;
    if elements.len() <= index {
        elements.resize_with(index + 1, || None);
    }
    elements.get_mut(index).map(|slot| &mut **slot.get_or_insert_default())
}
