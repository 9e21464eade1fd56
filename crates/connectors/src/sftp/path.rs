//! Paths on a server: below the directory of its settings, and nowhere else.

use super::SftpError;

/// The longest path: what POSIX systems take (`PATH_MAX`).
const PATH_BYTES_MAX: usize = 4096;

/// The longest name that is written as it is with what marks an unfinished file; systems take 255 bytes.
const NAME_IN_PARTIAL_BYTES_MAX: usize = 200;

/// A path below the directory, as somebody wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RelativePath {
    /// Without the empty ones and `.`.
    names: Vec<String>,
}

impl RelativePath {
    /// Reads a path.
    pub(super) fn parse(written: &str) -> Result<Self, SftpError> {
        if written.len() > PATH_BYTES_MAX {
            return Err(SftpError::Path("the path is longer than 4096 bytes"));
        }
        if written.contains('\0') {
            return Err(SftpError::Path("the path has a NUL in it"));
        }
        // Servers on Windows take it for `/`.
        if written.contains('\\') {
            return Err(SftpError::Path("the path has a `\\` in it: write `/` between names"));
        }
        if written.starts_with('/') {
            return Err(SftpError::Path(
                "the path begins with `/`: paths are relative to the server's `directory`",
            ));
        }
        let names = written.split('/').filter(|name| !matches!(*name, "" | "."));
        let names: Vec<String> = names.map(str::to_owned).collect();
        if names.iter().any(|name| name == "..") {
            return Err(SftpError::Path(
                "the path has a `..` in it, which could lead out of the server's `directory`",
            ));
        }
        Ok(Self { names })
    }

    /// The whole, below a directory.
    pub(super) fn below(&self, directory: &[u8]) -> Vec<u8> {
        let mut path = directory.to_vec();
        for name in &self.names {
            join(&mut path, name.as_bytes());
        }
        path
    }

    /// The folder of a file and its name.
    pub(super) fn split(&self) -> Result<(Self, &str), SftpError> {
        let Some((name, folder)) = self.names.split_last() else {
            return Err(SftpError::Path("this is the server's `directory` itself, and no file"));
        };
        Ok((Self { names: folder.to_vec() }, name))
    }
}

/// Puts a name behind a folder.
pub(super) fn join(folder: &mut Vec<u8>, name: &[u8]) {
    if folder.last() != Some(&b'/') {
        folder.push(b'/');
    }
    folder.extend_from_slice(name);
}

/// Whether a resolved path is a directory or below it.
pub(super) fn is_within(path: &[u8], directory: &[u8]) -> bool {
    let directory = directory.strip_suffix(b"/").unwrap_or(directory);
    match path.strip_prefix(directory) {
        Some(rest) => rest.is_empty() || rest.first() == Some(&b'/'),
        None => false,
    }
}

/// What a file is called while it is written: hidden, and its own for each write, so that two of them don't mix.
pub(super) fn partial_name(name: &str, token: [u8; 4]) -> String {
    let end = name.floor_char_boundary(NAME_IN_PARTIAL_BYTES_MAX);
    let name = name.get(..end).unwrap_or_default();
    format!(".{name}.{:08x}.partial", u32::from_be_bytes(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(written: &str, expected: Result<&str, &str>) {
        let path = RelativePath::parse(written).map(|path| path.below(b"/home/lab"));
        let shown = path.map(|path| String::from_utf8_lossy(&path).into_owned());
        match (shown, expected) {
            (Ok(path), Ok(expected)) => assert_eq!(path, expected),
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
            (found, expected) => panic!("{written}: {found:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn paths_stay_below_the_directory() {
        check("a.hl7", Ok("/home/lab/a.hl7"));
        check("in/a.hl7", Ok("/home/lab/in/a.hl7"));
        check("./in//a.hl7", Ok("/home/lab/in/a.hl7"));
        check("", Ok("/home/lab"));
        check(".", Ok("/home/lab"));
        check("..a", Ok("/home/lab/..a"));
        check("/etc/passwd", Err("begins with `/`"));
        check("..", Err("`..`"));
        check("in/../../x", Err("`..`"));
        check("in\\..\\x", Err("`\\`"));
        check("a\0b", Err("NUL"));
        check(&"a/".repeat(3000), Err("4096"));
    }

    #[test]
    fn what_is_within_a_directory() {
        assert!(is_within(b"/home/lab", b"/home/lab"));
        assert!(is_within(b"/home/lab/x", b"/home/lab"));
        assert!(is_within(b"/anything", b"/"));
        assert!(!is_within(b"/home/laboratory", b"/home/lab"));
        assert!(!is_within(b"/home", b"/home/lab"));
        assert!(!is_within(b"", b"/home/lab"));
    }

    #[test]
    fn an_unfinished_file_is_hidden_and_not_too_long() {
        assert_eq!(partial_name("a.hl7", [0, 0, 0, 0xAB]), ".a.hl7.000000ab.partial");
        assert!(partial_name(&"ä".repeat(127), [1; 4]).len() < 255);
    }
}
