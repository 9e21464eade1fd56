//! What scopes mean here: types that exist, and filters that the datastore can answer.
//!
//! Pure. A scope that names no type of R4, or a search parameter that this server does not have (any more), gives
//! nothing.

use std::sync::Arc;

use pipehat_resource::json::parse;
use pipehat_resource::search::{Filter, Handling, Registry, Search, SearchOptions};

use super::scope::{Permissions, ScopeError, SmartScope};
use crate::fhir::{Permission, Scope};

/// Reads scopes as people write them, and says what they give.
#[derive(Debug, Clone)]
pub struct ScopeReader {
    registry: Arc<Registry>,
}

impl Default for ScopeReader {
    /// By R4's own search parameters.
    fn default() -> Self {
        Self { registry: Registry::standard() }
    }
}

impl ScopeReader {
    /// By those of SearchParameter resources, too: lines of JSON, as an export has them.
    pub fn with_parameters(lines: &[u8]) -> Self {
        let mut registry = Registry::clone(&Registry::standard());
        for line in lines.split(|byte| *byte == b'\n') {
            let Ok(definition) = parse(line) else { continue };
            if definition.text("status") == Some("active")
                && let Ok(more) = registry.with(&definition)
            {
                registry = more;
            }
        }
        Self { registry: Arc::new(registry) }
    }

    /// Reads a scope and checks that it gives something.
    ///
    /// # Errors
    /// When it is none, or gives nothing.
    pub fn read(&self, text: &str) -> Result<SmartScope, ScopeProblem> {
        let scope = SmartScope::parse(text)?;
        check_scope(&scope, &self.registry)?;
        Ok(scope)
    }

    /// The types that a scope for every type is about, where its filter leaves others out.
    pub fn narrowed_to(&self, scope: &SmartScope) -> Option<Vec<String>> {
        if scope.resource_type().is_some() || scope.query().is_empty() {
            return None;
        }
        let all: Vec<&str> = self.registry.resource_types().collect();
        let has = |name: &&&str| filter(scope, name, &self.registry, "").is_ok();
        let types: Vec<String> = all.iter().filter(has).map(ToString::to_string).collect();
        (types.len() < all.len()).then_some(types)
    }
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

/// What scopes of a bot give; what is none, or asks by what is not there, gives nothing.
pub(crate) fn scopes_of(texts: &[String], registry: &Registry, base_url: &str) -> Arc<[Scope]> {
    let scopes: Vec<SmartScope> =
        texts.iter().filter_map(|text| SmartScope::parse(text).ok()).collect();
    granted(&scopes, registry, base_url).into()
}

fn permissions(set: Permissions) -> Vec<Permission> {
    set.letters()
        .map(|letter| match letter {
            'c' => Permission::Create,
            'r' => Permission::Read,
            'u' => Permission::Update,
            'd' => Permission::Delete,
            'x' => Permission::Execute,
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
    fn parameters_of_ones_own_narrow_scopes() {
        let own = |status: &str| {
            format!(
                r#"{{"resourceType":"SearchParameter","url":"http://example.org/own","status":"{status}","code":"own","base":["Patient","Person"],"type":"token","expression":"Patient.active | Person.active"}}"#
            )
        };
        let text = "system/Patient.rs?own=true";
        assert!(ScopeReader::default().read(text).is_err());
        assert!(ScopeReader::with_parameters(own("draft").as_bytes()).read(text).is_err());
        let lines = format!("{{}}\n{}\n", own("active"));
        let reader = ScopeReader::with_parameters(lines.as_bytes());
        let scope = reader.read(text).unwrap();
        assert_eq!(reader.narrowed_to(&scope), None);
        assert_eq!(granted(std::slice::from_ref(&scope), &reader.registry, "").len(), 1);
        assert!(granted(&[scope], &Registry::standard(), "").is_empty(), "it is gone");
        let narrowed = reader.narrowed_to(&reader.read("system/*.rs?own=true").unwrap());
        assert_eq!(narrowed, Some(vec!["Patient".to_owned(), "Person".to_owned()]));
        assert_eq!(reader.narrowed_to(&reader.read("system/*.rs?_tag=x").unwrap()), None);
        assert_eq!(reader.narrowed_to(&reader.read("system/*.rs").unwrap()), None);
    }

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
