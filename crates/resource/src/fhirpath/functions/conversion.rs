//! From one type to another (N1 §5.5). What does not convert is empty; `convertsTo…` asks beforehand.

use super::super::Decimal;
use super::super::evaluate::Evaluated;
use super::super::function::FunctionId;
use super::super::item::{Item, Scalar};
use super::super::quantity::Quantity;
use super::super::temporal::{Date, DateTime, Time};
use super::{Invocation, boolean, maybe, single};

pub(super) fn call<'a>(invocation: &Invocation<'_, '_, 'a>, items: &[Item<'a>]) -> Evaluated<'a> {
    use FunctionId as F;

    let id = invocation.call.function.id;
    let Some(item) = single(items)? else { return Ok(Vec::new()) };
    let scalar = item.scalar();
    let converted = match (id, scalar.as_ref()) {
        (_, None) => None,
        (F::ToBoolean | F::ConvertsToBoolean, Some(scalar)) => {
            to_boolean(scalar).map(Item::Boolean)
        }
        (F::ToInteger | F::ConvertsToInteger, Some(scalar)) => {
            to_integer(scalar).map(Item::Integer)
        }
        (F::ToDecimal | F::ConvertsToDecimal, Some(scalar)) => {
            to_decimal(scalar).map(Item::Decimal)
        }
        (F::ToDate | F::ConvertsToDate, Some(scalar)) => to_date(scalar).map(Item::Date),
        (F::ToDateTime | F::ConvertsToDateTime, Some(scalar)) => {
            to_date_time(scalar).map(Item::DateTime)
        }
        (F::ToTime | F::ConvertsToTime, Some(scalar)) => to_time(scalar).map(Item::Time),
        (F::ToQuantity | F::ConvertsToQuantity, Some(scalar)) => {
            let quantity = to_quantity(scalar);
            match invocation.argument_node(0) {
                None => quantity,
                Some(_) => {
                    let unit = invocation.argument(0)?;
                    let unit = single(&unit)?.and_then(Item::as_str);
                    quantity.zip(unit).and_then(|(quantity, unit)| in_unit(&quantity, unit))
                }
            }
            .map(|quantity| Item::Quantity(Box::new(quantity)))
        }
        (_, Some(scalar)) => {
            let text = to_text(scalar);
            invocation.evaluator.budget.text(text.len())?;
            Some(Item::string(text))
        }
    };
    let asks = matches!(
        id,
        F::ConvertsToBoolean
            | F::ConvertsToInteger
            | F::ConvertsToDecimal
            | F::ConvertsToDate
            | F::ConvertsToDateTime
            | F::ConvertsToTime
            | F::ConvertsToQuantity
            | F::ConvertsToText
    );
    Ok(if asks { boolean(converted.is_some()) } else { maybe(converted) })
}

fn to_boolean(scalar: &Scalar<'_>) -> Option<bool> {
    match scalar {
        Scalar::Boolean(value) => Some(*value),
        Scalar::Integer(1) => Some(true),
        Scalar::Integer(0) => Some(false),
        Scalar::Decimal(value) if value.compare(Decimal::ONE).is_eq() => Some(true),
        Scalar::Decimal(value) if value.is_zero() => Some(false),
        Scalar::String(text) => match text.to_ascii_lowercase().as_str() {
            "true" | "t" | "yes" | "y" | "1" | "1.0" => Some(true),
            "false" | "f" | "no" | "n" | "0" | "0.0" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

fn to_integer(scalar: &Scalar<'_>) -> Option<i64> {
    match scalar {
        Scalar::Integer(value) => Some(*value),
        Scalar::Boolean(value) => Some(i64::from(*value)),
        Scalar::String(text) => text.parse().ok(),
        _ => None,
    }
}

fn to_decimal(scalar: &Scalar<'_>) -> Option<Decimal> {
    match scalar {
        Scalar::Integer(value) => Some((*value).into()),
        Scalar::Decimal(value) => Some(*value),
        Scalar::Boolean(value) => Some(if *value { Decimal::ONE } else { Decimal::ZERO }),
        Scalar::String(text) if !text.contains(['e', 'E']) => Decimal::parse(text),
        _ => None,
    }
}

fn to_date(scalar: &Scalar<'_>) -> Option<Date> {
    match scalar {
        Scalar::Date(date) => Some(*date),
        Scalar::DateTime(value) => Some(value.date()),
        Scalar::String(text) => DateTime::parse(text).map(DateTime::date),
        _ => None,
    }
}

fn to_date_time(scalar: &Scalar<'_>) -> Option<DateTime> {
    match scalar {
        Scalar::Date(date) => Some((*date).into()),
        Scalar::DateTime(value) => Some(*value),
        Scalar::String(text) => DateTime::parse(text),
        _ => None,
    }
}

fn to_time(scalar: &Scalar<'_>) -> Option<Time> {
    match scalar {
        Scalar::Time(time) => Some(*time),
        Scalar::String(text) => Time::parse(text.strip_prefix('T').unwrap_or(text)),
        _ => None,
    }
}

fn to_quantity(scalar: &Scalar<'_>) -> Option<Quantity<'static>> {
    match scalar {
        Scalar::Quantity(quantity) => Some(quantity.clone().into_owned()),
        Scalar::String(text) => Quantity::parse(text),
        _ => to_decimal(scalar).map(Quantity::of_number),
    }
}

fn in_unit(quantity: &Quantity<'_>, unit: &str) -> Option<Quantity<'static>> {
    let target = Quantity::calendar(Decimal::ONE, unit)
        .unwrap_or_else(|| Quantity::ucum(Decimal::ONE, unit.to_owned()));
    Some(target.with_value(quantity.in_unit_of(&target)?))
}

fn to_text(scalar: &Scalar<'_>) -> String {
    match scalar {
        Scalar::Boolean(value) => value.to_string(),
        Scalar::Integer(value) => value.to_string(),
        Scalar::Decimal(value) => value.to_string(),
        Scalar::String(text) => (*text).to_owned(),
        Scalar::Date(value) => value.to_string(),
        Scalar::DateTime(value) => value.to_string(),
        Scalar::Time(value) => value.to_string(),
        Scalar::Quantity(value) => value.to_string(),
    }
}
