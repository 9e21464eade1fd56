//! The data directory: what is in it, its key, and what sets this installation apart.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use pipehat_engine::InstallationTag;
use pipehat_journal::{KeyError, KeyRing};
use serde::{Deserialize, Serialize};

use crate::api::AdminAccess;

const FORMAT: u32 = 1;

/// A data directory and the key that seals it.
#[derive(Debug, Clone)]
pub struct DataDirectory {
    root: PathBuf,
    key_file: PathBuf,
}

/// Why a data directory can't be used.
#[derive(Debug, thiserror::Error)]
pub enum InstallationError {
    /// The system could not read or write it.
    #[error("failed to access {path}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The key file lies inside the data it seals.
    #[error(
        "the key file {key_file} lies inside the data directory {root}: whoever copies the data \
         would have the key; put it elsewhere with --key-file or `key_file:`"
    )]
    KeyInside {
        /// The key file.
        key_file: PathBuf,
        /// The data directory.
        root: PathBuf,
    },
    /// There is data and no key.
    #[error(
        "there is a journal in {root}, but its key file {key_file} is missing; restore the key \
         file, or name where it is with --key-file"
    )]
    KeyMissing {
        /// The key file.
        key_file: PathBuf,
        /// The data directory.
        root: PathBuf,
    },
    /// The key file can't be used.
    #[error("the key file {key_file} can't be used")]
    Key {
        /// The key file.
        key_file: PathBuf,
        /// Why.
        #[source]
        source: KeyError,
    },
    /// The installation file is not what this release writes.
    #[error("{path} can't be read: it is damaged, or of a later release")]
    Content {
        /// Which file.
        path: PathBuf,
    },
}

#[derive(Debug, Serialize, Deserialize)]
struct Installation {
    format_version: u32,
    tag: u32,
    lane_key: u64,
}

impl DataDirectory {
    /// A data directory, and where its key is: beside it unless said otherwise.
    pub fn new(root: impl Into<PathBuf>, key_file: Option<PathBuf>) -> Self {
        let root: PathBuf = root.into();
        let key_file = key_file.unwrap_or_else(|| {
            let mut name = root.file_name().unwrap_or_default().to_owned();
            name.push(".key");
            root.with_file_name(name)
        });
        Self { root, key_file }
    }

    /// Its path.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The key file's path.
    pub fn key_file(&self) -> &Path {
        &self.key_file
    }

    /// The folder of the journal.
    pub fn journal(&self) -> PathBuf {
        self.root.join("journal")
    }

    /// The file of the message index.
    pub fn index(&self) -> PathBuf {
        self.root.join("index.sqlite")
    }

    /// The file of the embedded FHIR datastore.
    pub fn datastore(&self) -> PathBuf {
        self.root.join("datastore.sqlite")
    }

    /// The file of the audit log.
    pub fn audit(&self) -> PathBuf {
        self.root.join("audit.sqlite")
    }

    /// The file of the clients of the FHIR API.
    pub fn clients(&self) -> PathBuf {
        self.root.join("clients.json")
    }

    /// The folder where channels that follow the datastore note how far they got.
    pub fn feeds(&self) -> PathBuf {
        self.root.join("feeds")
    }

    /// The file of what Subscriptions have to be told.
    pub fn deliveries(&self) -> PathBuf {
        self.root.join("deliveries.sqlite")
    }

    /// The file of the runs of bots.
    pub fn bots(&self) -> PathBuf {
        self.root.join("bots.sqlite")
    }

    /// The file that tells the command line where the API is and the token it needs.
    pub fn admin_file(&self) -> PathBuf {
        self.root.join("admin.json")
    }

    /// Makes the directory, readable by its owner only, if it is not there.
    ///
    /// # Errors
    /// When the system can't.
    pub fn create(&self) -> Result<(), InstallationError> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.root)
            .map_err(|source| InstallationError::Io { path: self.root.clone(), source })
    }

    /// The key that seals the data; made on the first start.
    ///
    /// # Errors
    /// When the key is missing although there is data, lies inside the data, or can't be read.
    pub fn key(&self) -> Result<KeyRing, InstallationError> {
        self.refuse_inside()?;
        let wrong = |source| InstallationError::Key { key_file: self.key_file.clone(), source };
        if self.key_file.exists() {
            return KeyRing::load(&self.key_file).map_err(wrong);
        }
        if self.has_journal() {
            return Err(self.key_missing());
        }
        KeyRing::create(&self.key_file).map_err(wrong)
    }

    /// The key of data that is there; never makes one.
    ///
    /// # Errors
    /// When the key is missing or can't be read.
    pub fn existing_key(&self) -> Result<KeyRing, InstallationError> {
        if !self.key_file.exists() {
            return Err(self.key_missing());
        }
        KeyRing::load(&self.key_file)
            .map_err(|source| InstallationError::Key { key_file: self.key_file.clone(), source })
    }

    pub(crate) fn key_missing(&self) -> InstallationError {
        InstallationError::KeyMissing { key_file: self.key_file.clone(), root: self.root.clone() }
    }

    fn refuse_inside(&self) -> Result<(), InstallationError> {
        let absolute = |path: &Path| {
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            let parent = parent.unwrap_or(Path::new("."));
            fs::canonicalize(parent).map(|parent| parent.join(path.file_name().unwrap_or_default()))
        };
        match (absolute(&self.key_file), fs::canonicalize(&self.root)) {
            (Ok(key_file), Ok(root)) if key_file.starts_with(&root) => {
                Err(InstallationError::KeyInside {
                    key_file: self.key_file.clone(),
                    root: self.root.clone(),
                })
            }
            _ => Ok(()),
        }
    }

    /// Whether it is a data directory: a Pipehat ran on it, or a client was added.
    pub fn is_in_use(&self) -> bool {
        self.clients().exists() || self.root.join("installation.json").exists()
    }

    /// Whether messages were ever kept here.
    pub fn has_journal(&self) -> bool {
        fs::read_dir(self.journal()).is_ok_and(|mut entries| {
            entries.any(|entry| {
                entry.is_ok_and(|entry| {
                    entry.path().extension().is_some_and(|extension| extension == "chunk")
                })
            })
        })
    }

    /// What sets this installation apart; made on the first start.
    ///
    /// # Errors
    /// When the file can't be read or written.
    pub fn installation(&self) -> Result<(InstallationTag, u64), InstallationError> {
        let path = self.root.join("installation.json");
        let io = |source| InstallationError::Io { path: path.clone(), source };
        let stored = match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text)
                .ok()
                .filter(|stored: &Installation| stored.format_version == FORMAT)
                .ok_or_else(|| InstallationError::Content { path: path.clone() })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let random = |source: getrandom::Error| io(source.into());
                let stored = Installation {
                    format_version: FORMAT,
                    tag: getrandom::u32().map_err(random)?,
                    lane_key: getrandom::u64().map_err(random)?,
                };
                let text = serde_json::to_vec(&stored).map_err(|error| io(error.into()))?;
                write_private(&path, &text).map_err(io)?;
                stored
            }
            Err(error) => return Err(io(error)),
        };
        Ok((InstallationTag::of(stored.tag), stored.lane_key))
    }

    /// Writes where the API is, for the command line of the same user.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn write_admin(&self, access: &AdminAccess) -> Result<(), InstallationError> {
        let path = self.admin_file();
        let io = |source| InstallationError::Io { path: path.clone(), source };
        let text = serde_json::to_vec_pretty(access).map_err(|error| io(error.into()))?;
        write_private(&path, &text).map_err(io)
    }

    /// Where the API of the Pipehat that runs on this data is; none when none has started.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn read_admin(&self) -> Result<Option<AdminAccess>, InstallationError> {
        let path = self.admin_file();
        match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text)
                .map(Some)
                .map_err(|_| InstallationError::Content { path }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(InstallationError::Io { path, source }),
        }
    }

    /// Takes the file away: nothing runs any more.
    pub fn remove_admin(&self) {
        // What is left of it only leads to a refused connection.
        let _ = fs::remove_file(self.admin_file());
    }
}

/// Replaces a file by one that only its owner may read.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("new");
    let _ = fs::remove_file(&temporary);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    if let Some(directory) = path.parent() {
        File::open(directory)?.sync_all()?;
    }
    Ok(())
}
