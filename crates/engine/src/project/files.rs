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

    /// Scripts and tables are read where they lie below the project, and nowhere else: what a link leads to outside of it
    /// belongs to somebody else. Links within it (as Kubernetes mounts files) are as good as files.
    fn is_led_out(&self, relative: &str, path: &Path) -> io::Result<bool> {
        let is_script = SCRIPTS.iter().any(|ending| relative.ends_with(ending));
        if !is_script && !relative.starts_with("tables/") {
            return Ok(false);
        }
        Ok(!path.canonicalize()?.starts_with(self.root.canonicalize()?))
    }
}

/// How the names of scripts, and of what they import, end.
const SCRIPTS: [&str; 6] = [".ts", ".mts", ".js", ".mjs", ".cjs", ".json"];

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

    fn read(&self, relative: &str) -> io::Result<Option<Vec<u8>>> {
        let path = self.path(relative)?;
        let metadata = match std::fs::metadata(&path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        if self.is_led_out(relative, &path)? {
            let message =
                "it is a symbolic link to outside of the project: put the file itself there";
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
        }
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

    #[cfg(unix)]
    #[test]
    fn no_link_leads_scripts_and_tables_out_of_the_project() {
        use std::os::unix::fs::symlink;
        let directory = tempfile::tempdir().expect("a directory");
        let root = directory.path().join("project");
        for folder in ["bots", "tables", "channels"] {
            std::fs::create_dir_all(root.join(folder)).expect("a folder");
        }
        std::fs::write(directory.path().join("outside"), "secret").expect("a file");
        std::fs::write(root.join("inside"), "own").expect("a file");
        // The project itself may be reached by a link.
        symlink(&root, directory.path().join("link")).expect("a link");
        let files = DirectoryFiles::new(directory.path().join("link"));
        for path in ["bots/a.ts", "bots/a.mjs", "bots/a.json", "tables/a.csv", "channels/a.yaml"] {
            symlink(directory.path().join("outside"), root.join(path)).expect("a link");
            let read = files.read(path);
            if path.starts_with("channels") {
                assert_eq!(read.expect("configuration may").as_deref(), Some(&b"secret"[..]));
            } else {
                let error = read.expect_err(path).to_string();
                assert!(error.contains("outside of the project"), "{path}: {error}");
            }
            std::fs::remove_file(root.join(path)).expect("removed");
            symlink("../inside", root.join(path)).expect("a link");
            assert_eq!(files.read(path).expect("its own").as_deref(), Some(&b"own"[..]), "{path}");
        }
    }

    #[test]
    fn no_path_leaves_the_project() {
        let files = DirectoryFiles::new("/tmp");
        assert!(files.read("../etc/passwd").is_err());
        assert!(files.read("/etc/passwd").is_err());
        assert!(files.list("..").is_err());
    }
}
