//! The key of a database.

use std::fmt;

use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::{Zeroize, Zeroizing};

/// How many bytes of a page 1 tell which key it was sealed under.
pub(crate) const CHECK_BYTES: usize = 16;

/// A database's key: 32 secret bytes, best derived from an installation's key for this one database.
#[derive(Clone)]
pub struct Key([u8; 32]);

impl Key {
    /// Takes the key's bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The key for what is sealed in one session.
    pub(crate) fn session(&self, salt: &[u8]) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.derive(b"pipehat vault: session", salt))
    }

    /// Says of a database whether it was sealed under this key, and tells nothing about the key.
    pub(crate) fn check(&self) -> [u8; CHECK_BYTES] {
        let whole = self.derive(b"pipehat vault: which key", &[]);
        let (first, _) = whole.split_first_chunk().expect("16 bytes of 32");
        *first
    }

    fn derive(&self, purpose: &[u8], salt: &[u8]) -> [u8; 32] {
        let mut mac =
            <Hmac<Sha256> as Mac>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        mac.update(purpose);
        mac.update(salt);
        mac.finalize().into_bytes().into()
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Key([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::Key;

    #[test]
    fn debug_shows_no_key() {
        assert_eq!(format!("{:?}", Key::new([7; 32])), "Key([redacted])");
    }

    #[test]
    fn what_is_derived_depends_on_key_and_salt() {
        let (one, other) = (Key::new([1; 32]), Key::new([2; 32]));
        assert_eq!(one.check(), Key::new([1; 32]).check());
        assert_ne!(one.check(), other.check());
        assert_ne!(*one.session(b"a"), *one.session(b"b"));
        assert_ne!(*one.session(b"a"), *other.session(b"a"));
    }
}
