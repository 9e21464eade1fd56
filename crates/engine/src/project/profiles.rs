//! Profiles: what a partner's messages are like, `profiles/NAME.yaml`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use pipehat_config::{Diagnostic, Diagnostics, Limits, Node, SourceFile};
use pipehat_dictionary::profile::{CodeTables, Profile, ProfileConstraints};

use crate::program::{Table, Tables};

/// The profiles of a project; those that could not be read have no content.
pub(crate) type Profiles = BTreeMap<String, Option<ProfileConstraints>>;

/// A profile as a file anywhere, with the code tables of the project it stands in.
#[derive(Debug)]
pub struct ProfileFile;

/// What came of reading a profile.
#[derive(Debug)]
pub struct LoadedProfile {
    /// The profile; none when there is an error among the diagnostics.
    pub profile: Option<Profile>,
    /// Every mistake.
    pub diagnostics: Diagnostics,
}

impl ProfileFile {
    /// Reads a file. In a folder `profiles` it may name the code tables in the folder `tables` beside that.
    pub fn load(path: &Path) -> LoadedProfile {
        let mut diagnostics = Diagnostics::new();
        let shown = path.display().to_string();
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) => {
                let message = format!("this can't be read: {error}");
                diagnostics.push(Diagnostic::error_in_file("project.unreadable", shown, message));
                return LoadedProfile { profile: None, diagnostics };
            }
        };
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let folder = path.parent().filter(|folder| folder.ends_with("profiles"));
        let project = folder.and_then(Path::parent).map(|project| project.join("tables"));
        let tables = FolderTables { folder: project };
        let profile = read(stem, &shown, &bytes, &tables, &mut diagnostics);
        diagnostics.sort();
        LoadedProfile { profile: profile.filter(|_| !diagnostics.is_err()), diagnostics }
    }
}

/// Reads a profile's bytes. Variables are not put in: a profile says the same on every machine.
pub(super) fn read(
    stem: &str,
    path: &str,
    bytes: &[u8],
    tables: &dyn CodeTables,
    diagnostics: &mut Diagnostics,
) -> Option<Profile> {
    // With its evidence a learned profile is larger than what people write.
    let limits = Limits { nodes_max: PROFILE_NODES_MAX, ..Limits::default() };
    let file = SourceFile::from_bytes(path, bytes, diagnostics)?;
    let node = Node::parse_within(&file, limits, diagnostics)?;
    Profile::read(&node, stem, tables, diagnostics)
}

/// Maps, lists and scalars of a profile: twenty for each place it may speak of.
const PROFILE_NODES_MAX: usize = 2_000_000;

/// The code tables of a project that was read.
pub(super) struct ProjectTables<'t>(pub(super) &'t Tables);

impl CodeTables for ProjectTables<'_> {
    fn codes(&self, name: &str) -> Option<BTreeSet<Box<str>>> {
        // One that could not be read is told for itself.
        let table = self.0.get(name)?;
        Some(table.iter().flat_map(|table| table.codes()).map(Box::from).collect())
    }

    fn names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }
}

/// The code tables of a folder.
struct FolderTables {
    folder: Option<PathBuf>,
}

impl CodeTables for FolderTables {
    fn codes(&self, name: &str) -> Option<BTreeSet<Box<str>>> {
        let is_name = !name.contains(['/', '\\']) && !name.starts_with('.');
        let path = self.folder.as_ref().filter(|_| is_name)?.join(format!("{name}.csv"));
        let text = std::fs::read_to_string(path).ok()?;
        let table = Table::parse(name, &text).ok()?;
        Some(table.codes().map(Box::from).collect())
    }

    fn names(&self) -> Vec<String> {
        let entries = self.folder.as_ref().and_then(|folder| std::fs::read_dir(folder).ok());
        let stem = |entry: std::fs::DirEntry| {
            Some(entry.file_name().to_str()?.strip_suffix(".csv")?.to_owned())
        };
        entries.into_iter().flatten().flatten().filter_map(stem).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_may_name_the_code_tables_beside_its_folder() {
        let project = tempfile::tempdir().expect("a folder");
        let write = |path: &str, text: &str| {
            let path = project.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            std::fs::write(&path, text).expect("written");
            path
        };
        write("tables/wards.csv", "code,name\nN1,North\n");
        let text =
            "profile: lab2\nversion: 2.5.1\nfields: { PV1-3: { values: { codes: wards } } }\n";
        let inside = ProfileFile::load(&write("profiles/lab2.yaml", text));
        assert!(inside.profile.is_some(), "{:?}", inside.diagnostics);
        let outside = ProfileFile::load(&write("lab2.yaml", text));
        assert!(outside.profile.is_none());
    }
}
