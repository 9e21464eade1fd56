//! Values of one component: texts, numbers, date-times.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use pipehat_dictionary::Version;
use pipehat_resource::fhirpath::Item;
use pipehat_resource::json::Value;

use super::profile::{Offsets, Profile};

/// Who writes a value that is no map's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Primitive {
    /// A text as it stands: ST, IS, ID.
    Text,
    /// A text whose line breaks are `\.br\` (data type FT, HL7 v2.5.1 §2.A.31).
    Formatted,
    /// The text that is in Base64.
    Decoded,
    /// A number with its digits.
    Number,
    /// `Y` and `N` (table 0136).
    YesNo,
    /// A point in time, as precise as it is.
    DateTime,
    /// A point in time in its own offset: of a birth the date is what counts, wherever the receiver is.
    OwnDateTime,
    /// A date.
    Date,
    /// A time of day.
    Time,
    /// The number of a segment among those of its name and group.
    SetId,
    /// The number of a segment among all of its name.
    SetIdOfMessage,
    /// A code alone.
    Code,
    /// A code with its display and system, alternates and text: CE and CWE.
    Concept,
    /// HD.1 of an Identifier's authority.
    Namespace,
    /// HD.2 of it.
    UniversalId,
    /// HD.3 of it.
    UniversalIdType,
    /// What CWE.3 says for a system.
    CodingSystem,
    /// What kind of identifier one is (table 0203).
    IdentifierType,
    /// It stands nowhere, and a finding says why.
    Nothing,
}

impl Primitive {
    const ALL: [(&'static str, Self); 19] = [
        ("ST", Self::Text),
        ("FT", Self::Formatted),
        ("decoded", Self::Decoded),
        ("NM", Self::Number),
        ("YN", Self::YesNo),
        ("TS", Self::DateTime),
        ("own-TS", Self::OwnDateTime),
        ("DT", Self::Date),
        ("TM", Self::Time),
        ("set-id", Self::SetId),
        ("set-id-of-message", Self::SetIdOfMessage),
        ("code", Self::Code),
        ("concept", Self::Concept),
        ("namespace", Self::Namespace),
        ("universal-id", Self::UniversalId),
        ("universal-id-type", Self::UniversalIdType),
        ("coding-system", Self::CodingSystem),
        ("identifier-type", Self::IdentifierType),
        ("nothing", Self::Nothing),
    ];

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(own, _)| *own == name).map(|&(_, writer)| writer)
    }
}

/// The text of a primitive, as FHIR writes it.
pub(super) fn text_of(item: &Item<'_>) -> Option<String> {
    match item {
        Item::Boolean(value) => Some(value.to_string()),
        Item::Integer(value) => Some(value.to_string()),
        Item::Decimal(value) => Some(value.to_string()),
        Item::Date(value) => Some(value.to_string()),
        Item::DateTime(value) => Some(value.to_string()),
        Item::Time(value) => Some(value.to_string()),
        item => match item.json() {
            Some(Value::Number(number)) => plain_number(number.as_str()),
            Some(Value::Bool(value)) => Some(value.to_string()),
            _ => item.as_str().map(str::to_owned),
        },
    }
}

/// The digits of a number at most, where it has an exponent: far more than a measurement has, or NM is long (HL7 v2.5.1
/// §2.A.49).
const DIGITS_MAX: usize = 64;

/// A number without an exponent, which NM has not (HL7 v2.5.1 §2.A.49), with all its digits: `5e-1` is `0.5`, `1.20e2` is
/// `120`. None where these would be more than there may be.
fn plain_number(text: &str) -> Option<String> {
    let Some((mantissa, exponent)) = text.split_once(['e', 'E']) else {
        return Some(text.to_owned());
    };
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", mantissa),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut digits = format!("{whole}{fraction}");
    let exponent: i64 = exponent.parse().ok()?;
    let places = i64::try_from(fraction.len()).ok()?.checked_sub(exponent)?;
    let is_short = |places: i64| usize::try_from(places).is_ok_and(|places| places <= DIGITS_MAX);
    if digits.len() > DIGITS_MAX || !is_short(places.abs()) {
        return None;
    }
    let shift = usize::try_from(places.unsigned_abs()).ok()?;
    if places < 0 {
        digits.push_str(&"0".repeat(shift));
    } else if shift > 0 {
        // A digit stands before the point.
        let missing = (shift + 1).saturating_sub(digits.len());
        digits.insert_str(0, &"0".repeat(missing));
        digits.insert(digits.len() - shift, '.');
    }
    let (whole, fraction) = digits.split_once('.').map_or((&*digits, None), |(w, f)| (w, Some(f)));
    let whole = match whole.trim_start_matches('0') {
        "" => "0",
        whole => whole,
    };
    let fraction = fraction.map(|digits| format!(".{digits}")).unwrap_or_default();
    let plain = format!("{sign}{whole}{fraction}");
    (plain.len() <= DIGITS_MAX).then_some(plain)
}

/// The text that is in Base64, if it is one.
pub(super) fn decoded(text: &str) -> Option<String> {
    let bytes = STANDARD.decode(text.split_ascii_whitespace().collect::<String>()).ok()?;
    String::from_utf8(bytes).ok()
}

/// A FHIR instant, dateTime or date as TS or DTM (HL7 v2.5.1 §2.A.22), in the profile's zone.
///
/// `None` for what is no date.
pub(super) fn date_time(text: &str, profile: &Profile, version: Version) -> Option<String> {
    let (date, time) = text.split_once('T').map_or((text, None), |(date, time)| (date, Some(time)));
    let Some(time) = time else { return digits_of_date(date) };
    let (clock, offset) = split_offset(time);
    if let (Some(zone), Some(_)) = (&profile.zone, offset) {
        let at: Timestamp = text.parse().ok()?;
        let local = at.to_zoned(zone.clone()).strftime("%Y-%m-%dT%H:%M:%S").to_string();
        let (date, whole) = local.split_once('T')?;
        let fraction = clock.split_once('.').map(|(_, digits)| digits);
        let clock = fraction.map_or_else(|| whole.to_owned(), |digits| format!("{whole}.{digits}"));
        let offset = at.to_zoned(zone.clone()).strftime("%z").to_string();
        return joined(date, &clock, Some(&offset), profile, version);
    }
    joined(date, clock, offset, profile, version)
}

fn joined(
    date: &str,
    clock: &str,
    offset: Option<&str>,
    profile: &Profile,
    version: Version,
) -> Option<String> {
    let mut written = digits_of_date(date)?;
    written.push_str(&time_of_day(clock)?);
    // Before 2.3 a TS has no zone (HL7 v2.2 §2.8.10.4).
    if let Some(offset) = offset
        && profile.offsets == Offsets::Written
        && version >= Version::V2_3
    {
        match offset {
            "Z" => written.push_str("+0000"),
            offset => written.extend(offset.chars().filter(|&it| it != ':')),
        }
    }
    Some(written)
}

/// `2026-05-06` as `20260506`, as precise as it is.
pub(super) fn digits_of_date(date: &str) -> Option<String> {
    let digits: String = date.split('-').collect();
    let is_date = matches!(digits.len(), 4 | 6 | 8) && digits.bytes().all(|it| it.is_ascii_digit());
    is_date.then_some(digits)
}

/// `07:08:09.12` as `070809.12`; a fraction has at most four digits (HL7 v2.5.1 §2.A.75).
pub(super) fn time_of_day(time: &str) -> Option<String> {
    let (clock, _) = split_offset(time);
    let (whole, fraction) = clock.split_once('.').map_or((clock, ""), |(whole, it)| (whole, it));
    let mut written: String = whole.split(':').collect();
    let is_time = matches!(written.len(), 4 | 6)
        && written.bytes().chain(fraction.bytes()).all(|it| it.is_ascii_digit());
    let fraction: String = fraction.chars().take(4).collect();
    // Nothing behind the second is said by zeros only; `.000` is how many systems print every instant.
    if fraction.bytes().any(|digit| digit != b'0') {
        written.push('.');
        written.push_str(&fraction);
    }
    is_time.then_some(written)
}

fn split_offset(time: &str) -> (&str, Option<&str>) {
    match time.find(['Z', '+', '-']) {
        Some(at) => (time.get(..at).unwrap_or(time), time.get(at..)),
        None => (time, None),
    }
}

#[cfg(test)]
mod tests {
    use super::plain_number;

    #[track_caller]
    fn check(number: &str, expected: Option<&str>) {
        assert_eq!(plain_number(number).as_deref(), expected, "{number}");
    }

    #[test]
    fn a_number_is_written_without_an_exponent_and_with_its_digits() {
        for number in ["0", "-1.50", "120", "0.000"] {
            check(number, Some(number));
        }
        check("5e-1", Some("0.5"));
        check("-5E-1", Some("-0.5"));
        check("1.20e2", Some("120"));
        check("1.2e+3", Some("1200"));
        check("1.200e2", Some("120.0"));
        check("12.50e-3", Some("0.01250"));
        check("123e-2", Some("1.23"));
        check("1e0", Some("1"));
        check("0.5e1", Some("5"));
        check("0e5", Some("0"));
        check("0e-2", Some("0.00"));
    }

    #[test]
    fn how_long_a_number_may_get() {
        check("1e63", Some(&format!("1{}", "0".repeat(63))));
        check("1e64", None);
        check("1e-62", Some(&format!("0.{}1", "0".repeat(61))));
        check("1e-63", None);
        for huge in [
            "1e999",
            "1e-999",
            "0e999999999",
            "1e99999999999999999999",
            "1e9223372036854775807",
            "1e-9223372036854775808",
        ] {
            check(huge, None);
        }
    }
}
