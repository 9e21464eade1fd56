//! Expressions that only FHIRPath can evaluate.

use std::sync::Arc;

use super::Surroundings;
use super::path::Found;
use crate::fhirpath::{Context, Expression, Item, Limits};
use crate::json::{Number, Value};

/// How many steps the expression of one parameter may take on one resource.
const STEPS_MAX: u64 = 500_000;

/// An expression of FHIRPath.
#[derive(Debug, Clone)]
pub(in crate::search) struct Fallback {
    /// Nothing where it can't be read, which gives no values.
    expression: Option<Arc<Expression>>,
}

impl Fallback {
    pub(super) fn of(expression: &str) -> Self {
        Self { expression: Expression::parse(expression).ok().map(Arc::new) }
    }

    /// The values on an element. An expression that fails gives none.
    pub(super) fn values(
        &self,
        surroundings: &Surroundings<'_>,
        at: Found<'_>,
        found: &mut dyn FnMut(Found<'_>),
    ) {
        let Some(expression) = &self.expression else { return };
        let now = jiff::Timestamp::from_microsecond(surroundings.now).unwrap_or_default();
        let limits = Limits { steps_max: STEPS_MAX, ..Limits::default() };
        let context = Context::new(now).with_resource(surroundings.root).with_limits(limits);
        let item = Item::element(Some(at.value), None, at.type_name);
        let Ok(items) = expression.evaluate_on(&item, &context) else { return };
        for item in items {
            let type_name = item.type_name().unwrap_or_default();
            if let Some(value) = item.json() {
                found(Found { value, type_name, value_set: None });
            } else if let Some((value, type_name)) = computed(&item) {
                found(Found { value: &value, type_name, value_set: None });
            }
        }
    }
}

/// A value that the expression made, as JSON, and FHIR's name of its type.
fn computed(item: &Item<'_>) -> Option<(Value, &'static str)> {
    Some(match item {
        Item::Boolean(value) => (Value::Bool(*value), "boolean"),
        Item::Integer(value) => (Value::Number(Number::from(*value)), "integer"),
        Item::Decimal(value) => (Value::Number(Number::new(&value.to_string())?), "decimal"),
        Item::String(text) => (Value::string(text.as_ref()), "string"),
        Item::Date(date) => (Value::string(date.to_string()), "date"),
        Item::DateTime(date) => (Value::string(date.to_string()), "dateTime"),
        Item::Time(_) | Item::Quantity(_) | Item::Type(_) | Item::Element(_) => return None,
    })
}
