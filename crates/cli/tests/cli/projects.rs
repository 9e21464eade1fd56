//! `pipehat new`: what it makes is a project that passes its own check and its own tests.

use std::path::Path;

use pipehat_config::{Colour, Environment, NoEnvironment};
use pipehat_connectors::{Secrets, UnknownSecret};
use pipehat_engine::project::{DirectoryFiles, Project, run_cases};

use crate::running::{run, stdout};

struct NoSecrets;

impl Secrets for NoSecrets {
    fn secret(&self, name: &str) -> Result<Vec<u8>, UnknownSecret> {
        Err(UnknownSecret { name: name.to_owned(), remedy: "there are none".to_owned() })
    }
}

#[track_caller]
fn check(arguments: &[&str], directory: &Path) {
    let environment: &dyn Environment = &NoEnvironment;
    let loaded = Project::load(directory, environment, &NoSecrets);
    assert!(loaded.diagnostics.is_empty(), "{}", loaded.diagnostics.render(Colour::Never));
    let project = loaded.project.expect("a project");
    assert_eq!(project.channels.len(), 1, "{arguments:?}");
    let run = run_cases(&project, &DirectoryFiles::new(directory), None);
    assert!(run.diagnostics.is_empty(), "{}", run.diagnostics.render(Colour::Never));
    assert!(!run.cases.is_empty(), "{arguments:?} has cases");
    for case in &run.cases {
        assert!(case.mismatches.is_empty(), "{}: {:?}", case.case, case.mismatches);
    }
}

#[test]
fn every_example_passes_its_check_and_its_tests() {
    for example in
        [&[][..], &["--example", "relay"], &["--example", "intake"], &["--example", "strict"]]
    {
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("a/project");
        let arguments: Vec<_> =
            ["new", directory.to_str().unwrap()].iter().chain(example).copied().collect();
        let said = String::from_utf8(stdout(&arguments, b"")).unwrap();
        assert!(said.contains("pipehat check") && said.contains("pipehat up"), "{said}");
        assert!(directory.join("README.md").is_file() && directory.join(".gitignore").is_file());
        check(&arguments, &directory);
    }
}

#[test]
fn a_directory_with_something_in_it_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("notes.txt"), "mine").unwrap();
    let output = run(&["new", directory.path().to_str().unwrap()], b"");
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
}
