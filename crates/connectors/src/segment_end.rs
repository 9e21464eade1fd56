//! Ends of segments as they are sent. HL7's own is CR (HL7 v2.5.1 §2.5.2); consumers of files often
//! want another, and senders of files often wrote another.

use bytes::{Bytes, BytesMut};
use memchr::memchr2;

/// What ends a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SegmentEnd {
    /// What the message has.
    Keep,
    /// Carriage return.
    Cr,
    /// Line feed.
    Lf,
    /// Both.
    CrLf,
}

impl SegmentEnd {
    fn bytes(self) -> &'static [u8] {
        match self {
            Self::Keep | Self::Cr => b"\r",
            Self::Lf => b"\n",
            Self::CrLf => b"\r\n",
        }
    }

    /// The message with these ends.
    pub(crate) fn apply(self, message: &Bytes) -> Bytes {
        if self == Self::Keep {
            return message.clone();
        }
        let mut changed = BytesMut::with_capacity(message.len());
        let mut rest = message.as_ref();
        while let Some(at) = memchr2(b'\r', b'\n', rest) {
            let (segment, end) = rest.split_at(at);
            changed.extend_from_slice(segment);
            changed.extend_from_slice(self.bytes());
            rest = end.strip_prefix(b"\r\n").or_else(|| end.get(1..)).unwrap_or_default();
        }
        changed.extend_from_slice(rest);
        changed.freeze()
    }

    /// The same message, with an end of its last segment if it has none: another message follows.
    pub(crate) fn terminated(self, message: Bytes) -> Bytes {
        if message.ends_with(b"\r") || message.ends_with(b"\n") {
            return message;
        }
        let mut message = BytesMut::from(message.as_ref());
        message.extend_from_slice(self.bytes());
        message.freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(end: SegmentEnd, message: &'static str, expected: &str) {
        assert_eq!(end.apply(&Bytes::from(message)), expected, "{end:?}");
    }

    #[test]
    fn ends_are_replaced_one_for_one() {
        const MIXED: &str = "MSH|\rPID|\nPV1|\r\n\rOBX|";
        check(SegmentEnd::Keep, MIXED, MIXED);
        check(SegmentEnd::Cr, MIXED, "MSH|\rPID|\rPV1|\r\rOBX|");
        check(SegmentEnd::Lf, MIXED, "MSH|\nPID|\nPV1|\n\nOBX|");
        check(SegmentEnd::CrLf, MIXED, "MSH|\r\nPID|\r\nPV1|\r\n\r\nOBX|");
    }

    #[test]
    fn a_missing_last_end_is_added_once() {
        for (end, expected) in [(SegmentEnd::Keep, "MSH|\r"), (SegmentEnd::CrLf, "MSH|\r\n")] {
            let once = end.terminated(Bytes::from_static(b"MSH|"));
            assert_eq!(once, expected);
            assert_eq!(end.terminated(once.clone()), once);
        }
    }
}
