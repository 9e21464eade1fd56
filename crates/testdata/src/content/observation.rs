//! Observations and documents.

use crate::identifier::Entity;
use crate::moment::MINUTE;
use crate::scene::Context;
use crate::value::{FACILITY, Value};
use pipehat_dictionary::Version;

/// The data type (table 0125) in which a version tells an observation.
pub(crate) fn value_type(version: Version, value: &Value<'_>) -> &'static str {
    match value {
        Value::Decimal(..) | Value::Number(_) => "NM",
        Value::Less(..) if version >= Version::V2_3 => "SN",
        Value::Lines(_) => "FT",
        Value::Coded(_) if version >= Version::V2_6 => "CWE",
        Value::Coded(_) if version >= Version::V2_2 => "CE",
        Value::Document(_) if version >= Version::V2_3 => "ED",
        Value::Text(_) => "TX",
        _ => "ST",
    }
}

pub(super) fn obx<'a>(context: &Context<'a>, position: u16, repetition: usize) -> Value<'a> {
    if repetition > 0 {
        return Value::Nothing;
    }
    let scene = context.scene;
    let order = context.order();
    let Some(finding) = &context.finding else { return Value::Nothing };
    match position {
        1 => Value::Number(context.cursor.set as u64 + 1),
        2 => Value::Raw(value_type(scene.version, &finding.value)),
        3 => Value::Coded(finding.code),
        4 => Value::Number(finding.sub_id),
        5 => finding.value,
        6 => finding.unit.map_or(Value::Nothing, Value::Coded),
        7 => finding.range,
        8 => match finding.flag {
            "" => Value::Nothing,
            flag => Value::Code(flag),
        },
        11 => Value::Code(if context.cursor.is_in_orders { order.result } else { "F" }),
        14 if context.cursor.is_in_orders && scene.has_results => Value::Moment(order.performed),
        14 => Value::Moment(scene.now.plus(-5 * MINUTE)),
        16 if context.cursor.is_in_orders && scene.chance(71, 40) => {
            context.practitioner(order.practitioner + 17)
        }
        19 if context.cursor.is_in_orders && scene.has_results => {
            Value::Moment(scene.now.plus(-6 * MINUTE))
        }
        _ => Value::Nothing,
    }
}

pub(super) fn txa<'a>(context: &Context<'a>, position: u16, repetition: usize) -> Value<'a> {
    if repetition > 0 {
        return Value::Nothing;
    }
    let document = &context.scene.document;
    let number = |number| Value::Entity(Entity { prefix: "DOC", number, namespace: FACILITY });
    match position {
        1 => Value::Number(1),
        2 => Value::Codes(&["CN", "DS", "HP"]),
        3 => Value::Code("TX"),
        4 => Value::Moment(document.written.plus(-30 * MINUTE)),
        5 | 9 => context.practitioner(document.author),
        6 => Value::Moment(document.written),
        12 => number(document.number),
        13 => document.parent.map_or(Value::Nothing, number),
        17 => Value::Code(document.completion),
        18 => Value::Code("U"),
        19 => Value::Code("AV"),
        _ => Value::Nothing,
    }
}
