//! Bodies: the JSON of a version, compressed and sealed.
//!
//! # Format (version 1)
//! `1`, flags (1: compressed by LZ4), the key's id (4 bytes), a salt (16), a number (8), the AES-256-GCM
//! ciphertext with its tag. Every opening of a datastore takes a new random salt, which with the caller's key
//! makes a key of its own (HMAC-SHA-256), and numbers what it seals: so no nonce comes twice. What a body belongs
//! to (`Type/id/version`) is authenticated: it opens nowhere else.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use aes_gcm::aead::AeadInPlace;
use aes_gcm::{Aes256Gcm, KeyInit, Nonce};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::interaction::{Body, ResourceKey};

const FORMAT_VERSION: u8 = 1;
const COMPRESSED: u8 = 1;
const SALT_BYTES: usize = 16;
const HEADER_BYTES: usize = 1 + 1 + 4 + SALT_BYTES + 8;

/// Shorter texts are kept as they are.
const COMPRESSED_FROM: usize = 256;

/// How many sessions' ciphers are kept at hand: one for each opening that wrote what is read.
const SESSIONS_MAX: usize = 1024;

/// The key that bodies are sealed with. It is kept outside of the data directory.
#[derive(Clone)]
pub struct BodyKey {
    /// Which key it is, so that others may follow.
    id: u32,
    bytes: Zeroizing<[u8; 32]>,
}

impl BodyKey {
    /// A key and its number.
    pub fn new(id: u32, bytes: [u8; 32]) -> Self {
        Self { id, bytes: Zeroizing::new(bytes) }
    }

    /// The key of a file that is sealed with this one, for whoever opens it past the datastore or the audit log.
    pub fn file_key(&self) -> pipehat_vault::Key {
        let mut mac = keyed(self);
        mac.update(b"pipehat datastore: file");
        pipehat_vault::Key::new(mac.finalize().into_bytes().into())
    }
}

impl fmt::Debug for BodyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BodyKey({}, [redacted])", self.id)
    }
}

/// A body can't be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OpenError {
    /// It is cut off, or of a format of later.
    #[error("a body has an unknown format")]
    Format,
    /// It was sealed with another key.
    #[error("a body is sealed with key {0}, which was not given")]
    Key(u32),
    /// It was changed, or belongs elsewhere.
    #[error("a body was changed, or is not this resource's")]
    Changed,
}

/// Seals and opens bodies.
pub(crate) struct Seal {
    key: BodyKey,
    salt: [u8; SALT_BYTES],
    cipher: Aes256Gcm,
    next: AtomicU64,
    sessions: Mutex<HashMap<[u8; SALT_BYTES], Arc<Aes256Gcm>>>,
}

impl Seal {
    pub(crate) fn new(key: BodyKey) -> Result<Self, getrandom::Error> {
        let mut salt = [0; SALT_BYTES];
        getrandom::fill(&mut salt)?;
        let cipher = session(&key, &salt);
        Ok(Self {
            key,
            salt,
            cipher,
            next: AtomicU64::new(0),
            sessions: Mutex::new(HashMap::new()),
        })
    }

    pub(crate) fn seal(&self, key: &ResourceKey, version: u64, text: &str) -> Vec<u8> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let compressed = (text.len() >= COMPRESSED_FROM)
            .then(|| lz4_flex::compress_prepend_size(text.as_bytes()))
            .filter(|compressed| compressed.len() < text.len());
        let (flags, plain) = match &compressed {
            Some(compressed) => (COMPRESSED, compressed.as_slice()),
            None => (0, text.as_bytes()),
        };
        let mut sealed = Vec::with_capacity(HEADER_BYTES + plain.len() + 16);
        sealed.push(FORMAT_VERSION);
        sealed.push(flags);
        sealed.extend_from_slice(&self.key.id.to_le_bytes());
        sealed.extend_from_slice(&self.salt);
        sealed.extend_from_slice(&number.to_le_bytes());
        sealed.extend_from_slice(plain);
        let (header, body) = sealed.split_at_mut(HEADER_BYTES);
        let tag = self
            .cipher
            .encrypt_in_place_detached(&nonce(number), &place(key, version, header), body)
            .expect("a body is far below the 64 GiB that GCM takes");
        sealed.extend_from_slice(&tag);
        sealed
    }

    pub(crate) fn open(
        &self,
        key: &ResourceKey,
        version: u64,
        sealed: &[u8],
    ) -> Result<Body, OpenError> {
        let (header, rest) = sealed.split_at_checked(HEADER_BYTES).ok_or(OpenError::Format)?;
        let [format, flags, id @ ..] = header else { return Err(OpenError::Format) };
        let (id, salt) = id.split_first_chunk::<4>().ok_or(OpenError::Format)?;
        let (salt, number) = salt.split_first_chunk::<SALT_BYTES>().ok_or(OpenError::Format)?;
        let number: [u8; 8] = number.try_into().map_err(|_| OpenError::Format)?;
        if *format != FORMAT_VERSION {
            return Err(OpenError::Format);
        }
        if u32::from_le_bytes(*id) != self.key.id {
            return Err(OpenError::Key(u32::from_le_bytes(*id)));
        }
        let (body, tag) =
            rest.split_at_checked(rest.len().saturating_sub(16)).ok_or(OpenError::Format)?;
        if tag.len() != 16 {
            return Err(OpenError::Format);
        }
        let mut plain = body.to_vec();
        let place = place(key, version, header);
        let nonce = nonce(u64::from_le_bytes(number));
        let opened = if *salt == self.salt {
            self.cipher.decrypt_in_place_detached(&nonce, &place, &mut plain, tag.into())
        } else {
            let cipher = self.session(salt);
            cipher.decrypt_in_place_detached(&nonce, &place, &mut plain, tag.into())
        };
        opened.map_err(|_| OpenError::Changed)?;
        if flags & COMPRESSED != 0 {
            plain = lz4_flex::decompress_size_prepended(&plain).map_err(|_| OpenError::Changed)?;
        }
        let text = String::from_utf8(plain).map_err(|_| OpenError::Changed)?;
        Ok(text.into())
    }

    fn session(&self, salt: &[u8; SALT_BYTES]) -> Arc<Aes256Gcm> {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        if sessions.len() >= SESSIONS_MAX && !sessions.contains_key(salt) {
            sessions.clear();
        }
        Arc::clone(sessions.entry(*salt).or_insert_with(|| Arc::new(session(&self.key, salt))))
    }

    /// Says of a database whether it was written under this key, and tells nothing about it.
    pub(super) fn check(&self) -> String {
        let mut mac = keyed(&self.key);
        mac.update(b"pipehat datastore: which key");
        let whole: [u8; 32] = mac.finalize().into_bytes().into();
        let hex: String = whole.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        format!("{}:{hex}", self.key.id)
    }

    /// The key of the file that the datastore stands in.
    pub(crate) fn file_key(&self) -> pipehat_vault::Key {
        self.key.file_key()
    }

    /// Seals what leaves and comes back: where a page of a search ended. `of` is what it is good for.
    pub(super) fn seal_page(&self, bytes: &[u8], of: &str) -> Vec<u8> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut page = self.salt.to_vec();
        page.extend_from_slice(&number.to_le_bytes());
        let mut sealed = bytes.to_vec();
        let tag = self
            .cipher
            .encrypt_in_place_detached(&nonce(number), &page_place(of), &mut sealed)
            .expect("a page's end is far below the 64 GiB that GCM takes");
        page.extend_from_slice(&sealed);
        page.extend_from_slice(&tag);
        page
    }

    /// Opens what [`Seal::seal_page`] gave; also that of before a restart.
    pub(super) fn open_page(&self, page: &[u8], of: &str) -> Option<Vec<u8>> {
        let (salt, rest) = page.split_first_chunk::<SALT_BYTES>()?;
        let (number, rest) = rest.split_first_chunk::<8>()?;
        let (sealed, tag) = rest.split_last_chunk::<16>()?;
        let mut bytes = sealed.to_vec();
        let nonce = nonce(u64::from_le_bytes(*number));
        // Not kept at hand: anybody may send any salt.
        session(&self.key, salt)
            .decrypt_in_place_detached(&nonce, &page_place(of), &mut bytes, tag.into())
            .ok()?;
        Some(bytes)
    }
}

fn page_place(of: &str) -> Vec<u8> {
    [b"page:".as_slice(), of.as_bytes()].concat()
}

fn keyed(key: &BodyKey) -> Hmac<Sha256> {
    <Hmac<Sha256> as Mac>::new_from_slice(key.bytes.as_slice())
        .expect("HMAC takes keys of any length")
}

fn session(key: &BodyKey, salt: &[u8; SALT_BYTES]) -> Aes256Gcm {
    let mut mac = keyed(key);
    mac.update(b"pipehat datastore: session");
    mac.update(salt);
    Aes256Gcm::new(&mac.finalize().into_bytes())
}

fn nonce(number: u64) -> Nonce<aes_gcm::aead::consts::U12> {
    let mut nonce = [0; 12];
    let (first, _) = nonce.split_at_mut(8);
    first.copy_from_slice(&number.to_le_bytes());
    nonce.into()
}

/// What is authenticated with a body.
fn place(key: &ResourceKey, version: u64, header: &[u8]) -> Vec<u8> {
    let mut place = Vec::with_capacity(header.len() + 96);
    place.extend_from_slice(header);
    place.extend_from_slice(key.resource_type.as_bytes());
    place.push(b'/');
    place.extend_from_slice(key.id.as_bytes());
    place.push(b'/');
    place.extend_from_slice(&version.to_le_bytes());
    place
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: &str) -> ResourceKey {
        ResourceKey { resource_type: "Patient".to_owned(), id: id.to_owned() }
    }

    fn seal(id: u32, byte: u8) -> Seal {
        Seal::new(BodyKey::new(id, [byte; 32])).unwrap()
    }

    #[test]
    fn a_body_opens_in_its_place_only() {
        let (writer, reader) = (seal(1, 7), seal(1, 7));
        for text in ["{}", &"{\"a\":\"long\"}".repeat(100)] {
            let sealed = writer.seal(&key("a"), 3, text);
            assert!(!sealed.windows(4).any(|window| window == b"long"));
            assert_eq!(writer.open(&key("a"), 3, &sealed).as_deref(), Ok(text));
            assert_eq!(reader.open(&key("a"), 3, &sealed).as_deref(), Ok(text));
            assert_eq!(reader.open(&key("b"), 3, &sealed), Err(OpenError::Changed));
            assert_eq!(reader.open(&key("a"), 2, &sealed), Err(OpenError::Changed));
            assert_eq!(seal(1, 8).open(&key("a"), 3, &sealed), Err(OpenError::Changed));
            assert_eq!(seal(2, 7).open(&key("a"), 3, &sealed), Err(OpenError::Key(1)));
            for at in 0..sealed.len() {
                let mut changed = sealed.clone();
                changed[at] ^= 1;
                assert!(reader.open(&key("a"), 3, &changed).is_err(), "byte {at}");
                assert!(reader.open(&key("a"), 3, &sealed[..at]).is_err(), "cut at {at}");
            }
        }
    }

    #[test]
    fn the_key_is_not_shown() {
        assert_eq!(format!("{:?}", BodyKey::new(5, [1; 32])), "BodyKey(5, [redacted])");
        assert_ne!(seal(1, 7).check(), seal(1, 8).check());
        assert_eq!(seal(1, 7).check(), seal(1, 7).check());
    }
}
