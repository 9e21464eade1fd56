//! What FHIR adds (R4 §2.9.1.5).

use std::borrow::Cow;

use super::super::error::EvaluationProblem;
use super::super::evaluate::{Evaluated, Failure};
use super::super::function::FunctionId;
use super::super::item::{Element, Item};
use super::super::model::Type;
use super::super::navigate;
use super::{Invocation, boolean, single};
use crate::json::Value;
use crate::narrative;

pub(super) fn call<'a>(invocation: &Invocation<'_, '_, 'a>, items: Vec<Item<'a>>) -> Evaluated<'a> {
    match invocation.call.function.id {
        FunctionId::Extension => extensions(invocation, &items),
        FunctionId::HasValue => Ok(boolean(matches!(items.as_slice(), [item] if item.has_value()))),
        FunctionId::GetValue => match items.as_slice() {
            [item] if item.has_value() => Ok(vec![system_value(item)]),
            _ => Ok(Vec::new()),
        },
        FunctionId::Resolve => resolved(invocation, &items),
        FunctionId::CheckModifiers => {
            check_modifiers(invocation, &items)?;
            Ok(items)
        }
        FunctionId::ConformsTo => conforms(invocation, &items),
        FunctionId::MemberOf => member_of(invocation, &items),
        FunctionId::Subsumes => subsumes(invocation, &items, &invocation.argument(0)?),
        FunctionId::SubsumedBy => subsumes(invocation, &invocation.argument(0)?, &items),
        FunctionId::HtmlChecks => html_checks(invocation, &items),
        _ => Err(EvaluationProblem::Unsupported(invocation.name()).into()),
    }
}

/// The text of an argument.
fn argument<'a>(invocation: &Invocation<'_, '_, 'a>) -> Result<Option<Cow<'a, str>>, Failure> {
    let items = invocation.argument(0)?;
    match single(&items)? {
        None => Ok(None),
        Some(Item::String(text)) => Ok(Some(text.clone())),
        Some(item) => match item.as_str() {
            Some(text) => Ok(Some(Cow::Owned(text.to_owned()))),
            None => Err(EvaluationProblem::WrongType { expected: "a string" }.into()),
        },
    }
}

/// A FHIR primitive as FHIRPath's own value.
fn system_value<'a>(item: &Item<'a>) -> Item<'a> {
    use super::super::item::Scalar;

    let Item::Element(element) = item else { return item.clone() };
    match element.scalar() {
        None => item.clone(),
        Some(Scalar::Boolean(value)) => Item::Boolean(value),
        Some(Scalar::Integer(value)) => Item::Integer(value),
        Some(Scalar::Decimal(value)) => Item::Decimal(value),
        Some(Scalar::String(text)) => Item::String(text.into()),
        Some(Scalar::Date(value)) => Item::Date(value),
        Some(Scalar::DateTime(value)) => Item::DateTime(value),
        Some(Scalar::Time(value)) => Item::Time(value),
        Some(Scalar::Quantity(value)) => Item::Quantity(Box::new(value)),
    }
}

fn extensions<'a>(invocation: &Invocation<'_, '_, 'a>, items: &[Item<'a>]) -> Evaluated<'a> {
    let Some(url) = argument(invocation)? else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for item in items {
        navigate::members(item, "extension", &mut found);
    }
    invocation.evaluator.budget.spend(found.len())?;
    found.retain(|item| item.json().and_then(|value| value.text("url")) == Some(&*url));
    Ok(found)
}

/// The resources that references, canonicals and addresses name. What is not found is left out.
fn resolved<'a>(invocation: &Invocation<'_, '_, 'a>, items: &[Item<'a>]) -> Evaluated<'a> {
    let mut found = Vec::new();
    for item in items {
        let Some(value) = item.json() else { continue };
        let reference = match value {
            Value::String(text) => text.as_str(),
            Value::Object(_) => value.text("reference").unwrap_or(""),
            _ => continue,
        };
        let claimed = value.text("type");
        found.extend(resolve(invocation, reference, claimed)?);
    }
    Ok(found)
}

fn resolve<'a>(
    invocation: &Invocation<'_, '_, 'a>,
    reference: &'a str,
    claimed: Option<&str>,
) -> Result<Option<Item<'a>>, EvaluationProblem> {
    let evaluator = invocation.evaluator;
    let root = evaluator.root_resource().and_then(Item::json);
    if let Some(id) = reference.strip_prefix('#') {
        let resource = evaluator.resource().and_then(Item::json);
        let contained = |owner: Option<&'a Value>| {
            let owner = owner?;
            if id.is_empty() {
                return Some(owner);
            }
            owner.items("contained").iter().find(|resource| resource.id() == Some(id))
        };
        // A contained resource refers to its siblings in the resource around it.
        return Ok(contained(resource).or_else(|| contained(root)).map(Item::resource));
    }
    if !reference.is_empty() {
        if let Some(root) = root.filter(|root| root.resource_type() == Some("Bundle")) {
            let entries = root.items("entry");
            evaluator.budget.spend(entries.len())?;
            let named = entries.iter().find(|entry| is_entry(entry, reference));
            if let Some(resource) = named.and_then(|entry| entry.get("resource")) {
                return Ok(Some(Item::resource(resource)));
            }
        }
        if let Some(resource) = evaluator.context.resolver.and_then(|own| own.resolve(reference)) {
            return Ok(Some(Item::resource(resource)));
        }
    }
    let type_ = resource_type(type_in(reference).or(claimed));
    Ok(type_.map(|type_| Item::Element(Element::new(None, None, Some(type_)))))
}

/// Whether a bundle's entry is what a reference names (R4 §2.36.4.1).
fn is_entry(entry: &Value, reference: &str) -> bool {
    if entry.text("fullUrl") == Some(reference) {
        return true;
    }
    let Some((type_, id)) = reference.split_once('/') else { return false };
    entry.get("resource").is_some_and(|resource| {
        resource.resource_type() == Some(type_) && resource.id() == Some(id)
    })
}

/// The type that a reference names: `Patient/17`, `https://example.org/fhir/Patient/17/_history/2`.
fn type_in(reference: &str) -> Option<&str> {
    let current = reference.split_once("/_history/").map_or(reference, |(current, _)| current);
    let mut parts = current.rsplit('/');
    let _id = parts.next()?;
    parts.next()
}

fn resource_type(name: Option<&str>) -> Option<Type> {
    let (type_, resource) = (Type::named(name?)?, Type::named("Resource")?);
    (type_.is_a(resource) && !type_.is_any_resource()).then_some(type_)
}

/// Refuses modifier extensions that are not among those named.
fn check_modifiers<'a>(
    invocation: &Invocation<'_, '_, 'a>,
    items: &[Item<'a>],
) -> Result<(), Failure> {
    let mut known = Vec::new();
    for position in 0..invocation.call.arguments.len() {
        known.extend(invocation.argument(position)?);
    }
    let mut found = Vec::new();
    for item in items {
        navigate::members(item, "modifierExtension", &mut found);
    }
    invocation.evaluator.budget.spend(found.len() * (known.len() + 1))?;
    let is_known = |item: &Item<'_>| {
        let url = item.json().and_then(|value| value.text("url"));
        known.iter().any(|known| known.as_str() == url)
    };
    if found.iter().all(is_known) { Ok(()) } else { Err(EvaluationProblem::Modifiers.into()) }
}

fn unanswerable(invocation: &Invocation<'_, '_, '_>) -> Failure {
    EvaluationProblem::Unanswerable(invocation.name()).into()
}

/// Whether a resource conforms to a profile; to a type of the specification by its own type, else as the
/// resolver says.
fn conforms<'a>(invocation: &Invocation<'_, '_, 'a>, items: &[Item<'a>]) -> Evaluated<'a> {
    let (Some(item), Some(profile)) = (single(items)?, argument(invocation)?) else {
        return Ok(Vec::new());
    };
    let type_ =
        profile.strip_prefix("http://hl7.org/fhir/StructureDefinition/").and_then(Type::named);
    if let (Some(type_), Item::Element(element)) = (type_, item) {
        return Ok(boolean(element.type_().is_some_and(|own| own.is_a(type_))));
    }
    let resolver = invocation.evaluator.context.resolver;
    match item.json().zip(resolver).and_then(|(value, own)| own.conforms(value, &profile)) {
        Some(conforms) => Ok(boolean(conforms)),
        None => Err(unanswerable(invocation)),
    }
}

/// The codes of a code, a Coding or a CodeableConcept, with their systems.
fn codings<'s>(item: &'s Item<'_>) -> Vec<(Option<&'s str>, &'s str)> {
    if let Some(code) = item.as_str() {
        return vec![(None, code)];
    }
    let Some(value) = item.json() else { return Vec::new() };
    let codings = match value.get("coding") {
        Some(_) => value.items("coding"),
        None => std::slice::from_ref(value),
    };
    let coding = |coding: &'s Value| Some((coding.text("system"), coding.text("code")?));
    codings.iter().filter_map(coding).collect()
}

fn member_of<'a>(invocation: &Invocation<'_, '_, 'a>, items: &[Item<'a>]) -> Evaluated<'a> {
    let (Some(item), Some(value_set)) = (single(items)?, argument(invocation)?) else {
        return Ok(Vec::new());
    };
    let Some(resolver) = invocation.evaluator.context.resolver else {
        return Err(unanswerable(invocation));
    };
    let answers: Vec<_> = codings(item)
        .into_iter()
        .map(|(system, code)| resolver.is_member(system, code, &value_set))
        .collect();
    if answers.contains(&Some(true)) {
        return Ok(boolean(true));
    }
    if answers.contains(&None) {
        return Err(unanswerable(invocation));
    }
    Ok(boolean(false))
}

fn subsumes<'a>(
    invocation: &Invocation<'_, '_, 'a>,
    above: &[Item<'a>],
    below: &[Item<'a>],
) -> Evaluated<'a> {
    let (Some(above), Some(below)) = (single(above)?, single(below)?) else {
        return Ok(Vec::new());
    };
    let mut answers = Vec::new();
    for (system, above) in codings(above) {
        for (other_system, below) in codings(below) {
            invocation.evaluator.budget.spend(1)?;
            if system != other_system {
                continue;
            }
            if above == below {
                return Ok(boolean(true));
            }
            let resolver = invocation.evaluator.context.resolver;
            answers.push(resolver.and_then(|own| own.subsumes(system, above, below)));
        }
    }
    if answers.contains(&Some(true)) {
        return Ok(boolean(true));
    }
    if answers.contains(&None) {
        return Err(unanswerable(invocation));
    }
    Ok(boolean(false))
}

/// Whether a narrative is XHTML of the kind that is allowed (R4 §2.4, txt-1 and txt-2).
fn html_checks<'a>(invocation: &Invocation<'_, '_, 'a>, items: &[Item<'a>]) -> Evaluated<'a> {
    let mut is_allowed = true;
    for item in items {
        let text = item.as_str().unwrap_or("");
        invocation.evaluator.budget.spend(text.len() / 16)?;
        is_allowed &= narrative::problem(text).is_none();
    }
    Ok(boolean(is_allowed))
}
