//! The folder that is watched and the working folder inside it, where claimed files are.
//!
//! A file is *claimed* by renaming it into the working folder under a random key: of two engines that try, the file
//! system lets one succeed. The key is part of the claimed file's name, so that it outlives a restart, and parts of
//! the file are known to the engine under it. A key of the content would be the same for a file that a person puts
//! back to have it taken again; a random one is as exact, and costs no reading ahead.
//!
//! The working folder is held by a lock for as long as the source runs: what is found in it belongs to whoever holds
//! the lock. Two engines may share a watched folder when each has a working folder of its own.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use super::codes;
use super::disk::{self, Identity};

/// The working folder's name unless configured.
pub(super) const WORKING_FOLDER: &str = ".pipehat";

const LOCK_FILE: &str = "lock";

/// What the names of notes end in.
const NOTES: &str = "notes";

/// Hexadecimal characters of a key.
const KEY_CHARS: usize = 16;

/// The longest name common file systems take.
const NAME_BYTES_MAX: usize = 255;

/// The watched and the working folder, the latter locked.
#[derive(Debug)]
pub(super) struct Workplace {
    folder: PathBuf,
    working: PathBuf,
    /// Holds the lock while open.
    lock: File,
}

/// A file that is ours to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Claim {
    /// What the engine knows its parts by.
    pub(super) key: String,
    /// The name it had, without its folder.
    pub(super) name: OsString,
    /// Where it is now.
    pub(super) path: PathBuf,
}

/// Why a folder can't be worked in.
#[derive(Debug, thiserror::Error)]
pub(super) enum WorkplaceError {
    /// The watched folder is missing or can't be read.
    #[error("the folder {} can't be read: {}", .path.display(), disk::reason(.source))]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The working folder can't be made or written to.
    #[error("the working folder {} can't be used: {}", .path.display(), disk::reason(.source))]
    Working {
        /// The folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// Somebody else holds the working folder.
    #[error(
        "another engine or channel works in {}: give each a working folder of its own by `working:`",
        .path.display()
    )]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// A rename can't move a file to another file system at one stroke.
    #[error(
        "the working folder {} is on another file system than the files: it must be on the same one, because a file is \
         claimed by renaming it",
        .path.display()
    )]
    OtherFileSystem {
        /// The folder.
        path: PathBuf,
    },
}

impl WorkplaceError {
    /// The operator code.
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::Folder { .. } => codes::FOLDER_UNREADABLE.code,
            Self::Working { .. } => codes::WORKING_FOLDER.code,
            Self::InUse { .. } => codes::FOLDER_IN_USE.code,
            Self::OtherFileSystem { .. } => codes::OTHER_FILE_SYSTEM.code,
        }
    }
}

impl Workplace {
    /// Makes the working folder if need be, and locks it. The watched folder must be there.
    pub(super) fn open(folder: &Path, working: &Path) -> Result<Self, WorkplaceError> {
        let folder_error = |source| WorkplaceError::Folder { path: folder.to_owned(), source };
        let working_error = |source| WorkplaceError::Working { path: working.to_owned(), source };
        let watched = fs::metadata(folder).map_err(folder_error)?;
        if !watched.is_dir() {
            return Err(folder_error(io::Error::from(io::ErrorKind::NotADirectory)));
        }
        disk::make_folder(working).map_err(working_error)?;
        let own = fs::metadata(working).map_err(working_error)?;
        if Identity::of(&watched).device != Identity::of(&own).device {
            return Err(WorkplaceError::OtherFileSystem { path: working.to_owned() });
        }
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(working.join(LOCK_FILE))
            .map_err(working_error)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(WorkplaceError::InUse { path: working.to_owned() });
            }
            // Some network shares know no locks. Then nothing tells of a second engine in the same working
            // folder; that there is none is for the configuration to see to.
            Err(TryLockError::Error(_)) => {}
        }
        let workplace = Self { folder: folder.to_owned(), working: working.to_owned(), lock };
        workplace.forget_old_notes().map_err(working_error)?;
        Ok(workplace)
    }

    /// Removes notes whose file was put away when we died.
    fn forget_old_notes(&self) -> io::Result<()> {
        let claims = self.claimed()?;
        for entry in fs::read_dir(&self.working)? {
            let path = entry?.path();
            let is_old = path.extension() == Some(OsStr::new(NOTES))
                && claims.iter().all(|claim| claim.notes() != path);
            if is_old {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    /// Whether the working folder is still the one that was locked: it is not after a share was mounted again.
    pub(super) fn is_current(&self) -> bool {
        let at_path = fs::metadata(self.working.join(LOCK_FILE));
        let held = self.lock.metadata();
        matches!((at_path, held), (Ok(at_path), Ok(held))
            if Identity::of(&at_path) == Identity::of(&held))
    }

    /// The files claimed and not finished, in no order.
    pub(super) fn claimed(&self) -> io::Result<Vec<Claim>> {
        let mut claims = Vec::new();
        for entry in fs::read_dir(&self.working)? {
            let entry = entry?;
            if let Some(claim) = Claim::read(&entry.file_name(), &self.working) {
                claims.push(claim);
            }
        }
        Ok(claims)
    }

    /// Takes a file of the watched folder. `None` when it is gone: somebody else took it.
    pub(super) fn claim(&self, name: &OsStr) -> io::Result<Option<Claim>> {
        let key = disk::random_name()?;
        let mut claimed = OsString::from(format!("{key}-"));
        claimed.push(name);
        let path = self.working.join(claimed);
        match fs::rename(self.folder.join(name), &path) {
            Ok(()) => Ok(Some(Claim { key, name: name.to_owned(), path })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes claims durable. Only then may parts be handed over: otherwise a power failure could give a file its old
    /// name back, and it would be taken a second time.
    pub(super) fn sync(&self) -> io::Result<()> {
        disk::sync_folder(&self.working)?;
        disk::sync_folder(&self.folder)
    }
}

impl Claim {
    /// Whether a name leaves room for the key before it.
    pub(super) fn has_room(name: &OsStr) -> bool {
        name.len() + KEY_CHARS < NAME_BYTES_MAX
    }

    fn read(claimed: &OsStr, working: &Path) -> Option<Self> {
        let bytes = claimed.as_encoded_bytes();
        let (key, rest) = bytes.split_at_checked(KEY_CHARS)?;
        let is_key = key.iter().all(u8::is_ascii_hexdigit);
        let name = name_behind(claimed, rest.strip_prefix(b"-")?.len())?;
        if !is_key || name.is_empty() {
            return None;
        }
        let key = String::from_utf8_lossy(key).into_owned();
        Some(Self { key, name, path: working.join(claimed) })
    }

    /// Where refusals are noted while the file is read.
    pub(super) fn notes(&self) -> PathBuf {
        self.path.with_file_name(format!("{}.{NOTES}", self.key))
    }
}

/// The last bytes of a name.
#[cfg(unix)]
fn name_behind(claimed: &OsStr, bytes: usize) -> Option<OsString> {
    use std::os::unix::ffi::OsStrExt;
    let all = claimed.as_bytes();
    all.get(all.len().checked_sub(bytes)?..).map(|name| OsStr::from_bytes(name).to_owned())
}

#[cfg(not(unix))]
fn name_behind(claimed: &OsStr, bytes: usize) -> Option<OsString> {
    let all = claimed.to_str()?;
    all.get(all.len().checked_sub(bytes)?..).map(OsString::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workplace(folder: &Path) -> Result<Workplace, WorkplaceError> {
        Workplace::open(folder, &folder.join(WORKING_FOLDER))
    }

    #[test]
    fn of_two_claims_one_succeeds() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let one = workplace(folder.path())?;
        let other = Workplace::open(folder.path(), &folder.path().join("other"))?;
        fs::write(folder.path().join("a.hl7"), "MSH")?;
        let claim = one.claim(OsStr::new("a.hl7"))?.expect("nobody else took it");
        assert_eq!(other.claim(OsStr::new("a.hl7"))?, None);
        assert_eq!(one.claimed()?, [claim]);
        assert_eq!(other.claimed()?, []);
        Ok(())
    }

    #[test]
    fn a_working_folder_has_one_holder() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let first = workplace(folder.path())?;
        let second = workplace(folder.path()).expect_err("the folder is held");
        assert_eq!(second.code(), "file.folder-in-use");
        drop(first);
        workplace(folder.path())?;
        Ok(())
    }

    #[test]
    fn a_claim_is_known_again_by_its_file() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let name = OsString::from("x".repeat(NAME_BYTES_MAX - KEY_CHARS - 1));
        assert!(Claim::has_room(&name));
        fs::write(folder.path().join(&name), "MSH")?;
        let claim = workplace(folder.path())?.claim(&name)?.expect("nobody else took it");
        assert_eq!(workplace(folder.path())?.claimed()?, [claim]);
        assert!(!Claim::has_room(&OsString::from("x".repeat(NAME_BYTES_MAX - KEY_CHARS))));
        Ok(())
    }

    #[test]
    fn notes_go_when_their_file_is_gone() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        fs::write(folder.path().join("a.hl7"), "MSH")?;
        let claim = workplace(folder.path())?.claim(OsStr::new("a.hl7"))?.expect("it is there");
        fs::write(claim.notes(), "1\n")?;
        workplace(folder.path())?;
        assert!(claim.notes().exists());
        fs::remove_file(&claim.path)?;
        workplace(folder.path())?;
        assert!(!claim.notes().exists());
        Ok(())
    }

    #[test]
    fn a_folder_that_came_anew_is_noticed() -> Result<(), Box<dyn std::error::Error>> {
        let parent = tempfile::tempdir()?;
        let folder = parent.path().join("in");
        assert!(matches!(workplace(&folder), Err(WorkplaceError::Folder { .. })));
        fs::create_dir(&folder)?;
        let held = workplace(&folder)?;
        assert!(held.is_current());
        fs::rename(&folder, parent.path().join("unmounted"))?;
        assert!(!held.is_current());
        fs::create_dir(&folder)?;
        workplace(&folder)?;
        assert!(!held.is_current());
        Ok(())
    }
}
