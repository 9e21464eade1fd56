//! The search parameters a server knows: those of FHIR R4, and its own.
//!
//! A [`Registry`] never changes. Adding a SearchParameter gives a new one in which every parameter of before
//! keeps its number, so that a search parsed by the old one still means the same.

mod custom;
mod parameter;
mod reach;
mod standard;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

pub use custom::ParameterRefused;
pub use parameter::{Component, Parameter, Targets};
pub use reach::leads_nowhere;

use super::entry::{ParameterId, ParameterKind};
use super::extract::VERSION;
use crate::fhirpath::Expression;

/// The search parameters of every resource type.
#[derive(Debug, Clone)]
pub struct Registry {
    /// By type, and by code in it.
    by_type: BTreeMap<Arc<str>, BTreeMap<Arc<str>, Arc<Parameter>>>,
    /// By number; a number that was taken away names nothing, and is not given again.
    by_id: Vec<Option<Place>>,
    /// By type, the codes of parameters that were left out, for the index does not follow them yet.
    being_indexed: BTreeMap<Arc<str>, BTreeSet<Arc<str>>>,
}

#[derive(Debug, Clone)]
struct Place {
    parameter: Arc<Parameter>,
    /// Of a composite parameter, which component.
    component: Option<usize>,
}

/// What a [`ParameterId`] stands for, in names that last.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ParameterNames {
    /// The resource type.
    pub resource_type: Arc<str>,
    /// The parameter's code; of the components of a composite one `CODE$1`, `CODE$2`…
    pub code: String,
}

impl Registry {
    /// Those of FHIR R4, and no others.
    pub fn standard() -> Arc<Self> {
        static STANDARD: LazyLock<Arc<Registry>> = LazyLock::new(|| Arc::new(standard::read()));
        Arc::clone(&STANDARD)
    }

    /// The parameter of a type with this code.
    pub fn find(&self, resource_type: &str, code: &str) -> Option<&Parameter> {
        self.by_type.get(resource_type)?.get(code).map(AsRef::as_ref)
    }

    /// This registry without some parameters, which the index does not follow yet: who asks by one is told so.
    #[must_use]
    pub fn without_unfinished(&self, unfinished: &BTreeSet<ParameterId>) -> Self {
        let mut registry = self.clone();
        for parameter in unfinished.iter().filter_map(|id| self.parameter(*id)) {
            registry.remove(&parameter.resource_type, &parameter.code);
            registry
                .being_indexed
                .entry(Arc::clone(&parameter.resource_type))
                .or_default()
                .insert(Arc::clone(&parameter.code));
        }
        registry
    }

    /// Whether a type has a parameter that can't be used yet, for the index does not follow it.
    pub fn is_being_indexed(&self, resource_type: &str, code: &str) -> bool {
        self.being_indexed.get(resource_type).is_some_and(|codes| codes.contains(code))
    }

    /// Whether any parameter can't be used yet.
    pub fn is_indexing(&self) -> bool {
        !self.being_indexed.is_empty()
    }

    /// All parameters of a type, by code.
    pub fn parameters(&self, resource_type: &str) -> impl Iterator<Item = &Parameter> {
        self.by_type
            .get(resource_type)
            .into_iter()
            .flat_map(|of_type| of_type.values().map(AsRef::as_ref))
    }

    /// All resource types, by name.
    pub fn resource_types(&self) -> impl Iterator<Item = &str> {
        self.by_type.keys().map(AsRef::as_ref)
    }

    /// Whether there is such a resource type.
    pub fn is_resource_type(&self, name: &str) -> bool {
        self.by_type.contains_key(name)
    }

    /// The parameter that a number stands for, or is a component of.
    pub fn parameter(&self, id: ParameterId) -> Option<&Parameter> {
        self.place(id).map(|place| place.parameter.as_ref())
    }

    /// The component that a number stands for.
    pub fn component(&self, id: ParameterId) -> Option<&Component> {
        let place = self.place(id)?;
        place.parameter.components().get(place.component?)
    }

    /// The kind of values that stand under a number.
    pub fn kind(&self, id: ParameterId) -> Option<ParameterKind> {
        match self.component(id) {
            Some(component) => Some(component.kind()),
            None => self.parameter(id).map(Parameter::kind),
        }
    }

    /// What a number stands for, in names that last.
    pub fn names(&self, id: ParameterId) -> Option<ParameterNames> {
        let place = self.place(id)?;
        let code = place.parameter.code();
        Some(ParameterNames {
            resource_type: Arc::clone(&place.parameter.resource_type),
            code: match place.component {
                Some(component) => format!("{code}${}", component + 1),
                None => code.to_owned(),
            },
        })
    }

    /// The number that stands for these names now.
    pub fn id(&self, names: &ParameterNames) -> Option<ParameterId> {
        match names.code.split_once('$') {
            None => self.find(&names.resource_type, &names.code).map(Parameter::id),
            Some((code, position)) => {
                let component = position.parse::<usize>().ok()?.checked_sub(1)?;
                let parameter = self.find(&names.resource_type, code)?;
                parameter.components().get(component).map(Component::id)
            }
        }
    }

    /// Changes when the same resource would be found by other values: with the parameters that were added, and with
    /// how values are extracted.
    pub fn fingerprint(&self) -> String {
        let mut hash = Fnv::default();
        hash.add(&VERSION.to_string());
        for parameter in self.custom() {
            hash.add(parameter.resource_type());
            hash.add(parameter.code());
            hash.add(parameter.kind().code());
            hash.add(parameter.expression());
            for component in parameter.components() {
                hash.add(component.kind().code());
                hash.add(component.expression());
            }
        }
        format!("{:016x}", hash.0)
    }

    /// All numbers: of parameters and of components.
    pub fn ids(&self) -> impl Iterator<Item = ParameterId> {
        (0_u32..)
            .zip(&self.by_id)
            .filter(|(_, place)| place.is_some())
            .map(|(id, _)| ParameterId(id))
    }

    fn place(&self, id: ParameterId) -> Option<&Place> {
        self.by_id.get(usize::try_from(id.0).ok()?)?.as_ref()
    }

    fn with_types<'a>(types: impl IntoIterator<Item = &'a str>) -> Self {
        Self {
            by_type: types.into_iter().map(|name| (name.into(), BTreeMap::new())).collect(),
            by_id: Vec::new(),
            being_indexed: BTreeMap::new(),
        }
    }

    /// Gives a parameter and its components their numbers, and takes it in.
    fn insert(&mut self, mut parameter: Parameter) {
        let first = self.by_id.len();
        let number = |at: usize| ParameterId(u32::try_from(at).unwrap_or(u32::MAX));
        parameter.id = number(first);
        for (at, component) in parameter.components.iter_mut().enumerate() {
            component.id = number(first + 1 + at);
        }
        let parameter = Arc::new(parameter);
        self.by_id.push(Some(Place { parameter: Arc::clone(&parameter), component: None }));
        for component in 0..parameter.components().len() {
            let place = Place { parameter: Arc::clone(&parameter), component: Some(component) };
            self.by_id.push(Some(place));
        }
        self.by_type
            .entry(Arc::clone(&parameter.resource_type))
            .or_default()
            .insert(Arc::clone(&parameter.code), parameter);
    }

    fn remove(&mut self, resource_type: &str, code: &str) {
        let Some(parameter) =
            self.by_type.get_mut(resource_type).and_then(|of_type| of_type.remove(code))
        else {
            return;
        };
        for place in &mut self.by_id {
            if place.as_ref().is_some_and(|place| Arc::ptr_eq(&place.parameter, &parameter)) {
                *place = None;
            }
        }
    }
}

/// FNV-1a, which stays the same from build to build.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn add(&mut self, text: &str) {
        for byte in text.bytes().chain([0xff]) {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

/// Whether an expression of a parameter can be evaluated; what is wrong with it where not.
fn check_expression(expression: &str) -> Result<(), String> {
    const CHARACTERS_MAX: usize = 10_000;
    if expression.len() > CHARACTERS_MAX {
        return Err(format!("is longer than {CHARACTERS_MAX} characters"));
    }
    match Expression::parse(expression) {
        Ok(_) => Ok(()),
        Err(problem) => Err(format!("is no FHIRPath expression: {problem}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_has_its_own_and_those_of_all() {
        let registry = Registry::standard();
        assert_eq!(registry.resource_types().count(), 146 + 1);
        let codes: Vec<&str> = registry.parameters("Binary").map(Parameter::code).collect();
        assert_eq!(
            codes,
            [
                "_content",
                "_id",
                "_lastUpdated",
                "_profile",
                "_query",
                "_security",
                "_source",
                "_tag"
            ]
        );
        assert!(registry.find("Patient", "_text").is_some());
        assert!(registry.find("Bundle", "_text").is_none());
        assert!(registry.find("Patient", "nothing").is_none());
        assert!(registry.find("Nothing", "_id").is_none());
        let own: usize = registry
            .resource_types()
            .map(|name| {
                registry.parameters(name).filter(|own| !own.code().starts_with('_')).count()
            })
            .sum();
        assert_eq!(own, 1700 + 3);
    }

    #[test]
    fn numbers_and_names_lead_to_each_other() {
        let registry = Registry::standard();
        let mut count = 0;
        for id in registry.ids() {
            let names = registry.names(id).unwrap();
            assert_eq!(registry.id(&names), Some(id), "{names:?}");
            count += 1;
        }
        assert!(count > 2_800, "{count}");
        let composite = registry.find("Observation", "code-value-quantity").unwrap();
        let [code, value] = composite.components() else { panic!("two components") };
        assert_eq!(registry.names(value.id()).unwrap().code, "code-value-quantity$2");
        assert_eq!(registry.kind(code.id()), Some(ParameterKind::Token));
        assert_eq!(registry.kind(value.id()), Some(ParameterKind::Quantity));
        assert_eq!(registry.kind(composite.id()), Some(ParameterKind::Composite));
        assert_eq!(registry.names(ParameterId(u32::MAX)), None);
    }
}
