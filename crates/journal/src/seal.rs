//! Sealing and opening payloads with AES-256-GCM.
//!
//! **No nonce is used twice under one key.** The key of a payload is not the key file's but one
//! derived from it (HKDF-SHA-256) with a random 16-byte salt, which is drawn anew for every chunk
//! and every time a journal is opened. Under a derived key the nonce is a counter that only ever
//! goes up, also past groups whose write failed and is repeated. So two groups share a nonce only
//! if they share a salt, and two openings draw the same one with probability 2⁻¹²⁸. Group numbers
//! would not do: after a torn tail was cut, another group gets the same number.

use std::io;

use aes_gcm::{AeadInPlace, Aes256Gcm, KeyInit};

use crate::{KeyRing, group::Damage, group::OpenGroup};

pub(crate) const SALT_BYTES: usize = 16;
pub(crate) const TAG_BYTES: usize = 16;

/// Seals the groups of one chunk in one session.
pub(crate) struct Sealer {
    cipher: Aes256Gcm,
    key_id: u32,
    salt: [u8; SALT_BYTES],
    nonce: u64,
}

impl Sealer {
    /// A sealer with the ring's current key and a fresh salt.
    pub(crate) fn new(keys: &KeyRing) -> io::Result<Sealer> {
        let mut salt = [0; SALT_BYTES];
        getrandom::fill(&mut salt)?;
        let (key_id, key) = keys.group_key(&salt);
        Ok(Sealer { cipher: Aes256Gcm::new((&*key).into()), key_id, salt, nonce: 0 })
    }

    pub(crate) fn key_id(&self) -> u32 {
        self.key_id
    }

    pub(crate) fn salt(&self) -> &[u8; SALT_BYTES] {
        &self.salt
    }

    pub(crate) fn next_nonce(&mut self) -> u64 {
        self.nonce = self.nonce.checked_add(1).expect("2^64 groups take longer than any process");
        self.nonce
    }

    pub(crate) fn seal(&self, nonce: u64, associated: &[u8], plain: &mut [u8]) -> [u8; TAG_BYTES] {
        self.cipher
            .encrypt_in_place_detached(&nonce_bytes(nonce).into(), associated, plain)
            .expect("payloads are far below the 64 GiB that GCM allows")
            .into()
    }
}

/// Opens payloads; keeps the key derived last, because neighbours share it.
pub(crate) struct Opener {
    keys: Option<KeyRing>,
    derived: Option<(u32, [u8; SALT_BYTES], Aes256Gcm)>,
}

impl Opener {
    pub(crate) fn new(keys: Option<KeyRing>) -> Opener {
        Opener { keys, derived: None }
    }

    /// Opens in place and takes the tag off.
    pub(crate) fn open(
        &mut self,
        key_id: u32,
        salt: &[u8; SALT_BYTES],
        nonce: u64,
        associated: &[u8],
        sealed: &mut Vec<u8>,
    ) -> Result<(), OpenGroup> {
        let length = sealed.len().checked_sub(TAG_BYTES).ok_or(OpenGroup::Damaged(Damage::Seal))?;
        let tag: [u8; TAG_BYTES] =
            sealed.split_off(length).try_into().map_err(|_| OpenGroup::Damaged(Damage::Seal))?;
        self.cipher(key_id, salt)?
            .decrypt_in_place_detached(&nonce_bytes(nonce).into(), associated, sealed, &tag.into())
            .map_err(|_| OpenGroup::Damaged(Damage::Seal))
    }

    fn cipher(&mut self, key_id: u32, salt: &[u8; SALT_BYTES]) -> Result<&Aes256Gcm, OpenGroup> {
        let known = matches!(&self.derived, Some((id, of, _)) if *id == key_id && of == salt);
        if !known {
            let keys = self.keys.as_ref().ok_or(OpenGroup::MissingKey { key_id })?;
            let key = keys.group_key_of(key_id, salt).ok_or(OpenGroup::MissingKey { key_id })?;
            self.derived = Some((key_id, *salt, Aes256Gcm::new((&*key).into())));
        }
        match &self.derived {
            Some((_, _, cipher)) => Ok(cipher),
            None => Err(OpenGroup::MissingKey { key_id }),
        }
    }
}

fn nonce_bytes(counter: u64) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&counter.to_be_bytes());
    nonce
}
