//! The log: SQLite's WAL, each frame sealed with its header authenticated.
//!
//! A header is stored as SQLite writes it, with a trailer that authenticates it. A frame is stored as its header, the
//! sealed page, how much of the log was synced by then, and the trailer, which authenticates all of these.
//!
//! **Torn ends.** After a crash the log ends in frames that were never synced; SQLite finds the first whose checksum
//! is wrong and forgets it and all behind it. Were a frame changed that had been synced, SQLite would forget what was
//! committed, and say nothing. So a frame that does not open is given to SQLite as one to stop at only if no later
//! frame of the log says that it had been synced. The last synced transaction has no later frame: a change there looks
//! as a torn end does, and the database is as it was before that transaction.
//!
//! **Writing.** Frames that follow each other are written together, at the latest with the one that commits: until then
//! nobody but this connection looks at them, and it finds them written whenever it reads. What was rolled back may wait
//! still when somebody else writes at its place; it is dropped then: the right to write was given away since.

use std::ffi::c_int;
use std::sync::Arc;

use rusqlite::ffi;

use crate::below::{Below, Code, Extent};
use crate::database::check_first_page;
use crate::failure::{DAMAGED, Failure};
use crate::layout::{
    FRAME_BYTES, FRAME_HEADER_BYTES, LOG_HEADER_BYTES, LogPlace, PAGE_BYTES, STORED_FRAME_BYTES,
    STORED_LOG_HEADER_BYTES, SYNCED_BYTES, TRAILER_BYTES, log_place, seen_log_bytes, stored_frame,
    stored_log_bytes,
};
use crate::seal::{Opener, Seal};

/// Say of sealed bytes that they are a frame, or the header, of a log.
const FRAME: u8 = 2;
const HEADER: u8 = 3;

/// As many bytes of frames are written together; SQLite's own file system takes 131,071 at once.
const WAITING_BYTES_MAX: usize = 15 * STORED_FRAME_BYTES;

const _: () = assert!(WAITING_BYTES_MAX < 1 << 17);

type FrameHeader = [u8; FRAME_HEADER_BYTES];

/// SQLite draws these anew when it begins the log again; frames with others are of before.
type Generation = [u8; 8];

/// An open log.
pub(crate) struct LogFile {
    pub(crate) below: Below,
    seal: Arc<Seal>,
    opener: Opener,
    stored: Box<[u8; STORED_FRAME_BYTES]>,
    /// SQLite writes a frame's header and then its page; both are written at once.
    pending: Option<(u32, FrameHeader)>,
    /// Sealed frames that wait to be written, the first of which has this number.
    waiting: Vec<u8>,
    first: u32,
    /// In whose turn to write they came.
    turn: u64,
    progress: Progress,
}

/// What this connection knows of the log it writes.
#[derive(Debug, Default, Clone, Copy)]
struct Progress {
    generation: Generation,
    /// The frame written last.
    written: u32,
    /// 0: nothing is known to be synced; 1: the header is; n + 1: so are the first n frames.
    synced: u32,
}

impl LogFile {
    pub(crate) fn new(below: Below, seal: Arc<Seal>) -> Self {
        let opener = Opener::new(&seal);
        let stored = Box::new([0; STORED_FRAME_BYTES]);
        let progress = Progress::default();
        Self {
            below,
            seal,
            opener,
            stored,
            pending: None,
            waiting: Vec::new(),
            first: 0,
            turn: 0,
            progress,
        }
    }

    pub(crate) fn read(&mut self, bytes: &mut [u8], offset: u64) -> Result<Extent, Code> {
        self.flush()?;
        match log_place(offset) {
            Some(LogPlace::Header(from)) => self.read_header(bytes, from),
            Some(LogPlace::Frame(number, from)) => self.read_frame(bytes, number, from),
            None => Err(self.refuse("reads behind any log", ffi::SQLITE_IOERR_READ)),
        }
    }

    fn read_header(&mut self, bytes: &mut [u8], from: usize) -> Result<Extent, Code> {
        let mut stored = [0; STORED_LOG_HEADER_BYTES];
        let extent = self.below.read(&mut stored, 0)?;
        let (header, trailer) = stored.split_at(LOG_HEADER_BYTES);
        let place = header_place(header);
        let opens = extent == Extent::Whole
            && trailer.as_array().is_some_and(|trailer| {
                self.opener.open(&self.seal, &place, &mut [], trailer).is_ok()
            });
        if !opens {
            // One that was never synced has no frames that say it was.
            if self.is_synced(None, 0)? {
                self.seal.failed(Failure::LogHeader);
                return Err(Code(DAMAGED));
            }
            // SQLite takes zeros for a log that is empty.
            bytes.fill(0);
            return Ok(extent);
        }
        if let (0, Some(generation)) = (from, header.as_array().and_then(generation_of)) {
            // Recovery begins so. What this connection wrote before is to be found as all else is.
            self.progress.written = 0;
            if self.progress.generation != generation {
                self.progress = Progress { generation, ..Progress::default() };
            }
        }
        let part = from
            .checked_add(bytes.len())
            .and_then(|end| header.get(from..end))
            .ok_or_else(|| self.refuse("reads across the log's header", ffi::SQLITE_IOERR_READ))?;
        bytes.copy_from_slice(part);
        Ok(Extent::Whole)
    }

    fn read_frame(&mut self, bytes: &mut [u8], number: u32, from: usize) -> Result<Extent, Code> {
        let Some(end) = from.checked_add(bytes.len()).filter(|end| *end <= FRAME_BYTES) else {
            return Err(self.refuse("reads across frames of the log", ffi::SQLITE_IOERR_READ));
        };
        match self.open_frame(number)? {
            Opened::Missing => {
                bytes.fill(0);
                Ok(Extent::Short)
            }
            Opened::Frame(_) => {
                let part = self.stored.get(from..end).ok_or(Code(ffi::SQLITE_IOERR_READ))?;
                bytes.copy_from_slice(part);
                Ok(Extent::Whole)
            }
            Opened::Changed => {
                // Only recovery and the rewriting of checksums read whole frames; the latter of what it wrote.
                let recovers = bytes.len() == FRAME_BYTES && number > self.progress.written;
                let generation = self.generation()?;
                if recovers && !self.is_synced(generation, number)? {
                    // A frame of page 0 is where SQLite stops.
                    bytes.fill(0);
                    return Ok(Extent::Whole);
                }
                self.seal.failed(Failure::LogFrame(number));
                Err(Code(DAMAGED))
            }
        }
    }

    /// Reads and opens a frame into `stored`.
    fn open_frame(&mut self, number: u32) -> Result<Opened, Code> {
        if self.below.read(&mut *self.stored, stored_frame(number))? == Extent::Short {
            return Ok(Opened::Missing);
        }
        Ok(self.open_stored(number))
    }

    fn open_stored(&mut self, number: u32) -> Opened {
        let Self { stored, opener, seal, .. } = self;
        let (header, rest) = stored.split_at_mut(FRAME_HEADER_BYTES);
        let (page, rest) = rest.split_at_mut(PAGE_BYTES);
        let (synced, trailer) = rest.split_at(SYNCED_BYTES);
        let (Some(header), Some(synced), Some(trailer)) =
            (header.as_array(), synced.as_array(), trailer.as_array())
        else {
            return Opened::Changed;
        };
        match opener.open(seal, &frame_place(number, header, *synced), page, trailer) {
            Ok(()) => Opened::Frame(u32::from_be_bytes(*synced)),
            Err(_) => Opened::Changed,
        }
    }

    /// Whether a frame of this generation, or of any, says that the log was synced up to this frame (the header is
    /// frame 0). Looks through the whole log: only where something does not open.
    fn is_synced(&mut self, generation: Option<Generation>, number: u32) -> Result<bool, Code> {
        let mut later = number;
        loop {
            later = later.saturating_add(1);
            match self.open_frame(later)? {
                Opened::Missing => return Ok(false),
                Opened::Changed => {}
                Opened::Frame(synced) => {
                    let of = self.stored.get(8..16).and_then(|of| of.as_array()).copied();
                    if synced > number && (generation.is_none() || of == generation) {
                        return Ok(true);
                    }
                }
            }
        }
    }

    /// The generation that the header begins.
    fn generation(&mut self) -> Result<Option<Generation>, Code> {
        let mut header = [0; LOG_HEADER_BYTES];
        let extent = self.below.read(&mut header, 0)?;
        Ok(generation_of(&header).filter(|_| extent == Extent::Whole))
    }

    pub(crate) fn write(&mut self, bytes: &[u8], offset: u64) -> Result<(), Code> {
        match log_place(offset) {
            Some(LogPlace::Header(0)) => {
                if let Some(header) = bytes.as_array() {
                    self.flush()?;
                    return self.write_header(header);
                }
            }
            Some(LogPlace::Frame(number, 0)) => {
                if let Some(header) = bytes.as_array() {
                    if self.pending.is_some() {
                        self.flush()?;
                    }
                    return self.write_frame_header(number, *header);
                }
            }
            Some(LogPlace::Frame(number, FRAME_HEADER_BYTES)) => {
                if let Some(page) = bytes.as_array() {
                    return self.write_page(number, page);
                }
            }
            _ => {}
        }
        Err(self.refuse("writes of parts of frames", ffi::SQLITE_IOERR_WRITE))
    }

    fn write_header(&mut self, header: &[u8; LOG_HEADER_BYTES]) -> Result<(), Code> {
        let mut stored = [0; STORED_LOG_HEADER_BYTES];
        let (start, end) = stored.split_at_mut(LOG_HEADER_BYTES);
        start.copy_from_slice(header);
        end.copy_from_slice(&self.seal.seal(&header_place(header), &mut []));
        self.progress = Progress {
            generation: generation_of(header).unwrap_or_default(),
            written: 0,
            synced: 0,
        };
        self.below.write(&stored, 0)
    }

    fn write_frame_header(&mut self, number: u32, header: FrameHeader) -> Result<(), Code> {
        let generation = frame_generation(&header);
        // Checksums that will be corrected are not computed before, and the salts beside them not written.
        if generation != Generation::default() && self.progress.generation != generation {
            // Another connection has begun the log again.
            self.progress = Progress { generation, ..Progress::default() };
        }
        if number <= self.progress.written && self.opens_again(number)? {
            // SQLite corrects the checksums of a transaction's frames when it wrote one of them twice. (Or begins
            // again after a rollback; then the page follows.)
            return self.seal_stored(number, &header);
        }
        self.pending = Some((number, header));
        Ok(())
    }

    /// Reads and opens a frame that this connection wrote before.
    fn opens_again(&mut self, number: u32) -> Result<bool, Code> {
        self.flush()?;
        Ok(matches!(self.open_frame(number)?, Opened::Frame(_)))
    }

    fn write_page(&mut self, number: u32, page: &[u8; PAGE_BYTES]) -> Result<(), Code> {
        let header = match self.pending.take() {
            Some((of, header)) if of == number => {
                self.progress.written = number;
                header
            }
            other => {
                self.pending = other;
                self.flush()?;
                // A page is written again before its transaction ends; checksums follow.
                let mut header = FrameHeader::default();
                if self.below.read(&mut header, stored_frame(number))? == Extent::Short {
                    return Err(Code(ffi::SQLITE_IOERR_WRITE));
                }
                header
            }
        };
        if header.first_chunk() == Some(&1_u32.to_be_bytes())
            && let Err(failure) = check_first_page(page)
        {
            self.seal.failed(failure);
            return Err(Code(ffi::SQLITE_IOERR_WRITE));
        }
        if let Some(place) = self.stored.get_mut(FRAME_HEADER_BYTES..FRAME_BYTES) {
            place.copy_from_slice(page);
        }
        self.progress.synced = self.progress.synced.min(number);
        self.seal_stored(number, &header)
    }

    /// Seals the page in `stored` under this header, and writes the frame.
    fn seal_stored(&mut self, number: u32, header: &FrameHeader) -> Result<(), Code> {
        let Self { stored, seal, progress, .. } = self;
        let synced = progress.synced.min(number).to_be_bytes();
        let (start, rest) = stored.split_at_mut(FRAME_HEADER_BYTES);
        let (page, rest) = rest.split_at_mut(PAGE_BYTES);
        let (middle, end) = rest.split_at_mut(SYNCED_BYTES);
        start.copy_from_slice(header);
        middle.copy_from_slice(&synced);
        end.copy_from_slice(&seal.seal(&frame_place(number, header, synced), page));
        let commits = header.get(4..8).is_none_or(|pages| pages != [0; 4]);
        let count = self.waiting.len() / STORED_FRAME_BYTES;
        let next = u32::try_from(count).ok().and_then(|count| self.first.checked_add(count));
        if next != Some(number) || self.turn != self.seal.turn() {
            self.write_waiting()?;
        }
        if self.waiting.is_empty() {
            (self.first, self.turn) = (number, self.seal.turn());
        }
        self.waiting.extend_from_slice(&*self.stored);
        if commits || self.waiting.len() >= WAITING_BYTES_MAX {
            self.write_waiting()?;
        }
        Ok(())
    }

    fn write_waiting(&mut self) -> Result<(), Code> {
        let written = match self.waiting.is_empty() || self.turn != self.seal.turn() {
            true => Ok(()),
            false => self.below.write(&self.waiting, stored_frame(self.first)),
        };
        // Where that failed, SQLite rolls back and writes other frames there.
        self.waiting.clear();
        written
    }

    /// Writes what waits, and a header whose page did not follow.
    fn flush(&mut self) -> Result<(), Code> {
        self.write_waiting()?;
        match self.pending.take() {
            None => Ok(()),
            Some((number, header)) => self.below.write(&header, stored_frame(number)),
        }
    }

    pub(crate) fn truncate(&mut self, bytes: u64) -> Result<(), Code> {
        self.flush()?;
        if bytes < LOG_HEADER_BYTES as u64 {
            self.progress = Progress::default();
        }
        self.below.truncate(stored_log_bytes(bytes))
    }

    pub(crate) fn size(&mut self) -> Result<u64, Code> {
        self.flush()?;
        self.below.size().map(seen_log_bytes)
    }

    pub(crate) fn sync(&mut self, flags: c_int) -> Result<(), Code> {
        self.flush()?;
        self.below.sync(flags)?;
        if self.progress.generation != Generation::default() {
            self.progress.synced = self.progress.written.saturating_add(1);
        }
        Ok(())
    }

    pub(crate) fn close(&mut self) -> Result<(), Code> {
        let flushed = self.flush();
        self.below.close().and(flushed)
    }

    fn refuse(&self, what: &'static str, code: c_int) -> Code {
        self.seal.failed(Failure::Refused(what));
        Code(code)
    }
}

enum Opened {
    /// The frame was opened in place; so much was synced when it was written.
    Frame(u32),
    Changed,
    /// The log ends before it.
    Missing,
}

fn generation_of(header: &[u8; LOG_HEADER_BYTES]) -> Option<Generation> {
    header.get(16..24).and_then(|salts| salts.as_array()).copied()
}

fn frame_generation(header: &FrameHeader) -> Generation {
    header.get(8..16).and_then(|salts| salts.as_array()).copied().unwrap_or_default()
}

fn header_place(header: &[u8]) -> [u8; 1 + LOG_HEADER_BYTES] {
    let mut place = [HEADER; 1 + LOG_HEADER_BYTES];
    for (to, from) in place.iter_mut().skip(1).zip(header) {
        *to = *from;
    }
    place
}

const FRAME_PLACE_BYTES: usize = 1 + 4 + FRAME_HEADER_BYTES + SYNCED_BYTES;

fn frame_place(
    number: u32,
    header: &FrameHeader,
    synced: [u8; SYNCED_BYTES],
) -> [u8; FRAME_PLACE_BYTES] {
    let mut place = [FRAME; FRAME_PLACE_BYTES];
    let parts = number.to_be_bytes().into_iter().chain(*header).chain(synced);
    for (to, from) in place.iter_mut().skip(1).zip(parts) {
        *to = from;
    }
    place
}

const _: () = assert!(STORED_FRAME_BYTES == FRAME_BYTES + SYNCED_BYTES + TRAILER_BYTES);
