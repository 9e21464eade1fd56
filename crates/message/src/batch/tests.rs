use proptest::prelude::*;

use super::*;
use crate::parse::Limits;
use BatchPartKind::{BatchHeader, BatchTrailer, FileHeader, FileTrailer, Message, Stray};

type Shown = (BatchPartKind, String, Vec<Finding>);

fn shown(part: &BatchPart<'_>) -> Shown {
    let text = String::from_utf8_lossy(part.bytes).into_owned();
    (part.kind, text, part.findings.clone())
}

fn check(input: &str, expected: &[(BatchPartKind, &str, &[Finding])]) {
    let parts: Vec<Shown> = Batches::new(input.as_bytes()).map(|part| shown(&part)).collect();
    let expected: Vec<Shown> = expected
        .iter()
        .map(|(kind, text, findings)| (*kind, (*text).to_owned(), findings.to_vec()))
        .collect();
    assert_eq!(parts, expected);
}

#[test]
fn a_whole_file_is_cut_into_its_parts() {
    check(
        "FHS|^~\\&|\rBHS|^~\\&|\rMSH|^~\\&|A\rPID|1\rMSH|^~\\&|B\rBTS|2\rBHS|^~\\&\rBTS|0|x\rFTS|2\r",
        &[
            (FileHeader, "FHS|^~\\&|\r", &[]),
            (BatchHeader, "BHS|^~\\&|\r", &[]),
            (Message, "MSH|^~\\&|A\rPID|1\r", &[]),
            (Message, "MSH|^~\\&|B\r", &[]),
            (BatchTrailer, "BTS|2\r", &[]),
            (BatchHeader, "BHS|^~\\&\r", &[]),
            (BatchTrailer, "BTS|0|x\r", &[]),
            (FileTrailer, "FTS|2\r", &[]),
        ],
    );
}

#[test]
fn any_of_the_frame_may_be_left_out() {
    check(
        "MSH|^~\\&|A\r\nPID|1\r\n\r\nMSH#^~\\&#B",
        &[(Message, "MSH|^~\\&|A\r\nPID|1\r\n\r\n", &[]), (Message, "MSH#^~\\&#B", &[])],
    );
    check(
        "FHS|^~\\&\nMSH|^~\\&|A\nMSH|^~\\&|B\nFTS|1\n",
        &[
            (FileHeader, "FHS|^~\\&\n", &[]),
            (Message, "MSH|^~\\&|A\n", &[]),
            (Message, "MSH|^~\\&|B\n", &[]),
            (FileTrailer, "FTS|1\n", &[]),
        ],
    );
    check("", &[]);
    check("\r\n \r", &[]);
}

#[test]
fn framing_and_blanks_stay_with_the_part_they_surround() {
    check(
        "\u{feff}\r\n\u{b}MSH|^~\\&|A\r\u{1c}\r\u{b}MSH|^~\\&|B\r\u{1c}\rBTS\r\u{1c}\r\n",
        &[
            (Message, "\u{feff}\r\n\u{b}MSH|^~\\&|A\r\u{1c}\r", &[]),
            (Message, "\u{b}MSH|^~\\&|B\r\u{1c}\r", &[]),
            (BatchTrailer, "BTS\r\u{1c}\r\n", &[Finding::BatchNotOpened]),
        ],
    );
    let contents = |input: &'static str| -> Vec<&[u8]> {
        Batches::new(input.as_bytes()).map(|part| part.content()).collect()
    };
    assert_eq!(
        contents(
            "\u{feff}\r\n\u{b}MSH|^~\\&|A \r\u{1c}\r\u{b}MSH|^~\\&\r\n\r\n\u{1c}\rMSH|B\u{1c}\r"
        ),
        [b"MSH|^~\\&|A \r".as_slice(), b"MSH|^~\\&\r\n", b"MSH|B"]
    );
}

#[test]
fn wrong_counts_are_findings() {
    let mismatch = |declared, counted| Finding::MessageCount { declared, counted };
    check(
        "BHS|^~\\&\rMSH|1\rBTS|2\r",
        &[
            (BatchHeader, "BHS|^~\\&\r", &[]),
            (Message, "MSH|1\r", &[]),
            (BatchTrailer, "BTS|2\r", &[mismatch(2, 1)]),
        ],
    );
    for (trailer, findings) in [
        ("BTS", [].as_slice()),
        ("BTS|", &[]),
        ("BTS|1", &[]),
        ("BTS| 01 |x", &[]),
        ("BTS#1#", &[]),
        ("BTS|18446744073709551615", &[mismatch(u64::MAX, 1)]),
        ("BTS|18446744073709551616", &[Finding::CountUnreadable]),
        ("BTS|one", &[Finding::CountUnreadable]),
        ("BTS|-1", &[Finding::CountUnreadable]),
    ] {
        let input = format!("BHS|^~\\&\rMSH|1\r{trailer}");
        let part = Batches::new(input.as_bytes()).last().unwrap();
        assert_eq!(part.findings, findings, "{trailer}");
    }
    let file = Batches::new(b"FHS|^~\\&\rMSH|1\rBTS|1\rMSH|2\rMSH|3\rFTS|3");
    let findings: Vec<Finding> = file.flat_map(|part| part.findings).collect();
    let batches = Finding::BatchCount { declared: 3, counted: 2 };
    assert_eq!(findings, [Finding::BatchNotOpened, batches]);
}

#[test]
fn missing_frames_are_findings_where_they_show() {
    check(
        "FHS|^~\\&\rBHS|^~\\&\rMSH|1\rBHS|^~\\&\rFHS|^~\\&\rFTS\rFTS\rBTS\rBHS|^~\\&",
        &[
            (FileHeader, "FHS|^~\\&\r", &[]),
            (BatchHeader, "BHS|^~\\&\r", &[]),
            (Message, "MSH|1\r", &[]),
            (BatchHeader, "BHS|^~\\&\r", &[Finding::BatchNotClosed]),
            (FileHeader, "FHS|^~\\&\r", &[Finding::BatchNotClosed, Finding::FileNotClosed]),
            (FileTrailer, "FTS\r", &[]),
            (FileTrailer, "FTS\r", &[Finding::FileNotOpened]),
            (BatchTrailer, "BTS\r", &[Finding::BatchNotOpened]),
            (BatchHeader, "BHS|^~\\&", &[Finding::BatchNotClosed]),
        ],
    );
}

#[test]
fn lines_that_belong_nowhere_are_kept_apart() {
    check(
        "rubbish\rPID|1\rMSH|1\rMSHX\rMSH is a header\rBTS|1\r\rPID|2\rNTE\rMSH|2",
        &[
            (Stray, "rubbish\rPID|1\r", &[Finding::StrayLines]),
            (Message, "MSH|1\rMSHX\rMSH is a header\r", &[]),
            (BatchTrailer, "BTS|1\r\r", &[Finding::BatchNotOpened]),
            (Stray, "PID|2\rNTE\r", &[Finding::StrayLines]),
            (Message, "MSH|2", &[]),
        ],
    );
    // A name stands at the beginning of its line, give or take framing.
    let near = format!("MSH|1\r{}MSH|2", " ".repeat(scan::LEADING_BYTES_MAX));
    assert_eq!(Batches::new(near.as_bytes()).count(), 2);
    check(
        "BTS\r                    \r",
        &[
            (BatchTrailer, "BTS\r", &[Finding::BatchNotOpened]),
            (Stray, "                    \r", &[]),
        ],
    );
    let far = format!("MSH|1\r{}MSH|2", " ".repeat(scan::LEADING_BYTES_MAX + 1));
    assert_eq!(Batches::new(far.as_bytes()).count(), 1);
}

#[test]
fn positions_count_from_one_within_what_encloses_them() {
    let input = b"MSH|0\rFHS|^~\\&\rBHS|^~\\&\rMSH|1\rMSH|2\rBTS|2\rMSH|3\rFTS|2\rMSH|4\r";
    let positions: Vec<_> = Batches::new(input)
        .map(|part| (part.position.file, part.position.batch, part.position.message))
        .collect();
    assert_eq!(
        positions,
        [
            (0, 1, 1),
            (1, 0, 0),
            (1, 1, 0),
            (1, 1, 1),
            (1, 1, 2),
            (1, 1, 2),
            (1, 2, 1),
            (1, 2, 1),
            (0, 1, 1)
        ]
    );
}

type Split = (Vec<(u64, BatchPosition, Shown)>, Result<(), BatchError>);

/// What a splitter gives for `input` cut at `cuts`: the parts, each with its offset, and how it ended.
fn split(input: &[u8], cuts: &[usize], limits: &Limits) -> Split {
    let mut splitter = BatchSplitter::new(limits);
    let mut parts = Vec::new();
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (input.len() + 1)).collect();
    cuts.sort_unstable();
    cuts.push(input.len());
    let mut start = 0;
    for (number, cut) in cuts.iter().enumerate() {
        splitter.push(&input[start..*cut]);
        start = *cut;
        if number + 1 == cuts.len() {
            splitter.finish();
        }
        loop {
            match splitter.next_part() {
                Ok(Some(part)) => parts.push((part.offset, part.position, shown(&part))),
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(splitter.next_part().map(drop), Err(error));
                    return (parts, Err(error));
                }
            }
        }
    }
    assert!(matches!(splitter.next_part(), Ok(None)));
    (parts, Ok(()))
}

#[test]
fn a_part_at_the_limit_passes_and_one_byte_more_is_refused() {
    let limits = |limit| Limits { message_bytes_max: limit, ..Limits::DEFAULT };
    let input = b"MSH|1\rMSH|22\rMSH|3\r";
    assert_eq!(split(input, &[], &limits(7)).1, Ok(()));
    let (parts, end) = split(input, &[], &limits(6));
    assert_eq!(parts.len(), 1);
    assert_eq!(end, Err(BatchError::PartTooLarge { offset: 6, limit: 6 }));
}

#[test]
fn a_line_that_ends_with_the_input_is_what_it_is_when_more_may_follow() {
    for blanks in 0..2 * scan::LEADING_BYTES_MAX {
        for name in ["", "M", "MSH", "MSH|"] {
            let input = format!("{}{name}", " ".repeat(blanks));
            let every_byte: Vec<usize> = (0..input.len()).collect();
            let whole = split(input.as_bytes(), &[], &Limits::DEFAULT);
            assert_eq!(split(input.as_bytes(), &every_byte, &Limits::DEFAULT), whole, "{input:?}");
        }
    }
}

/// Text that is full of what the cutting looks at.
fn any_file() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        "MSH|",
        "BHS|",
        "FHS|",
        "BTS|",
        "FTS|",
        "BTS|1",
        "FTS|2",
        "MS",
        "H|",
        "BTS",
        "PID|1",
        "x",
        "\u{feff}",
        "\u{b}",
        "\u{1c}",
        " ",
        "                ",
        "\r",
        "\n",
        "\r\n",
        "\r",
        "\r",
    ]);
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat().into_bytes())
}

proptest! {
    #[test]
    fn the_parts_joined_are_the_input(input in any_file()) {
        let parts: Vec<BatchPart<'_>> = Batches::new(&input).collect();
        let joined: Vec<u8> = parts.iter().flat_map(|part| part.bytes).copied().collect();
        if parts.is_empty() {
            prop_assert_eq!(parse::skip_leading(&input), input.len());
        } else {
            prop_assert_eq!(joined, input);
        }
    }

    #[test]
    fn how_the_input_arrives_changes_nothing(
        input in any_file(),
        cuts in proptest::collection::vec(any::<usize>(), 0..12),
        limit in prop_oneof![Just(usize::MAX), 0..60_usize],
    ) {
        let limits = Limits { message_bytes_max: limit, ..Limits::DEFAULT };
        let whole = split(&input, &[], &limits);
        let every_byte: Vec<usize> = (0..input.len()).collect();
        prop_assert_eq!(&split(&input, &cuts, &limits), &whole);
        prop_assert_eq!(&split(&input, &every_byte, &limits), &whole);
        let in_memory: Vec<_> = Batches::new(&input)
            .map(|part| (part.offset, part.position, shown(&part)))
            .take(whole.0.len())
            .collect();
        prop_assert_eq!(&in_memory, &whole.0);
        if whole.1.is_ok() {
            prop_assert_eq!(Batches::new(&input).count(), whole.0.len());
        }
    }

    #[test]
    fn any_bytes_are_cut_without_panic(input in proptest::collection::vec(any::<u8>(), 0..200)) {
        for part in Batches::new(&input) {
            prop_assert!(part.bytes.len() >= part.content().len());
        }
    }
}
