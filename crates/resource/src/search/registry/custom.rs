//! Search parameters of a server's own, from SearchParameter resources.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use super::super::entry::{ParameterId, ParameterKind};
use super::super::query::Comparator;
use super::Registry;
use super::parameter::{Component, Parameter, Targets};
use crate::json::Value;

/// How many numbers a registry gives out, those taken back included.
const PARAMETERS_MAX: usize = 100_000;
const CODE_CHARACTERS_MAX: usize = 64;
const COMPONENTS_MAX: usize = 8;
const MODIFIERS: [&str; 12] = [
    "missing",
    "exact",
    "contains",
    "not",
    "text",
    "in",
    "not-in",
    "below",
    "above",
    "type",
    "identifier",
    "ofType",
];

/// Why a SearchParameter can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{expression}: {problem}")]
pub struct ParameterRefused {
    /// The element of the SearchParameter, as FHIRPath.
    pub expression: String,
    /// What is wrong there, and what to do.
    pub problem: String,
    /// Whether the reason is only that the parameter is there already: in the standard, or under another address.
    pub already_defined: bool,
    /// The address of the one that is there already; empty where that is not the reason.
    pub defined_by: String,
}

impl Registry {
    /// This registry with one more parameter. One of the same address is replaced.
    ///
    /// # Errors
    /// Everything in the SearchParameter that can't be used.
    pub fn with(&self, definition: &Value) -> Result<Self, Vec<ParameterRefused>> {
        let mut reader = Reader { registry: self, definition, refused: Vec::new() };
        let parameters = reader.parameters();
        if !reader.refused.is_empty() {
            return Err(reader.refused);
        }
        let mut registry = match parameters.first() {
            Some(parameter) => self.without(&parameter.url),
            None => self.clone(),
        };
        for parameter in parameters {
            registry.insert(parameter);
        }
        Ok(registry)
    }

    /// This registry without the added parameter of this address. FHIR's own stay.
    pub fn without(&self, url: &str) -> Self {
        let mut registry = self.clone();
        let gone: BTreeSet<(Arc<str>, Arc<str>)> = self
            .by_id
            .iter()
            .flatten()
            .filter(|place| place.parameter.is_custom && *place.parameter.url == *url)
            .map(|place| {
                (Arc::clone(&place.parameter.resource_type), Arc::clone(&place.parameter.code))
            })
            .collect();
        for (resource_type, code) in gone {
            registry.remove(&resource_type, &code);
        }
        registry
    }

    /// The parameters that were added.
    pub fn custom(&self) -> impl Iterator<Item = &Parameter> {
        self.by_type
            .values()
            .flat_map(|of_type| of_type.values())
            .map(AsRef::as_ref)
            .filter(|parameter| parameter.is_custom)
    }

    fn by_url(&self, url: &str) -> Option<&Parameter> {
        self.by_id
            .iter()
            .flatten()
            .map(|place| place.parameter.as_ref())
            .find(|parameter| *parameter.url == *url)
    }
}

struct Reader<'a> {
    registry: &'a Registry,
    definition: &'a Value,
    refused: Vec<ParameterRefused>,
}

impl Reader<'_> {
    fn refuse(&mut self, element: &str, problem: impl Into<String>) {
        self.refused.push(ParameterRefused {
            expression: format!("SearchParameter.{element}"),
            problem: problem.into(),
            already_defined: false,
            defined_by: String::new(),
        });
    }

    fn parameters(&mut self) -> Vec<Parameter> {
        if self.definition.resource_type() != Some("SearchParameter") {
            self.refuse("resourceType", "expected a SearchParameter");
            return Vec::new();
        }
        if self.registry.by_id.len() > PARAMETERS_MAX {
            self.refuse("code", format!("a server takes at most {PARAMETERS_MAX} parameters"));
        }
        let url: Box<str> = self.required("url").into();
        let code: Arc<str> = self.code();
        let kind = self.kind();
        let expression: Box<str> = self.required("expression").into();
        self.expression("expression", &expression);
        let targets = self.targets(kind);
        let components = self.components(kind);
        let comparators = self.comparators();
        let modifiers = self.modifiers();
        let flag = |name: &str| self.definition.get(name).and_then(Value::as_bool).unwrap_or(true);
        let template = Parameter {
            id: ParameterId(0),
            resource_type: Arc::from(""),
            code,
            url,
            kind,
            expression,
            targets,
            components,
            multiple_or: flag("multipleOr"),
            multiple_and: flag("multipleAnd"),
            comparators,
            modifiers,
            is_custom: true,
            rules: OnceLock::new(),
        };
        self.bases()
            .into_iter()
            .map(|resource_type| Parameter { resource_type, ..template.clone() })
            .inspect(|parameter| self.check_new(parameter))
            .collect::<Vec<_>>()
    }

    fn required(&mut self, name: &str) -> &str {
        let definition = self.definition;
        match definition.text(name).filter(|text| !text.trim().is_empty()) {
            Some(text) => text,
            None => {
                self.refuse(name, "is needed");
                ""
            }
        }
    }

    fn code(&mut self) -> Arc<str> {
        let code = self.required("code").to_owned();
        let fits = code.starts_with(|first: char| first.is_ascii_alphabetic())
            && code.len() <= CODE_CHARACTERS_MAX
            && code.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        if !code.is_empty() && !fits {
            self.refuse(
                "code",
                format!(
                    "expected a letter, then letters, digits, `-` and `_`, \
                     {CODE_CHARACTERS_MAX} characters at most"
                ),
            );
        }
        code.into()
    }

    fn kind(&mut self) -> ParameterKind {
        match ParameterKind::of_code(self.definition.text("type").unwrap_or_default()) {
            Some(ParameterKind::Special) => {
                self.refuse("type", "`special` means a way of its own, which only a program has");
                ParameterKind::Special
            }
            Some(kind) => kind,
            None => {
                self.refuse(
                    "type",
                    "expected number, date, string, token, reference, composite, quantity or uri",
                );
                ParameterKind::String
            }
        }
    }

    fn expression(&mut self, element: &str, expression: &str) {
        if expression.is_empty() {
            return;
        }
        if let Err(problem) = super::check_expression(expression) {
            self.refuse(element, problem);
        }
    }

    fn bases(&mut self) -> Vec<Arc<str>> {
        let mut types = BTreeSet::new();
        for (at, base) in self.definition.items("base").iter().enumerate() {
            match base.as_str() {
                Some("Resource") => types.extend(self.registry.by_type.keys().cloned()),
                Some("DomainResource") => types.extend(
                    self.registry
                        .by_type
                        .keys()
                        .filter(|name| super::standard::is_domain(name))
                        .cloned(),
                ),
                Some(name) if self.registry.is_resource_type(name) => {
                    types.insert(name.into());
                }
                _ => self.refuse(&format!("base[{at}]"), "is no resource type of FHIR R4"),
            }
        }
        if types.is_empty() && self.refused.is_empty() {
            self.refuse("base", "is needed");
        }
        types.into_iter().collect()
    }

    fn targets(&mut self, kind: ParameterKind) -> Targets {
        let mut targets: Vec<Box<str>> = Vec::new();
        for (at, target) in self.definition.items("target").iter().enumerate() {
            match target.as_str() {
                Some("Resource" | "DomainResource") => return Targets::Any,
                Some(name) if self.registry.is_resource_type(name) => targets.push(name.into()),
                _ => self.refuse(&format!("target[{at}]"), "is no resource type of FHIR R4"),
            }
        }
        if targets.is_empty() && kind == ParameterKind::Reference {
            return Targets::Any;
        }
        Targets::Types(targets.into())
    }

    fn components(&mut self, kind: ParameterKind) -> Vec<Component> {
        let given = self.definition.items("component");
        match kind {
            ParameterKind::Composite if !(2..=COMPONENTS_MAX).contains(&given.len()) => self
                .refuse(
                    "component",
                    format!("a composite parameter has 2 to {COMPONENTS_MAX} components"),
                ),
            ParameterKind::Composite => {}
            _ if given.is_empty() => {}
            _ => self.refuse("component", "only a composite parameter has components"),
        }
        let mut components = Vec::new();
        for (at, component) in given.iter().take(COMPONENTS_MAX).enumerate() {
            let element = format!("component[{at}]");
            let definition = component.text("definition").unwrap_or_default();
            // A canonical may end in a version.
            let url = definition.split('|').next().unwrap_or_default();
            let expression = component.text("expression").unwrap_or_default();
            if expression.is_empty() {
                self.refuse(&format!("{element}.expression"), "is needed");
            }
            self.expression(&format!("{element}.expression"), expression);
            match self.registry.by_url(url) {
                Some(found) if found.kind != ParameterKind::Composite => {
                    components.push(Component {
                        id: ParameterId(0),
                        kind: found.kind,
                        definition: definition.into(),
                        expression: expression.into(),
                        targets: found.targets.clone(),
                    })
                }
                Some(_) => self.refuse(
                    &format!("{element}.definition"),
                    "a composite parameter can't be a component",
                ),
                None => self.refuse(
                    &format!("{element}.definition"),
                    "no search parameter has this address; create that one first",
                ),
            }
        }
        components
    }

    fn comparators(&mut self) -> Option<Vec<Comparator>> {
        let given = self.definition.items("comparator");
        let mut comparators = Vec::new();
        for (at, code) in given.iter().enumerate() {
            match Comparator::of_code(code.as_str().unwrap_or_default()) {
                Some(comparator) => comparators.push(comparator),
                None => self.refuse(
                    &format!("comparator[{at}]"),
                    "expected eq, ne, gt, lt, ge, le, sa, eb or ap",
                ),
            }
        }
        (!given.is_empty()).then_some(comparators)
    }

    fn modifiers(&mut self) -> Option<Vec<Box<str>>> {
        let given = self.definition.items("modifier");
        let mut modifiers: Vec<Box<str>> = Vec::new();
        for (at, code) in given.iter().enumerate() {
            match code.as_str() {
                Some("ofType") => modifiers.push("of-type".into()),
                Some(code) if MODIFIERS.contains(&code) => modifiers.push(code.into()),
                _ => self.refuse(&format!("modifier[{at}]"), "is no modifier of FHIR R4"),
            }
        }
        (!given.is_empty()).then_some(modifiers)
    }

    fn check_new(&mut self, parameter: &Parameter) {
        let Some(found) = self.registry.find(&parameter.resource_type, &parameter.code) else {
            return;
        };
        if found.is_custom && found.url == parameter.url {
            return;
        }
        self.refused.push(ParameterRefused {
            expression: "SearchParameter.code".to_owned(),
            problem: format!(
                "{} has a search parameter `{}` already, defined by {}",
                found.resource_type, found.code, found.url
            ),
            already_defined: true,
            defined_by: found.url.to_string(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::parse;

    const FAVORITE: &str = r#"{"resourceType":"SearchParameter","url":"http://example.org/p","code":"eye-color",
        "base":["Patient","Person"],"type":"token",
        "expression":"Patient.extension.where(url='http://example.org/eye').value","multipleOr":false,
        "comparator":["gt"],"modifier":["text","ofType"]}"#;

    fn with(registry: &Registry, text: &str) -> Result<Registry, String> {
        registry.with(&parse(text.as_bytes()).unwrap()).map_err(|refused| {
            refused.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        })
    }

    #[track_caller]
    fn check_refused(text: &str, expected: &str) {
        assert_eq!(with(&Registry::standard(), text).unwrap_err(), expected, "{text}");
    }

    #[test]
    fn a_parameter_comes_and_goes() {
        let standard = Registry::standard();
        let with_one = with(&standard, FAVORITE).unwrap();
        let found = with_one.find("Person", "eye-color").unwrap();
        assert!(!found.multiple_or() && found.multiple_and());
        assert!(found.allows_modifier("of-type") && !found.allows_modifier("not"));
        assert_eq!(with_one.custom().count(), 2);
        assert_ne!(with_one.fingerprint(), standard.fingerprint());
        let id = found.id();
        assert_eq!(with_one.names(id).unwrap().code, "eye-color");

        // The standard's numbers stay, and a number is not given twice.
        let family = standard.find("Patient", "family").unwrap().id();
        assert_eq!(with_one.find("Patient", "family").unwrap().id(), family);
        let again = with(&with_one, FAVORITE).unwrap();
        assert_eq!(again.custom().count(), 2);
        assert_eq!(again.names(id), None);
        let without = again.without("http://example.org/p");
        assert_eq!(without.custom().count(), 0);
        assert_eq!(without.fingerprint(), standard.fingerprint());
        assert_eq!(without.ids().count(), standard.ids().count());
        // FHIR's own stay.
        let family = standard.find("Patient", "family").unwrap();
        assert!(standard.without(family.url()).find("Patient", "family").is_some());
    }

    #[test]
    fn what_can_not_be_used_is_refused() {
        check_refused(
            r#"{"resourceType":"Patient"}"#,
            "SearchParameter.resourceType: expected a SearchParameter",
        );
        check_refused(
            r#"{"resourceType":"SearchParameter","url":"u","code":"a.b","base":["Pat"],"type":"special",
                "expression":"Patient.id","comparator":["xx"],"modifier":["like"],"target":["Nothing"],
                "component":[{"definition":"x","expression":"y"}]}"#,
            "SearchParameter.code: expected a letter, then letters, digits, `-` and `_`, 64 characters at most\n\
             SearchParameter.type: `special` means a way of its own, which only a program has\n\
             SearchParameter.target[0]: is no resource type of FHIR R4\n\
             SearchParameter.component: only a composite parameter has components\n\
             SearchParameter.component[0].definition: no search parameter has this address; create that one first\n\
             SearchParameter.comparator[0]: expected eq, ne, gt, lt, ge, le, sa, eb or ap\n\
             SearchParameter.modifier[0]: is no modifier of FHIR R4\n\
             SearchParameter.base[0]: is no resource type of FHIR R4",
        );
        check_refused(
            r#"{"resourceType":"SearchParameter","url":"u","code":"x","base":["Patient"],"type":"composite",
                "expression":"Patient"}"#,
            "SearchParameter.component: a composite parameter has 2 to 8 components",
        );
        check_refused(
            r#"{"resourceType":"SearchParameter","code":"x","type":"token"}"#,
            "SearchParameter.url: is needed\nSearchParameter.expression: is needed",
        );
    }

    #[test]
    fn an_expression_must_be_one() {
        let text = FAVORITE.replace("').value", "')..value");
        let refused = with(&Registry::standard(), &text).unwrap_err();
        assert!(
            refused.starts_with("SearchParameter.expression: is no FHIRPath expression: "),
            "{refused}"
        );
    }

    #[test]
    fn a_code_is_defined_once() {
        let text = r#"{"resourceType":"SearchParameter","url":"u","code":"family","base":["Patient"],
            "type":"string","expression":"Patient.name.family"}"#;
        let refused = Registry::standard().with(&parse(text.as_bytes()).unwrap()).unwrap_err();
        assert!(refused.iter().all(|refused| refused.already_defined), "{refused:?}");
        assert_eq!(refused.len(), 1);
    }

    #[test]
    fn a_composite_of_ones_own() {
        let text = r#"{"resourceType":"SearchParameter","url":"u","code":"code-status","base":["Observation"],
            "type":"composite","expression":"Observation","component":[
            {"definition":"http://hl7.org/fhir/SearchParameter/clinical-code","expression":"code"},
            {"definition":"http://hl7.org/fhir/SearchParameter/Observation-subject|4.0.1","expression":"subject"}]}"#;
        let registry = with(&Registry::standard(), text).unwrap();
        let found = registry.find("Observation", "code-status").unwrap();
        assert_eq!(found.components()[1].kind(), ParameterKind::Reference);
        assert!(found.components()[1].targets().allows("Group"));
    }
}
