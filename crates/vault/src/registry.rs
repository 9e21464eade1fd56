//! Which databases are open in this process, and what seals them.
//!
//! SQLite opens files by their names, the log's often long after the database's; here is what their key is. A name
//! holds no secret, so nothing of a key can appear where SQLite shows names.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

use crate::failure::VaultError;
use crate::key::Key;
use crate::seal::Seal;

/// By absolute path without symbolic links, which is the name SQLite uses. What nobody has open any more is dropped.
static OPEN: LazyLock<Mutex<HashMap<PathBuf, Weak<Seal>>>> = LazyLock::new(Mutex::default);

/// What seals this database; from now on it is found by its path, while somebody has it.
pub(crate) fn register(path: &Path, key: &Key) -> Result<Arc<Seal>, VaultError> {
    let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    open.retain(|_, seal| seal.strong_count() > 0);
    if let Some(seal) = open.get(path).and_then(Weak::upgrade) {
        if *seal.check() != key.check() {
            return Err(VaultError::OpenUnderOtherKey(path.to_owned()));
        }
        return Ok(seal);
    }
    let seal = Arc::new(Seal::new(key).map_err(VaultError::Randomness)?);
    open.insert(path.to_owned(), Arc::downgrade(&seal));
    Ok(seal)
}

/// What seals the database that is open by this path.
pub(crate) fn find(path: &Path) -> Option<Arc<Seal>> {
    OPEN.lock().unwrap_or_else(PoisonError::into_inner).get(path).and_then(Weak::upgrade)
}
