//! Dates, times and their precision (FHIRPath N1 §4.1.6–4.1.8): what is not written is not known, and a
//! comparison that would need it has no answer.

use std::cmp::Ordering;
use std::fmt;

use jiff::civil;
use jiff::{Span, Timestamp, ToSpan};

/// A date to the year, the month or the day.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Date {
    year: i16,
    month: Option<i8>,
    day: Option<i8>,
}

/// A time to the hour, the minute or the second with its fraction.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Time {
    hour: i8,
    minute: Option<i8>,
    second: Option<Second>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Second {
    whole: i8,
    nanosecond: i32,
    /// How many digits of the fraction are written.
    digits: u8,
}

/// A date with or without a time, the time with or without an offset.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct DateTime {
    date: Date,
    time: Option<Time>,
    offset: Option<Offset>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Offset {
    minutes: i16,
    is_zulu: bool,
}

/// A unit of a date or a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum TimeUnit {
    Millisecond,
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Year,
}

/// Reads fixed digits off a text.
struct Reader<'t>(&'t str);

impl Reader<'_> {
    fn number(&mut self, digits: usize) -> Option<i16> {
        let text = self.0.get(..digits)?;
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        self.0 = self.0.get(digits..)?;
        text.parse().ok()
    }

    fn within(&mut self, least: i8, most: i8) -> Option<i8> {
        let number = i8::try_from(self.number(2)?).ok()?;
        (least..=most).contains(&number).then_some(number)
    }

    fn eat(&mut self, sign: char) -> bool {
        match self.0.strip_prefix(sign) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    fn date(&mut self) -> Option<Date> {
        let mut date = Date { year: self.number(4)?, month: None, day: None };
        if self.eat('-') {
            let month = self.within(1, 12)?;
            date.month = Some(month);
            if self.eat('-') {
                let day = self.within(1, 31)?;
                civil::Date::new(date.year, month, day).ok()?;
                date.day = Some(day);
            }
        }
        Some(date)
    }

    fn time(&mut self) -> Option<Time> {
        let mut time = Time { hour: self.within(0, 23)?, minute: None, second: None };
        if self.eat(':') {
            time.minute = Some(self.within(0, 59)?);
            if self.eat(':') {
                let mut second = Second { whole: self.within(0, 60)?, nanosecond: 0, digits: 0 };
                if self.eat('.') {
                    let length = self.0.bytes().take_while(u8::is_ascii_digit).count();
                    let (fraction, rest) = self.0.split_at(length);
                    self.0 = rest;
                    if fraction.is_empty() {
                        return None;
                    }
                    let kept = fraction.get(..9).unwrap_or(fraction);
                    second.nanosecond = format!("{kept:0<9}").parse().ok()?;
                    second.digits = u8::try_from(kept.len()).ok()?;
                }
                time.second = Some(second);
            }
        }
        Some(time)
    }

    fn offset(&mut self) -> Option<Option<Offset>> {
        if self.eat('Z') {
            return Some(Some(Offset { minutes: 0, is_zulu: true }));
        }
        let sign = if self.eat('+') {
            1
        } else if self.eat('-') {
            -1
        } else {
            return Some(None);
        };
        let hours = i16::from(self.within(0, 14)?);
        if !self.eat(':') {
            return None;
        }
        let minutes = i16::from(self.within(0, 59)?);
        Some(Some(Offset { minutes: sign * (hours * 60 + minutes), is_zulu: false }))
    }
}

impl Date {
    /// Reads `2015`, `2015-02` or `2015-02-04`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut reader = Reader(text);
        let date = reader.date()?;
        reader.0.is_empty().then_some(date)
    }

    pub(super) fn compare(self, other: Self) -> Option<Ordering> {
        compare_components(&self.components(), &other.components())
    }

    fn components(self) -> [Option<i64>; 6] {
        [
            Some(self.year.into()),
            self.month.map(i64::from),
            self.day.map(i64::from),
            None,
            None,
            None,
        ]
    }

    fn precision(self) -> TimeUnit {
        match (self.month, self.day) {
            (None, _) => TimeUnit::Year,
            (_, None) => TimeUnit::Month,
            _ => TimeUnit::Day,
        }
    }

    /// Adds a whole number of a unit; finer units than the date's own are converted to it (N1 §6.7).
    pub(super) fn plus(self, amount: i64, unit: TimeUnit) -> Option<Self> {
        let (amount, unit) = coarsened(amount, unit, self.precision())?;
        let sum = self.first_day()?.checked_add(span(amount, unit)?).ok()?;
        if sum.year() < 0 {
            return None;
        }
        Some(Self {
            year: sum.year(),
            month: self.month.map(|_| sum.month()),
            day: self.day.map(|_| sum.day()),
        })
    }

    fn first_day(self) -> Option<civil::Date> {
        civil::Date::new(self.year, self.month.unwrap_or(1), self.day.unwrap_or(1)).ok()
    }

    fn of_civil(date: civil::Date) -> Self {
        Self { year: date.year(), month: Some(date.month()), day: Some(date.day()) }
    }
}

impl Time {
    /// Reads `14`, `14:34`, `14:34:28` or `14:34:28.123`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut reader = Reader(text);
        let time = reader.time()?;
        reader.0.is_empty().then_some(time)
    }

    pub(super) fn compare(self, other: Self) -> Option<Ordering> {
        compare_components(&self.components(), &other.components())
    }

    /// Seconds and their fraction are one component (N1 §6.1.1).
    fn components(self) -> [Option<i64>; 3] {
        let second = self
            .second
            .map(|second| i64::from(second.whole) * 1_000_000_000 + i64::from(second.nanosecond));
        [Some(self.hour.into()), self.minute.map(i64::from), second]
    }

    fn precision(self) -> TimeUnit {
        match (self.minute, self.second) {
            (None, _) => TimeUnit::Hour,
            (_, None) => TimeUnit::Minute,
            _ => TimeUnit::Millisecond,
        }
    }

    fn civil(self) -> Option<civil::Time> {
        let second = self.second.unwrap_or(Second { whole: 0, nanosecond: 0, digits: 0 });
        let whole = second.whole.min(59);
        civil::Time::new(self.hour, self.minute.unwrap_or(0), whole, second.nanosecond).ok()
    }

    /// The time of a civil one, to this one's precision.
    fn like(self, time: civil::Time) -> Self {
        Self {
            hour: time.hour(),
            minute: self.minute.map(|_| time.minute()),
            second: self.second.map(|second| {
                let nanosecond = time.subsec_nanosecond();
                let digits = if nanosecond == 0 { second.digits } else { second.digits.max(3) };
                Second { whole: time.second(), nanosecond, digits }
            }),
        }
    }

    /// Adds a whole number of a unit; past midnight it goes round.
    pub(super) fn plus(self, amount: i64, unit: TimeUnit) -> Option<Self> {
        if unit > TimeUnit::Hour {
            return None;
        }
        let (amount, unit) = coarsened(amount, unit, self.precision())?;
        Some(self.like(self.civil()?.wrapping_add(span(amount, unit)?)))
    }
}

impl DateTime {
    /// Reads a date, or a date and a time with or without an offset; a `T` may stand behind the date alone.
    pub fn parse(text: &str) -> Option<Self> {
        let mut reader = Reader(text);
        let mut value = Self { date: reader.date()?, time: None, offset: None };
        if reader.eat('T') && !reader.0.is_empty() {
            value.date.day?;
            value.time = Some(reader.time()?);
            value.offset = reader.offset()?;
        }
        reader.0.is_empty().then_some(value)
    }

    /// The moment, in UTC.
    pub(super) fn of_timestamp(now: Timestamp) -> Self {
        let civil = jiff::tz::Offset::UTC.to_datetime(now);
        Self {
            date: Date::of_civil(civil.date()),
            time: Some(Time {
                hour: civil.hour(),
                minute: Some(civil.minute()),
                second: Some(Second {
                    whole: civil.second(),
                    nanosecond: i32::from(civil.millisecond()) * 1_000_000,
                    digits: 3,
                }),
            }),
            offset: Some(Offset { minutes: 0, is_zulu: true }),
        }
    }

    /// Its date.
    pub fn date(self) -> Date {
        self.date
    }

    /// Its time.
    pub fn time(self) -> Option<Time> {
        self.time
    }

    /// Whether it names an offset from UTC.
    pub fn has_offset(self) -> bool {
        self.offset.is_some()
    }

    /// The order. Where only one has an offset, it is known only when no offset of the other changes it.
    pub(super) fn compare(self, other: Self) -> Option<Ordering> {
        let differs = self.offset.map(|offset| offset.minutes) != other.offset.map(|o| o.minutes);
        if differs && self.time.is_some() && other.time.is_some() {
            if self.offset.is_some() != other.offset.is_some() {
                return self.compare_without_offset(other);
            }
            return compare_components(&self.in_utc()?.components(), &other.in_utc()?.components());
        }
        compare_components(&self.components(), &other.components())
    }

    /// What has no offset may be up to 14 hours earlier or 12 later than in UTC.
    fn compare_without_offset(self, other: Self) -> Option<Ordering> {
        if self.offset.is_none() {
            return other.compare_without_offset(self).map(Ordering::reverse);
        }
        let own = self.in_utc()?.components();
        let earliest = other.shifted((-14).hours())?.components();
        let latest = other.shifted(12.hours())?.components();
        match (compare_components(&own, &earliest), compare_components(&own, &latest)) {
            (Some(Ordering::Less), _) => Some(Ordering::Less),
            (_, Some(Ordering::Greater)) => Some(Ordering::Greater),
            _ => None,
        }
    }

    fn components(self) -> [Option<i64>; 6] {
        let mut components = self.date.components();
        if let Some(time) = self.time {
            let [hour, minute, second] = time.components();
            let [_, _, _, own_hour, own_minute, own_second] = &mut components;
            (*own_hour, *own_minute, *own_second) = (hour, minute, second);
        }
        components
    }

    fn in_utc(self) -> Option<Self> {
        let minutes = self.offset.map_or(0, |offset| offset.minutes);
        if minutes == 0 {
            return Some(self);
        }
        self.shifted(i64::from(-minutes).minutes())
    }

    fn shifted(self, by: Span) -> Option<Self> {
        let (date, time) = (self.date.first_day()?, self.time?);
        let moved = date.to_datetime(time.civil()?).checked_add(by).ok()?;
        if moved.year() < 0 {
            return None;
        }
        let time = Some(time.like(moved.time()));
        Some(Self { date: Date::of_civil(moved.date()), time, offset: self.offset })
    }

    /// Adds a whole number of a unit.
    pub(super) fn plus(self, amount: i64, unit: TimeUnit) -> Option<Self> {
        match self.time {
            None => Some(Self { date: self.date.plus(amount, unit)?, ..self }),
            Some(time) => {
                let (amount, unit) = coarsened(amount, unit, time.precision())?;
                self.shifted(span(amount, unit)?)
            }
        }
    }
}

impl From<Date> for DateTime {
    fn from(date: Date) -> Self {
        Self { date, time: None, offset: None }
    }
}

fn compare_components(one: &[Option<i64>], two: &[Option<i64>]) -> Option<Ordering> {
    for pair in one.iter().zip(two) {
        match pair {
            (Some(one), Some(two)) if one == two => {}
            (Some(one), Some(two)) => return Some(one.cmp(two)),
            (None, None) => break,
            _ => return None,
        }
    }
    Some(Ordering::Equal)
}

/// An amount in the unit of a value that knows no finer one: 36 hours are a day.
fn coarsened(amount: i64, unit: TimeUnit, precision: TimeUnit) -> Option<(i64, TimeUnit)> {
    let (amount, unit) = if unit == TimeUnit::Week {
        (amount.checked_mul(7)?, TimeUnit::Day)
    } else {
        (amount, unit)
    };
    if unit >= precision {
        return Some((amount, unit));
    }
    let (mut amount, mut unit) = (amount, unit);
    while unit < precision {
        (amount, unit) = match unit {
            TimeUnit::Millisecond => (amount / 1000, TimeUnit::Second),
            TimeUnit::Second => (amount / 60, TimeUnit::Minute),
            TimeUnit::Minute => (amount / 60, TimeUnit::Hour),
            TimeUnit::Hour => (amount / 24, TimeUnit::Day),
            TimeUnit::Day | TimeUnit::Week if precision == TimeUnit::Year => {
                (amount / 365, TimeUnit::Year)
            }
            TimeUnit::Day | TimeUnit::Week => (amount / 30, TimeUnit::Month),
            TimeUnit::Month | TimeUnit::Year => (amount / 12, TimeUnit::Year),
        };
    }
    Some((amount, unit))
}

fn span(amount: i64, unit: TimeUnit) -> Option<Span> {
    let span = Span::new();
    match unit {
        TimeUnit::Millisecond => span.try_milliseconds(amount),
        TimeUnit::Second => span.try_seconds(amount),
        TimeUnit::Minute => span.try_minutes(amount),
        TimeUnit::Hour => span.try_hours(amount),
        TimeUnit::Day => span.try_days(amount),
        TimeUnit::Week => span.try_weeks(amount),
        TimeUnit::Month => span.try_months(amount),
        TimeUnit::Year => span.try_years(amount),
    }
    .ok()
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}", self.year)?;
        if let Some(month) = self.month {
            write!(f, "-{month:02}")?;
        }
        if let Some(day) = self.day {
            write!(f, "-{day:02}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}", self.hour)?;
        if let Some(minute) = self.minute {
            write!(f, ":{minute:02}")?;
        }
        if let Some(second) = self.second {
            write!(f, ":{:02}", second.whole)?;
            if second.digits > 0 {
                let fraction = format!("{:09}", second.nanosecond);
                let kept = fraction.get(..usize::from(second.digits)).unwrap_or(&fraction);
                write!(f, ".{kept}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.date)?;
        if let Some(time) = self.time {
            write!(f, "T{time}")?;
        }
        match self.offset {
            None => Ok(()),
            Some(Offset { is_zulu: true, .. }) => f.write_str("Z"),
            Some(Offset { minutes, .. }) => {
                let sign = if minutes < 0 { '-' } else { '+' };
                let minutes = minutes.unsigned_abs();
                write!(f, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)
            }
        }
    }
}

macro_rules! debug_as_display {
    ($($type:ty),*) => {$(
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    )*};
}

debug_as_display!(Date, Time, DateTime);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_written() {
        for text in [
            "2015",
            "2015-02",
            "2015-02-04",
            "2015-02-04T14",
            "2015-02-04T14:34",
            "2015-02-04T14:34:28",
            "2015-02-04T14:34:60",
            "2015-02-04T14:34:28.120Z",
            "2015-02-04T14:34:28+05:45",
            "2015-02-04T14:34:28-00:30",
        ] {
            assert_eq!(DateTime::parse(text).map(|value| value.to_string()).as_deref(), Some(text));
        }
        for text in [
            "",
            "15",
            "2015-13",
            "2015-02-30",
            "2015-2-4",
            "2015-02-04T25",
            "2015-02-04T14:34:28.",
            "2015-02-04T14:34:28+5",
            "2015T14",
            "2015-02-04 14:34",
            "é015",
            "2015-02-04T14:34:28+15:00",
        ] {
            assert_eq!(DateTime::parse(text), None, "{text}");
        }
    }

    fn check(one: &str, two: &str, expected: Option<Ordering>) {
        let (one, two) = (DateTime::parse(one).expect(one), DateTime::parse(two).expect(two));
        assert_eq!(one.compare(two), expected, "{one} {two}");
        assert_eq!(two.compare(one), expected.map(Ordering::reverse), "{two} {one}");
    }

    #[test]
    fn comparison_needs_what_is_written() {
        use Ordering::{Equal, Greater, Less};
        check("2015", "2015", Some(Equal));
        check("2015", "2015-02", None);
        check("2014", "2015-02", Some(Less));
        check("2015-02-04", "2015-02-04T10:00:00Z", None);
        check("2015-02-04T10:00:00Z", "2015-02-04T10:00:00.000Z", Some(Equal));
        check("2015-02-04T10:00:00Z", "2015-02-04T12:00:00+02:00", Some(Equal));
        check("2015-02-04T23:30:00-02:00", "2015-02-05T01:00:00Z", Some(Greater));
        check("2015-02-04T10:00", "2015-02-04T10:00:00", None);
        check("2015-02-04T10:00:00Z", "2015-02-04T10:00:00", None);
        check("2015-02-04T10:00:00Z", "2015-02-05T00:00:00", None);
        check("2015-02-04T10:00:00Z", "2015-02-05T00:00:01", Some(Less));
        check("2015-02-04T23:00:00Z", "2015-02-04T10:00:00", Some(Greater));
    }

    #[test]
    fn sums_keep_the_precision() {
        let check = |text: &str, amount, unit, expected: &str| {
            let sum = DateTime::parse(text).expect(text).plus(amount, unit);
            assert_eq!(sum.map(|sum| sum.to_string()).unwrap_or_default(), expected, "{text}");
        };
        check("2014", 24, TimeUnit::Month, "2016");
        check("2014", 364, TimeUnit::Day, "2014");
        check("2014-01", 59, TimeUnit::Day, "2014-02");
        check("2012-02-29", 1, TimeUnit::Year, "2013-02-28");
        check("2016-01-31", 1, TimeUnit::Month, "2016-02-29");
        check("2016-01-31", 36, TimeUnit::Hour, "2016-02-01");
        check("2016-01-31", -1, TimeUnit::Week, "2016-01-24");
        check("2016-01-31T23:59:59Z", 1, TimeUnit::Second, "2016-02-01T00:00:00Z");
        check("2016-01-31T23:59:59Z", 10, TimeUnit::Millisecond, "2016-01-31T23:59:59.010Z");
        check("9999-12-31", 1, TimeUnit::Day, "");
        check("2016-01-31", i64::MAX, TimeUnit::Day, "");
        let time = Time::parse("23:30").expect("a time");
        assert_eq!(
            time.plus(45, TimeUnit::Minute).map(|t| t.to_string()).as_deref(),
            Some("00:15")
        );
        assert_eq!(time.plus(1, TimeUnit::Day), None);
    }
}
