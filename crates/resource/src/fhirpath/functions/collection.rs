//! Filtering, subsetting, combining, aggregating (N1 §5.2–5.4, §7).

use super::super::equality::{distinct, is_in};
use super::super::evaluate::Evaluated;
use super::super::function::FunctionId;
use super::super::item::Item;
use super::{Invocation, maybe, single};

pub(super) fn call<'a>(
    invocation: &Invocation<'_, '_, 'a>,
    mut items: Vec<Item<'a>>,
) -> Evaluated<'a> {
    let budget = &invocation.evaluator.budget;
    match invocation.call.function.id {
        FunctionId::Where => filtered(invocation, items),
        FunctionId::Select => selected(invocation, &items),
        FunctionId::Repeat => repeated(invocation, items),
        FunctionId::Single => {
            single(&items)?;
            Ok(items)
        }
        FunctionId::First => {
            items.truncate(1);
            Ok(items)
        }
        FunctionId::Last => Ok(maybe(items.pop())),
        FunctionId::Tail => Ok(items.into_iter().skip(1).collect()),
        FunctionId::Skip => {
            let count = invocation.integer(0)?.unwrap_or(0);
            let count = usize::try_from(count).unwrap_or(if count < 0 { 0 } else { usize::MAX });
            Ok(items.into_iter().skip(count).collect())
        }
        FunctionId::Take => {
            let count = invocation.integer(0)?.unwrap_or(0);
            items.truncate(usize::try_from(count).unwrap_or(if count < 0 {
                0
            } else {
                usize::MAX
            }));
            Ok(items)
        }
        FunctionId::Intersect => {
            let others = invocation.argument(0)?;
            let kept = kept(invocation, distinct(items, budget)?, &others, true)?;
            Ok(kept)
        }
        FunctionId::Exclude => {
            let others = invocation.argument(0)?;
            kept(invocation, items, &others, false)
        }
        FunctionId::Union => {
            items.extend(invocation.argument(0)?);
            budget.hold(&items)?;
            Ok(distinct(items, budget)?)
        }
        FunctionId::Combine => {
            items.extend(invocation.argument(0)?);
            budget.hold(&items)?;
            Ok(items)
        }
        _ => aggregated(invocation, &items),
    }
}

fn filtered<'a>(invocation: &Invocation<'_, '_, 'a>, items: Vec<Item<'a>>) -> Evaluated<'a> {
    let mut kept = Vec::new();
    for (index, item) in items.into_iter().enumerate() {
        if invocation.meets(&item, index)? {
            kept.push(item);
        }
    }
    Ok(kept)
}

fn selected<'a>(invocation: &Invocation<'_, '_, 'a>, items: &[Item<'a>]) -> Evaluated<'a> {
    let mut selected = Vec::new();
    for (index, item) in items.iter().enumerate() {
        selected.extend(invocation.for_item(0, item, index)?);
        invocation.evaluator.budget.hold(&selected)?;
    }
    Ok(selected)
}

/// Until nothing new comes. An element is new unless it was visited; a computed value, unless one is equal.
fn repeated<'a>(invocation: &Invocation<'_, '_, 'a>, items: Vec<Item<'a>>) -> Evaluated<'a> {
    let budget = &invocation.evaluator.budget;
    let mut found: Vec<Item<'a>> = Vec::new();
    let mut open = items;
    while !open.is_empty() {
        let mut fresh = Vec::new();
        for (index, item) in open.iter().enumerate() {
            for item in invocation.for_item(0, item, index)? {
                if !is_known(invocation, &item, &found)? {
                    found.push(item.clone());
                    fresh.push(item);
                    budget.hold(&found)?;
                }
            }
        }
        open = fresh;
    }
    Ok(found)
}

fn is_known<'a>(
    invocation: &Invocation<'_, '_, 'a>,
    item: &Item<'a>,
    found: &[Item<'a>],
) -> Result<bool, super::super::error::EvaluationProblem> {
    is_in(item, found, &invocation.evaluator.budget)
}

fn kept<'a>(
    invocation: &Invocation<'_, '_, 'a>,
    items: Vec<Item<'a>>,
    others: &[Item<'a>],
    wanted: bool,
) -> Evaluated<'a> {
    let mut kept = Vec::new();
    for item in items {
        if is_in(&item, others, &invocation.evaluator.budget)? == wanted {
            kept.push(item);
        }
    }
    Ok(kept)
}

fn aggregated<'a>(invocation: &Invocation<'_, '_, 'a>, items: &[Item<'a>]) -> Evaluated<'a> {
    let mut total = invocation.argument(1)?;
    let Some(node) = invocation.argument_node(0) else { return Ok(total) };
    for (index, item) in items.iter().enumerate() {
        let scope = invocation.scope.of_item(item, index).with_total(&total);
        let next = invocation.evaluator.node(node, scope)?;
        total = next;
    }
    Ok(total)
}
