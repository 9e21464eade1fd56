//! The keys of the index: values are hashed for search and sealed for display.

use std::fmt;

use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::Zeroize;

use crate::cmac::Cmac;

/// The two keys of an index. They are kept where the journal's keys are, outside of the data
/// directory. An index that was written under other keys is rebuilt.
#[derive(Clone)]
pub struct IndexKeys {
    hash: [u8; 32],
    seal: [u8; 32],
}

impl IndexKeys {
    /// The keys for hashing and for sealing: independent of each other, and of all other keys.
    pub fn new(hash: [u8; 32], seal: [u8; 32]) -> IndexKeys {
        IndexKeys { hash, seal }
    }
}

impl Drop for IndexKeys {
    fn drop(&mut self) {
        self.hash.zeroize();
        self.seal.zeroize();
    }
}

impl fmt::Debug for IndexKeys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("IndexKeys([redacted])")
    }
}

/// A keyed hash of 128 bits: equal values are found, no value is learned.
pub(crate) type Hash = [u8; 16];

/// What a hash is of, so that equal texts in different roles have different hashes.
#[derive(Clone, Copy)]
pub(crate) enum Role {
    Identifier,
    ControlId,
    /// A name of this kind.
    Name(u8),
}

/// Computes keyed hashes.
#[derive(Clone)]
pub(crate) struct Hasher(Cmac);

impl Hasher {
    pub(crate) fn new(keys: &IndexKeys) -> Hasher {
        let mut mac = keyed(&keys.hash);
        mac.update(b"pipehat message index: values");
        Hasher(Cmac::new(&mac.finalize().into_bytes().into()))
    }

    pub(crate) fn hash(&self, role: Role, text: &str) -> Hash {
        let role = match role {
            Role::Identifier => [0, 0],
            Role::ControlId => [1, 0],
            Role::Name(kind) => [2, kind],
        };
        self.0.of(role, text.as_bytes())
    }
}

/// Says of a database whether it was written under these keys, and tells nothing about them.
pub(crate) fn check_value(keys: &IndexKeys) -> [u8; 32] {
    let mut check = [0; 32];
    let (of_hash, of_seal) = check.split_at_mut(16);
    for (part, key) in [(of_hash, &keys.hash), (of_seal, &keys.seal)] {
        let mut mac = keyed(key);
        mac.update(b"pipehat message index: which key");
        part.copy_from_slice(&truncated(mac));
    }
    check
}

/// The key for one sealing session.
pub(crate) fn session_key(keys: &IndexKeys, salt: &[u8]) -> [u8; 32] {
    let mut mac = keyed(&keys.seal);
    mac.update(b"pipehat message index: session");
    mac.update(salt);
    mac.finalize().into_bytes().into()
}

/// The key of the file that the index stands in.
pub(crate) fn file_key(keys: &IndexKeys) -> pipehat_vault::Key {
    let mut mac = keyed(&keys.seal);
    mac.update(b"pipehat message index: file");
    pipehat_vault::Key::new(mac.finalize().into_bytes().into())
}

fn keyed(key: &[u8; 32]) -> Hmac<Sha256> {
    <Hmac<Sha256> as Mac>::new_from_slice(key).expect("HMAC takes keys of any length")
}

fn truncated(mac: Hmac<Sha256>) -> Hash {
    let whole: [u8; 32] = mac.finalize().into_bytes().into();
    let (first, _) = whole.split_first_chunk().expect("16 bytes of 32");
    *first
}

#[cfg(test)]
mod tests {
    use super::{Hasher, IndexKeys, Role, check_value, session_key};

    fn keys(hash: u8, seal: u8) -> IndexKeys {
        IndexKeys::new([hash; 32], [seal; 32])
    }

    #[test]
    fn debug_shows_no_key() {
        assert_eq!(format!("{:?}", keys(1, 2)), "IndexKeys([redacted])");
    }

    #[test]
    fn a_hash_depends_on_key_role_and_text() {
        let hasher = Hasher::new(&keys(1, 2));
        let hash = hasher.hash(Role::Identifier, "1234");
        assert_eq!(hash, Hasher::new(&keys(1, 3)).hash(Role::Identifier, "1234"));
        assert_ne!(hash, Hasher::new(&keys(9, 2)).hash(Role::Identifier, "1234"));
        assert_ne!(hash, hasher.hash(Role::Identifier, "1235"));
        assert_ne!(hash, hasher.hash(Role::ControlId, "1234"));
        assert_ne!(hasher.hash(Role::Name(1), "A"), hasher.hash(Role::Name(2), "A"));
    }

    #[test]
    fn the_check_value_tells_either_key_apart() {
        let check = check_value(&keys(1, 2));
        assert_ne!(check, check_value(&keys(3, 2)));
        assert_ne!(check, check_value(&keys(1, 3)));
        assert_ne!(session_key(&keys(1, 2), b"a"), session_key(&keys(1, 2), b"b"));
    }
}
