use std::borrow::Cow;

use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

use super::{
    Charset, CharsetRule, CharsetSpec, UNDECODABLE_POSITIONS_MAX, Unencodable, UnknownCharset,
    undecodable_byte,
};

fn named(name: &str) -> Charset {
    Charset::from_name(name).expect("a known name")
}

/// Expects the bytes to be the text in this set, both ways.
fn check(name: &str, bytes: &[u8], text: &str) {
    let charset = named(name);
    let decoded = charset.decode(bytes);
    assert_eq!(decoded.text, text, "decoded from {name}");
    assert_eq!(decoded.undecodable_count, 0, "{name}");
    assert_eq!(charset.encode(text).as_deref(), Ok(bytes), "encoded to {name}");
    assert!(charset.round_trips(bytes));
}

/// Expects exactly these positions to be undecodable, and the bytes to come back.
fn check_kept(name: &str, bytes: &[u8], undecodable: &[usize]) {
    let charset = named(name);
    let decoded = charset.decode(bytes);
    assert_eq!(decoded.undecodable, undecodable, "{name} {bytes:?}");
    assert_eq!(decoded.undecodable_count, undecodable.len());
    assert_eq!(decoded.had_errors(), !undecodable.is_empty());
    assert_eq!(charset.encode(&decoded.text).as_deref(), Ok(bytes), "{name}");
}

const SINGLE_BYTE: &[&str] = &[
    "ASCII",
    "8859/1",
    "8859/2",
    "8859/3",
    "8859/4",
    "8859/5",
    "8859/6",
    "8859/7",
    "8859/8",
    "8859/9",
    "8859/10",
    "8859/11",
    "8859/13",
    "8859/14",
    "8859/15",
    "8859/16",
    "CNS 11643-1992",
    "WINDOWS-874",
    "WINDOWS-1250",
    "WINDOWS-1251",
    "WINDOWS-1252",
    "WINDOWS-1253",
    "WINDOWS-1254",
    "WINDOWS-1255",
    "WINDOWS-1256",
    "WINDOWS-1257",
    "WINDOWS-1258",
    "KOI8-R",
];

const LOSSLESS: &[&str] = &["UTF-8", "UTF-16BE", "UTF-16LE", "UTF-32BE", "UTF-32LE"];

const MULTI_BYTE: &[&str] =
    &["GB 18030-2000", "GBK", "KS X 1001", "BIG-5", "SHIFT_JIS", "EUC-JP", "ISO IR87", "ISO IR14"];

#[test]
fn characters_have_their_bytes() {
    check("8859/1", b"M\xFCller", "Müller");
    check("8859/1", b"\x80\x9F", "\u{80}\u{9F}");
    check("8859/2", b"\xA3\xF3d\xBC", "Łódź");
    check("8859/5", b"\xC0\xD2", "Рв");
    check("8859/7", b"\xC1", "Α");
    check("8859/9", b"\xDD\xFE\x85", "İş\u{85}");
    check("8859/11", b"\xA1\x85", "ก\u{85}");
    check("8859/15", b"\xA4", "€");
    check("WINDOWS-1252", b"\x80\x92", "€’");
    check("UTF-8", "Müller 山田".as_bytes(), "Müller 山田");
    check("UTF-16BE", b"\x00M\x5C\x71\xD8\x3D\xDE\x00", "M山😀");
    check("UTF-16LE", b"\xFF\xFEM\x00\x71\x5C", "\u{FEFF}M山");
    check("UTF-32BE", b"\x00\x00\x00M\x00\x01\xF6\x00", "M😀");
    check("UTF-32LE", b"M\x00\x00\x00\x00\xF6\x01\x00", "M😀");
    check("GB 18030-2000", b"\xD6\xD0\x81\x30\x81\x30", "中\u{80}");
    check("KS X 1001", b"\xB1\xE8", "김");
    check("BIG-5", b"\xA4\xA4\xB3\x5C", "中許");
    check("SHIFT_JIS", b"\x8E\x52\xB1", "山ｱ");
    check("EUC-JP", b"\xBB\xB3", "山");
}

#[test]
fn japanese_sets_are_switched_by_escapes() {
    check("ISO IR87", b"A\x1B$B;3ED\x1B(B^B", "A山田^B");
    check("ISO IR87", b"\x1B(I1\x1B(B", "ｱ");
    check("ISO IR14", b"\xB1\xB2", "ｱｲ");
    check("ISO IR159", b"\x1B$(D0!\x1B(B", "丂");
    // A kanji whose second byte looks like a field separator.
    check("ISO IR87", b"\x1B$B;|\x1B(B", "慈");
    let kanji = named("ISO IR87");
    for other in [&b"\x1B$@;3\x1B(J"[..], b"\x1B$(B;3\x1B(B", b"\x1B$B;3", b"\x1B)I\x1B$B;3\x1B(B"]
    {
        assert_eq!(kanji.decode(other).text, "山", "{other:?}");
        assert!(!kanji.round_trips(other));
    }
    assert_eq!(kanji.decode(b"\x1B$B;3\rPID").text, "山\rPID", "a segment end returns to ASCII");
    assert_eq!(kanji.encode("丂"), Err(Unencodable { at: 0 }), "ISO IR159 is not declared");
    assert_eq!(kanji.encode("5¥"), Err(Unencodable { at: 1 }), "no byte of an escape character");
    assert_eq!(named("SHIFT_JIS").encode("5¥"), Err(Unencodable { at: 1 }));
}

#[test]
fn undecodable_bytes_are_kept_and_reported() {
    check_kept("ASCII", b"M\xFCller\x80", &[1, 6]);
    check_kept("8859/7", b"a\xFF", &[1]);
    check_kept("UTF-8", b"M\xFCller \xE5\xB1", &[1, 7, 8]);
    check_kept("UTF-16BE", b"\x00M\xD8\x00\x00M", &[2, 3]);
    check_kept("UTF-16LE", b"M\x00M", &[2]);
    check_kept("UTF-32BE", b"\x00\x00\x00M\x00\x11\x00\x00\x00", &[4, 5, 6, 7, 8]);
    check_kept("GB 18030-2000", b"a\xFFb\x81", &[1, 3]);
    check_kept("KS X 1001", b"a\xFFb", &[1]);
    check_kept("BIG-5", b"\xA4\xA4\xFFa\xA4", &[2, 4]);
    check_kept("ISO IR87", b"a\x1B-A\xA0", &[1, 4]);
    check_kept("ISO IR87", b"\x1B$B.!\x1B(B", &[3, 4]);
    check_kept("CNS 11643-1992", b"\x8E\xA2", &[0, 1]);
    let decoded = Charset::ASCII.decode(b"M\xFC");
    assert_eq!(decoded.text.chars().nth(1).and_then(undecodable_byte), Some(0xFC));
    assert_eq!(undecodable_byte('M'), None);
    assert!(!format!("{decoded:?}").contains('M'), "text is not for logs");
}

#[test]
fn text_that_looks_like_markers_is_kept_too() {
    let marker = "\u{10FE41}";
    check_kept("UTF-8", format!("a{marker}b").as_bytes(), &[1, 2, 3, 4]);
    check_kept("UTF-16BE", b"\x00a\xDB\xFF\xDE\x41", &[2, 3, 4, 5]);
    check_kept("UTF-32BE", b"\x00\x10\xFE\x41", &[0, 1, 2, 3]);
    let (gb_18030, ..) = encoding_rs::GB18030.encode(marker);
    check_kept("GB 18030-2000", &[b"a\xFFb", &*gb_18030, b"c"].concat(), &[1, 3, 4, 5, 6]);
    // Outside the range of markers it is text like any other.
    check("UTF-8", "\u{10FDFF}\u{10FF00}".as_bytes(), "\u{10FDFF}\u{10FF00}");
}

#[test]
fn the_list_of_positions_has_a_limit() {
    for (count, listed) in [
        (UNDECODABLE_POSITIONS_MAX, UNDECODABLE_POSITIONS_MAX),
        (UNDECODABLE_POSITIONS_MAX + 1, UNDECODABLE_POSITIONS_MAX),
    ] {
        let decoded = Charset::ASCII.decode(&vec![0xFF; count]).undecodable_count;
        assert_eq!(decoded, count);
        assert_eq!(Charset::ASCII.decode(&vec![0xFF; count]).undecodable.len(), listed);
    }
}

#[test]
fn what_a_set_lacks_is_named_by_position() {
    for (name, text, at) in [
        ("ASCII", "Mü", 1),
        ("8859/1", "ü€", 2),
        ("8859/9", "ü€", 2),
        ("8859/15", "山", 0),
        ("WINDOWS-1252", "ü山", 2),
        ("KS X 1001", "김😀", 3),
        ("BIG-5", "中😀", 3),
    ] {
        assert_eq!(named(name).encode(text), Err(Unencodable { at }), "{name}");
    }
}

#[test]
fn ascii_is_borrowed() {
    for name in SINGLE_BYTE.iter().chain(MULTI_BYTE).chain(&["UTF-8"]) {
        let charset = named(name);
        assert!(matches!(charset.decode(b"PID|1").text, Cow::Borrowed("PID|1")), "{name}");
        assert!(matches!(charset.encode("PID|1"), Ok(Cow::Borrowed(b"PID|1"))), "{name}");
    }
    assert!(matches!(Charset::UTF_8.decode("ü".as_bytes()).text, Cow::Borrowed("ü")));
}

#[test]
fn every_byte_of_every_single_byte_set_comes_back() {
    let all: Vec<u8> = (0..=255).collect();
    for name in SINGLE_BYTE {
        assert!(named(name).round_trips(&all), "{name}");
        assert!(!named(name).hides_delimiters());
    }
}

#[test]
fn names_are_read_in_their_usual_spellings() {
    for (spellings, charset) in [
        (
            &["ASCII", "ascii", "", " ", "\"\"", "US-ASCII", "ISO IR6", "ISO_IR 6"][..],
            Charset::ASCII,
        ),
        (&["8859/1", "8859-1", "ISO 8859/1", "ISO8859-1", "ISO-8859-1", "iso_8859-1", "Latin1"], {
            Charset::LATIN_1
        }),
        (&["UNICODE UTF-8", "UTF-8", "utf8", "UNICODE", "Unicode UTF8"], Charset::UTF_8),
        (&["WINDOWS-1252", "windows1252", "CP1252", "cp-1252"], Charset::WINDOWS_1252),
        (&["UNICODE UTF-16", "UTF-16"], Charset::UTF_16BE),
        (&["UNICODE UTF-32"], Charset::UTF_32BE),
    ] {
        for spelling in spellings {
            let spec = CharsetSpec::from_msh18(spelling.as_bytes());
            assert_eq!(spec.map(|spec| spec.default_charset()), Ok(charset), "{spelling}");
        }
    }
    for (spellings, name) in [
        (&["8859/15", "ISO-8859-15", "ISO/IEC 8859-15"][..], "8859/15"),
        (&["ISO IR87", "ISO-IR 87", "ISO IR-87"], "ISO IR87"),
        (&["GB 18030-2000", "GB18030", "gb-18030"], "GB 18030-2000"),
        (&["KS X 1001", "KSX1001", "EUC-KR"], "KS X 1001"),
        (&["BIG-5", "Big5"], "BIG-5"),
        (&["CNS 11643-1992"], "CNS 11643-1992"),
    ] {
        for spelling in spellings {
            assert_eq!(named(spelling).name(), name, "{spelling}");
        }
    }
    for unknown in ["8859/12", "8859", "20240711034913", "x", "UTF-7", "ISOUTF8"] {
        assert_eq!(Charset::from_name(unknown), None, "{unknown}");
    }
}

#[test]
fn repetitions_declare_alternates() {
    let spec = CharsetSpec::from_msh18(b"8859/1~8859/5~UNICODE UTF-8").expect("known names");
    assert_eq!(spec.default_charset(), Charset::LATIN_1);
    let names: Vec<_> = spec.alternates().map(|charset| charset.name()).collect();
    assert_eq!(names, ["8859/5", "UNICODE UTF-8"]);
    assert_eq!(spec.charset(), Charset::LATIN_1);

    let unknown = |msh18: &[u8]| CharsetSpec::from_msh18(msh18).map_err(|error| error.repetition);
    assert_eq!(unknown(b"x~ASCII"), Err(1));
    assert_eq!(unknown(b"ASCII~ASCII~x"), Err(3));
    assert!(unknown(&[&b"ASCII"[..], &b"~ASCII".repeat(8)].concat()).is_ok());
    assert_eq!(unknown(&[&b"ASCII"[..], &b"~ASCII".repeat(9)].concat()), Err(10));
}

#[test]
fn japanese_alternates_extend_the_default_set() {
    let charset = |msh18: &[u8]| CharsetSpec::from_msh18(msh18).map(|spec| spec.charset());
    let encoded = |msh18: &[u8], text: &str| {
        charset(msh18).expect("known names").encode(text).map(Cow::into_owned)
    };
    assert_eq!(encoded(b"ASCII~ISO IR87", "山"), Ok(b"\x1B$B;3\x1B(B".to_vec()));
    assert_eq!(encoded(b"~ISO IR87", "ｱ"), Ok(b"\x1B(I1\x1B(B".to_vec()));
    assert_eq!(encoded(b"ISO IR14~ISO IR87", "ｱ山"), Ok(b"\xB1\x1B$B;3\x1B(J".to_vec()));
    assert_eq!(encoded(b"ISO IR14~ISO IR87~ISO IR159", "丂"), Ok(b"\x1B$(D0!\x1B(J".to_vec()));
    assert_eq!(encoded(b"ISO IR14~ISO IR87", "丂"), Err(Unencodable { at: 0 }));
    assert_eq!(encoded(b"ASCII~ISO IR159", "丂"), Ok(b"\x1B$(D0!\x1B(B".to_vec()));
    assert_eq!(charset(b"UNICODE UTF-8~ISO IR87"), Ok(Charset::UTF_8));
    assert_eq!(charset(b"ASCII~8859/1"), Ok(Charset::ASCII));
}

#[test]
fn messages_that_declare_less_than_they_hold_are_recognised() {
    let declared = |msh18: &[u8], message: &[u8]| CharsetRule::Declared.resolve(msh18, message);
    for msh18 in [&b""[..], b"ASCII", b"\"\""] {
        assert_eq!(declared(msh18, b"MSH|"), Ok(Charset::ASCII));
        assert_eq!(declared(msh18, "MSH|ü".as_bytes()), Ok(Charset::UTF_8));
        assert_eq!(declared(msh18, b"MSH|\xFC"), Ok(Charset::LATIN_1));
        assert_eq!(declared(msh18, b"MSH|\xFC\x80"), Ok(Charset::WINDOWS_1252));
    }
    assert_eq!(declared(b"8859/1", "MSH|ü".as_bytes()), Ok(Charset::LATIN_1));
    assert_eq!(declared(b"nonsense", b"MSH|"), Err(UnknownCharset { repetition: 1 }));
    let overridden = CharsetRule::Override(Charset::LATIN_1);
    assert_eq!(overridden.resolve(b"nonsense", "ü".as_bytes()), Ok(Charset::LATIN_1));
    let cns = declared(b"CNS 11643-1992", b"\x8E\xA2").map(|charset| charset.name());
    assert_eq!(cns, Ok("CNS 11643-1992"));
}

#[test]
fn wide_messages_are_detected_and_transcoded() {
    let text = "MSH|^~\\&|A\rPID|1||山\r";
    for charset in [Charset::UTF_16BE, Charset::UTF_16LE, Charset::UTF_32BE, Charset::UTF_32LE] {
        for before in ["", "\u{FEFF}"] {
            let text = format!("{before}{text}");
            let message = charset.encode(&text).expect("all of Unicode").into_owned();
            assert_eq!(Charset::detect_wide(&message), Some(charset));
            assert_eq!(charset.decode(&message).text, text);
            assert!(charset.round_trips(&message));
        }
        assert!(charset.hides_delimiters());
        assert_eq!(charset.of_values(), Charset::UTF_8);
    }
    for narrow in [&b"MSH|^~\\&|"[..], b"", b"\0", b"M", b"\xEF\xBB\xBFMSH|", b"\0\0\0\0", b"M\0"] {
        assert_eq!(Charset::detect_wide(narrow), None, "{narrow:?}");
    }
}

#[test]
fn sets_that_hide_delimiters_are_known() {
    // Each is decoded and encoded as a whole: a delimiter byte is part of a character.
    for (name, bytes) in
        [("BIG-5", &b"\xA5\x7C"[..]), ("SHIFT_JIS", b"\x83\x7C"), ("GBK", b"\x81\x7C"), {
            ("GB 18030-2000", b"\x81\x7C")
        }]
    {
        assert!(named(name).hides_delimiters(), "{name}");
        let decoded = named(name).decode(bytes);
        assert!(!decoded.text.contains('|') && !decoded.had_errors(), "{name}");
    }
    for name in ["ISO IR87", "ISO IR14"] {
        assert!(named(name).hides_delimiters());
    }
    let delimiters: Vec<u8> =
        (0x21..=0x7E).filter(|byte: &u8| !byte.is_ascii_alphanumeric()).collect();
    for name in ["KS X 1001", "EUC-JP", "UTF-8"] {
        assert!(!named(name).hides_delimiters());
        for first in 0x80..=0xFF_u8 {
            for &second in &delimiters {
                let bytes = [first, second];
                let decoded = named(name).decode(&bytes);
                assert!(decoded.text.ends_with(char::from(second)), "{name} {first:x} {second:x}");
            }
        }
    }
}

/// Expects transcoding to keep these bytes, and how many of them as markers.
fn check_transcoded(name: &str, bytes: &[u8], text: Option<&str>, kept: usize) {
    let charset = named(name);
    let transcoded = charset.transcode(bytes);
    assert_eq!(charset.encode(&transcoded.text).as_deref(), Ok(bytes), "{name} {bytes:?}");
    assert_eq!(transcoded.undecodable_count, kept, "{name} {bytes:?}");
    if let Some(text) = text {
        assert_eq!(transcoded.text, text, "{name}");
    }
}

#[test]
fn transcoding_keeps_unusual_spellings() {
    check_transcoded("SHIFT_JIS", b"a\x8E\x52|\xB1", Some("a山|ｱ"), 0);
    // A user-defined character, and the second place of one that has two.
    check_transcoded("SHIFT_JIS", b"\xF0\x40|\x8E\x52", None, 2);
    check_transcoded("SHIFT_JIS", b"\xEE\xE0|", None, 2);
    assert_eq!(named("SHIFT_JIS").decode(b"\xEE\xE0").text, "髙");
    check_transcoded("BIG-5", b"\xA5\x7C|\xA2\xCC\xFF", None, 3);
    check_transcoded("GB 18030-2000", b"\x81\x30\x81\x30|\xFF", None, 1);
    check_transcoded("ISO IR87", b"A|\x1B$B;|\x1B(B|B\r", None, 0);
    // One line with another escape; the delimiters of the others, and its own outside the kanji, stay readable.
    let odd = b"A|\x1B$@;|\x1B(J|B\rC|\x1B$B;|\x1B(B\r";
    check_transcoded("ISO IR87", odd, None, 8);
    let text = named("ISO IR87").transcode(odd).text.into_owned();
    assert_eq!(text.matches('|').count(), 3);
}

proptest! {
    #[test]
    fn lossless_sets_give_all_bytes_back(bytes: Vec<u8>) {
        for name in SINGLE_BYTE.iter().chain(LOSSLESS) {
            prop_assert!(named(name).round_trips(&bytes), "{}", name);
        }
    }

    #[test]
    fn transcoding_is_lossless_in_every_set(bytes: Vec<u8>) {
        for name in MULTI_BYTE.iter().chain(SINGLE_BYTE).chain(LOSSLESS) {
            let charset = named(name);
            let transcoded = charset.transcode(&bytes);
            let encoded = charset.encode(&transcoded.text);
            prop_assert_eq!(encoded.as_deref(), Ok(bytes.as_slice()), "{}", name);
        }
    }

    #[test]
    fn transcoding_is_lossless_in_shifted_text(text in r"(\x1B\$B|\x1B\$@|\x1B\(B|\x1B\(J|\x1B\(I|\x1B\$\(D|\x1B|[!-~]{1,4}|\r){0,12}") {
        for name in ["ISO IR87", "ISO IR14", "ISO IR159"] {
            let charset = named(name);
            let transcoded = charset.transcode(text.as_bytes());
            let encoded = charset.encode(&transcoded.text);
            prop_assert_eq!(encoded.as_deref(), Ok(text.as_bytes()), "{}", name);
            let _ = charset.decode(text.as_bytes());
        }
    }

    #[test]
    fn all_text_survives_unicode(text: String) {
        for name in LOSSLESS {
            let charset = named(name);
            let bytes = charset.encode(&text).expect("all of Unicode").into_owned();
            let without_markers = text.chars().all(|character| undecodable_byte(character).is_none());
            prop_assert!(!without_markers || charset.decode(&bytes).text == text);
        }
    }
}

#[test]
fn a_whole_message_is_shown_in_the_set_its_header_names() {
    let message = |msh18: &str, name: &[u8]| {
        let header = format!("MSH|^~\\&|A|B|||||ACK|1|P|2.5.1||||||{msh18}\rPID|||||");
        [header.as_bytes(), name].concat()
    };
    let check = |msh18: &str, name: &[u8], rule: CharsetRule, expected: &str| {
        let text = rule.text(&message(msh18, name));
        assert_eq!(text.rsplit('|').next(), Some(expected), "{msh18}");
    };
    check("8859/1", b"M\xFCller", CharsetRule::Declared, "Müller");
    check("", b"M\xFCller", CharsetRule::Declared, "Müller");
    check("", "Müller".as_bytes(), CharsetRule::Declared, "Müller");
    check("8859/2", b"\xA3uk", CharsetRule::Declared, "Łuk");
    check("8859/1", b"\xA3uk", CharsetRule::Override(named("8859/2")), "Łuk");
    check("UNICODE UTF-8", b"M\xFCller", CharsetRule::Declared, "M\u{FFFD}ller");
    check("NO SUCH SET", b"M\xFCller", CharsetRule::Declared, "Müller");
    assert_eq!(CharsetRule::Declared.text(b"no message \xFC"), "no message ü");
    let wide: Vec<u8> = "MSH|^~\\&|Łuk".encode_utf16().flat_map(u16::to_be_bytes).collect();
    assert_eq!(CharsetRule::Declared.text(&wide), "MSH|^~\\&|Łuk");
}
