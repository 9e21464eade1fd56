//! Sealing and opening with AES-256-GCM.
//!
//! **No nonce is used twice under one key.** What is sealed in one session (from the first opening of a database in a
//! process to its last closing) is sealed under a key derived with a random salt of 16 bytes, drawn for the session.
//! Under it the nonce is a counter that only goes up, shared by all connections and files. So a nonce is used again
//! only if two sessions draw the same salt, with probability 2⁻¹²⁸ for each pair. Random nonces under one key would
//! not do: a busy datastore seals 2³² pages within a day or two, where repeats of 96 random bits become likely.
//!
//! **Nothing can be moved.** What is authenticated with the bytes says which kind of file and which place they are of.

use std::collections::HashMap;
use std::ops::RangeFrom;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, Tag, UnboundKey};

use crate::failure::{Failure, LastFailure};
use crate::key::{CHECK_BYTES, Key};
use crate::layout::{SALT_BYTES, TAG_BYTES, TRAILER_BYTES};

/// Keys of this many former sessions are kept at hand.
const SESSIONS_MAX: usize = 256;

/// A trailer: tag, salt, counter.
pub(crate) type Trailer = [u8; TRAILER_BYTES];

/// The bytes are not what was sealed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Changed;

type Salt = [u8; SALT_BYTES];

/// One key of AES, ready to use.
pub(crate) struct Cipher(LessSafeKey);

impl Cipher {
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        let key = UnboundKey::new(&AES_256_GCM, key).expect("AES-256 takes 32 bytes");
        Self(LessSafeKey::new(key))
    }

    /// The counter must never have been given to this cipher before.
    pub(crate) fn seal(&self, counter: u64, place: &[u8], bytes: &mut [u8]) -> [u8; TAG_BYTES] {
        let tag = self
            .0
            .seal_in_place_separate_tag(nonce(counter), Aad::from(place), bytes)
            .expect("a page is far below the 64 GiB that GCM takes");
        let mut sealed = [0; TAG_BYTES];
        sealed.copy_from_slice(tag.as_ref());
        sealed
    }

    pub(crate) fn open(
        &self,
        counter: u64,
        place: &[u8],
        tag: [u8; TAG_BYTES],
        bytes: &mut [u8],
    ) -> Result<(), Changed> {
        let whole: RangeFrom<usize> = 0..;
        self.0
            .open_in_place_separate_tag(
                nonce(counter),
                Aad::from(place),
                Tag::from(tag),
                bytes,
                whole,
            )
            .map(drop)
            .map_err(|_| Changed)
    }
}

fn nonce(counter: u64) -> Nonce {
    let mut nonce = [0; 12];
    if let Some(place) = nonce.last_chunk_mut::<8>() {
        *place = counter.to_be_bytes();
    }
    Nonce::assume_unique_for_key(nonce)
}

/// What seals the files of one database; shared by all its connections in the process.
pub(crate) struct Seal {
    key: Key,
    check: [u8; CHECK_BYTES],
    salt: Salt,
    cipher: Arc<Cipher>,
    next: AtomicU64,
    former: RwLock<HashMap<Salt, Arc<Cipher>>>,
    /// Changes whenever somebody gets or gives away the right to write to the log.
    turn: AtomicU64,
    pub(crate) last_failure: LastFailure,
}

impl Seal {
    /// Begins a session.
    pub(crate) fn new(key: &Key) -> Result<Self, getrandom::Error> {
        let mut salt = [0; SALT_BYTES];
        getrandom::fill(&mut salt)?;
        Ok(Self {
            key: key.clone(),
            check: key.check(),
            salt,
            cipher: Arc::new(Cipher::new(&key.session(&salt))),
            next: AtomicU64::new(0),
            former: RwLock::default(),
            turn: AtomicU64::new(0),
            last_failure: LastFailure::default(),
        })
    }

    /// Whose turn it is to write to the log, as a number that never comes again.
    pub(crate) fn turn(&self) -> u64 {
        self.turn.load(Ordering::Acquire)
    }

    /// Somebody got or gave away the right to write to the log.
    pub(crate) fn end_turn(&self) {
        self.turn.fetch_add(1, Ordering::AcqRel);
    }

    /// Tells which key it is.
    pub(crate) fn check(&self) -> &[u8; CHECK_BYTES] {
        &self.check
    }

    pub(crate) fn seal(&self, place: &[u8], bytes: &mut [u8]) -> Trailer {
        // 2⁶⁴ pages take longer than any process runs.
        let counter = self.next.fetch_add(1, Ordering::Relaxed);
        let tag = self.cipher.seal(counter, place, bytes);
        let mut trailer = [0; TRAILER_BYTES];
        for (to, from) in
            trailer.iter_mut().zip(tag.iter().chain(&self.salt).chain(&counter.to_be_bytes()))
        {
            *to = *from;
        }
        trailer
    }

    /// Notes a failure, for whoever asks why a statement failed.
    pub(crate) fn failed(&self, failure: Failure) {
        tracing::error!(%failure, "a sealed database can't be read or written");
        self.last_failure.set(failure);
    }
}

/// Opens what was sealed, now or in former sessions. Each file has one, which keeps at hand what was needed last.
pub(crate) struct Opener {
    recent: (Salt, Arc<Cipher>),
}

impl Opener {
    pub(crate) fn new(seal: &Seal) -> Self {
        Self { recent: (seal.salt, Arc::clone(&seal.cipher)) }
    }

    /// Opens in place.
    pub(crate) fn open(
        &mut self,
        seal: &Seal,
        place: &[u8],
        bytes: &mut [u8],
        trailer: &Trailer,
    ) -> Result<(), Changed> {
        let (tag, rest) = trailer.split_first_chunk::<TAG_BYTES>().ok_or(Changed)?;
        let (salt, counter) = rest.split_first_chunk::<SALT_BYTES>().ok_or(Changed)?;
        let counter = u64::from_be_bytes(counter.try_into().map_err(|_| Changed)?);
        let (recent, cipher) = &self.recent;
        if recent == salt {
            return cipher.open(counter, place, *tag, bytes);
        }
        if *salt == seal.salt {
            self.recent = (*salt, Arc::clone(&seal.cipher));
            return seal.cipher.open(counter, place, *tag, bytes);
        }
        let known =
            seal.former.read().unwrap_or_else(PoisonError::into_inner).get(salt).map(Arc::clone);
        if let Some(cipher) = known {
            self.recent = (*salt, Arc::clone(&cipher));
            return cipher.open(counter, place, *tag, bytes);
        }
        let cipher = Arc::new(Cipher::new(&seal.key.session(salt)));
        cipher.open(counter, place, *tag, bytes)?;
        // Only what opened something is kept: a changed byte may name any salt.
        let mut former = seal.former.write().unwrap_or_else(PoisonError::into_inner);
        if former.len() >= SESSIONS_MAX {
            former.clear();
        }
        former.insert(*salt, Arc::clone(&cipher));
        self.recent = (*salt, cipher);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Changed, Key, Opener, SESSIONS_MAX, Seal};

    fn session(key: u8) -> Seal {
        Seal::new(&Key::new([key; 32])).expect("randomness")
    }

    #[test]
    fn opens_what_any_session_of_the_key_sealed_there() {
        let (now, before, other) = (session(1), session(1), session(2));
        let mut opener = Opener::new(&now);
        for sealing in [&now, &before, &now, &before] {
            let mut bytes = *b"a page";
            let trailer = sealing.seal(b"here", &mut bytes);
            assert_ne!(&bytes, b"a page");
            let sealed = bytes;
            assert_eq!(opener.open(&now, b"here", &mut bytes, &trailer), Ok(()));
            assert_eq!(&bytes, b"a page");
            let mut bytes = sealed;
            assert_eq!(opener.open(&now, b"there", &mut bytes, &trailer), Err(Changed));
            let mut bytes = sealed;
            assert_eq!(
                Opener::new(&other).open(&other, b"here", &mut bytes, &trailer),
                Err(Changed)
            );
            for byte in 0..trailer.len() {
                let mut changed = trailer;
                changed[byte] ^= 0x10;
                let mut bytes = sealed;
                assert_eq!(
                    opener.open(&now, b"here", &mut bytes, &changed),
                    Err(Changed),
                    "{byte}"
                );
            }
        }
    }

    #[test]
    fn keeps_no_more_sessions_than_it_may() {
        let now = session(1);
        let mut opener = Opener::new(&now);
        for number in 0..=SESSIONS_MAX {
            let mut bytes = [1];
            let trailer = session(1).seal(&[], &mut bytes);
            assert_eq!(opener.open(&now, &[], &mut bytes, &trailer), Ok(()));
            let kept = now.former.read().expect("no panic").len();
            assert_eq!(kept, if number == SESSIONS_MAX { 1 } else { number + 1 });
        }
    }

    #[test]
    fn no_nonce_is_used_twice() {
        let seal = session(1);
        let mut trailers = std::collections::HashSet::new();
        std::thread::scope(|scope| {
            let threads = [(); 4].map(|()| {
                scope.spawn(|| {
                    (0..1000).map(|_| seal.seal(&[], &mut [])[16..].to_vec()).collect::<Vec<_>>()
                })
            });
            for thread in threads {
                trailers.extend(thread.join().expect("no panic"));
            }
        });
        assert_eq!(trailers.len(), 4000);
    }
}
