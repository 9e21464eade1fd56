//! NM (HL7 v2.5.1 §2.A.47) as a JSON number: the digits stay, only what JSON does not know goes.

use std::borrow::Cow;

/// A number of more digits is refused: no measurement has them, and readers of JSON would lose them.
const DIGITS_MAX: usize = 64;

/// A decimal: a leading plus goes, leading zeros go, `.5` gets its zero.
pub(crate) fn decimal(text: &str) -> Option<Cow<'_, str>> {
    let text = text.trim();
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let (integer, fraction) =
        digits.split_once('.').map_or((digits, None), |(left, right)| (left, Some(right)));
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let is_number = all_digits(integer)
        && fraction.is_none_or(all_digits)
        && digits.len() <= DIGITS_MAX
        && !(integer.is_empty() && fraction.is_none_or(str::is_empty));
    if !is_number {
        return None;
    }
    let short = integer.trim_start_matches('0');
    let short = if short.is_empty() { "0" } else { short };
    match fraction {
        _ if short == integer && !text.starts_with('+') && fraction != Some("") => {
            Some(Cow::Borrowed(text))
        }
        None | Some("") => Some(Cow::Owned(format!("{sign}{short}"))),
        Some(fraction) => Some(Cow::Owned(format!("{sign}{short}.{fraction}"))),
    }
}

/// A comparator of FHIR's (R4 quantity-comparator) and the number behind it: `<5`, `>= 0.5`.
pub(crate) fn compared(text: &str) -> Option<(&'static str, Cow<'_, str>)> {
    let text = text.trim();
    ["<=", ">=", "<", ">"].into_iter().find_map(|sign| {
        let number = text.strip_prefix(sign)?.trim_start();
        // `<-5` and `<+5` may mean what they say, or a range.
        number.starts_with(|first: char| first.is_ascii_digit() || first == '.').then_some(())?;
        Some((sign, decimal(number)?))
    })
}

/// A whole number of at least `least`; a fraction of zeros is none.
pub(crate) fn whole(text: &str, least: i32) -> Option<Cow<'static, str>> {
    let digits = decimal(text)?;
    let (integer, fraction) = digits.split_once('.').unwrap_or((&digits, ""));
    if fraction.bytes().any(|byte| byte != b'0') {
        return None;
    }
    let value: i32 = integer.parse().ok().filter(|value| *value >= least)?;
    Some(Cow::Owned(value.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<&str>) {
        assert_eq!(decimal(text).as_deref(), expected, "{text}");
    }

    #[test]
    fn digits_stay_as_they_are() {
        check("7.40", Some("7.40"));
        check("-0.5", Some("-0.5"));
        check("0", Some("0"));
        check("+5", Some("5"));
        check("007", Some("7"));
        check("-00.10", Some("-0.10"));
        check(".5", Some("0.5"));
        check("5.", Some("5"));
        check("12345678901234567890.123", Some("12345678901234567890.123"));
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in ["", ".", "-", "1e5", "<5", "5 mg", "1,5", "1.2.3"] {
            check(text, None);
        }
        check(&"9".repeat(65), None);
    }

    #[test]
    fn a_comparator_stands_before_a_number() {
        let check = |text: &str, expected: Option<(&str, &str)>| {
            let found = compared(text);
            assert_eq!(found.as_ref().map(|(sign, number)| (*sign, &**number)), expected, "{text}");
        };
        check("<5", Some(("<", "5")));
        check(">= 0.50", Some((">=", "0.50")));
        for text in ["5", "<", "<<5", "<-5", "=5", "<5,0", "<5 mg", "<>5"] {
            check(text, None);
        }
    }

    #[test]
    fn whole_numbers_have_a_least() {
        assert_eq!(whole("007", 1).as_deref(), Some("7"));
        assert_eq!(whole("3.0", 1).as_deref(), Some("3"));
        assert_eq!(whole("0", 1), None);
        assert_eq!(whole("3.5", 0), None);
        assert_eq!(whole("99999999999", 0), None);
    }
}
