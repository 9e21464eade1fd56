//! One search parameter.

use std::sync::{Arc, OnceLock};

use super::super::entry::{ParameterId, ParameterKind};
use super::super::extract::Rules;
use super::super::query::Comparator;

/// A search parameter of one resource type.
#[derive(Debug, Clone)]
pub struct Parameter {
    pub(super) id: ParameterId,
    pub(super) resource_type: Arc<str>,
    pub(super) code: Arc<str>,
    pub(super) url: Box<str>,
    pub(super) kind: ParameterKind,
    pub(super) expression: Box<str>,
    pub(super) targets: Targets,
    pub(super) components: Vec<Component>,
    pub(super) multiple_or: bool,
    pub(super) multiple_and: bool,
    pub(super) comparators: Option<Vec<Comparator>>,
    pub(super) modifiers: Option<Vec<Box<str>>>,
    pub(super) is_custom: bool,
    /// Its expressions, read when they are needed first.
    pub(super) rules: OnceLock<Arc<Rules>>,
}

/// One component of a composite parameter.
#[derive(Debug, Clone)]
pub struct Component {
    pub(super) id: ParameterId,
    pub(super) kind: ParameterKind,
    pub(super) definition: Box<str>,
    pub(super) expression: Box<str>,
    pub(super) targets: Targets,
}

/// What a reference parameter may refer to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Targets {
    /// Any type.
    Any,
    /// These types.
    Types(Arc<[Box<str>]>),
}

impl Parameter {
    /// Its number.
    pub fn id(&self) -> ParameterId {
        self.id
    }

    /// The resource type it searches.
    pub fn resource_type(&self) -> &str {
        &self.resource_type
    }

    /// Its name in a search.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// The canonical address of its definition.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its type.
    pub fn kind(&self) -> ParameterKind {
        self.kind
    }

    /// The FHIRPath expression that gives its values; empty of those that are found in another way (`_text`).
    pub fn expression(&self) -> &str {
        &self.expression
    }

    /// What it may refer to.
    pub fn targets(&self) -> &Targets {
        &self.targets
    }

    /// The components of a composite one; none of others.
    pub fn components(&self) -> &[Component] {
        &self.components
    }

    pub(in crate::search) fn rules(&self) -> &Rules {
        self.rules.get_or_init(|| Arc::new(Rules::of(self)))
    }

    /// Whether it compares what words sound like.
    pub(in crate::search) fn is_phonetic(&self) -> bool {
        &*self.code == "phonetic" && !self.is_custom
    }

    /// Whether it was added to those of FHIR.
    pub fn is_custom(&self) -> bool {
        self.is_custom
    }

    /// Whether several values with commas are allowed.
    pub fn multiple_or(&self) -> bool {
        self.multiple_or
    }

    /// Whether it may come several times in a search.
    pub fn multiple_and(&self) -> bool {
        self.multiple_and
    }

    /// Whether a prefix may be used.
    pub fn allows_comparator(&self, comparator: Comparator) -> bool {
        self.comparators
            .as_ref()
            .is_none_or(|allowed| comparator == Comparator::Equal || allowed.contains(&comparator))
    }

    /// Whether its definition allows a modifier; whether its type has it is another matter.
    pub fn allows_modifier(&self, modifier: &str) -> bool {
        self.modifiers
            .as_ref()
            .is_none_or(|allowed| allowed.iter().any(|allowed| **allowed == *modifier))
    }
}

impl Component {
    /// Its number.
    pub fn id(&self) -> ParameterId {
        self.id
    }

    /// Its type.
    pub fn kind(&self) -> ParameterKind {
        self.kind
    }

    /// The canonical address of the parameter that defines its type.
    pub fn definition(&self) -> &str {
        &self.definition
    }

    /// The FHIRPath expression that gives its values from an instance of the composite one.
    pub fn expression(&self) -> &str {
        &self.expression
    }

    /// What it may refer to.
    pub fn targets(&self) -> &Targets {
        &self.targets
    }
}

impl Targets {
    /// Whether this type is one.
    pub fn allows(&self, resource_type: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Types(types) => types.iter().any(|allowed| **allowed == *resource_type),
        }
    }

    /// The one type that is allowed.
    pub fn only(&self) -> Option<&str> {
        match self {
            Self::Types(types) => match types.as_ref() {
                [only] => Some(only),
                _ => None,
            },
            Self::Any => None,
        }
    }

    pub(super) fn none() -> Self {
        Self::Types(Arc::new([]))
    }
}

impl ParameterKind {
    /// Its code in FHIR.
    pub fn code(self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::Date => "date",
            Self::String => "string",
            Self::Token => "token",
            Self::Reference => "reference",
            Self::Composite => "composite",
            Self::Quantity => "quantity",
            Self::Uri => "uri",
            Self::Special => "special",
        }
    }

    /// The kind of a code of FHIR.
    pub fn of_code(code: &str) -> Option<Self> {
        Some(match code {
            "number" => Self::Number,
            "date" => Self::Date,
            "string" => Self::String,
            "token" => Self::Token,
            "reference" => Self::Reference,
            "composite" => Self::Composite,
            "quantity" => Self::Quantity,
            "uri" => Self::Uri,
            "special" => Self::Special,
            _ => return None,
        })
    }
}

impl Comparator {
    /// The prefix.
    pub fn code(self) -> &'static str {
        match self {
            Self::Equal => "eq",
            Self::NotEqual => "ne",
            Self::Greater => "gt",
            Self::Less => "lt",
            Self::GreaterOrEqual => "ge",
            Self::LessOrEqual => "le",
            Self::StartsAfter => "sa",
            Self::EndsBefore => "eb",
            Self::Approximately => "ap",
        }
    }

    /// The comparator of a prefix.
    pub fn of_code(code: &str) -> Option<Self> {
        Some(match code {
            "eq" => Self::Equal,
            "ne" => Self::NotEqual,
            "gt" => Self::Greater,
            "lt" => Self::Less,
            "ge" => Self::GreaterOrEqual,
            "le" => Self::LessOrEqual,
            "sa" => Self::StartsAfter,
            "eb" => Self::EndsBefore,
            "ap" => Self::Approximately,
            _ => return None,
        })
    }
}
