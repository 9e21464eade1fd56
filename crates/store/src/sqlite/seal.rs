//! Sealing: AES-256-GCM under a key for each session of the writer.
//!
//! A session has a random salt, hence a key of its own, and numbers what it seals: a nonce is never
//! used twice, without asking for random bytes for each message. A transaction that fails ends its
//! session, because what it sealed may be on disk.

use std::collections::HashMap;

use aes_gcm::{Aes256Gcm, KeyInit, Nonce, aead::AeadInPlace};
use rusqlite::{Connection, OptionalExtension};
use zeroize::Zeroize;

use super::varint;
use crate::{IndexError, IndexKeys, keys};

const SALT_BYTES: usize = 16;
const TAG_BYTES: usize = 16;

/// How many session keys a reader keeps at hand.
const READ_SESSIONS_MAX: usize = 64;

/// What a sealed text belongs to; it opens nowhere else.
pub(super) enum Place {
    Message(i64),
    Name { kind: u8, hash: keys::Hash },
}

impl Place {
    /// What is authenticated with the text.
    fn with_bytes<R>(&self, use_bytes: impl FnOnce(&[u8]) -> R) -> R {
        match self {
            Place::Message(id) => {
                let [a, b, c, d, e, f, g, h] = id.to_le_bytes();
                use_bytes(&[b'm', a, b, c, d, e, f, g, h])
            }
            Place::Name { kind, hash } => use_bytes(&[[b'n', *kind].as_slice(), hash].concat()),
        }
    }
}

/// Seals, for the writer.
pub(super) struct Sealer {
    session: u64,
    cipher: Aes256Gcm,
    next: u64,
}

impl Sealer {
    /// Begins a session, inside the transaction that will use it.
    pub(super) fn begin(connection: &Connection, keys: &IndexKeys) -> Result<Sealer, IndexError> {
        let mut salt = [0; SALT_BYTES];
        getrandom::fill(&mut salt)
            .map_err(|error| IndexError::Unavailable(error.to_string().into()))?;
        connection.prepare_cached("INSERT INTO session (salt) VALUES (?1)")?.execute([salt])?;
        let session =
            u64::try_from(connection.last_insert_rowid()).map_err(|_| IndexError::Damaged(None))?;
        Ok(Sealer { session, cipher: cipher(keys, &salt), next: 0 })
    }

    /// Seals the text in place: session and number go before it, the tag behind.
    pub(super) fn seal(&mut self, place: &Place, text: &[u8]) -> Vec<u8> {
        let number = self.next;
        self.next = self.next.checked_add(1).expect("no session seals 2^64 texts");
        let mut sealed = Vec::with_capacity(text.len().saturating_add(TAG_BYTES + 8));
        varint::put(&mut sealed, self.session);
        varint::put(&mut sealed, number);
        let start = sealed.len();
        sealed.extend_from_slice(text);
        let (_, body) = sealed.split_at_mut(start);
        let tag = place
            .with_bytes(|place| self.cipher.encrypt_in_place_detached(&nonce(number), place, body))
            .expect("the text is far shorter than AES-GCM allows: its parts are limited");
        sealed.extend_from_slice(&tag);
        sealed
    }
}

/// Opens what was sealed, for a reader.
pub(super) struct Opener {
    keys: IndexKeys,
    sessions: HashMap<u64, Aes256Gcm>,
}

impl Opener {
    pub(super) fn new(keys: IndexKeys) -> Opener {
        Opener { keys, sessions: HashMap::new() }
    }

    pub(super) fn open(
        &mut self,
        connection: &Connection,
        place: &Place,
        sealed: &[u8],
    ) -> Result<Vec<u8>, IndexError> {
        let mut rest = sealed;
        let damaged = || IndexError::Damaged(None);
        let session = varint::take(&mut rest).ok_or_else(damaged)?;
        let number = varint::take(&mut rest).ok_or_else(damaged)?;
        let length = rest.len().checked_sub(TAG_BYTES).ok_or_else(damaged)?;
        let (body, tag) = rest.split_at_checked(length).ok_or_else(damaged)?;
        let mut text = body.to_vec();
        let cipher = self.session(connection, session)?;
        place
            .with_bytes(|place| {
                cipher.decrypt_in_place_detached(&nonce(number), place, &mut text, tag.into())
            })
            .map_err(|_| damaged())?;
        Ok(text)
    }

    fn session(&mut self, connection: &Connection, id: u64) -> Result<&Aes256Gcm, IndexError> {
        if !self.sessions.contains_key(&id) {
            if self.sessions.len() >= READ_SESSIONS_MAX {
                self.sessions.clear();
            }
            let salt: Option<Vec<u8>> = connection
                .prepare_cached("SELECT salt FROM session WHERE id = ?1")?
                .query_row([super::signed(id)?], |row| row.get(0))
                .optional()?;
            let salt = salt.ok_or(IndexError::Damaged(None))?;
            self.sessions.insert(id, cipher(&self.keys, &salt));
        }
        self.sessions.get(&id).ok_or(IndexError::Damaged(None))
    }
}

fn cipher(keys: &IndexKeys, salt: &[u8]) -> Aes256Gcm {
    let mut key = keys::session_key(keys, salt);
    let cipher = Aes256Gcm::new(&key.into());
    key.zeroize();
    cipher
}

fn nonce(number: u64) -> Nonce<aes_gcm::aead::consts::U12> {
    let mut nonce = [0; 12];
    let (_, low) = nonce.split_at_mut(4);
    low.copy_from_slice(&number.to_be_bytes());
    nonce.into()
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::{Opener, Place, Sealer};
    use crate::{IndexError, IndexKeys, sqlite::schema};

    #[test]
    fn what_was_sealed_opens_at_its_place_and_nowhere_else() {
        let connection = Connection::open_in_memory().expect("memory");
        connection.execute_batch(schema::TABLES).expect("tables");
        let keys = IndexKeys::new([1; 32], [2; 32]);
        let mut sealer = Sealer::begin(&connection, &keys).expect("session");
        let first = sealer.seal(&Place::Message(7), b"Miller");
        let second = sealer.seal(&Place::Message(7), b"Miller");
        assert_ne!(first, second, "a nonce was used twice");
        let mut later = Sealer::begin(&connection, &keys).expect("session");
        let third = later.seal(&Place::Message(7), b"Miller");
        let mut opener = Opener::new(keys);
        for sealed in [&first, &second, &third] {
            assert!(!sealed.windows(6).any(|window| window == b"Miller"));
            let opened = opener.open(&connection, &Place::Message(7), sealed).expect("opens");
            assert_eq!(opened, b"Miller");
        }
        let moved = opener.open(&connection, &Place::Message(8), &first);
        assert!(matches!(moved, Err(IndexError::Damaged(None))));
        for at in 0..first.len() {
            let mut changed = first.clone();
            changed[at] ^= 1;
            let opened = opener.open(&connection, &Place::Message(7), &changed);
            assert!(matches!(opened, Err(IndexError::Damaged(_))), "byte {at}");
            let cut = opener.open(&connection, &Place::Message(7), &first[..at]);
            assert!(matches!(cut, Err(IndexError::Damaged(_))), "cut at {at}");
        }
    }
}
