//! How the values of a parameter are found, read once for each parameter.

use super::super::entry::ParameterKind;
use super::super::registry::Parameter;
use super::Surroundings;
use super::composite::Composite;
use super::fallback::Fallback;
use super::path::{Found, Paths};
use crate::definitions::TypeDefinition;

/// How the values of a parameter are found.
#[derive(Debug, Clone)]
pub(in crate::search) enum Rules {
    /// By its expression.
    Simple(Rule),
    /// By instances, and the expressions of its components on each.
    Composite(Composite),
}

/// One expression.
#[derive(Debug, Clone)]
pub(in crate::search) enum Rule {
    /// A plain path.
    Paths(Paths),
    /// What only FHIRPath can evaluate.
    Fallback(Fallback),
}

impl Rules {
    /// Reads the expressions of a parameter.
    pub(in crate::search) fn of(parameter: &Parameter) -> Self {
        let definition = TypeDefinition::named(parameter.resource_type());
        match parameter.kind() {
            ParameterKind::Composite => Self::Composite(Composite::of(parameter, definition)),
            _ => Self::Simple(Rule::of(parameter.expression(), definition)),
        }
    }
}

impl Rule {
    pub(super) fn of(expression: &str, definition: Option<&'static TypeDefinition>) -> Self {
        match definition.and_then(|definition| Paths::read(expression, definition)) {
            Some(paths) => Self::Paths(paths),
            None => Self::Fallback(Fallback::of(expression)),
        }
    }

    /// The values on the resource itself.
    pub(super) fn values<'a>(
        &self,
        surroundings: &Surroundings<'a>,
        found: &mut dyn FnMut(Found<'_>),
    ) {
        let at = Found {
            value: surroundings.root,
            type_name: surroundings.root.resource_type().unwrap_or_default(),
            value_set: None,
        };
        self.values_on(surroundings, at, found);
    }

    /// The values on an element.
    pub(super) fn values_on<'a>(
        &self,
        surroundings: &Surroundings<'a>,
        at: Found<'a>,
        found: &mut dyn FnMut(Found<'_>),
    ) {
        match self {
            Self::Paths(paths) => {
                paths.walk(surroundings.root, at.value, &mut |value| found(value))
            }
            Self::Fallback(fallback) => fallback.values(surroundings, at, found),
        }
    }

    /// Whether it is a plain path.
    #[cfg(test)]
    pub(super) fn is_path(&self) -> bool {
        matches!(self, Self::Paths(_))
    }
}
