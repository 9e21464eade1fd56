//! What a collection holds: elements of a resource, borrowed from its JSON, and values an expression made.

use std::borrow::Cow;

use super::Decimal;
use super::model::Type;
use super::quantity::Quantity;
use super::temporal::{Date, DateTime, Time};
use crate::json::Value;

/// One item of a collection.
#[derive(Debug, Clone)]
pub enum Item<'a> {
    /// An element of a resource, or a resource.
    Element(Element<'a>),
    /// A boolean.
    Boolean(bool),
    /// An integer (of 64 bits; FHIRPath asks for 32).
    Integer(i64),
    /// A decimal.
    Decimal(Decimal),
    /// A string.
    String(Cow<'a, str>),
    /// A date.
    Date(Date),
    /// A date and a time.
    DateTime(DateTime),
    /// A time.
    Time(Time),
    /// A number with a unit.
    Quantity(Box<Quantity<'a>>),
    /// What `type()` gives.
    Type(TypeInfo<'a>),
}

/// An element of a resource, or a resource.
#[derive(Debug, Clone, Copy)]
pub struct Element<'a> {
    value: Option<&'a Value>,
    sibling: Option<&'a Value>,
    type_: Option<Type>,
}

/// The name of a type.
#[derive(Debug, Clone)]
pub struct TypeInfo<'a> {
    /// `FHIR` or `System`.
    pub namespace: &'static str,
    /// The type's name.
    pub name: Cow<'a, str>,
}

/// FHIRPath's own types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum System {
    Boolean,
    Integer,
    Decimal,
    String,
    Date,
    DateTime,
    Time,
    Quantity,
}

/// A value as FHIRPath's operators know it; a FHIR primitive is one implicitly (R4 §2.9.1.1).
#[derive(Debug, Clone)]
pub(super) enum Scalar<'s> {
    Boolean(bool),
    Integer(i64),
    Decimal(Decimal),
    String(&'s str),
    Date(Date),
    DateTime(DateTime),
    Time(Time),
    Quantity(Quantity<'s>),
}

impl<'a> Item<'a> {
    /// A resource: its type is what its `resourceType` says.
    pub fn resource(value: &'a Value) -> Self {
        let type_ = value.resource_type().and_then(Type::named);
        Self::Element(Element { value: Some(value), sibling: None, type_ })
    }

    /// An element of a known type, with the `_name` beside a primitive one. A name that no definition has
    /// leaves the type unknown.
    pub fn element(value: Option<&'a Value>, sibling: Option<&'a Value>, type_name: &str) -> Self {
        Self::Element(Element { value, sibling, type_: Type::named(type_name) })
    }

    /// The JSON of an element; nothing where only its id or extensions are there, and of computed values.
    pub fn json(&self) -> Option<&'a Value> {
        match self {
            Self::Element(element) => element.value,
            _ => None,
        }
    }

    /// The `_name` beside a primitive element: its id and extensions.
    pub fn sibling(&self) -> Option<&'a Value> {
        match self {
            Self::Element(element) => element.sibling,
            _ => None,
        }
    }

    /// The name of its type: `Patient`, `dateTime`, `Patient.contact`, or FHIRPath's own (`Boolean`, `String`).
    pub fn type_name(&self) -> Option<&'a str> {
        match self {
            Self::Element(element) => match element.type_ {
                Some(type_) => Some(type_.name()),
                None => element.value.and_then(Value::resource_type),
            },
            Self::Type(_) => None,
            value => value.system().map(System::name),
        }
    }

    /// The text of a string, a code, an address, or of a date as it was written.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Element(element) => element.value?.as_str(),
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The boolean.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Element(element) => element.value?.as_bool(),
            Self::Boolean(value) => Some(*value),
            _ => None,
        }
    }

    pub(super) fn string(text: String) -> Self {
        Self::String(Cow::Owned(text))
    }

    pub(super) fn system(&self) -> Option<System> {
        Some(match self {
            Self::Element(_) | Self::Type(_) => return None,
            Self::Boolean(_) => System::Boolean,
            Self::Integer(_) => System::Integer,
            Self::Decimal(_) => System::Decimal,
            Self::String(_) => System::String,
            Self::Date(_) => System::Date,
            Self::DateTime(_) => System::DateTime,
            Self::Time(_) => System::Time,
            Self::Quantity(_) => System::Quantity,
        })
    }

    pub(super) fn scalar(&self) -> Option<Scalar<'_>> {
        Some(match self {
            Self::Element(element) => return element.scalar(),
            Self::Type(_) => return None,
            Self::Boolean(value) => Scalar::Boolean(*value),
            Self::Integer(value) => Scalar::Integer(*value),
            Self::Decimal(value) => Scalar::Decimal(*value),
            Self::String(text) => Scalar::String(text),
            Self::Date(value) => Scalar::Date(*value),
            Self::DateTime(value) => Scalar::DateTime(*value),
            Self::Time(value) => Scalar::Time(*value),
            Self::Quantity(value) => Scalar::Quantity((**value).clone()),
        })
    }

    /// Whether it is a primitive with a value: `hasValue()` (R4 §2.9.1.5).
    pub(super) fn has_value(&self) -> bool {
        match self {
            Self::Element(element) => {
                matches!(element.value, Some(Value::Bool(_) | Value::Number(_) | Value::String(_)))
            }
            Self::Type(_) => false,
            _ => true,
        }
    }
}

impl<'a> Element<'a> {
    pub(super) fn new(
        value: Option<&'a Value>,
        sibling: Option<&'a Value>,
        type_: Option<Type>,
    ) -> Self {
        Self { value, sibling, type_ }
    }

    pub(super) fn value(&self) -> Option<&'a Value> {
        self.value
    }

    pub(super) fn sibling(&self) -> Option<&'a Value> {
        self.sibling
    }

    pub(super) fn type_(&self) -> Option<Type> {
        self.type_
    }

    pub(super) fn scalar(&self) -> Option<Scalar<'a>> {
        let system = self.type_.and_then(Type::system);
        match self.value? {
            Value::Bool(value) => Some(Scalar::Boolean(*value)),
            Value::Number(number) => match (system, number.as_i64()) {
                (Some(System::Decimal), _) | (_, None) => {
                    Decimal::parse(number.as_str()).map(Scalar::Decimal)
                }
                (_, Some(value)) => Some(Scalar::Integer(value)),
            },
            Value::String(text) => {
                // What is no date is a string still: that it should be one is for validation to say.
                let temporal = match system {
                    Some(System::Date) => Date::parse(text).map(Scalar::Date),
                    Some(System::DateTime) => DateTime::parse(text).map(Scalar::DateTime),
                    Some(System::Time) => Time::parse(text).map(Scalar::Time),
                    _ => None,
                };
                Some(temporal.unwrap_or(Scalar::String(text)))
            }
            value @ Value::Object(_) if system == Some(System::Quantity) => {
                Quantity::of_fhir(value).map(Scalar::Quantity)
            }
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
    }
}

impl System {
    const ALL: [(&'static str, Self); 8] = [
        ("Boolean", Self::Boolean),
        ("Integer", Self::Integer),
        ("Decimal", Self::Decimal),
        ("String", Self::String),
        ("Date", Self::Date),
        ("DateTime", Self::DateTime),
        ("Time", Self::Time),
        ("Quantity", Self::Quantity),
    ];

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(own, _)| *own == name).map(|(_, system)| *system)
    }

    pub(super) fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, own)| *own == self).map_or("", |(name, _)| name)
    }
}
