//! Dates and times as spans: `2024-03` is all of March (FHIR R4 §3.1.1.4.7).

use super::query::DateRange;

const MICROSECONDS: i64 = 1_000_000;
const SECONDS_OF_DAY: i64 = 86_400;

/// The span of a date, a dateTime or an instant, as far as its digits go; `None` where the text is none. Without a
/// zone it is UTC. Seconds may be left away, as in searches; a space before the offset is the `+` that a URL lost.
pub fn parse_date(text: &str) -> Option<DateRange> {
    let mut reader = Reader { rest: text.as_bytes() };
    let year = reader.digits(4)?;
    if year == 0 {
        return None;
    }
    if reader.is_done() {
        return days(day_number(year, 1, 1), day_number(year + 1, 1, 1));
    }
    reader.take(b'-')?;
    let month = reader.digits(2).filter(|month| (1..=12).contains(month))?;
    if reader.is_done() {
        let (next_year, next) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
        return days(day_number(year, month, 1), day_number(next_year, next, 1));
    }
    reader.take(b'-')?;
    let day = reader.digits(2).filter(|day| (1..=days_of(year, month)).contains(day))?;
    let day_number = day_number(year, month, day);
    if reader.is_done() {
        return days(day_number, day_number + 1);
    }
    reader.take(b'T')?;
    let (seconds, fraction, length) = reader.time()?;
    let offset = reader.offset()?;
    let from = ((day_number * SECONDS_OF_DAY + seconds) - offset) * MICROSECONDS + fraction;
    reader.is_done().then_some(DateRange { from, to: from + length - 1 })
}

fn days(first: i64, end: i64) -> Option<DateRange> {
    Some(DateRange {
        from: first * SECONDS_OF_DAY * MICROSECONDS,
        to: end * SECONDS_OF_DAY * MICROSECONDS - 1,
    })
}

fn days_of(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar.
fn day_number(year: i64, month: i64, day: i64) -> i64 {
    // Years begin in March here, so that the leap day is the last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leap_days + (153 * month + 2) / 5 + day - 719_469
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    fn is_done(&self) -> bool {
        self.rest.is_empty()
    }

    fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        self.rest = self.rest.strip_prefix(&[byte])?;
        Some(())
    }

    fn digits(&mut self, count: usize) -> Option<i64> {
        let (digits, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        digits.iter().try_fold(0, |number, digit| {
            digit.is_ascii_digit().then(|| number * 10 + i64::from(digit - b'0'))
        })
    }

    /// Seconds since midnight, microseconds of the fraction, and the length of what the digits mean in microseconds.
    fn time(&mut self) -> Option<(i64, i64, i64)> {
        let hour = self.digits(2).filter(|hour| *hour < 24)?;
        self.take(b':')?;
        let minute = self.digits(2).filter(|minute| *minute < 60)?;
        let seconds = hour * 3600 + minute * 60;
        if self.peek() != Some(b':') {
            return Some((seconds, 0, 60 * MICROSECONDS));
        }
        self.take(b':')?;
        // 60 is a leap second; it falls into the next minute.
        let seconds = seconds + self.digits(2).filter(|second| *second <= 60)?;
        if self.peek() != Some(b'.') {
            return Some((seconds, 0, MICROSECONDS));
        }
        self.take(b'.')?;
        let mut fraction = 0;
        let mut unit = MICROSECONDS;
        let mut count = 0;
        while let Some(digit) = self.peek().filter(u8::is_ascii_digit) {
            self.rest = self.rest.get(1..)?;
            count += 1;
            if unit > 1 {
                unit /= 10;
                fraction += i64::from(digit - b'0') * unit;
            }
        }
        (count > 0).then_some((seconds, fraction, unit))
    }

    /// Seconds east of UTC.
    fn offset(&mut self) -> Option<i64> {
        let sign = match self.peek() {
            None => return Some(0),
            Some(b'Z') => {
                self.take(b'Z')?;
                return Some(0);
            }
            Some(b'+' | b' ') => 1,
            Some(b'-') => -1,
            Some(_) => return None,
        };
        self.rest = self.rest.get(1..)?;
        let hours = self.digits(2).filter(|hours| *hours <= 14)?;
        self.take(b':')?;
        let minutes = self.digits(2).filter(|minutes| *minutes < 60)?;
        Some(sign * (hours * 3600 + minutes * 60))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<(&str, &str)>) {
        let shown = |at: i64| jiff::Timestamp::from_microsecond(at).unwrap().to_string();
        let found = parse_date(text).map(|range| (shown(range.from), shown(range.to)));
        let expected = expected.map(|(from, to)| (from.to_owned(), to.to_owned()));
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn digits_are_a_span() {
        check("2024", Some(("2024-01-01T00:00:00Z", "2024-12-31T23:59:59.999999Z")));
        check("2024-02", Some(("2024-02-01T00:00:00Z", "2024-02-29T23:59:59.999999Z")));
        check("1900-12", Some(("1900-12-01T00:00:00Z", "1900-12-31T23:59:59.999999Z")));
        check("1960-02-29", Some(("1960-02-29T00:00:00Z", "1960-02-29T23:59:59.999999Z")));
        check("2024-05-06T07:08", Some(("2024-05-06T07:08:00Z", "2024-05-06T07:08:59.999999Z")));
        check(
            "2024-05-06T07:08:09.1+02:00",
            Some(("2024-05-06T05:08:09.1Z", "2024-05-06T05:08:09.199999Z")),
        );
        check(
            "2024-05-06T07:08:09 02:00",
            Some(("2024-05-06T05:08:09Z", "2024-05-06T05:08:09.999999Z")),
        );
        check(
            "2024-05-06T23:30:00.1234567-05:30",
            Some(("2024-05-07T05:00:00.123456Z", "2024-05-07T05:00:00.123456Z")),
        );
        check(
            "2016-12-31T23:59:60Z",
            Some(("2017-01-01T00:00:00Z", "2017-01-01T00:00:00.999999Z")),
        );
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in [
            "",
            "24",
            "20245",
            "0000",
            "2024-",
            "2024-13",
            "2024-00",
            "2023-02-29",
            "1900-02-29",
            "2024-05-06T",
            "2024-05-06T24:00:00Z",
            "2024-05-06T07",
            "2024-05-06T07:08:09.",
            "2024-05-06T07:08:09x",
            "2024-05-06T07:08:09+15:00",
            "2024-05-06T07:08:09Zx",
            "٢٠٢٤",
        ] {
            check(text, None);
        }
    }

    proptest! {
        #[test]
        fn the_calendar_is_that_of_others(year in 1_i16..=9998, month in 1_i8..=12, day in 1_i8..=31) {
            let found = parse_date(&format!("{year:04}-{month:02}-{day:02}")).map(|range| range.from);
            let expected = jiff::civil::Date::new(year, month, day).ok().map(|date| {
                date.to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp().as_microsecond()
            });
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn any_text_is_answered(text in "[0-9TZ:. +-]{0,30}") {
            if let Some(range) = parse_date(&text) {
                prop_assert!(range.from <= range.to);
            }
        }
    }
}
