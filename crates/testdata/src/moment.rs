//! Times of the simulated world, to the second, and how they are written (HL7 v2.5.1 §2.A.22).

/// Seconds since 1970 in the hospital's own time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Moment(pub(crate) i64);

pub(crate) const MINUTE: i64 = 60;
pub(crate) const HOUR: i64 = 3600;
pub(crate) const DAY: i64 = 86_400;

impl Moment {
    pub(crate) const fn plus(self, seconds: i64) -> Self {
        Self(self.0 + seconds)
    }

    /// Year, month and day (after Howard Hinnant's `civil_from_days`).
    pub(crate) const fn date(self) -> (i64, i64, i64) {
        let days = self.0.div_euclid(DAY) + 719_468;
        let era = days.div_euclid(146_097);
        let day_of_era = days.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * shifted + 2) / 5 + 1;
        let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
        (year_of_era + era * 400 + (month <= 2) as i64, month, day)
    }

    /// The start of the day.
    pub(crate) const fn midnight(self) -> Self {
        Self(self.0.div_euclid(DAY) * DAY)
    }

    pub(crate) const fn hour(self) -> i64 {
        self.0.rem_euclid(DAY) / HOUR
    }

    /// `YYYYMMDD`.
    pub(crate) fn write_date(self, out: &mut Vec<u8>) {
        let (year, month, day) = self.date();
        two(out, year / 100);
        two(out, year % 100);
        two(out, month);
        two(out, day);
    }

    /// `HHMMSS`, or `HHMM`.
    pub(crate) fn write_time(self, seconds: bool, out: &mut Vec<u8>) {
        let of_day = self.0.rem_euclid(DAY);
        two(out, of_day / HOUR);
        two(out, of_day / MINUTE % 60);
        if seconds {
            two(out, of_day % 60);
        }
    }
}

fn two(out: &mut Vec<u8>, number: i64) {
    out.push(b'0' + (number / 10 % 10) as u8);
    out.push(b'0' + (number % 10) as u8);
}

/// `+0100`.
pub(crate) fn write_zone(minutes: i16, out: &mut Vec<u8>) {
    out.push(if minutes < 0 { b'-' } else { b'+' });
    let minutes = i64::from(minutes).abs();
    two(out, minutes / 60);
    two(out, minutes % 60);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_the_standard_has_them() {
        let write = |seconds| {
            let mut out = Vec::new();
            Moment(seconds).write_date(&mut out);
            Moment(seconds).write_time(true, &mut out);
            String::from_utf8(out).expect("digits")
        };
        assert_eq!(write(0), "19700101000000");
        assert_eq!(write(951_782_399), "20000228235959");
        assert_eq!(write(951_868_799), "20000229235959");
        assert_eq!(write(-1), "19691231235959");
        assert_eq!(write(4_107_542_400), "21000301000000");
        let mut zone = Vec::new();
        write_zone(-330, &mut zone);
        assert_eq!(zone, b"-0530");
    }
}
