//! The `date` step: dates from one form into another, between time zones, nothing invented.
//!
//! ```yaml
//! - date: { field: PID-7, read: dd/MM/yyyy, write: hl7 }
//! - date: { field: OBR-7, read_zone: Europe/Berlin, write_zone: UTC }
//! ```
//!
//! `read` and `write` are [patterns](super::date_pattern), `hl7` where they are left out. A value
//! without an offset is a local time; it is tied to an instant only when the step names its
//! `read_zone`, or the channel its `time_zone`. A value without a time of day is never moved to
//! another zone. A local time that a clock change leaves out or shows twice names no instant:
//! together with what can't be read it goes by `otherwise`.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::{Offset, TimeZone};

use super::date_pattern::{DateParts, DatePattern};

/// From one form into another.
#[derive(Debug, Clone)]
pub(super) struct DateForm {
    pub(super) read: DatePattern,
    pub(super) write: DatePattern,
    /// Where values without an offset come from, and whether the step itself says so.
    pub(super) read_zone: Option<(TimeZone, ZoneFrom)>,
    pub(super) write_zone: Option<TimeZone>,
}

/// Who named a zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ZoneFrom {
    Step,
    Channel,
}

impl DateForm {
    /// The value in its new form; none where it can't be read, or a part that is wanted is not
    /// known.
    pub(super) fn change(&self, value: &str) -> Option<String> {
        let mut parts = self.read.read(value.trim_matches(' '))?;
        if parts.hour.is_some() {
            self.place(&mut parts)?;
        }
        self.write.write(&parts)
    }

    /// Ties a time of day to its offset and moves it, as far as the step asks for it.
    fn place(&self, parts: &mut DateParts) -> Option<()> {
        let offset_wanted = self.write_zone.is_some()
            || self.write.needs_offset()
            || matches!(self.read_zone, Some((_, ZoneFrom::Step)));
        if parts.offset.is_none() && offset_wanted {
            let Some((zone, _)) = &self.read_zone else {
                // The pattern shows whether it can do without.
                return self.write_zone.is_none().then_some(());
            };
            let local = local(parts)?;
            let instant = zone.to_ambiguous_zoned(local).unambiguous().ok()?;
            parts.offset = Some(instant.offset().seconds());
        }
        let Some(zone) = &self.write_zone else { return Some(()) };
        let offset = Offset::from_seconds(parts.offset?).ok()?;
        let instant = offset.to_timestamp(local(parts)?).ok()?;
        let moved = instant.to_zoned(zone.clone());
        let (date, time) = (moved.date(), moved.time());
        parts.year = u16::try_from(date.year()).ok();
        parts.month = u8::try_from(date.month()).ok();
        parts.day = u8::try_from(date.day()).ok();
        parts.hour = u8::try_from(time.hour()).ok();
        // A zone a quarter of an hour off gives minutes to a value that had none.
        let minute = u8::try_from(time.minute()).ok();
        parts.minute = if parts.minute.is_some() || minute != Some(0) { minute } else { None };
        parts.offset = Some(moved.offset().seconds());
        Some(())
    }
}

fn local(parts: &DateParts) -> Option<jiff::civil::DateTime> {
    let (year, month, day) = (parts.year?, parts.month?, parts.day?);
    let date =
        Date::new(i16::try_from(year).ok()?, i8::try_from(month).ok()?, i8::try_from(day).ok()?)
            .ok()?;
    let part = |part: Option<u8>| i8::try_from(part.unwrap_or(0)).ok();
    let nanosecond = parts.fraction.map_or(0, |(value, _)| value);
    let nanosecond = i32::try_from(nanosecond).ok()?;
    let time = jiff::civil::Time::new(
        part(parts.hour)?,
        part(parts.minute)?,
        part(parts.second)?,
        nanosecond,
    );
    Some(date.to_datetime(time.ok()?))
}

/// An instant as parts, to the millisecond: in the zone given, else in UTC.
pub(super) fn parts_of(instant: Timestamp, zone: Option<&TimeZone>) -> DateParts {
    let zoned = instant.to_zoned(zone.cloned().unwrap_or(TimeZone::UTC));
    let (date, time) = (zoned.date(), zoned.time());
    let millisecond = u32::try_from(time.millisecond()).unwrap_or(0);
    DateParts {
        year: u16::try_from(date.year()).ok(),
        month: u8::try_from(date.month()).ok(),
        day: u8::try_from(date.day()).ok(),
        hour: u8::try_from(time.hour()).ok(),
        minute: u8::try_from(time.minute()).ok(),
        second: u8::try_from(time.second()).ok(),
        fraction: Some((millisecond.saturating_mul(1_000_000), 3)),
        offset: Some(zoned.offset().seconds()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(
        read: &str,
        write: &str,
        read_zone: Option<&str>,
        write_zone: Option<&str>,
    ) -> DateForm {
        let zone = |name: &str| TimeZone::get(name).expect("a zone");
        DateForm {
            read: DatePattern::parse(read).expect("a pattern"),
            write: DatePattern::parse(write).expect("a pattern"),
            read_zone: read_zone.map(|name| (zone(name), ZoneFrom::Step)),
            write_zone: write_zone.map(zone),
        }
    }

    #[test]
    fn a_time_moves_between_zones_when_both_are_known() {
        let berlin_to_utc = form("hl7", "hl7", Some("Europe/Berlin"), Some("UTC"));
        assert_eq!(berlin_to_utc.change("202407011200").as_deref(), Some("202407011000+0000"));
        assert_eq!(berlin_to_utc.change("202401010030").as_deref(), Some("202312312330+0000"));
        assert_eq!(
            berlin_to_utc.change("20240101003015.25").as_deref(),
            Some("20231231233015.25+0000")
        );
        let offset_wins = berlin_to_utc.change("202407011200-0500");
        assert_eq!(offset_wins.as_deref(), Some("202407011700+0000"));
    }

    #[test]
    fn days_are_never_moved() {
        let berlin_to_utc = form("hl7", "hl7", Some("Europe/Berlin"), Some("UTC"));
        assert_eq!(berlin_to_utc.change("20240701").as_deref(), Some("20240701"));
    }

    #[test]
    fn no_zone_is_invented() {
        assert_eq!(form("hl7", "hl7", None, Some("UTC")).change("202407011200"), None);
        assert_eq!(form("hl7", "yyyyMMddHHmmZ", None, None).change("202407011200"), None);
        assert_eq!(
            form("hl7", "hl7", None, None).change("202407011200").as_deref(),
            Some("202407011200")
        );
    }

    #[test]
    fn times_around_a_clock_change_that_name_no_instant_are_not_guessed() {
        let berlin_to_utc = form("hl7", "hl7", Some("Europe/Berlin"), Some("UTC"));
        assert_eq!(berlin_to_utc.change("202403310230"), None, "left out");
        assert_eq!(berlin_to_utc.change("202410270230"), None, "shown twice");
        assert!(berlin_to_utc.change("202410270330").is_some());
    }

    #[test]
    fn a_quarter_hour_zone_shows_the_minutes_it_makes() {
        let to_kathmandu = form("hl7", "hl7", None, Some("Asia/Kathmandu"));
        assert_eq!(to_kathmandu.change("2024070112+0000").as_deref(), Some("202407011745+0545"));
    }
}
