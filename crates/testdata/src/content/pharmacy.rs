//! Medication: ordered, encoded, dispensed, given; and vaccines.

use crate::catalogue::{Coded, Medication};
use crate::random::{below, mix};
use crate::scene::{Context, Item, drug_unit};
use crate::value::Value;

fn medication(context: &Context<'_>) -> &'static Medication {
    match context.order().item {
        Item::Medication(medication) => medication,
        _ => &crate::catalogue::MEDICATIONS[0],
    }
}

/// What is given at a time, for how many days.
fn days(context: &Context<'_>) -> i64 {
    3 + below(mix(context.order().seed, 9), 12) as i64
}

pub(super) fn rxo<'a>(context: &Context<'a>, position: u16, repetition: usize) -> Value<'a> {
    let drug = medication(context);
    match (position, repetition) {
        (1, 0) => Value::Coded(drug.code),
        (2, 0) => Value::Decimal(drug.dose.0, drug.dose.1),
        (4, 0) => Value::Coded(drug_unit(drug.unit)),
        (5, 0) => Value::Coded(Coded::new(drug.form.0, drug.form.1, "L")),
        (7, 0) => Value::Text(drug.reason),
        (9, 0) => Value::Code("G"),
        (11, 0) => Value::Number((drug.daily * days(context)).unsigned_abs()),
        (12, 0) => Value::Coded(Coded::new(drug.form.0, drug.form.1, "L")),
        (13, 0) => Value::Number(0),
        _ => Value::Nothing,
    }
}

pub(super) fn rxe<'a>(context: &Context<'a>, position: u16, repetition: usize) -> Value<'a> {
    let drug = medication(context);
    let order = context.order();
    match (position, repetition) {
        (1, 0) => Value::Timing(drug.often, order.placed, "R"),
        (2, 0) => Value::Coded(drug.code),
        (3, 0) => Value::Decimal(drug.dose.0, drug.dose.1),
        (5, 0) => Value::Coded(drug_unit(drug.unit)),
        (6, 0) => Value::Coded(Coded::new(drug.form.0, drug.form.1, "L")),
        (7, 0) => Value::Text(drug.reason),
        (10, 0) => Value::Number((drug.daily * days(context)).unsigned_abs()),
        (11, 0) => Value::Coded(Coded::new(drug.form.0, drug.form.1, "L")),
        (12, 0) => Value::Number(0),
        (13, 0) => context.practitioner(order.practitioner),
        (15, 0) => Value::Serial("RX", order.number),
        _ => Value::Nothing,
    }
}

pub(super) fn rxr<'a>(context: &Context<'a>, position: u16, _: usize) -> Value<'a> {
    // Older tables have no plain way into a vein.
    let routes: &[&str] = match context.order().item {
        Item::Vaccine(_) => &["IM"],
        _ => match medication(context).route {
            "IV" => &["IV", "IVPB", "IVP", "PF"],
            "SC" => &["SC", "SQ"],
            _ => &["PO"],
        },
    };
    match position {
        1 => Value::Codes(routes),
        2 if matches!(context.order().item, Item::Vaccine(_)) => Value::Codes(&["LD", "LA"]),
        _ => Value::Nothing,
    }
}

pub(super) fn rxd<'a>(context: &Context<'a>, position: u16, repetition: usize) -> Value<'a> {
    let drug = medication(context);
    let order = context.order();
    match (position, repetition) {
        (1, 0) => Value::Number(1),
        (2, 0) => Value::Coded(drug.code),
        (3, 0) => Value::Moment(order.performed),
        (4, 0) => Value::Number((drug.daily * days(context)).unsigned_abs()),
        (5, 0) => Value::Coded(Coded::new(drug.form.0, drug.form.1, "L")),
        (7, 0) => Value::Serial("RX", order.number),
        (10, 0) => context.practitioner(order.practitioner + 31),
        _ => Value::Nothing,
    }
}

pub(super) fn rxg<'a>(context: &Context<'a>, position: u16, repetition: usize) -> Value<'a> {
    let drug = medication(context);
    let order = context.order();
    match (position, repetition) {
        (1, 0) => Value::Number(1),
        (3, 0) => Value::Timing(drug.often, order.placed, "R"),
        (4, 0) => Value::Coded(drug.code),
        (5, 0) => Value::Decimal(drug.dose.0, drug.dose.1),
        (7, 0) => Value::Coded(drug_unit(drug.unit)),
        _ => Value::Nothing,
    }
}

pub(super) fn rxa<'a>(context: &Context<'a>, position: u16, repetition: usize) -> Value<'a> {
    if repetition > 0 {
        return Value::Nothing;
    }
    let order = context.order();
    let (code, dose, unit, maker) = match order.item {
        Item::Vaccine(vaccine) => (vaccine.code, vaccine.dose, "mL", Some(vaccine.maker)),
        _ => {
            let drug = medication(context);
            (drug.code, drug.dose, drug.unit, None)
        }
    };
    match position {
        1 => Value::Number(0),
        2 => Value::Number(1),
        3 | 4 => Value::Moment(order.performed),
        5 => Value::Coded(code),
        6 => Value::Decimal(dose.0, dose.1),
        7 => Value::Coded(drug_unit(unit)),
        9 if maker.is_some() => Value::Coded(Coded::new("00", "New immunization record", "NIP001")),
        10 => context.practitioner(order.practitioner + 41),
        15 => Value::Serial("L", 10_000 + below(mix(order.seed, 3), 89_999)),
        17 => maker.map_or(Value::Nothing, Value::Coded),
        20 => Value::Code("CP"),
        21 => Value::Code("A"),
        _ => Value::Nothing,
    }
}
