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
    let mut start = 0;
    let mut passed = 0;
    let mut delimiters = memchr_iter(delimiter, bytes);
    while passed < index {
        let Some(at) = delimiters.next() else { return Place::Missing(index - passed) };
        start = at + 1;
        passed += 1;
    }
    Place::Found(start..delimiters.next().unwrap_or(bytes.len()))
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
        for line in [b"".as_slice(), b"a", b"|", b"a|", b"|a", b"a||b|", b"||||"] {
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
