//! Making a damaged journal usable again, without destroying anything.
//!
//! Each damaged chunk is replaced by a *repaired* one that holds every record which can still be
//! read in full; the original is kept in `quarantine`. For a chunk that is missing, an empty one
//! is put in its place. Other chunks are not touched. Lost positions are named and never used
//! again, and they are noted in the journal before it lacks them. Each replacement is one rename,
//! so an interrupted repair can be run again.

use std::{
    fs::{self, File},
    io,
    ops::RangeInclusive,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;

use crate::{
    Body, Compression, Entry, KeyRing, NewRecord, Position, Progress, ReadError, VerifyError,
    VerifyReport,
    chunk::{self, CHUNK_HEADER_BYTES, Chunk, ChunkHeader, Previous, Repaired},
    disk,
    examine::{self, Examined, Found, Subject, Unexamined},
    file,
    group::{GroupEncoder, GroupKind, Link, NewGroup},
    losses,
    read::{self, Walk},
    record,
    seal::{Opener, Sealer},
    verify::{self, State},
    writer::{BODY_PIECE_BYTES, GROUP_PLAIN_BYTES},
};

const QUARANTINE: &str = "quarantine";

/// Removed by the next opening, should the repair die.
const TEMPORARY: &str = "spare.repair";

/// Whether a repair changes anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RepairMode {
    /// Only reports what it would do.
    DryRun,
    /// Replaces damaged chunks.
    Replace,
}

/// What a repair did, or would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepairReport {
    /// The state before.
    pub verified: VerifyReport,
    /// The positions of all records that can't be read any more, in order. A newest chunk that
    /// does not tell any more what it held has lost its first, whatever else was in it.
    pub lost: Vec<RangeInclusive<Position>>,
    /// How many records the replaced chunks hold.
    pub kept: u64,
    /// Where the damaged chunks' files are kept.
    pub quarantined: Vec<PathBuf>,
    /// The chunks that were made.
    pub replaced: Vec<PathBuf>,
}

impl RepairReport {
    /// How many positions were lost.
    pub fn lost_records(&self) -> u64 {
        let count = |range: &RangeInclusive<Position>| range.end().get() - range.start().get() + 1;
        self.lost.iter().map(count).sum()
    }
}

/// Why a repair stopped. Chunks replaced until then are good; run it again.
#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    /// What is wrong could not be found out.
    #[error("the journal could not be examined")]
    Verify(#[from] VerifyError),
    /// A file could not be read, written or moved.
    #[error("failed to repair the journal: `{}`", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// Repairs the journal in a directory that nobody has open.
pub fn repair(
    directory: &Path,
    keys: Option<&KeyRing>,
    mode: RepairMode,
    progress: &mut dyn FnMut(Progress),
) -> Result<RepairReport, RepairError> {
    let _lock = file::lock(directory).map_err(VerifyError::Open)?;
    let mut plan = Vec::new();
    let mut verified = VerifyReport::default();
    verify::go_over(directory, keys, progress, &mut verified, &mut |examined, state| {
        plan.extend(state.missing_before.map(Planned::missing));
        plan.push(Planned::new(examined, &state));
    })?;
    let report = RepairReport {
        verified,
        lost: Vec::new(),
        kept: 0,
        quarantined: Vec::new(),
        replaced: Vec::new(),
    };
    let at = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let mut repair = Repair { directory, keys, mode, at, report, before: None, reached: None };
    for (index, planned) in plan.iter().enumerate() {
        repair.chunk(planned, plan.get(index + 1))?;
    }
    Ok(repair.report)
}

/// What is to be done about one chunk.
struct Planned {
    first: Position,
    /// `None` when it is missing.
    original: Option<Original>,
}

struct Original {
    path: PathBuf,
    header: ChunkHeader,
    header_is_whole: bool,
    damaged: bool,
    /// The chunk's header names something else than what stands before it.
    unlinked: bool,
    /// Where its groups end, and how far they may be looked for.
    end: u64,
    limit: u64,
    link: Option<Link>,
    next_position: Position,
}

impl Planned {
    fn missing(first: Position) -> Planned {
        Planned { first, original: None }
    }

    fn new(examined: &Examined, state: &State) -> Planned {
        let original = Original {
            path: examined.chunk.path.clone(),
            header: examined.chunk.header.clone(),
            header_is_whole: examined.header_is_whole,
            damaged: state.damaged,
            unlinked: state.unlinked,
            end: examined.end,
            limit: examined.chunk.end(),
            link: examined.link,
            next_position: examined.next_position,
        };
        Planned { first: examined.chunk.first_position(), original: Some(original) }
    }

    /// What its header, when legible, says of the chunk before.
    fn names(&self) -> Option<&Previous> {
        let original = self.original.as_ref()?;
        let legible = original.header_is_whole && !original.unlinked;
        original.header.previous.as_ref().filter(|_| legible)
    }
}

struct Repair<'a> {
    directory: &'a Path,
    keys: Option<&'a KeyRing>,
    mode: RepairMode,
    /// When, in seconds of Unix time.
    at: u64,
    report: RepairReport,
    /// The chunk before, as the one at hand should name it.
    before: Option<Previous>,
    /// The position after it.
    reached: Option<Position>,
}

impl Repair<'_> {
    fn chunk(&mut self, planned: &Planned, next: Option<&Planned>) -> Result<(), RepairError> {
        let first_position = planned.first;
        if let Some(original) = planned.original.as_ref().filter(|original| !original.damaged) {
            let own = original.header.repaired.as_ref();
            self.before = Some(Previous {
                first_position,
                end: own.map_or(original.end, |own| own.end),
                link: own.map(|own| own.link).or(original.link).unwrap_or_default(),
            });
            self.reached = Some(original.next_position);
            return Ok(());
        }
        let path = self.directory.join(chunk::file_name(first_position));
        let named = next
            .and_then(Planned::names)
            .filter(|named| named.first_position == first_position)
            .map(|named| named.link);
        let link = match named {
            Some(link) => link,
            None => random_link().map_err(|source| io_error(&path, source))?,
        };
        let previous = planned.names().cloned().or_else(|| self.before.clone());
        let end = self.replace(planned, next, previous, link)?;
        self.before = Some(Previous { first_position, end, link });
        self.report.replaced.push(path);
        Ok(())
    }

    /// Writes the chunk anew and puts it in the place of the old one; where its groups end.
    fn replace(
        &mut self,
        planned: &Planned,
        next: Option<&Planned>,
        previous: Option<Previous>,
        link: Link,
    ) -> Result<u64, RepairError> {
        let temporary = self.directory.join(TEMPORARY);
        let failed = |source| io_error(&temporary, source);
        let mut target = Target::begin(self.mode, &temporary, self.keys, planned, previous, link)
            .map_err(failed)?;
        // More chunks may be missing than are named by others.
        if let Some(reached) = self.reached.filter(|reached| *reached < planned.first) {
            self.lose(reached, planned.first);
        }
        let mut expected = planned.first;
        if let Some(original) = &planned.original {
            self.copy(planned.first, original, &mut target, &mut expected)?;
        }
        // Positions that were given out once are never given out again. The newest chunk's first
        // was: a chunk is begun for a record. So it does not end where it begins, and the next
        // one finds its name free.
        let claimed = planned.original.as_ref().map_or(expected, |original| original.next_position);
        let until = next.map_or(claimed.max(planned.first.next()), |next| next.first);
        if until > expected {
            self.lose(expected, until);
            target.skip_to(until).map_err(failed)?;
        }
        self.reached = Some(until.max(expected));
        let end = target.finish().map_err(failed)?;
        if let Some(original) = &planned.original {
            self.quarantine(&original.path)?;
        }
        if self.mode == RepairMode::Replace {
            losses::note(self.directory, self.at, &self.report.lost)
                .map_err(|source| io_error(self.directory, source))?;
            let path = self.directory.join(chunk::file_name(planned.first));
            fs::rename(&temporary, &path)
                .and_then(|()| disk::sync_directory(self.directory))
                .map_err(|source| io_error(&path, source))?;
        }
        Ok(end)
    }

    /// Copies every record that can be read in full.
    fn copy(
        &mut self,
        first: Position,
        original: &Original,
        target: &mut Target,
        expected: &mut Position,
    ) -> Result<(), RepairError> {
        let path = &original.path;
        let chunk = Chunk::new(path.clone(), original.header.clone(), original.limit);
        let subject =
            Subject { path, first_position: first, end: Some(original.limit), length_min: 0 };
        let mut outcome = Ok(());
        let mut opener = Opener::new(self.keys.cloned());
        let examined = examine::examine(&subject, self.keys, &mut |found| {
            let Found::Record(entry) = found else { return };
            // A record that was moved to where it does not belong is not copied there.
            if outcome.is_err() || entry.position < *expected {
                return;
            }
            let position = entry.position;
            let copied =
                load(&chunk, entry, &mut opener).and_then(|record| target.add(position, &record));
            match copied {
                Ok(()) => {
                    if position > *expected {
                        self.lose(*expected, position);
                    }
                    *expected = position.next();
                    self.report.kept += 1;
                }
                Err(source) => outcome = Err(io_error(path, source)),
            }
        });
        outcome?;
        match examined {
            Ok(_) => Ok(()),
            Err(Unexamined::Io(source)) => Err(io_error(path, source)),
            Err(Unexamined::Version(version)) => {
                Err(VerifyError::Version { chunk: first.get(), version }.into())
            }
            Err(Unexamined::MissingKey { key_id }) => {
                Err(VerifyError::MissingKey { key_id }.into())
            }
        }
    }

    fn lose(&mut self, from: Position, until: Position) {
        if let Some(last) = Position::new(until.get() - 1) {
            self.report.lost.push(from..=last);
        }
    }

    /// Gives the original a second name, which it keeps when the first goes to the new file.
    fn quarantine(&mut self, path: &Path) -> Result<(), RepairError> {
        let directory = self.directory.join(QUARANTINE);
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut number = 1_u32;
        let mut kept = directory.join(format!("{name}.{number}"));
        while kept.exists() {
            number += 1;
            kept = directory.join(format!("{name}.{number}"));
        }
        if self.mode == RepairMode::Replace {
            disk::create_directory(&directory)
                .and_then(|()| fs::hard_link(path, &kept))
                .and_then(|()| disk::sync_directory(&directory))
                .map_err(|source| io_error(&kept, source))?;
        }
        self.report.quarantined.push(kept);
        Ok(())
    }
}

/// Reads the bodies of a record found whole.
fn load(chunk: &Chunk, entry: Entry, opener: &mut Opener) -> io::Result<NewRecord> {
    let mut bodies: Vec<Bytes> = Vec::with_capacity(entry.bodies.len());
    for body in &entry.bodies {
        bodies.push(match body {
            Body::Inline(bytes) => bytes.clone(),
            Body::Stored(stored) => Walk::new(chunk, stored.offset)
                .and_then(|walk| read::read_body(walk, stored, opener))
                .map_err(|error| match error {
                    ReadError::Io { source, .. } => source,
                    other => io::Error::other(other),
                })?,
        });
    }
    Ok(NewRecord { kind: entry.kind, head: entry.head.to_vec(), bodies })
}

/// The chunk being written anew; in a dry run it goes nowhere.
struct Target {
    file: Option<File>,
    header: ChunkHeader,
    encoder: GroupEncoder,
    offset: u64,
    write: u32,
    plain: Vec<u8>,
    first: Position,
    next: Position,
}

impl Target {
    fn begin(
        mode: RepairMode,
        path: &Path,
        keys: Option<&KeyRing>,
        planned: &Planned,
        previous: Option<Previous>,
        link: Link,
    ) -> io::Result<Target> {
        let file = match mode {
            RepairMode::DryRun => None,
            RepairMode::Replace => Some(File::create(path)?),
        };
        let mut id = [0; 8];
        getrandom::fill(&mut id)?;
        let chunk_id = u64::from_le_bytes(id);
        let key_id = keys.map_or(0, KeyRing::current_id);
        let header = ChunkHeader {
            first_position: planned.first,
            chunk_id,
            key_id,
            key_check: keys.and_then(|keys| keys.check_value(key_id, chunk_id)).unwrap_or_default(),
            capacity: 0,
            previous,
            repaired: Some(Repaired { end: 0, link }),
        };
        let encoder = GroupEncoder {
            chunk_id,
            number: 1,
            previous: header.link(),
            compression: Compression::Lz4,
            sealer: keys.map(Sealer::new).transpose()?,
        };
        Ok(Target {
            file,
            header,
            encoder,
            offset: CHUNK_HEADER_BYTES as u64,
            write: 0,
            plain: Vec::new(),
            first: planned.first,
            next: planned.first,
        })
    }

    fn add(&mut self, position: Position, record: &NewRecord) -> io::Result<()> {
        if position != self.next || self.plain.len() >= GROUP_PLAIN_BYTES {
            self.flush()?;
            (self.first, self.next) = (position, position);
        }
        let mut stored = Vec::new();
        for body in record::stored_bodies(record) {
            stored.push(self.offset);
            for piece in body.chunks(BODY_PIECE_BYTES) {
                self.write_group(GroupKind::BodyPiece, 0, piece)?;
            }
        }
        record::encode(record, position, &mut stored.into_iter(), &mut self.plain);
        self.next = position.next();
        Ok(())
    }

    /// An empty group, which says where positions go on.
    fn skip_to(&mut self, position: Position) -> io::Result<()> {
        self.flush()?;
        (self.first, self.next) = (position, position);
        self.write_group(GroupKind::Records, 0, &[])
    }

    fn flush(&mut self) -> io::Result<()> {
        let count = self.next.get().saturating_sub(self.first.get());
        if count == 0 {
            return Ok(());
        }
        let plain = std::mem::take(&mut self.plain);
        self.write_group(GroupKind::Records, count as u32, &plain)
    }

    fn write_group(&mut self, kind: GroupKind, count: u32, plain: &[u8]) -> io::Result<()> {
        let last = kind == GroupKind::Records;
        let group = NewGroup {
            kind,
            count,
            first_position: self.first.get(),
            write: self.write.wrapping_add(1),
            last,
        };
        let mut bytes = Vec::new();
        self.encoder.encode(&group, plain, &mut bytes);
        if let Some(file) = &self.file {
            file.write_all_at(&bytes, self.offset)?;
        }
        self.offset += bytes.len() as u64;
        if last {
            self.write = group.write;
        }
        Ok(())
    }

    fn finish(mut self) -> io::Result<u64> {
        self.flush()?;
        self.header.capacity = self.offset;
        if let Some(repaired) = &mut self.header.repaired {
            repaired.end = self.offset;
        }
        if let Some(file) = &self.file {
            file.write_all_at(&self.header.encode(), 0)?;
            file.sync_all()?;
        }
        Ok(self.offset)
    }
}

fn random_link() -> io::Result<Link> {
    let mut link = [0; 32];
    getrandom::fill(&mut link)?;
    Ok(link)
}

fn io_error(path: &Path, source: io::Error) -> RepairError {
    RepairError::Io { path: path.to_owned(), source }
}
