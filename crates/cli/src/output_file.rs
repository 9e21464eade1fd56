//! Writing a file so that nobody ever sees half of it.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::exit::Failure;

/// A file that could not be written. The file of that name is as it was.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}", path.display())]
pub(crate) struct OutputFileError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

impl From<OutputFileError> for Failure {
    fn from(error: OutputFileError) -> Self {
        Self::could_not(error)
    }
}

/// Puts a file with these bytes in the place of the one with this name, which keeps its permissions.
///
/// Where the name is a link, what it points to is replaced. What is not a plain file (`/dev/null`, a pipe) is written
/// to as it is.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), OutputFileError> {
    try_replace(path, bytes).map_err(|source| OutputFileError { path: path.to_owned(), source })
}

/// Makes a new file; one that exists is left alone and is an error.
pub(crate) fn create(path: &Path, bytes: &[u8]) -> Result<(), OutputFileError> {
    let create = || File::create_new(path)?.write_all(bytes);
    create().map_err(|source| OutputFileError { path: path.to_owned(), source })
}

fn try_replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    stream(path, |file| file.write_all(bytes))
}

/// Puts a file with what is written in the place of the one with this name, as [`replace`] does.
pub(crate) fn stream(
    path: &Path,
    content: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<()> {
    let existing = match fs::metadata(path) {
        Ok(metadata) => Some(metadata),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    if existing.as_ref().is_some_and(|metadata| !metadata.is_file()) {
        return content(&mut File::options().write(true).open(path)?);
    }
    let path = if existing.is_some() { path.canonicalize()? } else { path.to_owned() };
    let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
    let mut temporary_name = std::ffi::OsString::from(".");
    temporary_name.push(name);
    temporary_name.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(temporary_name);
    let write = || {
        let mut file = File::create_new(&temporary)?;
        if let Some(existing) = &existing {
            file.set_permissions(existing.permissions())?;
        }
        content(&mut file)?;
        file.sync_all()?;
        fs::rename(&temporary, &path)
    };
    write().inspect_err(|_| {
        // The first error is the one to tell.
        let _ = fs::remove_file(&temporary);
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_and_keeps_its_permissions() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.hl7");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        replace(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing is left over");
    }

    #[test]
    fn a_link_is_followed_and_stays_a_link() {
        let directory = tempfile::tempdir().unwrap();
        let (path, link) = (directory.path().join("a.hl7"), directory.path().join("b.hl7"));
        fs::write(&path, "old").unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        replace(&link, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }

    #[test]
    fn creating_leaves_an_existing_file_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.hl7");
        create(&path, b"first").unwrap();
        assert!(create(&path, b"second").is_err());
        assert_eq!(fs::read(&path).unwrap(), b"first");
    }
}
