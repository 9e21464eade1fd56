//! Whether there is anything, and how much (N1 §5.1).

use super::super::equality::{distinct, is_in, repeated};
use super::super::error::EvaluationProblem;
use super::super::evaluate::Evaluated;
use super::super::function::FunctionId;
use super::super::item::{Item, Scalar};
use super::super::operators;
use super::{Invocation, boolean};

pub(super) fn call<'a>(invocation: &Invocation<'_, '_, 'a>, items: Vec<Item<'a>>) -> Evaluated<'a> {
    let budget = &invocation.evaluator.budget;
    Ok(boolean(match invocation.call.function.id {
        FunctionId::Empty => items.is_empty(),
        FunctionId::Exists => exists(invocation, &items)?,
        FunctionId::All => all(invocation, &items)?,
        FunctionId::AllTrue => truths(&items)?.iter().all(|truth| *truth),
        FunctionId::AnyTrue => truths(&items)?.iter().any(|truth| *truth),
        FunctionId::AllFalse => truths(&items)?.iter().all(|truth| !*truth),
        FunctionId::AnyFalse => truths(&items)?.iter().any(|truth| !*truth),
        FunctionId::SubsetOf => is_subset(invocation, &items, &invocation.argument(0)?)?,
        FunctionId::SupersetOf => is_subset(invocation, &invocation.argument(0)?, &items)?,
        FunctionId::IsDistinct => !repeated(&items, budget)?.contains(&true),
        FunctionId::Distinct => return Ok(distinct(items, budget)?),
        FunctionId::Count => {
            return Ok(vec![Item::Integer(i64::try_from(items.len()).unwrap_or(i64::MAX))]);
        }
        _ => {
            return Ok(match operators::boolean(&items)? {
                Some(value) => boolean(!value),
                None => Vec::new(),
            });
        }
    }))
}

fn exists<'a>(
    invocation: &Invocation<'_, '_, 'a>,
    items: &[Item<'a>],
) -> Result<bool, super::super::evaluate::Failure> {
    if invocation.argument_node(0).is_none() {
        return Ok(!items.is_empty());
    }
    for (index, item) in items.iter().enumerate() {
        if invocation.meets(item, index)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn all<'a>(
    invocation: &Invocation<'_, '_, 'a>,
    items: &[Item<'a>],
) -> Result<bool, super::super::evaluate::Failure> {
    for (index, item) in items.iter().enumerate() {
        if !invocation.meets(item, index)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The booleans of a collection that holds nothing else.
fn truths(items: &[Item<'_>]) -> Result<Vec<bool>, EvaluationProblem> {
    items
        .iter()
        .map(|item| match item.scalar() {
            Some(Scalar::Boolean(value)) => Ok(value),
            _ => Err(EvaluationProblem::WrongType { expected: "booleans" }),
        })
        .collect()
}

fn is_subset<'a>(
    invocation: &Invocation<'_, '_, 'a>,
    items: &[Item<'a>],
    others: &[Item<'a>],
) -> Result<bool, EvaluationProblem> {
    for item in items {
        if !is_in(item, others, &invocation.evaluator.budget)? {
            return Ok(false);
        }
    }
    Ok(true)
}
