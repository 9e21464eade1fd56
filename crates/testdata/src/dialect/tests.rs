//! Messages of a dialect are valid by its profile and by the standard.

use std::sync::Arc;

use pipehat_config::{Diagnostics, Node, SourceFile};
use pipehat_dictionary::profile::{NoCodeTables, Profile, ProfileConstraints};
use pipehat_dictionary::validation::{Level, Validator};
use pipehat_message::{Message, Path, Severity};

use crate::{Generator, Selection, Settings};

fn profile(text: &str) -> Arc<Profile> {
    let text = format!("profile: lab2\nversion: 2.5.1\n{text}");
    let file = SourceFile::new("profiles/lab2.yaml", text);
    let mut diagnostics = Diagnostics::new();
    let node = Node::parse(&file, &mut diagnostics);
    let profile =
        node.and_then(|node| Profile::read(&node, "lab2", &NoCodeTables, &mut diagnostics));
    Arc::new(profile.expect("a sound profile"))
}

/// What these paths say in each of some messages that the profile has nothing against.
#[track_caller]
fn check(text: &str, kind: &str, paths: &[(&str, &[&str])]) {
    let profile = profile(text);
    let settings = Settings::new(profile.version);
    let selection = Selection::parse(kind, profile.version).expect("a type of the version");
    let mut generator =
        Generator::new(settings).expect("settings that work").with_profile(profile.clone());
    let constraints = ProfileConstraints::new(profile);
    let mut validator = Validator::new(Level::Standard);
    for _ in 0..60 {
        let mut bytes = Vec::new();
        generator.append(&selection, &mut bytes);
        let message = Message::parse(&bytes).expect("a message");
        validator.validate(&message, &constraints);
        let findings: Vec<String> = validator
            .findings()
            .iter()
            .filter(|finding| finding.severity != Severity::Information)
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            findings,
            Vec::<String>::new(),
            "{}",
            String::from_utf8_lossy(&bytes).replace('\r', "\n")
        );
        for (path, expected) in paths {
            let parsed: Path = path.parse().expect("a path");
            let value =
                message.get(&parsed).map(|value| String::from_utf8_lossy(value.raw()).into_owned());
            let value = value.unwrap_or_default();
            assert!(expected.contains(&value.as_str()), "{path} is {value}");
        }
    }
}

#[test]
fn constants_codes_and_lengths_are_kept() {
    check(
        "messages: [ADT]
fields:
  MSH-4: { constant: LAB2 }
  PID-8: { usage: R, values: [M, F] }
  PID-3: { usage: R, cardinality: 1..1 }
  PID-3.1: { length: 9..9 }
  PID-19: { usage: R, pattern: \"^[0-9]{9}$\" }
  PID-7: { usage: R, format: YYYYMMDD }
  MSH-7: { format: YYYYMMDDHHMM }
  PV1-44: { usage: X }
",
        "ADT^A01",
        &[("MSH-4", &["LAB2"]), ("PID-8", &["M", "F"]), ("PV1-44", &[""]), ("PID-3[2]", &[""])],
    );
}

#[test]
fn segments_come_and_go() {
    check(
        "messages: [ORU^R01]
segments:
  PV1: R
  PV2: R
  NTE: X
  PD1: X
  ZLB: { name: Laboratory notes, usage: R, cardinality: 1..3, after: [OBX, NTE, SPM] }
  ZPI: { name: Insurance, after: [PID] }
fields:
  ZLB-1: { name: Set ID, type: SI, usage: R }
  ZLB-2: { name: Bench, type: ST, usage: R, length: 1..8 }
  ZLB-3: { name: Read by, type: XCN }
  ZPI-2: { name: Scheme, type: CWE, usage: R }
",
        "ORU^R01",
        &[("ZLB-1", &["1"]), ("ZLB-2", &["Bench"]), ("ZPI-2.1", &["A1"]), ("NTE", &[""])],
    );
}

#[test]
fn conditions_and_rules_are_kept() {
    check(
        "fields:
  OBX-6: { usage: C(R/X), when: OBX-2 = \"NM\" }
  PV1-4: { usage: C(R/O), when: PV1-2 = \"I\" }
rules:
  - { when: PV1-2 = \"I\", require: PV1-3 }
  - { require: PID-23 }
",
        "ORU^R01",
        &[],
    );
}

#[test]
fn what_a_profile_does_not_cover_stays_as_it_is() {
    let profile = profile("messages: [ORU^R01]\nfields:\n  MSH-4: { constant: LAB2 }\n");
    let version = profile.version;
    let selection = Selection::parse("ADT^A01", version).expect("a type of the version");
    let mut plain = Vec::new();
    Generator::new(Settings::new(version)).expect("settings").append(&selection, &mut plain);
    let mut covered = Vec::new();
    let mut generator =
        Generator::new(Settings::new(version)).expect("settings").with_profile(profile);
    generator.append(&selection, &mut covered);
    assert_eq!(plain, covered);
}

#[test]
fn what_is_said_of_segment_groups_is_kept() {
    check(
        "messages: [ORU^R01]
fields:
  /ORDER_OBSERVATION/OBR-4.1: { values: [GLU] }
  /ORDER_OBSERVATION/OBX-8: { usage: R, values: [H, L] }
groups:
  /ORDER_OBSERVATION/SPECIMEN: X
",
        "ORU^R01",
        &[("OBR-4.1", &["GLU"]), ("OBX-8", &["H", "L"]), ("SPM-1", &[""])],
    );
}
