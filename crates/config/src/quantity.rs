//! Durations, sizes in bytes and whole numbers as people write them in configuration.

use std::time::Duration;

/// The longest duration that can be written: ten thousand days. A longer one is a mistake, or `never`.
pub const DURATION_MAX: Duration = Duration::from_secs(10_000 * 86_400);

const MILLISECONDS: &[(&str, u64)] =
    &[("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

const BYTES: &[(&str, u64)] = &[
    ("B", 1),
    ("kB", 1_000),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

/// Words that are not units here, and what they most likely mean.
const DURATION_WORDS: &[(&str, &str)] = &[
    ("ms", "ms"),
    ("msec", "ms"),
    ("msecs", "ms"),
    ("millis", "ms"),
    ("millisecond", "ms"),
    ("milliseconds", "ms"),
    ("s", "s"),
    ("sec", "s"),
    ("secs", "s"),
    ("second", "s"),
    ("seconds", "s"),
    ("m", "m"),
    ("min", "m"),
    ("mins", "m"),
    ("minute", "m"),
    ("minutes", "m"),
    ("h", "h"),
    ("hr", "h"),
    ("hrs", "h"),
    ("hour", "h"),
    ("hours", "h"),
    ("d", "d"),
    ("day", "d"),
    ("days", "d"),
];

const BYTE_WORDS: &[(&str, &str)] = &[
    ("b", "B"),
    ("byte", "B"),
    ("bytes", "B"),
    ("k", "KiB"),
    ("kb", "kB"),
    ("kib", "KiB"),
    ("m", "MiB"),
    ("mb", "MB"),
    ("mib", "MiB"),
    ("g", "GiB"),
    ("gb", "GB"),
    ("gib", "GiB"),
    ("t", "TiB"),
    ("tb", "TB"),
    ("tib", "TiB"),
];

/// Why a text is not such a quantity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NotAQuantity {
    /// A number without a unit.
    UnitMissing,
    /// Something like it could be meant.
    Perhaps(String),
    /// Larger than can be.
    TooLarge,
    /// Something else.
    Other,
}

/// `250ms`, `30s`, `5m`, `2h`, `1d`, and larger before smaller units together: `1h30m`.
pub(crate) fn read_duration(text: &str) -> Result<Duration, NotAQuantity> {
    let mut milliseconds: u64 = 0;
    let mut rest = text;
    let mut unit_before = u64::MAX;
    while let Some((digits, unit, after)) = number_and_unit(rest) {
        let unit = MILLISECONDS.iter().find(|(name, _)| *name == unit).map(|(_, size)| *size);
        let Some(unit) = unit.filter(|unit| *unit < unit_before) else { break };
        let part = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
        let sum = part.and_then(|part| milliseconds.checked_add(part));
        milliseconds = sum.ok_or(NotAQuantity::TooLarge)?;
        unit_before = unit;
        rest = after;
    }
    if text.is_empty() || !rest.is_empty() {
        return Err(guess(text, DURATION_WORDS));
    }
    let duration = Duration::from_millis(milliseconds);
    if duration > DURATION_MAX { Err(NotAQuantity::TooLarge) } else { Ok(duration) }
}

/// `512B`, `64KiB`, `50MB`, `2GiB`.
pub(crate) fn read_bytes(text: &str) -> Result<u64, NotAQuantity> {
    let Some((digits, unit, "")) = number_and_unit(text) else {
        return Err(guess(text, BYTE_WORDS));
    };
    let Some((_, size)) = BYTES.iter().find(|(name, _)| *name == unit) else {
        return Err(guess(text, BYTE_WORDS));
    };
    let number = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(*size));
    number.ok_or(NotAQuantity::TooLarge)
}

/// A whole number in decimal digits, with `-` if it is below zero; nothing else.
pub(crate) fn read_integer(text: &str) -> Result<i64, NotAQuantity> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let decimal = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if decimal(digits) && (digits == "0" || !digits.starts_with('0')) {
        return text.parse().map_err(|_| NotAQuantity::TooLarge);
    }
    let sign = if text.starts_with('-') { "-" } else { "" };
    let plain: String = digits
        .trim_start_matches('+')
        .chars()
        .filter(|character| !matches!(character, '_' | ',' | '\'' | ' '))
        .collect();
    let plain = plain.strip_suffix(".0").unwrap_or(&plain);
    if decimal(plain) {
        let trimmed = plain.trim_start_matches('0');
        let trimmed = if trimmed.is_empty() { "0" } else { trimmed };
        return Err(NotAQuantity::Perhaps(format!("{sign}{trimmed}")));
    }
    Err(NotAQuantity::Other)
}

/// Splits `30s…` into `30`, `s` and the rest.
fn number_and_unit(text: &str) -> Option<(&str, &str, &str)> {
    let (digits, rest) = split_where(text, |character| !character.is_ascii_digit());
    let (unit, rest) = split_where(rest, |character| character.is_ascii_digit());
    (!digits.is_empty() && !unit.is_empty()).then_some((digits, unit, rest))
}

fn split_where(text: &str, ends: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(ends).unwrap_or(text.len()))
}

fn guess(text: &str, words: &[(&str, &str)]) -> NotAQuantity {
    let (digits, rest) = split_where(text.trim(), |character| !character.is_ascii_digit());
    let word = rest.trim().to_ascii_lowercase();
    if digits.is_empty() {
        return NotAQuantity::Other;
    }
    if word.is_empty() {
        return NotAQuantity::UnitMissing;
    }
    match words.iter().find(|(name, _)| *name == word) {
        Some((_, unit)) => NotAQuantity::Perhaps(format!("{digits}{unit}")),
        None => NotAQuantity::Other,
    }
}

/// A duration as it would be written.
pub(crate) fn duration_text(duration: Duration) -> String {
    let mut milliseconds = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut text = String::new();
    for (name, size) in MILLISECONDS.iter().rev() {
        if let Some(count) = milliseconds.checked_div(*size).filter(|count| *count > 0) {
            text.push_str(&format!("{count}{name}"));
            milliseconds %= size;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn perhaps<T>(text: &str) -> Result<T, NotAQuantity> {
        Err(NotAQuantity::Perhaps(text.to_owned()))
    }

    #[track_caller]
    fn duration(text: &str, expected: Result<u64, NotAQuantity>) {
        assert_eq!(read_duration(text), expected.map(Duration::from_millis), "{text}");
    }

    #[test]
    fn durations_have_a_number_and_a_unit() {
        duration("250ms", Ok(250));
        duration("0s", Ok(0));
        duration("5m", Ok(300_000));
        duration("1h30m", Ok(5_400_000));
        duration("1d", Ok(86_400_000));
        duration("10000d", Ok(864_000_000_000));
        duration("10000d1ms", Err(NotAQuantity::TooLarge));
        duration("99999999999999999999s", Err(NotAQuantity::TooLarge));
        duration("18446744073709551615d", Err(NotAQuantity::TooLarge));
        duration("30", Err(NotAQuantity::UnitMissing));
        duration("5 minutes", perhaps("5m"));
        duration("5S", perhaps("5s"));
        duration("30m1h", Err(NotAQuantity::Other));
        duration("1m1m", Err(NotAQuantity::Other));
        duration("1.5s", Err(NotAQuantity::Other));
        duration("-1s", Err(NotAQuantity::Other));
        duration("soon", Err(NotAQuantity::Other));
        duration("", Err(NotAQuantity::Other));
    }

    #[test]
    fn a_duration_is_written_as_it_is_read() {
        for text in ["250ms", "1s", "1h30m", "1d1h1m1s1ms", "0s"] {
            assert_eq!(read_duration(text).map(duration_text), Ok(text.to_owned()));
        }
    }

    #[test]
    fn sizes_have_a_number_and_a_unit() {
        assert_eq!(read_bytes("512B"), Ok(512));
        assert_eq!(read_bytes("64KiB"), Ok(65_536));
        assert_eq!(read_bytes("50MB"), Ok(50_000_000));
        assert_eq!(read_bytes("16777215TiB"), Ok(u64::MAX - (1 << 40) + 1));
        assert_eq!(read_bytes("16777216TiB"), Err(NotAQuantity::TooLarge));
        assert_eq!(read_bytes("64K"), perhaps("64KiB"));
        assert_eq!(read_bytes("64 kb"), perhaps("64kB"));
        assert_eq!(read_bytes("64"), Err(NotAQuantity::UnitMissing));
        assert_eq!(read_bytes("1MiB1KiB"), Err(NotAQuantity::Other));
    }

    #[test]
    fn whole_numbers_are_decimal_digits_and_nothing_else() {
        assert_eq!(read_integer("-9223372036854775808"), Ok(i64::MIN));
        assert_eq!(read_integer("9223372036854775807"), Ok(i64::MAX));
        assert_eq!(read_integer("9223372036854775808"), Err(NotAQuantity::TooLarge));
        assert_eq!(read_integer("0"), Ok(0));
        assert_eq!(read_integer("010"), perhaps("10"));
        assert_eq!(read_integer("-007"), perhaps("-7"));
        assert_eq!(read_integer("1_000"), perhaps("1000"));
        assert_eq!(read_integer("+5"), perhaps("5"));
        assert_eq!(read_integer("3.0"), perhaps("3"));
        for text in ["1e3", "0x10", "0o10", "3.5", "", "-", "--1", "ten"] {
            assert_eq!(read_integer(text), Err(NotAQuantity::Other), "{text}");
        }
    }
}
