//! The file with the secret.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use pipehat_testdata::mask::{KEY_BYTES, Key};

use crate::exit::Failure;
use crate::terminal::Terminal;

#[derive(Debug, thiserror::Error)]
enum KeyError {
    #[error("cannot use the key file {}", path.display())]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(
        "{} is no key file: it has to hold {} hexadecimal digits; name a file that is not there to have one made",
        path.display(),
        2 * KEY_BYTES
    )]
    Form { path: PathBuf },
}

/// The key of a file, made if it is not there; without a file one that nobody will know.
pub(super) fn load(path: Option<&Path>, terminal: &Terminal) -> Result<Key, Failure> {
    let Some(path) = path else { return Ok(Key::new(random()?)) };
    let unusable = |source| Failure::could_not(KeyError::File { path: path.to_owned(), source });
    match std::fs::read_to_string(path) {
        Ok(text) => {
            let form = || Failure::could_not(KeyError::Form { path: path.to_owned() });
            Ok(Key::new(from_hexadecimal(text.trim()).ok_or_else(form)?))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let bytes = random()?;
            let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            let mut options = OpenOptions::new();
            let mut file =
                options.write(true).create_new(true).mode(0o600).open(path).map_err(unusable)?;
            writeln!(file, "{digits}").and_then(|()| file.sync_all()).map_err(unusable)?;
            terminal.note(format_args!(
                "made the key file {}: who has it can test guesses, keep it as you keep the messages",
                path.display()
            ));
            Ok(Key::new(bytes))
        }
        Err(error) => Err(unusable(error)),
    }
}

fn random() -> Result<[u8; KEY_BYTES], Failure> {
    let mut bytes = [0; KEY_BYTES];
    getrandom::fill(&mut bytes).map_err(|error| Failure::could_not(io::Error::from(error)))?;
    Ok(bytes)
}

fn from_hexadecimal(text: &str) -> Option<[u8; KEY_BYTES]> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let mut bytes = [0; KEY_BYTES];
    if pairs.len() != KEY_BYTES || !rest.is_empty() {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(pairs) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}
