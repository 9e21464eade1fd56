//! DTM and TM (HL7 v2.5.1 §2.A.22, §2.A.75) as FHIR's date, dateTime, instant and time.
//!
//! FHIR wants a time zone with every time of day. It is the value's own, else that of MSH-7, whose offset is "the default
//! time zone" of the message (§2.15.9.7), else the feed's setting. But an offset is not a zone: where the setting's zone
//! had the offset of MSH-7 when the message was made, the sender is in that zone, and other times are as its clocks show
//! them then: an appointment in summer that is told in winter is at summer time. Where nobody says it, the date remains,
//! and a finding. So it is where the zone of the setting has no such time (the clocks went forward), or has it twice (they
//! went back).

use jiff::civil;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};
use pipehat_message::{TimeOfDay, Timestamp, ZoneOffset};

/// Which zone holds where a value has none.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Clock<'s> {
    /// Of MSH-7, where it is not the zone's.
    message: Option<ZoneOffset>,
    /// Of the feed's settings.
    zone: Option<&'s TimeZone>,
}

impl<'s> Clock<'s> {
    /// Of a message by its MSH-7 and the feed's setting.
    pub(crate) fn of(sent: &[u8], zone: Option<&'s TimeZone>) -> Self {
        let sent = Timestamp::parse(sent.trim_ascii()).ok();
        let is_of_zone = |sent: &Timestamp| zone.is_some_and(|zone| is_in(sent, zone));
        let foreign = sent.filter(|sent| !is_of_zone(sent));
        Self { message: foreign.and_then(|sent| sent.offset()), zone }
    }
}

/// Whether a zone has a time's offset at that time; of a day, at its beginning or at its end.
fn is_in(time: &Timestamp, zone: &TimeZone) -> bool {
    let (Some(offset), Some(first)) = (time.offset(), local(time)) else { return false };
    let seconds = i32::from(offset.minutes()) * 60;
    let hours = if time.hour().is_none() { 24 } else { 0 };
    [0, hours].into_iter().any(|hours| {
        let at = first.checked_add(jiff::SignedDuration::from_hours(hours));
        let at = at.and_then(|at| Offset::from_seconds(seconds)?.to_timestamp(at));
        at.is_ok_and(|at| zone.to_offset(at).seconds() == seconds)
    })
}

/// A converted time.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    Known(String),
    /// Its time of day went: which instant it is can't be said.
    Cut(String, Doubt),
    /// There is nothing left that the type can carry.
    Doubtful(Doubt),
    Unfit,
}

/// Why a time of day is no instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Doubt {
    /// Nobody says in which zone it is.
    ZoneMissing,
    /// The zone leaves it out.
    Skipped,
    /// The zone has it twice.
    Twice,
}

/// A date.
pub(crate) fn date(text: &[u8]) -> Option<String> {
    let timestamp = Timestamp::parse(text.trim_ascii()).ok()?;
    let mut out = String::with_capacity(10);
    write_date(&timestamp, &mut out);
    Some(out)
}

/// A dateTime.
pub(crate) fn date_time(text: &[u8], clock: Clock<'_>) -> Moment {
    let Ok(timestamp) = Timestamp::parse(text.trim_ascii()) else { return Moment::Unfit };
    let mut out = String::with_capacity(30);
    write_date(&timestamp, &mut out);
    if timestamp.hour().is_none() {
        return Moment::Known(out);
    }
    match offset(&timestamp, clock) {
        Ok(minutes) => {
            write_time(&timestamp, minutes, &mut out);
            Moment::Known(out)
        }
        Err(doubt) => Moment::Cut(out, doubt),
    }
}

/// An instant: to the second, with a zone.
pub(crate) fn instant(text: &[u8], clock: Clock<'_>) -> Moment {
    let Ok(timestamp) = Timestamp::parse(text.trim_ascii()) else { return Moment::Unfit };
    if timestamp.hour().is_none() {
        return Moment::Unfit;
    }
    let minutes = match offset(&timestamp, clock) {
        Ok(minutes) => minutes,
        Err(doubt) => return Moment::Doubtful(doubt),
    };
    let mut out = String::with_capacity(30);
    write_date(&timestamp, &mut out);
    write_time(&timestamp, minutes, &mut out);
    Moment::Known(out)
}

/// A time of day; its zone, if any, can't be carried (R4 §2.24.0.1).
pub(crate) fn time_of_day(text: &[u8]) -> Option<String> {
    let time = TimeOfDay::parse(text.trim_ascii()).ok()?;
    let mut out = String::with_capacity(12);
    clock_time(&mut out, time);
    Some(out)
}

/// Whether a time is later than another, as far as both tell: a day is not later than a time of that day. Nothing where one
/// of them is no time. Where only one names a zone, it is the other's, too.
pub(crate) fn is_after(one: &[u8], other: &[u8]) -> Option<bool> {
    let one = Timestamp::parse(one.trim_ascii()).ok()?;
    let other = Timestamp::parse(other.trim_ascii()).ok()?;
    let is_shifted = matches!((one.offset(), other.offset()), (Some(own), Some(its)) if own != its);
    if is_shifted && one.minute().is_some() && other.minute().is_some() {
        return Some(utc(&one)? > utc(&other)?);
    }
    let precision = one.precision().min(other.precision());
    let (one, other) = (one.cut_to(precision)?, other.cut_to(precision)?);
    let parts = |time: &Timestamp| {
        let day = (time.year(), time.month(), time.day());
        (day, (time.hour(), time.minute(), time.second()))
    };
    Some(parts(&one) > parts(&other))
}

/// Whether two dateTimes of FHIR are one instant, written with different offsets.
pub(crate) fn is_same_instant(one: &str, other: &str) -> bool {
    let instant = |text: &str| {
        let has_time = text.as_bytes().get("YYYY-MM-DD".len()) == Some(&b'T');
        has_time.then(|| text.parse::<jiff::Timestamp>().ok()).flatten()
    };
    instant(one).is_some_and(|one| instant(other) == Some(one))
}

/// To the second, in UTC.
fn utc(time: &Timestamp) -> Option<civil::DateTime> {
    let minutes = i64::from(time.offset()?.minutes());
    local(time)?.checked_sub(jiff::SignedDuration::from_mins(minutes)).ok()
}

/// A dateTime some minutes later, in the same zone.
pub(crate) fn later(text: &str, minutes: i64) -> Option<String> {
    let (time, zone) = text.split_at_checked(text.len().checked_sub(6)?)?;
    let start: civil::DateTime = time.parse().ok()?;
    let end = start.checked_add(jiff::Span::new().try_minutes(minutes).ok()?).ok()?;
    Some(format!("{}{zone}", end.strftime("%Y-%m-%dT%H:%M:%S")))
}

fn write_date(timestamp: &Timestamp, out: &mut String) {
    digits(timestamp.year().into(), 4, out);
    for part in [timestamp.month(), timestamp.day()].into_iter().map_while(|part| part) {
        out.push('-');
        digits(part.into(), 2, out);
    }
}

/// A number by so many digits.
fn digits(number: u32, count: u32, out: &mut String) {
    for place in (0..count).rev() {
        let digit = number / 10u32.pow(place) % 10;
        out.extend(char::from_digit(digit, 10));
    }
}

/// FHIR takes minutes and seconds only as numbers: what v2 leaves out is written as zero (R4 §2.24.0.1: "seconds …
/// may be zero-filled").
fn write_time(timestamp: &Timestamp, minutes: i16, out: &mut String) {
    out.push('T');
    if let Some(time) = timestamp.time() {
        clock_time(out, time);
    }
    let sign = if minutes < 0 { '-' } else { '+' };
    let minutes = minutes.unsigned_abs();
    out.push(sign);
    two_each(&[minutes / 60, minutes % 60], out);
}

fn clock_time(out: &mut String, time: TimeOfDay) {
    let (minute, second) = (time.minute().unwrap_or(0), time.second().unwrap_or(0));
    two_each(&[time.hour().into(), minute.into(), second.into()], out);
    if let Some(fraction) = time.fraction() {
        let count = u32::from(fraction.digits()).min(9);
        out.push('.');
        digits(fraction.nanoseconds() / 10u32.pow(9 - count), count, out);
    }
}

/// Numbers by two digits, with colons between them.
fn two_each(numbers: &[u16], out: &mut String) {
    for (place, number) in numbers.iter().enumerate() {
        if place > 0 {
            out.push(':');
        }
        digits((*number).into(), 2, out);
    }
}

/// Minutes east of UTC.
fn offset(timestamp: &Timestamp, clock: Clock<'_>) -> Result<i16, Doubt> {
    if let Some(offset) = timestamp.offset().or(clock.message) {
        return Ok(offset.minutes());
    }
    let zone = clock.zone.ok_or(Doubt::ZoneMissing)?;
    let civil = local(timestamp).ok_or(Doubt::ZoneMissing)?;
    match zone.to_ambiguous_timestamp(civil).offset() {
        AmbiguousOffset::Unambiguous { offset } => {
            i16::try_from(offset.seconds() / 60).map_err(|_| Doubt::ZoneMissing)
        }
        AmbiguousOffset::Gap { .. } => Err(Doubt::Skipped),
        AmbiguousOffset::Fold { .. } => Err(Doubt::Twice),
    }
}

/// To the second, as it is told.
fn local(time: &Timestamp) -> Option<civil::DateTime> {
    let part = |part: Option<u8>| i8::try_from(part.unwrap_or_default()).ok();
    let year = i16::try_from(time.year()).ok()?;
    let (month, day) = (part(time.month())?, part(time.day())?);
    let (hour, minute, second) = (part(time.hour())?, part(time.minute())?, part(time.second())?);
    civil::DateTime::new(year, month, day, hour, minute, second, 0).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn berlin() -> TimeZone {
        TimeZone::get("Europe/Berlin").expect("the bundled database has it")
    }

    fn check(text: &str, clock: Clock<'_>, expected: Moment) {
        assert_eq!(date_time(text.as_bytes(), clock), expected, "{text}");
    }

    fn known(text: &str) -> Moment {
        Moment::Known(text.into())
    }

    fn cut(text: &str, doubt: Doubt) -> Moment {
        Moment::Cut(text.into(), doubt)
    }

    #[test]
    fn the_nearest_zone_counts() {
        let zone = berlin();
        let clock = Clock::of(b"20240115083000", Some(&zone));
        check("20240115083000", clock, known("2024-01-15T08:30:00+01:00"));
        check("20240715083000", clock, known("2024-07-15T08:30:00+02:00"));
        check("202407150830-0500", clock, known("2024-07-15T08:30:00-05:00"));
        for zone in [None, Some(&zone)] {
            let clock = Clock::of(b"20240115083000-0530", zone);
            check("20240715083000.1200", clock, known("2024-07-15T08:30:00.1200-05:30"));
        }
    }

    #[test]
    fn an_offset_of_the_feeds_zone_means_the_zone() {
        #[track_caller]
        fn check_seasons(sent: &str, winter: &str, summer: &str) {
            let zone = berlin();
            let clock = Clock::of(sent.as_bytes(), Some(&zone));
            check("20270115090000", clock, known(&format!("2027-01-15T09:00:00{winter}")));
            check("20270701090000", clock, known(&format!("2027-07-01T09:00:00{summer}")));
            check("20270701090000-0400", clock, known("2027-07-01T09:00:00-04:00"));
        }
        for own in [
            "20261106100000+0100",
            "202611061000+0100",
            "2026110610+0100",
            "20261106+0100",
            "20260706100000.123+0200",
            "20260706+0200",
            // The days of the change: each offset is its zone's for a part of it.
            "20260329015959+0100",
            "20260329030000+0200",
            "20260329+0100",
            "20260329+0200",
            "20261025023000+0200",
            "20261025023000+0100",
            "20261025+0200",
            "20261025+0100",
            // It tells none.
            "20261106100000",
            "20261106",
            "",
            "soon",
        ] {
            check_seasons(own, "+01:00", "+02:00");
        }
        // A sender elsewhere, or whose clock does not change.
        check_seasons("20261106100000+0200", "+02:00", "+02:00");
        check_seasons("20260706100000+0100", "+01:00", "+01:00");
        check_seasons("20261106100000-0500", "-05:00", "-05:00");
        check_seasons("20260706+0100", "+01:00", "+01:00");
        check_seasons("20260329030000+0100", "+01:00", "+01:00");
        check_seasons("20261025033000+0200", "+02:00", "+02:00");
        // A month has no instant.
        check_seasons("202611+0100", "+01:00", "+01:00");
    }

    #[test]
    fn without_a_setting_the_offset_of_the_message_counts() {
        let clock = Clock::of(b"20261106100000+0100", None);
        check("20270701090000", clock, known("2027-07-01T09:00:00+01:00"));
    }

    #[test]
    fn without_a_zone_the_date_remains() {
        check("20240715083000", Clock::default(), cut("2024-07-15", Doubt::ZoneMissing));
        check("202407", Clock::default(), known("2024-07"));
        let missing = Moment::Doubtful(Doubt::ZoneMissing);
        assert_eq!(instant(b"20240715083000", Clock::default()), missing);
        assert_eq!(instant(b"20240715", Clock::default()), Moment::Unfit);
    }

    #[test]
    fn a_time_that_the_zone_leaves_out_or_has_twice_is_no_instant() {
        let zone = berlin();
        let clock = Clock::of(b"20240115083000+0100", Some(&zone));
        check("20240331015959", clock, known("2024-03-31T01:59:59+01:00"));
        check("20240331020000", clock, cut("2024-03-31", Doubt::Skipped));
        check("202403310259", clock, cut("2024-03-31", Doubt::Skipped));
        check("20240331030000", clock, known("2024-03-31T03:00:00+02:00"));
        check("20241027015959", clock, known("2024-10-27T01:59:59+02:00"));
        check("20241027020000", clock, cut("2024-10-27", Doubt::Twice));
        check("20241027030000", clock, known("2024-10-27T03:00:00+01:00"));
        // Who says the offset is believed.
        check("20241027023000+0100", clock, known("2024-10-27T02:30:00+01:00"));
        assert_eq!(instant(b"20240331023000", clock), Moment::Doubtful(Doubt::Skipped));
        assert_eq!(instant(b"20241027023000", clock), Moment::Doubtful(Doubt::Twice));
    }

    #[test]
    fn dates_and_times_of_day() {
        assert_eq!(date(b"19800229101112").as_deref(), Some("1980-02-29"));
        assert_eq!(date(b"not a date"), None);
        assert_eq!(time_of_day(b"0830").as_deref(), Some("08:30:00"));
    }

    #[test]
    fn a_time_is_later_than_another_as_far_as_both_tell() {
        let check = |one: &str, other: &str, expected: Option<bool>| {
            assert_eq!(is_after(one.as_bytes(), other.as_bytes()), expected, "{one} {other}");
        };
        check("20261210", "20261126154500", Some(true));
        check("20261126", "20261126154500", Some(false));
        check("20261126154501", "20261126154500", Some(true));
        check("20261126154500", "20261126154500", Some(false));
        check("202611", "20261126", Some(false));
        check("20261126100000+0200", "20261126090000+0100", Some(false));
        check("20261126100001+0200", "20261126090000+0100", Some(true));
        check("20261126100000+0200", "20261126093000", Some(true));
        check("", "20261126", None);
        check("20261126", "soon", None);
    }
}
