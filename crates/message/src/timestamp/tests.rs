use proptest::prelude::{prop_assert_eq, proptest};

use super::*;

fn check(text: &str, precision: Precision) {
    let timestamp = Timestamp::parse(text.as_bytes()).expect("a timestamp");
    assert_eq!(timestamp.precision(), precision, "{text}");
    assert_eq!(timestamp.to_string(), text);
}

fn check_error(text: &str, error: TimestampError) {
    assert_eq!(Timestamp::parse(text.as_bytes()), Err(error), "{text}");
}

#[test]
fn timestamps_keep_their_precision() {
    check("2024", Precision::Year);
    check("202402", Precision::Month);
    check("20240229", Precision::Day);
    check("2024022923", Precision::Hour);
    check("202402292359", Precision::Minute);
    check("20240229235958", Precision::Second);
    check("20240229235958.0", Precision::Fraction(1));
    check("20240229235958.0500", Precision::Fraction(4));
    check("2024-0500", Precision::Year);
    check("20240229+0100", Precision::Day);
    check("20240229235958.12-0330", Precision::Fraction(2));
    check("00010101-0000", Precision::Day);
}

#[test]
fn parts_are_told() {
    let timestamp = Timestamp::parse(b"20240229235958.0500-0330").expect("a timestamp");
    assert_eq!((timestamp.year(), timestamp.month(), timestamp.day()), (2024, Some(2), Some(29)));
    let time = (timestamp.hour(), timestamp.minute(), timestamp.second());
    assert_eq!(time, (Some(23), Some(59), Some(58)));
    assert_eq!(timestamp.fraction().map(Fraction::nanoseconds), Some(50_000_000));
    assert_eq!(timestamp.fraction().map(Fraction::digits), Some(4));
    assert_eq!(timestamp.offset().map(ZoneOffset::minutes), Some(-210));
    assert_eq!(format!("{timestamp:?}"), "Timestamp([redacted])");
}

#[test]
fn what_is_wrong_is_named() {
    use TimestampError::{Day, Form, Hour, Minute, Month, Offset, Second};
    for text in [
        "",
        "2",
        "202",
        "20240",
        "2024022",
        "20240229235958.",
        "20240229235958.12345",
        "20240229235958.1x",
        "2024 ",
        " 2024",
        "2024-02-29",
        "20240229T2359",
        "2024.5",
        "2024022923.5",
        "202402292359.5",
        "20240229+",
        "20240229+01",
        "20240229+010",
        "20240229+01000",
        "20240229+01:00",
        "20240229Z",
        "\"\"",
        "202402292359580",
        "2024022923595800",
    ] {
        check_error(text, Form);
    }
    check_error("202400", Month);
    check_error("202413", Month);
    check_error("20240200", Day);
    check_error("20240230", Day);
    check_error("20230229", Day);
    check_error("19000229", Day);
    check_error("20240431", Day);
    check_error("2024022924", Hour);
    check_error("202402292360", Minute);
    check_error("20240229235960", Second);
    check_error("20240229+1500", Offset);
    check_error("20240229+0160", Offset);
    assert!(Timestamp::parse(b"20000229+1459").is_ok());
}

#[test]
fn dates_and_times_have_their_own_types() {
    let date = Timestamp::parse_date(b"20240229").expect("a date");
    assert_eq!(date.precision(), Precision::Day);
    for text in ["2024022923", "20240229+0100", "20240230"] {
        assert!(Timestamp::parse_date(text.as_bytes()).is_err(), "{text}");
    }
    for text in ["23", "2359", "235958", "235958.5", "23+0100", "235958.1234-0330"] {
        let time = TimeOfDay::parse(text.as_bytes()).expect("a time");
        assert_eq!(time.to_string(), text);
    }
    for text in ["", "2", "24", "2360", "235960", "+0100", "23.5", "2359581"] {
        assert!(TimeOfDay::parse(text.as_bytes()).is_err(), "{text}");
    }
}

#[test]
fn cutting_never_invents() {
    let cut = |text: &str, precision| {
        let timestamp = Timestamp::parse(text.as_bytes()).expect("a timestamp");
        timestamp.cut_to(precision).map(|timestamp| timestamp.to_string())
    };
    let full = "20240229235958.9876+0100";
    for (precision, expected) in [
        (Precision::Year, "2024+0100"),
        (Precision::Month, "202402+0100"),
        (Precision::Day, "20240229+0100"),
        (Precision::Hour, "2024022923+0100"),
        (Precision::Minute, "202402292359+0100"),
        (Precision::Second, "20240229235958+0100"),
        (Precision::Fraction(1), "20240229235958.9+0100"),
        (Precision::Fraction(4), full),
    ] {
        assert_eq!(cut(full, precision).as_deref(), Some(expected));
    }
    assert_eq!(cut("2024", Precision::Month), None);
    assert_eq!(cut("20240229235958", Precision::Fraction(1)), None);
    assert_eq!(cut("20240229235958.1", Precision::Fraction(2)), None);
    assert_eq!(cut("20240229235958.1", Precision::Fraction(0)), None);
}

#[test]
fn timestamps_are_made_from_parts() {
    let made = Timestamp::new([2024, 2, 29], [1, 2, 3]).expect("a timestamp");
    assert_eq!(made.to_string(), "20240229010203");
    let offset = ZoneOffset::from_minutes(-90);
    assert_eq!(made.with_offset(offset).to_string(), "20240229010203-0130");
    let fraction = Fraction::new(7, 3).expect("a fraction");
    let precise = made.with_fraction(fraction).expect("precise to the second");
    assert_eq!(precise.to_string(), "20240229010203.007");
    assert_eq!(Timestamp::parse(b"2024").ok().and_then(|t| t.with_fraction(fraction)), None);
    assert_eq!(Fraction::new(10, 1), None);
    assert_eq!(Fraction::new(0, 0), None);
    assert_eq!(Fraction::new(1, 5), None);
    assert_eq!(ZoneOffset::from_minutes(900), None);
    assert_eq!(
        ZoneOffset::from_minutes(-899).map(|offset| offset.to_string()),
        Some("-1459".into())
    );
    assert_eq!(Timestamp::new([2023, 2, 29], [0; 3]), Err(TimestampError::Day));
    assert_eq!(Timestamp::new([2023, 300, 1], [0; 3]), Err(TimestampError::Month));
    assert_eq!(Timestamp::new([10000, 1, 1], [0; 3]), Err(TimestampError::Form));
    assert_eq!(Timestamp::new([2023, 1, 1], [0, 60, 0]), Err(TimestampError::Minute));
}

proptest! {
    #[test]
    fn what_is_read_is_written_again(text in r"[0-9]{4}(0[1-9]|1[0-2])?([0-2][0-9]){0,4}(\.[0-9]{1,4})?([+-][01][0-9]{3})?") {
        if let Ok(timestamp) = Timestamp::parse(text.as_bytes()) {
            prop_assert_eq!(timestamp.to_string(), text);
        }
    }

    #[test]
    fn no_input_panics(bytes: Vec<u8>) {
        let _ = Timestamp::parse(&bytes);
        let _ = TimeOfDay::parse(&bytes);
    }
}
