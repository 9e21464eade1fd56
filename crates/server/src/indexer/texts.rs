//! Texts that many messages share, each made once.

use std::collections::HashSet;
use std::sync::Arc;

/// Texts kept at hand, and the longest of them.
const TEXTS_MAX: usize = 1_024;
const TEXT_BYTES_MAX: usize = 64;

/// So many are looked at first: the types and senders of nearly all messages.
const NEAR: usize = 128;

/// A revision as people see it: so many hexadecimal digits.
const SHORT_REVISION_DIGITS: usize = 12;

/// Texts that many messages share.
pub(super) struct Texts {
    all: HashSet<Arc<str>>,
    /// The last one to come of those that have a place in common.
    near: [Option<Arc<str>>; NEAR],
}

impl Default for Texts {
    fn default() -> Self {
        Self { all: HashSet::new(), near: [const { None }; NEAR] }
    }
}

impl Texts {
    pub(super) fn shared(&mut self, bytes: &[u8]) -> Arc<str> {
        let near = self.near.get_mut(place(bytes));
        if let Some(Some(known)) = &near
            && known.as_bytes() == bytes
        {
            return Arc::clone(known);
        }
        let text = known(&mut self.all, &String::from_utf8_lossy(bytes));
        if let Some(near) = near
            && text.len() <= TEXT_BYTES_MAX
        {
            *near = Some(Arc::clone(&text));
        }
        text
    }

    pub(super) fn shared_text(&mut self, text: &str) -> Arc<str> {
        self.shared(text.as_bytes())
    }

    pub(super) fn revision(&mut self, revision: &[u8; 32]) -> Arc<str> {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let digit = |four_bits: u8| DIGITS.get(usize::from(four_bits)).copied().unwrap_or(b'0');
        let mut text = [0; SHORT_REVISION_DIGITS];
        for (pair, byte) in text.chunks_exact_mut(2).zip(revision) {
            pair.copy_from_slice(&[digit(byte >> 4), digit(byte & 0xf)]);
        }
        self.shared(&text)
    }
}

/// Where a text is looked for: by its length and ends, which tell apart what stands in headers.
fn place(bytes: &[u8]) -> usize {
    let end = |byte: Option<&u8>| byte.copied().map_or(0, usize::from);
    let (first, last) = (end(bytes.first()), end(bytes.last()));
    (bytes.len().wrapping_mul(29) ^ first.wrapping_mul(5) ^ last.wrapping_mul(11)) % NEAR
}

fn known(all: &mut HashSet<Arc<str>>, text: &str) -> Arc<str> {
    if let Some(known) = all.get(text) {
        return Arc::clone(known);
    }
    let text: Arc<str> = text.into();
    if text.len() <= TEXT_BYTES_MAX {
        if all.len() >= TEXTS_MAX {
            all.clear();
        }
        all.insert(Arc::clone(&text));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{TEXTS_MAX, Texts};

    #[test]
    fn a_text_is_made_once_and_is_itself() {
        let mut texts = Texts::default();
        for _ in 0..2 {
            for number in 0..3 * TEXTS_MAX {
                let text = number.to_string();
                assert_eq!(&*texts.shared_text(&text), text);
                assert!(Arc::ptr_eq(&texts.shared_text(&text), &texts.shared_text(&text)));
            }
            assert!(texts.all.len() <= TEXTS_MAX);
        }
        assert_eq!(&*texts.shared(b"M\xFCller"), "M\u{FFFD}ller");
        assert_eq!(texts.shared_text(&"x".repeat(1_000)).len(), 1_000);
        assert_eq!(&*texts.revision(&[0xab; 32]), "abababababab");
    }
}
