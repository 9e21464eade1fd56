//! How precise a date or time is written, in the standard's own notation.

use std::fmt;

use super::constraint::Length;
use pipehat_message::{Precision, TimeOfDay, Timestamp};

/// `YYYYMMDDHHMM[SS][+ZZZZ]`: what is in brackets may be left out.
///
/// The notation is that of the data types DT, TM and DTM (HL7 v2.5.1 §2.A.21, §2.A.22, §2.A.75), with one thing
/// more: without `+ZZZZ` there is no offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Format {
    text: Box<str>,
    /// A time of day alone.
    time_only: bool,
    least: u8,
    most: u8,
    zone: Zone,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Zone {
    Never,
    Sometimes,
    Always,
}

/// The parts of a date and time in their order, as they are written; the last four are digits of the fraction.
const PARTS: [&str; 10] = ["YYYY", "MM", "DD", "HH", "MM", "SS", ".S", "S", "S", "S"];

/// The characters of an offset, as in `+0100`.
const OFFSET_CHARACTERS: u32 = 5;

/// The index in [`PARTS`] of the hour.
const HOUR: u8 = 3;

impl Format {
    /// Reads a format.
    ///
    /// # Errors
    /// What is wrong, in a sentence.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        const HELP: &str = "write it as the standard does: `YYYYMMDDHHMM[SS][+ZZZZ]`, where parts in brackets may be missing";
        let time_only = text.starts_with("HH");
        let mut rest = text;
        let mut zone = Zone::Never;
        for (written, kind) in [
            ("[+/-ZZZZ]", Zone::Sometimes),
            ("[+ZZZZ]", Zone::Sometimes),
            ("+/-ZZZZ", Zone::Always),
            ("+ZZZZ", Zone::Always),
        ] {
            if let Some(before) = rest.strip_suffix(written) {
                (rest, zone) = (before, kind);
                break;
            }
        }
        let first = if time_only { HOUR } else { 0 };
        let (mut next, mut least) = (first, None);
        let mut open = 0_u32;
        while !rest.is_empty() {
            if let Some(after) = rest.strip_prefix('[') {
                least.get_or_insert(next);
                (rest, open) = (after, open + 1);
            } else if let Some(after) = rest.strip_prefix(']') {
                open = open.checked_sub(1).ok_or(HELP)?;
                rest = after;
            } else {
                let part = PARTS.get(usize::from(next)).ok_or(HELP)?;
                rest = rest.strip_prefix(part).ok_or(HELP)?;
                if open == 0 && least.is_some() {
                    return Err(HELP);
                }
                next += 1;
            }
        }
        let least = least.unwrap_or(next);
        if open != 0 || least <= first {
            return Err(HELP);
        }
        Ok(Self { text: text.into(), time_only, least, most: next, zone })
    }

    /// The format of these precisions: so many parts at least and at most, an offset never, sometimes or always.
    pub(super) fn of(
        time_only: bool,
        least: u8,
        most: u8,
        with_zone: bool,
        without_zone: bool,
    ) -> Option<Self> {
        let first = if time_only { HOUR } else { 0 };
        let mut text = String::new();
        for (index, part) in (0_u8..most).zip(PARTS).skip(usize::from(first)) {
            if index >= least {
                text.push('[');
            }
            text.push_str(part);
        }
        text.extend((least.max(first)..most).map(|_| ']'));
        text.push_str(match (with_zone, without_zone) {
            (true, true) => "[+ZZZZ]",
            (true, false) => "+ZZZZ",
            (false, _) => "",
        });
        Self::parse(&text).ok()
    }

    /// How many characters has what is written so.
    pub(super) fn length(&self) -> Length {
        let characters = |parts: u8| -> u32 {
            let first = if self.time_only { HOUR } else { 0 };
            let written = PARTS.iter().take(usize::from(parts)).skip(usize::from(first));
            written.map(|part| part.len() as u32).sum()
        };
        let (offset_least, offset_most) = match self.zone {
            Zone::Never => (0, 0),
            Zone::Sometimes => (0, OFFSET_CHARACTERS),
            Zone::Always => (OFFSET_CHARACTERS, OFFSET_CHARACTERS),
        };
        Length {
            least: characters(self.least) + offset_least,
            most: Some(characters(self.most) + offset_most),
        }
    }

    /// Whether whatever is written so is also written as another format says.
    pub(super) fn is_within(&self, other: &Self) -> bool {
        let zone = other.zone == Zone::Sometimes || self.zone == other.zone;
        self.time_only == other.time_only
            && self.least >= other.least
            && self.most <= other.most
            && zone
    }

    /// Whether a value is written so.
    pub fn fits(&self, value: &[u8]) -> bool {
        let Some((parts, has_zone)) = parts(value, self.time_only) else { return false };
        let zone_fits = match self.zone {
            Zone::Never => !has_zone,
            Zone::Sometimes => true,
            Zone::Always => has_zone,
        };
        zone_fits && (self.least..=self.most).contains(&parts)
    }
}

/// How many parts of [`PARTS`] a date or time has, those before the hour of a time of day counted; and whether it has
/// an offset.
pub(super) fn parts(value: &[u8], time_only: bool) -> Option<(u8, bool)> {
    if time_only {
        let time = TimeOfDay::parse(value).ok()?;
        let shown = match (time.minute(), time.second(), time.fraction()) {
            (None, _, _) => HOUR + 1,
            (Some(_), None, _) => HOUR + 2,
            (Some(_), Some(_), None) => HOUR + 3,
            (Some(_), Some(_), Some(fraction)) => HOUR + 3 + fraction.digits(),
        };
        return Some((shown, time.offset().is_some()));
    }
    let timestamp = Timestamp::parse(value).ok()?;
    let parts = match timestamp.precision() {
        Precision::Year => 1,
        Precision::Month => 2,
        Precision::Day => 3,
        Precision::Hour => 4,
        Precision::Minute => 5,
        Precision::Second => 6,
        Precision::Fraction(digits) => 6 + digits,
    };
    Some((parts, timestamp.offset().is_some()))
}

/// What so many parts are called, as in `minutes`.
pub(super) const fn precision_name(parts: u8) -> &'static str {
    match parts {
        0 | 1 => "years",
        2 => "months",
        3 => "days",
        4 => "hours",
        5 => "minutes",
        6 => "seconds",
        _ => "fractions of seconds",
    }
}

impl fmt::Display for Format {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(format: &str, fitting: &[&str], others: &[&str]) {
        let format = Format::parse(format).expect("a format");
        for value in fitting {
            assert!(format.fits(value.as_bytes()), "{format} {value}");
        }
        for value in others {
            assert!(!format.fits(value.as_bytes()), "{format} {value}");
        }
    }

    #[test]
    fn values_fit_their_format() {
        check("YYYYMMDD", &["20250131"], &["202501", "2025013112", "20250231", "x", ""]);
        check(
            "YYYYMMDDHHMM[SS]",
            &["202501311200", "20250131120059"],
            &["20250131", "202501311200+0100"],
        );
        check("YYYYMMDDHHMMSS+ZZZZ", &["20250131120000+0100"], &["20250131120000"]);
        check("YYYY[MM[DD]][+/-ZZZZ]", &["2025", "20250101", "2025+0100"], &["2025010112"]);
        check("HHMM", &["1200"], &["120000", "12"]);
    }

    #[test]
    fn what_is_made_of_precisions_reads_again() {
        let format = Format::of(false, 5, 6, true, true).expect("a format");
        assert_eq!(format.to_string(), "YYYYMMDDHHMM[SS][+ZZZZ]");
        let format = Format::of(true, 5, 5, false, true).expect("a format");
        assert_eq!(format.to_string(), "HHMM");
    }

    #[test]
    fn other_notations_are_refused() {
        for text in ["", "yyyy", "YYYYDD", "[YYYY]", "YYYY[MM", "YYYY]", "YYYY[MM]DD", "+ZZZZ"] {
            assert!(Format::parse(text).is_err(), "{text}");
        }
    }
}
