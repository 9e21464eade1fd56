//! What must hold: names with their modifiers, chains and `_has`.

use super::super::entry::{ParameterId, ParameterKind};
use super::super::phonetic::sounds;
use super::super::query::{Chained, Criterion, Filter, StringMatch};
use super::super::registry::{Parameter, Targets};
use super::escape::split;
use super::expression::{Operator, no_modifier};
use super::problem::{Problem, empty, invalid, not_supported, quoted, too_costly, unknown};
use super::{ALTERNATIVES_MAX, CHAIN_STEPS_MAX, Handling, ProblemKind, Reader, VALUES_MAX};

/// What is asked of the parameter at the end of a name.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ask<'v> {
    /// The value of a query's parameter.
    Value(&'v str),
    /// An operator of `_filter` and its value.
    Operation(Operator, &'v str),
}

impl Reader<'_> {
    /// The condition of one parameter on resources of any of `types`.
    pub(super) fn filter(
        &mut self,
        types: &[&str],
        name: &str,
        ask: Ask<'_>,
        steps: usize,
    ) -> Result<Filter, Problem> {
        if steps > CHAIN_STEPS_MAX {
            return Err(too_costly(format!("a chain has at most {CHAIN_STEPS_MAX} steps")));
        }
        self.step()?;
        if let Some(rest) = name.strip_prefix("_has:") {
            return self.has(types, rest, ask, steps);
        }
        match name.split_once('.') {
            Some((reference, rest)) => self.chain(types, reference, rest, ask, steps),
            None => self.leaf(types, name, ask),
        }
    }

    fn leaf(&mut self, types: &[&str], name: &str, ask: Ask<'_>) -> Result<Filter, Problem> {
        let (code, modifier) = match name.split_once(':') {
            Some((code, modifier)) => (code, Some(modifier)),
            None => (name, None),
        };
        let special = match (ask, modifier) {
            (Ask::Operation(..), Some(modifier)) => return Err(no_modifier(modifier)),
            (Ask::Operation(operator, value), None) => {
                self.special_operation(code, operator, value)
            }
            (Ask::Value(value), _) => self.special(types, code, modifier, value),
        };
        if let Some(filter) = special {
            self.spend()?;
            return filter;
        }
        let mut filters = Vec::new();
        for resource_type in types {
            let parameter = self
                .registry
                .find(resource_type, code)
                .ok_or_else(|| self.unknown_parameter(types, code))?;
            // Types of a search of everything cost nothing more than one.
            if types.len() <= 20 || filters.is_empty() {
                self.spend()?;
            }
            filters.push(match ask {
                Ask::Value(value) => self.parameter(parameter, modifier, value)?,
                Ask::Operation(operator, value) => self.operation(parameter, operator, value)?,
            });
        }
        any_of(filters).ok_or_else(|| self.unknown_parameter(types, code))
    }

    /// Parameters that are not found in the index of values.
    fn special(
        &mut self,
        types: &[&str],
        code: &str,
        modifier: Option<&str>,
        value: &str,
    ) -> Option<Result<Filter, Problem>> {
        let plain = |filter: Result<Filter, Problem>| match modifier {
            None => filter,
            Some(modifier) => {
                Err(not_supported(format!("{code} has no modifier {}", quoted(modifier))))
            }
        };
        Some(match (code, modifier) {
            // R4 §3.1.1.4.4 has it for all parameters, and every resource has both.
            ("_id" | "_lastUpdated", Some("missing")) => missing(value).map(|is_missing| {
                if is_missing { Filter::Type(Vec::new()) } else { Filter::All(Vec::new()) }
            }),
            ("_id", _) => {
                let ids = self
                    .alternatives(value)
                    .map(|ids| Filter::Id(ids.into_iter().map(super::escape::unescape).collect()));
                match modifier {
                    Some("not") => ids.map(|ids| Filter::Not(Box::new(ids))),
                    _ => plain(ids),
                }
            }
            ("_lastUpdated", _) => plain(self.last_updated(value)),
            ("_text", _) => plain(self.full_text(value, false)),
            ("_content", _) => plain(self.full_text(value, true)),
            ("_filter", _) => plain(self.expression(types, value)),
            ("_type", _) => plain(self.named_types(value).map(Filter::Type)),
            ("_list", _) => plain(self.in_list(value)),
            ("_query", _) => Err(not_supported("is not supported: there are no named queries")),
            ("_contained" | "_containedType", _) => Err(not_supported(
                "is not supported: contained resources are not searched by themselves",
            )),
            _ => return None,
        })
    }

    /// What a List names (FHIR R4 §3.1.1.4.18). Lists that a server makes up, as `$current-problems`, are none here.
    fn in_list(&mut self, value: &str) -> Result<Filter, Problem> {
        let ids: Vec<String> =
            self.alternatives(value)?.into_iter().map(super::escape::unescape).collect();
        if ids.iter().any(|id| id.starts_with('$')) {
            return Err(not_supported("takes the ids of List resources; there are no others"));
        }
        let item = self.registry.find("List", "item").ok_or_else(empty)?.id();
        Ok(Filter::Has {
            resource_type: "List".to_owned(),
            reference: item,
            filter: Box::new(Filter::Id(ids)),
        })
    }

    fn last_updated(&mut self, value: &str) -> Result<Filter, Problem> {
        let alternatives = self.alternatives(value)?;
        let mut spans = Vec::new();
        for (at, text) in alternatives.iter().enumerate() {
            spans.push(
                self.date(text).map_err(|problem| numbered(problem, at, alternatives.len()))?,
            );
        }
        Ok(Filter::LastUpdated(spans))
    }

    fn full_text(&mut self, value: &str, whole: bool) -> Result<Filter, Problem> {
        let mut filters = Vec::new();
        for text in self.alternatives(value)? {
            filters.push(self.text_asked(&super::escape::unescape(text), whole)?);
        }
        any_of(filters).ok_or_else(empty)
    }

    /// The condition of one parameter of one type.
    pub(super) fn parameter(
        &mut self,
        parameter: &Parameter,
        modifier: Option<&str>,
        value: &str,
    ) -> Result<Filter, Problem> {
        if parameter.kind() == ParameterKind::Special {
            return Err(not_supported("is not supported: positions are not compared"));
        }
        if let Some(modifier) = modifier {
            let listed = if self.registry.is_resource_type(modifier) { "type" } else { modifier };
            if !parameter.allows_modifier(listed) {
                return Err(not_supported(format!(
                    "the definition of the parameter does not allow the modifier {}",
                    quoted(modifier)
                )));
            }
        }
        if modifier == Some("missing") {
            let id = parameter.components().first().map_or(parameter.id(), |first| first.id());
            return Ok(Filter::Missing { parameter: id, missing: missing(value)? });
        }
        let alternatives = self.alternatives(value)?;
        if alternatives.len() > 1 && !parameter.multiple_or() {
            return Err(invalid("takes one value only, as its definition says"));
        }
        if parameter.kind() == ParameterKind::Composite {
            return self.composite(parameter, modifier, &alternatives);
        }
        if parameter.is_phonetic() {
            return self.phonetic(parameter, modifier, &alternatives);
        }
        let mut criteria = Vec::new();
        for (at, text) in alternatives.iter().enumerate() {
            let criterion = self
                .criterion(parameter.kind(), parameter.targets(), modifier, text)
                .and_then(|criterion| {
                    check_comparator(parameter, &criterion)?;
                    Ok(criterion)
                })
                .map_err(|problem| numbered(problem, at, alternatives.len()))?;
            criteria.push(criterion);
        }
        let filter = Filter::Parameter { parameter: parameter.id(), criteria };
        Ok(match modifier {
            Some("not" | "not-in") => Filter::Not(Box::new(filter)),
            _ => filter,
        })
    }

    /// Names whose words sound as those asked for.
    pub(super) fn phonetic(
        &mut self,
        parameter: &Parameter,
        modifier: Option<&str>,
        alternatives: &[&str],
    ) -> Result<Filter, Problem> {
        if let Some(modifier) = modifier {
            return Err(not_supported(format!(
                "a parameter of sounds has no modifier {}, only `:missing`",
                quoted(modifier)
            )));
        }
        let mut filters = Vec::new();
        for text in alternatives {
            let mut each: Vec<Filter> = sounds(&super::escape::unescape(text))
                .map(|text| Filter::Parameter {
                    parameter: parameter.id(),
                    criteria: vec![Criterion::String { match_by: StringMatch::Equal, text }],
                })
                .collect();
            for _ in &each {
                self.spend()?;
            }
            filters.push(match each.len() {
                0 => return Err(empty()),
                1 => each.remove(0),
                _ => Filter::All(each),
            });
        }
        any_of(filters).ok_or_else(empty)
    }

    fn composite(
        &mut self,
        parameter: &Parameter,
        modifier: Option<&str>,
        alternatives: &[&str],
    ) -> Result<Filter, Problem> {
        if let Some(modifier) = modifier {
            return Err(not_supported(format!(
                "a composite parameter has no modifier {}, only `:missing`",
                quoted(modifier)
            )));
        }
        let count = parameter.components().len();
        let mut read: Vec<Vec<(ParameterId, Criterion)>> = Vec::new();
        for (at, text) in alternatives.iter().enumerate() {
            let values = split(text, '$');
            if values.len() != count || values.iter().any(|value| value.is_empty()) {
                let kinds: Vec<&str> = parameter
                    .components()
                    .iter()
                    .map(|component| component.kind().code())
                    .collect();
                return Err(numbered(
                    invalid(format!(
                        "expected {count} values with `$` between: {}",
                        kinds.join("$")
                    )),
                    at,
                    alternatives.len(),
                ));
            }
            let mut components = Vec::new();
            for (component, value) in parameter.components().iter().zip(values) {
                let criterion = self
                    .criterion(component.kind(), component.targets(), None, value)
                    .map_err(|problem| numbered(problem, at, alternatives.len()))?;
                components.push((component.id(), criterion));
            }
            read.push(components);
        }
        Ok(Filter::Composite { alternatives: read })
    }

    /// `REFERENCE.REST` or `REFERENCE:TYPE.REST`.
    fn chain(
        &mut self,
        types: &[&str],
        reference: &str,
        rest: &str,
        ask: Ask<'_>,
        steps: usize,
    ) -> Result<Filter, Problem> {
        let (code, target) = match reference.split_once(':') {
            Some((code, target)) => (code, Some(target)),
            None => (reference, None),
        };
        let mut filters = Vec::new();
        for resource_type in types {
            let parameter = self
                .registry
                .find(resource_type, code)
                .ok_or_else(|| self.unknown_parameter(types, code))?;
            if parameter.kind() != ParameterKind::Reference {
                return Err(invalid(format!(
                    "`{code}` of {resource_type} is a {} parameter; only references can be followed with `.`",
                    parameter.kind().code()
                )));
            }
            let target_types = self.targets(parameter, target)?;
            let targets = self.chained(&target_types, rest, ask, steps)?;
            filters.push(Filter::Chain { reference: parameter.id(), targets });
        }
        any_of(filters).ok_or_else(|| self.unknown_parameter(types, code))
    }

    /// The types that a step of a chain may lead to.
    fn targets(&self, parameter: &Parameter, named: Option<&str>) -> Result<Vec<String>, Problem> {
        if let Some(named) = named {
            if !self.registry.is_resource_type(named) {
                return Err(invalid(format!("{} is no resource type of FHIR R4", quoted(named))));
            }
            if !parameter.targets().allows(named) {
                return Err(invalid(format!(
                    "`{}` of {} does not refer to {named}",
                    parameter.code(),
                    parameter.resource_type()
                )));
            }
            return Ok(vec![named.to_owned()]);
        }
        Ok(match parameter.targets() {
            Targets::Any => self.registry.resource_types().map(str::to_owned).collect(),
            Targets::Types(types) => types.iter().map(ToString::to_string).collect(),
        })
    }

    /// The rest of a chain for each type of target it makes sense for.
    fn chained(
        &mut self,
        types: &[String],
        rest: &str,
        ask: Ask<'_>,
        steps: usize,
    ) -> Result<Vec<Chained>, Problem> {
        let mut targets = Vec::new();
        let mut problem = None;
        for resource_type in types {
            match self.filter(&[resource_type], rest, ask, steps + 1) {
                Ok(filter) => {
                    targets.push(Chained { resource_type: resource_type.clone(), filter });
                }
                Err(found)
                    if matches!(found.kind, ProblemKind::TooCostly | ProblemKind::Indexing) =>
                {
                    return Err(found);
                }
                // A type without the parameter, or with one of the same name and another kind.
                Err(found) => problem = problem.or(Some(found)),
            }
        }
        match problem {
            Some(problem) if targets.is_empty() => Err(match types {
                [_] => problem,
                _ if problem.kind == ProblemKind::Unknown => unknown(
                    "none of the types that it may refer to has the parameter behind the `.`",
                ),
                _ => problem,
            }),
            _ => Ok(targets),
        }
    }

    /// `TYPE:REFERENCE:REST`, behind `_has:`.
    fn has(
        &mut self,
        types: &[&str],
        name: &str,
        ask: Ask<'_>,
        steps: usize,
    ) -> Result<Filter, Problem> {
        let form = || {
            invalid(
                "expected `_has:TYPE:REFERENCE:PARAMETER`, as in `_has:Observation:patient:code`",
            )
        };
        let (resource_type, rest) = name.split_once(':').ok_or_else(form)?;
        let (reference, rest) = rest.split_once(':').ok_or_else(form)?;
        if !self.registry.is_resource_type(resource_type) {
            return Err(invalid(format!(
                "{} is no resource type of FHIR R4",
                quoted(resource_type)
            )));
        }
        let parameter = self
            .registry
            .find(resource_type, reference)
            .ok_or_else(|| self.unknown_parameter(&[resource_type], reference))?;
        if parameter.kind() != ParameterKind::Reference {
            return Err(invalid(format!(
                "`{reference}` of {resource_type} is a {} parameter; expected a reference",
                parameter.kind().code()
            )));
        }
        if !types.iter().any(|searched| parameter.targets().allows(searched)) {
            return Err(invalid(format!(
                "`{reference}` of {resource_type} does not refer to what is searched"
            )));
        }
        let filter = self.filter(&[resource_type], rest, ask, steps + 1)?;
        Ok(Filter::Has {
            resource_type: resource_type.to_owned(),
            reference: parameter.id(),
            filter: Box::new(filter),
        })
    }

    /// The values between commas, with their escapes. Empty ones are passed over where handling is lenient.
    pub(super) fn alternatives<'v>(&mut self, value: &'v str) -> Result<Vec<&'v str>, Problem> {
        let mut values = split(value, ',');
        if values.len() > ALTERNATIVES_MAX {
            return Err(too_costly(format!("takes at most {ALTERNATIVES_MAX} values")));
        }
        self.values_left = self.values_left.checked_sub(values.len()).ok_or_else(|| {
            too_costly(format!(
                "the search has more than {VALUES_MAX} values, counted for each type that it is about; ask for fewer at \
                 once, or name the types"
            ))
        })?;
        let count = values.len();
        values.retain(|value| !value.trim().is_empty());
        if values.is_empty() {
            return Err(empty());
        }
        if values.len() < count && self.options.handling == Handling::Strict {
            return Err(invalid("one of the values between the commas is empty"));
        }
        Ok(values)
    }
}

/// What `:missing` asks.
fn missing(value: &str) -> Result<bool, Problem> {
    match value {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(invalid("`:missing` is `true` or `false`")),
    }
}

fn check_comparator(parameter: &Parameter, criterion: &Criterion) -> Result<(), Problem> {
    let comparator = match criterion {
        Criterion::Date { comparator, .. }
        | Criterion::Number { comparator, .. }
        | Criterion::Quantity { comparator, .. } => *comparator,
        _ => return Ok(()),
    };
    if parameter.allows_comparator(comparator) {
        return Ok(());
    }
    Err(not_supported(format!(
        "the definition of the parameter does not allow the prefix `{}`",
        comparator.code()
    )))
}

/// Says which of several values a problem is about.
pub(super) fn numbered(problem: Problem, at: usize, count: usize) -> Problem {
    if count < 2 {
        return problem;
    }
    Problem { message: format!("value {}: {}", at + 1, problem.message), ..problem }
}

/// One of these: the same condition on several types. A negation is one of all of them.
pub(super) fn any_of(mut filters: Vec<Filter>) -> Option<Filter> {
    filters.dedup();
    if filters.len() < 2 {
        return filters.pop();
    }
    let negated = filters
        .iter()
        .all(|filter| matches!(filter, Filter::Not(_) | Filter::Missing { missing: true, .. }));
    if !negated {
        return Some(Filter::Any(filters));
    }
    // Each type's resources have no value of the other types' parameters.
    Some(Filter::All(filters))
}
