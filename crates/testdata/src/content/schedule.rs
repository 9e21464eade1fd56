//! Appointments.

use crate::catalogue::Coded;
use crate::identifier::Entity;
use crate::moment::MINUTE;
use crate::scene::Context;
use crate::value::Value;

const fn number(prefix: &'static str, number: u64) -> Value<'static> {
    Value::Entity(Entity { prefix, number, namespace: "SCHEDULING" })
}

pub(super) fn sch<'a>(context: &Context<'a>, position: u16, repetition: usize) -> Value<'a> {
    if repetition > 0 {
        return Value::Nothing;
    }
    let appointment = &context.scene.appointment;
    match position {
        1 => number("REQ", appointment.number),
        2 => number("APT", appointment.number),
        6 => Value::Codes(match context.scene.trigger {
            "S15" => &["CANCEL", "Cancelled"],
            _ => &["ROUTINE", "Routine"],
        }),
        7 => Value::Coded(appointment.reason),
        8 => Value::Codes(&["Normal", "NORMAL"]),
        9 => Value::Number(appointment.minutes.unsigned_abs()),
        10 => Value::Coded(Coded::new("min", "minutes", "UCUM")),
        11 => Value::Timing("", appointment.start, "R"),
        16 | 20 => context.practitioner(appointment.practitioner + 8),
        25 => status(appointment.status),
        _ => Value::Nothing,
    }
}

/// Table 0278, whose spelling differs between versions.
const fn status(status: &str) -> Value<'static> {
    Value::Codes(match status.as_bytes() {
        b"Cancelled" => &["Cancelled", "CANCELLED"],
        b"Noshow" => &["Noshow", "NOSHOW"],
        _ => &["Booked", "BOOKED"],
    })
}

pub(super) fn arq<'a>(context: &Context<'a>, position: u16, repetition: usize) -> Value<'a> {
    let appointment = &context.scene.appointment;
    match (position, repetition) {
        (1, 0) => number("REQ", appointment.number),
        (7, 0) => Value::Coded(appointment.reason),
        (11, 0) => {
            Value::Period(appointment.start, appointment.start.plus(appointment.minutes * MINUTE))
        }
        (15 | 19, 0) => context.practitioner(appointment.practitioner + 8),
        _ => Value::Nothing,
    }
}

pub(super) fn rgs<'a>(context: &Context<'a>, position: u16, _: usize) -> Value<'a> {
    match position {
        1 => Value::Number(context.cursor.set as u64 + 1),
        2 => Value::Code(action(context)),
        _ => Value::Nothing,
    }
}

/// Table 0206: what becomes of the resource.
fn action(context: &Context<'_>) -> &'static str {
    match context.scene.trigger {
        "S15" | "S16" | "S17" => "D",
        "S13" | "S14" => "U",
        _ => "A",
    }
}

pub(super) fn ais<'a>(context: &Context<'a>, position: u16, repetition: usize) -> Value<'a> {
    let appointment = &context.scene.appointment;
    match (position, repetition) {
        (1, 0) => Value::Number(context.cursor.set as u64 + 1),
        (2, 0) => Value::Code(action(context)),
        (3, 0) => Value::Coded(appointment.reason),
        (4, 0) => Value::Moment(appointment.start),
        (7, 0) => Value::Number(appointment.minutes.unsigned_abs()),
        (8, 0) => Value::Coded(Coded::new("min", "minutes", "UCUM")),
        (10, 0) => status(appointment.status),
        _ => Value::Nothing,
    }
}

pub(super) fn ail<'a>(context: &Context<'a>, position: u16, repetition: usize) -> Value<'a> {
    let appointment = &context.scene.appointment;
    match (position, repetition) {
        (1, 0) => Value::Number(context.cursor.set as u64 + 1),
        (2, 0) => Value::Code(action(context)),
        (3, 0) => Value::Bed(appointment.room),
        (4, 0) => Value::Coded(Coded::new("ROOM", "Examination room", "L")),
        (6, 0) => Value::Moment(appointment.start),
        (9, 0) => Value::Number(appointment.minutes.unsigned_abs()),
        (10, 0) => Value::Coded(Coded::new("min", "minutes", "UCUM")),
        _ => Value::Nothing,
    }
}

pub(super) fn aip<'a>(context: &Context<'a>, position: u16, repetition: usize) -> Value<'a> {
    let appointment = &context.scene.appointment;
    match (position, repetition) {
        (1, 0) => Value::Number(context.cursor.set as u64 + 1),
        (2, 0) => Value::Code(action(context)),
        (3, 0) => context.practitioner(appointment.practitioner),
        (4, 0) => Value::Coded(Coded::new("PHYSICIAN", "Physician", "L")),
        (6, 0) => Value::Moment(appointment.start),
        (9, 0) => Value::Number(appointment.minutes.unsigned_abs()),
        (10, 0) => Value::Coded(Coded::new("min", "minutes", "UCUM")),
        _ => Value::Nothing,
    }
}
