//! Numbers and what their digits imply (FHIR R4 §3.1.1.4.5).

use crate::json::Number;

/// A number that was asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct ImpliedRange {
    pub(crate) value: f64,
    /// Inclusive.
    pub(crate) low: f64,
    /// Exclusive.
    pub(crate) high: f64,
}

/// A decimal with the range its digits imply: half a unit of the last digit on both sides, whether or not it is written
/// with an exponent: `54e-1` and `5.4e0` are `5.4`. A single digit with an exponent counts as two, for the standard has
/// `1e2` mean 95 to 105, as `1.0e2` and `10e1` do.
pub(crate) fn parse_number(text: &str) -> Option<ImpliedRange> {
    // A `+` is not FHIR's, but clients write it, and JSON's own form has no leading one.
    let plain = text.strip_prefix('+').unwrap_or(text);
    Number::new(plain)?;
    let value: f64 = plain.parse().ok().filter(|value: &f64| value.is_finite())?;
    let (mantissa, exponent) = match plain.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => {
            let digits = mantissa.bytes().filter(u8::is_ascii_digit);
            let is_single = digits.skip_while(|digit| *digit == b'0').count() < 2;
            (mantissa, exponent.parse::<i32>().ok()?.checked_sub(i32::from(is_single))?)
        }
        None => (plain, 0),
    };
    let decimals = mantissa.split_once('.').map_or(0, |(_, decimals)| decimals.len());
    let unit = exponent.checked_sub(i32::try_from(decimals).ok()?)?;
    // Of more digits than a double has, the ends may be the same double as the number. What has its very digits stands
    // in the index between the doubles beside, and is found all the same.
    let digits = mantissa.bytes().filter(u8::is_ascii_digit).count();
    let (least, most) =
        if digits > 15 { (value.next_down(), value.next_up()) } else { (value, value) };
    let high = shifted(plain, value, 1, unit);
    Some(ImpliedRange {
        value,
        low: shifted(plain, value, -1, unit).min(least),
        high: if high > most { high } else { most.next_up() },
    })
}

/// `value` and five tenths of 10^`unit` more or less. Done in decimal where it can be, so that 5.4 has the upper
/// end that 5.45 is, and not its neighbour.
fn shifted(text: &str, value: f64, sign: i8, unit: i32) -> f64 {
    let exact = || {
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, decimals) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let scale =
            exponent.parse::<i32>().ok()?.checked_sub(i32::try_from(decimals.len()).ok()?)?;
        // The last digit that counts is that of the half unit.
        let steps = u32::try_from(scale.checked_sub(unit.checked_sub(1)?)?).ok()?;
        let digits: i128 = format!("{whole}{decimals}").parse().ok()?;
        let digits = digits.checked_mul(10_i128.checked_pow(steps)?)?;
        let shifted = digits.checked_add(i128::from(sign).checked_mul(5)?)?;
        format!("{shifted}e{}", unit.checked_sub(1)?).parse::<f64>().ok()
    };
    exact().unwrap_or_else(|| value + f64::from(sign) * 5.0 * 10_f64.powi(unit.saturating_sub(1)))
}

/// A tenth more or less: what `ap` means.
pub(crate) fn approximately(value: f64) -> ImpliedRange {
    let tenth = value.abs() / 10.0;
    ImpliedRange { value, low: value - tenth, high: value + tenth }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<(f64, f64, f64)>) {
        let found = parse_number(text).map(|range| (range.value, range.low, range.high));
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
    fn more_digits_than_a_double_has() {
        for text in [
            "12345678901234567",
            "123456789.123456789",
            "1.000000000000000001",
            "-0.1000000000000000055",
        ] {
            let range = parse_number(text).unwrap();
            assert!(range.low <= range.value.next_down(), "{text}");
            assert!(range.value.next_up() < range.high, "{text}");
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in
            ["", "-", "1.", ".5", "1e", "0x1", "NaN", "inf", "1e999", "1e99999999999", "1,5"]
        {
            check(text, None);
        }
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in "[+-]?[0-9]{1,30}(\\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?") {
            if let Some(range) = parse_number(&text) {
                // So a resource with these digits is found by them.
                prop_assert!(range.low <= range.value && range.value < range.high);
            }
        }
    }
}
