//! Queries and what answers them.

use crate::catalogue::Coded;
use crate::scene::Context;
use crate::value::Value;

fn query<'a>(context: &Context<'a>) -> Value<'a> {
    Value::Serial("Q", context.scene.control_id)
}

pub(super) fn qrd<'a>(context: &Context<'a>, position: u16, repetition: usize) -> Value<'a> {
    let patient = context.patient();
    match (position, repetition) {
        (1, 0) => Value::Moment(context.scene.now),
        (2, 0) => Value::Codes(&["R"]),
        (3, 0) => Value::Codes(&["I"]),
        (4, 0) => query(context),
        (7, 0) => Value::Quantity(10, 0, Coded::new("RD", "Records", "HL70126")),
        (8, 0) => Value::Identifier(patient.record_number()),
        (9, 0) => Value::Codes(&["DEM", "RES"]),
        (10, 0) => Value::Coded(Coded::new("PATIENT", "Patient data", "L")),
        (12, 0) => Value::Codes(&["T"]),
        _ => Value::Nothing,
    }
}

pub(super) fn qrf<'a>(context: &Context<'a>, position: u16, repetition: usize) -> Value<'a> {
    match (position, repetition) {
        (1, 0) => Value::Text("RECORDS"),
        (2, 0) => Value::Moment(context.scene.now.plus(-30 * crate::moment::DAY)),
        (3, 0) => Value::Moment(context.scene.now),
        _ => Value::Nothing,
    }
}

/// The name of the query with this event, as chapters 3 to 5 have it.
fn name(trigger: &str) -> Coded {
    match trigger {
        "Q21" | "K21" => Coded::new("Q21", "Get Person Demographics", "HL70471"),
        "Q22" | "K22" => Coded::new("Q22", "Find Candidates", "HL70471"),
        "Q23" | "K23" => Coded::new("Q23", "Get Corresponding Identifiers", "HL70471"),
        "Q24" | "K24" => Coded::new("Q24", "Allocate Identifiers", "HL70471"),
        "Q31" | "K31" => Coded::new("Q31", "Query Dispense History", "HL70471"),
        _ => Coded::new("Q11", "Query by Parameter", "HL70471"),
    }
}

pub(super) fn qpd<'a>(context: &Context<'a>, position: u16, repetition: usize) -> Value<'a> {
    match (position, repetition) {
        (1, 0) => Value::Coded(name(context.scene.trigger)),
        (2, 0) => query(context),
        (3, 0) => Value::Identifier(context.patient().record_number()),
        _ => Value::Nothing,
    }
}

pub(super) fn rcp<'a>(_: &Context<'a>, position: u16, repetition: usize) -> Value<'a> {
    match (position, repetition) {
        (1, 0) => Value::Codes(&["I"]),
        (2, 0) => Value::Quantity(10, 0, Coded::new("RD", "Records", "HL70126")),
        _ => Value::Nothing,
    }
}

pub(super) fn qak<'a>(context: &Context<'a>, position: u16, _: usize) -> Value<'a> {
    match position {
        1 => query(context),
        2 => Value::Codes(&["OK"]),
        3 => Value::Coded(name(context.scene.trigger)),
        4 => Value::Number(1),
        _ => Value::Nothing,
    }
}

pub(super) fn qri<'a>(context: &Context<'a>, position: u16, repetition: usize) -> Value<'a> {
    match (position, repetition) {
        (1, 0) => Value::Number(90 + context.scene.asked(90) % 10),
        _ => Value::Nothing,
    }
}

/// So many lines are displayed.
pub(crate) const LINES: usize = 4;

pub(super) fn dsp<'a>(context: &Context<'a>, position: u16, _: usize) -> Value<'a> {
    let patient = context.patient();
    match position {
        1 => Value::Number(context.cursor.set as u64 + 1),
        3 => match context.cursor.set {
            0 => Value::Name(patient.name),
            1 => Value::Day(patient.born),
            2 => Value::Address(patient.address()),
            3 => Value::Contact(crate::people::Contact::Phone(patient.phone(), "PRN")),
            _ => Value::Text("End of the display"),
        },
        _ => Value::Nothing,
    }
}
