//! Where one part ends and the next begins, for input that may not all be there yet.

use memchr::memchr2;

use crate::batch::BatchPartKind;
use crate::parse;

/// How many bytes of framing, blanks or byte order mark may stand before a segment's name on its line. It bounds how
/// much of a line must be there before it is known what the line is.
pub(super) const LEADING_BYTES_MAX: usize = 16;
/// The name and the byte after it.
const NAME_BYTES: usize = 4;

/// Whether more bytes may follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Input {
    Open,
    Complete,
}

/// One part found: the first `end` of the bytes given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cut {
    pub(super) kind: BatchPartKind,
    pub(super) end: usize,
    pub(super) is_last: bool,
}

/// The state of the search for the end of one part. Positions count from where that part begins.
#[derive(Debug, Clone, Default)]
pub(super) struct Scan {
    /// What the part is; `None` while only blank lines have been seen.
    kind: Option<BatchPartKind>,
    /// Where the line begins that is looked at.
    line: usize,
    /// Whether it is known that this line belongs to the part.
    belongs: bool,
    /// Up to where no line end was found.
    searched: usize,
}

/// What a line is, as far as its beginning tells.
enum LineStart {
    Begins(BatchPartKind),
    Blank,
    Other,
    /// More bytes are needed.
    Open,
}

impl Scan {
    /// Finds the end of the part that begins where `bytes` begin; the next call expects the bytes from there on.
    ///
    /// With [`Input::Open`], `None` asks for more bytes after the same ones.
    pub(super) fn next_cut(&mut self, bytes: &[u8], input: Input) -> Option<Cut> {
        loop {
            if !self.belongs {
                let rest = bytes.get(self.line..).unwrap_or_default();
                let next = match line_start(rest, input) {
                    LineStart::Open => return None,
                    LineStart::Blank => None,
                    LineStart::Begins(kind) => Some(kind),
                    LineStart::Other => match self.kind {
                        None | Some(BatchPartKind::BatchTrailer | BatchPartKind::FileTrailer) => {
                            Some(BatchPartKind::Stray)
                        }
                        Some(_) => None,
                    },
                };
                self.belongs = true;
                if let Some(next) = next
                    && let Some(kind) = self.kind.replace(next)
                {
                    let end = std::mem::take(&mut self.line);
                    self.searched = 0;
                    return Some(Cut { kind, end, is_last: false });
                }
            }
            self.searched = self.searched.max(self.line);
            let rest = bytes.get(self.searched..).unwrap_or_default();
            if let Some(at) = memchr2(b'\r', b'\n', rest) {
                self.line = self.searched.saturating_add(at).saturating_add(1);
                self.belongs = false;
                if self.line < bytes.len() || input == Input::Open {
                    continue;
                }
            }
            self.searched = bytes.len();
            if input == Input::Open || bytes.is_empty() {
                return None;
            }
            let kind = self.kind.take()?;
            return Some(Cut { kind, end: bytes.len(), is_last: true });
        }
    }

    /// How many of the bytes given so far belong to the part for certain.
    pub(super) fn certain(&self, bytes: &[u8]) -> usize {
        if self.belongs { bytes.len() } else { self.line }
    }
}

fn line_start(rest: &[u8], input: Input) -> LineStart {
    let most = LEADING_BYTES_MAX + NAME_BYTES;
    let window = rest.get(..most).unwrap_or(rest);
    let end = memchr2(b'\r', b'\n', window);
    let line = window.get(..end.unwrap_or(window.len())).unwrap_or_default();
    let line = line.get(parse::skip_leading(line)..).unwrap_or_default();
    // A full window decides alike whether or not more bytes follow.
    let all_there = end.is_some() || (input == Input::Complete && window.len() < most);
    if line.len() < NAME_BYTES && !all_there {
        // Too much before it: no name is looked for behind.
        return if window.len() == most { LineStart::Other } else { LineStart::Open };
    }
    let Some((name, after)) = line.split_first_chunk::<3>() else {
        return if line.is_empty() { LineStart::Blank } else { LineStart::Other };
    };
    if !after.first().is_none_or(|&byte| parse::is_legal(byte)) {
        return LineStart::Other;
    }
    match name {
        b"FHS" => LineStart::Begins(BatchPartKind::FileHeader),
        b"BHS" => LineStart::Begins(BatchPartKind::BatchHeader),
        b"MSH" => LineStart::Begins(BatchPartKind::Message),
        b"BTS" => LineStart::Begins(BatchPartKind::BatchTrailer),
        b"FTS" => LineStart::Begins(BatchPartKind::FileTrailer),
        _ => LineStart::Other,
    }
}
