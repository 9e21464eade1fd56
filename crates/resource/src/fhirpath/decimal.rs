//! Decimals that are exact and keep their digits (FHIRPath N1 §4.1.5, FHIR R4 §2.24.0.1).

use std::cmp::Ordering;
use std::fmt;

/// Digits behind the point that a result keeps at most; FHIRPath asks for eight.
const SCALE_MAX: u8 = 28;
/// Digits behind the point of a quotient that does not end.
const QUOTIENT_SCALE: u8 = 20;
/// Digits in all that are read: more do not fit.
const DIGITS_MAX: usize = 38;

/// A decimal: an integer and how many of its digits stand behind the point. `1.50` is 150 and 2.
///
/// `==` is that of the digits; [`Decimal::compare`] that of the value. What leaves its range (38 digits)
/// is `None`, which FHIRPath makes the empty collection.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Decimal {
    digits: i128,
    scale: u8,
}

impl Decimal {
    /// Zero.
    pub const ZERO: Self = Self { digits: 0, scale: 0 };
    /// One.
    pub const ONE: Self = Self { digits: 1, scale: 0 };

    /// Reads a number as JSON and FHIRPath write it: `-1.50`, `2e3`.
    pub fn parse(text: &str) -> Option<Self> {
        let (number, exponent) = match text.split_once(['e', 'E']) {
            Some((number, exponent)) => (number, exponent.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (negative, number) = match number.as_bytes().first()? {
            b'-' => (true, number.get(1..)?),
            b'+' => (false, number.get(1..)?),
            _ => (false, number),
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() || (number.contains('.') && fraction.is_empty()) {
            return None;
        }
        let mut digits = 0i128;
        let mut count = 0usize;
        for byte in whole.bytes().chain(fraction.bytes()) {
            if !byte.is_ascii_digit() {
                return None;
            }
            count += usize::from(digits != 0 || byte != b'0');
            if count > DIGITS_MAX {
                return None;
            }
            digits = digits.checked_mul(10)?.checked_add(i128::from(byte - b'0'))?;
        }
        if negative {
            digits = -digits;
        }
        let scale = i32::try_from(fraction.len()).ok()?.checked_sub(exponent)?;
        if scale < 0 {
            return Some(Self { digits: digits.checked_mul(power_of_ten(-scale)?)?, scale: 0 });
        }
        if digits == 0 {
            let scale = u8::try_from(scale).unwrap_or(SCALE_MAX).min(SCALE_MAX);
            return Some(Self { digits, scale });
        }
        Some(Self { digits, scale: u8::try_from(scale).ok().filter(|scale| *scale <= 38)? })
    }

    /// The nearest decimal of a double, by its shortest digits.
    pub(super) fn of_f64(value: f64) -> Option<Self> {
        value.is_finite().then(|| format!("{value}")).and_then(|text| Self::parse(&text))
    }

    /// The nearest double.
    pub fn as_f64(self) -> f64 {
        self.to_string().parse().unwrap_or(f64::NAN)
    }

    /// The integer, where it is one and fits.
    pub fn as_i64(self) -> Option<i64> {
        let plain = self.normalized();
        if plain.scale == 0 { i64::try_from(plain.digits).ok() } else { None }
    }

    /// How many digits stand behind the point.
    pub fn scale(self) -> u8 {
        self.scale
    }

    /// Without the zeros at its end.
    pub(super) fn normalized(mut self) -> Self {
        while self.scale > 0 && self.digits % 10 == 0 {
            self.digits /= 10;
            self.scale -= 1;
        }
        self
    }

    /// The order of the values.
    pub fn compare(self, other: Self) -> Ordering {
        match aligned(self, other) {
            Some((one, two, _)) => one.cmp(&two),
            None => self.as_f64().partial_cmp(&other.as_f64()).unwrap_or(Ordering::Equal),
        }
    }

    pub(super) fn is_zero(self) -> bool {
        self.digits == 0
    }

    pub(super) fn is_negative(self) -> bool {
        self.digits < 0
    }

    pub(super) fn negated(self) -> Option<Self> {
        Some(Self { digits: self.digits.checked_neg()?, scale: self.scale })
    }

    pub(super) fn plus(self, other: Self) -> Option<Self> {
        let (one, two, scale) = aligned(self, other)?;
        Some(Self { digits: one.checked_add(two)?, scale })
    }

    pub(super) fn minus(self, other: Self) -> Option<Self> {
        self.plus(other.negated()?)
    }

    pub(super) fn times(self, other: Self) -> Option<Self> {
        let product = |one: Self, two: Self| {
            let digits = one.digits.checked_mul(two.digits)?;
            Some(Self { digits, scale: one.scale.checked_add(two.scale)? })
        };
        let exact = product(self, other).or_else(|| product(self.normalized(), other.normalized()));
        exact.map(|exact| exact.rounded(exact.scale.min(SCALE_MAX)))
    }

    /// The quotient: exact where it ends within twenty digits, else rounded there. `None` for a zero divisor.
    pub(super) fn over(self, other: Self) -> Option<Self> {
        let (one, two) = (self.normalized(), other.normalized());
        if two.digits == 0 {
            return None;
        }
        let mut scale = QUOTIENT_SCALE;
        loop {
            let shift = i32::from(scale) + i32::from(two.scale) - i32::from(one.scale);
            let scaled = if shift >= 0 {
                power_of_ten(shift)
                    .and_then(|power| one.digits.checked_mul(power))
                    .map(|digits| (digits, two.digits))
            } else {
                power_of_ten(-shift)
                    .and_then(|power| two.digits.checked_mul(power))
                    .map(|divisor| (one.digits, divisor))
            };
            match scaled {
                Some((digits, divisor)) => {
                    return Some(Self { digits: divided(digits, divisor)?, scale }.normalized());
                }
                None => scale = scale.checked_sub(1)?,
            }
        }
    }

    /// The quotient without what is behind its point.
    pub(super) fn whole_over(self, other: Self) -> Option<Self> {
        let (one, two, _) = aligned(self, other)?;
        Some(Self { digits: one.checked_div(two)?, scale: 0 })
    }

    /// What a whole quotient leaves, with the sign of the dividend.
    pub(super) fn remainder(self, other: Self) -> Option<Self> {
        let (one, two, scale) = aligned(self, other)?;
        Some(Self { digits: one.checked_rem(two)?, scale })
    }

    pub(super) fn truncated(self) -> Self {
        let power = power_of_ten(i32::from(self.scale)).unwrap_or(i128::MAX);
        Self { digits: self.digits / power, scale: 0 }
    }

    pub(super) fn floor(self) -> Option<Self> {
        let whole = self.truncated();
        if self.is_negative() && whole.compare(self) != Ordering::Equal {
            return whole.minus(Self::ONE);
        }
        Some(whole)
    }

    pub(super) fn ceiling(self) -> Option<Self> {
        let whole = self.truncated();
        if !self.is_negative() && whole.compare(self) != Ordering::Equal {
            return whole.plus(Self::ONE);
        }
        Some(whole)
    }

    /// To `scale` digits behind the point; a half goes away from zero. Fewer digits stay as they are.
    pub(super) fn rounded(self, scale: u8) -> Self {
        if scale >= self.scale {
            return self;
        }
        let rounded = power_of_ten(i32::from(self.scale - scale))
            .and_then(|power| divided(self.digits, power))
            .unwrap_or(0);
        Self { digits: rounded, scale }
    }

    /// A whole power, exact. `None` where it does not fit.
    pub(super) fn power(self, mut exponent: u32) -> Option<Self> {
        let (mut result, mut base) = (Self::ONE, self.normalized());
        loop {
            if exponent & 1 == 1 {
                result = result.times(base)?;
            }
            exponent >>= 1;
            if exponent == 0 {
                return Some(result);
            }
            base = base.times(base)?;
        }
    }
}

/// The quotient rounded, a half away from zero.
fn divided(digits: i128, divisor: i128) -> Option<i128> {
    let quotient = digits.checked_div(divisor)?;
    let rest = digits.checked_rem(divisor)?;
    let is_half = rest.unsigned_abs() >= divisor.unsigned_abs() - rest.unsigned_abs();
    if !is_half || rest == 0 {
        return Some(quotient);
    }
    if (digits < 0) == (divisor < 0) { quotient.checked_add(1) } else { quotient.checked_sub(1) }
}

fn power_of_ten(exponent: i32) -> Option<i128> {
    10i128.checked_pow(u32::try_from(exponent).ok()?)
}

fn aligned(one: Decimal, two: Decimal) -> Option<(i128, i128, u8)> {
    let align = |one: Decimal, two: Decimal| {
        let scale = one.scale.max(two.scale);
        let lift = |value: Decimal| {
            value.digits.checked_mul(power_of_ten(i32::from(scale - value.scale))?)
        };
        Some((lift(one)?, lift(two)?, scale))
    };
    align(one, two).or_else(|| align(one.normalized(), two.normalized()))
}

impl From<i64> for Decimal {
    fn from(value: i64) -> Self {
        Self { digits: value.into(), scale: 0 }
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scale = usize::from(self.scale);
        let digits = format!("{:0width$}", self.digits.unsigned_abs(), width = scale + 1);
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        let sign = if self.digits < 0 { "-" } else { "" };
        let point = if scale > 0 { "." } else { "" };
        write!(f, "{sign}{whole}{point}{fraction}")
    }
}

impl fmt::Debug for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::parse(text).expect(text)
    }

    fn check(actual: Option<Decimal>, expected: &str) {
        assert_eq!(actual.map(|value| value.to_string()).unwrap_or_default(), expected);
    }

    #[test]
    fn numbers_keep_their_digits() {
        for (text, shown) in [
            ("1.50", "1.50"),
            ("-0.010", "-0.010"),
            ("0", "0"),
            ("2e3", "2000"),
            ("1.5E-3", "0.0015"),
            ("0.00", "0.00"),
            ("99999999999999999999999999999999999999", "99999999999999999999999999999999999999"),
        ] {
            check(Decimal::parse(text), shown);
        }
        for text in ["", "-", ".5", "1.", "1e999", "1e-999", "a", "1_0", "1e99999999999"] {
            check(Decimal::parse(text), "");
        }
        check(Decimal::parse(&"9".repeat(39)), "");
        check(Decimal::parse("0e-999"), "0.0000000000000000000000000000");
    }

    #[test]
    fn arithmetic_is_exact() {
        check(decimal("0.1").plus(decimal("0.2")), "0.3");
        check(decimal("1.50").minus(decimal("0.5")), "1.00");
        check(decimal("1.2").times(decimal("1.5")), "1.80");
        check(decimal("1").over(decimal("3")), "0.33333333333333333333");
        check(decimal("2").over(decimal("3")), "0.66666666666666666667");
        check(decimal("-2").over(decimal("3")), "-0.66666666666666666667");
        check(decimal("6").over(decimal("2")), "3");
        check(decimal("1").over(decimal("0.00")), "");
        check(decimal("-5").whole_over(decimal("2")), "-2");
        check(decimal("-5").remainder(decimal("2")), "-1");
        check(decimal("5.5").remainder(decimal("0.7")), "0.6");
        check(decimal("2.5").power(3), "15.625");
        check(decimal("10").power(39), "");
        check(decimal("1").power(u32::MAX), "1");
        check(Some(decimal("2.5").rounded(0)), "3");
        check(Some(decimal("-2.5").rounded(0)), "-3");
        check(Some(decimal("3.14159").rounded(3)), "3.142");
        check(decimal("-1.1").floor(), "-2");
        check(decimal("-1.1").ceiling(), "-1");
        check(decimal("1.1").ceiling(), "2");
        check(
            decimal(&"9".repeat(38)).plus(Decimal::ONE),
            "100000000000000000000000000000000000000",
        );
        check(decimal(&"9".repeat(38)).times(decimal("10")), "");
    }

    #[test]
    fn values_compare_whatever_their_digits() {
        assert_eq!(decimal("1.50").compare(decimal("1.5")), Ordering::Equal);
        assert_eq!(decimal("-1").compare(decimal("1e-20")), Ordering::Less);
        assert_eq!(decimal("1e37").compare(decimal("1e-28")), Ordering::Greater);
    }
}
