//! The secret that pseudonyms depend on.

use std::fmt;

use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

/// Bytes of a key.
pub const KEY_BYTES: usize = 32;

/// A secret: with it the same values become the same pseudonyms again; whoever has it can test guesses.
#[derive(Clone)]
pub struct Key {
    state: Hmac<Sha256>,
    bytes: Zeroizing<[u8; KEY_BYTES]>,
}

impl Key {
    /// The key with these bytes, which should be random.
    pub fn new(bytes: [u8; KEY_BYTES]) -> Self {
        let state = Hmac::new_from_slice(&bytes).expect("HMAC takes keys of any length");
        Self { state, bytes: Zeroizing::new(bytes) }
    }

    /// The bytes, to be kept safe.
    pub fn as_bytes(&self) -> &[u8; KEY_BYTES] {
        &self.bytes
    }

    /// A pseudorandom function of a purpose and some parts.
    pub(super) fn derive(&self, purpose: u8, parts: &[&[u8]]) -> [u8; 32] {
        parts.iter().fold(self.derivation(purpose), |begun, part| begun.part(part)).finish()
    }

    /// The same, part by part.
    pub(super) fn derivation(&self, purpose: u8) -> Derivation {
        let mut state = self.state.clone();
        state.update(&[purpose]);
        Derivation { state }
    }
}

/// A derivation that has begun; what several have in common is hashed once.
#[derive(Clone)]
pub(super) struct Derivation {
    state: Hmac<Sha256>,
}

impl Derivation {
    pub(super) fn part(mut self, part: &[u8]) -> Self {
        self.state.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
        self.state.update(part);
        self
    }

    pub(super) fn finish(self) -> [u8; 32] {
        self.state.finalize().into_bytes().into()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Key([redacted])")
    }
}
