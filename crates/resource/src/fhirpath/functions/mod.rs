//! The functions: which does what is decided here, by the specification's sections.

mod collection;
mod conversion;
mod existence;
mod fhir;
mod math;
mod text;

use super::error::EvaluationProblem;
use super::evaluate::{Evaluated, Evaluator, Scope, type_info};
use super::function::FunctionId;
use super::item::{Item, Scalar};
use super::navigate;
use super::operators;
use super::syntax::{Call, Node};
use super::temporal::DateTime;

/// One call: its function's input, arguments, and where it stands.
pub(super) struct Invocation<'e, 's, 'a> {
    pub(super) evaluator: &'e Evaluator<'a>,
    pub(super) call: &'a Call,
    pub(super) scope: Scope<'s, 'a>,
}

impl<'a> Invocation<'_, '_, 'a> {
    fn name(&self) -> &'static str {
        self.call.function.name
    }

    fn argument_node(&self, position: usize) -> Option<&'a Node> {
        self.call.arguments.get(position)
    }

    /// An argument's collection; empty for one that is not given.
    fn argument(&self, position: usize) -> Evaluated<'a> {
        match self.argument_node(position) {
            Some(node) => self.evaluator.node(node, self.scope),
            None => Ok(Vec::new()),
        }
    }

    /// An argument that is evaluated for one item of the input.
    fn for_item(&self, position: usize, item: &Item<'a>, index: usize) -> Evaluated<'a> {
        match self.argument_node(position) {
            Some(node) => self.evaluator.node(node, self.scope.of_item(item, index)),
            None => Ok(Vec::new()),
        }
    }

    /// The criterion for one item: true, or not.
    fn meets(&self, item: &Item<'a>, index: usize) -> Result<bool, super::evaluate::Failure> {
        let criterion = self.for_item(0, item, index)?;
        Ok(operators::boolean(&criterion)? == Some(true))
    }

    /// An argument that is one integer.
    fn integer(&self, position: usize) -> Result<Option<i64>, super::evaluate::Failure> {
        Ok(integer(&self.argument(position)?)?)
    }

    fn undefined(&self) -> EvaluationProblem {
        EvaluationProblem::Undefined { operation: self.name() }
    }
}

/// The one integer of a collection.
pub(super) fn integer(items: &[Item<'_>]) -> Result<Option<i64>, EvaluationProblem> {
    match items {
        [] => Ok(None),
        [item] => match item.scalar() {
            Some(Scalar::Integer(value)) => Ok(Some(value)),
            _ => Err(EvaluationProblem::WrongType { expected: "an integer" }),
        },
        _ => Err(EvaluationProblem::NotSingle),
    }
}

/// The one item of a collection.
fn single<'s, 'a>(items: &'s [Item<'a>]) -> Result<Option<&'s Item<'a>>, EvaluationProblem> {
    match items {
        [] => Ok(None),
        [item] => Ok(Some(item)),
        _ => Err(EvaluationProblem::NotSingle),
    }
}

fn boolean<'a>(value: bool) -> Vec<Item<'a>> {
    vec![Item::Boolean(value)]
}

fn maybe<'a>(item: Option<Item<'a>>) -> Vec<Item<'a>> {
    item.into_iter().collect()
}

/// What a function makes of its input.
pub(super) fn call<'a>(
    evaluator: &Evaluator<'a>,
    call: &'a Call,
    items: Vec<Item<'a>>,
    scope: Scope<'_, 'a>,
) -> Evaluated<'a> {
    use FunctionId as F;

    let invocation = Invocation { evaluator, call, scope };
    match call.function.id {
        F::Empty
        | F::Exists
        | F::All
        | F::AllTrue
        | F::AnyTrue
        | F::AllFalse
        | F::AnyFalse
        | F::SubsetOf
        | F::SupersetOf
        | F::Count
        | F::Distinct
        | F::IsDistinct
        | F::Not => existence::call(&invocation, items),
        F::Where
        | F::Select
        | F::Repeat
        | F::Single
        | F::First
        | F::Last
        | F::Tail
        | F::Skip
        | F::Take
        | F::Intersect
        | F::Exclude
        | F::Union
        | F::Combine
        | F::Aggregate => collection::call(&invocation, items),
        F::Iif => iif(&invocation, &items),
        F::ToBoolean
        | F::ConvertsToBoolean
        | F::ToInteger
        | F::ConvertsToInteger
        | F::ToDate
        | F::ConvertsToDate
        | F::ToDateTime
        | F::ConvertsToDateTime
        | F::ToDecimal
        | F::ConvertsToDecimal
        | F::ToQuantity
        | F::ConvertsToQuantity
        | F::ToText
        | F::ConvertsToText
        | F::ToTime
        | F::ConvertsToTime => conversion::call(&invocation, &items),
        F::IndexOf
        | F::Substring
        | F::StartsWith
        | F::EndsWith
        | F::Contains
        | F::Upper
        | F::Lower
        | F::Replace
        | F::Matches
        | F::ReplaceMatches
        | F::Length
        | F::ToChars
        | F::MatchesFull
        | F::LastIndexOf
        | F::Trim
        | F::Split
        | F::Join => text::call(&invocation, &items),
        F::Abs
        | F::Ceiling
        | F::Exp
        | F::Floor
        | F::Ln
        | F::Log
        | F::Power
        | F::Round
        | F::Sqrt
        | F::Truncate => math::call(&invocation, &items),
        F::Children => children(evaluator, &items),
        F::Descendants => descendants(evaluator, &items),
        F::Trace => {
            // Nothing is written: there may be a patient in it. The projection may still be wrong.
            for (index, item) in items.iter().enumerate() {
                invocation.for_item(1, item, index)?;
            }
            Ok(items)
        }
        F::Now => Ok(vec![Item::DateTime(now(evaluator))]),
        F::Today => Ok(vec![Item::Date(now(evaluator).date())]),
        F::TimeOfDay => Ok(maybe(now(evaluator).time().map(Item::Time))),
        F::Type => Ok(items.iter().filter_map(type_info).map(Item::Type).collect()),
        F::Extension
        | F::HasValue
        | F::GetValue
        | F::Resolve
        | F::ElementDefinition
        | F::Slice
        | F::CheckModifiers
        | F::ConformsTo
        | F::MemberOf
        | F::Subsumes
        | F::SubsumedBy
        | F::HtmlChecks => fhir::call(&invocation, items),
    }
}

fn now(evaluator: &Evaluator<'_>) -> DateTime {
    DateTime::of_timestamp(evaluator.context.now)
}

/// `iif` (N1 §5.5.1): only the branch that counts is evaluated, on the input, which is one item or none.
fn iif<'a>(invocation: &Invocation<'_, '_, 'a>, items: &[Item<'a>]) -> Evaluated<'a> {
    single(items)?;
    let scope = invocation.scope.with_focus(items);
    let evaluate = |position| match invocation.argument_node(position) {
        Some(node) => invocation.evaluator.node(node, scope),
        None => Ok(Vec::new()),
    };
    let criterion = operators::boolean(&evaluate(0)?)?;
    evaluate(if criterion == Some(true) { 1 } else { 2 })
}

fn children<'a>(evaluator: &Evaluator<'a>, items: &[Item<'a>]) -> Evaluated<'a> {
    let mut found = Vec::new();
    for item in items {
        navigate::children(item, &mut found);
    }
    evaluator.budget.spend(items.len() + found.len())?;
    evaluator.budget.hold(&found)?;
    Ok(found)
}

/// All that is inside, level by level, as `repeat(children())` gives it.
fn descendants<'a>(evaluator: &Evaluator<'a>, items: &[Item<'a>]) -> Evaluated<'a> {
    let mut found = children(evaluator, items)?;
    let mut next = 0;
    while let Some(item) = found.get(next).cloned() {
        let before = found.len();
        navigate::children(&item, &mut found);
        evaluator.budget.spend(1 + found.len() - before)?;
        evaluator.budget.hold(&found)?;
        next += 1;
    }
    Ok(found)
}
