//! Finding the nth of the parts that a delimiter separates: the one scan that reading and editing share.

use std::ops::Range;

use memchr::{memchr, memchr_iter};

use crate::segment::SegmentName;

/// Where part `index` (from 0) stands, or how many delimiters are missing before it would exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    Found(Range<usize>),
    Missing(usize),
}

/// Finds part `index` (from 0) of `bytes`.
pub(crate) fn place(bytes: &[u8], delimiter: u8, index: usize) -> Place {
    let start = match index.checked_sub(1).map(|skipped| find(bytes, delimiter, skipped)) {
        None => 0,
        Some(Ok(at)) => at + 1,
        Some(Err(count)) => return Place::Missing(index - count),
    };
    let length = memchr(delimiter, bytes.get(start..).unwrap_or_default());
    Place::Found(start..length.map_or(bytes.len(), |length| start + length))
}

/// Where the delimiter stands that `skipped` others precede, or how many there are.
///
/// Delimiters stand close together, so eight bytes are looked at in one step, which counts those in them; a call per
/// delimiter would cost several times as much. Only long values are searched through faster.
fn find(bytes: &[u8], delimiter: u8, skipped: usize) -> Result<usize, usize> {
    const LONG_VALUE_WORDS: u32 = 32;
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const LOW_BITS: u64 = ONES * 0x7F;
    let pattern = ONES * u64::from(delimiter);
    let mut left = skipped as u64;
    let mut without = 0;
    let mut offset = 0;
    while let Some((word, _)) = bytes.get(offset..).and_then(|rest| rest.split_first_chunk::<8>()) {
        let differing = u64::from_le_bytes(*word) ^ pattern;
        // The high bit of each byte that equals the delimiter: no carry crosses from one byte to the next.
        let mut hits = !(((differing & LOW_BITS) + LOW_BITS) | differing | LOW_BITS);
        let count = (hits >> 7).wrapping_mul(ONES) >> 56;
        if left < count {
            for _ in 0..left {
                hits &= hits - 1;
            }
            return Ok(offset + (hits.trailing_zeros() / 8) as usize);
        }
        left -= count;
        offset += 8;
        without = if count == 0 { without + 1 } else { 0 };
        if without == LONG_VALUE_WORDS {
            without = 0;
            let rest = bytes.get(offset..).unwrap_or_default();
            offset += memchr(delimiter, rest).unwrap_or(rest.len());
        }
    }
    for (at, _) in bytes.iter().enumerate().skip(offset).filter(|(_, byte)| **byte == delimiter) {
        if left == 0 {
            return Ok(at);
        }
        left -= 1;
    }
    Err(skipped - left as usize)
}

/// The bytes of part `index` (from 0).
pub(crate) fn nth(bytes: &[u8], delimiter: u8, index: usize) -> Option<&[u8]> {
    match place(bytes, delimiter, index) {
        Place::Found(span) => bytes.get(span),
        Place::Missing(_) => None,
    }
}

/// How many parts there are; one more than delimiters.
pub(crate) fn count(bytes: &[u8], delimiter: u8) -> usize {
    memchr_iter(delimiter, bytes).count() + 1
}

/// The last part.
pub(crate) fn last(bytes: &[u8], delimiter: u8) -> Range<usize> {
    memchr::memrchr(delimiter, bytes).map_or(0, |at| at + 1)..bytes.len()
}

/// All parts, the first and last included even when empty.
pub(crate) fn split<'m>(
    bytes: &'m [u8],
    delimiter: u8,
) -> impl Iterator<Item = &'m [u8]> + use<'m> {
    let mut rest = Some(bytes);
    std::iter::from_fn(move || {
        let bytes = rest?;
        let Some((part, after)) =
            memchr(delimiter, bytes).and_then(|at| bytes.split_at_checked(at))
        else {
            rest = None;
            return Some(bytes);
        };
        rest = after.get(1..);
        Some(part)
    })
}

/// The number of [`place`] parts before field 1: header segments have one less, for MSH-1 is the separator itself.
pub(crate) fn field_index(name: Option<SegmentName>, position: usize) -> Option<usize> {
    if name.is_some_and(SegmentName::declares_delimiters) {
        // MSH-1 is not between two separators; it is found by `field`.
        position.checked_sub(1).filter(|&index| index > 0)
    } else {
        Some(position).filter(|&index| index > 0)
    }
}

/// The span of field `position` (from 1) within a segment's line.
pub(crate) fn field(
    line: &[u8],
    name: Option<SegmentName>,
    separator: u8,
    position: usize,
) -> Option<Range<usize>> {
    let Some(index) = field_index(name, position) else {
        let is_separator = position == 1 && line.len() > 3;
        return is_separator.then_some(3..4);
    };
    match place(line, separator, index) {
        Place::Found(span) => Some(span),
        Place::Missing(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_found_where_splitting_puts_them() {
        let long = [b"a|b".as_slice(), &[b'x'; 700], b"|c||\x80\xFC{}", &[b'|'; 30], b"d"].concat();
        let short: [&[u8]; 7] = [b"", b"a", b"|", b"a|", b"|a", b"a||b|", b"||||"];
        for line in short.into_iter().chain((0..20).filter_map(|skip| long.get(skip..))) {
            let expected: Vec<&[u8]> = line.split(|&byte| byte == b'|').collect();
            assert_eq!(split(line, b'|').collect::<Vec<_>>(), expected);
            assert_eq!(count(line, b'|'), expected.len());
            assert_eq!(line.get(last(line, b'|')), expected.last().copied());
            for (index, part) in expected.iter().enumerate() {
                assert_eq!(nth(line, b'|', index), Some(*part));
            }
            for beyond in 0..3 {
                assert_eq!(place(line, b'|', expected.len() + beyond), Place::Missing(beyond + 1));
            }
        }
    }

    #[test]
    fn field_positions_depend_on_the_header() {
        let pid = SegmentName::new(*b"PID");
        let msh = Some(SegmentName::MSH);
        assert_eq!(field(b"PID|1|2", pid, b'|', 2), Some(6..7));
        assert_eq!(field(b"MSH|^~\\&|2", msh, b'|', 1), Some(3..4));
        assert_eq!(field(b"MSH|^~\\&|2", msh, b'|', 2), Some(4..8));
        assert_eq!(field(b"MSH|^~\\&|2", msh, b'|', 3), Some(9..10));
        assert_eq!(field(b"MSH|^~\\&|2", msh, b'|', 4), None);
        assert_eq!(field(b"MSH", msh, b'|', 1), None);
        assert_eq!(field(b"PID|1", pid, b'|', 0), None);
    }
}
