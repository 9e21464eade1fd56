//! Timings: where several places tell when something is to be done and how urgent it is, one of them counts as a whole.
//! Of what the others say otherwise findings tell; the start of one and the end of another would be nobody's order.

use hashbrown::HashMap;

use super::Run;
use super::rule::Base;
use super::test::Here;
use super::tree::{Leaf, NONE, NodeId};
use super::view::{At, Part};
use crate::condition::Name;
use crate::finding::FindingKind;
use crate::plan::{Action, MessageMap, Rule, SegmentMap, Source, Step};
use crate::value::time_of_day;

/// What tells a timing, the most specific and newest first: a pharmacy's encoded order before the order as it was placed,
/// TQ1 before the fields that it replaces (HL7 v2.5.1 §4.5.1.7, §4.5.3.27, §4.5.4, §10.6.1.11).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Teller {
    /// TQ1 of `TIMING_GIVE`
    Give,
    /// RXG-3
    GiveField,
    /// TQ1 of `TIMING_ENCODED`
    Encoded,
    /// RXE-1
    EncodedField,
    /// TQ1 behind ORC or SCH
    Timing,
    /// ORC-7, SCH-11
    Control,
    /// OBR-27
    Detail,
    /// OBR-5, which was the priority before OBR-27 was
    OldPriority,
    /// AIS-4, AIS-7: of the first service
    Service,
}

impl Teller {
    /// The field that holds it, 0 where the segment does.
    fn field(self) -> u16 {
        match self {
            Self::Give | Self::Encoded | Self::Timing => 0,
            Self::EncodedField => 1,
            Self::GiveField => 3,
            Self::Control => 7,
            Self::Detail => 27,
            Self::OldPriority => 5,
            Self::Service => 4,
        }
    }
}

/// What is told as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Facet {
    When,
    Priority,
}

/// What counts of a resource's timing, and the segment that tells it first.
#[derive(Debug, Clone, Copy, Default)]
struct Counting {
    when: Option<(Teller, usize)>,
    priority: Option<(Teller, usize)>,
}

/// What another place says.
#[derive(Debug, Clone, Copy)]
struct Outranked {
    stands: NodeId,
    again: NodeId,
    at: At,
    counting: Counting,
}

/// A segment that tells a timing, while its map is applied.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ranked {
    /// The resource, where it holds the timing itself.
    stands: NodeId,
    counting: Counting,
    segment: usize,
}

/// The timings of a message.
#[derive(Debug, Default)]
pub(super) struct Timings {
    /// By the slot and the group of what tells it.
    counting: HashMap<(usize, usize), Counting>,
    outranked: Vec<Outranked>,
    /// Of the segment at hand.
    ranked: Option<Ranked>,
    /// Which part of a TQ is taken, where not all of it is.
    pub(super) facet: Option<Facet>,
}

const TQ1: Name = Name(*b"TQ1");
/// TQ1-3 to TQ1-8, TQ1-10, TQ1-11, TQ1-13, TQ1-14: all but its number, a quantity, the priority and the conjunction.
const WHEN: [u16; 10] = [3, 4, 5, 6, 7, 8, 10, 11, 13, 14];

impl<'a> Run<'a> {
    /// Begins a segment that may tell the timing of a resource. Whether another place's counts.
    pub(super) fn rank_timings(
        &mut self,
        map: &'a SegmentMap,
        segment: usize,
        (node, resource): (NodeId, u32),
    ) -> bool {
        self.timings.ranked = None;
        let fields: &[u16] = match &map.segment.0 {
            b"ORC" => &[7],
            b"RXE" => &[1],
            b"RXG" => &[3],
            b"OBR" => &[5, 27],
            b"SCH" => &[11],
            b"AIS" => &[4],
            b"TQ1" => &[],
            _ => return false,
        };
        let is_told =
            |field: &u16| !self.view.field(segment, *field).is_empty() && reads(map, *field);
        if map.segment != TQ1 && !fields.iter().any(is_told) || self.root(resource) != node {
            return false;
        }
        let Some(counting) = self.counting_timing(segment, resource) else { return false };
        self.timings.ranked = Some(Ranked { stands: node, counting, segment });
        let own = self.teller(segment);
        map.segment == TQ1
            && counting.when.is_some_and(|(counts, _)| own.is_some_and(|own| own != counts))
    }

    /// Ends a segment.
    pub(super) fn end_timings(&mut self) {
        self.timings.ranked = None;
    }

    /// Applies a rule of a segment map: of a timing to what stands, if it counts, else to what is compared with that.
    pub(super) fn apply_ranked(&mut self, rule: &'a Rule, base: Base, here: &Here<'a>) {
        let ranked = self.timings.ranked.filter(|own| own.segment == here.segment);
        let Some(ranked) = ranked.filter(|own| own.stands == base.node) else {
            return self.apply(rule, base, here);
        };
        let Some(teller) = self.teller_of(here.segment, here.field) else {
            return self.apply(rule, base, here);
        };
        let is_whole = rule.path.is_empty() && matches!(rule.action, Action::Datatype(_));
        if !is_whole && !self.is_ranked(rule) {
            return self.apply(rule, base, here);
        }
        let Ranked { counting, .. } = ranked;
        for facet in [Facet::When, Facet::Priority] {
            if !is_whole && self.facet_of(rule) != facet {
                continue;
            }
            let (counts, is_other_segment) = match facet {
                Facet::When => (counting.when, false),
                Facet::Priority => {
                    let other = counting.priority.is_some_and(|(_, own)| own != here.segment);
                    (counting.priority, other)
                }
            };
            self.timings.facet = is_whole.then_some(facet);
            if counts.is_none_or(|(counts, _)| counts == teller) && !is_other_segment {
                let apart = self.apart;
                // The first of several segments says how urgent it is, whichever of them says when.
                if facet == Facet::Priority && counts.is_some() {
                    self.apart = None;
                }
                self.apply(rule, base, here);
                self.apart = apart;
            } else if self.apart.is_some() && counts.is_some_and(|(counts, _)| counts == teller) {
                self.apply(rule, base, here);
            } else {
                self.apply_outranked(rule, base, here, (ranked, teller));
            }
        }
        self.timings.facet = None;
    }

    fn apply_outranked(
        &mut self,
        rule: &'a Rule,
        base: Base,
        here: &Here<'a>,
        (ranked, teller): (Ranked, Teller),
    ) {
        let Ranked { stands, counting, segment } = ranked;
        let field = if teller.field() == 0 { 0 } else { here.field };
        let at = At::of_field(segment, field);
        let known = self.timings.outranked.last();
        let known = known.filter(|own| own.at == at && own.stands == stands).map(|own| own.again);
        let again = known.unwrap_or_else(|| {
            self.has_removed = true;
            let definition = self.resources.get(base.resource as usize).map(|own| own.definition);
            let again = definition.map_or(NONE, |own| self.tree.root(own));
            self.timings.outranked.push(Outranked { stands, again, at, counting });
            again
        });
        let apart = self.apart.take();
        self.apply(rule, Base { node: again, ..base }, here);
        self.apart = apart;
    }

    /// Tells what other places say otherwise than the one that counts.
    pub(super) fn find_outranked(&mut self) {
        for Outranked { stands, again, at, counting } in std::mem::take(&mut self.timings.outranked)
        {
            let mut differing = Vec::new();
            self.differing(stands, again, "", &mut differing);
            for path in differing {
                if path == "quantityQuantity" && self.is_once(again) {
                    continue;
                }
                let counts = if path == "priority" { counting.priority } else { counting.when };
                let place = counts.map(|(teller, segment)| {
                    let field = match self.view.name(segment) {
                        Some(Name([b'S', b'C', b'H'])) => 11,
                        _ => teller.field(),
                    };
                    self.view.path(At::of_field(segment, field))
                });
                let place = place.unwrap_or_default();
                let text = format!(
                    "`{path}` is told otherwise by {place}: what that one says counts, as a whole"
                );
                self.find_at(FindingKind::ValueUnfit, at, text);
            }
        }
    }

    /// Tells of appointments whose minutes are more than there are from start to end. Fewer may be (R4: "This can be less than the
    /// duration between the start and end times").
    pub(super) fn find_longer_than_told(&mut self) {
        for index in 0..self.resources.len() {
            let Some(own) = self.resources.get(index) else { continue };
            if own.definition.name() != "Appointment" {
                continue;
            }
            let (root, segment) = (own.root, own.segment);
            let instant = |name: &str| self.text_of(root, name)?.parse::<jiff::Timestamp>().ok();
            let (Some(start), Some(end)) = (instant("start"), instant("end")) else { continue };
            let minutes = self.text_of(root, "minutesDuration").and_then(|own| own.parse().ok());
            let is_longer = minutes
                .and_then(|minutes: i64| minutes.checked_mul(60))
                .is_some_and(|seconds| seconds > end.duration_since(start).as_secs());
            if is_longer {
                let text = "`minutesDuration` is longer than from `start` to `end`: both are told";
                self.find_at(FindingKind::ValueUnfit, Self::segment_at(segment), text);
            }
        }
    }

    /// Whether a quantity is the one that TQ1-2 has where it is empty (HL7 v2.5.1 §4.5.4.2).
    fn is_once(&self, node: NodeId) -> bool {
        let quantity = self.plan.names.find("quantityQuantity");
        let own = quantity.and_then(|name| self.tree.find(node, name));
        let mut told = own.into_iter().flat_map(|own| self.tree.children(own));
        told.all(|child| {
            self.tree.is_empty(child)
                || matches!(self.tree.leaf(child), Leaf::Number(text) if &**text == "1")
        })
    }

    /// Whether a repetition of TQ1-4 (explicit times) says a time of day that one before it says: who follows the order would do it
    /// twice at that time, which nobody told.
    pub(super) fn is_time_again(&mut self, part: &Part<'a>) -> bool {
        let At { field, repetition, .. } = part.at;
        let segment = part.at.segment();
        if repetition < 2 || self.view.name(segment) != Some(TQ1) {
            return false;
        }
        let own = time_of_day(part.first().raw);
        let before = self.view.repetitions(segment, field).take(usize::from(repetition) - 1);
        let is_again =
            own.is_some() && before.into_iter().any(|it| time_of_day(it.first().raw) == own);
        if is_again {
            self.consumed.take(part.first().raw);
            let text = "the same time of day is told before: it is told once";
            self.find(FindingKind::ValueUnfit, part, text);
        }
        is_again
    }

    /// What a rule says something of.
    pub(super) fn facet_of(&self, rule: &Rule) -> Facet {
        match self.first_name(rule) {
            Some("priority") => Facet::Priority,
            _ => Facet::When,
        }
    }

    /// Whether a rule says when and how urgently. Of an appointment begin and end go together, and its minutes are its own.
    fn is_ranked(&self, rule: &Rule) -> bool {
        let is_of_appointment = self.timings.ranked.is_some_and(|own| {
            self.tree.node(own.stands).is_some_and(|node| node.definition.name() == "Appointment")
        });
        match self.first_name(rule) {
            Some("start" | "end") => true,
            Some(_) => !is_of_appointment,
            None => false,
        }
    }

    fn first_name(&self, rule: &Rule) -> Option<&'static str> {
        match rule.path.first() {
            Some(Step::Child { name, .. }) => Some(self.plan.names.text(*name)),
            _ => None,
        }
    }

    /// What a segment tells a timing as; of OBR, which has two places, OBR-27.
    fn teller(&self, segment: usize) -> Option<Teller> {
        let field = match &self.view.name(segment)?.0 {
            b"ORC" => 7,
            b"RXE" => 1,
            b"RXG" => 3,
            b"OBR" => 27,
            b"SCH" => 11,
            b"AIS" => 4,
            _ => 0,
        };
        self.teller_of(segment, field)
    }

    fn teller_of(&self, segment: usize, field: u16) -> Option<Teller> {
        Some(match (&self.view.name(segment)?.0, field) {
            (b"ORC", 7) | (b"SCH", 11) => Teller::Control,
            (b"RXE", 1) => Teller::EncodedField,
            (b"RXG", 3) => Teller::GiveField,
            (b"OBR", 27) => Teller::Detail,
            (b"OBR", 5) => Teller::OldPriority,
            (b"AIS", 4 | 7) => Teller::Service,
            (b"TQ1", _) => {
                let placement = self.reading.placements().get(segment);
                let group = placement.map(|own| self.reading.group_name(own.group()));
                match group.unwrap_or_default() {
                    "TIMING_GIVE" => Teller::Give,
                    "TIMING_ENCODED" => Teller::Encoded,
                    _ => Teller::Timing,
                }
            }
            _ => return None,
        })
    }

    /// Which of the places that tell a resource's timing counts.
    fn counting_timing(&mut self, segment: usize, resource: u32) -> Option<Counting> {
        let message = self.message_map?;
        let is_of = |own: &Option<super::Filled>| own.is_some_and(|own| own.resource == resource);
        let slot = self.slots.iter().position(is_of)?;
        let home = message.slots.get(slot)?.home;
        let dose = message.slots.get(slot)?.dose;
        let groups = self.reading.groups();
        let mut group = self.reading.placements().get(segment).map_or(0, |own| own.group());
        while group != 0 && self.groups.get(group) != Some(&home) {
            // Of each dose its own group tells it.
            let start = groups.get(group)?.segments().start;
            if dose.is_some() && self.view.name(start) == dose {
                break;
            }
            group = groups.get(group)?.parent();
        }
        if let Some(counting) = self.timings.counting.get(&(slot, group)) {
            return Some(*counting);
        }
        let range = groups.get(group).map_or(0..self.view.len(), |own| own.segments());
        let mut counting = Counting::default();
        for other in range {
            let Some(map) = self.timing_map(message, slot, other) else { continue };
            let tells = [self.tells_when(map, other), self.tells_priority(map, other)];
            for (told, best) in tells.into_iter().zip([&mut counting.when, &mut counting.priority])
            {
                let Some(told) = told else { continue };
                if best.is_none_or(|(own, _)| told < own) {
                    *best = Some((told, other));
                }
            }
        }
        self.timings.counting.insert((slot, group), counting);
        Some(counting)
    }

    /// The map by which a segment tells the timing of what is in a slot.
    fn timing_map(
        &mut self,
        message: &'a MessageMap,
        slot: usize,
        segment: usize,
    ) -> Option<&'a SegmentMap> {
        let name = self.view.name(segment)?;
        self.teller(segment)?;
        let rows = message.rows_at(self.group_of(segment), name)?;
        for row in rows {
            let Some(row) = message.rows.get(usize::from(*row)) else { continue };
            if usize::from(row.slot) != slot || !row.path.is_empty() {
                continue;
            }
            let here = Here { segment, field: 0, value: None, own: None };
            if row.condition.as_ref().is_some_and(|test| !self.holds(test, &here)) {
                continue;
            }
            let map = row.map.and_then(|map| self.plan.segments.get(map as usize));
            if let Some(map) = map.filter(|map| map.segment == name) {
                return Some(map);
            }
        }
        None
    }

    /// As what a segment says when, if it does.
    fn tells_when(&self, map: &'a SegmentMap, segment: usize) -> Option<Teller> {
        let teller = self.teller(segment)?;
        let is_appointment = map.root.name() == "Appointment";
        let is_valued = |field: u16| {
            self.view.repetitions(segment, field).any(|own| own.is_valued() && !own.is_null())
        };
        let tells = match &map.segment.0 {
            // Without a start it is no time of an appointment.
            b"TQ1" if is_appointment => is_valued(7),
            b"TQ1" => {
                let number = self.view.repetitions(segment, 2).next();
                let has_unit = number.is_some_and(|own| own.part(2).is_valued());
                WHEN.into_iter().any(|field| is_valued(field) && reads(map, field))
                    || has_unit && reads(map, 2)
            }
            b"AIS" => matches!(self.view.field(segment, 1), b"" | b"1") && is_valued(4),
            _ => {
                let field = if &map.segment.0 == b"SCH" { 11 } else { teller.field() };
                let value = self.view.repetitions(segment, field).next()?;
                self.timing_rules(map, field).any(|rule| {
                    self.facet_of(rule) == Facet::When && is_told(rule, &value, is_appointment)
                })
            }
        };
        tells.then_some(teller)
    }

    /// As what a segment says how urgent it is, if it does. Of several TQ1 the first does.
    fn tells_priority(&self, map: &'a SegmentMap, segment: usize) -> Option<Teller> {
        let teller = self.teller(segment)?;
        let is_valued = |field: u16| {
            self.view.repetitions(segment, field).any(|own| own.is_valued() && !own.is_null())
        };
        if map.segment == TQ1 {
            let is_alike =
                |at: &usize| self.view.name(*at) == Some(TQ1) && self.teller(*at) == Some(teller);
            let before = (0..segment)
                .rev()
                .take_while(|at| matches!(self.view.name(*at), Some(Name([b'T', b'Q', _]))));
            let is_first = !before.into_iter().any(|at| is_alike(&at));
            return (is_first && is_valued(9) && reads(map, 9)).then_some(teller);
        }
        let value = self.view.repetitions(segment, teller.field()).next();
        let is_in_timing = value.is_some_and(|value| {
            self.timing_rules(map, teller.field())
                .any(|rule| self.facet_of(rule) == Facet::Priority && is_told(rule, &value, false))
        });
        if is_in_timing {
            return Some(teller);
        }
        let is_old = &map.segment.0 == b"OBR" && is_valued(5) && reads(map, 5);
        is_old.then_some(Teller::OldPriority)
    }

    /// The rules of the datatype map by which a field tells a timing.
    fn timing_rules(&self, map: &'a SegmentMap, field: u16) -> impl Iterator<Item = &'a Rule> {
        let plan = self.plan;
        let rules = map.runs.iter().filter(move |run| run.field == field);
        let maps = rules.flat_map(|run| &run.rules).filter_map(move |rule| match &rule.action {
            Action::Datatype(own) => plan.datatypes.get(own.map as usize),
            _ => None,
        });
        maps.flat_map(|map| &map.rules)
    }
}

/// Whether a segment map makes something of a field.
fn reads(map: &SegmentMap, field: u16) -> bool {
    let mut rules = map.runs.iter().filter(|run| run.field == field).flat_map(|run| &run.rules);
    rules.any(|rule| !matches!(rule.action, Action::Nothing))
}

/// Whether a value has what a rule of its datatype map reads. A number alone is no timing, and an end is none of an
/// appointment.
fn is_told(rule: &Rule, value: &Part<'_>, is_appointment: bool) -> bool {
    let Source::Component(component, _) = rule.source else { return false };
    if matches!(rule.action, Action::Nothing) || is_appointment && component != 4 {
        return false;
    }
    let own = value.part(component);
    let own = if component == 1 { own.part(2) } else { own };
    own.is_valued() && !own.is_null()
}
