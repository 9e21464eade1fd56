//! Damage and interrupted writes: a clean cut of what was under way, or an error that says where;
//! never a panic, a wrong record or a record missing without a word.

use std::{
    fs,
    path::{Path, PathBuf},
};

use pipehat_journal::{
    Compression, FileJournal, Journal, KeyRing, OpenError, OpenOptions, Position, Recovery,
};
use proptest::prelude::{any, proptest};
use tempfile::TempDir;

use crate::{
    cases,
    contract::{append, noise, position, record, scratch},
};

const CHUNK_BYTES: u64 = 4096;

pub(crate) struct Sample {
    pub(crate) directory: TempDir,
    pub(crate) keys: Option<KeyRing>,
}

impl Sample {
    pub(crate) fn new(sealed: bool) -> Sample {
        let directory = scratch();
        let path = directory.path().join("key");
        let keys = sealed.then(|| KeyRing::create(&path).expect("a key"));
        Sample { directory, keys }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("journal")
    }

    pub(crate) fn options(&self, path: &Path) -> OpenOptions {
        OpenOptions {
            key: self.keys.clone(),
            chunk_bytes: CHUNK_BYTES,
            compression: Compression::None,
            ..OpenOptions::new(path)
        }
    }

    pub(crate) fn open(&self, path: &Path) -> Result<(FileJournal, Recovery), OpenError> {
        FileJournal::open(self.options(path))
    }

    /// Records 1 to `count`, each a write of its own.
    pub(crate) fn fill(&self, count: u64) -> FileJournal {
        let (journal, _) = self.open(&self.path()).expect("opens");
        for number in 1..=count {
            append(&journal, vec![sample(number)]).expect("appends");
        }
        journal
    }
}

pub(crate) fn sample(number: u64) -> pipehat_journal::NewRecord {
    record(7, &number.to_le_bytes(), &[&noise(100, number)])
}

/// Copies the journal's files as they are, as a crash would leave them.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("lists") {
        let entry = entry.expect("lists");
        if entry.file_type().expect("a type").is_file() {
            fs::copy(entry.path(), to.join(entry.file_name())).expect("copies");
        }
    }
}

pub(crate) fn chunks(path: &Path) -> Vec<PathBuf> {
    let mut chunks: Vec<PathBuf> = fs::read_dir(path)
        .expect("lists")
        .map(|entry| entry.expect("lists").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "chunk"))
        .collect();
    chunks.sort();
    chunks
}

/// The numbers of the records that can be read before the end or an error, after checking each.
fn readable(journal: &FileJournal) -> (u64, bool) {
    let mut count = 0;
    for entry in journal.read(Position::FIRST) {
        let Ok(entry) = entry else { return (count, true) };
        count += 1;
        assert_eq!(entry.position, position(count));
        assert_eq!(entry.head, count.to_le_bytes()[..]);
        assert_eq!(journal.load(&entry.bodies[0]).expect("inline"), noise(100, count));
    }
    (count, false)
}

/// Checks what is left of a journal of `count` records after something was done to it.
fn check_left(sample: &Sample, path: &Path, count: u64, closed: bool) {
    match sample.open(path) {
        Err(OpenError::Damaged { .. } | OpenError::MissingChunk { .. }) => {}
        Err(error) => panic!("not an answer to damage: {error:?}"),
        Ok((journal, recovery)) => {
            let (read, failed) = readable(&journal);
            if failed {
                return;
            }
            if closed || recovery.torn.is_none() {
                assert_eq!(read, count, "a record is missing without a word");
            } else {
                assert!(read == count || read == count - 1, "{read} of {count} are left");
            }
        }
    }
}

#[test]
fn every_flipped_byte_is_noticed() {
    const COUNT: u64 = 24;
    for (sealed, closed) in [(false, false), (true, true)] {
        let sample = Sample::new(sealed);
        let journal = sample.fill(COUNT);
        if closed {
            journal.close();
        }
        let image = sample.directory.path().join("image");
        let attempt = sample.directory.path().join("attempt");
        copy(&sample.path(), &image);
        drop(journal);
        let paths = chunks(&image);
        assert!(paths.len() >= 2, "damage in older chunks is to be seen as well");
        for path in &paths[paths.len() - 2..] {
            let bytes = fs::read(path).expect("reads");
            let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            // All of the headers and of the first group, then samples, then one past the end.
            let places = (0..600).step_by(3).chain((600..used).step_by(11)).chain([used - 1, used]);
            for place in places.filter(|place| *place < bytes.len()) {
                let _ = fs::remove_dir_all(&attempt);
                copy(&image, &attempt);
                let mut flipped = bytes.clone();
                flipped[place] ^= 0x10;
                let name = path.file_name().expect("a name");
                fs::write(attempt.join(name), flipped).expect("writes");
                check_left(&sample, &attempt, COUNT, closed);
            }
        }
    }
}

#[test]
fn a_file_cut_short_is_noticed() {
    const COUNT: u64 = 24;
    let sample = Sample::new(true);
    drop(sample.fill(COUNT));
    let paths = chunks(&sample.path());
    let attempt = sample.directory.path().join("attempt");
    for path in &paths[paths.len() - 2..] {
        let length = fs::metadata(path).expect("exists").len();
        for cut in (0..length).step_by(61).chain([length - 1]) {
            let _ = fs::remove_dir_all(&attempt);
            copy(&sample.path(), &attempt);
            let name = path.file_name().expect("a name");
            let file = fs::File::options().write(true).open(attempt.join(name)).expect("opens");
            file.set_len(cut).expect("cuts");
            assert!(matches!(sample.open(&attempt), Err(OpenError::Damaged { .. })), "at {cut}");
        }
    }
}

#[test]
fn a_missing_chunk_is_noticed() {
    let sample = Sample::new(false);
    drop(sample.fill(60));
    let paths = chunks(&sample.path());
    assert!(paths.len() > 3);
    fs::remove_file(&paths[1]).expect("removes");
    assert!(matches!(sample.open(&sample.path()), Err(OpenError::MissingChunk { .. })));
}

#[test]
fn a_second_opening_is_refused_until_the_first_is_over() {
    let sample = Sample::new(false);
    let journal = sample.fill(1);
    assert!(matches!(sample.open(&sample.path()), Err(OpenError::Locked { .. })));
    drop(journal);
    assert_eq!(sample.open(&sample.path()).expect("opens").1.records(), 1);
}

#[test]
fn chunks_have_a_least_size() {
    let sample = Sample::new(false);
    let options = |chunk_bytes| OpenOptions { chunk_bytes, ..sample.options(&sample.path()) };
    assert!(matches!(FileJournal::open(options(4095)), Err(OpenError::ChunkBytes)));
    assert!(FileJournal::open(options(4096)).is_ok());
}

proptest! {
    #![proptest_config(cases(48))]

    /// A crash in the middle of a write may persist any of its sectors.
    #[test]
    fn an_interrupted_write_is_there_as_a_whole_or_not_at_all(
        kept in any::<u64>(),
        sealed in any::<bool>(),
        before in 0_u64..12,
    ) {
        const SECTOR: usize = 512;
        let sample = Sample::new(sealed);
        // Large enough that the write under way does not begin a new chunk.
        let options = OpenOptions { chunk_bytes: 1 << 20, ..sample.options(&sample.path()) };
        let (journal, _) = FileJournal::open(options.clone()).expect("opens");
        for number in 1..=before {
            append(&journal, vec![self::sample(number)]).expect("appends");
        }
        let old = fs::read(&chunks(&sample.path())[0]).expect("reads");
        // A body of several pieces and records of several groups, in one write.
        let body = noise(600_000, 9);
        let unit = vec![record(1, b"a", &[&body]), record(1, b"b", &[&noise(60_000, 2)]),
            record(1, b"c", &[&noise(60_000, 3)])];
        append(&journal, unit).expect("appends");
        let new = fs::read(&chunks(&sample.path())[0]).expect("reads");
        drop(journal);

        let mut torn = new.clone();
        let mut state = kept | 1;
        let mut all = true;
        for (sector, old) in torn.chunks_mut(SECTOR).zip(old.chunks(SECTOR)) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            // From hardly any sector to hardly none is lost.
            if state % 1000 < kept % 1000 && sector != old {
                sector.copy_from_slice(old);
                all = false;
            }
        }
        fs::write(&chunks(&sample.path())[0], torn).expect("writes");
        for _ in 0..2 {
            let (journal, recovery) = FileJournal::open(options.clone()).expect("a torn tail");
            let expected = if all { before + 3 } else { before };
            assert_eq!(recovery.records(), expected);
            let read = journal.read(Position::FIRST).inspect(|entry| assert!(entry.is_ok())).count();
            assert_eq!(read as u64, expected);
        }
        let (journal, _) = FileJournal::open(options.clone()).expect("opens");
        let next = journal.next_position();
        assert_eq!(append(&journal, vec![self::sample(next.get())]).expect("appends"), next);
        journal.close();
        drop(journal);
        let (journal, recovery) = FileJournal::open(options).expect("opens");
        assert_eq!((recovery.torn, recovery.next_position), (None, next.next()));
        journal.fetch(next).expect("fetches");
    }
}
