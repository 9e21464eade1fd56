//! The forms of primitive types (R4 §2.24.0.1).

use crate::definitions::Primitive;
use crate::json::{self, Value};

/// R4 §2.24.0.1: "strings SHALL NOT exceed 1MB (1024*1024 characters) in size".
const STRING_CHARACTERS_MAX: usize = 1024 * 1024;

/// What is wrong with a value, if anything: what was expected.
pub(super) fn problem(primitive: Primitive, value: &Value) -> Option<&'static str> {
    match (primitive, value) {
        (Primitive::Boolean, Value::Bool(_)) => None,
        (Primitive::Boolean, _) => Some("expected true or false"),
        (Primitive::Decimal, Value::Number(_)) => None,
        (Primitive::Decimal, _) => Some("expected a number, not in quotes"),
        (Primitive::Integer, Value::Number(number)) => {
            (!is_integer(number.as_str(), i32::MIN)).then_some("expected a whole number of 32 bits")
        }
        (Primitive::UnsignedInt, Value::Number(number)) => (!is_integer(number.as_str(), 0))
            .then_some("expected a whole number from 0 to 2147483647"),
        (Primitive::PositiveInt, Value::Number(number)) => (!is_integer(number.as_str(), 1))
            .then_some("expected a whole number from 1 to 2147483647"),
        (Primitive::Integer | Primitive::UnsignedInt | Primitive::PositiveInt, _) => {
            Some("expected a whole number, not in quotes")
        }
        (_, Value::String(text)) => text_problem(primitive, text),
        (_, _) => Some("expected a string in quotes"),
    }
}

fn text_problem(primitive: Primitive, text: &str) -> Option<&'static str> {
    if text.is_empty() {
        return Some("a string must not be empty: leave the element out");
    }
    let bytes = text.as_bytes();
    match primitive {
        Primitive::String | Primitive::Markdown => string_problem(text),
        Primitive::Code => (!is_code(text))
            .then_some("a code has no white space at its ends, and single spaces inside"),
        Primitive::Id => {
            (!is_id(bytes)).then_some("expected 1 to 64 letters, digits, `-` and `.`")
        }
        Primitive::Uri | Primitive::Url | Primitive::Canonical => {
            has_space(text).then_some("a URI has no white space")
        }
        Primitive::Oid => (!is_oid(text)).then_some("expected an OID as in urn:oid:1.2.3"),
        Primitive::Uuid => (!is_uuid(text)).then_some(
            "expected a UUID in small letters as in urn:uuid:c757873d-ec9a-4326-a141-556f43239520",
        ),
        Primitive::Base64Binary => (!is_base64(bytes)).then_some("expected base64"),
        Primitive::Date => (!is_date(bytes))
            .then_some("expected a date as in 2024, 2024-05 or 2024-05-17"),
        Primitive::DateTime => (!is_date(bytes) && !is_instant(bytes)).then_some(
            "expected a date as in 2024, 2024-05 or 2024-05-17, or a date and time with seconds and time zone as in 2024-05-17T08:30:00+02:00",
        ),
        Primitive::Instant => (!is_instant(bytes)).then_some(
            "expected a date and time with seconds and time zone as in 2024-05-17T08:30:00+02:00",
        ),
        Primitive::Time => {
            (!is_time(bytes)).then_some("expected a time with seconds as in 08:30:00")
        }
        // Narrative is checked as a whole.
        Primitive::Xhtml => None,
        Primitive::Boolean
        | Primitive::Decimal
        | Primitive::Integer
        | Primitive::UnsignedInt
        | Primitive::PositiveInt => None,
    }
}

impl Primitive {
    /// What is wrong with a text as a value of this type, if anything: what was expected. For what is written in
    /// configuration; `true`, `false` and numbers stand there as FHIR writes them.
    pub fn problem_of(self, text: &str) -> Option<&'static str> {
        let value = match self {
            Self::Boolean
            | Self::Decimal
            | Self::Integer
            | Self::UnsignedInt
            | Self::PositiveInt => json::parse(text.as_bytes()).unwrap_or(Value::Null),
            _ => Value::String(text.to_owned()),
        };
        problem(self, &value)
    }
}

fn is_integer(digits: &str, least: i32) -> bool {
    let unsigned = digits.strip_prefix('-').unwrap_or(digits);
    unsigned.bytes().all(|byte| byte.is_ascii_digit())
        && digits.parse::<i32>().is_ok_and(|value| value >= least)
}

fn string_problem(text: &str) -> Option<&'static str> {
    if text.bytes().any(|byte| byte < b' ' && !matches!(byte, b'\t' | b'\n' | b'\r')) {
        return Some("a string has no control characters but tab, line feed and carriage return");
    }
    if text.len() > STRING_CHARACTERS_MAX && text.chars().count() > STRING_CHARACTERS_MAX {
        return Some("a string has at most 1048576 characters");
    }
    None
}

fn has_space(text: &str) -> bool {
    if text.is_ascii() {
        text.bytes().any(|byte| byte.is_ascii_whitespace() || byte == 0x0b)
    } else {
        text.chars().any(char::is_whitespace)
    }
}

/// `[^\s]+(\s[^\s]+)*`
fn is_code(text: &str) -> bool {
    if !has_space(text) {
        return true;
    }
    let mut after_space = true;
    for character in text.chars() {
        let is_space = character.is_whitespace();
        if is_space && after_space {
            return false;
        }
        after_space = is_space;
    }
    !after_space
}

/// `[A-Za-z0-9\-\.]{1,64}`
pub(super) fn is_id(bytes: &[u8]) -> bool {
    (1..=64).contains(&bytes.len())
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
}

/// `urn:oid:[0-2](\.(0|[1-9][0-9]*))+`
fn is_oid(text: &str) -> bool {
    let Some(arcs) = text.strip_prefix("urn:oid:") else { return false };
    let mut arcs = arcs.split('.');
    let mut count = 0;
    matches!(arcs.next(), Some("0" | "1" | "2"))
        && arcs.all(|arc| {
            count += 1;
            arc == "0"
                || (!arc.is_empty()
                    && !arc.starts_with('0')
                    && arc.bytes().all(|byte| byte.is_ascii_digit()))
        })
        && count > 0
}

/// `urn:uuid:` and groups of 8, 4, 4, 4 and 12 hexadecimal digits in small letters.
fn is_uuid(text: &str) -> bool {
    let Some(digits) = text.strip_prefix("urn:uuid:") else { return false };
    digits.len() == 36
        && digits.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_digit() || matches!(byte, b'a'..=b'f'),
        })
}

/// Groups of four, padded, with white space anywhere between them.
fn is_base64(bytes: &[u8]) -> bool {
    let mut digits = 0usize;
    let mut padding = 0usize;
    for byte in bytes {
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => {}
            b'=' => padding += 1,
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' if padding == 0 => digits += 1,
            _ => return false,
        }
    }
    digits > 0 && padding <= 2 && (digits + padding).is_multiple_of(4)
}

/// Two digits as a number.
fn two(bytes: &[u8]) -> Option<u32> {
    match bytes {
        [tens @ b'0'..=b'9', ones @ b'0'..=b'9'] => {
            Some(u32::from(tens - b'0') * 10 + u32::from(ones - b'0'))
        }
        _ => None,
    }
}

/// `YYYY`, `YYYY-MM` or `YYYY-MM-DD`, a day that there is.
fn is_date(bytes: &[u8]) -> bool {
    let Some((year, rest)) = bytes.split_at_checked(4) else { return false };
    let (Some(century), Some(within)) = (year.get(..2).and_then(two), year.get(2..).and_then(two))
    else {
        return false;
    };
    let year = century * 100 + within;
    if year == 0 {
        return false;
    }
    let month = match rest {
        [] => return true,
        [b'-', month @ ..] => month,
        _ => return false,
    };
    let (month, day) = match month {
        [tens, ones] => (two(&[*tens, *ones]), None),
        [tens, ones, b'-', day @ ..] => (two(&[*tens, *ones]), Some(two(day))),
        _ => return false,
    };
    let Some(month @ 1..=12) = month else { return false };
    match day {
        None => true,
        Some(day) => day.is_some_and(|day| (1..=days(year, month)).contains(&day)),
    }
}

fn days(year: u32, month: u32) -> u32 {
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// `hh:mm:ss` and a fraction; a 60th second is a leap second.
fn is_time(bytes: &[u8]) -> bool {
    let Some((time, rest)) = bytes.split_at_checked(8) else { return false };
    let [h1, h2, b':', m1, m2, b':', s1, s2] = time else { return false };
    let (Some(hour), Some(minute), Some(second)) =
        (two(&[*h1, *h2]), two(&[*m1, *m2]), two(&[*s1, *s2]))
    else {
        return false;
    };
    let fraction = match rest {
        [] => true,
        [b'.', digits @ ..] => !digits.is_empty() && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    hour < 24 && minute < 60 && second <= 60 && fraction
}

/// A day, `T`, a time, and `Z` or a zone up to ±14:00.
fn is_instant(bytes: &[u8]) -> bool {
    let Some((day, [b'T', rest @ ..])) = bytes.split_at_checked(10) else { return false };
    let Some(zone) = rest.iter().position(|byte| matches!(byte, b'Z' | b'+' | b'-')) else {
        return false;
    };
    let (time, zone) = rest.split_at(zone);
    let zone = match zone {
        b"Z" => true,
        [_, h1, h2, b':', m1, m2] => match (two(&[*h1, *h2]), two(&[*m1, *m2])) {
            (Some(14), Some(0)) => true,
            (Some(hour), Some(minute)) => hour < 14 && minute < 60,
            _ => false,
        },
        _ => false,
    };
    zone && is_date(day) && is_time(time)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::parse;

    fn holds(primitive: &str, json: &str) -> bool {
        let primitive = Primitive::named(primitive).expect("a primitive type");
        problem(primitive, &parse(json.as_bytes()).expect("JSON")).is_none()
    }

    #[track_caller]
    fn check(primitive: &str, good: &[&str], bad: &[&str]) {
        for json in good {
            assert!(holds(primitive, json), "{json} is a {primitive}");
        }
        for json in bad {
            assert!(!holds(primitive, json), "{json} is no {primitive}");
        }
    }

    #[test]
    fn numbers() {
        check(
            "integer",
            &["0", "-1", "2147483647", "-2147483648"],
            &["2147483648", "1.0", "1e2", "\"1\"", "true"],
        );
        check("unsignedInt", &["0", "2147483647"], &["-1", "-0.0", "\"0\""]);
        check("positiveInt", &["1"], &["0", "-1", "1.5"]);
        check("decimal", &["0", "1.50", "-2e10", "0.00000000000001"], &["\"1.5\"", "null"]);
        check("boolean", &["true", "false"], &["\"true\"", "1", "null"]);
    }

    #[test]
    fn texts() {
        check(
            "string",
            &["\"a\"", "\" \"", "\"a\\tb\\nc\"", "\"é\""],
            &["\"\"", "\"a\\u0000\"", "\"\\u001f\"", "1"],
        );
        check(
            "code",
            &["\"a\"", "\"a b\"", "\"a b c\""],
            &["\"\"", "\" a\"", "\"a \"", "\"a  b\"", "\"a\\u00a0\""],
        );
        check("id", &["\"A-b.9\""], &["\"\"", "\"a_b\"", "\"a b\"", "\"é\""]);
        check("uri", &["\"urn:x\"", "\"a/b?c=d#e\""], &["\"\"", "\"a b\"", "\"a\\n\""]);
        check(
            "oid",
            &["\"urn:oid:1.2.0\""],
            &[
                "\"urn:oid:3.1\"",
                "\"urn:oid:1\"",
                "\"urn:oid:1.02\"",
                "\"urn:oid:1..2\"",
                "\"1.2\"",
            ],
        );
        check(
            "uuid",
            &["\"urn:uuid:c757873d-ec9a-4326-a141-556f43239520\""],
            &[
                "\"urn:uuid:C757873d-ec9a-4326-a141-556f43239520\"",
                "\"c757873d-ec9a-4326-a141-556f43239520\"",
                "\"urn:uuid:c757873dec9a4326a141556f43239520\"",
            ],
        );
        check(
            "base64Binary",
            &["\"QUI=\"", "\"QUJD\\nQUJD\"", "\"QQ==\""],
            &["\"\"", "\"QUI\"", "\"Q===\"", "\"QU=I\"", "\"QU-_\""],
        );
    }

    #[test]
    fn dates() {
        let days =
            ["\"2024\"", "\"2024-02\"", "\"2024-02-29\"", "\"0001-01-01\"", "\"2000-02-29\""];
        let no_days = [
            "\"\"",
            "\"24\"",
            "\"0000\"",
            "\"2024-2\"",
            "\"2024-13\"",
            "\"2024-00\"",
            "\"2023-02-29\"",
            "\"1900-02-29\"",
            "\"2024-04-31\"",
            "\"2024-01-00\"",
            "\"20240101\"",
            "\"2024-01-01T\"",
            "\"２０２４\"",
            "\"2024-\"",
            "\"2024-01-\"",
        ];
        check("date", &days, &no_days);
        check("dateTime", &days, &no_days);
        let instants = [
            "\"2024-02-29T00:00:00Z\"",
            "\"2024-02-29T23:59:60.123456789+14:00\"",
            "\"2024-02-29T08:30:00-05:30\"",
        ];
        let no_instants = [
            "\"2024-02-29T08:30:00\"",
            "\"2024-02-29T08:30Z\"",
            "\"2024-02-29T24:00:00Z\"",
            "\"2024-02-30T08:30:00Z\"",
            "\"2024-02-29T08:30:00+14:01\"",
            "\"2024-02-29T08:30:00.Z\"",
            "\"2024-02-29 08:30:00Z\"",
            "\"2024-02-29T08:60:00Z\"",
            "\"2024-02T08:00:00Z\"",
        ];
        check("dateTime", &instants, &no_instants);
        check("instant", &instants, &no_instants);
        check("instant", &[], &["\"2024\"", "\"2024-02-29\""]);
        check(
            "time",
            &["\"00:00:00\"", "\"23:59:59.5\""],
            &["\"24:00:00\"", "\"8:00:00\"", "\"08:00\"", "\"08:00:00Z\"", "\"08:00:00.\""],
        );
    }

    #[test]
    fn a_string_has_a_limit() {
        let text = |count| Value::string("é".repeat(count));
        assert_eq!(problem(Primitive::String, &text(STRING_CHARACTERS_MAX)), None);
        assert!(problem(Primitive::String, &text(STRING_CHARACTERS_MAX + 1)).is_some());
        assert!(holds("id", &format!("\"{}\"", "a".repeat(64))));
        assert!(!holds("id", &format!("\"{}\"", "a".repeat(65))));
    }
}
