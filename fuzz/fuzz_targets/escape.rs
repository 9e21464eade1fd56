//! Escaping can be undone, pieces join to the value, text grows within its bound; every character set is lossless.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pipehat_message::{
    Charset, Delimiters, FORMAT_COUNT_MAX, Piece, escape, plain_text, sequences, unescape,
};

const SETS: &[&str] = &[
    "ASCII",
    "8859/1",
    "8859/7",
    "8859/9",
    "WINDOWS-1252",
    "UTF-8",
    "UTF-16BE",
    "UTF-16LE",
    "UTF-32BE",
    "UTF-32LE",
    "GB 18030-2000",
    "KS X 1001",
    "BIG-5",
    "SHIFT_JIS",
    "EUC-JP",
    "ISO IR14",
    "ISO IR87",
    "ISO IR159",
];

fuzz_target!(|input: (u8, &[u8])| {
    let (choice, bytes) = input;
    let truncation = (choice & 1 == 1).then_some(b'#');
    let delimiters = Delimiters { truncation, ..Delimiters::STANDARD };
    assert_eq!(unescape(&escape(bytes, &delimiters), &delimiters), bytes);

    let pieces = sequences(bytes, &delimiters).flat_map(|piece| match piece {
        Piece::Text(text) => text,
        Piece::Sequence(sequence) => sequence.raw,
    });
    assert!(pieces.eq(bytes));
    let plain = plain_text(bytes, &delimiters);
    assert!(plain.len() <= bytes.len() * 20 + usize::from(FORMAT_COUNT_MAX));

    let name = SETS[usize::from(choice) % SETS.len()];
    let charset = Charset::from_name(name).expect("a known name");
    let transcoded = charset.transcode(bytes);
    assert_eq!(charset.encode(&transcoded.text).as_deref(), Ok(bytes));
    let _ = charset.decode(bytes);
});
