//! How dates and times are written: patterns that read and write them.
//!
//! | in a pattern | stands for |
//! | --- | --- |
//! | `yyyy` `MM` `dd` | year, month, day in digits |
//! | `MMM` | the month's English abbreviation: `Jan` (read in any case) |
//! | `HH` `mm` `ss` | hour 00–23, minute, second |
//! | `hh` `a` | hour 01–12, `AM` or `PM` |
//! | `S` `SSS` | fraction of a second: as many digits as there are, or exactly three |
//! | `Z` `XXX` | offset from UTC: `+0100`, `+01:00` |
//! | `[…]` | left out where the value is not that precise |
//! | `'T'` | letters that stand for themselves |
//!
//! `hl7` is `yyyy[MM[dd[HH[mm[ss[.S]]]]]][Z]` (DTM, HL7 v2.5.1 §2.A.22), `hl7 day` the same cut at
//! the day (and so for `year`, `month`, `hour`, `minute`, `second`), `iso` is
//! `yyyy[-MM[-dd['T'HH:mm[:ss[.S]][XXX]]]]`.

use std::fmt::Write as _;
use std::ops::Range;

use super::SyntaxError;

/// A date and time as precise as it was written; every part is checked against the calendar.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct DateParts {
    pub(super) year: Option<u16>,
    pub(super) month: Option<u8>,
    pub(super) day: Option<u8>,
    pub(super) hour: Option<u8>,
    pub(super) minute: Option<u8>,
    pub(super) second: Option<u8>,
    /// Billionths of a second, and how many digits were written.
    pub(super) fraction: Option<(u32, u8)>,
    /// Seconds east of UTC.
    pub(super) offset: Option<i32>,
}

/// A pattern, ready to read and write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DatePattern {
    items: Vec<Item>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Item {
    Year,
    Month,
    MonthName,
    Day,
    Hour,
    HalfDayHour,
    HalfDay,
    Minute,
    Second,
    /// Exactly so many digits, or as many as there are.
    Fraction(Option<u8>),
    Offset {
        colon: bool,
    },
    Literal(char),
    Optional(Vec<Item>),
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// How deep `[…]` may nest: a date has fewer parts than this.
const NESTING_MAX: usize = 16;

const NAMED: [(&str, &str); 8] = [
    ("hl7", "yyyy[MM[dd[HH[mm[ss[.S]]]]]][Z]"),
    ("hl7 year", "yyyy"),
    ("hl7 month", "yyyy[MM]"),
    ("hl7 day", "yyyy[MM[dd]]"),
    ("hl7 hour", "yyyy[MM[dd[HH]]][Z]"),
    ("hl7 minute", "yyyy[MM[dd[HH[mm]]]][Z]"),
    ("hl7 second", "yyyy[MM[dd[HH[mm[ss]]]]][Z]"),
    ("iso", "yyyy[-MM[-dd['T'HH:mm[:ss[.S]][XXX]]]]"),
];

impl DatePattern {
    /// Reads a pattern or the name of one.
    pub(super) fn parse(text: &str) -> Result<Self, SyntaxError> {
        let named = NAMED.iter().find(|(name, _)| *name == text);
        let pattern = named.map_or(text, |(_, pattern)| pattern);
        let mut parser = PatternParser { text: pattern, at: 0, minute: None, half_day_hour: None };
        let items = parser.items(0)?;
        if items.iter().all(|item| matches!(item, Item::Literal(_))) {
            return Err(SyntaxError::new(0..text.len(), "this pattern has no part of a date")
                .help("write `hl7`, `iso` or a pattern such as `yyyy-MM-dd HH:mm`"));
        }
        let has = |wanted: fn(&Item) -> bool| any(&items, wanted);
        if let Some(at) = parser.minute
            && !has(|item| matches!(item, Item::Hour | Item::HalfDayHour))
        {
            return Err(SyntaxError::new(at, "`mm` is the minute, and there is no hour here")
                .help("write `MM` for the month in digits"));
        }
        // Two in the afternoon would be written as two in the morning, and read so.
        if let Some(at) = parser.half_day_hour
            && !has(|item| matches!(item, Item::HalfDay))
        {
            let message = "`hh` is the hour 01–12, and nothing says whether AM or PM";
            return Err(
                SyntaxError::new(at, message).help("write `HH` for 00–23, or add `a` for AM or PM")
            );
        }
        Ok(Self { items })
    }

    /// Reads a pattern that values shall be read by: it has a year, without which nothing is a date.
    pub(super) fn parse_to_read(text: &str) -> Result<Self, SyntaxError> {
        let pattern = Self::parse(text)?;
        if !any(&pattern.items, |item| matches!(item, Item::Year)) {
            return Err(SyntaxError::new(0..text.len(), "without a year no value is a date")
                .help("write `yyyy` where the year stands"));
        }
        Ok(pattern)
    }

    /// Whether it always writes the offset from UTC.
    pub(super) fn needs_offset(&self) -> bool {
        self.items.iter().any(|item| matches!(item, Item::Offset { .. }))
    }

    /// Whether a value it reads may say its offset from UTC.
    pub(super) fn reads_offset(&self) -> bool {
        any(&self.items, |item| matches!(item, Item::Offset { .. }))
    }

    /// Reads a value written by this pattern; `None` when it is not, or there is no such day.
    pub(super) fn read(&self, value: &str) -> Option<DateParts> {
        let mut reader = Reader { rest: value, parts: DateParts::default(), afternoon: None };
        reader.items(&self.items)?;
        if !reader.rest.is_empty() {
            return None;
        }
        if let (Some(afternoon), Some(hour)) = (reader.afternoon, reader.parts.hour) {
            reader.parts.hour = Some(hour % 12 + if afternoon { 12 } else { 0 });
        }
        reader.parts.checked()
    }

    /// Writes `parts`; `None` when the pattern asks for a part that is not known.
    pub(super) fn write(&self, parts: &DateParts) -> Option<String> {
        let mut written = String::with_capacity(24);
        write_items(&self.items, parts, &mut written)?;
        Some(written)
    }
}

/// Whether one of the items, or of those in optional parts, is so.
fn any(items: &[Item], wanted: fn(&Item) -> bool) -> bool {
    items.iter().any(|item| match item {
        Item::Optional(inner) => any(inner, wanted),
        item => wanted(item),
    })
}

impl DateParts {
    /// As they are, when the calendar and the clock have them.
    fn checked(self) -> Option<Self> {
        let year = i16::try_from(self.year?).ok()?;
        let month = i8::try_from(self.month.unwrap_or(1)).ok()?;
        let day = i8::try_from(self.day.unwrap_or(1)).ok()?;
        jiff::civil::Date::new(year, month, day).ok()?;
        let within = |part: Option<u8>, most: u8| part.is_none_or(|part| part <= most);
        // An offset says something about a time of day only.
        let offset_fits = self.offset.is_none() || self.hour.is_some();
        let ordered = (self.minute.is_none() || self.hour.is_some())
            && (self.second.is_none() || self.minute.is_some())
            && (self.day.is_none() || self.month.is_some())
            && (self.hour.is_none() || self.day.is_some());
        (within(self.hour, 23)
            && within(self.minute, 59)
            && within(self.second, 59)
            && offset_fits
            && ordered)
            .then_some(self)
    }
}

struct PatternParser<'t> {
    text: &'t str,
    at: usize,
    /// Where the first `mm` and `hh` stand.
    minute: Option<Range<usize>>,
    half_day_hour: Option<Range<usize>>,
}

impl PatternParser<'_> {
    fn peek(&self) -> Option<char> {
        self.text.get(self.at..)?.chars().next()
    }

    /// The items up to the end, or up to the `]` of an optional part.
    fn items(&mut self, depth: usize) -> Result<Vec<Item>, SyntaxError> {
        let mut items = Vec::new();
        while let Some(character) = self.peek() {
            let start = self.at;
            match character {
                '[' => {
                    self.at += 1;
                    if depth >= NESTING_MAX {
                        return Err(SyntaxError::new(start..self.at, "too many `[` within `[`"));
                    }
                    let inner = self.items(depth + 1)?;
                    if self.peek() != Some(']') {
                        return Err(SyntaxError::new(start..start + 1, "this `[` is never closed")
                            .help("write `]` where the optional part ends"));
                    }
                    self.at += 1;
                    items.push(Item::Optional(inner));
                }
                ']' if depth > 0 => return Ok(items),
                ']' => {
                    return Err(SyntaxError::new(start..start + 1, "this `]` closes nothing")
                        .help("write `[` where the optional part begins"));
                }
                '\'' => self.quoted(&mut items)?,
                character if character.is_ascii_alphabetic() => {
                    items.push(self.letters(character)?)
                }
                character => {
                    self.at += character.len_utf8();
                    items.push(Item::Literal(character));
                }
            }
        }
        Ok(items)
    }

    fn quoted(&mut self, items: &mut Vec<Item>) -> Result<(), SyntaxError> {
        let start = self.at;
        let inside = self.text.get(start + 1..).unwrap_or("");
        let Some(length) = inside.find('\'') else {
            return Err(SyntaxError::new(start..start + 1, "this quote is never closed"));
        };
        items.extend(inside.get(..length).unwrap_or("").chars().map(Item::Literal));
        self.at = start + length + 2;
        Ok(())
    }

    fn letters(&mut self, letter: char) -> Result<Item, SyntaxError> {
        let start = self.at;
        let rest = self.text.get(start..).unwrap_or("");
        let length = rest.find(|other| other != letter).unwrap_or(rest.len());
        self.at = start + length;
        let digits = u8::try_from(length).ok().filter(|digits| *digits <= 9);
        let item = match (letter, length) {
            ('y', 4) => Item::Year,
            ('M', 2) => Item::Month,
            ('M', 3) => Item::MonthName,
            ('d', 2) => Item::Day,
            ('H', 2) => Item::Hour,
            ('h', 2) => Item::HalfDayHour,
            ('a', 1) => Item::HalfDay,
            ('m', 2) => Item::Minute,
            ('s', 2) => Item::Second,
            ('S', 1) => Item::Fraction(None),
            ('S', _) if digits.is_some() => Item::Fraction(digits),
            ('Z', 1) => Item::Offset { colon: false },
            ('X', 3) => Item::Offset { colon: true },
            _ => {
                let help = match letter {
                    'y' => "write `yyyy`: a year of two digits leaves the century to guess",
                    'Y' => "write `yyyy`",
                    'D' => "write `dd`",
                    'M' => "write `MM` for the month in digits or `MMM` for `Jan`",
                    'S' => "a second has at most nine decimals",
                    'h' | 'H' => "write `HH` for 00–23, or `hh` and `a` for 01–12 with AM or PM",
                    'T' => "put quotes around letters that stand for themselves: 'T'",
                    _ => {
                        "known are yyyy MM MMM dd HH hh a mm ss S Z XXX; other letters need quotes: 'T'"
                    }
                };
                return Err(SyntaxError::new(
                    start..self.at,
                    format!("`{}` is not part of a date pattern", rest.get(..length).unwrap_or("")),
                )
                .help(help));
            }
        };
        let first = match item {
            Item::Minute => &mut self.minute,
            Item::HalfDayHour => &mut self.half_day_hour,
            _ => return Ok(item),
        };
        first.get_or_insert(start..self.at);
        Ok(item)
    }
}

#[derive(Clone, Copy)]
struct Reader<'v> {
    rest: &'v str,
    parts: DateParts,
    afternoon: Option<bool>,
}

impl Reader<'_> {
    fn items(&mut self, items: &[Item]) -> Option<()> {
        items.iter().try_for_each(|item| self.item(item))
    }

    fn item(&mut self, item: &Item) -> Option<()> {
        match item {
            Item::Year => self.parts.year = Some(self.digits(4)?),
            Item::Month => self.parts.month = Some(self.two_digits()?),
            Item::MonthName => {
                let name = self.take(3)?;
                let month = MONTHS.iter().position(|month| month.eq_ignore_ascii_case(name))?;
                self.parts.month = Some(u8::try_from(month).ok()? + 1);
            }
            Item::Day => self.parts.day = Some(self.two_digits()?),
            Item::Hour => self.parts.hour = Some(self.two_digits()?),
            Item::HalfDayHour => {
                self.parts.hour = Some(self.two_digits()?).filter(|hour| (1..=12).contains(hour));
                self.parts.hour?;
            }
            Item::HalfDay => {
                let half = self.take(2)?;
                let afternoon = half.eq_ignore_ascii_case("PM");
                if !afternoon && !half.eq_ignore_ascii_case("AM") {
                    return None;
                }
                self.afternoon = Some(afternoon);
            }
            Item::Minute => self.parts.minute = Some(self.two_digits()?),
            Item::Second => self.parts.second = Some(self.two_digits()?),
            Item::Fraction(digits) => self.fraction(*digits)?,
            Item::Offset { .. } => self.offset()?,
            Item::Literal(character) => self.rest = self.rest.strip_prefix(*character)?,
            Item::Optional(inner) => {
                let mut attempt = *self;
                if attempt.items(inner).is_some() {
                    *self = attempt;
                }
            }
        }
        Some(())
    }

    fn take(&mut self, bytes: usize) -> Option<&str> {
        let (taken, rest) = self.rest.split_at_checked(bytes)?;
        self.rest = rest;
        Some(taken)
    }

    fn digits(&mut self, count: usize) -> Option<u16> {
        let taken = self.take(count)?;
        taken.bytes().all(|byte| byte.is_ascii_digit()).then(|| taken.parse().ok()).flatten()
    }

    fn two_digits(&mut self) -> Option<u8> {
        u8::try_from(self.digits(2)?).ok()
    }

    fn fraction(&mut self, exactly: Option<u8>) -> Option<()> {
        let written = self.rest.bytes().take_while(u8::is_ascii_digit).count();
        let digits = u8::try_from(written).ok().filter(|digits| (1..=9).contains(digits))?;
        if exactly.is_some_and(|exactly| exactly != digits) {
            return None;
        }
        let value: u32 = self.take(written)?.parse().ok()?;
        let scale = 10_u32.checked_pow(9 - u32::from(digits))?;
        self.parts.fraction = Some((value.checked_mul(scale)?, digits));
        Some(())
    }

    fn offset(&mut self) -> Option<()> {
        if let Some(rest) = self.rest.strip_prefix('Z') {
            self.rest = rest;
            self.parts.offset = Some(0);
            return Some(());
        }
        let sign = match self.take(1)? {
            "+" => 1,
            "-" => -1,
            _ => return None,
        };
        let hours = i32::from(self.two_digits()?);
        self.rest = self.rest.strip_prefix(':').unwrap_or(self.rest);
        let minutes = i32::from(self.two_digits()?);
        if hours > 23 || minutes > 59 {
            return None;
        }
        self.parts.offset = Some(sign * (hours * 3600 + minutes * 60));
        Some(())
    }
}

fn write_items(items: &[Item], parts: &DateParts, written: &mut String) -> Option<()> {
    items.iter().try_for_each(|item| write_item(item, parts, written))
}

fn write_item(item: &Item, parts: &DateParts, written: &mut String) -> Option<()> {
    match item {
        Item::Year => write!(written, "{:04}", parts.year?).ok(),
        Item::Month => write!(written, "{:02}", parts.month?).ok(),
        Item::MonthName => {
            let month = usize::from(parts.month?).checked_sub(1)?;
            written.push_str(MONTHS.get(month)?);
            Some(())
        }
        Item::Day => write!(written, "{:02}", parts.day?).ok(),
        Item::Hour => write!(written, "{:02}", parts.hour?).ok(),
        Item::HalfDayHour => {
            let hour = parts.hour? % 12;
            write!(written, "{:02}", if hour == 0 { 12 } else { hour }).ok()
        }
        Item::HalfDay => {
            written.push_str(if parts.hour? < 12 { "AM" } else { "PM" });
            Some(())
        }
        Item::Minute => write!(written, "{:02}", parts.minute?).ok(),
        Item::Second => write!(written, "{:02}", parts.second?).ok(),
        Item::Fraction(exactly) => {
            let (value, digits) = parts.fraction?;
            let all = format!("{value:09}");
            written.push_str(all.get(..usize::from(exactly.unwrap_or(digits)))?);
            Some(())
        }
        Item::Offset { colon } => {
            let offset = parts.offset?;
            let sign = if offset < 0 { '-' } else { '+' };
            let minutes = offset.unsigned_abs() / 60;
            let between = if *colon { ":" } else { "" };
            write!(written, "{sign}{:02}{between}{:02}", minutes / 60, minutes % 60).ok()
        }
        Item::Literal(character) => {
            written.push(*character);
            Some(())
        }
        Item::Optional(inner) => {
            let before = written.len();
            if write_items(inner, parts, written).is_none() {
                written.truncate(before);
            }
            Some(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(read: &str, value: &str, write: &str, expected: Option<&str>) {
        let (Ok(read), Ok(write)) = (DatePattern::parse(read), DatePattern::parse(write)) else {
            panic!("{read} and {write} are patterns");
        };
        let written = read.read(value).and_then(|parts| write.write(&parts));
        assert_eq!(written.as_deref(), expected, "{value}");
    }

    #[test]
    fn hl7_values_keep_their_precision() {
        for value in [
            "2024",
            "202402",
            "20240229",
            "2024022913",
            "202402291305",
            "20240229130559",
            "20240229130559.1",
            "20240229130559.123456789",
            "20240229130559.1234+0100",
            "202402291305-0330",
        ] {
            check("hl7", value, "hl7", Some(value));
        }
    }

    #[test]
    fn values_that_are_no_dates_are_told_apart() {
        for value in [
            "",
            "24",
            "20240230",
            "20241301",
            "2024022925",
            "202402291360",
            "2024-02-29",
            "20240229x",
            "20240229130559.",
            "20240229130559.1234567890",
            "2024+0100",
            "20240229130559+0160",
            "２０２４",
        ] {
            check("hl7", value, "hl7", None);
        }
    }

    #[test]
    fn patterns_read_and_write_other_forms() {
        check("dd/MM/yyyy", "29/02/2024", "hl7", Some("20240229"));
        check("dd-MMM-yyyy hh:mm a", "29-feb-2024 12:05 am", "hl7", Some("202402290005"));
        check("hl7", "202402291305", "dd-MMM-yyyy hh:mm a", Some("29-Feb-2024 01:05 PM"));
        check("hl7", "20240229130559.5+0100", "iso", Some("2024-02-29T13:05:59.5+01:00"));
        check("iso", "2024-02-29T13:05Z", "hl7", Some("202402291305+0000"));
        check("hl7", "20240229130559.123456", "yyyyMMddHHmmss.SSS", Some("20240229130559.123"));
        check("hl7", "20240229130559", "hl7 day", Some("20240229"));
        check("hl7", "20240229", "hl7 second", Some("20240229"));
    }

    #[test]
    fn what_is_not_known_is_not_invented() {
        check("hl7", "20240229", "yyyyMMddHHmm", None);
        check("hl7", "202402291305", "yyyyMMddHHmmZ", None);
        check("hl7", "20240229130559", "yyyyMMddHHmmss.SSS", None);
    }

    fn refused(pattern: &str, at: std::ops::Range<usize>) {
        assert_eq!(DatePattern::parse(pattern).expect_err("a mistake").at, at, "{pattern}");
    }

    #[test]
    fn mistakes_in_patterns_point_at_the_letter() {
        refused("yy-MM-dd", 0..2);
        refused("yyyy-MM-ddTHH:mm", 10..11);
        refused("yyyy[MM", 4..5);
        refused("yyyyMM]", 6..7);
        refused("yyyy'T", 4..5);
        refused("--", 0..2);
        refused("ss.SSSSSSSSSS", 3..13);
    }

    #[test]
    fn a_pattern_that_would_take_one_part_for_another_is_refused() {
        refused("dd.mm.yyyy", 3..5);
        refused("yyyy-mm[-dd]", 5..7);
        refused("yyyy-MM-dd hh:mm", 11..13);
        refused("yyyyMMdd[hh[mm]]", 9..11);
        for pattern in ["HH:mm", "hh:mm a", "yyyy[MM[dd[HH[mm]]]]", "dd.MM."] {
            assert!(DatePattern::parse(pattern).is_ok(), "{pattern}");
        }
    }

    #[test]
    fn a_pattern_to_read_by_has_a_year() {
        for pattern in ["dd.MM.", "HH:mm"] {
            let mistake = DatePattern::parse_to_read(pattern).expect_err("a mistake");
            assert_eq!(mistake.at, 0..pattern.len(), "{pattern}");
        }
        for pattern in ["hl7", "iso", "hl7 day", "[yyyy]", "dd.MM.yyyy"] {
            assert!(DatePattern::parse_to_read(pattern).is_ok(), "{pattern}");
        }
    }
}
