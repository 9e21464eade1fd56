//! What is sealed can't be read, altered or moved without the key.

use std::{fs, os::unix::fs::FileExt, path::Path};

use pipehat_journal::{
    Damage, FileJournal, Journal, KeyRing, OpenError, OpenOptions, Position, ReadError,
};

use crate::{
    contract::{append, position, record},
    damage::{self, Sample, chunks},
};

const MARKER: &[u8] = b"DOE^MARKER^Q7Z19700101";

fn files(directory: &Path, visit: &mut dyn FnMut(&Path, Vec<u8>)) {
    for entry in fs::read_dir(directory).expect("lists") {
        let path = entry.expect("lists").path();
        if path.is_dir() {
            files(&path, visit);
        } else {
            let bytes = fs::read(&path).expect("reads");
            visit(&path, bytes);
        }
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[test]
fn nothing_is_written_in_clear_and_the_key_not_at_all() {
    let sample = Sample::new(true);
    let key_text = fs::read_to_string(sample.directory.path().join("key")).expect("reads");
    let digits = key_text.split_whitespace().last().expect("a key");
    let pairs: Vec<u8> = (0..32)
        .map(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).expect("digits"))
        .collect();
    let large = MARKER.repeat(20_000);
    let fill = |journal: &FileJournal| {
        for _ in 0..20 {
            append(journal, vec![record(1, MARKER, &[MARKER, &large])]).expect("appends");
        }
    };
    let (journal, _) = sample.open(&sample.path()).expect("opens");
    fill(&journal);
    drop(journal);
    let (journal, _) = sample.open(&sample.path()).expect("opens again");
    fill(&journal);
    journal.close();
    let mut seen = 0;
    files(&sample.path(), &mut |path, bytes| {
        seen += 1;
        for clear in [MARKER, &pairs, digits.as_bytes()] {
            assert!(!contains(&bytes, clear), "{}", path.display());
        }
    });
    assert!(seen > 2);

    // The same search finds the marker where nothing is sealed.
    let clear = Sample::new(false);
    fill(&clear.open(&clear.path()).expect("opens").0);
    let mut found = false;
    files(&clear.path(), &mut |_, bytes| found |= contains(&bytes, MARKER));
    assert!(found);
}

#[test]
fn the_same_content_never_looks_the_same() {
    let sample = Sample::new(true);
    for _ in 0..2 {
        let (journal, _) = sample.open(&sample.path()).expect("opens");
        append(&journal, vec![record(1, &[7; 500], &[])]).expect("appends");
        append(&journal, vec![record(1, &[7; 500], &[])]).expect("appends");
    }
    let bytes = fs::read(&chunks(&sample.path())[0]).expect("reads");
    let starts: Vec<usize> = bytes
        .windows(4)
        .enumerate()
        .filter(|(_, window)| window == b"PHGr")
        .map(|(at, _)| at)
        .collect();
    // Salt and nonce counter of each group, as the format places them.
    let mut nonces: Vec<&[u8]> = starts.iter().map(|at| &bytes[at + 56..at + 80]).collect();
    assert_eq!(nonces.len(), 6);
    nonces.sort_unstable();
    nonces.dedup();
    assert_eq!(nonces.len(), 6, "a nonce was used twice");
}

#[test]
fn a_cut_off_group_s_nonce_is_not_used_for_the_next() {
    let sample = Sample::new(true);
    let journal = sample.fill(2);
    let newest = chunks(&sample.path()).pop().expect("a chunk");
    let image = fs::read(&newest).expect("reads");
    drop(journal);
    let last = image.windows(4).rposition(|window| window == b"PHGr").expect("a group");
    let mut torn = image.clone();
    torn[last + 130] ^= 1;
    fs::write(&newest, torn).expect("writes");
    let (journal, recovery) = sample.open(&sample.path()).expect("opens");
    assert!(recovery.torn.is_some());
    append(&journal, vec![record(1, b"other", &[])]).expect("appends");
    let now = fs::read(&newest).expect("reads");
    assert_eq!(now[last..last + 4], *b"PHGr");
    assert_ne!(now[last + 56..last + 80], image[last + 56..last + 80]);
}

#[test]
fn an_altered_group_does_not_open_even_with_its_checksums_put_right() {
    let sample = Sample::new(true);
    drop(sample.fill(1));
    let path = &chunks(&sample.path())[0];
    let mut bytes = fs::read(path).expect("reads");
    let start = bytes.windows(4).position(|window| window == b"PHGr").expect("a group");
    let length = u32::from_le_bytes(bytes[start + 12..start + 16].try_into().expect("four"));
    let payload = start + 112..start + 112 + length as usize;
    bytes[payload.start + 9] ^= 1;
    let checksum = crc32c::crc32c(&bytes[payload]);
    bytes[start + 8..start + 12].copy_from_slice(&checksum.to_le_bytes());
    let checksum = crc32c::crc32c(&bytes[start + 8..start + 112]);
    bytes[start + 4..start + 8].copy_from_slice(&checksum.to_le_bytes());
    fs::write(path, bytes).expect("writes");
    let (journal, _) = sample.open(&sample.path()).expect("checksums are right");
    let read = journal.fetch(Position::FIRST);
    assert!(matches!(read, Err(ReadError::Damaged { damage: Damage::Seal, .. })), "{read:?}");
}

#[test]
fn keys_are_asked_for_by_number_and_checked_at_the_start() {
    let sample = Sample::new(true);
    drop(sample.fill(3));
    let options = |key| OpenOptions { key, ..sample.options(&sample.path()) };
    let missing = FileJournal::open(options(None));
    assert!(matches!(missing, Err(OpenError::MissingKey { key_id: 1 })));
    let other = KeyRing::create(&sample.directory.path().join("other")).expect("a key");
    let wrong = FileJournal::open(options(Some(other)));
    assert!(matches!(wrong, Err(OpenError::WrongKey { key_id: 1 })));
    drop(sample.open(&sample.path()).expect("opens"));
}

#[test]
fn a_rotated_key_seals_what_is_new_and_the_old_one_opens_the_rest() {
    let sample = Sample::new(true);
    drop(sample.fill(3));
    let path = sample.directory.path().join("key");
    let old = fs::read_to_string(&path).expect("reads");
    fs::write(&path, format!("key 2 {}\n{old}", "5e".repeat(32))).expect("writes");
    let both = KeyRing::load(&path).expect("loads");
    let options = OpenOptions { key: Some(both), ..sample.options(&sample.path()) };
    let (journal, recovery) = FileJournal::open(options.clone()).expect("opens");
    assert_eq!((recovery.records(), recovery.chunks), (3, 2));
    append(&journal, vec![record(1, b"new", &[])]).expect("appends");
    assert_eq!(journal.read(Position::FIRST).filter(Result::is_ok).count(), 4);
    journal.trim(position(4)).expect("trims");
    drop(journal);

    fs::write(&path, format!("key 2 {}\n", "5e".repeat(32))).expect("writes");
    let new = KeyRing::load(&path).expect("loads");
    let (journal, _) = FileJournal::open(OpenOptions { key: Some(new), ..options }).expect("opens");
    assert_eq!(journal.fetch(position(4)).expect("fetches").head, &b"new"[..]);
}

/// The chunk of the new key begins where the old one's empty chunk did, and so takes its name.
#[test]
fn a_key_rotated_while_the_newest_chunk_is_empty_leaves_a_whole_journal() {
    let sample = Sample::new(true);
    let (journal, _) = sample.open(&sample.path()).expect("opens");
    let count = (1..)
        .find(|number| {
            append(&journal, vec![damage::sample(*number)]).expect("appends");
            chunks(&sample.path()).len() == 3
        })
        .expect("a chunk is full at some time");
    drop(journal);
    // A crash right after the third chunk was begun.
    let newest = chunks(&sample.path()).pop().expect("a chunk");
    let mut bytes = fs::read(&newest).expect("reads");
    bytes.iter_mut().skip(256).for_each(|byte| *byte = 0);
    fs::write(&newest, bytes).expect("writes");

    let path = sample.directory.path().join("key");
    let old = fs::read_to_string(&path).expect("reads");
    fs::write(&path, format!("key 2 {}\n{old}", "5e".repeat(32))).expect("writes");
    let both = KeyRing::load(&path).expect("loads");
    let options = OpenOptions { key: Some(both), ..sample.options(&sample.path()) };
    for _ in 0..2 {
        let (journal, recovery) = FileJournal::open(options.clone()).expect("opens");
        assert_eq!((recovery.records(), recovery.chunks), (count - 1, 3));
        let read = journal.read(Position::FIRST).inspect(|entry| assert!(entry.is_ok()));
        assert_eq!(read.count() as u64, count - 1);
    }
}

#[test]
fn sealing_can_begin_later() {
    let sample = Sample::new(false);
    drop(sample.fill(3));
    let keys = KeyRing::create(&sample.directory.path().join("later")).expect("a key");
    let options = OpenOptions { key: Some(keys), ..sample.options(&sample.path()) };
    let (journal, _) = FileJournal::open(options).expect("opens");
    append(&journal, vec![record(1, MARKER, &[])]).expect("appends");
    assert_eq!(journal.read(Position::FIRST).filter(Result::is_ok).count(), 4);
    files(&sample.path(), &mut |_, bytes| assert!(!contains(&bytes, MARKER)));
}

/// Groups of a chunk put in another order, with nothing else changed.
#[test]
fn groups_in_another_order_are_noticed() {
    let sample = Sample::new(true);
    drop(sample.fill(4));
    let path = &chunks(&sample.path())[0];
    let bytes = fs::read(path).expect("reads");
    let starts: Vec<usize> = bytes
        .windows(4)
        .enumerate()
        .filter(|(_, window)| window == b"PHGr")
        .map(|(at, _)| at)
        .collect();
    let (second, third) = (&bytes[starts[1]..starts[2]], &bytes[starts[2]..starts[3]]);
    let file = fs::File::options().write(true).open(path).expect("opens");
    file.write_all_at(&[third, second].concat(), starts[1] as u64).expect("writes");
    let opened = sample.open(&sample.path()).map(|_| ());
    assert!(matches!(opened, Err(OpenError::Damaged { damage: Damage::Link, .. })), "{opened:?}");
}
