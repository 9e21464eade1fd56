use proptest::prelude::{prop_assert_eq, proptest};

use super::*;

const ADMIT: &[u8] = b"MSH|^~\\&|REG|GENERAL|LAB|NORTH|20240102030405||ADT^A01^ADT_A01~X^Y|C-1|P|2.5.1^USA|7||AL|NE|GBR|8859/1~UNICODE UTF-8\rEVN|A01\r";

fn read(message: &[u8]) -> Header<'_> {
    Header::read(message).expect("a readable header")
}

#[test]
fn fields_have_names_and_positions() {
    let header = read(ADMIT);
    assert_eq!(header.delimiters(), Delimiters::STANDARD);
    assert_eq!(header.field(1), b"|");
    assert_eq!(header.encoding_characters(), b"^~\\&");
    assert_eq!(header.sending_application(), b"REG");
    assert_eq!(header.sending_facility(), b"GENERAL");
    assert_eq!(header.receiving_application(), b"LAB");
    assert_eq!(header.receiving_facility(), b"NORTH");
    assert_eq!(header.timestamp(), b"20240102030405");
    assert_eq!(header.security(), b"");
    assert_eq!(header.message_code(), b"ADT");
    assert_eq!(header.trigger_event(), b"A01");
    assert_eq!(header.message_structure(), b"ADT_A01");
    assert_eq!(header.control_id(), b"C-1");
    assert_eq!(header.processing_id(), b"P");
    assert_eq!(header.version_id(), b"2.5.1");
    assert_eq!(header.sequence_number(), b"7");
    assert_eq!(header.continuation_pointer(), b"");
    assert_eq!(header.accept_acknowledgment_type(), b"AL");
    assert_eq!(header.application_acknowledgment_type(), b"NE");
    assert_eq!(header.country_code(), b"GBR");
    assert_eq!(header.character_set(), b"8859/1~UNICODE UTF-8");
    assert_eq!(header.principal_language(), b"");
    assert_eq!(header.field(0), b"");
    assert_eq!(header.field(usize::MAX), b"");
    assert_eq!(header.component(9, 0), b"");
    assert!(header.segment().ends_with(b"UTF-8"));
}

#[test]
fn what_precedes_the_header_is_skipped() {
    for before in [&b"\xEF\xBB\xBF"[..], b"\x0B", b"\r\n\n", b"\x0B\xEF\xBB\xBF\r\n", b" \t"] {
        let message = [before, ADMIT].concat();
        assert_eq!(read(&message).control_id(), b"C-1", "{before:?}");
    }
}

#[test]
fn a_header_may_end_anywhere() {
    for (message, control_id) in [
        (&b"MSH|^~\\&"[..], &b""[..]),
        (b"MSH|^~\\&|", b""),
        (b"MSH|^~\\&||||||||C", b"C"),
        (b"MSH|^~\\&||||||||C\nPID|1", b"C"),
        (b"MSH|^~\\&||||||||C\x1C\r", b"C"),
    ] {
        assert_eq!(read(message).control_id(), control_id, "{message:?}");
    }
}

#[test]
fn declared_delimiters_are_taken() {
    let with = |encoding: &[u8]| {
        let message = [b"MSH|", encoding, b"|A|B\r"].concat();
        Header::read(&message).map(|header| header.delimiters())
    };
    let standard = Delimiters::STANDARD;
    assert_eq!(with(b"^~\\&"), Ok(standard));
    assert_eq!(with(b"^~\\&#"), Ok(Delimiters { truncation: Some(b'#'), ..standard }));
    assert_eq!(with(b"^~\\"), Ok(Delimiters { subcomponent: None, ..standard }));
    // Senders whose source code had to double the backslash.
    assert_eq!(with(b"^~\\\\&"), Ok(standard));
    let short = Delimiters { escape: None, subcomponent: None, ..standard };
    assert_eq!(with(b"^~"), Ok(short));
    for refused in [
        &b""[..],
        b"^",
        b"^~\\&#%",
        b"^^",
        b"^~\\^",
        b"A~\\&",
        b"^1\\&",
        b"^~\\\xE9",
        b"^\0",
        b"^~ ",
        b"^~\"",
    ] {
        assert_eq!(with(refused), Err(HeaderError::EncodingCharacters), "{refused:?}");
    }
    let other = read(b"MSH#!@%*#A#B!C\r");
    assert_eq!((other.field(3), other.component(4, 2)), (&b"A"[..], &b"C"[..]));
}

#[test]
fn what_is_no_header_has_a_name() {
    for (message, error) in [
        (&b""[..], HeaderError::Empty),
        (b"\r\n \x0B", HeaderError::Empty),
        (b"\xEF\xBB\xBF", HeaderError::Empty),
        (b"MS", HeaderError::NotHeader),
        (b"PID|1", HeaderError::NotHeader),
        (b"GET / HTTP/1.1\r\n", HeaderError::NotHeader),
        (b"FHS|^~\\&|", HeaderError::Batch),
        (b"BHS|^~\\&|", HeaderError::Batch),
        (b"\xFF\xFEM\0S\0H\0|\0", HeaderError::WideEncoding),
        (b"\0M\0S\0H\0|", HeaderError::WideEncoding),
        (b"MSH", HeaderError::FieldSeparator),
        (b"MSH\r|^~\\&", HeaderError::FieldSeparator),
        (b"MSHA^~\\&A", HeaderError::FieldSeparator),
        (b"MSH|", HeaderError::EncodingCharacters),
        (b"MSH||REG", HeaderError::EncodingCharacters),
    ] {
        assert_eq!(Header::read(message).unwrap_err(), error, "{message:?}");
    }
}

#[test]
fn the_header_has_a_limit() {
    let header_of = |bytes: usize| {
        let mut message = b"MSH|^~\\&|".to_vec();
        message.resize(bytes, b'A');
        message.extend_from_slice(b"\rPID|1\r");
        message
    };
    assert!(Header::read(&header_of(HEADER_BYTES_MAX - 1)).is_ok());
    let too_long = Header::read(&header_of(HEADER_BYTES_MAX)).unwrap_err();
    assert_eq!(too_long, HeaderError::TooLong);
}

#[test]
fn fields_behind_the_index_are_found() {
    let fields: Vec<_> = (3..=40).map(|position| format!("F{position}")).collect();
    let message = format!("MSH|^~\\&|{}\r", fields.join("|"));
    let header = read(message.as_bytes());
    for position in 3..=40 {
        assert_eq!(header.field(position), format!("F{position}").as_bytes());
    }
    assert_eq!(header.field(41), b"");
}

proptest! {
    #[test]
    fn fields_are_those_of_a_plain_split(text in r"[A-C^~|]{0,60}") {
        let message = format!("MSH|^~\\&|{text}\rPID");
        let header = read(message.as_bytes());
        let mut fields = text.split('|');
        for position in 3..64 {
            let expected = fields.next().unwrap_or_default();
            prop_assert_eq!(header.field(position), expected.as_bytes());
        }
    }

    #[test]
    fn no_input_panics(bytes: Vec<u8>) {
        let message = [b"MSH", bytes.as_slice()].concat();
        for message in [bytes.as_slice(), message.as_slice()] {
            if let Ok(header) = Header::read(message) {
                for position in 0..40 {
                    let _ = header.component(position, position);
                }
            }
        }
    }
}

#[test]
fn a_header_declares_what_the_message_is_parsed_with() {
    for message in
        [b"MSH|^~\\&|A\r".as_slice(), b"MSH|^~\\\\&|A\r", b"MSH#*~!$%#A\r", b"MSH|^~|A\r"]
    {
        let parsed = crate::Message::parse(message).map(|message| message.delimiters());
        assert_eq!(Header::read(message).map(|header| header.delimiters()).ok(), parsed.ok());
    }
}
