//! Reading a search: pairs of a query become a [`Search`], or problems that say what to do.
//!
//! Guarantees: any query is answered in bounded time and memory, and a problem never shows a value. What is
//! ignored (unknown parameters where handling is lenient) is not among what was understood, so that the link
//! to itself that a server gives says only what counted (FHIR R4 §3.1.1.2).

mod criteria;
mod escape;
mod expression;
mod full_text;
mod problem;
mod results;
mod values;

pub use escape::{query_pairs, query_text, query_value};
pub use problem::{ProblemKind, SearchProblem};
pub(super) use values::relative_reference;

use criteria::Ask;
use problem::{Problem, empty, indexing, invalid, not_supported, too_costly, unknown};

#[cfg(test)]
mod tests;

use super::query::{Filter, Search};
use super::registry::{Parameter, Registry};
use crate::definitions::Compartment;

/// How many parameters a search may have.
pub const PARAMETERS_MAX: usize = 200;
/// How long the name of a parameter may be, in bytes.
pub const NAME_BYTES_MAX: usize = 500;
/// How long the value of a parameter may be, in bytes.
pub const VALUE_BYTES_MAX: usize = 100_000;
/// How many values a parameter may have with commas.
pub const ALTERNATIVES_MAX: usize = 2_000;
/// How many steps a chain may have, `_has` included.
pub const CHAIN_STEPS_MAX: usize = 8;
/// How many conditions a search may have when its chains are followed to every type they may lead to.
pub const CONDITIONS_MAX: usize = 1_000;
/// How many values a search may have, counted for each type that it searches or its chains lead to. Each may be up to
/// four values of a statement, twice; SQLite takes 32,766.
pub const VALUES_MAX: usize = 4_000;
/// How many steps are tried, over all types that chains may lead to.
const TRIED_STEPS_MAX: usize = 20_000;

/// What a search is read with.
#[derive(Debug, Clone, Copy, Default)]
pub struct SearchOptions<'a> {
    /// The server's own address, without a slash at its end: a reference under it is one to a resource here.
    pub base_url: &'a str,
    /// What becomes of unknown parameters.
    pub handling: Handling,
    /// The time, in microseconds since 1970 (UTC): `ap` widens a date by a tenth of how far away it is.
    pub now: i64,
    /// A compartment to search in: the type and the id of its resource.
    pub compartment: Option<(&'a str, &'a str)>,
    /// Only what must hold is allowed, nothing about what is shown: in conditional interactions and references, and
    /// in the criteria of subscriptions.
    pub only_criteria: bool,
}

/// `Prefer: handling=…`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Handling {
    /// Unknown and empty parameters are errors.
    Strict,
    /// They are ignored, with a warning.
    #[default]
    Lenient,
}

/// A search that was read.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ParsedSearch {
    /// What it asks for.
    pub search: Search,
    /// The parameters that count, as they were given, in their order.
    pub understood: Vec<(String, String)>,
    /// What was ignored, and why.
    pub warnings: Vec<SearchProblem>,
}

impl Search {
    /// Reads a search of `resource_types` (none: of all, or those of `_type`). `_format` and `_pretty`, which are no
    /// matter of the search, are passed over.
    ///
    /// # Errors
    /// Every problem that handling does not let pass.
    pub fn parse(
        resource_types: &[&str],
        query: &[(String, String)],
        registry: &Registry,
        options: &SearchOptions<'_>,
    ) -> Result<ParsedSearch, Vec<SearchProblem>> {
        let mut reader = Reader::new(registry, options);
        reader.read(resource_types, query);
        if reader.problems.is_empty() { Ok(reader.parsed) } else { Err(reader.problems) }
    }

    /// Reads a conditional reference: `Patient?identifier=…`, its query percent-encoded as in a URL. `None` where
    /// the reference is of another form.
    pub fn parse_conditional_reference(
        reference: &str,
        registry: &Registry,
        options: &SearchOptions<'_>,
    ) -> Option<Result<ParsedSearch, Vec<SearchProblem>>> {
        let (resource_type, query) = reference.split_once('?')?;
        if !registry.is_resource_type(resource_type) {
            return None;
        }
        let options = SearchOptions { handling: Handling::Strict, only_criteria: true, ..*options };
        Some(Self::parse(&[resource_type], &query_pairs(query), registry, &options))
    }
}

struct Reader<'a> {
    registry: &'a Registry,
    options: &'a SearchOptions<'a>,
    parsed: ParsedSearch,
    problems: Vec<SearchProblem>,
    /// How many conditions may still be made.
    conditions_left: usize,
    /// How many steps of chains may still be tried.
    steps_left: usize,
    /// How many values may still come.
    values_left: usize,
}

impl<'a> Reader<'a> {
    fn new(registry: &'a Registry, options: &'a SearchOptions<'a>) -> Self {
        Self {
            registry,
            options,
            parsed: ParsedSearch::default(),
            problems: Vec::new(),
            conditions_left: CONDITIONS_MAX,
            steps_left: TRIED_STEPS_MAX,
            values_left: VALUES_MAX,
        }
    }

    fn read(&mut self, resource_types: &[&str], query: &[(String, String)]) {
        if query.len() > PARAMETERS_MAX {
            let problem = too_costly(format!("a search has at most {PARAMETERS_MAX} parameters"));
            self.problems.push(problem.of("", PARAMETERS_MAX + 1));
            return;
        }
        self.types(resource_types, query);
        self.compartment();
        for (at, (name, value)) in query.iter().enumerate() {
            match self.pair(name, value, &query[..at]) {
                Ok(true) => self.parsed.understood.push((name.clone(), value.clone())),
                Ok(false) => {}
                Err(problem) => {
                    let passes = matches!(problem.kind, ProblemKind::Unknown | ProblemKind::Empty)
                        && self.options.handling == Handling::Lenient;
                    let problem = problem.of(name, at + 1);
                    if passes {
                        self.parsed.warnings.push(problem);
                    } else {
                        self.problems.push(problem);
                    }
                }
            }
        }
    }

    /// The types searched: what the other parameters mean depends on them.
    fn types(&mut self, resource_types: &[&str], query: &[(String, String)]) {
        self.parsed.search.resource_types =
            resource_types.iter().map(|name| (*name).to_owned()).collect();
        for name in resource_types {
            if !self.registry.is_resource_type(name) {
                let problem = invalid("is no resource type of FHIR R4");
                self.problems.push(problem.of(name, 0));
            }
        }
        for (at, (name, value)) in query.iter().enumerate() {
            if name != "_type" || value.is_empty() {
                continue;
            }
            match self.named_types(value) {
                Err(problem) => self.problems.push(problem.of(name, at + 1)),
                Ok(mut types) => {
                    let known = &self.parsed.search.resource_types;
                    if !known.is_empty() {
                        types.retain(|name| known.contains(name));
                    }
                    if types.is_empty() {
                        let problem = invalid("none of these types is searched here");
                        self.problems.push(problem.of(name, at + 1));
                    } else {
                        self.parsed.search.resource_types = types;
                    }
                }
            }
        }
    }

    fn named_types(&self, value: &str) -> Result<Vec<String>, Problem> {
        let mut types: Vec<String> = Vec::new();
        for (at, name) in value.split(',').map(str::trim).enumerate() {
            if !self.registry.is_resource_type(name) {
                return Err(invalid(format!("value {} is no resource type of FHIR R4", at + 1)));
            }
            if !types.iter().any(|known| known == name) {
                types.push(name.to_owned());
            }
        }
        Ok(types)
    }

    /// One parameter; false where it is no matter of the search.
    fn pair(
        &mut self,
        name: &str,
        value: &str,
        before: &[(String, String)],
    ) -> Result<bool, Problem> {
        if name.len() > NAME_BYTES_MAX {
            return Err(too_costly(format!("a name has at most {NAME_BYTES_MAX} bytes")));
        }
        if value.len() > VALUE_BYTES_MAX {
            return Err(too_costly(format!("a value has at most {VALUE_BYTES_MAX} bytes")));
        }
        match name {
            "_format" | "_pretty" => return Ok(false),
            "" if value.is_empty() => return Ok(false),
            "" => return Err(unknown("has no name before its `=`")),
            _ if value.is_empty() => return Err(empty()),
            "_type" => return Ok(true),
            _ => {}
        }
        let once = matches!(name, "_count" | "_total" | "_summary");
        if once && before.iter().any(|(other, _)| other == name) {
            return Err(invalid("may come once only"));
        }
        if results::is_about_results(name) {
            if self.options.only_criteria {
                return Err(not_supported("is not allowed here: only what must hold is"));
            }
            self.result_parameter(name, value)?;
            return Ok(true);
        }
        let types = self.searched_types();
        let types: Vec<&str> = types.iter().map(String::as_str).collect();
        self.check_repeated(&types, name, before)?;
        let filter = self.filter(&types, name, Ask::Value(value), 0)?;
        self.parsed.search.filters.push(filter);
        Ok(true)
    }

    fn check_repeated(
        &self,
        types: &[&str],
        name: &str,
        before: &[(String, String)],
    ) -> Result<(), Problem> {
        let code = |name: &str| name.split(':').next().unwrap_or_default().to_owned();
        let own = code(name);
        let once = types
            .iter()
            .filter_map(|resource_type| self.registry.find(resource_type, &own))
            .any(|parameter| !parameter.multiple_and());
        if once && before.iter().any(|(other, _)| code(other) == own) {
            return Err(invalid("may come once only, as its definition says"));
        }
        Ok(())
    }

    /// The searched types; all where none was named.
    fn searched_types(&self) -> Vec<String> {
        if self.parsed.search.resource_types.is_empty() {
            self.registry.resource_types().map(str::to_owned).collect()
        } else {
            self.parsed.search.resource_types.clone()
        }
    }

    fn compartment(&mut self) {
        let Some((resource_type, id)) = self.options.compartment else { return };
        let Some(compartment) = Compartment::named(resource_type) else {
            let problem = not_supported(
                "has no compartment; Patient, Encounter, Practitioner, RelatedPerson and Device do",
            );
            self.problems.push(problem.of(resource_type, 0));
            return;
        };
        let searched = &self.parsed.search.resource_types;
        let members: Vec<(&str, &[&str])> = compartment
            .members()
            .filter(|(name, _)| {
                searched.is_empty() || searched.iter().any(|searched| searched == name)
            })
            .collect();
        if members.is_empty() && !searched.iter().any(|searched| searched == resource_type) {
            let problem = invalid(format!(
                "resources of this type are never in the compartment of a {resource_type}"
            ));
            self.problems.push(problem.of(searched.first().map_or("", String::as_str), 0));
            return;
        }
        let parameters = members
            .iter()
            .flat_map(|(name, codes)| {
                codes.iter().filter_map(|code| self.registry.find(name, code))
            })
            .map(Parameter::id)
            .collect();
        if searched.is_empty() {
            // Of all types, only its members' can be there, and the resource itself.
            let mut types: Vec<String> =
                members.iter().map(|(name, _)| (*name).to_owned()).collect();
            if !types.iter().any(|name| name == resource_type) {
                types.push(resource_type.to_owned());
            }
            self.parsed.search.resource_types = types;
        }
        self.parsed.search.filters.push(Filter::Compartment {
            resource_type: resource_type.to_owned(),
            id: id.to_owned(),
            parameters,
        });
    }

    /// Counts conditions, so that chains over every type stay bounded.
    fn spend(&mut self) -> Result<(), Problem> {
        self.conditions_left = self.conditions_left.checked_sub(1).ok_or_else(too_many)?;
        Ok(())
    }

    /// Counts steps, also of those that lead to no condition.
    fn step(&mut self) -> Result<(), Problem> {
        self.steps_left = self.steps_left.checked_sub(1).ok_or_else(too_many)?;
        Ok(())
    }

    fn unknown_parameter(&self, types: &[&str], code: &str) -> Problem {
        if types.iter().any(|name| self.registry.is_being_indexed(name, code)) {
            return indexing(code);
        }
        match types {
            [only] => unknown(format!(
                "{only} has no search parameter {}; the CapabilityStatement lists those it has",
                problem::quoted(code)
            )),
            _ => unknown(format!(
                "not every searched type has a search parameter {}; name types that have it with `_type`",
                problem::quoted(code)
            )),
        }
    }
}

fn too_many() -> Problem {
    too_costly(format!(
        "the search has more than {CONDITIONS_MAX} conditions; name the types its chains lead to, as in \
         `subject:Patient.name`"
    ))
}
