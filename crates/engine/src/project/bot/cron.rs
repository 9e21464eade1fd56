//! When a bot runs by the clock: five fields as `cron` has them, or six with seconds before them.
//!
//! | field | values | names |
//! | --- | --- | --- |
//! | second (optional) | 0–59 | |
//! | minute | 0–59 | |
//! | hour | 0–23 | |
//! | day of the month | 1–31 | `L` the last |
//! | month | 1–12 | JAN–DEC |
//! | day of the week | 0–7, 0 and 7 Sunday | SUN–SAT |
//!
//! Each is `*`, a value, a range `1-5`, a step `*/15` or `8-18/2`, or a list of these. Where both days are restricted,
//! either suffices, as in POSIX `crontab`.
//!
//! Pure. By a local clock: a time that the clock skips in spring runs as much later as it skips, one that it shows
//! twice in autumn runs once, the first time.

use std::fmt;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

/// How far ahead a time is looked for: 29 February on a certain day of the week comes within 28 years, and with a
/// century that is no leap year between within 40.
const DAYS_MAX: u32 = 41 * 366;

/// Times, as `cron` writes them.
#[derive(Clone, PartialEq, Eq)]
pub struct Cron {
    text: String,
    seconds: u64,
    minutes: u64,
    hours: u64,
    days: u64,
    last_day: bool,
    months: u64,
    weekdays: u64,
    /// Either of the days suffices.
    either: bool,
}

/// Why a text says no times.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CronError {
    /// What is wrong.
    pub message: String,
}

fn wrong(message: impl Into<String>) -> CronError {
    CronError { message: message.into() }
}

const MONTHS: [&str; 12] =
    ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// What a field may hold.
struct Range {
    name: &'static str,
    first: u32,
    last: u32,
    names: &'static [&'static str],
}

impl Cron {
    /// Reads times.
    ///
    /// # Errors
    /// Which field is wrong and why, or that no day ever meets them.
    pub fn parse(text: &str) -> Result<Self, CronError> {
        let text = text.trim();
        let fields: Vec<&str> = match text {
            "@hourly" => vec!["0", "*", "*", "*", "*"],
            "@daily" | "@midnight" => vec!["0", "0", "*", "*", "*"],
            "@weekly" => vec!["0", "0", "*", "*", "0"],
            "@monthly" => vec!["0", "0", "1", "*", "*"],
            "@yearly" | "@annually" => vec!["0", "0", "1", "1", "*"],
            _ => text.split_ascii_whitespace().collect(),
        };
        let (second, rest) = match fields.as_slice() {
            [second, rest @ ..] if fields.len() == 6 => (*second, rest),
            rest => ("0", rest),
        };
        let [minute, hour, day, month, weekday] = rest else {
            return Err(wrong(format!(
                "expected five fields (minute, hour, day, month, day of the week), or six with seconds before them; \
                 there are {}",
                fields.len()
            )));
        };
        let range = |name, first, last| Range { name, first, last, names: &[] };
        let last_day = day.split(',').any(|part| part.eq_ignore_ascii_case("L"));
        let plain: Vec<&str> =
            day.split(',').filter(|part| !part.eq_ignore_ascii_case("L")).collect();
        let days = match plain.as_slice() {
            [] => 0,
            plain => set(&plain.join(","), &range("day of the month", 1, 31))?,
        };
        let week = Range { name: "day of the week", first: 0, last: 7, names: &WEEKDAYS };
        let mut weekdays = set(weekday, &week)?;
        if weekdays & (1 << 7) != 0 {
            weekdays |= 1;
        }
        let months = Range { name: "month", first: 1, last: 12, names: &MONTHS };
        let cron = Self {
            text: text.to_owned(),
            seconds: set(second, &range("second", 0, 59))?,
            minutes: set(minute, &range("minute", 0, 59))?,
            hours: set(hour, &range("hour", 0, 23))?,
            days,
            last_day,
            months: set(month, &months)?,
            weekdays,
            either: !day.starts_with('*') && !weekday.starts_with('*'),
        };
        match cron.next(Timestamp::UNIX_EPOCH, &TimeZone::UTC) {
            Some(_) => Ok(cron),
            None => Err(wrong("no day of any year meets this")),
        }
    }

    /// The first time behind this one.
    pub fn next(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let local = zone.to_datetime(after);
        let mut date = local.date();
        // The clock may have been put back, so that the same local times come again: they ran.
        let mut from = Some(local.time());
        for _ in 0..DAYS_MAX {
            if self.meets(date) {
                let mut times = self.times(from);
                while let Some(time) = times.next_time() {
                    let at = zone.to_ambiguous_zoned(DateTime::from_parts(date, time));
                    // Skipped: the moment that the clock goes on with; shown twice: the first.
                    let at = at.compatible().ok()?.timestamp();
                    if at > after {
                        return Some(at);
                    }
                }
            }
            date = date.checked_add(1.day()).ok()?;
            from = None;
        }
        None
    }

    fn meets(&self, date: Date) -> bool {
        let has = |set: u64, value: i8| u32::try_from(value).is_ok_and(|bit| set >> bit & 1 == 1);
        if !has(self.months, date.month()) {
            return false;
        }
        let day = has(self.days, date.day()) || self.last_day && date.day() == date.days_in_month();
        let weekday = has(self.weekdays, date.weekday().to_sunday_zero_offset());
        if self.either { day || weekday } else { day && weekday }
    }

    fn times(&self, from: Option<Time>) -> Times<'_> {
        let start = from.map_or((0, 0, 0), |time| (time.hour(), time.minute(), time.second()));
        Times { cron: self, hour: start.0, minute: start.1, second: start.2 }
    }
}

/// The times of a day, in their order.
struct Times<'c> {
    cron: &'c Cron,
    hour: i8,
    minute: i8,
    second: i8,
}

impl Times<'_> {
    fn next_time(&mut self) -> Option<Time> {
        let at_least = |set: u64, value: i8| {
            (value..60).find(|value| u32::try_from(*value).is_ok_and(|bit| set >> bit & 1 == 1))
        };
        loop {
            let hour = at_least(self.cron.hours, self.hour)?;
            if hour != self.hour {
                (self.hour, self.minute, self.second) = (hour, 0, 0);
            }
            let Some(minute) = at_least(self.cron.minutes, self.minute) else {
                (self.hour, self.minute, self.second) = (self.hour.saturating_add(1), 0, 0);
                continue;
            };
            if minute != self.minute {
                (self.minute, self.second) = (minute, 0);
            }
            let Some(second) = at_least(self.cron.seconds, self.second) else {
                (self.minute, self.second) = (self.minute.saturating_add(1), 0);
                continue;
            };
            self.second = second.saturating_add(1);
            return Time::new(hour, minute, second, 0).ok();
        }
    }
}

/// A field as bits.
fn set(text: &str, range: &Range) -> Result<u64, CronError> {
    let mut bits = 0_u64;
    for part in text.split(',') {
        let (span, step) = match part.split_once('/') {
            None => (part, None),
            Some((span, step)) => {
                let step = step.parse::<u32>().ok().filter(|step| (1..=60).contains(step));
                let step = step.ok_or_else(|| {
                    wrong(format!("a step in the field {} is a number from 1 to 60", range.name))
                })?;
                (span, Some(step))
            }
        };
        let (first, last) = match span {
            "*" | "?" => (range.first, range.last),
            _ => match span.split_once('-') {
                Some((first, last)) => (value(first, range)?, value(last, range)?),
                None => {
                    let first = value(span, range)?;
                    (first, if step.is_some() { range.last } else { first })
                }
            },
        };
        if first > last {
            return Err(wrong(format!(
                "a range in the field {} ends before it begins",
                range.name
            )));
        }
        let mut at = first;
        while at <= last {
            bits |= 1 << at;
            at = at.saturating_add(step.unwrap_or(1));
        }
    }
    Ok(bits)
}

fn value(text: &str, range: &Range) -> Result<u32, CronError> {
    let named = range.names.iter().position(|name| name.eq_ignore_ascii_case(text));
    let named =
        named.and_then(|at| u32::try_from(at).ok()).map(|at| at.saturating_add(range.first));
    named
        .or_else(|| text.parse().ok().filter(|value| (range.first..=range.last).contains(value)))
        .ok_or_else(|| {
            wrong(format!(
                "the field {} holds {} to {}, `*`, ranges, steps and lists of these",
                range.name, range.first, range.last
            ))
        })
}

impl fmt::Display for Cron {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl fmt::Debug for Cron {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Cron({})", self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(cron: &str, zone: &str, after: &str, expected: &[&str]) {
        let cron = Cron::parse(cron).expect("times");
        let zone = TimeZone::get(zone).expect("a zone");
        let mut at: Timestamp = after.parse().expect("a time");
        for expected in expected {
            at = cron.next(at, &zone).expect("a next time");
            assert_eq!(
                at.to_zoned(zone.clone()).strftime("%Y-%m-%dT%H:%M:%S").to_string(),
                *expected
            );
        }
    }

    #[test]
    fn fields_say_when() {
        let utc = |cron, after, expected: &[&str]| check(cron, "UTC", after, expected);
        utc(
            "*/15 * * * *",
            "2026-01-01T00:00:00Z",
            &["2026-01-01T00:15:00", "2026-01-01T00:30:00"],
        );
        utc("0 7 * * 1-5", "2026-01-02T08:00:00Z", &["2026-01-05T07:00:00", "2026-01-06T07:00:00"]);
        utc(
            "30 8-18/5 * * *",
            "2026-01-01T09:00:00Z",
            &["2026-01-01T13:30:00", "2026-01-01T18:30:00", "2026-01-02T08:30:00"],
        );
        utc("0 0 L * *", "2024-02-01T00:00:00Z", &["2024-02-29T00:00:00", "2024-03-31T00:00:00"]);
        utc(
            "0 0 29 FEB *",
            "2026-01-01T00:00:00Z",
            &["2028-02-29T00:00:00", "2032-02-29T00:00:00"],
        );
        utc(
            "*/20 0 0 * * *",
            "2026-01-01T00:00:00Z",
            &["2026-01-01T00:00:20", "2026-01-01T00:00:40", "2026-01-02T00:00:00"],
        );
        utc("0 0 * * SUN", "2026-01-01T00:00:00Z", &["2026-01-04T00:00:00"]);
        utc("0 0 * * 7", "2026-01-01T00:00:00Z", &["2026-01-04T00:00:00"]);
        utc(
            "0 0 13 * FRI",
            "2026-01-01T00:00:00Z",
            &["2026-01-02T00:00:00", "2026-01-09T00:00:00", "2026-01-13T00:00:00"],
        );
        utc("@daily", "2026-01-01T00:00:00.5Z", &["2026-01-02T00:00:00"]);
        utc("59 23 31 12 *", "2026-12-31T23:59:00Z", &["2027-12-31T23:59:00"]);
    }

    #[test]
    fn clocks_that_are_put_on_and_back() {
        // Europe/Berlin: 02:00 to 03:00 does not exist on 2026-03-29, and comes twice on 2026-10-25.
        let berlin = |cron, after, expected: &[&str]| check(cron, "Europe/Berlin", after, expected);
        berlin(
            "30 2 * * *",
            "2026-03-28T12:00:00Z",
            &["2026-03-29T03:30:00", "2026-03-30T02:30:00"],
        );
        berlin(
            "30 2 * * *",
            "2026-10-24T12:00:00Z",
            &["2026-10-25T02:30:00", "2026-10-26T02:30:00"],
        );
        berlin("0 7 * * *", "2026-03-28T12:00:00Z", &["2026-03-29T07:00:00"]);
    }

    #[test]
    fn what_says_no_times() {
        for text in [
            "",
            "* * * *",
            "* * * * * * *",
            "60 * * * *",
            "* 24 * * *",
            "* * 0 * *",
            "* * * 13 *",
            "* * * * 8",
            "5-1 * * * *",
            "*/0 * * * *",
            "a * * * *",
            "0 0 30 2 *",
            "-1 * * * *",
            "1,,2 * * * *",
        ] {
            assert!(Cron::parse(text).is_err(), "{text}");
        }
    }
}
