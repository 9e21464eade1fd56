//! Fixed values and patterns (R4 §5.1.0.3, ElementDefinition.fixed[x] and pattern[x]).

use crate::json::Value;

/// Whether a value is the fixed one: all of it, and nothing more.
pub(super) fn is_fixed(fixed: &Value, value: &Value) -> bool {
    match (fixed, value) {
        (Value::Object(fixed), Value::Object(value)) => {
            fixed.len() == value.len()
                && fixed
                    .iter()
                    .all(|(name, own)| value.get(name).is_some_and(|value| is_fixed(own, value)))
        }
        (Value::Array(fixed), Value::Array(value)) => {
            fixed.len() == value.len()
                && fixed.iter().zip(value).all(|(fixed, value)| is_fixed(fixed, value))
        }
        _ => is_same(fixed, value),
    }
}

/// Whether a value has all that a pattern has; of lists, each item of the pattern somewhere.
pub(super) fn fits_pattern(pattern: &Value, value: &Value) -> bool {
    match (pattern, value) {
        (Value::Object(pattern), Value::Object(value)) => pattern
            .iter()
            .all(|(name, own)| value.get(name).is_some_and(|value| fits_pattern(own, value))),
        (Value::Array(pattern), Value::Array(value)) => {
            pattern.iter().all(|own| value.iter().any(|value| fits_pattern(own, value)))
        }
        _ => is_same(pattern, value),
    }
}

/// Primitives are the same by their value: `1.0` is `1`.
fn is_same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => {
            left == right || left.as_f64() == right.as_f64()
        }
        _ => left == right,
    }
}
