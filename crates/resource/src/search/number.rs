//! Numbers and what their digits imply (FHIR R4 §3.1.1.4.5).

use super::exact::{ExactNumber, Written};
use super::query::Comparator;
use crate::json::Number;

/// A number that was asked for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ImpliedRange {
    pub(crate) value: ExactNumber,
    /// Inclusive.
    pub(crate) low: ExactNumber,
    /// Exclusive, but for `ap`.
    pub(crate) high: ExactNumber,
}

/// A decimal with the range its digits imply: half a unit of the last digit on both sides, whether or not it is written
/// with an exponent: `54e-1` and `5.4e0` are `5.4`. A single digit with an exponent counts as two, for the standard has
/// `1e2` mean 95 to 105, as `1.0e2` and `10e1` do. For `ap` it is a tenth more and less.
pub(crate) fn parse_number(text: &str, comparator: Comparator) -> Option<ImpliedRange> {
    // A `+` is not FHIR's, but clients write it, and JSON's own form has no leading one.
    let plain = text.strip_prefix('+').unwrap_or(text);
    Number::new(plain)?;
    let mut written = Written::read(plain);
    let has_exponent = plain.contains(['e', 'E']);
    if has_exponent && written.digits.trim_start_matches('0').len() < 2 {
        written.digits.push('0');
        written.unit = written.unit.saturating_sub(1);
    }
    let (low, high) = match comparator {
        Comparator::Approximately => written.a_tenth_beside(),
        _ => written.half_a_unit_beside(),
    };
    Some(ImpliedRange { value: written.exact(), low: low.exact(), high: high.exact() })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<(f64, f64, f64)>) {
        let found = parse_number(text, Comparator::Equal);
        let exact = |value| ExactNumber::of_double(value).unwrap();
        let expected = expected.map(|(value, low, high)| ImpliedRange {
            value: exact(value),
            low: exact(low),
            high: exact(high),
        });
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn digits_imply_a_range() {
        check("100", Some((100.0, 99.5, 100.5)));
        check("100.00", Some((100.0, 99.995, 100.005)));
        for text in ["1e2", "10e1", "1.0e2", "+1E2", "0.1e3"] {
            check(text, Some((100.0, 95.0, 105.0)));
        }
        for text in ["54e-1", "5.4e0", "0.54e1", "5.4"] {
            check(text, Some((5.4, 5.35, 5.45)));
        }
        check("100e0", Some((100.0, 99.5, 100.5)));
        check("5e0", Some((5.0, 4.95, 5.05)));
        check("-1e2", Some((-100.0, -105.0, -95.0)));
        check("5.4", Some((5.4, 5.35, 5.45)));
        check("5.40", Some((5.4, 5.395, 5.405)));
        check("-5.4", Some((-5.4, -5.45, -5.35)));
        check("0", Some((0.0, -0.5, 0.5)));
        check("0.1", Some((0.1, 0.05, 0.15)));
    }

    #[test]
    fn a_tenth_is_exact() {
        for (text, low, high) in [
            ("100", "90", "110"),
            ("-7e0", "-7.7", "-6.3"),
            ("0", "0", "0"),
            ("999.99", "899.991", "1099.989"),
            ("12345678901234567890.5", "11111111011111111101.45", "13580246791358024679.55"),
            ("1e999", "9e998", "1.1e999"),
        ] {
            let range = parse_number(text, Comparator::Approximately).unwrap();
            let exact = |text: &str| ExactNumber::new(&Number::new(text).unwrap());
            assert_eq!((range.low, range.high), (exact(low), exact(high)), "{text}");
        }
    }

    #[test]
    fn all_digits_count() {
        for (text, low, high) in [
            ("12345678901234567", "12345678901234566.5", "12345678901234567.5"),
            ("1.000000000000000001", "1.0000000000000000005", "1.0000000000000000015"),
            ("-0.1000000000000000000", "-0.10000000000000000005", "-0.09999999999999999995"),
            ("0.000000000000000000000", "-5e-22", "5e-22"),
            ("1e999", "9.5e998", "1.05e999"),
            ("1.50e-999999", "1.495e-999999", "1.505e-999999"),
        ] {
            let range = parse_number(text, Comparator::Equal).unwrap();
            let exact = |text: &str| ExactNumber::new(&Number::new(text).unwrap());
            assert_eq!((range.low, range.high), (exact(low), exact(high)), "{text}");
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in ["", "-", "1.", ".5", "1e", "0x1", "NaN", "inf", "1,5"] {
            check(text, None);
        }
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in "[+-]?[0-9]{1,30}(\\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?") {
            if let Some(range) = parse_number(&text, Comparator::Equal) {
                // So a resource with these digits is found by them.
                prop_assert!(range.low.compare(&range.value).is_le());
                prop_assert!(range.value.compare(&range.high).is_lt());
            }
        }
    }
}
