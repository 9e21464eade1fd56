//! Who pays, and what for.

use crate::catalogue::{CHARGES, Charge, DIAGNOSES};
use crate::identifier::{Identifier, Scheme};
use crate::moment::{DAY, HOUR};
use crate::people::Contact;
use crate::random::below;
use crate::scene::Context;
use crate::value::{FACILITY, Value};

pub(super) fn in1<'a>(context: &Context<'a>, position: u16, repetition: usize) -> Value<'a> {
    if repetition > 0 {
        return Value::Nothing;
    }
    let patient = context.patient();
    let insurer = patient.insurer();
    match position {
        1 => Value::Number(context.cursor.set as u64 + 1),
        2 => Value::Coded(crate::catalogue::Coded::new(insurer.plan, insurer.name, "L")),
        3 => Value::Identifier(Identifier {
            prefix: "",
            number: insurer.number,
            scheme: Scheme::None,
            authority: "PAYERS",
            kind: "NIIP",
        }),
        4 => Value::Organization(insurer.name),
        8 => Value::Serial("GRP", insurer.number),
        12 => Value::Day(
            patient.born.plus(((context.scene.now.0 - patient.born.0) / DAY / 3) * 2 * DAY),
        ),
        16 => Value::Name(patient.name),
        17 => Value::Code("SEL"),
        18 => Value::Day(patient.born),
        19 => Value::Address(patient.address()),
        36 => Value::Serial("P", patient.policy()),
        43 => Value::Code(patient.sex),
        49 => Value::Identifier(patient.record_number()),
        _ => Value::Nothing,
    }
}

pub(super) fn in2<'a>(context: &Context<'a>, position: u16, repetition: usize) -> Value<'a> {
    match (position, repetition) {
        (1, 0) => Value::Identifier(patient_account(context)),
        _ => Value::Nothing,
    }
}

fn patient_account(context: &Context<'_>) -> Identifier {
    Identifier { kind: "EN", ..context.patient().account() }
}

pub(super) fn gt1<'a>(context: &Context<'a>, position: u16, repetition: usize) -> Value<'a> {
    if repetition > 0 {
        return Value::Nothing;
    }
    let patient = context.patient();
    let is_child = patient.age(context.scene.now) < 18;
    let (person, relation) =
        if is_child { patient.kin(0, context.scene.now) } else { (patient.person(), "SEL") };
    match position {
        1 => Value::Number(context.cursor.set as u64 + 1),
        2 => Value::Identifier(Identifier { prefix: "G", kind: "XX", ..patient.account() }),
        3 => Value::Name(person.name),
        5 => Value::Address(person.address),
        6 => Value::Contact(Contact::Phone(person.phone, "PRN")),
        8 if is_child => Value::Nothing,
        8 => Value::Day(patient.born),
        9 => Value::Code(if person.woman { "F" } else { "M" }),
        11 => Value::Code(relation),
        _ => Value::Nothing,
    }
}

fn charge(context: &Context<'_>) -> (&'static Charge, i64) {
    let number = context.scene.asked(200 + context.cursor.item as u64);
    let charge = crate::random::pick(number, &[0, 1, 2, 3, 4, 5, 6]);
    let charge = &CHARGES[charge % CHARGES.len()];
    (charge, 1 + below(number.rotate_left(17), charge.most.unsigned_abs()) as i64)
}

/// How many charges a message tells.
pub(crate) fn charge_count(context: &Context<'_>) -> usize {
    crate::random::pick(context.scene.asked(199), &[1, 1, 1, 2, 3])
}

pub(super) fn ft1<'a>(context: &Context<'a>, position: u16, repetition: usize) -> Value<'a> {
    if repetition > 0 {
        return Value::Nothing;
    }
    let scene = context.scene;
    let (charge, count) = charge(context);
    match position {
        1 => Value::Number(context.cursor.set as u64 + 1),
        2 => Value::Identifier(Identifier {
            prefix: "T",
            number: scene.control_id * 10 + context.cursor.item as u64,
            scheme: Scheme::None,
            authority: FACILITY,
            kind: "RI",
        }),
        4 => Value::Moment(scene.now.plus(-2 * HOUR)),
        5 => Value::Moment(scene.now),
        6 => Value::Code("CG"),
        7 => Value::Coded(charge.code),
        10 => Value::Number(count.unsigned_abs()),
        11 => Value::Cents(charge.cents * count),
        12 => Value::Cents(charge.cents),
        16 => Value::Bed(context.visit().bed),
        19 => Value::Coded(DIAGNOSES[usize::from(context.visit().diagnosis) % DIAGNOSES.len()]),
        20 => context.practitioner(context.visit().attending),
        _ => Value::Nothing,
    }
}
