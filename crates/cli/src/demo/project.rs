//! The hospital's project: carried by the binary, written into a folder, read from there.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use pipehat_config::{Environment, SecretText};
use pipehat_connectors::{Secrets, UnknownSecret};

/// The files of `examples/hospital`, by their path in it.
macro_rules! files {
    ($($path:literal),* $(,)?) => {
        &[$(($path, include_bytes!(concat!("../../../../examples/hospital/", $path)))),*]
    };
}

/// What the project is made of.
pub(super) const FILES: &[(&str, &[u8])] = files![
    "README.md",
    "pipehat.yaml",
    "channels/admissions.yaml",
    "channels/appointments.yaml",
    "channels/charges.yaml",
    "channels/lab-orders.yaml",
    "channels/lab-results.yaml",
    "channels/pharmacy-orders.yaml",
    "channels/vaccinations.yaml",
    "tables/abnormal-flags.csv",
    "tables/authorities.csv",
    "tables/charge-codes.csv",
    "tables/gender.csv",
    "tables/lab-test-names.csv",
    "tables/lab-tests.csv",
    "tables/rooms.csv",
    "tables/units.csv",
    "tables/visit-kinds.csv",
];

/// Where systems exchange files, in the project's folder.
pub(super) const REGISTRY: &str = "exchange/registry";

/// Where the clinic drops files.
pub(super) const VACCINATIONS: &str = "exchange/vaccinations";

/// Writes the project into a folder, and makes what it needs there.
pub(crate) fn write(directory: &Path) -> io::Result<()> {
    for (path, content) in FILES {
        let path = directory.join(path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(path, content)?;
    }
    fs::create_dir_all(directory.join(REGISTRY))?;
    fs::create_dir_all(directory.join(VACCINATIONS))
}

/// The variables of the demo; there are no secrets.
#[derive(Debug)]
pub(crate) struct DemoEnvironment(pub(crate) BTreeMap<String, String>);

impl Environment for DemoEnvironment {
    fn variable(&self, name: &str) -> Option<String> {
        self.0.get(name).cloned()
    }

    fn secret(&self, _: &str) -> Option<SecretText> {
        None
    }
}

impl Secrets for DemoEnvironment {
    fn secret(&self, name: &str) -> Result<Vec<u8>, UnknownSecret> {
        Err(UnknownSecret { name: name.to_owned(), remedy: "the demo has no secrets".to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use pipehat_engine::project::{DirectoryFiles, Project, run_cases};

    use super::*;

    fn example() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/hospital")
    }

    fn loaded(directory: &Path) -> Project {
        let environment = DemoEnvironment(BTreeMap::new());
        let loaded = Project::load(directory, &environment, &environment);
        assert_eq!(loaded.diagnostics.len(), 0, "{:?}", loaded.diagnostics);
        loaded.project.expect("a project without mistakes")
    }

    #[test]
    fn the_binary_carries_every_file_that_the_project_needs() {
        for folder in ["channels", "tables"] {
            for entry in fs::read_dir(example().join(folder)).expect("the example") {
                let name = entry.expect("an entry").file_name();
                let path = format!("{folder}/{}", name.to_string_lossy());
                assert!(FILES.iter().any(|(carried, _)| *carried == path), "{path} is missing");
            }
        }
    }

    #[test]
    fn what_is_written_is_a_project_without_mistakes() {
        let directory = tempfile::tempdir().expect("a folder");
        write(directory.path()).expect("written");
        assert_eq!(loaded(directory.path()).channels.len(), 7);
    }

    #[test]
    fn the_cases_of_the_example_pass() {
        let directory = example();
        let files = DirectoryFiles::new(&directory);
        let run = run_cases(&loaded(&directory), &files, None);
        assert!(run.cases.len() >= 17, "{} cases", run.cases.len());
        let failed: Vec<_> = run.cases.iter().filter(|one| !one.mismatches.is_empty()).collect();
        assert!(run.passed(), "{failed:?}");
    }
}
