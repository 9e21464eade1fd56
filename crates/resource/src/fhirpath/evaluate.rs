//! Evaluation: each part of an expression gives a collection.

use super::budget::Budget;
use super::context::Context;
use super::error::EvaluationProblem;
use super::functions;
use super::item::{Item, System, TypeInfo};
use super::model::Type;
use super::navigate;
use super::operators;
use super::syntax::{Call, Node, NodeKind, TypeName, TypeOperation, TypeTarget};
use super::token::Dollar;
use crate::json::Value;

/// A collection, or why there is none.
pub(super) type Evaluated<'a> = Result<Vec<Item<'a>>, Failure>;

/// Why there is no result, and at which byte of the expression once that is known.
#[derive(Debug)]
pub(super) struct Failure {
    at: Option<usize>,
    problem: Box<EvaluationProblem>,
}

impl From<EvaluationProblem> for Failure {
    fn from(problem: EvaluationProblem) -> Self {
        Self { at: None, problem: Box::new(problem) }
    }
}

/// One evaluation.
pub(super) struct Evaluator<'a> {
    pub(super) context: &'a Context<'a>,
    pub(super) budget: Budget,
    /// What the expression is evaluated on: `%context`. None where it is evaluated on nothing.
    root: Option<Item<'a>>,
}

/// Where in an evaluation a part stands.
#[derive(Clone, Copy)]
pub(super) struct Scope<'s, 'a> {
    /// What a path begins at.
    pub(super) focus: &'s [Item<'a>],
    index: Option<usize>,
    total: Option<&'s [Item<'a>]>,
}

impl<'s, 'a> Scope<'s, 'a> {
    /// The scope of a function's criterion or projection for one item.
    pub(super) fn of_item(self, item: &'s Item<'a>, index: usize) -> Scope<'s, 'a> {
        Scope { focus: std::slice::from_ref(item), index: Some(index), total: self.total }
    }

    pub(super) fn with_focus(self, focus: &'s [Item<'a>]) -> Scope<'s, 'a> {
        Scope { focus, ..self }
    }

    pub(super) fn with_total(self, total: &'s [Item<'a>]) -> Scope<'s, 'a> {
        Scope { total: Some(total), ..self }
    }
}

/// Evaluates an expression on items.
pub(super) fn evaluate<'a>(
    node: &'a Node,
    items: &[Item<'a>],
    context: &'a Context<'a>,
) -> Result<Vec<Item<'a>>, (usize, EvaluationProblem)> {
    let root = items.first().cloned();
    let evaluator = Evaluator { context, budget: Budget::new(context.limits), root };
    let scope = Scope { focus: items, index: None, total: None };
    evaluator.node(node, scope).map_err(|failure| (failure.at.unwrap_or(node.at), *failure.problem))
}

impl<'a> Evaluator<'a> {
    /// Evaluates a part; what goes wrong directly in it is located there.
    pub(super) fn node(&self, node: &'a Node, scope: Scope<'_, 'a>) -> Evaluated<'a> {
        self.kind(&node.kind, scope).map_err(|failure| Failure {
            at: failure.at.or(Some(node.at)),
            problem: failure.problem,
        })
    }

    fn kind(&self, kind: &'a NodeKind, scope: Scope<'_, 'a>) -> Evaluated<'a> {
        self.budget.spend(1)?;
        match kind {
            NodeKind::Empty => Ok(Vec::new()),
            NodeKind::Literal(literal) => Ok(vec![literal.item()]),
            NodeKind::Variable(name) => self.variable(name),
            NodeKind::Dollar(dollar) => dollar_value(*dollar, scope),
            NodeKind::Member(name) => self.member(name, scope.focus),
            NodeKind::TypeOrMember(name, type_) => self.type_or_member(name, *type_, scope.focus),
            NodeKind::Chain(first, steps) => self.chain(first, steps, scope),
            NodeKind::Call(call) => self.call(call, scope.focus.to_vec(), scope),
            NodeKind::OfType(operation, type_name) => {
                of_type(*operation, type_name, scope.focus.to_vec())
            }
            NodeKind::Index(index) => self.index(index, scope.focus.to_vec(), scope),
            NodeKind::Negate(operand) => {
                let items = self.node(operand, scope)?;
                Ok(operators::negated(&items)?.into_iter().collect())
            }
            NodeKind::Plus(operand) => {
                let items = self.node(operand, scope)?;
                operators::negated(&items)?;
                Ok(items)
            }
            NodeKind::Binary(first, rest) => operators::binary(self, first, rest, scope),
        }
    }

    fn chain(&self, first: &'a Node, steps: &'a [Node], scope: Scope<'_, 'a>) -> Evaluated<'a> {
        let mut items = self.node(first, scope)?;
        for step in steps {
            items = self.step(step, items, scope).map_err(|failure| Failure {
                at: failure.at.or(Some(step.at)),
                problem: failure.problem,
            })?;
        }
        Ok(items)
    }

    /// What a step of a path makes of the collection before it.
    fn step(&self, step: &'a Node, items: Vec<Item<'a>>, scope: Scope<'_, 'a>) -> Evaluated<'a> {
        self.budget.spend(1)?;
        match &step.kind {
            NodeKind::Member(name) => self.member(name, &items),
            NodeKind::Call(call) => self.call(call, items, scope),
            NodeKind::OfType(operation, type_name) => of_type(*operation, type_name, items),
            NodeKind::Index(index) => self.index(index, items, scope),
            other => self.kind(other, scope.with_focus(&items)),
        }
    }

    fn member(&self, name: &str, items: &[Item<'a>]) -> Evaluated<'a> {
        let mut found = Vec::new();
        for item in items {
            navigate::members(item, name, &mut found);
        }
        self.budget.spend(items.len() + found.len())?;
        self.budget.hold(&found)?;
        Ok(found)
    }

    /// `Patient.name`: the type of what the path begins at (N1 §5, "the path may start with the type").
    fn type_or_member(&self, name: &str, type_: Option<Type>, items: &[Item<'a>]) -> Evaluated<'a> {
        let is_named = |item: &Item<'a>| match (item, type_) {
            (Item::Element(element), Some(type_)) => {
                element.type_().is_some_and(|own| own.is_a(type_))
            }
            (Item::Element(element), None) => {
                element.value().and_then(Value::resource_type) == Some(name)
            }
            _ => false,
        };
        let found: Vec<_> = items.iter().filter(|item| is_named(item)).cloned().collect();
        if found.is_empty() && type_.is_none() { self.member(name, items) } else { Ok(found) }
    }

    fn index(
        &self,
        index: &'a Node,
        mut items: Vec<Item<'a>>,
        scope: Scope<'_, 'a>,
    ) -> Evaluated<'a> {
        let Some(index) = functions::integer(&self.node(index, scope)?)? else {
            return Ok(Vec::new());
        };
        match usize::try_from(index) {
            Ok(index) if index < items.len() => Ok(vec![items.swap_remove(index)]),
            _ => Ok(Vec::new()),
        }
    }

    fn call(&self, call: &'a Call, items: Vec<Item<'a>>, scope: Scope<'_, 'a>) -> Evaluated<'a> {
        functions::call(self, call, items, scope)
    }

    /// `%resource`.
    pub(super) fn resource(&self) -> Option<&Item<'a>> {
        self.context.resource.as_ref().or(self.root.as_ref())
    }

    /// `%rootResource`.
    pub(super) fn root_resource(&self) -> Option<&Item<'a>> {
        self.context.root_resource.as_ref().or_else(|| self.resource())
    }

    /// External constants (N1 §9, FHIR R4 §2.9.1.4).
    fn variable(&self, name: &'a str) -> Evaluated<'a> {
        if let Some((_, items)) = self.context.variables.iter().find(|(own, _)| *own == name) {
            return Ok(items.clone());
        }
        let text = |text: &'static str| Ok(vec![Item::String(text.into())]);
        match name {
            "context" => Ok(self.root.iter().cloned().collect()),
            "resource" => Ok(self.resource().into_iter().cloned().collect()),
            "rootResource" => Ok(self.root_resource().into_iter().cloned().collect()),
            "ucum" => text("http://unitsofmeasure.org"),
            "sct" => text("http://snomed.info/sct"),
            "loinc" => text("http://loinc.org"),
            _ => {
                let canonical = match name.split_once('-') {
                    Some(("vs", name)) => format!("http://hl7.org/fhir/ValueSet/{name}"),
                    Some(("ext", name)) => {
                        format!("http://hl7.org/fhir/StructureDefinition/{name}")
                    }
                    _ => return Err(EvaluationProblem::UnknownVariable(name.to_owned()).into()),
                };
                Ok(vec![Item::string(canonical)])
            }
        }
    }
}

fn dollar_value<'a>(dollar: Dollar, scope: Scope<'_, 'a>) -> Evaluated<'a> {
    match dollar {
        Dollar::This => Ok(scope.focus.to_vec()),
        Dollar::Index => {
            let index = scope.index.ok_or(EvaluationProblem::NoValue("$index"))?;
            Ok(vec![Item::Integer(i64::try_from(index).unwrap_or(i64::MAX))])
        }
        Dollar::Total => Ok(scope.total.ok_or(EvaluationProblem::NoValue("$total"))?.to_vec()),
    }
}

/// `is`, `as` and `ofType` (N1 §6.3).
fn of_type<'a>(
    operation: TypeOperation,
    type_name: &TypeName,
    mut items: Vec<Item<'a>>,
) -> Evaluated<'a> {
    let Some(target) = type_name.target else {
        return Err(EvaluationProblem::UnknownType(type_name.name.to_string()).into());
    };
    if operation == TypeOperation::Is {
        return match items.as_slice() {
            [] => Ok(Vec::new()),
            [item] => Ok(vec![Item::Boolean(is_of_type(item, target))]),
            _ => Err(EvaluationProblem::NotSingle.into()),
        };
    }
    items.retain(|item| is_of_type(item, target) && is_exact(item, target));
    Ok(items)
}

fn is_of_type(item: &Item<'_>, target: TypeTarget) -> bool {
    match (item, target) {
        (_, TypeTarget::Nothing) => false,
        (Item::Element(element), TypeTarget::Fhir(type_)) => {
            element.type_().is_some_and(|own| own.is_a(type_))
        }
        (Item::Element(_) | Item::Type(_), TypeTarget::System(_)) => false,
        // `Quantity` names FHIR's type; a literal one is meant as well.
        (Item::Quantity(_), TypeTarget::Fhir(type_)) => type_.system() == Some(System::Quantity),
        (_, TypeTarget::Fhir(_)) => false,
        (item, TypeTarget::System(system)) => item.system() == Some(system),
    }
}

/// `as` and `ofType` take a primitive of the very type only: a `canonical` is a `uri`, but `source as uri`
/// is not to find `sourceCanonical`.
fn is_exact(item: &Item<'_>, target: TypeTarget) -> bool {
    match (item, target) {
        (Item::Element(element), TypeTarget::Fhir(type_)) => {
            !type_.is_primitive() || element.type_() == Some(type_)
        }
        _ => true,
    }
}

/// What `type()` gives for an item.
pub(super) fn type_info<'a>(item: &Item<'a>) -> Option<TypeInfo<'a>> {
    match item {
        Item::Element(element) => {
            let name = match element.type_() {
                Some(type_) => type_.public_name(),
                None => element.value().and_then(Value::resource_type)?,
            };
            Some(TypeInfo { namespace: "FHIR", name: name.into() })
        }
        Item::Type(_) => Some(TypeInfo { namespace: "System", name: "TypeInfo".into() }),
        value => Some(TypeInfo { namespace: "System", name: value.system()?.name().into() }),
    }
}
