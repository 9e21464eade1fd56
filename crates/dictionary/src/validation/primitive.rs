//! Whether a text has the form of its data type.

use pipehat_message::{TimeOfDay, Timestamp};

use super::rule::Rule;

/// What a value of a data type looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Primitive {
    /// Components.
    Composite,
    /// Any text.
    Text,
    /// A code, with a table or without.
    Code,
    Number,
    SequenceId,
    Date,
    Time,
    Timestamp,
    Telephone,
    /// Depends on another field.
    Varies,
    /// Components that the definitions do not say.
    Opaque,
}

impl Primitive {
    pub(super) fn of(name: &str, is_primitive: bool) -> Self {
        match name {
            "NM" => Self::Number,
            "SI" => Self::SequenceId,
            "DT" => Self::Date,
            "TM" => Self::Time,
            "DTM" => Self::Timestamp,
            "TN" => Self::Telephone,
            "ID" | "IS" => Self::Code,
            "Varies" => Self::Varies,
            // CM: as 2.1 and 2.2 have it, components of its own in each field. GTS: a time expression.
            "CM" | "GTS" | "NUL" => Self::Opaque,
            _ if is_primitive => Self::Text,
            _ => Self::Composite,
        }
    }

    /// The rule that a value does not keep to.
    #[inline]
    pub(super) fn fault(self, value: &[u8]) -> Option<Rule> {
        match self {
            Self::Composite | Self::Text | Self::Varies | Self::Opaque => None,
            Self::Code => is_padded(value).then_some(Rule::ValuePadded),
            Self::Number => fault_of(value, is_number, Rule::NumberMalformed),
            Self::SequenceId => fault_of(value, is_sequence_id, Rule::SequenceIdMalformed),
            Self::Date => {
                fault_of(value, |text| Timestamp::parse_date(text).is_ok(), Rule::DateMalformed)
            }
            Self::Time => {
                fault_of(value, |text| TimeOfDay::parse(text).is_ok(), Rule::DateMalformed)
            }
            Self::Timestamp => fault_of(value, is_timestamp, Rule::DateMalformed),
            Self::Telephone => (!is_telephone(value)).then_some(Rule::TelephoneMalformed),
        }
    }
}

#[inline]
fn fault_of(value: &[u8], is_right: impl Fn(&[u8]) -> bool, otherwise: Rule) -> Option<Rule> {
    if is_right(value) {
        None
    } else if is_padded(value) && is_right(value.trim_ascii()) {
        Some(Rule::ValuePadded)
    } else {
        Some(otherwise)
    }
}

#[inline]
fn is_padded(value: &[u8]) -> bool {
    value.first() == Some(&b' ') || value.last() == Some(&b' ')
}

/// HL7 v2.5.1 §2.A.47: an optional sign, digits, and an optional decimal point.
#[inline]
pub(super) fn is_number(value: &[u8]) -> bool {
    let digits = match value {
        [b'+' | b'-', rest @ ..] => rest,
        _ => value,
    };
    let mut points = 0;
    let mut count = 0;
    for &byte in digits {
        match byte {
            b'0'..=b'9' => count += 1,
            b'.' => points += 1,
            _ => return false,
        }
    }
    count > 0 && points <= 1
}

/// HL7 v2.5.1 §2.A.69: a positive number or zero. The standard ends at four digits, which large reports exceed.
#[inline]
fn is_sequence_id(value: &[u8]) -> bool {
    !value.is_empty() && value.len() <= 9 && value.iter().all(u8::is_ascii_digit)
}

/// The usual forms `YYYYMMDD`, `YYYYMMDDHHMM` and `YYYYMMDDHHMMSS` without a reader; all others by it.
#[inline]
fn is_timestamp(value: &[u8]) -> bool {
    let common = matches!(value.len(), 8 | 12 | 14);
    if common && let Some(known) = is_common_timestamp(value) {
        return known;
    }
    Timestamp::parse(value).is_ok()
}

/// `None` where it takes a closer look.
#[inline]
fn is_common_timestamp(value: &[u8]) -> Option<bool> {
    let two = |at: usize| {
        let (&tens, &units) = (value.get(at)?, value.get(at + 1)?);
        let (tens, units) = (tens.wrapping_sub(b'0'), units.wrapping_sub(b'0'));
        (tens < 10 && units < 10).then(|| tens * 10 + units)
    };
    two(0)?;
    two(2)?;
    let (month, day) = (two(4)?, two(6)?);
    if !(1..=12).contains(&month) || !(1..=28).contains(&day) {
        return None;
    }
    let mut at = 8;
    let mut most = 23;
    while at < value.len() {
        if two(at)? > most {
            return None;
        }
        most = 59;
        at += 2;
    }
    Some(true)
}

/// HL7 v2.5.1 §2.A.89: `[NN] [(999)]999-9999[X99999][B99999][C any text]`. Read as: digits and the marks of
/// telephone numbers, then anything after a letter that the form has.
fn is_telephone(value: &[u8]) -> bool {
    let plain = value
        .iter()
        .take_while(|byte| {
            byte.is_ascii_digit() || matches!(byte, b' ' | b'(' | b')' | b'-' | b'+' | b'.' | b'/')
        })
        .count();
    let digits = value.iter().take(plain).filter(|byte| byte.is_ascii_digit()).count();
    digits >= 3 && matches!(value.get(plain), None | Some(b'X' | b'x' | b'B' | b'C'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(primitive: Primitive, right: &[&str], wrong: &[(&str, Rule)]) {
        for value in right {
            assert_eq!(primitive.fault(value.as_bytes()), None, "{primitive:?} {value:?}");
        }
        for (value, rule) in wrong {
            assert_eq!(primitive.fault(value.as_bytes()), Some(*rule), "{primitive:?} {value:?}");
        }
    }

    #[test]
    fn numbers() {
        check(
            Primitive::Number,
            &["0", "-1", "+1.5", "007.10", ".5", "5.", "123456789012345678901234567890"],
            &[
                ("", Rule::NumberMalformed),
                ("-", Rule::NumberMalformed),
                (".", Rule::NumberMalformed),
                ("1.2.3", Rule::NumberMalformed),
                ("1,5", Rule::NumberMalformed),
                (">10", Rule::NumberMalformed),
                ("1e3", Rule::NumberMalformed),
                ("1 0", Rule::NumberMalformed),
                (" 10", Rule::ValuePadded),
                ("10 ", Rule::ValuePadded),
            ],
        );
        check(
            Primitive::SequenceId,
            &["0", "1", "0001", "12345"],
            &[
                ("-1", Rule::SequenceIdMalformed),
                ("1.0", Rule::SequenceIdMalformed),
                ("A", Rule::SequenceIdMalformed),
                ("1 ", Rule::ValuePadded),
            ],
        );
    }

    #[test]
    fn dates_and_times() {
        let wrong = Rule::DateMalformed;
        check(
            Primitive::Date,
            &["2024", "202402", "20240229"],
            &[("20230229", wrong), ("2024-02-29", wrong), ("202402291200", wrong), ("0", wrong)],
        );
        check(
            Primitive::Time,
            &["12", "1259", "125959.9999", "0830+0100"],
            &[("24", wrong), ("12:00", wrong), ("1", wrong)],
        );
        check(
            Primitive::Timestamp,
            &[
                "2024",
                "20240229",
                "202402291200",
                "20240229120059",
                "20240229120059.1234-0500",
                "20240229+0100",
                "20241231235959",
            ],
            &[
                ("20230229", wrong),
                ("20241301", wrong),
                ("20240431", wrong),
                ("20240229240000", wrong),
                ("20240229126000", wrong),
                ("00000000", wrong),
                ("2024022912000", wrong),
                ("20240229120059.12345", wrong),
                ("2024-02-29T12:00:00Z", wrong),
                ("20240229 ", Rule::ValuePadded),
            ],
        );
    }

    #[test]
    fn telephone_numbers() {
        check(
            Primitive::Telephone,
            &["(555)555-0100", "555-0100X12", "01 (555)555-0100C after six", "+44 20 7946 0000"],
            &[("call me", Rule::TelephoneMalformed), ("", Rule::TelephoneMalformed)],
        );
    }

    #[test]
    fn the_short_way_judges_as_the_reader_does() {
        for text in
            ["20240101", "202401012359", "20240101235959", "20240132", "20241301", "2024013a"]
        {
            let bytes = text.as_bytes();
            assert_eq!(is_timestamp(bytes), Timestamp::parse(bytes).is_ok(), "{text}");
        }
    }
}
