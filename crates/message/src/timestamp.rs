//! Date and time text: data types TS and DTM, DT and TM (HL7 v2.5.1 §2.A.77, §2.A.22, §2.A.21, §2.A.75).
//!
//! Read strictly and kept as precise as it was written: what is left out is not guessed, the zone is kept as it stands,
//! and writing gives the same text. Nothing here knows the current time or converts between zones.

use std::fmt;

use thiserror::Error;

/// The most digits of a fraction of a second.
pub const FRACTION_DIGITS_MAX: u8 = 4;

/// What is wrong with a text that should be a date or a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TimestampError {
    /// It has no digits where they must be, or characters that do not belong.
    #[error("the text does not have the form YYYY[MM[DD[HH[MM[SS[.S[S[S[S]]]]]]]]][+/-ZZZZ]")]
    Form,
    /// The month is not 01 to 12.
    #[error("there is no such month")]
    Month,
    /// The month of that year does not have this day.
    #[error("there is no such day in that month")]
    Day,
    /// The hour is not 00 to 23.
    #[error("there is no such hour")]
    Hour,
    /// The minute is not 00 to 59.
    #[error("there is no such minute")]
    Minute,
    /// The second is not 00 to 59.
    #[error("there is no such second")]
    Second,
    /// The zone is not between -1459 and +1459.
    #[error("there is no such zone offset")]
    Offset,
}

/// How much of a point in time is stated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Precision {
    /// `YYYY`
    Year,
    /// `YYYYMM`
    Month,
    /// `YYYYMMDD`
    Day,
    /// `YYYYMMDDHH`
    Hour,
    /// `YYYYMMDDHHMM`
    Minute,
    /// `YYYYMMDDHHMMSS`
    Second,
    /// `YYYYMMDDHHMMSS.S`, with this many digits, 1 to [`FRACTION_DIGITS_MAX`].
    Fraction(u8),
}

/// A fraction of a second as it was written: `.0500` is not `.05`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fraction {
    value: u16,
    digits: u8,
}

impl Fraction {
    /// The fraction with so many digits; `None` when there are none or too many, or the value needs more.
    #[must_use]
    pub fn new(value: u16, digits: u8) -> Option<Self> {
        let fits = (1..=FRACTION_DIGITS_MAX).contains(&digits)
            && u32::from(value) < 10_u32.pow(u32::from(digits));
        fits.then_some(Self { value, digits })
    }

    /// How many digits it has.
    #[must_use]
    pub fn digits(self) -> u8 {
        self.digits
    }

    /// In nanoseconds.
    #[must_use]
    pub fn nanoseconds(self) -> u32 {
        u32::from(self.value) * 10_u32.pow(9 - u32::from(self.digits))
    }

    fn cut(self, digits: u8) -> Option<Self> {
        let dropped = self.digits.checked_sub(digits)?;
        Self::new(self.value / 10_u16.pow(u32::from(dropped)), digits)
    }
}

/// A zone: the difference from UTC as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ZoneOffset {
    /// `-0000` is kept apart from `+0000`.
    negative: bool,
    hours: u8,
    minutes: u8,
}

impl ZoneOffset {
    /// `+0000`.
    pub const UTC: Self = Self { negative: false, hours: 0, minutes: 0 };

    /// The zone this many minutes east of UTC; `None` from 15 hours on.
    #[must_use]
    pub fn from_minutes(minutes: i16) -> Option<Self> {
        let apart = minutes.unsigned_abs();
        let hours = u8::try_from(apart / 60).ok().filter(|&hours| hours < 15)?;
        let minutes_left = u8::try_from(apart % 60).ok()?;
        Some(Self { negative: minutes < 0, hours, minutes: minutes_left })
    }

    /// Minutes east of UTC.
    #[must_use]
    pub fn minutes(self) -> i16 {
        let apart = i16::from(self.hours) * 60 + i16::from(self.minutes);
        if self.negative { -apart } else { apart }
    }

    fn parse(text: &[u8]) -> Result<Option<Self>, TimestampError> {
        let (negative, digits) = match text {
            [] => return Ok(None),
            [b'+', digits @ ..] => (false, digits),
            [b'-', digits @ ..] => (true, digits),
            _ => return Err(TimestampError::Form),
        };
        let mut digits = Digits(digits);
        let hours = digits.two().ok_or(TimestampError::Form)?;
        let minutes = digits.two().ok_or(TimestampError::Form)?;
        if !digits.0.is_empty() {
            return Err(TimestampError::Form);
        }
        if hours >= 15 || minutes >= 60 {
            return Err(TimestampError::Offset);
        }
        Ok(Some(Self { negative, hours, minutes }))
    }
}

impl fmt::Display for ZoneOffset {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.negative { '-' } else { '+' };
        write!(formatter, "{sign}{:02}{:02}", self.hours, self.minutes)
    }
}

/// A time of day (data type TM).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TimeOfDay {
    hour: u8,
    minute: Option<u8>,
    second: Option<u8>,
    fraction: Option<Fraction>,
    offset: Option<ZoneOffset>,
}

impl TimeOfDay {
    /// Reads `HH[MM[SS[.S[S[S[S]]]]]][+/-ZZZZ]`.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn parse(text: &[u8]) -> Result<Self, TimestampError> {
        let (digits, offset) = split_offset(text)?;
        let mut digits = Digits(digits);
        let time = parse_time(&mut digits, offset)?.ok_or(TimestampError::Form)?;
        if digits.0.is_empty() { Ok(time) } else { Err(TimestampError::Form) }
    }

    /// 0 to 23.
    #[must_use]
    pub fn hour(&self) -> u8 {
        self.hour
    }

    /// 0 to 59, where stated.
    #[must_use]
    pub fn minute(&self) -> Option<u8> {
        self.minute
    }

    /// 0 to 59, where stated.
    #[must_use]
    pub fn second(&self) -> Option<u8> {
        self.second
    }

    /// Where stated.
    #[must_use]
    pub fn fraction(&self) -> Option<Fraction> {
        self.fraction
    }

    /// Where stated.
    #[must_use]
    pub fn offset(&self) -> Option<ZoneOffset> {
        self.offset
    }

    fn write_digits(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:02}", self.hour)?;
        for part in [self.minute, self.second].into_iter().flatten() {
            write!(formatter, "{part:02}")?;
        }
        match self.fraction {
            Some(Fraction { value, digits }) => {
                write!(formatter, ".{value:0width$}", width = usize::from(digits))
            }
            None => Ok(()),
        }
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_digits(formatter)?;
        self.offset.map_or(Ok(()), |offset| offset.fmt(formatter))
    }
}

impl fmt::Debug for TimeOfDay {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("TimeOfDay([redacted])")
    }
}

/// A date, or a date and time (data types DT, DTM and the first component of TS).
///
/// Its `Display` is the text of data type DTM, as precise as it is; a birth date is patient data, so `Debug` hides it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Timestamp {
    year: u16,
    month: Option<u8>,
    day: Option<u8>,
    time: Option<TimeOfDay>,
    /// Of a timestamp without a time of day.
    date_offset: Option<ZoneOffset>,
}

impl Timestamp {
    /// Reads `YYYY[MM[DD[HH[MM[SS[.S[S[S[S]]]]]]]]][+/-ZZZZ]`.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn parse(text: &[u8]) -> Result<Self, TimestampError> {
        let (digits, offset) = split_offset(text)?;
        let mut digits = Digits(digits);
        let mut timestamp = parse_date(&mut digits)?;
        if timestamp.day.is_some() {
            timestamp.time = parse_time(&mut digits, offset)?;
        }
        if timestamp.time.is_none() {
            timestamp.date_offset = offset;
        }
        if digits.0.is_empty() { Ok(timestamp) } else { Err(TimestampError::Form) }
    }

    /// Reads data type DT: `YYYY[MM[DD]]`.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn parse_date(text: &[u8]) -> Result<Self, TimestampError> {
        let mut digits = Digits(text);
        let date = parse_date(&mut digits)?;
        if digits.0.is_empty() { Ok(date) } else { Err(TimestampError::Form) }
    }

    /// A date and time to the second.
    ///
    /// # Errors
    /// The first part that is out of range.
    pub fn new(
        [year, month, day]: [u16; 3],
        [hour, minute, second]: [u8; 3],
    ) -> Result<Self, TimestampError> {
        if year > 9999 {
            return Err(TimestampError::Form);
        }
        let month = u8::try_from(month).map_err(|_| TimestampError::Month)?;
        let day = u8::try_from(day).map_err(|_| TimestampError::Day)?;
        let month = checked(month, 1, 12, TimestampError::Month)?;
        let day = checked(day, 1, days_in(year, month), TimestampError::Day)?;
        let time = TimeOfDay {
            hour: checked(hour, 0, 23, TimestampError::Hour)?,
            minute: Some(checked(minute, 0, 59, TimestampError::Minute)?),
            second: Some(checked(second, 0, 59, TimestampError::Second)?),
            fraction: None,
            offset: None,
        };
        let (month, day, time) = (Some(month), Some(day), Some(time));
        Ok(Self { year, month, day, time, date_offset: None })
    }

    /// The same with a fraction, where it is precise to the second.
    #[must_use]
    pub fn with_fraction(mut self, fraction: Fraction) -> Option<Self> {
        let time = self.time.as_mut().filter(|time| time.second.is_some())?;
        time.fraction = Some(fraction);
        Some(self)
    }

    /// The same digits in another zone or in none: nothing is converted.
    #[must_use]
    pub fn with_offset(mut self, offset: Option<ZoneOffset>) -> Self {
        match &mut self.time {
            Some(time) => time.offset = offset,
            None => self.date_offset = offset,
        }
        self
    }

    /// How much is stated.
    #[must_use]
    pub fn precision(&self) -> Precision {
        match (self.month, self.day, self.time) {
            (None, ..) => Precision::Year,
            (Some(_), None, _) => Precision::Month,
            (Some(_), Some(_), None) => Precision::Day,
            (Some(_), Some(_), Some(time)) => match time {
                TimeOfDay { minute: None, .. } => Precision::Hour,
                TimeOfDay { second: None, .. } => Precision::Minute,
                TimeOfDay { fraction: None, .. } => Precision::Second,
                TimeOfDay { fraction: Some(fraction), .. } => Precision::Fraction(fraction.digits),
            },
        }
    }

    /// The same, cut to this precision; `None` when less than that is stated. The zone stays.
    #[must_use]
    pub fn cut_to(&self, precision: Precision) -> Option<Self> {
        if precision > self.precision() {
            return None;
        }
        let offset = self.offset();
        let mut cut = *self;
        if precision < Precision::Month {
            cut.month = None;
        }
        if precision < Precision::Day {
            cut.day = None;
        }
        if precision < Precision::Hour {
            cut.time = None;
        }
        if let Some(time) = &mut cut.time {
            if precision < Precision::Minute {
                time.minute = None;
            }
            if precision < Precision::Second {
                time.second = None;
            }
            time.fraction = match (precision, time.fraction) {
                (Precision::Fraction(digits), Some(fraction)) => Some(fraction.cut(digits)?),
                _ => None,
            };
        }
        Some(cut.with_offset(offset))
    }

    /// 0 to 9999.
    #[must_use]
    pub fn year(&self) -> u16 {
        self.year
    }

    /// 1 to 12, where stated.
    #[must_use]
    pub fn month(&self) -> Option<u8> {
        self.month
    }

    /// 1 to 31, where stated.
    #[must_use]
    pub fn day(&self) -> Option<u8> {
        self.day
    }

    /// The time of day, where stated.
    #[must_use]
    pub fn time(&self) -> Option<TimeOfDay> {
        self.time
    }

    /// 0 to 23, where stated.
    #[must_use]
    pub fn hour(&self) -> Option<u8> {
        self.time.map(|time| time.hour)
    }

    /// 0 to 59, where stated.
    #[must_use]
    pub fn minute(&self) -> Option<u8> {
        self.time?.minute
    }

    /// 0 to 59, where stated.
    #[must_use]
    pub fn second(&self) -> Option<u8> {
        self.time?.second
    }

    /// Where stated.
    #[must_use]
    pub fn fraction(&self) -> Option<Fraction> {
        self.time?.fraction
    }

    /// Where stated.
    #[must_use]
    pub fn offset(&self) -> Option<ZoneOffset> {
        match self.time {
            Some(time) => time.offset,
            None => self.date_offset,
        }
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:04}", self.year)?;
        for part in [self.month, self.day].into_iter().flatten() {
            write!(formatter, "{part:02}")?;
        }
        if let Some(time) = self.time {
            time.write_digits(formatter)?;
        }
        self.offset().map_or(Ok(()), |offset| offset.fmt(formatter))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Timestamp([redacted])")
    }
}

/// The digits of a text that are not read yet.
struct Digits<'a>(&'a [u8]);

impl Digits<'_> {
    fn two(&mut self) -> Option<u8> {
        let (&[tens, units], rest) = self.0.split_first_chunk::<2>()?;
        if !(tens.is_ascii_digit() && units.is_ascii_digit()) {
            return None;
        }
        self.0 = rest;
        Some((tens - b'0') * 10 + (units - b'0'))
    }

    /// Two digits where there are any left: `None` at the end and before a fraction.
    fn two_or_end(&mut self) -> Result<Option<u8>, TimestampError> {
        match self.0.first() {
            None | Some(b'.') => Ok(None),
            Some(_) => self.two().ok_or(TimestampError::Form).map(Some),
        }
    }

    fn fraction(&mut self) -> Result<Option<Fraction>, TimestampError> {
        let Some(digits) = self.0.strip_prefix(b".") else { return Ok(None) };
        let form = TimestampError::Form;
        let count = u8::try_from(digits.len()).map_err(|_| form)?;
        let all_digits = digits.iter().all(u8::is_ascii_digit);
        if !all_digits || count > FRACTION_DIGITS_MAX {
            return Err(form);
        }
        let value = digits.iter().fold(0, |value, digit| value * 10 + u16::from(digit - b'0'));
        self.0 = &[];
        Fraction::new(value, count).ok_or(form).map(Some)
    }
}

fn split_offset(text: &[u8]) -> Result<(&[u8], Option<ZoneOffset>), TimestampError> {
    let end = text.iter().position(|byte| matches!(byte, b'+' | b'-')).unwrap_or(text.len());
    let (digits, offset) = text.split_at_checked(end).ok_or(TimestampError::Form)?;
    Ok((digits, ZoneOffset::parse(offset)?))
}

fn parse_date(digits: &mut Digits<'_>) -> Result<Timestamp, TimestampError> {
    let century = digits.two().ok_or(TimestampError::Form)?;
    let year_of_century = digits.two().ok_or(TimestampError::Form)?;
    let year = u16::from(century) * 100 + u16::from(year_of_century);
    let mut date = Timestamp { year, month: None, day: None, time: None, date_offset: None };
    if let Some(month) = digits.two_or_end()? {
        date.month = Some(checked(month, 1, 12, TimestampError::Month)?);
        if let Some(day) = digits.two_or_end()? {
            date.day = Some(checked(day, 1, days_in(year, month), TimestampError::Day)?);
        }
    }
    Ok(date)
}

fn parse_time(
    digits: &mut Digits<'_>,
    offset: Option<ZoneOffset>,
) -> Result<Option<TimeOfDay>, TimestampError> {
    let Some(hour) = digits.two_or_end()? else { return Ok(None) };
    let hour = checked(hour, 0, 23, TimestampError::Hour)?;
    let mut time = TimeOfDay { hour, minute: None, second: None, fraction: None, offset };
    if let Some(minute) = digits.two_or_end()? {
        time.minute = Some(checked(minute, 0, 59, TimestampError::Minute)?);
        if let Some(second) = digits.two_or_end()? {
            time.second = Some(checked(second, 0, 59, TimestampError::Second)?);
            time.fraction = digits.fraction()?;
        }
    }
    Ok(Some(time))
}

fn checked(value: u8, least: u8, most: u8, error: TimestampError) -> Result<u8, TimestampError> {
    if (least..=most).contains(&value) { Ok(value) } else { Err(error) }
}

fn days_in(year: u16, month: u8) -> u8 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests;
