//! Numbers that people, visits and orders have, with the check digits of the schemes they declare (table 0061).

/// How a check digit is made (HL7 v2.5.1 §2.A.14.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    None,
    /// Mod 10 as HL7 writes it out: odd positions from the right doubled as one number.
    Mod10,
    /// Mod 11 with weights 2 to 7 from the right.
    Mod11,
}

impl Scheme {
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Mod10 => "M10",
            Self::Mod11 => "M11",
        }
    }

    /// The check digit of a number; none where the number has none in this scheme.
    pub(crate) fn digit(self, number: u64) -> Option<u64> {
        match self {
            Self::None => None,
            Self::Mod10 => Some(mod10(number)),
            Self::Mod11 => mod11(number),
        }
    }

    /// The next number, from this one on, that has a check digit.
    pub(crate) fn next_valid(self, mut number: u64) -> u64 {
        while self == Self::Mod11 && mod11(number).is_none() {
            number += 1;
        }
        number
    }
}

/// HL7 v2.5.1 §2.A.14.3: take every other digit from the right as a number, double it, put the others in front of it,
/// add the digits, subtract from the next ten: the example 12345 has 5.
fn mod10(number: u64) -> u64 {
    let (mut odd, mut others, mut place, mut rest, mut at) = (0, 0, 1, number, 0);
    while rest > 0 {
        let digit = rest % 10;
        if at % 2 == 0 {
            odd += digit * place;
            place *= 10;
        } else {
            others += digit;
        }
        rest /= 10;
        at += 1;
    }
    let mut sum = others;
    let mut doubled = odd * 2;
    while doubled > 0 {
        sum += doubled % 10;
        doubled /= 10;
    }
    (10 - sum % 10) % 10
}

/// HL7 v2.5.1 §2.A.14.3: weights 2, 3, 4, 5, 6, 7 from the right and again. A remainder that would ask for ten has no
/// digit; such numbers are not issued.
fn mod11(number: u64) -> Option<u64> {
    let (mut sum, mut weight, mut rest) = (0, 2, number);
    while rest > 0 {
        sum += rest % 10 * weight;
        weight = if weight == 7 { 2 } else { weight + 1 };
        rest /= 10;
    }
    match sum % 11 {
        0 => Some(0),
        1 => None,
        remainder => Some(11 - remainder),
    }
}

/// A number of a person, an account or a visit: CX and what came before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identifier {
    pub(crate) prefix: &'static str,
    pub(crate) number: u64,
    pub(crate) scheme: Scheme,
    /// Who assigned it.
    pub(crate) authority: &'static str,
    /// Table 0203.
    pub(crate) kind: &'static str,
}

/// A number of an order or a document: EI and what came before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entity {
    pub(crate) prefix: &'static str,
    pub(crate) number: u64,
    pub(crate) namespace: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_digits_are_the_standard_s() {
        assert_eq!(Scheme::Mod10.digit(12345), Some(5));
        assert_eq!(Scheme::Mod11.digit(1234567), Some(4));
        assert!((100_000..100_200).any(|number| Scheme::Mod11.digit(number).is_none()));
        let issued = Scheme::Mod11.next_valid(100_000);
        assert!(Scheme::Mod11.digit(issued).is_some());
    }
}
