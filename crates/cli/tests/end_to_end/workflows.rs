//! The classic workflows of `examples/`: each runs by its script, and says itself whether all of it worked.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples")
}

/// Runs an example as its reader does.
fn works(name: &str) {
    runs(name, &examples().join(name).join("run.mjs"));
}

/// Runs a script with the binary of this build and nothing else set.
fn runs(name: &str, script: &Path) {
    let mut command = Command::new("node");
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PIPEHAT_") {
            command.env_remove(name);
        }
    }
    let output = command
        .arg(script)
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

/// Two examples in one project, as the docs say it is done: their folders copied into each other, each channel with a port
/// of its own.
#[test]
fn an_appointment_asks_once_whenever_its_patient_is_merged() {
    // The table of `identity` is copied last: it has all that the script names.
    let folder = copied(&["scheduling", "identity"], "merged_appointments.mjs");
    edit(&folder.path().join("project/channels/appointments.yaml"), |text| {
        text.replace("PIPEHAT_LISTEN", "PIPEHAT_SCHEDULING_LISTEN")
    });
    runs("identity and scheduling", &folder.path().join("project/run.mjs"));
}

#[test]
fn a_hospital_that_names_no_authority_adds_the_lines_of_the_docs() {
    let docs = examples().join("../docs/workflows.md");
    let docs = fs::read_to_string(docs).expect("the docs");
    let lines = docs.split_once("names no authority in PID-3").expect("the docs speak of it").1;
    let lines =
        lines.split("```").nth(1).expect("lines of the channel").trim_start_matches("yaml\n");
    let folder = copied(&["identity"], "alone.mjs");
    edit(&folder.path().join("project/channels/admissions.yaml"), |text| {
        text.replace("steps:\n", &format!("steps:\n{lines}"))
    });
    runs("identity without authorities", &folder.path().join("project/run.mjs"));
}

/// Examples copied into each other, with a script of the tests in the place of theirs.
fn copied(names: &[&str], script: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let copy = |from: &Path, to: &Path| {
        fs::create_dir_all(to.parent().expect("files are in a folder"))
            .expect("a folder can be made");
        fs::copy(from, to).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
    };
    copy(&examples().join("workflow.mjs"), &folder.path().join("workflow.mjs"));
    let project = folder.path().join("project");
    for name in names {
        for part in ["pipehat.yaml", "bots", "channels", "tables"] {
            for file in files(&examples().join(name).join(part)) {
                let to = file.strip_prefix(examples().join(name)).expect("it is in the example");
                copy(&file, &project.join(to));
            }
        }
    }
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/end_to_end");
    copy(&tests.join(script), &project.join("run.mjs"));
    folder
}

fn edit(path: &Path, change: impl FnOnce(String) -> String) {
    let text = fs::read_to_string(path).expect("the file can be read");
    fs::write(path, change(text)).expect("the file can be written");
}

/// A file, or those of a folder that a project needs: cases stand in folders beside the bots.
pub(crate) fn files(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    let entries = fs::read_dir(path).expect("the folder can be read");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths.filter(|path| path.is_file()).collect()
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
        "bots/documents.ts",
        "bots/results.ts",
        "bots/several.ts",
        "bots/statements.ts",
        "bots/results.yaml",
        "tables/authorities.csv",
    ] {
        check(file, &["results", "orders"]);
    }
}
