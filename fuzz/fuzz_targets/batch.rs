//! Parts tile the input, and how the input arrives changes nothing. The first byte is the size of the chunks.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pipehat_message::{BatchPartKind, BatchSplitter, Batches};

fuzz_target!(|input: (u8, &[u8])| {
    let (chunk_bytes, bytes) = input;
    let mut offset = 0;
    let mut parts = Vec::new();
    for part in Batches::new(bytes) {
        assert_eq!(part.offset, offset);
        offset += part.bytes.len() as u64;
        let _ = part.content();
        parts.push((part.kind, part.bytes, part.findings));
    }
    assert!(parts.is_empty() || offset == bytes.len() as u64);

    let mut whole = parts.into_iter();
    let mut splitter = BatchSplitter::default();
    let mut take = |splitter: &mut BatchSplitter| {
        while let Some(part) = splitter.next_part().expect("the input is small") {
            let expected: Option<(BatchPartKind, &[u8], _)> = whole.next();
            assert_eq!(expected, Some((part.kind, part.bytes, part.findings)));
        }
    };
    for chunk in bytes.chunks(usize::from(chunk_bytes).max(1)) {
        splitter.push(chunk);
        take(&mut splitter);
    }
    splitter.finish();
    take(&mut splitter);
    assert!(whole.next().is_none());
});
