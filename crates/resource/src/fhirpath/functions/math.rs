//! Arithmetic beyond the operators (N1 §5.7): exact where it can be, by doubles where it cannot.

use super::super::Decimal;
use super::super::equality::number;
use super::super::error::EvaluationProblem;
use super::super::evaluate::Evaluated;
use super::super::function::FunctionId;
use super::super::item::{Item, Scalar};
use super::{Invocation, maybe, single};

pub(super) fn call<'a>(invocation: &Invocation<'_, '_, 'a>, items: &[Item<'a>]) -> Evaluated<'a> {
    use FunctionId as F;

    let id = invocation.call.function.id;
    let Some(item) = single(items)? else { return Ok(Vec::new()) };
    let scalar = item.scalar();
    let value = match &scalar {
        None if matches!(item, Item::Element(_)) => return Ok(Vec::new()),
        Some(Scalar::Quantity(quantity)) if id == F::Abs => {
            let value = absolute(quantity.value());
            return Ok(maybe(
                value
                    .map(|value| Item::Quantity(Box::new(quantity.with_value(value).into_owned()))),
            ));
        }
        Some(scalar) => number(scalar).ok_or_else(|| invocation.undefined())?,
        None => return Err(invocation.undefined().into()),
    };
    let is_integer = matches!(scalar, Some(Scalar::Integer(_)));
    let of_double = |value: f64| Decimal::of_f64(value).map(Item::Decimal);
    Ok(maybe(match id {
        F::Abs => absolute(value).and_then(|value| like(value, is_integer)),
        F::Ceiling => value.ceiling().and_then(whole),
        F::Floor => value.floor().and_then(whole),
        F::Truncate => whole(value.truncated()),
        F::Round => match invocation.integer(0)? {
            None if invocation.argument_node(0).is_some() => None,
            precision => {
                let precision = precision.unwrap_or(0);
                if precision < 0 {
                    return Err(EvaluationProblem::WrongType {
                        expected: "a precision of 0 or more",
                    }
                    .into());
                }
                Some(Item::Decimal(value.rounded(u8::try_from(precision).unwrap_or(u8::MAX))))
            }
        },
        F::Exp => of_double(value.as_f64().exp()),
        F::Ln => of_double(value.as_f64().ln()),
        F::Sqrt => of_double(value.as_f64().sqrt()),
        F::Log => {
            let base = argument(invocation)?;
            base.and_then(|base| of_double(logarithm(value.as_f64(), base.as_f64())))
        }
        _ => {
            let exponent = argument(invocation)?;
            exponent.and_then(|exponent| power(value, exponent, is_integer))
        }
    }))
}

fn argument(
    invocation: &Invocation<'_, '_, '_>,
) -> Result<Option<Decimal>, super::super::evaluate::Failure> {
    let items = invocation.argument(0)?;
    match single(&items)? {
        None => Ok(None),
        Some(item) => match item.scalar().as_ref().and_then(number) {
            Some(value) => Ok(Some(value)),
            None => Err(invocation.undefined().into()),
        },
    }
}

fn absolute(value: Decimal) -> Option<Decimal> {
    if value.is_negative() { value.negated() } else { Some(value) }
}

fn whole<'a>(value: Decimal) -> Option<Item<'a>> {
    value.as_i64().map(Item::Integer)
}

fn like<'a>(value: Decimal, is_integer: bool) -> Option<Item<'a>> {
    if is_integer { whole(value) } else { Some(Item::Decimal(value)) }
}

/// The common bases are exact for their powers: `log(8, 2)` is 3.
fn logarithm(value: f64, base: f64) -> f64 {
    if base == 2.0 {
        value.log2()
    } else if base == 10.0 {
        value.log10()
    } else {
        value.log(base)
    }
}

fn power<'a>(value: Decimal, exponent: Decimal, is_integer: bool) -> Option<Item<'a>> {
    match exponent.as_i64().and_then(|exponent| u32::try_from(exponent).ok()) {
        Some(exponent) => like(value.power(exponent)?, is_integer),
        None => Decimal::of_f64(value.as_f64().powf(exponent.as_f64())).map(Item::Decimal),
    }
}
