//! `golden/*.yaml` beside the diagnostics as a person sees them. `UPDATE_GOLDEN=1` writes the latter.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use pipehat_config::{CODES, SourceFile};

use crate::channel;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden")
}

fn cases() -> Vec<String> {
    let entries = fs::read_dir(folder()).expect("the folder is there");
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.expect("an entry").file_name().into_string().ok())
        .filter_map(|name| name.strip_suffix(".yaml").map(str::to_owned))
        .collect();
    names.sort();
    names
}

fn diagnose(case: &str) -> pipehat_config::Diagnostics {
    let text = fs::read_to_string(folder().join(format!("{case}.yaml"))).expect("a case");
    let (channel, diagnostics) =
        channel::read(&SourceFile::new(format!("channels/{case}.yaml"), text));
    assert_eq!(
        channel.is_none(),
        diagnostics.is_err(),
        "{case}: refused if and only if there is an error"
    );
    diagnostics
}

#[test]
fn diagnostics_are_as_a_person_should_see_them() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let cases = cases();
    assert!(cases.len() >= 20, "the cases were found");
    let mut differing = Vec::new();
    for case in cases {
        let rendered = diagnose(&case).to_string();
        let path = folder().join(format!("{case}.txt"));
        if update {
            fs::write(&path, &rendered).expect("the golden file can be written");
        } else if fs::read_to_string(&path).unwrap_or_default() != rendered {
            differing.push(format!("{case}:\n{rendered}"));
        }
    }
    assert!(differing.is_empty(), "differs from its golden file:\n{}", differing.join("\n"));
}

#[test]
fn only_the_good_case_is_without_errors() {
    for case in cases() {
        assert_eq!(diagnose(&case).is_err(), case != "good", "{case}");
    }
}

#[test]
fn every_code_has_its_description() {
    let described: BTreeSet<&str> = CODES.iter().map(|description| description.code).collect();
    assert_eq!(described.len(), CODES.len(), "no code is described twice");
    for case in cases() {
        for diagnostic in &diagnose(&case) {
            let ours = diagnostic.code.starts_with("config.");
            assert!(!ours || described.contains(diagnostic.code), "{} in {case}", diagnostic.code);
        }
    }
}

#[test]
fn no_excerpt_holds_a_secret_or_a_substituted_value() {
    for case in cases() {
        let rendered = diagnose(&case).to_string();
        assert!(!rendered.contains("opensesame"), "{case}:\n{rendered}");
    }
}
