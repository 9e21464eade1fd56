//! Where the patient is, why, and what was done.

use crate::catalogue::{DIAGNOSES, PROCEDURES, SERVICES};
use crate::moment::{DAY, HOUR};
use crate::random::{below, percent, pick};
use crate::scene::Context;
use crate::value::Value;

pub(super) fn pv1<'a>(context: &Context<'a>, position: u16, repetition: usize) -> Value<'a> {
    let visit = context.visit();
    let patient = context.patient();
    let is_in = visit.class == "I";
    if repetition > 0 {
        return Value::Nothing;
    }
    match position {
        1 => Value::Number(1),
        2 => Value::Code(visit.class),
        3 => Value::Bed(visit.bed),
        4 => Value::Code(match visit.class {
            "E" => "E",
            "I" => pick(visit.number, &["R", "U", "E"]),
            _ => "R",
        }),
        6 => visit.prior_bed.map_or(Value::Nothing, Value::Bed),
        7 => context.practitioner(visit.attending),
        8 if percent(patient.asked(50), 60) => context.practitioner(visit.attending + 11),
        9 if percent(visit.number.wrapping_mul(7_919) << 20, 20) => {
            context.practitioner(visit.attending + 29)
        }
        10 => Value::Code(visit.service),
        14 => Value::Code(if visit.class == "E" { "7" } else { "1" }),
        17 if is_in => context.practitioner(visit.attending + 3),
        19 => Value::Identifier(visit.identifier()),
        36 if visit.discharged.is_some() => {
            Value::Codes(if patient.died.is_some() { &["20"] } else { &["01", "1"] })
        }
        44 => Value::Moment(visit.admitted),
        45 => visit.discharged.map_or(Value::Nothing, Value::Moment),
        _ => Value::Nothing,
    }
}

pub(super) fn pv2<'a>(context: &Context<'a>, position: u16, repetition: usize) -> Value<'a> {
    let visit = context.visit();
    match (position, repetition) {
        (3, 0) => Value::Coded(DIAGNOSES[usize::from(visit.diagnosis) % DIAGNOSES.len()]),
        (8, 0) if visit.class == "P" => Value::Moment(visit.admitted),
        (9, 0) if visit.class == "I" => {
            Value::Moment(visit.admitted.plus(DAY * (2 + visit.number as i64 % 6)))
        }
        (11, 0) if visit.class == "I" => Value::Number(2 + visit.number % 6),
        _ => Value::Nothing,
    }
}

/// How many diagnoses a visit has.
pub(crate) fn diagnosis_count(context: &Context<'_>) -> usize {
    pick(context.visit().number.wrapping_mul(0x9E37_79B9_7F4A_7C15), &[0, 1, 1, 2])
}

pub(super) fn dg1<'a>(context: &Context<'a>, position: u16, repetition: usize) -> Value<'a> {
    let visit = context.visit();
    let diagnosis =
        DIAGNOSES[(usize::from(visit.diagnosis) + context.cursor.item * 5) % DIAGNOSES.len()];
    match (position, repetition) {
        (1, 0) => Value::Number(context.cursor.set as u64 + 1),
        (2, 0) => Value::Codes(&["I10", "10"]),
        (3, 0) => Value::Coded(diagnosis),
        (4, 0) => Value::Text(diagnosis.text),
        (5, 0) => Value::Moment(visit.admitted.plus(HOUR)),
        (6, 0) => Value::Code(if visit.discharged.is_some() { "F" } else { "A" }),
        (15, 0) => Value::Codes(if context.cursor.item == 0 { &["1"] } else { &["2"] }),
        (16, 0) => context.practitioner(visit.attending),
        (20, 0) => Value::Entity(crate::identifier::Entity {
            prefix: "DX",
            number: visit.number * 10 + context.cursor.item as u64,
            namespace: crate::value::FACILITY,
        }),
        (21, 0) => Value::Code("A"),
        _ => Value::Nothing,
    }
}

pub(super) fn pr1<'a>(context: &Context<'a>, position: u16, repetition: usize) -> Value<'a> {
    let visit = context.visit();
    let at = (visit.number as usize + context.cursor.item) % PROCEDURES.len();
    let procedure = &PROCEDURES[at];
    match (position, repetition) {
        (1, 0) => Value::Number(context.cursor.set as u64 + 1),
        (2, 0) => Value::Code("L"),
        (3, 0) => Value::Coded(procedure.code),
        (4, 0) => Value::Text(procedure.code.text),
        (5, 0) => Value::Moment(visit.admitted.plus(20 * HOUR)),
        (6, 0) => Value::Codes(&["P", "D", "A"]),
        (7, 0) => Value::Number(procedure.minutes.unsigned_abs()),
        (11, 0) => context.practitioner(visit.attending + 5),
        (19, 0) => Value::Entity(crate::identifier::Entity {
            prefix: "PX",
            number: visit.number * 10 + context.cursor.item as u64,
            namespace: crate::value::FACILITY,
        }),
        (20, 0) => Value::Code("A"),
        _ => Value::Nothing,
    }
}

pub(super) fn npu<'a>(context: &Context<'a>, position: u16, _: usize) -> Value<'a> {
    match position {
        1 => Value::Bed(context.visit().bed),
        2 => Value::Codes(&["H", "K", "U", "1"]),
        _ => Value::Nothing,
    }
}

pub(super) fn rol<'a>(context: &Context<'a>, position: u16, repetition: usize) -> Value<'a> {
    let visit = context.visit();
    match (position, repetition) {
        (1, 0) => Value::Entity(crate::identifier::Entity {
            prefix: "ROL",
            number: visit.number,
            namespace: crate::value::FACILITY,
        }),
        (2, 0) => Value::Codes(&["AD", "UC"]),
        (3, 0) => Value::Code("AT"),
        (4, 0) => context.practitioner(visit.attending),
        (5, 0) => Value::Moment(visit.admitted),
        _ => Value::Nothing,
    }
}

pub(super) fn prt<'a>(context: &Context<'a>, position: u16, repetition: usize) -> Value<'a> {
    let visit = context.visit();
    match (position, repetition) {
        (1, 0) => Value::Entity(crate::identifier::Entity {
            prefix: "PRT",
            number: visit.number,
            namespace: crate::value::FACILITY,
        }),
        (2, 0) => Value::Codes(&["AD", "UC"]),
        (4, 0) => Value::Codes(&["AT", "OP", "SP"]),
        (5, 0) => context.practitioner(visit.attending),
        (11, 0) => Value::Moment(visit.admitted),
        _ => Value::Nothing,
    }
}

/// A bed of a service.
pub(crate) fn bed_of(service: &str, number: u64) -> crate::value::Bed {
    let wards = SERVICES
        .iter()
        .find(|(name, _)| *name == service)
        .map_or(SERVICES[0].1, |(_, wards)| wards);
    crate::value::Bed {
        ward: pick(number, wards),
        room: 101 + below(number.rotate_left(13), 40) as u16,
        bed: 1 + below(number.rotate_left(29), 2) as u8,
    }
}
