//! Keeping received messages, each in a file of its own.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::output_file::{self, OutputFileError};

/// How much of a control id a file name holds.
const NAME_CHARS_MAX: usize = 40;

/// A directory to which numbered files are added.
pub(super) struct Folder {
    directory: PathBuf,
    last: u64,
}

impl Folder {
    /// Makes the directory if it is not there; numbers go on after those of the files in it.
    pub(super) fn open(directory: &Path) -> io::Result<Self> {
        fs::create_dir_all(directory)?;
        let mut last = 0;
        for entry in fs::read_dir(directory)? {
            let name = entry?.file_name();
            let number = name.to_string_lossy();
            let number = number.split('-').next().and_then(|digits| digits.parse().ok());
            last = last.max(number.unwrap_or(0));
        }
        Ok(Self { directory: directory.to_owned(), last })
    }

    /// Keeps one message. What is in its header can't lead out of the directory.
    pub(super) fn keep(
        &mut self,
        control_id: &str,
        message: &[u8],
    ) -> Result<PathBuf, OutputFileError> {
        self.last = self.last.saturating_add(1);
        let safe =
            |character: char| if character.is_ascii_alphanumeric() { character } else { '_' };
        let id: String = control_id.chars().take(NAME_CHARS_MAX).map(safe).collect();
        let path = self.directory.join(format!("{:06}-{id}.hl7", self.last));
        output_file::create(&path, message)?;
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_on_and_names_stay_in_the_directory() {
        let directory = tempfile::tempdir().unwrap();
        let mut folder = Folder::open(directory.path()).unwrap();
        let first = folder.keep("../../etc/passwd", b"1").unwrap();
        assert_eq!(first, directory.path().join("000001-______etc_passwd.hl7"));
        let mut folder = Folder::open(directory.path()).unwrap();
        let second = folder.keep(&"9".repeat(100), b"2").unwrap();
        assert_eq!(second, directory.path().join(format!("000002-{}.hl7", "9".repeat(40))));
        assert_eq!(fs::read(second).unwrap(), b"2");
    }
}
