//! What every message begins with, and what acknowledgments say.

use crate::random::pick;
use crate::scene::Context;
use crate::system::System;
use crate::value::{FACILITY, Value};

/// Which system sends what, and to which.
fn systems(code: &str) -> (&'static str, &'static str) {
    match code {
        "ADT" | "BAR" => ("REGISTRATION", "ENGINE"),
        "ORU" | "OUL" => ("LABORATORY", "WARDS"),
        "ORM" | "OMG" | "OML" | "OMI" => ("WARDS", "LABORATORY"),
        "RDE" | "OMP" | "RDS" | "RAS" | "RGV" => ("PHARMACY", "WARDS"),
        "SIU" | "SRM" => ("SCHEDULING", "CLINICS"),
        "MDM" => ("DOCUMENTS", "RECORDS"),
        "DFT" => ("WARDS", "BILLING"),
        "VXU" => ("CLINIC", "REGISTRY"),
        "ACK" => ("ENGINE", "REGISTRATION"),
        _ => ("ENGINE", "RECORDS"),
    }
}

pub(super) fn msh<'a>(context: &Context<'a>, position: u16, repetition: usize) -> Value<'a> {
    let scene = context.scene;
    if repetition > 0 {
        return Value::Nothing;
    }
    let sender = scene.sender.as_deref();
    let named = |name: fn(&System) -> &String, usual| {
        let own = sender.map(name).filter(|name| !name.is_empty());
        Value::Designator(own.map_or(usual, String::as_str))
    };
    match position {
        3 => named(|system| &system.application, systems(scene.code).0),
        4 => named(|system| &system.facility, FACILITY),
        5 => named(|system| &system.receiving_application, systems(scene.code).1),
        6 => named(|system| &system.receiving_facility, FACILITY),
        7 => Value::Zoned(scene.now),
        9 => Value::MessageType(scene.code, scene.trigger, scene.structure),
        10 => Value::Serial(
            sender.map_or("G", |system| system.control_id_prefix.as_str()),
            scene.control_id,
        ),
        15 | 16 => match sender.and_then(|system| system.acknowledgments) {
            Some((accept, application)) => {
                Value::Code(if position == 15 { accept } else { application })
            }
            None => Value::Nothing,
        },
        11 => Value::Raw("P"),
        12 => Value::Raw(scene.version_id),
        18 if !scene.charset.is_empty() => Value::Code(scene.charset),
        _ => Value::Nothing,
    }
}

pub(super) fn sft<'a>(_: &Context<'a>, position: u16, _: usize) -> Value<'a> {
    match position {
        1 => Value::Organization("Pipehat"),
        2 => Value::Raw("1"),
        3 => Value::Raw("pipehat generate"),
        4 => Value::Raw("testdata"),
        _ => Value::Nothing,
    }
}

pub(super) fn evn<'a>(context: &Context<'a>, position: u16, repetition: usize) -> Value<'a> {
    let scene = context.scene;
    match position {
        1 => Value::Code(scene.trigger),
        2 => Value::Moment(scene.now),
        4 => Value::Codes(if scene.chance(10, 70) { &["02", "2"] } else { &["01", "1"] }),
        5 if repetition == 0 && scene.chance(11, 60) => {
            context.practitioner(pick(scene.asked(12), &[3, 7, 21, 40]))
        }
        6 => Value::Moment(scene.now.plus(-45)),
        7 => Value::Designator(FACILITY),
        _ => Value::Nothing,
    }
}

/// One acknowledgment in twenty is negative.
pub(crate) fn is_negative(context: &Context<'_>) -> bool {
    context.scene.code == "ACK" && context.scene.chance(20, 5)
}

pub(super) fn msa<'a>(context: &Context<'a>, position: u16, _: usize) -> Value<'a> {
    match position {
        1 if is_negative(context) => Value::Code("AE"),
        1 => Value::Code("AA"),
        2 => Value::Serial("G", context.scene.control_id - 1),
        3 if is_negative(context) => Value::Text("Patient identifier missing"),
        _ => Value::Nothing,
    }
}

pub(super) fn err<'a>(_: &Context<'a>, position: u16, repetition: usize) -> Value<'a> {
    match (position, repetition) {
        (1 | 2, 0) => Value::Location("PID", 1, 3),
        (3, 0) => Value::Code("101"),
        (4, 0) => Value::Code("E"),
        (8, 0) => Value::Text("Patient identifier missing"),
        _ => Value::Nothing,
    }
}

pub(super) fn nte<'a>(context: &Context<'a>, position: u16, repetition: usize) -> Value<'a> {
    match (position, repetition) {
        (1, 0) => Value::Number(context.cursor.set as u64 + 1),
        (2, 0) => Value::Code("L"),
        (3, 0) => {
            let at = context.cursor.set as u64 + 8 * context.cursor.order as u64;
            Value::Text(pick(context.scene.asked(30 + at), crate::catalogue::NOTES))
        }
        _ => Value::Nothing,
    }
}
