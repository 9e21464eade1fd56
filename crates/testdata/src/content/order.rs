//! Orders: what is wanted, of whom, how urgently.

use crate::catalogue::Coded;
use crate::moment::MINUTE;
use crate::people::Contact;
use crate::random::{below, mix, percent};
use crate::scene::{Context, Item, Order};
use crate::value::Value;
use pipehat_dictionary::Version;

/// Whether the filler has given a number yet.
fn is_filled(context: &Context<'_>, order: &Order) -> bool {
    context.scene.has_results || !matches!(order.control, "NW" | "CA")
}

fn priority(order: &Order) -> &'static str {
    if percent(mix(order.seed, 5), 12) { "S" } else { "R" }
}

fn timing<'a>(context: &Context<'a>) -> Value<'a> {
    let order = context.order();
    let often = match order.item {
        Item::Medication(medication) => medication.often,
        _ => "",
    };
    Value::Timing(often, order.placed, priority(order))
}

pub(super) fn orc<'a>(context: &Context<'a>, position: u16, repetition: usize) -> Value<'a> {
    let order = context.order();
    if repetition > 0 {
        return Value::Nothing;
    }
    match position {
        1 => Value::Code(order.control),
        2 => Value::Entity(order.placer()),
        3 if is_filled(context, order) => Value::Entity(order.filler()),
        5 => Value::Code(order.status),
        7 if context.scene.version < Version::V2_5 => timing(context),
        9 => {
            Value::Moment(if context.scene.has_results { context.scene.now } else { order.placed })
        }
        10 => context.practitioner(order.practitioner + 2),
        12 => context.practitioner(order.practitioner),
        13 => Value::Bed(context.visit().bed),
        14 => phone(context),
        15 => Value::Moment(order.placed),
        29 => Value::Code(if context.visit().class == "I" { "I" } else { "O" }),
        _ => Value::Nothing,
    }
}

fn phone<'a>(context: &Context<'a>) -> Value<'a> {
    let at = usize::from(context.order().practitioner) % context.staff.len().max(1);
    context
        .staff
        .get(at)
        .map_or(Value::Nothing, |one| Value::Contact(Contact::Phone(one.phone, "WPN")))
}

pub(super) fn obr<'a>(context: &Context<'a>, position: u16, repetition: usize) -> Value<'a> {
    let order = context.order();
    let has_results = context.scene.has_results;
    if repetition > 0 {
        return Value::Nothing;
    }
    match position {
        1 => Value::Number(context.cursor.order as u64 + 1),
        2 => Value::Entity(order.placer()),
        3 if is_filled(context, order) => Value::Entity(order.filler()),
        4 => Value::Coded(order.code()),
        5 if context.scene.version < Version::V2_5 => Value::Raw(priority(order)),
        6 if context.scene.version < Version::V2_5 => Value::Moment(order.placed),
        7 if has_results => Value::Moment(order.performed),
        11 if order.specimen().is_some() => Value::Codes(&["L", "O"]),
        13 if percent(mix(order.seed, 6), 20) => {
            // From 2.7 on a code of table 0916: the patient fasted.
            if context.scene.version >= Version::V2_7 {
                Value::Codes(&["F"])
            } else {
                Value::Text("Follow-up of an earlier finding")
            }
        }
        14 if has_results
            && context.scene.version < Version::V2_7
            && order.specimen().is_some() =>
        {
            Value::Moment(order.performed.plus(12 * MINUTE))
        }
        15 if context.scene.version < Version::V2_5 => {
            order.specimen().map_or(Value::Nothing, |(_, code)| Value::Code(code))
        }
        16 => context.practitioner(order.practitioner),
        17 => phone(context),
        22 if has_results => Value::Moment(context.scene.now.plus(-3 * MINUTE)),
        24 => Value::Code(order.section()),
        25 if has_results => Value::Code(order.result),
        27 if context.scene.version < Version::V2_5 => timing(context),
        31 if percent(mix(order.seed, 7), 30) => {
            let list = crate::catalogue::DIAGNOSES;
            Value::Coded(list[usize::from(context.visit().diagnosis) % list.len()])
        }
        _ => Value::Nothing,
    }
}

pub(super) fn tq1<'a>(context: &Context<'a>, position: u16, repetition: usize) -> Value<'a> {
    let order = context.order();
    match (position, repetition) {
        (1, 0) => Value::Number(context.cursor.set as u64 + 1),
        (3, 0) => match order.item {
            Item::Medication(medication) => {
                Value::Coded(Coded::new(medication.often, "", "HL70335"))
            }
            _ => Value::Nothing,
        },
        (7, 0) => Value::Moment(order.placed),
        (9, 0) => Value::Code(priority(order)),
        _ => Value::Nothing,
    }
}

pub(super) fn spm<'a>(context: &Context<'a>, position: u16, repetition: usize) -> Value<'a> {
    let order = context.order();
    match (position, repetition) {
        (1, 0) => Value::Number(context.cursor.set as u64 + 1),
        (2, 0) => {
            let mut specimen = order.filler();
            specimen.prefix = "S";
            Value::Entities(order.placer(), specimen)
        }
        (4, 0) => Value::Code(order.specimen().map_or("UR", |(code, _)| code)),
        (12, 0) => Value::Quantity(
            2 + below(mix(order.seed, 8), 8) as i64,
            0,
            crate::catalogue::unit("mL"),
        ),
        (17, 0) => Value::Period(order.performed, order.performed.plus(2 * MINUTE)),
        (18, 0) => Value::Moment(order.performed.plus(12 * MINUTE)),
        _ => Value::Nothing,
    }
}

/// The tube that the sample is in.
pub(super) fn sac<'a>(context: &Context<'a>, position: u16, repetition: usize) -> Value<'a> {
    let order = context.order();
    let mut number = order.filler();
    match (position, repetition) {
        (2, 0) => {
            number.prefix = "ACC";
            Value::Entity(number)
        }
        (3, 0) => {
            number.prefix = "T";
            Value::Entity(number)
        }
        (6, 0) => order.specimen().map_or(Value::Nothing, |(_, code)| Value::Code(code)),
        (7, 0) => Value::Moment(order.performed.plus(15 * MINUTE)),
        _ => Value::Nothing,
    }
}
