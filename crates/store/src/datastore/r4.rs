//! The rules of FHIR R4, with the search parameters of a registry.

use std::sync::Arc;

use jiff::Timestamp;
use pipehat_resource::definitions::{Element, ElementType, TypeDefinition};
use pipehat_resource::json::Value;
use pipehat_resource::outcome::{Issue, operation_outcome};
use pipehat_resource::patch::{FhirPathPatch, Patch, check_identity};
use pipehat_resource::search::{
    IndexEntry, Parameter, ParameterKind, Registry, Search, SearchOptions, extract, fold,
};
use pipehat_resource::validate::{Checks, validate};

use super::interaction::Refusal;
use super::rules::{ParameterNames, Rules};

/// The rules of FHIR R4.
pub struct R4Rules {
    registry: Arc<Registry>,
    /// The parameters that the index follows whole.
    usable: Arc<Registry>,
    base_url: String,
}

impl R4Rules {
    /// With the parameters of this registry. `base_url` is the server's own address, without a slash at its end:
    /// what stands under it is here.
    pub fn new(registry: Arc<Registry>, base_url: &str) -> Self {
        Self { usable: Arc::clone(&registry), registry, base_url: base_url.to_owned() }
    }

    /// Conditions may ask by these parameters only: the index does not follow the others yet.
    #[must_use]
    pub fn asked_by(self, usable: Arc<Registry>) -> Self {
        Self { usable, ..self }
    }

    /// Whether resources of a type are known by canonical addresses (FHIR R4 §2.3.0.2).
    fn has_canonicals(&self, resource_type: &str) -> bool {
        let kind = |code| self.registry.find(resource_type, code).map(Parameter::kind);
        kind("url") == Some(ParameterKind::Uri) && kind("version") == Some(ParameterKind::Token)
    }
}

/// Whether an expression may lead to canonical addresses, as far as it is a plain path.
fn is_canonical(expression: &str) -> bool {
    expression.split('|').any(|path| {
        let mut plain = String::with_capacity(path.len());
        let mut depth = 0_usize;
        for character in path.trim().trim_matches(['(', ')']).chars() {
            match character {
                '(' => depth = depth.saturating_add(1),
                ')' => depth = depth.saturating_sub(1),
                _ if depth == 0 => plain.push(character),
                _ => {}
            }
        }
        let plain = plain.split(' ').next().unwrap_or_default();
        let mut steps = plain.split('.').filter(|step| !matches!(*step, "where" | "as" | "ofType"));
        let mut types: Vec<&TypeDefinition> =
            steps.next().and_then(TypeDefinition::named).into_iter().collect();
        for step in steps {
            let elements = types.iter().filter_map(|own| own.element_named(step));
            types = elements.flat_map(Element::types).map(ElementType::definition).collect();
        }
        types.iter().any(|own| own.name() == "canonical")
    })
}

impl Rules for R4Rules {
    fn parameters(&self) -> Vec<ParameterNames> {
        self.registry
            .ids()
            .filter_map(|id| {
                let names = self.registry.names(id)?;
                let kind = self.registry.kind(id)?;
                let parameter = self.registry.parameter(id)?;
                let canonicals = match kind {
                    ParameterKind::Reference if is_canonical(parameter.expression()) => self
                        .registry
                        .resource_types()
                        .filter(|name| parameter.targets().allows(name))
                        .filter(|name| self.has_canonicals(name))
                        .map(str::to_owned)
                        .collect(),
                    _ => Vec::new(),
                };
                Some(ParameterNames {
                    id,
                    resource_type: names.resource_type.as_ref().to_owned(),
                    code: names.code,
                    kind,
                    canonicals,
                })
            })
            .collect()
    }

    fn extract(&self, resource: &Value) -> Vec<IndexEntry> {
        // What a resource is found by does not depend on when it is looked at, so that the index can be checked.
        extract(resource, &self.registry, &self.base_url, 0)
    }

    fn fold(&self, text: &str) -> String {
        fold(text)
    }

    fn condition(&self, text: &str, now: i64) -> Option<Search> {
        let options = SearchOptions { base_url: &self.base_url, now, ..SearchOptions::default() };
        let parsed = Search::parse_conditional_reference(text, &self.usable, &options)?;
        // Without criteria everything would match.
        Some(parsed.ok()?.search).filter(|search| !search.filters.is_empty())
    }

    fn patch(&self, resource: &Value, patch: &Value, now: i64) -> Result<Value, Refusal> {
        let mut patched = resource.clone();
        let applied = if patch.resource_type() == Some("Parameters") {
            let now = Timestamp::from_microsecond(now).unwrap_or_default();
            FhirPathPatch::read(patch).and_then(|patch| patch.apply(&mut patched, now))
        } else {
            Patch::read(patch).and_then(|patch| patch.apply(&mut patched))
        };
        applied
            .and_then(|()| check_identity(resource, &patched))
            .map_err(|error| Refusal::Patch(error.to_string()))?;
        let issues = validate(&patched, Checks::All);
        if issues.iter().any(Issue::is_error) {
            return Err(Refusal::Invalid(Box::new(operation_outcome(&issues))));
        }
        Ok(patched)
    }

    fn fingerprint(&self) -> String {
        match self.base_url.as_str() {
            "" => self.registry.fingerprint(),
            // References to the server's own address are indexed as such.
            base => format!("{} {base}", self.registry.fingerprint()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_canonical;

    #[test]
    fn canonicals_are_told_from_references() {
        for expression in [
            "QuestionnaireResponse.questionnaire",
            "ActivityDefinition.relatedArtifact.where(type='depends-on').resource | ActivityDefinition.library",
            "CarePlan.instantiatesCanonical",
            "(ConceptMap.source as canonical)",
        ] {
            assert!(is_canonical(expression), "{expression}");
        }
        for expression in ["Observation.subject", "List.entry.item", "Patient.link.other", "", "x("]
        {
            assert!(!is_canonical(expression), "{expression}");
        }
    }
}
