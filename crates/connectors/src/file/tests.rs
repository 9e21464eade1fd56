//! The file connector on real folders.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use pipehat_config::Diagnostics;
use tempfile::TempDir;

use super::CONNECTOR;
use crate::contract::{check_descriptor, soon};
use crate::tls::testing::{Project, settings};
use crate::{Destination, Health, Source};

mod journal;
mod taking;
mod writing;

fn source_with(yaml: &str) -> Result<Arc<dyn Source>, String> {
    let descriptor = CONNECTOR.source.as_ref().expect("it receives");
    let mut diagnostics = Diagnostics::new();
    let project = Project::empty();
    let settings = settings(yaml, descriptor.schema);
    (descriptor.build)(&settings, &project.context(), &mut diagnostics)
        .ok_or_else(|| diagnostics.to_string())
}

fn destination_with(yaml: &str, health: Arc<Health>) -> Result<Arc<dyn Destination>, String> {
    let descriptor = CONNECTOR.destination.as_ref().expect("it sends");
    let mut diagnostics = Diagnostics::new();
    let project = Project::empty();
    let settings = settings(yaml, descriptor.schema);
    (descriptor.build)(&settings, &project.context(), health, &mut diagnostics)
        .ok_or_else(|| diagnostics.to_string())
}

/// Looks again and again until there is something to see.
async fn until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(seen) = look() {
                return seen;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    soon("what was waited for", looking).await
}

async fn appears(path: PathBuf) -> String {
    until(|| fs::read_to_string(&path).ok()).await
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("the folder is there");
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fn put(folder: &Path, name: &str, content: impl AsRef<[u8]>) {
    fs::write(folder.join(name), content).expect("the folder can be written");
}

#[test]
fn the_descriptor_is_sound() {
    check_descriptor(&CONNECTOR);
}

#[test]
fn a_folder_that_is_not_there_is_told() {
    #[track_caller]
    fn check(folder: &Path, expected: &[&str]) {
        let project = Project::empty();
        let yaml = format!("{{ folder: {} }}", folder.display());
        let mut diagnostics = Diagnostics::new();
        let to = CONNECTOR.destination.as_ref().expect("it sends");
        let context = &project.context();
        let built =
            (to.build)(&settings(&yaml, to.schema), context, Arc::default(), &mut diagnostics);
        assert!(built.is_some(), "it may be mounted later");
        let from = CONNECTOR.source.as_ref().expect("it receives");
        let built = (from.build)(&settings(&yaml, from.schema), context, &mut diagnostics);
        assert!(built.is_some(), "it may be mounted later");
        let told: Vec<String> =
            diagnostics.iter().map(|one| format!("{}: {}", one.code, one.message)).collect();
        assert_eq!(told, expected);
    }
    let folder = folder();
    check(folder.path(), &[]);
    check(
        &folder.path().join("gone"),
        &[
            "file.write-failed: there is no such folder",
            "file.folder-unreadable: there is no such folder",
        ],
    );
}

#[tokio::test]
async fn settings_that_make_no_sense_are_explained() {
    let check = |made: Result<(), String>, expected: &str| {
        let text = made.expect_err("a mistake");
        assert!(text.contains(expected) && text.contains("file.setting"), "{text}");
    };
    let source = |more: &str| source_with(&format!("{{ folder: in, {more} }}")).map(|_| ());
    check(source("pattern: []"), "without a pattern");
    check(source("pattern: [\"a/b\"]"), "names");
    check(source("poll: 99ms"), "100ms");
    assert_eq!(source("poll: 100ms"), Ok(()));
    check(source("marker: done"), "{name}");
    check(source("marker: \"{name}.done\", stable_for: 1s"), "not both");
    check(source("when_done: delete, done: gone"), "deleted");
    check(source("done: in"), "taken from");
    check(source("error: in/.pipehat"), "working folder");
    check(source("message_bytes_max: 0B"), "between");
    check(source("message_bytes_max: 4GiB"), "between");

    let destination = |more: &str| {
        let yaml = format!("{{ folder: out, {more} }}");
        destination_with(&yaml, Arc::default()).map(|_| ())
    };
    check(destination("name: \"../{message}\""), "can't contain");
    check(destination("append: true, on_existing: park"), "added to");
    check(destination("mode: \"0440\""), "0640");
    assert_eq!(destination("append: true"), Ok(()));
}
