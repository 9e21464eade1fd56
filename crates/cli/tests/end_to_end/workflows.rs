//! The classic workflows of `examples/`: each runs by its script, and says itself whether all of it worked.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples")
}

/// Runs an example as its reader does: with the binary of this build and nothing else set.
fn works(name: &str) {
    let mut command = Command::new("node");
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PIPEHAT_") {
            command.env_remove(name);
        }
    }
    let output = command
        .arg(examples().join(name).join("run.mjs"))
        .env("PIPEHAT", env!("CARGO_BIN_EXE_pipehat"))
        .env("PIPEHAT_DEMO_DEADLINE", "60000")
        .output()
        .expect("Node 20 or newer runs the examples: https://nodejs.org");
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{name}: {said}{complained}");
    assert!(said.ends_with("All of it worked as it should.\n"), "{name}: {said}");
}

#[test]
fn identities_are_found_updated_and_merged() {
    works("identity");
}

#[test]
fn results_are_corrected_and_never_made_older() {
    works("results");
}

#[test]
fn appointments_ask_patients_to_prepare_until_they_are_cancelled() {
    works("scheduling");
}

#[test]
fn discharges_are_told_once() {
    works("discharge");
}

#[test]
fn orders_are_acknowledged_answered_and_cancelled() {
    works("orders");
}

#[test]
fn another_organisation_shows_the_schedule() {
    works("schedule-display");
}

/// Every example is a project of its own, so that it can be copied: what they share they have copies of.
#[test]
fn copies_of_files_are_the_same() {
    let check = |file: &str, names: &[&str]| {
        let mut contents = names.iter().map(|name| {
            let path = examples().join(name).join(file);
            fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        });
        let first = contents.next().expect("there are several");
        assert!(contents.all(|content| content == first), "{file} differs among {names:?}");
    };
    for file in ["bots/feed.ts", "bots/patients.ts"] {
        check(file, &["identity", "results", "orders", "scheduling"]);
    }
    for file in [
        "bots/results.ts",
        "bots/several.ts",
        "bots/statements.ts",
        "bots/results.yaml",
        "tables/authorities.csv",
    ] {
        check(file, &["results", "orders"]);
    }
}
