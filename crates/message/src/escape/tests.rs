use proptest::prelude::{any, prop, prop_assert_eq, proptest};

use super::*;

const TRUNCATING: Delimiters = Delimiters { truncation: Some(b'#'), ..Delimiters::STANDARD };
const UNESCAPED: Delimiters =
    Delimiters { escape: None, subcomponent: None, ..Delimiters::STANDARD };

fn check(raw: &str, text: &str) {
    check_with(&Delimiters::STANDARD, raw.as_bytes(), text.as_bytes());
}

fn check_with(delimiters: &Delimiters, raw: &[u8], text: &[u8]) {
    let unescaped = unescape(raw, delimiters);
    assert_eq!(unescaped, text, "{raw:?}");
    assert_eq!(matches!(unescaped, Cow::Borrowed(_)), raw == text, "borrowed iff unchanged");
}

#[test]
fn delimiters_and_hexadecimal_data_become_text() {
    check(r"plain", r"plain");
    check(r"", r"");
    check(r"a\F\b\S\c\T\d\R\e\E\f", r"a|b^c&d~e\f");
    check(r"\X48656C6c6f\", "Hello");
    check(r"\X0D\\X0A\", "\r\n");
    check_with(&Delimiters::STANDARD, br"\Xff00\", &[0xFF, 0x00]);
    check_with(&TRUNCATING, br"\P\", b"#");
    check(r"\E\F\E\", r"\F\");
}

#[test]
fn what_is_not_text_stays_as_it_stands() {
    for raw in [
        r"\H\urgent\N\",
        r"\.br\\.sp3\\.in+2\\.ti-2\\.fi\\.nf\\.ce\\.sk4\",
        r"\C2D4C\",
        r"\M2442\",
        r"\M242842\",
        r"\Zlocal\",
        r"\P\",
    ] {
        check(raw, raw);
    }
}

#[test]
fn what_is_malformed_stays_as_it_stands() {
    for raw in [
        r"\", r"\\", r"\\\", r"a\", r"\F", r"F\", r"\f\", r"\FF\", r"\X\", r"\X4\", r"\X4G\",
        r"\x41\", r"\Q\", r"C:\temp", r"\C2D\", r"\M24\", r"\.xx\", r"\.b\", r"\.\", "\\F\r\\",
    ] {
        check(raw, raw);
    }
    check_with(&UNESCAPED, br"\F\", br"\F\");
    check_with(&Delimiters { subcomponent: None, ..Delimiters::STANDARD }, br"\T\", br"\T\");
}

#[test]
fn a_stray_escape_character_does_not_hide_the_next_sequence() {
    check(r"a\b|\F\", r"a\b||");
    check(r"\\F\", r"\|");
    check("\\\r\\F\\", "\\\r|");
    // A closed sequence is one even when unknown: its end does not open another.
    check(r"\Q\F\", r"\Q\F\");
}

#[test]
fn other_delimiters_have_their_own_sequences() {
    let other = Delimiters {
        field: b'#',
        component: b'!',
        repetition: b'@',
        escape: Some(b'%'),
        subcomponent: Some(b'*'),
        truncation: None,
    };
    check_with(&other, br"%F%%S%%R%%E%%T%\F\", br"#!@%*\F\");
    assert_eq!(escape(b"5% #1|2", &other), b"5%E% %F%1|2".as_slice());
}

#[test]
fn escape_encodes_what_would_be_read_otherwise() {
    let standard = Delimiters::STANDARD;
    assert!(matches!(escape(b"plain # text", &standard), Cow::Borrowed(_)));
    assert_eq!(escape(b"|^&~\\", &standard), br"\F\\S\\T\\R\\E\".as_slice());
    assert_eq!(escape(b"#1", &TRUNCATING), br"\P\1".as_slice());
    assert_eq!(escape(b"a\r\nb", &standard), br"a\X0D\\X0A\b".as_slice());
    assert_eq!(escape(b"\x0B\x1C", &standard), br"\X0B\\X1C\".as_slice());
    assert_eq!(escape(b"a|b", &UNESCAPED), b"a|b".as_slice());
    assert!(!is_representable(b"a|b", &UNESCAPED));
    assert!(is_representable(b"a&b\\", &UNESCAPED));
    assert!(is_representable(b"a|b", &standard));
}

#[test]
fn pieces_are_classified() {
    let raw = br"a\.sp2\b\C2D4C\\M242842\\Zx\\.in-4\\.ti7\\Q\";
    let pieces: Vec<_> = sequences(raw, &Delimiters::STANDARD)
        .map(|piece| match piece {
            Piece::Text(_) => None,
            Piece::Sequence(sequence) => Some(sequence.meaning),
        })
        .collect();
    assert_eq!(
        pieces,
        [
            None,
            Some(Meaning::Format(Format::VerticalSpace(2))),
            None,
            Some(Meaning::SingleByteSet([0x2D, 0x4C])),
            Some(Meaning::MultiByteSet([0x24, 0x28, 0x42])),
            Some(Meaning::Local(b"x")),
            Some(Meaning::Format(Format::Indent(Offset::By(-4)))),
            Some(Meaning::Format(Format::TemporaryIndent(Offset::To(7)))),
            Some(Meaning::Unknown),
        ]
    );
}

#[test]
fn formatting_counts_have_a_limit() {
    let meaning = |raw: &'static [u8]| match sequences(raw, &Delimiters::STANDARD).next() {
        Some(Piece::Sequence(sequence)) => sequence.meaning,
        piece => panic!("not a sequence: {piece:?}"),
    };
    assert_eq!(meaning(br"\.sp99\"), Meaning::Format(Format::VerticalSpace(FORMAT_COUNT_MAX)));
    assert_eq!(meaning(br"\.sp100\"), Meaning::Unknown);
    assert_eq!(meaning(br"\.in-99\"), Meaning::Format(Format::Indent(Offset::By(-99))));
    assert_eq!(meaning(br"\.in-100\"), Meaning::Unknown);
    assert_eq!(meaning(br"\.sp\"), Meaning::Format(Format::VerticalSpace(1)));
    assert_eq!(meaning(br"\.sk-1\"), Meaning::Unknown);
}

fn any_delimiters() -> impl proptest::strategy::Strategy<Value = Delimiters> {
    use proptest::strategy::Strategy;
    let marks: Vec<u8> = (b'!'..=b'~').filter(|byte| !byte.is_ascii_alphanumeric()).collect();
    (prop::sample::subsequence(marks, 6), any::<[bool; 3]>()).prop_map(|(marks, declared)| {
        let [field, component, repetition, escape, subcomponent, truncation] =
            marks.try_into().expect("six are drawn");
        Delimiters {
            field,
            component,
            repetition,
            escape: declared[0].then_some(escape),
            subcomponent: declared[1].then_some(subcomponent),
            truncation: declared[2].then_some(truncation),
        }
    })
}

proptest! {
    #[test]
    fn unescape_undoes_escape(text: Vec<u8>, delimiters in any_delimiters()) {
        let raw = escape(&text, &delimiters);
        if delimiters.escape.is_some() {
            assert!(!raw.iter().any(|&byte| ends_text(byte, &delimiters)));
        }
        prop_assert_eq!(unescape(&raw, &delimiters).into_owned(), text);
    }

    #[test]
    fn unescape_undoes_escape_of_marked_text(text in r"[|^~&\\#FSTREPX.0-9A-F\r\n]{0,40}") {
        let raw = escape(text.as_bytes(), &TRUNCATING).into_owned();
        prop_assert_eq!(unescape(&raw, &TRUNCATING), text.as_bytes());
    }

    #[test]
    fn pieces_joined_are_the_value(raw in r"[|^&\\FX.0-9A-Zbr\r]{0,60}") {
        let joined: Vec<u8> = sequences(raw.as_bytes(), &Delimiters::STANDARD)
            .flat_map(|piece| match piece {
                Piece::Text(text) => text,
                Piece::Sequence(sequence) => sequence.raw,
            })
            .copied()
            .collect();
        prop_assert_eq!(joined, raw.as_bytes());
    }
}
