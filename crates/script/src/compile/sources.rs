//! Where the files of a script come from.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// Where the files of a script come from. Paths are relative to the project, with `/`, and never begin with `..`.
pub trait Sources {
    /// The content of a file; none if there is no such file.
    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>>;
}

/// The largest file that is read.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// The project's directory. What a symbolic link leads to outside of it is not there.
#[derive(Debug, Clone)]
pub struct ProjectDirectory {
    root: PathBuf,
}

impl ProjectDirectory {
    /// The directory at `root`.
    pub fn new(root: impl AsRef<Path>) -> io::Result<Self> {
        Ok(Self { root: root.as_ref().canonicalize()? })
    }
}

impl Sources for ProjectDirectory {
    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>> {
        let absent = |error: &io::Error| {
            matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
        };
        let real = match self.root.join(path).canonicalize() {
            Err(error) if absent(&error) => return Ok(None),
            real => real?,
        };
        let metadata = fs::metadata(&real)?;
        if !real.starts_with(&self.root) || !metadata.is_file() {
            return Ok(None);
        }
        if metadata.len() > FILE_BYTES_MAX {
            let message = format!("it has more than {FILE_BYTES_MAX} bytes");
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
        }
        fs::read(&real).map(Some)
    }
}

/// Files in memory, by path.
impl Sources for BTreeMap<String, String> {
    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>> {
        Ok(self.get(path).map(|text| text.clone().into_bytes()))
    }
}
