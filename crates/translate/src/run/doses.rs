//! Doses under one order: each administration (RXA), dispense (RXD) and give (RXG) is a resource of its own, and says what
//! the order says of all of them.

use super::naming::Naming;
use super::tree::{Leaf, NodeId};
use super::view::At;
use super::{Filled, NO_PLACE, Run};
use crate::condition::Name;
use crate::finding::FindingKind;
use crate::identity::{Identity, KeyElement};
use crate::plan::{MessageMap, MessageRow};

/// Rows that are run again for each segment of a message, at most: what is made grows as the message does. Of doses beyond,
/// findings tell.
const AGAIN_MAX: usize = 8;

/// What tells a dose.
const DOSES: [&[u8; 3]; 3] = [b"RXA", b"RXD", b"RXG"];
/// What begins something else: what stands behind it is of no dose before.
const ORDERS: [&[u8; 3]; 6] = [b"PID", b"PV1", b"ORC", b"OBR", b"RXO", b"RXE"];

/// A resource that tells one dose.
#[derive(Debug, Clone, Copy)]
struct Dose {
    slot: u16,
    resource: u32,
    segment: usize,
}

/// A row that ran over a segment.
type Applied<'a> = (&'a MessageRow, usize);

/// The doses that segments stand under.
#[derive(Debug, Default)]
pub(super) struct DosesAbove {
    /// Of each segment; of none where the message has no doses.
    doses: Vec<Option<usize>>,
    /// The vaccinations by the segments that made them.
    vaccinations: Vec<(usize, usize)>,
}

impl DosesAbove {
    /// The dose that a segment stands under.
    pub(super) fn of(&self, segment: usize) -> Option<usize> {
        self.doses.get(segment).copied().flatten()
    }
}

/// The doses of a message so far.
#[derive(Debug, Default)]
pub(super) struct Doses<'a> {
    /// What the order at hand says before its first dose.
    of_order: Vec<Applied<'a>>,
    told: Vec<Dose>,
    /// From where on `told` holds doses of the order at hand.
    order: usize,
    /// From where on they follow each other, so that what comes next is of all of them.
    together: usize,
    /// Whether something came next.
    is_closed: bool,
    /// Whether the row at hand is the first that did.
    is_next: bool,
    /// Rows that were run again.
    again: usize,
    /// The dose whose row runs, where it is not the nearest.
    pub(super) asked: Option<usize>,
}

impl<'a> Run<'a> {
    /// A new order begins.
    pub(super) fn begin_order(&mut self) {
        let doses = &mut self.doses;
        doses.of_order.clear();
        doses.order = doses.told.len();
        doses.together = doses.told.len();
        doses.is_closed = false;
    }

    /// Makes room for a further dose: a resource of its own in the slot. Whether it is one.
    pub(super) fn begin_dose(
        &mut self,
        map: &MessageMap,
        row: &MessageRow,
        segment: usize,
    ) -> bool {
        let place = usize::from(row.slot);
        let Some(slot) = map.slots.get(place).filter(|slot| slot.dose == Some(row.segment)) else {
            return false;
        };
        let Some(filled) = self.slots.get(place).copied().flatten() else { return false };
        let of_order = self.doses.told.get(self.doses.order..).unwrap_or_default();
        let is_told = of_order.iter().any(|own| own.resource == filled.resource);
        let again = self.doses.again + self.doses.of_order.len();
        if !is_told
            || again > AGAIN_MAX * self.view.len()
            || of_order.iter().any(|own| own.segment == segment)
        {
            return false;
        }
        self.doses.again = again;
        let resource = self.resource(slot.resource, segment, true);
        if let Some(own) = self.slots.get_mut(place) {
            // Of no row's place: none makes another of itself.
            *own = Some(Filled { resource, place: NO_PLACE, segment });
        }
        true
    }

    /// Notes what a row of an order with doses tells: a dose, what the order says of all, or what is behind a dose.
    pub(super) fn note_dose(
        &mut self,
        map: &MessageMap,
        row: &'a MessageRow,
        segment: usize,
        resource: u32,
    ) {
        let slot = map.slots.get(usize::from(row.slot));
        let Some(dose) = slot.and_then(|slot| slot.dose) else { return };
        let doses = &mut self.doses;
        let has_doses = doses.told.len() > doses.order;
        if row.segment != dose {
            if has_doses {
                doses.is_next = !std::mem::replace(&mut doses.is_closed, true);
            } else {
                doses.of_order.push((row, segment));
            }
            return;
        }
        if std::mem::take(&mut doses.is_closed) {
            doses.together = doses.told.len();
        }
        let known = doses.told.get(doses.order..).unwrap_or_default();
        if !known.iter().any(|own| own.segment == segment) {
            doses.told.push(Dose { slot: row.slot, resource, segment });
        }
    }

    /// Says of a further dose what the order said before its first one.
    pub(super) fn tell_order_again(&mut self, resource: u32) {
        for (row, segment) in self.doses.of_order.clone() {
            self.apply_row(row, (segment, segment), resource);
        }
    }

    /// Tells what stands behind several administrations of each of them: one RXR is that of all (HL7 v2.5.1 §4.13.11).
    pub(super) fn tell_earlier_doses(
        &mut self,
        map: &'a MessageMap,
        row: &'a MessageRow,
        segment: usize,
        resource: u32,
    ) {
        let slot = map.slots.get(usize::from(row.slot));
        let is_of_all = self.doses.is_next && row.segment.0 == *b"RXR";
        if slot.and_then(|slot| slot.dose) != Some(Name(*b"RXA")) || !is_of_all {
            return;
        }
        let together = self.doses.told.get(self.doses.together..).unwrap_or_default();
        let is_one = |own: &Dose| own.slot == row.slot && own.resource == resource;
        if !together.iter().any(is_one) {
            return;
        }
        let earlier: Vec<Dose> =
            together.iter().filter(|own| own.slot == row.slot && !is_one(own)).copied().collect();
        for dose in earlier {
            self.doses.asked = Some(dose.segment);
            self.apply_row(row, (segment, segment), dose.resource);
        }
        self.doses.asked = None;
    }

    /// The segment that tells a dose, of its resource.
    pub(super) fn dose_of(&self, resource: usize) -> Option<usize> {
        let mut told = self.doses.told.iter();
        told.find(|own| own.resource as usize == resource).map(|own| own.segment)
    }

    /// Which segments stand under a dose. An order has many, and what was measured at one says nothing of another.
    pub(super) fn doses_above(&self) -> DosesAbove {
        let is_one_of = |segment: usize, names: &[&[u8; 3]]| {
            self.view.name(segment).is_some_and(|Name(name)| names.contains(&&name))
        };
        let mut above = DosesAbove::default();
        if !(0..self.view.len()).any(|segment| is_one_of(segment, &DOSES)) {
            return above;
        }
        let mut dose = None;
        for segment in 0..self.view.len() {
            if is_one_of(segment, &DOSES) {
                dose = Some(segment);
            } else if is_one_of(segment, &ORDERS) {
                dose = None;
            }
            above.doses.push(dose);
        }
        above.vaccinations = self.vaccinations_made();
        above
    }

    /// The resource that a dose became.
    pub(super) fn resource_of_dose(&self, segment: usize, above: &DosesAbove) -> Option<usize> {
        // In the order of the message.
        let told = &self.doses.told;
        if let Ok(at) = told.binary_search_by_key(&segment, |own| own.segment) {
            return told.get(at).map(|dose| dose.resource as usize);
        }
        let made_by = |segment: usize| {
            let at = above.vaccinations.binary_search_by_key(&segment, |(own, _)| *own).ok()?;
            above.vaccinations.get(at).map(|(_, index)| *index)
        };
        made_by(segment).or_else(|| made_by(self.nearest(Name(*b"ORC"), segment)?))
    }

    /// A dose by its order, which of its doses it is, when it begins and what is given: neither what the drug is called
    /// nor its lot, which are corrected.
    pub(super) fn dose_identity(
        &self,
        index: usize,
        naming: &mut Naming,
        depth: usize,
    ) -> Option<Identity> {
        let segment = self.dose_of(index)?;
        let own = self.resources.get(index)?;
        // RXA-2, RXD-1 and RXG-1 count (HL7 v2.5.1 §4.14.7.2, §4.14.5.1, §4.14.6.1).
        let (order, counter, code) = match &self.view.name(segment)?.0 {
            b"RXA" => ("request", 2, 5),
            b"RXD" => ("authorizingPrescription", 1, 2),
            _ => ("basedOn", 1, 4),
        };
        let key = [
            KeyElement { name: "subject", is_optional: false },
            KeyElement { name: order, is_optional: true },
        ];
        let order = self.key_text(own.root, &key, naming, depth)?;
        let code = self.code_text(segment, code);
        let is_coded = !code.starts_with('|');
        is_coded.then(|| {
            let counter = self.view.repetitions(segment, counter).next();
            let counter = counter.map(|part| self.first_text(&part)).unwrap_or_default();
            let begin = self.begin_of(own.root);
            let name = own.definition.name();
            Identity::of_key(&["dose", name, naming.sender(), &order, &counter, &begin, &code])
        })
    }

    /// When a dose begins, as an instant where it is one.
    pub(super) fn begin_of(&self, root: NodeId) -> String {
        const PLACES: [&[&str]; 5] = [
            &["effectiveDateTime"],
            &["occurrenceDateTime"],
            &["effectivePeriod", "start"],
            &["whenHandedOver"],
            &["dosageInstruction", "timing", "repeat", "boundsPeriod", "start"],
        ];
        let found = PLACES.iter().find_map(|path| {
            let mut at = root;
            for name in *path {
                at = self.tree.find(at, self.plan.names.find(name)?)?;
            }
            match self.tree.leaf(at) {
                Leaf::Text(text) => Some(text.clone()),
                _ => None,
            }
        });
        let text = found.unwrap_or_default();
        let instant = text.parse::<jiff::Timestamp>().map(|instant| instant.to_string());
        instant.unwrap_or_else(|_| text.into_owned())
    }

    /// Tells of an administration or a vaccination that was made (RXA-20), though its order is off. What was done counts: who gives knows it, and
    /// a dose that was given and stands nowhere is given again.
    pub(super) fn find_given_without_an_order(&mut self) {
        let mut doses: Vec<usize> = self.doses.told.iter().map(|dose| dose.segment).collect();
        let vaccinations =
            self.resources.iter().filter(|own| own.definition.name() == "Immunization");
        doses.extend(vaccinations.filter_map(|own| self.nearest(Name(*b"RXA"), own.segment)));
        for segment in doses {
            let is_given = self.view.name(segment) == Some(Name(*b"RXA"))
                && matches!(self.view.field(segment, 20).trim_ascii(), b"CP" | b"PA")
                && self.view.field(segment, 21).trim_ascii() != b"D";
            let order = if is_given { self.nearest(Name(*b"ORC"), segment) } else { None };
            let Some(order) = order else { continue };
            if is_off(self.view.field(order, 1).trim_ascii()) {
                let text =
                    "the order is off, and RXA-20 says that this was given: what was done counts";
                self.find_at(FindingKind::ValueUnfit, At::of_field(order, 1), text);
            }
        }
    }

    /// Whether a dose is told to change one that was told before: RXA-21 `D` and `U`.
    pub(super) fn changes_a_dose(&self, segment: usize) -> bool {
        self.view.name(segment) == Some(Name(*b"RXA"))
            && matches!(self.view.field(segment, 21).trim_ascii(), b"D" | b"U")
    }
}

/// Whether an order control code says that there is no order to follow: cancelled, replaced, not accepted, stopped or held (HL7
/// table 0119).
fn is_off(control: &[u8]) -> bool {
    const OFF: [&[u8]; 13] =
        [b"CA", b"CR", b"OC", b"RQ", b"UA", b"DC", b"DR", b"OD", b"RP", b"RU", b"HD", b"HR", b"OH"];
    OFF.contains(&control)
}
