//! Check digits of identifiers (table 0061; HL7 v2.5.1 §2.A.14.2).

/// The check digit of an identifier of digits under a scheme of table 0061.
pub(super) fn check_digit(identifier: &str, scheme: &str) -> Option<char> {
    if identifier.is_empty() || !identifier.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits = || identifier.bytes().rev().map(|byte| u32::from(byte - b'0'));
    let check = match scheme {
        "M10" => {
            let sum: u32 = digits()
                .enumerate()
                .map(
                    |(place, digit)| {
                        if place % 2 == 0 { digit * 2 / 10 + digit * 2 % 10 } else { digit }
                    },
                )
                .sum();
            (10 - sum % 10) % 10
        }
        "M11" => {
            let sum: u32 =
                digits().zip((2..=7).cycle()).map(|(digit, weight)| digit * weight).sum();
            (11 - sum % 11) % 10
        }
        _ => return None,
    };
    char::from_digit(check, 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standards_examples() {
        assert_eq!(check_digit("12345", "M10"), Some('5'));
        assert_eq!(check_digit("1234567", "M11"), Some('4'));
        assert_eq!(check_digit("12A", "M10"), None);
        assert_eq!(check_digit("123", "ISO"), None);
        assert_eq!(check_digit("", "M10"), None);
    }
}
