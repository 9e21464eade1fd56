//! Master files: staff, places, tests, charges.

use crate::catalogue::{CHARGES, Coded, PANELS};
use crate::people::Contact;
use crate::random::below;
use crate::scene::Context;
use crate::value::Value;

/// Which file an event is about (table 0175).
fn file(trigger: &str) -> &'static [&'static str] {
    match trigger {
        "M02" => &["PRA", "STF"],
        "M04" => &["CDM"],
        "M05" => &["LOC"],
        "M08" => &["OMA", "OM1"],
        "M09" => &["OMB", "OM1"],
        "M10" => &["OMC", "OM1"],
        "M11" => &["OMD", "OM1"],
        "M12" => &["OME", "OMA"],
        "M06" => &["CMA"],
        "M07" => &["CMB"],
        "M15" => &["INV"],
        _ => &["PRA", "STF", "OM1"],
    }
}

/// A member of the staff: whom the message is about.
fn member(context: &Context<'_>) -> u16 {
    below(context.scene.asked(300), 120) as u16
}

pub(super) fn mfi<'a>(context: &Context<'a>, position: u16, repetition: usize) -> Value<'a> {
    match (position, repetition) {
        (1, 0) => Value::Codes(file(context.scene.trigger)),
        (3, 0) => Value::Code("UPD"),
        (4 | 5, 0) => Value::Moment(context.scene.now),
        (6, 0) => Value::Code("AL"),
        _ => Value::Nothing,
    }
}

fn key<'a>(context: &Context<'a>) -> Value<'a> {
    match context.scene.trigger {
        "M04" => Value::Coded(CHARGES[context.cursor.item % CHARGES.len()].code),
        "M05" => Value::Bed(context.visit().bed),
        "M08" | "M09" | "M10" | "M11" | "M12" => {
            Value::Coded(PANELS[context.cursor.item % PANELS.len()].code)
        }
        _ => {
            let number = 10_200 + u64::from(member(context)) * 7;
            Value::Serial("", number)
        }
    }
}

pub(super) fn mfe<'a>(context: &Context<'a>, position: u16, repetition: usize) -> Value<'a> {
    match (position, repetition) {
        (1, 0) => Value::Code("MUP"),
        (2, 0) => Value::Serial("M", context.scene.control_id),
        (3, 0) => Value::Moment(context.scene.now),
        (4, 0) => key(context),
        (5, 0) if context.scene.trigger == "M05" => Value::Code("PL"),
        (5, 0) => Value::Codes(&["CWE", "CE"]),
        _ => Value::Nothing,
    }
}

pub(super) fn mfa<'a>(context: &Context<'a>, position: u16, repetition: usize) -> Value<'a> {
    match (position, repetition) {
        (1, 0) => Value::Code("MUP"),
        (2, 0) => Value::Serial("M", context.scene.control_id),
        (4, 0) => Value::Code("S"),
        (5, 0) => key(context),
        _ => Value::Nothing,
    }
}

pub(super) fn stf<'a>(context: &Context<'a>, position: u16, repetition: usize) -> Value<'a> {
    let at = member(context);
    let Some(one) = context.staff.get(usize::from(at)) else { return Value::Nothing };
    match (position, repetition) {
        (1, 0) => Value::Serial("", one.number),
        (3, 0) => Value::Name(one.name),
        (7, 0) => Value::Code("A"),
        (10, 0) => Value::Contact(Contact::Phone(one.phone, "WPN")),
        _ => Value::Nothing,
    }
}

pub(super) fn pra<'a>(context: &Context<'a>, position: u16, repetition: usize) -> Value<'a> {
    match (position, repetition) {
        (1, 0) => Value::Serial("", 10_200 + u64::from(member(context)) * 7),
        _ => Value::Nothing,
    }
}

pub(super) fn loc<'a>(context: &Context<'a>, position: u16, repetition: usize) -> Value<'a> {
    match (position, repetition) {
        (1, 0) => Value::Bed(context.visit().bed),
        (3, 0) => Value::Codes(&["B", "N"]),
        (4, 0) => Value::Organization("General Hospital"),
        _ => Value::Nothing,
    }
}

pub(super) fn cdm<'a>(context: &Context<'a>, position: u16, repetition: usize) -> Value<'a> {
    let charge = &CHARGES[context.cursor.item % CHARGES.len()];
    match (position, repetition) {
        (1, 0) => Value::Coded(charge.code),
        (3, 0) => Value::Text(charge.code.code),
        (4, 0) => Value::Text(charge.code.text),
        _ => Value::Nothing,
    }
}

pub(super) fn om1<'a>(context: &Context<'a>, position: u16, repetition: usize) -> Value<'a> {
    let panel = &PANELS[context.cursor.item % PANELS.len()];
    let name: Coded = panel.code;
    match (position, repetition) {
        (1, 0) => Value::Number(context.cursor.set as u64 + 1),
        (2, 0) => Value::Coded(name),
        (4, 0) => Value::Code("Y"),
        (5, 0) => Value::Coded(Coded::new("LAB", "Laboratory", "L")),
        _ => Value::Nothing,
    }
}
