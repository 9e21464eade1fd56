//! The search parameters of FHIR R4, from `definitions/search-parameters.tsv`.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use super::super::entry::{ParameterId, ParameterKind};
use super::Registry;
use super::parameter::{Component, Parameter, Targets};
use crate::definitions::{TypeDefinition, resource_types};

/// Those of R4, and behind them those of our own types.
const TABLE: &str = concat!(
    include_str!("../../../definitions/search-parameters.tsv"),
    include_str!("../../../definitions/own-search-parameters.tsv")
);
const URL: &str = "http://hl7.org/fhir/SearchParameter/";

struct Row<'a> {
    base: &'a str,
    code: Arc<str>,
    id: &'a str,
    kind: ParameterKind,
    expression: &'a str,
    targets: Targets,
    components: &'a str,
}

pub(super) fn read() -> Registry {
    let rows: Vec<Row<'_>> =
        TABLE.lines().filter(|line| !line.starts_with('#')).filter_map(row).collect();
    // A component has the kind and the targets of the parameter that defines it.
    let definitions: HashMap<&str, (ParameterKind, &Targets)> =
        rows.iter().map(|row| (row.id, (row.kind, &row.targets))).collect();
    let mut by_base: HashMap<&str, Vec<&Row<'_>>> = HashMap::new();
    for row in &rows {
        by_base.entry(row.base).or_default().push(row);
    }
    let mut registry = Registry::with_types(resource_types().map(TypeDefinition::name));
    let names: Vec<Arc<str>> = registry.by_type.keys().cloned().collect();
    for name in names {
        let bases = [&*name, "Resource", if is_domain(&name) { "DomainResource" } else { "" }];
        for row in bases.iter().filter_map(|base| by_base.get(base)).flatten() {
            registry.insert(parameter(row, &name, &definitions));
        }
    }
    registry
}

/// Whether a resource type is a DomainResource.
pub(super) fn is_domain(name: &str) -> bool {
    TypeDefinition::named(name).is_some_and(|found| found.is_a("DomainResource"))
}

fn row(line: &str) -> Option<Row<'_>> {
    let mut fields = line.split('\t');
    Some(Row {
        base: fields.next()?,
        code: fields.next()?.into(),
        id: fields.next()?,
        kind: ParameterKind::of_code(fields.next()?)?,
        expression: fields.next()?,
        targets: match fields.next()? {
            "" => Targets::none(),
            "*" => Targets::Any,
            types => Targets::Types(types.split(' ').map(Box::from).collect()),
        },
        components: fields.next()?,
    })
}

fn parameter(
    row: &Row<'_>,
    resource_type: &Arc<str>,
    definitions: &HashMap<&str, (ParameterKind, &Targets)>,
) -> Parameter {
    let components = row.components.split(';').filter_map(|component| {
        let (id, expression) = component.split_once('@')?;
        // R4 names them the other way round than their expressions are: the code comes first.
        let id = match (row.id, id) {
            ("DocumentReference-relationship", "DocumentReference-relatesto") => {
                "DocumentReference-relation"
            }
            ("DocumentReference-relationship", _) => "DocumentReference-relatesto",
            _ => id,
        };
        let (kind, targets) = *definitions.get(id)?;
        Some(Component {
            id: ParameterId(0),
            kind,
            definition: format!("{URL}{id}").into(),
            // The definition of `code-value-date` names no type of FHIR.
            expression: expression.replace("as(DateTime)", "as(dateTime)").into(),
            targets: targets.clone(),
        })
    });
    Parameter {
        id: ParameterId(0),
        resource_type: Arc::clone(resource_type),
        code: Arc::clone(&row.code),
        url: format!("{URL}{}", row.id).into(),
        kind: row.kind,
        expression: row.expression.into(),
        // The one reference without targets is a canonical.
        targets: if row.kind == ParameterKind::Reference && row.targets == Targets::none() {
            Targets::Any
        } else {
            row.targets.clone()
        },
        components: components.collect(),
        multiple_or: true,
        multiple_and: true,
        comparators: None,
        modifiers: None,
        is_custom: false,
        rules: OnceLock::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_read() {
        let lines = TABLE.lines().filter(|line| !line.starts_with('#'));
        assert_eq!(lines.clone().filter_map(row).count(), lines.count());
        for line in TABLE.lines().filter(|line| !line.starts_with('#')).filter_map(row) {
            assert_eq!(line.kind == ParameterKind::Composite, !line.components.is_empty());
        }
    }

    #[test]
    fn every_composite_has_all_its_components() {
        let registry = read();
        for name in registry.resource_types() {
            for parameter in registry.parameters(name) {
                if parameter.kind() == ParameterKind::Composite {
                    let expected = if parameter.code().ends_with("-coordinate") { 3 } else { 2 };
                    assert_eq!(
                        parameter.components().len(),
                        expected,
                        "{name} {}",
                        parameter.code()
                    );
                }
            }
        }
    }
}
