//! Verification finds damage, repair makes the rest usable and names what is lost.

use std::{fs, os::unix::fs::FileExt, path::Path};

use pipehat_journal::{
    FileJournal, Journal, OpenError, Position, Problem, ReadError, RepairMode, RepairReport,
    VerifyReport,
};
use proptest::{
    collection::vec,
    prelude::{Just, Strategy, any, prop_oneof, proptest},
};

use crate::{
    cases,
    contract::{append, noise, position, record},
    damage::{Sample, chunks, copy, sample},
};

fn verify(sample: &Sample) -> VerifyReport {
    pipehat_journal::verify(&sample.path(), sample.keys.as_ref(), &mut |_| {}).expect("verifies")
}

fn repair(sample: &Sample, mode: RepairMode) -> RepairReport {
    let keys = sample.keys.as_ref();
    pipehat_journal::repair(&sample.path(), keys, mode, &mut |_| {}).expect("repairs")
}

fn lost(report: &RepairReport) -> Vec<u64> {
    report.lost.iter().flat_map(|range| range.start().get()..=range.end().get()).collect()
}

fn flip(path: &Path, offset: u64) {
    let file = fs::File::options().read(true).write(true).open(path).expect("opens");
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).expect("reads");
    file.write_all_at(&[byte[0] ^ 0x40], offset).expect("writes");
}

/// The position in the chunk's name.
fn first_position(path: &Path) -> u64 {
    let stem = path.file_stem().and_then(|stem| stem.to_str()).expect("a name");
    stem.parse().expect("a position")
}

/// Where the chunk's groups begin.
fn groups(path: &Path) -> Vec<u64> {
    let bytes = fs::read(path).expect("reads");
    let starts = bytes.windows(4).enumerate().filter(|(_, window)| window == b"PHGr");
    starts.map(|(at, _)| at as u64).collect()
}

/// Repairs, and checks that all but the lost records are there and that the journal goes on.
fn check_repaired(sample: &Sample, count: u64, expected_lost: &[u64]) {
    assert!(!verify(sample).is_sound());
    let before: Vec<_> =
        chunks(&sample.path()).iter().map(|path| fs::read(path).expect("reads")).collect();
    let planned = repair(sample, RepairMode::DryRun);
    let after: Vec<_> =
        chunks(&sample.path()).iter().map(|path| fs::read(path).expect("reads")).collect();
    assert!(before == after, "a dry run changes nothing");
    assert_eq!(lost(&planned), expected_lost);

    let done = repair(sample, RepairMode::Replace);
    assert_eq!(done, planned);
    for quarantined in &done.quarantined {
        let kept = fs::read(quarantined).expect("the original is kept");
        assert!(before.contains(&kept), "unchanged");
    }
    let verified = verify(sample);
    assert_eq!(verified.findings, []);
    assert_eq!(verified.records, count - expected_lost.len() as u64);

    let (journal, _) = sample.open(&sample.path()).expect("opens");
    let noted: Vec<_> = journal.losses().into_iter().map(|loss| loss.positions).collect();
    assert_eq!(noted, done.lost, "what is lost is noted for good");
    assert!(journal.losses().iter().all(|loss| loss.at > 1_700_000_000));
    let read: Vec<u64> = journal
        .read(Position::FIRST)
        .map(|entry| entry.expect("reads"))
        .map(|entry| {
            assert_eq!(entry.head, entry.position.get().to_le_bytes()[..]);
            journal.load(&entry.bodies[0]).expect("loads");
            entry.position.get()
        })
        .collect();
    let kept: Vec<u64> = (1..=count).filter(|number| !expected_lost.contains(number)).collect();
    assert_eq!(read, kept);
    for number in expected_lost {
        let fetched = journal.fetch(position(*number));
        assert!(matches!(fetched, Err(ReadError::Lost { .. })), "{number}: {fetched:?}");
    }
    let next = position(count + 1);
    assert_eq!(append(&journal, vec![self::sample(next.get())]).expect("appends"), next);
    drop(journal);
    assert_eq!(verify(sample).findings, []);
    assert_eq!(sample.open(&sample.path()).expect("opens").1.next_position, next.next());
}

#[test]
fn a_sound_journal_is_left_alone() {
    let sample = Sample::new(true);
    let mut progress = Vec::new();
    drop(sample.fill(30));
    let report = pipehat_journal::verify(&sample.path(), sample.keys.as_ref(), &mut |step| {
        progress.push(step.bytes);
    })
    .expect("verifies");
    assert!(report.is_sound());
    assert_eq!((report.records, report.next_position), (30, Some(position(31))));
    assert!(progress.is_sorted());
    assert_eq!(progress.last(), Some(&report.bytes));
    let repaired = repair(&sample, RepairMode::Replace);
    assert_eq!((repaired.replaced, repaired.quarantined), (Vec::new(), Vec::new()));
    drop(sample.open(&sample.path()).expect("opens"));
}

#[test]
fn a_torn_tail_is_no_damage() {
    let sample = Sample::new(false);
    let journal = sample.fill(3);
    let image = sample.directory.path().join("image");
    copy(&sample.path(), &image);
    drop(journal);
    let newest = chunks(&image).pop().expect("a chunk");
    let last = *groups(&newest).last().expect("a group");
    flip(&newest, last + 150);
    let report = pipehat_journal::verify(&image, None, &mut |_| {}).expect("verifies");
    assert!(report.is_sound());
    assert_eq!((report.records, report.torn.map(|torn| torn.offset)), (2, Some(last)));
}

#[test]
fn a_journal_in_use_is_not_touched() {
    let sample = Sample::new(false);
    let _journal = sample.fill(3);
    let refused = pipehat_journal::verify(&sample.path(), None, &mut |_| {});
    assert!(matches!(refused, Err(pipehat_journal::VerifyError::Open(OpenError::Locked { .. }))));
}

#[test]
fn damaged_groups_are_given_up_and_the_rest_kept() {
    for sealed in [false, true] {
        let sample = Sample::new(sealed);
        drop(sample.fill(60));
        let paths = chunks(&sample.path());
        let starts = groups(&paths[1]);
        let first = first_position(&paths[1]);
        flip(&paths[1], starts[1] + 150); // a payload
        flip(&paths[1], starts[4] + 20); // a header
        flip(&paths[1], starts[5] + 20); // and the next
        check_repaired(&sample, 60, &[first + 1, first + 4, first + 5]);
    }
}

#[test]
fn a_chunk_with_a_damaged_header_is_kept() {
    let sample = Sample::new(true);
    drop(sample.fill(60));
    flip(&chunks(&sample.path())[1], 30);
    check_repaired(&sample, 60, &[]);
}

#[test]
fn the_newest_chunk_is_repaired_and_its_positions_are_not_used_again() {
    for place in [20, 150] {
        let sample = Sample::new(true);
        drop(sample.fill(7));
        let newest = chunks(&sample.path()).pop().expect("a chunk");
        let starts = groups(&newest);
        // The last record; what marks the closing stands behind it.
        flip(&newest, starts[starts.len() - 2] + place);
        check_repaired(&sample, 7, &[7]);
    }
}

#[test]
fn neighbouring_damaged_chunks_are_repaired() {
    let sample = Sample::new(true);
    drop(sample.fill(80));
    let paths = chunks(&sample.path());
    assert!(paths.len() > 4);
    flip(&paths[0], 9);
    flip(&paths[1], 9);
    let starts = groups(&paths[1]);
    flip(&paths[1], starts[starts.len() - 1] + 120);
    flip(&paths[2], 9);
    check_repaired(&sample, 80, &[first_position(&paths[2]) - 1]);
}

#[test]
fn a_missing_chunk_becomes_an_empty_one() {
    let sample = Sample::new(true);
    drop(sample.fill(80));
    let paths = chunks(&sample.path());
    fs::remove_file(&paths[1]).expect("removes");
    fs::remove_file(&paths[2]).expect("removes");
    let missing: Vec<u64> = (first_position(&paths[1])..first_position(&paths[3])).collect();
    let problems: Vec<Problem> =
        verify(&sample).findings.iter().map(|finding| finding.problem).collect();
    assert_eq!(problems, [Problem::MissingChunk]);
    check_repaired(&sample, 80, &missing);
}

/// How many records it had can't be told, but its position, and so its name, is not used again.
#[test]
fn a_newest_chunk_of_which_nothing_is_left_loses_its_position() {
    for length in [0, 256, 300] {
        let sample = Sample::new(true);
        drop(sample.fill(60));
        let paths = chunks(&sample.path());
        let (newest, before) = (&paths[paths.len() - 1], &paths[paths.len() - 2]);
        let (first, missing) = (first_position(newest), first_position(before));
        let file = fs::File::options().write(true).open(newest).expect("opens");
        file.set_len(length).expect("shortens");
        // With the header, the newest chunk names the one before it.
        fs::remove_file(before).expect("removes");
        let lost: Vec<u64> = (missing..=first).collect();
        check_repaired(&sample, first, &lost);
    }
}

#[test]
fn records_whose_stored_body_is_damaged_are_given_up() {
    let sample = Sample::new(true);
    let (journal, _) = sample.open(&sample.path()).expect("opens");
    for number in 1..=4_u64 {
        let head = number.to_le_bytes();
        let body = noise(600_000, number);
        append(&journal, vec![record(1, &head, &[&body])]).expect("appends");
    }
    drop(journal);
    let paths = chunks(&sample.path());
    flip(&paths[1], 300_000);
    check_repaired(&sample, 4, &[2]);
}

#[test]
fn a_chunk_swapped_for_another_journals_is_noticed() {
    let (sample, other) = (Sample::new(false), Sample::new(false));
    drop(sample.fill(60));
    drop(other.fill(60));
    let (ours, theirs) = (chunks(&sample.path()), chunks(&other.path()));
    fs::copy(&theirs[1], &ours[1]).expect("copies");
    let problems: Vec<Problem> =
        verify(&sample).findings.iter().map(|finding| finding.problem).collect();
    assert_eq!(problems, [Problem::Unlinked, Problem::Unlinked]);
    let (journal, _) = sample.open(&sample.path()).expect("opens");
    assert!(journal.read(Position::FIRST).any(|entry| entry.is_err()));
    drop(journal);
    let _: FileJournal = {
        repair(&sample, RepairMode::Replace);
        sample.open(&sample.path()).expect("opens").0
    };
}

#[derive(Clone, Debug)]
enum Harm {
    Flip(u64),
    Zero(u64, u64),
    Shorten(u64),
    Swap(u64, u64),
    Remove,
}

fn harms() -> impl Strategy<Value = Vec<(usize, Harm)>> {
    let place = || prop_oneof![0_u64..600, 0_u64..5000];
    let harm = prop_oneof![
        4 => place().prop_map(Harm::Flip),
        2 => (place(), 1_u64..900).prop_map(|(at, length)| Harm::Zero(at, length)),
        1 => place().prop_map(Harm::Shorten),
        1 => (place(), place()).prop_map(|(one, other)| Harm::Swap(one, other)),
        1 => Just(Harm::Remove),
    ];
    vec((0_usize..12, harm), 1..6)
}

fn harm(path: &Path, harm: &Harm) {
    let Ok(mut bytes) = fs::read(path) else { return };
    let range = |at: u64, length: u64| {
        let end = (at + length).min(bytes.len() as u64) as usize;
        (at as usize).min(end)..end
    };
    match *harm {
        Harm::Flip(at) => range(at, 1).for_each(|at| bytes[at] ^= 2),
        Harm::Zero(at, length) => range(at, length).for_each(|at| bytes[at] = 0),
        Harm::Shorten(length) => bytes.truncate(length as usize),
        Harm::Swap(one, other) => {
            for step in 0..200 {
                let (one, other) = ((one + step) as usize, (other + step) as usize);
                if one.max(other) < bytes.len() {
                    bytes.swap(one, other);
                }
            }
        }
        Harm::Remove => return fs::remove_file(path).expect("removes"),
    }
    fs::write(path, bytes).expect("writes");
}

proptest! {
    #![proptest_config(cases(60))]

    /// What a fuzzer would find only once it had the checksums right.
    #[test]
    fn groups_that_lie_are_given_up(
        lies in vec((0_usize..40, prop_oneof![12_usize..56, 112_usize..300], any::<u8>()), 1..8),
    ) {
        let sample = Sample::new(false);
        drop(sample.fill(10));
        let path = chunks(&sample.path()).swap_remove(0);
        let mut bytes = fs::read(&path).expect("reads");
        let starts = groups(&path);
        for (group, at, byte) in lies {
            let at = starts[group % starts.len()] as usize + at;
            if at < bytes.len() {
                bytes[at] = byte;
            }
        }
        for start in starts.iter().map(|start| *start as usize) {
            let length = u32::from_le_bytes(bytes[start + 12..start + 16].try_into().expect("four"));
            if let Some(payload) = bytes.get(start + 112..start + 112 + length as usize) {
                let checksum = crc32c::crc32c(payload);
                bytes[start + 8..start + 12].copy_from_slice(&checksum.to_le_bytes());
            }
            let checksum = crc32c::crc32c(&bytes[start + 8..start + 112]);
            bytes[start + 4..start + 8].copy_from_slice(&checksum.to_le_bytes());
        }
        fs::write(&path, bytes).expect("writes");
        // A group that names a key can't be examined without it.
        let examined = pipehat_journal::verify(&sample.path(), None, &mut |_| {});
        if !matches!(examined, Err(pipehat_journal::VerifyError::MissingKey { .. })) {
            examined.expect("verifies");
            repair(&sample, RepairMode::Replace);
            assert_eq!(verify(&sample).findings, []);
            let (journal, _) = sample.open(&sample.path()).expect("opens");
            for entry in journal.read(journal.first_position()) {
                entry.expect("reads");
            }
        }
    }

    #[test]
    fn whatever_happened_a_repaired_journal_is_sound(harms in harms(), sealed in any::<bool>()) {
        const COUNT: u64 = 90;
        let sample = Sample::new(sealed);
        let journal = sample.fill(COUNT);
        append(&journal, vec![record(7, &(COUNT + 1).to_le_bytes(), &[&noise(80_000, 1)])])
            .expect("appends");
        journal.close();
        drop(journal);
        let paths = chunks(&sample.path());
        for (chunk, done) in &harms {
            harm(&paths[chunk % paths.len()], done);
        }
        let done = repair(&sample, RepairMode::Replace);
        let verified = verify(&sample);
        assert_eq!(verified.findings, []);
        let (journal, recovery) = sample.open(&sample.path()).expect("opens");
        let first = recovery.first_position;
        let mut read = 0;
        for entry in journal.read(first) {
            let entry = entry.expect("reads");
            assert_eq!(entry.head, entry.position.get().to_le_bytes()[..]);
            let lost = done.lost.iter().any(|range| range.contains(&entry.position));
            assert!(!lost, "{} is there", entry.position);
            journal.load(&entry.bodies[0]).expect("loads");
            read += 1;
        }
        assert_eq!(read + done.lost_records(), recovery.records());
        let next = journal.next_position();
        assert_eq!(append(&journal, vec![self::sample(next.get())]).expect("appends"), next);
        drop(journal);
        assert_eq!(verify(&sample).findings, []);
        let (journal, recovery) = sample.open(&sample.path()).expect("opens again");
        assert_eq!(recovery.next_position, next.next());
        let again = journal.read(first).inspect(|entry| assert!(entry.is_ok(), "{entry:?}"));
        assert_eq!(again.count() as u64, read + 1);
    }
}
