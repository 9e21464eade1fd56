//! Dates, numbers and quantities as the spans they are.

use super::super::date::parse_date;
use super::super::entry::IndexValue;
use super::super::exact::ExactNumber;
use super::path::Found;
use crate::definitions::TypeDefinition;
use crate::json::{Number, Value};

/// The currencies of Money (ISO 4217).
const CURRENCIES: &str = "urn:iso:std:iso:4217";

/// A number to sort by, and between which numbers it lies, both inclusive.
type Ends = (f64, ExactNumber, ExactNumber);

/// A date, a time, a Period or a Timing.
pub(super) fn date(found: Found<'_>) -> Option<IndexValue> {
    let (from, to) = match found.type_name {
        "Period" => period(found.value)?,
        "Timing" => timing(found.value)?,
        _ => {
            let range = parse_date(found.value.as_str()?)?;
            (range.from, range.to)
        }
    };
    Some(IndexValue::Date { from, to })
}

/// An end that is not there is open (FHIR R4 §3.1.1.4.7).
fn period(period: &Value) -> Option<(i64, i64)> {
    let end = |name: &str| period.text(name).and_then(parse_date);
    let (start, end) = (end("start"), end("end"));
    if start.is_none() && end.is_none() {
        return None;
    }
    let from = start.map_or(i64::MIN, |range| range.from);
    let to = end.map_or(i64::MAX, |range| range.to);
    // One that ends before it begins is found at both.
    Some((from.min(to), to.max(from)))
}

/// From the first to the last of its events, and the bounds of its repetitions.
fn timing(timing: &Value) -> Option<(i64, i64)> {
    let events = timing.items("event").iter().filter_map(Value::as_str).filter_map(parse_date);
    let bounds =
        timing.get("repeat").and_then(|repeat| repeat.get("boundsPeriod")).and_then(period);
    events
        .map(|range| (range.from, range.to))
        .chain(bounds)
        .reduce(|(from, to), (other_from, other_to)| (from.min(other_from), to.max(other_to)))
}

/// An integer, a decimal or a Range.
pub(super) fn number(found: Found<'_>) -> Option<IndexValue> {
    let (value, low, high) = match found.value {
        Value::Number(number) => exact(number),
        Value::Object(_) if found.type_name == "Range" => range(found.value)?,
        Value::Object(_) => compared(found.value)?,
        _ => return None,
    };
    Some(IndexValue::Number { value, low, high })
}

/// A Quantity, one of its kinds, Money or a Range.
pub(super) fn quantity(found: Found<'_>) -> Option<IndexValue> {
    let text = |value: &Value, name: &str| {
        value.text(name).filter(|text| !text.is_empty()).map(str::to_owned)
    };
    match found.type_name {
        "Money" => {
            let (value, low, high) = compared(found.value)?;
            let code = text(found.value, "currency");
            let system = code.as_ref().map(|_| CURRENCIES.to_owned());
            Some(IndexValue::Quantity { value, low, high, system, unit: code.clone(), code })
        }
        "Range" => {
            let (value, low, high) = range(found.value)?;
            let unit_of = found.value.get("low").or_else(|| found.value.get("high"))?;
            Some(IndexValue::Quantity {
                value,
                low,
                high,
                system: text(unit_of, "system"),
                code: text(unit_of, "code"),
                unit: text(unit_of, "unit"),
            })
        }
        "SampledData" => {
            let (value, low, high) = bounds(found.value)?;
            let origin = found.value.get("origin")?;
            Some(IndexValue::Quantity {
                value,
                low,
                high,
                system: text(origin, "system"),
                code: text(origin, "code"),
                unit: text(origin, "unit"),
            })
        }
        name if TypeDefinition::named(name).is_some_and(|found| found.is_a("Quantity")) => {
            let (value, low, high) = compared(found.value)?;
            Some(IndexValue::Quantity {
                value,
                low,
                high,
                system: text(found.value, "system"),
                code: text(found.value, "code"),
                unit: text(found.value, "unit"),
            })
        }
        _ => None,
    }
}

fn exact(number: &Number) -> Ends {
    let exact = ExactNumber::new(number);
    (exact.nearest(), exact.clone(), exact)
}

/// A quantity's value; of `<5` everything below.
fn compared(quantity: &Value) -> Option<Ends> {
    let (value, low, high) = exact(quantity.get("value")?.as_number()?);
    Some(match quantity.text("comparator") {
        Some("<" | "<=") => (value, ExactNumber::BELOW_ALL, high),
        Some(">" | ">=") => (value, low, ExactNumber::ABOVE_ALL),
        _ => (value, low, high),
    })
}

/// Between which values the points of sampled data lie (FHIR R4, Observation's `value-quantity`: "just search on the
/// bounds of the values in sampled data"). What lies beyond the limits of detection (`L`, `U`) leaves that end open.
fn bounds(sampled: &Value) -> Option<Ends> {
    let number = |value: &Value| value.as_number().map(Number::as_f64);
    let origin = number(sampled.get("origin")?.get("value")?)?;
    let factor = sampled.get("factor").and_then(number).unwrap_or(1.0);
    let point = |text: &str| match text {
        "L" => Some(f64::NEG_INFINITY),
        "U" => Some(f64::INFINITY),
        // `E` is an error: no value.
        _ => {
            let point: f64 = text.parse().ok()?;
            let value = origin + point * factor;
            value.is_finite().then_some(value)
        }
    };
    let points = sampled.text("data")?.split_ascii_whitespace().filter_map(point);
    let (low, high) = points
        .map(|point| (point, point))
        .reduce(|(low, high), (point, _)| (low.min(point), high.max(point)))?;
    let value = match (low.is_finite(), high.is_finite()) {
        (true, true) => middle(low, high),
        (true, false) => low,
        (false, true) => high,
        (false, false) => origin,
    };
    let value = value.is_finite().then_some(value)?;
    Some((value, ExactNumber::of_double(low)?, ExactNumber::of_double(high)?))
}

fn range(range: &Value) -> Option<Ends> {
    let end = |name: &str| range.get(name)?.get("value")?.as_number().map(ExactNumber::new);
    let (low, high) = (end("low"), end("high"));
    let value = match (&low, &high) {
        (Some(low), Some(high)) => middle(low.nearest(), high.nearest()),
        (low, high) => low.as_ref().or(high.as_ref())?.nearest(),
    };
    let low = low.unwrap_or(ExactNumber::BELOW_ALL);
    let high = high.unwrap_or(ExactNumber::ABOVE_ALL);
    Some((value, low, high))
}

/// Halfway between two doubles, and of the same one that itself.
fn middle(low: f64, high: f64) -> f64 {
    if low == high { low } else { low / 2.0 + high / 2.0 }
}
