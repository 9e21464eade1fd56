//! Durations on the command line: `250ms`, `30s`, `10m`, `2h`; a bare number is seconds.

use std::time::Duration;

/// Reads a duration; errors say what to write.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|character: char| character.is_ascii_alphabetic());
    let unit = text.get(digits.len()..).unwrap_or_default();
    let seconds = match unit {
        "ms" => 0.001,
        "s" | "" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return Err("the unit is ms, s, m or h: write it like `30s`".to_owned()),
    };
    let number = digits.parse::<f64>().ok().filter(|number| *number >= 0.0);
    number
        .and_then(|number| Duration::try_from_secs_f64(number * seconds).ok())
        .ok_or_else(|| "a duration is a number and a unit: write it like `30s`".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_with_their_unit() {
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("1.5m"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("2h"), Ok(Duration::from_secs(7200)));
        assert_eq!(duration("5"), Ok(Duration::from_secs(5)));
        for wrong in ["", "s", "-1s", "5d", "5 s", "1e400s", "NaN"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
