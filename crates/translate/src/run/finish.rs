//! The Bundle: what stays of the resources, by which request each is stored, and how they refer to each other.

use std::borrow::Cow;

use pipehat_resource::json::{Object, Value};
use pipehat_resource::kept::{Keeps, if_found_mark};
use uuid::Uuid;

use super::json::Writer;
use super::tree::NodeId;
use super::view::At;
use super::{Resource, Run};
use crate::condition::Name;
use crate::finding::{Finding, FindingKind};
use crate::identity::{Identity, identifier_search};
use crate::lineage::PackedLineage;
use crate::plan::{MessageMap, Whose};

/// What became of a message.
pub(crate) struct Finished {
    pub(crate) bundle: Value,
    pub(crate) findings: Vec<Finding>,
    pub(crate) findings_beyond: usize,
    pub(crate) lineage: Option<PackedLineage>,
}

/// How a resource is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Store {
    /// It replaces what is there.
    Update,
    /// It is made only where there is none: this message only refers to it.
    CreateIfNone,
}

/// What messages other than ADT and their like are not about.
const ONLY_REFERRED: [&str; 6] =
    ["Patient", "Encounter", "Practitioner", "Organization", "Location", "ServiceRequest"];

/// Messages that answer orders, by the beginnings of their maps' names. They need not repeat what they answer (HL7 v2.5.1 §4.4.2,
/// §4.13.2), and change nothing of it.
const ANSWERS: [&str; 13] = [
    "ORR_", "ORG_", "ORL_", "ORI_", "ORP_", "ORD_", "ORS_", "ORN_", "OSR_", "RRE_", "RRD_", "RRG_",
    "RRA_",
];

/// What answers are about: orders, and what is done by them.
const ORDERED: [&str; 7] = [
    "ServiceRequest",
    "MedicationRequest",
    "NutritionOrder",
    "SupplyRequest",
    "MedicationDispense",
    "MedicationAdministration",
    "Task",
];

/// What says what is ordered, in an ORM^O01.
const DETAILS: [&[u8; 3]; 6] = [b"OBR", b"RQD", b"RQ1", b"RXO", b"ODS", b"ODT"];

/// What ORC-1 says became of an order (HL7 table 0119); that it is accepted, or has a number, changes nothing of it.
const OUTCOMES: [&[u8]; 23] = [
    b"AF", b"CR", b"DE", b"DF", b"DR", b"FU", b"HR", b"OC", b"OD", b"OE", b"OF", b"OH", b"OR",
    b"RQ", b"RU", b"UA", b"UC", b"UD", b"UF", b"UH", b"UM", b"UR", b"UX",
];

impl<'a> Run<'a> {
    pub(super) fn write(mut self, map: Option<&MessageMap>) -> Finished {
        self.find_told_again();
        self.find_outranked();
        self.find_longer_than_told();
        self.drop_unnamed_visits(map);
        self.drop_orders_without_a_number();
        self.take_back_observed();
        self.part_merged();
        self.complete_all();
        self.find_ghosts();
        let identities = self.name_all();
        self.find_unsought(&identities);
        self.unite_repeated(&identities);
        let left_out = self.leave_out(map, &identities);
        self.find_outcomes(map);
        self.find_bare_controls(map);
        let references: Vec<Option<String>> = self
            .resources
            .iter()
            .zip(&identities)
            .map(|(own, identity)| {
                // Of two that are one, the dropped one is referred to by the same.
                let identity = identity.as_ref()?;
                let name = own.definition.name();
                if left_out.contains(&identity.id) {
                    return Some(format!("{name}/{}", identity.id));
                }
                (name != "Bundle").then(|| urn(identity.id))
            })
            .collect();
        let announced = self.announced(&identities);
        let mut keeps = self.keeps(map, &references);
        let holds = self.holds_to_patients(map);
        let lineage = self.lineage(&identities);
        let mut bundle = Object::with_capacity(8);
        bundle.set_known("resourceType", Value::string("Bundle"));
        let mut writer =
            Writer { tree: &mut self.tree, names: &self.plan.names, references: &references };
        for own in self.resources.iter().filter(|own| own.definition.name() == "Bundle") {
            writer.members(own.root, &mut bundle);
        }
        bundle.set_known("type", Value::string("transaction"));
        let mut entries = Vec::with_capacity(self.resources.len());
        let mut replaced = Vec::new();
        for (own, identity) in entries_of(&self.resources, &identities) {
            let name = own.definition.name();
            let store = if announced.contains(&own.root) {
                Store::CreateIfNone
            } else {
                store(map, name, own.is_direct)
            };
            let mut resource = Object::with_capacity(16);
            resource.set_known("resourceType", Value::string(name));
            if identity.search.is_none() {
                resource.set_known("id", Value::string(hyphenated(identity.id)));
            }
            writer.members(own.root, &mut resource);
            if name == "DocumentReference" {
                replaced.extend(replaced_by(&resource).map(|search| (own.segment, search)));
            }
            let mut entry = Object::with_capacity(3);
            entry.set_known("fullUrl", Value::string(urn(identity.id)));
            // What is only referred to is not changed anyway.
            let is_told = store == Store::Update || announced.contains(&own.root);
            let keeps = keeps.iter_mut().find(|(root, _)| is_told && *root == own.root);
            let keeps = keeps.map(|(_, keeps)| keeps);
            let whose = holds.then(|| self.plan.whose_it_is(name)).flatten();
            let mark = mark(keeps, whose, store, &resource);
            entry.set_known("resource", Value::Object(resource));
            entry.set_known("request", Value::Object(request(name, identity, store, mark)));
            entries.push(Value::Object(entry));
        }
        for (segment, search) in replaced {
            match search {
                Some(search) => entries.push(superseded(&search)),
                None => self.find_at(
                    FindingKind::LeftOut,
                    Self::segment_at(segment),
                    "the document that TXA-13 names is not looked for without an authority: it stays as it stands",
                ),
            }
        }
        if !entries.is_empty() {
            bundle.set_known("entry", Value::Array(entries));
        }
        Finished {
            bundle: Value::Object(bundle),
            findings: self.findings,
            findings_beyond: self.findings_beyond,
            lineage,
        }
    }

    /// Documents of which the message tells that they stand, and not their content. A server that doesn't know what is to be
    /// kept would take it away; so they are made only where there is none, which takes an identifier to look by, and
    /// what stands is told what is new of it by who knows. One that is withdrawn replaces what is there.
    fn announced(&mut self, identities: &[Option<Identity>]) -> Vec<NodeId> {
        let mut announced = Vec::new();
        for index in 0..self.resources.len() {
            let (Some(own), Some(Some(identity))) =
                (self.resources.get(index), identities.get(index))
            else {
                continue;
            };
            let (root, segment) = (own.root, own.segment);
            if own.is_dropped
                || own.definition.name() != "DocumentReference"
                || self.has_content(root)
                || self.text_of(root, "status").is_none_or(|status| status != "current")
            {
                continue;
            }
            let text = if identity.search.is_some() {
                announced.push(root);
                "a document without its content: one that is stored keeps its own"
            } else {
                if let Some(own) = self.resources.get_mut(index) {
                    own.is_dropped = true;
                }
                "a document without its content, and not looked for without an authority: left out"
            };
            self.find_at(FindingKind::Incomplete, Self::segment_at(segment), text);
        }
        announced
    }

    /// Takes out visits that a result, an order or the like names neither by PV1-19 nor by PV1-50: nothing could ever find
    /// them again, and each message would leave one more behind. Who tells of visits tells them without a number, too.
    fn drop_unnamed_visits(&mut self, map: Option<&MessageMap>) {
        for index in 0..self.resources.len() {
            let Some(own) = self.resources.get(index) else { continue };
            if own.definition.name() != "Encounter"
                || store(map, "Encounter", own.is_direct) == Store::Update
                || self.is_numbered(own.root)
            {
                continue;
            }
            let segment = own.segment;
            let Some(own) = self.resources.get_mut(index) else { continue };
            own.is_dropped = true;
            if own.has_value {
                self.has_removed = true;
                self.unnamed.push(segment);
                self.find_at(
                    FindingKind::Incomplete,
                    Self::segment_at(segment),
                    "names no visit by a number (PV1-19, PV1-50), and the message is not about visits: no Encounter was made",
                );
            }
        }
    }

    /// What several fields tell of a patient alike (PID-2 and PID-3) is told once.
    fn unite_repeated(&mut self, identities: &[Option<Identity>]) {
        let id = |index: u32| identities.get(index as usize)?.as_ref().map(|own| own.id);
        let is_one =
            |left, right| left == right || id(left).is_some_and(|own| id(right) == Some(own));
        for own in self.resources.iter().filter(|own| !own.is_dropped) {
            if own.definition.name() == "Patient" {
                self.tree.unite_same(own.root, &is_one);
            }
        }
    }

    /// Leaves out what this message only refers to and nothing can look for: stored under its id, it would replace what an
    /// earlier message told. The id is the same, and what refers to it does so by it.
    fn leave_out(
        &mut self,
        map: Option<&MessageMap>,
        identities: &[Option<Identity>],
    ) -> Vec<Uuid> {
        let mut left_out = Vec::new();
        for index in 0..self.resources.len() {
            let (Some(own), Some(Some(identity))) =
                (self.resources.get(index), identities.get(index))
            else {
                continue;
            };
            let name = own.definition.name();
            let is_answered = ORDERED.contains(&name) && map.is_some_and(is_answer);
            let is_told_elsewhere = matches!(name, "Patient" | "Encounter" | "ServiceRequest");
            if own.is_dropped
                || !(is_told_elsewhere || is_answered)
                || identity.search.is_some()
                || store(map, name, own.is_direct) == Store::Update
                || !(is_answered || self.is_numbered(own.root))
            {
                continue;
            }
            let segment = own.segment;
            left_out.push(identity.id);
            if let Some(own) = self.resources.get_mut(index) {
                own.is_dropped = true;
            }
            self.find_at(
                FindingKind::LeftOut,
                Self::segment_at(segment),
                "only referred to here, and not looked for without an authority: left out",
            );
        }
        left_out
    }

    /// Tells of answers that say what became of an order: they change nothing of one that is stored.
    fn find_outcomes(&mut self, map: Option<&MessageMap>) {
        if !map.is_some_and(is_answer) {
            return;
        }
        for segment in 0..self.view.len() {
            if self.view.name(segment) == Some(Name(*b"ORC"))
                && OUTCOMES.contains(&self.view.field(segment, 1).trim_ascii())
            {
                self.find_at(
                    FindingKind::LeftOut,
                    At::of_field(segment, 1),
                    "an answer changes no order that is stored: what it says became of one is left out (examples/orders records answers)",
                );
            }
        }
    }

    /// Tells of controls of a general order without its detail (HL7 v2.5.1 §4.4.1: that is optional): nothing says whether a
    /// service was ordered or a drug, and what is stored as a MedicationRequest is not found so.
    fn find_bare_controls(&mut self, map: Option<&MessageMap>) {
        if map.is_none_or(|map| &*map.name != "ORM_O01") {
            return;
        }
        for segment in 0..self.view.len() {
            if self.view.name(segment) == Some(Name(*b"ORC"))
                && !DETAILS.iter().any(|name| self.nearest(Name(**name), segment).is_some())
            {
                self.find_at(
                    FindingKind::Ambiguous,
                    Self::segment_at(segment),
                    "what is ordered is not told: taken for a service; a drug that has this number stays as it stands",
                );
            }
        }
    }
}

/// Whether messages of this map answer orders.
fn is_answer(map: &MessageMap) -> bool {
    ANSWERS.iter().any(|code| map.name.starts_with(code))
}

/// The resources that become entries, in their order.
pub(super) fn entries_of<'r>(
    resources: &'r [Resource],
    identities: &'r [Option<Identity>],
) -> impl Iterator<Item = (&'r Resource, &'r Identity)> {
    resources.iter().zip(identities).filter_map(|(own, identity)| {
        let is_entry = !own.is_dropped && !own.is_taken_out && own.definition.name() != "Bundle";
        is_entry.then_some((own, identity.as_ref()?))
    })
}

/// What finds the document that another replaces (HL7 v2.5.1 §9.5.9, §9.5.10), for as long as it is current; no search where
/// its number has no known system. Nothing where it replaces none, or itself.
fn replaced_by(document: &Object) -> Option<Option<String>> {
    let mut related = document.get("relatesTo").and_then(Value::as_array).into_iter().flatten();
    let replaces = related.find(|own| own.text("code") == Some("replaces"))?;
    let number = replaces.get("target")?.get("identifier")?;
    let value = number.text("value")?;
    let system = number.text("system");
    let is_own = |own: &Value| own.text("value") == Some(value) && own.text("system") == system;
    let master = document.get("masterIdentifier").into_iter();
    let numbers = document.get("identifier").and_then(Value::as_array).into_iter().flatten();
    if master.chain(numbers).any(is_own) {
        return None;
    }
    Some(system.map(|system| format!("{}&status=current", identifier_search(system, value))))
}

/// The entry that says of a document that it is replaced, where there is one. It changes nothing else of it, for the message
/// tells nothing else.
fn superseded(search: &str) -> Value {
    let part = |name: &str, member: &str, value: &str| {
        let mut part = Object::with_capacity(2);
        part.set("name", Value::string(name));
        part.set(member, Value::string(value));
        Value::Object(part)
    };
    let mut operation = Object::with_capacity(2);
    operation.set("name", Value::string("operation"));
    let parts = vec![
        part("type", "valueCode", "replace"),
        part("path", "valueString", "DocumentReference.status"),
        part("value", "valueCode", "superseded"),
    ];
    operation.set("part", Value::Array(parts));
    let mut patch = Object::with_capacity(2);
    patch.set_known("resourceType", Value::string("Parameters"));
    patch.set("parameter", Value::Array(vec![Value::Object(operation)]));
    let mut request = Object::with_capacity(3);
    request.set_known("extension", Value::Array(vec![if_found_mark()]));
    request.set_known("method", Value::string("PATCH"));
    request.set_known("url", Value::string(format!("DocumentReference?{search}")));
    let mut entry = Object::with_capacity(2);
    entry.set_known("resource", Value::Object(patch));
    entry.set_known("request", Value::Object(request));
    Value::Object(entry)
}

fn hyphenated(id: Uuid) -> String {
    let mut buffer = Uuid::encode_buffer();
    let text: &str = id.hyphenated().encode_lower(&mut buffer);
    text.to_owned()
}

fn urn(id: Uuid) -> String {
    let mut buffer = Uuid::encode_buffer();
    let text: &str = id.urn().encode_lower(&mut buffer);
    text.to_owned()
}

/// Whether a message tells all of a resource, or only refers to it.
fn store(map: Option<&MessageMap>, name: &str, is_direct: bool) -> Store {
    let is_about_people = map
        .is_some_and(|map| ["ADT_", "BAR_", "PPR_"].iter().any(|code| map.name.starts_with(code)));
    let is_order = map.is_some_and(|map| {
        ["ORM_", "OMG_", "OML_", "OMP_", "OMI_", "SIU_", "REF_"]
            .iter()
            .any(|code| map.name.starts_with(code))
    });
    let is_told = match name {
        _ if ORDERED.contains(&name) && map.is_some_and(is_answer) => return Store::CreateIfNone,
        "Patient" | "Encounter" => is_direct && is_about_people,
        "ServiceRequest" => is_direct && (is_order || is_about_people),
        _ => is_direct,
    };
    if is_told || !ONLY_REFERRED.contains(&name) { Store::Update } else { Store::CreateIfNone }
}

/// What stays of a resource, and that it stays whose it is, where the message says that. What is made only where there is none
/// is changed by nobody.
fn mark(
    keeps: Option<&mut Keeps>,
    whose: Option<&Whose>,
    store: Store,
    resource: &Object,
) -> Option<Value> {
    let whose = whose.filter(|whose| resource.get(whose.element).is_some());
    match (keeps, whose) {
        (Some(keeps), whose) => {
            if let Some(whose) = whose {
                keeps.hold(whose.element);
            }
            Some(keeps.mark())
        }
        (None, Some(whose)) if store == Store::Update => Some(whose.mark.clone()),
        (None, _) => None,
    }
}

fn request(name: &str, identity: &Identity, store: Store, mark: Option<Value>) -> Object {
    let mut request = Object::with_capacity(3);
    if let Some(mark) = mark {
        request.set_known("extension", Value::Array(vec![mark]));
    }
    let (method, url): (&str, Cow<'_, str>) = match (&identity.search, store) {
        (Some(_), Store::CreateIfNone) => ("POST", name.into()),
        (Some(search), Store::Update) => ("PUT", format!("{name}?{search}").into()),
        (None, _) => ("PUT", [name, "/", &hyphenated(identity.id)].concat().into()),
    };
    request.set_known("method", Value::string(method));
    request.set_known("url", Value::string(url));
    if let (Some(search), Store::CreateIfNone) = (&identity.search, store) {
        request.set_known("ifNoneExist", Value::string(search.as_str()));
    }
    request
}
