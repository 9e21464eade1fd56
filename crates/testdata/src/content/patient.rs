//! Who the patient is, whom to call, and what the patient does not bear.

use crate::catalogue::{ALLERGIES, Coded};
use crate::moment::DAY;
use crate::people::{Contact, Name, Patient};
use crate::random::{below, percent, pick};
use crate::scene::Context;
use crate::value::{FACILITY, Value};
use pipehat_dictionary::Version;

pub(super) fn pid<'a>(context: &Context<'a>, position: u16, repetition: usize) -> Value<'a> {
    let patient = context.patient();
    match (position, repetition) {
        (1, 0) => Value::Number(1),
        (3, at) => patient.identifier(at).map_or(Value::Nothing, Value::Identifier),
        (5, 0) => Value::Name(patient.name),
        (5, 1) if has_maiden_name(patient) => Value::Name(Name {
            family: pick(patient.asked(30), patient.culture.families),
            second: "",
            kind: "M",
            ..patient.name
        }),
        (6, 0) if patient.age(context.scene.now) < 18 => Value::Name(Name {
            family: pick(patient.asked(31), patient.culture.families),
            second: "",
            given: patient.kin(0, context.scene.now).0.name.given,
            middle: "",
            kind: "M",
            ..patient.name
        }),
        (7, 0) => Value::Day(patient.born),
        (8, 0) => Value::Code(patient.sex),
        (11, 0) => Value::Address(patient.address()),
        // From 2.9 on all numbers are in PID-40.
        (13, at) => patient.contact(at).map_or(Value::Nothing, Value::Contact),
        (14, 0) if patient.age(context.scene.now) > 20 && percent(patient.asked(32), 20) => {
            Value::Contact(Contact::Phone(
                crate::people::Phone::new(patient.asked(33), patient.country()),
                "WPN",
            ))
        }
        (40, at) if context.scene.version >= Version::V2_9_1 => {
            patient.contact(at).map_or(Value::Nothing, Value::Contact)
        }
        (15, 0) => {
            let (code, text) = patient.culture.language;
            Value::Coded(Coded::new(code, text, "ISO639"))
        }
        (16, 0) => Value::Code(patient.marital),
        (18, 0) => Value::Identifier(patient.account()),
        (24, 0) if percent(patient.asked(34), 2) => Value::Code("Y"),
        (25, 0) if percent(patient.asked(34), 2) => Value::Number(1 + below(patient.asked(35), 2)),
        (29, 0) => patient.died.map_or(Value::Nothing, Value::Moment),
        (30, 0) if patient.died.is_some() => Value::Code("Y"),
        (33, 0) => Value::Moment(patient.updated),
        (34, 0) => Value::Designator(FACILITY),
        _ => Value::Nothing,
    }
}

fn has_maiden_name(patient: &Patient) -> bool {
    patient.sex == "F" && patient.marital != "S" && percent(patient.asked(36), 35)
}

pub(super) fn pd1<'a>(context: &Context<'a>, position: u16, repetition: usize) -> Value<'a> {
    let patient = context.patient();
    match (position, repetition) {
        (3, 0) => Value::Organization("Riverside Family Practice"),
        (4, 0) => context.practitioner(below(patient.asked(40), 100) as u16),
        (12, 0) if percent(patient.asked(41), 10) => Value::Code("Y"),
        _ => Value::Nothing,
    }
}

/// The number that is given up.
pub(super) fn mrg<'a>(context: &Context<'a>, position: u16, repetition: usize) -> Value<'a> {
    let other = &context.scene.other;
    match (position, repetition) {
        (1, 0) => Value::Identifier(other.record_number()),
        (3, 0) => Value::Identifier(other.account()),
        (5, 0) => Value::Identifier(context.scene.other_visit.identifier()),
        (7, 0) => Value::Name(other.name),
        _ => Value::Nothing,
    }
}

pub(super) fn nk1<'a>(context: &Context<'a>, position: u16, repetition: usize) -> Value<'a> {
    if repetition > 0 {
        return Value::Nothing;
    }
    let patient = context.patient();
    let (person, relation) = patient.kin(context.cursor.item, context.scene.now);
    match position {
        1 => Value::Number(context.cursor.set as u64 + 1),
        2 => Value::Name(person.name),
        3 => Value::Code(relation),
        4 => Value::Address(person.address),
        5 => Value::Contact(Contact::Phone(person.phone, "PRN")),
        7 => Value::Code("N"),
        15 => Value::Code(if person.woman { "F" } else { "M" }),
        _ => Value::Nothing,
    }
}

/// How many allergies are known of a patient.
pub(crate) fn allergy_count(patient: &Patient) -> usize {
    pick(patient.asked(45), &[0, 0, 0, 1, 1, 2])
}

fn allergy(context: &Context<'_>) -> (Coded, &'static str, &'static str, &'static str) {
    let first = below(context.patient().asked(46), ALLERGIES.len() as u64) as usize;
    ALLERGIES[(first + context.cursor.item) % ALLERGIES.len()]
}

pub(super) fn al1<'a>(context: &Context<'a>, position: u16, repetition: usize) -> Value<'a> {
    let (what, kind, severity, reaction) = allergy(context);
    match (position, repetition) {
        (1, 0) => Value::Number(context.cursor.set as u64 + 1),
        (2, 0) => Value::Code(kind),
        (3, 0) => Value::Coded(what),
        (4, 0) => Value::Code(severity),
        (5, 0) => Value::Text(reaction),
        (6, 0) => Value::Day(
            context
                .patient()
                .born
                .plus(DAY * (365 + context.patient().asked(47) as i64 % 700).abs()),
        ),
        _ => Value::Nothing,
    }
}

pub(super) fn iam<'a>(context: &Context<'a>, position: u16, repetition: usize) -> Value<'a> {
    let (what, kind, severity, reaction) = allergy(context);
    match (position, repetition) {
        (1, 0) => Value::Number(context.cursor.set as u64 + 1),
        (2, 0) => Value::Code(kind),
        (3, 0) => Value::Coded(what),
        (4, 0) => Value::Code(severity),
        (5, 0) => Value::Text(reaction),
        (6, 0) => Value::Code("A"),
        (7, 0) => Value::Entity(crate::identifier::Entity {
            prefix: "ALG",
            number: context.patient().number * 10 + context.cursor.item as u64,
            namespace: FACILITY,
        }),
        _ => Value::Nothing,
    }
}
