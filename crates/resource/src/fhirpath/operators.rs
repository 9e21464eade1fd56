//! The operators (N1 §6).

use std::cmp::Ordering;

use super::Decimal;
use super::equality::{distinct, equal_collections, equivalent_collections, is_in, number, order};
use super::error::EvaluationProblem;
use super::evaluate::{Evaluated, Evaluator, Failure, Scope};
use super::item::{Item, Scalar};
use super::quantity::Quantity;
use super::syntax::{Node, Operator};

/// Operators of one precedence, from left to right.
pub(super) fn binary<'a>(
    evaluator: &Evaluator<'a>,
    first: &'a Node,
    rest: &'a [(Operator, Node)],
    scope: Scope<'_, 'a>,
) -> Evaluated<'a> {
    let mut left = evaluator.node(first, scope)?;
    if rest.iter().all(|(operator, _)| *operator == Operator::Union) {
        for (_, node) in rest {
            left.extend(evaluator.node(node, scope)?);
            evaluator.budget.hold(&left)?;
        }
        return Ok(distinct(left, &evaluator.budget)?);
    }
    for (operator, node) in rest {
        left = one(evaluator, *operator, left, node, scope)?;
    }
    Ok(left)
}

fn one<'a>(
    evaluator: &Evaluator<'a>,
    operator: Operator,
    left: Vec<Item<'a>>,
    node: &'a Node,
    scope: Scope<'_, 'a>,
) -> Evaluated<'a> {
    let budget = &evaluator.budget;
    match operator {
        Operator::And | Operator::Or | Operator::Xor | Operator::Implies => {
            return logic(evaluator, operator, &left, node, scope).map(booleans);
        }
        _ => {}
    }
    let right = evaluator.node(node, scope)?;
    match operator {
        Operator::Equal => Ok(booleans(equal_collections(&left, &right, budget)?)),
        Operator::NotEqual => {
            Ok(booleans(equal_collections(&left, &right, budget)?.map(|is_equal| !is_equal)))
        }
        Operator::Equivalent => Ok(booleans(Some(equivalent_collections(&left, &right, budget)?))),
        Operator::NotEquivalent => {
            Ok(booleans(Some(!equivalent_collections(&left, &right, budget)?)))
        }
        Operator::Less | Operator::LessOrEqual | Operator::Greater | Operator::GreaterOrEqual => {
            Ok(booleans(inequality(operator, &left, &right)?))
        }
        Operator::In => Ok(booleans(membership(evaluator, &left, &right)?)),
        Operator::Contains => Ok(booleans(membership(evaluator, &right, &left)?)),
        Operator::Union => {
            let mut all = left;
            all.extend(right);
            budget.hold(&all)?;
            Ok(distinct(all, budget)?)
        }
        Operator::Concatenate => concatenated(evaluator, &left, &right),
        Operator::Multiply
        | Operator::Divide
        | Operator::Div
        | Operator::Mod
        | Operator::Add
        | Operator::Subtract => arithmetic(evaluator, operator, &left, &right),
        // `is` and `as` are steps of a path; logic is above.
        Operator::Is
        | Operator::As
        | Operator::And
        | Operator::Or
        | Operator::Xor
        | Operator::Implies => Ok(Vec::new()),
    }
}

fn booleans<'a>(value: Option<bool>) -> Vec<Item<'a>> {
    value.map(Item::Boolean).into_iter().collect()
}

/// The boolean of a collection: one item that is no boolean is true (N1 §4.5).
pub(super) fn boolean(items: &[Item<'_>]) -> Result<Option<bool>, EvaluationProblem> {
    match items {
        [] => Ok(None),
        [item] => match item.scalar() {
            Some(Scalar::Boolean(value)) => Ok(Some(value)),
            _ => Ok(Some(true)),
        },
        _ => Err(EvaluationProblem::NotSingle),
    }
}

/// Three-valued logic (N1 §6.5); the right side is not looked at where it cannot matter.
fn logic<'a>(
    evaluator: &Evaluator<'a>,
    operator: Operator,
    left: &[Item<'a>],
    node: &'a Node,
    scope: Scope<'_, 'a>,
) -> Result<Option<bool>, Failure> {
    let left = boolean(left)?;
    match (operator, left) {
        (Operator::And, Some(false)) => return Ok(Some(false)),
        (Operator::Or, Some(true)) | (Operator::Implies, Some(false)) => return Ok(Some(true)),
        _ => {}
    }
    let right = boolean(&evaluator.node(node, scope)?)?;
    Ok(match operator {
        Operator::And => match (left, right) {
            (_, Some(false)) => Some(false),
            (Some(true), Some(true)) => Some(true),
            _ => None,
        },
        Operator::Or => match (left, right) {
            (_, Some(true)) => Some(true),
            (Some(false), Some(false)) => Some(false),
            _ => None,
        },
        Operator::Implies => match (left, right) {
            (Some(true), right) => right,
            (_, Some(true)) => Some(true),
            _ => None,
        },
        _ => left.zip(right).map(|(left, right)| left != right),
    })
}

/// The one item of an operand; nothing for none.
fn operand<'s, 'a>(items: &'s [Item<'a>]) -> Result<Option<&'s Item<'a>>, EvaluationProblem> {
    match items {
        [] => Ok(None),
        [item] => Ok(Some(item)),
        _ => Err(EvaluationProblem::NotSingle),
    }
}

fn inequality(
    operator: Operator,
    left: &[Item<'_>],
    right: &[Item<'_>],
) -> Result<Option<bool>, EvaluationProblem> {
    let (Some(left), Some(right)) = (operand(left)?, operand(right)?) else { return Ok(None) };
    let undefined = EvaluationProblem::Undefined { operation: operator.name() };
    let (left, right) = match (left.scalar(), right.scalar()) {
        (Some(left), Some(right)) => (left, right),
        // A FHIR primitive without a value, a quantity that is none: nothing is known of it.
        (None, _) if matches!(left, Item::Element(_)) => return Ok(None),
        (_, None) if matches!(right, Item::Element(_)) => return Ok(None),
        _ => return Err(undefined),
    };
    match (&left, &right) {
        (Scalar::Boolean(_), _) | (_, Scalar::Boolean(_)) => return Err(undefined),
        _ => {}
    }
    let order = order(&left, &right).ok_or(undefined)?;
    Ok(order.map(|order| match operator {
        Operator::Less => order == Ordering::Less,
        Operator::LessOrEqual => order != Ordering::Greater,
        Operator::Greater => order == Ordering::Greater,
        _ => order != Ordering::Less,
    }))
}

fn membership<'a>(
    evaluator: &Evaluator<'a>,
    item: &[Item<'a>],
    items: &[Item<'a>],
) -> Result<Option<bool>, EvaluationProblem> {
    match operand(item)? {
        None => Ok(None),
        Some(item) => is_in(item, items, &evaluator.budget).map(Some),
    }
}

/// `&`: nothing is an empty string (N1 §6.6).
fn concatenated<'a>(
    evaluator: &Evaluator<'a>,
    left: &[Item<'a>],
    right: &[Item<'a>],
) -> Evaluated<'a> {
    let text = |items: &[Item<'a>]| match operand(items)? {
        None => Ok(String::new()),
        Some(item) => match item.scalar() {
            Some(Scalar::String(text)) => Ok(text.to_owned()),
            None if matches!(item, Item::Element(_)) && item.json().is_none() => Ok(String::new()),
            _ => Err(EvaluationProblem::WrongType { expected: "strings" }),
        },
    };
    let mut joined = text(left)?;
    joined.push_str(&text(right)?);
    evaluator.budget.text(joined.len())?;
    Ok(vec![Item::string(joined)])
}

/// `-x`.
pub(super) fn negated<'a>(items: &[Item<'a>]) -> Result<Option<Item<'a>>, EvaluationProblem> {
    let Some(item) = operand(items)? else { return Ok(None) };
    match item.scalar() {
        Some(Scalar::Integer(value)) => Ok(value.checked_neg().map(Item::Integer)),
        Some(Scalar::Decimal(value)) => Ok(value.negated().map(Item::Decimal)),
        Some(Scalar::Quantity(value)) => Ok(value
            .value()
            .negated()
            .map(|number| Item::Quantity(Box::new(value.with_value(number).into_owned())))),
        _ => Err(EvaluationProblem::WrongType { expected: "a number" }),
    }
}

fn arithmetic<'a>(
    evaluator: &Evaluator<'a>,
    operator: Operator,
    left: &[Item<'a>],
    right: &[Item<'a>],
) -> Evaluated<'a> {
    let (Some(left), Some(right)) = (operand(left)?, operand(right)?) else {
        return Ok(Vec::new());
    };
    let (Some(left), Some(right)) = (left.scalar(), right.scalar()) else {
        let is_unknown =
            |item: &Item<'_>| matches!(item, Item::Element(_)) && item.scalar().is_none();
        if is_unknown(left) || is_unknown(right) {
            return Ok(Vec::new());
        }
        return Err(EvaluationProblem::Undefined { operation: operator.name() }.into());
    };
    let result = match (&left, &right) {
        (Scalar::String(left), Scalar::String(right)) if operator == Operator::Add => {
            evaluator.budget.text(left.len() + right.len())?;
            Some(Item::string(format!("{left}{right}")))
        }
        (Scalar::Integer(left), Scalar::Integer(right)) => integers(operator, *left, *right),
        (Scalar::Date(_) | Scalar::DateTime(_) | Scalar::Time(_), Scalar::Quantity(amount)) => {
            shifted(operator, &left, amount)?
        }
        (Scalar::Quantity(left), Scalar::Quantity(right)) => quantities(operator, left, right)?,
        (Scalar::Quantity(left), right) if number(right).is_some() => {
            let right = Quantity::of_number(number(right).unwrap_or(Decimal::ZERO));
            quantities(operator, left, &right)?
        }
        (left, Scalar::Quantity(right)) if number(left).is_some() => {
            let left = Quantity::of_number(number(left).unwrap_or(Decimal::ZERO));
            quantities(operator, &left, right)?
        }
        _ => match (number(&left), number(&right)) {
            (Some(left), Some(right)) => decimals(operator, left, right),
            _ => return Err(EvaluationProblem::Undefined { operation: operator.name() }.into()),
        },
    };
    Ok(result.into_iter().collect())
}

fn integers<'a>(operator: Operator, left: i64, right: i64) -> Option<Item<'a>> {
    match operator {
        Operator::Add => left.checked_add(right).map(Item::Integer),
        Operator::Subtract => left.checked_sub(right).map(Item::Integer),
        Operator::Multiply => left.checked_mul(right).map(Item::Integer),
        Operator::Div => left.checked_div(right).map(Item::Integer),
        Operator::Mod => left.checked_rem(right).map(Item::Integer),
        _ => decimals(operator, left.into(), right.into()),
    }
}

fn decimals<'a>(operator: Operator, left: Decimal, right: Decimal) -> Option<Item<'a>> {
    match operator {
        Operator::Add => left.plus(right).map(Item::Decimal),
        Operator::Subtract => left.minus(right).map(Item::Decimal),
        Operator::Multiply => left.times(right).map(Item::Decimal),
        Operator::Div => left.whole_over(right)?.as_i64().map(Item::Integer),
        Operator::Mod => left.remainder(right).map(Item::Decimal),
        _ => left.over(right).map(Item::Decimal),
    }
}

fn quantities<'a>(
    operator: Operator,
    left: &Quantity<'_>,
    right: &Quantity<'_>,
) -> Result<Option<Item<'a>>, EvaluationProblem> {
    let result = match operator {
        Operator::Add => left.plus(right).map(Quantity::into_owned),
        Operator::Subtract => right
            .value()
            .negated()
            .and_then(|value| left.plus(&right.with_value(value)))
            .map(Quantity::into_owned),
        Operator::Multiply => left.times(right),
        Operator::Divide => left.over(right),
        _ => return Err(EvaluationProblem::Undefined { operation: operator.name() }),
    };
    Ok(result.map(|quantity| Item::Quantity(Box::new(quantity))))
}

/// A date or time some duration later or earlier (N1 §6.7). Parts of a unit count for seconds only.
fn shifted<'a>(
    operator: Operator,
    left: &Scalar<'_>,
    amount: &Quantity<'_>,
) -> Result<Option<Item<'a>>, EvaluationProblem> {
    use super::temporal::TimeUnit;

    let undefined = EvaluationProblem::Undefined { operation: operator.name() };
    let value = match operator {
        Operator::Add => Some(amount.value()),
        Operator::Subtract => amount.value().negated(),
        _ => return Err(undefined),
    };
    let mut unit = amount.duration().ok_or(undefined)?;
    let value = if unit == TimeUnit::Second {
        unit = TimeUnit::Millisecond;
        value.and_then(|value| value.times(Decimal::from(1000)))
    } else {
        value
    };
    let Some(count) = value.and_then(|value| value.truncated().as_i64()) else { return Ok(None) };
    Ok(match left {
        Scalar::Date(date) => date.plus(count, unit).map(Item::Date),
        Scalar::DateTime(value) => value.plus(count, unit).map(Item::DateTime),
        Scalar::Time(time) => time.plus(count, unit).map(Item::Time),
        _ => None,
    })
}
