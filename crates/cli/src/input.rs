//! Reading what a command works on: a file, or standard input where the name is `-`.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::exit::Failure;

/// The most bytes that are read into memory at once. Larger files are for `pipehat send`, which reads piece by piece.
pub(crate) const INPUT_BYTES_MAX: u64 = 1 << 30;

/// A file that could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InputError {
    /// Not there, not ours, or a directory.
    #[error("cannot read {name}")]
    Read {
        /// Which file.
        name: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// More than [`INPUT_BYTES_MAX`].
    #[error("{name} has more than {INPUT_BYTES_MAX} bytes: cut it into smaller files")]
    TooLarge {
        /// Which file.
        name: String,
    },
}

impl From<InputError> for Failure {
    fn from(error: InputError) -> Self {
        Self::could_not(error)
    }
}

/// Where a command reads from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// `-`, or no name at all.
    StandardInput,
    /// A file.
    File(PathBuf),
}

impl Source {
    /// How messages to the user call it.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::StandardInput => "standard input".to_owned(),
            Self::File(path) => path.display().to_string(),
        }
    }

    /// All its bytes.
    pub(crate) fn read(&self) -> Result<Vec<u8>, InputError> {
        let read = match self {
            Self::StandardInput => read_all(io::stdin().lock(), INPUT_BYTES_MAX),
            Self::File(path) => File::open(path).and_then(|file| read_all(file, INPUT_BYTES_MAX)),
        };
        match read {
            Ok(Some(bytes)) => Ok(bytes),
            Ok(None) => Err(InputError::TooLarge { name: self.name() }),
            Err(source) => Err(InputError::Read { name: self.name(), source }),
        }
    }
}

impl From<PathBuf> for Source {
    fn from(path: PathBuf) -> Self {
        if path == Path::new("-") { Self::StandardInput } else { Self::File(path) }
    }
}

impl From<Option<PathBuf>> for Source {
    fn from(path: Option<PathBuf>) -> Self {
        path.map_or(Self::StandardInput, Self::from)
    }
}

/// All bytes, or `None` if there are more than `limit`.
fn read_all(reader: impl Read, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    reader.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(Some(bytes).filter(|bytes| bytes.len() as u64 <= limit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_is_read_up_to_its_limit() {
        assert_eq!(read_all(b"abc".as_slice(), 3).unwrap(), Some(b"abc".to_vec()));
        assert_eq!(read_all(b"abcd".as_slice(), 3).unwrap(), None);
    }

    #[test]
    fn a_hyphen_or_nothing_is_standard_input() {
        assert_eq!(Source::from(PathBuf::from("-")), Source::StandardInput);
        assert_eq!(Source::from(None), Source::StandardInput);
        assert_eq!(Source::from(PathBuf::from("a.hl7")).name(), "a.hl7");
    }
}
