//! What is shown, and how: `_sort`, `_include`, `_count`, `_summary`… (FHIR R4 §3.1.1.5).

use super::super::entry::{ParameterId, ParameterKind};
use super::super::query::{Include, IncludeDirection, SortBy, SortKey, Summary, Total};
use super::super::registry::{Parameter, Registry};
use super::Reader;
use super::problem::{Problem, indexing, invalid, not_supported, quoted, too_costly};

/// How many keys an order may have.
const SORT_KEYS_MAX: usize = 8;
/// How many `_include` and `_revinclude` a search may have.
const INCLUDES_MAX: usize = 200;
/// How many elements may be named.
const ELEMENTS_MAX: usize = 200;

/// Whether a parameter says what is shown rather than what must hold.
pub(super) fn is_about_results(name: &str) -> bool {
    matches!(
        name.split(':').next().unwrap_or_default(),
        "_sort" | "_count" | "_include" | "_revinclude" | "_summary" | "_total" | "_elements"
    ) || matches!(name, "_contained" | "_score")
}

impl Reader<'_> {
    pub(super) fn result_parameter(&mut self, name: &str, value: &str) -> Result<(), Problem> {
        let (code, modifier) = match name.split_once(':') {
            Some((code, modifier)) => (code, Some(modifier)),
            None => (name, None),
        };
        let direction = match code {
            "_include" => Some(IncludeDirection::Forward),
            "_revinclude" => Some(IncludeDirection::Reverse),
            _ => None,
        };
        if let Some(direction) = direction {
            let iterate = match modifier {
                None => false,
                // `recurse` is what earlier versions of FHIR called it.
                Some("iterate" | "recurse") => true,
                Some(modifier) => {
                    return Err(not_supported(format!(
                        "`{code}` has no modifier {}, only `:iterate`",
                        quoted(modifier)
                    )));
                }
            };
            return value.split(',').try_for_each(|one| self.include(direction, iterate, one));
        }
        if let Some(modifier) = modifier {
            return Err(not_supported(format!("`{code}` has no modifier {}", quoted(modifier))));
        }
        let search = &mut self.parsed.search;
        match code {
            "_sort" => return self.sort(value),
            "_count" => {
                let count = value.parse::<u32>();
                search.count = Some(count.map_err(|_| invalid("expected a number, 0 or more"))?);
            }
            "_summary" => {
                search.summary = match value {
                    "true" => Summary::True,
                    "false" => Summary::False,
                    "text" => Summary::Text,
                    "data" => Summary::Data,
                    "count" => Summary::Count,
                    _ => return Err(invalid("expected true, false, text, data or count")),
                }
            }
            "_total" => {
                search.total = match value {
                    "none" => Total::None,
                    "estimate" => Total::Estimate,
                    "accurate" => Total::Accurate,
                    _ => return Err(invalid("expected none, estimate or accurate")),
                }
            }
            "_elements" => return self.elements(value),
            "_contained" if value == "false" => {}
            _ => return Err(not_supported("is not supported")),
        }
        Ok(())
    }

    fn elements(&mut self, value: &str) -> Result<(), Problem> {
        let elements = &mut self.parsed.search.elements;
        for name in value.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            if !name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
                return Err(invalid("expected names of elements at the root of the resource"));
            }
            if elements.len() == ELEMENTS_MAX {
                return Err(too_costly(format!("takes at most {ELEMENTS_MAX} elements")));
            }
            if !elements.iter().any(|known| known == name) {
                elements.push(name.to_owned());
            }
        }
        Ok(())
    }

    fn sort(&mut self, value: &str) -> Result<(), Problem> {
        let types = self.searched_types();
        for key in value.split(',').map(str::trim).filter(|key| !key.is_empty()) {
            if self.parsed.search.sort.len() == SORT_KEYS_MAX {
                return Err(too_costly(format!("takes at most {SORT_KEYS_MAX} keys")));
            }
            let (descending, code) = match key.strip_prefix('-') {
                Some(code) => (true, code),
                None => (false, key),
            };
            let by = match code {
                "_id" => SortBy::Id,
                "_lastUpdated" => SortBy::LastUpdated,
                _ => self.sort_by(&types, code)?,
            };
            self.parsed.search.sort.push(SortKey { by, descending });
        }
        Ok(())
    }

    fn sort_by(&self, types: &[String], code: &str) -> Result<SortBy, Problem> {
        if types.iter().any(|name| self.registry.is_being_indexed(name, code)) {
            return Err(indexing(code));
        }
        let mut ids = Vec::new();
        for parameter in types.iter().filter_map(|name| self.registry.find(name, code)) {
            let sortable =
                !matches!(parameter.kind(), ParameterKind::Composite | ParameterKind::Special)
                    && !parameter.expression().is_empty();
            if !sortable {
                return Err(not_supported(format!("results can't be sorted by `{code}`")));
            }
            ids.push(parameter.id());
        }
        if ids.is_empty() {
            return Err(match code {
                "_score" => not_supported("there is no relevance to sort by"),
                _ => invalid(format!(
                    "no searched type has a search parameter {} to sort by",
                    quoted(code)
                )),
            });
        }
        Ok(SortBy::Parameter(ids))
    }

    /// `SOURCE:PARAMETER`, `SOURCE:PARAMETER:TARGET`, `SOURCE:*` or `*`.
    fn include(
        &mut self,
        direction: IncludeDirection,
        iterate: bool,
        value: &str,
    ) -> Result<(), Problem> {
        let mut parts = value.split(':');
        let (source, code, target) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
        if parts.next().is_some() {
            return Err(form());
        }
        let target = target.filter(|target| !target.is_empty() && *target != "*");
        if let Some(target) = target
            && !self.registry.is_resource_type(target)
        {
            return Err(invalid(format!("{} is no resource type of FHIR R4", quoted(target))));
        }
        let searched = self.searched_types();
        if source == "*" {
            let sources = match direction {
                IncludeDirection::Forward if !iterate => searched.clone(),
                _ => self.registry.resource_types().map(str::to_owned).collect(),
            };
            for source in &sources {
                let references = self.references(source, direction, iterate, &searched, target);
                self.push_include(direction, iterate, source, references, target)?;
            }
            return Ok(());
        }
        if !self.registry.is_resource_type(source) {
            return Err(invalid(format!("{} is no resource type of FHIR R4", quoted(source))));
        }
        let references = match code {
            None | Some("") => return Err(form()),
            Some("*") => self.references(source, direction, iterate, &searched, target),
            Some(code) => vec![reference(self.registry, source, code, target)?.id()],
        };
        self.push_include(direction, iterate, source, references, target)
    }

    /// All references of a type that can lead where the include looks.
    fn references(
        &self,
        source: &str,
        direction: IncludeDirection,
        iterate: bool,
        searched: &[String],
        target: Option<&str>,
    ) -> Vec<ParameterId> {
        self.registry
            .parameters(source)
            .filter(|parameter| parameter.kind() == ParameterKind::Reference)
            .filter(|parameter| target.is_none_or(|target| parameter.targets().allows(target)))
            .filter(|parameter| {
                direction == IncludeDirection::Forward
                    || iterate
                    || searched.iter().any(|searched| parameter.targets().allows(searched))
            })
            .map(Parameter::id)
            .collect()
    }

    fn push_include(
        &mut self,
        direction: IncludeDirection,
        iterate: bool,
        source: &str,
        references: Vec<ParameterId>,
        target: Option<&str>,
    ) -> Result<(), Problem> {
        if references.is_empty() {
            return Ok(());
        }
        let includes = &mut self.parsed.search.includes;
        if includes.len() == INCLUDES_MAX {
            return Err(too_costly(format!(
                "a search has at most {INCLUDES_MAX} includes, those of `*` counted for each type"
            )));
        }
        includes.push(Include {
            direction,
            iterate,
            source: source.to_owned(),
            references,
            target: target.map(str::to_owned),
        });
        Ok(())
    }
}

fn form() -> Problem {
    invalid(
        "expected `TYPE:PARAMETER`, `TYPE:PARAMETER:TARGET` or `*`, as in `Observation:subject`",
    )
}

fn reference<'r>(
    registry: &'r Registry,
    source: &str,
    code: &str,
    target: Option<&str>,
) -> Result<&'r Parameter, Problem> {
    if registry.is_being_indexed(source, code) {
        return Err(indexing(code));
    }
    let parameter = registry
        .find(source, code)
        .filter(|parameter| parameter.kind() == ParameterKind::Reference)
        .ok_or_else(|| invalid(format!("{source} has no reference parameter {}", quoted(code))))?;
    match target {
        Some(target) if !parameter.targets().allows(target) => {
            Err(invalid(format!("`{code}` of {source} does not refer to {target}")))
        }
        _ => Ok(parameter),
    }
}
