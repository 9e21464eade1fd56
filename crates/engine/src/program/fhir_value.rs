//! Values on their way between HL7 v2 and FHIR: times are written differently, the rest is text.

use std::borrow::Cow;
use std::fmt::Write as _;

use pipehat_message::Timestamp;
use pipehat_resource::fhirpath::Item;
use pipehat_resource::json::Value;

/// The text of a primitive value as HL7 v2 has it: dates and times without separators (HL7 v2.5.1 §2.A.22), everything
/// else as it is. None for what is no single value, such as a name.
pub(super) fn hl7_text(item: &Item<'_>) -> Option<String> {
    let is_time = matches!(
        item.type_name(),
        Some("date" | "dateTime" | "instant" | "time" | "Date" | "DateTime" | "Time")
    );
    if let Some(text) = item.as_str() {
        return Some(if is_time { hl7_time(text) } else { text.to_owned() });
    }
    if let Some(value) = item.as_bool() {
        return Some(value.to_string());
    }
    match item {
        Item::Integer(number) => Some(number.to_string()),
        Item::Decimal(number) => Some(number.to_string()),
        Item::Date(date) => Some(hl7_time(&date.to_string())),
        Item::DateTime(time) => Some(hl7_time(&time.to_string())),
        Item::Time(time) => Some(hl7_time(&time.to_string())),
        Item::Element(_) => {
            item.json().and_then(Value::as_number).map(|number| number.as_str().to_owned())
        }
        Item::Boolean(_) | Item::String(_) | Item::Quantity(_) | Item::Type(_) => None,
    }
}

/// `2024-03-01T10:30:00.25+01:00` as `20240301103000.25+0100`.
fn hl7_time(text: &str) -> String {
    // HL7 v2 has four digits behind the second at most.
    const FRACTION_DIGITS_MAX: usize = 4;
    let (date, time) = match text.split_once('T') {
        Some((date, time)) => (date, time),
        None if text.contains(':') => ("", text),
        None => (text, ""),
    };
    let (clock, offset) = match time.find(['Z', '+', '-']) {
        Some(at) => time.split_at(at),
        None => (time, ""),
    };
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let mut written = String::with_capacity(text.len());
    written.extend(date.chars().chain(clock.chars()).filter(char::is_ascii_digit));
    if !fraction.is_empty() {
        written.push('.');
        written.extend(fraction.chars().take(FRACTION_DIGITS_MAX));
    }
    match offset {
        "Z" => written.push_str("+0000"),
        offset => written.extend(offset.chars().filter(|character| *character != ':')),
    }
    written
}

/// A time of a message as FHIR writes it: `19800501` as `1980-05-01`. What is no time of HL7 v2 stays what it is.
pub(super) fn fhir_time(text: Cow<'_, str>) -> Cow<'_, str> {
    let Ok(time) = Timestamp::parse(text.as_bytes()) else { return text };
    let mut written = format!("{:04}", time.year());
    // Writing to a string can't fail.
    for part in [time.month(), time.day()].into_iter().flatten() {
        let _ = write!(written, "-{part:02}");
    }
    if let (Some(hour), Some(_)) = (time.hour(), time.day()) {
        // FHIR has no hours without minutes (R4 §2.24.0.1, dateTime).
        let _ = write!(written, "T{hour:02}:{:02}", time.minute().unwrap_or(0));
        if let Some(second) = time.second() {
            let _ = write!(written, ":{second:02}");
        }
        if let Some(fraction) = time.fraction() {
            let digits = usize::from(fraction.digits());
            let nanoseconds = format!("{:09}", fraction.nanoseconds());
            let _ = write!(written, ".{}", nanoseconds.get(..digits).unwrap_or("0"));
        }
        if let Some(offset) = time.offset() {
            let minutes = offset.minutes();
            let (sign, apart) = (if minutes < 0 { '-' } else { '+' }, minutes.unsigned_abs());
            let _ = write!(written, "{sign}{:02}:{:02}", apart / 60, apart % 60);
        }
    }
    Cow::Owned(written)
}

#[cfg(test)]
mod tests {
    use pipehat_resource::fhirpath::{Context, Expression};
    use pipehat_resource::json;

    use super::*;

    #[test]
    fn values_are_written_as_hl7_has_them() {
        let resource = json::parse(
            br#"{"resourceType":"Observation","status":"final","id":"a|b","issued":"2024-03-01T10:30:00.123456Z",
                "effectiveDateTime":"2024-03-01T10:30:00+01:00","valueQuantity":{"value":1.50},
                "component":[{"valueBoolean":true},{"valueTime":"10:30:00"},{"valueDateTime":"2024-03"}],
                "code":{"text":"2024-03-01"}}"#,
        )
        .expect("JSON");
        let check = |expression: &str, expected: Option<&str>| {
            let expression = Expression::parse(expression).expect("an expression");
            let context = Context::new(jiff::Timestamp::UNIX_EPOCH);
            let items = expression.evaluate(&resource, &context).expect("items");
            let text = items.first().and_then(hl7_text);
            assert_eq!(text.as_deref(), expected, "{expression}");
        };
        check("id", Some("a|b"));
        check("issued", Some("20240301103000.1234+0000"));
        check("effective", Some("20240301103000+0100"));
        check("value.value", Some("1.50"));
        check("component[0].value", Some("true"));
        check("component[1].value", Some("103000"));
        check("component[2].value", Some("202403"));
        // A text that looks like a date is none, and `toString` gives what FHIR wrote.
        check("code.text", Some("2024-03-01"));
        check("effective.toString()", Some("2024-03-01T10:30:00+01:00"));
        check("@2024-03-01", Some("20240301"));
        check("1 + 1", Some("2"));
        check("1.0 + 0.5", Some("1.5"));
        check("code", None);
        check("value", None);
    }

    #[test]
    fn times_are_written_as_fhir_has_them() {
        let check = |text: &str, expected: &str| assert_eq!(fhir_time(text.into()), expected);
        check("1980", "1980");
        check("198005", "1980-05");
        check("19800501", "1980-05-01");
        check("2024030110", "2024-03-01T10:00");
        check("202403011030", "2024-03-01T10:30");
        check("20240301103005.25-0730", "2024-03-01T10:30:05.25-07:30");
        check("1980-05-01", "1980-05-01");
        check("19809901", "19809901");
    }
}
