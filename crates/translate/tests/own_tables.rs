//! The rows of our own: what they name exists, and what they make of synthetic messages is right and valid.
//!
//! `golden/own/*.hl7` (a segment a line) beside the Bundles made of them and what is told of the rest. `UPDATE_GOLDEN=1`
//! writes the latter; read what changes.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use pipehat_dictionary::Version;
use pipehat_message::{Message, SegmentName};
use pipehat_resource::json::{self, Value};
use pipehat_resource::validate::{Checks, validate};
use pipehat_translate::{Settings, Translation, Translator, check_tables};

fn tables() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tables")
}

fn rows(folder: &str, table: &str) -> Vec<Value> {
    let path = tables().join(folder).join(format!("{table}.jsonl"));
    let text = fs::read_to_string(path).expect("the table can be read");
    text.lines().map(|line| json::parse(line.as_bytes()).expect("a row is JSON")).collect()
}

fn cell<'r>(row: &'r Value, column: &str) -> &'r str {
    row.text(column).unwrap_or_default()
}

/// The names of all maps of a table, in small letters: the official rows mix them.
fn maps(table: &str) -> BTreeSet<String> {
    let all = ["own", "official"].iter().flat_map(|folder| rows(folder, table));
    all.map(|row| cell(&row, "map").to_lowercase()).collect()
}

/// Whether any version has a field: some are withdrawn, some came late.
fn is_field(segment: &str, position: usize) -> bool {
    let bytes: [u8; 3] = segment.as_bytes().try_into().expect("three letters");
    let name = SegmentName::new(bytes).expect("a segment's name");
    let versions = [Version::V2_9_1, Version::V2_8_2, Version::V2_5_1, Version::V2_3];
    versions.into_iter().any(|version| {
        version.segment(name).is_some_and(|segment| segment.field(position).is_some())
    })
}

#[test]
fn every_row_is_run_or_has_its_reason() {
    let check = check_tables();
    let nothing: Vec<String> = Vec::new();
    assert_eq!(check.unread, nothing, "rows without a reason");
    assert_eq!(check.idle_reasons, nothing, "reasons that no row needs");
    assert_eq!(check.idle_corrections, nothing, "corrections that change nothing");
    assert_eq!(check.unexplained, nothing, "rows of ours without a comment");
    assert_eq!(check.misplaced, nothing, "rows at places that no structure has");
}

#[test]
fn every_row_of_ours_says_why() {
    for table in ["messages", "segments", "datatypes", "codesystems"] {
        for row in rows("own", table) {
            assert_eq!(row.get("ours").and_then(Value::as_bool), Some(true), "{table} {row:?}");
            assert!(!cell(&row, "comment").is_empty(), "{table} {row:?}");
        }
    }
}

#[test]
fn every_map_that_a_row_of_ours_names_exists() {
    let (segments, datatypes, codes) = (maps("segments"), maps("datatypes"), maps("codesystems"));
    let columns = [("segment_map", &segments), ("dt_map", &datatypes), ("vocab_map", &codes)];
    for table in ["messages", "segments", "datatypes"] {
        for row in rows("own", table) {
            for (column, known) in columns {
                let name = cell(&row, column);
                let exists = name.is_empty() || known.contains(&name.to_lowercase());
                assert!(exists, "{column} {name} of {row:?}");
            }
        }
    }
}

#[test]
fn every_field_that_a_row_of_ours_names_exists() {
    for row in rows("own", "segments") {
        let Some((segment, position)) = cell(&row, "id").split_once('-') else { continue };
        let field = position.split('.').next().unwrap_or_default();
        let position = field.parse().expect("a position is a number");
        assert!(is_field(segment, position), "{segment}-{position} of {}", cell(&row, "map"));
    }
}

fn translate(path: &Path) -> Translation {
    translate_text(&fs::read_to_string(path).expect("the message can be read"))
}

fn translate_text(text: &str) -> Translation {
    let bytes = text.trim_end().replace('\n', "\r").into_bytes();
    let message = Message::parse(&bytes).expect("the message can be parsed");
    Translator::new(Settings::default()).to_fhir(&message)
}

fn rendered(translation: &Translation) -> String {
    let mut text = translation.bundle.to_pretty_json();
    for finding in &translation.findings {
        text.push_str(&format!("\n{} {} {}", finding.kind.as_str(), finding.path, finding.text));
    }
    text.push('\n');
    text
}

#[test]
fn messages_of_our_maps_become_valid_bundles() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/own");
    let entries = fs::read_dir(folder).expect("the folder of golden cases");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "hl7"));
    paths.sort();
    let mut differing = Vec::new();
    for path in paths {
        let translation = translate(&path);
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        for issue in validate(&translation.bundle, Checks::All) {
            if issue.is_error() {
                differing.push(format!("{name}: {:?} {}", issue.expression, issue.text));
            }
        }
        let text = rendered(&translation);
        let expected = path.with_extension("txt");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&expected, &text).expect("the golden file can be written");
        } else if fs::read_to_string(&expected).unwrap_or_default() != text {
            differing.push(format!("{name} differs from its golden file"));
        }
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

/// The id under which a charge of this patient has its resource of a type.
fn id_for_patient(patient: &str, resource_type: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/own/dft_p03.hl7");
    let text = fs::read_to_string(path).expect("the message can be read");
    let translation = translate_text(&text.replace("10001", patient));
    let entries = translation.bundle.items("entry").iter();
    let mut resources = entries.filter_map(|entry| entry.get("resource"));
    let found = resources.find(|own| own.resource_type() == Some(resource_type));
    found.and_then(Value::id).expect("the resource has an id of its own").to_owned()
}

#[test]
fn what_many_patients_have_in_common_is_not_one_resource() {
    // The guarantor's number G77 and the plan PPO are those of both.
    for resource_type in ["RelatedPerson", "Coverage"] {
        let (one, other) = ("10001", "10002");
        assert_ne!(id_for_patient(one, resource_type), id_for_patient(other, resource_type));
        assert_eq!(id_for_patient(one, resource_type), id_for_patient(one, resource_type));
    }
}
