//! How fast to send: `100`, `100/s`, `30/m`, `5/h`.

use std::time::Duration;

/// So many messages in so long.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rate {
    per_second: f64,
}

/// Reads a rate; errors say what to write.
pub(crate) fn rate(text: &str) -> Result<Rate, String> {
    let (number, unit) = text.split_once('/').unwrap_or((text, "s"));
    let seconds = match unit.trim() {
        "s" | "sec" | "second" => 1.0,
        "m" | "min" | "minute" => 60.0,
        "h" | "hour" => 3600.0,
        _ => return Err("the unit is s, m or h: write it like `100/s`".to_owned()),
    };
    let number = number.trim().parse::<f64>().ok();
    let number = number.filter(|number| number.is_finite() && *number > 0.0);
    let number = number.ok_or("a rate is a number above 0: write it like `100/s`")?;
    Ok(Rate { per_second: number / seconds })
}

impl Rate {
    /// When, counted from the start, the message with this index (from 0) is due.
    pub(crate) fn due(self, index: u64) -> Duration {
        Duration::try_from_secs_f64(index as f64 / self.per_second).unwrap_or(Duration::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_with_their_unit() {
        let due = |text| rate(text).map(|rate| rate.due(10));
        assert_eq!(due("100"), Ok(Duration::from_millis(100)));
        assert_eq!(due("100/s"), Ok(Duration::from_millis(100)));
        assert_eq!(due("60/m"), Ok(Duration::from_secs(10)));
        assert_eq!(due("0.5/s"), Ok(Duration::from_secs(20)));
        for wrong in ["", "0", "-1", "x", "10/d", "inf", "NaN"] {
            assert!(rate(wrong).is_err(), "{wrong}");
        }
    }
}
