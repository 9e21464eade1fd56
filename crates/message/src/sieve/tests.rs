use proptest::prelude::{Just, Strategy, prop_assert_eq, prop_oneof, proptest};

use super::*;
use crate::{Header, HeaderError, Message, Path};

fn sieve(names: &[&str]) -> Sieve {
    Sieve::new(names.iter().map(|name| SegmentName::try_from(*name).expect("a name")))
}

fn check(message: &[u8], names: &[&str], expected: &[u8]) {
    check_cut(message, names, expected, true);
}

#[track_caller]
fn check_cut(message: &[u8], names: &[&str], expected: &[u8], is_whole: bool) {
    for size in [1, 2, 3, 7, usize::MAX] {
        let mut sieve = sieve(names);
        for piece in message.chunks(size.min(message.len().max(1))) {
            assert!(sieve.push(piece).is_continue());
        }
        let sieved = sieve.finish();
        assert_eq!(sieved.is_whole, is_whole);
        assert_eq!(String::from_utf8_lossy(&sieved.bytes), String::from_utf8_lossy(expected));
    }
}

#[test]
fn the_header_and_the_named_segments_are_kept_in_order() {
    let message = b"MSH|^~\\&|A\rEVN||1\rPID|1||7\rPV1|1\rOBX|1|x\rPID|2";
    check(message, &["PID", "PV1"], b"MSH|^~\\&|A\rPID|1||7\rPV1|1\rPID|2\r");
    check(message, &[], b"MSH|^~\\&|A\r");
}

#[test]
fn segment_ends_and_what_stands_before_the_header_may_be_odd() {
    let message = b"\x0b\r\n MSH|^~\\&|A\r\n\r\nPI\nPIDX|no\nPID|1\r\n";
    check(message, &["PID"], b" MSH|^~\\&|A\rPIDX|no\rPID|1\r");
    check(b"\xEF\xBB\xBFMSH|^~\\&|A\nPID|1\n", &["PID"], b"\xEF\xBB\xBFMSH|^~\\&|A\rPID|1\r");
    check(b"", &["PID"], b"");
    check(b"\r\n", &["PID"], b"");
    check(b"AB\rPID|1", &["PID"], b"AB\rPID|1\r");
}

#[test]
fn a_long_segment_ends_with_its_last_whole_field() {
    let value = |bytes: usize| "a".repeat(bytes);
    let fits = SIEVED_SEGMENT_BYTES_MAX - "PID|1|".len();
    check(
        format!("MSH|^~\\&|A\rPID|1|{}\rPV1|1", value(fits)).as_bytes(),
        &["PID"],
        format!("MSH|^~\\&|A\rPID|1|{}\r", value(fits)).as_bytes(),
    );
    check_cut(
        format!("MSH|^~\\&|A\rPID|1|{}\rPID|2", value(fits + 1)).as_bytes(),
        &["PID"],
        b"MSH|^~\\&|A\rPID|1\rPID|2\r",
        false,
    );
}

#[test]
fn a_header_that_is_too_long_stays_so() {
    let mut sieve = sieve(&[]);
    let _ = sieve.push(format!("MSH|^~\\&|{}", "a".repeat(10 * HEADER_BYTES_MAX)).as_bytes());
    let kept = sieve.finish().bytes;
    assert_eq!(Header::read(&kept).err(), Some(HeaderError::TooLong));
}

#[test]
fn what_is_kept_has_a_limit() {
    let segment = format!("OBR|{}\r", "a".repeat(1019));
    let fit = (SIEVED_BYTES_MAX - "MSH|^~\\&|A\r".len()) / segment.len();
    for (count, expected) in [(fit, fit), (fit + 1, fit), (10 * fit, fit)] {
        let message = format!("MSH|^~\\&|A\r{}", segment.repeat(count));
        let mut sieve = sieve(&["OBR"]);
        let end = message.as_bytes().chunks(1000).try_for_each(|piece| sieve.push(piece));
        assert_eq!(end.is_break(), count > fit);
        let sieved = sieve.finish();
        assert_eq!(sieved.is_whole, count <= fit);
        assert!(sieved.bytes.len() <= SIEVED_BYTES_MAX);
        let kept = Message::parse(&sieved.bytes).expect("a message");
        assert_eq!(kept.segments().count(), 1 + expected);
    }
}

#[test]
fn debug_shows_no_content() {
    let mut sieve = sieve(&["PID"]);
    let _ = sieve.push(b"MSH|^~\\&|SECRET\rPID|1|SECRET");
    let mut text = format!("{sieve:?}");
    text.push_str(&format!("{:?}", sieve.finish()));
    assert!(text.contains("Sieved") && !text.contains("SECRET"), "{text}");
}

fn segment() -> impl Strategy<Value = String> {
    let name = prop_oneof![Just("PID"), Just("PV1"), Just("OBX"), Just("pid"), Just("")];
    let end = prop_oneof![Just("\r"), Just("\n"), Just("\r\n")];
    (name, "[a~^&| ]{0,12}", end).prop_map(|(name, fields, end)| format!("{name}|{fields}{end}"))
}

proptest! {
    #[test]
    fn a_path_finds_what_it_finds_in_the_whole(
        segments in proptest::collection::vec(segment(), 0..12),
        size in 1..40_usize,
    ) {
        let message = format!("MSH|^~\\&|A\r{}", segments.concat());
        let mut sieve = sieve(&["PID", "PV1"]);
        for piece in message.as_bytes().chunks(size) {
            let _ = sieve.push(piece);
        }
        let sieved = sieve.finish();
        let (whole, kept) = (
            Message::parse(message.as_bytes()).expect("a message"),
            Message::parse(&sieved.bytes).expect("a message"),
        );
        for path in ["MSH-3", "PID(*)-2[*].1", "PV1-1", "PID(2)-1", "PV1(last)-1.2"] {
            let path = Path::parse(path).expect("a path");
            let values = |message: &Message<'_>| -> Vec<Vec<u8>> {
                message.values(&path).map(|value| value.raw().to_vec()).collect()
            };
            prop_assert_eq!(values(&whole), values(&kept));
        }
    }
}
