//! The definitions' file, which lies in the binary, and how a row of it is read.

use crate::layout::{NO_TEXT, Section};

static BYTES: &[u8] = include_bytes!("definitions.bin");

/// A row of a section. Reading it costs a few loads; nothing is built, checked or allocated.
#[derive(Clone, Copy)]
pub(crate) struct Row(&'static [u8]);

/// Some rows of a section, one after another.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Rows {
    pub(crate) first: u32,
    pub(crate) count: u32,
}

impl Rows {
    /// The place of the row at this index, if there are so many.
    #[inline]
    pub(crate) fn at(self, index: usize) -> Option<u32> {
        let index = u32::try_from(index).ok()?;
        (index < self.count).then_some(self.first + index)
    }

    pub(crate) fn iter(self) -> std::ops::Range<u32> {
        self.first..self.first + self.count
    }

    /// The row that `order` calls equal; rows are sorted by it.
    #[inline]
    pub(crate) fn find(self, order: impl Fn(u32) -> std::cmp::Ordering) -> Option<u32> {
        let (mut low, mut high) = (self.first, self.first + self.count);
        while low < high {
            let middle = low + (high - low) / 2;
            match order(middle) {
                std::cmp::Ordering::Equal => return Some(middle),
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }
}

#[inline]
fn read<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).copied().unwrap_or([0; N])
}

/// Where a section begins.
#[inline]
fn begin(section: Section) -> usize {
    u32::from_le_bytes(read(BYTES, section.entry())) as usize
}

/// All rows of a section.
#[inline]
pub(crate) fn rows(section: Section) -> Rows {
    Rows { first: 0, count: u32::from_le_bytes(read(BYTES, section.entry() + 4)) }
}

/// One row of a section.
#[inline]
pub(crate) fn row(section: Section, at: u32) -> Row {
    Row(BYTES.get(begin(section) + at as usize * section.row_bytes()..).unwrap_or_default())
}

/// A text, by its offset.
#[inline]
pub(crate) fn text(offset: u32) -> &'static str {
    let bytes = text_bytes(offset);
    std::str::from_utf8(bytes).unwrap_or_default()
}

/// A text's bytes, by its offset.
#[inline]
pub(crate) fn text_bytes(offset: u32) -> &'static [u8] {
    if offset == NO_TEXT {
        return &[];
    }
    let at = begin(Section::Texts) + offset as usize;
    let length = usize::from(u16::from_le_bytes(read(BYTES, at)));
    BYTES.get(at + 2..at + 2 + length).unwrap_or_default()
}

impl Row {
    #[inline]
    pub(crate) fn u8(self, at: usize) -> u8 {
        self.0.get(at).copied().unwrap_or_default()
    }

    #[inline]
    pub(crate) fn u16(self, at: usize) -> u16 {
        u16::from_le_bytes(read(self.0, at))
    }

    #[inline]
    pub(crate) fn u32(self, at: usize) -> u32 {
        u32::from_le_bytes(read(self.0, at))
    }

    #[inline]
    pub(crate) fn name(self, at: usize) -> [u8; 3] {
        read(self.0, at)
    }

    #[inline]
    pub(crate) fn text(self, at: usize) -> &'static str {
        text(self.u32(at))
    }

    /// A run of rows: its first and its count.
    #[inline]
    pub(crate) fn run(self, at: usize) -> Rows {
        Rows { first: self.u32(at), count: self.u32(at + 4) }
    }
}
