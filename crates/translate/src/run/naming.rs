//! The identity of each resource, and which are one.

use std::borrow::Cow;

use hashbrown::HashMap;
use uuid::Uuid;

use super::Run;
use super::doses::DosesAbove;
use super::tree::{Leaf, NodeId};
use super::vaccinations::is_nobodys;
use super::view::{At, Part};
use crate::condition::Name;
use crate::finding::FindingKind;
use crate::identity::{Identity, KeyElement, keys_of};
use crate::plan::NameId;
use crate::value::{Authority, sender_system};

/// Deeper keys than a role of a practitioner at a place within a place do not occur.
const DEPTH_MAX: usize = 8;

/// An order's number.
struct OrderNumber {
    /// `filler` or `placer`.
    kind: &'static str,
    /// The system it is unique in, or the sender.
    scope: String,
    number: String,
}

/// The order that a segment belongs to.
struct Order {
    obr: Option<usize>,
    orc: Option<usize>,
    number: Option<OrderNumber>,
    /// What was ordered, and what it follows from.
    service: String,
    /// The order that it follows from.
    parent: Option<String>,
}

/// An identifier that a resource is known by.
pub(super) struct Number<'a> {
    pub(super) node: NodeId,
    pub(super) system: Option<Cow<'a, str>>,
    pub(super) value: Cow<'a, str>,
}

/// The identities found so far.
pub(super) struct Naming {
    pub(super) identities: Vec<Option<Identity>>,
    sender: String,
    /// The message, once something is known by nothing else.
    message: Option<Uuid>,
    /// Whether the message tells of vaccinations.
    has_vaccinations: bool,
    doses_above: DosesAbove,
    /// The order that was asked for last: its results follow each other.
    order: Option<Order>,
}

impl Naming {
    pub(super) fn sender(&self) -> &str {
        &self.sender
    }
}

impl<'a> Run<'a> {
    /// Finds the identity of every resource and makes those that are the same one.
    pub(super) fn name_all(&mut self) -> Vec<Option<Identity>> {
        let mut naming = self.naming();
        let mut observed = Vec::new();
        for (index, own) in self.resources.iter().enumerate() {
            let is_observed = own.definition.name() == "Observation"
                && naming.doses_above.of(own.segment).is_some();
            if is_observed {
                observed.push(index);
            } else {
                self.identity(index, &mut naming, 0);
            }
        }
        self.same_allergies(&mut naming);
        self.split_orders(&mut naming);
        // Doses of one number are told apart by now.
        for index in observed {
            self.identity(index, &mut naming, 0);
        }
        self.unite(&mut naming);
        naming.identities
    }

    pub(super) fn naming(&self) -> Naming {
        Naming {
            identities: vec![None; self.resources.len()],
            sender: self.sender(),
            message: None,
            has_vaccinations: self
                .resources
                .iter()
                .any(|own| own.definition.name() == "Immunization"),
            doses_above: self.doses_above(),
            order: None,
        }
    }

    /// AL1 and IAM may tell one allergy: the one without an identifier is the one that has it.
    fn same_allergies(&self, naming: &mut Naming) {
        let key = [
            KeyElement { name: "patient", is_optional: true },
            KeyElement { name: "code", is_optional: false },
        ];
        let mut known: Vec<(usize, String, bool)> = Vec::new();
        for (index, own) in self.resources.iter().enumerate() {
            if own.is_dropped || own.definition.name() != "AllergyIntolerance" {
                continue;
            }
            let has_identifier = self.by_identifier(own.root, "AllergyIntolerance").is_some();
            known.extend(
                self.key_text(own.root, &key, naming, 0).map(|code| (index, code, has_identifier)),
            );
        }
        for (index, code, has_identifier) in &known {
            let other = known.iter().find(|(_, other, identified)| *identified && other == code);
            if let Some((other, ..)) = other.filter(|_| !has_identifier)
                && let Some(identity) = naming.identities.get(*other).cloned()
                && let Some(place) = naming.identities.get_mut(*index)
            {
                *place = identity;
            }
        }
    }

    fn sender(&self) -> String {
        match &self.settings.sender {
            Some(sender) => sender.clone(),
            None => format!("{}|{}", self.header_text(3), self.header_text(4)),
        }
    }

    /// The system of numbers that no authority is told of.
    pub(super) fn sender_system(&self) -> Option<String> {
        self.settings.system_base.as_ref()?;
        sender_system(self.settings, &self.header_text(3), &self.header_text(4))
    }

    /// Whether a resource has a number, though none by which it is looked for.
    pub(super) fn is_numbered(&self, root: NodeId) -> bool {
        let requisition = self.plan.names.find("requisition");
        self.by_identifier(root, "").is_some()
            || requisition.is_some_and(|name| self.tree.find(root, name).is_some())
    }

    /// What tells a message from others: its sender, MSH-10, which is unique of its sender (HL7 v2.5.1 §2.15.9.10), and since counters
    /// restart, MSH-7 and whose it is. Where it lacks one of the first two, by all that it says.
    fn message_key(&self, sender: &str) -> Uuid {
        const IDENTIFIERS: [u16; 3] = [2, 3, 4];
        let (control, sent) = (self.header_text(10), self.header_text(7));
        let mut key = vec![Cow::Borrowed("message"), sender.into()];
        if control.is_empty() || sent.is_empty() {
            key.push(String::from_utf8_lossy(self.view.bytes));
        }
        key.extend([control.into(), sent.into()]);
        let is_patient = |segment: &usize| self.view.name(*segment) == Some(Name(*b"PID"));
        for segment in (0..self.view.len()).filter(is_patient) {
            let numbers = IDENTIFIERS.map(|field| self.view.field(segment, field));
            if numbers.iter().all(|number| number.is_empty()) {
                key.push(String::from_utf8_lossy(self.view.raw(segment)));
            } else {
                key.extend(numbers.map(String::from_utf8_lossy));
            }
        }
        let key: Vec<&str> = key.iter().map(|part| &**part).collect();
        Identity::of_key(&key).id
    }

    fn header_text(&self, field: u16) -> String {
        let part = self.view.repetitions(0, field).next();
        part.map(|part| self.first_text(&part).into_owned()).unwrap_or_default()
    }

    pub(super) fn identity(&self, index: usize, naming: &mut Naming, depth: usize) -> Option<Uuid> {
        if let Some(own) = naming.identities.get(index)? {
            return Some(own.id);
        }
        let own = self.resources.get(index)?;
        if own.is_dropped || depth > DEPTH_MAX {
            return None;
        }
        let name = own.definition.name();
        let identity = match name {
            "Observation" => self.observation(index, naming, depth),
            "DiagnosticReport" => self.report(index, naming),
            "Specimen" => {
                self.by_table(index, naming, depth).or_else(|| self.ordered(index, naming))
            }
            "MedicationAdministration" | "MedicationDispense" | "MedicationRequest" => self
                .dose_identity(index, naming, depth)
                .or_else(|| self.by_table(index, naming, depth)),
            "Encounter" => {
                self.by_table(index, naming, depth).or_else(|| self.visit(index, naming, depth))
            }
            "Immunization" => self
                .vaccination(index, naming, depth)
                .or_else(|| self.by_table(index, naming, depth)),
            _ => self.by_table(index, naming, depth),
        };
        let identity = identity.unwrap_or_else(|| {
            // Nothing names it: it is this message's own.
            let message = *naming.message.get_or_insert_with(|| self.message_key(&naming.sender));
            Identity::of_key(&["message", name, &message.to_string(), &index.to_string()])
        });
        let id = identity.id;
        *naming.identities.get_mut(index)? = Some(identity);
        Some(id)
    }

    /// By the first of the type's keys that the resource has.
    fn by_table(&self, index: usize, naming: &mut Naming, depth: usize) -> Option<Identity> {
        let own = self.resources.get(index)?;
        let name = own.definition.name();
        for key in keys_of(name) {
            if let [KeyElement { name: "identifier" | "masterIdentifier", .. }] = key.as_slice()
                && let Some(found) = self.by_identifier(own.root, name)
            {
                return Some(self.numbered_identity(own.root, name, &found, naming, depth));
            }
            if matches!(key.as_slice(), [KeyElement { name: "identifier", .. }])
                && name == "Immunization"
            {
                continue;
            }
            if let Some(text) = self.key_text(own.root, key, naming, depth) {
                return Some(Identity::of_key(&["key", name, &naming.sender, &text]));
            }
        }
        None
    }

    /// By a number. One that no authority is told of is several people's, companies' or instruments', so that these are known by
    /// what they are called, too.
    fn numbered_identity(
        &self,
        root: NodeId,
        name: &str,
        number: &Number<'a>,
        naming: &mut Naming,
        depth: usize,
    ) -> Identity {
        let Number { system, value, .. } = number;
        let is_somebodys = system.as_deref().is_some_and(|own| !self.is_senders(own));
        match system {
            // Organization, in which the number of a company (IN1-3) is the sender's. Of several with the number, one without a
            // name would be any.
            Some(system) if !is_somebodys && name == "Organization" => {
                let own = self.plan.names.find("name");
                let own = own.and_then(|own| self.member_text(root, own));
                Identity::of_named_identifier(name, (system, value), own.as_deref())
            }
            Some(system) => {
                let mut identity = Identity::of_identifier(name, system, value);
                self.find_by_prior(root, name, number, &mut identity);
                identity
            }
            None => {
                let assigner = self.assigner(number.node, naming, depth);
                let mut key = vec!["identifier", name, &naming.sender, value];
                let is_called = matches!(name, "Practitioner" | "Organization" | "Device");
                let called = if is_called { self.called(root, name) } else { Default::default() };
                if called.iter().any(|part| !part.is_empty()) {
                    key.extend(called.iter().map(String::as_str));
                }
                if !assigner.is_empty() {
                    key.extend(["assigner", &assigner]);
                } else if let Some(range) = self.range_of(name, number.node) {
                    key.extend(["range", range]);
                }
                Identity::of_key(&key)
            }
        }
    }

    /// Whose number it is, in words: `1^^^EAST` and `1^^^WEST` are two, though neither name has a URI.
    pub(super) fn assigner(&self, identifier: NodeId, naming: &mut Naming, depth: usize) -> String {
        let mut text = String::new();
        let assigner = self.plan.names.find("assigner");
        if let Some(assigner) = assigner.and_then(|name| self.tree.find(identifier, name)) {
            let said_by = match *self.tree.leaf(assigner) {
                Leaf::Reference(resource) => self.root(resource),
                _ => assigner,
            };
            self.write_key(said_by, naming, depth + 1, &mut text);
        }
        text
    }

    /// The identifier a resource is found by: of a preferred system, else the first that has a system, else the first.
    pub(super) fn by_identifier(&self, root: NodeId, name: &str) -> Option<Number<'a>> {
        let known = &self.plan.well_known;
        let mut found: Option<(u8, Number<'a>)> = None;
        for child in self.tree.children(root) {
            let is_identifier =
                |own: NameId| own == known.identifier || own == known.master_identifier;
            if !self.tree.node(child).is_some_and(|node| is_identifier(node.name)) {
                continue;
            }
            let Some(value) = self.member_text(child, known.value) else { continue };
            // What could not be read is not one number: two that differ there would be one.
            if value.contains(char::REPLACEMENT_CHARACTER)
                || name == "Immunization" && (is_nobodys(&value) || self.is_of_an_order(child))
            {
                continue;
            }
            let system = self.member_text(child, known.system);
            let is_preferred = system.as_deref().is_some_and(|own| {
                self.settings.identifier_systems.iter().any(|system| *system == *own)
            });
            // PID-3 is the patient's list of identifiers; PID-2 and PID-4 are what was before it. PV1-19 is the visit's number.
            let is_own = match name {
                "Patient" => matches!(self.instance(child), 2 | 0),
                "Encounter" => self.instance(child) != 2,
                _ => true,
            };
            // A prior identifier (MRG) still names the resource, but it is not looked for by that.
            let is_old = self.member_text(child, known.purpose).is_some_and(|own| own == "old");
            // The sender's own numbers stand behind those that say whose they are.
            let is_senders = system.as_deref().is_some_and(|own| self.is_senders(own));
            let rank = match (&system, is_preferred, is_own) {
                _ if is_old => 8,
                _ if self.shared.contains(&child) => 7,
                (_, true, _) => 0,
                (Some(_), _, true) if is_senders => 3,
                (Some(_), _, false) if is_senders => 4,
                (Some(_), _, true) => 1,
                (Some(_), _, false) => 2,
                (None, _, true) => 5,
                (None, _, false) => 6,
            };
            if found.as_ref().is_none_or(|(other, ..)| rank < *other) {
                found = Some((rank, Number { node: child, system, value }));
            }
        }
        found.map(|(_, number)| number)
    }

    pub(super) fn member_text(&self, node: NodeId, name: NameId) -> Option<Cow<'a, str>> {
        match self.tree.leaf(self.tree.find(node, name)?) {
            Leaf::Text(text) => Some(text.clone()),
            _ => None,
        }
    }

    /// The elements of a key as a text; nothing where one is missing.
    pub(super) fn key_text(
        &self,
        root: NodeId,
        key: &[KeyElement],
        naming: &mut Naming,
        depth: usize,
    ) -> Option<String> {
        let mut text = String::new();
        for element in key {
            let id = self.plan.names.find(element.name);
            let nodes: Vec<NodeId> = match id {
                Some(id) => self
                    .tree
                    .children(root)
                    .filter(|child| self.tree.node(*child).is_some_and(|node| node.name == id))
                    .collect(),
                None => Vec::new(),
            };
            let before = text.len();
            for node in nodes {
                self.write_key(node, naming, depth, &mut text);
            }
            if text.len() == before && !element.is_optional {
                return None;
            }
            text.push('\u{1}');
        }
        Some(text)
    }

    fn write_key(&self, node: NodeId, naming: &mut Naming, depth: usize, out: &mut String) {
        match self.tree.leaf(node) {
            Leaf::None => {}
            Leaf::Text(text) | Leaf::Number(text) => {
                out.push_str(text);
                out.push('\u{2}');
            }
            Leaf::Bool(value) => out.push(if *value { 't' } else { 'f' }),
            Leaf::Reference(resource) => {
                if let Some(id) = self.identity(*resource as usize, naming, depth + 1) {
                    let mut buffer = Uuid::encode_buffer();
                    out.push_str(id.simple().encode_lower(&mut buffer));
                }
            }
        }
        for child in self.tree.children(node) {
            if let Some(own) = self.tree.node(child).filter(|_| self.says(child)) {
                out.push_str(self.plan.names.text(own.name));
                out.push('=');
                self.write_key(child, naming, depth, out);
            }
        }
    }

    /// The order that a segment belongs to.
    fn order<'n>(&self, segment: usize, naming: &'n mut Naming) -> &'n Order {
        let obr = self.nearest(Name(*b"OBR"), segment);
        let orc = self.nearest(Name(*b"ORC"), segment);
        let known = naming.order.take().filter(|known| known.obr == obr && known.orc == orc);
        let order = known.unwrap_or_else(|| {
            let number = self.order_number(obr, orc, naming);
            let mut service = obr.map(|obr| self.service(obr)).unwrap_or_default();
            let kind = number.as_ref().map(|own| own.kind);
            let parent = kind.zip(obr).and_then(|(kind, obr)| self.parent_key(obr, kind));
            if let Some(parent) = &parent {
                service.push('\u{1}');
                service.push_str(parent);
            }
            Order { obr, orc, number, service, parent }
        });
        naming.order.insert(order)
    }

    /// An order's number (ORC-3, OBR-3, ORC-2, OBR-2: the filler's, else the placer's), and whose it is. A filler's number
    /// is unique where its authority is known, whichever of the filler's systems sends it (HL7 v2.5.1 §4.5.3.3); a
    /// placer's says nothing of who reports.
    fn order_number(
        &self,
        obr: Option<usize>,
        orc: Option<usize>,
        naming: &Naming,
    ) -> Option<OrderNumber> {
        for (kind, field) in [("filler", 3), ("placer", 2)] {
            for own in [obr, orc].into_iter().flatten() {
                let number = self.view.field(own, field);
                let is_none = naming.has_vaccinations && self.is_no_number(own, field);
                if !number.is_empty() && number != b"\"\"" && !is_none {
                    let known = if kind == "filler" { self.known_number(own, field) } else { None };
                    let (scope, number) = known.unwrap_or_else(|| {
                        (naming.sender.clone(), String::from_utf8_lossy(number).into_owned())
                    });
                    return Some(OrderNumber { kind, scope, number });
                }
            }
        }
        None
    }

    /// The system and the value of an EI whose authority has a known URI.
    fn known_number(&self, segment: usize, field: u16) -> Option<(String, String)> {
        let part = self.view.repetitions(segment, field).next()?;
        let [value, namespace, universal, kind] =
            [1, 2, 3, 4].map(|at| self.first_text(&part.part(at)));
        let authority = Authority { namespace: &namespace, universal: &universal, kind: &kind };
        let system = authority.uri(self.plan, self.settings)?;
        (!value.is_empty()).then(|| (system, value.into_owned()))
    }

    /// A report by its order and what was ordered: laboratories give one number to several panels, and tell them one by
    /// one. So a report of something else is another report, and never replaces the first.
    fn report(&self, index: usize, naming: &mut Naming) -> Option<Identity> {
        let own = self.resources.get(index)?;
        let order = self.order(own.segment, naming);
        let OrderNumber { kind, scope, number } = order.number.as_ref()?;
        Some(Identity::of_key(&["report", scope, kind, number, &order.service]))
    }

    /// A visit without a number by its patient and when it began (PV1-44), if that is told to the minute: of one day there
    /// may be several.
    fn visit(&self, index: usize, naming: &mut Naming, depth: usize) -> Option<Identity> {
        const TO_THE_MINUTE: usize = "YYYYMMDDHHMM".len();
        let own = self.resources.get(index)?;
        if self.view.name(own.segment) != Some(Name(*b"PV1")) {
            return None;
        }
        let begin = self.view.field(own.segment, 44).trim_ascii();
        if begin.len() < TO_THE_MINUTE {
            return None;
        }
        let key = [KeyElement { name: "subject", is_optional: false }];
        let patient = self.key_text(own.root, &key, naming, depth)?;
        let begin = String::from_utf8_lossy(begin);
        Some(Identity::of_key(&["visit", &naming.sender, &patient, &begin]))
    }

    /// A result by its order, or by the dose that it stands under, by what was measured (OBX-3) and which of several (OBX-4): a
    /// correction replaces it.
    fn observation(&self, index: usize, naming: &mut Naming, depth: usize) -> Option<Identity> {
        let own = self.resources.get(index)?;
        if self.view.name(own.segment) != Some(Name(*b"OBX")) {
            return None;
        }
        if let Some(Number { system: Some(system), value, .. }) =
            self.by_identifier(own.root, "Observation")
        {
            return Some(Identity::of_identifier("Observation", &system, &value));
        }
        let code = self.code_text(own.segment, 3);
        // Blanks around it say nothing (HL7 v2.5.1 §2.A.75).
        let which = String::from_utf8_lossy(self.view.field(own.segment, 4).trim_ascii());
        if let Some(dose) = naming.doses_above.of(own.segment) {
            let dose = self.resource_of_dose(dose, &naming.doses_above)?;
            let dose = self.identity(dose, naming, depth + 1)?;
            return Some(Identity::of_key(&["observed", &dose.to_string(), &code, &which]));
        }
        let order = self.order(own.segment, naming);
        let OrderNumber { kind, scope, number } = order.number.as_ref()?;
        Some(Identity::of_key(&["result", scope, kind, number, &order.service, &code, &which]))
    }

    /// A specimen without an identifier by its order.
    fn ordered(&self, index: usize, naming: &mut Naming) -> Option<Identity> {
        let own = self.resources.get(index)?;
        let order = self.order(own.segment, naming);
        let OrderNumber { kind, scope, number } = order.number.as_ref()?;
        let mut key = vec!["specimen", scope, kind, number];
        key.extend(order.parent.as_deref());
        Some(Identity::of_key(&key))
    }

    /// What was ordered; of what follows from a result (OBR-26, the susceptibilities of one of several organisms) with the
    /// result that it is of.
    fn service(&self, obr: usize) -> String {
        let service = self.code_text(obr, 4);
        let parent = self.view.repetitions(obr, 26).next().filter(Part::is_valued);
        let Some(parent) = parent else { return service };
        let sub_identifier = parent.part(2);
        // What the parent said may be corrected; which of its kind it is stays.
        let which = if sub_identifier.is_empty() { parent.part(3) } else { sub_identifier };
        let observation = parent.part(1).part(1);
        let (observation, which) = (self.first_text(&observation), self.first_text(&which));
        [&*service, "|", &observation, "|", &which].concat()
    }

    /// Code and system of a coded field.
    pub(super) fn code_text(&self, segment: usize, field: u16) -> String {
        let Some(part) = self.view.repetitions(segment, field).next() else { return String::new() };
        let (code, text, system) = (part.part(1), part.part(2), part.part(3));
        let named = if code.is_empty() { text } else { code };
        [&*self.first_text(&named), "|", &self.first_text(&system)].concat()
    }

    /// Resources with one identity: what may be told twice is one; results that differ only in order are numbered.
    fn unite(&mut self, naming: &mut Naming) {
        let mut firsts: HashMap<Uuid, u32> = HashMap::with_capacity(naming.identities.len());
        let mut same: Vec<(u32, u32)> = Vec::new();
        for index in 0..naming.identities.len() {
            let Some(own) = naming.identities.get(index).cloned().flatten() else { continue };
            let number = u32::try_from(index).unwrap_or(u32::MAX);
            let Some(first) = firsts.get(&own.id).copied() else {
                firsts.insert(own.id, number);
                continue;
            };
            let is_result = self.resources.get(index).is_some_and(|own| {
                own.is_direct && matches!(own.definition.name(), "Observation" | "DiagnosticReport")
            });
            // Of two doses that nothing tells apart each is one, but where the later takes the earlier back.
            let is_dose = self.dose_of(index).is_some_and(|dose| !self.changes_a_dose(dose));
            if !is_result && !is_dose {
                same.push((number, first));
                continue;
            }
            if let Some(renamed) = self.number_first(&own, first, naming) {
                firsts.insert(renamed, first);
            }
            let is_counted = own.search.is_none()
                && self
                    .resources
                    .get(index)
                    .is_some_and(|own| own.definition.name() == "Observation");
            let base = self.of_kind(&own, index);
            for ordinal in if is_counted { 1u32 } else { 2 }.. {
                let next = numbered(&base, ordinal);
                if !firsts.contains_key(&next.id) {
                    firsts.insert(next.id, number);
                    if let Some(place) = naming.identities.get_mut(index) {
                        *place = Some(next);
                    }
                    break;
                }
            }
        }
        self.unite_all(&same);
    }

    /// The first of several results that nothing tells apart gets a number as the others do. A later message that tells
    /// one of them alone would else replace the first, whichever it means.
    fn number_first(
        &mut self,
        identity: &Identity,
        first: u32,
        naming: &mut Naming,
    ) -> Option<Uuid> {
        let place = naming.identities.get_mut(first as usize)?;
        let own = self.resources.get(first as usize)?;
        // By an identifier (OBX-21) it is known for certain.
        if place.as_ref() != Some(identity)
            || identity.search.is_some()
            || own.definition.name() != "Observation"
        {
            return None;
        }
        let renamed = numbered(&self.of_kind(identity, first as usize), 1);
        let id = renamed.id;
        *place = Some(renamed);
        let at = At::of_field(own.segment, 4);
        self.find_at(
            FindingKind::Ambiguous,
            at,
            "several results of this code without a sub-identifier of their own: told apart by their order; \
             a message that tells one alone makes another",
        );
        Some(id)
    }

    /// The identity that one of several results is numbered by: a document (OBX-2 ED, RP) among documents, so that a text and
    /// its document are the same two in whichever order they stand.
    fn of_kind(&self, identity: &Identity, index: usize) -> Identity {
        let segment = self.resources.get(index).map(|own| own.segment);
        let is_document = segment.is_some_and(|segment| {
            self.view.name(segment) == Some(Name(*b"OBX"))
                && matches!(self.view.field(segment, 2).trim_ascii(), b"ED" | b"RP")
        });
        if is_document {
            Identity::of_key(&[&identity.id.to_string(), "document"])
        } else {
            identity.clone()
        }
    }

    /// Makes resources that are one into one.
    fn unite_all(&mut self, same: &[(u32, u32)]) {
        self.weigh_diagnoses(same);
        let first_of = |own: u32| {
            same.iter().find(|(again, _)| *again == own).map_or(own, |(_, first)| *first)
        };
        let is_one = |left: u32, right: u32| left == right || first_of(left) == first_of(right);
        for (again, first) in same {
            let (from, into) = (self.root(*again), self.root(*first));
            let Some((name, segment, is_direct)) = self
                .resources
                .get(*again as usize)
                .map(|own| (own.definition.name(), own.segment, own.is_direct))
            else {
                continue;
            };
            let changed = self.dose_of(*again as usize);
            if changed.is_some_and(|dose| self.changes_a_dose(dose)) {
                if let Some(own) = self.resources.get_mut(*first as usize) {
                    own.root = from;
                }
            } else if matches!(name, "ChargeItem" | "MedicationRequest" | "Immunization") {
                // One number has one course: a credit takes the charge before it back, and a charge behind it stands.
                if let Some(own) = self.resources.get_mut(*first as usize) {
                    own.root = from;
                }
                if name == "ChargeItem" || !self.tree.says_the_same(into, from, &is_one) {
                    self.find_at(
                        FindingKind::ValueUnfit,
                        Self::segment_at(segment),
                        told_anew(name),
                    );
                }
            } else if matches!(name, "Practitioner" | "Organization" | "Location" | "Device") {
                // Who is only referred to may be written longer or shorter; the first counts.
                if self.are_called_differently(into, from, name) {
                    self.find_at(
                        FindingKind::ValueUnfit,
                        Self::segment_at(segment),
                        told_twice(name),
                    );
                }
                self.tree.merge(into, from);
            } else if self.tree.unite(into, from, &is_one) {
                self.find_at(FindingKind::ValueUnfit, Self::segment_at(segment), told_twice(name));
            }
            if let Some(own) = self.resources.get_mut(*first as usize) {
                own.is_direct |= is_direct;
            }
            if let Some(own) = self.resources.get_mut(*again as usize) {
                own.is_dropped = true;
            }
        }
    }
}

fn told_anew(name: &str) -> &'static str {
    match name {
        "ChargeItem" => "the transaction FT1-2 is told twice: what was told last counts",
        _ => "its number is told twice, and not of the same: what was told last counts, as a whole",
    }
}

fn told_twice(name: &str) -> String {
    format!("{name} is told twice, and not the same: what was told first counts")
}

/// The identity of one of several that have the same.
fn numbered(identity: &Identity, ordinal: u32) -> Identity {
    Identity::of_key(&[&identity.id.to_string(), &ordinal.to_string()])
}
