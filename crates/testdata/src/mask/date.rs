//! Moving dates by whole days, in whatever precision they are written.

/// Days of 400 years of the Gregorian calendar.
const ERA_DAYS: i64 = 146_097;

/// A value of DT, DTM or TS, moved so many days into the past; everything behind the day (time, zone) stays.
///
/// `None` where the value does not begin with a date.
pub(super) fn shifted(value: &str, days: i64) -> Option<String> {
    let digits = value.bytes().take_while(u8::is_ascii_digit).count();
    let (date, rest) = value.split_at(digits);
    let number = |range: std::ops::Range<usize>| date.get(range)?.parse::<i64>().ok();
    let year = number(0..4)?;
    Some(match digits {
        4 => format!("{:04}{rest}", (year - (days + 182) / 365).max(1)),
        6 => {
            let month = number(4..6).filter(|month| (1..=12).contains(month))?;
            let (year, month, _) = civil(day_number(year, month, 15) - days);
            format!("{year:04}{month:02}{rest}")
        }
        8.. => {
            let (month, day) = (number(4..6)?, number(6..8)?);
            if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
                return None;
            }
            let (year, month, day) = civil(day_number(year, month, day) - days);
            format!("{year:04}{month:02}{day:02}{}{rest}", date.get(8..).unwrap_or_default())
        }
        _ => return None,
    })
}

/// Whether a number that nobody calls a date may well be one: `YYYYMMDD` of these centuries, with or without a time.
pub(super) fn is_plausible(value: &str) -> bool {
    let number = |range: std::ops::Range<usize>| {
        value.get(range).and_then(|digits| digits.parse::<u32>().ok())
    };
    matches!(value.len(), 8 | 10 | 12 | 14)
        && value.bytes().all(|byte| byte.is_ascii_digit())
        && number(0..4).is_some_and(|year| (1900..2100).contains(&year))
        && number(4..6).is_some_and(|month| (1..=12).contains(&month))
        && number(6..8).is_some_and(|day| (1..=31).contains(&day))
}

/// The day number of the first eight digits, for comparing.
pub(super) fn day_of(value: &str) -> Option<i64> {
    let number = |range: std::ops::Range<usize>| {
        let digits = value.get(range)?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse::<i64>().ok())?
    };
    let year = number(0..4)?;
    Some(day_number(year, number(4..6).unwrap_or(1), number(6..8).unwrap_or(1)))
}

/// `YYYYMMDD` of the day that many years before a day number, cut to the length of `like`.
pub(super) fn years_before(day: i64, years: i64, like: &str) -> String {
    let (year, _, _) = civil(day);
    let full = format!("{:04}0101", (year - years).max(1));
    let digits = like.bytes().take_while(u8::is_ascii_digit).count();
    let rest = like.get(8.min(digits)..).unwrap_or_default();
    format!("{}{rest}", full.get(..digits.min(8)).unwrap_or_default())
}

/// Days since 1 March of year 0.
fn day_number(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * ERA_DAYS + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year
}

/// Year, month and day of a day number; never before year 1.
fn civil(day_number: i64) -> (i64, i64, i64) {
    let day_number = day_number.max(306);
    let era = day_number.div_euclid(ERA_DAYS);
    let day_of_era = day_number.rem_euclid(ERA_DAYS);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(value: &str, days: i64, expected: Option<&str>) {
        assert_eq!(shifted(value, days).as_deref(), expected);
    }

    #[test]
    fn every_precision_moves() {
        check("20240301", 1, Some("20240229"));
        check("20230301", 1, Some("20230228"));
        check("20240101", 7, Some("20231225"));
        check("20240101101112.1234+0100", 7, Some("20231225101112.1234+0100"));
        check("202401", 70, Some("202311"));
        check("2024", 730, Some("2022"));
        check("2024", 100, Some("2024"));
        check("00010101", 70, Some("00010101"));
    }

    #[test]
    fn what_is_no_date_is_not_moved() {
        for value in ["", "abc", "202", "20241301", "20240132", "today"] {
            check(value, 7, None);
        }
    }

    #[test]
    fn the_old_are_made_one_age() {
        let day = day_of("20260105").expect("a date");
        assert_eq!(years_before(day, 90, "19311231"), "19360101");
        assert_eq!(years_before(day, 90, "1931"), "1936");
        assert_eq!(years_before(day, 90, "193112310830"), "193601010830");
    }

    proptest! {
        #[test]
        fn intervals_stay(first in 200_000i64..800_000, second in 200_000i64..800_000, days in 0i64..4_000) {
            let text = |day| { let (y, m, d) = civil(day); format!("{y:04}{m:02}{d:02}") };
            let moved = |day| shifted(&text(day), days).and_then(|moved| day_of(&moved)).expect("a date");
            prop_assert_eq!(day_of(&text(first)), Some(first));
            prop_assert_eq!(moved(first) - moved(second), first - second);
        }
    }
}
