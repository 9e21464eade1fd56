//! What each component of a data type says of a value.

use crate::catalogue::Coded;
use crate::identifier::{Identifier, Scheme};
use crate::people::Contact;
use crate::plan::{Kind, Part};
use crate::value::{FACILITY, Value};

/// A value with less to say where a field has little room: the end of a number, the beginning of a text.
pub(crate) fn fitted<'a>(part: &Part, value: &Value<'a>) -> Value<'a> {
    let most = part.characters_max as usize;
    match *value {
        Value::Identifier(identifier) if most < 12 => Value::Identifier(Identifier {
            prefix: "",
            number: identifier.number % 10u64.pow(most.min(12) as u32),
            ..identifier
        }),
        Value::Coded(coded) if part.kind == Kind::Coded => {
            let around = coded.code.len() + coded.system.len() + 2;
            if around + coded.text.len() <= most {
                return *value;
            }
            let text = coded.text.get(..most.saturating_sub(around)).unwrap_or_default();
            Value::Coded(Coded { text: text.trim_end(), ..coded })
        }
        _ => *value,
    }
}

/// The type that a value has by itself, and how many of its components are said where none is named.
pub(crate) const fn natural(value: &Value<'_>) -> (Kind, usize) {
    match value {
        Value::MessageType(..) => (Kind::MessageType, 2),
        Value::Identifier(_) => (Kind::Identifier, 3),
        Value::Entity(_) => (Kind::Entity, 2),
        Value::Bed(_) => (Kind::Bed, 3),
        Value::Practitioner(_) => (Kind::Practitioner, 3),
        Value::Name(_) => (Kind::Name, 3),
        Value::Coded(_) => (Kind::Coded, 3),
        Value::Location(..) => (Kind::Location, 3),
        _ => (Kind::Text, 1),
    }
}

/// The last component that [`component`] has something for.
pub(crate) const fn last_component(kind: Kind) -> usize {
    match kind {
        Kind::Practitioner => 10,
        Kind::Name | Kind::Address | Kind::Contact => 7,
        Kind::OldPractitioner | Kind::Timing => 6,
        Kind::Identifier | Kind::Document => 5,
        Kind::Bed => 4,
        Kind::Coded | Kind::Street | Kind::MessageType | Kind::Location => 3,
        Kind::Entity
        | Kind::Entities
        | Kind::Organization
        | Kind::Quantity
        | Kind::Price
        | Kind::Money
        | Kind::Period
        | Kind::Structured => 2,
        _ => 1,
    }
}

/// What a component of a data type says of a value. What does not fit the type goes into its first component.
pub(crate) fn component<'a>(kind: Kind, position: usize, value: &Value<'a>) -> Value<'a> {
    match (kind, *value) {
        (_, Value::Nothing) => Value::Nothing,
        (Kind::Identifier, Value::Identifier(id)) => match position {
            1 => Value::Serial(id.prefix, id.number),
            2 => id.scheme.digit(id.number).map_or(Value::Nothing, Value::Number),
            3 if id.scheme.digit(id.number).is_some() => Value::Code(id.scheme.code()),
            4 => Value::Designator(id.authority),
            5 => Value::Code(id.kind),
            _ => Value::Nothing,
        },
        (Kind::Identifier, Value::Practitioner(one)) => component(
            kind,
            position,
            &Value::Identifier(Identifier {
                prefix: "",
                number: one.number,
                scheme: Scheme::None,
                authority: FACILITY,
                kind: "DN",
            }),
        ),
        (Kind::Entity, Value::Entity(entity)) => match position {
            1 => Value::Serial(entity.prefix, entity.number),
            2 => Value::Text(entity.namespace),
            _ => Value::Nothing,
        },
        (Kind::Entities, Value::Entities(placer, filler)) => match position {
            1 => Value::Entity(placer),
            2 => Value::Entity(filler),
            _ => Value::Nothing,
        },
        (Kind::Name, Value::Name(name)) => match position {
            1 => Value::Family(name),
            2 => text(name.given),
            3 => text(name.middle),
            4 => text(name.suffix),
            5 => text(name.prefix),
            7 => Value::Code(name.kind),
            _ => Value::Nothing,
        },
        (Kind::Name, Value::Practitioner(one)) => component(kind, position, &Value::Name(one.name)),
        (Kind::Family, Value::Family(_)) => match position {
            1 => *value,
            _ => Value::Nothing,
        },
        (Kind::Practitioner, Value::Practitioner(one)) => match position {
            1 => Value::Serial("", one.number),
            2 => Value::Family(one.name),
            3 => text(one.name.given),
            6 => text(one.name.prefix),
            9 => Value::Designator(FACILITY),
            10 => Value::Code("L"),
            _ => Value::Nothing,
        },
        (Kind::OldPractitioner, Value::Practitioner(one)) => match position {
            1 => Value::Serial("", one.number),
            2 => Value::Family(one.name),
            3 => text(one.name.given),
            6 => text(one.name.prefix),
            _ => Value::Nothing,
        },
        (Kind::Practitioner | Kind::OldPractitioner, Value::Name(name)) => match position {
            2 => Value::Family(name),
            3 => text(name.given),
            _ => Value::Nothing,
        },
        (Kind::Bed, Value::Bed(bed)) => match position {
            1 => Value::Raw(bed.ward),
            2 if bed.room > 0 => Value::Number(u64::from(bed.room)),
            3 if bed.bed > 0 => Value::Number(u64::from(bed.bed)),
            4 => Value::Designator(FACILITY),
            _ => Value::Nothing,
        },
        (Kind::Address, Value::Address(address)) => match position {
            1 => Value::Street(address),
            2 => address.flat().map_or(Value::Nothing, |flat| Value::Serial("Apt ", flat)),
            3 => text(address.city()),
            4 => text(address.state()),
            5 => Value::PostalCode(address),
            6 => Value::Code(address.country.code()),
            7 => Value::Code("H"),
            _ => Value::Nothing,
        },
        (Kind::Street, Value::Street(address)) => match position {
            1 => *value,
            2 => text(address.street()),
            3 => Value::Number(address.house()),
            _ => Value::Nothing,
        },
        (Kind::Contact, Value::Contact(Contact::Phone(phone, usage))) => match position {
            1 => *value,
            2 => Value::Code(usage),
            3 => Value::Code("PH"),
            5 => Value::Raw(phone.codes().0),
            6 => Value::Raw(phone.codes().1),
            7 => Value::Local(phone),
            _ => Value::Nothing,
        },
        (Kind::Contact, Value::Contact(Contact::Email(number))) => match position {
            2 => Value::Code("NET"),
            3 => Value::Codes(&["Internet", "X.400"]),
            4 => Value::Email(number),
            _ => Value::Nothing,
        },
        (Kind::Coded, Value::Coded(Coded { code, text, system })) => match position {
            1 => Value::Text(code),
            2 => Value::Text(text),
            3 => Value::Raw(system),
            _ => Value::Nothing,
        },
        (Kind::Organization, Value::Organization(name)) => match position {
            1 => Value::Text(name),
            2 => Value::Code("L"),
            _ => Value::Nothing,
        },
        (Kind::Quantity, Value::Quantity(amount, places, unit)) => match position {
            1 => Value::Decimal(amount, places),
            2 => Value::Coded(unit),
            _ => Value::Nothing,
        },
        (Kind::Price, Value::Cents(_)) => match position {
            1 => *value,
            2 => Value::Code("UP"),
            _ => Value::Nothing,
        },
        (Kind::Money, Value::Cents(cents)) => match position {
            1 => Value::Decimal(cents, 2),
            2 => Value::Raw("USD"),
            _ => Value::Nothing,
        },
        (Kind::Timing, Value::Timing(often, start, priority)) => match position {
            1 => Value::Number(1),
            2 => text(often),
            4 => Value::Moment(start),
            6 => Value::Raw(priority),
            _ => Value::Nothing,
        },
        (Kind::Period, Value::Period(from, to)) => match position {
            1 => Value::Moment(from),
            2 => Value::Moment(to),
            _ => Value::Nothing,
        },
        (Kind::MessageType, Value::MessageType(code, trigger, structure)) => match position {
            1 => Value::Raw(code),
            2 => text(trigger),
            3 => text(structure),
            _ => Value::Nothing,
        },
        (Kind::Document, Value::Document(data)) => match position {
            1 => Value::Designator("REPORTS"),
            2 => Value::Codes(&["application", "AP", "Application"]),
            3 => Value::Codes(&["PDF", "pdf", "Octet-stream", "octet-stream"]),
            4 => Value::Codes(&["Base64"]),
            5 => Value::Raw(data),
            _ => Value::Nothing,
        },
        (Kind::Structured, Value::Less(limit, places)) => match position {
            1 => Value::Text("<"),
            2 => Value::Decimal(limit, places),
            _ => Value::Nothing,
        },
        (Kind::Location, Value::Location(segment, sequence, field)) => match position {
            1 => Value::Raw(segment),
            2 => Value::Number(sequence),
            3 => Value::Number(field),
            _ => Value::Nothing,
        },
        (_, value) if position == 1 => value,
        _ => Value::Nothing,
    }
}

fn text(text: &str) -> Value<'_> {
    if text.is_empty() { Value::Nothing } else { Value::Text(text) }
}
