//! Where the files of a project come from: a directory, or memory.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Component, Path, PathBuf};

/// The files of a project. Paths are relative to it, with `/`, and never leave it.
pub trait ProjectFiles {
    /// What a folder holds, in the order of names; nothing where there is no such folder.
    ///
    /// # Errors
    /// When the folder can't be read.
    fn list(&self, folder: &str) -> io::Result<Vec<Entry>>;

    /// A file's bytes; none where there is no such file.
    ///
    /// # Errors
    /// When the file can't be read, or has more than [`FILE_BYTES_MAX`] bytes.
    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>>;
}

/// The largest file read: code tables reach some megabytes; what is larger is no project file.
pub const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// One entry of a folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// Its name in the folder.
    pub name: String,
    /// What it is.
    pub kind: EntryKind,
}

/// What an entry of a folder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EntryKind {
    /// A file, or a link to one.
    File,
    /// A folder, or a link to one.
    Folder,
}

/// A project directory on disk.
#[derive(Debug, Clone)]
pub struct DirectoryFiles {
    root: PathBuf,
}

impl DirectoryFiles {
    /// The files below `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    fn path(&self, path: &str) -> io::Result<PathBuf> {
        let relative = Path::new(path);
        let inside = relative.components().all(|part| matches!(part, Component::Normal(_)));
        if inside || path.is_empty() {
            Ok(self.root.join(relative))
        } else {
            Err(io::Error::new(io::ErrorKind::InvalidInput, "the path leaves the project"))
        }
    }
}

impl ProjectFiles for DirectoryFiles {
    fn list(&self, folder: &str) -> io::Result<Vec<Entry>> {
        let entries = match std::fs::read_dir(self.path(folder)?) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut list = Vec::new();
        for entry in entries {
            let entry = entry?;
            // Names that are not Unicode can't be spoken of in a diagnostic, and belong to nothing.
            let Ok(name) = entry.file_name().into_string() else { continue };
            let kind = match std::fs::metadata(entry.path()) {
                Ok(metadata) if metadata.is_dir() => EntryKind::Folder,
                Ok(_) => EntryKind::File,
                // A link to nothing, such as an editor's lock file.
                Err(_) => continue,
            };
            list.push(Entry { name, kind });
        }
        list.sort();
        Ok(list)
    }

    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>> {
        let path = self.path(path)?;
        let metadata = match std::fs::metadata(&path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        if metadata.len() > FILE_BYTES_MAX {
            let message = format!("the file has more than {FILE_BYTES_MAX} bytes");
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
        }
        std::fs::read(&path).map(Some)
    }
}

/// Files in memory: what the console edits, and what tests make up.
#[derive(Debug, Clone, Default)]
pub struct MemoryFiles {
    files: BTreeMap<String, Vec<u8>>,
}

impl MemoryFiles {
    /// No file.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds or replaces a file.
    #[must_use]
    pub fn with(mut self, path: impl Into<String>, content: impl Into<Vec<u8>>) -> Self {
        self.files.insert(path.into(), content.into());
        self
    }
}

impl ProjectFiles for MemoryFiles {
    fn list(&self, folder: &str) -> io::Result<Vec<Entry>> {
        let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let mut entries = BTreeSet::new();
        for path in self.files.keys() {
            let Some(rest) = path.strip_prefix(&prefix) else { continue };
            let (name, kind) = match rest.split_once('/') {
                Some((folder, _)) => (folder, EntryKind::Folder),
                None => (rest, EntryKind::File),
            };
            entries.insert(Entry { name: name.to_owned(), kind });
        }
        Ok(entries.into_iter().collect())
    }

    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>> {
        Ok(self.files.get(path).cloned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(files: &dyn ProjectFiles) {
        let entry = |name: &str, kind| Entry { name: name.to_owned(), kind };
        assert_eq!(
            files.list("").expect("a folder"),
            [entry("channels", EntryKind::Folder), entry("pipehat.yaml", EntryKind::File)]
        );
        assert_eq!(
            files.list("channels").expect("a folder"),
            [entry("a.yaml", EntryKind::File), entry("b.yaml", EntryKind::File)]
        );
        assert_eq!(files.list("tables").expect("no folder"), []);
        assert_eq!(files.read("channels/b.yaml").expect("a file").as_deref(), Some(&b"b"[..]));
        assert_eq!(files.read("channels/c.yaml").expect("no file"), None);
    }

    #[test]
    fn memory_and_directory_answer_alike() {
        let memory = MemoryFiles::new()
            .with("pipehat.yaml", "")
            .with("channels/b.yaml", "b")
            .with("channels/a.yaml", "a");
        check(&memory);
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::create_dir(directory.path().join("channels")).expect("a folder");
        for (path, content) in &memory.files {
            std::fs::write(directory.path().join(path), content).expect("a file");
        }
        check(&DirectoryFiles::new(directory.path()));
    }

    #[test]
    fn no_path_leaves_the_project() {
        let files = DirectoryFiles::new("/tmp");
        assert!(files.read("../etc/passwd").is_err());
        assert!(files.read("/etc/passwd").is_err());
        assert!(files.list("..").is_err());
    }
}
