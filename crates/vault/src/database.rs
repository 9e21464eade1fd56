//! The database's own file: pages, each sealed in its place.

use std::ops::Range;
use std::sync::Arc;

use rusqlite::ffi;

use crate::below::{Below, Code, Extent};
use crate::failure::{DAMAGED, Failure};
use crate::layout::{
    BODY_BYTES, FRONT_BYTES, HEADER_BYTES, HEADER_START, LOCK_PAGE, MARK, PAGE_BYTES, VACUUM_AT,
};
use crate::seal::{Opener, Seal};

/// Says of sealed bytes that they are a page of a database.
const PAGE: u8 = 1;

/// A page that does not open is read again so often: a checkpoint on another connection may be writing it. SQLite
/// allows this once, when it looks at page 1 to learn that there is a log.
const READS_MAX: u32 = 8;

/// An open database file.
pub(crate) struct DatabaseFile {
    pub(crate) below: Below,
    pub(crate) seal: Arc<Seal>,
    opener: Opener,
    page: Box<[u8; PAGE_BYTES]>,
}

impl DatabaseFile {
    /// Takes a file that was opened, if it is a database sealed under this key.
    pub(crate) fn new(mut below: Below, seal: Arc<Seal>) -> Result<Self, (Below, Code)> {
        let mut front = [0; FRONT_BYTES];
        let failure = match below.read(&mut front, 0) {
            Err(code) => return Err((below, code)),
            Ok(Extent::Short) => Some(Failure::NotSealed),
            Ok(Extent::Whole) => examine(&front, &seal).err(),
        };
        if let Some(failure) = failure {
            seal.failed(failure);
            return Err((below, Code(ffi::SQLITE_NOTADB)));
        }
        let opener = Opener::new(&seal);
        Ok(Self { below, seal, opener, page: Box::new([0; PAGE_BYTES]) })
    }

    /// Reads a page, or what SQLite wants of page 1 before it knows how large a page is.
    pub(crate) fn read(&mut self, bytes: &mut [u8], offset: u64) -> Result<Extent, Code> {
        if let Ok(page) = <&mut [u8; PAGE_BYTES]>::try_from(&mut *bytes)
            && offset.is_multiple_of(PAGE_BYTES as u64)
        {
            return self.read_page(page, offset);
        }
        let wanted = usize::try_from(offset)
            .ok()
            .and_then(|from| Some(from..from.checked_add(bytes.len())?))
            .filter(|wanted| wanted.end <= HEADER_BYTES)
            .ok_or_else(|| self.refuse("reads of parts of pages", ffi::SQLITE_IOERR_READ))?;
        self.peek(bytes, wanted)
    }

    fn read_page(&mut self, page: &mut [u8; PAGE_BYTES], offset: u64) -> Result<Extent, Code> {
        let number = offset / PAGE_BYTES as u64 + 1;
        for _ in 0..READS_MAX {
            let extent = self.below.read(page, offset)?;
            if extent == Extent::Short && offset >= self.below.size()? {
                return Ok(Extent::Short);
            }
            if extent == Extent::Whole && open_page(&self.seal, &mut self.opener, number, page) {
                return Ok(Extent::Whole);
            }
            std::thread::yield_now();
        }
        if number == LOCK_PAGE {
            page.fill(0);
            return Ok(Extent::Whole);
        }
        page.fill(0);
        self.seal.failed(Failure::Page(number));
        Err(Code(DAMAGED))
    }

    /// SQLite looks at the header to learn the size of a page, and at its counter to learn that its cache is old. After
    /// a crash page 1 may be torn while the log has it whole; then SQLite reads it from there. So a page 1 that does not
    /// open is no failure here, and what is told then is what every header of ours says.
    fn peek(&mut self, bytes: &mut [u8], wanted: Range<usize>) -> Result<Extent, Code> {
        let Self { below, seal, opener, page, .. } = self;
        let extent = below.read(&mut **page, 0)?;
        if extent == Extent::Short || !open_page(seal, opener, 1, page) {
            page.fill(0);
            if let Some(start) = page.first_chunk_mut() {
                *start = HEADER_START;
            }
        }
        let part = page.get(wanted).ok_or(Code(ffi::SQLITE_IOERR_READ))?;
        bytes.copy_from_slice(part);
        Ok(Extent::Whole)
    }

    /// Writes a page.
    pub(crate) fn write(&mut self, bytes: &[u8], offset: u64) -> Result<(), Code> {
        let number = offset / PAGE_BYTES as u64 + 1;
        let Some(page) = bytes.as_array().filter(|_| offset.is_multiple_of(PAGE_BYTES as u64))
        else {
            return Err(self.refuse("writes of parts of pages", ffi::SQLITE_IOERR_WRITE));
        };
        let Self { below, seal, page: sealed, .. } = self;
        **sealed = *page;
        match seal_page(seal, number, sealed) {
            Ok(()) => below.write(&**sealed, offset),
            Err(failure) => {
                seal.failed(failure);
                Err(Code(ffi::SQLITE_IOERR_WRITE))
            }
        }
    }

    fn refuse(&self, what: &'static str, code: std::ffi::c_int) -> Code {
        self.seal.failed(Failure::Refused(what));
        Code(code)
    }
}

fn examine(front: &[u8; FRONT_BYTES], seal: &Seal) -> Result<(), Failure> {
    let (mark, check) = front.split_at(MARK.len());
    match (mark.split_last(), MARK.split_last()) {
        (Some((version, name)), Some((known, our_name))) if name == our_name => {
            if version != known {
                return Err(Failure::Format(*version));
            }
        }
        _ => return Err(Failure::NotSealed),
    }
    if check == seal.check() { Ok(()) } else { Err(Failure::OtherKey) }
}

/// Whether SQLite may write this as page 1: only what keeps the database sealed and readable.
pub(crate) fn check_first_page(page: &[u8; PAGE_BYTES]) -> Result<(), Failure> {
    if page.first_chunk() != Some(&HEADER_START) {
        return Err(Failure::Refused("another page size or journal mode"));
    }
    if page.get(VACUUM_AT).is_none_or(|vacuum| vacuum.iter().any(|byte| *byte != 0)) {
        return Err(Failure::Refused("auto-vacuum"));
    }
    Ok(())
}

/// A page as it is stored.
pub(crate) fn sealed_page(
    seal: &Seal,
    number: u64,
    page: &[u8; PAGE_BYTES],
) -> Result<[u8; PAGE_BYTES], Failure> {
    let mut sealed = *page;
    seal_page(seal, number, &mut sealed)?;
    Ok(sealed)
}

fn seal_page(seal: &Seal, number: u64, page: &mut [u8; PAGE_BYTES]) -> Result<(), Failure> {
    if number == 1 {
        check_first_page(page)?;
    }
    let (body, end) = page.split_at_mut(BODY_BYTES);
    let body = if number == 1 {
        let (front, body) = body.split_at_mut(FRONT_BYTES);
        let (mark, check) = front.split_at_mut(MARK.len());
        mark.copy_from_slice(&MARK);
        check.copy_from_slice(seal.check());
        body
    } else {
        body
    };
    end.copy_from_slice(&seal.seal(&place(number), body));
    Ok(())
}

/// Opens a page in place; whether it did. The bytes that SQLite leaves to us become zeros.
fn open_page(seal: &Seal, opener: &mut Opener, number: u64, page: &mut [u8; PAGE_BYTES]) -> bool {
    let (body, end) = page.split_at_mut(BODY_BYTES);
    let Some(trailer) = end.as_array().copied() else { return false };
    end.fill(0);
    if number != 1 {
        return opener.open(seal, &place(number), body, &trailer).is_ok();
    }
    let (front, body) = body.split_at_mut(FRONT_BYTES);
    let same = front.as_array().is_some_and(|front| examine(front, seal).is_ok());
    front.copy_from_slice(&HEADER_START);
    same && opener.open(seal, &place(1), body, &trailer).is_ok()
}

fn place(number: u64) -> [u8; 9] {
    let mut place = [PAGE; 9];
    if let Some(end) = place.last_chunk_mut() {
        *end = number.to_be_bytes();
    }
    place
}

#[cfg(test)]
mod tests {
    use super::{open_page, sealed_page};
    use crate::failure::Failure;
    use crate::key::Key;
    use crate::layout::{BODY_BYTES, PAGE_BYTES, first_page};
    use crate::seal::{Opener, Seal};

    fn opened(seal: &Seal, number: u64, mut page: [u8; PAGE_BYTES]) -> Option<[u8; PAGE_BYTES]> {
        open_page(seal, &mut Opener::new(seal), number, &mut page).then_some(page)
    }

    #[test]
    fn a_page_opens_only_where_it_was_sealed() {
        let seal = Seal::new(&Key::new([1; 32])).expect("randomness");
        let mut plain = [b'x'; PAGE_BYTES];
        let sealed = sealed_page(&seal, 7, &plain).expect("any page");
        assert!(!sealed.windows(3).any(|part| part == b"xxx"));
        plain[BODY_BYTES..].fill(0);
        assert_eq!(opened(&seal, 7, sealed), Some(plain));
        assert_eq!(opened(&seal, 8, sealed), None);
        assert_eq!(opened(&seal, 1, sealed), None);
    }

    #[test]
    fn every_changed_byte_of_a_page_is_noticed() {
        let seal = Seal::new(&Key::new([1; 32])).expect("randomness");
        for number in [1, 2] {
            let sealed = sealed_page(&seal, number, &first_page()).expect("a first page");
            assert_eq!(opened(&seal, number, sealed), Some(first_page()));
            for byte in 0..PAGE_BYTES {
                let mut changed = sealed;
                changed[byte] ^= 1;
                assert_eq!(opened(&seal, number, changed), None, "byte {byte} of page {number}");
            }
        }
    }

    #[test]
    fn page_1_stays_as_it_must_be() {
        let seal = Seal::new(&Key::new([1; 32])).expect("randomness");
        for (byte, reason) in [
            (18, "another page size or journal mode"),
            (20, "another page size or journal mode"),
            (55, "auto-vacuum"),
        ] {
            let mut page = first_page();
            page[byte] ^= 1;
            assert_eq!(sealed_page(&seal, 1, &page), Err(Failure::Refused(reason)));
        }
    }
}
