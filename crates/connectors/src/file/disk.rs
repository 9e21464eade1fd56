//! What files and folders are asked to do, with what network shares make of it. Everything here blocks.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// How many numbered names are tried before a random one.
const NUMBERED_NAMES: u32 = 20;

/// How many random characters tell names apart.
const RANDOM_CHARS: usize = 16;

/// Gives a file another name on the same file system, and never replaces what has that name.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`] when the name is taken.
pub(super) fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    match rename_unless_taken(from, to) {
        // NFS and SMB know no such rename: a second name and the removal of the first do the same.
        Err(error) if is_unsupported(&error) => match fs::hard_link(from, to) {
            Ok(()) => fs::remove_file(from),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
            // Nor hard links (SMB, FAT): only writers of the same folder could come between these two.
            Err(_) if fs::symlink_metadata(to).is_ok() => {
                Err(io::Error::from(io::ErrorKind::AlreadyExists))
            }
            Err(_) => fs::rename(from, to),
        },
        other => other,
    }
}

#[cfg(target_os = "linux")]
fn rename_unless_taken(from: &Path, to: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    Ok(renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE)?)
}

#[cfg(not(target_os = "linux"))]
fn rename_unless_taken(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::Error::from(io::ErrorKind::Unsupported))
}

fn is_unsupported(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::Unsupported | io::ErrorKind::InvalidInput)
}

/// Who may read and write a new file, as in `chmod`; the process's umask may take more away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mode(u32);

impl Mode {
    /// Reads three or four octal digits that let ourselves read and write.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('0').filter(|_| text.len() == 4).unwrap_or(text);
        let is_octal = digits.len() == 3 && digits.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
        let mode = u32::from_str_radix(digits, 8).ok().filter(|_| is_octal)?;
        (mode & 0o600 == 0o600).then_some(Self(mode))
    }

    /// Has files opened with `options` made so. Other systems than Unix have other ways.
    pub(super) fn of_new_files(self, options: &mut fs::OpenOptions) -> &mut fs::OpenOptions {
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(options, self.0);
        options
    }
}

/// Puts a folder's entries on stable storage, so that a rename survives a power failure.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(not(unix)) {
        return Ok(());
    }
    match File::open(folder)?.sync_all() {
        // Servers of network shares make a rename durable before they answer, and refuse this call.
        Err(error) if is_unsupported(&error) => Ok(()),
        other => other,
    }
}

/// Makes a folder unless it is there. Its parent must be there: a share that is not mounted is not made up for.
pub(super) fn make_folder(folder: &Path) -> io::Result<()> {
    match fs::create_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

/// Moves a file into a folder, on another file system too, under its name or one that a number makes new.
///
/// # Errors
/// As the file system says; then the file is still where it was.
pub(super) fn move_into(from: &Path, folder: &Path, name: &OsStr) -> io::Result<PathBuf> {
    make_folder(folder)?;
    for attempt in 1..=NUMBERED_NAMES + 1 {
        let to = folder.join(nth_name(name, attempt)?);
        match rename_new(from, &to) {
            Ok(()) => return Ok(to),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                return copy_into(from, folder, name);
            }
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::from(io::ErrorKind::AlreadyExists))
}

fn copy_into(from: &Path, folder: &Path, name: &OsStr) -> io::Result<PathBuf> {
    let copy = folder.join(format!(".{}.pipehat", random_name()?));
    let copied = fs::copy(from, &copy).and_then(|_| File::open(&copy)?.sync_all());
    let moved = copied.and_then(|()| move_into(&copy, folder, name));
    match moved {
        Ok(to) => {
            sync_folder(folder)?;
            fs::remove_file(from)?;
            Ok(to)
        }
        Err(error) => {
            // The copy is of no use, and the file itself is untouched.
            let _ = fs::remove_file(&copy);
            Err(error)
        }
    }
}

/// The name itself for 1, then `adt-2.hl7`, `adt-3.hl7` …, and after some a random one: folders with
/// thousands of files of one name must not make each move slower than the one before.
pub(super) fn nth_name(name: &OsStr, attempt: u32) -> io::Result<OsString> {
    let suffix = match attempt {
        0 | 1 => return Ok(name.to_owned()),
        2..=NUMBERED_NAMES => format!("-{attempt}"),
        _ => format!("-{}", random_name()?),
    };
    let path = Path::new(name);
    let mut numbered = path.file_stem().unwrap_or(name).to_owned();
    numbered.push(suffix);
    if let Some(extension) = path.extension() {
        numbered.push(".");
        numbered.push(extension);
    }
    Ok(numbered)
}

/// Sixteen random characters, unlike any made before.
pub(super) fn random_name() -> io::Result<String> {
    let mut bytes = [0_u8; RANDOM_CHARS / 2];
    getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// What tells one file from another on this machine, however they are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    /// The file system.
    pub(super) device: u64,
    /// The file within it.
    pub(super) number: u64,
}

impl Identity {
    /// Reads it of what [`fs::metadata`] tells.
    #[cfg(unix)]
    pub(super) fn of(metadata: &fs::Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        Self { device: metadata.dev(), number: metadata.ino() }
    }

    /// Other systems do not tell: all files look alike.
    #[cfg(not(unix))]
    pub(super) fn of(_: &fs::Metadata) -> Self {
        Self { device: 0, number: 0 }
    }
}

/// What went wrong, in words that hold no file name: names may hold patient data.
pub(super) fn reason(error: &io::Error) -> String {
    let kind = match error.kind() {
        io::ErrorKind::NotFound => "there is no such file or folder".to_owned(),
        kind => kind.to_string(),
    };
    match error.raw_os_error() {
        Some(number) => format!("{kind} (system error {number})"),
        None => kind,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_move_never_replaces() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let done = folder.path().join("done");
        let mut names = Vec::new();
        for number in 0..NUMBERED_NAMES + 2 {
            let from = folder.path().join("adt.hl7");
            fs::write(&from, number.to_string())?;
            let to = move_into(&from, &done, OsStr::new("adt.hl7"))?;
            assert_eq!(fs::read_to_string(&to)?, number.to_string());
            assert!(!from.exists());
            names.push(to);
        }
        let named =
            |index: usize| names.get(index).and_then(|name| name.file_name()).unwrap_or_default();
        assert_eq!((named(0), named(1)), (OsStr::new("adt.hl7"), OsStr::new("adt-2.hl7")));
        names.dedup();
        assert_eq!(fs::read_dir(&done)?.count(), names.len());
        Ok(())
    }

    #[test]
    fn a_copy_ends_under_its_name_and_leaves_nothing_behind() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let (from, done) = (folder.path().join("a"), folder.path().join("done"));
        fs::write(&from, "new")?;
        fs::create_dir(&done)?;
        fs::write(done.join("a"), "old")?;
        assert_eq!(copy_into(&from, &done, OsStr::new("a"))?, done.join("a-2"));
        assert!(!from.exists());
        assert_eq!(fs::read_dir(&done)?.count(), 2);
        assert_eq!(fs::read_to_string(done.join("a-2"))?, "new");
        Ok(())
    }

    #[test]
    fn modes() {
        for (text, mode) in [("640", 0o640), ("0640", 0o640), ("600", 0o600), ("0777", 0o777)] {
            assert_eq!(Mode::parse(text), Some(Mode(mode)), "{text}");
        }
        for wrong in ["", "64", "0o640", "648", "1640", "00640", "440", "+64", "rw-"] {
            assert_eq!(Mode::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn reasons_hold_no_names() {
        let error = fs::read("/nowhere/DOE^JANE").expect_err("there is no such file");
        assert_eq!(reason(&error), "there is no such file or folder (system error 2)");
    }
}
