//! What both forms share: attributes become constraints where they say something else than the standard, and segments that
//! stand in several places become one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pipehat_message::SegmentName;

use super::Imported;
use super::xml::Element as Xml;
use crate::element::{Cardinality, Element, Usage};
use crate::profile::constraint::{
    ElementConstraint, Length, MessageType, Profile, SegmentConstraint, Standing, UsageConstraint,
};
use crate::profile::group::GroupWay;
use crate::profile::place::Place;
use crate::profile::value_set::ValueSet;
use crate::profile::write::shown_cardinality;
use crate::structure::{NodeKind, Structure};
use crate::table::TableNumber;

/// Codes by the name of their table or value set.
pub(super) type Tables = BTreeMap<String, Vec<String>>;

/// So many sentences of one kind are told; a document with more is told of in numbers.
const LEFT_OUT_MAX: usize = 100;

/// The tables and value sets of some documents.
pub(super) fn tables(roots: &[Xml]) -> Tables {
    let mut tables = Tables::new();
    for root in roots {
        let mut found = Vec::new();
        root.below("hl7table", &mut found);
        for table in found {
            let Some(id) = table.attribute("id") else { continue };
            let codes = table.all("tableElement").filter_map(|element| element.attribute("code"));
            tables.insert(id.to_owned(), codes.map(str::to_owned).collect());
        }
        let mut found = Vec::new();
        root.below("ValueSetDefinition", &mut found);
        for set in found {
            let Some(id) = set.attribute("BindingIdentifier") else { continue };
            let is_excluded = |value: &&Xml| value.attribute("Usage") == Some("E");
            let values = set.all("ValueElement").filter(|value| !is_excluded(value));
            let codes = values.filter_map(|value| value.attribute("Value"));
            tables.insert(id.to_owned(), codes.map(str::to_owned).collect());
        }
    }
    tables
}

/// The groups around a segment, as far as they matter to it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Around {
    /// Whether all of them are required.
    pub(super) required: bool,
    /// How often they occur, all taken together.
    pub(super) most: Option<u32>,
}

impl Around {
    /// There are none.
    pub(super) const NOTHING: Self = Self { required: true, most: Some(1) };

    /// Within one more.
    pub(super) fn within(self, group: &Xml) -> Self {
        let most = range(group).and_then(|range| range.1);
        Self {
            required: self.required && group.attribute("Usage") == Some("R"),
            most: self.most.zip(most).map(|(one, other)| one.saturating_mul(other)),
        }
    }
}

/// A profile while it is put together.
pub(super) struct Gathering<'g> {
    pub(super) profile: Profile,
    pub(super) left_out: Vec<String>,
    tables: &'g Tables,
    /// How often each segment was described.
    seen: BTreeMap<SegmentName, u32>,
    described: BTreeMap<Place, Vec<(Option<GroupWay>, ElementConstraint)>>,
    /// The names of the groups around what is looked at.
    way: Vec<String>,
    groups: BTreeMap<GroupWay, Occurring>,
    /// What is said of segments where they stand in a group.
    in_groups: BTreeMap<(SegmentName, GroupWay), Occurring>,
    /// Groups that no structure of the messages has.
    unknown_groups: BTreeSet<String>,
    unlike: BTreeSet<SegmentName>,
    /// Segments in groups that may be missing or repeat: what is said of them is not said of the message.
    within_others: BTreeSet<SegmentName>,
    /// The segment before, for where one of the partner's own stands.
    before: Option<SegmentName>,
}

impl<'g> Gathering<'g> {
    pub(super) fn new(profile: Profile, left_out: Vec<String>, tables: &'g Tables) -> Self {
        Self {
            profile,
            left_out,
            tables,
            seen: BTreeMap::new(),
            described: BTreeMap::new(),
            way: Vec::new(),
            groups: BTreeMap::new(),
            in_groups: BTreeMap::new(),
            unknown_groups: BTreeSet::new(),
            unlike: BTreeSet::new(),
            within_others: BTreeSet::new(),
            before: None,
        }
    }

    pub(super) fn leave_out(&mut self, text: String) {
        if self.left_out.len() < LEFT_OUT_MAX && !self.left_out.contains(&text) {
            self.left_out.push(text);
        }
    }

    /// A message that the document is about.
    pub(super) fn message(&mut self, code: Option<&str>, event: Option<&str>) {
        self.before = None;
        let text = match (code, event) {
            (Some(code), Some(event)) => format!("{code}^{event}"),
            (Some(code), None) => code.to_owned(),
            (None, _) => return,
        };
        match MessageType::parse(&text) {
            Some(message_type) => self.profile.messages.push(message_type),
            None => self.leave_out(format!("`{text}` is no message type")),
        }
    }

    /// Goes into a group; [`Gathering::leave`] goes out of it.
    pub(super) fn enter(&mut self, group: &Xml) {
        let name = group.attribute("Name").unwrap_or("without a name");
        self.way.push(name.to_owned());
        let Some(way) = self.known_way(None) else {
            self.unknown_groups.insert(name.to_owned());
            return;
        };
        let usage = self.usage(group, &way.to_string());
        let occurring = Occurring::of(usage, group);
        self.groups.entry(way).and_modify(|before| before.merge(&occurring)).or_insert(occurring);
    }

    pub(super) fn leave(&mut self) {
        self.way.pop();
    }

    /// The way to what is looked at, where the messages have such groups, and the segment in it.
    fn known_way(&self, segment: Option<SegmentName>) -> Option<GroupWay> {
        let names: Vec<&str> = self.way.iter().map(String::as_str).collect();
        let way = GroupWay::of_names(&names)?;
        way.problem(&self.profile, segment).is_none().then_some(way)
    }

    /// A segment in a place of the message. False when its fields need no look: it is not to be sent.
    pub(super) fn segment(
        &mut self,
        name: &str,
        long_name: Option<&str>,
        element: &Xml,
        around: Around,
    ) -> Option<SegmentName> {
        let Ok(segment) = SegmentName::try_from(name) else {
            self.leave_out(format!("`{name}` is no segment"));
            return None;
        };
        let usage = self.usage(element, &Place::segment(segment).to_string());
        let times = self.seen.entry(segment).or_default();
        *times += 1;
        let is_first = *times == 1;
        if let Some(way) = self.known_way(Some(segment)) {
            let occurring = Occurring::of(usage, element);
            let key = (segment, way);
            let entry = self.in_groups.entry(key);
            entry.and_modify(|before| before.merge(&occurring)).or_insert(occurring);
        }
        if !around.required || around.most != Some(1) {
            self.within_others.insert(segment);
        }
        let is_known = self.profile.version.segment(segment).is_some();
        let constraint = self.profile.segments.entry(segment).or_default();
        if !is_known {
            constraint.name = Some(long_name.unwrap_or(name).into());
        }
        if let Some(before) = self.before.replace(segment).filter(|before| *before != segment)
            && (!is_known || constraint.standing.is_some())
        {
            let standing = constraint.standing.take();
            let mut after = match standing {
                Some(Standing::After(after)) => after,
                _ => Vec::new(),
            };
            if !after.contains(&before) {
                after.push(before);
            }
            constraint.standing = Some(Standing::After(after));
        }
        if is_first {
            let required = usage == Some(Usage::Required) && around.required;
            constraint.usage = match usage {
                _ if required => Some(UsageConstraint::of(Usage::Required)),
                Some(Usage::NotSupported) => Some(UsageConstraint::of(Usage::NotSupported)),
                _ => None,
            };
            constraint.cardinality = cardinality(element, around)
                .filter(|one| *one != ANY_NUMBER)
                .and_then(|one| beside_usage(constraint.usage.as_ref(), one));
        } else {
            merge(constraint, usage, around);
        }
        (usage != Some(Usage::NotSupported)).then_some(segment)
    }

    /// A field or a part of one, with the names of its attributes.
    pub(super) fn element(&mut self, place: Place, element: &Xml, data_type: Option<&str>) {
        let defined = self.defined(&place);
        let mut constraint = ElementConstraint::default();
        let usage = self.usage(element, &place.to_string());
        let is_same = defined.is_some_and(|defined| Some(defined.usage()) == usage);
        constraint.usage = usage.filter(|_| !is_same).map(UsageConstraint::of);
        if constraint.usage.as_ref().is_some_and(|usage| usage.usage == Usage::Optional)
            && defined.is_none()
        {
            constraint.usage = None;
        }
        if usage != Some(Usage::NotSupported) {
            self.details(&mut constraint, place, element, defined);
            if defined.is_none_or(|defined| Some(defined.data_type_name()) != data_type) {
                constraint.data_type = data_type
                    .filter(|name| self.profile.version.data_type(name).is_some())
                    .map(Box::from);
                if let Some(name) = data_type.filter(|_| constraint.data_type.is_none()) {
                    let version = self.profile.version;
                    self.leave_out(format!("{place}: version {version} has no data type `{name}`"));
                }
            }
            if defined.is_none() && place.component == 0 {
                constraint.name = element.attribute("Name").map(Box::from);
            }
        }
        let way = self.known_way(Some(place.segment));
        let described = self.described.entry(place).or_default();
        match described.iter_mut().find(|(before, _)| *before == way) {
            None => described.push((way, constraint)),
            Some((_, before)) if same(before, &constraint) => {}
            Some((_, before)) => {
                *before = ElementConstraint::default();
                self.unlike.insert(place.segment);
            }
        }
    }

    fn details(
        &mut self,
        constraint: &mut ElementConstraint,
        place: Place,
        element: &Xml,
        defined: Option<Element>,
    ) {
        if place.component == 0
            && let Some(cardinality) = cardinality(element, Around::NOTHING)
        {
            let least =
                if constraint.usage.is_none() && defined.is_none() { 0 } else { cardinality.least };
            let own = Cardinality { least, ..cardinality };
            let most = defined.map(|defined| defined.cardinality().most);
            let says_more = most.is_none_or(|most| most != own.most) || own.least > 1;
            constraint.cardinality = Some(own)
                .filter(|own| says_more && *own != ANY_NUMBER)
                .and_then(|own| beside_usage(constraint.usage.as_ref(), own));
        }
        constraint.length = length(element).filter(|length| {
            defined.is_none_or(|defined| defined.length_max() != length.most || length.least > 1)
        });
        constraint.constant = element.attribute("ConstantValue").map(Box::from);
        let binding = ["Table", "ValueSet", "Binding"];
        if let Some(table) = binding.into_iter().find_map(|name| element.attribute(name)) {
            constraint.values = self.values(table, place, defined).map(Arc::new);
        }
    }

    fn values(&mut self, name: &str, place: Place, defined: Option<Element>) -> Option<ValueSet> {
        let number = TableNumber::parse(name);
        let table = number.and_then(|number| self.profile.version.table(number));
        if let Some(codes) = self.tables.get(name).filter(|codes| !codes.is_empty()) {
            let is_standard = table.is_some_and(|table| {
                table.code_count() == codes.len()
                    && codes.iter().all(|code| table.code(code.as_bytes()).is_some())
            });
            let is_own = defined.and_then(Element::table_number) == number;
            if !(is_standard && is_own) {
                return Some(ValueSet::listed(codes.iter().map(String::as_str)));
            }
            return None;
        }
        if number.is_some() && defined.and_then(Element::table_number) == number {
            return None;
        }
        match table.filter(|table| table.code_count() > 0) {
            Some(table) => Some(ValueSet::standard(table, BTreeSet::new(), BTreeSet::new())),
            None => {
                self.leave_out(format!("{place}: the codes of `{name}` are not in the documents"));
                None
            }
        }
    }

    /// The usage; one that depends on a predicate in prose is told of and left out.
    fn usage(&mut self, element: &Xml, place: &str) -> Option<Usage> {
        let written = element.attribute("Usage")?;
        match written {
            "R" | "RE" | "O" | "X" => Usage::from_code(written),
            // Withdrawn or kept for older versions: no profile has a use for these.
            "W" => Some(Usage::NotSupported),
            "B" => Some(Usage::Optional),
            _ => {
                let predicate = element.find("Predicate");
                let said = predicate.map_or(String::new(), |predicate| {
                    let text = predicate.attribute("Description").unwrap_or(&predicate.text);
                    format!(": {}", text.chars().take(200).collect::<String>())
                });
                self.leave_out(format!(
                    "{place}: usage {written} with its condition in prose{said}"
                ));
                None
            }
        }
    }

    fn defined(&self, place: &Place) -> Option<Element> {
        let segment = self.profile.version.segment(place.segment)?;
        let field = segment.field(usize::from(place.field)).filter(|field| !field.is_unused())?;
        if place.component == 0 {
            return Some(field);
        }
        let component = field.data_type()?.component(usize::from(place.component))?;
        if place.subcomponent == 0 {
            return Some(component);
        }
        component.data_type()?.component(usize::from(place.subcomponent))
    }

    /// The profile, and what is left out of it.
    pub(super) fn finish(mut self) -> Imported {
        for (place, described) in std::mem::take(&mut self.described) {
            self.describe(place, described);
        }
        self.occurring();
        if !self.unknown_groups.is_empty() {
            let names: Vec<String> = std::mem::take(&mut self.unknown_groups).into_iter().collect();
            self.leave_out(format!(
                "usage and cardinality of segment groups that the message structure does not have: {}",
                names.join(", ")
            ));
        }
        for name in std::mem::take(&mut self.unlike) {
            self.leave_out(format!(
                "{name} is described differently in several places: only what is the same in all of them is kept"
            ));
        }
        self.unexpected();
        let Self { profile, left_out, .. } = self;
        Imported { profile, left_out }
    }

    /// What is the same wherever the segment stands is said of it, what is not of each group.
    fn describe(&mut self, place: Place, described: Vec<(Option<GroupWay>, ElementConstraint)>) {
        let is_same = match described.split_first() {
            Some(((_, first), others)) => others.iter().all(|(_, other)| same(first, other)),
            None => return,
        };
        // A group can't say what a field is called and of what type it is.
        let in_groups = described.iter().all(|(way, element)| {
            way.is_some() && element.name.is_none() && element.data_type.is_none()
        });
        if !is_same && !in_groups {
            self.unlike.insert(place.segment);
            return;
        }
        for (way, constraint) in described {
            if constraint.is_empty() {
                continue;
            }
            let way = way.filter(|_| !is_same);
            let segment = self.profile.segment_mut(way, place.segment);
            if let Some(element) = segment.element_mut(&place) {
                let parts = std::mem::take(&mut element.parts);
                *element = ElementConstraint { parts, ..constraint };
            }
            if is_same {
                return;
            }
        }
    }

    /// How often groups occur, and segments in them, where the standard says otherwise.
    fn occurring(&mut self) {
        let structures = self.structures();
        for (way, occurring) in std::mem::take(&mut self.groups) {
            let standard =
                structures.iter().find_map(|structure| way.cardinality_in(*structure, None));
            let (usage, cardinality) = occurring.beside(standard);
            if usage.is_some() || cardinality.is_some() {
                let group = self.profile.groups.entry(way).or_default();
                (group.usage, group.cardinality) = (usage, cardinality);
            }
        }
        for ((name, way), occurring) in std::mem::take(&mut self.in_groups) {
            // Of a segment with one place, which every message has, it is said already.
            let is_once = self.seen.get(&name) == Some(&1) && !self.within_others.contains(&name);
            let standard =
                structures.iter().find_map(|structure| way.cardinality_in(*structure, Some(name)));
            let (usage, cardinality) = occurring.beside(standard);
            if !is_once && (usage.is_some() || cardinality.is_some()) {
                let segment = self.profile.segment_mut(Some(way), name);
                (segment.usage, segment.cardinality) = (usage, cardinality);
            }
        }
    }

    /// The structures of the messages.
    fn structures(&self) -> Vec<Structure> {
        let of_message = |message_type: &MessageType| {
            let trigger = message_type.trigger.as_deref().unwrap_or("");
            self.profile.version.event(&message_type.code, trigger)?.structure()
        };
        self.profile.messages.iter().filter_map(of_message).collect()
    }

    /// Segments of the standard that the structures of the messages do not have may stand where they do.
    fn unexpected(&mut self) {
        let structures = self.structures();
        for (name, segment) in &mut self.profile.segments {
            let is_there = structures.iter().any(|structure| {
                structure.nodes().any(|node| node.kind() == NodeKind::Segment(*name))
            });
            if !is_there && !structures.is_empty() && segment.standing.is_none() {
                segment.standing = Some(Standing::Anywhere);
            }
        }
    }
}

/// How often a group or a segment occurs in what is around it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Occurring {
    usage: Option<Usage>,
    cardinality: Option<Cardinality>,
}

impl Occurring {
    fn of(usage: Option<Usage>, element: &Xml) -> Self {
        Self { usage, cardinality: cardinality(element, Around::NOTHING) }
    }

    /// Of several messages only what is the same in all of them is kept.
    fn merge(&mut self, other: &Self) {
        if self.usage != other.usage {
            self.usage = None;
        }
        if self.cardinality != other.cardinality {
            self.cardinality = None;
        }
    }

    /// What it says that the standard does not.
    fn beside(
        &self,
        standard: Option<Cardinality>,
    ) -> (Option<UsageConstraint>, Option<Cardinality>) {
        if self.usage == Some(Usage::NotSupported) {
            return (Some(UsageConstraint::of(Usage::NotSupported)), None);
        }
        let is_required = standard.is_some_and(|standard| standard.least > 0);
        let usage = self.usage.filter(|usage| match usage {
            Usage::Required => !is_required,
            Usage::Optional => is_required,
            _ => true,
        });
        let most = |cardinality: Cardinality| cardinality.most;
        let cardinality = self.cardinality.filter(|own| {
            let says_most = standard.map_or(own.most.is_some(), |it| most(it) != own.most);
            says_most || own.least > 1
        });
        let usage = usage.map(UsageConstraint::of);
        let cardinality = cardinality.and_then(|own| beside_usage(usage.as_ref(), own));
        (usage, cardinality)
    }
}

/// A cardinality that does not say otherwise than the usage beside it.
fn beside_usage(usage: Option<&UsageConstraint>, own: Cardinality) -> Option<Cardinality> {
    match usage.map(|usage| usage.usage) {
        Some(Usage::NotSupported) => None,
        Some(Usage::Required) => Some(Cardinality { least: own.least.max(1), ..own }),
        _ => Some(own),
    }
}

const ANY_NUMBER: Cardinality = Cardinality { least: 0, most: None };

/// A segment once more: what holds for all its places is kept.
fn merge(constraint: &mut SegmentConstraint, usage: Option<Usage>, around: Around) {
    constraint.cardinality = None;
    let is_required = |usage: &UsageConstraint| usage.usage == Usage::Required;
    let now = usage == Some(Usage::Required) && around.required;
    // Required in one place is required of the message; not supported in one place is supported in the other.
    if now || constraint.usage.as_ref().is_some_and(is_required) {
        constraint.usage = Some(UsageConstraint::of(Usage::Required));
    } else {
        constraint.usage = None;
    }
}

fn same(one: &ElementConstraint, other: &ElementConstraint) -> bool {
    let usage = |element: &ElementConstraint| element.usage.as_ref().map(UsageConstraint::code);
    let values = |element: &ElementConstraint| {
        element.values.as_ref().map(|values| (values.source().clone(), values.with().clone()))
    };
    usage(one) == usage(other)
        && values(one) == values(other)
        && one.cardinality.map(shown_cardinality) == other.cardinality.map(shown_cardinality)
        && one.length == other.length
        && one.constant == other.constant
        && one.data_type == other.data_type
}

/// `Min` and `Max`.
fn range(element: &Xml) -> Option<(u32, Option<u32>)> {
    let least = element.attribute("Min").and_then(|text| text.parse().ok()).unwrap_or(0);
    match element.attribute("Max")? {
        "*" => Some((least, None)),
        most => most.parse().ok().map(|most| (least, Some(most))),
    }
}

fn cardinality(element: &Xml, around: Around) -> Option<Cardinality> {
    let (least, most) = range(element)?;
    let most = match most.zip(around.most) {
        Some((most, around)) => Some(u16::try_from(most.saturating_mul(around)).ok()?),
        None => None,
    };
    let least = if around.required { u16::try_from(least).ok()? } else { 0 };
    Some(Cardinality { least, most })
        .filter(|one| one.most.is_none_or(|most| one.least <= most && most > 0))
}

fn length(element: &Xml) -> Option<Length> {
    let number = |name: &str| element.attribute(name).and_then(|text| text.parse::<u32>().ok());
    let most = number("MaxLength").or_else(|| number("Length")).filter(|&most| most > 0)?;
    let least = number("MinLength").filter(|&least| least <= most).unwrap_or(0);
    Some(Length { least, most: Some(most) })
}
