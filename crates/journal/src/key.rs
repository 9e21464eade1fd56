//! The key file: what seals the journal, kept outside of the data directory.
//!
//! ```text
//! # comment
//! key 2 6f1d…   the current key: seals what is written from now on
//! key 1 a90c…   older keys: open what they sealed
//! ```
//! A key is a number from 1 and 32 bytes as 64 hexadecimal digits. To rotate, put a line with a new
//! key above the others; an old line may go once no chunk sealed with it is left.

use std::{
    fmt, fs,
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::{disk, seal::SALT_BYTES};

const KEY_BYTES: usize = 32;

/// Key files are a few lines; more than this is some other file.
const FILE_BYTES_MAX: u64 = 64 * 1024;

type Key = Zeroizing<[u8; KEY_BYTES]>;

/// The keys of a journal. Clones share them; they are wiped when the last clone goes.
#[derive(Clone)]
pub struct KeyRing {
    keys: Arc<[(u32, Key)]>,
}

impl KeyRing {
    /// Reads a key file, which only its owner may be able to read.
    pub fn load(path: &Path) -> Result<KeyRing, KeyError> {
        let failed = |source| KeyError::Io { path: path.to_owned(), source };
        let file = fs::File::open(path).map_err(failed)?;
        refuse_open_to_others(&file, path)?;
        let mut text = Zeroizing::new(String::with_capacity(4096));
        file.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(failed)?;
        KeyRing::parse(&text).map_err(|line| KeyError::Malformed { path: path.to_owned(), line })
    }

    /// Makes a key file with one new key. Never touches a file that exists: then the answer is
    /// [`KeyError::Exists`].
    pub fn create(path: &Path) -> Result<KeyRing, KeyError> {
        let failed = |source| KeyError::Io { path: path.to_owned(), source };
        let mut key = Key::default();
        let mut name = [0; 8];
        getrandom::fill(&mut *key).map_err(|error| failed(error.into()))?;
        getrandom::fill(&mut name).map_err(|error| failed(error.into()))?;
        let keys = KeyRing { keys: Arc::from([(1, key)]) };

        // Written whole under another name first, and linked, not renamed: a rename would replace
        // a key file that another process made meanwhile, and with it all that it had sealed.
        let mut other = path.as_os_str().to_owned();
        other.push(format!(".{:016x}", u64::from_le_bytes(name)));
        let other = PathBuf::from(other);
        let written = write_private(&other, &keys.text()).and_then(|()| {
            fs::hard_link(&other, path)?;
            disk::sync_parent(path)
        });
        let removed = fs::remove_file(&other);
        match written.and(removed) {
            Ok(()) => Ok(keys),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(KeyError::Exists { path: path.to_owned() })
            }
            Err(source) => Err(failed(source)),
        }
    }

    /// A secret for another purpose, which tells nothing about the keys or about other purposes'
    /// secrets. It comes from the oldest key, so that adding a new one does not change it.
    pub fn derive(&self, purpose: &str) -> [u8; 32] {
        match self.keys.last() {
            Some((_, key)) => *expand(&**key, b"", b"pipehat derive ", purpose.as_bytes()),
            None => unreachable!("a key ring has a key: parse and create see to it"),
        }
    }

    /// The number of the key that seals.
    pub fn current_id(&self) -> u32 {
        self.current().0
    }

    fn current(&self) -> &(u32, Key) {
        self.keys.first().expect("a key ring has a key: parse and create see to it")
    }

    fn key(&self, id: u32) -> Option<&Key> {
        self.keys.iter().find(|(other, _)| *other == id).map(|(_, key)| key)
    }

    /// The current key's number and what it seals groups with under this salt.
    pub(crate) fn group_key(&self, salt: &[u8; SALT_BYTES]) -> (u32, Key) {
        let (id, key) = self.current();
        (*id, group_key(key, salt))
    }

    pub(crate) fn group_key_of(&self, id: u32, salt: &[u8; SALT_BYTES]) -> Option<Key> {
        self.key(id).map(|key| group_key(key, salt))
    }

    /// A value by which a chunk's header shows whether a key of the same number is the same key.
    pub(crate) fn check_value(&self, id: u32, chunk_id: u64) -> Option<[u8; 16]> {
        let key = self.key(id)?;
        let value = expand(&**key, b"", b"pipehat journal check ", &chunk_id.to_le_bytes());
        value.first_chunk().copied()
    }

    fn parse(text: &str) -> Result<KeyRing, usize> {
        let mut keys: Vec<(u32, Key)> = Vec::new();
        let mut lines = 0;
        for line in text.lines() {
            lines += 1;
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (id, key) = parse_key(line).ok_or(lines)?;
            if keys.iter().any(|(other, _)| *other == id) {
                return Err(lines);
            }
            keys.push((id, key));
        }
        if keys.is_empty() {
            return Err(lines + 1);
        }
        Ok(KeyRing { keys: keys.into() })
    }

    fn text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(4096));
        text.push_str("# Pipehat's sealing keys: without them the data can't be read.\n");
        text.push_str("# Keep a copy in a safe place, and never beside the data.\n");
        for (id, key) in self.keys.iter() {
            text.push_str("key ");
            text.push_str(&id.to_string());
            text.push(' ');
            for byte in key.iter() {
                for digit in [byte >> 4, byte & 15] {
                    text.push(char::from_digit(digit.into(), 16).unwrap_or('0'));
                }
            }
            text.push('\n');
        }
        text
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<u32> = self.keys.iter().map(|(id, _)| *id).collect();
        formatter.debug_struct("KeyRing").field("ids", &ids).field("keys", &"[redacted]").finish()
    }
}

fn parse_key(line: &str) -> Option<(u32, Key)> {
    let mut words = line.split_ascii_whitespace();
    if words.next()? != "key" {
        return None;
    }
    let id = words.next()?.parse().ok().filter(|id| *id > 0)?;
    let digits = words.next()?.as_bytes();
    if digits.len() != 2 * KEY_BYTES || words.next().is_some() {
        return None;
    }
    let mut key = Key::default();
    for (byte, pair) in key.iter_mut().zip(digits.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        let digit = |digit: u8| char::from(digit).to_digit(16);
        *byte = (digit(*high)? * 16 + digit(*low)?) as u8;
    }
    Some((id, key))
}

fn group_key(key: &Key, salt: &[u8; SALT_BYTES]) -> Key {
    expand(&**key, salt, b"pipehat journal group", b"")
}

/// HKDF-SHA-256 (RFC 5869) for one block of output.
fn expand(key: &[u8], salt: &[u8], label: &[u8], context: &[u8]) -> Key {
    let extracted = Zeroizing::new(<[u8; 32]>::from(
        authenticator(salt).chain_update(key).finalize().into_bytes(),
    ));
    let output = authenticator(&*extracted)
        .chain_update(label)
        .chain_update(context)
        .chain_update([1])
        .finalize();
    Zeroizing::new(output.into_bytes().into())
}

fn authenticator(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length")
}

fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(unix)]
fn refuse_open_to_others(file: &fs::File, path: &Path) -> Result<(), KeyError> {
    use std::os::unix::fs::MetadataExt;

    let metadata =
        file.metadata().map_err(|source| KeyError::Io { path: path.to_owned(), source })?;
    if metadata.mode() & 0o077 != 0 {
        return Err(KeyError::OpenToOthers { path: path.to_owned() });
    }
    Ok(())
}

#[cfg(not(unix))]
fn refuse_open_to_others(_: &fs::File, _: &Path) -> Result<(), KeyError> {
    Ok(())
}

/// Why there is no key ring.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The system could not read or write the file.
    #[error("failed to read or write key file `{}`", path.display())]
    Io {
        /// The key file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The file's mode lets others than its owner at it.
    #[error("key file `{}` is open to other users; `chmod 600` it", path.display())]
    OpenToOthers {
        /// The key file.
        path: PathBuf,
    },
    /// A file with this name exists already.
    #[error("key file `{}` exists already", path.display())]
    Exists {
        /// The key file.
        path: PathBuf,
    },
    /// A line is not a key, repeats a number, or there is no key at all.
    #[error("key file `{}`, line {line}: expected `key NUMBER 64-HEX-DIGITS`, each number once", path.display())]
    Malformed {
        /// The key file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::{KeyError, KeyRing};

    const ONES: &str = "1111111111111111111111111111111111111111111111111111111111111111";
    const TWOS: &str = "2222222222222222222222222222222222222222222222222222222222222222";

    #[test]
    fn a_created_key_file_loads_and_is_never_replaced() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("pipehat.key");
        let created = KeyRing::create(&path).expect("creates");
        let loaded = KeyRing::load(&path).expect("loads");
        assert_eq!(created.derive("a"), loaded.derive("a"));
        assert_ne!(created.derive("a"), created.derive("b"));

        assert!(matches!(KeyRing::create(&path), Err(KeyError::Exists { .. })));
        assert_eq!(KeyRing::load(&path).expect("loads").derive("a"), created.derive("a"));
        assert_eq!(std::fs::read_dir(directory.path()).expect("lists").count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn a_key_file_open_to_others_is_refused() {
        use std::{fs, os::unix::fs::PermissionsExt};

        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("pipehat.key");
        KeyRing::create(&path).expect("creates");
        assert_eq!(fs::metadata(&path).expect("exists").permissions().mode() & 0o777, 0o600);
        for (mode, refused) in [(0o600, false), (0o400, false), (0o640, true), (0o604, true)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("sets");
            let loaded = KeyRing::load(&path);
            assert_eq!(matches!(loaded, Err(KeyError::OpenToOthers { .. })), refused, "{mode:o}");
        }
    }

    #[test]
    fn the_first_key_seals_and_all_open() {
        let old = KeyRing::parse(&format!("key 1 {ONES}\n")).expect("parses");
        let rotated =
            KeyRing::parse(&format!("# rotated\n\nkey 2 {TWOS}\nkey 1 {ONES}\n")).expect("parses");
        assert_eq!((old.current_id(), rotated.current_id()), (1, 2));
        assert_eq!(
            old.derive("search"),
            rotated.derive("search"),
            "rotation keeps derived secrets"
        );
        let salt = [7; 16];
        assert_eq!(rotated.group_key_of(1, &salt), Some(old.group_key(&salt).1));
        assert_ne!(rotated.group_key(&salt).1, old.group_key(&salt).1);
        assert_ne!(old.group_key(&[8; 16]).1, old.group_key(&salt).1);
        assert_eq!(old.group_key_of(2, &salt), None);
    }

    #[test]
    fn a_malformed_key_file_names_its_line() {
        let short = &ONES[1..];
        for (text, line) in [
            (String::new(), 1),
            ("# nothing\n".to_owned(), 2),
            (format!("key 0 {ONES}"), 1),
            (format!("key 1 {short}"), 1),
            (format!("key 1 {ONES}1"), 1),
            (format!("key 1 {short}g"), 1),
            (format!("key 1 {short}é"), 1),
            (format!("key 1 {ONES}\nkey 1 {TWOS}"), 2),
            (format!("key 1 {ONES} more"), 1),
            (format!("\nlock 1 {ONES}"), 2),
        ] {
            assert_eq!(KeyRing::parse(&text).err(), Some(line), "line {line}");
        }
    }

    #[test]
    fn debug_shows_no_key() {
        let keys = KeyRing::parse(&format!("key 3 {ONES}\n")).expect("parses");
        assert_eq!(format!("{keys:?}"), r#"KeyRing { ids: [3], keys: "[redacted]" }"#);
    }

    /// RFC 5869 appendix A.3 (empty salt and info), first block.
    #[test]
    fn expansion_is_hkdf() {
        let expected = [
            0x8d, 0xa4, 0xe7, 0x75, 0xa5, 0x63, 0xc1, 0x8f, 0x71, 0x5f, 0x80, 0x2a, 0x06, 0x3c,
            0x5a, 0x31, 0xb8, 0xa1, 0x1f, 0x5c, 0x5e, 0xe1, 0x87, 0x9e, 0xc3, 0x45, 0x4e, 0x5f,
            0x3c, 0x73, 0x8d, 0x2d,
        ];
        assert_eq!(*super::expand(&[0x0b; 22], b"", b"", b""), expected);
    }
}
