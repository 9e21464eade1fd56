//! Which bytes of a message have been taken over.

/// A bit for each byte of a message: set at the first byte of what was taken, or for a whole range.
pub(crate) struct Consumed {
    base: usize,
    length: usize,
    words: Vec<u64>,
}

impl Consumed {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let words = vec![0; bytes.len() / 64 + 1];
        Self { base: bytes.as_ptr() as usize, length: bytes.len(), words }
    }

    fn offset(&self, part: &[u8]) -> Option<usize> {
        let offset = (part.as_ptr() as usize).checked_sub(self.base)?;
        (offset < self.length).then_some(offset)
    }

    /// Takes one value.
    pub(crate) fn take(&mut self, part: &[u8]) {
        if let Some(offset) = self.offset(part)
            && let Some(word) = self.words.get_mut(offset / 64)
        {
            *word |= 1 << (offset % 64);
        }
    }

    /// Gives back all values within, which are told nowhere after all.
    #[cold]
    pub(crate) fn give_back(&mut self, part: &[u8]) {
        let Some(start) = self.offset(part) else { return };
        for at in start..start + part.len() {
            if let Some(word) = self.words.get_mut(at / 64) {
                *word &= !(1 << (at % 64));
            }
        }
    }

    /// Takes all values within.
    pub(crate) fn take_all(&mut self, part: &[u8]) {
        let Some(start) = self.offset(part) else { return };
        let end = start + part.len();
        let mut at = start;
        while at < end {
            let (word, bit) = (at / 64, at % 64);
            let count = (64 - bit).min(end - at);
            let mask = if count == 64 { u64::MAX } else { ((1 << count) - 1) << bit };
            if let Some(word) = self.words.get_mut(word) {
                *word |= mask;
            }
            at += count;
        }
    }

    /// Whether a value was taken.
    pub(crate) fn has(&self, part: &[u8]) -> bool {
        self.offset(part).is_some_and(|offset| self.is_set(offset))
    }

    /// Whether each value within was taken: what stands between delimiters, but for nothing.
    pub(crate) fn has_each(&self, part: &[u8], is_delimiter: impl Fn(u8) -> bool) -> bool {
        let Some(start) = self.offset(part) else { return part.is_empty() };
        let mut begins = true;
        (start..).zip(part).all(|(at, byte)| {
            let is_delimiter = is_delimiter(*byte);
            let is_begin = begins && !is_delimiter;
            begins = is_delimiter;
            !is_begin || self.is_set(at)
        })
    }

    fn is_set(&self, at: usize) -> bool {
        self.words.get(at / 64).is_some_and(|word| word >> (at % 64) & 1 == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_is_known_to_the_byte() {
        let bytes = [b'x'; 300];
        let mut consumed = Consumed::of(&bytes);
        consumed.take(&bytes[3..5]);
        consumed.take_all(&bytes[60..200]);
        consumed.take(&bytes[250..]);
        consumed.give_back(&bytes[250..260]);
        let taken: Vec<_> = (0..300).filter(|at| consumed.has(&bytes[*at..])).collect();
        let expected: Vec<_> = std::iter::once(3).chain(60..200).collect();
        assert_eq!(taken, expected);
    }

    #[test]
    fn values_between_delimiters_are_known_to_be_taken() {
        let bytes = b"one^^two~three";
        let is_delimiter = |byte: u8| byte == b'^' || byte == b'~';
        let mut consumed = Consumed::of(bytes);
        for (taken, is_whole) in [(0, false), (9, false), (5, true)] {
            assert!(!consumed.has_each(bytes, is_delimiter));
            consumed.take(&bytes[taken..]);
            assert_eq!(consumed.has_each(bytes, is_delimiter), is_whole);
        }
        assert!(consumed.has_each(b"", is_delimiter));
    }
}
