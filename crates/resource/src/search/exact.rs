//! Numbers as searches compare them: by all of their digits (FHIR R4 §2.24.0.1, §3.1.1.4.5).
//!
//! A double has some 16 digits, and decimals of FHIR may have any. So a number is kept as the double next to it and,
//! where it is not the very decimal that this double is written as, its digits in a form that a database puts in
//! order as texts, byte by byte. Nearly all numbers are written so, and have the double alone. Of two numbers, the
//! double decides first: the double next to the greater one is never the smaller.

use std::borrow::Cow;
use std::cmp::Ordering;

use crate::json::Number;

/// As many digits of a number count, from the first that is not 0; those behind are as if they were 0.
pub const DIGITS_MAX: usize = 1_000;

/// So many digits every double keeps, where it is neither very great nor very small.
const DOUBLE_DIGITS: usize = 15;

/// Numbers from ten to the power of this on are all the same; so are those that are as small.
const EXPONENT_MAX: i64 = 4_999_999_999;

/// Beyond every exponent that counts, with room to calculate.
const EXPONENT_FAR: i64 = 1 << 40;

/// A number, exactly.
#[derive(Debug, Clone, PartialEq)]
pub struct ExactNumber {
    nearest: f64,
    rest: Option<Box<str>>,
}

impl ExactNumber {
    /// Less than every number: the end of what is open downwards.
    pub const BELOW_ALL: Self = Self { nearest: f64::MIN, rest: None };
    /// More than every number.
    pub const ABOVE_ALL: Self = Self { nearest: f64::MAX, rest: None };

    /// A number as JSON has it.
    pub fn new(number: &Number) -> Self {
        let text = number.as_str();
        // Those few digits, and without an exponent: a double tells them apart.
        if text.len() <= DOUBLE_DIGITS && !text.contains(['e', 'E']) {
            let nearest = number.as_f64() + 0.0;
            if nearest.is_finite() {
                return Self { nearest, rest: None };
            }
        }
        Written::read(text).exact()
    }

    /// What a double is written as; nothing is less than -∞ and more than ∞. `None` for none.
    pub fn of_double(value: f64) -> Option<Self> {
        // Without the sign of 0.
        let nearest = (value + 0.0).clamp(f64::MIN, f64::MAX);
        if value.is_nan() {
            return None;
        }
        let is_end = value.is_finite() && nearest.abs() == f64::MAX;
        Some(match is_end {
            true => Written::read(&format!("{nearest:e}")).exact(),
            false => Self { nearest, rest: None },
        })
    }

    /// The double next to it; the greatest of all for what is greater, and so downwards.
    pub fn nearest(&self) -> f64 {
        self.nearest
    }

    /// Its digits, in the order of texts, where it is not what [`ExactNumber::nearest`] is written as.
    pub fn rest(&self) -> Option<&str> {
        self.rest.as_deref()
    }

    /// What [`ExactNumber::rest`] would be of a number that has none and the same double.
    pub fn plain(&self) -> Cow<'static, str> {
        plain(self.nearest)
    }

    /// Which of two is greater.
    pub fn compare(&self, other: &Self) -> Ordering {
        // No double here is none: `total_cmp` and `partial_cmp` agree, as there is no -0.
        self.nearest.total_cmp(&other.nearest).then_with(|| match (&self.rest, &other.rest) {
            (None, None) => Ordering::Equal,
            (Some(one), Some(two)) => one.cmp(two),
            (Some(one), None) => (**one).cmp(&*other.plain()),
            (None, Some(two)) => (*self.plain()).cmp(&**two),
        })
    }
}

/// The digits of the decimal that a double is written as. The greatest and the least double stand for open ends.
fn plain(nearest: f64) -> Cow<'static, str> {
    if nearest >= f64::MAX {
        Cow::Borrowed("~")
    } else if nearest <= f64::MIN {
        Cow::Borrowed("!")
    } else {
        Cow::Owned(Written::read(&format!("{nearest:e}")).key())
    }
}

/// Whether a number of a JSON text is more than the double next to it is written as.
pub fn has_long_number(json: &str) -> bool {
    let mut rest = json.as_bytes();
    loop {
        let is_start = |byte: &u8| matches!(byte, b'"' | b'-' | b'0'..=b'9');
        let Some(at) = rest.iter().position(is_start) else { return false };
        let from = rest.get(at..).unwrap_or_default();
        let length = if from.starts_with(b"\"") {
            string_length(from)
        } else {
            let in_number =
                |byte: &&u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
            from.iter().take_while(in_number).count()
        };
        let (token, behind) = from.split_at_checked(length).unwrap_or((from, &[]));
        let is_plain = token.starts_with(b"\"")
            || token.len() <= DOUBLE_DIGITS
                && !token.iter().any(|byte| matches!(byte, b'e' | b'E'));
        if !is_plain
            && let Some(number) = std::str::from_utf8(token).ok().and_then(Number::new)
            && ExactNumber::new(&number).rest().is_some()
        {
            return true;
        }
        rest = behind;
    }
}

/// Up to the quotation mark that ends a string.
fn string_length(from: &[u8]) -> usize {
    let mut escaped = false;
    let end = from.iter().skip(1).position(|byte| match byte {
        _ if escaped => {
            escaped = false;
            false
        }
        b'\\' => {
            escaped = true;
            false
        }
        byte => *byte == b'"',
    });
    end.map_or(from.len(), |end| end.saturating_add(2))
}

/// A decimal: its digits as an integer, times ten to the power of `unit`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) negative: bool,
    pub(super) digits: String,
    pub(super) unit: i64,
}

impl Written {
    /// Reads a JSON number.
    pub(super) fn read(text: &str) -> Self {
        let (negative, text) = match text.strip_prefix('-') {
            Some(text) => (true, text),
            None => (false, text),
        };
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let far = if exponent.starts_with('-') { -EXPONENT_FAR } else { EXPONENT_FAR };
        let exponent = exponent.parse::<i64>().unwrap_or(far).clamp(-EXPONENT_FAR, EXPONENT_FAR);
        let places = i64::try_from(fraction.len()).unwrap_or(EXPONENT_FAR);
        Self {
            negative,
            digits: format!("{whole}{fraction}"),
            unit: exponent.saturating_sub(places),
        }
    }

    pub(super) fn exact(&self) -> ExactNumber {
        let sign = if self.negative { "-" } else { "" };
        let text = format!("{sign}{}e{}", self.digits, self.unit);
        let nearest = text.parse::<f64>().unwrap_or(0.0) + 0.0;
        let nearest = nearest.clamp(f64::MIN, f64::MAX);
        let key = self.key();
        let rest = (key != plain(nearest)).then(|| key.into_boxed_str());
        ExactNumber { nearest, rest }
    }

    /// The digits so that texts are in the order of numbers: the sign, where the first digit stands, and the digits
    /// without zeros at their ends. Of negative numbers all that is turned round, and a mark behind makes the one with
    /// fewer digits the greater.
    fn key(&self) -> String {
        let digits = self.digits.trim_start_matches('0');
        if digits.is_empty() {
            return "2".to_owned();
        }
        let places = i64::try_from(digits.len()).unwrap_or(EXPONENT_FAR);
        let exponent = self.unit.saturating_add(places);
        let (exponent, digits) = match exponent.abs() < EXPONENT_MAX {
            true => (exponent, digits.get(..DIGITS_MAX).unwrap_or(digits).trim_end_matches('0')),
            false => (exponent.clamp(-EXPONENT_MAX, EXPONENT_MAX), ""),
        };
        let exponent = exponent.saturating_add(EXPONENT_MAX);
        if !self.negative {
            return format!("3{exponent:010}{digits}");
        }
        let turned = |byte: u8| char::from((b'0' + b'9').saturating_sub(byte));
        let all = format!("{exponent:010}{digits}");
        std::iter::once('1').chain(all.bytes().map(turned)).chain(['~']).collect()
    }

    /// Half a unit of its last digit less, and more.
    pub(super) fn half_a_unit_beside(&self) -> (Self, Self) {
        let unit = self.unit.saturating_sub(1);
        let outwards = Self { negative: self.negative, digits: format!("{}5", self.digits), unit };
        let inwards = match one_less(&self.digits) {
            Some(digits) => Self { negative: self.negative, digits: format!("{digits}5"), unit },
            None => Self { negative: !self.negative, digits: "5".to_owned(), unit },
        };
        if self.negative { (outwards, inwards) } else { (inwards, outwards) }
    }

    /// A tenth of it less, and more.
    pub(super) fn a_tenth_beside(&self) -> (Self, Self) {
        let times = |factor: u8| Self {
            negative: self.negative,
            digits: times(&self.digits, factor),
            unit: self.unit.saturating_sub(1),
        };
        if self.negative { (times(11), times(9)) } else { (times(9), times(11)) }
    }
}

/// An integer less one; `None` of zero.
fn one_less(digits: &str) -> Option<String> {
    let last = digits.rfind(|digit| digit != '0')?;
    let turned = digits.char_indices().map(|(at, digit)| match at.cmp(&last) {
        Ordering::Less => digit,
        Ordering::Equal => char::from(u8::try_from(digit).unwrap_or(b'1').saturating_sub(1)),
        Ordering::Greater => '9',
    });
    Some(turned.collect())
}

/// An integer times a small one.
fn times(digits: &str, factor: u8) -> String {
    let mut carry = 0u16;
    let mut turned: Vec<char> = Vec::with_capacity(digits.len().saturating_add(2));
    for byte in digits.bytes().rev() {
        let product = u16::from(byte.saturating_sub(b'0')) * u16::from(factor) + carry;
        turned.push(digit(product % 10));
        carry = product / 10;
    }
    turned.push(digit(carry % 10));
    turned.push(digit(carry / 10 % 10));
    turned.iter().rev().collect()
}

fn digit(value: u16) -> char {
    char::from_digit(u32::from(value), 10).unwrap_or('0')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exact(text: &str) -> ExactNumber {
        ExactNumber::new(&Number::new(text).unwrap())
    }

    #[test]
    fn numbers_are_put_in_order() {
        let ordered = [
            "-1e99999999998",
            "-1e999",
            "-1.7976931348623157e308",
            "-100.00000000000000000002",
            "-100.00000000000000000001",
            "-100",
            "-99.99999999999999999999",
            "-0.1",
            "-0.09999999999999999999999999999",
            "-1e-400",
            "-2e-401",
            "0",
            "1e-999999",
            "2e-401",
            "1e-400",
            "4.9e-324",
            "5e-324",
            "0.3",
            "0.30000000000000000000000000000000000000000000000000000000000000000000000000001",
            "0.30000000000000004",
            "1",
            "99.99999999999999999999",
            "100",
            "100.00000000000000000001",
            "100.000000000000000000010000001",
            "100.00000000000000000002",
            "123456789012345678",
            "123456789012345678.123456789",
            "1.797693134862315e308",
            "1.7976931348623157e308",
            "1.7976931348623158e308",
            "1e309",
            "1e999",
            "1.0000001e999",
            "1e99999",
            "1e999999999",
        ];
        let ends = |text: Option<&&str>| text.map(|text| exact(text));
        let mut numbers = vec![ExactNumber::BELOW_ALL];
        numbers.extend(ordered.iter().filter_map(|text| ends(Some(text))));
        numbers.push(ExactNumber::ABOVE_ALL);
        for (at, one) in numbers.iter().enumerate() {
            for (place, other) in numbers.iter().enumerate() {
                assert_eq!(one.compare(other), at.cmp(&place), "{one:?} and {other:?}");
                // As a database compares them.
                let text =
                    |of: &ExactNumber| of.rest().map_or(of.plain(), |r| Cow::Owned(r.to_owned()));
                let by_columns =
                    (one.nearest(), text(one)).partial_cmp(&(other.nearest(), text(other)));
                assert_eq!(by_columns, Some(at.cmp(&place)), "{one:?} and {other:?}");
            }
        }
    }

    #[test]
    fn the_same_number_is_one_however_it_is_written() {
        for (one, other) in [
            ("1", "1.000"),
            ("-0", "0e5"),
            ("100.00000000000000000001", "1.000000000000000000000100e2"),
            ("1e999", "0.00010e1003"),
            ("0.30000000000000004", "3.0000000000000004e-1"),
            ("1e88888888888", "2e99999999999999999999"),
            ("-1e-88888888888", "-2e-99999999999999999999"),
        ] {
            assert_eq!(exact(one), exact(other), "{one} and {other}");
        }
    }

    #[test]
    fn what_a_double_is_written_as_has_nothing_beside() {
        for text in
            ["0", "-5", "0.1", "1234567.12345678", "1.5e300", "0.30000000000000004", "1e-300"]
        {
            assert_eq!(exact(text).rest(), None, "{text}");
        }
        for text in ["0.3000000000000000", "12345678901234567", "0.10000000000000000001"] {
            let plain = exact(text).rest().is_none();
            assert_eq!(plain, text == "0.3000000000000000", "{text}");
        }
        for value in [1.5, -0.0, f64::MAX, f64::MIN, 5e-324, 0.1 + 0.2] {
            let of_text = exact(&format!("{value:e}"));
            assert_eq!(ExactNumber::of_double(value), Some(of_text), "{value}");
        }
        assert_eq!(ExactNumber::of_double(f64::NAN), None);
        assert_eq!(ExactNumber::of_double(f64::INFINITY), Some(ExactNumber::ABOVE_ALL));
        assert_eq!(ExactNumber::of_double(f64::NEG_INFINITY), Some(ExactNumber::BELOW_ALL));
    }

    #[test]
    fn long_numbers_are_found_in_a_text() {
        for (text, expected) in [
            ("{}", false),
            ("1.00000000000000000001", true),
            (r#"{"a":[1,2.5,-3e5,1e-300],"b":true}"#, false),
            (r#"{"a":1e999}"#, true),
            (r#"{"a":[{"b":-100.00000000000000000001}]}"#, true),
            (r#"{"a":100.00000000000000000000}"#, false),
            (r#"{"a":"1.00000000000000000001","12345678901234567":0}"#, false),
            (r#"{"a":"\"","b":12345678901234567}"#, true),
            (r#"{"a":"\\","b":12345678901234567}"#, true),
            (r#"{"a":"\\\" 12345678901234567","b":0}"#, false),
            (r#"{"a":"é 12345678901234567"#, false),
        ] {
            assert_eq!(has_long_number(text), expected, "{text}");
        }
    }

    #[test]
    fn digits_count_up_to_a_limit() {
        let long = |digits: usize, last: char| {
            let zeros = "0".repeat(digits.checked_sub(3).unwrap());
            exact(&format!("1.1{zeros}{last}"))
        };
        let at = long(DIGITS_MAX, '1').compare(&long(DIGITS_MAX, '2'));
        assert_eq!(at, Ordering::Less);
        let past = long(DIGITS_MAX + 1, '1').compare(&long(DIGITS_MAX + 1, '2'));
        assert_eq!(past, Ordering::Equal);
    }
}
