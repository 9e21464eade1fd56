//! Decimal numbers as HL7 writes them (NM, HL7 v2.5.1 §2.A.47), compared exactly.
//!
//! Identifiers of twenty digits are numbers, too: binary floating point would call two different
//! ones equal, so that numbers are compared as the digits they are written in.

use std::cmp::Ordering;

/// A number as written: an optional sign, digits, an optional point with digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Decimal<'t> {
    negative: bool,
    /// Without leading zeros.
    whole: &'t str,
    /// Without trailing zeros.
    fraction: &'t str,
}

impl<'t> Decimal<'t> {
    /// Reads a number; spaces around it are allowed, for senders pad.
    pub(super) fn parse(text: &'t str) -> Option<Self> {
        let text = text.trim_matches(' ');
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if (whole.is_empty() && fraction.is_empty()) || !all_digits(whole) || !all_digits(fraction)
        {
            return None;
        }
        let whole = whole.trim_start_matches('0');
        let fraction = fraction.trim_end_matches('0');
        let zero = whole.is_empty() && fraction.is_empty();
        Some(Self { negative: negative && !zero, whole, fraction })
    }

    /// Less, equal or greater.
    pub(super) fn compare(&self, other: &Decimal<'_>) -> Ordering {
        match (self.negative, other.negative) {
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
            (false, false) => self.compare_size(other),
            (true, true) => other.compare_size(self),
        }
    }

    fn compare_size(&self, other: &Decimal<'_>) -> Ordering {
        let length = self.whole.len().cmp(&other.whole.len());
        length.then_with(|| self.whole.cmp(other.whole)).then_with(|| {
            // Without trailing zeros the order of the texts is the order of the fractions.
            self.fraction.cmp(other.fraction)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(left: &str, expected: Ordering, right: &str) {
        let (Some(a), Some(b)) = (Decimal::parse(left), Decimal::parse(right)) else {
            panic!("{left} and {right} are numbers");
        };
        assert_eq!(a.compare(&b), expected, "{left} {right}");
        assert_eq!(b.compare(&a), expected.reverse(), "{right} {left}");
    }

    #[test]
    fn numbers_compare_exactly() {
        check("7", Ordering::Equal, "007.00");
        check("-0", Ordering::Equal, "0.0");
        check("10", Ordering::Greater, "9.99");
        check("-10", Ordering::Less, "-9.99");
        check("-1", Ordering::Less, "+1");
        check("0.5", Ordering::Greater, ".45");
        check("12345678901234567890", Ordering::Less, "12345678901234567891");
        check(" 5 ", Ordering::Equal, "5.");
    }

    #[test]
    fn other_texts_are_not_numbers() {
        for text in ["", " ", ".", "-", "1e3", "1,5", "0x1", "1.2.3", "--1", "١"] {
            assert_eq!(Decimal::parse(text), None, "{text:?}");
        }
    }
}
