//! What a receiver was told of a resource: whose it is there, and by which number it goes.
//!
//! A receiver finds what it has by the number that the messages say, and has it in one patient's record. A change that
//! goes by another number, or is another patient's, would leave what it has as it was and alter what it has not: that is
//! for a person, as HL7 v2 has no event for it among those there are tables for. Who was merged is no other patient.

use jiff::Timestamp;
use jiff::tz::Offset;
use pipehat_dictionary::Version;
use pipehat_resource::json::Value;

use super::resources::Resources;
use super::writer::{Stamp, Wanted, Writer};

/// Records of one person that are looked at: one that was merged into another, and that into a third.
const RECORDS_MAX: usize = 16;

/// What is known of a resource beside what it is now.
pub trait History {
    /// What it was: at the first call the version before, at each further one that before the last; none where there is
    /// none.
    fn earlier(&mut self) -> Option<Value>;

    /// One of its first versions, from 1; none where it is not there.
    fn version(&mut self, number: u64) -> Option<Value>;

    /// The record of a patient, as it is now.
    fn patient(&mut self, reference: &str) -> Option<Value>;

    /// Whether a message goes to the receiver that says nobody or nothing that is ordered.
    fn tells_incomplete(&self) -> bool;
}

/// How the messages about a resource name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    patients: Vec<String>,
    numbers: Vec<Number>,
    /// Whether it says whose it is, and what is ordered.
    pub(super) is_complete: bool,
}

/// EI or CX: the number and who gave it.
type Number = (String, String);

/// What names a resource in the messages that are about it.
struct Names {
    event: &'static str,
    fields: &'static [(&'static str, usize)],
    /// Of the fields, how many mustn't change; the others only help to find it.
    fixed: usize,
    /// The field without which nothing is said.
    says: Option<(&'static str, usize)>,
    /// None where another may take the patient's place.
    other_patient: Option<&'static str>,
    other_number: &'static str,
}

fn names(resource_type: &str) -> Option<Names> {
    Some(match resource_type {
        // The filler may number an order anew; it is found by the placer's number (HL7 v2.5.1 §4.5.1.2, §4.5.1.3).
        "ServiceRequest" => Names {
            event: "ORM^O01",
            fields: &[("ORC", 2), ("ORC", 3)],
            fixed: 1,
            says: Some(("OBR", 4)),
            other_patient: Some("the receiver has this order as another patient's (subject)"),
            other_number: "the receiver has this order under another placer's number (ORC-2)",
        },
        // HL7 v2.5.1 §10.6.1.1, §10.6.1.2.
        "Appointment" => Names {
            event: "SIU^S14",
            fields: &[("SCH", 1), ("SCH", 2)],
            fixed: 2,
            says: None,
            // It is the schedule's: who takes another's place in it is told by S14 (HL7 v2.5.1 §10.4.3).
            other_patient: None,
            other_number: "the receiver has this appointment under another number (SCH-1, SCH-2)",
        },
        // To move a visit or to number it anew are events of their own: HL7 v2.5.1 §3.3.45 (A45), §3.3.50 (A50).
        "Encounter" => Names {
            event: "ADT^A08",
            fields: &[("PV1", 19)],
            fixed: 1,
            says: None,
            other_patient: Some("the receiver has this visit as another patient's (subject)"),
            other_number: "the receiver has this visit under another number (PV1-19)",
        },
        _ => return None,
    })
}

/// The identities of versions of one resource, and who is whom among their patients.
#[derive(Debug, Default)]
pub(super) struct Identities {
    last: Option<(Vec<Value>, Option<Identity>)>,
    compared: Vec<(String, String, bool)>,
}

impl Identities {
    /// How messages name this version; none where no message can tell it.
    pub(super) fn of(&mut self, resource: &Value) -> Option<Identity> {
        let elements = ["subject", "participant", "identifier", "requisition", "contained", "code"];
        let modifies = ["modifierExtension", "implicitRules", "doNotPerform"];
        let named = elements.iter().chain(&modifies).map(|name| resource.get(name));
        let named: Vec<Value> = named.map(|own| own.cloned().unwrap_or(Value::Null)).collect();
        if let Some((last, identity)) = &self.last
            && *last == named
        {
            return identity.clone();
        }
        let identity = identity(resource);
        self.last = Some((named, identity.clone()));
        identity
    }

    /// Whether what was told is what is to be told.
    ///
    /// # Errors
    /// What is not.
    pub(super) fn compare(
        &mut self,
        told: &Identity,
        now: &Identity,
        resource_type: &str,
        history: &mut dyn History,
    ) -> Result<(), &'static str> {
        let Some(names) = names(resource_type) else { return Ok(()) };
        if let Some(why) = names.other_patient {
            let is_whose = told.patients.is_empty()
                || now.patients.is_empty()
                || told.patients.iter().any(|one| {
                    now.patients.iter().any(|other| self.is_same_person(one, other, history))
                });
            if !is_whose {
                return Err(why);
            }
        }
        let both = || told.numbers.iter().zip(&now.numbers);
        let is_other = both()
            .take(names.fixed)
            .any(|(one, other)| is_said(one) && is_said(other) && !is_same_number(one, other));
        // A visit is found by its patient, too.
        let is_found = names.fields.len() == 1
            || !told.numbers.iter().any(is_said)
            || both().any(|(one, other)| is_said(one) && is_same_number(one, other));
        if is_other || !is_found { Err(names.other_number) } else { Ok(()) }
    }

    fn is_same_person(&mut self, one: &str, other: &str, history: &mut dyn History) -> bool {
        if one == other {
            return true;
        }
        let known = self.compared.iter().find(|own| own.0 == one && own.1 == other);
        if let Some((_, _, is_same)) = known {
            return *is_same;
        }
        let records = records(one, history);
        let is_same = records.iter().any(|record| record == other)
            || self::records(other, history).iter().any(|record| records.contains(record));
        self.compared.push((one.to_owned(), other.to_owned(), is_same));
        is_same
    }
}

/// The records of the person who has this one, by which of them stands for which (`Patient.link`).
fn records(reference: &str, history: &mut dyn History) -> Vec<String> {
    let mut records = vec![reference.to_owned()];
    let mut next = 0;
    while let Some(record) = records.get(next).filter(|_| next < RECORDS_MAX) {
        next += 1;
        let Some(patient) = history.patient(record) else { continue };
        for link in patient.items("link") {
            let other = link.get("other").and_then(|other| other.text("reference"));
            let Some(other) = other.map(without_version) else { continue };
            let is_one = matches!(link.text("type"), Some("replaced-by" | "replaces"));
            if is_one && records.len() < RECORDS_MAX && !records.iter().any(|own| own == other) {
                records.push(other.to_owned());
            }
        }
    }
    records
}

fn without_version(reference: &str) -> &str {
    reference.split_once("/_history/").map_or(reference, |(it, _)| it)
}

fn is_said(number: &Number) -> bool {
    !number.0.is_empty()
}

/// Whoever leaves out who gave a number gives it no other meaning.
fn is_same_number(one: &Number, other: &Number) -> bool {
    one.0 == other.0 && (one.1 == other.1 || one.1.is_empty() || other.1.is_empty())
}

/// What a message says, whatever the status is that decides which message it is.
fn identity(resource: &Value) -> Option<Identity> {
    let names = names(resource.resource_type()?)?;
    let mut told = resource.clone();
    told.as_object_mut()?.retain(|name, _| name != "status");
    let control = (names.event == "ORM^O01").then_some("CA");
    let wanted = Wanted {
        event: names.event,
        version: Version::V2_5_1,
        order_control: control,
        lineage: None,
    };
    let stamp = Stamp { time: Timestamp::UNIX_EPOCH, offset: Offset::UTC, control_id: "" };
    let resources = Resources::default().with_root(&told);
    let written = Writer::default().write(&wanted, &resources, &stamp).ok()?;
    let message = String::from_utf8(written.message).ok()?;
    let field = |(segment, position): (&str, usize)| {
        let mut segments = message.split('\r').map(|segment| segment.split('|'));
        let fields = segments.find(|fields| fields.clone().next() == Some(segment));
        fields.and_then(|mut fields| fields.nth(position)).unwrap_or_default()
    };
    let number = |field: &str| {
        // The type of the identifier (CX.5) may be said later.
        let mut parts = field.split('^');
        let value = parts.next().unwrap_or_default().to_owned();
        let authority = match names.event {
            "ADT^A08" => parts.nth(2).unwrap_or_default().to_owned(),
            _ => parts.collect::<Vec<_>>().join("^"),
        };
        (value, authority)
    };
    let patients = patients(resource);
    Some(Identity {
        is_complete: !patients.is_empty() && names.says.is_none_or(|own| !field(own).is_empty()),
        numbers: names.fields.iter().map(|own| number(field(*own))).collect(),
        patients,
    })
}

fn patients(resource: &Value) -> Vec<String> {
    let takes_part = |own: &&Value| own.text("status") != Some("declined");
    let actors = resource.items("participant").iter().filter(takes_part);
    let actors = actors.filter_map(|own| own.get("actor"));
    let actors = actors.filter(|actor| {
        actor.text("reference").is_some_and(|it| it.contains("Patient/") || it.starts_with('#'))
    });
    let owners: Vec<&Value> = match resource.resource_type() {
        Some("Appointment") => actors.collect(),
        _ => resource.get("subject").into_iter().collect(),
    };
    let named = owners.into_iter().filter_map(|owner| owner.text("reference"));
    named.filter_map(|reference| named_patient(resource, reference)).collect()
}

/// A patient within the resource is who its numbers say.
fn named_patient(resource: &Value, reference: &str) -> Option<String> {
    let Some(id) = reference.strip_prefix('#') else {
        return Some(without_version(reference).to_owned());
    };
    let within = resource.items("contained").iter().find(|own| own.id() == Some(id))?;
    let is_patient = within.resource_type() == Some("Patient");
    is_patient.then(|| format!("#{}", within.get("identifier").unwrap_or(within).to_json()))
}
