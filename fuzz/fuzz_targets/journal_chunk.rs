//! Any bytes as a chunk: verification, repair and reading must neither panic nor allocate without
//! bound, and what was repaired must be sound. Checksums are put right first, or nothing would get
//! past them.

#![no_main]

use std::{fs, path::Path};

use libfuzzer_sys::fuzz_target;
use pipehat_journal::{FileJournal, Journal, OpenOptions, Position, RepairMode, repair, verify};

const CHUNK_HEADER_BYTES: usize = 256;
const GROUP_HEADER_BYTES: usize = 112;
const CHUNK_ID: &[u8] = b"chunk id";

fuzz_target!(|data: &[u8]| {
    let mut bytes = vec![0; CHUNK_HEADER_BYTES];
    bytes[..8].copy_from_slice(b"PHJrnl\r\n");
    bytes[12] = 1; // format version
    bytes[16] = 1; // first position
    bytes[24..32].copy_from_slice(CHUNK_ID);
    let checksum = crc32c(&bytes[12..]);
    bytes[8..12].copy_from_slice(&checksum.to_le_bytes());
    bytes.extend_from_slice(data);
    put_right(&mut bytes);

    let directory = std::env::temp_dir().join(format!("pipehat-fuzz-{}", std::process::id()));
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).expect("a directory");
    fs::write(directory.join("00000000000000000001.chunk"), bytes).expect("writes");
    check(&directory);
    fs::remove_dir_all(&directory).expect("removes");
});

fn check(directory: &Path) {
    // A group that names a key can't be examined without it.
    if verify(directory, None, &mut |_| {}).is_err() {
        return;
    }
    repair(directory, None, RepairMode::Replace, &mut |_| {}).expect("repairs");
    assert!(verify(directory, None, &mut |_| {}).expect("verifies").is_sound());
    let options = OpenOptions { chunk_bytes: 4096, ..OpenOptions::new(directory) };
    let (journal, _) = FileJournal::open(options).expect("opens what was repaired");
    for entry in journal.read(Position::FIRST) {
        let entry = entry.expect("reads");
        for body in &entry.bodies {
            journal.load(body).expect("loads");
        }
    }
}

/// Gives everything that looks like a group this chunk's id and the right checksums.
fn put_right(bytes: &mut [u8]) {
    let mut at = CHUNK_HEADER_BYTES;
    while at + GROUP_HEADER_BYTES <= bytes.len() {
        if &bytes[at..at + 4] != b"PHGr" {
            at += 1;
            continue;
        }
        let length = bytes[at + 12..at + 16].try_into().expect("four bytes");
        let start = at + GROUP_HEADER_BYTES;
        let end = start.saturating_add(u32::from_le_bytes(length) as usize);
        if let Some(payload) = bytes.get(start..end) {
            let checksum = crc32c(payload);
            bytes[at + 8..at + 12].copy_from_slice(&checksum.to_le_bytes());
        }
        bytes[at + 32..at + 40].copy_from_slice(CHUNK_ID);
        let checksum = crc32c(&bytes[at + 8..start]);
        bytes[at + 4..at + 8].copy_from_slice(&checksum.to_le_bytes());
        at = start;
    }
}

fn crc32c(bytes: &[u8]) -> u32 {
    let mut state = u32::MAX;
    for byte in bytes {
        state ^= u32::from(*byte);
        for _ in 0..8 {
            state = if state & 1 == 1 { (state >> 1) ^ 0x82f6_3b78 } else { state >> 1 };
        }
    }
    !state
}
