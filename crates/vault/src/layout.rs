//! Where sealed things stand in the files. Pure.
//!
//! **Database.** Pages have 8192 bytes, of which SQLite leaves the last 40 to us: the tag, the session's salt and
//! the nonce's counter. Of page 1, SQLite peeks at the header before it knows anything, so the first 24 bytes of
//! it are always the same for us ([`HEADER_START`]), and need not be stored: in their place stand a mark and what
//! tells which key it was.
//!
//! **Log.** SQLite's checksums are over pages as it handed them to us, the last 40 bytes too: so these are kept, and
//! a frame is stored with a trailer of its own behind it. SQLite's offsets are translated.

use crate::key::CHECK_BYTES;

/// Bytes of a page.
pub(crate) const PAGE_BYTES: usize = 8192;

/// Bytes at the end of a page that SQLite leaves to us.
pub(crate) const RESERVED_BYTES: usize = TRAILER_BYTES;

/// Tag, salt and counter.
pub(crate) const TRAILER_BYTES: usize = TAG_BYTES + SALT_BYTES + COUNTER_BYTES;
pub(crate) const TAG_BYTES: usize = 16;
pub(crate) const SALT_BYTES: usize = 16;
pub(crate) const COUNTER_BYTES: usize = 8;

/// Bytes of a page that are sealed.
pub(crate) const BODY_BYTES: usize = PAGE_BYTES - RESERVED_BYTES;

/// How a sealed database begins; the last byte is the format's version.
pub(crate) const MARK: [u8; 8] = *b"phvault\x01";

/// The mark and the key's check stand in place of this many bytes of page 1.
pub(crate) const FRONT_BYTES: usize = MARK.len() + CHECK_BYTES;

/// The first bytes of every database, as SQLite sees them ("SQLite Database File Format" §1.3): its name, 8192 bytes
/// a page, read and written in WAL mode, 40 bytes of each page reserved, payload fractions 64, 32, 32.
pub(crate) const HEADER_START: [u8; FRONT_BYTES] =
    *b"SQLite format 3\0\x20\x00\x02\x02\x28\x40\x20\x20";

/// Bytes of the header of a database.
pub(crate) const HEADER_BYTES: usize = 100;

/// Where the header says that the database vacuums itself (§1.3.12). The header is also read where page 1 can't be
/// trusted yet, and SQLite would then believe that it does not: so it never does.
pub(crate) const VACUUM_AT: std::ops::Range<usize> = 52..56;

/// SQLite keeps no page here: at 1 GiB it has its locks ("Database File Format" §1.4).
pub(crate) const LOCK_PAGE: u64 = 0x4000_0000 / PAGE_BYTES as u64 + 1;

/// Page 1 of a database without tables, as SQLite would make it.
pub(crate) fn first_page() -> [u8; PAGE_BYTES] {
    let mut page = [0; PAGE_BYTES];
    let mut put = |at: usize, bytes: &[u8]| {
        if let Some(place) = page.get_mut(at..at.saturating_add(bytes.len())) {
            place.copy_from_slice(bytes);
        }
    };
    put(0, &HEADER_START);
    put(24, &1_u32.to_be_bytes()); // changes
    put(28, &1_u32.to_be_bytes()); // pages
    put(44, &4_u32.to_be_bytes()); // the schema's format
    put(56, &1_u32.to_be_bytes()); // UTF-8
    put(92, &1_u32.to_be_bytes()); // the change for which the number of pages holds
    put(96, &3_054_001_u32.to_be_bytes()); // SQLite's version
    put(HEADER_BYTES, &[0x0d]); // a leaf of a table, without cells
    put(105, &u16::try_from(BODY_BYTES).unwrap_or_default().to_be_bytes()); // cells begin at its end
    page
}

/// Bytes of the log's header, as SQLite sees it.
pub(crate) const LOG_HEADER_BYTES: usize = 32;

/// Bytes of a frame's header.
pub(crate) const FRAME_HEADER_BYTES: usize = 24;

/// Bytes of a frame, as SQLite sees it.
pub(crate) const FRAME_BYTES: usize = FRAME_HEADER_BYTES + PAGE_BYTES;

/// How much of the log was synced, in a frame's trailer.
pub(crate) const SYNCED_BYTES: usize = 4;

/// Bytes of the log's header, as it is stored.
pub(crate) const STORED_LOG_HEADER_BYTES: usize = LOG_HEADER_BYTES + TRAILER_BYTES;

/// Bytes of a frame, as it is stored.
pub(crate) const STORED_FRAME_BYTES: usize = FRAME_BYTES + SYNCED_BYTES + TRAILER_BYTES;

/// A place in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogPlace {
    /// In the header.
    Header(usize),
    /// In a frame, counted from 1, at this of its bytes.
    Frame(u32, usize),
}

/// Which place SQLite means. `None` behind the last frame that can be.
pub(crate) fn log_place(offset: u64) -> Option<LogPlace> {
    let Some(behind) = offset.checked_sub(LOG_HEADER_BYTES as u64) else {
        return usize::try_from(offset).ok().map(LogPlace::Header);
    };
    let frame = u32::try_from(behind / FRAME_BYTES as u64).ok()?.checked_add(1)?;
    let within = usize::try_from(behind % FRAME_BYTES as u64).ok()?;
    Some(LogPlace::Frame(frame, within))
}

/// Where a frame is stored.
pub(crate) fn stored_frame(frame: u32) -> u64 {
    let before = u64::from(frame.saturating_sub(1));
    (STORED_LOG_HEADER_BYTES as u64)
        .saturating_add(before.saturating_mul(STORED_FRAME_BYTES as u64))
}

/// How many bytes SQLite sees of a log that is stored in this many; of a frame that is not whole, none.
pub(crate) fn seen_log_bytes(stored: u64) -> u64 {
    match stored.checked_sub(STORED_LOG_HEADER_BYTES as u64) {
        None => 0,
        Some(frames) => {
            let whole = frames / STORED_FRAME_BYTES as u64;
            (LOG_HEADER_BYTES as u64).saturating_add(whole.saturating_mul(FRAME_BYTES as u64))
        }
    }
}

/// In how many bytes a log is stored that SQLite wants to have this many: it gets whole frames, no more than it asked
/// for.
pub(crate) fn stored_log_bytes(seen: u64) -> u64 {
    match seen.checked_sub(LOG_HEADER_BYTES as u64) {
        None => 0,
        Some(frames) => {
            let whole = frames / FRAME_BYTES as u64;
            (STORED_LOG_HEADER_BYTES as u64)
                .saturating_add(whole.saturating_mul(STORED_FRAME_BYTES as u64))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        FRAME_BYTES, HEADER_START, LogPlace, PAGE_BYTES, RESERVED_BYTES, STORED_FRAME_BYTES,
        first_page, log_place, seen_log_bytes, stored_frame, stored_log_bytes,
    };

    #[test]
    fn the_header_says_what_we_do() {
        assert_eq!(HEADER_START[16..18], u16::try_from(PAGE_BYTES).unwrap().to_be_bytes());
        assert_eq!(usize::from(HEADER_START[20]), RESERVED_BYTES);
        assert_eq!(first_page()[..24], HEADER_START);
    }

    #[test]
    fn places_in_the_log() {
        assert_eq!(log_place(0), Some(LogPlace::Header(0)));
        assert_eq!(log_place(31), Some(LogPlace::Header(31)));
        assert_eq!(log_place(32), Some(LogPlace::Frame(1, 0)));
        assert_eq!(log_place(32 + 8216 + 24), Some(LogPlace::Frame(2, 24)));
        assert_eq!(log_place(u64::MAX), None);
        assert_eq!(stored_frame(1), 72);
        assert_eq!(stored_frame(3), 72 + 2 * STORED_FRAME_BYTES as u64);
    }

    #[test]
    fn sizes_of_the_log() {
        let stored = STORED_FRAME_BYTES as u64;
        let seen = FRAME_BYTES as u64;
        for (given, expected) in [
            (0, 0),
            (71, 0),
            (72, 32),
            (71 + stored, 32),
            (72 + stored, 32 + seen),
            (72 + 9 * stored + 5, 32 + 9 * seen),
        ] {
            assert_eq!(seen_log_bytes(given), expected, "{given}");
        }
        for (given, expected) in [
            (0, 0),
            (31, 0),
            (32, 72),
            (31 + seen, 72),
            (32 + seen, 72 + stored),
            (40 + 9 * seen, 72 + 9 * stored),
        ] {
            assert_eq!(stored_log_bytes(given), expected, "{given}");
        }
    }
}
