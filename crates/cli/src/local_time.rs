//! Times as people read and write them: in the local time zone, always with its offset, or in UTC
//! where they ask for it. What programs read (JSON) stays RFC 3339 in UTC.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, Zoned};

use crate::exit::Failure;

/// Which time zone.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct TimeArguments {
    /// Show and read times in UTC instead of the local time zone
    #[arg(long)]
    utc: bool,
}

impl TimeArguments {
    /// The clock people go by.
    pub(crate) fn clock(self) -> Clock {
        Clock { zone: if self.utc { TimeZone::UTC } else { TimeZone::system() } }
    }
}

/// A clock in one time zone.
#[derive(Debug, Clone)]
pub(crate) struct Clock {
    zone: TimeZone,
}

impl Clock {
    /// That of the system's time zone.
    pub(crate) fn of_system() -> Self {
        Self { zone: TimeZone::system() }
    }

    /// A time of the API, RFC 3339, as people read it: `2026-01-31 09:00:00.123+01:00`.
    pub(crate) fn show(&self, time: &str) -> String {
        let Ok(at) = time.parse::<Timestamp>() else { return time.to_owned() };
        let at = at.to_zoned(self.zone.clone());
        let offset = if self.zone == TimeZone::UTC { "Z" } else { "%:z" };
        at.strftime(&format!("%Y-%m-%d %H:%M:%S%.3f{offset}")).to_string()
    }

    /// The time now, to the second.
    pub(crate) fn now(&self) -> String {
        let now = self.show(&Timestamp::now().to_string());
        match now.split_once('.') {
            Some((seconds, rest)) => format!("{seconds}{}", rest.get(3..).unwrap_or_default()),
            None => now,
        }
    }

    /// A moment that somebody wrote: a time with or without offset, a date, a time of today,
    /// `today`, `yesterday`, or how long ago.
    pub(crate) fn read(&self, text: &str) -> Result<Timestamp, Failure> {
        self.read_at(text.trim(), &Timestamp::now().to_zoned(self.zone.clone())).ok_or_else(|| {
            Failure::usage(format!(
                "`{text}` is no time: write 2026-01-31T08:00, 2026-01-31, 08:00, yesterday, or \
                     a span like 15m, 2h or 3d"
            ))
        })
    }

    fn read_at(&self, text: &str, now: &Zoned) -> Option<Timestamp> {
        // With an offset the time says itself where it is.
        if let Ok(time) = text.parse::<Timestamp>() {
            return Some(time);
        }
        let first_moment = |date: Date| self.local(date.to_datetime(Time::midnight()));
        match text {
            "now" => return Some(now.timestamp()),
            "today" => return first_moment(now.date()),
            "yesterday" => return first_moment(now.date().yesterday().ok()?),
            _ => {}
        }
        // The more is written the earlier: a date with a time is read as either alone, too.
        if text.contains(':') {
            let time = || Some(now.date().to_datetime(text.parse::<Time>().ok()?));
            return self.local(text.parse::<DateTime>().ok().or_else(time)?);
        }
        if let Ok(date) = text.parse::<Date>() {
            return first_moment(date);
        }
        let span: Span = text.parse().ok()?;
        let ago = now.checked_sub(span).ok()?.timestamp();
        (!span.is_negative()).then_some(ago)
    }

    /// A local time that a change of the clocks passes over is the one after it; of one that
    /// comes twice it is the first.
    fn local(&self, time: DateTime) -> Option<Timestamp> {
        Some(time.to_zoned(self.zone.clone()).ok()?.timestamp())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn berlin() -> Clock {
        Clock { zone: TimeZone::get("Europe/Berlin").expect("the system has time zones") }
    }

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        let clock = berlin();
        let now: Timestamp = "2026-03-29T10:30:00Z".parse().expect("a time");
        let read = clock.read_at(text, &now.to_zoned(clock.zone.clone()));
        assert_eq!(read.map(|time| time.to_string()).as_deref(), expected, "{text}");
    }

    #[test]
    fn people_write_times_in_many_ways() {
        check("2026-01-31T08:00:00Z", Some("2026-01-31T08:00:00Z"));
        check("2026-01-31T08:00:00+05:00", Some("2026-01-31T03:00:00Z"));
        check("2026-01-31T08:00", Some("2026-01-31T07:00:00Z"));
        check("2026-01-31 08:00:30", Some("2026-01-31T07:00:30Z"));
        check("2026-07-31", Some("2026-07-30T22:00:00Z"));
        check("08:15", Some("2026-03-29T06:15:00Z"));
        check("now", Some("2026-03-29T10:30:00Z"));
        check("today", Some("2026-03-28T23:00:00Z"));
        check("yesterday", Some("2026-03-27T23:00:00Z"));
        check("15m", Some("2026-03-29T10:15:00Z"));
        check("2h", Some("2026-03-29T08:30:00Z"));
        check("1h 30m", Some("2026-03-29T09:00:00Z"));
        // The clocks were changed this night: a day is 23 hours.
        check("1d", Some("2026-03-28T11:30:00Z"));
        check("90s", Some("2026-03-29T10:28:30Z"));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in ["", "x", "2", "-2h", "2026-13-01", "25:00", "2026-01-31T", "tomorrow"] {
            check(text, None);
        }
    }

    #[test]
    fn times_are_shown_with_their_offset() {
        let winter = berlin().show("2026-01-31T08:00:00.123Z");
        assert_eq!(winter, "2026-01-31 09:00:00.123+01:00");
        assert_eq!(berlin().show("2026-07-31T08:00:00Z"), "2026-07-31 10:00:00.000+02:00");
        let utc = TimeArguments { utc: true }.clock();
        assert_eq!(utc.show("2026-01-31T08:00:00.123Z"), "2026-01-31 08:00:00.123Z");
        assert_eq!(utc.show("no time"), "no time");
    }
}
