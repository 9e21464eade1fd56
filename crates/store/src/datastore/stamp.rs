//! What the store writes into a resource: its id, its version and when it was written.

use pipehat_resource::json::{Object, Value};

use super::interaction::ResourceKey;

/// Times are kept to the millisecond: that is what `meta.lastUpdated` shows, and what clients in JavaScript can
/// give back.
pub(super) const MICROS_PER_STEP: i64 = 1000;

/// The time of a new version: `now`, or just behind the version before.
pub(super) fn next_time(now: i64, before: Option<i64>) -> i64 {
    let now = now.div_euclid(MICROS_PER_STEP).saturating_mul(MICROS_PER_STEP);
    match before {
        Some(before) => now.max(before.saturating_add(MICROS_PER_STEP)),
        None => now,
    }
}

/// The type and id of a resource.
pub(super) fn key_of(resource: &Value) -> Option<ResourceKey> {
    Some(ResourceKey {
        resource_type: resource.resource_type()?.to_owned(),
        id: resource.id()?.to_owned(),
    })
}

/// Gives a resource its id, behind the type where it has none.
pub(super) fn set_id(resource: &mut Value, id: &str) {
    let Some(object) = resource.as_object_mut() else { return };
    match object.get_mut("id") {
        Some(own) => *own = Value::string(id),
        None => {
            let behind = object.iter().position(|(name, _)| name == "resourceType");
            object.insert(behind.map_or(0, |at| at + 1), "id", Value::string(id));
        }
    }
}

/// Writes `meta.versionId` and `meta.lastUpdated`, where they stand or behind the id. All else stays.
pub(super) fn stamp(resource: &mut Value, version: u64, last_updated: i64) {
    let Some(object) = resource.as_object_mut() else { return };
    if object.get("meta").and_then(Value::as_object).is_none() {
        let behind = object.iter().position(|(name, _)| name == "id");
        object.insert(behind.map_or(1, |at| at + 1), "meta", Object::new().into());
    }
    let Some(meta) = object.get_mut("meta").and_then(Value::as_object_mut) else { return };
    let members = [("versionId", version.to_string()), ("lastUpdated", instant(last_updated))];
    for (position, (name, text)) in members.into_iter().enumerate() {
        match meta.get_mut(name) {
            Some(own) => *own = Value::String(text),
            None => meta.insert(position, name, Value::String(text)),
        }
    }
}

/// An instant as FHIR writes it, to the millisecond, in UTC.
pub(super) fn instant(micros: i64) -> String {
    let millis = micros.div_euclid(1000);
    let (days, of_day) = (millis.div_euclid(86_400_000), millis.rem_euclid(86_400_000));
    // From days to year, month and day: the era of 400 years begins on 1 March.
    let shifted = days.saturating_add(719_468);
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute) = (of_day / 3_600_000, of_day / 60_000 % 60);
    let (second, milli) = (of_day / 1000 % 60, of_day % 1000);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

#[cfg(test)]
mod tests {
    use pipehat_resource::json::parse;

    use super::*;

    #[test]
    fn instants_are_those_of_the_calendar() {
        for text in [
            "1970-01-01T00:00:00.000Z",
            "1969-12-31T23:59:59.999Z",
            "2000-02-29T12:34:56.789Z",
            "2100-03-01T00:00:00.001Z",
            "0001-01-01T00:00:00.000Z",
            "9999-12-30T21:59:59.999Z",
        ] {
            let parsed: jiff::Timestamp = text.parse().unwrap();
            assert_eq!(instant(parsed.as_microsecond()), text);
        }
    }

    fn check(before: &str, after: &str) {
        let mut value = parse(before.as_bytes()).unwrap();
        stamp(&mut value, 2, 1_700_000_000_123_456);
        assert_eq!(value.to_json(), after);
    }

    #[test]
    fn only_version_and_time_are_written() {
        let (version, time) = (r#""versionId":"2""#, r#""lastUpdated":"2023-11-14T22:13:20.123Z""#);
        check(
            r#"{"resourceType":"Patient","id":"a","active":true}"#,
            &format!(
                r#"{{"resourceType":"Patient","id":"a","meta":{{{version},{time}}},"active":true}}"#
            ),
        );
        check(
            r#"{"resourceType":"Patient","meta":{"tag":[],"lastUpdated":"x"},"id":"a"}"#,
            &format!(
                r#"{{"resourceType":"Patient","meta":{{{version},"tag":[],{time}}},"id":"a"}}"#
            ),
        );
    }

    #[test]
    fn versions_of_a_resource_never_go_back_in_time() {
        assert_eq!(next_time(1_999, None), 1_000);
        assert_eq!(next_time(1_999, Some(1_000)), 2_000);
        assert_eq!(next_time(1_999, Some(7_000)), 8_000);
    }
}
