use proptest::prelude::*;

use super::*;
use crate::Segment;
use crate::message::Message;

fn delimiters(bytes: &[u8]) -> Result<Delimiters, ParseError> {
    index(bytes, &Limits::DEFAULT).map(|(delimiters, _)| delimiters)
}

/// The lines found, as text.
fn lines(text: &str) -> Vec<String> {
    let message = Message::parse(text.as_bytes()).unwrap();
    assert_eq!(message.as_bytes(), text.as_bytes());
    let raw = message.segments().map(|segment| segment.raw().to_vec());
    raw.map(|raw| String::from_utf8(raw).unwrap()).collect()
}

#[test]
fn segments_end_with_any_mixture_of_line_ends() {
    let expected = ["MSH|^~\\&|A", "PID|1", "ZPI|x "];
    for text in [
        "MSH|^~\\&|A\rPID|1\rZPI|x \r",
        "MSH|^~\\&|A\nPID|1\nZPI|x \n",
        "MSH|^~\\&|A\r\nPID|1\r\nZPI|x \r\n",
        "MSH|^~\\&|A\nPID|1\r\nZPI|x \r",
        "MSH|^~\\&|A\rPID|1\rZPI|x ",
        "MSH|^~\\&|A\r\r\nPID|1\n\n \t \rZPI|x \r\n\r\n  \r",
        "\u{feff}MSH|^~\\&|A\rPID|1\rZPI|x \r",
        "\u{b}MSH|^~\\&|A\rPID|1\rZPI|x \r\u{1c}\r",
        "\r\n \u{b}MSH|^~\\&|A\rPID|1\rZPI|x \u{1c}\r",
        "\u{b}\u{feff}MSH|^~\\&|A\rPID|1\rZPI|x \r\u{1c}\r\n\u{1c}\r\n",
    ] {
        assert_eq!(lines(text), expected, "{text:?}");
    }
}

#[test]
fn lines_that_are_no_segments_are_kept_and_marked() {
    let message =
        Message::parse(b"MSH|^~\\&|A\rPIDX|1\rpid|1\rfree text\rOBX#1\rOBX\rOBX|1\r").unwrap();
    let names: Vec<_> = message.segments().map(|line| line.segment_name()).collect();
    let obx = SegmentName::new(*b"OBX");
    assert_eq!(names, [Some(SegmentName::MSH), None, None, None, None, obx, obx]);
    let shown: Vec<_> = message.segments().map(|line| line.name().to_vec()).collect();
    let expected = ["MSH", "PIDX", "pid", "free text", "OBX#1", "OBX", "OBX"];
    assert_eq!(shown, expected.map(|name| name.as_bytes().to_vec()));
}

#[test]
fn two_to_five_encoding_characters_are_read() {
    let standard = Delimiters::STANDARD;
    assert_eq!(delimiters(b"MSH|^~\\&|A"), Ok(standard));
    assert_eq!(delimiters(b"MSH|^~\\&"), Ok(standard));
    assert_eq!(delimiters(b"MSH|^~\\&\x1C\r"), Ok(standard));
    let truncation = Some(b'#');
    assert_eq!(delimiters(b"MSH|^~\\&#|A"), Ok(Delimiters { truncation, ..standard }));
    assert_eq!(delimiters(b"MSH|^~\\\\&|A"), Ok(standard));
    assert_eq!(delimiters(b"MSH|^~\\\\&#|A"), Ok(Delimiters { truncation, ..standard }));
    let three = Delimiters { subcomponent: None, ..standard };
    assert_eq!(delimiters(b"MSH|^~\\|A"), Ok(three));
    assert_eq!(delimiters(b"MSH|^~\r"), Ok(Delimiters { escape: None, ..three }));
    let own = Delimiters {
        field: b'#',
        component: b'*',
        repetition: b'+',
        escape: Some(b'!'),
        subcomponent: Some(b'\t'),
        truncation: Some(b'|'),
    };
    assert_eq!(delimiters(b"MSH#*+!\t|#A"), Ok(own));
}

#[test]
fn headers_that_cannot_be_read_say_why() {
    let found = |at, found| Err(ParseError::NoHeader { at, found });
    let pid = SegmentName::new(*b"PID").unwrap();
    for (bytes, error) in [
        (b"".as_slice(), Err(ParseError::Empty)),
        (b"\xEF\xBB\xBF\r\n \x0B\x1C\r", Err(ParseError::Empty)),
        (b"\r\nPID|1", found(2, HeaderFound::Segment(pid))),
        (b"FHS|^~\\&\r", found(0, HeaderFound::Batch)),
        (b"BHS#^~\\&", found(0, HeaderFound::Batch)),
        (b"<xml>", found(0, HeaderFound::Other)),
        (b"msh|^~\\&", found(0, HeaderFound::Other)),
        (b"M", found(0, HeaderFound::Other)),
        (b"\xFF\xFEM\0S\0H\0|\0", found(0, HeaderFound::Utf16)),
        (b"\xFE\xFF\0M\0S\0H\0|", found(0, HeaderFound::Utf16)),
        (b"M\0S\0H\0|\0", found(0, HeaderFound::Utf16)),
        (b"\0M\0S\0H\0|", found(1, HeaderFound::Utf16)),
        (b"MSH", Err(ParseError::HeaderTooShort { at: 3 })),
        (b"MSH\r|^~\\&", Err(ParseError::HeaderTooShort { at: 3 })),
        (b"MSH|", Err(ParseError::HeaderTooShort { at: 4 })),
        (b" MSH|^|A", Err(ParseError::HeaderTooShort { at: 6 })),
        (b"MSH||^~\\&", Err(ParseError::HeaderTooShort { at: 4 })),
        (b"MSHA^~\\&", Err(ParseError::DelimiterIllegal { at: 3 })),
        (b"MSH ^~\\&", Err(ParseError::DelimiterIllegal { at: 3 })),
        (b"MSH\xA6^~\\&", Err(ParseError::DelimiterIllegal { at: 3 })),
        (b"MSH|^~\\1|", Err(ParseError::DelimiterIllegal { at: 7 })),
        (b"MSH|^~\"&|", Err(ParseError::DelimiterIllegal { at: 6 })),
        (b"MSH|^~^&|", Err(ParseError::DelimitersNotDistinct { at: 6 })),
        (b"MSH|^~\\\\\\&|", Err(ParseError::DelimitersNotDistinct { at: 8 })),
        (b"MSH|^^\\&|", Err(ParseError::DelimitersNotDistinct { at: 5 })),
        (b"MSH|^~\\&#%|", Err(ParseError::TooManyEncodingCharacters { at: 9 })),
    ] {
        assert_eq!(delimiters(bytes), error, "{:?}", String::from_utf8_lossy(bytes));
    }
}

#[test]
fn errors_tell_no_values() {
    let error = Message::parse(b"SECRET|^~\\&").unwrap_err().to_string();
    assert_eq!(error, "no MSH segment at byte 0: found no segment");
}

#[test]
fn limits_hold_at_the_limit_and_refuse_one_past() {
    let bytes = b"MSH|^~\\&\r\rPID|1\r\rxx\r";
    let parse = |message_bytes_max, segments_max| {
        index(bytes, &Limits { message_bytes_max, segments_max }).map(|(_, lines)| lines.len())
    };
    assert_eq!(parse(bytes.len(), 3), Ok(3));
    assert_eq!(parse(bytes.len() - 1, 3), Err(ParseError::TooLarge { limit: bytes.len() - 1 }));
    assert_eq!(parse(usize::MAX, 2), Err(ParseError::TooManySegments { limit: 2 }));
}

#[test]
fn the_index_of_the_most_segments_stays_within_eight_megabytes() {
    assert!(size_of::<Line>() * Limits::SEGMENTS_MAX.next_power_of_two() <= 8_000_000);
}

proptest! {
    #[test]
    fn encoding_gives_back_the_bytes_parsed(
        bytes in prop_oneof![
            crate::testing::any_message(),
            proptest::collection::vec(any::<u8>(), 0..80),
            proptest::collection::vec(any::<u8>(), 0..80)
                .prop_map(|tail| [b"MSH|^~\\&|".as_slice(), &tail].concat()),
        ]
    ) {
        if let Ok(message) = Message::parse(&bytes) {
            prop_assert_eq!(message.as_bytes(), bytes.as_slice());
            prop_assert!(matches!(message.clone().into_bytes(), std::borrow::Cow::Borrowed(_)));
            let owned = message.into_owned();
            prop_assert_eq!(owned.as_bytes(), bytes.as_slice());
            let encoded = owned.into_bytes();
            prop_assert_eq!(encoded.as_ref(), bytes.as_slice());
        }
    }

    #[test]
    fn the_lines_are_those_that_splitting_gives(bytes in crate::testing::any_message()) {
        let message = Message::parse(&bytes).unwrap();
        let content = &bytes[skip_leading(&bytes)..end_of_content(&bytes)];
        let expected: Vec<&[u8]> = content
            .split(|byte| matches!(byte, b'\r' | b'\n'))
            .filter(|line| !is_blank(line))
            .collect();
        prop_assert_eq!(message.segments().map(|line| line.raw()).collect::<Vec<_>>(), expected);
    }
}

#[test]
fn counting_judges_as_reading_does() {
    let msh = SegmentName::MSH;
    let limits = Limits { message_bytes_max: 60, segments_max: 3 };
    for text in [
        "MSH|^~\\&|A\rPID|1\rMSH|^~\\&|B\r",
        "\r\nMSH|^~\\&|A\n\nPID|1\n \nPV1|1\n",
        "MSH|^~\\&|A\rPID|1\rPV1|1\rPV2|1\r",
        "MSH|^~\\&|A\rNTE|1||a text that is longer than the limit allows for\r",
        "MSH|^^\\&|A\r",
        "PID|1\r",
        "",
    ] {
        let read = Message::parse_with(text.as_bytes(), &limits).map(|message| {
            message.segments().filter(|segment| segment.segment_name() == Some(msh)).count()
        });
        assert_eq!(Message::count_segments(text.as_bytes(), msh, &limits), read, "{text:?}");
        let seen = |segment: Segment<'_>| (segment.index(), segment.name().to_vec());
        let mut each = Vec::new();
        let ends =
            Message::each_segment(text.as_bytes(), &limits, |segment| each.push(seen(segment)));
        let indexed = Message::parse_with(text.as_bytes(), &limits)
            .map(|message| message.segments().map(seen).collect::<Vec<_>>());
        assert_eq!(ends.map(|()| each), indexed, "{text:?}");
    }
}

#[test]
fn a_large_message_gets_an_index_of_its_size() {
    let text = format!("MSH|^~\\&|A\r{}", "OBX|1|NM|a\r".repeat(COUNTED_BYTES_MIN / 10));
    let (_, lines) = index(text.as_bytes(), &Limits::DEFAULT).unwrap();
    assert_eq!(lines.len(), COUNTED_BYTES_MIN / 10 + 1);
    assert_eq!(lines.capacity(), lines.len());
}
