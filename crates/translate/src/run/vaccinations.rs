//! Which vaccinations are one.
//!
//! The number of a vaccination is the filler's (ORC-3). `9999` there says that there is none (CDC, HL7 v2.5.1 Implementation
//! Guide for Immunization Messaging, release 1.5): it is every patient's. ORC-2 is the number of an order (HL7 v2.5.1
//! §4.5.1.2), of which there may be several doses, and which may be given again.

use std::borrow::Cow;

use super::Run;
use super::naming::{Naming, Number};
use super::tree::{Leaf, NodeId};
use super::view::At;
use crate::condition::Name;
use crate::finding::FindingKind;
use crate::identity::{Identity, KeyElement};

const NONE: &str = "9999";
const ORC: Name = Name(*b"ORC");
const RXA: Name = Name(*b"RXA");
/// Types of identifiers (HL7 table 0203) that name an order or a group of orders: of ORC-2 and ORC-4.
const OF_ORDERS: [&str; 3] = ["PLAC", "PGN", "FGN"];

impl<'a> Run<'a> {
    /// A vaccination without a number of its own by its patient, the vaccine, the instant and its order: neither what the vaccine is
    /// called nor the offset that the time is told with makes it another. Without any number a refusal is another than the dose
    /// that was given: told again late, it would take that back.
    pub(super) fn vaccination(
        &self,
        index: usize,
        naming: &mut Naming,
        depth: usize,
    ) -> Option<Identity> {
        let own = self.resources.get(index)?;
        if self.by_identifier(own.root, "Immunization").is_some() {
            return None;
        }
        let key = [KeyElement { name: "patient", is_optional: false }];
        let patient = self.key_text(own.root, &key, naming, depth)?;
        let when = self.begin_of(own.root);
        let by_name = [KeyElement { name: "vaccineCode", is_optional: false }];
        let vaccine = self
            .vaccine(own.root, own.segment)
            .or_else(|| self.key_text(own.root, &by_name, naming, depth))?;
        if when.is_empty() {
            return None;
        }
        let sender = naming.sender().to_owned();
        let key = match self.order_of_vaccination(own.root) {
            Some(Number { system: Some(system), value, .. }) => {
                [&*system, &patient, &vaccine, &when, "order", &value].map(str::to_owned).to_vec()
            }
            Some(Number { node, value, .. }) => {
                let assigner = self.assigner(node, naming, depth);
                let key = [&*sender, &patient, &vaccine, &when, "order", &value, &assigner];
                key.map(str::to_owned).to_vec()
            }
            None => {
                let mut key = vec![sender, patient, vaccine, when];
                key.extend(self.is_refused(own.segment).then(|| "refused".to_owned()));
                key
            }
        };
        let key: Vec<&str> =
            std::iter::once("vaccination").chain(key.iter().map(String::as_str)).collect();
        Some(Identity::of_key(&key))
    }

    /// The first code of a vaccine with its system; nothing where either is not told: then its name says which it is.
    fn vaccine(&self, root: NodeId, segment: usize) -> Option<String> {
        let known = &self.plan.well_known;
        let concept = self.tree.find(root, self.plan.names.find("vaccineCode")?)?;
        let coding = self.tree.find(concept, known.coding)?;
        let code = self.member_text(coding, known.code)?;
        if let Some(system) = self.member_text(coding, known.system) {
            return Some([&*code, "|", &system].concat());
        }
        let given = self.nearest(RXA, segment)?;
        let [told, system] = [1, 3].map(|at| {
            let part = self.view.repetitions(given, 5).next();
            part.map(|part| self.first_text(&part.part(at))).unwrap_or_default()
        });
        // A system without a URI is the sender's name for it.
        (told == code && !system.is_empty()).then(|| [&*code, "|", &system].concat())
    }

    /// Whether a dose was not given: refused, or not administered (RXA-20, HL7 table 0322).
    fn is_refused(&self, segment: usize) -> bool {
        self.nearest(RXA, segment)
            .is_some_and(|dose| matches!(self.view.field(dose, 20).trim_ascii(), b"RE" | b"NA"))
    }

    /// The number of the order that a vaccination is of.
    fn order_of_vaccination(&self, root: NodeId) -> Option<Number<'a>> {
        let known = &self.plan.well_known;
        self.tree.children(root).find_map(|node| {
            let value = self.identifier_value(node)?;
            let is_placers = self.type_of_identifier(node).is_some_and(|own| own == "PLAC");
            let system = self.member_text(node, known.system);
            (is_placers && !is_nobodys(&value)).then_some(Number { node, system, value })
        })
    }

    /// Whether an identifier of a vaccination is that of an order.
    pub(super) fn is_of_an_order(&self, identifier: NodeId) -> bool {
        self.type_of_identifier(identifier).is_some_and(|own| OF_ORDERS.contains(&&*own))
    }

    pub(super) fn type_of_identifier(&self, identifier: NodeId) -> Option<Cow<'a, str>> {
        let known = &self.plan.well_known;
        let concept = self.tree.find(identifier, self.plan.names.find("type")?)?;
        self.member_text(self.tree.find(concept, known.coding)?, known.code)
    }

    fn identifier_value(&self, node: NodeId) -> Option<Cow<'a, str>> {
        let known = &self.plan.well_known;
        self.tree.node(node).filter(|own| own.name == known.identifier)?;
        self.member_text(node, known.value)
    }

    /// Whether a field of a message about vaccinations says that there is no number.
    pub(super) fn is_no_number(&self, segment: usize, field: u16) -> bool {
        let part = self.view.repetitions(segment, field).next();
        part.is_some_and(|part| is_nobodys(&self.first_text(&part)))
    }

    /// The vaccinations by the segments that made them, in their order.
    pub(super) fn vaccinations_made(&self) -> Vec<(usize, usize)> {
        let resources = self.resources.iter().enumerate();
        let vaccinations = resources.filter(|(_, own)| own.definition.name() == "Immunization");
        let mut made: Vec<_> = vaccinations.map(|(index, own)| (own.segment, index)).collect();
        made.sort_unstable();
        made
    }

    /// What was observed of a vaccination that is deleted (RXA-21 D, HL7 v2.5.1 §4.14.7.21) was entered in error with it: a reaction to what was
    /// never given is none. What was measured at a drug that was given stays a measurement, and a finding tells it.
    pub(super) fn take_back_observed(&mut self) {
        let is_deleted = |segment: usize| {
            self.view.name(segment) == Some(RXA)
                && self.view.field(segment, 21).trim_ascii() == b"D"
        };
        if !(0..self.view.len()).any(is_deleted) {
            return;
        }
        let above = self.doses_above();
        let mut observed = Vec::new();
        for own in self.resources.iter().filter(|own| own.definition.name() == "Observation") {
            let Some(dose) = above.of(own.segment).filter(|dose| is_deleted(*dose)) else {
                continue;
            };
            let of =
                self.resource_of_dose(dose, &above).and_then(|index| self.resources.get(index));
            let is_vaccination = of.is_some_and(|of| of.definition.name() == "Immunization");
            observed.push((own.root, own.segment, is_vaccination));
        }
        let Some(status) = self.plan.names.find("status") else { return };
        for (root, segment, is_vaccination) in observed {
            let Some(status) = self.tree.find(root, status).filter(|_| is_vaccination) else {
                let text =
                    "observed of a dose that RXA-21 deletes: its status stays what OBX-11 says";
                self.find_at(FindingKind::ValueUnfit, At::of_field(segment, 11), text);
                continue;
            };
            self.tree.set_leaf(status, Leaf::Text("entered-in-error".into()));
        }
    }

    /// Takes 9999 from the orders of vaccinations, and out those that no number is left of: nothing could find them again, and each
    /// message would leave one more behind.
    pub(super) fn drop_orders_without_a_number(&mut self) {
        let vaccinations = self.vaccinations_made();
        if vaccinations.is_empty() {
            return;
        }
        for index in 0..self.resources.len() {
            let Some(own) = self.resources.get(index) else { continue };
            let (root, segment) = (own.root, own.segment);
            let is_order = own.definition.name() == "ServiceRequest"
                && !own.is_dropped
                && self.view.name(segment) == Some(ORC)
                && vaccinations.binary_search_by_key(&segment, |(made_by, _)| *made_by).is_ok();
            if !is_order {
                continue;
            }
            let is_none = |node: &NodeId| {
                self.identifier_value(*node).is_some_and(|value| is_nobodys(&value))
            };
            let numbers: Vec<NodeId> = self.tree.children(root).filter(is_none).collect();
            for number in &numbers {
                self.tree.remove(root, *number);
            }
            let is_numbered = self.is_numbered(root);
            if !is_numbered {
                if let Some(own) = self.resources.get_mut(index) {
                    own.is_dropped = true;
                }
                self.find_at(
                    FindingKind::Incomplete,
                    Self::segment_at(segment),
                    "names no order by a number (ORC-2, ORC-3): no ServiceRequest was made",
                );
            }
            if !is_numbered || !numbers.is_empty() {
                self.has_removed = true;
                self.unnamed.push(segment);
            }
        }
    }
}

/// Whether a number says that there is none.
pub(super) fn is_nobodys(value: &str) -> bool {
    value.trim() == NONE
}
