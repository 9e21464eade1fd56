//! What scopes mean here: types that exist, and filters that the datastore can answer.
//!
//! Pure. A scope that names no type of R4, or a search parameter that this server does not have (any more), gives
//! nothing.

use pipehat_resource::search::{Filter, Handling, Registry, Search, SearchOptions};

use super::scope::{Permissions, ScopeError, SmartScope};
use crate::fhir::{Permission, Scope};

/// Reads a scope and checks that it gives something, by R4's own search parameters.
///
/// # Errors
/// When it is none, or gives nothing.
pub fn read_scope(text: &str) -> Result<SmartScope, ScopeProblem> {
    let scope = SmartScope::parse(text)?;
    check_scope(&scope, &Registry::standard())?;
    Ok(scope)
}

/// Why a scope gives nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScopeProblem {
    /// No scope at all.
    #[error(transparent)]
    Form(#[from] ScopeError),
    /// No such type.
    #[error("R4 has no resource type `{0}`")]
    Type(String),
    /// No such parameter, or a value it can't have.
    #[error("the filter can't be used: {0}")]
    Filter(String),
}

/// Checks that a scope gives something.
fn check_scope(scope: &SmartScope, registry: &Registry) -> Result<(), ScopeProblem> {
    match scope.resource_type() {
        Some(name) if !registry.is_resource_type(name) => Err(ScopeProblem::Type(name.to_owned())),
        Some(name) => filter(scope, name, registry, "").map(drop),
        None => {
            // Of every type those that have the parameters.
            let mut problem = None;
            for name in registry.resource_types() {
                match filter(scope, name, registry, "") {
                    Ok(_) => return Ok(()),
                    Err(error) => problem = Some(error),
                }
            }
            problem.map_or(Ok(()), Err)
        }
    }
}

/// What scopes give, as the API asks for it.
pub(super) fn granted(scopes: &[SmartScope], registry: &Registry, base_url: &str) -> Vec<Scope> {
    let mut all = Vec::with_capacity(scopes.len());
    for scope in scopes {
        let may = permissions(scope.permissions());
        let one = |resource_type: Option<&str>, filter: Option<Filter>| Scope {
            resource_type: resource_type.map(str::to_owned),
            may: may.clone(),
            filter,
        };
        match (scope.resource_type(), scope.query()) {
            (None, []) => all.push(one(None, None)),
            (Some(name), _) if !registry.is_resource_type(name) => {}
            (Some(name), _) => {
                if let Ok(filter) = filter(scope, name, registry, base_url) {
                    all.push(one(Some(name), filter));
                }
            }
            (None, _) => {
                for name in registry.resource_types() {
                    if let Ok(filter) = filter(scope, name, registry, base_url) {
                        all.push(one(Some(name), filter));
                    }
                }
            }
        }
    }
    all
}

fn permissions(set: Permissions) -> Vec<Permission> {
    set.letters()
        .map(|letter| match letter {
            'c' => Permission::Create,
            'r' => Permission::Read,
            'u' => Permission::Update,
            'd' => Permission::Delete,
            _ => Permission::Search,
        })
        .collect()
}

/// The filter of a scope for one type; none where the scope has no parameters.
fn filter(
    scope: &SmartScope,
    resource_type: &str,
    registry: &Registry,
    base_url: &str,
) -> Result<Option<Filter>, ScopeProblem> {
    if scope.query().is_empty() {
        return Ok(None);
    }
    let options = SearchOptions {
        base_url,
        handling: Handling::Strict,
        only_criteria: true,
        ..SearchOptions::default()
    };
    let parsed = Search::parse(&[resource_type], scope.query(), registry, &options);
    match parsed {
        Err(problems) => {
            let text = problems.first().map(ToString::to_string).unwrap_or_default();
            Err(ScopeProblem::Filter(text))
        }
        // What was not read as a condition would leave the scope without a part of its filter.
        Ok(parsed) if parsed.search.filters.len() < scope.query().len() => {
            Err(ScopeProblem::Filter("each part must be a condition on the resource".to_owned()))
        }
        Ok(parsed) => Ok(Some(Filter::All(parsed.search.filters))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_become_what_the_api_asks() {
        let registry = Registry::standard();
        let check = |text: &str, expected: Result<(usize, usize), &str>| {
            let scope = SmartScope::parse(text).unwrap();
            let checked = check_scope(&scope, &registry).map_err(|error| error.to_string());
            let granted = granted(&[scope], &registry, "");
            let filtered = granted.iter().filter(|scope| scope.filter.is_some()).count();
            match (checked, expected) {
                (Ok(()), Ok(expected)) => assert_eq!((granted.len(), filtered), expected, "{text}"),
                (Err(error), Err(expected)) => {
                    assert!(error.contains(expected), "{text}: {error}");
                    assert!(granted.is_empty(), "{text} gives nothing");
                }
                (checked, _) => panic!("{text}: {checked:?}"),
            }
        };
        let types = registry.resource_types().count();
        check("system/*.*", Ok((1, 0)));
        check("system/Patient.rs", Ok((1, 0)));
        check("system/Patient.rs?organization=Organization/1", Ok((1, 1)));
        check("system/Patient.rs?organization=Organization/1&active=true", Ok((1, 1)));
        check("system/Observation.rs?subject:Patient.organization=Organization/1", Ok((1, 1)));
        check("system/*.rs?_tag=x", Ok((types, types)));
        check("system/Patent.rs", Err("no resource type `Patent`"));
        check("system/Patient.rs?organisation=1", Err("filter"));
        check("system/Patient.rs?_count=1", Err("filter"));
        check("system/Patient.rs?_sort=name", Err("filter"));
        check("system/*.rs?nothing=1", Err("filter"));
        let with_patient = registry
            .resource_types()
            .filter(|name| registry.find(name, "patient").is_some())
            .count();
        assert!(with_patient > 30);
        check("system/*.rs?patient=Patient/1", Ok((with_patient, with_patient)));
    }
}
