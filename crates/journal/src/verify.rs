//! Checking a whole journal while it is not in use.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::{
    Damage, KeyRing, OpenError, Position, TornTail,
    chunk::{CHUNK_HEADER_BYTES, Chunk, ChunkHeader, InvalidHeader},
    examine::{self, Examined, Found, Subject, Unexamined},
    file, recover,
};

/// A report lists no more findings than this; the rest is counted.
const FINDINGS_MAX: usize = 1000;

/// How far a verification or repair is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The chunk at hand, by its first position.
    pub chunk: u64,
    /// Bytes gone over, in all chunks.
    pub bytes: u64,
    /// Bytes to go over.
    pub bytes_total: u64,
}

/// What a verification found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// How many chunks there are.
    pub chunks: u64,
    /// How many records can be read.
    pub records: u64,
    /// The bytes of the chunks' files.
    pub bytes: u64,
    /// The oldest position, unless the journal is empty.
    pub first_position: Option<Position>,
    /// The next position, as far as it can be told.
    pub next_position: Option<Position>,
    /// An interrupted write at the end, which the next opening cuts off. No damage.
    pub torn: Option<TornTail>,
    /// All that is wrong, in order; at most 1000.
    pub findings: Vec<Finding>,
    /// How many findings more there were.
    pub findings_left_out: u64,
}

impl VerifyReport {
    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.findings.is_empty()
    }

    pub(crate) fn add(&mut self, chunk: Position, offset: u64, problem: Problem) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(Finding { chunk: chunk.get(), offset, problem });
        } else {
            self.findings_left_out += 1;
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finding {
    /// In which chunk, by its first position.
    pub chunk: u64,
    /// Where in its file.
    pub offset: u64,
    /// What.
    pub problem: Problem,
}

/// What can be wrong with a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Stored bytes are not what was written.
    #[error(transparent)]
    Damage(Damage),
    /// The chunk is not there, but the next one follows it.
    #[error("the chunk is missing")]
    MissingChunk,
    /// The chunk does not follow from the one before: one of them was altered or replaced.
    #[error("the chunk does not follow from the one before")]
    Unlinked,
}

/// Why a journal can't be verified.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// It can't be had for the purpose: in use, or not legible as a directory.
    #[error("the journal can't be verified")]
    Open(#[source] OpenError),
    /// A chunk can't be read.
    #[error("failed to read `{}`", path.display())]
    Io {
        /// Its file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A newer Pipehat wrote a chunk.
    #[error("chunk {chunk:020} has format version {version}")]
    Version {
        /// The chunk, by its first position.
        chunk: u64,
        /// Its version.
        version: u16,
    },
    /// A chunk is sealed with a key that is not in the key file.
    #[error("the key file has no key {key_id}")]
    MissingKey {
        /// The key's number.
        key_id: u32,
    },
}

/// Reads every byte of the journal in a directory that nobody has open, and reports all that is
/// wrong. Changes nothing.
pub fn verify(
    directory: &Path,
    keys: Option<&KeyRing>,
    progress: &mut dyn FnMut(Progress),
) -> Result<VerifyReport, VerifyError> {
    let _lock = file::lock(directory).map_err(VerifyError::Open)?;
    let mut report = VerifyReport::default();
    go_over(directory, keys, progress, &mut report, &mut |_, _| {})?;
    Ok(report)
}

/// What is to be known of a chunk for its repair.
pub(crate) struct State {
    pub(crate) damaged: bool,
    /// It does not follow from the one before.
    pub(crate) unlinked: bool,
    /// The first position of a chunk that ought to stand before it.
    pub(crate) missing_before: Option<Position>,
}

/// Goes over all chunks, oldest first, and tells what is to be known of each.
pub(crate) fn go_over(
    directory: &Path,
    keys: Option<&KeyRing>,
    progress: &mut dyn FnMut(Progress),
    report: &mut VerifyReport,
    visit: &mut dyn FnMut(&Examined, State),
) -> Result<(), VerifyError> {
    let paths = recover::chunk_paths(directory).map_err(VerifyError::Open)?;
    let mut headers = Vec::with_capacity(paths.len());
    for (first, path) in &paths {
        let io_error = |source| VerifyError::Io { path: path.clone(), source };
        report.bytes += fs::metadata(path).map_err(io_error)?.len();
        let header = recover::read_header(path).map_err(io_error)?;
        if let Err(InvalidHeader::Version(version)) = header {
            return Err(VerifyError::Version { chunk: first.get(), version });
        }
        headers.push(header.ok());
    }
    report.chunks = paths.len() as u64;
    report.first_position = paths.first().map(|(first, _)| *first);
    let bytes_total = report.bytes;
    let mut bytes_before = 0;
    let mut before: Option<Examined> = None;
    for (index, (first, path)) in paths.iter().enumerate() {
        let io_error = |source| VerifyError::Io { path: path.clone(), source };
        let header = headers.get(index).and_then(Option::as_ref);
        let next = headers.get(index + 1).and_then(Option::as_ref);
        let newest = index + 1 == paths.len();
        let end = end(path, *first, header, next, newest, report);
        let length_min = end.unwrap_or_default().max(match header {
            Some(header) if newest => header.capacity,
            _ => 0,
        });
        let subject = Subject { path, first_position: *first, end, length_min };
        let (mut damaged, mut records) = (false, 0);
        let examined = examine::examine(&subject, keys, &mut |found| match found {
            Found::Damage { offset, damage } => {
                damaged = true;
                report.add(*first, offset, Problem::Damage(damage));
            }
            Found::Record(_) => records += 1,
            Found::Bytes(bytes) => {
                let bytes = bytes_before + bytes;
                progress(Progress { chunk: first.get(), bytes, bytes_total });
            }
        });
        let examined = examined.map_err(|error| match error {
            Unexamined::Io(source) => io_error(source),
            Unexamined::Version(version) => VerifyError::Version { chunk: first.get(), version },
            Unexamined::MissingKey { key_id } => VerifyError::MissingKey { key_id },
        })?;
        report.records += records;
        report.next_position = report.next_position.max(Some(examined.next_position));
        let missing_before = before.as_ref().and_then(|before| missing(before, &examined));
        let unlinked = missing_before.is_none()
            && before.as_ref().is_some_and(|before| !is_linked(before, &examined));
        if let Some(missing) = missing_before {
            report.add(missing, 0, Problem::MissingChunk);
        }
        if unlinked {
            report.add(*first, 0, Problem::Unlinked);
        }
        let state = State { damaged: damaged || unlinked, unlinked, missing_before };
        visit(&examined, state);
        bytes_before += fs::metadata(path).map_err(io_error)?.len();
        progress(Progress { chunk: first.get(), bytes: bytes_before, bytes_total });
        before = Some(examined);
    }
    Ok(())
}

/// Where a chunk's groups end, by the next chunk, its own word or its sound tail.
fn end(
    path: &Path,
    first: Position,
    header: Option<&ChunkHeader>,
    next: Option<&ChunkHeader>,
    newest: bool,
    report: &mut VerifyReport,
) -> Option<u64> {
    if let Some(own) = header.and_then(|header| header.repaired.as_ref()) {
        return Some(own.end);
    }
    if newest {
        let chunk = Chunk::new(path.to_owned(), header?.clone(), CHUNK_HEADER_BYTES as u64);
        let tail = recover::tail(&chunk);
        return match tail {
            Ok(tail) => {
                report.torn = tail.torn;
                Some(tail.end)
            }
            Err(_) => None, // found again, and more, by going over the chunk
        };
    }
    let previous = next?.previous.as_ref()?;
    (previous.first_position == first).then_some(previous.end)
}

/// The first position of a chunk that ought to stand between the two.
fn missing(before: &Examined, examined: &Examined) -> Option<Position> {
    let previous = examined.chunk.header.previous.as_ref()?;
    let between = before.chunk.first_position().next()..examined.chunk.first_position();
    between.contains(&previous.first_position).then_some(previous.first_position)
}

fn is_linked(before: &Examined, examined: &Examined) -> bool {
    if !examined.header_is_whole {
        return true; // reported as the header's damage
    }
    let previous = examined.chunk.header.previous.as_ref();
    let named = previous.filter(|named| named.first_position == before.chunk.first_position());
    let Some(previous) = named else { return false };
    if !before.header_is_whole {
        return true; // reported as the header's damage
    }
    let own = before.chunk.header.repaired.as_ref().map(|own| own.link);
    let Some(link) = own.or(before.link) else {
        return true; // reported as the last group's damage
    };
    previous.link == link
}
