//! One journal through many lives, each ended by a crash: what was answered is there, byte for
//! byte, whatever part of the last write reached the disk, whatever the opening after it left undone,
//! and but for what a repair in between says is lost.

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::mpsc,
    time::Duration,
};

use bytes::Bytes;
use pipehat_journal::{
    Compression, FileJournal, Flush, Journal, KeyRing, NewRecord, OpenOptions, Position, RepairMode,
};
use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};
use tempfile::TempDir;

use crate::{
    cases,
    contract::{append, noise, scratch},
    damage::chunks,
};

/// A disk writes these whole.
const SECTOR: usize = 512;

/// Of a chunk.
const HEADER_BYTES: usize = 256;

/// The chunks' files as a crash finds them.
type Image = BTreeMap<PathBuf, Vec<u8>>;

struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % end
    }

    fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    fn length(&mut self) -> usize {
        let most = match self.below(12) {
            0 => 700_000,
            1..3 => 90_000,
            _ => 900,
        };
        self.below(most) as usize
    }

    /// The records of one append.
    fn unit(&mut self) -> Vec<NewRecord> {
        let count = 1 + self.below(4);
        (0..count)
            .map(|_| {
                let bodies = self.below(3);
                NewRecord {
                    kind: self.below(5) as u8,
                    head: noise(self.below(300) as usize, self.0),
                    bodies: (0..bodies)
                        .map(|_| Bytes::from(noise(self.length(), self.0)))
                        .collect(),
                }
            })
            .collect()
    }
}

struct Site {
    directory: TempDir,
    options: OpenOptions,
    /// What was answered, or found whole after a crash.
    kept: BTreeMap<Position, NewRecord>,
    next: Position,
    keys: u32,
}

impl Site {
    fn new(random: &mut Random) -> Site {
        let directory = scratch();
        let options = OpenOptions {
            chunk_bytes: [4096, 50_000, 300_000][random.below(3) as usize],
            compression: if random.one_in(2) { Compression::Lz4 } else { Compression::None },
            ..OpenOptions::new(directory.path().join("journal"))
        };
        Site { directory, options, kept: BTreeMap::new(), next: Position::FIRST, keys: 0 }
    }

    fn path(&self) -> &Path {
        &self.options.directory
    }

    /// From now on another key seals what is new.
    fn rotate(&mut self) {
        self.keys += 1;
        let path = self.directory.path().join("key");
        let before = fs::read_to_string(&path).unwrap_or_default();
        let key = format!("key {} {:064x}\n{before}", self.keys, self.keys);
        let mut options = fs::File::options();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(&path).expect("opens");
        file.write_all(key.as_bytes()).expect("writes");
        self.options.key = Some(KeyRing::load(&path).expect("loads"));
    }

    fn image(&self) -> Image {
        let read = |path: PathBuf| (path.clone(), fs::read(path).expect("reads"));
        chunks(self.path()).into_iter().map(read).collect()
    }

    fn restore(&self, image: &Image) {
        chunks(self.path()).iter().for_each(|path| fs::remove_file(path).expect("removes"));
        image.iter().for_each(|(path, bytes)| fs::write(path, bytes).expect("writes"));
    }

    fn keep(&mut self, unit: Vec<NewRecord>) {
        for record in unit {
            self.kept.insert(self.next, record);
            self.next = self.next.next();
        }
    }

    /// Several appends at once, which the writer may put into one write.
    fn append(&mut self, journal: &FileJournal, random: &mut Random) {
        let units: Vec<_> = (0..random.below(6)).map(|_| random.unit()).collect();
        let (sender, answers) = mpsc::channel();
        for unit in &units {
            let sender = sender.clone();
            let done = Box::new(move |answer| sender.send(answer).expect("waited for"));
            let flush = if random.one_in(2) { Flush::Now } else { Flush::Later };
            journal.append(unit.clone(), flush, done);
        }
        for unit in units {
            let answer = answers.recv_timeout(Duration::from_secs(20)).expect("an answer");
            assert_eq!(answer.expect("appends"), self.next);
            self.keep(unit);
        }
    }

    fn check(&self, journal: &FileJournal) {
        let first = journal.first_position();
        let mut expected = self.kept.range(first..);
        for entry in journal.read(first) {
            let entry = entry.expect("reads");
            let (at, record) = expected.next().expect("nothing that was not appended");
            assert_eq!((entry.position, entry.kind), (*at, record.kind));
            assert_eq!(entry.head, record.head);
            let bodies = entry.bodies.iter().map(|body| journal.load(body).expect("loads"));
            assert!(bodies.eq(record.bodies.iter().cloned()), "the bodies of {at}");
            assert_eq!(journal.fetch(*at).expect("fetches").head, record.head);
        }
        assert!(expected.next().is_none(), "all that was answered");
        assert_eq!(journal.next_position(), self.next);
    }

    /// Damages a chunk that is complete, or takes it away, and repairs. What is not named as lost
    /// must still be there.
    fn harm_and_repair(&mut self, random: &mut Random) {
        let paths = chunks(self.path());
        let Some(complete) = (paths.len() as u64).checked_sub(1).filter(|count| *count > 0) else {
            return;
        };
        let chosen = random.below(complete) as usize;
        let path = &paths[chosen];
        let mut bytes = fs::read(path).expect("reads");
        if chosen > 0 && random.one_in(6) {
            fs::remove_file(path).expect("removes"); // the oldest would be as if trimmed away
        } else {
            let start = random.below(bytes.len() as u64) as usize;
            let end = (start + 1 + random.below(900) as usize).min(bytes.len());
            bytes[start..end].iter_mut().for_each(|byte| *byte ^= 0x24);
            fs::write(path, bytes).expect("writes");
        }
        let keys = self.options.key.as_ref();
        let repaired = pipehat_journal::repair(self.path(), keys, RepairMode::Replace, &mut |_| {});
        let repaired = repaired.expect("repairs");
        self.kept.retain(|at, _| !repaired.lost.iter().any(|range| range.contains(at)));
    }

    /// Sound before it is opened, and nothing for a repair to do.
    fn verify(&self) {
        let keys = self.options.key.as_ref();
        let verified = pipehat_journal::verify(self.path(), keys, &mut |_| {}).expect("verifies");
        assert_eq!(verified.findings, []);
        let repaired = pipehat_journal::repair(self.path(), keys, RepairMode::Replace, &mut |_| {});
        assert_eq!(repaired.expect("repairs").replaced, Vec::<PathBuf>::new());
    }
}

/// What a crash leaves between two states of the files: of what is written, some sectors and not
/// others. A chunk is begun after all that stands before it is synced, and named with its header.
fn torn(before: &Image, after: &Image, random: &mut Random) -> Image {
    let id = |bytes: &Vec<u8>| bytes[24..32].to_vec();
    let goes_on = |path: &PathBuf| {
        before.get(path).is_some_and(|old| after.get(path).is_some_and(|new| id(old) == id(new)))
    };
    let begun = after.keys().any(|path| !goes_on(path)) && !random.one_in(3);
    // From hardly any sector to hardly none is written; at times they are written in order.
    let (share, in_order) = (random.below(1001), random.one_in(3));
    let mut left = before.clone();
    for (path, new) in after {
        let mut mixed = match (goes_on(path), begun) {
            (true, true) => {
                let mut whole = before[path].clone();
                whole.resize(whole.len().max(new.len()), 0);
                whole[..new.len()].copy_from_slice(new);
                // It is complete and cut to its length, which is not synced.
                if random.one_in(2) {
                    whole.truncate(new.len());
                }
                left.insert(path.clone(), whole);
                continue;
            }
            (true, false) => before[path].clone(),
            (false, true) => {
                let mut zeroes = vec![0; new.len()];
                zeroes[..HEADER_BYTES].copy_from_slice(&new[..HEADER_BYTES]);
                zeroes
            }
            (false, false) => continue,
        };
        let written = random.below(new.len() as u64 + 1) as usize;
        for (place, sector) in new.chunks(SECTOR).enumerate() {
            let (start, end) = (place * SECTOR, place * SECTOR + sector.len());
            let is_written = if in_order { start < written } else { random.below(1000) < share };
            if is_written {
                mixed.resize(mixed.len().max(end), 0);
                mixed[start..end].copy_from_slice(sector);
            }
        }
        left.insert(path.clone(), mixed);
    }
    left
}

proptest! {
    #![proptest_config(cases(24))]

    #[test]
    fn what_was_answered_is_there_in_every_life(seed in 1..u64::MAX, sealed in any::<bool>()) {
        let mut random = Random(seed);
        let mut site = Site::new(&mut random);
        if sealed {
            site.rotate();
        }
        for _ in 0..2 + random.below(6) {
            let (journal, _) = FileJournal::open(site.options.clone()).expect("opens");
            site.check(&journal);
            site.append(&journal, &mut random);
            if random.one_in(4) {
                let before = Position::new(1 + random.below(site.next.get())).expect("not 0");
                journal.trim(before).expect("trims");
            }
            let before = site.image();
            let unit = random.unit();
            let closed = random.one_in(4);
            if closed {
                journal.close();
            } else {
                append(&journal, unit.clone()).expect("appends");
            }
            let after = site.image();
            drop(journal);
            let mut left = torn(&before, &after, &mut random);
            site.restore(&left);
            let whole = left == after;
            site.verify();
            if random.one_in(4) {
                site.harm_and_repair(&mut random);
                site.verify();
                left = site.image();
            }
            if sealed && random.one_in(3) {
                site.rotate();
            }

            // Dies again while it opens.
            let (journal, recovery) = FileJournal::open(site.options.clone()).expect("opens");
            let mended = site.image();
            drop(journal);
            let left = torn(&left, &mended, &mut random);
            site.restore(&left);
            if !closed && recovery.next_position > site.next {
                site.keep(unit);
            } else {
                prop_assert!(!whole || closed, "all of the write was there");
            }
            prop_assert_eq!(recovery.next_position, site.next);
        }
        site.verify();
        let (journal, _) = FileJournal::open(site.options.clone()).expect("opens");
        site.check(&journal);
        site.append(&journal, &mut random);
        site.check(&journal);
    }
}
