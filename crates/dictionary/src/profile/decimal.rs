//! Comparing numbers as they are written, without rounding.

use std::cmp::Ordering;

/// How two numbers compare; none where one of them is no number.
pub(super) fn compare_numbers(left: &[u8], right: &[u8]) -> Option<Ordering> {
    let (left, right) = (Number::read(left)?, Number::read(right)?);
    Some(match (left.negative, right.negative) {
        (false, true) => Ordering::Greater,
        (true, false) => Ordering::Less,
        (false, false) => left.magnitude(&right),
        (true, true) => right.magnitude(&left),
    })
}

struct Number<'n> {
    negative: bool,
    /// Without leading zeros.
    whole: &'n [u8],
    /// Without trailing zeros.
    fraction: &'n [u8],
}

impl<'n> Number<'n> {
    fn read(text: &'n [u8]) -> Option<Self> {
        let text = text.trim_ascii();
        let (signed, digits) = match text.split_first() {
            Some((b'-', rest)) => (true, rest),
            Some((b'+', rest)) => (false, rest),
            _ => (false, text),
        };
        let point = digits.iter().position(|&byte| byte == b'.');
        let (whole, fraction) = match point {
            Some(at) => (digits.get(..at)?, digits.get(at + 1..)?),
            None => (digits, b"".as_slice()),
        };
        let all_digits = |part: &[u8]| part.iter().all(u8::is_ascii_digit);
        if (whole.is_empty() && fraction.is_empty()) || !all_digits(whole) || !all_digits(fraction)
        {
            return None;
        }
        let leading = whole.iter().take_while(|&&byte| byte == b'0').count();
        let trailing = fraction.iter().rev().take_while(|&&byte| byte == b'0').count();
        let whole = whole.get(leading..)?;
        let fraction = fraction.get(..fraction.len() - trailing)?;
        let negative = signed && !(whole.is_empty() && fraction.is_empty());
        Some(Self { negative, whole, fraction })
    }

    fn magnitude(&self, other: &Self) -> Ordering {
        self.whole
            .len()
            .cmp(&other.whole.len())
            .then_with(|| self.whole.cmp(other.whole))
            .then_with(|| self.fraction.cmp(other.fraction))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_compare_by_what_they_mean() {
        let check = |left: &str, right: &str, expected| {
            assert_eq!(
                compare_numbers(left.as_bytes(), right.as_bytes()),
                expected,
                "{left} {right}"
            );
        };
        check("7", "007.0", Some(Ordering::Equal));
        check("10", "9", Some(Ordering::Greater));
        check("-10", "9", Some(Ordering::Less));
        check("-10", "-9", Some(Ordering::Less));
        check("0.10", ".1", Some(Ordering::Equal));
        check("0.09", ".1", Some(Ordering::Less));
        check("-0", "0", Some(Ordering::Equal));
        check("1e3", "1", None);
        check("", "1", None);
        check(".", "1", None);
    }
}
